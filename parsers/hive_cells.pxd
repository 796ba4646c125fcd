"""A registry hive held in memory: its cells, and which of them have been read.

Specification: "Windows registry file format specification" (M. Suhanov); "Windows NT Registry
File (REGF) format" (libyal, libregf).
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tracelake.native.account cimport Account
from tracelake.native.cursor cimport Cursor
from tracelake.parsers.held cimport Held


cdef enum:
    BASE = 4096                 # bytes of the base block; offsets in cells count from behind it
    NOWHERE = 0xFFFFFFFF        # an offset that points to nothing
    KEY_LEAST = 76              # bytes of a key node before its name
    VALUE_LEAST = 20            # bytes of a value before its name
    SEGMENT = 16344             # bytes of data in one segment of big data
    NAME_MOST = 510             # bytes of a name (255 UTF-16 units)
    CELL_MOST = 33554432        # bytes of a cell that are looked at
    BIG_MOST = 67108864         # bytes of big data that are put together

cdef enum Cell:
    CELL_GOOD = 0
    CELL_FREE = 1               # can be read, but is not allocated
    CELL_NOWHERE = 2            # no offset, or one outside of the hive
    CELL_BROKEN = 3             # its size makes no sense

cdef enum Use:
    RECORD = 0                  # keys, values, their data and class names
    STRUCTURE = 1               # lists, security
    LOST = 2                    # of no key any more: slack


cdef struct Data:
    const uint8_t* at           # first piece; valid until the next call of `value_data`
    Py_ssize_t length           # bytes there
    Py_ssize_t wanted           # bytes that the value says it has
    uint32_t cell               # offset of its cell, NOWHERE where it is inside of the value
    int trouble                 # 0, or an index into TROUBLES


cdef class Hive:
    cdef readonly Held held                 # its bytes; not to be added to
    cdef const uint8_t* p                   # of them; `see` says which are in place
    cdef readonly Py_ssize_t size           # bytes that belong to the hive, base block included
    cdef readonly Py_ssize_t file_size      # bytes of the file as it was, before logs
    cdef readonly int minor
    cdef readonly int old_cells             # version 1.1 and earlier: cells have a second field
    cdef Account account
    cdef uint8_t* seen                      # a bit for each 8 bytes: a cell that was read begins
    cdef uint8_t* used                      # a bit for each 8 bytes: they belong to what was read
    cdef Py_ssize_t granules
    cdef uint32_t* ends                     # by page of the file: the page after its bin
    cdef uint8_t* big                       # big data, put together
    cdef Py_ssize_t big_room
    cdef readonly int64_t handed            # keys and values that decoders were given
    cdef readonly int64_t handed_bytes
    cdef uint8_t* slack                     # a bit for each 8 bytes: they are counted as slack
    cdef readonly object replayed           # sorted (begin, end) of what logs have written

    # Puts bytes in place, by their file offset; they stay until the next `relax`, which says
    # whether anything may have gone (held.pxd).
    cdef inline const uint8_t* see(self, Py_ssize_t offset, Py_ssize_t length) noexcept nogil:
        self.held.need(offset, length)
        return self.p + offset

    cdef inline bint relax(self) noexcept nogil:
        return self.held.relax()

    cdef int cell(self, uint32_t offset, Cursor* out) noexcept nogil
    cdef int _find_bins(self) noexcept nogil
    cdef Py_ssize_t cell_size(self, uint32_t offset) noexcept nogil
    cdef Py_ssize_t in_file(self, uint32_t offset) noexcept nogil
    cdef bint first_visit(self, uint32_t offset) noexcept nogil
    cdef bint was_seen(self, uint32_t offset) noexcept nogil
    cdef bint was_used(self, Py_ssize_t offset) noexcept nogil
    cdef int64_t use(self, Py_ssize_t offset, Py_ssize_t length, int kind) noexcept nogil
    cdef int count_slack(self, Py_ssize_t offset, Py_ssize_t length) noexcept nogil
    cdef int value_data(self, const uint8_t* vk, bint mark, Data* out) except -1 nogil
    cdef Py_ssize_t unused_run(self, Py_ssize_t offset, Py_ssize_t most) noexcept nogil
    cdef int lost_data(self, const uint8_t* vk, Data* out) except -1 nogil
    cdef int _big_data(self, Cursor* c, Py_ssize_t wanted, bint mark, Data* out) except -1 nogil
