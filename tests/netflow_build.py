"""Builds NetFlow and IPFIX messages and files of nfdump, byte by byte from their specifications.

RFC 3954, RFC 7011, RFC 5103; Cisco, "NetFlow Export Datagram Format"; nfdump's nffile.h, nfxV3.h.
"""

import bz2
import struct
from collections.abc import Sequence
from ipaddress import ip_address

import zstandard

from tests.packets import ethernet, ipv4, pcap, udp

SECONDS = 1_600_000_000
"""2020-09-13T12:26:40Z: when every message is exported, unless told otherwise."""
UPTIME = 100_000
"""Milliseconds that the exporter has run by then."""
VARIABLE = 65535

FieldSpec = tuple[int, int] | tuple[int, int, int]
"""Element and bytes; of another enterprise its number as well."""


def v5_record(
    source: str = "10.0.0.1", target: str = "192.0.2.2", *, ports: tuple[int, int] = (1024, 80),
    protocol: int = 6, packets: int = 3, octets: int = 180, first: int = 90_000,
    last: int = 95_500, flags: int = 0x1B, asn: tuple[int, int] = (64500, 64501),
) -> bytes:  # fmt: skip
    """One flow of version 5; `first` and `last` are of the exporter's clock."""
    return struct.pack(
        ">4s4s4sHHIIIIHHBBBBHHBBH", ip_address(source).packed, ip_address(target).packed,
        ip_address("198.51.100.254").packed, 3, 7, packets, octets, first, last, *ports, 0, flags,
        protocol, 0x10, *asn, 24, 16, 0,
    )


def v5(*records: bytes, sequence: int = 1000, sampling: int = 0, seconds: int = SECONDS,
       uptime: int = UPTIME, count: int | None = None) -> bytes:  # fmt: skip
    """A message of version 5."""
    return struct.pack(
        ">HHIIIIBBH", 5, len(records) if count is None else count, uptime, seconds, 123_999_999,
        sequence, 1, 2, sampling,
    ) + b"".join(records)  # fmt: skip


def v1(*records: bytes) -> bytes:
    """A message of version 1, of flows of version 5."""
    made = b"".join(
        r[:36] + b"\0\0" + r[38:39] + r[39:40] + r[37:38] + bytes(7) for r in records
    )
    return struct.pack(">HHIII", 1, len(records), UPTIME, SECONDS, 0) + made


def v7(*records: bytes) -> bytes:
    """A message of version 7, of flows of version 5."""
    made = b"".join(r + ip_address("203.0.113.9").packed for r in records)
    return struct.pack(">HHIIIII", 7, len(records), UPTIME, SECONDS, 0, 5, 0) + made


def fields(specs: Sequence[FieldSpec]) -> bytes:
    """Field specifiers (RFC 7011, 3.2)."""
    made = b""
    for spec in specs:
        if len(spec) == 3:
            made += struct.pack(">HHI", spec[0] | 0x8000, spec[1], spec[2])
        else:
            made += struct.pack(">HH", *spec)
    return made


def template(number: int, *specs: FieldSpec) -> bytes:
    """A template record, of version 9 and of IPFIX."""
    return struct.pack(">HH", number, len(specs)) + fields(specs)


def options_9(number: int, scopes: Sequence[FieldSpec], *specs: FieldSpec) -> bytes:
    """An options template record of version 9."""
    return struct.pack(">HHH", number, 4 * len(scopes), 4 * len(specs)) + fields([*scopes, *specs])


def options_10(number: int, scopes: Sequence[FieldSpec], *specs: FieldSpec) -> bytes:
    """An options template record of IPFIX."""
    count = len(scopes) + len(specs)
    return struct.pack(">HHH", number, count, len(scopes)) + fields([*scopes, *specs])


def a_set(number: int, *contents: bytes, pad: int = 4) -> bytes:
    """A set, padded with zeros."""
    body = b"".join(contents)
    body += bytes(-len(body) % pad)
    return struct.pack(">HH", number, 4 + len(body)) + body


def v9(*sets: bytes, source: int = 256, sequence: int = 77, seconds: int = SECONDS,
       uptime: int = UPTIME, count: int = 1) -> bytes:  # fmt: skip
    """A message of version 9."""
    return struct.pack(">HHIIII", 9, count, uptime, seconds, sequence, source) + b"".join(sets)


