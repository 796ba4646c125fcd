"""Captures: containers, layers, flows and names, on packets made here.

That flows mean what Zeek's mean is shown on real captures in test_pcap_oracles.py; here
stands each rule by itself, and what broken and hostile captures do.
"""

import hashlib
import struct
import time
from base64 import b64encode
from typing import Any

import pytest

from tests.packets import (
    ACK,
    CLIENT,
    FIN,
    PSH,
    RST,
    SERVER,
    SYN,
    Pcapng,
    answer,
    ethernet,
    ipv4,
    ipv6,
    name,
    pcap,
    question,
    tcp,
    udp,
)
from tests.zeek import ours
from tracelake.native.account import Account
from tracelake.native.errors import Corrupt, Truncated
from tracelake.native.feed import Feed
from tracelake.native.sha1 import sha1_base64
from tracelake.parsers import pcap as parser
from tracelake.parsers.artifact import Artifact, Match

NOON = 1_700_000_000
Frames = list[tuple[float, bytes]]


class Bytes:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def readinto(self, buffer: memoryview) -> int:
        n = min(len(buffer), len(self.data) - self.at)
        buffer[:n] = self.data[self.at : self.at + n]
        self.at += n
        return n


def datagram(src: str = CLIENT, dst: str = SERVER, sport: int = 5000, dport: int = 6000,
             data: bytes = b"hello") -> bytes:
    return ethernet(ipv4(udp(sport, dport, data), 17, src, dst))


def forth(flags: int, seq: int, ack: int = 0, data: bytes = b"", port: int = 4321) -> bytes:
    return ethernet(ipv4(tcp(40000, port, flags, seq, ack, data), 6))


def back(flags: int, seq: int, ack: int = 0, data: bytes = b"", port: int = 4321) -> bytes:
    return ethernet(ipv4(tcp(port, 40000, flags, seq, ack, data), 6, SERVER, CLIENT))


def spaced(*frames: bytes, step: float = 0.25, start: float = NOON) -> Frames:
    return [(start + i * step, frame) for i, frame in enumerate(frames)]


def only_flow(frames: Frames) -> dict[str, Any]:
    found = ours(pcap(frames))
    assert found.account.closes
    assert found.account.in_rows == len(frames)
    assert len(found.flows) == 1, found.flows
    return found.flows[0]


HANDSHAKE = (forth(SYN, 100), back(SYN | ACK, 900, 101), forth(ACK, 101, 901))
TALK = (*HANDSHAKE, forth(PSH | ACK, 101, 901, b"abc"), back(PSH | ACK, 901, 104, b"defgh"))


# ---- containers


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("form", ["us", "ns", "modified"])
def test_pcap_of_both_byte_orders_and_resolutions(big: bool, form: str) -> None:
    data = pcap(
        [(NOON + 0.125, datagram())], big=big, nanoseconds=form == "ns",
        modified=form == "modified",
    )
    found = ours(data)
    assert found.flows[0]["time"] == NOON * 10**6 + 125000
    assert found.flows[0]["time_ns"] == 0
    assert found.flows[0]["src_offset"] == 24
    assert found.flows[0]["src_length"] == len(data) - 24
    account = found.account
    assert (account.bytes_structure, account.bytes_records) == (24, len(data) - 24)


def test_nanoseconds_are_kept() -> None:
    frame = datagram()
    data = bytearray(pcap([(NOON, frame)], nanoseconds=True))
    struct.pack_into("<I", data, 28, 123_456_789)
    row = ours(bytes(data)).flows[0]
    assert (row["time"], row["time_ns"]) == (NOON * 10**6 + 123456, 789)


@pytest.mark.parametrize("big", [False, True])
def test_pcapng_interfaces_have_their_own_clock_and_link_type(big: bool) -> None:
    ip = ipv4(udp(7, 8), 17)
    data = (
        Pcapng(big=big).section()
        .interface()                                        # microseconds
        .interface(link=101, resolution=9)
        .interface(link=101, resolution=0x80 | 10)          # 1024ths of a second
        .interface(link=101, resolution=6, offset=3600)
        .interface(link=101, resolution=10)
        .packet(NOON * 10**6 + 5, datagram(sport=1))
        .packet(NOON * 10**9 + 5_007, ip, 1)
        .packet(NOON * 1024 + 512, ip.replace(b"\0\x07", b"\0\x09"), 2)
        .packet(NOON * 10**6, ip.replace(b"\0\x07", b"\0\x0b"), 3)
        .packet(NOON * 10**10 + 10**4, ip.replace(b"\0\x07", b"\0\x0c"), 4)
        .obsolete(NOON * 10**6 + 9, datagram(sport=13))
        .data
    )
    found = ours(data)
    times = {row["src_port"]: (row["time"] - NOON * 10**6, row["time_ns"]) for row in found.flows}
    assert times == {
        1: (5, 0), 7: (5, 7), 9: (500_000, 0), 11: (3_600_000_000, 0), 12: (1, 0), 13: (9, 0),
    }
    assert found.account.closes
    assert found.account.records == 6
    assert found.account.bytes_records + found.account.bytes_structure == len(data)


