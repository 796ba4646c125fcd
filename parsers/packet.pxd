"""One captured packet, from its link layer to where its transport's payload begins."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t


# An address as two machine words holding its 16 bytes in the order of the wire; IPv4 is
# IPv4-mapped (::ffff:a.b.c.d), so that one comparison serves both.
cdef struct Address:
    uint64_t high
    uint64_t low


cdef inline bint same_address(const Address* a, const Address* b) noexcept nogil:
    return a.low == b.low and a.high == b.high


cdef enum Verdict:
    TRANSPORT       # TCP, UDP or ICMP: belongs to a flow
    FRAGMENT        # a later fragment: belongs to the flow of its first one, if that is known
    COUNTED         # nothing that makes a flow: counted by `kind`
    DAMAGED         # `what` and `why` say why


# Kinds of packets that are only counted: a family, and a number of its own in the low 16 bits.
cdef enum:
    KIND_ETHERTYPE = 0x00000
    KIND_IP_PROTO = 0x10000
    KIND_LINKTYPE = 0x20000
    KIND_FAMILY = 0x30000       # null/loopback: address families other than IPv4 and IPv6
    KIND_OTHER = 0x40000
    KIND_LLC = 0x40000          # IEEE 802.2 without an ethertype (spanning tree, CDP, ...)
    KIND_FRAGMENT = 0x40001     # a fragment whose flow is not known
    KINDS = 0x40002


cdef struct Packet:
    # From the container.
    int64_t time                # nanoseconds since 1970 UTC; NO_TIME where there is none
    int64_t offset              # of the packet's record in the artifact
    int64_t length              # of the record, its header included
    # Link layer.
    const uint8_t* macs         # destination, then source; NULL where there are none
    const uint8_t* src_mac      # only the sender is known (cooked captures); else NULL
    int vlan                    # outer tag, -1 where there is none
    int inner_vlan
    # Network layer.
    Address src
    Address dst
    uint8_t version             # 4 or 6
    uint8_t protocol            # IP protocol number of the transport
    bint fragmented             # the first of several fragments
    uint8_t depth               # tunnels around it
    uint32_t fragment_id
    int64_t ip_bytes            # total length by the IP header
    # Transport.
    const uint8_t* payload      # the transport header
    int64_t payload_length      # by the IP header
    int64_t captured            # of it, in the capture
    # What is wrong.
    uint32_t kind
    const char* what
    const char* why


cdef extern from *:
    """
    #define TL_NO_TIME INT64_MIN
    """
    int64_t NO_TIME "TL_NO_TIME"

cdef Verdict dissect(
    Packet* p, int link, const uint8_t* data, int64_t captured, int64_t wire
) noexcept nogil
