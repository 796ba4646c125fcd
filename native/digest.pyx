"""MD5, SHA-1 and SHA-256 in memory (see digest.pxd)."""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy, memset

from tracelake.native.cursor cimport be32, le32

cdef uint32_t[64] MD5_SINES = [
    0xD76AA478, 0xE8C7B756, 0x242070DB, 0xC1BDCEEE, 0xF57C0FAF, 0x4787C62A,
    0xA8304613, 0xFD469501, 0x698098D8, 0x8B44F7AF, 0xFFFF5BB1, 0x895CD7BE,
    0x6B901122, 0xFD987193, 0xA679438E, 0x49B40821, 0xF61E2562, 0xC040B340,
    0x265E5A51, 0xE9B6C7AA, 0xD62F105D, 0x02441453, 0xD8A1E681, 0xE7D3FBC8,
    0x21E1CDE6, 0xC33707D6, 0xF4D50D87, 0x455A14ED, 0xA9E3E905, 0xFCEFA3F8,
    0x676F02D9, 0x8D2A4C8A, 0xFFFA3942, 0x8771F681, 0x6D9D6122, 0xFDE5380C,
    0xA4BEEA44, 0x4BDECFA9, 0xF6BB4B60, 0xBEBFBC70, 0x289B7EC6, 0xEAA127FA,
    0xD4EF3085, 0x04881D05, 0xD9D4D039, 0xE6DB99E5, 0x1FA27CF8, 0xC4AC5665,
    0xF4292244, 0x432AFF97, 0xAB9423A7, 0xFC93A039, 0x655B59C3, 0x8F0CCC92,
    0xFFEFF47D, 0x85845DD1, 0x6FA87E4F, 0xFE2CE6E0, 0xA3014314, 0x4E0811A1,
    0xF7537E82, 0xBD3AF235, 0x2AD7D2BB, 0xEB86D391,
]

cdef uint32_t[64] SHA256_ROOTS = [
    0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5, 0x3956C25B, 0x59F111F1,
    0x923F82A4, 0xAB1C5ED5, 0xD807AA98, 0x12835B01, 0x243185BE, 0x550C7DC3,
    0x72BE5D74, 0x80DEB1FE, 0x9BDC06A7, 0xC19BF174, 0xE49B69C1, 0xEFBE4786,
    0x0FC19DC6, 0x240CA1CC, 0x2DE92C6F, 0x4A7484AA, 0x5CB0A9DC, 0x76F988DA,
    0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7, 0xC6E00BF3, 0xD5A79147,
    0x06CA6351, 0x14292967, 0x27B70A85, 0x2E1B2138, 0x4D2C6DFC, 0x53380D13,
    0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85, 0xA2BFE8A1, 0xA81A664B,
    0xC24B8B70, 0xC76C51A3, 0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070,
    0x19A4C116, 0x1E376C08, 0x2748774C, 0x34B0BCB5, 0x391C0CB3, 0x4ED8AA4A,
    0x5B9CCA4F, 0x682E6FF3, 0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208,
    0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7, 0xC67178F2,
]

cdef int[16] MD5_TURNS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21]

cdef enum:
    HMAC_LIMIT = 1024

ctypedef void (*Block)(uint32_t* state, const uint8_t* p) noexcept nogil


cdef inline uint32_t _left(uint32_t x, int n) noexcept nogil:
    return (x << n) | (x >> (32 - n))


cdef inline uint32_t _right(uint32_t x, int n) noexcept nogil:
    return (x >> n) | (x << (32 - n))


cdef inline void _put_be32(uint8_t* p, uint32_t x) noexcept nogil:
    p[0] = <uint8_t>(x >> 24)
    p[1] = <uint8_t>(x >> 16)
    p[2] = <uint8_t>(x >> 8)
    p[3] = <uint8_t>x


cdef inline void _put_le32(uint8_t* p, uint32_t x) noexcept nogil:
    p[0] = <uint8_t>x
    p[1] = <uint8_t>(x >> 8)
    p[2] = <uint8_t>(x >> 16)
    p[3] = <uint8_t>(x >> 24)


cdef void _md5_block(uint32_t* state, const uint8_t* p) noexcept nogil:
    cdef uint32_t a = state[0], b = state[1], c = state[2], d = state[3], f, x
    cdef int i, g
    for i in range(64):
        if i < 16:
            f = (b & c) | (~b & d)
            g = i
        elif i < 32:
            f = (d & b) | (~d & c)
            g = (5 * i + 1) & 15
        elif i < 48:
            f = b ^ c ^ d
            g = (3 * i + 5) & 15
        else:
            f = c ^ (b | ~d)
            g = (7 * i) & 15
        x = a + f + MD5_SINES[i] + le32(p + 4 * g)
        a = d
        d = c
        c = b
        b += _left(x, MD5_TURNS[(i >> 4) * 4 + (i & 3)])
    state[0] += a
    state[1] += b
    state[2] += c
    state[3] += d


