"""LDAP: golden rows, filters, what follows StartTLS and SASL, and hostile messages."""

from typing import Any

import pytest

from tests.ber import element, integer, sequence, tagged, text
from tests.talk_case import rows_of, talk
from tests.test_kerberos import ap_request, datagrams

Row = dict[str, Any]


def message(ident: int, operation: bytes) -> bytes:
    return sequence(integer(ident), operation)


def result(tag: int, code: int, diagnostic: str = "") -> bytes:
    return element(tag, integer(code, 0x0A), text(""), text(diagnostic))


def search(filter: bytes, *attributes: str) -> bytes:
    return element(
        0x63, text("dc=corp"), integer(2, 0x0A), integer(0, 0x0A), integer(0), integer(0),
        element(1, b"\0"), filter, sequence(*(text(a) for a in attributes)),
    )


def equal(name: str, value: str | bytes, tag: int = 0xA3) -> bytes:
    return element(tag, text(name), text(value))


def ldap(*said: tuple[bool, bytes], mss: int = 1460) -> list[Row]:
    return talk(*said, port=389, mss=mss)["net_service_activity"]


BIND = message(1, element(0x60, integer(3), text("cn=admin"), text("hunter2", 0x80)))
SIMPLE = (True, BIND), (False, message(1, result(0x61, 49, "no")))


@pytest.mark.parametrize("mss", [1, 2, 7, 1460])
def test_bind(mss: int) -> None:
    (row,) = ldap(*SIMPLE, mss=mss)
    assert (row["opcode"], row["result"], row["status_id"]) == (
        "bind simple", "invalid credentials", 2)
    assert (row["object"], row["argument"], row["password"]) == ("cn=admin", "REDACTED", "hunter2")
    assert (row["message_id"], row["protocol_version"], row["diagnostic"]) == (1, "3", "no")


def test_search_counts_entries_however_large() -> None:
    entry = message(2, element(0x64, text("cn=x,dc=corp"), sequence(text("v" * 5000))))
    (row,) = ldap(
        (True, message(2, search(equal("cn", "x"), "cn", "mail"))),
        (False, entry * 3 + message(2, result(0x65, 0))), mss=100,
    )
    assert (row["opcode"], row["result_count"], row["query"]) == ("search", 3, "(cn=x)")
    assert (row["base_object"], row["scope"], row["deref_aliases"]) == ("dc=corp", "tree", "never")
    assert row["attributes"] == ["cn", "mail"]


SID = bytes.fromhex("010500000000000515000000010000000200000003000000f4010000")


@pytest.mark.parametrize(("filter", "wanted"), [
    (text("objectClass", 0x87), "(objectClass=*)"),
    (element(0xA0, equal("a", "1"), element(0xA2, equal("b", "2"))), "(&(a=1)(!(b=2)))"),
    (element(0xA1, equal("a", "1"), equal("b", "2"), equal("c", "3")), "(|(a=1)(b=2)(c=3))"),
    (equal("n", "5", 0xA5), "(n>=5)"),
    (equal("n", "5", 0xA6), "(n<=5)"),
    (element(0xA4, text("cn"), sequence(text("a", 0x80), text("b", 0x81), text("c", 0x82))),
     "(cn=a*b*c)"),
    (element(0xA4, text("cn"), sequence(text("b", 0x81))), "(cn=*b*)"),
    (element(0xA9, text("2.5.13.5", 0x81), text("cn", 0x82), text("x", 0x83)),
     "(cn:2.5.13.5:=x)"),
    (equal("objectSid", SID), "(objectSid=S-1-5-21-1-2-3-500)"),
    (equal("NtVer", b"\x16\0\0\0"), "(NtVer=0x00000016)"),
])
def test_filters(filter: bytes, wanted: str) -> None:
    (row,) = ldap((True, message(3, search(filter))))
    assert row["query"] == wanted