def test_pcapng_sections_each_describe_their_interfaces() -> None:
    first = Pcapng(big=False).section().interface().packet(NOON * 10**6, datagram())
    second = Pcapng(big=True).section().interface(link=101).packet(
        NOON * 10**6, ipv4(udp(1, 2), 17)
    )
    third = Pcapng().section().packet(NOON * 10**6, datagram())     # interface 0 of nothing
    found = ours(first.data + second.data + third.data)
    assert sorted(row["src_port"] for row in found.flows) == [1, 5000]
    assert [row["why"] for row in found.damage] == ["its interface is not described"]
    assert found.account.closes


def test_simple_packets_have_no_time() -> None:
    frame = datagram()
    found = ours(Pcapng().section().interface(snap=30).simple(frame, 30).interface().data)
    assert found.flows == []
    assert found.damage[0]["why"] == "fewer than 20 bytes were captured"
    row = ours(Pcapng().section().interface().simple(frame).data).flows[0]
    assert row["time"] is None
    assert row["packets_out"] == 1


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"", "has only 0 bytes"),
        (b"PK\x03\x04" + b"\0" * 60, "no magic number"),
        (b"\x0a\x0d\x0d\x0a" + b"\0" * 20, "byte-order magic"),
    ],
)
def test_what_is_no_capture_is_refused_with_a_reason(head: bytes, why: str) -> None:
    sure, reason = parser.match(head, "a/b.pcap")
    assert sure is not Match.CONTENT
    assert why in reason
    with pytest.raises((Truncated, Corrupt)):
        list(parser.read(Artifact("a", Feed(Bytes(head)), Account())))


def test_captures_are_known_by_content() -> None:
    for data in (pcap([]), pcap([], big=True), pcap([], nanoseconds=True), pcap([], modified=True),
                 Pcapng().section().data, Pcapng(big=True).section().data):
        assert parser.match(data, "no/matter") == (Match.CONTENT, "")


def test_an_empty_capture_is_sound() -> None:
    found = ours(pcap([]))
    assert (found.account.records, found.account.bytes_structure) == (0, 24)
    assert found.damage == [] == found.flows


# ---- layers


@pytest.mark.parametrize(
    ("link", "head"),
    [
        (0, b"\2\0\0\0"), (0, b"\0\0\0\2"), (108, b"\0\0\0\2"), (12, b""), (14, b""), (101, b""),
        (228, b""), (113, struct.pack(">HHH8sH", 0, 1, 6, b"\2\0\0\0\0\1", 0x0800)),
        (276, struct.pack(">HHIHBB8s", 0x0800, 0, 1, 1, 0, 6, b"\2\0\0\0\0\1")),
        (1, ethernet(b"")), (1, ethernet(b"", tags=(7,))), (1, ethernet(b"", tags=(7, 9))),
        (10, b"\x50" + ethernet(b"")[:12] + b"\xaa\xaa\3\0\0\0\x08\0"),
        (1, ethernet(b"\x11\0\0\1\0\x30\0\x21", 0x8864)),
        (1, ethernet(b"\xaa\xaa\3\0\0\0\x08\0", 60)),
    ],
)
def test_link_types(link: int, head: bytes) -> None:
    found = ours(pcap([(NOON, head + ipv4(udp(5000, 6000, b"x" * 40), 17))], link=link))
    assert found.damage == []
    row = found.flows[0]
    assert (row["src_ip"], row["dst_port"], row["bytes_out"]) == (CLIENT, 6000, 40)
    tags = (head.count(b"\x81\0\0\7"), head.count(b"\x81\0\0\x09"))
    assert (row.get("vlan_id") == 7, row.get("inner_vlan_id") == 9) == (tags[0] > 0, tags[1] > 0)


def test_addresses_of_the_link_layer() -> None:
    row = only_flow([(NOON, datagram())])
    assert (row["src_mac"], row["dst_mac"]) == ("02:00:00:00:00:01", "02:00:00:00:00:02")


def test_ipv6_with_extension_headers() -> None:
    segment = udp(1, 2, b"abcd")
    hop = bytes([60, 0]) + b"\1\4\0\0\0\0"
    destination = bytes([17, 0]) + b"\1\4\0\0\0\0"
    row = only_flow([(NOON, ethernet(ipv6(hop + destination + segment, 0), 0x86DD))])
    assert (row["src_ip"], row["transport"], row["bytes_out"]) == ("2a00::1", "udp", 4)
    assert row["ip_bytes_out"] == 40 + 16 + 12


