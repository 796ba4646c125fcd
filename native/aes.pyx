"""AES-128 and GCM (see aes.pxd)."""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, memset

cdef uint8_t[256] SUBSTITUTE = [
    0x63, 0x7C, 0x77, 0x7B, 0xF2, 0x6B, 0x6F, 0xC5, 0x30, 0x01, 0x67, 0x2B, 0xFE, 0xD7, 0xAB, 0x76,
    0xCA, 0x82, 0xC9, 0x7D, 0xFA, 0x59, 0x47, 0xF0, 0xAD, 0xD4, 0xA2, 0xAF, 0x9C, 0xA4, 0x72, 0xC0,
    0xB7, 0xFD, 0x93, 0x26, 0x36, 0x3F, 0xF7, 0xCC, 0x34, 0xA5, 0xE5, 0xF1, 0x71, 0xD8, 0x31, 0x15,
    0x04, 0xC7, 0x23, 0xC3, 0x18, 0x96, 0x05, 0x9A, 0x07, 0x12, 0x80, 0xE2, 0xEB, 0x27, 0xB2, 0x75,
    0x09, 0x83, 0x2C, 0x1A, 0x1B, 0x6E, 0x5A, 0xA0, 0x52, 0x3B, 0xD6, 0xB3, 0x29, 0xE3, 0x2F, 0x84,
    0x53, 0xD1, 0x00, 0xED, 0x20, 0xFC, 0xB1, 0x5B, 0x6A, 0xCB, 0xBE, 0x39, 0x4A, 0x4C, 0x58, 0xCF,
    0xD0, 0xEF, 0xAA, 0xFB, 0x43, 0x4D, 0x33, 0x85, 0x45, 0xF9, 0x02, 0x7F, 0x50, 0x3C, 0x9F, 0xA8,
    0x51, 0xA3, 0x40, 0x8F, 0x92, 0x9D, 0x38, 0xF5, 0xBC, 0xB6, 0xDA, 0x21, 0x10, 0xFF, 0xF3, 0xD2,
    0xCD, 0x0C, 0x13, 0xEC, 0x5F, 0x97, 0x44, 0x17, 0xC4, 0xA7, 0x7E, 0x3D, 0x64, 0x5D, 0x19, 0x73,
    0x60, 0x81, 0x4F, 0xDC, 0x22, 0x2A, 0x90, 0x88, 0x46, 0xEE, 0xB8, 0x14, 0xDE, 0x5E, 0x0B, 0xDB,
    0xE0, 0x32, 0x3A, 0x0A, 0x49, 0x06, 0x24, 0x5C, 0xC2, 0xD3, 0xAC, 0x62, 0x91, 0x95, 0xE4, 0x79,
    0xE7, 0xC8, 0x37, 0x6D, 0x8D, 0xD5, 0x4E, 0xA9, 0x6C, 0x56, 0xF4, 0xEA, 0x65, 0x7A, 0xAE, 0x08,
    0xBA, 0x78, 0x25, 0x2E, 0x1C, 0xA6, 0xB4, 0xC6, 0xE8, 0xDD, 0x74, 0x1F, 0x4B, 0xBD, 0x8B, 0x8A,
    0x70, 0x3E, 0xB5, 0x66, 0x48, 0x03, 0xF6, 0x0E, 0x61, 0x35, 0x57, 0xB9, 0x86, 0xC1, 0x1D, 0x9E,
    0xE1, 0xF8, 0x98, 0x11, 0x69, 0xD9, 0x8E, 0x94, 0x9B, 0x1E, 0x87, 0xE9, 0xCE, 0x55, 0x28, 0xDF,
    0x8C, 0xA1, 0x89, 0x0D, 0xBF, 0xE6, 0x42, 0x68, 0x41, 0x99, 0x2D, 0x0F, 0xB0, 0x54, 0xBB, 0x16,
]


cdef inline uint8_t _twice(uint8_t x) noexcept nogil:
    return <uint8_t>(x << 1 ^ (0x1B if x & 0x80 else 0))


cdef void aes_start(Aes* aes, const uint8_t* key) noexcept nogil:
    """Expands the key (FIPS 197, 5.2)."""
    cdef uint8_t[4] word
    cdef uint8_t turn, constant = 1
    cdef int i, k
    memcpy(aes.keys, key, 16)
    for i in range(4, 44):
        memcpy(word, aes.keys + 4 * (i - 1), 4)
        if i % 4 == 0:
            turn = word[0]
            for k in range(3):
                word[k] = SUBSTITUTE[word[k + 1]]
            word[3] = SUBSTITUTE[turn]
            word[0] ^= constant
            constant = _twice(constant)
        for k in range(4):
            aes.keys[4 * i + k] = aes.keys[4 * (i - 4) + k] ^ word[k]


