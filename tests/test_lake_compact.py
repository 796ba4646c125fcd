"""Merging small files: the same rows, in the order of time, for whoever looks whenever."""

import pickle
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from tests.lake_case import SCHEMAS, book, events, source_id, unit_name, write
from tracelake.lake import checkpoint, expire, log
from tracelake.lake import commit as commit_module
from tracelake.lake import compact as compact_module
from tracelake.lake.compact import compact
from tracelake.lake.errors import LakeError
from tracelake.lake.lake import Lake
from tracelake.lake.snapshot import Snapshot
from tracelake.lake.unit import merged_after, unit_of
from tracelake.lake.verify import verify

TABLES = ("event_log_activity", "process_activity")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(str(tmp_path), "case", create=True, schemas=SCHEMAS)


def rows(now: Snapshot, table: str = "event_log_activity") -> list[tuple[str, int]]:
    """Source and offset of all rows, in the files' order."""
    found = []
    for path in now.files(table):
        for row in pq.read_table(path, columns=["source_id", "src_offset"]).to_pylist():
            found.append((row["source_id"], row["src_offset"]))
    return found


def wrong(lake: Lake) -> list[str]:
    return [line for checked in verify(lake, grace=0) for line in (*checked.wrong, *checked.notes)]


def merged(lake: Lake, everything: bool = True) -> int:
    done = list(compact(lake, everything=everything))
    assert not any(one.lost for one in done)
    return len(done)


def test_the_same_rows_in_one_file(lake: Lake) -> None:
    for n in range(12):
        lake.commit([write(lake, n, 5)])
    before = {table: sorted(rows(lake.snapshot(), table)) for table in TABLES}
    books = lake.snapshot().sources()
    assert merged(lake) == 4
    now = lake.snapshot()
    for table in TABLES:
        assert len(now.files(table)) == 1
        assert sorted(rows(now, table)) == before[table]
    assert now.sources() == books
    assert len(now.artifact_rows(source_id(3))) == 1
    assert wrong(lake) == []
    assert merged(lake) == 0
    # What others read: no row more or less.
    assert DeltaTable(str(lake.root / "event_log_activity")).count() == 60
    # What is in does not come in again.
    assert lake.commit([write(lake, n) for n in (3, 12)]).landed == (unit_name(12),)
    assert len(rows(lake.snapshot())) == 63


def test_rows_stand_in_the_order_of_time(lake: Lake) -> None:
    given: list[list[int | None]] = [[50, 3, None], [7, 7, 1], [None, 2]]
    for n, times in enumerate(given):
        unit = lake.writer(unit_name(n))
        unit.write("event_log_activity", events(times, source_id(n)))
        unit.write("artifact", book(source_id(n)))
        lake.commit([unit.close()])
    assert merged(lake) == 2
    (path,) = lake.snapshot().files("event_log_activity")
    table = pq.read_table(path)
    assert pa.compute.cast(table["time"], pa.int64()).to_pylist() == [1, 2, 3, 7, 7, 50, None, None]
    assert [(row["source_id"], row["src_offset"]) for row in table.to_pylist()] == [
        (source_id(1), 2), (source_id(2), 1), (source_id(0), 1), (source_id(1), 0),
        (source_id(1), 1), (source_id(0), 0), (source_id(0), 2), (source_id(2), 0),
    ]
    for row in table.to_pylist():
        assert row["text"] == f"text {row['src_offset']}"
        assert row["unmapped"] == [("k", str(row["src_offset"])), ("l", "x")]
        assert row["host"] == (f"{row['source_id']}-a" if row["src_offset"] % 2 == 0 else "b")


def test_incomplete_units_stay_apart(lake: Lake) -> None:
    for n in range(3):
        lake.commit([write(lake, n)])
    for n in (3, 4):
        unit = lake.writer(unit_name(n))
        unit.write("event_log_activity", events(range(3), source_id(n)))
        lake.commit([unit.close()])
    merged(lake)
    now = lake.snapshot()
    assert len(rows(now)) == 9
    units = {unit_of(name) for name in DeltaTable(str(lake.root / TABLES[0])).file_uris()}
    assert {unit_name(3), unit_name(4)} < units
    assert len(units) == 3
    lake.commit([write(lake, 3)])
    assert len(rows(lake.snapshot())) == 12


def test_who_looked_before_sees_the_old_files(lake: Lake) -> None:
    for n in range(4):
        lake.commit([write(lake, n)])
    before = lake.snapshot()
    late = lake.snapshot()
    merged(lake)
    # `late` has pinned its versions and looks only now.
    assert sorted(rows(late)) == sorted(rows(before))
    assert all(merged_after(unit_of(path) or "") is None for path in late.files(TABLES[0]))


