"""Sources read anew: their rows take the place of the old ones, in one commit a table.

Each table's commit takes out the files with rows of these sources and puts in the new ones, and one
with the rows of other sources that stood in the same files. All of it counts from the commit of
`artifact` on, which is the last: until then whoever looks at the lake goes on seeing the files that
were taken out, since the log says by what (the tag `by`, here the name of the swap), and not the
new ones, since their units are not complete. So at every moment each source is there once, read by
the one version or by the other, in all tables.

A run that was killed in between leaves a swap that never comes to count. Who swaps next says so in
`artifact` first (`void-...`: then nobody can complete it any more), and undoes it in its tables
together with its own commit.
"""

import random
import time
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tracelake.lake.disk import Place, sync_folder
from tracelake.lake.errors import LakeError
from tracelake.lake.pack import is_pack
from tracelake.lake.rows import read
from tracelake.lake.state import (
    Added,
    Removed,
    Seen,
    State,
    add_action,
    remove_action,
    unit_action,
)
from tracelake.lake.statistics import from_footer, to_json
from tracelake.lake.unit import BOOKS, MERGED, SWAP, DataFile, WrittenUnit, unit_of
from tracelake.lake.writer import UnitWriter

if TYPE_CHECKING:
    from tracelake.lake.lake import Lake

VOID = "void-"
TRIES = 50

AGAIN = -1
"""Number under which `artifact` lists further names of a source; those stay."""


class Overtaken(LakeError):
    """Another process reads the same sources anew, and has undone this swap."""


def swap_name(mark: str, number: int) -> str:
    """The name of a run's swap.

    Args:
        mark: of the run, which also stands in the names of all files that it writes anew.
    """
    return f"{SWAP}{mark}-{number}"


def replace(
    lake: "Lake", units: Sequence[WrittenUnit], sources: Collection[str], swap: str
) -> None:
    """Puts what units wrote in the place of all rows of their sources.

    Args:
        units: all that the sources consist of now.
        sources: their ids.
        swap: of `swap_name`.

    Raises:
        Overtaken: another process did the same at the same time; nothing of this is seen.
        LakeError, OSError: as for a commit.
    """
    one = _Swap(lake, units, frozenset(sources), swap)
    tables = sorted(path.parent.name for path in lake.root.glob("*/_delta_log"))
    new = {table for unit in units for table in (*unit.files, *unit.books)}
    data = [name for name in sorted({*tables, *new}) if name not in BOOKS]
    for table in (*data, "source", "artifact"):
        one.table(table)


