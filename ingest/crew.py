"""Worker processes: started, spoken to, ended.

**Forked where that is safe, else spawned.** A worker that is forked has everything imported
already (0.01 s instead of 0.4). But a fork in the middle of another thread's lock hangs, and
pyarrow, deltalake and DuckDB bring threads: so a process forks only while it is the only thread
there is, which is so when `tracelake ingest` begins, and not in a notebook. jemalloc's thread is
let pass: jemalloc takes its own locks around a fork.
"""

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracelake.ingest.events import Hashed, Lot
from tracelake.ingest.parts import HashJob, Question, do_hash, read_part
from tracelake.ingest.source import take_in
from tracelake.lake.lake import Lake
from tracelake.normalize import extra

# Seconds for a worker to remove what it has not handed over; one that hangs is killed.
PATIENCE = 10.0
# Freed memory that a process keeps, and the size from which a block is a mapping of its own. Said
# together: glibc moves neither by itself once one of them is given.
KEPT_FREE = 64 << 20
MAPPED = 32 << 20
HARMLESS = {"jemalloc_bg_thd"}


@dataclass(slots=True, eq=False)
class Worker:
    """A worker process, as the parent has it."""

    process: Any
    pipe: Any

    def send(self, message: object) -> None:
        """Sends; of a worker that died meanwhile the next `recv` tells."""
        with contextlib.suppress(ConnectionError):
            self.pipe.send(message)

    def stop(self) -> None:
        """Waits for a worker that was told to end, but not for ever."""
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.pipe.close()

    def how_it_ended(self) -> str:
        """Why a worker went that was not told to."""
        self.process.join()
        self.pipe.close()
        code = self.process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            return f"the worker that read it was killed by {name} (out of memory?)"
        return f"the worker that read it ended with exit code {code}"


def start(crew: list[Worker], lake: Lake) -> None:
    """Starts one more worker for the crew."""
    from multiprocessing import get_context

    method = "fork" if _alone_in_process() else "spawn"
    context: Any = get_context(method)
    ours, theirs = context.Pipe()
    # A forked worker has copies of all pipes. With the parent's ends open elsewhere nobody
    # would notice that the parent is gone.
    close = [ours, *(worker.pipe for worker in crew)] if method == "fork" else []
    process = context.Process(
        target=_work, args=(theirs, close, lake.uri, lake.engagement, extra.files())
    )
    process.daemon = True
    process.start()
    theirs.close()
    crew.append(Worker(process, ours))


def use_plain_malloc() -> None:
    """Lets pyarrow take its memory from malloc. Its own pool, mimalloc, touches huge pages ahead,
    and the kernel clears them first: that made writing 157,000 flows and DNS rows take 0.50 s of
    CPU time instead of 0.16. And lets malloc keep what is freed: for each column that is written
    Arrow takes some megabytes and frees them, and a fifth of the time of writing was the kernel's,
    clearing the same pages again and again."""
    import pyarrow as pa

    from tracelake.native.heap import keep_freed

    pa.set_memory_pool(pa.system_memory_pool())
    keep_freed(KEPT_FREE, MAPPED)


def _alone_in_process() -> bool:
    """Whether no other thread could hold a lock now; False where nobody can tell."""
    try:
        names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    except OSError:
        return False
    return len([name for name in names if name not in HARMLESS]) == 1


def _work(
    pipe: Any, close: list[Any], uri: str, engagement: str, mappings: extra.Files
) -> None:
    """A worker's life: a job, its events, the next job; None ends it."""
    for other in close:
        other.close()
    # Ctrl-C goes to the whole process group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: _leave())
    use_plain_malloc()
    extra.use(mappings)
    lake = Lake.open(uri, engagement)

    def talk(question: Hashed | Question) -> Any:
        pipe.send(question)
        return pipe.recv()

    try:
        while (job := pipe.recv()) is not None:
            messages: Iterator[Any]
            if isinstance(job, Lot):
                messages = take_in(job.tasks, lake, talk)
            elif isinstance(job, HashJob):
                messages = do_hash(job)
            else:
                messages = read_part(job, lake, talk)
            for message in messages:
                pipe.send(message)
    except (EOFError, ConnectionError):
        return  # the parent is gone; what was not handed over has been removed


def _leave() -> None:
    raise SystemExit(0)
