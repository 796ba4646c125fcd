"""IPv4 (RFC 791) and IPv6 with extension headers (RFC 8200)."""

from libc.stdint cimport int64_t, uint8_t, uint16_t
from libc.string cimport memcpy, memset

from tracelake.native.cursor cimport Cursor, be16, be32, left, take
from tracelake.parsers.packet cimport (
    COUNTED, DAMAGED, FRAGMENT, KIND_IP_PROTO, KIND_NOTHING, TRANSPORT, TUNNELLED,
    breach, counted, damaged,
)

cdef enum:
    HOME_ADDRESS = 0xC9     # option of a destination header

cdef enum:
    IPV4_MORE = 0x2000      # flags and offset: more fragments
    IPV4_DO_NOT = 0x4000
    IPV4_OFFSET = 0x1FFF


cdef Verdict ipv4(Packet* p, Cursor* c, int64_t wire) noexcept nogil:
    """RFC 791, section 3.1."""
    cdef int64_t before = c.at - c.start, on_wire = wire - before, total, size
    cdef const uint8_t* h
    cdef uint16_t fragment
    cdef uint8_t[8] mapped
    if left(c) < 20:
        breach(p, b"truncated_IP", b"IP", False)
        return damaged(p, b"IPv4 header", b"fewer than 20 bytes were captured")
    h = take(c, 20, b"IPv4 header")
    if h[0] >> 4 != 4:
        breach(p, b"unknown_ip_version", b"IP", False)
        return damaged(p, b"IPv4 header", b"the version is not 4")
    size = (h[0] & 15) * 4
    total = be16(h + 2)
    if total == 0:
        # Segmentation offload: the length did not fit or was not known yet. The frame tells.
        breach(p, b"ip_hdr_len_zero", b"IP", False)
        total = on_wire
    if total > on_wire:
        breach(p, b"truncated_IP_len", b"IP", False)
        return damaged(p, b"IPv4 header", b"the total length is more than the packet had")
    if size > total:
        breach(p, b"invalid_IP_header_size", b"IP", False)
        return damaged(p, b"IPv4 header", b"the header length is more than the total length")
    if size < 20:
        breach(p, b"IPv4_min_header_size", b"IP", False)
        return damaged(p, b"IPv4 header", b"the header length is less than 20")
    if left(c) < size - 20:
        breach(p, b"internally_truncated_header", b"IP", False)
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
    p.ip = h
    p.ip_header = size
    p.ip_bytes = total
    p.payload = c.at
    p.payload_length = total - size
    p.captured = left(c)
    if p.captured > p.payload_length:
        p.captured = p.payload_length       # what follows is the frame's padding
    fragment = be16(h + 6)
    if fragment & (IPV4_MORE | IPV4_OFFSET):
        p.fragment_id = be16(h + 4)
        p.fragment_at = (fragment & IPV4_OFFSET) * 8
        p.fragments_follow = fragment & IPV4_MORE
        p.not_to_be_cut = fragment & IPV4_DO_NOT
        return FRAGMENT
    return upper(p)


cdef Verdict ipv6(Packet* p, Cursor* c, int64_t wire) noexcept nogil:
    """RFC 8200, section 3."""
    cdef int64_t before = c.at - c.start, on_wire = wire - before, total
    cdef const uint8_t* h
    if left(c) < 40:
        breach(p, b"truncated_IP", b"IP", False)
        return damaged(p, b"IPv6 header", b"fewer than 40 bytes were captured")
    h = take(c, 40, b"IPv6 header")
    if h[0] >> 4 != 6:
        breach(p, b"unknown_ip_version", b"IP", False)
        return damaged(p, b"IPv6 header", b"the version is not 6")
    total = 40 + be16(h + 4)
    if total == 40 and on_wire > 40:
        # Jumbograms (RFC 2675) and segmentation offload: the frame tells.
        total = on_wire
    if total > on_wire:
        breach(p, b"truncated_IP_len", b"IP", False)
        return damaged(p, b"IPv6 header", b"the payload length is more than the packet had")
    p.version = 6
    memcpy(&p.src, h + 8, 16)
    memcpy(&p.dst, h + 24, 16)
    p.ip = h
    p.ip_header = 40
    p.ip_bytes = total
    p.protocol = h[6]
    p.payload = c.at
    p.payload_length = total - 40
    p.captured = left(c)
    if p.captured > p.payload_length:
        p.captured = p.payload_length
    return upper(p)


