"""Our flows and names beside Zeek's own logs of the same captures, difference by difference.

    python -m tests.zeek [part of a capture's path]      # what differs, and why
    python -m tests.zeek --table > tests/zeek_differences.tsv

Rows are matched by their ends (and transaction id) in the order of time. What differs is put
into a class by what the capture itself holds, never by the capture's name; what fits none of
the classes is "unexplained". CLASSES says of each why it is so.
"""

import csv
import io
import json
import struct
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from tests.conftest import SHARED
from tests.packets import walk
from tracelake.native.account import Account
from tracelake.native.feed import Feed
from tracelake.parsers.artifact import Artifact
from tracelake.parsers.pcap import read

CLASSES = {
    "zeek gave up": "Zeek ended with an error (several link types, a cut file) or crashed; its "
    "logs hold what it had seen, or nothing.",
    "link type": "Link types that Zeek does not read: frame relay, PPP with HDLC, Cisco HDLC, PPI.",
    "fragments": "An atomic fragment (RFC 6946) is a packet of its own here, and one of those "
    "with the same identification for Zeek; of what was cut to the snap length Zeek has less.",
    "broken header": "Zeek opens a flow of 0 packets for a TCP header that contradicts itself, and "
    "ends the flow before; here the packet is a damage row and no flow.",
    "clock goes back": "Zeek's clock never goes back: of a capture that is out of order, packets "
    "older than a timeout are each a flow of their own. Here timeouts are measured between a "
    "flow's own packets.",
    "late turn": "The first packet shows that its sender is the responder (a DNS answer, a "
    "SYN-ACK); Zeek 7 turns the flow round and counts that packet for the wrong side (mended in "
    "Zeek 8.1).",
    "zero length": "The IP length is 0 (segmentation offload, jumbograms): Zeek counts 0 bytes, "
    "or drops the packet; here the frame's length counts.",
    "link address": "Addresses in cooked captures that are not of six bytes are no MAC addresses.",
    "time 0": "Zeek takes the time 0 as none, and the next packet's instead.",
    "one address": "Between two ports of one address, Zeek orders the ports of a Community ID by "
    "their bytes swapped; here as the specification says.",
    "window scale": "A scale above 14 (RFC 7323 forbids it) makes Zeek 7 shift a window to 0 and "
    "note a W.",
    "year 2038": "Zeek does not read packets of times beyond 2^31 seconds.",
    "DNS by content": "A question on another port: Zeek knows DNS by its ports only.",
    "not DNS": "Other traffic on a DNS port: opcodes that are no query make Zeek log the pending "
    "transaction more than once.",
    "flags of the answer": "Zeek takes TC from the question, AA and RA only from answers with "
    "records; here they are the answer's.",
    "flags of the question": "Without the question Zeek leaves RD and Z at 0; here they are those "
    "that the answer repeats.",
}


@dataclass(slots=True)
class Facts:
    """What a capture holds that explains a difference; found without the code under test."""

    links: set[int] = field(default_factory=set)
    fragments: set[frozenset[str]] = field(default_factory=set)    # pairs of addresses
    opcodes: set[frozenset[str]] = field(default_factory=set)      # that send other than queries
    zero_length: bool = False
    back: float = 0.0                                               # seconds
    kinds: set[int] = field(default_factory=set)


def facts(data: bytes) -> Facts:
    found = Facts()
    latest = float("-inf")
    for time, link, frame in walk(data):
        found.links.add(link)
        if latest - time > found.back:
            found.back = latest - time
        latest = max(latest, time)
        at, kind = _network(link, frame)
        found.kinds.add(kind)
        packet = frame[at:]
        if kind == 0x0800 and len(packet) >= 20:
            size = (packet[0] & 15) * 4
            pair = frozenset(str(ip_address(packet[o : o + 4])) for o in (12, 16))
            if struct.unpack_from(">H", packet, 2)[0] == 0:
                found.zero_length = True
            if struct.unpack_from(">H", packet, 6)[0] & 0x3FFF:
                found.fragments.add(pair)
            _note_opcode(found, pair, packet[9], packet[size:])
        elif kind == 0x86DD and len(packet) >= 40:
            pair = frozenset(str(ip_address(packet[o : o + 16])) for o in (8, 24))
            following, o = packet[6], 40
            if struct.unpack_from(">H", packet, 4)[0] == 0:
                found.zero_length = True
            while following in (0, 43, 44, 60) and o + 8 <= len(packet):
                if following == 44:
                    found.fragments.add(pair)
                length = 8 if following == 44 else (packet[o + 1] + 1) * 8
                following, o = packet[o], o + length
            _note_opcode(found, pair, following, packet[o:])
    return found


