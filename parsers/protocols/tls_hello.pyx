"""ClientHello and ServerHello, and their fingerprints (see tls_hello.pxd)."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memcpy, memset

from tracelake.native.cursor cimport be16
from tracelake.native.digest cimport md5, sha256
from tracelake.native.text cimport put_hex_bytes, put_uint

cdef enum:
    TEXT_ROOM = 1 << 19         # more than the lists of one message can be as text
    NUMBERS_ROOM = 1 << 15

cdef enum:
    SSL30 = 0x0300
    TLS13 = 0x0304
    DTLS10 = 0xFEFF
    DTLS12 = 0xFEFD


# Reading.

cdef bint _vector(
    const uint8_t* p, int64_t n, int64_t* at, int octets, Bytes* out
) noexcept nogil:
    """A vector behind its length of one or two bytes."""
    cdef int64_t length
    if n - at[0] < octets:
        return False
    length = p[at[0]] if octets == 1 else be16(p + at[0])
    at[0] += octets
    if length > n - at[0]:
        return False
    out.p = p + at[0]
    out.n = length
    at[0] += length
    return True


cdef void _names(const uint8_t* p, int64_t n, Hello* h) noexcept nogil:
    """server_name (RFC 6066, 3)."""
    cdef Bytes all, name
    cdef int64_t at = 0, i = 0
    cdef int kind
    if not _vector(p, n, &at, 2, &all):
        return
    while i < all.n:
        kind = all.p[i]
        i += 1
        if kind != 0:
            h.strange_names += 1
            h.strange_type = kind
            return                  # nothing says how long it is
        if not _vector(all.p, all.n, &i, 2, &name):
            return
        if h.name_count == 0:
            h.name = name
        h.name_count += 1


cdef void _extension(int kind, const uint8_t* p, int64_t n, Hello* h) noexcept nogil:
    cdef int64_t at = 0
    if kind == SERVER_NAME:
        h.has_name = True
        if h.client:
            _names(p, n, h)
    elif kind == ALPN:
        if _vector(p, n, &at, 2, &h.protocols):
            at = 0
            if not _vector(h.protocols.p, h.protocols.n, &at, 1, &h.protocol):
                h.protocol.p = NULL
    elif kind == SUPPORTED_GROUPS:
        _vector(p, n, &at, 2, &h.groups)
    elif kind == POINT_FORMATS:
        _vector(p, n, &at, 1, &h.formats)
    elif kind == SIGNATURE_ALGORITHMS:
        _vector(p, n, &at, 2, &h.signatures)
    elif kind == SESSION_TICKET:
        if n:
            h.has_ticket = True
    elif kind == PRE_SHARED_KEY:
        h.has_psk = True
    elif kind == SUPPORTED_VERSIONS:
        if h.client:
            _vector(p, n, &at, 1, &h.versions)
        elif n >= 2:
            h.chosen = be16(p)
    elif (kind == KEY_SHARE or kind == KEY_SHARE_OLD) and not h.client and n >= 2:
        h.group = be16(p)


cdef bint _extensions(const uint8_t* p, int64_t n, int64_t at, Hello* h) noexcept nogil:
    cdef Bytes content
    cdef int64_t i = 0
    cdef int kind
    if at == n:
        return True                 # SSL 3.0 and TLS 1.0 had none
    if not _vector(p, n, &at, 2, &h.extensions):
        h.extensions.p = NULL
        return False
    while h.extensions.n - i >= 4:
        kind = be16(h.extensions.p + i)
        i += 2
        if not _vector(h.extensions.p, h.extensions.n, &i, 2, &content):
            return False
        h.extension_count += 1
        _extension(kind, content.p, content.n, h)
    return i == h.extensions.n


cdef void _start(Hello* h, bint client) noexcept nogil:
    memset(h, 0, sizeof(Hello))
    h.client = client
    h.chosen = h.group = -1


cdef bint read_client_hello(const uint8_t* p, int64_t n, Hello* out) noexcept nogil:
    cdef int64_t at = 34
    cdef Bytes skipped
    _start(out, True)
    if n < 35:
        return False
    out.version = be16(p)
    out.random = p + 2
    if not _vector(p, n, &at, 1, &out.session):
        return False
    if out.version == DTLS10 or out.version == DTLS12:
        if not _vector(p, n, &at, 1, &skipped):             # cookie
            return False
    if not _vector(p, n, &at, 2, &out.ciphers) or not _vector(p, n, &at, 1, &skipped):
        return False
    return _extensions(p, n, at, out)


cdef bint read_server_hello(const uint8_t* p, int64_t n, Hello* out) noexcept nogil:
    cdef int64_t at = 34
    _start(out, False)
    if n < 36:
        return False
    out.version = be16(p)
    out.random = p + 2
    if out.version != TLS13 and out.version >> 8 != 0x7F:
        # Drafts of TLS 1.3 before the 22nd have neither a session nor compression.
        if not _vector(p, n, &at, 1, &out.session):
            return False
    if n - at < 2:
        return False
    out.ciphers.p = p + at
    out.ciphers.n = 2
    at += 2
    if out.version != TLS13 and out.version >> 8 != 0x7F:
        at += 1
        if at > n:
            return False
    return _extensions(p, n, at, out)


cdef bint read_retry(const uint8_t* p, int64_t n, Hello* out) noexcept nogil:
    """HelloRetryRequest, as drafts of TLS 1.3 before the 22nd had it; with a cipher from the 19th."""
    _start(out, False)
    if n < 4:
        return False
    out.version = be16(p)
    if be16(p + 2) == n - 4:
        return _extensions(p, n, 2, out)
    if n >= 6 and be16(p + 4) == n - 6:
        return _extensions(p, n, 4, out)
    return False


# Fingerprints.

cdef int _ascending(const void* a, const void* b) noexcept nogil:
    return <int>(<const uint16_t*>a)[0] - <int>(<const uint16_t*>b)[0]


cdef class Fingerprints:
    """Room for making them."""

    def __cinit__(self):
        self.text = <uint8_t*>malloc(TEXT_ROOM)
        self.numbers = <uint16_t*>malloc(NUMBERS_ROOM * sizeof(uint16_t))
        if self.text is NULL or self.numbers is NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.text)
        free(self.numbers)

    cdef void ja3(self, const Hello* h, uint8_t* out) noexcept nogil:
        """version,ciphers,extensions,groups,point formats; decimal, without GREASE; MD5."""
        cdef Py_ssize_t n = put_uint(self.text, h.version)
        n = _comma(self.text, n)
        n = _dashed(self.text, n, &h.ciphers, 2)
        n = _comma(self.text, n)
        n = _kinds(self.text, n, h)
        n = _comma(self.text, n)
        n = _dashed(self.text, n, &h.groups, 2)
        n = _comma(self.text, n)
        n = _dashed(self.text, n, &h.formats, 1)
        md5(self.text, n, out)

    cdef void ja3s(self, const Hello* h, uint8_t* out) noexcept nogil:
        """version,cipher,extensions."""
        cdef Py_ssize_t n = put_uint(self.text, h.version)
        n = _comma(self.text, n)
        n += put_uint(self.text + n, be16(h.ciphers.p))
        n = _comma(self.text, n)
        n = _kinds(self.text, n, h)
        md5(self.text, n, out)

    cdef void ja4(self, const Hello* h, uint8_t kind, uint8_t* out) noexcept nogil:
        cdef int32_t count, i
        cdef int64_t at = 0
        cdef int number
        cdef Py_ssize_t n
        out[0] = kind
        _version(h, out + 1)
        out[3] = <uint8_t>(b"d" if h.has_name else b"i")
        # Ciphers.
        count = 0
        while at + 2 <= h.ciphers.n and count < NUMBERS_ROOM:
            number = be16(h.ciphers.p + at)
            at += 2
            if not is_grease(number):
                self.numbers[count] = <uint16_t>number
                count += 1
        _put_two(out + 4, count)
        n = 0
        if count:
            qsort(self.numbers, count, sizeof(uint16_t), _ascending)
        for i in range(count):
            n = _listed(self.text, n, self.numbers[i])
        out[10] = b"_"
        _put_short(out + 11, self.text, n)
        # Extensions: counted with the name and ALPN, hashed without.
        count = 0
        i = 0
        at = 0
        while at + 4 <= h.extensions.n and count < NUMBERS_ROOM:
            number = be16(h.extensions.p + at)
            at += 4 + be16(h.extensions.p + at + 2)
            if is_grease(number):
                continue
            i += 1
            if number != SERVER_NAME and number != ALPN:
                self.numbers[count] = <uint16_t>number
                count += 1
        _put_two(out + 6, i)
        _put_alpn(out + 8, &h.protocol)
        if count:
            qsort(self.numbers, count, sizeof(uint16_t), _ascending)
        n = 0
        for i in range(count):
            n = _listed(self.text, n, self.numbers[i])
        out[23] = b"_"
        # The algorithms of signatures as they stand; no mark before them where there are none.
        if h.signatures.p is not NULL and h.signatures.n >= 2 and n:
            self.text[n] = b"_"
            n += 1
            at = 0
            i = 0
            while at + 2 <= h.signatures.n:
                number = be16(h.signatures.p + at)
                at += 2
                if is_grease(number):
                    continue
                if i:
                    self.text[n] = b","
                    n += 1
                n += _put_four(self.text + n, number)
                i += 1
        _put_short(out + 24, self.text, n)


cdef inline Py_ssize_t _comma(uint8_t* out, Py_ssize_t n) noexcept nogil:
    out[n] = b","
    return n + 1


cdef Py_ssize_t _dashed(
    uint8_t* out, Py_ssize_t n, const Bytes* list, int octets
) noexcept nogil:
    cdef int64_t at = 0
    cdef int number
    cdef bint first = True
    while at + octets <= list.n:
        number = list.p[at] if octets == 1 else be16(list.p + at)
        at += octets
        if octets == 2 and is_grease(number):
            continue
        if not first:
            out[n] = b"-"
            n += 1
        first = False
        n += put_uint(out + n, number)
    return n


cdef Py_ssize_t _kinds(uint8_t* out, Py_ssize_t n, const Hello* h) noexcept nogil:
    """The numbers of the extensions."""
    cdef int64_t at = 0
    cdef int number
    cdef bint first = True
    while at + 4 <= h.extensions.n:
        number = be16(h.extensions.p + at)
        at += 4 + be16(h.extensions.p + at + 2)
        if is_grease(number):
            continue
        if not first:
            out[n] = b"-"
            n += 1
        first = False
        n += put_uint(out + n, number)
    return n


cdef Py_ssize_t _put_four(uint8_t* out, int number) noexcept nogil:
    cdef uint8_t[2] octets
    octets[0] = <uint8_t>(number >> 8)
    octets[1] = <uint8_t>number
    return put_hex_bytes(out, octets, 2)


cdef inline Py_ssize_t _listed(uint8_t* out, Py_ssize_t n, int number) noexcept nogil:
    if n:
        out[n] = b","
        n += 1
    return n + _put_four(out + n, number)


cdef void _put_two(uint8_t* out, int count) noexcept nogil:
    if count > 99:
        count = 99
    out[0] = <uint8_t>(0x30 + count // 10)
    out[1] = <uint8_t>(0x30 + count % 10)


cdef void _put_short(uint8_t* out, const uint8_t* text, Py_ssize_t n) noexcept nogil:
    """The first twelve digits of the text's SHA-256; zeros where there is no text."""
    cdef uint8_t[32] digest
    if n == 0:
        memset(out, 0x30, 12)
        return
    sha256(text, n, digest)
    put_hex_bytes(out, digest, 6)


