"""DHCP (RFC 2131, options RFC 2132): what was said under one transaction id, in whichever flows, is
one row of net_service_activity.

A client without an address speaks from 0.0.0.0 to everybody, and the answer is a flow of its own:
messages are joined by the transaction id, as Zeek's dhcp.log joins them. Every ten seconds of
packet time, what has been silent for five seconds or is older than thirty becomes a row; so does
what has 50 messages or 10 flows. At most LIMIT transactions are open: beyond, the oldest becomes a row.
"""

import os

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from tracelake.native.account cimport Account
from tracelake.native.columns cimport DictColumn, DoubleColumn, ListColumn, TextColumn
from tracelake.native.cursor cimport Cursor, be32, left, span
from tracelake.native.flowtable cimport fold
from tracelake.native.text cimport put_hex_bytes, put_ipv4, put_mac
from tracelake.parsers.conn cimport ORIG, RESP, Flow, Place, is_ipv4, put_address, put_uid
from tracelake.parsers.packet cimport NO_TIME, Address
from tracelake.parsers.protocols.netservice cimport DHCP, ServiceSheet
from tracelake.parsers.protocols.protocol cimport NO, YES, Guess, Protocol, Talk, confirm, place
from tracelake.parsers.protocols.sheet cimport Sheets
from tracelake.parsers.protocols.words cimport (
    Names, Word, no_word, put_held, put_text, set_word,
)
from tracelake.parsers.services cimport service

cdef int SERVICE = service("dhcp")

cdef enum:
    HEADER = 240                # op ... file, and the magic cookie
    COOKIE = 0x63825363
    LIMIT = 16384               # transactions that are open
    SLOTS = 65536
    MAX_FLOWS = 10
    MAX_MESSAGES = 50
    UID_ROOM = 20
    CLIENT = 68
    SERVER = 67

# Options (RFC 2132; 81: RFC 4702).
cdef enum:
    PAD = 0
    HOST_NAME = 12
    DOMAIN_NAME = 15
    REQUESTED_ADDRESS = 50
    LEASE_TIME = 51
    OVERLOAD = 52
    MESSAGE_TYPE = 53
    MESSAGE = 56
    VENDOR_CLASS = 60
    CLIENT_ID = 61
    CLIENT_FQDN = 81
    END = 255

MESSAGE_TYPES: dict[int, str] = {
    1: "DISCOVER", 2: "OFFER", 3: "REQUEST", 4: "DECLINE", 5: "ACK", 6: "NAK", 7: "RELEASE",
    8: "INFORM", 9: "FORCERENEW", 10: "LEASEQUERY", 11: "LEASEUNASSIGNED", 12: "LEASEUNKNOWN",
    13: "LEASEACTIVE", 14: "BULKLEASEQUERY", 15: "LEASEQUERYDONE", 16: "ACTIVELEASEQUERY",
    17: "LEASEQUERYSTATUS", 18: "TLS",
}
cdef Names TYPE_NAMES = Names(MESSAGE_TYPES)

cdef int64_t SECOND = 1000000000


# What one message says.
cdef struct Message:
    int type
    uint32_t xid
    uint32_t given              # yiaddr
    const uint8_t* chaddr
    uint32_t requested
    bint has_requested
    uint32_t lease
    bint has_lease
    bint cut                    # options that are not all there
    Word host_name
    Word domain
    Word message
    Word fqdn
    Word vendor_class
    Word mac                    # of the client id, as text


# What was said under one transaction id.
cdef struct Exchange:
    Exchange* chain             # of the same slot
    Exchange* older
    Exchange* newer
    uint32_t xid
    Flow flow                   # as it was when the first message came
    Place place
    bint timed                  # the first packet has a time: the table is looked at by it
    int64_t seen                # when the transaction was begun, in whole seconds since the start
    int64_t first               # nanoseconds
    int64_t last
    int flows
    uint8_t[MAX_FLOWS][UID_ROOM] uid
    uint8_t[MAX_FLOWS] uid_length
    int messages
    uint8_t[MAX_MESSAGES] types
    bint cut
    Word mac
    Word chaddr                 # what the client gave where it gave no client id
    Word client
    Word server
    Word host_name
    Word fqdn
    Word domain
    Word client_message
    Word server_message
    Word vendor_class
    uint32_t requested
    bint has_requested
    uint32_t given
    uint32_t lease
    bint has_lease


