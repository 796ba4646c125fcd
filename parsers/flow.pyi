from tracelake.native.account import Account
from tracelake.native.columns import Rows

FLOW_LIMIT: int
SHARES: int
TCP_SERVERS: tuple[int, ...]
UDP_SERVERS: tuple[int, ...]
DNS_PORTS: tuple[int, ...]
INTERNAL: tuple[str, ...]

class Flows:
    rows: Rows
    limit: int
    evictions: int
    def __init__(self, account: Account, limit: int = ..., only: bool = ...) -> None: ...
