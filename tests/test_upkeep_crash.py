"""Merging, reading anew, letting go and sweeping, killed at each of their steps.

At every moment each source is there once, in one version, the same in all tables; who had looked
before goes on seeing what was there; and the next run of the same completes it.
"""

import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.lake_case import environment, source_id
from tests.upkeep_case import DATA, HERE, NEW, ROWS, fill, open_lake
from tracelake.lake.lake import Lake
from tracelake.lake.snapshot import Snapshot
from tracelake.lake.sweep import sweep
from tracelake.lake.verify import verify

ANEW = {1, 2, 4, 6}
Seen = dict[str, Counter[tuple[str, int]]]


def run(folder: Path, action: str, step: int) -> int:
    command = [sys.executable, HERE, str(folder), action, str(step)]
    root = Path(HERE).parent.parent
    return subprocess.run(command, env=environment(), cwd=root, check=False).returncode


def all_rows(now: Snapshot) -> Seen:
    """Source and offset of each row of each table, with how often it is there."""
    found: Seen = {}
    for table in DATA:
        counts = found.setdefault(table, Counter())
        for path in now.files(table):
            table_rows = pq.read_table(path, columns=["source_id", "src_offset"]).to_pylist()
            counts.update((row["source_id"], row["src_offset"]) for row in table_rows)
    for table in ("artifact", "source"):
        counts = found.setdefault(table, Counter())
        for path in now.files(table):
            units = pq.read_table(path, columns=["source_id", "unit"]).to_pylist()
            versions = [int(row["unit"].split("-")[3]) for row in units]
            counts.update((row["source_id"], v) for row, v in zip(units, versions, strict=True))
    return found


def expected(version: int) -> Seen:
    """What is there when sources `ANEW` are of a version."""
    of = {n: version if n in ANEW else 1 for n in range(8)}
    rows = Counter(
        (source_id(n), NEW * (v - 1) + k) for n, v in of.items() for k in range(ROWS + v - 1)
    )
    books = Counter((source_id(n), v) for n, v in of.items())
    return {**dict.fromkeys(DATA, rows), "artifact": books, "source": books}


def check(lake: Lake) -> int:
    """That everything is there once; the version that sources are of."""
    found = all_rows(lake.snapshot())
    assert found in (expected(1), expected(2))
    wrong = [line for checked in verify(lake, grace=0) for line in checked.wrong]
    assert wrong == []
    return 1 if found == expected(1) else 2


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filled")
    fill(open_lake(str(folder)))
    return folder


@pytest.mark.parametrize("action", ["compact", "reparse"])
def test_killed_at_each_step(tmp_path: Path, filled: Path, action: str) -> None:
    step, killed = 0, True
    while killed:
        step += 1
        folder = tmp_path / str(step)
        shutil.copytree(filled, folder)
        lake = open_lake(str(folder))
        before = lake.snapshot()
        opened = all_rows(before)
        code = run(folder, action, step)
        assert code in (0, -signal.SIGKILL)
        killed = code != 0
        version = check(lake)
        assert version == 1 if action == "compact" or step == 1 else True
        assert all_rows(before) == opened, "who looked before sees the same"
        late = Lake.open(str(folder), "case", schemas=lake._schemas)
        assert all_rows(late.snapshot(before.versions["artifact"])) == opened
        # What was left is removed, and nothing that is seen or can be seen.
        list(sweep(late, -1.0))
        assert check(lake) == version
        assert all_rows(before) == opened
        # The same once more, to its end; or another: each undoes what was left.
        assert run(folder, action, 0) == 0
        assert check(lake) == (1 if action == "compact" else 2)
        assert all_rows(late.snapshot(before.versions["artifact"])) == opened
        shutil.rmtree(folder)
    assert step > 20, "it has many steps"


def test_letting_go_killed_at_each_step(tmp_path: Path, filled: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(filled, base)
    assert run(base, "reparse", 0) == 0
    assert run(base, "compact", 0) == 0
    step, killed = 0, True
    while killed:
        step += 1
        folder = tmp_path / str(step)
        shutil.copytree(base, folder)
        code = run(folder, "expire", step)
        assert code in (0, -signal.SIGKILL)
        killed = code != 0
        lake = open_lake(str(folder))
        assert check(lake) == 2
        list(sweep(lake, -1.0))
        assert check(lake) == 2
        assert run(folder, "expire", 0) == 0
        list(sweep(lake, -1.0))
        assert check(lake) == 2
        shutil.rmtree(folder)
    assert step > 20


def test_swaps_that_were_killed_one_after_the_other(tmp_path: Path, filled: Path) -> None:
    """Each leaves something behind; the last one completes."""
    folder = tmp_path / "lake"
    shutil.copytree(filled, folder)
    lake = open_lake(str(folder))
    before = lake.snapshot().versions["artifact"]
    for step in (30, 45, 25, 50, 40, 35):
        run(folder, "reparse", step)
        check(lake)
        assert run(folder, "compact", 0) == 0
        check(lake)
    for action in ("reparse", "compact", "everything", "reparse"):
        assert run(folder, action, 0) == 0
        assert check(lake) == 2
    assert before >= 0
