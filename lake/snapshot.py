"""The lake at one moment: which files a query reads.

`delta_scan` never prunes by time, so the lists come from the log itself: one version per
table, the files of complete units, and of these the ones whose times can be in the window.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from tracelake.lake import log, said
from tracelake.lake.disk import Place
from tracelake.lake.errors import LakeError
from tracelake.lake.evolution import Field
from tracelake.lake.rows import read
from tracelake.lake.schema import arrow_schema
from tracelake.lake.state import Added, Seen, State
from tracelake.lake.store import each, tables
from tracelake.lake.unit import BOOKS, MERGED, SWAP, unit_of

KEPT_FROM = "tracelake-kept-from"
"""The transaction of `artifact` that says from which of its versions on the lake can be seen: of
older ones the files may be gone."""

_MILLISECOND = timedelta(milliseconds=1)


class Snapshot:
    """One version of every table, and the units that were complete then.

    Attributes:
        root: the engagement's folder, absolute, or its prefix on S3.
        versions: table -> version of its log.
    """

    def __init__(self, root: Place, as_of: int | None = None) -> None:
        """Pins the tables.

        `artifact` first: what is complete in it had been committed to the other tables
        before, so it is whole in versions of them that are read later.

        Args:
            as_of: a version of `artifact`: the lake as it was then.

        Raises:
            LakeError: that version is not kept any more.
        """
        self.root = root
        self._states: dict[str, State] = {}
        self._files: dict[str, dict[str, Added]] = {}
        self._actions: dict[str, pa.Table] = {}
        self._books: dict[str, dict[str, list[dict[str, Any]]]] = {}
        if as_of is not None:
            _check_kept(root, as_of)
        self._pin("artifact", as_of)
        units: Mapping[str, int] = {}
        newest = -1
        if "artifact" in self._states:
            units, newest = self._states["artifact"].units, self._states["artifact"].version
        self._seen = Seen(newest, units.keys())
        self._complete = frozenset(units.keys() - {KEPT_FROM})
        # Looked for only now: a table could be made between the look and the pin before.
        each(root, self._pin, [name for name in tables(root) if name not in self._states])
        self.versions = {name: state.version for name, state in self._states.items()}

    def _pin(self, name: str, at: int | None = None) -> None:
        # A table being made has its folder before its first version.
        state = State.read(self.root / name, at, with_units=name == "artifact")
        if state is not None:
            self._states[name] = state

    @property
    def tables(self) -> list[str]:
        """Names of the tables that are there, sorted."""
        return sorted(self.versions)

    def complete_units(self) -> frozenset[str]:
        """Units all of whose rows are in."""
        return self._complete

    def is_complete(self, unit: str) -> bool:
        """Whether all rows of a unit are in, or of the units of a merged file."""
        return self._seen.is_in(unit)

    def artifacts(self, source_id: str) -> set[int]:
        """Numbers of a source's artifacts that are complete, read by any parser version."""
        prefix = f"{source_id[:16]}-"
        numbers = set()
        for unit in self._complete:
            if unit.startswith(prefix):
                number = unit[len(prefix) :].partition("-")[0]
                if number.isdecimal():
                    numbers.add(int(number))
        return numbers

    def files(
        self, table: str, since: datetime | None = None, until: datetime | None = None
    ) -> list[str]:
        """Absolute paths (or URIs) of the files of complete units that can have rows in a window.

        Rows without a time are in no window; a table without a `time` column knows none and
        gives all its files.

        Args:
            table: a table that is not there has no files.
            since: first moment of the window, with a time zone.
            until: first moment after it.

        Raises:
            ValueError: a moment without a time zone.
        """
        for moment in (since, until):
            if moment is not None and moment.tzinfo is None:
                raise ValueError(f"{moment}: a moment needs a time zone")
        found = self.seen(table)
        names = list(found)
        if since is not None or until is not None:
            stats = [file.stats for file in found.values()]
            names = said.in_window(names, stats, *_wide(since, until))
        folder = f"{self.root / table}/"
        return [folder + name for name in names]

    def seen(self, table: str) -> dict[str, Added]:
        """The files of complete units: what a session reads."""
        found = self._files.get(table)
        if found is None:
            found = self._files[table] = self._see(table)
        return found

    def current(self, table: str) -> dict[str, Added]:
        """Of the files that are seen those that nothing is about to take the place of."""
        state = self._states.get(table)
        there = state.files if state is not None else {}
        return {name: file for name, file in self.seen(table).items() if name in there}

    def _see(self, table: str) -> dict[str, Added]:
        state = self._states.get(table)
        if state is None:
            return {}
        found = {
            name: file for name, file in state.files.items() if self._is_seen(table, name, file)
        }
        if table != "artifact":
            # What is in instead of it was not there yet, as far as this snapshot goes.
            for name, old in state.standing_in(self._seen):
                file = Added(old.size, old.at, None, old.after)
                if self._is_seen(table, name, file):
                    found[name] = file
        return found

    def _is_seen(self, table: str, name: str, file: Added) -> bool:
        if table == "artifact":
            return True
        unit = unit_of(name)
        if table in BOOKS and not (unit or "").startswith((MERGED, SWAP)):
            return file.after <= self._seen.newest
        return unit is not None and self._seen.is_in(unit)

    def sources(self) -> dict[str, list[dict[str, Any]]]:
        """The rows of `source`, by source_id."""
        return self._rows("source")

    def artifact_rows(self, source_id: str) -> list[dict[str, Any]]:
        """The rows of `artifact` of one source. They are read once, for all sources."""
        return self._rows("artifact").get(source_id, [])

    def _rows(self, table: str) -> dict[str, list[dict[str, Any]]]:
        """All rows of a table of books by source_id; read on first use."""
        found = self._books.get(table)
        if found is None:
            found = self._books[table] = {}
            files = self.files(table)
            schema = pa.schema(list(self.kinds(table).items())) if files else None
            for rows in each(self.root, lambda path: _plain(path, schema), files):
                for row in rows:
                    found.setdefault(row["source_id"], []).append(row)
        return found

    def actions(self, table: str) -> pa.Table:
        """What the log says of a table's files, those of incomplete units too: `path`,
        `size_bytes`, `num_records`, `min.<column>`, `max.<column>`, `null_count.<column>`."""
        actions = self._actions.get(table)
        if actions is None:
            files = self._states[table].files
            actions = said.actions(files, self.kinds(table))
            self._actions[table] = actions
        return actions

    def fields(self, table: str) -> Sequence[Field]:
        """The columns of a table as its log says them."""
        return self._states[table].latest_schema()

    def kinds(self, table: str) -> dict[str, pa.DataType]:
        """The columns of a table and their types, as its log has them."""
        schema = arrow_schema(self._states[table].latest_schema())
        return dict(zip(schema.names, schema.types, strict=True))


def version_of(root: Place, as_of: int | datetime) -> int:
    """The version of `artifact` that is meant by a version or a time (with a zone).

    Raises:
        LakeError: there was nothing yet, or it is not kept.
    """
    if isinstance(as_of, int):
        return as_of
    version = log.version_at(root / "artifact", int(as_of.timestamp() * 1000))
    if version is None:
        raise LakeError(
            f"{root}: at {as_of.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC there was nothing in it, "
            "or its state of then is not kept any more"
        )
    return version


def _plain(path: str, schema: pa.Schema) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read(path, schema).to_pylist(maps_as_pydicts="strict")
    return rows


def _check_kept(root: Place, version: int) -> None:
    state = State.read(root / "artifact")
    first = state.units.get(KEPT_FROM, 0) if state is not None else 0
    if version < first:
        raise LakeError(
            f"{root}: its state of version {version} is not kept any more, the first is {first}"
        )


def _wide(since: datetime | None, until: datetime | None) -> tuple[datetime | None, ...]:
    """Bounds of other writers may be cut down to milliseconds (Delta protocol), so the highest gets
    one more."""
    if since is not None:
        since = since.astimezone(UTC) - _MILLISECOND
    return since, until.astimezone(UTC) if until is not None else None
