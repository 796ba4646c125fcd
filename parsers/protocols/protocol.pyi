class Protocol:
    name: str
    index: int
    longest: int
    ports: tuple[int, ...]
