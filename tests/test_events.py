"""The engine: typed values as Windows shows them, every transform and its inverse, and the
promise that every name-value pair of an event can be rebuilt from its row."""

import os
import struct
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tracelake.normalize import mapping
from tracelake.normalize.rebuild import pairs
from tracelake.normalize.section import Event
from tracelake.parsers.events import Events
from tracelake.parsers.values import ip_of, number_of, rendered

Value = tuple[str, bytes | int | None]
Named = tuple[str, str, bytes | int | None]

GUID = bytes.fromhex("a08e4a2d67e8645f1300000000000800")
SID = bytes.fromhex("010500000000000515000000") + struct.pack("<4I", 1, 2, 4294967295, 500)


@pytest.mark.parametrize(
    ("kind", "content", "text"),
    [
        ("nothing", None, ""),
        ("text", b"caf\xc3\xa9", "café"),
        ("utf16", "a\U0001f600".encode("utf-16-le"), "a\U0001f600"),
        ("int", -1, "-1"),
        ("int", -(1 << 63), "-9223372036854775808"),
        ("uint", (1 << 64) - 1, "18446744073709551615"),
        ("hex32", 0x1A4, "0x1a4"),
        ("hex64", 0x8020000000000000, "0x8020000000000000"),
        ("hex64", 0, "0x0"),
        ("bool", 1, "true"),
        ("bool", 0, "false"),
        ("float", struct.unpack("<I", struct.pack("<f", 0.1))[0], "0.1"),
        ("double", struct.unpack("<Q", struct.pack("<d", 0.1 + 0.2))[0], "0.30000000000000004"),
        ("double", struct.unpack("<Q", struct.pack("<d", float("inf")))[0], "inf"),
        ("guid", GUID, "{2d4a8ea0-e867-5f64-1300-000000000800}"),
        ("sid", SID, "S-1-5-21-1-2-4294967295-500"),
        ("sid", bytes.fromhex("0101000000000005") + b"\x12\0\0\0", "S-1-5-18"),
        ("sid", bytes.fromhex("0100010000000000"), "S-1-0x010000000000"),
        ("sid", b"\x01\x05\x00", "010500"),
        ("filetime", 132444444444444444, "2020-09-13T04:20:44.4444444Z"),
        ("filetime", 0, "1601-01-01T00:00:00.0000000Z"),
        ("systemtime", struct.pack("<8H", 2020, 2, 6, 29, 23, 59, 58, 7),
         "2020-02-29T23:59:58.007Z"),
        ("systemtime", struct.pack("<8H", 2020, 13, 6, 29, 23, 59, 58, 7),
         "E4070D0006001D0017003B003A000700"),
        ("systemtime", b"\x07" * 33, "07" * 33),
        ("guid", b"\x07" * 15, "07" * 15),
        ("guid", b"\x07" * 40, "07" * 40),
        ("guid", b"", ""),
        ("sid", b"", ""),
        ("binary", b"\x00\xab", "00AB"),
    ],
)
def test_values_as_windows_shows_them(kind: str, content: Any, text: str) -> None:
    assert rendered(kind, content) == (text, False)


def test_ill_formed_text_is_repaired_and_said_so() -> None:
    assert rendered("text", b"a\xff") == ("a\ufffd", True)
    assert rendered("utf16", b"\x00\xd8a\x00") == ("\ufffda", True)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0x1A4", 420), ("420", 420), ("-7", -7), ("+7", 7), ("0xffffffffffffffff", -1),
        ("18446744073709551615", -1), ("18446744073709551616", None), ("", None), ("0x", None),
        ("0x11112222333344445", None), ("-9223372036854775808", -(1 << 63)),
        ("-9223372036854775809", None), ("1 ", None), ("99999999999999999999", None), ("-", None),
    ],
)
def test_numbers_in_text(text: str, number: int | None) -> None:
    assert number_of(text.encode()) == number


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1", "10.0.0.1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("fe80::1%12", "fe80::1"),
        ("fe80:0:0:0:9582:39E0:356b:ef4e", "fe80::9582:39e0:356b:ef4e"), ("LOCAL", None),
        ("::1", "::1"), ("1.2.3", None), ("", None), ("1.2.3.4\0", None), ("f" * 70, None),
    ],
)
def test_addresses(text: str, address: str | None) -> None:
    assert ip_of(text.encode()) == address


