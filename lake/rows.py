"""Rows of the lake's files with all columns of their table.

A file does not have the columns that nothing filled, nor those that the table has got since it was
written. Delta's readers take such a column for null (Delta protocol, "Reader Requirements").
"""

from collections.abc import Collection

import pyarrow as pa

from tracelake.lake.store import Place, parquet


def read(
    path: str | Place, schema: pa.Schema, columns: Collection[str] | None = None
) -> pa.Table:
    """The rows of a file.

    Args:
        schema: of the table; the rows have its columns and types.
        columns: only these of it.

    Raises:
        OSError, pa.ArrowException: the file cannot be read, or a column has another type.
    """
    wanted = [each for each in schema if columns is None or each.name in columns]
    with parquet(path) as file:
        there = set(file.schema_arrow.names)
        found = file.read(columns=[each.name for each in wanted if each.name in there])
        rows = file.metadata.num_rows
    arrays = [
        found.column(each.name).cast(each.type)
        if each.name in there
        else pa.chunked_array([pa.nulls(rows, each.type)])
        for each in wanted
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(wanted, metadata=schema.metadata))


def whole(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A batch with all columns of its table, in their order: null where it has none."""
    there = dict(zip(batch.schema.names, batch.columns, strict=True))
    arrays = [
        there[each.name] if each.name in there else pa.nulls(batch.num_rows, each.type)
        for each in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
