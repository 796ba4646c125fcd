"""`timeline`: everything that has a date, in one list, one line each."""

from collections.abc import Collection

import pyarrow as pa

from tracelake.analysis.views import host, quote
from tracelake.analysis.views.base import OTHER_TIMES, Window
from tracelake.normalize import TABLES, Table

OWN_CLOCK = {
    "subject_created_time", "subject_modified_time", "subject_accessed_time", "deleted_time",
    "run_times", "job_created_time", "job_last_run_time", "end_time",
}
"""Times that are of the same clock as `time`: local, where its zone was assumed. The others are
kept in UTC by whoever wrote them (registry keys, NTFS)."""

ASSUMED = "parse_flags & 32 <> 0"
"""SQL: the zone of the row's time was assumed."""


def _all_times(table: Table) -> str:
    """SQL: [{time, time_desc, whether of the row's own clock}, ...] of a row, each time once."""
    entries = [
        "[struct_pack(t := time, d := time_desc, own := coalesce(time_desc, '') <> 'key_modified')]"
    ]
    for column in OTHER_TIMES[table.name]:
        own = "true" if column in OWN_CLOCK else "false"
        if pa.types.is_list(table.schema.field(column).type):
            what = column.removesuffix("_times")
            entries.append(
                f"list_transform({column}, lambda t, i: "
                f"struct_pack(t := t, d := '{what}[' || i || ']', own := {own}))"
            )
        else:
            what = quote.text(column.removesuffix("_time"))
            entries.append(f"[struct_pack(t := {column}, d := {what}, own := {own})]")
    joined = " || ".join(f"coalesce({entry}, [])" for entry in entries)
    # A time that is also `time` keeps the name that its row gave it.
    return (
        f"list_filter({joined}, lambda e, i: e.t IS NOT NULL AND "
        "(i = 1 OR time IS NULL OR e.t <> time OR e.d <> coalesce(time_desc, e.d)))"
    )


def _part(table: Table, is_local: bool) -> str:
    """SQL: the lines of one table.

    Args:
        is_local: it has rows whose zone was assumed, of a host whose zone is known. Their times
            are computed, and a condition on `time` reaches the table's files no more.
    """
    source = f"main.{quote.name(table.name)}"
    kept = "device_hostname, device_uid, class_uid, source_id, artifact_no, row_id"
    tail = f"{quote.text(table.name)} AS table_name, message"
    flags = ", parse_flags" if is_local else ""
    own = "coalesce(time_desc, '') <> 'key_modified'"
    clock = f", {own} AND {ASSUMED} AS is_local" if is_local else ""
    if table.name not in OTHER_TIMES:
        inner = f"SELECT time, time_desc, {kept}, {tail}{clock} FROM {source}"
    else:
        clock = f", e.own AND {ASSUMED} AS is_local" if is_local else ""
        inner = (
            f"SELECT e.t AS time, e.d AS time_desc, {kept}, table_name, message{clock} FROM "
            f"(SELECT unnest({_all_times(table)}) AS e, {kept}, {tail}{flags} FROM {source}) AS s"
        )
    if not is_local:
        return inner
    return (
        "SELECT CASE WHEN l.is_local THEN utc_of(l.time, 32, z.zone) ELSE l.time END AS time, "
        "l.* EXCLUDE (time, is_local), CASE WHEN l.is_local AND z.zone IS NOT NULL THEN l.time END "
        f"AS local_time FROM ({inner}) AS l LEFT JOIN artifact_host AS z "
        "ON l.source_id = z.source_id AND l.artifact_no = z.artifact_no"
    )


def view(window: Window, local: Collection[str] = ()) -> str:
    """SQL that makes `timeline`. Rows without a date are not in it.

    Args:
        local: names of tables for which `_part` computes times.
    """
    parts = [_part(t, t.name in local) for t in TABLES.values() if t.is_events]
    parts.append(
        "SELECT NULL::TIMESTAMPTZ AS local_time, NULL::TIMESTAMPTZ AS time FROM range(0)"
    )
    union = " UNION ALL BY NAME ".join(parts)
    held = window.holds("s.time")
    where = f"s.time IS NOT NULL{' AND ' + held if held else ''}"
    return (
        "CREATE OR REPLACE VIEW timeline AS "
        f"SELECT s.time, s.time_desc, {host.of_row('s', 'a')} AS host, "
        "s.device_hostname, s.class_uid, s.table_name, s.message, "
        "timezone('UTC', s.local_time) AS local_time, "
        "s.source_id, a.path AS src_path, s.row_id "
        f"FROM ({union}) AS s LEFT JOIN artifact_host AS a "
        f"ON s.source_id = a.source_id AND s.artifact_no = a.artifact_no{host.joins('s')} "
        f"WHERE {where}"
    )


def local_tables(tables: Collection[str]) -> str:
    """SQL: which of the tables have rows whose zone was assumed, of hosts whose zone is known."""
    asked = " UNION ALL ".join(
        f"(SELECT {quote.text(name)} FROM main.{quote.name(name)} AS t JOIN artifact_host AS h "
        "ON t.source_id = h.source_id AND t.artifact_no = h.artifact_no "
        f"WHERE t.{ASSUMED} AND h.zone IS NOT NULL LIMIT 1)"
        for name in tables
    )
    return asked


ONCE = """
CREATE OR REPLACE VIEW timeline_once AS
SELECT t.*, coalesce(c.copies, 1) AS copies
FROM timeline AS t LEFT JOIN copied AS c ON t.row_id = c.row_id
WHERE c.place IS NULL OR c.place = 1
"""
"""SQL of `timeline_once`: the timeline, in which a record that was collected several times is told
once, by the row that `witness` keeps."""
