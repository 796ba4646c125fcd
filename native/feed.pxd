"""An artifact's bytes in order, through one window.

Loose files, archive members and compressed streams are all read this way, so a
parser is written once and needs the same memory for 50 MB and for 50 GB. (A
mapping would be as fast, but a file that shrinks on a share while it is mapped
kills the process with SIGBUS.)
"""

from libc.stdint cimport int64_t, uint8_t

from tracelake.native.cursor cimport Cursor


cdef class Feed:
    cdef object _readinto
    cdef object _error          # what stopped the reading, raised once the window is empty
    cdef uint8_t* _window
    cdef Py_ssize_t _capacity
    cdef Py_ssize_t _head       # next byte to be read
    cdef Py_ssize_t _tail       # one past the last byte held
    cdef int64_t _origin        # artifact offset of _window[0]
    cdef bint _ended

    cdef int _read_once(self) except -1
    cdef Py_ssize_t _wanted(self, Py_ssize_t n) except -1
    cdef Py_ssize_t _refill(self, Py_ssize_t need) except -1 nogil
    cdef int skip(self, int64_t n) except -1 nogil

    cdef inline Py_ssize_t fill(self, Py_ssize_t need) except -1 nogil:
        """Makes the next `need` bytes available, or as many as there are; returns how many
        are (which may be more). Pointers taken before are void afterwards."""
        if self._tail - self._head >= need:
            return self._tail - self._head
        return self._refill(need)

    cdef inline Cursor cursor(self, Py_ssize_t n) noexcept nogil:
        """A cursor over the next `n` available bytes; the feed does not move."""
        cdef Cursor c
        if n > self._tail - self._head:
            n = self._tail - self._head
        if n < 0:
            n = 0
        c.start = self._window + self._head
        c.at = c.start
        c.end = c.start + n
        c.origin = self._origin + self._head
        return c

    cdef inline const uint8_t* at(self) noexcept nogil:
        """The next byte; valid for as many bytes as `fill` returned."""
        return self._window + self._head

    cdef inline int64_t offset(self) noexcept nogil:
        """Artifact offset of the next byte."""
        return self._origin + self._head

    cdef inline int advance(self, Py_ssize_t n) noexcept nogil:
        """Moves past `n` bytes that `fill` made available; never beyond them, never back."""
        if n > self._tail - self._head:
            n = self._tail - self._head
        if n > 0:
            self._head += n
        return 0
