"""Files of nfdump: what stands where, what is said of exporters, what is broken.

Against nfdump itself: test_netflow_nfdump.py."""

import struct
from typing import Any

import pytest

from tests.netflow_build import (
    BZ2,
    LZ4,
    LZO,
    NOT_PACKED,
    PACKERS,
    SECONDS,
    block,
    element,
    ends,
    exporter,
    extension_map,
    flow_1,
    flow_2,
    generic,
    little,
    nfcapd_1,
    nfcapd_2,
    record,
)  # fmt: skip
from tests.winart_case import Found, read
from tracelake.native.errors import Truncated, Unsupported
from tracelake.parsers import nfcapd
from tracelake.parsers.artifact import Match

MISC = struct.pack("<IIBBBBBBH", 11, 12, 48, 64, 1, 4, 0, 3, 0)


def flows(data: bytes) -> list[dict[str, Any]]:
    found = read(nfcapd.PARSER, data)
    assert (found.damage, found.stopped, found.unexplained) == ([], None, 0)
    return found.rows("network_activity")


def one(*elements: bytes, **kept: Any) -> dict[str, Any]:
    (row,) = flows(nfcapd_2(block(flow_2(*elements, **kept))))
    return row


def rest(row: dict[str, Any]) -> dict[str, str]:
    return dict(row["unmapped"] or ())


@pytest.mark.parametrize("packing", PACKERS)
def test_layout_2(packing: int) -> None:
    records = (exporter(), flow_2(generic(), ends(), element(4, MISC)), flow_2(generic(), ends()))
    data = nfcapd_2(block(*records, packing=packing), block(records[1], packing=packing),
                    packing=packing)
    first, second, third = flows(data)
    told = {name: value for name, value in first.items() if value is not None}
    assert told.pop("time").timestamp() == SECONDS
    assert told.pop("end_time").timestamp() == SECONDS + 2.5
    assert told.pop("community_id").startswith("1:")
    size = len(block(*records, packing=packing))
    place = (told.pop("src_offset"), told.pop("src_length"), told.pop("sub"))
    assert place == ((84, 96, 0) if packing == NOT_PACKED else (40, size, 0))
    assert third["src_offset"] == 40 + size + (12 if packing == NOT_PACKED else 0)
    for name in ("record_hash", "engagement_id", "source_id", "parser_version", "mapping_version"):
        told.pop(name)
    assert told == {
        "time_ns": 0, "class_uid": 4001, "category_uid": 4, "type_uid": 400106, "activity_id": 6,
        "log_provider": "NetFlow v9", "device_ip": "192.0.2.250", "sensor_id": "77",
        "artifact_no": 0, "parser": "nfcapd", "src_ip": "10.0.0.1", "src_port": 40000,
        "dst_ip": "192.0.2.2", "dst_port": 443, "transport": "tcp", "protocol_num": 6,
        "ip_version": 4, "duration_s": 2.5, "bytes_out": 1000, "ip_bytes_out": 1000,
        "packets_out": 10, "tcp_flags": 0x1B, "src_internal": True, "dst_internal": True,
        "direction_id": 3, "src_interface": "11", "dst_interface": "12", "src_record_id": 1,
        "unmapped": [
            ("sourceIPv4PrefixLength", "48"), ("destinationIPv4PrefixLength", "64"),
            ("flowDirection", "1"), ("postIpClassOfService", "4"), ("flowEndReason", "3"),
        ],
    }  # fmt: skip
    assert [row["src_record_id"] for row in (second, third)] == [2, 3]
    # Rows of one packed block are told apart by `sub`.
    assert second["sub"] == (0 if packing == NOT_PACKED else 1)
    assert third["sub"] == 0


def test_ipv6_has_prefixes_of_its_own() -> None:
    ping = generic(protocol=58, ports=(0, 0x8000))
    row = one(ping, ends("fe80::1", "2001:db8::2"), element(4, MISC))
    assert (row["src_ip"], row["dst_ip"], row["ip_version"]) == ("fe80::1", "2001:db8::2", 6)
    assert (row["icmp_type"], row["icmp_code"]) == (128, 0)
    assert rest(row)["sourceIPv6PrefixLength"] == "48"


def test_a_flow_of_both_directions() -> None:
    counts = element(5, struct.pack("<QQQ", 2, 30, 4000))
    alone = one(generic(), ends(), element(4, MISC), counts)
    assert (alone["bytes_in"], rest(alone)["postOctetDeltaCount"]) == (None, "4000")
    both = one(generic(), ends(), element(4, MISC[:12] + b"\1" + MISC[13:]), counts)
    assert (both["packets_in"], both["bytes_in"], both["ip_bytes_in"]) == (30, 4000, 4000)
    assert rest(both)["biflowDirection"] == "1"


