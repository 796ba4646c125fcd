"""Checkpoints of a table's log (Delta protocol, "Checkpoints", "Last Checkpoint File").

The classic form, one Parquet file. The files that are in, and those that were removed, stand in row
groups of their own: who opens a table reads only the former. The footer says beside that which of
those removed can still be seen by anybody who looks at the lake as it is now.
"""

import json
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tracelake.lake.disk import Place, put_if_absent, replace, sync_folder
from tracelake.lake.errors import LakeError
from tracelake.lake.unit import merged_after

if TYPE_CHECKING:
    from tracelake.lake.state import Added, Removed

BY = "tracelake.by"
"""The tag of a removed file: the name under which what took its place is seen."""

AFTER = "tracelake.after"
"""The tag of a file of books: the version of `artifact` that it was committed after."""

_PENDING = b"tracelake.pending"

# Nothing is declared as never null: Arrow does not write such a column of a struct that is.
_TAGS = pa.map_(pa.string(), pa.string())
_ADD = pa.struct(
    [
        pa.field("path", pa.string()),
        pa.field("partitionValues", _TAGS),
        pa.field("size", pa.int64()),
        pa.field("modificationTime", pa.int64()),
        pa.field("dataChange", pa.bool_()),
        pa.field("stats", pa.string()),
        pa.field("tags", _TAGS),
    ]
)
_REMOVE = pa.struct(
    [
        pa.field("path", pa.string()),
        pa.field("deletionTimestamp", pa.int64()),
        pa.field("dataChange", pa.bool_()),
        pa.field("extendedFileMetadata", pa.bool_()),
        pa.field("partitionValues", _TAGS),
        pa.field("size", pa.int64()),
        pa.field("stats", pa.string()),
        pa.field("tags", _TAGS),
    ]
)
_METADATA = pa.struct(
    [
        pa.field("id", pa.string()),
        pa.field("name", pa.string()),
        pa.field("description", pa.string()),
        pa.field(
            "format",
            pa.struct([pa.field("provider", pa.string()),
                       pa.field("options", _TAGS)]),
        ),
        pa.field("schemaString", pa.string()),
        pa.field("partitionColumns", pa.list_(pa.string())),
        pa.field("createdTime", pa.int64()),
        pa.field("configuration", _TAGS),
    ]
)
_PROTOCOL = pa.struct(
    [
        pa.field("minReaderVersion", pa.int32()),
        pa.field("minWriterVersion", pa.int32()),
    ]
)
_TXN = pa.struct(
    [
        pa.field("appId", pa.string()),
        pa.field("version", pa.int64()),
        pa.field("lastUpdated", pa.int64()),
    ]
)
_SCHEMA = pa.schema(
    [("txn", _TXN), ("add", _ADD), ("remove", _REMOVE), ("metaData", _METADATA),
     ("protocol", _PROTOCOL)]
)
_ROWS_A_GROUP = 1 << 20


@dataclass(frozen=True, slots=True)
class Pending:
    """What took the place of files that were removed: the highest version of `artifact` that
    merged files need, and the ids of sources that were read anew."""

    merged: int = -1
    swaps: frozenset[str] = frozenset()


NOTHING = Pending()
# A checkpoint of another engine does not say it: then all have to be looked at.
UNKNOWN = Pending(merged=1 << 62)


@dataclass(frozen=True, slots=True)
class Before:
    """The removed files of a table's last checkpoint.

    Attributes:
        version: of the checkpoint; -1: there is none.
        pending: what it says of them.
        forget: those that are not to be mentioned any more.
    """

    table: Place
    version: int
    pending: Pending
    forget: AbstractSet[str]

    def kept(self, names: AbstractSet[str]) -> pa.StructArray:
        """Those that are still to be said, without these names."""
        if self.version < 0:
            return pa.array([], _REMOVE)
        column = removed_column(self.table, self.version)
        others = pa.array([quote(name) for name in names | self.forget], pa.string())
        again = pc.is_in(pc.struct_field(column, "path"), others)
        return column.filter(pc.invert(again))


