"""GSS-API and SPNEGO tokens (see gssapi.pxd).

    InitialContextToken ::= [APPLICATION 0] { thisMech OID, innerToken }        RFC 2743, 3.1
    NegotiationToken    ::= CHOICE { [0] NegTokenInit, [1] NegTokenResp }       RFC 4178, 4.2
    NegTokenInit ::= SEQUENCE { [0] mechTypes, [1] reqFlags, [2] mechToken, [3] mechListMIC }
    NegTokenResp ::= SEQUENCE { [0] negState, [1] supportedMech, [2] responseToken, [3] MIC }
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcmp

from tracelake.native.cursor cimport Cursor, left, span
from tracelake.parsers.protocols.der cimport (
    APPLICATION, CONTEXT, ENUMERATED, FOUND, OCTET_STRING, OID, SEQUENCE, Element, element,
    expect, expect_integer, peek,
)
from tracelake.parsers.conn cimport Place
from tracelake.parsers.protocols.kerberos cimport Tickets
from tracelake.parsers.protocols.ntlm cimport Logon, Ntlm, is_ntlm
from tracelake.parsers.protocols.protocol cimport Talk, confirm, place
from tracelake.parsers.protocols.sheet cimport Sheets
from tracelake.parsers.services cimport service

cdef int GSSAPI = service("gssapi")

cdef enum:
    TOKEN_ROOM = 12288          # of a token in Base64: a header of HTTP is seldom longer
    MOST_ELEMENTS = 16

# negState (RFC 4178, 4.2.2).
cdef enum:
    ACCEPT_COMPLETED = 0
    ACCEPT_INCOMPLETE = 1

# 1.2.840.113554.1.2.2, and the one that Microsoft first wrote by mistake, 1.2.840.48018.1.2.2.
cdef const uint8_t* KRB5 = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02"
cdef const uint8_t* MS_KRB5 = b"\x2a\x86\x48\x82\xf7\x12\x01\x02\x02"


cdef class Gssapi:
    """What reads GSS-API tokens.

    Args:
        sheets: the tables of the capture.
    """

    def __cinit__(self, Sheets sheets):
        self.ntlm = Ntlm(sheets)
        self.tickets = Tickets(sheets)

    cdef int token(
        self, Talk* t, Logon** logon, int side, const uint8_t* p, int64_t n, int64_t at
    ) except -1 nogil:
        cdef Cursor c, body, mechanism
        cdef int first
        if is_ntlm(p, n):
            return self.ntlm.message(t, logon, side, p, n, at)
        c = span(p, n, at)
        first = peek(&c)
        if first == APPLICATION:
            if not expect(&c, APPLICATION, &body) or not expect(&body, OID, &mechanism):
                return 0
            confirm(t, GSSAPI)
            if _is_kerberos(&mechanism):
                return self._mechanism(t, logon, side, p, n, at)
            if not expect(&body, CONTEXT, &c):
                return 0
            return self._init(t, logon, side, &c, at)
        if first == CONTEXT:
            if not expect(&c, CONTEXT, &body):
                return 0
            confirm(t, GSSAPI)
            return self._init(t, logon, side, &body, at)
        if first == CONTEXT | 1:
            if not expect(&c, CONTEXT | 1, &body):
                return 0
            confirm(t, GSSAPI)
            return self._response(t, logon, side, &body, at)
        return 0

    cdef int _init(
        self, Talk* t, Logon** logon, int side, Cursor* c, int64_t at
    ) except -1 nogil:
        cdef Cursor fields, octets
        cdef Element field
        cdef int i
        if not expect(c, SEQUENCE, &fields):
            return 0
        for i in range(MOST_ELEMENTS):
            if element(&fields, &field, False) != FOUND:
                break
            if field.first == CONTEXT | 2 and expect(&field.body, OCTET_STRING, &octets):
                self._mechanism(t, logon, side, octets.at, left(&octets), at)
        return 0

    cdef int _response(
        self, Talk* t, Logon** logon, int side, Cursor* c, int64_t at
    ) except -1 nogil:
        cdef Cursor fields, octets
        cdef Element field
        cdef int64_t state = ACCEPT_INCOMPLETE
        cdef int i
        if not expect(c, SEQUENCE, &fields):
            return 0
        for i in range(MOST_ELEMENTS):
            if element(&fields, &field, False) != FOUND:
                break
            if field.first == CONTEXT and peek(&field.body) == ENUMERATED:
                expect_integer(&field.body, &state)
            elif field.first == CONTEXT | 2 and expect(&field.body, OCTET_STRING, &octets):
                self._mechanism(t, logon, side, octets.at, left(&octets), at)
        if state != ACCEPT_INCOMPLETE:
            self.ntlm.result(t, logon, state == ACCEPT_COMPLETED)
        return 0

    cdef int _mechanism(
        self, Talk* t, Logon** logon, int side, const uint8_t* p, int64_t n, int64_t at
    ) except -1 nogil:
        """What a mechanism of its own says inside: NTLM, or Kerberos in its own frame."""
        cdef Place where
        if is_ntlm(p, n):
            return self.ntlm.message(t, logon, side, p, n, at)
        if n and p[0] == APPLICATION:
            where = place(t, side, at)
            self.tickets.token(t.flow, &where, p, n)
        return 0

    cdef int base64(
        self, Talk* t, Logon** logon, int side, const uint8_t* p, int64_t n, int64_t at
    ) except -1 nogil:
        cdef uint8_t[TOKEN_ROOM] token
        cdef int64_t i, m = 0
        cdef int32_t bits = 0
        cdef int held = 0, value
        for i in range(n):
            value = _sextet(p[i])
            if value < 0:
                break
            bits = (bits << 6 | value) & 0xFFFFF
            held += 6
            if held >= 8:
                held -= 8
                if m == TOKEN_ROOM:
                    return 0
                token[m] = <uint8_t>(bits >> held)
                m += 1
        return self.token(t, logon, side, token, m, at)


cdef bint _is_kerberos(const Cursor* mechanism) noexcept nogil:
    return left(mechanism) == 9 and (
        memcmp(mechanism.at, KRB5, 9) == 0 or memcmp(mechanism.at, MS_KRB5, 9) == 0
    )


cdef int _sextet(uint8_t c) noexcept nogil:
    if b"A" <= c <= b"Z":
        return c - <uint8_t>b"A"
    if b"a" <= c <= b"z":
        return c - <uint8_t>b"a" + 26
    if b"0" <= c <= b"9":
        return c - <uint8_t>b"0" + 52
    if c == b"+":
        return 62
    if c == b"/":
        return 63
    return -1
