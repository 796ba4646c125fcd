def split(
    data: bytes, delimiter: str = ",", quote: str = '"', last: bool = True
) -> list[tuple[list[bytes], int]]:
    """[(cells as bytes, one past the record)] of a text; the last record is left out where it
    goes on or its quote is open. For telling the form of a file, and for tests."""
