"""Lines of text in order, for logs that are too large for a Python object a line."""

from libc.stdint cimport int64_t, uint8_t

from tracelake.native.account cimport Account
from tracelake.native.feed cimport Feed


cdef struct Line:
    const uint8_t* p        # valid until the next one is asked for
    Py_ssize_t n            # bytes, the end of the line left out
    int64_t offset          # where it stands in the artifact
    bint cut                # it was longer than a line may be


cdef struct Scanner:
    const uint8_t* p        # the next byte
    const uint8_t* end


cdef class Lines:
    cdef Feed feed
    cdef Account account
    cdef bint fold          # lines that begin with a blank go on with the one before
    cdef Py_ssize_t held    # bytes of the line that was given last
    cdef bint rest          # what follows, up to the end of the line, is more of a cut one

    cdef int next(self, Line* line) except -1
    cdef Py_ssize_t _end(self, Py_ssize_t start) except -1 nogil
    cdef int _pass(self) except -1


cdef inline bint digit(uint8_t c) noexcept nogil:
    return c >= 48 and c <= 57


cdef inline int two(const uint8_t* p) noexcept nogil:
    """Two digits as a number, or -1. A blank may stand for the first."""
    if not digit(p[1]) or not (digit(p[0]) or p[0] == 32):
        return -1
    return (0 if p[0] == 32 else 10 * (p[0] - 48)) + p[1] - 48


cdef inline int four(const uint8_t* p) noexcept nogil:
    """Four digits as a number, or -1."""
    if not (digit(p[0]) and digit(p[1]) and digit(p[2]) and digit(p[3])):
        return -1
    return 1000 * (p[0] - 48) + 100 * (p[1] - 48) + 10 * (p[2] - 48) + p[3] - 48


# The number of a month by its three letters, 1 to 12, or 0.
cdef int month_of(const uint8_t* p) noexcept nogil
# "hh:mm:ss", eight bytes -> seconds, or -1.
cdef int clock_of(const uint8_t* p) noexcept nogil
# The number at the start of a text, which ends at `end`; -1: none, or beyond 18 digits.
cdef int64_t number_at(const uint8_t* p, const uint8_t* end) noexcept nogil
# ".123456789" or ",123": microseconds and the nanoseconds below; returns the bytes that it takes.
cdef Py_ssize_t fraction_at(
    const uint8_t* p, const uint8_t* end, int64_t* us, int* ns
) noexcept nogil
cdef bint month_has(int64_t year, int month, int day) noexcept nogil
