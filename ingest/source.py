"""One source, from its hash to its last row.

    hash -> decide -> members -> identify -> parse -> complete -> write
"""

import hashlib
import io
import os
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from tracelake.ingest.books import artifact_row, batch_of, source_row
from tracelake.ingest.containers import Member, members
from tracelake.ingest.events import (
    Decision,
    Event,
    Facts,
    Failed,
    Hashed,
    Left,
    Read,
    Skipped,
    SourceDone,
    Task,
    UnitReady,
)
from tracelake.ingest.identify import HEAD, identify
from tracelake.ingest.reading import read_artifact
from tracelake.ingest.streams import Hashed as HashedStream
from tracelake.ingest.streams import UpTo
from tracelake.lake.lake import Lake
from tracelake.lake.writer import WrittenUnit
from tracelake.native.account import Account
from tracelake.native.errors import EvidenceError
from tracelake.native.feed import Feed
from tracelake.normalize import MAPPING_VERSION, TABLES, Provenance, complete
from tracelake.parsers import BY_NAME
from tracelake.parsers.artifact import Parser
from tracelake.version import VERSION

HASH_BLOCK = 4 << 20
# How often a long hash says how far it is.
TELL_EVERY = 64 << 20

Ask = Callable[[Hashed], Decision]


class SourceChanged(Exception):
    """The file is not what it was when it was hashed."""


class CannotRead(Exception):
    """The file cannot be opened or hashed."""


def take_in(task: Task, lake: Lake, ask: Ask) -> Iterator[Event]:
    """Reads one file and yields what happens. Raises nothing: a file that cannot be taken in
    is a `Failed`, and the others go on.

    Args:
        task: the file.
        lake: the engagement's tables; units are written here and committed by the parent.
        ask: answers whether a source of this hash is to be read.
    """
    try:
        source = _Source(task, lake)
        yield from source.take_in(ask)
    except (SourceChanged, CannotRead) as error:
        yield Failed(task.path, str(error))
    except OSError as error:
        # What reading evidence raises is an EvidenceError or a CannotRead by now: this is the
        # lake's disk, and no other source will fare better.
        yield Failed(task.path, f"the lake cannot be written: {_one_line(error)}", fatal=True)
    except Exception as error:  # noqa: BLE001 - a bug, by design not one of the above
        where = traceback.extract_tb(error.__traceback__)[-1]
        yield Failed(
            task.path,
            f"a bug in tracelake, please report it: {type(error).__name__}: {_one_line(error)} "
            f"({Path(where.filename).name}:{where.lineno})",
        )
    yield SourceDone(task)


def unit_id(source_id: str, number: int, parser: Parser) -> str:
    """What is committed together: one artifact, read by one version of one parser."""
    return f"{source_id[:16]}-{number}-{parser.name}-{parser.version.replace('.', '_')}"


def carver_of(facts: Facts | None) -> Parser | None:
    """The parser of what the one that read an artifact left aside, where it has one."""
    read_by = BY_NAME.get(facts.parser or "") if facts is not None else None
    return read_by.carve if read_by is not None else None


