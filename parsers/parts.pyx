"""Parts of a text: of a URL, of the resources of a detection, of a SOCKADDR (see parts.pxd).

All of them are derived: the field itself stands in another column or in `unmapped`.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcmp

from tracelake.native.text cimport put_int

from tracelake.parsers.event_plan cimport (
    W_RESOURCE_PATH, W_URL_HOST, W_URL_PATH, W_URL_QUERY, W_URL_SCHEME,
)
from tracelake.parsers.values cimport canonical_ip


cdef inline Py_ssize_t _find(
    const uint8_t* p, Py_ssize_t start, Py_ssize_t end, uint8_t wanted
) noexcept nogil:
    """Index of a byte, or `end`."""
    while start < end and p[start] != wanted:
        start += 1
    return start


cdef inline bint _give(
    const uint8_t* p, Py_ssize_t start, Py_ssize_t end, Part* out
) noexcept nogil:
    out.at = p + start
    out.size = end - start
    return end > start


cdef bint _url(int way, const uint8_t* p, Py_ssize_t n, Part* out) noexcept nogil:
    """A part of scheme://user@host:port/path?query#fragment (RFC 3986, 3)."""
    cdef Py_ssize_t colon = _find(p, 0, n, 58), host, end, path_end, query_end, i
    if n and p[0] == 47 and (way == W_URL_PATH or way == W_URL_QUERY):
        # What a request line holds: path and query alone.
        query_end = _find(p, 0, n, 35)
        path_end = _find(p, 0, query_end, 63)
        if way == W_URL_PATH:
            return _give(p, 0, path_end, out)
        return _give(p, path_end + 1, query_end, out) if path_end < query_end else False
    if colon == 0 or n - colon < 3 or p[colon + 1] != 47 or p[colon + 2] != 47:
        return False
    if way == W_URL_SCHEME:
        return _give(p, 0, colon, out)
    host = colon + 3
    query_end = _find(p, host, n, 35)
    path_end = _find(p, host, query_end, 63)
    end = _find(p, host, path_end, 47)
    if way == W_URL_PATH:
        return _give(p, end, path_end, out)
    if way == W_URL_QUERY:
        return _give(p, path_end + 1, query_end, out) if path_end < query_end else False
    for i in range(host, end):
        if p[i] == 64:
            host = i + 1
    if host < end and p[host] == 91:
        return _give(p, host + 1, _find(p, host, end, 93), out)
    return _give(p, host, _find(p, host, end, 58), out)


cdef inline bint _is(
    const uint8_t* p, Py_ssize_t n, const char* wanted, Py_ssize_t size
) noexcept nogil:
    return n == size and memcmp(p, wanted, size) == 0


cdef bint _resource(const uint8_t* p, Py_ssize_t n, Part* out) noexcept nogil:
    """Path of the first file among Defender's resources: kind:_value; kind:_value; ...

    What follows `->` is a member of the file, what follows `|` where it came from.
    """
    cdef Py_ssize_t start = 0, end, value
    while start < n:
        end = _find(p, start, n, 59)
        while start < end and p[start] == 32:
            start += 1
        value = _find(p, start, end, 58)
        if (
            end - value > 2 and p[value + 1] == 95 and (
                _is(p + start, value - start, b"file", 4)
                or _is(p + start, value - start, b"containerfile", 13)
                or _is(p + start, value - start, b"webfile", 7)
                or _is(p + start, value - start, b"folder", 6)
                or _is(p + start, value - start, b"amsi", 4)
            )
        ):
            value += 2
            end = _find(p, value, end, 124)
            for start in range(value, end - 1):
                if p[start] == 45 and p[start + 1] == 62:
                    return _give(p, value, start, out)
            return _give(p, value, end, out)
        start = end + 1
    return False


cdef bint part_of(int way, const uint8_t* p, Py_ssize_t n, Part* out) noexcept nogil:
    if way == W_RESOURCE_PATH:
        return _resource(p, n, out)
    return _url(way, p, n, out)


cdef inline int _nibble(uint8_t c) noexcept nogil:
    if 48 <= c <= 57:
        return c - 48
    c |= 32
    return c - 87 if 97 <= c <= 102 else -1


cdef Py_ssize_t sockaddr(
    const uint8_t* p, Py_ssize_t n, uint8_t* out, int64_t* port
) noexcept nogil:
    """Windows' ws2def.h and ws2ipdef.h: family (little-endian), port (big-endian), then the
    address of AF_INET (2), or flow information and the address of AF_INET6 (23)."""
    cdef uint8_t[24] raw
    cdef uint8_t[40] text
    cdef Py_ssize_t size = 0, i
    cdef int high, low
    if n < 16 or n % 2:
        return 0
    for i in range(min(24, n // 2)):
        high = _nibble(p[2 * i])
        low = _nibble(p[2 * i + 1])
        if high < 0 or low < 0:
            return 0
        raw[i] = <uint8_t>(high << 4 | low)
    port[0] = raw[2] << 8 | raw[3]
    if raw[0] == 2 and raw[1] == 0:
        for i in range(4, 8):
            size += put_int(text + size, raw[i])
            text[size] = 46
            size += 1
        return canonical_ip(text, size - 1, out)
    if raw[0] != 23 or raw[1] != 0 or n < 48:
        return 0
    for i in range(8, 24):
        text[size] = p[2 * i]
        text[size + 1] = p[2 * i + 1]
        size += 2
        if i % 2 and i < 23:
            text[size] = 58
            size += 1
    return canonical_ip(text, size, out)
