"""DHCP: golden rows, the time that messages are joined in, and hostile messages."""

import struct
import time
from typing import Any

from tests.packets import ethernet, ipv4, pcap, udp
from tests.talk_case import rows_of

Row = dict[str, Any]
MAC = bytes.fromhex("001122334455")


def option(code: int, value: bytes) -> bytes:
    return bytes((code, len(value))) + value


def message(
    kind: int, *options: bytes, xid: int = 99, given: str = "0.0.0.0", op: int = 1,
    end: bytes = b"\xff", sname: bytes = b"", file: bytes = b"",
) -> bytes:
    head = struct.pack(">BBBBIHH", op, 1, 6, 0, xid, 0, 0)
    address = bytes(map(int, given.split(".")))
    fixed = head + bytes(4) + address + bytes(8) + MAC.ljust(16, b"\0")
    fixed += sname.ljust(64, b"\0") + file.ljust(128, b"\0") + bytes.fromhex("63825363")
    return fixed + option(53, bytes((kind,))) + b"".join(options) + end


def from_client(data: bytes) -> bytes:
    return ethernet(ipv4(udp(68, 67, data), 17, "0.0.0.0", "255.255.255.255"))


def from_server(data: bytes) -> bytes:
    return ethernet(ipv4(udp(67, 68, data), 17, "10.0.0.1", "10.0.0.77"))


def rows(*packets: tuple[float, bytes]) -> list[Row]:
    return rows_of(pcap(list(packets)))["net_service_activity"]


ASK = message(1, option(12, b"desk"), option(50, bytes((10, 0, 0, 77))), option(61, b"\1" + MAC))
GIVE = message(
    5, option(51, struct.pack(">I", 3600)), option(15, b"corp.example\0"), given="10.0.0.77", op=2
)


def test_messages_of_two_flows_are_one_row() -> None:
    (row,) = rows((1000.0, from_client(ASK)), (1000.5, from_server(GIVE)))
    assert row["message_types"] == ["DISCOVER", "ACK"]
    assert len(row["conn_uids"]) == 2
    assert row["client_mac"] == "00:11:22:33:44:55"
    assert (row["hostname"], row["domain"]) == ("desk", "corp.example")
    assert (row["requested_ip"], row["assigned_ip"]) == ("10.0.0.77", "10.0.0.77")
    assert (row["client_ip"], row["server_ip"]) == ("10.0.0.77", "10.0.0.1")
    assert (row["lease_s"], row["duration_s"]) == (3600, 0.5)
    assert (row["class_uid"], row["activity_id"]) == (4004, 5)


def test_window_is_zeeks() -> None:
    """Silent for five seconds, seen at a look at the table that comes every ten."""
    joined = rows((1000.0, from_client(ASK)), (1004.0, from_client(ASK)))
    assert [r["message_types"] for r in joined] == [["DISCOVER"] * 2]
    apart = rows((1000.0, from_client(ASK)), (1020.0, from_client(ASK)))
    assert [r["message_types"] for r in apart] == [["DISCOVER"]] * 2
    # Never silent: older than thirty seconds all the same.
    steady = rows(*((1000.0 + 2 * i, from_client(ASK)) for i in range(30)))
    assert len(steady) > 1
    assert sum(len(r["message_types"]) for r in steady) == 30


def test_fifty_messages_are_a_row() -> None:
    found = rows(*((1000.0 + i / 100, from_client(ASK)) for i in range(120)))
    assert [len(r["message_types"]) for r in found] == [50, 50, 20]


def test_options_that_go_on_elsewhere_are_read_once() -> None:
    # `file` says that it goes on in `sname`, and `sname` that it goes on in `file`.
    loop = message(
        1, option(52, b"\3"), file=option(12, b"fromfile") + option(52, b"\3"),
        sname=option(52, b"\3") + option(15, b"fromsname"),
    )
    (row,) = rows((1000.0, from_client(loop)))
    assert row["hostname"] == "fromfile"


def test_options_without_an_end_are_flagged() -> None:
    (row,) = rows((1000.0, from_client(message(1, b"\x0c\xff" + b"x" * 5, end=b""))))
    assert row["parse_flags"] == 1
    assert row["message_types"] == ["DISCOVER"]


def test_cut_at_every_byte() -> None:
    for at in range(len(GIVE)):
        rows_of(pcap([(1000.0, from_server(GIVE[:at]))]))


def test_a_flood_of_transactions_is_bounded() -> None:
    packets = [(1000.0 + i / 1e6, from_client(message(1, xid=i))) for i in range(40000)]
    data = pcap(packets)
    begun = time.monotonic()
    found = rows_of(data)["net_service_activity"]
    assert len(found) == 40000          # each is a row, the oldest before the end
    assert time.monotonic() - begun < 60
