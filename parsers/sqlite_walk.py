"""Walks through the rows of a table of an SQLite database, also of a damaged one."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tracelake.native.errors import Corrupt
from tracelake.parsers.sheets import Sheet, Values
from tracelake.parsers.sqlite_file import Database, quoted


def lowered(tables: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    """Names of tables and of their columns in lower case: SQLite does not tell them apart."""
    return {name.lower(): frozenset(c.lower() for c in cols) for name, cols in tables.items()}


def written_as(sheet: Sheet, database: Database) -> str:
    """The name of a sheet's table as the database writes it."""
    return next(n for n in database.tables if n.lower() == sheet.table.lower())


@dataclass(frozen=True, slots=True)
class Query:
    """SQL that reads a sheet's records.

    Attributes:
        selected: columns and tables. where: which rows. names: of its columns, the rowid left out.
    """

    selected: str
    where: str
    names: tuple[str, ...]

    def between(self, low: int | None, high: int | None, back: bool, one: bool) -> str:
        """The SQL, for rowids between two, in their order or back."""
        terms = [term for term in (
            self.where,
            f"m._rowid_ > {low}" if low is not None else "",
            f"m._rowid_ < {high}" if high is not None else "",
        ) if term]  # fmt: skip
        where = f" WHERE {' AND '.join(terms)}" if terms else ""
        return (
            f"SELECT m._rowid_, {self.selected}{where} ORDER BY m._rowid_"
            f"{' DESC' if back else ''}{' LIMIT 1' if one else ''}"
        )

    @property
    def plain(self) -> str:
        """The SQL for a table without rowids."""
        return f"SELECT {self.selected}{' WHERE ' + self.where if self.where else ''}"


def query(sheet: Sheet, database: Database, alone: bool) -> Query:
    """Args:
    alone: only the record's own table, for what is left of a damaged one.
    """
    have = lowered(database.tables)
    own = written_as(sheet, database)
    names = list(database.tables[own])
    selected = [f"m.{quoted(column)}" for column in names]
    joined = ""
    for number, join in enumerate(() if alone else sheet.joins):
        columns = have.get(join.table.lower())
        if columns is None or not all(c.lower() in columns for c in join.needs):
            continue
        alias = f"j{number}"
        joined += f" LEFT JOIN {quoted(join.table)} {alias} ON {join.on.replace('j.', alias + '.')}"
        theirs = next(n for n in database.tables if n.lower() == join.table.lower())
        for column in join.columns or database.tables[theirs]:
            if column.lower() in columns:
                names.append(f"{join.called or join.table}.{column}")
                selected.append(f"{alias}.{quoted(column)}")
    for name, sql in () if alone else sheet.also.items():
        if name.lower() in have:
            names.append(name)
            selected.append(f"({sql})")
    tables = f"{', '.join(selected)} FROM {quoted(own)} m{joined}"
    return Query(tables, "" if alone else sheet.where, tuple(names))


Record: TypeAlias = tuple[int | None, Values, bool]


class Walk:
    """A table's records by their rowids. A page that cannot be read ends the walk, which then goes
    on from the other end; what is left between is tried once more without the joins."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._low: int | None = None
        self._high: int | None = None
        self.trouble: list[str] = []

    def records(self, sheet: Sheet) -> Iterator[Record]:
        """(rowid, values, whether a text was repaired) of each."""
        for alone in (False, True):
            found = query(sheet, self._database, alone)
            for back in (False, True):
                before = len(self.trouble)
                yield from self._run(found, back, one=False)
                if len(self.trouble) == before:
                    return
                # The library has fetched a row more than it gave when it meets damage.
                yield from self._run(found, back, one=True)

    def _run(self, found: Query, back: bool, one: bool) -> Iterator[Record]:
        sql = found.between(self._low, self._high, back, one)
        try:
            for row in self._database.rows(sql):
                at = row[0]
                edge = self._high if back else self._low
                if at == edge:
                    continue  # a second match of a join
                if edge is not None and (at > edge if back else at < edge):
                    raise Corrupt("table", 0, f"row {at} stands behind row {edge}")
                if back:
                    if self._low is not None and at <= self._low:
                        return
                    self._high = at
                else:
                    self._low = at
                yield at, dict(zip(found.names, row[1:], strict=True)), self._database.repaired
        except Corrupt as error:
            self.trouble.append(error.why)


def without_rowid(sheet: Sheet, database: Database, trouble: list[str]) -> Iterator[Record]:
    """The records of a table that has no rowids, as far as they can be read."""
    found = query(sheet, database, alone=False)
    try:
        for row in database.rows(found.plain):
            yield None, dict(zip(found.names, row, strict=True)), database.repaired
    except Corrupt as error:
        trouble.append(error.why)


def has_rowid(sheet: Sheet, database: Database) -> bool:
    try:
        for _ in database.rows(f"SELECT m._rowid_ FROM {quoted(sheet.table)} m LIMIT 1"):
            break
    except Corrupt as error:
        return "_rowid_" not in error.why
    return True
