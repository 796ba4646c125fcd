"""SNMP versions 1 (RFC 1157), 2c (RFC 1901) and 3 (RFC 3412, 3414) over UDP.

What two ends say to each other in a flow is one row of net_service_activity, as in Zeek's snmp.log:
how many variables were asked for and answered; beside it the first that were asked for.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free

from tracelake.native.account cimport Account
from tracelake.native.columns cimport DictColumn, DoubleColumn, IntColumn, TextColumn
from tracelake.native.cursor cimport Cursor, left, span
from tracelake.parsers.conn cimport Place
from tracelake.parsers.packet cimport NO_TIME
from tracelake.parsers.protocols.der cimport (
    CONTEXT, FOUND, INTEGER, OCTET_STRING, OID, SEQUENCE, Element, element, expect, expect_integer,
    frame, integer_of, peek, put_oid,
)
from tracelake.parsers.protocols.netservice cimport NETWORK, TRAFFIC, ServiceSheet
from tracelake.parsers.protocols.protocol cimport NO, YES, Guess, Protocol, Talk, confirm, place
from tracelake.parsers.protocols.sheet cimport Sheets
from tracelake.parsers.protocols.words cimport (
    Word, no_word, put_held, put_name, put_text, set_word,
)
from tracelake.parsers.services cimport service

cdef int SERVICE = service("snmp")

cdef enum:
    UDP = 17
    V1 = 0
    V2C = 1
    V3 = 3
    TIME_TICKS = 0x43
    QUERY_ROOM = 1024           # of the variables asked for, as text

# PDUs (RFC 3416, section 3): numbers of their context tags.
cdef enum:
    GET = 0
    GET_NEXT = 1
    RESPONSE = 2
    SET = 3
    TRAP_V1 = 4
    GET_BULK = 5
    REPORT = 8

# system.sysDescr.0 and system.sysUpTime.0 (RFC 3418), encoded.
cdef const char* DESCRIPTION = b"\x2b\x06\x01\x02\x01\x01\x01\x00"
cdef const char* UP_TIME = b"\x2b\x06\x01\x02\x01\x01\x03\x00"


cdef struct Session:
    Place place
    bint begun
    int64_t last
    int64_t version
    int64_t[4] counts           # get, bulk, responses, set
    int64_t up_since            # microseconds; has_up
    bint has_up
    Word community
    Word user                   # of version 3
    Word description
    int query_length
    uint8_t[QUERY_ROOM] query


cdef bint _same(const Cursor* oid, const char* known) noexcept nogil:
    cdef int i
    if left(oid) != 8:
        return False
    for i in range(8):
        if oid.at[i] != (<const uint8_t*>known)[i]:
            return False
    return True


cdef bint _is_message(const uint8_t* p, int64_t n) noexcept nogil:
    """Whether a datagram is one SNMP message and nothing else."""
    cdef Cursor c = span(p, n, 0), body
    cdef int64_t version = -1
    if n < 8 or frame(p, n) != n or not expect(&c, SEQUENCE, &body):
        return False
    if not expect_integer(&body, &version):
        return False
    if version == V1 or version == V2C:
        return expect(&body, OCTET_STRING, &c) and CONTEXT <= peek(&body) <= CONTEXT | REPORT
    return (
        version == V3 and expect(&body, SEQUENCE, &c) and peek(&c) == INTEGER
        and peek(&body) == OCTET_STRING
    )


cdef class Snmp(Protocol):
    cdef ServiceSheet sheet
    cdef DictColumn protocol_version, community, user_name
    cdef IntColumn get_requests, get_bulk_requests, get_responses, set_requests, up_since
    cdef TextColumn display_string, query
    cdef DoubleColumn duration_s

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "snmp"
        self.ports = (161, 162)
        self.sheet = ServiceSheet(sheets)
        rows = self.sheet.rows
        self.protocol_version = rows.column("protocol_version")
        self.community = rows.column("community")
        self.user_name = rows.column("user_name")
        self.get_requests = rows.column("get_requests")
        self.get_bulk_requests = rows.column("get_bulk_requests")
        self.get_responses = rows.column("get_responses")
        self.set_requests = rows.column("set_requests")
        self.up_since = rows.column("up_since")
        self.display_string = rows.column("display_string")
        self.query = rows.column("query")
        self.duration_s = rows.column("duration_s")

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        if t.flow.protocol != UDP:
            return NO
        return YES if _is_message(orig if n else resp, n if n else m) else NO

    cdef int begin(self, Talk* t) except -1 nogil:
        cdef Session* s = <Session*>calloc(1, sizeof(Session))
        if s is NULL:
            with gil:
                raise MemoryError("an SNMP session")
        no_word(&s.community)
        no_word(&s.user)
        no_word(&s.description)
        t.state = s
        return 0

    cdef int datagram(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef Session* s = <Session*>t.state
        cdef Cursor c = span(p, n, 0), body
        cdef Element pdu
        cdef int64_t version = -1
        if not expect(&c, SEQUENCE, &c) or not expect_integer(&c, &version):
            return 0
        if version == V1 or version == V2C:
            if not expect(&c, OCTET_STRING, &body) or element(&c, &pdu, True) != FOUND:
                return 0
            self._begun(t, s, side, version)
            if s.community.n < 0:
                set_word(&s.community, body.at, left(&body))
            self._pdu(t, s, &pdu)
            return 0
        if version != V3 or not expect(&c, SEQUENCE, &body):
            return 0
        if not expect(&c, OCTET_STRING, &body):
            return 0
        self._begun(t, s, side, version)
        if s.user.n < 0 or s.user.n == 0:
            self._user(s, &body)
        # A ScopedPDU, or one that is encrypted.
        if expect(&c, SEQUENCE, &body) and expect(&body, OCTET_STRING, &c) and (
            expect(&body, OCTET_STRING, &c) and element(&body, &pdu, True) == FOUND
        ):
            self._pdu(t, s, &pdu)
        return 0

    cdef int end(self, Talk* t) except -1 nogil:
        cdef Session* s = <Session*>t.state
        if s is NULL:
            return 0
        try:
            if s.begun:
                self._row(t, s)
        finally:
            free(s)
            t.state = NULL
        return 0

    cdef void _begun(self, Talk* t, Session* s, int side, int64_t version) noexcept nogil:
        if not s.begun:
            s.begun = True
            s.place = place(t, side, 0)
            s.version = version
            confirm(t, SERVICE)
        s.last = t.time

    cdef void _user(self, Session* s, Cursor* c) noexcept nogil:
        """UsmSecurityParameters (RFC 3414, section 2.4)."""
        cdef Cursor body, field
        cdef int64_t number
        if expect(c, SEQUENCE, &body) and expect(&body, OCTET_STRING, &field) and (
            expect_integer(&body, &number) and expect_integer(&body, &number)
            and expect(&body, OCTET_STRING, &field) and left(&field)
        ):
            set_word(&s.user, field.at, left(&field))

    cdef void _pdu(self, Talk* t, Session* s, Element* pdu) noexcept nogil:
        """PDU (RFC 3416, section 3): its variables are counted."""
        cdef int kind = pdu.first - CONTEXT, count
        cdef Cursor list, binding, oid
        cdef Element value
        cdef int64_t number = 0
        if kind == TRAP_V1 or not GET <= kind <= REPORT:
            return
        if not (expect_integer(&pdu.body, &number) and expect_integer(&pdu.body, &number)
                and expect_integer(&pdu.body, &number) and expect(&pdu.body, SEQUENCE, &list)):
            return
        count = -1
        if kind == GET or kind == GET_NEXT:
            count = 0
        elif kind == GET_BULK:
            count = 1
        elif kind == RESPONSE:
            count = 2
        elif kind == SET:
            count = 3
        while expect(&list, SEQUENCE, &binding):
            if count >= 0:
                s.counts[count] += 1
            if not expect(&binding, OID, &oid) or element(&binding, &value, True) != FOUND:
                continue
            if kind == RESPONSE:
                if value.first == OCTET_STRING and _same(&oid, DESCRIPTION):
                    set_word(&s.description, value.body.at, left(&value.body))
                elif value.first == TIME_TICKS and _same(&oid, UP_TIME) and t.time != NO_TIME and (
                    integer_of(&value.body, &number)
                ):
                    s.up_since = t.time // 1000 - <int64_t><uint32_t>number * 10000
                    s.has_up = True
            elif s.query_length + 200 < QUERY_ROOM:
                if s.query_length:
                    s.query[s.query_length] = b" "
                    s.query_length += 1
                s.query_length += <int>put_oid(s.query + s.query_length, 190, &oid)

    cdef int _row(self, Talk* t, Session* s) except -1 nogil:
        cdef Py_ssize_t row = self.sheet.begin(t.flow, &s.place, NETWORK, TRAFFIC, b"snmp")
        put_name(
            self.protocol_version, row,
            b"1" if s.version == V1 else b"2c" if s.version == V2C else b"3",
        )
        put_held(self.community, row, &s.community)
        put_held(self.user_name, row, &s.user)
        self.get_requests.put(row, s.counts[0])
        self.get_bulk_requests.put(row, s.counts[1])
        self.get_responses.put(row, s.counts[2])
        self.set_requests.put(row, s.counts[3])
        if s.description.n >= 0:
            put_text(self.display_string, row, s.description.text, s.description.n)
        if s.has_up:
            self.up_since.put(row, s.up_since)
        if s.query_length:
            self.query.put_valid(row, s.query, s.query_length)
        if s.place.time != NO_TIME:
            self.duration_s.put(row, (s.last - s.place.time) / 1e9)
        return self.sheet.done()
