"""Prefetch files: a real packed one, made ones of every version, damaged ones."""

import struct
from pathlib import Path
from zlib import crc32

import pytest

from tests.winart_case import notes, read, us
from tracelake.native.lzxpress import huffman
from tracelake.parsers.artifact import Match
from tracelake.parsers.prefetch import PARSER, match

ROOT = Path(__file__).parent
PACKED = ROOT / "data/windows/AM_DELTA_PATCH_1.443.990.0.EX-7037CF86.pf"
FILETIME_2020 = 132_223_104_000_000_000
US_2020 = 1_577_836_800_000_000
FILES = ["\\VOLUME{1}\\WINDOWS\\NTDLL.DLL", "\\VOLUME{1}\\TOOLS\\MIMI.EXE"]


def made(version: int, short: bool = False, runs: int = 3) -> bytes:
    """A prefetch file of a version, by the specification."""
    size = {17: 68, 23: 156, 26: 224, 30: 224, 31: 224}[version] - (12 if short else 0)
    entry = 20 if version == 17 else 32
    names = b"".join(f.encode("utf-16-le") + b"\0\0" for f in FILES)
    metrics_at = 84 + size - (0 if version < 26 else 4)
    metrics = b""
    begin = 0
    for number, name in enumerate(FILES):
        metrics += (
            struct.pack("<5I", 0, 0, begin, len(name), 0) if entry == 20
            else struct.pack("<6IQ", 0, 0, 0, begin, len(name), 0, (number + 1) << 48 | 77))
        begin += 2 * len(name) + 2
    names_at = metrics_at + len(metrics)
    volumes_at = names_at + len(names)
    length = {17: 40, 23: 104, 26: 104}.get(version, 96)
    device = "\\VOLUME{1}".encode("utf-16-le") + b"\0\0"
    folder = "\\VOLUME{1}\\TOOLS"
    folders = struct.pack("<H", len(folder)) + folder.encode("utf-16-le") + b"\0\0"
    volume = struct.pack("<IIQIIIII", length, 10, FILETIME_2020, 0xAABBCCDD, 0, 0,
                         length + len(device), 1).ljust(length, b"\0") + device + folders
    info = struct.pack("<9I", metrics_at, 2, 0, 0, names_at, len(names), volumes_at, 1,
                       len(volume))
    times = [FILETIME_2020 - n * 10_000_000 for n in range(runs)]
    if version == 17:
        info += struct.pack("<Q16xI", times[0], 41)
    elif version == 23:
        info += struct.pack("<QQ16xI", 0, times[0], 41)
    else:
        info += struct.pack("<Q8Q", 0, *(times + [0] * 8)[:8])
        info += bytes(8 if short else 16) + struct.pack("<I", 41)
    head = struct.pack("<I4sII60sII", version, b"SCCA", 17, 0,
                       "MIMI.EXE".encode("utf-16-le"), 0xDEADBEEF, 0)
    return (head + info).ljust(metrics_at, b"\0") + metrics + names + volume


def test_a_real_packed_one() -> None:
    data = PACKED.read_bytes()
    assert match(data, "x") == (Match.CONTENT, "")
    found = read(PARSER, data)
    row = found.one
    assert row["subject_name"] == "AM_DELTA_PATCH_1.443.990.0.EX"
    assert row["subject_path"].endswith("INSTALL\\AM_DELTA_PATCH_1.443.990.0.EXE")
    assert row["class_uid"] == 205019
    assert row["run_count"] == 1
    assert len(row["referenced"]) == 18
    assert (us(row), row["time_ns"], row["time_desc"]) == (1770212624668632, 500, "last_run")
    assert row["volume_uid"] == "BC1F1BFC"
    assert notes(row)["prefetch_hash"] == "7037CF86"
    assert notes(row)["format_version"] == "31"
    assert "trouble" not in notes(row)
    assert not found.damage
    assert found.unexplained == 0


@pytest.mark.parametrize(("version", "short", "runs"), [
    (17, False, 1), (23, False, 1), (26, False, 3), (30, False, 3), (30, True, 3), (31, True, 3),
])
def test_every_version(version: int, short: bool, runs: int) -> None:
    row = read(PARSER, made(version, short)).one
    assert row["run_count"] == 41
    assert len(row["run_times"]) == runs
    assert us(row) == US_2020
    assert row["referenced"] == FILES
    assert row["subject_path"] == FILES[1]
    assert row["volume_uid"] == "AABBCCDD"
    assert us(row, "volume_created_time") == US_2020
    said = notes(row)
    assert said["volume0_folders"] == "\\VOLUME{1}\\TOOLS"
    assert said.get("file_references") == (None if version == 17 else "77-1\n77-2")
    assert "trouble" not in said


def test_cut_anywhere_it_gives_one_row_or_one_damage() -> None:
    # Behind the packed data there are units that no code uses.
    for whole, end in ((PACKED.read_bytes(), 2680), (made(30), 1 << 20)):
        for at in range(0, min(len(whole), end), 3):
            found = read(PARSER, whole[:at])
            assert len(found.rows()) + len(found.damage) == 1, at
            if found.rows():
                assert "trouble" in notes(found.one), at
                assert found.one["parse_flags"] & 1


def test_claims_are_bounded() -> None:
    bomb = bytearray(made(30))
    struct.pack_into("<II", bomb, 84 + 24, len(bomb) - 4, 0xFFFFFFFF)
    assert "volumes" in notes(read(PARSER, bytes(bomb)).one)["trouble"]
    huge = b"MAM\x04" + struct.pack("<I", 0xFFFFFFFF) + bytes(300)
    (damage,) = read(PARSER, huge).damage
    assert "4294967295" in damage["why"]
    (damage,) = read(PARSER, struct.pack("<I", 99) + b"SCCA" + bytes(76)).damage
    assert damage["why"] == "version 99 is not known"


def test_a_wrong_checksum_is_flagged() -> None:
    packed = PACKED.read_bytes()
    head = b"MAM\x84" + packed[4:8]
    told = crc32(packed[8:], crc32(head + bytes(4)))
    data = bytearray(head + struct.pack("<I", told) + packed[8:])
    assert match(bytes(data), "x") == (Match.CONTENT, "")
    assert not read(PARSER, bytes(data)).one["parse_flags"]
    data[8] ^= 1
    assert read(PARSER, bytes(data)).one["parse_flags"] == 4


def test_unpacking_refuses_what_is_no_code() -> None:
    assert huffman(b"\x11" * 400, 0, 10)[1].startswith("the lengths")
    assert huffman(b"", 0, 10) == (b"", "the packed data end before all of it is unpacked")
    # The example of [MS-XCA] 3.2: 26 letters, each a literal.
    table = bytearray(256)
    table[0x30:0x3E] = bytes.fromhex("50 55555555555555555555 45 44 04")
    table[0x80] = 4
    packed = bytes(table) + bytes.fromhex("d8523ed794115be9195ff9d67cdf8d0400000000")
    assert huffman(packed, 0, 26)[0] == b"abcdefghijklmnopqrstuvwxyz"


def test_every_shared_one_is_read_whole(shared: Path) -> None:
    paths = sorted((shared / "triage").rglob("*.pf"))
    assert len(paths) == 13
    for path in paths:
        found = read(PARSER, path.read_bytes())
        assert "trouble" not in notes(found.one), path
        assert found.one["subject_path"], path
        assert found.unexplained == 0
