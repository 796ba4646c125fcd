"""The change journal: versions, paths, renaming, gaps; and the view that gives it full paths."""

import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.ntfs_build import FOLDER, IN_USE, TICKS, Read, entry, named, read, standard, table, usn
from tests.seven_zip import members
from tracelake.case import open_case
from tracelake.parsers import usn as parser
from tracelake.parsers.artifact import Match

CREATE, DELETE, EXTEND, SECURITY = 0x100, 0x200, 0x2, 0x800
OLD_NAME, NEW_NAME, BASIC_INFO, CLOSE = 0x1000, 0x2000, 0x8000, 0x80000000
DIRECTORY = 0x10


def journal(*records: bytes) -> Read:
    return read("usn", b"".join(records))


def test_what_a_row_says() -> None:
    row = journal(usn("a.TXT", (40, 3), (38, 2), CREATE | EXTEND, number=4096)).rows[0]
    time = row.pop("time")
    assert time.isoformat() == "2020-01-02T03:04:05.123456+00:00"
    assert row.pop("record_hash")
    assert row == {
        "file_path": "\\$Unknown\\38-2\\a.TXT", "file_name": "a.TXT", "file_ext": "txt",
        "log_provider": "USN", "time_ns": 700, "activity_id": 1, "mft_entry": 40, "mft_seq": 3,
        "mft_parent_entry": 38, "mft_parent_seq": 2, "usn": 4096, "src_record_id": 4096,
        "usn_reason": 0x102, "file_attributes": 0x20, "src_offset": 0, "src_length": 72,
        "unmapped": {},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "activity"),
    [
        (CREATE, 1), (CREATE | DELETE | CLOSE, 4), (EXTEND, 3), (0x1, 3), (0x20, 3),
        (NEW_NAME | CLOSE, 5), (OLD_NAME, 5), (BASIC_INFO, 6), (BASIC_INFO | SECURITY, 7),
        (EXTEND | BASIC_INFO, 3), (0x100000, 6), (CLOSE, 99), (0x10000, 99),
    ],
)  # fmt: skip
def test_activities(reason: int, activity: int) -> None:
    row = journal(usn("a", reason=reason)).rows[0]
    assert (row["activity_id"], row["usn_reason"]) == (activity, reason)


def test_paths_of_folders_that_the_journal_knows() -> None:
    found = journal(
        usn("outer", (40, 1), attributes=DIRECTORY),
        usn("inner", (41, 1), (40, 1), attributes=DIRECTORY),
        usn("a.txt", (42, 1), (41, 1)),
        usn("outer", (40, 1), reason=OLD_NAME, attributes=DIRECTORY),
        usn("renamed", (40, 1), reason=NEW_NAME, attributes=DIRECTORY),
        usn("a.txt", (42, 1), (41, 1), CLOSE),
        # The entry is another folder's by now.
        usn("b.txt", (43, 1), (40, 7)),
    )
    assert found.paths == [
        "\\outer", "\\outer\\inner", "\\outer\\inner\\a.txt", "\\outer", "\\renamed",
        "\\renamed\\inner\\a.txt", "\\$Unknown\\40-7\\b.txt",
    ]  # fmt: skip
    assert [row.get("file_prev_path") for row in found.rows] == [None] * 4 + ["\\outer", None, None]


def test_renaming_is_paired_until_the_file_is_closed() -> None:
    found = journal(
        usn("old", (40, 1), reason=OLD_NAME),
        usn("other", (41, 1), reason=OLD_NAME),
        usn("new", (40, 1), reason=NEW_NAME),
        usn("another", (41, 1), reason=NEW_NAME),
        usn("new", (40, 1), reason=NEW_NAME | CLOSE),
        usn("new", (40, 1), reason=NEW_NAME),
        usn("third", (40, 2), reason=NEW_NAME),
    )
    assert [row.get("file_prev_path") for row in found.rows] == [
        None, None, "\\old", "\\other", "\\old", None, None,
    ]  # fmt: skip


