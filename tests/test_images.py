"""Images of disks: each kind, each volume, each file system; their hashes; and broken ones."""

import bz2
import datetime
import gzip
import hashlib
import io
import lzma
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import time
import uuid
import zipfile
from pathlib import Path
from typing import Any

import pytest
import zstandard

pytest.importorskip("pyewf", reason="the extra `images` is not installed")

from line import EVIDENCE, command, rows, tracelake

from tests.disk_images import MIB, SECTOR, entry, ext, gpt, luks, lvm, mbr, table
from tracelake.case import open_case
from tracelake.ingest import image_storage
from tracelake.ingest import run as ingest_run
from tracelake.ingest.containers import Member, content_of
from tracelake.ingest.events import How, Key
from tracelake.ingest.identify import Identified
from tracelake.ingest.image_storage import extents, image_kind, segments
from tracelake.ingest.images import FIRST, ROOM, SHADOW, ImageWalk
from tracelake.ingest.walk import walk_of
from tracelake.ingest.want import AUDIT, NOT_WANTED
from tracelake.parsers import BY_NAME

LOG = sorted((EVIDENCE / "logs").glob("*.evtx"))[0]
TREE = {
    "Windows/System32/winevt/Logs/Security.evtx": LOG.read_bytes(),
    "Users/a/note.txt": b"a note",
    "Users/a/Note.txt-wal": b"beside",
    "empty": b"",
    "big.bin": random.Random(1).randbytes(1_300_000),
}
ALL = How(every_file=True)


def listed(path: Path, how: How = ALL) -> dict[str, str]:
    """The files of an image: path to SHA-256 or to why it cannot be read."""
    found = {}
    for _, member in walk(path, how).members(range(AUDIT + 1)):
        found[member.path] = state_of(member)
    return found


def state_of(member: Member) -> str:
    if member.trouble is not None or member.unread is not None:
        return str(member.trouble or member.unread)
    data = content_of(member, 1 << 30)
    return hashlib.sha256(data).hexdigest() if data is not None else "broken"


def walk(path: Path, how: How = ALL) -> ImageWalk:
    with path.open("rb", buffering=0) as file:
        found = walk_of(file, path.name, str(path), how)
    assert isinstance(found, ImageWalk), f"{path} is no image"
    return found


def tree_of(prefix: str = "") -> dict[str, str]:
    return {prefix + name: hashlib.sha256(data).hexdigest() for name, data in TREE.items()}


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return ext(tmp_path_factory.mktemp("ext"), TREE)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("kind", ["ext2", "ext3", "ext4"])
def test_ext(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "x.raw", ext(tmp_path, TREE, kind=kind))
    assert listed(path) == tree_of()


@pytest.mark.parametrize(
    ("form", "options", "suffix"),
    [
        ("qcow2", "", "qcow2"),
        ("vmdk", "", "vmdk"),
        ("vmdk", "subformat=streamOptimized", "vmdk"),
        ("vmdk", "subformat=twoGbMaxExtentSparse", "vmdk"),
        ("vmdk", "subformat=monolithicFlat", "vmdk"),
        ("vpc", "", "vhd"),
        ("vpc", "subformat=fixed", "vhd"),
        ("vhdx", "", "vhdx"),
    ],
)
def test_images_of_virtual_machines(
    tmp_path: Path, volume: bytes, form: str, options: str, suffix: str
) -> None:
    tool = shutil.which("qemu-img")
    if tool is None:
        pytest.skip("qemu-img is not installed")
    raw = write(tmp_path / "disk", volume)
    image = tmp_path / f"disk.{suffix}"
    more = ["-o", options] if options else []
    subprocess.run(
        [tool, "convert", "-f", "raw", "-O", form, *more, str(raw), str(image)], check=True
    )
    assert listed(image) == tree_of()


def tool(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/sbin:/usr/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def test_ntfs_with_streams_and_large_files(tmp_path: Path) -> None:
    make, copy = tool("mkntfs"), tool("ntfscp")
    image = tmp_path / "x.dd"
    with image.open("wb") as file:
        file.truncate(16 * MIB)
    subprocess.run([make, "-F", "-Q", "-q", "-s", "512", "-p", "0", "-H", "255", "-S", "63",
                    str(image)], check=True, capture_output=True)
    log = write(tmp_path / "a.evtx", LOG.read_bytes())
    big = write(tmp_path / "big", TREE["big.bin"])
    for source, more, name in ((log, [], "a.evtx"), (big, [], "big"), (log, ["-N", "ads"], "big")):
        subprocess.run([copy, "-f", *more, str(image), str(source), name], check=True)
    found = listed(image)
    of_log, of_big = (hashlib.sha256(p.read_bytes()).hexdigest() for p in (log, big))
    assert (found["a.evtx"], found["big"], found["big:ads"]) == (of_log, of_big, of_log)
    assert found["$BadClus:$Bad"] == "a hole: nothing of it is stored"


def test_xfs(tmp_path: Path) -> None:
    make = tool("mkfs.xfs")
    file = write(tmp_path / "file", TREE["big.bin"])
    proto = f"/\n0 0\nd--755 0 0\nvar d--755 0 0\nlog ---644 0 0 {file}\n$\n$\n"
    image = tmp_path / "x.dd"
    with image.open("wb") as out:
        out.truncate(320 * MIB)
    subprocess.run([make, "-q", "-p", str(write(tmp_path / "proto", proto.encode())), str(image)],
                   check=True)
    assert listed(image) == {"var/log": hashlib.sha256(TREE["big.bin"]).hexdigest()}


def test_segments_of_an_encase_image(tmp_path: Path) -> None:
    """A disk of noise in several segments; without the last it says so."""
    make = tool("ewfacquirestream")
    volume = ext(tmp_path, {"a.evtx": LOG.read_bytes(), "n": random.Random(2).randbytes(3 * MIB)})
    subprocess.run(
        [make, "-t", str(tmp_path / "x"), "-S", str(2 * MIB), "-f", "encase6", "-d", "sha1", "-q"],
        input=volume, check=True, capture_output=True,
    )
    image = tmp_path / "x.E01"
    assert len(segments(str(image))) > 2
    whole = listed(image)
    assert whole["a.evtx"] == hashlib.sha256(LOG.read_bytes()).hexdigest()
    opened = walk(image)
    for _ in opened.audit(str(image)):
        pass
    assert opened.facts["computed SHA1"] == opened.facts["stored SHA1"]
    assert opened.facts["computed SHA1"] == hashlib.sha1(volume).hexdigest()
    Path(segments(str(image))[-1]).unlink()
    assert "segments are missing" in listed(image)["x.E01"]


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("exfat_orphan", 3), ("fat_dir", 0), ("fat_lfn_test", 1), ("fat_noloop", 0),
        ("fat_unusual_cluster", 1), ("win_exfat_7", 4), ("ntfs3_attrlist", 0), ("ntfs_index", 0),
    ],
)
def test_unusual_volumes(shared: Path, tmp_path: Path, name: str, count: int) -> None:
    packed = shared / "triage" / "dfir_ntfs" / f"{name}.raw.gz"
    found = listed(write(tmp_path / "x.dd", gzip.decompress(packed.read_bytes())))
    if count or name.startswith("fat"):
        assert len(found) == count
    else:
        assert len(found) > 20
    assert "broken" not in found.values()


def test_what_only_holds_differences_is_refused(tmp_path: Path, volume: bytes) -> None:
    head = b"QFI\xfb" + (3).to_bytes(4, "big") + (104).to_bytes(8, "big") + (9).to_bytes(4, "big")
    path = write(tmp_path / "x.qcow2", head.ljust(104, b"\0") + b"base.qcow" + bytes(40_000))
    ((name, why),) = listed(path).items()
    assert name == "x.qcow2"
    assert "only what differs from 'base.qcow'" in why


def test_split_raw_is_one_source(tmp_path: Path, volume: bytes) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    step = 3 * MIB
    for number, at in enumerate(range(0, len(volume), step), 1):
        write(folder / f"disk.{number:03d}", volume[at : at + step])
    assert listed(folder / "disk.001") == tree_of()
    case = open_case(tmp_path / "lake", engagement="t")
    report = case.ingest([folder], workers=1)
    assert report.sources == 1
    assert [Path(path).name for path, _ in report.pieces] == ["disk.002", "disk.003"]
    assert case.sql("select sha256, size from source").fetchall() == [
        (hashlib.sha256(volume).hexdigest(), len(volume))
    ]
    assert "0 findings" in tracelake("verify", "-e", "t", "--lake", tmp_path / "lake").stdout


