"""Datagrams that came in pieces."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tracelake.native.flowtable cimport IndexTable
from tracelake.parsers.packet cimport Address, Packet


# A piece of a datagram's payload; its bytes follow.
cdef struct Block:
    Block* next
    int32_t low
    int32_t high


cdef struct Datagram:
    Address src
    Address dst
    uint64_t hash
    uint32_t id
    uint8_t version
    uint8_t protocol
    uint8_t alive
    int32_t header              # bytes of its network header
    int32_t size                # of its payload; 0: not known
    int32_t blocks
    int32_t records             # captured packets that it is made of
    int64_t since
    Block* first
    Block* last
    int32_t older
    int32_t newer


cdef class Fragments:
    cdef IndexTable table
    cdef uint64_t* counts       # of the capture, by kind
    cdef Datagram* datagrams
    cdef int32_t used
    cdef int32_t vacant         # list of those given back, by `newer`; -1 at its end
    cdef int32_t oldest
    cdef int32_t newest
    cdef uint8_t* whole[8]      # by depth: the datagram that was put together last
    cdef readonly int64_t held  # bytes of all blocks
    cdef readonly int64_t dropped

    # Takes a fragment, all of which was captured: 1 where the datagram is whole, which is what `p`
    # is then; else 0.
    cdef int add(self, Packet* p, int64_t now) except -1 nogil
    # What is not whole will not be: counted.
    cdef void finish(self) noexcept nogil

    cdef int32_t _find(self, const Packet* p, uint64_t hash) noexcept nogil
    cdef int32_t _new(self, const Packet* p, uint64_t hash, int64_t now) except -1 nogil
    cdef void _drop(self, int32_t slot) noexcept nogil
    cdef int _insert(self, Packet* p, Datagram* d, int32_t low, int32_t high) except -1 nogil
    cdef int _piece(
        self, Datagram* d, Block* before, const uint8_t* data, int32_t low, int32_t high
    ) except -1 nogil
    cdef int _whole(self, Packet* p, Datagram* d) except -1 nogil