def test_zeros_are_structure_and_pass_quickly() -> None:
    gap = bytes(3 << 20)
    found = read("usn", gap + usn("a") + bytes(200) + usn("b") + bytes(12), window=1 << 16)
    assert [row["src_offset"] for row in found.rows] == [len(gap), len(gap) + 64 + 200]
    account = found.account
    assert (account.records, account.damaged) == (2, 0)
    assert account.bytes_structure == len(gap) + 212
    assert account.bytes_records == 128


def test_version_3_and_numbers_of_128_bits() -> None:
    short = usn("a.txt", (40, 3), (5, 5), version=3)
    wide = bytearray(short)
    struct.pack_into("<QQ", wide, 16, 1, 0x2A)  # the file's upper half; the parent's lower half
    found = journal(short, bytes(wide))
    assert (found.rows[0]["file_path"], found.rows[0]["mft_entry"]) == ("\\a.txt", 40)
    assert found.rows[1].get("mft_entry") is None
    assert found.rows[1]["unmapped"]["file_id"] == "0000000000000001" + f"{3 << 48 | 40:016x}"
    assert found.rows[1]["file_name"] == "a.txt"


def test_version_4_has_ranges_and_no_name() -> None:
    head = struct.pack(
        "<IHHQQQQQIIIHH", 96, 4, 0, 40, 0, 5, 0, 777, EXTEND | CLOSE, 0, 3, 2, 16
    ) + struct.pack("<QQQQ", 0, 4096, 65536, 512)
    row = journal(head).rows[0]
    assert (row["usn"], row["usn_reason"], row["activity_id"]) == (777, EXTEND | CLOSE, 3)
    assert row.get("time") is None
    assert row.get("file_name") is None
    assert row["unmapped"] == {"extents_left": "3", "extents": "0+4096, 65536+512"}


@pytest.mark.parametrize(
    "record",
    [
        # Ranges far beyond the record; their bytes are more than an int holds.
        struct.pack("<IHHQQQQQIIIHH", 96, 4, 0, 40, 0, 5, 0, 7, EXTEND, 0, 3, 50_000, 50_000)
        + bytes(32),
        # Shorter than what every record of its version has.
        struct.pack("<IHHQQQQQIII", 64, 3, 0, 40, 0, 5, 0, 7, 0, EXTEND, 0),
        struct.pack("<IHHQQQQQIII", 72, 3, 0, 40, 0, 5, 0, 7, 0, EXTEND, 0) + bytes(8),
    ],
)
def test_what_leads_out_of_its_record_is_none(record: bytes) -> None:
    found = journal(usn("a.txt"), record, usn("b.txt"))
    assert [row["file_name"] for row in found.rows] == ["a.txt", "b.txt"]
    assert found.damage


def test_what_is_no_record_is_one_damage_row() -> None:
    good = usn("a.txt")
    found = journal(good, b"\x07" * 100, good, bytes(16), b"junk at the end, longer than a head")
    assert len(found.rows) == 2
    assert [(d["src_offset"], d["src_length"]) for d in found.damage] == [(72, 100), (260, 35)]
    cut = read("usn", good + good[:50])
    assert len(cut.rows) == 1
    assert cut.damage[0]["why"] == "the journal ends inside of it"


def test_an_ill_formed_name_is_repaired() -> None:
    row = journal(usn("a\udc00")).rows[0]
    assert (row["file_name"], row["parse_flags"]) == ("a\ufffd", 128)


@pytest.mark.parametrize(
    ("head", "path", "sure"),
    [
        (usn("a"), "x.bin", Match.CONTENT),
        (bytes(4096) + usn("a", version=3), "x", Match.CONTENT),
        (bytes(65536), "C/$Extend/$UsnJrnl%3A$J", Match.NAME),
        (bytes(65536), "HOST_$J", Match.NAME),
        (bytes(65536), "swapfile", Match.NO),
        (usn("")[:60].ljust(64, b"\0"), "x", Match.NO),
        (b"", "$J", Match.NO),
        (b"\x50\0\0\0\2\0", "x", Match.NO),
    ],
)
def test_what_is_taken_for_a_journal(head: bytes, path: str, sure: Match) -> None:
    assert parser.match(head, path)[0] == sure