def test_a_filter_of_any_depth_and_length_is_bounded() -> None:
    filter = equal("cn", "x")
    for _ in range(10000):
        filter = element(0xA2, filter)
    (row,) = ldap((True, message(3, search(filter))))
    assert row["query"].startswith("(!(!")
    assert "..." in row["query"]
    assert len(row["query"]) <= 4096
    (row,) = ldap((True, message(3, search(element(0xA1, *[equal("cn", "y" * 50)] * 5000)))))
    assert len(row["query"]) <= 4096
    assert row["query"].endswith("...")


def test_other_operations() -> None:
    found = ldap(
        (True, message(4, element(0x68, text("cn=new"), sequence()))),
        (False, message(4, result(0x69, 68))),
        (True, message(5, element(0x4A, b"cn=old"))), (False, message(5, result(0x6B, 0))),
        (True, message(6, element(0x50, b"\5"))), (True, message(7, element(0x42))),
    )
    assert [(r["opcode"], r.get("object"), r.get("result")) for r in found] == [
        ("add", "cn=new", "entry already exists"), ("delete", "cn=old", "success"),
        ("abandon", "5", None), ("unbind", None, None),
    ]


def test_start_tls_hands_over() -> None:
    ask = message(1, element(0x77, text("1.3.6.1.4.1.1466.20037", 0x80)))
    found = talk(
        (True, ask), (False, message(1, result(0x78, 0))),
        (True, b"\x16\x03\x01\0\x2f\1" + b"x" * 46), port=389,
    )
    (row,) = found["net_service_activity"]
    assert row["object"] == "1.3.6.1.4.1.1466.20037 (StartTLS)"


def test_a_ticket_that_is_shown_in_a_bind_is_a_row() -> None:
    token = element(
        0x60, bytes.fromhex("06062b0601050502"),
        tagged(0, sequence(tagged(2, text(element(
            0x60, bytes.fromhex("06092a864886f712010202"), b"\1\0",
            ap_request("ldap", "dc.test.local")))))),
    )
    bind = element(0x60, integer(3), text(""), element(0xA3, text("GSS-SPNEGO"), text(token)))
    found = talk((True, message(1, bind)), (False, message(1, result(0x61, 0))), port=389)
    (row,) = found["authentication"]
    assert (row["service_name"], row["request_type"]) == ("ldap/dc.test.local", "AP")
    assert found["net_service_activity"][0]["opcode"] == "bind SASL"


def test_wrapped_messages_are_read_and_sealed_ones_are_not() -> None:
    bind = element(0x60, integer(3), text(""), element(0xA3, text("GSSAPI"), text("t")))
    inner = message(2, search(equal("cn", "signed")))
    token = bytes((5, 4, 0, 0xFF, 0, 0, 0, 0)) + bytes(8) + inner
    sealed = bytes((5, 4, 2, 0xFF, 0, 0, 0, 0)) + bytes(8) + inner
    said = (True, message(1, bind)), (False, message(1, result(0x61, 0)))
    found = ldap(*said, (True, len(token).to_bytes(4, "big") + token))
    assert [r.get("query") for r in found] == [None, "(cn=signed)"]
    found = ldap(*said, (True, len(sealed).to_bytes(4, "big") + sealed))
    assert len(found) == 1


def test_over_udp() -> None:
    data = datagrams((True, message(1, search(equal("NtVer", b"\6\0\0\0"), "Netlogon"))), port=389)
    found = rows_of(data)
    assert found["net_service_activity"][0]["query"] == "(NtVer=0x00000006)"
    assert found["network_activity"][0]["app_protocol"] == "ldap_udp"


def test_operations_that_wait_are_bounded_and_all_are_rows() -> None:
    flood = b"".join(message(i + 1, search(equal("cn", "x"))) for i in range(3000))
    assert len(ldap((True, flood))) == 3000


def test_cut_and_flipped() -> None:
    whole = message(2, search(element(0xA0, equal("a", "1"), equal("b", "2")), "cn"))
    for at in range(len(whole)):
        ldap((True, BIND + whole[:at]))
        broken = bytearray(whole)
        broken[at] ^= 0xFF
        ldap((True, BIND + bytes(broken)))


def test_lengths_of_four_gigabytes() -> None:
    assert len(ldap((True, BIND + b"\x30\x84\xff\xff\xff\xff\x02\x01\x02\x63"), *SIMPLE[1:])) == 1
