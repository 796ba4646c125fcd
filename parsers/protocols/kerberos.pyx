"""Kerberos 5 (RFC 4120) over UDP, over TCP (each message behind four bytes of length, section
7.2.2), and the AP-REQ inside GSS-API tokens (RFC 4121).

A request and its answer become one row of `authentication`: an AS-REQ asks for a ticket-granting
ticket (activity 3, or 6 where pre-authentication failed or was wanted), a TGS-REQ for a service's
(4, or 5 to renew one), an AP-REQ shows one to a service (1). Numbers are written as Windows'
events 4768 to 4771 write them (0x12), names as Zeek's kerberos.log does.
"""

import hashlib

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from tracelake.native.account cimport Account
from tracelake.native.cursor cimport Cursor, be32, left, span
from tracelake.parsers.conn cimport Flow, Place
from tracelake.parsers.protocols.certificates cimport certificates_of
from tracelake.parsers.protocols.der cimport (
    APPLICATION, BIT_STRING, CONTEXT, FOUND, GENERALIZED_TIME, GENERAL_STRING, OCTET_STRING, OID,
    SEQUENCE, Element, element, expect, expect_integer, expect_tagged_integer, frame, peek,
    time_of,
)
from tracelake.parsers.protocols.kerberos_names import CIPHERS, ERRORS
from tracelake.parsers.protocols.protocol cimport (
    MORE, NO, YES, Guess, Protocol, Talk, confirm, place,
)
from tracelake.parsers.protocols.sheet cimport Sheets
from tracelake.parsers.protocols.words cimport (
    WORD_ROOM, Names, Word, no_word, put_held, put_mask, put_name, put_number, put_word, set_word,
)
from tracelake.parsers.services cimport service

cdef int KRB = service("krb")
cdef int KRB_TCP = service("krb_tcp")
cdef Names ERROR_NAMES = Names(ERRORS)
cdef Names CIPHER_NAMES = Names(CIPHERS)

cdef enum:
    TCP = 6
    LENGTH = 4
    LOWEST = 24                 # bytes that show whose it is

# Message types (section 7.5.7), which are also the numbers of their application tags.
cdef enum:
    AS_REQ = 10
    AS_REP = 11
    TGS_REQ = 12
    TGS_REP = 13
    AP_REQ = 14
    AP_REP = 15
    KRB_ERROR = 30

# KDCOptions (section 5.4.1): bit 0 is the highest.
cdef enum:
    FORWARDABLE = 0x40000000
    RENEWABLE = 0x00800000
    RENEW = 0x00000002

# Pre-authentication data (section 7.5.2; RFC 4556; RFC 6113).
cdef enum:
    PA_TGS_REQ = 1
    PA_ENC_TIMESTAMP = 2
    PA_PK_AS_REQ_OLD = 15
    PA_PK_AS_REQ = 16
    PA_PK_AS_REP = 17
    PA_ENCRYPTED_CHALLENGE = 138

cdef enum:
    PREAUTH_FAILED = 24
    PREAUTH_REQUIRED = 25

# OCSF's activities of Authentication.
cdef enum:
    LOGON = 1
    TICKET = 3
    SERVICE_TICKET = 4
    RENEWAL = 5
    PREAUTH = 6

cdef const char* MECHANISM = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02"        # 1.2.840.113554.1.2.2
cdef const char* MICROSOFT = b"\x2a\x86\x48\x82\xf7\x12\x01\x02\x02"        # its slip, still spoken
cdef const char* USER_TO_USER = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x03"


cdef Guess _is_message(const uint8_t* p, int64_t n, int64_t whole) noexcept nogil:
    """Whether a message begins at `p`: application tag, SEQUENCE, protocol version 5."""
    cdef int64_t at, length
    cdef int number
    if n < 1:
        return MORE
    number = p[0] - APPLICATION
    if not (AS_REQ <= number <= AP_REP or number == KRB_ERROR):
        return NO
    if n < LOWEST:
        return MORE
    length = frame(p, n)
    if length <= 0 or (whole >= 0 and length != whole):
        return NO
    at = 2 + (p[1] & 0x7F if p[1] & 0x80 else 0)
    if at > 6 or p[at] != SEQUENCE:
        return NO
    at += 2 + (p[at + 1] & 0x7F if p[at + 1] & 0x80 else 0)
    if at > 12:
        return NO
    # [1] of requests, [0] of all others: INTEGER 5; message type behind it.
    if p[at] & 0xFE != CONTEXT or memcmp(p + at + 1, b"\x03\x02\x01\x05", 4):
        return NO
    if p[at + 5] != p[at] + 1 or memcmp(p + at + 6, b"\x03\x02\x01", 3) or p[at + 9] != number:
        return NO
    return YES


