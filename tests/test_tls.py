"""TLS and DTLS: what rows say, however the bytes came, and what an adversary cannot do."""

import hashlib
import time
from typing import Any

import pytest

from tests.packets import CLIENT, SERVER, ethernet, ipv4, pcap, session, timed, udp
from tests.tls_build import (
    CCS,
    FINISHED,
    RETRY,
    alpn,
    certificate,
    chain,
    client_hello,
    extension,
    fragment,
    handshake_12,
    message,
    numbers,
    record,
    server_hello,
    server_name,
    vector,
)
from tests.zeek_compare import tables
from tracelake.parsers.protocols.tls_hello import fingerprints

Said = list[tuple[bool, bytes]]


def read(said: Said, port: int = 443, mss: int = 1460) -> dict[str, list[dict[str, Any]]]:
    return tables(pcap(timed(session(*said, port=port, mss=mss))))


def one(said: Said, port: int = 443, mss: int = 1460) -> dict[str, Any]:
    (row,) = read(said, port, mss)["tls_activity"]
    return {name: value for name, value in row.items() if value is not None}


WHOLE = {
    "sni": "a.example", "tls_version": "TLSv12",
    "cipher": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "curve": "secp256r1", "alpn": "h2",
    "established": True, "resumed": False, "tls_history": "CsxknGIi", "sni_matches": True,
    "cert_subject": "CN=a.example", "cert_issuer": "CN=Test CA", "cert_self_signed": False,
    "cert_serial": "01", "activity_id": 1,
}


@pytest.mark.parametrize("mss", [1, 2, 3, 7, 100, 1460])
@pytest.mark.parametrize("port", [443, 31337])
def test_tls_12_in_segments_of_any_size(mss: int, port: int) -> None:
    row = one(handshake_12(), port, mss)
    assert {name: row[name] for name in WHOLE} == WHOLE
    own, ca = (hashlib.sha256(certificate(host)).hexdigest() for host in ("a.example", "CA"))
    assert row["cert_chain"] == [own, ca]
    assert row["client_cert_chain"] == []
    assert row["ja4"].startswith("t12d0202h2_")
    assert len(row["ja3"]) == len(row["ja3s"]) == 32


def test_messages_cut_into_records_of_any_size() -> None:
    whole = handshake_12()
    for size in (1, 2, 5, 50, 700):
        cut: Said = []
        for client, data in whole:
            out, at = b"", 0
            while at < len(data):
                length = int.from_bytes(data[at + 3 : at + 5], "big")
                content = data[at + 5 : at + 5 + length]
                if data[at] == 22 and content != FINISHED[5:]:
                    parts = [content[i : i + size] for i in range(0, length, size)]
                    out += b"".join(record(part) for part in parts)
                else:
                    out += data[at : at + 5 + length]
                at += 5 + length
            cut.append((client, out))
        row = one(cut)
        assert {name: row[name] for name in WHOLE} == WHOLE, size


def test_the_flow_is_named_and_what_follows_is_not_looked_at() -> None:
    bulk = record(bytes(16000), 23)
    rows = read([*handshake_12(), (False, bulk * 20), (True, bulk * 20)])
    assert len(rows["tls_activity"]) == 1
    (flow,) = rows["network_activity"]
    assert flow["app_protocol"] == "ssl"


def test_certificates_are_rows_once() -> None:
    segments = session(*handshake_12(), port=443, sport=40000)
    again = session(*handshake_12(), port=443, sport=40001)
    rows = tables(pcap(timed(segments) + timed(again, 2000.0)))
    own, ca = rows["certificate"]
    assert own["cert_sha256"] == hashlib.sha256(certificate("a.example")).hexdigest()
    assert own["cert_sha1"] == hashlib.sha1(certificate("a.example")).hexdigest()
    assert own["cert_md5"] == hashlib.md5(certificate("a.example")).hexdigest()
    assert own["cert_sans"] == ["a.example"]
    assert (own["is_host"], own["is_client"], own["chain_position"]) == (True, False, 0)
    assert (ca["is_host"], ca["is_client"], ca["chain_position"]) == (False, False, 1)
    assert set(own["seen_in"]) == {row["conn_uid"] for row in rows["tls_activity"]}
    assert own["key_length"] == 1024 and own["key_exponent"] == "65537"
    assert own["time"] == pytest.approx(1000.005)


