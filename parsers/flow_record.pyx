"""A flow record of an exporter, field by field, as a row of network_activity.

What NetFlow, IPFIX and nfdump's files have in common: fields with a number of the registry (IANA,
"IPFIX Information Elements"; mappings/flows/ipfix.toml says their names, kinds and uses) and
big-endian values. A field with a use waits until the record is whole, since ports are none where
the protocol is ICMP, and times are told relative to others. All that no column holds is in
`unmapped` under its name in the registry, or `enterprise.number`.

**Sides.** A record tells of one direction: its source is the side that began, `bytes_out` and
`packets_out` are its counts. What the other side sent stands in `bytes_in` and `packets_in` where
the record has both (RFC 5103; initiator and responder of Cisco's firewalls).

**Bytes** are those of the IP packets, headers included, in `ip_bytes_out` as well as in `bytes_out`,
which is what a query over all sources asks for. Layer 2 octets, and the payload bytes that firewalls
count, are in `bytes_out` only.

**Times.** `time` is the flow's first packet; where a record has none, the first that it has of: last
packet, observation, export, and `time_desc` says so. Of firewall and NAT events `time` is the event.
Times since the exporter's start (sysUpTime) are made absolute by the header, or by
systemInitTimeMilliseconds where the exporter has told it.

**Sampling.** `sampling_interval` is the record's own, or that of its sampler, or the exporter's as
its options told it before. Counts are left as they are.
"""

import os

from libc.stdio cimport snprintf
from libc.string cimport memcpy, memset, strlen

from tracelake.native.cursor cimport be32, be64
from tracelake.native.key cimport Key, key_of
from tracelake.native.names cimport names_add, names_find, names_start
from tracelake.native.text cimport (
    put_hex_bytes, put_int, put_ipv4, put_ipv6, put_iso_time, put_mac, put_uint,
)
from tracelake.normalize import TABLES, parsed
from tracelake.parsers.conn cimport ORIG, RESP, put_community_id
from tracelake.parsers.flags cimport TEXT_REPAIRED
from tracelake.parsers.flow cimport icmp_counterpart, internal

cdef enum:
    ELEMENTS = 1024                 # numbers of the registry that are looked up directly
    VENDORS = 32                    # numbers beyond
    TEXT_ROOM = 2 * 65536 + 64      # the longest field in hexadecimal digits
    WORDS_MOST = 65536              # names of applications that are kept,
    WORD_MOST = 1024                # bytes of one, and
    WORDS_BYTES = 4194304           # of all
    LATER = 60000                   # milliseconds that a flow can seem to be later than its export
    ICMP_4 = 1
    TCP = 6
    UDP = 17
    ICMP_6 = 58
    SCTP = 132

cdef extern from *:
    """
    #define TL_NTP_EPOCH 2208988800LL       /* 1900 to 1970, seconds */
    #define TL_NTP_ERA 4294967296LL         /* 2 ** 32 */
    #define TL_YEAR_10000 253402300800LL
    """
    int64_t NTP_EPOCH "TL_NTP_EPOCH"
    int64_t NTP_ERA "TL_NTP_ERA"
    int64_t YEAR_10000 "TL_YEAR_10000"

KINDS = {
    "number": NUMBER, "signed": SIGNED, "float": FLOAT, "truth": TRUTH, "text": TEXT, "mac": MAC,
    "ipv4": IPV4, "ipv6": IPV6, "seconds": SECONDS, "milliseconds": MILLISECONDS, "ntp": NTP,
    "mpls": MPLS, "octets": OCTETS_KIND, "unknown": UNKNOWN,
}
FIELD_USES = {
    "src_ip": SRC_IP, "dst_ip": DST_IP, "src_port": SRC_PORT, "dst_port": DST_PORT,
    "protocol": PROTOCOL, "ip_version": IP_VERSION, "tcp_flags": TCP_FLAGS, "octets": OCTETS,
    "packets": PACKETS, "octets_in": OCTETS_IN, "packets_in": PACKETS_IN, "icmp": ICMP,
    "icmp_type": ICMP_TYPE, "icmp_code": ICMP_CODE, "src_mac": SRC_MAC, "dst_mac": DST_MAC,
    "vlan_id": VLAN_ID, "inner_vlan_id": INNER_VLAN_ID, "src_interface": SRC_INTERFACE,
    "dst_interface": DST_INTERFACE, "src_asn": SRC_ASN, "dst_asn": DST_ASN,
    "src_nat_ip": SRC_NAT_IP, "dst_nat_ip": DST_NAT_IP, "src_nat_port": SRC_NAT_PORT,
    "dst_nat_port": DST_NAT_PORT, "user_name": USER_NAME, "application": APPLICATION,
    "app_protocol": APP_PROTOCOL, "device_ip": DEVICE_IP, "start": START, "end": END,
    "start_uptime": START_UPTIME, "end_uptime": END_UPTIME, "start_before": START_BEFORE,
    "end_before": END_BEFORE, "duration_ms": DURATION_MS, "duration_us": DURATION_US,
    "observed": OBSERVED, "boot": BOOT, "sampling_interval": SAMPLING_INTERVAL,
    "sampling_packets": SAMPLING_PACKETS, "sampling_space": SAMPLING_SPACE,
    "sampling_size": SAMPLING_SIZE, "sampling_population": SAMPLING_POPULATION, "sampler": SAMPLER,
    "forwarding_status": FORWARDING_STATUS, "firewall_event": FIREWALL_EVENT,
    "nat_event": NAT_EVENT, "biflow": BIFLOW, "one_of": ONE_OF, "padding": PADDING,
}
# Of fields with the same use the one that stands first here is taken; else the first of the record.
cdef uint16_t[16] PREFERRED = [1, 85, 231, 352, 2, 86, 298, 156, 154, 152, 150, 157, 155, 153, 151, 0]


