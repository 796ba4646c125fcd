"""IMAP (RFC 9051, 6.2.1) and POP3 (RFC 2595, 4) until TLS takes over.

Only what leads to TLS is read: the server's greeting, the client's STARTTLS or STLS, and the
server's consent. Somebody who has not asked for TLS after COMMANDS lines will not.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcmp, memcpy

from tracelake.native.account cimport Account
from tracelake.parsers.conn cimport ORIG, RESP
from tracelake.parsers.protocols.protocol cimport (
    MORE, NO, UNDECIDED, YES, Guess, Protocol, Talk, confirm, give_up, hand_over,
)
from tracelake.parsers.protocols.sheet cimport Sheets
from tracelake.parsers.services import service

cdef enum:
    COMMANDS = 64
    LINE_LIMIT = 8192
    TAG_LIMIT = 64

cdef int IMAP = service("imap")


cdef struct State:
    bint pop
    bint asked                  # for TLS
    int commands
    uint8_t tag[TAG_LIMIT]      # of that command (IMAP)
    int tag_length


cdef class Starttls(Protocol):
    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "imap"
        self.ports = (143, 110)
        self.longest = LINE_LIMIT

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        cdef int64_t k
        if t.flow.protocol != 6:
            return NO
        if m == 0:
            # The server speaks first.
            return NO if n else MORE
        k = m if m < 5 else 5
        if memcmp(resp, b"* OK ", k) == 0:
            return YES if m >= 5 else MORE
        k = m if m < 3 else 3
        if memcmp(resp, b"+OK", k) == 0:
            return YES if m >= 3 else MORE
        return NO

    cdef int begin(self, Talk* t) except -1 nogil:
        cdef State* s = <State*>calloc(1, sizeof(State))
        if s is NULL:
            with gil:
                raise MemoryError("a mail session")
        t.state = s
        return 0

    cdef int end(self, Talk* t) except -1 nogil:
        free(t.state)
        t.state = NULL
        return 0

    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef State* s = <State*>t.state
        cdef int64_t at = 0, length
        cdef const uint8_t* end
        while at < n:
            end = <const uint8_t*>memchr(p + at, 0x0A, n - at)
            if end is NULL:
                if n - at >= LINE_LIMIT:
                    give_up(t)
                t.half[side].need = n - at + 1
                return at
            length = end - (p + at) + 1
            if side == ORIG:
                self._command(t, s, p + at, length)
            else:
                self._reply(t, s, p + at, length)
            at += length
            if t.gone or t.following != t.protocol:
                return at
        return at

    cdef int _command(self, Talk* t, State* s, const uint8_t* p, int64_t n) except -1 nogil:
        cdef int64_t word = 0
        s.commands += 1
        if s.commands > COMMANDS:
            give_up(t)
            return 0
        if s.pop:
            s.asked = _is(p, n, b"STLS", 4)
            return 0
        while word < n and p[word] != 0x20:
            word += 1
        if word == n or word > TAG_LIMIT or not _is(p + word + 1, n - word - 1, b"STARTTLS", 8):
            return 0
        s.asked = True
        memcpy(s.tag, p, word)
        s.tag_length = <int>word
        return 0

    cdef int _reply(self, Talk* t, State* s, const uint8_t* p, int64_t n) except -1 nogil:
        if not s.commands and n >= 3 and memcmp(p, b"+OK", 3) == 0:
            s.pop = True
        if s.pop:
            if s.asked and n >= 3 and memcmp(p, b"+OK", 3) == 0:
                hand_over(t, UNDECIDED)
            s.asked = False
            return 0
        if s.asked and n > s.tag_length + 3 and memcmp(p, s.tag, s.tag_length) == 0:
            if _is(p + s.tag_length, n - s.tag_length, b" OK", 3):
                confirm(t, IMAP)
                hand_over(t, UNDECIDED)
            s.asked = False
        return 0


cdef bint _is(const uint8_t* p, int64_t n, const char* word, int length) noexcept nogil:
    """Whether a word stands there, in letters of any case, and ends."""
    cdef int i
    if n <= length:
        return False
    for i in range(length):
        if p[i] != <uint8_t>word[i] and p[i] - 0x20 != <uint8_t>word[i]:
            return False
    return p[length] <= 0x20
