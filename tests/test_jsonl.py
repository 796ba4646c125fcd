"""JSON logs: golden rows, exact counts, every pair of every event, and hostile texts."""

import json
import os
import tarfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.json_lines import event_of, named_values, read, shape_of
from tracelake.normalize import mapping
from tracelake.normalize.rebuild import pairs
from tracelake.parsers import jsonl
from tracelake.parsers.artifact import Match

DATA = Path(__file__).parent / "data" / "mordor"
SAMPLE = DATA / "events.jsonl"


def plain(value: Any) -> Any:
    """A row's value as JSON can hold it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return dict(value)
    return value


def test_golden_rows_of_every_shape() -> None:
    rows, account = read(SAMPLE)
    made = [[table, {name: plain(value) for name, value in row.items()}] for table, row in rows]
    golden = DATA / "rows.json"
    if os.environ.get("TRACELAKE_GOLDEN") == "write":
        golden.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", "utf-8")
    assert made == json.loads(golden.read_text("utf-8"))
    assert (account.records, account.in_rows, account.damaged) == (37, 37, 0)


def test_golden_covers_the_events_that_responders_read_first() -> None:
    tables = {(row["log_provider"], row["event_code"]): table for table, row in read(SAMPLE)[0]
              if table != "raw_event"}
    assert {code for provider, code in tables if provider.endswith("Auditing")} >= {
        "4624", "4634", "4648", "4688", "4689"
    }
    assert {code for provider, code in tables if provider.endswith("Sysmon")} >= {
        "1", "3", "5", "11", "22"
    }


def lost(data: bytes) -> list[tuple[int, dict[str, str | None], dict[str, str | None]]]:
    """(offset, expected, rebuilt) of each line whose pairs are not those of its row."""
    rows = {row["src_offset"]: row for _, row in read(data)[0]}
    found, offset = [], 0
    for line in data.split(b"\n"):
        if line.strip():
            record = json.loads(line)
            shape = shape_of(record)
            wanted = dict(named_values(record, shape))
            got = pairs(rows[offset], event_of(record, shape), shape)
            if got != wanted:
                found.append((offset, wanted, got))
        offset += len(line) + 1
    return found


def test_every_pair_is_rebuilt_from_its_row() -> None:
    assert lost(SAMPLE.read_bytes()) == []


def mordor(shared: Path) -> list[tuple[str, bytes]]:
    """All data sets: (name, JSON lines). One archive is cut; what it holds up to there is read."""
    sets = [(path.name, path.read_bytes())
            for path in sorted((shared / "edr/otrf-host-unpacked").glob("*.json"))]
    for path in sorted((shared / "edr/otrf-host").iterdir()):
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                sets += [(name, archive.read(name)) for name in archive.namelist()
                         if name.endswith(".json")]
        else:
            with tarfile.open(path) as tar:
                member = tar.next()
                assert member is not None
                stream = tar.extractfile(member)
                assert stream is not None
                got = bytearray()
                try:
                    while part := stream.read(1 << 20):
                        got += part
                except EOFError:
                    pass  # the archive in the collection ends early
                sets.append((member.name, bytes(got)))
    return sets


def test_all_mordor_sets_line_by_line(shared: Path) -> None:
    lines = damaged = 0
    for name, data in mordor(shared):
        here = sum(1 for line in data.split(b"\n") if line.strip())
        assert jsonl.match(data[:65536], name) == (Match.CONTENT, ""), name
        rows, account = read(data)
        assert account.records == here == len(rows) + account.damaged, name
        whole = data if not account.damaged else data[: data.rindex(b"\n") + 1]
        assert account.damaged <= (not data.endswith(b"\n")), name
        assert lost(whole) == [], name
        lines += here
        damaged += account.damaged
    assert lines >= 36_961
    assert damaged <= 1


@pytest.mark.parametrize("window", [64, 1000, 1 << 20])
def test_window_makes_no_difference(window: int) -> None:
    assert read(SAMPLE, window=window)[0] == read(SAMPLE)[0]


@pytest.mark.parametrize("wrap", ["list", "pretty list", "one after the other", "pretty"])
def test_lists_and_running_text_give_the_same_rows(wrap: str) -> None:
    lines = SAMPLE.read_bytes().splitlines()[:8]
    records = [json.loads(line) for line in lines]
    text = {
        "list": json.dumps(records),
        "pretty list": json.dumps(records, indent=2),
        "one after the other": "\n".join(json.dumps(record) + "\n" for record in records),
        "pretty": "\n".join(json.dumps(record, indent=2) for record in records),
    }[wrap].encode()
    where = ("src_offset", "src_length", "record_hash")
    wanted = [(table, {k: v for k, v in row.items() if k not in where})
              for table, row in read(b"\n".join(lines))[0]]
    rows, account = read(text)
    assert [(t, {k: v for k, v in row.items() if k not in where}) for t, row in rows] == wanted
    for _, row in rows:
        at = row["src_offset"]
        json.loads(text[at : at + row["src_length"]])
    assert account.records == 8
    assert jsonl.match(text[:65536], "x")[0] == Match.CONTENT


def unmapped(data: bytes) -> list[dict[str, str | None]]:
    return [dict(row["unmapped"]) for _, row in read(data)[0]]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        # Names that come again are pairs of their own.
        (b'{"a":1,"a":"x","a":null}', {"a": "1", "a[2]": "x", "a[3]": None}),
        (b'{"a" : 1, "b": {"c":3,"c":[4,{"d":1,"d":2}]}}',
         {"a": "1", "b.c": "3", "b.c[2]": '[4,{"d":1,"d":2}]'}),
        (b'{"a":{"x":1},"a":{"x":2}}', {"a.x": "1", "a.x[2]": "2"}),
        (b'{"q\\"":1,"b\\\\":":"}', {'q"': "1", "b\\": ":"}),
        # Numbers keep their digits.
        (b'{"n":9223372036854775808}', {"n": "9223372036854775808"}),
        (b'{"n":18446744073709551616}', {"n": "18446744073709551616"}),
        (b'{"n":-9223372036854775809,"m":-9223372036854775808}',
         {"n": "-9223372036854775809", "m": "-9223372036854775808"}),
        (b'{"n":0.1234567890123456789,"m":[1.00000000000000000001]}',
         {"n": "0.1234567890123456789", "m": "[1.00000000000000000001]"}),
        (b'{"n":1e999,"m":NaN,"o":-Infinity,"p":1.5}',
         {"n": "1e999", "m": "NaN", "o": "-Infinity", "p": "1.5"}),
        (b'{"n":' + b"7" * 5000 + b"}", {"n": "7" * 5000}),
        # Other values.
        (b'{"t":true,"f":false,"z":null,"e":"","o":{},"l":[]}',
         {"t": "true", "f": "false", "z": None, "e": "", "o": "{}", "l": "[]"}),
        (b"17", {"value": "17"}),
        ('{"é":"\\u0000\\ud83d\\ude00"}'.encode(), {"é": "\0\U0001f600"}),
        (b'{"a":' * 40 + b"1" + b"}" * 40,
         {".".join("a" * 33): '{"a":' * 7 + "1" + "}" * 7}),
    ],
)
def test_values_are_not_changed(text: bytes, wanted: dict[str, str | None]) -> None:
    assert unmapped(text) == [wanted]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (b'{"s":"\\ud800x"}', {"s": "\ufffdx"}),
        (b'{"\\udfff":"\\udc00\\ud800"}', {"\ufffd": "\ufffd\ufffd"}),
        (b'{"s":"\xffa\xc3"}', {"s": "\ufffda\ufffd"}),
    ],
)
def test_repaired_text_is_flagged_and_kept(text: bytes, wanted: dict[str, str]) -> None:
    ((_, row),), _ = read(text)
    assert dict(row["unmapped"]) == wanted
    assert row["parse_flags"] == 128
    assert row["raw"] == text


def test_a_windows_event_that_is_repaired_keeps_its_text() -> None:
    line = SAMPLE.read_bytes().splitlines()[0]
    ((_, row),), _ = read(line.replace(b'"Hostname":"', b'"Hostname":"\xff'))
    assert row["parse_flags"] & 128
    assert row["raw"].count(b"\xff") == 1
    ((_, whole),), _ = read(line)
    assert "raw" not in whole


@pytest.mark.parametrize(
    ("text", "rows", "damage"),
    [
        (b'{"a":1}\n{"a":\n{"a":3}\n', 2, [(8, 5)]),
        (b'{"a":1}\n{"a":"x', 1, [(8, 7)]),
        (b"\x00\x00\n{}\n", 1, [(0, 2)]),
        (b'[{"a":"unclosed},\n{"a":2},\n{"a":3}]\n', 2, [(1, 16)]),
        (b'[{"a":1},{bad},{"a":2}]', 2, [(9, 5)]),
        (b"[,,]]}", 0, [(4, 1), (5, 1)]),
        (b",", 0, [(0, 1)]),
        (b"\xef\xbb\xbf \r\n\n{}\r\n\r\n", 1, []),
        (b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}\n{}", 1, [(0, 4006)]),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"\n{}", 1, [(0, 30001)]),
    ],
)
def test_what_is_no_json_is_damage(
    text: bytes, rows: int, damage: list[tuple[int, int]]
) -> None:
    made, account = read(text)
    assert len(made) == rows
    found = account.take_damage()
    listed = found.to_pylist() if found is not None else []
    assert [(item["src_offset"], item["src_length"]) for item in listed] == damage
    for item in listed:
        at = item["src_offset"]
        assert item["raw"] == text[at : at + item["src_length"]][:65536]
        assert item["why"]


def test_records_longer_than_any_may_be() -> None:
    long = b'{"a":"' + b"x" * jsonl.LONGEST + b'"}'
    for text in (long + b'\n{"a":1}', b"[" + long + b',\n{"a":1}]'):
        rows, account = read(text)
        assert [dict(row["unmapped"]) for _, row in rows] == [{"a": "1"}]
        assert account.damaged == 1
    inside = b'{"a":"' + b"x" * 10_000_000 + b'"}'
    ((_, row),), _ = read(inside)
    assert len(dict(row["unmapped"])["a"]) == 10_000_000


def test_names_without_end_are_rows_all_the_same() -> None:
    count = 70_000  # more than are remembered
    text = b"".join(b'{"k%d":{"x":%d},"a":1}\n' % (i, i) for i in range(count))
    rows, _ = read(text)
    assert [dict(row["unmapped"]) for _, row in rows] == [
        {f"k{i}.x": str(i), "a": "1"} for i in range(count)
    ]


def test_quotes_that_do_not_pair_cost_linear_time() -> None:
    text = b"[\n" + b'{"a":"x},\n' * 60_000 + b"]"
    _, account = read(text)
    assert account.damaged >= 60_000


@pytest.mark.parametrize(
    ("event_time", "received", "shipped", "wanted", "flags"),
    [
        ("2020-09-14 08:06:03", "2020-09-14 08:06:05", "2020-09-14T12:06:05.928Z",
         "2020-09-14T12:06:03.000000Z", 32),
        ("2020-09-14 17:51:03", "2020-09-14 17:51:05", "2020-09-14T12:06:05.928Z",
         "2020-09-14T12:06:03.000000Z", 32),     # Nepal: 5:45
        # Shipped long after it was received: the pair says nothing about the zone.
        ("2020-09-14 08:06:03", "2020-09-14 08:06:05", "2020-09-14T12:13:59.000Z",
         "2020-09-14T12:13:59.000000Z", None),
        ("2020-09-14 08:06:03", None, None, "2020-09-14T08:06:03.000000Z", 32),
        ("2020-09-14T08:06:03+02:00", None, None, "2020-09-14T06:06:03.000000Z", None),
    ],
)
def test_local_time_of_nxlog(
    event_time: str, received: str | None, shipped: str | None, wanted: str, flags: int | None
) -> None:
    record = {"EventID": 7036, "SourceName": "x", "Channel": "System", "Hostname": "h",
              "EventTime": event_time}
    record |= {"EventReceivedTime": received} if received else {}
    record |= {"@timestamp": shipped} if shipped else {}
    ((_, row),), _ = read(json.dumps(record).encode())
    assert plain(row["time"]) == wanted
    assert row.get("parse_flags") == flags
    assert pairs(row, None, shape_of(record)) == {k: str(v) for k, v in record.items()}


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"", "does not begin"),
        (b"ElfFile\0", "does not begin"),
        (b"{not json}", "no member name"),
        (b'{"a" 1}', "not JSON"),
        (b'{"a":1', "does not end"),
        (b'\xff\xfe{\0"\0', "does not end"),
        (b"# comment\n{}", "does not begin"),
    ],
)
def test_match_says_why_not(head: bytes, says: str) -> None:
    match, why = jsonl.match(head, "x.log")
    assert match == Match.NO
    assert says in why


def test_the_same_event_has_the_same_hash_however_it_is_shipped() -> None:
    common = {"EventID": 4634, "RecordNumber": 77, "Channel": "Security", "Hostname": "DC.corp"}
    nxlog = common | {
        "SourceName": "Microsoft-Windows-Security-Auditing", "EventTime": "2020-09-14 08:06:03",
        "EventReceivedTime": "2020-09-14 08:06:05", "@timestamp": "2020-09-14T12:06:05.928Z",
    }
    beat = {
        "@timestamp": "2020-09-14T12:06:03.417Z",
        "winlog": {"event_id": 4634, "channel": "Security", "computer_name": "dc.CORP",
                   "record_id": "77", "provider_name": "Microsoft-Windows-Security-Auditing"},
    }
    rows, _ = read(b"\n".join(json.dumps(record).encode() for record in (nxlog, beat)))
    assert [table for table, _ in rows] == ["authentication", "authentication"]
    assert rows[0][1]["record_hash"] == rows[1][1]["record_hash"]
    assert read(json.dumps(nxlog | {"RecordNumber": 78}).encode())[0][0][1][
        "record_hash"
    ] != rows[0][1]["record_hash"]


CONDITIONAL = """
provider = "P"
["1 where Type = File|7|true"]
table = "file_activity"
activity_id = 14
["1 where Type = File|7|true".columns]
file_path = "Object"
activity_id = "Mask | bits access"
["1 where Type != Key"]
table = "process_activity"
["1 where Type != Key".columns]
proc_path = "Object"
[maps.access]
0x2 = 3
"""
NXLOG = {"EventID": 1, "SourceName": "P", "Channel": "c", "Hostname": "h",
         "EventTime": "2020-09-14 12:13:09"}
AZURE = {"Provider": "P", "Channel": "c", "Computer": "h", "EventID": 1,
         "TimeGenerated": "2020-09-14T12:13:09Z"}
DUMP = {"Channel": "c", "EventID": 1, "Provider": {"#attributes": {"Name": "P"}}}


@pytest.mark.parametrize(
    ("named", "table", "activity"),
    [
        ({"Type": "File", "Mask": "0x2"}, "file_activity", 3),
        ({"Type": "File"}, "file_activity", 14),
        ({"Type": 7}, "file_activity", 14),
        ({"Type": True}, "file_activity", 14),
        ({"Type": "Key"}, "raw_event", None),
        ({"Type": ["Key"]}, "process_activity", None),
        ({"Type": {"Key": 1}}, "process_activity", None),
        ({"Type": None}, "process_activity", None),
        ({}, "process_activity", None),
        ({"Type": "\ud800"}, "process_activity", None),
    ],
)
def test_conditions_and_defaults_hold_in_every_shape(
    named: dict[str, Any], table: str, activity: int | None
) -> None:
    mappings = mapping.read([("t.toml", CONDITIONAL)])
    named = {"Object": "x", **named}
    records = [
        {**NXLOG, **named},
        {**AZURE, "EventData": json.dumps(named)},
        {"Event": {"System": DUMP, "EventData": named}},
        {"Event": {"System": DUMP, "UserData": {"FileIsBacked": named}}},
    ]
    if "Type" in named and not isinstance(named["Type"], dict):
        # What else is in the object and has the same name comes after the event's own data.
        records.append({"Event": {"System": DUMP, "EventData": named}, "Type": "Key"})
    for record in records:
        ((found, row),), _ = read(json.dumps(record).encode(), mappings)
        assert (found, row.get("activity_id")) == (table, activity), record
        event = mappings.events["P", "1"]
        made = pairs(row, event)
        assert made["Object"] == "x"
        section = event.section(made)
        assert (section.table if section else "raw_event") == found


def test_a_name_with_dots_is_the_path_that_it_looks_like() -> None:
    nested = {"winlog": {"event_id": 1, "channel": "C", "computer_name": "H",
                         "provider_name": "P", "event_data": {"x": "1"}},
              "@timestamp": "2024-01-01T00:00:00.000Z"}
    flat = {f"winlog.{key}": text for key, text in nested["winlog"].items() if key != "event_data"}
    flat |= {"@timestamp": nested["@timestamp"]}
    for record in (nested, flat):
        ((_, row),), _ = read(json.dumps(record).encode())
        assert (row["log_provider"], row["log_name"], row["device_hostname"]) == ("P", "C", "H")
