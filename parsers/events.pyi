from collections.abc import Iterable

import pyarrow as pa

from tracelake.native.columns import Stretch
from tracelake.normalize.mapping import Mappings

class Events:
    def __init__(self, mappings: Mappings) -> None: ...
    def add(
        self,
        provider: str,
        code: str,
        pairs: Iterable[tuple[str, str, bytes | int | None]],
        system: Iterable[tuple[str, str, bytes | int | None]] = (),
        *,
        offset: int = 0,
        length: int = 0,
        sub: int = 0,
        flags: int = 0,
        own_hash: int = 0,
    ) -> bool: ...
    def take(self, everything: bool = False) -> list[tuple[str, pa.RecordBatch]]: ...
    def stand(self) -> list[tuple[str, Stretch]]: ...
    def drop(self) -> None: ...
