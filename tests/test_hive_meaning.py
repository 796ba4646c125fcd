"""What registry keys mean: each decoder with a hive made for it, and real hives."""

import codecs
import lzma
import struct
from pathlib import Path

import pytest

from tests.hive_build import FILETIME_2020, Builder, binary, dword, multi, sz, tree, user_sid
from tests.hive_case import Found, notes, read, unpacked
from tracelake.native.errors import Corrupt
from tracelake.parsers.hive_meaning import DECODERS, PATTERNS
from tracelake.parsers.hive_patterns import Patterns
from tracelake.parsers.hive_shimcache import entries
from tracelake.parsers.hive_table import autostarts, decoded, settings

US_2020 = 1_577_836_800_000_000
TIME = struct.pack("<Q", FILETIME_2020)
CS = "ControlSet001"
USER = {"user": user_sid(1001)}


def wide(text: str) -> bytes:
    return text.encode("utf-16-le") + b"\0\0"


def system(paths: dict) -> Found:
    base = {"Select": {"Current": dword(1)}, CS: {}, "ControlSet002": {}}
    return read(Builder().hive(tree(base | paths), "SYSTEM"), "SYSTEM")


def software(paths: dict) -> Found:
    return read(Builder().hive(tree({"Classes": {}, "Microsoft": {}} | paths)), "SOFTWARE")


def ntuser(paths: dict) -> Found:
    base = {"Software\\Microsoft": {}, "Control Panel": {}, "Environment": {}}
    return read(Builder(**USER).hive(tree(base | paths), "x"), "Users/ada/NTUSER.DAT")


def us(row: dict, column: str = "time") -> int | None:
    value = row[column]
    return None if value is None else round(value.timestamp() * 1_000_000)


def one(found: Found, artifact: str) -> dict:
    (row,) = found.rows("artifact_query", artifact=artifact)
    return row


def fact(found: Found, name: str) -> dict:
    (row,) = found.rows("inventory", fact=name)
    return row


def test_patterns() -> None:
    machine = Patterns([(r"A\(B)\C*\D", "x"), (r"A\*\D", "y")])

    def kinds(path: str) -> tuple[str, ...]:
        state = 0
        for name in path.split("\\"):
            state = machine.follow(state, name)
            if state < 0:
                return ()
        return machine.kinds(state)

    assert kinds("a\\b\\c1\\d") == ("x",)
    assert set(kinds("A\\C\\D")) == {"x", "y"}
    assert kinds("A\\Z\\D") == ("y",)
    assert kinds("A\\B\\D\\E") == ()
    assert kinds("Z") == ()


def test_the_table_names_decoders_that_are_there() -> None:
    assert {name for name, _ in decoded()} <= DECODERS.keys()
    assert not {what for what, _, _ in autostarts()} & {what for what, _, _ in settings()}
    kinds = {pattern.split("\\")[0] for _, pattern in decoded()}
    assert kinds == {"SYSTEM", "SOFTWARE", "NTUSER", "USRCLASS", "SAM", "SECURITY", "AMCACHE"}
    assert all(what.replace("_", "").isalnum() and "\\" in p for what, _, p in autostarts())
    assert PATTERNS.start("OTHER") == -1


@pytest.mark.parametrize(("path", "value", "text", "artifact"), [
    ("Microsoft\\Windows\\CurrentVersion\\Run", "x", "C:\\x.exe -a", "run_key"),
    ("Wow6432Node\\Microsoft\\Windows\\CurrentVersion\\Run", "x", "C:\\x.exe -a", "run_key"),
    ("Microsoft\\Windows NT\\CurrentVersion\\Winlogon", "Shell", "C:\\x.exe -a", "winlogon"),
    ("Microsoft\\Windows NT\\CurrentVersion\\Image File Execution Options\\sethc.exe",
     "Debugger", "C:\\x.exe -a", "ifeo_debugger"),
    ("Microsoft\\Active Setup\\Installed Components\\{1}", "StubPath", "C:\\x.exe -a",
     "active_setup"),
    ("Policies\\Microsoft\\Windows Defender\\Exclusions\\Paths", "C:\\x.exe", "0",
     "defender_exclusion"),
])
def test_autostarts(path: str, value: str, text: str, artifact: str) -> None:
    found = software({path: {value: sz(text), "other": dword(1)} if artifact not in (
        "run_key", "defender_exclusion") else {value: sz(text)}})
    row = one(found, artifact)
    assert row["class_uid"] == (205019 if artifact == "defender_exclusion" else 5022)
    assert row["cmd_line" if row["class_uid"] == 5022 else "detail"] == text
    assert us(row) == US_2020
    assert row["key_path"] == f"HKLM\\SOFTWARE\\{path}"
    if text != "0":
        assert row["subject_path"] == "C:\\x.exe"


