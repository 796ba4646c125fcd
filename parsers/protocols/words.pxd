"""Text of evidence on its way into columns, and text that messages hold on to."""

from libc.stdint cimport int64_t, uint8_t

from tracelake.native.columns cimport DictColumn, TextColumn


cdef enum:
    WORD_ROOM = 256             # bytes of text that is held; the rest is cut
    LONGEST_WORD = 4096         # bytes of a word that a row takes; the rest is cut
    LONGEST_TEXT = 65536        # the same of free text


# A text that waits for its row.
cdef struct Word:
    int n                       # -1: none was given; 0 is a text
    uint8_t[256] text


cdef void set_word(Word* w, const uint8_t* p, int64_t n) noexcept nogil
cdef void no_word(Word* w) noexcept nogil

# As Zeek writes text: control characters are \xNN, and so is all beyond ASCII where the whole is
# not UTF-8. Room: 4 * n.
cdef Py_ssize_t escape(uint8_t* out, const uint8_t* p, Py_ssize_t n) noexcept nogil
cdef int put_word(DictColumn c, Py_ssize_t row, const uint8_t* p, int64_t n) except -1 nogil
cdef int put_text(TextColumn c, Py_ssize_t row, const uint8_t* p, int64_t n) except -1 nogil

# The same for a held one; nothing where none was given.
cdef inline int put_held(DictColumn c, Py_ssize_t row, const Word* w) except -1 nogil:
    if w.n >= 0:
        return put_word(c, row, w.text, w.n)
    return 0

# Constants of this program.
cdef int put_name(DictColumn c, Py_ssize_t row, const char* name) except -1 nogil
cdef int put_number(DictColumn c, Py_ssize_t row, int64_t value) except -1 nogil
cdef int put_mask(DictColumn c, Py_ssize_t row, int64_t value) except -1 nogil      # "0x12"

# Names by number, of a dict {int: str}: lives as long as the program.
cdef class Names:
    cdef const char** table
    cdef int size
    cdef list kept
    cdef const char* get(self, int64_t number) noexcept nogil       # NULL: none
    # The name, else `other` with the number behind it.
    cdef int put(
        self, DictColumn c, Py_ssize_t row, int64_t number, const char* other
    ) except -1 nogil
    cdef int put_text(
        self, TextColumn c, Py_ssize_t row, int64_t number, const char* other
    ) except -1 nogil
