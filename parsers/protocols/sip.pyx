"""SIP (RFC 3261) over UDP and TCP: a request and what is answered to it is a row of
net_service_activity.

Rows are those of Zeek's sip.log: one for each answer, a provisional one too, with the request as it
was said last; one for a request that was not answered when the flow ends.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcmp

from tracelake.native.account cimport Account
from tracelake.native.columns cimport DictColumn, IntColumn, ListColumn, TextColumn
from tracelake.parsers.conn cimport Place
from tracelake.parsers.protocols.netservice cimport NETWORK, TRAFFIC, ServiceSheet
from tracelake.parsers.protocols.protocol cimport (
    MORE, NO, YES, Guess, Protocol, Talk, confirm, give_up, place,
)
from tracelake.parsers.protocols.sheet cimport Sheets
from tracelake.parsers.protocols.words cimport (
    Word, no_word, put_held, put_text, set_word,
)
from tracelake.parsers.services cimport service

cdef int SERVICE = service("sip")

cdef enum:
    TCP = 6
    LONGEST_LINE = 8192
    MAX_HEADERS = 256
    MAX_PATH = 16               # Via headers that a row has of either side
    LONGEST_BODY = 1 << 20


cdef struct Path:
    int count
    Word[MAX_PATH] hops


cdef struct Exchange:
    bint open
    Place place
    Word method
    Word uri
    Word date
    Word request_from
    Word request_to
    Word response_from
    Word response_to
    Word reply_to
    Word call_id
    Word seq
    Word subject
    Word user_agent
    Word status_text
    Word warning
    Word content_type
    int status                  # -1: none
    int64_t request_length      # -1: not said
    int64_t response_length
    Path[2] paths               # of the request, of the response


cdef int64_t _digits(const uint8_t* p, int64_t n) noexcept nogil:
    cdef int64_t i, value = 0
    for i in range(n):
        if not 48 <= p[i] <= 57 or i > 9:
            break
        value = value * 10 + p[i] - 48
    return value


cdef bint _named(const uint8_t* p, int64_t n, const char* name, int length) noexcept nogil:
    """Whether a header's name is this one, which is given in small letters."""
    cdef int i
    if n != length:
        return False
    for i in range(length):
        if (p[i] | 0x20 if 65 <= p[i] <= 90 else p[i]) != (<const uint8_t*>name)[i]:
            return False
    return True


cdef int64_t _before(const uint8_t* p, int64_t n, const char* parameter, int length) noexcept nogil:
    """Length of what stands before `;parameter` or `; parameter`."""
    cdef int64_t i
    for i in range(n - length):
        if p[i] != b";":
            continue
        if memcmp(p + i + 1, parameter, length) == 0:
            return i
        if p[i + 1] == b" " and i + 2 + length <= n and memcmp(p + i + 2, parameter, length) == 0:
            return i
    return n


cdef Guess _is_message(const uint8_t* p, int64_t n) noexcept nogil:
    """A status line, or a request line that ends with the version."""
    cdef const uint8_t* end
    cdef int64_t i = 0, line
    if n < 1:
        return MORE
    if n >= 8 and memcmp(p, b"SIP/2.0 ", 8) == 0:
        return YES
    while i < n and i < 16 and 65 <= p[i] <= 90:
        i += 1
    if i == n:
        return MORE if n < 16 else NO
    if i < 3:
        return NO
    if p[i] != b" ":
        # A status line that is not all there.
        return MORE if n < 8 and memcmp(p, b"SIP/2.0 ", n) == 0 else NO
    end = <const uint8_t*>memchr(p, b"\n", n)
    if end is NULL:
        return MORE if n < 512 else NO
    line = end - p - (1 if end[-1] == b"\r" else 0)
    return YES if line > 8 + i and memcmp(p + line - 8, b" SIP/2.0", 8) == 0 else NO