cdef Py_ssize_t _mac(uint8_t* out, const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """A link address as Zeek writes one: six bytes, or eight where more than six are not zero."""
    cdef Py_ssize_t size = 8, i
    if n < 8 and n != 6:
        return 0
    if n == 6 or (p[6] == 0 and p[7] == 0):
        return put_mac(out, p)
    for i in range(size):
        put_hex_bytes(out + 3 * i, p + i, 1)
        out[3 * i + 2] = b":"
    return 3 * size - 1


cdef int _option(Message* m, int code, const uint8_t* p, int n) noexcept nogil:
    cdef uint8_t[64] text
    cdef int i
    if code == MESSAGE_TYPE and n >= 1 and not m.type:
        m.type = p[0]
    elif code == HOST_NAME:
        set_word(&m.host_name, p, n)
    elif code == DOMAIN_NAME:
        while n and p[n - 1] == 0:
            n -= 1
        set_word(&m.domain, p, n)
    elif code == MESSAGE:
        set_word(&m.message, p, n)
    elif code == VENDOR_CLASS:
        set_word(&m.vendor_class, p, n)
    elif code == REQUESTED_ADDRESS and n >= 4:
        m.requested = be32(p)
        m.has_requested = True
    elif code == LEASE_TIME and n >= 4:
        m.lease = be32(p)
        m.has_lease = True
    elif code == CLIENT_FQDN and n >= 3:
        set_word(&m.fqdn, p + 3, n - 3)
    elif code == CLIENT_ID and n >= 1 and p[0] == 1:        # Ethernet
        i = <int>_mac(text, p + 1, n - 1)
        set_word(&m.mac, text, i)
    return p[0] if code == OVERLOAD and n >= 1 else 0


cdef int _options(Message* m, Cursor* c, bint must_end) noexcept nogil:
    """Reads options; the value of option 52 where there is one."""
    cdef int code, n, overload = 0, found
    while left(c) > 0:
        code = c.at[0]
        c.at += 1
        if code == END:
            return overload
        if code == PAD:
            continue
        if left(c) < 1 or left(c) < 1 + c.at[0]:
            m.cut = True
            return overload
        n = c.at[0]
        c.at += 1
        found = _option(m, code, c.at, n)
        if found:
            overload = found
        c.at += n
    if must_end:
        m.cut = True
    return overload


cdef bint _read(const uint8_t* p, int64_t n, Message* m) noexcept nogil:
    cdef Cursor c
    cdef int overload
    if not _is_dhcp(p, n):
        return False
    memset(m, 0, sizeof(Message))
    no_word(&m.host_name)
    no_word(&m.domain)
    no_word(&m.message)
    no_word(&m.fqdn)
    no_word(&m.vendor_class)
    no_word(&m.mac)
    m.xid = be32(p + 4)
    m.given = be32(p + 16)
    m.chaddr = p + 28
    c = span(p + HEADER, n - HEADER, 0)
    overload = _options(m, &c, True)
    # Options that go on in the fields `file` and `sname` (RFC 2132, section 9.3): each once,
    # whatever they say themselves.
    if overload & 1:
        c = span(p + 108, 128, 0)
        _options(m, &c, False)
    if overload & 2:
        c = span(p + 44, 64, 0)
        _options(m, &c, False)
    return True


cdef inline bint _is_dhcp(const uint8_t* p, int64_t n) noexcept nogil:
    return n >= HEADER and (p[0] == 1 or p[0] == 2) and be32(p + 236) == COOKIE


cdef class Dhcp(Protocol):
    cdef ServiceSheet sheet
    cdef DictColumn client_mac, assigned_ip, requested_ip, hostname, fqdn, domain, client_ip
    cdef DictColumn server_ip, vendor_class
    cdef TextColumn client_message, server_message
    cdef DoubleColumn lease_s, duration_s
    cdef ListColumn message_types, conn_uids
    cdef TextColumn type_items, uid_items
    cdef Exchange** slots
    cdef Exchange* oldest           # of those that time ends
    cdef Exchange* newest
    cdef Exchange* oldest_untimed
    cdef Exchange* newest_untimed
    cdef readonly int64_t open
    cdef uint64_t seed
    cdef int64_t start              # of the capture, nanoseconds; -1: not known yet
    cdef int64_t clock              # never goes back

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "dhcp"
        self.ports = (67, 68, 4011)
        self.sheet = ServiceSheet(sheets)
        rows = self.sheet.rows
        self.client_mac = rows.column("client_mac")
        self.assigned_ip = rows.column("assigned_ip")
        self.requested_ip = rows.column("requested_ip")
        self.hostname = rows.column("hostname")
        self.fqdn = rows.column("fqdn")
        self.domain = rows.column("domain")
        self.client_ip = rows.column("client_ip")
        self.server_ip = rows.column("server_ip")
        self.vendor_class = rows.column("vendor_class")
        self.client_message = rows.column("client_message")
        self.server_message = rows.column("server_message")
        self.lease_s = rows.column("lease_s")
        self.duration_s = rows.column("duration_s")
        self.message_types = rows.column("message_types")
        self.conn_uids = rows.column("conn_uids")
        self.type_items = self.message_types.items
        self.uid_items = self.conn_uids.items
        self.slots = <Exchange**>calloc(SLOTS, sizeof(Exchange*))
        if self.slots is NULL:
            raise MemoryError()
        self.seed = int.from_bytes(os.urandom(8), "little")
        self.start = -1

    def __dealloc__(self):
        cdef Exchange* x
        cdef Exchange* next
        cdef int i
        for i in range(SLOTS if self.slots is not NULL else 0):
            x = self.slots[i]
            while x is not NULL:
                next = x.chain
                free(x)
                x = next
        free(self.slots)

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        if t.flow.protocol != 17:
            return NO
        return YES if _is_dhcp(orig if n else resp, n if n else m) else NO

    cdef int datagram(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef Message m
        cdef Exchange* x
        cdef Place found
        if not _read(p, n, &m):
            return 0
        confirm(t, SERVICE)
        if t.time != NO_TIME and t.time > self.clock:
            self.clock = t.time
        x = self._find(m.xid)
        if x is NULL:
            found = place(t, side, 0)
            x = self._new(t.flow, &found, m.xid)
        self._add(x, t, side, &m)
        if x.flows >= MAX_FLOWS or x.messages >= MAX_MESSAGES:
            self._close(x)
        return 0

    cdef int tick(self, int64_t now, bint last) except -1 nogil:
        """Zeek's `join_data`: made 10 seconds ago, and silent for 5 or older than 30."""
        cdef Exchange* x = self.oldest
        cdef Exchange* newer
        if self.start < 0:
            self.start = now
        while x is not NULL:
            newer = x.newer
            if last or (
                self.start + (x.seen + 10) * SECOND < now
                and (now - x.last > 5 * SECOND or now - x.first > 30 * SECOND)
            ):
                self._close(x)
            x = newer
        while last and self.oldest_untimed is not NULL:
            self._close(self.oldest_untimed)
        return 0

    # The transactions that are open.

    cdef inline uint32_t _slot(self, uint32_t xid) noexcept nogil:
        return <uint32_t>fold(self.seed ^ xid, 0xA0761D6478BD642FULL) & (SLOTS - 1)

    cdef Exchange* _find(self, uint32_t xid) noexcept nogil:
        cdef Exchange* x = self.slots[self._slot(xid)]
        while x is not NULL and x.xid != xid:
            x = x.chain
        return x

    cdef Exchange* _new(self, const Flow* f, const Place* place, uint32_t xid) except NULL nogil:
        cdef Exchange* x
        cdef uint32_t slot = self._slot(xid)
        if self.open >= LIMIT:
            self._close(self.oldest if self.oldest is not NULL else self.oldest_untimed)
        x = <Exchange*>calloc(1, sizeof(Exchange))
        if x is NULL:
            with gil:
                raise MemoryError("a DHCP transaction")
        x.xid = xid
        x.flow = f[0]
        x.place = place[0]
        x.timed = place.time != NO_TIME and place.time > 0
        x.first = x.last = self.clock
        if self.start < 0:
            self.start = self.clock
        x.seen = (self.clock - self.start) // SECOND
        no_word(&x.mac)
        no_word(&x.chaddr)
        no_word(&x.client)
        no_word(&x.server)
        no_word(&x.host_name)
        no_word(&x.fqdn)
        no_word(&x.domain)
        no_word(&x.client_message)
        no_word(&x.server_message)
        no_word(&x.vendor_class)
        x.chain = self.slots[slot]
        self.slots[slot] = x
        self.open += 1
        if x.timed:
            x.older = self.newest
            if self.newest is not NULL:
                self.newest.newer = x
            else:
                self.oldest = x
            self.newest = x
        else:
            x.older = self.newest_untimed
            if self.newest_untimed is not NULL:
                self.newest_untimed.newer = x
            else:
                self.oldest_untimed = x
            self.newest_untimed = x
        return x

    cdef int _close(self, Exchange* x) except -1 nogil:
        """Makes a transaction a row, and forgets it."""
        cdef Exchange** link = &self.slots[self._slot(x.xid)]
        while link[0] is not x:
            link = &link[0].chain
        link[0] = x.chain
        if x.older is not NULL:
            x.older.newer = x.newer
        elif x.timed:
            self.oldest = x.newer
        else:
            self.oldest_untimed = x.newer
        if x.newer is not NULL:
            x.newer.older = x.older
        elif x.timed:
            self.newest = x.older
        else:
            self.newest_untimed = x.older
        self.open -= 1
        try:
            self._row(x)
        finally:
            free(x)
        return 0

    cdef int _add(self, Exchange* x, const Talk* t, int side, const Message* m) except -1 nogil:
        """Takes what a message says, as dhcp.log does."""
        cdef uint8_t[64] text
        cdef Py_ssize_t n
        cdef int i
        cdef const Flow* f = t.flow
        cdef const Address* orig = &f.address[ORIG]
        # A server that speaks to everybody began its flow itself.
        cdef bint client = side == ORIG and (
            (is_ipv4(orig) and orig.low >> 32 == 0)
            or f.port[ORIG] == CLIENT or f.port[RESP] == SERVER
        )
        x.last = self.clock
        n = put_uid(text, f)
        for i in range(x.flows):
            if x.uid_length[i] == n and memcmp(x.uid[i], text, n) == 0:
                break
        else:
            if n <= UID_ROOM and x.flows < MAX_FLOWS:
                memcpy(x.uid[x.flows], text, n)
                x.uid_length[x.flows] = <uint8_t>n
                x.flows += 1
        x.types[x.messages] = <uint8_t>m.type
        x.messages += 1
        x.cut = x.cut or m.cut
        if m.message.n >= 0:
            if client:
                x.client_message = m.message
            else:
                x.server_message = m.message
        if client:
            if not is_ipv4(orig) or (orig.low >> 32 != 0 and orig.low >> 32 != 0xFFFFFFFFULL):
                set_word(&x.client, text, put_address(text, orig))
            if m.host_name.n >= 0:
                x.host_name = m.host_name
            if m.fqdn.n >= 0:
                x.fqdn = m.fqdn
            if m.vendor_class.n >= 0:
                x.vendor_class = m.vendor_class
            if m.mac.n >= 0:
                x.mac = m.mac
            else:
                set_word(&x.chaddr, text, _mac(text, m.chaddr, 16))
            if m.has_requested:
                x.requested = m.requested
                x.has_requested = True
            return 0
        if m.given:
            x.given = m.given
            set_word(&x.server, text, put_address(text, &f.address[side]))
            if x.client.n < 0:
                set_word(&x.client, text, _ipv4(text, m.given))
        elif x.client.n < 0 and x.given:
            set_word(&x.client, text, _ipv4(text, x.given))
        if x.mac.n < 0:
            set_word(&x.mac, text, _mac(text, m.chaddr, 16))
        if m.domain.n >= 0:
            x.domain = m.domain
        if m.has_lease:
            x.lease = m.lease
            x.has_lease = True
        return 0

    cdef int _row(self, Exchange* x) except -1 nogil:
        cdef int activity = x.types[x.messages - 1]
        cdef uint8_t[64] text
        cdef Py_ssize_t row, item
        cdef const Word* mac = &x.mac if x.mac.n >= 0 else &x.chaddr
        cdef const char* name
        cdef int i
        # OCSF's activities are numbered as the messages are, up to INFORM.
        if activity == 0 or activity > 8:
            activity = 99
        row = self.sheet.begin(&x.flow, &x.place, DHCP, activity, b"dhcp")
        if x.cut:
            self.sheet.sheet.flags(1)
        put_held(self.client_mac, row, mac)
        put_held(self.client_ip, row, &x.client)
        put_held(self.server_ip, row, &x.server)
        put_held(self.hostname, row, &x.host_name)
        put_held(self.fqdn, row, &x.fqdn)
        put_held(self.domain, row, &x.domain)
        put_held(self.vendor_class, row, &x.vendor_class)
        if x.has_requested:
            self.requested_ip.put_valid(row, text, _ipv4(text, x.requested))
        if x.given:
            self.assigned_ip.put_valid(row, text, _ipv4(text, x.given))
        if x.has_lease:
            self.lease_s.put(row, x.lease)
        if x.client_message.n >= 0:
            put_text(self.client_message, row, x.client_message.text, x.client_message.n)
        if x.server_message.n >= 0:
            put_text(self.server_message, row, x.server_message.text, x.server_message.n)
        self.duration_s.put(row, (x.last - x.first) / 1e9)
        item = self.message_types.open(row)
        for i in range(x.messages):
            TYPE_NAMES.put_text(self.type_items, item + i, x.types[i], b"unknown-message-type-")
        self.message_types.close(item + x.messages)
        item = self.conn_uids.open(row)
        for i in range(x.flows):
            self.uid_items.put_valid(item + i, x.uid[i], x.uid_length[i])
        self.conn_uids.close(item + x.flows)
        return self.sheet.done()


cdef inline Py_ssize_t _ipv4(uint8_t* out, uint32_t address) noexcept nogil:
    cdef uint8_t[4] p
    p[0] = <uint8_t>(address >> 24)
    p[1] = <uint8_t>(address >> 16)
    p[2] = <uint8_t>(address >> 8)
    p[3] = <uint8_t>address
    return put_ipv4(out, p)