def test_events_and_translated_addresses() -> None:
    row = one(
        generic(first=SECONDS * 1000 - 9000, last=0), ends(),
        element(19, struct.pack("<QIHBB", SECONDS * 1000, 7, 2030, 2, 0)),
        element(20, little("198.51.100.1") + little("198.51.100.2")),
        element(22, struct.pack("<HH", 3333, 4444)),
        element(23, struct.pack("<6I", 0x0A1B2C3D, 1, 2, 0, 0, 0)),
        element(24, b"alice".ljust(66, b"\0") + b"\0\0"),
    )
    assert (row["time"].timestamp(), row["time_desc"]) == (SECONDS, "observed")
    assert row["activity_id"] == 2
    assert (row["end_time"].timestamp(), row["duration_s"]) == (SECONDS, 9)
    assert (row["src_nat_ip"], row["dst_nat_ip"]) == ("198.51.100.1", "198.51.100.2")
    assert (row["src_nat_port"], row["dst_nat_port"], row["user_name"]) == (3333, 4444, "alice")
    assert rest(row)["NF_F_INGRESS_ACL_ID"] == "0x0a1b2c3d0000000100000002"
    assert "NF_F_EGRESS_ACL_ID" not in rest(row)
    row = one(generic(), ends(), element(25, struct.pack("<QIII BBH", 1000, 3, 4, 5, 4, 0, 0)))
    assert rest(row) | {"egressVRFID": "3", "ingressVRFID": "4", "natPoolId": "5"} == rest(row)
    assert (row["activity_id"], row["time"].timestamp()) == (1, 1)


def test_elements_of_any_length_and_unknown_ones() -> None:
    row = one(
        generic(), ends(), element(28, b"a l\xffbel\0\0"), element(29, b"GET /"),
        element(27, b"\x0d\0\0\x50"), element(60, b"\1\2"),
        element(14, struct.pack("<10I", 17, *[0] * 9)),
        element(15, struct.pack("<QQQQ", 0xAABBCCDDEEFF, 0, 0x112233445566, 0)),
    )
    assert rest(row) == {
        "label": "a l\ufffdbel", "inPayload": "0x474554202f", "applicationId": "0x0d000050",
        "element": "0x0102", "mplsTopLabelStackSection": "1 exp=0 bottom=1",
    }  # fmt: skip
    assert (row["src_mac"], row["dst_mac"]) == ("aa:bb:cc:dd:ee:ff", "11:22:33:44:55:66")
    assert row["parse_flags"] == 128


def test_what_is_said_of_exporters() -> None:
    names = struct.pack("<HHI8s", 1, 12, 5, b"Gi0/1")
    applications = struct.pack(
        "<HHHHH4s7s5s", 1, 6 + 16, 4, 7, 5, b"\x0d\0\0\x50", b"youtube", b"Video")
    data = nfcapd_2(block(
        exporter(3, "2001:db8::9", 10, 99), record(8, struct.pack("<IIIQQ", 1, 3, 8, 100, 2000)),
        record(15, struct.pack("<HHqII", 3, 1, -1, 1, 99)), record(13, names),
        record(12, applications), record(0x8001, b"border\0"), record(0x8002, bytes(136)),
        flow_2(generic(), ends(), element(27, b"\x0d\0\0\x50"), exporter=3, version=10),
    ))  # fmt: skip
    found = read(nfcapd.PARSER, data)
    assert (found.damage, found.unexplained) == ([], 0)
    rows = found.rows("raw_event")
    assert [(row["event_code"], rest(row)) for row in rows] == [
        ("exporter", {"version": "10", "family": "10", "sysId": "3", "id": "99",
                      "exporterIPv6Address": "2001:db8::9"}),
        ("exporter_statistics", {"sysId": "3", "sequenceFailures": "8", "packets": "100",
                                 "flows": "2000"}),
        ("sampler", {"sysId": "3", "selectorAlgorithm": "1", "selectorId": "-1",
                     "samplingPacketInterval": "1", "samplingPacketSpace": "99"}),
        ("interface", {"ingressInterface": "5", "interfaceName": "Gi0/1"}),
        ("application", {"applicationId": "0x0d000050", "applicationName": "youtube",
                         "applicationDescription": "Video"}),
        ("ident", {"ident": "border"}),
    ]  # fmt: skip
    assert found.account.counters == {"file_statistics": 1}
    (row,) = found.rows("network_activity")
    assert (row["device_ip"], row["log_provider"]) == ("2001:db8::9", "IPFIX")
    assert row["sensor_id"] == "99"
    assert row["app_protocol"] == "youtube"


def test_layout_1_needs_its_maps() -> None:
    kept = struct.pack("<HHBB", 1, 2, 9, 9)
    records = (
        flow_1(3), extension_map(3, 4), flow_1(3, kept), extension_map(3), flow_1(3),
        extension_map(4, 63), flow_1(4), flow_1(3)[:-1],
    )
    found = read(nfcapd.PARSER, nfcapd_1(block(*records, kind=2)))
    assert [row["src_interface"] for row in found.rows("network_activity")] == ["1", None]
    assert [each["why"] for each in found.damage] == [
        "its extension map is not known",
        "an extension map with an extension that is not known",
        "its extension map is not known", "its size is impossible",
    ]


