"""The only checked way to bytes.

A `Cursor` is a range of bytes and a place in it. Take what a structure needs in
one call, then load its fields from the pointer; one check a structure, not one a
field:

    p = take(&c, 24, b"record header")
    size = le32(p + 4)
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy


cdef struct Cursor:
    const uint8_t* start    # first byte of the range
    const uint8_t* at       # the next byte to be read
    const uint8_t* end      # one past the last byte
    int64_t origin          # offset of `start` in the artifact


cdef int refuse(const Cursor* c, Py_ssize_t need, const char* what) except -1 nogil
cdef int corrupt(int64_t offset, const char* what, const char* why) except -1 nogil


cdef inline Cursor span(const uint8_t* data, Py_ssize_t length, int64_t origin) noexcept nogil:
    """A cursor over `length` bytes at `data`, which stand at `origin` in the artifact."""
    cdef Cursor c
    c.start = data
    c.at = data
    c.end = data + (length if length > 0 else 0)
    c.origin = origin
    return c


cdef inline Py_ssize_t left(const Cursor* c) noexcept nogil:
    return c.end - c.at


cdef inline int64_t offset(const Cursor* c) noexcept nogil:
    """Offset in the artifact of the next byte."""
    return c.origin + (c.at - c.start)


cdef inline const uint8_t* take(Cursor* c, Py_ssize_t n, const char* what) except NULL nogil:
    """The next `n` bytes; the cursor moves past them. Raises Truncated, naming `what`."""
    cdef const uint8_t* p = c.at
    if n < 0 or n > c.end - p:
        refuse(c, n, what)
        return NULL
    c.at = p + n
    return p


cdef inline int seek(Cursor* c, Py_ssize_t position, const char* what) except -1 nogil:
    """Moves to `position`, counted from the start of the range."""
    if position < 0 or position > c.end - c.start:
        c.at = c.start
        return refuse(c, position, what)
    c.at = c.start + position
    return 0


cdef inline int part(Cursor* c, Py_ssize_t n, const char* what, Cursor* out) except -1 nogil:
    """Takes the next `n` bytes as a cursor of their own."""
    cdef int64_t origin = offset(c)
    cdef const uint8_t* p = take(c, n, what)
    out[0] = span(p, n, origin)
    return 0


cdef inline uint16_t le16(const uint8_t* p) noexcept nogil:
    return <uint16_t>(p[0] | (<uint32_t>p[1] << 8))


cdef inline uint16_t be16(const uint8_t* p) noexcept nogil:
    return <uint16_t>((<uint32_t>p[0] << 8) | p[1])


cdef inline uint32_t le32(const uint8_t* p) noexcept nogil:
    return p[0] | (<uint32_t>p[1] << 8) | (<uint32_t>p[2] << 16) | (<uint32_t>p[3] << 24)


cdef inline uint32_t be32(const uint8_t* p) noexcept nogil:
    return (<uint32_t>p[0] << 24) | (<uint32_t>p[1] << 16) | (<uint32_t>p[2] << 8) | p[3]


cdef inline uint64_t le64(const uint8_t* p) noexcept nogil:
    return <uint64_t>le32(p) | (<uint64_t>le32(p + 4) << 32)


cdef inline uint64_t be64(const uint8_t* p) noexcept nogil:
    return (<uint64_t>be32(p) << 32) | be32(p + 4)


cdef inline double le_double(const uint8_t* p) noexcept nogil:
    cdef uint64_t bits = le64(p)
    cdef double value
    memcpy(&value, &bits, 8)
    return value


cdef inline float le_float(const uint8_t* p) noexcept nogil:
    cdef uint32_t bits = le32(p)
    cdef float value
    memcpy(&value, &bits, 4)
    return value
