"""Every table of `normalize` can be written, committed, read and verified."""

from functools import cache
from pathlib import Path

import duckdb
import pyarrow as pa

from tracelake.lake.lake import Lake
from tracelake.lake.schema import plain
from tracelake.lake.unit import BOOKS
from tracelake.lake.verify import verify
from tracelake.normalize import TABLES

ROWS = 3_000
"""More than a small row group, so that blooms are asked for too."""


def sample(kind: pa.DataType, row: int) -> object:
    """A value of a type."""
    kind = plain(kind)
    if pa.types.is_boolean(kind):
        return row % 2 == 0
    if pa.types.is_integer(kind):
        return row % 100
    if pa.types.is_floating(kind):
        return row / 7
    if pa.types.is_timestamp(kind):
        return 1_700_000_000_000_000 + row
    if pa.types.is_binary(kind):
        return b"\x00\xff%d" % row
    if pa.types.is_list(kind):
        return [sample(kind.value_type, n) for n in range(row % 3)]
    if pa.types.is_map(kind):
        return [(f"k{n}", sample(kind.item_type, n)) for n in range(row % 3)]
    if pa.types.is_struct(kind):
        return {field.name: sample(field.type, row) for field in kind}
    assert pa.types.is_string(kind), kind
    return f"text {row % 50} é"


@cache
def column(kind: pa.DataType, nullable: bool, rows: int) -> pa.Array:
    values = [None if nullable and n % 5 == 4 else sample(kind, n) for n in range(rows)]
    if pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode().cast(kind)
    return pa.array(values, plain(kind)).cast(kind)


def test_all_tables(tmp_path: Path) -> None:
    lake = Lake.open(str(tmp_path), "case", create=True)
    for unit, rows in (("0-0-a-1", ROWS), ("1-0-a-1", 10)):
        writer = lake.writer(unit)
        for name, table in TABLES.items():
            columns = [column(field.type, field.nullable, rows) for field in table.schema]
            writer.write(name, pa.RecordBatch.from_arrays(columns, schema=table.schema))
        lake.commit([writer.close()])
    now = lake.snapshot()
    assert now.tables == sorted(TABLES)
    for name, table in TABLES.items():
        files = now.files(name)
        found = duckdb.sql(f"SELECT * FROM read_parquet({files})").to_arrow_table()
        assert found.num_rows == ROWS + 10
        assert found.schema.names == table.columns
        blooms = duckdb.sql(
            "SELECT DISTINCT split_part(path_in_schema, ',', 1) AS leaf "
            f"FROM parquet_metadata({files}) WHERE bloom_filter_length > 0"
        ).fetchall()
        assert {leaf for (leaf,) in blooms} == set(table.marked("bloom"))
        last = max(table.schema.get_field_index(mark) for mark in table.marked("stats"))
        known = set(now.actions(name).column_names)
        assert f"min.{table.columns[last]}" in known, "also beyond the first 32 columns"
    assert len(now.files("artifact")) == 2
    assert set(BOOKS) <= set(now.tables)
    assert [line for c in verify(lake, grace=0) for line in (*c.wrong, *c.notes)] == []