def ipfix(*sets: bytes, domain: int = 512, sequence: int = 5000, seconds: int = SECONDS) -> bytes:
    """A message of IPFIX."""
    body = b"".join(sets)
    return struct.pack(">HHIII", 10, 16 + len(body), seconds, sequence, domain) + body


def variable(value: bytes, long: bool = False) -> bytes:
    """A value that says how long it is (RFC 7011, 7)."""
    if long or len(value) > 254:
        return b"\xff" + struct.pack(">H", len(value)) + value
    return bytes([len(value)]) + value


def ntp(seconds: float) -> bytes:
    """A time of 64 bits (RFC 5905), of seconds since 1970."""
    whole = int(seconds)
    return struct.pack(">II", whole + 2_208_988_800 & 0xFFFFFFFF, round((seconds - whole) * 2**32))


# --- files of nfdump ---------------------------------------------------------------------------

NOT_PACKED, LZO, BZ2, LZ4, ZSTD = range(5)


def lzo(data: bytes) -> bytes:
    """A stream of LZO1X that is one run of literals."""
    length = len(data)
    if length <= 238:
        return bytes([17 + length]) + data + b"\x11\0\0"
    zeros, rest = divmod(length - 18 - 1, 255)
    return bytes(1 + zeros) + bytes([rest + 1]) + data + b"\x11\0\0"


def lz4(data: bytes) -> bytes:
    """An LZ4 block that is one run of literals."""
    if len(data) < 15:
        return bytes([len(data) << 4]) + data
    full, rest = divmod(len(data) - 15, 255)
    return b"\xf0" + b"\xff" * full + bytes([rest]) + data


PACKERS = {
    LZO: lzo, BZ2: bz2.compress, LZ4: lz4, ZSTD: zstandard.ZstdCompressor().compress,
    NOT_PACKED: bytes,
}  # fmt: skip


def block(*records: bytes, packing: int = NOT_PACKED, kind: int = 3, flags: int = 0) -> bytes:
    """A block of records."""
    body = PACKERS[packing](b"".join(records))
    return struct.pack("<IIHH", len(records), len(body), kind, flags) + body


def nfcapd_2(*blocks: bytes, packing: int = NOT_PACKED, encryption: int = 0) -> bytes:
    """A file of layout 2."""
    head = struct.pack(
        "<HHIqBBHIqII", 0xA50C, 2, 0x01070101, SECONDS, packing, encryption, 0, 1, 0, 65536,
        len(blocks),
    )  # fmt: skip
    return head + b"".join(blocks)


def nfcapd_1(*blocks: bytes, packing: int = NOT_PACKED, ident: str = "border") -> bytes:
    """A file of layout 1."""
    flags = {NOT_PACKED: 0, LZO: 1, BZ2: 8, LZ4: 16}[packing]
    head = struct.pack("<HHII128s", 0xA50C, 1, flags, len(blocks), ident.encode())
    return head + bytes(136) + b"".join(blocks)


def record(kind: int, body: bytes) -> bytes:
    """A record of a block."""
    return struct.pack("<HH", kind, 4 + len(body)) + body


def element(kind: int, body: bytes) -> bytes:
    """An element of a flow of layout 2."""
    return struct.pack("<HH", kind, 4 + len(body)) + body


def generic(
    *, first: int = SECONDS * 1000, last: int = SECONDS * 1000 + 2500, packets: int = 10,
    octets: int = 1000, ports: tuple[int, int] = (40000, 443), protocol: int = 6, flags: int = 0x1B,
    status: int = 0, tos: int = 0,
) -> bytes:  # fmt: skip
    """The element that every flow of layout 2 has."""
    return element(1, struct.pack(
        "<QQQQQHHBBBB", first, last, 0, packets, octets, *ports, protocol, flags, status, tos,
    ))  # fmt: skip


def little(address: str) -> bytes:
    """An address as nfdump keeps it: little-endian words of 32 or 64 bits."""
    packed = ip_address(address).packed
    if len(packed) == 4:
        return packed[::-1]
    return packed[7::-1] + packed[:7:-1]


def ends(source: str = "10.0.0.1", target: str = "192.0.2.2") -> bytes:
    """The element of addresses."""
    kind = 2 if ip_address(source).version == 4 else 3
    return element(kind, little(source) + little(target))


