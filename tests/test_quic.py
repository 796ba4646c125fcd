"""QUIC: Initial packets that are made with `cryptography`, and the standard's own."""

import hashlib
import hmac
import struct
from typing import Any

import pytest

from tests.packets import CLIENT, SERVER, ethernet, ipv4, pcap, udp
from tests.tls_build import (
    alpn,
    client_hello,
    extension,
    message,
    numbers,
    server_hello,
    server_name,
)
from tests.zeek_compare import tables

aead = pytest.importorskip("cryptography.hazmat.primitives.ciphers.aead")
ciphers = pytest.importorskip("cryptography.hazmat.primitives.ciphers")

SALTS = {
    1: "38762cf7f55934b34d179ae6a4c80cadccbb7f0a",
    0x6B3343CF: "0dede3def700a6db819381be6e269dcbf9bd2ed9",
    0xFF00001D: "afbfec289993d24c9e9786f19c6111e04390a899",
    0xFF00001B: "c3eef712c72ebb5a11a7d2432bb46365bef9f502",
}
FIRST = bytes.fromhex("8394c8f03e515708")


def expand(secret: bytes, label: str, length: int) -> bytes:
    text = struct.pack(">HB", length, 6 + len(label)) + b"tls13 " + label.encode() + b"\0\1"
    return hmac.digest(secret, text, "sha256")[:length]


def varint(value: int) -> bytes:
    return struct.pack(">H", 0x4000 | value)


def initial(
    frames: bytes, number: int = 0, *, version: int = 1, client: bool = True,
    to: bytes = FIRST, source: bytes = b"\1\2\3\4", first: bytes = FIRST, size: int = 1162,
) -> bytes:
    frames += bytes(max(0, size - len(frames)))
    secret = hmac.digest(bytes.fromhex(SALTS[version]), first, "sha256")
    own = expand(secret, "client in" if client else "server in", 32)
    prefix = "quicv2" if version == 0x6B3343CF else "quic"
    key, iv, hp = (expand(own, f"{prefix} {what}", n) for what, n in
                   (("key", 16), ("iv", 12), ("hp", 16)))
    kind = 0xD0 if version == 0x6B3343CF else 0xC0
    head = bytes([kind | 3]) + struct.pack(">I", version) + bytes([len(to)]) + to
    head += bytes([len(source)]) + source + b"\0" + varint(4 + len(frames) + 16)
    at = len(head)
    head += struct.pack(">I", number)
    nonce = (int.from_bytes(iv, "big") ^ number).to_bytes(12, "big")
    sealed = aead.AESGCM(key).encrypt(nonce, frames, head)
    ecb = ciphers.Cipher(ciphers.algorithms.AES(hp), ciphers.modes.ECB()).encryptor()
    mask = ecb.update(sealed[:16])
    hidden = bytearray(head)
    hidden[0] ^= mask[0] & 15
    for i in range(4):
        hidden[at + i] ^= mask[1 + i]
    return bytes(hidden) + sealed


def crypto(data: bytes, begin: int = 0, count: int | None = None) -> bytes:
    part = data[begin : len(data) if count is None else begin + count]
    return b"\6" + varint(begin) + varint(len(part)) + part


HELLO = message(1, client_hello(
    server_name("q.example"), alpn("h3", "h2"),
    extension(43, b"\2" + numbers(0x0304)), extension(57, bytes(30)),
))
ANSWER = message(2, server_hello(
    extension(43, numbers(0x0304)), extension(51, numbers(29) + bytes(34)), cipher=0x1301,
))


def rows(*said: tuple[bool, bytes], port: int = 443) -> dict[str, list[dict[str, Any]]]:
    frames = []
    for i, (client, data) in enumerate(said):
        ports = (40000, port) if client else (port, 40000)
        ends = (CLIENT, SERVER) if client else (SERVER, CLIENT)
        frames.append((1000 + i / 1000, ethernet(ipv4(udp(*ports, data), 17, *ends))))
    return tables(pcap(frames))


