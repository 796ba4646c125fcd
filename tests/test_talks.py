"""What is said in flows reaches the protocols whole and in order, however the packets came."""

import random
import struct
from typing import Any

import pytest

from tests.packets import Segment, answer, pcap, question, session, timed
from tests.zeek_compare import tables

HOSTS = [f"host{i}.example" for i in range(40)]


def behind_length(message: bytes) -> bytes:
    return struct.pack(">H", len(message)) + message


def names(mss: int = 1460) -> list[Segment]:
    """Forty questions on one connection, each answered."""
    said = []
    for i, host in enumerate(HOSTS):
        said.append((True, behind_length(question(i, host))))
        said.append((False, behind_length(answer(i, host, (1, 60, bytes([192, 0, 2, i]))))))
    return session(*said, port=53, mss=mss)


def asked(segments: list[Segment]) -> list[dict[str, Any]]:
    return tables(pcap(timed(segments)))["dns_activity"]


def said(segments: list[Segment]) -> list[tuple[Any, ...]]:
    return sorted(
        (r["query_hostname"], tuple(r["answers"] or ()), r["transaction_id"])
        for r in asked(segments)
    )


ALL = sorted((host, (f"192.0.2.{i}",), i) for i, host in enumerate(HOSTS))


@pytest.mark.parametrize("mss", [1, 2, 3, 7, 29, 100, 1460])
def test_segments_of_any_size(mss: int) -> None:
    assert said(names(mss)) == ALL


def test_messages_of_one_packet_have_numbers_and_the_packet_s_place() -> None:
    first = b"".join(behind_length(question(i, host)) for i, host in enumerate(HOSTS[:5]))
    rows = asked(session((True, first), port=53))
    assert [row["sub"] for row in rows] == [0, 1, 2, 3, 4]
    assert len({row["src_offset"] for row in rows}) == 1
    assert len({row["record_hash"] for row in rows}) == 5


def test_a_message_over_several_packets_has_the_place_of_its_first_byte() -> None:
    segments = session((True, behind_length(question(1, HOSTS[0]))), port=53, mss=4)
    data = pcap(timed(segments))
    (row,) = tables(data)["dns_activity"]
    # The fourth packet of the capture is the first with data.
    offset = 24 + sum(16 + len(s.frame) for s in segments[:3])
    assert (row["src_offset"], row["src_length"]) == (offset, 16 + len(segments[3].frame))
    assert row["time"] == pytest.approx(1000.003)


@pytest.mark.parametrize("seed", range(20))
def test_out_of_order_and_repeated(seed: int) -> None:
    """Segments of one side change places, and some come twice: the same is said."""
    chance = random.Random(seed)
    question_bytes = b"".join(
        behind_length(question(i, host)) for i, host in enumerate(HOSTS)
    )
    answers = b"".join(
        behind_length(answer(i, host, (1, 60, bytes([192, 0, 2, i]))))
        for i, host in enumerate(HOSTS)
    )
    segments = session((True, question_bytes), (False, answers), port=53, mss=50)
    data = [s for s in segments if s.size]
    for side in (True, False):
        mine = [s for s in data if s.client is side]
        moved = mine + chance.sample(mine, 5)
        chance.shuffle(moved)
        if side:
            mixed = moved
        else:
            mixed += moved
    begin, end = segments[:3], segments[-3:]
    assert said(begin + mixed + end) == ALL


def test_a_gap_ends_what_cannot_be_told_any_more() -> None:
    """A lost segment takes the messages behind it along (nobody knows where they begin), and not
    those before."""
    segments = names()
    lost = next(i for i, s in enumerate(segments) if s.client and s.size and i > 30)
    kept = segments[:lost] + segments[lost + 1 :]
    found = said(kept)
    assert 0 < len(found) < len(ALL)
    assert set(found) <= set(ALL) | {(h, (), i) for i, h in enumerate(HOSTS)}


def test_bytes_beyond_a_hole_are_bounded() -> None:
    """A stream whose first segment never comes holds no more than TCP's own bound."""
    huge = session((True, b"x" * (12 << 20)), port=53, mss=60000, close=False)
    rows = tables(pcap(timed(huge[:3] + huge[4:])))
    assert len(rows["network_activity"]) == 1


def test_what_nobody_knows_is_left_alone() -> None:
    chance = random.Random(1)
    said_ = [(True, chance.randbytes(3000)), (False, chance.randbytes(30000))] * 5
    rows = tables(pcap(timed(session(*said_, port=4321))))
    assert set(rows) <= {"network_activity", "network_weird"}
    (flow,) = rows["network_activity"]
    assert flow.get("app_protocol") is None
    assert (flow["bytes_out"], flow["bytes_in"]) == (15000, 150000)
