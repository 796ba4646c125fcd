"""IEEE 802.11: data frames, those of quality of service, aggregates of frames (A-MSDU).

What is encrypted is counted; so are frames of management and control.
"""

from libc.stdint cimport int64_t, uint8_t

from tracelake.native.cursor cimport Cursor, be16, left, span, take
from tracelake.parsers.packet cimport (
    KIND_ETHERTYPE, KIND_LLC, KIND_WLAN, KIND_WLAN_PROTECTED, breach, counted, damaged,
)
from tracelake.parsers.wire.network cimport ipv4, ipv6

cdef enum:
    DATA = 2                # type of a frame
    NO_DATA = 4             # bits of a data frame's subtype
    QOS = 8
    TO_DS = 1               # bits of the second byte
    FROM_DS = 2
    PROTECTED = 0x40
    AGGREGATE = 0x80        # of the QoS field


cdef Verdict wlan(Packet* p, Cursor* c, int64_t wire) noexcept nogil:
    """Section 9.2.4 of IEEE 802.11-2020."""
    cdef const uint8_t* h = c.at
    cdef int64_t n = 24, before
    cdef bint aggregate = False
    if left(c) < 2:
        breach(p, b"truncated_802_11_header", b"IEEE802_11", False)
        return damaged(p, b"802.11 header", b"the packet ends in it")
    if (h[0] >> 2) & 3 != DATA or (h[0] >> 4) & NO_DATA:
        return counted(p, KIND_WLAN)
    if h[1] & TO_DS and h[1] & FROM_DS:
        n += 6
    if (h[0] >> 4) & QOS:
        n += 2
        if left(c) >= n:
            aggregate = h[n - 2] & AGGREGATE
    if left(c) < n:
        breach(p, b"truncated_802_11_header", b"IEEE802_11", False)
        return damaged(p, b"802.11 header", b"the packet ends in it")
    if h[1] & PROTECTED:
        return counted(p, KIND_WLAN_PROTECTED)
    p.src_mac = h + 10
    p.dst_mac = h + 4
    if h[1] & TO_DS and h[1] & FROM_DS:
        p.src_mac = h + 24
        p.dst_mac = h + 16
    elif h[1] & TO_DS:
        p.dst_mac = h + 16
    elif h[1] & FROM_DS:
        p.src_mac = h + 16
    take(c, n, b"802.11 header")
    if aggregate:
        return wlan_more(p, c.at, left(c))
    before = c.at - c.start
    return inside(p, c, wire - before if wire > before else 0)


cdef Verdict wlan_more(Packet* p, const uint8_t* data, int64_t n) noexcept nogil:
    """Section 9.3.2.2.2: receiver, sender, length, the frame; then padding to four bytes."""
    cdef Cursor c = span(data, n, 0)
    cdef Cursor frame
    cdef const uint8_t* h
    cdef int64_t length
    if left(&c) < 14:
        breach(p, b"truncated_802_11_amsdu_header", b"IEEE802_11", False)
        return damaged(p, b"A-MSDU", b"the packet ends in a frame's header")
    h = take(&c, 14, b"A-MSDU")
    length = be16(h + 12)
    p.macs = h
    if left(&c) < length:
        breach(p, b"truncated_802_11_amsdu_packet", b"IEEE802_11", False)
        return damaged(p, b"A-MSDU", b"a frame is longer than the packet")
    frame = span(take(&c, length, b"A-MSDU"), length, 0)
    length = -(14 + length) & 3
    # What is too short for another frame is the checksum.
    if left(&c) >= length + 14:
        p.more = c.at + length
        p.more_left = left(&c) - length
    return inside(p, &frame, left(&frame))


cdef Verdict inside(Packet* p, Cursor* c, int64_t wire) noexcept nogil:
    """LLC with SNAP and an ethertype (RFC 1042). `wire`: bytes on the wire from here on."""
    cdef const uint8_t* h
    cdef Cursor rest
    if left(c) < 8:
        breach(p, b"truncated_802_11_llc_header", b"IEEE802_11", False)
        return damaged(p, b"802.11 frame", b"the packet ends in its LLC header")
    h = take(c, 8, b"SNAP header")
    if h[0] != 0xAA or h[1] != 0xAA or h[2] != 3 or h[3] or h[4] or h[5]:
        return counted(p, KIND_LLC)
    # The network layer measures from the beginning of its cursor.
    rest = span(c.at, left(c), 0)
    if be16(h + 6) == 0x0800:
        return ipv4(p, &rest, wire - 8)
    if be16(h + 6) == 0x86DD:
        return ipv6(p, &rest, wire - 8)
    return counted(p, KIND_ETHERTYPE + be16(h + 6))
