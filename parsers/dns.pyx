"""DNS over UDP (RFC 1035), multicast DNS, LLMNR and NetBIOS names (RFC 1002): a question and
its answer become one row of dns_activity. On other ports than theirs DNS is known by a first
datagram that is a question and nothing else.

Pairs are made as Zeek 7's dns.log makes them: by flow and transaction id, first come, first
served; what found no counterpart becomes a row when its flow ends. Answers are written the
way dns.log writes them. Names are lower case; bytes that are not text stand as \\xNN, so that
data smuggled in names can be recovered.
"""

from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset, strlen

from tracelake.native.cursor cimport Cursor, be16, be32, left, span, take
from tracelake.native.flowtable cimport fold
from tracelake.native.text cimport put_hex_bytes, put_ipv4, put_ipv6, put_uint, utf8_valid
from tracelake.normalize import TABLES
from tracelake.parsers.conn cimport (
    ORIG, RESP, Place, flip, is_ipv4, note, put_address, put_community_id, put_uid,
)
from tracelake.parsers.packet cimport NO_TIME
from tracelake.parsers.services cimport service

cdef uint64_t DNS = 1ULL << service("dns")

cdef enum:
    UDP = 17
    HEADER = 12
    NAME_ROOM = 512             # of a name as it stands; RFC 1035 allows 255
    TEXT_ROOM = 4 * NAME_ROOM   # of a name as text
    MAX_JUMPS = 127
    NBNS = 137
    WAITING = 100               # messages of a flow that wait; then none of them will be paired
    MAX_QUESTIONS = 25          # beyond, it is something else that uses the port
    BROKEN = 1                  # parse_flags: truncated

# All messages that wait. Beyond, the oldest become rows of their own.
cdef int64_t HELD_LIMIT = 32 << 20

cdef enum:
    QR = 0x8000
    AA = 0x0400
    TC = 0x0200
    RD = 0x0100
    RA = 0x0080

cdef enum:
    TYPE_A = 1
    TYPE_NS = 2
    TYPE_CNAME = 5
    TYPE_SOA = 6
    TYPE_WKS = 11
    TYPE_PTR = 12
    TYPE_HINFO = 13
    TYPE_MX = 15
    TYPE_TXT = 16
    TYPE_AAAA = 28
    TYPE_LOC = 29
    TYPE_NB = 32
    TYPE_SRV = 33               # NBSTAT where the port is NBNS
    TYPE_NAPTR = 35
    TYPE_A6 = 38
    TYPE_OPT = 41
    TYPE_DS = 43
    TYPE_SSHFP = 44
    TYPE_RRSIG = 46
    TYPE_NSEC = 47
    TYPE_DNSKEY = 48
    TYPE_NSEC3 = 50
    TYPE_NSEC3PARAM = 51
    TYPE_SVCB = 64
    TYPE_HTTPS = 65
    TYPE_SPF = 99
    TYPE_TSIG = 250
    TYPE_CAA = 257
    TYPE_BIND_SIGNING = 65534

