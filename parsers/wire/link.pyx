"""Link layers: what stands before the network header.

Link types are those of https://www.tcpdump.org/linktypes.html; one that is not known here is
counted by its number. Nothing is guessed: a header that is not all there, or that contradicts
itself, makes the packet damaged, with the reason.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

from tracelake.native.cursor cimport Cursor, be16, be32, le16, le32, left, span, take
from tracelake.parsers.packet cimport (
    KIND_ETHERTYPE, KIND_FAMILY, KIND_FRAME_RELAY, KIND_LINKTYPE, KIND_LLC, KIND_PPP,
    breach, counted, damaged, forget,
)
from tracelake.parsers.wire.network cimport ipv4, ipv6
from tracelake.parsers.wire.wlan cimport wlan, wlan_more

cdef enum:
    NULL_LOOPBACK = 0
    TOKEN_RING = 6
    PPP = 9
    FDDI = 10
    RAW_BSD = 12            # DLT_RAW as most systems number it ...
    RAW_OPENBSD = 14        # ... and as OpenBSD does
    PPP_HDLC = 50
    PPP_ETHER = 51
    ATM_LLC = 100
    CISCO_HDLC = 104
    FRAME_RELAY = 107
    LOOP = 108
    ENC = 109
    LINUX_SLL = 113
    PFLOG = 117
    PRISM = 119
    IP_OVER_FC = 122
    SUN_ATM = 123
    RADIOTAP = 127
    AVS = 163
    PPI = 192
    PPP_WITH_DIRECTION = 204
    IPV4 = 228
    IPV6 = 229
    NFLOG = 239
    PKTAP = 258
    LINUX_SLL2 = 276

cdef enum:
    TYPES = 0x0600          # smaller numbers are lengths (IEEE 802.3)
    TYPE_IPV4 = 0x0800
    TYPE_TRANSPARENT = 0x6558
    TYPE_VLAN = 0x8100
    TYPE_IPV6 = 0x86DD
    TYPE_MPLS = 0x8847
    TYPE_MPLS_MULTICAST = 0x8848
    TYPE_PPPOE = 0x8864     # session stage (RFC 2516)
    TYPE_QINQ = 0x88A8
    TYPE_PBB = 0x88E7       # IEEE 802.1ah: a whole frame behind the service's tag
    TYPE_FABRIC_PATH = 0x8903
    TYPE_CISCO_METADATA = 0x8909
    TYPE_VNTAG = 0x8926
    TYPE_QINQ_OLD = 0x9100

cdef enum:
    PPP_IPV4 = 0x0021
    PPP_IPV6 = 0x0057
    PPP_MPLS = 0x0281
    PPP_MPLS_MULTICAST = 0x0283

cdef enum:
    NLPID_SNAP = 0x80
    NLPID_IPV6 = 0x8E
    NLPID_IPV4 = 0xCC
    NLPID_PPP = 0xCF
    NLPID_Q933 = 0x08

cdef enum:
    TAGS = 8                # of VLANs and the like, before one address is believed
    LABELS = 32             # of MPLS
    WRAPPERS = 4            # headers that name another link type (PPI, PKTAP)
    NFLOG_PAYLOAD = 9


cdef Verdict dissect(
    Packet* p, int link, const uint8_t* data, int64_t captured, int64_t wire
) noexcept nogil:
    cdef Cursor c = span(data, captured, 0)
    cdef const uint8_t* h
    cdef int64_t n
    cdef int wrapped = 0
    forget(p)
    while True:
        if link == ETHERNET:
            return ethernet(p, &c, wire)
        if link == PPI or link == PKTAP:
            # The header's own length, and the link type of what follows.
            n = 8 if link == PPI else 12
            if left(&c) < n or wrapped == WRAPPERS:
                return damaged(p, b"capture header", b"the packet ends in it")
            n = le16(c.at + 2) if link == PPI else le32(c.at)
            if n < (8 if link == PPI else 12) or n > left(&c):
                return damaged(p, b"capture header", b"its length is impossible")
            h = take(&c, n, b"capture header")
            link = <int>(le32(h + 4) if link == PPI else le32(h + 8)) & 0xFFFF
            wrapped += 1
            continue
        break
    if link == WLAN or link == PRISM or link == RADIOTAP or link == AVS:
        n = 0
        if link == RADIOTAP:
            if left(&c) < 8 or le16(c.at + 2) < 8 or le16(c.at + 2) >= left(&c):
                breach(p, b"truncated_radiotap_header", b"IEEE802_11_RADIO", False)
                return damaged(p, b"radiotap header", b"the packet ends in it")
            n = le16(c.at + 2)
        elif link == PRISM or link == AVS:
            if left(&c) < 8:
                return damaged(p, b"Prism header", b"the packet ends in it")
            # AVS is big-endian, and some drivers give it the older link type.
            if link == AVS or be32(c.at) >> 12 == 0x80211:
                n = be32(c.at + 4)
            else:
                n = le32(c.at + 4)
            if n < 8 or n > left(&c):
                return damaged(p, b"Prism header", b"its length is impossible")
        take(&c, n, b"radio header")
        return wlan(p, &c, wire)
    if link == FDDI:
        if left(&c) < 13:
            return damaged(p, b"FDDI header", b"the packet has fewer than 13 bytes")
        p.macs = take(&c, 13, b"FDDI header") + 1
        return llc(p, &c, wire)
    if link == TOKEN_RING:
        if left(&c) < 14:
            return damaged(p, b"Token Ring header", b"the packet has fewer than 14 bytes")
        h = take(&c, 14, b"Token Ring header")
        p.macs = h + 2
        if h[8] & 0x80:
            # A route follows the addresses.
            n = h[14] & 0x1F if left(&c) else 0
            if n < 2 or left(&c) < n:
                return damaged(p, b"Token Ring header", b"the route is not all there")
            take(&c, n, b"Token Ring route")
        return llc(p, &c, wire)
    if link == ATM_LLC:
        return llc(p, &c, wire)
    if link == SUN_ATM or link == IP_OVER_FC:
        n = 4 if link == SUN_ATM else 16
        if left(&c) < n:
            return damaged(p, b"link header", b"the packet ends in it")
        h = take(&c, n, b"link header")
        if link == SUN_ATM and h[0] & 0x0F != 2:
            return counted(p, KIND_LINKTYPE + <uint32_t>link)       # signalling, emulated LANs
        return llc(p, &c, wire)
    if link == LINUX_SLL:
        if left(&c) < 16:
            return damaged(p, b"Linux cooked header", b"the packet has fewer than 16 bytes")
        h = take(&c, 16, b"Linux cooked header")
        if be16(h + 4) == 6:
            p.src_mac = h + 6
        return ethertype(p, &c, be16(h + 14), wire)
    if link == LINUX_SLL2:
        if left(&c) < 20:
            return damaged(p, b"Linux cooked header", b"the packet has fewer than 20 bytes")
        h = take(&c, 20, b"Linux cooked header")
        if h[11] == 6:
            p.src_mac = h + 12
        return ethertype(p, &c, be16(h), wire)
    if link == NULL_LOOPBACK or link == LOOP or link == ENC:
        n = 12 if link == ENC else 4
        if left(&c) < n:
            return damaged(p, b"loopback header", b"the packet has fewer than 4 bytes")
        return family(p, &c, take(&c, n, b"loopback header"), wire)
    if link == PFLOG:
        # The length, then the family; both one byte (OpenBSD, net/if_pflog.h).
        if left(&c) < 4 or c.at[0] < 4 or left(&c) < (c.at[0] + 3) & ~3:
            return damaged(p, b"pflog header", b"the packet ends in it")
        h = take(&c, (c.at[0] + 3) & ~3, b"pflog header")
        return by_family(p, &c, h[1], wire)
    if link == PPP:
        return ppp(p, &c, wire)
    if link == PPP_WITH_DIRECTION:
        if left(&c) < 1:
            return damaged(p, b"PPP header", b"the packet is empty")
        take(&c, 1, b"direction")
        return ppp(p, &c, wire)
    if link == PPP_HDLC or link == CISCO_HDLC:
        if left(&c) < 4:
            return damaged(p, b"PPP header", b"the packet has fewer than 4 bytes")
        if link == CISCO_HDLC or c.at[0] == 0x0F or c.at[0] == 0x8F:
            h = take(&c, 4, b"HDLC header")         # Cisco's: an ethertype
            return ethertype(p, &c, be16(h + 2), wire)
        return ppp(p, &c, wire)
    if link == PPP_ETHER:
        return pppoe(p, &c, wire)
    if link == FRAME_RELAY:
        return frame_relay(p, &c, wire)
    if link == NFLOG:
        return nflog(p, &c, wire)
    if link == MPLS:
        return mpls(p, &c, wire)
    if link == RAW or link == RAW_BSD or link == RAW_OPENBSD or link == IPV4 or link == IPV6:
        return raw(p, &c, wire)
    return counted(p, KIND_LINKTYPE + (<uint32_t>link & 0xFFFF))


cdef Verdict dissect_more(Packet* p) noexcept nogil:
    cdef const uint8_t* data = p.more
    cdef int64_t n = p.more_left
    forget(p)
    return wlan_more(p, data, n)


cdef Verdict raw(Packet* p, Cursor* c, int64_t wire) noexcept nogil:
    if left(c) < 1:
        breach(p, b"truncated_IP", b"IP", False)
        return damaged(p, b"IP header", b"the packet is empty")
    if c.at[0] >> 4 == 4:
        return ipv4(p, c, wire)
    if c.at[0] >> 4 == 6:
        return ipv6(p, c, wire)
    breach(
        p, b"truncated_IP" if left(c) < 20 else b"unknown_ip_version", b"IP", False
    )
    return damaged(p, b"IP header", b"the version is neither 4 nor 6")


cdef Verdict family(Packet* p, Cursor* c, const uint8_t* h, int64_t wire) noexcept nogil:
    # The family is in the byte order of the machine that captured, which nothing names.
    cdef uint32_t number = be32(h)
    if number > 0xFFFF:
        number = le32(h)
    return by_family(p, c, number, wire)


cdef Verdict by_family(Packet* p, Cursor* c, uint32_t number, int64_t wire) noexcept nogil:
    """2 is IPv4 everywhere; IPv6 is 24 (NetBSD), 28 (FreeBSD), 30 (macOS), 10 (Linux)."""
    if number == 2:
        return ipv4(p, c, wire)
    if number == 24 or number == 28 or number == 30 or number == 10:
        return ipv6(p, c, wire)
    return counted(p, KIND_FAMILY + (number if number < 0xFFFF else 0xFFFF))


cdef Verdict ethernet(Packet* p, Cursor* c, int64_t wire) noexcept nogil:
    """IEEE 802.3."""
    cdef const uint8_t* h
    cdef int frames
    for frames in range(TAGS):
        if left(c) == 0:
            breach(p, b"empty_pcap_header", NULL, False)
        elif left(c) <= 16:
            breach(p, b"truncated_ethernet_frame", b"ETHERNET", False)
        if left(c) < 14:
            return damaged(p, b"Ethernet header", b"the packet has fewer than 14 bytes")
        h = take(c, 14, b"Ethernet header")
        if be16(h + 12) == TYPE_FABRIC_PATH and left(c) >= 16:
            take(c, 2, b"FabricPath tag")           # a frame in a frame (Cisco)
            continue
        p.macs = h
        if be16(h + 12) == TYPE_PBB and left(c) >= 18:
            take(c, 4, b"service tag")
            continue
        if be16(h + 12) <= 1500 and left(c) < be16(h + 12):
            breach(p, b"truncated_ethernet_frame", b"ETHERNET", False)
        return ethertype(p, c, be16(h + 12), wire)
    return damaged(p, b"Ethernet header", b"frames in frames without end")


cdef Verdict ethertype(Packet* p, Cursor* c, uint32_t kind, int64_t wire) noexcept nogil:
    """What follows a link header whose ethertype is `kind`."""
    cdef const uint8_t* h
    cdef int tags = 0
    cdef int64_t n
    while (
        kind == TYPE_VLAN or kind == TYPE_QINQ or kind == TYPE_QINQ_OLD or kind == TYPE_VNTAG
        or kind == TYPE_CISCO_METADATA
    ):
        tags += 1
        if tags > TAGS:
            return damaged(p, b"VLAN tag", b"tags without end")
        if kind == TYPE_VNTAG:
            if left(c) < 6:
                breach(p, b"truncated_vntag_header", b"VNTAG", False)
                return damaged(p, b"VN-Tag", b"the packet ends in the tag")
            kind = be16(take(c, 6, b"VN-Tag") + 4)
            continue
        if kind == TYPE_CISCO_METADATA:
            # Version, length in words, that many options, the type.
            n = 4 + 4 * c.at[1] if left(c) >= 2 else 4
            if left(c) < n:
                return damaged(p, b"Cisco metadata", b"the packet ends in them")
            kind = be16(take(c, n, b"Cisco metadata") + n - 2)
            continue
        if left(c) < 4:
            breach(p, b"truncated_VLAN_header", b"VLAN", False)
            return damaged(p, b"VLAN tag", b"the packet ends in the tag")
        h = take(c, 4, b"VLAN tag")
        # VLAN 0 is no VLAN, only a priority (IEEE 802.1Q, 9.6).
        if p.vlan < 0:
            p.vlan = be16(h) & 0x0FFF or -1
        else:
            p.inner_vlan = be16(h) & 0x0FFF or -1       # of several, the innermost
        kind = be16(h + 2)
    if kind == TYPE_IPV4 or kind == TYPE_IPV6:
        return raw(p, c, wire)          # the version decides, whatever the type says
    if kind == TYPE_MPLS or kind == TYPE_MPLS_MULTICAST:
        return mpls(p, c, wire)
    if kind == TYPE_PPPOE:
        return pppoe(p, c, wire)
    if kind == TYPE_PBB and left(c) >= 18:
        take(c, 4, b"service tag")
        return ethernet_inside(p, c, wire)
    if kind < TYPES:
        return llc(p, c, wire)
    return counted(p, KIND_ETHERTYPE + kind)


cdef Verdict ethernet_inside(Packet* p, Cursor* c, int64_t wire) noexcept nogil:
    """The one frame that a tagged provider's frame or a label may hold."""
    cdef const uint8_t* h
    if left(c) < 14:
        return damaged(p, b"Ethernet header", b"the packet has fewer than 14 bytes")
    h = take(c, 14, b"Ethernet header")
    p.macs = h
    if be16(h + 12) == TYPE_PBB or be16(h + 12) == TYPE_MPLS or be16(h + 12) == TYPE_MPLS_MULTICAST:
        return counted(p, KIND_ETHERTYPE + be16(h + 12))
    return ethertype(p, c, be16(h + 12), wire)


