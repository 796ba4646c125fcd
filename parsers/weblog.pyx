r"""Access logs of web servers and proxies: a row of `http_activity` for each request.

    common        host ident user [dd/Mon/yyyy:hh:mm:ss zone] "request" status bytes
    combined      ... "referrer" "user agent"         (Apache's mod_log_config, nginx' combined)
    vhost         server:port in front of either      (Apache's vhost_combined)
    Confluence    [time] user thread host method url version status ms bytes referrer agent
                  [time] forwarded user thread host method ...            (since 7.11)
    squid         seconds.ms elapsed client result/status bytes method url user peer/host type

Specifications: httpd.apache.org/docs/2.4/mod/mod_log_config.html, nginx.org's
ngx_http_log_module, wiki.squid-cache.org/Features/LogFormat (native format).

What an administrator added behind the combined format is kept in `unmapped` as field_1, field_2.
Escapes (`\"`, `\x16`) stay as they were logged. A request that is none of HTTP (a TLS greeting, an
empty one) has its text in `unmapped` as `request`. A line of another shape is damage.
"""

import re

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memchr, memcmp, memset

from tracelake.native.account cimport Account
from tracelake.native.feed cimport Feed
from tracelake.native.text cimport days_from_civil
from tracelake.parsers.artifact import Match, Parser, Rank
from tracelake.parsers.flags cimport TRUNCATED
from tracelake.parsers.textlines cimport (
    Line, Lines, clock_of, digit, four, month_has, month_of, number_at, two,
)
from tracelake.parsers.textrows cimport (
    Piece, Record, Slot, TextReader, TextRows, looks_like_address
)
from tracelake.parsers.webactivity cimport activity_of

VERSION = "1"

cdef int RAW = 4096                     # bytes of a line that damage keeps
cdef int PER_TURN = 4096

cdef enum:
    MOST_WORDS = 64

MONTH = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
TIME = rb"\[\d\d/" + MONTH + rb"/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "
ACCESS = re.compile(
    rb"\S+ \S+ .{0,256}?" + TIME + rb'"'
    rb"|" + TIME + rb"\S+ \S+ \S+ (?:\S+ )?[A-Z]{3,16} \S+ HTTP/\S+ \d{3} \d+"
    rb"|\d{9,10}\.\d{3} +-?\d+ \S+ [A-Z_]+/\d{3} \d+ \S+ \S+ \S+ \S+/\S+ \S+"
)

cdef int OTHER_METHOD = 99


def match(head, path):
    """How sure it is that an artifact is an access log, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: its path inside its source (not looked at).
    """
    lines = head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 50)[:50]
    if len(lines) > 1:
        lines.pop()
    lines = [line for line in lines if line.strip()]
    good = sum(ACCESS.match(line) is not None for line in lines)
    if good and good * 2 > len(lines):
        return Match.CONTENT, ""
    return Match.NO, "its lines are not those of an access log"


cdef Py_ssize_t _clf_time(
    const uint8_t* p, const uint8_t* end, Record* record
) noexcept nogil:
    """`[dd/Mon/yyyy:hh:mm:ss +zzzz]`: the bytes that it takes, or 0."""
    cdef int day, month, year, second, hours, minutes
    if end - p < 28 or p[0] != 91 or p[3] != 47 or p[7] != 47 or p[12] != 58 or p[27] != 93:
        return 0
    day = two(p + 1)
    month = month_of(p + 4)
    year = four(p + 8)
    second = clock_of(p + 13)
    hours = two(p + 23)
    minutes = two(p + 25)
    if year < 1 or second < 0 or hours < 0 or minutes < 0 or not month_has(year, month, day):
        return 0
    if p[22] != 43 and p[22] != 45:
        return 0
    hours = hours * 3600 + minutes * 60
    record.time = 1000000 * (
        days_from_civil(year, month, day) * 86400 + second + (hours if p[22] == 45 else -hours)
    )
    record.timed = True
    return 28


cdef int _words(const uint8_t* p, const uint8_t* end, Piece* words) noexcept nogil:
    """Splits at blanks; text in quotes is one word, without them. The last takes what is left."""
    cdef int count = 0
    cdef const uint8_t* start
    while p < end and count < MOST_WORDS:
        while p < end and p[0] == 32:
            p += 1
        if p >= end:
            break
        start = p
        if p[0] == 34:
            start = p + 1
            p = start
            while p < end and p[0] != 34:
                p += 2 if p[0] == 92 and p + 1 < end else 1
            words[count].p = start
            words[count].n = min(p, end) - start
            p += 1
        else:
            while p < end and p[0] != 32:
                p += 1
            words[count].p = start
            words[count].n = p - start
        count += 1
    if p < end:
        # More words than anyone logs: the last one takes all that is left.
        words[count - 1].n = end - words[count - 1].p
    return count