# Names of types, classes and response codes as dns.log writes them (IANA's, mostly).
TYPES = {
    1: "A", 2: "NS", 3: "MD", 4: "MF", 5: "CNAME", 6: "SOA", 7: "MB", 8: "MG", 9: "MR",
    10: "NULL", 11: "WKS", 12: "PTR", 13: "HINFO", 14: "MINFO", 15: "MX", 16: "TXT", 17: "RP",
    18: "AFSDB", 19: "X25", 20: "ISDN", 21: "RT", 22: "NSAP", 23: "NSAP-PTR", 24: "SIG",
    25: "KEY", 26: "PX", 27: "GPOS", 28: "AAAA", 29: "LOC", 30: "NXT", 31: "EID", 32: "NIMLOC",
    33: "SRV", 34: "ATMA", 35: "NAPTR", 36: "KX", 37: "CERT", 38: "A6", 39: "DNAME", 40: "SINK",
    41: "OPT", 42: "APL", 43: "DS", 44: "SSHFP", 45: "IPSECKEY", 46: "RRSIG", 47: "NSEC",
    48: "DNSKEY", 49: "DHCID", 50: "NSEC3", 51: "NSEC3PARAM", 52: "TLSA", 53: "SMIMEA",
    55: "HIP", 56: "NINFO", 57: "RKEY", 58: "TALINK", 59: "CDS", 60: "CDNSKEY",
    61: "OPENPGPKEY", 62: "CSYNC", 63: "ZONEMD", 64: "SVCB", 65: "HTTPS", 99: "SPF",
    100: "UINFO", 101: "UID", 102: "GID", 103: "UNSPEC", 104: "NID", 105: "L32", 106: "L64",
    107: "LP", 108: "EUI48", 109: "EUI64", 249: "TKEY", 250: "TSIG", 251: "IXFR", 252: "AXFR",
    253: "MAILB", 254: "MAILA", 255: "*", 256: "URI", 257: "CAA", 32768: "TA", 32769: "DLV",
    65281: "WINS", 65282: "WINS-R", 65422: "XPF", 65521: "INTEGRITY",
}
CLASSES = {
    1: "C_INTERNET", 2: "C_CSNET", 3: "C_CHAOS", 4: "C_HESIOD", 254: "C_NONE", 255: "C_ANY",
}
RCODES = (
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET",
    "NXRRSet", "NOTAUTH", "NOTZONE", "unassigned-11", "unassigned-12", "unassigned-13",
    "unassigned-14", "unassigned-15",
)

# The same for code that has no GIL: pointers into bytes that `_kept` keeps alive.
cdef const char* type_names[65536]
cdef const char* class_names[256]
cdef const char* rcode_names[16]
cdef list _kept = []


cdef int _name_all() except -1:
    cdef bytes name
    cdef int number
    memset(type_names, 0, sizeof(type_names))
    memset(class_names, 0, sizeof(class_names))
    for number, text in TYPES.items():
        name = text.encode("ascii")
        _kept.append(name)
        type_names[number] = name
    for number, text in CLASSES.items():
        name = text.encode("ascii")
        _kept.append(name)
        class_names[number] = name
    for number, text in enumerate(RCODES):
        name = text.encode("ascii")
        _kept.append(name)
        rcode_names[number] = name
    return 0


_name_all()


cdef Py_ssize_t _copy(uint8_t* out, const char* text) noexcept nogil:
    cdef Py_ssize_t n = strlen(text)
    memcpy(out, text, n)
    return n


cdef Py_ssize_t _type_name(uint8_t* out, uint16_t type, uint16_t port) noexcept nogil:
    cdef Py_ssize_t n
    if port == NBNS and type == TYPE_SRV:
        return _copy(out, b"NBSTAT")
    if type_names[type] is not NULL:
        return _copy(out, type_names[type])
    n = _copy(out, b"query-")
    return n + put_uint(out + n, type)


cdef Py_ssize_t _class_name(uint8_t* out, uint16_t number) noexcept nogil:
    cdef Py_ssize_t n
    if number < 256 and class_names[number] is not NULL:
        return _copy(out, class_names[number])
    n = _copy(out, b"qclass-")
    return n + put_uint(out + n, number)