@pytest.mark.parametrize(("version", "name"), [
    (1, "1"), (0x6B3343CF, "quicv2"), (0xFF00001D, "draft-29"), (0xFF00001B, "draft-27"),
])
@pytest.mark.parametrize("port", [443, 5555])
def test_a_handshake(version: int, name: str, port: int) -> None:
    found = rows(
        (True, initial(crypto(HELLO), version=version)),
        (False, initial(b"\2\0\0\0\0" + crypto(ANSWER), version=version, client=False,
                        to=b"\1\2\3\4", source=b"\5\6")),
        (True, b"\x40" + bytes(30)), (False, b"\x40" + bytes(30)), (True, b"\x40" + bytes(30)),
        port=port,
    )
    (row,) = found["tls_activity"]
    assert (row["quic_version"], row["quic_history"]) == (name, "ISisOoO")
    assert (row["sni"], row["client_protocol"]) == ("q.example", "h3")
    assert (row["client_initial_dcid"], row["client_scid"]) == (FIRST.hex(), "01020304")
    assert row["server_scid"] == "0506"
    assert (row["tls_version"], row["cipher"]) == ("TLSv13", "TLS_AES_128_GCM_SHA256")
    assert (row["curve"], row["tls_history"]) == ("x25519", "Cs")
    assert row["ja4"].startswith("q13d0204h3_")
    assert found["network_activity"][0]["app_protocol"] == "quic,ssl" or (
        set(found["network_activity"][0]["app_protocol"].split(",")) == {"quic", "ssl"}
    )


def test_a_hello_in_pieces_in_any_order() -> None:
    half = len(HELLO) // 2
    (row,) = rows(
        (True, initial(crypto(HELLO, half) + b"\1" + crypto(HELLO, 10, half - 10), 0)),
        (True, initial(crypto(HELLO, 0, 20), 1)),
    )["tls_activity"]
    assert (row["sni"], row["quic_history"]) == ("q.example", "IIS")


def test_retry_is_a_row_and_another_begins() -> None:
    second = b"\x99" * 8
    retry = b"\xf0" + struct.pack(">I", 1) + b"\4\1\2\3\4" + b"\x08" + second + bytes(40)
    first, last = rows(
        (True, initial(crypto(HELLO))), (False, retry),
        (True, initial(crypto(HELLO), 1, to=second, first=second)),
    )["tls_activity"]
    assert (first["quic_history"], last["quic_history"]) == ("ISr", "IS")
    assert last["client_initial_dcid"] == second.hex()


def test_packets_of_one_datagram() -> None:
    data = initial(crypto(HELLO), size=400)
    handshake = b"\xe0" + struct.pack(">I", 1) + b"\x08" + FIRST + b"\0" + varint(30) + bytes(30)
    early = b"\xd0" + handshake[1:]
    (row,) = rows((True, data + early + handshake + bytes(100)))["tls_activity"]
    assert row["quic_history"] == "ISZHX"


def test_a_version_that_nobody_knows() -> None:
    data = b"\xc3" + struct.pack(">I", 0x5A5A5A5A) + b"\x08" + FIRST + b"\0" + bytes(1200)
    (row,) = rows((True, data))["tls_activity"]
    assert (row["quic_version"], row["quic_history"]) == ("unknown-5a5a5a5a", "U")
    assert "tls_activity" not in rows((True, data), port=5555)


def test_a_wrong_tag_is_not_believed() -> None:
    data = bytearray(initial(crypto(HELLO)))
    data[-1] ^= 1
    (row,) = rows((True, bytes(data)))["tls_activity"]
    assert (row.get("sni"), row["quic_history"]) == (None, "I")


def test_the_example_of_rfc_9001() -> None:
    """Appendix A.1: the keys; our own packets are made with them (A.2's is 1200 bytes)."""
    secret = hmac.digest(bytes.fromhex(SALTS[1]), FIRST, "sha256")
    own = expand(secret, "client in", 32)
    assert own.hex() == "c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea"
    assert expand(own, "quic key", 16).hex() == "1f369613dd76d5467730efcbe3b1a22d"
    assert expand(own, "quic iv", 12).hex() == "fa044b2f42a3fd3b46fb255c"
    assert expand(own, "quic hp", 16).hex() == "9f50449e04a0e810283a1e9933adedd2"
    assert hashlib.sha256(b"").digest()


def test_frames_that_break_the_rules() -> None:
    """Every frame, cut and with lengths that go too far."""
    for frames in (
        b"\2", b"\2\0\0\xff\xff\xff\xff\xff\xff\xff\xff\0", b"\6\0", b"\6\xff" + b"\xff" * 7,
        b"\6\0\x7f\xff", b"\6\x80\xff\xff\xff\1a", b"\x1c", b"\x30", b"\3\0\0\0\0",
    ):
        (row,) = rows((True, initial(frames)))["tls_activity"]
        assert row["quic_history"][0] == "I"


def test_hellos_that_never_end_are_bounded() -> None:
    """Two thousand flows that begin a hello and do not end it."""
    data = initial(crypto(HELLO, 0, 20))
    frames = [
        (1000 + i / 1000, ethernet(ipv4(udp(1024 + i, 443, data), 17))) for i in range(2500)
    ]
    found = tables(pcap(frames))
    assert len(found["tls_activity"]) == 2500
