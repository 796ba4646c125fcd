"""`flow`: flows that go over the border of two captures are one, in whatever order they come."""

import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.packets import ACK, CLIENT, RST, SERVER, ethernet, ipv4, pcap, session, tcp, udp
from tests.test_talks import names
from tracelake.case import open_case

FIELDS = (
    "src_ip", "src_port", "dst_ip", "dst_port", "transport", "packets_out", "packets_in",
    "bytes_out", "bytes_in", "ip_bytes_out", "ip_bytes_in", "conn_state", "time", "end_time",
)


def traffic() -> list[tuple[float, bytes]]:
    """A closed connection, one that is reset, one on a port that is no server's, datagrams."""
    frames = [s.frame for s in names()]
    other = session((True, b"hello" * 400), (False, b"x" * 5000), port=4000, sport=50001, mss=500,
                    close=False)
    reset = ethernet(ipv4(tcp(50001, 4000, RST | ACK, 1000 + 1 + 2000, 7001 + 5000), 6))
    datagrams = [
        ethernet(ipv4(udp(7000, 7001, b"ping"), 17)) if i % 2 else
        ethernet(ipv4(udp(7001, 7000, b"pong!"), 17, SERVER, CLIENT))
        for i in range(1, 40)
    ]
    lines = [frames, [*(s.frame for s in other), reset], datagrams]
    chance = random.Random(5)
    mixed = []
    while any(lines):
        mixed.append(chance.choice([line for line in lines if line]).pop(0))
    return [(1000 + i / 20, frame) for i, frame in enumerate(mixed)]


def flows(tmp_path: Path, engagement: str, captures: list[bytes]) -> list[tuple[Any, ...]]:
    case = open_case(tmp_path / "lake", engagement=engagement)
    for number, data in enumerate(captures):
        path = tmp_path / f"{engagement}-{number}.pcap"
        path.write_bytes(data)
        assert not case.ingest([path]).failed
    found: list[tuple[Any, ...]] = case.sql(
        f"SELECT {', '.join(FIELDS)} FROM flow ORDER BY ALL"
    ).fetchall()
    return found


@pytest.mark.parametrize("cuts", [(1,), (2,), (40,), (90,), (30, 60), (20, 21, 22, 100)])
def test_pieces_are_one(tmp_path: Path, cuts: tuple[int, ...]) -> None:
    packets = traffic()
    whole = flows(tmp_path, "whole", [pcap(packets)])
    assert len(whole) == 3
    pieces = [pcap(packets[a:b]) for a, b in pairwise([0, *cuts, len(packets)])]
    assert flows(tmp_path, "forward", pieces) == whole
    assert flows(tmp_path, "backward", pieces[::-1]) == whole


def test_silence_divides(tmp_path: Path) -> None:
    """What ends a flow within a capture ends it between two as well."""
    frame = ethernet(ipv4(udp(7000, 7001, b"ping"), 17))
    apart = [pcap([(1000, frame)]), pcap([(1100, frame)])]
    assert len(flows(tmp_path, "apart", apart)) == 2
    near = [pcap([(1000, frame)]), pcap([(1050, frame)])]
    (one,) = flows(tmp_path, "near", near)
    assert one[FIELDS.index("packets_out")] == 2
