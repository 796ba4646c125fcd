"""Lines of text in order, for logs that are too large for a Python object a line.

A line ends with LF, CR LF, or where the artifact does. One that is longer than `LONGEST` is given
cut, and the rest of it is passed over (slack in the account): no log's line is, and a file without
line ends must not be held in memory.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memchr

from tracelake.native.account cimport Account
from tracelake.native.feed cimport Feed

# Bytes of a line, and of a record of several.
LONGEST = 1 << 20
cdef Py_ssize_t MOST = LONGEST


cdef int month_of(const uint8_t* p) noexcept nogil:
    cdef uint8_t a = p[0] | 32, b = p[1] | 32, c = p[2] | 32
    if a == 106:                                            # j
        if b == 97 and c == 110:
            return 1
        if b == 117:
            return 6 if c == 110 else 7 if c == 108 else 0
    elif a == 102:
        return 2 if b == 101 and c == 98 else 0
    elif a == 109 and b == 97:
        return 3 if c == 114 else 5 if c == 121 else 0
    elif a == 97:
        if b == 112 and c == 114:
            return 4
        return 8 if b == 117 and c == 103 else 0
    elif a == 115:
        return 9 if b == 101 and c == 112 else 0
    elif a == 111:
        return 10 if b == 99 and c == 116 else 0
    elif a == 110:
        return 11 if b == 111 and c == 118 else 0
    elif a == 100:
        return 12 if b == 101 and c == 99 else 0
    return 0


cdef int clock_of(const uint8_t* p) noexcept nogil:
    cdef int hour = two(p), minute = two(p + 3), second = two(p + 6)
    if hour < 0 or minute < 0 or second < 0 or p[2] != 58 or p[5] != 58:
        return -1
    if hour > 23 or minute > 59 or second > 60 or p[3] == 32 or p[6] == 32:
        return -1
    return hour * 3600 + minute * 60 + second


cdef int64_t number_at(const uint8_t* p, const uint8_t* end) noexcept nogil:
    cdef int64_t value = 0
    cdef const uint8_t* start = p
    while p < end and digit(p[0]):
        if p - start == 18:
            return -1
        value = value * 10 + p[0] - 48
        p += 1
    return value if p > start else -1


cdef Py_ssize_t fraction_at(
    const uint8_t* p, const uint8_t* end, int64_t* us, int* ns
) noexcept nogil:
    cdef const uint8_t* start = p
    cdef int64_t value = 0
    cdef int places = 0
    us[0] = 0
    ns[0] = 0
    if end - p < 2 or (p[0] != 46 and p[0] != 44) or not digit(p[1]):
        return 0
    p += 1
    while p < end and digit(p[0]):
        if places < 9:
            value = value * 10 + p[0] - 48
            places += 1
        p += 1
    while places < 9:
        value *= 10
        places += 1
    us[0] = value // 1000
    ns[0] = <int>(value % 1000)
    return p - start


cdef bint month_has(int64_t year, int month, int day) noexcept nogil:
    if month < 1 or month > 12 or day < 1:
        return False
    if month == 2:
        return day <= 28 + (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0))
    return day <= 30 + (month in (1, 3, 5, 7, 8, 10, 12))


cdef class Lines:
    """The lines of an artifact.

    Args:
        artifact: its feed is read, and bytes without a record are counted in its account.
        fold: a line that begins with a blank or a tab goes on with the one before.
    """

    def __cinit__(self, artifact, bint fold=False):
        self.feed = artifact.feed
        self.account = artifact.account
        self.fold = fold

    cdef Py_ssize_t _end(self, Py_ssize_t start) except -1 nogil:
        """One past the line that begins `start` bytes ahead, its LF included, if it has one."""
        cdef Py_ssize_t looked = start, have = self.feed.fill(start + 1)
        cdef const void* found
        while have > looked:
            found = memchr(self.feed.at() + looked, 10, have - looked)
            if found is not NULL:
                return min(<const uint8_t*>found - self.feed.at() + 1, MOST)
            if have >= MOST:
                return MOST
            looked = have
            have = self.feed.fill(have + 1)
        return have

    cdef int _pass(self) except -1:
        """Passes over the rest of a line that was given cut."""
        cdef Py_ssize_t n
        while self.rest:
            n = self._end(0)
            if n == 0:
                break
            self.rest = self.feed.at()[n - 1] != 10
            self.account.bytes_slack += n
            self.feed.advance(n)
        self.rest = False
        return 0

    cdef int next(self, Line* line) except -1:
        """The next line; 0 where there is none. What was given before is void."""
        cdef Py_ssize_t whole, more
        cdef const uint8_t* p
        self.feed.advance(self.held)
        self.held = 0
        if self.rest:
            self._pass()
        whole = self._end(0)
        if whole == 0:
            return 0
        if self.fold:
            # The byte after the line decides; blank lines between are of the record, too.
            while whole < MOST and self.feed.fill(whole + 1) > whole:
                p = self.feed.at()
                if (p[whole] != 9 and p[whole] != 32) or p[whole - 1] != 10:
                    break
                more = self._end(whole)
                if more <= whole:
                    break
                whole = more
        p = self.feed.at()
        line.p = p
        line.offset = self.feed.offset()
        line.n = whole
        self.held = whole
        self.rest = whole == MOST and p[whole - 1] != 10
        line.cut = self.rest
        while line.n > 0 and (p[line.n - 1] == 10 or p[line.n - 1] == 13):
            line.n -= 1
        return 1
