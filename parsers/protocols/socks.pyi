from tracelake.native.account import Account

class Socks:
    """SOCKS 4 and 5: a row a session."""

    name: str
    index: int
    ports: tuple[int, ...]
    def __init__(self, index: int, account: Account, sheets: object) -> None: ...
