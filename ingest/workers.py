"""Worker processes: each takes in one source at a time and tells the parent what happens.

Processes are spawned, not forked: pyarrow and deltalake bring threads, and a fork in the
middle of one of their locks hangs. A pool of our own rather than `multiprocess.Pool`, which
waits for ever when a worker is killed (by the kernel for memory, by a bug in a library).
"""

import contextlib
import signal
from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any

from tracelake.ingest.events import Event, Failed, Hashed, SourceDone, Task
from tracelake.ingest.source import Ask, take_in
from tracelake.lake.lake import Lake

# Seconds for a worker to remove what it has not handed over; one that hangs is killed.
PATIENCE = 10.0


def one_by_one(tasks: Iterable[Task], lake: Lake, ask: Ask) -> Generator[Event, None, None]:
    """Takes in the tasks in this process."""
    _use_plain_malloc()
    for task in tasks:
        yield from take_in(task, lake, ask)


def side_by_side(
    tasks: Iterable[Task], lake: Lake, ask: Ask, workers: int
) -> Generator[Event, None, None]:
    """Takes in the tasks in `workers` processes; events of several sources come mixed.

    A worker that dies takes its source with it (a `Failed`), and another is started.
    Closing the generator ends the workers: they remove what they have not handed over.
    """
    from multiprocess.connection import wait

    waiting = deque(tasks)
    crew: list[_Worker] = []
    try:
        while waiting or crew:
            while waiting and len(crew) < workers:
                crew.append(_Worker.start(lake))
                crew[-1].give(waiting.popleft())
            ready = wait([worker.pipe for worker in crew])
            for worker in [worker for worker in crew if worker.pipe in ready]:
                try:
                    message = worker.pipe.recv()
                except (EOFError, ConnectionError):
                    crew.remove(worker)
                    yield Failed(worker.task.path, worker.how_it_ended())
                    yield SourceDone(worker.task)
                    continue
                if isinstance(message, Hashed):
                    worker.send(ask(message))
                    continue
                yield message
                if isinstance(message, SourceDone):
                    if waiting:
                        worker.give(waiting.popleft())
                    else:
                        crew.remove(worker)
                        worker.dismiss()
    finally:
        for worker in crew:
            worker.process.terminate()
        for worker in crew:
            worker.stop()


@dataclass(slots=True)
class _Worker:
    process: Any
    pipe: Any
    task: Task

    @classmethod
    def start(cls, lake: Lake) -> "_Worker":
        from multiprocess import get_context

        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, lake.uri, lake.engagement))
        process.daemon = True
        process.start()
        theirs.close()
        return cls(process, ours, Task("", "", 0))

    def give(self, task: Task) -> None:
        self.task = task
        self.send(task)

    def send(self, message: object) -> None:
        # Of a worker that died meanwhile the next `recv` tells.
        with contextlib.suppress(ConnectionError):
            self.pipe.send(message)

    def dismiss(self) -> None:
        self.send(None)
        self.process.join()
        self.pipe.close()

    def stop(self) -> None:
        """Waits for a worker that was told to end, but not for ever."""
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.pipe.close()

    def how_it_ended(self) -> str:
        self.process.join()
        code = self.process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            return f"the worker that read it was killed by {name} (out of memory?)"
        return f"the worker that read it ended with exit code {code}"


def _work(pipe: Any, uri: str, engagement: str) -> None:
    """A worker's life: a task, its events, the next task; None ends it."""
    # Ctrl-C goes to the whole process group; the parent decides what it means.
    _use_plain_malloc()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: _leave())
    lake = Lake.open(uri, engagement)

    def ask(hashed: Hashed) -> Any:
        pipe.send(hashed)
        return pipe.recv()

    try:
        while (task := pipe.recv()) is not None:
            for event in take_in(task, lake, ask):
                pipe.send(event)
    except (EOFError, ConnectionError):
        return  # the parent is gone; what was not handed over has been removed


def _use_plain_malloc() -> None:
    """Lets pyarrow take its memory from malloc. Its own pool, mimalloc, touches huge pages ahead,
    and the kernel clears them first: that made writing 157,000 flows and DNS rows take 0.50 s of
    CPU time instead of 0.16."""
    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())


def _leave() -> None:
    raise SystemExit(0)
