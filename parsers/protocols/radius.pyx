"""RADIUS (RFC 2865, accounting RFC 2866) over UDP: a request and its answer are one row of
net_service_activity.

As in Zeek's radius.log a row is what a flow says until somebody is accepted or rejected: a
challenge is not the end, the request that answers it goes on with the row. Requests for several
users at the same time in one flow are not told apart.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from tracelake.native.account cimport Account
from tracelake.native.columns cimport DictColumn, DoubleColumn, TextColumn
from tracelake.native.cursor cimport be16
from tracelake.native.text cimport put_ipv4, put_mac
from tracelake.parsers.conn cimport Place
from tracelake.parsers.packet cimport NO_TIME
from tracelake.parsers.protocols.netservice cimport NETWORK, TRAFFIC, ServiceSheet
from tracelake.parsers.protocols.protocol cimport NO, YES, Guess, Protocol, Talk, confirm, place
from tracelake.parsers.protocols.sheet cimport Sheets
from tracelake.parsers.protocols.words cimport (
    Names, Word, no_word, put_held, put_name, put_text, set_word,
)
from tracelake.parsers.services cimport service

cdef int SERVICE = service("radius")

cdef enum:
    UDP = 17
    HEADER = 20

# Codes (RFC 2865, section 4).
cdef enum:
    ACCESS_REQUEST = 1
    ACCESS_ACCEPT = 2
    ACCESS_REJECT = 3
    ACCOUNTING_REQUEST = 4
    ACCOUNTING_RESPONSE = 5
    ACCESS_CHALLENGE = 11

# Attributes (section 5; tunnels: RFC 2868; Connect-Info: RFC 2869).
cdef enum:
    USER_NAME = 1
    NAS_IP_ADDRESS = 4
    FRAMED_IP_ADDRESS = 8
    REPLY_MESSAGE = 18
    CALLING_STATION_ID = 31
    TUNNEL_CLIENT_ENDPOINT = 66
    CONNECT_INFO = 77

CODES: dict[int, str] = {
    1: "Access-Request", 2: "Access-Accept", 3: "Access-Reject", 4: "Accounting-Request",
    5: "Accounting-Response", 11: "Access-Challenge", 12: "Status-Server", 13: "Status-Client",
    40: "Disconnect-Request", 41: "Disconnect-ACK", 42: "Disconnect-NAK", 43: "CoA-Request",
    44: "CoA-ACK", 45: "CoA-NAK",
}
cdef Names CODE_NAMES = Names(CODES)


cdef struct Session:
    bint open
    Place place
    int64_t first
    int code                    # of the first message
    Word user
    Word mac
    Word framed
    Word tunnel
    Word connect
    Word reply
    Word nas


cdef bint _is_message(const uint8_t* p, int64_t n) noexcept nogil:
    """A code that there is, a length that is there, and attributes that fill it."""
    cdef int64_t at = HEADER, length
    if n < HEADER or CODE_NAMES.get(p[0]) is NULL:
        return False
    length = be16(p + 2)
    if length < HEADER or length > n:
        return False
    while at < length:
        if length - at < 2 or p[at + 1] < 2 or p[at + 1] > length - at:
            return False
        at += p[at + 1]
    return True


cdef void _set_mac(Word* w, const uint8_t* p, int64_t n) noexcept nogil:
    """Twelve hexadecimal digits, however they are divided; nothing where they are none."""
    cdef uint8_t[6] b
    cdef int64_t i
    cdef int digits = 0, value
    set_word(w, p, 0)
    for i in range(n):
        if 48 <= p[i] <= 57:
            value = p[i] - 48
        elif 97 <= p[i] | 0x20 <= 102:
            value = (p[i] | 0x20) - 87
        elif p[i] == b":" or p[i] == b"-" or p[i] == b".":
            continue
        else:
            return
        if digits == 12:
            return
        if digits & 1:
            b[digits >> 1] |= <uint8_t>value
        else:
            b[digits >> 1] = <uint8_t>(value << 4)
        digits += 1
    if digits == 12:
        w.n = <int>put_mac(w.text, b)


cdef class Radius(Protocol):
    cdef ServiceSheet sheet
    cdef DictColumn user_name, client_mac, framed_ip, tunnel_client, connect_info, nas_ip
    cdef DictColumn result, command
    cdef TextColumn reply
    cdef DoubleColumn rtt_s

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "radius"
        self.ports = (1812, 1813, 1645, 1646, 3799)
        self.sheet = ServiceSheet(sheets)
        rows = self.sheet.rows
        self.user_name = rows.column("user_name")
        self.client_mac = rows.column("client_mac")
        self.framed_ip = rows.column("framed_ip")
        self.tunnel_client = rows.column("tunnel_client")
        self.connect_info = rows.column("connect_info")
        self.nas_ip = rows.column("nas_ip")
        self.result = rows.column("result")
        self.command = rows.column("command")
        self.reply = rows.column("reply")
        self.rtt_s = rows.column("rtt_s")

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        cdef int port = t.flow.port[1]
        if t.flow.protocol != UDP or not _is_message(orig if n else resp, n if n else m):
            return NO
        # Twenty bytes without an attribute say too little on a port of others.
        return YES if (n if n else m) > HEADER or port in (1812, 1813, 1645, 1646) else NO

    cdef int begin(self, Talk* t) except -1 nogil:
        t.state = calloc(1, sizeof(Session))
        if t.state is NULL:
            with gil:
                raise MemoryError("a RADIUS session")
        return 0

    cdef int datagram(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef Session* s = <Session*>t.state
        cdef int64_t at = HEADER, length
        cdef uint8_t[16] text
        cdef int kind, code
        if not _is_message(p, n):
            return 0
        confirm(t, SERVICE)
        code = p[0]
        length = be16(p + 2)
        if not s.open:
            memset(s, 0, sizeof(Session))
            s.open = True
            s.place = place(t, side, 0)
            s.first = t.time
            s.code = code
            no_word(&s.user)
            no_word(&s.mac)
            no_word(&s.framed)
            no_word(&s.tunnel)
            no_word(&s.connect)
            no_word(&s.reply)
            no_word(&s.nas)
        while at < length:
            kind = p[at]
            n = p[at + 1] - 2
            if code == ACCESS_REQUEST or code == ACCOUNTING_REQUEST:
                if kind == USER_NAME and s.user.n < 0:
                    set_word(&s.user, p + at + 2, n)
                elif kind == CALLING_STATION_ID and s.mac.n < 0:
                    _set_mac(&s.mac, p + at + 2, n)
                elif kind == TUNNEL_CLIENT_ENDPOINT and s.tunnel.n < 0:
                    set_word(&s.tunnel, p + at + 2, n)
                elif kind == CONNECT_INFO and s.connect.n < 0:
                    set_word(&s.connect, p + at + 2, n)
                elif kind == NAS_IP_ADDRESS and s.nas.n < 0 and n == 4:
                    set_word(&s.nas, text, put_ipv4(text, p + at + 2))
            elif kind == FRAMED_IP_ADDRESS and s.framed.n < 0 and n == 4:
                set_word(&s.framed, text, put_ipv4(text, p + at + 2))
            elif kind == REPLY_MESSAGE and s.reply.n < 0:
                set_word(&s.reply, p + at + 2, n)
            at += 2 + n
        if code == ACCESS_ACCEPT:
            self._row(t, s, b"success", 1)
        elif code == ACCESS_REJECT:
            self._row(t, s, b"failed", 2)
        return 0

    cdef int end(self, Talk* t) except -1 nogil:
        cdef Session* s = <Session*>t.state
        if s is NULL:
            return 0
        try:
            if s.open:
                self._row(t, s, b"unknown", 0)
        finally:
            free(s)
            t.state = NULL
        return 0

    cdef int _row(self, Talk* t, Session* s, const char* result, int status) except -1 nogil:
        cdef Py_ssize_t row = self.sheet.begin(t.flow, &s.place, NETWORK, TRAFFIC, b"radius")
        s.open = False
        CODE_NAMES.put(self.command, row, s.code, b"unknown-")
        put_held(self.user_name, row, &s.user)
        put_held(self.client_mac, row, &s.mac)
        put_held(self.framed_ip, row, &s.framed)
        put_held(self.tunnel_client, row, &s.tunnel)
        put_held(self.connect_info, row, &s.connect)
        put_held(self.nas_ip, row, &s.nas)
        if s.reply.n >= 0:
            put_text(self.reply, row, s.reply.text, s.reply.n)
        put_name(self.result, row, result)
        if status:
            self.sheet.status_id.put(row, status)
            if s.first != NO_TIME and t.time != s.first:
                self.rtt_s.put(row, (t.time - s.first) / 1e9)
        return self.sheet.done()
