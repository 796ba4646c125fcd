"""Typed values of an event and their text (see values.pxd).

Renderings are those of Windows' own XML (EvtRender), except that a GUID is always shown in
lower case (Windows does either, by version and manifest) and a time with seven digits (older
versions write nine, the last two always 0).
"""

from libc.stdio cimport snprintf
from libc.stdlib cimport strtod, strtof
from libc.string cimport memcpy

from tracelake.native.cursor cimport le16, le32
from tracelake.native.text cimport (
    days_from_civil, put_hex, put_int, put_ipv4, put_ipv6, put_iso_time, put_uint, utf16le_utf8,
    utf8_repair, utf8_valid,
)

cdef extern from "arpa/inet.h" nogil:
    enum: AF_INET
    enum: AF_INET6
    int inet_pton(int family, const char* text, void* out)

cdef const char* UPPER = "0123456789ABCDEF"
cdef const char* LOWER = "0123456789abcdef"
cdef int64_t EPOCH_1601 = 11644473600000000     # microseconds from 1601 to 1970
# What begins here is no time for Python, nor for most that read the tables: `value_time` says so.
cdef int64_t YEAR_10000 = 253402300800000000


cdef bint is_unset(const Value* v) noexcept nogil:
    if v.kind == TEXT or v.kind == TEXT_VALID:
        return v.n == 0 or (v.n == 1 and v.p[0] == 45)
    if v.kind == UTF16:
        return v.n == 0 or (v.n == 1 and v.p[0] == 45 and v.p[1] == 0)
    # Whatever its type, a value of no bytes has no text.
    if v.kind == BINARY or v.kind == GUID or v.kind == SID or v.kind == SYSTEMTIME:
        return v.n == 0
    return v.kind == NOTHING


cdef Py_ssize_t room_for(const Value* v) noexcept nogil:
    if v.kind == TEXT or v.kind == UTF16:
        return 3 * v.n
    if v.kind == TEXT_VALID:
        return v.n
    if v.kind == BINARY:
        return 2 * v.n
    if v.kind == SID:
        return 256 if v.n <= 68 else 2 * v.n
    # A GUID or SYSTEMTIME of another size than 16 is shown as its bytes; numbers have n = 0.
    return 64 if v.n <= 32 else 2 * v.n


