"""W3C extended logs: IIS, HTTP.sys' errors, FTP, the Windows firewall.

Specification: "Extended Log File Format", W3C Working Draft WD-logfile-960323. `#Fields:` names
what the lines after it hold, in any order, and may come again with others; `#Date:` gives the day
where no field does. Times are UTC; the firewall's (`#Time Format: Local`) are local, of a zone that
is not said (parse_flags 32). `-` is no value.

A request is a row of `http_activity`, a line of the firewall one of `network_activity`. In the
user agent `+` is a blank again, as IIS wrote a plus for each; all else is as it was logged. A line
with more or fewer fields than were named is damage.
"""

import re

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memchr, memcmp, memset

from tracelake.native.text cimport days_from_civil
from tracelake.normalize import TABLES
from tracelake.parsers.artifact import Match, Parser, Rank
from tracelake.parsers.flags cimport TRUNCATED, ZONE_ASSUMED
from tracelake.parsers.textlines cimport (
    Line, Lines, clock_of, four, fraction_at, month_has, number_at, two,
)
from tracelake.parsers.textrows cimport Piece, Record, Slot, TextReader, TextRows
from tracelake.parsers.webactivity cimport activity_of

VERSION = "1"

cdef int RAW = 4096
cdef int PER_TURN = 4096
cdef enum:
    MOST_FIELDS = 128

WEB = {
    "s-ip": "dst_ip", "s-port": "dst_port", "c-ip": "src_ip", "c-port": "src_port",
    "cs-method": "http_method", "cs-uri-stem": "url_path", "cs-uri-query": "url_query",
    "cs-uri": "url_path", "cs-username": "user_name", "cs(user-agent)": "user_agent",
    "cs(referer)": "referrer", "cs(referrer)": "referrer", "cs-host": "url_hostname",
    "cs(host)": "url_hostname", "cs-version": "http_version", "sc-status": "status_code",
    "sc-bytes": "response_len", "cs-bytes": "request_len", "s-computername": "device_hostname",
    "sc-win32-status": "error_code",
}
FLOW = {
    "src-ip": "src_ip", "dst-ip": "dst_ip", "src-port": "src_port", "dst-port": "dst_port",
    "protocol": "transport", "pid": "actor_pid",
}
DIRECTIVE = re.compile(
    rb"#(?:Software|Version|Fields|Date|Start-Date|Time Format|Remark|End-Date|X-\w+)\s*:",
    re.IGNORECASE,
)


def match(head, path):
    """How sure it is that an artifact is a W3C extended log, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: its path inside its source (not looked at).
    """
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not DIRECTIVE.match(text):
        return Match.NO, "no directive of a W3C extended log (#Fields:) at its start"
    fields = re.search(rb"^#Fields:[ \t]*(.+?)\r?$", text, re.MULTILINE)
    if fields is None:
        return Match.NO, "directives of a W3C extended log, but no #Fields:"
    names = fields.group(1).lower().split()
    if b"cs-method" in names or b"c-ip" in names or b"cs-uri" in names or b"src-ip" in names:
        return Match.CONTENT, ""
    return Match.NO, "a log with #Fields: of neither requests nor connections"


