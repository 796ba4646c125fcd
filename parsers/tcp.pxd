"""TCP as Zeek follows it: states, history, sizes and gaps; the data go to who waits for them."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tracelake.parsers.conn cimport Flow, Side
from tracelake.parsers.packet cimport Packet
from tracelake.parsers.pieces cimport Pieces
from tracelake.parsers.protocols.protocol cimport Mark
from tracelake.parsers.protocols.talks cimport Talks


cdef struct Range:
    uint64_t low
    uint64_t high
    int32_t next


cdef class Streams:
    cdef Talks talks        # None: nobody waits for data
    cdef Pieces pieces
    cdef Mark now           # the packet at hand, and its numbers
    cdef uint32_t base, ack
    cdef Range* ranges
    cdef int32_t room
    cdef int32_t used       # of `room`, ever
    cdef int32_t free       # list of those given back, -1 at the end

    cdef int segment(self, Flow* f, int side, const Packet* p, int64_t now) except -1 nogil
    cdef void release(self, Side* s) noexcept nogil
    # Notes what is odd about a packet that begins a new connection between the same ends.
    cdef int reused(self, Flow* f, const Packet* p, int64_t now) except -1 nogil
    cdef int _odd(self, Flow* f, const char* name, const char* analyzer) except -1 nogil
    cdef int _odd_syn(self, Flow* f, const uint8_t* h, int64_t n) except -1 nogil
    cdef int _odd_change(
        self, Flow* f, int side, uint8_t flags, int64_t n, int32_t advanced
    ) except -1 nogil

    cdef int32_t _range(self, uint64_t low, uint64_t high, int32_t next) noexcept nogil
    cdef void _drop_first(self, Side* s) noexcept nogil
    cdef void _give_up(self, Side* s) noexcept nogil
    cdef bint _pending(self, Flow* f, int side) noexcept nogil
    cdef int _sent(
        self, Flow* f, int side, uint64_t low, int64_t n, const uint8_t* p
    ) except -1 nogil
    cdef void _insert(self, Side* s, uint64_t low, uint64_t high) noexcept nogil
    cdef void _absorb(self, Side* s) noexcept nogil
    cdef int _acknowledged(self, Flow* f, int side, uint64_t to) except -1 nogil
    cdef void _trim(self, Flow* f, int side, uint64_t to) noexcept nogil
    cdef int _check_end(self, Flow* f, int side, int64_t now) except -1 nogil
    cdef void _close(self, Flow* f, int side, int64_t now) noexcept nogil

cdef bint reuses(const Flow* f, const Packet* p) noexcept nogil
cdef int64_t size(const Side* s, const Side* peer) noexcept nogil