cdef Verdict mpls(Packet* p, Cursor* c, int64_t wire) noexcept nogil:
    """MPLS (RFC 3032): labels, of which the last has the bottom bit. What follows is told by its
    first half-byte: 4, 6, or 0 for a pseudo-wire's control word (RFC 4385), an Ethernet frame
    behind it (RFC 4448); also without one, where the addresses make no IP header."""
    cdef int labels
    cdef uint8_t first
    cdef const uint8_t* h
    for labels in range(LABELS):
        if left(c) < 4:
            breach(p, b"truncated_link_header", b"MPLS", False)
            return damaged(p, b"MPLS label", b"the packet ends in the labels")
        h = take(c, 4, b"MPLS label")
        if not h[2] & 1:
            continue
        if left(c) < 1:
            return damaged(p, b"MPLS label", b"nothing follows the labels")
        first = c.at[0] >> 4
        if first == 4 and (left(c) < 14 or c.at[0] & 15 >= 5):
            return ipv4(p, c, wire)
        if first == 6 and not _frame_follows(c, 0):
            return ipv6(p, c, wire)
        if first == 0 and _frame_follows(c, 4):
            take(c, 4, b"control word")
            return ethernet_inside(p, c, wire)
        if _frame_follows(c, 0):
            return ethernet_inside(p, c, wire)
        return counted(p, KIND_ETHERTYPE + TYPE_MPLS)
    return damaged(p, b"MPLS label", b"labels without end")


