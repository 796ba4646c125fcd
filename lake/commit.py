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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake import (
    CommitProperties,
    DeltaTable,
    Field,
    PostCommitHookProperties,
    Schema,
    Transaction,
)
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from tracelake.lake import log
from tracelake.lake.disk import sync_folder
from tracelake.lake.errors import LakeError
from tracelake.lake.schema import delta_schema
from tracelake.lake.unit import BOOKS, DataFile, WrittenUnit
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
        new: set[str] = set()
        for table in (*data, *(name for name in _AFTER_DATA if name in tables)):
            try:
                if table in BOOKS:
                    landed = self._commit_books(
                        table, {n: u for n, u in first.items() if table in u.books}
                    )
                else:
                    landed = self._commit_files(
                        table, {n: u.files[table] for n, u in first.items() if table in u.files}
                    )
            except OSError as error:
                self._handles.pop(table, None)
                raise _said(error, self._lake.root / table) from error
            new |= landed
        return Outcome(tuple(n for n in first if n in new), tuple(n for n in first if n not in new))

    def _commit_files(self, table: str, files: Mapping[str, Sequence[DataFile]]) -> set[str]:
        """Commits each unit's files unless the unit is in already; names of those that went in."""
        landed: set[str] = set()
        for _ in range(TRIES):
            handle = self._handle(table)
            wanted = [unit for unit in files if not handle or unit not in handle.units]
            if not wanted or self._try(
                table, handle, wanted, [file for unit in wanted for file in files[unit]]
            ):
                landed = set(wanted)
                break
        else:
            raise LakeError(f"{self._lake.root / table}: lost {TRIES} races for a commit")
        beaten = [file for unit, theirs in files.items() if unit not in landed for file in theirs]
        self._remove_unless_used(table, beaten)
        return landed

    def _commit_books(self, table: str, units: Mapping[str, WrittenUnit]) -> set[str]:
        """Writes one file with the rows of all units that are not in yet, and commits it."""
        for _ in range(TRIES):
            handle = self._handle(table)
            wanted = [unit for unit in units if not handle or unit not in handle.units]
            if not wanted:
                return set()
            file = self._write_books(table, [units[unit] for unit in wanted])
            if self._try(table, handle, wanted, [file]):
                return set(wanted)
            self._remove_unless_used(table, [file])
        raise LakeError(f"{self._lake.root / table}: lost {TRIES} races for a commit")

    def _write_books(self, table: str, units: Sequence[WrittenUnit]) -> DataFile:
        schema = self._lake.schema(table)
        rows = pa.concat_tables([unit.book(table).cast(schema) for unit in units])
        # More random digits than an attempt has: all files of books share one name.
        writer = UnitWriter(self._lake, f"books-{secrets.token_hex(8)}", books=())
        for batch in rows.combine_chunks().to_batches():
            writer.write(table, batch)
        return writer.close().files[table][0]

    def _try(
        self, table: str, handle: _Handle | None, units: Sequence[str], files: Sequence[DataFile]
    ) -> bool:
        """One attempt at a commit; False when another process came first."""
        path = self._lake.root / table
        # Files are on disk; their names must be too, before the log says that they are there.
        sync_folder(path)
        adds = [AddAction(f.name, f.size, {}, f.modified, True, f.stats) for f in files]
        ids = [Transaction(unit, 1) for unit in units]
        try:
            if handle is None:
                create_table_with_add_actions(
                    path.as_uri(),
                    self._schema(table),
                    adds,
                    mode="error",
                    configuration=self._configuration(table),
                    # With retries, the loser of a race for version 0 is put at version 1 without
                    # a look at the winner's ids (deltalake 1.6.6).
                    commit_properties=CommitProperties(app_transactions=ids, max_commit_retries=0),
                    post_commithook_properties=_NO_HOOKS,
                )
                log.sync(path, 0)
                return True
            handle.delta.create_write_transaction(
                list[AddAction | RemoveAction](adds),
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
            if handle is None and log.commit_path(path, 0).exists():
                return False  # somebody else created the table meanwhile
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
        if handle is None:
            try:
                delta = DeltaTable(path.as_uri())
                while self._add_columns(table, delta):
                    delta = DeltaTable(path.as_uri())
            except TableNotFoundError:
                return None
            version = delta.version()
            checkpoint = log.last_checkpoint(path) or 0
            handle = _Handle(delta, version, log.transactions(path, version), checkpoint)
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

    def _configuration(self, table: str) -> dict[str, str | None]:
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


def _said(error: OSError, path: Path) -> OSError:
    """The error with its number and path, neither of which deltalake gives."""
    if error.errno is not None:
        return error
    number = re.search(r"\(os error (\d+)\)", str(error))
    return OSError(int(number[1]) if number else errno.EIO, _one_line(error), str(path))
