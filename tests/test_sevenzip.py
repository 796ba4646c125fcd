"""7-Zip archives: every method, solid and not, nested, locked, cut and flipped."""

import hashlib
import io
import lzma
import random
from pathlib import Path
from typing import Any

import pytest

from tests.test_containers import CONTENT, a_zip, found
from tracelake.ingest import image_storage, sevenzip
from tracelake.ingest.containers import content_of, members

py7zr: Any = pytest.importorskip("py7zr", reason="the extra `images` is not installed")

FILES = {
    "a/one.log": CONTENT,
    "C%3A/two": random.Random(3).randbytes(3_000_000),
    "empty": b"",
    "three": b"3" * 400_000,
}


def a_7z(
    files: dict[str, bytes], filters: list[dict[str, Any]] | None = None, **more: Any
) -> bytes:
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w", filters=filters, **more) as archive:
        for name, data in files.items():
            archive.writestr(data, name)
    return out.getvalue()


METHODS = {
    "lzma2": [{"id": py7zr.FILTER_LZMA2, "preset": 1}],
    "lzma": [{"id": py7zr.FILTER_LZMA, "preset": 1}],
    "bcj": [{"id": py7zr.FILTER_X86}, {"id": py7zr.FILTER_LZMA2, "preset": 1}],
    "delta": [{"id": py7zr.FILTER_DELTA}, {"id": py7zr.FILTER_LZMA2, "preset": 1}],
    "bzip2": [{"id": py7zr.FILTER_BZIP2}],
    "deflate": [{"id": py7zr.FILTER_DEFLATE}],
    "zstd": [{"id": py7zr.FILTER_ZSTD, "level": 3}],
    "bcj and lzma": [{"id": py7zr.FILTER_X86}, {"id": py7zr.FILTER_LZMA}],
    "copy": [{"id": py7zr.FILTER_COPY}],
}


@pytest.mark.parametrize("method", METHODS)
def test_methods(method: str) -> None:
    assert found(a_7z(FILES, METHODS[method]), "x.7z") == list(FILES.items())


def test_archives_in_one_another() -> None:
    inner = a_7z({"deep": CONTENT})
    assert found(a_7z({"in.7z": inner, "b": b"b"}), "x.7z") == [
        ("in.7z/deep", CONTENT), ("b", b"b")
    ]
    assert found(a_zip({"in.7z": inner}), "x.zip") == [("in.7z/deep", CONTENT)]
    assert found(a_7z({"in.zip": a_zip({"deep": CONTENT})}), "x.7z") == [("in.zip/deep", CONTENT)]


def test_members_may_be_left_unread() -> None:
    """What is not read of a solid block is passed over."""
    archive = io.BytesIO(a_7z(FILES, METHODS["lzma2"]))
    names = [member.path for member in members(archive, "x.7z")]
    assert names == list(FILES)


def test_locked_archives_are_named() -> None:
    for more in ({"password": "secret"}, {"password": "secret", "header_encryption": True}):
        out = found(a_7z({"a": b"a"}, **more), "x.7z")
        assert len(out) == 1
        assert "it is encrypted" in str(out[0][1])


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    data = a_7z({"a": b"a"})
    monkeypatch.setattr(image_storage.importlib, "import_module", missing)
    (member,) = members(io.BytesIO(data), "x.7z")
    assert "pip install 'tracelake[images]'" in str(member.unread)


def test_a_block_that_asks_for_gigabytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sevenzip, "MAX_DICTIONARY", 1 << 20)
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 24}]
    ((_, why),) = found(a_7z({"a": CONTENT}, filters), "x.7z")
    assert "asks for 16 MiB of memory" in str(why)


def test_a_wrong_checksum_is_seen() -> None:
    data = bytearray(a_7z({"a": CONTENT, "b": b"b" * 99}, METHODS["copy"]))
    data[32 + 10] ^= 1
    got = dict(found(bytes(data), "x.7z"))
    assert "another checksum" in str(got["a"])
    assert got["b"] == b"b" * 99


def test_a_decoder_that_broken_input_crashes_is_not_used() -> None:
    data = a_7z({"a": CONTENT}, [{"id": py7zr.FILTER_PPMD, "order": 6, "mem": 24}])
    ((_, why),) = found(data, "x.7z")
    assert "compressed by PPMd, which is not read" in str(why)


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"lzma", "bzip2"}))
def test_cut_and_flipped_archives_are_answers(method: str) -> None:
    small = {"a": CONTENT[:20_000], "b": b"b" * 999}
    whole = a_7z(small, METHODS[method])
    for cut in [*range(6, 64), *range(64, len(whole), 211)]:
        for path, got in found(whole[:cut], "x.7z"):
            assert path
            assert got == small.get(path) or isinstance(got, str)
    chance = random.Random(9)
    for _ in range(150):
        bad = bytearray(whole)
        bad[chance.randrange(6, len(bad))] = chance.randrange(256)
        for path, got in found(bytes(bad), "x.7z"):
            assert path
            assert got == small.get(path) or isinstance(got, str)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("triage/dfir-orc/winxp.7z", 3),
        ("triage/museum/Prefetch/Win10/RathbunVM/Archive/RathbunVM_W10Prefetch.7z", 96),
        ("evtx/museum-archives/APTSimulatorVM_EventLogs.7z", 94),
    ],
)
def test_real_archives_hold_what_the_library_extracts(
    shared: Path, tmp_path: Path, name: str, count: int
) -> None:
    path = shared / name
    with path.open("rb", buffering=0) as file:
        ours = {
            member.path: hashlib.sha256(member_bytes(member)).digest()
            for member in members(file, path.name)
        }
    assert len(ours) == count
    with py7zr.SevenZipFile(path) as archive:
        archive.extractall(tmp_path)
    theirs = {
        file.relative_to(tmp_path).as_posix(): hashlib.sha256(file.read_bytes()).digest()
        for file in tmp_path.rglob("*") if file.is_file()
    }
    assert ours == theirs


def member_bytes(member: Any) -> bytes:
    data = content_of(member, 1 << 30)
    assert data is not None, member
    return data
