"""Which evidence an image is: the SHA-256 of its files, or of samples of a large one.

A large image is not read twice. Its id is taken over the sizes of its files and over blocks of
them: the begin and the end of each, where the tables of a disk and the hashes that are stored in
an image stand, and others evenly between. Its full SHA-256 closes the source (`ImageWalk.audit`).
"""

import hashlib
import io
import struct
from collections.abc import Generator, Iterator
from typing import BinaryIO

from tracelake.ingest.events import Identity, Read
from tracelake.ingest.file import CannotRead
from tracelake.ingest.image_storage import Files, extents, image_kind, segments
from tracelake.ingest.image_volumes import partitions
from tracelake.ingest.reach import open_at

# Images up to this size are hashed before they are read, as every other source is.
SMALL_IMAGE = 64 << 20
EDGE = 64 << 10
SAMPLES = 128
BLOCK = 4 << 20
TELL_EVERY = 64 << 20


def kind_of_image(file: BinaryIO) -> str | None:
    """As `image_kind`; leaves the file at its begin. A file that cannot be read is none."""
    try:
        kind = image_kind(file)
        file.seek(0)
    except OSError:
        return None
    return kind


def files_of(path: str, kind: str | None) -> list[str]:
    """The files that an image is made of."""
    if kind == "vmdk":
        return [path, *extents(path)]
    return segments(path) if kind in ("raw", "ewf") else [path]


def identify_image(path: str, kind: str) -> Generator[Read, None, tuple[Identity, int]]:
    """The id of an image and the bytes of its files; says how far it is.

    Raises:
        CannotRead: at an offset.
    """
    at = 0
    try:
        files = Files(files_of(path, kind))
        try:
            if files.size > SMALL_IMAGE:
                return Identity(sampled(files), None, "sampled"), files.size
            digest = hashlib.sha256()
            told = 0
            while data := files.read_at(at, BLOCK):
                digest.update(data)
                at += len(data)
                if at - told >= TELL_EVERY:
                    yield Read(path, hashed=at - told)
                    told = at
            yield Read(path, hashed=at - told)
            return Identity.of(digest.hexdigest()), files.size
        finally:
            files.close()
    except OSError as error:
        raise CannotRead(f"at offset {at}: {error.strerror or error}") from error


def sampled(files: Files) -> str:
    """The id over samples: 32 hexadecimal digits."""
    digest = hashlib.sha256(b"tracelake sampled 1\n")
    places: dict[int, int] = {}
    for begin, end in files.pieces:
        digest.update(b"%d\n" % (end - begin))
        places[begin] = min(EDGE, end - begin)
        last = max(begin, end - EDGE)
        places[last] = end - last
    for at in _lively(files):
        places[at] = min(1 << 20, files.size - at)
    for number in range(SAMPLES):
        at = files.size * number // SAMPLES
        places.setdefault(at, min(EDGE, files.size - at))
    for at in sorted(places):
        data = files.read_at(at, places[at])
        digest.update(b"%d %d\n" % (at, len(data)))
        digest.update(data)
    return digest.hexdigest()[:32]


def _lively(files: Files) -> Iterator[int]:
    """Where a disk that was used in between differs: the tables of disk and volumes, and of NTFS
    the file table's begin, whose entries are of the journals and change with every write."""
    yield 0
    starts = [0]
    try:
        head = files.read_at(0, 68 << 10)
        starts += [p.start for p in partitions(files, head) if p.trouble is None]
    except (OSError, struct.error):
        pass  # a table that cannot be read has no partitions
    for start in starts:
        boot = files.read_at(start, 512)
        if start < files.size:
            yield start
        if boot[3:11] == b"NTFS    ":
            sector, cluster, place = struct.unpack_from("<HB34xQ", boot, 11)
            at = start + place * sector * cluster
            if at < files.size:
                yield at


def sha256_of_image(path: str, kind: str | None) -> tuple[str, int]:
    """The SHA-256 of all its files one after the other, and their bytes.

    Raises:
        OSError: they cannot be read.
    """
    files = Files(files_of(path, kind))
    digest = hashlib.sha256()
    at = 0
    try:
        while data := files.read_at(at, BLOCK):
            digest.update(data)
            at += len(data)
    finally:
        files.close()
    return digest.hexdigest(), at


def kind_at(path: str) -> str | None:
    """As `kind_of_image`, of a path."""
    with open_at(path, io.DEFAULT_BUFFER_SIZE) as file:
        return kind_of_image(file)
