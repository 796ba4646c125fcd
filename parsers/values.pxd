"""Typed values of an event, as evidence holds them, and their text as Windows shows them.

A `Value` points into evidence and owns nothing. Its *text* is what a reader of the log
sees: `render` writes it, columns and `unmapped` hold it.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t


cdef enum Kind:
    NOTHING         # a name without a value (Windows: type 0; JSON: null)
    TEXT            # p, n: bytes that should be UTF-8; checked, repaired, flagged
    TEXT_VALID      # p, n: bytes that are UTF-8
    UTF16           # p, n: UTF-16LE, n in code units
    INT             # number: int64 in two's complement
    UINT            # number
    HEX32           # number, shown as 0x and lower-case digits
    HEX64           # the same; also pointers and SizeT
    BOOL            # number: 0 or not 0, shown as true, false
    FLOAT           # number: bits of a C float
    DOUBLE          # number: bits of a C double
    GUID            # p, n = 16: as {6 groups}, lower case
    SID             # p, n: binary SID, as S-1-5-21-...
    FILETIME        # number: 100 ns since 1601 UTC, as 2020-09-14T12:13:09.1234567Z
    SYSTEMTIME      # p, n = 16: Windows SYSTEMTIME, read as UTC, shown the same way
    BINARY          # p, n: as upper-case hexadecimal digits


cdef struct Value:
    int kind
    const uint8_t* p
    Py_ssize_t n
    uint64_t number


cdef inline Value text_value(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    return Value(TEXT, p, n, 0)


cdef inline Value utf16_value(const uint8_t* p, Py_ssize_t units) noexcept nogil:
    return Value(UTF16, p, units, 0)


cdef inline Value number_value(int kind, uint64_t number) noexcept nogil:
    return Value(kind, NULL, 0, number)


cdef inline Value bytes_value(int kind, const uint8_t* p, Py_ssize_t n) noexcept nogil:
    return Value(kind, p, n, 0)


cdef inline Py_ssize_t raw_size(const Value* v) noexcept nogil:
    """Bytes at `p`."""
    return 2 * v.n if v.kind == UTF16 else v.n


cdef inline bint is_text(const Value* v) noexcept nogil:
    return v.kind == TEXT or v.kind == TEXT_VALID or v.kind == UTF16


# Whether the value says nothing: no value, no bytes, empty text, or the lone "-" that Windows
# writes for "not applicable".
cdef bint is_unset(const Value* v) noexcept nogil

# Bytes that `render` may write.
cdef Py_ssize_t room_for(const Value* v) noexcept nogil
# The value's text as UTF-8; bytes written. Sets `repaired` to 1 where the evidence's text was
# ill-formed (never back to 0). NOTHING renders as no bytes.
cdef Py_ssize_t render(const Value* v, uint8_t* out, int* repaired) noexcept nogil

# FILETIME or SYSTEMTIME -> microseconds since 1970 UTC and nanoseconds below (0-999); 0 where
# the value is no date (a FILETIME of 0, month 13): such rows have no time.
cdef bint value_time(const Value* v, int64_t* us, int* below_ns) noexcept nogil

# Text -> number. Decimal (optional sign), or 0x and hexadecimal digits; 0 where it is neither,
# 1 where it fits int64, 2 where it only fits uint64 (then in two's complement).
cdef int parse_number(const uint8_t* p, Py_ssize_t n, int64_t* out) noexcept nogil

# IPv4 or IPv6 text -> canonical text (RFC 5952; "::ffff:1.2.3.4" is 1.2.3.4; a zone "%4" goes);
# bytes written (room: 45), 0 where it is no address.
cdef Py_ssize_t canonical_ip(const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil
cdef Value value_of(str kind, content) except *