MAPPING = """
provider = "P"
[1]
table = "process_activity"
status_id = 1
[1.columns]
proc_path = "Path"
proc_name = "Path | file_name"
proc_cmd_line = "Line"
proc_pid = "Pid"
parent_pid = "Hex | hex"
terminal_session_id = "Small"
proc_uid = "Guid | guid"
parent_uid = "Upper | guid_upper"
proc_created_time = "Made"
proc_sha1 = "Hashes | hash sha1"
proc_sha256 = "Hashes | hash sha256"
user_name = "User | account"
user_domain = "User | domain"
actor_user_name = "Alone | account"
user_uid = ["SidA | sid", "SidB | sid"]
session_uid = ["IdA | logon_id", "IdB | logon_id"]
parent_path = ["First", "Second", "Third"]
proc_sig_status_id = "State | map state"
proc_integrity = "Level | map level"
parent_cmd_line = "Mask | signed_hex"
proc_cwd = "Address | ip"
[2]
table = "file_activity"
[2.columns]
file_created_time = "Made | utc_ms"
is_executable = "Is"
file_ext = "File | extension"
[3]
table = "dns_activity"
[3.columns]
answers = "Results | dns_answers"
[4]
table = "account_change"
[4.columns]
privileges = "Privileges | list"
["5 where Type = File|Symbolic Link"]
table = "file_activity"
activity_id = 14
status_id = 1
class_uid = 1001
["5 where Type = File|Symbolic Link".columns]
activity_id = "Mask | bits access"
status_id = "State | map state"
class_uid = ["Class", "Other | hex"]
file_path = "Object"
file_name = "Type"
["5 where Type = Key"]
table = "registry_activity"
["5 where Type = Key".columns]
reg_key_path = "Object"
reg_value_type = ["Type", "Other"]
["5 where Why != no"]
table = "process_activity"
["5 where Why != no".columns]
proc_path = "Object"
proc_pid = "Mask | hex"
activity_id = "Mask | bits access"
severity_id = "Level"
proc_elevation = "Mask | bits words"
["6 where Why != no"]
table = "process_activity"
["6 where Why != no".columns]
proc_path = "Object"
[6]
table = "file_activity"
[6.columns]
file_path = "Object"
file_name = "Why"
[maps.access]
0x2 = 3
4 = 1
0x8000000000000000 = 4
[maps.words]
0x2 = "write"
[maps.state]
Valid = 1
Good = 1
Bad = 2
[maps.level]
"%%1" = "low"
"%%2" = "high"
"""
EVENTS = {code: event for (_, code), event in mapping.read([("t.toml", MAPPING)]).events.items()}


def as_pairs(named: Iterable[Named]) -> dict[str, str | None]:
    """What an event says, name by name, as the log shows it."""
    found: dict[str, str | None] = {}
    for name, kind, content in named:
        number, free = 2, name
        while free in found:
            free, number = f"{name}[{number}]", number + 1
        found[free] = None if kind == "nothing" else rendered(kind, content)[0]
    return found


def table_of(event: Event | None, found: dict[str, str | None]) -> str:
    section = event.section(found) if event else None
    return section.table if section else "raw_event"


def row_of(code: str, named: Iterable[Named], **more: Any) -> dict[str, Any]:
    """The row of one event of the mapping above, without nulls and the columns of every row."""
    events = Events(mapping.read([("t.toml", MAPPING)]))
    named = list(named)
    events.add("P", code, named, **more)
    ((table, batch),) = events.take(True)
    batch.validate(full=True)
    assert table == table_of(EVENTS.get(code), as_pairs(named))
    (row,) = batch.to_pylist()
    return {name: value for name, value in row.items() if value is not None}


def text(value: str) -> Value:
    return ("text", value.encode())


