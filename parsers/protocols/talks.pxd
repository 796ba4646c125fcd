"""What is said in the flows of one capture, given to the protocols that it belongs to."""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t

from tracelake.native.account cimport Account
from tracelake.parsers.conn cimport Flow
from tracelake.parsers.packet cimport Packet
from tracelake.parsers.protocols.protocol cimport Half, Mark, Protocol, Talk
from tracelake.parsers.protocols.sheet cimport Sheets


cdef class Talks:
    cdef readonly Sheets sheets
    cdef readonly list protocols
    cdef PyObject** table           # the same protocols, borrowed
    cdef int count
    cdef uint8_t* first_of_port     # of each port: who is asked first, + 1
    cdef readonly int64_t held      # bytes held by all talks
    cdef readonly int64_t dropped   # talks that lost what they held
    cdef Talk* oldest
    cdef Talk* newest
    cdef int64_t due                # of the next `tick`

    # Bytes of a side of a TCP flow, in order, from the packet of `mark`.
    cdef int data(
        self, Flow* f, int side, const uint8_t* p, int64_t n, const Mark* mark
    ) except -1 nogil
    cdef int gap(self, Flow* f, int side, int64_t n, const Mark* mark) except -1 nogil
    cdef int closed(self, Flow* f, int side) except -1 nogil
    cdef int datagram(
        self, Flow* f, int side, const Packet* p, const uint8_t* data, int64_t n
    ) except -1 nogil
    cdef int end(self, Flow* f) except -1 nogil
    # To be called when `due` is there (packet time, nanoseconds), and at the end.
    cdef int tick(self, int64_t now, bint last) except -1 nogil
    cdef bint listens(self, const Flow* f) noexcept nogil

    cdef Talk* _talk(self, Flow* f) except NULL nogil
    cdef int _offer(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil
    cdef int32_t _whose(
        self, Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil
    cdef int _recognise(self, Talk* t, int side) except -1 nogil
    cdef int64_t _longest(self, const Talk* t) noexcept nogil
    cdef int _too_long(self, Talk* t, int side) except -1 nogil
    cdef int _hand_over(self, Talk* t) except -1 nogil
    cdef int _belongs(self, Talk* t, int32_t protocol) except -1 nogil
    cdef int _replay(self, Talk* t) except -1 nogil
    cdef int _stop(self, Talk* t) except -1 nogil
    cdef int _keep(
        self, Talk* t, int side, const uint8_t* p, int64_t n, const Mark* mark
    ) except -1 nogil
    cdef int _consume(self, Talk* t, int side, int64_t n) except -1 nogil
    cdef void _drop(self, Talk* t, int side) noexcept nogil
    cdef void _unlink(self, Talk* t) noexcept nogil
    cdef void _link(self, Talk* t) noexcept nogil
    cdef int _make_room(self, Talk* t) except -1 nogil

# Originator and responder change places.
cdef void turn(Talk* t) noexcept nogil
