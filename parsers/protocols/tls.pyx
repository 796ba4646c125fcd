"""SSL 2.0 and 3.0, TLS 1.0 to 1.3 (RFC 8446), DTLS 1.0 to 1.3 (RFC 6347, RFC 9147): the records.

    TLS     type (1), version (2), length (2), content
    DTLS    type (1), version (2), epoch (2), number (6), length (2), content
    SSL 2   0x80 | length (2), message type (1), ...

A handshake message may be cut into any number of records, and a record may hold several messages;
in DTLS a message says of itself which part of it a record holds. What a message says is
tls_session.pyx's. Once both sides encrypt there is nothing more to be read, and the talk is given up.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from tracelake.native.account cimport Account
from tracelake.native.cursor cimport be16, be32
from tracelake.parsers.conn cimport ORIG, RESP, Place
from tracelake.parsers.protocols.protocol cimport (
    MORE, NO, YES, Guess, Protocol, Talk, confirm, give_up, place,
)
from tracelake.parsers.protocols.sheet cimport Sheets
from tracelake.parsers.protocols.tls_session cimport (
    CLIENT_HELLO, MESSAGE_LIMIT, SERVER_HELLO, Session, TlsRows, is_classic, start_session,
)
from tracelake.parsers.services import service

cdef enum:
    HEADER = 5
    DTLS_HEADER = 13
    MESSAGE_HEADER = 4
    DTLS_MESSAGE_HEADER = 12
    DTLS_MESSAGE_LIMIT = 100000     # Zeek's; no DTLS message comes near

cdef enum Content:
    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23
    HEARTBEAT = 24

cdef enum:                      # message types of SSL 2.0
    V2_ERROR = 0
    V2_CLIENT_HELLO = 1
    V2_CLIENT_MASTER_KEY = 2
    V2_SERVER_HELLO = 4

cdef enum:
    SSL20 = 0x0002
    SSL30 = 0x0300
    TLS12 = 0x0303
    UDP = 17

# Bytes of messages in pieces, of all talks.
cdef int64_t HELD_LIMIT = 32 << 20

cdef int SSL = service("ssl")
cdef int DTLS = service("dtls")

PORTS = (443, 563, 585, 614, 636, 989, 990, 992, 993, 995, 5223, 853, 8443)


# A handshake message that is not all there yet.
cdef struct Pieces:
    uint8_t* p
    int64_t count               # bytes in order; DTLS: that are there
    int64_t room
    Place place                 # of its first byte
    # DTLS:
    int32_t number
    int64_t length
    uint8_t* there              # a bit per byte, behind them
    bint told


cdef struct State:
    Session session
    bint datagrams
    int32_t version             # of records; 0: none yet, SSL20 once that is spoken
    bint encrypted[2]
    Pieces pieces[2]
    bint confirmed


cdef class Tls(Protocol):
    cdef TlsRows rows
    cdef readonly int64_t held      # bytes of messages in pieces

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "ssl"
        self.ports = PORTS
        self.longest = HEADER + 65535
        self.rows = TlsRows(sheets)

    # Whose it is.

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        cdef Guess one, other
        if t.flow.protocol == UDP:
            return _dtls_hello(orig, n) if n else _dtls_hello(resp, m)
        one = _tls_hello(orig, n, True) if n else MORE
        other = _tls_hello(resp, m, False) if m else MORE
        if one == YES or other == YES:
            return YES
        if _is_at_home(t):
            # On its own port a record of any kind is believed.
            if n >= HEADER and _is_record(orig):
                return YES
            if m >= HEADER and _is_record(resp):
                return YES
        if one == NO or other == NO:
            return NO
        return MORE

    cdef int begin(self, Talk* t) except -1 nogil:
        cdef State* s
        t.state = calloc(1, sizeof(State))
        if t.state is NULL:
            with gil:
                raise MemoryError("a TLS session")
        s = <State*>t.state
        start_session(&s.session)
        s.datagrams = t.flow.protocol == UDP
        return 0

    cdef int end(self, Talk* t) except -1 nogil:
        cdef State* s = <State*>t.state
        if s is NULL:
            return 0
        if self.rows.put(&s.session, t.flow) >= 0:
            self.rows.done()
        self.rows.forget(&s.session)
        self._forget(&s.pieces[ORIG])
        self._forget(&s.pieces[RESP])
        free(s)
        t.state = NULL
        return 0

    cdef int _forget(self, Pieces* each) except -1 nogil:
        self.held -= each.room
        free(each.p)
        memset(each, 0, sizeof(Pieces))
        return 0

    cdef int _confirm(self, Talk* t, State* s) except -1 nogil:
        if not s.confirmed:
            s.confirmed = True
            confirm(t, DTLS if s.datagrams else SSL)
        return 0

    # Records of a stream.

    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef State* s = <State*>t.state
        cdef int64_t at = 0, length
        cdef bint other
        if t.flow.partial:
            give_up(t)          # nobody knows where a record begins
            return n
        while n - at >= HEADER:
            if not self._fits(s, side, p + at):
                if s.version:
                    # It went wrong late: then, to Zeek, it never was TLS.
                    t.flow.services &= ~(<uint64_t>1 << SSL)
                give_up(t)
                return n
            if s.version == SSL20 or p[at] & 0x80:
                length = <int64_t>(p[at] & 0x7F) << 8 | p[at + 1]
                if length < 3:
                    give_up(t)
                    return n
                length += 2
                if n - at < length:
                    t.half[side].need = length
                    return at
                self._v2(t, s, side, p + at, length, at)
            else:
                length = HEADER + be16(p + at + 3)
                if p[at] == APPLICATION_DATA and not s.encrypted[side] and not is_classic(
                    s.session.negotiated
                ):
                    s.encrypted[side] = True    # TLS 1.3 says so in no other way
                if s.encrypted[side] and not s.encrypted[1 - side]:
                    # Nothing of it is looked at.
                    t.half[side].skip = length
                    return at
                if n - at < length:
                    t.half[side].need = length
                    return at
                if s.encrypted[side]:
                    self._established(t, s)
                else:
                    self._plain(t, s, side, p[at], p + at + HEADER, length - HEADER, at)
            if t.gone:
                return n
            at += length
        t.half[side].need = HEADER
        return at

    cdef bint _fits(self, State* s, int side, const uint8_t* p) noexcept nogil:
        """Whether a record begins here."""
        cdef int32_t version = be16(p + 1)
        if s.version == SSL20:
            return True
        if s.version == 0 and p[0] & 0x80:
            if p[2] == V2_CLIENT_HELLO and side == ORIG:
                version = be16(p + 3)
                return version == SSL20 or SSL30 <= version <= TLS12
            if p[2] == V2_SERVER_HELLO and p[4] < 2 and side == RESP:
                s.version = SSL20
                return True
            return False
        if version < SSL30 or version > TLS12:
            return False
        if s.version == 0:
            if p[0] < 20 or p[0] > 30:
                return False
            s.version = version
        return True

    cdef int _established(self, Talk* t, State* s) except -1 nogil:
        """Both sides encrypt: the handshake is over, as far as can be seen."""
        s.session.established = True
        give_up(t)
        return 0

    cdef int _plain(
        self, Talk* t, State* s, int side, int kind, const uint8_t* p, int64_t n, int64_t at
    ) except -1 nogil:
        """The content of a record in clear; `at`: of its header in what was offered."""
        cdef Place found
        cdef bint client = (side == ORIG) != s.session.flipped
        cdef int64_t i = 0
        if kind == HANDSHAKE:
            if not s.session.seen:
                found = self._place(t, side, at)
                self.rows.see(&s.session, &found)
            return self._handshake(t, s, side, p, n, at)
        found = self._place(t, side, at)
        self.rows.see(&s.session, &found)
        if kind == CHANGE_CIPHER_SPEC:
            if n:
                self.rows.cipher_changes(&s.session, t.flow, &found, client)
                # In TLS 1.3 it means nothing (RFC 8446, D.4).
                if s.session.negotiated == 0 or is_classic(s.session.negotiated):
                    s.encrypted[side] = True
        elif kind == ALERT:
            while n - i >= 2:
                self.rows.alert_came(&s.session, t.flow, &found, client, p[i + 1])
                i += 2
            if i < n:
                give_up(t)
        elif kind == HEARTBEAT:
            if n >= 3:
                self.rows.letter(&s.session, t.flow, &found, client, b"b")
        elif kind == APPLICATION_DATA:
            if s.session.version >= 0:
                self.rows.weird(t.flow, &found, b"ssl_early_application_data", NULL, 0)
        else:
            give_up(t)
        return 0

    cdef Place _place(self, Talk* t, int side, int64_t at) noexcept nogil:
        """The packet of a byte, with the time at which it could be read: as Zeek stamps it."""
        cdef Place found = place(t, side, at)
        found.time = t.time
        return found

    # Messages of a handshake.

    cdef int _handshake(
        self, Talk* t, State* s, int side, const uint8_t* p, int64_t n, int64_t at
    ) except -1 nogil:
        cdef Pieces* held = &s.pieces[side]
        cdef int64_t i = 0, length, lacking
        cdef Place found
        if held.count:
            while held.count < MESSAGE_HEADER and i < n:
                self._append(held, p + i, 1)
                i += 1
            if held.count < MESSAGE_HEADER:
                return 0
            length = MESSAGE_HEADER + (<int64_t>held.p[1] << 16 | be16(held.p + 2))
            if length > MESSAGE_LIMIT or self.held > HELD_LIMIT:
                give_up(t)
                return 0
            lacking = length - held.count
            if lacking > n - i:
                self._append(held, p + i, n - i)
                return 0
            self._append(held, p + i, lacking)
            i += lacking
            found = held.place
            found.time = t.time
            self._message(t, s, side, held.p, length, &found)
            if t.gone:
                return 0
            held.count = 0
            if held.room > 4096:
                self._forget(held)
        while i < n:
            if n - i >= MESSAGE_HEADER:
                length = MESSAGE_HEADER + (<int64_t>p[i + 1] << 16 | be16(p + i + 2))
                if length > MESSAGE_LIMIT:
                    give_up(t)
                    return 0
                if length <= n - i:
                    found = self._place(t, side, at)
                    self._message(t, s, side, p + i, length, &found)
                    if t.gone:
                        return 0
                    i += length
                    continue
            held.place = self._place(t, side, at)
            self._append(held, p + i, n - i)
            break
        return 0

    cdef int _append(self, Pieces* held, const uint8_t* p, int64_t n) except -1 nogil:
        cdef uint8_t* grown
        cdef int64_t room
        if held.count + n > held.room:
            room = held.room * 2
            if room < held.count + n:
                room = held.count + n
            if room < 512:
                room = 512
            grown = <uint8_t*>realloc(held.p, room)
            if grown is NULL:
                with gil:
                    raise MemoryError(f"a handshake message of {room} bytes")
            self.held += room - held.room
            held.p = grown
            held.room = room
        memcpy(held.p + held.count, p, n)
        held.count += n
        return 0

    cdef int _message(
        self, Talk* t, State* s, int side, const uint8_t* p, int64_t n, const Place* found
    ) except -1 nogil:
        """A whole message with its header of four bytes."""
        if not self.rows.message(
            &s.session, t.flow, found, side == ORIG, p[0], p + MESSAGE_HEADER, n - MESSAGE_HEADER,
            b"d" if s.datagrams else b"t",
        ):
            give_up(t)
            return 0
        if p[0] == CLIENT_HELLO:
            self._confirm(t, s)
        return 0

    # SSL 2.0.

    cdef int _v2(
        self, Talk* t, State* s, int side, const uint8_t* p, int64_t n, int64_t at
    ) except -1 nogil:
        """A record with its header of two bytes."""
        cdef Place found = self._place(t, side, at)
        cdef int64_t certificate, ciphers
        if s.encrypted[ORIG] and s.encrypted[RESP]:
            return self._established(t, s)
        if p[2] == V2_ERROR and n >= 5:
            self.rows.alert_came(&s.session, t.flow, &found, side == ORIG, be16(p + 3))
        elif p[2] == V2_CLIENT_HELLO and n >= 11:
            self.rows.see(&s.session, &found)
            self._confirm(t, s)
        elif p[2] == V2_SERVER_HELLO and n >= 13 and be16(p + 5) == SSL20:
            self.rows.see(&s.session, &found)
            s.session.version = s.session.negotiated = SSL20
            certificate = be16(p + 7)
            ciphers = be16(p + 9)
            if 13 + certificate + ciphers > n:
                give_up(t)
                return 0
            if ciphers >= 3:
                s.session.cipher = (
                    <int32_t>p[13 + certificate] << 16 | be16(p + 14 + certificate)
                )
            if certificate:
                self.rows.add_certificate(
                    &s.session, t.flow, &found, False, p + 13, certificate, 0
                )
        elif p[2] == V2_CLIENT_MASTER_KEY and s.version == SSL20:
            s.encrypted[ORIG] = s.encrypted[RESP] = True
            self._established(t, s)
        else:
            give_up(t)
        return 0

    # DTLS.

    cdef int datagram(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef State* s = <State*>t.state
        cdef int64_t at = 0, length
        cdef int32_t version
        while n - at >= DTLS_HEADER:
            if p[at] & 0xE0 == 0x20:
                # RFC 9147, 4: the short header of what is encrypted.
                s.encrypted[side] = True
                if s.encrypted[1 - side]:
                    self._established(t, s)
                return 0
            version = be16(p + at + 1)
            length = be16(p + at + 11)
            if version != 0xFEFF and version != 0xFEFD:
                if not s.session.seen or at == 0:
                    return 0        # something else on the same flow: STUN, SRTP
                give_up(t)
                return 0
            if length > n - at - DTLS_HEADER:
                return 0
            if be16(p + at + 3):
                # An epoch after the first: encrypted.
                if s.encrypted[ORIG] and s.encrypted[RESP]:
                    self._established(t, s)
                    return 0
            elif p[at] == HANDSHAKE:
                self._fragments(t, s, side, p + at + DTLS_HEADER, length)
            else:
                self._plain(t, s, side, p[at], p + at + DTLS_HEADER, length, 0)
            if t.gone:
                return 0
            at += DTLS_HEADER + length
        return 0

    cdef int _fragments(
        self, Talk* t, State* s, int side, const uint8_t* p, int64_t n
    ) except -1 nogil:
        """A handshake message or a part of it (RFC 6347, 4.2.2)."""
        cdef Pieces* held = &s.pieces[side]
        cdef int64_t length, begin, count, i
        cdef Place found
        if n < DTLS_MESSAGE_HEADER:
            give_up(t)
            return 0
        length = <int64_t>p[1] << 16 | be16(p + 2)
        begin = <int64_t>p[6] << 16 | be16(p + 7)
        count = <int64_t>p[9] << 16 | be16(p + 10)
        if count > n - DTLS_MESSAGE_HEADER or begin + count > length:
            give_up(t)
            return 0
        found = self._place(t, side, 0)
        self.rows.see(&s.session, &found)
        if begin == 0 and count == length:
            return self._told(t, s, side, p[0], p + DTLS_MESSAGE_HEADER, length, &found)
        if length > DTLS_MESSAGE_LIMIT:
            give_up(t)
            return 0
        if held.p is NULL or held.number != be16(p + 4) or held.length != length:
            self._forget(held)
            if self.held > HELD_LIMIT:
                give_up(t)
                return 0
            held.room = length + (length + 7) // 8
            held.p = <uint8_t*>calloc(held.room, 1)
            if held.p is NULL:
                held.room = 0
                with gil:
                    raise MemoryError(f"a DTLS message of {length} bytes")
            self.held += held.room
            held.there = held.p + length
            held.number = be16(p + 4)
            held.length = length
            held.place = found
        memcpy(held.p + begin, p + DTLS_MESSAGE_HEADER, count)
        for i in range(begin, begin + count):
            if not held.there[i >> 3] >> (i & 7) & 1:
                held.there[i >> 3] |= <uint8_t>(1 << (i & 7))
                held.count += 1
        if held.count == length and not held.told:
            held.told = True
            found = held.place
            found.time = t.time
            return self._told(t, s, side, p[0], held.p, length, &found)
        return 0

    cdef int _told(
        self, Talk* t, State* s, int side, int kind, const uint8_t* p, int64_t n,
        const Place* found,
    ) except -1 nogil:
        if not self.rows.message(
            &s.session, t.flow, found, side == ORIG, kind, p, n, b"d"
        ):
            give_up(t)
            return 0
        if kind == CLIENT_HELLO:
            self._confirm(t, s)
        return 0


cdef bint _is_record(const uint8_t* p) noexcept nogil:
    """The header of a record."""
    return 20 <= p[0] <= 24 and p[1] == 3 and p[2] <= 3


cdef bint _is_at_home(const Talk* t) noexcept nogil:
    cdef int port = t.flow.port[RESP]
    return port == 443 or port == 563 or port == 585 or port == 614 or port == 636 or (
        port == 989 or port == 990 or port == 992 or port == 993 or port == 995 or port == 5223
    )


cdef Guess _tls_hello(const uint8_t* p, int64_t n, bint orig) noexcept nogil:
    """The first bytes of a side: a ClientHello or a ServerHello."""
    cdef int64_t length
    if n == 0:
        return MORE
    if p[0] & 0x80 and orig:
        # SSL 2.0's: the lengths in it make its own.
        if n < 11:
            return MORE if n < 3 or p[2] == V2_CLIENT_HELLO else NO
        if p[2] != V2_CLIENT_HELLO or not (
            be16(p + 3) == SSL20 or SSL30 <= be16(p + 3) <= TLS12
        ):
            return NO
        length = <int64_t>(p[0] & 0x7F) << 8 | p[1]
        return YES if 9 + be16(p + 5) + be16(p + 7) + be16(p + 9) == length and (
            be16(p + 5) % 3 == 0
        ) else NO
    if p[0] != HANDSHAKE and p[0] != ALERT:
        return NO
    if n < 3:
        return MORE if n == 1 or p[1] == 3 else NO
    if p[1] != 3 or p[2] > 3:
        return NO
    if p[0] == ALERT:
        # An alert may stand before the ServerHello.
        if n < 7:
            return MORE
        return NO if orig or be16(p + 3) != 2 else _tls_hello(p + 7, n - 7, orig)
    if n < 11:
        return MORE if n < 6 or p[5] == CLIENT_HELLO or p[5] == SERVER_HELLO else NO
    if p[5] == CLIENT_HELLO:
        return YES if p[9] == 3 and p[10] <= 3 else NO
    if p[5] == SERVER_HELLO:
        return YES if (p[9] == 3 and p[10] <= 4) or (p[9] == 0x7F and p[10] <= 0x50) else NO
    return NO


cdef Guess _dtls_hello(const uint8_t* p, int64_t n) noexcept nogil:
    """A ClientHello in the first datagram of a flow; after STUN (RFC 5764) it is waited for."""
    if n >= 20 and p[0] < 2 and be32(p + 4) == 0x2112A442:
        return MORE
    if n < DTLS_HEADER + DTLS_MESSAGE_HEADER + 2 or p[0] != HANDSHAKE:
        return NO
    if p[1] != 0xFE or (p[2] != 0xFF and p[2] != 0xFD) or be16(p + 3):
        return NO
    if p[13] != CLIENT_HELLO and p[13] != SERVER_HELLO and p[13] != 3:
        return NO
    return YES if p[25] == 0xFE and (p[26] == 0xFF or p[26] == 0xFD) else NO
