"""Group commit, exactly once: all units that are ready go into one commit per table.

Each commit carries a Delta transaction id per unit. A table's state (`state.py`) is kept from
commit to commit and brought up to date before each; a commit is one file of the log, put there only
where none of its version is. Who comes second takes in what the first one wrote, looks again at
what is in, and tries the next version: so between the look and the commit nothing slips through.

Tables are committed one by one, `artifact` after the data and `source` last: a unit is
complete when its `artifact` row is in, and readers leave the others out.
"""

import random
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tracelake.lake import marker
from tracelake.lake.begin import begin
from tracelake.lake.checkpoint import AFTER
from tracelake.lake.disk import sync_folder
from tracelake.lake.errors import LakeError
from tracelake.lake.evolution import fields_of, new_columns
from tracelake.lake.pack import divided, is_pack, shares_of, without
from tracelake.lake.schema import schema_json
from tracelake.lake.state import State, add_action, remove_action, unit_action
from tracelake.lake.store import each
from tracelake.lake.unit import BOOKS, DataFile, WrittenUnit, unit_of
from tracelake.lake.writer import UnitWriter

if TYPE_CHECKING:
    from tracelake.lake.lake import Lake

CHECKPOINT_EVERY = 100
"""Commits of a table, at least. To read one costs about a tenth of a millisecond."""

CHECKPOINT_SHARE = 100
"""Of the files and ids that a checkpoint lists: so many per commit, so that to write them all again
is the smaller part of what commits cost."""

TRIES = 50
"""Lost races for one commit after which something else must be wrong."""

