"""Small real files with the rows that they must give."""

import lzma
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.database_case import Read
from tracelake.parsers import asl, bsm, ese_db, plist, sqlite_db
from tracelake.parsers.artifact import Match, Parser

FOLDER = Path(__file__).parent / "data" / "databases"
SAMPLES: dict[str, tuple[Parser, dict[str, int]]] = {
    "History-59": (sqlite_db.PARSER, {"browser_activity": 2}),
    "History.plist": (plist.PARSER, {"browser_activity": 2}),
    "launchd.plist": (plist.PARSER, {"artifact_query": 1}),
    "openbsm.bsm": (bsm.PARSER, {"raw_event": 50}),
    "applesystemlog.asl": (asl.PARSER, {"raw_event": 2}),
    "srudb.dat": (ese_db.PARSER, {"artifact_query": 309, "network_activity": 23}),
}


def sample(name: str) -> Read:
    parser, _ = SAMPLES[name]
    if parser is ese_db.PARSER:
        pytest.importorskip("pyesedb", reason="libesedb is not installed (extra `images`)")
    data = lzma.decompress((FOLDER / f"{name}.xz").read_bytes())
    assert parser.match(data[:65536], name)[0] is Match.CONTENT
    return Read(parser, data, f"C/Users/anna/{name}")


@pytest.mark.parametrize("name", SAMPLES)
def test_rows(name: str) -> None:
    done = sample(name)
    assert done.counts == SAMPLES[name][1]
    assert (done.damage, done.stopped) == ([], None)
    account = done.account
    assert account.closes


def test_a_download_of_chrome() -> None:
    visit, download = sample("History-59").rows["browser_activity"]
    assert (visit["record_type"], visit["url_hostname"]) == ("visit", "raw.githubusercontent.com")
    assert download["time"] == datetime(2018, 1, 21, 14, 8, 51, 811123, UTC)
    assert download["end_time"] == datetime(2018, 1, 21, 14, 8, 52, 662377, UTC)
    assert download["file_path"] == "/home/ubuntu/Downloads/plaso-20171231.1.win32.msi"
    assert (download["bytes"], download["mime_type"]) == (3080192, "application/octet-stream")
    assert download["url"].endswith("/win32/plaso-20171231.1.win32.msi")
    assert download["unmapped"]["state_name"] == "complete"
    assert download["user_name"] == "anna"


def test_a_job_of_launchd() -> None:
    row = sample("launchd.plist").rows["artifact_query"][0]
    assert (row["subject_name"], row["subject_path"]) == ("com.foobar.test", "/Test")
    assert (row["cmd_line"], row["user_name"]) == ("/Test arg1", "nobody")
    assert row["detail"] == (
        "RunAtLoad, KeepAlive, StartInterval, StartCalendarInterval, WatchPaths, QueueDirectories,"
        " StartOnMount"
    )
    assert row["unmapped"]["StartCalendarInterval[1].Hour"] == "13"
