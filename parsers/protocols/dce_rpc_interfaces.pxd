"""Interfaces of DCE/RPC by UUID, for code that has no GIL."""

from libc.stdint cimport int32_t, uint8_t

from tracelake.parsers.protocols.held_name cimport Name


cdef struct Interface:
    uint8_t[16] uuid            # as it stands where numbers are little-endian
    const char* name
    const char** functions      # by number; NULL where one has no name
    const uint8_t* ignored      # the same: which are asked for so often that no row is written
    int32_t count


# NULL where it is not known.
cdef const Interface* interface_of(const uint8_t* uuid) noexcept nogil
# The UUID of what is called over a pipe of this name.
cdef const uint8_t* interface_of_pipe(const Name* name) noexcept nogil
