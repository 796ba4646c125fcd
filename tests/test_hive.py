"""Registry hives: keys, values, types, lists, logs, what is deleted, what is damaged."""

import struct
import sys

import pytest

from tests.hive_build import (
    FILETIME_2020,
    NONE,
    Builder,
    K,
    base_block,
    binary,
    dword,
    multi,
    new_log,
    old_log,
    sz,
    tree,
    user_sid,
)
from tests.hive_case import notes, read, unpacked
from tracelake.parsers import hive
from tracelake.parsers.artifact import Match
from tracelake.parsers.hive_log import Header, marvin32, replay

SOFTWARE = {"Microsoft": {}, "Classes": {}}
ROOT = "HKLM\\SOFTWARE"


def software(paths: dict, **how) -> bytes:
    return Builder(**how).hive(tree(SOFTWARE | paths))


def test_the_first_bytes_tell_a_hive() -> None:
    data = software({})
    assert hive.match(data[:65536], "x") == (Match.CONTENT, "")
    assert hive.match(b"\0" * 4096 + data[4096:8192], "x")[0] == Match.CONTENT
    log = base_block(4096, 32, "x", kind=6)[:512] + b"HvLE"
    assert hive.match(log, "SOFTWARE.LOG1")[0] == Match.NO
    assert hive.match(b"ElfFile\0", "x")[0] == Match.NO


def test_values_of_every_type() -> None:
    time = struct.pack("<Q", FILETIME_2020)
    values = {
        "": sz("default"),
        "expand": (2, "%windir%\\x".encode("utf-16-le") + b"\0\0"),
        "none": (0, b"\1\2\3\4\5"),
        "binary": binary(bytes(range(16))),
        "dword": dword(4_000_000_000),
        "big endian": (5, b"\0\0\1\0"),
        "link": (6, "\\Registry\\Machine".encode("utf-16-le")),
        "multi": multi("one", "two"),
        "list": (8, b"\0" * 8),
        "qword": (11, struct.pack("<Q", 2**63 + 1)),
        "short dword": (4, b"\1\2"),
        "odd": (1, "odd".encode("utf-16-le") + b"\0\0x"),
        "hidden": (1, "seen\0hidden".encode("utf-16-le") + b"\0\0"),
        "lone": (1, b"a\0\x00\xd8b\0\0\0"),
        "property": (0xFFFF0010, time),
        "text property": (0xFFFF0012, "text".encode("utf-16-le") + b"\0\0"),
        "guid": (0xFFFF000D, bytes(range(16))),
        "yes": (0xFFFF0011, b"\xff"),
        "rid": (0x1F4, b""),
        "äöü": sz("Latin"),
        "имя": sz("Cyrillic"),
    }
    found = read(software({"Microsoft\\T": values}))
    path = f"{ROOT}\\Microsoft\\T"
    shown = {r["reg_value_name"]: (r["reg_value_type"], r["reg_value_data"])
             for r in found.values if r["reg_key_path"] == path}
    assert shown == {
        "(Default)": ("REG_SZ", "default"),
        "expand": ("REG_EXPAND_SZ", "%windir%\\x"),
        "none": ("REG_NONE", "0102030405"),
        "binary": ("REG_BINARY", bytes(range(16)).hex()),
        "dword": ("REG_DWORD", "4000000000"),
        "big endian": ("REG_DWORD_BIG_ENDIAN", "256"),
        "link": ("REG_LINK", "\\Registry\\Machine"),
        "multi": ("REG_MULTI_SZ", "one\ntwo"),
        "list": ("REG_RESOURCE_LIST", "00" * 8),
        "qword": ("REG_QWORD", str(2**63 + 1)),
        "short dword": ("REG_DWORD", "0102"),
        "odd": ("REG_SZ", "odd"),
        "hidden": ("REG_SZ", "seen"),
        "lone": ("REG_SZ", "a\ufffdb"),
        "property": ("DEVPROP_FILETIME", "2020-01-01T00:00:00.0000000Z"),
        "text property": ("DEVPROP_STRING", "text"),
        "guid": ("DEVPROP_GUID", "{03020100-0504-0706-0809-0a0b0c0d0e0f}"),
        "yes": ("DEVPROP_BOOLEAN", "true"),
        "rid": ("0x000001f4", ""),
        "äöü": ("REG_SZ", "Latin"),
        "имя": ("REG_SZ", "Cyrillic"),
    }
    # What the text does not say is in `raw`.
    assert found.value(path, "hidden")["raw"] == values["hidden"][1]
    assert found.value(path, "odd")["raw"] == values["odd"][1]
    assert found.value(path, "lone")["parse_flags"] == 128
    assert not found.damage
    assert found.unexplained == 0