def test_resumed_by_session() -> None:
    row = one(handshake_12(resumed=True))
    assert row["resumed"] and row["established"]
    assert row["tls_history"] == "CsiI"


def test_resumed_by_ticket() -> None:
    hello = record(message(1, client_hello(extension(35, b"ticket"))))
    answer = record(message(2, server_hello()) + message(4, bytes(20))) + CCS + FINISHED
    row = one([(True, hello), (False, answer), (True, CCS + FINISHED)])
    assert (row["resumed"], row["tls_history"], row["established"]) == (True, "CstiI", True)


def hello_13(*more: bytes, session: bytes = bytes(range(32))) -> bytes:
    return record(message(1, client_hello(
        server_name("b.example"), extension(43, vector(numbers(0x0A0A, 0x0304, 0x0303), 1)),
        *more, session=session,
    )), version=0x0301)


def answer_13(*more: bytes, random: bytes = bytes(32), group: bytes = numbers(29)) -> bytes:
    return record(message(2, server_hello(
        extension(43, numbers(0x0304)), extension(51, group + vector(bytes(32))), *more,
        cipher=0x1301, session=bytes(range(32)), random=random,
    )))


DATA = record(bytes(100), 23)


def test_tls_13() -> None:
    row = one([(True, hello_13()), (False, answer_13() + CCS + DATA), (True, CCS + DATA)])
    assert row["tls_version"] == "TLSv13"
    assert (row["cipher"], row["curve"]) == ("TLS_AES_128_GCM_SHA256", "x25519")
    # The server repeats the session in any case.
    assert (row["resumed"], row["established"], row["tls_history"]) == (False, True, "CsiI")
    assert row["ja4"].startswith("t13d0202")


def test_tls_13_resumed() -> None:
    said = [
        (True, hello_13(extension(41, bytes(50)))),
        (False, answer_13(extension(41, b"\0\0")) + DATA), (True, DATA),
    ]
    row = one(said)
    assert (row["resumed"], row["established"], row["tls_history"]) == (True, True, "Cs")


def test_hello_retry_request() -> None:
    said = [
        (True, hello_13()), (False, answer_13(random=RETRY, group=numbers(24)) + CCS),
        (True, CCS + hello_13()), (False, answer_13() + DATA), (True, DATA),
    ]
    row = one(said)
    assert (row["tls_history"], row["curve"], row["established"]) == ("CjiICs", "x25519", True)


def test_an_alert_ends_it() -> None:
    said = [(True, record(message(1, client_hello()))), (False, record(b"\x02\x28", 21))]
    row = one(said)
    assert (row["last_alert"], row["tls_history"]) == ("handshake_failure", "Cl")
    assert row["established"] is False


def test_who_speaks_first_may_be_the_server() -> None:
    row = one([(False, record(message(1, client_hello(server_name("c.example")))))])
    assert (row["tls_history"], row["sni"]) == ("^C", "c.example")


def test_a_record_of_another_version_ends_it() -> None:
    said = [*handshake_12()[:2], (True, b"\x17\xff\xff\x00\x05hello")]
    rows = read(said)
    (row,) = rows["tls_activity"]
    assert row["tls_history"] == "Csxkn" and row["established"] is False
    assert rows["network_activity"][0].get("app_protocol") is None


def test_a_gap_ends_it_with_what_is_known() -> None:
    segments = session(*handshake_12(), port=443, mss=200)
    lost = [i for i, s in enumerate(segments) if not s.client and s.size][2]
    (row,) = tables(pcap(timed(segments[:lost] + segments[lost + 1 :])))["tls_activity"]
    assert row["sni"] == "a.example" and row["established"] is False


