"""Transforms that look at another column of the row, and those that find something in a text."""

from typing import Any

import pytest

from tracelake.normalize import mapping
from tracelake.normalize.mapping_file import MappingError
from tracelake.normalize.rebuild import pairs
from tracelake.parsers.events import Events

FILE = """
provider = "P"
[1]
table = "process_activity"
activity_id = 1
[1.columns]
proc_path = "Folder | path_join proc_name"
proc_name = "Name"
proc_pid = "Pid"
proc_uid = ["Unique", "Pid | process_uid proc_created_time"]
proc_created_time = "Made"
parent_uid = "ParentPid | process_uid parent_created_time"
parent_created_time = "ParentMade"
actor_uid = "Pid | process_uid"
[2]
table = "detection_finding"
activity_id = 1
[2.columns]
attack_techniques = "Text | techniques"
dst_hostname = "Url | host"
"""
MAPPINGS = mapping.read([("test.toml", FILE)])


def row_of(code: str, named: dict[str, str], system: dict[str, bytes] | None = None) -> Any:
    events = Events(MAPPINGS)
    given = [(name, "text", text.encode()) for name, text in named.items()]
    fields = [(name, "text", text) for name, text in (system or {}).items()]
    events.add("P", code, given, fields)
    ((_, batch),) = events.take(True)
    batch.validate(full=True)
    row = {key: value for key, value in batch.to_pylist()[0].items() if value is not None}
    # Whatever became of them, the row gives the pairs back.
    assert pairs(row, MAPPINGS.events["P", code]) == named
    return row


@pytest.mark.parametrize(
    ("folder", "name", "path", "held"),
    [
        (r"C:\Windows", "a.exe", r"C:\Windows\a.exe", False),
        (r"C:\Windows" + "\\", "a.exe", r"C:\Windows\a.exe", False),
        ("/usr/bin", "ls", "/usr/bin/ls", False),
        ("/", "init", "/init", False),
        (r"C:\Windows\a.exe", "a.exe", r"C:\Windows\a.exe", True),
        (r"c:\windows\A.EXE", "a.exe", r"c:\windows\A.EXE", True),
        ("a.exe", "a.exe", "a.exe", True),
        (r"C:\xa.exe", "a.exe", r"C:\xa.exe\a.exe", False),
        (r"C:\Äpfel", "ä.exe", "C:\\Äpfel\\ä.exe", False),
        (r"C:\Windows", "", r"C:\Windows", True),
    ],
)
def test_a_folder_and_the_name_in_it(folder: str, name: str, path: str, held: bool) -> None:
    for order in (("Folder", "Name"), ("Name", "Folder")):
        given = {"Folder": folder, "Name": name}
        row = row_of("1", {key: given[key] for key in order})
        assert row["proc_path"] == path
        assert ("Folder" not in dict(row.get("unmapped", []))) == held


def test_a_folder_without_a_name() -> None:
    assert row_of("1", {"Folder": r"C:\x"})["proc_path"] == r"C:\x"
    assert "proc_path" not in row_of("1", {"Name": "x"})


def test_a_process_by_when_it_was_made() -> None:
    made = {"Made": "2024-01-01T00:00:00.5Z", "ParentMade": "2023-12-31T00:00:00Z"}
    system = {"Computer": b"WS1.Corp"}
    row = row_of("1", {"Pid": "7", "ParentPid": "4", **made}, system)
    assert row["proc_uid"] == "ws1.corp:7:1704067200500000"
    assert row["parent_uid"] == "ws1.corp:4:1703980800000000"
    assert "actor_uid" not in row       # the row itself has no time
    assert row_of("1", {"Pid": "7", "Unique": "u", **made}, system)["proc_uid"] == "u"
    assert "proc_uid" not in row_of("1", {"Pid": "7"}, system)
    assert "proc_uid" not in row_of("1", {"Pid": "7", **made})
    assert "proc_uid" not in row_of("1", {"Pid": "x", **made}, system)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("T1059", ["T1059"]),
        ('["Phishing (T1566)","PowerShell (T1059.001)"]', ["T1566", "T1059.001"]),
        ("T1059.1", ["T1059"]),
        ("T1059.0012", None),
        ("xT1059 T10591 t1059 T105", None),
        ("", None),
    ],
)
def test_techniques_of_a_text(text: str, found: list[str] | None) -> None:
    assert row_of("2", {"Text": text}).get("attack_techniques") == found


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("https://u@a.example:8443/x?y", "a.example"),
        ("http://[2001:db8::1]/x", "2001:db8::1"),
        ("a.example", "a.example"),
        ("a.example:443", "a.example"),
        ("a.example/x", "a.example"),
        ("a.example?x", "a.example"),
        ("2001:db8::1", "2001:db8::1"),
        ("/x", None),
        ("//x", None),
    ],
)
def test_host_of_a_url_or_of_less(text: str, host: str | None) -> None:
    assert row_of("2", {"Url": text}).get("dst_hostname") == host


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ('proc_path = "F | path_join"', "path_join needs a column"),
        ('proc_path = "F | path_join nothing"', "is no column of the section that fits"),
        ('proc_path = "F | path_join proc_pid"\nproc_pid = "P"', "no column of the section"),
        ('proc_path = ["F | path_join proc_name", "G"]\nproc_name = "N"', "to choose from"),
        ('proc_path = "F | path_join proc_name"\nproc_name = ["N", "M"]', "to choose from"),
        ('proc_uid = "P | process_uid proc_name"\nproc_name = "N"', "no column of the section"),
    ],
)
def test_checker_says_what_is_wrong_with_another_column(spec: str, says: str) -> None:
    head = 'provider = "P"\n[1]\ntable = "process_activity"\nactivity_id = 1\n[1.columns]\n'
    text = f"{head}{spec}\n"
    with pytest.raises(MappingError, match=says):
        mapping.read([("test.toml", text)])
