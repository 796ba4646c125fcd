"""LZ4 blocks, as systemd's journals hold them, and as what is held is packed (held.pyx).

Specification: "LZ4 Block Format Description" (github.com/lz4/lz4, doc/lz4_Block_format.md).
A sequence is a token, literals, and a copy of at least four bytes from before; the last one has
literals only.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset

cdef enum:
    END_LITERALS = 5            # the last bytes of a block are never copied ones
    END_MATCH = 12              # nor does a copy begin among so many


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


cdef inline uint32_t _word(const uint8_t* p) noexcept nogil:
    cdef uint32_t word
    memcpy(&word, p, 4)
    return word


cdef inline Py_ssize_t _put_length(uint8_t* out, Py_ssize_t length) noexcept nogil:
    """What of a length is beyond its token."""
    cdef Py_ssize_t wrote = 0
    while length >= 255:
        out[wrote] = 255
        wrote += 1
        length -= 255
    out[wrote] = <uint8_t>length
    return wrote + 1


cdef Py_ssize_t lz4_pack(
    const uint8_t* p, Py_ssize_t n, uint8_t* out, Py_ssize_t room, uint16_t* table
) noexcept nogil:
    cdef Py_ssize_t at = 0, begin = 0, wrote = 0, from_, literals, length, distance
    cdef uint32_t word, place
    if n <= 0 or n > 65536:
        return 0
    memset(table, 0, LZ4_HASHES * sizeof(uint16_t))
    while True:
        length = 0
        distance = 0
        while at < n - END_MATCH:
            word = _word(p + at)
            place = (word * <uint32_t>2654435761U) >> 20
            from_ = table[place]
            table[place] = <uint16_t>at
            if from_ < at and _word(p + from_) == word:
                length = 4
                distance = at - from_
                while at + length < n - END_LITERALS and p[from_ + length] == p[at + length]:
                    length += 1
                break
            # Where nothing has come twice for long, steps get longer.
            at += 1 + ((at - begin) >> 6)
        literals = (at if length else n) - begin
        if wrote + 1 + literals + literals // 255 + 1 + 2 + length // 255 + 1 > room:
            return 0
        out[wrote] = <uint8_t>(min(literals, <Py_ssize_t>15) << 4)
        if length:
            out[wrote] = out[wrote] | <uint8_t>min(length - 4, <Py_ssize_t>15)
        wrote += 1
        if literals >= 15:
            wrote += _put_length(out + wrote, literals - 15)
        memcpy(out + wrote, p + begin, literals)
        wrote += literals
        if not length:
            return wrote
        out[wrote] = <uint8_t>(distance & 0xFF)
        out[wrote + 1] = <uint8_t>(distance >> 8)
        wrote += 2
        if length - 4 >= 15:
            wrote += _put_length(out + wrote, length - 4 - 15)
        at += length
        begin = at


def pack(bytes block):
    """A block of at most 64 KiB packed; None where that makes it no smaller."""
    cdef uint16_t[LZ4_HASHES] table
    cdef bytearray out = bytearray(len(block) + 1)
    cdef uint8_t* to = out
    cdef Py_ssize_t n = lz4_pack(block, len(block), to, len(block), table)
    return bytes(out[:n]) if n else None


def unpack(bytes block, Py_ssize_t room):
    """A block unpacked, `room` bytes at most; None where it is none."""
    cdef bytearray out = bytearray(room)
    cdef uint8_t* to = out
    cdef Py_ssize_t n = lz4_unpack(block, len(block), to, room)
    return None if n < 0 else bytes(out[:n])
