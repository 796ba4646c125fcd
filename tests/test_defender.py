"""Microsoft Defender's logs, quarantine and detection history."""

import hashlib
import struct
from collections import Counter
from pathlib import Path
from uuid import UUID

from tests.winart_case import Found, notes, read, us
from tracelake.native.rc4 import Rc4
from tracelake.parsers import defender_history, defender_log, defender_quarantine
from tracelake.parsers.artifact import Match
from tracelake.parsers.defender_quarantine import KEY

FILETIME_2020 = 132_223_104_000_000_000
US_2020 = 1_577_836_800_000_000
GUID = UUID("00112233-4455-6677-8899-aabbccddeeff")

LOG = "\r\n".join([
    "", "-" * 80,
    "Microsoft Defender Antivirus (77BDAF73-B396-481F-9042-AD358843EC24) Service Log",
    "Started On 10-17-2023 22:43:50", "*" * 60,
    "2023-10-18T02:50:46.945Z DETECTIONEVENT MPSOURCE_REALTIME HackTool:JS/Jsprat "
    "containerfile:C:\\a\\b.jsp;file:C:\\a\\b.jsp->(SCRIPT0065);",
    "2023-10-18T02:51:02.789Z DETECTION_CLEANEVENT MPSOURCE_REALTIME MP_THREAT_ACTION_QUARANTINE "
    "0 Trojan:JS/S.A file:C:\\c.js;",
    "2023-10-18T02:51:03.000Z ProcessImageName: evil.exe, Pid: 44, TotalTime: 5, Count: 2, "
    "MaxTime: 3, MaxTimeFile: \\Device\\x, y.txt, EstimatedImpact: 7%",
    "2023-10-18T02:51:04.000Z [Mini-filter] Blocked file: \\Device\\V3\\c.js. Process: "
    "\\Device\\V3\\Windows\\explorer.exe, Status: 0x0, State: 16",
    "SDN:Issuing SDN query for \\\\?\\C:\\P (x86)\\t.exe (\\\\?\\C:\\P (x86)\\t.exe) "
    f"(sha1={'ab' * 20}, sha2={'cd' * 32})",
    "2023-10-18T02:51:05.000Z Something else",
    "BEGIN BM telemetry", "ProcessID:2976", "ProcessCreationTime:133420706923690781",
    "CreationTime:10-17-2023 22:51:05", "ImagePath:C:\\Windows\\cmd.exe", "END BM telemetry",
    "Begin Resource Scan", "Scan ID:{A}", "Start Time:10-17-2023 22:50:46",
    "End Time:10-17-2023 22:51:05", "Resource Path:C:\\c.js", "Threat Name:Trojan:JS/S.A",
    "ID:2147726364", "Resource Path:C:\\c.js", "End Scan", "one", "two", ""])


def log(text: str = LOG) -> Found:
    found = read(defender_log.PARSER, text.encode("utf-16"), "x/MPLog-1.log")
    assert found.unexplained == 0
    return found


def test_rc4() -> None:
    # RFC 6229, 40-bit key, offset 0.
    assert Rc4(bytes.fromhex("0102030405")).crypt(bytes(16)).hex() == (
        "b2396305f03dc027ccc3524a0a1118a8")


def test_lines_of_the_log() -> None:
    assert defender_log.match(LOG.encode("utf-16"), "mangled")[0] == Match.CONTENT
    found = log()
    event, cleaned, blocked, scanned = found.rows("detection_finding")
    assert event["threat_name"] == "HackTool:JS/Jsprat"
    assert event["file_path"] == "C:\\a\\b.jsp"
    assert us(event) == 1697597446945000
    assert notes(event)["resources"].count("\n") == 1
    assert cleaned["disposition"] == "MP_THREAT_ACTION_QUARANTINE"
    assert (blocked["file_path"], blocked["action_id"]) == ("\\Device\\V3\\c.js", 2)
    assert blocked["actor_name"] == "explorer.exe"
    assert (scanned["threat_uid"], scanned["file_path"]) == ("2147726364", "C:\\c.js")
    impact = found.rows(artifact="defender_impact")[0]
    assert (impact["subject_name"], impact["pid"]) == ("evil.exe", 44)
    assert impact["detail"] == "\\Device\\x, y.txt"
    sdn = found.rows(artifact="defender_sdn")[0]
    assert sdn["subject_path"] == "C:\\P (x86)\\t.exe"
    assert (sdn["subject_sha1"], sdn["subject_sha256"]) == ("ab" * 20, "cd" * 32)
    raw = [row["message"] for row in found.rows("raw_event")]
    assert raw[1] == "Something else"
    assert raw[2] == "one\ntwo"


