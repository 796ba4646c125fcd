"""One source, from its hash to its last row.

    hash -> decide -> members -> identify -> parse -> complete -> write
"""

import io
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from functools import partial

from tracelake.ingest.books import artifact_row
from tracelake.ingest.closing import LeftOver, close_source, provenance, unit_id
from tracelake.ingest.containers import Member, members
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
from tracelake.ingest.file import check_unchanged, opened, sha256_of, stamp_of
from tracelake.ingest.identify import HEAD, identify
from tracelake.ingest.pack import Outlet, Pack
from tracelake.ingest.reading import read_artifact
from tracelake.ingest.streams import Hashed as HashedStream
from tracelake.ingest.streams import UpTo
from tracelake.lake.lake import Lake
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
                self._sha256 = yield from sha256_of(file, self._task.path)
                decision = ask(Hashed(self._task, self._sha256[:32], self._sha256))
            self._id = self._sha256[:32]
            if decision.skip is not None:
                yield Skipped(self._task, self._id, decision.skip)
                return
            file.seek(0)
            self._facts = dict(decision.done)
            if decision.closed:
                yield Skipped(self._task, self._id, decision.closed)
            elif decision.closed is None:
                for number, member in enumerate(members(file, self._task.name)):
                    if number not in decision.done:
                        yield from self._member(number, member)
                check_unchanged(self._task.path, self._stamp)
                yield from close_source(
                    self._lake, self._pack, self._task, self._sha256, self._stamp, self._facts,
                    self._left,
                )
            if decision.carve:
                yield from self._carve(file, decision.carved)

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
            check_unchanged(self._task.path, self._stamp)
            row = artifact_row(
                self._lake.engagement, self._id, number, unit, parser.version, facts
            )
            outlet.book("artifact", row)
            events = list(outlet.close(self._task, facts, time.process_time() - started))
        except BaseException:
            outlet.discard()
            raise
        if again is None:
            self._facts[number] = facts
        yield from events

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
