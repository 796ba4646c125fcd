def tell(text: bytes, style: str = "pairs", flags: bool = False) -> list[tuple[str, str]] | None:
    """[(name, value)] that a text says, in order; None where its header is broken. For tests.

    Args:
        style: "cef", "leef" or "pairs".
    """
