"""weird.log: breaches of the rules of the layers below the application, by name and ends."""

from tests.zeek_fields.log import Key, Log, Row
from tracelake.parsers.protocols.sheet import ONCE_A_DAY

# Who notices them (Zeek's `source`); those without a source are the ones named here.
LAYERS = {
    "IP", "ETHERNET", "IPTUNNEL", "GRE", "VXLAN", "GENEVE", "TEREDO", "AYIYA", "GTPV1", "TCP",
    "UDP", "ICMP", "VLAN", "VNTAG", "MPLS", "PPPOE", "PPP", "NFLOG", "IEEE802_11",
    "IEEE802_11_RADIO",
}
NAMES = {
    "fragment_with_DF", "fragment_inconsistency", "fragment_overlap", "fragment_size_inconsistency",
    "fragment_protocol_inconsistency", "excessively_small_fragment", "excessively_large_fragment",
    "possible_split_routing", "window_recision", "SYN_inside_connection", "SYN_seq_jump",
    "routing0_hdr", "empty_pcap_header",
}


def _is_ours(name: str, source: str | None) -> bool:
    return source in LAYERS if source else name in NAMES


def _zeek_key(row: Row) -> Key:
    ends = tuple(row.get(f"id.{name}") for name in ("orig_h", "orig_p", "resp_h", "resp_p"))
    return row["name"], *ends


def _own_key(row: Row) -> Key:
    return row["name"], *(row.get(n) for n in ("src_ip", "src_port", "dst_ip", "dst_port"))


def _intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if theirs is None and own is not None and own["name"] in ONCE_A_DAY:
        return "once for two hosts a day here, once for an originator there"
    return None


LOG = Log(
    name="weird",
    table="network_weird",
    where=lambda row: _is_ours(row["name"], row.get("analyzer")),
    theirs=lambda row: _is_ours(row["name"], row.get("source")),
    zeek_key=_zeek_key,
    own_key=_own_key,
    intended=_intended,
    fields={"name": "name", "source": "analyzer", "addl": "additional"},
)
