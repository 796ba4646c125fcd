"""DNS over TCP (RFC 7766): each message stands behind its length, two bytes.

What the messages say and who answers whom is dns.pyx's, as for datagrams.
"""

from libc.stdint cimport int64_t, uint8_t

from tracelake.native.account cimport Account
from tracelake.native.cursor cimport be16
from tracelake.parsers.conn cimport ORIG, Place
from tracelake.parsers.dns cimport Transactions, is_question, is_reply
from tracelake.parsers.protocols.protocol cimport (
    MORE, NO, YES, Guess, Protocol, Talk, place,
)
from tracelake.parsers.protocols.sheet cimport Sheets

cdef enum:
    LENGTH = 2
    HEADER = 12


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
        if length < LENGTH + be16(p):
            # A long one is believed by the flags of its header: no more than its first bytes are
            # shown.
            return YES if n and not be16(p + 4) & 0xFECF and be16(p + 6) == 1 else MORE
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
