from tracelake.native.account import Account
from tracelake.parsers.hive_cells import Hive
from tracelake.parsers.hive_rows import HiveRows

class Lost:
    cut_off: list[tuple[int, bytes]]
    def __init__(
        self, hive: Hive, rows: HiveRows, account: Account, root: int, path: bytes, end: int
    ) -> None: ...
    def next(self) -> bool: ...
