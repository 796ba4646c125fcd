"""Counts of plaso over databases, property lists and logs of macOS, against ours.

plaso's own tests say how many records it finds in each file (`oracles/plaso_expected_counts.tsv`);
which of our rows these are, and what we read beyond them, is said here for each.
"""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.database_case import Read
from tracelake.parsers import asl, bsm, sqlite_db
from tracelake.parsers.artifact import Match, Parser

Row = dict[str, Any]


def every(_row: Row) -> bool:
    return True


def of(*tables: str) -> Callable[[Row], bool]:
    return lambda row: row["log_name"] in tables


# Which of our rows plaso counts, how many it counts beyond them, and why.
SAMPLES: dict[str, tuple[Parser, Callable[[Row], bool], int, str]] = {
    "applesystemlog.asl": (asl.PARSER, every, 1, "plaso counts the header of the log, too"),
    "apple.bsm": (bsm.PARSER, every, 0, ""),
    "openbsm.bsm": (bsm.PARSER, every, 0, ""),
    "android/app_usage": (
        sqlite_db.PARSER, every, 11545 - 11663,
        "plaso takes events of one package at one time for the same: 118 rows of the table",
    ),
    "android/babel.db": (sqlite_db.PARSER, every, 0, ""),
    "android/tango_profile.db": (sqlite_db.PARSER, every, 0, ""),
    "android/webview.db": (
        sqlite_db.PARSER, of("cookies"), 0, "forms (2 rows) are not read by plaso",
    ),
    "chrome/History": (
        sqlite_db.PARSER, of("visits", "downloads"), 0, "search terms (3 rows) are not read by it",
    ),
    "chrome/History-59_added-fake-column": (sqlite_db.PARSER, every, 0, ""),
    "firefox/downloads.sqlite": (sqlite_db.PARSER, every, 0, ""),
    "macos/application_usage.sqlite": (sqlite_db.PARSER, every, 0, ""),
    "macos/knowledgec-10.13.db": (
        sqlite_db.PARSER, lambda row: row["detail"] == "/app/inFocus", 0,
        "plaso reads applications in focus only, not the display's light and activity (4 rows)",
    ),
    "macos/TCC-test.db": (sqlite_db.PARSER, every, 0, ""),
    "sqlite/skype_main.db": (
        sqlite_db.PARSER, of("Messages", "Accounts", "Calls", "Transfers", "SMSes"), 0,
        "chats, contacts and members of calls (8 rows) are none of its own",
    ),
    "sqlite/zeitgeist_activity.sqlite": (sqlite_db.PARSER, every, 0, ""),
}  # fmt: skip


@pytest.fixture(scope="session")
def counts(shared: Path) -> dict[str, int]:
    """plaso's count of each file."""
    with (shared / "oracles/plaso_expected_counts.tsv").open(encoding="utf-8") as file:
        return {
            row["test_data_file"]: int(row["event_data"])
            for row in csv.DictReader(file, delimiter="\t")
        }


@pytest.mark.parametrize("name", SAMPLES)
def test_as_many_records_as_plaso(name: str, shared: Path, counts: dict[str, int]) -> None:
    parser, counted, beyond, why = SAMPLES[name]
    data = (shared / "triage/plaso" / name).read_bytes()
    assert parser.match(data[:65536], name)[0] is Match.CONTENT
    done = Read(parser, data, name)
    rows = [row for rows in done.rows.values() for row in rows]
    assert sum(map(counted, rows)) + beyond == counts[name], why
    assert not done.damage
    # What explains the difference is there.
    left = sum(not counted(row) for row in rows)
    assert (f"({left} rows)" in why) == bool(left)


def test_events_that_plaso_takes_for_the_same(shared: Path, counts: dict[str, int]) -> None:
    name = "android/app_usage"
    done = Read(sqlite_db.PARSER, (shared / "triage/plaso" / name).read_bytes(), name)
    apart = {(row["time"], row["subject_name"]) for row in done.rows["artifact_query"]}
    assert len(apart) == counts[name]


def test_what_plaso_has_nothing_for_is_refused(shared: Path, counts: dict[str, int]) -> None:
    assert counts["data.db"] == 0
    sure, why = sqlite_db.match((shared / "triage/plaso/data.db").read_bytes()[:65536], "data.db")
    assert sure is Match.NEAR
    assert "Accounts" in why