cdef struct Element:
    const uint8_t* name
    uint16_t number
    uint8_t name_length             # 0: not in the registry
    uint8_t kind
    uint8_t use


cdef Element[ELEMENTS] elements
cdef Element[ELEMENTS] reverse
cdef Element[VENDORS] vendors
cdef Element[VENDORS] scopes
cdef int vendor_count = 0
cdef int scope_count = 0
cdef list _names = []               # what the elements point to

REGISTRY = parsed.parse((parsed.FOLDER / "flows" / "ipfix.toml").read_text("utf-8"))
NUMBERS = {text.split()[0]: int(number) for number, text in REGISTRY["elements"].items()}
"""Number of each element of the registry by its name."""


cdef int _enter(Element* e, int number, str name, str kind, str use) except -1:
    cdef bytes kept = name.encode()
    if len(kept) > 63:
        raise ValueError(f"a name is too long: {name}")
    _names.append(kept)
    e.name = kept
    e.name_length = <uint8_t>len(kept)
    e.number = <uint16_t>number
    e.kind = KINDS[kind]
    e.use = FIELD_USES[use] if use else NO_USE
    return 0


cdef int _read_registry() except -1:
    global vendor_count, scope_count
    cdef Element* e
    for number, text in REGISTRY["elements"].items():
        name, kind, use = [*text.split(), ""][:3]
        if int(number) >= ELEMENTS:
            raise ValueError(f"ipfix.toml: {number} is beyond the table")
        _enter(&elements[int(number)], int(number), name, kind, use)
        e = &reverse[int(number)]
        _enter(e, int(number), f"reverse{name[0].upper()}{name[1:]}", kind, "")
        if use == "octets":
            e.use = OCTETS_IN
        elif use == "packets":
            e.use = PACKETS_IN
        elif use == "tcp_flags":
            e.use = REVERSE_TCP_FLAGS
    for number, text in REGISTRY["version_9"].items():
        name, kind, use = [*text.split(), ""][:3]
        _enter(&vendors[vendor_count], int(number), name, kind, use)
        vendor_count += 1
    for number, text in REGISTRY["version_9_scopes"].items():
        name, kind, use = [*text.split(), ""][:3]
        _enter(&scopes[scope_count], int(number), name, kind, use)
        scope_count += 1
    return 0


_read_registry()


cdef int _named(Field* f, const Element* e) noexcept nogil:
    f.name = e.name
    f.name_length = e.name_length
    f.kind = e.kind
    f.use = e.use
    f.batch = 0
    return 0


cdef int _unnamed(Field* f, uint8_t* room) noexcept nogil:
    """`enterprise.number`."""
    cdef Py_ssize_t n = put_uint(room, f.enterprise)
    room[n] = b"."
    n += 1
    f.name_length = <uint8_t>(n + put_uint(room + n, f.id))
    f.name = room
    f.kind = UNKNOWN
    f.use = NO_USE
    f.batch = 0
    return 0


cdef int define(Field* f, int version, uint8_t* room) noexcept nogil:
    cdef int i
    if f.enterprise == 0 and f.id < ELEMENTS and elements[f.id].name_length:
        return _named(f, &elements[f.id])
    if f.enterprise == REVERSE and f.id < ELEMENTS and reverse[f.id].name_length:
        return _named(f, &reverse[f.id])
    if version == 9:
        for i in range(vendor_count):
            if vendors[i].number == f.id:
                return _named(f, &vendors[i])
    return _unnamed(f, room)


cdef int define_scope(Field* f, uint8_t* room) noexcept nogil:
    cdef int i
    for i in range(scope_count):
        if scopes[i].number == f.id:
            return _named(f, &scopes[i])
    memcpy(room, b"scope", 5)
    f.name_length = <uint8_t>(5 + put_uint(room + 5, f.id))
    f.name = room
    f.kind = UNKNOWN
    f.use = ONE_OF
    f.batch = 0
    return 0


cdef int _rank(const Field* f) noexcept nogil:
    cdef int i
    for i in range(15):
        if PREFERRED[i] == f.id and (f.enterprise == 0 or f.enterprise == REVERSE):
            return i
    return 15


cdef int settle(Field* fields, Py_ssize_t count) noexcept nogil:
    cdef (Field*)[USES] best
    cdef Field* f
    cdef Py_ssize_t i
    memset(best, 0, sizeof(best))
    for i in range(count):
        f = &fields[i]
        # An address of either version may be the one that is not zero: told record by record.
        if f.use == NO_USE or f.use == PADDING or f.use == ONE_OF or f.kind == IPV4 or (
            f.kind == IPV6
        ):
            continue
        if best[f.use] is NULL:
            best[f.use] = f
        elif _rank(f) < _rank(best[f.use]):
            best[f.use].use = NO_USE
            best[f.use] = f
        else:
            f.use = NO_USE
    return 0


cdef const char* _transport(int64_t protocol) noexcept nogil:
    """IANA's keyword of a protocol; NULL where it is not a usual one. ICMPv6 is `icmp`, too."""
    if protocol == TCP:
        return b"tcp"
    if protocol == UDP:
        return b"udp"
    if protocol == ICMP_4 or protocol == ICMP_6:
        return b"icmp"
    if protocol == 2:
        return b"igmp"
    if protocol == 4:
        return b"ipv4"
    if protocol == 33:
        return b"dccp"
    if protocol == 41:
        return b"ipv6"
    if protocol == 46:
        return b"rsvp"
    if protocol == 47:
        return b"gre"
    if protocol == 50:
        return b"esp"
    if protocol == 51:
        return b"ah"
    if protocol == 88:
        return b"eigrp"
    if protocol == 89:
        return b"ospf"
    if protocol == 103:
        return b"pim"
    if protocol == 112:
        return b"vrrp"
    if protocol == 115:
        return b"l2tp"
    if protocol == SCTP:
        return b"sctp"
    if protocol == 136:
        return b"udplite"
    return NULL


