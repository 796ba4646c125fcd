"""A table's Arrow schema as Delta has it: no dictionaries, comments instead of our metadata."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa


def plain(kind: pa.DataType) -> pa.DataType:
    """The type without dictionaries, at any depth."""
    if pa.types.is_dictionary(kind):
        return plain(kind.value_type)
    if not pa.types.is_nested(kind):
        return kind
    if pa.types.is_map(kind):
        return pa.map_(plain(kind.key_type), _plain_field(kind.item_field))
    if pa.types.is_list(kind):
        return pa.list_(_plain_field(kind.value_field))
    if pa.types.is_large_list(kind):
        return pa.large_list(_plain_field(kind.value_field))
    if pa.types.is_struct(kind):
        return pa.struct([_plain_field(part) for part in kind])
    return kind


def _plain_field(field: pa.Field) -> pa.Field:
    return pa.field(field.name, plain(field.type), field.nullable)


def delta_schema(schema: pa.Schema) -> pa.Schema:
    """The schema to make a Delta table of; a field's `doc` becomes its comment."""
    fields = []
    for field in schema:
        doc = (field.metadata or {}).get(b"doc")
        comment = {b"comment": doc} if doc else None
        fields.append(pa.field(field.name, plain(field.type), field.nullable, comment))
    return pa.schema(fields)


def schema_json(schema: pa.Schema) -> str:
    """The schema as a Delta log holds it (Delta protocol, "Schema Serialization Format").

    Raises:
        TypeError: a column's type has no form there.
    """
    fields = []
    for field in schema:
        doc = (field.metadata or {}).get(b"doc")
        comment = {"comment": doc.decode()} if doc else {}
        fields.append(_said_field(field, comment))
    return orjson.dumps({"type": "struct", "fields": fields}).decode()


_NAMES = {
    pa.string(): "string",
    pa.large_string(): "string",
    pa.binary(): "binary",
    pa.large_binary(): "binary",
    pa.int8(): "byte",
    pa.int16(): "short",
    pa.int32(): "integer",
    pa.int64(): "long",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.timestamp("us", tz="UTC"): "timestamp",
}


def _said_field(field: pa.Field, metadata: dict[str, str]) -> dict[str, object]:
    return {
        "name": field.name,
        "type": _said(field.type),
        "nullable": field.nullable,
        "metadata": metadata,
    }


def _said(kind: pa.DataType) -> object:
    name = _NAMES.get(kind)
    if name is not None:
        return name
    if pa.types.is_dictionary(kind):
        return _said(kind.value_type)
    if pa.types.is_map(kind):
        return {
            "type": "map",
            "keyType": _said(kind.key_type),
            "valueType": _said(kind.item_type),
            "valueContainsNull": kind.item_field.nullable,
        }
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return {
            "type": "array",
            "elementType": _said(kind.value_type),
            "containsNull": kind.value_field.nullable,
        }
    if pa.types.is_struct(kind):
        return {"type": "struct", "fields": [_said_field(part, {}) for part in kind]}
    raise TypeError(f"a Delta table has no columns of {kind}")


def arrow_schema(fields: Sequence[Mapping[str, Any]]) -> pa.Schema:
    """The Arrow types of columns as a Delta log has them.

    Raises:
        TypeError: a type that our tables do not have.
    """
    return pa.schema([_field(field["name"], field["type"], field["nullable"]) for field in fields])


# Of two types with one name the first: text, not large text.
_TYPES = {name: kind for kind, name in reversed(_NAMES.items())}


def _field(name: str, said: Any, nullable: bool) -> pa.Field:
    return pa.field(name, _kind(said), nullable)


def _kind(said: Any) -> pa.DataType:
    if isinstance(said, str):
        if said not in _TYPES:
            raise TypeError(f"columns of {said} are not read")
        return _TYPES[said]
    if said["type"] == "map":
        value = _field("value", said["valueType"], said["valueContainsNull"])
        return pa.map_(_kind(said["keyType"]), value)
    if said["type"] == "array":
        return pa.list_(_field("element", said["elementType"], said["containsNull"]))
    return pa.struct([_field(f["name"], f["type"], f["nullable"]) for f in said["fields"]])
