"""Datagrams in pieces: put together, or counted as what they are; bounded whoever sends them."""

import itertools
import struct

import pytest

from tests.packets import SYN, ethernet, ipv4, ipv6, pcap, question, tcp, udp
from tests.zeek import ours
from tests.zeek_compare import tables

NOON = 1_700_000_000.0
WHOLE = udp(5000, 6000, bytes(range(200)) * 2)
MORE = 0x2000


def pieces(cuts: list[int], ident: int = 7, whole: bytes = WHOLE) -> list[bytes]:
    """IPv4 fragments, cut at these bytes (of eight each)."""
    ends = [*cuts, len(whole)]
    return [
        ethernet(ipv4(whole[a:b], 17, ident=ident,
                      fragment=a // 8 | (MORE if b < len(whole) else 0)))
        for a, b in zip([0, *cuts], ends, strict=True)
    ]


def pieces6(cuts: list[int], whole: bytes = WHOLE) -> list[bytes]:
    ends = [*cuts, len(whole)]
    return [
        ethernet(
            ipv6(struct.pack(">BBHI", 17, 0, a | (b < len(whole)), 9) + whole[a:b], 44), 0x86DD
        )
        for a, b in zip([0, *cuts], ends, strict=True)
    ]


@pytest.mark.parametrize("make", [pieces, pieces6])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_datagram_is_one_packet_in_any_order(make: object, order: tuple[int, ...]) -> None:
    frames = make([96, 240])  # type: ignore[operator]
    found = ours(pcap([(NOON + i, frames[k]) for i, k in enumerate(order)]))
    assert found.account.counters == {"ip_fragment_joined": 2}
    assert found.account.closes
    row = found.flows[0]
    assert (row["packets_out"], row["bytes_out"]) == (1, 400)
    assert row["ip_bytes_out"] == len(WHOLE) + (20 if make is pieces else 40)


def test_what_it_says_is_read() -> None:
    whole = udp(5353, 53, question(7, "a-name-that-is-long-enough-for-two.example"))
    found = ours(pcap([(NOON, each) for each in reversed(pieces([40], whole=whole))]))
    assert [r["query_hostname"] for r in found.names] == [
        "a-name-that-is-long-enough-for-two.example"
    ]


@pytest.mark.parametrize(
    ("second", "name"), [(WHOLE[80:160], "fragment_overlap"),
                         (b"?" * 80, "fragment_inconsistency")],
)
def test_the_first_counts_where_two_overlap(second: bytes, name: str) -> None:
    frames = [
        ethernet(ipv4(WHOLE[:96], 17, ident=7, fragment=MORE)),
        ethernet(ipv4(second, 17, ident=7, fragment=80 // 8 | MORE)),
        ethernet(ipv4(WHOLE[160:], 17, ident=7, fragment=160 // 8)),
    ]
    rows = tables(pcap([(NOON, frame) for frame in frames]))
    assert [row["name"] for row in rows["network_weird"]] == [name]
    assert rows["network_activity"][0]["bytes_out"] == 400


def test_oddities_of_fragments_are_noted() -> None:
    frames = [
        ethernet(ipv4(WHOLE[:8], 17, ident=7, fragment=MORE | 0x4000)),
        ethernet(ipv4(b"x" * 80, 6, ident=7, fragment=1 | MORE)),
        ethernet(ipv4(b"x" * 8, 17, ident=7, fragment=4)),
    ]
    rows = tables(pcap([(NOON, frame) for frame in frames]))["network_weird"]
    assert [row["name"] for row in rows] == [
        "fragment_with_DF", "excessively_small_fragment", "fragment_protocol_inconsistency",
        "fragment_overlap", "fragment_size_inconsistency", "UDP_datagram_length_mismatch",
    ]


def test_what_is_missing_is_counted() -> None:
    found = ours(pcap([(NOON, each) for each in pieces([96, 240])[:2]]))
    assert found.account.counters == {"ip_fragment": 2}
    assert (found.flows, found.account.closes) == ([], True)


def test_two_minutes_are_enough() -> None:
    first, second = pieces([96])
    found = ours(pcap([(NOON, first), (NOON + 130, second)]))
    assert found.account.counters == {"ip_fragment": 2}
    again = ours(pcap([(NOON, first), (NOON + 130, second), (NOON + 131, first)]))
    assert again.account.counters == {"ip_fragment": 1, "ip_fragment_joined": 1}


def test_an_atomic_fragment_is_whole() -> None:
    frame = ethernet(ipv6(struct.pack(">BBHI", 17, 0, 0, 9) + WHOLE, 44), 0x86DD)
    assert ours(pcap([(NOON, frame)])).flows[0]["bytes_out"] == 400


def test_of_what_was_cut_the_first_is_read() -> None:
    found = ours(pcap([(NOON, each) for each in pieces([96, 240])], snap=70))
    assert found.account.counters == {"ip_fragment": 2}
    assert found.flows[0]["packets_out"] == 1
    assert found.account.closes


@pytest.mark.parametrize("make", [pieces, pieces6])
def test_cut_and_broken_at_every_byte(make: object) -> None:
    first, second = make([96])  # type: ignore[operator]
    frames = []
    for n in range(len(first)):
        frames += [first[:n], second, first[:n] + bytes([first[n] ^ 0xFF]) + first[n + 1 :]]
    found = ours(pcap([(NOON + i, each) for i, each in enumerate(frames)]))
    assert found.account.closes
    assert found.account.records == len(frames)


def test_a_flood_of_fragments_has_bounds() -> None:
    """20,000 datagrams of which none is whole: at most 8,192 wait; all are accounted for."""
    data = b"x" * 1400
    frames = [
        (NOON, ethernet(ipv4(data, 17, f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}", ident=i & 0xFFFF,
                             fragment=MORE)))
        for i in range(20000)
    ]
    found = ours(pcap(frames))
    counters = found.account.counters
    assert counters["ip_fragment_dropped"] >= 20000 - 12000
    assert sum(counters.values()) == 20000
    assert found.account.closes


def test_a_datagram_of_a_thousand_pieces_is_none() -> None:
    whole = udp(1, 2, b"y" * 60000)
    frames = pieces(list(range(8, 60000, 8)), whole=whole)
    found = ours(pcap([(NOON, each) for each in frames]))
    assert found.account.closes
    assert found.flows == []


def test_no_datagram_is_longer_than_64_kib() -> None:
    frames = [
        ethernet(ipv4(b"z" * 800, 17, ident=3, fragment=0x1FFF)),
        ethernet(ipv4(b"z" * 800, 17, ident=3, fragment=0x1FF0 | MORE)),
    ]
    found = ours(pcap([(NOON, each) for each in frames]))
    assert found.account.counters == {"ip_fragment": 2}


def test_fragments_of_a_tunnel_and_in_a_tunnel() -> None:
    inner = ethernet(ipv4(tcp(40000, 80, SYN, 1), 6))
    outer = udp(5555, 4789, b"\x08\0\0\0\0\0\x07\0" + inner)
    found = ours(pcap([(NOON, each) for each in pieces([32], whole=outer)]))
    assert sorted(row.get("tunnel_depth") or 0 for row in found.flows) == [0, 1]
    assert found.account.closes
    carried = [
        (NOON, ethernet(ipv4(each[14:], 4, "203.0.113.1", "203.0.113.2")))
        for each in pieces([96, 240])
    ]
    found = ours(pcap(carried))
    assert found.account.counters == {"ip_proto_4": 3}
    assert [(row["tunnel_depth"], row["packets_out"]) for row in found.flows] == [(1, 1)]
    assert found.account.closes