def test_autostarts_that_are_switched_off() -> None:
    path = "Microsoft\\Windows\\CurrentVersion\\Explorer\\StartupApproved\\Run"
    found = software({path: {"x": binary(b"\3\0\0\0" + TIME), "y": binary(b"\2" + bytes(11))}})
    off, on = found.rows("artifact_query", artifact="startup_approved")
    assert (off["subject_name"], off["detail"], us(off)) == ("x", "Run, off", US_2020)
    assert (on["subject_name"], on["detail"], us(on)) == ("y", "Run, on", None)


def test_services() -> None:
    row = one(system({
        f"{CS}\\Services\\Evil": {"Type": dword(0x20), "Start": dword(2),
                                  "ImagePath": (2, wide("%SystemRoot%\\svchost.exe -k evil")),
                                  "ObjectName": sz("LocalSystem"), "DisplayName": sz("An Evil")},
        f"{CS}\\Services\\Evil\\Parameters": {"ServiceDll": sz("C:\\evil.dll")},
    }), "service")
    assert (row["class_uid"], row["subject_name"]) == (5016, "Evil")
    assert row["subject_path"] == "C:\\evil.dll"
    assert row["cmd_line"] == "%SystemRoot%\\svchost.exe -k evil"
    assert row["detail"] == "share process, start auto, as LocalSystem, dll C:\\evil.dll"
    assert notes(row)["display_name"] == "An Evil"


PATHS = ["\\??\\C:\\Windows\\a.exe", "\\??\\D:\\b.exe"]


def cache_xp() -> bytes:
    body = b"".join(p.encode("utf-16-le").ljust(528, b"\0") + TIME + struct.pack("<Q", 77) + TIME
                    for p in PATHS)
    return struct.pack("<II", 0xDEADBEEF, len(PATHS)).ljust(400, b"\0") + body


def cache_table(magic: int, begin: int, step: int, is_64: bool, size: int = 0) -> bytes:
    at = begin + step * len(PATHS)
    rows = texts = b""
    for path in PATHS:
        raw = path.encode("utf-16-le")
        where = at + len(texts)
        head = struct.pack("<HHIQ", len(raw), len(raw) + 2, 0, where) if is_64 else struct.pack(
            "<HHI", len(raw), len(raw) + 2, where)
        tail = struct.pack("<II", size or 2, 0)
        rows += (head + TIME + tail).ljust(step, b"\0")
        texts += raw + b"\0\0"
    return struct.pack("<II", magic, len(PATHS)).ljust(begin, b"\0") + rows + texts


def cache_stream(begin: int, magic: bytes, package: bool, is_10: bool) -> bytes:
    out = struct.pack("<I", 0x80 if begin == 128 else begin).ljust(begin, b"\0")
    for path in PATHS:
        raw = path.encode("utf-16-le")
        body = struct.pack("<H", len(raw)) + raw
        if is_10:
            body += TIME + struct.pack("<I", 4) + b"\1\0\0\0"
        else:
            body += (b"\0\0" if package else b"") + struct.pack("<II", 2, 0) + TIME
            body += struct.pack("<I", 0)
        out += magic + bytes(4) + struct.pack("<I", len(body)) + body
    return out


