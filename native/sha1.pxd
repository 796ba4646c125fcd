"""SHA-1 of one short message (FIPS 180-4): what Community ID needs, once a flow."""

from libc.stdint cimport uint8_t

# Digest of at most 55 bytes (one block); 20 bytes to `out`.
cdef void sha1_short(const uint8_t* p, int n, uint8_t* out) noexcept nogil

# Base64 with padding; the number of characters written, 4 * ceil(n / 3).
cdef Py_ssize_t put_base64(uint8_t* out, const uint8_t* p, Py_ssize_t n) noexcept nogil
