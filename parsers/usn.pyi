from collections.abc import Iterator

import pyarrow as pa

from tracelake.parsers.artifact import Artifact, Match, Parser

VERSION: str
PARSER: Parser

def match(head: bytes, path: str) -> tuple[Match, str]:
    """How sure it is that an artifact is a change journal, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: its path inside its source.
    """

def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields the journal's rows as (table, RecordBatch).

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on (a broken archive or disk); all rows
            before that were yielded.
    """
