"""The tree of a hive, key by key."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from tracelake.native.account cimport Account
from tracelake.native.columns cimport Buffer
from tracelake.native.cursor cimport Cursor
from tracelake.parsers.hive_cells cimport Hive
from tracelake.parsers.hive_rows cimport HiveRows


cdef struct Pending:
    uint32_t offset             # of a key node that is still to be read
    uint32_t listed             # file offset of the list element that names it
    int32_t depth
    int32_t state               # of the patterns, at its parent; -1: none goes further


cdef class Walk:
    cdef Hive hive
    cdef HiveRows rows
    cdef Account account
    cdef object patterns
    cdef Pending* stack
    cdef Py_ssize_t top, room
    cdef Buffer path
    cdef Py_ssize_t[1024] lengths       # of the path, by depth
    cdef uint32_t value_list
    cdef Py_ssize_t value_at, value_count
    cdef int bad_values                 # elements of the list in a row that lead nowhere
    cdef readonly uint32_t key          # the key that was read last
    cdef readonly int32_t state         # of the patterns, at that key

    cdef int run(self) except -1 nogil
    cdef int push(self, uint32_t offset, uint32_t listed, int32_t depth, int32_t state) except -1 nogil
    cdef bint next_key(self) except -1 nogil
    cdef int damaged(self, int64_t offset, int64_t length, const char* what, const char* why) except -1 nogil
    cdef bint is_key(self, uint32_t offset, int64_t listed) except -1 nogil
    cdef int read_values(self) except -1 nogil
    cdef int note_deleted(self, const Cursor* c) except -1 nogil
    cdef int open_values(self, const uint8_t* nk) except -1 nogil
    cdef int push_children(self, uint32_t offset, const uint8_t* nk, int32_t depth) except -1 nogil
    cdef Py_ssize_t push_list(self, uint32_t offset, int32_t depth, bint inner) except -1 nogil
    cdef int enter(self, int32_t depth, const uint8_t* name, Py_ssize_t n, bint narrow) except -1 nogil
    cdef int32_t follow(self, int32_t state, const uint8_t* name, Py_ssize_t n) except -2 nogil
