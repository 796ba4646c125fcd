"""Names of what speaks in a flow, as conn.log's `service` has them, and sets of them."""

from libc.stdint cimport uint8_t, uint64_t

# The number of a name's bit in a set (Flow.services); to be asked for when a module is imported.
cpdef int service(str name) except -1
# All names of a set with commas between them; room: 256.
cdef Py_ssize_t put_services(uint8_t* out, uint64_t services) noexcept nogil