class _Swap:
    def __init__(
        self, lake: "Lake", units: Sequence[WrittenUnit], sources: frozenset[str], swap: str
    ) -> None:
        self._lake = lake
        self._units = units
        self._sources = sources
        self._short = frozenset(source[:16] for source in sources)
        self._swap = swap
        self._wanted = pa.array(sorted(sources), pa.string())

    def table(self, table: str) -> None:
        """Swaps one table."""
        folder = self._lake.root / table
        new = [file for unit in self._units for file in unit.files.get(table, ())]
        for file in new:
            if not (folder / file.name).exists():
                raise LakeError(f"{folder / file.name}: is gone, before it was committed")
        for _ in range(TRIES):
            state = State.read(folder)
            books = State.read(self._lake.root / "artifact")
            if books is None:
                raise LakeError(f"{self._lake.root}: has nothing that could be read anew")
            if VOID + self._swap in books.units:
                raise Overtaken(
                    f"{self._lake.root}: another process reads the same sources anew; "
                    "run the command again"
                )
            if state is None:
                if not new:
                    return
                self._begin(table)
                continue
            if self._voided(table, state, books):
                continue
            written: list[DataFile] = []
            actions = self._actions(table, state, books, new, written)
            if not actions:
                return
            sync_folder(folder)
            if state.commit(actions, "REPLACE"):
                return
            for file in written:
                (folder / file.name).unlink(missing_ok=True)
            time.sleep(random.uniform(0.0, 0.02))
        raise LakeError(f"{folder}: lost {TRIES} races for a commit")

    def _begin(self, table: str) -> None:
        """Makes a table that is not there; another process may do the same."""
        from tracelake.lake.begin import begin

        (self._lake.root / table).mkdir(exist_ok=True)
        keeps = self._lake.layout(table).keeps
        said = {"delta.dataSkippingStatsColumns": ",".join(keeps)} if keeps else {}
        begin(self._lake.root / table, self._lake.schema(table), said, [], [])

    def _actions(
        self,
        table: str,
        state: State,
        books: State,
        new: Sequence[DataFile],
        written: list[DataFile],
    ) -> list[dict[str, Any]]:
        """What is to be committed; files that are written for it are added to `written`."""
        folder = self._lake.root / table
        seen = Seen(books.version, books.units.keys())
        there: dict[str, Added | Removed] = {
            name: file for name, file in state.files.items() if self._counts(table, name, seen)
        }
        back: dict[str, Removed] = {}
        dead: list[str] = []
        if table != "artifact":
            back = {n: old for n, old in state.standing_in(seen) if self._counts(table, n, seen)}
            there |= back
            marks = {name.removeprefix(SWAP).partition("-")[0] for name in _stale(state, seen)}
            dead = [
                name for name in state.files
                if not seen.is_in(unit_of(name) or "") and any(mark in name for mark in marks)
            ]
        gone, left = self._without(table, folder, there)
        written += left
        rows = [unit.book(table) for unit in self._units if table in unit.books]
        added = list(new)
        if rows:
            made = self._write(table, [batch.cast(self._lake.schema(table)) for batch in rows])
            written += made
            added += made
        ids = sorted({name for unit in self._units if table in unit.files or table in unit.books
                      for name in self._ids(table, unit)})
        actions = [
            *(remove_action(name, there[name], self._swap, True) for name in gone),
            *(remove_action(name, state.files[name], self._swap, True) for name in dead),
            *(self._again(table, folder, name, old)
              for name, old in back.items() if name not in gone),
            *(add_action(f.name, f.size, f.modified, f.stats) for f in (*left, *added)),
            *map(unit_action, ids),
        ]
        if table == "artifact":
            packs = [unit.unit for unit in self._units if is_pack(unit.unit)]
            actions += map(unit_action, [*packs, self._swap])
        return actions

    def _ids(self, table: str, unit: WrittenUnit) -> Iterable[str]:
        if table in unit.books and is_pack(unit.unit):
            return set(unit.book(table)["unit"].to_pylist())
        return unit.units(table)

    def _counts(self, table: str, name: str, seen: Seen) -> bool:
        """Whether a file is seen by who knows `artifact` as it is now."""
        unit = unit_of(name) or ""
        if table == "artifact" or (table in BOOKS and not unit.startswith((MERGED, SWAP))):
            return True
        return seen.is_in(unit)

    def _voided(self, table: str, state: State, books: State) -> bool:
        """Says of swaps that others have begun here and not completed that they shall never count.
        True when there was one: all is to be looked at again, it may have been completed."""
        if table == "artifact":
            return False
        stale = _stale(state, Seen(books.version, books.units.keys()))
        ids = [VOID + name for name in sorted(stale) if VOID + name not in books.units]
        if ids:
            books.commit(map(unit_action, ids), "VOID")
        return bool(ids)

    def _without(
        self, table: str, folder: Place, files: dict[str, Added | Removed]
    ) -> tuple[list[str], list[DataFile]]:
        """Which files have rows of the sources, and new ones with their other rows."""
        gone: list[str] = []
        left: list[pa.Table] = []
        held = 0
        written: list[DataFile] = []
        for name in files:
            unit = unit_of(name) or ""
            if unit[:16] in self._short and not is_pack(unit):
                gone.append(name)
                continue
            if len(unit) > 16 and unit[16] == "-" and _is_hex(unit[:16]):
                continue  # of another source, by its name
            rows = self._others(table, folder / name)
            if rows is None:
                continue
            gone.append(name)
            if rows.num_rows:
                left.append(rows)
                held += rows.nbytes
            if held > 256 << 20:
                written += self._write(table, left)
                left, held = [], 0
        if left:
            written += self._write(table, left)
        return gone, written

    def _others(self, table: str, path: Place) -> pa.Table | None:
        """The rows of a file that stay; None where all do."""
        schema = self._lake.schema(table)
        ids = read(path, schema, ["source_id"]).column("source_id").cast(pa.string())
        ours = pc.is_in(ids, self._wanted)
        if table == "artifact":
            numbers = read(path, schema, ["artifact_no"]).column("artifact_no")
            ours = pc.and_(ours, pc.not_equal(numbers, AGAIN))
        if not pc.any(ours).as_py():
            return None
        return read(path, schema).filter(pc.invert(ours))

    def _write(self, table: str, parts: Sequence[pa.Table]) -> list[DataFile]:
        writer = UnitWriter(self._lake, self._swap, books=())
        with writer:
            for part in parts:
                for batch in part.combine_chunks().to_batches(max_chunksize=122_880):
                    writer.write(table, batch)
            return list(writer.close().files.get(table, ()))

    def _again(self, table: str, folder: Place, name: str, old: Removed) -> dict[str, Any]:
        """Puts a file in again that a void swap had taken out."""
        footer = pq.read_metadata(folder / name)
        keeps = self._lake.layout(table).keeps
        stats = to_json(from_footer(footer, keeps), keeps)
        stat = (folder / name).stat()
        return add_action(name, stat.st_size, int(stat.st_mtime * 1000), stats)


def _stale(state: State, seen: Seen) -> set[str]:
    """The swaps that were begun in a table and do not count."""
    found = {old.by for _, old in state.standing_in(seen) if old.by.startswith(SWAP)}
    names = (unit_of(name) or "" for name in state.files)
    return found | {unit for unit in names if unit.startswith(SWAP) and not seen.is_in(unit)}


def _is_hex(text: str) -> bool:
    return all(letter in "0123456789abcdef" for letter in text)
