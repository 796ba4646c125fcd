"""System logs: syslog, messages, auth.log, secure, kern.log, dmesg, cron, macOS' system.log.

Specifications: RFC 3164 (what BSD syslog was seen to write), RFC 5424, rsyslog's templates
(`RSYSLOG_FileFormat`, `RSYSLOG_ForwardFormat`); see syslog_head.pyx for the heads of lines.

What a line carries (CEF, LEEF, JSON, key=value, and what a mapping file's `[[lines]]` know: see
payload.pyx) becomes a row by the mapping files, as JSON does; such a line may also stand without a
head. What is said here is of all others.

A record is a line with a head, and lines after it that begin with a blank. Forwarded messages may
stand one behind the other without line ends; there a record goes up to the next `<PRI>time`. A
line without a head is damage: its text is kept there. What is known of programs' messages
(syslog_rules.py) becomes rows of `authentication`, `account_change`, `process_activity`,
`job_activity` and `remote_access_activity`; every other line is a row of `raw_event`.

Times: RFC 3164 says neither year nor zone. UTC is assumed (parse_flags 32). The year (64) follows
from when the file was written last, and from lines that go back by more than a week: a new year.
In files up to 8 MiB the last line's year is that of the file; in longer ones the first line's is
the latest that is not after it. Times of dmesg count from the start of the host: they stay null,
`unmapped` has `uptime_s`.
"""

import re
import time as clock

from tracelake.native.errors import EvidenceError

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memchr

from tracelake.native.columns cimport MapColumn
from tracelake.native.text cimport days_from_civil
from tracelake.parsers.artifact import Match, Parser, Rank
from tracelake.parsers.flags cimport TRUNCATED, YEAR_INFERRED, ZONE_ASSUMED
from tracelake.parsers.linepatterns cimport Pattern, Patterns
from tracelake.parsers.payload cimport Payloads
from tracelake.parsers.syslog_head cimport BSD, Head, ISO, NEWS, RFC5424, UPTIME, read_head
from tracelake.parsers.textlines cimport Line, Lines, digit, month_has
from tracelake.parsers.textrows cimport Piece, Record, Slot, TextReader, TextRows
from tracelake.parsers.payload import carries
from tracelake.parsers.syslog_rules import RULES
from tracelake.normalize.mapping import load as load_mappings

VERSION = "2"

cdef Py_ssize_t LOOK = 8 << 20          # bytes that are looked at for the year before the first row
cdef int64_t DAY = 86400
cdef int64_t WEEK = 7 * 86400
cdef int RAW = 4096                     # bytes of a line without a head that damage keeps
cdef int PER_TURN = 4096                # lines between two looks at whether a batch is full

SEVERITIES = (b"emerg", b"alert", b"crit", b"err", b"warning", b"notice", b"info", b"debug")
# OCSF: 6 fatal, 5 critical, 4 high, 3 medium, 1 informational.
cdef int[8] SEVERITY_ID = [6, 5, 5, 4, 3, 1, 1, 1]
FACILITIES = (
    b"kern", b"user", b"mail", b"daemon", b"auth", b"syslog", b"lpr", b"news", b"uucp", b"cron",
    b"authpriv", b"ftp", b"ntp", b"audit", b"alert", b"clock", b"local0", b"local1", b"local2",
    b"local3", b"local4", b"local5", b"local6", b"local7",
)

MONTHS = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
DATE = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)"
HEADS = re.compile(
    rb"(?:<\d{1,3}>)?(?:\w\w\w )?" + MONTHS + rb" [ \d]?\d (?:\d{4} )?\d\d:\d\d:\d\d"
    rb"(?:\.\d{1,9})?(?: \d{4})?(?: UTC| GMT)?(?::? |$)"
    rb"|<\d{1,3}>[1-9]\d? (?:-|" + DATE + rb") \S+ \S+ \S+ \S+ (?:-|\[)"
    rb"|(?:<\d{1,3}>)?" + DATE + rb" \S+ [^\s:\[{]{1,128}(?:\[\d+\])?(?:: ?|$| )"
    rb"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d \S+ [^\[:]{1,128}\[\d+\]"
    rb"|(?:<\d>)?\[ *\d{1,9}\.\d{6}\] ?"
    rb"|\[\w\w\w " + MONTHS + rb" [ \d]\d \d\d:\d\d:\d\d \d{4}\] "
)
# Lines without such a head that are looked at for events that they may carry.
PROBED = 20
# Logs that look alike and are not of syslog.
NOT_SYSLOG = re.compile(rb"\{\"|<\?xml|#\w+:")


