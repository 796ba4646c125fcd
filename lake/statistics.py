"""A file's statistics, from its Parquet footer to the form a Delta log holds them in.

Engines trust them: a wrong bound hides rows. So a bound that cannot be said exactly (a time
outside the years 1 to 9999, a long text's maximum) is left out, which means "unknown".
Delta protocol, "Per-file Statistics".
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

Bound = int | str
"""A time is in microseconds since 1970, UTC."""

LONGEST = 64
"""Characters of text kept as a bound."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = -62_135_596_800_000_000
_LAST = 253_402_300_799_999_999


@dataclass(slots=True)
class Statistics:
    """Of one file.

    Attributes:
        rows: how many.
        lowest, highest: column -> bound; a column without one is not bounded.
        nulls: column -> how many values are null.
    """

    rows: int = 0
    lowest: dict[str, Bound] = field(default_factory=dict)
    highest: dict[str, Bound] = field(default_factory=dict)
    nulls: dict[str, int] = field(default_factory=dict)


def from_footer(footer: pq.FileMetaData, keeps: dict[str, pa.DataType]) -> Statistics:
    """Sums up a footer's row groups for the columns in `keeps` (name -> type).

    A column is bounded only if each row group either bounds it or says it is all null. One that
    the file does not have is null on all rows, which engines are told: they leave the file out
    where a value is asked for.
    """
    found = Statistics(rows=footer.num_rows)
    # Leaves of the file are not the fields of the schema: a map is two leaves.
    where = {footer.schema.column(i).path: i for i in range(footer.num_columns)}
    groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
    for name, kind in keeps.items():
        index = where.get(name)
        if index is None:
            found.nulls[name] = footer.num_rows
            continue
        nulls: int | None = 0
        bounded = True
        lowest: list[Bound] = []
        highest: list[Bound] = []
        for group in groups:
            kept = group.column(index).statistics
            if kept is None or not kept.has_null_count:
                nulls, bounded = None, False
                break
            nulls += kept.null_count
            if kept.has_min_max:
                low, high = _bound(kept.min_raw, kind), _bound(kept.max_raw, kind)
                if low is None or high is None:
                    bounded = False
                else:
                    lowest.append(low)
                    highest.append(high)
            elif kept.null_count != group.num_rows:
                bounded = False
        if nulls is not None:
            found.nulls[name] = nulls
        if not bounded or not lowest:
            continue
        low, high = min(lowest), max(highest)
        if isinstance(low, str) and isinstance(high, str):
            found.lowest[name] = low[:LONGEST]
            if len(high) <= LONGEST:
                found.highest[name] = high
        elif pa.types.is_timestamp(kind):
            if int(low) >= _FIRST and int(high) <= _LAST:
                found.lowest[name], found.highest[name] = low, high
        else:
            found.lowest[name], found.highest[name] = low, high
    return found


def _bound(raw: Any, kind: pa.DataType) -> Bound | None:
    """A footer's raw bound as a number or text; None where it is neither."""
    if isinstance(raw, bytes):
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return None
    if isinstance(raw, int) and not pa.types.is_boolean(kind):
        return raw
    return None


def to_json(found: Statistics, keeps: dict[str, pa.DataType]) -> str:
    """The statistics as an AddAction holds them."""

    def said(bounds: dict[str, Bound]) -> dict[str, Bound]:
        return {
            name: _iso(bound) if pa.types.is_timestamp(keeps[name]) else bound
            for name, bound in bounds.items()
        }

    return orjson.dumps(
        {
            "numRecords": found.rows,
            "minValues": said(found.lowest),
            "maxValues": said(found.highest),
            "nullCount": found.nulls,
        }
    ).decode()


def _iso(microseconds: Bound) -> str:
    moment = _EPOCH + timedelta(microseconds=int(microseconds))
    # isoformat does not fill the year of an early date up to four digits on every platform.
    return f"{moment.year:04}-{moment:%m-%dT%H:%M:%S}.{moment.microsecond:06}Z"
