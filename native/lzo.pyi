def unpack(stream: bytes, room: int) -> bytes | None:
    """A stream of LZO1X unpacked.

    Args:
        stream: with the mark at its end, and nothing behind it.
        room: bytes that it is unpacked at most.

    Returns:
        The bytes; None where it is no such stream, or larger.
    """
