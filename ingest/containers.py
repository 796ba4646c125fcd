"""What is inside a source: one artifact, or those of archives and compressed files in it."""

import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from tracelake.ingest.streams import (
    FeedFile,
    Guard,
    Readable,
    blames_evidence,
    gunzip,
    sentence,
    unzstd,
)
from tracelake.native.errors import Corrupt, EvidenceError, Unsupported
from tracelake.native.feed import Feed

# Containers in containers: deeper than any collection goes, and an end for those that never do.
MAX_DEPTH = 5
# A zip inside another container has to be held in memory, since its directory is at its end.
MAX_NESTED_ZIP = 64 << 20

GZIP = b"\x1f\x8b\x08"
ZSTD = b"\x28\xb5\x2f\xfd"
ZIP = (b"PK\x03\x04", b"PK\x05\x06")
TAR_MAGIC_AT = 257


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside a source.

    Attributes:
        path: path inside the source, containers in it included.
        open: gives its bytes from the start; to be called at most once, before the next
            member is asked for.
        size: bytes, where the container says so.
        trouble: why it cannot be read, where that is known beforehand.
        container: the kind of container (zip, tar, ...) that broke, where this is not a file
            but the place at which a container could not be read on.
        whole: it is the source itself: a loose file, whose hash is known.
    """

    path: str
    open: Callable[[], Readable]
    size: int | None = None
    trouble: EvidenceError | None = None
    container: str | None = None
    whole: bool = False


def kind_of(head: bytes) -> str | None:
    """The container that begins with `head`: gzip, zstd, zip, tar, or None for a plain file."""
    if head.startswith(GZIP):
        return "gzip"
    if head.startswith(ZSTD):
        return "zstd"
    if head.startswith(ZIP):
        return "zip"
    if head[TAR_MAGIC_AT : TAR_MAGIC_AT + 5] == b"ustar":
        return "tar"
    return None


def members(file: BinaryIO, name: str) -> Iterator[Member]:
    """The files inside the source `file`, in the order in which they lie there.

    Args:
        file: the source, unbuffered, at its start.
        name: its path relative to the root; a plain file's path, and what `.gz` is taken off.
    """
    head = file.read(512)
    file.seek(0)
    kind = kind_of(head)
    if kind is None:
        yield Member(name, lambda: Guard(cast(Readable, file), "file"), whole=True)
    elif kind == "zip":
        yield from _zip(file, "", name, 0)
    else:
        feed = Feed(Guard(cast(Readable, file), "file"))
        yield from _unpack(feed, kind, "" if kind == "tar" else _inner_name(name), name, 0)


def _unpack(feed: Feed, kind: str | None, path: str, name: str, depth: int) -> Iterator[Member]:
    """What stands in `feed`, which is of `kind`; `path` is its own path inside the source."""
    if kind is None:
        yield Member(path, lambda: FeedFile(feed))
        return
    if depth > MAX_DEPTH:
        why = f"containers nested more than {MAX_DEPTH} deep are not opened"
        yield _broken(path or name, kind, Unsupported(kind, 0, why))
        return
    if kind == "tar":
        yield from _tar(feed, path, name, depth)
        return
    if kind == "zip":
        yield from _nested_zip(feed, path, name, depth)
        return
    content = gunzip(feed) if kind == "gzip" else unzstd(feed)
    try:
        inner = kind_of(content.peek(512))
    except EvidenceError as error:
        yield _broken(path or name, kind, error)
        return
    yield from _unpack(content, inner, path, name, depth + 1)


def _nested(stream: Readable, path: str, size: int | None, depth: int) -> Iterator[Member]:
    """A member of an archive: a plain file, or once more a container."""
    feed = Feed(stream)
    try:
        kind = kind_of(feed.peek(512))
    except EvidenceError as error:
        yield Member(path, lambda: FeedFile(feed), size, error)
        return
    if kind is None:
        yield Member(path, lambda: FeedFile(feed), size)
    elif kind in ("gzip", "zstd"):
        yield from _unpack(feed, kind, _inner_name(path), path, depth + 1)
    else:
        yield from _unpack(feed, kind, path, path, depth + 1)


def _zip(file: BinaryIO, path: str, name: str, depth: int) -> Iterator[Member]:
    try:
        archive = zipfile.ZipFile(file)
        infos = archive.infolist()
    except Exception as error:
        if not blames_evidence(error):
            raise
        yield _broken(path or name, "zip", Corrupt("zip directory", 0, sentence(error)))
        return
    with archive:
        for info in infos:
            if info.filename.endswith("/"):  # is_dir() does not bear an empty name
                continue
            inside = _join(path, info.filename)
            try:
                stream = archive.open(info)
            except Exception as error:
                if not blames_evidence(error):
                    raise
                trouble = Unsupported("zip member", info.header_offset, sentence(error))
                yield Member(inside, _nothing, info.file_size, trouble)
                continue
            with stream:
                guard = Guard(
                    cast(Readable, stream), "zip member", packed_size=info.compress_size
                )
                yield from _nested(guard, inside, info.file_size, depth)


def _nested_zip(feed: Feed, path: str, name: str, depth: int) -> Iterator[Member]:
    try:
        data = feed.read(MAX_NESTED_ZIP + 1)
    except EvidenceError as error:
        yield _broken(path or name, "zip", error)
        return
    if len(data) > MAX_NESTED_ZIP:
        why = (
            f"a zip inside another container is opened up to {MAX_NESTED_ZIP >> 20} MiB; "
            "unpack the outer one"
        )
        yield _broken(path or name, "zip", Unsupported("zip", 0, why))
        return
    yield from _zip(io.BytesIO(data), path, name, depth)


def _tar(feed: Feed, path: str, name: str, depth: int) -> Iterator[Member]:
    try:
        with tarfile.open(fileobj=FeedFile(feed), mode="r|") as archive:
            for info in archive:
                if not info.isfile():
                    continue
                content = archive.extractfile(info)
                if content is None:
                    continue
                guard = Guard(cast(Readable, content), "tar member")
                yield from _nested(guard, _join(path, info.name), info.size, depth)
    except EvidenceError as error:
        yield _broken(path or name, "tar", error)
    except Exception as error:
        if not blames_evidence(error):
            raise
        yield _broken(path or name, "tar", Corrupt("tar", feed.position, sentence(error)))


def _broken(path: str, kind: str, error: EvidenceError) -> Member:
    return Member(path, _nothing, None, error, kind)


def _nothing() -> Readable:
    return io.BytesIO()


def _inner_name(name: str) -> str:
    """The name of what a compressed file holds: without its last suffix, .tgz as .tar."""
    for suffix, inner in ((".gz", ""), (".zst", ""), (".zstd", ""), (".tgz", ".tar")):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)] + inner
    return name


def _join(path: str, inside: str) -> str:
    return f"{path}/{inside}" if path else inside