cdef class Sip(Protocol):
    cdef ServiceSheet sheet
    cdef IntColumn trans_depth, reply_code, request_len, response_len
    cdef DictColumn command, date, seq, user_agent, content_type
    cdef TextColumn uri, request_from, request_to, response_from, response_to, reply_to, call_id
    cdef TextColumn subject, reply, warning
    cdef ListColumn request_path, response_path

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "sip"
        self.ports = (5060,)
        self.longest = LONGEST_BODY
        self.sheet = ServiceSheet(sheets)
        rows = self.sheet.rows
        self.trans_depth = rows.column("trans_depth")
        self.reply_code = rows.column("reply_code")
        self.request_len = rows.column("request_len")
        self.response_len = rows.column("response_len")
        self.command = rows.column("command")
        self.date = rows.column("date")
        self.seq = rows.column("seq")
        self.user_agent = rows.column("user_agent")
        self.content_type = rows.column("content_type")
        self.uri = rows.column("uri")
        self.request_from = rows.column("request_from")
        self.request_to = rows.column("request_to")
        self.response_from = rows.column("response_from")
        self.response_to = rows.column("response_to")
        self.reply_to = rows.column("reply_to")
        self.call_id = rows.column("call_id")
        self.subject = rows.column("subject")
        self.reply = rows.column("reply")
        self.warning = rows.column("warning")
        self.request_path = rows.column("request_path")
        self.response_path = rows.column("response_path")

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        cdef Guess guess = _is_message(orig if n else resp, n if n else m)
        if guess == MORE and t.flow.protocol != TCP:
            return NO
        return guess

    cdef int begin(self, Talk* t) except -1 nogil:
        t.state = calloc(1, sizeof(Exchange))
        if t.state is NULL:
            with gil:
                raise MemoryError("a SIP exchange")
        return 0

    cdef int end(self, Talk* t) except -1 nogil:
        cdef Exchange* x = <Exchange*>t.state
        if x is NULL:
            return 0
        try:
            if x.open:
                self._row(t, x)
        finally:
            free(x)
            t.state = NULL
        return 0

    cdef int datagram(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef int64_t body = 0
        if _is_message(p, n) == YES:
            self._message(t, side, 0, p, n, &body)
        return 0

    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        """A message ends with an empty line and as many bytes as it says."""
        cdef int64_t at = 0, head, body = 0
        while at < n and not t.gone:
            if p[at] == b"\r" or p[at] == b"\n":
                at += 1             # keep-alive (RFC 5626, section 3.5.1)
                continue
            head = self._head(p + at, n - at)
            if head == 0:
                if n - at > LONGEST_LINE * 8:
                    give_up(t)
                    break
                break               # looked through again with what comes next: it is short
            if _is_message(p + at, head) != YES:
                give_up(t)
                break
            self._message(t, side, at, p + at, head, &body)
            at += head
            if body > n - at:
                t.half[side].skip = body - (n - at)
                return n
            at += body
        return at

    cdef int64_t _head(self, const uint8_t* p, int64_t n) noexcept nogil:
        """Bytes up to and with the empty line; 0 where it is not there."""
        cdef const uint8_t* end = p
        while True:
            end = <const uint8_t*>memchr(end, b"\n", n - (end - p))
            if end is NULL:
                return 0
            end += 1
            if end - p < n and end[0] == b"\n":
                return end + 1 - p
            if n - (end - p) >= 2 and end[0] == b"\r" and end[1] == b"\n":
                return end + 2 - p
            if end - p >= n:
                return 0

    cdef int _message(
        self, Talk* t, int side, int64_t at, const uint8_t* p, int64_t n, int64_t* body
    ) except -1 nogil:
        cdef Exchange* x = <Exchange*>t.state
        cdef bint reply = n >= 8 and memcmp(p, b"SIP/2.0 ", 8) == 0
        cdef const uint8_t* end
        cdef const uint8_t* colon
        cdef const uint8_t* value
        cdef int64_t i = 0, line
        cdef int headers = 0
        confirm(t, SERVICE)
        if not x.open:
            self._open(x)
            x.place = place(t, side, at)
        body[0] = 0
        while i < n and headers < MAX_HEADERS:
            end = <const uint8_t*>memchr(p + i, b"\n", n - i)
            line = (end - p if end is not NULL else n) - i
            if line and p[i + line - 1] == b"\r":
                line -= 1
            if line == 0:
                break
            if headers == 0:
                self._first(x, reply, p + i, line)
            else:
                colon = <const uint8_t*>memchr(p + i, b":", line)
                if colon is not NULL:
                    value = colon + 1
                    while value < p + i + line and (value[0] == b" " or value[0] == b"\t"):
                        value += 1
                    self._header(
                        x, reply, p + i, colon - p - i, value, p + i + line - value, body
                    )
            headers += 1
            i = end + 1 - p if end is not NULL else n
        if reply:
            self._row(t, x)
            if x.status < 100 or x.status >= 200 or x.method.n < 0:
                x.open = False
        return 0

    cdef void _open(self, Exchange* x) noexcept nogil:
        x.open = True
        no_word(&x.method)
        no_word(&x.uri)
        no_word(&x.date)
        no_word(&x.request_from)
        no_word(&x.request_to)
        no_word(&x.response_from)
        no_word(&x.response_to)
        no_word(&x.reply_to)
        no_word(&x.call_id)
        no_word(&x.seq)
        no_word(&x.subject)
        no_word(&x.user_agent)
        no_word(&x.status_text)
        no_word(&x.warning)
        no_word(&x.content_type)
        x.status = -1
        x.request_length = x.response_length = -1
        x.paths[0].count = x.paths[1].count = 0

    cdef void _first(self, Exchange* x, bint reply, const uint8_t* p, int64_t n) noexcept nogil:
        """The request line or the status line (sections 7.1 and 7.2)."""
        cdef const uint8_t* blank
        if reply:
            x.status = <int>_digits(p + 8, min(n - 8, 3))
            if n > 12:
                set_word(&x.status_text, p + 12, n - 12)
            return
        blank = <const uint8_t*>memchr(p, b" ", n)
        if blank is NULL or n - (blank - p) < 9:
            return
        set_word(&x.method, p, blank - p)
        set_word(&x.uri, blank + 1, n - 8 - (blank + 1 - p))

    cdef void _header(
        self, Exchange* x, bint reply, const uint8_t* name, int64_t length, const uint8_t* p,
        int64_t n, int64_t* body,
    ) noexcept nogil:
        cdef Path* path = &x.paths[1 if reply else 0]
        while length and (name[length - 1] == b" " or name[length - 1] == b"\t"):
            length -= 1
        if _named(name, length, b"via", 3) or _named(name, length, b"v", 1):
            if path.count < MAX_PATH:
                set_word(&path.hops[path.count], p, _before(p, n, b"branch", 6))
                path.count += 1
        elif _named(name, length, b"from", 4) or _named(name, length, b"f", 1):
            set_word(&x.response_from if reply else &x.request_from, p, _before(p, n, b"tag=", 4))
        elif _named(name, length, b"to", 2) or _named(name, length, b"t", 1):
            set_word(&x.response_to if reply else &x.request_to, p, n)
        elif _named(name, length, b"content-length", 14) or _named(name, length, b"l", 1):
            body[0] = _digits(p, n)
            if reply:
                x.response_length = body[0]
            else:
                x.request_length = body[0]
        elif reply:
            if _named(name, length, b"content-type", 12) or _named(name, length, b"c", 1):
                set_word(&x.content_type, p, n)
            elif _named(name, length, b"warning", 7):
                set_word(&x.warning, p, n)
        elif _named(name, length, b"call-id", 7) or _named(name, length, b"i", 1):
            set_word(&x.call_id, p, n)
        elif _named(name, length, b"cseq", 4):
            set_word(&x.seq, p, n)
        elif _named(name, length, b"date", 4):
            set_word(&x.date, p, n)
        elif _named(name, length, b"reply-to", 8):
            set_word(&x.reply_to, p, n)
        elif _named(name, length, b"subject", 7) or _named(name, length, b"s", 1):
            set_word(&x.subject, p, n)
        elif _named(name, length, b"user-agent", 10):
            set_word(&x.user_agent, p, n)

    cdef int _row(self, Talk* t, Exchange* x) except -1 nogil:
        cdef Py_ssize_t row = self.sheet.begin(t.flow, &x.place, NETWORK, TRAFFIC, b"sip")
        self.trans_depth.put(row, 0)
        put_held(self.command, row, &x.method)
        self._put(self.uri, row, &x.uri)
        put_held(self.date, row, &x.date)
        self._put(self.request_from, row, &x.request_from)
        self._put(self.request_to, row, &x.request_to)
        self._put(self.response_from, row, &x.response_from)
        self._put(self.response_to, row, &x.response_to)
        self._put(self.reply_to, row, &x.reply_to)
        self._put(self.call_id, row, &x.call_id)
        put_held(self.seq, row, &x.seq)
        self._put(self.subject, row, &x.subject)
        self._path(self.request_path, row, &x.paths[0])
        self._path(self.response_path, row, &x.paths[1])
        put_held(self.user_agent, row, &x.user_agent)
        if x.status >= 0:
            self.reply_code.put(row, x.status)
            self._put(self.reply, row, &x.status_text)
            if x.status >= 200:
                self.sheet.status_id.put(row, 1 if x.status < 400 else 2)
        self._put(self.warning, row, &x.warning)
        if x.request_length >= 0:
            self.request_len.put(row, x.request_length)
        if x.response_length >= 0:
            self.response_len.put(row, x.response_length)
        put_held(self.content_type, row, &x.content_type)
        return self.sheet.done()

    cdef inline int _put(self, TextColumn c, Py_ssize_t row, const Word* w) except -1 nogil:
        return put_text(c, row, w.text, w.n) if w.n >= 0 else 0

    cdef int _path(self, ListColumn c, Py_ssize_t row, const Path* path) except -1 nogil:
        cdef Py_ssize_t item = c.open(row)
        cdef int i
        for i in range(path.count):
            put_text(<TextColumn>c.items, item + i, path.hops[i].text, path.hops[i].n)
        return c.close(item + path.count)