cdef bint _frame_follows(const Cursor* c, int64_t skip) noexcept nogil:
    """Whether an Ethernet frame of IP, ARP or a VLAN stands there."""
    cdef uint16_t kind
    if left(c) < skip + 14:
        return False
    kind = be16(c.at + skip + 12)
    return (
        kind == TYPE_IPV4 or kind == TYPE_IPV6 or kind == TYPE_VLAN or kind == TYPE_QINQ
        or kind == 0x0806
    )


cdef Verdict pppoe(Packet* p, Cursor* c, int64_t wire) noexcept nogil:
    """PPP over Ethernet (RFC 2516): six bytes before the protocol."""
    if left(c) < 8:
        breach(p, b"truncated_pppoe_header", b"PPPOE", False)
        return damaged(p, b"PPPoE header", b"the packet ends in it")
    take(c, 6, b"PPPoE header")
    return ppp_protocol(p, c, be16(take(c, 2, b"PPP protocol")), wire)


cdef Verdict ppp(Packet* p, Cursor* c, int64_t wire) noexcept nogil:
    """PPP (RFC 1661), with address and control in HDLC's fashion (RFC 1662) or without; the
    protocol may be compressed to one byte."""
    if left(c) >= 2 and c.at[0] == 0xFF and c.at[1] == 3:
        take(c, 2, b"PPP address")
    if left(c) < 2:
        breach(p, b"truncated_ppp_header", b"PPP", False)
        return damaged(p, b"PPP header", b"the packet ends in it")
    if c.at[0] & 1:
        return ppp_protocol(p, c, take(c, 1, b"PPP protocol")[0], wire)
    return ppp_protocol(p, c, be16(take(c, 2, b"PPP protocol")), wire)