@dataclass(frozen=True, slots=True)
class Read:
    """What a checkpoint says, without the files that were removed.

    Attributes:
        files: name, size, modified, stats, after.
    """

    metadata: dict[str, Any]
    protocol: dict[str, Any]
    units: dict[str, int]
    files: Iterable[tuple[Any, ...]]
    pending: Pending


def path_of(table: Place, version: int) -> Place:
    """The checkpoint of a version."""
    return table / "_delta_log" / f"{version:020}.checkpoint.parquet"


def last(table: Place) -> int | None:
    """Version of the checkpoint that the log points to.

    Raises:
        LakeError: it is of a kind that is not read.
    """
    try:
        pointer = orjson.loads((table / "_delta_log" / "_last_checkpoint").read_bytes())
    except FileNotFoundError:
        return None
    if pointer.get("parts") or pointer.get("v2Checkpoint"):
        raise LakeError(f"{table}: its log has a checkpoint in parts, which is not read")
    return int(pointer["version"])


def versions(table: Place) -> list[int]:
    """Versions of all checkpoints that are there, in order."""
    names = (path.name for path in (table / "_delta_log").glob("*.checkpoint.parquet"))
    return sorted(int(name[:20]) for name in names if name[:20].isdigit())


def newest(table: Place, at: int | None = None) -> int | None:
    """The newest checkpoint, or the newest at or before a version."""
    pointed = last(table)
    if pointed is None and not (table / "_delta_log" / f"{0:020}.json").exists():
        # The pointer is a help; without it a log that was cleaned can still be read.
        pointed = max(versions(table), default=None)
    if at is None or pointed is None or pointed <= at:
        return pointed
    return max((number for number in versions(table) if number <= at), default=None)


def read(table: Place, version: int, with_units: bool = True) -> Read:
    """Reads a checkpoint.

    Args:
        with_units: whether transactions are wanted: there may be very many.

    Raises:
        FileNotFoundError: it is not there.
        LakeError: it is of a kind that is not read.
    """
    path = path_of(table, version)
    with path.open("rb") as handle:
        file = pq.ParquetFile(handle)
        names = file.schema_arrow.names
        said = (file.metadata.metadata or {}).get(_PENDING)
        pending = UNKNOWN if "remove" in names else NOTHING
        if said is not None:
            told = orjson.loads(said)
            pending = Pending(told["merged"], frozenset(told["swaps"]))
        one: dict[str, dict[str, Any]] = {
            name: next(iter(file.read(columns=[name]).column(name).drop_null().to_pylist()), {})
            for name in ("metaData", "protocol")
        }
        for name in ("format", "configuration"):
            one["metaData"][name] = _plain(one["metaData"].get(name))
        wanted = with_units and "txn" in names
        txn = _rows(file, "txn", ["appId", "version"]) if wanted else [[], []]
        files: Iterable[tuple[Any, ...]] = ()
        if "add" in names:
            files = _files(file, path)
    units = dict(zip(*txn, strict=True))
    return Read(one["metaData"], one["protocol"], units, files, pending)


def _files(file: pq.ParquetFile, path: Place) -> list[tuple[Any, ...]]:
    kind = file.schema_arrow.field("add").type
    there = [part.name for part in kind]
    if "deletionVector" in there:
        vectors = _column(file, "add", ["deletionVector"])
        if vectors is not None and pc.struct_field(vectors, "deletionVector").null_count < len(
            vectors
        ):
            raise LakeError(f"{path}: another engine has put deletion vectors, which are not read")
    found = _rows(file, "add", ["path", "size", "modificationTime", "stats"])
    after = _tag(file, "add", AFTER, len(found[0])) if "tags" in there else None
    numbers = map(int, after) if after is not None else (-1 for _ in found[0])
    names = [unquote(name) if "%" in name else name for name in found[0]]
    return list(zip(names, *found[1:], numbers, strict=True))


