"""DNS: a question and its answer become one row of dns_activity."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tracelake.native.columns cimport (
    BoolColumn, DictColumn, DoubleColumn, IntColumn, ListColumn, Rows, TextColumn,
)
from tracelake.parsers.conn cimport Flow, Place


# A message that waits for its counterpart; its bytes follow.
cdef struct Message:
    Message* next           # of the same flow
    Message* older          # of all flows
    Message* newer
    Flow* flow
    Place place             # the packet that it begins in
    int64_t size            # of the message
    const uint8_t* data


cdef class Transactions:
    cdef readonly Rows rows
    cdef Message* oldest
    cdef Message* newest
    cdef readonly int64_t held          # bytes of the messages that wait

    cdef IntColumn time, time_ns, activity_id, status_id, sub, record_hash, src_offset, src_length
    cdef IntColumn parse_flags, src_port, dst_port, vlan_id, query_type_id, query_class_id
    cdef IntColumn opcode, rcode_id, z, transaction_id, query_len, response_len
    cdef TextColumn conn_uid, community_id
    cdef DictColumn src_ip, dst_ip, transport, query_hostname, query_type, query_class, rcode
    cdef DoubleColumn rtt_s
    cdef BoolColumn aa, tc, rd, ra, rejected
    cdef ListColumn answers, ttls
    cdef TextColumn answer_items
    cdef IntColumn ttl_items

    cdef int message(
        self, Flow* f, int side, const Place* place, const uint8_t* data, int64_t n
    ) except -1 nogil
    cdef int flush(self, Flow* f) except -1 nogil

    cdef Message* _take(self, Flow* f, uint16_t id, bint reply) noexcept nogil
    cdef int _keep(self, Flow* f, const Message* m) except -1 nogil
    cdef void _unlink(self, Message* m) noexcept nogil
    cdef int _alone(self, Flow* f, Message* m) except -1 nogil
    cdef int _row(self, Flow* f, const Message* query, const Message* reply) except -1 nogil
    cdef int _question(self, Py_ssize_t row, const Flow* f, const Message* m) except -1 nogil
    cdef int _close(self, Py_ssize_t items) except -1 nogil
    cdef int _answers(
        self, Py_ssize_t row, const Flow* f, const Message* m, bint alone
    ) except -1 nogil


# Whether a datagram is a DNS question and nothing else, on whatever port.
cdef bint is_question(const uint8_t* data, int64_t n) noexcept nogil
cdef bint is_reply(const uint8_t* data, int64_t n) noexcept nogil
