"""`process_tree(process)`, `process_ancestors(process)`, `process_descendants(process)` in SQL.

They are macros over a table that the session fills before it runs a query: it finds them in the
query as DuckDB's parser reads it, computes what they are given, and walks (process_walk.py). A
recursive query over files reads all of them once for each generation.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from tracelake.analysis.process_rows import Detail, Hosts, ProcessRows
from tracelake.analysis.process_walk import TREES, Node, Process, Walk, first, own_uid

MACROS = ("process_tree", "process_ancestors", "process_descendants")
NAMED = re.compile(r"\bprocess_(tree|ancestors|descendants)\b", re.IGNORECASE)
_ROW_ID = re.compile(r"(?:proc|art)-([0-9a-f]{16})-(\d+)-([0-9a-f]+)-\d+")
_PLACE = re.compile(r"(.+):(\d{1,18}):(-?\d{1,18})")
_GUID = re.compile(r"\{?([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\}?")

TIME = pa.timestamp("us", tz="UTC")
WITNESS = pa.struct([
    ("row_id", pa.string()), ("log_provider", pa.string()), ("proc_uid", pa.string()),
    ("same_by", pa.string()),
])
FOUND = pa.schema([
    ("asked", pa.string()),
    ("tree", pa.int32()),
    ("nr", pa.int32()),
    ("level", pa.int32()),
    ("path", pa.string()),
    ("host", pa.string()),
    ("proc_name", pa.string()),
    ("proc_pid", pa.int64()),
    ("proc_uid", pa.string()),
    ("started", TIME),
    ("ended", TIME),
    ("proc_path", pa.string()),
    ("proc_cmd_line", pa.string()),
    ("user_name", pa.string()),
    ("parent_pid", pa.int64()),
    ("parent_uid", pa.string()),
    ("joined_by", pa.string()),
    ("is_seen", pa.bool_()),
    ("note", pa.string()),
    ("row_id", pa.string()),
    ("witnesses", pa.list_(WITNESS)),
])
"""What the macros give, after `asked` (what was asked for), `tree` and `nr` (the order)."""

UNCLEAR = "give one process: a text, a parameter or a subquery in parentheses, no column"
_SHOWN = ", ".join(name for name in FOUND.names if name not in ("asked", "tree", "nr"))
_GIVEN = (
    "CASE WHEN {0} IS NULL OR {0} IN (SELECT asked FROM walk.asked) THEN {0} "
    f"ELSE error('{UNCLEAR}') END"
)
_AT = "concat_ws(':', host, pid, epoch_us(CAST(moment AS TIMESTAMPTZ)))"
_LEVELS = {"process_tree": "", "process_ancestors": "AND level <= 0",
           "process_descendants": "AND level >= 0"}

Evaluate = Callable[[str, dict[str, object] | None], Any]
"""Runs a query of one value with its parameters."""


def setup() -> Iterator[str]:
    """SQL that makes the tables and the macros."""
    empty = ", ".join(
        f"CAST(NULL AS {_kind(field.type)}) AS {field.name}" for field in FOUND
    )
    yield "CREATE SCHEMA IF NOT EXISTS walk"
    yield f"CREATE OR REPLACE TABLE walk.found AS SELECT {empty} FROM range(0)"
    yield "CREATE OR REPLACE TABLE walk.asked (asked VARCHAR)"
    for name, levels in _LEVELS.items():
        bodies = ", ".join(
            f"({given}) AS TABLE (SELECT {_SHOWN} FROM walk.found "
            f"WHERE asked = {_GIVEN.format(key)} {levels} ORDER BY tree, nr)"
            for given, key in (("process", "CAST(process AS VARCHAR)"), ("host, pid, moment", _AT))
        )
        yield f"CREATE OR REPLACE MACRO {name} {bodies}"


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return "STRUCT(row_id VARCHAR, log_provider VARCHAR, proc_uid VARCHAR, same_by VARCHAR)[]"
    names = {pa.string(): "VARCHAR", pa.int32(): "INTEGER", pa.int64(): "BIGINT",
             pa.bool_(): "BOOLEAN", TIME: "TIMESTAMPTZ"}
    return names[kind]


class UnclearProcess(ValueError):
    """A macro was not given one process."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A row of the table to be."""

    asked: str
    tree: int
    order: int
    path: str
    node: Node


