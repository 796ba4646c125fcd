"""Shell items and property stores: what they name, and that no bytes break them."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelake.parsers.property_store import properties
from tracelake.parsers.shell_items import fat_time, item, join, parse
from tracelake.parsers.shell_names import NAMES, guid_name, guid_text

COMPUTER = bytes.fromhex("14001f50e04fd020ea3a6910a2d808002b30309d")
DRIVE = struct.pack("<HB", 25, 0x2F) + b"C:\\".ljust(22, b"\0")


def test_guids_as_com_writes_them() -> None:
    assert guid_text(COMPUTER[4:]) == "20d04fe0-3aea-1069-a2d8-08002b30309d"
    assert guid_name(guid_text(COMPUTER[4:])) == "My Computer"
    assert guid_name("x") == "{x}"
    assert all(len(guid) == 36 and guid == guid.lower() for guid in NAMES)


def test_fat_times() -> None:
    assert fat_time(0, 0) is None
    assert fat_time((40 << 9) | (1 << 5) | 1, 0) == 1_577_836_800_000_000
    # 29 February 2020, 23:59:58
    assert fat_time((40 << 9) | (2 << 5) | 29, (23 << 11) | (59 << 5) | 29) == 1_583_020_798_000_000
    assert fat_time((40 << 9) | (13 << 5) | 1, 0) is None


def test_a_list_of_windows_xp() -> None:
    """The places of a real link (native.xp.16 of the museum's, EZ tools, MIT)."""
    data = bytes.fromhex(
        "14001f50e04fd020ea3a6910a2d808002b30309d32002e000c00000000000000000000000000741a595e96dfd3"
        "488d671733bcee28ba471a0359723fa74489c55595fe6b30ee58003100000000001431e30911004d414d555349"
        "7e310000400003000400efbe1431e3091331006014002a004d00610020006d0075007300690071007500650000"
        "00407368656c6c33322e646c6c2c2d32383939350018000000"
    )
    found = parse(data)
    assert not found.trouble
    computer, users, music = found.items
    assert (computer.kind, computer.name, users.name) == ("root", "My Computer", "Users Files")
    assert (music.kind, music.name, music.short_name) == ("file", "Ma musique", "MAMUSI~1")
    assert music.is_dir
    assert music.extra["localized_name"] == "@shell32.dll,-28995"
    assert found.path == "My Computer\\Users Files\\Ma musique"


def test_paths_begin_anew_at_a_volume_a_share_and_an_address() -> None:
    drive = item(DRIVE)
    assert (drive.kind, drive.name) == ("volume", "C:\\")
    share = item(struct.pack("<HBBB", 0, 0xC3, 1, 0) + b"\\\\srv\\share\0\0")
    assert (share.kind, share.name) == ("network", "\\\\srv\\share")
    assert join([item(COMPUTER), drive]) == "C:\\"
    assert join([item(COMPUTER), drive, item(COMPUTER)]) == "C:\\My Computer"
    assert join([item(COMPUTER), share]) == "\\\\srv\\share"
    address = item(struct.pack("<HBBHH", 0, 0x61, 0x80, 0, 0) + "http://x/".encode("utf-16-le")
                   + b"\0\0")
    assert join([item(COMPUTER), address]) == "http://x/"


def test_what_is_not_understood_is_kept() -> None:
    strange = item(b"\x08\0\x9a\x01\x02\x03\x04\x05")
    assert strange.kind == "unknown"
    assert strange.name == "[unknown 0x9a]"
    assert strange.extra["data"] == "08009a0102030405"
    assert parse(b"\xff\xff\x1f").trouble == "an item of 65535 bytes at 0, where 3 are left"
    assert parse(b"\x01\0\0").trouble
    assert parse(b"").items == []


def test_properties() -> None:
    text = struct.pack("<HHI", 0x1F, 0, 4) + "abc\0".encode("utf-16-le")
    value = struct.pack("<IIB", 9 + len(text), 10, 0) + text
    guid = bytes.fromhex("30f125b7ef471a10a5f102608c9eebac")
    store = b"1SPS" + guid + value + bytes(4)
    data = struct.pack("<I", 4 + len(store)) + store + bytes(4)
    assert list(properties(data)) == [("System.ItemNameDisplay", "abc")]
    assert list(properties(data[:-9])) == []


@given(st.binary(max_size=300))
def test_no_bytes_break_an_item(data: bytes) -> None:
    found = item(data)
    assert found.name
    assert isinstance(parse(data).path, str)
    list(properties(data))


@given(st.binary(max_size=120), st.sampled_from([0x1F, 0x2E, 0x2F, 0x31, 0x35, 0x41, 0x52, 0x61, 0,
                                                 1, 0x70, 0x71, 0x74, 0xB1, 0xC3]))
def test_no_bytes_break_a_kind(data: bytes, kind: int) -> None:
    for middle in (b"", b"\0\0\0CFSF", b"\0\0\0\x05\x20\x31\x10", b"\0\0\0\xee\xbb\xfe\x23"):
        assert item(b"\0\0" + bytes([kind]) + middle + data).name


def test_shared_links(shared: Path) -> None:
    """303 places, as libfwsi 20260522 finds them (names and file references were compared)."""
    places, kinds = 0, set()
    for path in sorted((shared / "triage").rglob("*")):
        if not path.is_file() or path.stat().st_size > 1 << 20:
            continue
        data = path.read_bytes()
        if data[:4] != b"L\0\0\0" or len(data) < 80 or not data[20] & 1:
            continue
        found = parse(data[78 : 78 + struct.unpack_from("<H", data, 76)[0]])
        assert not found.trouble, path
        places += len(found.items)
        kinds |= {each.kind for each in found.items}
    assert places == 303
    assert kinds == {"root", "uri", "volume", "file", "network"}


@pytest.mark.parametrize("size", [1025, 3000])
def test_a_list_has_an_end(size: int) -> None:
    assert len(parse(b"\x03\0\x1f" * size).items) == 1024
