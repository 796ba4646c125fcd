"""Flows: packets of the same two ends become one row of network_activity.

Which packets belong together, which side began, when a flow ends and what its state is
called are Zeek 7's answers (docs/flows.md), since they are what analysts know. Timeouts run
on packet time. What lives at once is bounded: beyond `limit` flows the one that would end
first is written out, with an X at the end of its history.

Measured: 0.15 us a packet where few flows carry many packets, 1.3 us where each of 190,000
carries three (profile: a quarter of it waits for memory in `_find`, the rest is the rows, of
which a Community ID's SHA-1 is the dearest part; hence it is kept for the flow's DNS rows).
"""

from ipaddress import ip_network

from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memchr, memcmp, memcpy, memset, strlen

from tracelake.native.cursor cimport be16
from tracelake.native.flowtable cimport Deadline, fold
from tracelake.native.text cimport put_mac
from tracelake.normalize import TABLES
from tracelake.parsers.conn cimport (
    CLOSED, ESTABLISHED, INACTIVE, NEVER, ORIG, PARTIAL, RESET, RESP, SYN_ACK_SENT, SYN_SENT,
    Place, Side,
    flip, flow_hash, is_ipv4, name_of, note, note_once, put_address, put_community_id, put_name,
    put_uid,
)
from tracelake.parsers.dns cimport is_question
from tracelake.parsers.packet cimport NO_TIME, same_address
from tracelake.parsers.services cimport put_services
from tracelake.parsers.tcp cimport reuses, size
from tracelake.parsers.wire.checks cimport wrong_checksum

SHARES = 64
FLOW_LIMIT = 1 << 18        # flows alive at once: 150 MiB at most

cdef enum:
    SLAB = 1024             # flows allocated at a time

cdef enum:
    ICMP = 1
    TCP = 6
    UDP = 17
    ICMPV6 = 58
    NTP = 123
    NTP_SERVER = 4          # mode of its messages (RFC 5905, 7.3)
    TRAFFIC = 6             # OCSF activity of class 4001
    TRUNCATED = 1           # parse_flags

cdef extern from *:
    """
    #define TL_NANO 1000000000LL
    """
    int64_t SECOND "TL_NANO"


# Ports that Zeek 7 takes for servers (likely_server_ports): who answers from one of them
# was asked, also where the question was not seen.
TCP_SERVERS = (
    21, 22, 25, 53, 80, 81, 88, 135, 139, 143, 443, 445, 502, 563, 585, 587, 614, 631, 636, 989,
    990, 992, 993, 995, 1080, 1434, 1883, 2811, 3128, 3306, 3389, 5222, 5223, 5269, 6666, 6667,
    6668, 6669, 8000, 8080, 8888, 20000,
)
UDP_SERVERS = (
    53, 67, 88, 123, 137, 161, 162, 443, 514, 1812, 2123, 2152, 3544, 4789, 5060, 5072, 5353, 5355,
    6081, 20000,
)
DNS_PORTS = (53, 137, 5353, 5355)

cdef uint8_t[8192] tcp_servers
cdef uint8_t[8192] udp_servers


cdef int _fill(uint8_t* bits, ports) except -1:
    cdef int port
    memset(bits, 0, 8192)
    for port in ports:
        bits[port >> 3] |= <uint8_t>(1 << (port & 7))
    return 0


_fill(tcp_servers, TCP_SERVERS)
_fill(udp_servers, UDP_SERVERS)


cdef inline bint _serves(const uint8_t* bits, uint16_t port) noexcept nogil:
    return (bits[port >> 3] >> (port & 7)) & 1


cdef inline bint _is_dhcp(uint16_t port) noexcept nogil:
    return port == 67 or port == 68


cdef inline bint _speaks_dns(uint16_t port) noexcept nogil:
    return port == 53 or port == 137 or port == 5353 or port == 5355


