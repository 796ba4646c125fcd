from collections.abc import Iterable
from typing import Any

from tracelake.normalize.mapping import Mappings
from tracelake.normalize.shapes import Shape
from tracelake.parsers.events import Events

DEPTH: int

class Number(str): ...
class Pairs(list[tuple[str, Any]]): ...

def decode_exactly(text: str) -> Any: ...
def encode(value: Any) -> str: ...

class Objects:
    events: Events
    members: int
    why: str
    def put(self, text: bytes, offset: int) -> int: ...
    def __init__(self, mappings: Mappings, shapes: Iterable[Shape]) -> None: ...
