"""What is inside a source: one artifact, or those of archives and compressed files in it."""

import calendar
import datetime
import io
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import IO, BinaryIO, cast

from tracelake.ingest.beside import NOBODY, Siblings
from tracelake.ingest.events import How, Read
from tracelake.ingest.image_storage import begins_image, image_kind
from tracelake.ingest.sevenzip import files_of
from tracelake.ingest.sofar import Planned
from tracelake.ingest.streams import (
    FeedFile,
    Guard,
    Readable,
    blames_evidence,
    sentence,
    unpacked,
)
from tracelake.native.errors import Corrupt, EvidenceError, Truncated, Unsupported
from tracelake.native.feed import Feed

# Containers in containers: deeper than any collection goes, and an end for those that never do.
MAX_DEPTH = 5
# A zip inside another container has to be held in memory, since its directory is at its end.
MAX_NESTED_ZIP = 128 << 20
ARCHIVE_KINDS = {"zip", "tar", "7z"}

MAGIC = {
    b"\x1f\x8b\x08": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"7z\xbc\xaf\x27\x1c": "7z",
}
BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")  # of a block, and of the end of an empty stream
TAR_MAGIC_AT = 257
ENCRYPTED = 1  # in a zip member's general purpose flags
LOCKED = "it is encrypted: unpack it with its password and ingest what it holds"

# Headers that only describe the next one (names longer than 100 bytes, attributes): the library
# reads each whole into memory, whatever length it claims.
EXTENSIONS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
MAX_EXTENSION = 1 << 20
SUFFIXES = (
    *((suffix, "") for suffix in (".gz", ".zst", ".zstd", ".bz2", ".xz")),
    *((suffix, ".tar") for suffix in (".tgz", ".tzst", ".tbz2", ".tbz", ".txz")),
)
# Not among the public names, but they are how `tarfile` tells one end from another.
EOFHeaderError = tarfile.EOFHeaderError  # type: ignore[attr-defined]
EmptyHeaderError = tarfile.EmptyHeaderError  # type: ignore[attr-defined]
HeaderError = tarfile.HeaderError


