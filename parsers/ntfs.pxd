"""What the books of NTFS have in common: references, times, names, update sequences.

Specification: "NT File System (NTFS) format" (libyal, libfsntfs); [MS-FSCC] for attributes of
files and reparse points.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tracelake.native.columns cimport DictColumn, IntColumn, MapColumn
from tracelake.native.cursor cimport le64

cdef enum:
    ROOT = 5                        # entry of the root folder
    STRIDE = 512                    # bytes that one update sequence value guards
    # $FILE_NAME
    NAME_HEADER = 66                # bytes before the name itself
    NAME_DOS = 2                    # namespace: only the short name
    NAME_MOST = 765                 # UTF-8 bytes of a name: 255 units
    EXTENSION_MOST = 32             # bytes; what is longer is no extension
    TIME_TEXT = 18

cdef enum Torn:
    WHOLE                           # the sectors are of one writing
    TORN                            # some are of another one
    NO_SEQUENCE                     # the update sequence is not where it could be


cdef inline uint64_t entry_of(uint64_t reference) noexcept nogil:
    """The entry number of a file reference."""
    return reference & 0xFFFFFFFFFFFFULL


cdef inline int sequence_of(uint64_t reference) noexcept nogil:
    """Its sequence number."""
    return <int>(reference >> 48)


cdef inline bint filetime(const uint8_t* p, int64_t* us, int* digit) noexcept nogil:
    """A FILETIME as microseconds since 1970 UTC and its last decimal digit (100 ns). False
    where it is no date: zero, or beyond the year 9999."""
    cdef uint64_t ticks = le64(p)
    digit[0] = <int>(ticks % 10)
    us[0] = <int64_t>(ticks // 10) - 11644473600000000LL
    return ticks != 0 and us[0] < 253402300800000000LL


# Undoes the update sequence of a record of `size` bytes whose sequence stands at `at` and has
# `count` values, in place; says whether its sectors belong together.
cdef Torn unguard(uint8_t* p, Py_ssize_t size, Py_ssize_t at, Py_ssize_t count) noexcept nogil

# The extension of a name, in lower case, into `out` (room: EXTENSION_MOST); bytes, 0: none.
cdef Py_ssize_t extension(const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil

# Whether a file reference could be one: entries above 2^32 are not in use anywhere.
cdef inline bint plausible(uint64_t reference) noexcept nogil:
    return entry_of(reference) < 0x100000000ULL

# Whether bytes are zeros all through.
cdef bint zeros(const uint8_t* p, Py_ssize_t n) noexcept nogil
# How many zeros `n` bytes begin with, in steps of eight.
cdef Py_ssize_t leading_zeros(const uint8_t* p, Py_ssize_t n) noexcept nogil

# Values for `unmapped` of row `row`: text of ours, a number, 0x and hexadecimal digits.
cdef int say(MapColumn map, Py_ssize_t row, const char* key, const uint8_t* p, Py_ssize_t n) except -1 nogil
cdef int say_number(MapColumn map, Py_ssize_t row, const char* key, int64_t value) except -1 nogil
cdef int say_hex(MapColumn map, Py_ssize_t row, const char* key, uint64_t value) except -1 nogil
# Text from evidence: UTF-16. 1 where it was repaired.
cdef int say_utf16(MapColumn map, Py_ssize_t row, const char* key, const uint8_t* p, Py_ssize_t units) except -1 nogil
