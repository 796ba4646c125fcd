"""Transforms: a value of an event into one column of the row at hand."""

from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcmp

from tracelake.parsers.event_plan cimport W_LOGON_ID, W_SID, Output, Plan
from tracelake.parsers.values cimport Value


# What `fill` did.
cdef enum Filled:
    NOT = 0         # nothing put
    LOSSY = 1       # put, but the text cannot be made again from it
    EXACT = 2


cdef struct ProcessUid:         # an id that is to be made when the row ends
    PyObject* column
    PyObject* time              # column of the process's time; NULL: the row's
    int64_t pid


cdef enum:
    UIDS = 6                    # of one event: the process, its parents, who did it


cdef struct EventRow:
    # The row that an event fills, and what its end needs of the values on their way.
    Plan* plan
    Py_ssize_t row
    int flags                   # parse_flags
    bint has_time
    int64_t time                # microseconds since 1970 UTC
    int below                   # nanoseconds below, 0-999
    bint has_logged
    int64_t logged
    bint has_record_id
    int64_t record_id
    int64_t level               # -1: none
    int uids
    ProcessUid* uid             # room for UIDS of them


# Puts a value into its column; returns Filled. `p`, `n`: the value's text, which is only absent
# for numbers that go through `number`.
cdef int fill(
    EventRow* at, Output* out, const Value* v, const uint8_t* p, Py_ssize_t n
) except -1 nogil


cdef inline void set_time(EventRow* at, int64_t us, int below_ns) noexcept nogil:
    # Before the year 1 and from 10000 on (a zone can carry a text there) it is no time.
    if us < -62135596800000000LL or us >= 253402300800000000LL:
        return
    at.has_time = True
    at.time = us
    at.below = below_ns


cdef inline bint same(
    const uint8_t* a, Py_ssize_t n, const uint8_t* b, Py_ssize_t m
) noexcept nogil:
    return n == m and memcmp(a, b, n) == 0


cdef inline bint counts_as_unset(
    const Output* out, const uint8_t* p, Py_ssize_t n
) noexcept nogil:
    """Whether Windows writes this value for "none" in such a field."""
    if out.transform == W_SID:
        return same(p, n, <const uint8_t*><const char*>b"S-1-0-0", 7)
    if out.transform == W_LOGON_ID:
        return same(p, n, <const uint8_t*><const char*>b"0x0", 3)
    return False
