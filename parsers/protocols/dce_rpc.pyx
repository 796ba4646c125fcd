"""DCE/RPC (C706 chapter 12, MS-RPCE 2.2): see dce_rpc.pxd.

A PDU's header (12.6.3.1): version 5, minor, kind, flags, data representation, length, length of the
authentication, call id; the first two of the representation's bytes say the order of all numbers.
A bind says which interfaces (UUIDs) are called by which context ids; requests name context and
function. Fragments of a request repeat both, so their bodies are not put together.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset, strlen

from tracelake.native.account cimport Account
from tracelake.native.cursor cimport be16, be32, le16, le32
from tracelake.native.text cimport put_hex, put_hex_bytes, put_uint
from tracelake.parsers.conn cimport ORIG, RESP, Flow, Place
from tracelake.parsers.packet cimport NO_TIME
from tracelake.parsers.protocols.dce_rpc_interfaces cimport (
    Interface, interface_of, interface_of_pipe,
)
from tracelake.parsers.protocols.gssapi cimport Gssapi
from tracelake.parsers.protocols.held_name cimport drop, hold, put_name
from tracelake.parsers.protocols.ntlm cimport Logon
from tracelake.parsers.protocols.protocol cimport (
    MORE, NO, YES, Guess, Protocol, Talk, confirm, place,
)
from tracelake.parsers.protocols.sheet cimport Sheets
from tracelake.parsers.services cimport service

cdef int DCE_RPC = service("dce_rpc")
cdef int NTLM = service("ntlm")

# All associations: contexts and PDUs in pieces. Beyond, PDUs in pieces are let go.
cdef int64_t KEPT_LIMIT = 32 << 20

cdef enum:
    UDP = 17
    HEADER = 16
    CL_HEADER = 80
    MOST_CONTEXTS = 256
    LONGEST = 65535
    OTHER = 99                  # activity_id
    SUCCESS = 1                 # status_id
    FAILURE = 2
    REPAIRED = 128              # parse_flags

# Kinds of PDUs (12.6.4, MS-RPCE 2.2.2.5).
cdef enum:
    REQUEST = 0
    RESPONSE = 2
    FAULT = 3
    CL_REJECT = 6
    BIND = 11
    BIND_ACK = 12
    ALTER_CONTEXT = 14
    ALTER_CONTEXT_RESP = 15
    AUTH3 = 16
    LAST_KIND = 20

cdef enum:
    FIRST_FRAGMENT = 1
    LAST_FRAGMENT = 2

# Security providers (MS-RPCE 2.2.1.1.7).
cdef enum:
    GSS_NEGOTIATE = 0x09
    WINNT = 0x0A
    GSS_KERBEROS = 0x10


cdef inline uint16_t _u16(bint little, const uint8_t* p) noexcept nogil:
    return le16(p) if little else be16(p)


cdef inline uint32_t _u32(bint little, const uint8_t* p) noexcept nogil:
    return le32(p) if little else be32(p)


cdef void _uuid(bint little, const uint8_t* p, uint8_t* out) noexcept nogil:
    """As it stands where numbers are little-endian."""
    memcpy(out, p, 16)
    if not little:
        out[0], out[1], out[2], out[3] = p[3], p[2], p[1], p[0]
        out[4], out[5] = p[5], p[4]
        out[6], out[7] = p[7], p[6]


cdef Py_ssize_t _put_uuid(uint8_t* out, const uint8_t* uuid) noexcept nogil:
    """36 characters."""
    cdef uint8_t[4] first
    first[0], first[1], first[2], first[3] = uuid[3], uuid[2], uuid[1], uuid[0]
    put_hex_bytes(out, first, 4)
    out[8] = out[13] = out[18] = out[23] = b"-"
    first[0], first[1] = uuid[5], uuid[4]
    put_hex_bytes(out + 9, first, 2)
    first[0], first[1] = uuid[7], uuid[6]
    put_hex_bytes(out + 14, first, 2)
    put_hex_bytes(out + 19, uuid + 8, 2)
    put_hex_bytes(out + 24, uuid + 10, 6)
    return 36


cdef bint is_header(const uint8_t* p) noexcept nogil:
    return (
        p[0] == 5 and p[1] <= 1 and p[2] <= LAST_KIND and p[4] & 0xEE == 0 and p[5] <= 3
        and not p[6] and not p[7] and length_of(p) >= HEADER
    )


cdef int64_t length_of(const uint8_t* p) noexcept nogil:
    return _u16(p[4] >> 4, p + 8)


cdef class Calls:
    """What reads PDUs and writes calls.

    Args:
        sheets: the tables of the capture; rows go to `smb_activity`.
        gssapi: who is given what authenticates.
    """

    def __cinit__(self, Sheets sheets, Gssapi gssapi):
        self.sheet = sheets.sheet("smb_activity")
        self.gssapi = gssapi
        rows = self.sheet.rows
        self.endpoint = rows.column("dce_endpoint")
        self.operation = rows.column("dce_operation")
        self.named_pipe = rows.column("named_pipe")
        self.status_code = rows.column("status_code")
        self.interface = rows.column("dce_interface_uid")
        self.opnum = rows.column("dce_opnum")
        self.rtt = rows.column("rtt_s")
        self.status_id = rows.column("status_id")

    cdef Rpc* begin(self) except NULL nogil:
        cdef Rpc* r = <Rpc*>calloc(1, sizeof(Rpc))
        if r is NULL:
            with gil:
                raise MemoryError("an association")
        return r

    cdef int end(self, Talk* t, Rpc* r) except -1 nogil:
        cdef Call* call
        cdef uint32_t i
        cdef int side
        if r is NULL:
            return 0
        for i in range(CALLS):
            call = &r.calls[(r.asked + i) & (CALLS - 1)]
            if call.waits:
                self._write(t, r, &call.place, call.uuid, call.opnum, -1, 0, 0)
        drop(&r.pipe, &self.kept)
        drop(&r.opened, &self.kept)
        self.kept -= r.context_room * sizeof(Context)
        free(r.contexts)
        for side in range(2):
            self.kept -= r.pieces[side].length
            free(r.pieces[side].held)
        free(r)
        return 0

    cdef int stream(
        self, Talk* t, Rpc* r, Logon** logon, int side, const uint8_t* p, int64_t n, int64_t at
    ) except -1 nogil:
        cdef Pieces* s = &r.pieces[side]
        cdef int64_t length, part
        while n > 0:
            if s.held is NULL:
                if n < HEADER or not is_header(p):
                    return 0            # what begins in the middle of a PDU is not followed
                length = length_of(p)
                if n >= length:
                    self.pdu(t, r, logon, side, p, length, at)
                    p += length
                    at += length
                    n -= length
                    continue
                if self.kept > KEPT_LIMIT:
                    return 0
                s.held = <uint8_t*>malloc(length)
                if s.held is NULL:
                    with gil:
                        raise MemoryError("a PDU")
                s.length = <int32_t>length
                s.count = 0
                self.kept += length
            part = s.length - s.count
            if part > n:
                part = n
            memcpy(s.held + s.count, p, part)
            s.count += <int32_t>part
            p += part
            n -= part
            if s.count == s.length:
                self.pdu(t, r, logon, side, s.held, s.length, at)
                self.kept -= s.length
                free(s.held)
                s.held = NULL
                s.count = s.length = 0
            at += part
        return 0

    cdef int pdu(
        self, Talk* t, Rpc* r, Logon** logon, int side, const uint8_t* p, int64_t n, int64_t at
    ) except -1 nogil:
        cdef bint little = p[4] >> 4
        cdef int kind = p[2], flags = p[3]
        cdef Call* call
        cdef int64_t length
        confirm(t, DCE_RPC)
        if _u16(little, p + 10):
            self._authenticate(t, r, logon, side, little, p, n, at)
        if kind == REQUEST:
            if n < HEADER + 8:
                return 0
            call = &r.calls[r.asked & (CALLS - 1)]
            if flags & FIRST_FRAGMENT:
                if call.waits:      # the oldest makes room
                    self._write(t, r, &call.place, call.uuid, call.opnum, -1, 0, 0)
                r.asked += 1
                call.id = _u32(little, p + 12)
                call.context = _u16(little, p + 20)
                call.opnum = _u16(little, p + 22)
                call.waits = True
                call.place = place(t, side, at)
                call.time = t.time
                _bound_to(r, call)
            elif r.asked:
                call = &r.calls[(r.asked - 1) & (CALLS - 1)]
                if call.id == _u32(little, p + 12):
                    call.time = t.time
        elif kind == RESPONSE:
            if n >= HEADER + 8 and flags & LAST_FRAGMENT:
                self._answered(
                    t, r, side, _u32(little, p + 12), _u16(little, p + 20), False, 0, at
                )
        elif kind == FAULT:
            if n >= HEADER + 12:
                self._answered(
                    t, r, side, _u32(little, p + 12), _u16(little, p + 20), True,
                    _u32(little, p + 24), at,
                )
        elif kind == BIND or kind == ALTER_CONTEXT:
            self._bind(r, little, p, n)
        elif kind == BIND_ACK and n >= HEADER + 10:
            length = _u16(little, p + 24)
            if length and length <= n - 26 and self.kept <= KEPT_LIMIT:
                hold(&r.pipe, p + 26, length, False, &self.kept)
        return 0

    cdef int _bind(self, Rpc* r, bint little, const uint8_t* p, int64_t n) except -1 nogil:
        """A context list (12.6.3.1): id, number of transfer syntaxes, abstract syntax, these."""
        cdef int64_t at = HEADER + 12, room
        cdef int i, k
        cdef Context* grown
        cdef Context* c
        if n < at:
            return 0
        for i in range(p[HEADER + 8]):
            if n - at < 24:
                break
            c = NULL
            for k in range(r.context_count):
                if r.contexts[k].id == _u16(little, p + at):
                    c = &r.contexts[k]
                    break
            if c is NULL:
                if r.context_count == r.context_room:
                    if r.context_room >= MOST_CONTEXTS or self.kept > KEPT_LIMIT:
                        break
                    room = r.context_room * 2 if r.context_room else 4
                    grown = <Context*>realloc(r.contexts, room * sizeof(Context))
                    if grown is NULL:
                        with gil:
                            raise MemoryError("contexts")
                    self.kept += (room - r.context_room) * sizeof(Context)
                    r.contexts = grown
                    r.context_room = <int32_t>room
                c = &r.contexts[r.context_count]
                c.id = _u16(little, p + at)
                r.context_count += 1
            _uuid(little, p + at + 4, c.uuid)
            memcpy(r.uuid, c.uuid, 16)
            r.bound = True
            at += 24 + 20 * <int64_t>p[at + 2]
        return 0

    cdef int _authenticate(
        self, Talk* t, Rpc* r, Logon** logon, int side, bint little, const uint8_t* p, int64_t n,
        int64_t at,
    ) except -1 nogil:
        """The trailer (MS-RPCE 2.2.2.11): provider, level, padding, context; then its token."""
        cdef int64_t length = _u16(little, p + 10), begin = n - length - 8
        cdef uint8_t[20] text
        cdef Place where
        cdef int kind
        if begin < HEADER:
            return 0
        kind = p[begin]
        if kind == WINNT or kind == GSS_NEGOTIATE or kind == GSS_KERBEROS:
            if kind == WINNT:
                confirm(t, NTLM)    # also where only signed calls were seen
            if p[2] >= BIND:
                self.gssapi.token(t, logon, side, p + begin + 8, length, at)
        elif not r.odd_auth:
            r.odd_auth = True
            where = place(t, side, at)
            self.gssapi.ntlm.sheet.sheets.note(
                t.flow, &where, b"unknown_dce_rpc_auth_type", b"DCE_RPC", text,
                put_uint(text, kind),
            )
        return 0

    cdef int _answered(
        self, Talk* t, Rpc* r, int side, uint32_t id, uint16_t context, bint fault,
        uint32_t status, int64_t at,
    ) except -1 nogil:
        cdef Call* call = NULL
        cdef uint32_t i
        cdef Place where
        cdef uint8_t* bound
        for i in range(CALLS):
            if r.calls[i].waits and r.calls[i].id == id:
                call = &r.calls[i]
                break
        if call is NULL:
            return 0        # what was asked is not known
        call.waits = False
        where = call.place
        return self._write(
            t, r, &where, call.uuid, call.opnum,
            t.time - call.time if t.time != NO_TIME and call.time != NO_TIME else -1,
            FAILURE if fault else SUCCESS, status,
        )

    cdef int _write(
        self, Talk* t, Rpc* r, const Place* place, const uint8_t* uuid, int32_t opnum,
        int64_t rtt, int status, uint32_t code,
    ) except -1 nogil:
        cdef const Interface* known
        cdef const char* name
        cdef uint8_t[64] text
        cdef Py_ssize_t row, n
        if _is_nil(uuid):
            uuid = interface_of_pipe(&r.pipe if r.pipe.p is not NULL else &r.opened)
            if uuid is NULL:
                return 0
        known = interface_of(uuid)
        if known is not NULL and opnum < known.count and known.ignored[opnum]:
            return 0
        row = self.sheet.begin(t.flow, place, OTHER)
        n = _put_uuid(text, uuid)
        self.interface.put_valid(row, text, n)
        if known is not NULL:
            self.endpoint.put_valid(row, <const uint8_t*>known.name, strlen(known.name))
        else:
            memcpy(text, b"unknown-", 8)
            self.endpoint.put_valid(row, text, 8 + _put_uuid(text + 8, uuid))
        name = NULL
        if known is not NULL and opnum < known.count:
            name = known.functions[opnum]
        if name is not NULL:
            self.operation.put_valid(row, <const uint8_t*>name, strlen(name))
        else:
            memcpy(text, b"unknown-", 8)
            self.operation.put_valid(row, text, 8 + put_uint(text + 8, opnum))
        self.opnum.put(row, opnum)
        if r.pipe.p is not NULL:
            if put_name(self.named_pipe, row, &r.pipe):
                self.sheet.flags(REPAIRED)
        elif r.opened.p is not NULL:
            if put_name(self.named_pipe, row, &r.opened):
                self.sheet.flags(REPAIRED)
        if rtt > 0:
            self.rtt.put(row, rtt / 1e9)
        if status:
            self.status_id.put(row, status)
        if code:
            self.status_code.put_valid(row, text, put_hex(text, code))
        return self.sheet.done()

    cdef int packet(
        self, Talk* t, Rpc* r, int side, const uint8_t* p, int64_t n
    ) except -1 nogil:
        cdef bint little = p[4] >> 4
        cdef Call* call
        cdef uint32_t id = _u32(little, p + 64)
        cdef uint32_t code = 0
        cdef int kind = p[1]
        if kind == REQUEST:
            call = &r.calls[(r.asked - 1) & (CALLS - 1)] if r.asked else &r.calls[0]
            if call.waits and call.id == id:
                call.time = t.time      # a further fragment, or the same again
                return 0
            call = &r.calls[r.asked & (CALLS - 1)]
            if call.waits:
                self._write(t, r, &call.place, call.uuid, call.opnum, -1, 0, 0)
            r.asked += 1
            call.id = id
            call.opnum = _u16(little, p + 68)
            call.waits = True
            call.place = place(t, side, 0)
            call.time = t.time
            _uuid(little, p + 24, call.uuid)
        elif kind == RESPONSE or kind == FAULT or kind == CL_REJECT:
            if kind != RESPONSE and n >= CL_HEADER + 4:
                code = _u32(little, p + CL_HEADER)
            self._answered(t, r, side, id, 0, kind != RESPONSE, code, 0)
        return 0


cdef void _bound_to(const Rpc* r, Call* call) noexcept nogil:
    """The interface that a call's context stands for: else the latest that was bound, else nil."""
    cdef int i
    for i in range(r.context_count):
        if r.contexts[i].id == call.context:
            memcpy(call.uuid, r.contexts[i].uuid, 16)
            return
    if r.bound:
        memcpy(call.uuid, r.uuid, 16)
    else:
        memset(call.uuid, 0, 16)


