from collections.abc import Iterator

import pyarrow as pa

from tracelake.parsers.artifact import Artifact, Match, Parser

VERSION: str
PARSER: Parser

def match(head: bytes, path: str) -> tuple[Match, str]:
    """How sure it is that an artifact is a file of nfdump, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: its path inside its source (not looked at).
    """

def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields flows (network_activity) and what is said of exporters (raw_event).

    Args:
        artifact: its account is kept.

    Raises:
        Truncated, Unsupported: the header is not all there, or of a layout that is not read.
        EvidenceError: the bytes could not be read on (a broken archive or disk); all rows
            before that were yielded.
    """
