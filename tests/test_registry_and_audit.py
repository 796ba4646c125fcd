"""Transforms of the Security log and of Sysmon: paths of registry values, streams of files, status
by the audit keywords; and fields that fill several columns."""

from typing import Any

import pytest

from tracelake.normalize import mapping
from tracelake.normalize.rebuild import pairs
from tracelake.parsers.events import Events

MAPPING = mapping.read([("t.toml", """
provider = "P"
[1]
table = "registry_activity"
[1.columns]
reg_key_path = "Path | reg_key"
reg_value_name = "Path | reg_value"
[2]
table = "file_activity"
[2.columns]
file_path = "File"
file_ads = "File | stream"
[3]
table = "file_activity"
status_id = 2
[4]
table = "registry_activity"
[4.columns]
reg_value_name = "Path | reg_value"
[5]
table = "job_activity"
[5.columns]
job_cmd_line = "Task | xml Actions/Exec/Command"
[6]
table = "event_log_activity"
[6.columns]
activity_id = "Change | map change"
status_detail = "Change"
[maps.change]
off = 10
"off, off" = 10
on = 9
""")])


def row_of(code: str, named: dict[str, str], keywords: tuple[str, Any] | None = None) -> Any:
    events = Events(MAPPING)
    events.add(
        "P", code, [(name, "text", value.encode()) for name, value in named.items()],
        system=[("Keywords", *keywords)] if keywords else [],
    )
    ((_, batch),) = events.take(True)
    (row,) = batch.to_pylist()
    return row


@pytest.mark.parametrize(
    ("path", "key", "name", "exact"),
    [
        ("HKLM\\A\\B\\Value", "HKLM\\A\\B", "Value", True),
        ("HKLM\\A\\(Default)", "HKLM\\A", "(Default)", True),
        # Names of values may hold what names of keys cannot.
        ("HKLM\\HARDWARE\\DEVICEMAP\\VIDEO\\\\Device\\Video18", "HKLM\\HARDWARE\\DEVICEMAP\\VIDEO",
         "\\Device\\Video18", True),
        ("HKU\\S-1-5-18\\Layers\\C:\\Program Files\\a.exe", "HKU\\S-1-5-18\\Layers",
         "C:\\Program Files\\a.exe", True),
        ("Value", None, "Value", True),
        ("HKLM\\A\\", "HKLM\\A", None, False),
        ("\\Value", None, "Value", False),
        ("\\", None, None, False),
        ("\\\\", None, "\\", False),
        ("C:\\x", "C:", "x", True),
    ],
)
def test_a_path_is_cut_into_key_and_value(
    path: str, key: str | None, name: str | None, exact: bool
) -> None:
    row = row_of("1", {"Path": path})
    assert (row.get("reg_key_path"), row.get("reg_value_name")) == (key, name)
    assert dict(row.get("unmapped") or []) == ({} if exact else {"Path": path})
    assert pairs(row, MAPPING.events["P", "1"]) == {"Path": path}


def test_a_value_without_the_column_of_its_key_does_not_stand_for_the_path() -> None:
    row = row_of("4", {"Path": "HKLM\\A\\B"})
    assert row["reg_value_name"] == "B"
    assert dict(row["unmapped"]) == {"Path": "HKLM\\A\\B"}


@pytest.mark.parametrize(
    ("file", "stream"),
    [
        ("C:\\Users\\a\\x.exe:Zone.Identifier", "Zone.Identifier"),
        ("C:\\a\\x:s:$DATA", "s:$DATA"),
        ("C:\\a\\x.exe", None),
        ("C:\\a\\x.exe:", None),
        ("C:x", None),
        ("/home/a/x:y", "y"),
    ],
)
def test_the_stream_of_a_file(file: str, stream: str | None) -> None:
    row = row_of("2", {"File": file})
    assert row.get("file_ads") == stream
    assert dict(row.get("unmapped") or []) == {}


@pytest.mark.parametrize(
    ("code", "keywords", "status"),
    [
        ("2", ("hex64", 0x8020000000000000), 1),
        ("2", ("hex64", 0x8010000000000000), 2),
        ("2", ("text", b"0x8010000000000000"), 2),
        ("2", ("text", b"-9218868437227405312"), 2),
        ("2", ("hex64", 0x8000000000000000), None),
        ("2", ("text", b"Audit Failure"), None),
        ("2", None, None),
        ("9", ("hex64", 0x8010000000000000), 2),
        # The mapping's own word counts.
        ("3", ("hex64", 0x8020000000000000), 2),
    ],
)
def test_the_audit_keywords_are_the_status(
    code: str, keywords: tuple[str, Any] | None, status: int | None
) -> None:
    assert row_of(code, {}, keywords).get("status_id") == status


@pytest.mark.parametrize("text", [
    "<Task><Actions><Exec><Command>a&amp;b</Command></Exec></Actions></Task>",
    "&lt;Task&gt;&lt;Actions&gt;&lt;Exec&gt;&lt;Command&gt;a&amp;amp;b&lt;/Command&gt;&lt;/Exec&gt;"
    "&lt;/Actions&gt;&lt;/Task&gt;",
])
def test_xml_may_come_escaped_once_more(text: str) -> None:
    assert row_of("5", {"Task": text})["job_cmd_line"] == "a&b"


@pytest.mark.parametrize(
    ("text", "activity", "left"),
    [("off", 10, {}), ("off, off", 10, {"Change": "off, off"}), ("other", None, {})],
)
def test_the_first_of_several_columns_answers_for_the_field(
    text: str, activity: int | None, left: dict[str, str]
) -> None:
    row = row_of("6", {"Change": text})
    assert (row.get("activity_id"), row["status_detail"]) == (activity, text)
    assert dict(row.get("unmapped") or []) == left
    assert pairs(row, MAPPING.events["P", "6"]) == {"Change": text}
