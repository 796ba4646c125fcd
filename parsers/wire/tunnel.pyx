"""What a tunnel carries: IP in IP (RFC 2003, 2473, 4213), GRE (RFC 2784, 2890; version 1: RFC 2637),
ERSPAN in it, VXLAN (RFC 7348), GENEVE (RFC 8926), GTPv1-U (3GPP TS 29.281), Teredo (RFC 4380),
AYIYA, GRE in UDP (RFC 8086).

Which ports and which content make a tunnel is Zeek's choice, since its rows are compared with.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp

from tracelake.native.cursor cimport be16, be32
from tracelake.parsers.packet cimport Packet
from tracelake.parsers.wire.link cimport ETHERNET, MPLS, RAW, WLAN
from tracelake.parsers.wire.network cimport GRE, IP_IN_IP, IPV6_IN_IP

cdef enum:
    GRE_CHECKSUM = 0x8000
    GRE_ROUTING = 0x4000
    GRE_KEY = 0x2000
    GRE_SEQUENCE = 0x1000
    GRE_ACKNOWLEDGED = 0x0080
    GRE_RESERVED = 0x0078

cdef enum:
    TYPE_IPV4 = 0x0800
    TYPE_BRIDGED = 0x6558   # an Ethernet frame
    TYPE_IPV6 = 0x86DD
    TYPE_MPLS = 0x8847
    TYPE_PPP = 0x880B
    TYPE_ERSPAN = 0x88BE    # types I and II
    TYPE_ERSPAN_III = 0x22EB
    TYPE_ARUBA = 0x9000

cdef enum:
    PORT_GTP_CONTROL = 2123
    PORT_GTP = 2152
    PORT_TEREDO = 3544
    PORT_GRE = 4754
    PORT_VXLAN = 4789
    PORT_AYIYA = 5072
    PORT_GENEVE = 6081

cdef enum:
    GTP_PDU = 255           # a user's packet
    AYIYA_FORWARD = 1


cdef inline bint _found(
    Inner* i, int link, const uint8_t* data, int64_t captured, int64_t wire
) noexcept nogil:
    i.link = link
    i.data = data
    i.captured = captured
    i.wire = wire
    return True


cdef inline bint _broken(Inner* i, const char* note, const char* analyzer) noexcept nogil:
    i.note = note
    i.analyzer = analyzer
    return False


cdef bint ip_tunnel(const Packet* p, Inner* i) noexcept nogil:
    i.note = NULL
    if p.protocol == GRE:
        i.kind = GRE_TUNNEL
        return gre(i, p.payload, p.captured, p.payload_length)
    i.kind = IP_TUNNEL
    return _ip_inside(i, 4 if p.protocol == IP_IN_IP else 6, p.payload, p.captured,
                      p.payload_length)


cdef bint _ip_inside(
    Inner* i, int version, const uint8_t* data, int64_t captured, int64_t wire
) noexcept nogil:
    """An IP packet that must be as long as its tunnel has room. `version`: 0 for either."""
    cdef int64_t total
    if captured < 20 or (data[0] >> 4 == 6 and captured < 40):
        return _broken(i, b"truncated_inner_IP", b"IPTUNNEL")
    if data[0] >> 4 != version and not (
        version == 0 and (data[0] >> 4 == 4 or data[0] >> 4 == 6)
    ):
        return _broken(i, b"invalid_inner_IP_version", b"IPTUNNEL")
    total = be16(data + 2) if data[0] >> 4 == 4 else 40 + be16(data + 4)
    if total > wire:
        return _broken(i, b"truncated_inner_IP", b"IPTUNNEL")
    if total < wire:
        return _broken(i, b"inner_IP_payload_length_mismatch", b"IPTUNNEL")
    return _found(i, RAW, data, captured, wire)


cdef bint gre(Inner* i, const uint8_t* h, int64_t captured, int64_t wire) noexcept nogil:
    cdef uint16_t flags, kind
    cdef int64_t n = 4
    cdef int link = RAW
    if captured < 4:
        return _broken(i, b"truncated_GRE", b"GRE")
    flags = be16(h)
    kind = be16(h + 2)
    if flags & 7 > 1:
        return _broken(i, b"unknown_gre_version", b"GRE")
    if flags & 7 == 1 and kind != TYPE_PPP:
        return _broken(i, b"egre_protocol_type", b"GRE")
    if flags & GRE_ROUTING:
        return _broken(i, b"gre_routing", b"GRE")
    if flags & GRE_RESERVED:
        return _broken(i, b"unknown_gre_flags", b"GRE")
    n += 4 * (
        (flags & GRE_CHECKSUM != 0) + (flags & GRE_KEY != 0) + (flags & GRE_SEQUENCE != 0)
        + (flags & GRE_ACKNOWLEDGED != 0)
    )
    if flags & 7 == 1:
        # PPTP: the payload is PPP, with address and control or without.
        if captured >= n + 2 and be16(h + n) == 0xFF03:
            n += 2
        if captured < n + 2:
            return _broken(i, b"truncated_GRE", b"GRE")
        if be16(h + n) != 0x0021 and be16(h + n) != 0x0057:
            return _broken(i, b"non_ip_packet_in_encap", b"GRE")
        n += 2
        return _ip_inside(i, 4 if be16(h + n - 2) == 0x0021 else 6, h + n, captured - n, wire - n)
    if kind == TYPE_BRIDGED:
        link = ETHERNET
    elif kind == TYPE_ERSPAN:
        # Type II has a header and numbers its packets; type I has neither.
        link = ETHERNET
        if flags & GRE_SEQUENCE:
            n += 8
    elif kind == TYPE_ERSPAN_III:
        link = ETHERNET
        if captured < n + 12:
            return _broken(i, b"truncated_GRE", b"GRE")
        n += 20 if h[n + 11] & 1 else 12
    elif kind == TYPE_MPLS:
        link = MPLS
    elif (
        kind == TYPE_ARUBA or (kind & 0xFF0F == 0x8200)
        or (kind & 0xFF0F == 0x8300 and kind <= 0x8370)
    ):
        link = WLAN                 # Aruba's controllers forward frames of the radio
    if captured < n or (captured <= n + (14 if link == ETHERNET else 0) and link != RAW):
        return _broken(i, b"truncated_GRE", b"GRE")
    return _found(i, link, h + n, captured - n, wire - n)


cdef bint udp_tunnel(const Packet* p, uint16_t port, Kind around, Inner* i) noexcept nogil:
    """`around`: the tunnel that the datagram itself came in."""
    cdef const uint8_t* h = p.payload + 8
    cdef int64_t captured = p.captured - 8, wire = p.payload_length - 8
    i.kind = NO_TUNNEL
    i.note = NULL
    if captured <= 0:
        return False
    if port == PORT_VXLAN:
        i.kind = VXLAN
        return vxlan(i, h, captured, wire)
    if port == PORT_GENEVE:
        i.kind = GENEVE
        return geneve(i, h, captured, wire)
    if port == PORT_GTP or port == PORT_GTP_CONTROL:
        if around == GTPV1:
            return False            # GTP is never inside of GTP
        i.kind = GTPV1
        return gtp(i, h, captured, wire)
    if port == PORT_TEREDO:
        i.kind = TEREDO
        return teredo(i, h, captured, wire)
    if port == PORT_AYIYA:
        i.kind = AYIYA
        return ayiya(i, h, captured, wire)
    if port == PORT_GRE:
        i.kind = GRE_TUNNEL
        return gre(i, h, captured, wire)
    if captured >= 40 and (h[0] >> 4 == 6 or (h[0] == 0 and h[1] <= 1)) and _like_teredo(
        h, captured
    ):
        i.kind = TEREDO
        if not teredo(i, h, captured, wire):
            i.kind = NO_TUNNEL
            i.note = NULL
            return False
        return True
    if captured >= 8 and h[1] == 0x52 and h[2] == 0x11:
        i.kind = AYIYA
        if not ayiya(i, h, captured, wire):
            i.kind = NO_TUNNEL
            i.note = NULL
            return False
        return True
    return False


cdef bint _is_port(uint16_t port) noexcept nogil:
    return (
        port == PORT_VXLAN or port == PORT_GENEVE or port == PORT_GTP or port == PORT_GTP_CONTROL
        or port == PORT_TEREDO or port == PORT_AYIYA or port == PORT_GRE
    )


cdef bint maybe_tunnel(const Packet* p) noexcept nogil:
    cdef const uint8_t* h = p.payload + 8
    cdef int64_t n = p.captured - 8
    return (
        _is_port(be16(p.payload)) or _is_port(be16(p.payload + 2))
        or (n >= 40 and (h[0] >> 4 == 6 or (h[0] == 0 and h[1] <= 1)) and _like_teredo(h, n))
        or (n >= 8 and h[1] == 0x52 and h[2] == 0x11)
    )


cdef bint vxlan(Inner* i, const uint8_t* h, int64_t captured, int64_t wire) noexcept nogil:
    if captured < 8 or not h[0] & 8:
        i.kind = BROKEN_TUNNEL
        return False
    if captured == 8:
        return _broken(i, b"vxlan_empty_packet", b"VXLAN")
    return _found(i, ETHERNET, h + 8, captured - 8, wire - 8)


cdef bint geneve(Inner* i, const uint8_t* h, int64_t captured, int64_t wire) noexcept nogil:
    cdef int64_t n = 8
    cdef uint16_t kind
    if captured < 8:
        i.kind = BROKEN_TUNNEL
        return False
    if h[0] >> 6 != 0:
        return _broken(i, b"geneve_invalid_version", b"GENEVE")
    n += (h[0] & 0x3F) * 4
    if captured < n:
        i.kind = BROKEN_TUNNEL
        return False
    if captured == n:
        return _broken(i, b"geneve_empty_packet", b"GENEVE")
    kind = be16(h + 2)
    if kind == TYPE_BRIDGED:
        return _found(i, ETHERNET, h + n, captured - n, wire - n)
    if kind == TYPE_IPV4 or kind == TYPE_IPV6:
        return _found(i, RAW, h + n, captured - n, wire - n)
    if kind == TYPE_MPLS:
        return _found(i, MPLS, h + n, captured - n, wire - n)
    return False


cdef bint gtp(Inner* i, const uint8_t* h, int64_t captured, int64_t wire) noexcept nogil:
    """TS 29.281, section 5. Version 2 and the charging protocol (PT 0) carry no packets."""
    cdef int64_t n = 8, length
    cdef uint8_t next
    if captured < 8 or h[0] >> 5 != 1 or not h[0] & 0x10 or h[1] != GTP_PDU:
        i.kind = NO_TUNNEL
        return False
    if be16(h + 2) + 8 < wire:
        # What follows the message is not of it.
        wire = be16(h + 2) + 8
        if captured > wire:
            captured = wire
    if h[0] & 7:
        n += 4                      # sequence number, N-PDU number, type of the next header
        if captured < n:
            i.kind = NO_TUNNEL
            return False
        next = h[n - 1] if h[0] & 4 else 0
        while next:
            length = h[n] * 4 if captured > n else 0
            if length == 0 or captured < n + length:
                i.kind = NO_TUNNEL
                return False
            n += length
            next = h[n - 1]
    if not _ip_inside(i, 0, h + n, captured - n, wire - n):
        i.kind = NO_TUNNEL
        i.note = NULL
        return False
    return True


cdef bint teredo(Inner* i, const uint8_t* h, int64_t captured, int64_t wire) noexcept nogil:
    """RFC 4380, section 5.1.1: an authentication and an origin may stand before the IPv6 packet."""
    cdef int64_t n = 0, more
    if captured >= 4 and be16(h) == 1:
        more = 13 + h[2] + h[3]
        if captured < more:
            i.kind = BROKEN_TUNNEL
            return _broken(i, b"truncated_Teredo_authentication", b"TEREDO")
        n += more
    if captured >= n + 2 and be16(h + n) == 0:
        if captured < n + 8:
            i.kind = BROKEN_TUNNEL
            return _broken(i, b"truncated_Teredo_origin_indication", b"TEREDO")
        n += 8
    if captured < n + 2:
        i.kind = BROKEN_TUNNEL
        return _broken(i, b"truncated_Teredo", b"TEREDO")
    if h[n] >> 4 != 6:
        i.kind = BROKEN_TUNNEL
        return False
    if captured < n + 40:
        i.kind = BROKEN_TUNNEL
        return _broken(i, b"truncated_IPv6_in_Teredo", b"TEREDO")
    if 40 + be16(h + n + 4) > wire - n or (
        40 + be16(h + n + 4) < wire - n and not (h[n + 6] == 59 and be16(h + n + 4) == 0)
    ):
        i.kind = BROKEN_TUNNEL
        return False
    return _found(i, RAW, h + n, captured - n, wire - n)


cdef bint _like_teredo(const uint8_t* h, int64_t n) noexcept nogil:
    """Whether a datagram on another port is Teredo's: one of its addresses (2001::/32) stands in
    the IPv6 header, or an origin or an authentication before such a header."""
    cdef int64_t at = 0
    if h[0] >> 4 == 6:
        return memcmp(h + 8, b"\x20\x01\0\0", 4) == 0 or memcmp(h + 24, b"\x20\x01\0\0", 4) == 0
    if h[1] == 1:
        at = 13 + h[2] + h[3]
    if at + 48 > n:
        return False
    return be16(h + at) == 0 and h[at + 8] >> 4 == 6


cdef bint ayiya(Inner* i, const uint8_t* h, int64_t captured, int64_t wire) noexcept nogil:
    """draft-massar-v6ops-ayiya-02, section 3."""
    cdef int64_t n = 8
    if captured < n:
        i.kind = BROKEN_TUNNEL
        return False
    n += (1 << (h[0] >> 4)) + (h[1] >> 4) * 4
    if captured < n:
        i.kind = BROKEN_TUNNEL
        return False
    if h[2] & 15 != AYIYA_FORWARD:
        i.kind = NO_TUNNEL
        return False
    if captured == n:
        return _broken(i, b"ayiya_empty_packet", b"AYIYA")
    if h[3] != IP_IN_IP and h[3] != IPV6_IN_IP:
        return False
    return _found(i, RAW, h + n, captured - n, wire - n)
