"""OCSF's numbers of HTTP methods (http_activity.activity_id)."""

from libc.stdint cimport uint8_t
from libc.string cimport memcmp


cdef inline int activity_of(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """OCSF's number of a method."""
    if n == 3:
        if memcmp(p, b"GET", 3) == 0:
            return 3
        if memcmp(p, b"PUT", 3) == 0:
            return 7
    elif n == 4:
        if memcmp(p, b"POST", 4) == 0:
            return 6
        if memcmp(p, b"HEAD", 4) == 0:
            return 4
    elif n == 5:
        if memcmp(p, b"PATCH", 5) == 0:
            return 9
        if memcmp(p, b"TRACE", 5) == 0:
            return 8
    elif n == 6 and memcmp(p, b"DELETE", 6) == 0:
        return 2
    elif n == 7:
        if memcmp(p, b"CONNECT", 7) == 0:
            return 1
        if memcmp(p, b"OPTIONS", 7) == 0:
            return 5
    return 99