cdef inline bint _none(const Piece* piece) noexcept nogil:
    return piece.n == 0 or (piece.n == 1 and piece.p[0] == 45)


cdef class WebRows:
    """Rows of requests, out of the pieces of log lines."""
    cdef TextRows out
    cdef Slot ip, user, method, version, path, query, url, scheme, host, port, status, sent
    cdef Slot referrer, agent, ident, request, activity, duration, forwarded, mime, hostname
    cdef list extra

    def __cinit__(self):
        cdef TextRows out = TextRows("http_activity")
        self.out = out
        self.ip = out.slot("src_ip")
        self.user = out.slot("user_name")
        self.method = out.slot("http_method")
        self.version = out.slot("http_version")
        self.path = out.slot("url_path")
        self.query = out.slot("url_query")
        self.url = out.slot("url")
        self.host = out.slot("url_hostname")
        self.port = out.slot("dst_port")
        self.status = out.slot("status_code")
        self.sent = out.slot("response_len")
        self.referrer = out.slot("referrer")
        self.agent = out.slot("user_agent")
        self.ident = out.slot("ident")
        self.request = out.slot("request")
        self.activity = out.slot("activity_id")
        self.duration = out.slot("duration_s")
        self.forwarded = out.slot("forwarded_for")
        self.mime = out.slot("resp_mime")
        self.hostname = out.slot("dst_hostname")
        self.extra = [out.slot(f"field_{i}") for i in range(1, MOST_WORDS + 1)]

    cdef int put(self, Slot slot, const Piece* piece) except -1:
        if not _none(piece):
            self.out.put(slot, piece.p, piece.n)
        return 0

    cdef int target(self, const uint8_t* p, Py_ssize_t n) except -1:
        """What was asked for: a path and a query, or a whole URL."""
        cdef const void* mark
        cdef const uint8_t* slash = p
        cdef const uint8_t* end = p + n
        cdef const uint8_t* last = end
        if n > 0 and p[0] != 47 and p[0] != 42:
            self.out.put(self.url, p, n)
            # http://host:port/path
            slash = <const uint8_t*>memchr(p, 58, n)
            if slash is not NULL and end - slash > 3 and slash[1] == 47 and slash[2] == 47:
                p = slash + 3
                slash = <const uint8_t*>memchr(p, 47, end - p)
                if slash is NULL:
                    slash = end
                # Without the port, but for an address in brackets.
                end = slash
                while end > p and digit(end[-1]):
                    end -= 1
                self.out.put(self.host, p, end - 1 - p if end > p and end[-1] == 58 else slash - p)
                end = last
                p = slash
            else:
                return 0                    # host:port of CONNECT
        mark = memchr(p, 63, end - p) if end > p else NULL
        if mark is NULL:
            if end > p:
                self.out.put(self.path, p, end - p)
        else:
            self.out.put(self.path, p, <const uint8_t*>mark - p)
            p = <const uint8_t*>mark + 1
            if end > p:
                self.out.put(self.query, p, end - p)
        return 0

    cdef int asked(self, const uint8_t* p, Py_ssize_t n) except -1:
        """`METHOD target HTTP/1.1`."""
        cdef const uint8_t* end = p + n
        cdef const uint8_t* at = p
        cdef const uint8_t* last = end
        while at < end and ((at[0] >= 65 and at[0] <= 90) or at[0] in (45, 95)):
            at += 1
        if at == p or at >= end or at[0] != 32 or at - p > 32:
            if n and not (n == 1 and p[0] == 45):
                self.out.put(self.request, p, n)
            self.out.set(self.activity, 0)
            return 0
        self.out.put(self.method, p, at - p)
        self.out.set(self.activity, activity_of(p, at - p))
        at += 1
        while last > at and last[-1] != 32:
            last -= 1
        if last > at and end - last > 5 and memcmp(last, b"HTTP/", 5) == 0:
            self.out.put(self.version, last + 5, end - last - 5)
            last -= 1
        else:
            last = end
        return self.target(at, last - at)


cdef bint _named(const Piece* piece) noexcept nogil:
    """Whether it can be a server's name and port: not an address, a dot or a colon in it."""
    return not looks_like_address(piece.p, piece.n) and (
        memchr(piece.p, 58, piece.n) is not NULL or memchr(piece.p, 46, piece.n) is not NULL
    )


