"""What an application protocol is to the flows (see protocol.pxd)."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from tracelake.native.account cimport Account

DEFAULT_LONGEST = 1 << 20

cdef void confirm(Talk* t, int service) noexcept nogil:
    t.flow.services |= <uint64_t>1 << service


cdef Place place(Talk* t, int side, int64_t at) noexcept nogil:
    cdef Half* h = &t.half[side]
    cdef const Mark* mark = &h.now
    cdef int64_t position = h.position + at
    cdef int32_t low = 0, high = h.mark_count, middle
    cdef Place found
    if position < h.now.at and high:
        # The last mark at or before the position.
        while high - low > 1:
            middle = (low + high) // 2
            if h.marks[middle].at <= position:
                low = middle
            else:
                high = middle
        mark = &h.marks[low]
    found.time = mark.time
    found.offset = mark.offset
    found.length = mark.length
    if h.named_offset != mark.offset or not h.named:
        h.named_offset = mark.offset
        h.named = 0
    # Rows of an inner flow begin at the same packet as those of the flow around it.
    found.sub = t.depth << 20 | h.named
    h.named += 1
    return found


cdef class Protocol:
    """One application protocol, for all flows of a capture.

    Args:
        index: its number in PROTOCOLS.
        account: of the capture, for repairs of text.
        sheets: the tables that rows are written to.
    """

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.index = index
        self.account = account
        self.sheets = sheets
        self.longest = DEFAULT_LONGEST
        self.ports = ()

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        return NO

    cdef int begin(self, Talk* t) except -1 nogil:
        return 0

    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        return n

    cdef int gap(self, Talk* t, int side, int64_t n) except -1 nogil:
        give_up(t)
        return 0

    cdef int closed(self, Talk* t, int side) except -1 nogil:
        return 0

    cdef int datagram(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        return 0

    cdef int end(self, Talk* t) except -1 nogil:
        return 0

    cdef int tick(self, int64_t now, bint last) except -1 nogil:
        return 0
