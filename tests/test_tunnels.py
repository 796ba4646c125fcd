"""Flows inside of tunnels: what carries them, whose they are, how deep one looks."""

import struct
from typing import Any

import pytest

from tests.packets import SYN, ethernet, ipv4, ipv6, pcap, question, tcp, udp
from tests.zeek import Ours, ours
from tests.zeek_compare import tables

NOON = 1_700_000_000.0
A, B = "203.0.113.1", "203.0.113.2"     # the tunnel's ends
INNER = ipv4(tcp(40000, 80, SYN, 1), 6)


def over_udp(port: int, payload: bytes, sport: int = 5555) -> bytes:
    return ethernet(ipv4(udp(sport, port, payload), 17, A, B))


def gre(kind: int, payload: bytes, flags: int = 0, more: bytes = b"") -> bytes:
    return ethernet(ipv4(struct.pack(">HH", flags, kind) + more + payload, 47, A, B))


def vxlan(payload: bytes) -> bytes:
    return b"\x08\0\0\0\0\0\x07\0" + payload


def gtp(payload: bytes, flags: int = 0x30, more: bytes = b"") -> bytes:
    return struct.pack(">BBHI", flags, 255, len(more) + len(payload), 7) + more + payload


TEREDO = ipv6(udp(1, 2, b"x"), 17, "2001::1", "2001::2")

CARRIED = {
    "IP in IP": (ethernet(ipv4(INNER, 4, A, B)), "IP"),
    "6in4": (ethernet(ipv4(ipv6(udp(1, 2, b"x"), 17), 41, A, B)), "IP"),
    "4in6": (ethernet(ipv6(INNER, 4), 0x86DD), "IP"),
    "GRE": (gre(0x0800, INNER), "GRE"),
    "GRE with all of its fields": (gre(0x0800, INNER, 0xB000, b"\0" * 12), "GRE"),
    "GRE with Ethernet": (gre(0x6558, ethernet(INNER)), "GRE"),
    "GRE with MPLS": (gre(0x8847, b"\0\x01\x01\x40" + INNER), "GRE"),
    "ERSPAN I": (gre(0x88BE, ethernet(INNER)), "GRE"),
    "ERSPAN II": (gre(0x88BE, b"\x10" + b"\0" * 7 + ethernet(INNER), 0x1000, b"\0" * 4), "GRE"),
    "ERSPAN III": (gre(0x22EB, b"\x20" + b"\0" * 11 + ethernet(INNER), 0x1000, b"\0" * 4), "GRE"),
    "ERSPAN III, marked": (
        gre(0x22EB, b"\x20" + b"\0" * 10 + b"\1" + b"\0" * 8 + ethernet(INNER), 0x1000, b"\0" * 4),
        "GRE",
    ),
    "PPTP": (
        gre(0x880B, b"\xff\3\0\x21" + INNER, 0x3001, struct.pack(">HHI", 4 + len(INNER), 1, 1)),
        "GRE",
    ),
    "GRE in UDP": (over_udp(4754, b"\0\0\x08\0" + INNER), "GRE"),
    "VXLAN": (over_udp(4789, vxlan(ethernet(INNER))), "VXLAN"),
    "GENEVE": (over_udp(6081, b"\0\0\x65\x58\0\0\1\0" + ethernet(INNER)), "GENEVE"),
    "GENEVE with options": (
        over_udp(6081, b"\2\0\x08\0\0\0\1\0" + b"\1\2\3\1" + b"abcd" + INNER), "GENEVE"
    ),
    "GTP": (over_udp(2152, gtp(INNER)), "GTPv1"),
    "GTP with a number": (over_udp(2152, gtp(INNER, 0x32, b"\0\1\0\0")), "GTPv1"),
    "GTP with extensions": (
        over_udp(2152, gtp(INNER, 0x34, b"\0\0\0\x85\1\x10\0\x40\2" + b"\0" * 6 + b"\0")), "GTPv1"
    ),
    "Teredo": (over_udp(3544, TEREDO), "TEREDO"),
    "Teredo elsewhere": (over_udp(7000, TEREDO), "TEREDO"),
    "Teredo with an origin": (over_udp(3544, b"\0\0" + b"\1" * 6 + TEREDO), "TEREDO"),
    "AYIYA": (
        over_udp(5072, b"\x42\x52\x11\x04" + b"\0" * 4 + b"\0" * 16 + b"\0" * 20 + INNER), "AYIYA"
    ),
}


def packets(found: Ours) -> int:
    """Those of the capture: what is inside of a tunnel is beside."""
    return sum(
        row["packets_out"] + row["packets_in"]
        for row in found.flows
        if row.get("tunnel_depth") is None
    )


@pytest.mark.parametrize("name", CARRIED)
def test_what_is_inside_is_a_flow_with_its_parent(name: str) -> None:
    frame, kind = CARRIED[name]
    data = pcap([(NOON, frame), (NOON + 1, frame)])
    found = ours(data)
    assert found.damage == []
    assert found.account.closes
    assert packets(found) == found.account.in_rows
    inner = [row for row in found.flows if row.get("tunnel_depth") == 1]
    assert [(row["packets_out"], row["src_ip"]) for row in inner] in (
        [(2, "10.0.0.1")], [(2, "2a00::1")], [(2, "2001::1")],
    )
    rows = [
        row for row in tables(data)["remote_access_activity"]
        if row["tunnel_action"] == "Tunnel::DISCOVER"
    ]
    assert [row["tunnel_type"] for row in rows] == [f"Tunnel::{kind}"]
    assert inner[0]["tunnel_parents"] == [rows[0]["conn_uid"]]
    outer = [row for row in found.flows if row.get("tunnel_depth") is None]
    if outer and kind != "GRE":
        assert outer[0]["conn_uid"] == rows[0]["conn_uid"]