@pytest.mark.parametrize(("data", "executed"), [
    pytest.param(cache_xp(), None, id="xp"),
    pytest.param(cache_table(0xBADC0FFE, 8, 24, False, 70000), None, id="2003"),
    pytest.param(cache_table(0xBADC0FFE, 8, 24, False), True, id="vista"),
    pytest.param(cache_table(0xBADC0FFE, 8, 32, True), True, id="vista-64"),
    pytest.param(cache_table(0xBADC0FEE, 128, 32, False), True, id="7"),
    pytest.param(cache_table(0xBADC0FEE, 128, 48, True), True, id="7-64"),
    pytest.param(cache_stream(128, b"00ts", False, False), True, id="8.0"),
    pytest.param(cache_stream(128, b"10ts", True, False), True, id="8.1"),
    pytest.param(cache_stream(0x30, b"10ts", False, True), True, id="10"),
    pytest.param(cache_stream(0x34, b"10ts", False, True), True, id="10-1703"),
])
def test_shimcache_of_every_windows(data: bytes, executed: bool | None) -> None:
    key = "AppCompatibility" if data[:4] == b"\xef\xbe\xad\xde" else "AppCompatCache"
    found = system({f"{CS}\\Control\\Session Manager\\{key}": {"AppCompatCache": binary(data)}})
    rows = found.rows("artifact_query", artifact="shimcache")
    assert [r["subject_path"] for r in rows] == ["C:\\Windows\\a.exe", "D:\\b.exe"]
    assert [r["subject_name"] for r in rows] == ["a.exe", "b.exe"]
    assert {us(r) for r in rows} == {us(r, "subject_modified_time") for r in rows} == {US_2020}
    assert {r["time_desc"] for r in rows} == {"file_modified"}
    assert {r["is_executed"] for r in rows} == {executed}
    assert [notes(r)["position"] for r in rows] == ["0", "1"]
    assert [r["sub"] for r in rows] == [1, 2]
    assert not found.damage


@pytest.mark.parametrize("cut", [20, 300, 460])
def test_a_cut_shimcache_gives_what_is_whole(cut: int) -> None:
    data = cache_xp()[:400 + 552 + cut]
    found = system({f"{CS}\\Control\\Session Manager\\AppCompatibility":
                    {"AppCompatCache": binary(data)}})
    assert len(found.rows("artifact_query", artifact="shimcache")) == 1
    assert [d["why"] for d in found.damage] == ["entry 1 of 2 is cut"]
    with pytest.raises(Corrupt, match="unknown format"):
        list(entries(b"\1\2\3\4" + bytes(200)))


def test_a_key_that_damage_cut_off_means_the_same() -> None:
    builder = Builder()
    paths = {"Microsoft\\Windows\\CurrentVersion\\Run": {"x": sz("C:\\x.exe")}, "Classes": {}}
    data = bytearray(builder.hive(tree(paths)))
    # The list of Windows' subkeys is gone.
    at = 4096 + builder.at["Microsoft\\Windows"] + 4
    data[at + 28 : at + 32] = b"\xff\xff\xff\x7f"
    found = read(bytes(data), "SOFTWARE")
    assert one(found, "run_key")["cmd_line"] == "C:\\x.exe"
    assert [d["what"] for d in found.damage] == ["list of subkeys"]


def test_bam() -> None:
    row = one(system({f"{CS}\\Services\\bam\\State\\UserSettings\\S-1-5-21-1": {
        "\\Device\\HarddiskVolume2\\x.exe": binary(TIME + bytes(16)),
        "Version": dword(1)}}), "bam")
    assert (us(row), row["time_desc"], row["user_uid"]) == (US_2020, "last_run", "S-1-5-21-1")
    assert row["subject_name"] == "x.exe"


def test_userassist() -> None:
    name = codecs.encode("{6D809377-6AF0-444B-8957-A3773F02200E}\\App\\x.exe", "rot13")
    new = struct.pack("<IIII", 0, 7, 3, 61_500).ljust(60, b"\0") + TIME + bytes(4)
    old = struct.pack("<IIQ", 1, 11, FILETIME_2020)
    path = "Software\\Microsoft\\Windows\\CurrentVersion\\Explorer\\UserAssist\\{1}\\Count"
    found = ntuser({path: {name: binary(new),
                           codecs.encode("UEME_RUNPATH:C:\\y.exe", "rot13"): binary(old),
                           codecs.encode("UEME_CTLSESSION", "rot13"): binary(bytes(16))}})
    first, second = found.rows("artifact_query", artifact="userassist")
    assert first["subject_path"] == "%ProgramFiles%\\App\\x.exe"
    assert (first["run_count"], first["focus_count"], first["focus_s"]) == (7, 3, 61.5)
    assert us(first) == us(second) == US_2020
    assert (second["subject_path"], second["run_count"]) == ("C:\\y.exe", 6)
    assert first["user_uid"] == "S-1-5-21-1-2-3-1001"
    assert first["user_name"] == "ada"