def test_blocks_take_their_zone_from_the_line_before() -> None:
    found = log()
    behavior = found.rows(artifact="defender_behavior")[0]
    assert us(behavior) == 1697597465000000, "22:51:05 at UTC-4"
    assert behavior["parse_flags"] == 32
    assert us({"time": behavior["run_times"][0]}) == 1697597092369078
    (scan,) = found.rows("application_activity")
    assert (us(scan), scan["scan_uid"]) == (1697597446000000, "{A}")
    alone = log("\r\n".join(["BEGIN BM telemetry", "CreationTime:10-17-2023 22:51:05",
                             "ImagePath:x", "END BM telemetry"]))
    assert us(alone.rows()[0]) == 1697583065000000, "UTC assumed"


def test_a_block_without_its_end_takes_no_more() -> None:
    found = log("Begin Resource Scan\nScan ID:{B}\n2023-10-18T02:51:05.000Z x\n")
    assert len(found.rows("application_activity")) == 1
    assert [row["message"] for row in found.rows("raw_event")] == ["x"]


def entry(name: bytes = b"Trojan:Win32/Evil") -> bytes:
    """A quarantine entry with a file and a registry key."""
    def resource(path: str, kind: bytes, fields: list[tuple[int, bytes]]) -> bytes:
        out = path.encode("utf-16-le") + b"\0\0" + struct.pack("<H", len(fields)) + kind + b"\0"
        for which, data in fields:
            out += bytes(-(len(out)) % 4) + struct.pack("<HH", len(data), which) + data
        return out + bytes(-len(out) % 4)

    about = GUID.bytes_le * 2 + struct.pack("<QQI", FILETIME_2020, 2147519003, 1) + name + b"\0"
    one = resource("C:\\evil.exe", b"file", [
        (0x5002, bytes(range(20))), (0x600F, struct.pack("<Q", FILETIME_2020)),
        (0x6012, struct.pack("<Q", 1234))])
    two = resource("HKLM\\x", b"regkey", [])
    body = struct.pack("<III", 2, 12, 12 + len(one)) + one + two
    head = b"\xdb\xe8\xc5\x01\1\0\0\0" + bytes(32)
    head += struct.pack("<IIII", len(about), len(body), 0, 0)
    return b"".join(Rc4(KEY).crypt(part) for part in (head + bytes(4), about, body))


def test_a_quarantine_entry() -> None:
    data = entry()
    assert defender_quarantine.match(data, "mangled")[0] == Match.CONTENT
    assert defender_quarantine.match(bytes(100), "x")[0] == Match.NO
    found = read(defender_quarantine.PARSER, data)
    file, key = found.rows("detection_finding")
    assert (file["threat_name"], file["threat_uid"]) == ("Trojan:Win32/Evil", "2147519003")
    assert (file["file_path"], key["file_path"]) == ("C:\\evil.exe", "HKLM\\x")
    assert (us(file), file["time_desc"]) == (US_2020, "quarantined")
    row = found.one
    assert row["subject_size"] == 1234
    assert us(row, "subject_created_time") == US_2020
    assert notes(row)["resource_id"] == bytes(range(20)).hex().upper()
    assert notes(row)["quarantine_id"] == str(GUID)
    assert found.unexplained == 0
    for at in range(60, len(data)):
        cut = read(defender_quarantine.PARSER, data[:at])
        assert bool(cut.tables) != bool(cut.damage), at


