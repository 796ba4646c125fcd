"""Yardstick for `evtx`: the Rust reader's `records_json`, orjson, and nine flat Parquet columns.

EventData (or UserData) is kept as JSON text; nothing is typed or mapped further.

python benchmarks/rival_evtx_rust.py LOG OUTPUT.parquet
"""

import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from evtx import PyEvtxParser

SCHEMA = pa.schema(
    [
        ("record_id", pa.int64()),
        ("time", pa.timestamp("us", "UTC")),
        ("event_id", pa.int32()),
        ("provider", pa.dictionary(pa.int32(), pa.string())),
        ("channel", pa.dictionary(pa.int32(), pa.string())),
        ("computer", pa.dictionary(pa.int32(), pa.string())),
        ("level", pa.int32()),
        ("user_sid", pa.dictionary(pa.int32(), pa.string())),
        ("event_data", pa.string()),
    ]
)
ROWS = 65536


def number(value: Any) -> int | None:
    """EventID and Level are numbers, or objects whose text is one."""
    if isinstance(value, dict):
        value = value.get("#text")
    return int(value) if value is not None else None


def rows(path: str) -> Iterator[tuple[Any, ...]]:
    records = PyEvtxParser(path, number_of_threads=1).records_json()
    while True:
        try:
            record = next(records)
        except StopIteration:
            return
        except RuntimeError:
            continue  # a broken record or chunk; the reader goes on with the next
        event = orjson.loads(record["data"])["Event"]
        system = event["System"]
        data = event.get("EventData") or event.get("UserData")
        security = system.get("Security") or {}
        yield (
            record["event_record_id"],
            datetime.fromisoformat(record["timestamp"].removesuffix(" UTC")),
            number(system.get("EventID")),
            ((system.get("Provider") or {}).get("#attributes") or {}).get("Name"),
            system.get("Channel"),
            system.get("Computer"),
            number(system.get("Level")),
            (security.get("#attributes") or {}).get("UserID"),
            orjson.dumps(data).decode() if data is not None else None,
        )


def main(path: str, output: str) -> None:
    total = 0
    with pq.ParquetWriter(output, SCHEMA, compression="zstd", compression_level=1) as out:
        columns: list[list[Any]] = [[] for _ in SCHEMA]
        for row in rows(path):
            for column, value in zip(columns, row, strict=True):
                column.append(value)
            total += 1
            if len(columns[0]) == ROWS:
                write(out, columns)
                columns = [[] for _ in SCHEMA]
        if columns[0]:
            write(out, columns)
    print(total)


def write(out: pq.ParquetWriter, columns: list[list[Any]]) -> None:
    arrays = [pa.array(c, field.type) for c, field in zip(columns, SCHEMA, strict=True)]
    out.write_batch(pa.record_batch(arrays, schema=SCHEMA))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