SHA1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709"


def test_amcache_new_and_old() -> None:
    found = read(Builder().hive(tree({
        "Root\\InventoryApplicationFile\\x.exe|1": {
            "LowerCaseLongPath": sz("c:\\x.exe"), "Name": sz("X.exe"), "FileId": sz("0000" + SHA1),
            "Size": (11, struct.pack("<Q", 1234)), "Publisher": sz("ada"),
            "IsOsComponent": dword(0)},
        "Root\\InventoryDriverBinary\\c:/windows/d.sys": {
            "DriverName": sz("d.sys"), "DriverId": sz("0000" + SHA1),
            "DriverLastWriteTime": sz("01/01/2020 00:00:00")},
        "Root\\File\\{c8289b8a-8665-11dd-b808-806d6172696f}\\4000105bb": {
            "15": sz("C:\\old.exe"), "101": sz("0000" + SHA1), "6": dword(99),
            "17": (11, TIME)},
        "Root\\Programs\\0000f": {"0": sz("Prog"), "1": sz("1.0"), "2": sz("ada")},
    }), "Amcache.hve"), "Amcache.hve")
    new, old = found.rows("artifact_query", artifact="amcache_file")
    assert (new["subject_path"], new["subject_sha1"], new["subject_size"]) == (
        "c:\\x.exe", SHA1, 1234)
    assert new["key_path"] == "Amcache.hve\\Root\\InventoryApplicationFile\\x.exe|1"
    assert notes(new)["IsOsComponent"] == "0"
    assert (old["subject_path"], old["subject_sha1"], old["subject_size"]) == (
        "C:\\old.exe", SHA1, 99)
    assert us(old, "subject_modified_time") == US_2020
    assert old["volume_uid"] == "c8289b8a-8665-11dd-b808-806d6172696f"
    assert notes(old)["mft_entry"] == str(0x105BB)
    driver = one(found, "amcache_driver")
    assert (driver["class_uid"], driver["subject_path"], us(driver, "subject_modified_time")) == (
        5011, "c:\\windows\\d.sys", US_2020)
    program = one(found, "amcache_program")
    assert (program["class_uid"], program["subject_name"]) == (5020, "Prog")


def test_usb_storage() -> None:
    device = f"{CS}\\Enum\\USBSTOR\\Disk&Ven_SanDisk&Prod_Cruzer&Rev_1.20\\0A1B&0"
    times = f"{device}\\Properties\\{{83da6326-97a6-4088-9453-a1923f573b29}}"
    later = struct.pack("<Q", FILETIME_2020 + 36_000_000_000)
    row = one(system({
        device: {"FriendlyName": sz("SanDisk Cruzer USB Device"), "ContainerID": sz("{c}"),
                 "Mfg": sz("@disk.inf,%m%;(Standard disk drives)")},
        f"{times}\\0065": {"": (0xFFFF0010, TIME)},
        f"{times}\\0066": {"": (0xFFFF0010, later)},
    }), "usb_device")
    assert (us(row), row["time_desc"]) == (US_2020 + 3_600_000_000, "arrived")
    assert us(row, "subject_created_time") == US_2020
    assert (row["subject_name"], row["subject_publisher"], row["subject_version"]) == (
        "SanDisk Cruzer USB Device", "SanDisk", "1.20")
    noted = notes(row)
    assert (noted["serial"], noted["serial_is_own"], noted["product"]) == ("0A1B&0", "true",
                                                                           "Cruzer")
    assert noted["manufacturer"] == "(Standard disk drives)"


