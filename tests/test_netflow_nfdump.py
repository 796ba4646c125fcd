"""Flows against nfdump: the same messages, and nfdump's own files, by two programs."""

import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import netflow_build
from tests.netflow_build import BZ2, LZ4, LZO, NOT_PACKED
from tests.winart_case import Found, read
from tracelake.parsers import netflow, nfcapd

DATA = Path(__file__).parent / "data" / "flows"
BUILT: dict[str, Callable[[], bytes]] = {
    "router9": netflow_build.router_9, "router10": netflow_build.router_10,
    "asa": netflow_build.firewall_9,
}  # fmt: skip
NAMES = ("router9", "router10", "asa", "soft5", "soft9", "soft10", "softbi")
FLAGS = "CWEUAPRSF"


def told(name: str) -> list[dict[str, Any]]:
    """What nfdump says."""
    packed = (DATA / f"{name}.json.xz").read_bytes()
    found: list[dict[str, Any]] = json.loads(lzma.decompress(packed))
    return found


def clock(value: Any) -> str | None:
    return None if value is None else value.isoformat(timespec="milliseconds").split("+")[0]


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row in nfdump's words, as far as both say the same."""
    rest = dict(row["unmapped"] or ())
    icmp = row["icmp_type"] is not None
    event = "firewallEvent" in rest
    said = {
        "first": rest.get("flowStartMilliseconds", "")[:23] if event else clock(row["time"]),
        # The end of a flow that a firewall tells of is the event, for us.
        "last": None if event else clock(row["end_time"]), "proto": row["protocol_num"],
        "in_packets": row["packets_out"], "in_bytes": row["bytes_out"],
        # The columns of ports hold type and code of ICMP.
        "src_port": None if icmp else row["src_port"],
        "dst_port": None if icmp else row["dst_port"],
        "src4_addr" if row["ip_version"] == 4 else "src6_addr": row["src_ip"],
        "dst4_addr" if row["ip_version"] == 4 else "dst6_addr": row["dst_ip"],
        "icmp_type": row["icmp_type"], "icmp_code": row["icmp_code"],
        "src_as": row["src_asn"], "dst_as": row["dst_asn"],
        "input_snmp": row["src_interface"], "output_snmp": row["dst_interface"],
        "src_vlan": row["vlan_id"], "in_src_mac": row["src_mac"], "in_dst_mac": row["dst_mac"],
        "src4_xlt_ip": row["src_nat_ip"], "dst4_xlt_ip": row["dst_nat_ip"],
        "src_xlt_port": row["src_nat_port"], "dst_xlt_port": row["dst_nat_port"],
        "user_name": row["user_name"], "out_packets": row["packets_in"],
        "out_bytes": row["bytes_in"],
        "tcp_flags": None if row["tcp_flags"] is None else "".join(
            letter if row["tcp_flags"] >> 8 - i & 1 else "." for i, letter in enumerate(FLAGS))[1:],
    }  # fmt: skip
    names = {
        "ipClassOfService": "src_tos", "postIpClassOfService": "dst_tos",
        "flowDirection": "direction",
        "sourceIPv4PrefixLength": "src_mask", "destinationIPv4PrefixLength": "dst_mask",
        "sourceIPv6PrefixLength": "src_mask", "destinationIPv6PrefixLength": "dst_mask",
        "forwardingStatus": "fwd_status", "postVlanId": "dst_vlan",
        "postPacketDeltaCount": "out_packets", "postOctetDeltaCount": "out_bytes",
        "bgpNextHopIPv4Address": "bgp4_next_hop", "ipNextHopIPv4Address": "ip4_next_hop",
        "bgpNextHopIPv6Address": "bgp6_next_hop", "ipNextHopIPv6Address": "ip6_next_hop",
        "postDestinationMacAddress": "out_dst_mac", "postSourceMacAddress": "out_src_mac",
        "mplsTopLabelStackSection": "mpls_1", "mplsLabelStackSection2": "mpls_2",
        "flowId": "connect_id", "NF_F_CONN_ID": "connect_id", "firewallEvent": "event_id",
        "NF_F_FW_EXT_EVENT": "xevent_id", "bgpNextAdjacentAsNumber": "next_as",
        "bgpPrevAdjacentAsNumber": "prev_as", "deltaFlowCount": "aggr_flows",
    }  # fmt: skip
    said |= {names[name]: value for name, value in rest.items() if name in names}
    if event:
        said["t_event"] = clock(row["time"])
    for name in ("mpls_1", "mpls_2"):
        if name in said:
            said[name] = said[name].replace(" exp=", "-").replace(" bottom=", "-")
    return {name: str(value) for name, value in said.items() if value not in (None, "")}


