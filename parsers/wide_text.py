"""Texts of Windows: UTF-16 with or without a mark, UTF-8, or the host's code page."""

from tracelake.parsers.pyrows import NAME_GUESSED, TEXT_REPAIRED


def encoding(head: bytes) -> tuple[str, int]:
    """(codec, bytes of its mark) of a text that begins with these bytes."""
    if head.startswith(b"\xff\xfe"):
        return "utf-16-le", 2
    if head.startswith(b"\xfe\xff"):
        return "utf-16-be", 2
    if head.startswith(b"\xef\xbb\xbf"):
        return "utf-8", 3
    # Without a mark, every second byte of a Western text is zero.
    start = head[:64]
    if len(start) >= 4 and not any(start[1:8:2]) and all(start[0:8:2]):
        return "utf-16-le", 0
    if len(start) >= 4 and not any(start[0:8:2]) and all(start[1:8:2]):
        return "utf-16-be", 0
    return "utf-8", 0


def decode(data: bytes, codec: str) -> tuple[str, int]:
    """(text, parse_flags): ill-formed UTF-16 is repaired, what is no UTF-8 is taken as
    Windows-1252."""
    try:
        return data.decode(codec), 0
    except UnicodeDecodeError:
        pass
    if codec == "utf-8":
        return data.decode("cp1252", "replace"), NAME_GUESSED
    return data.decode(codec, "replace"), TEXT_REPAIRED
