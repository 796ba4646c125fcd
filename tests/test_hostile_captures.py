"""An adversary writes the traffic: the flow table, half-open connections, segments that contradict
each other. (Tunnels, fragments, bombs, endless headers and nested values: with their protocols.)"""

import random
import struct
import time

from tests.packets import ACK, PSH, SYN, answer, ethernet, ipv4, pcap, question, session, tcp, timed
from tests.test_talks import ALL, asked, behind_length, names, said
from tests.zeek_compare import tables
from tracelake.native.account import Account
from tracelake.native.feed import Feed
from tracelake.parsers.artifact import Artifact
from tracelake.parsers.flow import FLOW_LIMIT
from tracelake.parsers.pcap import Capture, read

HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
FRAME = ethernet(ipv4(tcp(1, 80, SYN, 1), 6))


class Syns:
    """A stream of SYNs, made as it is read: (source address, source port) of packet i."""

    def __init__(self, count: int, ends: list[tuple[int, int]] | None = None) -> None:
        self._count = count
        self._ends = ends
        self._at = 0
        self._rest = HEADER

    def readinto(self, buffer: memoryview) -> int:
        if not self._rest:
            made = bytearray()
            record = bytearray(struct.pack("<IIII", 0, 0, len(FRAME), len(FRAME)) + FRAME)
            for i in range(self._at, min(self._at + 4096, self._count)):
                plain = 0x0A000000 + i // 60000, i % 60000
                address, port = self._ends[i] if self._ends else plain
                struct.pack_into("<II", record, 0, 1000 + i // 1000000, i % 1000000)
                struct.pack_into(">I", record, 16 + 26, address)
                struct.pack_into(">H", record, 16 + 34, port)
                made += record
            self._at += 4096
            self._rest = bytes(made)
        n = min(len(buffer), len(self._rest))
        buffer[:n] = self._rest[:n]
        self._rest = self._rest[n:]
        return n


def test_a_million_half_open_connections() -> None:
    """Each is a row, and no more than FLOW_LIMIT live at once."""
    account = Account(lambda batch: None)
    capture = Capture(Feed(Syns(1_000_000)), account)
    capture.open()
    rows = 0
    while capture.step():
        rows += sum(batch.num_rows for _, batch in capture.take(all=False))
    while capture.finish():
        rows += sum(batch.num_rows for _, batch in capture.take(all=False))
    rows += sum(b.num_rows for t, b in capture.take(all=True) if t == "network_activity")
    assert rows >= 1_000_000
    assert account.in_rows == account.records == 1_000_000
    assert capture.flows.evictions == 1_000_000 - FLOW_LIMIT


def seconds(ends: list[tuple[int, int]]) -> float:
    started = time.process_time()
    account = Account(lambda batch: None)
    for _ in read(Artifact("x", Feed(Syns(len(ends), ends)), account)):
        pass
    assert account.records == len(ends)
    return time.process_time() - started


def test_who_chooses_addresses_does_not_choose_places_in_the_flow_table() -> None:
    """Ends in regular patterns, as somebody would take who knows the hash but for its secret,
    cost about what ends drawn by lot do."""
    draw = random.Random(1)
    count = 60_000
    lot = seconds([(draw.getrandbits(32), draw.getrandbits(16)) for _ in range(count)])
    patterns = {
        "one bit high": [(i << 16 & 0xFFFFFFFF, i >> 16) for i in range(count)],
        "steps of 2^12": [(i * 4096 & 0xFFFFFFFF, i * 4096 >> 32) for i in range(count)],
        "sums are equal": [(0x0A000000 + i, 65535 - i) for i in range(count)],
    }
    for name, ends in patterns.items():
        assert seconds(ends) < 5 * lot + 1, name


def test_segments_that_contradict_each_other() -> None:
    """The bytes that came first count, whatever is sent over them later."""
    segments = names()
    chance = random.Random(3)
    lies = []
    for segment in segments:
        lies.append(segment.frame)
        if segment.size and chance.random() < 0.5:
            # The same place in the stream, other bytes.
            lie = bytearray(segment.frame)
            lie[54:] = bytes(b ^ 0x20 for b in lie[54:])
            lies.append(bytes(lie))
    data = pcap([(1000 + i / 1000, frame) for i, frame in enumerate(lies)])
    found = sorted(
        (r["query_hostname"], tuple(r["answers"] or ()), r["transaction_id"])
        for r in tables(data)["dns_activity"]
    )
    assert found == ALL


def test_a_stream_in_pieces_of_one_byte_that_overlap() -> None:
    """Sent backwards, byte by byte, each with its neighbours: ranges and pieces are bounded, and
    the stream is whole when its first byte comes."""
    message = behind_length(question(7, "overlap.example"))
    talk = session((True, message), port=53, close=False)
    begin = [segment.frame for segment in talk[:3]]
    pieces = [
        ethernet(ipv4(tcp(40000, 53, ACK | PSH, 1001 + at, 7001, message[at : at + 3]), 6))
        for at in reversed(range(len(message)))
    ]
    reply = behind_length(answer(7, "overlap.example", (1, 60, b"\xc0\0\2\1")))
    end = [ethernet(ipv4(tcp(53, 40000, ACK | PSH, 7001, 1001 + len(message), reply), 6,
                         "192.0.2.9", "10.0.0.1"))]
    data = pcap([(1000 + i / 1000, f) for i, f in enumerate(begin + pieces + end)])
    (row,) = tables(data)["dns_activity"]
    assert (row["query_hostname"], row["answers"]) == ("overlap.example", ["192.0.2.1"])


def test_what_is_said_twice_is_said_once() -> None:
    segments = names()
    twice = [each for segment in segments for each in (segment, segment)]
    assert said(twice) == ALL
    assert len(asked(twice)) == len(ALL)
    assert timed(twice)
