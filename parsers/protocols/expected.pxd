"""Connections that were announced in others: FTP's data. Bounded; the oldest make room."""

from libc.stdint cimport int32_t, int64_t, uint16_t, uint64_t

from tracelake.parsers.conn cimport Flow
from tracelake.parsers.packet cimport Address


cdef struct Announced:
    bint used
    uint16_t port
    int32_t protocol            # index in PROTOCOLS
    int64_t time
    Address orig
    Address resp
    void* context               # the announcer's own


cdef class Expected:
    cdef Announced* table
    cdef readonly int64_t count     # announced so far: 0 spares everybody the search
    cdef uint64_t secret

    # From `orig`, any port, to `resp` and `port`; holds for five minutes from `time`.
    cdef int announce(
        self, const Address* orig, const Address* resp, uint16_t port, int32_t protocol,
        void* context, int64_t time,
    ) except -1 nogil
    # What was announced for a flow; NULL where nothing was.
    cdef Announced* find(self, const Flow* f) noexcept nogil
    # The announcer is gone: what it announced has no context any more.
    cdef void forget(self, void* context) noexcept nogil
    cdef uint64_t _place(self, const Address* resp, uint16_t port) noexcept nogil