@pytest.mark.parametrize(
    ("code", "field", "value", "column", "held", "exact"),
    [
        ("1", "Path", text("C:\\a.exe"), "proc_path", "C:\\a.exe", True),
        ("1", "Path", ("uint", 7), "proc_path", "7", True),
        ("1", "Path", text("-"), "proc_path", None, False),
        ("1", "Path", text(""), "proc_path", None, False),
        ("1", "Path", ("nothing", None), "proc_path", None, False),
        ("1", "Path", ("sid", b""), "proc_path", None, False),
        ("1", "Path", ("guid", b""), "proc_path", None, False),
        ("1", "Pid", text("420"), "proc_pid", 420, True),
        ("1", "Pid", ("uint", 420), "proc_pid", 420, True),
        ("1", "Pid", ("hex32", 420), "proc_pid", 420, False),
        ("1", "Pid", text("0420"), "proc_pid", 420, False),
        ("1", "Pid", text("0x1a4"), "proc_pid", 420, False),
        ("1", "Pid", text("many"), "proc_pid", None, False),
        ("1", "Pid", ("uint", 1 << 63), "proc_pid", None, False),
        ("1", "Hex", text("0x1a4"), "parent_pid", 420, True),
        ("1", "Hex", text("0x1A4"), "parent_pid", 420, False),
        ("1", "Hex", text("0x01a4"), "parent_pid", 420, False),
        ("1", "Hex", text("420"), "parent_pid", 420, False),
        ("1", "Hex", ("hex64", 420), "parent_pid", 420, True),
        ("1", "Hex", ("hex64", 1 << 63), "parent_pid", None, False),
        ("1", "Small", text("2147483647"), "terminal_session_id", 2147483647, True),
        ("1", "Small", text("2147483648"), "terminal_session_id", None, False),
        ("1", "Small", ("uint", 1 << 40), "terminal_session_id", None, False),
        ("1", "Guid", ("guid", GUID), "proc_uid", "{2d4a8ea0-e867-5f64-1300-000000000800}", True),
        ("1", "Guid", text("{2D4A8EA0-E867-5F64-1300-000000000800}"), "proc_uid",
         "{2d4a8ea0-e867-5f64-1300-000000000800}", False),
        ("1", "Guid", text("2d4a8ea0-e867-5f64-1300-000000000800"), "proc_uid",
         "{2d4a8ea0-e867-5f64-1300-000000000800}", False),
        ("1", "Guid", text("not a guid"), "proc_uid", None, False),
        ("1", "Upper", text("{2D4A8EA0-E867-5F64-1300-000000000800}"), "parent_uid",
         "{2d4a8ea0-e867-5f64-1300-000000000800}", True),
        ("1", "Hashes", text("SHA1=" + "A" * 40), "proc_sha1", "a" * 40, True),
        ("1", "Hashes", text("SHA1=" + "A" * 40 + ",SHA256=" + "1" * 64), "proc_sha256",
         "1" * 64, True),
        ("1", "Hashes", text("SHA256=" + "1" * 64 + ",SHA1=" + "A" * 40), "proc_sha256",
         "1" * 64, False),
        ("1", "Hashes", text("MD5=" + "A" * 32 + ",SHA256=" + "1" * 64), "proc_sha256",
         "1" * 64, False),
        ("1", "Hashes", text("SHA1=" + "a" * 40), "proc_sha1", "a" * 40, False),
        ("1", "Hashes", text("SHA1=" + "A" * 39), "proc_sha1", None, False),
        ("1", "Hashes", text("SHA1=" + "G" * 40), "proc_sha1", None, False),
        ("1", "Hashes", text("SHA1=" + "A" * 40 + ","), "proc_sha1", "a" * 40, False),
        ("1", "User", text("NT AUTHORITY\\SYSTEM"), "user_name", "SYSTEM", True),
        ("1", "User", text("NT AUTHORITY\\SYSTEM"), "user_domain", "NT AUTHORITY", True),
        ("1", "User", text("root"), "user_name", "root", True),
        ("1", "User", text("\\root"), "user_name", "root", False),
        ("1", "User", text("A\\"), "user_domain", "A", False),
        ("1", "User", text("A\\B\\C"), "user_name", "B\\C", True),
        ("1", "Alone", text("A\\B"), "actor_user_name", "B", False),
        ("1", "State", text("Valid"), "proc_sig_status_id", 1, True),
        ("1", "State", text("Good"), "proc_sig_status_id", 1, False),
        ("1", "State", text("Odd"), "proc_sig_status_id", None, False),
        ("1", "Level", text("%%2"), "proc_integrity", "high", True),
        ("1", "Mask", ("int", -9223372036854775808), "parent_cmd_line", "0x8000000000000000", True),
        ("1", "Mask", text("0x8000000000000000"), "parent_cmd_line", "0x8000000000000000", False),
        ("1", "Address", text("::ffff:10.0.0.1"), "proc_cwd", "10.0.0.1", False),
        ("1", "Address", text("10.0.0.1"), "proc_cwd", "10.0.0.1", True),
        ("1", "Made", ("filetime", 132444444444444440), "proc_created_time",
         "2020-09-13 04:20:44.444444", True),
        ("1", "Made", ("filetime", 132444444444444444), "proc_created_time",
         "2020-09-13 04:20:44.444444", False),
        ("1", "Made", ("filetime", 0), "proc_created_time", None, False),
        ("1", "Made", text("2020-09-13T06:20:44+02:00"), "proc_created_time",
         "2020-09-13 04:20:44", False),
        ("2", "Made", text("2020-09-13 04:20:44.123"), "file_created_time",
         "2020-09-13 04:20:44.123000", True),
        ("2", "Made", text("2020-09-13 04:20:44.12"), "file_created_time",
         "2020-09-13 04:20:44.120000", False),
        ("2", "Is", ("bool", 1), "is_executable", True, True),
        ("2", "Is", text("False"), "is_executable", False, False),
        ("2", "Is", text("perhaps"), "is_executable", None, False),
        ("2", "File", text("C:\\a.b\\X.TXT"), "file_ext", "txt", False),
        ("2", "File", text("C:\\a.b\\X"), "file_ext", None, False),
        ("3", "Results", text("a;10.0.0.1;"), "answers", ["a", "10.0.0.1"], True),
        ("3", "Results", text("type:  5 b.c;::ffff:10.0.0.1;"), "answers", ["b.c", "10.0.0.1"],
         False),
        ("3", "Results", text("a"), "answers", ["a"], False),
        ("4", "Privileges", text("A;;B;"), "privileges", ["A", "", "B"], True),
        ("9", "Path", text("x"), "proc_path", None, False),
    ],
)
def test_a_pair_stands_in_unmapped_unless_its_column_holds_it_exactly(
    code: str, field: str, value: Value, column: str, held: object, exact: bool
) -> None:
    row = row_of(code, [(field, *value)])
    found = row.get(column)
    assert (str(found)[:26].removesuffix("+00:00") if hasattr(found, "year") else found) == held
    wanted = None if value[0] == "nothing" else rendered(*value)[0]
    assert dict(row.get("unmapped", [])) == ({} if exact else {field: wanted})
    assert pairs(row, EVENTS.get(code)) == {field: wanted}


