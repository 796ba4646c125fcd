"""SQLite databases of programs whose tables are known (`sqlite_*.py`), told by their tables.

Specification: sqlite.org "Database File Format". The database is held in memory, 128 MiB at most;
a write-ahead log (`-wal`) or hot rollback journal (`-journal`) beside it is applied first.

The library does not tell where a row stands: `src_offset` is 0 and `src_length` the whole file;
`log_name` is the table and `src_record_id` the rowid. Each row of a table that a sheet names is a
record. Tables that no sheet names are not read; a database without any that one does is left
where it is, with the names of its tables as the reason.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa

from tracelake.native.errors import Corrupt, EvidenceError, Truncated, Unsupported
from tracelake.parsers import (
    sqlite_android,
    sqlite_apple,
    sqlite_chats,
    sqlite_chromium,
    sqlite_desktop,
    sqlite_firefox,
)
from tracelake.parsers.artifact import Artifact, Match, Parser, Rank
from tracelake.parsers.pyrows import TEXT_REPAIRED, PyRows
from tracelake.parsers.sheets import Place, Sheet, Values, place_of, put
from tracelake.parsers.sqlite_file import HEADER, MAGIC, MOST, Database, page_size, quoted
from tracelake.parsers.sqlite_log import Applied, apply_journal, apply_wal

VERSION = "1"
PIECE = 1 << 20
NAMES_TOLD = 12
ROWS_AT_ONCE = 512

SHEETS: tuple[Sheet, ...] = (
    *sqlite_chromium.SHEETS,
    *sqlite_firefox.SHEETS,
    *sqlite_apple.SHEETS,
    *sqlite_desktop.SHEETS,
    *sqlite_android.SHEETS,
    *sqlite_chats.SHEETS,
)


def lowered(tables: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    return {name.lower(): frozenset(c.lower() for c in cols) for name, cols in tables.items()}


def fitting(tables: Mapping[str, Iterable[str]]) -> list[Sheet]:
    """The sheets of a database with these tables and columns."""
    lower = lowered(tables)
    return [sheet for sheet in SHEETS if sheet.fits(lower)]


def listed(tables: Iterable[str]) -> str:
    """Their names, for a reason."""
    names = sorted(name for name in tables if not name.startswith("sqlite_"))
    more = f" and {len(names) - NAMES_TOLD} more" if len(names) > NAMES_TOLD else ""
    told = ", ".join(" ".join(name.split())[:60] for name in names[:NAMES_TOLD])
    return (told + more) or "none"


def match(head: bytes, _path: str) -> tuple[Match, str]:
    """How sure it is that an artifact is a database that a sheet reads, and why not.

    Args:
        head: its first bytes, 64 KiB at most; the schema begins on the first page.
    """
    if not head.startswith(MAGIC):
        return Match.NO, "no `SQLite format 3` at its start"
    try:
        database = Database(bytearray(head))
    except EvidenceError:
        return Match.CONTENT, ""
    try:
        # What is cut off by the end of `head` may be of a table that is known.
        if database.trouble or fitting(database.tables):
            return Match.CONTENT, ""
        if not database.tables:
            return Match.NAME, "an SQLite database without tables"
        return Match.NEAR, (
            f"an SQLite database of no program that is known; tables: {listed(database.tables)}"
        )
    finally:
        database.close()


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
    own = next(n for n in database.tables if n.lower() == sheet.table.lower())
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


def held(artifact: Artifact) -> tuple[bytearray, EvidenceError | None]:
    """The whole database; or what was there before its stream broke, and why it did.

    Raises:
        Unsupported: it is larger than the bound.
    """
    image = bytearray()
    try:
        while piece := artifact.feed.read(PIECE):
            image += piece
            if len(image) > MOST:
                raise Unsupported("database", 0, f"larger than {MOST >> 20} MiB, which are held")
    except (Truncated, Corrupt) as error:
        return image, error
    return image, None


def with_logs(artifact: Artifact, image: bytearray, rows: PyRows) -> dict[str, str]:
    """Applies the logs beside a database; returns what is said of it on each row."""
    name = artifact.path.replace("\\", "/").rpartition("/")[2]
    notes: dict[str, str] = {}
    for ending, apply, what in (
        ("-journal", apply_journal, "rollback journal"),
        ("-wal", apply_wal, "write-ahead log"),
    ):
        log = artifact.beside(name + ending, MOST)
        if not log:
            continue
        try:
            done = apply(image, log, MOST)
        except Corrupt as error:
            done = Applied(0, f"{error.what}: {error.why}")
        if done.pages:
            notes[what] = f"{done.pages} pages applied"
        if done.left:
            rows.damaged(0, 0, what, f"not used to its end: {done.left}")
    return notes


def account_for(artifact: Artifact, image: bytes | bytearray, size: int) -> None:
    """Where the bytes went: the free pages (1.3, offset 36) are slack."""
    free = min(int.from_bytes(image[36:40], "big") * page_size(image), size - HEADER)
    artifact.account.bytes_structure += HEADER
    artifact.account.bytes_slack += free
    artifact.account.bytes_records += size - HEADER - free


def read_sheets(
    artifact: Artifact,
    database: Database,
    sheets: Sequence[Sheet],
    rows: PyRows,
    size: int,
    notes: Mapping[str, str],
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields the rows of all records of `sheets`."""
    place: Place = place_of(artifact.path)
    for sheet in sheets:
        walk = Walk(database)
        count = 0
        found = (
            walk.records(sheet)
            if has_rowid(sheet, database)
            else without_rowid(sheet, database, walk.trouble)
        )
        for rowid, values, repaired in found:
            present = {name: value for name, value in values.items() if value is not None}
            flags = TEXT_REPAIRED if repaired else 0
            put(rows, sheet, present, place, size, rowid, flags, notes)
            count += 1
            if count % ROWS_AT_ONCE == 0:
                yield from rows.full()
        for why in walk.trouble[:1]:
            rows.damaged(0, 0, f"table {sheet.table}", f"{why}; {count} rows were read")


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields rows of the tables that the sheets name.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on, or are no database that is known.
    """
    rows = PyRows(artifact)
    image, broken = held(artifact)
    size = len(image)
    if size < HEADER or not image.startswith(MAGIC):
        raise broken or Corrupt("database header", 0, "no SQLite header")
    notes = with_logs(artifact, image, rows)
    database = Database(image)
    try:
        sheets = fitting(database.tables)
        if sheets or not database.tables:
            account_for(artifact, image, size)
        del image
        if database.trouble:
            rows.damaged(0, 0, "schema", database.trouble)
        elif not sheets and database.tables:
            raise Unsupported(
                "database", 0, f"of no program that is known; tables: {listed(database.tables)}"
            )
        yield from read_sheets(artifact, database, sheets, rows, size, notes)
        yield from rows.rest()
    finally:
        database.close()
    if broken is not None:
        raise broken


PARSER = Parser(
    "sqlite",
    VERSION,
    match,
    tuple(sorted({sheet.to for sheet in SHEETS})),
    read,
    files=(
        "*/history", "*/archived history", "*/login data", "*/login data for account",
        "*/cookies", "*/web data", "*/places.sqlite", "*/cookies.sqlite", "*/formhistory.sqlite",
        "*/downloads.sqlite", "*/history.db", "*/activitiescache.db", "*/knowledgec.db", "*/tcc.db",
        "*/com.apple.launchservices.quarantineeventsv2", "*/application_usage.sqlite",
        "*/webcache*.db", "*/activity.sqlite", "*/app_usage", "*/wpndatabase.db", "*/main.db",
        "*/webview.db", "*/interactionc.db", "*/downloads.db",
    ),
    rank=Rank.BROWSER,
)  # fmt: skip
