"""The rows that tell of processes, looked up one process at a time.

Ten million rows are not read for one process. A row group is read for an id only when its bloom
filter does not exclude it (lake/bloom.py), and for a process id only when the statistics of host
and time do not. Command lines are most of what is there, and come last: `details`. Files that are
too small for filters are read once, into a table of the session, and so are lists of processes
(`artifact_query`, class 5015).
"""

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import duckdb

from tracelake.analysis.views import parquet, quote
from tracelake.lake.bloom import may_hold, wanted
from tracelake.normalize import TABLES

START, END = 1, 2
MOST = 10_000
"""Descendants of a process that are told, and rows that are looked at for one generation."""
PROBED = 64
"""Ids that are asked of bloom filters; for more of them the columns are read."""
SMALL_HOST = 1_000_000
"""Rows of a host that is read at once for any tree of three generations."""
MOST_FOCUSED = 20_000_000
"""Rows of row groups that are read at once for one host."""
APART = 32
"""Files that are read each by itself, only their row groups in question; more of them as one."""
SECOND = 1_000_000
"""Times are microseconds since 1970: of evidence, they may be beyond what `datetime` holds."""
LOOK_BACK = (3_600 * SECOND, 86_400 * SECOND, None)
"""How far back a process is looked for by its number, step by step: statistics of `time` prune."""

_COLUMNS = {
    "row_id": "'proc-' || substr(source_id, 1, 16) || '-' || artifact_no || '-' || "
              "lower(to_hex(src_offset)) || '-' || sub",
    "kind": f"CASE WHEN activity_id = 2 THEN {END} ELSE {START} END",
    "started": "coalesce(proc_created_time, time)",
    **{name: name for name in (
        "time", "source_id", "artifact_no", "device_hostname", "device_uid", "log_provider",
        "proc_uid", "proc_pid", "proc_path", "proc_name", "parent_uid", "parent_pid",
        "parent_path", "parent_name", "parent_created_time",
    )},
}
_TIMES = ("started", "time", "parent_created_time")
_DETAILS = ("proc_cmd_line", "user_name", "user_domain", "parent_cmd_line")
_FILTERS = ("proc_uid", "parent_uid", "device_uid")
_KINDS = {
    **dict.fromkeys(_TIMES, "TIMESTAMPTZ"), "kind": "INTEGER", "artifact_no": "INTEGER",
    "proc_pid": "BIGINT", "parent_pid": "BIGINT", "src_offset": "BIGINT", "number": "BIGINT",
}
# Rows that say that a process began, ended, or was there since a time that they name.
_TELLS = (
    "(activity_id IN (1, 2) OR "
    "(coalesce(activity_id, 0) IN (0, 99) AND proc_created_time IS NOT NULL))"
)
_SCHEMA = TABLES["process_activity"].schema
_READ = [
    field for field in _SCHEMA if re.search(
        rf"\b{field.name}\b", " ".join((*_COLUMNS.values(), *_DETAILS, _TELLS))
    )
]
"""Columns that all of this reads."""
# Lists of processes: of memory images, of what a collector asked a host for.
_LISTED = {
    **_COLUMNS,
    "row_id": _COLUMNS["row_id"].replace("'proc-'", "'art-'"),
    "kind": str(START),
    "started": "coalesce(subject_created_time, time)",
    "proc_uid": "NULL::VARCHAR", "proc_pid": "pid", "proc_path": "subject_path",
    "proc_name": "subject_name", "parent_uid": "NULL::VARCHAR", "parent_path": "NULL::VARCHAR",
    "parent_name": "NULL::VARCHAR", "parent_created_time": "NULL::TIMESTAMPTZ",
    "proc_cmd_line": "cmd_line", "user_name": "user_name", "user_domain": "NULL::VARCHAR",
    "parent_cmd_line": "NULL::VARCHAR",
}
_BASE = re.compile(r"[^\\/]+$")
NOBODY = ("\U0010ffff", "")
"""First and last name of a host, where rows name none."""
_UNIT = re.compile(r"([0-9a-f]{16})-(\d+)-")