cdef bint _principal(Cursor* c, Word* out) noexcept nogil:
    """PrincipalName (section 5.2.2): its parts with slashes between them."""
    cdef Cursor body, names, part
    cdef int64_t type
    cdef int n = 0, i
    no_word(out)
    if not expect(c, SEQUENCE, &body) or not expect_tagged_integer(&body, 0, &type):
        return False
    if not expect(&body, CONTEXT | 1, &names) or not expect(&names, SEQUENCE, &names):
        return False
    while expect(&names, GENERAL_STRING, &part):
        if n and n < WORD_ROOM:
            out.text[n] = b"/"
            n += 1
        for i in range(<int>left(&part)):
            if n >= WORD_ROOM:
                break
            out.text[n] = part.at[i]
            n += 1
    out.n = n
    return True


cdef bint _string(Cursor* c, Word* out) noexcept nogil:
    """KerberosString (section 5.2.1)."""
    cdef Cursor body
    if not expect(c, GENERAL_STRING, &body):
        return False
    set_word(out, body.at, left(&body))
    return True


cdef bint _sealed(Cursor* c, int64_t* cipher, Cursor* sealed) noexcept nogil:
    """EncryptedData (section 5.2.9)."""
    cdef Cursor body
    cdef int64_t version
    if not expect(c, SEQUENCE, &body) or not expect_tagged_integer(&body, 0, cipher):
        return False
    expect_tagged_integer(&body, 1, &version)
    return expect(&body, CONTEXT | 2, &body) and expect(&body, OCTET_STRING, sealed)


cdef bint _ticket(Cursor* c, Ticket* out) noexcept nogil:
    """Ticket (section 5.3)."""
    cdef Cursor body, field
    cdef int64_t version
    memset(out, 0, sizeof(Ticket))
    if not expect(c, APPLICATION | 1, &body) or not expect(&body, SEQUENCE, &body):
        return False
    return (
        expect_tagged_integer(&body, 0, &version)
        and expect(&body, CONTEXT | 1, &field) and _string(&field, &out.realm)
        and expect(&body, CONTEXT | 2, &field) and _principal(&field, &out.service)
        and expect(&body, CONTEXT | 3, &field) and _sealed(&field, &out.cipher, &out.sealed)
    )


cdef bint _ap_ticket(Cursor* c, int64_t* options, Ticket* out) noexcept nogil:
    """The ticket of an AP-REQ (section 5.5.1), behind its application tag."""
    cdef Cursor body, field
    cdef int64_t number
    if not expect(c, SEQUENCE, &body) or not expect_tagged_integer(&body, 0, &number):
        return False
    if not expect_tagged_integer(&body, 1, &number) or number != AP_REQ:
        return False
    if not expect(&body, CONTEXT | 2, &field) or not _flags(&field, options):
        return False
    return expect(&body, CONTEXT | 3, &field) and _ticket(&field, out)


cdef bint _flags(Cursor* c, int64_t* flags) noexcept nogil:
    """KerberosFlags (section 5.2.8): 32 bits."""
    cdef Cursor body
    if not expect(c, BIT_STRING, &body) or left(&body) < 5:
        return False
    flags[0] = be32(body.at + 1)
    return True


cdef bint _time(Cursor* c, int64_t* microseconds) noexcept nogil:
    cdef Cursor body
    return expect(c, GENERALIZED_TIME, &body) and time_of(&body, microseconds)


