from tracelake.native.columns import Rows

TYPES: dict[int, str]
CLASSES: dict[int, str]
RCODES: tuple[str, ...]

class Transactions:
    rows: Rows
    held: int
    def __init__(self) -> None: ...
