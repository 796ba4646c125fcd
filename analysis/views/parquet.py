"""Parquet files of a table, read with all of its columns.

A file does not have the columns that nothing filled, nor those that came later. DuckDB takes the
columns of a list of files from the first one, unless it is told them (`schema`), by name: then a
column that a file lacks is null there, a file without a column that a value is asked of is not
read, and statistics, bloom filters and row groups prune as ever. `union_by_name` would read the
footers of all files before each query (10,000 of them: seconds). The columns are said as one text
with one cast: as the expression `MAP {...}` that it means, they take twice the time to bind, and
every query over a view binds them anew.

`file_row_number = true` and `filename = true` do not go with it (DuckDB 1.5); the columns of these
names are there without.
"""

from collections.abc import Iterable, Sequence

import pyarrow as pa

from tracelake.analysis.views import quote
from tracelake.normalize.ddl import duckdb_type

_COLUMN = "STRUCT(name VARCHAR, type VARCHAR, default_value VARCHAR)"


def read(fields: Iterable[pa.Field], files: Sequence[str]) -> str:
    """SQL: a table function for the rows of some files.

    Args:
        fields: the columns that are there; names are those of our tables.
        files: at least one.
    """
    listed = ", ".join(map(quote.text, files))
    return f"read_parquet([{listed}], schema = {_said(fields)})"


def _said(fields: Iterable[pa.Field]) -> str:
    columns = ", ".join(
        f'{field.name}={{name: {field.name}, type: "{duckdb_type(field.type)}", '
        "default_value: NULL}"
        for field in fields
    )
    return f"CAST({quote.text(f'{{{columns}}}')} AS MAP(VARCHAR, {_COLUMN}))"
