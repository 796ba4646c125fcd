"""Names of TLS's numbers (tls_registry.py), looked up without the GIL."""

from libc.stdint cimport int32_t, uint8_t, uint32_t

from tracelake.native.columns cimport DictColumn


cdef class NumberNames:
    cdef uint32_t* numbers          # in ascending order
    cdef const char** names
    cdef int32_t* lengths
    cdef int count
    cdef list keep

    # Puts the name of a number, or `unknown-<number>`.
    cdef int put(self, DictColumn column, Py_ssize_t row, uint32_t number) except -1 nogil
    cdef int find(self, uint32_t number) noexcept nogil


cdef NumberNames ciphers
cdef NumberNames groups
cdef NumberNames alerts

# A version's name to `out` (room: 32): the bytes written.
cdef Py_ssize_t put_version(uint8_t* out, uint32_t version) noexcept nogil
