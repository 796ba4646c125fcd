import pyarrow as pa

SCHEMA: pa.Schema
RAW_LIMIT: int

class Account:
    records: int
    in_rows: int
    duplicates: int
    damaged: int
    counters: dict[str, int]
    bytes_records: int
    bytes_structure: int
    bytes_slack: int
    @property
    def closes(self) -> bool: ...
    @property
    def damage_is_full(self) -> bool: ...
    def broken(
        self, offset: int, length: int, what: str, why: str, raw: bytes | None = None
    ) -> None: ...
    def take_damage(self) -> pa.RecordBatch | None: ...