def test_settings_of_packaged_applications_have_a_date() -> None:
    time = struct.pack("<Q", FILETIME_2020)
    values = {"text": (0x5F5E10C, "x".encode("utf-16-le") + b"\0\0" + time),
              "number": (0x5F5E105, struct.pack("<I", 7) + time), "yes": (0x5F5E10B, b"\1" + time),
              "other": (0x5F5E10D, b"\1\2" + time)}
    found = read(Builder().hive(tree({"LocalState": values}), "settings.dat"), "settings.dat")
    rows = {r["reg_value_name"]: r for r in found.values}
    assert {n: (r["reg_value_type"], r["reg_value_data"]) for n, r in rows.items()} == {
        "text": ("APPDATA_STRING", "x"), "number": ("APPDATA_UINT32", "7"),
        "yes": ("APPDATA_BOOLEAN", "true"), "other": ("APPDATA_COMPOSITE", "0102")}
    assert {r["time"].isoformat() for r in rows.values()} == {"2020-01-01T00:00:00+00:00"}
    assert {r["time_desc"] for r in rows.values()} == {"value_written"}


def test_broken_bins_are_one_damage_row() -> None:
    paths = {f"Microsoft\\{i:04}": {"v": sz("x" * 40)} for i in range(400)}
    data = software(paths) + bytes(1 << 20)
    broken = bytearray(data)
    broken[4096:4100] = b"\0\0\0\0"
    found = read(bytes(broken))
    assert [d["what"] for d in found.damage] == ["hive bin"]
    assert len(found.values) == 400


def test_keys_have_a_date_and_values_that_of_their_key() -> None:
    root = tree(SOFTWARE)
    root.keys["Microsoft"] = K({"v": sz("x")}, written=FILETIME_2020 + 10_000_003, class_name="Cls")
    found = read(Builder().hive(root))
    (key,) = found.rows(reg_key_path=f"{ROOT}\\Microsoft", class_uid=205004)
    assert key["time"].isoformat() == "2020-01-01T00:00:01+00:00"
    assert key["time_ns"] == 300
    assert key["time_desc"] == "reg_modified"
    assert key["reg_modified_time"] == key["time"]
    assert notes(key) == {"owner": "S-1-5-32-544", "class": "Cls"}
    value = found.value(f"{ROOT}\\Microsoft", "v")
    assert value["time"] is None
    assert value["reg_modified_time"] == key["time"]


@pytest.mark.parametrize("leaf", [b"li", b"lf", b"lh"])
@pytest.mark.parametrize("leaf_most", [500, 7])
def test_every_kind_of_list(leaf: bytes, leaf_most: int) -> None:
    names = [f"key {i:03}" for i in range(100)]
    paths = {f"Microsoft\\{name}": {"v": dword(i)} for i, name in enumerate(names)}
    found = read(software(paths, leaf=leaf, leaf_most=leaf_most))
    assert [r["reg_key_path"].rsplit("\\", 1)[1] for r in found.keys[2:102]] == names
    assert len(found.values) == 100
    assert not found.damage
    assert found.unexplained == 0


@pytest.mark.parametrize("minor", [1, 2, 3, 4, 5, 6])
def test_every_version(minor: int) -> None:
    big = bytes(range(256)) * 200
    found = read(software({"Microsoft": {"big": binary(big), "x": sz("y")}}, minor=minor))
    row = found.value(f"{ROOT}\\Microsoft", "big")
    assert row["reg_value_data"] == big[:2048].hex()
    assert row["raw"] == big
    assert found.value(f"{ROOT}\\Microsoft", "x")["reg_value_data"] == "y"
    assert notes(row) == {"data_size": str(len(big))}
    assert not found.damage
    assert found.unexplained == 0


def test_layers_of_a_differencing_hive() -> None:
    builder = Builder(minor=6)
    data = bytearray(builder.hive(tree(SOFTWARE | {"Microsoft\\gone": {}})))
    data[4096 + builder.at["Microsoft\\gone"] + 4 + 13] = 1
    (row,) = read(bytes(data)).rows(reg_key_path=f"{ROOT}\\Microsoft\\gone")
    assert notes(row)["layer"] == "tombstone"


