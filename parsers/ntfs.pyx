"""What the books of NTFS have in common (see ntfs.pxd)."""

from libc.string cimport memcmp, memcpy, strlen

from tracelake.native.cursor cimport le16
from tracelake.native.text cimport put_hex, put_int


cdef Torn unguard(uint8_t* p, Py_ssize_t size, Py_ssize_t at, Py_ssize_t count) noexcept nogil:
    """The last two bytes of each sector were replaced by a number that is raised with every
    writing; what stood there is in the sequence. A copy that was made with the replacement
    undone holds the sequence's values in place: it is not torn either."""
    cdef Py_ssize_t sectors = size // STRIDE, i
    cdef uint8_t* end
    cdef bint undone = True
    cdef Torn found = WHOLE
    if count != sectors + 1 or at < 8 or at & 1 or at + 2 * count > STRIDE - 2:
        return NO_SEQUENCE
    for i in range(sectors):
        end = p + (i + 1) * STRIDE - 2
        if le16(end) != le16(p + at):
            found = TORN
        if le16(end) != le16(p + at + 2 + 2 * i):
            undone = False
    if found == TORN and undone:
        return WHOLE
    for i in range(sectors):
        end = p + (i + 1) * STRIDE - 2
        # A sector of another writing keeps what it has: its own value is nowhere.
        if le16(end) == le16(p + at):
            memcpy(end, p + at + 2 + 2 * i, 2)
    return found


cdef Py_ssize_t extension(const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil:
    cdef Py_ssize_t dot = n - 1, i
    while dot > 0 and p[dot] != 46 and n - dot <= EXTENSION_MOST + 1:
        dot -= 1
    # ".bashrc" has none.
    if dot <= 0 or p[dot] != 46 or dot == n - 1 or n - dot - 1 > EXTENSION_MOST:
        return 0
    for i in range(dot + 1, n):
        out[i - dot - 1] = p[i] | 32 if 65 <= p[i] <= 90 else p[i]
    return n - dot - 1


cdef bint zeros(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    return n <= 0 or (p[0] == 0 and memcmp(p, p + 1, n - 1) == 0)


cdef Py_ssize_t leading_zeros(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i = 0
    cdef uint64_t a
    while i + 4096 <= n and zeros(p + i, 4096):
        i += 4096
    while i + 8 <= n:
        memcpy(&a, p + i, 8)
        if a:
            break
        i += 8
    return i


cdef int _key(MapColumn map, Py_ssize_t item, const char* key) except -1 nogil:
    return map.keys.put_valid(item, <const uint8_t*>key, strlen(key))


cdef int say(
    MapColumn map, Py_ssize_t row, const char* key, const uint8_t* p, Py_ssize_t n
) except -1 nogil:
    cdef Py_ssize_t item = map.open(row)
    _key(map, item, key)
    map.values.put_valid(item, p, n)
    return map.close(item + 1)


cdef int say_number(
    MapColumn map, Py_ssize_t row, const char* key, int64_t value
) except -1 nogil:
    cdef uint8_t[24] text
    return say(map, row, key, text, put_int(text, value))


cdef int say_hex(MapColumn map, Py_ssize_t row, const char* key, uint64_t value) except -1 nogil:
    cdef uint8_t[24] text
    return say(map, row, key, text, put_hex(text, value))


cdef int say_utf16(
    MapColumn map, Py_ssize_t row, const char* key, const uint8_t* p, Py_ssize_t units
) except -1 nogil:
    cdef Py_ssize_t item = map.open(row)
    cdef int repaired
    _key(map, item, key)
    repaired = map.values.put_utf16(item, p, units)
    map.close(item + 1)
    return repaired
