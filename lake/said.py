"""What a log says of its files' contents: their statistics, as text, made into columns.

Delta protocol, "Per-file Statistics".
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

if TYPE_CHECKING:
    from tracelake.lake.state import Added

_TIME = pa.timestamp("us", tz="UTC")
_BLOCK = 1 << 26


def in_window(
    names: list[str], stats: Sequence[str | None], since: datetime | None, until: datetime | None
) -> list[str]:
    """The files that can have a row with since <= time < until.

    A file without bounds is kept unless all its times are known to be null.

    Args:
        stats: of each file, as the log has them.
    """
    if not names:
        return names
    bounds = pa.struct([("time", pa.string())])
    said = _parsed(
        stats,
        pa.schema(
            [("numRecords", pa.int64()), ("minValues", bounds), ("maxValues", bounds),
             ("nullCount", pa.struct([("time", pa.int64())]))]
        ),
    )
    low, high = (
        pc.struct_field(said.column(side), "time").cast(_TIME)
        for side in ("minValues", "maxValues")
    )
    nulls = pc.struct_field(said.column("nullCount"), "time")
    keep = pc.fill_null(pc.not_equal(nulls, said.column("numRecords")), True)
    if since is not None:
        keep = pc.and_(keep, pc.fill_null(pc.greater_equal(high, pa.scalar(since, _TIME)), True))
    if until is not None:
        keep = pc.and_(keep, pc.fill_null(pc.less(low, pa.scalar(until, _TIME)), True))
    return [name for name, kept in zip(names, keep.to_pylist(), strict=True) if kept]


def actions(files: Mapping[str, "Added"], kinds: Mapping[str, pa.DataType]) -> pa.Table:
    """All that is said of files, a row each: `path`, `size_bytes`, `num_records`, `min.<column>`,
    `max.<column>`, `null_count.<column>`, for the columns that any file says it of."""
    parsed = [orjson.loads(file.stats) if file.stats else {} for file in files.values()]
    columns: dict[str, pa.Array] = {
        "path": pa.array(files.keys(), pa.string()),
        "size_bytes": pa.array([file.size for file in files.values()], pa.int64()),
        "num_records": pa.array([one.get("numRecords") for one in parsed], pa.int64()),
    }
    for name, kind in kinds.items():
        sides = [
            [one.get(key, {}).get(name) for one in parsed] for key in ("minValues", "maxValues")
        ]
        if any(value is not None for values in sides for value in values):
            is_time = pa.types.is_timestamp(kind)
            for side, values in zip(("min", "max"), sides, strict=True):
                array = pa.array(values, pa.string() if is_time else kind)
                columns[f"{side}.{name}"] = array.cast(kind) if is_time else array
        counts = [one.get("nullCount", {}).get(name) for one in parsed]
        if any(count is not None for count in counts):
            columns[f"null_count.{name}"] = pa.array(counts, pa.int64())
    return pa.table(columns)


def _parsed(stats: Sequence[str | None], schema: pa.Schema) -> pa.Table:
    """Texts of JSON as rows of these columns."""
    lines = "\n".join(text or "{}" for text in stats).encode() + b"\n"
    found = pyarrow.json.read_json(
        pa.BufferReader(lines),
        read_options=pyarrow.json.ReadOptions(
            block_size=max(_BLOCK, len(lines)), use_threads=False
        ),
        parse_options=pyarrow.json.ParseOptions(
            explicit_schema=schema, unexpected_field_behavior="ignore"
        ),
    )
    if found.num_rows != len(stats):
        raise ValueError(f"{found.num_rows} statistics of {len(stats)} files")
    return found
