"""How a table's Parquet files are laid out: encodings, compression, statistics, blooms.

Everything follows from the table's schema and its fields' metadata (`bloom`, `stats`):

- Text that repeats (dictionary type) is dictionary-encoded; other text is not, and goes by
  DELTA_LENGTH_BYTE_ARRAY: as fast as plain, and a seventh smaller in all.
- Times, and numbers that rise or vary (offsets, record numbers, bytes), go by
  DELTA_BINARY_PACKED: a fifth of the time of a dictionary. What repeats (codes, process ids,
  all that is narrower than 64 bits) is plain: half of that time, and smaller under zstd. So are
  hashes, which nothing makes smaller: they are not compressed either.
- Statistics only where they prune: on all of 87 columns they cost as much again as half of
  all the writing.
- A bloom filter is sized by the row group (pyarrow 26 folds it to what is needed then).
- Small files are written with Snappy and without blooms: to set zstd up for each of 80
  columns takes longer than everything else about ten rows.
- `source_id`, one value per file, is not compressed: it may have to be replaced (`standin.py`).
"""

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

SMALL = 2_048
"""Rows of a first row group below which a file counts as small."""

STANDS_IN = "source_id"
"""The column whose one value may be replaced in a finished file."""

_HASH = "record_hash"
_REPEAT = ("_pid", "_tid", "_uid")

_PAGE_ROWS = 131_072
_WRITE_BATCH = 131_072
_PAGE_BYTES = 4 << 20


def _leaves(field: pa.Field) -> list[tuple[str, pa.DataType]]:
    """The Parquet columns that a field becomes: their paths and types."""

    def walk(path: str, kind: pa.DataType) -> list[tuple[str, pa.DataType]]:
        if pa.types.is_map(kind):
            return [
                *walk(f"{path}.key_value.key", kind.key_type),
                *walk(f"{path}.key_value.value", kind.item_type),
            ]
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            return walk(f"{path}.list.element", kind.value_type)
        if pa.types.is_struct(kind):
            return [leaf for part in kind for leaf in walk(f"{path}.{part.name}", part.type)]
        return [(path, kind)]

    if not pa.types.is_nested(field.type):
        return [(field.name, field.type)]
    return walk(field.name, field.type)


def _encoding(path: str, kind: pa.DataType) -> str | None:
    """How a column is encoded that has no dictionary; None: as Parquet does by itself."""
    if pa.types.is_dictionary(kind):
        return None
    if _is_text(kind):
        return "DELTA_LENGTH_BYTE_ARRAY"
    if pa.types.is_timestamp(kind):
        return "DELTA_BINARY_PACKED"
    if pa.types.is_integer(kind):
        varies = pa.types.is_int64(kind) and path != _HASH and not path.endswith(_REPEAT)
        return "DELTA_BINARY_PACKED" if varies else "PLAIN"
    return None


def _is_marked(field: pa.Field, key: bytes) -> bool:
    return bool((field.metadata or {}).get(key) == b"1")


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )


@dataclass(frozen=True, slots=True)
class Layout:
    """A table's schema and what follows from it.

    Attributes:
        schema: all columns, as batches have them.
        keeps: column name -> its type, for the columns that keep statistics.
        blooms: Parquet paths of the columns that get bloom filters.
        packed: Parquet paths of the columns that are compressed.
        encodings: Parquet path -> encoding, where it is said.
        made: what `parquet.py` has found out, for all files of the table.
    """

    schema: pa.Schema
    keeps: dict[str, pa.DataType]
    blooms: frozenset[str]
    packed: frozenset[str]
    encodings: dict[str, str]
    _kinds: dict[str, pa.DataType]
    _required: tuple[str, ...]
    _common: dict[str, Any]
    made: dict[int, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, schema: pa.Schema) -> "Layout":
        """Makes the layout for a schema.

        Raises:
            ValueError: `stats` is asked for on a nested column.
        """
        leaves = [leaf for each in schema for leaf in _leaves(each)]
        keeps = {}
        blooms: list[str] = []
        for each in schema:
            if _is_marked(each, b"stats"):
                if pa.types.is_nested(each.type):
                    raise ValueError(f"{each.name}: a nested column keeps no statistics")
                keeps[each.name] = each.type
            if _is_marked(each, b"bloom"):
                blooms.extend(path for path, _ in _leaves(each))
        encodings = {path: how for path, kind in leaves if (how := _encoding(path, kind))}
        common = {
            "use_dictionary": [path for path, kind in leaves if pa.types.is_dictionary(kind)],
            "column_encoding": encodings or None,
            "write_statistics": list(keeps),
            # The Arrow schema would say "dictionary" to readers and repeat what Delta's says.
            "store_schema": False,
            "max_rows_per_page": _PAGE_ROWS,
            "write_batch_size": _WRITE_BATCH,
            "data_page_size": _PAGE_BYTES,
        }
        packed = frozenset(path for path, _ in leaves if path not in (STANDS_IN, _HASH))
        required = tuple(each.name for each in schema if not each.nullable)
        kinds = dict(zip(schema.names, schema.types, strict=True))
        return cls(
            schema, keeps, frozenset(blooms), packed, encodings, kinds, required, common
        )

    def misses(self, schema: pa.Schema) -> str | None:
        """Why a batch cannot be written: a column that the table does not have, or has with
        another type, or one that must not be null and is not there; None: it can be."""
        names, kinds = schema.names, schema.types
        for name, kind in zip(names, kinds, strict=True):
            if self._kinds.get(name) != kind:
                return f"no column {name} of {kind}"
        given = set(names)
        if len(given) != len(names):
            return "a column that is there twice"
        return next((f"{name} is missing" for name in self._required if name not in given), None)

    def options(self, rows: int, level: int = 1) -> dict[str, Any]:
        """Arguments of `ParquetWriter` for a file whose first row group has `rows` rows.

        Args:
            level: of zstd.
        """
        if rows < SMALL:
            return {**self._common, "compression": dict.fromkeys(self.packed, "snappy")}
        return {
            **self._common,
            "compression": dict.fromkeys(self.packed, "zstd"),
            "compression_level": dict.fromkeys(self.packed, level),
            "bloom_filter_options": {path: {"ndv": rows, "fpp": 0.05} for path in self.blooms},
        }
