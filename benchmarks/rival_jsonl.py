"""Yardstick for `jsonl`: orjson, a mapping in Python, `pa.Table.from_pylist`, Parquet.

Fields that no column has go to `unmapped` as JSON text.

python benchmarks/rival_jsonl.py LINES OUTPUT.parquet
"""

import sys
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

SCHEMA = pa.schema(
    [
        ("time", pa.timestamp("us", "UTC")),
        ("record_id", pa.int64()),
        ("event_id", pa.int32()),
        ("provider", pa.string()),
        ("channel", pa.string()),
        ("computer", pa.string()),
        ("process", pa.string()),
        ("command_line", pa.string()),
        ("parent", pa.string()),
        ("user_name", pa.string()),
        ("unmapped", pa.string()),
    ]
)
# Column -> the names it goes by, in order of preference.
NAMES = {
    "record_id": ("RecordNumber", "record_number"),
    "event_id": ("EventID", "event_id"),
    "provider": ("SourceName", "source_name"),
    "channel": ("Channel", "log_name"),
    "computer": ("Hostname", "computer_name"),
    "process": ("Image", "NewProcessName"),
    "command_line": ("CommandLine",),
    "parent": ("ParentImage", "ParentProcessName"),
    "user_name": ("User", "TargetUserName", "SubjectUserName"),
}
INTEGERS = {"record_id", "event_id"}
ROWS = 65536


def when(event: dict[str, Any]) -> datetime | None:
    text = event.pop("UtcTime", None) or event.pop("@timestamp", None)
    if not isinstance(text, str):
        return None
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def mapped(event: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"time": when(event)}
    for column, names in NAMES.items():
        for name in names:
            value = event.pop(name, None)
            if value is not None:
                row[column] = int(value) if column in INTEGERS else str(value)
                break
    row["unmapped"] = orjson.dumps(event).decode()
    return row


def main(path: str, output: str) -> None:
    total = 0
    with (
        open(path, "rb") as lines,
        pq.ParquetWriter(output, SCHEMA, compression="zstd", compression_level=1) as out,
    ):
        rows = []
        for line in lines:
            rows.append(mapped(orjson.loads(line)))
            total += 1
            if len(rows) == ROWS:
                out.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
                rows = []
        if rows:
            out.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
    print(total)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
