"""Times that are a number of units since an epoch (see since_epoch.pxd)."""

from libc.stdint cimport int64_t, uint8_t

UNITS = {"": U_ANY, "s": U_S, "ms": U_MS, "us": U_US, "ns": U_NS, "filetime": U_FILETIME}

cdef int64_t YEAR_1 = -62135596800000000
cdef int64_t YEAR_10000 = 253402300800000000
cdef int64_t FROM_1601 = 11644473600000000      # microseconds
# A number beyond ten times this would overflow, and is no time in any unit. (Nanoseconds since
# 1970 have 19 digits since 2001.)
cdef int64_t LARGEST = 922337203685477579


cdef inline bint _are_digits(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        if p[i] < 48 or p[i] > 57:
            return False
    return True


cdef int parse_epoch(
    const uint8_t* p, Py_ssize_t n, int unit, int64_t* us, int* below
) noexcept nogil:
    cdef Py_ssize_t i = 0, first
    cdef int64_t whole = 0, made, rest = 0, nanoseconds
    cdef int digits = 0, exact = 2
    cdef bint negative = n > 0 and p[0] == 45
    if negative:
        i = 1
    first = i
    while i < n and 48 <= p[i] <= 57:
        if whole > LARGEST:
            return 0
        whole = whole * 10 + p[i] - 48
        i += 1
    if i == first:
        return 0
    if (p[first] == 48 and i - first > 1) or (negative and whole == 0):
        exact = 1
    if i < n:
        if p[i] != 46 or i + 1 == n:
            return 0
        exact = 1
        i += 1
        while i < n and p[i] != 58:
            if p[i] < 48 or p[i] > 57:
                return 0
            if digits < 9:
                rest = rest * 10 + p[i] - 48
                digits += 1
            i += 1
        # The serial number of an audit record: 1640024915.264:4237.
        if i < n and (i + 1 == n or not _are_digits(p + i + 1, n - i - 1)):
            return 0
    while digits < 9:
        rest *= 10
        digits += 1
    if unit == U_ANY:
        exact = 1
        if whole < 100000000000LL:
            unit = U_S
        elif whole < 100000000000000LL:
            unit = U_MS
        elif whole < 100000000000000000LL:
            unit = U_US
        else:
            unit = U_NS
    # `rest` is billionths of the unit.
    if unit == U_S or unit == U_MS or unit == U_US:
        made = 1000000 if unit == U_S else 1000 if unit == U_MS else 1
        if whole >= YEAR_10000 // made + 1:
            return 0
        nanoseconds = rest * made // 1000000
        made = whole * made + nanoseconds // 1000
        nanoseconds %= 1000
    elif unit == U_NS:
        made = whole // 1000
        nanoseconds = whole % 1000
    else:
        made = whole // 10
        nanoseconds = whole % 10 * 100 + rest // 10000000
    if negative:
        made = -made - (nanoseconds > 0)
        nanoseconds = (1000 - nanoseconds) % 1000
    if unit == U_FILETIME:
        made -= FROM_1601
    if made < YEAR_1 or made >= YEAR_10000:
        return 0
    us[0] = made
    below[0] = nanoseconds
    return exact


def epoch(bytes text, str unit=""):
    """(microseconds since 1970, nanoseconds below, whether the text can be made again) or None."""
    cdef int64_t us = 0
    cdef int below = 0
    cdef int done = parse_epoch(
        <const uint8_t*><const char*>text, len(text), UNITS[unit], &us, &below
    )
    return (us, below, done == 2) if done else None
