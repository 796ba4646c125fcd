"""Parts of texts that hold more than one value (see text_parts.pxd)."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr, memcmp, memcpy


cdef inline bint _white(uint8_t c) noexcept nogil:
    return c == 32 or 9 <= c <= 13


# --- lists ----------------------------------------------------------------------------------

cdef bint next_word(
    const uint8_t* p, Py_ssize_t n, Py_ssize_t* at, Py_ssize_t* start, Py_ssize_t* end
) noexcept nogil:
    cdef Py_ssize_t i = at[0]
    while i < n and _white(p[i]):
        i += 1
    start[0] = i
    while i < n and not _white(p[i]):
        i += 1
    end[0] = at[0] = i
    return start[0] < i


# --- XML ------------------------------------------------------------------------------------

cdef struct Path:
    const uint8_t* p
    Py_ssize_t n
    int length                  # components


cdef bint _is_component(
    const Path* path, int number, const uint8_t* name, Py_ssize_t n
) noexcept nogil:
    """Whether an element's name is component `number`; of the last, one of its names."""
    cdef Py_ssize_t i = 0, start
    cdef int at = 0
    while at < number:
        if path.p[i] == 47:
            at += 1
        i += 1
    while True:
        start = i
        while i < path.n and path.p[i] != 47 and path.p[i] != 43:
            i += 1
        if i - start == n and memcmp(path.p + start, name, n) == 0:
            return True
        if i == path.n or path.p[i] == 47:
            return False
        i += 1


cdef Py_ssize_t _after(
    const uint8_t* p, Py_ssize_t n, Py_ssize_t at, const char* mark, Py_ssize_t length
) noexcept nogil:
    """The place behind the next `mark`, or the end."""
    cdef const void* found
    while at + length <= n:
        found = memchr(p + at, mark[0], n - at - length + 1)
        if found is NULL:
            break
        at = <const uint8_t*>found - p
        if memcmp(p + at, mark, length) == 0:
            return at + length
        at += 1
    return n


cdef Py_ssize_t _tag_end(const uint8_t* p, Py_ssize_t n, Py_ssize_t at) noexcept nogil:
    """The place of the `>` that ends a tag, outside of quotes; the end where there is none."""
    cdef uint8_t quote = 0
    while at < n:
        if quote:
            if p[at] == quote:
                quote = 0
        elif p[at] == 34 or p[at] == 39:
            quote = p[at]
        elif p[at] == 62:
            return at
        at += 1
    return n


cdef Py_ssize_t _put_utf8(uint8_t* out, uint32_t c) noexcept nogil:
    if c == 0 or 0xD800 <= c < 0xE000 or c > 0x10FFFF:
        c = 0xFFFD
    if c < 0x80:
        out[0] = <uint8_t>c
        return 1
    if c < 0x800:
        out[0] = 0xC0 | (c >> 6)
        out[1] = 0x80 | (c & 63)
        return 2
    if c < 0x10000:
        out[0] = 0xE0 | (c >> 12)
        out[1] = 0x80 | ((c >> 6) & 63)
        out[2] = 0x80 | (c & 63)
        return 3
    out[0] = 0xF0 | (c >> 18)
    out[1] = 0x80 | ((c >> 12) & 63)
    out[2] = 0x80 | ((c >> 6) & 63)
    out[3] = 0x80 | (c & 63)
    return 4


cdef Py_ssize_t _reference(
    const uint8_t* p, Py_ssize_t n, uint8_t* out, Py_ssize_t* used
) noexcept nogil:
    """Bytes written for the reference at `p`, which begins with `&`; it is never shorter."""
    cdef Py_ssize_t i = 2, end = 1
    cdef uint32_t c = 0
    cdef uint8_t digit
    cdef bint hexadecimal
    while end < n and end < 12 and p[end] != 59:
        end += 1
    used[0] = 1
    out[0] = 38
    if end >= n or p[end] != 59:
        return 1
    if p[1] == 35 and end > 2:
        hexadecimal = p[2] == 120
        if hexadecimal:
            i = 3
        if i == end:
            return 1
        while i < end:
            digit = p[i] - 48
            if digit > 9:
                digit = (p[i] & 0xDF) - 55
                if not hexadecimal or not 10 <= digit <= 15:
                    return 1
            c = c * (16 if hexadecimal else 10) + digit
            if c > 0x10FFFF:
                c = 0x110000
            i += 1
        used[0] = end + 1
        return _put_utf8(out, c)
    if end == 3 and p[1] == 108 and p[2] == 116:
        out[0] = 60
    elif end == 3 and p[1] == 103 and p[2] == 116:
        out[0] = 62
    elif end == 4 and memcmp(p + 1, b"amp", 3) == 0:
        out[0] = 38
    elif end == 5 and memcmp(p + 1, b"quot", 4) == 0:
        out[0] = 34
    elif end == 5 and memcmp(p + 1, b"apos", 4) == 0:
        out[0] = 39
    else:
        return 1
    used[0] = end + 1
    return 1


