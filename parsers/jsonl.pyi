from collections.abc import Iterator

import pyarrow as pa

from tracelake.normalize.mapping import Mappings
from tracelake.parsers.artifact import Artifact, Match, Parser

LONGEST: int
PARSER: Parser

def value_end(text: bytes) -> int | None: ...
def match(head: bytes, path: str) -> tuple[Match, str]: ...
def read(
    artifact: Artifact, mappings: Mappings | None = None
) -> Iterator[tuple[str, pa.RecordBatch]]: ...
