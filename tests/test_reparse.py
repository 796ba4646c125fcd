"""Sources that are in are read anew, and what is read takes the place of their rows."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from line import EVIDENCE, rows, tracelake

from tracelake.case import Case, open_case
from tracelake.ingest import again
from tracelake.ingest.verify import verify
from tracelake.lake.lake import Lake

LOGS = EVIDENCE / "logs"
UNITS = "select distinct unit from artifact order by unit"


def units(case: Case) -> list[str]:
    return [unit for (unit,) in case.sql(UNITS).fetchall()]


def count(case: Case) -> list[tuple[object, ...]]:
    return case.sql("select count(*), count(distinct row_id) from process_activity").fetchall()


def wrong(lake: Path) -> list[str]:
    return [line for found in verify(Lake.open(str(lake), "t")) for line in found.wrong]


@pytest.fixture
def taken_in(tmp_path: Path) -> Path:
    """A lake with some logs, small ones together, and one under two names."""
    folder = tmp_path / "in"
    shutil.copytree(LOGS, folder)
    first = sorted(folder.glob("*.evtx"))[0]
    shutil.copy(first, folder / "again.evtx")
    assert open_case(tmp_path / "lake", engagement="t").ingest([folder]).exit_code == 0
    return tmp_path


def test_what_is_no_older_is_not_read(taken_in: Path) -> None:
    case = open_case(taken_in / "lake", engagement="t")
    before = units(case)
    report = case.ingest([taken_in / "in"], reparse=True)
    assert (report.sources, report.exit_code) == (0, 0)
    assert units(case) == before


@pytest.mark.parametrize("compacted", [False, True], ids=["as written", "compacted"])
def test_rows_are_replaced(
    taken_in: Path, monkeypatch: pytest.MonkeyPatch, compacted: bool
) -> None:
    lake = taken_in / "lake"
    if compacted:
        tracelake("compact", "-e", "t", "--lake", lake)
    case = open_case(lake, engagement="t")
    everything: dict[str, Counter[str]] = rows(lake)
    opened = Case(case.lake)
    before, old_units = count(opened), units(opened)
    version = case.lake.snapshot().versions["artifact"]
    monkeypatch.setattr(again, "outdated", lambda *_: True)
    report = case.ingest([taken_in / "in"], reparse=True)
    assert report.failed == []
    assert report.sources == len(list(LOGS.iterdir()))
    # The same reader reads the same: each row is there once, in a unit of its own name.
    assert rows(lake) == everything
    assert wrong(lake) == []
    new_units = [unit for unit in units(case) if "-seen-" not in unit]
    assert set(new_units).isdisjoint(old_units)
    assert all("-r" in unit for unit in new_units)
    # Who had it open, and who looks back, sees the earlier one; whole.
    assert (count(opened), units(opened)) == (before, old_units)
    assert units(case.as_of(version)) == old_units
    assert count(case.as_of(version)) == count(case) == before
    # What is in is in.
    monkeypatch.undo()
    assert open_case(lake, engagement="t").ingest([taken_in / "in"]).sources == 0
    said = tracelake("query", UNITS, "-e", "t", "--lake", lake, "--as-of", str(version))
    assert old_units[0] in said.stdout


def test_a_source_that_fails_keeps_its_rows(
    taken_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = taken_in / "lake"
    everything = rows(lake)
    monkeypatch.setattr(again, "outdated", lambda *_: True)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "x")

    monkeypatch.setattr(again, "replace", full)
    case = open_case(lake, engagement="t")
    report = case.ingest([taken_in / "in"], reparse=True)
    assert report.exit_code == 1
    assert rows(lake) == everything
    assert wrong(lake) == []


def test_times_and_versions_that_are_not_kept(taken_in: Path) -> None:
    lake = taken_in / "lake"
    for moment, why in (("2001-01-01", "there was nothing in it"), ("99", "no version 99")):
        said = tracelake("tables", "-e", "t", "--lake", lake, "--as-of", moment, code=1)
        assert why in said.stderr
    said = tracelake("tables", "-e", "t", "--lake", lake, "--as-of", "yesterday", code=2)
    assert "--as-of yesterday" in said.stderr
