"""Messages of NetFlow and IPFIX: fields, times, templates, options, damage, hostile input."""

import base64
import hashlib
import random
import struct
from datetime import datetime
from ipaddress import ip_address
from typing import Any

import pytest

from tests.netflow_build import (
    PLAIN,
    SECONDS,
    UPTIME,
    VARIABLE,
    a_set,
    firewall_9,
    ipfix,
    ntp,
    options_9,
    options_10,
    plain,
    router_9,
    template,
    v1,
    v5,
    v5_record,
    v7,
    v9,
    variable,
)  # fmt: skip
from tests.winart_case import Found, read
from tracelake.normalize import parsed
from tracelake.parsers import netflow
from tracelake.parsers.artifact import Match

REGISTRY = parsed.parse((parsed.FOLDER / "flows" / "ipfix.toml").read_text("utf-8"))["elements"]
SRC, DST = (8, 4), (12, 4)


def ip(text: str) -> bytes:
    return ip_address(text).packed


ENDS = ip("10.0.0.1") + ip("192.0.2.2")


def flows(data: bytes) -> list[dict[str, Any]]:
    """The flows of whole, undamaged messages."""
    found = read(netflow.PARSER, data)
    assert found.damage == []
    assert found.unexplained == 0
    return found.rows("network_activity")


def one(*specs: Any, value: bytes, version: int = 10, **message: Any) -> dict[str, Any]:
    """The flow of one record with two addresses and these fields."""
    if version == 9:
        sets = (a_set(0, template(256, SRC, DST, *specs)), a_set(256, ENDS + value))
        (row,) = flows(v9(*sets, **message))
    else:
        sets = (a_set(2, template(256, SRC, DST, *specs)), a_set(256, ENDS + value, pad=1))
        (row,) = flows(ipfix(*sets, **message))
    return row


def rest(row: dict[str, Any]) -> dict[str, str]:
    return dict(row["unmapped"] or ())


def iso(value: datetime | None) -> str:
    assert value is not None
    return value.isoformat().removesuffix("+00:00")


def community(source: str, target: str, a: int, b: int, protocol: int) -> str:
    """The Community ID where the source is the lower end."""
    said = b"\0\0" + ip(source) + ip(target) + struct.pack(">BBHH", protocol, 0, a, b)
    return "1:" + base64.b64encode(hashlib.sha1(said).digest()).decode()


def test_version_5() -> None:
    data = v5(v5_record(), v5_record(protocol=17, ports=(53, 4000)), sampling=0x4000 | 100)
    row, second = flows(data)
    told = {name: value for name, value in row.items() if value is not None}
    assert iso(told.pop("time")) == "2020-09-13T12:26:30.123000"
    assert iso(told.pop("end_time")) == "2020-09-13T12:26:35.623000"
    for name in ("record_hash", "engagement_id", "source_id", "parser_version", "mapping_version"):
        told.pop(name)
    assert told == {
        "time_ns": 0, "class_uid": 4001, "category_uid": 4, "type_uid": 400106, "activity_id": 6,
        "log_provider": "NetFlow v5", "sensor_id": "1.2", "artifact_no": 0, "parser": "netflow",
        "src_ip": "10.0.0.1", "src_port": 1024, "dst_ip": "192.0.2.2", "dst_port": 80,
        "transport": "tcp", "protocol_num": 6, "ip_version": 4, "duration_s": 5.5,
        "bytes_out": 180, "ip_bytes_out": 180, "packets_out": 3, "tcp_flags": 0x1B,
        "src_internal": True, "dst_internal": True, "direction_id": 3, "src_asn": 64500,
        "dst_asn": 64501, "src_interface": "3", "dst_interface": "7", "sampling_interval": 100,
        "community_id": community("10.0.0.1", "192.0.2.2", 1024, 80, 6), "sub": 0, "src_offset": 24,
        "src_length": 48, "src_record_id": 1000,
        "unmapped": [
            ("ipNextHopIPv4Address", "198.51.100.254"), ("ipClassOfService", "16"),
            ("sourceIPv4PrefixLength", "24"), ("destinationIPv4PrefixLength", "16"),
        ],
    }  # fmt: skip
    assert (second["src_offset"], second["src_record_id"], second["tcp_flags"]) == (72, 1001, 27)


