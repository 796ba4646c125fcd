from collections.abc import Iterator

import pyarrow as pa

from tracelake.normalize.mapping import Mappings
from tracelake.parsers.artifact import Artifact, Match, Parser, Part, Reading

VERSION: str
PARSER: Parser

def match(head: bytes, path: str) -> tuple[Match, str]:
    """How sure it is that an artifact is an event log, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: its path inside its source.
    """

def read(
    artifact: Artifact, mappings: Mappings | None = None
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields the log's rows as (table, RecordBatch); at the end its row of `evtx_file`.

    Args:
        artifact: its account is kept.
        mappings: the shipped ones where it is None.

    Raises:
        EvidenceError: the bytes could not be read on (a broken archive or disk); all rows
            before that were yielded.
    """

def read_part(artifact: Artifact, part: Part, mappings: Mappings | None = None) -> Reading:
    """Begins to read a part of a log: a `parsers.artifact.Reading`."""
