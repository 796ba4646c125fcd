"""Indexes, the log and the boot sector of NTFS: what they say, recover, and where they break."""

import lzma
import struct
from pathlib import Path

import pytest

from tests.ntfs_build import (
    guarded,
    index_entry,
    index_record,
    log_page,
    log_record,
    named,
    read,
    restart,
    usn,
)  # fmt: skip
from tracelake.parsers import ntfs_boot, ntfs_index, ntfs_log
from tracelake.parsers.artifact import Match

DATA = Path(__file__).parent / "data" / "ntfs"
FROM_SLACK, CHECKSUM_BAD = 2, 4


def unpacked(name: str) -> bytes:
    return lzma.decompress((DATA / name).read_bytes())


# --- indexes -------------------------------------------------------------------------------


def test_a_real_index() -> None:
    found = read("ntfs_index", unpacked("grr.i30.xz"))
    assert found.account.damaged == 0
    allocated = [row for row in found.rows if row.get("in_use")]
    assert {row["file_name"] for row in allocated} >= {"$MFT", "adstest", "."}
    row = found.one(file_name="adstest", parse_flags=None)
    assert (row["mft_entry"], row["file_path"], row["log_name"]) == (30, "\\adstest", "$I30")
    assert row["fn_created"].isoformat() == "2015-09-01T14:41:11.272914+00:00"


def test_entries_and_what_is_left_of_removed_ones() -> None:
    removed = index_entry("removed.docx", 41, (38, 2))
    data = index_record(
        index_entry("kept.TXT", 40, (38, 2)), slack=b"\x11" * 24 + removed + removed[40:]
    )
    found = read("ntfs_index", data)
    assert [
        (r["file_path"], r.get("in_use"), r.get("parse_flags"), r.get("mft_entry"))
        for r in found.rows
    ] == [
        ("\\$Unknown\\38-2\\kept.TXT", True, None, 40),
        ("\\$Unknown\\38-2\\removed.docx", None, FROM_SLACK, 41),
    ]  # fmt: skip
    row = found.rows[0]
    assert (row["file_ext"], row["file_size"], row["is_dir"]) == ("txt", 5, False)
    # Made, written, read, changed.
    assert row["time_digits"] == 7809
    assert found.rows[1]["src_offset"] == data.index("removed".encode("utf-16-le")) - 66 - 16


def test_broken_index_records() -> None:
    good = index_record(index_entry("a", 40))
    torn = bytearray(good)
    torn[4094:] = b"\1\0"
    leads_out = bytearray(good)
    struct.pack_into("<I", leads_out, 28, 9000)
    endless = bytearray(index_record(index_entry("a", 40)))
    struct.pack_into("<H", endless, 64 + 8, 0)
    found = read(
        "ntfs_index",
        bytes(torn) + bytes(leads_out) + b"junk" * 1024 + bytes(4096) + bytes(endless) + good[:99],
    )
    assert [row.get("parse_flags") for row in found.rows if row.get("in_use")] == [CHECKSUM_BAD]
    assert [d["why"] for d in found.damage] == [
        "its entries are not inside of it", "no INDX signature", "a length of 0 bytes",
        "the index ends inside of it",
    ]  # fmt: skip


# --- the log -------------------------------------------------------------------------------


def test_a_real_log() -> None:
    found = read("ntfs_log", unpacked("grr.logfile.xz"))
    account = found.account
    assert (account.records, account.in_rows, account.damaged) == (253, 18, 0)
    assert account.counters == {"other": 222}
    assert account.duplicates == 13
    assert found.tables == {"file_activity": 18}
    assert {row["parse_flags"] for row in found.rows} == {FROM_SLACK}
    made = found.one(file_name="adstest", event_code="AddIndexEntryAllocation")
    assert (made["activity_id"], made["mft_entry"], made["file_path"]) == (1, 30, "\\adstest")
    assert made["unmapped"]["undo"] == "DeleteIndexEntryAllocation"
    assert made["unmapped"]["fn_created"] == "2015-09-01T14:41:11.2729144Z"