def removed_column(table: Place, version: int) -> pa.StructArray:
    """The actions of a checkpoint that remove files, as they are written here."""
    with path_of(table, version).open("rb") as handle:
        file = pq.ParquetFile(handle)
        if "remove" not in file.schema_arrow.names:
            return pa.array([], _REMOVE)
        column = file.read(columns=["remove"]).column("remove").combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks)
        column = column.drop_null()
    there = [part.name for part in column.type]
    parts = [
        pc.struct_field(column, part.name).cast(part.type)
        if part.name in there else pa.nulls(len(column), part.type)
        for part in _REMOVE
    ]
    return pa.StructArray.from_arrays(parts, fields=list(_REMOVE))


def removed(table: Place, version: int) -> Iterable[tuple[str, int, int, str, int]]:
    """Files that a checkpoint says to be removed: name, when, size, by, after."""
    column = removed_column(table, version)
    names, at, size = (
        pc.struct_field(column, name).to_pylist() for name in ("path", "deletionTimestamp", "size")
    )
    tags = pc.struct_field(column, "tags")
    by, after = (
        pc.map_lookup(tags, pa.scalar(key), "first").to_pylist() for key in (BY, AFTER)
    )
    for name, moment, length, what, number in zip(names, at, size, by, after, strict=True):
        yield (unquote(name), moment or 0, length or 0, what or "",
               int(number) if number else -1)


def _column(file: pq.ParquetFile, action: str, parts: list[str]) -> pa.Array | None:
    read_ = file.read(columns=[f"{action}.{part}" for part in parts])
    if action not in read_.schema.names:
        return None
    column = read_.column(action).combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks)
    return column.drop_null()


def _rows(file: pq.ParquetFile, action: str, parts: list[str]) -> list[list[Any]]:
    column = _column(file, action, parts)
    if column is None:
        return [[] for _ in parts]
    return [pc.struct_field(column, part).to_pylist() for part in parts]


def _tag(file: pq.ParquetFile, action: str, key: str, count: int) -> list[str] | None:
    """A tag of each action; "" (-1 for `AFTER`) where it has none; None: none has it."""
    column = _column(file, action, ["tags"])
    if column is None or len(column) != count:
        return None
    tags = pc.struct_field(column, "tags")
    if tags.null_count == len(tags):
        return None
    found = pc.map_lookup(tags, pa.scalar(key), "first")
    return [str(value) for value in found.fill_null("-1" if key == AFTER else "").to_pylist()]


def _plain(value: Any) -> Any:
    """Maps, which pyarrow gives as lists of pairs, as JSON has them."""
    if isinstance(value, list):
        return dict(value)
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return {} if value is None else value


def write(
    table: Place,
    version: int,
    metadata: Mapping[str, Any],
    protocol: Mapping[str, Any],
    units: Mapping[str, int],
    files: Mapping[str, "Added"],
    removed: Mapping[str, "Removed"],
    before: "Before",
) -> Pending:
    """Writes a checkpoint and points the log to it.

    Args:
        removed: since the checkpoint before this one.
        before: what of that one's removed files stays.

    Returns:
        what it says of the removed files.

    Raises:
        OSError: it could not be written.
    """
    numbers = [merged_after(old.by) for old in removed.values()]
    swaps = {
        old.by
        for old, number in zip(removed.values(), numbers, strict=True)
        if number is None and old.by
    }
    pending = Pending(
        max([before.pending.merged, *(number for number in numbers if number is not None)]),
        before.pending.swaps | swaps,
    )
    old = before.kept(files.keys() | removed.keys())
    gone = pa.concat_arrays([old, _removes(removed)])
    head = pa.array([{**_filled(metadata)}], _METADATA)
    said = pa.array([{name: protocol[name] for name in ("minReaderVersion", "minWriterVersion")}],
                    _PROTOCOL)
    count = len(units)
    txn = pa.StructArray.from_arrays(
        [pa.array(units.keys(), pa.string()), pa.array(units.values(), pa.int64()),
         pa.nulls(count, pa.int64())],
        fields=list(_TXN),
    )
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink, _SCHEMA, compression="zstd", use_dictionary=False, write_statistics=False,
        store_schema=False,
    ) as writer:
        for name, rows in (
            ("protocol", said), ("metaData", head), ("txn", txn), ("add", _adds(files)),
            ("remove", gone),
        ):
            if len(rows):
                writer.write_table(_only(name, rows), row_group_size=_ROWS_A_GROUP)
        writer.add_key_value_metadata(
            {_PENDING: json.dumps({"merged": pending.merged, "swaps": sorted(pending.swaps)})}
        )
    data = sink.getvalue().to_pybytes()
    log = table / "_delta_log"
    put_if_absent(path_of(table, version), data)
    sync_folder(log)
    known = last(table)
    if known is None or known < version:
        total = 2 + count + len(files) + len(gone)
        pointer = {"version": version, "size": total, "sizeInBytes": len(data),
                   "numOfAddFiles": len(files)}
        replace(log / "_last_checkpoint", orjson.dumps(pointer))
        sync_folder(log)
    return pending


