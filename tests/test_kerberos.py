"""Kerberos: golden rows of messages that are put together here, and hostile ones."""

import struct
from hashlib import md5
from typing import Any

import pytest

from tests.ber import element, integer, sequence, tagged, text
from tests.packets import ethernet, ipv4, pcap, udp
from tests.talk_case import rows_of, talk

Row = dict[str, Any]
TICKET = b"not to be read by anybody"


def principal(kind: int, *parts: str) -> bytes:
    return sequence(
        tagged(0, integer(kind)), tagged(1, sequence(*(text(p, 0x1B) for p in parts)))
    )


def sealed(cipher: int, data: bytes) -> bytes:
    return sequence(tagged(0, integer(cipher)), tagged(1, integer(2)), tagged(2, text(data)))


def ticket(*service: str, cipher: int = 18) -> bytes:
    return element(0x61, sequence(
        tagged(0, integer(5)), tagged(1, text("TEST.LOCAL", 0x1B)),
        tagged(2, principal(2, *service)), tagged(3, sealed(cipher, TICKET)),
    ))


def request(kind: int, *pre: bytes, nonce: int = 7, options: int = 0x40800000) -> bytes:
    body = sequence(
        tagged(0, element(3, b"\0" + struct.pack(">I", options))),
        tagged(1, principal(1, "alice")), tagged(2, text("TEST.LOCAL", 0x1B)),
        tagged(3, principal(2, "krbtgt", "TEST.LOCAL")),
        tagged(5, text("20370913024805Z", 0x18)), tagged(7, integer(nonce)),
        tagged(8, sequence(integer(18), integer(23))),
    )
    return element(0x60 | kind, sequence(
        tagged(1, integer(5)), tagged(2, integer(kind)),
        *([tagged(3, sequence(*pre))] if pre else []), tagged(4, body),
    ))


def reply(kind: int, *service: str) -> bytes:
    return element(0x60 | kind, sequence(
        tagged(0, integer(5)), tagged(1, integer(kind)), tagged(3, text("TEST.LOCAL", 0x1B)),
        tagged(4, principal(1, "alice")), tagged(5, ticket(*service)),
        tagged(6, sealed(18, b"secret")),
    ))


def error(code: int, message: str = "") -> bytes:
    return element(0x7E, sequence(
        tagged(0, integer(5)), tagged(1, integer(30)),
        tagged(4, text("20150119224730Z", 0x18)), tagged(5, integer(1)),
        tagged(6, integer(code)), tagged(9, text("TEST.LOCAL", 0x1B)),
        tagged(10, principal(2, "krbtgt", "TEST.LOCAL")),
        *([tagged(11, text(message, 0x1B))] if message else []),
    ))


def ap_request(*service: str) -> bytes:
    return element(0x6E, sequence(
        tagged(0, integer(5)), tagged(1, integer(14)), tagged(2, element(3, b"\0\0\0\0\0")),
        tagged(3, ticket(*service)), tagged(4, sealed(18, b"authenticator")),
    ))


def framed(message: bytes) -> bytes:
    return struct.pack(">I", len(message)) + message


def datagrams(*said: tuple[bool, bytes], port: int = 88) -> bytes:
    packets = []
    for i, (client, data) in enumerate(said):
        ports = (50000, port) if client else (port, 50000)
        ends = ("10.0.0.1", "10.0.0.2") if client else ("10.0.0.2", "10.0.0.1")
        packets.append((1000.0 + i / 10, ethernet(ipv4(udp(*ports, data), 17, *ends))))
    return pcap(packets)


AS = (True, request(10)), (False, reply(11, "krbtgt", "TEST.LOCAL"))


