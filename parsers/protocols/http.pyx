"""HTTP/1.x (RFC 9110, 9112) and HTTP/0.9: requests, responses, and the files that they carry.

    request  = method SP target SP HTTP-version CRLF *(header CRLF) CRLF [body]
    response = HTTP-version SP status [SP reason] CRLF *(header CRLF) CRLF [body]

A row is a request with its response. Which belongs to which, when a row is written and what is
counted follows Zeek: requests that wait are answered in their order; informational responses (1xx)
end none; a body's length is what was seen of it, unpacked. What the capture lacks inside of a body
is counted; elsewhere the side can not be read on.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memchr, memcmp, memcpy, memset

from tracelake.native.account cimport Account
from tracelake.native.hash64 cimport hash64
from tracelake.parsers.conn cimport ORIG, RESP, Place
from tracelake.parsers.protocols.entity cimport (
    Entity, MULTIPART, Tree, binary, content_type, fell, file_name, line, plant, same, tear,
    token, whole_line,
)
from tracelake.parsers.protocols.files cimport File, Files, files_of
from tracelake.parsers.protocols.http_row cimport (
    DOUBLE_PERCENT, HOST, HttpRows, Exchange, INFO_TEXT, LONE_PERCENT_AT_END, METHOD, PART_AT_END,
    PATH, QUERY, STATUS_TEXT, UNESCAPED_PERCENT, UPGRADE, WHOLE,
)
from tracelake.parsers.protocols.inflate cimport Inflate, end_inflate, inflate
from tracelake.parsers.protocols.protocol cimport (
    MORE, NO, UNDECIDED, YES, Guess, Protocol, Talk, confirm, give_up, hand_over, place,
)
from tracelake.parsers.protocols.sheet cimport Sheets
from tracelake.parsers.protocols.text_slots cimport keep
from tracelake.parsers.services cimport service

cdef int SERVICE = service("http")
cdef int WEBSOCKET = service("websocket")

cdef enum:
    PENDING_LIMIT = 100         # requests without an answer
    WAITING_LIMIT = 65536       # of all connections
    UNANSWERED_LIMIT = 65536
    LINE_LIMIT = 1048576
    NEAR = 10240                # bytes of a side
    NAME_LIMIT = 1024

cdef enum:                      # Side.state: what comes next
    START_LINE = 0
    HEADERS = 1
    BODY = 2                    # `left` bytes
    CHUNK_SIZE = 3
    CHUNK = 4                   # `left` bytes
    CHUNK_END = 5
    TRAILERS = 6
    UNTIL_CLOSE = 7
    PARTS = 8                   # of a multipart body
    NOTHING = 9                 # that can be read

cdef enum:                      # breaches that are noted once a connection
    BAD_REQUEST = 0
    BAD_REQUEST_WITH_VERSION = 1
    VERSION_MISMATCH = 2
    MULTIPLE_REQUESTS = 3
    UNKNOWN_METHOD = 4
    SINGLE_CR = 5
    DOUBLE_PERCENT_IN_URI = 6
    UNESCAPED_PERCENT_IN_URI = 7
    PERCENT_AT_END = 8
    PARTIAL_ESCAPE = 9
    MISSING_URI = 10
    EMPTY_REQUEST = 11
    BAD_CHUNK_SIZE = 12
    OVERLAPPING = 13
    PIPELINING = 14
    RESPONSE_FIRST = 15
    RANGE_LENGTH = 16
    RANGE_POSITION = 17
    RANGE_FORM = 18
    RANGE_UNIT = 19
    BAD_09_METHOD = 20
    DATA_WITH_UPGRADE = 21
    CHUNKED_PARTS = 22
    TOO_TIGHT = 23
    INFLATE_FAILED = 24
    WRONG_ACCEPT = 25

cdef const char* WEIRD[26]
WEIRD[:] = [
    b"bad_HTTP_request", b"bad_HTTP_request_with_version", b"HTTP_version_mismatch",
    b"unexpected_multiple_HTTP_requests", b"unknown_HTTP_method",
    b"line_terminated_with_single_CR", b"double_%_in_URI", b"unescaped_%_in_URI",
    b"illegal_%_at_end_of_URI", b"partial_escape_at_end_of_URI", b"missing_HTTP_uri",
    b"empty_http_request", b"HTTP_bad_chunk_size", b"HTTP_overlapping_messages",
    b"HTTP_excessive_pipelining", b"HTTP_response_before_request", b"HTTP_range_not_matching_len",
    b"HTTP_non_positive_content_range", b"HTTP_content_range_cannot_parse",
    b"HTTP_content_range_unknown_byte_unit", b"invalid_http_09_request_method",
    b"protocol_data_with_HTTP_upgrade_reply", b"HTTP_chunked_transfer_for_multipart_message",
    b"HTTP_content_packed_too_tightly", b"inflate_failed", b"websocket_wrong_accept_header",
]

# Methods of RFC 9110, WebDAV (RFC 4918) and its kin.
cdef const char* METHODS[20]
METHODS[:] = [
    b"GET", b"POST", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE", b"CONNECT", b"PROPFIND",
    b"PROPPATCH", b"MKCOL", b"COPY", b"MOVE", b"LOCK", b"UNLOCK", b"POLL", b"REPORT", b"SUBSCRIBE",
    b"BMOVE", b"SEARCH",
]


cdef struct Side:
    int state
    bint ongoing
    bint chunked
    bint packed                 # Content-Encoding: gzip or deflate
    bint partial                # Content-Range of a 206
    bint bodiless
    bint multipart
    bint shared                 # the file
    bint fresh                  # nothing of it was seen in this flow, and its type was not known
    int64_t left
    int64_t content_length      # -1: not given
    int64_t range_length
    int64_t range_end           # in the file, of the part at hand
    int64_t instance
    int64_t offset              # in the file, of the next byte of a part of it
    int64_t length              # of the body
    int64_t raw                 # as it came
    int64_t scanned             # of the bytes at hand: how many hold no end of line
    int64_t now                 # where the bytes at hand stand in what was offered
    Entity* top                 # what the headers say of the content; NULL where that is nothing
    File* file
    Inflate zip
    Tree parts
    State* state_of             # that this is a side of


cdef struct State:
    Talk* talk
    PyObject* protocol          # borrowed
    Exchange* first             # requests that wait, in order
    Exchange* last
    int64_t request             # number of the current request
    int64_t response
    int64_t depth
    int pending
    int requests
    int status                  # of the response at hand
    int request_version         # major * 10 + minor; -1 before the first
    int response_version
    bint keep_alive
    bint connection_close
    bint connect
    bint raw                    # HTTP/0.9 was asked for
    bint upgrade
    uint8_t upgrade_to[64]
    int upgrade_length
    uint64_t noted
    uint8_t* methods            # of requests without an answer: 1 HEAD
    int method_first
    int method_count
    int method_room
    Side side[2]


cdef inline bint _blank(uint8_t c) noexcept nogil:
    return c == 32 or c == 9


cdef inline bint _digit(uint8_t c) noexcept nogil:
    return 48 <= c <= 57


cdef inline bint _token_char(uint8_t c) noexcept nogil:
    """Of a token (RFC 9110, 5.6.2)."""
    return 32 < c < 127 and not (
        c == 40 or c == 41 or c == 60 or c == 62 or c == 64 or c == 44 or c == 59 or c == 58
        or c == 92 or c == 34 or c == 47 or c == 91 or c == 93 or c == 63 or c == 61 or c == 123
        or c == 125
    )


cdef inline bint _uri_char(uint8_t c) noexcept nogil:
    """Reserved and unreserved characters (RFC 3986, 2.2 and 2.3), and %."""
    if _digit(c) or 97 <= c | 32 <= 122:
        return True
    return c != 0 and memchr(b":/?#[]@!$&'()*+,;=-_.~%", c, 23) is not NULL


cdef int64_t _number(const uint8_t* p, Py_ssize_t n, int base, bint* good) noexcept nogil:
    """The number that digits begin with, at most 2^62; `good` where there is one."""
    cdef int64_t value = 0
    cdef Py_ssize_t i = 0
    cdef int digit
    while i < n and _blank(p[i]):
        i += 1
    good[0] = False
    while i < n:
        digit = p[i] - 48 if _digit(p[i]) else (p[i] | 32) - 87 if 97 <= p[i] | 32 <= 102 else 99
        if digit >= base:
            break
        good[0] = True
        if value > (<int64_t>1 << 62) // base - base:
            return <int64_t>1 << 62
        value = value * base + digit
        i += 1
    return value


cdef int _version(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """`1.1` -> 11; 0 where it is none."""
    if n >= 3 and _digit(p[0]) and p[1] == 46 and _digit(p[2]):
        return (p[0] - 48) * 10 + p[2] - 48
    return 0


# Where the line ends that begins at `p`: the bytes before its end; `next` is where the next begins.
# -1 where its end is not there yet. CR, LF and both end one.
cdef int64_t _line_end(
    Side* s, const uint8_t* p, int64_t n, int64_t* next, bint* single
) noexcept nogil:
    cdef int64_t from_ = s.scanned if s.scanned < n else 0
    cdef const uint8_t* lf = <const uint8_t*>memchr(p + from_, 10, n - from_)
    cdef int64_t end = lf - p if lf is not NULL else n
    cdef const uint8_t* cr = <const uint8_t*>memchr(p + from_, 13, end - from_)
    single[0] = False
    if cr is not NULL:
        if cr + 1 < p + n:
            next[0] = cr - p + 2 if cr[1] == 10 else cr - p + 1
            single[0] = cr[1] != 10
            s.scanned = 0
            return cr - p
        s.scanned = n - 1       # what follows the CR is not there yet
        return -1
    if lf is NULL:
        s.scanned = n
        return -1
    next[0] = end + 1
    s.scanned = 0
    return end


cdef int _on_header(
    void* owner, Entity* e, const uint8_t* name, Py_ssize_t n, const uint8_t* value, Py_ssize_t m
) except -1 nogil:
    """Of a part of a multipart body."""
    cdef Side* s = <Side*>owner
    if s.state_of.status == 206 and s is &s.state_of.side[RESP] and (
        same(name, n, b"content-range")
    ):
        (<Http>s.state_of.protocol)._range(s.state_of, s, value, m)
    return 0


cdef int _on_part(void* owner, Entity* e, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    cdef Side* s = <Side*>owner
    return (<Http>s.state_of.protocol)._content(s.state_of, s, &e.file, e, p, n)


cdef int _on_part_end(void* owner, Entity* e) except -1 nogil:
    cdef Side* s = <Side*>owner
    return (<Http>s.state_of.protocol)._close(s.state_of, s, &e.file)


cdef int _on_clear(void* owner, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    cdef Side* s = <Side*>owner
    s.length += n
    return (<Http>s.state_of.protocol)._content(s.state_of, s, &s.file, s.top, p, n)


cdef class Http(Protocol):
    cdef HttpRows rows
    cdef Files files
    cdef uint64_t secret        # of the keys of shared files

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "http"
        self.ports = (80, 81, 631, 1080, 3128, 8000, 8080, 8888)
        self.longest = LINE_LIMIT
        self.rows = HttpRows(sheets)
        self.files = files_of(sheets)
        self.secret = <uint64_t><size_t><void*>self

    # Whose it is.

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        cdef Guess guess = NO
        if m:
            if m < 8:
                guess = MORE if memcmp(resp, b"HTTP/1.1", m) == 0 or (
                    memcmp(resp, b"HTTP/1.0", m) == 0) else NO
            elif memcmp(resp, b"HTTP/", 5) == 0 and _version(resp + 5, 3):
                return YES
        if n:
            return _request_like(orig, n, _at_home(t))
        return guess

    cdef int begin(self, Talk* t) except -1 nogil:
        cdef State* h = <State*>calloc(1, sizeof(State))
        cdef int i
        if h is NULL:
            with gil:
                raise MemoryError("a connection's requests")
        h.talk = t
        h.protocol = <PyObject*>self
        h.request_version = h.response_version = -1
        h.request = h.response = 0
        t.state = h
        for i in range(2):
            h.side[i].state_of = h
            h.side[i].parts.owner = &h.side[i]
            h.side[i].parts.on_header = _on_header
            h.side[i].parts.on_content = _on_part
            h.side[i].parts.on_end = _on_part_end
        return 0

    cdef int end(self, Talk* t) except -1 nogil:
        cdef State* h = <State*>t.state
        cdef Exchange* x
        cdef int i
        if h is NULL:
            return 0
        try:
            self._done(h, ORIG, True)
            self._done(h, RESP, True)
            while h.first is not NULL:
                x = h.first
                self._take(h, x)
                try:
                    if x.number:
                        self.rows.write(t.flow, x, t.time)
                finally:
                    self.rows.free(x)
        finally:
            while h.first is not NULL:
                x = h.first
                self._take(h, x)
                self.rows.free(x)
            for i in range(2):
                end_inflate(&h.side[i].zip)
                free(h.side[i].top)
            free(h.methods)
            free(h)
            t.state = NULL
        return 0

    # Requests that wait. Numbers are as Zeek gives them: a response that has no request, and a body
    # that ends when its request is gone, make one up.

    cdef Exchange* _current(self, State* h, int side) except NULL nogil:
        cdef int64_t number = h.request if side == ORIG else h.response
        cdef Exchange* x = h.first
        cdef Place found
        while x is not NULL and x.number != number:
            x = x.next
        if x is NULL:
            found = place(h.talk, side, h.side[side].now)
            x = self.rows.make(&found)
            x.number = number
            h.depth += 1
            x.depth = h.depth
            if h.last is NULL:
                h.first = x
            else:
                h.last.next = x
            h.last = x
            h.pending += 1
        return x

    cdef Exchange* _find(self, State* h, int64_t number) noexcept nogil:
        cdef Exchange* x = h.first
        while x is not NULL and x.number != number:
            x = x.next
        return x

    cdef void _take(self, State* h, Exchange* x) noexcept nogil:
        """Takes one out of the list."""
        cdef Exchange* before = h.first
        if before is x:
            h.first = x.next
            before = NULL
        else:
            while before.next is not x:
                before = before.next
            before.next = x.next
        if h.last is x:
            h.last = before
        h.pending -= 1
        x.next = NULL

    cdef int _write(self, State* h, Exchange* x) except -1 nogil:
        self._take(h, x)
        try:
            self.rows.write(h.talk.flow, x, h.talk.time)
        finally:
            self.rows.free(x)
        return 0

    cdef int _note(
        self, State* h, int side, int what, const uint8_t* additional, Py_ssize_t n
    ) except -1 nogil:
        """Notes a breach, once a connection."""
        cdef Place found
        cdef const char* analyzer = b"HTTP"
        if h.noted >> what & 1:
            return 0
        h.noted |= <uint64_t>1 << what
        found = place(h.talk, side, h.side[side].now)
        if what == SINGLE_CR:
            analyzer = b"CONTENTLINE"
        elif what == UNKNOWN_METHOD:
            analyzer = NULL
        return self.sheets.note(h.talk.flow, &found, WEIRD[what], analyzer, additional, n)

    # Bytes.

    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef State* h = <State*>t.state
        cdef Side* s = &h.side[side]
        cdef int64_t at = 0, used
        while at < n and not t.gone and t.following == t.protocol:
            s.now = at
            used = self._step(h, side, p + at, n - at)
            if used <= 0:
                break
            at += used
        s.now = 0
        return at

    cdef int64_t _step(self, State* h, int side, const uint8_t* p, int64_t n) except -1 nogil:
        """Reads what stands next; how many bytes it is, 0 where it is not whole."""
        cdef Side* s = &h.side[side]
        cdef int64_t next = 0, end, part
        cdef bint single
        if s.state == BODY or s.state == CHUNK:
            part = n if n < s.left else s.left
            s.left -= part
            self._body(h, s, p, part)
            if s.left == 0:
                if s.state == CHUNK:
                    s.state = CHUNK_END
                else:
                    self._done(h, side, False)
            return part
        if s.state == UNTIL_CLOSE:
            self._body(h, s, p, n)
            return n
        if s.state == PARTS:
            return self._parts(h, side, p, n)
        if s.state == NOTHING:
            return n
        if side == RESP and s.state == START_LINE and h.raw:
            return self._raw_response(h, s, p, n)
        end = _line_end(s, p, n, &next, &single)
        if end < 0:
            return 0
        if s.state == HEADERS or s.state == TRAILERS:
            if end:
                return self._header(h, side, p, n, end, next)
            if single:
                self._note(h, side, SINGLE_CR, NULL, 0)
            if s.state == TRAILERS:
                self._done(h, side, False)
            else:
                self._headers_end(h, side, n - next)
            return next
        if single:
            self._note(h, side, SINGLE_CR, NULL, 0)
        if s.state == CHUNK_SIZE:
            self._chunk_size(h, side, p, end)
        elif s.state == CHUNK_END:
            s.state = CHUNK_SIZE
        elif side == ORIG:
            self._request_line(h, p, end)
        else:
            self._status_line(h, p, end)
        return next

    # Start lines.

    cdef int _request_line(self, State* h, const uint8_t* p, int64_t n) except -1 nogil:
        cdef Side* s = &h.side[ORIG]
        cdef int64_t method = 0, at, uri, i
        cdef int version = 0, odd = 0
        cdef Exchange* x
        while method < n and _token_char(p[method]):
            method += 1
        at = method
        while at < n and _blank(p[at]):
            at += 1
        if method == 0 or at == method:
            if method == 0 and n >= 9 and p[n - 9] == 32 and same(p + n - 8, 5, b"http/"):
                self._note(h, ORIG, BAD_REQUEST_WITH_VERSION, NULL, 0)
            else:
                self._note(h, ORIG, BAD_REQUEST, NULL, 0)
            return self._no_request(h, n)
        # The target ends at what can be in none, and goes on to the version.
        i = at
        while i < n and _uri_char(p[i]):
            i += 1
        uri = i
        if i >= n and n - at >= 5 and memcmp(p + at, b"HTTP/", 5) == 0:
            self._note(h, ORIG, MISSING_URI, NULL, 0)
            uri = i = at
        while i < n:
            uri = i
            while i < n and _blank(p[i]):
                i += 1
            if n - i >= 5 and memcmp(p + i, b"HTTP/", 5) == 0:
                break
            i += 1
        if i >= n:
            version = 9
            if uri < n and not _blank(p[uri]):
                uri = n
        elif i + 8 <= n:
            version = _version(p + i + 5, n - i - 5)
        if version == 9:
            if method < 3 or uri == at:
                self._note(h, ORIG, BAD_REQUEST, NULL, 0)
                return self._no_request(h, n)
            if method != 3 or not same(p, 3, b"get"):
                self._note(h, ORIG, BAD_09_METHOD, p, method)
        if h.request_version >= 0 and h.request_version != version:
            self._note(h, ORIG, VERSION_MISMATCH, NULL, 0)
        h.request_version = version
        if version > 10:
            h.keep_alive = True
        h.requests += 1
        if not h.keep_alive and h.requests > 1:
            self._note(h, ORIG, MULTIPLE_REQUESTS, NULL, 0)
        confirm(h.talk, SERVICE)
        self._unanswered(h, same(p, method, b"head"))
        if same(p, method, b"connect"):
            h.connect = True
        x = self._next_request(h)
        x.version = version
        x.field[METHOD] = keep(&x.text, p, method, NAME_LIMIT)
        self.rows.target(x, p + at, uri - at, &odd)
        if odd & LONE_PERCENT_AT_END:
            self._note(h, ORIG, PERCENT_AT_END, NULL, 0)
        if odd & PART_AT_END:
            self._note(h, ORIG, PARTIAL_ESCAPE, NULL, 0)
        if odd & DOUBLE_PERCENT:
            self._note(h, ORIG, DOUBLE_PERCENT_IN_URI, NULL, 0)
        if odd & UNESCAPED_PERCENT:
            self._note(h, ORIG, UNESCAPED_PERCENT_IN_URI, NULL, 0)
        if not _known_method(p, method):
            self._note(h, ORIG, UNKNOWN_METHOD, p, method)
        if s.ongoing:
            self._note(h, ORIG, OVERLAPPING, NULL, 0)
        self._message(h, ORIG, True)
        if version == 9:
            h.raw = True
        return 0

    cdef int _no_request(self, State* h, int64_t n) except -1 nogil:
        if n == 0:
            return self._note(h, ORIG, EMPTY_REQUEST, NULL, 0)
        h.side[ORIG].state = NOTHING
        self._violated(h)
        return 0

    cdef void _violated(self, State* h) noexcept nogil:
        """Near its beginning, what is no HTTP says that the connection is none; later, one side is
        not read on."""
        if h.talk.half[ORIG].position <= NEAR and h.talk.half[RESP].position <= NEAR:
            give_up(h.talk)

    cdef Exchange* _next_request(self, State* h) except NULL nogil:
        cdef Exchange* x
        if h.request < h.response:
            self._note(h, ORIG, RESPONSE_FIRST, NULL, 0)
            h.request = h.response
        if h.pending > PENDING_LIMIT or (h.pending > 1 and self.rows.waiting > WAITING_LIMIT):
            if h.pending > PENDING_LIMIT:
                self._note(h, ORIG, PIPELINING, NULL, 0)
            if h.response == 0:
                h.response = 1
            while h.response < h.request:
                x = self._find(h, h.response)
                if x is not NULL:
                    self._write(h, x)
                h.response += 1
        h.request += 1
        return self._current(h, ORIG)

    cdef int _unanswered(self, State* h, bint head) except -1 nogil:
        """Remembers the method of a request: it says whether the response has a body."""
        cdef uint8_t* grown
        cdef int room
        if h.method_first + h.method_count == h.method_room:
            if h.method_first:
                # Room in front: what was answered.
                for room in range(h.method_count):
                    h.methods[room] = h.methods[h.method_first + room]
                h.method_first = 0
            else:
                if h.method_count >= UNANSWERED_LIMIT:
                    return 0
                room = h.method_room * 2 if h.method_room else 8
                grown = <uint8_t*>realloc(h.methods, room)
                if grown is NULL:
                    with gil:
                        raise MemoryError("requests without an answer")
                h.methods = grown
                h.method_room = room
        h.methods[h.method_first + h.method_count] = head
        h.method_count += 1
        return 0

    cdef int _status_line(self, State* h, const uint8_t* p, int64_t n) except -1 nogil:
        cdef Side* s = &h.side[RESP]
        cdef int64_t at = 5
        cdef int version, code = 0
        cdef Exchange* x
        cdef bint head
        if n < 5 or memcmp(p, b"HTTP/", 5):
            if n:
                s.state = NOTHING
                self._violated(h)
            return 0
        version = _version(p + 5, n - 5)
        while at < n and not _blank(p[at]):
            at += 1
        if at < n:
            while at < n and _blank(p[at]):
                at += 1
        if at + 3 > n:
            s.state = NOTHING
            return 0
        if h.response_version >= 0 and h.response_version != version:
            self._note(h, RESP, VERSION_MISMATCH, NULL, 0)
        h.response_version = version
        if version > 10:
            h.keep_alive = True
        if _digit(p[at]) and _digit(p[at + 1]) and _digit(p[at + 2]):
            code = (p[at] - 48) * 100 + (p[at + 1] - 48) * 10 + p[at + 2] - 48
        at += 3
        while at < n and not _blank(p[at]):
            at += 1
        h.status = code
        confirm(h.talk, SERVICE)
        x = self._find(h, h.response)
        if x is NULL or (x.status >= 0 and not 100 <= x.status <= 199):
            h.response += 1
        x = self._current(h, RESP)
        x.status = code
        x.answered = version
        if at < n:
            while at < n and _blank(p[at]):
                at += 1
            x.field[STATUS_TEXT] = keep(&x.text, p + at, n - at, NAME_LIMIT)
        else:
            x.field[STATUS_TEXT] = keep(&x.text, b"<empty>", 7, 7)
        if 100 <= code <= 199:
            x.info = code
            x.field[INFO_TEXT] = x.field[STATUS_TEXT]
        if h.connect and code != 200:
            h.connect = False
        head = h.method_count > 0 and h.methods[h.method_first] == 1
        if s.ongoing:
            self._note(h, RESP, OVERLAPPING, NULL, 0)
        self._message(h, RESP, head or 100 <= code <= 199 or code == 204 or code == 304)
        return 0

    cdef int64_t _raw_response(
        self, State* h, Side* s, const uint8_t* p, int64_t n
    ) except -1 nogil:
        """HTTP/0.9: what comes is the document."""
        cdef Exchange* x
        if h.method_count:
            h.method_first += 1
            h.method_count -= 1
        h.response_version = 9
        h.status = 0
        h.response += 1
        x = self._current(h, RESP)
        x.status = 0
        x.answered = 9
        x.field[STATUS_TEXT] = keep(&x.text, b"<empty>", 7, 7)
        self._message(h, RESP, False)
        s.state = UNTIL_CLOSE
        self._body(h, s, p, n)
        return n

    cdef int _message(self, State* h, int side, bint bodiless) except -1 nogil:
        """A message begins: nothing of the one before holds."""
        cdef Side* s = &h.side[side]
        free(s.top)
        s.top = NULL
        s.state = HEADERS
        s.ongoing = True
        s.bodiless = bodiless
        s.chunked = s.packed = s.partial = s.multipart = s.shared = False
        s.content_length = s.range_length = s.instance = -1
        s.left = s.offset = s.length = s.raw = 0
        s.zip.taken = s.zip.given = 0
        s.zip.over = s.zip.broken = s.zip.bomb = False
        return 0

    # Headers.

    cdef int64_t _header(
        self, State* h, int side, const uint8_t* p, int64_t n, int64_t end, int64_t next
    ) except -1 nogil:
        """A header, with the lines that go on with it. The first of them ends at `end`."""
        cdef Side* s = &h.side[side]
        cdef uint8_t* joined
        cdef int64_t length, more, after = 0
        cdef bint single
        if next >= n:
            s.scanned = end         # the next line may go on with it
            return 0
        if not _blank(p[next]):
            self._field(h, side, p, end)
            return next
        # obs-fold (RFC 9112, 5.2): as many lines as there are; all of them must be there.
        joined = <uint8_t*>malloc(n)
        if joined is NULL:
            with gil:
                raise MemoryError("a header")
        try:
            memcpy(joined, p, end)
            length = end
            while True:
                if next >= n:
                    s.scanned = 0
                    return 0
                if not _blank(p[next]):
                    break
                s.scanned = 0
                more = _line_end(s, p + next, n - next, &after, &single)
                s.scanned = 0
                if more < 0:
                    return 0
                if more == 0:
                    break
                memcpy(joined + length, p + next, more)
                length += more
                next += after
            self._field(h, side, joined, length)
        finally:
            free(joined)
        return next

    cdef int _field(self, State* h, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef Side* s = &h.side[side]
        cdef const uint8_t* colon = <const uint8_t*>memchr(p, 58, n)
        cdef const uint8_t* value
        cdef const uint8_t* name = NULL
        cdef int64_t length, m
        cdef Py_ssize_t at = 0, size
        cdef Exchange* x
        cdef bint good = False
        if colon is NULL or s.state == TRAILERS:
            return 0
        length = colon - p
        while length and (_blank(p[length - 1])):
            length -= 1
        if length == 0 or length > NAME_LIMIT:
            return 0
        value = colon + 1
        m = n - (value - p)
        while m and (_blank(value[0]) or 10 <= value[0] <= 13):
            value += 1
            m -= 1
        x = self._current(h, side)
        self.rows.header(x, side, p, length, value, m)
        size = token(value, m, &at)
        if same(p, length, b"content-length"):
            s.content_length = _number(value + at, size, 10, &good) if size else 0
            if not good:
                s.content_length = 0
            if s.partial and s.range_length != s.content_length:
                self._note(h, side, RANGE_LENGTH, NULL, 0)
                if s.range_length > s.content_length:
                    s.content_length = s.range_length
        elif same(p, length, b"transfer-encoding"):
            if same(value + at, size, b"chunked") and (
                (h.request_version if side == ORIG else h.response_version) == 11
            ):
                s.chunked = True
        elif same(p, length, b"content-encoding"):
            s.packed = (
                same(value + at, size, b"gzip") or same(value + at, size, b"x-gzip")
                or same(value + at, size, b"deflate")
            )
        elif same(p, length, b"content-range"):
            if side == RESP and h.status == 206:
                self._range(h, s, value, m)
        elif same(p, length, b"content-type"):
            # Most types say neither where parts end nor a name.
            if memchr(value, 61, m) is not NULL:
                self._top(s)
                content_type(s.top, value, m)
                self._name(s.top, value, m, False)
        elif same(p, length, b"content-disposition"):
            if memchr(value, 61, m) is not NULL:
                self._top(s)
                self._name(s.top, value, m, True)
        elif same(p, length, b"connection"):
            if side == ORIG:
                if same(value + at, size, b"keep-alive"):
                    h.keep_alive = True
            elif same(value + at, size, b"close"):
                h.connection_close = True
            elif same(value + at, size, b"upgrade"):
                h.upgrade = True
        elif side == RESP and same(p, length, b"upgrade"):
            h.upgrade_length = <int>(size if size < 64 else 64)
            memcpy(h.upgrade_to, value + at, h.upgrade_length)
        return 0

    cdef int _top(self, Side* s) except -1 nogil:
        if s.top is NULL:
            s.top = <Entity*>calloc(1, sizeof(Entity))
            if s.top is NULL:
                with gil:
                    raise MemoryError("headers")
            s.top.name_length = -1
        return 0

    cdef void _name(
        self, Entity* e, const uint8_t* p, Py_ssize_t n, bint disposition
    ) noexcept nogil:
        cdef const uint8_t* name = NULL
        cdef Py_ssize_t length = file_name(p, n, disposition, &name)
        if length > NAME_LIMIT:
            length = NAME_LIMIT
        if length:
            memcpy(e.name, name, length)
            e.name_length = <int>length

    cdef int _range(self, State* h, Side* s, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        """`bytes 0-499/1234` (RFC 9110, 14.4): where in the file the content stands."""
        cdef Py_ssize_t at = 0, size = token(p, n, &at), i
        cdef int64_t first, last
        cdef bint good = False
        cdef const uint8_t* dash
        cdef const uint8_t* slash
        if size != 5 or memcmp(p + at, b"bytes", 5):
            return self._note(h, RESP, RANGE_UNIT, NULL, 0)
        at += size
        slash = <const uint8_t*>memchr(p + at, 47, n - at)
        dash = <const uint8_t*>memchr(p + at, 45, slash - p - at) if slash is not NULL else NULL
        if dash is NULL:
            return self._note(h, RESP, RANGE_FORM, NULL, 0)
        first = _number(p + at, dash - p - at, 10, &good)
        last = _number(dash + 1, slash - dash - 1, 10, &good)
        if last - first + 1 <= 0:
            return self._note(h, RESP, RANGE_POSITION, NULL, 0)
        i = slash + 1 - p
        while i < n and _blank(p[i]):
            i += 1
        if i < n and p[i] != 42:
            s.instance = _number(p + i, n - i, 10, &good)
        s.partial = True
        s.offset = first
        s.range_length = last - first + 1
        s.range_end = last + 1
        if s.multipart:
            return 0
        if s.content_length > 0 and s.content_length != s.range_length:
            self._note(h, RESP, RANGE_LENGTH, NULL, 0)
            if s.range_length > s.content_length:
                s.content_length = s.range_length
        elif s.content_length <= 0:
            s.content_length = s.range_length
        return 0

    cdef int _headers_end(self, State* h, int side, int64_t behind) except -1 nogil:
        """What follows the empty line: a body, or nothing. `behind`: bytes that are there."""
        cdef Side* s = &h.side[side]
        if side == RESP and h.connect and h.status == 200:
            # A tunnel (RFC 9110, 9.3.6): what else is said here is somebody else's.
            hand_over(h.talk, UNDECIDED)
            return 0
        if side == RESP and s.bodiless:
            return self._done(h, side, False)
        if s.top is not NULL and s.top.kind == MULTIPART and (
            side == RESP or s.content_length > 0 or s.chunked
        ):
            if s.chunked:
                self._note(h, side, CHUNKED_PARTS, NULL, 0)
            elif not s.packed:
                if s.content_length == 0:
                    return self._done(h, side, False)
                s.multipart = True
                s.left = s.content_length       # -1: until the last boundary
                s.parts.mid_line = False
                s.parts.count = 0
                plant(&s.parts)
                s.parts.current.in_header = False
                s.parts.current.kind = MULTIPART
                s.parts.current.boundary_length = s.top.boundary_length
                memcpy(s.parts.current.boundary, s.top.boundary, s.top.boundary_length)
                s.state = PARTS
                return 0
        if s.chunked:
            s.state = CHUNK_SIZE
        elif s.content_length > 0:
            s.state = BODY
            s.left = s.content_length
        elif s.content_length == 0:
            return self._done(h, side, False)
        elif side == RESP:
            s.state = UNTIL_CLOSE
        else:
            return self._done(h, side, False)
        return 0

    # Bodies.

    cdef int _chunk_size(self, State* h, int side, const uint8_t* p, int64_t n) except -1 nogil:
        """chunk-size [chunk-ext] (RFC 9112, 7.1)."""
        cdef Side* s = &h.side[side]
        cdef bint good = False
        s.left = _number(p, n, 16, &good)
        if not good:
            self._note(h, side, BAD_CHUNK_SIZE, NULL, 0)
            s.left = 0
        s.state = CHUNK if s.left else TRAILERS
        return 0

    cdef int _body(self, State* h, Side* s, const uint8_t* p, int64_t n) except -1 nogil:
        s.raw += n
        if not s.packed:
            s.length += n
            return self._content(h, s, &s.file, s.top, p, n)
        inflate(&s.zip, p, n, s, _on_clear)
        if s.zip.bomb:
            self._note(h, ORIG if s is &h.side[ORIG] else RESP, TOO_TIGHT, NULL, 0)
        return 0

    cdef int64_t _parts(self, State* h, int side, const uint8_t* p, int64_t n) except -1 nogil:
        """Lines of a multipart body. What can be no boundary need not be there as a whole line."""
        cdef Side* s = &h.side[side]
        cdef int64_t end, next, used = 0
        cdef const uint8_t* lf
        cdef bint whole = False, ended
        if s.left >= 0 and n >= s.left:
            n = s.left
            whole = True            # no more will come
        while used < n:
            lf = <const uint8_t*>memchr(p + used, 10, n - used)
            while lf is not NULL and binary(&s.parts) and (lf == p + used or lf[-1] != 13):
                lf += 1
                if lf >= p + n:
                    lf = NULL
                    break
                lf = <const uint8_t*>memchr(lf, 10, n - (lf - p))
            ended = lf is not NULL
            if ended:
                end = lf - p
                next = end + 1
                if end > used and p[end - 1] == 13:
                    end -= 1
            elif whole:
                end = next = n
            elif whole_line(&s.parts, p + used, n - used):
                break
            else:
                end = next = n - 1 if p[n - 1] == 13 else n
                if end == used:
                    break
            s.length += next - used
            line(&s.parts, p + used, end - used, ended)
            used = next
            if s.left < 0 and s.parts.current is not NULL and s.parts.current.over:
                self._done(h, side, False)
                return used
        if s.left >= 0:
            s.left -= used
            if s.left == 0:
                self._done(h, side, False)
        return used

    cdef int _content(
        self, State* h, Side* s, File** file, Entity* e, const uint8_t* p, int64_t n
    ) except -1 nogil:
        """Bytes of a file, or of a part of one."""
        cdef int side = ORIG if s is &h.side[ORIG] else RESP
        cdef Exchange* x
        cdef Place found
        if n <= 0:
            return 0
        if file[0] is NULL:
            x = self._current(h, side)
            found = place(h.talk, side, s.now)
            if s.partial and x.ranged and side == RESP:
                file[0] = self.files.share(
                    self._key(h, x), h.talk.flow, side, &found, b"HTTP", h.talk.time
                )
                s.shared = True
                s.fresh = file[0].joined and not file[0].sniffed
            else:
                file[0] = self.files.open(h.talk.flow, side, &found, b"HTTP", h.talk.time)
            if e is not NULL and e.name_length > 0:
                self.files.name(file[0], e.name, e.name_length)
            if not s.packed and not s.multipart:
                if s.partial:
                    if s.instance > 0:
                        file[0].total = s.instance
                elif s.content_length > 0 and not s.chunked:
                    file[0].total = s.content_length
            elif s.multipart and s.partial and s.instance > 0:
                file[0].total = s.instance
            if not s.shared or file[0].joined:
                self.rows.file(x, side, file[0])
        if s.partial:
            self.files.data_at(file[0], s.offset, p, n, h.talk.time)
            s.offset += n
            return 0
        return self.files.data(file[0], p, n, h.talk.time)

    cdef uint64_t _key(self, State* h, Exchange* x) noexcept nogil:
        """What parts of one file have in common: who asks, and for what."""
        cdef uint64_t key = hash64(
            <const uint8_t*>&h.talk.flow.address[ORIG], sizeof(h.talk.flow.address[ORIG]),
            self.secret
        )
        cdef int[4] fields
        cdef int i
        fields[0] = HOST
        fields[1] = WHOLE
        fields[2] = PATH
        fields[3] = QUERY
        for i in range(4):
            if x.field[fields[i]].length > 0:
                key = hash64(
                    x.text.bytes + x.field[fields[i]].at, x.field[fields[i]].length, key + i
                )
        return key

    cdef int _close(self, State* h, Side* s, File** file) except -1 nogil:
        """A file, or a part of one, has ended."""
        cdef int side = ORIG if s is &h.side[ORIG] else RESP
        cdef File* done = file[0]
        cdef Exchange* x
        if done is NULL:
            return 0
        file[0] = NULL
        x = self._find(h, h.request if side == ORIG else h.response)
        if s.shared:
            if 0 <= done.total <= done.seen:
                self.files.settle(done)
            if x is not NULL and s.fresh and done.sniffed:
                self.rows.file_type(x, side, done)
            return self.files.release(done)
        self.files.settle(done)
        if x is not NULL:
            self.rows.file_type(x, side, done)
        return self.files.close(done)

    # Ends.

    cdef int _done(self, State* h, int side, bint interrupted) except -1 nogil:
        """The message of a side is over."""
        cdef Side* s = &h.side[side]
        cdef Exchange* x
        if not s.ongoing:
            if interrupted:
                s.state = NOTHING
            return 0
        s.ongoing = False
        end_inflate(&s.zip)
        if s.multipart:
            fell(&s.parts)
        self._close(h, s, &s.file)
        s.state = NOTHING if interrupted else START_LINE
        x = self._current(h, side)
        x.length[0 if side == ORIG else 1] = s.length
        if side == ORIG:
            return 0
        if h.status == 101 and h.upgrade and h.upgrade_length:
            x.field[UPGRADE] = keep(&x.text, h.upgrade_to, h.upgrade_length, 64)
            self._write(h, x)
            if same(h.upgrade_to, h.upgrade_length, b"websocket"):
                confirm(h.talk, WEBSOCKET)
            if same(h.upgrade_to, h.upgrade_length, b"h2c"):
                hand_over(h.talk, self.index + 1)       # known.py: Http2 follows
            else:
                give_up(h.talk)
            return 0
        if not 100 <= x.status <= 199:
            self._write(h, x)
        if not 100 <= h.status <= 199 and h.method_count:
            h.method_first += 1
            h.method_count -= 1
        h.status = 0
        h.upgrade = False
        h.upgrade_length = 0
        return 0

    cdef int closed(self, Talk* t, int side) except -1 nogil:
        cdef State* h = <State*>t.state
        return self._done(h, side, False)

    cdef int gap(self, Talk* t, int side, int64_t n) except -1 nogil:
        cdef State* h = <State*>t.state
        cdef Side* s = &h.side[side]
        cdef File* file = s.file
        cdef bint inside = s.ongoing and s.length > 0 and (
            s.left >= n and (s.state == BODY or s.state == CHUNK or s.state == PARTS)
            # A part says itself how long it is.
            or s.left < 0 and s.state == PARTS and s.partial and s.range_end - s.offset >= n
        )
        s.scanned = 0
        if inside:
            if s.left >= 0:
                s.left -= n
            if s.state != PARTS:        # Zeek does not count it there
                s.length += n
            s.raw += n
            if s.state == PARTS and s.parts.current is not NULL:
                file = s.parts.current.file
                tear(&s.parts)
            if s.packed:
                s.zip.over = True
            if file is not NULL:
                if s.partial:
                    s.offset += n
                else:
                    self.files.gap(file, n, t.time)
            if s.left == 0:
                if s.state == CHUNK:
                    s.state = CHUNK_END
                else:
                    self._done(h, side, False)
            return 0
        # Whether a response has a body depends on its request.
        if side == ORIG:
            self._done(h, ORIG, True)
        self._done(h, RESP, True)
        if h.side[ORIG].state == NOTHING and h.side[RESP].state == NOTHING:
            give_up(t)
        return 0


cdef bint _known_method(const uint8_t* p, int64_t n) noexcept nogil:
    cdef int i
    cdef int64_t k
    for i in range(20):
        k = 0
        while k < n and METHODS[i][k] == <char>p[k] and METHODS[i][k]:
            k += 1
        if k == n and METHODS[i][k] == 0:
            return True
    return False


cdef bint _at_home(const Talk* t) noexcept nogil:
    """Whether the responder's port is one of HTTP's."""
    cdef int port = t.flow.port[RESP]
    return (
        port == 80 or port == 81 or port == 631 or port == 1080 or port == 3128 or port == 8000
        or port == 8080 or port == 8888
    )


cdef Guess _request_like(const uint8_t* p, int64_t n, bint at_home) noexcept nogil:
    """Whether bytes begin like a request: a method, a target, a version. HTTP/0.9 has none: on a
    port of HTTP the method must do, elsewhere it must be GET."""
    cdef int64_t i = 0, end, method
    cdef const uint8_t* lf
    while i < n and i < 32 and (97 <= p[i] | 32 <= 122 or p[i] == 45 or p[i] == 95):
        i += 1
    method = i
    if i == n:
        return MORE if n < 24 else NO
    if i < 2 or not _blank(p[i]):
        return NO
    if memcmp(p, b"PRI * HTTP/2.0\r\n", n if n < 16 else 16) == 0:
        return NO if n >= 16 else MORE
    while i < n and _blank(p[i]):
        i += 1
    if i == n:
        return MORE
    lf = <const uint8_t*>memchr(p, 10, n)
    end = lf - p if lf is not NULL else n
    while i < end:
        if p[i] == 32 and end - i >= 9 and memcmp(p + i + 1, b"HTTP/", 5) == 0 and (
            _version(p + i + 6, 3)
        ):
            return YES
        if p[i] < 32 and p[i] != 9 and p[i] != 13:
            return NO
        i += 1
    if lf is NULL:
        # A long target: the method must do.
        if n > 1024:
            return YES if _known_method(p, method) else NO
        return MORE
    return YES if _known_method(p, method) and (at_home or method == 3 and p[0] == 71) else NO
