"""Parts of a text (see texts.pxd)."""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memchr, memcmp

from tracelake.native.text cimport utf16le_utf8
from tracelake.parsers.values cimport canonical_ip

# No address is written with more characters (RFC 4291 with a dotted end, and a zone).
cdef enum:
    ADDRESS_ROOM = 63


cdef inline bint _is_digit(uint8_t c) noexcept nogil:
    return 48 <= c <= 57


cdef inline bint _is_hex(uint8_t c) noexcept nogil:
    return 48 <= c <= 57 or 65 <= (c & 0xDF) <= 70


cdef inline uint8_t _digit(uint8_t c) noexcept nogil:
    return c - 48 if c <= 57 else (c & 0xDF) - 55


cdef inline bint _in_word(uint8_t c) noexcept nogil:
    return _is_digit(c) or 65 <= (c & 0xDF) <= 90 or c == 95 or c >= 128


cdef int64_t _port(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """The port that a text begins with, ":22" or " port 22"; -1: none."""
    cdef Py_ssize_t i = 0, first
    cdef int64_t value = 0
    if n > 0 and p[0] == 58:
        i = 1
    elif n > 6 and memcmp(p, <const char*>b" port ", 6) == 0:
        i = 6
    else:
        return -1
    first = i
    while i < n and i - first < 6 and _is_digit(p[i]):
        value = value * 10 + p[i] - 48
        i += 1
    if i == first or value > 65535 or (i < n and _in_word(p[i])):
        return -1
    return value


cdef Py_ssize_t find_endpoint(
    const uint8_t* p, Py_ssize_t n, uint8_t* ip, int64_t* port
) noexcept nogil:
    cdef Py_ssize_t i = 0, start, end, rest, size, colons, colon
    cdef bint dots
    port[0] = -1
    while i < n:
        # A word: digits, letters a-f, dots and colons, no other letter beside it.
        if not (_is_hex(p[i]) or p[i] == 58):
            if _in_word(p[i]):
                while i < n and (_in_word(p[i]) or p[i] == 46 or p[i] == 45):
                    i += 1
            else:
                i += 1
            continue
        start = i
        colons = colon = 0
        dots = False
        while i < n and (_is_hex(p[i]) or p[i] == 58 or p[i] == 46):
            if p[i] == 58:
                colons += 1
                colon = i
            elif p[i] == 46:
                dots = True
            i += 1
        if i < n and (_in_word(p[i]) or p[i] == 45):
            while i < n and (_in_word(p[i]) or p[i] == 46 or p[i] == 45 or p[i] == 58):
                i += 1
            continue
        end = i
        while end > start and p[end - 1] == 46:     # the end of a sentence
            end -= 1
        if dots and colons == 1 and colon > start:
            size = canonical_ip(p + start, min(colon - start, ADDRESS_ROOM), ip)
            rest = colon
        elif dots or colons > 1:
            size = canonical_ip(p + start, end - start, ip) if end - start < ADDRESS_ROOM else 0
            rest = end
            # A zone, and the end of the brackets: "[fe80::1%2]:3389".
            if rest < n and p[rest] == 37:
                while rest < n and p[rest] != 93 and p[rest] > 32 and rest - end < 32:
                    rest += 1
            if start > 0 and p[start - 1] == 91 and rest < n and p[rest] == 93:
                rest += 1
        else:
            continue
        if size:
            port[0] = _port(p + rest, n - rest)
            return size
    return 0


cdef Py_ssize_t find_text(
    const uint8_t* p, Py_ssize_t n, const uint8_t* mark, Py_ssize_t m
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n - m + 1):
        if p[i] == mark[0] and memcmp(p + i, mark, m) == 0:
            return i
    return -1


cdef inline bint _is_space(uint8_t c) noexcept nogil:
    return c == 32 or c == 9 or c == 13 or c == 10


cdef bint _named(
    const uint8_t* p, Py_ssize_t n, const uint8_t* names, Py_ssize_t m
) noexcept nogil:
    """Whether a text is one of the names, which have | between them."""
    cdef Py_ssize_t i = 0, start
    while i <= m:
        start = i
        while i < m and names[i] != 124:
            i += 1
        if i - start == n and memcmp(names + start, p, n) == 0:
            return True
        i += 1
    return False


cdef Py_ssize_t _found(
    const uint8_t* p, Py_ssize_t i, Py_ssize_t end, uint8_t c
) noexcept nogil:
    """Where `c` is first, from `i` on, or `end`."""
    cdef const void* at = memchr(p + i, c, end - i) if i < end else NULL
    return <const uint8_t*>at - p if at is not NULL else end


cdef Py_ssize_t _line_end(const uint8_t* p, Py_ssize_t n, Py_ssize_t i) noexcept nogil:
    return _found(p, i, n, 10)


cdef bint _is_next(
    const uint8_t* p, Py_ssize_t start, Py_ssize_t end, const uint8_t* indent, Py_ssize_t m
) noexcept nogil:
    """Whether the line from start to end has the same indent, a name and an equals sign."""
    cdef Py_ssize_t i
    if end - start <= m or memcmp(p + start, indent, m) != 0 or not _in_word(p[start + m]):
        return False
    for i in range(start + m, end):
        if p[i] == 61:
            return True
    return False


cdef Py_ssize_t line_value(
    const uint8_t* p, Py_ssize_t n, const uint8_t* names, Py_ssize_t m, Py_ssize_t* size
) noexcept nogil:
    cdef Py_ssize_t start = 0, end, first, equals, key
    while start < n:
        end = _line_end(p, n, start)
        first = start
        while first < end and _is_space(p[first]):
            first += 1
        equals = _found(p, first, end, 61)
        key = equals
        while key > first and _is_space(p[key - 1]):
            key -= 1
        if equals == end or not _named(p + first, key - first, names, m):
            start = end + 1
            continue
        key = start         # where the indent stands, of first - start bytes
        while end < n and first > key:
            start = end + 1
            if _is_next(p, start, _line_end(p, n, start), p + key, first - key):
                break
            end = _line_end(p, n, start)
        equals += 1
        while equals < end and _is_space(p[equals]):
            equals += 1
        while end > equals and _is_space(p[end - 1]):
            end -= 1
        size[0] = end - equals
        return equals
    return -1


cdef Py_ssize_t mof_value(
    const uint8_t* p, Py_ssize_t n, const uint8_t* name, Py_ssize_t m, uint8_t* out
) noexcept nogil:
    cdef Py_ssize_t i = 0, size, found
    while True:
        found = find_text(p + i, n - i, name, m)
        if found < 0:
            return -1
        i += found
        found = i
        i += m
        # A name of its own, ` = ` and a quote; else it stood in another value.
        if found > 0 and _in_word(p[found - 1]):
            continue
        while i < n and p[i] == 32:
            i += 1
        if i == n or p[i] != 61:
            continue
        i += 1
        while i < n and p[i] == 32:
            i += 1
        if i == n or p[i] != 34:
            continue
        i += 1
        size = 0
        while i < n and p[i] != 34:
            if p[i] == 92 and i + 1 < n:
                i += 1
                # \n and its like are those of C; a quote and a backslash are themselves.
                if p[i] == 110:
                    out[size] = 10
                elif p[i] == 114:
                    out[size] = 13
                elif p[i] == 116:
                    out[size] = 9
                else:
                    out[size] = p[i]
            else:
                out[size] = p[i]
            size += 1
            i += 1
        return size


cdef Py_ssize_t hex_text(
    const uint8_t* p, Py_ssize_t n, bint tail, uint8_t* out
) noexcept nogil:
    cdef uint8_t[1024] text
    cdef Py_ssize_t i, units, slash = -1
    cdef uint8_t c
    cdef int repaired = 0
    if n % 4 or n > 2048:
        return -1
    for i in range(n):
        if not _is_hex(p[i]):
            return -1
        c = _digit(p[i])
        if i % 2:
            text[i // 2] |= c
        else:
            text[i // 2] = <uint8_t>(c << 4)
    units = n // 4
    for i in range(units):
        if text[2 * i + 1] == 0:
            if text[2 * i] == 0:
                units = i
                break
            if text[2 * i] == 47:
                slash = i
    if tail:
        if slash < 0:
            return -1
        return utf16le_utf8(text + 2 * (slash + 1), units - slash - 1, out, &repaired)
    if slash >= 0:
        units = slash
    return utf16le_utf8(text, units, out, &repaired)


cdef bint hex_guid(const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil:
    cdef Py_ssize_t i
    cdef uint8_t c
    if n < 76:
        return False
    for i in range(38):
        if not (_is_hex(p[2 * i]) and _is_hex(p[2 * i + 1])):
            return False
        c = <uint8_t>(_digit(p[2 * i]) << 4 | _digit(p[2 * i + 1]))
        if i == 0 or i == 37:
            if c != (123 if i == 0 else 125):
                return False
        elif i == 9 or i == 14 or i == 19 or i == 24:
            if c != 45:
                return False
        elif not _is_hex(c):
            return False
        out[i] = c | 32 if 65 <= c <= 70 else c
    return True


def line(str text, str names):
    """The value of a line of a text, None where there is no such line."""
    cdef bytes given = text.encode(), wanted = names.encode()
    cdef Py_ssize_t size = 0
    cdef Py_ssize_t at = line_value(
        <const uint8_t*><const char*>given, len(given),
        <const uint8_t*><const char*>wanted, len(wanted), &size,
    )
    return None if at < 0 else given[at : at + size].decode()


def mof(str text, str name):
    """The first value of a property in a MOF listing, None where there is none."""
    cdef bytes given = text.encode(), wanted = name.encode()
    cdef bytearray made = bytearray(len(given) + 1)
    cdef Py_ssize_t size = mof_value(
        <const uint8_t*><const char*>given, len(given),
        <const uint8_t*><const char*>wanted, len(wanted), <uint8_t*><char*>made,
    )
    return None if size < 0 else bytes(made[:size]).decode()


def binary(str text, bint tail):
    """What stands before the last slash of UTF-16 text in hexadecimal digits, or behind it."""
    cdef bytes given = text.encode()
    cdef bytearray made = bytearray(3 * len(given) // 4 + 4)
    cdef Py_ssize_t size = hex_text(
        <const uint8_t*><const char*>given, len(given), tail, <uint8_t*><char*>made
    )
    return None if size < 0 else bytes(made[:size]).decode()


def endpoint(str text):
    """(address, port) of the first address in a text, each None where there is none."""
    cdef uint8_t[64] ip
    cdef int64_t port
    cdef bytes given = text.encode()
    cdef Py_ssize_t n = find_endpoint(
        <const uint8_t*><const char*>given, len(given), ip, &port
    )
    return (ip[:n].decode(), None if port < 0 else port) if n else (None, None)
