"""The way back: from a row to the bytes it came from."""

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import cast

from tracelake.ingest.books import path_of
from tracelake.ingest.containers import Member
from tracelake.ingest.events import PLAINLY, How
from tracelake.ingest.image_identity import (
    SMALL_IMAGE,
    files_of,
    kind_of_image,
    sampled,
    sha256_of_image,
)
from tracelake.ingest.image_storage import Files
from tracelake.ingest.reach import open_at, stamp
from tracelake.ingest.walk import walk_of
from tracelake.native.errors import EvidenceError
from tracelake.native.feed import Feed


class EvidenceGone(Exception):
    """The source cannot be read any more, or does not hold what it did."""


# Sources up to this size are hashed before bytes of them are shown as evidence (0.2 s).
SMALL = 64 << 20


@dataclass(frozen=True, slots=True)
class Bytes:
    """A stretch of an artifact: `data` stands at `offset`."""

    offset: int
    data: bytes


@contextmanager
def artifact_bytes(
    uri: str, number: int, path: str | None = None, how: How = PLAINLY
) -> Iterator[Feed]:
    """The bytes of artifact `number` of the source at `uri`, in order.

    Args:
        uri: the source's path.
        number: its number in the source. path: its path there, which may spare a search.
        how: with what the source is opened (keys).

    Raises:
        EvidenceGone: it is not there, or has no such artifact.
    """
    with (
        _opened(uri) as file,
        closing(walk_of(file, os.path.basename(uri), path_of(uri), how)) as walk,
    ):
        member = walk.find(number, path)
        if member is None:
            raise EvidenceGone(f"{uri}: it holds no artifact {number} any more")
        yield _open(uri, member)


def expect_same(uri: str, size: int, sha256: str | None, source_id: str = "") -> None:
    """Sees to it that the source still is what was taken in: by its size, and by its hash where
    that takes no time (`tracelake verify` hashes all of them), of a large image by its samples.

    Raises:
        EvidenceGone: it is not there, or is another.
    """
    with _opened(uri) as file:
        kind = kind_of_image(file)
        if kind is None:
            there = stamp(file)[0]
            _expect_size(uri, there, size)
            if size <= SMALL and hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise EvidenceGone(f"{uri}: its SHA-256 is not that of what was taken in")
            return
    try:
        files = Files(files_of(path_of(uri), kind))
    except OSError as error:
        raise EvidenceGone(f"{uri}: {error.strerror}") from error
    try:
        _expect_size(uri, files.size, size)
        if size > SMALL_IMAGE:
            if source_id and sampled(files) != source_id:
                raise EvidenceGone(f"{uri}: its samples are not those of what was taken in")
        elif size <= SMALL and sha256_of_image(path_of(uri), kind)[0] != sha256:
            raise EvidenceGone(f"{uri}: its SHA-256 is not that of what was taken in")
    finally:
        files.close()


def _expect_size(uri: str, there: int, size: int) -> None:
    if there != size:
        raise EvidenceGone(f"{uri}: has {there} bytes, it had {size} when it was taken in")


def _opened(uri: str) -> io.FileIO:
    try:
        return cast(io.FileIO, open_at(path_of(uri)))
    except OSError as error:
        raise EvidenceGone(f"{uri}: {error.strerror}") from error


def _open(uri: str, member: Member) -> Feed:
    if member.trouble is not None or member.unread is not None:
        raise EvidenceGone(f"{uri}: {member.path}: {member.trouble or member.unread}")
    return Feed(member.open())


def read_at(feed: Feed, offset: int, length: int) -> Bytes:
    """`length` bytes at `offset`, fewer where the artifact ends.

    Raises:
        EvidenceGone: the artifact breaks off before `offset`.
    """
    try:
        while feed.position < offset:
            if not feed.read(min(offset - feed.position, 1 << 20)):
                raise EvidenceGone(f"it ends at offset {feed.position}, before {offset}")
        return Bytes(offset, feed.read(length))
    except EvidenceError as error:
        raise EvidenceGone(str(error)) from error


def hexdump(data: bytes, offset: int) -> str:
    """Sixteen bytes a line: offset, hexadecimal, printable ASCII."""
    lines = []
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        hexes = " ".join(f"{byte:02x}" for byte in row)
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{offset + at:08x}  {hexes:<47}  {text}")
    return os.linesep.join(lines)
