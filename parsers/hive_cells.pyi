from collections.abc import Iterable

from tracelake.native.account import Account

TROUBLES: tuple[str, ...]

class Hive:
    data: object
    size: int
    file_size: int
    minor: int
    replayed: tuple[tuple[int, int], ...]
    handed: int
    def __init__(
        self,
        data: bytearray,
        file_size: int,
        account: Account,
        replayed: Iterable[tuple[int, int]] = (),
    ) -> None: ...
    def is_replayed(self, offset: int) -> bool: ...
