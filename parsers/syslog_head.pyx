"""The start of a line of a system log: when, from which host, which program.

    RFC 3164      [<PRI>]Mmm dd [yyyy] hh:mm:ss[.ffffff] [host] tag[pid]: message
    RFC 5424      <PRI>1 time host app procid msgid [data] message
    rsyslog       [<PRI>]yyyy-mm-ddThh:mm:ss[.ffffff]zone host tag[pid]: message
    Chrome OS     yyyy-mm-ddThh:mm:ss.ffffffzone SEVERITY tag[pid]: message
    macOS         yyyy-mm-dd hh:mm:ss+zz host tag[pid] (who): message   (install.log)
                  Www Mmm dd hh:mm:ss.fff <tag[pid]> message            (wifi.log)
    kernel        [<n>][   12.345678] message                           (dmesg)
                  [Www Mmm dd hh:mm:ss yyyy] message                    (dmesg -T)

RFC 3164 describes what was found, and it is kept to loosely: the host is left out (`kernel:`
behind the time), the tag is (`last message repeated`), a name has blanks or slashes.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memchr, memcmp, memcpy, memset

from tracelake.native.text cimport parse_iso_time
from tracelake.parsers.textlines cimport (
    clock_of, digit, four, fraction_at, month_has, month_of, number_at, two,
)
from tracelake.parsers.textrows cimport Piece

cdef enum:
    LONGEST_HOST = 255
    LONGEST_TAG = 128


cdef inline Py_ssize_t _word(const uint8_t* p, const uint8_t* end) noexcept nogil:
    """Bytes up to a blank or the end."""
    cdef const void* found
    if p >= end:
        return 0
    found = memchr(p, 32, end - p)
    return end - p if found is NULL else <const uint8_t*>found - p


cdef inline Piece _piece(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef Piece piece
    piece.p = p
    piece.n = n
    return piece


cdef bint _tag(const uint8_t* p, const uint8_t* end, Head* head) noexcept nogil:
    """`name[pid]:` or `name:` and the message. False: there is none."""
    cdef const uint8_t* at = p
    cdef const uint8_t* close
    cdef int64_t pid
    while at < end and at - p < LONGEST_TAG and at[0] != 91 and at[0] != 58 and at[0] >= 32:
        # A blank is only of a name where a number in brackets follows: "Microsoft Word[12]".
        if at[0] == 32:
            close = at + 1
            while close < end and close - p < LONGEST_TAG and (
                (close[0] | 32) - 97 < 26 or digit(close[0]) or close[0] in (32, 46, 45, 95)
            ):
                close += 1
            if close >= end or close[0] != 91:
                return False
            at = close
            break
        # "::" is of a name (C++), a colon before a blank or the end is not.
        at += 1
    if at >= end or at == p:
        return False
    if at[0] == 91:
        pid = number_at(at + 1, end)
        close = <const uint8_t*>memchr(at, 93, min(end - at, <Py_ssize_t>LONGEST_TAG))
        if close is NULL or (pid < 0 and not (close + 1 < end and close[1] == 58)):
            return False
        head.program = _piece(p, at - p)
        if pid >= 0:
            head.pid = pid
        else:
            head.procid = _piece(at + 1, close - at - 1)
        at = close + 1
    elif at[0] == 58 and at - p < LONGEST_TAG:
        head.program = _piece(p, at - p)
    else:
        return False
    if at < end and at[0] == 58:
        at += 1
    if at < end and at[0] == 32:
        at += 1
    head.message = _piece(at, end - at)
    return True


cdef int _level(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """The number of a severity's word, or -1."""
    if n == 4 and memcmp(p, b"INFO", 4) == 0:
        return 6
    if n == 7 and memcmp(p, b"WARNING", 7) == 0:
        return 4
    if (n == 3 or n == 5) and memcmp(p, b"ERROR", n) == 0:
        return 3
    if n == 5 and memcmp(p, b"DEBUG", 5) == 0:
        return 7
    if n == 6 and memcmp(p, b"NOTICE", 6) == 0:
        return 5
    if n == 4 and memcmp(p, b"CRIT", 4) == 0:
        return 2
    if n == 5 and memcmp(p, b"ALERT", 5) == 0:
        return 1
    if n == 5 and memcmp(p, b"EMERG", 5) == 0:
        return 0
    return -1