@pytest.mark.parametrize(("message", "version"), [(v1, 1), (v7, 7)])
def test_versions_1_and_7(message: Any, version: int) -> None:
    first, second = flows(message(v5_record(), v5_record(source="10.0.0.9", octets=7)))
    assert first["log_provider"] == f"NetFlow v{version}"
    assert (first["src_ip"], first["dst_port"], first["transport"]) == ("10.0.0.1", 80, "tcp")
    assert (first["tcp_flags"], rest(first)["ipClassOfService"]) == (0x1B, "16")
    assert (second["src_ip"], second["bytes_out"]) == ("10.0.0.9", 7)
    assert iso(first["time"]) == "2020-09-13T12:26:30"
    assert rest(first).get("ipv4RouterSc") == ("203.0.113.9" if version == 7 else None)


def test_icmp_has_no_ports() -> None:
    (row,) = flows(v5(v5_record(protocol=1, ports=(0, 0x0301))))
    assert (row["transport"], row["icmp_type"], row["icmp_code"]) == ("icmp", 3, 1)
    assert (row["src_port"], row["dst_port"], row["tcp_flags"]) == (3, 1, 27)
    row = one((4, 1), (178, 1), (179, 1), (11, 2), value=struct.pack(">BBBH", 58, 128, 0, 9))
    assert (row["icmp_type"], row["icmp_code"]) == (128, 0)
    assert rest(row) == {"destinationTransportPort": "9"}
    # What it means is nothing where the protocol is another one.
    assert rest(one((4, 1), (32, 2), value=b"\x06\0\0")) == {"icmpTypeCodeIPv4": "0"}


def test_a_community_id_is_that_of_the_packets() -> None:
    """From the specification's baseline: 1:LQU9qZlK+B5F3KDmev6m5PMibrg= for this TCP flow."""
    value = ip("128.232.110.120") + ip("66.35.250.204") + struct.pack(">HHB", 34855, 80, 6)
    (row,) = flows(ipfix(
        a_set(2, template(300, SRC, DST, (7, 2), (11, 2), (4, 1))), a_set(300, value, pad=1)))
    assert row["community_id"] == "1:LQU9qZlK+B5F3KDmev6m5PMibrg="


@pytest.mark.parametrize(
    ("uptime", "first", "before"),
    [
        (100_000, 40_000, 60_000),  # as usual
        (5_000, 2**32 - 5_000, 10_000),  # the clock began anew between
        (100_000, 100_020, -20),  # clocks that are read one after the other
        (10_000, 3_000_000_000, 10_000 - 3_000_000_000 + 2**32),  # a flow of two weeks
    ],
)  # fmt: skip
def test_times_of_the_exporters_clock(uptime: int, first: int, before: int) -> None:
    row = one((22, 4), value=struct.pack(">I", first), version=9, uptime=uptime)
    assert row["time"].timestamp() == pytest.approx(SECONDS - before / 1000, abs=1e-6)


NANO = SECONDS + 0.123456789


