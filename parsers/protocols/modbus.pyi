from tracelake.native.account import Account

class Modbus:
    """Modbus over TCP: a row a message."""

    name: str
    index: int
    ports: tuple[int, ...]
    def __init__(self, index: int, account: Account, sheets: object) -> None: ...
