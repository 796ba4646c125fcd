"""TLS handshakes and their rows (see tls_session.pxd)."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from tracelake.native.columns cimport Rows
from tracelake.native.cursor cimport be16
from tracelake.native.text cimport put_hex_bytes, put_uint
from tracelake.parsers.conn cimport RESP
from tracelake.parsers.protocols.certificates cimport Entry, certificates_of
from tracelake.parsers.protocols.files cimport File, files_of
from tracelake.parsers.protocols.tls_hello cimport (
    read_client_hello, read_retry, read_server_hello,
)
from tracelake.parsers.protocols.tls_names cimport alerts, ciphers, groups, put_version
from tracelake.parsers.protocols.x509 cimport (
    NAME_DNS, NAME_ROOM, is_for, is_self_issued, put_name, put_serial,
)

cdef enum:
    OPEN = 1                    # activities of network_activity (OCSF 4001)
    TRAFFIC = 6
    NAMED_CURVE = 3
    OCSP = 1                    # CertificateStatusType
    NAME_LIMIT = 4096           # bytes of a server's name
    SHORT_LIMIT = 64
    TRUNCATED = 1               # parse_flags

cdef int64_t HELD_LIMIT = 32 << 20

# ServerHello.random of a HelloRetryRequest: SHA-256 of that word (RFC 8446, 4.1.3).
cdef const uint8_t* RETRY = (
    b"\xCF\x21\xAD\x74\xE5\x9A\x61\x11\xBE\x1D\x8C\x02\x1E\x65\xB8\x91"
    b"\xC2\xA2\x11\x16\x7A\xBB\x8C\x5E\x07\x9E\x09\xE2\xC8\xA8\x33\x9C"
)

# Letters of handshake messages by their type.
cdef const char* LETTERS = "hcsvtejz"       # 0 to 6


cdef uint8_t _letter(int kind) noexcept nogil:
    if kind == 8:
        return b"o"
    if kind < 7:
        return <uint8_t>LETTERS[kind]
    if kind == 11:
        return b"x"
    if kind == 12:
        return b"k"
    if kind == 13:
        return b"r"
    if kind == 14:
        return b"n"
    if kind == 15:
        return b"y"
    if kind == 16:
        return b"g"
    if kind == 20:
        return b"f"
    if kind == 21:
        return b"w"
    if kind == 22:
        return b"u"
    if kind == 23:
        return b"a"
    if kind == 24:
        return b"p"
    if kind == 254:
        return b"m"
    return b"z"


cdef bint version_ok(int32_t version) noexcept nogil:
    if is_classic(version) or version == 0x0304 or version == 0xFEFC:
        return True
    # Drafts of TLS 1.3, and the experiments of Google (0x7E) and Facebook (0xFB).
    return version >> 8 == 0x7F or version >> 8 == 0x7E or version >> 8 == 0xFB


cdef void start_session(Session* s) noexcept nogil:
    memset(s, 0, sizeof(Session))
    s.version = s.cipher = s.group = s.alert = -1


cdef class TlsRows:
    """Handshakes of one carrier.

    Args:
        sheets: the capture's tables.
        analyzer: how Zeek names who notices breaches.
    """

    def __cinit__(self, Sheets sheets):
        cdef Rows rows
        self.sheets = sheets
        self.sheet = sheets.sheet("tls_activity")
        self.certificates = certificates_of(sheets)
        self.files = files_of(sheets)
        self.fingerprints = Fingerprints()
        self.ciphers = ciphers
        self.groups = groups
        self.alerts = alerts
        self.text = <uint8_t*>malloc(NAME_ROOM)
        if self.text is NULL:
            raise MemoryError()
        rows = self.sheet.rows
        self.sni = rows.column("sni")
        self.version = rows.column("tls_version")
        self.cipher = rows.column("cipher")
        self.curve = rows.column("curve")
        self.alpn = rows.column("alpn")
        self.history = rows.column("tls_history")
        self.alert = rows.column("last_alert")
        self.ja3 = rows.column("ja3")
        self.ja3s = rows.column("ja3s")
        self.ja4 = rows.column("ja4")
        self.established = rows.column("established")
        self.resumed = rows.column("resumed")
        self.matches = rows.column("sni_matches")
        self.chain = rows.column("cert_chain")
        self.client_chain = rows.column("client_cert_chain")
        self.subject = rows.column("cert_subject")
        self.issuer = rows.column("cert_issuer")
        self.client_subject = rows.column("client_cert_subject")
        self.client_issuer = rows.column("client_cert_issuer")
        self.serial = rows.column("cert_serial")
        self.digest = rows.column("cert_sha256")
        self.self_signed = rows.column("cert_self_signed")
        self.not_before = rows.column("cert_not_before")
        self.not_after = rows.column("cert_not_after")
        self.sans = rows.column("cert_sans")

    def __dealloc__(self):
        free(self.text)

    cdef void forget(self, Session* s) noexcept nogil:
        self.held -= s.name_length + s.protocol_length + s.preferred_length
        free(s.name)
        free(s.protocol)
        free(s.preferred)
        free(s.chain[0])
        free(s.chain[1])
        start_session(s)

    cdef int _keep(
        self, uint8_t** to, int32_t* length, const uint8_t* p, int64_t n
    ) except -1 nogil:
        """A copy of a text; only its beginning, where all sessions hold too much."""
        cdef int64_t most = NAME_LIMIT if self.held < HELD_LIMIT else SHORT_LIMIT
        cdef uint8_t* grown
        if n > most:
            n = most
        grown = <uint8_t*>realloc(to[0], n if n else 1)
        if grown is NULL:
            with gil:
                raise MemoryError("a name")
        memcpy(grown, p, n)
        to[0] = grown
        self.held += n - length[0]
        length[0] = <int32_t>n
        return 0

    cdef int weird(
        self, Flow* f, const Place* place, const char* name, const uint8_t* p, Py_ssize_t n
    ) except -1 nogil:
        return self.sheets.note(f, place, name, b"SSL", p, n)

    cdef int see(self, Session* s, const Place* place) except -1 nogil:
        if not s.seen:
            s.seen = True
            s.place = place[0]
        return 0

    cdef int letter(
        self, Session* s, Flow* f, const Place* place, bint client, uint8_t letter
    ) except -1 nogil:
        cdef uint8_t[4] text
        self.see(s, place)
        if s.letters == HISTORY_LIMIT:
            return 0
        s.history[s.letters] = letter & 0xDF if client else letter
        s.letters += 1
        if s.letters == HISTORY_LIMIT:
            self.weird(f, place, b"SSL_max_ssl_history_length_reached", text,
                       put_uint(text, HISTORY_LIMIT))
        return 0

    cdef int alert_came(
        self, Session* s, Flow* f, const Place* place, bint client, int number
    ) except -1 nogil:
        s.alert = number
        return self.letter(s, f, place, client, b"l")

    cdef int cipher_changes(
        self, Session* s, Flow* f, const Place* place, bint client
    ) except -1 nogil:
        self.letter(s, f, place, client, b"i")
        if client and s.has_ticket and not s.key_exchanged:
            s.resumed = True
        return 0

    # Messages.

    cdef bint message(
        self, Session* s, Flow* f, const Place* place, bint orig, int kind, const uint8_t* p,
        int64_t n, uint8_t transport
    ) except -1 nogil:
        cdef Hello h
        cdef bint client
        cdef int name
        cdef File* file
        if kind == CLIENT_HELLO or kind == SERVER_HELLO or kind == HELLO_REQUEST:
            # These tell which side is the client.
            if (kind == CLIENT_HELLO) != (orig != s.flipped) and not s.flipped:
                s.flipped = True
                self.see(s, place)
                if s.letters < HISTORY_LIMIT:
                    s.history[s.letters] = b"^"
                    s.letters += 1
        client = orig != s.flipped
        if kind == CLIENT_HELLO:
            if not read_client_hello(p, n, &h) or not version_ok(h.version):
                return False
            self.client_hello(s, f, place, &h, transport)
        elif kind == SERVER_HELLO:
            if not read_server_hello(p, n, &h) or not version_ok(h.version):
                return False
            self.server_hello(s, f, place, &h)
        elif kind == HELLO_RETRY_REQUEST:
            if not read_retry(p, n, &h):
                return False
            if s.version < 0 and h.chosen >= 0:
                s.version = h.chosen
            s.negotiated = h.version
            if h.group >= 0:
                s.group = h.group
        elif kind == CERTIFICATE:
            self.certificate(s, f, place, client, p, n)
        elif kind == SERVER_KEY_EXCHANGE:
            name = self.ciphers.find(<uint32_t>s.cipher) if s.cipher >= 0 else -1
            if name >= 0 and n >= 3 and p[0] == NAMED_CURVE and _is_ephemeral(
                self.ciphers.names[name]
            ):
                s.group = be16(p + 1)
        elif kind == CLIENT_KEY_EXCHANGE:
            if client:
                s.key_exchanged = True
        elif kind == CERTIFICATE_STATUS and n >= 4:
            # RFC 6066, 8: type, length (3), the OCSP response.
            if n == 4:
                self.weird(f, place, b"SSL_zero_length_stapled_OCSP_message", NULL, 0)
            elif p[0] == OCSP:
                file = self.files.open(f, RESP, place, b"SSL", place.time)
                self.files.data(file, p + 4, n - 4, place.time)
                self.files.close(file)
        if kind == SERVER_HELLO and s.hrr:
            s.hrr = False
            self.letter(s, f, place, client, b"j")
        else:
            self.letter(s, f, place, client, _letter(kind))
        return True

    cdef int client_hello(
        self, Session* s, Flow* f, const Place* place, const Hello* h, uint8_t transport
    ) except -1 nogil:
        cdef uint8_t[16] text
        cdef uint8_t[32] session
        self.see(s, place)
        if h.strange_names:
            self.weird(f, place, b"ssl_ext_unknown_server_name_type", text,
                       put_uint(text, <uint64_t>h.strange_type))
        if h.name_count:
            self._keep(&s.name, &s.name_length, h.name.p, h.name.n)
            if h.name_count > 1:
                self.weird(f, place, b"SSL_many_server_names", h.name.p, h.name.n)
        if h.has_ticket:
            s.has_ticket = True
        if h.has_psk:
            s.has_psk = True
        memset(session, 0, 32)
        if 0 < h.session.n <= 32:
            memcpy(session, h.session.p, h.session.n)
        if not _is_zero(session, 32):
            s.has_session = True
            memcpy(s.session, session, 32)
            s.has_ticket = False
        if not s.has_ja3:
            s.has_ja3 = True
            self.fingerprints.ja3(h, s.ja3)
            self.fingerprints.ja4(h, transport, s.ja4)
            if h.protocol.p is not NULL:
                self._keep(&s.preferred, &s.preferred_length, h.protocol.p, h.protocol.n)
        return 0

    cdef int server_hello(
        self, Session* s, Flow* f, const Place* place, const Hello* h
    ) except -1 nogil:
        cdef uint8_t[32] session
        self.see(s, place)
        # What the extension says goes before what the message says.
        if h.chosen >= 0:
            s.version = h.chosen
        elif s.version < 0:
            s.version = h.version
        s.negotiated = h.chosen if h.chosen >= 0 else h.version
        s.cipher = be16(h.ciphers.p)
        if h.group >= 0:
            s.group = h.group
        if h.protocol.p is not NULL:
            self._keep(&s.protocol, &s.protocol_length, h.protocol.p, h.protocol.n)
        if h.has_psk and s.has_psk:
            s.resumed = True
        if memcmp(h.random, RETRY, 32) == 0:
            s.hrr = True
        memset(session, 0, 32)
        if h.session.n <= 32 and h.session.n:
            memcpy(session, h.session.p, h.session.n)
        # In TLS 1.3 the server repeats the session in any case.
        if s.has_session and memcmp(session, s.session, 32) == 0:
            if s.version != 0x0304 and s.version != 0xFEFC and s.version // 0xFF != 0x7F:
                s.resumed = True
        if not s.has_ja3s:
            s.has_ja3s = True
            self.fingerprints.ja3s(h, s.ja3s)
        return 0

    cdef int certificate(
        self, Session* s, Flow* f, const Place* place, bint client, const uint8_t* p, int64_t n
    ) except -1 nogil:
        """A list of certificates behind its length, each behind its own: three bytes."""
        cdef int64_t at = 3, length
        cdef int position = 0
        while n - at >= 3 and position < CHAIN_LIMIT:
            length = <int64_t>p[at] << 16 | be16(p + at + 1)
            at += 3
            if length > n - at:
                break
            self.add_certificate(s, f, place, client, p + at, length, position)
            at += length
            position += 1
        return 0

    cdef int add_certificate(
        self, Session* s, Flow* f, const Place* place, bint client, const uint8_t* p, int64_t n,
        int position
    ) except -1 nogil:
        cdef Entry* e = self.certificates.met(f, place, p, <int32_t>n, position, client)
        cdef int side = 0 if client else 1
        cdef uint8_t* grown
        s.has_chain = True
        if not e.cert.whole:
            self.weird(f, place, b"x509_cert_parse_error", NULL, 0)
        if s.chain_count[side] >= CHAIN_LIMIT:
            return 0
        grown = <uint8_t*>realloc(s.chain[side], (s.chain_count[side] + 1) * 32)
        if grown is NULL:
            with gil:
                raise MemoryError("a chain of certificates")
        s.chain[side] = grown
        memcpy(grown + s.chain_count[side] * 32, e.sha256, 32)
        s.chain_count[side] += 1
        return 0

    # The row.

    cdef Py_ssize_t put(self, Session* s, Flow* f) except -1 nogil:
        cdef Py_ssize_t row, i
        cdef uint8_t[64] text
        cdef int k, n
        if not s.seen:
            return -2
        row = self.sheet.begin(f, &s.place, OPEN if s.established else TRAFFIC)
        if s.name is not NULL:
            self.sni.put(row, s.name, s.name_length)
        if s.version >= 0:
            self.version.put_valid(row, text, put_version(text, <uint32_t>s.version))
        if s.cipher >= 0:
            self.ciphers.put(self.cipher, row, <uint32_t>s.cipher)
        if s.group >= 0:
            self.groups.put(self.curve, row, <uint32_t>s.group)
        if s.protocol is not NULL:
            self.alpn.put(row, s.protocol, s.protocol_length)
        self.history.put_valid(row, s.history, s.letters)
        if s.alert >= 0:
            self.alerts.put(self.alert, row, <uint32_t>s.alert)
        self.established.put(row, s.established)
        self.resumed.put(row, s.resumed)
        if s.has_ja3:
            put_hex_bytes(text, s.ja3, 16)
            self.ja3.put_valid(row, text, 32)
            self.ja4.put(row, s.ja4, 36)
        if s.has_ja3s:
            put_hex_bytes(text, s.ja3s, 16)
            self.ja3s.put_valid(row, text, 32)
        for k in range(2):
            if not s.has_chain:
                break
            if k == 0:
                i = self.client_chain.open(row)
            else:
                i = self.chain.open(row)
            for n in range(s.chain_count[k]):
                put_hex_bytes(text, s.chain[k] + n * 32, 32)
                if k == 0:
                    (<TextColumn>self.client_chain.items).put_valid(i, text, 64)
                else:
                    (<TextColumn>self.chain.items).put_valid(i, text, 64)
                i += 1
            if k == 0:
                self.client_chain.close(i)
            else:
                self.chain.close(i)
        self._put_certificates(s, row)
        return row

    cdef int _put_certificates(self, Session* s, Py_ssize_t row) except -1 nogil:
        """What either side's own certificate says; nothing, where it had to be forgotten since."""
        cdef Entry* e
        cdef bint cut = False
        if s.chain_count[1]:
            put_hex_bytes(self.text, s.chain[1], 32)
            self.digest.put_valid(row, self.text, 64)
            e = self.certificates.find(s.chain[1])
            if e is not NULL:
                if e.cert.subject.at >= 0:
                    self.subject.put_valid(
                        row, self.text, put_name(self.text, e.der, e.cert.subject, &cut)
                    )
                if e.cert.issuer.at >= 0:
                    self.issuer.put_valid(
                        row, self.text, put_name(self.text, e.der, e.cert.issuer, &cut)
                    )
                    self.self_signed.put(row, is_self_issued(e.der, &e.cert))
                if e.cert.serial.at >= 0:
                    self.serial.put_valid(
                        row, self.text, put_serial(self.text, e.der, e.cert.serial)
                    )
                if e.cert.has_not_before:
                    self.not_before.put(row, e.cert.not_before)
                if e.cert.has_not_after:
                    self.not_after.put(row, e.cert.not_after)
                self.certificates.put_names(self.sans, row, e, NAME_DNS)
                if s.name is not NULL and e.cert.whole:
                    self.matches.put(row, is_for(e.der, &e.cert, s.name, s.name_length))
        if s.chain_count[0]:
            e = self.certificates.find(s.chain[0])
            if e is not NULL and e.cert.subject.at >= 0:
                self.client_subject.put_valid(
                    row, self.text, put_name(self.text, e.der, e.cert.subject, &cut)
                )
                self.client_issuer.put_valid(
                    row, self.text, put_name(self.text, e.der, e.cert.issuer, &cut)
                )
        if cut:
            self.sheet.flags(TRUNCATED)
        return 0

    cdef int done(self) except -1 nogil:
        return self.sheet.done()


cdef bint _is_zero(const uint8_t* p, int n) noexcept nogil:
    cdef int i
    for i in range(n):
        if p[i]:
            return False
    return True


cdef bint _is_ephemeral(const char* cipher) noexcept nogil:
    """Suites whose ServerKeyExchange names a curve (RFC 8422): TLS_ECDHE_..., TLS_ECDH_ANON_..."""
    return memcmp(cipher, b"TLS_ECDHE_", 10) == 0 or memcmp(cipher, b"TLS_ECDH_ANON_", 14) == 0