@pytest.mark.parametrize(
    ("specs", "value", "start", "end", "kind"),
    [
        (((150, 4), (151, 4)), struct.pack(">II", SECONDS, SECONDS + 1),
         "12:26:40", "12:26:41", None),
        (((152, 8), (153, 8)), struct.pack(">QQ", SECONDS * 1000 + 7, SECONDS * 1000 + 9),
         "12:26:40.007000", "12:26:40.009000", None),
        (((154, 8), (155, 8)), ntp(SECONDS + 0.25) + ntp(SECONDS + 0.75),
         "12:26:40.250000", "12:26:40.750000", None),
        (((156, 8),), struct.pack(">II", SECONDS + 2208988800, 530242871),
         "12:26:40.123456", "", None),
        (((158, 4), (159, 4)), struct.pack(">II", 2_000_000, 500),
         "12:26:38", "12:26:39.999500", None),
        (((160, 8), (22, 4), (21, 4)), struct.pack(">QII", (SECONDS - 9) * 1000, 1000, 2000),
         "12:26:32", "12:26:33", None),
        (((152, 8), (161, 4)), struct.pack(">QI", SECONDS * 1000, 1500),
         "12:26:40", "12:26:41.500000", None),
        (((153, 8), (162, 4)), struct.pack(">QI", SECONDS * 1000, 1500),
         "12:26:39.998500", "12:26:40", None),
        (((153, 8),), struct.pack(">Q", SECONDS * 1000), "12:26:40", "12:26:40", "end"),
        (((323, 8),), struct.pack(">Q", SECONDS * 1000 + 1), "12:26:40.001000", "", "observed"),
        (((1, 4),), b"\0\0\0\1", "12:26:40", "", "exported"),
    ],
)  # fmt: skip
def test_times_of_ipfix(specs: Any, value: bytes, start: str, end: str, kind: str | None) -> None:
    row = one(*specs, value=value)
    assert iso(row["time"])[11:] == start
    assert iso(row["end_time"])[11:] == end if end else not row["end_time"]
    assert row["time_desc"] == kind
    if end and kind is None:
        assert row["duration_s"] == pytest.approx((row["end_time"] - row["time"]).total_seconds())


def test_nanoseconds_and_the_year_2036() -> None:
    row = one((156, 8), value=struct.pack(">II", SECONDS + 2208988800, 530242871))
    assert (row["time"].microsecond, row["time_ns"]) == (123456, 789)
    row = one((156, 8), value=struct.pack(">II", 1000, 0))
    assert iso(row["time"]).startswith("2036-02-07T06:44:56")


def test_times_that_are_none_are_kept() -> None:
    row = one((152, 8), (22, 4), value=bytes(8) + struct.pack(">I", 5))
    assert row["time_desc"] == "exported"
    assert rest(row) == {"flowStartMilliseconds": "0", "flowStartSysUpTime": "5"}
    row = one((152, 8), (22, 4), value=struct.pack(">QI", SECONDS * 1000, 5))
    assert rest(row) == {"flowStartSysUpTime": "5"}


def test_both_directions_in_one_record() -> None:
    """RFC 5103."""
    row = one((1, 8), (2, 4), (1, 8, 29305), (2, 4, 29305), (4, 1), (6, 2), (6, 2, 29305),
              (136, 1, 29305), value=struct.pack(">QIQIBHHB", 10, 1, 20, 2, 6, 2, 0x10, 3))
    assert (row["bytes_out"], row["bytes_in"], row["ip_bytes_in"]) == (10, 20, 20)
    assert (row["packets_out"], row["packets_in"], row["tcp_flags"]) == (1, 2, 0x12)
    assert rest(row) == {"reverseTcpControlBits": "16", "reverseFlowEndReason": "3"}


def test_numbers_of_every_width() -> None:
    row = one((1, 3), (2, 1), (10, 2), (16, 8), value=struct.pack(">IBHQ", 70000, 9, 5, 64512)[1:])
    assert (row["bytes_out"], row["packets_out"], row["src_interface"]) == (70000, 9, "5")
    assert row["src_asn"] == 64512
    # What does not fit its column is in the rest.
    row = one((1, 8), (7, 4), (16, 8), (4, 2), value=struct.pack(">QIQH", 2**63, 70000, 2**32, 300))
    assert row["bytes_out"] is None
    assert rest(row) == {
        "octetDeltaCount": str(2**63), "sourceTransportPort": "70000",
        "bgpSourceAsNumber": str(2**32), "protocolIdentifier": "300",
    }  # fmt: skip


def test_the_better_of_two_fields_is_taken() -> None:
    row = one((352, 4), (85, 4), (1, 4), value=struct.pack(">III", 3, 2, 1))
    assert (row["bytes_out"], row["ip_bytes_out"]) == (1, 1)
    assert rest(row) == {"layer2OctetDeltaCount": "3", "octetTotalCount": "2"}
    row = one((352, 4), (58, 2), (243, 2), value=struct.pack(">IHH", 3, 100, 101))
    assert (row["bytes_out"], row["ip_bytes_out"], row["vlan_id"]) == (3, None, 100)
    assert rest(row) == {"dot1qVlanId": "101"}


