from tracelake.native.account import Account
from tracelake.parsers.hive_cells import Hive
from tracelake.parsers.hive_patterns import Patterns
from tracelake.parsers.hive_rows import HiveRows

DONE: int
FULL: int
MEANT: int

class Walk:
    key: int
    state: int
    @property
    def key_path(self) -> str: ...
    def __init__(
        self,
        hive: Hive,
        rows: HiveRows,
        account: Account,
        root: int,
        path: bytes,
        patterns: Patterns,
        start: int,
    ) -> None: ...
    def next(self) -> int: ...