cdef bint _zeros(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        if p[i]:
            return False
    return True


cdef bint _absolute(int kind, const uint8_t* p, Py_ssize_t n, int64_t* us, int* ns) noexcept nogil:
    """A time as microseconds since 1970 and nanoseconds below; False where it is none."""
    cdef uint64_t value, seconds, fraction
    if n < 1 or n > 8:
        return False
    value = number_at(p, n)
    ns[0] = 0
    if value == 0:
        return False
    if kind == SECONDS:
        if value >= <uint64_t>YEAR_10000:
            return False
        us[0] = <int64_t>value * 1000000
        return True
    if kind == MILLISECONDS:
        if value >= <uint64_t>YEAR_10000 * 1000:
            return False
        us[0] = <int64_t>value * 1000
        return True
    if kind != NTP or n != 8:
        return False
    seconds = value >> 32
    # Nanoseconds, rounded: a fraction of 32 bits is finer than a nanosecond, and was cut off.
    fraction = ((value & 0xFFFFFFFFULL) * 1000000000ULL + 0x80000000ULL) >> 32
    us[0] = (<int64_t>seconds - NTP_EPOCH) * 1000000
    if seconds < 0x80000000ULL:
        us[0] += NTP_ERA * 1000000          # RFC 5905, 6: from 2036 on
    us[0] += <int64_t>(fraction // 1000)
    ns[0] = <int>(fraction % 1000)
    return True


cdef Py_ssize_t _write(
    int kind, const uint8_t* p, Py_ssize_t n, uint8_t* out
) noexcept nogil:
    """A value as text; `out` has room for 2 * n + 64 bytes. Not for texts."""
    cdef int64_t us = 0
    cdef int ns = 0, i
    cdef uint64_t value
    cdef double real = 0
    cdef float single = 0
    cdef uint32_t bits
    if kind == IPV4 and n == 4:
        return put_ipv4(out, p)
    if kind == IPV6 and n == 16:
        return put_ipv6(out, p)
    if kind == MAC and n == 6:
        return put_mac(out, p)
    if kind == MPLS and n == 3:
        i = snprintf(
            <char*>out, 48, "%u exp=%u bottom=%u", <unsigned int>(number_at(p, 3) >> 4),
            <unsigned int>(p[2] >> 1 & 7), <unsigned int>(p[2] & 1),
        )
        return i
    if kind == SECONDS or kind == MILLISECONDS or kind == NTP:
        if _absolute(kind, p, n, &us, &ns):
            return put_iso_time(out, us, ns)
        kind = UNKNOWN
    if kind == TRUTH and n == 1 and (p[0] == 1 or p[0] == 2):
        if p[0] == 1:
            memcpy(out, b"true", 4)
            return 4
        memcpy(out, b"false", 5)
        return 5
    if kind == FLOAT and n == 8:
        value = be64(p)
        memcpy(&real, &value, 8)
        return snprintf(<char*>out, 48, "%.17g", real)
    if kind == FLOAT and n == 4:
        bits = be32(p)
        memcpy(&single, &bits, 4)
        return snprintf(<char*>out, 48, "%.9g", <double>single)
    if kind == SIGNED and 1 <= n <= 8:
        value = number_at(p, n)
        if n < 8 and p[0] & 0x80:
            value |= ~<uint64_t>0 << (8 * n)
        return put_int(out, <int64_t>value)
    if (kind == NUMBER and 1 <= n <= 8) or (
        (kind == UNKNOWN or kind == TRUTH) and (n == 1 or n == 2 or n == 4 or n == 8)
    ):
        return put_uint(out, number_at(p, n))
    memcpy(out, b"0x", 2)
    return 2 + put_hex_bytes(out + 2, p, n)


cdef class FlowRows:
    """The rows that flow records and options records become."""

    def __cinit__(self):
        cdef Rows rows = Rows("network_activity", TABLES["network_activity"].schema)
        cdef Rows raw = Rows("raw_event", TABLES["raw_event"].schema)
        self.rows = rows
        self.raw = raw
        self.kept = []
        self.text = Buffer()
        self.text.reserve(TEXT_ROOM)
        memset(&self.flow, 0, sizeof(Flow))
        self.src_ip = rows.column("src_ip")
        self.dst_ip = rows.column("dst_ip")
        self.src_mac = rows.column("src_mac")
        self.dst_mac = rows.column("dst_mac")
        self.transport = rows.column("transport")
        self.app_protocol = rows.column("app_protocol")
        self.user_name = rows.column("user_name")
        self.src_nat_ip = rows.column("src_nat_ip")
        self.dst_nat_ip = rows.column("dst_nat_ip")
        self.src_interface = rows.column("src_interface")
        self.dst_interface = rows.column("dst_interface")
        self.device_ip = rows.column("device_ip")
        self.sensor = rows.column("sensor_id")
        self.time_desc = rows.column("time_desc")
        self.provider = rows.column("log_provider")
        self.community_id = rows.column("community_id")
        self.time = rows.column("time")
        self.time_ns = rows.column("time_ns")
        self.end_time = rows.column("end_time")
        self.duration_s = rows.column("duration_s")
        self.activity_id = rows.column("activity_id")
        self.src_port = rows.column("src_port")
        self.dst_port = rows.column("dst_port")
        self.vlan_id = rows.column("vlan_id")
        self.inner_vlan_id = rows.column("inner_vlan_id")
        self.protocol_num = rows.column("protocol_num")
        self.ip_version = rows.column("ip_version")
        self.bytes_out = rows.column("bytes_out")
        self.bytes_in = rows.column("bytes_in")
        self.packets_out = rows.column("packets_out")
        self.packets_in = rows.column("packets_in")
        self.ip_bytes_out = rows.column("ip_bytes_out")
        self.ip_bytes_in = rows.column("ip_bytes_in")
        self.tcp_flags = rows.column("tcp_flags")
        self.icmp_type = rows.column("icmp_type")
        self.icmp_code = rows.column("icmp_code")
        self.direction_id = rows.column("direction_id")
        self.action_id = rows.column("action_id")
        self.src_asn = rows.column("src_asn")
        self.dst_asn = rows.column("dst_asn")
        self.src_nat_port = rows.column("src_nat_port")
        self.dst_nat_port = rows.column("dst_nat_port")
        self.sampling_interval = rows.column("sampling_interval")
        self.sub = rows.column("sub")
        self.record_hash = rows.column("record_hash")
        self.src_offset = rows.column("src_offset")
        self.src_length = rows.column("src_length")
        self.src_record_id = rows.column("src_record_id")
        self.parse_flags = rows.column("parse_flags")
        self.src_internal = rows.column("src_internal")
        self.dst_internal = rows.column("dst_internal")
        self.unmapped = rows.column("unmapped")
        self.raw_time = raw.column("time")
        self.raw_ns = raw.column("time_ns")
        self.raw_desc = raw.column("time_desc")
        self.raw_sub = raw.column("sub")
        self.raw_hash = raw.column("record_hash")
        self.raw_offset = raw.column("src_offset")
        self.raw_length = raw.column("src_length")
        self.raw_id = raw.column("src_record_id")
        self.raw_flags = raw.column("parse_flags")
        self.raw_provider = raw.column("log_provider")
        self.raw_code = raw.column("event_code")
        self.raw_sensor = raw.column("sensor_id")
        self.raw_device = raw.column("device_ip")
        self.raw_unmapped = raw.column("unmapped")

    # --- fields ----------------------------------------------------------------------------

    cdef int take(self, Field* f, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        """The next field of a flow."""
        cdef Slot* slot
        if f.use == NO_USE or f.use == ONE_OF:
            return self._rest(self.rows, self.unmapped, f, p, n)
        if f.use == PADDING:
            return 0
        slot = &self.slots[f.use]
        if self.has >> f.use & 1:
            # Two versions of an address: of the record, one is there as zeros.
            if f.use == SRC_IP or f.use == DST_IP or f.use == SRC_NAT_IP or f.use == DST_NAT_IP:
                if _zeros(slot.p, slot.n) and not _zeros(p, n):
                    self._rest(self.rows, self.unmapped, slot.field, slot.p, slot.n)
                    slot.p, slot.n, slot.field = p, n, f
                    return 0
            return self._rest(self.rows, self.unmapped, f, p, n)
        self.has |= <uint64_t>1 << f.use
        slot.p = p
        slot.n = n
        slot.field = f
        return 0

    cdef int tell(self, Field* f, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        """The next field of an options record: all of it is in `unmapped`."""
        if f.use == PADDING:
            return 0
        if f.use and not self.has >> f.use & 1:
            self.has |= <uint64_t>1 << f.use
            self.slots[f.use].p = p
            self.slots[f.use].n = n
            self.slots[f.use].field = f
        return self._rest(self.raw, self.raw_unmapped, f, p, n)

    cdef int _rest(
        self, Rows rows, MapColumn map, Field* f, const uint8_t* p, Py_ssize_t n
    ) except -1 nogil:
        """Puts a field that has no column."""
        cdef Py_ssize_t i = map.open(rows.count)
        if f.batch != rows.batch:
            f.code = map.keys.code(f.name, f.name_length)
            f.batch = rows.batch
        map.keys.put_code(i, f.code)
        if f.kind == TEXT:
            while n > 0 and p[n - 1] == 0:
                n -= 1
            self.repaired |= map.values.put(i, p, n)
        else:
            map.values.put_valid(i, self.text.data, _write(f.kind, p, n, self.text.data))
        map.close(i + 1)
        return 0

    cdef int _left(self, int use) except -1 nogil:
        """What was held back for a use, and is not used, goes to the rest."""
        cdef Slot* slot = &self.slots[use]
        if self.has >> use & 1:
            return self._rest(self.rows, self.unmapped, slot.field, slot.p, slot.n)
        return 0

    cdef bint _number(self, int use, uint64_t most, int64_t* value) except -1 nogil:
        """The number held back for a use; what is none, or too large, goes to the rest."""
        cdef Slot* slot = &self.slots[use]
        cdef uint64_t number
        if not self.has >> use & 1:
            return False
        if 1 <= slot.n <= 8:
            number = number_at(slot.p, slot.n)
            if number <= most:
                value[0] = <int64_t>number
                return True
        self._left(use)
        return False

    cdef int _ip(
        self, DictColumn column, Py_ssize_t row, const uint8_t* p, Py_ssize_t n
    ) except -1 nogil:
        """An address of 4 or 16 bytes; what was met in this batch is not written again."""
        cdef Key key = key_of(p, n, 1, column.secret)
        cdef int32_t code = column.recall(&key)
        cdef uint8_t[64] text
        if code < 0:
            code = column.code(text, put_ipv4(text, p) if n == 4 else put_ipv6(text, p))
            column.learn(&key, code)
        return column.put_code(row, code)

    cdef int _address(self, int use, DictColumn column) except -1 nogil:
        cdef Slot* slot = &self.slots[use]
        if not self.has >> use & 1:
            return 0
        if slot.n == 4 or slot.n == 16:
            return self._ip(column, self.rows.count, slot.p, slot.n)
        return self._left(use)

    cdef int _octets(self, int use, IntColumn all, IntColumn of_ip) except -1 nogil:
        """A count of bytes. Elements 1 and 85 count IP packets, others what is below or above."""
        cdef int64_t value = 0
        cdef int id
        if self._number(use, 0x7FFFFFFFFFFFFFFFULL, &value):
            all.put(self.rows.count, value)
            id = self.slots[use].field.id
            if id == 1 or id == 85:
                of_ip.put(self.rows.count, value)
        return 0

    cdef int _port(self, int use, IntColumn column, bint* there, int64_t* value) except -1 nogil:
        there[0] = self._number(use, 65535, value)
        if there[0]:
            column.put(self.rows.count, value[0])
        return 0

    cdef int _word(self, int use, DictColumn column) except -1 nogil:
        """A text, zeros at its end left out; empty: none."""
        cdef Slot* slot = &self.slots[use]
        cdef Py_ssize_t n
        if not self.has >> use & 1:
            return 0
        n = slot.n
        while n > 0 and slot.p[n - 1] == 0:
            n -= 1
        if n:
            self.repaired |= column.put(self.rows.count, slot.p, n)
        return 0

    # --- a flow ----------------------------------------------------------------------------

    cdef int put_flow(self, const Head* head) except -1 nogil:
        cdef Py_ssize_t row = self.rows.count, n
        cdef uint8_t[64] text
        cdef int64_t value = 0
        cdef int i, use
        self._times(head)
        self._ends()
        self._meaning(head)
        self._sampling(head)
        self._octets(OCTETS, self.bytes_out, self.ip_bytes_out)
        self._octets(OCTETS_IN, self.bytes_in, self.ip_bytes_in)
        if self._number(PACKETS, 0x7FFFFFFFFFFFFFFFULL, &value):
            self.packets_out.put(row, value)
        if self._number(PACKETS_IN, 0x7FFFFFFFFFFFFFFFULL, &value):
            self.packets_in.put(row, value)
        if self._number(VLAN_ID, 65535, &value):
            self.vlan_id.put(row, value)
        if self._number(INNER_VLAN_ID, 65535, &value):
            self.inner_vlan_id.put(row, value)
        if self._number(SRC_ASN, 0xFFFFFFFF, &value):
            self.src_asn.put(row, value)
        if self._number(DST_ASN, 0xFFFFFFFF, &value):
            self.dst_asn.put(row, value)
        if self._number(SRC_INTERFACE, 0x7FFFFFFFFFFFFFFFULL, &value):
            self.src_interface.put_valid(row, text, put_uint(text, <uint64_t>value))
        if self._number(DST_INTERFACE, 0x7FFFFFFFFFFFFFFFULL, &value):
            self.dst_interface.put_valid(row, text, put_uint(text, <uint64_t>value))
        for use in range(SRC_MAC, DST_MAC + 1):
            if self.has >> use & 1:
                if self.slots[use].n == 6:
                    n = put_mac(text, self.slots[use].p)
                    if use == SRC_MAC:
                        self.src_mac.put_valid(row, text, n)
                    else:
                        self.dst_mac.put_valid(row, text, n)
                else:
                    self._left(use)
        self._address(SRC_NAT_IP, self.src_nat_ip)
        self._address(DST_NAT_IP, self.dst_nat_ip)
        if self._number(SRC_NAT_PORT, 65535, &value):
            self.src_nat_port.put(row, value)
        if self._number(DST_NAT_PORT, 65535, &value):
            self.dst_nat_port.put(row, value)
        self._word(USER_NAME, self.user_name)
        self._left(BIFLOW)
        self._left(BOOT)
        if self.has >> DEVICE_IP & 1:
            self._address(DEVICE_IP, self.device_ip)
        elif head.device is not NULL:
            self._ip(self.device_ip, row, head.device, head.device_length)
        if head.sensor_length:
            self.sensor.put_valid(row, head.sensor, head.sensor_length)
        self.provider.put_valid(row, head.provider, head.provider_length)
        self.src_offset.put(row, head.offset)
        self.src_length.put(row, head.length)
        self.sub.put(row, head.sub)
        if head.sequence >= 0:
            self.src_record_id.put(row, head.sequence)
        self.record_hash.put(row, <int64_t>head.hash)
        i = head.flags
        if self.repaired:
            i |= TEXT_REPAIRED
            self.repairs += 1
        if i:
            self.parse_flags.put(row, i)
        return self.rows.done()

    cdef bint _when(
        self, const Head* head, int use, int uptime, int before, int64_t* us, int* ns
    ) except -1 nogil:
        """A time that a record tells in one of three ways; those that are not used are left."""
        cdef Slot* slot = &self.slots[use]
        cdef int64_t value = 0, boot
        cdef bint found = False
        ns[0] = 0
        if self.has >> use & 1:
            found = _absolute(slot.field.kind, slot.p, slot.n, us, ns)
            if not found:
                self._left(use)
        if found:
            self._left(uptime)
        elif self._number(uptime, 0xFFFFFFFFFF, &value):
            boot = head.domain.boot if head.domain is not NULL else 0
            if self.has >> BOOT & 1:
                _absolute(self.slots[BOOT].field.kind, self.slots[BOOT].p, self.slots[BOOT].n,
                          &boot, ns)
                ns[0] = 0
            if head.has_boot:
                # Both have 32 bits, and begin anew after 49 days. No flow is later than its
                # export, but for clocks that are read one after the other.
                boot = <uint32_t>(<uint32_t>head.uptime - <uint32_t>value)
                if boot > NTP_ERA - LATER:
                    boot -= NTP_ERA
                us[0] = head.exported - boot * 1000
                found = True
            elif boot:
                us[0] = boot + value * 1000
                found = True
            else:
                self._left(uptime)
        if found:
            self._left(before)
        elif self._number(before, 0xFFFFFFFFFF, &value):
            if head.exported != NO_EXPORT:
                us[0] = head.exported - value
                found = True
            else:
                self._left(before)
        return found

    cdef int _times(self, const Head* head) except -1 nogil:
        cdef Py_ssize_t row = self.rows.count
        cdef int64_t start = 0, end = 0, observed = 0, span = 0
        cdef int start_ns = 0, end_ns = 0, observed_ns = 0
        cdef bint has_start = self._when(
            head, START, START_UPTIME, START_BEFORE, &start, &start_ns)
        cdef bint has_end = self._when(head, END, END_UPTIME, END_BEFORE, &end, &end_ns)
        cdef bint seen = False, spans = False
        cdef Slot* slot = &self.slots[OBSERVED]
        if self.has >> OBSERVED & 1:
            seen = _absolute(slot.field.kind, slot.p, slot.n, &observed, &observed_ns)
            if not seen:
                self._left(OBSERVED)
        if has_start and has_end:
            self._left(DURATION_MS)
            self._left(DURATION_US)
        elif has_start or has_end:
            if self._number(DURATION_MS, 0xFFFFFFFFFF, &span):
                span *= 1000
                spans = True
                self._left(DURATION_US)
            else:
                spans = self._number(DURATION_US, 0xFFFFFFFFFFFFF, &span)
            if spans and has_start:
                end = start + span
                end_ns = start_ns
                has_end = True
            elif spans:
                start = end - span
                start_ns = end_ns
                has_start = True
        else:
            self._left(DURATION_MS)
            self._left(DURATION_US)
        if has_start and has_end and end >= start:
            self.duration_s.put(row, <double>(end - start) / 1e6 + <double>(end_ns - start_ns) / 1e9)
        if has_end:
            self.end_time.put(row, end)
        if seen and (self.has >> FIREWALL_EVENT & 1 or self.has >> NAT_EVENT & 1):
            # The record is of a moment.
            self.time.put(row, observed)
            self.time_ns.put(row, observed_ns)
            self.time_desc.put_valid(row, b"observed", 8)
            if self.has >> START & 1:
                if has_start:
                    self._left(START)
                if has_start and not has_end and self._closes() and observed >= start:
                    self.end_time.put(row, observed)
                    self.duration_s.put(row, <double>(observed - start) / 1e6)
            return 0
        if has_start:
            self.time.put(row, start)
            self.time_ns.put(row, start_ns)
        elif has_end:
            self.time.put(row, end)
            self.time_ns.put(row, end_ns)
            self.time_desc.put_valid(row, b"end", 3)
        elif seen:
            self.time.put(row, observed)
            self.time_ns.put(row, observed_ns)
            self.time_desc.put_valid(row, b"observed", 8)
            return 0
        elif head.exported != NO_EXPORT:
            self.time.put(row, head.exported)
            self.time_ns.put(row, 0)
            self.time_desc.put_valid(row, b"exported", 8)
        if seen:
            self._left(OBSERVED)
        return 0

    cdef bint _closes(self) noexcept nogil:
        """Whether it is the firewall's record of a flow's end."""
        cdef Slot* slot = &self.slots[FIREWALL_EVENT]
        return self.has >> FIREWALL_EVENT & 1 and slot.n == 1 and slot.p[0] == 2

    cdef int _ends(self) except -1 nogil:
        """Addresses, protocol, ports, and what follows from them."""
        cdef Py_ssize_t row = self.rows.count, n
        cdef Flow* f = &self.flow
        cdef Slot* slot
        cdef int64_t protocol = -1, a = 0, b = 0, value = 0
        cdef bint has_a = False, has_b = False, icmp, inside, to_inside
        cdef int side, version = 0, counterpart
        cdef int there = 0
        cdef uint8_t[64] text
        cdef const char* name
        for side in range(2):
            slot = &self.slots[SRC_IP if side == ORIG else DST_IP]
            if not self.has >> (SRC_IP if side == ORIG else DST_IP) & 1:
                continue
            if slot.n == 16:
                memcpy(&f.address[side], slot.p, 16)
                version = 6
            elif slot.n == 4:
                f.address[side].high = 0
                memcpy(&f.address[side].low, b"\0\0\xff\xff", 4)
                memcpy(<uint8_t*>&f.address[side].low + 4, slot.p, 4)
                version = 4
            else:
                self._left(SRC_IP if side == ORIG else DST_IP)
                continue
            there |= 1 << side
            if side == ORIG:
                self._ip(self.src_ip, row, slot.p, slot.n)
            else:
                self._ip(self.dst_ip, row, slot.p, slot.n)
        if self._number(IP_VERSION, 127, &value):
            self.ip_version.put(row, value)
        elif version:
            self.ip_version.put(row, version)
        if self._number(PROTOCOL, 255, &protocol):
            self.protocol_num.put(row, protocol)
            name = _transport(protocol)
            if name is not NULL:
                self.transport.put_valid(row, <const uint8_t*>name, strlen(name))
        icmp = protocol == ICMP_4 or protocol == ICMP_6
        if icmp and self._icmp(&a, &b):
            has_a = has_b = True
            self.icmp_type.put(row, a)
            self.icmp_code.put(row, b)
            self.src_port.put(row, a)
            self.dst_port.put(row, b)
        else:
            if not icmp:
                self._left(ICMP)
                self._left(ICMP_TYPE)
                self._left(ICMP_CODE)
            self._port(SRC_PORT, self.src_port, &has_a, &a)
            self._port(DST_PORT, self.dst_port, &has_b, &b)
        value = 0
        if self._number(TCP_FLAGS, 65535, &value) or self.has >> REVERSE_TCP_FLAGS & 1:
            slot = &self.slots[REVERSE_TCP_FLAGS]
            if self.has >> REVERSE_TCP_FLAGS & 1 and 1 <= slot.n <= 2:
                value |= <int64_t>number_at(slot.p, slot.n)
            if value or protocol == TCP:
                self.tcp_flags.put(row, value)
            self._left(REVERSE_TCP_FLAGS)
        if there != 3:
            return 0
        inside = internal(&f.address[ORIG])
        to_inside = internal(&f.address[RESP])
        self.src_internal.put(row, inside)
        self.dst_internal.put(row, to_inside)
        if inside or to_inside:
            self.direction_id.put(row, 3 if inside and to_inside else 2 if inside else 1)
        if has_a and has_b and (icmp or protocol == TCP or protocol == UDP or protocol == SCTP):
            f.community_length = 0
            f.protocol = <uint8_t>protocol
            f.port[ORIG] = <uint16_t>a
            f.port[RESP] = <uint16_t>b
            f.one_way = False
            if icmp:
                counterpart = icmp_counterpart(<uint8_t>protocol, <uint8_t>a)
                f.one_way = counterpart < 0
                if counterpart >= 0:
                    f.port[RESP] = <uint16_t>counterpart
            n = put_community_id(text, f)
            if n:
                self.community_id.put_valid(row, text, n)
        return 0

    cdef bint _icmp(self, int64_t* type, int64_t* code) except -1 nogil:
        """Type and code of an ICMP flow: fields of their own, or both in one, for which NetFlow
        takes the destination port."""
        cdef int64_t both = 0, port = 0
        cdef bint found = False
        if self._number(ICMP_TYPE, 255, type):
            found = True
            code[0] = 0
            self._number(ICMP_CODE, 255, code)
            self._left(ICMP)
        elif self._number(ICMP, 65535, &both):
            found = True
            type[0] = both >> 8
            code[0] = both & 255
            self._left(ICMP_CODE)
        else:
            self._left(ICMP_CODE)
        if not self._number(DST_PORT, 65535, &port):
            if not found:
                return False
        elif not found:
            type[0] = port >> 8
            code[0] = port & 255
        elif port != 0 and port != type[0] << 8 | code[0]:
            self._left(DST_PORT)
        port = 0
        if self._number(SRC_PORT, 65535, &port) and port:
            self._left(SRC_PORT)
        return True

    cdef int _meaning(self, const Head* head) except -1 nogil:
        """What happened: traffic, or an event of a firewall or a translator of addresses."""
        cdef Py_ssize_t row = self.rows.count
        cdef int64_t event = 0, status = 0
        cdef int activity = 6, action = 0
        cdef Slot* slot
        cdef const uint8_t* name = NULL
        if self._number(FORWARDING_STATUS, 0xFFFFFFFF, &status):
            self._left(FORWARDING_STATUS)
            action = 1 if status >> 6 & 3 == 1 else 2 if status >> 6 & 3 == 2 else 0
        if self._number(NAT_EVENT, 0xFFFFFFFF, &event):
            self._left(NAT_EVENT)
            activity = (
                1 if event == 1 or event == 4 or event == 6
                else 2 if event == 2 or event == 5 or event == 7 else 99
            )
        if self._number(FIREWALL_EVENT, 0xFFFFFFFF, &event):
            self._left(FIREWALL_EVENT)
            if event == 1 or event == 2 or event == 5:
                activity = 6 if event == 5 else <int>event
                action = 1
            elif event == 3:
                activity = 5
                action = 2
            elif event:
                activity = 99
        self.activity_id.put(row, activity)
        if action:
            self.action_id.put(row, action)
        if self.has >> APP_PROTOCOL & 1:
            self._word(APP_PROTOCOL, self.app_protocol)
        slot = &self.slots[APPLICATION]
        if self.has >> APPLICATION & 1:
            if not self.has >> APP_PROTOCOL & 1 and head.domain is not NULL:
                if head.domain.applications.slots is not NULL:
                    name = <const uint8_t*>names_find(
                        &head.domain.applications, slot.p, slot.n)
                if name is not NULL:
                    self.repaired |= self.app_protocol.put(row, name + 4, be32(name))
            self._left(APPLICATION)
        return 0

    # --- sampling --------------------------------------------------------------------------

    cdef int64_t _interval(self) except -2 nogil:
        """One of so many packets, as the fields of a record say; 0 where they do not. Nothing is
        taken from them: they are in the rest as well."""
        cdef uint64_t one, other
        cdef Slot* slot = &self.slots[SAMPLING_INTERVAL]
        if self.has >> SAMPLING_INTERVAL & 1 and 1 <= slot.n <= 8:
            one = number_at(slot.p, slot.n)
            return <int64_t>one if one <= 0x7FFFFFFF else 0
        slot = &self.slots[SAMPLING_PACKETS]
        if self.has >> SAMPLING_PACKETS & 1 and 1 <= slot.n <= 4:
            one = number_at(slot.p, slot.n)
            slot = &self.slots[SAMPLING_SPACE]
            if one and self.has >> SAMPLING_SPACE & 1 and 1 <= slot.n <= 4:
                other = number_at(slot.p, slot.n) + one
                return <int64_t>(other // one) if other % one == 0 and other // one <= 0x7FFFFFFF else 0
            return 0
        slot = &self.slots[SAMPLING_SIZE]
        if self.has >> SAMPLING_SIZE & 1 and 1 <= slot.n <= 4:
            one = number_at(slot.p, slot.n)
            slot = &self.slots[SAMPLING_POPULATION]
            if one and self.has >> SAMPLING_POPULATION & 1 and 1 <= slot.n <= 4:
                other = number_at(slot.p, slot.n)
                return <int64_t>(other // one) if other % one == 0 and other // one <= 0x7FFFFFFF else 0
        return 0

    cdef int _sampling(self, const Head* head) except -1 nogil:
        cdef int64_t interval = self._interval(), id = 0
        cdef Domain* domain = head.domain
        cdef int i, use
        cdef bint known = False
        if not (interval and self.has >> SAMPLING_INTERVAL & 1):
            self._left(SAMPLING_INTERVAL)
        for use in range(SAMPLING_PACKETS, SAMPLING_POPULATION + 1):
            self._left(use)
        if self._number(SAMPLER, 0x7FFFFFFFFFFFFFFFULL, &id):
            self._left(SAMPLER)
            known = True
        if not interval and domain is not NULL:
            if known:
                for i in range(domain.sampler_count):
                    if domain.samplers[i].id == <uint64_t>id:
                        interval = domain.samplers[i].interval
            else:
                interval = domain.interval
        if not interval:
            interval = head.interval
        if interval:
            self.sampling_interval.put(self.rows.count, interval)
        return 0

    # --- options ---------------------------------------------------------------------------

    cdef int put_option(self, const Head* head, const uint8_t* code, Py_ssize_t n) except -1 nogil:
        """An options record is a row of raw_event, of the kind `code`."""
        cdef Py_ssize_t row = self.raw.count
        cdef int flags = head.flags
        if head.exported != NO_EXPORT:
            self.raw_time.put(row, head.exported)
            self.raw_ns.put(row, 0)
            self.raw_desc.put_valid(row, b"exported", 8)
        self.raw_provider.put_valid(row, head.provider, head.provider_length)
        self.raw_code.put_valid(row, code, n)
        if head.sensor_length:
            self.raw_sensor.put_valid(row, head.sensor, head.sensor_length)
        if head.device is not NULL:
            self._ip(self.raw_device, row, head.device, head.device_length)
        self.raw_offset.put(row, head.offset)
        self.raw_length.put(row, head.length)
        self.raw_sub.put(row, head.sub)
        if head.sequence >= 0:
            self.raw_id.put(row, head.sequence)
        self.raw_hash.put(row, <int64_t>head.hash)
        if self.repaired:
            flags |= TEXT_REPAIRED
            self.repairs += 1
        if flags:
            self.raw_flags.put(row, flags)
        return self.raw.done()

    cdef int learn(self, const Head* head, Domain* domain) except -1 nogil:
        """Keeps what an options record says of its domain: sampling, start, applications."""
        cdef int64_t interval = self._interval(), us = 0
        cdef int ns = 0, i
        cdef Slot* slot = &self.slots[BOOT]
        cdef uint64_t id
        if self.has >> BOOT & 1 and _absolute(slot.field.kind, slot.p, slot.n, &us, &ns):
            domain.boot = us
        if interval:
            slot = &self.slots[SAMPLER]
            if self.has >> SAMPLER & 1 and 1 <= slot.n <= 8:
                id = number_at(slot.p, slot.n)
                i = 0
                while i < domain.sampler_count and domain.samplers[i].id != id:
                    i += 1
                if i < SAMPLERS:
                    domain.samplers[i].id = id
                    domain.samplers[i].interval = interval
                    if i == domain.sampler_count:
                        domain.sampler_count += 1
            elif not self.has >> ONE_OF & 1 and not self.has >> SRC_INTERFACE & 1:
                # Of the whole exporter, not of one of its parts.
                domain.interval = interval
        if self.has >> APPLICATION & 1 and self.has >> APP_PROTOCOL & 1:
            with gil:
                self._application(domain)
        return 0

    cdef int _application(self, Domain* domain) except -1:
        """Keeps the name of an application, once."""
        cdef Slot* id = &self.slots[APPLICATION]
        cdef Slot* name = &self.slots[APP_PROTOCOL]
        cdef Py_ssize_t n = name.n
        cdef bytes key, value
        while n > 0 and name.p[n - 1] == 0:
            n -= 1
        if not n or n > WORD_MOST or not 1 <= id.n <= APPLICATION_MOST:
            return 0
        if domain.applications.slots is NULL:
            names_start(&domain.applications, 64, int.from_bytes(os.urandom(8), "little"))
        elif names_find(&domain.applications, id.p, id.n) is not NULL:
            return 0
        if len(self.kept) >= 2 * WORDS_MOST or self.kept_bytes > WORDS_BYTES:
            return 0
        key = id.p[:id.n]
        value = (<Py_ssize_t>n).to_bytes(4, "big") + name.p[:n]
        self.kept.append(key)
        self.kept.append(value)
        self.kept_bytes += id.n + n + 128
        names_add(&domain.applications, key, id.n, <void*><const char*>value)
        return 0
