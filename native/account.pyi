from collections.abc import Callable

import pyarrow as pa

SCHEMA: pa.Schema
RAW_LIMIT: int

class Account:
    def __init__(self, damage_sink: Callable[[pa.RecordBatch], None] | None = None) -> None: ...
    records: int
    in_rows: int
    duplicates: int
    damaged: int
    counters: dict[str, int]
    repairs: int
    bytes_records: int
    bytes_structure: int
    bytes_slack: int
    @property
    def closes(self) -> bool: ...
    def flush_damage(self) -> None: ...
    def broken(
        self, offset: int, length: int, what: str, why: str, raw: bytes | None = None
    ) -> None: ...
    def take_damage(self) -> pa.RecordBatch | None: ...