def test_roots_by_content_and_name() -> None:
    def root(paths: list[str], path: str, name: str = "", **how) -> str:
        data = Builder(**how).hive(tree({p: {} for p in paths}), name)
        return read(data, path).keys[0]["reg_key_path"]

    assert root(["Select", "ControlSet001"], "x/renamed.bin") == "HKLM\\SYSTEM"
    assert root(["SAM"], "whatever") == "HKLM\\SAM"
    assert root(["Microsoft", "Classes"], "HOST_hklm_sw") == ROOT
    user = {"user": user_sid(1001)}
    assert root(["Software", "Control Panel"], "n", **user) == "HKU\\S-1-5-21-1-2-3-1001"
    assert root(["Local Settings"], "n", **user) == "HKU\\S-1-5-21-1-2-3-1001_Classes"
    assert root(["Software", "Environment"], "C:/Users/ada/NTUSER.DAT") == "HKCU"
    assert root(["Software", "Environment"], "config/DEFAULT") == "HKU\\.DEFAULT"
    assert root(["Root\\InventoryApplicationFile"], "a",
                "\\AppCompat\\Programs\\Amcache.hve") == "Amcache.hve"
    assert root(["LocalState"], "p/settings.dat") == "settings.dat"
    assert root([], "C%3A/Windows/System32/config/SYSTEM") == "HKLM\\SYSTEM"


def test_the_current_control_set_has_two_names() -> None:
    paths = {"Select": {"Current": dword(2)}, "ControlSet001\\Control": {},
             "ControlSet002\\Control": {"v": sz("x")}}
    found = read(Builder().hive(tree(paths), "SYSTEM"), "SYSTEM")
    alias = {r["reg_key_path"]: r["reg_alias_path"] for r in found.rows()}
    assert alias["HKLM\\SYSTEM\\ControlSet002\\Control"] == (
        "HKLM\\SYSTEM\\CurrentControlSet\\Control")
    assert alias["HKLM\\SYSTEM\\ControlSet001\\Control"] is None


def dirty(before: bytes) -> bytes:
    """A hive whose write was begun and not ended."""
    return base_block(len(before) - 4096, 32, "SOFTWARE", first=2, second=1) + before[4096:]


BEFORE = software({"Microsoft": {"v": sz("before"), "n": dword(1)}})
AFTER = software({"Microsoft": {"v": sz("after!"), "n": dword(2)}})


@pytest.mark.parametrize(("name", "log"), [
    ("SOFTWARE.LOG1", new_log(BEFORE, AFTER, 1)),
    ("software.log2", new_log(BEFORE, AFTER, 2)),
    ("SOFTWARE.LOG", old_log(BEFORE, AFTER)),
    ("SOFTWARE.LOG1", old_log(BEFORE, AFTER)),
])
def test_logs_are_replayed(name: str, log: bytes) -> None:
    found = read(dirty(BEFORE), files={name: log})
    row = found.value(f"{ROOT}\\Microsoft", "v")
    assert row["reg_value_data"] == "after!"
    assert notes(row)["from"] == "transaction log"
    # The file does not have these bytes.
    assert row["raw"].startswith(b"vk")
    assert found.account.counters["log entries applied"] == 1
    assert not found.damage


def test_a_dirty_hive_without_logs_says_so() -> None:
    found = read(dirty(BEFORE))
    assert found.value(f"{ROOT}\\Microsoft", "v")["reg_value_data"] == "before"
    assert [d["why"] for d in found.damage] == ["dirty, and there is no log beside it"]


def test_a_clean_hive_does_not_ask_for_logs() -> None:
    found = read(BEFORE, files={"SOFTWARE.LOG1": new_log(BEFORE, AFTER, 1)})
    assert found.value(f"{ROOT}\\Microsoft", "v")["reg_value_data"] == "before"


def test_what_is_wrong_with_a_log_ends_its_replay() -> None:
    log = bytearray(new_log(BEFORE, AFTER, 1))
    log[-700] ^= 1
    found = read(dirty(BEFORE), files={"SOFTWARE.LOG1": bytes(log)})
    assert found.value(f"{ROOT}\\Microsoft", "v")["reg_value_data"] == "before"
    assert "no entry can be read" in found.damage[0]["why"]
    stale = base_block(
        len(AFTER) - 4096, 32, "x", first=2, second=2, kind=1, written=5)[:512]
    found = read(dirty(BEFORE), files={"SOFTWARE.LOG": stale + old_log(BEFORE, AFTER)[512:]})
    assert "of another write" in found.damage[0]["why"]


