def carries(line: bytes) -> bool:
    """Whether a line carries an event that is known by its syntax; for telling what a file is."""
