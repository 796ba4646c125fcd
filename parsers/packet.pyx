"""Link and network layers: Ethernet with VLAN tags, FDDI, PPPoE, Linux cooked, null/loopback and
raw IP; IPv4 (RFC 791) and IPv6 with extension headers (RFC 8200).

A packet ends in exactly one of four ways (`Verdict`). Nothing is guessed: a header that is
not all there, or that contradicts itself, makes the packet damaged, with the reason.
Link types are those of https://www.tcpdump.org/linktypes.html.
"""

from libc.string cimport memcpy, memset

from tracelake.native.cursor cimport Cursor, be16, be32, le32, left, span, take


cdef enum:
    NULL_LOOPBACK = 0
    ETHERNET = 1
    FDDI = 10
    RAW_BSD = 12            # DLT_RAW as most systems number it ...
    RAW_OPENBSD = 14        # ... and as OpenBSD does
    RAW = 101
    LOOP = 108
    LINUX_SLL = 113
    IPV4 = 228
    IPV6 = 229
    LINUX_SLL2 = 276

cdef enum:
    TYPE_IPV4 = 0x0800
    TYPE_VLAN = 0x8100
    TYPE_IPV6 = 0x86DD
    TYPE_PPPOE = 0x8864     # session stage (RFC 2516)
    TYPE_QINQ = 0x88A8
    TYPE_QINQ_OLD = 0x9100
    TYPES = 0x0600          # smaller numbers are lengths (IEEE 802.3)

cdef enum:
    PPP_IPV4 = 0x0021
    PPP_IPV6 = 0x0057

cdef enum:
    HOP_BY_HOP = 0
    ICMP = 1
    TCP = 6
    UDP = 17
    ROUTING = 43
    IPV6_FRAGMENT = 44
    AUTHENTICATION = 51
    ICMPV6 = 58
    DESTINATION = 60
    HOME_ADDRESS = 0xC9     # option of a destination header

cdef enum:
    IPV4_MORE = 0x2000      # flags and offset: more fragments
    IPV4_OFFSET = 0x1FFF


cdef inline Verdict counted(Packet* p, uint32_t kind) noexcept nogil:
    p.kind = kind
    return COUNTED


cdef inline Verdict damaged(Packet* p, const char* what, const char* why) noexcept nogil:
    p.what = what
    p.why = why
    return DAMAGED


cdef Verdict dissect(
    Packet* p, int link, const uint8_t* data, int64_t captured, int64_t wire
) noexcept nogil:
    """Reads a packet of link type `link`: `captured` bytes at `data` of `wire` on the wire.

    `time`, `offset` and `length` of `p` are the container's and are left alone.
    """
    cdef Cursor c = span(data, captured, 0)
    cdef const uint8_t* h
    cdef uint32_t family
    p.macs = NULL
    p.src_mac = NULL
    p.vlan = -1
    p.inner_vlan = -1
    p.fragmented = False
    p.depth = 0
    if link == ETHERNET:
        if left(&c) < 14:
            return damaged(p, b"Ethernet header", b"the packet has fewer than 14 bytes")
        h = take(&c, 14, b"Ethernet header")
        p.macs = h
        return ethertype(p, &c, be16(h + 12), wire)
    if link == FDDI:
        if left(&c) < 13:
            return damaged(p, b"FDDI header", b"the packet has fewer than 13 bytes")
        p.macs = take(&c, 13, b"FDDI header") + 1
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
    if link == NULL_LOOPBACK or link == LOOP:
        if left(&c) < 4:
            return damaged(p, b"loopback header", b"the packet has fewer than 4 bytes")
        h = take(&c, 4, b"loopback header")
        # The family is in the byte order of the machine that captured, which nothing names.
        family = be32(h)
        if family > 0xFFFF:
            family = le32(h)
        # 2 is IPv4 everywhere; IPv6 is 24 (NetBSD), 28 (FreeBSD), 30 (macOS), 10 (Linux).
        if family == 2:
            return ipv4(p, &c, wire)
        if family == 24 or family == 28 or family == 30 or family == 10:
            return ipv6(p, &c, wire)
        return counted(p, KIND_FAMILY + (family if family < 0xFFFF else 0xFFFF))
    if link == RAW or link == RAW_BSD or link == RAW_OPENBSD or link == IPV4 or link == IPV6:
        if left(&c) < 1:
            return damaged(p, b"IP header", b"the packet is empty")
        h = c.at
        if h[0] >> 4 == 4:
            return ipv4(p, &c, wire)
        if h[0] >> 4 == 6:
            return ipv6(p, &c, wire)
        return damaged(p, b"IP header", b"the version is neither 4 nor 6")
    return counted(p, KIND_LINKTYPE + (<uint32_t>link & 0xFFFF))


