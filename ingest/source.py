"""One source, from its hash to its last row.

    hash -> decide -> members -> identify -> parse -> complete -> write

A large file that looks new is hashed while it is parsed, and decided upon then: each of its bytes
is read once.
"""

import contextlib
import io
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from functools import partial

from tracelake.ingest.beside import in_folder, read_with
from tracelake.ingest.books import artifact_row
from tracelake.ingest.closing import LeftOver, close_left, close_source, provenance, unit_id
from tracelake.ingest.containers import ARCHIVE_KINDS, Member, kind_of
from tracelake.ingest.events import (
    Decision,
    Event,
    Facts,
    Hashed,
    Identity,
    Later,
    Left,
    Listed,
    NotOpened,
    Read,
    Skipped,
    SourceDone,
    Task,
)
from tracelake.ingest.failures import told
from tracelake.ingest.file import HashedOnce, check_unchanged, opened, sha256_of, stamp_of
from tracelake.ingest.identify import HEAD, identify, taker
from tracelake.ingest.image_identity import identify_image, kind_of_image
from tracelake.ingest.pack import Outlet, Pack
from tracelake.ingest.reach import says_of
from tracelake.ingest.reading import read_artifact
from tracelake.ingest.sofar import SoFar, carver_of
from tracelake.ingest.streams import Hashed as HashedStream
from tracelake.ingest.streams import Looked, UpTo
from tracelake.ingest.walk import Walk, walk_of
from tracelake.ingest.want import ARCHIVED, AUDIT
from tracelake.lake.lake import Lake
from tracelake.lake.standin import StandIn, new_stand_in
from tracelake.native.account import Account
from tracelake.native.errors import EvidenceError
from tracelake.native.feed import Feed
from tracelake.parsers.artifact import Parser

NOBODY = "no parser takes it"
# Files that no parser took wait for the end of their source, up to this many.
MOST_LEFT = 2000
MOST_LISTED = 20_000

Ask = Callable[[Hashed], Decision]


def take_in(tasks: Iterable[Task], lake: Lake, ask: Ask) -> Iterator[Event]:
    """Reads files one after the other and yields what happens. Raises nothing: a file that cannot
    be taken in is a `Failed`, and the others go on.

    Args:
        tasks: the files. Rows of small ones are written together, at the end at the latest.
        lake: the engagement's tables; units are written here and committed by the parent.
        ask: answers whether a source of this hash is to be read.
    """
    packs: dict[str, Pack] = {}
    done = []
    for task in tasks:
        source = _Source(task, lake, packs)
        yield from told(task.path, source.take_in(ask))
        done.append(source)
    for pack in packs.values():
        yield from told(done[-1].task.path, pack.flush())
    for source in done:
        yield SourceDone(source.task, source.later)


