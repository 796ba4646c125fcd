"""A file of evidence on disk: opened, hashed, and watched for changes."""

import hashlib
import io
from collections.abc import Generator
from typing import cast

from tracelake.ingest.events import Read, Stamp
from tracelake.ingest.reach import open_at, stamp, stamp_at

# Stays in the second level of the cache between the read and the hash.
HASH_BLOCK = 256 << 10
# How often a long hash says how far it is.
TELL_EVERY = 64 << 20


class SourceChanged(Exception):
    """The file is not what it was when it was hashed."""


class CannotRead(Exception):
    """The file cannot be opened or hashed."""


def opened(path: str) -> io.FileIO:
    """The file, unbuffered.

    Raises:
        CannotRead: it cannot be opened.
    """
    try:
        return cast(io.FileIO, open_at(path))
    except OSError as error:
        raise CannotRead(error.strerror or str(error)) from error


def stamp_of(file: io.FileIO | str) -> Stamp:
    """The stamp of an open file, or of what stands under a path now."""
    return stamp_at(file) if isinstance(file, str) else stamp(file)


def check_unchanged(path: str, stamp: Stamp) -> None:
    """Looks at the file again.

    Raises:
        SourceChanged: it is another, or gone.
    """
    try:
        now = stamp_of(path)
    except OSError as error:
        raise SourceChanged(f"it went away while it was read: {error.strerror}") from error
    if now != stamp:
        raise SourceChanged(
            f"it changed while it was read (size {stamp[0]} -> {now[0]} bytes); "
            "nothing of what was read since is kept: ingest it when nobody writes to it"
        )


def sha256_of(file: io.FileIO, path: str) -> Generator[Read, None, str]:
    """The SHA-256 of a file from where it stands, in hexadecimal digits; says how far it is.

    Raises:
        CannotRead: at an offset.
    """
    digest = hashlib.sha256()
    # One byte more than the file has: to fill it would say that there may be more.
    block = memoryview(bytearray(min(HASH_BLOCK, stamp(file)[0] + 1)))
    told = done = 0
    try:
        while n := file.readinto(block):
            digest.update(block[:n])
            done += n
            if done - told >= TELL_EVERY:
                yield Read(path, hashed=done - told)
                told = done
    except OSError as error:
        raise CannotRead(f"at offset {done}: {error.strerror or error}") from error
    yield Read(path, hashed=done - told)
    return digest.hexdigest()


class HashedOnce:
    """The bytes of a file as a raw stream, from where it stands, and their SHA-256."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._given = 0

    def readinto(self, buffer: memoryview) -> int:
        """Fills the buffer.

        Raises:
            CannotRead: at an offset. Not evidence that is damaged: without all of its bytes a
                source has no id.
        """
        try:
            n = self._file.readinto(buffer) or 0
        except OSError as error:
            raise CannotRead(f"at offset {self._given}: {error.strerror or error}") from error
        self._digest.update(buffer[:n])
        self._given += n
        return n

    def hexdigest(self) -> str:
        """SHA-256 of the bytes that were read so far, 64 hexadecimal digits."""
        return self._digest.hexdigest()
