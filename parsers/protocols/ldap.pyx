"""LDAP (RFC 4511) over TCP, and without connections over UDP (CLDAP).

An operation and its answer are one row of net_service_activity, as Zeek's ldap.log and
ldap_search.log have them. StartTLS hands over to what follows. Behind a SASL bind each message may
be wrapped (RFC 4121, section 4.2.6.2): what is only signed is read, what is sealed ends the talk.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy

from tracelake.native.account cimport Account
from tracelake.native.columns cimport DictColumn, IntColumn, ListColumn, TextColumn
from tracelake.native.cursor cimport Cursor, be16, be32, left, span
from tracelake.native.text cimport put_int
from tracelake.parsers.conn cimport Place
from tracelake.parsers.protocols.der cimport (
    APPLICATION, APPLICATION_PRIMITIVE, CONTEXT, CONTEXT_PRIMITIVE, FOUND, INTEGER, OCTET_STRING,
    OID, SEQUENCE, Element, element, expect, expect_integer, frame, integer_of, pass_over,
)
from tracelake.parsers.protocols.kerberos cimport Tickets
from tracelake.parsers.protocols.ldap_filter cimport put_filter
from tracelake.parsers.protocols.ldap_names import DEREFERENCES, OPERATIONS, RESULTS, SCOPES
from tracelake.parsers.protocols.netservice cimport NETWORK, TRAFFIC, ServiceSheet
from tracelake.parsers.protocols.protocol cimport (
    MORE, NO, UNDECIDED, YES, Guess, Protocol, Talk, confirm, give_up, hand_over, place,
)
from tracelake.parsers.protocols.sheet cimport Sheets
from tracelake.parsers.protocols.words cimport (
    LONGEST_WORD, Names, put_name, put_number, put_text, put_word,
)
from tracelake.parsers.services cimport service

cdef int LDAP_TCP = service("ldap_tcp")
cdef int LDAP_UDP = service("ldap_udp")
cdef Names OPERATION_NAMES = Names(OPERATIONS)
cdef Names RESULT_NAMES = Names(RESULTS)
cdef Names SCOPE_NAMES = Names(SCOPES)
cdef Names DEREFERENCE_NAMES = Names(DEREFERENCES)

cdef enum:
    TCP = 6
    WAITING = 100               # operations of a flow that wait for their answer
    LOWEST = 7                  # bytes of the shortest message (UnbindRequest)
    FEW = 24                    # bytes in which the operation's tag must stand
    WRAP = 0x0504               # TOK_ID of a wrap token
    SEALED = 2                  # its flag
    MAX_ATTRIBUTES = 256

# Operations (section 4.2 and following): numbers of their application tags.
cdef enum:
    BIND_REQUEST = 0
    BIND_RESPONSE = 1
    UNBIND_REQUEST = 2
    SEARCH_REQUEST = 3
    SEARCH_ENTRY = 4
    SEARCH_DONE = 5
    MODIFY_REQUEST = 6
    MODIFY_RESPONSE = 7
    ADD_REQUEST = 8
    ADD_RESPONSE = 9
    DELETE_REQUEST = 10
    DELETE_RESPONSE = 11
    RENAME_REQUEST = 12
    RENAME_RESPONSE = 13
    COMPARE_REQUEST = 14
    COMPARE_RESPONSE = 15
    ABANDON_REQUEST = 16
    SEARCH_REFERENCE = 19
    EXTENDED_REQUEST = 23
    EXTENDED_RESPONSE = 24
    INTERMEDIATE = 25

cdef enum:
    SUCCESS = 0
    SASL_IN_PROGRESS = 14

# Ways to bind (section 4.2; Sicily: [MS-ADTS] 5.1.1.1.3).
cdef enum:
    SIMPLE = 0
    SASL = 3
    SICILY_DISCOVERY = 9
    SICILY_NEGOTIATE = 10
    SICILY_RESPONSE = 11

cdef const char* START_TLS = b"1.3.6.1.4.1.1466.20037"
cdef const char* WHO_AM_I = b"1.3.6.1.4.1.4203.1.11.3"
cdef const char* SPNEGO = b"\x2b\x06\x01\x05\x05\x02"


cdef struct Part:
    int at                      # in the operation's text
    int n                       # -1: none


# An operation that waits for its answer.
cdef struct Operation:
    Operation* next
    Place place
    int64_t id
    int number
    int64_t version             # -1: none
    int way                     # to bind; -1: none
    int scope                   # -1: none
    int deref
    int results
    bint start_tls
    Part object
    Part argument
    Part password
    Part base
    Part filter
    Part attributes             # each behind two bytes of length
    int attribute_count
    uint8_t* text
    int used
    int room


cdef struct State:
    Operation* first            # the oldest
    int waiting
    bint sasl                   # a SASL bind was agreed on
    bint wrapped                # what follows is wrapped


cdef Guess _is_message(const uint8_t* p, int64_t n) noexcept nogil:
    """Whether an LDAPMessage begins at `p`: SEQUENCE, INTEGER, an operation that there is."""
    cdef int64_t at, length, inner
    cdef int tag, number
    if n < 1:
        return MORE
    if p[0] != SEQUENCE:
        return NO
    if n < LOWEST:
        return MORE
    length = frame(p, n)
    if length < LOWEST:
        return NO
    at = 2 + (p[1] & 0x7F if p[1] & 0x80 else 0)
    if at > 10:
        return NO
    if n < at + 2:
        return MORE
    if p[at] != INTEGER or p[at + 1] < 1 or p[at + 1] > 4:
        return NO
    at += 2 + p[at + 1]
    if n < at + 2:
        return MORE
    tag = p[at]
    number = tag & 0x1F
    if number > INTERMEDIATE or OPERATION_NAMES.get(number) is NULL:
        return NO
    if number == UNBIND_REQUEST or number == DELETE_REQUEST or number == ABANDON_REQUEST:
        if tag & 0xE0 != APPLICATION_PRIMITIVE:
            return NO
    elif tag & 0xE0 != APPLICATION:
        return NO
    inner = frame(p + at, n - at)
    if inner == 0:
        return MORE
    return YES if inner > 0 and at + inner <= length else NO


cdef bint _add_text(Operation* o, Part* part, const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """Keeps a text until the row is written; what has no room is cut."""
    if n > o.room - o.used:
        n = o.room - o.used
    part.at = o.used
    part.n = <int>n
    memcpy(o.text + o.used, p, n)
    o.used += <int>n
    return True


cdef class Ldap(Protocol):
    cdef ServiceSheet sheet
    cdef Tickets tickets
    cdef IntColumn message_id, result_count
    cdef DictColumn protocol_version, opcode, result, status_code, scope, deref_aliases
    cdef DictColumn user_name, password
    cdef TextColumn diagnostic, object, argument, query, base_object
    cdef ListColumn attributes
    cdef TextColumn attribute_items

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "ldap_tcp"
        self.ports = (389, 3268)
        self.sheet = ServiceSheet(sheets)
        self.tickets = Tickets(sheets)
        rows = self.sheet.rows
        self.message_id = rows.column("message_id")
        self.result_count = rows.column("result_count")
        self.protocol_version = rows.column("protocol_version")
        self.opcode = rows.column("opcode")
        self.result = rows.column("result")
        self.status_code = rows.column("status_code")
        self.scope = rows.column("scope")
        self.deref_aliases = rows.column("deref_aliases")
        self.user_name = rows.column("user_name")
        self.password = rows.column("password")
        self.diagnostic = rows.column("diagnostic")
        self.object = rows.column("object")
        self.argument = rows.column("argument")
        self.query = rows.column("query")
        self.base_object = rows.column("base_object")
        self.attributes = rows.column("attributes")
        self.attribute_items = self.attributes.items

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        cdef const uint8_t* p = orig if n else resp
        cdef int64_t length = n if n else m
        if t.flow.protocol == TCP:
            return _is_message(p, length)
        return YES if _is_message(p, length) == YES and frame(p, length) <= length else NO

    cdef int begin(self, Talk* t) except -1 nogil:
        t.state = calloc(1, sizeof(State))
        if t.state is NULL:
            with gil:
                raise MemoryError("an LDAP session")
        return 0

    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef State* s = <State*>t.state
        cdef int64_t at = 0, length
        while at < n and not t.gone and t.following == t.protocol:
            if p[at] != SEQUENCE:
                length = self._wrapped(t, side, at, p + at, n - at)
                if length == 0:
                    break
                at += length
                continue
            length = frame(p + at, n - at)
            if length < 0:
                give_up(t)
                break
            if length == 0:
                break
            if n - at < length:
                if n - at >= FEW and self._entry(t, side, p + at, n - at):
                    # Of an entry that was found nothing but its number is wanted.
                    t.half[side].skip = length - (n - at)
                    return n
                t.half[side].need = length
                break
            self._message(t, side, at, p + at, length)
            at += length
        return at

    cdef int gap(self, Talk* t, int side, int64_t n) except -1 nogil:
        give_up(t)
        return 0

    cdef int datagram(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef int64_t at = 0, length
        while at < n:
            length = frame(p + at, n - at)
            if length <= 0 or length > n - at:
                break
            self._message(t, side, at, p + at, length)
            at += length
        return 0

    cdef int end(self, Talk* t) except -1 nogil:
        cdef State* s = <State*>t.state
        cdef Operation* o
        if s is NULL:
            return 0
        try:
            while s.first is not NULL:
                self._write(t, s.first, -1, NULL)
        finally:
            while s.first is not NULL:
                o = s.first
                s.first = o.next
                free(o.text)
                free(o)
            free(s)
            t.state = NULL
        return 0

    cdef int64_t _wrapped(
        self, Talk* t, int side, int64_t from_, const uint8_t* p, int64_t n
    ) except -1 nogil:
        """A message behind a SASL bind: four bytes of length, and a token. Bytes that it takes; 0
        where more are needed."""
        cdef State* s = <State*>t.state
        cdef int64_t length, at, end, inner, extra, rotated
        if not s.sasl:
            give_up(t)
            return 0
        if n < 8:
            return 0
        length = be32(p)
        if be16(p + 4) != WRAP or length < 16 or p[6] & SEALED:
            give_up(t)              # sealed, or in a way that is not known here
            return 0
        if n < 4 + length:
            t.half[side].need = 4 + length
            return 0
        extra = be16(p + 8)
        rotated = be16(p + 10)
        at = 20
        end = 4 + length
        if rotated == extra:
            at += extra
        elif rotated == 0:
            end -= extra
        else:
            return 4 + length
        while at < end:
            inner = frame(p + at, end - at)
            if inner <= 0 or inner > end - at:
                break
            self._message(t, side, from_ + at, p + at, inner)
            at += inner
        return 4 + length

    cdef bint _entry(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        """Counts a SearchResultEntry that is not all there; False where it is something else."""
        cdef int64_t at = 2 + (p[1] & 0x7F if p[1] & 0x80 else 0), id = 0
        cdef Operation* o
        cdef Cursor number
        if at > 10 or p[at] != INTEGER or p[at + 1] > 4:
            return False
        if p[at + 2 + p[at + 1]] != APPLICATION | SEARCH_ENTRY:
            return False
        number = span(p + at + 2, p[at + 1], 0)
        if not integer_of(&number, &id):
            return False
        o = self._find(<State*>t.state, id, True)
        if o is not NULL:
            o.results += 1
        return o is not NULL

    cdef Operation* _find(self, State* s, int64_t id, bint search) noexcept nogil:
        cdef Operation* o = s.first
        while o is not NULL:
            if o.id == id and (o.number == SEARCH_REQUEST) == search:
                return o
            o = o.next
        return NULL

    cdef Operation* _new(
        self, Talk* t, int side, int64_t from_, int64_t id, int number, int64_t room
    ) except NULL nogil:
        cdef State* s = <State*>t.state
        cdef Operation* o
        cdef Operation** last = &s.first
        if s.waiting >= WAITING:
            self._write(t, s.first, -1, NULL)
        o = <Operation*>calloc(1, sizeof(Operation))
        if o is not NULL:
            o.text = <uint8_t*>malloc(room + 1)
        if o is NULL or o.text is NULL:
            free(o)
            with gil:
                raise MemoryError("an LDAP operation")
        o.room = <int>room
        o.place = place(t, side, from_)
        o.id = id
        o.number = number
        o.version = o.scope = o.deref = o.way = -1
        o.object.n = o.argument.n = o.password.n = -1
        o.base.n = o.filter.n = o.attributes.n = -1
        while last[0] is not NULL:
            last = &last[0].next
        last[0] = o
        s.waiting += 1
        return o

    cdef int _message(
        self, Talk* t, int side, int64_t from_, const uint8_t* p, int64_t n
    ) except -1 nogil:
        """LDAPMessage (section 4.1.1)."""
        cdef Cursor c = span(p, n, 0)
        cdef Element e
        cdef Operation* o
        cdef int64_t id = 0
        cdef int number
        cdef State* s = <State*>t.state
        if not expect(&c, SEQUENCE, &c) or not expect_integer(&c, &id):
            return 0
        if element(&c, &e, True) != FOUND or e.first & 0xC0 != APPLICATION_PRIMITIVE:
            return 0
        number = e.number
        if OPERATION_NAMES.get(number) is NULL:
            return 0
        confirm(t, LDAP_TCP if t.flow.protocol == TCP else LDAP_UDP)
        if number == SEARCH_REFERENCE or number == INTERMEDIATE:
            return 0
        if number == SEARCH_ENTRY:
            o = self._find(s, id, True)
            if o is not NULL:
                o.results += 1
            return 0
        if number == SEARCH_DONE or (number & 1 and number < 16 and number != SEARCH_REQUEST) or (
            number == EXTENDED_RESPONSE
        ):
            return self._answer(t, side, from_, id, number, &e.body)
        # A filter as text is at most three times as long as it is here, but for its names' signs.
        o = self._find(s, id, number == SEARCH_REQUEST)
        if o is not NULL:
            if o.number == number:
                return 0            # the same once more
            self._write(t, o, -1, NULL)
        o = self._new(t, side, from_, id, number, 64 + min(4 * n, 4 * LONGEST_WORD))
        if number == BIND_REQUEST:
            self._bind(t, o, &e.body)
        elif number == SEARCH_REQUEST:
            self._search(o, &e.body)
        elif number == EXTENDED_REQUEST:
            self._extended(o, &e.body)
        elif number == DELETE_REQUEST:
            _add_text(o, &o.object, e.body.at, left(&e.body))
        elif number == ABANDON_REQUEST:
            self._abandon(o, &e.body)
        elif number != UNBIND_REQUEST:
            self._entry_named(o, &e.body)
        if number == UNBIND_REQUEST or number == ABANDON_REQUEST:
            return self._write(t, o, -1, NULL)
        return 0

    # Requests.

    cdef int _bind(self, Talk* t, Operation* o, Cursor* c) except -1 nogil:
        """BindRequest (section 4.2)."""
        cdef Cursor name, mechanism, token
        cdef Element e
        cdef State* s = <State*>t.state
        expect_integer(c, &o.version)
        if expect(c, OCTET_STRING, &name) and left(&name):
            _add_text(o, &o.object, name.at, left(&name))
        if element(c, &e, True) != FOUND:
            return 0
        o.way = e.first & 0x1F
        if o.way == SIMPLE:
            if left(&e.body):
                _add_text(o, &o.argument, <const uint8_t*>b"REDACTED", 8)
                _add_text(o, &o.password, e.body.at, left(&e.body))
        elif o.way == SASL:
            if expect(&e.body, OCTET_STRING, &mechanism):
                _add_text(o, &o.argument, mechanism.at, left(&mechanism))
                if expect(&e.body, OCTET_STRING, &token):
                    self._token(t, o, &token)
        return 0

    cdef int _token(self, Talk* t, Operation* o, Cursor* c) except -1 nogil:
        """A ticket that is shown in a bind: by itself, or inside SPNEGO (RFC 4178, 4.2.1)."""
        cdef Cursor body = c[0], oid, field
        cdef Element e
        if expect(&body, APPLICATION, &body) and expect(&body, OID, &oid) and (
            left(&oid) == 6 and memcmp(oid.at, SPNEGO, 6) == 0
        ):
            if not expect(&body, CONTEXT, &body) or not expect(&body, SEQUENCE, &body):
                return 0
            while element(&body, &e, True) == FOUND:
                if e.first == CONTEXT | 2 and expect(&e.body, OCTET_STRING, &field):
                    self.tickets.token(t.flow, &o.place, field.at, left(&field))
            return 0
        self.tickets.token(t.flow, &o.place, c.at, left(c))
        return 0

    cdef int _search(self, Operation* o, Cursor* c) except -1 nogil:
        """SearchRequest (section 4.5.1)."""
        cdef Cursor base, list, each
        cdef int64_t number = 0
        cdef uint8_t[LONGEST_WORD] text
        cdef Py_ssize_t n
        if not expect(c, OCTET_STRING, &base):
            return 0
        if left(&base):
            _add_text(o, &o.base, base.at, left(&base))
        if expect_integer(c, &number):
            o.scope = <int>(number & 0xFF)
        if expect_integer(c, &number):
            o.deref = <int>(number & 0xFF)
        if not expect_integer(c, &number) or not expect_integer(c, &number) or not pass_over(c):
            return 0                # size limit, time limit, types only
        n = put_filter(text, LONGEST_WORD, c)
        _add_text(o, &o.filter, text, n)
        if not expect(c, SEQUENCE, &list):
            return 0
        o.attributes.at = o.used
        o.attributes.n = 0
        while o.attribute_count < MAX_ATTRIBUTES and expect(&list, OCTET_STRING, &each):
            n = left(&each)
            if n > 0xFFFF or n + 2 > o.room - o.used:
                break
            o.text[o.used] = <uint8_t>(n >> 8)
            o.text[o.used + 1] = <uint8_t>n
            memcpy(o.text + o.used + 2, each.at, n)
            o.used += <int>n + 2
            o.attribute_count += 1
        return 0

    cdef int _extended(self, Operation* o, Cursor* c) except -1 nogil:
        """ExtendedRequest (section 4.12)."""
        cdef Cursor name
        cdef uint8_t[160] text
        cdef const char* known = b" (unknown)"
        cdef Py_ssize_t n, size = 10
        if not expect(c, CONTEXT_PRIMITIVE, &name):
            return 0
        n = min(left(&name), 128)
        memcpy(text, name.at, n)
        if n == 22 and memcmp(text, START_TLS, 22) == 0:
            o.start_tls = True
            known = b" (StartTLS)"
            size = 11
        elif n == 23 and memcmp(text, WHO_AM_I, 23) == 0:
            known = b" (whoami)"
            size = 9
        memcpy(text + n, known, size)
        _add_text(o, &o.object, text, n + size)
        return 0

    cdef int _abandon(self, Operation* o, Cursor* c) except -1 nogil:
        cdef int64_t id
        cdef uint8_t[24] text
        if integer_of(c, &id):
            _add_text(o, &o.object, text, put_int(text, id))
        return 0

    cdef int _entry_named(self, Operation* o, Cursor* c) except -1 nogil:
        """What begins with the name of an entry: ModifyRequest, AddRequest, ModifyDNRequest,
        CompareRequest (sections 4.6 to 4.10). The new name, or what is compared, is the
        argument."""
        cdef Cursor name, more, value
        if not expect(c, OCTET_STRING, &name):
            return 0
        _add_text(o, &o.object, name.at, left(&name))
        if o.number == RENAME_REQUEST and expect(c, OCTET_STRING, &more):
            _add_text(o, &o.argument, more.at, left(&more))
        elif o.number == COMPARE_REQUEST and expect(c, SEQUENCE, &more) and (
            expect(&more, OCTET_STRING, &name) and expect(&more, OCTET_STRING, &value)
        ):
            _add_text(o, &o.argument, name.at, value.end - name.at)
        return 0

    # Answers.

    cdef int _answer(
        self, Talk* t, int side, int64_t from_, int64_t id, int number, Cursor* c
    ) except -1 nogil:
        """LDAPResult (section 4.1.9)."""
        cdef State* s = <State*>t.state
        cdef Operation* o = self._find(s, id, number == SEARCH_DONE)
        cdef int64_t code = -1
        cdef Cursor matched, text
        cdef bint secured
        if o is NULL:
            o = self._new(
                t, side, from_, id, SEARCH_REQUEST if number == SEARCH_DONE else number, 0
            )
        expect_integer(c, &code)
        if not expect(c, OCTET_STRING, &matched) or not expect(c, OCTET_STRING, &text):
            text = span(c.at, 0, 0)
        if number == BIND_RESPONSE and o.way == SASL and (
            code == SUCCESS or code == SASL_IN_PROGRESS
        ):
            s.sasl = True
        secured = o.start_tls and code == SUCCESS
        self._write(t, o, code, &text)
        if secured:
            hand_over(t, UNDECIDED)
        return 0

    cdef int _write(
        self, Talk* t, Operation* o, int64_t code, const Cursor* diagnostic
    ) except -1 nogil:
        """An operation as a row; it is forgotten. `code` is -1 where no answer came."""
        cdef State* s = <State*>t.state
        cdef Operation** link = &s.first
        cdef Py_ssize_t row, item
        cdef const uint8_t* p
        cdef int i, n
        while link[0] is not o:
            link = &link[0].next
        link[0] = o.next
        s.waiting -= 1
        try:
            row = self.sheet.begin(t.flow, &o.place, NETWORK, TRAFFIC, b"ldap")
            self.message_id.put(row, o.id)
            if o.version >= 0:
                put_number(self.protocol_version, row, o.version)
            if o.way == SIMPLE:
                put_name(self.opcode, row, b"bind simple")
            elif o.way == SASL:
                put_name(self.opcode, row, b"bind SASL")
            elif o.way >= SICILY_DISCOVERY:
                put_name(self.opcode, row, b"bind SICILY")
            else:
                OPERATION_NAMES.put(self.opcode, row, o.number, b"unknown-")
            if o.way >= 0 and o.object.n >= 0:
                put_word(self.user_name, row, o.text + o.object.at, o.object.n)
            if code >= 0:
                self.sheet.status_id.put(row, 1 if code in (0, 5, 6, 10, 14) else 2)
                RESULT_NAMES.put(self.result, row, code, b"unknown-")
                put_number(self.status_code, row, code)
            if diagnostic is not NULL and left(diagnostic):
                put_text(self.diagnostic, row, diagnostic.at, left(diagnostic))
            self._put(self.object, row, o, &o.object)
            self._put(self.argument, row, o, &o.argument)
            if o.password.n >= 0:
                put_word(self.password, row, o.text + o.password.at, o.password.n)
            if o.number == SEARCH_REQUEST:
                self.result_count.put(row, o.results)
                self._put(self.base_object, row, o, &o.base)
                self._put(self.query, row, o, &o.filter)
                if o.scope >= 0:
                    SCOPE_NAMES.put(self.scope, row, o.scope, b"unknown-")
                if o.deref >= 0:
                    DEREFERENCE_NAMES.put(self.deref_aliases, row, o.deref, b"unknown-")
                if o.attribute_count:
                    item = self.attributes.open(row)
                    p = o.text + o.attributes.at
                    for i in range(o.attribute_count):
                        n = be16(p)
                        put_text(self.attribute_items, item + i, p + 2, n)
                        p += 2 + n
                    self.attributes.close(item + o.attribute_count)
            self.sheet.done()
        finally:
            free(o.text)
            free(o)
        return 0

    cdef int _put(
        self, TextColumn c, Py_ssize_t row, const Operation* o, const Part* part
    ) except -1 nogil:
        if part.n >= 0:
            put_text(c, row, o.text + part.at, part.n)
        return 0