_AFTER_DATA = ("damage", "evtx_file", "artifact", "source")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a group commit did.

    Attributes:
        landed: units of which anything went in.
        skipped: units that had been in before; their new files were removed.
    """

    landed: tuple[str, ...]
    skipped: tuple[str, ...]


class Committer:
    """Commits units to one engagement; keeps the state of each table."""

    def __init__(self, lake: "Lake") -> None:
        self._lake = lake
        marker.renew(lake.root)
        self._states: dict[str, State] = {}
        self._dividing = threading.Lock()

    def commit(self, units: Sequence[WrittenUnit]) -> Outcome:
        """Commits what the units wrote, in the order that makes them complete last.

        Raises:
            LakeError: a table's log refuses the commit for another reason than a lost race.
            OSError: the log could not be written.
        """
        first: dict[str, WrittenUnit] = {}
        again: list[WrittenUnit] = []
        for unit in units:
            if first.setdefault(unit.unit, unit) is not unit:
                again.append(unit)
        for unit in again:
            for table, files in unit.files.items():
                self._remove(table, files)

        tables = {table for unit in first.values() for table in (*unit.files, *unit.books)}
        data = sorted(tables.difference(_AFTER_DATA))
        named = {name for unit in first.values() for t in unit.files for name in unit.units(t)}
        new: set[str] = set()
        units = list(first.values())
        # No table of data waits for another one: on S3, where each waits for answers, all go at
        # once.
        done = each(self._lake.root, lambda table: self._commit_table(table, units), data)
        for table in _AFTER_DATA:
            if table in tables:
                done.append(self._commit_table(table, units))
        for landed, all_named in done:
            new |= landed
            named |= all_named
        named -= {name for name in named if is_pack(name)}
        ordered = sorted(named, key=list(first).index) if named <= first.keys() else sorted(named)
        return Outcome(
            tuple(name for name in ordered if name in new),
            tuple(name for name in ordered if name not in new),
        )

    def _commit_table(
        self, table: str, units: Sequence[WrittenUnit]
    ) -> tuple[set[str], set[str]]:
        """Commits what the units have for a table.

        Returns:
            the units that went in, and of books all.
        """
        theirs = [unit for unit in units if table in unit.files or table in unit.books]
        try:
            if table in BOOKS:
                return self._commit_books(table, theirs)
            return self._commit_files(table, theirs), set()
        except OSError as error:
            self._states.pop(table, None)
            if error.filename is None:  # what is written through an open file names none
                where = str(self._lake.root / table)
                raise OSError(error.errno, error.strerror or str(error), where) from error
            raise

    def _commit_files(self, table: str, units: Sequence[WrittenUnit]) -> set[str]:
        """Commits the units' files, without what is in already; names of those that went in."""
        have = {unit.unit: (unit.files[table], unit.units(table)) for unit in units}
        landed: set[str] = set()
        for _ in range(TRIES):
            state = self._state(table)
            there = state.units.keys() if state else set[str]()
            wanted = [name for _, names in have.values() for name in names]
            # One at a time: it looks at `artifact`.
            with self._dividing:
                whole = state is None or self._divide(table, state, there & set(wanted))
            if not whole:
                continue
            for unit, (files, names) in have.items():
                gone = there & set(names)
                if is_pack(unit) and 0 < len(gone) < len(names):
                    left, shares = without(self._lake, table, unit, files[0], gone)
                    self._remove(table, files)
                    have[unit] = ((left,), [name for name, _ in shares])
            fresh = {u: each for u, each in have.items() if not there >= set(each[1])}
            if not fresh or self._try(
                table,
                state,
                [name for _, names in fresh.values() for name in names],
                [file for files, _ in fresh.values() for file in files],
            ):
                landed = {name for _, names in fresh.values() for name in names}
                lost = [files for unit, (files, _) in have.items() if unit not in fresh]
                break
        else:
            raise LakeError(f"{self._lake.root / table}: lost {TRIES} races for a commit")
        self._remove_unless_used(table, [file for files in lost for file in files])
        return landed

    def _divide(self, table: str, state: State, there: set[str]) -> bool:
        """Divides the files of packs that hold rows of units that are in the table and not
        complete: whoever completes such a unit must not leave its rows in a pack that may never
        be. True when there is none, or none left."""
        if not there:
            return True
        books = self._state("artifact")
        done = books.units.keys() if books else set[str]()
        stuck = there - done
        if not stuck:
            return True
        packs = [
            name for name in state.files if is_pack(unit := unit_of(name)) and unit not in done
        ]
        for name in packs:
            mark = f"divided-{name}"
            shares = shares_of(self._lake.root / table / name)
            if mark in state.units or stuck.isdisjoint(unit for unit, _ in shares):
                continue
            files = [file for each in divided(self._lake, table, name).values() for file in each]
            if not self._try(table, state, [mark], files, [name]):
                self._remove_unless_used(table, files)
            return False
        return True

    def _commit_books(
        self, table: str, units: Sequence[WrittenUnit]
    ) -> tuple[set[str], set[str]]:
        """Writes one file with the rows of all units that are not in yet, and commits it.

        Returns:
            the units that went in, and all.
        """
        rows = {unit.unit: unit.book(table) for unit in units}
        names = {
            unit: set(book["unit"].to_pylist()) if is_pack(unit) else {unit}
            for unit, book in rows.items()
        }
        everyone = {name for theirs in names.values() for name in theirs}
        for _ in range(TRIES):
            state = self._state(table)
            there = state.units.keys() if state else set[str]()
            wanted = [name for name in sorted(everyone) if name not in there]
            if not wanted:
                return set(), everyone
            fresh = []
            for unit, book in rows.items():
                if is_pack(unit):
                    kept = pc.is_in(book["unit"].cast(pa.string()), pa.array(wanted))
                    fresh.append(book.filter(kept))
                elif unit in wanted:
                    fresh.append(book)
            file = self._write_books(table, fresh)
            packs = [u for u in rows if table == "artifact" and is_pack(u) and u not in there]
            if self._try(table, state, [*wanted, *packs], [file]):
                return set(wanted), everyone
            self._remove_unless_used(table, [file])
        raise LakeError(f"{self._lake.root / table}: lost {TRIES} races for a commit")

    def _write_books(self, table: str, books: Sequence[pa.Table]) -> DataFile:
        schema = self._lake.schema(table)
        rows = pa.concat_tables([book.cast(schema) for book in books])
        # More random digits than an attempt has: all files of books share one name.
        writer = UnitWriter(self._lake, f"books-{secrets.token_hex(8)}", books=())
        for batch in rows.combine_chunks().to_batches():
            writer.write(table, batch)
        return writer.close().files[table][0]

    def _try(
        self,
        table: str,
        state: State | None,
        units: Sequence[str],
        files: Sequence[DataFile],
        instead_of: Sequence[str] = (),
    ) -> bool:
        """One attempt at a commit; False when another process came first."""
        path = self._lake.root / table
        for file in files:
            # What a sweep took for the leavings of a killed run must not get into the log.
            if not (path / file.name).exists():
                raise LakeError(f"{path / file.name}: is gone, before it was committed")
        if state is None:
            return begin(path, self._lake.schema(table), self._configuration(table), files, units)
        # Files are on disk; their names must be too, before the log says that they are there.
        sync_folder(path)
        after = self._after(table)
        actions = [
            *(add_action(f.name, f.size, f.modified, f.stats, not instead_of, after)
              for f in files),
            *(remove_action(name, state.files[name], "", False) for name in instead_of),
            *map(unit_action, units),
        ]
        if state.commit(actions, "WRITE"):
            return True
        time.sleep(random.uniform(0.0, 0.02))
        return False

    def _after(self, table: str) -> dict[str, str] | None:
        """What a file of `source` says of itself: which version of `artifact` was there before."""
        if table != "source" or "artifact" not in self._states:
            return None
        return {AFTER: str(self._states["artifact"].version)}

    def _state(self, table: str) -> State | None:
        """The table as it is now; None while there is no such table."""
        # What is refused is not kept, to be refused again.
        state = self._states.pop(table, None)
        if state is None:
            state = State.read(self._lake.root / table)
            if state is None:
                return None
            checked = None
        else:
            checked = state.metadata
            state.advance()
        while state.metadata is not checked and self._add_columns(table, state):
            state.advance()
        self._states[table] = state
        size = len(state.files) + len(state.units)
        if state.version - max(state.base, 0) >= max(CHECKPOINT_EVERY, size // CHECKPOINT_SHARE):
            state.write_checkpoint()
        return state

    def _add_columns(self, table: str, state: State) -> bool:
        """Adds columns that the table does not have yet; whether to look again.

        Raises:
            NewerFormat: it has columns that are not known here.
            LakeError: a column is there with another type.
        """
        fields = state.latest_schema()
        schema = self._lake.schema(table)
        names = set(new_columns(self._lake.root / table, fields, schema))
        if not names:
            return False
        ours = fields_of(schema_json(schema))
        new = [{**field, "nullable": True} for field in ours if field["name"] in names]
        metadata = {
            **state.metadata,
            "schemaString": orjson.dumps({"type": "struct", "fields": [*fields, *new]}).decode(),
            "configuration": state.metadata.get("configuration", {}) | self._configuration(table),
        }
        # Another process that adds them at the same time is as good.
        state.commit([{"metaData": metadata}], "ADD COLUMN")
        return True

    def _configuration(self, table: str) -> dict[str, str]:
        """Says which columns have statistics: by default engines look at the first 32 only."""
        keeps = self._lake.layout(table).keeps
        return {"delta.dataSkippingStatsColumns": ",".join(keeps)} if keeps else {}

    def _remove_unless_used(self, table: str, files: Sequence[DataFile]) -> None:
        """Removes files that lost, unless the log holds them: then a commit that seemed to
        fail had in fact succeeded."""
        if not files:
            return
        state = self._state(table)
        used = state.files.keys() if state else set[str]()
        self._remove(table, [file for file in files if file.name not in used])

    def _remove(self, table: str, files: Sequence[DataFile]) -> None:
        for file in files:
            (self._lake.root / table / file.name).unlink(missing_ok=True)
