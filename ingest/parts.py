"""A worker's side of a file that several workers read: its hash, or a part (docs/parts.md).

    ask for a range -> read it -> ... -> facts -> what others may have too -> settle -> close
"""

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tracelake.ingest.closing import provenance, unit_id
from tracelake.ingest.events import Event, Facts, Hashed, Read, Stamp, Task
from tracelake.ingest.failures import told
from tracelake.ingest.file import CannotRead, SourceChanged, opened, sha256_of, stamp_of
from tracelake.ingest.reading import TELL_EVERY, Sink, completing
from tracelake.lake.lake import Lake
from tracelake.lake.standin import StandIn
from tracelake.lake.writer import WrittenUnit
from tracelake.native.errors import EvidenceError
from tracelake.native.feed import Feed
from tracelake.parsers import BY_NAME
from tracelake.parsers.artifact import Artifact, Parser, Part

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class HashJob:
    """Hash a file that is read in parts."""

    task: Task
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class PartJob:
    """Read a part of a file.

    Attributes:
        name: its parser's.
        number, of, seed: of the `Part`.
        source_id: where it is known; else `stand_in` stands in its rows until it is.
    """

    task: Task
    stamp: Stamp
    name: str
    number: int
    of: int
    seed: int
    source_id: str | None
    stand_in: str


@dataclass(frozen=True, slots=True)
class WantRange:
    """A worker has read what it was given; answered by a `Range`, or by None at the end."""

    number: int
    alone: bool


@dataclass(frozen=True, slots=True)
class PartFacts:
    """A part is read; answered, when all are, by the facts of the others."""

    number: int
    alone: bool
    facts: Any


@dataclass(frozen=True, slots=True)
class PartShared:
    """What other parts may have too; answered by a `Settled`."""

    number: int
    keys: bytes


@dataclass(frozen=True, slots=True)
class Settled:
    """The source is to be taken in under this id, and the part without these records."""

    source_id: str
    leave_out: bytes


@dataclass(frozen=True, slots=True)
class Abandon:
    """The answer to any question, when the part is not wanted any more."""


@dataclass(frozen=True, slots=True)
class PartWritten:
    """A part's files are closed, under the true id."""

    number: int
    written: WrittenUnit
    facts: Any
    account: Facts
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class JobDone:
    """The worker is free."""


Question = WantRange | PartFacts | PartShared
Talk = Callable[[Question], Any]


class _Abandoned(Exception):
    """The parent does not want the part."""


def do_hash(job: HashJob) -> Iterator[Event | Hashed | JobDone]:
    """Hashes the file of a job; what goes wrong is a `Failed`."""
    yield from told(job.task.path, _hash(job))
    yield JobDone()


def _hash(job: HashJob) -> Iterator[Event | Hashed]:
    with opened(job.task.path) as file:
        _check_begin(file, job.stamp)
        sha256 = yield from sha256_of(file, job.task.path)
        yield Hashed(job.task, sha256[:32], sha256)


def read_part(job: PartJob, lake: Lake, talk: Talk) -> Iterator[Event | PartWritten | JobDone]:
    """Reads a part; what goes wrong is a `Failed`, and leaves no files behind."""
    yield from told(job.task.path, _read(job, lake, talk))
    yield JobDone()


def _read(job: PartJob, lake: Lake, talk: Talk) -> Iterator[Event | PartWritten]:
    started = time.process_time()
    parser = BY_NAME[job.name]
    had: list[Range] = []

    def ask(question: Question) -> Any:
        answer = talk(question)
        if isinstance(answer, Abandon):
            raise _Abandoned
        return answer

    def next_range(alone: bool) -> Range | None:
        found: Range | None = ask(WantRange(job.number, alone))
        if found is not None:
            had.append(found)
        return found

    try:
        with opened(job.task.path) as file:
            _check_begin(file, job.stamp)
            first = _Pass(job, lake, parser, file, job.source_id or job.stand_in, next_range)
            with first.writer:
                yield from first.run()
                others = ask(PartFacts(job.number, first.reading.alone, first.reading.facts()))
                settled = ask(PartShared(job.number, first.reading.shared(others)))
                if not settled.leave_out:
                    yield first.close(settled.source_id, started)
                    return
                first.writer.discard()
            again = iter(had)
            second = _Pass(
                job, lake, parser, file, settled.source_id, lambda alone: next(again, None),
                settled.leave_out,
            )
            with second.writer:
                yield from second.run()
                yield second.close(settled.source_id, started)
    except _Abandoned:
        return


class _Pass:
    """One pass over a part's ranges: its files, its books, and the parser that reads it."""

    def __init__(
        self, job: PartJob, lake: Lake, parser: Parser, file: io.FileIO, source_id: str,
        next_range: Callable[[bool], Range | None], leave_out: bytes = b"",
    ) -> None:
        assert parser.parts is not None
        self._job = job
        self._parser = parser
        self._source_id = source_id
        self._next_range = next_range
        self._window = _Window(file)
        self._feed = Feed(self._window)
        # Where every part reads all bytes, each of them is told of once.
        self._readers = job.of if parser.parts.whole else 1
        self._told = 0
        self.writer = lake.writer(
            unit_id(source_id, 0, parser), settled=source_id != job.stand_in
        )
        self._sink = Sink(completing(provenance(lake, source_id, 0, parser), self.writer))
        self.reading = parser.parts.open(
            Artifact(job.task.name, self._feed, self._sink.account),
            Part(job.number, job.of, self._more, job.seed, leave_out),
        )

    def run(self) -> Iterator[Read]:
        """Reads and writes the rows; says how far it is.

        Raises:
            CannotRead, SourceChanged: the file gives other bytes than when it was hashed.
        """
        try:
            for table, batch in self.reading.read():
                wrote = self._sink.take(table, batch)
                if wrote or self._window.read - self._told >= TELL_EVERY:
                    new = (self._window.read - self._told) // self._readers
                    yield Read(self._job.task.path, parsed=new)
                    self._told = self._window.read
        except EvidenceError as error:  # the bytes are there, and records are the parser's matter
            raise CannotRead(str(error)) from error

    def close(self, source_id: str, started: float) -> PartWritten:
        """Closes the files, under the true id."""
        account = self._sink.facts(self._job.task.name, self._parser, None, None)
        known = self._source_id == source_id
        written = self.writer.close(None if known else StandIn(self._source_id, source_id))
        return PartWritten(
            self._job.number, written, self.reading.facts(), account,
            time.process_time() - started,
        )

    def _more(self) -> bool:
        found = self._next_range(self.reading.alone)
        if found is None:
            return False
        self._window.begin(*found)
        self._feed.jump(found[0])
        return True


class _Window:
    """The bytes of one range of a file, as a raw stream.

    Attributes:
        read: bytes of all ranges so far.
    """

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self._left = 0
        self.read = 0

    def begin(self, start: int, end: int) -> None:
        """Goes on with [start, end)."""
        self._file.seek(start)
        self._left = end - start

    def readinto(self, buffer: memoryview) -> int:
        if not self._left:
            return 0
        room = memoryview(buffer)[: self._left]
        try:
            n = self._file.readinto(room)
        except OSError as error:
            at = f"at offset {self._file.tell()}"
            raise CannotRead(f"{at}: {error.strerror or error}") from error
        if not n:
            raise SourceChanged("it became shorter while it was read")
        self._left -= n
        self.read += n
        return n


def _check_begin(file: io.FileIO, stamp: Stamp) -> None:
    if stamp_of(file) != stamp:
        raise SourceChanged("it changed before it was read")
