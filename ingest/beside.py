"""Files beside an artifact: the transaction logs of a hive, the write-ahead log of a database."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from tracelake.ingest.reach import is_file, names_in, open_at

# Endings of files that are nothing without another one, whose name they begin with.
COMPANIONS = (
    ".log", ".log1", ".log2", "-wal", "-shm", "-journal",
)
Read = Callable[[str, int], bytes | None]


@dataclass(frozen=True, slots=True)
class Siblings:
    """What stands in the same folder of the same evidence; upper and lower case are alike.

    Attributes:
        has: whether there is a file of a name.
        read: (name, most bytes) -> its bytes; None where there is none, a larger one, or one
            that cannot be read.
    """

    has: Callable[[str], bool]
    read: Read


NOBODY = Siblings(lambda _name: False, lambda _name, _most: None)
"""Of a stream, which is not wound back."""


def read_with(path: str, siblings: Siblings) -> str | None:
    """Why a file that no parser takes needs none: it is read together with another one."""
    if not path.lower().endswith(COMPANIONS):
        return None
    name = path.replace("\\", "/").rpartition("/")[2]
    for ending in COMPANIONS:
        main = name[: -len(ending)]
        if main and name.lower().endswith(ending) and siblings.has(main):
            return f"read together with {main}"
    return None


def in_folder(folder: str) -> Siblings:
    """The files of a folder on this machine."""
    names: dict[str, str] = {}

    def find(name: str) -> str | None:
        if not names:
            try:
                names.update({entry.lower(): entry for entry in names_in(folder)})
            except OSError:
                return None
        found = names.get(name.lower())
        path = os.path.join(folder, found) if found is not None else ""
        return path if found is not None and is_file(path) else None

    def read(name: str, most: int) -> bytes | None:
        path = find(name)
        if path is None:
            return None
        try:
            with open_at(path) as file:
                data = file.read(most + 1)
        except OSError:
            return None
        return data if len(data) <= most else None

    return Siblings(lambda name: find(name) is not None, read)
