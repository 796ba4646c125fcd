"""The tunnels of a capture, and their rows: one when a flow is first found inside (activity 1,
open), one when it is over (2, close), as Zeek's tunnel.log has them.

A tunnel of UDP is its outer flow and has its conn_uid. IP in IP and GRE have no flow: what lies
between two addresses is one tunnel with a conn_uid of its own, whatever its direction.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset, strlen

from tracelake.native.flowtable cimport fold
from tracelake.parsers.conn cimport ORIG, RESP, name_of
from tracelake.parsers.packet cimport NO_TIME, same_address
from tracelake.parsers.wire.tunnel cimport AYIYA, GENEVE, GRE_TUNNEL, GTPV1, TEREDO, VXLAN

cdef enum:
    PAIRS = 16384               # tunnels without ports that are known at once
    TUNNEL_ACTIVITY = 4014      # OCSF's class, and its activities
    OPEN = 1
    CLOSE = 2
    CLOSING = 8                 # `sub` of rows that say so: the others' is the tunnel's level
    EXPIRING = 16

cdef extern from *:
    """
    #define TL_TUNNELS_SECOND 1000000000LL
    """
    int64_t SECOND "TL_TUNNELS_SECOND"

# After so long without a packet, another tunnel has the same ends.
cdef int64_t FORGOTTEN = 24 * 3600 * SECOND


cdef class Tunnels:
    """The tunnels of one capture.

    Args:
        sheets: where rows go; None where flows are all that is wanted.
    """

    def __cinit__(self, Sheets sheets):
        self.table = IndexTable()
        self.pairs = <Pair*>calloc(PAIRS, sizeof(Pair))
        if self.pairs is NULL:
            raise MemoryError()
        self.oldest = self.newest = -1
        self.idle = 3600 * SECOND
        if sheets is not None:
            self.sheet = sheets.sheet("remote_access_activity")
            self.class_uid = self.sheet.rows.column("class_uid")
            self.protocol = self.sheet.rows.column("protocol")
            self.tunnel_type = self.sheet.rows.column("tunnel_type")
            self.tunnel_action = self.sheet.rows.column("tunnel_action")

    def __dealloc__(self):
        free(self.pairs)

    cdef int pair(self, const Packet* p, Kind kind, int64_t now, Around* around) except -1 nogil:
        cdef uint64_t hash = (
            fold(p.src.low ^ self.table.seed, p.src.high ^ 0xA0761D6478BD642FULL)
            + fold(p.dst.low ^ self.table.seed, p.dst.high ^ 0xA0761D6478BD642FULL)
        )
        cdef uint64_t at = self.table.first(hash)
        cdef int64_t slot = self.table.slot(at)
        cdef Pair* t
        cdef Flow f
        while slot >= 0:
            if self.table.near(at, hash):
                t = &self.pairs[slot]
                if (same_address(&t.src, &p.src) and same_address(&t.dst, &p.dst)) or (
                    same_address(&t.src, &p.dst) and same_address(&t.dst, &p.src)
                ):
                    break
            at = self.table.next(at)
            slot = self.table.slot(at)
        if slot < 0:
            if self.used < PAIRS:
                slot = self.used
                self.used += 1
            else:
                slot = self.oldest
                self.table.forget(self.pairs[slot].hash, <uint32_t>slot)
                self._unlink(<int32_t>slot)
            self.pairs[slot].hash = hash
            self.pairs[slot].active = False
            self.pairs[slot].seen = NO_TIME
            self.table.add(hash, <uint32_t>slot)
            self._link(<int32_t>slot)
        else:
            self._touch(<int32_t>slot)
        t = &self.pairs[slot]
        if t.seen == NO_TIME or t.seen + FORGOTTEN < now:
            memset(&f, 0, sizeof(Flow))
            f.address[ORIG] = p.src
            f.address[RESP] = p.dst
            f.protocol = p.protocol
            f.first = p.time
            f.offset = p.offset
            f.depth = p.depth
            t.src = p.src
            t.dst = p.dst
            t.kind = kind
            t.name = name_of(&f)
            t.offset = p.offset
            t.length = p.length
            t.foreign = p.foreign
        t.seen = t.looked = now
        around.foreign = t.foreign
        around.kind = kind
        around.name = t.name
        around.flow = NULL
        around.pair = <int32_t>slot
        return 0

    cdef int found(self, Around* around, const Packet* p, int64_t now, int level) except -1 nogil:
        cdef Place place
        cdef Pair* t
        cdef Flow* f = around.flow
        place.time = p.time
        place.offset = p.offset
        place.length = p.length
        place.sub = level
        if f is NULL:
            t = &self.pairs[around.pair]
            if t.name != around.name:
                return 0                # another one has its place since
            if t.active:
                return 0
            t.active = True
            if t.foreign:
                return 0
            return self._pair_row(t, &place, OPEN, b"Tunnel::DISCOVER")
        if not f.alive or f.serial != around.serial or f.tunnel:
            return 0
        f.tunnel = around.kind
        if f.foreign:
            return 0
        return self._row(f, &place, around.kind, OPEN, b"Tunnel::DISCOVER")

    cdef int ended(self, Flow* f, int64_t now) except -1 nogil:
        cdef Place place
        place.time = now
        place.offset = f.offset
        place.length = f.length
        place.sub = CLOSING + f.depth
        return self._row(f, &place, <Kind>f.tunnel, CLOSE, b"Tunnel::CLOSE")

    cdef int expire(self, int64_t now) except -1 nogil:
        cdef Pair* t
        cdef Place place
        while self.due(now):
            t = &self.pairs[self.oldest]
            if t.active and not t.foreign:
                place.time = now
                place.offset = t.offset
                place.length = t.length
                place.sub = EXPIRING
                self._pair_row(t, &place, CLOSE, b"Tunnel::EXPIRE")
            t.active = False
            t.looked = now
            self._touch(self.oldest)
        return 0

    cdef int _pair_row(
        self, const Pair* pair, const Place* p, int activity, const char* action
    ) except -1 nogil:
        cdef Flow f
        memset(&f, 0, sizeof(Flow))
        f.name = pair.name
        f.version = 4                   # it has ends
        f.vlan = -1
        f.address[ORIG] = pair.src
        f.address[RESP] = pair.dst
        return self._row(&f, p, <Kind>pair.kind, activity, action)

    cdef int _row(
        self, Flow* f, const Place* p, Kind kind, int activity, const char* action
    ) except -1 nogil:
        cdef Py_ssize_t row
        cdef const char* name = b"Tunnel::IP"
        cdef const char* word = b"ip"
        if self.sheet is None:
            return 0
        if kind == GRE_TUNNEL:
            name, word = b"Tunnel::GRE", b"gre"
        elif kind == AYIYA:
            name, word = b"Tunnel::AYIYA", b"ayiya"
        elif kind == TEREDO:
            name, word = b"Tunnel::TEREDO", b"teredo"
        elif kind == GTPV1:
            name, word = b"Tunnel::GTPv1", b"gtpv1"
        elif kind == VXLAN:
            name, word = b"Tunnel::VXLAN", b"vxlan"
        elif kind == GENEVE:
            name, word = b"Tunnel::GENEVE", b"geneve"
        row = self.sheet.begin(f, p, activity)
        self.class_uid.put(row, TUNNEL_ACTIVITY)
        self.protocol.put_valid(row, <const uint8_t*>word, strlen(word))
        self.tunnel_type.put_valid(row, <const uint8_t*>name, strlen(name))
        self.tunnel_action.put_valid(row, <const uint8_t*>action, strlen(action))
        return self.sheet.done()

    # The list in the order of `looked`.

    cdef void _touch(self, int32_t slot) noexcept nogil:
        if slot != self.newest:
            self._unlink(slot)
            self._link(slot)

    cdef void _unlink(self, int32_t slot) noexcept nogil:
        cdef Pair* t = &self.pairs[slot]
        if t.older >= 0:
            self.pairs[t.older].newer = t.newer
        else:
            self.oldest = t.newer
        if t.newer >= 0:
            self.pairs[t.newer].older = t.older
        else:
            self.newest = t.older

    cdef void _link(self, int32_t slot) noexcept nogil:
        cdef Pair* t = &self.pairs[slot]
        t.older = self.newest
        t.newer = -1
        if self.newest >= 0:
            self.pairs[self.newest].newer = slot
        else:
            self.oldest = slot
        self.newest = slot
