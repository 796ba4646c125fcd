"""Modbus and DNP3: golden rows and hostile messages."""

import struct
from typing import Any

import pytest

from tests.talk_case import rows_of, talk
from tests.test_kerberos import datagrams

Row = dict[str, Any]


def ics(*said: tuple[bool, bytes], port: int, mss: int = 1460) -> list[Row]:
    return talk(*said, port=port, mss=mss)["ics_activity"]


def modbus(function: int, body: bytes, ident: int = 1, unit: int = 9) -> bytes:
    return struct.pack(">HHHBB", ident, 0, 2 + len(body), unit, function) + body


@pytest.mark.parametrize("mss", [1, 5, 1460])
def test_modbus(mss: int) -> None:
    read, wrote, refused = ics(
        (True, modbus(3, struct.pack(">HH", 100, 2))),
        (False, modbus(3, b"\4" + struct.pack(">HH", 7, 65535))),
        (False, modbus(0x86, b"\2")), port=502, mss=mss,
    )
    assert (read["function"], read["message_type"], read["is_write"]) == (
        "READ_HOLDING_REGISTERS", "REQ", False)
    assert (read["address"], read["quantity"], read["unit_id"]) == (100, 2, 9)
    assert (wrote["message_type"], wrote["value"]) == ("RESP", "7 65535")
    assert (refused["function"], refused["exception"], refused["status_id"]) == (
        "WRITE_SINGLE_REGISTER_EXCEPTION", "ILLEGAL_DATA_ADDRESS", 2)


def test_modbus_writes() -> None:
    (row,) = ics((True, modbus(16, struct.pack(">HHBHH", 5, 2, 4, 1, 2))), port=502)
    assert (row["is_write"], row["address"], row["quantity"], row["value"]) == (True, 5, 2, "1 2")
    (row,) = ics((True, modbus(5, b"\0\3\xff\0")), port=4711)
    assert (row["function"], row["address"], row["value"]) == ("WRITE_SINGLE_COIL", 3, "65280")


def test_modbus_cut_and_flipped() -> None:
    whole = modbus(16, struct.pack(">HHBHH", 5, 2, 4, 1, 2))
    for at in range(len(whole)):
        talk((True, whole[:at]), port=502)
        broken = bytearray(whole)
        broken[at] ^= 0xFF
        talk((True, bytes(broken) + whole), port=502)


def crc(data: bytes) -> bytes:
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA6BC if value & 1 else value >> 1
    return struct.pack("<H", ~value & 0xFFFF)


def dnp3(client: bool, transport: int, data: bytes) -> bytes:
    user = bytes((transport,)) + data
    ends = (10, 1) if client else (1, 10)
    head = struct.pack("<BBBBHH", 5, 0x64, 5 + len(user), 0xC4 if client else 0x44, *ends)
    blocks = [user[i : i + 16] for i in range(0, len(user), 16)]
    return head + crc(head) + b"".join(block + crc(block) for block in blocks)


READ = dnp3(True, 0xC0, b"\xc0\x01\x3c\x02\x06")
RESPONSE = dnp3(False, 0xC0, b"\xc0\x81\x90\x00" + bytes(40))


@pytest.mark.parametrize("mss", [1, 9, 1460])
def test_dnp3(mss: int) -> None:
    (row,) = ics((True, READ), (False, RESPONSE), port=20000, mss=mss)
    assert (row["function"], row["reply_function"]) == ("READ", "RESPONSE")
    assert (row["indications"], row["unit_id"], row["object"]) == (0x9000, 10, "g60v2")


def test_dnp3_segments_and_datagrams() -> None:
    first, last = dnp3(False, 0x40, b"\xc0\x81\x00"), dnp3(False, 0x81, b"\x04rest")
    (row,) = ics((True, READ), (False, first + last), port=20000)
    assert (row["reply_function"], row["indications"]) == ("RESPONSE", 4)
    (row,) = rows_of(datagrams((True, READ), (False, RESPONSE), port=20000))["ics_activity"]
    assert row["function"] == "READ"


def test_dnp3_without_an_answer_and_without_a_request() -> None:
    alone = ics((True, READ), (True, dnp3(True, 0xC0, b"\xc0\x0d")), port=20000)
    assert [(r["function"], r.get("reply_function")) for r in alone] == [
        ("READ", None), ("COLD_RESTART", None)]
    assert alone[1]["is_write"]
    (row,) = ics((False, dnp3(False, 0xC0, b"\xf0\x82\x00\x00")), port=20000)
    assert (row.get("function"), row["reply_function"]) == (None, "UNSOLICITED_RESPONSE")


def test_dnp3_checksums() -> None:
    broken = bytearray(RESPONSE)
    broken[12] ^= 1
    found = talk((True, READ), (False, bytes(broken)), port=20000)
    assert found["network_weird"][0]["name"] == "dnp3_corrupt_app_chunk_checksum"
    assert "reply_function" not in found["ics_activity"][0]


def test_dnp3_cut_and_flipped() -> None:
    for at in range(len(RESPONSE)):
        talk((True, READ), (False, RESPONSE[:at]), port=20000)
        broken = bytearray(RESPONSE)
        broken[at] ^= 0xFF
        talk((True, READ), (False, bytes(broken) + RESPONSE), port=20000)
