"""Sources as users bring them: loose, compressed, archived, nested, cut, hostile."""

import gzip
import io
import random
import tarfile
import zipfile
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
    assert "encrypted" in why


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
