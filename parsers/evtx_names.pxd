"""The names that a record has used, so that one that comes again is numbered."""

from libc.stdint cimport int32_t, uint8_t, uint64_t

cdef enum:
    MAX_NAME = 1024             # UTF-16 units of a name


cdef struct NameSet:
    uint64_t* keys
    int32_t* counts
    int32_t room
    int32_t used


# Empties the set, for about `expected` names.
cdef int names_reset(NameSet* s, int32_t expected) except -1 nogil
# 1 where the name is new, else the number that makes it so ("[2]", "[3]", ..).
cdef int32_t names_number(NameSet* s, const uint8_t* name, int32_t n) except -1 nogil
# Writes "[<number>]"; bytes written (room: 12).
cdef int32_t put_number(uint8_t* out, int32_t number) noexcept nogil