class _Source:
    """A source while it is read, and its books."""

    def __init__(self, task: Task, lake: Lake) -> None:
        self._task = task
        self._lake = lake
        self._stamp = (0, 0)
        self._sha256 = self._id = ""
        self._facts: dict[int, Facts] = {}
        # Artifacts without a unit of their own (nobody took them, or they cannot be opened),
        # with their damage; committed with the row of `source`.
        self._left: dict[int, tuple[Facts, pa.RecordBatch | None]] = {}

    def take_in(self, ask: Ask) -> Iterator[Event]:
        """Every artifact as a unit, then what was left and the row of `source`."""
        try:
            file = open(self._task.path, "rb", buffering=0)  # noqa: SIM115 - closed below
        except OSError as error:
            raise CannotRead(error.strerror or str(error)) from error
        with file:
            self._stamp = _stamp(file)
            self._sha256 = yield from self._hash(file)
            self._id = self._sha256[:32]
            decision = ask(Hashed(self._task, self._id, self._sha256))
            if decision.skip is not None:
                yield Skipped(self._task, self._id, decision.skip)
                return
            file.seek(0)
            self._facts = dict(decision.done)
            if decision.closed is not None:
                yield Skipped(self._task, self._id, decision.closed)
            else:
                for number, member in enumerate(members(file, self._task.name)):
                    if number not in decision.done:
                        yield from self._member(number, member)
                self._unchanged()
                yield UnitReady(self._task, self._close(), None)
            if decision.carve:
                yield from self._carve(file, decision.carved)

    def _hash(self, file: io.FileIO) -> Generator[Event, None, str]:
        digest = hashlib.sha256()
        block = memoryview(bytearray(HASH_BLOCK))
        told = done = 0
        try:
            while n := file.readinto(block):
                digest.update(block[:n])
                done += n
                if done - told >= TELL_EVERY:
                    yield Read(self._task.path, hashed=done - told)
                    told = done
        except OSError as error:
            raise CannotRead(f"at offset {done}: {error.strerror or error}") from error
        yield Read(self._task.path, hashed=done - told)
        return digest.hexdigest()

    def _member(self, number: int, member: Member) -> Iterator[Event]:
        if member.trouble is not None:
            yield self._leave(number, Facts(member.path, None), member.trouble)
            return
        if member.unread is not None:
            yield self._leave(number, Facts(member.path, None, {"*": member.unread}))
            return
        if member.whole:  # it has been hashed just now
            stream, sha256 = member.open(), lambda: self._sha256
        else:
            stream = HashedStream(member.open())
            sha256 = stream.hexdigest
        feed = Feed(stream)
        try:
            head = feed.peek(HEAD)
        except EvidenceError as error:
            yield self._leave(number, Facts(member.path, None), error)
            return
        found = identify(head, member.path)
        if found.parser is None:
            size = member.size if head else 0
            yield self._leave(number, Facts(member.path, None, found.refused, size))
            return
        yield from self._unit(number, member.path, found.parser, feed, sha256)

    def _carve(self, file: io.FileIO, carved: frozenset[int]) -> Iterator[Event]:
        """What the artifacts' formats no longer count as their own, as units of its own. The
        source is walked through twice, side by side: a stream cannot be rewound."""
        file.seek(0)
        name = self._task.name
        with open(self._task.path, "rb", buffering=0) as second:
            walks = zip(members(file, name), members(second, name), strict=False)
            for number, (member, same) in enumerate(walks):
                facts = self._facts.get(number)
                parser = carver_of(facts)
                if facts is None or parser is None or number in carved:
                    continue
                # Where the artifact broke off is said by a row in `damage` already.
                feed, again = (Feed(UpTo(m.open(), facts.size or 0)) for m in (member, same))
                sha256 = facts.sha256 or ""
                yield from self._unit(
                    number, member.path, parser, feed, lambda known=sha256: known, again
                )

    def _unit(
        self,
        number: int,
        path: str,
        parser: Parser,
        feed: Feed,
        sha256: Callable[[], str],
        again: Feed | None = None,
    ) -> Iterator[Event]:
        started = time.process_time()
        unit = unit_id(self._id, number, parser)
        writer = self._lake.writer(unit)
        try:
            reading = read_artifact(
                path, feed, sha256, parser, self._provenance(number, parser), writer, again
            )
            facts = yield from self._told(reading)
            twin = self._twin(facts) if again is None else None
            if twin is not None:
                writer.discard()
                why = {"*": f"the same bytes as {twin}, which is read"}
                yield self._leave(number, Facts(path, None, why, facts.size, facts.sha256))
                return
            self._unchanged()
            row = artifact_row(
                self._lake.engagement, self._id, number, unit, parser.version, facts
            )
            writer.write("artifact", batch_of("artifact", [row]))
            written = writer.close()
        except BaseException:
            writer.discard()
            raise
        if again is None:
            self._facts[number] = facts
        yield UnitReady(self._task, written, facts, time.process_time() - started)

    def _told(self, reading: Generator[int, None, Facts]) -> Generator[Event, None, Facts]:
        """Passes on how far the reading is."""
        told = 0
        while True:
            try:
                at = next(reading)
            except StopIteration as stop:
                facts: Facts = stop.value
                return facts
            yield Read(self._task.path, parsed=at - told)
            told = at

    def _twin(self, facts: Facts) -> str | None:
        for other in self._facts.values():
            # Bytes that are the same and broke differently (a wrong checksum around one copy)
            # are not: the damage would be lost.
            if other.sha256 == facts.sha256 and other.damage == facts.damage:
                return other.path
        return None

    def _leave(self, number: int, facts: Facts, error: EvidenceError | None = None) -> Left:
        damage = None
        if error is not None:
            account = Account()
            account.broken(error.offset, 0, error.what, error.why)
            damage = account.take_damage()
            facts = replace(facts, records=1, damage=1)
        self._left[number] = (facts, damage)
        return Left(self._task, facts, str(error) if error is not None else None)

    def _close(self) -> WrittenUnit:
        """The source's last unit: what was left, and the row that closes it."""
        engagement = self._lake.engagement
        unit = f"{self._id[:16]}-source"
        writer = self._lake.writer(unit)
        try:
            rows = []
            for number, (facts, damage) in self._left.items():
                if damage is not None:
                    provenance = self._provenance(number, None)
                    writer.write("damage", complete(TABLES["damage"], damage, provenance))
                rows.append(
                    artifact_row(engagement, self._id, number, unit, VERSION, facts)
                )
            if rows:
                writer.write("artifact", batch_of("artifact", rows))
            row = source_row(
                engagement,
                self._id,
                self._sha256,
                os.path.realpath(self._task.path),
                self._stamp[0],
                unit,
                VERSION,
                [*self._facts.values(), *(facts for facts, _ in self._left.values())],
            )
            writer.write("source", batch_of("source", [row]))
            return writer.close()
        except BaseException:
            writer.discard()
            raise

    def _provenance(self, number: int, parser: Parser | None) -> Provenance:
        return Provenance(
            engagement_id=self._lake.engagement,
            source_id=self._id,
            artifact_no=number,
            parser=parser.name if parser else "container",
            parser_version=parser.version if parser else VERSION,
            mapping_version=MAPPING_VERSION,
        )

    def _unchanged(self) -> None:
        try:
            stamp = _stamp(self._task.path)
        except OSError as error:
            raise SourceChanged(f"it went away while it was read: {error.strerror}") from error
        if stamp != self._stamp:
            raise SourceChanged(
                f"it changed while it was read (size {self._stamp[0]} -> {stamp[0]} bytes); "
                "nothing of what was read since is kept: ingest it when nobody writes to it"
            )


def _stamp(file: io.FileIO | str) -> tuple[int, int]:
    """(size, mtime in ns): what a change would change."""
    status = os.fstat(file.fileno()) if isinstance(file, io.FileIO) else os.stat(file)
    return status.st_size, status.st_mtime_ns


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