@pytest.mark.parametrize(
    ("named", "column", "held", "left"),
    [
        ({"First": "a"}, "parent_path", "a", set()),
        ({"Second": "b", "First": "-"}, "parent_path", "b", {"First", "Second"}),
        ({"Second": "b"}, "parent_path", "b", {"Second"}),
        ({"Third": "c", "Second": "b", "First": "a"}, "parent_path", "a",
         {"First", "Second", "Third"}),
        ({"Second": "a", "First": "a"}, "parent_path", "a", {"First", "Second"}),
        ({"SidA": "S-1-0-0", "SidB": "S-1-5-18"}, "user_uid", "S-1-5-18", {"SidA", "SidB"}),
        ({"SidA": "S-1-5-19", "SidB": "S-1-0-0"}, "user_uid", "S-1-5-19", {"SidB"}),
        ({"IdA": "0x0", "IdB": "0x3e7"}, "session_uid", "0x3e7", {"IdA", "IdB"}),
        ({"IdA": "0x0"}, "session_uid", None, {"IdA"}),
        ({"IdA": "", "IdB": "0x3e7"}, "session_uid", "0x3e7", {"IdA", "IdB"}),
    ],
)
def test_the_first_field_that_is_set_fills_the_column(
    named: dict[str, str], column: str, held: str | None, left: set[str]
) -> None:
    for order in (list(named), list(named)[::-1]):
        row = row_of("1", [(name, "text", named[name].encode()) for name in order])
        assert row.get(column) == held
        assert set(dict(row.get("unmapped", []))) == left
        assert pairs(row, EVENTS["1"]) == named


FILE = [("Type", "text", b"File")]


