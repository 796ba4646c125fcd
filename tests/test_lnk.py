"""Shell links and jump lists: real ones, made ones, damaged ones."""

import struct
from pathlib import Path

from tests.winart_case import notes, read, us
from tracelake.parsers import jump_list, lnk, lnk_link
from tracelake.parsers.artifact import Match
from tracelake.parsers.compound import Compound
from tracelake.parsers.jump_apps import app_id, names

DATA = Path(__file__).parent / "data/windows"
LINK = (DATA / "native.seven.14.test").read_bytes()
AUTOMATIC = DATA / "f01b4d95cf55d32a.automaticDestinations-ms"
CUSTOM = DATA / "590aee7bdd69b59b.customDestinations-ms"
FILETIME_2020 = 132_223_104_000_000_000
US_2020 = 1_577_836_800_000_000


def test_a_real_link() -> None:
    assert lnk.match(LINK, "x.test")[0] == Match.CONTENT
    found = read(lnk.PARSER, LINK)
    row = found.one
    assert row["subject_path"] == "%windir%\\system32\\WFS.exe"
    assert row["cmd_line"] == "%windir%\\system32\\WFS.exe /SendTo"
    assert row["machine_uid"] == "win-dc3j5p1qj61"
    assert row["machine_mac"] == "00:1c:23:e2:5b:76"
    assert row["subject_size"] == 802304
    assert us(row, "subject_created_time") == 1247530512198662
    assert (us(row), row["time_desc"]) == (1247534085168000, "target_modified")
    assert notes(row)["droid_created_us"] == "1247549619500009"
    assert not found.damage
    assert found.unexplained == 0


def info_link(network: bool = False, arguments: str = "") -> bytes:
    """A link with a LinkInfo of the old form, by the specification."""
    volume = struct.pack("<4I", 0x15, 3, 0xCAFE1234, 0x10) + b"DATA\0"
    if network:
        share = struct.pack("<5I", 0x14 + 11, 2, 0x14, 0, 0x20000) + b"\\\\srv\\pub\0\0"
        info = struct.pack("<7I", 28 + len(share) + 6, 28, 2, 0, 0, 28, 28 + len(share)) + share
        info += b"a.doc\0"
    else:
        base = b"C:\\t\\b\xe4r.exe\0"
        info = struct.pack("<7I", 28 + 0x15 + len(base) + 1, 28, 1, 28, 28 + 0x15, 0,
                           28 + 0x15 + len(base)) + volume + base + b"\0"
    flags = 2 | 0x80 | (0x20 if arguments else 0)
    head = lnk_link.SIGNATURE + struct.pack("<IIQQQIiIH10x", flags, 0x20, FILETIME_2020, 0,
                                            FILETIME_2020 + 15, 77, 0, 1, 0)
    text = struct.pack("<H", len(arguments)) + arguments.encode("utf-16-le") if arguments else b""
    return head + info + text + bytes(4)


def test_paths_of_drives_and_shares() -> None:
    row = read(lnk.PARSER, info_link(arguments="/x y")).one
    assert row["subject_path"] == "C:\\t\\bär.exe"
    assert row["parse_flags"] == 16, "the code page is a guess"
    assert row["cmd_line"] == "C:\\t\\bär.exe /x y"
    assert row["volume_uid"] == "CAFE1234"
    assert notes(row)["volume_label"] == "DATA"
    assert (us(row), row["time_ns"]) == (US_2020 + 1, 500)
    row = read(lnk.PARSER, info_link(network=True)).one
    assert row["subject_path"] == "\\\\srv\\pub\\a.doc"
    assert row["subject_accessed_time"] is None


def test_bytes_behind_a_link_are_told() -> None:
    found = read(lnk.PARSER, info_link() + b"MZ" + bytes(998))
    assert notes(found.one)["bytes_behind"] == "1000"
    assert found.account.bytes_slack == 1000


def test_a_link_cut_anywhere_gives_a_row_or_a_damage_row() -> None:
    for at in range(1, len(LINK) - 4):
        found = read(lnk.PARSER, LINK[:at])
        if at < 76:
            assert (len(found.rows()), len(found.damage)) == (0, 1), at
        else:
            assert not found.damage
            assert found.unexplained == 0
            assert len(found.rows()) == 1
    assert notes(read(lnk.PARSER, LINK[:300]).one)["trouble"]


