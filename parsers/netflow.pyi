from collections.abc import Iterator

import pyarrow as pa

from tracelake.parsers.artifact import Artifact, Match, Parser

VERSION: str
LAYOUTS: dict[int, tuple[tuple[int, int], ...]]
PARSER: Parser

def match(head: bytes, path: str) -> tuple[Match, str]:
    """How sure it is that an artifact holds messages of NetFlow or IPFIX, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: its path inside its source (not looked at).
    """

def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields flows (network_activity) and options records (raw_event) as (table, RecordBatch).

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on (a broken archive or disk); all rows
            before that were yielded.
    """