def test_mounted_devices() -> None:
    found = system({"MountedDevices": {
        "\\DosDevices\\C:": binary(struct.pack("<IQ", 0xDEADBEEF, 1048576)),
        "\\??\\Volume{c8289b8a-8665-11dd-b808-806d6172696f}": binary(
            "_??_USBSTOR#x".encode("utf-16-le"))}})
    disk, volume = found.rows("artifact_query", artifact="mounted_device")
    assert notes(disk) == {"disk_signature": "deadbeef", "partition_offset": "1048576"}
    assert volume["subject_path"] == "_??_USBSTOR#x"
    assert volume["volume_uid"] == "c8289b8a-8665-11dd-b808-806d6172696f"


def test_the_host_itself() -> None:
    found = system({
        f"{CS}\\Control\\ComputerName\\ComputerName": {"ComputerName": sz("HOST1")},
        "ControlSet002\\Control\\ComputerName\\ComputerName": {"ComputerName": sz("OLDNAME")},
        f"{CS}\\Control\\TimeZoneInformation": {
            "TimeZoneKeyName": (1, wide("W. Europe Standard Time") + b"junk"),
            "Bias": dword(0xFFFFFFC4)},
        f"{CS}\\Control\\Windows": {"ShutdownTime": binary(TIME)},
        f"{CS}\\Services\\Tcpip\\Parameters\\Interfaces\\"
        "{33CA0F80-012C-43BC-8B6C-DCD6A057BAC7}": {
            "DhcpIPAddress": sz("10.0.0.5"), "IPAddress": multi("0.0.0.0"),
            "DhcpNameServer": sz("10.0.0.1 10.0.0.2"), "DhcpServer": sz("10.0.0.1"),
            "LeaseObtainedTime": dword(1577836800), "DhcpNetworkHint": sz("84F6D656")},
    })
    assert fact(found, "computer_name")["device_hostname"] == "HOST1"
    zone = fact(found, "time_zone")
    assert (zone["time_zone"], zone["time_zone_bias"]) == ("W. Europe Standard Time", -60)
    assert us(fact(found, "shutdown"), "shutdown_time") == US_2020
    card = fact(found, "interface")
    assert card["interface_uid"] == "{33CA0F80-012C-43BC-8B6C-DCD6A057BAC7}"
    assert card["addresses"] == ["10.0.0.5"]
    assert card["name_servers"] == ["10.0.0.1", "10.0.0.2"]
    assert us(card, "lease_obtained_time") == US_2020
    assert card["detail"] == "Home"


def test_windows_and_its_users() -> None:
    found = software({
        "Microsoft\\Windows NT\\CurrentVersion": {
            "ProductName": sz("Windows 10 Pro"), "CurrentBuildNumber": sz("22631"),
            "CurrentMajorVersionNumber": dword(10), "CurrentMinorVersionNumber": dword(0),
            "UBR": dword(4169), "EditionID": sz("Professional"), "InstallDate": dword(1577836800)},
        "Microsoft\\Cryptography": {"MachineGuid": sz("0b4c")},
        "Microsoft\\Windows NT\\CurrentVersion\\ProfileList\\S-1-5-21-1-2-3-1001": {
            "ProfileImagePath": (2, wide("C:\\Users\\ada"))},
    })
    system_row = fact(found, "os")
    assert (system_row["os_name"], system_row["os_version"], system_row["os_build"]) == (
        "Windows 11 Pro", "10.0", "22631.4169")
    assert us(system_row, "os_install_time") == US_2020
    assert fact(found, "machine_uid")["device_uid"] == "0b4c"
    user = fact(found, "profile")
    assert (user["class_uid"], user["user_name"], user["user_home"], user["user_uid"]) == (
        5003, "ada", "C:\\Users\\ada", "S-1-5-21-1-2-3-1001")


