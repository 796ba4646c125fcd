"""RFB (RFC 6143), the protocol of VNC: the beginning of a session, until the screen is known, is a
row of remote_access_activity."""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp

from tracelake.native.account cimport Account
from tracelake.native.columns cimport BoolColumn, DictColumn, IntColumn
from tracelake.native.cursor cimport be16, be32
from tracelake.parsers.conn cimport ORIG, RESP, Place
from tracelake.parsers.protocols.protocol cimport (
    MORE, NO, YES, Guess, Protocol, Talk, confirm, give_up, place,
)
from tracelake.parsers.protocols.sheet cimport Sheet, Sheets
from tracelake.parsers.protocols.words cimport (
    Names, Word, no_word, put_held, put_name, set_word,
)
from tracelake.parsers.services cimport service

cdef int SERVICE = service("rfb")

cdef enum:
    TCP = 6
    VERSION_LENGTH = 12         # "RFB 003.008\n"
    NETWORK = 4001
    OPEN = 1
    LONGEST_NAME = 4096

# Security types (section 7.1.2; IANA's registry).
cdef enum:
    NONE_NEEDED = 1
    VNC = 2
    ARD = 30

SECURITY: dict[int, str] = {
    0: "Invalid", 1: "None", 2: "VNC", 16: "Tight", 17: "Ultra", 18: "TLS", 19: "VeNCrypt",
    20: "GTK-VNC SASL", 21: "MD5 hash authentication", 22: "Colin Dean xvp",
    30: "Apple Remote Desktop",
}
cdef Names SECURITY_NAMES = Names(SECURITY)

# What is to come next.
cdef enum:
    SERVER_VERSION = 0
    CLIENT_VERSION = 1
    TYPES = 2                   # server
    CHOICE = 3                  # client
    CHALLENGE = 4               # server
    RESPONSE = 5                # client
    RESULT = 6                  # server
    CLIENT_INIT = 7
    SERVER_INIT = 8


cdef struct Session:
    int phase
    Place place
    bint begun
    int minor                   # of the version that both speak
    int security                # -1: not known yet
    int key_length              # of Apple Remote Desktop
    int result                  # -1: none, 0: it is authenticated
    int shared                  # -1: not said
    int width
    int height
    Word[2] major_version       # of either side
    Word[2] minor_version
    Word desktop


cdef bint _is_version(const uint8_t* p) noexcept nogil:
    cdef int i
    if memcmp(p, b"RFB ", 4) or p[7] != b"." or p[11] != b"\n":
        return False
    for i in range(4, 11):
        if i != 7 and not 48 <= p[i] <= 57:
            return False
    return True


