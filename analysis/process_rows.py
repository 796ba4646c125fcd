"""The rows that tell of processes, looked up one process at a time.

Ten million rows are not read for one process. A row group is read for an id only when its bloom
filter does not exclude it (lake/bloom.py), and for a process id only when the statistics of host
and time do not. Files that are too small for filters are read once, into a table of the session,
and so are lists of processes (`artifact_query`, class 5015).
"""

import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import duckdb

from tracelake.analysis.views import quote
from tracelake.lake.bloom import may_hold, wanted

START, END = 1, 2
MOST = 10_000
"""Descendants of a process that are told, and rows that are looked at for one generation."""
PROBED = 64
"""Ids that are asked of bloom filters; for more of them the columns are read."""
READ = 0.5
"""Share of all row groups from which on they are rather read as a whole."""
SECOND = 1_000_000
"""Times are microseconds since 1970: of evidence, they may be beyond what `datetime` holds."""
LOOK_BACK = (3_600 * SECOND, 86_400 * SECOND, None)
"""How far back a process is looked for by its number, step by step: statistics of `time` prune."""

_COLUMNS = {
    "row_id": "'proc-' || substr(source_id, 1, 16) || '-' || artifact_no || '-' || "
              "lower(to_hex(src_offset)) || '-' || sub",
    "kind": f"CASE WHEN activity_id = 2 THEN {END} ELSE {START} END",
    "started": "coalesce(proc_created_time, time)",
    "time": "time",
    "source_id": "source_id",
    "artifact_no": "artifact_no",
    "device_hostname": "device_hostname",
    "device_uid": "device_uid",
    "log_provider": "log_provider",
    "proc_uid": "proc_uid",
    "proc_pid": "proc_pid",
    "proc_path": "proc_path",
    "proc_name": "proc_name",
    "proc_cmd_line": "proc_cmd_line",
    "user_name": "user_name",
    "user_domain": "user_domain",
    "parent_uid": "parent_uid",
    "parent_pid": "parent_pid",
    "parent_path": "parent_path",
    "parent_name": "parent_name",
    "parent_cmd_line": "parent_cmd_line",
}
# Rows that say that a process began, ended, or was there since a time that they name.
_TELLS = (
    "(activity_id IN (1, 2) OR "
    "(coalesce(activity_id, 0) IN (0, 99) AND proc_created_time IS NOT NULL))"
)
# Lists of processes: of memory images, of what a collector asked a host for.
_LISTED = {
    **_COLUMNS,
    "row_id": _COLUMNS["row_id"].replace("'proc-'", "'art-'"),
    "kind": str(START),
    "started": "coalesce(subject_created_time, time)",
    "proc_uid": "NULL::VARCHAR", "proc_pid": "pid", "proc_path": "subject_path",
    "proc_name": "subject_name", "proc_cmd_line": "cmd_line", "user_domain": "NULL::VARCHAR",
    "parent_uid": "NULL::VARCHAR", "parent_path": "NULL::VARCHAR", "parent_name": "NULL::VARCHAR",
    "parent_cmd_line": "NULL::VARCHAR",
}
_BASE = re.compile(r"[^\\/]+$")


@dataclass(frozen=True, slots=True)
class Row:
    """What one row tells of a process; `host` is the key of its host."""

    row_id: str
    kind: int
    started: int | None
    time: int | None
    source_id: str
    artifact_no: int
    device_hostname: str | None
    device_uid: str | None
    log_provider: str | None
    proc_uid: str | None
    proc_pid: int | None
    proc_path: str | None
    proc_name: str | None
    proc_cmd_line: str | None
    user_name: str | None
    user_domain: str | None
    parent_uid: str | None
    parent_pid: int | None
    parent_path: str | None
    parent_name: str | None
    parent_cmd_line: str | None
    host: str

    @property
    def name(self) -> str | None:
        """The image's name in lower case."""
        return base_name(self.proc_name or self.proc_path)

    @property
    def parents_name(self) -> str | None:
        """That of the parent, by this row."""
        return base_name(self.parent_name or self.parent_path)


def base_name(path: str | None) -> str | None:
    """A path's last part in lower case."""
    found = _BASE.search(path or "")
    return found[0].lower() if found else None


@dataclass(frozen=True, slots=True)
class Place:
    """Where rows of a host are: what they call it, its ids, and artifacts whose rows name none."""

    names: tuple[str, ...] = ()
    uids: tuple[str, ...] = ()
    artifacts: tuple[tuple[str, int], ...] = ()


class Hosts(Protocol):
    """Whose a row is."""

    def of(
        self, source_id: str, artifact_no: int, name: str | None, uid: str | None
    ) -> str:
        """The key of a row's host; one of its own for an artifact that nothing is known of."""

    def place(self, host: str) -> Place:
        """Where rows of a host are."""

    def shown(self, host: str) -> str | None:
        """The host's name; None where it is not known."""

    def called(self, name: str) -> list[str]:
        """Keys of the hosts that a name may mean."""


@dataclass(frozen=True, slots=True)
class _Group:
    """A row group: its rows are [first, first + rows) of the file."""

    file: str
    first: int
    rows: int
    blooms: dict[str, tuple[int, int]]


