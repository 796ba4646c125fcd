"""SQLite databases of programs whose tables are known (`sqlite_*.py`), told by their tables.

Specification: sqlite.org "Database File Format". The database is held in memory, 128 MiB at most;
a write-ahead log (`-wal`) or hot rollback journal (`-journal`) beside it is applied first.

A row's `src_offset` is where its cell stands (`sqlite_tree.py`), `log_name` the table and
`src_record_id` the rowid. What a log wrote has its bytes in `raw`, since the file does not have
them. Each row of a table that a sheet names is a record. Tables that no sheet names are not read;
a database without any that one does is left where it is, with the names of its tables as the
reason.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

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
from tracelake.parsers.sheets import At, Place, Sheet, place_of, put
from tracelake.parsers.sqlite_file import HEADER, MAGIC, MOST, Database, page_size
from tracelake.parsers.sqlite_log import Applied, apply_journal, apply_wal, super_journal
from tracelake.parsers.sqlite_tree import Cells
from tracelake.parsers.sqlite_walk import Walk, has_rowid, lowered, without_rowid, written_as

VERSION = "1"
PIECE = 1 << 20
MOST_LOG = 64 << 20
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


def with_logs(artifact: Artifact, image: bytearray, rows: PyRows) -> dict[int, str]:
    """Applies the logs beside a database; returns the pages that came from one."""
    name = artifact.path.replace("\\", "/").rpartition("/")[2]
    pages: dict[int, str] = {}
    for ending, apply, what in (
        ("-journal", apply_journal, "rollback journal"),
        ("-wal", apply_wal, "write-ahead log"),
    ):
        log = artifact.beside(name + ending, MOST_LOG)
        if not log:
            continue
        other = super_journal(log)
        if other is not None and artifact.beside(other, MOST_LOG) is None:
            # Of a transaction over several databases, and that one was finished.
            continue
        try:
            done = apply(image, log, MOST)
        except Corrupt as error:
            done = Applied(left=f"{error.what}: {error.why}")
        pages.update(dict.fromkeys(done.pages, what))
        if done.left:
            rows.damaged(0, 0, what, f"not used to its end: {done.left}")
    return pages


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
    cells: Mapping[str, Cells],
    pages: Mapping[int, str],
    page: int,
    whole: int,
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields the rows of all records of `sheets`.

    Args:
        cells: of the tables.
        pages: those that came from a log, and which. page: bytes of one.
        whole: bytes of the file.
    """
    place: Place = place_of(artifact.path)
    for sheet in sheets:
        walk = Walk(database)
        here = cells[sheet.table]
        numbered = has_rowid(sheet, database)
        found = walk.records(sheet) if numbered else without_rowid(sheet, database, walk.trouble)
        count = 0
        for rowid, values, repaired in found:
            cell = here.place(count if rowid is None else rowid)
            offset, length = cell or (0, whole)
            log = pages.get(offset // page + 1) if cell else None
            if log is None:
                # A page that is cut off was filled up with zeros.
                offset = min(offset, whole)
                length = min(length, whole - offset)
            put(
                rows, sheet, {k: v for k, v in values.items() if v is not None}, place,
                At(offset, length, rowid, here.logged(offset) if log else None),
                TEXT_REPAIRED if repaired else 0, {"from": log} if log else {},
            )  # fmt: skip
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
    pages = with_logs(artifact, image, rows)
    database = Database(image)
    try:
        sheets = fitting(database.tables)
        if sheets or not database.tables:
            account_for(artifact, image, size)
        if database.trouble:
            rows.damaged(0, 0, "schema", database.trouble)
        elif not sheets and database.tables:
            raise Unsupported(
                "database", 0, f"of no program that is known; tables: {listed(database.tables)}"
            )
        cells = {
            sheet.table: Cells(image, database.roots[written_as(sheet, database)], pages)
            for sheet in sheets
        }
        page = page_size(image)
        # The library has its own copy; what is put into rows takes the place of this one.
        image.clear()
        yield from read_sheets(artifact, database, sheets, rows, cells, pages, page, size)
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
        "*/webview.db", "*/interactionc.db", "*/permissions.sqlite", "*/chat.db", "*/sms.db",
        "*/eventtranscript.db", "*/db2/db", "*/contacts2.db", "*/calllog.db", "*/mmssms.db",
        "*/babel*.db",
    ),
    rank=Rank.BROWSER,
)  # fmt: skip
