"""MD5 (RFC 1321), SHA-1 and SHA-256 (FIPS 180-4) of bytes in memory, without the GIL.

For what is met in passing (a certificate, a fingerprint's text): hashlib would cost a Python object
and the GIL each time. For the content of files, hashlib is faster.
"""

from libc.stdint cimport uint8_t

# Digests of `n` bytes at `p`; 16, 20 and 32 bytes to `out`.
cdef void md5(const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil
cdef void sha1(const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil
cdef void sha256(const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil

# HMAC-SHA-256 (RFC 2104); the message is at most 1024 bytes. False where it is longer.
cdef bint hmac_sha256(
    const uint8_t* key, Py_ssize_t key_length, const uint8_t* p, Py_ssize_t n, uint8_t* out
) noexcept nogil