cdef bint _origin(const uint8_t* p, const uint8_t* end, Head* head) noexcept nogil:
    """`host tag: message`, any of which may be missing."""
    cdef Py_ssize_t n
    while p < end and p[0] == 32:
        p += 1
    head.message = _piece(p, end - p)
    if p >= end:
        return True
    n = _word(p, end)
    if p[0] == 60:
        # <airportd[88]> message
        if n > 2 and p[n - 1] == 62 and _tag(p + 1, p + n - 1, head):
            pass
        elif n > 2 and p[n - 1] == 62:
            head.program = _piece(p + 1, n - 2)
        else:
            return True
        p += n
        while p < end and p[0] == 32:
            p += 1
        head.message = _piece(p, end - p)
        return True
    if (end - p >= 21 and memcmp(p, b"last message repeated", 21) == 0) or p[0] in (42, 45, 91):
        return True
    if p[n - 1] == 58 or (n > 3 and p[n - 1] == 93):
        # The tag stands where the host should: it was left out.
        if _tag(p, end, head):
            return True
    if n > LONGEST_HOST or p + n >= end:
        return True
    if head.dialect == ISO and p[0] >= 65 and p[0] <= 90:
        head.level = _level(p, n)
    if head.level < 0:
        head.host = _piece(p, n)
    p += n
    while p < end and p[0] == 32:
        p += 1
    if not _tag(p, end, head):
        n = _word(p, end)
        if head.dialect == ISO and head.pri >= 0 and n < LONGEST_TAG and p + n < end:
            # Forwarded, where a tag always is, without its colon.
            head.program = _piece(p, n)
            p += n + 1
        head.message = _piece(p, end - p)
    return True


cdef bint _structured(const uint8_t* p, const uint8_t* end, Head* head) noexcept nogil:
    """What follows the time in RFC 5424."""
    cdef Piece[4] field
    cdef Py_ssize_t n
    cdef int i
    cdef bint quoted = False
    cdef const uint8_t* start
    for i in range(4):
        if p >= end or p[0] != 32:
            return False
        p += 1
        n = _word(p, end)
        if n == 0:
            return False
        field[i] = _piece(p, 0 if n == 1 and p[0] == 45 else n)
        p += n
    if p < end:
        if p[0] != 32:
            return False
        p += 1
    start = p
    if p < end and p[0] == 91:
        # Elements one after the other; a bracket in quotes closes none.
        while p < end and p[0] == 91:
            while p < end and (quoted or p[0] != 93):
                if quoted and p[0] == 92 and p + 1 < end:
                    p += 1
                elif p[0] == 34:
                    quoted = not quoted
                p += 1
            if p >= end:
                # It is not closed: all of it is the message.
                p = start
                break
            p += 1
        if p > start:
            head.data = _piece(start, p - start)
    elif p < end and p[0] == 45 and (p + 1 == end or p[1] == 32):
        p += 1
    if p < end and p[0] == 32:
        p += 1
    if end - p >= 3 and p[0] == 0xef and p[1] == 0xbb and p[2] == 0xbf:
        p += 3
    head.host = field[0]
    head.program = field[1]
    head.pid = -1
    if field[2].n:
        head.pid = number_at(field[2].p, field[2].p + field[2].n)
        for n in range(field[2].n):
            if not digit(field[2].p[n]):
                head.pid = -1
        if head.pid < 0:
            head.procid = field[2]
    head.msgid = field[3]
    head.message = _piece(p, end - p)
    head.dialect = RFC5424
    return True


cdef Py_ssize_t _iso(const uint8_t* p, const uint8_t* end, Head* head) noexcept nogil:
    """The bytes of an ISO 8601 time, or 0."""
    cdef Py_ssize_t n
    cdef int how
    cdef uint8_t[40] text
    if end - p < 19 or four(p) < 0 or p[4] != 45 or p[7] != 45:
        return 0
    n = _word(p, end)
    if p[10] == 32:
        n = 11 + _word(p + 11, end)
    elif p[10] != 84:
        return 0
    if n > 38:
        return 0
    if n > 19 and p[n - 1] == 58:
        n -= 1                              # "2024-01-01T00:00:00Z: message"
    if n >= 22 and (p[n - 3] == 43 or p[n - 3] == 45):
        # A zone of two digits, which our reader of times does not take.
        memcpy(text, p, n)
        text[n] = 48
        text[n + 1] = 48
        how = parse_iso_time(text, n + 2, &head.time, &head.ns)
    else:
        how = parse_iso_time(p, n, &head.time, &head.ns)
    if how == 0:
        return 0
    head.timed = True
    head.zoned = how == 1
    return n


