"""One view per table, over the Parquet files of one snapshot."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from tracelake.analysis.views import host, message, parquet, quote
from tracelake.normalize import Table
from tracelake.normalize.ddl import duckdb_type


@dataclass(frozen=True, slots=True)
class Window:
    """The part of time that a session looks at: since <= time < until; None: open."""

    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        for value in (self.since, self.until):
            if value is not None and value.tzinfo is None:
                raise ValueError(f"{value} has no time zone")

    def holds(self, column: str) -> str:
        """SQL: the time in `column` lies in the window; "" where it is open on both sides."""
        parts = []
        if self.since is not None:
            parts.append(f"{column} >= {_literal(self.since)}")
        if self.until is not None:
            parts.append(f"{column} < {_literal(self.until)}")
        return " AND ".join(parts)


def _literal(value: datetime) -> str:
    return f"TIMESTAMPTZ '{value.astimezone(UTC).isoformat(sep=' ')}'"


def row_id(table: Table) -> str:
    """SQL: the row's citation, from columns that are stored anyway."""
    # Of a place that could not be read there is one row.
    sub = "sub" if "sub" in table.schema.names else "0"
    return (
        f"'{table.short}-' || substr(source_id, 1, 16) || '-' || artifact_no || '-' || "
        f"lower(to_hex(src_offset)) || '-' || {sub}"
    )


OTHER_TIMES: dict[str, tuple[str, ...]] = {
    "file_activity": ("file_created_time",),
    "file_query": (
        "si_created", "si_modified", "si_accessed", "si_changed",
        "fn_created", "fn_modified", "fn_accessed", "fn_changed",
    ),
    "registry_activity": ("reg_modified_time",),
    "browser_activity": ("end_time",),
    "job_activity": ("job_created_time", "job_last_run_time"),
    "artifact_query": (
        "run_times", "key_modified_time", "subject_created_time", "subject_modified_time",
        "subject_accessed_time", "deleted_time", "volume_created_time",
    ),
    "inventory": (
        "os_install_time", "boot_time", "shutdown_time", "lease_obtained_time", "last_logon_time",
        "last_failed_logon_time", "password_set_time", "account_created_time",
    ),
}
"""Columns that date a row beside `time`: each is a line of its own in `timeline`, and a row
is in a window when any of its times is."""


def in_window(table: Table, window: Window) -> str:
    """SQL: the row has a time in the window; "" where every row is in it."""
    if "time" not in table.schema.names or not window.holds("time"):
        return ""
    parts = [f"({window.holds('time')})"]
    for column in OTHER_TIMES.get(table.name, ()):
        if pa.types.is_list(table.schema.field(column).type):
            parts.append(f"len(list_filter({column}, lambda t: {window.holds('t')})) > 0")
        else:
            parts.append(f"({window.holds(column)})")
    return " OR ".join(parts)


def prunes(table: Table) -> bool:
    """Whether files may be left out by the statistics of `time` alone."""
    return "time" in table.schema.names and table.name not in OTHER_TIMES


def plain(table: Table, files: Sequence[str], window: Window) -> str:
    """SQL: the rows of some files that are in a window, with the table's columns; without files
    none, with the right types."""
    if files:
        columns = [quote.name(field.name) for field in table.schema]
        source = parquet.read(table.schema, files)
        where = in_window(table, window)
    else:
        columns = [
            f"CAST(NULL AS {duckdb_type(field.type)}) AS {quote.name(field.name)}"
            for field in table.schema
        ]
        source, where = "range(0)", ""
    inner = f"SELECT {', '.join(columns)} FROM {source}"
    return f"{inner} WHERE {where}" if where else inner


def view(
    table: Table,
    files: Sequence[str],
    window: Window,
    with_messages: bool = False,
    with_hosts: bool = False,
) -> str:
    """SQL that makes the table's view.

    Args:
        with_messages: `message` is what every row says (message.py), not only what the record
            itself says.
        with_hosts: `host` is filled, for which `artifact_host` must be there. Otherwise it is null,
            and costs nothing.
    """
    inner = plain(table, files, window)
    if with_messages:
        inner = message.rows(table, inner)
    made = f"CREATE OR REPLACE VIEW {quote.name(table.name)} AS SELECT"
    if not table.is_events:
        cited = f"{row_id(table)} AS row_id, " if "src_offset" in table.schema.names else ""
        return f"{made} {cited}* FROM ({inner}) AS t"
    if not with_hosts:
        return f"{made} {row_id(table)} AS row_id, NULL::VARCHAR AS host, * FROM ({inner}) AS t"
    cited = row_id(table)
    for name in ("source_id", "artifact_no"):
        cited = cited.replace(name, f"t.{name}")
    return (
        f"{made} {cited} AS row_id, {host.of_row('t', 'h')} AS host, t.* "
        f"FROM ({inner}) AS t LEFT JOIN artifact_host AS h "
        "ON t.source_id = h.source_id AND t.artifact_no = h.artifact_no"
        + host.joins("t")
    )


ARTIFACT_PATH = (
    "CREATE OR REPLACE VIEW artifact_path AS "
    "SELECT source_id, artifact_no, any_value(paths[1]) AS path "
    "FROM artifact WHERE artifact_no >= 0 GROUP BY ALL"
)
"""SQL that makes `artifact_path`: where in its source a row's artifact lies. A join of its own,
since a column in every view would cost every query the join."""