@dataclass(frozen=True, slots=True)
class Row:
    """What one row tells of a process; `host` is the key of its host, `file` and `number` its
    place in the lake."""

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
    parent_uid: str | None
    parent_pid: int | None
    parent_path: str | None
    parent_name: str | None
    parent_created_time: int | None
    file: str | None
    number: int
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
class Detail:
    """What else a row tells."""

    proc_cmd_line: str | None = None
    user_name: str | None = None
    user_domain: str | None = None
    parent_cmd_line: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where rows of a host are: what they call it, its ids, and artifacts whose rows name none."""

    names: tuple[str, ...] = ()
    uids: tuple[str, ...] = ()
    artifacts: tuple[tuple[str, int], ...] = ()

    def holds(self) -> Iterator[str]:
        """SQL: the ways for a row to be of this host. A choice of them prunes nothing: each is to
        be asked for itself, and no row is of two."""
        named = f"IN ({', '.join(map(quote.text, self.names))})"
        if self.names:
            yield f"device_hostname {named}"
        if self.uids:
            other = f" AND (device_hostname IS NULL OR NOT device_hostname {named})"
            yield f"device_uid IN ({', '.join(map(quote.text, self.uids))})" + (
                other if self.names else ""
            )
        for source, number in self.artifacts:
            yield (
                "device_hostname IS NULL AND device_uid IS NULL "
                f"AND source_id = {quote.text(source)} AND artifact_no = {number}"
            )


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

    def rows(self, host: str) -> int:
        """How many rows there are of a host, of all kinds."""

    def called(self, name: str) -> list[str]:
        """Keys of the hosts that a name may mean."""


@dataclass(frozen=True, slots=True)
class _Group:
    """A row group: its rows are [first, first + rows) of the file.

    Attributes:
        blooms: column -> offset and length of its filter in the file.
        time: first and last, where they are known.
        named: first and last name of a host, where they are known; `NOBODY`: there is none.
    """

    file: str
    first: int
    rows: int
    blooms: dict[str, tuple[int, int]]
    time: tuple[int, int] | None
    named: tuple[str, str] | None

    def has_time(self, since: int | None, until: int | None) -> bool:
        """Whether it can have rows of a span."""
        if self.time is None:
            return True
        return (since is None or self.time[1] >= since) and (
            until is None or self.time[0] <= until
        )


class ProcessRows:
    """Lookups in the processes of one snapshot.

    Args:
        connection: of the session. It makes a table there, in the schema `walk`.
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
        self._local = local
        self._focused: str | None = None
        groups = _groups(connection, files)
        bare = {group.file for group in groups if "proc_uid" not in group.blooms}
        self._groups = [group for group in groups if group.file not in bare]
        columns = ", ".join([*_COLUMNS, *_DETAILS, "src_offset", "number"])
        lists = (
            f"SELECT {_selected({**_LISTED, 'number': '0'}, (*_COLUMNS, *_DETAILS, 'number'))}, "
            f"src_offset FROM ({listed}) WHERE class_uid = 5015 AND pid IS NOT NULL"
        )
        small = sorted(bare)
        connection.execute("CREATE SCHEMA IF NOT EXISTS walk")
        connection.execute(
            f"CREATE OR REPLACE TABLE walk.small AS SELECT {columns}, "
            "row_number() OVER () AS nr FROM ("
            f"{_of_files(small)} UNION ALL BY NAME {lists})"
        )
        self._has_small = connection.execute(
            "SELECT 1 FROM walk.small LIMIT 1"
        ).fetchone() is not None

    def by_uid(self, uids: Collection[str], host: str | None = None) -> list[Row]:
        """Begins and ends of processes with these ids, of a host (None: of any)."""
        return self._by_text("proc_uid", list(uids), host, None, None)

    def children_by_uid(
        self, uids: Collection[str], host: str | None, since: int | None
    ) -> list[Row]:
        """Begins of processes whose parents have these ids, logged since then."""
        return self._by_text("parent_uid", list(uids), host, since, MOST)

    def by_row_id(self, source: str, artifact_no: int, offset: int, row_id: str) -> list[Row]:
        """The row of a citation; `source`: the begin of its source's id."""
        unit = f"{source}-{artifact_no}-"
        groups = [group for group in self._groups if _may_be_of(group.file, unit)]
        where = (
            f"src_offset = {offset} AND starts_with(source_id, {quote.text(source)}) "
            f"AND artifact_no = {artifact_no}"
        )
        return [row for row in self._read(groups, [where]) if row.row_id == row_id]

    def by_pid(
        self, host: str, pids: Collection[int], since: int | None, until: int | None
    ) -> list[Row]:
        """Begins and ends, logged in [since, until], of processes with these numbers."""
        return self._of_host(host, "proc_pid", pids, since, until, None)

    def near(self, host: str, begins: Collection[tuple[int, int]], before: int, after: int) -> list[
        Row
    ]:
        """Begins and ends that were logged about a time.

        Args:
            begins: process ids, and the time of each.
            before, after: how long before and after it.
        """
        if not begins:
            return []
        since = min(at for _, at in begins) - before
        until = max(at for _, at in begins) + after
        times = sorted({at for _, at in begins})

        def touched(group: _Group) -> bool:
            if group.time is None:
                return True
            first, last = group.time
            return any(at - before <= last and at + after >= first for at in times)

        rows = self._of_host(
            host, "proc_pid", {pid for pid, _ in begins}, since, until, None, touched
        )
        wanted_times: dict[int, list[int]] = {}
        for pid, at in begins:
            wanted_times.setdefault(pid, []).append(at)
        return [
            row for row in rows
            if row.proc_pid is not None and row.time is not None and any(
                at - before <= row.time <= at + after for at in wanted_times[row.proc_pid]
            )
        ]

    def children_by_pid(
        self, host: str, pids: Collection[int], since: int | None, until: int | None
    ) -> list[Row]:
        """Begins, logged in [since, until], of processes whose parents have these numbers."""
        return self._of_host(host, "parent_pid", pids, since, until, MOST)

    def holder(self, host: str, pid: int, until: int) -> list[Row]:
        """Rows of the process that had a number last before a time, and of others before it."""
        end: int | None = until
        for back in LOOK_BACK:
            since = until - back if back is not None else None
            # Lists name processes that began long before: by the time that they say.
            rows = self.by_pid(host, [pid], since, end if since is not None else None)
            if any(
                (row.kind == START and row.started is not None and row.started <= until)
                or (row.kind == END and row.time is not None and row.time < until - 4 * SECOND)
                for row in rows
            ):
                return rows
            end = since
        return []

    def details(self, rows: Iterable[Row]) -> dict[str, Detail]:
        """What else rows tell, by their row_id."""
        places: dict[str | None, dict[int, str]] = {}
        for row in rows:
            places.setdefault(row.file, {})[row.number] = row.row_id
        columns = ", ".join(_DETAILS)
        found: dict[str, Detail] = {}
        ordered = iter(sorted(places.items(), key=lambda item: item[0] or ""))
        while part := list(islice(ordered, APART)):
            asked = []
            for n, (file, held) in enumerate(part):
                numbers = ", ".join(map(str, sorted(held)))
                source, number = "walk.small", "nr"
                if file is not None:
                    source = parquet.read(map(_SCHEMA.field, _DETAILS), [file])
                    number = "file_row_number"
                asked.append(
                    f"SELECT {n} AS part, {number} AS number, {columns} FROM {source} "
                    f"WHERE {number} IN ({numbers})"
                )
            for n, number_, *values in self._connection.execute(
                " UNION ALL ".join(asked)
            ).fetchall():
                found[part[n][1][number_]] = Detail(*values)
        return found

    def _by_text(
        self, column: str, texts: list[str], host: str | None, since: int | None, most: int | None
    ) -> list[Row]:
        if not texts:
            return []
        groups = [group for group in self._groups if group.has_time(since, None)]
        if host is not None and host == self._focused:
            groups = []
        elif host is not None:
            groups = self._of_place(groups, self._hosts.place(host))
        if len(texts) <= PROBED:
            groups = self._holding(groups, column, texts)
        listed = len(texts) <= PROBED
        where = f"{column} IN " + (
            f"({', '.join(map(quote.text, texts))})" if listed else "(SELECT value FROM listed)"
        )
        if column == "parent_uid":
            where += f" AND kind = {START}"
        where += _span(since, None)
        rows = self._read(groups, [where], most, None if listed else texts, host)
        return [row for row in rows if host is None or row.host == host]

    def _holding(
        self, groups: Sequence[_Group], column: str, texts: Sequence[str]
    ) -> list[_Group]:
        """The row groups that may hold one of the texts."""
        if not self._local:
            return list(groups)
        looked_for = [wanted(text) for text in texts]
        found: list[_Group] = []
        handles: dict[str, int] = {}
        try:
            for group in groups:
                if column not in group.blooms:
                    found.append(group)
                    continue
                handle = handles.get(group.file)
                if handle is None:
                    handle = handles[group.file] = os.open(group.file, os.O_RDONLY)
                offset, length = group.blooms[column]
                if any(may_hold(handle, offset, length, text) for text in looked_for):
                    found.append(group)
        finally:
            for handle in handles.values():
                os.close(handle)
        return found

    def _of_host(
        self,
        host: str,
        column: str,
        pids: Collection[int],
        since: int | None,
        until: int | None,
        most: int | None,
        touched: Callable[[_Group], bool] = lambda _: True,
    ) -> list[Row]:
        """Rows of a host by a process id."""
        place = self._hosts.place(host)
        if not pids:
            return []
        groups = [
            group for group in self._groups if group.has_time(since, until) and touched(group)
        ]
        groups = self._of_place(groups, place)
        listed = len(pids) <= PROBED
        where = f"{column} IN " + (
            f"({', '.join(map(str, pids))})" if listed else "(SELECT value FROM listed)"
        ) + _span(since, until)
        if column == "parent_pid":
            where += f" AND kind = {START}"
        asked = [f"{way} AND {where}" for way in place.holds()]
        rows = self._read(groups, asked, most, None if listed else list(pids), host)
        return [row for row in rows if row.host == host]

    def _of_place(self, groups: Sequence[_Group], place: Place) -> list[_Group]:
        """The row groups that can have rows of a host."""
        units = [f"{source[:16]}-{number}-" for source, number in place.artifacts]
        found = {
            id(group) for group in groups
            if (place.names and (group.named is None or any(
                group.named[0] <= name <= group.named[1] for name in place.names)))
            or any(_may_be_of(group.file, unit) for unit in units)
        }
        if place.uids and len(place.uids) <= PROBED:
            rest = [group for group in groups if id(group) not in found]
            found |= {id(group) for group in self._holding(rest, "device_uid", place.uids)}
        elif place.uids:
            return list(groups)
        return [group for group in groups if id(group) in found]

    def focus(self, host: str, since: int | None) -> None:
        """Reads what there is of a host since a time into a table of the session, in which it is
        then looked up: for a tree of hundreds of processes. Not where there is very much of it."""
        self._focused = None
        place = self._hosts.place(host)
        groups = self._of_place([g for g in self._groups if g.has_time(since, None)], place)
        if sum(group.rows for group in groups) > MOST_FOCUSED:
            return
        ways = [f"true{_span(since, None)} AND {way}" for way in place.holds()]
        asked = self._asked(groups, ways, ", ".join(_COLUMNS))
        if asked:
            self._connection.execute(
                f"CREATE OR REPLACE TABLE walk.focus AS {' UNION ALL '.join(asked)}"
            )
            self._focused = host

    def is_small(self, host: str) -> bool:
        """Whether it costs little to read all that there is of a host."""
        return self._hosts.rows(host) <= SMALL_HOST

    def widen(self) -> None:
        """Ends `focus`."""
        if self._focused is not None:
            self._focused = None
            self._connection.execute("DROP TABLE walk.focus")

    def _read(
        self,
        groups: Sequence[_Group],
        ways: Sequence[str],
        most: int | None = None,
        listed: Sequence[object] | None = None,
        host: str | None = None,
    ) -> list[Row]:
        """The rows of some row groups, and of the small files, for which one of the conditions
        holds.

        Args:
            most: the earliest of them.
            listed: the values of the table `listed` that the conditions name.
            host: whose they are.
        """
        columns = ", ".join(
            f"CASE WHEN isfinite({name}) THEN epoch_us({name}) END"
            if name in _TIMES else name
            for name in _COLUMNS
        )
        if host is not None and host == self._focused:
            asked = [f"SELECT {columns}, file, number, logged FROM walk.focus WHERE {way}"
                     for way in ways]
        else:
            asked = self._asked(groups, ways, columns)
        if not asked:
            return []
        query = f"SELECT * EXCLUDE (logged) FROM ({' UNION ALL '.join(asked)})"
        if most is not None:
            query += f" ORDER BY logged LIMIT {most}"
        if listed is not None:
            # Not as a parameter: DuckDB would look for numpy once for each of the values.
            values = ", ".join(
                quote.text(one) if isinstance(one, str) else str(one) for one in listed
            )
            query = f"WITH listed AS (SELECT unnest([{values}]) AS value) {query}"
        of = self._hosts.of
        return [
            Row(*(*row, of(row[4], row[5], row[6], row[7])))
            for row in self._connection.execute(query).fetchall()
        ]

    def _asked(
        self, groups: Sequence[_Group], ways: Sequence[str], columns: str
    ) -> list[str]:
        """SQL: the rows of row groups and small files for which a condition holds, by each."""
        files: dict[str, list[_Group]] = {}
        for group in groups:
            files.setdefault(group.file, []).append(group)
        names = list(files)
        parts: list[tuple[int | None, str]] = []
        if len(names) > APART:
            parts.append((None, _of_files(names, "")))
        else:
            for n, (file, held) in enumerate(files.items()):
                spans = " OR ".join(
                    f"file_row_number BETWEEN {one.first} AND {one.first + one.rows - 1}"
                    for one in held
                )
                parts.append((n, _of_files([file], spans)))
        asked = [
            f"SELECT {columns}, {'file' if n is None else quote.text(names[n])} AS file, number, "
            f"time AS logged FROM ({part}) WHERE {way}"
            for n, part in parts for way in ways
        ]
        if self._has_small:
            asked += [
                f"SELECT {columns}, NULL AS file, nr AS number, time AS logged FROM walk.small "
                f"WHERE {way}" for way in ways
            ]
        return asked


