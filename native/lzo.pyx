"""LZO1X streams.

Specification: "LZO stream format as understood by Linux's LZO decompressor"
(docs.kernel.org/staging/lzo.html). A stream is instructions: literals, or a copy from before and up
to three literals. What an instruction below 16 means depends on how many literals the one before
it ended with. A copy from 16384 bytes before ends the stream.
"""

from libc.stdint cimport uint8_t
from libc.string cimport memcpy

cdef enum:
    RUN = 4             # the last instruction was a run of literals


cdef inline Py_ssize_t _long(
    const uint8_t** at, const uint8_t* end, Py_ssize_t base, Py_ssize_t room
) noexcept nogil:
    """A length that did not fit into its instruction: a zero byte stands for 255; -1: beyond."""
    cdef Py_ssize_t length = base
    while at[0] < end and at[0][0] == 0:
        length += 255
        at[0] += 1
        if length > room:
            return -1
    if at[0] >= end:
        return -1
    length += at[0][0]
    at[0] += 1
    return length


cdef Py_ssize_t lzo1x_unpack(
    const uint8_t* p, Py_ssize_t n, uint8_t* out, Py_ssize_t room
) noexcept nogil:
    cdef const uint8_t* end = p + n
    cdef Py_ssize_t wrote = 0, length = 0, distance = 0, literals = 0
    cdef int state = 0
    cdef uint8_t op
    if n > 0 and p[0] > 17:
        # The stream begins with literals.
        literals = p[0] - 17
        p += 1
        if literals > end - p or literals > room:
            return -1
        memcpy(out, p, literals)
        wrote = literals
        p += literals
        state = RUN if literals > 3 else <int>literals
    while p < end:
        op = p[0]
        p += 1
        if op < 16 and state == 0:
            length = 3 + op
            if op == 0:
                length = _long(&p, end, 18, room)
            if length < 0 or length > end - p or length > room - wrote:
                return -1
            memcpy(out + wrote, p, length)
            wrote += length
            p += length
            state = RUN
            continue
        if op < 16:
            if p >= end:
                return -1
            distance = (<Py_ssize_t>p[0] << 2) + (op >> 2) + 1
            p += 1
            length = 2
            if state == RUN:
                distance += 2048
                length = 3
            literals = op & 3
        elif op < 64:
            if op < 32:
                length = op & 7
                if length == 0:
                    length = _long(&p, end, 7, room)
            else:
                length = op & 31
                if length == 0:
                    length = _long(&p, end, 31, room)
            if length < 0 or end - p < 2:
                return -1
            length += 2
            distance = (p[0] | <Py_ssize_t>p[1] << 8) >> 2
            literals = p[0] & 3
            p += 2
            if op < 32:
                distance += 16384 + (<Py_ssize_t>(op & 8) << 11)
                if distance == 16384:
                    # The end of the stream; nothing may stand behind it.
                    return wrote if p == end else -1
            else:
                distance += 1
        else:
            if p >= end:
                return -1
            distance = (<Py_ssize_t>p[0] << 3) + (op >> 2 & 7) + 1
            p += 1
            length = 3 + (op >> 5 & 1) if op < 128 else 5 + (op >> 5 & 3)
            literals = op & 3
        if distance > wrote or length > room - wrote or literals > end - p:
            return -1
        # A copy may overlap what it writes: byte by byte.
        while length > 0:
            out[wrote] = out[wrote - distance]
            wrote += 1
            length -= 1
        if literals > room - wrote:
            return -1
        while length < literals:
            out[wrote] = p[0]
            wrote += 1
            p += 1
            length += 1
        state = <int>literals
    return -1


def unpack(bytes stream not None, Py_ssize_t room):
    cdef bytearray out = bytearray(room)
    cdef uint8_t* to = out
    cdef const uint8_t* p = stream
    cdef Py_ssize_t n = len(stream), wrote
    with nogil:
        wrote = lzo1x_unpack(p, n, to, room)
    return None if wrote < 0 else bytes(out[:wrote])
