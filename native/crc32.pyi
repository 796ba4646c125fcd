def checksum(data: bytes, crc: int = 0) -> int:
    """CRC-32 of `data`, as `zlib.crc32` gives it."""
