WAYS: dict[str, int]
SYSTEM: tuple[tuple[str, str, str], ...]
