"""One large log on several workers, through the whole command: the same tables as with one
worker, exactly once, whatever is killed."""

import json
import os
import random
import signal
import struct
import subprocess
import sys
import time
from multiprocessing import active_children
from pathlib import Path

import pyarrow as pa
import pytest
from line import OF_THE_RUN, command, tracelake
from test_evtx_parts import CHUNKS, FILE_HEADER

from benchmarks.build import Chunk, chunks, numbered
from tracelake.ingest import run as ingest_run
from tracelake.ingest.events import Event, Read
from tracelake.lake.lake import Lake
from tracelake.lake.rows import read
from tracelake.lake.schema import delta_schema
from tracelake.normalize import TABLES
from tracelake.parsers import evtx

PARTS = evtx.PARSER.parts
assert PARTS is not None
LEAST = PARTS.least


def large_log(path: Path, copies: bool = False) -> None:
    """A log that is just large enough to be divided; with copies, and damage to frames."""
    chance = random.Random(7)
    whole: list[Chunk] = [c for data in CHUNKS for c in chunks(FILE_HEADER + data)]
    number = 1
    with path.open("wb") as out:
        out.write(FILE_HEADER)
        held: list[bytes] = []
        while out.tell() < LEAST + (4 << 20):
            piece = chance.choice(whole)
            data = numbered(piece, number)
            number += piece.records
            if copies and held and chance.random() < 0.05:
                data = bytearray(chance.choice(held))
            if copies and chance.random() < 0.05:
                held.append(bytes(data))
            if copies and chance.random() < 0.02:  # the signature of a record
                second = 512 + struct.unpack_from("<I", data, 516)[0]
                data[second : second + 4] = b"\xee" * 4
            if copies and chance.random() < 0.02:
                out.write(bytes(chance.randrange(3000)))
            out.write(data)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "large.evtx"
    large_log(path)
    return path