@pytest.mark.parametrize(
    ("named", "filled"),
    [
        ({}, {"activity_id": 14, "status_id": 1, "class_uid": 1001}),
        ({"Mask": "0x6"}, {"activity_id": 3}),
        ({"Mask": "4"}, {"activity_id": 1}),
        ({"Mask": "0x8"}, {"activity_id": 14}),
        ({"Mask": "-1"}, {"activity_id": 3}),
        ({"Mask": "0x8000000000000000"}, {"activity_id": 4}),
        ({"Mask": "read"}, {"activity_id": 14}),
        ({"State": "Bad"}, {"status_id": 2}),
        ({"State": "Valid"}, {"status_id": 1}),
        ({"State": "Odd"}, {"status_id": 1}),
        ({"Class": "7"}, {"class_uid": 7}),
        ({"Class": "1001"}, {"class_uid": 1001}),
        ({"Other": "0x9"}, {"class_uid": 9}),
        ({"Class": "x", "Other": "0x3e9"}, {"class_uid": 1001}),
    ],
)
def test_a_constant_is_the_default_of_its_column(
    named: dict[str, str], filled: dict[str, int]
) -> None:
    given = [*FILE, *((name, "text", value.encode()) for name, value in named.items())]
    row = row_of("5", given)
    defaults = {"activity_id": 14, "status_id": 1, "class_uid": 1001}
    assert {name: row[name] for name in defaults} == defaults | filled
    assert pairs(row, EVENTS["5"]) == {"Type": "File", **named}
    held = {"State": {"Bad"}, "Class": {"7"}}
    assert dict(row["unmapped"]) == {"Type": "File"} | {
        name: value for name, value in named.items() if value not in held.get(name, ())
    }


@pytest.mark.parametrize(
    ("code", "named", "table"),
    [
        ("5", {"Type": "File"}, "file_activity"),
        ("5", {"Type": "Symbolic Link"}, "file_activity"),
        ("5", {"Type": "Key"}, "registry_activity"),
        ("5", {"Type": "key"}, "process_activity"),
        ("5", {}, "process_activity"),
        ("5", {"Type": ""}, "process_activity"),
        ("5", {"Why": "no"}, "raw_event"),
        ("5", {"Why": "no", "Type": "Key"}, "registry_activity"),
        ("6", {"Why": "no"}, "file_activity"),
        ("6", {}, "process_activity"),
    ],
)
def test_the_first_section_whose_condition_holds_makes_the_row(
    code: str, named: dict[str, str], table: str
) -> None:
    for kind, code_of in (("text", "utf-8"), ("utf16", "utf-16-le")):
        given = [("Object", "text", b"x"),
                 *((name, kind, value.encode(code_of)) for name, value in named.items())]
        row = row_of(code, given)
        assert table_of(EVENTS[code], as_pairs(given)) == table
        assert pairs(row, EVENTS[code]) == {"Object": "x", **named}
        assert {*named} <= {*dict(row.get("unmapped", []))}


def test_a_condition_asks_the_first_of_several_values_of_a_name() -> None:
    row = row_of("5", [("Type", "text", b"Key"), ("Type", "text", b"File")])
    assert dict(row["unmapped"]) == {"Type": "Key", "Type[2]": "File"}
    assert row["reg_value_type"] == "Key"


def test_severity_that_a_field_gives_is_not_taken_from_the_level() -> None:
    level = [("Level", "uint", 2)]
    assert row_of("5", [("Level", "text", b"6")], system=level)["severity_id"] == 6
    assert "severity_id" not in row_of("5", [("Level", "text", b"x")], system=level)


