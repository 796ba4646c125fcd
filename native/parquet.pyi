from typing import Protocol

import pyarrow as pa

class Sink(Protocol):
    def write(self, data: bytes | memoryview, /) -> object: ...

class Column:
    path: tuple[str, ...]
    def __init__(
        self,
        path: tuple[str, ...],
        physical: int,
        width: int,
        worded: bool,
        encoding: int,
        codec: pa.Codec | None,
        codec_number: int,
        keeps: bool,
        fpp: float,
        required: bool,
    ) -> None: ...

class Chunk:
    column: Column
    packed: int
    bloom: bytes | None
    bloom_at: int

class Pages:
    def write(
        self, sink: Sink, column: Column, array: pa.Array, child: int, position: int
    ) -> Chunk: ...

def parts_of_footer(footer: bytes) -> tuple[bytes, list[bytes], list[bytes]]: ...
def footer_of(
    version: bytes,
    elements: list[bytes],
    fields: int,
    orders: list[bytes],
    groups: list[tuple[int, list[Chunk], int]],
    said: dict[bytes, bytes],
    made_by: bytes,
) -> bytes: ...
