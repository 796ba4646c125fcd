"""What is known of one flow while it lives, in the terms of Zeek's conn.log."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp

from tracelake.parsers.packet cimport Address


cdef enum:
    ORIG = 0                # the side that began
    RESP = 1                # the other side
    HISTORY_ROOM = 40

# States of one side of a TCP connection; the names of conn.log's states follow from two of them.
cdef enum:
    INACTIVE = 0            # nothing seen
    SYN_SENT = 1
    SYN_ACK_SENT = 2        # a SYN-ACK without a SYN before it
    PARTIAL = 3             # data without a SYN
    ESTABLISHED = 4
    CLOSED = 5              # FIN seen
    RESET = 6               # RST seen

cdef extern from *:
    """
    #define TL_NEVER INT64_MAX
    """
    int64_t NEVER "TL_NEVER"


# Where a row's record begins: the packet that held its first byte.
cdef struct Place:
    int64_t time            # nanoseconds since 1970 UTC; NO_TIME where the container has none
    int64_t offset          # of the packet's record in the capture
    int64_t length
    int32_t sub             # the how-manieth of those that begin in this packet


# One side of a flow. Sequence numbers are relative to `start` where they are 64 bits wide.
cdef struct Side:
    int64_t packets
    int64_t ip_bytes
    int64_t payload         # UDP and ICMP: bytes of payload; -1 before the first packet
    # TCP only:
    int64_t start           # initial sequence number (guessed where no SYN was seen)
    uint64_t fin_at         # sequence number past the FIN
    uint64_t delivered      # stream contiguous (or given up) to here
    uint64_t trimmed        # acknowledged by the other side to here
    uint32_t last_syn       # where the latest SYN, FIN, RST was: a repeated one is no news
    uint32_t last_fin
    uint32_t last_rst
    uint32_t sent           # one past the last sequence number seen ...
    uint32_t sent_wraps     # ... and how often it passed 2^32
    uint32_t acked          # the last acknowledgement of this side's data
    uint32_t acked_wraps
    uint32_t retransmits
    uint32_t zero_windows
    uint32_t window         # that it last announced, scaled, and where in either stream that was
    uint32_t window_at
    uint32_t window_acked
    uint32_t gaps
    uint32_t bad_checksums  # packets of which the IP header's or the transport's is wrong
    uint32_t repeated       # packets that were captured a moment before as well
    int32_t holes           # first range held beyond a hole, -1 where there is none
    uint16_t hole_count
    uint8_t fins            # FINs; more than 255 count as 255
    uint8_t state
    uint8_t previous
    uint8_t closed          # its close has been noticed
    uint8_t window_scale
    uint8_t ended           # all its data were seen after FIN or RST
    uint8_t deaf            # given up following its data
    void* pieces            # bytes beyond a hole that a protocol waits for (pieces.pxd)


cdef struct Flow:
    Address address[2]
    uint16_t port[2]
    uint8_t protocol
    uint8_t version
    uint8_t alive           # the slot is in use
    uint8_t one_way         # ICMP without a counterpart: replies are flows of their own
    uint8_t dns             # its responder's port speaks DNS
    uint8_t dns_begun       # its first message was seen
    uint8_t evicted         # written out because memory was full
    uint64_t name           # number of its conn_uid; 0: it has none
    uint64_t hash           # in the table
    uint32_t serial         # of the slot's tenant
    uint32_t noticed        # letters of the history that are noted once a side
    # Where and when.
    int64_t offset          # record of the first packet
    int64_t length
    int64_t first           # nanoseconds; NO_TIME where the container has no times
    int64_t last            # as Zeek counts: of the last packet before both sides had closed
    # Timers, nanoseconds; NEVER where not set.
    int64_t due             # the earliest of them: the entry in the heap that counts
    int64_t idle            # length of the inactivity that ends the flow
    int64_t attempt         # when an unanswered SYN is given up
    int64_t remove          # when a closed connection is forgotten
    int64_t check           # when a half-closed connection, or a DNS one, is looked at
    int64_t missed          # TCP payload bytes that neither side's packets held
    # TCP.
    uint8_t active          # neither finished nor reset
    uint8_t partial         # the beginning was not seen
    uint8_t close_deferred     # closed, but data before the close are still missing
    uint8_t finishes        # the close is an orderly end
    uint8_t begun           # bit 0: orig has sent, bit 1: resp
    uint8_t flags           # all TCP flags seen
    # Link layer.
    uint8_t mac[2][6]
    uint8_t has_mac[2]
    int16_t vlan            # -1 where there is none
    int16_t inner_vlan
    # Tunnels.
    uint8_t foreign         # it makes no rows: another reader's, followed for what it carries
    uint8_t depth           # around it
    uint8_t parent_count
    uint8_t tunnel          # which kind it is itself; 0 before a flow was seen in it
    uint8_t broken_tunnel   # its port is a tunnel's, what it says is not
    uint8_t tunnel_ways     # bit 0: orig has carried a packet, bit 1: resp
    uint8_t odd             # a breach of its protocol's rules was noted
    uint64_t tunnels        # around it, as of its latest packet
    uint64_t* parents       # innermost of these, ever: numbers of their conn_uid
    # History.
    uint8_t letters
    uint8_t history[HISTORY_ROOM]
    uint8_t community[30]   # Community ID as text, once it was asked for
    uint8_t community_length
    uint64_t services       # protocols that were recognised for certain, by their bits
    void* talk              # what is said in it (protocols/protocol.pxd); NULL before the first byte
    void* messages          # DNS messages that wait for their counterpart, the oldest first
    uint32_t waiting        # their number
    Side side[2]


cdef inline void note(Flow* f, uint8_t letter) noexcept nogil:
    """Adds a letter to the history. What does not fit any more is dropped: only a sender of
    one SYN after the other, each with a new number, gets that far."""
    if f.letters < HISTORY_ROOM:
        f.history[f.letters] = letter
        f.letters += 1


cdef inline bint note_once(Flow* f, int side, uint32_t bit, uint8_t letter) noexcept nogil:
    """Adds a letter the first time; 1 if it had been there. Lower case for the responder."""
    if side == RESP:
        bit <<= 16
        letter |= 0x20
    if f.noticed & bit:
        return True
    f.noticed |= bit
    note(f, letter)
    return False


cdef inline void note_scaled(Flow* f, int side, uint32_t* count, uint8_t letter) noexcept nogil:
    """Adds a letter at the 1st, 10th, 100th, ... time."""
    cdef uint32_t n = count[0] + 1, power = 1
    count[0] = n
    if n > 1:
        if n % 10:
            return
        while power < n and power <= 100000000:
            power *= 10
    if power == n:
        note(f, letter | 0x20 if side == RESP else letter)


cdef inline bint is_ipv4(const Address* a) noexcept nogil:
    return a.high == 0 and memcmp(&a.low, b"\0\0\xff\xff", 4) == 0


# The number of a flow's conn_uid follows from its ends and its first packet, so that the same capture
# gives the same names.
cdef uint64_t name_of(const Flow* f) noexcept nogil
cdef Py_ssize_t put_name(uint8_t* out, uint64_t name) noexcept nogil

# Room: 45, 17 and 30. put_community_id gives 0 where one end is IPv4 and the other is not.
cdef Py_ssize_t put_address(uint8_t* out, const Address* a) noexcept nogil
cdef Py_ssize_t put_uid(uint8_t* out, const Flow* f) noexcept nogil
cdef Py_ssize_t put_community_id(uint8_t* out, Flow* f) noexcept nogil
cdef uint64_t flow_hash(const Flow* f) noexcept nogil
# Originator and responder change places.
cdef void flip(Flow* f) noexcept nogil
