"""Parts of texts that hold more than one value: lists, XML."""

from libc.stdint cimport uint8_t


# The parts of a text between white space, one at a time: 1 and the part's bounds, or 0. `at`
# begins at 0 and is moved on.
cdef bint next_word(
    const uint8_t* p, Py_ssize_t n, Py_ssize_t* at, Py_ssize_t* start, Py_ssize_t* end
) noexcept nogil

# XML that was escaped once more, as it was: each reference by what it stands for. Bytes written to
# `out` (room: n).
cdef Py_ssize_t unescape(const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil

# The text of the first element at a path below the root of an XML text: bytes written to `out`
# (room: n), 0 where there is none. `path` is local names joined by slashes; the last may be
# several, joined by plus signs, whose texts under one parent are joined by a space. A scanner,
# not a checker: of what is not XML it gives nothing, or something.
cdef Py_ssize_t find_xml(
    const uint8_t* p, Py_ssize_t n, const uint8_t* path, Py_ssize_t path_length, uint8_t* out
) noexcept nogil
