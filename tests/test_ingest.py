"""The whole line: evidence in, tables out, exactly once, whatever happens."""

import gzip
import importlib.util
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from line import EVIDENCE, command, rows, tracelake

from tracelake.case import open_case
from tracelake.ingest import pack, workers
from tracelake.ingest import run as ingest_run
from tracelake.ingest.events import Task, UnitReady
from tracelake.ingest.identify import Identified
from tracelake.ingest.waiting import LOT_BYTES, SMALL, Waiting
from tracelake.lake.lake import Lake
from tracelake.lake.pack import is_pack
from tracelake.native.errors import Corrupt
from tracelake.parsers import evtx
from tracelake.parsers.artifact import Artifact, Match, Parser

LOG = EVIDENCE / "logs" / "crackmapexec_sysmon.evtx"
OTHER = EVIDENCE / "logs" / "eternal_romance_psexec.evtx"


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def ingest(lake: Path, *paths: Path, workers: int = 1, code: int = 0) -> dict[str, object]:
    done = tracelake(
        "ingest", *paths, "-e", "t", "--lake", lake, "--workers", str(workers), "--json", code=code
    )
    report: dict[str, object] = json.loads(done.stdout)
    report["stderr"] = done.stderr
    return report


def test_the_evidence_is_in_and_its_books_close(lake: Path) -> None:
    report = ingest(lake, EVIDENCE)
    assert report["sources"] == sum(1 for path in EVIDENCE.rglob("*") if path.is_file())
    assert report["open_accounts"] == []
    assert "0 findings" in tracelake("verify", "-e", "t", "--lake", lake).stdout


def test_the_same_again_adds_nothing(lake: Path) -> None:
    ingest(lake, EVIDENCE)
    before = rows(lake)
    again = ingest(lake, EVIDENCE)
    assert again["sources"] == 0
    assert len(again["skipped"]) > 10  # type: ignore[arg-type]
    assert rows(lake) == before


def test_workers_do_not_change_the_rows(lake: Path, tmp_path: Path) -> None:
    ingest(lake, EVIDENCE, workers=1)
    ingest(tmp_path / "two", EVIDENCE, workers=3)
    assert rows(tmp_path / "two") == rows(lake)