@pytest.mark.parametrize(
    ("records", "why", "rows"),
    [
        ([struct.pack("<HH", 11, 3) + bytes(8)], "its size is impossible", 1),
        ([struct.pack("<HH", 11, 60000) + bytes(8)], "its size is impossible", 1),
        ([record(11, b"\1\0\0\0")], "a flow record without a head", 2),
        ([record(11, struct.pack("<HIH", 9, 0, 0) + generic())],
         "it ends before its last element", 2),
        ([flow_2(generic(), element(2, b"")[:2] + b"\3\0")],
         "one of its elements is impossible", 2),
        ([flow_2(generic(), ends(), ends())], "one of its elements is impossible", 2),
        ([flow_2(generic(), ends(), element(64, b"x"))], "one of its elements is impossible", 2),
        ([record(99, b"abcd")], "a kind of record that is not known", 2),
        ([record(7, b"abcd")], "a kind of record that is not known", 2),
    ],
)  # fmt: skip
@pytest.mark.parametrize("packing", [NOT_PACKED, LZ4])
def test_records_that_are_broken(records: list[bytes], why: str, rows: int, packing: int) -> None:
    good = flow_2(generic(), ends())
    data = nfcapd_2(block(good, *records, good, packing=packing), packing=packing)
    found = read(nfcapd.PARSER, data)
    assert [each["why"] for each in found.damage] == [why]
    assert len(found.rows("network_activity")) == rows
    # What stands in a packed block cannot be read again at its place: it is kept.
    assert (found.damage[0].get("raw") is None) == (packing == NOT_PACKED)


def two_blocks(first: bytes, packing: int) -> Found:
    """A block that is broken, and a good one behind it."""
    good = block(flow_2(generic(), ends()), packing=packing)
    return read(nfcapd.PARSER, nfcapd_2(first, good, packing=packing))


@pytest.mark.parametrize("packing", sorted(PACKERS.keys() - {NOT_PACKED}))
def test_a_block_that_cannot_be_unpacked(packing: int) -> None:
    body = b"\xff\xfe\xfd" * 50
    found = two_blocks(struct.pack("<IIHH", 1, len(body), 3, 0) + body, packing)
    assert [(each["why"], each["src_offset"], each["src_length"]) for each in found.damage] == [
        ("it cannot be unpacked", 40, 162)]
    assert len(found.rows("network_activity")) == 1


@pytest.mark.parametrize("packing", sorted(PACKERS.keys() - {NOT_PACKED, LZO, LZ4}))
def test_a_block_that_would_be_too_large(packing: int) -> None:
    """34 MiB of zeros in a few bytes."""
    body = PACKERS[packing](bytes(34 << 20))
    found = two_blocks(struct.pack("<IIHH", 1, len(body), 3, 0) + body, packing)
    assert [each["why"] for each in found.damage] == ["it cannot be unpacked"]
    assert len(found.rows("network_activity")) == 1


def test_a_block_that_is_not_packed_in_a_file_that_is() -> None:
    data = nfcapd_2(block(flow_2(generic(), ends()), flags=1), packing=LZO)
    assert len(flows(data)) == 1


def test_other_blocks() -> None:
    good = block(flow_2(generic(), ends()))
    blocks = (block(b"abcd", kind=4), good, block(b"abcd", kind=1), good)
    found = read(nfcapd.PARSER, nfcapd_2(*blocks))
    assert [each["why"] for each in found.damage] == ["nfdump 1.5 wrote it, which is not read"]
    assert len(found.rows("network_activity")) == 2
    found = read(nfcapd.PARSER, nfcapd_2(good, b"\xff" * 12 + good, good))
    assert [each["why"] for each in found.damage] == ["its size or its kind is impossible"]
    assert len(found.rows("network_activity")) == 1


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\x0c\xa5", Truncated), (nfcapd_2()[:39], Truncated), (nfcapd_1()[:200], Truncated),
        (b"\x0c\xa5\3\0" + bytes(300), Unsupported), (nfcapd_2(encryption=1), Unsupported),
        (b"\xa5\x0c\0\1" + bytes(300), Unsupported),
        (nfcapd_2()[:16] + b"\x09\0" + bytes(30), Unsupported),
    ],
)  # fmt: skip
def test_files_that_are_not_read(data: bytes, error: type[Exception]) -> None:
    assert isinstance(read(nfcapd.PARSER, data).stopped, error)


def test_what_is_taken_for_a_file_of_nfdump() -> None:
    assert nfcapd.match(nfcapd_2(), "x")[0] == Match.CONTENT
    assert nfcapd.match(nfcapd_1(packing=BZ2), "x")[0] == Match.CONTENT
    # It is one, and the reason why it is not read is told.
    assert nfcapd.match(b"\x0c\xa5\3\0" + bytes(300), "x")[0] == Match.CONTENT
    for other in (b"", b"\x0c\xa5", b"\x0c\xa5\x09\0" + bytes(40), bytes(300)):
        sure, why = nfcapd.match(other, "nfcapd.202001010000")
        assert (sure, bool(why)) == (Match.NO, True)
