"""Which records of a log are byte-identical to one that is in a row."""

cimport cython
from libc.stdint cimport uint8_t, uint64_t

from tracelake.native.hash64 cimport SECRET_WORDS


@cython.final
cdef class Copies:
    """Hashes of the records that are in rows."""
    cdef uint64_t* keys             # in the order of records
    cdef Py_ssize_t count
    cdef Py_ssize_t room
    cdef uint64_t* slots            # those of `keys` that were entered; 0: free
    cdef Py_ssize_t mask
    cdef Py_ssize_t entered
    cdef readonly uint64_t seed
    cdef uint64_t[SECRET_WORDS] secret
    cdef bint knows_others          # keys that are not in the order of records were entered
    # Of the records added since `begin_range`.
    cdef readonly Py_ssize_t range_at
    cdef readonly uint64_t lowest
    cdef readonly uint64_t highest

    cdef uint64_t key(self, const uint8_t* p, Py_ssize_t n) noexcept nogil
    # 1 where a record of this key was added.
    cdef int has(self, uint64_t key) except -1 nogil
    # `number`: the record's.
    cdef int add(self, uint64_t key, uint64_t number) except -1 nogil
    cdef int enter(self) except -1 nogil