def _groups(connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> list[_Group]:
    """The row groups of some files."""
    if not files:
        return []
    # What nothing filled is not in a file; `source_id` is in all of them.
    named = ("source_id", *_FILTERS, "time", "device_hostname")
    columns = ", ".join(map(quote.text, named))
    found = connection.execute(
        "SELECT file_name, row_group_id, row_group_num_rows, path_in_schema, "
        "bloom_filter_offset, bloom_filter_length, stats_min_value, stats_max_value, "
        "epoch_us(TRY_CAST(stats_min_value AS TIMESTAMPTZ)), "
        "epoch_us(TRY_CAST(stats_max_value AS TIMESTAMPTZ)), stats_null_count "
        f"FROM parquet_metadata($files) WHERE path_in_schema IN ({columns}) "
        "ORDER BY file_name, row_group_id", {"files": list(files)},
    ).fetchall()
    groups: dict[tuple[str, int], dict[str, tuple[object, ...]]] = {}
    for file, number, rows, column, *rest in found:
        groups.setdefault((file, number), {"": (rows,)})[column] = tuple(rest)
    made: list[_Group] = []
    ends: dict[str, int] = {}
    for (file, _), said in groups.items():
        (rows,) = said[""]
        first = ends.get(file, 0)
        assert isinstance(rows, int)
        ends[file] = first + rows
        blooms = {
            name: (offset, length)
            for name in _FILTERS
            for offset, length in [said.get(name, (None, None))[:2]]
            if isinstance(offset, int) and isinstance(length, int)
        }
        begin, end = said.get("time", (None,) * 7)[4:6]
        low, high, _, _, nulls = said.get("device_hostname", (None,) * 7)[2:]
        if nulls == rows or "device_hostname" not in said:
            low, high = NOBODY
        made.append(_Group(
            file, first, rows, blooms,
            (begin, end) if isinstance(begin, int) and isinstance(end, int) else None,
            (low, high) if isinstance(low, str) and isinstance(high, str) else None,
        ))
    return made


def _may_be_of(file: str, unit: str) -> bool:
    """Whether a file may have rows of an artifact; `unit`: the begin of its units' names."""
    name = file.rpartition("/")[2]
    return name.startswith(unit) or _UNIT.match(name) is None


def _selected(columns: dict[str, str], names: Iterable[str]) -> str:
    return ", ".join(f"{columns.get(name, name)} AS {name}" for name in names)


def _of_files(files: Sequence[str], rows: str | None = None) -> str:
    """SQL: what is said of processes in some files.

    Args:
        rows: which rows of them; None: all, with their details.
    """
    wanted_columns = [*_COLUMNS, "src_offset", *([] if rows is not None else _DETAILS)]
    if not files:
        return "SELECT " + ", ".join(
            f"NULL::{_KINDS.get(name, 'VARCHAR')} AS {name}" for name in [*wanted_columns, "number"]
        ) + " FROM range(0)"
    return (
        f"SELECT {_selected(_COLUMNS, wanted_columns)}, file_row_number AS number"
        f"{', filename AS file' if rows == '' else ''} FROM {parquet.read(_READ, files)} "
        f"WHERE {_TELLS}" + (f" AND ({rows})" if rows else "")
    )


def _span(since: int | None, until: int | None) -> str:
    """SQL: logged in [since, until]."""
    found = ""
    if since is not None:
        found += f" AND time >= make_timestamptz({since})"
    if until is not None:
        found += f" AND time <= make_timestamptz({until})"
    return found
