"""`witness`: records that were collected more than once (live, from a shadow copy, in an image).

Both copies stay in their tables. They are the same record where `record_hash` and the time are
equal, they are of the same host, and they stand in different artifacts. A log may hold two equal
lines: the first of one artifact is the first of the other, the second the second.
"""

from collections.abc import Collection, Iterator

from tracelake.analysis.views import host, quote

COLUMNS = {
    "table_name": "VARCHAR", "record_hash": "BIGINT", "time": "TIMESTAMPTZ", "host": "VARCHAR",
    "nth": "BIGINT", "copies": "BIGINT", "place": "BIGINT", "source_id": "VARCHAR",
    "src_path": "VARCHAR", "row_id": "VARCHAR",
}


def _copied(name: str) -> str:
    """SQL: the rows of a table that are there more than once. Equal records of one artifact are
    numbered (`nth`), and so are the copies of one (`place`), the one to be cited first."""
    table = f"main.{quote.name(name)}"
    # What hosts made of one image hold alike says nothing of unknown hosts.
    told = "host IS NOT NULL" if name in host.STATES else "(host IS NOT NULL OR time IS NOT NULL)"
    same = "record_hash, time, host"
    candidates = (
        f"SELECT c.record_hash, c.time, c.source_id, c.artifact_no, c.src_offset, c.sub, c.row_id, "
        f"{host.of_row('c', 'h')} AS host, h.path AS src_path, h.is_earlier, "
        f"coalesce(c.parse_flags, 0) & 2 <> 0 AS is_recovered FROM {table} AS c LEFT JOIN "
        "artifact_host AS h ON c.source_id = h.source_id AND c.artifact_no = h.artifact_no "
        f"{host.joins('c')} "
        f"WHERE c.record_hash IN (SELECT record_hash FROM {table} WHERE record_hash IS NOT NULL "
        "GROUP BY record_hash HAVING count(*) > 1)"
    )
    numbered = (
        f"SELECT *, row_number() OVER (PARTITION BY {same}, source_id, artifact_no "
        f"ORDER BY src_offset, sub) AS nth FROM ({candidates}) WHERE {told}"
    )
    copies = (
        f"SELECT *, count(*) OVER (PARTITION BY {same}, nth) AS copies, row_number() OVER "
        f"(PARTITION BY {same}, nth ORDER BY is_recovered, is_earlier, source_id, artifact_no) "
        f"AS place FROM ({numbered})"
    )
    return (
        f"SELECT {quote.text(name)} AS table_name, {', '.join(list(COLUMNS)[1:])} "
        f"FROM ({copies}) WHERE copies > 1"
    )


def views(tables: Collection[str]) -> Iterator[str]:
    """SQL that makes `copied`, one row for each copy, and `witness`, one row a record.

    Args:
        tables: names of those that have rows.

    `witness.row_id` is the copy to be cited (allocated before recovered, live before shadow copy,
    else the first by source), `witnesses` are the others.
    """
    nothing = ", ".join(f"NULL::{kind} AS {name}" for name, kind in COLUMNS.items())
    rows = [_copied(name) for name in tables] or [f"SELECT {nothing} FROM range(0)"]
    yield f"CREATE OR REPLACE VIEW copied AS {' UNION ALL '.join(rows)}"
    yield (
        "CREATE OR REPLACE VIEW witness AS SELECT table_name, time, host, "
        "arg_min(row_id, place) AS row_id, record_hash, count(*) AS copies, "
        "list(struct_pack(row_id := row_id, source_id := source_id, src_path := src_path) "
        "ORDER BY place)[2:] AS witnesses "
        "FROM copied GROUP BY table_name, record_hash, time, host, nth"
    )
