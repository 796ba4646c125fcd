"""A table's Arrow schema as Delta has it: no dictionaries, comments instead of our metadata."""

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
