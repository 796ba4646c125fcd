"""SOCKS 4, 4a and 5 (RFC 1928, 1929): what a proxy was asked for is a row of remote_access_activity;
what is said behind it belongs to the protocol that speaks there."""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr

from tracelake.native.account cimport Account
from tracelake.native.columns cimport BoolColumn, DictColumn, IntColumn
from tracelake.native.cursor cimport be16, be32
from tracelake.native.text cimport put_ipv4, put_ipv6
from tracelake.parsers.conn cimport ORIG, RESP, Place
from tracelake.parsers.protocols.protocol cimport (
    MORE, NO, UNDECIDED, YES, Guess, Protocol, Talk, confirm, give_up, hand_over, place,
)
from tracelake.parsers.protocols.sheet cimport Sheet, Sheets
from tracelake.parsers.protocols.words cimport (
    Names, Word, no_word, put_held, put_name, put_number, set_word,
)
from tracelake.parsers.services cimport service

cdef int SERVICE = service("socks")

cdef enum:
    TCP = 6
    TUNNEL = 4014               # OCSF's class; open: activity 1
    OPEN = 1
    OPENED_4 = 90               # reply of version 4: granted; those after it refuse
    PASSWORD = 2                # method
    IPV4 = 1
    NAME = 3
    IPV6 = 4

STATUS_5: dict[int, str] = dict(enumerate((
    "succeeded", "general SOCKS server failure", "connection not allowed by ruleset",
    "Network unreachable", "Host unreachable", "Connection refused", "TTL expired",
    "Command not supported", "Address type not supported",
)))
STATUS_4: dict[int, str] = {
    90: "succeeded", 91: "general SOCKS server failure",
    92: "request failed because client is not running identd",
    93: "request failed because client's identd could not confirm the user ID string in the "
        "request",
}
cdef Names NAMES_5 = Names(STATUS_5)
cdef Names NAMES_4 = Names(STATUS_4)

# What is to come next.
cdef enum:
    GREETING = 0                # client: methods
    METHOD = 1                  # server: one of them
    LOGIN = 2                   # client: user and password (RFC 1929)
    LOGIN_REPLY = 3
    REQUEST = 4
    REPLY = 5


cdef struct Session:
    int phase
    int version
    bint begun
    Place place
    Word user
    Word target_ip
    Word target_name
    int target_port
    Word bound_ip
    Word bound_name
    int bound_port
    int status                  # -1: none


cdef int64_t _address(const uint8_t* p, int64_t n, Word* ip, Word* name, int* port) noexcept nogil:
    """Type, address and port (RFC 1928, section 5): their bytes, 0 where more are needed, -1 where
    there is no such type."""
    cdef uint8_t[48] text
    cdef int64_t length
    if n < 2:
        return 0
    if p[0] == IPV4:
        length = 4
    elif p[0] == IPV6:
        length = 16
    elif p[0] == NAME:
        length = 1 + p[1]
    else:
        return -1
    if n < 1 + length + 2:
        return 0
    if p[0] == IPV4:
        set_word(ip, text, put_ipv4(text, p + 1))
    elif p[0] == IPV6:
        set_word(ip, text, put_ipv6(text, p + 1))
    else:
        set_word(name, p + 2, length - 1)
    port[0] = be16(p + 1 + length)
    return 1 + length + 2


