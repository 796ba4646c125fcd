"""Parts of a text: an address in it, what stands before a mark, a value in a MOF listing.

Nothing here can fail or allocates; all is linear in the text.
"""

from libc.stdint cimport int64_t, uint8_t


# The first IP address that stands in a text as a word of its own ("10.0.0.1:3389",
# "[fe80::1%2]:3389", "from 10.0.0.1 port 22"), canonical, to `ip` (room: 64), and the port behind
# it, or -1. Returns the address's length, 0 where there is none.
cdef Py_ssize_t find_endpoint(
    const uint8_t* p, Py_ssize_t n, uint8_t* ip, int64_t* port
) noexcept nogil

# Where `mark` (m > 0 bytes) begins in a text, or -1.
cdef Py_ssize_t find_text(
    const uint8_t* p, Py_ssize_t n, const uint8_t* mark, Py_ssize_t m
) noexcept nogil

# The value of a line `Name = value` or `Name=value`: where it begins, and its length to `size`;
# -1 where there is no such line. `names`: the name, or several with | between them, of which any
# will do. Lines that follow belong to the value until one is indented the same and has a name and
# an equals sign; space around the value does not.
cdef Py_ssize_t line_value(
    const uint8_t* p, Py_ssize_t n, const uint8_t* names, Py_ssize_t m, Py_ssize_t* size
) noexcept nogil

# The first value of property `name` in a MOF listing, `name = "a \\"b\\"";`, without its quotes
# and escapes, to `out` (room: n). Returns its length, -1 where there is none.
cdef Py_ssize_t mof_value(
    const uint8_t* p, Py_ssize_t n, const uint8_t* name, Py_ssize_t m, uint8_t* out
) noexcept nogil

# Hexadecimal digits of UTF-16LE text, as "name/state" in the binary part of some events of
# Windows: the text before the last slash (`tail` false) or behind it (true), up to a NUL, as UTF-8
# to `out` (room: 3 * n / 4 + 3). Returns its length, -1 where it is no such text.
cdef Py_ssize_t hex_text(
    const uint8_t* p, Py_ssize_t n, bint tail, uint8_t* out
) noexcept nogil

# The {GUID}, as text, whose bytes a run of hexadecimal digits begins with, in lower case to `out`
# (38 bytes); False where there is none.
cdef bint hex_guid(const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil
