"""Sources as users bring them: loose, compressed, archived, nested, cut, hostile."""

import bz2
import gzip
import io
import lzma
import random
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from tracelake.ingest import streams
from tracelake.ingest.containers import MAX_DEPTH, members
from tracelake.native.errors import EvidenceError
from tracelake.native.feed import Feed

CONTENT = b"".join(b"line %d of a log\n" % i for i in range(5000))


def found(data: bytes, name: str) -> list[tuple[str, bytes | str]]:
    """(path, content or the reason why it cannot be read) of each member."""
    out: list[tuple[str, bytes | str]] = []
    for member in members(io.BytesIO(data), name):
        if member.unread is not None:
            continue
        if member.trouble is not None:
            out.append((member.path, str(member.trouble)))
            continue
        feed = Feed(member.open())
        got = b""
        try:
            while part := feed.read(70_000):
                got += part
            out.append((member.path, got))
        except EvidenceError as error:
            out.append((member.path, f"{len(got)} bytes, then {error}"))
    return out


def a_zip(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/", b"")
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def a_tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link")
        link.type = tarfile.SYMTYPE
        link.linkname = "/etc/passwd"
        archive.addfile(link)
    return out.getvalue()


def zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


FILES = {"a/one.log": CONTENT, "two.log": b"2", "empty": b""}


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (CONTENT, "x.log", [("x.log", CONTENT)]),
        (b"", "empty.log", [("empty.log", b"")]),
        (gzip.compress(CONTENT), "x.log.gz", [("x.log", CONTENT)]),
        (gzip.compress(b"a") + gzip.compress(b"b"), "x", [("x", b"ab")]),
        (zst(CONTENT), "x.log.zst", [("x.log", CONTENT)]),
        (zst(b"a") + zst(b"b"), "x.zst", [("x", b"ab")]),
        (a_zip(FILES), "x.zip", list(FILES.items())),
        (a_tar(FILES), "x.tar", list(FILES.items())),
        (gzip.compress(a_tar(FILES)), "x.tar.gz", [(f"x.tar/{k}", v) for k, v in FILES.items()]),
        (zst(a_tar(FILES)), "x.tar.zst", [(f"x.tar/{k}", v) for k, v in FILES.items()]),
        (
            a_zip({"in.tar.gz": gzip.compress(a_tar({"deep": CONTENT})), "b.gz": zst(b"b")}),
            "x.zip",
            [("in.tar/deep", CONTENT), ("b", b"b")],
        ),
        (a_tar({"in.zip": a_zip({"deep": CONTENT})}), "x.tar", [("in.zip/deep", CONTENT)]),
    ],
)
def test_what_is_inside(data: bytes, name: str, expected: list[tuple[str, bytes]]) -> None:
    assert found(data, name) == expected


