"""RDP (MS-RDPBCGR 1.3.1.1, 2.2.1): how a session begins; what follows is encrypted, or TLS.

TPKT (RFC 1006: 3, 0, length) holds X.224: a connection request with a cookie and the kinds of
security that the client can do, a confirmation that selects one. Where that is not RDP's own, TLS
follows. Else an MCS Connect-Initial (T.125, BER) and its response carry a GCC conference (T.124)
whose user data are blocks of both sides' settings.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memchr, memcmp, memcpy, strlen

from tracelake.native.account cimport Account
from tracelake.native.columns cimport (
    BoolColumn, DictColumn, IntColumn, ListColumn, TextColumn,
)
from tracelake.native.cursor cimport Cursor, be16, be32, le16, le32, left, span
from tracelake.native.text cimport put_uint
from tracelake.parsers.conn cimport ORIG, RESP, Place
from tracelake.parsers.protocols.certificates cimport Certificates, certificates_of
from tracelake.parsers.protocols.der cimport FOUND, OCTET_STRING, Element, element
from tracelake.parsers.protocols.held_name cimport Name, drop, hold, put_name
from tracelake.parsers.protocols.protocol cimport (
    MORE, NO, UNDECIDED, YES, Guess, Protocol, Talk, confirm, give_up, hand_over, place,
)
from tracelake.parsers.protocols.rdp_names import (
    BUILDS, CERTIFICATES, DEPTHS, FAILURES, KEYBOARDS, LEVELS, METHODS, RESULTS, SECURITY,
)
from tracelake.parsers.protocols.sheet cimport Sheet, Sheets
from tracelake.parsers.services cimport service

cdef int RDP = service("rdp")
cdef int RDPEUDP = service("rdpeudp")

cdef enum:
    TPKT = 4
    TCP = 6
    UDP = 17
    HOME = 3389
    RDP_ACTIVITY = 4005         # class_uid
    CONNECT_REQUEST = 3         # activity_id
    REPAIRED = 128              # parse_flags

# X.224 (13.1): codes of TPDUs.
cdef enum:
    CONNECTION_REQUEST = 0xE0
    CONNECTION_CONFIRM = 0xD0
    DATA = 0xF0

# Structures behind the X.224 header (2.2.1.1, 2.2.1.2).
cdef enum:
    NEGOTIATION_REQUEST = 1
    NEGOTIATION_RESPONSE = 2
    NEGOTIATION_FAILURE = 3
    NEGOTIATION_BYTES = 8

# Blocks of user data (2.2.1.3.1).
cdef enum:
    CLIENT_CORE = 0xC001
    CLIENT_NETWORK = 0xC003
    SERVER_SECURITY = 0x0C02
    MOST_BLOCKS = 32
    MOST_CHANNELS = 31          # 2.2.1.3.4
    CHANNEL = 12                # bytes of one
    MOST_CERTIFICATES = 200     # 2.2.1.4.2
    WANT_32_BITS = 0x0002       # early capability flags


cdef class Numbers:
    """Names by number, looked up without the GIL.

    Args:
        names: of numbers below 2^31.
        other: what a number without a name is called, before the number itself.
    """
    cdef int32_t* numbers
    cdef const char** names
    cdef int count
    cdef const char* other
    cdef list kept

    def __cinit__(self, dict names, bytes other):
        cdef int i
        cdef bytes text
        self.kept = [other]
        self.other = other
        self.count = len(names)
        self.numbers = <int32_t*>malloc(self.count * sizeof(int32_t))
        self.names = <const char**>malloc(self.count * sizeof(char*))
        if self.numbers is NULL or self.names is NULL:
            raise MemoryError()
        for i, number in enumerate(sorted(names)):
            text = names[number].encode("ascii")
            self.kept.append(text)
            self.numbers[i] = number
            self.names[i] = text

    def __dealloc__(self):
        free(self.numbers)
        free(self.names)

    cdef const char* get(self, uint32_t number) noexcept nogil:
        cdef int low = 0, high = self.count, middle
        while low < high:
            middle = (low + high) // 2
            if <uint32_t>self.numbers[middle] == number:
                return self.names[middle]
            if <uint32_t>self.numbers[middle] < number:
                low = middle + 1
            else:
                high = middle
        return NULL

    cdef int put(self, DictColumn column, Py_ssize_t row, uint32_t number) except -1 nogil:
        cdef const char* name = self.get(number)
        cdef uint8_t[64] text
        cdef Py_ssize_t n
        if name is not NULL:
            return column.put_valid(row, <const uint8_t*>name, strlen(name))
        n = strlen(self.other)
        memcpy(text, self.other, n)
        return column.put_valid(row, text, n + put_uint(text + n, number))


cdef struct Session:
    Place place
    bint begun
    Name cookie
    bint selects, fails, answers, has_core, has_channels, has_security, has_certificate
    uint32_t selected           # security that the server chose
    uint32_t failure
    uint32_t result
    # Of the client's core data:
    uint16_t width, height, depth, early
    uint32_t keyboard, build
    uint8_t[32] name
    uint8_t[64] product
    int32_t product_bytes
    int32_t channel_count
    uint8_t[MOST_CHANNELS * 8] channels
    uint32_t method, level
    uint32_t certificate        # its kind
    bint permanent
    int32_t certificates


cdef class Rdp(Protocol):
    """RDP in TCP connections.

    Args:
        index: its number in PROTOCOLS.
        account: of the capture.
        sheets: the tables that rows are written to.
    """
    cdef Sheet sheet
    cdef Certificates certificates
    cdef int64_t kept
    cdef Numbers builds, security, failures, results, kinds, methods, levels, depths, keyboards
    cdef IntColumn class_uid, width, height, certificate_count
    cdef BoolColumn permanent
    cdef ListColumn channels
    cdef DictColumn protocol, cookie, result, security_protocol, keyboard, client_build
    cdef DictColumn client_name, product, depth, certificate_type, method, level

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "rdp"
        self.ports = (HOME,)
        self.longest = 65535
        self.sheet = sheets.sheet("remote_access_activity")
        self.certificates = certificates_of(sheets)
        self.builds = Numbers(BUILDS, b"client_build-")
        self.security = Numbers(SECURITY, b"security_protocol-")
        self.failures = Numbers(FAILURES, b"failure_code-")
        self.results = Numbers(RESULTS, b"result-")
        self.kinds = Numbers(CERTIFICATES, b"cert_type-")
        self.methods = Numbers(METHODS, b"encryption_method-")
        self.levels = Numbers(LEVELS, b"encryption_level-")
        self.depths = Numbers(DEPTHS, b"high_color_depth-")
        self.keyboards = Numbers(KEYBOARDS, b"keyboard-")
        rows = self.sheet.rows
        self.class_uid = rows.column("class_uid")
        self.protocol = rows.column("protocol")
        self.cookie = rows.column("cookie")
        self.result = rows.column("result")
        self.security_protocol = rows.column("security_protocol")
        self.keyboard = rows.column("keyboard")
        self.client_build = rows.column("client_build")
        self.client_name = rows.column("src_hostname")
        self.product = rows.column("client_product_uid")
        self.width = rows.column("desktop_width")
        self.height = rows.column("desktop_height")
        self.depth = rows.column("color_depth")
        self.channels = rows.column("client_channels")
        self.certificate_type = rows.column("cert_type")
        self.certificate_count = rows.column("cert_count")
        self.permanent = rows.column("cert_permanent")
        self.method = rows.column("encryption_method")
        self.level = rows.column("encryption_level")

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        if t.flow.protocol != TCP:
            return NO
        if n:
            return _looks(orig, n, t.flow.port[RESP] == HOME)
        # Of the other side alone a confirmation is enough, where it selects.
        if m >= 19 and resp[0] == 3 and resp[5] == CONNECTION_CONFIRM and be16(resp + 2) == 19:
            return YES if 2 <= resp[11] <= 3 and le16(resp + 13) == NEGOTIATION_BYTES else NO
        return MORE if 0 < m < 19 and resp[0] == 3 else NO

    cdef int begin(self, Talk* t) except -1 nogil:
        t.state = calloc(1, sizeof(Session))
        if t.state is NULL:
            with gil:
                raise MemoryError("an RDP session")
        return 0

    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef Session* s = <Session*>t.state
        cdef int64_t at = 0, length
        while n - at >= TPKT:
            length = be16(p + at + 2)
            if p[at] != 3 or length < TPKT + 3:
                give_up(t)      # fast path (2.2.8.1.2), encrypted, or no RDP
                return n
            if n - at < length:
                t.half[side].need = length
                break
            self._packet(t, s, side, p + at + TPKT, length - TPKT, at)
            at += length
            if t.gone:
                return n
            if s.selects and s.selected:
                confirm(t, RDP)
                hand_over(t, UNDECIDED)
                break
        return at

    cdef int _packet(
        self, Talk* t, Session* s, int side, const uint8_t* p, int64_t n, int64_t at
    ) except -1 nogil:
        cdef int64_t size = <int64_t>p[0] + 1
        cdef const uint8_t* end
        cdef int64_t rest
        if size > n:
            return 0
        if not s.begun:
            s.begun = True
            s.place = place(t, side, at)
        if p[1] & 0xF0 == CONNECTION_REQUEST:
            if size > 24 and memcmp(p + 7, b"Cookie: mstshash=", 17) == 0:
                end = <const uint8_t*>memchr(p + 24, 13, size - 24)
                rest = end - (p + 24) if end is not NULL else size - 24
                hold(&s.cookie, p + 24, rest, False, &self.kept)
        elif p[1] & 0xF0 == CONNECTION_CONFIRM:
            if size >= 7 + NEGOTIATION_BYTES:
                if p[7] == NEGOTIATION_RESPONSE:
                    s.selects = True
                    s.selected = le32(p + 11)
                elif p[7] == NEGOTIATION_FAILURE:
                    s.fails = True
                    s.failure = le32(p + 11)
        elif p[1] & 0xF0 == DATA and size == 3:
            self._connect(t, s, side, p + 3, n - 3, at)
        return 0

    cdef int _connect(
        self, Talk* t, Session* s, int side, const uint8_t* p, int64_t n, int64_t at
    ) except -1 nogil:
        """Connect-Initial, Connect-Response (T.125): the last octet string is GCC's."""
        cdef Cursor c = span(p, n, 0)
        cdef Element pdu, field
        cdef Cursor user
        cdef int i
        if n < 2 or p[0] != 0x7F or (p[1] != 0x65 and p[1] != 0x66):
            return 0
        if element(&c, &pdu, True) != FOUND:
            return 0
        user = span(p, 0, 0)
        for i in range(12):
            if element(&pdu.body, &field, True) != FOUND:
                break
            if field.first == OCTET_STRING:
                user = field.body
        self._conference(t, s, side, p[1] == 0x65, user.at, left(&user), at)
        if p[1] == 0x66:
            give_up(t)          # all is said that is not encrypted
        return 0

    cdef int _conference(
        self, Talk* t, Session* s, int side, bint client, const uint8_t* p, int64_t n, int64_t at
    ) except -1 nogil:
        """T.124, in PER: the key before the blocks is "Duca" of clients, "McDn" of servers."""
        cdef int64_t k = 4, end
        cdef int i
        cdef uint16_t length
        while k + 5 <= n and memcmp(p + k, b"Duca" if client else b"McDn", 4):
            k += 1
            if k > 64:
                return 0
        if k + 5 > n:
            return 0
        confirm(t, RDP)
        if not client:
            s.answers = True
            s.result = p[k - 4]
        k += 4
        if p[k] & 0x80:
            k += 2
        else:
            k += 1
        for i in range(MOST_BLOCKS):
            if n - k < 4:
                break
            length = le16(p + k + 2)
            if length < 4 or length > n - k:
                break
            self._block(t, s, side, le16(p + k), p + k + 4, length - 4, at)
            k += length
        return 0

    cdef int _block(
        self, Talk* t, Session* s, int side, int kind, const uint8_t* p, int64_t n, int64_t at
    ) except -1 nogil:
        cdef int64_t i
        if kind == CLIENT_CORE and n >= 52:
            s.has_core = True
            s.width = le16(p + 4)
            s.height = le16(p + 6)
            s.keyboard = le32(p + 12)
            s.build = le32(p + 16)
            memcpy(s.name, p + 20, 32)
            # The rest came later, and may end anywhere.
            s.depth = le16(p + 136) if n >= 138 else 0
            s.early = le16(p + 140) if n >= 142 else 0
            s.product_bytes = <int32_t>(64 if n >= 206 else 0)
            memcpy(s.product, p + 142, s.product_bytes)
        elif kind == CLIENT_NETWORK and n >= 4:
            s.has_channels = True
            s.channel_count = 0
            for i in range(le32(p)):
                if i >= MOST_CHANNELS or 4 + (i + 1) * CHANNEL > n:
                    break
                memcpy(s.channels + 8 * i, p + 4 + i * CHANNEL, 8)
                s.channel_count += 1
            if le32(p) > MOST_CHANNELS:
                self._too_many(t, s, le32(p))
        elif kind == SERVER_SECURITY and n >= 8:
            s.has_security = True
            s.method = le32(p)
            s.level = le32(p + 4)
            if n >= 16 and 16 + <int64_t>le32(p + 8) + 4 <= n:
                self._certificate(t, s, p + 16 + le32(p + 8), n - 16 - le32(p + 8))
        return 0

    cdef int _too_many(self, Talk* t, Session* s, uint32_t count) except -1 nogil:
        cdef uint8_t[20] text
        return self.sheets.note(
            t.flow, &s.place, b"RDP_channels_requested_exceeds_max", b"RDP", text,
            put_uint(text, count),
        )

    cdef int _certificate(self, Talk* t, Session* s, const uint8_t* p, int64_t n) except -1 nogil:
        """2.2.1.4.3.1: one of RDP's own, or a chain of X.509 (2.2.1.4.2)."""
        cdef int64_t at = 8, length
        cdef uint32_t i
        s.has_certificate = True
        s.certificate = le32(p) & 0x7FFFFFFF
        s.permanent = not p[3] & 0x80
        if s.certificate == 1:
            s.certificates = 1
        elif s.certificate == 2 and n >= 8:
            for i in range(le32(p + 4)):
                if i >= MOST_CERTIFICATES or n - at < 4:
                    break
                length = le32(p + at)
                if length > n - at - 4:
                    break
                self.certificates.met(
                    t.flow, &s.place, p + at + 4, <int32_t>length, <int>i, False
                )
                s.certificates += 1
                at += 4 + length
        return 0

    cdef int end(self, Talk* t) except -1 nogil:
        cdef Session* s = <Session*>t.state
        if s is NULL:
            return 0
        if s.cookie.p is not NULL or s.has_core or s.answers or s.fails or s.selects:
            self._write(t, s)
        drop(&s.cookie, &self.kept)
        free(s)
        t.state = NULL
        return 0

    cdef int _write(self, Talk* t, Session* s) except -1 nogil:
        cdef Py_ssize_t row = self.sheet.begin(t.flow, &s.place, CONNECT_REQUEST), item
        cdef int flags = 0, i
        self.class_uid.put(row, RDP_ACTIVITY)
        self.protocol.put_valid(row, b"rdp", 3)
        flags |= put_name(self.cookie, row, &s.cookie)
        if s.answers:
            self.results.put(self.result, row, s.result)
        elif s.fails:
            self.failures.put(self.result, row, s.failure)
        elif s.selects and s.selected:
            self.result.put_valid(row, b"encrypted", 9)
        if s.selects:
            self.security.put(self.security_protocol, row, s.selected)
        elif s.has_security and s.method and s.level:
            self.security.put(self.security_protocol, row, 0)
        if s.has_core:
            self._keyboard(row, s.keyboard)
            self.builds.put(self.client_build, row, s.build)
            flags |= self.client_name.put_utf16(row, s.name, _units(s.name, 32))
            if s.product_bytes:
                flags |= self.product.put_utf16(row, s.product, _units(s.product, 64))
            self.width.put(row, s.width)
            self.height.put(row, s.height)
            if s.early & WANT_32_BITS:
                self.depth.put_valid(row, b"32bit", 5)
            else:
                self.depths.put(self.depth, row, s.depth)
        if s.has_channels:
            item = self.channels.open(row)
            for i in range(s.channel_count):
                flags |= self._channel(item, s.channels + 8 * i)
                item += 1
            self.channels.close(item)
        if s.has_certificate:
            self.kinds.put(self.certificate_type, row, s.certificate)
            self.permanent.put(row, s.permanent)
        self.certificate_count.put(row, s.certificates)
        if s.has_security:
            self.methods.put(self.method, row, s.method)
            self.levels.put(self.level, row, s.level)
        if flags:
            self.sheet.flags(REPAIRED)
        return self.sheet.done()

    cdef int _channel(self, Py_ssize_t item, const uint8_t* p) except -1 nogil:
        cdef Py_ssize_t n = 8
        while n and not p[n - 1]:
            n -= 1
        return (<TextColumn>self.channels.items).put(item, p, n)

    cdef int _keyboard(self, Py_ssize_t row, uint32_t layout) except -1 nogil:
        """The layout, or the language in its lower half."""
        cdef const char* name
        cdef uint8_t[128] text
        cdef Py_ssize_t n
        if self.keyboards.get(layout) is not NULL:
            return self.keyboards.put(self.keyboard, row, layout)
        name = self.keyboards.get(layout & 0xFFFF)
        if name is NULL:
            return self.keyboards.put(self.keyboard, row, layout)
        n = strlen(name)
        memcpy(text, name, n)
        memcpy(text + n, b" (Best Guess for ", 17)
        n += 17
        n += put_uint(text + n, layout)
        text[n] = b")"
        return self.keyboard.put_valid(row, text, n + 1)