def _network(link: int, frame: bytes) -> tuple[int, int]:
    """Where the network layer begins, and its ethertype."""
    if link == 1 and len(frame) >= 14:
        at, kind = 14, struct.unpack_from(">H", frame, 12)[0]
    elif link == 113 and len(frame) >= 16:
        at, kind = 16, struct.unpack_from(">H", frame, 14)[0]
    elif link in (0, 108):
        at, kind = 4, 0
    elif link in (12, 14, 101, 228, 229):
        at, kind = 0, 0
    else:
        return len(frame), 0
    while kind in (0x8100, 0x88A8, 0x9100) and len(frame) >= at + 4:
        at, kind = at + 4, struct.unpack_from(">H", frame, at + 2)[0]
    if kind == 0 and at < len(frame):
        kind = {4: 0x0800, 6: 0x86DD}.get(frame[at] >> 4, 0)
    return at, kind


def _note_opcode(found: Facts, pair: frozenset[str], protocol: int, segment: bytes) -> None:
    if protocol == 17 and len(segment) >= 20:
        ports = struct.unpack_from(">HH", segment)
        if {53, 137, 5353, 5355} & set(ports) and segment[10] & 0x78:
            found.opcodes.add(pair)


@dataclass(slots=True)
class Ours:
    flows: list[dict[str, Any]]
    names: list[dict[str, Any]]
    damage: list[dict[str, Any]]
    account: Account


def ours(data: bytes) -> Ours:
    """What the parser makes of a capture, rows as dicts (times stay integers)."""
    damage: list[dict[str, Any]] = []
    account = Account(lambda batch: damage.extend(batch.to_pylist()))
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for table, batch in read(Artifact("capture", Feed(io.BytesIO(data)), account)):
        times = batch.column("time").cast("int64") if "time" in batch.schema.names else None
        more = batch.drop_columns([c for c in ("time", "end_time") if c in batch.schema.names])
        for i, row in enumerate(more.to_pylist()):
            row["time"] = None if times is None else times[i].as_py()
            rows[table].append(row)
    account.flush_damage()
    return Ours(rows["network_activity"], rows["dns_activity"], damage, account)


@dataclass(frozen=True, slots=True)
class Difference:
    capture: str
    log: str
    kind: str                       # missing (here), extra (here), differs
    why: str                        # a class
    ends: tuple[Any, ...]
    fields: tuple[tuple[str, Any, Any], ...] = ()


@dataclass(slots=True)
class Result:
    """Zeek's rows of one log over all captures, and what became of them here."""

    rows: int = 0
    equal: int = 0
    differences: list[Difference] = field(default_factory=list)


CONN = (
    ("conn_state", "conn_state"), ("history", "history"),
    ("orig_pkts", "packets_out"), ("resp_pkts", "packets_in"),
    ("orig_ip_bytes", "ip_bytes_out"), ("resp_ip_bytes", "ip_bytes_in"),
    ("missed_bytes", "bytes_missed"), ("community_id", "community_id"),
    ("local_orig", "src_internal"), ("local_resp", "dst_internal"),
    ("orig_l2_addr", "src_mac"), ("resp_l2_addr", "dst_mac"),
    ("vlan", "vlan_id"), ("inner_vlan", "inner_vlan_id"),
)
# Link types that Zeek has no reader for.
UNREAD = {9, 50, 104, 107, 192}
# Zeek logs these only of flows that lasted.
LASTED = (("orig_bytes", "bytes_out"), ("resp_bytes", "bytes_in"))
ENDS = ("id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p")
ADDRESSES = {"orig_l2_addr", "resp_l2_addr"}
COUNTS = {"orig_pkts", "resp_pkts", "orig_ip_bytes", "resp_ip_bytes"}
DNS = (
    ("query", "query_hostname"), ("qtype", "query_type_id"), ("qtype_name", "query_type"),
    ("qclass", "query_class_id"), ("qclass_name", "query_class"), ("rcode", "rcode_id"),
    ("rcode_name", "rcode"), ("answers", "answers"), ("TTLs", "ttls"),
)
FLAGS = (
    ("AA", "aa"), ("TC", "tc"), ("RD", "rd"), ("RA", "ra"), ("Z", "z"), ("rejected", "rejected"),
)