def match(head, path):
    """How sure it is that an artifact is a system log, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: its path inside its source (not looked at).
    """
    if head[:3] == b"\xef\xbb\xbf":
        head = head[3:]
    head = head.lstrip(b"\0")
    if b"\0" in head[:4096].rstrip(b"\0"):
        return Match.NO, "its text holds NUL bytes"
    lines = head.split(b"\n", 200)[:200]
    if len(lines) > 1 and len(head) >= 65536:
        lines.pop()
    lines = [line for line in lines if line.strip() and line[:1] not in b" \t"]
    if not lines:
        return Match.NO, "no line of text"
    if HEADS.match(lines[0]) is None and NOT_SYSLOG.match(lines[0]):
        return Match.NO, "its first line is not of a system log"
    good = sum(HEADS.match(line) is not None for line in lines)
    bare = [line for line in lines[:PROBED] if HEADS.match(line) is None and line[:1] != b"{"]
    carried = sum(carries(line.rstrip(b"\r")) for line in bare)
    if carried * 5 > len(bare) * 3 and (good + carried) * 2 > min(len(lines), PROBED):
        return Match.CONTENT, ""
    if good * 2 > len(lines) or (good and HEADS.match(lines[0]) and lines[0][:1] == b"<"):
        return Match.CONTENT, ""
    if good:
        return Match.NO, f"only {good} of its first {len(lines)} lines begin as a system log's do"
    return Match.NO, "its lines do not begin with the time of a system log"


cdef int64_t _within(const Head* head) noexcept nogil:
    """Seconds since the year began, in a leap year."""
    return (
        (days_from_civil(2000, head.month, head.day) - days_from_civil(2000, 1, 1)) * DAY
        + head.clock
    )


cdef class _Years:
    """What years lines without one are of.

    Attributes:
        year: of the line that was seen last.
    """
    cdef int year
    cdef int64_t last           # -1: no line was seen

    def __cinit__(self, int year=0):
        self.year = year
        self.last = -1

    cdef int of(self, const Head* head) noexcept nogil:
        """The year of the next line."""
        cdef int64_t now = _within(head)
        if head.year:
            self.year = head.year
        elif self.last >= 0:
            if now < self.last - WEEK:
                self.year += 1
            elif now > self.last + 330 * DAY:
                return self.year - 1        # a late line of December
        self.last = now
        return self.year


def last_possible(int month, int day, int64_t second, double before):
    """The latest year in which a day of the calendar is not after a time.

    Args:
        month, day: the day. second: of the day.
        before: seconds since 1970; a day is given for zones.
    """
    year = clock.gmtime(min(max(0.0, before), 253402300799.0)).tm_year
    while year > 1970 and (
        not month_has(year, month, day)
        or (days_from_civil(year, month, day) * DAY + second) > before + DAY
    ):
        year -= 1
    return year


