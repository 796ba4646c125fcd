"""A file that looks new is hashed while it is parsed: the same tables as when it is hashed first,
exactly once, whatever happens meanwhile. (Killed runs, and two at once: test_parts_workers.py, on
a file that is large enough.)"""

import errno
import io
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
from line import EVIDENCE, rows

from tracelake.ingest import pack, source
from tracelake.ingest import run as ingest_run
from tracelake.ingest.events import Event, Failed, Hashed, Read, UnitReady
from tracelake.ingest.file import CannotRead, HashedOnce
from tracelake.ingest.report import Report
from tracelake.ingest.run import Watch
from tracelake.lake.lake import Lake
from tracelake.lake.verify import verify

LOG = EVIDENCE / "logs" / "crackmapexec_sysmon.evtx"
OTHER = EVIDENCE / "logs" / "eternal_romance_psexec.evtx"


@pytest.fixture(params=["in a pack", "in files of its own"], autouse=True)
def small_files_are_large(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_run, "ONE_PASS", 1)
    if request.param == "in files of its own":
        monkeypatch.setattr(pack, "MOST_ROWS", 0)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file is begun to be read: "hash" for itself, "both" at once."""
    counted: Counter[str] = Counter()
    first, both = source.sha256_of, source.HashedOnce

    def hash_first(file: io.FileIO, path: str):  # type: ignore[no-untyped-def]
        counted["hash"] += 1
        return first(file, path)

    def once(file: io.FileIO) -> HashedOnce:
        counted["both"] += 1
        return both(file)

    monkeypatch.setattr(source, "sha256_of", hash_first)
    monkeypatch.setattr(source, "HashedOnce", once)
    return counted


def ingest(
    folder: Path, *paths: Path, watch: Watch | None = None, carve: bool = False
) -> Report:
    lake = Lake.open(str(folder), "t", create=True)
    return ingest_run.ingest(list(paths), lake, watch=watch, carve=carve)


def nothing_left(folder: Path) -> None:
    """Nothing is wrong, and no file is there that no log mentions."""
    found = list(verify(Lake.open(str(folder), "t"), grace=0))
    assert [line for checked in found for line in (*checked.wrong, *checked.notes)] == []


@pytest.mark.parametrize("carve", [False, True])
def test_the_tables_are_those_of_a_file_that_is_hashed_first(
    tmp_path: Path, passes: Counter[str], monkeypatch: pytest.MonkeyPatch, carve: bool
) -> None:
    assert ingest(tmp_path / "once", EVIDENCE, carve=carve).failed == []
    assert passes["both"] > 5, "loose files"
    assert passes["hash"] > 1, "containers, and files that no parser takes"
    monkeypatch.setattr(ingest_run, "ONE_PASS", 1 << 62)
    passes.clear()
    ingest(tmp_path / "first", EVIDENCE, carve=carve)
    assert not passes["both"]
    assert rows(tmp_path / "once") == rows(tmp_path / "first")
    names = [
        {path.name.split(".")[0] for path in (tmp_path / name).rglob("*.parquet")}
        for name in ("once", "first")
    ]
    if pack.MOST_ROWS == 0:
        assert {n for n in names[0] if "-evtx-" in n} == {n for n in names[1] if "-evtx-" in n}
    nothing_left(tmp_path / "once")


def test_what_is_in_is_hashed_and_not_parsed(tmp_path: Path, passes: Counter[str]) -> None:
    ingest(tmp_path / "lake", LOG)
    before = rows(tmp_path / "lake")
    passes.clear()
    again = ingest(tmp_path / "lake", LOG)
    assert (passes["hash"], passes["both"]) == (1, 0)
    assert len(again.skipped) == 1
    assert rows(tmp_path / "lake") == before
    # Other bytes of the same size look as if they were in, and are not.
    other = tmp_path / "other.evtx"
    data = bytearray(LOG.read_bytes())
    data[-1] ^= 1
    other.write_bytes(data)
    assert ingest(tmp_path / "lake", other).sources == 1
    nothing_left(tmp_path / "lake")


def test_two_copies_in_one_run_are_hashed_first(tmp_path: Path, passes: Counter[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(LOG, folder / "a.evtx")
    shutil.copy(LOG, folder / "b.evtx")
    (folder / "c.evtx").write_bytes(OTHER.read_bytes() + bytes(65536))
    report = ingest(tmp_path / "lake", folder)
    assert (passes["hash"], passes["both"]) == (2, 1)
    assert (report.sources, len(report.skipped)) == (2, 1)
    nothing_left(tmp_path / "lake")


def test_a_file_that_became_another_that_is_in_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks new by its size when the run is planned; what is read are bytes that are in."""
    ingest(tmp_path / "lake", LOG)
    before = rows(tmp_path / "lake")
    monkeypatch.setattr(ingest_run.Ingest, "_looks_new", lambda self, task: True)
    report = ingest(tmp_path / "lake", LOG)
    assert [why.split(",")[0] for _, why in report.skipped] == ["already in"]
    assert rows(tmp_path / "lake") == before
    nothing_left(tmp_path / "lake")


