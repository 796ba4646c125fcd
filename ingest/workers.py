"""Worker processes: what each is given to do, and what happens when one dies.

A worker takes in one source at a time, or does a part of a large one, and tells the parent what
happens. A pool of our own rather than `multiprocess.Pool`, which waits for ever when a worker is
killed (by the kernel for memory, by a bug in a library).
"""

from collections.abc import Callable, Generator, Iterable
from dataclasses import replace

from tracelake.ingest.crew import Worker, start, use_plain_malloc
from tracelake.ingest.division import Division, divisible
from tracelake.ingest.events import (
    Event,
    Failed,
    Hashed,
    Left,
    Lot,
    Skipped,
    SourceDone,
    Task,
    UnitReady,
)
from tracelake.ingest.file import CannotRead
from tracelake.ingest.parts import HashJob, JobDone, PartJob
from tracelake.ingest.source import Ask, take_in
from tracelake.ingest.waiting import LOT_FILES, Waiting
from tracelake.lake.lake import Lake

Job = Lot | HashJob | PartJob

def one_by_one(tasks: Iterable[Task], lake: Lake, ask: Ask) -> Generator[Event, None, None]:
    """Takes in the tasks in this process."""
    use_plain_malloc()
    waiting = Waiting(tasks, workers=1)
    while waiting:
        for event in take_in(waiting.lot(LOT_FILES).tasks, lake, ask):
            waiting.hear(event)
            yield event


def path_of(event: UnitReady | Left | Failed | Skipped) -> str:
    """The path of the file that an event is about."""
    return event.path if isinstance(event, Failed) else event.task.path


def side_by_side(
    tasks: Iterable[Task],
    lake: Lake,
    ask: Ask,
    crew: list[Worker],
    looks_new: Callable[[Task], bool],
) -> Generator[Event, None, None]:
    """Takes in the tasks in several processes; events of several sources come mixed.

    A worker that dies takes its source with it (a `Failed`), and another is started.
    Closing the generator ends the workers: they remove what they have not handed over.

    Args:
        crew: workers that were started; none is left in it at the end.
        looks_new: whether a file is worth being read before its hash is known.
    """
    work = _Work(tasks, lake, ask, crew, looks_new)
    try:
        yield from work.run()
    finally:
        work.stop()


class _Work:
    """The tasks that wait, the files that are divided, and who does what."""

    def __init__(
        self,
        tasks: Iterable[Task],
        lake: Lake,
        ask: Ask,
        crew: list[Worker],
        looks_new: Callable[[Task], bool],
    ) -> None:
        self._waiting = Waiting(tasks, len(crew))
        self._lake = lake
        self._ask = ask
        self._crew = crew
        self._looks_new = looks_new
        self._wanted = len(crew)
        self._idle = list(crew)
        self._at: dict[Worker, Job] = {}
        # Of each lot at work: how many files are done, and of which something was handed over.
        self._done: dict[Worker, int] = {}
        self._heard_of: dict[Worker, set[str]] = {}
        self._divided: list[Division] = []
        self._division_of: dict[Worker, Division] = {}

    def run(self) -> Generator[Event, None, None]:
        from multiprocessing.connection import wait

        while True:
            self._give()
            if not self._at:
                return
            ready = wait([worker.pipe for worker in self._at])
            for worker in [worker for worker in self._at if worker.pipe in ready]:
                try:
                    message = worker.pipe.recv()
                except (EOFError, ConnectionError):
                    yield from self._lost(worker)
                    continue
                yield from self._heard(worker, message)

    def stop(self) -> None:
        """Ends all workers, whatever they do."""
        for worker in self._crew:
            if worker in self._at:
                worker.process.terminate()
            else:
                worker.send(None)
        for worker in self._crew:
            worker.stop()
        self._crew.clear()
        for division in self._divided:
            division.discard()

    def _give(self) -> None:
        """Gives each free worker something to do, as far as there is something."""
        while self._idle:
            worker = self._idle[-1]
            job = self._job_for(worker)
            if job is None:
                return
            self._idle.pop()
            self._at[worker] = job
            worker.send(job)

    def _job_for(self, worker: Worker) -> Job | None:
        # A file that was begun first: its parts wait for each other.
        for division in self._divided:
            job = division.job(worker)
            if job is not None:
                self._division_of[worker] = division
                return job
        if not self._waiting:
            return None
        task = self._waiting.first()
        parser = divisible(task) if self._wanted > 1 else None
        if parser is not None:
            try:
                division = Division(
                    task, parser, self._lake, self._ask, self._wanted, self._looks_new(task)
                )
            except (CannotRead, OSError):
                return self._waiting.lot(1)  # who reads it will say why it cannot be
            self._waiting.take()
            self._divided.append(division)
            self._division_of[worker] = division
            return division.job(worker)
        # Smaller towards the end, so that all workers end together.
        fair = len(self._waiting) // (2 * self._wanted) + 1
        return self._waiting.lot(min(LOT_FILES, fair))

    def _heard(self, worker: Worker, message: object) -> Generator[Event, None, None]:
        division = self._division_of.get(worker)
        if division is not None:
            yield from division.heard(worker, message)
            if isinstance(message, JobDone):
                del self._division_of[worker]
                self._free(worker)
            self._look_at(division)
        elif isinstance(message, Hashed):
            worker.send(self._ask(message))
        else:
            assert isinstance(message, Event)
            job = self._at[worker]
            assert isinstance(job, Lot)
            if isinstance(message, UnitReady | Left | Failed | Skipped):
                self._heard_of.setdefault(worker, set()).add(path_of(message))
            self._waiting.hear(message)
            yield message
            if isinstance(message, SourceDone):
                self._done[worker] = self._done.get(worker, 0) + 1
                if self._done[worker] == len(job.tasks):
                    self._free(worker)

    def _lost(self, worker: Worker) -> Generator[Event, None, None]:
        why = worker.how_it_ended()
        job = self._at.pop(worker)
        self._crew.remove(worker)
        division = self._division_of.pop(worker, None)
        if division is not None:
            yield from division.lost(worker, why)
            self._look_at(division)
        else:
            assert isinstance(job, Lot)
            left = job.tasks[self._done.pop(worker, 0) :]
            heard = self._heard_of.pop(worker, set())
            for task in left:
                # Which of several killed it cannot be known: each is tried once more, alone.
                if len(left) > 1 and task.path not in heard:
                    self._waiting.again(replace(task, again=True))
                else:
                    yield Failed(task.path, why)
                    yield SourceDone(task)
        if self._waiting or self._divided:
            start(self._crew, self._lake)
            self._idle.append(self._crew[-1])

    def _look_at(self, division: Division) -> None:
        """Takes over what a division leaves to one worker, and lets go of one that is over."""
        if division.rest is not None:
            self._waiting.again(division.rest)
            division.rest = None
        if division.over:
            self._divided.remove(division)

    def _free(self, worker: Worker) -> None:
        del self._at[worker]
        self._done.pop(worker, None)
        self._heard_of.pop(worker, None)
        self._idle.append(worker)