cdef void aes_encrypt(const Aes* aes, const uint8_t* p, uint8_t* out) noexcept nogil:
    cdef uint8_t[16] s
    cdef uint8_t[16] t
    cdef uint8_t all, first
    cdef int turn, i, column
    for i in range(16):
        s[i] = p[i] ^ aes.keys[i]
    for turn in range(1, 11):
        for i in range(16):                     # SubBytes and ShiftRows
            t[i] = SUBSTITUTE[s[(i + 4 * (i & 3)) & 15]]
        if turn < 10:                           # MixColumns
            for column in range(0, 16, 4):
                all = t[column] ^ t[column + 1] ^ t[column + 2] ^ t[column + 3]
                first = t[column]
                t[column] ^= all ^ _twice(t[column] ^ t[column + 1])
                t[column + 1] ^= all ^ _twice(t[column + 1] ^ t[column + 2])
                t[column + 2] ^= all ^ _twice(t[column + 2] ^ t[column + 3])
                t[column + 3] ^= all ^ _twice(t[column + 3] ^ first)
        for i in range(16):
            s[i] = t[i] ^ aes.keys[16 * turn + i]
    memcpy(out, s, 16)


cdef inline uint64_t _big(const uint8_t* p) noexcept nogil:
    cdef uint64_t x = 0
    cdef int i
    for i in range(8):
        x = x << 8 | p[i]
    return x


cdef inline void _put_big(uint8_t* p, uint64_t x) noexcept nogil:
    cdef int i
    for i in range(8):
        p[7 - i] = <uint8_t>(x >> (8 * i))


cdef void _hash(
    const uint64_t* key, const uint8_t* p, Py_ssize_t n, uint64_t* state
) noexcept nogil:
    """GHASH of `n` bytes, filled up with zeros to whole blocks (SP 800-38D, 6.3 and 6.4)."""
    cdef uint8_t[16] block
    cdef uint64_t high, low, a, b, carry
    cdef Py_ssize_t at = 0, part
    cdef int i
    while at < n:
        part = n - at if n - at < 16 else 16
        memset(block, 0, 16)
        memcpy(block, p + at, part)
        at += 16
        state[0] ^= _big(block)
        state[1] ^= _big(block + 8)
        high = low = 0
        a = key[0]
        b = key[1]
        for i in range(128):
            if (state[0] >> (63 - i) if i < 64 else state[1] >> (127 - i)) & 1:
                high ^= a
                low ^= b
            carry = b & 1
            b = b >> 1 | a << 63
            a >>= 1
            if carry:
                a ^= 0xE100000000000000ULL
        state[0] = high
        state[1] = low


cdef bint gcm_open(
    const Aes* aes, const uint8_t* nonce, const uint8_t* head, Py_ssize_t head_length,
    const uint8_t* p, Py_ssize_t n, uint8_t* out
) noexcept nogil:
    cdef uint8_t[16] counter
    cdef uint8_t[16] stream
    cdef uint8_t[16] lengths
    cdef uint64_t[2] key
    cdef uint64_t[2] state
    cdef uint8_t wrong = 0
    cdef Py_ssize_t at = 0
    cdef unsigned int number = 1
    cdef int i
    memset(counter, 0, 16)
    aes_encrypt(aes, counter, stream)
    key[0] = _big(stream)
    key[1] = _big(stream + 8)
    state[0] = state[1] = 0
    _hash(key, head, head_length, state)
    _hash(key, p, n, state)
    _put_big(lengths, <uint64_t>head_length * 8)
    _put_big(lengths + 8, <uint64_t>n * 8)
    _hash(key, lengths, 16, state)
    memcpy(counter, nonce, 12)
    counter[15] = 1
    aes_encrypt(aes, counter, stream)
    _put_big(lengths, state[0])
    _put_big(lengths + 8, state[1])
    for i in range(16):
        wrong |= lengths[i] ^ stream[i] ^ p[n + i]
    if wrong:
        return False
    while at < n:
        number += 1
        counter[12] = <uint8_t>(number >> 24)
        counter[13] = <uint8_t>(number >> 16)
        counter[14] = <uint8_t>(number >> 8)
        counter[15] = <uint8_t>number
        aes_encrypt(aes, counter, stream)
        for i in range(16):
            if at + i < n:
                out[at + i] = p[at + i] ^ stream[i]
        at += 16
    return True


def encrypt(bytes key, bytes block):
    """One block (for tests). Raises ValueError where key or block are not 16 bytes."""
    cdef Aes aes
    cdef uint8_t[16] out
    if len(key) != 16 or len(block) != 16:
        raise ValueError("16 bytes are wanted")
    aes_start(&aes, <const uint8_t*><const char*>key)
    aes_encrypt(&aes, <const uint8_t*><const char*>block, out)
    return (<char*>out)[:16]


def open_sealed(bytes key, bytes nonce, bytes head, bytes sealed):
    """What was sealed, or None (for tests). Raises ValueError for lengths that cannot be."""
    cdef Aes aes
    cdef bytearray out = bytearray(len(sealed))
    if len(key) != 16 or len(nonce) != 12 or len(sealed) < 16:
        raise ValueError("a key of 16 bytes, a nonce of 12 and a tag are wanted")
    aes_start(&aes, <const uint8_t*><const char*>key)
    if not gcm_open(&aes, <const uint8_t*><const char*>nonce, <const uint8_t*><const char*>head,
                    len(head), <const uint8_t*><const char*>sealed, len(sealed) - 16,
                    <uint8_t*><char*>out):
        return None
    return bytes(out[:len(sealed) - 16])