cdef void _sha1_block(uint32_t* state, const uint8_t* p) noexcept nogil:
    cdef uint32_t[80] w
    cdef uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4]
    cdef uint32_t f, k, x
    cdef int i
    for i in range(16):
        w[i] = be32(p + 4 * i)
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
    state[0] += a
    state[1] += b
    state[2] += c
    state[3] += d
    state[4] += e


cdef void _sha256_block(uint32_t* state, const uint8_t* p) noexcept nogil:
    cdef uint32_t[64] w
    cdef uint32_t[8] v
    cdef uint32_t x, y
    cdef int i
    for i in range(16):
        w[i] = be32(p + 4 * i)
    for i in range(16, 64):
        x = _right(w[i - 15], 7) ^ _right(w[i - 15], 18) ^ (w[i - 15] >> 3)
        y = _right(w[i - 2], 17) ^ _right(w[i - 2], 19) ^ (w[i - 2] >> 10)
        w[i] = w[i - 16] + x + w[i - 7] + y
    memcpy(v, state, 32)
    for i in range(64):
        x = v[7] + (_right(v[4], 6) ^ _right(v[4], 11) ^ _right(v[4], 25))
        x += ((v[4] & v[5]) ^ (~v[4] & v[6])) + SHA256_ROOTS[i] + w[i]
        y = _right(v[0], 2) ^ _right(v[0], 13) ^ _right(v[0], 22)
        y += (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2])
        v[7] = v[6]
        v[6] = v[5]
        v[5] = v[4]
        v[4] = v[3] + x
        v[3] = v[2]
        v[2] = v[1]
        v[1] = v[0]
        v[0] = x + y
    for i in range(8):
        state[i] += v[i]


cdef void _all(
    uint32_t* state, Block block, bint big, const uint8_t* p, Py_ssize_t n
) noexcept nogil:
    """Whole blocks, then the last ones with the padding."""
    cdef uint8_t[128] last
    cdef Py_ssize_t rest = n & 63, end
    cdef uint64_t bits = <uint64_t>n << 3
    cdef Py_ssize_t at = 0
    while n - at >= 64:
        block(state, p + at)
        at += 64
    memset(last, 0, 128)
    if rest:
        memcpy(last, p + at, rest)
    last[rest] = 0x80
    end = 64 if rest < 56 else 128
    if big:
        _put_be32(last + end - 8, <uint32_t>(bits >> 32))
        _put_be32(last + end - 4, <uint32_t>bits)
    else:
        _put_le32(last + end - 8, <uint32_t>bits)
        _put_le32(last + end - 4, <uint32_t>(bits >> 32))
    block(state, last)
    if end == 128:
        block(state, last + 64)


cdef void md5(const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil:
    cdef uint32_t[4] state
    cdef int i
    state[0], state[1], state[2], state[3] = 0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476
    _all(state, _md5_block, False, p, n)
    for i in range(4):
        _put_le32(out + 4 * i, state[i])


cdef void sha1(const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil:
    cdef uint32_t[5] state
    cdef int i
    state[0], state[1], state[2], state[3] = 0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476
    state[4] = 0xC3D2E1F0
    _all(state, _sha1_block, True, p, n)
    for i in range(5):
        _put_be32(out + 4 * i, state[i])


cdef void sha256(const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil:
    cdef uint32_t[8] state
    cdef int i
    state[0], state[1], state[2], state[3] = 0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A
    state[4], state[5], state[6], state[7] = 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19
    _all(state, _sha256_block, True, p, n)
    for i in range(8):
        _put_be32(out + 4 * i, state[i])


cdef bint hmac_sha256(
    const uint8_t* key, Py_ssize_t key_length, const uint8_t* p, Py_ssize_t n, uint8_t* out
) noexcept nogil:
    cdef uint8_t[64 + HMAC_LIMIT] text
    cdef uint8_t[64] block
    cdef int i
    if n > HMAC_LIMIT:
        return False
    memset(block, 0, 64)
    if key_length > 64:
        sha256(key, key_length, block)
    elif key_length:
        memcpy(block, key, key_length)
    for i in range(64):
        text[i] = block[i] ^ 0x36
    if n:
        memcpy(text + 64, p, n)
    sha256(text, 64 + n, out)
    for i in range(64):
        text[i] = block[i] ^ 0x5C
    memcpy(text + 64, out, 32)
    sha256(text, 96, out)
    return True


def digests(bytes message):
    """MD5, SHA-1 and SHA-256 of a message (for tests)."""
    cdef uint8_t[68] out
    cdef const uint8_t* p = <const uint8_t*><const char*>message
    md5(p, len(message), out)
    sha1(p, len(message), out + 16)
    sha256(p, len(message), out + 36)
    return (<char*>out)[:16], (<char*>out + 16)[:20], (<char*>out + 36)[:32]


def hmac(bytes key, bytes message):
    """HMAC-SHA-256 (for tests). Raises ValueError for a message that is too long."""
    cdef uint8_t[32] out
    if not hmac_sha256(<const uint8_t*><const char*>key, len(key),
                       <const uint8_t*><const char*>message, len(message), out):
        raise ValueError(f"{len(message)} bytes are more than {HMAC_LIMIT}")
    return (<char*>out)[:32]
