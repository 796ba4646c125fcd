"""Flows: packets of the same two ends become one row of network_activity."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tracelake.native.account cimport Account
from tracelake.native.columns cimport (
    BoolColumn, DictColumn, DoubleColumn, IntColumn, ListColumn, Rows, TextColumn,
)
from tracelake.native.flowtable cimport Deadlines, IndexTable
from tracelake.parsers.conn cimport Flow
from tracelake.parsers.dns cimport Transactions
from tracelake.parsers.packet cimport Address, Packet
from tracelake.parsers.protocols.talks cimport Talks
from tracelake.parsers.tcp cimport Streams
from tracelake.parsers.wire.checks cimport Repeats
from tracelake.parsers.wire.tunnels cimport Tunnels


cdef class Flows:
    cdef readonly Rows rows
    cdef Talks talks                    # None: flows only
    cdef Transactions dns
    cdef Account account
    cdef Streams streams
    cdef IndexTable table
    cdef Deadlines deadlines
    cdef readonly Py_ssize_t limit      # flows that live at once
    cdef Flow** slabs
    cdef uint32_t slab_count
    cdef uint32_t used                  # slots ever in use
    cdef uint32_t* vacant               # slots given back
    cdef Py_ssize_t vacant_count
    cdef uint64_t share_seed            # which address pairs are taken: [share_low, share_high) ...
    cdef uint32_t share_low, share_high # ... of SHARES; all where share_high is 0
    cdef uint32_t serial
    cdef readonly int64_t evictions     # flows written out because `limit` was reached
    cdef int64_t now
    cdef Repeats repeats
    cdef Tunnels tunnels                # told of flows that were tunnels
    cdef int64_t begin                  # time of the first packet of any flow; NO_TIME before it
    cdef bint at_end                    # the capture is over
    cdef uint32_t ending                # where `finish` goes on

    # Columns of network_activity, in the order of the schema.
    cdef IntColumn time, time_ns, activity_id, sub, record_hash, src_offset, src_length
    cdef IntColumn parse_flags, src_port, dst_port, vlan_id, protocol_num, ip_version
    cdef IntColumn inner_vlan_id, end_time, bytes_out, bytes_in, packets_out, packets_in
    cdef IntColumn ip_bytes_out, ip_bytes_in, bytes_missed, tcp_flags, icmp_type, icmp_code
    cdef IntColumn direction_id, tunnel_depth
    cdef ListColumn tunnel_parents
    cdef IntColumn bad_checksums_out, bad_checksums_in, dup_packets_out, dup_packets_in
    cdef TextColumn conn_uid, community_id
    cdef DictColumn src_ip, dst_ip, src_mac, dst_mac, transport, app_protocol
    cdef DictColumn conn_state, history
    cdef DoubleColumn duration_s
    cdef BoolColumn src_internal, dst_internal, open_start, open_end

    cpdef int take_share(self, uint64_t seed, int low, int high) except -1
    cdef bint mine(self, const Packet* p, bint whole) noexcept nogil
    cdef int pass_by(self, const Packet* p) except -1 nogil
    # The flow that the packet belongs to; it may be another's after the next packet.
    cdef Flow* packet(self, Packet* p) except NULL nogil
    cdef int finish(self) except -1 nogil
    cdef bint full(self) noexcept nogil

    cdef inline Flow* at(self, uint32_t slot) noexcept nogil:
        return self.slabs[slot >> 10] + (slot & 1023)

    cdef int64_t _find(self, const Packet* p, uint64_t hash, uint16_t a, uint16_t b, bint one_way,
                       int* side) noexcept nogil
    cdef int64_t _new(self, const Packet* p, uint64_t hash, uint16_t a, uint16_t b,
                      bint one_way, int64_t now) except -1 nogil
    cdef uint64_t _hash(self, const Packet* p, uint16_t a, uint16_t b) noexcept nogil
    cdef uint64_t _end_hash(self, const Address* address, uint16_t port) noexcept nogil
    cdef int64_t _slot(self) except -1 nogil
    cdef int _evict(self) except -1 nogil
    cdef int _expire(self, int64_t now) except -1 nogil
    cdef int _due(self, uint32_t slot, Flow* f, int64_t now) except -1 nogil
    cdef int _schedule(self, uint32_t slot, Flow* f) except -1 nogil
    cdef int _end(self, uint32_t slot, Flow* f) except -1 nogil
    cdef int _row(self, Flow* f) except -1 nogil
    cdef int _wrong_length(self, Flow* f, const Packet* p, int64_t length) except -1 nogil
    cdef int _udp(self, Flow* f, int side, const Packet* p, int64_t now) except -1 nogil


# The type that answers an ICMP type of a protocol, -1 where none does.
cdef int icmp_counterpart(uint8_t protocol, uint8_t type) noexcept nogil
# Whether an address is of one's own network: one that is not globally reachable.
cdef bint internal(const Address* a) noexcept nogil
# Whether the first packet seen goes from the responder to the originator.
cdef bint begun_by_receiver(const Packet* p, uint16_t a, uint16_t b) noexcept nogil
