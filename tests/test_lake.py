"""The lake: opening, a unit's files, group commit, snapshots."""

import pickle
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from tests.lake_case import (
    BOOK,
    EVENTS,
    HERE,
    SCHEMAS,
    TIME,
    book,
    environment,
    events,
    source_id,
    unit_name,
    write,
)
from tracelake.lake import begin as begin_module
from tracelake.lake import commit as commit_module
from tracelake.lake import log, writer
from tracelake.lake.errors import LakeError, NewerFormat, UnknownEngagement
from tracelake.lake.lake import Lake, engagements
from tracelake.lake.snapshot import Snapshot
from tracelake.lake.unit import WrittenUnit, unit_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(str(tmp_path / "lake"), "case", create=True, schemas=SCHEMAS)


def count(files: list[str]) -> int:
    return sum(pq.read_metadata(path).num_rows for path in files)


# Opening


@pytest.mark.parametrize("name", ["", "A", "-a", "a" * 64, "a/b", "..", "a.b", "ä", "a\n"])
def test_an_engagement_id_is_checked(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="engagement id"):
        Lake.open(str(tmp_path), name, create=True)


def test_a_missing_engagement_is_said_with_those_that_are(tmp_path: Path) -> None:
    for name in ("two", "one"):
        Lake.open(str(tmp_path), name, create=True)
    (tmp_path / "other").mkdir()
    with pytest.raises(UnknownEngagement, match=r"'three'.*holds one, two"):
        Lake.open(str(tmp_path), "three")
    assert engagements(str(tmp_path)) == ["one", "two"]
    assert engagements(str(tmp_path / "nowhere")) == []


def test_an_engagement_is_for_its_owner_only(lake: Lake) -> None:
    assert stat.S_IMODE(lake.root.stat().st_mode) == 0o700


def test_the_marker_is_read_again_and_stays(lake: Lake) -> None:
    marker = lake.root / "tracelake.json"
    before = marker.read_bytes()
    again = Lake.open(lake.uri, "case", create=True)
    assert again.root == lake.root
    assert marker.read_bytes() == before
    assert [path.name for path in lake.root.iterdir()] == ["tracelake.json"]


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ('{"format": 3, "engagement": "case"}', NewerFormat, "newer tracelake"),
        ('{"format": 1, "engagement": "other"}', LakeError, "other"),
        ('{"format": "1", "engagement": "case"}', LakeError, "not a version"),
        ("{", LakeError, "cannot be read"),
        ("[]", LakeError, "cannot be read"),
    ],
)
def test_a_marker_that_is_not_ours_is_refused(
    lake: Lake, text: str, error: type[Exception], words: str
) -> None:
    (lake.root / "tracelake.json").write_text(text)
    with pytest.raises(error, match=words):
        Lake.open(lake.uri, "case")


def test_a_folder_with_other_things_is_not_made_a_lake(tmp_path: Path) -> None:
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "holiday.jpg").touch()
    with pytest.raises(LakeError, match="not a lake"):
        Lake.open(str(tmp_path), "case", create=True)


def test_a_folder_that_a_killed_run_left_without_marker_is_taken(tmp_path: Path) -> None:
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / ".tracelake.json.0123abcd").touch()
    assert Lake.open(str(tmp_path), "case", create=True).snapshot().tables == []


def test_a_lake_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a lake is a folder"):
        Lake.open("gs://bucket/lake", "case", create=True)
    assert Lake.open(f"file://{tmp_path}", "case", create=True).root == tmp_path / "case"


# A unit's files


def test_a_batch_is_a_row_group_in_the_order_of_the_evidence(lake: Lake) -> None:
    with lake.writer("u-0-test-1") as unit:
        unit.write("event_log_activity", events([5, None, 3, 5, 1], "a"))
        unit.write("event_log_activity", events([2, 2], "b", start=5))
        unit.write("event_log_activity", events([], "b"))
        written = unit.close()
    (file,) = written.files["event_log_activity"]
    parquet = pq.ParquetFile(lake.root / "event_log_activity" / file.name)
    assert [parquet.metadata.row_group(n).num_rows for n in range(2)] == [5, 2]
    assert parquet.num_row_groups == 2
    rows = parquet.read()
    assert rows.column("src_offset").to_pylist() == [0, 1, 2, 3, 4, 5, 6]
    assert rows.column("host").to_pylist() == ["a-a", "b", "a-a", "b", "a-a", "b-a", "b"]
    assert rows.column("unmapped").to_pylist()[0] == [("k", "0"), ("l", "x")]
    assert not any(pa.types.is_dictionary(kind) for kind in parquet.schema_arrow.types)
    assert parquet.schema_arrow.field("time").type == TIME
    path = lake.root / "event_log_activity" / file.name
    assert (file.rows, file.size) == (7, path.stat().st_size)
    assert written.rows == {"event_log_activity": 7}
    assert pickle.loads(pickle.dumps(written)) == written