cdef class _Reader(TextReader):
    cdef Lines lines
    cdef Patterns patterns
    cdef Payloads payloads
    cdef TextRows raw
    cdef _Years years
    cdef object modified
    cdef dict common            # TextRows -> its columns that all lines have
    cdef bint framed            # messages stand one behind the other
    cdef int64_t last_good

    def __cinit__(self, artifact):
        self.feed = artifact.feed
        self.account = artifact.account
        self.lines = Lines(artifact, True)
        self.tables = {}
        self.raw = self.tables["raw_event"] = TextRows("raw_event")
        self.patterns = Patterns(RULES, self.tables)
        self.payloads = Payloads()
        self.modified = getattr(artifact, "modified", None)
        self.common = {
            rows: tuple(
                rows.slot(name) for name in (
                    "device_hostname", "log_provider", "event_pid", "message", "severity_id",
                    "log_name", "severity", "procid", "event_code", "uptime_s",
                )
            )
            for rows in self.tables.values()
        }

    cdef int begin(self) except -1:
        """Looks at what is there for the year of the first line."""
        cdef Py_ssize_t have = self.feed.fill(LOOK), at = 0, end
        cdef const uint8_t* p = self.feed.at()
        cdef const void* found
        cdef Head head
        cdef _Years seen = _Years(2000)
        cdef bint first = True
        cdef int64_t month = 0, day = 0, second = 0
        if have >= 3 and p[0] == 0xef and p[1] == 0xbb and p[2] == 0xbf:
            self.feed.advance(3)
            self.account.bytes_structure += 3
            have -= 3
            p = self.feed.at()
        self.framed = self._is_framed(p, min(have, <Py_ssize_t>65536))
        while at < have:
            found = memchr(p + at, 10, have - at)
            end = have if found is NULL else <const uint8_t*>found - p
            if read_head(p + at, end - at, &head) and head.dialect in (BSD, NEWS):
                if seen.of(&head) == seen.year and (first or have < LOOK):
                    month, day, second = head.month, head.day, head.clock
                if first and have >= LOOK:
                    seen.year = 2000
                    break
                first = False
            at = end + 1
        year = 0
        if month:
            before = self.modified if self.modified is not None else clock.time()
            year = last_possible(month, day, second, before) - (seen.year - 2000)
        self.years = _Years(year)
        return 0

    cdef bint _is_framed(self, const uint8_t* p, Py_ssize_t n) noexcept:
        """Whether a second `<PRI>yyyy-` stands on the first line."""
        cdef Py_ssize_t at = _next_frame(p, n, 1)
        cdef const void* newline = memchr(p, 10, n)
        return n > 6 and p[0] == 60 and _next_frame(p, n, 0) == 0 and at > 0 and (
            newline is NULL or p + at != <const uint8_t*>newline + 1
        )

    cdef int frame(self, Line* line) except -1:
        """The next record of forwarded messages."""
        cdef Py_ssize_t have, looked = 1, end = -1
        self.feed.advance(self.lines.held)
        self.lines.held = 0
        have = self.feed.fill(65536)
        if have == 0:
            return 0
        while True:
            end = _next_frame(self.feed.at(), have, looked)
            if end >= 0 or have >= (1 << 20):
                break
            looked = max(<Py_ssize_t>1, have - 32)
            end = self.feed.fill(have + 1)
            if end <= have:
                end = have
                break
            have = end
            end = -1
        line.cut = end < 0
        if end < 0:
            end = have
        line.p = self.feed.at()
        line.n = end
        line.offset = self.feed.offset()
        self.lines.held = end
        while line.n and (line.p[line.n - 1] == 10 or line.p[line.n - 1] == 13):
            line.n -= 1
        return 1

    cdef int turn(self) except -1:
        """Reads lines until a batch may be full; 0 at the end."""
        cdef Line line
        cdef Head head
        cdef Record record
        cdef Pattern pattern
        cdef Piece program
        cdef TextRows rows
        cdef Py_ssize_t zeros, whole
        cdef int i
        cdef bint headed
        for i in range(PER_TURN):
            if not (self.frame(&line) if self.framed else self.lines.next(&line)):
                return 0
            zeros = 0
            while zeros < line.n and line.p[zeros] == 0:
                zeros += 1
            if zeros == line.n:
                self.account.bytes_structure += self.lines.held
                continue
            # What was allocated and not yet written when the host lost its power.
            line.p += zeros
            line.n -= zeros
            line.offset += zeros
            self.account.bytes_slack += zeros
            whole = self.lines.held - zeros
            self.account.records += 1
            self.account.bytes_records += whole
            headed = read_head(line.p, line.n, &head)
            record.offset = line.offset
            record.length = whole
            record.p = line.p
            record.n = line.n
            record.flags = TRUNCATED if line.cut else 0
            pattern = None
            if headed:
                program = head.program
                if program.n and head.message.n:
                    _base(&program)
                    pattern = self.patterns.find(
                        program.p, program.n, head.message.p, head.message.n
                    )
            if pattern is None and self.payloads.take(line.p, line.n, &head, &headed):
                if headed:
                    self.when(&head, &record)
                self.account.in_rows += 1
                if self.payloads.row(&head, &record, headed):
                    break
                continue
            if not headed:
                self.account.damage(
                    line.offset, whole, b"line", b"no time of a system log at its start",
                    line.p, min(line.n, <Py_ssize_t>RAW),
                )
                continue
            self.when(&head, &record)
            if pattern is None:
                rows = self.raw
            else:
                rows = pattern.rows
                pattern.fill()
            self.put(rows, &head)
            rows.done(&record)
            self.account.in_rows += 1
            if rows.rows.full():
                break
        return 1

    cdef int when(self, const Head* head, Record* record) except -1:
        cdef int year
        record.timed = head.timed
        record.time = head.time
        record.ns = head.ns
        if head.dialect == BSD or head.dialect == NEWS:
            year = self.years.of(head)
            if not head.year:
                record.flags |= YEAR_INFERRED
            if head.month == 2 and head.day == 29:
                # A year without this day is wrong, and the one before that had it less so.
                while not month_has(year, 2, 29):
                    year -= 1
            record.time = 1000000 * (
                days_from_civil(year, head.month, head.day) * DAY + head.clock
            ) + head.us
            record.timed = True
        if record.timed and not head.zoned:
            record.flags |= ZONE_ASSUMED
        return 0

    cdef int put(self, TextRows rows, const Head* head) except -1:
        cdef tuple slots = <tuple>self.common[rows]
        cdef bytes word
        if head.host.n:
            rows.put(<Slot>slots[0], head.host.p, head.host.n)
        if head.program.n:
            rows.put(<Slot>slots[1], head.program.p, head.program.n)
        if head.pid >= 0:
            rows.set(<Slot>slots[2], head.pid)
        if head.message.n:
            rows.put(<Slot>slots[3], head.message.p, head.message.n)
        if head.pri >= 0:
            rows.set(<Slot>slots[4], SEVERITY_ID[head.pri & 7])
            word = <bytes>FACILITIES[head.pri >> 3]
            rows.put(<Slot>slots[5], word, len(word))
            word = <bytes>SEVERITIES[head.pri & 7]
            rows.put(<Slot>slots[6], word, len(word))
        elif head.level >= 0:
            rows.set(<Slot>slots[4], SEVERITY_ID[head.level])
            word = <bytes>SEVERITIES[head.level]
            rows.put(<Slot>slots[6], word, len(word))
        if head.procid.n:
            rows.put(<Slot>slots[7], head.procid.p, head.procid.n)
        if head.msgid.n:
            rows.put(<Slot>slots[8], head.msgid.p, head.msgid.n)
        if head.uptime.n:
            rows.put(<Slot>slots[9], head.uptime.p, head.uptime.n)
        if head.data.n:
            self.structured(rows, head.data.p, head.data.n)
        return 0

    cdef int structured(self, TextRows rows, const uint8_t* p, Py_ssize_t n) except -1:
        """Structured data of RFC 5424, few enough for Python: element.name -> value."""
        for element in ELEMENT.finditer((<const char*>p)[:n]):
            name, parameters = element.groups()
            found = PARAMETER.findall(parameters)
            if not found:
                rows.other(name, len(name), b"", 0)
            for key, value in found:
                key = name + b"." + key
                value = ESCAPED.sub(rb"\1", value)
                rows.other(key, len(key), value, len(value))
        return 0


