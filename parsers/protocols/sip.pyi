from tracelake.native.account import Account

class Sip:
    """SIP (RFC 3261): a row a response."""

    name: str
    index: int
    ports: tuple[int, ...]
    def __init__(self, index: int, account: Account, sheets: object) -> None: ...
