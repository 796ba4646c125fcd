"""A key of bytes by which they are known again without being compared.

    key = key_of(p, n, salt, secret)    # salt: 0 to 255, which kind of bytes; secret: four words

Two different inputs have the same 96 bits (`low`, and the lower half of `high`) with a chance of
about 2^-96: of the hundred thousand words of a batch, two in one of 10^18 batches, which is less
than memory errs. That holds for evidence that was written to deceive as well, as long as nobody
knows the secret: it is drawn at run time, and nothing of a key is ever written down.

Two chains of wyhash's step (github.com/wangyi-fudan/wyhash: a 64 by 64 bit product, folded), with
secrets of their own; some instructions for each 16 bytes.
"""

from libc.stdint cimport uint8_t, uint64_t


cdef struct Key:
    uint64_t low
    uint64_t high


cdef extern from * nogil:
    """
    #ifndef TL_KEY
    #define TL_KEY
    #include <stdint.h>
    #include <string.h>
    static inline uint64_t tl_key_fold(uint64_t a, uint64_t b) {
        unsigned __int128 product = (unsigned __int128)a * b;
        return (uint64_t)product ^ (uint64_t)(product >> 64);
    }
    static inline void tl_key(const uint8_t *p, Py_ssize_t n, uint64_t salt,
                              const uint64_t *secret, uint64_t *low, uint64_t *high) {
        const uint64_t what = salt ^ (uint64_t)n << 8;
        uint64_t a, b, x = secret[0] ^ what, y = secret[1] ^ what;
        uint32_t c, d;
        if (n >= 8) {
            for (; n > 16; p += 16, n -= 16) {
                memcpy(&a, p, 8);
                memcpy(&b, p + 8, 8);
                x = tl_key_fold(a ^ secret[2], b ^ x);
                y = tl_key_fold(b ^ secret[3], a ^ y);
            }
            if (n >= 8) {                       /* its first and last eight, which may overlap */
                memcpy(&a, p, 8);
                memcpy(&b, p + n - 8, 8);
            } else {                /* behind a block: some of what stood before is read again */
                memcpy(&a, p + n - 16, 8);
                memcpy(&b, p + n - 8, 8);
            }
        } else if (n >= 4) {
            memcpy(&c, p, 4);
            memcpy(&d, p + n - 4, 4);
            a = c;
            b = d;
        } else if (n > 0) {
            a = (uint64_t)p[0] << 16 | (uint64_t)p[n >> 1] << 8 | p[n - 1];
            b = 0;
        } else {
            a = b = 0;
        }
        x = tl_key_fold(a ^ secret[2], b ^ x);
        y = tl_key_fold(b ^ secret[3], a ^ y);
        *low = tl_key_fold(x ^ secret[1], y ^ secret[2]);
        *high = tl_key_fold(y ^ secret[0], x ^ secret[3]);
    }
    #endif
    """
    void tl_key(const uint8_t* p, Py_ssize_t n, uint64_t salt, const uint64_t* secret,
                uint64_t* low, uint64_t* high)


cdef inline Key key_of(
    const uint8_t* p, Py_ssize_t n, uint64_t salt, const uint64_t* secret
) noexcept nogil:
    cdef Key key
    tl_key(p, n, salt, secret, &key.low, &key.high)
    return key
