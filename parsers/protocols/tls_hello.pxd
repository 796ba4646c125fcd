"""ClientHello and ServerHello (RFC 8446, 4.1; RFC 5246, 7.4.1; RFC 6347, 4.2.1), and what the hello
tells of who said it: JA3 and JA3S (github.com/salesforce/ja3), JA4 (github.com/FoxIO-LLC/ja4, the
TLS client's only: it is under the BSD licence, JA4S and the others are not)."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t


cdef enum:
    JA4_LENGTH = 36

cdef enum Extension:
    SERVER_NAME = 0
    SUPPORTED_GROUPS = 10
    POINT_FORMATS = 11
    SIGNATURE_ALGORITHMS = 13
    ALPN = 16
    SESSION_TICKET = 35
    KEY_SHARE_OLD = 40
    PRE_SHARED_KEY = 41
    SUPPORTED_VERSIONS = 43
    KEY_SHARE = 51
    QUIC_PARAMETERS = 57


# Parts of the message, which is the caller's.
cdef struct Bytes:
    const uint8_t* p        # NULL where it is not there
    int64_t n


cdef struct Hello:
    bint client
    uint16_t version                # as the message says; `chosen` may say otherwise
    const uint8_t* random           # 32 bytes
    Bytes session
    Bytes ciphers                   # two bytes each; a server's has one
    Bytes extensions                # the list without its length
    int32_t extension_count
    # Contents of extensions:
    Bytes name                      # first host_name
    int32_t name_count
    int32_t strange_names           # of another type; the type of the last one:
    int32_t strange_type
    Bytes protocols                 # ALPN: list of names with their lengths
    Bytes protocol                  # the first
    Bytes groups
    Bytes formats
    Bytes signatures
    Bytes versions                  # of a client
    int32_t chosen                  # version that the server chose; -1
    int32_t group                   # that the server chose; -1
    bint has_name, has_ticket, has_psk


# False where the message is not one.
cdef bint read_client_hello(const uint8_t* p, int64_t n, Hello* out) noexcept nogil
cdef bint read_server_hello(const uint8_t* p, int64_t n, Hello* out) noexcept nogil
cdef bint read_retry(const uint8_t* p, int64_t n, Hello* out) noexcept nogil

cdef inline bint is_grease(uint32_t x) noexcept nogil:
    """RFC 8701."""
    return x & 0x0F0F == 0x0A0A and x >> 8 == x & 0xFF


cdef class Fingerprints:
    cdef uint8_t* text
    cdef uint16_t* numbers

    # The digest: 16 bytes to `out`.
    cdef void ja3(self, const Hello* h, uint8_t* out) noexcept nogil
    cdef void ja3s(self, const Hello* h, uint8_t* out) noexcept nogil
    # JA4_LENGTH bytes; kind: t, q or d.
    cdef void ja4(self, const Hello* h, uint8_t kind, uint8_t* out) noexcept nogil