def _filled(metadata: Mapping[str, Any]) -> dict[str, Any]:
    said = {name: metadata.get(name) for name in (part.name for part in _METADATA)}
    given = said["format"] or {}
    said["format"] = {
        "provider": given.get("provider", "parquet"),
        "options": list((given.get("options") or {}).items()),
    }
    said["configuration"] = list((said["configuration"] or {}).items())
    said["partitionColumns"] = said["partitionColumns"] or []
    return said


def _adds(files: Mapping[str, "Added"]) -> pa.Array:
    count = len(files)
    said = list(files.values())
    return pa.StructArray.from_arrays(
        [
            pa.array(map(quote, files), pa.string()),
            _maps([None] * count, AFTER, empty=True),
            pa.array([file.size for file in said], pa.int64()),
            pa.array([file.modified for file in said], pa.int64()),
            pa.array([False] * count, pa.bool_()),
            pa.array([file.stats for file in said], pa.string()),
            _maps([str(file.after) if file.after >= 0 else None for file in said], AFTER),
        ],
        fields=list(_ADD),
    )


def _removes(removed: Mapping[str, "Removed"]) -> pa.Array:
    count = len(removed)
    said = list(removed.values())
    # Statistics of removed files are not kept: nobody needs them enough for their size.
    tags = pa.array(
        [
            [(key, value) for key, value in (
                (BY, old.by), (AFTER, str(old.after) if old.after >= 0 else "")) if value]
            for old in said
        ],
        _TAGS,
    )
    return pa.StructArray.from_arrays(
        [
            pa.array(map(quote, removed), pa.string()),
            pa.array([old.at for old in said], pa.int64()),
            pa.array([False] * count, pa.bool_()),
            pa.array([True] * count, pa.bool_()),
            _maps([None] * count, BY, empty=True),
            pa.array([old.size for old in said], pa.int64()),
            pa.nulls(count, pa.string()),
            tags,
        ],
        fields=list(_REMOVE),
    )


def _maps(values: list[str | None], key: str, empty: bool = False) -> pa.Array:
    """Maps of one key each; where there is no value null, or empty ones."""
    if all(value is None for value in values):
        if not empty:
            return pa.nulls(len(values), _TAGS)
        offsets = pa.array([0] * (len(values) + 1), pa.int32())
        nothing = pa.array([], pa.string())
        return pa.MapArray.from_arrays(offsets, nothing, nothing)
    return pa.array([None if value is None else [(key, value)] for value in values], _TAGS)


def _only(name: str, rows: pa.Array) -> pa.Table:
    """Rows of one action, with the other columns null."""
    columns = [
        rows if field.name == name else pa.nulls(len(rows), field.type) for field in _SCHEMA
    ]
    return pa.Table.from_arrays(columns, schema=_SCHEMA)
