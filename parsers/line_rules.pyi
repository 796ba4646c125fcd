from collections.abc import Iterable

from tracelake.normalize.lines import Line

def divided(
    lines: Iterable[Line], text: bytes, program: bytes = b""
) -> list[tuple[str, str]] | None:
    """[(name, value)] that a line says by the first of `lines` that fits, or None. For tests and
    for trying a mapping file."""
