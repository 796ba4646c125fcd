"""Times that are a number of units since an epoch."""

from libc.stdint cimport int64_t, uint8_t


# Units. Any is told by the number's size: seconds below 10^11, and so on by thousands.
cdef enum Unit:
    U_ANY, U_S, U_MS, U_US, U_NS, U_FILETIME


# Reads a decimal number, perhaps with a fraction (and behind that the serial number of an audit
# record, 1640024915.264:4237), as microseconds since 1970 UTC and the
# nanoseconds (0-999) below. Returns 0 where it is no such number or not within the years 1 to
# 9999; 2 where it is whole, written in the shortest way, and the unit not told by its size: it can
# be made again from the time; else 1.
cdef int parse_epoch(
    const uint8_t* p, Py_ssize_t n, int unit, int64_t* us, int* below
) noexcept nogil