def flow_2(*elements: bytes, exporter: int = 1, version: int = 9, flags: int = 0,
           engine: tuple[int, int] = (0, 0)) -> bytes:  # fmt: skip
    """A flow of layout 2."""
    return record(11, struct.pack(
        "<HBBHBB", len(elements), *engine, exporter, flags, version) + b"".join(elements))


def exporter(
    number: int = 1, address: str = "192.0.2.250", version: int = 9, domain: int = 77
) -> bytes:
    """The record that says who an exporter is."""
    packed = ip_address(address).packed
    kept = bytes(8) + packed[::-1] + bytes(4) if len(packed) == 4 else little(address)
    family = 2 if len(packed) == 4 else 10
    return record(7, struct.pack("<I16sHHI", version, kept, family, number, domain))


EXTENSION_BYTES = {
    4: 4, 5: 8, 6: 4, 7: 8, 8: 4, 9: 4, 10: 16, 11: 4, 12: 16, 13: 4, 14: 4, 15: 8, 16: 4, 17: 8,
    18: 4, 19: 8, 20: 16, 21: 16, 22: 40, 23: 4, 24: 16, 25: 4, 26: 8, 27: 8, 37: 20, 38: 4, 39: 8,
    40: 32, 41: 24, 42: 24, 43: 72, 45: 24, 46: 12, 47: 8, 48: 8,
}  # fmt: skip
"""What each extension of layout 1 takes in a record."""


def extension_map(number: int, *extensions: int) -> bytes:
    """An extension map of layout 1."""
    ids = struct.pack(f"<{len(extensions)}H", *extensions) + b"\0\0"
    ids += bytes(-len(ids) % 4)
    size = sum(EXTENSION_BYTES.get(each, 0) for each in extensions)
    return record(2, struct.pack("<HH", number, size) + ids)


def flow_1(
    number: int, extensions: bytes = b"", *, source: str = "10.0.0.1", target: str = "192.0.2.2",
    wide: bool = False, exporter: int = 1, packets: int = 5, octets: int = 500, protocol: int = 17,
    ports: tuple[int, int] = (5353, 53), old: bool = False,
) -> bytes:  # fmt: skip
    """A flow of layout 1: with an exporter's number in a byte (`old`) or in two."""
    six = ip_address(source).version == 6
    flags = six | 6 * wide
    number_of = "<QQ" if wide else "<II"
    common = struct.pack("<BB" if old else "<H", *((flags, exporter) if old else (flags,)))
    common += struct.pack(
        "<HHHIIBBBBHH", number, 250, 750, SECONDS, SECONDS + 1, 64, 0, protocol, 8, *ports
    )
    if not old:
        common += struct.pack("<HH", exporter, 0)
    common += little(source) + little(target) + struct.pack(number_of, packets, octets)
    return record(1 if old else 10, common + extensions)


# --- seeds of the fuzzer -----------------------------------------------------------------------

PLAIN = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (1, 4), (2, 4), (22, 4), (21, 4))
"""What most exporters send."""


def plain(number: int) -> bytes:
    """A record of `PLAIN`."""
    return struct.pack(
        ">4s4sHHBBIIII", ip_address("10.1.0.1").packed, ip_address("198.51.100.7").packed,
        40000 + number, 443, 6, 0x18, 1500 + number, 4, UPTIME - 5000, UPTIME - 10,
    )  # fmt: skip