def test_containers_hold_the_same_rows_as_loose_files(lake: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    packed.mkdir()
    (packed / "a.evtx.gz").write_bytes(gzip.compress(LOG.read_bytes()))
    with zipfile.ZipFile(packed / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(OTHER, "C/Windows/System32/winevt/Logs/Security.evtx")
        archive.write(OTHER, "copy/of/Security.evtx")
        archive.writestr("notes.xyz", b"\x00\x01 nothing that anyone reads")
    report = ingest(lake, packed)
    loose = ingest(tmp_path / "loose", LOG, OTHER)
    assert report["parsers"]["evtx"]["rows"] == loose["parsers"]["evtx"]["rows"]  # type: ignore[index]
    left = {item["path"]: item["refused"] for item in report["left"]}  # type: ignore[attr-defined]
    assert "the same bytes as C/Windows" in left["copy/of/Security.evtx"]["*"]
    assert set(left["notes.xyz"]) >= {"evtx"}
    assert "0 findings" in tracelake("verify", "-e", "t", "--lake", lake).stdout


def test_the_same_bytes_under_two_names_are_read_once_and_listed_twice(
    lake: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(LOG, folder / "one.evtx")
    shutil.copy(LOG, folder / "two.evtx")
    first = ingest(lake, folder)
    assert first["sources"] == 1
    single = ingest(tmp_path / "single", LOG)
    assert first["parsers"]["evtx"]["rows"] == single["parsers"]["evtx"]["rows"]  # type: ignore[index]
    for _ in range(2):  # the second time nothing is added
        case = open_case(lake, engagement="t")
        paths = case.sql("select unnest(paths) from artifact").fetchall()
        assert sorted(path for (path,) in paths) == ["one.evtx", "two.evtx"]
        ingest(lake, folder)


def test_a_source_that_changes_meanwhile_is_refused(lake: Path, tmp_path: Path) -> None:
    path = tmp_path / "grows.evtx"
    shutil.copy(LOG, path)
    case = open_case(lake, engagement="t")

    def grow(event: object, report: object) -> None:
        if not isinstance(event, UnitReady):
            path.touch()
            with path.open("ab") as file:
                file.write(b"more")

    report = case.ingest([path], watch=grow)
    assert report.sources == 0
    assert "changed while it was read" in report.failed[0][1]
    assert report.exit_code == 1
    assert sum(sum(counter.values()) for counter in rows(lake).values()) == 0
    assert list(lake.rglob("*.parquet")) == [], "nothing half written is left"


def test_what_cannot_be_read_does_not_stop_the_others(lake: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    shutil.copy(LOG, folder / "good.evtx")
    (folder / "empty.pcap").touch()
    (folder / "gone").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe")
    report = ingest(lake, folder, code=1)
    failed = {Path(item["path"]).name: item["why"] for item in report["failed"]}  # type: ignore[attr-defined]
    assert failed == {"gone": "No such file or directory", "pipe": "not a regular file"}
    assert report["sources"] == 2
    left = {item["path"]: item["refused"] for item in report["left"]}  # type: ignore[attr-defined]
    assert left["empty.pcap"] == {"*": "the file is empty"}
    for line in str(report["stderr"]).splitlines():
        assert line.startswith("tracelake: /"), "the file, then the reason"


def test_a_folder_without_permission_is_named(lake: Path, tmp_path: Path) -> None:
    closed = tmp_path / "in" / "closed"
    closed.mkdir(parents=True)
    shutil.copy(LOG, tmp_path / "in")
    closed.chmod(0)
    # Root may enter every folder: give that right up for this command.
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    try:
        done = subprocess.run(
            [*drop, *command("ingest", tmp_path / "in", "-e", "t", "--lake", lake)],
            capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    finally:
        closed.chmod(0o700)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr == f"tracelake: {closed}: Permission denied\n"
    assert "1 sources in" in done.stdout


def test_a_full_disk_is_a_clear_error_and_leaves_nothing_half(lake: Path, tmp_path: Path) -> None:
    # No file may grow beyond 32 KiB, which some of the rows need.
    limited = [
        "sh", "-c", 'ulimit -f 64; exec "$@"', "sh",
        *command("ingest", EVIDENCE, "-e", "t", "--lake", lake, "--workers", "1"),
    ]
    done = subprocess.run(
        limited, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "the lake cannot be written" in done.stderr
    ingest(lake, EVIDENCE)
    whole = tmp_path / "whole"
    ingest(whole, EVIDENCE)
    assert rows(lake) == rows(whole)


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_any_moment_and_run_again_it_is_as_if_undisturbed(
    lake: Path, tmp_path: Path, workers: int
) -> None:
    undisturbed = tmp_path / "undisturbed"
    started = time.monotonic()
    ingest(undisturbed, EVIDENCE, workers=workers)
    whole = time.monotonic() - started
    chance = random.Random(workers)
    for _ in range(5):
        run = subprocess.Popen(
            command(
                "ingest", EVIDENCE, "-e", "t", "--lake", lake, "--workers", str(workers), "--json"
            ),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            start_new_session=True,
        )
        time.sleep(chance.uniform(0.3, 1.0) * whole)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        if (lake / "t" / "tracelake.json").exists():
            found = rows(lake)  # readable at every moment
            for table, counter in found.items():
                assert all(n == 1 or table == "damage" for n in counter.values()), table
    ingest(lake, EVIDENCE, workers=workers)
    assert rows(lake) == rows(undisturbed)
    assert "0 findings" in tracelake("verify", "-e", "t", "--lake", lake).stdout


def test_ctrl_c_ends_cleanly_and_says_how_to_go_on(lake: Path, tmp_path: Path) -> None:
    many = tmp_path / "in"
    many.mkdir()
    data = LOG.read_bytes()
    for i in range(300):
        (many / f"{i}.evtx").write_bytes(data + bytes([i % 256, i // 256]))
    run = subprocess.Popen(
        command("ingest", many, "-e", "t", "--lake", lake, "--workers", "2"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    marker = lake / "t" / "source" / "_delta_log"
    while not (marker.is_dir() and list(marker.iterdir())):
        time.sleep(0.02)
        assert run.poll() is None
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 1, out + err
    assert "the same command goes on from here" in err
    assert "Traceback" not in err
    report = ingest(lake, many, workers=2)
    assert 0 < len(report["skipped"]) < 300  # type: ignore[arg-type]
    single = ingest(tmp_path / "single", LOG)
    per_file = sum(single["parsers"]["evtx"]["rows"].values())  # type: ignore[index]
    total = sum(sum(counter.values()) for name, counter in rows(lake).items()
                if name not in ("source", "artifact", "damage"))
    assert total == 300 * per_file


def test_queries_see_whole_units_while_an_ingest_runs(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_run, "COMMIT_EVERY", 0.0)
    monkeypatch.setattr(ingest_run, "COMMIT_SHARE", 0.0)
    monkeypatch.setattr(workers, "LOT_FILES", 1)
    case = open_case(lake, engagement="t")
    seen: list[int] = []

    def look(event: object, report: object) -> None:
        if isinstance(event, UnitReady):
            found = open_case(lake, engagement="t").sql(
                "select (select count(*) from raw_event), "
                "(select coalesce(sum(rows['raw_event']), 0)::bigint from artifact)"
            ).fetchone()
            assert found is not None
            assert found[0] == found[1], "what the books say is there, is there"
            seen.append(found[0])

    case.ingest([EVIDENCE / "logs"], watch=look)
    assert seen == sorted(seen)
    assert len(set(seen)) > 2


class Dies:
    """A parser that behaves as badly as told."""

    def __init__(self, how: str) -> None:
        self.how = how

    def match(self, head: bytes, path: str) -> tuple[Match, str]:
        return (Match.CONTENT, "") if path.startswith("bad") else (Match.NO, "not bad")

    def read(self, artifact: object) -> object:
        if self.how == "bug":
            raise ZeroDivisionError("division by zero")
        raise Corrupt("header", 4, "contradicts itself")
        yield


@pytest.mark.parametrize("how", ["bug", "corrupt"])
def test_a_bug_fails_its_source_and_damage_fails_nothing(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    bad = Dies(how)
    parser = Parser("bad", "1", bad.match, (), bad.read)  # type: ignore[arg-type]
    from tracelake.ingest import identify as identify_module
    from tracelake.ingest import source as source_module

    def identify(head: bytes, path: str) -> object:
        return identify_module.identify(head, path, (parser, *identify_module.PARSERS))

    monkeypatch.setattr(source_module, "identify", identify)
    (tmp_path / "bad.bin").write_bytes(b"x" * 100)
    case = open_case(lake, engagement="t")
    report = case.ingest([tmp_path / "bad.bin", LOG])
    if how == "bug":
        ((path, why),) = report.failed
        assert path.endswith("bad.bin")
        assert "a bug in tracelake" in why
        assert "ZeroDivisionError" in why
        assert report.exit_code == 1
        assert report.sources == 1
    else:
        assert report.exit_code == 0
        assert report.parsers["bad"].damage == 1
        row = case.sql("select what, why, src_offset from damage where parser = 'bad'").fetchall()
        assert row == [("header", "contradicts itself", 4)]


def test_small_files_go_to_a_worker_together_past_large_ones() -> None:
    sizes = [10, SMALL + 1, 20, 30, SMALL + 2, 40, 70]
    tasks = [Task(str(number), str(number), size) for number, size in enumerate(sizes)]
    waiting = Waiting(tasks, workers=1)
    waiting.again(Task("again", "again", 50, again=True))
    lots = []
    while waiting:
        lots.append([task.path for task in waiting.lot(4).tasks])
    assert lots == [["again"], ["0", "2", "3", "5"], ["1"], ["4"], ["6"]]
    many = Waiting([Task(str(number), "", SMALL) for number in range(20)], workers=1)
    assert len(many.lot(100).tasks) == LOT_BYTES // SMALL
    assert [task.path for task in many.lot(100).tasks] == ["16", "17", "18", "19"]


def test_small_logs_share_columns_and_not_each_others_troubles(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the logs of one lot one fails in the middle, after rows of its were put, and one is a
    copy in an archive: the others' rows are what they are alone."""
    from tracelake.ingest import source as source_module

    logs = sorted((EVIDENCE / "logs").glob("*.evtx"))
    fails = tmp_path / "fails.evtx"
    packed = EVIDENCE / "logs" / "win10-workstation-Security.evtx.gz"
    fails.write_bytes(gzip.decompress(packed.read_bytes())[: 4096 + 20 * 65536])
    assert 4 * 65536 < fails.stat().st_size < SMALL
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.write(logs[0], "a.evtx")
        archive.write(logs[0], "b.evtx")

    def read(artifact: Artifact) -> Iterator[object]:
        for number, given in enumerate(evtx.PARSER.read(artifact)):
            if number == 3 and artifact.path == fails.name:
                raise ZeroDivisionError("a bug")
            yield given

    def identify(head: bytes, path: str) -> Identified:
        return Identified(replace(evtx.PARSER, read=read), {})  # type: ignore[arg-type]

    others = [logs[1], logs[2], tmp_path / "twice.zip", logs[3]]
    with monkeypatch.context() as patch:
        patch.setattr(source_module, "identify", identify)
        report = open_case(lake, engagement="t").ingest([*others[:2], fails, *others[2:]])
    assert [path for path, _ in report.failed] == [str(fails)]
    alone = tmp_path / "alone"
    for path in others:
        open_case(alone, engagement="t").ingest([path])
    assert rows(lake) == rows(alone)
    # And the one that failed is whole when it is read again.
    for where in (lake, alone):
        open_case(where, engagement="t").ingest([fails])
    assert rows(lake) == rows(alone)


def test_a_killed_worker_fails_its_source_and_the_others_go_on(lake: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(6):
        (folder / f"{i}.evtx").write_bytes(LOG.read_bytes() + bytes([i]))
    case = open_case(lake, engagement="t")
    killed: list[int] = []

    def kill_one(event: object, report: object) -> None:
        if not killed:
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            workers = [
                int(pid) for pid in children
                if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
            ]
            if workers:
                killed.append(workers[0])
                os.kill(workers[0], signal.SIGKILL)

    report = case.ingest([folder], workers=2, watch=kill_one)
    assert killed
    assert len(report.failed) <= 1
    assert all("SIGKILL" in why for _, why in report.failed)
    assert report.sources + len(report.failed) == 6
    again = open_case(lake, engagement="t").ingest([folder])
    assert not again.failed
    assert again.sources == len(report.failed)


def test_two_ingests_at_once_commit_each_source_once(lake: Path, tmp_path: Path) -> None:
    runs = [
        subprocess.Popen(
            command("ingest", EVIDENCE, "-e", "t", "--lake", lake, "--workers", "1", "--json"),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for _ in range(2)
    ]
    for run in runs:
        _, err = run.communicate(timeout=120)
        assert run.returncode == 0, err
    ingest(tmp_path / "alone", EVIDENCE)
    assert rows(lake) == rows(tmp_path / "alone")


def test_memory_does_not_grow_with_the_source(tmp_path: Path) -> None:
    """The same log many times over in one gzip stream: ten times as long, as much memory."""
    peaks = []
    chunk = LOG.read_bytes()
    for times in (40, 400):
        path = tmp_path / f"{times}.evtx.gz"
        path.write_bytes(gzip.compress(chunk[:4096] + chunk[4096:] * times, 1))
        run = subprocess.Popen(
            command("ingest", path, "-e", "t", "--lake", tmp_path / f"lake{times}", "--workers",
                    "1", "--json"),
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        _, status, usage = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
        assert run.returncode == 0
        peaks.append(usage.ru_maxrss)
    assert peaks[1] < peaks[0] + 150_000, peaks  # kB


def test_wrong_usage_is_one_line_and_exit_code_2(lake: Path) -> None:
    for arguments, part in (
        (["ingest", "/nowhere/at/all", "-e", "t"], "no such file"),
        (["ingest", LOG, "-e", "Not An Id"], "is not an engagement id"),
        (["query", "select 1", "-e", "t", "--format", "xml"], "--format xml"),
        (["query", "select 1", "-e", "t", "--format", "parquet"], "needs -o FILE"),
        (["query", "select 1", "-e", "t", "--since", "yesterday"], "--since yesterday"),
    ):
        done = tracelake(*arguments, "--lake", lake, code=2)
        assert part in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_asking_an_engagement_that_is_not_there(lake: Path) -> None:
    ingest(lake, LOG)
    done = tracelake("query", "select 1", "-e", "other", "--lake", lake, code=1)
    assert done.stderr.startswith("tracelake: ")
    assert "other" in done.stderr
    assert "t" in done.stderr


def test_the_unit_of_a_run_that_died_is_not_seen(lake: Path) -> None:
    """Tables are committed one by one; a unit without its `artifact` row is left out."""
    case = open_case(lake, engagement="t")
    with pytest.MonkeyPatch.context() as patch:
        from tracelake.lake import commit as commit_module

        original = commit_module.Committer._commit_books

        def dies(self: object, table: str, units: object) -> object:
            raise OSError(28, "No space left on device", str(lake))

        patch.setattr(commit_module.Committer, "_commit_books", dies)
        report = case.ingest([LOG])
        assert "the lake cannot be written" in report.failed[0][1]
        assert report.exit_code == 1
        patch.setattr(commit_module.Committer, "_commit_books", original)
    case.refresh()
    events = [n for n in ("process_activity", "raw_event", "file_activity")]
    counts = [case.sql(f"select count(*) from {name}").fetchone() for name in events]
    assert counts == [(0,)] * 3, "data tables are committed, and not seen"
    case.ingest([LOG])
    total = sum((case.sql(f"select count(*) from {name}").fetchone() or (0,))[0] for name in events)
    assert total > 0
    assert ingest_run.COMMIT_UNITS > 1


def test_a_relation_goes_to_arrow_polars_and_pandas(lake: Path) -> None:
    case = open_case(lake, engagement="t")
    case.ingest([LOG])
    query = "select event_code, count(*) as n from process_activity group by all order by all"
    rows_ = case.sql(query).fetchall()
    assert rows_
    assert case.sql(query).pl().rows() == rows_
    assert case.sql(query).arrow().read_all().num_rows == len(rows_)
    if importlib.util.find_spec("pandas") is not None:
        assert list(case.sql(query).df().itertuples(index=False, name=None)) == rows_


def test_limits_of_this_process_stay(lake: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] in (resource.RLIM_INFINITY, -1)
    assert Lake.open(str(lake), "t", create=True).engagement == "t"


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_container_left_half_way_is_gone_on_with(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Members that are in keep their numbers, and a copy of one of them is still a copy."""
    monkeypatch.setattr(pack, "PACK_UNITS", 1)
    monkeypatch.setattr(ingest_run, "COMMIT_EVERY", 0.0)
    monkeypatch.setattr(ingest_run, "COMMIT_SHARE", 0.0)
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.xyz", b"\x00 nobody reads this")
        for name, member in (("a", LOG), ("b", OTHER), ("copy of a", LOG), ("copy of b", OTHER)):
            archive.writestr(f"{name}.evtx", member.read_bytes())
        archive.writestr("cut.evtx.gz", gzip.compress(LOG.read_bytes())[:4000])
    seen: list[UnitReady] = []

    def stop(event: object, report: object) -> None:
        if isinstance(event, UnitReady):
            seen.append(event)
            if len(seen) == after:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_case(lake, engagement="t").ingest([path], watch=stop)
    complete = Lake.open(str(lake), "t").snapshot().complete_units()
    units = {unit for unit in complete if not is_pack(unit)}
    assert len(units) == after, "the units that were ready are in"
    report = open_case(lake, engagement="t").ingest([path])
    assert report.exit_code == 0
    assert report.sources == 1
    open_case(tmp_path / "whole", engagement="t").ingest([path])
    assert rows(lake) == rows(tmp_path / "whole")
    assert "0 findings" in tracelake("verify", "-e", "t", "--lake", lake).stdout


def test_a_copy_of_what_could_not_be_read_is_not_said_to_be_in(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(LOG, folder / "one.evtx")
    shutil.copy(LOG, folder / "two.evtx")
    case = open_case(lake, engagement="t")

    def touch(event: object, report: object) -> None:
        if getattr(event, "path", "").endswith("one.evtx"):
            (folder / "one.evtx").touch()

    report = case.ingest([folder], watch=touch)
    assert [Path(path).name for path, _ in report.failed] == ["one.evtx", "two.evtx"]
    assert report.skipped == []
    assert case.ingest([folder]).sources == 1
