"""QUIC (RFC 9000; version 2: RFC 9369; drafts 23 to 34): the packets with a long header.

    long    11TTxxPP, version (4), destination's id (1 + n), source's id (1 + n)
            Initial: token (varint + n), length (varint), number (1 to 4), frames, tag (16)
            0-RTT, Handshake: length, number, ...; Retry: token, tag (16)
    short   01......, destination's id, ...

Initial packets are encrypted with keys that follow from the first destination id (RFC 9001, 5.2):
the CRYPTO frames in them are the ClientHello and the ServerHello, which are tls_session.pyx's. A
connection is a row of tls_activity, whose QUIC columns say what Zeek's quic.log does.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from tracelake.native.account cimport Account
from tracelake.native.aes cimport Aes, aes_encrypt, aes_start, gcm_open
from tracelake.native.columns cimport DictColumn, Rows, TextColumn
from tracelake.native.cursor cimport be16, be32
from tracelake.native.digest cimport hmac_sha256
from tracelake.native.text cimport put_hex_bytes, put_uint
from tracelake.parsers.conn cimport ORIG, RESP, Place
from tracelake.parsers.protocols.protocol cimport (
    NO, YES, Guess, Protocol, Talk, confirm, give_up, place,
)
from tracelake.parsers.protocols.sheet cimport Sheets
from tracelake.parsers.protocols.tls_session cimport (
    CLIENT_HELLO, HISTORY_LIMIT, SERVER_HELLO, Session, TlsRows, start_session,
)
from tracelake.parsers.services import service

cdef enum:
    ID_LIMIT = 20               # bytes of a connection id (RFC 9000, 17.2)
    TAG = 16
    SAMPLE = 16
    MESSAGE_LIMIT = 16640       # bytes of a hello; Zeek's
    PACKET_LIMIT = 65536
    UDP = 17

cdef enum Kind:
    INITIAL = 0
    ZERO_RTT = 1
    HANDSHAKE = 2
    RETRY = 3

cdef enum Frame:
    PADDING = 0x00
    PING = 0x01
    ACK = 0x02
    ACK_ECN = 0x03
    CRYPTO = 0x06
    CONNECTION_CLOSE = 0x1C

cdef enum Family:               # of versions
    UNHANDLED = 0
    DRAFT_23 = 1                # to 28
    DRAFT_29 = 2                # to 32
    V1 = 3                      # and drafts 33 and 34
    V2 = 4

# RFC 9001, 5.2; RFC 9369, 3.3.1; the drafts' section 5.2.
cdef const uint8_t* SALT_23 = (
    b"\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02"
)
cdef const uint8_t* SALT_29 = (
    b"\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99"
)
cdef const uint8_t* SALT_V1 = (
    b"\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a"
)
cdef const uint8_t* SALT_V2 = (
    b"\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9"
)

cdef int64_t HELD_LIMIT = 32 << 20

cdef int QUIC = service("quic")
cdef int SSL = service("ssl")


# A hello whose frames are not all there.
cdef struct Hello:
    uint8_t* p                  # MESSAGE_LIMIT bytes, then a bit for each
    int64_t count
    bint finished


cdef struct State:
    Session session
    bint seen
    uint32_t version
    bint has_key_id
    uint8_t key_id[ID_LIMIT]    # that the keys follow from
    uint8_t key_id_length
    bint has_first
    uint8_t first[ID_LIMIT]     # client_initial_dcid
    uint8_t first_length
    bint has_id[2]
    uint8_t id[2][ID_LIMIT]
    uint8_t id_length[2]
    Hello hello[2]
    int64_t opened              # packets that were decrypted
    int64_t shorts[2]
    uint8_t letters
    uint8_t history[HISTORY_LIMIT]


cdef class Quic(Protocol):
    cdef TlsRows rows
    cdef DictColumn version, history, protocol
    cdef TextColumn first, client_id, server_id
    cdef uint8_t* plain             # a packet without its protection
    cdef readonly int64_t held

    def __cinit__(self, int index, Account account, Sheets sheets):
        cdef Rows rows
        self.name = "quic"
        self.ports = (443, 853, 784)
        self.rows = TlsRows(sheets)
        rows = self.rows.sheet.rows
        self.version = rows.column("quic_version")
        self.history = rows.column("quic_history")
        self.protocol = rows.column("client_protocol")
        self.first = rows.column("client_initial_dcid")
        self.client_id = rows.column("client_scid")
        self.server_id = rows.column("server_scid")
        self.plain = <uint8_t*>calloc(2, PACKET_LIMIT)
        if self.plain is NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.plain)

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        cdef const uint8_t* p = orig if n else resp
        cdef int64_t length = n if n else m
        cdef uint32_t version
        cdef int64_t at
        if t.flow.protocol != UDP or length < 23 or p[0] & 0xC0 != 0xC0:
            return NO
        version = be32(p + 1)
        if p[5] > ID_LIMIT or 7 + p[5] > length or p[6 + p[5]] > ID_LIMIT:
            return NO
        if _family(version) != UNHANDLED:
            return YES
        # A version that is not known, on QUIC's own port: at least it is one (RFC 9000, 14.1).
        at = t.flow.port[RESP]
        return YES if version and length >= 1200 and p[5] >= 8 and (
            at == 443 or at == 853 or at == 784
        ) else NO

    cdef int begin(self, Talk* t) except -1 nogil:
        cdef State* s = <State*>calloc(1, sizeof(State))
        if s is NULL:
            with gil:
                raise MemoryError("a QUIC connection")
        start_session(&s.session)
        t.state = s
        return 0

    cdef int end(self, Talk* t) except -1 nogil:
        cdef State* s = <State*>t.state
        if s is NULL:
            return 0
        self._write(t, s)
        free(s)
        t.state = NULL
        return 0

    # Packets.

    cdef int datagram(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef State* s = <State*>t.state
        cdef int64_t at = 0, length
        while at < n and not t.gone:
            if not p[at] & 0x40:
                # What follows the last packet of a datagram; a version's negotiation.
                if n - at >= 7 and p[at] & 0x80 and be32(p + at + 1) == 0 and at == 0:
                    self._letter(s, side, b"u")
                elif s.opened:
                    self._letter(s, side, b"x")
                return 0
            if not p[at] & 0x80:
                s.shorts[side] += 1
                if s.seen and s.shorts[side] & (s.shorts[side] - 1) == 0:
                    self._letter(s, side, b"o")
                return 0
            length = self._long(t, s, side, p + at, n - at)
            if length <= 0:
                return 0
            at += length
        return 0

    cdef int _letter(self, State* s, int side, uint8_t letter) except -1 nogil:
        if s.seen and s.letters < HISTORY_LIMIT:
            s.history[s.letters] = letter & 0xDF if side == ORIG else letter
            s.letters += 1
        return 0

    cdef int64_t _long(
        self, Talk* t, State* s, int side, const uint8_t* p, int64_t n
    ) except -1 nogil:
        """A packet with a long header: its length, or 0 where it is not one."""
        cdef int64_t at, length = 0, token = 0
        cdef uint32_t version
        cdef int family, kind
        cdef const uint8_t* to
        cdef const uint8_t* source
        cdef int to_length, source_length
        if n < 7:
            return 0
        version = be32(p + 1)
        to_length = p[5]
        if to_length > ID_LIMIT or n < 7 + to_length:
            return 0
        to = p + 6
        source_length = p[6 + to_length]
        at = 7 + to_length + source_length
        if source_length > ID_LIMIT or n < at:
            return 0
        source = p + 7 + to_length
        if version == 0:
            self._letter(s, side, b"u")         # RFC 9000, 17.2.1
            return 0
        family = _family(version)
        self._see(t, s, side, version)
        if family == UNHANDLED:
            self._ids(s, side, to, to_length, source, source_length)
            self._letter(s, side, b"u")
            give_up(t)
            return 0
        kind = p[0] >> 4 & 3
        if family == V2:
            kind = (kind + 3) & 3               # RFC 9369, 3.2
        if kind == RETRY:
            self._letter(s, side, b"r")
            self._write(t, s)
            memset(s, 0, sizeof(State))
            start_session(&s.session)
            return 0
        if kind == INITIAL:
            if not _varint(p, n, &at, &token) or token > n - at:
                return 0
            at += token
        if not _varint(p, n, &at, &length) or length > n - at:
            return 0
        self._ids(s, side, to, to_length, source, source_length)
        if kind == ZERO_RTT:
            self._letter(s, side, b"z")
        elif kind == HANDSHAKE:
            self._letter(s, side, b"h")
        else:
            self._letter(s, side, b"i")
            if side == ORIG and not s.has_key_id:
                s.has_key_id = True
                memcpy(s.key_id, to, to_length)
                s.key_id_length = <uint8_t>to_length
            if s.has_key_id and not s.hello[side].finished and length >= 4 + SAMPLE:
                self._open(t, s, side, family, p, at, length)
        return at + length

    cdef int _see(self, Talk* t, State* s, int side, uint32_t version) except -1 nogil:
        cdef Place found
        if s.seen:
            return 0
        s.seen = True
        s.version = version
        found = place(t, side, 0)
        self.rows.see(&s.session, &found)
        return 0

    cdef int _ids(
        self, State* s, int side, const uint8_t* to, int to_length, const uint8_t* source,
        int source_length
    ) except -1 nogil:
        if side == ORIG and not s.has_first and to_length:
            s.has_first = True
            memcpy(s.first, to, to_length)
            s.first_length = <uint8_t>to_length
        s.has_id[side] = True
        memcpy(s.id[side], source, source_length)
        s.id_length[side] = <uint8_t>source_length
        return 0

    cdef int _open(
        self, Talk* t, State* s, int side, int family, const uint8_t* p, int64_t at, int64_t length
    ) except -1 nogil:
        """Takes the protection off (RFC 9001, 5.3 and 5.4); `at`: of the packet's number."""
        cdef uint8_t[16] key
        cdef uint8_t[12] nonce
        cdef uint8_t[16] mask
        cdef uint8_t* head = self.plain
        cdef uint8_t* frames = self.plain + PACKET_LIMIT
        cdef Aes aes
        cdef int digits, i
        if at + length > PACKET_LIMIT:
            return 0
        _keys(family, s.key_id, s.key_id_length, side == ORIG, key, nonce, mask)
        aes_start(&aes, mask)
        aes_encrypt(&aes, p + at + 4, mask)
        memcpy(head, p, at + 4)
        head[0] ^= mask[0] & 0x0F
        digits = (head[0] & 3) + 1
        for i in range(digits):
            head[at + i] ^= mask[1 + i]
            nonce[12 - digits + i] ^= head[at + i]
        aes_start(&aes, key)
        if not gcm_open(&aes, nonce, head, at + digits, p + at + digits, length - digits - TAG,
                        frames):
            if not s.opened:
                give_up(t)          # it only looked like QUIC
            return 0
        s.opened += 1
        confirm(t, QUIC)
        return self._frames(t, s, side, frames, length - digits - TAG)

    # Frames.

    cdef int _frames(
        self, Talk* t, State* s, int side, const uint8_t* p, int64_t n
    ) except -1 nogil:
        """RFC 9000, 19, as far as they may stand in an Initial packet."""
        cdef int64_t at = 0, offset = 0, length = 0, count = 0, each = 0, k
        cdef int kind
        while at < n:
            kind = p[at]
            at += 1
            if kind == PADDING or kind == PING:
                continue
            if kind == ACK or kind == ACK_ECN:
                # Largest, delay, number of ranges, first range; two numbers each; three of ECN.
                if not _varint(p, n, &at, &each) or not _varint(p, n, &at, &each):
                    return 0
                if not _varint(p, n, &at, &count) or not _varint(p, n, &at, &each):
                    return 0
                if count > n - at:
                    return 0
                for k in range(2 * count + (3 if kind == ACK_ECN else 0)):
                    if not _varint(p, n, &at, &each):
                        return 0
            elif kind == CRYPTO:
                if not _varint(p, n, &at, &offset) or not _varint(p, n, &at, &length):
                    return 0
                if length > n - at:
                    return 0
                self._crypto(t, s, side, offset, p + at, length)
                if t.gone:
                    return 0
                at += length
            elif kind == CONNECTION_CLOSE:
                self._letter(s, side, b"c")
                self._write(t, s)
                memset(s, 0, sizeof(State))
                start_session(&s.session)
                return 0
            else:
                return 0
        return 0

    cdef int _crypto(
        self, Talk* t, State* s, int side, int64_t offset, const uint8_t* p, int64_t n
    ) except -1 nogil:
        """A part of a handshake message (RFC 9000, 19.6): they come in any order."""
        cdef Hello* h = &s.hello[side]
        cdef int64_t i, length
        cdef uint8_t* there
        if h.finished or offset >= MESSAGE_LIMIT or n > MESSAGE_LIMIT - offset:
            return 0
        if h.p is NULL:
            if offset == 0 and n >= 4 and n >= 4 + (<int64_t>p[1] << 16 | be16(p + 2)):
                return self._hello(t, s, side, p)
            if self.held + MESSAGE_LIMIT > HELD_LIMIT:
                give_up(t)
                return 0
            h.p = <uint8_t*>calloc(MESSAGE_LIMIT + MESSAGE_LIMIT // 8 + 1, 1)
            if h.p is NULL:
                with gil:
                    raise MemoryError("a hello")
            self.held += MESSAGE_LIMIT
        there = h.p + MESSAGE_LIMIT
        memcpy(h.p + offset, p, n)
        for i in range(offset, offset + n):
            there[i >> 3] |= <uint8_t>(1 << (i & 7))
        # How far there is no hole.
        while h.count < MESSAGE_LIMIT and there[h.count >> 3] >> (h.count & 7) & 1:
            h.count += 1
        if h.count < 4:
            return 0
        length = 4 + (<int64_t>h.p[1] << 16 | be16(h.p + 2))
        if length > MESSAGE_LIMIT:
            give_up(t)
            return 0
        if h.count >= length:
            self._hello(t, s, side, h.p)
            self._forget(h)
            h.finished = True
        return 0

    cdef int _forget(self, Hello* h) except -1 nogil:
        if h.p is not NULL:
            self.held -= MESSAGE_LIMIT
            free(h.p)
        memset(h, 0, sizeof(Hello))
        return 0

    cdef int _hello(self, Talk* t, State* s, int side, const uint8_t* p) except -1 nogil:
        """A whole message with its header."""
        cdef Place found = place(t, side, 0)
        cdef int64_t length = <int64_t>p[1] << 16 | be16(p + 2)
        s.hello[side].finished = True
        if p[0] != CLIENT_HELLO and p[0] != SERVER_HELLO:
            return 0
        if not self.rows.message(
            &s.session, t.flow, &found, side == ORIG, p[0], p + 4, length, b"q"
        ):
            return 0
        confirm(t, SSL)
        return self._letter(s, side, b"s")

    # The row.

    cdef int _write(self, Talk* t, State* s) except -1 nogil:
        cdef Py_ssize_t row
        cdef uint8_t[64] text
        if s.seen:
            row = self.rows.put(&s.session, t.flow)
            if row >= 0:
                self.version.put_valid(row, text, _put_version(text, s.version))
                self.history.put_valid(row, s.history, s.letters)
                if s.session.preferred is not NULL:
                    self.protocol.put(row, s.session.preferred, s.session.preferred_length)
                if s.has_first:
                    put_hex_bytes(text, s.first, s.first_length)
                    self.first.put_valid(row, text, 2 * s.first_length)
                if s.has_id[ORIG]:
                    put_hex_bytes(text, s.id[ORIG], s.id_length[ORIG])
                    self.client_id.put_valid(row, text, 2 * s.id_length[ORIG])
                if s.has_id[RESP]:
                    put_hex_bytes(text, s.id[RESP], s.id_length[RESP])
                    self.server_id.put_valid(row, text, 2 * s.id_length[RESP])
                self.rows.done()
        self.rows.forget(&s.session)
        self._forget(&s.hello[ORIG])
        self._forget(&s.hello[RESP])
        return 0


cdef int _family(uint32_t version) noexcept nogil:
    if version == 1 or version == 0xFF000021U or version == 0xFF000022U:
        return V1
    if version == 0x6B3343CF:
        return V2
    if 0xFF00001DU <= version <= 0xFF000020U:
        return DRAFT_29
    if 0xFF000017U <= version <= 0xFF00001CU:
        return DRAFT_23
    return UNHANDLED


cdef Py_ssize_t _put_version(uint8_t* out, uint32_t version) noexcept nogil:
    """As Zeek names it."""
    cdef uint8_t[4] octets
    cdef int i
    if version == 1:
        out[0] = 0x31
        return 1
    if version == 0x6B3343CF:
        memcpy(out, b"quicv2", 6)
        return 6
    if 0xFF000000U < version < 0xFF0000FFU:
        memcpy(out, b"draft-", 6)
        return 6 + put_uint(out + 6, version & 0xFF)
    for i in range(4):
        octets[i] = <uint8_t>(version >> (24 - 8 * i))
    memcpy(out, b"unknown-", 8)
    return 8 + put_hex_bytes(out + 8, octets, 4)


cdef bint _varint(const uint8_t* p, int64_t n, int64_t* at, int64_t* value) noexcept nogil:
    """RFC 9000, 16."""
    cdef int octets, i
    if at[0] >= n:
        return False
    octets = 1 << (p[at[0]] >> 6)
    if octets > n - at[0]:
        return False
    value[0] = p[at[0]] & 0x3F
    for i in range(1, octets):
        value[0] = value[0] << 8 | p[at[0] + i]
    at[0] += octets
    return True


# Keys.

cdef void _expand(
    const uint8_t* secret, const char* label, int length, uint8_t* out
) noexcept nogil:
    """HKDF-Expand-Label (RFC 8446, 7.1) to at most 32 bytes, without a context."""
    cdef uint8_t[64] text
    cdef uint8_t[32] digest
    cdef int n = 0
    while label[n]:
        n += 1
    text[0] = 0
    text[1] = <uint8_t>length
    text[2] = <uint8_t>(6 + n)
    memcpy(text + 3, b"tls13 ", 6)
    memcpy(text + 9, label, n)
    text[9 + n] = 0
    text[10 + n] = 1
    hmac_sha256(secret, 32, text, 11 + n, digest)
    memcpy(out, digest, length)


cdef void _keys(
    int family, const uint8_t* id, int n, bint client, uint8_t* key, uint8_t* nonce, uint8_t* mask
) noexcept nogil:
    """Of Initial packets (RFC 9001, 5.2): key, nonce (12 bytes), key of the header's protection."""
    cdef uint8_t[32] secret
    cdef uint8_t[32] own
    cdef const uint8_t* salt = SALT_V1
    if family == DRAFT_23:
        salt = SALT_23
    elif family == DRAFT_29:
        salt = SALT_29
    elif family == V2:
        salt = SALT_V2
    hmac_sha256(salt, 20, id, n, secret)
    _expand(secret, b"client in" if client else b"server in", 32, own)
    if family == V2:
        _expand(own, b"quicv2 key", 16, key)
        _expand(own, b"quicv2 iv", 12, nonce)
        _expand(own, b"quicv2 hp", 16, mask)
    else:
        _expand(own, b"quic key", 16, key)
        _expand(own, b"quic iv", 12, nonce)
        _expand(own, b"quic hp", 16, mask)
