"""SHA-1 of one short message and Base64 (see sha1.pxd).

hashlib would cost a Python object and the GIL for every flow; a single block is 80 rounds.
"""

from libc.stdint cimport uint32_t
from libc.string cimport memcpy, memset

from tracelake.native.cursor cimport be32


cdef const char* LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


cdef inline uint32_t _left(uint32_t x, int n) noexcept nogil:
    return (x << n) | (x >> (32 - n))


cdef inline void _put_be32(uint8_t* p, uint32_t x) noexcept nogil:
    p[0] = <uint8_t>(x >> 24)
    p[1] = <uint8_t>(x >> 16)
    p[2] = <uint8_t>(x >> 8)
    p[3] = <uint8_t>x


cdef void sha1_short(const uint8_t* p, int n, uint8_t* out) noexcept nogil:
    cdef uint8_t[64] block
    cdef uint32_t[80] w
    cdef uint32_t a = 0x67452301, b = 0xEFCDAB89, c = 0x98BADCFE, d = 0x10325476, e = 0xC3D2E1F0
    cdef uint32_t f, k, x
    cdef int i
    if n > 55:
        n = 55
    memset(block, 0, 64)
    memcpy(block, p, n)
    block[n] = 0x80
    _put_be32(block + 60, <uint32_t>n * 8)
    for i in range(16):
        w[i] = be32(block + 4 * i)
    for i in range(16, 80):
        w[i] = _left(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1)
    for i in range(80):
        if i < 20:
            f = (b & c) | (~b & d)
            k = 0x5A827999
        elif i < 40:
            f = b ^ c ^ d
            k = 0x6ED9EBA1
        elif i < 60:
            f = (b & c) | (b & d) | (c & d)
            k = 0x8F1BBCDC
        else:
            f = b ^ c ^ d
            k = 0xCA62C1D6
        x = _left(a, 5) + f + e + k + w[i]
        e = d
        d = c
        c = _left(b, 30)
        b = a
        a = x
    _put_be32(out, a + <uint32_t>0x67452301)
    _put_be32(out + 4, b + <uint32_t>0xEFCDAB89)
    _put_be32(out + 8, c + <uint32_t>0x98BADCFE)
    _put_be32(out + 12, d + <uint32_t>0x10325476)
    _put_be32(out + 16, e + <uint32_t>0xC3D2E1F0)


cdef Py_ssize_t put_base64(uint8_t* out, const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i = 0, o = 0
    cdef uint32_t x
    while i < n:
        x = <uint32_t>p[i] << 16
        if i + 1 < n:
            x |= <uint32_t>p[i + 1] << 8
        if i + 2 < n:
            x |= p[i + 2]
        out[o] = LETTERS[x >> 18]
        out[o + 1] = LETTERS[(x >> 12) & 63]
        out[o + 2] = LETTERS[(x >> 6) & 63] if i + 1 < n else 61
        out[o + 3] = LETTERS[x & 63] if i + 2 < n else 61
        i += 3
        o += 4
    return o


def sha1_base64(bytes message):
    """SHA-1 of a message of at most 55 bytes, in Base64 (for tests)."""
    cdef uint8_t[20] digest
    cdef uint8_t[28] text
    if len(message) > 55:
        raise ValueError(f"{len(message)} bytes are more than one block")
    sha1_short(<const uint8_t*><const char*>message, <int>len(message), digest)
    return (<char*>text)[:put_base64(text, digest, 20)].decode("ascii")
