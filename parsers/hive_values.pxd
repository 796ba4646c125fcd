"""Data of registry values as text."""

from libc.stdint cimport uint8_t, uint32_t

from tracelake.native.columns cimport TextColumn


cdef enum:
    HEX_MOST = 2048             # bytes of binary data that are shown as text


cdef enum Kept:
    WHOLE = 0                   # the text says all that the data say
    PART = 1                    # there is more than the text says
    REPAIRED = 2                # ill-formed UTF-16 was repaired (a bit)

cdef Py_ssize_t put_type(uint8_t* out, uint32_t kind) noexcept nogil           # room: 40
cdef int put_data(
    TextColumn column, Py_ssize_t row, uint32_t kind, const uint8_t* p, Py_ssize_t n
) except -1 nogil
# Bytes at the end of the data that are a FILETIME: when the value was written.
cdef Py_ssize_t written_bytes(uint32_t kind, Py_ssize_t n) noexcept nogil
cdef Py_ssize_t put_sid(uint8_t* out, const uint8_t* p, Py_ssize_t n) noexcept nogil   # room: 192
cdef Py_ssize_t latin_utf8(uint8_t* out, const uint8_t* p, Py_ssize_t n) noexcept nogil  # 2 * n
