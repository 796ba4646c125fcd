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


# A hash with a secret: faster than the one above, and no table of it is kept anywhere.

cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <string.h>

    static inline uint64_t tl_fold(uint64_t a, uint64_t b) {
        unsigned __int128 product = (unsigned __int128)a * b;
        return (uint64_t)product ^ (uint64_t)(product >> 64);
    }

    static inline uint64_t tl_word(const uint8_t *p) {
        uint64_t word;
        memcpy(&word, p, 8);
        return word;
    }

    /* Four sums that do not wait for each other; each step multiplies two words of 64 bits. */
    static inline uint64_t tl_keyed(const uint8_t *p, Py_ssize_t n, const uint64_t *key) {
        uint64_t a = key[4] ^ (uint64_t)n, b = key[5], c = key[6], d = key[7];
        uint8_t rest[16] = {0};
        for (; n >= 64; p += 64, n -= 64) {
            a = tl_fold(tl_word(p) ^ key[0], tl_word(p + 8) ^ a);
            b = tl_fold(tl_word(p + 16) ^ key[1], tl_word(p + 24) ^ b);
            c = tl_fold(tl_word(p + 32) ^ key[2], tl_word(p + 40) ^ c);
            d = tl_fold(tl_word(p + 48) ^ key[3], tl_word(p + 56) ^ d);
        }
        for (; n >= 16; p += 16, n -= 16)
            a = tl_fold(tl_word(p) ^ key[0], tl_word(p + 8) ^ a);
        if (n) {
            memcpy(rest, p, (size_t)n);
            b = tl_fold(tl_word(rest) ^ key[1], tl_word(rest + 8) ^ b);
        }
        return tl_fold(tl_fold(a ^ key[8], c ^ key[9]),
                       tl_fold(b ^ key[10], d ^ key[11]) ^ key[12]);
    }
    """
    uint64_t tl_fold(uint64_t a, uint64_t b)        # of the product, both halves as one
    uint64_t tl_word(const uint8_t* p)              # the next eight bytes
    uint64_t tl_keyed(const uint8_t* p, Py_ssize_t n, const uint64_t* key)


cdef enum:
    SECRET_WORDS = 13


cdef inline void spread_secret(uint64_t seed, uint64_t* secret) noexcept nogil:
    """The words of a secret, from one drawn number (SplitMix64)."""
    cdef uint64_t word
    cdef int i
    for i in range(SECRET_WORDS):
        seed += 0x9E3779B97F4A7C15ULL
        word = (seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9ULL
        word = (word ^ (word >> 27)) * 0x94D049BB133111EBULL
        secret[i] = word ^ (word >> 31)


cdef inline uint64_t keyed64(
    const uint8_t* p, Py_ssize_t n, const uint64_t* secret
) noexcept nogil:
    """A hash of `n` bytes at `p` by multiplying words with each other, in the manner of wyhash
    (github.com/wangyi-fudan/wyhash): a third of the instructions of `hash64`. Every word is
    mixed with a part of the secret first, so that nobody can write a word that makes a product
    zero, and the others without effect."""
    return tl_keyed(p, n, secret)