def test_of_two_versions_of_an_address_one_is_there() -> None:
    six = ip("2001:db8::1") + ip("2001:db8::2")
    sets = a_set(2, template(300, SRC, DST, (27, 16), (28, 16)))
    (row,) = flows(ipfix(sets, a_set(300, bytes(8) + six)))
    assert (row["src_ip"], row["dst_ip"], row["ip_version"]) == ("2001:db8::1", "2001:db8::2", 6)
    assert rest(row) == {"sourceIPv4Address": "0.0.0.0", "destinationIPv4Address": "0.0.0.0"}
    (row,) = flows(ipfix(sets, a_set(300, ENDS + bytes(32))))
    assert (row["src_ip"], row["ip_version"]) == ("10.0.0.1", 4)
    assert rest(row) == {"sourceIPv6Address": "::", "destinationIPv6Address": "::"}


def test_texts_lists_and_other_enterprises() -> None:
    row = one((82, VARIABLE), (371, VARIABLE), (33, 2, 6871), (8, 5, 9), (999, 4), (70, 3),
              (291, 4), (276, 1), (320, 8), value=variable(b"et\xffh0", long=True)
              + variable(b"bob")
              + b"\0\x50" + b"\1\2\3\4\5" + b"\0\0\0\7" + (1234 << 4 | 1).to_bytes(3, "big")
              + b"\xde\xad\xbe\xef" + b"\1" + struct.pack(">d", 0.5))  # fmt: skip
    assert (row["user_name"], row["parse_flags"]) == ("bob", 128)
    assert rest(row) == {
        "interfaceName": "et\ufffdh0", "6871.33": "80", "9.8": "0x0102030405", "0.999": "7",
        "mplsTopLabelStackSection": "1234 exp=0 bottom=1", "basicList": "0xdeadbeef",
        "dataRecordsReliability": "true", "absoluteError": "0.5",
    }  # fmt: skip


def test_an_element_that_is_there_twice() -> None:
    row = one((101, 1), (101, 1), (101, 1), (5, 1, 9), (5, 1, 9), value=b"\1\2\3\4\5")
    assert rest(row) == {
        "classificationEngineId": "1", "classificationEngineId_2": "2",
        "classificationEngineId_3": "3", "9.5": "4", "9.5_2": "5",
    }  # fmt: skip


def test_a_firewalls_events() -> None:
    made, ended, denied = flows(firewall_9())
    assert [row["activity_id"] for row in (made, ended, denied)] == [1, 2, 5]
    assert [row["action_id"] for row in (made, ended, denied)] == [1, 1, 2]
    assert [row["user_name"] for row in (made, ended, denied)] == ["alice", "alice", None]
    assert (made["src_nat_ip"], made["src_nat_port"]) == ("198.51.100.77", 3333)
    # Payload bytes of both sides, which are not those of IP packets.
    assert (made["bytes_out"], made["bytes_in"], made["ip_bytes_out"]) == (1111, 222222, None)
    assert (made["packets_out"], made["packets_in"]) == (11, 222)
    assert (iso(ended["time"]), ended["time_desc"]) == ("2020-09-13T12:26:39.500000", "observed")
    assert (ended["end_time"], ended["duration_s"], made["end_time"]) == (ended["time"], 30, None)
    assert rest(ended)["flowStartMilliseconds"] == "2020-09-13T12:26:09.5000000Z"
    assert rest(ended)["NF_F_FW_EXT_EVENT"] == "2030"
    assert rest(made)["NF_F_INGRESS_ACL_ID"] == "0x0a1b2c3d0000000100000002"


@pytest.mark.parametrize(("event", "activity"), [(4, 1), (5, 2), (3, 99)])
def test_events_of_nat(event: int, activity: int) -> None:
    value = struct.pack(">BQ", event, SECONDS * 1000) + ENDS[:4]
    row = one((230, 1), (323, 8), (225, 4), value=value)
    assert (row["activity_id"], row["time_desc"], row["src_nat_ip"]) == (
        activity, "observed", "10.0.0.1")


