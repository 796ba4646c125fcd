"""Files that are pieces of an image: they are read with its first file, not for themselves."""

import os
import re
from collections.abc import Iterable
from dataclasses import replace

from tracelake.ingest.events import Task
from tracelake.ingest.image_identity import files_of, kind_at
from tracelake.ingest.reach import size_of

# The first file of several: x.E01, x.Ex01, x.s01, x.001, x.000; and a VMDK, which names its others.
FIRST = re.compile(r"(?s).*\.(?:[eEsS]x?01|0+[01]?|[vV][mM][dD][kK])")


def without_pieces(tasks: Iterable[Task]) -> tuple[list[Task], list[tuple[str, str]]]:
    """The tasks without those that are pieces of others, and the pieces with the reason.

    A first file counts with the size of all.
    """
    tasks = list(tasks)
    first_of: dict[str, str] = {}
    sizes: dict[str, int] = {}
    for task in tasks:
        if not FIRST.fullmatch(task.path):
            continue
        try:
            kind = kind_at(task.path)
            files = files_of(task.path, kind) if kind is not None else []
            sizes[task.path] = sum(map(size_of, files))
        except OSError:
            continue  # who reads it will say so
        for path in files[1:]:
            first_of.setdefault(path, task.path)
    given = {task.path for task in tasks}
    kept = [
        replace(task, size=max(task.size, sizes.get(task.path, 0)))
        for task in tasks
        if task.path not in first_of
    ]
    left = [
        (path, f"a piece of {os.path.basename(first)}, read with it")
        for path, first in first_of.items()
        if path in given
    ]
    return kept, left
