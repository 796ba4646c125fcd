"""Group commit, exactly once: all units that are ready go into one commit per table.

Each commit carries a Delta transaction id per unit. `deltalake` compares ids only with commits
later than its handle's version, so what was committed up to there is read from the log by
ourselves (`log.py`), at that very version; between the two nothing slips through. A handle is
kept from commit to commit and brought up to date before each: to open one anew costs 60 to
100 ms in a table of 10,000 files, to go on with it 20.

Tables are committed one by one, `artifact` after the data and `source` last: a unit is
complete when its `artifact` row is in, and readers leave the others out.
"""

import contextlib
import errno
import random
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import (
    CommitProperties,
    DeltaTable,
    Field,
    PostCommitHookProperties,
    Schema,
    Transaction,
)
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from tracelake.lake import log, s3, store
from tracelake.lake.begin import begin
from tracelake.lake.errors import LakeError
from tracelake.lake.pack import divided, is_pack, shares_of, without
from tracelake.lake.schema import delta_schema
from tracelake.lake.store import Place, sync_folder
from tracelake.lake.unit import BOOKS, DataFile, WrittenUnit, unit_of
from tracelake.lake.writer import UnitWriter

if TYPE_CHECKING:
    from tracelake.lake.lake import Lake

CHECKPOINT_EVERY = 100
"""Commits of a table. One costs 0.2 to 0.4 s at 10,000 files; each commit after it adds about
half a millisecond to opening the table."""

TRIES = 50
"""Lost races for one commit after which something else must be wrong."""

