"""What is read of a source, in which order, and under which numbers."""

import gzip
import io
import shutil
import zipfile
from pathlib import Path

import pytest
from line import EVIDENCE, rows, tracelake

from tests.test_containers import a_tar, a_zip
from tracelake.case import open_case
from tracelake.ingest import source as ingest_source
from tracelake.ingest import want, zips
from tracelake.ingest.beside import in_folder, read_with
from tracelake.ingest.containers import content_of
from tracelake.ingest.events import How, Task
from tracelake.ingest.identify import may_be_text
from tracelake.ingest.waiting import Waiting
from tracelake.ingest.walk import Stream, walk_of
from tracelake.ingest.want import LAST_STAGE, Patterns, every, stage_of
from tracelake.ingest.zips import NAMED, ROOM, UNNAMED, ZipWalk
from tracelake.parsers.artifact import Rank

LOG = sorted((EVIDENCE / "logs").glob("*.evtx"))[0]
PATTERNS = (
    ("*/winevt/logs/*.evtx", Rank.EVENT_LOGS),
    ("$mft", Rank.FILE_SYSTEM),
    ("*/config/system", Rank.REGISTRY),
    ("$extend/$usnjrnl:$j", Rank.FILE_SYSTEM),
    ("*/default/history", Rank.BROWSER),
    ("var/log/syslog*", Rank.LOGS),
    ("*/log/*", Rank.REST),
)