class _Source:
    """A source while it is read, and its books."""

    def __init__(self, task: Task, lake: Lake, packs: dict[str, Pack]) -> None:
        self.task = task
        self.later: Task | None = None
        """What is left of it for a later stage, when it was taken in without a `Failed`."""
        self._lake = lake
        self._packs = packs
        self._mark = ""
        self._stamp = (0, 0)
        self._size = 0
        self._is = Identity("", None)
        self._sofar = SoFar()
        self._left = LeftOver()
        self._listed = 0
        # What S3 calls the bytes that are read.
        self._said: dict[str, str] = {}

    def take_in(self, ask: Ask) -> Iterator[Event]:
        """Every artifact as a unit, then what was left and the row of `source`."""
        task = self.task
        with opened(task.path) as file:
            self._said = says_of(file)
            if task.later is not None:
                self._stamp, self._is = task.later.stamp, task.later.identity
                self._size = task.later.size
                self._sofar, decision = task.later.sofar, task.later.decision
                self._mark = decision.mark
                check_unchanged(task.path, self._stamp)
            else:
                if task.known is not None:
                    self._stamp, sha256, decision = task.known
                    self._is, self._size = Identity.of(sha256), self._stamp[0]
                else:
                    self._stamp = stamp_of(file)
                    parser = self._parser_of_new(file)
                    if parser is not None:
                        decision = yield from self._in_one_pass(file, parser, ask)
                    else:
                        yield from self._identify(file)
                        decision = ask(self._hashed())
                if decision.skip is not None:
                    yield Skipped(task, self._is.source_id, decision.skip)
                    return
                self._mark = decision.mark
                for number, facts in decision.done.items():
                    self._sofar.add(number, facts)
            if decision.closed:
                yield Skipped(task, self._is.source_id, decision.closed)
            elif decision.closed is None:
                yield from self._read(file, decision)
            if decision.carve and self.later is None:
                yield from self._carve(file, decision.carved)

    @property
    def _pack(self) -> Pack:
        """Where small units go: those that are read anew among themselves."""
        return self._packs.setdefault(self._mark, Pack(self._lake, self._mark))

    def _hashed(self) -> Hashed:
        return Hashed(self.task, self._is.source_id, self._is.sha256 or "")

    def _parser_of_new(self, file: io.FileIO) -> Parser | None:
        """The parser of a file that is no container and looks new; None to hash it first."""
        if not self.task.looks_new:
            return None
        try:
            head = file.read(HEAD)
            file.seek(0)
        except OSError:
            return None  # who hashes it will say so
        # A parser may take what the begin of an image looks like.
        if kind_of(head) is not None or kind_of_image(file) is not None:
            return None
        return self.task.how.reader(identify(head, self.task.name).parser)

    def _in_one_pass(
        self, file: io.FileIO, parser: Parser, ask: Ask
    ) -> Generator[Event, None, Decision]:
        """Hashes a file while it is parsed; returns what was decided when its hash was known.

        Until then its rows are written under a stand-in for its id. Where it was not to be read
        after all, they are removed, and nothing has come of it.
        """
        started = time.process_time()
        name, stand_in = self.task.name, new_stand_in()
        stream = HashedOnce(file)
        beside = in_folder(os.path.dirname(self.task.path)).read
        outlet = Outlet(
            self._lake, self._pack, unit_id(stand_in, 0, parser),
            provenance(self._lake, stand_in, 0, parser), settled=False,
        )
        try:
            reading = read_artifact(
                name, Feed(stream), stream.hexdigest, parser, outlet.put, None, beside,
                modified=self._stamp[1] / 1e9,
            )
            facts = yield from self._told(reading, hashed=True)
            self._is, self._size = Identity.of(stream.hexdigest()), self._stamp[0]
            source_id = self._is.source_id
            decision = ask(self._hashed())
            known = decision.closed is not None or decision.done or decision.mark
            if decision.skip is not None or known:
                outlet.discard()
                return decision
            outlet.settle(
                unit_id(source_id, 0, parser), provenance(self._lake, source_id, 0, parser),
                StandIn(stand_in, source_id),
            )
            events = self._close(0, parser, outlet, facts, started)
        except BaseException:
            outlet.discard()
            raise
        self._sofar.add(0, facts)
        yield from events
        return decision

    def _identify(self, file: io.FileIO) -> Iterator[Event]:
        kind = kind_of_image(file)
        if kind is None:
            self._is = Identity.of((yield from sha256_of(file, self.task.path)))
            self._size = self._stamp[0]
        else:
            self._is, self._size = yield from identify_image(self.task.path, kind)

    def _read(self, file: io.FileIO, decision: Decision) -> Iterator[Event]:
        """The artifacts of the stages that are due; the end of the source, if it is there."""
        task = self.task
        sofar = self._sofar
        more = decision.more is not None
        # What closes a source has been done for one that is in.
        how = replace(task.how, full_hash=False) if more else task.how
        walk = walk_of(file, task.name, task.path, how, sofar.plan, self._is.sha256 is None)
        with contextlib.closing(walk):
            yield from self._walk(walk, decision)

    def _walk(self, walk: Walk, decision: Decision) -> Iterator[Event]:
        task, sofar = self.task, self._sofar
        first = task.later.stage if task.later is not None else 0
        yield from self._members(walk, range(first, min(task.last + 1, AUDIT)))
        if sofar.plan is None:
            sofar.not_opened = walk.not_opened
            sofar.plan = walk.plan
        if task.last == AUDIT == walk.later(AUDIT - 1):
            yield from walk.audit(task.path)
            yield from self._members(walk, range(AUDIT, AUDIT + 1))
            self._is = replace(self._is, sha256=self._is.sha256 or walk.sha256)
        sofar.facts |= walk.facts | self._said
        check_unchanged(task.path, self._stamp)
        stage = walk.later(task.last)
        if stage is not None:
            yield from self._close_left()
            rest = Later(
                self._stamp, self._size, self._is, replace(decision, done={}), sofar, stage
            )
            self.later = replace(task, last=stage, later=rest, known=None)
            return
        if decision.more is not None:
            yield from self._close_left()
            yield Skipped(task, self._is.source_id, decision.more)
            return
        yield from self._tell_listed()
        if sofar.not_opened:
            yield NotOpened(task, dict(sofar.not_opened))
        yield from close_source(
            self._lake, self._pack, task, self._is, self._size, sofar, self._left, self._mark
        )

    def _tell_listed(self) -> Iterator[Event]:
        listed, self._listed = self._listed, 0
        if listed:
            yield Listed(self.task, listed)

    def _members(self, walk: Walk, stages: range) -> Iterator[Event]:
        done = self._sofar.numbers
        for number, member in walk.members(stages, lambda n: n not in done):
            yield from self._member(number, member)
            if len(self._left.rows) >= MOST_LEFT or len(self._left) >= MOST_LISTED:
                yield from self._close_left()

    def _close_left(self) -> Iterator[Event]:
        left, self._left = self._left, LeftOver()
        yield from self._tell_listed()
        yield from close_left(
            self._lake, self._pack, self.task, self._is.source_id, left, self._mark
        )

    def _member(self, number: int, member: Member) -> Iterator[Event]:
        if member.trouble is not None:
            yield self._leave(number, Facts(member.path, None), member.trouble)
            return
        if member.unread is not None:
            yield self._leave(number, Facts(member.path, None, {"*": member.unread}))
            return
        if self.task.how.every_file and not member.asked:
            yield from self._look_at(number, member)
            return
        sha256: Callable[[], str]
        if member.whole:  # it has been hashed just now
            stream, sha256 = member.open(), partial(str, self._is.sha256 or "")
        else:
            stream = HashedStream(member.open())
            sha256 = stream.hexdigest
        feed = Feed(stream)
        try:
            head = feed.peek(HEAD)
            found = identify(head, member.path)
            if found.parser is None:
                size = member.size if head else 0
                refused = found.refused
                if (why := read_with(member.path, member.beside)) is not None:
                    refused = {"*": why}
                facts = Facts(member.path, None, refused, size)
                if self.task.how.every_file:
                    facts = replace(facts, size=feed.drain(), sha256=sha256())
                yield self._leave(number, facts)
                return
        except EvidenceError as error:
            yield self._leave(number, Facts(member.path, None), error)
            return
        parser = self.task.how.reader(found.parser)
        assert parser is not None
        yield from self._unit(number, member, parser, feed, sha256)

    def _look_at(self, number: int, member: Member) -> Iterator[Event]:
        """A file that nobody asks for by its path, of which there may be millions: listed with
        its hash, unless its content is what a parser reads."""
        try:
            stream = Looked(member.open(), HEAD)
            parser = self.task.how.reader(taker(stream.head, member.path))
            if parser is None:
                size = stream.sum_up()
                why = read_with(member.path, member.beside) or NOBODY
                if kind_of(stream.head) in ARCHIVE_KINDS:
                    why = ARCHIVED
                self._left.listing.add(number, member.path, size, stream.hexdigest(), why)
                self._sofar.numbers.add(number)
                self._listed += 1
                return
        except EvidenceError as error:
            yield self._leave(number, Facts(member.path, None), error)
            return
        yield from self._unit(number, member, parser, Feed(stream), stream.hexdigest)

    def _carve(self, file: io.FileIO, carved: frozenset[int]) -> Iterator[Event]:
        """What the artifacts' formats no longer count as their own, as units of its own. The
        source is walked through twice, side by side: a stream cannot be rewound."""
        task = self.task
        carvable = self._sofar.carvable
        numbers = [number for number in sorted(carvable) if number not in carved]
        with open(task.path, "rb", buffering=0) as second:
            walk, again = (walk_of(f, task.name, task.path, task.how) for f in (file, second))
            with contextlib.closing(walk), contextlib.closing(again):
                pairs = zip(walk.pick(numbers), again.pick(numbers), strict=False)
                for (number, member), (_, same) in pairs:
                    facts = carvable[number]
                    parser = carver_of(facts)
                    assert parser is not None
                    # Where the artifact broke off is said by a row in `damage` already.
                    feed, twice = (Feed(UpTo(m.open(), facts.size or 0)) for m in (member, same))
                    sha256 = partial(str, facts.sha256 or "")
                    yield from self._unit(number, member, parser, feed, sha256, twice)

    def _unit(
        self,
        number: int,
        member: Member,
        parser: Parser,
        feed: Feed,
        sha256: Callable[[], str],
        again: Feed | None = None,
    ) -> Iterator[Event]:
        started = time.process_time()
        unit = unit_id(self._is.source_id, number, parser, self._mark)
        constants = provenance(self._lake, self._is.source_id, number, parser)
        outlet = Outlet(self._lake, self._pack, unit, constants)
        try:
            reading = read_artifact(
                member.path, feed, sha256, parser, outlet.put, again, member.beside.read,
                stands=True,
                # Nothing in a container was written after the container.
                modified=self._stamp[1] / 1e9 if member.modified is None else member.modified,
            )
            facts = yield from self._told(reading)
            twin = self._sofar.twin(facts) if again is None else None
            if twin is not None:
                outlet.discard()
                why = {"*": f"the same bytes as {twin}, which is read"}
                yield self._leave(number, Facts(member.path, None, why, facts.size, facts.sha256))
                return
            events = self._close(number, parser, outlet, facts, started)
        except BaseException:
            outlet.discard()
            raise
        if again is None:
            self._sofar.add(number, facts)
        yield from events

    def _close(
        self, number: int, parser: Parser, outlet: Outlet, facts: Facts, started: float
    ) -> list[Event]:
        """Closes the unit of an artifact that was read; what became ready by that."""
        check_unchanged(self.task.path, self._stamp)
        source_id = self._is.source_id
        unit = unit_id(source_id, number, parser, self._mark)
        row = artifact_row(
            self._lake.engagement, source_id, number, unit, parser.version, facts
        )
        outlet.book("artifact", row)
        return list(outlet.close(self.task, facts, time.process_time() - started))

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
            yield Read(self.task.path, hashed=more if hashed else 0, parsed=more)
            told = at

    def _leave(self, number: int, facts: Facts, error: EvidenceError | None = None) -> Left:
        damage = None
        if error is not None:
            account = Account()
            account.broken(error.offset, 0, error.what, error.why)
            damage = account.take_damage()
            facts = replace(facts, records=1, damage=1)
        self._left.rows[number] = (facts, damage)
        self._sofar.add(number, facts)
        return Left(self.task, facts, str(error) if error is not None else None)
