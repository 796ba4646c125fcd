"""Datagrams that came in pieces (RFC 791 section 3.2, RFC 8200 section 4.5), put together.

Where two fragments hold the same bytes, the first that came counts, as Zeek has it; every breach of
the rules is noted by Zeek's name. What waits is bounded in bytes, in datagrams and in time: beyond,
the oldest datagram is given up, and its fragments are counted as such.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy

from tracelake.native.flowtable cimport fold
from tracelake.parsers.packet cimport (
    KIND_FORGOTTEN, KIND_FRAGMENT, KIND_JOINED, breach, same_address,
)

cdef enum:
    DATAGRAMS = 8192            # that wait at once
    BLOCKS = 1024               # pieces of one
    LONGEST = 65535
    SMALL = 64                  # bytes; a fragment that is shorter and not the last is odd
    LARGE = 64000

cdef extern from *:
    """
    #define TL_FRAGMENTS_SECOND 1000000000LL
    """
    int64_t SECOND "TL_FRAGMENTS_SECOND"

# Bytes of all pieces that wait. Linux keeps 4 MiB.
HELD_LIMIT = 16 << 20
# Seconds that a datagram waits for the rest of it: identifications come round (RFC 791: 120 at most).
TIMEOUT = 120

cdef int64_t held_limit = HELD_LIMIT
cdef int64_t timeout = TIMEOUT * SECOND


cdef inline uint8_t* _bytes(Block* b) noexcept nogil:
    return <uint8_t*>(b + 1)


cdef class Fragments:
    """The datagrams of one capture that are not whole.

    `counts` is the owner's, who outlives this.
    """

    def __cinit__(self):
        self.table = IndexTable()
        self.datagrams = <Datagram*>calloc(DATAGRAMS, sizeof(Datagram))
        if self.datagrams is NULL:
            raise MemoryError()
        self.oldest = self.newest = self.vacant = -1

    def __dealloc__(self):
        cdef int32_t i
        cdef Block* b
        if self.datagrams is not NULL:
            for i in range(self.used):
                while self.datagrams[i].first is not NULL:
                    b = self.datagrams[i].first
                    self.datagrams[i].first = b.next
                    free(b)
        free(self.datagrams)
        for i in range(8):
            free(self.whole[i])

    cdef int add(self, Packet* p, int64_t now) except -1 nogil:
        cdef int64_t low = p.fragment_at, high = low + p.payload_length
        cdef uint64_t hash
        cdef int32_t slot
        cdef Datagram* d
        cdef int whole
        while self.oldest >= 0 and self.datagrams[self.oldest].since + timeout < now:
            self._drop(self.oldest)
        hash = fold(
            fold(p.src.low ^ self.table.seed, p.src.high ^ 0xA0761D6478BD642FULL)
            ^ fold(p.dst.low ^ 0x8EBC6AF09C88C6E3ULL, p.dst.high ^ self.table.seed),
            0x589965CC75374CC3ULL ^ p.fragment_id ^ <uint64_t>p.version << 32,
        )
        slot = self._find(p, hash)
        if slot < 0:
            slot = self._new(p, hash, now)
        d = &self.datagrams[slot]
        if p.protocol != d.protocol or p.ip_header - (8 if p.version == 6 else 0) != d.header:
            breach(p, b"fragment_protocol_inconsistency", NULL, True)
        if p.not_to_be_cut:
            breach(p, b"fragment_with_DF", NULL, True)
        if low == 0:
            d.protocol = p.protocol
        if not p.fragments_follow:
            if d.size == 0:
                d.size = <int32_t>high
            elif high != d.size:
                breach(p, b"fragment_size_inconsistency", NULL, True)
                if high > d.size:
                    d.size = <int32_t>high
        elif p.ip_bytes < SMALL:
            breach(p, b"excessively_small_fragment", NULL, True)
        if high > LARGE:
            breach(p, b"excessively_large_fragment", NULL, True)
        if d.size and high > d.size:
            breach(p, b"fragment_size_inconsistency", NULL, True)
            d.size = <int32_t>high
        if p.depth == 0 and not p.foreign:
            d.records += 1
        if high + d.header > LONGEST or d.blocks >= BLOCKS:
            # No datagram is that long, or was ever cut into so many: it is no datagram.
            breach(p, b"invalid_IP_header_size", b"IP", True)
            self._drop(slot)
            return 0
        if p.payload_length and self._insert(p, d, <int32_t>low, <int32_t>high):
            whole = self._whole(p, d)
            if whole:
                if d.records:
                    self.counts[KIND_JOINED] += d.records - 1
                d.records = 0
                self._drop(slot)
                return 1
        while self.held > held_limit and self.oldest >= 0:
            self.dropped += 1
            self.counts[KIND_FORGOTTEN] += self.datagrams[self.oldest].records
            self.datagrams[self.oldest].records = 0
            self._drop(self.oldest)
        return 0

    cdef void finish(self) noexcept nogil:
        while self.oldest >= 0:
            self._drop(self.oldest)

    cdef int32_t _find(self, const Packet* p, uint64_t hash) noexcept nogil:
        cdef uint64_t at = self.table.first(hash)
        cdef int64_t slot = self.table.slot(at)
        cdef const Datagram* d
        while slot >= 0:
            if self.table.near(at, hash):
                d = &self.datagrams[slot]
                if (
                    d.id == p.fragment_id and d.version == p.version
                    and same_address(&d.src, &p.src) and same_address(&d.dst, &p.dst)
                ):
                    return <int32_t>slot
            at = self.table.next(at)
            slot = self.table.slot(at)
        return -1

    cdef int32_t _new(self, const Packet* p, uint64_t hash, int64_t now) except -1 nogil:
        cdef int32_t slot
        cdef Datagram* d
        if self.vacant < 0 and self.used == DATAGRAMS:
            self.dropped += 1
            self.counts[KIND_FORGOTTEN] += self.datagrams[self.oldest].records
            self.datagrams[self.oldest].records = 0
            self._drop(self.oldest)
        if self.vacant >= 0:
            slot = self.vacant
            self.vacant = self.datagrams[slot].newer
        else:
            slot = self.used
            self.used += 1
        d = &self.datagrams[slot]
        d.src = p.src
        d.dst = p.dst
        d.hash = hash
        d.id = p.fragment_id
        d.version = p.version
        d.protocol = p.protocol
        d.alive = True
        d.header = <int32_t>p.ip_header - (8 if p.version == 6 else 0)
        d.size = d.blocks = d.records = 0
        d.since = now
        d.first = d.last = NULL
        d.older = self.newest
        d.newer = -1
        if self.newest >= 0:
            self.datagrams[self.newest].newer = slot
        else:
            self.oldest = slot
        self.newest = slot
        self.table.add(hash, <uint32_t>slot)
        return slot

    cdef void _drop(self, int32_t slot) noexcept nogil:
        """Forgets a datagram; its packets that are not accounted for yet are fragments."""
        cdef Datagram* d = &self.datagrams[slot]
        cdef Block* b
        self.counts[KIND_FRAGMENT] += d.records
        while d.first is not NULL:
            b = d.first
            d.first = b.next
            self.held -= sizeof(Block) + (b.high - b.low)
            free(b)
        d.last = NULL
        d.alive = False
        self.table.forget(d.hash, <uint32_t>slot)
        if d.older >= 0:
            self.datagrams[d.older].newer = d.newer
        else:
            self.oldest = d.newer
        if d.newer >= 0:
            self.datagrams[d.newer].older = d.older
        else:
            self.newest = d.older
        d.newer = self.vacant
        self.vacant = slot

    cdef int _insert(self, Packet* p, Datagram* d, int32_t low, int32_t high) except -1 nogil:
        """Keeps what of [low, high) is new; 1 where the datagram may be whole by that."""
        cdef const uint8_t* data = p.payload - low
        cdef Block* before = NULL
        cdef Block* b = d.first
        cdef int32_t to, begin
        if d.last is not NULL and low >= d.last.high:
            before = d.last
            b = NULL
        while b is not NULL and low < high:
            if b.high > low:
                if low < b.low:
                    to = high if high < b.low else b.low
                    self._piece(d, before, data + low, low, to)
                    low = to
                if low < high:
                    # They overlap from here on: the earlier one counts.
                    begin = low
                    low = high if high < b.high else b.high
                    if memcmp(_bytes(b) + (begin - b.low), data + begin, low - begin):
                        breach(p, b"fragment_inconsistency", NULL, True)
                    else:
                        breach(p, b"fragment_overlap", NULL, True)
            before = b
            b = b.next
        if low < high:
            self._piece(d, before, data + low, low, high)
        return d.size != 0 and d.first.low == 0

    cdef int _piece(
        self, Datagram* d, Block* before, const uint8_t* data, int32_t low, int32_t high
    ) except -1 nogil:
        """Keeps [low, high) behind `before`, or first. (A piece that was put there meanwhile
        may stand between: the place is looked for from `before` on.)"""
        cdef Block* b = <Block*>malloc(sizeof(Block) + (high - low))
        cdef Block* next
        if b is NULL:
            with gil:
                raise MemoryError(f"{high - low} bytes of a fragment")
        b.low = low
        b.high = high
        memcpy(_bytes(b), data, high - low)
        next = d.first if before is NULL else before.next
        while next is not NULL and next.low < low:
            before = next
            next = next.next
        b.next = next
        if before is NULL:
            d.first = b
        else:
            before.next = b
        if next is NULL:
            d.last = b
        d.blocks += 1
        self.held += sizeof(Block) + (high - low)
        return 0

    cdef int _whole(self, Packet* p, Datagram* d) except -1 nogil:
        """Puts the datagram together and makes it the packet, where nothing is missing."""
        cdef Block* b = d.first
        cdef int32_t size = d.size
        cdef uint8_t* whole
        while b.next is not NULL and b.high == b.next.low:
            b = b.next
        if b.next is not NULL:
            # A hole: beyond what the last fragment said is the end, it does not matter.
            if b.high < size:
                return 0
            breach(p, b"fragment_size_inconsistency", NULL, True)
            size = b.high
        elif b.high > size:
            breach(p, b"fragment_size_inconsistency", NULL, True)
            size = b.high
        elif b.high < size:
            return 0
        whole = self.whole[p.depth & 7]
        if whole is NULL:
            whole = self.whole[p.depth & 7] = <uint8_t*>malloc(LONGEST + 1)
            if whole is NULL:
                with gil:
                    raise MemoryError("a datagram")
        b = d.first
        while b is not NULL and b.high <= size:
            memcpy(whole + b.low, _bytes(b), b.high - b.low)
            b = b.next
        p.payload = whole
        p.payload_length = p.captured = size
        p.ip_header = d.header
        p.ip_bytes = d.header + size
        p.protocol = d.protocol
        p.joined = True
        return 1
