"""What became of every record and byte of an artifact."""

from libc.stdint cimport int64_t, uint8_t

from tracelake.native.columns cimport Rows


cdef class Account:
    cdef public int64_t records             # records seen, damaged ones included
    cdef public int64_t in_rows             # of these: in a row of a table
    cdef public int64_t duplicates          # of these: byte-identical to one already in a row
    cdef readonly int64_t damaged           # of these: in a damage row
    cdef public dict counters               # of these: in neither, counted by kind (str -> int)
    cdef public int64_t bytes_records
    cdef public int64_t bytes_structure     # headers, chunk tables, padding that the format asks for
    cdef public int64_t bytes_slack         # allocated to the format, used by no record
    cdef public int64_t repairs             # texts repaired (ill-formed UTF-8 or UTF-16)
    cdef Rows _damage
    cdef object _sink

    cdef int _add(
        self, int64_t offset, int64_t length, const char* what, const char* why,
        const uint8_t* raw, Py_ssize_t raw_length,
    ) except -1
    cdef int damage(
        self, int64_t offset, int64_t length, const char* what, const char* why,
        const uint8_t* raw, Py_ssize_t raw_length,
    ) except -1 nogil