def test_other_things_on_its_port() -> None:
    rows = read([(True, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), (False, b"no\r\n")])
    assert "tls_activity" not in rows


@pytest.mark.parametrize("kind", ["names", "type", "history", "early", "ocsp"])
def test_weird(kind: str) -> None:
    hello = record(message(1, client_hello()))
    two = extension(0, vector(b"\0" + vector(b"a") + b"\0" + vector(b"b")))
    said, name = {
        "names": ([(True, record(message(1, client_hello(two))))], "SSL_many_server_names"),
        "type": (
            [(True, record(message(1, client_hello(extension(0, vector(b"\7" + vector(b"a")))))))],
            "ssl_ext_unknown_server_name_type",
        ),
        "history": (
            [(True, hello), (False, record(message(14, b"")) * 120)],
            "SSL_max_ssl_history_length_reached",
        ),
        "early": (
            [(True, hello), (False, record(message(2, server_hello())) + DATA)],
            "ssl_early_application_data",
        ),
        "ocsp": (
            [(True, hello), (False, record(message(22, b"\1\0\0\0")))],
            "SSL_zero_length_stapled_OCSP_message",
        ),
    }[kind]
    rows = read(said)
    assert [row["name"] for row in rows["network_weird"]] == [name]
    assert len(rows["tls_activity"][0]["tls_history"]) <= 100


def test_ja4_of_the_specification() -> None:
    """The example of FoxIO's document: GREASE, SNI and ALPN as they come from a browser."""
    ciphers = numbers(
        0x1A1A, 0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013,
        0xC014, 0x009C, 0x009D, 0x002F, 0x0035,
    )
    signatures = numbers(0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)
    kinds = [0x001B, 0x0033, 0x4469, 0x0017, 0x002D, 0x0005, 0x0023, 0x0012, 0xFF01, 0x000B,
             0x000A, 0x0015]
    hello = client_hello(
        extension(0x2A2A), server_name("a.example"), alpn("h2", "http/1.1"),
        extension(13, vector(signatures)),
        extension(43, vector(numbers(0x3A3A, 0x0304, 0x0303), 1)),
        *[extension(kind) for kind in kinds], ciphers=ciphers,
    )
    _, ja4 = fingerprints(hello)
    assert ja4 == "t13d1516h2_8daaf6152771_e5627efa2ab1"


def test_ja3_of_its_description() -> None:
    """github.com/salesforce/ja3: 769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0"""
    hello = client_hello(
        server_name("a"), extension(10, vector(numbers(23, 24, 25))),
        extension(11, vector(b"\0", 1)), version=769,
        ciphers=numbers(47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4),
    )
    assert fingerprints(hello)[0] == "ada70206e40642a3e4461f35503241d5"


@pytest.mark.parametrize(("protocol", "two"), [
    (b"h2", "h2"), (b"http/1.1", "h1"), (b"\xab", "ab"), (b"\xab\xcd", "ad"), (b"0\xab", "3b"),
    (b"01\xab\xcd", "3d"), (b"0\xab\xcd1", "01"), (b"h", "hh"),
])
def test_ja4_of_odd_protocols(protocol: bytes, two: str) -> None:
    hello = client_hello(extension(16, vector(vector(protocol, 1))))
    assert fingerprints(hello)[1][8:10] == two


# DTLS.

def datagrams(*said: tuple[bool, bytes], port: int = 4444) -> dict[str, list[dict[str, Any]]]:
    frames = []
    for i, (client, data) in enumerate(said):
        ports = (40000, port) if client else (port, 40000)
        ends = (CLIENT, SERVER) if client else (SERVER, CLIENT)
        frames.append((1000 + i / 1000, ethernet(ipv4(udp(*ports, data), 17, *ends))))
    return tables(pcap(frames))