cdef class _Reader(TextReader):
    cdef Lines lines
    cdef TextRows out               # of the fields that were named last, or None
    cdef list slots
    cdef int[MOST_FIELDS] kinds     # 0 a value, 1 date, 2 time, 3 agent, 4 milliseconds, 5 method,
                                    # 6 what the firewall did, 7 path and query, 8 version
    cdef int count                  # fields named
    cdef int64_t day                # of #Date, days since 1970; -1: not said
    cdef bint local
    cdef Slot activity
    cdef Slot duration
    cdef Slot query

    def __cinit__(self, artifact):
        self.feed = artifact.feed
        self.account = artifact.account
        self.lines = Lines(artifact)
        self.tables = {}
        self.day = -1

    cdef int directive(self, bytes text) except -1:
        """A line that begins with `#`."""
        cdef int i, kind
        name, _, value = text.partition(b":")
        name = name.lower()
        value = value.strip()
        if name in (b"#date", b"#start-date") and len(value) >= 10:
            self.day = _day(value)
        elif name == b"#time format":
            self.local = value.lower() == b"local"
        elif name == b"#fields":
            fields = value.decode("utf-8", "replace").split()
            if len(fields) > MOST_FIELDS:
                self.count = 0
                return 0
            lower = [field.lower() for field in fields]
            flow = "src-ip" in lower and "cs-method" not in lower
            table = "network_activity" if flow else "http_activity"
            if table not in self.tables:
                self.tables[table] = TextRows(table)
            self.out = self.tables[table]
            self.count = len(fields)
            self.activity = self.out.slot("activity_id")
            self.query = self.out.slot("url_query")
            self.duration = self.out.slot("duration_s")
            self.slots = []
            taken = set()
            for i in range(self.count):
                field = lower[i]
                column = (FLOW if flow else WEB).get(field)
                if column is None or column in taken:
                    # No field's own name may be that of a column by chance.
                    column = fields[i]
                    if column in TABLES[table].schema.names:
                        column = f"w3c.{column}"
                taken.add(column)
                self.slots.append(self.out.slot(column))
                kind = 0
                if field == "date":
                    kind = 1
                elif field == "time":
                    kind = 2
                elif field == "cs(user-agent)":
                    kind = 3
                elif field == "time-taken":
                    kind = 4
                elif field == "cs-method":
                    kind = 5
                elif field == "path" or field == "action":
                    kind = 6
                elif field == "cs-uri":
                    kind = 7
                elif field == "cs-version":
                    kind = 8
                self.kinds[i] = kind
        return 0

    cdef int begin(self) except -1:
        if self.feed.peek(3) == b"\xef\xbb\xbf":
            self.feed.advance(3)
            self.account.bytes_structure += 3
        return 0

    cdef int broke(self) except -1:
        if self.out is not None:
            self.out.rows.give_up()
        return 0

    cdef int turn(self) except -1:
        cdef Line line
        cdef Record record
        cdef int i
        cdef const char* why
        for i in range(PER_TURN):
            if not self.lines.next(&line):
                return 0
            if line.n == 0 or line.p[0] == 35:
                self.account.bytes_structure += self.lines.held
                if line.n:
                    self.directive((<const char*>line.p)[:line.n])
                continue
            self.account.records += 1
            self.account.bytes_records += self.lines.held
            why = b"no #Fields: before it"
            if self.out is not None and self.count:
                memset(&record, 0, sizeof(Record))
                record.offset = line.offset
                record.length = self.lines.held
                record.p = line.p
                record.n = line.n
                record.flags = TRUNCATED if line.cut else 0
                if self.fields(line.p, line.p + line.n, &record):
                    self.out.done(&record)
                    self.account.in_rows += 1
                    if self.out.rows.full():
                        break
                    continue
                self.out.rows.give_up()
                self.out.repaired = 0
                why = b"not the fields that #Fields: names"
            self.account.damage(
                line.offset, self.lines.held, b"line", why, line.p, min(line.n, <Py_ssize_t>RAW)
            )
        return 1

    cdef bint fields(self, const uint8_t* p, const uint8_t* end, Record* record) except -1:
        """Puts the fields of a line; False where they are not as many as were named."""
        cdef int count = 0
        cdef const uint8_t* start
        cdef const void* blank
        cdef Py_ssize_t n
        cdef int64_t day = self.day, value, us = 0
        cdef int second = -1
        cdef bytes text
        cdef Slot slot
        while p < end:
            blank = memchr(p, 32, end - p)
            start = p
            p = end if blank is NULL else <const uint8_t*>blank
            n = p - start
            if p < end:
                p += 1
            elif blank is NULL and n == 0:
                break
            if count == self.count:
                if n == 0:
                    continue
                return False
            slot = <Slot>self.slots[count]
            count += 1
            if n == 0 or (n == 1 and start[0] == 45):
                continue
            if self.kinds[count - 1] == 0:
                self.out.put(slot, start, n)
            elif self.kinds[count - 1] == 1:
                if n != 10 or four(start) < 1 or not month_has(
                    four(start), two(start + 5), two(start + 8)
                ):
                    return False
                day = days_from_civil(four(start), two(start + 5), two(start + 8))
            elif self.kinds[count - 1] == 2:
                if n < 8:
                    return False
                second = clock_of(start)
                if second < 0:
                    return False
                fraction_at(start + 8, start + n, &us, &record.ns)
            elif self.kinds[count - 1] == 3:
                text = (<const char*>start)[:n].replace(b"+", b" ")
                self.out.put(slot, text, len(text))
            elif self.kinds[count - 1] == 4:
                value = number_at(start, start + n)
                if value < 0:
                    self.out.put(slot, start, n)
                else:
                    text = b"%.3f" % (value / 1000)
                    self.out.put(self.duration, text, len(text))
            elif self.kinds[count - 1] == 5:
                self.out.put(slot, start, n)
                self.out.set(self.activity, activity_of(start, n))
            elif self.kinds[count - 1] == 7:
                blank = memchr(start, 63, n)
                if blank is NULL:
                    self.out.put(slot, start, n)
                else:
                    value = <const uint8_t*>blank - start
                    self.out.put(slot, start, value)
                    self.out.put(self.query, start + value + 1, n - value - 1)
            elif self.kinds[count - 1] == 8:
                value = 5 if n > 5 and memcmp(start, b"HTTP/", 5) == 0 else 0
                self.out.put(slot, start + value, n - value)
            else:
                self.out.put(slot, start, n)
                if self.out.table == "network_activity":
                    self.acted(start, n)
        if count < self.count:
            return False
        if day >= 0 and second >= 0:
            record.time = (day * 86400 + second) * 1000000 + us
            record.timed = True
            if self.local:
                record.flags |= ZONE_ASSUMED
        return True

    cdef int acted(self, const uint8_t* p, Py_ssize_t n) except -1:
        """What the firewall did, and which way: OCSF's numbers."""
        if n == 5 and memcmp(p, b"ALLOW", 5) == 0:
            self.out.set(self.out.slot("action_id"), 1)
            self.out.set(self.activity, 1)
        elif n == 4 and memcmp(p, b"DROP", 4) == 0:
            self.out.set(self.out.slot("action_id"), 2)
            self.out.set(self.activity, 5)
        elif n == 7 and memcmp(p, b"RECEIVE", 7) == 0:
            self.out.set(self.out.slot("direction_id"), 1)
        elif n == 4 and memcmp(p, b"SEND", 4) == 0:
            self.out.set(self.out.slot("direction_id"), 2)
        return 0


def _day(bytes text):
    cdef const uint8_t* p = text
    if four(p) < 1 or not month_has(four(p), two(p + 5), two(p + 8)):
        return -1
    return days_from_civil(four(p), two(p + 5), two(p + 8))


def read(artifact):
    """Yields rows of `http_activity` and `network_activity`, in the order of the lines.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; the rows before that were yielded.
    """
    cdef _Reader reader = _Reader(artifact)
    yield from reader.batches()


PARSER = Parser(
    "w3c",
    VERSION,
    match,
    ("http_activity", "network_activity"),
    read,
    files=("*/logfiles/*.log", "*/u_ex*.log", "*/ex??????.log", "*/httperr*.log",
           "*/pfirewall.log*"),
    rank=Rank.LOGS,
    text=True,
)
