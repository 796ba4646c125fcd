"""Times as programs write them for people (see written_time.pxd).

    2019-05-10T11:37:47.123+02:00   2019-05-10 11:37:47 UTC    2019/05/10 11:37:47    20190510113747
    10/May/2019:11:37:47 +0200      10 May 2019 11:37:47       Fri, 10 May 2019 11:37:47 GMT
    May 10 2019 11:37:47.123 PDT    May 10, 2019, 11:37:47 AM  Fri May 10 11:37:47 2019
    May 10, 2019 @ 11:37:47.123     5/10/2019 11:37:47 AM      10.05.2019 11:37
    2019-05-10 11:37:47.123 +0000 UTC
    1557488267.123                  seconds, milli-, micro- or nanoseconds since 1970, by their size

A date of three numbers with the year behind is of the order that is asked for; unsaid it is the
only one that it can be, month first beside AM or PM, and day first with dots. Otherwise it is none:
to guess would be to change it.
"""

from tracelake.native.text cimport days_from_civil, parse_iso_time
from tracelake.parsers.since_epoch cimport parse_epoch
from tracelake.parsers.textlines cimport digit, fraction_at, month_has, month_of

from tracelake.parsers.since_epoch import UNITS

cdef int BY_SIZE = UNITS[""]

cdef enum:
    LONGEST = 64


cdef struct Read:
    const uint8_t* p
    const uint8_t* end


cdef inline void _skip(Read* at) noexcept nogil:
    """Blanks, commas, `@` and `at` between date and time."""
    while at.p < at.end and (at.p[0] == 32 or at.p[0] == 44 or at.p[0] == 9 or at.p[0] == 64):
        at.p += 1
    # UTF-8's narrow no-break space, which newer systems write before AM.
    if at.end - at.p >= 3 and at.p[0] == 0xE2 and at.p[1] == 0x80 and at.p[2] == 0xAF:
        at.p += 3
        _skip(at)


cdef inline bint _letter(uint8_t c) noexcept nogil:
    return 97 <= (c | 32) <= 122


cdef int _number(Read* at, int most) noexcept nogil:
    """Up to `most` digits; -1: none stands there, or more."""
    cdef int value = 0, digits = 0
    while at.p < at.end and digit(at.p[0]):
        if digits == most:
            return -1
        value = value * 10 + at.p[0] - 48
        digits += 1
        at.p += 1
    return value if digits else -1


cdef int _month_name(Read* at) noexcept nogil:
    """The month whose name, whole or its first three letters, stands there; 0: none."""
    cdef int month = 0, letters = 0
    while at.p + letters < at.end and _letter(at.p[letters]):
        letters += 1
    if letters < 3 or letters > 9:
        return 0
    month = month_of(at.p)
    if month:
        at.p += letters
        if at.p < at.end and at.p[0] == 46:
            at.p += 1
    return month


