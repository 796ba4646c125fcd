"""One captured packet, from its link layer to where its transport's payload begins.

    wire/link.pyx      link layers: dissect
    wire/network.pyx   IPv4, IPv6, and whether a transport's header is whole
    wire/tunnel.pyx    what a tunnel carries
    wire/fragments.pyx datagrams that came in pieces
    wire/layers.pyx    leads a packet through all of them, inwards
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t


# An address as two machine words holding its 16 bytes in the order of the wire; IPv4 is
# IPv4-mapped (::ffff:a.b.c.d), so that one comparison serves both.
cdef struct Address:
    uint64_t high
    uint64_t low


cdef inline bint same_address(const Address* a, const Address* b) noexcept nogil:
    return a.low == b.low and a.high == b.high


cdef enum Verdict:
    TRANSPORT       # TCP, UDP or ICMP: belongs to a flow
    FRAGMENT        # one of the fragments of a datagram
    TUNNELLED       # IP in IP, GRE: what is inside belongs to flows; itself counted by `kind`
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
    KIND_FRAGMENT = 0x40001     # a fragment of a datagram of which others are missing
    KIND_JOINED = 0x40002       # a fragment whose datagram is in a row: all but the last that came
    KIND_FORGOTTEN = 0x40003    # a fragment that was dropped because memory was full
    KIND_WLAN = 0x40004         # IEEE 802.11: management, control and frames without data
    KIND_WLAN_PROTECTED = 0x40005
    KIND_FRAME_RELAY = 0x40006  # frame relay: neither IPv4 nor IPv6 nor SNAP
    KIND_NOTHING = 0x40007      # IPv6: no next header
    KIND_PPP = 0x50000          # PPP: protocols other than IPv4, IPv6 and MPLS
    KINDS = 0x60000

cdef enum:
    NOTES = 4                   # breaches that one packet's layers can tell of


# A breach of the rules of a layer below the transport: Zeek's name for it, and who noticed.
cdef struct Note:
    const char* name
    const char* analyzer
    int ends                    # what is known of them: 1 addresses, 2 ports too


cdef struct Packet:
    # From the container.
    int64_t time                # nanoseconds since 1970 UTC; NO_TIME where there is none
    int64_t offset              # of the packet's record in the artifact
    int64_t length              # of the record, its header included
    # Link layer.
    const uint8_t* macs         # destination, then source; NULL where there are none
    const uint8_t* src_mac      # where they stand apart (802.11, cooked captures); else NULL
    const uint8_t* dst_mac
    int vlan                    # outer tag, -1 where there is none
    int inner_vlan
    # Network layer.
    Address src
    Address dst
    uint8_t version             # 4 or 6
    uint8_t protocol            # IP protocol number of the transport
    bint fragmented             # the first of several fragments, taken alone
    bint joined                 # put together of fragments: no longer where it was captured
    uint8_t depth               # tunnels around it
    uint64_t tunnels            # which they are; 0: none
    uint64_t parent             # number of the innermost one's conn_uid
    bint foreign                # another reader's: followed for what it carries
    const uint8_t* ip           # the network header, `ip_header` bytes with all its extensions
    int64_t ip_header
    int64_t ip_bytes            # total length by the IP header
    uint32_t fragment_id
    int32_t fragment_at         # bytes of the datagram before this one
    bint fragments_follow
    bint not_to_be_cut          # it says that it must not be fragmented
    # Transport.
    const uint8_t* payload      # the transport header
    int64_t payload_length      # by the IP header
    int64_t captured            # of it, in the capture
    # What is left of an aggregate of 802.11 frames (A-MSDU) after the one at hand.
    const uint8_t* more
    int64_t more_left
    # What is wrong.
    int note_count
    Note notes[NOTES]
    uint32_t kind
    const char* what
    const char* why


cdef extern from *:
    """
    #define TL_NO_TIME INT64_MIN
    """
    int64_t NO_TIME "TL_NO_TIME"

cdef inline Verdict counted(Packet* p, uint32_t kind) noexcept nogil:
    p.kind = kind
    return COUNTED


cdef inline Verdict damaged(Packet* p, const char* what, const char* why) noexcept nogil:
    p.what = what
    p.why = why
    return DAMAGED


cdef inline void breach(
    Packet* p, const char* name, const char* analyzer, int ends
) noexcept nogil:
    """Notes a breach of the rules; it becomes a row of network_weird."""
    if p.note_count < NOTES:
        p.notes[p.note_count].name = name
        p.notes[p.note_count].analyzer = analyzer
        p.notes[p.note_count].ends = ends
        p.note_count += 1


cdef inline void forget(Packet* p) noexcept nogil:
    """Makes room for another packet; the container's and the tunnels' are left alone."""
    p.macs = NULL
    p.src_mac = NULL
    p.dst_mac = NULL
    p.vlan = -1
    p.inner_vlan = -1
    p.fragmented = False
    p.joined = False
    p.not_to_be_cut = False
    p.note_count = 0
    p.more = NULL
    p.more_left = 0
    p.version = 0