def test_a_quarantined_file_is_hashed() -> None:
    content = bytes(range(256)) * 9000
    plain = struct.pack("<IIQI", 3, 2, 10, 0) + bytes(10)
    plain += struct.pack("<IIQI", 1, 0, len(content), 0) + content
    plain += struct.pack("<IIQI", 4, 0, 3, 10) + ":Zone".encode("utf-16-le") + b"abc"
    data = Rc4(KEY).crypt(plain)
    path = "ResourceData/AA/" + "AA" * 20
    assert defender_quarantine.match(data[:65536], path)[0] == Match.CONTENT
    found = read(defender_quarantine.PARSER, data, path)
    row = found.one
    assert row["subject_size"] == len(content)
    assert row["subject_sha256"] == hashlib.sha256(content).hexdigest()
    assert row["subject_md5"] == hashlib.md5(content).hexdigest()
    assert notes(row)["streams"].endswith("alternate_data :Zone 3")
    assert notes(row)["resource_id"] == "AA" * 20
    assert found.unexplained == 0
    cut = read(defender_quarantine.PARSER, data[:5000]).one
    assert cut["subject_sha256"] is None
    assert cut["parse_flags"] == 1


def value(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", len(data), kind) + data + bytes(-len(data) % 8)


def text(what: str) -> bytes:
    return value(0x15, what.encode("utf-16-le") + b"\0\0")


def number(what: int) -> bytes:
    return value(6, struct.pack("<I", what))


def tracked(name: str, kind: int, data: bytes) -> bytes:
    wide = name.encode("utf-16-le") + b"\0\0"
    return struct.pack("<I", len(wide)) + wide + struct.pack("<I", kind) + data


def history() -> bytes:
    """A detection of two resources, by the specification."""
    sha = ("ef" * 32).encode("utf-16-le") + b"\0\0"
    known = (tracked("ThreatTrackingSha256", 6, struct.pack("<I", len(sha)) + sha)
             + tracked("ThreatTrackingSize", 4, struct.pack("<Q", 99)))
    blob = struct.pack("<I", len(known)) + known
    magic = text("Magic.Version:1.2")
    data = value(8, struct.pack("<Q", 2147519003)) + value(0x1E, GUID.bytes_le)
    data += magic + text("Virus:DOS/EICAR") + number(0) + number(5) + number(42) + number(2)
    data += magic + text("file") + text("C:\\e.com") + number(0) + number(len(blob))
    data += value(0x28, blob)
    data += magic + text("CmdLine") + text("cmd /c x") + number(0) + number(0) + value(0x28, b"")
    data += value(0x0A, struct.pack("<Q", FILETIME_2020 + 30_000_000)) + number(0)
    data += text("CORP\\ada") + number(2) + text("C:\\Windows\\explorer.exe")
    data += value(0x0A, struct.pack("<Q", FILETIME_2020)) + value(0x0A, bytes(8))
    return data


def test_a_detection() -> None:
    data = history()
    assert defender_history.match(data, "mangled")[0] == Match.CONTENT
    found = read(defender_history.PARSER, data)
    file, command = found.rows("detection_finding")
    assert (us(file), file["time_desc"]) == (US_2020, "detected")
    assert (file["threat_name"], file["threat_category"]) == ("Virus:DOS/EICAR", "VIRUS")
    assert file["threat_uid"] == "2147519003"
    assert file["finding_uid"] == str(GUID)
    assert (file["file_path"], file["file_sha256"]) == ("C:\\e.com", "ef" * 32)
    assert (file["user_domain"], file["user_name"]) == ("CORP", "ada")
    assert file["actor_name"] == "explorer.exe"
    assert command["proc_cmd_line"] == "cmd /c x"
    assert notes(file)["ThreatTrackingSize"] == "99"
    assert notes(file)["changed_us"] == str(US_2020 + 3_000_000)
    assert found.unexplained == 0
    for at in range(1, len(data)):
        cut = read(defender_history.PARSER, data[:at])
        assert bool(cut.tables) != bool(cut.damage), at


def test_a_real_log(shared: Path) -> None:
    folder = shared / "triage/museum/WindowsDefender/Server2022/APTSimulatorVM"
    data = (folder / "MPLog-20231017-224350.log").read_bytes()
    found = read(defender_log.PARSER, data, "MPLog.log")
    assert Counter({name: len(rows) for name, rows in found.tables.items()}) == {
        "raw_event": 956, "artifact_query": 110, "detection_finding": 33,
        "application_activity": 9}
    assert found.account.records == 1093
    assert found.unexplained == 0
    assert not found.damage
    assert {row["threat_name"] for row in found.rows("detection_finding")} == {
        None, "Trojan:JS/SharpShooter.A", "HackTool:JS/Jsprat", "Backdoor:PowerShell/Powercat.A",
        "Backdoor:PHP/Remoteshell.V", "Trojan:Win32/Tiggre!rfn"}
