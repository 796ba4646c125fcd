"""Link layers beyond Ethernet, checksums, packets captured twice, breaches of the layers' rules."""

import struct
from typing import Any

import pytest

from tests.packets import ACK, CLIENT, RST, SERVER, SYN, ethernet, ipv4, ipv6, pcap, tcp, udp
from tests.zeek import ours
from tests.zeek_compare import tables

NOON = 1_700_000_000.0
PACKET = ipv4(udp(5000, 6000, b"x" * 40), 17)
SNAP = b"\xaa\xaa\3\0\0\0\x08\0"
ADDRESSES = b"\2\0\0\0\0\1" + b"\2\0\0\0\0\2" + b"\2\0\0\0\0\3"
RADIO = struct.pack("<BBHI", 0, 0, 8, 0)
NFLOG_HEAD = b"\2\0\0\1" + struct.pack("<HHI", 8, 1, 0)

LINKS = {
    "802.11": (105, b"\x08\1\0\0" + ADDRESSES + b"\0\0" + SNAP + PACKET),
    "802.11 QoS": (105, b"\x88\1\0\0" + ADDRESSES + b"\0\0\0\0" + SNAP + PACKET),
    "802.11, four addresses": (
        105, b"\x08\3\0\0" + ADDRESSES + b"\0\0" + b"\2\0\0\0\0\4" + SNAP + PACKET
    ),
    "radiotap": (127, RADIO + b"\x08\1\0\0" + ADDRESSES + b"\0\0" + SNAP + PACKET + b"FCS!"),
    "Prism": (
        119, struct.pack("<II", 68, 144) + b"\0" * 136 + b"\x08\2\0\0" + ADDRESSES + b"\0\0"
        + SNAP + PACKET,
    ),
    "AVS": (
        163, struct.pack(">II", 0x80211001, 64) + b"\0" * 56 + b"\x08\2\0\0" + ADDRESSES + b"\0\0"
        + SNAP + PACKET,
    ),
    "PPI": (192, struct.pack("<BBHI", 0, 0, 8, 1) + ethernet(PACKET)),
    "PPP": (9, b"\0\x21" + PACKET),
    "PPP, compressed": (9, b"\x21" + PACKET),
    "PPP with HDLC": (50, b"\xff\3\0\x21" + PACKET),
    "PPP with a direction": (204, b"\1\xff\3\0\x21" + PACKET),
    "PPPoE": (51, b"\x11\0\0\1\0\x44\0\x21" + PACKET),
    "Cisco HDLC": (104, b"\x0f\0\x08\0" + PACKET),
    "frame relay": (107, b"\x18\x41\3\xcc" + PACKET),
    "frame relay, Cisco": (107, b"\x18\x41\x08\0" + PACKET),
    "frame relay, SNAP": (107, b"\x18\x41\3\0\x80\0\0\0\x08\0" + PACKET),
    "NFLOG": (239, NFLOG_HEAD + struct.pack("<HH", 4 + len(PACKET), 9) + PACKET),
    "NFLOG, big-endian": (
        239, b"\2\0\0\1" + struct.pack(">HHI", 8, 1, 0) + struct.pack(">HH", 72, 9) + PACKET
    ),
    "Token Ring": (6, b"\x10\x40" + ADDRESSES[:12] + SNAP + PACKET),
    "Token Ring with a route": (
        6, b"\x10\x40" + ADDRESSES[:6] + b"\x82\0\0\0\0\2" + b"\2\0" + SNAP + PACKET
    ),
    "ATM": (100, SNAP + PACKET),
    "pflog": (117, b"\x3d\2" + b"\0" * 62 + PACKET),
    "enc": (109, b"\2\0\0\0" + b"\0" * 8 + PACKET),
    "MPLS": (1, ethernet(b"\0\0\x10\x40\0\0\x21\x40" + PACKET, 0x8847)),
    "MPLS pseudo-wire": (1, ethernet(b"\0\0\x11\x40" + b"\0\0\0\0" + ethernet(PACKET), 0x8847)),
    "VN-Tag": (1, ethernet(b"\0\0\0\0\x08\0" + PACKET, 0x8926)),
    "PBB": (1, ethernet(b"\0\0\0\7" + ethernet(PACKET), 0x88E7)),
    "FabricPath": (1, ethernet(b"\0\1", 0x8903) + ethernet(PACKET)),
    "Cisco metadata": (1, ethernet(b"\1\1\0\1\0\5\x08\0" + PACKET, 0x8909)),
}


@pytest.mark.parametrize("name", LINKS)
def test_what_is_on_a_link(name: str) -> None:
    link, frame = LINKS[name]
    found = ours(pcap([(NOON, frame)], link=link))
    assert found.damage == []
    row = found.flows[0]
    assert (row["src_ip"], row["dst_port"], row["bytes_out"]) == (CLIENT, 6000, 40)


