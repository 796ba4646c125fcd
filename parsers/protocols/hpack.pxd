"""HPACK (RFC 7541): headers of HTTP/2, in the order of their block."""

from libc.stdint cimport int32_t, int64_t, uint8_t

cdef enum:
    ENTRIES = 2048              # an entry counts 32 bytes and its texts
    TABLE_LIMIT = 65536         # bytes of a dynamic table, whatever the peers agree on
    TEXT_LIMIT = 65536          # of a name or a value


cdef struct Entry:              # of the dynamic table; name and value follow
    int32_t name
    int32_t value


cdef struct Hpack:              # one direction's
    Entry** ring                # ENTRIES of them; the newest stands before `head`
    int32_t head
    int64_t size
    int64_t limit
    int32_t count
    uint8_t* name               # room for texts that are unpacked
    uint8_t* value


ctypedef int (*OnField)(
    void* owner, const uint8_t* name, Py_ssize_t n, const uint8_t* value, Py_ssize_t m
) except -1 nogil

cdef int begin_hpack(Hpack* h) except -1 nogil
cdef void end_hpack(Hpack* h) noexcept nogil
# Gives each header of a whole block to `on_field`; False where the block is broken: then nothing more
# can be read in this direction.
cdef int read_block(
    Hpack* h, const uint8_t* p, Py_ssize_t n, void* owner, OnField on_field
) except -1 nogil
