"""A Parquet file of a table, one row group a batch, in the encodings that its layout says.

pyarrow's writer takes some nanoseconds for each value of a column, of all nulls, too, and of a map
twenty; it was a fifth of the CPU time of event logs. The pages are written by ourselves
(`native/parquet.pyx`), and the footer, but for the schema, of which pyarrow says how it stands in
a file.

Columns that nothing filled are not in the file: of a table of 190, one source fills 40, and the
others cost as much as they do (17 ms a row group of 122,880, 14 KB and 2 ms a file of ten rows).
A column that a later batch is the first to fill is added to the row groups before it as nulls, when
the file is closed: Parquet wants the same columns in all of them, but not side by side.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

import pyarrow as pa
import pyarrow.parquet as pq

from tracelake.lake.layout import SMALL, Layout, encoding, is_packed
from tracelake.native.parquet import Chunk, Column, Pages, footer_of, parts_of_footer
from tracelake.version import VERSION

_MAGIC = b"PAR1"
_MADE_BY = f"tracelake version {VERSION} (build 0)".encode()
# parquet.thrift: Encoding, CompressionCodec
_ENCODINGS = {"PLAIN": 0, "DELTA_BINARY_PACKED": 5, "DELTA_LENGTH_BYTE_ARRAY": 6}
_UNCOMPRESSED, _SNAPPY, _ZSTD = 0, 1, 6
_SMALL = 0
"""The kind of small files; that of others is their level of zstd."""

_FPP = 0.05

Leaf = tuple[Column, int]
"""How a leaf is written, and its `child` (see `Pages.write`)."""


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


def writes(layout: Layout) -> bool:
    """`can_write` of a table, found out once."""
    known: bool | None = layout.made.get("writes")
    if known is None:
        known = layout.made["writes"] = can_write(layout.schema)
    return known


def _has_usual_levels(field: pa.Field) -> bool:
    """Whether lists and maps, and what is in them, may be null."""
    kind = field.type
    if pa.types.is_map(kind):
        return bool(field.nullable and kind.item_field.nullable)
    if pa.types.is_list(kind):
        return bool(field.nullable and kind.value_field.nullable)
    return not pa.types.is_nested(kind)


@dataclass(slots=True)
class _Form:
    """How a table's columns stand in files of one kind, found out when they are met first.

    Attributes:
        leaves: column -> how it is written.
        elements: column -> its elements of the schema in a footer, and the orders of its leaves.
        version: what begins a footer.
    """

    leaves: dict[str, list[Leaf]] = field(default_factory=dict)
    elements: dict[str, tuple[list[bytes], list[bytes]]] = field(default_factory=dict)
    version: bytes = b""

    @classmethod
    def of(cls, layout: Layout, kind: int) -> "_Form":
        """The form of the files of a layout."""
        form: _Form | None = layout.made.get(kind)
        if form is None:
            form = layout.made[kind] = cls()
        return form

    def of_column(self, layout: Layout, name: str, kind: int) -> list[Leaf]:
        """How the leaves of a column are written."""
        leaves = self.leaves.get(name)
        if leaves is None:
            leaves = self.leaves[name] = _written(layout, layout.schema.field(name), kind)
        return leaves

    def said(self, layout: Layout, names: list[str]) -> tuple[list[bytes], list[bytes]]:
        """Elements and orders of a file with these columns."""
        new = [layout.schema.field(name) for name in names if name not in self.elements]
        if new:
            self.version, elements, orders = _schema_said(new)
            elements = elements[1:]     # without the root
            for each in new:
                leaves = len(_leaves(each))
                inner = _elements(each)
                self.elements[each.name] = (elements[:inner], orders[:leaves])
                elements, orders = elements[inner:], orders[leaves:]
            assert len(elements) == len(orders) == 0
        found = [self.elements[name] for name in names]
        return [e for es, _ in found for e in es], [o for _, os in found for o in os]


@dataclass(slots=True)
class _Group:
    rows: int
    begin: int
    chunks: dict[str, list[Chunk]]


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
        self._layout = layout
        self._kind = _SMALL if rows < SMALL else level
        self._form = _Form.of(layout, self._kind)
        self._groups: list[_Group] = []
        self._said: dict[bytes, bytes] = {}
        sink.write(_MAGIC)
        self._at = len(_MAGIC)

    def write_batch(self, batch: pa.RecordBatch, row_group_size: int) -> None:
        """Writes a batch as one row group.

        Args:
            batch: has some of the table's columns, all that must not be null among them.
            row_group_size: of `ParquetWriter`: the batch's rows.

        Raises:
            ValueError: nulls in a column that must not have any.
            OSError: it could not be written.
        """
        group = _Group(batch.num_rows, self._at, {})
        # On an error the file is given up; until then its footer does not have the group.
        for name, array in zip(batch.schema.names, batch.columns, strict=True):
            if array.null_count < len(array) or not self._layout.schema.field(name).nullable:
                self._write(group, name, array)
        self._groups.append(group)
        for chunk in _all(group.chunks.values()):
            if chunk.bloom is not None:
                self._sink.write(chunk.bloom)
                chunk.bloom_at = self._at
                self._at += len(chunk.bloom)

    def _write(self, group: _Group, name: str, array: pa.Array) -> None:
        chunks = group.chunks[name] = []
        for column, child in self._form.of_column(self._layout, name, self._kind):
            chunk = self._pages.write(self._sink, column, array, child, self._at)
            self._at += chunk.packed
            chunks.append(chunk)

    def add_key_value_metadata(self, said: dict[bytes, bytes]) -> None:
        """Puts this into the footer."""
        self._said.update(said)

    def close(self) -> None:
        """Writes what the row groups lack, and the footer; the sink stays open."""
        if not self.is_open:
            return
        self.is_open = False
        schema = self._layout.schema
        used = {name for group in self._groups for name in group.chunks}
        # A file has a column at least: rows of nothing but nulls have the first one.
        names = [name for name in schema.names if name in used] or schema.names[:1]
        for group in self._groups:
            for name in names:
                if name not in group.chunks:
                    self._write(group, name, pa.nulls(group.rows, schema.field(name).type))
        elements, orders = self._form.said(self._layout, names)
        groups = [
            (group.rows, list(_all(group.chunks[name] for name in names)), group.begin)
            for group in self._groups
        ]
        footer = footer_of(
            self._form.version, elements, len(names), orders, groups, self._said, _MADE_BY
        )
        tail = footer + len(footer).to_bytes(4, "little") + _MAGIC
        self._sink.write(tail)
        # What pyarrow reads of it is what everybody else does.
        self._footers.append(pq.read_metadata(pa.BufferReader(_MAGIC + tail)))


def _all(chunks: Iterable[list[Chunk]]) -> Iterable[Chunk]:
    return (chunk for each in chunks for chunk in each)


def _schema_said(fields: list[pa.Field]) -> tuple[bytes, list[bytes], list[bytes]]:
    """How pyarrow says fields in a file's footer (see `parts_of_footer`)."""
    sink = pa.BufferOutputStream()
    pq.ParquetWriter(sink, pa.schema(fields), store_schema=False).close()
    file = sink.getvalue().to_pybytes()
    length = int.from_bytes(file[-8:-4], "little")
    return parts_of_footer(file[-8 - length : -8])


def _elements(field: pa.Field) -> int:
    """How many elements of a schema a field is."""
    if pa.types.is_map(field.type):
        return 4    # the map, its pairs, keys and values
    return 3 if pa.types.is_list(field.type) else 1


@cache
def _codec(kind: int) -> pa.Codec:
    return pa.Codec("snappy") if kind == _SMALL else pa.Codec("zstd", kind)


def _written(layout: Layout, field: pa.Field, kind: int) -> list[Leaf]:
    """How the leaves of a field are written."""
    small = kind == _SMALL
    codec = _codec(kind)
    leaves = []
    for path, leaf, child in _leaves(field):
        name = ".".join(path)
        physical = _physical(leaf)
        assert physical is not None
        packed = is_packed(name)
        column = Column(
            path,
            *physical,
            pa.types.is_dictionary(leaf),
            _ENCODINGS[encoding(name, leaf) or "PLAIN"],
            codec if packed else None,
            (_SNAPPY if small else _ZSTD) if packed else _UNCOMPRESSED,
            name in layout.keeps,
            0.0 if small or field.name not in layout.blooms else _FPP,
            child < 0 and not field.nullable,
        )
        leaves.append((column, child))
    return leaves

