"""IEEE 802.11."""

from libc.stdint cimport int64_t, uint8_t

from tracelake.native.cursor cimport Cursor
from tracelake.parsers.packet cimport Packet, Verdict

cdef Verdict wlan(Packet* p, Cursor* c, int64_t wire) noexcept nogil
# The next frame of an aggregate, of which `n` bytes are left.
cdef Verdict wlan_more(Packet* p, const uint8_t* data, int64_t n) noexcept nogil
