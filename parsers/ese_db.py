"""ESE databases: SRUM, WebCache, User Access Logging, accounts of ntds.dit, BITS.

Specification: "Extensible Storage Engine (ESE) Database File (EDB) format" (libyal), read by
libesedb; which table means what: `ese_sheets.py`. 256 MiB at most, held in memory.

The library does not tell where a record stands: `src_offset` is 0 and `src_length` the whole file;
`log_name` is the table and `src_record_id` the record's number in it.
"""

import io
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from tracelake.native.errors import Corrupt, EvidenceError, Truncated, Unsupported
from tracelake.parsers import ese_sheets
from tracelake.parsers.artifact import Artifact, Match, Parser, Rank
from tracelake.parsers.ese_file import HEADER, MOST, SIGNATURE, Database, library
from tracelake.parsers.pyrows import TEXT_REPAIRED, PyRows
from tracelake.parsers.sheets import At, Sheet, place_of, put

VERSION = "1"
PIECE = 1 << 20
ROWS_AT_ONCE = 512
NAMES_TOLD = 12


def match(head: bytes, _path: str) -> tuple[Match, str]:
    """How sure it is that an artifact is an ESE database, and why not.

    Args:
        head: its first bytes; the names of its tables stand further behind.
    """
    if head[4:8] != SIGNATURE:
        return Match.NO, "no ESE signature at offset 4"
    if library() is None:
        return Match.NEAR, "an ESE database; to read it: pip install 'tracelake[images]'"
    return Match.CONTENT, ""


def rows_of(database: Database, table: str) -> Iterator[dict[str, Any]]:
    """The records of a table that others are explained by."""
    for _, values, _ in database.rows(table, []):
        yield values


def sheets_of(database: Database) -> list[Sheet]:
    """What the database is, and so what its tables mean."""
    tables: Mapping[str, tuple[str, ...]] = database.tables
    if "SruDbIdMapTable" in tables:
        names = ese_sheets.srum_names(rows_of(database, "SruDbIdMapTable"))
        return ese_sheets.srum(tables, names)
    if "Containers" in tables:
        containers = {
            number: each
            for each in rows_of(database, "Containers")
            if isinstance(number := each.get("ContainerId"), int)
        }
        return ese_sheets.web_cache(tables, containers)
    lower = {name.lower(): frozenset(c.lower() for c in cols) for name, cols in tables.items()}
    transfers: tuple[Sheet, ...] = ()
    if "Blob" in tables.get("Jobs", ()) and "Blob" in tables.get("Files", ()):
        transfers = ese_sheets.bits(rows_of(database, "Jobs"))
    fixed = (*ese_sheets.UAL, *transfers, ese_sheets.NTDS)
    return [sheet for sheet in fixed if sheet.fits(lower) and sheet.table in tables]


def held(artifact: Artifact) -> tuple[io.BytesIO, EvidenceError | None]:
    """The whole database; or what was there before its stream broke, and why it did.

    Raises:
        Unsupported: it is larger than the bound.
    """
    image = io.BytesIO()
    try:
        while piece := artifact.feed.read(PIECE):
            image.write(piece)
            if image.tell() > MOST:
                raise Unsupported("database", 0, f"larger than {MOST >> 20} MiB, which are held")
    except (Truncated, Corrupt) as error:
        return image, error
    return image, None


def wanted(sheet: Sheet, values: Mapping[str, Any]) -> bool:
    """Objects of Active Directory without an account name are no accounts."""
    return sheet is not ese_sheets.NTDS or bool(values.get("ATTm590045"))


def read_sheets(
    artifact: Artifact, database: Database, sheets: list[Sheet], rows: PyRows, size: int
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields the rows of all records of `sheets`; a table may have several."""
    place = place_of(artifact.path)
    by_table: dict[str, list[Sheet]] = {}
    for sheet in sheets:
        by_table.setdefault(sheet.table, []).append(sheet)
    for table, group in by_table.items():
        trouble: list[str] = []
        for number, values, repaired in database.rows(table, trouble):
            if not wanted(group[0], values):
                continue
            rows.seen()
            for sheet in group:
                put(
                    rows, sheet, values, place, At(0, size, number),
                    TEXT_REPAIRED if repaired else 0, database.notes, seen=False,
                )  # fmt: skip
            if number % ROWS_AT_ONCE == 0:
                yield from rows.full()
        for why in trouble:
            rows.damaged(0, 0, f"table {table}", why)


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields rows of the tables that are known.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on, or are no database that is known.
    """
    rows = PyRows(artifact)
    image, broken = held(artifact)
    size = image.getbuffer().nbytes
    if size < HEADER:
        raise broken or Truncated("database header", 0, f"the file ends after {size} bytes")
    database = Database(image)
    try:
        for why in database.trouble:
            rows.damaged(0, 0, "catalog", why)
        sheets = sheets_of(database)
        if not sheets:
            names = sorted(database.tables)
            more = f" and {len(names) - NAMES_TOLD} more" if len(names) > NAMES_TOLD else ""
            told = ", ".join(" ".join(name.split())[:60] for name in names[:NAMES_TOLD])
            raise Unsupported(
                "database", 0, f"of no program that is known; tables: {told or 'none'}{more}"
            )
        artifact.account.bytes_structure += HEADER
        artifact.account.bytes_records += size - HEADER
        yield from read_sheets(artifact, database, sheets, rows, size)
        yield from rows.rest()
    finally:
        database.close()
    if broken is not None:
        raise broken


PARSER = Parser(
    "ese",
    VERSION,
    match,
    ese_sheets.TABLES,
    read,
    files=(
        "*/sru/srudb.dat", "*/webcache/webcachev*.dat", "*/logfiles/sum/*.mdb", "*/ntds/ntds.dit",
        "*/downloader/qmgr.db",
    ),
    rank=Rank.USE,
)  # fmt: skip
