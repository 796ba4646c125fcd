from tracelake.native.account import Account

class Dnp3:
    """DNP3 over TCP and UDP: a row a request."""

    name: str
    index: int
    ports: tuple[int, ...]
    def __init__(self, index: int, account: Account, sheets: object) -> None: ...