cdef bint begun_by_receiver(const Packet* p, uint16_t a, uint16_t b) noexcept nogil:
    """Whether the first packet seen goes from the responder to the originator."""
    cdef uint8_t flags
    if p.protocol == UDP:
        if p.version == 4 and memcmp(<const uint8_t*>&p.dst.low + 4, b"\xff\xff\xff\xff", 4) == 0:
            return False
        return _serves(udp_servers, a) and not _serves(udp_servers, b)
    if p.protocol != TCP:
        return False
    flags = p.payload[13]
    if flags & 2 and not flags & 16:
        return False                    # a SYN comes from who begins
    if not _serves(tcp_servers, a):
        return False
    if _serves(tcp_servers, b):
        # Both could be servers. A SYN-ACK may be a stealth scan's; else the lower port serves.
        return not flags & 2 and a < b
    return True


cdef int icmp_counterpart(uint8_t protocol, uint8_t type) noexcept nogil:
    """The type that answers `type` (RFC 792, 950, 1256, 4443, 4861, 2710, 4620, 6275); -1
    where none does."""
    if protocol == ICMP:
        if type == 8:
            return 0
        if type == 0:
            return 8
        if type == 13 or type == 15 or type == 17:
            return type + 1
        if type == 14 or type == 16 or type == 18:
            return type - 1
        if type == 10:
            return 9
        if type == 9:
            return 10
        return -1
    if type == 128 or type == 133 or type == 135 or type == 139 or type == 144 or type == 130:
        return type + 1
    if type == 129 or type == 134 or type == 136 or type == 140 or type == 145 or type == 131:
        return type - 1
    return -1


