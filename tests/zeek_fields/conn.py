"""conn.log. (tests/zeek.py compares the same flow by flow and says why each that differs does.)"""

from tests.zeek_fields.log import Key, Log, Row

COUNTS = {"orig_pkts", "resp_pkts", "orig_ip_bytes", "resp_ip_bytes", "conn_state"}


class Services(frozenset[str]):
    """A set that is equal to its members with commas between them, in any order."""

    def __eq__(self, other: object) -> bool:
        return (isinstance(other, str) and self == frozenset(other.split(","))) or (
            frozenset.__eq__(self, other) is True
        )

    __hash__ = frozenset.__hash__


def _services(row: Row) -> Services | None:
    text = row.get("app_protocol")
    return Services(text.split(",")) if text else None


def _zeek_key(row: Row) -> Key:
    return (
        row["id.orig_h"], row["id.orig_p"], row["id.resp_h"], row["id.resp_p"], row["proto"],
        "tunnel_parents" in row,
    )


def _own_key(row: Row) -> Key:
    return (
        row["src_ip"], row["src_port"], row["dst_ip"], row["dst_port"], row["transport"],
        row.get("tunnel_depth") is not None,
    )


class As(int):
    """A number of names: Zeek's are others, but as many."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and len(other) == int(self)

    __hash__ = int.__hash__


def _parents(row: Row) -> As | None:
    return As(len(row["tunnel_parents"])) if row.get("tunnel_parents") else None


def _intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if theirs is None or own is None:
        row = theirs or own or {}
        if theirs is not None and not row.get("orig_pkts") and not row.get("resp_pkts"):
            return "a header that contradicts itself is damage, and no flow of 0 packets"
        return None
    if name in COUNTS and theirs.get("history", "").startswith(("D^", "^h")):
        return "Zeek 7 counts the packet that turns a flow round for the wrong side"
    if name == "tunnel_parents" and len(own.get(name) or ()) > len(theirs.get(name) or ()) > 0:
        return "Zeek no longer looks after a flow has changed its tunnel several times"
    if name == "community_id" and theirs["id.orig_h"] == theirs["id.resp_h"]:
        return "between two ports of one address: ordered as the specification says"
    if name == "service" and "quic" in (own.get("app_protocol") or ""):
        return "QUIC: Zeek was built without it"
    if name in ("orig_l2_addr", "resp_l2_addr") and own.get(
        "src_mac" if name == "orig_l2_addr" else "dst_mac"
    ) is None:
        return "addresses of cooked captures that are not of six bytes"
    return None


LOG = Log(
    name="conn",
    table="network_activity",
    where=lambda row: row.get("log_provider") is None,
    zeek_key=_zeek_key,
    own_key=_own_key,
    fields={
        "ip_proto": "protocol_num",
        "service": _services,
        "duration": "duration_s",
        "orig_bytes": "bytes_out", "resp_bytes": "bytes_in",
        "conn_state": "conn_state", "history": "history",
        "orig_pkts": "packets_out", "resp_pkts": "packets_in",
        "orig_ip_bytes": "ip_bytes_out", "resp_ip_bytes": "ip_bytes_in",
        "missed_bytes": "bytes_missed", "community_id": "community_id",
        "local_orig": "src_internal", "local_resp": "dst_internal",
        "orig_l2_addr": "src_mac", "resp_l2_addr": "dst_mac",
        "vlan": "vlan_id", "inner_vlan": "inner_vlan_id",
        "tunnel_parents": _parents,
    },
    loose={
        "ip_proto": "Zeek has it from 7.1 on", "duration": "of flows that did not last, Zeek logs "
        "neither it nor bytes", "orig_bytes": "the same", "resp_bytes": "the same",
        "orig_l2_addr": "FDDI's, which Zeek does not log", "resp_l2_addr": "the same",
    },
    intended=_intended,
)