@pytest.mark.parametrize("name", LINKS)
def test_cut_and_broken_at_every_byte(name: str) -> None:
    link, frame = LINKS[name]
    frames = [frame[:n] for n in range(len(frame))]
    frames += [frame[:n] + bytes([frame[n] ^ 0xFF]) + frame[n + 1 :] for n in range(len(frame))]
    found = ours(pcap([(NOON + i, each) for i, each in enumerate(frames)], link=link))
    assert found.account.closes


def test_an_aggregate_of_frames_is_several_records() -> None:
    def sub(packet: bytes, last: bool = False) -> bytes:
        body = SNAP + packet
        frame = ADDRESSES[:12] + struct.pack(">H", len(body)) + body
        return frame if last else frame + b"\0" * (-len(frame) % 4)

    second = ipv4(udp(5001, 6001, b"yy"), 17)
    frame = b"\x88\1\0\0" + ADDRESSES + b"\0\0\x80\0" + sub(PACKET) + sub(second, last=True)
    found = ours(pcap([(NOON, frame)], link=105))
    assert sorted(row["dst_port"] for row in found.flows) == [6000, 6001]
    assert (found.account.records, found.account.closes) == (2, True)


def test_what_is_no_data_or_encrypted_is_counted() -> None:
    beacon = b"\x80\0\0\0" + ADDRESSES + b"\0\0" + b"\0" * 40
    secret = b"\x08\x41\0\0" + ADDRESSES + b"\0\0" + b"\0" * 40
    null = b"\x48\1\0\0" + ADDRESSES + b"\0\0"
    found = ours(pcap([(NOON, beacon), (NOON, secret), (NOON, null)], link=105))
    assert found.account.counters == {"wlan_no_data": 2, "wlan_protected": 1}
    lcp = ours(pcap([(NOON, b"\xff\3\xc0\x21" + b"\1\1\0\4")], link=9))
    assert lcp.account.counters == {"ppp_0xc021": 1}


def test_addresses_of_the_radio() -> None:
    row = ours(pcap([(NOON, LINKS["802.11"][1])], link=105)).flows[0]
    assert (row["src_mac"], row["dst_mac"]) == ("02:00:00:00:00:02", "02:00:00:00:00:03")


# ---- checksums


def checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def sound(segment: bytes, protocol: int, at: int, six: bool = False) -> bytes:
    """An IP packet whose checksums are right; `at`: where the transport's stands."""
    packet = ipv6(segment, protocol) if six else ipv4(segment, protocol)
    ends = packet[8:40] if six else packet[12:20]
    pseudo = b"" if protocol == 1 else ends + struct.pack(">II", len(segment), protocol)
    value = struct.pack(">H", checksum(pseudo + segment) or 0xFFFF)
    segment = segment[:at] + value + segment[at + 2 :]
    if six:
        return packet[:40] + segment
    return packet[:10] + struct.pack(">H", checksum(packet[:20])) + packet[12:20] + segment


CHECKED = [
    (tcp(40000, 80, SYN, 1), 6, 16), (tcp(40000, 80, ACK, 1, 1, b"odd"), 6, 16),
    (udp(5000, 6000, b"x" * 41), 17, 6), (b"\x08\0\0\0\0\1\0\1" + b"ping" * 9, 1, 2),
]


def bad(frame: bytes, kind: int) -> int | None:
    value: int | None = ours(pcap([(NOON, ethernet(frame, kind))])).flows[0].get(
        "bad_checksums_out"
    )
    return value


@pytest.mark.parametrize(("segment", "protocol", "at"), CHECKED)
def test_checksums_of_ipv4(segment: bytes, protocol: int, at: int) -> None:
    packet = sound(segment, protocol, at)
    assert bad(packet, 0x0800) is None
    assert bad(packet + b"padding", 0x0800) is None
    assert bad(packet[:10] + b"\1\1" + packet[12:], 0x0800) == 1
    for n in range(20 + 8, len(packet)):
        wrong = packet[:n] + bytes([packet[n] ^ 0x10]) + packet[n + 1 :]
        if protocol != 6 or n >= 34:        # (not the flags, which say whose packet it is)
            assert bad(wrong, 0x0800) == 1, n


@pytest.mark.parametrize(("segment", "protocol", "at"), CHECKED[:3])
def test_checksums_of_ipv6(segment: bytes, protocol: int, at: int) -> None:
    packet = sound(segment, protocol, at, six=True)
    assert bad(packet, 0x86DD) is None
    assert bad(packet[:-1] + bytes([packet[-1] ^ 1]), 0x86DD) == 1


def test_what_was_not_filled_in_or_not_captured_is_not_wrong() -> None:
    head = sound(udp(5000, 6000, b"x" * 400), 17, 6)
    unsaid = head[:26] + b"\0\0" + head[28:]
    assert bad(unsaid, 0x0800) is None
    wrong = head[:-1] + b"?"
    row = ours(pcap([(NOON, ethernet(wrong))], snap=100)).flows[0]
    assert row.get("bad_checksums_out") is None


# ---- packets captured twice


def repeated(*frames: tuple[float, bytes]) -> tuple[Any, Any]:
    row = ours(pcap(list(frames))).flows[0]
    return row["packets_out"], row.get("dup_packets_out")


