"""Bytes of TCP streams that came before those that go before them.

Where two packets hold the same bytes of a stream, the first that came counts, whatever the second
one says (as Zeek has it). At most HELD_LIMIT bytes are kept in all: beyond, a piece is not kept,
and becomes a gap when the stream gets there.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

cdef int64_t HELD_LIMIT = 64 << 20


cdef class Pieces:
    """The pieces of all streams of a capture.

    Args:
        talks: whom the bytes are passed on to.
    """

    def __cinit__(self, Talks talks):
        self.talks = talks

    cdef int keep(
        self, Side* s, uint64_t low, uint64_t high, const uint8_t* p, const Mark* mark
    ) except -1 nogil:
        """Keeps of [low, high) what is not held yet."""
        cdef Piece** link = <Piece**>&s.pieces
        cdef Piece* new
        cdef uint64_t from_ = low, to
        while from_ < high:
            while link[0] is not NULL and link[0].high <= from_:
                link = &link[0].next
            if link[0] is not NULL and link[0].low <= from_:
                from_ = link[0].high
                continue
            to = high
            if link[0] is not NULL and link[0].low < to:
                to = link[0].low
            if self.held + <int64_t>(to - from_) > HELD_LIMIT:
                return 0
            new = <Piece*>malloc(sizeof(Piece) + (to - from_))
            if new is NULL:
                with gil:
                    raise MemoryError(f"{to - from_} bytes of a stream")
            self.held += sizeof(Piece) + to - from_
            new.low = from_
            new.high = to
            new.mark = mark[0]
            memcpy(new + 1, p + (from_ - low), to - from_)
            new.next = link[0]
            link[0] = new
            link = &new.next
            from_ = to
        return 0

    cdef int release(
        self, Flow* f, int side, uint64_t low, uint64_t high, const Mark* now
    ) except -1 nogil:
        cdef Side* s = &f.side[side]
        cdef Piece* piece
        cdef uint64_t to
        while low < high:
            piece = <Piece*>s.pieces
            if piece is NULL or piece.low >= high:
                return self.talks.gap(f, side, <int64_t>(high - low), now)
            if piece.high > low:
                if piece.low > low:
                    self.talks.gap(f, side, <int64_t>(piece.low - low), now)
                    low = piece.low
                to = piece.high if piece.high < high else high
                self.talks.data(
                    f, side, <const uint8_t*>(piece + 1) + (low - piece.low), <int64_t>(to - low),
                    &piece.mark,
                )
                low = to
            if piece.high > high:
                return 0
            s.pieces = piece.next
            self.held -= sizeof(Piece) + piece.high - piece.low
            free(piece)
        return 0

    cdef void drop(self, Side* s) noexcept nogil:
        """Forgets what is held of a side."""
        cdef Piece* piece = <Piece*>s.pieces
        cdef Piece* next
        while piece is not NULL:
            next = piece.next
            self.held -= sizeof(Piece) + piece.high - piece.low
            free(piece)
            piece = next
        s.pieces = NULL