@pytest.mark.parametrize(("status", "action"), [(0x40, 1), (0x82, 2), (0xC1, None), (0, None)])
def test_what_a_router_did(status: int, action: int | None) -> None:
    row = one((89, 1), value=bytes([status]))
    assert (row["action_id"], rest(row)) == (action, {"forwardingStatus": str(status)})


def test_sampling_by_options_of_version_9() -> None:
    data = v9(
        a_set(0, template(256, SRC, DST), template(258, SRC, DST, (48, 1))),
        a_set(1, options_9(257, [(1, 4)], (34, 4), (35, 1)),
              options_9(259, [(1, 4)], (48, 1), (50, 4))),
        a_set(256, ENDS), a_set(257, struct.pack(">IIB", 9, 100, 2)), a_set(256, ENDS),
        a_set(259, struct.pack(">IBI", 9, 7, 512)), a_set(258, ENDS + b"\7"),
        a_set(258, ENDS + b"\3"),
    ) + v9(a_set(0, template(256, SRC, DST)), a_set(256, ENDS), source=257)  # fmt: skip
    found = read(netflow.PARSER, data)
    assert found.damage == []
    assert [r["sampling_interval"] for r in found.rows("network_activity")] == [
        None, 100, 512, None, None]
    first, second = found.rows("raw_event")
    assert rest(first) == {"scopeSystem": "9", "samplingInterval": "100", "samplingAlgorithm": "2"}
    assert (first["event_code"], first["log_provider"], first["sensor_id"]) == (
        "257", "NetFlow v9", "256")
    assert rest(second) == {"scopeSystem": "9", "samplerId": "7", "samplerRandomInterval": "512"}


def test_the_sampling_of_one_interface_is_not_that_of_all() -> None:
    data = v9(
        a_set(0, template(256, SRC, DST)), a_set(1, options_9(257, [(2, 4)], (34, 4))),
        a_set(257, struct.pack(">II", 9, 100)), a_set(256, ENDS),
    )
    (row,) = flows(data)
    assert row["sampling_interval"] is None


def test_sampling_by_options_of_ipfix() -> None:
    data = ipfix(
        a_set(3, options_10(400, [(302, 8)], (305, 4), (306, 4)),
              options_10(401, [(143, 4)], (309, 4), (310, 4))),
        a_set(400, struct.pack(">QII", 5, 1, 999)), a_set(401, struct.pack(">III", 1, 2, 128)),
        a_set(2, template(402, SRC, DST, (302, 8)), template(403, SRC, DST)),
        a_set(402, ENDS + struct.pack(">Q", 5)), a_set(403, ENDS),
    )  # fmt: skip
    assert [row["sampling_interval"] for row in flows(data)] == [1000, 64]


def test_names_of_applications() -> None:
    data = v9(
        a_set(1, options_9(260, [(1, 4)], (95, 4), (96, 24), (94, 8))),
        a_set(260, struct.pack(">II24s8s", 1, 0x0D000050, b"youtube", b"Video")),
        a_set(0, template(256, SRC, DST, (95, 4))),
        a_set(256, ENDS + struct.pack(">I", 0x0D000050), ENDS + struct.pack(">I", 0x0D000051)),
    )
    known, other = flows(data)
    assert (known["app_protocol"], rest(known)) == ("youtube", {"applicationId": "0x0d000050"})
    assert (other["app_protocol"], rest(other)) == (None, {"applicationId": "0x0d000051"})


def test_a_domain_has_its_own_templates() -> None:
    data = b"".join((
        ipfix(a_set(2, template(256, SRC, DST)), domain=1),
        ipfix(a_set(2, template(256, DST, SRC)), domain=2),
        ipfix(a_set(256, ENDS), domain=1), ipfix(a_set(256, ENDS), domain=2),
        v9(a_set(0, template(256, (27, 16), (28, 16))), source=1),
        ipfix(a_set(256, ENDS), domain=1),
    ))  # fmt: skip
    assert [row["src_ip"] for row in flows(data)] == ["10.0.0.1", "192.0.2.2", "10.0.0.1"]