def test_what_makes_no_flow_is_counted_by_kind() -> None:
    frames = [
        ethernet(b"\0" * 28, 0x0806), ethernet(b"\0" * 40, 0x88CC), ethernet(b"\x42\x42\3" * 9, 27),
        ethernet(ipv4(b"\0" * 30, 47)), ethernet(ipv4(b"", 89)),
    ]
    found = ours(pcap(spaced(*frames)))
    assert found.account.counters == {
        "arp": 1, "ethertype_0x88cc": 1, "llc": 1, "ip_proto_47": 1, "ip_proto_89": 1,
    }
    assert found.account.closes
    assert ours(pcap([(NOON, b"x" * 60)], link=147)).account.counters == {"linktype_147": 1}
    assert ours(pcap([(NOON, b"\0\0\0\7" * 9)], link=0)).account.counters == {"address_family_7": 1}


@pytest.mark.parametrize(
    ("frame", "what"),
    [
        (b"short", "Ethernet header"),
        (ethernet(b"\0\1", tags=())[:12] + b"\x81\0\0", "VLAN tag"),
        (ethernet(ipv4(b"", 17)[:19]), "IPv4 header"),
        (ethernet(b"\x55" + ipv4(b"", 17)[1:]), "IP header"),
        (ethernet(ipv4(udp(1, 2), 17, total=400)), "IPv4 header"),
        (ethernet(b"\x44" + ipv4(udp(1, 2), 17)[1:]), "IPv4 header"),
        (ethernet(b"\x4f" + ipv4(udp(1, 2), 17)[1:]), "IPv4 header"),
        (ethernet(ipv4(b"\0" * 7, 17)), "UDP header"),
        (ethernet(ipv4(b"\0" * 7, 1)), "ICMP header"),
        (ethernet(ipv4(b"\0" * 19, 6)), "TCP header"),
        (ethernet(ipv4(b"\0" * 20, 6)), "TCP header"),
        (ethernet(ipv4(b"\0" * 12 + b"\xf0" + b"\0" * 7, 6)), "TCP options"),
        (ethernet(ipv6(b"", 17)[:39], 0x86DD), "IPv6 header"),
        (ethernet(ipv6(b"\x11\xff" + b"\0" * 6, 0), 0x86DD), "IPv6 extension header"),
    ],
)
def test_a_broken_header_is_a_damage_row(frame: bytes, what: str) -> None:
    found = ours(pcap([(NOON, frame), (NOON, datagram())]))
    assert [(row["what"], row["src_offset"]) for row in found.damage] == [(what, 24)]
    assert len(found.flows) == 1
    assert found.account.closes


def test_packets_cut_by_the_snap_length() -> None:
    # Headers are whole: the flow is counted by what was on the wire.
    row = only_flow_snapped(60)
    assert (row["bytes_out"], row["ip_bytes_out"]) == (500, 528)
    found = ours(pcap([(NOON, datagram(data=b"x" * 500))], snap=40))
    assert found.damage[0]["why"] == "fewer than 8 bytes were captured"


def only_flow_snapped(snap: int) -> dict[str, Any]:
    found = ours(pcap([(NOON, datagram(data=b"x" * 500))], snap=snap))
    assert found.damage == []
    return found.flows[0]


def test_fragments_are_one_packet_of_their_flow() -> None:
    whole = udp(5000, 6000, b"x" * 100)
    frames = [
        ethernet(ipv4(whole[:64], 17, ident=7, fragment=0x2000)),
        ethernet(ipv4(whole[64:], 17, ident=7, fragment=8)),
        ethernet(ipv4(whole[64:], 17, ident=8, fragment=8)),        # of another datagram
    ]
    found = ours(pcap(spaced(*frames)))
    assert found.account.counters == {"ip_fragment": 1, "ip_fragment_joined": 1}
    row = found.flows[0]
    assert (row["packets_out"], row["bytes_out"], row["ip_bytes_out"]) == (1, 100, 128)
    assert found.account.closes


# ---- flows


