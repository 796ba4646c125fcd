"""Text: UTF-8 check and repair, UTF-16 decoding, numbers and addresses as text (see text.pxd)."""

from libc.string cimport memcpy, memset

from tracelake.native.cursor cimport be16


cdef const char* DIGITS = "0123456789abcdef"
# 00 to 99
cdef const char* PAIRS = (
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899"
)


cdef inline bint _ascii8(const uint8_t* p) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, p, 8)
    return (word & 0x8080808080808080ULL) == 0


cdef Py_ssize_t _sequence(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """Length of the well-formed sequence at `p` (n >= 1); minus the length of the maximal
    ill-formed part where it is not well-formed (Unicode 15, tables 3-7 and 3-8)."""
    cdef uint8_t lead = p[0], low = 0x80, high = 0xBF
    cdef Py_ssize_t need, i
    if lead < 0x80:
        return 1
    if lead < 0xC2 or lead > 0xF4:
        return -1
    if lead < 0xE0:
        need = 2
    elif lead < 0xF0:
        need = 3
        if lead == 0xE0:
            low = 0xA0
        elif lead == 0xED:
            high = 0x9F
    else:
        need = 4
        if lead == 0xF0:
            low = 0x90
        elif lead == 0xF4:
            high = 0x8F
    for i in range(1, need):
        if i >= n or p[i] < low or p[i] > high:
            return -i
        low = 0x80
        high = 0xBF
    return need


cdef Py_ssize_t utf8_valid(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i = 0, step
    while i < n:
        # Eight bytes at a time costs nothing measurable where text is ASCII.
        while i + 8 <= n and _ascii8(p + i):
            i += 8
        if i >= n:
            break
        step = _sequence(p + i, n - i)
        if step < 0:
            return i
        i += step
    return n


cdef Py_ssize_t utf8_repair(const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil:
    cdef Py_ssize_t i = 0, o = 0, step
    while i < n:
        step = _sequence(p + i, n - i)
        if step > 0:
            memcpy(out + o, p + i, step)
            i += step
            o += step
        else:
            out[o] = 0xEF
            out[o + 1] = 0xBF
            out[o + 2] = 0xBD
            o += 3
            i -= step
    return o


cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <string.h>
    #if defined(__SSE2__)
    #include <emmintrin.h>
    /* Eight units at `p` to eight bytes; 0 where one is no ASCII. */
    static inline int tl_ascii8(const uint8_t *p, uint8_t *out) {
        const __m128i units = _mm_loadu_si128((const __m128i *)p);
        const __m128i high = _mm_and_si128(units, _mm_set1_epi16((short)0xFF80));
        if (_mm_movemask_epi8(_mm_cmpeq_epi16(high, _mm_setzero_si128())) != 0xFFFF) return 0;
        _mm_storel_epi64((__m128i *)out, _mm_packus_epi16(units, units));
        return 1;
    }
    #else
    static inline int tl_ascii8(const uint8_t *p, uint8_t *out) {
        uint64_t a, b;
        int i;
        memcpy(&a, p, 8);
        memcpy(&b, p + 8, 8);
        if ((a | b) & 0xFF80FF80FF80FF80ULL) return 0;
        for (i = 0; i < 8; i++) out[i] = p[2 * i];
        return 1;
    }
    #endif

    /* How many of the units at `p` are ASCII, as far as one that is not (or, near the end, up to
       seven before it): these are in `out`. The last eight are taken once more where fewer than
       eight are left: one by one they cost as much as all before. */
    static inline Py_ssize_t tl_ascii_units(const uint8_t *p, Py_ssize_t units, uint8_t *out) {
        Py_ssize_t i = 0;
        while (i + 8 <= units && tl_ascii8(p + 2 * i, out + i)) i += 8;
        if (i >= 8 && i < units && units - i < 8
            && tl_ascii8(p + 2 * (units - 8), out + units - 8)) return units;
        return i;
    }
    """
    Py_ssize_t ascii_units "tl_ascii_units"(
        const uint8_t* p, Py_ssize_t units, uint8_t* out
    )


cdef Py_ssize_t utf16le_utf8(
    const uint8_t* p, Py_ssize_t units, uint8_t* out, int* repaired
) noexcept nogil:
    cdef Py_ssize_t i = 0, o = 0, ascii
    cdef uint32_t c, d
    while i < units:
        ascii = ascii_units(p + 2 * i, units - i, out + o)
        i += ascii
        o += ascii
        if i >= units:
            break
        c = p[2 * i] | (<uint32_t>p[2 * i + 1] << 8)
        i += 1
        if c < 0x80:
            out[o] = <uint8_t>c
            o += 1
            continue
        if c < 0x800:
            out[o] = <uint8_t>(0xC0 | (c >> 6))
            out[o + 1] = <uint8_t>(0x80 | (c & 0x3F))
            o += 2
            continue
        if c >= 0xD800 and c < 0xE000:
            if c < 0xDC00 and i < units:
                d = p[2 * i] | (<uint32_t>p[2 * i + 1] << 8)
                if d >= 0xDC00 and d < 0xE000:
                    i += 1
                    c = 0x10000 + ((c - 0xD800) << 10) + (d - 0xDC00)
                    out[o] = <uint8_t>(0xF0 | (c >> 18))
                    out[o + 1] = <uint8_t>(0x80 | ((c >> 12) & 0x3F))
                    out[o + 2] = <uint8_t>(0x80 | ((c >> 6) & 0x3F))
                    out[o + 3] = <uint8_t>(0x80 | (c & 0x3F))
                    o += 4
                    continue
            c = 0xFFFD
            repaired[0] = 1
        out[o] = <uint8_t>(0xE0 | (c >> 12))
        out[o + 1] = <uint8_t>(0x80 | ((c >> 6) & 0x3F))
        out[o + 2] = <uint8_t>(0x80 | (c & 0x3F))
        o += 3
    return o


cdef Py_ssize_t put_uint(uint8_t* out, uint64_t value) noexcept nogil:
    # From the back, two digits a division.
    cdef uint8_t[20] digits
    cdef Py_ssize_t at = 20
    cdef uint64_t rest
    while value >= 100:
        rest = value // 100
        at -= 2
        memcpy(digits + at, PAIRS + 2 * (value - 100 * rest), 2)
        value = rest
    if value >= 10:
        at -= 2
        memcpy(digits + at, PAIRS + 2 * value, 2)
    else:
        at -= 1
        digits[at] = <uint8_t>(48 + value)
    memcpy(out, digits + at, 20 - at)
    return 20 - at


cdef Py_ssize_t put_int(uint8_t* out, int64_t value) noexcept nogil:
    if value < 0:
        out[0] = 45  # -
        return 1 + put_uint(out + 1, <uint64_t>0 - <uint64_t>value)
    return put_uint(out, <uint64_t>value)


cdef Py_ssize_t put_hex(uint8_t* out, uint64_t value) noexcept nogil:
    cdef int shift = 60
    cdef Py_ssize_t n = 2
    while shift > 0 and not (value >> shift):
        shift -= 4
    out[0] = 48  # 0
    out[1] = 120  # x
    while shift >= 0:
        out[n] = DIGITS[(value >> shift) & 15]
        n += 1
        shift -= 4
    return n


cdef Py_ssize_t put_hex_bytes(uint8_t* out, const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        out[2 * i] = DIGITS[p[i] >> 4]
        out[2 * i + 1] = DIGITS[p[i] & 15]
    return 2 * n


cdef inline Py_ssize_t _octet(uint8_t* out, uint8_t value) noexcept nogil:
    if value >= 100:
        out[0] = 48 + value // 100
        out[1] = 48 + (value // 10) % 10
        out[2] = 48 + value % 10
        return 3
    if value >= 10:
        out[0] = 48 + value // 10
        out[1] = 48 + value % 10
        return 2
    out[0] = 48 + value
    return 1


cdef Py_ssize_t put_ipv4(uint8_t* out, const uint8_t* p) noexcept nogil:
    cdef Py_ssize_t n = _octet(out, p[0])
    cdef int i
    for i in range(1, 4):
        out[n] = 46  # .
        n += 1
        n += _octet(out + n, p[i])
    return n


cdef Py_ssize_t put_ipv6(uint8_t* out, const uint8_t* p) noexcept nogil:
    # RFC 5952: the longest run of at least two zero groups becomes "::", the first of equals;
    # IPv4-mapped addresses keep their dotted tail.
    cdef int best = -1, best_run = 1, start = -1, i, run, shift
    cdef uint32_t group
    cdef bint mapped = True
    cdef Py_ssize_t n = 0
    for i in range(10):
        if p[i]:
            mapped = False
            break
    if mapped and p[10] == 0xFF and p[11] == 0xFF:
        memcpy(out, <const char*>"::ffff:", 7)
        return 7 + put_ipv4(out + 7, p + 12)
    for i in range(8):
        if be16(p + 2 * i) == 0:
            if start < 0:
                start = i
            run = i - start + 1
            if run > best_run:
                best = start
                best_run = run
        else:
            start = -1
    i = 0
    while i < 8:
        if i == best:
            out[n] = 58  # :
            out[n + 1] = 58
            n += 2
            i += best_run
            continue
        if i and i != best + best_run:
            out[n] = 58
            n += 1
        elif i and best < 0:
            out[n] = 58
            n += 1
        group = be16(p + 2 * i)
        shift = 12
        while shift > 0 and not (group >> shift):
            shift -= 4
        while shift >= 0:
            out[n] = DIGITS[(group >> shift) & 15]
            n += 1
            shift -= 4
        i += 1
    return n


cdef Py_ssize_t put_mac(uint8_t* out, const uint8_t* p) noexcept nogil:
    cdef int i
    for i in range(6):
        if i:
            out[3 * i - 1] = 58
        out[3 * i] = DIGITS[p[i] >> 4]
        out[3 * i + 1] = DIGITS[p[i] & 15]
    return 17


cdef int64_t days_from_civil(int64_t year, int month, int day) noexcept nogil:
    # Years begin in March and come in eras of 400; division floors, as Python's does.
    cdef int64_t y = year - 1 if month <= 2 else year
    cdef int64_t era = y // 400
    cdef int64_t yoe = y - era * 400
    cdef int64_t doy = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return era * 146097 + yoe * 365 + yoe // 4 - yoe // 100 + doy - 719468


cdef inline int _number(const uint8_t* p, int n) noexcept nogil:
    cdef int value = 0, i
    for i in range(n):
        if p[i] < 48 or p[i] > 57:
            return -1
        value = value * 10 + (p[i] - 48)
    return value


cdef inline int _month_length(int year, int month) noexcept nogil:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31


cdef int parse_iso_time(const uint8_t* p, Py_ssize_t n, int64_t* us, int* below_ns) noexcept nogil:
    cdef int year, month, day, hour, minute, second, zone_hour, zone_minute
    cdef int fraction = 0, digits = 0
    cdef int64_t seconds
    cdef Py_ssize_t i = 19
    if n < 19 or p[4] != 45 or p[7] != 45 or (p[10] != 84 and p[10] != 32):
        return 0
    if p[13] != 58 or p[16] != 58:
        return 0
    year = _number(p, 4)
    month = _number(p + 5, 2)
    day = _number(p + 8, 2)
    hour = _number(p + 11, 2)
    minute = _number(p + 14, 2)
    second = _number(p + 17, 2)
    if year < 1 or month < 1 or month > 12 or day < 1 or day > _month_length(year, month):
        return 0
    if hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 60:
        return 0
    if i < n and (p[i] == 46 or p[i] == 44):
        i += 1
        while i < n and 48 <= p[i] <= 57:
            if digits < 9:
                fraction = fraction * 10 + (p[i] - 48)
                digits += 1
            i += 1
        if digits == 0:
            return 0
        while digits < 9:
            fraction *= 10
            digits += 1
    seconds = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
    us[0] = seconds * 1000000 + fraction // 1000
    below_ns[0] = fraction % 1000
    if i == n:
        return 2
    if i + 1 == n and (p[i] == 90 or p[i] == 122):
        return 1
    if i + 6 == n and p[i + 3] == 58:
        zone_minute = _number(p + i + 4, 2)
    elif i + 5 == n:
        zone_minute = _number(p + i + 3, 2)
    else:
        return 0
    zone_hour = _number(p + i + 1, 2)
    if zone_hour < 0 or zone_hour > 23 or zone_minute < 0 or zone_minute > 59:
        return 0
    seconds = zone_hour * 3600 + zone_minute * 60
    if p[i] == 43:
        us[0] -= seconds * 1000000
    elif p[i] == 45:
        us[0] += seconds * 1000000
    else:
        return 0
    return 1


cdef inline void _padded(uint8_t* out, int64_t value, int n) noexcept nogil:
    while n:
        n -= 1
        out[n] = <uint8_t>(48 + value % 10)
        value //= 10


cdef Py_ssize_t put_iso_time(uint8_t* out, int64_t us, int below_ns) noexcept nogil:
    cdef int64_t seconds = us // 1000000, rest = us % 1000000
    cdef int64_t days, clock, z, era, doe, yoe, doy, mp, year, month, day
    # Division here floors, as Python's does, so times before 1970 need no care.
    days = seconds // 86400
    clock = seconds % 86400
    z = days + 719468
    era = z // 146097
    doe = z - era * 146097
    yoe = (doe - doe // 1460 + doe // 36524 - doe // 146096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    mp = (5 * doy + 2) // 153
    day = doy - (153 * mp + 2) // 5 + 1
    month = mp + 3 if mp < 10 else mp - 9
    year = yoe + era * 400 + (1 if month <= 2 else 0)
    # A signed or five-digit year has no fixed width; evidence beyond that is a broken clock.
    if year < 0:
        year = 0
    elif year > 9999:
        year = 9999
    _padded(out, year, 4)
    out[4] = 45
    _padded(out + 5, month, 2)
    out[7] = 45
    _padded(out + 8, day, 2)
    out[10] = 84
    _padded(out + 11, clock // 3600, 2)
    out[13] = 58
    _padded(out + 14, clock // 60 % 60, 2)
    out[16] = 58
    _padded(out + 17, clock % 60, 2)
    out[19] = 46
    _padded(out + 20, rest * 10 + below_ns // 100, 7)
    out[27] = 90
    return 28


def check_utf8(bytes data):
    """Index of the first ill-formed byte of `data`, or its length."""
    return utf8_valid(<const uint8_t*><const char*>data, len(data))


def repair_utf8(bytes data):
    """`data` with each maximal ill-formed part replaced by U+FFFD, as bytes."""
    out = bytearray(3 * len(data) + 1)
    cdef uint8_t[::1] view = out
    cdef Py_ssize_t n = utf8_repair(<const uint8_t*><const char*>data, len(data), &view[0])
    return bytes(view[:n])


def decode_utf16(bytes data):
    """(UTF-8 bytes, whether an unpaired surrogate was replaced) of UTF-16LE `data`."""
    out = bytearray(3 * len(data) + 1)
    cdef uint8_t[::1] view = out
    cdef int repaired = 0
    cdef Py_ssize_t n = utf16le_utf8(
        <const uint8_t*><const char*>data, len(data) // 2, &view[0], &repaired
    )
    return bytes(view[:n]), bool(repaired)


def render(str kind, value):
    """`value` as text: kind is int, uint, hex, ipv4, ipv6, mac or time (us, below_ns)."""
    cdef bytes raw = value if isinstance(value, bytes) else b""
    cdef uint8_t[64] out
    cdef Py_ssize_t n
    if kind == "int":
        n = put_int(out, value)
    elif kind == "uint":
        n = put_uint(out, value)
    elif kind == "hex":
        n = put_hex(out, value)
    elif kind == "time":
        n = put_iso_time(out, value[0], value[1])
    else:
        sizes = {"ipv4": 4, "ipv6": 16, "mac": 6}
        if kind not in sizes or len(raw) != sizes[kind]:
            raise ValueError(f"cannot render {value!r} as {kind}")
        if kind == "ipv4":
            n = put_ipv4(out, <const uint8_t*><const char*>raw)
        elif kind == "ipv6":
            n = put_ipv6(out, <const uint8_t*><const char*>raw)
        else:
            n = put_mac(out, <const uint8_t*><const char*>raw)
    return (<const char*>out)[:n].decode("ascii")


def parse_time(bytes data):
    """(microseconds since 1970 UTC, nanoseconds below, has a zone) of an ISO time, or None."""
    cdef int64_t us = 0
    cdef int below = 0
    cdef int kind = parse_iso_time(<const uint8_t*><const char*>data, len(data), &us, &below)
    return None if kind == 0 else (us, below, kind == 1)