def test_a_template_is_defined_anew_and_withdrawn() -> None:
    data = b"".join((
        ipfix(a_set(2, template(256, SRC, DST)), a_set(256, ENDS)),
        ipfix(a_set(2, template(256, DST, SRC)), a_set(256, ENDS)),
        ipfix(a_set(2, template(256)), a_set(256, ENDS)),
    ))  # fmt: skip
    found = read(netflow.PARSER, data)
    assert [r["src_ip"] for r in found.rows("network_activity")] == ["10.0.0.1", "192.0.2.2"]
    assert [each["why"] for each in found.damage] == ["its template was never sent"]


@pytest.mark.parametrize(("what", "left"), [(2, "options"), (3, "flows")])
def test_all_templates_are_withdrawn(what: int, left: str) -> None:
    data = ipfix(
        a_set(2, template(256, SRC, DST)), a_set(3, options_10(257, [(143, 4)], (34, 4))),
        a_set(what, struct.pack(">HH", what, 0)), a_set(256, ENDS), a_set(257, bytes(8)),
    )
    found = read(netflow.PARSER, data)
    assert len(found.rows("network_activity")) == (left == "flows")
    assert len(found.rows("raw_event")) == (left == "options")
    assert len(found.damage) == 1


def test_data_before_its_template() -> None:
    late = v9(a_set(300, plain(1), plain(2)), sequence=1)
    sets = (a_set(0, template(300, *PLAIN)), a_set(300, plain(3)))
    data = late + v9(*sets, sequence=2, seconds=SECONDS + 60)
    rows = sorted(flows(data), key=lambda row: row["src_offset"])
    assert [row["parse_flags"] for row in rows] == [16, 16, None]
    assert [row["src_record_id"] for row in rows] == [1, 1, 2]
    # Times are those of the message that it stood in.
    assert iso(rows[0]["time"]) == "2020-09-13T12:26:35"
    assert iso(rows[2]["time"]) == "2020-09-13T12:27:35"
    found = read(netflow.PARSER, late + late)
    assert [(each["src_offset"], each["src_length"], each["why"]) for each in found.damage] == [
        (24, 60, "its template was never sent"), (108, 60, "its template was never sent")]


def test_what_waits_is_bounded() -> None:
    message = ipfix(a_set(300, bytes(60000)))
    found = read(netflow.PARSER, message * 600)
    assert {each["why"] for each in found.damage} == {
        "its template was never sent",
        "its template was not sent before, and no more sets are held",
    }
    assert len(found.damage) == 600


def test_templates_are_bounded() -> None:
    """The fields of all templates, and their number."""
    specs = [(5, 1)] * 16000
    data = b"".join(ipfix(a_set(2, template(256 + i, *specs))) for i in range(40))
    found = read(netflow.PARSER, data + ipfix(a_set(2, template(256, SRC, DST)), a_set(256, ENDS)))
    assert {each["why"] for each in found.damage} == {"more templates than are held"}
    assert len(found.damage) == 40 - 524288 // 16000
    assert [row["src_ip"] for row in found.rows("network_activity")] == ["10.0.0.1"]
    data = b"".join(ipfix(a_set(2, template(256, SRC, DST)), domain=i) for i in range(5000))
    assert len(read(netflow.PARSER, data).damage) == 5000 - 4096


