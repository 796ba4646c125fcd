"""Whether an engagement's logs, files and footers still agree.

What a log says of a file is trusted by every reader: a wrong bound hides rows, and a path is
accepted although nothing is there. Here each is compared with the file itself.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tracelake.lake import log
from tracelake.lake.snapshot import Snapshot
from tracelake.lake.statistics import Bound, from_footer
from tracelake.lake.store import footer, place_at
from tracelake.lake.unit import BOOKS, unit_of

if TYPE_CHECKING:
    from tracelake.lake.lake import Lake

GRACE = 3600.0
"""Seconds before a file that no log mentions counts as an orphan: a running ingest has some."""


@dataclass(slots=True)
class Checked:
    """What was found about one thing.

    Attributes:
        subject: a table's folder.
        checks: how many things were compared.
        wrong: what does not hold.
        notes: what does no harm and should be known.
    """

    subject: str
    checks: int = 0
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def expect(self, holds: bool, otherwise: str) -> None:
        """Notes down one comparison."""
        self.checks += 1
        if not holds:
            self.wrong.append(otherwise)


@dataclass(frozen=True, slots=True)
class Orphan:
    """A Parquet file that no log mentions, left by a run that was killed.

    Attributes:
        path: absolute.
        size: bytes.
        age: seconds since it was last written.
    """

    path: str
    size: int
    age: float


def verify(lake: "Lake", grace: float = GRACE) -> Iterator[Checked]:
    """Checks each table's files against its log, and looks for files that no log mentions.

    Raises nothing for what is wrong: it is in `wrong`.
    """
    snapshot = lake.snapshot()
    left = orphans(lake, grace)
    folders = {*snapshot.tables, *(place_at(orphan.path).parent.name for orphan in left)}
    for table in sorted(folders):
        checked = Checked(str(lake.root / table))
        if table in snapshot.versions:
            _files(lake, snapshot, table, checked)
        for orphan in left:
            if place_at(orphan.path).parent.name == table:
                checked.notes.append(
                    f"{place_at(orphan.path).name}: no log mentions it ({orphan.size} bytes, "
                    f"{orphan.age / 3600:.1f} hours old), a killed run left it"
                )
        yield checked


def orphans(lake: "Lake", grace: float = GRACE) -> list[Orphan]:
    """Parquet files that no log mentions and that are older than `grace` seconds."""
    found = []
    now = time.time()
    for table in sorted(path.name for path in lake.root.iterdir() if path.is_dir()):
        folder = lake.root / table
        # The files first: one that is committed after its log was read would look lost.
        files = sorted(
            (path.name, stat.st_size, stat.st_mtime)
            for path in folder.glob("*.parquet")
            for stat in (path.stat(),)
        )
        mentioned = log.mentioned(folder) if files else set()
        for name, size, written in files:
            if name not in mentioned and now - written > grace:
                found.append(Orphan(str(folder / name), size, now - written))
    return found


def _files(lake: "Lake", snapshot: Snapshot, table: str, checked: Checked) -> None:
    actions = snapshot.actions(table)
    kinds = snapshot.kinds(table)
    bounded = [name for name in kinds if f"min.{name}" in actions.column_names]
    counted = [name for name in kinds if f"null_count.{name}" in actions.column_names]
    keeps = {name: kinds[name] for name in {*bounded, *counted}}
    unfinished = set()
    for said in _rows(actions, keeps):
        name = said["path"]
        unit = unit_of(name)
        if table not in BOOKS:
            checked.expect(
                unit is not None, f"{name}: its name says no unit, its rows are not shown"
            )
            if unit is not None and not snapshot.is_complete(unit):
                unfinished.add(unit)
        path = lake.root / table / name
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            checked.expect(False, f"{name}: the log has it, the folder has not")
            continue
        checked.expect(
            size == said["size_bytes"], f"{name}: has {size} bytes, {said['size_bytes']} in the log"
        )
        try:
            found = from_footer(footer(path), keeps)
        except (OSError, pa.ArrowException) as error:
            checked.expect(False, f"{name}: its footer cannot be read: {error}".splitlines()[0])
            continue
        rows = said["num_records"]
        if rows is not None:
            checked.expect(rows == found.rows, f"{name}: has {found.rows} rows, {rows} in the log")
        for column in counted:
            nulls, there = said[f"null_count.{column}"], found.nulls.get(column)
            if nulls is not None:
                checked.expect(
                    nulls == there, f"{name}: {column} has {there} nulls, {nulls} in the log"
                )
        for column in bounded:
            low, lowest = said[f"min.{column}"], found.lowest.get(column)
            if low is not None:
                checked.expect(
                    _not_above(low, lowest),
                    f"{name}: {column} begins at {lowest}, at {low} in the log",
                )
            high, highest = said[f"max.{column}"], found.highest.get(column)
            if high is not None:
                checked.expect(
                    _not_above(highest, high),
                    f"{name}: {column} ends at {highest}, at {high} in the log",
                )
    if unfinished:
        checked.notes.append(
            f"{len(unfinished)} units are not complete, their rows are not shown: "
            "ingest their sources again to complete them"
        )


def _not_above(low: Bound | None, high: Bound | None) -> bool:
    """Whether the bounds are in order; without one of them they cannot be."""
    if isinstance(low, int) and isinstance(high, int):
        return low <= high
    if isinstance(low, str) and isinstance(high, str):
        return low <= high
    return False


def _rows(actions: pa.Table, keeps: dict[str, pa.DataType]) -> Iterator[dict[str, Any]]:
    """What the log says of each file; times in microseconds."""
    for name, kind in keeps.items():
        if pa.types.is_timestamp(kind):
            for side in (f"min.{name}", f"max.{name}"):
                index = actions.schema.get_field_index(side)
                if index >= 0:
                    times = actions.column(index).cast(pa.timestamp("us", tz="UTC"))
                    actions = actions.set_column(index, side, times.cast(pa.int64()))
    for batch in actions.to_batches(max_chunksize=1000):
        yield from batch.to_pylist()
