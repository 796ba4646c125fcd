"""HTTP/2 in clear (RFC 9113): by prior knowledge, or after an Upgrade to h2c.

    connection = [preface] *frame
    frame      = length (24) type (8) flags (8) R stream (31) payload

Each stream is a request with its response: a row of http_activity, written when both have ended.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy

from tracelake.native.account cimport Account
from tracelake.native.cursor cimport be32
from tracelake.parsers.conn cimport ORIG, RESP, Place
from tracelake.parsers.protocols.entity cimport file_name, same
from tracelake.parsers.protocols.files cimport File, Files, files_of
from tracelake.parsers.protocols.hpack cimport (
    Hpack, TEXT_LIMIT, begin_hpack, end_hpack, read_block,
)
from tracelake.parsers.protocols.http_row cimport (
    Exchange, HOST, HttpRows, METHOD, SCHEME,
)
from tracelake.parsers.protocols.inflate cimport Inflate, end_inflate, inflate
from tracelake.parsers.protocols.protocol cimport (
    MORE, NO, YES, Guess, Protocol, Talk, confirm, give_up, place,
)
from tracelake.parsers.protocols.sheet cimport Sheets
from tracelake.parsers.protocols.text_slots cimport Slot, keep
from tracelake.parsers.services cimport service

cdef int SERVICE = service("http")

cdef const char* PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

cdef enum:
    PREFACE_LENGTH = 24
    HEADER = 9
    FRAME_LIMIT = 1 << 20
    BLOCK_LIMIT = 1 << 18       # bytes of the headers of a message, packed
    UNPACKED_LIMIT = 1 << 18    # and unpacked
    STREAM_LIMIT = 1000         # that are open; beyond, the oldest becomes a row
    WAITING_LIMIT = 65536       # of all connections
    BUCKETS = 64
    NAME_LIMIT = 1024

cdef enum:                      # frame types
    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    PUSH_PROMISE = 5
    CONTINUATION = 9

cdef enum:                      # flags
    END_STREAM = 0x1
    END_HEADERS = 0x4
    PADDED = 0x8
    PRIORITY = 0x20


cdef struct Stream:
    Stream* next                # of its bucket
    Stream* older
    Stream* newer
    State* state
    uint32_t number
    Exchange* x
    bint ended[2]
    bint headed[2]              # headers were there: others are trailers
    bint packed[2]
    int64_t content_length[2]
    File* file[2]
    Inflate zip[2]
    Slot name                   # of the file, in the exchange's text


cdef struct Side:
    Hpack hpack
    bint prefaced
    bint lost                   # headers can not be read any more
    uint8_t* block              # headers that go on in the next frame
    int64_t block_count
    int64_t block_room
    uint32_t block_stream
    bint block_ends             # its HEADERS frame had END_STREAM
    int64_t unpacked            # bytes of the block at hand
    Stream* at                  # whose headers are read, or whose data come
    int64_t data_left           # of a DATA frame
    int64_t padding
    bint data_ends


cdef struct State:
    Talk* talk
    PyObject* protocol
    Stream* bucket[BUCKETS]
    Stream* oldest
    Stream* newest
    int64_t streams
    int64_t open
    int side                    # whose bytes are read
    int64_t now
    Side half[2]


cdef int _on_field(
    void* owner, const uint8_t* name, Py_ssize_t n, const uint8_t* value, Py_ssize_t m
) except -1 nogil:
    cdef State* h = <State*>owner
    return (<Http2>h.protocol)._field(h, name, n, value, m)


cdef int _on_clear(void* owner, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    cdef Stream* s = <Stream*>owner
    return (<Http2>s.state.protocol)._content(s.state, s, p, n)


cdef class Http2(Protocol):
    cdef HttpRows rows
    cdef Files files
    cdef uint8_t* name_room     # for headers that are unpacked
    cdef uint8_t* value_room

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "http"
        self.longest = FRAME_LIMIT + HEADER
        self.rows = HttpRows(sheets)
        self.files = files_of(sheets)
        self.name_room = <uint8_t*>malloc(TEXT_LIMIT)
        self.value_room = <uint8_t*>malloc(TEXT_LIMIT)
        if self.name_room is NULL or self.value_room is NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.name_room)
        free(self.value_room)

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        if n == 0:
            return NO
        if memcmp(orig, PREFACE, n if n < PREFACE_LENGTH else PREFACE_LENGTH):
            return NO
        return YES if n >= PREFACE_LENGTH else MORE

    cdef int begin(self, Talk* t) except -1 nogil:
        cdef State* h = <State*>calloc(1, sizeof(State))
        if h is NULL:
            with gil:
                raise MemoryError("an HTTP/2 connection")
        h.talk = t
        h.protocol = <PyObject*>self
        t.state = h
        begin_hpack(&h.half[0].hpack, self.name_room, self.value_room)
        begin_hpack(&h.half[1].hpack, self.name_room, self.value_room)
        return 0

    cdef int end(self, Talk* t) except -1 nogil:
        cdef State* h = <State*>t.state
        cdef int i
        if h is NULL:
            return 0
        try:
            while h.oldest is not NULL:
                self._finish(h, h.oldest)
        finally:
            for i in range(2):
                end_hpack(&h.half[i].hpack)
                free(h.half[i].block)
            free(h)
            t.state = NULL
        return 0

    cdef int gap(self, Talk* t, int side, int64_t n) except -1 nogil:
        """Inside of a frame of data it is known how much is missing; elsewhere it is not known
        where the next frame begins."""
        cdef State* h = <State*>t.state
        cdef Side* d = &h.half[side]
        cdef Stream* s = d.at
        if d.data_left > n and s is not NULL:
            d.data_left -= n
            s.x.length[side] += n
            s.x.truncated = True
            s.zip[side].over = True
            if s.file[side] is not NULL:
                self.files.gap(s.file[side], n, t.time)
            return 0
        give_up(t)
        return 0

    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef State* h = <State*>t.state
        cdef Side* d = &h.half[side]
        cdef int64_t at = 0, length, part
        h.side = side
        if not d.prefaced:
            if side == ORIG:
                if n < PREFACE_LENGTH:
                    t.half[side].need = PREFACE_LENGTH
                    return 0
                if memcmp(p, PREFACE, PREFACE_LENGTH):
                    give_up(t)
                    return 0
                confirm(t, SERVICE)
                at = PREFACE_LENGTH
            d.prefaced = True
        while at < n and not t.gone:
            h.now = at
            if d.data_left or d.padding:
                part = n - at if n - at < d.data_left else d.data_left
                if part:
                    self._data(h, d, p + at, part)
                    at += part
                    d.data_left -= part
                part = n - at if n - at < d.padding else d.padding
                at += part
                d.padding -= part
                if d.data_left == 0 and d.padding == 0:
                    self._data_ends(h, d)
                continue
            if n - at < HEADER:
                t.half[side].need = HEADER
                break
            length = be32(p + at) >> 8
            if p[at + 3] == DATA:
                part = 1 if p[at + 4] & PADDED else 0
                if n - at < HEADER + part:
                    t.half[side].need = HEADER + part
                    break
                self._data_begins(h, d, p + at, length, part)
                at += HEADER + part
                continue
            if length > FRAME_LIMIT:
                give_up(t)
                break
            if n - at < HEADER + length:
                t.half[side].need = HEADER + length
                break
            self._frame(h, d, p[at + 3], p[at + 4], be32(p + at + 5) & 0x7FFFFFFF,
                        p + at + HEADER, length)
            at += HEADER + length
        h.now = 0
        return at

    # Streams.

    cdef Stream* _stream(self, State* h, uint32_t number, bint make) except? NULL nogil:
        cdef Stream** link = &h.bucket[number & (BUCKETS - 1)]
        cdef Stream* s = link[0]
        cdef Place found
        cdef Exchange* x
        while s is not NULL and s.number != number:
            s = s.next
        if s is not NULL or not make:
            return s
        if h.open >= STREAM_LIMIT or (h.open > 1 and self.rows.waiting > WAITING_LIMIT):
            h.oldest.x.truncated = True
            self._finish(h, h.oldest)
        found = place(h.talk, h.side, h.now)
        x = self.rows.make(&found)
        s = <Stream*>calloc(1, sizeof(Stream))
        if s is NULL:
            self.rows.free(x)
            with gil:
                raise MemoryError("a stream")
        s.x = x
        h.streams += 1
        s.x.depth = h.streams
        s.x.version = 20
        s.state = h
        s.number = number
        s.content_length[0] = s.content_length[1] = -1
        s.next = link[0]
        link[0] = s
        s.older = h.newest
        if h.newest is not NULL:
            h.newest.newer = s
        else:
            h.oldest = s
        h.newest = s
        h.open += 1
        return s

    cdef int _finish(self, State* h, Stream* s) except -1 nogil:
        """Writes the row of a stream, and forgets it."""
        cdef Stream** link = &h.bucket[s.number & (BUCKETS - 1)]
        cdef int i
        while link[0] is not s:
            link = &link[0].next
        link[0] = s.next
        if s.older is not NULL:
            s.older.newer = s.newer
        else:
            h.oldest = s.newer
        if s.newer is not NULL:
            s.newer.older = s.older
        else:
            h.newest = s.older
        h.open -= 1
        for i in range(2):
            if h.half[i].at is s:
                h.half[i].at = NULL
            end_inflate(&s.zip[i])
        try:
            for i in range(2):
                self._close(s, i)
            if s.x.status >= 0 or s.x.field[METHOD].length >= 0:
                self.rows.write(h.talk.flow, s.x, h.talk.time)
        finally:
            self.rows.free(s.x)
            free(s)
        return 0

    cdef int _close(self, Stream* s, int side) except -1 nogil:
        cdef File* file = s.file[side]
        if file is NULL:
            return 0
        s.file[side] = NULL
        self.files.settle(file)
        self.rows.file_type(s.x, side, file)
        return self.files.close(file)

    cdef int _ends(self, State* h, Stream* s, int side) except -1 nogil:
        """One direction of a stream is done."""
        s.ended[side] = True
        end_inflate(&s.zip[side])
        self._close(s, side)
        if s.ended[ORIG] and s.ended[RESP]:
            return self._finish(h, s)
        return 0

    # Frames.

    cdef int _frame(
        self, State* h, Side* d, int kind, int flags, uint32_t number, const uint8_t* p, int64_t n
    ) except -1 nogil:
        cdef int64_t padding = 0
        cdef Stream* s
        if d.block_count and kind != CONTINUATION:
            give_up(h.talk)             # 6.10: nothing may stand between
            return 0
        if kind == RST_STREAM:
            s = self._stream(h, number, False)
            return self._finish(h, s) if s is not NULL else 0
        if kind != HEADERS and kind != CONTINUATION and kind != PUSH_PROMISE:
            return 0
        if kind != CONTINUATION:
            if flags & PADDED:
                if n < 1 or p[0] > n - 1:
                    give_up(h.talk)
                    return 0
                padding = p[0]
                p += 1
                n -= 1 + padding
            if kind == HEADERS and flags & PRIORITY:
                if n < 5:
                    give_up(h.talk)
                    return 0
                p += 5
                n -= 5
            elif kind == PUSH_PROMISE:
                if n < 4:
                    give_up(h.talk)
                    return 0
                # The request that a server answers without being asked.
                number = be32(p) & 0x7FFFFFFF
                p += 4
                n -= 4
            d.block_stream = number
            d.block_ends = kind == HEADERS and flags & END_STREAM != 0
            if flags & END_HEADERS:
                return self._headers(h, d, p, n, kind == PUSH_PROMISE)
        elif d.block_count == 0 and d.block_stream != number:
            give_up(h.talk)
            return 0
        if d.block_count + n > BLOCK_LIMIT:
            give_up(h.talk)
            return 0
        self._keep(d, p, n)
        if flags & END_HEADERS:
            n = d.block_count
            d.block_count = 0
            return self._headers(h, d, d.block, n, False)
        return 0

    cdef int _keep(self, Side* d, const uint8_t* p, int64_t n) except -1 nogil:
        cdef uint8_t* grown
        cdef int64_t room = d.block_room if d.block_room else 1024
        while room < d.block_count + n:
            room *= 2
        if room > d.block_room:
            grown = <uint8_t*>realloc(d.block, room)
            if grown is NULL:
                with gil:
                    raise MemoryError("headers")
            d.block = grown
            d.block_room = room
        if n:
            memcpy(d.block + d.block_count, p, n)
        d.block_count += n
        return 0

    cdef int _headers(
        self, State* h, Side* d, const uint8_t* p, int64_t n, bint promised
    ) except -1 nogil:
        cdef Stream* s = self._stream(h, d.block_stream, True)
        cdef int good
        d.at = s
        d.unpacked = 0
        if promised:
            # Its headers are the request's, though the server says them.
            s.ended[ORIG] = True
        good = read_block(&d.hpack, p, n, h, _on_field)
        if not good:
            s.x.truncated = True
            give_up(h.talk)
            return 0
        if s.x.status < 100 or s.x.status > 199:
            s.headed[ORIG if promised else h.side] = True
        d.at = NULL
        if d.block_ends:
            return self._ends(h, s, h.side)
        return 0

    cdef int _field(
        self, State* h, const uint8_t* name, Py_ssize_t n, const uint8_t* value, Py_ssize_t m
    ) except -1 nogil:
        cdef Side* d = &h.half[h.side]
        cdef Stream* s = d.at
        cdef Exchange* x = s.x
        cdef int side = h.side, odd = 0, i, status = 0
        cdef const uint8_t* text = NULL
        cdef Py_ssize_t length
        d.unpacked += n + m + 32
        if d.unpacked > UNPACKED_LIMIT:
            x.truncated = True          # a few bytes can name a long header again and again
            return 0
        if n and name[0] == 58:
            if side == RESP and same(name, n, b":status"):
                confirm(h.talk, SERVICE)
                for i in range(m):
                    if 48 <= value[i] <= 57 and i < 3:
                        status = status * 10 + value[i] - 48
                x.status = status
                x.answered = 20
                if 100 <= status <= 199:
                    x.info = status
            elif s.headed[ORIG]:
                return 0
            elif same(name, n, b":method"):
                x.field[METHOD] = keep(&x.text, value, m, NAME_LIMIT)
            elif same(name, n, b":scheme"):
                x.field[SCHEME] = keep(&x.text, value, m, 32)
            elif same(name, n, b":authority"):
                x.field[HOST] = keep(&x.text, value, m, 65536)
            elif same(name, n, b":path"):
                self.rows.target(x, value, m, &odd)
            return 0
        if s.headed[side]:
            return 0                    # trailers
        if side == ORIG or not s.ended[ORIG] or x.status >= 0:
            self.rows.header(x, side, name, n, value, m)
        if same(name, n, b"content-length"):
            s.content_length[side] = 0
            for i in range(m if m < 18 else 18):
                if 48 <= value[i] <= 57:
                    s.content_length[side] = s.content_length[side] * 10 + value[i] - 48
        elif same(name, n, b"content-encoding"):
            s.packed[side] = (
                same(value, m, b"gzip") or same(value, m, b"x-gzip") or same(value, m, b"deflate")
            )
        elif same(name, n, b"content-disposition"):
            length = file_name(value, m, True, &text)
            if length:
                s.name = keep(&x.text, text, length, NAME_LIMIT)
        return 0

    # Data.

    cdef int _data_begins(
        self, State* h, Side* d, const uint8_t* p, int64_t length, int64_t part
    ) except -1 nogil:
        cdef uint32_t number = be32(p + 5) & 0x7FFFFFFF
        if d.block_count:
            give_up(h.talk)
            return 0
        d.at = self._stream(h, number, False)
        d.padding = p[HEADER] if part else 0
        d.data_left = length - part - d.padding
        if d.data_left < 0:
            give_up(h.talk)
            return 0
        d.data_ends = p[4] & END_STREAM != 0
        if d.data_left == 0 and d.padding == 0:
            return self._data_ends(h, d)
        return 0

    cdef int _data_ends(self, State* h, Side* d) except -1 nogil:
        cdef Stream* s = d.at
        d.at = NULL
        if s is not NULL and d.data_ends:
            d.data_ends = False
            return self._ends(h, s, h.side)
        return 0

    cdef int _data(self, State* h, Side* d, const uint8_t* p, int64_t n) except -1 nogil:
        cdef Stream* s = d.at
        if s is NULL:
            return 0
        if s.packed[h.side]:
            return inflate(&s.zip[h.side], p, n, s, _on_clear)
        return self._content(h, s, p, n)

    cdef int _content(self, State* h, Stream* s, const uint8_t* p, int64_t n) except -1 nogil:
        cdef int side = h.side
        cdef Place found
        s.x.length[side] += n
        if s.file[side] is NULL:
            found = place(h.talk, side, h.now)
            s.file[side] = self.files.open(h.talk.flow, side, &found, b"HTTP2", h.talk.time)
            if not s.packed[side] and s.content_length[side] > 0:
                s.file[side].total = s.content_length[side]
            if s.name.length:
                self.files.name(s.file[side], s.x.text.bytes + s.name.at, s.name.length)
            self.rows.file(s.x, side, s.file[side])
        return self.files.data(s.file[side], p, n, h.talk.time)
