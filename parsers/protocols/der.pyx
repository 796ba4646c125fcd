"""BER and DER (see der.pxd)."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tracelake.native.cursor cimport Cursor, left, span
from tracelake.native.text cimport days_from_civil, put_uint

cdef enum:
    HIGH_TAG = 0x1F             # the number follows in octets of its own
    INDEFINITE = -1
    DEEPEST = 64                # of contents of indefinite length inside each other


cdef int64_t _header(
    const uint8_t* p, int64_t n, uint32_t* number, int64_t* length
) noexcept nogil:
    """Bytes of identifier and length octets; 0 where they are not all there, -1 where they are
    none. `length` is INDEFINITE where no length is given."""
    cdef int64_t at = 1
    cdef uint64_t size = 0
    cdef int count
    if n < 2:
        return 0
    number[0] = p[0] & HIGH_TAG
    if number[0] == HIGH_TAG:
        number[0] = 0
        while True:
            if at >= n:
                return 0
            if at > 4:
                return -1
            number[0] = number[0] << 7 | p[at] & 0x7F
            at += 1
            if not p[at - 1] & 0x80:
                break
        if at >= n:
            return 0
    count = p[at]
    at += 1
    if count < 0x80:
        length[0] = count
        return at
    if count == 0x80:
        length[0] = INDEFINITE
        return at
    count &= 0x7F
    # Leading zeros are no error in BER (8.1.3.5); nobody writes many.
    if count > 8:
        return -1
    if n - at < count:
        return 0
    while count:
        if size >> 48:
            return -1
        size = size << 8 | p[at]
        at += 1
        count -= 1
    length[0] = <int64_t>size
    return at


cdef int64_t _contents(const uint8_t* p, int64_t n) noexcept nogil:
    """Bytes of contents of indefinite length without the two zeros at their end, -1 where the end
    is not found. Depth is counted, not recursed into."""
    cdef int64_t at = 0, header, length = 0
    cdef uint32_t number = 0
    cdef int depth = 1
    while n - at >= 2:
        if p[at] == 0 and p[at + 1] == 0:
            depth -= 1
            if depth == 0:
                return at
            at += 2
            continue
        header = _header(p + at, n - at, &number, &length)
        if header <= 0:
            return -1
        at += header
        if length == INDEFINITE:
            depth += 1
            if depth > DEEPEST:
                return -1
        elif length > n - at:
            return -1
        else:
            at += length
    return -1


cdef int element(Cursor* c, Element* out, bint ber) noexcept nogil:
    cdef int64_t n = left(c), header, length = 0, closing = 0
    cdef const uint8_t* p = c.at
    if n == 0:
        return NOTHING
    header = _header(p, n, &out.number, &length)
    if header <= 0:
        return BROKEN
    if length == INDEFINITE:
        if not ber or not p[0] & CONSTRUCTED:
            return BROKEN
        length = _contents(p + header, n - header)
        if length < 0:
            return BROKEN
        closing = 2
    if length > n - header:
        return BROKEN
    out.first = p[0]
    out.body = span(p + header, length, c.origin + (p - c.start) + header)
    out.whole = header + length + closing
    c.at = p + out.whole
    return FOUND


cdef int peek(const Cursor* c) noexcept nogil:
    return c.at[0] if left(c) > 0 else -1


cdef bint expect(Cursor* c, int first, Cursor* body) noexcept nogil:
    cdef Element e
    if peek(c) != first or element(c, &e, True) != FOUND:
        return False
    body[0] = e.body
    return True


cdef bint pass_over(Cursor* c) noexcept nogil:
    cdef Element e
    return element(c, &e, True) == FOUND


cdef bint integer_of(const Cursor* body, int64_t* value) noexcept nogil:
    cdef Py_ssize_t n = left(body), i
    cdef const uint8_t* p = body.at
    cdef uint64_t bits
    if n < 1:
        return False
    bits = <uint64_t>0 - <uint64_t>(p[0] >> 7)
    if n == 9 and p[0] == 0 and not p[1] & 0x80:
        p += 1
        n = 8
    if n > 8:
        return False
    for i in range(n):
        bits = bits << 8 | p[i]
    value[0] = <int64_t>bits
    return True


cdef bint expect_integer(Cursor* c, int64_t* value) noexcept nogil:
    cdef Cursor body, kept = c[0]
    cdef int first = peek(c)
    if first != INTEGER and first != ENUMERATED:
        return False
    if expect(c, first, &body) and integer_of(&body, value):
        return True
    c[0] = kept
    return False


cdef bint expect_tagged_integer(Cursor* c, int number, int64_t* value) noexcept nogil:
    cdef Cursor body, kept = c[0]
    if expect(c, CONTEXT | number, &body) and expect_integer(&body, value):
        return True
    c[0] = kept
    return False


cdef int64_t frame(const uint8_t* p, int64_t n) noexcept nogil:
    cdef int64_t length = 0, header
    cdef uint32_t number = 0
    header = _header(p, n, &number, &length)
    if header <= 0:
        return header
    if length == INDEFINITE:
        return -1
    return header + length


cdef Py_ssize_t put_oid(uint8_t* out, Py_ssize_t size, const Cursor* body) noexcept nogil:
    cdef Py_ssize_t n = 0
    cdef const uint8_t* p = body.at
    cdef uint64_t part = 0, top
    cdef bint first = True
    while p < body.end:
        part = part << 7 | p[0] & 0x7F
        p += 1
        if p[-1] & 0x80 and part >> 56 == 0:
            continue
        if size - n < 24:
            break
        if first:
            top = part // 40 if part < 80 else 2
            n += put_uint(out + n, top)
            part -= top * 40
            first = False
        out[n] = b"."
        n += 1 + put_uint(out + n + 1, part)
        part = 0
    return n


cdef inline int _two(const uint8_t* p) noexcept nogil:
    """Two decimal digits; -1 where they are none."""
    if p[0] < 48 or p[0] > 57 or p[1] < 48 or p[1] > 57:
        return -1
    return (p[0] - 48) * 10 + p[1] - 48


cdef bint time_of(const Cursor* body, int64_t* microseconds) noexcept nogil:
    cdef const uint8_t* p = body.at
    cdef int[7] part
    cdef int i
    cdef int64_t fraction = 0, unit = 100000
    if left(body) < 15:
        return False
    for i in range(7):
        part[i] = _two(p + 2 * i)
        if part[i] < 0:
            return False
    if not (1 <= part[2] <= 12 and 1 <= part[3] <= 31 and part[4] < 24 and part[5] < 60
            and part[6] <= 60):
        return False
    p += 14
    if p[0] == b".":
        p += 1
        while p < body.end and 48 <= p[0] <= 57:
            fraction += (p[0] - 48) * unit
            unit //= 10
            p += 1
    if p >= body.end or p[0] != b"Z":
        return False
    microseconds[0] = (
        (days_from_civil(part[0] * 100 + part[1], part[2], part[3]) * 24 + part[4]) * 3600
        + part[5] * 60 + part[6]
    ) * 1000000 + fraction
    return True