@pytest.mark.parametrize(
    ("state", "history", "frames"),
    [
        ("S0", "S", [forth(SYN, 100)]),
        ("S1", "ShA", HANDSHAKE),
        ("S1", "ShADd", TALK),
        ("SF", "ShAFf", [*HANDSHAKE, forth(FIN | ACK, 101, 901), back(FIN | ACK, 901, 102)]),
        ("S2", "ShAF", [*HANDSHAKE, forth(FIN | ACK, 101, 901)]),
        ("S3", "ShAf", [*HANDSHAKE, back(FIN | ACK, 901, 101)]),
        ("REJ", "Sr", [forth(SYN, 100), back(RST | ACK, 0, 101)]),
        ("RSTO", "ShAR", [*HANDSHAKE, forth(RST, 101)]),
        ("RSTR", "ShAr", [*HANDSHAKE, back(RST, 901)]),
        ("RSTOS0", "SR", [forth(SYN, 100), forth(RST, 101)]),
        ("SH", "SF", [forth(SYN, 100), forth(FIN, 101)]),
        ("SHR", "^hf", [back(SYN | ACK, 900, 101, port=80), back(FIN | ACK, 901, 101, port=80)]),
        ("RSTRH", "^hr", [back(SYN | ACK, 900, 101, port=80), back(RST, 901, port=80)]),
        ("OTH", "Dd", [forth(ACK, 5, 9, b"abc"), back(ACK, 9, 8, b"d")]),
        ("SH", "Q", [forth(SYN | FIN, 5)]),
        ("OTH", "I", [forth(FIN | RST, 5)]),
    ],
)
def test_states_and_histories(state: str, history: str, frames: tuple[bytes, ...]) -> None:
    row = only_flow(spaced(*frames))
    assert (row["conn_state"], row["history"]) == (state, history)
    assert (row["src_ip"], row["src_port"]) == (CLIENT, 40000)


def test_bytes_and_packets_of_both_sides() -> None:
    row = only_flow(spaced(*TALK))
    assert (row["bytes_out"], row["bytes_in"]) == (3, 5)
    assert (row["packets_out"], row["packets_in"]) == (3, 2)
    assert (row["ip_bytes_out"], row["ip_bytes_in"]) == (123, 85)
    assert (row["duration_s"], row["bytes_missed"]) == (1.0, 0)


def test_a_hole_that_is_acknowledged_is_missed() -> None:
    row = only_flow(
        spaced(*HANDSHAKE, forth(ACK, 101, 901, b"abc"), forth(ACK, 204, 901, b"xyz"),
               back(ACK, 901, 207))
    )
    assert (row["bytes_missed"], row["bytes_out"], row["history"]) == (100, 106, "ShADaG")


def test_a_hole_that_is_filled_is_not_missed() -> None:
    row = only_flow(
        spaced(*HANDSHAKE, forth(ACK, 104, 901, b"def"), forth(ACK, 101, 901, b"abc"),
               back(ACK, 901, 107))
    )
    assert (row["bytes_missed"], row["bytes_out"], row["history"]) == (0, 6, "ShADTa")


def test_sequence_numbers_wrap() -> None:
    start = 2**32 - 2
    row = only_flow(
        spaced(
            forth(SYN, start), back(SYN | ACK, 900, start + 1), forth(ACK, start + 1, 901),
            forth(ACK, start + 1, 901, b"x" * 10), back(ACK, 901, start + 11),
            forth(FIN | ACK, start + 11, 901), back(FIN | ACK, 901, start + 12),
        )
    )
    assert (row["bytes_out"], row["conn_state"], row["bytes_missed"]) == (10, "SF", 0)


def test_who_answers_from_a_server_s_port_was_asked() -> None:
    frames = [ethernet(ipv4(tcp(80, 40000, ACK, 9, 5, b"page"), 6, SERVER, CLIENT))]
    row = only_flow(spaced(*frames))
    assert (row["src_ip"], row["dst_port"], row["history"]) == (CLIENT, 80, "^d")
    assert (row["packets_out"], row["packets_in"], row["bytes_in"]) == (0, 1, 4)


def test_a_syn_ack_and_then_data_turn_the_flow_round() -> None:
    row = only_flow(spaced(back(SYN | ACK, 900, 101), forth(ACK, 101, 901)))
    assert (row["src_ip"], row["history"]) == (CLIENT, "^hA")
    assert (row["packets_out"], row["packets_in"]) == (1, 1)


@pytest.mark.parametrize(
    ("gap", "flows", "frames"),
    [
        (59.0, 1, [datagram(), datagram()]),
        (61.0, 2, [datagram(), datagram()]),
        (4.0, 1, [forth(SYN, 100), forth(SYN, 100)]),
        (6.0, 2, [forth(SYN, 100), forth(SYN, 100)]),
        (299.0, 1, [*HANDSHAKE, forth(ACK, 101, 901, b"a")]),
        (301.0, 2, [*HANDSHAKE, forth(ACK, 101, 901, b"a")]),
    ],
)
def test_timeouts_run_on_packet_time(gap: float, flows: int, frames: list[bytes]) -> None:
    times = [NOON + 0.001 * i for i in range(len(frames) - 1)]
    found = ours(pcap([*zip(times, frames, strict=False), (times[-1] + gap, frames[-1])]))
    assert len(found.flows) == flows
    assert found.account.closes


def test_interactive_connections_may_be_silent_for_an_hour() -> None:
    frames = [forth(SYN, 1, port=22), back(SYN | ACK, 9, 2, port=22), forth(ACK, 2, 10, port=22)]
    found = ours(pcap([*spaced(*frames), (NOON + 3000, forth(ACK, 2, 10, b"l", port=22))]))
    assert len(found.flows) == 1