cdef Verdict ppp_protocol(Packet* p, Cursor* c, uint32_t protocol, int64_t wire) noexcept nogil:
    if protocol == PPP_IPV4:
        return ipv4(p, c, wire)
    if protocol == PPP_IPV6:
        return ipv6(p, c, wire)
    if protocol == PPP_MPLS or protocol == PPP_MPLS_MULTICAST:
        return mpls(p, c, wire)
    return counted(p, KIND_PPP + protocol)


cdef Verdict frame_relay(Packet* p, Cursor* c, int64_t wire) noexcept nogil:
    """Frame relay: the address (Q.922), then RFC 2427 or Cisco's ethertype."""
    cdef int n = 2
    cdef const uint8_t* h
    while n <= 4 and left(c) >= n and not c.at[n - 1] & 1:
        n += 1
    if n > 4 or left(c) < n + 2:
        return damaged(p, b"frame relay header", b"the packet ends in it")
    take(c, n, b"frame relay address")
    if c.at[0] != 3:
        h = take(c, 2, b"ethertype")
        if be16(h) >= TYPES:
            return ethertype(p, c, be16(h), wire)
        return counted(p, KIND_FRAME_RELAY)
    take(c, 1, b"control")
    if c.at[0] == 0 and left(c) >= 2:
        take(c, 1, b"pad")
    h = take(c, 1, b"protocol")
    if h[0] == NLPID_IPV4:
        return ipv4(p, c, wire)
    if h[0] == NLPID_IPV6:
        return ipv6(p, c, wire)
    if h[0] == NLPID_PPP:
        return ppp(p, c, wire)
    if h[0] == NLPID_SNAP and left(c) >= 5:
        h = take(c, 5, b"SNAP header")
        if h[0] == 0 and h[1] == 0 and h[2] == 0 and be16(h + 3) >= TYPES:
            return ethertype(p, c, be16(h + 3), wire)
        if h[0] == 0 and h[1] == 0x80 and h[2] == 0xC2 and (h[4] == 7 or h[4] == 1):
            return ethernet_inside(p, c, wire)      # bridged, without or with checksum
    return counted(p, KIND_FRAME_RELAY)