def test_logs_take_turns() -> None:
    last = software({"Microsoft": {"v": sz("newest"), "n": dword(3)}})
    files = {"SOFTWARE.LOG1": new_log(AFTER, last, 2), "SOFTWARE.LOG2": new_log(BEFORE, AFTER, 1)}
    found = read(dirty(BEFORE), files=files)
    assert found.value(f"{ROOT}\\Microsoft", "v")["reg_value_data"] == "newest"
    assert found.account.counters["log entries applied"] == 2


def test_a_log_may_make_the_hive_longer_and_mend_its_base_block() -> None:
    longer = software({f"Microsoft\\{i:03}": {"v": sz("x" * 40)} for i in range(100)})
    short = bytes(4096) + longer[4096:8192]
    log = new_log(bytes(len(longer)), longer, 1)
    found = read(short, "SOFTWARE", {"SOFTWARE.LOG1": log})
    assert len(found.values) == 100
    beyond = [row for row in found.rows() if row["sub"]]
    assert found.account.counters["rows of what only a log has"] == len(beyond) > 50
    assert found.account.in_rows == len(found.rows()) - len(beyond)
    assert all(row["src_offset"] < len(short) for row in found.rows())
    places = [(row["src_offset"], row["sub"]) for row in found.rows()]
    assert len(set(places)) == len(places)


def test_marvin32() -> None:
    # The seed of hive logs; the header of an entry is hashed with its own first hash in it.
    log = new_log(BEFORE, AFTER, 1)
    assert struct.unpack_from("<Q", log, 512 + 32)[0] == marvin32(log[512:544])
    assert [marvin32(b"abcdefgh"[:n]) for n in range(3)] == [
        marvin32(b""), marvin32(b"a"), marvin32(b"ab")]
    assert len({marvin32(b"abcdefgh"[:n]) for n in range(9)}) == 9


def test_deleted_keys_and_values_come_back() -> None:
    builder = Builder()
    data = bytearray(builder.hive(tree(SOFTWARE | {
        "Microsoft\\Run": {"evil": sz("C:\\evil.exe")}, "Microsoft\\Kept": {"v": sz("x")}})))
    size = len(data)
    free = [builder.at["Microsoft\\Run"], builder.at["Microsoft\\Run!evil"]]
    for offset in free:
        at = 4096 + offset
        struct.pack_into("<i", data, at, -struct.unpack_from("<i", data, at)[0])
    # The list of subkeys has it no more.
    nk = 4096 + builder.at["Microsoft"] + 4
    struct.pack_into("<I", data, nk + 20, 1)
    listed = 4096 + struct.unpack_from("<I", data, nk + 28)[0] + 4
    struct.pack_into("<H", data, listed + 2, 1)
    data[listed + 4 : listed + 8] = struct.pack("<I", builder.at["Microsoft\\Kept"])
    found = read(bytes(data))
    (key,) = found.rows(reg_key_path=f"{ROOT}\\Microsoft\\Run", class_uid=205004)
    assert key["parse_flags"] == 2
    row = found.value(f"{ROOT}\\Microsoft\\Run", "evil")
    assert (row["parse_flags"], row["reg_value_data"]) == (2, "C:\\evil.exe")
    assert found.unexplained == 0
    assert len(data) == size


def test_a_deleted_value_is_found_by_the_list_that_named_it() -> None:
    builder = Builder()
    data = bytearray(builder.hive(tree(SOFTWARE | {
        "Microsoft\\Run": {"a": sz("kept"), "evil": sz("C:\\evil.exe")}})))
    nk = 4096 + builder.at["Microsoft\\Run"] + 4
    struct.pack_into("<I", data, nk + 36, 1)
    at = 4096 + builder.at["Microsoft\\Run!evil"]
    struct.pack_into("<i", data, at, -struct.unpack_from("<i", data, at)[0])
    row = read(bytes(data)).value(f"{ROOT}\\Microsoft\\Run", "evil")
    assert (row["parse_flags"], row["reg_value_data"]) == (2, "C:\\evil.exe")
    assert row["reg_modified_time"] is None


def test_loops_and_shared_lists_end() -> None:
    builder = Builder()
    data = bytearray(builder.hive(tree(SOFTWARE | {"Microsoft\\A\\B": {"v": sz("x")}})))
    nk = {name: 4096 + builder.at[name] + 4 for name in ("Microsoft", "Microsoft\\A",
                                                         "Microsoft\\A\\B")}
    # B's children are those of Microsoft: a loop.
    data[nk["Microsoft\\A\\B"] + 20 : nk["Microsoft\\A\\B"] + 24] = struct.pack("<I", 1)
    data[nk["Microsoft\\A\\B"] + 28 : nk["Microsoft\\A\\B"] + 32] = (
        data[nk["Microsoft"] + 28 : nk["Microsoft"] + 32])
    found = read(bytes(data))
    assert len(found.keys) == 5
    assert [d["why"] for d in found.damage] == ["it was read already: a loop, or two owners"]