def _log(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _matched(
    theirs: Iterable[dict[str, Any]], own: Iterable[dict[str, Any]], last: tuple[str, str]
) -> Iterator[tuple[tuple[Any, ...], dict[str, Any] | None, dict[str, Any] | None]]:
    a: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    b: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    ends = (*ENDS, last[0])
    for row in theirs:
        a[tuple(row[name] for name in ends)].append(row)
    for row in own:
        b[row["src_ip"], row["src_port"], row["dst_ip"], row["dst_port"], row[last[1]]].append(row)
    for key in sorted(set(a) | set(b), key=str):
        left = sorted(a[key], key=lambda row: row["ts"])
        right = sorted(b[key], key=lambda row: (row["time"] or 0, row["src_offset"]))
        for i in range(max(len(left), len(right))):
            yield key, left[i] if i < len(left) else None, right[i] if i < len(right) else None


def compare_flows(capture: str, status: str, own: Ours, why: Facts, zeek: Path) -> Result:
    result = Result()
    log = _log(zeek)
    for ends, theirs, mine in _matched(log, own.flows, ("proto", "transport")):
        result.rows += theirs is not None
        pair = frozenset((ends[0], ends[2]))
        if theirs is None or mine is None:
            row = theirs or mine or {}
            result.differences.append(
                Difference(
                    capture, "conn", "extra" if theirs is None else "missing",
                    "zeek gave up" if status != "0" else _why_alone(row, own, why, pair),
                    ends,
                )
            )
            continue
        fields = [
            (name, theirs.get(name), mine.get(column))
            for name, column in CONN
            # Link addresses that Zeek does not log (FDDI's) are no difference.
            if theirs.get(name) != mine.get(column)
            and not (theirs.get(name) is None and name in ADDRESSES)
        ]
        if "duration" in theirs:
            fields += [
                (name, theirs[name], mine[column])
                for name, column in LASTED
                if theirs[name] != mine[column]
            ]
            if abs(theirs["duration"] - (mine.get("duration_s") or 0.0)) > 2e-6:
                fields.append(("duration", theirs["duration"], mine.get("duration_s")))
        if not fields:
            result.equal += 1
            continue
        cause = "zeek gave up" if status != "0" else _why_flow(theirs, why, pair, fields, ends)
        result.differences.append(
            Difference(capture, "conn", "differs", cause, ends, tuple(fields))
        )
    return result


def _why_alone(
    row: dict[str, Any], own: Ours, why: Facts, pair: frozenset[str]
) -> str:
    if (row.get("orig_pkts") == 0 and row.get("resp_pkts") == 0) or (
        "ts" in row and why.back <= 5 and any(d["what"].startswith("TCP") for d in own.damage)
        and pair not in why.fragments
    ):
        return "broken header"
    if why.links & UNREAD:
        return "link type"
    if pair in why.fragments:
        return "fragments"
    if why.back > 5:
        return "clock goes back"
    if why.zero_length:
        return "zero length"
    if (row.get("time") or 0) >= 2**31 * 10**6:
        return "year 2038"
    return "unexplained"


def _why_flow(
    theirs: dict[str, Any],
    why: Facts,
    pair: frozenset[str],
    fields: list[tuple[str, Any, Any]],
    ends: tuple[Any, ...],
) -> str:
    names = {name for name, _, _ in fields}
    history = theirs.get("history", "")
    causes = []
    if names & ADDRESSES and why.links & {113, 276}:
        names -= ADDRESSES
        causes.append("link address")
    if "community_id" in names and ends[0] == ends[2]:
        names.discard("community_id")
        causes.append("one address")
    if names and history.startswith(("D^", "^h")) and names <= COUNTS | {"conn_state"}:
        causes.append("late turn")
        names = set()
    if names and pair in why.fragments:
        causes.append("fragments")
        names = set()
    if names and why.zero_length and names <= COUNTS | {"conn_state", "history"}:
        causes.append("zero length")
        names = set()
    if names == {"history"} and "W" in history:
        causes.append("window scale")
        names = set()
    if names and why.back > 5:
        causes.append("clock goes back")
        names = set()
    return "unexplained" if names else " + ".join(causes)


def compare_names(capture: str, status: str, own: Ours, why: Facts, zeek: Path) -> Result:
    result = Result()
    log = _log(zeek)
    # (Names over TCP: tests/zeek_fields/dns.py.)
    udp = [row for row in log if row["proto"] == "udp"]
    names = [row for row in own.names if row["transport"] == "udp"]
    for ends, theirs, mine in _matched(udp, names, ("trans_id", "transaction_id")):
        result.rows += theirs is not None
        pair = frozenset((ends[0], ends[2]))
        if theirs is None or mine is None:
            row = theirs or mine or {}
            if status != "0":
                cause = "zeek gave up"
            elif pair in why.opcodes:
                cause = "not DNS"
            elif not {ends[1], ends[3]} & {53, 137, 5353, 5355}:
                cause = "DNS by content"
            else:
                cause = _why_alone(row, own, why, pair)
            result.differences.append(
                Difference(capture, "dns", "extra" if theirs is None else "missing", cause, ends)
            )
            continue
        fields = []
        for name, column in DNS:
            there, here = theirs.get(name), mine.get(column)
            # Zeek leaves out what it takes from the question alone when it saw none.
            if there is not None and there != here:
                fields.append((name, there, here))
        for name, column in FLAGS:
            here = mine.get(column)
            if theirs[name] != (False if here is None else here):
                fields.append((name, theirs[name], here))
        if "rtt" in theirs and abs(theirs["rtt"] - (mine.get("rtt_s") or 0.0)) > 2e-6:
            fields.append(("rtt", theirs["rtt"], mine.get("rtt_s")))
        if abs(theirs["ts"] - (mine["time"] or 0) / 1e6) > 2e-6:
            fields.append(("ts", theirs["ts"], mine["time"]))
        if not fields:
            result.equal += 1
            continue
        cause = "zeek gave up" if status != "0" else _why_name(theirs, why, pair, fields)
        result.differences.append(Difference(capture, "dns", "differs", cause, ends, tuple(fields)))
    return result


def _why_name(
    theirs: dict[str, Any], why: Facts, pair: frozenset[str], fields: list[tuple[str, Any, Any]]
) -> str:
    names = {name for name, _, _ in fields}
    causes = []
    answered = {n for n, there, here in fields if n in ("AA", "RA", "TC") and here and not there}
    if answered and ("answers" not in theirs or answered == {"TC"}):
        names -= answered
        causes.append("flags of the answer")
    asked = {n for n, there, here in fields if n in ("RD", "Z") and here and not there}
    if asked and "qtype" not in theirs:
        names -= asked
        causes.append("flags of the question")
    if names and pair in why.fragments:
        causes.append("fragments")
        names = set()
    if names and pair in why.opcodes:
        causes.append("not DNS")
        names = set()
    if any(name == "ts" and here == 0 for name, _, here in fields):
        causes.append("time 0")
        names.discard("ts")
    return "unexplained" if names else " + ".join(causes)


def captures(shared: Path) -> list[tuple[str, str]]:
    """(path, Zeek's exit status) of every capture that Zeek was run on."""
    with open(shared / "oracles/zeek-logs/INDEX.tsv", encoding="utf-8") as file:
        return [(r["capture"], r["zeek_exit"]) for r in csv.DictReader(file, delimiter="\t")]


def compare(shared: Path, only: str = "") -> dict[str, Result]:
    """All captures (whose path holds `only`), pooled by log."""
    pooled = {"conn": Result(), "dns": Result()}
    for capture, status in captures(shared):
        if only not in capture:
            continue
        data = (shared / capture).read_bytes()
        own, why = ours(data), facts(data)
        logs = shared / "oracles/zeek-logs" / capture
        for log, result in (
            ("conn", compare_flows(capture, status, own, why, logs / "conn.log")),
            ("dns", compare_names(capture, status, own, why, logs / "dns.log")),
        ):
            pooled[log].rows += result.rows
            pooled[log].equal += result.equal
            pooled[log].differences += result.differences
    return pooled


def table(results: dict[str, Result]) -> list[tuple[str, str, str, str, int]]:
    """(log, capture, kind, class, rows), sorted."""
    counted = Counter(
        (d.log, d.capture, d.kind, d.why) for r in results.values() for d in r.differences
    )
    return sorted((*key, n) for key, n in counted.items())


def main() -> None:
    arguments = sys.argv[1:]
    as_table = "--table" in arguments
    results = compare(SHARED, next((a for a in arguments if not a.startswith("-")), ""))
    if as_table:
        print("log\tcapture\tkind\tclass\trows")
        for line in table(results):
            print(*line, sep="\t")
        return
    for log, result in results.items():
        print(f"{log}: {result.equal} of {result.rows} rows equal")
        for why, n in Counter(d.why for d in result.differences).most_common():
            print(f"  {n:5} {why}")
        for d in result.differences:
            if d.why == "unexplained" or len(arguments):
                print("   ", d.capture, d.kind, d.why, d.ends, d.fields)


if __name__ == "__main__":
    main()
