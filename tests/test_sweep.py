"""What killed writers leave is removed, and nothing else."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from line import tracelake

from tests.lake_case import SCHEMAS, events, source_id, unit_name, write
from tracelake.lake.compact import compact
from tracelake.lake.errors import LakeError
from tracelake.lake.lake import Lake
from tracelake.lake.lease import FOLDER, Lease
from tracelake.lake.sweep import sweep


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(str(tmp_path), "case", create=True, schemas=SCHEMAS)


def orphan(lake: Lake, number: int, age: float = 0.0) -> Path:
    """A file of a unit that nobody will commit."""
    unit = lake.writer(unit_name(number))
    unit.write("event_log_activity", events(range(5), source_id(number)))
    (file,) = unit.close().files["event_log_activity"]
    path = lake.root / "event_log_activity" / file.name
    os.utime(path, (time.time() - age,) * 2)
    return path


def names(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_orphans_go_after_the_grace_period(lake: Lake) -> None:
    for n in range(3):
        lake.commit([write(lake, n)])
    list(compact(lake))
    unfinished = lake.writer(unit_name(3))
    unfinished.write("event_log_activity", events(range(3), source_id(3)))
    lake.commit([unfinished.close()])
    everything = names(lake.root)
    old, young = orphan(lake, 10, 7200), orphan(lake, 11)
    draft = lake.root / "event_log_activity" / "_delta_log" / ".00000000000000000009.json.abc"
    draft.write_bytes(b"{}")
    os.utime(draft, (time.time() - 7200,) * 2)
    assert {one.path for one in sweep(lake, 3600, dry_run=True)} == {str(old), str(draft)}
    assert old.exists()
    found = list(sweep(lake, 3600))
    assert {one.path for one in found} == {str(old), str(draft)}
    assert all(7200 <= one.age < 7300 for one in found)
    assert names(lake.root) == everything | {young}
    # Files that were merged and those of units that are not complete are mentioned: they stay.
    assert {one.path for one in sweep(lake, 0)} == {str(young)}
    assert names(lake.root) == everything


def test_what_a_running_process_writes_stays(lake: Lake) -> None:
    lake.commit([write(lake, 0)])
    with Lease(lake.root, "ingest"):
        # As old as a run of two days makes it, but younger than the run.
        path = orphan(lake, 1)
        assert list(sweep(lake, 0)) == []
        before = orphan(lake, 2, 100)
        assert [one.path for one in sweep(lake, 0)] == [str(before)]
    assert list((lake.root / FOLDER).iterdir()) == []
    assert [one.path for one in sweep(lake, 0)] == [str(path)]


def test_the_lease_of_a_killed_process_ends(lake: Lake) -> None:
    lake.commit([write(lake, 0)])
    program = (
        "import os, pathlib, sys; from tracelake.lake.lease import Lease; "
        "Lease(pathlib.Path(sys.argv[1]), 'ingest').begin(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(lake.root)], check=False)
    (left,) = (lake.root / FOLDER).iterdir()
    path = orphan(lake, 1)
    assert list(sweep(lake, 0)) == []
    os.utime(left, (time.time() - 3600,) * 2)
    assert {one.path for one in sweep(lake, 0)} == {str(path), str(left)}


def test_a_file_that_was_swept_is_not_committed(lake: Lake) -> None:
    """Whoever was held up longer than the grace period finds its files gone, and says so."""
    written = write(lake, 1)
    assert len(list(sweep(lake, 0))) == 2
    with pytest.raises(LakeError, match="is gone, before it was committed"):
        lake.commit([written])
    assert lake.commit([write(lake, 1)]).landed == (unit_name(1),)


def test_the_command(tmp_path: Path) -> None:
    tracelake("ingest", "examples/evidence/logs", "-e", "t", "--lake", str(tmp_path))
    stray = tmp_path / "t" / "artifact" / "lost.01234567-0.parquet"
    stray.write_bytes(b"PAR1")
    os.utime(stray, (1, 1))
    said = tracelake("sweep", "-e", "t", "--lake", str(tmp_path), "--dry-run")
    assert said.stdout.splitlines()[-1] == "1 files would be removed, 4 bytes"
    said = tracelake("sweep", "-e", "t", "--lake", str(tmp_path), "--json")
    assert str(stray) in said.stdout
    assert not stray.exists()
    said = tracelake("sweep", "-e", "t", "--lake", str(tmp_path), "--grace", "24", code=2)
    assert "such as 10m or 7d" in said.stderr