cdef class Rfb(Protocol):
    cdef Sheet sheet
    cdef IntColumn class_uid, status_id, desktop_width, desktop_height
    cdef DictColumn protocol, auth_method, desktop_name
    cdef DictColumn client_major_version, client_minor_version
    cdef DictColumn server_major_version, server_minor_version
    cdef BoolColumn auth_success, share_flag

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "rfb"
        self.ports = (5900, 5901)
        self.sheet = sheets.sheet("remote_access_activity")
        rows = self.sheet.rows
        self.class_uid = rows.column("class_uid")
        self.status_id = rows.column("status_id")
        self.desktop_width = rows.column("desktop_width")
        self.desktop_height = rows.column("desktop_height")
        self.protocol = rows.column("protocol")
        self.auth_method = rows.column("auth_method")
        self.desktop_name = rows.column("desktop_name")
        self.client_major_version = rows.column("client_major_version")
        self.client_minor_version = rows.column("client_minor_version")
        self.server_major_version = rows.column("server_major_version")
        self.server_minor_version = rows.column("server_minor_version")
        self.auth_success = rows.column("auth_success")
        self.share_flag = rows.column("share_flag")

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        if t.flow.protocol != TCP:
            return NO
        if m == 0:
            return MORE if n == 0 or orig[0] == b"R" else NO
        if m < VERSION_LENGTH:
            return MORE if memcmp(resp, b"RFB ", min(m, 4)) == 0 else NO
        return YES if _is_version(resp) else NO

    cdef int begin(self, Talk* t) except -1 nogil:
        cdef Session* s = <Session*>calloc(1, sizeof(Session))
        cdef int side
        if s is NULL:
            with gil:
                raise MemoryError("an RFB session")
        for side in range(2):
            no_word(&s.major_version[side])
            no_word(&s.minor_version[side])
        no_word(&s.desktop)
        s.security = s.result = s.shared = s.width = s.height = -1
        t.state = s
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
        while at < n and not t.gone:
            client = s.phase in (CLIENT_VERSION, CHOICE, RESPONSE, CLIENT_INIT)
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
        """One message: its bytes, 0 where more are needed, -1 where it is none that is read."""
        cdef int64_t length
        if s.phase == SERVER_VERSION or s.phase == CLIENT_VERSION:
            if n < VERSION_LENGTH:
                return 0
            if not _is_version(p):
                return -1
            if s.phase == SERVER_VERSION:
                s.begun = True
                s.place = place(t, side, at)
            else:
                s.place = place(t, side, at)        # the client has agreed: a session begins
                confirm(t, SERVICE)
                s.minor = (p[8] - 48) * 100 + (p[9] - 48) * 10 + p[10] - 48
            set_word(&s.major_version[side], p + 4, 3)
            set_word(&s.minor_version[side], p + 8, 3)
            s.phase += 1
            return VERSION_LENGTH
        if s.phase == TYPES:
            if s.minor < 7:         # the server decides
                if n < 4:
                    return 0
                s.security = <int>min(be32(p), 255)
                return 4 if self._secured(s) else -1
            if n < 1 + p[0]:
                return 0
            if p[0] == 0:
                return -1           # refused, for a reason that follows
            s.phase = CHOICE
            return 1 + p[0]
        if s.phase == CHOICE:
            s.security = p[0]
            return 1 if self._secured(s) else -1
        if s.phase == CHALLENGE:
            if s.security == VNC:
                length = 16
            else:
                if n < 4:
                    return 0
                s.key_length = be16(p + 2)
                length = 4 + 2 * s.key_length
            if n < length:
                return 0
            s.phase = RESPONSE
            return length
        if s.phase == RESPONSE:
            length = 16 if s.security == VNC else 128 + s.key_length
            if n < length:
                return 0
            s.phase = RESULT
            return length
        if s.phase == RESULT:
            if n < 4:
                return 0
            s.result = 1 if be32(p) else 0
            if s.result:
                return -1
            s.phase = CLIENT_INIT
            return 4
        if s.phase == CLIENT_INIT:
            s.shared = p[0]
            s.phase = SERVER_INIT
            return 1
        return self._server_init(t, s, p, n)

    cdef bint _secured(self, Session* s) noexcept nogil:
        """What follows the security type; False where it is not read here."""
        if s.security == NONE_NEEDED:
            s.phase = RESULT if s.minor >= 8 else CLIENT_INIT
        elif s.security == VNC or s.security == ARD:
            s.phase = CHALLENGE
        else:
            return False
        return True

    cdef int64_t _server_init(self, Talk* t, Session* s, const uint8_t* p, int64_t n) noexcept nogil:
        """ServerInit (section 7.3.2)."""
        cdef int64_t length
        if n < 24:
            return 0
        length = be32(p + 20)
        if length > LONGEST_NAME:
            return -1
        if n < 24 + length:
            return 0
        s.width = be16(p)
        s.height = be16(p + 2)
        set_word(&s.desktop, p + 24, length)
        return -1                   # all that is wanted

    cdef int _row(self, Talk* t, Session* s) except -1 nogil:
        cdef Py_ssize_t row = self.sheet.begin(t.flow, &s.place, OPEN)
        self.class_uid.put(row, NETWORK)
        put_name(self.protocol, row, b"rfb")
        put_held(self.client_major_version, row, &s.major_version[ORIG])
        put_held(self.client_minor_version, row, &s.minor_version[ORIG])
        put_held(self.server_major_version, row, &s.major_version[RESP])
        put_held(self.server_minor_version, row, &s.minor_version[RESP])
        if s.security >= 0:
            if SECURITY_NAMES.get(s.security) is NULL:
                put_name(self.auth_method, row, b"RealVNC")
            else:
                SECURITY_NAMES.put(self.auth_method, row, s.security, b"")
        if s.result >= 0:
            self.auth_success.put(row, s.result == 0)
            self.status_id.put(row, 1 if s.result == 0 else 2)
        if s.shared >= 0:
            self.share_flag.put(row, s.shared != 0)
        put_held(self.desktop_name, row, &s.desktop)
        if s.width >= 0:
            self.desktop_width.put(row, s.width)
            self.desktop_height.put(row, s.height)
        return self.sheet.done()
