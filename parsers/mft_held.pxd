"""Records that wait for others before they can become rows."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from tracelake.native.columns cimport Buffer
from tracelake.parsers.mft_rows cimport Place

cdef enum:
    BLOCK = 1 << 20                 # bytes of records that are kept and given back together


cdef struct Item:
    Place place
    int length                      # bytes of the record that follow; a multiple of 8


cdef class Held:
    """Records in the order in which they came. Large amounts are compressed."""
    cdef Buffer _open               # the block that is being filled
    cdef list _blocks
    cdef object _codec
    cdef readonly Py_ssize_t bytes  # held in all

    # Adds a record, shortened. Compresses now and then, with the GIL.
    cdef int add(self, const Place* place, const uint8_t* p, Py_ssize_t n) except -1 nogil
    cdef int _close(self) except -1


cdef class Extensions:
    """Extension records by the base record that they belong to."""
    cdef Buffer _bytes              # Item and record, one after the other
    cdef Buffer _keys               # uint64 pairs: base entry; where its item stands, with USED
    cdef readonly Py_ssize_t count
    cdef readonly bint full         # there is no room for more

    # 1 where it was kept, 0 where there is no room.
    cdef int add(
        self, uint64_t entry, const Place* place, const uint8_t* p, Py_ssize_t n
    ) except -1 nogil
    cdef int sort(self) noexcept nogil
    # The first of those with base `entry`; `count` if there is none.
    cdef Py_ssize_t first(self, uint64_t entry) noexcept nogil
    # The i-th in the order of base entries, or NULL where it is of another base.
    cdef Item* of(self, Py_ssize_t i, uint64_t entry) noexcept nogil
    cdef Item* at(self, Py_ssize_t i) noexcept nogil
    cdef bint is_merged(self, Py_ssize_t i) noexcept nogil
    cdef int merged(self, Py_ssize_t i) noexcept nogil
