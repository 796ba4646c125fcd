from tracelake.native.account import Account

class Radius:
    """RADIUS: a row a request."""

    name: str
    index: int
    ports: tuple[int, ...]
    def __init__(self, index: int, account: Account, sheets: object) -> None: ...
