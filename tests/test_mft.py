"""The master file table: entries, names, paths, what waits, what is broken."""

import csv
import io
import lzma
import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.ntfs_build import (
    BOTH,
    DOS,
    FOLDER,
    IN_USE,
    LONG,
    TICKS,
    data,
    entry,
    folder,
    guarded,
    named,
    read,
    reference,
    resident,
    root,
    runs,
    standard,
    table,
)  # fmt: skip
from tests.seven_zip import members
from tracelake.native.errors import Corrupt
from tracelake.native.feed import Feed
from tracelake.parsers import mft
from tracelake.parsers.artifact import Match
from tracelake.parsers.mft_text import record_text

MUSEUM = Path(__file__).parent / "data" / "ntfs" / "museum.mft.xz"


@pytest.fixture(scope="module")
def museum() -> bytes:
    return lzma.decompress(MUSEUM.read_bytes())


def test_a_real_table_is_whole(museum: bytes) -> None:
    found = read("mft", museum)
    account = found.account
    assert (account.records, account.in_rows, account.damaged) == (628, 618, 2)
    assert account.counters == {"never_used": 7, "extension": 1}
    assert len(found.rows) == 623
    assert [(d["src_offset"], d["why"]) for d in found.damage] == [
        (512000, "no attribute can be read"), (578560, "no attribute can be read"),
    ]  # fmt: skip
    # All bytes but those of the two entries that are nothing but a signature.
    counted = account.bytes_records + account.bytes_structure + account.bytes_slack
    assert len(museum) - counted == 2048
    assert sum(bool(row.get("is_orphan")) for row in found.rows) == 20
    assert found.one(mft_entry=5)["file_path"] == "\\"


def test_what_a_row_says(museum: bytes) -> None:
    row = read("mft", museum).one(mft_entry=179)
    assert row["file_path"] == "\\Docs\\Reisebericht_Kenya_Safari_Reise_24.02_-_09.03.2005.doc"
    assert row["file_ext"] == "doc"
    assert row["file_short_name"] == "REISEB~1.DOC"
    assert not row["in_use"]
    assert row["parse_flags"] == 4  # its first sector is of another writing
    assert row["src_offset"] == 179 * 1024


def test_eight_times_to_their_last_digit() -> None:
    found = read("mft", table(entry(6, standard(TICKS), named("a.txt", ticks=TICKS + 4))))
    row = found.one(mft_entry=6)
    second = datetime(2020, 1, 2, 3, 4, 5, 123456, UTC)
    assert [row[f"si_{x}"] for x in ("created", "modified", "accessed", "changed")] == [
        second.replace(microsecond=us) for us in (123456, 123456, 123457, 123456)
    ]
    # Created, modified, accessed, changed: 7, 8, 0, 9; of the name 1, 2, 4, 3.
    assert row["time_digits"] == 78091243
    assert (row["time"], row["time_ns"], row["time_desc"]) == (second, 800, "si_modified")


def test_a_row_for_each_hard_link() -> None:
    found = read(
        "mft",
        table(
            folder(6, "bin"),
            entry(7, standard(), named("long name.exe", space=LONG), named("LONGNA~1.EXE",
                  space=DOS), named("b.exe", (6, 1), LONG), links=2),
        ),
    )  # fmt: skip
    rows = [row for row in found.rows if row["mft_entry"] == 7]
    assert [(r["file_path"], r["sub"], r.get("file_short_name")) for r in rows] == [
        ("\\long name.exe", 0, "LONGNA~1.EXE"), ("\\bin\\b.exe", 1, None),
    ]  # fmt: skip
    assert found.account.in_rows == 8


def test_a_folder_may_stand_behind_its_files() -> None:
    found = read(
        "mft",
        table(
            entry(6, standard(), named("a.txt", (8, 1))), entry(7, standard(), named("b", (9, 1))),
            folder(8, "inner", (9, 1)), folder(9, "outer"),
        ),
    )  # fmt: skip
    assert found.one(mft_entry=6)["file_path"] == "\\outer\\inner\\a.txt"
    assert found.one(mft_entry=7)["file_path"] == "\\outer\\b"
    assert not any(row["is_orphan"] for row in found.rows)


