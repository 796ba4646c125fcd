"""X.509 certificates (see x509.pxd)."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc
from libc.string cimport memchr, memcmp, memcpy

from tracelake.native.text cimport days_from_civil, put_ipv4, put_ipv6, put_uint
from tracelake.parsers.protocols.x509_registry import ALGORITHMS, ATTRIBUTES, CURVES, encoded

cdef enum:                      # tags of ASN.1
    BOOLEAN = 0x01
    INTEGER = 0x02
    BIT_STRING = 0x03
    OCTET_STRING = 0x04
    OID = 0x06
    UTF8_STRING = 0x0C
    NUMERIC_STRING = 0x12
    PRINTABLE_STRING = 0x13
    T61_STRING = 0x14
    IA5_STRING = 0x16
    UTC_TIME = 0x17
    GENERALIZED_TIME = 0x18
    VISIBLE_STRING = 0x1A
    UNIVERSAL_STRING = 0x1C
    BMP_STRING = 0x1E
    SEQUENCE = 0x30
    SET = 0x31
    EXPLICIT_0 = 0xA0
    EXPLICIT_3 = 0xA3

cdef enum:
    ATTRIBUTE_LIMIT = 256       # attributes of a name
    DEPTH_LIMIT = 8


cdef struct Named:
    const uint8_t* oid
    int32_t count
    const uint8_t* name
    int32_t length
    int32_t bits


cdef struct Names:
    Named* all
    int count


cdef list _kept = []
cdef Names attribute_names
cdef Names algorithm_names
cdef Names curve_names


cdef int _load(Names* names, dict content) except -1:
    cdef bytes oid, text
    cdef int i
    names.count = len(content)
    names.all = <Named*>calloc(names.count, sizeof(Named))
    if names.all is NULL:
        raise MemoryError()
    for i, (dotted, word) in enumerate(content.items()):
        oid = encoded(dotted)
        text = (word[0] if isinstance(word, tuple) else word).encode("ascii")
        _kept.append((oid, text))
        names.all[i].oid = <const uint8_t*><const char*>oid
        names.all[i].count = len(oid)
        names.all[i].name = <const uint8_t*><const char*>text
        names.all[i].length = len(text)
        names.all[i].bits = word[1] if isinstance(word, tuple) else 0
    return 0


_load(&attribute_names, ATTRIBUTES)
_load(&algorithm_names, ALGORITHMS)
_load(&curve_names, CURVES)


cdef const Named* _named(const Names* names, const uint8_t* der, Span oid) noexcept nogil:
    cdef int i
    if oid.at < 0:
        return NULL
    for i in range(names.count):
        if names.all[i].count == oid.count and memcmp(
            names.all[i].oid, der + oid.at, oid.count
        ) == 0:
            return &names.all[i]
    return NULL


# Elements.

cdef bint _next(const uint8_t* der, Span* rest, int* tag, Span* content) noexcept nogil:
    """Takes the next element of `rest`: False where there is none that is all there."""
    cdef int32_t at = rest.at, end = rest.at + rest.count, length
    cdef int octets
    if at < 0 or end - at < 2 or der[at] & 0x1F == 0x1F:
        return False
    tag[0] = der[at]
    length = der[at + 1]
    at += 2
    if length & 0x80:
        octets = length & 0x7F
        if octets == 0 or octets > 3 or end - at < octets:
            return False
        length = 0
        while octets:
            length = length << 8 | der[at]
            at += 1
            octets -= 1
    if length > end - at:
        return False
    content.at = at
    content.count = length
    rest.at = at + length
    rest.count = end - rest.at
    return True


cdef inline bint _want(const uint8_t* der, Span* rest, int wanted, Span* content) noexcept nogil:
    cdef int tag = 0
    return _next(der, rest, &tag, content) and tag == wanted


cdef inline int _peek(const uint8_t* der, const Span* rest) noexcept nogil:
    return der[rest.at] if rest.count > 0 else -1


cdef bint _same(const uint8_t* der, Span oid, const char* p, int n) noexcept nogil:
    return oid.count == n and memcmp(der + oid.at, p, n) == 0


cdef int32_t _bits(const uint8_t* p, int32_t n) noexcept nogil:
    """Bits of a number without its leading zeros."""
    cdef int32_t i = 0
    cdef int high
    while i < n and p[i] == 0:
        i += 1
    if i == n:
        return 0
    high = 8
    while not p[i] >> (high - 1):
        high -= 1
    return (n - i - 1) * 8 + high


# Times.

cdef int _two(const uint8_t* p) noexcept nogil:
    cdef int high = p[0] - 0x30, low = p[1] - 0x30
    if high < 0 or high > 9 or low < 0 or low > 9:
        return -1
    return high * 10 + low


cdef bint _time(const uint8_t* p, int32_t n, int tag, int64_t* us) noexcept nogil:
    """UTCTime and GeneralizedTime (X.680, 46, 47); seconds and zone as once allowed."""
    cdef int32_t at
    cdef int year, high, low, month, day, hour, minute, second = 0, zone = 0
    if tag == UTC_TIME:
        if n < 11:
            return False
        year = _two(p)
        if year < 0:
            return False
        year += 2000 if year < 50 else 1900     # RFC 5280, 4.1.2.5.1
        at = 2
    elif tag == GENERALIZED_TIME:
        if n < 13:
            return False
        high = _two(p)
        year = _two(p + 2)
        if high < 0 or year < 0:
            return False
        year += high * 100
        at = 4
    else:
        return False
    month, day, hour, minute = _two(p + at), _two(p + at + 2), _two(p + at + 4), _two(p + at + 6)
    at += 8
    if month < 1 or month > 12 or day < 1 or day > 31 or hour < 0 or hour > 23:
        return False
    if minute < 0 or minute > 59:
        return False
    if n - at >= 2 and 0x30 <= p[at] <= 0x39:
        second = _two(p + at)
        if second < 0 or second > 60:
            return False
        at += 2
    if at < n and p[at] == b".":
        at += 1
        while at < n and 0x30 <= p[at] <= 0x39:
            at += 1
    if at < n and (p[at] == b"+" or p[at] == b"-") and n - at >= 5:
        high, low = _two(p + at + 1), _two(p + at + 3)
        if high < 0 or low < 0:
            return False
        zone = (high * 60 + low) * 60
        if p[at] == b"-":
            zone = -zone
    us[0] = ((days_from_civil(year, month, day) * 24 + hour) * 60 + minute) * 60 + second - zone
    us[0] *= 1000000
    return True


# The certificate.

cdef void _read_key(const uint8_t* der, Span key, Cert* out) noexcept nogil:
    """SubjectPublicKeyInfo (RFC 5280, 4.1.2.7; keys of RSA: RFC 8017; of curves: RFC 5480)."""
    cdef Span algorithm, bits, numbers, number
    cdef int tag = 0, i
    cdef const Named* curve
    if not _want(der, &key, SEQUENCE, &algorithm) or not _want(der, &algorithm, OID, &out.key):
        out.key.at = -1
        return
    if not _want(der, &key, BIT_STRING, &bits) or bits.count < 1:
        return
    if _same(der, out.key, b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", 9):
        bits.at += 1
        bits.count -= 1
        if not _want(der, &bits, SEQUENCE, &numbers) or not _want(der, &numbers, INTEGER, &number):
            return
        out.kind = KEY_RSA
        out.key_bits = _bits(der + number.at, number.count)
        if not _want(der, &numbers, INTEGER, &out.exponent):
            out.exponent.at = -1
    elif _same(der, out.key, b"\x2a\x86\x48\xce\x38\x04\x01", 7):
        if _want(der, &algorithm, SEQUENCE, &numbers) and _want(der, &numbers, INTEGER, &number):
            out.kind = KEY_DSA
            out.key_bits = _bits(der + number.at, number.count)
    elif _same(der, out.key, b"\x2a\x86\x48\xce\x3d\x02\x01", 7):
        if not _next(der, &algorithm, &tag, &number):
            return
        if tag == OID:
            out.kind = KEY_EC
            out.curve = number
            curve = _named(&curve_names, der, number)
            if curve is not NULL:
                out.key_bits = curve.bits
        elif tag == SEQUENCE:
            # The curve written out (X9.62): version, field, curve, base point, its order.
            out.kind = KEY_EC
            numbers = number
            for i in range(5):
                if not _next(der, &numbers, &tag, &number):
                    return
            if tag == INTEGER:
                out.key_bits = _bits(der + number.at, number.count)


cdef void _read_extension(const uint8_t* der, Span extension, Cert* out) noexcept nogil:
    cdef Span oid, value, content, inner
    cdef int tag = 0
    cdef int32_t i
    if not _want(der, &extension, OID, &oid) or not _next(der, &extension, &tag, &value):
        return
    if tag == BOOLEAN and not _next(der, &extension, &tag, &value):
        return
    if tag != OCTET_STRING or oid.count != 3 or der[oid.at] != 0x55 or der[oid.at + 1] != 0x1D:
        return
    if der[oid.at + 2] == 14:               # subjectKeyIdentifier
        if _want(der, &value, OCTET_STRING, &content):
            out.key_id = content
        return
    if not _want(der, &value, SEQUENCE, &content):
        return
    if der[oid.at + 2] == 17:               # subjectAltName
        out.names = content
    elif der[oid.at + 2] == 19:             # basicConstraints
        out.constrained = True
        if _peek(der, &content) == BOOLEAN and _next(der, &content, &tag, &inner):
            out.is_ca = inner.count > 0 and der[inner.at] != 0
        if _want(der, &content, INTEGER, &inner) and 0 < inner.count <= 4:
            out.path_length = 0
            for i in range(inner.count):
                out.path_length = out.path_length << 8 | der[inner.at + i]
    elif der[oid.at + 2] == 31:             # cRLDistributionPoints
        out.lists = content
    elif der[oid.at + 2] == 35:             # authorityKeyIdentifier
        if _next(der, &content, &tag, &inner) and tag == 0x80:
            out.issuer_key_id = inner


cdef void read_certificate(const uint8_t* der, int32_t n, Cert* out) noexcept nogil:
    cdef Span rest, all, signed, part, inner, extension
    cdef int tag = 0
    out.whole = out.constrained = out.is_ca = out.has_not_before = out.has_not_after = False
    out.version = 1
    out.kind = KEY_OTHER
    out.key_bits = 0
    out.path_length = -1
    out.serial.at = out.signature.at = out.issuer.at = out.subject.at = out.key.at = -1
    out.curve.at = out.exponent.at = out.names.at = out.lists.at = -1
    out.key_id.at = out.issuer_key_id.at = -1
    rest.at = 0
    rest.count = n
    if not _want(der, &rest, SEQUENCE, &all) or not _want(der, &all, SEQUENCE, &signed):
        return
    if _peek(der, &signed) == EXPLICIT_0:
        if not _next(der, &signed, &tag, &part):
            return
        if _want(der, &part, INTEGER, &inner) and inner.count == 1:
            out.version = der[inner.at] + 1
    if not _want(der, &signed, INTEGER, &out.serial):
        out.serial.at = -1
        return
    if not _want(der, &signed, SEQUENCE, &part):
        return
    if not _want(der, &signed, SEQUENCE, &out.issuer):
        out.issuer.at = -1
        return
    if not _want(der, &signed, SEQUENCE, &part):
        return
    if _next(der, &part, &tag, &inner):
        out.has_not_before = _time(der + inner.at, inner.count, tag, &out.not_before)
    if _next(der, &part, &tag, &inner):
        out.has_not_after = _time(der + inner.at, inner.count, tag, &out.not_after)
    if not _want(der, &signed, SEQUENCE, &out.subject):
        out.subject.at = -1
        return
    if not _want(der, &signed, SEQUENCE, &part):
        return
    _read_key(der, part, out)
    while _next(der, &signed, &tag, &part):
        if tag == EXPLICIT_3 and _want(der, &part, SEQUENCE, &inner):
            while _want(der, &inner, SEQUENCE, &extension):
                _read_extension(der, extension, out)
    if not _want(der, &all, SEQUENCE, &part) or not _want(der, &part, OID, &out.signature):
        out.signature.at = -1
        return
    out.whole = _want(der, &all, BIT_STRING, &part)


cdef bint is_self_issued(const uint8_t* der, const Cert* c) noexcept nogil:
    if c.issuer.at < 0 or c.subject.at < 0 or c.issuer.count != c.subject.count:
        return False
    if memcmp(der + c.issuer.at, der + c.subject.at, c.issuer.count) != 0:
        return False
    if c.key_id.at < 0 or c.issuer_key_id.at < 0:
        return True
    return c.key_id.count == c.issuer_key_id.count and memcmp(
        der + c.key_id.at, der + c.issuer_key_id.at, c.key_id.count
    ) == 0


cdef bint next_name(const uint8_t* der, Span* rest, int* kind, Span* name) noexcept nogil:
    cdef int tag = 0
    if rest.at < 0 or not _next(der, rest, &tag, name):
        return False
    kind[0] = tag & 0x1F if tag & 0xC0 == 0x80 else -1
    return True


cdef bint next_uri(const uint8_t* der, Span* rest, Span* uri) noexcept nogil:
    # Whatever is constructed is walked into: what stands in it follows it.
    cdef int tag = 0
    cdef int32_t end
    if rest.at < 0:
        return False
    end = rest.at + rest.count
    while _next(der, rest, &tag, uri):
        if tag & 0x20:
            rest.at = uri.at
            rest.count = end - uri.at
        elif tag == 0x80 | NAME_URI:
            return True
    return False


cdef bint find_certificates(const uint8_t* p, int32_t n, Span* out) noexcept nogil:
    cdef const char* signed_data = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
    cdef Span rest, content, part
    cdef int32_t at = 0
    cdef int tag = 0
    while n - at >= 11:
        if p[at] != OID or memcmp(p + at, signed_data, 11) != 0:
            at += 1
            continue
        at += 11
        rest.at = at
        rest.count = n - at
        if not _want(p, &rest, EXPLICIT_0, &content) or not _want(p, &content, SEQUENCE, &rest):
            continue
        # version, digestAlgorithms, encapContentInfo, then perhaps the certificates
        if not _want(p, &rest, INTEGER, &part) or not _want(p, &rest, SET, &part):
            continue
        if not _want(p, &rest, SEQUENCE, &part):
            continue
        if _next(p, &rest, &tag, out) and tag == EXPLICIT_0:
            return True
    return False


cdef bint next_certificate(const uint8_t* p, Span* rest, Span* one) noexcept nogil:
    cdef Span content
    cdef int32_t begin
    cdef int tag = 0
    while True:
        begin = rest.at
        if not _next(p, rest, &tag, &content):
            return False
        if tag == SEQUENCE:             # the others are of kinds that are not X.509
            one.at = begin
            one.count = rest.at - begin
            return True


# Text.

cdef struct Out:
    uint8_t* p
    Py_ssize_t n
    Py_ssize_t room
    bint cut


cdef inline void _add(Out* o, const void* p, Py_ssize_t n) noexcept nogil:
    if n > o.room - o.n:
        o.cut = True
        o.room = o.n        # nothing after it either
        return
    memcpy(o.p + o.n, p, n)
    o.n += n


cdef inline uint8_t _digit(int value) noexcept nogil:
    return <uint8_t>(0x30 + value if value < 10 else 0x37 + value)


cdef void _add_hex(Out* o, const char* before, uint8_t value) noexcept nogil:
    cdef uint8_t[3] text
    text[0] = <uint8_t>before[0]
    text[1] = _digit(value >> 4)
    text[2] = _digit(value & 15)
    if before[0]:
        _add(o, text, 3)
    else:
        _add(o, text + 1, 2)


cdef void _add_oid(Out* o, const uint8_t* p, int32_t n) noexcept nogil:
    """An OID with dots (X.690, 8.19); numbers of more than 63 bits as they overflow."""
    cdef uint8_t[24] text
    cdef uint64_t number = 0
    cdef int32_t i
    cdef bint first = True
    for i in range(n):
        number = number << 7 | (p[i] & 127)
        if p[i] & 128:
            continue
        if first:
            text[0] = <uint8_t>(0x30 + (2 if number >= 80 else number // 40))
            _add(o, text, 1)
            number -= 80 if number >= 80 else number // 40 * 40
            first = False
        text[0] = b"."
        _add(o, text, 1 + put_uint(text + 1, number))
        number = 0


cdef void _add_character(Out* o, uint32_t c, bint first, bint last) noexcept nogil:
    """RFC 2253, 2.4, and what OpenSSL escapes beside: control characters, all that is not ASCII."""
    cdef uint8_t[4] utf8
    cdef uint8_t[2] text
    cdef int n = 0, i
    if c < 0x80:
        if c < 0x20 or c == 0x7F:
            _add_hex(o, b"\\", <uint8_t>c)
            return
        text[0] = b"\\"
        text[1] = <uint8_t>c
        if memchr(b',+"\\<>;', <int>c, 7) is not NULL:
            _add(o, text, 2)
        elif (first and c == 0x23) or ((first or last) and c == 0x20):
            _add(o, text, 2)
        else:
            _add(o, text + 1, 1)
        return
    if c < 0x800:
        utf8[0] = <uint8_t>(0xC0 | c >> 6)
        n = 1
    elif c < 0x10000:
        utf8[0] = <uint8_t>(0xE0 | c >> 12)
        utf8[1] = <uint8_t>(0x80 | (c >> 6 & 63))
        n = 2
    else:
        utf8[0] = <uint8_t>(0xF0 | (c >> 18 & 7))
        utf8[1] = <uint8_t>(0x80 | (c >> 12 & 63))
        utf8[2] = <uint8_t>(0x80 | (c >> 6 & 63))
        n = 3
    utf8[n] = <uint8_t>(0x80 | (c & 63))
    for i in range(n + 1):
        _add_hex(o, b"\\", utf8[i])


cdef int32_t _width(int tag) noexcept nogil:
    """Bytes of a character; 0: UTF-8, -1: no text."""
    if tag == UTF8_STRING:
        return 0
    if tag == BMP_STRING:
        return 2
    if tag == UNIVERSAL_STRING:
        return 4
    if tag in (NUMERIC_STRING, PRINTABLE_STRING, T61_STRING, IA5_STRING, VISIBLE_STRING, UTC_TIME,
               GENERALIZED_TIME):
        return 1
    return -1


cdef void _add_value(
    Out* o, const uint8_t* der, int tag, Span value, int32_t head, bint known
) noexcept nogil:
    """head: where the element begins, whose content `value` is."""
    cdef int32_t width = _width(tag), i
    cdef uint32_t c
    cdef int k
    if not known or width < 0 or (width > 1 and value.count % width):
        _add(o, b"#", 1)
        for i in range(head, value.at + value.count):
            _add_hex(o, b"", der[i])
        return
    if width == 0:
        # UTF-8 needs no decoding: what is not ASCII is escaped byte by byte.
        for i in range(value.count):
            if der[value.at + i] < 0x80:
                _add_character(o, der[value.at + i], i == 0, i == value.count - 1)
            else:
                _add_hex(o, b"\\", der[value.at + i])
        return
    i = 0
    while i < value.count:
        c = 0
        for k in range(width):
            c = c << 8 | der[value.at + i + k]
        _add_character(o, c, i == 0, i + width == value.count)
        i += width


cdef Py_ssize_t put_name(uint8_t* out, const uint8_t* der, Span name, bint* cut) noexcept nogil:
    cdef Span[ATTRIBUTE_LIMIT] attributes
    cdef int32_t[ATTRIBUTE_LIMIT] groups
    cdef Span group, oid, value
    cdef Out o
    cdef const Named* known
    cdef int32_t count = 0, i, number = 0, head
    cdef int tag = 0
    o.p = out
    o.n = 0
    o.room = NAME_ROOM
    o.cut = False
    while _want(der, &name, SET, &group):
        while count < ATTRIBUTE_LIMIT and _want(der, &group, SEQUENCE, &attributes[count]):
            groups[count] = number
            count += 1
        number += 1
    if count == ATTRIBUTE_LIMIT:
        o.cut = True
    i = count - 1
    while i >= 0:                               # the last one stands first (RFC 2253, 2.1)
        if not _want(der, &attributes[i], OID, &oid):
            i -= 1
            continue
        if o.n:
            _add(&o, b"+" if groups[i] == groups[i + 1] else b",", 1)
        known = _named(&attribute_names, der, oid)
        if known is not NULL:
            _add(&o, known.name, known.length)
        else:
            _add_oid(&o, der + oid.at, oid.count)
        _add(&o, b"=", 1)
        head = attributes[i].at
        if _next(der, &attributes[i], &tag, &value):
            _add_value(&o, der, tag, value, head, known is not NULL)
        i -= 1
    if o.cut:
        cut[0] = True
    return o.n


cdef Py_ssize_t _put_named(
    uint8_t* out, const uint8_t* der, Span oid, const Names* names
) noexcept nogil:
    cdef Out o
    cdef const Named* known = _named(names, der, oid)
    o.p = out
    o.n = 0
    o.room = NAME_ROOM
    o.cut = False
    if known is not NULL:
        _add(&o, known.name, known.length)
    elif oid.at >= 0:
        _add_oid(&o, der + oid.at, oid.count)
    return o.n


cdef Py_ssize_t put_algorithm(uint8_t* out, const uint8_t* der, Span oid) noexcept nogil:
    return _put_named(out, der, oid, &algorithm_names)


cdef Py_ssize_t put_curve(uint8_t* out, const uint8_t* der, Span oid) noexcept nogil:
    return _put_named(out, der, oid, &curve_names)


cdef Py_ssize_t put_serial(uint8_t* out, const uint8_t* der, Span serial) noexcept nogil:
    cdef Out o
    cdef const uint8_t* p = der + serial.at
    cdef int32_t n = serial.count, i = 0
    cdef bint negative, carry
    cdef uint8_t value
    o.p = out
    o.n = 0
    o.room = NAME_ROOM
    o.cut = False
    if serial.at < 0:
        return 0
    negative = n > 0 and p[0] & 0x80
    if negative:
        _add(&o, b"-", 1)
        while i < n - 1 and p[i] == 0xFF:
            i += 1
        if p[i] == 0 and i:             # -256 is FF 00: one byte more of its magnitude
            i -= 1
    else:
        while i < n - 1 and p[i] == 0:
            i += 1
    if i == n:
        _add(&o, b"00", 2)
    while i < n:
        value = p[i]
        if negative:
            # Two's complement: the last byte that is not zero carries.
            carry = _rest_is_zero(p + i + 1, n - i - 1)
            value = <uint8_t>((~value & 255) + (1 if carry else 0))
        _add_hex(&o, b"", value)
        i += 1
    return o.n


cdef bint _rest_is_zero(const uint8_t* p, int32_t n) noexcept nogil:
    cdef int32_t i
    for i in range(n):
        if p[i]:
            return False
    return True


cdef Py_ssize_t put_exponent(uint8_t* out, const uint8_t* der, Span exponent) noexcept nogil:
    cdef Out o
    cdef uint64_t value = 0
    cdef int32_t i, n = exponent.count
    cdef const uint8_t* p = der + exponent.at
    if exponent.at < 0:
        return 0
    if _bits(p, n) <= 64:
        for i in range(n):
            value = value << 8 | p[i]
        return put_uint(out, value)
    o.p = out
    o.n = 0
    o.room = NAME_ROOM
    o.cut = False
    _add(&o, b"0x", 2)
    for i in range(n):
        _add_hex(&o, b"", p[i])
    return o.n


# Hosts.

cdef inline uint8_t _lower(uint8_t c) noexcept nogil:
    return c | 0x20 if 0x41 <= c <= 0x5A else c


cdef bint _equal(const uint8_t* a, const uint8_t* b, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        if _lower(a[i]) != _lower(b[i]):
            return False
    return True


cdef bint _fits(
    const uint8_t* pattern, Py_ssize_t m, const uint8_t* host, Py_ssize_t n
) noexcept nogil:
    """A name of the certificate against the host: a star may stand for characters of the first of
    at least three labels."""
    cdef Py_ssize_t star = -1, dot = -1, dots = 0, i, tail, label = 0
    if m == 0 or n == 0:
        return False
    for i in range(m):
        if pattern[i] == b"*":
            if star >= 0 or dots:
                return False
            star = i
        elif pattern[i] == b".":
            if dot < 0:
                dot = i
            dots += 1
    if star < 0:
        return m == n and _equal(pattern, host, n)
    if dots < 2:
        return False
    tail = m - star - 1
    if n < star + tail + 1 or not _equal(pattern, host, star):
        return False
    if not _equal(pattern + star + 1, host + n - tail, tail):
        return False
    # What the star stands for is within the label; no part of an internationalized one.
    for i in range(star, n - tail):
        if host[i] == b".":
            return False
    while label < n and host[label] != b".":
        label += 1
    if (star > 0 or dot > star + 1) and label >= 4 and _equal(host, <const uint8_t*>b"xn--", 4):
        return False
    return True


cdef bint is_for(
    const uint8_t* der, const Cert* c, const uint8_t* host, Py_ssize_t n
) noexcept nogil:
    cdef Span rest = c.names, name, group, oid
    cdef int kind = 0, tag = 0
    cdef bint named = False
    while next_name(der, &rest, &kind, &name):
        if kind == NAME_DNS:
            named = True
            if _fits(der + name.at, name.count, host, n):
                return True
    if named or c.subject.at < 0:
        return False
    rest = c.subject
    while _want(der, &rest, SET, &group):
        while _want(der, &group, SEQUENCE, &name):
            if _want(der, &name, OID, &oid) and _same(der, oid, b"\x55\x04\x03", 3):
                if _next(der, &name, &tag, &oid) and _width(tag) in (0, 1):
                    if _fits(der + oid.at, oid.count, host, n):
                        return True
    return False


# For tests.

cdef str _text(uint8_t* p, Py_ssize_t n):
    return (<char*>p)[:n].decode("utf-8", "replace")


def described(bytes der):
    """Everything that is read of a certificate (for tests)."""
    cdef Cert c
    cdef const uint8_t* p = <const uint8_t*><const char*>der
    cdef uint8_t[NAME_ROOM] text
    cdef Span rest, name
    cdef int kind = 0
    cdef bint cut = False
    cdef dict found
    read_certificate(p, <int32_t>len(der), &c)
    found = {
        "whole": bool(c.whole), "version": c.version, "is_ca": bool(c.is_ca),
        "constrained": bool(c.constrained), "path_length": c.path_length, "kind": c.kind,
        "key_bits": c.key_bits, "self_issued": bool(is_self_issued(p, &c)),
        "not_before": c.not_before if c.has_not_before else None,
        "not_after": c.not_after if c.has_not_after else None,
        "serial": _text(text, put_serial(text, p, c.serial)),
        "issuer": None if c.issuer.at < 0 else _text(text, put_name(text, p, c.issuer, &cut)),
        "subject": None if c.subject.at < 0 else _text(text, put_name(text, p, c.subject, &cut)),
        "signature": _text(text, put_algorithm(text, p, c.signature)),
        "key": _text(text, put_algorithm(text, p, c.key)),
        "curve": _text(text, put_curve(text, p, c.curve)),
        "exponent": _text(text, put_exponent(text, p, c.exponent)),
        "names": [],
        "lists": [],
    }
    rest = c.names
    while next_name(p, &rest, &kind, &name):
        if kind == NAME_IP and name.count in (4, 16):
            found["names"].append((kind, _text(
                text, put_ipv4(text, p + name.at) if name.count == 4
                else put_ipv6(text, p + name.at)
            )))
        else:
            found["names"].append((kind, der[name.at : name.at + name.count]))
    rest = c.lists
    while next_uri(p, &rest, &name):
        found["lists"].append(der[name.at : name.at + name.count])
    return found


def fits(bytes der, bytes host):
    """Whether a certificate is for a host (for tests)."""
    cdef Cert c
    cdef const uint8_t* p = <const uint8_t*><const char*>der
    read_certificate(p, <int32_t>len(der), &c)
    return bool(is_for(p, &c, <const uint8_t*><const char*>host, len(host)))
