"""Fills a parser's batch up to what its table says of every row.

A parser hands over the columns that its records fill. What is the same on every row
(provenance, class) is added here as one-value dictionaries, cut from buffers that are made once:
a full batch of 122,880 rows costs well under a millisecond. Columns that nothing fills stay
absent, in the lake's files too (`fill`); who needs the whole schema has it with typed nulls
(`complete`).
"""

from dataclasses import dataclass
from dataclasses import fields as fields_of
from functools import cache, lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from tracelake.normalize.codes import principal
from tracelake.normalize.column import WORD
from tracelake.normalize.table import Table

ROWS = 122_880
"""Rows of a full batch; longer ones work and cost what they cost."""

FEW = 8_192
"""Rows for which it does not pay to fill a whole batch with a number."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What is the same on every row of one artifact.

    Attributes:
        engagement_id: the case.
        source_id: first 32 hex digits of the evidence's SHA-256.
        artifact_no: the file inside the source.
        parser, parser_version: who read it.
        mapping_version: version of the rules that named the columns.
    """

    engagement_id: str
    source_id: str
    artifact_no: int
    parser: str
    parser_version: str
    mapping_version: str


_CONSTANTS = tuple(each.name for each in fields_of(Provenance))


@cache
def _nulls(kind: pa.DataType) -> pa.Array:
    return pa.nulls(ROWS, kind)


@cache
def _zeros() -> pa.Array:
    return pa.repeat(pa.scalar(0, pa.int32()), ROWS)


@lru_cache(maxsize=64)
def _repeated(value: int, kind: pa.DataType) -> pa.Array:
    return pa.repeat(pa.scalar(value, kind), ROWS)


@lru_cache(maxsize=256)
def _word(value: str) -> pa.Array:
    return pa.DictionaryArray.from_arrays(_zeros(), pa.array([value], pa.string()))


def nulls(kind: pa.DataType, rows: int) -> pa.Array:
    """`rows` nulls of a type."""
    return _nulls(kind).slice(0, rows) if rows <= ROWS else pa.nulls(rows, kind)


def constant(value: str | int | None, kind: pa.DataType, rows: int) -> pa.Array:
    """The same value on every row."""
    if value is None:
        return nulls(kind, rows)
    if kind == WORD:
        if rows <= ROWS:
            return _word(str(value)).slice(0, rows)
        codes = pa.repeat(pa.scalar(0, pa.int32()), rows)
        return pa.DictionaryArray.from_arrays(codes, pa.array([value], pa.string()))
    if FEW < rows <= ROWS:
        return _repeated(value, kind).slice(0, rows)
    return pa.repeat(pa.scalar(value, kind), rows)


def _fit(array: pa.Array, field: pa.Field, table: str) -> pa.Array:
    """The array in its column's type; a value that does not fit raises."""
    kind = field.type
    if array.type != kind:
        if kind == WORD and pa.types.is_string(array.type):
            array = array.dictionary_encode()
        else:
            array = array.cast(kind)
    if not field.nullable and array.null_count:
        raise ValueError(f"{table}.{field.name}: {array.null_count} rows without a value")
    return array


def _classes(table: Table, found: dict[str, pa.Array], rows: int) -> dict[str, pa.Array]:
    """class_uid, category_uid and type_uid, as OCSF derives them."""
    fields = table.fields
    activity = found.get("activity_id")
    given = found.get("class_uid")
    out: dict[str, pa.Array] = {}
    if given is None:
        uid = table.class_uid
        out["class_uid"] = constant(uid, fields["class_uid"].type, rows)
        category = None if uid is None else uid % 100_000 // 1000
        out["category_uid"] = constant(category, fields["category_uid"].type, rows)
        if activity is not None and uid is not None:
            out["type_uid"] = pc.add(activity.cast(pa.int64()), uid * 100)
        return out
    wide = given.cast(pa.int32())
    inner = pc.subtract(wide, pc.multiply(pc.divide(wide, 100_000), 100_000))
    out["class_uid"] = wide
    out["category_uid"] = pc.divide(inner, 1000).cast(fields["category_uid"].type)
    if activity is not None:
        hundred = pc.multiply(wide.cast(pa.int64()), 100)
        out["type_uid"] = pc.add(hundred, activity.cast(pa.int64()))
    return out


def _users(found: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """event_user_name: by the SIDs of the dictionary, not of the rows."""
    uids = found.get("event_user_uid")
    if uids is None or "event_user_name" in found:
        return {}
    names: dict[str, int] = {}
    codes = [
        None if name is None else names.setdefault(name, len(names))
        for name in map(principal, uids.dictionary.to_pylist())
    ]
    if not names:
        return {}
    rows = pa.array(codes, pa.int32()).take(uids.indices)
    return {
        "event_user_name": pa.DictionaryArray.from_arrays(rows, pa.array(list(names), pa.string()))
    }


def fill(table: Table, batch: pa.RecordBatch, constants: Provenance) -> pa.RecordBatch:
    """The batch, and what its artifact and its table say of every row: no other columns.

    A column that the batch has is kept (and converted where its type differs); one that it
    lacks is the constant of that name, if there is one. `class_uid` is the table's unless the
    batch has its own, `category_uid` and `type_uid` follow from it and `activity_id`, `sub` is 0
    where it is not given, and `event_user_name` follows from `event_user_uid`.

    Raises:
        ValueError: a column that the table does not have, or a required one with nulls.
        pa.ArrowInvalid: a value that its column's type cannot hold.
    """
    rows = batch.num_rows
    fields = table.fields
    found = dict(zip(batch.schema.names, batch.columns, strict=True))
    strange = found.keys() - fields.keys()
    if strange or len(found) != batch.num_columns:
        raise ValueError(f"{table.name} has no such columns, or not twice: {sorted(strange)}")
    if "sub" in found and found["sub"].null_count:
        found["sub"] = pc.fill_null(found["sub"], 0)
    found = {name: _fit(array, fields[name], table.name) for name, array in found.items()}
    if table.is_events:
        found |= _classes(table, found, rows)
        found |= _users(found)
        if "sub" not in found:
            found["sub"] = constant(0, pa.int32(), rows)
    for name in _CONSTANTS:
        value = getattr(constants, name)
        if name not in found and name in fields and value is not None:
            found[name] = constant(value, fields[name].type, rows)
    for name in table.required:
        if name not in found:
            raise ValueError(f"{table.name}.{name}: required and not given")
    return pa.RecordBatch.from_arrays(
        list(found.values()), schema=pa.schema([fields[name] for name in found])
    )


def complete(table: Table, batch: pa.RecordBatch, constants: Provenance) -> pa.RecordBatch:
    """What `fill` makes of the batch, with all the table's columns, in the schema's order."""
    filled = fill(table, batch, constants)
    found = dict(zip(filled.schema.names, filled.columns, strict=True))
    columns = [
        found[field.name] if field.name in found else nulls(field.type, batch.num_rows)
        for field in table.schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)