def test_a_parent_that_is_another_folder_now_is_none() -> None:
    found = read(
        "mft",
        table(
            folder(6, "new", sequence=4),
            entry(7, standard(), named("a.txt", (6, 3))),
            entry(8, standard(), named("b.txt", (6, 4))),
            # A deleted folder has the number after the one in its files' references.
            folder(9, "gone", sequence=3, flags=FOLDER),
            entry(10, standard(), named("c.txt", (9, 2)), flags=0),
            entry(11, standard(), named("d.txt", (7, 1))),
            entry(12, standard(), named("e.txt", (99, 1))),
        ),
    )  # fmt: skip
    assert [(r["file_path"], r["is_orphan"]) for r in found.rows[7:]] == [
        ("\\$Orphan\\6-3\\a.txt", True), ("\\new\\b.txt", False), ("\\gone", False),
        ("\\gone\\c.txt", False), ("\\$Orphan\\7-1\\d.txt", True),
        ("\\$Orphan\\99-1\\e.txt", True),
    ]  # fmt: skip


@pytest.mark.parametrize("length", [1, 2, 3, 700])
def test_folders_in_a_circle_end(length: int) -> None:
    circle = [folder(6 + i, f"f{i}", (6 + (i + 1) % length, 1)) for i in range(length)]
    found = read("mft", table(*circle, entry(6 + length, standard(), named("x", (6, 1)))))
    row = found.one(mft_entry=6 + length)
    assert row["is_orphan"]
    assert row["file_path"].startswith("\\$Orphan\\")
    assert row["file_path"].endswith("\\x")


def test_a_path_of_many_folders_is_bounded() -> None:
    deep = [folder(6 + i, "n" * 200, (5 + i, 1 if i else 5)) for i in range(600)]
    found = read("mft", table(*deep))
    assert max(len(path or "") for path in found.paths) < 34000
    assert len(found.rows) == 606


def test_extension_records_are_part_of_their_base() -> None:
    listed = resident(0x20, b"\0" * 32)
    found = read(
        "mft",
        table(
            entry(6, named("second", (9, 1), LONG), runs(0x80, 9000), runs(0x80, 50, "hidden"),
                  base=reference(8)),
            entry(7, named("lost", space=LONG), base=reference(8, 3)),
            entry(8, standard(), listed, named("first", space=LONG), links=2),
            folder(9, "f"),
            entry(10, runs(0x80, 7), base=reference(77)),
        ),
    )  # fmt: skip
    rows = [row for row in found.rows if row["mft_entry"] == 8]
    assert [row["file_path"] for row in rows] == ["\\first", "\\f\\second"]
    assert [(row["file_size"], row["ads"]) for row in rows] == [(9000, ["hidden"])] * 2
    lost = found.one(mft_entry=7)
    assert (lost["file_path"], lost["parse_flags"]) == ("\\lost", 2)
    assert lost["unmapped"]["base_record"] == "8-3"
    assert found.account.counters == {"extension": 1, "extension_left": 1}


def test_a_folder_may_have_its_name_in_an_extension_record() -> None:
    listed = resident(0x20, b"\0" * 32)
    found = read(
        "mft",
        table(
            entry(6, standard(), named("a.txt", (7, 1))),
            entry(7, standard(), listed, flags=IN_USE | FOLDER),
            entry(8, named("elsewhere"), base=reference(7)),
        ),
    )
    assert found.one(mft_entry=6)["file_path"] == "\\elsewhere\\a.txt"
    assert found.one(mft_entry=7)["file_path"] == "\\elsewhere"


ZONE = (
    b"[ZoneTransfer]\r\nZoneId=3\r\nReferrerUrl=https://a.example/\r\n"
    b"HostUrl=https://b.example/x\r\n"
)


def test_streams_and_where_a_download_came_from() -> None:
    found = read(
        "mft",
        table(
            entry(6, standard(), named("x.iso"), runs(0x80, 1 << 40), data(ZONE, "Zone.Identifier"),
                  data(b"cmd /c calc", "run.bat"), data(b"\0\1", "bin")),
        ),
    )  # fmt: skip
    row = found.one(mft_entry=6)
    assert row["ads"] == ["Zone.Identifier", "run.bat", "bin"]
    assert row["has_ads"]
    assert (row["zone_id"], row["zone_host_url"]) == (3, "https://b.example/x")
    assert row["zone_referrer_url"] == "https://a.example/"
    assert row["file_size"] == 1 << 40
    assert row["unmapped"] == {
        "ads_size": f"{len(ZONE)}, 11, 2", "ads[1] run.bat": "cmd /c calc",
    }  # fmt: skip


