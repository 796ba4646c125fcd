"""An ingest: discover, read in workers, commit, report."""

import contextlib
import os
import signal
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tracelake.ingest.again import Again
from tracelake.ingest.books import artifact_row, batch_of, facts_of, printable
from tracelake.ingest.crew import Worker, start
from tracelake.ingest.discover import Found, discover
from tracelake.ingest.division import LEAST
from tracelake.ingest.events import (
    PLAINLY,
    Decision,
    Event,
    Facts,
    Failed,
    Hashed,
    How,
    Left,
    Listed,
    NotOpened,
    PackReady,
    Skipped,
    SourceDone,
    Task,
    UnitReady,
)
from tracelake.ingest.images import LOCKED, STORE
from tracelake.ingest.intake import Intake
from tracelake.ingest.pieces import without_pieces
from tracelake.ingest.reach import Root
from tracelake.ingest.report import ParserReport, Report
from tracelake.ingest.sofar import carver_of
from tracelake.ingest.want import is_foreign
from tracelake.ingest.workers import one_by_one, side_by_side
from tracelake.lake.lake import Lake, own_folders
from tracelake.lake.lease import Lease
from tracelake.lake.s3 import is_s3
from tracelake.lake.writer import WrittenUnit
from tracelake.normalize import extra
from tracelake.parsers import CARVERS
from tracelake.version import VERSION

# What a commit costs depends on the files that are in, not on the units it brings, so units wait
# for each other: at least this many seconds and ten times as long as the last commit took, and
# not at all while nothing can be queried yet.
COMMIT_EVERY = 1.0
COMMIT_SHARE = 10
COMMIT_UNITS = 512
# Bytes of a file from which on it is hashed while it is parsed, where it looks new. Smaller ones
# are in the page cache when they are read for the second time.
ONE_PASS = 32 << 20
# Of objects on S3, which are in no cache of this machine.
ONE_PASS_S3 = 1 << 20
# The number under which `artifact` lists a whole source that was met again.
SEEN_AGAIN = -1

# In the engagement's folder, for the view `intake`.
INTAKE = "intake.jsonl"

# In the engagement's folder: the mapping files of `--mapping`, each under the mark that it adds to
# the mapping version.
MAPPINGS = "mappings"

# Parsers of deleted records: their units stand beside those of the artifacts.
CARVED = frozenset(parser.name for parser in CARVERS)