cdef Py_ssize_t _bsd(const uint8_t* p, const uint8_t* end, Head* head) noexcept nogil:
    """The bytes of "Mmm dd [yyyy] hh:mm:ss[.ffffff]" or "Mmm dd hh:mm:ss yyyy"; or 0."""
    cdef const uint8_t* start = p
    cdef Py_ssize_t n
    if end - p < 14:
        return 0
    head.month = month_of(p)
    if head.month == 0 or p[3] != 32:
        return 0
    p += 4
    head.day = two(p)
    if head.day < 0 and digit(p[0]) and p[1] == 32:
        head.day = p[0] - 48                # one digit, one blank
        p += 1
    else:
        p += 2
    if head.day < 1 or head.day > 31 or end - p < 9 or p[0] != 32:
        return 0
    p += 1
    if end - p >= 13 and four(p) >= 1970 and p[4] == 32:
        head.year = four(p)
        p += 5
    if end - p < 8:
        return 0
    head.clock = clock_of(p)
    if head.clock < 0:
        return 0
    p += 8
    p += fraction_at(p, end, &head.us, &head.ns)
    if head.year == 0 and end - p >= 5 and p[0] == 32 and four(p + 1) >= 1970 and (
        end - p == 5 or p[5] in (32, 58, 93)
    ):
        head.year = four(p + 1)
        p += 5
    if not month_has(head.year if head.year else 2000, head.month, head.day):
        return 0
    if end - p >= 4 and p[0] == 32 and (
        memcmp(p, b" UTC", 4) == 0 or memcmp(p, b" GMT", 4) == 0
    ) and (end - p == 4 or p[4] == 32 or p[4] == 58):
        head.zoned = True
        p += 4
    n = p - start
    if p < end and p[0] != 32 and p[0] != 58 and p[0] != 93:
        return 0
    return n


cdef inline bint _weekday(const uint8_t* p, const uint8_t* end) noexcept nogil:
    return end - p > 16 and p[3] == 32 and month_of(p) == 0 and month_of(p + 4) > 0


cdef bint _uptime(const uint8_t* p, const uint8_t* end, Head* head) noexcept nogil:
    """`[   12.345678] message`."""
    cdef const uint8_t* at = p + 1
    cdef const uint8_t* start
    while at < end and at[0] == 32:
        at += 1
    start = at
    while at < end and digit(at[0]):
        at += 1
    if at == start or at >= end or at[0] != 46:
        return False
    at += 1
    while at < end and digit(at[0]):
        at += 1
    if at >= end or at[0] != 93:
        return False
    head.uptime = _piece(start, at - start)
    at += 1
    if at < end and at[0] == 32:
        at += 1
    head.program = _piece(b"kernel", 6)
    head.message = _piece(at, end - at)
    head.dialect = UPTIME
    return True


cdef bint read_head(const uint8_t* p, Py_ssize_t n, Head* head) noexcept nogil:
    cdef const uint8_t* end = p + n
    cdef const uint8_t* at = p
    cdef const uint8_t* start
    cdef Py_ssize_t took
    cdef int64_t number
    memset(head, 0, sizeof(Head))
    head.pri = -1
    head.level = -1
    head.pid = -1
    if n < 5:
        return False
    if at[0] == 60 and digit(at[1]):
        number = number_at(at + 1, end)
        start = at + 1
        while start < end and digit(start[0]):
            start += 1
        if start >= end or start[0] != 62 or number < 0 or number > 191 or start - at > 4:
            return False
        head.pri = <int>number
        at = start + 1
        # RFC 5424: its version, 1, behind the priority.
        if end - at > 2 and digit(at[0]) and at[0] != 48 and at[1] == 32:
            start = at + 2
            if start[0] == 45 and start + 1 < end and start[1] == 32:
                return _structured(start + 1, end, head)
            took = _iso(start, end, head)
            if took:
                return _structured(start + took, end, head)
    if at >= end:
        return False
    if digit(at[0]):
        took = _iso(at, end, head)
        if took == 0:
            return False
        head.dialect = ISO
        return _origin(at + took, end, head)
    if at[0] == 91:
        if _weekday(at + 1, end):
            took = _bsd(at + 5, end, head)
            if took and at + 5 + took < end and at[5 + took] == 93:
                at += 6 + took
                if at < end and at[0] == 32:
                    at += 1
                head.program = _piece(b"kernel", 6)
                head.message = _piece(at, end - at)
                head.dialect = NEWS
                return True
            return False
        return _uptime(at, end, head)
    if _weekday(at, end):
        at += 4
    took = _bsd(at, end, head)
    if took == 0:
        return False
    at += took
    head.dialect = BSD
    if at < end and at[0] == 58:
        at += 1                             # "01:15:43: --- last message repeated"
        while at < end and at[0] == 32:
            at += 1
        head.message = _piece(at, end - at)
        return True
    return _origin(at, end, head)