def same(name: str, found: Found, leave_out: set[str], last: int | None = None) -> None:
    rows = found.rows("network_activity")[:last]
    expected = told(name)
    assert not found.damage
    assert len(rows) == len(expected) > 0
    for row, other in zip(rows, expected, strict=True):
        ours = plain(row)
        theirs = {key: str(value) for key, value in other.items()}
        for key, value in ours.items():
            if key in leave_out:
                continue
            # What is zero is not shown, or shown as it would be otherwise.
            if key not in theirs and value in ("0", "0.0.0.0", "::", "00:00:00:00:00:00"):
                continue
            if key == "tcp_flags" and row["protocol_num"] != 6:
                continue
            assert theirs.get(key) == value, (key, row, other)
        nothing = ("0", "", "0.0.0.0", "::", "<empty>")
        shown = {key for key, value in theirs.items() if value not in nothing}
        compared = {*ours, *leave_out, *ONLY_NFDUMP}
        assert shown <= compared, (shown - compared, row)


# Said by the file and not by a flow's fields, or the same in other words.
ONLY_NFDUMP = {
    "type", "sampled", "export_sysid", "received", "ip4_router", "label", "src_net", "dst_net",
    "aggr_flows", "event", "tcp_flags", "last", *(f"mpls_{i}" for i in range(3, 11)), "ingress_acl",
    "egress_acl", "xevent_id",
}  # fmt: skip
NOT_READ_BY_NFDUMP = {
    # nfdump 1.7.1 takes flows that seem to be later than their export for 49 days older.
    "soft5": {"first", "last"},
    # It reads this field of IPFIX where it has four bytes only.
    "router10": {"fwd_status"},
    "soft9": {"first", "last", "icmp_type", "icmp_code"},
    # It exchanges both times where they are told by systemInitTimeMilliseconds.
    "soft10": {"first", "last", "icmp_type", "icmp_code"},
    # Of both directions it keeps the other one's type of service.
    "softbi": {"first", "last", "icmp_type", "icmp_code", "src_tos"},
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_nfdump(name: str) -> None:
    found = read(nfcapd.PARSER, (DATA / f"{name}.nfcapd").read_bytes())
    same(name, found, set())
    assert {row["device_ip"] for row in found.rows("network_activity")} == {"127.0.0.1"}
    told_of = {row["event_code"] for row in found.rows("raw_event")}
    assert {"exporter", "exporter_statistics", "ident"} <= told_of


@pytest.mark.parametrize("name", NAMES)
def test_the_messages_that_nfdump_made_it_of(name: str) -> None:
    messages = BUILT[name]() if name in BUILT else (DATA / f"{name}.messages").read_bytes()
    found = read(netflow.PARSER, messages)
    same(name, found, NOT_READ_BY_NFDUMP.get(name, set()))
    assert found.unexplained == 0


@pytest.mark.parametrize("packing", [NOT_PACKED, LZO, BZ2, LZ4])
def test_a_file_of_layout_1(packing: int) -> None:
    found = read(nfcapd.PARSER, netflow_build.router_1(packing))
    # The last flow is of the record's first version, which nfdump 1.7 passes by in silence. Of the
    # forwarding status it says nothing where the record has no masks.
    same("router1", found, {"fwd_status"}, -1)
    old = found.rows("network_activity")[-1]
    assert (old["src_ip"], old["dst_port"], old["transport"]) == ("10.0.0.1", 53, "tcp")
    assert {row["device_ip"] for row in found.rows("network_activity")} == {"192.0.2.250"}
