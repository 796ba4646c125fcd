"""Captures made and taken apart in tests, without the code under test."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
CLIENT, SERVER = "10.0.0.1", "192.0.2.9"
MACS = bytes.fromhex("020000000002020000000001")


def ethernet(payload: bytes, kind: int = 0x0800, tags: tuple[int, ...] = ()) -> bytes:
    """An Ethernet frame from 02:..:01 to 02:..:02, with 802.1Q tags."""
    head = MACS + b"".join(struct.pack(">HH", 0x8100, tag) for tag in tags)
    return head + struct.pack(">H", kind) + payload


def ipv4(
    payload: bytes, protocol: int, src: str = CLIENT, dst: str = SERVER, *,
    ident: int = 0, fragment: int = 0, total: int | None = None, size: int = 5,
) -> bytes:
    """`fragment`: flags and offset as they stand in the header."""
    length = 4 * size + len(payload) if total is None else total
    head = struct.pack(">BBHHHBBH", 0x40 | size, 0, length, ident, fragment, 64, protocol, 0)
    options = b"\1" * (4 * size - 20)
    return head + ip_address(src).packed + ip_address(dst).packed + options + payload


def ipv6(payload: bytes, following: int, src: str = "2a00::1", dst: str = "2a00::2") -> bytes:
    head = struct.pack(">IHBB", 6 << 28, len(payload), following, 64)
    return head + ip_address(src).packed + ip_address(dst).packed + payload


def tcp(
    sport: int, dport: int, flags: int, seq: int, ack: int = 0, data: bytes = b"", *,
    window: int = 8192,
) -> bytes:
    head = struct.pack(
        ">HHIIBBHHH", sport, dport, seq % 2**32, ack % 2**32, 5 << 4, flags, window, 0, 0
    )
    return head + data


@dataclass(slots=True)
class Segment:
    """A TCP segment of a session, to be sent, held back, repeated or lost by a test."""

    client: bool                    # who sends it
    frame: bytes
    size: int                       # of its payload


def session(
    *said: tuple[bool, bytes], port: int, sport: int = 40000, mss: int = 1460,
    src: str = CLIENT, dst: str = SERVER, close: bool = True, isn: int = 1000,
) -> list[Segment]:
    """A TCP connection with its handshake, in which the client (True) and the server (False) say
    one thing after the other; each segment is acknowledged by the next one of the other side, and
    at the end both close."""
    seq = {True: isn, False: isn * 7}
    segments: list[Segment] = []

    def send(client: bool, flags: int, data: bytes = b"", takes: int = 0) -> None:
        ports = (sport, port) if client else (port, sport)
        ends = (src, dst) if client else (dst, src)
        ack = 0 if flags == SYN else seq[not client]
        payload = tcp(*ports, flags, seq[client], ack, data)
        segments.append(Segment(client, ethernet(ipv4(payload, 6, *ends)), len(data)))
        seq[client] += takes or len(data)

    send(True, SYN, takes=1)
    send(False, SYN | ACK, takes=1)
    send(True, ACK)
    for client, data in said:
        for at in range(0, len(data), mss):
            send(client, ACK | PSH, data[at : at + mss])
        send(not client, ACK)
    if close:
        send(True, FIN | ACK, takes=1)
        send(False, FIN | ACK, takes=1)
        send(True, ACK)
    return segments


def timed(segments: list[Segment], start: float = 1000.0) -> list[tuple[float, bytes]]:
    """For `pcap`: a millisecond between segments."""
    return [(start + i / 1000, segment.frame) for i, segment in enumerate(segments)]


def udp(sport: int, dport: int, data: bytes = b"") -> bytes:
    return struct.pack(">HHHH", sport, dport, 8 + len(data), 0) + data


def name(text: str) -> bytes:
    return b"".join(bytes([len(p)]) + p.encode() for p in text.split(".") if p) + b"\0"


def question(ident: int, host: str, kind: int = 1, flags: int = 0x0100) -> bytes:
    head = struct.pack(">HHHHHH", ident, flags, 1, 0, 0, 0)
    return head + name(host) + struct.pack(">HH", kind, 1)


def answer(
    ident: int, host: str, *records: tuple[int, int, bytes], kind: int = 1, flags: int = 0x8180
) -> bytes:
    """`records`: type, TTL, data; all of the question's name, by a pointer to it."""
    head = struct.pack(">HHHHHH", ident, flags, 1, len(records), 0, 0)
    head += name(host) + struct.pack(">HH", kind, 1)
    return head + b"".join(
        b"\xc0\x0c" + struct.pack(">HHIH", t, 1, ttl, len(data)) + data for t, ttl, data in records
    )