cdef inline bint _alphanumeric(uint8_t c) noexcept nogil:
    return 0x30 <= c <= 0x39 or 0x41 <= c <= 0x5A or 0x61 <= c <= 0x7A


cdef void _put_alpn(uint8_t* out, const Bytes* protocol) noexcept nogil:
    """First and last character of the first protocol, of its hexadecimal form where one of these is
    no letter or digit."""
    cdef uint8_t[4] hexed
    cdef uint8_t first, last
    if protocol.p is NULL or protocol.n == 0:
        memset(out, 0x30, 2)
        return
    first = protocol.p[0]
    last = protocol.p[protocol.n - 1]
    if _alphanumeric(first) and _alphanumeric(last):
        out[0] = first
        out[1] = last
        return
    put_hex_bytes(hexed, &first, 1)
    put_hex_bytes(hexed + 2, &last, 1)
    out[0] = hexed[0]
    out[1] = hexed[3]


cdef void _version(const Hello* h, uint8_t* out) noexcept nogil:
    """The highest version that is offered."""
    cdef uint32_t version = h.version, each
    cdef int64_t at = 0
    cdef const char* name = b"00"
    if h.versions.p is not NULL:
        version = 0
        while at + 2 <= h.versions.n:
            each = be16(h.versions.p + at)
            at += 2
            if is_grease(each):
                continue
            # Versions of DTLS count downwards.
            if version == 0 or (each < version if each >= 0xFE00 and version >= 0xFE00
                                else each > version):
                version = each
    if version == TLS13:
        name = b"13"
    elif version == 0x0303:
        name = b"12"
    elif version == 0x0302:
        name = b"11"
    elif version == 0x0301:
        name = b"10"
    elif version == SSL30:
        name = b"s3"
    elif version == 0x0002:
        name = b"s2"
    elif version == DTLS10:
        name = b"d1"
    elif version == DTLS12:
        name = b"d2"
    elif version == 0xFEFC:
        name = b"d3"
    memcpy(out, name, 2)


def fingerprints(bytes message, str kind="t"):
    """JA3 and JA4 of the body of a ClientHello (for tests). Raises ValueError where it is none."""
    cdef Hello h
    cdef uint8_t[16] ja3
    cdef uint8_t[JA4_LENGTH] ja4
    cdef Fingerprints maker = Fingerprints()
    if not read_client_hello(<const uint8_t*><const char*>message, len(message), &h):
        raise ValueError("no ClientHello")
    maker.ja3(&h, ja3)
    maker.ja4(&h, <uint8_t>ord(kind), ja4)
    return (<char*>ja3)[:16].hex(), (<char*>ja4)[:JA4_LENGTH].decode()
