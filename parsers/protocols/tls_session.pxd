"""What a TLS handshake says, whatever carried it (TCP, DTLS, QUIC), and its row of tls_activity.

The rules of what a row says are those of Zeek's ssl.log.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t

from tracelake.native.columns cimport (
    BoolColumn, DictColumn, IntColumn, ListColumn, TextColumn,
)
from tracelake.parsers.conn cimport Flow, Place
from tracelake.parsers.protocols.certificates cimport Certificates
from tracelake.parsers.protocols.files cimport Files
from tracelake.parsers.protocols.sheet cimport Sheet, Sheets
from tracelake.parsers.protocols.tls_hello cimport Fingerprints, Hello
from tracelake.parsers.protocols.tls_names cimport NumberNames

cdef enum:
    HISTORY_LIMIT = 100         # Zeek's max_ssl_history_length
    CHAIN_LIMIT = 64            # certificates of a message that are read
    MESSAGE_LIMIT = 1 << 20     # bytes of a handshake message

cdef enum Message:              # HandshakeType
    HELLO_REQUEST = 0
    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    HELLO_VERIFY_REQUEST = 3
    NEW_SESSION_TICKET = 4
    HELLO_RETRY_REQUEST = 6
    CERTIFICATE = 11
    SERVER_KEY_EXCHANGE = 12
    CLIENT_KEY_EXCHANGE = 16
    CERTIFICATE_STATUS = 22


cdef struct Session:
    bint seen                   # there is something to be logged
    Place place                 # of the first message
    bint flipped                # the client is the responder
    bint established, resumed, hrr, has_ticket, key_exchanged, has_psk
    int32_t version             # that the server chose; -1
    int32_t negotiated          # the same, as the record layer knows it; 0
    int32_t cipher              # -1
    int32_t group               # -1
    int32_t alert               # -1
    bint has_session
    uint8_t session[32]         # padded with zeros
    uint8_t letters
    uint8_t history[HISTORY_LIMIT]
    uint8_t* name               # server_name; NULL
    int32_t name_length
    uint8_t* protocol           # that the server chose; NULL
    int32_t protocol_length
    uint8_t* preferred          # the first of the client's ALPN; NULL
    int32_t preferred_length
    uint8_t ja3[16]             # the digests
    uint8_t ja3s[16]
    uint8_t ja4[36]
    bint has_ja3, has_ja3s
    bint has_chain              # a certificate of either side was seen
    uint8_t* chain[2]           # digests, of the client's (0) and of the server's (1)
    int32_t chain_count[2]


cdef class TlsRows:
    cdef Sheets sheets
    cdef Sheet sheet
    cdef Certificates certificates
    cdef Files files
    cdef Fingerprints fingerprints
    cdef NumberNames ciphers, groups, alerts
    cdef uint8_t* text
    cdef readonly int64_t held      # bytes of names that sessions keep
    cdef DictColumn sni, version, cipher, curve, alpn, history, alert, ja4
    cdef TextColumn ja3, ja3s, serial, digest
    cdef BoolColumn established, resumed, matches, self_signed
    cdef ListColumn chain, client_chain, sans
    cdef DictColumn subject, issuer, client_subject, client_issuer
    cdef IntColumn not_before, not_after

    # Something was said that makes a row.
    cdef int see(self, Session* s, const Place* place) except -1 nogil
    # A whole handshake message without its header. client: by the side that `is_client` says.
    # False where it breaks the rules, and nothing more can be read.
    cdef bint message(
        self, Session* s, Flow* f, const Place* place, bint orig, int kind, const uint8_t* p,
        int64_t n, uint8_t transport
    ) except -1 nogil
    cdef int letter(
        self, Session* s, Flow* f, const Place* place, bint client, uint8_t letter
    ) except -1 nogil
    cdef int alert_came(
        self, Session* s, Flow* f, const Place* place, bint client, int number
    ) except -1 nogil
    cdef int cipher_changes(
        self, Session* s, Flow* f, const Place* place, bint client
    ) except -1 nogil
    # Begins the row of a session, puts what is known of it and returns its number, or -2 where there
    # is nothing to be said. `done` ends it.
    cdef Py_ssize_t put(self, Session* s, Flow* f) except -1 nogil
    cdef int done(self) except -1 nogil

    cdef int client_hello(self, Session* s, Flow* f, const Place* place, const Hello* h,
                          uint8_t transport) except -1 nogil
    cdef int server_hello(self, Session* s, Flow* f, const Place* place, const Hello* h) except -1 nogil
    cdef int certificate(
        self, Session* s, Flow* f, const Place* place, bint client, const uint8_t* p, int64_t n
    ) except -1 nogil
    cdef int add_certificate(
        self, Session* s, Flow* f, const Place* place, bint client, const uint8_t* p, int64_t n,
        int position
    ) except -1 nogil
    cdef int weird(
        self, Flow* f, const Place* place, const char* name, const uint8_t* p, Py_ssize_t n
    ) except -1 nogil
    # Frees what it holds.
    cdef void forget(self, Session* s) noexcept nogil
    cdef int _keep(
        self, uint8_t** to, int32_t* length, const uint8_t* p, int64_t n
    ) except -1 nogil
    cdef int _put_certificates(self, Session* s, Py_ssize_t row) except -1 nogil


cdef void start_session(Session* s) noexcept nogil

# SSL, TLS or DTLS below 1.3: everything after ChangeCipherSpec is encrypted.
cdef inline bint is_classic(int32_t version) noexcept nogil:
    return (
        version == 2 or 0x0300 <= version <= 0x0303 or version == 0xFEFF or version == 0xFEFD
    )

cdef bint version_ok(int32_t version) noexcept nogil