@pytest.mark.parametrize(
    ("contents", "damage", "rows"),
    [
        # Records without bytes would be without number.
        (a_set(2, template(256)) + a_set(2, template(257, (5, 0), (6, 0))) + a_set(257, bytes(40)),
         ["the records of its template have no bytes"], 0),
        (a_set(2, template(256, SRC, (5, 0), DST)) + a_set(256, ENDS * 3), [], 3),
        # A template that is not all there.
        (a_set(2, struct.pack(">HH", 256, 65535) + b"\0\1\0\1" * 9),
         ["it is longer than its set"], 0),
        (a_set(2, template(255, SRC)), ["its number is below 256"], 0),
        (a_set(2, template(256, SRC, (5, 4, 9))[:-4]), ["it is longer than its set"], 0),
        # Padding, and what is none.
        (a_set(2, template(256, SRC, DST)) + a_set(256, ENDS + bytes(5), pad=1), [], 1),
        (a_set(2, template(256, SRC, DST)) + a_set(256, ENDS + b"\0\0\0\1\0", pad=1),
         ["less than a record is left, and it is no padding"], 1),
        # A field that runs over its set.
        (a_set(2, template(256, (82, VARIABLE)))
         + a_set(256, b"\2ab" + b"\xff\xff\xff" + b"x" * 8, pad=1),
         ["it is longer than its set"], 1),
        # A set that ends behind its message.
        (a_set(2, template(256, SRC, DST)) + struct.pack(">HH", 256, 4000) + ENDS,
         ["its id or its length is impossible"], 0),
        (a_set(2, template(256, SRC, DST)) + struct.pack(">HH", 256, 3) + ENDS,
         ["its id or its length is impossible"], 0),
    ],
)  # fmt: skip
def test_what_does_not_fit(contents: bytes, damage: list[str], rows: int) -> None:
    good = ipfix(a_set(2, template(999, SRC, DST)), a_set(999, ENDS))
    found = read(netflow.PARSER, ipfix(contents) + good)
    assert [each["why"] for each in found.damage] == damage
    assert len(found.rows("network_activity")) == rows + 1


@pytest.mark.parametrize("junk", [b"\xff", b"\0" * 7, b"\0\x0b\0\1" * 5, bytes(range(256)) * 20])
@pytest.mark.parametrize("version", [5, 9, 10])
def test_junk_between_messages(junk: bytes, version: int) -> None:
    good = {
        5: v5(v5_record(), v5_record()), 9: router_9(),
        10: ipfix(a_set(2, template(256, SRC, DST)), a_set(256, ENDS)),
    }[version]  # fmt: skip
    count = len(flows(good))
    found = read(netflow.PARSER, good + junk + good)
    assert len(found.rows("network_activity")) == 2 * count
    if version == 9 and len(junk) > 256:
        # It begins like a set, and version 9 does not say where a message ends.
        assert found.damage
        return
    assert [(each["src_offset"], each["src_length"]) for each in found.damage] == [
        (len(good), len(junk))]


def test_version_8_is_told() -> None:
    eight = struct.pack(">HHIIII", 8, 1, 0, SECONDS, 0, 0) + bytes(40)
    found = read(netflow.PARSER, v5(v5_record()) + eight + v5(v5_record()))
    (damage,) = found.damage
    assert (damage["src_length"], len(found.rows("network_activity"))) == (len(eight), 2)
    assert damage["why"].startswith("NetFlow version 8")


def test_a_hundred_thousand_flows_are_several_batches() -> None:
    records = [v5_record(octets=i) for i in range(30)]
    body = b"".join(v5(*records, sequence=30 * j) for j in range(5000))
    rows = flows(body)
    assert len(rows) == 150_000
    assert [row["src_record_id"] for row in rows] == list(range(150_000))


@pytest.mark.parametrize("version", [9, 10])
def test_every_element_by_another_reader(version: int) -> None:
    """Random templates of elements that no column has, and what struct makes of the records."""
    draw = random.Random(version)
    words = {int(number): text.split() for number, text in REGISTRY.items()}
    unused = {number: each for number, each in words.items() if len(each) == 2}
    for _ in range(60):
        specs, names = [], []
        for number in draw.sample(sorted(unused), draw.randint(1, 40)):
            name, kind = unused[number]
            sizes = {"number": [1, 2, 4, 8], "signed": [1, 4, 8], "ipv4": [4], "ipv6": [16],
                     "mac": [6], "truth": [1], "float": [8], "milliseconds": [8], "seconds": [4],
                     "ntp": [8], "mpls": [3], "text": [5, VARIABLE], "octets": [3, VARIABLE]}[kind]
            size = draw.choice(sizes[:1] if version == 9 else sizes)
            specs.append((number, size))
            names.append((name, kind, size))
        record, expected = b"", {}
        for name, kind, size in names:
            value, text = _value(draw, kind, draw.randint(0, 300) if size == VARIABLE else size)
            record += variable(value) if size == VARIABLE else value
            if not (size == VARIABLE and not value):
                expected[name] = text
        sets = (a_set(2 if version == 10 else 0, template(300, SRC, *specs)),
                a_set(300, ENDS[:4] + record, ENDS[:4] + record, pad=1))
        for row in flows(ipfix(*sets) if version == 10 else v9(*sets)):
            assert rest(row) == expected