def check_ticket(row: Row) -> None:
    assert (row["user_name"], row["user_domain"]) == ("alice", "TEST.LOCAL")
    assert row["service_name"] == "krbtgt/TEST.LOCAL"
    assert (row["request_type"], row["activity_id"], row["status_id"]) == ("AS", 3, 1)
    assert row["ticket_cipher"] == "aes256-cts-hmac-sha1-96"
    assert row["ticket_encryption"] == "0x12"
    assert row["ticket_options"] == "0x40800000"
    assert row["forwardable"]
    assert row["renewable"]
    assert row["ticket_till"].timestamp() == 2136422885
    assert row["new_ticket"] == md5(TICKET).hexdigest()


def test_ticket_over_udp() -> None:
    found = rows_of(datagrams(*AS))
    (row,) = found["authentication"]
    check_ticket(row)
    assert found["network_activity"][0]["app_protocol"] == "krb"


@pytest.mark.parametrize("mss", [1, 3, 17, 1460])
def test_ticket_over_tcp_whatever_the_segments(mss: int) -> None:
    found = talk(*((client, framed(data)) for client, data in AS), port=88, mss=mss)
    (row,) = found["authentication"]
    check_ticket(row)
    assert found["network_activity"][0]["app_protocol"] == "krb_tcp"


def test_another_port_is_as_good() -> None:
    check_ticket(rows_of(datagrams(*AS, port=4711))["authentication"][0])


def test_error_and_preauthentication() -> None:
    stamp = sequence(tagged(1, integer(2)), tagged(2, text(b"sealed")))
    found = rows_of(datagrams(
        (True, request(10)), (False, error(25, "NEEDED_PREAUTH")),
        (True, request(10, stamp, nonce=8)), (False, error(24)),
    ))
    first, second = found["authentication"]
    assert (first["status_detail"], first["status_id"], first["activity_id"]) == (
        "NEEDED_PREAUTH", 2, 6)
    assert (second["status_detail"], second["status_code"]) == ("KDC_ERR_PREAUTH_FAILED", "0x18")
    assert second["pre_auth_type"] == "2"


def test_service_ticket_names_the_one_that_was_shown() -> None:
    shown = sequence(tagged(1, integer(1)), tagged(2, text(ap_request("krbtgt", "TEST.LOCAL"))))
    found = rows_of(datagrams((True, request(12, shown)), (False, reply(13, "cifs", "fs", "x"))))
    (row,) = found["authentication"]
    assert (row["request_type"], row["activity_id"]) == ("TGS", 4)
    assert row["service_name"] == "cifs/fs/x"
    assert row["auth_ticket"] == md5(TICKET).hexdigest()


def test_request_that_is_repeated_is_one_row() -> None:
    found = rows_of(datagrams((True, request(10)), *AS))
    assert len(found["authentication"]) == 1
    found = rows_of(datagrams((True, request(10, nonce=1)), *AS))
    assert len(found["authentication"]) == 2


def test_cut_at_every_byte_and_flipped_bits() -> None:
    message = reply(11, "krbtgt", "TEST.LOCAL")
    for at in range(len(message)):
        rows_of(datagrams((True, request(10)), (False, message[:at])))
        broken = bytearray(message)
        broken[at] ^= 0xFF
        found = rows_of(datagrams((True, request(10)), (False, bytes(broken))))
        assert len(found["authentication"]) >= 1


def test_lengths_of_four_gigabytes_and_without_end() -> None:
    for length in (b"\x84\xff\xff\xff\xff", b"\x80", b"\x88" + b"\xff" * 8, b"\xff"):
        body = b"\x6a" + length + b"\x30\x80\xa1\x03\x02\x01\x05\xa2\x03\x02\x01\x0a" + b"\x30" * 64
        assert "authentication" not in rows_of(datagrams((True, body)))
        talk((True, framed(body)), port=88)


def test_deep_nesting_is_walked_in_bounded_time() -> None:
    deep = b"\x30\x80" * 20000
    message = request(10, deep[:30000])
    rows_of(datagrams((True, message)))
    talk((True, framed(request(10, deep) + b"\0" * 100)), port=88)