cdef class Flows:
    """The flows of one capture.

    Args:
        account: where packets that go into a row are counted as such.
        limit: flows that live at once.
        only: whether flows are all that is wanted, and not what is said in them.
    """

    def __cinit__(self, Account account, Py_ssize_t limit=FLOW_LIMIT, bint only=False):
        if not 1 <= limit <= 1 << 24:
            raise ValueError(f"{limit} flows at once")
        self.account = account
        self.limit = limit
        self.table = IndexTable()
        self.deadlines = Deadlines()
        if not only:
            self.talks = Talks(account)
            self.dns = self.talks.sheets.dns
        self.streams = Streams(self.talks)
        self.repeats = Repeats()
        self.now = self.begin = NO_TIME
        self.slabs = <Flow**>calloc((limit + SLAB - 1) // SLAB, sizeof(Flow*))
        if self.slabs is NULL:
            raise MemoryError()
        rows = self.rows = Rows("network_activity", TABLES["network_activity"].schema)
        self.time = rows.column("time")
        self.time_ns = rows.column("time_ns")
        self.activity_id = rows.column("activity_id")
        self.sub = rows.column("sub")
        self.record_hash = rows.column("record_hash")
        self.src_offset = rows.column("src_offset")
        self.src_length = rows.column("src_length")
        self.parse_flags = rows.column("parse_flags")
        self.conn_uid = rows.column("conn_uid")
        self.community_id = rows.column("community_id")
        self.src_ip = rows.column("src_ip")
        self.src_port = rows.column("src_port")
        self.dst_ip = rows.column("dst_ip")
        self.dst_port = rows.column("dst_port")
        self.vlan_id = rows.column("vlan_id")
        self.transport = rows.column("transport")
        self.protocol_num = rows.column("protocol_num")
        self.ip_version = rows.column("ip_version")
        self.inner_vlan_id = rows.column("inner_vlan_id")
        self.src_mac = rows.column("src_mac")
        self.dst_mac = rows.column("dst_mac")
        self.app_protocol = rows.column("app_protocol")
        self.end_time = rows.column("end_time")
        self.duration_s = rows.column("duration_s")
        self.bytes_out = rows.column("bytes_out")
        self.bytes_in = rows.column("bytes_in")
        self.packets_out = rows.column("packets_out")
        self.packets_in = rows.column("packets_in")
        self.ip_bytes_out = rows.column("ip_bytes_out")
        self.ip_bytes_in = rows.column("ip_bytes_in")
        self.bytes_missed = rows.column("bytes_missed")
        self.conn_state = rows.column("conn_state")
        self.history = rows.column("history")
        self.tcp_flags = rows.column("tcp_flags")
        self.src_internal = rows.column("src_internal")
        self.dst_internal = rows.column("dst_internal")
        self.open_start = rows.column("open_start")
        self.open_end = rows.column("open_end")
        self.icmp_type = rows.column("icmp_type")
        self.icmp_code = rows.column("icmp_code")
        self.direction_id = rows.column("direction_id")
        self.tunnel_parents = rows.column("tunnel_parents")
        self.bad_checksums_out = rows.column("bad_checksums_out")
        self.bad_checksums_in = rows.column("bad_checksums_in")
        self.dup_packets_out = rows.column("dup_packets_out")
        self.dup_packets_in = rows.column("dup_packets_in")
        self.tunnel_depth = rows.column("tunnel_depth")

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(self.used):
            free(self.at(i).parents)
        for i in range(self.slab_count):
            free(self.slabs[i])
        free(self.slabs)
        free(self.vacant)

    cpdef int take_share(self, uint64_t seed, int low, int high) except -1:
        """From now on only flows between address pairs whose hash is in [low, high) of SHARES are
        its own: several readers of one capture take all of them between them."""
        if not 0 <= low <= high <= SHARES:
            raise ValueError(f"[{low}, {high}) of {SHARES}")
        self.share_seed = seed
        self.share_low = low
        self.share_high = high
        return 0

    cdef bint mine(self, const Packet* p, bint whole) noexcept nogil:
        """Whether a packet (`whole`: no fragment) with an IP header is of its own share.

        Both addresses decide, so that what several flows of two hosts have to do with one another
        (FTP's data, fragments, exporters' templates) is met by one reader. DHCP's messages belong
        together whatever their addresses are."""
        cdef uint64_t h
        if self.share_high == 0:
            return True
        if whole and p.protocol == UDP and p.captured >= 4 and (
            _is_dhcp(be16(p.payload)) or _is_dhcp(be16(p.payload + 2))
        ):
            return self.share_low == 0
        h = fold(p.src.low ^ self.share_seed, 0xA0761D6478BD642FULL ^ p.src.high)
        h += fold(p.dst.low ^ self.share_seed, 0xA0761D6478BD642FULL ^ p.dst.high)
        h = fold(h, 0xE7037ED1A0B428DBULL) >> 58
        return self.share_low <= h < self.share_high

    cdef int pass_by(self, const Packet* p) except -1 nogil:
        """A packet that is another reader's: only time goes on."""
        if p.time != NO_TIME:
            self.now = p.time
            if self.begin == NO_TIME:
                self.begin = p.time
            if self.deadlines.passed(p.time):
                self._expire(p.time)
            if self.talks is not None and p.time >= self.talks.due and p.time > 0:
                self.talks.tick(p.time, False)
        return 0

    cdef Flow* packet(self, Packet* p) except NULL nogil:
        """Takes a packet of TCP, UDP or ICMP. Its transport header is there."""
        cdef const uint8_t* h = p.payload
        cdef uint16_t a, b
        cdef uint64_t hash
        cdef int64_t slot, now = p.time
        cdef int side = ORIG, counterpart
        cdef bint one_way = False
        cdef Flow* f
        if now == NO_TIME:
            now = self.now if self.now != NO_TIME else 0
        else:
            self.now = now
            if self.begin == NO_TIME:
                self.begin = now
        if self.deadlines.passed(now):
            self._expire(now)
        if self.talks is not None and now >= self.talks.due and now > 0:
            self.talks.tick(now, False)
        if p.protocol == TCP or p.protocol == UDP:
            a = be16(h)
            b = be16(h + 2)
        else:
            a = h[0]
            counterpart = icmp_counterpart(p.protocol, h[0])
            one_way = counterpart < 0
            b = h[1] if one_way else <uint16_t>counterpart
        hash = self._hash(p, a, b)
        slot = self._find(p, hash, a, b, one_way, &side)
        if slot >= 0 and p.protocol == TCP and reuses(self.at(<uint32_t>slot), p):
            self.streams.reused(self.at(<uint32_t>slot), p, now)
            self._end(<uint32_t>slot, self.at(<uint32_t>slot))
            slot = -1
        if slot < 0:
            slot = self._new(p, hash, a, b, one_way, now)
            f = self.at(<uint32_t>slot)
            side = RESP if f.letters else ORIG
        else:
            f = self.at(<uint32_t>slot)
        if p.protocol == TCP:
            side = self.streams.segment(f, side, p, now)
        elif p.protocol == UDP:
            side = self._udp(f, side, p, now)
        else:
            f.last = now
            if f.side[side].payload < 0:
                f.side[side].payload = 0
            f.side[side].payload += p.payload_length - 8
        f.side[side].packets += 1
        f.side[side].ip_bytes += p.ip_bytes
        if wrong_checksum(p):
            f.side[side].bad_checksums += 1
        if self.repeats.again(p, now):
            f.side[side].repeated += 1
        if f.remove < f.due or f.check < f.due or f.attempt < f.due:
            self._schedule(<uint32_t>slot, f)
        return f

    cdef int finish(self) except -1 nogil:
        """Ends the flows that still live: 0 when all are rows, 1 when a batch is full first."""
        cdef Flow* f
        self.at_end = True
        while self.ending < self.used:
            f = self.at(self.ending)
            if f.alive:
                if self.full():
                    return 1
                self._end(self.ending, f)
            self.ending += 1
        if self.talks is not None:
            self.talks.tick(self.now, True)
        return 0

    cdef bint full(self) noexcept nogil:
        """Whether a batch is to be taken."""
        return self.rows.full() or (self.talks is not None and self.talks.sheets.is_full())

    def take(self, bint all):
        """The batches that are full, or all that have rows: (table, batch) each."""
        batches = []
        if self.rows.full() or (all and self.rows.count):
            batches.append((self.rows.table, self.rows.finish()))
        if self.talks is not None:
            batches.extend(self.talks.sheets.take(all))
        return batches

    cdef int _wrong_length(self, Flow* f, const Packet* p, int64_t length) except -1 nogil:
        """UDP and IP do not agree on how long a datagram is."""
        cdef Place place
        cdef uint8_t[64] text
        cdef int n
        f.odd = True
        if self.talks is None or f.foreign:
            return 0
        place.time = p.time
        place.offset = p.offset
        place.length = p.length
        place.sub = 0
        n = snprintf(
            <char*>text, sizeof(text), b"%lld != %lld", <long long>length,
            <long long>p.payload_length,
        )
        return self.talks.sheets.note(
            f, &place, b"UDP_datagram_length_mismatch", b"UDP", text, n
        )

    cdef int _udp(self, Flow* f, int side, const Packet* p, int64_t now) except -1 nogil:
        """Takes a UDP datagram (RFC 768); returns the side that sent it, which may be known
        only from what it says."""
        cdef int64_t length = be16(p.payload + 4)
        cdef Place place
        f.last = now
        if length != p.payload_length:
            self._wrong_length(f, p, length)
        if length < 8:
            length = p.payload_length       # 0: a jumbogram, or not filled in yet
        note_once(f, side, 1, b"D")
        if f.letters == 1 and side == ORIG and _is_time_server(f, p):
            # Who tells the time first was asked before the capture began.
            flip(f)
            note(f, b"^")
            side = RESP
        if f.side[side].payload < 0:
            # (Such a flow keeps the timeout of its kind: only DNS's own ports have another.)
            if self.dns is not None and side == ORIG and not f.dns and is_question(
                p.payload + 8, p.captured - 8
            ):
                f.dns = True
            f.side[side].payload = 0
        f.side[side].payload += length - 8
        if self.dns is None or p.captured <= 8 or f.foreign:
            return side
        if f.dns:
            place.time = p.time
            place.offset = p.offset
            place.length = p.length
            place.sub = f.depth << 20
            return self.dns.message(f, side, &place, p.payload + 8, p.captured - 8)
        if not p.fragmented and self.talks.listens(f):
            self.talks.datagram(f, side, p, p.payload + 8, min(p.captured, length) - 8)
        return side

    cdef uint64_t _hash(self, const Packet* p, uint16_t a, uint16_t b) noexcept nogil:
        """The same in both directions."""
        return fold(
            self._end_hash(&p.src, a) + self._end_hash(&p.dst, b),
            0x9E3779B97F4A7C15ULL ^ self.table.seed ^ p.protocol,
        )

    cdef uint64_t _end_hash(self, const Address* address, uint16_t port) noexcept nogil:
        cdef uint64_t x = address.low ^ self.table.seed
        if address.high:
            x ^= fold(address.high ^ self.table.seed, 0xE7037ED1A0B428DBULL)
        return fold(x, 0xA0761D6478BD642FULL ^ (<uint64_t>port << 32))

    cdef int64_t _find(
        self, const Packet* p, uint64_t hash, uint16_t a, uint16_t b, bint one_way, int* side
    ) noexcept nogil:
        """The slot of the packet's flow and the side that sent it; -1 where it is new."""
        cdef uint64_t at = self.table.first(hash)
        cdef int64_t slot = self.table.slot(at)
        cdef const Flow* f
        while slot >= 0:
            if self.table.near(at, hash):
                f = self.at(<uint32_t>slot)
                # (What is inside of a tunnel is beside what is not: see docs/flows.md.)
                if f.protocol == p.protocol and f.one_way == one_way and (
                    (f.depth != 0) == (p.depth != 0)
                ):
                    if (
                        f.port[ORIG] == a and f.port[RESP] == b
                        and same_address(&f.address[ORIG], &p.src)
                        and same_address(&f.address[RESP], &p.dst)
                    ):
                        side[0] = ORIG
                        return slot
                    if (
                        not one_way and f.port[RESP] == a and f.port[ORIG] == b
                        and same_address(&f.address[RESP], &p.src)
                        and same_address(&f.address[ORIG], &p.dst)
                    ):
                        side[0] = RESP
                        return slot
            at = self.table.next(at)
            slot = self.table.slot(at)
        return -1

    cdef int64_t _new(
        self, const Packet* p, uint64_t hash, uint16_t a, uint16_t b, bint one_way, int64_t now
    ) except -1 nogil:
        """A flow that begins with this packet; its slot."""
        cdef int64_t slot = self._slot()
        cdef Flow* f = self.at(<uint32_t>slot)
        cdef int i
        memset(f, 0, sizeof(Flow))
        f.alive = True
        self.serial += 1
        f.serial = self.serial
        f.hash = hash
        f.address[ORIG] = p.src
        f.address[RESP] = p.dst
        f.port[ORIG] = a
        f.port[RESP] = b
        f.protocol = p.protocol
        f.version = p.version
        f.one_way = one_way
        f.offset = p.offset
        f.length = p.length
        f.first = p.time
        f.last = now
        f.vlan = p.vlan
        f.depth = p.depth
        f.foreign = p.foreign
        f.inner_vlan = p.inner_vlan
        if p.macs is not NULL:
            memcpy(f.mac[ORIG], p.macs + 6, 6)
            memcpy(f.mac[RESP], p.macs, 6)
            f.has_mac[ORIG] = f.has_mac[RESP] = True
        elif p.src_mac is not NULL:
            memcpy(f.mac[ORIG], p.src_mac, 6)
            f.has_mac[ORIG] = True
            if p.dst_mac is not NULL:
                memcpy(f.mac[RESP], p.dst_mac, 6)
                f.has_mac[RESP] = True
        for i in range(2):
            f.side[i].payload = -1
            f.side[i].delivered = 1
            f.side[i].trimmed = 1
            f.side[i].holes = -1
        f.active = True
        f.attempt = f.remove = f.check = NEVER
        f.idle = 60 * SECOND
        if begun_by_receiver(p, a, b):
            flip(f)
            note(f, b"^")
        f.name = name_of(f)
        if p.protocol == UDP and _speaks_dns(f.port[RESP]):
            f.dns = True
            f.check = now + 10 * SECOND
        self.table.add(hash, <uint32_t>slot)
        f.due = NEVER
        self._schedule(<uint32_t>slot, f)
        return slot

    cdef int64_t _slot(self) except -1 nogil:
        """A slot for a new flow."""
        cdef Flow* slab
        cdef uint32_t* grown
        if self.vacant_count == 0 and self.used >= self.limit:
            self._evict()
        if self.vacant_count:
            self.vacant_count -= 1
            return self.vacant[self.vacant_count]
        if self.used == self.slab_count * SLAB:
            slab = <Flow*>calloc(SLAB, sizeof(Flow))
            grown = <uint32_t*>realloc(
                self.vacant, (self.slab_count + 1) * SLAB * sizeof(uint32_t)
            )
            if grown is not NULL:
                self.vacant = grown
            if slab is NULL or grown is NULL:
                free(slab)
                with gil:
                    raise MemoryError(f"{self.used} flows")
            self.slabs[self.slab_count] = slab
            self.slab_count += 1
        self.used += 1
        return self.used - 1

    cdef int _evict(self) except -1 nogil:
        """Writes out the flow that would end first, to make room."""
        cdef Deadline d
        cdef Flow* f
        while self.deadlines.count:
            d = self.deadlines.pop()
            f = self.at(d.slot)
            if f.alive and f.serial == d.serial and f.due == d.due:
                f.evicted = True
                self.evictions += 1
                return self._end(d.slot, f)
        with gil:
            raise RuntimeError("a full flow table without a deadline")

    cdef int _expire(self, int64_t now) except -1 nogil:
        """Ends the flows whose time is over, unless a batch becomes full: then later."""
        cdef Deadline d
        cdef Flow* f
        while self.deadlines.passed(now):
            if self.full():
                return 0
            d = self.deadlines.pop()
            f = self.at(d.slot)
            if f.alive and f.serial == d.serial and f.due == d.due:
                self._due(d.slot, f, now)
        return 0

    cdef int _due(self, uint32_t slot, Flow* f, int64_t now) except -1 nogil:
        """One of a flow's timers has passed: ends the flow or sets the next one."""
        cdef const Side* o = &f.side[ORIG]
        cdef const Side* r = &f.side[RESP]
        if f.remove <= now or f.last + f.idle <= now:
            return self._end(slot, f)
        if f.attempt <= now:
            f.attempt = NEVER
            if (
                f.active and (o.state == SYN_SENT or o.state == SYN_ACK_SENT)
                and r.state == INACTIVE
            ):
                return self._end(slot, f)
        if f.check <= now:
            f.check = NEVER
            if f.dns:
                # A DNS flow ends after ten seconds; one second is for the usual answer.
                if now - f.last >= 9 * SECOND:
                    return self._end(slot, f)
                f.check = now + 10 * SECOND
            elif f.active:
                if f.last + 5 * SECOND < now and (
                    o.state == RESET or r.state == RESET or o.state == INACTIVE
                    or r.state == INACTIVE
                ):
                    return self._end(slot, f)
                f.check = now + 6 * SECOND
        f.due = NEVER
        return self._schedule(slot, f)

    cdef int _schedule(self, uint32_t slot, Flow* f) except -1 nogil:
        """Enters the flow's earliest timer; an entry made before is void from now on."""
        cdef int64_t due = f.last + f.idle
        if f.attempt < due:
            due = f.attempt
        if f.check < due:
            due = f.check
        if f.remove < due:
            due = f.remove
        if due == f.due:
            return 0
        f.due = due
        return self.deadlines.push(due, slot, f.serial)

    cdef int _end(self, uint32_t slot, Flow* f) except -1 nogil:
        """Makes the flow a row and gives its slot back."""
        if not f.foreign:
            if self.talks is not None:
                self.dns.flush(f)
                self.talks.end(f)
            if f.tunnel:
                self.tunnels.ended(f, self.now)
            self._row(f)
        free(f.parents)
        f.parents = NULL
        self.streams.release(&f.side[ORIG])
        self.streams.release(&f.side[RESP])
        self.table.remove(f.hash, slot)
        f.alive = False
        self.vacant[self.vacant_count] = slot
        self.vacant_count += 1
        return 0

    cdef int _row(self, Flow* f) except -1 nogil:
        cdef Py_ssize_t row = self.rows.count, n
        cdef int i
        cdef const Side* o = &f.side[ORIG]
        cdef const Side* r = &f.side[RESP]
        cdef uint8_t[64] text
        cdef uint8_t[256] names
        cdef const char* state = _state(f)
        cdef bint from_inside = internal(&f.address[ORIG]), to_inside = internal(&f.address[RESP])
        if f.first != NO_TIME:
            self.time.put(row, f.first // 1000)
            self.time_ns.put(row, f.first % 1000)
            self.end_time.put(row, f.last // 1000)
            self.duration_s.put(row, <double>(f.last - f.first) / 1e9)
        self.activity_id.put(row, TRAFFIC)
        self.sub.put(row, f.depth)      # the flow around it may begin with the same packet
        self.record_hash.put(row, <int64_t>flow_hash(f))
        self.src_offset.put(row, f.offset)
        self.src_length.put(row, f.length)
        if f.evicted:
            note(f, b"X")
            self.parse_flags.put(row, TRUNCATED)
        self.conn_uid.put_valid(row, text, put_uid(text, f))
        n = put_community_id(text, f)
        if n:
            self.community_id.put_valid(row, text, n)
        self.src_ip.put_valid(row, text, put_address(text, &f.address[ORIG]))
        self.src_port.put(row, f.port[ORIG])
        self.dst_ip.put_valid(row, text, put_address(text, &f.address[RESP]))
        self.dst_port.put(row, f.port[RESP])
        if f.vlan >= 0:
            self.vlan_id.put(row, f.vlan)
        if f.inner_vlan >= 0:
            self.inner_vlan_id.put(row, f.inner_vlan)
        if f.has_mac[ORIG] and not _is_zero(f.mac[ORIG]):
            self.src_mac.put_valid(row, text, put_mac(text, f.mac[ORIG]))
        if f.has_mac[RESP] and not _is_zero(f.mac[RESP]):
            self.dst_mac.put_valid(row, text, put_mac(text, f.mac[RESP]))
        if f.protocol == TCP:
            self.transport.put_valid(row, b"tcp", 3)
            self.bytes_out.put(row, size(o, r))
            self.bytes_in.put(row, size(r, o))
            self.tcp_flags.put(row, f.flags)
        else:
            if f.protocol == UDP:
                self.transport.put_valid(row, b"udp", 3)
            else:
                self.transport.put_valid(row, b"icmp", 4)
                self.icmp_type.put(row, f.port[ORIG])
                if f.one_way:
                    self.icmp_code.put(row, f.port[RESP])
            self.bytes_out.put(row, o.payload if o.payload > 0 else 0)
            self.bytes_in.put(row, r.payload if r.payload > 0 else 0)
        self.protocol_num.put(row, f.protocol)
        self.ip_version.put(row, f.version)
        if f.services:
            self.app_protocol.put_valid(row, names, put_services(names, f.services))
        self.packets_out.put(row, o.packets)
        self.packets_in.put(row, r.packets)
        self.ip_bytes_out.put(row, o.ip_bytes)
        self.ip_bytes_in.put(row, r.ip_bytes)
        self.bytes_missed.put(row, f.missed)
        if o.bad_checksums or r.bad_checksums:
            self.bad_checksums_out.put(row, o.bad_checksums)
            self.bad_checksums_in.put(row, r.bad_checksums)
        if o.repeated or r.repeated:
            self.dup_packets_out.put(row, o.repeated)
            self.dup_packets_in.put(row, r.repeated)
        self.conn_state.put_valid(row, <const uint8_t*>state, strlen(state))
        if f.letters:
            self.history.put_valid(row, f.history, f.letters)
        if _open_start(f, self.begin):
            self.open_start.put(row, True)
        if self.at_end and not _over(f):
            self.open_end.put(row, True)
        self.src_internal.put(row, from_inside)
        self.dst_internal.put(row, to_inside)
        if from_inside and to_inside:
            self.direction_id.put(row, 3)       # lateral
        elif from_inside:
            self.direction_id.put(row, 2)       # outbound
        elif to_inside:
            self.direction_id.put(row, 1)       # inbound
        if f.depth == 0:
            self.account.in_rows += o.packets + r.packets
        else:
            # Its packets are those of a tunnel, which are counted as such.
            self.tunnel_depth.put(row, f.depth)
            n = self.tunnel_parents.open(row)
            for i in range(f.parent_count):
                (<TextColumn>self.tunnel_parents.items).put_valid(
                    n, text, put_name(text, f.parents[i])
                )
                n += 1
            self.tunnel_parents.close(n)
        return self.rows.done()


cdef bint _is_time_server(const Flow* f, const Packet* p) noexcept nogil:
    """Whether an NTP server's message (RFC 5905, 7.3) goes from its port to the same one."""
    return (
        f.port[ORIG] == NTP and f.port[RESP] == NTP and p.captured > 8
        and p.payload[8] & 7 == NTP_SERVER
        and not same_address(&f.address[ORIG], &f.address[RESP])
    )


cdef bint _open_start(const Flow* f, int64_t begin) noexcept nogil:
    """Whether packets of the flow may have gone before the capture's first, at `begin`: of TCP,
    whether its SYN is not there."""
    if f.protocol == TCP:
        return memchr(f.history, b"S", f.letters) is NULL
    return f.first != NO_TIME and f.first - begin < f.idle


cdef bint _over(const Flow* f) noexcept nogil:
    """Whether a flow that still lives is over: no packet that comes would belong to it."""
    if f.protocol != TCP:
        return False
    return (f.side[ORIG].state == CLOSED and f.side[RESP].state == CLOSED) or (
        f.side[ORIG].state == RESET or f.side[RESP].state == RESET
    )


cdef const char* _state(const Flow* f) noexcept nogil:
    """Zeek's name for how a flow began and ended."""
    cdef const Side* o = &f.side[ORIG]
    cdef const Side* r = &f.side[RESP]
    cdef uint8_t os = o.state, rs = r.state
    cdef bint o_inactive = os == INACTIVE or os == PARTIAL
    cdef bint r_inactive = rs == INACTIVE or rs == PARTIAL
    if f.protocol == UDP:
        if o.payload >= 0:
            return b"SF" if r.payload >= 0 else b"S0"
        return b"SHR" if r.payload >= 0 else b"OTH"
    if f.protocol != TCP:
        return b"OTH"
    if rs == RESET:
        if os == SYN_SENT or os == SYN_ACK_SENT or (
            os == RESET and size(o, r) == 0 and size(r, o) == 0
        ):
            return b"REJ"
        return b"RSTRH" if o_inactive else b"RSTR"
    if os == RESET:
        if r_inactive:
            return b"RSTOS0" if _syn_then_reset(f) else b"OTH"
        return b"RSTO"
    if rs == CLOSED and os == CLOSED:
        return b"SF"
    if os == CLOSED:
        return b"SH" if r_inactive else b"S2"
    if rs == CLOSED:
        return b"SHR" if o_inactive else b"S3"
    if os == SYN_SENT and rs == INACTIVE:
        return b"S0"
    if os == ESTABLISHED and rs == ESTABLISHED:
        return b"S1"
    return b"OTH"


cdef bint _syn_then_reset(const Flow* f) noexcept nogil:
    """Whether the history is a SYN, then a RST, without anything else of the originator's
    between: ^?S[^HAFGIQ]*R"""
    cdef int i = 0
    cdef uint8_t letter
    if f.letters and f.history[0] == b"^":
        i = 1
    if i >= f.letters or f.history[i] != b"S":
        return False
    for i in range(i + 1, f.letters):
        letter = f.history[i]
        if letter == b"R":
            return True
        if (
            letter == b"H" or letter == b"A" or letter == b"F" or letter == b"G"
            or letter == b"I" or letter == b"Q"
        ):
            return False
    return False


# Networks that are not globally reachable (IANA's special-purpose registries): whoever has
# an address there is on one's own side. Zeek 7 counts the same as local.
INTERNAL = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
    "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
    "::/128", "::1/128", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32",
    "fc00::/7", "fe80::/10",
)


cdef struct Network:
    uint8_t[16] prefix
    uint8_t[16] mask


cdef Network[32] networks
cdef int network_count = 0


cdef int _list_networks() except -1:
    global network_count
    for text in INTERNAL:
        network = ip_network(text)
        prefix = network.network_address.packed
        mask = network.netmask.packed
        if network.version == 4:
            prefix = b"\0" * 10 + b"\xff\xff" + prefix
            mask = b"\xff" * 12 + mask
        memcpy(networks[network_count].prefix, <const char*>prefix, 16)
        memcpy(networks[network_count].mask, <const char*>mask, 16)
        network_count += 1
    return 0


_list_networks()


cdef bint internal(const Address* a) noexcept nogil:
    """Whether an address is of one's own network."""
    cdef const Address* prefix
    cdef const Address* mask
    cdef int i
    for i in range(network_count):
        prefix = <const Address*>networks[i].prefix
        mask = <const Address*>networks[i].mask
        if a.high & mask.high == prefix.high and a.low & mask.low == prefix.low:
            return True
    return False


cdef bint _is_zero(const uint8_t* mac) noexcept nogil:
    return not (mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5])


FLOW_SIZE = sizeof(Flow)    # bytes that a living flow costs, beside its places in the tables
