"""`ingest --as-one-capture`: rotated captures as one source.

A sensor begins a new file every hour; read as one capture, a flow that spans two of them is one
flow. The source is a small file in the engagement, `captures/<hash>.captures`, which names the
SHA-256 and size of each member in the order of time, one line each: its own SHA-256 is the source's
id, so the same members are the same source wherever they lie. Where they lie stands beside it, in
`<hash>.paths`.

Artifact 0 is what the members are together; offsets of its rows count through all of them. The
members are artifacts from 1, each with its hash, read with artifact 0. A file that is in already,
alone or as a member, is not taken a second time.
"""

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from tracelake.ingest.containers import Base, Member, kind_of
from tracelake.ingest.containers import members as members_of
from tracelake.ingest.events import Task
from tracelake.ingest.file import HASH_BLOCK
from tracelake.ingest.identify import HEAD
from tracelake.ingest.reach import open_at, uri_of
from tracelake.ingest.streams import Readable
from tracelake.ingest.want import Wanted, every
from tracelake.lake.lake import Lake
from tracelake.lake.store import put
from tracelake.native.account import Account
from tracelake.native.errors import Corrupt, EvidenceError, Truncated
from tracelake.native.feed import Feed
from tracelake.parsers.artifact import Artifact, Match
from tracelake.parsers.pcap import match, read_flows

MAGIC = b"tracelake captures 1\n"
FOLDER = "captures"
TOGETHER = "it is read as part of the capture that all members are (artifact 0)"


@dataclass(frozen=True, slots=True)
class CaptureFile:
    """A member: where it lies, and what it is."""

    path: str
    size: int
    sha256: str
    first: int      # time of its first packet, microseconds; where it has none, after all others

    @property
    def line(self) -> str:
        return f"{self.sha256} {self.size}\n"


def is_capture(path: str) -> bool:
    """Whether a file is a capture, also a compressed one. One that cannot be read is none."""
    return bool(_head(path))


def _head(path: str) -> bytes:
    try:
        with open_at(path) as file:
            if kind_of(file.read(512)) in ("zip", "tar", "7z"):
                return b""
            head = Feed(_opened(file, path)).peek(HEAD)
    except (OSError, EvidenceError, StopIteration):
        return b""
    return head if match(head, path)[0] == Match.CONTENT else b""


def _opened(file: BinaryIO, path: str) -> Readable:
    """A capture's bytes, unpacked where it is compressed."""
    file.seek(0)
    return next(iter(members_of(file, path))).open()


def looked_at(path: str) -> CaptureFile:
    """Hashes a capture and finds its first packet.

    Raises:
        OSError: it cannot be read.
    """
    with open_at(path) as file:
        sha256 = _sha256(file)
        size = file.tell()
    return CaptureFile(uri_of(path), size, sha256, _first_packet(_head(path)))


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while data := file.read(HASH_BLOCK):
        digest.update(data)
    return digest.hexdigest()


def _first_packet(head: bytes) -> int:
    times: list[int] = []
    account = Account(lambda batch: None)
    try:
        for _, batch in read_flows(Artifact("", Feed(io.BytesIO(head)), account)):
            if "time" in batch.schema.names:
                times += filter(None, batch.column("time").cast("int64").to_pylist())
    except EvidenceError:
        return 1 << 62
    return min(times, default=1 << 62)


def make_set(
    lake: Lake, tasks: Sequence[Task], known: dict[str, str]
) -> tuple[Task | None, list[tuple[str, str]]]:
    """Puts captures into one source.

    Args:
        tasks: the captures.
        known: SHA-256 (its first 32 digits) of what is in already -> where it was read from.

    Returns:
        the source as a task, None where nothing is left of it; and files that are not in it, with
        the reason.

    Raises:
        OSError: a capture cannot be read, or the lake not be written.
    """
    found = sorted(
        (looked_at(task.path) for task in tasks), key=lambda each: (each.first, each.sha256)
    )
    text = MAGIC.decode() + "".join(each.line for each in found)
    if hashlib.sha256(text.encode()).hexdigest()[:32] in known:
        kept = found            # the very same set once more: it is in, which its hash will say
    else:
        kept = [each for each in found if each.sha256[:32] not in known]
        text = MAGIC.decode() + "".join(each.line for each in kept)
    left = [
        (each.path, f"already in, as {known[each.sha256[:32]]}")
        for each in found if each not in kept
    ]
    if not kept:
        return None, left
    name = hashlib.sha256(text.encode()).hexdigest()[:32]
    folder = lake.root / FOLDER
    folder.mkdir(exist_ok=True)
    put(folder / f"{name}.paths", json.dumps([each.path for each in kept]))
    put(folder / f"{name}.captures", text)
    task = replace(
        tasks[0], path=str(folder / f"{name}.captures"), name=f"{name}.captures",
        size=len(text), known=None, looks_new=False,
    )
    return task, left


