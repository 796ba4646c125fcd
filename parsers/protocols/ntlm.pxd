"""NTLM (MS-NLMP) in other protocols: who logs on, from where, to what, and whether it worked.

A protocol that carries it keeps one pointer a flow, `Logon* logon = NULL`, gives every message that
begins with "NTLMSSP\\0" to `message`, says what became of it (`result`, `failed`), and calls `end`
when the flow ends. A row of `authentication` is written as soon as the result is known.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from tracelake.native.columns cimport BoolColumn, DictColumn, IntColumn
from tracelake.parsers.conn cimport Place
from tracelake.parsers.protocols.held_name cimport Name
from tracelake.parsers.protocols.protocol cimport Talk
from tracelake.parsers.protocols.sheet cimport Sheet, Sheets


cdef struct Logon:
    Place place                 # of its first message
    bint written
    Name user, domain, workstation
    Name nb_name, dns_name, tree_name
    uint32_t flags              # as agreed on: of the last message that had them
    uint8_t version             # of the response: 1, 2; 0 where there was none
    uint8_t said                # the last kind of message


cdef inline bint is_ntlm(const uint8_t* p, int64_t n) noexcept nogil:
    return (n >= 12 and p[0] == b"N" and p[1] == b"T" and p[2] == b"L" and p[3] == b"M"
            and p[4] == b"S" and p[5] == b"S" and p[6] == b"P" and p[7] == 0)


cdef class Ntlm:
    cdef Sheet sheet
    cdef int64_t kept           # bytes that all logons under way take
    cdef IntColumn status_id, key_length
    cdef BoolColumn is_remote
    cdef DictColumn user_name, user_domain, src_hostname, dst_hostname, auth_protocol, auth_package
    cdef DictColumn status_code, nb_name, dns_name, tree_name

    # A message of `side`, of which `n` bytes are there. `at`: its place in what was offered.
    cdef int message(
        self, Talk* t, Logon** logon, int side, const uint8_t* p, int64_t n, int64_t at
    ) except -1 nogil
    # The other side says whether it was let in.
    cdef int result(self, Talk* t, Logon** logon, bint success) except -1 nogil
    # It was not, by an NT status (MS-ERREF 2.3).
    cdef int failed(self, Talk* t, Logon** logon, uint32_t status) except -1 nogil
    # Writes what is not written yet, and frees.
    cdef int end(self, Talk* t, Logon** logon) except -1 nogil

    cdef int _negotiate(self, Logon* l, const uint8_t* p, int64_t n) except -1 nogil
    cdef int _challenge(self, Logon* l, const uint8_t* p, int64_t n) except -1 nogil
    cdef int _authenticate(self, Logon* l, const uint8_t* p, int64_t n) except -1 nogil
    cdef int _field(
        self, Name* name, const uint8_t* p, int64_t n, int64_t at, bint wide
    ) except -1 nogil
    cdef int _write(self, Talk* t, Logon* l, int status, uint32_t code) except -1 nogil
    cdef void _forget(self, Logon* l) noexcept nogil