_AFTER_DATA = ("damage", "evtx_file", "artifact", "source")
# Checkpoints are made below, at a version that is known; logs are kept.
_NO_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a group commit did.

    Attributes:
        landed: units of which anything went in.
        skipped: units that had been in before; their new files were removed.
    """

    landed: tuple[str, ...]
    skipped: tuple[str, ...]


@dataclass(slots=True)
class _Handle:
    """A table as it stands at one version, with the units that are in it.

    `deltalake` does not move its handle by a commit: what came since, our own commits too, is
    in after the next `update_incremental`.
    """

    delta: DeltaTable
    version: int
    units: set[str]
    checkpoint: int
    options: dict[str, str] | None = None


class Committer:
    """Commits units to one engagement; keeps a handle per table."""

    def __init__(self, lake: "Lake") -> None:
        self._lake = lake
        self._handles: dict[str, _Handle] = {}
        self._schemas: dict[str, Schema] = {}

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
        for table in (*data, *(name for name in _AFTER_DATA if name in tables)):
            theirs = [unit for unit in first.values() if table in unit.files or table in unit.books]
            try:
                if table in BOOKS:
                    landed, all_named = self._commit_books(table, theirs)
                    named |= all_named
                else:
                    landed = self._commit_files(table, theirs)
            except OSError as error:
                self._handles.pop(table, None)
                raise _said(error, self._lake.root / table) from error
            new |= landed
        named -= {name for name in named if is_pack(name)}
        ordered = sorted(named, key=list(first).index) if named <= first.keys() else sorted(named)
        return Outcome(
            tuple(name for name in ordered if name in new),
            tuple(name for name in ordered if name not in new),
        )

    def _commit_files(self, table: str, units: Sequence[WrittenUnit]) -> set[str]:
        """Commits the units' files, without what is in already; names of those that went in."""
        have = {unit.unit: (unit.files[table], unit.units(table)) for unit in units}
        landed: set[str] = set()
        for _ in range(TRIES):
            handle = self._handle(table)
            there = handle.units if handle else set()
            wanted = [name for _, names in have.values() for name in names]
            if handle and not self._divide(table, handle, there.intersection(wanted)):
                continue
            for unit, (files, names) in have.items():
                gone = there.intersection(names)
                if is_pack(unit) and 0 < len(gone) < len(names):
                    left, shares = without(self._lake, table, unit, files[0], gone)
                    self._remove(table, files)
                    have[unit] = ((left,), [name for name, _ in shares])
            fresh = {u: each for u, each in have.items() if not there.issuperset(each[1])}
            if not fresh or self._try(
                table,
                handle,
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

    def _divide(self, table: str, handle: "_Handle", there: set[str]) -> bool:
        """Divides the files of packs that hold rows of units that are in the table and not
        complete: whoever completes such a unit must not leave its rows in a pack that may never
        be. True when there is none, or none left."""
        if not there:
            return True
        books = self._handle("artifact")
        done = books.units if books else set()
        stuck = there - done
        if not stuck:
            return True
        names = pa.table(handle.delta.get_add_actions()).column("path").to_pylist()
        packs = [name for name in names if is_pack(unit := unit_of(name)) and unit not in done]
        for name in packs:
            mark = f"divided-{name}"
            shares = shares_of(self._lake.root / table / name)
            if mark in handle.units or stuck.isdisjoint(unit for unit, _ in shares):
                continue
            files = [file for each in divided(self._lake, table, name).values() for file in each]
            old = RemoveAction(name, False, time.time_ns() // 1_000_000)
            if not self._try(table, handle, [mark], files, [old]):
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
            handle = self._handle(table)
            there = handle.units if handle else set()
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
            if self._try(table, handle, [*wanted, *packs], [file]):
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
        handle: _Handle | None,
        units: Sequence[str],
        files: Sequence[DataFile],
        instead_of: Sequence[RemoveAction] = (),
    ) -> bool:
        """One attempt at a commit; False when another process came first."""
        path = self._lake.root / table
        if handle is None:
            return begin(path, self._lake.schema(table), self._configuration(table), files, units)
        # Files are on disk; their names must be too, before the log says that they are there.
        sync_folder(path)
        new = not instead_of
        adds = [AddAction(f.name, f.size, {}, f.modified, new, f.stats) for f in files]
        ids = [Transaction(unit, 1) for unit in units]
        try:
            handle.delta.create_write_transaction(
                [*adds, *instead_of],
                "append",
                self._schema(table),
                commit_properties=CommitProperties(app_transactions=ids),
                post_commithook_properties=_NO_HOOKS,
            )
        except CommitFailedError:
            self._lost(table)
            return False
        except DeltaError as error:
            self._handles.pop(table, None)
            if not isinstance(path, Path):
                raise s3.said(error, str(path)) from error
            raise LakeError(f"{path}: {_one_line(error)}") from error
        log.sync(path, handle.version + 1)
        return True

    def _lost(self, table: str) -> None:
        self._handles.pop(table, None)
        time.sleep(random.uniform(0.0, 0.02))

    def _handle(self, table: str) -> _Handle | None:
        """The table as it is now; None while there is no such table."""
        path = self._lake.root / table
        handle = self._handles.get(table)
        options = store.options(path)
        if handle is not None and handle.options != options:
            handle = None  # its credentials were replaced by newer ones
        if handle is None:
            if not (path / "_delta_log").is_dir():
                return None  # said by deltalake in half a millisecond
            try:
                delta = DeltaTable(path.as_uri(), storage_options=options)
                while self._add_columns(table, delta):
                    delta = DeltaTable(path.as_uri(), storage_options=options)
            except TableNotFoundError:
                return None
            version = delta.version()
            checkpoint = log.last_checkpoint(path) or 0
            units = log.transactions(path, version)
            handle = _Handle(delta, version, units, checkpoint, options)
            self._handles[table] = handle
        else:
            handle.delta.update_incremental()
            version = handle.delta.version()
            handle.units |= log.transactions(path, version, since=handle.version)
            handle.version = version
        if handle.version - handle.checkpoint >= CHECKPOINT_EVERY:
            handle.delta.create_checkpoint()
            handle.checkpoint = handle.version
        return handle

    def _add_columns(self, table: str, delta: DeltaTable) -> bool:
        """Adds columns that the table does not have yet; whether to look again.

        Raises:
            LakeError: a column is there with another type.
        """
        there = {field.name: field.type for field in delta.schema().fields}
        new = []
        for field in self._schema(table).fields:
            if field.name not in there:
                new.append(Field(field.name, field.type, nullable=True, metadata=field.metadata))
            elif there[field.name] != field.type:
                raise LakeError(
                    f"{self._lake.root / table}: column {field.name} is {there[field.name]} "
                    f"in the lake and {field.type} here"
                )
        if new:
            # Another process that adds them at the same time is as good.
            with contextlib.suppress(CommitFailedError):
                delta.alter.add_columns(new)
        return bool(new)

    def _schema(self, table: str) -> Schema:
        schema = self._schemas.get(table)
        if schema is None:
            schema = Schema.from_arrow(delta_schema(self._lake.schema(table)))
            self._schemas[table] = schema
        return schema

    def _configuration(self, table: str) -> dict[str, str]:
        """Says which columns have statistics: by default engines look at the first 32 only."""
        keeps = self._lake.layout(table).keeps
        return {"delta.dataSkippingStatsColumns": ",".join(keeps)} if keeps else {}

    def _remove_unless_used(self, table: str, files: Sequence[DataFile]) -> None:
        """Removes files that lost, unless the log holds them: then a commit that seemed to
        fail had in fact succeeded."""
        if not files:
            return
        handle = self._handle(table)
        used: set[str] = set()
        if handle:
            used = set(pa.table(handle.delta.get_add_actions()).column("path").to_pylist())
        self._remove(table, [file for file in files if file.name not in used])

    def _remove(self, table: str, files: Sequence[DataFile]) -> None:
        for file in files:
            (self._lake.root / table / file.name).unlink(missing_ok=True)


def _one_line(error: Exception) -> str:
    """deltalake's message, which is a coloured tree of causes over several lines."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines()
    return ": ".join(filter(None, (line.strip(" ↳") for line in lines)))


def _said(error: OSError, path: Place) -> OSError:
    """The error with its number and path, neither of which deltalake gives."""
    if error.errno is not None:
        return error
    if not isinstance(path, Path):
        return s3.said(error, str(path))
    number = re.search(r"\(os error (\d+)\)", str(error))
    return OSError(int(number[1]) if number else errno.EIO, _one_line(error), str(path))
