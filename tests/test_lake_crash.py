"""Processes that commit at once, and processes that are killed while they do."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq

from tests.lake_case import HERE, SCHEMAS, environment, unit_name
from tracelake.lake.lake import Lake
from tracelake.lake.verify import verify

SECONDS = 12.0
"""How long processes are started and killed."""


def start(folder: Path, first: int, last: int, group: int) -> subprocess.Popen[str]:
    command = [sys.executable, HERE, str(folder), str(first), str(last), str(group)]
    return subprocess.Popen(
        command, env=environment(), cwd=Path(HERE).parent.parent, stdout=subprocess.PIPE, text=True
    )


def check_whole(folder: Path, units: set[str], rows: int) -> None:
    """Every complete unit has all its rows in every table, once; nothing is wrong."""
    lake = Lake.open(str(folder), "case", schemas=SCHEMAS)
    now = lake.snapshot()
    assert now.complete_units() >= units
    for table in ("event_log_activity", "process_activity"):
        found: dict[str, int] = {}
        for path in now.files(table):
            unit = Path(path).name.rsplit(".", 2)[0]
            found[unit] = found.get(unit, 0) + pq.read_metadata(path).num_rows
        assert found == dict.fromkeys(now.complete_units(), rows)
    ids = [row["source_id"] for row in (r for rows in now.sources().values() for r in rows)]
    assert len(ids) == len(set(ids))
    assert [line for checked in verify(lake) for line in checked.wrong] == []


def test_processes_commit_at_once(tmp_path: Path) -> None:
    """Four writers begin on an empty lake; half of what each has, another has too."""
    ranges = [(0, 40), (20, 60), (40, 80), (0, 80)]
    running = [start(tmp_path, first, last, 5) for first, last in ranges]
    said = [process.communicate(timeout=60)[0].split() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0, 0]
    landed = [unit for words in said for unit in words[1:]]
    assert {unit_name(n) for n in range(80)} == set(landed)
    check_whole(tmp_path, set(landed), 3)
    lake = Lake.open(str(tmp_path), "case", schemas=SCHEMAS)
    assert len(lake.snapshot().complete_units()) == 80
    assert [line for checked in verify(lake, grace=0) for line in checked.notes] == []


def test_killed_at_any_moment(tmp_path: Path) -> None:
    chance = random.Random(20240229)
    Lake.open(str(tmp_path), "case", create=True)
    last = 10_000
    said: set[str] = set()
    kills = 0
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        process = start(tmp_path, 0, last, chance.choice((1, 3, 7)))
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        time.sleep(chance.uniform(0.0, 0.25))
        process.send_signal(signal.SIGKILL)
        said.update(process.stdout.read().split())
        assert process.wait() == -signal.SIGKILL
        process.stdout.close()
        kills += 1
        check_whole(tmp_path, {unit for unit in said if unit.endswith("-0-test-1.0")}, 3)
    assert kills >= 3
    done = len(Lake.open(str(tmp_path), "case", schemas=SCHEMAS).snapshot().complete_units())
    assert done > 0
    # The same command again, undisturbed.
    process = start(tmp_path, 0, done + 20, 7)
    process.communicate(timeout=60)
    assert process.returncode == 0
    check_whole(tmp_path, {unit_name(n) for n in range(done + 20)}, 3)
