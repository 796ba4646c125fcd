from collections.abc import Iterable, Iterator

import pyarrow as pa

from tracelake.normalize.mapping import Mappings
from tracelake.normalize.shapes import Shape
from tracelake.parsers.artifact import Artifact, Match, Parser

LONGEST: int
PARSER: Parser

def value_end(text: bytes) -> int | None: ...
def match(head: bytes, path: str) -> tuple[Match, str]: ...
def read(
    artifact: Artifact,
    mappings: Mappings | None = None,
    shapes: Iterable[Shape] | None = None,
) -> Iterator[tuple[str, pa.RecordBatch]]: ...
