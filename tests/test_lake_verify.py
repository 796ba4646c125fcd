"""`verify`: what a log says against the files; and the statistics themselves."""

import os
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from deltalake.transaction import AddAction

from tests.lake_case import EVENTS, SCHEMAS, book, events, source_id, unit_name, write
from tracelake.lake.lake import Lake
from tracelake.lake.statistics import LONGEST, from_footer, to_json
from tracelake.lake.verify import orphans, verify


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake.open(str(tmp_path), "case", create=True, schemas=SCHEMAS)
    lake.commit([write(lake, n) for n in range(3)])
    lake.commit([write(lake, 3)])
    return lake


def wrong(lake: Lake) -> list[str]:
    return [line for checked in verify(lake, grace=0) for line in checked.wrong]


def notes(lake: Lake) -> list[str]:
    return [line for checked in verify(lake, grace=0) for line in checked.notes]


def file_of(lake: Lake, table: str, number: int) -> Path:
    (path,) = (lake.root / table).glob(f"{unit_name(number)}.*")
    return path


def test_a_sound_lake(lake: Lake) -> None:
    found = list(verify(lake, grace=0))
    assert [Path(checked.subject).name for checked in found] == lake.snapshot().tables
    assert [line for checked in found for line in (*checked.wrong, *checked.notes)] == []
    # Per event file: name, size, rows, and nulls, begin and end of three columns; per book: two.
    assert [checked.checks for checked in found] == [4, 4 * 12, 4 * 12, 4]


