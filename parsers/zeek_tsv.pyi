from collections.abc import Iterator

import pyarrow as pa

from tracelake.parsers.artifact import Artifact, Match, Parser

VERSION: str
PARSER: Parser

def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields (table, batch), and NO_ROWS_YET in between.

    Raises:
        EvidenceError: the bytes could not be read on; the rows before that were yielded.
    """

def match(head: bytes, path: str) -> tuple[Match, str]: ...
def unescaped(text: bytes) -> bytes: ...
