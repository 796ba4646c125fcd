"""NetFlow and IPFIX inside of captures (see netflow.pyx)."""

from libc.stdint cimport uint8_t


# Whether the payload of a datagram is a message of NetFlow or IPFIX, beyond chance: it begins like
# one, and what it says it holds ends where it ends.
cdef bint is_export(const uint8_t* p, Py_ssize_t n) noexcept nogil