@pytest.fixture(scope="module")
def undisturbed(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = tmp_path_factory.mktemp("lake")
    ingest(lake, log, workers=1)
    return lake


def ingest(lake: Path, *paths: Path, workers: int, code: int = 0) -> dict[str, object]:
    done = tracelake(
        "ingest", *paths, "-e", "t", "--lake", lake, "--workers", str(workers), "--json", code=code
    )
    report: dict[str, object] = json.loads(done.stdout)
    report["stderr"] = done.stderr
    return report


def rows(lake: Path) -> dict[str, pa.Table]:
    """Every row of every table of complete units, in the order of the evidence."""
    snapshot = Lake.open(str(lake), "t").snapshot()
    found = {}
    for name in snapshot.tables:
        schema = delta_schema(TABLES[name].schema)
        files = [read(path, schema) for path in snapshot.files(name)]
        if files:
            table = pa.concat_tables(files)
            keep = [column for column in table.column_names if column not in OF_THE_RUN]
            order = ("source_id", "artifact_no", "src_offset", "sub")
            keys = [(column, "ascending") for column in order if column in keep]
            found[name] = table.select(keep).sort_by(keys).combine_chunks()
    return found


def files_of(lake: Path, table: str) -> list[Path]:
    return sorted((lake / "t" / table).glob("*.parquet"))


def sound(lake: Path, grace: bool = False) -> None:
    """Nothing is wrong, and no file is left that no log mentions."""
    assert "0 findings" in tracelake("verify", "-e", "t", "--lake", lake).stdout
    if not grace:
        from tracelake.lake.verify import verify

        opened = Lake.open(str(lake), "t")
        assert [n for checked in verify(opened, grace=0) for n in checked.notes] == []


@pytest.mark.parametrize("workers", [2, 3, 5])
def test_any_number_of_workers_gives_the_same_tables(
    log: Path, undisturbed: Path, tmp_path: Path, workers: int
) -> None:
    report = ingest(tmp_path, log, workers=workers)
    assert report["sources"] == 1
    assert report["open_accounts"] == []
    assert rows(tmp_path) == rows(undisturbed)
    assert len(files_of(tmp_path, "raw_event")) > 1, "it was read in parts"
    sound(tmp_path)


def test_copies_and_damage_across_parts(tmp_path: Path) -> None:
    path = tmp_path / "dirty.evtx"
    large_log(path, copies=True)
    ingest(tmp_path / "one", path, workers=1)
    whole = rows(tmp_path / "one")
    (artifact,) = artifacts(tmp_path / "one")
    assert artifact["duplicates"] > 100
    assert artifact["in_rows"] > 10_000
    for workers in (2, 3):
        lake = tmp_path / str(workers)
        ingest(lake, path, workers=workers)
        assert rows(lake) == whole
        sound(lake)
    assert len(files_of(tmp_path / "2", "raw_event")) > 1, "it was read in parts"


def artifacts(lake: Path) -> list[dict[str, int]]:
    snapshot = Lake.open(str(lake), "t").snapshot()
    return [row for source in snapshot.sources() for row in snapshot.artifact_rows(source)]


def test_a_template_that_must_be_guessed_is_read_by_one(tmp_path: Path) -> None:
    path = tmp_path / "guessed.evtx"
    large_log(path)
    data = bytearray(path.read_bytes())
    # The body of a definition far behind; its record still names it.
    at = data.rindex(b"\x0f\x01\x01\x00\x0c\x01")
    where = struct.unpack_from("<I", data, at + 10)[0] + (at - 4096) // 65536 * 65536 + 4096
    data[where + 24 : where + 60] = b"\xee" * 36
    path.write_bytes(data)
    for workers in (1, 2):
        ingest(tmp_path / str(workers), path, workers=workers)
        sound(tmp_path / str(workers))
    one, two = rows(tmp_path / "1"), rows(tmp_path / "2")
    # The second reading goes on in columns of the first: its hosts are those of `evtx_file`.
    for made in (one, two):
        made["artifact"] = made["artifact"].drop_columns(["devices"])
    assert two == one
    assert len(files_of(tmp_path / "2", "raw_event")) == 1, "one worker read it"


def test_what_is_in_already_is_skipped(log: Path, tmp_path: Path) -> None:
    ingest(tmp_path, log, workers=2)
    before = rows(tmp_path)
    again = ingest(tmp_path, log, workers=2)
    assert again["sources"] == 0
    assert len(again["skipped"]) == 1  # type: ignore[arg-type]
    assert rows(tmp_path) == before
    sound(tmp_path)
    # Other bytes of the same size: it looks as if it were in, and is not.
    other = log.with_name("other.evtx")
    data = bytearray(log.read_bytes())
    data[-1] ^= 1
    other.write_bytes(data)
    assert ingest(tmp_path, other, workers=2)["sources"] == 1
    sound(tmp_path)


def test_two_large_logs_and_small_ones_together(
    log: Path, undisturbed: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a-small.evtx").write_bytes(FILE_HEADER + CHUNKS[0])
    os.link(log, folder / "b.evtx")
    (folder / "c.evtx").write_bytes(log.read_bytes() + bytes(65536))
    for i, chunk in enumerate(CHUNKS[1:20]):
        (folder / f"d{i}.evtx").write_bytes(FILE_HEADER + chunk)
    one = ingest(tmp_path / "one", folder, workers=1)
    three = ingest(tmp_path / "three", folder, workers=3)
    assert three["sources"] == one["sources"]
    assert rows(tmp_path / "three") == rows(tmp_path / "one")
    sound(tmp_path / "three")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_two_runs_at_once(log: Path, undisturbed: Path, tmp_path: Path, workers: str) -> None:
    arguments = command(
        "ingest", log, "-e", "t", "--lake", tmp_path, "--workers", workers, "--json"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    runs = [
        subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        for _ in range(2)
    ]
    for run in runs:
        _, said = run.communicate(timeout=120)
        assert run.returncode == 0, said
    assert rows(tmp_path) == rows(undisturbed)
    sound(tmp_path)


def test_killed_at_any_moment(log: Path, undisturbed: Path, tmp_path: Path) -> None:
    whole = rows(undisturbed)
    chance = random.Random(3)
    took = 3.0
    for round_ in range(10):
        run = start(tmp_path, log, workers=chance.choice((1, 2, 3)))
        begun = time.monotonic()
        time.sleep(chance.uniform(0.2, took))
        if round_ % 2:
            os.killpg(run.pid, signal.SIGKILL)
        else:  # only the parent, or only a worker
            victim = chance.choice([run.pid, *children(run.pid)])
            with_worker = victim != run.pid
            if run.poll() is None:
                os.kill(victim, signal.SIGKILL)
            if with_worker:
                run.wait()
        run.wait()
        took = max(1.0, min(took, 1.2 * (time.monotonic() - begun)))
        wait_for_group(run.pid)
        if (tmp_path / "t" / "tracelake.json").exists():
            found = rows(tmp_path)
            for table in ("raw_event", "process_activity", "damage"):
                assert table not in found or found[table].equals(whole[table]), (round_, table)
    ingest(tmp_path, log, workers=2)
    assert rows(tmp_path) == whole
    sound(tmp_path, grace=True)


def test_workers_that_are_killed_take_their_file_with_them(log: Path, tmp_path: Path) -> None:
    lake = Lake.open(str(tmp_path / "lake"), "t", create=True)
    small = tmp_path / "small.evtx"
    small.write_bytes(FILE_HEADER + CHUNKS[0])
    killed: list[int] = []

    def kill_all(event: Event, report: object) -> None:
        if isinstance(event, Read) and event.path == str(log) and event.parsed and not killed:
            for worker in active_children():
                assert worker.pid is not None
                os.kill(worker.pid, signal.SIGKILL)
                killed.append(worker.pid)

    report = ingest_run.ingest([log, small], lake, workers=2, watch=kill_all)
    assert len(killed) == 2
    failed = dict(report.failed)
    assert "SIGKILL" in failed[str(log)]
    assert len(failed) + report.sources == 2
    sound(tmp_path / "lake", grace=True)
    again = ingest_run.ingest([log, small], lake, workers=2)
    assert again.sources == len(failed)
    assert again.failed == []
    sound(tmp_path / "lake", grace=True)


def test_a_log_that_grows_meanwhile_is_refused(log: Path, tmp_path: Path) -> None:
    path = tmp_path / "grows.evtx"
    path.write_bytes(log.read_bytes())
    lake = Lake.open(str(tmp_path / "lake"), "t", create=True)

    def grow(event: Event, report: object) -> None:
        if isinstance(event, Read) and event.parsed:
            with path.open("ab") as file:
                file.write(b"more")

    report = ingest_run.ingest([path], lake, workers=2, watch=grow)
    assert report.sources == 0
    assert len(report.failed) == 1
    assert "changed" in report.failed[0][1]
    assert list((tmp_path / "lake").rglob("*.parquet")) == [], "nothing half written is left"


def test_ctrl_c_leaves_nothing_half(log: Path, undisturbed: Path, tmp_path: Path) -> None:
    for pause in (0.5, 0.9, 1.4):
        run = start(tmp_path, log, workers=2)
        time.sleep(pause)
        os.killpg(run.pid, signal.SIGINT)
        run.wait(timeout=60)
        wait_for_group(run.pid)
        if (tmp_path / "t" / "tracelake.json").exists():
            sound(tmp_path)
    ingest(tmp_path, log, workers=2)
    assert rows(tmp_path) == rows(undisturbed)
    sound(tmp_path)


def start(lake: Path, log: Path, workers: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command("ingest", log, "-e", "t", "--lake", lake, "--workers", str(workers), "--json"),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def children(pid: int) -> list[int]:
    try:
        said = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in said.split()]


def wait_for_group(group: int) -> None:
    """Waits until no process of a group is left: workers notice that the parent is gone."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("a worker outlives its parent")
