"""POP3 (RFC 1939, 2595) and IMAP (RFC 9051): recognised, and followed until TLS begins.

Neither has a row of its own: the flow's `app_protocol` names them, and what follows a STARTTLS is
read as TLS.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcmp, memcpy

from tracelake.native.account cimport Account
from tracelake.parsers.conn cimport ORIG, RESP
from tracelake.parsers.protocols.entity cimport same
from tracelake.parsers.protocols.protocol cimport (
    MORE, NO, UNDECIDED, YES, Guess, Protocol, Talk, confirm, hand_over,
)
from tracelake.parsers.protocols.sheet cimport Sheets
from tracelake.parsers.services cimport service

cdef int POP3 = service("pop3")
cdef int IMAP = service("imap")

cdef enum:
    TAG_ROOM = 32
    LINE_LIMIT = 65536


cdef struct State:
    bint asked                  # for TLS
    int64_t scanned[2]
    uint8_t tag[TAG_ROOM]       # IMAP: of that command
    int tag_length


cdef class Mailbox(Protocol):
    """Lines of either side."""

    cdef int begin(self, Talk* t) except -1 nogil:
        t.state = calloc(1, sizeof(State))
        if t.state is NULL:
            with gil:
                raise MemoryError("a mailbox session")
        return 0

    cdef int end(self, Talk* t) except -1 nogil:
        free(t.state)
        t.state = NULL
        return 0

    cdef int gap(self, Talk* t, int side, int64_t n) except -1 nogil:
        (<State*>t.state).scanned[side] = 0
        return 0

    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef State* s = <State*>t.state
        cdef int64_t at = 0, end, next
        cdef const uint8_t* lf
        while at < n and t.following == t.protocol:
            next = s.scanned[side] if s.scanned[side] < n - at else 0
            lf = <const uint8_t*>memchr(p + at + next, 10, n - at - next)
            if lf is NULL:
                s.scanned[side] = n - at
                break
            s.scanned[side] = 0
            end = lf - p
            next = end + 1
            if end > at and p[end - 1] == 13:
                end -= 1
            self._line(t, s, side, p + at, end - at)
            at = next
        return at

    cdef int _line(
        self, Talk* t, State* s, int side, const uint8_t* p, int64_t n
    ) except -1 nogil:
        return 0


cdef class Pop3(Mailbox):
    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "pop3"
        self.ports = (110,)
        self.longest = LINE_LIMIT

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        if m < 3:
            return MORE if m and memcmp(resp, b"+OK", m) == 0 else NO
        if memcmp(resp, b"+OK", 3):
            return NO
        if t.flow.port[RESP] == 110:
            return YES
        if n < 4:
            return MORE
        return YES if (
            same(orig, 4, b"user") or same(orig, 4, b"capa") or same(orig, 4, b"apop")
            or same(orig, 4, b"auth") or same(orig, 4, b"stls") or same(orig, 4, b"quit")
        ) else NO

    cdef int _line(
        self, Talk* t, State* s, int side, const uint8_t* p, int64_t n
    ) except -1 nogil:
        if side == ORIG:
            s.asked = n == 4 and same(p, 4, b"stls")
            if n >= 4:
                confirm(t, POP3)
        elif s.asked:
            if n >= 3 and memcmp(p, b"+OK", 3) == 0:
                hand_over(t, UNDECIDED)
            s.asked = False
        return 0


cdef class Imap(Mailbox):
    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "imap"
        self.ports = (143,)
        self.longest = LINE_LIMIT

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        if m < 5:
            return MORE if m and memcmp(resp, b"* OK ", m) == 0 else NO
        if memcmp(resp, b"* OK ", 5) == 0 or (m >= 9 and memcmp(resp, b"* PREAUTH", 9) == 0):
            return YES
        return NO

    cdef int _line(
        self, Talk* t, State* s, int side, const uint8_t* p, int64_t n
    ) except -1 nogil:
        cdef int64_t tag = 0
        while tag < n and p[tag] != 32:
            tag += 1
        if side == ORIG:
            # The answers to others may come in between.
            if n - tag == 9 and tag <= TAG_ROOM and same(p + tag + 1, 8, b"starttls"):
                s.asked = True
                s.tag_length = <int>tag
                memcpy(s.tag, p, tag)
        elif s.asked and tag == s.tag_length and memcmp(p, s.tag, tag) == 0:
            s.asked = False
            if n >= tag + 3 and same(p + tag + 1, 2, b"ok"):
                confirm(t, IMAP)
                hand_over(t, UNDECIDED)
        elif n >= 12 and same(p, 12, b"* capability"):
            confirm(t, IMAP)
        return 0
