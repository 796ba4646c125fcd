from tracelake.native.account import Account

class Ldap:
    """LDAP over TCP and UDP (RFC 4511)."""

    name: str
    index: int
    ports: tuple[int, ...]
    def __init__(self, index: int, account: Account, sheets: object) -> None: ...