cdef class Socks(Protocol):
    cdef Sheet sheet
    cdef IntColumn class_uid, status_id, target_port, bound_port
    cdef DictColumn protocol, protocol_version, user_name, result, tunnel_type
    cdef DictColumn target_ip, target_name, bound_ip, bound_name

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "socks"
        self.ports = (1080,)
        self.sheet = sheets.sheet("remote_access_activity")
        rows = self.sheet.rows
        self.class_uid = rows.column("class_uid")
        self.status_id = rows.column("status_id")
        self.protocol = rows.column("protocol")
        self.protocol_version = rows.column("protocol_version")
        self.user_name = rows.column("user_name")
        self.result = rows.column("result")
        self.tunnel_type = rows.column("tunnel_type")
        self.target_ip = rows.column("target_ip")
        self.target_name = rows.column("target_name")
        self.target_port = rows.column("target_port")
        self.bound_ip = rows.column("bound_ip")
        self.bound_name = rows.column("bound_name")
        self.bound_port = rows.column("bound_port")

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        """The client's first message alone says little: the server's answer must fit."""
        if t.flow.protocol != TCP or (n and orig[0] != 4 and orig[0] != 5):
            return NO
        if n < 2:
            return MORE if m == 0 or n else NO
        if orig[0] == 5:
            if orig[1] == 0 or n < 2 + orig[1]:
                return NO if orig[1] == 0 or m else MORE
            if m < 2:
                return MORE if m == 0 or resp[0] == 5 else NO
            return YES if resp[0] == 5 and (resp[1] <= 9 or resp[1] == 0xFF) else NO
        if orig[1] != 1 and orig[1] != 2:
            return NO
        if n < 9:
            return MORE if m == 0 else NO
        if orig[n - 1]:
            return NO
        if m < 8:
            return MORE if m == 0 or resp[0] == 0 else NO
        return YES if resp[0] == 0 and OPENED_4 <= resp[1] <= 93 else NO

    cdef int begin(self, Talk* t) except -1 nogil:
        cdef Session* s = <Session*>calloc(1, sizeof(Session))
        if s is NULL:
            with gil:
                raise MemoryError("a SOCKS session")
        no_word(&s.user)
        no_word(&s.target_ip)
        no_word(&s.target_name)
        no_word(&s.bound_ip)
        no_word(&s.bound_name)
        s.target_port = s.bound_port = s.status = -1
        t.state = s
        confirm(t, SERVICE)
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

    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef Session* s = <Session*>t.state
        cdef int64_t at = 0, used
        cdef bint client
        while at < n and not t.gone and t.following == t.protocol:
            client = s.phase == GREETING or s.phase == LOGIN or s.phase == REQUEST
            if client != (side == ORIG):
                break               # the other side is to speak first
            used = self._step(t, s, side, at, p + at, n - at)
            if used < 0:
                give_up(t)
                break
            if used == 0:
                break
            at += used
        return at

    cdef int64_t _step(
        self, Talk* t, Session* s, int side, int64_t at, const uint8_t* p, int64_t n
    ) except -2 nogil:
        """One message: its bytes, 0 where more are needed, -1 where it is none."""
        cdef int64_t used
        if s.phase == GREETING:
            if not s.begun:
                s.begun = True
                s.place = place(t, side, at)
                s.version = p[0]
            if p[0] == 4:
                return self._request_4(s, p, n)
            if n < 2 or n < 2 + p[1]:
                return 0
            s.phase = METHOD
            return 2 + p[1]
        if s.phase == METHOD:
            if n < 2:
                return 0
            if p[0] != 5 or p[1] == 0xFF:
                return -1
            if p[1] and p[1] != PASSWORD:
                return -1           # GSS-API and others: what follows may be wrapped
            s.phase = LOGIN if p[1] == PASSWORD else REQUEST
            return 2
        if s.phase == LOGIN:
            if n < 2 or n < 3 + p[1] or n < 3 + p[1] + p[2 + p[1]]:
                return 0 if p[0] == 1 else -1
            s.place = place(t, side, at)
            set_word(&s.user, p + 2, p[1])
            s.phase = LOGIN_REPLY
            return 3 + p[1] + p[2 + p[1]]
        if s.phase == LOGIN_REPLY:
            if n < 2:
                return 0
            s.status = p[1]
            s.phase = REQUEST
            return 2
        if s.phase == REQUEST:
            if n < 4:
                return 0
            used = _address(p + 3, n - 3, &s.target_ip, &s.target_name, &s.target_port)
            if p[0] != 5 or used < 0:
                return -1
            if used == 0:
                return 0
            if s.user.n < 0:
                s.place = place(t, side, at)
            s.phase = REPLY
            return 3 + used
        return self._reply(t, s, p, n)

    cdef int64_t _request_4(self, Session* s, const uint8_t* p, int64_t n) noexcept nogil:
        """Version 4: port, address, user; 4a: a name behind it where the address is 0.0.0.x."""
        cdef const uint8_t* end
        cdef const uint8_t* name
        cdef uint8_t[16] text
        if n < 9:
            return 0
        end = <const uint8_t*>memchr(p + 8, 0, n - 8)
        if end is NULL:
            return 0 if n < 512 else -1
        if end > p + 8:
            set_word(&s.user, p + 8, end - p - 8)
        s.target_port = be16(p + 2)
        if 0 < be32(p + 4) < 256:
            name = end + 1
            end = <const uint8_t*>memchr(name, 0, n - (name - p))
            if end is NULL:
                return 0 if n < 1024 else -1
            set_word(&s.target_name, name, end - name)
        else:
            set_word(&s.target_ip, text, put_ipv4(text, p + 4))
        s.phase = REPLY
        return end + 1 - p

    cdef int64_t _reply(self, Talk* t, Session* s, const uint8_t* p, int64_t n) except -2 nogil:
        cdef int64_t used
        cdef uint8_t[16] text
        if s.version == 4:
            if n < 8:
                return 0
            s.status = p[1]
            s.bound_port = be16(p + 2)
            set_word(&s.bound_ip, text, put_ipv4(text, p + 4))
            used = 8
        else:
            if n < 4:
                return 0
            used = _address(p + 3, n - 3, &s.bound_ip, &s.bound_name, &s.bound_port)
            if p[0] != 5 or used < 0:
                return -1
            if used == 0:
                return 0
            s.status = p[1]
            used += 3
        if s.status == 0 or s.status == OPENED_4:
            hand_over(t, UNDECIDED)
        else:
            give_up(t)
        return used

    cdef int _row(self, Talk* t, Session* s) except -1 nogil:
        cdef Py_ssize_t row = self.sheet.begin(t.flow, &s.place, OPEN)
        self.class_uid.put(row, TUNNEL)
        put_name(self.protocol, row, b"socks")
        put_name(self.tunnel_type, row, b"Tunnel::SOCKS")
        put_number(self.protocol_version, row, s.version)
        put_held(self.user_name, row, &s.user)
        put_held(self.target_ip, row, &s.target_ip)
        put_held(self.target_name, row, &s.target_name)
        put_held(self.bound_ip, row, &s.bound_ip)
        put_held(self.bound_name, row, &s.bound_name)
        if s.target_port >= 0:
            self.target_port.put(row, s.target_port)
        if s.bound_port >= 0:
            self.bound_port.put(row, s.bound_port)
        if s.status >= 0:
            self.status_id.put(row, 1 if s.status == 0 or s.status == OPENED_4 else 2)
            if s.version == 4:
                NAMES_4.put(self.result, row, s.status, b"unknown-")
            else:
                NAMES_5.put(self.result, row, s.status, b"unknown-")
        return self.sheet.done()
