"""Search filters of LDAP as text (RFC 4515)."""

from libc.stdint cimport uint8_t

from tracelake.native.cursor cimport Cursor

# The filter at the cursor; at most `size` bytes are written: what is deeper or longer is "...".
cdef Py_ssize_t put_filter(uint8_t* out, Py_ssize_t size, Cursor* c) noexcept nogil