class ProcessRows:
    """Lookups in the processes of one snapshot.

    Args:
        connection: of the session. It makes a schema `walk` there.
        files: of `process_activity`, whatever the session's window.
        listed: SQL of all rows of `artifact_query`.
        hosts: whose a row is.
        local: whether the files can be opened by their paths.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        files: Sequence[str],
        listed: str,
        hosts: Hosts,
        local: bool,
    ) -> None:
        self._connection = connection
        self._hosts = hosts
        groups = list(self._groups(files))
        filtered = {g.file for g in groups} - {g.file for g in groups if len(g.blooms) < 2}
        small = [file for file in files if file not in filtered] if local else []
        large = [file for file in files if file in filtered] if local else list(files)
        self._group_list = [g for g in groups if g.file in filtered] if local else []
        self._total = sum(1 for g in groups if g.file in filtered)
        run = connection.execute
        run("CREATE SCHEMA IF NOT EXISTS walk")
        run(f"CREATE OR REPLACE VIEW walk.large AS {_narrow(large)}")
        run(f"CREATE OR REPLACE TABLE walk.small AS {_narrow(small)} UNION ALL "
            f"SELECT {_selected(_LISTED)} FROM ({listed}) WHERE class_uid = 5015 "
            "AND pid IS NOT NULL")
        self._has_small = run("SELECT 1 FROM walk.small LIMIT 1").fetchone() is not None
        self._has_large = bool(large)

    def _groups(self, files: Sequence[str]) -> Iterator[_Group]:
        if not files:
            return
        found = self._connection.execute(
            "SELECT file_name, row_group_id, row_group_num_rows, path_in_schema, "
            "bloom_filter_offset, bloom_filter_length FROM parquet_metadata($files) "
            "WHERE path_in_schema IN ('proc_uid', 'parent_uid') "
            "ORDER BY file_name, row_group_id", {"files": list(files)},
        ).fetchall()
        groups: dict[tuple[str, int], _Group] = {}
        ends: dict[str, int] = {}
        for file, number, rows, column, offset, length in found:
            group = groups.get((file, number))
            if group is None:
                first = ends.get(file, 0)
                ends[file] = first + rows
                group = groups[file, number] = _Group(file, first, rows, {})
            if offset is not None and length is not None:
                group.blooms[column] = (offset, length)
        yield from groups.values()

    def by_uid(self, uids: Collection[str]) -> list[Row]:
        """Begins and ends of processes with these ids."""
        return self._by_text("proc_uid", uids, "")

    def children_by_uid(self, uids: Collection[str], since: int | None) -> list[Row]:
        """Begins of processes whose parents have these ids.

        Args:
            since: those logged later only.
        """
        where = f" AND kind = {START}{_from(since)}"
        return self._by_text("parent_uid", uids, where, most=MOST)

    def by_row_id(self, source: str, artifact_no: int, offset: int, row_id: str) -> list[Row]:
        """The row of a citation; `source`: the begin of its source's id."""
        where = (
            f"starts_with(source_id, {quote.text(source)}) AND artifact_no = {artifact_no} "
            f"AND row_id = {quote.text(row_id)}"
        )
        large = f"{where} AND src_offset = {offset}"
        return self._ask([f"SELECT * FROM walk.large WHERE {large}",
                          f"SELECT * FROM walk.small WHERE {large}"], {})

    def by_pid(
        self, host: str, pids: Collection[int], since: int | None, until: int | None
    ) -> list[Row]:
        """Begins and ends, logged in [since, until], of processes with these numbers."""
        where = f"list_contains($pids, proc_pid){_from(since)}{_until(until)}"
        if len(pids) == 1:
            where = f"proc_pid = {next(iter(pids))}{_from(since)}{_until(until)}"
            return self._of_host(host, where, {})
        where = f"proc_pid IN (SELECT unnest($pids)){_from(since)}{_until(until)}"
        return self._of_host(host, where, {"pids": list(pids)})

    def children_by_pid(
        self, host: str, pids: Collection[int], since: int | None, until: int | None
    ) -> list[Row]:
        """Begins, logged in [since, until], of processes whose parents have these numbers."""
        where = (
            f"parent_pid IN (SELECT unnest($pids)) AND kind = {START}{_from(since)}{_until(until)}"
        )
        return self._of_host(host, where, {"pids": list(pids)}, most=MOST)

    def holder(self, host: str, pid: int, until: int) -> list[Row]:
        """Rows of the process that had a number last before a time, and of others before it."""
        end: int | None = until
        for back in LOOK_BACK:
            since = until - back if back is not None else None
            rows = self.by_pid(host, [pid], since, end)
            if since is None:
                # Lists name processes that began long before: by the time that they say.
                rows = self.by_pid(host, [pid], None, None)
            if any(
                row.kind == START and row.started is not None and row.started <= until
                or row.kind == END and row.time is not None and row.time < until - 4 * SECOND
                for row in rows
            ):
                return rows
            end = since
        return []

    def _by_text(
        self, column: str, texts: Collection[str], where: str, most: int | None = None
    ) -> list[Row]:
        texts = list(texts)
        if not texts:
            return []
        given = {"texts": texts}
        within = f"{column} IN ({', '.join(map(quote.text, texts))}){where}"
        if len(texts) > PROBED:
            within = f"{column} IN (SELECT unnest($texts)){where}"
        asked = [f"SELECT * FROM walk.small WHERE {within}"] if self._has_small else []
        groups = self._candidates(column, texts) if len(texts) <= PROBED else None
        if groups is None:
            asked.append(f"SELECT * FROM walk.large WHERE {within}")
        else:
            for file, spans in groups.items():
                rows = " OR ".join(f"file_row_number BETWEEN {a} AND {b - 1}" for a, b in spans)
                asked.append(f"SELECT * FROM ({_narrow([file], rows)}) WHERE {within}")
        return self._ask(asked, given if len(texts) > PROBED else {}, most)

    def _candidates(
        self, column: str, texts: Sequence[str]
    ) -> dict[str, list[tuple[int, int]]] | None:
        """The row groups that may hold one of the texts, by file; None: read them all."""
        if not self._group_list:
            return None if self._has_large else {}
        looked_for = [wanted(text) for text in texts]
        found: dict[str, list[tuple[int, int]]] = {}
        count = 0
        handles: dict[str, int] = {}
        try:
            for group in self._group_list:
                handle = handles.get(group.file)
                if handle is None:
                    handle = handles[group.file] = os.open(group.file, os.O_RDONLY)
                offset, length = group.blooms[column]
                if any(may_hold(handle, offset, length, text) for text in looked_for):
                    found.setdefault(group.file, []).append(
                        (group.first, group.first + group.rows)
                    )
                    count += 1
        finally:
            for handle in handles.values():
                os.close(handle)
        return found if count <= max(4, self._total * READ) else None

    def _of_host(
        self, host: str, where: str, given: dict[str, object], most: int | None = None
    ) -> list[Row]:
        """Rows of a host: a part for each way to be one, since a choice of them prunes nothing."""
        place = self._hosts.place(host)
        parts = []
        if place.names:
            parts.append(f"device_hostname IN ({', '.join(map(quote.text, place.names))})")
        if place.uids:
            parts.append(
                f"device_uid IN ({', '.join(map(quote.text, place.uids))})"
                + (f" AND NOT ({parts[0].replace('IN', 'IS NOT NULL AND device_hostname IN', 1)})"
                   if parts else "")
            )
        nameless = "device_hostname IS NULL AND device_uid IS NULL"
        parts += [
            f"{nameless} AND source_id = {quote.text(source)} AND artifact_no = {number}"
            for source, number in place.artifacts
        ]
        tables = ["walk.large"] * self._has_large + ["walk.small"] * self._has_small
        asked = [
            f"SELECT * FROM {table} WHERE {part} AND {where}" for table in tables for part in parts
        ]
        return [row for row in self._ask(asked, given, most) if row.host == host]

    def _ask(
        self, asked: Sequence[str], given: dict[str, object], most: int | None = None
    ) -> list[Row]:
        """The rows of all these queries; `most`: the earliest of them."""
        if not asked:
            return []
        columns = ", ".join(
            f"CASE WHEN isfinite({name}) THEN epoch_us({name}) END"
            if name in ("started", "time") else name
            for name in _COLUMNS
        )
        query = " UNION ALL ".join(f"(SELECT {columns} FROM ({one}))" for one in asked)
        if most is not None:
            query += f" ORDER BY 4 LIMIT {most}"
        used = {key: value for key, value in given.items() if f"${key}" in query}
        rows = self._connection.execute(query, used or None).fetchall()
        of = self._hosts.of
        return [Row(*row, host=of(row[4], row[5], row[6], row[7])) for row in rows]


