"""Events of Microsoft's products and of clouds, as their makers' documentation shows them, become
the rows that are written down in tests/golden/vendors, and nothing of them is lost.

    python -m tests.test_vendor_samples --make      # writes the golden rows anew: read the diff
"""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.json_lines import get, named_values, read
from tracelake.native.account import Account
from tracelake.native.feed import Feed
from tracelake.normalize import mapping, shapes
from tracelake.normalize.rebuild import pairs
from tracelake.normalize.section import ANY, Event
from tracelake.normalize.shapes import Member, Shape
from tracelake.parsers import csv_table
from tracelake.parsers.artifact import Artifact, Match

SAMPLES = ROOT / "tests" / "data" / "vendors" / "microsoft_and_clouds.jsonl"
GOLDEN = ROOT / "tests" / "golden" / "vendors" / "microsoft_and_clouds.json"
# Where a row stands in its source says nothing of the mapping.
LEFT_OUT = {"src_offset", "src_length", "sub", "record_hash", "time_ns"}
# A record that is several, and two of which members inside and outside of the event's object have
# the same name: both are in the row, and which is which cannot be told by the name.
NOT_REBUILT = {"gws", "ual_csv", "entra_audit_diag"}

Record = dict[str, Any]


def samples() -> dict[str, Record]:
    found: dict[str, Record] = {}
    for line in SAMPLES.read_text("utf-8").splitlines():
        found |= json.loads(line)
    return found


def plain(value: Any) -> Any:
    """A column's value as JSON has it."""
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def golden(record: Record) -> list[dict[str, Any]]:
    made = []
    for table, row in read(json.dumps(record).encode())[0]:
        held = {name: plain(value) for name, value in row.items() if name not in LEFT_OUT}
        made.append({"table": table, **dict(sorted(held.items()))})
    return made


@pytest.mark.parametrize("name", samples())
def test_samples_make_the_rows_that_are_written_down(name: str) -> None:
    wanted = json.loads(GOLDEN.read_text("utf-8"))[name]
    assert golden(samples()[name]) == wanted


def test_every_sample_has_a_mapping() -> None:
    tables = {name: row["table"] for name, record in samples().items() for row in golden(record)}
    assert not [name for name, table in tables.items() if table == "raw_event"]


# --- how they come ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrapper", "names"),
    [
        ({"Records": []}, ["cloudtrail_console", "cloudtrail_call", "cloudtrail_createuser"]),
        ({"records": []}, ["mde_process", "mde_ConnectionSuccess", "entra_diag", "azure_diag"]),
        ({"@odata.context": "c", "@odata.nextLink": "n", "value": []},
         ["entra_graph", "entra_audit", "graph_alert"]),
        ({"Schema": [{"Name": "Timestamp", "Type": "DateTime"}], "Results": []},
         ["row_mde_process", "row_mde_logon", "row_mde_FileCreated"]),
        ({"schema": [{"name": "Timestamp", "type": "DateTime"}], "results": []},
         ["row_mde_process", "row_mde_RegistryValueSet"]),
    ],
)
def test_events_in_a_wrapper_are_the_same_rows(
    wrapper: dict[str, Any], names: list[str]
) -> None:
    wanted = json.loads(GOLDEN.read_text("utf-8"))
    whole = wrapper | {[*wrapper][-1]: [samples()[name] for name in names]}
    said = {f"{key}" for key in wrapper if key.startswith("@")} | {"Schema", "schema"}
    rows = golden(whole)
    for row in rows:
        row["unmapped"] = [pair for pair in row.get("unmapped", []) if pair[0] not in said]
    expected = [{**row, "unmapped": row.get("unmapped", [])} for n in names for row in wanted[n]]
    assert rows == expected


FLOW = b"""version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes \
start end action log-status
2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 \
1418530070 ACCEPT OK
2 123456789010 eni-1235b8ca123456789 - - - - - - - 1431280876 1431280934 - NODATA
""".replace(b"\\\n", b"")


def test_flow_logs_as_text() -> None:
    account = Account()
    assert csv_table.PARSER.match(FLOW, "flow.log")[0] is Match.CONTENT
    artifact = Artifact("flow.log", Feed(io.BytesIO(FLOW)), account)
    rows = [
        (table, row) for table, batch in csv_table.PARSER.read(artifact)
        for row in batch.to_pylist()
    ]
    (table, first), (_, second) = rows
    wanted = json.loads(GOLDEN.read_text("utf-8"))["vpc"][0]
    assert table == "network_activity"
    assert (account.records, account.damaged, account.closes) == (2, 0, True)
    for column in ("src_ip", "src_port", "dst_ip", "dst_port", "bytes_out", "action_id"):
        assert first[column] == wanted[column]
    assert str(first["time"]) == wanted["time"]
    assert (second["src_ip"], second["capture_status"]) == (None, "NODATA")


# --- nothing is lost ----------------------------------------------------------------------------


def _is(record: Record, member: Member) -> bool:
    value = get(record, member.path)
    return value is not None and (not member.values or value in member.values)


def _section(record: Record, shape: Shape) -> Event | None:
    events = mapping.load().events
    codes = [get(record, path) for path in shape.event]
    code = next((str(code) for code in codes if code is not None), ANY)
    return events.get((shape.vendor, code)) or events.get((shape.vendor, ANY))


def _expanded(record: Any, shape: Shape, path: str = "") -> Any:
    """The record with the objects that stand in it as text."""
    if isinstance(record, str) and path in shape.json_text:
        try:
            inner = json.loads(record)
        except ValueError:
            return record
        return inner if isinstance(inner, dict) else record
    if not isinstance(record, dict):
        return record
    return {
        key: _expanded(value, shape, f"{path}.{key}" if path else key)
        for key, value in record.items()
    }


@pytest.mark.parametrize("name", samples().keys() - NOT_REBUILT)
def test_every_value_is_rebuilt_from_the_row(name: str) -> None:
    record = samples()[name]
    shape = next(one for one in shapes.load() if all(_is(record, member) for member in one.has))
    ((_, row),), _ = read(json.dumps(record).encode())
    found = pairs(row, _section(record, shape), shape)
    expanded = _expanded(record, shape)
    times: dict[str, int] = {}
    # The objects with named values come first.
    inside = [get(expanded, path) for path in shape.data if path]
    wanted = [pair for part in inside if part for pair in named_values(part, shape, "", True)]
    outside = named_values(expanded, shape)
    wanted += outside[:] if not inside else [
        (path, text) for path, text in outside
        if not any(path in dict(named_values(part, shape, "", True)) for part in inside if part)
    ]
    for field, text in wanted:
        times[field] = times.get(field, 0) + 1
        key = field if times[field] == 1 else f"{field}[{times[field]}]"
        assert key in found, f"{name}: {key} is lost"
        assert found[key] == text, f"{name}: {key}"


def _make() -> None:
    made = {name: golden(record) for name, record in samples().items()}
    GOLDEN.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(made, ensure_ascii=False, indent=1) + "\n"
    Path(GOLDEN).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["--make"]:
        _make()
    else:
        print(__doc__)