@pytest.mark.parametrize(("field", "value", "why"), [
    (20, 7, "it has fewer keys than its key says"),
    (28, 0xFFFFFF00, "its offset is not that of a cell"),
    (28, NONE, "the key says it has subkeys, and no list"),
    (36, 1000, "it is shorter than its key says"),
    (40, 0x7FFFFFF0, "its offset is not that of a cell"),
])
def test_a_broken_key_costs_what_it_names(field: int, value: int, why: str) -> None:
    builder = Builder()
    data = bytearray(builder.hive(tree(SOFTWARE | {"Microsoft\\A": {"v": sz("x")}})))
    path = "Microsoft" if field < 36 else "Microsoft\\A"
    if field == 36:
        data[4096 + builder.at[path] + 4 + 36] = 200
    else:
        struct.pack_into("<I", data, 4096 + builder.at[path] + 4 + field, value)
    found = read(bytes(data))
    assert why in [d["why"] for d in found.damage]
    # What nothing leads to is found all the same.
    assert f"{ROOT}\\Microsoft\\A" in {r["reg_key_path"] for r in found.keys}


def test_a_list_that_is_none_is_left() -> None:
    builder = Builder()
    data = bytearray(builder.hive(tree(SOFTWARE | {
        "Microsoft\\A": {"v": sz("x")}, "Microsoft\\B": {"w": binary(bytes(100_000))}})))
    # The list of A's values claims everything behind it.
    listed = 4096 + struct.unpack_from("<I", data, 4096 + builder.at["Microsoft\\A"] + 4 + 40)[0]
    struct.pack_into("<i", data, listed, -90_000)
    struct.pack_into("<I", data, 4096 + builder.at["Microsoft\\A"] + 4 + 36, 20_000)
    found = read(bytes(data))
    assert len(found.damage) < 80
    assert "the rest of it does not lead to values" in [d["why"] for d in found.damage]


def test_values_that_share_their_data_have_it_once() -> None:
    builder = Builder()
    data = bytearray(builder.hive(tree(SOFTWARE | {
        "Microsoft": {"a": sz("the data of a"), "b": sz("the data of b")}})))
    a, b = (4096 + builder.at[f"Microsoft!{n}"] + 4 for n in "ab")
    data[b + 8 : b + 12] = data[a + 8 : a + 12]
    row = read(bytes(data)).value(f"{ROOT}\\Microsoft", "b")
    assert notes(row)["data"] == "belong to another record"
    assert row["parse_flags"] == 1


def test_a_depth_beyond_windows_ends() -> None:
    root = K()
    key = root
    for _ in range(700):
        key = key.keys.setdefault("d", K())
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(5000)
    try:
        data = Builder().hive(root, "x")
    finally:
        sys.setrecursionlimit(limit)
    found = read(data, "deep")
    assert "more than 600 levels deep" in [d["why"] for d in found.damage]
    assert len(found.keys) == 701


def test_header_of_a_base_block() -> None:
    head = Header(base_block(4096, 32, "x", first=3, second=2))
    assert (head.good, head.dirty, head.first, head.second) == (True, True, 3, 2)
    assert not Header(b"").good
    out = replay(bytearray(base_block(4096, 32, "x")), [], 1 << 20)
    assert not out.dirty


@pytest.mark.parametrize(("name", "keys", "values"), [
    ("BCD", 132, 103), ("SAM", 65, 70), ("SECURITY", 100, 109), ("NTUSER.DAT", 1812, 4094),
])
def test_real_hives_whole(name: str, keys: int, values: int) -> None:
    """Counts as python-registry 1.3.1 gives them; names and paths were compared too."""
    found = read(unpacked(name), name)
    live = [r for r in found.rows() if not (r["parse_flags"] or 0) & 2]
    assert sum(r["class_uid"] == 205004 for r in live) == keys
    assert sum(r["class_uid"] == 205005 for r in live) == values
    assert found.unexplained == 0
    assert [d["why"] for d in found.damage] == (
        ["dirty, and there is no log beside it"] if name == "SECURITY" else [])
