"""A row, where it came from, and the bytes at that place."""

import re
from typing import Any

from tracelake.case import Case
from tracelake.ingest.events import PLAINLY, How
from tracelake.ingest.evidence import (
    EvidenceGone,
    artifact_bytes,
    expect_same,
    hexdump,
    read_at,
)
from tracelake.native.errors import EvidenceError
from tracelake.normalize import TABLES
from tracelake.output import print_table, shown
from tracelake.parsers import BY_NAME

ROW_ID = re.compile(r"([a-z_]+)-([0-9a-f]{16})-(\d+)-([0-9a-f]+)-(\d+)")
# Of a record at most this much is dumped.
DUMP_BYTES = 4096
# Of a place where an artifact breaks off, this much is dumped.
BREAK_BYTES = 256


class NoSuchRow(Exception):
    """There is no row of this id; the text says why."""


def show_row(case: Case, row_id: str, how: How = PLAINLY) -> None:
    """Prints the row's values, its source and artifact, and its raw bytes. `how`: with what an
    image is opened (keys).

    Raises:
        NoSuchRow: the id is malformed, or no such row is in this engagement.
    """
    row = find_row(case, row_id)
    table = row.pop("table")
    print_table(["column", table], [(k, v) for k, v in row.items() if v is not None])
    if table == "process_activity":
        for line in ancestry(case, row_id):
            print(f"process   {shown(line)}")
    origin = case.sql(
        "select s.uri, s.sha256, s.size, a.path from artifact_path as a join source as s "
        f"using (source_id) where source_id = '{row['source_id']}' "
        f"and artifact_no = {row['artifact_no']}"
    ).fetchone()
    if origin is None:
        raise NoSuchRow("its source is not closed yet: an ingest of it runs, or was stopped")
    uri, sha256, size, path = origin
    print(f"source    {shown(uri)}\nSHA-256   {sha256 or 'not taken'}\nartifact  {shown(path)}")
    offset, length = row["src_offset"], row["src_length"] or 0
    print(f"record    offset {offset} (0x{offset:x}), {length} bytes")
    parser = BY_NAME.get(row["parser"])
    render = parser.render if parser is not None else None
    try:
        expect_same(uri, size, sha256, row["source_id"])
        with artifact_bytes(uri, row["artifact_no"], path, how) as feed:
            # Of a break its place is known, not its length.
            found = read_at(feed, offset, min(length, DUMP_BYTES) or BREAK_BYTES)
        print(hexdump(found.data, found.offset))
        if length > DUMP_BYTES:
            print(f"... and {length - DUMP_BYTES} more bytes")
        if render is not None and table != "damage":
            with artifact_bytes(uri, row["artifact_no"], path, how) as feed:
                print(shown_lines(render(feed, offset)))
    except (EvidenceGone, EvidenceError) as error:
        print(shown(f"the evidence cannot be shown: {error}"))


def ancestry(case: Case, row_id: str) -> list[str]:
    """Names from a process's first known ancestor to itself, where the row says that one began."""
    found = case.session.sql(
        "SELECT path FROM process_ancestors($id) WHERE level = 0", {"id": row_id}
    ).fetchall()
    return [path for (path,) in found if " > " in path]


def shown_lines(text: str) -> str:
    """Text of several lines, control characters written out."""
    return "\n".join(shown(line) for line in text.splitlines())


def find_row(case: Case, row_id: str) -> dict[str, Any]:
    """The row of an id, with the name of its table under `table`.

    Raises:
        NoSuchRow: see `show_row`.
    """
    match = ROW_ID.fullmatch(row_id)
    if match is None:
        raise NoSuchRow("a row id is table-source-artifact-offset-sub, as in the column row_id")
    short, source, number, offset, _ = match.groups()
    names = [
        table.name
        for table in TABLES.values()
        if table.short == short and "src_offset" in table.schema.names
    ]
    if not names:
        raise NoSuchRow(f"no table is called {short} in row ids")
    # The id says where to look: files are pruned by these columns, no index is needed.
    relation = case.sql(
        f"select * from {names[0]} where starts_with(source_id, '{source}') "
        f"and artifact_no = {int(number)} and src_offset = {int(offset, 16)} "
        f"and row_id = '{row_id}'"
    )
    columns = list(relation.columns)
    values = relation.fetchone()
    if values is None:
        raise NoSuchRow("there is no such row in this engagement")
    return {"table": names[0], **dict(zip(columns, values, strict=True))}
