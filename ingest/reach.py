"""Where evidence lies: on this machine, or on S3. Paths are text: `/a/b`, `s3://bucket/key`.

An object is read by ranges (lake/ranges.py), and never as a whole but by those who need that.
"""

import io
import os
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

from tracelake.lake.ranges import S3File
from tracelake.lake.s3 import S3Path, is_s3

Root: TypeAlias = Path | S3Path


def root_of(path: str | os.PathLike[str] | S3Path) -> Root:
    """What a user names: a file, a folder, an object or a prefix of objects.

    Raises:
        ValueError: it begins like a URI of S3 and is none.
    """
    if isinstance(path, S3Path):
        return path
    text = os.fspath(path)
    return S3Path.of(text) if is_s3(text) else Path(text)


def open_at(path: str, buffering: int = 0) -> BinaryIO:
    """The file, for reading.

    Raises:
        OSError: it cannot be opened.
    """
    if is_s3(path):
        # It is read, sought and told as one; only it has no number.
        return cast(BinaryIO, S3File(_object(path)))
    return open(path, "rb", buffering=buffering)


def is_file(path: str) -> bool:
    """Whether there is a file."""
    return _object(path).is_file() if is_s3(path) else os.path.isfile(path)


def size_of(path: str) -> int:
    """Bytes of a file.

    Raises:
        OSError: it cannot be looked at.
    """
    return _object(path).stat().st_size if is_s3(path) else os.path.getsize(path)


def names_in(folder: str) -> list[str]:
    """Names of what is in a folder.

    Raises:
        OSError: it cannot be looked at.
    """
    if is_s3(folder):
        return [path.name for path in S3Path.of(folder).iterdir()]
    return os.listdir(folder)


def uri_of(path: str) -> str:
    """The path that the books have: without links, or the URI."""
    return path if is_s3(path) else os.path.realpath(path)


def says_of(file: object) -> dict[str, str]:
    """What S3 calls these bytes: ETag, and the version in a bucket that keeps versions."""
    if not isinstance(file, S3File):
        return {}
    found = {"etag": file.etag}
    if file.version not in (None, "null"):
        found["version"] = str(file.version)
    return found


def is_object(file: object) -> bool:
    """Whether a file is read from S3."""
    return isinstance(file, S3File)


class Random:
    """Bytes at random of a file on this machine or on S3.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._object: S3File | None = None
        self._handle = -1
        if is_s3(path):
            self._object = S3File(_object(path))
            self.size = self._object.size
        else:
            self._handle = os.open(path, os.O_RDONLY)
            self.size = os.fstat(self._handle).st_size

    def read_at(self, offset: int, size: int) -> bytes:
        """Bytes, fewer at the end."""
        if self._object is not None:
            return self._object.read_at(offset, size)
        return os.pread(self._handle, size, offset)

    def close(self) -> None:
        """Closes it."""
        if self._object is not None:
            self._object.close()
        else:
            os.close(self._handle)


def _object(path: str) -> S3Path:
    try:
        return S3Path.of(path)
    except ValueError as error:
        raise FileNotFoundError(2, str(error), path) from error


def stamp(file: Any) -> tuple[int, int]:
    """Size, and the time of writing in nanoseconds, of an open file. S3 says seconds only: the rest
    tells apart contents that were written in the same one."""
    if isinstance(file, S3File):
        return file.size, int(file.modified) * 1_000_000_000 + _below_a_second(file.etag)
    status = os.fstat(cast(io.FileIO, file).fileno())
    return status.st_size, status.st_mtime_ns


def stamp_at(path: str) -> tuple[int, int]:
    """As `stamp`, of what is there now."""
    if is_s3(path):
        with S3File(_object(path)) as file:
            return stamp(file)
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


def _below_a_second(etag: str) -> int:
    import zlib

    return zlib.crc32(etag.encode()) % 1_000_000
