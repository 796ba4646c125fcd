"""SNMP, NTP, RADIUS, syslog and SIP: golden rows and hostile messages."""

import struct
from typing import Any

from tests.ber import element, integer, sequence, text
from tests.talk_case import rows_of, talk
from tests.test_kerberos import datagrams

Row = dict[str, Any]
DESCRIPTION = bytes.fromhex("06082b06010201010100")
UP_TIME = bytes.fromhex("06082b06010201010300")


def rows(*said: tuple[bool, bytes], port: int) -> list[Row]:
    return rows_of(datagrams(*said, port=port))["net_service_activity"]


def snmp(pdu: int, *bindings: bytes, version: int = 1) -> bytes:
    return sequence(integer(version), text("public"), element(
        pdu, integer(1), integer(0), integer(0), sequence(*bindings)))


def test_snmp_counts_variables() -> None:
    null = b"\x05\0"
    said = (
        (True, snmp(0xA0, sequence(DESCRIPTION, null), sequence(UP_TIME, null))),
        (False, snmp(0xA2, sequence(DESCRIPTION, text("a router")),
                     sequence(UP_TIME, element(0x43, b"\x03\xe8")))),
    )
    (row,) = rows(*said, port=161)
    assert (row["protocol_version"], row["community"]) == ("2c", "public")
    assert (row["get_requests"], row["get_responses"], row["set_requests"]) == (2, 2, 0)
    assert row["display_string"] == "a router"
    assert row["query"] == "1.3.6.1.2.1.1.1.0 1.3.6.1.2.1.1.3.0"
    assert row["up_since"].timestamp() == 1000.1 - 10
    assert row["duration_s"] == 0.1


def test_snmp_version_3_names_the_user() -> None:
    usm = sequence(text("engine"), integer(1), integer(2), text("alice"), text(""), text(""))
    message = sequence(
        integer(3), sequence(integer(1), integer(65507), text(b"\4"), integer(3)), text(usm),
        text(b"encrypted"),
    )
    (row,) = rows((True, message), port=161)
    assert (row["protocol_version"], row["user_name"]) == ("3", "alice")


def test_snmp_cut_and_flipped() -> None:
    whole = snmp(0xA0, sequence(DESCRIPTION, b"\x05\0"))
    for at in range(len(whole)):
        rows_of(datagrams((True, whole[:at]), port=161))
        broken = bytearray(whole)
        broken[at] ^= 0xFF
        rows_of(datagrams((True, bytes(broken)), port=161))


def ntp(mode: int, stratum: int, at: int, ref: bytes = b"GPS\0") -> bytes:
    stamp = struct.pack(">II", at + 2208988800, 1 << 31)
    return struct.pack(">BBbb", 4 << 3 | mode, stratum, 6, -20) + struct.pack(
        ">HHHH", 1, 0x8000, 0, 0x4000) + ref + bytes(8) * 3 + stamp


def test_ntp() -> None:
    (row,) = rows((False, ntp(4, 1, 1000)), port=123)
    assert (row["ntp_mode"], row["stratum"], row["protocol_version"]) == (4, 1, "4")
    assert (row["poll_s"], row["precision_s"]) == (64, 2**-20)
    assert (row["root_delay_s"], row["root_dispersion_s"]) == (1.5, 0.25)
    assert row["ref_id"] == "GPS\\x00"
    assert row["transmit_time"].timestamp() == 1000.5
    assert "reference_time" not in row
    assert row["class_uid"] == 4013


def test_ntp_elsewhere_is_known_by_its_time() -> None:
    assert rows((True, ntp(3, 0, 1000)), port=4711)[0]["protocol"] == "ntp"
    assert "net_service_activity" not in rows_of(datagrams((True, ntp(3, 0, 10**9)), port=4711))


def test_ntp_monlist_is_a_row() -> None:
    (row,) = rows((True, b"\x17\0\3\x2a" + bytes(4)), port=123)
    assert (row["ntp_mode"], row["command"]) == (7, "42")


