"""A flow record of an exporter, field by field, as a row (see flow_record.pyx)."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tracelake.native.columns cimport (
    BoolColumn, Buffer, DictColumn, DoubleColumn, IntColumn, MapColumn, Rows, TextColumn,
)
from tracelake.native.names cimport Names
from tracelake.parsers.conn cimport Flow


# Use: what a field is used for; the names are those of mappings/flows/ipfix.toml.
cdef enum:
    NO_USE
    SRC_IP
    DST_IP
    SRC_PORT
    DST_PORT
    PROTOCOL
    IP_VERSION
    TCP_FLAGS
    REVERSE_TCP_FLAGS
    OCTETS
    PACKETS
    OCTETS_IN
    PACKETS_IN
    ICMP
    ICMP_TYPE
    ICMP_CODE
    SRC_MAC
    DST_MAC
    VLAN_ID
    INNER_VLAN_ID
    SRC_INTERFACE
    DST_INTERFACE
    SRC_ASN
    DST_ASN
    SRC_NAT_IP
    DST_NAT_IP
    SRC_NAT_PORT
    DST_NAT_PORT
    USER_NAME
    APPLICATION
    APP_PROTOCOL
    DEVICE_IP
    START
    END
    START_UPTIME
    END_UPTIME
    START_BEFORE
    END_BEFORE
    DURATION_MS
    DURATION_US
    OBSERVED
    BOOT
    SAMPLING_INTERVAL
    SAMPLING_PACKETS
    SAMPLING_SPACE
    SAMPLING_SIZE
    SAMPLING_POPULATION
    SAMPLER
    FORWARDING_STATUS
    FIREWALL_EVENT
    NAT_EVENT
    BIFLOW
    ONE_OF
    PADDING
    USES


cdef enum:
    NUMBER
    SIGNED
    FLOAT
    TRUTH
    TEXT
    MAC
    IPV4
    IPV6
    SECONDS
    MILLISECONDS
    NTP
    MPLS
    OCTETS_KIND
    UNKNOWN             # a number where it has 1, 2, 4 or 8 bytes, else octets


cdef enum:
    VARIABLE = 65535            # length of a field that says its own
    SAMPLERS = 32               # that are known of a domain at the same time
    REVERSE = 29305             # enterprise of RFC 5103: what the other side sent
    NAME_ROOM = 72              # bytes of a field's name that is made here
    APPLICATION_MOST = 64       # bytes of an application's id
    NO_EXPORT = -1


# A field of a template.
cdef struct Field:
    uint32_t enterprise
    uint16_t id
    uint16_t length
    uint8_t use
    uint8_t kind
    uint8_t name_length
    const uint8_t* name
    int32_t code                # of the name in the column of names ...
    int64_t batch               # ... of this batch


cdef struct Sampler:
    uint64_t id
    int64_t interval


# What an exporter has said of itself.
cdef struct Domain:
    uint8_t[8] key
    uint32_t id
    int64_t boot                # microseconds since 1970; 0 where it is not known
    int64_t interval            # one of so many packets is looked at; 0: not known
    int sampler_count
    Sampler[SAMPLERS] samplers
    Names applications          # id -> name


# What is known of a record besides its fields.
cdef struct Head:
    int64_t offset
    int64_t length
    int64_t sub
    int64_t sequence            # -1: not known
    int64_t exported            # microseconds since 1970; NO_EXPORT where it is not known
    bint has_boot
    int64_t uptime              # of the export, milliseconds: times are told relative to it
    uint64_t hash
    int64_t interval            # one of so many packets was looked at, by the header; 0: not said
    int flags
    const uint8_t* provider
    int provider_length
    const uint8_t* sensor
    int sensor_length
    const uint8_t* device       # address of the exporter; NULL where it is not known
    int device_length
    uint16_t template
    Domain* domain              # NULL where there is none


cdef struct Slot:
    const uint8_t* p
    Py_ssize_t n
    Field* field


cdef class FlowRows:
    cdef readonly Rows rows             # network_activity
    cdef readonly Rows raw              # raw_event
    cdef int64_t repairs
    cdef Slot[USES] slots
    cdef uint64_t has
    cdef int repaired
    cdef Flow flow                      # for the Community ID
    cdef Buffer text
    cdef list kept                      # names of applications
    cdef Py_ssize_t kept_bytes

    cdef DictColumn src_ip, dst_ip, src_mac, dst_mac, transport, app_protocol, user_name
    cdef DictColumn src_nat_ip, dst_nat_ip, src_interface, dst_interface, device_ip, sensor
    cdef DictColumn time_desc, provider
    cdef TextColumn community_id
    cdef IntColumn time, time_ns, end_time, activity_id, src_port, dst_port, vlan_id, inner_vlan_id
    cdef IntColumn protocol_num, ip_version, bytes_out, bytes_in, packets_out, packets_in
    cdef IntColumn ip_bytes_out, ip_bytes_in, tcp_flags, icmp_type, icmp_code, direction_id
    cdef IntColumn action_id, src_asn, dst_asn, src_nat_port, dst_nat_port, sampling_interval
    cdef IntColumn sub, record_hash, src_offset, src_length, src_record_id, parse_flags
    cdef BoolColumn src_internal, dst_internal
    cdef DoubleColumn duration_s
    cdef MapColumn unmapped
    # Of raw_event:
    cdef IntColumn raw_time, raw_ns, raw_sub, raw_hash, raw_offset, raw_length, raw_id, raw_flags
    cdef DictColumn raw_desc, raw_provider, raw_code, raw_sensor, raw_device
    cdef MapColumn raw_unmapped

    cdef inline void begin(self) noexcept nogil:
        """Before the fields of a record."""
        self.has = 0
        self.repaired = 0

    # The next field of a flow, of an options record.
    cdef int take(self, Field* f, const uint8_t* p, Py_ssize_t n) except -1 nogil
    cdef int tell(self, Field* f, const uint8_t* p, Py_ssize_t n) except -1 nogil
    # The record is whole: it becomes a row.
    cdef int put_flow(self, const Head* head) except -1 nogil
    cdef int put_option(self, const Head* head, const uint8_t* code, Py_ssize_t n) except -1 nogil
    # What an options record says of its domain is kept.
    cdef int learn(self, const Head* head, Domain* domain) except -1 nogil

    cdef int _rest(self, Rows rows, MapColumn map, Field* f, const uint8_t* p, Py_ssize_t n
                   ) except -1 nogil
    cdef int _left(self, int use) except -1 nogil
    cdef bint _number(self, int use, uint64_t most, int64_t* value) except -1 nogil
    cdef int _octets(self, int use, IntColumn all, IntColumn of_ip) except -1 nogil
    cdef int _address(self, int use, DictColumn column) except -1 nogil
    cdef int _ip(self, DictColumn column, Py_ssize_t row, const uint8_t* p, Py_ssize_t n
                 ) except -1 nogil
    cdef int _port(self, int use, IntColumn column, bint* there, int64_t* value) except -1 nogil
    cdef int _word(self, int use, DictColumn column) except -1 nogil
    cdef bint _when(self, const Head* head, int use, int uptime, int before, int64_t* us, int* ns
                    ) except -1 nogil
    cdef int _times(self, const Head* head) except -1 nogil
    cdef bint _closes(self) noexcept nogil
    cdef int _ends(self) except -1 nogil
    cdef bint _icmp(self, int64_t* type, int64_t* code) except -1 nogil
    cdef int _meaning(self, const Head* head) except -1 nogil
    cdef int _sampling(self, const Head* head) except -1 nogil
    cdef int64_t _interval(self) except -2 nogil
    cdef int _application(self, Domain* domain) except -1


# Sets a field's name, kind and use by its number; `room` (NAME_ROOM bytes) holds a name that the
# registry does not have. `version` 9: NetFlow's numbers.
cdef int define(Field* f, int version, uint8_t* room) noexcept nogil
# The same of the scope of an options record of version 9.
cdef int define_scope(Field* f, uint8_t* room) noexcept nogil
# Of fields with the same use the best one keeps it.
cdef int settle(Field* fields, Py_ssize_t count) noexcept nogil

cdef inline uint64_t number_at(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """A big-endian number of 1 to 8 bytes."""
    cdef uint64_t value = 0
    cdef Py_ssize_t i
    for i in range(n):
        value = value << 8 | p[i]
    return value
