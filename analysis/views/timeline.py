"""`timeline`: everything that has a date, in one list, one line each."""

import pyarrow as pa

from tracelake.analysis.views import quote
from tracelake.analysis.views.base import OTHER_TIMES, Window
from tracelake.normalize import TABLES, Table


def _all_times(table: Table) -> str:
    """SQL: [{time, time_desc}, ...] of a row, each time once."""
    entries = ["[struct_pack(t := time, d := time_desc)]"]
    for column in OTHER_TIMES[table.name]:
        if pa.types.is_list(table.schema.field(column).type):
            what = column.removesuffix("_times")
            entries.append(
                f"list_transform({column}, lambda t, i: "
                f"struct_pack(t := t, d := '{what}[' || i || ']'))"
            )
        else:
            what = column.removesuffix("_time")
            entries.append(f"[struct_pack(t := {column}, d := {quote.text(what)})]")
    joined = " || ".join(f"coalesce({entry}, [])" for entry in entries)
    # A time that is also `time` keeps the name that its row gave it.
    return (
        f"list_filter({joined}, lambda e, i: e.t IS NOT NULL AND "
        "(i = 1 OR time IS NULL OR e.t <> time OR e.d <> coalesce(time_desc, e.d)))"
    )


def _part(table: Table) -> str:
    source = f"main.{quote.name(table.name)}"
    kept = "device_hostname, class_uid, source_id, artifact_no, row_id"
    tail = f"{quote.text(table.name)} AS table_name, message"
    if table.name not in OTHER_TIMES:
        return f"SELECT time, time_desc, {kept}, {tail} FROM {source}"
    return (
        f"SELECT e.t AS time, e.d AS time_desc, {kept}, table_name, message FROM "
        f"(SELECT unnest({_all_times(table)}) AS e, {kept}, {tail} FROM {source}) AS s"
    )


def view(window: Window) -> str:
    """SQL that makes `timeline`. Rows without a date are not in it."""
    union = " UNION ALL BY NAME ".join(_part(t) for t in TABLES.values() if t.is_events)
    held = window.holds("s.time")
    where = f"s.time IS NOT NULL{' AND ' + held if held else ''}"
    return (
        "CREATE OR REPLACE VIEW timeline AS "
        "SELECT s.time, s.time_desc, s.device_hostname, s.class_uid, "
        "s.table_name, s.message, s.source_id, a.path AS src_path, s.row_id "
        f"FROM ({union}) AS s LEFT JOIN artifact_path AS a "
        f"ON s.source_id = a.source_id AND s.artifact_no = a.artifact_no WHERE {where}"
    )
