from tracelake.native.account import Account

class Tickets: ...

class Kerberos:
    """Kerberos 5 over UDP and TCP (RFC 4120)."""

    name: str
    index: int
    ports: tuple[int, ...]
    def __init__(self, index: int, account: Account, sheets: object) -> None: ...