def test_names_of_segments(tmp_path: Path) -> None:
    for name in ("a.E01", "a.E02", "a.E04", "b.000", "b.001", "c.Ex01", "c.Ex02", "d.dd"):
        (tmp_path / name).touch()
    for n in range(1, 101):
        (tmp_path / f"e.E{n:02d}").touch()
    for name in ("e.EAA", "e.EAB"):
        (tmp_path / name).touch()

    def names(first: str) -> list[str]:
        return [Path(p).name for p in segments(str(tmp_path / first))]

    assert names("a.E01") == ["a.E01", "a.E02"]
    assert names("b.000") == ["b.000", "b.001"]
    assert names("c.Ex01") == ["c.Ex01", "c.Ex02"]
    assert names("d.dd") == ["d.dd"]
    assert names("e.E01")[-3:] == ["e.E99", "e.EAA", "e.EAB"]
    descriptor = b'# Disk DescriptorFile\nRW 8 FLAT "../../etc/passwd" 0\nRW 8 FLAT "d.dd" 0\n'
    path = write(tmp_path / "x.vmdk", descriptor)
    assert [Path(p).name for p in extents(str(path))] == ["d.dd"]


def test_partitions(tmp_path: Path, volume: bytes) -> None:
    small = ext(tmp_path, {"f": b"small"}, MIB, "ext2")
    path = write(tmp_path / "x.dd", mbr(volume, [small, small]))
    f = hashlib.sha256(b"small").hexdigest()
    assert listed(path) == tree_of("p1/") | {"p5/f": f, "p6/f": f}
    for sector in (512, 4096):
        path = write(tmp_path / "x.img", gpt([volume, b"", small], sector))
        assert listed(path) == tree_of("p1/") | {"p3/f": f}
    lost = bytearray(gpt([volume, b"", small]))
    lost[512:1024] = bytes(512)
    path = write(tmp_path / "x.img", bytes(lost))
    assert listed(path) == tree_of("p1/") | {"p3/f": f}, "by the copy of its header"


def test_a_partition_behind_the_end_and_a_chain_without_one(tmp_path: Path) -> None:
    disk = bytearray(64 * SECTOR)
    disk[:SECTOR] = table(entry(0x83, 1 << 20, 9), entry(5, 10, 20))
    disk[10 * SECTOR : 11 * SECTOR] = table(entry(0x83, 1, 1), entry(5, 0, 1))
    found = listed(write(tmp_path / "x.dd", bytes(disk)))
    assert set(found) == {"p1"}
    assert "behind the end of the image" in found["p1"]
    facts = walk(tmp_path / "x.dd").facts
    assert "no file system that is read" in facts["volume p5"]


def test_logical_volumes(tmp_path: Path, volume: bytes) -> None:
    path = write(tmp_path / "x.dd", gpt([lvm(volume)]))
    assert listed(path) == tree_of("p1/lv-root/")


@pytest.mark.parametrize(
    "guid", ["4967d63b-2e29-4ad8-8399-f6a339e3d001", "92a84d3b-dd80-4d0e-9e4e-b1e3284eaed8"]
)
def test_a_stick_with_bitlocker_is_not_its_fat_in_front(tmp_path: Path, guid: str) -> None:
    """BitLocker To Go: the sector of a FAT32, with a GUID where its code would be."""
    sector = bytearray(512)
    sector[:11] = b"\xeb\x58\x90MSWIN4.1"
    sector[11:17] = struct.pack("<HBHB", 512, 8, 32, 2)
    sector[82:90] = b"FAT32   "
    sector[424:440] = uuid.UUID(guid).bytes_le
    sector[510:] = b"\x55\xaa"
    path = write(tmp_path / "stick.raw", gpt([bytes(sector) + bytes(MIB)]))
    found = walk(path)
    (member,) = [m for _, m in found.members(range(AUDIT)) if m.trouble is not None]
    assert "BitLocker" in str(member.trouble)
    assert "fat" not in found.facts["volume p1"]