def test_a_snapshot_between_artifact_and_the_merged_table(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Units that became complete after `artifact` was pinned come with the merge: they are left
    out, whole, and the others are there, whole."""
    for n in range(3):
        lake.commit([write(lake, n)])
    pin = Snapshot._pin

    def slow(self: Snapshot, name: str, at: int | None = None) -> None:
        pin(self, name, at)
        if name == "artifact":
            monkeypatch.setattr(Snapshot, "_pin", pin)
            lake.commit([write(lake, 3)])
            merged(lake)

    monkeypatch.setattr(Snapshot, "_pin", slow)
    now = lake.snapshot()
    assert not now.is_complete(unit_name(3))
    for table in TABLES:
        assert sorted(rows(now, table)) == sorted(
            (source_id(n), offset) for n in range(3) for offset in range(3)
        )
    assert set(now.sources()) == {source_id(n) for n in range(3)}


@pytest.mark.parametrize("often", [True, False], ids=["checkpoints", "no checkpoints"])
def test_every_earlier_state_can_be_seen(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, often: bool
) -> None:
    if often:
        monkeypatch.setattr(commit_module, "CHECKPOINT_EVERY", 2)
    states = {}
    for n in range(9):
        lake.commit([write(lake, n)])
        if n % 3 == 2:
            merged(lake)
        now = lake.snapshot()
        states[now.versions["artifact"]] = {table: sorted(rows(now, table)) for table in TABLES}
    for version, state in states.items():
        then = Snapshot(lake.root, version)
        assert {table: sorted(rows(then, table)) for table in TABLES} == state
        assert len(then.sources()) == len(state[TABLES[0]]) // 3
    with pytest.raises(LakeError, match="no version 99"):
        Snapshot(lake.root, 99)


def test_what_was_replaced_goes_after_the_retention(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_module, "CHECKPOINT_EVERY", 3)
    monkeypatch.setattr(expire, "LEAST_LOG", 0.0)
    for n in range(10):
        lake.commit([write(lake, n)])
    merged(lake)
    before = sorted(rows(lake.snapshot()))
    assert expire.expire(lake, 3600).files == 0
    assert sorted(rows(Snapshot(lake.root, 4))) == before[:15]
    done = expire.expire(lake, -1.0)  # a second ahead: all that was replaced up to now
    assert done.files == 40
    assert done.log_files > 0
    assert sorted(rows(lake.snapshot())) == before
    assert wrong(lake) == []
    with pytest.raises(LakeError, match="not kept any more"):
        Snapshot(lake.root, 4)
    for table in (*TABLES, "artifact", "source"):
        folder = lake.root / table
        assert len(list(folder.glob("*.parquet"))) == 1
        assert log.versions(folder)[0] == checkpoint.versions(folder)[0]
        assert DeltaTable(str(folder)).count() == (30 if table in TABLES else 10)
    # Writers go on, those that had the table open, too, and know what is in.
    other = pickle.loads(pickle.dumps(lake))
    assert lake.commit([write(lake, n) for n in (1, 10)]).landed == (unit_name(10),)
    assert other.commit([write(other, n) for n in (2, 11)]).landed == (unit_name(11),)
    assert len(rows(lake.snapshot())) == 36


def test_sizes_go_together(lake: Lake) -> None:
    """Files of one size are merged when there are eight; the larger one waits for its like."""
    lake.commit([write(lake, 100, 3000)])
    for n in range(15):
        lake.commit([write(lake, n)])
        merged(lake, everything=False)
    sizes = sorted(pq.read_metadata(path).num_rows for path in lake.snapshot().files(TABLES[0]))
    assert sizes == [3] * 7 + [24, 3000]
    for n in range(15, 64):
        lake.commit([write(lake, n)])
        merged(lake, everything=False)
    merged(lake, everything=False)
    sizes = sorted(pq.read_metadata(path).num_rows for path in lake.snapshot().files(TABLES[0]))
    assert sizes == [192, 3000]


def test_a_merge_whose_files_are_gone_is_given_up(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(4):
        lake.commit([write(lake, n)])
    commit = compact_module.commit

    def late(*given: object) -> bool:
        monkeypatch.setattr(compact_module, "commit", commit)
        merged(lake)
        return commit(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(compact_module, "commit", late)
    done = list(compact(lake))
    assert [one.lost for one in done] == [True] * 4
    for table in TABLES:
        assert len(rows(lake.snapshot(), table)) == 12
    assert wrong(lake) == [], "what was written in vain is removed"


def test_writers_and_merges_at_once(lake: Lake) -> None:
    over = threading.Event()
    errors: list[BaseException] = []

    def keep(action: object) -> None:
        try:
            while not over.is_set():
                action()  # type: ignore[operator]
        except BaseException as error:  # noqa: BLE001 - the test says it
            errors.append(error)

    def look() -> None:
        now = Lake.open(lake.uri, "case", schemas=SCHEMAS).snapshot()
        count = len(now.complete_units())
        for table in TABLES:
            assert len(set(rows(now, table))) == len(rows(now, table)) == 3 * count

    opened = [Lake.open(lake.uri, "case", schemas=SCHEMAS) for _ in range(2)]
    lake.commit([write(lake, 999)])
    threads = [
        threading.Thread(target=keep, args=(lambda: list(compact(opened[0])),)),
        threading.Thread(target=keep, args=(lambda: list(compact(opened[1], everything=False)),)),
        threading.Thread(target=keep, args=(look,)),
    ]
    for thread in threads:
        thread.start()
    for n in range(40):
        lake.commit([write(lake, n)])
    over.set()
    for thread in threads:
        thread.join()
    assert errors == []
    look()
    assert [line for line in wrong(lake) if "no log mentions" not in line] == []


def test_columns_that_some_files_lack(lake: Lake) -> None:
    """A file does not have the columns that nothing filled."""
    for n in range(4):
        batch = events(range(3), source_id(n))
        left_out = (("host",), ("labels", "text"), ("time",), ())[n]
        unit = lake.writer(unit_name(n))
        kept = [name for name in batch.schema.names if name not in left_out]
        unit.write("event_log_activity", batch.select(kept))
        unit.write("artifact", book(source_id(n)))
        lake.commit([unit.close()])
    merged(lake)
    (path,) = lake.snapshot().files("event_log_activity")
    found = {(row["source_id"], row["src_offset"]): row for row in pq.read_table(path).to_pylist()}
    assert len(found) == 12
    for (source, _), row in found.items():
        lacks = {name for name, value in row.items() if value is None}
        assert lacks == set((("host",), ("labels", "text"), ("time",), ())[int(source[:16], 16)])
