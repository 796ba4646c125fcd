"""GSS-API and SPNEGO tokens (RFC 2743, RFC 4178, MS-SPNG) as other protocols carry them: NTLM and
Kerberos messages are taken out, and what the server says of the negotiation is passed on.

A protocol that carries them keeps one pointer a flow, `Logon* logon = NULL` (ntlm.pxd).
"""

from libc.stdint cimport int64_t, uint8_t

from tracelake.native.cursor cimport Cursor
from tracelake.parsers.protocols.kerberos cimport Tickets
from tracelake.parsers.protocols.ntlm cimport Logon, Ntlm
from tracelake.parsers.protocols.protocol cimport Talk
from tracelake.parsers.protocols.sheet cimport Sheets


cdef class Gssapi:
    cdef readonly Ntlm ntlm
    cdef Tickets tickets

    # A token of `side`. `at`: its place in what was offered.
    cdef int token(
        self, Talk* t, Logon** logon, int side, const uint8_t* p, int64_t n, int64_t at
    ) except -1 nogil
    # The same in Base64, as HTTP's Negotiate and NTLM (RFC 4559), SMTP and others carry it.
    cdef int base64(
        self, Talk* t, Logon** logon, int side, const uint8_t* p, int64_t n, int64_t at
    ) except -1 nogil

    cdef int _init(
        self, Talk* t, Logon** logon, int side, Cursor* c, int64_t at
    ) except -1 nogil
    cdef int _response(
        self, Talk* t, Logon** logon, int side, Cursor* c, int64_t at
    ) except -1 nogil
    cdef int _mechanism(
        self, Talk* t, Logon** logon, int side, const uint8_t* p, int64_t n, int64_t at
    ) except -1 nogil