def test_blooms_stand_on_marked_columns_of_large_row_groups(lake: Lake) -> None:
    unit = lake.writer("u-0-test-1")
    unit.write("event_log_activity", events(range(5000)))
    unit.write("process_activity", events(range(10)))
    written = unit.close()

    def blooms(table: str) -> set[str]:
        path = str(lake.root / table / written.files[table][0].name)
        sql = "SELECT path_in_schema FROM parquet_metadata(?) WHERE bloom_filter_length > 0"
        return {name for (name,) in duckdb.execute(sql, [path]).fetchall()}

    assert blooms("event_log_activity") == {"host", "text"}
    assert blooms("process_activity") == set()


def test_files_roll(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "ROLL", 10)
    unit = lake.writer("u-0-test-1")
    for n in range(5):
        unit.write("event_log_activity", events(range(6), start=6 * n))
    files = unit.close().files["event_log_activity"]
    assert [file.rows for file in files] == [12, 12, 6]
    assert {unit_of(file.name) for file in files} == {"u-0-test-1"}
    assert [file.name[-9] for file in files] == ["0", "1", "2"]


def test_a_file_that_began_small_does_not_grow_in_memory(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "IN_MEMORY", 100_000)
    unit = lake.writer("u-0-test-1")
    for n in range(40):
        unit.write("event_log_activity", events(range(1000), start=1000 * n))
    files = unit.close().files["event_log_activity"]
    assert len(files) > 2
    assert max(file.size for file in files) < 200_000
    paths = [lake.root / "event_log_activity" / file.name for file in files]
    offsets = [n for path in paths for n in pq.read_table(path).column("src_offset").to_pylist()]
    assert offsets == list(range(40_000))


def test_a_wrong_schema_and_a_wrong_name_are_bugs(lake: Lake) -> None:
    unit = lake.writer("u-0-test-1")
    with pytest.raises(ValueError, match="not the table's schema"):
        unit.write("event_log_activity", book("s"))
    with pytest.raises(LakeError, match="no table 'nothing'"):
        unit.write("nothing", book("s"))
    unit.close()
    with pytest.raises(ValueError, match="closed"):
        unit.write("event_log_activity", events([1]))
    for name in ("", "../x", "a/b", ".a", "a b", "a%20"):
        with pytest.raises(ValueError, match="name of a unit"):
            lake.writer(name)


def test_a_discarded_unit_leaves_nothing(lake: Lake) -> None:
    def broken() -> None:
        with lake.writer("u-0-test-1") as unit:
            unit.write("event_log_activity", events(range(5000)))
            raise RuntimeError("the source changed meanwhile")

    with pytest.raises(RuntimeError, match="meanwhile"):
        broken()
    assert list(lake.root.rglob("*.parquet")) == []


LIMITED = """
import resource, sys
from tests.lake_case import SCHEMAS, events
from tracelake.lake.lake import Lake
lake = Lake.open(sys.argv[1], "case", create=True, schemas=SCHEMAS)
unit = lake.writer("u-0-test-1")
unit.write("process_activity", events(range(10)))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    for n in range(100):
        unit.write("event_log_activity", events(range(int(sys.argv[2]))))
    unit.close()
except OSError as error:
    print(error.errno, error.filename)
"""


@pytest.mark.parametrize("rows", [20_000, 1_000], ids=["in a row group", "at the end"])
def test_a_disk_that_fills_up_is_an_error_with_the_path(tmp_path: Path, rows: int) -> None:
    # A limit of the file's size is met at the same places as the disk's end (EFBIG for ENOSPC).
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path), str(rows)],
        env=environment(),
        cwd=Path(HERE).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stderr == ""
    number, path = run.stdout.split(maxsplit=1)
    assert number == "27"
    assert path.startswith(str(tmp_path / "case" / "event_log_activity" / "u-0-test-1."))
    assert list(tmp_path.rglob("*.parquet")) == []


LIMITED_LOG = """
import resource, sys
from tests.lake_case import SCHEMAS, write
from tracelake.lake.lake import Lake
lake = Lake.open(sys.argv[1], "case", create=True, schemas=SCHEMAS)
lake.commit([write(lake, 1)])
units = [write(lake, n) for n in range(2, 40)]
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, before[1]))
try:
    lake.commit(units)
except OSError as error:
    print(error.errno, error.filename, str(error).count("\\n"))
resource.setrlimit(resource.RLIMIT_FSIZE, before)
print(len(lake.snapshot().complete_units()), len(lake.commit(units).landed))
print(len(lake.snapshot().complete_units()))
"""


