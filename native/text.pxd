"""Text: UTF-8 check and repair, UTF-16 decoding, numbers and addresses as text.

Destinations are the caller's; each function says how much room it needs.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t


# Index of the first byte that is not well-formed UTF-8 (Unicode 15, table 3-7), or `n`.
cdef Py_ssize_t utf8_valid(const uint8_t* p, Py_ssize_t n) noexcept nogil

# Copies `n` bytes to `out` (room: 3 * n), each maximal ill-formed part as U+FFFD; bytes written.
cdef Py_ssize_t utf8_repair(const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil

# Decodes `units` UTF-16LE code units to UTF-8 (room: 3 * units); bytes written. Unpaired
# surrogates become U+FFFD and set `repaired` to 1 (which is never set back).
cdef Py_ssize_t utf16le_utf8(
    const uint8_t* p, Py_ssize_t units, uint8_t* out, int* repaired
) noexcept nogil

cdef Py_ssize_t put_uint(uint8_t* out, uint64_t value) noexcept nogil        # room: 20
cdef Py_ssize_t put_int(uint8_t* out, int64_t value) noexcept nogil          # room: 20
cdef Py_ssize_t put_hex(uint8_t* out, uint64_t value) noexcept nogil         # "0x1f"; room: 18
cdef Py_ssize_t put_hex_bytes(uint8_t* out, const uint8_t* p, Py_ssize_t n) noexcept nogil  # 2 * n
cdef Py_ssize_t put_ipv4(uint8_t* out, const uint8_t* p) noexcept nogil      # room: 15
cdef Py_ssize_t put_ipv6(uint8_t* out, const uint8_t* p) noexcept nogil      # RFC 5952; room: 45
cdef Py_ssize_t put_mac(uint8_t* out, const uint8_t* p) noexcept nogil       # room: 17

# Days since 1970-01-01 of a proleptic Gregorian date; month 1-12.
cdef int64_t days_from_civil(int64_t year, int month, int day) noexcept nogil

# "2020-09-14T12:13:09.123456[7][Z|+hh:mm]" (also with a space) -> microseconds since 1970 UTC and
# the digits below the microsecond in nanoseconds (0-999). 1 if it is such a time, 0 if not;
# 2 if it is and carries no zone (read as UTC: the caller flags it).
cdef int parse_iso_time(const uint8_t* p, Py_ssize_t n, int64_t* us, int* below_ns) noexcept nogil
# The way back, with 7 digits: room 28. "2020-09-14T12:13:09.1234567Z"
cdef Py_ssize_t put_iso_time(uint8_t* out, int64_t us, int below_ns) noexcept nogil
