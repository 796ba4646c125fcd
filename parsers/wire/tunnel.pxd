"""What a tunnel carries."""

from libc.stdint cimport int64_t, uint8_t, uint16_t

from tracelake.parsers.packet cimport Packet


cdef enum Kind:
    NO_TUNNEL = 0
    IP_TUNNEL = 1
    GRE_TUNNEL = 2
    AYIYA = 3
    TEREDO = 4
    GTPV1 = 5
    VXLAN = 6
    GENEVE = 7
    BROKEN_TUNNEL = 8       # a tunnel's port, but not its format


# A packet inside of another one. `note` and `analyzer`: a breach of the tunnel's rules.
cdef struct Inner:
    Kind kind
    int link                # what `data` begins with, as a link type
    const uint8_t* data
    int64_t captured
    int64_t wire
    const char* note
    const char* analyzer

# Whether there is something inside that can be looked at; the tunnel's kind is in `i` in any case.
# Of a packet whose IP protocol is that of a tunnel:
cdef bint ip_tunnel(const Packet* p, Inner* i) noexcept nogil
# Of a UDP datagram, by the port of the flow's responder:
cdef bint udp_tunnel(const Packet* p, uint16_t port, Kind around, Inner* i) noexcept nogil
# Whether a UDP datagram may be one, whoever began its flow.
cdef bint maybe_tunnel(const Packet* p) noexcept nogil
