from collections.abc import Iterable

from tracelake.native.account import Account
from tracelake.parsers.held import Held

TROUBLES: tuple[str, ...]

class Hive:
    held: Held
    size: int
    file_size: int
    minor: int
    replayed: tuple[tuple[int, int], ...]
    handed: int
    def __init__(
        self,
        data: Held,
        file_size: int,
        account: Account,
        replayed: Iterable[tuple[int, int]] = (),
    ) -> None: ...
    def is_replayed(self, offset: int) -> bool: ...
