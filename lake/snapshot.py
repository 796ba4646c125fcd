"""The lake at one moment: which files a query reads.

`delta_scan` never prunes by time, so the lists come from the log itself: one version per
table, the files of complete units, and of these the ones whose times can be in the window.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from tracelake.lake import log, store
from tracelake.lake.s3 import said
from tracelake.lake.store import Place
from tracelake.lake.unit import BOOKS, unit_of

_MILLISECOND = timedelta(milliseconds=1)


class Snapshot:
    """One version of every table, and the units that were complete then.

    Attributes:
        root: the engagement's folder, absolute, or its prefix on S3.
        versions: table -> version of its log.
    """

    def __init__(self, root: Place) -> None:
        """Pins the tables.

        `artifact` first: what is complete in it had been committed to the other tables
        before, so it is whole in versions of them that are read later.
        """
        self.root = root
        self._tables: dict[str, DeltaTable] = {}
        self._actions: dict[str, pa.Table] = {}
        self._books: dict[str, dict[str, list[dict[str, Any]]]] = {}
        self._pin("artifact")
        # Looked for only now: a table could be made between the look and the pin before.
        store.each(root, self._pin, [n for n in store.tables(root) if n not in self._tables])
        self.versions = {name: table.version() for name, table in self._tables.items()}
        self._complete: frozenset[str] = frozenset()
        if "artifact" in self.versions:
            self._complete = frozenset(
                log.transactions(root / "artifact", self.versions["artifact"])
            )

    def _pin(self, name: str) -> None:
        uri = (self.root / name).as_uri()
        options = store.options(self.root)
        try:
            # A table being made has its folder before its first version.
            if DeltaTable.is_deltatable(uri, storage_options=options):
                self._tables[name] = DeltaTable(uri, storage_options=options)
        except (OSError, DeltaError) as error:
            if options is None:
                raise
            raise said(error, uri) from error

    @property
    def tables(self) -> list[str]:
        """Names of the tables that are there, sorted."""
        return sorted(self.versions)

    def complete_units(self) -> frozenset[str]:
        """Units all of whose rows are in."""
        return self._complete

    def is_complete(self, unit: str) -> bool:
        """Whether all rows of a unit are in."""
        return unit in self._complete

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
        if table not in self._tables:
            return []
        actions = self.actions(table)
        if since is not None or until is not None:
            actions = _in_window(actions, since, until)
        names = actions.column("path").to_pylist()
        if table not in BOOKS:
            names = [name for name in names if unit_of(name) in self._complete]
        folder = f"{self.root / table}/"
        return [folder + name for name in names]

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
            for rows in store.each(self.root, _rows_of, self.files(table)):
                for row in rows:
                    found.setdefault(row["source_id"], []).append(row)
        return found

    def actions(self, table: str) -> pa.Table:
        """What the log says of a table's files, those of incomplete units too: `path`,
        `size_bytes`, `num_records`, `min.<column>`, `max.<column>`, `null_count.<column>`."""
        actions = self._actions.get(table)
        if actions is None:
            actions = pa.table(self._tables[table].get_add_actions(flatten=True))
            self._actions[table] = actions
        return actions

    def kinds(self, table: str) -> dict[str, pa.DataType]:
        """The columns of a table and their types, as its log has them."""
        schema = pa.schema(self._tables[table].schema().to_arrow())
        return dict(zip(schema.names, schema.types, strict=True))


def _rows_of(path: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = store.parquet(path).read().to_pylist(maps_as_pydicts="strict")
    return rows


def _in_window(actions: pa.Table, since: datetime | None, until: datetime | None) -> pa.Table:
    """The files that can have a row with a time in the window.

    A file without bounds is kept unless all its times are known to be null. Bounds of other
    writers may be cut down to milliseconds (Delta protocol), so the highest gets one more.
    """
    names = actions.column_names
    keep: pa.ChunkedArray | None = None
    if since is not None and "max.time" in names:
        lowest = pa.scalar(since.astimezone(UTC) - _MILLISECOND, pa.timestamp("us", tz="UTC"))
        keep = pc.fill_null(pc.greater_equal(actions.column("max.time"), lowest), True)
    if until is not None and "min.time" in names:
        end = pa.scalar(until.astimezone(UTC), pa.timestamp("us", tz="UTC"))
        early = pc.fill_null(pc.less(actions.column("min.time"), end), True)
        keep = early if keep is None else pc.and_(keep, early)
    if "null_count.time" in names:
        timed = pc.not_equal(actions.column("null_count.time"), actions.column("num_records"))
        timed = pc.fill_null(timed, True)
        keep = timed if keep is None else pc.and_(keep, timed)
    return actions if keep is None else actions.filter(keep)
