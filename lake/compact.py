"""Merging small files, while others read and write.

A merge reads files whose units are all complete and writes their rows again (`merge.py`), then
takes the old files out and puts the new one in with one commit, which changes no rows (`dataChange`
is false). Its name says in which version of `artifact` those units are complete: who looks at the
lake as of an earlier one goes on seeing the old files (`snapshot.py`). Should one of them be gone
from the table meanwhile, the merge is given up, and the next run looks again.

Files are merged with those of their size: each time all small files were merged anew, a day of
sensors would write each row a hundred times. `compact(..., everything=True)` merges whatever is not
full.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from tracelake.lake.disk import sync_folder
from tracelake.lake.errors import LakeError
from tracelake.lake.merge import merge
from tracelake.lake.state import Added, State, add_action, remove_action
from tracelake.lake.unit import BOOKS, MERGED, DataFile

if TYPE_CHECKING:
    from tracelake.lake.lake import Lake
    from tracelake.lake.snapshot import Snapshot

FULL = 500_000
"""Rows from which on a file is left as it is."""

MOST_ROWS = 1_000_000
MOST_BYTES = 192 << 20
"""Of the files of one merge, as they are on disk: some four times that in memory."""

MOST_FILES = 20_000

STEP = 8
"""Files of about one size are merged when there are so many: a row is written again as often as its
file grows by this factor."""

TRIES = 50


@dataclass(frozen=True, slots=True)
class Merged:
    """One merge.

    Attributes:
        table: its name. files, rows: that were merged. size: their bytes.
        new_files, new_size: what they are now.
        lost: whether it was given up, since another process replaced a file meanwhile.
    """

    table: str
    files: int
    rows: int
    size: int
    new_files: int
    new_size: int
    lost: bool = False


def compact(
    lake: "Lake", tables: Sequence[str] | None = None, everything: bool = True
) -> Iterator[Merged]:
    """Merges the small files of an engagement, and says each merge.

    Args:
        tables: those; None: all.
        everything: all files that are not full; otherwise only where there are many of one size.

    Raises:
        OSError: a file cannot be read or written; what was merged stays.
    """
    snapshot = lake.snapshot()
    for table in snapshot.tables if tables is None else tables:
        for names in groups(table, snapshot.current(table), everything):
            yield _merge(lake, snapshot, table, names)


def groups(table: str, files: dict[str, Added], everything: bool) -> Iterator[list[str]]:
    """Which files are merged with each other: neighbours in time.

    Args:
        files: those that are seen.
    """
    small = []
    for name, file in files.items():
        said = orjson.loads(file.stats) if file.stats else {}
        rows = said.get("numRecords")
        if rows is None or rows >= FULL or file.size >= MOST_BYTES // 2:
            continue
        begins = "" if table in BOOKS else said.get("minValues", {}).get("time") or ""
        small.append((begins, file.modified, name, rows, file.size))
    small.sort()
    levels: dict[int, list[tuple[str, int, str, int, int]]] = {}
    for one in small:
        level = 0 if everything else _level(one[3])
        levels.setdefault(level, []).append(one)
    for _, level_files in sorted(levels.items()):
        if len(level_files) < (2 if everything else STEP):
            continue
        group: list[str] = []
        held = size = 0
        for _, _, name, rows, length in level_files:
            full = held + rows > MOST_ROWS or size + length > MOST_BYTES
            if group and (full or len(group) >= MOST_FILES):
                if len(group) > 1:
                    yield group
                group, held, size = [], 0, 0
            group.append(name)
            held += rows
            size += length
        if len(group) > 1:
            yield group


def _level(rows: int) -> int:
    """The power of `STEP` that a number of rows has reached."""
    level = 0
    while rows >= STEP:
        rows //= STEP
        level += 1
    return level


def _merge(lake: "Lake", snapshot: "Snapshot", table: str, names: list[str]) -> Merged:
    seen = snapshot.seen(table)
    size = sum(seen[name].size for name in names)
    unit = f"{MERGED}{snapshot.versions['artifact']}-{secrets.token_hex(8)}"
    try:
        files, rows = merge(lake, table, names, unit)
    except FileNotFoundError:
        # Merged by another process, and gone after the retention: a very old snapshot.
        return Merged(table, len(names), 0, size, 0, 0, lost=True)
    counted = sum(file.rows for file in files)
    if counted != rows:
        _discard(lake, table, files)
        raise LakeError(f"{lake.root / table}: {rows} rows were read and {counted} written")
    if not commit(lake, table, names, files, unit):
        _discard(lake, table, files)
        return Merged(table, len(names), 0, size, 0, 0, lost=True)
    return Merged(table, len(names), rows, size, len(files), sum(file.size for file in files))


def commit(
    lake: "Lake", table: str, names: Sequence[str], files: Sequence[DataFile], unit: str
) -> bool:
    """Puts files in the place of others; False where those are not all in the table any more."""
    path = lake.root / table
    sync_folder(path)
    for _ in range(TRIES):
        state = State.read(path, with_units=False)
        if state is None or not state.files.keys() >= set(names):
            return False
        actions = [
            *(remove_action(name, state.files[name], unit, False) for name in names),
            *(add_action(f.name, f.size, f.modified, f.stats, change=False) for f in files),
        ]
        if state.commit(actions, "OPTIMIZE"):
            return True
    raise LakeError(f"{path}: lost {TRIES} races for a commit")


def _discard(lake: "Lake", table: str, files: Sequence[DataFile]) -> None:
    for file in files:
        (lake.root / table / file.name).unlink(missing_ok=True)