cdef class Tickets:
    """Rows of what Kerberos says.

    Args:
        sheets: of the capture.
    """

    def __cinit__(self, Sheets sheets):
        sheet = self.sheet = sheets.sheet("authentication")
        self.sheets = sheets
        rows = sheet.rows
        self.status_id = rows.column("status_id")
        self.auth_protocol = rows.column("auth_protocol")
        self.request_type = rows.column("request_type")
        self.user_name = rows.column("user_name")
        self.user_domain = rows.column("user_domain")
        self.service_name = rows.column("service_name")
        self.status_code = rows.column("status_code")
        self.status_detail = rows.column("status_detail")
        self.ticket_from = rows.column("ticket_from")
        self.ticket_till = rows.column("ticket_till")
        self.ticket_cipher = rows.column("ticket_cipher")
        self.ticket_encryption = rows.column("ticket_encryption")
        self.ticket_options = rows.column("ticket_options")
        self.pre_auth_type = rows.column("pre_auth_type")
        self.auth_ticket = rows.column("auth_ticket")
        self.new_ticket = rows.column("new_ticket")
        self.forwardable = rows.column("forwardable")
        self.renewable = rows.column("renewable")
        self.is_remote = rows.column("is_remote")

    cdef bint token(
        self, Flow* f, const Place* place, const uint8_t* p, int64_t n
    ) except -1 nogil:
        cdef Cursor c = span(p, n, 0), body
        if peek(&c) == APPLICATION:
            if not expect(&c, APPLICATION, &c) or not expect(&c, OID, &body):
                return False
            if not (
                (left(&body) == 9 and (
                    memcmp(body.at, MECHANISM, 9) == 0 or memcmp(body.at, MICROSOFT, 9) == 0))
                or (left(&body) == 10 and memcmp(body.at, USER_TO_USER, 10) == 0)
            ):
                return False
            if left(&c) < 2:
                return False
            c.at += 2           # TOK_ID (RFC 4121, section 4.1): the message's tag says the same
        if _is_message(c.at, left(&c), -1) != YES:
            return False
        f.services |= 1ULL << KRB
        if peek(&c) == APPLICATION | AP_REQ and expect(&c, APPLICATION | AP_REQ, &body):
            self._ap_request(f, place, &body)
        return True

    cdef int _ap_request(self, Flow* f, const Place* place, Cursor* c) except -1 nogil:
        cdef Exchange x
        cdef Ticket ticket
        memset(&x, 0, sizeof(x))
        x.place = place[0]
        x.asked = AP_REQ
        x.pre_auth = -1
        no_word(&x.client)
        no_word(&x.realm)
        no_word(&x.service)
        if not _ap_ticket(c, &x.options, &ticket):
            return 0
        x.has_ticket = True
        self._hash(&ticket.sealed, x.shown)
        return self.write(f, &x, &ticket, 0, -1, NULL)

    cdef int _hash(self, const Cursor* sealed, uint8_t* out) except -1 nogil:
        """MD5 of a ticket's encrypted part: tells where it was got and where it was shown. (Tickets
        are rare: of native hashes there is no MD5.)"""
        with gil:
            text = hashlib.md5(
                (<const char*>sealed.at)[:left(sealed)], usedforsecurity=False
            ).hexdigest().encode("ascii")
            memcpy(out, <const char*>text, 32)
        return 0

    cdef int write(
        self, Flow* f, const Exchange* x, const Ticket* ticket, int answer, int64_t error,
        const Word* text,
    ) except -1 nogil:
        """A transaction as a row: `answer` is the message type of the answer, 0 where none came."""
        cdef int activity = TICKET
        cdef Py_ssize_t row
        cdef uint8_t[32] hash
        if x.asked == AP_REQ:
            activity = LOGON
        elif answer == KRB_ERROR and (error == PREAUTH_FAILED or error == PREAUTH_REQUIRED):
            activity = PREAUTH
        elif x.asked == TGS_REQ or answer == TGS_REP:
            activity = RENEWAL if x.options >= 0 and x.options & RENEW else SERVICE_TICKET
        row = self.sheet.begin(f, &x.place, activity)
        put_name(self.auth_protocol, row, b"Kerberos")
        self.is_remote.put(row, True)
        if x.asked == AS_REQ or x.asked == TGS_REQ:
            put_name(self.request_type, row, b"AS" if x.asked == AS_REQ else b"TGS")
            if x.options >= 0:
                put_mask(self.ticket_options, row, x.options)
                self.forwardable.put(row, x.options & FORWARDABLE != 0)
                self.renewable.put(row, x.options & RENEWABLE != 0)
            if x.has_since:
                self.ticket_from.put(row, x.since)
            if x.has_till:
                self.ticket_till.put(row, x.till)
        elif x.asked == AP_REQ:
            put_name(self.request_type, row, b"AP")
        put_held(self.user_name, row, &x.client)
        put_held(self.user_domain, row, &x.realm)
        put_held(self.service_name, row, &ticket.service if ticket is not NULL else &x.service)
        if x.pre_auth >= 0:
            put_number(self.pre_auth_type, row, x.pre_auth)
        if x.has_ticket:
            self.auth_ticket.put_valid(row, x.shown, 32)
        if ticket is not NULL:
            CIPHER_NAMES.put(self.ticket_cipher, row, ticket.cipher, b"unknown-")
            put_mask(self.ticket_encryption, row, ticket.cipher)
            if answer:
                self._hash(&ticket.sealed, hash)
                self.new_ticket.put_valid(row, hash, 32)
        if answer == KRB_ERROR:
            self.status_id.put(row, 2)
            put_mask(self.status_code, row, error)
            if text is not NULL and text.n >= 0:
                put_word(self.status_detail, row, text.text, text.n)
            else:
                ERROR_NAMES.put(self.status_detail, row, error, b"unknown-")
        elif answer:
            self.status_id.put(row, 1)
            put_mask(self.status_code, row, 0)
        return self.sheet.done()


