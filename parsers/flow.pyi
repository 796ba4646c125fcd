from tracelake.native.account import Account
from tracelake.native.columns import Rows
from tracelake.parsers.dns import Transactions

FLOW_LIMIT: int
TCP_SERVERS: tuple[int, ...]
UDP_SERVERS: tuple[int, ...]
DNS_PORTS: tuple[int, ...]
INTERNAL: tuple[str, ...]

class Flows:
    rows: Rows
    dns: Transactions
    limit: int
    evictions: int
    def __init__(self, account: Account, limit: int = ...) -> None: ...