@pytest.mark.parametrize("pack", [gzip.compress, zst])
def test_a_cut_stream_gives_what_was_there_and_says_where_it_broke(pack: object) -> None:
    content = random.Random(1).randbytes(300_000)
    packed = pack(content)  # type: ignore[operator]
    for cut in (len(packed) // 2, len(packed) - 1):
        ((path, got),) = found(packed[:cut], "x.gz")
        assert path == "x"
        assert isinstance(got, str)
        given = int(got.split()[0])
        assert 0.4 * len(content) < given <= len(content)
        assert "stream at offset" in got


def test_a_flipped_bit_in_a_compressed_stream_is_seen() -> None:
    packed = bytearray(gzip.compress(CONTENT))
    packed[len(packed) // 2] ^= 4
    ((_, got),) = found(bytes(packed), "x.gz")
    assert isinstance(got, str)
    assert "gzip stream" in got


def test_a_broken_member_does_not_hide_the_others() -> None:
    data = bytearray(a_zip({"bad.log": CONTENT, "good.log": CONTENT}))
    at = data.index(b"bad.log") + 60
    data[at : at + 4] = b"\xff\xff\xff\xff"
    got = dict(found(bytes(data), "x.zip"))
    assert isinstance(got["bad.log"], str)
    assert "zip member" in got["bad.log"]
    assert got["good.log"] == CONTENT


def test_an_encrypted_member_is_named() -> None:
    data = bytearray(a_zip({"secret.log": CONTENT}))
    local, central = data.rindex(b"PK\x03\x04"), data.rindex(b"PK\x01\x02")
    data[local + 6] |= 1
    data[central + 8] |= 1
    ((path, why),) = found(bytes(data), "x.zip")
    assert path == "secret.log"
    assert isinstance(why, str)
    assert "it is encrypted: unpack it with its password" in why


def test_what_follows_a_gzip_stream_is_said_and_its_content_kept() -> None:
    ((path, got),) = found(gzip.compress(CONTENT) + b"\n", "x.log.gz")
    assert path == "x.log"
    assert got == (
        f"{len(CONTENT)} bytes, then gzip stream at offset {len(CONTENT)}: its content ends here, "
        "and what follows in the file is no gzip stream"
    )


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_cut_anywhere_is_an_answer_never_a_crash(kind: str) -> None:
    whole = a_zip(FILES) if kind == "zip" else a_tar(FILES)
    for cut in [*range(0, 1200), *range(1200, len(whole), 997)]:
        for path, got in found(whole[:cut], f"x.{kind}"):
            assert path
            if path in FILES and isinstance(got, bytes):
                assert FILES[path].startswith(got)


def test_a_bomb_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "FREE_EXPANSION", 1 << 20)
    zeros = bytes(20 << 20)
    for data, name in (
        (gzip.compress(zeros), "x.gz"),
        (zst(zeros), "x.zst"),
        (a_zip({"x": zeros}), "x.zip"),
        (gzip.compress(gzip.compress(zeros)), "x.gz.gz"),
    ):
        ((_, got),) = found(data, name)
        assert isinstance(got, str), name
        assert "expands more than 250-fold" in got


def test_dolls_in_dolls_end() -> None:
    data = CONTENT
    for _ in range(MAX_DEPTH + 3):
        data = gzip.compress(data)
    ((_, why),) = found(data, "x.gz")
    assert isinstance(why, str)
    assert "nested more than" in why


def test_hostile_member_names_are_only_names(tmp_path: Path) -> None:
    names = ["../../etc/passwd", "/abs", "C:\\x", "a\nb", "\x1b[31m"]
    data = a_zip({name: b"x" for name in names})
    assert len(found(data, "x.zip")) == len(names)
    assert list(tmp_path.iterdir()) == []


def pax(entries: list[tuple[tarfile.TarInfo, bytes]], form: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def entry(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple[
    tarfile.TarInfo, bytes
]:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(content), kind, link
    return info, content


def test_links_and_devices_of_a_tar_are_listed_not_read() -> None:
    data = pax(
        [
            entry("a.log", CONTENT),
            entry("folder", kind=tarfile.DIRTYPE),
            entry("again.log", kind=tarfile.LNKTYPE, link="a.log"),
            entry("passwd", kind=tarfile.SYMTYPE, link="/etc/passwd"),
            entry("null", kind=tarfile.CHRTYPE),
            entry("pipe", kind=tarfile.FIFOTYPE),
            entry("z" * 300, b"long names are no members"),
        ]
    )
    got = {member.path: member.unread for member in members(io.BytesIO(data), "x.tar")}
    assert got == {
        "a.log": None,
        "again.log": "a hard link to a.log, which is read under that name",
        "passwd": "a symbolic link to /etc/passwd",
        "null": "a device",
        "pipe": "not a file",
        "z" * 300: None,
    }


def test_a_tar_with_a_broken_header_does_not_end_in_silence() -> None:
    data = bytearray(a_tar({"one": CONTENT, "two": CONTENT}))
    second = data.rindex(b"two\0")
    data[second] ^= 1
    got = found(bytes(data), "x.tar")
    assert got[0] == ("one", CONTENT)
    assert got[1] == ("x.tar", f"tar header at offset {second}: bad checksum")


def test_a_tar_cut_between_two_members_is_seen() -> None:
    data = a_tar({"one": CONTENT, "two": CONTENT})
    got = found(data[: data.rindex(b"two\0")], "x.tar")
    assert got[0] == ("one", CONTENT)
    assert "without the two blocks that end an archive" in str(got[1])


def test_bytes_after_the_end_of_a_tar_are_seen() -> None:
    data = a_tar({"one": b"1"})
    assert found(data + bytes(5000), "x.tar") == [("one", b"1")]
    got = found(data + a_tar({"hidden": b"2"}), "x.tar")
    assert got[0] == ("one", b"1")
    assert got[1] == ("x.tar", f"tar at offset {len(data)}: there are bytes after the end of the "
                      "archive")


def test_a_sparse_member_of_a_tar_cannot_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "FREE_EXPANSION", 1 << 20)
    info, content = entry("holes", b"x" * 512, tarfile.GNUTYPE_SPARSE)
    head = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    huge = 1 << 40
    head[386:398], head[398:410] = b"%011o\0" % 0, b"%011o\0" % 512  # its one piece
    head[483:495] = b"\x80" + huge.to_bytes(11, "big")
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    ((path, got),) = found(bytes(head) + content + bytes(1024), "x.tar")
    assert path == "holes"
    assert "expands more than" in str(got)


def test_a_header_that_claims_gigabytes_is_not_read_into_memory() -> None:
    info, _ = entry("pax", kind=tarfile.XHDTYPE)
    info.size = 8 << 30
    ((path, why),) = found(info.tobuf(tarfile.GNU_FORMAT) + bytes(10240), "x.tar")
    assert path == "x.tar"
    assert "a name or attribute of 8589934592 bytes is not read" in str(why)


def test_the_members_of_a_tar_are_not_kept() -> None:
    data = pax([entry(f"{i}", b"x") for i in range(3000)])
    tracemalloc.start()
    try:
        for count, _ in enumerate(members(io.BytesIO(data), "x.tar")):
            if count == 500:
                before, _peak = tracemalloc.get_traced_memory()
        assert count == 2999
        after, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 300_000, "a kept header takes 600 bytes and more"


@pytest.mark.parametrize(
    ("pack", "suffix"), [(bz2.compress, "bz2"), (lzma.compress, "xz"), (zst, "zst")]
)
def test_other_compressions(pack: Callable[[bytes], bytes], suffix: str) -> None:
    assert found(pack(CONTENT) + pack(b"more"), f"x.log.{suffix}") == [("x.log", CONTENT + b"more")]
    packed = pack(a_tar(FILES))
    assert found(packed, f"x.tar.{suffix}") == [(f"x.tar/{k}", v) for k, v in FILES.items()]
    assert found(pack(b""), f"x.{suffix}") == [("x", b"")]
    packed = pack(random.Random(1).randbytes(3_000_000))
    ((path, got),) = found(packed[: len(packed) // 2], f"x.{suffix}")
    assert path == "x"
    assert "the last frame is cut" in str(got)
    assert int(str(got).split()[0]) > 800_000


def test_a_text_that_begins_like_bzip2_is_a_text() -> None:
    assert found(b"BZhello world", "x.log") == [("x.log", b"BZhello world")]


def test_a_frame_that_wants_gigabytes_of_memory_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}]
    data = lzma.compress(b"x", lzma.FORMAT_XZ, filters=filters)
    ((_, why),) = found(data, "x.xz")
    assert "xz stream" in str(why)


def test_two_members_of_one_name_are_two_artifacts() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("same", b"1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("same", b"2")
    assert found(out.getvalue(), "x.zip") == [("same", b"1"), ("same", b"2")]


def test_zip64_and_data_descriptors() -> None:
    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

    out = Unseekable()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("big", "w", force_zip64=True) as file:
            file.write(CONTENT)
        archive.writestr("b", b"2")
    assert found(out.getvalue(), "x.zip") == [("big", CONTENT), ("b", b"2")]


def test_a_disk_that_fails_is_an_answer() -> None:
    class Fails(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    (member,) = members(Fails(), "x")
    assert "Input/output error" in str(member.trouble)
