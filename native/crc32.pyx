"""CRC-32 by sixteen tables (see crc32.pxd).

The binding of zlib would need the GIL and an object per call; sixteen tables read evidence at
the speed of memory on a laptop, and need neither a library nor a machine instruction.
"""

from libc.string cimport memcpy

cdef uint32_t[16][256] TABLE


cdef void _fill() noexcept nogil:
    cdef uint32_t i, k, value
    for i in range(256):
        value = i
        for k in range(8):
            value = (value >> 1) ^ (0xEDB88320U if value & 1 else 0)
        TABLE[0][i] = value
    for k in range(1, 16):
        for i in range(256):
            value = TABLE[k - 1][i]
            TABLE[k][i] = (value >> 8) ^ TABLE[0][value & 0xFF]


_fill()


cdef uint32_t crc32(const uint8_t* p, Py_ssize_t n, uint32_t crc) noexcept nogil:
    cdef uint32_t a, b, c, d
    crc = ~crc
    while n >= 16:
        memcpy(&a, p, 4)
        memcpy(&b, p + 4, 4)
        memcpy(&c, p + 8, 4)
        memcpy(&d, p + 12, 4)
        a ^= crc
        crc = (
            TABLE[15][a & 0xFF] ^ TABLE[14][(a >> 8) & 0xFF]
            ^ TABLE[13][(a >> 16) & 0xFF] ^ TABLE[12][a >> 24]
            ^ TABLE[11][b & 0xFF] ^ TABLE[10][(b >> 8) & 0xFF]
            ^ TABLE[9][(b >> 16) & 0xFF] ^ TABLE[8][b >> 24]
            ^ TABLE[7][c & 0xFF] ^ TABLE[6][(c >> 8) & 0xFF]
            ^ TABLE[5][(c >> 16) & 0xFF] ^ TABLE[4][c >> 24]
            ^ TABLE[3][d & 0xFF] ^ TABLE[2][(d >> 8) & 0xFF]
            ^ TABLE[1][(d >> 16) & 0xFF] ^ TABLE[0][d >> 24]
        )
        p += 16
        n -= 16
    while n > 0:
        crc = (crc >> 8) ^ TABLE[0][(crc ^ p[0]) & 0xFF]
        p += 1
        n -= 1
    return ~crc


def checksum(bytes data, uint32_t crc=0):
    """CRC-32 of `data`, as `zlib.crc32` gives it."""
    return crc32(<const uint8_t*><const char*>data, len(data), crc)