def test_networks_are_in_local_time() -> None:
    local = struct.pack("<8H", 2020, 1, 3, 1, 12, 30, 15, 250)
    row = one(software({"Microsoft\\Windows NT\\CurrentVersion\\NetworkList\\Profiles\\{1}": {
        "ProfileName": sz("Cafe"), "DateCreated": binary(local), "DateLastConnected": binary(local),
        "NameType": dword(71), "Category": dword(0)}}), "network_profile")
    assert row["time"].isoformat() == "2020-01-01T12:30:15.250000+00:00"
    assert row["parse_flags"] == 32
    assert (row["subject_name"], row["detail"]) == ("Cafe", "wireless")
    assert notes(row)["last_connected_local"] == "2020-01-01T12:30:15.250"


def action(command: str, arguments: str) -> bytes:
    def text(value: str) -> bytes:
        raw = value.encode("utf-16-le")
        return struct.pack("<I", len(raw)) + raw

    return (struct.pack("<H", 3) + text("Author") + struct.pack("<H", 0x6666) + text("")
            + text(command) + text(arguments) + text("") + b"\0\0")


def test_scheduled_tasks_hidden_ones_too() -> None:
    cache = "Microsoft\\Windows NT\\CurrentVersion\\Schedule\\TaskCache"
    info = struct.pack("<I", 3) + TIME + TIME + struct.pack("<II", 0, 0x41301) + TIME
    found = software({
        f"{cache}\\Tree\\Seen": {"Id": sz("{A}"), "SD": binary(b"\1"), "Index": dword(3)},
        f"{cache}\\Tree\\Hidden": {"Id": sz("{B}")},
        f"{cache}\\Tree\\Lonely": {"Id": sz("{C}"), "SD": binary(b"\1")},
        f"{cache}\\Tasks\\{{A}}": {"Path": sz("\\Seen"), "DynamicInfo": binary(info),
                                   "Actions": binary(action("cmd.exe", "/c x"))},
        f"{cache}\\Tasks\\{{B}}": {"Path": sz("\\Hidden"), "Actions": binary(b"\3\0\xff")},
    })
    jobs = {row["job_name"]: row for row in found.rows("job_activity")}
    assert jobs.keys() == {"\\Seen", "\\Hidden", "\\Lonely"}
    seen = jobs["\\Seen"]
    assert (seen["class_uid"], seen["job_cmd_line"], seen["job_user"]) == (
        5010, "cmd.exe /c x", "Author")
    assert us(seen, "job_last_run_time") == us(seen, "job_created_time") == US_2020
    assert seen["result_code"] == "0x00041301"
    assert "hidden" not in notes(seen)
    assert notes(jobs["\\Hidden"])["hidden"] == "no security descriptor"
    assert notes(jobs["\\Lonely"])["note"] == "in the tree only"


def test_recent_use() -> None:
    explorer = "Software\\Microsoft\\Windows\\CurrentVersion\\Explorer"
    order = binary(struct.pack("<III", 1, 0, 0xFFFFFFFF))
    found = ntuser({
        f"{explorer}\\RecentDocs": {"0": binary(wide("a.txt")), "1": binary(wide("b.txt")),
                                    "MRUListEx": order},
        f"{explorer}\\RunMRU": {"a": sz("cmd /k\\1"), "b": sz("notepad\\1"), "MRUList": sz("ba")},
        f"{explorer}\\TypedPaths": {"url1": sz("\\\\srv\\c$")},
        f"{explorer}\\WordWheelQuery": {"0": binary(wide("secret")), "MRUListEx": binary(
            struct.pack("<II", 0, 0xFFFFFFFF))},
        f"{explorer}\\MountPoints2\\##srv#share": {},
        "Software\\Microsoft\\Internet Explorer\\TypedURLs": {"url1": sz("http://x/")},
        "Software\\Microsoft\\Internet Explorer\\TypedURLsTime": {"url1": binary(TIME)},
        "Software\\Microsoft\\Office\\16.0\\Word\\User MRU\\LiveId_1\\File MRU": {
            "Item 1": sz(f"[F00000000][T{FILETIME_2020:016X}][O00000000]*C:\\x.docm")},
        "Software\\Microsoft\\Office\\16.0\\Word\\Security\\Trusted Documents\\TrustRecords": {
            "%USERPROFILE%/x.docm": binary(TIME + bytes(12) + b"\xff\xff\xff\x7f")},
        "Software\\Microsoft\\Terminal Server Client\\Default": {"MRU0": sz("10.0.0.9")},
    })
    docs = found.rows("artifact_query", artifact="recent_docs")
    assert [(r["subject_name"], us(r)) for r in docs] == [("a.txt", None), ("b.txt", US_2020)]
    runs = found.rows("artifact_query", artifact="run_mru")
    assert [(r["cmd_line"], us(r)) for r in runs] == [("cmd /k", None), ("notepad", US_2020)]
    assert one(found, "typed_paths")["subject_path"] == "\\\\srv\\c$"
    assert one(found, "word_wheel_query")["subject_name"] == "secret"
    assert one(found, "mount_points")["subject_path"] == "\\\\srv\\share"
    assert us(one(found, "typed_urls")) == US_2020
    opened = one(found, "office_mru")
    assert (us(opened), opened["subject_path"], opened["detail"]) == (
        US_2020, "C:\\x.docm", "Word File MRU")
    assert one(found, "office_trust")["detail"] == "macros enabled"
    assert one(found, "terminal_client_mru")["subject_name"] == "10.0.0.9"