def pcap(
    frames: list[tuple[float, bytes]], *, big: bool = False, nanoseconds: bool = False,
    link: int = 1, snap: int = 262144, modified: bool = False,
) -> bytes:
    order = ">" if big else "<"
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2CD34 if modified else 0xA1B2C3D4
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap, link)]
    for time, frame in frames:
        part = round((time - int(time)) * (10**9 if nanoseconds else 10**6))
        held = frame[:snap]
        out.append(struct.pack(order + "IIII", int(time), part, len(held), len(frame)))
        if modified:
            out.append(struct.pack(order + "IHBB", 2, 8, 0, 0))
        out.append(held)
    return b"".join(out)


class Pcapng:
    """Blocks put together one by one."""

    def __init__(self, *, big: bool = False) -> None:
        self.order = ">" if big else "<"
        self.data = b""

    def block(self, kind: int, body: bytes) -> "Pcapng":
        body += b"\0" * (-len(body) % 4)
        length = struct.pack(self.order + "I", 12 + len(body))
        self.data += struct.pack(self.order + "I", kind) + length + body + length
        return self

    def section(self) -> "Pcapng":
        return self.block(0x0A0D0D0A, struct.pack(self.order + "IHHq", 0x1A2B3C4D, 1, 0, -1))

    def option(self, code: int, value: bytes) -> bytes:
        return struct.pack(self.order + "HH", code, len(value)) + value + b"\0" * (-len(value) % 4)

    def interface(
        self, link: int = 1, snap: int = 0, resolution: int | None = None, offset: int | None = None
    ) -> "Pcapng":
        options = b""
        if resolution is not None:
            options += self.option(9, bytes([resolution]))
        if offset is not None:
            options += self.option(14, struct.pack(self.order + "q", offset))
        if options:
            options += self.option(0, b"")
        return self.block(1, struct.pack(self.order + "HHI", link, 0, snap) + options)

    def packet(self, stamp: int, frame: bytes, interface: int = 0) -> "Pcapng":
        head = struct.pack(
            self.order + "IIIII", interface, stamp >> 32, stamp & 0xFFFFFFFF, len(frame), len(frame)
        )
        return self.block(6, head + frame + b"\0" * (-len(frame) % 4))

    def obsolete(self, stamp: int, frame: bytes, interface: int = 0) -> "Pcapng":
        head = struct.pack(
            self.order + "HHIIII", interface, 0xFFFF, stamp >> 32, stamp & 0xFFFFFFFF,
            len(frame), len(frame),
        )
        return self.block(2, head + frame)

    def simple(self, frame: bytes, held: int | None = None) -> "Pcapng":
        return self.block(3, struct.pack(self.order + "I", len(frame)) + frame[:held])


def walk(data: bytes) -> Iterator[tuple[float, int, bytes]]:
    """(time, link type, frame) of a sound capture; ends where it is not."""
    magic = data[:4]
    if magic == b"\x0a\x0d\x0d\x0a":
        yield from _walk_blocks(data)
        return
    order = "<" if magic in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1", b"\x34\xcd\xb2\xa1") else ">"
    if len(data) < 24:
        return
    unit = 1e-9 if magic in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d") else 1e-6
    head = 24 if magic in (b"\x34\xcd\xb2\xa1", b"\xa1\xb2\xcd\x34") else 16
    link = struct.unpack_from(order + "I", data, 20)[0] & 0x03FFFFFF
    at = 24
    while at + head <= len(data):
        second, part, held, _ = struct.unpack_from(order + "IIII", data, at)
        frame = data[at + head : at + head + held]
        if len(frame) < held:
            return
        yield second + part * unit, link, frame
        at += head + held


def _walk_blocks(data: bytes) -> Iterator[tuple[float, int, bytes]]:
    order, at = "<", 0
    interfaces: list[tuple[int, float]] = []
    while at + 12 <= len(data):
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            interfaces = []
        kind, length = struct.unpack_from(order + "II", data, at)
        if length < 12 or at + length > len(data):
            return
        body = data[at + 8 : at + length - 4]
        if kind == 1:
            unit, o = 1e-6, 8
            while o + 4 <= len(body):
                code, n = struct.unpack_from(order + "HH", body, o)
                if code == 9 and n:
                    value = body[o + 4]
                    unit = 2.0 ** -(value & 127) if value & 128 else 10.0**-value
                o += 4 + n + (-n % 4)
            interfaces.append((struct.unpack_from(order + "H", body)[0], unit))
        elif kind == 6 and len(body) >= 20:
            number, high, low, held, _ = struct.unpack_from(order + "IIIII", body)
            if number < len(interfaces):
                link, unit = interfaces[number]
                yield (high << 32 | low) * unit, link, body[20 : 20 + held]
        elif kind == 2 and len(body) >= 20:
            number, _, high, low, held, _ = struct.unpack_from(order + "HHIIII", body)
            if number < len(interfaces):
                link, unit = interfaces[number]
                yield (high << 32 | low) * unit, link, body[20 : 20 + held]
        elif kind == 3 and interfaces:
            yield 0.0, interfaces[0][0], body[4 : 4 + struct.unpack_from(order + "I", body)[0]]
        at += length