cdef Verdict upper(Packet* p) noexcept nogil:
    """The extension headers of IPv6 (RFC 8200, section 4), then whether the transport's own header
    is there: all that a flow needs."""
    cdef Verdict verdict
    if p.version == 6:
        verdict = extensions(p)
        if verdict != TRANSPORT:
            return verdict
    if p.protocol == TCP:
        return tcp_header(p)
    if p.protocol == UDP or p.protocol == ICMP or p.protocol == ICMPV6:
        if p.payload_length < 8:
            if p.protocol == UDP:
                breach(p, b"truncated_header", b"UDP", True)
                return damaged(p, b"UDP header", b"the IP payload has fewer than 8 bytes")
            breach(p, b"truncated_header", b"ICMP", True)
            return damaged(p, b"ICMP header", b"the IP payload has fewer than 8 bytes")
        if p.captured < 8:
            if p.protocol == UDP:
                breach(p, b"internally_truncated_header", b"UDP", True)
                return damaged(p, b"UDP header", b"fewer than 8 bytes were captured")
            breach(p, b"internally_truncated_header", b"ICMP", True)
            return damaged(p, b"ICMP header", b"fewer than 8 bytes were captured")
        return TRANSPORT
    if p.protocol == IP_IN_IP or p.protocol == IPV6_IN_IP or p.protocol == GRE:
        p.kind = KIND_IP_PROTO + p.protocol
        return TUNNELLED
    if p.protocol == NOTHING and p.version == 6:
        return counted(p, KIND_NOTHING)
    return counted(p, KIND_IP_PROTO + p.protocol)


cdef Verdict tcp_header(Packet* p) noexcept nogil:
    """RFC 9293, section 3.1."""
    cdef int64_t need = 20
    if p.payload_length < need:
        breach(p, b"truncated_header", b"TCP", True)
        return damaged(p, b"TCP header", b"the IP payload has fewer than 20 bytes")
    if p.captured < need:
        breach(p, b"internally_truncated_header", b"TCP", True)
        return damaged(p, b"TCP header", b"fewer than 20 bytes were captured")
    need = (p.payload[12] >> 4) * 4
    if need < 20:
        breach(p, b"bad_TCP_header_len", b"TCP", 2)
        return damaged(p, b"TCP header", b"the data offset is less than 5")
    if need > p.payload_length:
        breach(p, b"truncated_header", b"TCP", 2)
        return damaged(p, b"TCP options", b"the data offset is beyond the IP payload")
    if need > p.captured:
        breach(p, b"truncated_header", b"TCP", 2)
        return damaged(p, b"TCP options", b"they were not all captured")
    return TRANSPORT


cdef Verdict extensions(Packet* p) noexcept nogil:
    """Passes the extension headers; TRANSPORT where all are there and none is a fragment's."""
    cdef const uint8_t* e
    cdef int64_t held
    cdef uint16_t fragment
    while (
        p.protocol == HOP_BY_HOP or p.protocol == ROUTING or p.protocol == IPV6_FRAGMENT
        or p.protocol == AUTHENTICATION or p.protocol == DESTINATION
    ):
        if p.captured < 8:
            if p.payload_length < 8:
                breach(p, b"invalid_IP_header_size", b"IP", False)
            return damaged(p, b"IPv6 extension header", b"it was not all captured")
        e = p.payload
        if p.protocol == IPV6_FRAGMENT:
            held = 8
        elif p.protocol == AUTHENTICATION:
            held = (e[1] + 2) * 4           # RFC 4302 counts words
        else:
            held = (e[1] + 1) * 8
        if held > p.payload_length:
            breach(p, b"invalid_IP_header_size", b"IP", False)
            return damaged(p, b"IPv6 extension header", b"it is longer than the packet")
        if held > p.captured:
            breach(p, b"internally_truncated_header", b"IP", False)
            return damaged(p, b"IPv6 extension header", b"it was not all captured")
        if p.protocol == ROUTING and e[2] == 0 and e[3] and held >= 24:
            # Type 0 with hops left (RFC 5095 forbids it, traffic has it): the last address
            # is where the packet goes.
            memcpy(&p.dst, e + held - 16, 16)
            breach(p, b"routing0_hdr", NULL, True)
        if p.protocol == DESTINATION:
            home_address(p, e, held)
        p.payload += held
        p.payload_length -= held
        p.captured -= held
        p.ip_header += held
        if p.protocol == IPV6_FRAGMENT:
            fragment = be16(e + 2)
            p.protocol = e[0]
            if fragment & 0xFFF9:
                p.fragment_id = be32(e + 4)
                p.fragment_at = fragment & 0xFFF8
                p.fragments_follow = fragment & 1
                return FRAGMENT
            continue                        # an atomic one (RFC 6946) is whole
        p.protocol = e[0]
    return TRANSPORT


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
