"""What the rows of one flow share in all tables: its ends as text, its name, its Community ID
(see conn.pxd)."""

from libc.string cimport memcmp, memcpy, memset

from tracelake.native.flowtable cimport fold
from tracelake.native.sha1 cimport put_base64, sha1_short
from tracelake.native.text cimport put_ipv4, put_ipv6


cdef Py_ssize_t put_address(uint8_t* out, const Address* a) noexcept nogil:
    if is_ipv4(a):
        return put_ipv4(out, <const uint8_t*>a + 12)
    return put_ipv6(out, <const uint8_t*>a)


cdef uint64_t name_of(const Flow* f) noexcept nogil:
    cdef uint64_t h = 0x1D8E4E27C47D124FULL
    cdef int i
    for i in range(2):
        h = fold(h ^ f.address[i].low, 0xA0761D6478BD642FULL ^ f.address[i].high)
        h = fold(h ^ f.port[i], 0xE7037ED1A0B428DBULL)
    h = fold(h ^ <uint64_t>f.first, 0x8EBC6AF09C88C6E3ULL ^ f.protocol)
    h = fold(h ^ <uint64_t>f.offset, 0x589965CC75374CC3ULL ^ f.depth)
    return h if h else 1


cdef Py_ssize_t put_name(uint8_t* out, uint64_t name) noexcept nogil:
    """C and 16 hex digits."""
    cdef int i, digit
    out[0] = b"C"
    for i in range(16):
        digit = <int>(name >> (60 - 4 * i)) & 15
        out[1 + i] = <uint8_t>(digit + 48 if digit < 10 else digit + 87)
    return 17


cdef Py_ssize_t put_uid(uint8_t* out, const Flow* f) noexcept nogil:
    return put_name(out, f.name)


cdef Py_ssize_t put_community_id(uint8_t* out, Flow* f) noexcept nogil:
    """Community ID 1 with seed 0: https://github.com/corelight/community-id-spec. 0 where
    one address is IPv4 and the other is not."""
    cdef uint8_t[48] m
    cdef uint8_t[20] digest
    cdef bint four = is_ipv4(&f.address[ORIG])
    cdef int first = ORIG, order, n = 2, width = 4 if four else 16, skip = 12 if four else 0, i
    if f.community_length:
        memcpy(out, f.community, f.community_length)
        return f.community_length
    if four != is_ipv4(&f.address[RESP]):
        return 0
    if not f.one_way:
        order = memcmp(&f.address[ORIG], &f.address[RESP], 16)
        if order > 0 or (order == 0 and f.port[ORIG] > f.port[RESP]):
            first = RESP
    memset(m, 0, 2)
    for i in range(2):
        memcpy(m + n, <const uint8_t*>&f.address[first if i == 0 else 1 - first] + skip, width)
        n += width
    m[n] = f.protocol
    m[n + 1] = 0
    n += 2
    for i in range(2):
        m[n] = <uint8_t>(f.port[first if i == 0 else 1 - first] >> 8)
        m[n + 1] = <uint8_t>(f.port[first if i == 0 else 1 - first] & 0xFF)
        n += 2
    sha1_short(m, n, digest)
    # The same for both directions, so it stays right when the flow is turned round.
    memcpy(f.community, b"1:", 2)
    f.community_length = <uint8_t>(2 + put_base64(f.community + 2, digest, 20))
    memcpy(out, f.community, f.community_length)
    return f.community_length


cdef uint64_t flow_hash(const Flow* f) noexcept nogil:
    """Of what a flow is the same in every capture that holds it: its ends, its first packet's
    time, and its counts. Not keyed: it is compared across runs."""
    cdef uint64_t h = 0x2D358DCCAA6C78A5ULL
    cdef int i
    for i in range(2):
        h = fold(h ^ f.address[i].low, 0xA0761D6478BD642FULL ^ f.address[i].high)
        h = fold(h ^ <uint64_t>f.side[i].packets, 0xE7037ED1A0B428DBULL + f.port[i])
        h = fold(h ^ <uint64_t>f.side[i].ip_bytes, 0x8EBC6AF09C88C6E3ULL)
    return fold(h ^ <uint64_t>f.first, 0x589965CC75374CC3ULL ^ f.protocol)


cdef void flip(Flow* f) noexcept nogil:
    """Originator and responder change places."""
    cdef Side side = f.side[ORIG]
    cdef uint8_t byte
    cdef uint8_t known = f.has_mac[ORIG]
    cdef int i
    f.side[ORIG] = f.side[RESP]
    f.side[RESP] = side
    f.address[ORIG], f.address[RESP] = f.address[RESP], f.address[ORIG]
    f.port[ORIG], f.port[RESP] = f.port[RESP], f.port[ORIG]
    for i in range(6):
        byte = f.mac[ORIG][i]
        f.mac[ORIG][i] = f.mac[RESP][i]
        f.mac[RESP][i] = byte
    f.has_mac[ORIG] = f.has_mac[RESP]
    f.has_mac[RESP] = known
    f.begun = ((f.begun & 1) << 1) | (f.begun >> 1)
    f.partial = False