def test_a_log_that_cannot_be_written_is_an_error_and_no_harm(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", LIMITED_LOG, str(tmp_path)],
        env=environment(),
        cwd=Path(HERE).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    first, second, third = run.stdout.splitlines()
    assert first == f"27 {tmp_path / 'case' / 'event_log_activity'} 0"
    assert second == "1 38"
    assert third == "39"


# Commit


def test_a_commit_makes_whole_units(lake: Lake) -> None:
    assert lake.snapshot().tables == []
    outcome = lake.commit([write(lake, n) for n in range(3)])
    assert outcome.landed == tuple(unit_name(n) for n in range(3))
    assert outcome.skipped == ()
    now = lake.snapshot()
    assert now.tables == ["artifact", "event_log_activity", "process_activity", "source"]
    assert now.versions == dict.fromkeys(now.tables, 0)
    assert now.complete_units() == {unit_name(n) for n in range(3)}
    assert len(now.files("event_log_activity")) == 3
    assert count(now.files("event_log_activity")) == 9
    assert len(now.files("artifact")) == len(now.files("source")) == 1
    assert now.files("nothing") == []
    assert {name: [row["uri"] for row in rows] for name, rows in now.sources().items()} == {
        source_id(n): [f"/{source_id(n)}"] for n in range(3)
    }
    (row,) = now.artifact_rows(source_id(1))
    assert row["rows"] == {"event_log_activity": 3}
    assert now.artifacts(source_id(2)) == {0}
    assert now.artifacts(source_id(9)) == set()
    lake.commit([write(lake, 7)])
    assert unit_name(7) not in now.complete_units()
    assert count(now.files("event_log_activity")) == 9, "a snapshot does not move"
    assert count(lake.snapshot().files("event_log_activity")) == 12


def test_delta_readers_see_the_table(lake: Lake) -> None:
    lake.commit([write(lake, 1)])
    table = DeltaTable(str(lake.root / "event_log_activity"))
    schema = pa.schema(table.schema().to_arrow())
    assert schema.names == EVENTS.names
    assert schema.field("host").type in (pa.string(), pa.string_view())
    assert schema.field("time").metadata == {b"comment": b"it prunes"}
    assert not schema.field("src_offset").nullable
    assert table.count() == 3
    rows = duckdb.sql(f"SELECT time, host FROM read_parquet({table.file_uris()})").fetchall()
    assert len(rows) == 3


@pytest.mark.parametrize("fresh", [True, False], ids=["another process", "the same process"])
def test_the_same_unit_lands_once(lake: Lake, fresh: bool) -> None:
    lake.commit([write(lake, 1)])
    other = pickle.loads(pickle.dumps(lake)) if fresh else lake
    outcome = other.commit([write(other, 1), write(other, 2), write(other, 2)])
    assert (outcome.landed, outcome.skipped) == ((unit_name(2),), (unit_name(1),))
    now = lake.snapshot()
    for table in ("event_log_activity", "process_activity"):
        assert count(now.files(table)) == 6
        assert len(list((lake.root / table).glob("*.parquet"))) == 2, "no useless files are left"
    assert count(now.files("artifact")) == 2
    assert len(list((lake.root / "artifact").glob("*.parquet"))) == 2


def test_a_unit_without_its_artifact_row_is_not_shown(lake: Lake) -> None:
    lake.commit([write(lake, 1)])
    unit = lake.writer(unit_name(2))
    unit.write("event_log_activity", events([1, 2]))
    outcome = lake.commit([unit.close()])
    assert outcome.landed == (unit_name(2),)
    assert not lake.snapshot().is_complete(unit_name(2))
    assert count(lake.snapshot().files("event_log_activity")) == 3
    # The next run writes it anew; what is in already stays, the rest is added.
    assert lake.commit([write(lake, 2)]).landed == (unit_name(2),)
    now = lake.snapshot()
    assert count(now.files("event_log_activity")) == 5
    assert count(now.files("process_activity")) == 6


def test_handles_that_raced_meet(lake: Lake) -> None:
    """Two processes that both have the tables open commit in turn, the same and others."""
    other = pickle.loads(pickle.dumps(lake))
    lake.commit([write(lake, 0)])
    other.commit([write(other, 1)])
    lake.commit([write(lake, 2), write(lake, 3)])
    outcome = other.commit([write(other, 2), write(other, 4)])
    assert outcome.skipped == (unit_name(2),)
    # After a commit that jumped over another's, the other's units are known too.
    lake.commit([write(lake, 5)])
    assert lake.commit([write(lake, 4)]).landed == ()
    assert other.commit([write(other, n) for n in range(6)]).landed == ()
    now = lake.snapshot()
    assert len(now.complete_units()) == 6
    for table in ("event_log_activity", "process_activity"):
        assert count(now.files(table)) == 18
    assert count(now.files("source")) == 6


def test_a_racing_creator_is_not_in_the_way(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    other = pickle.loads(pickle.dumps(lake))
    written = write(lake, 1)
    create = begin_module.put_if_absent

    def late(path: Path, data: bytes) -> bool:
        monkeypatch.setattr(begin_module, "put_if_absent", create)
        other.commit([write(other, 2)])
        return create(path, data)

    monkeypatch.setattr(begin_module, "put_if_absent", late)
    assert lake.commit([written]).landed == (unit_name(1),)
    assert lake.snapshot().complete_units() == {unit_name(1), unit_name(2)}
    assert count(lake.snapshot().files("event_log_activity")) == 6


def test_a_snapshot_has_the_tables_of_all_its_units(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit that fills a table for the first time, committed while a snapshot is taken."""
    unit = lake.writer(unit_name(1))
    unit.write("artifact", book(source_id(1)))
    lake.commit([unit.close()])
    pin = Snapshot._pin

    def slow(self: Snapshot, name: str, at: int | None = None) -> None:
        monkeypatch.setattr(Snapshot, "_pin", pin)
        lake.commit([write(lake, 2)])
        pin(self, name, at)

    monkeypatch.setattr(Snapshot, "_pin", slow)
    now = lake.snapshot()
    assert now.is_complete(unit_name(2))
    assert count(now.files("process_activity")) == 3


def test_creators_that_begin_together_land_a_unit_once(tmp_path: Path) -> None:
    """deltalake alone lets both land, in more than half of these rounds."""
    for number in range(10):
        lakes = [
            Lake.open(str(tmp_path / str(number)), "case", create=True, schemas=SCHEMAS)
            for _ in range(2)
        ]
        written = [write(lake, 1) for lake in lakes]
        begin = threading.Barrier(2)

        def go(
            lake: Lake, unit: WrittenUnit, begin: threading.Barrier = begin
        ) -> tuple[str, ...]:
            begin.wait()
            return lake.commit([unit]).landed

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(go, lakes, written))
        now = lakes[0].snapshot()
        assert {table: count(now.files(table)) for table in now.tables} == {
            "artifact": 1,
            "event_log_activity": 3,
            "process_activity": 3,
            "source": 1,
        }


def test_ids_are_found_across_checkpoints(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit_module, "CHECKPOINT_EVERY", 3)
    for n in range(8):
        lake.commit([write(lake, n)])
    table = lake.root / "artifact"
    assert log.last_checkpoint(table) == 6
    fresh = Lake.open(lake.uri, "case", schemas=SCHEMAS)
    assert fresh.snapshot().complete_units() == {unit_name(n) for n in range(8)}
    assert log.transactions(table, 4) == {unit_name(n) for n in range(5)}
    assert log.transactions(table, 6, since=4) == {unit_name(5), unit_name(6)}
    assert fresh.commit([write(fresh, n) for n in (0, 3, 7, 8)]).landed == (unit_name(8),)
    for unit in fresh.snapshot().complete_units():
        assert DeltaTable(str(table)).transaction_version(unit) == 1
    assert count(fresh.snapshot().files("process_activity")) == 27


def test_a_table_gets_new_columns_and_keeps_types(lake: Lake) -> None:
    lake.commit([write(lake, 1)])
    wider = {**SCHEMAS, "artifact": BOOK.append(pa.field("note", pa.string(), nullable=False))}
    later = Lake.open(lake.uri, "case", schemas=wider)
    unit = later.writer(unit_name(2))
    row = book(source_id(2))
    unit.write(
        "artifact",
        pa.RecordBatch.from_arrays([*row.columns, pa.array(["n"])], schema=wider["artifact"]),
    )
    assert later.commit([unit.close()]).landed == (unit_name(2),)
    assert DeltaTable(str(lake.root / "artifact")).to_pyarrow_table().num_rows == 2
    text = pa.field("artifact_no", pa.string())
    other = {**SCHEMAS, "artifact": wider["artifact"].set(2, text)}
    clash = Lake.open(lake.uri, "case", schemas=other)
    unit = clash.writer(unit_name(3))
    row = row.set_column(2, text, pa.array(["x"])).append_column("note", pa.array(["n"]))
    unit.write("artifact", row.cast(other["artifact"]))
    with pytest.raises(LakeError, match="column artifact_no"):
        clash.commit([unit.close()])


# Snapshots and windows


def commit_times(lake: Lake, number: int, times: list[int | None]) -> None:
    unit = lake.writer(unit_name(number))
    unit.write("event_log_activity", events(times, source_id(number)))
    unit.write("artifact", book(source_id(number)))
    lake.commit([unit.close()])


def test_a_window_takes_the_files_that_can_have_rows_in_it(lake: Lake) -> None:
    hour = 3_600_000_000
    far = 400_000 * 24 * hour * 30  # about the year 34,000
    commit_times(lake, 0, [0, hour - 1])
    commit_times(lake, 1, [hour, 2 * hour])
    commit_times(lake, 2, [None, None])
    commit_times(lake, 3, [None, 3 * hour, None])
    commit_times(lake, 4, [-far, far])  # cannot be said in the log: in every window
    now = lake.snapshot()

    def units(since: int | None, until: int | None) -> set[int]:
        files = now.files(
            "event_log_activity",
            None if since is None else at(since),
            None if until is None else at(until),
        )
        return {int(Path(file).name[:16], 16) for file in files}

    assert units(None, None) == {0, 1, 2, 3, 4}
    assert units(hour + 1000, None) == {1, 3, 4}
    assert units(hour + 1001, 2 * hour) == {1, 4}
    assert units(None, hour) == {0, 4}
    assert units(None, hour + 1) == {0, 1, 4}
    assert units(2 * hour + 1001, 3 * hour) == {4}
    assert units(3 * hour, 3 * hour + 1) == {3, 4}
    assert len(now.files("artifact", at(0), at(1))) == 5, "a table without times has no window"
    with pytest.raises(ValueError, match="time zone"):
        now.files("event_log_activity", datetime(2024, 1, 1))


def test_odd_places(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="%20"):
        Lake.open(str(tmp_path / "a%20b"), "case", create=True)
    lake = Lake.open(str(tmp_path / "a b%#?é"), "case", create=True, schemas=SCHEMAS)
    lake.commit([write(lake, 1)])
    lake.commit([write(lake, 2)])
    files = lake.snapshot().files("event_log_activity")
    assert count(files) == 6
    assert duckdb.sql(f"SELECT count(*) FROM read_parquet({files})").fetchall() == [(6,)]


def test_two_commits_from_the_same_version(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The narrowest race: another commits between the look at the log and our commit."""
    lake.commit([write(lake, 0)])
    other = pickle.loads(pickle.dumps(lake))
    written = [write(lake, 1), write(lake, 2)]
    attempt = commit_module.Committer._try
    beaten = []

    def late(self: commit_module.Committer, table: str, *rest: object) -> bool:
        if table not in beaten:
            beaten.append(table)
            # The same unit and another one, in the table that is about to be committed.
            unit = write(other, 1)
            only = WrittenUnit(
                unit.unit,
                {name: files for name, files in unit.files.items() if name == table},
                {name: rows for name, rows in unit.books.items() if name == table},
            )
            other.commit([only])
        return attempt(self, table, *rest)

    monkeypatch.setattr(commit_module.Committer, "_try", late)
    lake.commit(written)
    assert beaten == ["event_log_activity", "process_activity", "artifact", "source"]
    now = lake.snapshot()
    assert now.complete_units() == {unit_name(n) for n in range(3)}
    for table in ("event_log_activity", "process_activity"):
        assert count(now.files(table)) == 9
        assert sorted(p.name for p in (lake.root / table).glob(f"{unit_name(2)}.*")) == [
            file.name for file in written[1].files[table]
        ]
    assert count(now.files("artifact")) == count(now.files("source")) == 3
    for table in beaten:
        logged = {Path(path).name for path in now.files(table)}
        there = {path.name for path in (lake.root / table).glob("*.parquet")}
        assert logged <= there


def test_a_commit_that_only_seemed_to_fail_keeps_its_files(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = commit_module.Committer._try

    def unsure(self: commit_module.Committer, *rest: object) -> bool:
        assert attempt(self, *rest)
        return False

    monkeypatch.setattr(commit_module.Committer, "_try", unsure)
    lake.commit([write(lake, 1)])
    now = lake.snapshot()
    for table in ("event_log_activity", "process_activity"):
        assert count(now.files(table)) == 3
    assert count(now.files("source")) == 1
