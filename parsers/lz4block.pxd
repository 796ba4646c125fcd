"""LZ4 blocks."""

from libc.stdint cimport uint8_t, uint16_t


# Unpacks a block of `n` bytes into `out`, which has room for `room`; bytes written, or -1 where it
# is none or does not fit.
cdef Py_ssize_t lz4_unpack(
    const uint8_t* p, Py_ssize_t n, uint8_t* out, Py_ssize_t room
) noexcept nogil

# Packs a block of at most 64 KiB into `out`, which has room for `room`; bytes written, or 0 where
# they do not fit. `table` has room for LZ4_HASHES places.
cdef Py_ssize_t lz4_pack(
    const uint8_t* p, Py_ssize_t n, uint8_t* out, Py_ssize_t room, uint16_t* table
) noexcept nogil

cdef enum:
    LZ4_HASHES = 4096