Watch = Callable[[Event, Report], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What there is to be taken in.

    Attributes:
        tasks: the sources. unreachable: paths that cannot be looked at, with reasons.
        pieces: files that are read with others, with reasons.
    """

    tasks: list[Task]
    unreachable: list[tuple[str, str]]
    pieces: list[tuple[str, str]]


def plan(
    roots: Sequence[Root], leave_out: frozenset[Root] = frozenset(), how: How = PLAINLY
) -> Plan:
    """The files under `roots`.

    Args:
        roots: files and folders.
        leave_out: folders that are not entered, such as `lake.own_folders`: who ingests `.`
            with the lake in `./lake` does not mean the lake.
        how: what is wanted of them.
    """
    tasks = []
    unreachable = []
    for item in discover(roots, leave_out):
        if isinstance(item, Found):
            tasks.append(Task(str(item.path), item.name, item.size, how=how))
        else:
            unreachable.append((str(item.path), item.why))
    kept, pieces = without_pieces(tasks)
    return Plan(kept, unreachable, pieces)


def ingest(
    roots: Sequence[Root],
    lake: Lake,
    workers: int = 1,
    watch: Watch | None = None,
    carve: bool = False,
    how: How = PLAINLY,
) -> Report:
    """Takes in every file under `roots`; what was in already is skipped.

    Args:
        roots: files and folders.
        lake: the engagement.
        workers: processes; 1 works in this one.
        watch: is told each event, after it was counted.
        carve: also read deleted records, of sources that are in already, too.
        how: what is wanted of archives and images.

    Raises:
        OSError: the lake cannot be read. Every other trouble is in the report.
    """
    planned = plan(roots, own_folders(lake.uri), replace(how, indexes=how.indexes or carve))
    return Ingest(lake, watch, carve).run(planned, workers)


def wants_more(source: dict[str, Any], how: How) -> str | None:
    """Why a source that is in is opened again: this time more of it is wanted than is in.

    Args:
        source: its row.
    """
    facts = dict(source.get("facts") or {})
    if how.every_file and (source.get("not_opened") or "image" in facts):
        return "already in; files that were not opened were read"
    if how.keys and any(LOCKED in text for text in facts.values()):
        return "already in; volumes that were locked were tried with the given keys"
    if how.shadow_copies and "image" in facts and not any(STORE in t for t in facts.values()):
        return "already in; its shadow copies were read"
    return None


class Ingest:
    """One run: decides what is read, commits what was read, keeps the report."""

    def __init__(self, lake: Lake, watch: Watch | None = None, carve: bool = False) -> None:
        self._lake = lake
        self._watch = watch
        self._carve = carve
        self.report = Report()
        self._started = time.monotonic()
        self._committed = self._started
        self._commit_took = 0.0
        self._pending: list[WrittenUnit] = []
        self._begun: dict[str, str] = {}
        self._again = Again(lake)
        self._seen_again: dict[str, list[Task]] = {}

    def run(self, planned: Plan, workers: int) -> Report:
        """The one loop."""
        tasks = planned.tasks
        self.report.failed += planned.unreachable
        self.report.pieces += planned.pieces
        if not any(task.size >= LEAST for task in tasks):
            workers = min(workers, len(tasks))
        crew: list[Worker] = []
        # What is read by libraries in C, of other people, is not in the process that commits.
        if workers > 1 or any(is_foreign(task.path) for task in tasks):
            # Before anything of deltalake runs, which has threads (see crew.py).
            for _ in range(workers):
                start(crew, self._lake)
            events = side_by_side(
                self._told(tasks), self._lake, self._decide, crew, self._looks_new
            )
        else:
            events = one_by_one(self._told(tasks), self._lake, self._decide)
        self._intake = Intake(self._lake.root / INTAKE, tasks)
        with _PatientInterrupt() as interrupted, self._leased():
            try:
                self._keep_mappings()
                self._look()
                self._intake.write()
                self._follow(events, interrupted)
                self._commit()
                self._swap()
                if not self.report.interrupted:
                    self._note_seen_again()
                    self._commit()
            except OSError as error:
                why = f"the lake cannot be written: {' '.join(str(error).split())}"
                self.report.failed.append((str(self._lake.root), why))
            finally:
                events.close()
                with contextlib.suppress(OSError):
                    self._again.drop()
                self._say()
        self.report.seconds = time.monotonic() - self._started
        return self.report

    @contextlib.contextmanager
    def _leased(self) -> Iterator[None]:
        """Says that this run is alive, so that `sweep` leaves its files alone. A lake that cannot
        be written is said where it is written first."""
        lease = Lease(self._lake.root, "ingest")
        with contextlib.suppress(OSError):
            lease.begin()
        try:
            yield
        finally:
            lease.end()

    def _say(self) -> None:
        """How far it came. Where even this cannot be written, that has been said."""
        with contextlib.suppress(OSError):
            self._intake.write()

    def _look(self) -> None:
        """What is in already. The state at the start is enough: what another run commits
        meanwhile is found to be in when it is committed again, and is not."""
        self._before = self._lake.snapshot()
        sources = self._before.sources()
        self._rows = {source_id: rows[0] for source_id, rows in sources.items()}
        self._known = {source_id: rows[0]["uri"] for source_id, rows in sources.items()}
        self._sizes = {row["size"] for rows in sources.values() for row in rows}
        # Units are named after their sources: of the others no row of `artifact` has to be read.
        self._begun_before = {unit[:16] for unit in self._before.complete_units()}

    def _looks_new(self, task: Task) -> bool:
        """Whether no source that is in has the size of this file."""
        return task.size not in self._sizes

    def _told(self, tasks: list[Task]) -> Iterator[Task]:
        """The tasks; large ones are told whether they look new. To be asked for when it is known
        what is in."""
        sizes = Counter(task.size for task in tasks)
        for task in tasks:
            least = ONE_PASS if not is_s3(task.path) else ONE_PASS_S3
            new = task.size >= least and sizes[task.size] == 1 and self._looks_new(task)
            yield replace(task, looks_new=True) if new else task

    def _follow(self, events: Generator[Event, None, None], interrupted: threading.Event) -> None:
        """Commits what comes until all has come, or until it has to stop."""
        for event in events:
            self._count(event)
            self._intake.hear(event)
            if self._due():
                self._commit()
            if isinstance(event, SourceDone):
                self._swap()
            if self._watch is not None:
                self._watch(event, self.report)
            if interrupted.is_set() or (isinstance(event, Failed) and event.fatal):
                self.report.interrupted = interrupted.is_set()
                events.close()
                return

    def _decide(self, hashed: Hashed) -> Decision:
        """Whether a source is read: each once, whatever name it comes under."""
        source_id = hashed.source_id
        if hashed.task.how.reparse and source_id in self._known:
            again = self._again.decide(hashed, self._before, self._carve)
            if again is not None:
                self._begun[source_id] = hashed.task.path
                return again
        if source_id in self._known and source_id not in self._begun:
            more = wants_more(self._rows[source_id], hashed.task.how)
            if more is not None:
                self._begun[source_id] = hashed.task.path
                done, carved = self._done(source_id)
                return Decision(done=done, carve=self._carve, carved=carved, more=more)
        if source_id in self._known:
            self._other_rules(source_id)
            self._seen_again.setdefault(source_id, []).append(hashed.task)
            why = f"already in, as {self._known[source_id]}"
            done, carved = self._done(source_id) if self._carve else ({}, frozenset())
            if source_id in self._begun or all(
                number in carved for number, facts in done.items() if carver_of(facts)
            ):
                return Decision(why)
            self._begun[source_id] = hashed.task.path
            why += "; its deleted records were not"
            return Decision(done=done, carve=True, carved=carved, closed=why)
        if source_id in self._begun and not hashed.task.again:
            self._seen_again.setdefault(source_id, []).append(hashed.task)
            return Decision(f"the same bytes as {self._begun[source_id]}")
        self._begun[source_id] = hashed.task.path
        done, carved = self._done(source_id)
        return Decision(done=done, carve=self._carve, carved=carved)

    def _other_rules(self, source_id: str) -> None:
        """Counts a source that is in already and was read with other mapping files of analysts:
        its rows stay what they are."""
        mark = extra.mark(extra.files())
        if not mark and not self._has_mappings:
            return
        rows = self._before.artifact_rows(source_id)
        marks = {extra.mark_of(row["mapping_version"]) for row in rows if row["mapping_version"]}
        if marks and mark not in marks:
            self.report.other_mapping += 1

    def _keep_mappings(self) -> None:
        """Copies the analyst's mapping files into the engagement, beside the tables: they say how
        rows of this mapping version came about."""
        folder = self._lake.root / MAPPINGS
        self._has_mappings = folder.is_dir()
        mark = extra.mark(extra.files()).removeprefix(extra.MARK)
        for number, (name, text) in enumerate(extra.files()):
            folder.mkdir(exist_ok=True)
            kept = folder / f"{mark}-{number}-{os.path.basename(name)}"
            if not kept.exists():
                kept.write_text(text, encoding="utf-8")

    def _done(self, source_id: str) -> tuple[dict[int, Facts], frozenset[int]]:
        """A source's artifacts that are in, and the numbers of those that were carved."""
        if source_id[:16] not in self._begun_before:
            return {}, frozenset()
        done = {}
        carved = set()
        for row in self._before.artifact_rows(source_id):
            if row["parser"] in CARVED:
                carved.add(row["artifact_no"])
            else:
                done[row["artifact_no"]] = facts_of(row)
        return done, frozenset(carved)

    def _count(self, event: Event) -> None:
        report = self.report
        if isinstance(event, PackReady):
            if not self._again.hold(event.unit):
                self._pending.append(event.unit)
        elif isinstance(event, UnitReady):
            if event.unit is not None and not self._again.hold(event.unit):
                self._pending.append(event.unit)
            if event.facts is not None and event.facts.parser is not None:
                sums = report.parsers.setdefault(event.facts.parser, ParserReport())
                sums.add(event.facts, event.cpu_seconds)
                if not event.facts.closes:
                    report.open_accounts.append(f"{event.task.path}: {event.facts.path}")
            elif event.facts is None:
                report.sources += 1
                report.bytes += event.task.size
        elif isinstance(event, Left):
            if event.facts.refused:
                facts = event.facts
                report.left.append((event.task.path, facts.path, facts.refused))
            else:
                why = event.trouble or "it cannot be read"
                report.unopened.append((event.task.path, event.facts.path, why))
        elif isinstance(event, Listed):
            report.listed += event.count
        elif isinstance(event, NotOpened):
            report.not_opened.update(event.counts)
        elif isinstance(event, Skipped):
            report.skipped.append((event.task.path, event.why))
        elif isinstance(event, Failed):
            report.failed.append((event.path, event.why))
            self._again.end(event.path, failed=True)
        elif isinstance(event, SourceDone) and event.later is None:
            self._again.end(event.task.path, failed=False)

    def _due(self) -> bool:
        if not self._pending:
            return False
        if len(self._pending) >= COMMIT_UNITS:
            return True
        if self.report.first_row is None and any(unit.files for unit in self._pending):
            return True
        waited = time.monotonic() - self._committed
        return waited > max(COMMIT_EVERY, COMMIT_SHARE * self._commit_took)

    def _commit(self) -> None:
        if not self._pending:
            return
        begun = time.monotonic()
        self._lake.commit(self._pending)
        rows = any(unit.files for unit in self._pending)
        self._pending = []
        self._committed = time.monotonic()
        self._commit_took = self._committed - begun
        if rows and self.report.first_row is None:
            self.report.first_row = self._committed - self._started

    def _swap(self) -> None:
        """Puts what was read anew in the place of what was in, source by source."""
        self.report.failed += self._again.swap()

    def _note_seen_again(self) -> None:
        """Lists a further name of bytes that are in: one row of `artifact` for each, once."""
        if not self._seen_again:
            return
        snapshot = self._lake.snapshot()
        for source_id, tasks in sorted(self._seen_again.items()):
            rows = snapshot.sources().get(source_id)
            if not rows:
                # Its first copy could not be taken in, so these bytes are not in.
                self.report.skipped = [
                    skip for skip in self.report.skipped if skip[0] not in {t.path for t in tasks}
                ]
                why = f"not read: the same bytes as {self._begun[source_id]}, which failed"
                self.report.failed += [(task.path, why) for task in tasks]
                continue
            source = rows[0]["uri"]
            known = {path for row in snapshot.artifact_rows(source_id) for path in row["paths"]}
            for task in tasks:
                name = printable(task.name)
                if name in known or printable(os.path.realpath(task.path)) == source:
                    continue
                known.add(name)
                unit = f"{source_id[:16]}-seen-{zlib.crc32(name.encode()):08x}"
                facts = Facts(task.name, None, {"*": f"the same bytes as {source}"}, task.size)
                row = artifact_row(
                    self._lake.engagement, source_id, SEEN_AGAIN, unit, VERSION, facts
                )
                writer = self._lake.writer(unit)
                writer.write("artifact", batch_of("artifact", [row]))
                self._pending.append(writer.close())


class _PatientInterrupt:
    """Ctrl-C asks the run to end after the running commit; a second one ends it at once."""

    def __enter__(self) -> threading.Event:
        self.asked = threading.Event()
        self.before: Any = None
        if threading.current_thread() is threading.main_thread():
            self.before = signal.signal(signal.SIGINT, self._ask)
        return self.asked

    def __exit__(self, *_: object) -> None:
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)

    def _ask(self, *_: object) -> None:
        if self.asked.is_set():
            raise KeyboardInterrupt
        self.asked.set()
