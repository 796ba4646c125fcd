"""Checksums, and packets that were captured more than once."""

from libc.stdint cimport int16_t, int64_t, uint8_t, uint32_t, uint64_t

from tracelake.parsers.packet cimport Packet

# Whether the checksum of its IPv4 header or of its transport is wrong; what was not captured whole,
# or not filled in, is not.
cdef bint wrong_checksum(const Packet* p) noexcept nogil


# A packet that was seen a moment ago.
cdef struct Seen:
    uint64_t hash
    int64_t time
    uint32_t sender             # the end of its link address
    int16_t vlan
    uint8_t hops


cdef class Repeats:
    cdef Seen* seen
    cdef uint64_t seed

    # Whether the same packet was captured a moment ago, and remembers it.
    cdef bint again(self, const Packet* p, int64_t now) noexcept nogil
