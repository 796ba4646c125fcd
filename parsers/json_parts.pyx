"""Parts of a JSON text (see json_parts.pxd)."""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp


cdef inline bint _white(uint8_t c) noexcept nogil:
    return c == 32 or c == 10 or c == 13 or c == 9


cdef inline Py_ssize_t _skip(const uint8_t* p, Py_ssize_t n, Py_ssize_t i) noexcept nogil:
    while i < n and _white(p[i]):
        i += 1
    return i


cdef Py_ssize_t _string_end(const uint8_t* p, Py_ssize_t n, Py_ssize_t i) noexcept nogil:
    """Behind the quote that ends the string at `i`, or n."""
    i += 1
    while i < n and p[i] != 34:
        i += 2 if p[i] == 92 else 1
    return i + 1 if i < n else n


cdef Py_ssize_t _value_end(const uint8_t* p, Py_ssize_t n, Py_ssize_t i) noexcept nogil:
    """Behind the value at `i`, or n."""
    cdef Py_ssize_t depth = 0
    cdef uint8_t c
    while i < n:
        c = p[i]
        if c == 34:
            i = _string_end(p, n, i)
        else:
            if c == 123 or c == 91:
                depth += 1
            elif c == 125 or c == 93:
                if depth == 0:
                    return i        # of what stands around it
                depth -= 1
            elif depth == 0 and (c == 44 or c == 58 or _white(c)):
                return i
            i += 1
            if depth or not (c == 125 or c == 93):
                continue
        if depth == 0:
            return i
    return n


cdef inline int _nibble(uint8_t c) noexcept nogil:
    if 48 <= c <= 57:
        return c - 48
    c |= 32
    return c - 87 if 97 <= c <= 102 else -1


cdef int _code_unit(const uint8_t* p, Py_ssize_t n, Py_ssize_t i) noexcept nogil:
    """The number of \\uXXXX at `i`, or -1."""
    cdef int made = 0, digit
    cdef Py_ssize_t j
    if i + 6 > n or p[i] != 92 or p[i + 1] != 117:
        return -1
    for j in range(i + 2, i + 6):
        digit = _nibble(p[j])
        if digit < 0:
            return -1
        made = made << 4 | digit
    return made


cdef Py_ssize_t _put_utf8(uint8_t* out, uint32_t c) noexcept nogil:
    if c < 0x80:
        out[0] = c
        return 1
    if c < 0x800:
        out[0] = 0xC0 | c >> 6
        out[1] = 0x80 | (c & 0x3F)
        return 2
    if c < 0x10000:
        out[0] = 0xE0 | c >> 12
        out[1] = 0x80 | (c >> 6 & 0x3F)
        out[2] = 0x80 | (c & 0x3F)
        return 3
    out[0] = 0xF0 | c >> 18
    out[1] = 0x80 | (c >> 12 & 0x3F)
    out[2] = 0x80 | (c >> 6 & 0x3F)
    out[3] = 0x80 | (c & 0x3F)
    return 4


cdef inline uint8_t _short(uint8_t c) noexcept nogil:
    """What a letter behind a backslash stands for: itself where it stands for nothing else."""
    if c == 110:
        return 10
    if c == 116:
        return 9
    if c == 114:
        return 13
    if c == 98:
        return 8
    return 12 if c == 102 else c


cdef Py_ssize_t unescape_json(const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil:
    cdef Py_ssize_t i = 0, made = 0
    cdef int unit, low
    while i < n:
        if p[i] != 92 or i + 1 == n:
            out[made] = p[i]
            made += 1
            i += 1
            continue
        unit = _code_unit(p, n, i)
        if unit < 0:
            out[made] = _short(p[i + 1])
            made += 1
            i += 2
            continue
        i += 6
        if 0xD800 <= unit < 0xDC00:
            low = _code_unit(p, n, i)
            if 0xDC00 <= low < 0xE000:
                made += _put_utf8(out + made, 0x10000 + ((unit - 0xD800) << 10) + low - 0xDC00)
                i += 6
                continue
        # Half of a pair is no character.
        made += _put_utf8(out + made, 0xFFFD if 0xD800 <= unit < 0xE000 else unit)
    return made


cdef struct Search:
    const uint8_t* p
    Py_ssize_t n
    const uint8_t* path
    Py_ssize_t path_length
    Sink sink
    void* to


cdef int _give(Search* s, Py_ssize_t start, Py_ssize_t end) except -1 nogil:
    cdef uint8_t* made
    cdef const uint8_t* p = s.p + start
    cdef Py_ssize_t n = end - start
    if n == 0 or (n == 4 and memcmp(p, <const char*>b"null", 4) == 0):
        return 0
    if p[0] != 34:
        return s.sink(s.to, p, n)
    if n < 2:
        return 0
    made = <uint8_t*>malloc(n)
    if made is NULL:
        with gil:
            raise MemoryError()
    try:
        return s.sink(s.to, made, unescape_json(p + 1, n - 2, made))
    finally:
        free(made)


cdef inline bint _is_number(
    const uint8_t* p, Py_ssize_t n, Py_ssize_t number
) noexcept nogil:
    cdef Py_ssize_t made = 0, i
    if n == 0 or n > 9:
        return False
    for i in range(n):
        if p[i] < 48 or p[i] > 57:
            return False
        made = made * 10 + p[i] - 48
    return made == number


cdef int _walk(Search* s, Py_ssize_t i, Py_ssize_t end, Py_ssize_t at) except -1 nogil:
    """Goes on with the value that stands at `i` and the path's part at `at`."""
    cdef Py_ssize_t stop = at, next_one, key, key_end, number = 0
    cdef bint named, all_of_them
    if at >= s.path_length:
        return _give(s, i, end)
    if i >= end or (s.p[i] != 123 and s.p[i] != 91):
        return 0
    while stop < s.path_length and s.path[stop] != 46:
        stop += 1
    all_of_them = stop == at + 1 and s.path[at] == 42
    named = s.p[i] == 123
    i += 1
    while True:
        i = _skip(s.p, end, i)
        while i < end and s.p[i] == 44:
            i = _skip(s.p, end, i + 1)
        if i >= end or s.p[i] == 125 or s.p[i] == 93:
            return 0
        key = key_end = i
        if named:
            if s.p[i] != 34:
                return 0
            i = _string_end(s.p, end, i)
            key, key_end = key + 1, i - 1
            i = _skip(s.p, end, i)
            if i >= end or s.p[i] != 58:
                return 0
            i = _skip(s.p, end, i + 1)
        next_one = _value_end(s.p, end, i)
        if next_one == i:
            return 0
        if all_of_them or (
            key_end - key == stop - at and memcmp(s.p + key, s.path + at, stop - at) == 0
            if named else _is_number(s.path + at, stop - at, number)
        ):
            if _walk(s, i, next_one, stop + 1):
                return 1
        number += 1
        i = next_one


cdef int each_value(
    const uint8_t* p, Py_ssize_t n, const uint8_t* path, Py_ssize_t path_length,
    Sink sink, void* to,
) except -1 nogil:
    cdef Search s = Search(p, n, path, path_length, sink, to)
    cdef Py_ssize_t i = _skip(p, n, 0)
    return _walk(&s, i, _value_end(p, n, i), 0)


cdef int _collect(void* to, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    with gil:
        (<list>to).append((<const char*>p)[:n])
    return 0


def values_at(bytes text, bytes path):
    """The values at a path of a JSON text, as `each_value` gives them."""
    cdef list found = []
    each_value(
        <const uint8_t*><const char*>text, len(text), <const uint8_t*><const char*>path, len(path),
        _collect, <void*>found,
    )
    return found