cdef Py_ssize_t put_text(uint8_t* out, const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """Text of bytes that may be anything (room: 4 * n). Control characters become \\xNN, and
    so do all bytes beyond ASCII unless the whole is well-formed UTF-8."""
    cdef Py_ssize_t i, o = 0
    cdef bint text = utf8_valid(p, n) == n
    for i in range(n):
        if (
            p[i] < 8 or p[i] == 11 or 13 < p[i] < 0x20 or p[i] == 0x7F
            or (p[i] > 0x7F and not text)
        ):
            out[o] = b"\\"
            out[o + 1] = b"x"
            put_hex_bytes(out + o + 2, p + i, 1)
            o += 4
        else:
            out[o] = p[i]
            o += 1
    return o


cdef Py_ssize_t read_name(Cursor* c, uint8_t* out, bint long_labels, bint* broken) noexcept nogil:
    """The name at the cursor (section 4.1.4), lower case and without the last dot, to `out`
    (room: NAME_ROOM); its length. The cursor moves past it, not past what it points to.

    Pointers are followed only towards the beginning, each one further than the last, and no
    more of them than a name has labels. Where the name is broken off, `broken` is set and what
    was read is returned.
    """
    cdef Cursor at = c[0]
    cdef const uint8_t* limit = c.end       # a pointer must lead to before this
    cdef const uint8_t* p
    cdef Py_ssize_t n = 0, i
    cdef int length, jumps = 0
    cdef bint jumped = False
    while True:
        if left(&at) < 1:
            broken[0] = True
            break
        p = take(&at, 1, b"label")
        length = p[0]
        if length == 0:
            break
        if length & 0xC0 == 0xC0:
            if left(&at) < 1:
                broken[0] = True
                break
            length = (length & 0x3F) << 8 | take(&at, 1, b"pointer")[0]
            if not jumped:
                c.at = at.at
                jumped = True
            jumps += 1
            if c.start + length >= p or c.start + length >= limit or jumps > MAX_JUMPS:
                broken[0] = True
                break
            limit = c.start + length
            at.at = limit
            at.end = p                      # names do not run into who points to them
            continue
        if (length > 63 and not long_labels) or length > left(&at) or n + length + 1 > NAME_ROOM:
            broken[0] = True
            if not jumped:
                c.at = c.end                # nothing after it can be told
            return n - 1 if n else 0
        p = take(&at, length, b"label")
        for i in range(length):
            out[n] = p[i] | 0x20 if 65 <= p[i] <= 90 else p[i]
            n += 1
        out[n] = b"."
        n += 1
    if not jumped:
        c.at = at.at
    return n - 1 if n else 0


cdef Py_ssize_t _netbios(uint8_t* name, Py_ssize_t n) noexcept nogil:
    """Decodes a NetBIOS name (RFC 1001, section 14.1) in place: two letters a byte, the 16th
    byte is its kind, blanks fill it up."""
    cdef Py_ssize_t i
    cdef uint8_t a, b
    if n < 32:
        return n
    for i in range(32):
        if name[i] < b"a" or name[i] > b"p":
            return n
    for i in range(15):
        a = name[2 * i] - <uint8_t>97
        b = name[2 * i + 1] - <uint8_t>97
        name[i] = <uint8_t>(a << 4 | b)
    i = 0
    while i < 15 and (0x20 < name[i] < 0x7F or 0 < name[i] < 3):     # \1\2__MSBROWSE__
        i += 1
    return i


cdef bint _skip_name(Cursor* c) noexcept nogil:
    cdef int length
    while left(c) > 0:
        length = take(c, 1, b"label")[0]
        if length == 0:
            return True
        if length & 0xC0 == 0xC0:
            length = 1
            if left(c) < 1:
                return False
            take(c, 1, b"pointer")
            return True
        if length > left(c):
            return False
        take(c, length, b"label")
    return False


cdef bint _well_formed(const uint8_t* data, int64_t n) noexcept nogil:
    """Whether questions and answers are all there."""
    cdef Cursor c = span(data, n, 0)
    cdef const uint8_t* h = take(&c, HEADER, b"DNS header")
    cdef int i
    if be16(h + 4) > MAX_QUESTIONS:
        return False
    for i in range(be16(h + 4)):
        if not _skip_name(&c) or left(&c) < 4:
            return False
        take(&c, 4, b"question")
    for i in range(be16(h + 6)):
        if not _skip_name(&c) or left(&c) < 10:
            return False
        h = take(&c, 10, b"resource record")
        if left(&c) < be16(h + 8):
            return False
        take(&c, be16(h + 8), b"resource data")
    return True


cdef bint is_question(const uint8_t* data, int64_t n) noexcept nogil:
    """One question of a known type and class about a name of printable labels, at most an OPT
    record behind it, and not a byte more: what speaks DNS on a port of its own."""
    cdef Cursor c = span(data, n, 0)
    cdef const uint8_t* h
    cdef const uint8_t* p
    cdef int length, i
    if n < HEADER + 7:
        return False
    h = take(&c, HEADER, b"DNS header")
    # QR, opcode, AA, TC, RA, the reserved bit and the response code are 0 in a question.
    if be16(h + 2) & 0xFECF or be16(h + 4) != 1 or be16(h + 6) or be16(h + 8) or be16(h + 10) > 1:
        return False
    while True:
        if left(&c) < 1:
            return False
        length = take(&c, 1, b"label")[0]
        if length == 0:
            break
        if length > 63 or left(&c) < length:
            return False
        p = take(&c, length, b"label")
        for i in range(length):
            if p[i] <= 0x20 or p[i] >= 0x7F:
                return False
    if c.at - h < HEADER + 3 or left(&c) < 4:
        return False
    p = take(&c, 4, b"question")
    if type_names[be16(p)] is NULL or (be16(p + 2) != 1 and be16(p + 2) != 255):
        return False
    if be16(h + 10):
        if left(&c) < 11:
            return False
        p = take(&c, 11, b"OPT record")
        if p[0] or be16(p + 1) != TYPE_OPT or left(&c) < be16(p + 9):
            return False
        take(&c, be16(p + 9), b"options")
    return left(&c) == 0


cdef bint is_reply(const uint8_t* data, int64_t n) noexcept nogil:
    """A well-formed answer to one question."""
    if n < HEADER or not be16(data + 2) & QR or be16(data + 4) != 1:
        return False
    return _well_formed(data, n)


cdef class Transactions:
    """Questions and answers of one capture."""

    def __cinit__(self):
        rows = self.rows = Rows("dns_activity", TABLES["dns_activity"].schema)
        self.time = rows.column("time")
        self.time_ns = rows.column("time_ns")
        self.activity_id = rows.column("activity_id")
        self.status_id = rows.column("status_id")
        self.sub = rows.column("sub")
        self.record_hash = rows.column("record_hash")
        self.src_offset = rows.column("src_offset")
        self.src_length = rows.column("src_length")
        self.parse_flags = rows.column("parse_flags")
        self.conn_uid = rows.column("conn_uid")
        self.community_id = rows.column("community_id")
        self.src_ip = rows.column("src_ip")
        self.src_port = rows.column("src_port")
        self.dst_ip = rows.column("dst_ip")
        self.dst_port = rows.column("dst_port")
        self.vlan_id = rows.column("vlan_id")
        self.transport = rows.column("transport")
        self.query_hostname = rows.column("query_hostname")
        self.query_type = rows.column("query_type")
        self.query_type_id = rows.column("query_type_id")
        self.query_class = rows.column("query_class")
        self.query_class_id = rows.column("query_class_id")
        self.opcode = rows.column("opcode")
        self.rcode = rows.column("rcode")
        self.rcode_id = rows.column("rcode_id")
        self.rtt_s = rows.column("rtt_s")
        self.aa = rows.column("aa")
        self.tc = rows.column("tc")
        self.rd = rows.column("rd")
        self.ra = rows.column("ra")
        self.z = rows.column("z")
        self.answers = rows.column("answers")
        self.ttls = rows.column("ttls")
        self.answer_items = self.answers.items
        self.ttl_items = self.ttls.items
        self.rejected = rows.column("rejected")
        self.transaction_id = rows.column("transaction_id")
        self.query_len = rows.column("query_len")
        self.response_len = rows.column("response_len")

    def __dealloc__(self):
        cdef Message* m = self.oldest
        cdef Message* newer
        while m is not NULL:
            newer = m.newer
            free(m)
            m = newer

    cdef int message(
        self, Flow* f, int side, const Place* place, const uint8_t* data, int64_t n
    ) except -1 nogil:
        """Takes a message of a flow that speaks DNS; returns the side that sent it."""
        cdef Message m
        cdef Message* other
        cdef uint16_t flags
        cdef bint reply
        if n < HEADER:
            return side
        flags = be16(data + 2)
        reply = flags & QR != 0
        if not f.dns_begun:
            f.dns_begun = True
            if reply and side == ORIG and f.protocol == UDP and not _multicast(f):
                # Who answers first was asked before the capture began.
                flip(f)
                note(f, b"^")
                side = RESP
        if not f.services & DNS and _well_formed(data, n):
            f.services |= DNS
        if flags >> 11 & 15:
            return side         # only standard queries are paired
        m.flow = f
        m.place = place[0]
        m.size = n
        m.data = data
        other = self._take(f, be16(data), not reply)
        if other is NULL:
            self._keep(f, &m)
        elif reply:
            self._row(f, other, &m)
        else:
            self._row(f, &m, other)
        free(other)
        return side

    cdef int flush(self, Flow* f) except -1 nogil:
        """What waits of a flow becomes rows: nothing more will come."""
        while f.messages is not NULL:
            self._alone(f, <Message*>f.messages)
        return 0

    cdef Message* _take(self, Flow* f, uint16_t id, bint reply) noexcept nogil:
        """The first message of a flow that waits with this id, taken out; or NULL."""
        cdef Message* m = <Message*>f.messages
        while m is not NULL:
            if be16(m.data) == id and (be16(m.data + 2) & QR != 0) == reply:
                self._unlink(m)
                return m
            m = m.next
        return NULL

    cdef int _keep(self, Flow* f, const Message* m) except -1 nogil:
        cdef Message* kept
        cdef Message* last
        if f.waiting >= WAITING:
            self.flush(f)
        while self.held > HELD_LIMIT and self.oldest is not NULL:
            self._alone(self.oldest.flow, self.oldest)
        kept = <Message*>malloc(sizeof(Message) + m.size)
        if kept is NULL:
            with gil:
                raise MemoryError(f"{m.size} bytes for a DNS message")
        kept[0] = m[0]
        memcpy(kept + 1, m.data, m.size)
        kept.data = <const uint8_t*>(kept + 1)
        kept.next = NULL
        kept.older = self.newest
        kept.newer = NULL
        if self.newest is NULL:
            self.oldest = kept
        else:
            self.newest.newer = kept
        self.newest = kept
        self.held += sizeof(Message) + m.size
        last = <Message*>f.messages
        if last is NULL:
            f.messages = kept
        else:
            while last.next is not NULL:
                last = last.next
            last.next = kept
        f.waiting += 1
        return 0

    cdef void _unlink(self, Message* m) noexcept nogil:
        cdef Message* before = <Message*>m.flow.messages
        if before == m:
            m.flow.messages = m.next
        else:
            while before.next != m:
                before = before.next
            before.next = m.next
        m.flow.waiting -= 1
        if m.older is NULL:
            self.oldest = m.newer
        else:
            m.older.newer = m.newer
        if m.newer is NULL:
            self.newest = m.older
        else:
            m.newer.older = m.older
        self.held -= sizeof(Message) + m.size

    cdef int _alone(self, Flow* f, Message* m) except -1 nogil:
        """A row for a message without a counterpart, which is freed."""
        self._unlink(m)
        if be16(m.data + 2) & QR:
            self._row(f, NULL, m)
        else:
            self._row(f, m, NULL)
        free(m)
        return 0

    cdef int _row(self, Flow* f, const Message* query, const Message* reply) except -1 nogil:
        cdef Py_ssize_t row = self.rows.count, n
        cdef const Message* first = query if query is not NULL else reply
        cdef uint8_t[64] text
        cdef uint16_t flags, rcode
        if reply is not NULL and query is not NULL and reply.place.offset < query.place.offset:
            first = reply
        if first.place.time != NO_TIME:
            self.time.put(row, first.place.time // 1000)
            self.time_ns.put(row, first.place.time % 1000)
        self.sub.put(row, first.place.sub)
        self.record_hash.put(row, <int64_t>_hash(first))
        self.src_offset.put(row, first.place.offset)
        self.src_length.put(row, first.place.length)
        self.conn_uid.put_valid(row, text, put_uid(text, f))
        n = put_community_id(text, f)
        if n:
            self.community_id.put_valid(row, text, n)
        self.src_ip.put_valid(row, text, put_address(text, &f.address[ORIG]))
        self.src_port.put(row, f.port[ORIG])
        self.dst_ip.put_valid(row, text, put_address(text, &f.address[RESP]))
        self.dst_port.put(row, f.port[RESP])
        if f.vlan >= 0:
            self.vlan_id.put(row, f.vlan)
        self.transport.put_valid(row, b"udp" if f.protocol == UDP else b"tcp", 3)
        self.transaction_id.put(row, be16(first.data))
        self.opcode.put(row, 0)

        # The question as it was asked; where it was not seen, as the answer repeats it.
        if self._question(row, f, query if query is not NULL else reply):
            self.parse_flags.put(row, BROKEN)
        flags = be16((query if query is not NULL else reply).data + 2)
        self.rd.put(row, flags & RD != 0)
        self.z.put(row, flags >> 4 & 7)
        if query is not NULL:
            self.query_len.put(row, query.size)
        if reply is NULL:
            self.activity_id.put(row, 1)        # query
            self.tc.put(row, flags & TC != 0)
            self.rejected.put(row, False)
            return self.rows.done()

        self.activity_id.put(row, 2 if query is NULL else 6)     # response; both
        flags = be16(reply.data + 2)
        rcode = flags & 15
        self.rcode_id.put(row, rcode)
        self.rcode.put_valid(row, <const uint8_t*>rcode_names[rcode], strlen(rcode_names[rcode]))
        self.status_id.put(row, 1 if rcode == 0 else 2)
        self.aa.put(row, flags & AA != 0)
        self.ra.put(row, flags & RA != 0)
        self.tc.put(row, flags & TC != 0)
        self.response_len.put(row, reply.size)
        if be16(reply.data + 4):
            # No records at all: refused, whatever the code says.
            self.rejected.put(
                row, be16(reply.data + 6) == 0 and be16(reply.data + 8) == 0
                and be16(reply.data + 10) == 0,
            )
        else:
            self.rejected.put(row, rcode != 0)
        if first == query and query.place.time != NO_TIME and reply.place.time != NO_TIME:
            self.rtt_s.put(row, <double>(reply.place.time - query.place.time) / 1e9)
        if self._answers(row, f, reply, query is NULL):
            self.parse_flags.put(row, BROKEN)
        return self.rows.done()

    cdef int _question(self, Py_ssize_t row, const Flow* f, const Message* m) except -1 nogil:
        """Section 4.1.2; of several questions the last one. 1 where it is broken."""
        cdef Cursor c = span(m.data, m.size, 0)
        cdef const uint8_t* h = take(&c, HEADER, b"DNS header")
        cdef uint8_t[NAME_ROOM] name
        cdef uint8_t[TEXT_ROOM] text
        cdef Py_ssize_t n
        cdef int i, count = be16(h + 4)
        cdef uint16_t type, number
        cdef bint broken = False
        if count > MAX_QUESTIONS:
            return 1
        for i in range(count):
            n = read_name(&c, name, f.port[RESP] == NBNS, &broken)
            if left(&c) < 4:
                return 1
            h = take(&c, 4, b"question")
            if i < count - 1:
                continue
            type = be16(h)
            number = be16(h + 2)
            if f.port[RESP] == NBNS:
                n = _netbios(name, n)
            self.query_hostname.put_valid(row, text, put_text(text, name, n))
            self.query_type_id.put(row, type)
            self.query_type.put_valid(row, text, _type_name(text, type, f.port[RESP]))
            self.query_class_id.put(row, number)
            self.query_class.put_valid(row, text, _class_name(text, number))
        return 1 if broken else 0

    cdef int _answers(
        self, Py_ssize_t row, const Flow* f, const Message* m, bint alone
    ) except -1 nogil:
        """Section 4.1.3: the answer section. 1 where it is broken."""
        cdef Cursor c = span(m.data, m.size, 0)
        cdef const uint8_t* h = take(&c, HEADER, b"DNS header")
        cdef uint8_t[NAME_ROOM] name
        cdef uint8_t[TEXT_ROOM] text
        cdef Cursor data
        cdef Py_ssize_t items = -1, n, length
        cdef int i, questions = be16(h + 4), count = be16(h + 6)
        cdef bint broken = False
        cdef uint8_t* out
        if questions > MAX_QUESTIONS:
            return 1
        for i in range(questions):
            read_name(&c, name, True, &broken)
            if left(&c) < 4:
                return 1
            take(&c, 4, b"question")
        for i in range(count):
            n = read_name(&c, name, True, &broken)
            if left(&c) < 10:
                return 1
            h = take(&c, 10, b"resource record")
            length = be16(h + 8)
            if left(&c) < length:
                return 1
            data = c
            data.end = c.at + length
            take(&c, length, b"resource data")
            if i == 0 and questions == 0 and alone:
                # Multicast answers need no question: it was for the first answer's owner.
                self.query_hostname.put_valid(row, text, put_text(text, name, n))
            if items < 0:
                items = self.answers.open(row)
                self.ttls.open(row)
            out = self.answer_items.room(items, 2 * TEXT_ROOM + 9 * length + 64)
            n = put_answer(out, be16(h), name, n, &data, f.port[RESP], &broken)
            if n < 0:
                self._close(items)
                return 1
            if n:
                self.answer_items.wrote(n)
                self.ttl_items.put(items, be32(h + 4))
                items += 1
        self._close(items)
        return 1 if broken else 0

    cdef int _close(self, Py_ssize_t items) except -1 nogil:
        if items >= 0:
            self.answers.close(items)
            self.ttls.close(items)
        return 0


cdef Py_ssize_t put_answer(
    uint8_t* out, uint16_t type, const uint8_t* owner, Py_ssize_t owner_length, Cursor* c,
    uint16_t port, bint* broken,
) noexcept nogil:
    """The text of a resource record's data as dns.log gives it; 0 where it gives none, -1 where
    the data are too short. Room: two names as text, nine times the data (empty strings of a TXT
    are seven characters each) and 64."""
    cdef uint8_t[NAME_ROOM] name
    cdef const uint8_t* p
    cdef Py_ssize_t n, length
    if type == TYPE_A:
        if left(c) != 4:
            return -1
        return put_ipv4(out, take(c, 4, b"address"))
    if type == TYPE_AAAA or type == TYPE_A6:
        if left(c) < 16:
            return -1
        p = take(c, 16, b"address")
        if memcmp(p, b"\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0:
            return put_ipv4(out, p + 12)
        return put_ipv6(out, p)
    if type == TYPE_NS or type == TYPE_CNAME or type == TYPE_PTR or type == TYPE_SOA:
        return put_text(out, name, read_name(c, name, True, broken))
    if type == TYPE_MX:
        if left(c) < 2:
            return -1
        take(c, 2, b"preference")
        return put_text(out, name, read_name(c, name, True, broken))
    if type == TYPE_SRV:
        if port == NBNS:
            return 0
        if left(c) < 6:
            return -1
        take(c, 6, b"priority, weight, port")
        return put_text(out, name, read_name(c, name, True, broken))
    if type == TYPE_TXT or type == TYPE_SPF:
        n = 0
        while left(c):
            length = take(c, 1, b"length")[0]
            if length > left(c):
                broken[0] = True
                break
            p = take(c, length, b"character string")
            if n:
                out[n] = b" "
                n += 1
            n += _copy(out + n, b"TXT " if type == TYPE_TXT else b"SPF ")
            n += put_uint(out + n, length)
            out[n] = b" "
            n += 1
            n += put_text(out + n, p, length)
        return n
    if type == TYPE_RRSIG:
        if left(c) < 18:
            return -1
        p = take(c, 18, b"RRSIG")
        n = _copy(out, b"RRSIG ")
        n += put_uint(out + n, be16(p))
        length = read_name(c, name, True, broken)
        out[n] = b" "
        n += 1
        if length == 0:
            return n + _copy(out + n, b"<Root>")
        return n + put_text(out + n, name, length)
    if type == TYPE_DNSKEY:
        if left(c) < 4:
            return -1
        p = take(c, 4, b"DNSKEY")
        n = _copy(out, b"DNSKEY ")
        return n + put_uint(out + n, p[3])
    if type == TYPE_DS:
        if left(c) < 4:
            return -1
        p = take(c, 4, b"DS")
        n = _copy(out, b"DS ")
        n += put_uint(out + n, p[2])
        out[n] = b" "
        n += 1
        return n + put_uint(out + n, p[3])
    if type == TYPE_NSEC:
        n = _copy(out, b"NSEC ")
        n += put_text(out + n, owner, owner_length)
        out[n] = b" "
        n += 1
        return n + put_text(out + n, name, read_name(c, name, True, broken))
    if type == TYPE_NSEC3:
        return _copy(out, b"NSEC3")
    if type == TYPE_NSEC3PARAM:
        return _copy(out, b"NSEC3PARAM")
    if type == TYPE_BIND_SIGNING:
        return _copy(out, b"BIND9 signing signal")
    if type == TYPE_SSHFP:
        if left(c) < 2:
            return -1
        take(c, 2, b"SSHFP")
        n = _copy(out, b"SSHFP: ")
        length = left(c)
        return n + put_hex_bytes(out + n, take(c, length, b"fingerprint"), length)
    if type == TYPE_LOC:
        if left(c) < 16:
            return -1
        p = take(c, 16, b"LOC")
        n = _copy(out, b"LOC:  ")
        n += put_uint(out + n, p[1])
        out[n] = b" "
        n += 1
        n += put_uint(out + n, p[2])
        out[n] = b" "
        n += 1
        return n + put_uint(out + n, p[3])
    if (
        type == TYPE_WKS or type == TYPE_HINFO or type == TYPE_NB or type == TYPE_OPT
        or type == TYPE_TSIG or type == TYPE_CAA or type == TYPE_SVCB or type == TYPE_HTTPS
    ):
        return 0
    n = _copy(out, b"<unknown type=")
    n += put_uint(out + n, type)
    out[n] = b">"
    return n + 1


cdef bint _multicast(const Flow* f) noexcept nogil:
    cdef const uint8_t* b = <const uint8_t*>&f.address[RESP]
    if is_ipv4(&f.address[RESP]):
        return b[12] & 0xF0 == 0xE0
    return b[0] == 0xFF


cdef uint64_t _hash(const Message* m) noexcept nogil:
    """Of the message's bytes and its time: the same transaction in another capture is equal."""
    cdef uint64_t h = 0x2D358DCCAA6C78A5ULL ^ <uint64_t>m.place.time, word
    cdef int64_t i = 0, n
    while i < m.size:
        n = m.size - i
        if n > 8:
            n = 8
        word = 0
        memcpy(&word, m.data + i, n)
        h = fold(h ^ word, 0xA0761D6478BD642FULL ^ <uint64_t>m.size)
        i += 8
    return h