cdef Verdict ethertype(Packet* p, Cursor* c, uint32_t kind, int64_t wire) noexcept nogil:
    """What follows a link header whose ethertype is `kind`."""
    cdef const uint8_t* h
    while kind == TYPE_VLAN or kind == TYPE_QINQ or kind == TYPE_QINQ_OLD:
        if left(c) < 4:
            return damaged(p, b"VLAN tag", b"the packet ends in the tag")
        h = take(c, 4, b"VLAN tag")
        # VLAN 0 is no VLAN, only a priority (IEEE 802.1Q, 9.6).
        if p.vlan < 0:
            p.vlan = be16(h) & 0x0FFF or -1
        else:
            p.inner_vlan = be16(h) & 0x0FFF or -1       # of several, the innermost
        kind = be16(h + 2)
    if kind == TYPE_IPV4:
        return ipv4(p, c, wire)
    if kind == TYPE_IPV6:
        return ipv6(p, c, wire)
    if kind == TYPE_PPPOE:
        if left(c) < 8:
            return damaged(p, b"PPPoE header", b"the packet ends in it")
        h = take(c, 8, b"PPPoE header")
        if be16(h + 6) == PPP_IPV4:
            return ipv4(p, c, wire)
        if be16(h + 6) == PPP_IPV6:
            return ipv6(p, c, wire)
        return counted(p, KIND_ETHERTYPE + kind)
    if kind < TYPES:
        return llc(p, c, wire)
    return counted(p, KIND_ETHERTYPE + kind)


cdef Verdict llc(Packet* p, Cursor* c, int64_t wire) noexcept nogil:
    """IEEE 802.2: an ethertype follows where SNAP says so (RFC 1042)."""
    cdef const uint8_t* h
    cdef uint32_t kind
    if left(c) >= 8 and c.at[0] == 0xAA and c.at[1] == 0xAA and c.at[2] == 3:
        h = take(c, 8, b"SNAP header")
        kind = be16(h + 6)
        if h[3] == 0 and h[4] == 0 and h[5] == 0 and kind >= TYPES:
            if kind == TYPE_IPV4:
                return ipv4(p, c, wire)
            if kind == TYPE_IPV6:
                return ipv6(p, c, wire)
            return counted(p, KIND_ETHERTYPE + kind)
    return counted(p, KIND_LLC)


cdef Verdict ipv4(Packet* p, Cursor* c, int64_t wire) noexcept nogil:
    """RFC 791, section 3.1."""
    cdef int64_t before = c.at - c.start, on_wire = wire - before, total, size
    cdef const uint8_t* h
    cdef uint16_t fragment
    cdef uint8_t[8] mapped
    if left(c) < 20:
        return damaged(p, b"IPv4 header", b"fewer than 20 bytes were captured")
    h = take(c, 20, b"IPv4 header")
    if h[0] >> 4 != 4:
        return damaged(p, b"IPv4 header", b"the version is not 4")
    size = (h[0] & 15) * 4
    if size < 20:
        return damaged(p, b"IPv4 header", b"the header length is less than 20")
    total = be16(h + 2)
    if total == 0:
        # Segmentation offload: the length did not fit or was not known yet. The frame tells.
        total = on_wire
    if total > on_wire:
        return damaged(p, b"IPv4 header", b"the total length is more than the packet had")
    if size > total:
        return damaged(p, b"IPv4 header", b"the header length is more than the total length")
    if left(c) < size - 20:
        return damaged(p, b"IPv4 options", b"they were not all captured")
    take(c, size - 20, b"IPv4 options")
    p.version = 4
    p.protocol = h[9]
    memset(mapped, 0, 2)
    memset(mapped + 2, 0xFF, 2)
    memcpy(mapped + 4, h + 12, 4)
    p.src.high = 0
    memcpy(&p.src.low, mapped, 8)
    memcpy(mapped + 4, h + 16, 4)
    p.dst.high = 0
    memcpy(&p.dst.low, mapped, 8)
    p.ip_bytes = total
    p.payload = c.at
    p.payload_length = total - size
    p.captured = left(c)
    if p.captured > p.payload_length:
        p.captured = p.payload_length       # what follows is the frame's padding
    fragment = be16(h + 6)
    if fragment & (IPV4_MORE | IPV4_OFFSET):
        p.fragment_id = be16(h + 4)
        if fragment & IPV4_OFFSET:
            return FRAGMENT
        p.fragmented = True
    return transport(p)