def test_what_a_zone_says_beyond_its_columns_is_kept() -> None:
    more = ZONE + b"LastWriterPackageFamilyName=Microsoft.Edge\r\n"
    found = read("mft", table(entry(6, standard(), named("x"), data(more, "Zone.Identifier"))))
    row = found.one(mft_entry=6)
    assert row["zone_id"] == 3
    assert row["unmapped"]["ads[0] Zone.Identifier"] == more.decode()


def test_text_in_the_entry_itself() -> None:
    texts = {
        b"@echo off\r\ndel *": "@echo off\r\ndel *",
        b"\xff\xfe" + "ä\n".encode("utf-16-le"): "ä\n",
        b"\xef\xbb\xbfx": "x",
        b"MZ\x90\0": None,
        b"\xff\xff": None,
        b"": None,
    }
    records = [
        entry(6 + i, standard(), named(f"{i}"), data(content)) for i, content in enumerate(texts)
    ]
    found = read("mft", table(*records))
    assert [r.get("file_contents") for r in found.rows[6:]] == list(texts.values())
    assert [r["file_size"] for r in found.rows[6:]] == [len(content) for content in texts]


def link(tag: int, name: str, head: int) -> bytes:
    text = name.encode("utf-16-le")
    body = struct.pack("<HHHH", 0, len(text), len(text), 0) + bytes(head - 16) + text
    return resident(0xC0, struct.pack("<IHH", tag, len(body), 0) + body)


def test_where_links_lead() -> None:
    app = "pkg\0id\0C:\\a.exe\0".encode("utf-16-le")
    found = read(
        "mft",
        table(
            entry(6, standard(), named("l"), link(0xA000000C, "C:\\x", 20)),
            entry(7, standard(), named("m"), link(0xA0000003, "\\??\\D:\\y", 16), flags=3),
            entry(8, standard(), named("n"),
                  resident(0xC0, struct.pack("<IHHI", 0x8000001B, 4 + len(app), 0, 3) + app)),
            entry(9, standard(), named("o"), resident(0xC0, struct.pack("<IHH", 0x80000017, 0, 0))),
        ),
    )  # fmt: skip
    assert [(r["reparse_tag"], r.get("link_target")) for r in found.rows[6:]] == [
        (0xA000000C, "C:\\x"), (0xA0000003, "\\??\\D:\\y"), (0x8000001B, "C:\\a.exe"),
        (0x80000017, None),
    ]  # fmt: skip


def test_entries_of_4096_bytes() -> None:
    many = [named(f"name {i}", space=LONG) for i in range(20)]
    found = read("mft", table(entry(6, standard(), *many, size=4096, links=20), size=4096))
    rows = [row for row in found.rows if row["mft_entry"] == 6]
    assert [row["file_name"] for row in rows] == [f"name {i}" for i in range(20)]
    assert {row["src_offset"] for row in rows} == {6 * 4096}
    assert found.account.records == 7


def test_torn_and_bad_entries_are_flagged_or_damage() -> None:
    good = entry(6, standard(), named("a.txt"), data(b"x" * 400))
    torn = bytearray(good)
    torn[1022:] = b"\x06\0"
    undone = bytearray(good)
    undone[510:512], undone[1022:1024] = good[50:52], good[52:54]
    short = entry(9, standard(), named("cut"), end=b"\x80\0\0\0\x10\0\0\0")
    found = read(
        "mft",
        table(
            bytes(torn), bytes(undone), good.replace(b"FILE", b"BAAD"), short,
            b"BAAD".ljust(1024, b"\0"), b"junk" * 256, bytes(1024), entry(13, flags=0),
            entry(14, standard(), named("z"))[:700],
        ),
    )  # fmt: skip
    assert [r.get("parse_flags") for r in found.rows[6:]] == [4, None, 4, 1]
    assert [d["why"] for d in found.damage] == [
        "no attribute can be read", "no FILE signature", "the file ends inside of it",
    ]  # fmt: skip
    assert found.account.counters == {"zeroed": 1, "never_used": 1}
    assert found.account.records == 15