def test_real_journals(shared: Path) -> None:
    plain = read("usn", (shared / "triage/dfir_ntfs/usnjrnlj.bin").read_bytes())
    assert (plain.account.records, plain.account.damaged) == (271, 0)
    assert plain.account.bytes_records + plain.account.bytes_structure == 30056
    archive = (shared / "triage/dfir-orc/winxp.7z").read_bytes()
    held = next(data for name, data in members(archive) if name.endswith("usnjrnl_winxp"))
    old = read("usn", held)
    # Behind its last record stands text of a program.
    assert (old.account.in_rows, old.account.damaged) == (62, 1)
    assert [(d["src_offset"], d["src_length"]) for d in old.damage] == [(5632, 304)]
    numbers = [row["usn"] for row in old.rows]
    assert numbers == [row["src_offset"] for row in old.rows]


def volume() -> dict[str, bytes]:
    """A $MFT and a journal of the same volume."""
    mft = table(
        entry(6, standard(), named("Users"), flags=IN_USE | FOLDER),
        entry(7, standard(), named("gone", (6, 1)), sequence=3, flags=FOLDER),
    )
    changes = b"".join(
        [
            usn("a.txt", (40, 1), (6, 1)),
            usn("b.txt", (41, 1), (7, 2), OLD_NAME),
            usn("c.txt", (41, 1), (6, 1), NEW_NAME),
            usn("d.txt", (42, 1), (99, 1)),
            usn("e.txt", (43, 1)),
            usn("sub", (44, 1), (6, 1), attributes=DIRECTORY),
            usn("f.txt", (45, 1), (44, 1), ticks=TICKS + 10),
            # Two folders that are gone by now: their names come when they are deleted.
            usn("tool.exe", (60, 2), (51, 8), DELETE),
            usn("inner", (51, 8), (50, 9), DELETE, attributes=DIRECTORY),
            usn("stage", (50, 9), (6, 1), DELETE, attributes=DIRECTORY),
            # And two that lead to each other.
            usn("x", (61, 1), (70, 1)),
            usn("a", (70, 1), (71, 1), attributes=DIRECTORY),
            usn("b", (71, 1), (70, 1), attributes=DIRECTORY),
        ]
    )
    return {"C/$MFT": mft, "C/$Extend/$UsnJrnl%3A$J": changes}


EXPECTED = [
    ("\\Users\\a.txt", None, "mft"),
    ("\\Users\\gone\\b.txt", None, "mft"),
    ("\\Users\\c.txt", "\\Users\\gone\\b.txt", "mft"),
    ("\\$Unknown\\99-1\\d.txt", None, None),
    ("\\e.txt", None, "journal"),
    ("\\Users\\sub", None, "mft"),
    ("\\Users\\sub\\f.txt", None, "mft"),
    ("\\Users\\stage\\inner\\tool.exe", None, "later"),
    ("\\Users\\stage\\inner", None, "later"),
    ("\\Users\\stage", None, "mft"),
    ("\\$Unknown\\70-1\\x", None, None),
    ("\\$Unknown\\71-1\\a", None, None),
    ("\\$Unknown\\71-1\\a\\b", None, None),
]


def told(evidence: Path, lake: Path) -> list[tuple[Any, ...]]:
    case = open_case(lake, engagement="t")
    case.ingest([evidence])
    found: list[tuple[Any, ...]] = case.sql(
        "SELECT file_path, file_prev_path, path_from FROM usn ORDER BY src_offset"
    ).fetchall()
    return found


def test_paths_from_the_table_of_the_same_volume(tmp_path: Path) -> None:
    for name, content in volume().items():
        path = tmp_path / "in" / "host" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    # Another volume's table, which must not be asked.
    other = tmp_path / "in" / "other" / "D" / "$MFT"
    other.parent.mkdir(parents=True)
    other.write_bytes(table(entry(6, standard(), named("wrong"), flags=3)))
    assert told(tmp_path / "in", tmp_path / "lake") == EXPECTED


def test_paths_in_an_archive(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with zipfile.ZipFile(tmp_path / "in" / "triage.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in volume().items():
            archive.writestr(f"uploads/ntfs/{name}", content)
        archive.writestr("uploads/D/$MFT", table(entry(6, standard(), named("wrong"), flags=3)))
    assert told(tmp_path / "in", tmp_path / "lake") == EXPECTED
