"""`ocsf.<class>`: the flat columns put back into OCSF's nested objects, for export.

Times stand twice, as OCSF has them: `time` in milliseconds since 1970 and, by its
date/time profile, `time_dt`. Columns that OCSF has no place for are in `unmapped`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from tracelake.analysis.views import quote
from tracelake.normalize import Table, ocsf
from tracelake.normalize.column import note


@dataclass(slots=True)
class Node:
    """An object under construction: leaves are SQL over columns."""

    children: dict[str, Node] = field(default_factory=dict)
    array: str = ""
    keyed: dict[tuple[str, int], Node] = field(default_factory=dict)
    column: str = ""
    is_time: bool = False


def _put(root: Node, steps: list[ocsf.Segment], column: str, is_time: bool) -> None:
    node = root
    for step in steps:
        node = node.children.setdefault(step.name, Node())
        node.array = step.array or node.array
        if step.array == "keyed":
            node = node.keyed.setdefault((step.key, step.value), Node())
    node.column, node.is_time = column, is_time


def _leaves(node: Node) -> list[str]:
    if node.column:
        return [node.column]
    inside = [*node.children.values(), *node.keyed.values()]
    return [leaf for child in inside for leaf in _leaves(child)]


def _absent(columns: list[str]) -> str:
    return " AND ".join(f"{column} IS NULL" for column in columns)


def _pack(fields: list[tuple[str, str]]) -> str:
    return "struct_pack(" + ", ".join(f"{quote.name(k)} := {v}" for k, v in fields) + ")"


def _fields(node: Node, names: dict[str, str]) -> list[tuple[str, str]]:
    """Attribute -> SQL for everything in an object; `names` stand in for column names."""
    out = []
    for name, child in node.children.items():
        out.append((name, _value(child, names)))
        if child.is_time:
            out.append((f"{name}_dt", names.get(child.column, child.column)))
    return out


def _value(node: Node, names: dict[str, str]) -> str:
    if node.array == "items":
        return _items(node)
    if node.array == "keyed":
        packed = []
        for (key, value), child in node.keyed.items():
            fields = [(key, str(value)), *_fields(child, names)]
            packed.append(_or_null(_pack(fields), _leaves(child), names))
        listed = f"list_filter([{', '.join(packed)}], lambda e: e IS NOT NULL)"
        return _or_null(listed, _leaves(node), names)
    if node.column:
        column = names.get(node.column, node.column)
        return f"epoch_ms({column})" if node.is_time else column
    packed_one = _pack(_fields(node, names))
    if node.array == "one":
        packed_one = f"[{packed_one}]"
    return _or_null(packed_one, _leaves(node), names)


def _or_null(sql: str, leaves: list[str], names: dict[str, str]) -> str:
    """An object none of whose columns is given is no object."""
    absent = _absent([names.get(leaf, leaf) for leaf in leaves])
    return f"CASE WHEN {absent} THEN NULL ELSE {sql} END"


def _items(node: Node) -> str:
    """Columns that are lists become one list of objects, item by item."""
    columns = _leaves(node)
    if len(columns) == 1:
        object_ = _pack(_fields(node, {columns[0]: "x"}))
        return f"list_transform({columns[0]}, lambda x: {object_})"
    names = {column: f"x[{number}]" for number, column in enumerate(columns, 1)}
    object_ = _pack(_fields(node, names))
    listed = f"list_transform(list_zip({', '.join(columns)}), lambda x: {object_})"
    return f"CASE WHEN {_absent(columns)} THEN NULL ELSE {listed} END"


def view(name: str, table: Table, class_uid: int) -> str:
    """SQL that makes `ocsf.<name>`: the table's rows of one class."""
    root = Node()
    rest = []
    for column in table.schema:
        path = ocsf.path_of(column, class_uid)
        sql = quote.name(column.name)
        if path is None or path == "unmapped":
            rest.append((column.name, sql))
        else:
            cast = note(column, "ocsf.as")
            sql = f"CAST({sql} AS {cast})" if cast else sql
            _put(root, ocsf.segments(path), sql, pa.types.is_timestamp(column.type))
    fields = dict(_fields(root, {}))
    packed = _fields(root.children["metadata"], {})
    packed += [
        ("version", quote.text(ocsf.VERSION)),
        ("uid", "row_id"),
        ("product", _pack([("name", "coalesce(log_provider, parser)")])),
    ]
    fields["metadata"] = _pack(packed)
    fields["unmapped"] = _pack(rest)
    listed = ", ".join(f"{sql} AS {quote.name(key)}" for key, sql in fields.items())
    where = f" WHERE class_uid = {class_uid}" if len(table.classes) > 1 else ""
    return (
        f"CREATE OR REPLACE VIEW ocsf.{quote.name(name)} AS "
        f"SELECT {listed} FROM main.{quote.name(table.name)}{where}"
    )
