"""LZ77 with Huffman codes as Windows writes it ([MS-XCA] 2.2, "LZXPRESS Huffman").

A stream is blocks of 64 KiB of what was packed. Each begins with the lengths of 512 codes, four
bits each; the codes stand in 16-bit units, most significant bit first, with the bytes of long
lengths between the units. Copies reach back into earlier blocks.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memset

from tracelake.native.cursor cimport Cursor, le16, le32, left, span, take

cdef enum:
    SYMBOLS = 512
    LONGEST = 15
    BLOCK = 65536

# A match can be the rest of a file in five bytes, so the size that is claimed is bounded here.
cdef Py_ssize_t MOST = 64 << 20

cdef enum:
    WHOLE = 0
    CUT = 1
    BAD_CODES = 2
    BAD_CODE = 3
    BAD_COPY = 4

_WHY = {
    WHOLE: "",
    CUT: "the packed data end before all of it is unpacked",
    BAD_CODES: "the lengths of a block's codes are not those of a prefix code",
    BAD_CODE: "a code stands for nothing",
    BAD_COPY: "a copy from before the start",
}


cdef struct Bits:
    uint32_t held      # the next bits, from the top
    int extra          # how many below the upper 16 are there
    int missing        # units that were asked for behind the end


cdef inline int more(Bits* b, Cursor* c) except -1 nogil:
    """Brings a unit when fewer than 16 bits are left. Behind the end there are zeros, as an
    encoder need not write units that no code uses."""
    if b.extra < 0:
        if left(c) >= 2:
            b.held |= (<uint32_t>le16(take(c, 2, b"bits"))) << (-b.extra)
        else:
            b.missing += 1
        b.extra += 16
    return 0


cdef bint build(const uint8_t* packed, uint8_t* lengths, uint16_t* table) noexcept nogil:
    """Fills the table that has a symbol for each 15 bits; False where it cannot."""
    cdef int symbol, bits
    cdef Py_ssize_t at = 0, run, i
    for i in range(SYMBOLS // 2):
        lengths[2 * i] = packed[i] & 15
        lengths[2 * i + 1] = packed[i] >> 4
    memset(table, 0xFF, 2 << LONGEST)
    for bits in range(1, LONGEST + 1):
        run = (<Py_ssize_t>1) << (LONGEST - bits)
        for symbol in range(SYMBOLS):
            if lengths[symbol] == bits:
                if at + run > 1 << LONGEST:
                    return False
                for i in range(run):
                    table[at + i] = <uint16_t>symbol
                at += run
    return at > 0


cdef int unpack(Cursor* c, uint8_t* out, Py_ssize_t size, Py_ssize_t* made) except -1 nogil:
    cdef uint8_t[SYMBOLS] lengths
    cdef uint16_t[1 << LONGEST] table
    cdef Bits b
    cdef Py_ssize_t at = 0, stop, length, back
    cdef int symbol, wide
    made[0] = 0
    while at < size:
        if left(c) < SYMBOLS // 2 + 4:
            return CUT
        if not build(take(c, SYMBOLS // 2, b"code lengths"), lengths, table):
            return BAD_CODES
        b.held = (<uint32_t>le16(take(c, 2, b"bits"))) << 16
        b.held |= le16(take(c, 2, b"bits"))
        b.extra = 16
        b.missing = 0
        stop = min(at + BLOCK, size)
        while at < stop:
            symbol = table[b.held >> (32 - LONGEST)]
            if symbol >= SYMBOLS:
                return BAD_CODE
            b.held <<= lengths[symbol]
            b.extra -= lengths[symbol]
            more(&b, c)
            if symbol < 256:
                if b.missing > 2:
                    return CUT
                out[at] = <uint8_t>symbol
                at += 1
                made[0] = at
                continue
            symbol -= 256
            length = symbol & 15
            wide = symbol >> 4
            if length == 15:
                if left(c) < 1:
                    return CUT
                length = take(c, 1, b"length")[0]
                if length == 255:
                    if left(c) < 2:
                        return CUT
                    length = le16(take(c, 2, b"length"))
                    if length == 0:
                        if left(c) < 4:
                            return CUT
                        length = le32(take(c, 4, b"length"))
                    if length < 15:
                        return BAD_CODE
                    length -= 15
                length += 15
            length += 3
            back = 1 << wide
            if wide:
                back += b.held >> (32 - wide)
                b.held <<= wide
                b.extra -= wide
                more(&b, c)
            if b.missing > 2:
                return CUT
            if back > at:
                return BAD_COPY
            if length > size - at:
                length = size - at
            while length > 0:
                out[at] = out[at - back]
                at += 1
                length -= 1
            made[0] = at
    return WHOLE


def huffman(bytes data not None, Py_ssize_t start, Py_ssize_t size):
    """Unpacks.

    Args:
        data: holds the packed bytes.
        start: where they begin in it.
        size: bytes that they are unpacked, as their container says; 64 MiB at most.

    Returns:
        What could be unpacked, and why that is not all ("" where it is).
    """
    cdef Cursor c
    cdef Py_ssize_t made = 0
    cdef int how
    cdef uint8_t* out
    if size < 0 or size > MOST:
        return b"", f"claims {size} bytes unpacked, more than {MOST} are not held"
    if start < 0 or start > len(data):
        return b"", "there are no packed data"
    result = PyBytes_FromStringAndSize(NULL, size)
    out = <uint8_t*>PyBytes_AS_STRING(result)
    c = span(<const uint8_t*>PyBytes_AS_STRING(data) + start, len(data) - start, start)
    with nogil:
        how = unpack(&c, out, size, &made)
    return result[:made], _WHY[how]