def folder(name: str, kind: int = 0x31) -> bytes:
    body = bytes([kind, 0]) + struct.pack("<IHHH", 0, (40 << 9) | (1 << 5) | 1, 0, 0x10)
    body += name[:8].encode("ascii") + b"\0"
    body += b"\0" * (len(body) & 1)
    raw = wide(name)
    at = len(body) + 2
    extension = struct.pack("<HHIHHHHHHIHHQHII", 0, 9, 0xBEEF0004, (40 << 9) | 33, 0, 0, 0, 0x2E,
                            0, 4711, 0, 3, 0, 0, 0, 0) + raw + struct.pack("<H", at)
    extension = struct.pack("<H", len(extension)) + extension[2:]
    body += extension
    return struct.pack("<H", len(body) + 2) + body


def test_shell_bags() -> None:
    drive = struct.pack("<HB", 25, 0x2F) + b"C:\\".ljust(22, b"\0")
    order = binary(struct.pack("<II", 0, 0xFFFFFFFF))
    bags = "Software\\Microsoft\\Windows\\Shell\\BagMRU"
    found = ntuser({
        bags: {"0": binary(drive + b"\0\0"), "MRUListEx": order},
        f"{bags}\\0": {"0": binary(folder("Secret plans") + b"\0\0"), "MRUListEx": order},
        f"{bags}\\0\\0": {"NodeSlot": dword(7)},
    })
    first, second = found.rows("artifact_query", artifact="shellbags")
    assert first["subject_path"] == "C:\\"
    assert second["subject_path"] == "C:\\Secret plans"
    assert us(second) == US_2020
    assert us(second, "subject_modified_time") == US_2020
    noted = notes(second)
    assert (noted["mft_entry"], noted["mft_seq"], noted["node_slot"]) == ("4711", "3", "7")


def test_accounts_of_a_real_host() -> None:
    found = read(unpacked("SAM"), "SAM")
    users = {r["user_name"]: r for r in found.rows("inventory", fact="user")}
    domain = "S-1-5-21-1760460187-1592185332-161725925"
    assert {name: r["user_uid"] for name, r in users.items()} == {
        "Administrator": f"{domain}-500", "Guest": f"{domain}-501", "Preston": f"{domain}-1000"}
    admin = users["Administrator"]
    assert (admin["logon_count"], admin["is_disabled"], admin["account_flags"]) == (6, True, 529)
    assert admin["last_logon_time"].isoformat() == "2010-11-20T21:48:12.569244+00:00"
    assert users["Preston"]["user_groups"] == ["Administrators", "Users"]
    groups = found.rows("inventory", fact="group")
    assert len(groups) == 14


def test_policy_of_a_real_host() -> None:
    found = read(unpacked("SECURITY"), "SECURITY")
    row = fact(found, "domain")
    assert (row["device_hostname"], row["device_domain"]) == ("DESKTOP-M964FJN", "WORKGROUP")
    assert notes(row)["machine_sid"] == "S-1-5-21-1786693902-1815088602-2777321892"
    secrets = found.rows("artifact_query", artifact="lsa_secret")
    assert [r["subject_name"] for r in secrets] == ["DefaultPassword", "DPAPI_SYSTEM", "NL$KM"]