def test_system_fields_fill_the_columns_of_every_table() -> None:
    system = [
        ("Provider", "text", b"P"), ("ProviderGuid", "guid", GUID), ("EventID", "uint", 1),
        ("Version", "uint", 2), ("Level", "uint", 2), ("Task", "uint", 3), ("Opcode", "uint", 4),
        ("Keywords", "hex64", 0x8020000000000000), ("TimeCreated", "filetime", 132444444444444444),
        ("EventRecordID", "uint", 7), ("ActivityID", "guid", GUID), ("ProcessID", "uint", 4),
        ("ThreadID", "uint", 8), ("Channel", "utf16", "Ö".encode("utf-16-le")),
        ("Computer", "text", b"Host.X"), ("UserID", "sid", SID),
    ]
    row = row_of("1", [("Pid", "uint", 5)], system=system, offset=512, length=99, flags=4)
    assert str(row.pop("time")) == "2020-09-13 04:20:44.444444+00:00"
    guid = "{2d4a8ea0-e867-5f64-1300-000000000800}"
    row.pop("record_hash")
    assert row == {
        "time_ns": 400, "log_provider": "P", "log_provider_uid": guid, "event_code": "1",
        "event_version": 2, "event_level": 2, "event_task": 3, "event_opcode": 4,
        "event_keywords": "0x8020000000000000", "src_record_id": 7, "original_event_uid": "7",
        "event_activity_uid": guid, "event_pid": 4, "event_tid": 8, "log_name": "Ö",
        "device_hostname": "Host.X", "event_user_uid": "S-1-5-21-1-2-4294967295-500",
        "status_id": 1, "severity_id": 4, "proc_pid": 5, "src_offset": 512, "src_length": 99,
        "sub": 0, "parse_flags": 4,
    }


def test_a_system_field_that_does_not_fit_is_a_pair() -> None:
    row = row_of("9", [], system=[("Version", "uint", 70000), ("TimeCreated", "filetime", 0)])
    assert dict(row["unmapped"]) == {
        "Version": "70000", "TimeCreated": "1601-01-01T00:00:00.0000000Z"
    }
    assert "time" not in row


def test_process_uid_where_the_event_has_none() -> None:
    events = Events(mapping.load())
    system: list[Named] = [
        ("Computer", "text", b"WS-1.Corp"), ("TimeCreated", "filetime", 132444444444444444)
    ]
    with_pid: list[Named] = [("NewProcessId", "hex64", 420)]
    for named in (with_pid, []):
        events.add("Microsoft-Windows-Security-Auditing", "4688", named, system)
    ((_, batch),) = events.take(True)
    assert batch.column("proc_uid").to_pylist() == ["ws-1.corp:420:1599970844444444", None]


def test_own_hash_where_a_record_has_no_number() -> None:
    assert row_of("9", [], own_hash=(1 << 64) - 2)["record_hash"] == -2
    system = [("EventRecordID", "uint", 7), ("TimeCreated", "filetime", 132444444444444444),
              ("Channel", "text", b"Security"), ("Computer", "text", b"a")]
    assert row_of("9", [], system=system, own_hash=5)["record_hash"] != 5


def test_keys_of_unmapped_survive_the_end_of_a_batch() -> None:
    events = Events(mapping.load())
    for round_ in range(3):
        for i in range(4):
            events.add("X", str(i), [(f"n{i}", "uint", i), ("same", "uint", round_)])
        ((_, batch),) = events.take(True)
        assert [dict(row) for row in batch.column("unmapped").to_pylist()] == [
            {f"n{i}": str(i), "same": str(round_)} for i in range(4)
        ]


# --- every pair of any event ---------------------------------------------------------------------

