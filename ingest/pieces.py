"""Files that are pieces of an image: they are read with its first file, not for themselves."""

import os
import re
from collections.abc import Iterable

from tracelake.ingest.events import Task
from tracelake.ingest.image_identity import files_of, kind_at

# x.E02, x.EAA, x.Ex02; x.002; and whatever a VMDK names.
PIECE = re.compile(r"(?s).*\.(?:[eEsS]x?\d\d|[e-zE-Z][a-zA-Z]{2}|\d{2,5}|vmdk|VMDK)")


def without_pieces(tasks: Iterable[Task]) -> tuple[list[Task], list[tuple[str, str]]]:
    """The tasks without those that are pieces of others, and the pieces with the reason.

    A first file counts with the size of all.
    """
    tasks = list(tasks)
    whole: dict[str, str] = {}
    for task in tasks:
        if not PIECE.fullmatch(task.path) or task.path in whole:
            continue
        try:
            kind = kind_at(task.path)
            files = files_of(task.path, kind) if kind is not None else []
        except OSError:
            continue  # who reads it will say so
        for path in files[1:]:
            whole.setdefault(path, task.path)
    kept = [task for task in tasks if task.path not in whole]
    left = [
        (path, f"a piece of {os.path.basename(first)}, read with it")
        for path, first in whole.items()
        if any(task.path == path for task in tasks)
    ]
    return kept, left
