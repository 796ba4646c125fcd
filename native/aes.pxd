"""AES-128 (FIPS 197) and its Galois/Counter Mode (NIST SP 800-38D), to read what is encrypted with
keys that everybody knows. Not for secrets: how long it takes depends on the key."""

from libc.stdint cimport uint8_t


cdef struct Aes:
    uint8_t[176] keys           # of the eleven rounds


cdef void aes_start(Aes* aes, const uint8_t* key) noexcept nogil
# One block of 16 bytes; `out` may be `p`.
cdef void aes_encrypt(const Aes* aes, const uint8_t* p, uint8_t* out) noexcept nogil

# Decrypts `n` bytes at `p`, behind which the tag of 16 bytes stands, to `out`; nonce: 12 bytes. False,
# with nothing in `out`, where the tag is not right.
cdef bint gcm_open(
    const Aes* aes, const uint8_t* nonce, const uint8_t* head, Py_ssize_t head_length,
    const uint8_t* p, Py_ssize_t n, uint8_t* out
) noexcept nogil