def test_a_syn_after_the_close_begins_a_new_connection() -> None:
    done = [*HANDSHAKE, forth(FIN | ACK, 101, 901), back(FIN | ACK, 901, 102),
            forth(ACK, 102, 902), forth(SYN, 7000)]
    found = ours(pcap(spaced(*done, step=0.01)))
    assert [row["conn_state"] for row in found.flows] == ["SF", "S0"]


def test_a_clock_that_goes_back_does_not_tear_flows() -> None:
    found = ours(pcap([(NOON + 900, datagram(sport=9)), *spaced(*TALK)]))
    assert sorted(row["packets_out"] for row in found.flows) == [1, 3]


def test_icmp_pairs_are_one_flow() -> None:
    echo = bytes([8, 0]) + b"\0" * 6 + b"ping"
    reply = bytes([0, 0]) + b"\0" * 6 + b"ping"
    row = only_flow(
        spaced(ethernet(ipv4(echo, 1)), ethernet(ipv4(reply, 1, SERVER, CLIENT)))
    )
    assert (row["transport"], row["src_port"], row["dst_port"]) == ("icmp", 8, 0)
    assert (row["bytes_out"], row["bytes_in"], row["conn_state"]) == (4, 4, "OTH")
    assert (row["icmp_type"], row.get("icmp_code")) == (8, None)


def test_icmp_without_a_counterpart_is_one_way() -> None:
    gone = bytes([3, 1]) + b"\0" * 6
    found = ours(pcap(spaced(ethernet(ipv4(gone, 1)), ethernet(ipv4(gone, 1, SERVER, CLIENT)))))
    assert [(r["icmp_type"], r["icmp_code"], r["packets_out"]) for r in found.flows] == [
        (3, 1, 1), (3, 1, 1),
    ]


