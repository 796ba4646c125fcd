"""The type of a file by its first bytes."""

from libc.stdint cimport uint8_t

# The number of a type, -1 where nothing is recognised.
cdef int mime_of(const uint8_t* p, Py_ssize_t n) noexcept nogil
# Its name.
cdef const char* mime_name(int number) noexcept nogil
