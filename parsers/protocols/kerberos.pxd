"""Kerberos: who asked for which ticket, and what came of it."""

from libc.stdint cimport int64_t, uint8_t

from tracelake.native.columns cimport BoolColumn, DictColumn, IntColumn, TextColumn
from tracelake.native.cursor cimport Cursor
from tracelake.parsers.conn cimport Flow, Place
from tracelake.parsers.protocols.certificates cimport Certificates
from tracelake.parsers.protocols.protocol cimport Protocol, Talk
from tracelake.parsers.protocols.sheet cimport Sheet, Sheets
from tracelake.parsers.protocols.words cimport Word


# A ticket (RFC 4120, section 5.3), as far as it is not encrypted.
cdef struct Ticket:
    Word realm
    Word service
    int64_t cipher              # encryption type
    Cursor sealed               # its encrypted part: a view of the message at hand


# One transaction: what was asked and what was answered.
cdef struct Exchange:
    Place place
    int asked                   # message type of the request; 0: none was seen
    int64_t nonce
    int64_t options             # KDCOptions; -1: none
    int64_t since               # microseconds since 1970; has_...
    int64_t till
    bint has_since
    bint has_till
    int pre_auth                # kind of pre-authentication; -1: none
    Word client
    Word realm
    Word service
    bint has_ticket             # a ticket was shown; its MD5 as text
    uint8_t[32] shown


# Rows of what Kerberos says, in a flow of its own or inside GSS-API.
cdef class Tickets:
    cdef Sheet sheet
    cdef Sheets sheets
    cdef IntColumn status_id, ticket_from, ticket_till
    cdef DictColumn auth_protocol, request_type, user_name, user_domain, service_name
    cdef DictColumn status_code, status_detail, ticket_cipher, ticket_encryption
    cdef DictColumn ticket_options, pre_auth_type, auth_ticket, new_ticket
    cdef BoolColumn forwardable, renewable, is_remote

    # A mechanism token of Kerberos as GSS-API, SPNEGO and SASL carry it (RFC 4121, section 4.1):
    # with or without the frame of RFC 2743, section 3.1. An AP-REQ becomes a row. False where it
    # is no Kerberos. The flow's services get `krb`.
    cdef bint token(
        self, Flow* f, const Place* place, const uint8_t* p, int64_t n
    ) except -1 nogil
    cdef int write(
        self, Flow* f, const Exchange* x, const Ticket* ticket, int answer, int64_t error,
        const Word* text,
    ) except -1 nogil
    cdef int _hash(self, const Cursor* sealed, uint8_t* out) except -1 nogil
    cdef int _ap_request(self, Flow* f, const Place* place, Cursor* c) except -1 nogil


cdef class Kerberos(Protocol):
    cdef Tickets tickets
    cdef Certificates certificates      # of PKINIT (RFC 4556)
    cdef int _message(
        self, Talk* t, int side, int64_t at, const uint8_t* p, int64_t n
    ) except -1 nogil
    cdef int _request(
        self, Talk* t, Exchange* x, const Place* place, int type, Cursor* c
    ) except -1 nogil
    cdef int _reply(
        self, Talk* t, Exchange* x, const Place* place, int type, Cursor* c
    ) except -1 nogil
    cdef int _error(self, Talk* t, Exchange* x, const Place* place, Cursor* c) except -1 nogil
    cdef void _unasked(self, Exchange* x, const Place* place) noexcept nogil
