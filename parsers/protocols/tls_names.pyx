"""Names of TLS's numbers (see tls_names.pxd)."""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from tracelake.native.text cimport put_uint
from tracelake.parsers.protocols.tls_registry import ALERTS, CIPHERS, GROUPS, VERSIONS


cdef class NumberNames:
    """A table of the registry.

    Args:
        table: number -> name.
    """

    def __cinit__(self, dict table):
        cdef int i
        self.count = len(table)
        self.keep = [name.encode("ascii") for _, name in sorted(table.items())]
        self.numbers = <uint32_t*>calloc(self.count, sizeof(uint32_t))
        self.names = <const char**>calloc(self.count, sizeof(char*))
        self.lengths = <int32_t*>calloc(self.count, sizeof(int32_t))
        if self.numbers is NULL or self.names is NULL or self.lengths is NULL:
            raise MemoryError()
        for i, number in enumerate(sorted(table)):
            self.numbers[i] = number
            self.names[i] = <const char*><bytes>self.keep[i]
            self.lengths[i] = len(self.keep[i])

    def __dealloc__(self):
        free(self.numbers)
        free(self.names)
        free(self.lengths)

    cdef int find(self, uint32_t number) noexcept nogil:
        cdef int low = 0, high = self.count, middle
        while low < high:
            middle = (low + high) // 2
            if self.numbers[middle] < number:
                low = middle + 1
            else:
                high = middle
        return low if low < self.count and self.numbers[low] == number else -1

    cdef int put(self, DictColumn column, Py_ssize_t row, uint32_t number) except -1 nogil:
        cdef uint8_t[32] text
        cdef int i = self.find(number)
        if i >= 0:
            return column.put_valid(row, <const uint8_t*>self.names[i], self.lengths[i])
        memcpy(text, b"unknown-", 8)
        return column.put_valid(row, text, 8 + put_uint(text + 8, number))


cdef NumberNames ciphers = NumberNames(CIPHERS)
cdef NumberNames groups = NumberNames(GROUPS)
cdef NumberNames alerts = NumberNames(ALERTS)
cdef NumberNames versions = NumberNames(VERSIONS)


cdef Py_ssize_t put_version(uint8_t* out, uint32_t version) noexcept nogil:
    cdef int i = versions.find(version)
    if i >= 0:
        memcpy(out, versions.names[i], versions.lengths[i])
        return versions.lengths[i]
    # Drafts of TLS 1.3: 0x7F and the draft's number.
    if version // 255 == 0x7F:
        memcpy(out, b"TLSv13-draft", 12)
        return 12 + put_uint(out + 12, version % 127)
    memcpy(out, b"unknown-", 8)
    return 8 + put_uint(out + 8, version)