def _value(draw: random.Random, kind: str, size: int) -> tuple[bytes, str]:
    """A value's bytes, and how it is written."""
    raw = draw.randbytes(size)
    number = int.from_bytes(raw, "big")
    match kind:
        case "number":
            return raw, str(number)
        case "signed":
            return raw, str(int.from_bytes(raw, "big", signed=True))
        case "ipv4" | "ipv6":
            return raw, str(ip_address(raw))
        case "mac":
            return raw, raw.hex(":")
        case "truth":
            raw = draw.choice((b"\1", b"\2"))
            return raw, "true" if raw == b"\1" else "false"
        case "float":
            value = draw.uniform(-1e9, 1e9)
            return struct.pack(">d", value), f"{value:.17g}"
        case "seconds":
            return raw, datetime.utcfromtimestamp(number).isoformat() + ".0000000Z"
        case "milliseconds":
            number %= 4_000_000_000_000
            when = datetime.utcfromtimestamp(number // 1000).isoformat()
            return struct.pack(">Q", number), f"{when}.{number % 1000:03d}0000Z"
        case "ntp":
            whole = draw.randint(2**31, 2**32 - 1)
            when = datetime.utcfromtimestamp(whole - 2_208_988_800).isoformat()
            return struct.pack(">II", whole, 1 << 31), f"{when}.5000000Z"
        case "mpls":
            return raw, f"{number >> 4} exp={number >> 1 & 7} bottom={number & 1}"
        case "text":
            raw = bytes(draw.choices(b"abcdefghij \xc3\xa4"[:11], k=size))
            return raw, raw.decode()
    return raw, f"0x{raw.hex()}"


@pytest.mark.parametrize(
    ("data", "taken"),
    [
        (v5(v5_record()), True), (v9(a_set(0, template(256, SRC)), a_set(256, ENDS)) * 3, True),
        (ipfix(a_set(2, template(256, SRC))), True), (v1(v5_record()), True),
        (v7(v5_record()), True),
        (v5(v5_record()) + b"\xff" * 300, False), (v5(v5_record(), seconds=77), False),
        (b"\0\5", False), (b"", False), (b"\0\1\0\0Standard Jet DB\0" + bytes(4000), False),
        (b"\0\5\0\7" + bytes(4000), False), (b"\0\x0a" + bytes(60), False),
        (ipfix(a_set(2, template(256, SRC)) + b"\0\7\0\4"), False),
    ],
)  # fmt: skip
def test_what_is_taken_for_messages(data: bytes, taken: bool) -> None:
    sure, why = netflow.match(data[:65536], "x")
    assert (sure == Match.CONTENT) == taken
    assert bool(why) != taken


def test_a_message_longer_than_what_is_looked_at() -> None:
    data = ipfix(a_set(2, template(256, SRC, DST)), a_set(256, ENDS * 8000, pad=1))
    assert netflow.match((data * 2)[:65536], "x")[0] == Match.CONTENT
    assert len(flows(data * 2)) == 16000


def found_of(data: bytes) -> Found:
    return read(netflow.PARSER, data)


def test_the_same_flow_exported_twice_has_the_same_hash() -> None:
    one_, two = v9(a_set(0, template(256, *PLAIN)), a_set(256, plain(1))), v9(
        a_set(0, template(256, *PLAIN)), a_set(256, plain(1)), sequence=99)
    hashes = [found_of(each).rows("network_activity")[0]["record_hash"] for each in (one_, two)]
    later = v9(a_set(0, template(256, *PLAIN)), a_set(256, plain(1)), seconds=SECONDS + 1)
    assert hashes[0] == hashes[1] != found_of(later).rows("network_activity")[0]["record_hash"]
    assert UPTIME == 100_000
