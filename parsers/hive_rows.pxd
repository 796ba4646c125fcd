"""Rows of `registry_activity`: keys and values of a hive."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tracelake.native.columns cimport (
    Buffer, DictColumn, IntColumn, MapColumn, Rows, TextColumn
)
from tracelake.parsers.hive_cells cimport Hive


cdef class HiveRows:
    cdef Hive hive
    cdef readonly Rows rows
    cdef IntColumn time, time_ns, class_uid, activity_id, modified, sub, src_offset, src_length
    cdef IntColumn record_hash, parse_flags
    cdef DictColumn time_desc, path_column, alias_column, name, kind
    cdef TextColumn data, raw
    cdef MapColumn unmapped
    cdef Buffer scratch
    # The key whose values follow.
    cdef Buffer path
    cdef uint64_t path_hash, written
    cdef int32_t path_code, alias_code
    cdef uint32_t owner_of
    cdef Py_ssize_t owner_length
    cdef uint8_t[192] owner
    cdef bytes alias_from, alias_to         # CurrentControlSet
    cdef const uint8_t* alias_old           # the same, where the GIL is not held
    cdef const uint8_t* alias_new
    cdef Py_ssize_t alias_old_length, alias_new_length
    cdef readonly dict hints                # path of the key whose list still names a deleted value
    cdef bint has_replayed
    cdef readonly int64_t only_logged       # records that the file itself does not have

    cdef int set_path(self, const uint8_t* p, Py_ssize_t n) except -1 nogil
    cdef int put_key(self, uint32_t offset, const uint8_t* nk, int flags) except -1 nogil
    cdef int put_value(
        self, uint32_t offset, const uint8_t* vk, Py_ssize_t there, int flags, bint owned
    ) except -1 nogil
    cdef int _value_time(self, Py_ssize_t row, uint64_t written) except -1 nogil
    cdef int _find_owner(self, uint32_t offset) except -1 nogil
    cdef int _paths(self, Py_ssize_t row) except -1 nogil
    cdef int _note(
        self, const char* key, const uint8_t* p, Py_ssize_t n
    ) except -1 nogil
    cdef int _class_name(self, const uint8_t* nk) except -1 nogil
    cdef int _origin(self, uint32_t offset, const uint8_t* p, Py_ssize_t n, int flags) except -1 nogil
