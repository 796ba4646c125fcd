"""CRC-32 by carry-less multiplication, or by sixteen tables (see crc32.pxd).

The binding of zlib would need the GIL and an object per call. Tables take three instructions a
byte, which was a sixth of reading an event log; where the processor multiplies without carry, it
folds 64 bytes at a time (Gopal et al., "Fast CRC Computation for Generic Polynomials Using
PCLMULQDQ Instruction", Intel 2009; the constants are those of its bit-reflected example).
"""

from libc.string cimport memcpy

cdef extern from * nogil:
    """
    #include <stdint.h>
    #if defined(__x86_64__) && defined(__GNUC__)
    #include <immintrin.h>
    #define TL_FOLDS __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1")

    /* The raw register after `n` bytes, n >= 64 and a multiple of 16. */
    __attribute__((target("pclmul,sse4.1")))
    static uint32_t tl_crc32_fold(const uint8_t *p, Py_ssize_t n, uint32_t crc) {
        const __m128i by64 = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4);
        const __m128i by16 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
        const __m128i by8 = _mm_set_epi64x(0, 0x0163cd6124);
        const __m128i barrett = _mm_set_epi64x(0x01f7011641, 0x01db710641);
        const __m128i low = _mm_setr_epi32(-1, 0, -1, 0);
        __m128i x[4], t;
        int i;
        for (i = 0; i < 4; i++) x[i] = _mm_loadu_si128((const __m128i *)p + i);
        x[0] = _mm_xor_si128(x[0], _mm_cvtsi32_si128((int)crc));
        for (p += 64, n -= 64; n >= 64; p += 64, n -= 64)
            for (i = 0; i < 4; i++) {
                t = _mm_clmulepi64_si128(x[i], by64, 0x00);
                x[i] = _mm_clmulepi64_si128(x[i], by64, 0x11);
                x[i] = _mm_xor_si128(_mm_xor_si128(x[i], t),
                                     _mm_loadu_si128((const __m128i *)p + i));
            }
        for (i = 1; i < 4; i++) {
            t = _mm_clmulepi64_si128(x[0], by16, 0x00);
            x[0] = _mm_clmulepi64_si128(x[0], by16, 0x11);
            x[0] = _mm_xor_si128(_mm_xor_si128(x[0], t), x[i]);
        }
        for (; n >= 16; p += 16, n -= 16) {
            t = _mm_clmulepi64_si128(x[0], by16, 0x00);
            x[0] = _mm_clmulepi64_si128(x[0], by16, 0x11);
            x[0] = _mm_xor_si128(_mm_xor_si128(x[0], t), _mm_loadu_si128((const __m128i *)p));
        }
        t = _mm_clmulepi64_si128(x[0], by16, 0x10);
        x[0] = _mm_xor_si128(_mm_srli_si128(x[0], 8), t);
        t = _mm_srli_si128(x[0], 4);
        x[0] = _mm_clmulepi64_si128(_mm_and_si128(x[0], low), by8, 0x00);
        x[0] = _mm_xor_si128(x[0], t);
        t = _mm_clmulepi64_si128(_mm_and_si128(x[0], low), barrett, 0x10);
        t = _mm_clmulepi64_si128(_mm_and_si128(t, low), barrett, 0x00);
        return (uint32_t)_mm_extract_epi32(_mm_xor_si128(x[0], t), 1);
    }
    #else
    #define TL_FOLDS 0
    static uint32_t tl_crc32_fold(const uint8_t *p, Py_ssize_t n, uint32_t crc) { return crc; }
    #endif
    """
    const bint TL_FOLDS
    uint32_t tl_crc32_fold(const uint8_t* p, Py_ssize_t n, uint32_t crc)

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
cdef bint FOLDS = TL_FOLDS


cdef uint32_t _by_tables(const uint8_t* p, Py_ssize_t n, uint32_t crc) noexcept nogil:
    """The raw register after `n` bytes."""
    cdef uint32_t a, b, c, d
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
    return crc


cdef uint32_t crc32(const uint8_t* p, Py_ssize_t n, uint32_t crc) noexcept nogil:
    cdef Py_ssize_t folded = 0
    crc = ~crc
    if FOLDS and n >= 64:
        folded = n & ~<Py_ssize_t>15
        crc = tl_crc32_fold(p, folded, crc)
    return ~_by_tables(p + folded, n - folded, crc)


def checksum(bytes data, uint32_t crc=0):
    """CRC-32 of `data`, as `zlib.crc32` gives it."""
    return crc32(<const uint8_t*><const char*>data, len(data), crc)


def checksum_by_tables(bytes data, uint32_t crc=0):
    """The same where the processor cannot multiply without carry."""
    return ~_by_tables(<const uint8_t*><const char*>data, len(data), ~crc) & 0xFFFFFFFF