class Trees:
    """The trees that were asked for in a session.

    Args:
        connection: of the session, in which `setup` was run.
        rows, hosts: of its snapshot.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, rows: ProcessRows, hosts: Hosts
    ) -> None:
        self._connection = connection
        self._rows = rows
        self._hosts = hosts
        self._walk = Walk(rows)
        self._asked: dict[str, list[Process]] = {}
        self._below: set[str] = set()

    def provide(
        self,
        query: str,
        parameters: Sequence[object] | dict[str, object] | None,
        evaluate: Evaluate,
    ) -> None:
        """Fills the table with what a query asks for.

        Raises:
            UnclearProcess: a macro is given a column.
            duckdb.Error: what is given to a macro cannot be computed.
        """
        (said,) = self._connection.execute(
            "SELECT json_serialize_sql($1)", [query]
        ).fetchone() or ("{}",)
        for name, given in _calls(json.loads(said)):
            key = self._key(given, parameters, evaluate)
            if key is not None:
                self._fill(key, name != "process_ancestors")

    def _key(
        self,
        given: list[dict[str, Any]],
        parameters: Sequence[object] | dict[str, object] | None,
        evaluate: Evaluate,
    ) -> str | None:
        if len(given) not in (1, 3):
            return None         # DuckDB says what is wrong
        if any(_has(one, "COLUMN_REF", True) for one in given):
            raise UnclearProcess(UNCLEAR)
        (model,) = self._connection.execute(
            "SELECT json_serialize_sql('SELECT 1')"
        ).fetchone() or ("{}",)
        statement = json.loads(model)
        names = [one.get("alias") for one in given]
        if len(given) == 3 and all(names):
            given = [given[names.index(name)] for name in ("host", "pid", "moment")]
        statement["statements"][0]["node"]["select_list"] = [{**one, "alias": ""} for one in given]
        statement["statements"][0]["named_param_map"] = []
        (text,) = self._connection.execute(
            "SELECT json_deserialize_sql($1::JSON)", [json.dumps(statement)]
        ).fetchone() or ("",)
        values = _values(parameters)
        used = {name: values[name] for one in given for name in _parameters(one) if name in values}
        inner = f"SELECT {_AT} FROM ({text}) AS t(host, pid, moment)" if len(given) == 3 else (
            f"SELECT CAST(process AS VARCHAR) FROM ({text}) AS t(process)"
        )
        value = evaluate(inner, used or None)
        return value if value is None else str(value)

    def _fill(self, key: str, below: bool) -> None:
        found = self._asked.get(key)
        if found is None:
            found = self._processes(key)
            lines: list[_Line] = []
            for process in found[TREES:]:
                process.note = f"one of {len(found)} of this id: ask by its row_id for its tree"
                lines += self._lines(key, len(found), [Node(process, 0, None, None)])
            for number, process in enumerate(found[:TREES]):
                lines += self._lines(key, number, self._walk.ancestors(process))
            self._insert(lines)
            self._connection.execute("INSERT INTO walk.asked VALUES ($1)", [key])
            self._asked[key] = found
        if below and key not in self._below:
            lines = []
            for number, process in enumerate(found[:TREES]):
                lines += self._lines(key, number, self._walk.descendants(process), process)
            self._insert(lines)
            self._below.add(key)

    def _insert(self, lines: list[_Line]) -> None:
        if not lines:
            return
        told = [line.node.process.told for line in lines if line.node.process.told is not None]
        rows = [row for line in lines for row in line.node.process.rows]
        details = self._rows.details([*rows, *told])
        values = [self._values(line, details) for line in lines]
        self._connection.register("walked", pa.Table.from_pylist(values, FOUND))
        try:
            self._connection.execute("INSERT INTO walk.found SELECT * FROM walked")
        finally:
            self._connection.unregister("walked")

    def _processes(self, asked: str) -> list[Process]:
        """The processes that a text may mean."""
        place = _ROW_ID.fullmatch(asked)
        if place is not None:
            source, number, offset = place.groups()
            rows = self._rows.by_row_id(source, int(number), int(offset, 16), asked)
            return self._walk.of_rows(rows)
        guid = _GUID.fullmatch(asked)
        uids = {asked}
        if guid:
            uids |= {form for one in (guid[1].lower(), guid[1].upper())
                     for form in (one, f"{{{one}}}")}
        found = self._walk.of_rows(self._rows.by_uid(uids))
        if found:
            return found
        at = _PLACE.fullmatch(asked)
        if at is not None:
            name, pid, time = at.groups()
            held = [
                self._walk.alive(host, int(pid), int(time)) for host in self._hosts.called(name)
            ]
            return [process for process in held if process is not None]
        children = self._rows.children_by_uid(uids, None, None)
        by_host = {row.host: row for row in reversed(children)}
        return [
            Process(host, told=row, uid=row.parent_uid, note="not seen: what its child tells of it")
            for host, row in by_host.items()
        ]

    def _lines(
        self, asked: str, number: int, nodes: list[Node], root: Process | None = None
    ) -> Iterator[_Line]:
        """The rows of a chain upwards, or of the levels below `root`."""
        if root is None:
            names: list[str] = []
            for node in reversed(nodes):
                names.append(_name(node.process))
                yield _Line(asked, number, node.level, " > ".join(names), node)
            self_path = " > ".join(names)
            nodes[0].process.path = self_path
            return
        below: dict[int, list[Node]] = {}
        for node in nodes:
            if node.parent is not None:
                below.setdefault(id(node.parent.process), []).append(node)
        waiting = [(child, root.path or "") for child in reversed(below.get(id(root), []))]
        order = 0
        while waiting:
            node, above = waiting.pop()
            order += 1
            path = f"{above} > {_name(node.process)}"
            yield _Line(asked, number, order, path, node)
            waiting += [
                (child, path) for child in reversed(below.get(id(node.process), []))
            ]

    def _values(self, line: _Line, details: dict[str, Detail]) -> dict[str, Any]:
        """A row of the table."""
        process, told = line.node.process, line.node.process.told
        rows = process.rows
        said = [details.get(row.row_id, Detail()) for row in rows]
        of_child = details.get(told.row_id, Detail()) if told is not None else Detail()
        return {
            "asked": line.asked, "tree": line.tree, "nr": line.order, "level": line.node.level,
            "path": line.path,
            "host": self._hosts.shown(process.host),
            "proc_name": first(r.proc_name for r in rows) or (told and told.parent_name)
            or process.name,
            "proc_pid": process.pid,
            "proc_uid": first(own_uid(r) for r in rows) or first(r.proc_uid for r in rows)
            or process.uid,
            "started": process.started, "ended": process.ended,
            "proc_path": first(r.proc_path for r in rows) or (told and told.parent_path),
            "proc_cmd_line": first(one.proc_cmd_line for one in said) or of_child.parent_cmd_line,
            "user_name": first(map(_user, said)),
            "parent_pid": first(r.parent_pid for r in rows),
            "parent_uid": first(r.parent_uid for r in rows),
            "joined_by": line.node.joined_by, "is_seen": bool(rows), "note": process.note,
            "row_id": rows[0].row_id if rows else None,
            "witnesses": [
                {"row_id": r.row_id, "log_provider": r.log_provider, "proc_uid": r.proc_uid,
                 "same_by": None if n == 0 else process.same_by[r.row_id]}
                for n, r in enumerate(rows)
            ],
        }


def _name(process: Process) -> str:
    row = process.rows[0] if process.rows else None
    path = (row.proc_name or row.proc_path) if row else None
    if path is None and process.told is not None:
        path = process.told.parent_name or process.told.parent_path
    return re.split(r"[\\/]", path)[-1] if path else "?"


def _user(said: Detail) -> str | None:
    if said.user_name and said.user_domain and "\\" not in said.user_name:
        return f"{said.user_domain}\\{said.user_name}"
    return said.user_name


def _calls(node: Any) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Name and arguments of each of the macros in a parsed query."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            name = str(one.get("function_name", "")).lower()
            if name in MACROS and isinstance(one.get("children"), list):
                yield name, one["children"]
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _has(node: Any, kind: str, outermost: bool = False) -> bool:
    """Whether a parsed expression has a node of a class; `outermost`: outside of subqueries."""
    if isinstance(node, dict):
        if node.get("class") == kind:
            return True
        if outermost and node.get("class") == "SUBQUERY":
            return False
        return any(_has(one, kind, outermost) for one in node.values())
    return isinstance(node, list) and any(_has(one, kind, outermost) for one in node)


def _parameters(node: Any) -> Iterator[str]:
    """Names of the parameters in a parsed expression."""
    if isinstance(node, dict):
        if node.get("class") == "PARAMETER":
            yield str(node["identifier"])
        for one in node.values():
            yield from _parameters(one)
    elif isinstance(node, list):
        for one in node:
            yield from _parameters(one)


def _values(parameters: Sequence[object] | dict[str, object] | None) -> dict[str, object]:
    if isinstance(parameters, dict):
        return dict(parameters)
    return {str(n): value for n, value in enumerate(parameters or (), 1)}
