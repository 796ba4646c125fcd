def form_of(head: bytes) -> tuple[str, int]:
    """("utf-8" | "utf-16-le" | "utf-16-be", bytes of its byte order mark)."""

def text_of(head: bytes) -> bytes:
    """The start of a file as UTF-8 text, without its byte order mark."""

class AnyText:
    form: str
    repaired: bool
