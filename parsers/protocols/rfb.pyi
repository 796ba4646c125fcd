from tracelake.native.account import Account

class Rfb:
    """RFB (RFC 6143): a row a session."""

    name: str
    index: int
    ports: tuple[int, ...]
    def __init__(self, index: int, account: Account, sheets: object) -> None: ...