cdef Py_ssize_t _units(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """UTF-16 code units before the first NUL."""
    cdef Py_ssize_t i = 0
    while 2 * i + 1 < n and (p[2 * i] or p[2 * i + 1]):
        i += 1
    return i


cdef Guess _looks(const uint8_t* p, int64_t n, bint at_home) noexcept nogil:
    """A connection request: with a cookie, a routing token or what it asks for (2.2.1.1)."""
    cdef int64_t length, k
    if n > 0 and p[0] != 3 or n > 1 and p[1] != 0:
        return NO
    if n < TPKT + 7:
        return MORE
    length = be16(p + 2)
    if p[5] & 0xF0 != CONNECTION_REQUEST or length != p[4] + 5 or length < 11:
        return NO
    if length == 11:
        if at_home:
            return YES
        # Others begin so as well: the conference tells.
        for k in range(11, n - 4):
            if memcmp(p + k, b"Duca", 4) == 0:
                return YES
        return MORE
    if length >= 19 and n >= 14 and p[11] == NEGOTIATION_REQUEST and p[13] == NEGOTIATION_BYTES:
        return YES
    if n < 19:
        return MORE
    return YES if memcmp(p + 11, b"Cookie: ", 8) == 0 else NO


cdef class RdpUdp(Protocol):
    """RDP's transport over UDP (MS-RDPEUDP 2.2): how it begins; DTLS or TLS follows inside.

    Args:
        index: its number in PROTOCOLS.
        account: of the capture.
        sheets: the tables; it writes no rows of its own.
    """

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "rdpeudp"
        self.ports = ()

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        # A SYN acknowledges nothing, and says how much fits into a datagram, which it fills.
        if t.flow.protocol != UDP or n < 16 or be32(orig) != 0xFFFFFFFFU:
            return NO
        if not be16(orig + 6) & 1 or be16(orig + 6) & 4:
            return NO
        return YES if 1132 <= be16(orig + 12) <= 1232 and 1132 <= be16(orig + 14) <= 1232 else NO

    cdef int datagram(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        if side == RESP and n >= 8:
            if be16(p + 6) & 5:         # SYN, ACK
                confirm(t, RDPEUDP)
            give_up(t)
        return 0
