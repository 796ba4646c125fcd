import pyarrow as pa

from tracelake.native.columns import Rows
from tracelake.parsers.hive_cells import Hive

class HiveRows:
    rows: Rows
    only_logged: int
    def __init__(self, hive: Hive, alias: tuple[bytes, bytes] | None = None) -> None: ...
    def finish(self) -> pa.RecordBatch: ...
