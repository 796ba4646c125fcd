"""What becomes of a lake between versions of tracelake: columns are added, nothing else changes.

An older lake's tables have fewer columns: the first commit into one adds them to its schema (a
version of its log with new metadata), files that are there lack them, and readers take them for
null. A column is never renamed, removed or given another type, a new one is never required, and a
table that is gone keeps its place in `normalize`: so a column or a table that is in a lake and not
known here was written by a newer version. It is refused: what it holds would be left out of every
answer in silence.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from tracelake.lake.disk import Place
from tracelake.lake.errors import LakeError, NewerFormat
from tracelake.lake.schema import schema_json

Field = Mapping[str, Any]
"""A column as a Delta log says it: `name`, `type`, `nullable`, `metadata`."""

_SHOWN = 5


def fields_of(schema: str) -> list[Field]:
    """The columns in a log's `schemaString`."""
    fields: list[Field] = orjson.loads(schema)["fields"]
    return fields


def new_columns(table: Place, there: Sequence[Field], schema: pa.Schema) -> list[str]:
    """Names of the columns that a table in the lake does not have yet.

    Args:
        table: its folder, for messages.
        there: its columns.
        schema: what it is here.

    Raises:
        NewerFormat: it has columns that are not known here.
        LakeError: a column is there with another type.
    """
    ours = _types(schema)
    theirs = {field["name"]: field["type"] for field in there}
    unknown = [name for name in theirs if name not in ours]
    if unknown:
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        raise NewerFormat(
            f"{table}: has columns that this tracelake does not know "
            f"({', '.join(unknown[:_SHOWN])}{more}): a newer one wrote it; use that"
        )
    for name, kind in theirs.items():
        if ours[name] != kind:
            raise LakeError(
                f"{table}: column {name} is {_said(kind)} in the lake and {_said(ours[name])} "
                "here: another version wrote it; use that"
            )
    return [name for name in ours if name not in theirs]


def unknown_table(table: Place) -> NewerFormat:
    """The refusal of a lake with a table that is not known here."""
    return NewerFormat(
        f"{table}: is a table that this tracelake does not know: a newer one wrote it; use that"
    )


_known: dict[int, tuple[pa.Schema, dict[str, Any]]] = {}


def _types(schema: pa.Schema) -> dict[str, Any]:
    """Column -> its type as a log says it; looked up anew for each of 36 tables it takes 10 ms."""
    known = _known.get(id(schema))
    if known is None:
        types = {field["name"]: field["type"] for field in fields_of(schema_json(schema))}
        known = _known[id(schema)] = (schema, types)   # kept, so that nobody else gets its id
    return known[1]


def _said(kind: object) -> str:
    return kind if isinstance(kind, str) else orjson.dumps(kind).decode()
