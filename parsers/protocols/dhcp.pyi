from tracelake.native.account import Account

class Dhcp:
    """DHCP (RFC 2131): one row a transaction, joined across flows."""

    name: str
    index: int
    ports: tuple[int, ...]
    open: int
    def __init__(self, index: int, account: Account, sheets: object) -> None: ...
