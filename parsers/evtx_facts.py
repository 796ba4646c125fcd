"""What is said once of a whole event log: its row of `evtx_file`."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pyarrow as pa

from tracelake.native.columns import Rows, Stretch
from tracelake.normalize import TABLES

# Of the file header ([libevtx] "File header"): next record number, chunks, flags.
NEXT_RECORD, CHUNKS, FLAGS = 24, 42, 120
DIRTY, FULL = 1, 2
MAX_NUMBER = (1 << 63) - 1

Span = tuple[int, int, int]
"""A range's offset, and the lowest and the highest number of its records."""


@dataclass(slots=True)
class LogFacts:
    """Of a log, or of a part of one.

    Attributes:
        first_row: offset of the first record that is a row; `host` and `channel` are its.
        rows, chunks, chunks_bad: how many.
        numbers, times: lowest and highest of the rows; times in microseconds.
        header: the file header's bytes, None where there is none (or in another part).
        spans: the numbers of the part's records, range by range.
    """

    first_row: int = -1
    rows: int = 0
    chunks: int = 0
    chunks_bad: int = 0
    numbers: tuple[int, int] | None = None
    times: tuple[int, int] | None = None
    host: str | None = None
    channel: str | None = None
    header: bytes | None = None
    header_ok: bool = False
    spans: list[Span] = field(default_factory=list)


def joined(parts: Sequence[LogFacts]) -> LogFacts:
    """The facts of a log that was read in parts."""
    begins = [part for part in parts if part.first_row >= 0]
    first = min(begins, key=lambda part: part.first_row, default=parts[0])
    header = next((part for part in parts if part.header is not None), parts[0])
    return LogFacts(
        first_row=first.first_row,
        rows=sum(part.rows for part in parts),
        chunks=sum(part.chunks for part in parts),
        chunks_bad=sum(part.chunks_bad for part in parts),
        numbers=_hull([part.numbers for part in parts]),
        times=_hull([part.times for part in parts]),
        host=first.host,
        channel=first.channel,
        header=header.header,
        header_ok=header.header_ok,
    )


def file_row(
    parts: Sequence[LogFacts], stands: bool = False
) -> Iterator[tuple[str, pa.RecordBatch | Stretch]]:
    """The log's row of `evtx_file`, from the facts of its parts (or of the one whole)."""
    facts = joined(parts)
    row: dict[str, Any] = {
        "records_parsed": facts.rows,
        "chunks": facts.chunks,
        "chunks_bad": facts.chunks_bad,
        "header_ok": facts.header_ok,
        "device_hostname": facts.host,
        "log_name": facts.channel,
    }
    if facts.header is not None:
        flags = struct.unpack_from("<I", facts.header, FLAGS)[0]
        row |= {
            "chunks_header": struct.unpack_from("<H", facts.header, CHUNKS)[0],
            "is_dirty": bool(flags & DIRTY),
            "is_full": bool(flags & FULL),
            "next_record_id": _number(struct.unpack_from("<Q", facts.header, NEXT_RECORD)[0]),
        }
    if facts.numbers is not None:
        row["first_record_id"], row["last_record_id"] = map(_number, facts.numbers)
    if facts.times is not None:
        row["first_time"], row["last_time"] = facts.times
    rows = _rows()
    try:
        for name, value in row.items():
            rows.put(name, value)
        rows.end_row()
    except BaseException:
        rows.give_up()
        raise
    yield "evtx_file", rows.stand() if stands else rows.finish()


@cache
def _rows() -> Rows:
    return Rows("evtx_file", TABLES["evtx_file"].schema)


def _number(value: int) -> int | None:
    return value if value <= MAX_NUMBER else None


def _hull(ranges: Sequence[tuple[int, int] | None]) -> tuple[int, int] | None:
    known = [each for each in ranges if each is not None]
    return (min(low for low, _ in known), max(high for _, high in known)) if known else None
