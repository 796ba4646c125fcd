"""A name that evidence gave and that is kept until its row is written."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from tracelake.native.columns cimport DictColumn

cdef enum:
    NAME_BYTES = 4096           # of one name; what is longer is cut off


cdef struct Name:               # all zero: none
    uint8_t* p
    int32_t n                   # bytes
    bint wide                   # UTF-16LE; else bytes that are hoped to be UTF-8
    bint cut


# Copies `n` bytes at `p`, without the NUL at their end; what `name` held is dropped. The bytes that
# are held are added to `budget`.
cdef int hold(
    Name* name, const uint8_t* p, int64_t n, bint wide, int64_t* budget
) except -1 nogil
cdef int hold_same(Name* name, const Name* other, int64_t* budget) except -1 nogil
cdef void drop(Name* name, int64_t* budget) noexcept nogil
# The name at `row`; 1 where it had to be repaired.
cdef int put_name(DictColumn column, Py_ssize_t row, const Name* name) except -1 nogil