def seeds() -> list[tuple[str, bytes]]:
    """(name, bytes): small files of every kind, where fuzzing starts from."""
    old = v5(v5_record(), v5_record(protocol=1, ports=(0, 0x0800)), sampling=0x4064)
    nine = v9(
        a_set(0, template(256, *PLAIN)), a_set(1, options_9(257, [(1, 4)], (34, 4), (35, 1))),
        a_set(257, struct.pack(">IIB", 1, 100, 2)), a_set(256, plain(1), plain(2)),
    ) + v9(a_set(256, *(plain(i) for i in range(5))), a_set(0, template(256, *PLAIN[:7])))
    late = v9(a_set(300, plain(1))) + v9(a_set(0, template(300, *PLAIN)), a_set(300, plain(2)))
    ten = ipfix(
        a_set(2, template(400, (27, 16), (28, 16), (152, 8), (153, 8), (1, 8), (1, 8, 29305),
                          (82, VARIABLE), (33, 2, 6871), (95, 4))),
        a_set(400, ip_address("2001:db8::1").packed, ip_address("2001:db8::2").packed,
              struct.pack(">QQQQ", 1600000000123, 1600000001456, 900, 90), variable(b"eth0"),
              struct.pack(">HI", 80, 0x0D000001), pad=1),
        a_set(3, options_10(401, [(302, 8)], (305, 4), (306, 4), (335, VARIABLE))),
        a_set(401, struct.pack(">QII", 1, 1, 99), variable(b"every hundredth", long=True), pad=1),
    )  # fmt: skip
    flows = [
        exporter(), flow_2(generic(), ends()),
        flow_2(generic(protocol=58), ends("::1", "2001:db8::2")),
        flow_2(generic(), ends(),
               element(4, struct.pack("<IIBBBBBBH", 1, 2, 24, 24, 1, 0, 1, 3, 0)),
               element(5, struct.pack("<QQQ", 1, 2, 3)), element(28, b"a label\0")),
    ]  # fmt: skip
    older = [
        extension_map(3, 4, 8, 25),
        flow_1(3, struct.pack("<HHBBBBHBB", 1, 2, 0, 1, 24, 16, 0, 3, 4)),
        extension_map(4), flow_1(4, source="::1", target="::2", wide=True), flow_1(4, old=True),
    ]  # fmt: skip
    frames = [ethernet(ipv4(udp(50000, 2055, each), 17)) for each in (late, nine[:148], old, ten)]
    capture = pcap([(SECONDS + i / 8, frame) for i, frame in enumerate(frames)])
    return [
        ("export.pcap", capture),
        ("v1", v1(v5_record()) * 2), ("v5", old), ("v5 twice", old + b"\1\2\3" + old), ("v9", nine),
        ("v7", v7(v5_record(), v5_record())), ("v9 late", late), ("ipfix", ten),
        ("all", old + nine + ten + v7(v5_record())),
        *((f"nfcapd.2.{p}",
           nfcapd_2(block(*flows, packing=p), block(flows[1], packing=p), packing=p))
          for p in PACKERS),
        *((f"nfcapd.1.{p}", nfcapd_1(block(*older, packing=p, kind=2), packing=p))
          for p in (NOT_PACKED, LZO, BZ2, LZ4)),
    ]  # fmt: skip


# --- messages with all that is usual -----------------------------------------------------------

WIDE = (
    (8, 4), (12, 4), (15, 4), (18, 4), (7, 2), (11, 2), (4, 1), (5, 1), (55, 1), (6, 1), (61, 1),
    (89, 1), (136, 1), (1, 8), (2, 8), (23, 4), (24, 4), (10, 4), (14, 4), (16, 4), (17, 4), (9, 1),
    (13, 1), (58, 2), (59, 2), (56, 6), (80, 6), (57, 6), (81, 6), (70, 3), (71, 3), (225, 4),
    (226, 4), (227, 2), (228, 2), (52, 1), (53, 1),
)  # fmt: skip
"""Elements of a border router, times left out."""


def wide() -> bytes:
    """A record of `WIDE`."""
    def ip(text: str) -> bytes:
        return ip_address(text).packed

    return b"".join((
        ip("10.20.30.40"), ip("203.0.113.80"), ip("198.51.100.1"), ip("198.51.100.2"),
        struct.pack(">HHBBBBBBB", 51515, 8443, 6, 0xB8, 0x20, 0x1E, 1, 0x40, 3),
        struct.pack(">QQII", 5_000_000_000, 4_000_000, 77_000, 55), struct.pack(">II", 1001, 70000),
        struct.pack(">II", 64512, 4200000001), struct.pack(">BBHH", 20, 28, 100, 200),
        bytes.fromhex("0050568000aa0050568000bb0050568000cc0050568000dd"),
        (16001 << 4 | 5 << 1).to_bytes(3, "big"), (299776 << 4 | 1).to_bytes(3, "big"),
        ip("192.0.2.199"), ip("203.0.113.81"), struct.pack(">HHBB", 61000, 443, 57, 64),
    ))  # fmt: skip