def radius(code: int, *attributes: tuple[int, bytes]) -> bytes:
    body = b"".join(bytes((kind, len(value) + 2)) + value for kind, value in attributes)
    return struct.pack(">BBH", code, 7, 20 + len(body)) + bytes(16) + body


def test_radius() -> None:
    ask = radius(1, (1, b"alice"), (31, b"AA-BB-CC-DD-EE-FF"), (4, bytes((10, 1, 1, 1))))
    (row,) = rows((True, ask), (False, radius(2, (8, bytes((10, 0, 0, 9))))), port=1812)
    assert (row["user_name"], row["client_mac"]) == ("alice", "aa:bb:cc:dd:ee:ff")
    assert (row["result"], row["framed_ip"], row["nas_ip"]) == ("success", "10.0.0.9", "10.1.1.1")
    assert abs(row["rtt_s"] - 0.1) < 1e-6
    (row,) = rows((True, ask), port=1812)
    assert row["result"] == "unknown"


def test_radius_attributes_without_end() -> None:
    for length in (0, 1, 200):
        broken = bytearray(radius(1, (1, b"alice")))
        broken[21] = length
        assert "net_service_activity" not in rows_of(datagrams((True, bytes(broken)), port=1812))


def test_syslog_datagrams() -> None:
    (row,) = rows((True, b"<86>Oct 21 06:55:08 host sudo: x"), port=514)
    assert (row["facility"], row["severity"]) == ("AUTHPRIV", "INFO")
    assert row["message"] == "Oct 21 06:55:08 host sudo: x"
    (row,) = rows((True, b"no priority"), port=514)
    assert (row["facility"], row["message"]) == ("UNSPECIFIED", "no priority")
    assert "net_service_activity" not in rows_of(datagrams((True, b"no priority"), port=4711))


def test_syslog_streams() -> None:
    lines = b"<13>one\n<14>two\n<15>three"
    for mss in (1, 4, 1460):
        found = talk((True, lines), port=1514, mss=mss)["net_service_activity"]
        assert [r["message"] for r in found] == ["one", "two", "three"]
        counted = b"7 <13>one7 <14>two"
        found = talk((True, counted), port=601, mss=mss)["net_service_activity"]
        assert [r["message"] for r in found] == ["one", "two"]


def test_syslog_line_without_end_is_bounded() -> None:
    found = talk((True, b"<13>" + b"x" * 200000 + b"\n<14>after\n"), port=514)
    assert sum(len(r["message"]) for r in found.get("net_service_activity", [])) < 300000


INVITE = (
    b"INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9\r\n"
    b"From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: abc\r\n"
    b"CSeq: 1 INVITE\r\nContent-Length: 4\r\n\r\nbody"
)
RINGING = b"SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9\r\n\r\n"
BUSY = b"SIP/2.0 486 Busy Here\r\nContent-Length: 0\r\n\r\n"


def check_sip(found: list[Row]) -> None:
    ringing, busy = found
    assert (ringing["command"], ringing["uri"]) == ("INVITE", "sip:bob@example.com")
    assert ringing["request_from"] == "<sip:alice@example.com>"
    assert ringing["request_path"] == ["SIP/2.0/UDP 10.0.0.1:5060"]
    assert (ringing["reply_code"], ringing["reply"]) == (180, "Ringing")
    assert (busy["reply_code"], busy["status_id"], busy["request_len"]) == (486, 2, 4)


def test_sip() -> None:
    check_sip(rows((True, INVITE), (False, RINGING), (False, BUSY), port=5060))
    for mss in (1, 10, 1460):
        check_sip(talk((True, INVITE), (False, RINGING + BUSY), port=5060, mss=mss)[
            "net_service_activity"])


def test_sip_headers_without_end() -> None:
    endless = b"OPTIONS sip:x SIP/2.0\r\n" + b"Via: x\r\n" * 100000
    talk((True, endless), port=5060)
    (row,) = rows((True, endless[:60000]), port=5060)
    assert len(row["request_path"]) <= 16
