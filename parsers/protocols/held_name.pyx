"""A name that evidence gave and that is kept until its row is written (see held_name.pxd)."""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from tracelake.native.columns cimport DictColumn


cdef int hold(
    Name* name, const uint8_t* p, int64_t n, bint wide, int64_t* budget
) except -1 nogil:
    drop(name, budget)
    if wide:
        n -= n & 1
        if n >= 2 and not p[n - 1] and not p[n - 2]:
            n -= 2
    elif n and not p[n - 1]:
        n -= 1
    if n <= 0:
        return 0
    name.cut = n > NAME_BYTES
    if name.cut:
        n = NAME_BYTES
    name.p = <uint8_t*>malloc(n)
    if name.p is NULL:
        with gil:
            raise MemoryError("a name")
    memcpy(name.p, p, n)
    name.n = <int32_t>n
    name.wide = wide
    budget[0] += n
    return 0


cdef int hold_same(Name* name, const Name* other, int64_t* budget) except -1 nogil:
    hold(name, other.p, other.n, other.wide, budget)
    name.cut = other.cut
    return 0


cdef void drop(Name* name, int64_t* budget) noexcept nogil:
    free(name.p)
    budget[0] -= name.n
    name.p = NULL
    name.n = 0
    name.cut = False


cdef int put_name(DictColumn column, Py_ssize_t row, const Name* name) except -1 nogil:
    if name.p is NULL:
        return 0
    if name.wide:
        return column.put_utf16(row, name.p, name.n // 2)
    return column.put(row, name.p, name.n)
