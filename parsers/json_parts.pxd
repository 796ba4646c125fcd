"""Parts of a JSON text that stands in a field: an element, a member, all of a list."""

from libc.stdint cimport uint8_t


# Takes a value: of a string what it says, of others their JSON text. Returns 1 to be given no
# more.
ctypedef int (*Sink)(void* to, const uint8_t* p, Py_ssize_t n) except -1 nogil


# Gives `sink` every value at `path` in a JSON text of n bytes, in order; null is none. The path is
# names of members or numbers of elements, joined by dots; `*` is all there are; the empty path is
# the value itself. Returns 1 where the sink wanted no more, else 0. A scanner, not a checker: of
# what is not JSON it gives nothing, or something. UTF-8 goes in and comes out well-formed.
cdef int each_value(
    const uint8_t* p, Py_ssize_t n, const uint8_t* path, Py_ssize_t path_length,
    Sink sink, void* to,
) except -1 nogil

# What the text between the quotes of a JSON string says (RFC 8259, 7): bytes written to `out`
# (room: n). A surrogate without its other half is U+FFFD.
cdef Py_ssize_t unescape_json(const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil
