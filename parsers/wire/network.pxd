"""IPv4 and IPv6."""

from libc.stdint cimport int64_t, uint8_t

from tracelake.native.cursor cimport Cursor
from tracelake.parsers.packet cimport Packet, Verdict

cdef enum:
    HOP_BY_HOP = 0
    ICMP = 1
    IP_IN_IP = 4
    TCP = 6
    UDP = 17
    IPV6_IN_IP = 41
    ROUTING = 43
    IPV6_FRAGMENT = 44
    GRE = 47
    AUTHENTICATION = 51
    ICMPV6 = 58
    NOTHING = 59
    DESTINATION = 60

# The network header at the cursor; `wire`: bytes on the wire from the cursor's start.
cdef Verdict ipv4(Packet* p, Cursor* c, int64_t wire) noexcept nogil
cdef Verdict ipv6(Packet* p, Cursor* c, int64_t wire) noexcept nogil
# What follows the network header: its first is `p.protocol`, its bytes are `p.payload`.
cdef Verdict upper(Packet* p) noexcept nogil
