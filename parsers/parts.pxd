"""Parts of a text: where one begins, and how long it is."""

from libc.stdint cimport int64_t, uint8_t


cdef struct Part:
    const uint8_t* at
    Py_ssize_t size


# The part that transform `way` (event_plan.Way) takes out of n bytes of UTF-8; False: none.
cdef bint part_of(int way, const uint8_t* p, Py_ssize_t n, Part* out) noexcept nogil

# The canonical address of a SOCKADDR in n hexadecimal digits: its size in `out` (room for 46
# bytes), 0 where it is none; `port` its port.
cdef Py_ssize_t sockaddr(
    const uint8_t* p, Py_ssize_t n, uint8_t* out, int64_t* port
) noexcept nogil
