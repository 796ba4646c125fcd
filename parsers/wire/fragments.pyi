HELD_LIMIT: int
"""Bytes of fragments that wait at once."""
TIMEOUT: int
"""Seconds that a datagram waits for the rest of it."""

class Fragments:
    """The datagrams of one capture that are not whole."""

    held: int
    dropped: int
