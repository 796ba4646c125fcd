def checksum(data: bytes, crc: int = 0) -> int:
    """CRC-32 of `data`, as `zlib.crc32` gives it."""

def checksum_by_tables(data: bytes, crc: int = 0) -> int:
    """The same where the processor cannot multiply without carry."""
