"""A file that several workers read, as the parent sees it (docs/parts.md).

The parent hands out the hash and the ranges, passes what the parts have to know of each other,
and makes one unit of their files. Nothing of it is committed before every part is written and the
hash is known.
"""

import secrets
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Protocol, cast

from tracelake.ingest.books import artifact_row, batch_of
from tracelake.ingest.closing import LeftOver, close_source, provenance, unit_id
from tracelake.ingest.containers import kind_of
from tracelake.ingest.events import (
    Decision,
    Event,
    Failed,
    Hashed,
    Identity,
    Skipped,
    SourceDone,
    Task,
    UnitReady,
)
from tracelake.ingest.failures import told
from tracelake.ingest.file import check_unchanged, opened, stamp_of
from tracelake.ingest.identify import HEAD, identify
from tracelake.ingest.pack import Pack
from tracelake.ingest.parts import (
    Abandon,
    HashJob,
    JobDone,
    PartFacts,
    PartJob,
    PartShared,
    PartWritten,
    Question,
    Range,
    Settled,
    WantRange,
)
from tracelake.ingest.reach import open_at
from tracelake.ingest.reading import Sink, completing, summed
from tracelake.ingest.sofar import SoFar
from tracelake.lake.lake import Lake
from tracelake.lake.standin import new_stand_in
from tracelake.lake.writer import WrittenUnit
from tracelake.parsers import PARSERS
from tracelake.parsers.artifact import Parser, Parts

LEAST = min((parser.parts.least for parser in PARSERS if parser.parts), default=sys.maxsize)
# Ranges get smaller towards the end, so that all parts end at about the same time.
LARGEST = 32 << 20
SMALLEST = 1 << 20
# A part has files of its own: for less than this a worker does not join.
WORTH_JOINING = 16 << 20


class Hand(Protocol):
    """A worker, as far as it is answered here."""

    def send(self, message: object) -> None: ...


@dataclass(slots=True)
class _PartState:
    """A part that was begun. `waits`: its worker has asked and has no answer yet; `given`: it was
    given the whole file."""

    hand: Hand
    waits: bool = False
    given: bool = False
    facts: PartFacts | None = None
    keys: bytes | None = None
    written: PartWritten | None = None

    def answer(self, message: object) -> None:
        self.waits = False
        self.hand.send(message)


