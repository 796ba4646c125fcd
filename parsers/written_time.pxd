"""Times as programs write them for people, in the many ways that are not ISO 8601."""

from libc.stdint cimport int64_t, uint8_t


cdef enum Order:                # of 05/10/2019
    UNSAID, MONTH_FIRST, DAY_FIRST


# Microseconds since 1970 UTC and the nanoseconds below. 1: a time; 2: one that does not say its
# zone (read as UTC); 0: none that is known, or a date whose day and month cannot be told apart.
cdef int parse_written(
    const uint8_t* p, Py_ssize_t n, Order order, int64_t* us, int* below
) noexcept nogil
