"""What a log line carries, on a tape (see payload.pxd).

Devices hand their events over as lines, alone or behind the head of a system log (RFC 3164, 5424).
What is carried is told by how it begins:

    CEF:0|..., LEEF:1.0|...     wherever it stands in the line's first 1024 bytes
    {"...": ...}                a JSON object, with or without rsyslog's @cee:
    key=value key=value         at least three pairs, the first at the start; behind the kernel's
                                own stamp and prefix where they are the packet filter's
    [[lines]] of a mapping      see normalize/lines.py

The members are the event's own; those of the head stand beside them under `syslog`: `syslog.time`,
`host`, `program`, `pid`, `procid`, `msgid`, `facility`, `severity`.
"""

from libc.string cimport memchr, memcmp, memset

from tracelake.native.text cimport put_int, put_iso_time
from tracelake.normalize.lines import load as load_lines
from tracelake.normalize.mapping import load as load_mappings
from tracelake.normalize.shapes import load as load_shapes
from tracelake.parsers.flags cimport YEAR_INFERRED, ZONE_ASSUMED
from tracelake.parsers.json_scan cimport TAKEN, Fault, scan_json
from tracelake.parsers.pairs cimport (
    CEF, LEEF, NO_STYLE, count_pairs, find_event, put_event, put_pairs,
)
from tracelake.parsers.shaped cimport KEEP_NEVER
from tracelake.parsers.syslog_head cimport read_head
from tracelake.parsers.textlines cimport digit, number_at
from tracelake.parsers.values cimport TEXT, Value

NAMES = (
    "syslog.time", "syslog.host", "syslog.program", "syslog.pid", "syslog.procid", "syslog.msgid",
    "syslog.facility", "syslog.severity", "syslog.data", "syslog.text",
)

cdef enum:
    TIME, HOST, PROGRAM, PID, PROCID, MSGID, FACILITY, SEVERITY, DATA, BEFORE
    ENOUGH_PAIRS = 3

FACILITIES = (
    b"kern", b"user", b"mail", b"daemon", b"auth", b"syslog", b"lpr", b"news", b"uucp", b"cron",
    b"authpriv", b"ftp", b"ntp", b"audit", b"alert", b"clock", b"local0", b"local1", b"local2",
    b"local3", b"local4", b"local5", b"local6", b"local7",
)
SEVERITIES = (b"emerg", b"alert", b"crit", b"err", b"warning", b"notice", b"info", b"debug")


cdef Py_ssize_t _priority(const uint8_t* p, Py_ssize_t n, int* pri) noexcept nogil:
    """Bytes of `<PRI>` at the start of a line, or 0."""
    cdef Py_ssize_t at = 1
    if n < 3 or p[0] != 60:
        return 0
    while at < n and at < 5 and digit(p[at]):
        at += 1
    if at == 1 or at >= n or p[at] != 62:
        return 0
    pri[0] = <int>number_at(p + 1, p + at)
    return at + 1 if pri[0] <= 191 else 0


