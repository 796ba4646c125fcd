"""Where an FTP data connection goes (see ftp_port.pxd)."""

from libc.stdint cimport int64_t, uint8_t, uint16_t
from libc.string cimport memcpy, memset


cdef void _ipv4(Address* address, const uint8_t* parts) noexcept nogil:
    address.high = 0
    memcpy(&address.low, b"\0\0\xff\xff", 4)
    memcpy(<uint8_t*>&address.low + 4, parts, 4)


cdef int64_t _decimal(const uint8_t* p, int64_t n, int64_t at, int* value) noexcept nogil:
    """A number of at most five digits: where it ends; -1 where there is none."""
    cdef int digits = 0
    value[0] = 0
    while at < n and 48 <= p[at] <= 57 and digits < 6:
        value[0] = value[0] * 10 + p[at] - 48
        digits += 1
        at += 1
    return at if 0 < digits < 6 else -1


cdef bint read_port(const uint8_t* p, int64_t n, Address* address, uint16_t* port) noexcept nogil:
    cdef uint8_t[6] parts
    cdef int64_t begin, at
    cdef int i, value = 0
    for begin in range(n):
        if not 48 <= p[begin] <= 57 or (begin and 48 <= p[begin - 1] <= 57):
            continue
        at = begin
        for i in range(6):
            at = _decimal(p, n, at, &value)
            if at < 0 or value > 255:
                break
            parts[i] = <uint8_t>value
            if i < 5:
                if at >= n or p[at] != 44:
                    break
                at += 1
        else:
            _ipv4(address, parts)
            port[0] = <uint16_t>(parts[4] << 8 | parts[5])
            return True
    return False


cdef bint read_eprt(const uint8_t* p, int64_t n, Address* address, uint16_t* port) noexcept nogil:
    cdef int64_t at, end
    cdef uint8_t bar
    cdef int value = 0
    if n < 5:
        return False
    bar = p[0]
    if p[2] != bar:
        return False
    at = 3
    end = at
    while end < n and p[end] != bar:
        end += 1
    if end >= n:
        return False
    if p[1] == 49:
        if not _read_ipv4(p + at, end - at, address):
            return False
    elif p[1] == 50:
        if not _read_ipv6(p + at, end - at, address):
            return False
    else:
        return False
    at = _decimal(p, n, end + 1, &value)
    if at < 0 or value > 65535:
        return False
    port[0] = <uint16_t>value
    return True


cdef bint read_epsv(const uint8_t* p, int64_t n, uint16_t* port) noexcept nogil:
    cdef int64_t at = 0
    cdef int value = 0
    while at < n and p[at] != 40:
        at += 1
    if at + 5 >= n or p[at + 2] != p[at + 1] or p[at + 3] != p[at + 1]:
        return False
    if _decimal(p, n, at + 4, &value) < 0 or value > 65535:
        return False
    port[0] = <uint16_t>value
    return True


cdef bint _read_ipv4(const uint8_t* p, int64_t n, Address* address) noexcept nogil:
    cdef uint8_t[4] parts
    cdef int i, value = 0
    cdef int64_t at = 0
    for i in range(4):
        at = _decimal(p, n, at, &value)
        if at < 0 or value > 255:
            return False
        parts[i] = <uint8_t>value
        if i < 3:
            if at >= n or p[at] != 46:
                return False
            at += 1
    _ipv4(address, parts)
    return True


cdef inline int _hex(uint8_t c) noexcept nogil:
    if 48 <= c <= 57:
        return c - 48
    c |= 32
    return c - 87 if 97 <= c <= 102 else -1


cdef bint _read_ipv6(const uint8_t* p, int64_t n, Address* address) noexcept nogil:
    """RFC 4291, 2.2, without an IPv4 address at its end."""
    cdef uint8_t[16] parts
    cdef int count = 0, gap = -1, value, digits, rest
    cdef int64_t at = 0
    if n >= 2 and p[0] == 58 and p[1] == 58:
        gap = 0
        at = 2
    while at < n:
        value = digits = 0
        while at < n and _hex(p[at]) >= 0 and digits < 4:
            value = value << 4 | _hex(p[at])
            digits += 1
            at += 1
        if digits == 0 or count > 14:
            return False
        parts[count] = <uint8_t>(value >> 8)
        parts[count + 1] = <uint8_t>value
        count += 2
        if at >= n:
            break
        if p[at] != 58:
            return False
        at += 1
        if at < n and p[at] == 58:
            if gap >= 0:
                return False
            gap = count
            at += 1
    if gap < 0:
        if count != 16:
            return False
        memcpy(address, parts, 16)
        return True
    if count > 14:
        return False
    memset(address, 0, 16)
    memcpy(address, parts, gap)
    rest = count - gap
    memcpy(<uint8_t*>address + 16 - rest, parts + gap, rest)
    return True
