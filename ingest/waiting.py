"""The files that wait, stage by stage: what responders ask first is read first, of every source."""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from tracelake.ingest.events import Event, Failed, Lot, SourceDone, Task
from tracelake.ingest.want import LAST_STAGE, stage_of

# Files up to this size go to a worker several at a time: what is written of them goes together.
SMALL = 4 << 20
LOT_BYTES = 64 << 20
LOT_FILES = 512
# Large files that small ones may be taken in before.
MOST_PASSED = 64


class Waiting:
    """A queue of tasks for each stage. The next is of the first stage that has any.

    Args:
        tasks: all of them. workers: with no more tasks than workers nothing has to wait for
            another source, and each is read to its end at once.
    """

    def __init__(self, tasks: Iterable[Task], workers: int) -> None:
        self._stages: list[deque[Task]] = [deque() for _ in range(LAST_STAGE + 1)]
        # What a dead worker left goes first, whatever its stage.
        self._again: deque[Task] = deque()
        self._failed: set[str] = set()
        tasks = list(tasks)
        for task in tasks:
            stage = stage_of(task.name)
            if len(tasks) > workers and task.last > stage:
                task = replace(task, last=stage)
            self._stages[stage].append(task)

    def __len__(self) -> int:
        return len(self._again) + sum(map(len, self._stages))

    def first(self) -> Task:
        """The next task."""
        return self._queue()[0]

    def take(self) -> Task:
        """Takes the next task."""
        return self._queue().popleft()

    def again(self, task: Task) -> None:
        """Puts a task in front of all others."""
        self._again.appendleft(task)

    def hear(self, event: Event) -> None:
        """Takes in what is left of a source. Of one that failed nothing is gone on with."""
        if isinstance(event, Failed):
            self._failed.add(event.path)
        elif isinstance(event, SourceDone) and event.later is not None:
            rest = event.later
            if rest.later is not None and rest.path not in self._failed:
                self._stages[rest.later.stage].append(rest)

    def lot(self, most: int) -> Lot:
        """Takes the next task, and with a small one the small ones after it in its stage. Large
        ones among them stay where they are: a lot that ended at each would be a pack for each."""
        queue = self._queue()
        tasks = [queue.popleft()]
        size = tasks[0].size
        if size <= SMALL and not tasks[0].again:
            passed: list[Task] = []
            while queue and len(tasks) < most and len(passed) < MOST_PASSED:
                task = queue.popleft()
                if task.again or task.size > SMALL or size + task.size > LOT_BYTES:
                    passed.append(task)
                else:
                    tasks.append(task)
                    size += task.size
            queue.extendleft(reversed(passed))
        return Lot(tuple(tasks))

    def _queue(self) -> deque[Task]:
        return next(queue for queue in (self._again, *self._stages) if queue)
