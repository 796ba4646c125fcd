"""Where an FTP data connection goes, as PORT, PASV, EPRT and EPSV say it (RFC 959, 2428)."""

from libc.stdint cimport int64_t, uint8_t, uint16_t

from tracelake.parsers.packet cimport Address

# `h1,h2,h3,h4,p1,p2`, anywhere in the text; whether it is there.
cdef bint read_port(const uint8_t* p, int64_t n, Address* address, uint16_t* port) noexcept nogil
# `|1|10.0.0.1|5282|`
cdef bint read_eprt(const uint8_t* p, int64_t n, Address* address, uint16_t* port) noexcept nogil
# `(|||5282|)`
cdef bint read_epsv(const uint8_t* p, int64_t n, uint16_t* port) noexcept nogil
