"""Every capture of the shared data against what independent readers say of it.

- `pcap_counts.tsv`: packets in each file, counted by a plain walker.
- Zeek 7's own conn.log and dns.log: every difference is explained by a class of
  tests/zeek.py, and counted per capture in zeek_differences.tsv.
"""

import csv
from collections import Counter
from pathlib import Path

import pytest

from tests.zeek import CLASSES, Result, compare, ours, table

DIFFERENCES = Path(__file__).parent / "zeek_differences.tsv"

# Where the account holds more records than there are packets: what is broken is one record.
OTHER_COUNTS = {
    # The walker stopped at an impossible length; behind it seven whole packets are found.
    "oracles/suricata-verify/bug-1450-04/tls_DER-incomplete-header.pcap": (6, 14, 1),
    # A last byte that is no packet.
    "pcap/ad-attack/otrf/covenant_dcsync_dcerpc_drsuapi_DsGetNCChanges_2020-08-05020926.cap": (
        377, 378, 1,
    ),
    "pcap/ad-attack/otrf/covenant_sharpsc_stop_dcerpc_smb_svcctl_2020-08-06031938.cap": (
        224, 225, 1,
    ),
}

# NetFlow whose templates are not in the capture: each set is damage, beside its packet.
SETS_WITHOUT_TEMPLATE = {"oracles/ndpi/pcap/netflowv9.pcap": 23}


def test_packets_of_every_capture(shared: Path) -> None:
    with open(shared / "oracles/pcap_counts.tsv", encoding="utf-8") as file:
        expected = {r["path"]: int(r["packets"]) for r in csv.DictReader(file, delimiter="\t")}
    assert len(expected) > 800
    for capture, packets in expected.items():
        data = (shared / capture).read_bytes()
        account = ours(data).account
        assert account.closes, capture
        parts = account.bytes_records + account.bytes_structure + account.bytes_slack
        if capture in OTHER_COUNTS:
            assert (packets, account.records, account.damaged) == OTHER_COUNTS[capture], capture
            assert parts < len(data), capture
        else:
            without = SETS_WITHOUT_TEMPLATE.get(capture, 0)
            assert account.records - without == packets, capture
            assert account.damaged >= without, capture
            assert parts == len(data), capture


@pytest.fixture(scope="module")
def compared(shared: Path) -> dict[str, Result]:
    return compare(shared)


def test_every_difference_to_zeek_is_explained(compared: dict[str, Result]) -> None:
    for result in compared.values():
        for difference in result.differences:
            for cause in difference.why.split(" + "):
                assert cause in CLASSES, difference


def test_the_differences_to_zeek_are_those_that_are_listed(compared: dict[str, Result]) -> None:
    with open(DIFFERENCES, encoding="utf-8") as file:
        listed = {
            (r["log"], r["capture"], r["kind"], r["class"]): int(r["rows"])
            for r in csv.DictReader(file, delimiter="\t")
        }
    found = {(log, capture, kind, why): n for log, capture, kind, why, n in table(compared)}
    assert {k: v for k, v in found.items() if listed.get(k) != v} == {}
    assert set(listed) - set(found) == set(), "better than listed: make the table anew"


def test_most_flows_are_zeek_s_to_the_last_field(compared: dict[str, Result]) -> None:
    conn = compared["conn"]
    by_class = Counter(d.why for d in conn.differences if d.kind != "extra")
    beyond = by_class["tunnel"] + by_class["zeek gave up"]
    assert conn.rows > 6800
    assert conn.equal / (conn.rows - beyond) > 0.94
    # Of the rest, all but the datagrams that are not put together yet differ in one detail.
    details = by_class["fragments"] + by_class["one address"] + by_class["zero length"]
    assert (conn.equal + details) / (conn.rows - beyond) > 0.99


def test_names_are_zeek_s(compared: dict[str, Result]) -> None:
    dns = compared["dns"]
    missing = [d for d in dns.differences if d.kind == "missing"]
    wrong = [
        d for d in dns.differences
        if d.kind == "differs" and not set(d.why.split(" + ")) <= {
            "flags of the answer", "flags of the question",
        }
    ]
    assert dns.rows > 2500
    assert len(missing) / dns.rows < 0.035
    assert len(wrong) / dns.rows < 0.01