TEXTS = st.one_of(
    st.sampled_from([
        "", "-", "0", "0x0", "0x1a4", "0x1A4", "420", "-1", "007", "true", "False", "A\\B", "\\B",
        "A\\", "A\\B\\C", "S-1-0-0", "S-1-5-18", "::1", "::ffff:1.2.3.4", "1.2.3.4", "a;b;", ";",
        "type:  5 x;", "2020-09-13 04:20:44.123", "2020-09-13T04:20:44.1230000Z", "0", "9003",
        "{2d4a8ea0-e867-5f64-1300-000000000800}", "{2D4A8EA0-E867-5F64-1300-000000000800}",
        "SHA1=" + "A" * 40, "SHA1=" + "A" * 40 + ",MD5=" + "B" * 32, "MD5=" + "b" * 32,
        "SHA1=" + "A" * 40 + ",MD5=" + "B" * 32 + ",SHA256=" + "C" * 64 + ",IMPHASH=" + "0" * 32,
        "%%1842", "%%1843", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.9999999Z",
        "18446744073709551615", "C" * 64, "cC" * 16, "https://u@h.example:8/a/b?c=d#e",
        "file:_C:\\a->b; process:_pid:1", "HKLM\\A = 0x1", "02000035C0A801010000000000000000",
    ]),
    st.text(max_size=12).filter(lambda value: not any(0xD800 <= ord(c) < 0xE000 for c in value)),
    st.integers(-(1 << 64), 1 << 64).map(str),
)
VALUES = st.one_of(
    TEXTS.map(lambda value: ("text", value.encode())),
    TEXTS.map(lambda value: ("utf16", value.encode("utf-16-le"))),
    st.integers(-(1 << 63), (1 << 63) - 1).map(lambda n: ("int", n)),
    st.integers(0, (1 << 64) - 1).map(lambda n: ("uint", n)),
    st.integers(0, (1 << 32) - 1).map(lambda n: ("hex32", n)),
    st.integers(0, (1 << 64) - 1).map(lambda n: ("hex64", n)),
    st.integers(0, 1).map(lambda n: ("bool", n)),
    st.integers(0, (1 << 64) - 1).map(lambda n: ("double", n)),
    st.integers(0, (1 << 64) - 1).map(lambda n: ("filetime", n)),
    st.binary(min_size=16, max_size=16).map(lambda b: ("guid", b)),
    st.binary(min_size=16, max_size=16).map(lambda b: ("systemtime", b)),
    # Of a size that its type does not have, or of no bytes at all.
    st.tuples(st.sampled_from(["guid", "systemtime", "sid", "binary"]), st.binary(max_size=80)),
    st.sampled_from(["text", "utf16", "guid", "systemtime", "sid", "binary"])
    .map(lambda kind: (kind, b"")),
    st.binary(max_size=80).map(lambda b: ("sid", b)),
    st.binary(max_size=12).map(lambda b: ("binary", b)),
    st.just(("nothing", None)),
)
# Conditions of vendors' files are looked at where JSON is read, before an event begins.
ALL = [
    *EVENTS.values(),
    *(event for event in mapping.load().events.values()
      if all(len(section.when) <= 1 and all(when.values for when in section.when)
             for section in event.sections)),
]


@st.composite
def any_event(draw: st.DrawFn) -> tuple[Event, list[Named]]:
    event = draw(st.sampled_from(ALL))
    fields = sorted(
        {source.field for section in event.sections for sources in section.columns.values()
         for source in sources} | {*event.asked}
    )
    name = st.sampled_from([*fields, "Other", "Data"])
    asked = [
        value for section in event.sections for when in section.when for value in when.values
    ]
    value = st.one_of(VALUES, st.sampled_from(asked).map(text)) if asked else VALUES
    named = draw(st.lists(st.tuples(name, value), max_size=12))
    if event.asked and draw(st.booleans()):
        named.insert(0, (draw(st.sampled_from(event.asked)), draw(value)))
    return event, [(field, *value) for field, value in named]


LOGON = mapping.load().events["Microsoft-Windows-Security-Auditing", "4688"]


@settings(max_examples=int(os.environ.get("TRACELAKE_EXAMPLES", "1500")), deadline=None)
@example((EVENTS["1"], [("IdB", "sid", b""), ("IdA", "guid", b"")]))
@example((EVENTS["1"], [("IdA", "sid", b""), ("SidB", "systemtime", b"")]))
@example((EVENTS["1"], [("Path", "guid", bytes(40)), ("Pid", "systemtime", bytes(33))]))
@example((LOGON, [("SubjectDomainName", "sid", b"")]))
@example((EVENTS["2"], [("Made", "filetime", 2_650_467_744_000_000_000)]))  # the year 10000
@given(any_event())
def test_every_pair_is_rebuilt_from_its_row(
    drawn: tuple[Event, list[Named]],
) -> None:
    event, named = drawn
    wanted = as_pairs(named)
    own = mapping.read([("t.toml", MAPPING)])
    events = Events(own if event.provider == "P" else mapping.load())
    events.add(event.provider, event.code, named)
    ((table, batch),) = events.take(True)
    batch.validate(full=True)
    assert table == table_of(event, wanted)
    (row,) = batch.to_pylist()
    assert pairs(row, event) == wanted


def test_a_name_that_comes_very_often_costs_no_more_each_time() -> None:
    named: list[Named] = [("Data", "uint", i) for i in range(20_000)]
    events = Events(mapping.load())
    for _ in range(2):
        events.add("X", "1", named)
    ((_, batch),) = events.take(True)
    for pairs_ in batch.column("unmapped").to_pylist():
        assert [name for name, _ in pairs_[:3]] == ["Data", "Data[2]", "Data[3]"]
        assert pairs_[-1] == ("Data[20000]", "19999")