cdef Verdict ipv6(Packet* p, Cursor* c, int64_t wire) noexcept nogil:
    """RFC 8200, sections 3 and 4."""
    cdef int64_t before = c.at - c.start, on_wire = wire - before, total, size = 40, held
    cdef const uint8_t* h
    cdef const uint8_t* e
    cdef uint8_t following
    cdef uint16_t fragment
    if left(c) < 40:
        return damaged(p, b"IPv6 header", b"fewer than 40 bytes were captured")
    h = take(c, 40, b"IPv6 header")
    if h[0] >> 4 != 6:
        return damaged(p, b"IPv6 header", b"the version is not 6")
    total = 40 + be16(h + 4)
    if total == 40 and on_wire > 40:
        # Jumbograms (RFC 2675) and segmentation offload: the frame tells.
        total = on_wire
    if total > on_wire:
        return damaged(p, b"IPv6 header", b"the payload length is more than the packet had")
    p.version = 6
    memcpy(&p.src, h + 8, 16)
    memcpy(&p.dst, h + 24, 16)
    p.ip_bytes = total
    following = h[6]
    while (
        following == HOP_BY_HOP or following == ROUTING or following == IPV6_FRAGMENT
        or following == AUTHENTICATION or following == DESTINATION
    ):
        if left(c) < 8:
            return damaged(p, b"IPv6 extension header", b"it was not all captured")
        if following == IPV6_FRAGMENT:
            held = 8
        elif following == AUTHENTICATION:
            held = (c.at[1] + 2) * 4        # RFC 4302 counts words
        else:
            held = (c.at[1] + 1) * 8
        if size + held > total:
            return damaged(p, b"IPv6 extension header", b"it is longer than the packet")
        if left(c) < held:
            return damaged(p, b"IPv6 extension header", b"it was not all captured")
        e = take(c, held, b"IPv6 extension header")
        size += held
        if following == ROUTING and e[2] == 0 and e[3] and held >= 24:
            # Type 0 with hops left (RFC 5095 forbids it, traffic has it): the last address
            # is where the packet goes.
            memcpy(&p.dst, e + held - 16, 16)
        if following == DESTINATION:
            home_address(p, e, held)
        if following == IPV6_FRAGMENT:
            fragment = be16(e + 2)
            p.fragment_id = be32(e + 4)
            if fragment >> 3:
                p.protocol = e[0]
                p.payload = c.at
                p.payload_length = total - size
                p.captured = left(c)
                if p.captured > p.payload_length:
                    p.captured = p.payload_length
                return FRAGMENT
            if fragment & 1:
                p.fragmented = True
        following = e[0]
    p.protocol = following
    p.payload = c.at
    p.payload_length = total - size
    p.captured = left(c)
    if p.captured > p.payload_length:
        p.captured = p.payload_length
    return transport(p)


cdef void home_address(Packet* p, const uint8_t* e, int64_t n) noexcept nogil:
    """Mobile IPv6 (RFC 6275, section 6.3): the sender's home address stands for it."""
    cdef int64_t at = 2
    while at + 2 <= n:
        if e[at] == 0:
            at += 1             # Pad1 has no length
            continue
        if e[at] == HOME_ADDRESS and e[at + 1] == 16 and at + 18 <= n:
            memcpy(&p.src, e + at + 2, 16)
            return
        at += 2 + e[at + 1]


cdef Verdict transport(Packet* p) noexcept nogil:
    """Whether the transport's own header is there: all that a flow needs."""
    cdef int64_t need
    if p.protocol == TCP:
        need = 20
        if p.payload_length < need:
            return damaged(p, b"TCP header", b"the IP payload has fewer than 20 bytes")
        if p.captured < need:
            return damaged(p, b"TCP header", b"fewer than 20 bytes were captured")
        need = (p.payload[12] >> 4) * 4
        if need < 20:
            return damaged(p, b"TCP header", b"the data offset is less than 5")
        if need > p.payload_length:
            return damaged(p, b"TCP options", b"the data offset is beyond the IP payload")
        if need > p.captured:
            return damaged(p, b"TCP options", b"they were not all captured")
        return TRANSPORT
    if p.protocol == UDP or p.protocol == ICMP or p.protocol == ICMPV6:
        if p.payload_length < 8:
            if p.protocol == UDP:
                return damaged(p, b"UDP header", b"the IP payload has fewer than 8 bytes")
            return damaged(p, b"ICMP header", b"the IP payload has fewer than 8 bytes")
        if p.captured < 8:
            if p.protocol == UDP:
                return damaged(p, b"UDP header", b"fewer than 8 bytes were captured")
            return damaged(p, b"ICMP header", b"fewer than 8 bytes were captured")
        return TRANSPORT
    return counted(p, KIND_IP_PROTO + p.protocol)