cdef class Kerberos(Protocol):
    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "krb"
        self.ports = (88,)
        self.tickets = Tickets(sheets)
        self.certificates = certificates_of(sheets)

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        cdef const uint8_t* p = orig if n else resp
        cdef int64_t length = n if n else m
        if t.flow.protocol != TCP:
            return YES if _is_message(p, length, length) == YES else NO
        if length < LENGTH:
            return NO if length and p[0] else MORE
        if p[0]:
            return NO               # no message has 16 MiB
        return _is_message(p + LENGTH, length - LENGTH, be32(p))

    cdef int begin(self, Talk* t) except -1 nogil:
        t.state = calloc(1, sizeof(Exchange))
        if t.state is NULL:
            with gil:
                raise MemoryError("a Kerberos exchange")
        return 0

    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef int64_t at = 0, length
        while n - at >= LENGTH:
            length = be32(p + at) & 0x7FFFFFFF
            if n - at < LENGTH + length:
                t.half[side].need = LENGTH + length
                break
            self._message(t, side, at, p + at + LENGTH, length)
            at += LENGTH + length
        return at

    cdef int datagram(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        return self._message(t, side, 0, p, n)

    cdef int end(self, Talk* t) except -1 nogil:
        cdef Exchange* x = <Exchange*>t.state
        try:
            if x is not NULL and x.asked:
                self.tickets.write(t.flow, x, NULL, 0, -1, NULL)
        finally:
            free(t.state)
            t.state = NULL
        return 0

    cdef int _message(
        self, Talk* t, int side, int64_t at, const uint8_t* p, int64_t n
    ) except -1 nogil:
        cdef Cursor c = span(p, n, 0)
        cdef Element e
        cdef Place found
        cdef int number
        if element(&c, &e, False) != FOUND:
            return 0
        number = e.first - APPLICATION
        found = place(t, side, at)
        if number == AS_REQ or number == TGS_REQ:
            return self._request(t, <Exchange*>t.state, &found, number, &e.body)
        if number == AS_REP or number == TGS_REP:
            return self._reply(t, <Exchange*>t.state, &found, number, &e.body)
        if number == KRB_ERROR:
            return self._error(t, <Exchange*>t.state, &found, &e.body)
        if number == AP_REQ:
            return self.tickets._ap_request(t.flow, &found, &e.body)
        return 0

    cdef int _request(
        self, Talk* t, Exchange* x, const Place* place, int type, Cursor* c
    ) except -1 nogil:
        """KDC-REQ (section 5.4.1)."""
        cdef Exchange asked
        cdef Ticket ticket
        cdef Cursor body, field, each, value
        cdef Element e
        cdef int64_t number
        memset(&asked, 0, sizeof(asked))
        asked.place = place[0]
        asked.asked = type
        asked.options = asked.pre_auth = -1
        no_word(&asked.client)
        no_word(&asked.realm)
        no_word(&asked.service)
        if not expect(c, SEQUENCE, &body) or not expect_tagged_integer(&body, 1, &number):
            return 0
        if not expect_tagged_integer(&body, 2, &number):
            return 0
        if expect(&body, CONTEXT | 3, &field) and expect(&field, SEQUENCE, &field):
            while expect(&field, SEQUENCE, &each):
                if not expect_tagged_integer(&each, 1, &number):
                    continue
                if number == PA_TGS_REQ and not asked.has_ticket:
                    if (
                        expect(&each, CONTEXT | 2, &value) and expect(&value, OCTET_STRING, &value)
                        and expect(&value, APPLICATION | AP_REQ, &value)
                        and _ap_ticket(&value, &number, &ticket)
                    ):
                        asked.has_ticket = True
                        self.tickets._hash(&ticket.sealed, asked.shown)
                elif number in (
                    PA_ENC_TIMESTAMP, PA_PK_AS_REQ_OLD, PA_PK_AS_REQ, PA_ENCRYPTED_CHALLENGE
                ):
                    asked.pre_auth = <int>number
                    if number == PA_PK_AS_REQ or number == PA_PK_AS_REQ_OLD:
                        self.certificates.signed(
                            t.flow, place, each.at, <int32_t>left(&each), True
                        )
        if not expect(&body, CONTEXT | 4, &body) or not expect(&body, SEQUENCE, &body):
            return 0
        while element(&body, &e, False) == FOUND:
            number = e.first - CONTEXT
            if number == 0:
                _flags(&e.body, &asked.options)
            elif number == 1:
                _principal(&e.body, &asked.client)
            elif number == 2:
                _string(&e.body, &asked.realm)
            elif number == 3:
                _principal(&e.body, &asked.service)
            elif number == 4:
                asked.has_since = _time(&e.body, &asked.since)
            elif number == 5:
                asked.has_till = _time(&e.body, &asked.till)
            elif number == 7:
                expect_integer(&e.body, &asked.nonce)
        if type == TGS_REQ:
            # The realm of a TGS-REQ is the server's; the client is in the ticket, or in the answer.
            no_word(&asked.client)
            no_word(&asked.realm)
        confirm(t, KRB_TCP if t.flow.protocol == TCP else KRB)
        if x.asked:
            if x.asked == type and x.nonce == asked.nonce:
                return 0            # the same once more
            self.tickets.write(t.flow, x, NULL, 0, -1, NULL)
        x[0] = asked
        return 0

    cdef int _reply(
        self, Talk* t, Exchange* x, const Place* place, int type, Cursor* c
    ) except -1 nogil:
        """KDC-REP (section 5.4.2)."""
        cdef Cursor body, field, each
        cdef Ticket ticket
        cdef Word realm, client
        cdef int64_t number
        if not expect(c, SEQUENCE, &body) or not expect_tagged_integer(&body, 0, &number):
            return 0
        if not expect_tagged_integer(&body, 1, &number):
            return 0
        if expect(&body, CONTEXT | 2, &field) and expect(&field, SEQUENCE, &field):
            while expect(&field, SEQUENCE, &each):
                if expect_tagged_integer(&each, 1, &number) and (
                    number == PA_PK_AS_REP or number == PA_PK_AS_REQ_OLD
                ):
                    self.certificates.signed(t.flow, place, each.at, <int32_t>left(&each), False)
        if not (
            expect(&body, CONTEXT | 3, &field) and _string(&field, &realm)
            and expect(&body, CONTEXT | 4, &field) and _principal(&field, &client)
            and expect(&body, CONTEXT | 5, &field) and _ticket(&field, &ticket)
        ):
            return 0
        confirm(t, KRB_TCP if t.flow.protocol == TCP else KRB)
        self._unasked(x, place)
        if x.client.n < 0 and x.realm.n < 0:
            x.client = client
            x.realm = realm
        self.tickets.write(t.flow, x, &ticket, type, 0, NULL)
        x.asked = 0
        return 0

    cdef int _error(
        self, Talk* t, Exchange* x, const Place* place, Cursor* c
    ) except -1 nogil:
        """KRB-ERROR (section 5.9.1)."""
        cdef Cursor body
        cdef Element e
        cdef Word client, realm, service, text
        cdef int64_t error = -1
        cdef int number
        no_word(&client)
        no_word(&realm)
        no_word(&service)
        no_word(&text)
        if not expect(c, SEQUENCE, &body):
            return 0
        while element(&body, &e, False) == FOUND:
            number = e.first - CONTEXT
            if number == 6:
                expect_integer(&e.body, &error)
            elif number == 7:
                _string(&e.body, &realm)
            elif number == 8:
                _principal(&e.body, &client)
            elif number == 10:
                _principal(&e.body, &service)
            elif number == 11:
                _string(&e.body, &text)
        if error < 0:
            return 0
        confirm(t, KRB_TCP if t.flow.protocol == TCP else KRB)
        self._unasked(x, place)
        if x.client.n < 0 and x.realm.n < 0:
            x.client = client
            x.realm = realm
        if service.n >= 0:
            x.service = service
        self.tickets.write(t.flow, x, NULL, KRB_ERROR, error, &text)
        x.asked = 0
        return 0

    cdef void _unasked(self, Exchange* x, const Place* place) noexcept nogil:
        """Makes room for an answer whose request was not seen."""
        if x.asked:
            return
        memset(x, 0, sizeof(Exchange))
        x.place = place[0]
        x.options = x.pre_auth = -1
        no_word(&x.client)
        no_word(&x.realm)
        no_word(&x.service)