def nothing_more() -> int | None:
    """It is one file."""
    return None


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside a source.

    Attributes:
        path: path inside the source, containers in it included.
        open: gives its bytes from the start; to be called at most once, before the next
            member is asked for.
        size: bytes, where the container says so.
        trouble: why it cannot be read, where that is known beforehand.
        unread: why there is nothing to be read here: a link to another member, a device.
        container: the kind of container (zip, tar, ...) that broke, where this is not a file
            but the place at which a container could not be read on.
        whole: it is the source itself: a loose file, whose hash is known.
        beside: the other files of its folder, where they can be reached.
        asked: a parser may ask for files like it; else it is only to be listed.
        passed: it has a number, and is passed over unless all files are wanted.
        modified: when it was written last, as its container says: seconds since 1970, within a
            day (a zip does not say the zone).
        more: of several files that are one: goes on with the next, and says at which offset.
    """

    path: str
    open: Callable[[], Readable]
    size: int | None = None
    trouble: EvidenceError | None = None
    unread: str | None = None
    container: str | None = None
    whole: bool = False
    beside: Siblings = NOBODY
    asked: bool = True
    passed: bool = False
    modified: float | None = None
    more: Callable[[], int | None] = nothing_more


class Base:
    """What every walk over a source has (walk.Walk), where there is nothing to it."""

    def __init__(self) -> None:
        self.not_opened: Counter[str] = Counter()
        self.facts: dict[str, str] = {}
        self.sha256: str | None = None
        self.plan: list[Planned] | None = None

    def audit(self, path: str) -> Generator[Read, None, None]:
        """See `Walk`."""
        yield from ()

    def close(self) -> None:
        """See `Walk`."""


def kind_of(head: bytes) -> str | None:
    """The container that begins with `head`: gzip, zstd, bzip2, xz, zip, tar, or None for a
    plain file."""
    for magic, kind in MAGIC.items():
        if head.startswith(magic):
            # Three letters are too few to be sure: a text may begin with them.
            return kind if kind != "bzip2" or head[4:10] in BZIP2_BLOCKS else None
    if head[TAR_MAGIC_AT : TAR_MAGIC_AT + 5] == b"ustar":
        return "tar"
    return None


def members(file: BinaryIO, name: str) -> Iterator[Member]:
    """The files inside the source `file`, in the order in which they lie there.

    Args:
        file: the source, unbuffered, at its start.
        name: its path relative to the root; a plain file's path, and what `.gz` is taken off.
    """
    try:
        head = file.read(512)
        file.seek(0)
    except OSError as error:
        yield broken(name, "file", Corrupt("file", 0, sentence(error)))
        return
    kind = kind_of(head)
    if kind is None:
        yield Member(name, lambda: Guard(cast(Readable, file), "file"), whole=True)
    elif kind == "zip":
        yield from members_of_zip(file, "", name, 0)
    elif kind == "7z":
        yield from members_of_7z(file, "", name, 0)
    else:
        feed = Feed(Guard(cast(Readable, file), "file"))
        yield from _unpack(feed, kind, "" if kind == "tar" else _inner_name(name), name, 0)[1]


def nested(
    stream: Readable, path: str, size: int | None, depth: int
) -> tuple[bool, Iterator[Member]]:
    """A member of an archive: a plain file, or once more a container.

    Args:
        depth: how many containers it is in.

    Returns:
        whether it is an archive, with files of its own; and those files, or the one there is.
    """
    feed = Feed(stream)
    try:
        kind = kind_of(feed.peek(512))
    except EvidenceError as error:
        return False, iter([Member(path, lambda: FeedFile(feed), size, error)])
    if kind is None:
        return _plain_or_image(feed, path, size)
    inside = path if kind in ARCHIVE_KINDS else _inner_name(path)
    return _unpack(feed, kind, inside, path, depth + 1)


def _unpack(
    feed: Feed, kind: str | None, path: str, name: str, depth: int
) -> tuple[bool, Iterator[Member]]:
    """What stands in `feed`, which is of `kind`; `path` is its own path inside the source."""
    if kind is None:
        return _plain_or_image(feed, path, None)
    if depth > MAX_DEPTH:
        why = f"containers nested more than {MAX_DEPTH} deep are not opened"
        return False, iter([broken(path or name, kind, Unsupported(kind, 0, why))])
    if kind == "tar":
        return True, _tar(feed, path, name, depth)
    if kind in OF_HELD:
        return True, _held(feed, kind, path, name, depth)
    content = unpacked(feed, kind)
    try:
        inner = kind_of(content.peek(512))
    except EvidenceError as error:
        return False, iter([broken(path or name, kind, error)])
    return _unpack(content, inner, path, name, depth + 1)


def members_of_zip(file: BinaryIO, path: str, name: str, depth: int) -> Iterator[Member]:
    """The files of a zip, in the order of its directory; `path` is its own path inside the
    source, `name` how it is called where it cannot be read, `depth` as for `nested`."""
    try:
        archive, infos = zip_directory(file)
    except EvidenceError as error:
        yield broken(path or name, "zip", error)
        return
    with archive:
        for info in infos:
            yield from zip_member(archive, info, join(path, info.filename), depth)[1]


def zip_directory(file: BinaryIO) -> tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]:
    """A zip and its files, without its folders.

    Raises:
        Corrupt: it has no directory that can be read.
    """
    try:
        archive = zipfile.ZipFile(file)
        infos = archive.infolist()
    except Exception as error:
        if not blames_evidence(error):
            raise
        raise Corrupt("zip directory", 0, sentence(error)) from error
    # is_dir() does not bear an empty name.
    return archive, [info for info in infos if not info.filename.endswith("/")]


def zip_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, inside: str, depth: int
) -> tuple[bool, Iterator[Member]]:
    """What one file of a zip is, under the path `inside`: see `nested`."""
    if info.flag_bits & ENCRYPTED:
        secret = Unsupported("zip member", info.header_offset, LOCKED)
        return False, iter([Member(inside, nothing, info.file_size, secret)])
    try:
        stream = archive.open(info)
    except Exception as error:
        if not blames_evidence(error):
            raise
        trouble = Unsupported("zip member", info.header_offset, sentence(error))
        return False, iter([Member(inside, nothing, info.file_size, trouble)])
    guard = Guard(cast(Readable, stream), "zip member", packed_size=info.compress_size)
    archived, found = nested(guard, inside, info.file_size, depth)
    return archived, _dated(_closing(stream, found), _seconds(info.date_time))


def _seconds(date: tuple[int, ...]) -> float | None:
    """The time that a zip gives a file, where it is one."""
    try:
        return float(calendar.timegm(datetime.datetime(*date).timetuple()))  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return None


def _dated(found: Iterator[Member], modified: float | None) -> Iterator[Member]:
    """The same files, with the time of what they are in where they have none of their own."""
    for member in found:
        yield member if member.modified is not None else replace(member, modified=modified)


def _closing(stream: IO[bytes], found: Iterator[Member]) -> Iterator[Member]:
    with stream:
        yield from found


def members_of_7z(file: BinaryIO, path: str, name: str, depth: int) -> Iterator[Member]:
    """The files of a 7-Zip archive; see `members_of_zip`."""
    try:
        for inside, size, part, trouble, unread, packed in files_of(file):
            inside = join(path, inside)
            if part is None:
                yield Member(inside, nothing, size, trouble, unread)
            else:
                guard = Guard(part, "7z file", packed_size=packed)
                yield from nested(guard, inside, size, depth)[1]
    except EvidenceError as error:
        if isinstance(error, Unsupported) and error.what == "image":  # no library
            yield Member(path or name, nothing, unread=error.why)
        else:
            yield broken(path or name, "7z", error)


def members_of_image(file: BinaryIO, path: str, name: str, _depth: int) -> Iterator[Member]:
    """All files of an image of a disk; see `members_of_zip`."""
    # It reads what is compressed in an image with this module.
    from tracelake.ingest.images import ImageWalk

    kind = image_kind(file)
    walk = ImageWalk("", path or name, kind or "raw", How(every_file=True), content=file)
    for member in walk.in_order():
        yield replace(member, path=join(path, member.path) if member.path != path else path)


def _plain_or_image(feed: Feed, path: str, size: int | None) -> tuple[bool, Iterator[Member]]:
    try:
        is_image = begins_image(feed.peek(65536))
    except EvidenceError as error:
        return False, iter([Member(path, lambda: FeedFile(feed), size, error)])
    if is_image:
        return True, _held(feed, "image of a disk", path, path, 0)
    return False, iter([Member(path, lambda: FeedFile(feed), size)])


OF_HELD = {"zip": members_of_zip, "7z": members_of_7z, "image of a disk": members_of_image}
"""Archives whose directory is at their end."""


def _held(feed: Feed, kind: str, path: str, name: str, depth: int) -> Iterator[Member]:
    """An archive in another container, held in memory."""
    held = io.BytesIO()
    try:
        while held.tell() <= MAX_NESTED_ZIP and (data := feed.read(1 << 20)):
            held.write(data)
    except EvidenceError as error:
        yield broken(path or name, kind, error)
        return
    if held.tell() > MAX_NESTED_ZIP:
        article = "an" if kind.startswith("i") else "a"
        most = f"{MAX_NESTED_ZIP >> 20} MiB"
        why = (
            f"{article} {kind} inside another container is opened up to {most}; "
            "unpack the outer one"
        )
        yield broken(path or name, kind, Unsupported(kind, 0, why))
        return
    yield from OF_HELD[kind](held, path, name, depth)


def _tar(feed: Feed, path: str, name: str, depth: int) -> Iterator[Member]:
    try:
        with tarfile.open(fileobj=FeedFile(feed), mode="r|", tarinfo=_Header) as archive:
            while (info := archive.next()) is not None:
                # The library keeps every header it read, for random access: a million of them
                # are a gigabyte.
                archive.members.clear()  # type: ignore[attr-defined]
                inside = join(path, info.name)
                if info.isdir():
                    continue
                if not info.isfile():
                    yield Member(inside, nothing, unread=_kind_of_entry(info))
                    continue
                content = archive.extractfile(info)
                if content is None:
                    continue
                # A sparse file holds less than it is long, possibly next to nothing.
                pieces = cast("list[tuple[int, int]] | None", info.sparse)
                stored = sum(size for _, size in pieces) if pieces is not None else None
                guard = Guard(cast(Readable, content), "tar member", packed_size=stored)
                yield from _dated(nested(guard, inside, info.size, depth)[1], float(info.mtime))
            if hidden := _after_the_end(archive):
                raise Unsupported("tar", hidden, "there are bytes after the end of the archive")
    except EvidenceError as error:
        yield broken(path or name, "tar", error)
    except Exception as error:
        if not blames_evidence(error):
            raise
        yield broken(path or name, "tar", Corrupt("tar", feed.position, sentence(error)))


class _Header(tarfile.TarInfo):
    """A member's header. `tarfile` takes one that is broken for the end of the archive, and
    says nothing of what comes after it: here it is an error."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> "_Header":
        try:
            header = cls.frombuf(
                archive.fileobj.read(tarfile.BLOCKSIZE), archive.encoding, archive.errors
            )
            header.offset = archive.fileobj.tell() - tarfile.BLOCKSIZE
            if header.type in EXTENSIONS and header.size > MAX_EXTENSION:
                why = f"a name or attribute of {header.size} bytes is not read"
                raise Unsupported("tar header", header.offset, why)
            return cast(_Header, header._proc_member(archive))  # type: ignore[attr-defined]
        except EOFHeaderError:
            raise
        except EmptyHeaderError as error:
            raise Truncated(
                "tar", archive.offset, "it ends without the two blocks that end an archive"
            ) from error
        except HeaderError as error:
            raise Corrupt("tar header", archive.offset, sentence(error)) from error


