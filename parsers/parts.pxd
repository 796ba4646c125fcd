"""Parts of a text: where one begins, and how long it is."""

from libc.stdint cimport uint8_t


cdef struct Part:
    const uint8_t* at
    Py_ssize_t size


# The part that transform `way` (event_plan.Way) takes out of n bytes of UTF-8; False: none.
cdef bint part_of(int way, const uint8_t* p, Py_ssize_t n, Part* out) noexcept nogil
