"""CRC-32 (IEEE 802.3, as zlib and Windows compute it), sixteen bytes at a time, without the GIL."""

from libc.stdint cimport uint8_t, uint32_t

# CRC-32 of `n` bytes at `p`, going on from `crc` (0 to begin).
cdef uint32_t crc32(const uint8_t* p, Py_ssize_t n, uint32_t crc) noexcept nogil
