"""A value of a record as it stands there: borrowed bytes and their type.

Most values are what they were in the record before, and then nothing of them is looked at but
their bytes (evtx_memo.pxd). So an `Item` is carried to where it is put, and only there becomes a
`Value`, if it must.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from tracelake.native.cursor cimport le16, le32, le64

cdef enum:
    TYPE_NULL = 0x00
    TYPE_STRING = 0x01
    TYPE_ANSI = 0x02
    TYPE_FILETIME = 0x11
    TYPE_XML = 0x21             # binary XML
    TYPE_ARRAY = 0x80
    UTF8 = 0x100                # beside the value types, which are bytes: text that is UTF-8


cdef struct Item:
    const uint8_t* p
    int32_t n
    uint32_t kind


cdef inline Item utf8_item(const uint8_t* p, int32_t n) noexcept nogil:
    return Item(p, n, UTF8)


cdef inline Item no_item() noexcept nogil:
    return Item(NULL, 0, TYPE_NULL)


cdef inline bint is_nested(const Item* item) noexcept nogil:
    """Whether the item is no value but holds some."""
    return item.kind == TYPE_XML or item.kind & TYPE_ARRAY


cdef inline bint is_uint(const Item* item) noexcept nogil:
    """Whether the item is an unsigned number, shown as such."""
    # 4, 6, 8 and 10: of 1, 2, 4 and 8 bytes.
    return (
        0x04 <= item.kind <= 0x0A and not item.kind & 1
        and item.n == 1 << ((item.kind - 0x04) >> 1)
    )


cdef inline uint64_t uint_of(const Item* item) noexcept nogil:
    """The number that `is_uint`."""
    if item.n == 4:
        return le32(item.p)
    if item.n == 8:
        return le64(item.p)
    if item.n == 2:
        return le16(item.p)
    return item.p[0]


cdef inline Py_ssize_t units_in(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """Code units of a text of `n` bytes."""
    cdef uint64_t tail
    n >>= 1
    # Windows counts the terminator in some providers' texts; some are padded to their room.
    while n >= 4:
        memcpy(&tail, p + 2 * n - 8, 8)
        if tail:
            break
        n -= 4
    while n > 0 and p[2 * n - 2] == 0 and p[2 * n - 1] == 0:
        n -= 1
    return n
