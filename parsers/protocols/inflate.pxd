"""gzip, zlib and raw deflate (RFC 1950-1952), piece by piece, with a bound on what comes out."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t


cdef struct Inflate:
    PyObject* stream
    int64_t taken
    int64_t given
    bint over               # the stream has ended, is broken, or gave too much
    bint broken
    bint bomb


# What decompressed bytes are given to.
ctypedef int (*OnClear)(void* owner, const uint8_t* p, Py_ssize_t n) except -1 nogil

cdef int inflate(
    Inflate* z, const uint8_t* p, Py_ssize_t n, void* owner, OnClear on_clear
) except -1 nogil
cdef void end_inflate(Inflate* z) noexcept nogil
