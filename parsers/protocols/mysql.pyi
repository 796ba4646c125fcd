from tracelake.native.account import Account

class Mysql:
    """MySQL: a row a command."""

    name: str
    index: int
    ports: tuple[int, ...]
    def __init__(self, index: int, account: Account, sheets: object) -> None: ...