@pytest.mark.parametrize("key", [b"open sesame", b"open sesame\n"])
def test_luks_with_its_key(tmp_path: Path, volume: bytes, key: bytes) -> None:
    path = write(tmp_path / "x.dd", gpt([luks(volume, b"open sesame"), volume]))
    without = {n: m.path for n, m in walk(path).members(range(AUDIT))}
    assert "give its password" in listed(path)["p1"]
    assert "none of the given keys" in listed(path, How(True, (Key(b"wrong"),)))["p1"]
    how = How(True, (Key(b"wrong"), Key(key, "key.txt")))
    assert listed(path, how) == tree_of("p1/") | tree_of("p2/")
    with_key = {n: m.path for n, m in walk(path, how).members(range(AUDIT))}
    second = {n: p for n, p in without.items() if p.startswith("p2/")}
    assert second.items() <= with_key.items(), "a key does not move the files of another volume"
    assert b"sesame" not in repr(how).encode()


def test_a_key_is_nowhere_in_the_lake(tmp_path: Path, volume: bytes) -> None:
    path = write(tmp_path / "x.dd", gpt([luks(volume, b"open sesame")]))
    lake = tmp_path / "lake"
    done = tracelake("ingest", path, "--key", "open sesame", "-e", "t", "--lake", lake)
    assert "sesame" not in done.stdout + done.stderr
    for file in lake.rglob("*"):
        assert file.is_dir() or b"sesame" not in file.read_bytes()
    (row,) = open_case(lake, engagement="t").sql(
        "select row_id from timeline limit 1"
    ).fetchone() or ("",)
    shown = tracelake("show", row, "--key", "open sesame", "-e", "t", "--lake", lake)
    assert "cannot be shown" not in shown.stdout
    locked = tracelake("show", row, "-e", "t", "--lake", lake)
    assert "cannot be shown" in locked.stdout


def test_more_of_an_image_that_is_in(tmp_path: Path, volume: bytes) -> None:
    path = write(tmp_path / "x.dd", gpt([luks(volume, b"open sesame"), volume]))
    case = open_case(tmp_path / "lake", engagement="t")

    def files() -> dict[str, int]:
        found = case.sql("select path, artifact_no from artifact_path order by all").fetchall()
        return dict(found)

    first = case.ingest([path])
    assert (first.sources, len(first.unopened)) == (1, 1)
    before = files()
    assert len(before) == 2
    again = case.ingest([path], how=How(keys=(Key(b"open sesame"),)))
    assert (again.sources, again.failed) == (0, [])
    ((_, why),) = again.skipped
    assert "tried with the given keys" in why
    opened = files()
    log = "Windows/System32/winevt/Logs/Security.evtx"
    assert opened.keys() - before.keys() == {f"p1/{log}"}
    assert before.items() <= opened.items()
    case.ingest([path], how=How(every_file=True, keys=(Key(b"open sesame"),)))
    every = files()
    assert opened.items() <= every.items()
    assert len(every) == 1 + 2 * len(TREE)
    case.ingest([path], how=How(every_file=True, keys=(Key(b"open sesame"),)))
    assert files() == every
    assert case.sql("select count(*) from source").fetchall() == [(1,)]
    assert "0 findings" in tracelake("verify", "-e", "t", "--lake", tmp_path / "lake").stdout