cdef bint _is(const Read* at, const char* word, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    if at.end - at.p < n:
        return False
    for i in range(n):
        if (at.p[i] | 32) != <uint8_t>word[i]:
            return False
    return at.p + n == at.end or not _letter(at.p[n])


cdef bint _starts(const Read* at, const char* word) noexcept nogil:
    """Whether three letters stand there, in any case."""
    return (
        (at.p[0] | 32) == <uint8_t>word[0] and (at.p[1] | 32) == <uint8_t>word[1]
        and (at.p[2] | 32) == <uint8_t>word[2]
    )


cdef int _weekday(Read* at) noexcept nogil:
    """Passes over the name of a day of the week."""
    cdef int letters = 0
    cdef const uint8_t* p = at.p
    while p + letters < at.end and _letter(p[letters]):
        letters += 1
    if letters < 3 or letters > 9:
        return 0
    if (
        _starts(at, b"mon") or _starts(at, b"tue") or _starts(at, b"wed") or _starts(at, b"thu")
        or _starts(at, b"fri") or _starts(at, b"sat") or _starts(at, b"sun")
    ):
        at.p += letters
        _skip(at)
        return 1
    return 0


cdef struct Clock:
    int64_t seconds             # of the day
    int64_t us
    int ns


cdef bint _clock(Read* at, Clock* clock) noexcept nogil:
    """hh:mm[:ss[.fff]] [AM|PM]"""
    cdef int hour = _number(at, 2), minute, second = 0
    clock.us = 0
    clock.ns = 0
    if hour < 0 or at.p >= at.end or at.p[0] != 58:
        return False
    at.p += 1
    minute = _number(at, 2)
    if minute < 0 or minute > 59:
        return False
    if at.p < at.end and at.p[0] == 58:
        at.p += 1
        second = _number(at, 2)
        if second < 0 or second > 60:
            return False
        # A colon before the fraction: some write hh:mm:ss:mmm.
        if at.p + 3 < at.end and at.p[0] == 58 and digit(at.p[1]) and digit(at.p[2]) and digit(at.p[3]):
            at.p += 1
            clock.us = _number(at, 3) * 1000
        else:
            at.p += fraction_at(at.p, at.end, &clock.us, &clock.ns)
    _skip(at)
    if _is(at, b"am", 2) or _is(at, b"pm", 2):
        if hour < 1 or hour > 12:
            return False
        hour = hour % 12 + (12 if (at.p[0] | 32) == 112 else 0)
        at.p += 2
    if hour > 23:
        return False
    clock.seconds = hour * 3600 + minute * 60 + second
    return True


cdef bint _half_day(const Read* at) noexcept nogil:
    """Whether AM or PM stands somewhere behind."""
    cdef const uint8_t* p = at.p
    while p + 1 < at.end:
        if (p[1] | 32) == 109 and ((p[0] | 32) == 97 or (p[0] | 32) == 112) and (
            p + 2 == at.end or not _letter(p[2])
        ):
            return True
        p += 1
    return False


cdef int _zone(Read* at, int64_t* minutes) noexcept nogil:
    """1: a zone, 2: none, or one that says nothing, 0: something else."""
    cdef int sign, hours, rest = 0, letters = 0
    cdef const uint8_t* p
    minutes[0] = 0
    _skip(at)
    if at.p == at.end:
        return 2
    if (at.p[0] | 32) == 122 and at.p + 1 == at.end:
        return 1
    if at.p[0] == 40:
        at.p += 1                       # "(CEST)"
    if at.end - at.p >= 3 and (_starts(at, b"utc") or _starts(at, b"gmt")):
        at.p += 3
        if at.p == at.end or at.p[0] == 41:
            return 1
    if at.p[0] == 43 or at.p[0] == 45:
        sign = 1 if at.p[0] == 43 else -1
        p = at.p + 1
        at.p += 1
        hours = _number(at, 4)
        if hours < 0:
            return 0
        if at.p - p > 2:
            rest = hours % 100
            hours //= 100
        elif at.p < at.end and at.p[0] == 58:
            at.p += 1
            rest = _number(at, 2)
        if hours > 15 or rest < 0 or rest > 59:
            return 0
        minutes[0] = sign * (hours * 60 + rest)
        _skip(at)
        # A name may follow the number: "+0200 (CEST)", "+0000 UTC" (Go).
        p = at.p
        while p < at.end and _letter(p[0]):
            p += 1
        return 1 if p == at.end or at.p[0] == 40 else 0
    hours = -1
    if _is(at, b"edt", 3):
        hours = -4
    elif _is(at, b"est", 3) or _is(at, b"cdt", 3):
        hours = -5
    elif _is(at, b"mdt", 3):
        hours = -6
    elif _is(at, b"mst", 3) or _is(at, b"pdt", 3):
        hours = -7
    elif _is(at, b"pst", 3):
        hours = -8
    elif _is(at, b"cet", 3):
        hours = 1
    elif _is(at, b"cest", 4) or _is(at, b"eet", 3):
        hours = 2
    elif _is(at, b"eest", 4) or _is(at, b"msk", 3):
        hours = 3
    elif _is(at, b"jst", 3) or _is(at, b"kst", 3):
        hours = 9
    if hours != -1:
        minutes[0] = hours * 60
        return 1
    # Names that several zones have (IST, CST, BST) or that nobody knows: the zone is not said.
    p = at.p
    while p < at.end and (_letter(p[0]) or p[0] == 47 or p[0] == 95 or p[0] == 41):
        p += 1
        letters += 1
    return 2 if p == at.end and letters else 0


cdef bint _numbers(Read* at, Order order, int64_t* year, int* month, int* day) noexcept nogil:
    """A date of three numbers."""
    cdef const uint8_t* start = at.p
    cdef int a = _number(at, 4), b, c, digits = <int>(at.p - start)
    cdef uint8_t between
    if a < 0 or at.p >= at.end:
        return False
    between = at.p[0]
    if between != 47 and between != 45 and between != 46:
        return False
    at.p += 1
    if at.p < at.end and _letter(at.p[0]):
        # 10/May/2019
        month[0] = _month_name(at)
        if digits > 2 or month[0] == 0 or at.p >= at.end or at.p[0] != between:
            return False
        at.p += 1
        day[0] = a
        start = at.p
        c = _number(at, 4)
        year[0] = _year(c, <int>(at.p - start))
        return year[0] > 0
    b = _number(at, 2)
    if b < 0 or at.p >= at.end or at.p[0] != between:
        return False
    at.p += 1
    start = at.p
    c = _number(at, 4)
    if c < 0:
        return False
    if digits == 4:
        year[0] = a
        month[0] = b
        day[0] = c
        return at.p - start <= 2
    year[0] = _year(c, <int>(at.p - start))
    if year[0] <= 0 or digits > 2:
        return False
    if order == UNSAID:
        if between == 46:
            order = DAY_FIRST
        elif a > 12 or a == b:
            order = DAY_FIRST
        elif b > 12 or _half_day(at):
            order = MONTH_FIRST
        else:
            return False
    month[0] = a if order == MONTH_FIRST else b
    day[0] = b if order == MONTH_FIRST else a
    return True


cdef int _year(int value, int digits) noexcept nogil:
    """A year of four digits, or of two: 1970 to 2069; 0: none."""
    if digits == 4:
        return value
    if digits == 2:
        return value + (1900 if value >= 70 else 2000)
    return 0


cdef int parse_written(
    const uint8_t* p, Py_ssize_t n, Order order, int64_t* us, int* below
) noexcept nogil:
    cdef Read at, word
    cdef Clock clock
    cdef int64_t year = 0, minutes = 0
    cdef int month = 0, day = 0, kind
    cdef const uint8_t* start
    while n and (p[n - 1] == 32 or p[n - 1] == 34 or p[n - 1] == 93):
        n -= 1
    while n and (p[0] == 32 or p[0] == 34 or p[0] == 91):
        p += 1
        n -= 1
    if n < 8 or n > LONGEST:
        return 0
    kind = parse_iso_time(p, n, us, below)
    if kind:
        return kind
    at.p = p
    at.end = p + n
    if _all_digits(p, n):
        if n == 14 and 49 <= p[0] <= 50 and (p[1] == 57 or p[1] == 48):
            return _packed(p, us, below)
        return 1 if parse_epoch(p, n, BY_SIZE, us, below) else 0
    if _letter(p[0]):
        _weekday(&at)
        if at.p >= at.end:
            return 0
    if _letter(at.p[0]):
        # May 10 2019 11:37:47, May 10 11:37:47 2019
        month = _month_name(&at)
        _skip(&at)
        day = _number(&at, 2)
        if month == 0 or day < 0:
            return 0
        _skip(&at)
        start = at.p
        year = _number(&at, 4)
        if at.p - start == 4 and (at.p == at.end or at.p[0] != 58):
            _skip(&at)
            if not _clock(&at, &clock):
                return 0
        else:
            at.p = start
            if not _clock(&at, &clock):
                return 0
            _skip(&at)
            word = at
            while at.p < at.end and _letter(at.p[0]):
                at.p += 1                   # Fri May 10 11:37:47 CEST 2019
            word.end = at.p
            _skip(&at)
            start = at.p
            year = _number(&at, 4)
            if at.p - start != 4 or (word.p < word.end and at.p < at.end):
                return 0
            if word.p < word.end:
                at = word
    else:
        start = at.p
        day = _number(&at, 2)
        if day >= 0 and at.p < at.end and at.p[0] == 32:
            # 10 May 2019 11:37:47
            _skip(&at)
            month = _month_name(&at)
            _skip(&at)
            year = _number(&at, 4)
            if month == 0 or year < 1000:
                return 0
        else:
            at.p = start
            if not _numbers(&at, order, &year, &month, &day):
                return 0
        if at.p < at.end and (at.p[0] == 58 or (at.p[0] | 32) == 116 or at.p[0] == 45):
            at.p += 1
        _skip(&at)
        if not _clock(&at, &clock):
            return 0
    if not month_has(year, month, day) or year < 1:
        return 0
    kind = _zone(&at, &minutes)
    if kind == 0:
        return 0
    us[0] = 1000000 * (
        days_from_civil(year, month, day) * 86400 + clock.seconds - 60 * minutes
    ) + clock.us
    below[0] = clock.ns
    return kind


cdef bint _all_digits(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef int dots = 0
    for i in range(n):
        if p[i] == 46 and dots == 0:
            dots = 1
        elif not digit(p[i]):
            return False
    return True


cdef int _packed(const uint8_t* p, int64_t* us, int* below) noexcept nogil:
    """yyyymmddhhmmss"""
    cdef int[7] v
    cdef int i
    for i in range(7):
        v[i] = 10 * (p[2 * i] - 48) + p[2 * i + 1] - 48
    if not month_has(v[0] * 100 + v[1], v[2], v[3]) or v[4] > 23 or v[5] > 59 or v[6] > 60:
        return 0
    us[0] = 1000000 * (
        days_from_civil(v[0] * 100 + v[1], v[2], v[3]) * 86400 + v[4] * 3600 + v[5] * 60 + v[6]
    )
    below[0] = 0
    return 2


def written_time(str text, str order=""):
    """(microseconds since 1970 UTC, nanoseconds below, whether the zone is said), or None.

    Args:
        order: "mdy" or "dmy" of dates of three numbers, else what can be told.
    """
    cdef bytes given = text.encode()
    cdef int64_t us = 0
    cdef int below = 0
    cdef Order how = MONTH_FIRST if order == "mdy" else DAY_FIRST if order == "dmy" else UNSAID
    cdef int kind = parse_written(
        <const uint8_t*><const char*>given, len(given), how, &us, &below
    )
    return (us, below, kind == 1) if kind else None
