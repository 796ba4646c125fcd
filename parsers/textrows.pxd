"""Rows of a table out of pieces of a text: what a log line and a pattern give."""

from libc.stdint cimport int64_t, uint8_t

from tracelake.native.account cimport Account
from tracelake.native.columns cimport (
    Column, DictColumn, IntColumn, MapColumn, Rows, TextColumn,
)
from tracelake.native.feed cimport Feed


cdef struct Piece:
    const uint8_t* p
    Py_ssize_t n


cdef struct Record:
    int64_t offset
    int64_t length
    const uint8_t* p        # its bytes, for the hash
    Py_ssize_t n
    bint timed
    int64_t time            # microseconds since 1970, UTC
    int ns
    int flags


cdef enum Kind:
    WORD, TEXT, NUMBER, DECIMAL, TRUTH, ADDRESS, REST


cdef class Slot:
    """Where a named piece goes."""
    cdef Column column
    cdef int kind
    cdef bytes name
    cdef Slot other         # of an address that is a name


cdef class TextRows:
    cdef Rows rows
    cdef str table
    cdef dict slots
    cdef IntColumn time
    cdef IntColumn ns
    cdef IntColumn offset
    cdef IntColumn length
    cdef IntColumn hash
    cdef IntColumn flags
    cdef MapColumn unmapped
    cdef int repaired
    cdef int64_t repairs        # rows with text that was repaired

    cpdef Slot slot(self, str name)
    cdef int put(self, Slot slot, const uint8_t* p, Py_ssize_t n) except -1
    cdef int set(self, Slot slot, int64_t value) except -1
    cdef int other(self, const uint8_t* name, Py_ssize_t m, const uint8_t* p, Py_ssize_t n
                   ) except -1
    cdef int done(self, const Record* record) except -1


cdef class TextReader:
    """A reader of an artifact whose rows go to several tables. What is its own: `begin`, `turn`
    (some records; whether there are more), `broke` (the bytes could not be read on)."""
    cdef Feed feed
    cdef Account account
    cdef dict tables            # name -> TextRows

    cdef int begin(self) except -1
    cdef int turn(self) except -1
    cdef int broke(self) except -1


# Whether it can be an IP address by its characters: digits, hexadecimal ones with a colon.
cdef bint looks_like_address(const uint8_t* p, Py_ssize_t n) noexcept nogil