def test_a_tunnel_is_opened_and_closed() -> None:
    frame = over_udp(4789, vxlan(ethernet(INNER)))
    rows = tables(pcap([(NOON, frame), (NOON + 300, frame)]))["remote_access_activity"]
    assert [(row["tunnel_action"], row["activity_id"], row["class_uid"]) for row in rows] == [
        ("Tunnel::DISCOVER", 1, 4014), ("Tunnel::CLOSE", 2, 4014),
        ("Tunnel::DISCOVER", 1, 4014), ("Tunnel::CLOSE", 2, 4014),
    ]
    assert len({row["conn_uid"] for row in rows}) == 2


def test_a_pair_of_addresses_is_one_tunnel_until_an_hour_is_over() -> None:
    there = ethernet(ipv4(INNER, 4, A, B))
    back = ethernet(ipv4(ipv4(tcp(80, 40000, 18, 1, 2), 6, "192.0.2.9", "10.0.0.1"), 4, B, A))
    rows = tables(pcap([(NOON, there), (NOON + 1, back), (NOON + 4000, there)]))
    tunnels = rows["remote_access_activity"]
    assert [row["tunnel_action"] for row in tunnels] == [
        "Tunnel::DISCOVER", "Tunnel::EXPIRE", "Tunnel::DISCOVER",
    ]
    assert len({row["conn_uid"] for row in tunnels}) == 1
    flow = rows["network_activity"][0]
    assert (flow["packets_out"], flow["packets_in"], len(flow["tunnel_parents"])) == (1, 1, 1)


def test_one_flow_in_two_tunnels_has_both_parents() -> None:
    back = ipv4(tcp(80, 40000, 18, 1, 2), 6, "192.0.2.9", "10.0.0.1")
    found = ours(pcap([
        (NOON, over_udp(4789, vxlan(ethernet(INNER)), 5001)),
        (NOON, ethernet(ipv4(udp(5002, 4789, vxlan(ethernet(back))), 17, B, A))),
    ]))
    inner = [row for row in found.flows if row.get("tunnel_depth")]
    assert [(row["packets_out"], row["packets_in"]) for row in inner] == [(1, 1)]
    assert len(inner[0]["tunnel_parents"]) == 2


def test_what_is_inside_is_not_what_is_outside() -> None:
    found = ours(pcap([(NOON, ethernet(INNER)), (NOON, gre(0x0800, INNER))]))
    assert sorted(row.get("tunnel_depth") or 0 for row in found.flows) == [0, 1]
    assert found.account.closes
    assert packets(found) == 1
    assert found.account.counters == {"ip_proto_47": 1}


def test_names_asked_for_inside_of_a_tunnel() -> None:
    inner = ethernet(ipv4(udp(5353, 53, question(7, "a.example")), 17))
    found = ours(pcap([(NOON, over_udp(4789, vxlan(inner)))]))
    assert [row["query_hostname"] for row in found.names] == ["a.example"]


@pytest.mark.parametrize("depth", [4, 5, 60])
def test_tunnels_in_tunnels_end_somewhere(depth: int) -> None:
    packet = INNER
    for _ in range(depth):
        packet = ipv4(packet, 4, A, B)
    rows = tables(pcap([(NOON, ethernet(packet))]))
    flows: list[dict[str, Any]] = rows["network_activity"]
    if depth == 4:
        assert [row["tunnel_depth"] for row in flows] == [4]
        assert "network_weird" not in rows
    else:
        assert flows == []
        assert [row["name"] for row in rows["network_weird"]] == [
            "exceeded_tunnel_max_depth_in_tunnel"
        ]


@pytest.mark.parametrize("name", CARRIED)
def test_cut_and_broken_at_every_byte(name: str) -> None:
    frame, _ = CARRIED[name]
    frames = [frame[:n] for n in range(len(frame))]
    frames += [frame[:n] + bytes([frame[n] ^ 0xFF]) + frame[n + 1 :] for n in range(len(frame))]
    found = ours(pcap([(NOON + i, each) for i, each in enumerate(frames)]))
    assert found.account.closes
    assert found.account.records == len(frames)
    assert packets(found) == found.account.in_rows


@pytest.mark.parametrize(
    ("frame", "name"),
    [
        (gre(0x0800, INNER, 2), "unknown_gre_version"),
        (gre(0x0800, INNER, 0x4000), "gre_routing"),
        (gre(0x0800, INNER, 0x0008), "unknown_gre_flags"),
        (gre(0x0800, INNER, 0x0001), "egre_protocol_type"),
        (gre(0x6558, b"\0" * 14), "truncated_GRE"),
        (ethernet(ipv4(ipv6(b"", 59), 4, A, B)), "invalid_inner_IP_version"),
        (ethernet(ipv4(INNER + b"\0", 4, A, B)), "inner_IP_payload_length_mismatch"),
        (over_udp(4789, vxlan(b"")), "vxlan_empty_packet"),
        (over_udp(6081, b"\0\0\x65\x58\0\0\1\0"), "geneve_empty_packet"),
        (over_udp(6081, b"\x40\0\x65\x58\0\0\1\0" + b"x"), "geneve_invalid_version"),
    ],
)
def test_what_breaks_a_tunnels_rules_is_noted(frame: bytes, name: str) -> None:
    rows = tables(pcap([(NOON, frame)]))["network_weird"]
    assert [(row["name"], row["src_ip"]) for row in rows] == [(name, A)]
