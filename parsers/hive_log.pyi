from collections.abc import Sequence

from tracelake.parsers.held import Held

def marvin32(data: bytes | bytearray) -> int: ...
def checksum(data: bytes | bytearray) -> int: ...

class Header:
    good: bool
    first: int
    second: int
    kind: int
    bins: int
    cluster: int
    written: int
    @property
    def dirty(self) -> bool: ...
    def __init__(self, data: bytes | bytearray | Held) -> None: ...

class Replay:
    dirty: bool
    entries: int
    pages: int
    written: list[tuple[int, int]]
    notes: list[str]
    def __init__(self) -> None: ...
    def merged(self) -> list[tuple[int, int]]: ...

def replay(data: bytearray | Held, logs: Sequence[tuple[str, bytes]], most: int) -> Replay: ...
