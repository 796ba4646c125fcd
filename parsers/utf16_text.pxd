"""A text in UTF-16 as a feed of UTF-8.

What Windows' PowerShell writes with `Out-File` is UTF-16 with a mark. Unpaired surrogates become
the three bytes that they would be if they were characters: ill-formed, so that who reads the text
repairs and flags it; and every place can be told from the bytes before it (nested.utf16_units).
"""

from libc.stdint cimport uint8_t

from tracelake.native.feed cimport Feed


cdef enum:
    UNITS = 16384               # decoded at once


cdef class Utf16Text:
    cdef Feed feed
    cdef bint big
    cdef readonly int odd       # bytes at the end that are no code unit
    cdef uint8_t[3 * UNITS] _made
    cdef Py_ssize_t _head
    cdef Py_ssize_t _tail

    cdef int _refill(self) except -1
    cdef Py_ssize_t _put(self, const uint8_t* p, Py_ssize_t units, bint last, uint8_t* out,
                         Py_ssize_t* used) noexcept nogil
