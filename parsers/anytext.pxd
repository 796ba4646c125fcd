"""The text of an artifact as UTF-8, whether it is in UTF-8 or UTF-16, through one window."""

from libc.stdint cimport int64_t, uint8_t

from tracelake.native.account cimport Account
from tracelake.native.feed cimport Feed


cdef class AnyText:
    cdef Feed feed
    cdef Account account
    cdef readonly str form      # "utf-8", "utf-16-le" or "utf-16-be"
    cdef readonly bint repaired     # UTF-16 text that is ill-formed was met
    cdef int64_t _offset        # in the artifact, of the next byte (UTF-16)
    cdef uint8_t* _text         # UTF-16 as UTF-8
    cdef Py_ssize_t _room
    cdef Py_ssize_t _head
    cdef Py_ssize_t _tail
    cdef bint _ended

    cdef Py_ssize_t _more(self, Py_ssize_t need) except -1
    cdef int _decode(self) except -1

    cdef inline Py_ssize_t fill(self, Py_ssize_t need) except -1:
        """Makes `need` bytes available, or as many as there are; returns how many are."""
        if self._text is NULL:
            return self.feed.fill(need)
        if self._tail - self._head >= need:
            return self._tail - self._head
        return self._more(need)

    cdef inline const uint8_t* at(self) noexcept nogil:
        """The next byte; void after the next `fill`."""
        if self._text is NULL:
            return self.feed.at()
        return self._text + self._head

    cdef inline int64_t offset(self) noexcept nogil:
        """Where the next byte comes from in the artifact."""
        return self.feed.offset() if self._text is NULL else self._offset

    # Bytes of the artifact that the next `n` bytes are made of.
    cdef int64_t span(self, Py_ssize_t n) noexcept nogil
    # Passes over `n` bytes; returns how many they are in the artifact.
    cdef int64_t advance(self, Py_ssize_t n) noexcept nogil