class Division:
    """One file, from its first job to its last event."""

    def __init__(
        self,
        task: Task,
        parser: Parser,
        lake: Lake,
        decide: Callable[[Hashed], Decision],
        workers: int,
        early: bool,
    ) -> None:
        """Begins with a file that `parser` takes and can divide.

        Args:
            decide: answers whether a source of a hash is to be read.
            workers: parts there are at most.
            early: whether to read before the hash is known. Not where the file is likely to be
                in already.

        Raises:
            CannotRead: it cannot be opened.
            OSError: or not looked at.
        """
        assert parser.parts is not None
        self._task = task
        self._parser = parser
        self._parts: Parts = parser.parts
        self._lake = lake
        self._decide = decide
        self._workers = workers
        self._early = early
        self._file = opened(task.path)
        self._stamp = stamp_of(self._file)
        size = self._stamp[0]
        self._size = size
        self._at = 0  # where the next range begins
        self._borders = self._parts.borders(cast(BinaryIO, self._file), size)
        self._seed = secrets.randbits(64)
        self._stand_in = new_stand_in()
        self._hash_given = False
        self._hashed: Hashed | None = None
        self._decision = Decision()  # when it is hashed
        self._states: list[_PartState] = []
        self._at_work: list[Hand] = []
        self._given_up = False
        self._alone = False
        self._ended = False  # its last event has been said
        self.rest: Task | None = None
        """The same file as a task for one worker, where it turned out to be one."""

    # --- jobs

    @property
    def over(self) -> bool:
        """Whether nothing of it is left to be done."""
        return self._ended and not self._at_work

    def job(self, hand: Hand) -> HashJob | PartJob | None:
        """What a free worker can do for it now."""
        if self._ended or self._given_up:
            return None
        if not self._hash_given:
            self._hash_given = True
            self._at_work.append(hand)
            return HashJob(self._task, self._stamp)
        if self._alone or (self._hashed is None and not self._early) or not self._room():
            return None
        number = len(self._states)
        self._states.append(_PartState(hand))
        self._at_work.append(hand)
        source_id = self._hashed.source_id if self._hashed else None
        return PartJob(
            self._task, self._stamp, self._parser.name, number, self._workers, self._seed,
            source_id, self._stand_in,
        )

    def _room(self) -> bool:
        """Whether there is a part for another worker."""
        if len(self._states) >= self._workers:
            return False
        if self._parts.whole:
            return True
        return self._size - self._at >= WORTH_JOINING or not self._states

    # --- what workers say

    def heard(self, hand: Hand, message: object) -> Iterator[Event]:
        """Takes in a message of a worker at work here, and yields what it comes to."""
        if isinstance(message, JobDone):
            self._at_work.remove(hand)
        elif isinstance(message, Failed):
            yield from self._fail(message)
        elif isinstance(message, Hashed):
            yield from self._was_hashed(message)
        elif isinstance(message, Question):
            self._answer(hand, message)
        elif isinstance(message, PartWritten):
            if self._given_up:
                self._remove(message)
            else:
                self._states[message.number].written = message
                yield from self._finish()
        else:
            yield cast(Event, message)

    def lost(self, hand: Hand, why: str) -> Iterator[Event]:
        """A worker at work here died."""
        self._at_work.remove(hand)
        yield from self._fail(Failed(self._task.path, why))

    def discard(self) -> None:
        """Removes what parts have written, where it has not become a unit."""
        for state in self._states:
            if state.written is not None:
                self._remove(state.written)
                state.written = None
        self._file.close()

    def _was_hashed(self, hashed: Hashed) -> Iterator[Event]:
        if self._ended:
            return
        self._hashed = hashed
        decision = self._decision = self._decide(hashed)
        if decision.skip is not None:
            yield Skipped(self._task, hashed.source_id, decision.skip)
            yield from self._end()
        elif self._alone or decision.done:  # its artifact is in, its row of `source` is not
            self._hand_on(decision)
        else:
            self._compare()

    def _answer(self, hand: Hand, question: Question) -> None:
        state = self._states[question.number]
        if state.hand is not hand:
            raise ValueError(f"part {question.number} is not this worker's")
        state.waits = True
        if self._given_up:
            state.answer(Abandon())
        elif isinstance(question, PartShared):
            state.keys = question.keys
            self._settle()
        elif question.alone:
            self._read_alone()
        elif isinstance(question, WantRange):
            state.answer(self._all_once(state) if self._parts.whole else self._next_range())
        else:
            state.facts = question
            self._compare()

    def _all_once(self, state: _PartState) -> Range | None:
        if state.given:
            return None
        state.given = True
        if all(each.given for each in self._states) and len(self._states) == self._workers:
            self._at = self._size
        return 0, self._size

    def _next_range(self) -> Range | None:
        start = self._at
        if start >= self._size:
            return None
        wanted = (self._size - start) // (4 * self._workers)
        end = start + min(LARGEST, max(SMALLEST, wanted))
        self._at = next((at for at in self._borders if at >= end), self._size)
        return start, self._at

    # --- when all parts are read

    def _compare(self) -> None:
        """Tells the parts of each other when all are read and the source is wanted."""
        begun = self._at >= self._size
        facts = [state.facts.facts for state in self._states if state.facts is not None]
        if self._hashed is None or not begun or not facts or len(facts) < len(self._states):
            return
        for number, state in enumerate(self._states):
            state.answer([*facts[:number], *facts[number + 1 :]])

    def _settle(self) -> None:
        """Tells the parts what to leave out when all have said what others may have too."""
        keys = [state.keys for state in self._states if state.keys is not None]
        if len(keys) < len(self._states):
            return
        assert self._hashed is not None
        leave_out = self._parts.settle(keys)
        for state, without in zip(self._states, leave_out, strict=True):
            state.answer(Settled(self._hashed.source_id, without))

    def _finish(self) -> Iterator[Event]:
        """Makes one unit of the parts when all of them are written."""
        written = [state.written for state in self._states if state.written is not None]
        if len(written) < len(self._states):
            return
        events = list(told(self._task.path, self._united(written)))
        for event in events:
            if isinstance(event, Failed):
                yield from self._fail(event)
                return
        for state in self._states:
            state.written = None  # it is the unit's now, and removed by nobody
        yield from events
        if self._decision.carve:
            facts = [e.facts for e in events if isinstance(e, UnitReady) and e.facts is not None]
            self._hand_on(replace(self._decision, done=dict(enumerate(facts)), closed=""))
        else:
            yield from self._end()

    def _united(self, parts: list[PartWritten]) -> Iterator[Event]:
        assert self._hashed is not None
        task, lake, source_id = self._task, self._lake, self._hashed.source_id
        check_unchanged(task.path, self._stamp)
        unit = unit_id(source_id, 0, self._parser)
        with lake.writer(unit) as writer:
            sink = Sink(completing(provenance(lake, source_id, 0, self._parser), writer))
            for table, batch in self._parts.join([part.facts for part in parts]):
                sink.take(table, batch)
            rest = sink.facts(task.name, self._parser, None, None)
            accounts = [*(part.account for part in parts), rest]
            facts = summed(accounts, self._size, self._hashed.sha256)
            row = artifact_row(
                lake.engagement, source_id, 0, unit, self._parser.version, facts
            )
            writer.write("artifact", batch_of("artifact", [row]))
            whole = _united([*(part.written for part in parts), writer.close()])
            pack = Pack(lake)
            sofar = SoFar()
            sofar.add(0, facts)
            sha256 = self._hashed.sha256
            of = Identity.of(sha256)
            closing = [
                *close_source(lake, pack, task, of, self._stamp[0], sofar, LeftOver()),
                *pack.flush(),
            ]
        yield UnitReady(task, whole, facts, sum(part.cpu_seconds for part in parts))
        yield from closing

    # --- other ends

    def _read_alone(self) -> None:
        """The parts cannot know what one reader would: one worker reads the file."""
        self._give_up()
        self._alone = True
        if self._hashed is not None:
            self._hand_on(self._decision)

    def _hand_on(self, decision: Decision) -> None:
        """Leaves the file to one worker, who need not hash it again."""
        assert self._hashed is not None
        self._give_up()
        self._ended = True
        self.rest = replace(self._task, known=(self._stamp, self._hashed.sha256, decision))

    def _fail(self, event: Failed) -> Iterator[Event]:
        if not self._ended:
            yield event
            yield from self._end()

    def _end(self) -> Iterator[Event]:
        self._give_up()
        self._ended = True
        yield SourceDone(self._task)

    def _give_up(self) -> None:
        """Sends home who waits for an answer; the others are told when they ask."""
        self._given_up = True
        for state in self._states:
            if state.waits:
                state.answer(Abandon())
        self.discard()

    def _remove(self, part: PartWritten) -> None:
        for table, files in part.written.files.items():
            for file in files:
                (self._lake.root / table / file.name).unlink(missing_ok=True)


def _united(parts: list[WrittenUnit]) -> WrittenUnit:
    """The files of all parts as those of one unit; the books are the last one's."""
    files: dict[str, tuple[Any, ...]] = {}
    for part in parts:
        assert part.unit == parts[-1].unit
        for table, theirs in part.files.items():
            files[table] = (*files.get(table, ()), *theirs)
    return replace(parts[-1], files=files)


def divisible(task: Task) -> Parser | None:
    """The parser that takes a file and can divide it, if it is a large one; looks at its head."""
    if task.known is not None or task.size < LEAST or task.how.reparse:
        return None
    try:
        with open_at(task.path) as file:
            head = file.read(HEAD)
    except OSError:
        return None  # whoever reads it will say so
    if kind_of(head) is not None:
        return None
    parser = task.how.reader(identify(head, task.name).parser)
    if parser is None or parser.parts is None or task.size < parser.parts.least:
        return None
    return parser