def router_9() -> bytes:
    """Version 9 of a border router: IPv4 with everything, IPv6, ICMP."""
    six = ((27, 16), (28, 16), (62, 16), (63, 16), (7, 2), (11, 2), (4, 1), (6, 1), (1, 4), (2, 4),
           (22, 4), (21, 4), (29, 1), (30, 1))
    record6 = b"".join(ip_address(a).packed for a in (
        "2001:db8:1::10", "2001:db8:2::20", "2001:db8::fe", "2001:db8::ff"))
    times = struct.pack(">II", UPTIME - 60_000, UPTIME - 1)
    icmp = ((8, 4), (12, 4), (4, 1), (32, 2), (1, 4), (2, 4), (22, 4), (21, 4))
    return v9(
        a_set(0, template(256, *WIDE, (22, 4), (21, 4)), template(257, *six), template(258, *icmp)),
        a_set(256, wide(), times),
        a_set(257, record6, struct.pack(">HHBBII", 33000, 53, 17, 0, 420, 6), times, b"\x30\x20"),
        a_set(258, ip_address("10.0.0.9").packed, ip_address("192.0.2.9").packed,
              struct.pack(">BHII", 1, 0x0303, 84, 1), times), count=6,
    )  # fmt: skip


def router_10() -> bytes:
    """IPFIX of the same."""
    first = (SECONDS - 60) * 1000 + 125
    return ipfix(
        a_set(2, template(300, *WIDE, (152, 8), (153, 8))),
        a_set(300, wide(), struct.pack(">QQ", first, first + 59_000)),
    )


NSEL = (
    (148, 4), (8, 4), (7, 2), (10, 2), (12, 4), (11, 2), (14, 2), (4, 1), (176, 1), (177, 1),
    (225, 4), (226, 4), (227, 2), (228, 2), (233, 1), (33002, 2), (323, 8), (152, 8), (231, 4),
    (232, 4), (298, 4), (299, 4), (33000, 12), (33001, 12), (40000, 20),
)  # fmt: skip
"""A record of Cisco's ASA firewalls."""


def nsel(event: int, extended: int, user: bytes = b"alice", number: int = 4242) -> bytes:
    """A record of `NSEL`."""
    def ip(text: str) -> bytes:
        return ip_address(text).packed

    return b"".join((
        struct.pack(">I", number), ip("10.7.7.7"), struct.pack(">HH", 50123, 3), ip("203.0.113.5"),
        struct.pack(">HHBBB", 443, 4, 6, 0, 0), ip("198.51.100.77"), ip("203.0.113.5"),
        struct.pack(">HHBH", 3333, 443, event, extended),
        struct.pack(">QQ", SECONDS * 1000 - 500, SECONDS * 1000 - 30_500),
        struct.pack(">IIII", 1111, 222_222, 11, 222),
        bytes.fromhex("0a1b2c3d0000000100000002"), bytes(12), user.ljust(20, b"\0"),
    ))  # fmt: skip


def firewall_9() -> bytes:
    """Version 9 of an ASA: made, ended, denied, with users."""
    return v9(
        a_set(0, template(263, *NSEL)),
        a_set(263, nsel(1, 0), nsel(2, 2030), nsel(3, 1001, b"", 4243)), count=4, source=0,
    )  # fmt: skip


def router_1(packing: int = NOT_PACKED) -> bytes:
    """A file of layout 1 of a border router: all that nfdump 1.6 keeps, IPv6, wide counts, ICMP."""
    ids = (4, 7, 8, 9, 11, 13, 14, 16, 18, 20, 21, 22, 23, 25, 26, 27)
    kept = b"".join((
        struct.pack("<HHIIBBBB", 11, 12, 64512, 4200000001, 0x20, 1, 24, 16),
        little("198.51.100.1"), little("198.51.100.2"),
        struct.pack("<HHIII", 100, 200, 55, 77000, 3),
        struct.pack("<QQ", 0x0050568000AA, 0x0050568000CC),
        struct.pack("<QQ", 0x0050568000BB, 0x0050568000DD),
        struct.pack("<10I", 16001 << 4 | 5 << 1, 299776 << 4 | 1, *[0] * 8), little("192.0.2.250"),
        struct.pack("<HBBIIQ", 0, 1, 2, 64510, 64511, SECONDS * 1000 + 9000),
    ))  # fmt: skip
    records = (
        exporter(), extension_map(7, *ids), flow_1(7, kept),
        flow_1(7, kept, packets=1 << 33, octets=1 << 40, wide=True), extension_map(8),
        flow_1(8, source="2001:db8::1", target="2001:db8::2", octets=4_000_000_000),
        flow_1(8, protocol=1, ports=(0, 0x0303)), flow_1(8, protocol=6, old=True),
    )  # fmt: skip
    return nfcapd_1(block(*records, packing=packing, kind=2), packing=packing)