def members_known(sources: dict[str, str]) -> dict[str, str]:
    """What is in already: the first 32 digits of the SHA-256 of sources, and of the members of sets
    -> where it was read from.

    Args:
        sources: source_id -> uri of all that is in.
    """
    known = dict(sources)
    for uri in sources.values():
        if uri.endswith(".captures"):
            try:
                with open_at(uri) as file:
                    members = _lines(file.read())
            except (OSError, EvidenceError):
                continue        # `verify` says that it is gone
            for sha256, _ in members:
                known.setdefault(sha256[:32], f"a member of {uri}")
    return known


def _lines(text: bytes) -> list[tuple[str, int]]:
    """(SHA-256, size) of the members.

    Raises:
        Corrupt: it is no such list.
    """
    found = []
    for number, line in enumerate(text.removeprefix(MAGIC).decode("ascii", "replace").splitlines()):
        sha256, _, size = line.partition(" ")
        if len(sha256) != 64 or not size.isdigit():
            raise Corrupt("list of captures", 0, f"line {number + 2} names no member")
        found.append((sha256, int(size)))
    return found


class SetWalk(Base):
    """The walk over a set of captures (walk.Walk)."""

    def __init__(self, file: BinaryIO, path: str) -> None:
        super().__init__()
        file.seek(0)
        self._members = _lines(file.read())
        self._file = file
        with open_at(path.removesuffix(".captures") + ".paths") as paths:
            self._paths: list[str] = json.loads(paths.read())
        self.facts = {"captures": str(len(self._members))}

    def members(self, stages: range, wanted: Wanted = every) -> Iterator[tuple[int, Member]]:
        """See `Walk`."""
        for number, member in self._all():
            if wanted(number):
                yield number, member

    def _all(self) -> Iterator[tuple[int, Member]]:
        stream = _Together(list(zip(self._paths, self._members, strict=True)))
        size = sum(size for _, size in self._members)
        yield 0, Member("captures", lambda: stream, size, more=stream.more)
        for number, (path, (_, size)) in enumerate(
            zip(self._paths, self._members, strict=True), 1
        ):
            yield number, Member(path, _nothing, size, unread=TOGETHER)

    def later(self, stage: int) -> int | None:
        """It is read in one go."""
        return None

    def find(self, number: int, path: str | None) -> Member | None:
        """See `Walk`. The bytes come without a stop at a member's end."""
        if number == 0:
            stream = _Together(list(zip(self._paths, self._members, strict=True)), stops=False)
            return Member("captures", lambda: stream)
        return next((member for n, member in self._all() if n == number), None)

    def pick(self, numbers: list[int]) -> Iterator[tuple[int, Member]]:
        """See `Walk`."""
        for number, member in self._all():
            if number in numbers:
                yield number, member

    def close(self) -> None:
        """See `Walk`. Whoever opened the list closes it."""


def _nothing() -> Readable:
    return io.BytesIO()


class _Together:
    """The bytes of all members, one after the other, as a raw stream.

    Args:
        files: (path, (SHA-256, size)) of each.
        stops: whether each member's end is an end, until `more` is called.
    """

    def __init__(self, files: list[tuple[str, tuple[str, int]]], stops: bool = True) -> None:
        self._files = iter(files)
        self._stops = stops
        self._given = 0
        self._stream: Readable | None = None
        self._file: BinaryIO | None = None
        self._is: tuple[str, int] = ("", 0)
        self._path = ""
        self._begin()

    def more(self) -> int | None:
        """Goes on with the next member: the offset at which it begins; None where there is none."""
        return self._given if self._begin() else None

    def readinto(self, buffer: memoryview) -> int:
        """Fills the buffer; 0 at the end of a member.

        Raises:
            EvidenceError: a member is not what it was.
        """
        while self._stream is not None:
            n = self._stream.readinto(buffer) or 0
            self._given += n
            if n or self._stops or not self._begin():
                return n
        return 0

    def _begin(self) -> bool:
        if self._file is not None:
            self._file.close()
            self._file = self._stream = None
        for path, (sha256, size) in self._files:
            try:
                self._file = file = open_at(path)
                same = file.seek(0, io.SEEK_END) == size
                # (It has just been hashed where it is taken in.)
                if same and not self._stops:
                    file.seek(0)
                    same = _sha256(file) == sha256
            except OSError as error:
                raise Truncated("capture", self._given, f"{path}: {error.strerror}") from error
            if not same:
                raise Corrupt("capture", self._given, f"{path}: it is not what was hashed")
            self._path, self._is = path, (sha256, size)
            self._stream = _opened(file, path)
            return True
        return False
