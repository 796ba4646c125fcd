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


def encoding(path: str, kind: pa.DataType) -> str | None:
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


def is_packed(path: str) -> bool:
    """Whether a column is compressed."""
    return path not in (STANDS_IN, _HASH)


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

    What a column's leaves need is found out when one is written: for all of a table of 190 columns
    it takes a millisecond, and a log fills 15 tables, a quarter of each.

    Attributes:
        schema: all columns, as batches have them.
        keeps: column name -> its type, for the columns that keep statistics.
        blooms: names of the columns that get bloom filters.
        made: what `parquet.py` has found out, for all files of the table.
    """

    schema: pa.Schema
    keeps: dict[str, pa.DataType]
    blooms: frozenset[str]
    _kinds: dict[str, pa.DataType]
    _required: tuple[str, ...]
    made: dict[int | str, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, schema: pa.Schema) -> "Layout":
        """Makes the layout for a schema.

        Raises:
            ValueError: `stats` is asked for on a nested column.
        """
        kinds = dict(zip(schema.names, schema.types, strict=True))
        keeps = {}
        blooms = []
        required = []
        for each, name in zip(schema, kinds, strict=True):
            said = each.metadata or {}
            if said.get(b"stats") == b"1":
                if pa.types.is_nested(kinds[name]):
                    raise ValueError(f"{name}: a nested column keeps no statistics")
                keeps[name] = kinds[name]
            if said.get(b"bloom") == b"1":
                blooms.append(name)
            if not each.nullable:
                required.append(name)
        return cls(schema, keeps, frozenset(blooms), kinds, tuple(required))

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
        leaves = {each.name: _leaves(each) for each in self.schema}
        every = [leaf for own in leaves.values() for leaf in own]
        packed = [path for path, _ in every if is_packed(path)]
        blooms = [path for name in self.blooms for path, _ in leaves[name]]
        common = {
            "use_dictionary": [path for path, kind in every if pa.types.is_dictionary(kind)],
            "column_encoding": {p: how for p, kind in every if (how := encoding(p, kind))} or None,
            "write_statistics": list(self.keeps),
            # The Arrow schema would say "dictionary" to readers and repeat what Delta's says.
            "store_schema": False,
            "max_rows_per_page": _PAGE_ROWS,
            "write_batch_size": _WRITE_BATCH,
            "data_page_size": _PAGE_BYTES,
        }
        if rows < SMALL:
            return {**common, "compression": dict.fromkeys(packed, "snappy")}
        return {
            **common,
            "compression": dict.fromkeys(packed, "zstd"),
            "compression_level": dict.fromkeys(packed, level),
            "bloom_filter_options": {path: {"ndv": rows, "fpp": 0.05} for path in blooms},
        }
