from tracelake.native.account import Account

class Snmp:
    """SNMP: a row a flow."""

    name: str
    index: int
    ports: tuple[int, ...]
    def __init__(self, index: int, account: Account, sheets: object) -> None: ...