cdef Verdict nflog(Packet* p, Cursor* c, int64_t wire) noexcept nogil:
    """Linux netfilter's log: a family, a version, then tagged values in the capturing machine's
    byte order, of which one is the packet."""
    cdef const uint8_t* h
    cdef uint8_t kind
    cdef int64_t n
    cdef bint big
    if left(c) <= 4:
        breach(p, b"truncated_nflog_header", b"NFLOG", False)
        return damaged(p, b"NFLOG header", b"the packet ends in it")
    h = take(c, 4, b"NFLOG header")
    kind = h[0]
    if h[1] != 0:
        breach(p, b"unknown_nflog_version", b"NFLOG", False)
        return damaged(p, b"NFLOG header", b"the version is not 0")
    # Types are small numbers: where the upper byte is the set one, the order is the other.
    big = left(c) >= 4 and c.at[2] == 0 and c.at[3] != 0
    while True:
        if left(c) <= 4:
            breach(p, b"nflog_no_pcap_payload", b"NFLOG", False)
            return damaged(p, b"NFLOG", b"it holds no packet")
        n = be16(c.at) if big else le16(c.at)
        if (be16(c.at + 2) if big else le16(c.at + 2)) == NFLOG_PAYLOAD:
            take(c, 4, b"NFLOG value")
            break
        if n < 4:
            breach(p, b"nflog_bad_tlv_len", b"NFLOG", False)
            return damaged(p, b"NFLOG", b"the length of a value is impossible")
        n = (n + 3) & ~3
        if n > left(c):
            breach(p, b"nflog_bad_tlv_len", b"NFLOG", False)
            return damaged(p, b"NFLOG", b"a value is longer than the packet")
        take(c, n, b"NFLOG value")
    return by_family(p, c, kind, wire)


cdef Verdict llc(Packet* p, Cursor* c, int64_t wire) noexcept nogil:
    """IEEE 802.2: an ethertype follows where SNAP says so (RFC 1042)."""
    cdef const uint8_t* h
    cdef uint32_t kind
    if left(c) >= 8 and c.at[0] == 0xAA and c.at[1] == 0xAA and c.at[2] == 3:
        h = take(c, 8, b"SNAP header")
        kind = be16(h + 6)
        if h[3] == 0 and h[4] == 0 and h[5] == 0 and kind >= TYPES:
            return after_snap(p, c, kind, wire)
    return counted(p, KIND_LLC)


cdef Verdict after_snap(Packet* p, Cursor* c, uint32_t kind, int64_t wire) noexcept nogil:
    # No further tags: what follows is told once.
    if kind == TYPE_IPV4:
        return ipv4(p, c, wire)
    if kind == TYPE_IPV6:
        return ipv6(p, c, wire)
    return counted(p, KIND_ETHERTYPE + kind)
