"""The tunnels of a capture, and their rows."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tracelake.native.columns cimport DictColumn, IntColumn
from tracelake.native.flowtable cimport IndexTable
from tracelake.parsers.conn cimport Flow, Place
from tracelake.parsers.packet cimport Address, Packet
from tracelake.parsers.protocols.sheet cimport Sheet, Sheets
from tracelake.parsers.wire.tunnel cimport Kind


# A tunnel without ports: IP in IP or GRE between two addresses.
cdef struct Pair:
    Address src                 # of the first packet
    Address dst
    uint64_t hash
    uint64_t name               # number of its conn_uid
    int64_t offset              # record of the first packet
    int64_t length
    int64_t seen                # its last packet
    int64_t looked              # the same, or when it was looked at since
    uint8_t kind
    uint8_t active              # a row said that it is there
    uint8_t foreign
    int32_t older
    int32_t newer


# A tunnel around the packet at hand.
cdef struct Around:
    Kind kind
    uint64_t name
    Flow* flow                  # that it is, and which of its slot's tenants; NULL: a Pair's
    uint32_t serial
    int32_t pair
    bint foreign                # another reader makes its rows


cdef class Tunnels:
    cdef int64_t idle
    cdef Sheet sheet                    # None: flows only
    cdef IntColumn class_uid
    cdef DictColumn tunnel_type, tunnel_action, protocol
    cdef IndexTable table
    cdef Pair* pairs
    cdef int32_t used
    cdef int32_t oldest                 # by `looked`
    cdef int32_t newest

    # The tunnel between the ends of a packet.
    cdef int pair(self, const Packet* p, Kind kind, int64_t now, Around* around) except -1 nogil
    # A packet of a flow was found inside of it.
    cdef int found(self, Around* around, const Packet* p, int64_t now, int level) except -1 nogil
    # A flow that was a tunnel ends.
    cdef int ended(self, Flow* f, int64_t now) except -1 nogil
    # Pairs without a packet for an hour are over.
    cdef int expire(self, int64_t now) except -1 nogil

    cdef inline bint due(self, int64_t now) noexcept nogil:
        return self.oldest >= 0 and self.pairs[self.oldest].looked + self.idle < now

    cdef int _row(
        self, Flow* f, const Place* p, Kind kind, int activity, const char* action
    ) except -1 nogil
    cdef int _pair_row(
        self, const Pair* pair, const Place* p, int activity, const char* action
    ) except -1 nogil
    cdef void _touch(self, int32_t slot) noexcept nogil
    cdef void _unlink(self, int32_t slot) noexcept nogil
    cdef void _link(self, int32_t slot) noexcept nogil