def test_a_run_that_ended_before_the_source_was_closed_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(tmp_path / "undisturbed", LOG)

    def killed(*_: object) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(source, "close_source", killed)
        patch.setattr(ingest_run, "COMMIT_EVERY", 0.0)
        patch.setattr(pack, "MOST_ROWS", 0)
        with pytest.raises(KeyboardInterrupt):
            ingest(tmp_path / "lake", LOG)
    assert "artifact" in Lake.open(str(tmp_path / "lake"), "t").snapshot().tables
    assert ingest(tmp_path / "lake", LOG).sources == 1
    assert rows(tmp_path / "lake") == rows(tmp_path / "undisturbed")
    nothing_left(tmp_path / "lake")


@pytest.mark.parametrize("change", ["grows", "shrinks", "goes"])
def test_a_file_that_changes_meanwhile_is_refused(tmp_path: Path, change: str) -> None:
    log = tmp_path / "log.evtx"
    shutil.copy(LOG, log)
    changed = []

    def meddle(event: Event, report: Report) -> None:
        if isinstance(event, Read) and event.path == str(log) and event.parsed and not changed:
            changed.append(event)
            if change == "goes":
                log.unlink()
            else:
                os.truncate(log, log.stat().st_size + (4096 if change == "grows" else -4096))

    report = ingest(tmp_path / "lake", log, watch=meddle)
    assert changed
    assert [path for path, _ in report.failed] == [str(log)]
    assert "while it was read" in report.failed[0][1]
    assert list((tmp_path / "lake").rglob("*.parquet")) == []
    shutil.copy(LOG, log)
    assert ingest(tmp_path / "lake", log).sources == 1
    nothing_left(tmp_path / "lake")


def test_a_disk_that_cannot_be_read_fails_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(HashedOnce):
        def readinto(self, buffer: memoryview) -> int:
            if self._given:
                raise CannotRead(f"at offset {self._given}: {os.strerror(errno.EIO)}")
            return super().readinto(buffer[:50_000])

    monkeypatch.setattr(source, "HashedOnce", Broken)
    report = ingest(tmp_path / "lake", LOG)
    assert report.failed == [(str(LOG), "at offset 50000: Input/output error")]
    assert list((tmp_path / "lake").rglob("*.parquet")) == []


def test_a_read_that_fails_says_where() -> None:
    class File(io.FileIO):
        def readinto(self, buffer: object) -> int:  # type: ignore[override]
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with File(LOG) as file, pytest.raises(CannotRead, match="at offset 0: Input/output error"):
        HashedOnce(file).readinto(memoryview(bytearray(8)))


def test_a_unit_that_was_handed_over_stays(tmp_path: Path) -> None:
    """Whoever stops listening after that takes nothing back: it may be in a commit."""
    lake = Lake.open(str(tmp_path / "lake"), "t", create=True)
    (task,) = ingest_run.plan([LOG]).tasks
    run = ingest_run.Ingest(lake)
    run._look()
    events = source.take_in(run._told([task]), lake, run._decide)
    ready = next(event for event in events if isinstance(event, UnitReady) and event.facts)
    events.close()  # type: ignore[attr-defined]
    if ready.unit is not None:
        lake.commit([ready.unit])
        assert rows(tmp_path / "lake")["artifact"]
        for table, files in ready.unit.files.items():
            assert all((lake.root / table / file.name).exists() for file in files)


def test_a_bug_in_a_parser_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decide(hashed: Hashed) -> None:
        raise ZeroDivisionError

    lake = Lake.open(str(tmp_path / "lake"), "t", create=True)
    (task,) = ingest_run.plan([LOG]).tasks
    run = ingest_run.Ingest(lake)
    run._look()
    events = list(source.take_in(run._told([task]), lake, decide))  # type: ignore[arg-type]
    assert [event.path for event in events if isinstance(event, Failed)] == [str(LOG)]
    assert list((tmp_path / "lake").rglob("*.parquet")) == []