cdef Py_ssize_t unescape(const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil:
    cdef Py_ssize_t i = 0, o = 0, used = 0
    while i < n:
        if p[i] == 38:
            o += _reference(p + i, n - i, out + o, &used)
            i += used
        else:
            out[o] = p[i]
            o += 1
            i += 1
    return o


cdef Py_ssize_t find_xml(
    const uint8_t* p, Py_ssize_t n, const uint8_t* path, Py_ssize_t path_length, uint8_t* out
) noexcept nogil:
    cdef Path wanted = Path(path, path_length, 1)
    cdef Py_ssize_t i = 0, end, name, name_end, used = 0, o = 0, text = 0
    # Depth of the open element (the root is 1); how many components the elements from the root's
    # child on match; depth of the element whose text is being taken.
    cdef Py_ssize_t depth = 0, matched = 0, taking = 0
    cdef bint closed
    for i in range(path_length):
        wanted.length += path[i] == 47
    i = 0
    while i < n:
        if p[i] != 60:
            if not taking:
                i = _after(p, n, i, b"<", 1) - 1 if memchr(p + i, 60, n - i) is not NULL else n
                continue
            if p[i] == 38:
                o += _reference(p + i, n - i, out + o, &used)
                i += used
            else:
                out[o] = p[i]
                o += 1
                i += 1
            continue
        if n - i >= 4 and memcmp(p + i, b"<!--", 4) == 0:
            i = _after(p, n, i + 4, b"-->", 3)
            continue
        if n - i >= 9 and memcmp(p + i, b"<![CDATA[", 9) == 0:
            end = _after(p, n, i + 9, b"]]>", 3)
            if taking:
                used = end - i - 12 if end - i >= 12 and memcmp(p + end - 3, b"]]>", 3) == 0 else 0
                memcpy(out + o, p + i + 9, used)
                o += used
            i = end
            continue
        if n - i >= 2 and (p[i + 1] == 63 or p[i + 1] == 33):
            i = _tag_end(p, n, i) + 1
            continue
        end = _tag_end(p, n, i)
        if end == n:
            break
        closed = end > i + 1 and p[end - 1] == 47
        if p[i + 1] != 47:
            depth += 1
            name = name_end = i + 1
            while name_end < end and not _white(p[name_end]) and p[name_end] != 47:
                name_end += 1
                if p[name_end - 1] == 58:
                    name = name_end
            if not taking and matched == depth - 2 and matched < wanted.length and _is_component(
                &wanted, <int>matched, p + name, name_end - name
            ):
                matched += 1
                if matched == wanted.length:
                    taking = depth
                    text = o
                    if o:
                        out[o] = 32
                        o += 1
        if p[i + 1] == 47 or closed:
            if taking == depth and taking:
                taking = 0
                # White space around a text, and an empty text with its space, do not count.
                while o > text and _white(out[o - 1]):
                    o -= 1
                if o > text:
                    o = _trimmed(out, text, o)
            if matched and matched == depth - 1:
                matched -= 1
                if o and matched < wanted.length - 1:
                    return o        # the parent of what was found ends
            depth -= 1
            if depth <= 0:
                break
        i = end + 1
    return o if not taking else text


cdef Py_ssize_t _trimmed(uint8_t* out, Py_ssize_t start, Py_ssize_t end) noexcept nogil:
    """Takes the white space out that a text begins with, but for the space that joins it to what
    stands before it; returns the new end."""
    cdef Py_ssize_t keep = start + (start > 0), i = start
    cdef Py_ssize_t k
    while i < end and _white(out[i]):
        i += 1
    if i <= keep:
        return end
    for k in range(end - i):
        out[keep + k] = out[i + k]
    return keep + end - i


def words_of(bytes text):
    """The parts of a text between white space. For tests, as the others."""
    cdef Py_ssize_t at = 0, start = 0, end = 0
    found = []
    while next_word(<const uint8_t*><const char*>text, len(text), &at, &start, &end):
        found.append(text[start:end])
    return found


def xml_of(bytes text, bytes path):
    """The text at a path, or None."""
    out = bytearray(len(text) + 1)
    cdef uint8_t[::1] view = out
    cdef Py_ssize_t n = find_xml(
        <const uint8_t*><const char*>text, len(text),
        <const uint8_t*><const char*>path, len(path), &view[0],
    )
    return bytes(out[:n]) if n else None