def test_ill_formed_names_are_repaired_and_flagged() -> None:
    row = read("mft", table(entry(6, standard(), named("a\ud800b.TXT")))).one(mft_entry=6)
    assert row["file_name"] == "a\ufffdb.TXT"
    assert row["file_ext"] == "txt"
    assert row["parse_flags"] == 128


def test_dates_that_are_none_stay_as_numbers() -> None:
    row = read("mft", table(entry(6, standard((1 << 64) - 9), named("x", ticks=1)))).one(
        mft_entry=6
    )
    assert row.get("si_created") is None
    assert row["unmapped"]["si_created"] == "0xfffffffffffffff7"
    assert row["time_desc"] == "fn_modified"
    assert row["fn_created"].year == 1601


def test_old_entries_have_owners_of_their_own() -> None:
    sid = bytes.fromhex("010200000000000520000000 20020000".replace(" ", ""))
    descriptor = struct.pack("<BBHIIII", 1, 0, 0x8000, 20, 0, 0, 0) + sid
    old = resident(0x10, struct.pack("<QQQQIIII", TICKS, TICKS, TICKS, TICKS, 6, 0, 0, 0))
    row = read("mft", table(entry(6, old, named("x"), resident(0x50, descriptor)))).one(mft_entry=6)
    assert row["owner_uid"] == "S-1-5-32-544"
    assert row.get("usn") is None
    assert row["file_attributes"] == 6


def test_rows_do_not_depend_on_the_window(museum: bytes) -> None:
    whole = read("mft", museum, window=1 << 20).rows
    assert read("mft", museum, window=64).rows == whole


def test_many_records_wait_and_all_become_rows() -> None:
    """Every file stands before its folders, more than one block of them."""
    count = 6000
    files = [entry(6 + i, standard(), named(f"file {i}.txt", (6 + count, 1))) for i in range(count)]
    found = read("mft", table(*files, folder(6 + count, "last")), window=1 << 20)
    assert found.account.in_rows == count + 7
    assert found.one(mft_entry=6)["file_path"] == "\\last\\file 0.txt"
    assert found.one(mft_entry=5 + count)["file_path"] == f"\\last\\file {count - 1}.txt"
    assert {row["src_offset"] for row in found.rows} == {1024 * i for i in range(count + 7)}


@pytest.mark.parametrize(
    ("head", "path", "sure"),
    [
        (table(), "uploads/x", Match.CONTENT),
        (table(size=4096), "C/$MFT", Match.CONTENT),
        (bytes(2048) + table(), "HOST_%24MFT", Match.CONTENT),
        (bytes(65536), "$MFT", Match.NAME),
        (bytes(65536), "pagefile.sys", Match.NO),
        (b"FILE is a text that begins like this one" * 20, "notes.txt", Match.NO),
        (b"", "$MFT", Match.NO),
        (b"FILE0", "$MFT", Match.NO),
    ],
)
def test_what_is_taken_for_a_table(head: bytes, path: str, sure: Match) -> None:
    found, why = mft.match(head, path)
    assert found == sure
    assert bool(why) == (sure != Match.CONTENT)


def test_against_the_sleuth_kit() -> None:
    """Every file that pytsk3 finds by its folders, found by its entry: path, size, times."""
    books = MUSEUM.parent
    found = read("mft", lzma.decompress((books / "grr.mft.xz").read_bytes()))
    assert (found.account.records, found.account.in_rows, found.account.damaged) == (68, 39, 0)
    rows = {(row["mft_entry"], row.get("file_path")): row for row in found.rows if row["in_use"]}
    with open(books / "grr.files.tsv", encoding="utf-8", newline="") as file:
        theirs = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert len(theirs) == 25
    for each in theirs:
        row = rows.pop((int(each["entry"]), each["path"]))
        assert row["mft_seq"] == int(each["sequence"])
        for name in ("created", "modified", "changed", "accessed"):
            told = row.get(f"si_{name}")
            assert (int(told.timestamp()) if told else 0) == int(each[name]), (each, name)
        if row.get("file_size") is not None and not row["is_dir"]:
            assert row["file_size"] == int(each["size"])
    # It lists neither the root nor, of this volume, one file whose name has a colon; and entries
    # without a name are no files.
    left = [path for _, path in rows if path is not None]
    assert sorted(left) == ["\\", "\\Test Directory\\notes.txt:ads"]


