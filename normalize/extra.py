"""Mapping files of an analyst (`ingest --mapping FILE`), on top of the shipped ones.

They are said once for a process, before anything is read, and then hold for every parser that maps:
`mapping.load` and `shapes.load` ask for them. Workers are told the texts, not the paths: a file
that is edited meanwhile does not make half of the rows.
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

Files = tuple[tuple[str, str], ...]
"""(name, text) of each."""

MARK = "+"
"""Before the hash of such files in a mapping version."""

_files: Files = ()
_bare = False


def read(paths: Iterable[Path]) -> Files:
    """The files, checked whole.

    Raises:
        MappingError: one says something that cannot be: where, and what.
        OSError: one cannot be read.
    """
    from tracelake.normalize import lines, mapping, shapes
    from tracelake.normalize.mapping_file import MappingError

    found = []
    for path in paths:
        try:
            found.append((str(path), path.read_text("utf-8-sig")))
        except UnicodeDecodeError as error:
            raise MappingError(f"{path}: is not UTF-8 text: {error}") from error
    files = tuple(found)
    mapping.read(files)
    shapes.check(files)
    lines.read(files)
    return files


def use(files: Files) -> None:
    """From now on these hold in this process; none: the shipped ones alone."""
    global _files
    _files = files


def files() -> Files:
    """The files that hold now."""
    return _files


@contextmanager
def bare() -> Iterator[None]:
    """Inside it there is no mapping and no shape: every record is complete in `raw_event`."""
    global _bare
    _bare = True
    try:
        yield
    finally:
        _bare = False


def is_bare() -> bool:
    """Whether that holds now."""
    return _bare


def mark(files: Files) -> str:
    """What files add to a mapping version; "" where there are none."""
    if not files:
        return ""
    digest = hashlib.sha256()
    for _, text in files:
        digest.update(text.encode() + b"\0")
    return MARK + digest.hexdigest()[:8]


def mark_of(version: str) -> str:
    """The part of a mapping version that such files added."""
    return MARK + version.partition(MARK)[2] if MARK in version else ""
