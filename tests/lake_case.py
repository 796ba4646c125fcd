"""Small schemas and units for the tests of the lake; also run as a process that is killed."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from tracelake.lake.lake import Lake
from tracelake.lake.unit import WrittenUnit

WORD = pa.dictionary(pa.int32(), pa.string())
TIME = pa.timestamp("us", tz="UTC")
STATS = {"stats": "1", "doc": "it prunes"}

EVENTS = pa.schema(
    [
        pa.field("time", TIME, metadata=STATS),
        pa.field("source_id", WORD, nullable=False, metadata=STATS),
        pa.field("src_offset", pa.int64(), nullable=False, metadata=STATS),
        pa.field("host", WORD, metadata={"bloom": "1"}),
        pa.field("text", pa.string(), metadata={"bloom": "1"}),
        pa.field("unmapped", pa.map_(WORD, pa.string())),
        pa.field("labels", pa.list_(pa.string())),
    ]
)
BOOK = pa.schema(
    [
        pa.field("source_id", WORD, nullable=False),
        pa.field("uri", pa.string()),
        pa.field("artifact_no", pa.int32()),
        pa.field("rows", pa.map_(pa.string(), pa.int64())),
    ]
)
SCHEMAS = {
    "event_log_activity": EVENTS,
    "process_activity": EVENTS,
    "damage": EVENTS,
    "artifact": BOOK,
    "source": BOOK,
}


def events(times: Iterable[int | None], source: str = "s", start: int = 0) -> pa.RecordBatch:
    """A batch with the given times (microseconds), offsets counting up from `start`."""
    times = list(times)
    count = len(times)
    offsets = range(start, start + count)
    host = pa.DictionaryArray.from_arrays(
        pa.array([n % 2 for n in range(count)], pa.int32()), pa.array([f"{source}-a", "b"])
    )
    pairs = [[("k", str(n)), ("l", "x")] for n in offsets]
    return pa.RecordBatch.from_arrays(
        [
            pa.array(times, TIME),
            pa.array([source] * count, pa.string()).dictionary_encode().cast(WORD),
            pa.array(offsets, pa.int64()),
            host,
            pa.array([f"text {n}" for n in offsets]),
            pa.array(pairs, pa.map_(pa.string(), pa.string())).cast(EVENTS.field("unmapped").type),
            pa.array([["a"]] * count, pa.list_(pa.string())),
        ],
        schema=EVENTS,
    )


def book(source: str, number: int = 0) -> pa.RecordBatch:
    """One row of `artifact` or `source`."""
    return pa.RecordBatch.from_arrays(
        [
            pa.array([source]).dictionary_encode().cast(WORD),
            pa.array([f"/{source}"]),
            pa.array([number], pa.int32()),
            pa.array([[("event_log_activity", 3)]], pa.map_(pa.string(), pa.int64())),
        ],
        schema=BOOK,
    )


def source_id(number: int) -> str:
    """A made-up source."""
    return f"{number:016x}" + "0" * 16


def unit_name(number: int) -> str:
    """The unit of a made-up source."""
    return f"{number:016x}-0-test-1.0"


def write(lake: Lake, number: int, rows: int = 3) -> WrittenUnit:
    """Writes unit `number`: `rows` rows in two tables, and its books."""
    source = source_id(number)
    writer = lake.writer(unit_name(number))
    for table in ("event_log_activity", "process_activity"):
        writer.write(table, events(range(number * 1000, number * 1000 + rows), source))
    writer.write("artifact", book(source))
    writer.write("source", book(source))
    return writer.close()


def main(folder: str, first: int, last: int, group: int) -> None:
    """Commits units first..last in groups; says each group when it is in."""
    lake = Lake.open(folder, "case", create=True, schemas=SCHEMAS)
    done = lake.snapshot().complete_units()
    todo = [n for n in range(first, last) if unit_name(n) not in done]
    print("begin", flush=True)
    for at in range(0, len(todo), group):
        outcome = lake.commit([write(lake, n) for n in todo[at : at + group]])
        print(*outcome.landed, flush=True)


def environment() -> dict[str, str]:
    """For running this file as a process of its own."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


HERE = str(Path(__file__).resolve())

if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