def test_numbers_lead_back_and_do_not_depend_on_what_is_read(
    tmp_path: Path, volume: bytes
) -> None:
    path = write(tmp_path / "x.dd", gpt([volume, volume]))
    every = {n: (m.path, state_of(m)) for n, m in walk(path).members(range(AUDIT))}
    wanted = {n: (m.path, state_of(m)) for n, m in walk(path, How()).members(range(AUDIT))}
    assert wanted
    assert wanted.items() < every.items()
    assert min(every) == FIRST
    assert {n // ROOM for n in every} == {0, 1}
    for number, (name, state) in every.items():
        for given in (name, None):
            member = walk(path).find(number, given)
            assert member is not None
            assert (member.path, state_of(member)) == (name, state)
    assert walk(path).find(ROOM * SHADOW, None) is None
    looked = walk(path, How())
    assert len(list(looked.members(range(AUDIT)))) == 2
    assert looked.not_opened == {NOT_WANTED: 2 * (len(TREE) - 1)}


def test_no_parser_takes_an_image_for_its_own(
    tmp_path: Path, volume: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new large file is parsed before its hash is known: not so an image."""
    monkeypatch.setattr(ingest_run, "ONE_PASS", 0)
    greedy = Identified(BY_NAME["evtx"], {})
    monkeypatch.setattr("tracelake.ingest.source.identify", lambda head, path: greedy)
    monkeypatch.setattr(ingest_run, "is_foreign", lambda path: False)
    path = write(tmp_path / "x.dd", gpt([volume]))
    open_case(tmp_path / "lake", engagement="t").ingest([path])
    found = open_case(tmp_path / "lake", engagement="t").sql(
        "select path from artifact_path order by all"
    ).fetchall()
    assert found == [("p1/Windows/System32/winevt/Logs/Security.evtx",)]


def test_an_image_is_let_go_of(tmp_path: Path, volume: bytes) -> None:
    path = write(tmp_path / "x.dd", gpt([volume]))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        opened = walk(path)
        assert len(list(opened.members(range(AUDIT)))) == len(TREE)
        opened.close()
    assert len(os.listdir("/proc/self/fd")) <= before + 2


LINES = b"".join(
    b"Nov %2d 10:00:00 web sshd[7]: Failed password for root from 10.0.0.1 port %d ssh2\n" % (n, n)
    for n in range(1, 21)
)


def packed(data: bytes) -> dict[str, bytes]:
    """A log and its rotated ones, as logrotate packs them."""
    return {
        "var/log/auth.log": data, "var/log/auth.log.1": data,
        "var/log/auth.log.2.gz": gzip.compress(data), "var/log/auth.log.3.xz": lzma.compress(data),
        "var/log/auth.log.4.bz2": bz2.compress(data),
        "var/log/auth.log.5.zst": zstandard.compress(data),
    }


def lines_of(path: Path, lake: Path) -> list[tuple[str, int, int]]:
    """(path, rows, year) of the logs of a source."""
    case = open_case(lake, engagement="t")
    assert not case.ingest([path]).failed
    return case.sql(
        "select a.paths[1], count(*), max(year(t.time)) from authentication t "
        "join artifact a using (source_id, artifact_no) group by all order by 1"
    ).fetchall()


def test_rotated_logs_in_an_image_are_read_and_have_its_years(tmp_path: Path) -> None:
    # Other lines in each: the same bytes are read once.
    tree = {name: packed(LINES.replace(b"10.0.0.1", b"10.0.0.%d" % n))[name]
            for n, name in enumerate(packed(b""))}
    plain = sorted(name.rsplit(".", 1)[0] if n > 1 else name for n, name in enumerate(tree))
    written = datetime.datetime(2019, 11, 25, tzinfo=datetime.UTC).timestamp()
    volume = ext(tmp_path, tree, written=written)
    disk = write(tmp_path / "x.dd", gpt([volume]))
    assert lines_of(disk, tmp_path / "disk") == [(f"p1/{name}", 20, 2019) for name in plain]

    archive = tmp_path / "x.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, data in tree.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), int(written)
            tar.addfile(info, io.BytesIO(data))
    assert lines_of(archive, tmp_path / "tar") == [(f"x.tar/{name}", 20, 2019) for name in plain]

    inside = tmp_path / "x.zip"
    with zipfile.ZipFile(inside, "w") as out:
        out.write(disk, "x.dd")
    found = lines_of(inside, tmp_path / "zip")
    assert found == [(f"x.dd/p1/{name}", 20, 2019) for name in plain]


def test_what_writes_no_time_has_none(tmp_path: Path) -> None:
    path = write(tmp_path / "x.raw", ext(tmp_path, packed(LINES), written=0))
    found = {m.path: m.modified for _, m in walk(path).members(range(AUDIT)) if m.asked}
    assert len(found) == 6
    assert set(found.values()) == {None}


def test_archives_in_an_image_are_named(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("auth.log", LINES)
    tree = {"home/collection.zip": out.getvalue(), "home/unnamed": out.getvalue(), "home/x": b"x"}
    path = write(tmp_path / "x.raw", ext(tmp_path, tree))
    report = open_case(tmp_path / "lake", engagement="t").ingest([path])
    assert report.not_opened == {
        "an archive in an image: export it and ingest it": 1,
        "no parser asks for a file of this path": 2,
    }
    case = open_case(tmp_path / "all", engagement="t")
    case.ingest([path], how=How(every_file=True))
    refused = dict(case.sql("select paths[1], refused['*'] from artifact").fetchall())
    assert refused["home/collection.zip"] == refused["home/unnamed"]
    assert "export it" in refused["home/unnamed"]
    assert refused["home/x"] == "no parser takes it"


def test_siblings_in_an_image(tmp_path: Path, volume: bytes) -> None:
    path = write(tmp_path / "x.dd", gpt([volume]))
    (member,) = (m for _, m in walk(path).members(range(AUDIT)) if m.path.endswith("note.txt"))
    assert member.beside.read("NOTE.TXT-WAL", 100) == b"beside"
    assert member.beside.read("note.txt-wal", 2) is None
    assert member.beside.read("other", 100) is None


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("full", [True, False])
def test_ids_of_images(
    tmp_path: Path, volume: bytes, monkeypatch: pytest.MonkeyPatch, small: bool, full: bool
) -> None:
    if not small:
        for module in ("image_identity", "evidence"):
            monkeypatch.setattr(f"tracelake.ingest.{module}.SMALL_IMAGE", 1000)
    # One worker in this process: what was patched holds.
    monkeypatch.setattr(ingest_run, "is_foreign", lambda path: False)
    path = write(tmp_path / "x.dd", gpt([volume]))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    case = open_case(tmp_path / "lake", engagement="t")
    report = case.ingest([path], how=How(full_hash=full))
    assert (report.sources, report.failed, len(report.parsers)) == (1, [], 1)
    ((source_id, kind, found),) = case.sql(
        "select source_id, id_kind, sha256 from source"
    ).fetchall()
    assert kind == ("sha256" if small else "sampled")
    assert found == (sha256 if small or full else None)
    assert (source_id == sha256[:32]) == small
    from tracelake.ingest.verify import verify

    findings = [wrong for checked in verify(case.lake) for wrong in checked.wrong]
    assert findings == []
    assert len(case.ingest([path]).skipped) == 1
    # Other bytes in a place that is sampled are another image.
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    if not small:
        assert case.ingest([path], how=How(full_hash=full)).sources == 1


def test_an_image_is_read_stage_by_stage_and_its_hash_last(tmp_path: Path, volume: bytes) -> None:
    path = write(tmp_path / "x.dd", gpt([volume]))
    first = walk(path, How())
    assert [m.path for _, m in first.members(range(1))] == [
        "p1/Windows/System32/winevt/Logs/Security.evtx"
    ]
    assert first.later(0) is None, "nothing else is asked for, and its hash is known"
    assert ImageWalk(str(path), "x", "raw", How(), None, True).later(2) == AUDIT


def test_killed_and_run_again_an_image_is_as_if_undisturbed(
    tmp_path: Path, volume: bytes
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "x.dd", gpt([volume, volume]))
    for host in range(3):
        with zipfile.ZipFile(folder / f"{host}.zip", "w") as archive:
            log = LOG.read_bytes() + b"%d" % host
            archive.writestr("C/Windows/System32/winevt/Logs/a.evtx", log)
            archive.writestr("notes", b"\x00 %d" % host)
    given = ["ingest", folder, "--all-files", "--workers", "2", "-e", "t", "--lake"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for wait in (0.3, 0.5, 0.7, 0.9):
        run = subprocess.Popen(
            command(*given, tmp_path / "lake"), env=env, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        time.sleep(wait)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    tracelake(*given, tmp_path / "lake")
    tracelake(*given, tmp_path / "whole")
    assert rows(tmp_path / "lake") == rows(tmp_path / "whole")
    assert "0 findings" in tracelake("verify", "-e", "t", "--lake", tmp_path / "lake").stdout


def ewf(shared: Path, name: str) -> Path:
    path = shared / "images" / name
    if not path.exists():
        pytest.skip(f"{name} is not among the shared data")
    return path


def test_hashes_stored_in_an_image_are_compared(shared: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.E01"
    shutil.copy(ewf(shared, "plaso/image.E01"), path)
    path.chmod(0o644)
    case = open_case(tmp_path / "lake", engagement="t")
    assert case.ingest([path]).unopened == []
    ((facts,),) = case.sql("select facts from source").fetchall()
    assert facts["stored MD5"] == facts["computed MD5"] == "d73c51f10c7ee6a681b7b619ccc6f1c4"
    data = bytearray(path.read_bytes())
    at = data.index(bytes.fromhex("d73c51f10c7ee6a681b7b619ccc6f1c4"))
    data[at] ^= 1
    # The section's checksum (EWF: Adler-32 over the 32 bytes before it).
    import zlib

    data[at + 32 : at + 36] = zlib.adler32(bytes(data[at : at + 32])).to_bytes(4, "little")
    other = write(tmp_path / "y.E01", bytes(data))
    report = case.ingest([other])
    (damage,) = case.sql(
        "select why from damage as d join source as s using (source_id) where uri like '%y.E01'"
    ).fetchall()
    assert "its stored MD5 is d63c51f1" in damage[0]
    assert "its content's is d73c51f1" in damage[0]
    assert report.exit_code == 0
    assert case.ingest([other], how=How(full_hash=False)).sources == 0


def test_ntfs_with_streams(shared: Path) -> None:
    found = listed(ewf(shared, "velociraptor/test.ntfs.dd.E01"))
    stream = "Folder A/Folder B/Hello world text document.txt:goodbye.txt"
    assert stream in found
    assert "$Extend/$RmMetadata/$TxfLog/$Tops:$T" in found
    assert found["$BadClus:$Bad"] == "a hole: nothing of it is stored"
    assert "broken" not in found.values()
    assert not any(name.endswith("$I30") for name in found)


def test_indexes_of_folders_where_they_are_asked_for(shared: Path) -> None:
    path = ewf(shared, "velociraptor/test.ntfs.dd.E01")
    how = How(indexes=True)
    found = {m.path: (n, m) for n, m in walk(path, how).members(range(AUDIT))}
    assert {":$I30", "$MFT"} < found.keys()
    number, member = found[":$I30"]
    data = content_of(member, MIB)
    assert data is not None
    assert (len(data), data[:4]) == (4096, b"INDX")
    again = walk(path, how).find(number, ":$I30")
    assert again is not None
    assert content_of(again, MIB) == data
    plain = {m.path: n for n, m in walk(path).members(range(AUDIT))}
    assert plain["$MFT"] == found["$MFT"][0], "numbers stay"


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("velociraptor/test.ntfs.dd.E01", 30), ("velociraptor/fat_very_small.dd", 1),
        ("grr/ntfs_img.dd", 26), ("plaso/image.E01", 3), ("plaso/image.qcow2", 3),
        ("plaso/image.vmdk", 4), ("plaso/spotlight.10.13.dmg", 59), ("dfvfs/ext2.vhd", 4),
        ("dfvfs/ext2.qcow2", 4), ("bulk_extractor/tests/Data/ELF_2009-aor-test_spada4.iso", 0),
    ],
)
def test_what_another_reader_finds(shared: Path, name: str, count: int) -> None:
    """The Sleuth Kit lists the same files with the same content."""
    tsk: Any = pytest.importorskip("pytsk3")
    path = ewf(shared, name)
    opened = walk(path)
    mine = {m.path: state_of(m) for _, m in opened.members(range(AUDIT))}
    if count:
        assert len(mine) == count
    theirs: dict[str, str] = {}
    for slot in opened._volumes:
        volume = opened._volumes[slot]
        if volume.what in (None, "hfs"):
            return  # its build has no HFS+
        theirs |= with_tsk(tsk, volume)
    ours = {
        name: state for name, state in mine.items()
        if len(state) == 64 and not name.rpartition("/")[2].startswith("$") and ":" not in name
    }
    assert ours.items() <= theirs.items()
    files = {n for n in theirs if "$" not in n}
    assert {n for n in files if n not in mine} == set()


def with_tsk(tsk: Any, volume: Any) -> dict[str, str]:
    from tracelake.ingest.image_tsk import _image

    system = tsk.FS_Info(_image(tsk, volume.disk))
    found: dict[str, str] = {}

    def look(path: str) -> None:
        for item in system.open_dir(path=f"/{path}"):
            name, meta = item.info.name.name.decode(), item.info.meta
            if name in (".", "..") or meta is None or item.info.name.flags & 2:
                continue
            inside = f"{path}/{name}" if path else name
            if meta.type == tsk.TSK_FS_META_TYPE_DIR:
                look(inside)
            elif meta.type == tsk.TSK_FS_META_TYPE_REG:
                data = item.read_random(0, meta.size) if meta.size else b""
                prefix = f"{volume.name}/" if volume.name else ""
                found[prefix + inside] = hashlib.sha256(data).hexdigest()

    look("")
    return found


def test_without_the_libraries_an_image_is_left_and_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    path = write(tmp_path / "x.E01", b"EVF\x09\x0d\x0a\xff\x00" + bytes(100_000))
    monkeypatch.setattr(image_storage.importlib, "import_module", missing)
    monkeypatch.setattr(ingest_run, "is_foreign", lambda path: False)
    report = open_case(tmp_path / "lake", engagement="t").ingest([path])
    ((_, _, refused),) = report.left
    assert "pip install 'tracelake[images]'" in refused["*"]


def test_an_image_in_other_containers(tmp_path: Path, volume: bytes) -> None:
    """Compressed it is held in memory; stored in a zip it is read at its place."""
    image = gpt([volume])
    expected = sorted(state for state in tree_of().values())
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        archive.writestr("a.dd", image)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.dd", image)
    for name, data in {
        "x.dd.gz": gzip.compress(image, 1), "x.zip": stored.getvalue(), "y.zip": packed.getvalue()
    }.items():
        path = write(tmp_path / name, data)
        with path.open("rb", buffering=0) as file:
            opened = walk_of(file, name, str(path), ALL)
            found = [(n, m.path, state_of(m)) for n, m in opened.members(range(AUDIT))]
            asked = walk_of(file, name, str(path))
            some = [(n, m.path, state_of(m)) for n, m in asked.members(range(AUDIT))]
            assert set(some) < set(found)
            assert len(some) == 1
            assert asked.not_opened == {NOT_WANTED: len(TREE) - 1}
        assert sorted(state for _, _, state in found) == expected, name
        assert all("p1/" in place for _, place, _ in found)
        number, place, state = found[-1]
        with path.open("rb", buffering=0) as file:
            member = walk_of(file, name, str(path)).find(number, place)
            assert member is not None
            assert (member.path, state_of(member)) == (place, state)


def test_what_is_no_image() -> None:
    for data in (b"", b"\x55\xaa" * 300, b"text " * 20_000, bytes(100_000), b"\xff" * 100_000):
        assert image_kind(io.BytesIO(data)) is None
    boot = bytearray(512)
    boot[3:11] = b"NTFS    "
    assert image_kind(io.BytesIO(bytes(boot))) is None, "a boot sector alone"
    assert image_kind(io.BytesIO(bytes(boot) * 100)) == "raw"


EXAMINE = """
import sys
import tarfile
from pathlib import Path
sys.path[:0] = {path!r}
from tests.test_images import walk, state_of
from tracelake.ingest.events import How
for name in sys.argv[1:]:
    try:
        opened = walk(Path(name), How(True, (), True))
    except AssertionError:
        continue
    numbers = []
    for number, member in opened.members(range(4)):
        numbers.append(number)
        state_of(member)
        if len(numbers) > 5000:
            break
    assert len(numbers) == len(set(numbers)), name
    for _ in opened.audit(name):
        pass
print("whole")
"""


@pytest.mark.parametrize("kind", ["ext", "shared"])
def test_broken_images_are_answers(
    tmp_path: Path, volume: bytes, kind: str, request: pytest.FixtureRequest
) -> None:
    """Cut and flipped, in a process of its own: libraries in C read them."""
    if kind == "ext":
        seeds = [("x.dd", gpt([volume[: 2 * MIB]])), ("y.dd", mbr(volume[: 2 * MIB], [])),
                 ("l.dd", lvm(volume)[: 4 * MIB])]
    else:
        shared = request.getfixturevalue("shared")
        names = ["velociraptor/test.ntfs.dd.E01", "plaso/image.E01", "plaso/image.qcow2",
                 "plaso/image.vmdk", "dfvfs/ext2.vhd", "velociraptor/fat_very_small.dd",
                 "grr/ntfs_img.dd", "plaso/spotlight.10.13.dmg"]
        seeds = [(Path(n).name, ewf(shared, n).read_bytes()) for n in names]
    chance = random.Random(7)
    paths = []
    for name, data in seeds:
        for turn in range(12):
            bad = bytearray(data)
            if turn % 3 == 0:
                del bad[chance.randrange(len(bad)) :]
            for _ in range(turn):
                at = chance.randrange(min(len(bad), 1 << 16) or 1)
                if bad:
                    bad[at] = chance.randrange(256)
            paths.append(str(write(tmp_path / f"{turn}-{name}", bytes(bad))))
    code = EXAMINE.format(path=sys.path)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code, *paths], capture_output=True, text=True, timeout=300, env=env,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "whole\n"
