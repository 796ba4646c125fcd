from tracelake.native.account import Account

class Mqtt:
    """MQTT 3.1 to 5: rows of connections, messages and subscriptions."""

    name: str
    index: int
    ports: tuple[int, ...]
    def __init__(self, index: int, account: Account, sheets: object) -> None: ...
