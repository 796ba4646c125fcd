"""Tables that several protocols write to, and the columns that all of their rows have."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from tracelake.native.columns cimport (
    BoolColumn, DictColumn, DoubleColumn, IntColumn, ListColumn, Rows, TextColumn,
)
from tracelake.parsers.conn cimport Flow, Place
from tracelake.parsers.dns cimport Transactions
from tracelake.parsers.protocols.expected cimport Expected


cdef class Sheet:
    """One table. A row is begun, its protocol's columns are put at the number that `begin`
    returns, and it is done before another one is begun."""
    cdef readonly Rows rows
    cdef Sheets sheets

    cdef IntColumn time, time_ns, activity_id, sub, record_hash, src_offset, src_length
    cdef IntColumn parse_flags, src_port, dst_port, vlan_id
    cdef TextColumn conn_uid, community_id
    cdef DictColumn src_ip, dst_ip, transport

    # activity: OCSF's activity_id of the table's class.
    cdef Py_ssize_t begin(self, Flow* f, const Place* p, int activity) except -1 nogil
    cdef int flags(self, int parse_flags) except -1 nogil       # of the row that is begun
    cdef int done(self) except -1 nogil


cdef class Sheets:
    """The tables of one capture, each made when the first protocol asks for it."""
    cdef readonly dict tables
    cdef readonly Transactions dns      # whose rows are dns_activity
    cdef readonly Expected expected     # connections that others have announced
    cdef readonly object files          # the capture's files (files.pxd); None before the first
    cdef readonly list closing          # whose `finish()` writes what waits for the capture's end
    cdef bint full                      # one of the others is to be taken
    cdef Sheet weird
    cdef DictColumn weird_name, weird_analyzer
    cdef TextColumn weird_additional
    cdef int64_t* noted             # when a breach was last noted, by its hash

    cpdef Sheet sheet(self, str table)

    cdef inline bint is_full(self) noexcept nogil:
        return self.full or self.dns.rows.full()

    # A row of network_weird: Zeek's name of a breach of a protocol's rules; who noticed.
    cdef int note(
        self, Flow* f, const Place* p, const char* name, const char* analyzer,
        const uint8_t* additional, Py_ssize_t n,
    ) except -1 nogil
    cdef bint _again(self, const Flow* f, const Place* p, const char* name) noexcept nogil
