"""A text in UTF-16 as a feed of UTF-8 (see utf16_text.pxd)."""

from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from tracelake.native.cursor cimport be16, le16


cdef class Utf16Text:
    """Reads UTF-16 as UTF-8.

    Args:
        feed: of the artifact, behind its mark.
        big: big-endian.
    """

    def __cinit__(self, Feed feed, bint big):
        self.feed = feed
        self.big = big

    def readinto(self, into):
        """Fills `into` with UTF-8; returns how many bytes, 0 at the end. Raises EvidenceError."""
        cdef uint8_t[::1] room = into
        cdef Py_ssize_t n
        if self._head == self._tail:
            self._refill()
        n = min(self._tail - self._head, room.shape[0])
        if n:
            memcpy(&room[0], self._made + self._head, n)
            self._head += n
        return n

    cdef int _refill(self) except -1:
        cdef Py_ssize_t have = self.feed.fill(4), units = min(have // 2, UNITS), used = 0
        self._head = 0
        self._tail = self._put(self.feed.at(), units, have < 4, self._made, &used)
        self.feed.advance(2 * used)
        if have == 1:
            self.odd = 1
            self.feed.advance(1)
        return 0

    cdef Py_ssize_t _put(
        self, const uint8_t* p, Py_ssize_t units, bint last, uint8_t* out, Py_ssize_t* used
    ) noexcept nogil:
        cdef Py_ssize_t i = 0, o = 0
        cdef uint32_t c, d
        while i < units:
            c = be16(p + 2 * i) if self.big else le16(p + 2 * i)
            i += 1
            if c < 0x80:
                out[o] = <uint8_t>c
                o += 1
                continue
            if c < 0x800:
                out[o] = <uint8_t>(0xC0 | c >> 6)
                out[o + 1] = <uint8_t>(0x80 | (c & 0x3F))
                o += 2
                continue
            if 0xD800 <= c < 0xDC00:
                if i == units and not last:
                    i -= 1          # its other half is still to come
                    break
                if i < units:
                    d = be16(p + 2 * i) if self.big else le16(p + 2 * i)
                    if 0xDC00 <= d < 0xE000:
                        i += 1
                        c = 0x10000 + ((c - 0xD800) << 10) + (d - 0xDC00)
                        out[o] = <uint8_t>(0xF0 | c >> 18)
                        out[o + 1] = <uint8_t>(0x80 | (c >> 12 & 0x3F))
                        out[o + 2] = <uint8_t>(0x80 | (c >> 6 & 0x3F))
                        out[o + 3] = <uint8_t>(0x80 | (c & 0x3F))
                        o += 4
                        continue
            out[o] = <uint8_t>(0xE0 | c >> 12)
            out[o + 1] = <uint8_t>(0x80 | (c >> 6 & 0x3F))
            out[o + 2] = <uint8_t>(0x80 | (c & 0x3F))
            o += 3
        used[0] = i
        return o
