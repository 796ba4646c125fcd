"""Text of evidence on its way into columns (see words.pxd)."""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, strlen

from tracelake.native.columns cimport DictColumn, TextColumn
from tracelake.native.text cimport put_hex, put_hex_bytes, put_int, utf8_valid


cdef void set_word(Word* w, const uint8_t* p, int64_t n) noexcept nogil:
    w.n = <int>(n if n < WORD_ROOM else WORD_ROOM)
    if w.n > 0:
        memcpy(w.text, p, w.n)


cdef void no_word(Word* w) noexcept nogil:
    w.n = -1


cdef inline bint _control(uint8_t b) noexcept nogil:
    return b < 8 or b == 11 or 13 < b < 0x20 or b == 0x7F


cdef Py_ssize_t escape(uint8_t* out, const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i, o = 0
    cdef bint text = utf8_valid(p, n) == n
    for i in range(n):
        if _control(p[i]) or (p[i] > 0x7F and not text):
            out[o] = b"\\"
            out[o + 1] = b"x"
            put_hex_bytes(out + o + 2, p + i, 1)
            o += 4
        else:
            out[o] = p[i]
            o += 1
    return o


cdef bint _plain(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        if p[i] < 0x20 or p[i] > 0x7E:
            return False
    return True


cdef int put_word(DictColumn c, Py_ssize_t row, const uint8_t* p, int64_t n) except -1 nogil:
    cdef uint8_t[4 * LONGEST_WORD] text
    if n > LONGEST_WORD:
        n = LONGEST_WORD
    if _plain(p, n):
        return c.put_valid(row, p, n)
    return c.put_valid(row, text, escape(text, p, n))


cdef int put_text(TextColumn c, Py_ssize_t row, const uint8_t* p, int64_t n) except -1 nogil:
    if n > LONGEST_TEXT:
        n = LONGEST_TEXT
    if _plain(p, n):
        return c.put_valid(row, p, n)
    c.wrote(escape(c.room(row, 4 * n), p, n))
    return 0


cdef int put_name(DictColumn c, Py_ssize_t row, const char* name) except -1 nogil:
    return c.put_valid(row, <const uint8_t*>name, strlen(name))


cdef int put_number(DictColumn c, Py_ssize_t row, int64_t value) except -1 nogil:
    cdef uint8_t[24] text
    return c.put_valid(row, text, put_int(text, value))


cdef int put_mask(DictColumn c, Py_ssize_t row, int64_t value) except -1 nogil:
    cdef uint8_t[24] text
    return c.put_valid(row, text, put_hex(text, value))


cdef class Names:
    """Names by number.

    Args:
        names: numbers from 0 to 65,535, ASCII names.
    """

    def __cinit__(self, dict names):
        cdef bytes text
        self.size = max(names) + 1
        self.kept = []
        self.table = <const char**>calloc(self.size, sizeof(char*))
        if self.table is NULL:
            raise MemoryError()
        for number, name in names.items():
            text = name.encode("ascii")
            self.kept.append(text)
            self.table[<int>number] = text

    def __dealloc__(self):
        free(self.table)

    cdef const char* get(self, int64_t number) noexcept nogil:
        return self.table[number] if 0 <= number < self.size else NULL

    cdef int put(
        self, DictColumn c, Py_ssize_t row, int64_t number, const char* other
    ) except -1 nogil:
        cdef const char* name = self.get(number)
        cdef uint8_t[64] text
        cdef Py_ssize_t n
        if name is not NULL:
            return put_name(c, row, name)
        n = strlen(other)
        memcpy(text, other, n)
        return c.put_valid(row, text, n + put_int(text + n, number))

    cdef int put_text(
        self, TextColumn c, Py_ssize_t row, int64_t number, const char* other
    ) except -1 nogil:
        cdef const char* name = self.get(number)
        cdef uint8_t[64] text
        cdef Py_ssize_t n
        if name is not NULL:
            return c.put_valid(row, <const uint8_t*>name, strlen(name))
        n = strlen(other)
        memcpy(text, other, n)
        return c.put_valid(row, text, n + put_int(text + n, number))