cdef Py_ssize_t _filter_line(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """Where the packet filter's pairs begin in a message of the kernel (`IN=eth0 OUT= ...`), or
    -1."""
    cdef Py_ssize_t at = 0
    cdef const void* found
    while at + 8 < n and at < 256:
        found = memchr(p + at, 73, n - at)
        if found is NULL:
            return -1
        at = <const uint8_t*>found - p
        if memcmp(p + at, b"IN=", 3) == 0 and (
            at == 0 or p[at - 1] == 32 or p[at - 1] == 58 or p[at - 1] == 93 or p[at - 1] == 45
        ):
            return at
        at += 1
    return -1


cdef class Payloads:
    """Rows of lines that carry events; for one artifact."""

    def __init__(self):
        self.shaped = Shaped(load_mappings(), load_shapes())
        self.rules = LineRules(self.shaped.tape, load_lines())
        for i, name in enumerate(NAMES):
            self.nodes[<int>i] = self.shaped.tape.at(name)

    cdef bint take(self, const uint8_t* p, Py_ssize_t n, Head* head, bint* headed) except -1:
        cdef int style = NO_STYLE, pri = -1
        cdef Py_ssize_t at
        self.shaped.tape.begin()
        at = find_event(p, n, &style)
        if at >= 0:
            if put_event(self.shaped.tape, 0, style, p + at, n - at):
                headed[0] = read_head(p, at, head)
                if headed[0]:
                    # What stands between head and event: another relay's, a program's name.
                    while head.message.n and head.message.p[head.message.n - 1] == 32:
                        head.message.n -= 1
                    self._text(BEFORE, head.message.p, head.message.n, 0)
                    return True
                memset(head, 0, sizeof(Head))
                head.pri = head.level = -1
                head.pid = -1
                while at and p[at - 1] == 32:
                    at -= 1
                style = <int>_priority(p, at, &pri)
                head.pri = pri
                self._text(BEFORE, p + style, at - style, 0)
                return True
            self.shaped.tape.begin()
        if headed[0]:
            if head.message.n == 0 and head.data.n and self._body(
                NULL, 0, head.data.p, head.data.n
            ):
                # Check Point: what looks like structured data is all there is.
                head.data.n = 0
                return True
            return self._body(head.program.p, head.program.n, head.message.p, head.message.n)
        memset(head, 0, sizeof(Head))
        head.level = -1
        head.pid = -1
        at = _priority(p, n, &pri)
        head.pri = pri
        return self._body(NULL, 0, p + at, n - at)

    cdef bint _body(
        self, const uint8_t* program, Py_ssize_t m, const uint8_t* p, Py_ssize_t n
    ) except -1:
        cdef Fault fault = Fault(NULL, 0)
        cdef Py_ssize_t at = 0
        while n and (p[n - 1] == 32 or p[n - 1] == 13):
            n -= 1
        while at < n and (p[at] == 32 or (p[at] == 58 and at + 1 < n and p[at + 1] == 32)):
            at += 1             # "fw1 : %ASA-...": a colon stands where the program's name would
        p += at
        n -= at
        if n == 0:
            return False
        if self.rules.put(program, m, p, n):
            return True
        if m and program[0] == 37 and program < p:
            # %ASA-6-302013: it looks like a program's name, and is the message's own.
            if self.rules.put(NULL, 0, program, p + n - program):
                return True
        at = 0
        if n > 6 and memcmp(p, b"@cee:", 5) == 0:
            at = 6 if p[5] == 32 else 5
        if p[at] == 123 and p[n - 1] == 125:
            if scan_json(self.shaped.tape, 0, p + at, n - at, n - at, &fault) == TAKEN:
                return True
            self.shaped.tape.begin()
        if p[0] == 123 or p[0] == 60:
            return False
        at = _filter_line(p, n) if (m == 6 and memcmp(program, b"kernel", 6) == 0) or m == 0 else -1
        if at >= 0 and count_pairs(p + at, n - at, ENOUGH_PAIRS) == ENOUGH_PAIRS:
            put_pairs(self.shaped.tape, 0, p, n, True)
            return True
        if count_pairs(p, n, ENOUGH_PAIRS) == ENOUGH_PAIRS:
            put_pairs(self.shaped.tape, 0, p, n, False)
            return True
        return False

    cdef int _text(self, int which, const uint8_t* p, Py_ssize_t n, int flags) except -1:
        cdef Value value = Value(TEXT, p, n, flags)
        if n == 0:
            return 0
        return self.shaped.tape.add(self.nodes[which], &value)

    cdef int _head(self, const Head* head, const Record* record) except -1:
        cdef uint8_t* made
        cdef bytes word
        cdef Py_ssize_t n
        if record.timed:
            made = self.shaped.tape.room(32)
            n = put_iso_time(made, record.time, record.ns)
            if record.flags & ZONE_ASSUMED:
                n -= 1          # without its Z it says no zone
            self.shaped.tape.used(32)
            self._text(TIME, made, n, record.flags & YEAR_INFERRED)
        self._text(HOST, head.host.p, head.host.n, 0)
        self._text(PROGRAM, head.program.p, head.program.n, 0)
        if head.pid >= 0:
            made = self.shaped.tape.room(24)
            n = put_int(made, head.pid)
            self.shaped.tape.used(24)
            self._text(PID, made, n, 0)
        self._text(PROCID, head.procid.p, head.procid.n, 0)
        self._text(MSGID, head.msgid.p, head.msgid.n, 0)
        self._text(DATA, head.data.p, head.data.n, 0)
        return 0

    cdef int row(self, const Head* head, const Record* record, bint headed) except -1:
        cdef bytes word
        if headed:
            self._head(head, record)
        if head.pri >= 0:
            # Borrowed from tuples that live as long as the module.
            word = <bytes>FACILITIES[head.pri >> 3]
            self._text(FACILITY, <const uint8_t*><const char*>word, len(word), 0)
            word = <bytes>SEVERITIES[head.pri & 7]
            self._text(SEVERITY, <const uint8_t*><const char*>word, len(word), 0)
        return self.shaped.end_record(
            record.p, record.n, record.offset, record.length, 0,
            record.flags & ~(YEAR_INFERRED | ZONE_ASSUMED), KEEP_NEVER,
        )


def carries(bytes line):
    """Whether a line carries an event that is known by its syntax; for telling what a file is."""
    cdef Payloads payloads = _probe()
    cdef Head head
    cdef const uint8_t* p = <const uint8_t*><const char*>line
    cdef bint headed = read_head(p, len(line), &head)
    return payloads.take(p, len(line), &head, &headed)


_probes = {}


cdef Payloads _probe():
    """One for all heads that are looked at; another where the mappings are others."""
    key = load_lines()
    if _probes.get("of") is not key:
        _probes["of"] = key
        _probes["payloads"] = Payloads()
    return _probes["payloads"]
