"""One mapping, not two: an event read from a log file and as JSON makes the same row."""

import json
from pathlib import Path
from typing import Any

import evtx as rust
import pytest

from tests.json_lines import read
from tracelake.native.account import Account
from tracelake.native.feed import Feed
from tracelake.parsers import evtx
from tracelake.parsers.artifact import Artifact

# Where a row stands in its source differs, of course. `unmapped` also holds how the JSON was
# wrapped, and writes GUIDs as evtx_dump does: tests of each parser say what must be in it. The
# independent reader's times end at the microsecond.
OWN = {
    "src_offset", "src_length", "sub", "parse_flags", "time_desc", "time_ns", "unmapped", "raw",
}


def from_log(path: Path) -> dict[tuple[Any, Any], tuple[str, dict[str, Any]]]:
    rows: dict[tuple[Any, Any], tuple[str, dict[str, Any]]] = {}
    with path.open("rb", buffering=0) as stream:
        for table, batch in evtx.PARSER.read(Artifact(path.name, Feed(stream), Account())):
            if table != "evtx_file":
                for row in batch.to_pylist():
                    held = {k: v for k, v in row.items() if v is not None and k not in OWN}
                    rows[row["src_record_id"], row.get("time")] = (table, held)
    return rows


def as_json(path: Path) -> bytes:
    """The log as JSON lines, by an independent reader (the Rust evtx package). What it refuses is
    left out: this is about what both read."""
    lines: list[bytes] = []
    records = rust.PyEvtxParser(str(path)).records_json()
    while True:
        try:
            record = next(records)
        except StopIteration:
            return b"\n".join(lines)
        except RuntimeError:
            continue
        assert record is not None
        event = json.loads(record["data"])
        if not _values_without_names(event):
            lines.append(json.dumps(event).encode())


def _values_without_names(event: dict[str, Any]) -> bool:
    """Whether the values of an event have no names. A log's are mapped by their order; each writer
    of JSON has its own way to put them (this one as a list under one name, which is kept whole
    in `unmapped`), and none of them is read as such a list yet."""
    data = event["Event"].get("EventData") or {}
    return isinstance(data, dict) and isinstance(data.get("Data"), dict)


def logs(shared: Path) -> list[Path]:
    found = [*shared.glob("oracles/sigma-regression/**/*.evtx"), *shared.glob("evtx/**/*.evtx")]
    return sorted(path for path in found if path.stat().st_size < 3 << 20)


def test_the_same_event_lands_the_same(shared: Path) -> None:
    compared: dict[str, int] = {}
    for path in logs(shared):
        rows = from_log(path)
        for table, row in read(as_json(path))[0]:
            other = rows.get((row.get("src_record_id"), row.get("time")))
            if other is None or "src_record_id" not in row:
                continue
            held = {k: v for k, v in row.items() if k not in OWN}
            assert (table, held) == other, (path.name, row["src_record_id"])
            compared[table] = compared.get(table, 0) + 1
    assert sum(compared.values()) > 5_000
    for table in ("process_activity", "authentication", "network_activity", "file_activity"):
        assert compared.get(table), f"no event of {table} was compared"


@pytest.mark.parametrize("path", ["logs/new-user-security.evtx"])
def test_the_same_event_lands_the_same_in_the_shipped_evidence(path: str) -> None:
    log = Path(__file__).parent.parent / "examples" / "evidence" / path
    rows = from_log(log)
    made = read(as_json(log))[0]
    assert len(made) == len(rows) > 0
    for table, row in made:
        held = {k: v for k, v in row.items() if k not in OWN}
        assert (table, held) == rows[row["src_record_id"], row["time"]]