cdef bint _is_nil(const uint8_t* uuid) noexcept nogil:
    cdef int i
    for i in range(16):
        if uuid[i]:
            return False
    return True


cdef struct Association:
    Rpc* rpc
    Logon* logon
    bint[2] lost                # where the next PDU begins is not known


cdef class DceRpc(Protocol):
    """DCE/RPC over TCP (ncacn_ip_tcp) and UDP (ncadg_ip_udp).

    Args:
        index: its number in PROTOCOLS.
        account: of the capture.
        sheets: the tables that rows are written to.
    """

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "dce_rpc"
        self.ports = (135,)
        self.longest = LONGEST
        self.calls = Calls(sheets, Gssapi(sheets))

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        if t.flow.protocol == UDP:
            return _is_packet(orig, n) if n else _is_packet(resp, m)
        return _looks(orig, n) if n else _looks(resp, m)

    cdef int begin(self, Talk* t) except -1 nogil:
        cdef Association* a = <Association*>calloc(1, sizeof(Association))
        if a is NULL:
            with gil:
                raise MemoryError("an association")
        t.state = a
        a.rpc = self.calls.begin()
        return 0

    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef Association* a = <Association*>t.state
        cdef int64_t at = 0, length
        while n - at >= HEADER:
            if not is_header(p + at):
                a.lost[side] = True
            elif a.lost[side] and at == 0:
                a.lost[side] = False
            if a.lost[side]:
                return n            # until a segment begins with a header
            length = length_of(p + at)
            if n - at < length:
                t.half[side].need = length
                break
            self.calls.pdu(t, a.rpc, &a.logon, side, p + at, length, at)
            at += length
        return n if a.lost[side] else at

    cdef int gap(self, Talk* t, int side, int64_t n) except -1 nogil:
        (<Association*>t.state).lost[side] = True
        return 0

    cdef int datagram(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef Association* a = <Association*>t.state
        if _is_packet(p, n) != YES:
            return 0
        confirm(t, DCE_RPC)
        return self.calls.packet(t, a.rpc, side, p, n)

    cdef int end(self, Talk* t) except -1 nogil:
        cdef Association* a = <Association*>t.state
        if a is NULL:
            return 0
        self.calls.end(t, a.rpc)
        self.calls.gssapi.ntlm.end(t, &a.logon)
        free(a)
        t.state = NULL
        return 0


cdef Guess _looks(const uint8_t* p, int64_t n) noexcept nogil:
    """A connection begins with a first fragment."""
    if n > 0 and p[0] != 5 or n > 1 and p[1] > 1 or n > 2 and p[2] > LAST_KIND:
        return NO
    if n > 3 and not p[3] & FIRST_FRAGMENT:
        return NO
    if n < HEADER:
        return MORE
    return YES if is_header(p) else NO


cdef Guess _is_packet(const uint8_t* p, int64_t n) noexcept nogil:
    if n < CL_HEADER or p[0] != 4 or p[1] > 10 or p[4] & 0xEE or p[5] > 3 or p[6]:
        return NO
    if p[2] & 0x81 or p[3] & 0xFD:      # flags that nobody has (12.5.2.3)
        return NO
    return YES if CL_HEADER + <int64_t>_u16(p[4] >> 4, p + 74) <= n else NO
