"""NetFlow and IPFIX inside of captures: their flows beside the flow of the datagrams."""

from pathlib import Path

import pytest

from tests.netflow_build import (
    PLAIN,
    SECONDS,
    a_set,
    ipfix,
    plain,
    router_9,
    template,
    v5,
    v5_record,
    v9,
)  # fmt: skip
from tests.packets import ethernet, ipv4, ipv6, pcap, tcp, udp
from tests.winart_case import Found, read
from tracelake.case import open_case
from tracelake.ingest.verify import verify
from tracelake.parsers import netflow
from tracelake.parsers import pcap as captures

TEMPLATE = a_set(0, template(256, *PLAIN))


def sent(*messages: bytes, source: str = "192.0.2.1", port: int = 2055) -> list[bytes]:
    """Frames that carry each message."""
    return [ethernet(ipv4(udp(50000, port, each), 17, source, "192.0.2.99")) for each in messages]


def captured(*frames: bytes) -> tuple[bytes, Found]:
    data = pcap([(SECONDS + i / 100, frame) for i, frame in enumerate(frames)])
    return data, read(captures.PARSER, data)


def told(found: Found) -> list[dict[str, object]]:
    """The rows of exported flows."""
    return [row for row in found.rows("network_activity") if row["log_provider"]]


@pytest.mark.parametrize("port", [2055, 4739, 33333])
def test_exported_flows_are_rows_of_their_own(port: int) -> None:
    message = router_9()
    data, found = captured(*sent(message, port=port))
    (datagram,) = [row for row in found.rows("network_activity") if not row["log_provider"]]
    assert (datagram["packets_out"], datagram["dst_port"]) == (1, port)
    alone = read(netflow.PARSER, message).rows("network_activity")
    at = data.index(message)
    own = {"src_offset", "device_ip", "parser", "engagement_id"}
    for row, other in zip(told(found), alone, strict=True):
        # It leads to the bytes of the record, in the capture.
        assert row["src_offset"] == at + other["src_offset"]
        assert row["device_ip"] == "192.0.2.1"
        assert {k: v for k, v in row.items() if k not in own} == {
            k: v for k, v in other.items() if k not in own}
    assert (found.account.records, found.account.in_rows, found.damage) == (1, 1, [])
    assert found.unexplained == 0


def test_exporters_with_the_same_domain() -> None:
    """Templates are known by exporter; of IPv6, too."""
    one, two = template(256, (8, 4), (12, 4)), template(256, (12, 4), (8, 4))
    data = a_set(256, bytes([10, 0, 0, 1, 192, 0, 2, 2]))
    frames = [
        *sent(ipfix(a_set(2, one))), *sent(ipfix(a_set(2, two)), source="192.0.2.7"),
        *sent(ipfix(data)), *sent(ipfix(data), source="192.0.2.7"),
        ethernet(ipv6(udp(1, 4739, ipfix(a_set(2, one), data)), 17), 0x86DD),
    ]  # fmt: skip
    _, found = captured(*frames)
    assert [(row["src_ip"], row["device_ip"]) for row in told(found)] == [
        ("10.0.0.1", "192.0.2.1"), ("192.0.2.2", "192.0.2.7"), ("10.0.0.1", "2a00::1")]
    assert found.damage == []


def test_data_before_their_template_and_without() -> None:
    late = v9(a_set(256, plain(1)))
    messages = (late, v9(TEMPLATE, a_set(256, plain(2))), v9(a_set(300, plain(3))))
    data, found = captured(*sent(*messages))
    rows = sorted(told(found), key=lambda row: str(row["src_port"]))
    assert [(row["src_port"], row["parse_flags"]) for row in rows] == [(40001, 16), (40002, None)]
    assert rows[0]["src_offset"] == data.index(plain(1))
    (damage,) = found.damage
    assert (damage["why"], damage["src_offset"]) == (
        "its template was never sent", data.index(plain(3)))
    # Three packets, each in its flow; and what is broken of what one says.
    assert (found.account.records, found.account.in_rows) == (4, 3)


@pytest.mark.parametrize(
    "frame",
    [
        # More or less than the message, another transport, a fragment, a packet that is cut off.
        *sent(v5(v5_record()) + b"\0"), *sent(v5(v5_record())[:-1]), *sent(router_9()[:-1]),
        *sent(v5(v5_record(), seconds=5)), *sent(b""),
        ethernet(ipv4(tcp(50000, 2055, 16, 1, 1, v5(v5_record())), 6)),
        ethernet(ipv4(udp(1, 2055, v5(v5_record())), 17, fragment=0x2000)),
    ],
)  # fmt: skip
def test_what_is_no_export(frame: bytes) -> None:
    _, found = captured(frame)
    assert told(found) == []
    assert found.damage == []


def test_more_than_a_batch_of_them() -> None:
    records = [v5_record(octets=i) for i in range(30)]
    _, found = captured(*sent(*(v5(*records, sequence=30 * i) for i in range(4200))))
    assert len(told(found)) == 126_000
    assert found.account.in_rows == 4200


def test_a_lake_of_them_is_in_order(tmp_path: Path) -> None:
    """`verify` counts packets by the flows of datagrams, not by those that they tell of."""
    options = v9(a_set(1, b"\x01\x01\0\4\0\4\0\1\0\4\0\x22\0\4"), a_set(257, b"\0\0\0\1\0\0\0\x64"))
    (tmp_path / "export.pcap").write_bytes(
        captured(*sent(router_9(), options, v9(TEMPLATE, a_set(256, plain(1)))))[0])
    (tmp_path / "flows.bin").write_bytes(router_9())
    case = open_case(tmp_path / "lake", engagement="c")
    case.ingest([tmp_path / "export.pcap", tmp_path / "flows.bin"])
    assert [each.wrong for each in verify(case.lake) if each.wrong] == []
    (counted,) = case.sql(
        "SELECT count(*) FROM network_activity WHERE log_provider = 'NetFlow v9'").fetchall()
    assert counted == (7,)