def test_a_real_user() -> None:
    found = read(unpacked("NTUSER.DAT"), "C/Users/vibranium/NTUSER.DAT")
    kinds: dict[str, int] = {}
    for row in found.traces:
        kinds[row["artifact"]] = kinds.get(row["artifact"], 0) + 1
        assert row["user_uid"] == "S-1-5-21-2036804247-3058324640-2116585241-1673"
        assert row["user_name"] == "vibranium"
    # 35 values below UserAssist, of which 2 are Version and 4 UEME_CTL*.
    assert kinds == {
        "userassist": 29, "recent_docs": 22, "office_mru": 6, "office_addin": 6,
        "word_wheel_query": 6, "mount_points": 4, "typed_urls": 2, "archive_history": 2,
        "hidden_files": 2, "proxy": 1, "network_drive": 1, "run_key": 1, "startup_folder": 1,
    }


def test_shared_hives(shared: Path) -> None:
    """Counts of regipy 6.5.0 for the same hives."""
    triage = shared / "triage"
    amcache = read(triage / "museum/Amcache/Win10/APTSimulatorVM/Amcache.hve", "Amcache.hve")
    assert len(amcache.rows("artifact_query", artifact="amcache_file")) == 123
    old = read(triage / "plaso/winreg/win10-Amcache.hve", "Amcache.hve")
    assert len(old.rows("artifact_query", artifact="amcache_file")) == 30
    cache = (triage / "museum/AppCompatCache/Win2008/Win2k8Standard.bin").read_bytes()
    found = list(entries(cache))
    assert len(found) == struct.unpack_from("<I", cache, 4)[0] == 873
    assert all(entry.path for entry in found)


def test_a_shared_hive_with_two_thirds_of_its_bins_overwritten(shared: Path) -> None:
    """2.4 of its 3.4 MB are another file's. What is left gives all that can be read of it."""
    packed = (shared / "triage/regipy/corrupted_system_hive.xz").read_bytes()
    found = read(lzma.decompress(packed), "SYSTEM")
    assert len(found.rows()) == 10_855
    assert len(found.damage) == 234
    assert sum(d["what"] == "hive bin" for d in found.damage) == 30
    assert fact(found, "computer_name")["device_hostname"] == "GINEVRA"
    assert fact(found, "time_zone")["time_zone"] == "Eastern Standard Time"


def test_shared_hives_with_their_logs(shared: Path) -> None:
    """The recovered hive is, byte for byte, that of regipy 6.5.0: 132 pages of 23 entries."""
    folder = shared / "triage/regipy"
    hive = lzma.decompress((folder / "transactions_NTUSER.DAT.xz").read_bytes())
    log = lzma.decompress((folder / "transactions_ntuser.dat.log1.xz").read_bytes())
    before = read(hive, "NTUSER.DAT")
    after = read(hive, "NTUSER.DAT", {"ntuser.dat.LOG1": log})
    assert after.account.counters == {"log entries applied": 23}
    assert [d["what"] for d in before.damage] == ["base block"]
    assert not after.damage
    assert len(after.keys) > len(before.keys)


@pytest.mark.parametrize(("name", "keys", "why"), [
    ("BadListHive", 6, "it was read already: a loop, or two owners"),
    ("BadLogHive1/BadLogHive", 5003, "LOG1: its base block is broken"),
    ("TwoOwnersHive", 3, None), ("NewFlagsHive", 3, None), ("ExtendedASCIIHive", 2, None),
])
def test_shared_broken_hives(shared: Path, name: str, keys: int, why: str | None) -> None:
    path = shared / "triage/yarp-hives" / name
    files = {p.name: p.read_bytes() for p in path.parent.glob("*.LOG*")}
    found = read(path, name, files)
    live = [r for r in found.keys if not (r["parse_flags"] or 0) & 2]
    assert len(live) == keys
    reasons = " ".join(d["why"] for d in found.damage)
    assert (why in reasons) if why else not reasons
