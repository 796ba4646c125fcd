"""Bytes of TCP streams that came before those that go before them."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from tracelake.parsers.conn cimport Flow, Side
from tracelake.parsers.packet cimport Packet
from tracelake.parsers.protocols.protocol cimport Mark
from tracelake.parsers.protocols.talks cimport Talks


# Bytes [low, high) of a side's stream, as its first packet had them; they follow.
cdef struct Piece:
    Piece* next
    uint64_t low
    uint64_t high
    Mark mark


cdef class Pieces:
    cdef Talks talks
    cdef readonly int64_t held

    cdef int keep(
        self, Side* s, uint64_t low, uint64_t high, const uint8_t* p, const Mark* mark
    ) except -1 nogil
    # The stream is known, or given up, from `low` to `high`: what is held of it is passed on in
    # order, the rest as gaps.
    cdef int release(
        self, Flow* f, int side, uint64_t low, uint64_t high, const Mark* now
    ) except -1 nogil
    cdef void drop(self, Side* s) noexcept nogil


cdef inline Mark mark_of(const Packet* p) noexcept nogil:
    cdef Mark mark
    mark.at = 0
    mark.time = p.time
    mark.offset = p.offset
    mark.length = p.length
    return mark