@pytest.mark.parametrize(
    ("src", "sport", "dst", "dport", "expected"),
    [   # https://github.com/corelight/community-id-spec, baseline
        ("128.232.110.120", 34855, "66.35.250.204", 80, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
        ("66.35.250.204", 80, "128.232.110.120", 34855, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
    ],
)
def test_community_id(src: str, sport: int, dst: str, dport: int, expected: str) -> None:
    row = only_flow([(NOON, ethernet(ipv4(tcp(sport, dport, ACK, 1), 6, src, dst)))])
    assert row["community_id"] == expected


def test_sha1_of_one_block() -> None:
    for n in range(56):
        message = bytes(range(n))
        assert sha1_base64(message) == b64encode(hashlib.sha1(message).digest()).decode()
    with pytest.raises(ValueError, match="56"):
        sha1_base64(b"x" * 56)


def test_rows_are_the_same_on_every_run() -> None:
    data = pcap(spaced(*TALK, datagram(), question_frame(question(1, "a.example"))))
    assert ours(data).flows == ours(data).flows
    assert len({row["conn_uid"] for row in ours(data).flows}) == 3


# ---- names


def question_frame(message: bytes, src: str = CLIENT, dst: str = SERVER, sport: int = 50000,
                   dport: int = 53) -> bytes:
    return datagram(src, dst, sport, dport, message)


def answer_frame(message: bytes, dport: int = 50000) -> bytes:
    return datagram(SERVER, CLIENT, 53, dport, message)


def test_question_and_answer_are_one_row() -> None:
    found = ours(pcap(spaced(
        question_frame(question(77, "WWW.Example.com")),
        answer_frame(answer(
            77, "www.example.com", (5, 60, name("a.b.example")), (1, 30, b"\1\2\3\4"),
        )),
    )))
    assert len(found.names) == 1
    row = found.names[0]
    assert (row["query_hostname"], row["query_type"], row["query_class"]) == (
        "www.example.com", "A", "C_INTERNET",
    )
    assert row["answers"] == ["a.b.example", "1.2.3.4"]
    assert row["ttls"] == [60, 30]
    assert (row["rcode"], row["transaction_id"], row["rtt_s"]) == ("NOERROR", 77, 0.25)
    assert (row["rd"], row["ra"], row["aa"], row["tc"], row["rejected"]) == (
        True, True, False, False, False,
    )
    assert (row["activity_id"], row["status_id"], row["src_offset"]) == (6, 1, 24)
    assert row["conn_uid"] == found.flows[0]["conn_uid"]
    assert found.flows[0]["app_protocol"] == "dns"


def test_questions_without_answers_and_answers_without_questions() -> None:
    found = ours(pcap(spaced(
        question_frame(question(1, "lost.example")),
        answer_frame(answer(2, "found.example", (1, 5, b"\7\7\7\7"))),
    )))
    rows = {row["transaction_id"]: row for row in found.names}
    assert rows[1]["activity_id"] == 1
    assert rows[1].get("rcode") is None
    assert rows[2]["activity_id"] == 2
    assert rows[2]["answers"] == ["7.7.7.7"]
    assert (rows[2]["query_hostname"], rows[2].get("rtt_s")) == ("found.example", None)


def test_equal_ids_are_paired_in_order() -> None:
    found = ours(pcap(spaced(
        question_frame(question(5, "a.example")), question_frame(question(5, "b.example")),
        answer_frame(answer(5, "a.example", (1, 1, b"\0\0\0\1"))),
        answer_frame(answer(5, "b.example", (1, 1, b"\0\0\0\2"))),
    )))
    assert [(r["query_hostname"], r["answers"]) for r in found.names] == [
        ("a.example", ["0.0.0.1"]), ("b.example", ["0.0.0.2"]),
    ]


@pytest.mark.parametrize(
    ("kind", "data", "text"),
    [
        (1, b"\x0a\0\0\1", "10.0.0.1"),
        (28, bytes(15) + b"\1", "::1"),
        (2, name("ns.example"), "ns.example"),
        (12, name("ptr.example"), "ptr.example"),
        (15, b"\0\x0a" + name("mx.example"), "mx.example"),
        (6, name("m.example") + name("r.example") + bytes(20), "m.example"),
        (33, b"\0\1\0\2\0\3" + name("srv.example"), "srv.example"),
        (16, b"\3abc\2de", "TXT 3 abc TXT 2 de"),
        (16, b"\2\x01\xff", "TXT 2 \\x01\\xff"),
        (99, b"\1s", "SPF 1 s"),
        (46, b"\0\1" + bytes(16) + name("signer.example"), "RRSIG 1 signer.example"),
        (46, b"\0\1" + bytes(16) + b"\0", "RRSIG 1 <Root>"),
        (48, b"\1\0\3\x08key", "DNSKEY 8"),
        (43, b"\0\1\x08\2hash", "DS 8 2"),
        (47, name("next.example"), "NSEC q.example next.example"),
        (44, b"\1\1\xab\xcd", "SSHFP: abcd"),
        (29, b"\0\x12\x16\x13" + bytes(12), "LOC:  18 22 19"),
        (777, b"zz", "<unknown type=777>"),
        (41, b"", None),
        (257, b"\0\5issueca", None),
    ],
)
def test_answers_as_dns_log_writes_them(kind: int, data: bytes, text: str | None) -> None:
    found = ours(pcap(spaced(
        question_frame(question(1, "q.example", kind)),
        answer_frame(answer(1, "q.example", (kind, 9, data), kind=kind)),
    )))
    row = found.names[0]
    assert row["answers"] == ([] if text is None else [text])
    assert row.get("parse_flags") is None


def test_refused_and_absent_names() -> None:
    found = ours(pcap(spaced(
        question_frame(question(1, "no.example")),
        answer_frame(answer(1, "no.example", flags=0x8583)),
    )))
    row = found.names[0]
    assert (row["rcode"], row["rcode_id"], row["status_id"], row["rejected"], row["aa"]) == (
        "NXDOMAIN", 3, 2, True, True,
    )


def test_bytes_in_names_can_be_recovered() -> None:
    message = struct.pack(">HHHHHH", 1, 0, 1, 0, 0, 0) + b"\4\xff\x00aB\1x\0" + b"\0\x0a\0\1"
    umlaut = struct.pack(">HHHHHH", 2, 0, 1, 0, 0, 0) + b"\3a\xc3\xa4\0" + b"\0\x01\0\1"
    found = ours(pcap(spaced(question_frame(message), question_frame(umlaut))))
    rows = {row["transaction_id"]: row["query_hostname"] for row in found.names}
    assert rows == {1: "\\xff\\x00ab.x", 2: "aä"}


def test_netbios_names() -> None:
    def encoded(text: bytes) -> bytes:
        raw = text.ljust(15) + b"\0"
        return b"\x20" + b"".join(bytes([65 + (c >> 4), 65 + (c & 15)]) for c in raw) + b"\0"

    message = struct.pack(">HHHHHH", 1, 0x110, 1, 0, 0, 0) + encoded(b"HOST7") + b"\0\x20\0\1"
    row = ours(pcap([(NOON, question_frame(message, sport=137, dport=137))])).names[0]
    assert (row["query_hostname"], row["query_type"]) == ("HOST7", "NIMLOC")


def test_multicast_answers_name_their_owner() -> None:
    message = struct.pack(">HHHHHH", 0, 0x8400, 0, 1, 0, 0) + name("Printer.local")
    message += struct.pack(">HHIH", 1, 1, 120, 4) + b"\x0a\0\0\7"
    row = ours(pcap([(NOON, datagram(CLIENT, "224.0.0.251", 5353, 5353, message))])).names[0]
    assert (row["query_hostname"], row["answers"], row["aa"]) == (
        "printer.local", ["10.0.0.7"], True,
    )
    assert row["src_ip"] == CLIENT


def test_dns_is_known_by_its_content() -> None:
    found = ours(pcap(spaced(
        question_frame(question(3, "tunnel.example", 16), dport=4444),
        datagram(
            SERVER, CLIENT, 4444, 50000, answer(3, "tunnel.example", (16, 0, b"\2hi"), kind=16)
        ),
    )))
    assert found.names[0]["answers"] == ["TXT 2 hi"]
    assert found.flows[0]["app_protocol"] == "dns"


@pytest.mark.parametrize(
    "message",
    [
        b"hello, this is no DNS message", bytes(40), b"\xff" * 40, question(1, "a.example")[:-1],
        question(1, "a.example") + b"x", question(1, "a b.example"), question(1, ""),
        question(1, "a.example", 60000), question(1, "a.example", flags=0x8100),
    ],
)
def test_other_datagrams_are_no_dns(message: bytes) -> None:
    found = ours(pcap([(NOON, question_frame(message, dport=4444))]))
    assert found.names == []
    assert found.flows[0].get("app_protocol") is None


@pytest.mark.parametrize(
    "tail",
    [
        b"\xc0\x0c\0\1\0\1",                    # points at itself
        b"\xc0\x50\0\1\0\1",                    # forward
        b"\xff\xff\0\1\0\1",                    # beyond the message
        b"\x3fshort", b"\x40", b"\xc0", b"", b"\1",
        b"\1a" * 300 + b"\0\0\1\0\1",           # longer than a name may be
    ],
)
def test_broken_names_end(tail: bytes) -> None:
    message = struct.pack(">HHHHHH", 9, 0, 1, 0, 0, 0) + tail
    found = ours(pcap([(NOON, question_frame(message))]))
    assert len(found.names) == 1
    assert found.names[0]["parse_flags"] == 1
    assert found.account.closes


def test_pointer_chains_are_not_followed_without_end() -> None:
    # Every pointer leads to the one before it: the worst that a message can hold.
    chain = b"\1a\0" + b"".join(
        struct.pack(">H", 0xC000 | (12 if i == 0 else 15 + 2 * (i - 1))) for i in range(8000)
    )
    last = struct.pack(">H", 0xC000 | (15 + 2 * 7999))
    records = (last + struct.pack(">HHIH", 5, 1, 1, 2) + last) * 3000
    message = struct.pack(">HHHHHH", 9, 0x8000, 0, 3000, 0, 0)
    began = time.process_time()
    found = ours(pcap(spaced(*[answer_frame(message + chain + records)] * 20)))
    assert time.process_time() - began < 1
    assert {row["parse_flags"] for row in found.names} == {1}


# ---- broken and hostile captures


def test_a_packet_that_claims_four_gibibytes() -> None:
    good = pcap(spaced(*(datagram(sport=1000 + i) for i in range(5))))
    bad = struct.pack("<IIII", NOON, 0, 0xFFFFFFFF, 0xFFFFFFFF)
    found = ours(good + bad + b"rubbish" * 30 + good[24:])
    assert [(row["src_offset"], row["src_length"]) for row in found.damage] == [
        (len(good), len(bad) + 210),
    ]
    assert found.damage[0]["why"] == "the captured length is impossible"
    assert sum(row["packets_out"] for row in found.flows) == 10
    account = found.account
    assert account.closes
    assert account.records == 11
    unexplained = 2 * len(good) - 24 + 226 - account.bytes_records - account.bytes_structure
    assert unexplained == 226
    assert ours(good + bad).account.damaged == 1


def test_a_length_beyond_the_end_that_no_snap_length_allows() -> None:
    good = pcap(spaced(*(datagram(sport=1000 + i) for i in range(3))), snap=200)
    bad = struct.pack("<IIII", NOON, 0, 90000, 90000)
    found = ours(good + bad + good[24:])
    assert sum(row["packets_out"] for row in found.flows) == 6
    assert [row["why"] for row in found.damage] == ["the captured length is more than is left"]


@pytest.mark.parametrize("length", [0, 4, 11, 13, 30, 2**32 - 4, 64, 1 << 25])
def test_pcapng_blocks_of_impossible_length(length: int) -> None:
    whole = Pcapng().section().interface().packet(NOON * 10**6, datagram(sport=1))
    bad = struct.pack("<II", 6, length) + b"\xee" * 40
    rest = Pcapng().packet(NOON * 10**6, datagram(sport=2)).packet(NOON * 10**6, datagram(sport=3))
    found = ours(whole.data + bad + rest.data)
    assert sorted(row["src_port"] for row in found.flows) == [1, 2, 3]
    assert [(r["src_offset"], r["src_length"]) for r in found.damage] == [(len(whole.data), 48)]
    assert found.account.closes


def test_pcapng_packet_longer_than_its_block() -> None:
    capture = Pcapng().section().interface()
    capture.block(6, struct.pack("<IIIII", 0, 0, 0, 5000, 5000) + b"x" * 40)
    capture.block(6, b"\0" * 8)
    capture.packet(NOON * 10**6, datagram())
    found = ours(capture.data)
    assert [row["why"] for row in found.damage] == [
        "the captured length is more than the block's", "it is too short for its head",
    ]
    assert len(found.flows) == 1
    assert found.account.closes


@pytest.mark.parametrize("capture", ["pcap", "pcapng"])
def test_cut_at_every_byte(capture: str) -> None:
    frames = spaced(*TALK, question_frame(question(1, "a.example")), datagram())
    if capture == "pcap":
        data = pcap(frames)
    else:
        blocks = Pcapng(big=True).section().interface()
        for when, frame in frames:
            blocks.packet(int(when * 10**6), frame)
        data = blocks.data
    whole = ours(data).account.in_rows
    before = 0
    for at in range(24 if capture == "pcap" else 28, len(data)):
        account = ours(data[:at]).account
        assert account.closes, at
        assert account.damaged <= 1, at
        assert before <= account.in_rows <= whole, at
        before = account.in_rows
        parts = account.bytes_records + account.bytes_structure
        assert parts <= at


def test_flows_beyond_the_limit_are_written_out_and_marked() -> None:
    frames = spaced(*(datagram(sport=1000 + i) for i in range(200)), step=0.001)
    account = Account()
    rows = [
        row
        for _, batch in parser.read(Artifact("x", Feed(Bytes(pcap(frames))), account), 50)
        for row in batch.to_pylist()
    ]
    assert len(rows) == 200
    assert account.closes
    evicted = [row for row in rows if row["history"] == "DX"]
    assert len(evicted) == 150 == sum(1 for row in rows if row.get("parse_flags") == 1)
    assert {row["src_port"] for row in evicted} == set(range(1000, 1150)), "the oldest go first"


def test_half_open_connections_cost_a_bounded_time_and_memory() -> None:
    count = 60_000
    frame = bytearray(forth(SYN, 100))
    parts = [pcap([])]
    for i in range(count):
        struct.pack_into(">I", frame, 26, i * 2654435761 & 0xFFFFFFFF)
        parts.append(struct.pack("<IIII", NOON, 0, len(frame), len(frame)) + bytes(frame))
    account = Account()
    began = time.process_time()
    rows = sum(
        batch.num_rows
        for _, batch in parser.read(Artifact("x", Feed(Bytes(b"".join(parts))), account), 4096)
    )
    assert rows == count
    assert account.closes
    assert time.process_time() - began < 2


def test_holes_beyond_number_give_the_stream_up() -> None:
    frames = [*HANDSHAKE, back(ACK, 901, 102)]
    frames += [forth(ACK, 200 + 3 * i, 901, b"x") for i in range(5000)]
    row = only_flow(spaced(*frames, step=0.0001))
    assert row["packets_out"] == 5002


def test_unanswered_questions_are_bounded() -> None:
    frames = [question_frame(question(i % 65536, f"n{i}.example")) for i in range(3000)]
    found = ours(pcap(spaced(*frames, step=0.0001)))
    assert len(found.names) == 3000
    assert {row["query_hostname"] for row in found.names} == {f"n{i}.example" for i in range(3000)}


def test_a_stream_that_breaks_keeps_what_came_before() -> None:
    class Broken(Bytes):
        def readinto(self, buffer: memoryview) -> int:
            n = super().readinto(buffer)
            if n == 0:
                raise Truncated("gzip member", 99, "ends in the middle")
            return n

    data = pcap(spaced(*TALK))
    account = Account()
    rows = parser.read(Artifact("x", Feed(Broken(data)), account))
    assert next(rows)[1].num_rows == 1
    with pytest.raises(Truncated, match="gzip member"):
        next(rows)
    assert account.in_rows == 5
    assert account.closes


def test_small_windows_read_the_same() -> None:
    data = pcap(spaced(*TALK, datagram(data=b"x" * 900), question_frame(question(1, "a.example"))))

    def rows(window: int) -> list[Any]:
        account = Account()
        feed = Feed(Bytes(data), window)
        return [b.to_pylist() for _, b in parser.read(Artifact("x", feed, account))]

    assert rows(64) == rows(1 << 20)


def test_time_zero_and_the_last_second() -> None:
    found = ours(pcap([(0, datagram(sport=1)), (2**32 - 1, datagram(sport=2))]))
    assert [row["time"] for row in found.flows] == [0, (2**32 - 1) * 10**6]