cdef class _Reader(TextReader):
    cdef Lines lines
    cdef WebRows web
    cdef TextRows out

    def __cinit__(self, artifact):
        self.feed = artifact.feed
        self.account = artifact.account
        self.lines = Lines(artifact)
        self.web = WebRows()
        self.out = self.web.out
        self.tables = {"http_activity": self.out}

    cdef int begin(self) except -1:
        if self.feed.peek(3) == b"\xef\xbb\xbf":
            self.feed.advance(3)
            self.account.bytes_structure += 3
        return 0

    cdef int broke(self) except -1:
        self.out.rows.give_up()
        return 0

    cdef int turn(self) except -1:
        cdef Line line
        cdef Record record
        cdef int i, why
        for i in range(PER_TURN):
            if not self.lines.next(&line):
                return 0
            if line.n == 0:
                self.account.bytes_structure += self.lines.held
                continue
            self.account.records += 1
            self.account.bytes_records += self.lines.held
            memset(&record, 0, sizeof(Record))
            record.offset = line.offset
            record.length = self.lines.held
            record.p = line.p
            record.n = line.n
            record.flags = TRUNCATED if line.cut else 0
            if line.p[0] == 91:
                why = self.confluence(line.p, line.p + line.n, &record)
            elif digit(line.p[0]) and line.n > 14 and (
                (line.p[10] == 46 or line.p[9] == 46) and number_at(line.p, line.p + 10) > 99999999
            ):
                why = self.squid(line.p, line.p + line.n, &record)
            else:
                why = self.common(line.p, line.p + line.n, &record)
            if why == 0:
                self.out.done(&record)
                self.account.in_rows += 1
                if self.out.rows.full():
                    break
                continue
            self.out.rows.give_up()
            self.out.repaired = 0
            self.account.damage(
                line.offset, self.lines.held, b"line", b"not of an access log", line.p,
                min(line.n, <Py_ssize_t>RAW),
            )
        return 1

    cdef int common(self, const uint8_t* p, const uint8_t* end, Record* record) except -1:
        """Common and combined format; 1 where it is not."""
        cdef Piece[MOST_WORDS] words
        cdef Piece user
        cdef const uint8_t* at = p
        cdef const uint8_t* bracket
        cdef const void* found
        cdef Py_ssize_t took = 0
        cdef int count, first = 0, i
        cdef Piece* rest
        cdef const void* colon
        while at < end:
            found = memchr(at, 91, end - at)
            if found is NULL:
                return 1
            at = <const uint8_t*>found
            took = _clf_time(at, end, record)
            if took:
                break
            at += 1
        if not took:
            return 1
        bracket = at
        count = _words(p, at, words)
        if count < 3:
            return 1
        if count > 3 and _named(&words[0]) and (
            looks_like_address(words[1].p, words[1].n) or count == 4
        ):
            # A virtual host, perhaps with its port, stands in front.
            first = 1
            colon = memchr(words[0].p, 58, words[0].n)
            if colon is not NULL:
                at = <const uint8_t*>colon + 1
                self.web.out.put(self.web.port, at, words[0].p + words[0].n - at)
                words[0].n = <const uint8_t*>colon - words[0].p
            self.web.put(self.web.host, &words[0])
        self.web.put(self.web.ip, &words[first])
        self.web.put(self.web.ident, &words[first + 1])
        # A user's name may hold blanks.
        user.p = words[first + 2].p
        user.n = bracket - user.p
        while user.n and (user.p[user.n - 1] == 32 or user.p[user.n - 1] == 34):
            user.n -= 1
        self.web.put(self.web.user, &user)
        at = bracket + took
        count = _words(at, end, words)
        if count < 1:
            return 1
        while at < end and at[0] == 32:
            at += 1
        if at >= end or at[0] != 34:
            return 1
        if words[0].p + words[0].n >= end:
            record.flags |= TRUNCATED           # the quote is not closed
        self.web.asked(words[0].p, words[0].n)
        rest = words
        for i in range(1, count):
            if i == 1:
                self.web.put(self.web.status, &words[1])
            elif i == 2:
                self.web.put(self.web.sent, &words[2])
            elif i == 3:
                self.web.put(self.web.referrer, &words[3])
            elif i == 4:
                self.web.put(self.web.agent, &words[4])
            else:
                self.web.put(<Slot>self.web.extra[i - 5], &words[i])
        if count < 3:
            record.flags |= TRUNCATED
        return 0

    cdef int confluence(self, const uint8_t* p, const uint8_t* end, Record* record) except -1:
        """The time first, nothing in quotes; 1 where it is not."""
        cdef Piece[MOST_WORDS] words
        cdef Piece piece
        cdef Py_ssize_t took = _clf_time(p, end, record)
        cdef int count, verb = -1, i
        cdef int64_t taken
        if not took:
            return 1
        count = _words(p + took, end, words)
        # The method stands after user, thread and host, and the forwarded address before them.
        for i in range(3, min(count - 5, 6)):
            if words[i + 2].n > 5 and memcmp(words[i + 2].p, b"HTTP/", 5) == 0:
                verb = i
                break
        if verb < 0:
            return 1
        if verb > 3:
            self.web.put(self.web.forwarded, &words[verb - 4])
        self.web.put(self.web.user, &words[verb - 3])
        self.web.put(self.out.slot("thread"), &words[verb - 2])
        self.web.put(self.web.ip, &words[verb - 1])
        self.web.put(self.web.method, &words[verb])
        self.out.set(self.web.activity, activity_of(words[verb].p, words[verb].n))
        self.web.target(words[verb + 1].p, words[verb + 1].n)
        self.out.put(self.web.version, words[verb + 2].p + 5, words[verb + 2].n - 5)
        self.web.put(self.web.status, &words[verb + 3])
        taken = number_at(words[verb + 4].p, words[verb + 4].p + words[verb + 4].n)
        if taken >= 0:
            text = b"%.3f" % (taken / 1000)
            self.out.put(self.web.duration, text, len(text))
        self.web.put(self.web.sent, &words[verb + 5])
        if count > verb + 6:
            self.web.put(self.web.referrer, &words[verb + 6])
        if count > verb + 7:
            # The rest of the line, blanks and all.
            piece.p = words[verb + 7].p
            piece.n = end - piece.p
            self.web.put(self.web.agent, &piece)
        return 0

    cdef int squid(self, const uint8_t* p, const uint8_t* end, Record* record) except -1:
        """Squid's native format; 1 where it is not."""
        cdef Piece[MOST_WORDS] words
        cdef Piece piece
        cdef int count = _words(p, end, words), i
        cdef int64_t seconds, taken
        cdef const uint8_t* dot
        cdef const uint8_t* slash
        if count < 9:
            return 1
        seconds = number_at(p, end)
        dot = <const uint8_t*>memchr(p, 46, words[0].n)
        slash = <const uint8_t*>memchr(words[3].p, 47, words[3].n)
        if dot is NULL or slash is NULL or seconds < 0 or words[0].n - (dot - p) != 4:
            return 1
        taken = number_at(dot + 1, words[0].p + words[0].n)
        if taken < 0:
            return 1
        record.time = seconds * 1000000 + taken * 1000
        record.timed = True
        taken = number_at(words[1].p, words[1].p + words[1].n)
        if taken >= 0:
            text = b"%.3f" % (taken / 1000)
            self.out.put(self.web.duration, text, len(text))
        self.web.put(self.web.ip, &words[2])
        self.out.put(self.out.slot("result"), words[3].p, slash - words[3].p)
        piece.p = slash + 1
        piece.n = words[3].p + words[3].n - piece.p
        self.web.put(self.web.status, &piece)
        self.web.put(self.web.sent, &words[4])
        self.web.put(self.web.method, &words[5])
        self.out.set(self.web.activity, activity_of(words[5].p, words[5].n))
        self.web.target(words[6].p, words[6].n)
        self.web.put(self.web.user, &words[7])
        slash = <const uint8_t*>memchr(words[8].p, 47, words[8].n)
        if slash is NULL:
            self.web.put(self.out.slot("hierarchy"), &words[8])
        else:
            self.out.put(self.out.slot("hierarchy"), words[8].p, slash - words[8].p)
            piece.p = slash + 1
            piece.n = words[8].p + words[8].n - piece.p
            if not _none(&piece):
                self.out.put(self.out.slot("dst_ip"), piece.p, piece.n)
        if count > 9:
            self.web.put(self.web.mime, &words[9])
        for i in range(10, count):
            self.web.put(<Slot>self.web.extra[i - 10], &words[i])
        return 0


def read(artifact):
    """Yields rows of `http_activity`, in the order of the lines.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; the rows before that were yielded.
    """
    cdef _Reader reader = _Reader(artifact)
    yield from reader.batches()


PARSER = Parser(
    "weblog",
    VERSION,
    match,
    ("http_activity",),
    read,
    files=(
        "*access*log*", "*access_log*", "*/apache2/*", "*/httpd/*", "*/nginx/*.log*",
        "*/squid/*", "*/log/lighttpd/*",
    ),
    rank=Rank.LOGS,
    text=True,
)