def test_dtls_in_fragments_in_any_order() -> None:
    hello = client_hello(server_name("d.example"), version=0xFEFD, dtls=True)
    answer = server_hello(version=0xFEFD)
    own = chain(certificate("d.example"))
    parts = [
        fragment(11, own, 1, at, min(100, len(own) - at), 2 + at // 100)
        for at in range(0, len(own), 100)
    ]
    rows = datagrams(
        (True, fragment(1, hello, 0, 0, len(hello), 0)),
        (False, fragment(2, answer, 0, 0, len(answer), 0)),
        *[(False, part) for part in reversed(parts)], (False, parts[0]),
    )
    (row,) = rows["tls_activity"]
    assert (row["tls_version"], row["sni"], row["tls_history"]) == ("DTLSv12", "d.example", "Csx")
    assert row["sni_matches"] is True
    assert row["ja4"].startswith("dd2d0201")
    assert rows["network_activity"][0]["app_protocol"] == "dtls"


def test_dtls_behind_stun() -> None:
    stun = b"\0\1\0\0\x21\x12\xa4\x42" + bytes(12)
    hello = client_hello(version=0xFEFD, dtls=True)
    rows = datagrams(*[(True, stun)] * 9, (True, fragment(1, hello, 0, 0, len(hello), 0)))
    assert rows["tls_activity"][0]["tls_history"] == "C"


# Adversaries.

def test_cut_and_changed_anywhere() -> None:
    whole = handshake_12()
    flat = [(client, at) for client, data in whole for at in range(0, len(data), 7)]
    for n, (_, at) in enumerate(flat):
        side, said = n % len(whole), list(whole)
        client, data = said[side]
        changed = bytearray(data)
        changed[at % len(data)] ^= 1 << n % 8
        said[side] = client, bytes(changed)
        rows = read(said)
        assert len(rows["network_activity"]) == 1
        assert len(rows.get("tls_activity", [])) <= 1
        read([*whole[:side], (client, data[: at % len(data)])])


def test_a_message_that_never_ends() -> None:
    """Records without end that are parts of one message: no more than its limit is held."""
    part = record(bytes(16000))
    begin = record(b"\x0b\xff\xff\xff" + bytes(100))
    hello = handshake_12()[0]
    started = time.process_time()
    rows = read([hello, (False, begin + part * 1100)], mss=16000)
    assert time.process_time() - started < 10
    assert rows["tls_activity"][0]["established"] is False


def test_a_chain_of_a_megabyte_of_certificates() -> None:
    """As many certificates as there is room for: only the first ones are read."""
    body = vector((vector(b"\x30\x80", 3)) * 150000, 3)
    parts = [body[i : i + 16000] for i in range(0, len(body), 16000)]
    first = b"\x0b" + len(body).to_bytes(3, "big")
    said = first + body
    records = b"".join(record(said[i : i + 16000]) for i in range(0, len(said), 16000))
    rows = read([handshake_12()[0], (False, records)], mss=16000)
    assert len(parts) > 40
    assert len(rows["certificate"]) == 1            # they are all the same
    assert len(rows["tls_activity"][0]["cert_chain"]) == 64


def test_thousands_of_extensions() -> None:
    many = b"".join(extension(i) for i in range(1000, 16000))
    hello = record(message(1, client_hello(many))[:16000]) + record(
        message(1, client_hello(many))[16000:32000]
    ) + record(message(1, client_hello(many))[32000:48000]) + record(
        message(1, client_hello(many))[48000:]
    )
    row = one([(True, hello)], mss=16000)
    assert row["ja4"][4:8] == "0299"


def test_many_half_handshakes_are_bounded() -> None:
    """Flows that begin a message and never end it."""
    frames = []
    hello = record(message(1, client_hello(server_name("e.example")))[:60])
    for i in range(2000):
        frames += [
            (t, f) for t, f in timed(
                session((True, hello), port=443, sport=1024 + i, close=False), 1000 + i
            )
        ]
    frames.sort(key=lambda each: each[0])
    rows = tables(pcap(frames))
    assert len(rows["tls_activity"]) == 2000