def _kind_of_entry(info: tarfile.TarInfo) -> str:
    if info.islnk():
        return f"a hard link to {info.linkname}, which is read under that name"
    if info.issym():
        return f"a symbolic link to {info.linkname}"
    return "a device" if info.isdev() and not info.isfifo() else "not a file"


def _after_the_end(archive: tarfile.TarFile) -> int | None:
    """Offset of the first block after the end marker that is not all zeros, or None."""
    stream = archive.fileobj
    if stream is None:
        return None
    at = stream.tell()
    while block := stream.read(tarfile.BLOCKSIZE):
        if block.strip(b"\0"):
            return at
        at += len(block)
    return None


def content_of(member: Member, most: int) -> bytes | None:
    """All bytes of a file, or None where there are more than `most` or they cannot be read."""
    if member.trouble is not None or member.unread is not None:
        return None
    held = bytearray()
    try:
        feed = Feed(member.open())
        while len(held) <= most and (data := feed.read(1 << 20)):
            held += data
    except EvidenceError:
        return None
    return bytes(held) if len(held) <= most else None


def broken(path: str, kind: str, error: EvidenceError) -> Member:
    """A place at which a container cannot be read (on)."""
    return Member(path, nothing, trouble=error, container=kind)


def nothing() -> Readable:
    """The content of what is not read."""
    return io.BytesIO()


def _inner_name(name: str) -> str:
    """The name of what a compressed file holds: without its last suffix, .tgz as .tar."""
    for suffix, inner in SUFFIXES:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)] + inner
    return name


def join(path: str, inside: str) -> str:
    """The path of a file in a container that is itself in one."""
    return f"{path}/{inside}" if path else inside