cdef Py_ssize_t _put_upper_hex(uint8_t* out, const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        out[2 * i] = UPPER[p[i] >> 4]
        out[2 * i + 1] = UPPER[p[i] & 15]
    return 2 * n


# Where the digits of a GUID's byte stand in its text: the first three groups are little-endian
# numbers, the last two plain bytes.
cdef uint8_t[16] PLACES = [7, 5, 3, 1, 12, 10, 17, 15, 20, 22, 25, 27, 29, 31, 33, 35]


cdef Py_ssize_t _put_guid(uint8_t* out, const uint8_t* p) noexcept nogil:
    cdef int i
    memcpy(out, <const char*>"{________-____-____-____-____________}", 38)
    for i in range(16):
        out[PLACES[i]] = LOWER[p[i] >> 4]
        out[PLACES[i] + 1] = LOWER[p[i] & 15]
    return 38


cdef Py_ssize_t _put_sid(uint8_t* out, const uint8_t* p, Py_ssize_t n) noexcept nogil:
    # [MS-DTYP] 2.4.2.2: revision, count, 6-byte big-endian authority, count * uint32. What does
    # not have that form is shown as its bytes.
    cdef Py_ssize_t o, i
    cdef uint64_t authority = 0
    if n < 8 or p[1] > 15 or n != 8 + 4 * <Py_ssize_t>p[1]:
        return _put_upper_hex(out, p, n)
    memcpy(out, <const char*>"S-", 2)
    o = 2 + put_uint(out + 2, p[0])
    out[o] = 45
    o += 1
    for i in range(6):
        authority = (authority << 8) | p[2 + i]
    # [MS-DTYP] 2.4.2.1: twelve hexadecimal digits where it does not fit 32 bits.
    if authority >> 32:
        memcpy(out + o, <const char*>"0x", 2)
        for i in range(12):
            out[o + 2 + i] = b"0123456789abcdef"[(authority >> (44 - 4 * i)) & 15]
        o += 14
    else:
        o += put_uint(out + o, authority)
    for i in range(p[1]):
        out[o] = 45
        o += 1
        o += put_uint(out + o, le32(p + 8 + 4 * i))
    return o


cdef Py_ssize_t _put_double(uint8_t* out, double value) noexcept nogil:
    cdef int digits
    cdef Py_ssize_t n = 0
    for digits in range(15, 18):
        n = snprintf(<char*>out, 64, "%.*g", digits, value)
        if strtod(<const char*>out, NULL) == value:
            break
    return n


cdef Py_ssize_t _put_float(uint8_t* out, float value) noexcept nogil:
    cdef int digits
    cdef Py_ssize_t n = 0
    for digits in range(6, 10):
        n = snprintf(<char*>out, 64, "%.*g", digits, <double>value)
        if strtof(<const char*>out, NULL) == value:
            break
    return n


cdef Py_ssize_t render(const Value* v, uint8_t* out, int* repaired) noexcept nogil:
    cdef int64_t us = 0
    cdef int below = 0
    cdef Py_ssize_t n
    cdef float single
    cdef double real
    cdef uint64_t bits = v.number
    if v.kind == TEXT or v.kind == TEXT_VALID:
        if v.kind == TEXT and utf8_valid(v.p, v.n) != v.n:
            repaired[0] = 1
            return utf8_repair(v.p, v.n, out)
        memcpy(out, v.p, v.n)
        return v.n
    if v.kind == UTF16:
        return utf16le_utf8(v.p, v.n, out, repaired)
    if v.kind == INT:
        return put_int(out, <int64_t>v.number)
    if v.kind == UINT:
        return put_uint(out, v.number)
    if v.kind == HEX32 or v.kind == HEX64:
        return put_hex(out, v.number)
    if v.kind == BOOL:
        if v.number:
            memcpy(out, <const char*>"true", 4)
            return 4
        memcpy(out, <const char*>"false", 5)
        return 5
    if v.kind == FLOAT:
        memcpy(&single, &bits, 4)
        return _put_float(out, single)
    if v.kind == DOUBLE:
        memcpy(&real, &bits, 8)
        return _put_double(out, real)
    if v.kind == GUID and v.n == 16:
        return _put_guid(out, v.p)
    if v.kind == SID:
        return _put_sid(out, v.p, v.n)
    if v.kind == FILETIME:
        us = <int64_t>(v.number // 10) - EPOCH_1601
        if us >= YEAR_10000:
            return put_hex(out, v.number)   # no text of a time has five digits for the year
        return put_iso_time(out, us, <int>(v.number % 10) * 100)
    if v.kind == SYSTEMTIME and value_time(v, &us, &below):
        n = put_iso_time(out, us, below)
        out[n - 5] = 90                     # Z: Windows writes milliseconds, and no more
        return n - 4
    return _put_upper_hex(out, v.p, v.n)


cdef bint value_time(const Value* v, int64_t* us, int* below_ns) noexcept nogil:
    cdef int year, month, day
    cdef const uint8_t* p = v.p
    if v.kind == FILETIME:
        if v.number == 0:
            return False
        us[0] = <int64_t>(v.number // 10) - EPOCH_1601
        below_ns[0] = <int>(v.number % 10) * 100
        return us[0] < YEAR_10000
    if v.kind != SYSTEMTIME or v.n != 16:
        return False
    year = le16(p)
    month = le16(p + 2)
    day = le16(p + 6)
    if year < 1601 or year > 30827 or month < 1 or month > 12 or day < 1 or day > 31:
        return False
    if le16(p + 8) > 23 or le16(p + 10) > 59 or le16(p + 12) > 59 or le16(p + 14) > 999:
        return False
    us[0] = (
        days_from_civil(year, month, day) * 86400 + le16(p + 8) * 3600 + le16(p + 10) * 60
        + le16(p + 12)
    ) * 1000000 + le16(p + 14) * 1000
    below_ns[0] = 0
    return us[0] < YEAR_10000


cdef int parse_number(const uint8_t* p, Py_ssize_t n, int64_t* out) noexcept nogil:
    cdef uint64_t value = 0
    cdef Py_ssize_t i = 0
    cdef bint negative = False
    cdef uint8_t c
    if n > 2 and p[0] == 48 and (p[1] | 32) == 120:
        if n > 18:
            return 0
        for i in range(2, n):
            c = p[i]
            if 48 <= c <= 57:
                c -= 48
            elif 97 <= (c | 32) <= 102:
                c = (c | 32) - 87
            else:
                return 0
            value = (value << 4) | c
        out[0] = <int64_t>value
        return 2 if value >> 63 else 1
    if n and (p[0] == 45 or p[0] == 43):
        negative = p[0] == 45
        i = 1
    if i == n or n - i > 20:
        return 0
    while i < n:
        c = p[i]
        if c < 48 or c > 57:
            return 0
        c -= 48
        if value > (<uint64_t>0xFFFFFFFFFFFFFFFF - c) // 10:
            return 0
        value = value * 10 + c
        i += 1
    if negative:
        if value > <uint64_t>1 << 63:
            return 0
        out[0] = <int64_t>(<uint64_t>0 - value)
        return 1
    out[0] = <int64_t>value
    return 2 if value >> 63 else 1


cdef Py_ssize_t canonical_ip(const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil:
    cdef char[64] text
    cdef uint8_t[16] address
    cdef Py_ssize_t i
    cdef bint mapped = True
    if n < 2 or n > 63:
        return 0
    for i in range(n):
        if p[i] == 37:      # a zone index is about the host that wrote it
            n = i
            break
        if p[i] == 0:
            return 0
        text[i] = <char>p[i]
    text[n] = 0
    if inet_pton(AF_INET, text, address) == 1:
        return put_ipv4(out, address)
    if inet_pton(AF_INET6, text, address) != 1:
        return 0
    for i in range(10):
        if address[i]:
            mapped = False
            break
    if mapped and address[10] == 0xFF and address[11] == 0xFF:
        return put_ipv4(out, address + 12)
    return put_ipv6(out, address)


KINDS = {
    "nothing": NOTHING, "text": TEXT, "utf16": UTF16, "int": INT, "uint": UINT, "hex32": HEX32,
    "hex64": HEX64, "bool": BOOL, "float": FLOAT, "double": DOUBLE, "guid": GUID, "sid": SID,
    "filetime": FILETIME, "systemtime": SYSTEMTIME, "binary": BINARY,
}


cdef Value value_of(str kind, content) except *:
    """A Value over a Python object (bytes, or int for numbers), which must outlive it."""
    cdef Value v
    v.kind = KINDS[kind]
    v.p = NULL
    v.n = 0
    v.number = 0
    if isinstance(content, bytes):
        v.p = <const uint8_t*><const char*>content
        v.n = len(content) // 2 if kind == "utf16" else len(content)
    elif content is not None:
        v.number = <uint64_t>(content & 0xFFFFFFFFFFFFFFFF)
    return v


def rendered(str kind, content):
    """(text, whether it was repaired) of a value: kind is a key of KINDS, content its bytes,
    or an int for numbers and times (floats: their bits)."""
    cdef Value v = value_of(kind, content)
    cdef int repaired = 0
    out = bytearray(room_for(&v) + 1)
    cdef uint8_t[::1] view = out
    cdef Py_ssize_t n = render(&v, &view[0], &repaired)
    return bytes(out[:n]).decode(), bool(repaired)


def number_of(bytes text):
    """The number that a text stands for, in two's complement above 2^63, or None."""
    cdef int64_t value = 0
    return value if parse_number(<const uint8_t*><const char*>text, len(text), &value) else None


def ip_of(bytes text):
    """The canonical form of an address, or None."""
    cdef uint8_t[64] out
    cdef Py_ssize_t n = canonical_ip(<const uint8_t*><const char*>text, len(text), out)
    return (<const char*>out)[:n].decode() if n else None