@pytest.fixture(autouse=True)
def parsers_want(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patterns that stay the same, whatever parsers there are."""
    monkeypatch.setattr(want, "_of_parsers", lambda: Patterns(PATTERNS))
    last = [(pattern.rpartition("/")[2], rank) for pattern, rank in PATTERNS]
    found = Patterns([each for each in last if each[0].strip("*")])
    monkeypatch.setattr(want, "_by_last_part", lambda: found)


@pytest.mark.parametrize(
    ("path", "rank"),
    [
        ("C/Windows/System32/winevt/Logs/Security.evtx", Rank.EVENT_LOGS),
        ("Windows\\System32\\WINEVT\\Logs\\a.EVTX", Rank.EVENT_LOGS),
        ("uploads/ntfs/%5C%5C.%5CC%3A/$MFT", Rank.FILE_SYSTEM),
        ("$Extend/$UsnJrnl%3A$J", Rank.FILE_SYSTEM),
        ("C/Users/a/Default/History", Rank.BROWSER),
        ("[root]/var/log/syslog.2.gz", Rank.LOGS),
        ("var/log/else", Rank.REST),
        ("winevt/Logs/Security.evtx.txt", None),
        ("100%", None),
        ("", None),
    ],
)
def test_ranks_of_paths(path: str, rank: Rank | None) -> None:
    assert want.rank_of(path) == rank


def test_sources_are_begun_by_what_their_names_promise() -> None:
    names = {"a/History": 2, "x.pcap": 2, "h.zip": 0, "Security.evtx": 0, "disk.E01": 0, "$MFT": 0}
    assert {name: stage_of(name) for name in names} == names


FILES = {
    "notes.txt": b"n",
    "C/Users/a/Default/History": b"h",
    "C/Windows/System32/config/SYSTEM": b"s",
    "C/$MFT": b"m",
    "C/Windows/System32/winevt/Logs/b.evtx": b"b",
    "var/log/syslog.1.gz": gzip.compress(b"l"),
    "C/Windows/System32/winevt/Logs/a.evtx": b"a",
    "host.zip": a_zip({"x": b"x", "y": b"y"}),
    "odd": a_tar({"z": b"z"}),
}
NUMBER = {name: number for number, name in enumerate(FILES)}


def read(walk: ZipWalk | Stream, stages: range) -> list[tuple[int, str, bytes | None]]:
    return [(n, m.path, content_of(m, 1 << 20)) for n, m in walk.members(stages)]


def test_a_zip_is_read_by_rank_and_its_numbers_stay() -> None:
    walk = walk_of(io.BytesIO(a_zip(FILES)), "h.zip")
    first = read(walk, range(1))
    assert [(n, data) for n, _, data in first] == [
        (NUMBER["C/Windows/System32/winevt/Logs/b.evtx"], b"b"),
        (NUMBER["C/Windows/System32/winevt/Logs/a.evtx"], b"a"),
        (NUMBER["C/$MFT"], b"m"),
        (NUMBER["C/Windows/System32/config/SYSTEM"], b"s"),
        (NAMED, b"x"),
        (NAMED + 1, b"y"),
    ]
    assert first[-1][1] == "host.zip/y"
    assert walk.later(0) == 1
    assert read(walk, range(1, 2)) == [
        (NUMBER["var/log/syslog.1.gz"], "var/log/syslog.1", b"l")
    ]
    last = read(walk, range(2, LAST_STAGE + 1))
    odd = UNNAMED + NUMBER["odd"] * ROOM
    assert [n for n, _, _ in last] == [
        NUMBER["C/Users/a/Default/History"], NUMBER["notes.txt"], odd, odd + 1
    ]
    assert last[2] == (odd, "odd/z", b"z")
    assert walk.later(2) is None
    assert not walk.not_opened


def test_every_number_leads_back() -> None:
    data = a_zip(FILES)
    everything = [
        (n, m.path, content_of(m, 1 << 20))
        for n, m in walk_of(io.BytesIO(data), "h.zip").members(range(LAST_STAGE + 1))
        if m.unread is None
    ]
    assert len(everything) == len(FILES) - 2 + 3
    for number, path, content in everything:
        member = walk_of(io.BytesIO(data), "h.zip").find(number, path)
        assert member is not None
        assert (member.path, content_of(member, 1 << 20)) == (path, content)
    for number in (-1, len(FILES), NAMED + 2, NAMED + ROOM, UNNAMED, 2**31 - 1):
        assert walk_of(io.BytesIO(data), "h.zip").find(number, None) is None


def test_of_a_large_archive_only_what_is_asked_for_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(zips, "LARGE", 3)
    data = a_zip(FILES)
    walk = walk_of(io.BytesIO(data), "h.zip")
    seen = {path for _, path, _ in read(walk, range(LAST_STAGE + 1))}
    assert "notes.txt" not in seen
    assert "odd/z" not in seen
    assert "C/$MFT" in seen
    assert walk.not_opened == {want.NOT_WANTED: 2}
    walk = walk_of(io.BytesIO(data), "h.zip", None, How(every_file=True))
    assert len(read(walk, range(LAST_STAGE + 1))) == len(FILES) + 2
    assert not walk.not_opened


def test_a_stored_zip_in_a_zip_is_opened_at_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = a_zip({"big": b"b" * 100_000, "C/$MFT": b"m"})
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("host1.zip", inner)
    monkeypatch.setattr("tracelake.ingest.containers.MAX_NESTED_ZIP", 10)
    found = read(walk_of(io.BytesIO(out.getvalue()), "x.zip"), range(1))
    assert found == [
        (NAMED, "host1.zip/big", b"b" * 100_000), (NAMED + 1, "host1.zip/C/$MFT", b"m")
    ]


def test_siblings_in_a_zip_and_in_a_folder(tmp_path: Path) -> None:
    names = {"c/SYSTEM": b"hive", "c/system.LOG1": b"log", "d/SYSTEM.LOG1": b"no", "c/b": b"x" * 9}
    walk = walk_of(io.BytesIO(a_zip(names)), "x.zip")
    for name, data in names.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (member,) = (m for _, m in walk.members(range(9)) if m.path == "c/SYSTEM")
    for beside in (member.beside, in_folder(str(tmp_path / "c"))):
        assert beside.read("SYSTEM.LOG1", 100) == b"log"
        assert beside.read("SYSTEM.LOG2", 100) is None
        assert beside.read("B", 9) == b"x" * 9
        assert beside.read("B", 8) is None, "it is larger"
        assert beside.has("SYSTEM")
        assert not beside.has("c")
        assert read_with("c/system.LOG1", beside) == "read together with system"
        assert read_with("c/other.LOG1", beside) is None
        assert read_with(".log", beside) is None
    tar = walk_of(io.BytesIO(a_tar(names)), "x.tar")
    assert not any(m.beside.has("SYSTEM") for _, m in tar.members(range(1)))


def test_a_parser_gets_what_stands_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[bytes | None] = []

    def read_artifact(*arguments: object, **_: object) -> object:
        got.append(arguments[6]("a.txt", 100))  # type: ignore[operator]
        return real(*arguments)  # type: ignore[arg-type]

    real = ingest_source.read_artifact
    monkeypatch.setattr(ingest_source, "read_artifact", read_artifact)
    shutil.copy(LOG, tmp_path / "a.evtx")
    (tmp_path / "A.TXT").write_bytes(b"beside")
    (tmp_path / "a.evtx-wal").write_bytes(b"\x00\x01 a log that is nothing alone")
    case = open_case(tmp_path / "lake", engagement="t")
    case.ingest([tmp_path / "a.evtx", tmp_path / "a.evtx-wal"])
    assert got == [b"beside"]
    (refused,) = case.sql("select refused from artifact where parser is null").fetchall()
    assert refused == ({"*": "read together with a.evtx"},)


def test_stages_go_over_all_sources() -> None:
    tasks = [Task(n, n, 1) for n in ("1/History", "2/b.zip", "3/a.evtx", "4/$MFT", "5/x.bin")]
    waiting = Waiting(tasks, workers=2)
    assert [waiting.take().name for _ in tasks] == [
        "2/b.zip", "3/a.evtx", "4/$MFT", "1/History", "5/x.bin"
    ]
    assert not waiting
    assert all(task.last == LAST_STAGE for task in Waiting(tasks, 5).lot(9).tasks)


def hosts(folder: Path, count: int) -> None:
    """Collections with a log, a browser's history and something else in each."""
    folder.mkdir()
    content = LOG.read_bytes()
    for host in range(count):
        with zipfile.ZipFile(folder / f"{host}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            # Wrong bytes at the end make them different logs.
            tail = bytes([host]) * 10
            archive.writestr("C/Users/a/Default/History", content + b"h" + tail)
            archive.writestr("notes", b"\x00 nobody reads this" + tail)
            archive.writestr("C/Windows/System32/winevt/Logs/a.evtx", content + tail)


@pytest.mark.parametrize("workers", [1, 2])
def test_logs_of_every_host_come_before_browsers_of_any(tmp_path: Path, workers: int) -> None:
    hosts(tmp_path / "in", 4)
    order: list[str] = []

    def watch(event: object, report: object) -> None:
        facts = getattr(event, "facts", None)
        if facts is not None and facts.parser is not None:
            order.append(Path(facts.path).name)

    case = open_case(tmp_path / "lake", engagement="t")
    report = case.ingest([tmp_path / "in"], workers=workers, watch=watch)
    if workers == 1:
        assert order == ["a.evtx"] * 4 + ["History"] * 4
    # With more, one that would have nothing to do goes on while others are in an earlier stage.
    assert sorted(order) == ["History"] * 4 + ["a.evtx"] * 4
    assert report.sources == 4
    assert len(report.left) == 4
    closed = case.sql("select records, rows, damage from source").fetchall()
    sums = case.sql(
        "select sum(records), sum(damage) from artifact group by source_id"
    ).fetchall()
    assert sorted((r, d) for r, _, d in closed) == sorted(sums)
    assert "0 findings" in tracelake("verify", "-e", "t", "--lake", tmp_path / "lake").stdout
    again = case.ingest([tmp_path / "in"], workers=workers)
    assert (again.sources, len(again.skipped)) == (0, 4)


@pytest.mark.parametrize("after", [1, 3, 5, 7])
def test_stopped_between_stages_and_run_again_it_is_as_if_undisturbed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    from tracelake.ingest import pack
    from tracelake.ingest import run as ingest_run

    monkeypatch.setattr(pack, "PACK_UNITS", 1)
    monkeypatch.setattr(ingest_run, "COMMIT_EVERY", 0.0)
    monkeypatch.setattr(ingest_run, "COMMIT_SHARE", 0.0)
    hosts(tmp_path / "in", 3)
    seen = 0

    def stop(event: object, report: object) -> None:
        nonlocal seen
        if type(event).__name__ == "UnitReady":
            seen += 1
            if seen == after:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_case(tmp_path / "lake", engagement="t").ingest([tmp_path / "in"], watch=stop)
    report = open_case(tmp_path / "lake", engagement="t").ingest([tmp_path / "in"])
    assert report.exit_code == 0
    open_case(tmp_path / "whole", engagement="t").ingest([tmp_path / "in"])
    assert rows(tmp_path / "lake") == rows(tmp_path / "whole")
    assert "0 findings" in tracelake("verify", "-e", "t", "--lake", tmp_path / "lake").stdout


def test_with_all_files_every_file_has_its_hash(tmp_path: Path) -> None:
    import hashlib

    path = tmp_path / "x.zip"
    path.write_bytes(a_zip({"notes": b"\x00 nobody reads this", "a.evtx": LOG.read_bytes()}))
    tracelake("ingest", path, "--all-files", "-e", "t", "--lake", tmp_path / "lake")
    case = open_case(tmp_path / "lake", engagement="t")
    found = dict(case.sql("select paths[1], sha256 from artifact").fetchall())
    assert found == {
        "notes": hashlib.sha256(b"\x00 nobody reads this").hexdigest(),
        "a.evtx": hashlib.sha256(LOG.read_bytes()).hexdigest(),
    }


def test_the_names_of_two_files_in_one_folder_of_a_zip() -> None:
    """Whatever a directory says, a walk ends, and each file has a number of its own."""
    data = bytearray(a_zip({f"{n}": b"%d" % n for n in range(30)}))
    for at in range(0, len(data), 7):
        broken = bytearray(data)
        broken[at] ^= 0xFF
        numbers = [n for n, _ in walk_of(io.BytesIO(bytes(broken)), "x").members(range(9), every)]
        assert len(numbers) == len(set(numbers))



@pytest.mark.parametrize(
    ("head", "text"),
    [
        (b"a log\n" * 999, True), ("a log\n".encode("utf-16"), True), (b"", True),
        ("a log\n".encode("utf-16-be") * 99, True), (bytes(range(256)) * 4, False),
        (b"\x7fELF\2\1\1\0" + bytes(range(200)), False),
    ],
)
def test_what_may_be_text(head: bytes, text: bool) -> None:
    assert may_be_text(head) == text


def test_status_says_what_is_done_and_what_is_left(tmp_path: Path) -> None:
    hosts(tmp_path / "in", 3)
    lake = tmp_path / "lake"
    seen: list[list[tuple[str, str, int]]] = []
    case = open_case(lake, engagement="t")

    def watch(event: object, report: object) -> None:
        if type(event).__name__ == "SourceDone" and len(seen) < 4:
            now = open_case(lake, engagement="t").sql(
                "select state, stage, count(*)::int from intake group by all order by all"
            )
            seen.append(now.fetchall())

    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr("tracelake.ingest.intake.EVERY", 0.0)
        patch.setattr("tracelake.ingest.intake.SHARE", 0.0)
        case.ingest([tmp_path / "in"], watch=watch)
    assert ("put off", "browser, rest", 3) in seen[2]
    assert sum(count for _, _, count in seen[3]) == 3
    done = case.sql("select state, artifacts, left_aside, records > 0 from intake").fetchall()
    assert done == [("done", 2, 1, True)] * 3
    said = tracelake("status", "-e", "t", "--lake", lake).stdout
    assert "done" in said
    assert "last heard of an ingest" in said