def test_a_file_that_is_gone_or_changed(lake: Lake) -> None:
    file_of(lake, "event_log_activity", 0).unlink()
    with file_of(lake, "process_activity", 1).open("ab") as file:
        file.write(b"x")
    torn = file_of(lake, "process_activity", 2)
    os.truncate(torn, torn.stat().st_size // 2)
    found = wrong(lake)
    assert len(found) == 5
    assert "the folder has not" in found[0]
    assert ["bytes, " in line for line in found[1:]] == [True, False, True, False]
    assert ["footer cannot be read" in line for line in found[1:]] == [False, True, False, True]


@pytest.mark.parametrize(
    ("stats", "words"),
    [
        ('{"numRecords": 4}', ["has 3 rows, 4 in the log"]),
        ('{"numRecords": 3, "nullCount": {"time": 1}}', ["time has 0 nulls, 1 in the log"]),
        (
            '{"numRecords": 3, "minValues": {"src_offset": 1}, "maxValues": {"src_offset": 1}}',
            ["src_offset begins at 0, at 1 in", "src_offset ends at 2, at 1 in"],
        ),
        (
            '{"numRecords": 3, "minValues": {"time": "1970-01-01T00:00:00.005001Z"}}',
            ["time begins at 5000, at 5001"],
        ),
        (
            '{"numRecords": 3, "maxValues": {"source_id": "0"}}',
            ["source_id ends at 00000000000000050000000000000000, at 0"],
        ),
        # Wider than the file is allowed, and so is saying nothing.
        ('{"numRecords": 3, "minValues": {"time": "1969-01-01T00:00:00Z"}}', []),
        ("{}", []),
    ],
)
def test_wrong_statistics_are_found(lake: Lake, stats: str, words: list[str]) -> None:
    written = write(lake, 5)
    (file,) = written.files["event_log_activity"]
    table = DeltaTable(str(lake.root / "event_log_activity"))
    add = AddAction(file.name, file.size, {}, file.modified, True, stats)
    table.create_write_transaction([add], "append", table.schema())
    found = wrong(lake)
    assert len(found) == len(words)
    for line, expected in zip(found, words, strict=True):
        assert line.startswith(file.name)
        assert expected in line
    assert any("1 units are not complete" in line for line in notes(lake))


def test_a_file_of_no_unit_is_found(lake: Lake) -> None:
    written = write(lake, 5)
    (file,) = written.files["event_log_activity"]
    path = lake.root / "event_log_activity" / file.name
    path.rename(path.with_name("part-00000.parquet"))
    table = DeltaTable(str(path.parent))
    add = AddAction("part-00000.parquet", file.size, {}, file.modified, True, file.stats)
    table.create_write_transaction([add], "append", table.schema())
    assert wrong(lake) == ["part-00000.parquet: its name says no unit, its rows are not shown"]
    assert len(lake.snapshot().files("event_log_activity")) == 4


def test_orphans_are_listed_after_their_grace(lake: Lake) -> None:
    unit = lake.writer(unit_name(9))
    unit.write("damage", events([1]))
    unit.write("event_log_activity", events([1]))
    unit.close()
    assert orphans(lake) == []
    old = time.time() - 7200
    for table in ("damage", "event_log_activity"):
        os.utime(file_of(lake, table, 9), (old, old))
    found = orphans(lake)
    assert [Path(orphan.path).parent.name for orphan in found] == ["damage", "event_log_activity"]
    assert all(7200 <= orphan.age < 7300 and orphan.size > 0 for orphan in found)
    lines = notes(lake)
    assert len(lines) == 2
    assert all("no log mentions it" in line and "2.0 hours" in line for line in lines)


def test_orphans_are_told_from_files_in_a_checkpoint(lake: Lake) -> None:
    for table in lake.snapshot().tables:
        DeltaTable(str(lake.root / table)).create_checkpoint()
        for path in (lake.root / table / "_delta_log").glob("*.json"):
            path.unlink()
    assert orphans(lake, grace=0) == []


# Statistics


KEEPS = {field.name: field.type for field in EVENTS if (field.metadata or {}).get(b"stats")}


def footer(tmp_path: Path, batches: list[pa.RecordBatch]) -> pq.FileMetaData:
    path = tmp_path / "x.parquet"
    with pq.ParquetWriter(path, EVENTS, write_statistics=list(KEEPS)) as writer:
        for batch in batches:
            writer.write_table(pa.Table.from_batches([batch]))
    return pq.read_metadata(path)


def test_statistics_sum_up_row_groups(tmp_path: Path) -> None:
    found = from_footer(
        footer(tmp_path, [events([5, None]), events([None]), events([-1, 3], start=7)]), KEEPS
    )
    assert found.rows == 5
    assert found.nulls == {"time": 2, "source_id": 0, "src_offset": 0}
    assert (found.lowest["time"], found.highest["time"]) == (-1, 5)
    assert (found.lowest["src_offset"], found.highest["src_offset"]) == (0, 8)
    assert to_json(found, KEEPS) == (
        '{"numRecords":5,"minValues":{"time":"1969-12-31T23:59:59.999999Z","source_id":"s",'
        '"src_offset":0},"maxValues":{"time":"1970-01-01T00:00:00.000005Z","source_id":"s",'
        '"src_offset":8},"nullCount":{"time":2,"source_id":0,"src_offset":0}}'
    )


def test_all_null_is_known_and_not_bounded(tmp_path: Path) -> None:
    found = from_footer(footer(tmp_path, [events([None, None])]), KEEPS)
    assert found.nulls["time"] == 2
    assert "time" not in found.lowest


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        (-62_135_596_800_000_000, 253_402_300_799_999_999, True),
        (-62_135_596_800_000_001, 0, False),
        (0, 253_402_300_800_000_000, False),
        (-(2**63) + 1, 2**63 - 1, False),
    ],
)
def test_times_beyond_the_calendar_are_unknown(
    tmp_path: Path, first: int, last: int, said: bool
) -> None:
    found = from_footer(footer(tmp_path, [events([first, last])]), KEEPS)
    assert ("time" in found.lowest) is said
    assert ("time" in found.highest) is said
    if said:
        assert '"time":"0001-01-01T00:00:00.000000Z"' in to_json(found, KEEPS)
        assert '"time":"9999-12-31T23:59:59.999999Z"' in to_json(found, KEEPS)


def test_long_text_is_cut_below_and_unknown_above(tmp_path: Path) -> None:
    long = "é" * (LONGEST + 5)
    found = from_footer(footer(tmp_path, [events([1], long)]), KEEPS)
    assert found.lowest["source_id"] == "é" * LONGEST
    assert "source_id" not in found.highest


def test_an_incomplete_unit_is_a_note(lake: Lake) -> None:
    unit = lake.writer(unit_name(8))
    unit.write("event_log_activity", events([1], source_id(8)))
    lake.commit([unit.close()])
    assert wrong(lake) == []
    assert notes(lake) == [
        "1 units are not complete, their rows are not shown: "
        "ingest their sources again to complete them"
    ]
    unit = lake.writer(unit_name(8))
    unit.write("artifact", book(source_id(8)))
    lake.commit([unit.close()])
    assert notes(lake) == []
