"""XXH64 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md): a fast 64-bit hash of bytes.

Not a cryptographic hash: whoever writes the bytes can make two texts collide. Where that
would matter (leaving out a duplicate), take a seed that is drawn at run time.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    _STRIPE = 32


cdef inline uint64_t _rotl(uint64_t x, int r) noexcept nogil:
    return (x << r) | (x >> (64 - r))


cdef inline uint64_t _round(uint64_t lane, uint64_t word) noexcept nogil:
    return _rotl(lane + word * 0xC2B2AE3D27D4EB4FULL, 31) * 0x9E3779B185EBCA87ULL


cdef inline uint64_t _merge(uint64_t h, uint64_t lane) noexcept nogil:
    return (h ^ _round(0, lane)) * 0x9E3779B185EBCA87ULL + 0x85EBCA77C2B2AE63ULL


cdef inline uint64_t hash64(const uint8_t* p, Py_ssize_t n, uint64_t seed) noexcept nogil:
    """XXH64 of `n` bytes at `p` (little-endian machines only, as all that we build for)."""
    cdef const uint8_t* end = p + n
    cdef uint64_t a, b, c, d, h, word
    cdef uint32_t half
    if n >= _STRIPE:
        a = seed + 0x9E3779B185EBCA87ULL + 0xC2B2AE3D27D4EB4FULL
        b = seed + 0xC2B2AE3D27D4EB4FULL
        c = seed
        d = seed - 0x9E3779B185EBCA87ULL
        while end - p >= _STRIPE:
            memcpy(&word, p, 8)
            a = _round(a, word)
            memcpy(&word, p + 8, 8)
            b = _round(b, word)
            memcpy(&word, p + 16, 8)
            c = _round(c, word)
            memcpy(&word, p + 24, 8)
            d = _round(d, word)
            p += _STRIPE
        h = _rotl(a, 1) + _rotl(b, 7) + _rotl(c, 12) + _rotl(d, 18)
        h = _merge(_merge(_merge(_merge(h, a), b), c), d)
    else:
        h = seed + 0x27D4EB2F165667C5ULL
    h += <uint64_t>n
    while end - p >= 8:
        memcpy(&word, p, 8)
        h = _rotl(h ^ _round(0, word), 27) * 0x9E3779B185EBCA87ULL + 0x85EBCA77C2B2AE63ULL
        p += 8
    if end - p >= 4:
        memcpy(&half, p, 4)
        h = _rotl(h ^ (half * 0x9E3779B185EBCA87ULL), 23) * 0xC2B2AE3D27D4EB4FULL
        h += 0x165667B19E3779F9ULL
        p += 4
    while p < end:
        h = _rotl(h ^ (p[0] * 0x27D4EB2F165667C5ULL), 11) * 0x9E3779B185EBCA87ULL
        p += 1
    h = (h ^ (h >> 33)) * 0xC2B2AE3D27D4EB4FULL
    h = (h ^ (h >> 29)) * 0x165667B19E3779F9ULL
    return h ^ (h >> 32)
