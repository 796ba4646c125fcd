"""SSH: banners, what is negotiated, and who is let in."""

import hashlib
import random
import struct
from typing import Any

import pytest

from tests.packets import pcap, session, timed
from tests.zeek_compare import tables

Said = list[tuple[bool, bytes]]
BANNERS = [(True, b"SSH-2.0-OpenSSH_9.6\r\n"), (False, b"SSH-2.0-dropbear_2022.83\r\n")]


def string(text: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text


def packet(kind: int, body: bytes) -> bytes:
    padding = 4 + -(len(body) + 6 + 4) % 8
    return struct.pack(">IBB", len(body) + 2 + padding, padding, kind) + body + bytes(padding)


def lists(kex: str, cipher: str, mac: str = "m", compression: str = "none") -> list[str]:
    return [kex, "ssh-ed25519,rsa", cipher, cipher, mac, mac, compression, compression, "", ""]


def kexinit(names: list[str]) -> bytes:
    return packet(20, bytes(16) + b"".join(string(n.encode()) for n in names) + bytes(5))


KEY = b"a host's key"
CLIENT_LISTS = lists("sntrup,curve25519-sha256", "aes,chacha")
SERVER_LISTS = lists("curve25519-sha256,x", "chacha,aes", "n,m")
KEX: Said = [
    *BANNERS,
    (True, kexinit(CLIENT_LISTS)),
    (False, kexinit(SERVER_LISTS)),
    (True, packet(30, string(bytes(32)))),
    (False, packet(31, string(KEY) + string(bytes(32)) + string(bytes(83))) + packet(21, b"")),
    (True, packet(21, b"")),
]


def encrypted(*segments: int) -> Said:
    """Segments of so many bytes: the client's positive, the server's negative."""
    return [(n > 0, bytes(abs(n))) for n in segments]


def one(said: Said, port: int = 22, mss: int = 1460) -> dict[str, Any]:
    (row,) = tables(pcap(timed(session(*said, port=port, mss=mss))))["remote_access_activity"]
    return {name: value for name, value in row.items() if value is not None}


@pytest.mark.parametrize("mss", [1, 3, 50, 1460])
@pytest.mark.parametrize("port", [22, 2222])
def test_what_is_negotiated(mss: int, port: int) -> None:
    row = one(KEX, port, mss)
    assert row["class_uid"] == 4007
    assert row["protocol"] == "ssh"
    assert row["client"] == "SSH-2.0-OpenSSH_9.6"
    assert row["server"] == "SSH-2.0-dropbear_2022.83"
    assert row["protocol_version"] == "2"
    assert (row["kex"], row["cipher"], row["mac_algorithm"]) == ("curve25519-sha256", "aes", "m")
    assert (row["compression"], row["host_key_algorithm"]) == ("none", "ssh-ed25519")
    assert row["host_key"] == hashlib.md5(KEY).digest().hex(":")
    assert row["hassh"] == hashlib.md5(b"sntrup,curve25519-sha256;aes,chacha;m;none").hexdigest()
    assert row["hassh_server"] == hashlib.md5(
        b"curve25519-sha256,x;chacha,aes;n,m;none"
    ).hexdigest()
    assert row["auth_attempts"] == 0
    assert "auth_success" not in row


def test_direction() -> None:
    out = session(*KEX, port=22, dst="8.8.8.8")
    (row,) = tables(pcap(timed(out)))["remote_access_activity"]
    assert row["direction"] == "OUTBOUND"
    into = session(*KEX, port=22, src="8.8.8.8")
    (row,) = tables(pcap(timed(into)))["remote_access_activity"]
    assert row["direction"] == "INBOUND"
    (row,) = tables(pcap(timed(session(*KEX, port=22))))["remote_access_activity"]
    assert row.get("direction") is None


def test_directions_that_differ() -> None:
    server = lists("curve25519-sha256", "aes")
    server[3] = "chacha"
    row = one([*BANNERS, (True, kexinit(CLIENT_LISTS)), (False, kexinit(server))])
    assert row["cipher"] == "To server: aes, to client: chacha"


def test_nothing_in_common() -> None:
    row = one([*BANNERS, (True, kexinit(CLIENT_LISTS)), (False, kexinit(lists("y", "z")))])
    assert row["kex"] == "Algorithm negotiation failed"


def test_let_in_at_once() -> None:
    row = one([*KEX, *encrypted(44, -44, 60, -28, 100, -2000)])
    assert (row["auth_success"], row["auth_attempts"], row["activity_id"]) == (True, 1, 1)


def test_let_in_at_the_third_attempt() -> None:
    row = one([*KEX, *encrypted(44, -44, 60, -60, 100, -60, 100, -60, 100, -28)])
    assert (row["auth_success"], row["auth_attempts"]) == (True, 3)


def test_refused() -> None:
    row = one([*KEX, *encrypted(44, -44, 60, -60, 100, -60, 100, -60)])
    assert (row["auth_success"], row["auth_attempts"], row["activity_id"]) == (False, 2, 4)


def test_a_banner_before_the_first_refusal() -> None:
    row = one([*KEX, *encrypted(44, -44, 60, -900, -60, 100, -60)])
    assert (row["auth_success"], row["auth_attempts"]) == (False, 1)


def test_compression_hides_it() -> None:
    squeezed = [*BANNERS, (True, kexinit(lists("curve25519-sha256", "aes", compression="zlib"))),
                (False, kexinit(lists("curve25519-sha256", "aes", compression="zlib"))), *KEX[4:]]
    row = one([*squeezed, *encrypted(44, -44, 60, -28)])
    assert row["auth_attempts"] == 0
    assert "auth_success" not in row


@pytest.mark.parametrize(("client", "server", "version", "weird"), [
    (b"SSH-1.99-a", b"SSH-2.0-b", "2", None), (b"SSH-2.0-a", b"SSH-1.99-b", "2", None),
    (b"SSH-1.5-a", b"SSH-1.99-b", "1", None), (b"SSH-1.99-a", b"SSH-1.99-b", "2", None),
    (b"SSH-1.5-a", b"SSH-2.0-b", None, "SSH_version_mismatch"),
    (b"SSH-2.0-a", b"SSH-", None, "SSH_cannot_determine_version"),
])
def test_versions(client: bytes, server: bytes, version: str | None, weird: str | None) -> None:
    rows = tables(pcap(timed(session((True, client + b"\n"), (False, server + b"\n"), port=22))))
    assert rows["remote_access_activity"][0].get("protocol_version") == version
    assert [row["name"] for row in rows.get("network_weird", [])] == ([weird] if weird else [])


def test_lines_before_the_server_s_banner() -> None:
    said = [(True, BANNERS[0][1]), (False, b"Welcome\r\nto this\r\n" + BANNERS[1][1])]
    assert one(said)["server"] == "SSH-2.0-dropbear_2022.83"


def test_ssh_1() -> None:
    def number(n: int) -> bytes:
        return struct.pack(">H", n * 8) + bytes([n]) * n

    body = bytes(8) + bytes(4) + number(3) + number(64) + bytes(4) + number(2) + number(128)
    length = len(body) + 12 + 5
    key = struct.pack(">I", length) + bytes(8 - length % 8) + b"\2" + body + bytes(12) + bytes(4)
    said = [(False, b"SSH-1.5-a\n"), (True, b"SSH-1.5-b\n"), (False, key)]
    row = one(said)
    assert row["protocol_version"] == "1"
    modulus_and_exponent = bytes([128]) * 128 + bytes([2]) * 2
    assert row["host_key"] == hashlib.md5(modulus_and_exponent).digest().hex(":")


def test_cut_and_changed_anywhere() -> None:
    chance = random.Random(2)
    for _ in range(300):
        said = list(KEX)
        which = chance.randrange(len(said))
        client, data = said[which]
        at = chance.randrange(len(data))
        flipped = bytearray(data)
        flipped[at] ^= 1 << chance.randrange(8)
        said[which] = client, chance.choice([bytes(flipped), data[:at]])
        rows = tables(pcap(timed(session(*said, port=22))))
        assert len(rows.get("remote_access_activity", [])) <= 1


def test_lists_of_thousands_of_names() -> None:
    """Comparing two lists without a common name costs no more than its bound."""
    one_list = ",".join(f"a{i}" for i in range(20000))
    other = ",".join(f"b{i}" for i in range(20000))
    said = [*BANNERS, (True, kexinit(lists(one_list, "c"))), (False, kexinit(lists(other, "c")))]
    assert one(said, mss=60000)["kex"] == "Algorithm negotiation failed"


def test_a_banner_without_an_end() -> None:
    rows = tables(pcap(timed(session((True, b"SSH-2.0-" + b"a" * 100000), port=22))))
    assert "remote_access_activity" not in rows