def test_operations_that_name_files() -> None:
    name = index_entry("x.exe", 40)
    pages = restart() * 2 + log_page(8192) + log_page(12288) + log_page(
        16384,
        log_record(0x0E, 0x0F, new=name),
        log_record(0x0F, 0x0E, old=name),
        log_record(0x05, 0x06, new=named("y.exe")),
        log_record(0x06, 0x05, old=named("z.exe")),
        log_record(0x08, 0x08, new=usn("j.txt", reason=0x200) + usn("k.txt")),
        log_record(0x07, 0x07, new=b"12345678"),
    )
    found = read("ntfs_log", pages)
    assert [(r["event_code"], r["file_name"], r["activity_id"]) for r in found.rows] == [
        ("AddIndexEntryAllocation", "x.exe", 1), ("DeleteIndexEntryAllocation", "x.exe", 4),
        ("CreateAttribute", "y.exe", 1), ("DeleteAttribute", "z.exe", 4),
        ("UpdateNonresidentValue", "j.txt", 4), ("UpdateNonresidentValue", "k.txt", 1),
    ]  # fmt: skip
    assert found.account.records == 6
    assert found.account.counters == {"other": 1}
    assert found.rows[4]["time"].year == 2020
    assert found.rows[0].get("time") is None


def test_a_record_goes_on_in_the_next_page() -> None:
    record = log_record(0x0E, 0x0F, new=index_entry("n" * 200, 40))
    filler = log_record(0, 0, new=bytes(4096 - 64 - 88 - 200))
    first = log_page(16384, filler, record[: 4096 - 64 - len(filler)])
    second = bytearray(4096)
    struct.pack_into("<4sHHQ", second, 0, b"RCRD", 40, 9, 0)
    rest = record[4096 - 64 - len(filler) :]
    second[64 : 64 + len(rest)] = rest
    found = read("ntfs_log", restart() * 4 + first + guarded(second, 40))
    assert [row["file_name"] for row in found.rows] == ["n" * 200]
    assert found.account.records == 2


@pytest.mark.parametrize("bits", [41, 44, 48])
def test_a_log_without_restart_pages(bits: int) -> None:
    record = log_record(0x0E, 0x0F, new=index_entry("a", 40))
    data = bytes(16384) + log_page(16384, record, bits=bits)
    found = read("ntfs_log", data)
    assert [row["file_name"] for row in found.rows] == ["a"]


def test_broken_log_pages() -> None:
    found = read("ntfs_log", restart() + b"junk" * 1024 + b"\xff" * 4096 + b"RCRD" + b"\1" * 500)
    assert [d["why"] for d in found.damage] == ["no RCRD signature", "the log ends inside of it"]
    assert found.account.bytes_slack == 4096


# --- the boot sector -----------------------------------------------------------------------


def test_a_real_boot_sector() -> None:
    found = read("ntfs_boot", unpacked("grr.boot.xz"))
    (row,) = found.rows
    assert row["fact"] == "volume"
    assert row["unmapped"]["mft_entry_size"] == "1024"
    assert row["unmapped"]["cluster_size"] == "4096"
    assert len(row["unmapped"]["serial"]) == 16
    assert row["unmapped"]["serial_short"].replace("-", "").lower() == row["unmapped"]["serial"][8:]
    assert (found.account.bytes_records, found.account.bytes_structure) == (512, 7680)


@pytest.mark.parametrize(
    ("parser", "head", "path", "sure"),
    [
        (ntfs_boot, unpacked("grr.boot.xz"), "x", Match.CONTENT),
        (ntfs_boot, unpacked("grr.boot.xz") * 8, "disk.dd", Match.NO),
        (ntfs_boot, b"", "$Boot", Match.NO),
        (ntfs_index, index_record(), "x", Match.CONTENT),
        (ntfs_index, bytes(4096), "C/$I30", Match.NAME),
        (ntfs_index, b"INDX", "x", Match.NO),
        (ntfs_log, restart(), "x", Match.CONTENT),
        (ntfs_log, b"\xff" * 100, "C/%24LogFile", Match.NAME),
        (ntfs_log, b"RSTR", "x", Match.NO),
    ],
)
def test_what_is_taken(parser, head: bytes, path: str, sure: Match) -> None:  # type: ignore[no-untyped-def]
    assert parser.match(head, path)[0] == sure
