"""What stands in an X.509 certificate (RFC 5280), as places in its DER (X.690).

Only what is written down is read; nothing is verified. A certificate that breaks the rules
(negative serial numbers, impossible dates, odd encodings) is read as far as it goes.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t


cdef enum:
    NAME_ROOM = 4096            # bytes of a name as text; a longer one is cut

cdef enum KeyKind:
    KEY_OTHER = 0
    KEY_RSA = 1
    KEY_DSA = 2
    KEY_EC = 3

cdef enum NameKind:             # of GeneralName
    NAME_EMAIL = 1
    NAME_DNS = 2
    NAME_URI = 6
    NAME_IP = 7


# Part of the certificate; `at` < 0 where it has not got it.
cdef struct Span:
    int32_t at
    int32_t count


cdef struct Cert:
    bint whole                  # everything up to the signature could be read
    int version
    Span serial                 # content of the INTEGER
    Span signature              # OID
    Span issuer                 # content of the SEQUENCE, so subject
    Span subject
    Span key                    # OID
    Span curve                  # OID
    Span exponent
    Span names                  # subjectAltName: content of GeneralNames
    Span lists                  # cRLDistributionPoints: content
    Span key_id                 # subjectKeyIdentifier
    Span issuer_key_id          # of authorityKeyIdentifier
    int64_t not_before          # microseconds since 1970 UTC
    int64_t not_after
    bint has_not_before, has_not_after
    int kind                    # KeyKind
    int32_t key_bits            # 0 where they are not known
    bint constrained, is_ca     # basicConstraints
    int64_t path_length         # -1 where there is none


cdef void read_certificate(const uint8_t* der, int32_t n, Cert* out) noexcept nogil

# Its own issuer, as far as names and key identifiers tell.
cdef bint is_self_issued(const uint8_t* der, const Cert* c) noexcept nogil

# The next GeneralName of a content at `at`, which moves on; False at the end. kind: the tag number.
cdef bint next_name(const uint8_t* der, Span* rest, int* kind, Span* name) noexcept nogil
# The next URI anywhere in the content of a cRLDistributionPoints.
cdef bint next_uri(const uint8_t* der, Span* rest, Span* uri) noexcept nogil

# As text; the bytes written. Room: NAME_ROOM. A name as RFC 2253 writes it and OpenSSL prints it.
cdef Py_ssize_t put_name(uint8_t* out, const uint8_t* der, Span name, bint* cut) noexcept nogil
# OpenSSL's name of an algorithm, or its OID with dots. Room: NAME_ROOM.
cdef Py_ssize_t put_algorithm(uint8_t* out, const uint8_t* der, Span oid) noexcept nogil
cdef Py_ssize_t put_curve(uint8_t* out, const uint8_t* der, Span oid) noexcept nogil
# Hexadecimal, as OpenSSL prints a serial number. Room: NAME_ROOM.
cdef Py_ssize_t put_serial(uint8_t* out, const uint8_t* der, Span serial) noexcept nogil
cdef Py_ssize_t put_exponent(uint8_t* out, const uint8_t* der, Span exponent) noexcept nogil

# Whether the certificate is for a host (RFC 6125, as OpenSSL's X509_check_host decides it).
cdef bint is_for(
    const uint8_t* der, const Cert* c, const uint8_t* host, Py_ssize_t n
) noexcept nogil
