"""Texts of named values: key=value, CEF, LEEF, onto a tape."""

from libc.stdint cimport int32_t, uint8_t

from tracelake.parsers.tape cimport Tape


cdef enum Style:
    NO_STYLE, CEF, LEEF, PAIRS


# Where a CEF or LEEF event begins in a line, or -1; `style` says which it is.
cdef Py_ssize_t find_event(const uint8_t* p, Py_ssize_t n, int* style) noexcept nogil

# How many pairs of key=value a text begins with, up to `most`; 0: it is none of them.
cdef int count_pairs(const uint8_t* p, Py_ssize_t n, int most) noexcept nogil

# Puts what the text says on the tape, below `parent`. CEF and LEEF: 0 where the header is broken.
cdef int put_event(
    Tape tape, int32_t parent, int style, const uint8_t* p, Py_ssize_t n
) except -1 nogil

# Puts pairs of key=value; text before the first is put as `text`. Words without `=` belong to
# the value before them; where `flags`, they are values of `flag` (the kernel's packet filter).
cdef int put_pairs(
    Tape tape, int32_t parent, const uint8_t* p, Py_ssize_t n, bint flags
) except -1 nogil
