"""Link layers."""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from tracelake.parsers.packet cimport Packet, Verdict

# Link types that tunnels and aggregates ask for by themselves (tcpdump.org/linktypes.html).
cdef enum:
    ETHERNET = 1
    RAW = 101
    WLAN = 105
    MPLS = 219

# Reads a packet of link type `link`: `captured` bytes at `data` of `wire` on the wire. What the
# container and the tunnels around it have said in `p` is left alone.
cdef Verdict dissect(
    Packet* p, int link, const uint8_t* data, int64_t captured, int64_t wire
) noexcept nogil
# The next frame of an aggregate (`p.more`).
cdef Verdict dissect_more(Packet* p) noexcept nogil
