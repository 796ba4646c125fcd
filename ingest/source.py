"""One source, from its hash to its last row.

    hash -> decide -> members -> identify -> parse -> complete -> write

A large file that looks new is hashed while it is parsed, and decided upon then: each of its bytes
is read once.
"""

import io
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from functools import partial

from tracelake.ingest.books import artifact_row
from tracelake.ingest.closing import LeftOver, close_source, provenance, unit_id
from tracelake.ingest.containers import Member, kind_of, members
from tracelake.ingest.events import (
    Decision,
    Event,
    Facts,
    Hashed,
    Left,
    Read,
    Skipped,
    SourceDone,
    Task,
)
from tracelake.ingest.failures import told
from tracelake.ingest.file import HashedOnce, check_unchanged, opened, sha256_of, stamp_of
from tracelake.ingest.identify import HEAD, identify
from tracelake.ingest.pack import Outlet, Pack
from tracelake.ingest.reading import read_artifact
from tracelake.ingest.streams import Hashed as HashedStream
from tracelake.ingest.streams import UpTo
from tracelake.lake.lake import Lake
from tracelake.lake.standin import StandIn, new_stand_in
from tracelake.native.account import Account
from tracelake.native.errors import EvidenceError
from tracelake.native.feed import Feed
from tracelake.parsers import BY_NAME
from tracelake.parsers.artifact import Parser

Ask = Callable[[Hashed], Decision]


def take_in(tasks: Iterable[Task], lake: Lake, ask: Ask) -> Iterator[Event]:
    """Reads files one after the other and yields what happens. Raises nothing: a file that cannot
    be taken in is a `Failed`, and the others go on.

    Args:
        tasks: the files. Rows of small ones are written together, at the end at the latest.
        lake: the engagement's tables; units are written here and committed by the parent.
        ask: answers whether a source of this hash is to be read.
    """
    pack = Pack(lake)
    done = []
    for task in tasks:
        yield from told(task.path, _Source(task, lake, pack).take_in(ask))
        done.append(task)
    if done:
        yield from told(done[-1].path, pack.flush())
    for task in done:
        yield SourceDone(task)


def carver_of(facts: Facts | None) -> Parser | None:
    """The parser of what the one that read an artifact left aside, where it has one."""
    read_by = BY_NAME.get(facts.parser or "") if facts is not None else None
    return read_by.carve if read_by is not None else None


class _Source:
    """A source while it is read, and its books."""

    def __init__(self, task: Task, lake: Lake, pack: Pack) -> None:
        self._task = task
        self._lake = lake
        self._pack = pack
        self._stamp = (0, 0)
        self._sha256 = self._id = ""
        self._facts: dict[int, Facts] = {}
        self._left: LeftOver = {}

    def take_in(self, ask: Ask) -> Iterator[Event]:
        """Every artifact as a unit, then what was left and the row of `source`."""
        with opened(self._task.path) as file:
            if self._task.known is not None:
                self._stamp, self._sha256, decision = self._task.known
            else:
                self._stamp = stamp_of(file)
                parser = self._parser_of_new(file)
                if parser is not None:
                    decision = yield from self._in_one_pass(file, parser, ask)
                else:
                    self._sha256 = yield from sha256_of(file, self._task.path)
                    decision = ask(self._hashed())
            yield from self._as_decided(file, decision)

    def _hashed(self) -> Hashed:
        return Hashed(self._task, self._sha256[:32], self._sha256)

    def _as_decided(self, file: io.FileIO, decision: Decision) -> Iterator[Event]:
        """What is left to be done when the hash is known, and what it means."""
        self._id = self._sha256[:32]
        if decision.skip is not None:
            yield Skipped(self._task, self._id, decision.skip)
            return
        file.seek(0)
        self._facts.update(decision.done)
        if decision.closed:
            yield Skipped(self._task, self._id, decision.closed)
        elif decision.closed is None:
            for number, member in enumerate(members(file, self._task.name)):
                if number not in self._facts:
                    yield from self._member(number, member)
            check_unchanged(self._task.path, self._stamp)
            yield from close_source(
                self._lake, self._pack, self._task, self._sha256, self._stamp, self._facts,
                self._left,
            )
        if decision.carve:
            yield from self._carve(file, decision.carved)

    def _parser_of_new(self, file: io.FileIO) -> Parser | None:
        """The parser of a file that is no container and looks new; None to hash it first."""
        if not self._task.looks_new:
            return None
        try:
            head = file.read(HEAD)
            file.seek(0)
        except OSError:
            return None  # who hashes it will say so
        if kind_of(head) is not None:
            return None
        return identify(head, self._task.name).parser

    def _in_one_pass(
        self, file: io.FileIO, parser: Parser, ask: Ask
    ) -> Generator[Event, None, Decision]:
        """Hashes a file while it is parsed; returns what was decided when its hash was known.

        Until then its rows are written under a stand-in for its id. Where it was not to be read
        after all, they are removed, and nothing has come of it.
        """
        started = time.process_time()
        name, stand_in = self._task.name, new_stand_in()
        stream = HashedOnce(file)
        outlet = Outlet(
            self._lake, self._pack, unit_id(stand_in, 0, parser),
            provenance(self._lake, stand_in, 0, parser),
        )
        try:
            reading = read_artifact(name, Feed(stream), stream.hexdigest, parser, outlet.put)
            facts = yield from self._told(reading, hashed=True)
            self._sha256 = stream.hexdigest()
            self._id = self._sha256[:32]
            decision = ask(self._hashed())
            if decision.skip is not None or decision.closed is not None or decision.done:
                outlet.discard()
                return decision
            outlet.settle(
                unit_id(self._id, 0, parser), provenance(self._lake, self._id, 0, parser),
                StandIn(stand_in, self._id),
            )
            events = self._close(0, parser, outlet, facts, started)
        except BaseException:
            outlet.discard()
            raise
        self._facts[0] = facts
        yield from events
        return decision

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
                sha256 = partial(str, facts.sha256 or "")
                yield from self._unit(number, member.path, parser, feed, sha256, again)

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
        constants = provenance(self._lake, self._id, number, parser)
        outlet = Outlet(self._lake, self._pack, unit, constants)
        try:
            reading = read_artifact(path, feed, sha256, parser, outlet.put, again, stands=True)
            facts = yield from self._told(reading)
            twin = self._twin(facts) if again is None else None
            if twin is not None:
                outlet.discard()
                why = {"*": f"the same bytes as {twin}, which is read"}
                yield self._leave(number, Facts(path, None, why, facts.size, facts.sha256))
                return
            events = self._close(number, parser, outlet, facts, started)
        except BaseException:
            outlet.discard()
            raise
        if again is None:
            self._facts[number] = facts
        yield from events

    def _close(
        self, number: int, parser: Parser, outlet: Outlet, facts: Facts, started: float
    ) -> list[Event]:
        """Closes the unit of an artifact that was read; what became ready by that."""
        check_unchanged(self._task.path, self._stamp)
        unit = unit_id(self._id, number, parser)
        row = artifact_row(self._lake.engagement, self._id, number, unit, parser.version, facts)
        outlet.book("artifact", row)
        return list(outlet.close(self._task, facts, time.process_time() - started))

    def _told(
        self, reading: Generator[int, None, Facts], hashed: bool = False
    ) -> Generator[Event, None, Facts]:
        """Passes on how far the reading is; `hashed`: and the hash with it."""
        told = 0
        while True:
            try:
                at = next(reading)
            except StopIteration as stop:
                facts: Facts = stop.value
                return facts
            more = at - told
            yield Read(self._task.path, hashed=more if hashed else 0, parsed=more)
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
