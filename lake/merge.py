"""Rows of several files of a table, written again as one, in the order of their times.

Memory: the rows of a group, in the columns that any of them fills, and one row group beside.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tracelake.lake.disk import Place
from tracelake.lake.errors import LakeError
from tracelake.lake.unit import BOOKS, DataFile
from tracelake.lake.writer import UnitWriter

if TYPE_CHECKING:
    from tracelake.lake.lake import Lake

LEVEL = 3
"""Of zstd: 2 % smaller than 1, which ingest uses, and slower."""

GROUP_ROWS = 122_880
GROUP_BYTES = 64 << 20
"""Of a row group, in memory."""

_FEW_WORDS = 1 << 12
_ORDER = ("time", "source_id", "artifact_no", "src_offset", "sub")


def merge(
    lake: "Lake", table: str, names: Sequence[str], unit: str
) -> tuple[tuple[DataFile, ...], int]:
    """Writes the rows of files again, sorted by time (those without one at the end), then by
    where they come from. Books keep their order.

    Args:
        names: of the files, in the table's folder.
        unit: what the new files are named after.

    Returns:
        the new files, on disk; none of them is in the log. And their rows.

    Raises:
        OSError, pa.ArrowException: a file cannot be read or written; nothing is left.
    """
    rows = _Rows(lake, table)
    for name in names:
        rows.add(lake.root / table / name)
    with UnitWriter(lake, unit, books=(), level=LEVEL) as writer:
        for batch in rows.batches():
            writer.write(table, batch)
        return writer.close().files.get(table, ()), rows.count


class _Rows:
    """The rows of files, column by column."""

    def __init__(self, lake: "Lake", table: str) -> None:
        self._schema = lake.schema(table)
        self._sorted = table not in BOOKS
        self._parts: list[dict[str, pa.Array]] = []
        self._lengths: list[int] = []
        self.count = 0

    def add(self, path: Place) -> None:
        """Reads a file, a row group at a time; columns without any value are forgotten."""
        words = [f.name for f in self._schema if pa.types.is_dictionary(f.type)]
        with path.open("rb") as handle:
            file = pq.ParquetFile(handle)
            there = set(file.schema_arrow.names)
            unknown = there - set(self._schema.names)
            if unknown:
                raise LakeError(
                    f"{path}: has columns that this tracelake does not know: {', '.join(unknown)}; "
                    "use a newer one"
                )
            # Of a column that the file lacks pyarrow must not be asked.
            file = pq.ParquetFile(
                handle, metadata=file.metadata, read_dictionary=[n for n in words if n in there]
            )
            for number in range(file.num_row_groups):
                group = file.read_row_group(number)
                filled = {}
                for name, column in zip(group.column_names, group.columns, strict=True):
                    if column.null_count < len(column):
                        filled[name] = _one(column)
                self._parts.append(filled)
                self._lengths.append(group.num_rows)
                self.count += group.num_rows

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows in their order, as row groups with every column of the table."""
        columns = {}
        for field in self._schema:
            column = self._column(field)
            if column is not None:
                columns[field.name] = column
        self._parts = []
        if not self.count:
            return
        order = self._order(columns)
        size = sum(column.nbytes for column in columns.values())
        step = max(1024, min(GROUP_ROWS, GROUP_BYTES * self.count // max(size, 1)))
        for start in range(0, self.count, step):
            length = min(step, self.count - start)
            yield self._batch(columns, order, start, length)

    def _column(self, field: pa.Field) -> pa.Array | None:
        """A column of all files; None where none has a value."""
        if not any(field.name in part for part in self._parts):
            return None
        found = [part.pop(field.name, None) for part in self._parts]
        kind = next(array.type for array in found if array is not None)
        arrays = [
            pa.nulls(length, kind) if array is None else array
            for array, length in zip(found, self._lengths, strict=True)
        ]
        return _one(pa.chunked_array(arrays, kind))

    def _order(self, columns: dict[str, pa.Array]) -> pa.Array | None:
        """The numbers of the rows in the order of writing; None: as they are."""
        keys = [name for name in _ORDER if name in columns]
        if not self._sorted or not keys:
            return None
        table = pa.table({name: _comparable(columns[name]) for name in keys})
        return pc.sort_indices(table, sort_keys=[(name, "ascending", "at_end") for name in keys])

    def _batch(
        self, columns: dict[str, pa.Array], order: pa.Array | None, start: int, length: int
    ) -> pa.RecordBatch:
        fields = [self._schema.field(name) for name in columns]
        arrays = []
        for field in fields:
            column = columns[field.name]
            if order is None:
                array = column.slice(start, length)
            else:
                array = column.take(order.slice(start, length))
            arrays.append(_as(array, field.type))
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _one(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece, of one dictionary."""
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _comparable(column: pa.Array) -> pa.Array:
    """Texts of a dictionary as the numbers of their order."""
    if not pa.types.is_dictionary(column.type):
        return column
    ranks = pc.rank(column.dictionary, tiebreaker="dense")
    return ranks.take(column.indices)


def _as(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Of a table's type, with no more words than it uses."""
    if pa.types.is_dictionary(array.type) and len(array.dictionary) > _FEW_WORDS:
        array = array.dictionary_decode().dictionary_encode()
    return array if array.type == kind else array.cast(kind)