def numbered(ident: int, ttl: int = 64, tags: tuple[int, ...] = ()) -> bytes:
    packet = ipv4(tcp(40000, 80, ACK, 1, 1, b"data"), 6, ident=ident)
    return ethernet(packet[:8] + bytes([ttl]) + packet[9:], tags=tags)


def test_a_mirror_port_captures_twice() -> None:
    assert repeated((NOON, numbered(7)), (NOON + 0.001, numbered(7))) == (2, 1)
    assert repeated((NOON, numbered(7)), (NOON, numbered(7, 63)), (NOON, numbered(7, 62))) == (3, 2)
    assert repeated((NOON, numbered(7, tags=(5,))), (NOON, numbered(7, tags=(6,)))) == (2, 1)


def test_what_was_sent_twice_is_no_repetition() -> None:
    assert repeated((NOON, numbered(7)), (NOON + 0.3, numbered(7))) == (2, None)
    assert repeated((NOON, numbered(7)), (NOON, numbered(8))) == (2, None)
    assert repeated((NOON, numbered(0)), (NOON, numbered(0))) == (2, None)
    assert repeated((NOON, numbered(0)), (NOON, numbered(0, 63))) == (2, 1)


# ---- breaches


def weird(*frames: bytes) -> list[str]:
    rows = tables(pcap([(NOON + i / 100, frame) for i, frame in enumerate(frames)]))
    return [row["name"] for row in rows.get("network_weird", [])]


def forth(flags: int, seq: int, ack: int = 0, data: bytes = b"") -> bytes:
    return ethernet(ipv4(tcp(40000, 9999, flags, seq, ack, data), 6))


def back(flags: int, seq: int, ack: int = 0, data: bytes = b"") -> bytes:
    return ethernet(ipv4(tcp(9999, 40000, flags, seq, ack, data), 6, SERVER, CLIENT))


OPEN = (forth(SYN, 100), back(SYN | ACK, 900, 101), forth(ACK, 101, 901))


@pytest.mark.parametrize(
    ("frames", "names"),
    [
        (OPEN, []),
        ((forth(SYN, 100, data=b"x"),), ["SYN_with_data"]),
        ((forth(SYN | RST, 100),), ["TCP_christmas"]),
        ((forth(SYN | 0x20, 100),), ["baroque_SYN"]),
        ((forth(SYN | ACK, 100, 5),), ["connection_originator_SYN_ack"]),
        ((forth(SYN, 100), back(SYN | ACK, 900, 5000)), ["bad_SYN_ack"]),
        ((forth(SYN, 100), back(SYN, 100)), ["simultaneous_open"]),
        ((forth(SYN, 100), back(SYN, 900)), ["SYN_seq_jump"]),
        ((forth(SYN, 100), forth(ACK, 101, 901, b"x")),
         ["possible_split_routing", "data_before_established"]),
        ((*OPEN, forth(ACK, 90, 901, b"x")), ["TCP_seq_underflow_or_misorder"]),
        ((*OPEN, forth(ACK, 101, 800)), ["TCP_ack_underflow_or_misorder"]),
        ((*OPEN, back(RST, 901), back(ACK, 901, 101, b"x")), ["data_after_reset"]),
        ((*OPEN, forth(1 | ACK, 101, 901), forth(1 | ACK, 105, 901)), ["FIN_advanced_last_seq"]),
        ((*OPEN, forth(SYN, 500)), ["active_connection_reuse"]),
        ((ethernet(ipv4(struct.pack(">HHHH", 1, 2, 9, 0) + b"abc", 17)),),
         ["UDP_datagram_length_mismatch"]),
        ((ethernet(ipv4(b"\0" * 12, 6)),), ["truncated_header"]),
        ((ethernet(ipv4(b"\0" * 20, 6)),), ["bad_TCP_header_len"]),
        ((ethernet(ipv4(b"", 17, total=400)),), ["truncated_IP_len"]),
    ],
)
def test_breaches_have_zeeks_names(frames: tuple[bytes, ...], names: list[str]) -> None:
    assert weird(*frames) == names


def test_the_same_breach_is_told_once_in_ten_minutes() -> None:
    frame = forth(SYN | 0x20, 100)
    rows = tables(pcap([(NOON + t, frame) for t in (0, 1, 2, 700)]))["network_weird"]
    assert len(rows) == 2


def test_half_open_connections_have_bounds() -> None:
    """As many SYNs as four times the flows that may live: all are rows, none lives on."""
    import io

    from tracelake.native.account import Account
    from tracelake.native.feed import Feed
    from tracelake.parsers.artifact import Artifact
    from tracelake.parsers.pcap import read

    frames = [
        (NOON, ethernet(ipv4(tcp(i & 0xFFFF, 80, SYN, i), 6, f"10.{i >> 16}.0.1")))
        for i in range(1 << 17)
    ]
    account = Account(lambda batch: None)
    rows = 0
    for table, batch in read(
        Artifact("x", Feed(io.BytesIO(pcap(frames))), account), flow_limit=1 << 15
    ):
        if table == "network_activity":
            rows += batch.num_rows
    assert rows == 1 << 17
    assert account.closes