def test_an_automatic_list() -> None:
    data = AUTOMATIC.read_bytes()
    assert jump_list.match(data, "mangled")[0] == Match.CONTENT
    found = read(jump_list.PARSER, data, AUTOMATIC.name)
    assert [row["subject_name"] for row in found.rows()] == [
        "Videos.library-ms", "Music.library-ms", "Pictures.library-ms", "Documents.library-ms"]
    row = found.rows()[0]
    assert (us(row), row["time_desc"]) == (1452979324868639, "last_opened")
    assert row["machine_uid"] == "win81x64"
    assert row["machine_mac"] == "00:15:5d:01:6d:0d"
    assert data[row["src_offset"]:][:20] == lnk_link.SIGNATURE
    said = notes(row)
    assert said["app"] == "Microsoft.Windows.Explorer"
    assert said["dest_list_version"] == "1"
    assert not found.damage
    assert found.unexplained == 0


def dest_list(version: int) -> bytes:
    path = "C:\\new.txt"
    entry = bytes(8) + bytes(range(64)) + b"HOST".ljust(16, b"\0")
    entry += struct.pack("<IIfQi", 5, 0, 2.5, FILETIME_2020, 0 if version > 1 else -1)
    if version > 1:
        entry += struct.pack("<II8x", 0, 9)
    entry += struct.pack("<H", len(path)) + path.encode("utf-16-le")
    entry += bytes(4) if version > 1 else b""
    return struct.pack("<8I", version, 2, 1, 0, 5, 0, 2, 0) + entry * 2


def test_entries_of_every_version() -> None:
    for version in (1, 2, 3, 4, 6):
        told, found, why = jump_list.entries(dest_list(version))
        assert (told, len(found), why) == (version, 2, "")
        assert found[1].path == "C:\\new.txt"
        assert found[1].host == "HOST"
        assert found[1].opened == FILETIME_2020
        assert (found[1].count, found[1].pinned) == ((None, None) if version == 1 else (9, 0))
    _, found, why = jump_list.entries(dest_list(4)[:-6])
    assert len(found) == 1
    assert why == "2 entries, of which 1 are there"
    assert jump_list.entries(b"") == (0, [], "")


def test_a_link_that_no_entry_names_is_what_was_removed() -> None:
    data = bytearray(AUTOMATIC.read_bytes())
    at = data.index(b"\x44\0e\0s\0t\0L\0i\0s\0t\0")
    data[at] = ord("X")
    found = read(jump_list.PARSER, bytes(data), "x.automaticDestinations-ms")
    assert len(found.rows()) == 4
    assert all(row["parse_flags"] & 2 for row in found.rows())
    reasons = [row["why"] for row in found.damage]
    assert "there is no DestList" in reasons


def test_chains_that_come_back_end() -> None:
    data = bytearray(AUTOMATIC.read_bytes())
    fat = (struct.unpack_from("<I", data, 76)[0] + 1) * 512
    for number in range(8):
        struct.pack_into("<I", data, fat + 4 * number, number)
    file = Compound(bytes(data))
    assert any("comes back" in why for why in file.trouble)
    found = read(jump_list.PARSER, bytes(data), "x")
    assert found.damage


def test_a_custom_list() -> None:
    data = CUSTOM.read_bytes()
    assert jump_list.match(data, "mangled")[0] == Match.CONTENT
    found = read(jump_list.PARSER, data, f"HOST/{CUSTOM.name}")
    assert [(row["src_offset"], row["src_length"]) for row in found.rows()] == [
        (36, 1566), (1618, 1905), (3539, 1901)]
    assert {notes(row)["category"] for row in found.rows()} == {"tasks"}
    assert found.rows()[1]["detail"] == "Run ISE as Administrator"
    assert not found.damage
    assert found.unexplained == 0
    cut = read(jump_list.PARSER, data[:4000], CUSTOM.name)
    assert len(cut.rows()) == 3
    assert cut.rows()[2]["parse_flags"] & 1
    assert len(cut.damage) == 1


def test_names_of_programs_are_hashes_of_their_ids() -> None:
    assert app_id("Microsoft.Windows.Explorer") == "f01b4d95cf55d32a"
    assert app_id("{1AC14E77-02E7-4E5D-B744-2EB1AE5198B7}\\notepad.exe") == "9b9cdc69c1c24e2b"
    assert names()["5d696d521de238c3"] == "Chrome"


def test_every_shared_link_is_read_whole(shared: Path) -> None:
    folders = (shared / "triage/ez-lnk", shared / "triage/museum/LNK")
    paths = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    assert len(paths) == 93
    for path in paths:
        found = read(lnk.PARSER, path.read_bytes())
        row = found.one
        assert "trouble" not in notes(row), path
        assert row["subject_path"], path
        assert found.unexplained == 0
        assert found.account.bytes_slack == 0, path
