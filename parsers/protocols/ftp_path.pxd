"""Paths of files of an FTP server: what CWD and PWD say, put together as Zeek does."""

from libc.stdint cimport uint8_t

cdef enum:
    PATH_ROOM = 8400            # of each path here; longer ones are cut

# `name` seen from `directory`, without `..`, `//` and `/./`: its length. `out` may be `directory`.
cdef int join_path(
    const uint8_t* directory, int n, const uint8_t* name, int m, uint8_t* out
) noexcept nogil
# The path in quotes in the reply to PWD; 0 where there is none.
cdef int quoted_path(const uint8_t* p, int n, uint8_t* out) noexcept nogil
