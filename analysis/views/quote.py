"""Names and texts as SQL."""


def name(value: str) -> str:
    """An identifier."""
    return '"' + value.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text literal."""
    return "'" + value.replace("'", "''") + "'"