THEIR_TIMES = {
    "si_created": "StandardInfoCreated",
    "si_modified": "StandardInfoLastModified",
    "si_accessed": "StandardInfoLastAccess",
    "fn_created": "FileNameCreated",
    "fn_modified": "FileNameLastModified",
    "fn_accessed": "FileNameLastAccess",
}


def test_against_another_reader(shared: Path) -> None:
    """mft-rs agrees on every entry of a table of Windows XP, but for what it does not do: merge
    extension records, check sequence numbers."""
    reader = pytest.importorskip("mft", reason="the reader mft-rs is not installed")
    archive = (shared / "triage/dfir-orc/winxp.7z").read_bytes()
    held = next(content for name, content in members(archive) if name.endswith("mft_winxp"))
    found = read("mft", held, window=1 << 20)
    assert (found.account.records, found.account.damaged) == (20528, 0)
    assert found.account.counters == {"zeroed": 20, "extension": 22}
    rows = {row["mft_entry"]: row for row in found.rows if row["sub"] == 0}
    checked = extensions = 0
    lines = b"".join(reader.PyMftParser(io.BytesIO(held)).entries_csv()).decode()
    for theirs in csv.DictReader(io.StringIO(lines, newline="")):
        number = int(theirs["EntryId"])
        if theirs["BaseEntryId"] != "0":
            extensions += 1
            continue
        ours = rows[number]
        assert ours["mft_seq"] == int(theirs["Sequence"])
        assert ours["link_count"] == int(theirs["HardLinkCount"])
        assert ours["in_use"] == (theirs["IsDeleted"] == "false")
        assert ours["is_dir"] == (theirs["IsADirectory"] == "true")
        for column, name in THEIR_TIMES.items():
            told = ours.get(column)
            if told is not None:
                assert f"{told:%Y-%m-%dT%H:%M:%S}" == theirs[name][:19], (number, column)
        if not ours.get("is_orphan") and number != 5 and ours.get("file_path"):
            assert ours["file_path"] == "\\" + theirs["FullPath"].replace("/", "\\")
            checked += 1
    assert extensions == 22
    assert checked > 19000


def test_a_cut_table_gives_what_is_before_the_cut(museum: bytes) -> None:
    whole = read("mft", museum)
    cut = read("mft", museum[: 300 * 1024 + 100])
    assert cut.account.records == 301
    assert cut.damage[-1]["why"] == "the file ends inside of it"
    assert {r["src_offset"] for r in cut.rows} == {
        r["src_offset"] for r in whole.rows if r["src_offset"] < 300 * 1024
    }


def test_a_record_as_text() -> None:
    held = table(entry(6, standard(), named("a.txt"), data(b"x", "zone"), runs(0x80, 5000)))
    told = record_text(Feed(io.BytesIO(held), 4096), 6 * 1024).splitlines()
    assert told[0] == "FILE sequence 1, 1 links, in use, lsn 1006, 376 of 1024 bytes used"
    assert [line.split(": ")[1] for line in told if line.startswith("at ")] == [
        "$STANDARD_INFORMATION, 96 bytes, 72 bytes in the record",
        "$FILE_NAME, 104 bytes, 76 bytes in the record",
        "$DATA 'zone', 40 bytes, 1 bytes in the record",
        "$DATA, 72 bytes, clusters 0 to 1, 5000 bytes (8192 allocated)",
    ]
    assert "    a.txt (long and short) in 5-5" in told
    assert "    created       2020-01-02T03:04:05.1234567Z" in told
    with pytest.raises(Corrupt):
        record_text(Feed(io.BytesIO(held), 4096), 7 * 1024)


def test_helpers_guard_what_they_make() -> None:
    made = root()
    assert made[510:512] == made[48:50] == b"\7\0"
    assert guarded(bytearray(1024), 48)[50:54] == bytes(4)
    assert named("x", space=BOTH)[24 + 65] == BOTH