ELEMENT = re.compile(rb'\[([^ \]="]+)((?: [^ \]="]+="(?:[^"\\]|\\.)*")*) ?\]', re.DOTALL)
PARAMETER = re.compile(rb' ([^ \]="]+)="((?:[^"\\]|\\.)*)"', re.DOTALL)
ESCAPED = re.compile(rb'\\(["\\\]])')


cdef int _base(Piece* program) noexcept nogil:
    """A program's name without its folder and without what stands in parentheses."""
    cdef Py_ssize_t i
    for i in range(program.n - 1, 0, -1):
        if program.p[i] == 40:
            program.n = i
    for i in range(program.n - 1, -1, -1):
        if program.p[i] == 47:
            program.p += i + 1
            program.n -= i + 1
            break
    return 0


cdef Py_ssize_t _next_frame(const uint8_t* p, Py_ssize_t n, Py_ssize_t at) noexcept nogil:
    """Where the next `<PRI>yyyy-mm-ddT` begins, or -1."""
    cdef const void* found
    cdef Py_ssize_t i
    while at + 14 <= n:
        found = memchr(p + at, 60, n - at - 13)
        if found is NULL:
            return -1
        at = <const uint8_t*>found - p
        i = at + 1
        while i < n and i - at < 5 and digit(p[i]):
            i += 1
        if i - at > 1 and i + 11 < n and p[i] == 62 and p[i + 5] == 45 and p[i + 8] == 45 and (
            p[i + 11] == 84 and digit(p[i + 1]) and digit(p[i + 10])
        ):
            return at
        at += 1
    return -1


def read(artifact):
    """Yields rows of the tables of this parser, in the order of the lines.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; the rows before that were yielded.
    """
    cdef _Reader reader = _Reader(artifact)
    try:
        for table, batch in reader.batches():
            yield table, batch
            yield from reader.payloads.shaped.events.take()
    except EvidenceError:
        yield from reader.payloads.shaped.events.take(True)
        raise
    yield from reader.payloads.shaped.events.take(True)


PARSER = Parser(
    "syslog",
    VERSION,
    match,
    load_mappings().tables,
    read,
    files=(
        "var/log/*", "*/var/log/*", "private/var/log/*", "*/syslog*", "*/auth.log*",
        "*/messages*", "*/secure*", "*/kern.log*", "*/system.log*", "*/dmesg*",
    ),
    rank=Rank.LOGS,
    text=True,
)