def _selected(columns: dict[str, str]) -> str:
    return ", ".join(f"{sql} AS {name}" for name, sql in columns.items()) + ", src_offset"


def _narrow(files: Sequence[str], rows: str = "") -> str:
    """SQL: what is said of processes in some files.

    Args:
        rows: which rows of them.
    """
    if not files:
        kinds = {
            "kind": "INTEGER", "started": "TIMESTAMPTZ", "time": "TIMESTAMPTZ",
            "artifact_no": "INTEGER", "proc_pid": "BIGINT", "parent_pid": "BIGINT",
        }
        empty = ", ".join(f"NULL::{kinds.get(n, 'VARCHAR')} AS {n}" for n in _COLUMNS)
        return f"SELECT {empty}, NULL::BIGINT AS src_offset FROM range(0)"
    listed = ", ".join(quote.text(file) for file in files)
    source = f"read_parquet([{listed}]{', file_row_number = true' if rows else ''})"
    return (
        f"SELECT {_selected(_COLUMNS)} FROM {source} WHERE {_TELLS}"
        + (f" AND ({rows})" if rows else "")
    )


def _from(since: int | None) -> str:
    return f" AND time >= make_timestamptz({since})" if since is not None else ""


def _until(until: int | None) -> str:
    return f" AND time <= make_timestamptz({until})" if until is not None else ""
