"""What a file system lists, and the bytes of a file in it: the same for all libraries."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tracelake.native.errors import EvidenceError

# Ends for trees that have none.
MAX_DEPTH = 256
# Bytes in one call of a library: what a core's own cache holds until they are hashed.
CHUNK = 256 << 10


@dataclass(frozen=True, slots=True)
class Listed:
    """A file, or what was met where one should be.

    Attributes:
        path: in its volume, folders divided by `/`, a stream by `:`.
        identifier: of the file in its file system (entry of the MFT, inode).
        stream: the name of an alternate stream, or None.
        size: bytes.
        unread: why there is nothing to be read.
        trouble: why a folder could not be listed (on).
    """

    path: str
    identifier: int
    stream: str | None = None
    size: int | None = None
    unread: str | None = None
    trouble: EvidenceError | None = None


class Content:
    """The bytes of a file, in order. Holes are not read.

    Args:
        entry: an entry or stream of a library. size: its bytes. start: where to begin.
    """

    def __init__(self, entry: Any, size: int, start: int = 0) -> None:
        self._read: Callable[[int, int], bytes] = entry.read_buffer_at_offset
        self._at = start
        self._size = size

    def readinto(self, buffer: memoryview, /) -> int:
        """Fills the buffer as far as there are bytes."""
        data = self.read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read1(self, size: int) -> bytes:
        """The next bytes, at most `size`; none at the end."""
        wanted = min(size, self._size - self._at, CHUNK)
        if wanted <= 0:
            return b""
        data = self._read(wanted, self._at)
        if not data:
            raise EOFError(f"the file has {self._size} bytes, of which {self._at} are there")
        self._at += len(data)
        return data


@dataclass(frozen=True, slots=True)
class Opened:
    """A file to be read: its stream, its size, how many bytes of it are stored, and when it was
    written last (seconds since 1970, UTC), where that was asked for and is known."""

    content: Content
    size: int
    stored: int | None
    modified: float | None = None
