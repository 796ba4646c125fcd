"""DNS over TCP (RFC 7766): each message stands behind its length, two bytes.

What the messages say and who answers whom is dns.pyx's, as for datagrams.
"""

from libc.stdint cimport int64_t, uint8_t

from tracelake.native.account cimport Account
from tracelake.native.cursor cimport be16
from tracelake.parsers.conn cimport RESP, Place
from tracelake.parsers.dns cimport Transactions, is_question, is_reply
from tracelake.parsers.protocols.protocol cimport (
    MORE, NO, YES, Guess, Protocol, Talk, place,
)
from tracelake.parsers.protocols.sheet cimport Sheets

cdef enum:
    LENGTH = 2
    HEADER = 12
    DOMAIN = 53
    LONG = 1400


cdef bint _is_header(const uint8_t* p, bint asked) noexcept nogil:
    """Whether a header is a question's (or an answer's), of one question."""
    return be16(p + 4) == 1 and be16(p + 2) & 0x7840 == 0 and (p[2] & 0x80 == 0) == asked


cdef class DnsTcp(Protocol):
    cdef Transactions names

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "dns"
        self.ports = (53, 5353, 5355)
        self.longest = LENGTH + 65535
        self.names = sheets.dns

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        cdef const uint8_t* p = orig if n else resp
        cdef int64_t length = n if n else m
        if length < LENGTH + HEADER:
            return NO if length >= LENGTH and be16(p) < HEADER else MORE
        if t.flow.port[RESP] == DOMAIN and _is_header(p + LENGTH, n > 0):
            # At home more is believed: servers forgive as well.
            return YES
        if length < LENGTH + be16(p):
            return MORE if be16(p) < LONG else NO
        if n:
            return YES if is_question(p + LENGTH, be16(p)) else NO
        return YES if is_reply(p + LENGTH, be16(p)) else NO

    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef int64_t at = 0, length
        cdef Place found
        while n - at >= LENGTH:
            length = be16(p + at)
            if n - at < LENGTH + length:
                t.half[side].need = LENGTH + length
                break
            found = place(t, side, at)
            self.names.message(t.flow, side, &found, p + at + LENGTH, length)
            at += LENGTH + length
        return at
