"""What is done, running and left of an ingest: a small file beside the tables, for
`tracelake status` and the view `intake`. It is a report; the tables do not depend on it."""

import json
import os
import time
from typing import Any

from tracelake.ingest.books import printable
from tracelake.ingest.events import (
    Event,
    Failed,
    Left,
    Listed,
    Read,
    Skipped,
    SourceDone,
    Task,
    UnitReady,
)
from tracelake.ingest.reach import uri_of
from tracelake.ingest.want import STAGES, stage_of
from tracelake.lake.store import Place, put

# Seconds between two writings, and how much longer than the last one took they are apart.
EVERY = 2.0
SHARE = 20
NAMES = [
    ", ".join(rank.name.lower().replace("_", " ") for rank in sorted(stage)) for stage in STAGES
]
NAMES.append("hash of the whole image")


class Intake:
    """The sources of a run and how far each is.

    Args:
        path: the file; a run that goes on in the same lake replaces it.
        tasks: what there is to be taken in.
    """

    def __init__(self, path: Place, tasks: list[Task]) -> None:
        self._path = path
        self._took = 0.0
        self._written = 0.0
        self._dirty = True
        self._rows: dict[str, dict[str, Any]] = {}
        for task in tasks:
            self._rows[task.path] = {
                "uri": printable(uri_of(task.path)),
                "size": task.size,
                "state": "waiting",
                "stage": NAMES[stage_of(task.name)],
                "artifacts": 0,
                "left_aside": 0,
                "records": 0,
                "damage": 0,
                "why": None,
                "pid": os.getpid(),
            }

    def hear(self, event: Event) -> None:
        """Takes in what happened."""
        path = event.path if isinstance(event, Read | Failed) else _path_of(event)
        row = self._rows.get(path) if path is not None else None
        if row is None:
            return
        if isinstance(event, Failed):
            row |= {"state": "failed", "why": event.why, "stage": None}
        elif isinstance(event, Skipped):
            row |= {"state": "in already", "why": event.why, "stage": None}
        elif isinstance(event, SourceDone):
            if event.later is not None and event.later.later is not None:
                row |= {"state": "put off", "stage": NAMES[event.later.later.stage]}
            elif row["state"] == "reading":
                row |= {"state": "done", "stage": None}
        else:
            if row["state"] in ("waiting", "put off"):
                row["state"] = "reading"
            if isinstance(event, Left):
                row["left_aside"] += 1
            elif isinstance(event, Listed):
                row["left_aside"] += event.count
            elif isinstance(event, UnitReady) and event.facts and event.facts.parser:
                row["artifacts"] += 1
                row["records"] += event.facts.records
                row["damage"] += event.facts.damage
        self._dirty = True
        now = time.monotonic()
        if now - self._written > max(EVERY, SHARE * self._took):
            self.write()

    def write(self) -> None:
        """Writes the file, whole or not at all."""
        if not self._dirty:
            return
        begun = time.monotonic()
        put(self._path, "".join(json.dumps(row) + "\n" for row in self._rows.values()))
        self._dirty = False
        self._written = time.monotonic()
        self._took = self._written - begun


def _path_of(event: Event) -> str | None:
    task = getattr(event, "task", None)
    return task.path if isinstance(task, Task) else None
