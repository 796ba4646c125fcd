"""Tables that several protocols write to (see sheet.pxd)."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport strcmp, strlen

from tracelake.native.flowtable cimport fold
from tracelake.normalize import TABLES
from tracelake.parsers.conn cimport ORIG, RESP, put_address, put_community_id, put_uid
from tracelake.parsers.packet cimport NO_TIME

cdef enum:
    TCP = 6
    UDP = 17
    NOTED = 16384           # breaches that are remembered

cdef extern from *:
    """
    #define TL_SHEET_SECOND 1000000000LL
    """
    int64_t SECOND "TL_SHEET_SECOND"


cdef class Sheet:
    """One table.

    Args:
        sheets: those that it is one of.
        table: its name in TABLES.
    """

    def __cinit__(self, Sheets sheets, str table):
        rows = self.rows = Rows(table, TABLES[table].schema)
        self.sheets = sheets
        self.time = rows.column("time")
        self.time_ns = rows.column("time_ns")
        self.activity_id = rows.column("activity_id")
        self.sub = rows.column("sub")
        self.record_hash = rows.column("record_hash")
        self.src_offset = rows.column("src_offset")
        self.src_length = rows.column("src_length")
        self.parse_flags = rows.column("parse_flags")
        names = set(TABLES[table].schema.names)
        # `certificate` has no flow of its own.
        if "conn_uid" in names:
            self.conn_uid = rows.column("conn_uid")
            self.src_ip = rows.column("src_ip")
            self.src_port = rows.column("src_port")
            self.dst_ip = rows.column("dst_ip")
            self.dst_port = rows.column("dst_port")
        # Tables that hosts' logs fill as well (`authentication`) have less of the flow.
        if "community_id" in names:
            self.community_id = rows.column("community_id")
        if "vlan_id" in names:
            self.vlan_id = rows.column("vlan_id")
        if "transport" in names:
            self.transport = rows.column("transport")

    cdef Py_ssize_t begin(self, Flow* f, const Place* p, int activity) except -1 nogil:
        """Puts what every row has; its number."""
        cdef Py_ssize_t row = self.rows.count, n
        cdef uint8_t[64] text
        cdef uint64_t h
        cdef int i
        if p.time != NO_TIME:
            self.time.put(row, p.time // 1000)
            self.time_ns.put(row, p.time % 1000)
        self.activity_id.put(row, activity)
        self.sub.put(row, p.sub)
        self.src_offset.put(row, p.offset)
        self.src_length.put(row, p.length)
        # The same message in two captures has the same hash: its ends, its time, its number.
        h = fold(0x2D358DCCAA6C78A5ULL ^ <uint64_t>p.time, 0x589965CC75374CC3ULL ^ f.protocol)
        for i in range(2):
            h = fold(h ^ f.address[i].low, 0xA0761D6478BD642FULL ^ f.address[i].high)
            h = fold(h ^ f.port[i], 0xE7037ED1A0B428DBULL ^ <uint64_t>p.sub)
        self.record_hash.put(row, <int64_t>h)
        # (A breach that no flow comes of has no name and no protocol, or not even ends.)
        if self.conn_uid is not None and f.version:
            if f.name:
                self.conn_uid.put_valid(row, text, put_uid(text, f))
            n = put_community_id(text, f) if f.protocol and self.community_id is not None else 0
            if n:
                self.community_id.put_valid(row, text, n)
            self.src_ip.put_valid(row, text, put_address(text, &f.address[ORIG]))
            self.src_port.put(row, f.port[ORIG])
            self.dst_ip.put_valid(row, text, put_address(text, &f.address[RESP]))
            self.dst_port.put(row, f.port[RESP])
            if f.vlan >= 0 and self.vlan_id is not None:
                self.vlan_id.put(row, f.vlan)
        if self.transport is not None and f.protocol:
            if f.protocol == TCP:
                self.transport.put_valid(row, b"tcp", 3)
            elif f.protocol == UDP:
                self.transport.put_valid(row, b"udp", 3)
            else:
                self.transport.put_valid(row, b"icmp", 4)
        return row

    cdef int flags(self, int parse_flags) except -1 nogil:
        return self.parse_flags.put(self.rows.count, parse_flags)

    cdef int done(self) except -1 nogil:
        self.rows.done()
        if self.rows.full():
            self.sheets.full = True
        return 0


cdef class Sheets:
    """The tables of one capture."""

    def __cinit__(self):
        self.tables = {}
        self.closing = []
        self.dns = Transactions()
        self.expected = Expected()
        self.weird = self.sheet("network_weird")
        self.weird_name = self.weird.rows.column("name")
        self.weird_analyzer = self.weird.rows.column("analyzer")
        self.weird_additional = self.weird.rows.column("additional")
        self.noted = <int64_t*>calloc(NOTED, sizeof(int64_t))
        if self.noted is NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.noted)

    cpdef Sheet sheet(self, str table):
        """The sheet of a table. Raises KeyError where there is no such table."""
        found = self.tables.get(table)
        if found is None:
            found = self.tables[table] = Sheet(self, table)
        return found

    def take(self, bint all):
        """The batches that are full, or all that have rows: (table, batch) each."""
        cdef Sheet sheet
        cdef Rows rows
        batches = []
        if all and self.files is not None:
            self.files.end()
        if all:
            for each in self.closing:
                each.finish()
        for rows in (self.dns.rows, *[sheet.rows for sheet in self.tables.values()]):
            if rows.full() or (all and rows.count):
                batches.append((rows.table, rows.finish()))
        self.full = False
        return batches

    cdef int note(
        self, Flow* f, const Place* p, const char* name, const char* analyzer,
        const uint8_t* additional, Py_ssize_t n,
    ) except -1 nogil:
        cdef Place place = p[0]
        cdef Py_ssize_t row
        f.odd = True
        if self._again(f, p, name):
            return 0
        # A number that no other breach of this packet has, whoever of several readers notes it.
        place.sub = <int32_t>(_breach(f, name) >> 34)
        row = self.weird.begin(f, &place, 0)
        self.weird_name.put_valid(row, <const uint8_t*>name, strlen(name))
        if analyzer is not NULL:
            self.weird_analyzer.put_valid(row, <const uint8_t*>analyzer, strlen(analyzer))
        if n:
            self.weird_additional.put(row, additional, n)
        return self.weird.done()

    cdef bint _again(self, const Flow* f, const Place* p, const char* name) noexcept nogil:
        """Whether the same breach was noted a while ago, like Zeek's weird.zeek: between the same
        ends in the last ten minutes; where the name is one of ONCE_A_DAY, between the same hosts in
        the last day (Zeek: by the same originator; but several readers share a capture by hosts).
        A table of a fixed size: a row too much where two hashes share a place."""
        cdef uint64_t key = _breach(f, name), last
        cdef int i
        cdef int64_t window = 600 * SECOND, now = p.time if p.time != NO_TIME else 0
        for i in range(once_count):
            if strcmp(once[i], name) == 0:
                window = 86400 * SECOND
                break
        if window == 600 * SECOND:
            key = fold(key ^ f.port[ORIG], 0x589965CC75374CC3ULL ^ f.port[RESP])
        # Half of a place says whose it is, the other when (in seconds).
        last = <uint64_t>self.noted[key & (NOTED - 1)]
        now = now // SECOND
        if (
            last >> 32 == key >> 32
            and 0 <= now - <int64_t>(last & 0xFFFFFFFFULL) < window // SECOND
        ):
            return True
        self.noted[key & (NOTED - 1)] = <int64_t>(
            (key & 0xFFFFFFFF00000000ULL) | (<uint64_t>now & 0xFFFFFFFFULL)
        )
        return False


cdef uint64_t _breach(const Flow* f, const char* name) noexcept nogil:
    """A breach between two hosts."""
    cdef uint64_t key = 0x2D358DCCAA6C78A5ULL
    cdef const char* c = name
    while c[0]:
        key = fold(key ^ <uint8_t>c[0], 0xA0761D6478BD642FULL)
        c += 1
    if f.version:
        key = fold(key ^ f.address[ORIG].low, 0xE7037ED1A0B428DBULL ^ f.address[ORIG].high)
        key = fold(key ^ f.address[RESP].low, 0x8EBC6AF09C88C6E3ULL ^ f.address[RESP].high)
    return key


# Breaches that Zeek notes once a day for an originator.
ONCE_A_DAY = (
    "bad_ICMP_checksum", "bad_RPC", "bad_RPC_program", "bad_TCP_checksum", "bad_UDP_checksum",
    "bad_IP_checksum", "connection_originator_SYN_ack", "DNS_label_forward_compress_offset",
    "DNS_label_len_gt_name_len", "DNS_label_len_gt_pkt", "DNS_label_too_long", "excess_RPC",
    "FIN_storm", "originator_RPC_reply", "partial_RPC", "responder_RPC_call",
    "successful_RPC_reply_to_invalid_request", "SYN_after_partial", "SYN_with_data",
    "UDP_datagram_length_mismatch", "excessively_small_fragment", "fragment_inconsistency",
    "fragment_overlap", "fragment_size_inconsistency",
)
_names = [name.encode("ascii") for name in ONCE_A_DAY]
cdef const char* once[32]
cdef int once_count = 0
for _name in _names:
    once[once_count] = _name
    once_count += 1
