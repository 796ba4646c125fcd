"""LZ4 blocks, as systemd's journals hold them.

Specification: "LZ4 Block Format Description" (github.com/lz4/lz4, doc/lz4_Block_format.md).
A sequence is a token, literals, and a copy of at least four bytes from before; the last one has
literals only.
"""

from libc.stdint cimport uint8_t
from libc.string cimport memcpy


cdef Py_ssize_t lz4_unpack(
    const uint8_t* p, Py_ssize_t n, uint8_t* out, Py_ssize_t room
) noexcept nogil:
    cdef const uint8_t* end = p + n
    cdef Py_ssize_t wrote = 0, length, distance
    cdef uint8_t token, more
    while p < end:
        token = p[0]
        p += 1
        length = token >> 4
        if length == 15:
            more = 255
            while more == 255:
                if p >= end or length > room:
                    return -1
                more = p[0]
                length += more
                p += 1
        if length > end - p or length > room - wrote:
            return -1
        memcpy(out + wrote, p, length)
        wrote += length
        p += length
        if p == end:
            return wrote
        if end - p < 2:
            return -1
        distance = p[0] | (<Py_ssize_t>p[1] << 8)
        p += 2
        if distance == 0 or distance > wrote:
            return -1
        length = 4 + (token & 15)
        if token & 15 == 15:
            more = 255
            while more == 255:
                if p >= end or length > room:
                    return -1
                more = p[0]
                length += more
                p += 1
        if length > room - wrote:
            return -1
        # Copies may overlap what they write: byte by byte.
        while length > 0:
            out[wrote] = out[wrote - distance]
            wrote += 1
            length -= 1
    return wrote if n else 0


def unpack(bytes block, Py_ssize_t room):
    """A block unpacked, `room` bytes at most; None where it is none."""
    cdef bytearray out = bytearray(room)
    cdef uint8_t* to = out
    cdef Py_ssize_t n = lz4_unpack(block, len(block), to, room)
    return None if n < 0 else bytes(out[:n])
