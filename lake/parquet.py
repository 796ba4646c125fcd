"""A Parquet file of a table, one row group a batch, in the encodings that its layout says.

pyarrow's writer takes some nanoseconds for each value of a column, of all nulls, too, and of a map
twenty; it was a fifth of the CPU time of event logs. The pages are written by ourselves
(`native/parquet.pyx`), and the footer, but for the schema, of which pyarrow says how it stands in
a file. Small files are pyarrow's (`layout.py`): there is nothing to save.
"""

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tracelake.lake.layout import Layout
from tracelake.native.parquet import Chunk, Column, Pages, footer_of, parts_of_footer
from tracelake.version import VERSION

_MAGIC = b"PAR1"
_MADE_BY = f"tracelake version {VERSION} (build 0)".encode()
# parquet.thrift: Encoding, CompressionCodec
_ENCODINGS = {"PLAIN": 0, "DELTA_BINARY_PACKED": 5, "DELTA_LENGTH_BYTE_ARRAY": 6}
_UNCOMPRESSED, _ZSTD = 0, 6
_FPP = 0.05


def _physical(kind: pa.DataType) -> tuple[int, int] | None:
    """Parquet's type of a leaf and the bytes of a value in Arrow; None: one that is not written
    here."""
    if pa.types.is_dictionary(kind):
        if kind.index_type != pa.int32() or not pa.types.is_string(kind.value_type):
            return None
        return 6, 4
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return 6, 0
    if pa.types.is_boolean(kind):
        return 0, 0
    if pa.types.is_float64(kind):
        return 5, 8
    if pa.types.is_signed_integer(kind) or pa.types.is_timestamp(kind):
        return (2 if kind.bit_width == 64 else 1), kind.bit_width // 8
    return None


def _leaves(field: pa.Field) -> list[tuple[tuple[str, ...], pa.DataType, int]]:
    """Of a field: path, type and `child` (see `Pages.write`) of its leaves."""
    kind = field.type
    if pa.types.is_map(kind):
        path = (field.name, "key_value")
        return [((*path, "key"), kind.key_type, 0), ((*path, "value"), kind.item_type, 1)]
    if pa.types.is_list(kind):
        return [((field.name, "list", "element"), kind.value_type, 0)]
    return [((field.name,), kind, -1)]


def can_write(schema: pa.Schema) -> bool:
    """Whether all columns are of types that are written here."""
    return all(
        _has_usual_levels(field) and all(_physical(kind) for _, kind, _ in _leaves(field))
        for field in schema
    )


def _has_usual_levels(field: pa.Field) -> bool:
    """Whether lists and maps, and what is in them, may be null."""
    kind = field.type
    if pa.types.is_map(kind):
        return bool(field.nullable and kind.item_field.nullable)
    if pa.types.is_list(kind):
        return bool(field.nullable and kind.value_field.nullable)
    return not pa.types.is_nested(kind)


class ParquetFile:
    """A file being written; what `pyarrow.parquet.ParquetWriter` is otherwise.

    Args:
        sink: where to; nothing has been written to it.
        layout: of the table; `can_write` of its schema.
        rows: of the first row group.
        pages: shared by all files that are open: it holds the memory.
        footers: takes the file's footer when it is closed.
        level: of zstd.
    """

    def __init__(
        self,
        sink: pa.NativeFile,
        layout: Layout,
        rows: int,
        pages: Pages,
        footers: list[pq.FileMetaData],
        level: int = 1,
    ) -> None:
        self.is_open = True
        self._sink = sink
        self._footers = footers
        self._pages = pages
        self._groups: list[tuple[int, list[Chunk], int]] = []
        self._said: dict[bytes, bytes] = {}
        options = layout.options(rows, level)
        self._head, self._orders = _schema_said(layout.schema, options)
        self._columns = _columns(layout, options, level)
        sink.write(_MAGIC)
        self._at = len(_MAGIC)

    def write_batch(self, batch: pa.RecordBatch, row_group_size: int) -> None:
        """Writes a batch as one row group.

        Args:
            row_group_size: of `ParquetWriter`: the batch's rows.

        Raises:
            ValueError: nulls in a column that must not have any.
            OSError: it could not be written.
        """
        begin = self._at
        chunks = []
        for number, column, child in self._columns:
            chunk = self._pages.write(self._sink, column, batch.column(number), child, self._at)
            self._at += chunk.packed
            chunks.append(chunk)
        self._groups.append((batch.num_rows, chunks, begin))
        for chunk in chunks:
            if chunk.bloom is not None:
                self._sink.write(chunk.bloom)
                chunk.bloom_at = self._at
                self._at += len(chunk.bloom)

    def add_key_value_metadata(self, said: dict[bytes, bytes]) -> None:
        """Puts this into the footer."""
        self._said.update(said)

    def close(self) -> None:
        """Writes the footer; the sink stays open."""
        if not self.is_open:
            return
        self.is_open = False
        footer = footer_of(self._head, self._orders, self._groups, self._said, _MADE_BY)
        tail = footer + len(footer).to_bytes(4, "little") + _MAGIC
        self._sink.write(tail)
        # What pyarrow reads of it is what everybody else does.
        self._footers.append(pq.read_metadata(pa.BufferReader(_MAGIC + tail)))


def _schema_said(schema: pa.Schema, options: dict[str, Any]) -> tuple[bytes, bytes]:
    """How pyarrow says a schema in a file's footer."""
    sink = pa.BufferOutputStream()
    pq.ParquetWriter(sink, schema, **options).close()
    file = sink.getvalue().to_pybytes()
    length = int.from_bytes(file[-8:-4], "little")
    return parts_of_footer(file[-8 - length : -8])


def _columns(
    layout: Layout, options: dict[str, Any], level: int
) -> list[tuple[int, Column, int]]:
    """Which column of a batch each leaf is of, how it is written, and its `child`."""
    codec = pa.Codec("zstd", level)
    encodings = options["column_encoding"] or {}
    packed = frozenset(layout.packed)
    blooms = frozenset(layout.blooms)
    columns = []
    for number, field in enumerate(layout.schema):
        for path, kind, child in _leaves(field):
            name = ".".join(path)
            physical = _physical(kind)
            assert physical is not None
            columns.append(
                (
                    number,
                    Column(
                        path,
                        *physical,
                        pa.types.is_dictionary(kind),
                        _ENCODINGS[encodings.get(name, "PLAIN")],
                        codec if name in packed else None,
                        _ZSTD if name in packed else _UNCOMPRESSED,
                        name in layout.keeps,
                        _FPP if name in blooms else 0.0,
                        child < 0 and not field.nullable,
                    ),
                    child,
                )
            )
    return columns
