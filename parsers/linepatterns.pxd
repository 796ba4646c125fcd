"""Messages that are known, matched against declared patterns without a Python object each."""

from libc.stdint cimport uint8_t

from tracelake.parsers.textrows cimport Piece, TextRows


cdef enum:
    MOST_PIECES = 16


cdef class Pattern:
    cdef TextRows rows
    cdef int first              # the message's first byte; -1: any
    cdef list literals          # bytes; one more than there are pieces
    cdef list slots
    cdef list constants         # (Slot, bytes) and (Slot, int)
    cdef Piece[MOST_PIECES] found

    cdef bint matches(self, const uint8_t* p, Py_ssize_t n)
    cdef int fill(self) except -1


cdef class Patterns:
    cdef dict tables
    cdef dict programs          # bytes -> list of Pattern
    cdef bytes last             # the program that was asked for last, and its patterns
    cdef list last_patterns
    cdef bint[32][256] likely     # by length and first letter, before any is looked up

    cdef Pattern find(
        self, const uint8_t* program, Py_ssize_t m, const uint8_t* p, Py_ssize_t n
    )
    cdef TextRows into(self, str table)
