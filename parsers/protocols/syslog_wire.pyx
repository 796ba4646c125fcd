"""Syslog on the wire: over UDP (RFC 3164, 5424, 5426), each datagram a message; over TCP
(RFC 6587), each message behind its length or before a line's end. Each message is a row of
net_service_activity."""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memchr

from tracelake.native.account cimport Account
from tracelake.native.columns cimport DictColumn, IntColumn, TextColumn
from tracelake.parsers.conn cimport Place
from tracelake.parsers.protocols.netservice cimport NETWORK, TRAFFIC, ServiceSheet
from tracelake.parsers.protocols.protocol cimport (
    MORE, NO, YES, Guess, Protocol, Talk, confirm, give_up, place,
)
from tracelake.parsers.protocols.sheet cimport Sheets
from tracelake.parsers.protocols.words cimport Names, put_name, put_text
from tracelake.parsers.services cimport service

cdef int SERVICE = service("syslog")

cdef enum:
    TCP = 6
    PORT = 514
    HIGHEST = 191               # 23 * 8 + 7
    LONGEST_MESSAGE = 65536

FACILITIES: dict[int, str] = dict(enumerate((
    "KERN", "USER", "MAIL", "DAEMON", "AUTH", "SYSLOG", "LPR", "NEWS", "UUCP", "CRON", "AUTHPRIV",
    "FTP", "NTP", "AUDIT", "ALERT", "CLOCK", "LOCAL0", "LOCAL1", "LOCAL2", "LOCAL3", "LOCAL4",
    "LOCAL5", "LOCAL6", "LOCAL7",
)))
SEVERITIES: dict[int, str] = dict(enumerate((
    "EMERG", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG",
)))
cdef Names FACILITY_NAMES = Names(FACILITIES)
cdef Names SEVERITY_NAMES = Names(SEVERITIES)
# OCSF's severity of each of them.
cdef int[8] OCSF_SEVERITY = [6, 5, 5, 4, 3, 2, 1, 1]


cdef int _priority(const uint8_t* p, int64_t n, int64_t* length) noexcept nogil:
    """The number in `<165>` and its length; -1 where there is none, -2 where it may yet come."""
    cdef int64_t i
    cdef int value = 0
    length[0] = 0
    if n < 1:
        return -2
    if p[0] != b"<":
        return -1
    for i in range(1, 5):
        if i >= n:
            return -2
        if p[i] == b">" and i > 1:
            length[0] = i + 1
            return value if value <= HIGHEST else -1
        if not 48 <= p[i] <= 57 or i == 4:
            return -1
        value = value * 10 + p[i] - 48
    return -1


cdef int64_t _counted(const uint8_t* p, int64_t n, int64_t* length) noexcept nogil:
    """Octet counting (RFC 6587, section 3.4.1): digits of the length of what stands behind them and
    a blank; 0 where there are none, -1 where they may yet come."""
    cdef int64_t i = 0
    length[0] = 0
    while i < n and i < 6 and 48 <= p[i] <= 57:
        length[0] = length[0] * 10 + p[i] - 48
        i += 1
    if i == n:
        return -1
    if i == 0 or p[i] != b" " or p[0] == 48:
        return 0
    return i + 1


cdef class Syslog(Protocol):
    cdef ServiceSheet sheet
    cdef DictColumn facility, severity
    cdef IntColumn severity_id
    cdef TextColumn message

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "syslog"
        self.ports = (PORT, 601)
        self.longest = LONGEST_MESSAGE
        self.sheet = ServiceSheet(sheets)
        rows = self.sheet.rows
        self.facility = rows.column("facility")
        self.severity = rows.column("severity")
        self.severity_id = rows.column("severity_id")
        self.message = rows.column("message")

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        cdef int64_t length = 0, head
        cdef int priority
        if t.flow.protocol == TCP:
            if n == 0:
                return NO if m else MORE        # a collector says nothing
            head = _counted(orig, n, &length)
            if head < 0:
                return MORE if n < 6 else NO
            if head > 0 and (length < 5 or length > LONGEST_MESSAGE):
                return NO
            priority = _priority(orig + head, n - head, &length)
            return YES if priority >= 0 else MORE if priority == -2 else NO
        if _priority(orig if n else resp, n if n else m, &length) >= 0:
            return YES
        # Whatever is sent to syslog's own port is a message, if a strange one.
        return YES if t.flow.port[1] == PORT and n else NO

    cdef int datagram(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        return self._message(t, side, 0, p, n)

    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef int64_t at = 0, head, length = 0
        cdef const uint8_t* line
        while at < n:
            head = _counted(p + at, n - at, &length)
            if head < 0:
                break
            if head > 0:
                if length > LONGEST_MESSAGE - 16:
                    give_up(t)
                    break
                if n - at < head + length:
                    t.half[side].need = head + length
                    break
                self._message(t, side, at, p + at + head, length)
                at += head + length
                continue
            line = <const uint8_t*>memchr(p + at, b"\n", n - at)
            if line is NULL:
                break               # looked through again with what comes next: it is short
            length = line - (p + at)
            if length:
                self._message(t, side, at, p + at, length)
            at += length + 1
        return at

    cdef int closed(self, Talk* t, int side) except -1 nogil:
        """A last line may lack its end."""
        if t.half[side].count:
            self._message(t, side, 0, t.half[side].held, t.half[side].count)
        return 0

    cdef int _message(
        self, Talk* t, int side, int64_t at, const uint8_t* p, int64_t n
    ) except -1 nogil:
        cdef int64_t length = 0
        cdef int priority = _priority(p, n, &length)
        cdef Place found = place(t, side, at)
        cdef Py_ssize_t row
        confirm(t, SERVICE)
        row = self.sheet.begin(t.flow, &found, NETWORK, TRAFFIC, b"syslog")
        if priority >= 0:
            FACILITY_NAMES.put(self.facility, row, priority >> 3, b"unknown-")
            SEVERITY_NAMES.put(self.severity, row, priority & 7, b"unknown-")
            self.severity_id.put(row, OCSF_SEVERITY[priority & 7])
        else:
            put_name(self.facility, row, b"UNSPECIFIED")
            put_name(self.severity, row, b"UNSPECIFIED")
        put_text(self.message, row, p + length, n - length)
        return self.sheet.done()
