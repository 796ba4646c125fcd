"""Captures: pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng).

A record is a packet. What is in it is packet.pyx's to read, what it belongs to flow.pyx's;
here stand the two containers, and what a broken one still gives: where a record's length
is impossible, the next place that looks like a record is searched, and the bytes between
are one damage row.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from tracelake.native.account cimport Account
from tracelake.native.cursor cimport Cursor, be16, be32, be64, le16, le32, le64, left, span, take
from tracelake.native.feed cimport Feed
from tracelake.native.errors import Corrupt, EvidenceError, Truncated
from tracelake.parsers.artifact import NO_ROWS_YET, Match, Parser
from tracelake.parsers.conn cimport is_ipv4
from tracelake.parsers.flow import FLOW_LIMIT
from tracelake.parsers.netflow cimport is_export
from tracelake.parsers.netflow import Messages
from tracelake.parsers.packet cimport NO_TIME, Packet
from tracelake.parsers.pcap_parts import ONCE, parts
from tracelake.parsers.wire.layers cimport Layers

# No packet is longer, whatever the snap length says (libpcap's own limit is 256 KiB).
cdef int64_t PACKET_LIMIT = 16 << 20
cdef int64_t USUAL_LIMIT = 256 << 10
# Interfaces of a section; libpcap knows no limit, a file of interfaces only must have one.
cdef uint32_t INTERFACE_LIMIT = 1 << 16
# While searching for the next record: how far its time may be from the last one's, seconds.
cdef int64_t NEAR = 7 * 86400

cdef enum:
    MICROSECONDS = 0xA1B2C3D4
    NANOSECONDS = 0xA1B23C4D
    MODIFIED = 0xA1B2CD34           # Kuznetzov's patch: eight more bytes a record

cdef enum:
    SECTION = 0x0A0D0D0A
    BYTE_ORDER = 0x1A2B3C4D
    INTERFACE = 1
    PACKET = 2                      # obsolete
    SIMPLE_PACKET = 3
    NAMES = 4
    STATISTICS = 5
    ENHANCED_PACKET = 6
    DECRYPTION_SECRETS = 10
    CUSTOM = 0x00000BAD
    CUSTOM_DO_NOT_COPY = 0x40000BAD

cdef enum:
    IF_TSRESOL = 9
    IF_TSOFFSET = 14

cdef enum:
    AT_END = 0
    FULL = 1                        # a batch is to be taken

cdef extern from *:
    """
    #define TL_BILLION 1000000000LL
    """
    int64_t BILLION "TL_BILLION"


cdef struct Interface:
    int link
    uint32_t snap
    uint64_t units                  # a second has; 0: 2 ** 64
    bint binary
    int exponent                    # units = 10 ** exponent or 2 ** exponent
    int64_t offset                  # seconds to be added


cdef class Capture(Layers):
    """One capture being read.

    Args:
        feed: its bytes.
        account: what became of every packet and byte.
        flow_limit: flows that live at once.
        only: flows are read, and not what is said in them.
        part: which share of the flows is read; all where it is None.
    """

    cdef Feed feed
    cdef object exports             # flows that datagrams hold; None before the first
    cdef Account exported           # of these: of packets, not of the capture
    cdef bint exports_full
    cdef bint blocks                # pcapng
    cdef bint big                   # byte order of the file, or of the section
    # pcap:
    cdef int link
    cdef int64_t header             # size of a record's header
    cdef int64_t fraction           # nanoseconds of a unit below the second
    cdef int64_t longest            # no record is longer
    cdef int64_t snap
    cdef int64_t last_second        # of the latest record; -1 before the first
    # pcapng:
    cdef Interface* interfaces
    cdef uint32_t interface_count

    def __cinit__(self, *args, **kwargs):
        self.interfaces = <Interface*>calloc(INTERFACE_LIMIT, sizeof(Interface))
        if self.interfaces is NULL:
            raise MemoryError()
        self.last_second = -1

    def __init__(
        self, Feed feed, Account account, Py_ssize_t flow_limit=FLOW_LIMIT, bint only=False,
        part=None,
    ):
        super().__init__(account, flow_limit, only, part)
        self.feed = feed

    def __dealloc__(self):
        free(self.interfaces)

    def open(self):
        """Reads what stands before the first record. Raises Truncated or Corrupt."""
        cdef Py_ssize_t have = self.feed.fill(24)
        cdef const uint8_t* h = self.feed.at()
        cdef uint32_t magic
        if have < 12:
            raise Truncated("file header", 0, f"needs 24 bytes, {have} are there")
        if le32(h) == SECTION:
            # The first block is read as all others are.
            if le32(h + 8) != BYTE_ORDER and be32(h + 8) != BYTE_ORDER:
                raise Corrupt("byte-order magic", 8, f"is {le32(h + 8):#010x}")
            self.blocks = True
            return
        magic = le32(h)
        self.big = not _is_magic(magic)
        if self.big:
            magic = be32(h)
        if not _is_magic(magic):
            raise Corrupt("magic number", 0, f"is {le32(h):#010x}: no pcap or pcapng capture")
        if have < 24:
            raise Truncated("file header", 0, f"needs 24 bytes, {have} are there")
        self.header = 24 if magic == MODIFIED else 16
        self.fraction = 1 if magic == NANOSECONDS else 1000
        self.snap = self._u32(h + 16)
        # Above the link type stand the length of a frame check sequence and reserved bits.
        self.link = <int>(self._u32(h + 20) & 0x03FFFFFF)
        self.longest = self.snap if self.snap > USUAL_LIMIT else USUAL_LIMIT
        if self.longest > PACKET_LIMIT:
            self.longest = PACKET_LIMIT
        self.feed.advance(24)
        if self.first:
            self.account.bytes_structure += 24

    def step(self):
        """Reads on until a batch is full or the capture ends; False at its end."""
        cdef int state
        with nogil:
            state = self._read_blocks() if self.blocks else self._read_records()
        return state == FULL

    def finish(self):
        """Ends the flows that still live, until a batch is full; False when all have ended."""
        cdef int more
        with nogil:
            more = self.flows.finish()
        return more != 0

    def take(self, bint all):
        """The batches that are full, or all that have rows: (table, batch) each."""
        batches = self.flows.take(all)
        if self.exports is not None:
            if all:
                self.exports.end()
                self._export_damage()
                self.account.repairs += self.exported.repairs
            batches.extend(self.exports.batches(all))
            self.exports_full = False
        return batches

    cdef inline uint32_t _u32(self, const uint8_t* p) noexcept nogil:
        return be32(p) if self.big else le32(p)

    cdef inline uint16_t _u16(self, const uint8_t* p) noexcept nogil:
        return be16(p) if self.big else le16(p)

    cdef inline bint _full(self) noexcept nogil:
        return self.flows.full() or self.exports_full

    cdef int _export(self) except -1:
        """Reads the flows that the packet at hand, a datagram, tells of (NetFlow, IPFIX)."""
        cdef Packet* p = &self.packet
        cdef const uint8_t* data = p.payload + 8
        cdef int64_t offset = self.feed.offset() + (data - self.feed.at())
        cdef const uint8_t* source = <const uint8_t*>&p.src
        cdef int first = 12 if is_ipv4(&p.src) else 0
        if self.exports is None:
            self.exported = Account()
            self.exports = Messages(self.feed, self.exported)
        self.exports_full = self.exports.datagram(
            (<const char*>data)[:p.payload_length - 8], offset, (<const char*>source)[first:16]
        )
        self._export_damage()
        return 0

    cdef int _export_damage(self) except -1:
        """What of exported flows cannot be read is damage beside the packets, which can."""
        batch = self.exported.take_damage()
        if batch is not None:
            for each in batch.to_pylist():
                self.account.broken(
                    each["src_offset"], each["src_length"], each["what"], each["why"])
        return 0

    cdef int datagram(self, const Packet* p) except -1 nogil:
        if is_export(p.payload + 8, p.payload_length - 8):
            with gil:
                self._export()
        return 0

    cdef int _broken(
        self, int64_t offset, int64_t n, const char* what, const char* why
    ) except -1 nogil:
        """A region in which no record can be told from the next."""
        if not self.first:
            return 0
        self.account.records += 1
        return self.account.damage(offset, n, what, why, NULL, 0)

    # pcap

    cdef int _read_records(self) except -1 nogil:
        cdef int64_t have, length, wire, need
        cdef uint32_t second, part
        cdef const uint8_t* h
        cdef Packet* p = &self.packet
        while True:
            if self._full():
                return FULL
            have = self.feed.fill(self.header)
            if have < self.header:
                if have:
                    self._broken(
                        self.feed.offset(), have, b"record header", b"the capture ends in it"
                    )
                    self.feed.advance(have)
                return AT_END
            h = self.feed.at()
            second = self._u32(h)
            part = self._u32(h + 4)
            length = self._u32(h + 8)
            wire = self._u32(h + 12)
            if length > self.longest:
                self._search_record(b"the captured length is impossible")
                continue
            need = self.header + length
            have = self.feed.fill(need)
            h = self.feed.at()
            if have < need:
                if length > wire or (0 < self.snap < length):
                    self._search_record(b"the captured length is more than is left")
                    continue
                self._broken(self.feed.offset(), have, b"packet", b"the capture ends in it")
                if self.first:
                    self.account.bytes_records += have
                self.feed.advance(have)
                return AT_END
            p.time = second * BILLION + part * self.fraction
            p.offset = self.feed.offset()
            p.length = need
            self.last_second = second
            self.take_packet(self.link, h + self.header, length, wire)
            self.feed.advance(need)

    cdef bint _likely_record(self, const uint8_t* h) noexcept nogil:
        cdef int64_t second = self._u32(h), length = self._u32(h + 8), wire = self._u32(h + 12)
        if self.last_second >= 0:
            if second > self.last_second + NEAR or second < self.last_second - NEAR:
                return False
        elif second == 0:
            return False
        if self._u32(h + 4) * self.fraction >= BILLION:
            return False
        return 0 < length <= wire and wire <= USUAL_LIMIT and length <= self.longest

    cdef int _search_record(self, const char* why) except -1 nogil:
        """Moves to the next place that looks like a record with another one (or the end)
        behind it. What is passed is one damage row."""
        cdef int64_t from_ = self.feed.offset(), have, at = 1, length, next
        cdef bint found = False
        while not found:
            have = self.feed.fill(at + self.header)
            if have < at + self.header:
                at = have               # nothing more
                break
            while at + self.header <= have:
                if not self._likely_record(self.feed.at() + at):
                    at += 1
                    continue
                length = self._u32(self.feed.at() + at + 8)
                next = at + self.header + length
                have = self.feed.fill(next + self.header)
                if have == next or (
                    have >= next + self.header and self._likely_record(self.feed.at() + next)
                ):
                    found = True
                    break
                at += 1
            if not found and at > USUAL_LIMIT:
                self.feed.advance(at - 1)
                at = 1
        self.feed.advance(at)
        return self._broken(from_, self.feed.offset() - from_, b"packet record", why)

    # pcapng

    cdef int _read_blocks(self) except -1 nogil:
        cdef int64_t have, length
        cdef uint32_t kind
        cdef const uint8_t* h
        while True:
            if self._full():
                return FULL
            have = self.feed.fill(12)
            if have < 12:
                if have:
                    self._broken(self.feed.offset(), have, b"block", b"the capture ends in it")
                    self.feed.advance(have)
                return AT_END
            h = self.feed.at()
            kind = self._u32(h)
            if kind == SECTION:
                if le32(h + 8) == BYTE_ORDER:
                    self.big = False
                elif be32(h + 8) == BYTE_ORDER:
                    self.big = True
                else:
                    self._search_block(b"the byte-order magic is none")
                    continue
                self.interface_count = 0
            length = self._u32(h + 4)
            if length < 12 or length & 3:
                self._search_block(b"the block's length is impossible")
                continue
            if kind == ENHANCED_PACKET or kind == SIMPLE_PACKET or kind == PACKET:
                if length > PACKET_LIMIT:
                    self._search_block(b"the block's length is impossible")
                    continue
                have = self.feed.fill(length)
                h = self.feed.at()
                if have < length:
                    if not self._ends_here(have):
                        continue
                    return AT_END
                if self._u32(h + length - 4) != length:
                    self._search_block(b"the block's two lengths differ")
                    continue
                self._packet_block(kind, h, length)
                self.feed.advance(length)
            elif not self._other_block(kind, length):
                return AT_END

    cdef bint _ends_here(self, int64_t have) except -1 nogil:
        """The capture ends inside a block: 1. Unless blocks can be found in what is left: 0."""
        self._search_block(b"the capture ends in it")
        if self.feed.fill(1):
            return False
        if self.first:
            self.account.bytes_records += have
        return True

    cdef int _other_block(self, uint32_t kind, int64_t length) except -1 nogil:
        """Passes a block that holds no packet; 0 at the end of the capture."""
        cdef int64_t from_ = self.feed.offset(), have, want
        if kind == INTERFACE:
            want = length if length < 65536 else 65536
            have = self.feed.fill(want)
            if have >= want:
                self._interface(self.feed.at(), want)
        if length > PACKET_LIMIT and not _known(kind):
            self._search_block(b"the block's length is impossible")
            return 1
        self.feed.skip(length)
        have = self.feed.offset() - from_
        if have < length:
            self._broken(from_, have, b"block", b"the capture ends in it")
            return 0
        if self.first:
            self.account.bytes_structure += length
        return 1

    cdef void _interface(self, const uint8_t* h, int64_t length) noexcept nogil:
        """Interface Description Block (section 4.2)."""
        cdef Interface* i
        cdef Cursor c
        cdef const uint8_t* o
        cdef uint16_t code, n
        if length < 20 or self.interface_count >= INTERFACE_LIMIT:
            return
        i = self.interfaces + self.interface_count
        self.interface_count += 1
        i.link = self._u16(h + 8)
        i.snap = self._u32(h + 12)
        i.units = 1000000
        i.binary = False
        i.exponent = 6
        i.offset = 0
        c = span(h + 16, length - 20, 0)
        while left(&c) >= 4:
            o = take(&c, 4, b"option")
            code = self._u16(o)
            n = self._u16(o + 2)
            if code == 0 or left(&c) < n:
                break
            o = take(&c, n, b"option value")
            if code == IF_TSRESOL and n >= 1:
                _set_resolution(i, o[0])
            elif code == IF_TSOFFSET and n >= 8:
                i.offset = <int64_t>(be64(o) if self.big else le64(o))
            n = -n & 3
            if left(&c) < n:
                break
            take(&c, n, b"padding")

    cdef int _packet_block(self, uint32_t kind, const uint8_t* h, int64_t length) except -1 nogil:
        """Enhanced, simple or obsolete packet block (sections 4.3, 4.4, appendix A); all of it
        is there."""
        cdef Packet* p = &self.packet
        cdef Interface* i
        cdef uint32_t number = 0
        cdef int64_t captured, wire, room, head
        p.offset = self.feed.offset()
        p.length = length
        p.time = NO_TIME
        head = 12 if kind == SIMPLE_PACKET else 28
        room = length - head - 4
        if room < 0:
            return self._bad_block(p, b"it is too short for its head")
        if kind == ENHANCED_PACKET:
            number = self._u32(h + 8)
        elif kind == PACKET:
            number = self._u16(h + 8)
        if number >= self.interface_count:
            return self._bad_block(p, b"its interface is not described")
        i = self.interfaces + number
        if kind == SIMPLE_PACKET:
            wire = self._u32(h + 8)
            captured = wire
            if i.snap and captured > i.snap:
                captured = i.snap
        else:
            p.time = _nanoseconds(i, <uint64_t>self._u32(h + 12) << 32 | self._u32(h + 16))
            captured = self._u32(h + 20)
            wire = self._u32(h + 24)
        if captured > room:
            return self._bad_block(p, b"the captured length is more than the block's")
        return self.take_packet(i.link, h + head, captured, wire)

    cdef int _bad_block(self, const Packet* p, const char* why) except -1 nogil:
        if self.first:
            self.account.bytes_records += p.length
        return self._broken(p.offset, p.length, b"packet block", why)

    cdef bint _likely_block(self, const uint8_t* h) noexcept nogil:
        cdef uint32_t kind = self._u32(h), length = self._u32(h + 4)
        return _known(kind) and not length & 3 and 12 <= length <= USUAL_LIMIT

    cdef int _search_block(self, const char* why) except -1 nogil:
        """Moves to the next place that looks like a whole block. What is passed is one damage
        row."""
        cdef int64_t from_ = self.feed.offset(), have, at = 1, length
        cdef bint found = False
        while not found:
            have = self.feed.fill(at + 12)
            if have < at + 12:
                at = have
                break
            while at + 12 <= have:
                if not self._likely_block(self.feed.at() + at):
                    at += 1
                    continue
                length = self._u32(self.feed.at() + at + 4)
                have = self.feed.fill(at + length)
                if have >= at + length and self._u32(self.feed.at() + at + length - 4) == length:
                    found = True
                    break
                at += 1
            if not found and at > USUAL_LIMIT:
                self.feed.advance(at - 1)
                at = 1
        self.feed.advance(at)
        return self._broken(from_, self.feed.offset() - from_, b"block", why)


cdef bint _is_magic(uint32_t magic) noexcept nogil:
    return magic == MICROSECONDS or magic == NANOSECONDS or magic == MODIFIED


cdef bint _known(uint32_t kind) noexcept nogil:
    return (
        kind == SECTION or 1 <= kind <= 10 or kind == CUSTOM or kind == CUSTOM_DO_NOT_COPY
    )


cdef void _set_resolution(Interface* i, uint8_t value) noexcept nogil:
    """if_tsresol: the exponent, of 2 where the first bit is set, else of 10."""
    cdef int n
    i.binary = value & 0x80 != 0
    i.exponent = value & 0x7F
    i.units = 1
    if i.binary:
        i.units = <uint64_t>1 << i.exponent if i.exponent < 64 else 0
    else:
        for n in range(i.exponent if i.exponent < 20 else 0):
            i.units *= 10
        if i.exponent > 19:
            i.units = 0


cdef int64_t _nanoseconds(const Interface* i, uint64_t stamp) noexcept nogil:
    """A time stamp in nanoseconds since 1970; NO_TIME where it is beyond what 64 bits hold."""
    cdef uint64_t seconds, rest
    cdef int64_t sum
    cdef int shift
    if i.units == 0:
        return NO_TIME              # finer than any clock: the seconds cannot be told
    seconds = stamp // i.units
    rest = stamp % i.units
    if seconds > 9000000000ULL or i.offset > 9000000000LL or i.offset < -9000000000LL:
        return NO_TIME
    sum = <int64_t>seconds + i.offset
    if sum > 9000000000LL or sum < -9000000000LL:
        return NO_TIME
    if i.binary:
        shift = i.exponent - 32
        if shift > 0:
            rest = (rest >> shift) * BILLION >> 32
        else:
            rest = rest * BILLION >> i.exponent
    elif i.exponent <= 9:
        rest = rest * (<uint64_t>BILLION // i.units)
    else:
        rest = rest // (i.units // <uint64_t>BILLION)
    return sum * BILLION + <int64_t>rest


def match(head: bytes, path: str) -> tuple[Match, str]:
    """Whether an artifact is a capture: by its magic number."""
    cdef const uint8_t* p = <const uint8_t*><const char*>head
    if len(head) >= 12 and le32(p) == SECTION:
        if le32(p + 8) == BYTE_ORDER or be32(p + 8) == BYTE_ORDER:
            return Match.CONTENT, ""
        return Match.NO, f"begins like pcapng, but its byte-order magic is {head[8:12].hex()}"
    if len(head) >= 4 and (_is_magic(le32(p)) or _is_magic(be32(p))):
        return Match.CONTENT, ""
    if len(head) < 24 and path.lower().endswith((".pcap", ".pcapng", ".cap")):
        return Match.NAME, f"has only {len(head)} bytes"
    # The same words for every such file: a summary of thousands says each reason once.
    return Match.NO, "no magic number of pcap or pcapng"


class PartOfCapture:
    """The flows of one share of a capture, read from all of its packets (docs/parts.md)."""

    alone = False

    def __init__(self, artifact, part, bint only):
        self._artifact = artifact
        self._part = part
        self._capture = Capture(artifact.feed, artifact.account, only=only, part=part)
        self._once = []         # rows that are said once of the whole capture

    def read(self):
        """As `read`, of the share."""
        while self._part.more():
            try:
                yield from _rows(self._capture, self._once)
            except EvidenceError as error:
                # What one reader of the whole says of it, too, and once.
                if self._part.number == 0:
                    self._artifact.account.broken(error.offset, 0, error.what, error.why)

    def facts(self):
        """The rows that other parts may have, too."""
        return self._once

    def shared(self, others):
        return b""


def _rows(Capture capture, once):
    """The rows of a capture; those of ONCE go to `once` instead, where that is a list."""
    def sorted_out(batches):
        for table, batch in batches:
            if once is not None and table in ONCE:
                once.append((table, batch))
            else:
                yield table, batch

    stopped = None
    capture.open()
    more = True
    while more:
        try:
            more = capture.step()
        except EvidenceError as error:
            stopped = error
            more = False
        if more:
            yield from sorted_out(capture.take(all=False))
            yield NO_ROWS_YET
    while capture.finish():
        yield from sorted_out(capture.take(all=False))
    capture.count()
    yield from sorted_out(capture.take(all=True))
    if stopped is not None:
        raise stopped


def read(artifact, Py_ssize_t flow_limit=FLOW_LIMIT):
    """Reads a capture.

    Args:
        artifact: the capture.
        flow_limit: flows that live at once; beyond, the one that would end first becomes a
            row with an X in its history.

    Yields:
        ("network_activity", RecordBatch), a batch of each table of what was said in the flows
        (docs/protocols.md), ("raw_event", RecordBatch) where flows were exported in it;
        NO_ROWS_YET in between.

    Raises:
        EvidenceError: where the capture cannot be read on; the rows before have been yielded.
    """
    yield from _rows(Capture(artifact.feed, artifact.account, flow_limit), None)


def read_flows(artifact, Py_ssize_t flow_limit=FLOW_LIMIT):
    """As `read`, of the flows alone: ("network_activity", RecordBatch)."""
    yield from _rows(Capture(artifact.feed, artifact.account, flow_limit, True), None)


FLOWS_ONLY = Parser(
    name="pcap_flows",
    version="1",
    match=match,
    tables=("network_activity",),
    read=read_flows,
    parts=parts(lambda artifact, part: PartOfCapture(artifact, part, True)),
)

PARSER = Parser(
    name="pcap",
    version="1",
    match=match,
    tables=(
        "network_activity", "dns_activity", "http_activity", "tls_activity", "smb_activity",
        "authentication", "remote_access_activity", "net_service_activity", "ics_activity",
        "network_file_activity", "certificate", "network_weird", "raw_event",
    ),
    read=read,
    parts=parts(lambda artifact, part: PartOfCapture(artifact, part, False)),
    brief=FLOWS_ONLY,
    files=("*.pcap", "*.pcapng"),
)
