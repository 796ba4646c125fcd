"""LZO1X, as nfdump and others pack blocks (see lzo.pyx)."""

from libc.stdint cimport uint8_t


# Unpacks `n` bytes to `out`, which has room for `room`; the bytes written, -1 where it is no whole
# stream or there is no room for it.
cdef Py_ssize_t lzo1x_unpack(
    const uint8_t* p, Py_ssize_t n, uint8_t* out, Py_ssize_t room
) noexcept nogil
