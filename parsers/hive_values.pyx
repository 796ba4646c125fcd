"""Data of registry values as text.

Texts are shown to their first zero; what stands behind it is kept in `raw`. Of several texts
(REG_MULTI_SZ) each has a line. Numbers are decimal, binary data hexadecimal digits. Device
properties (since Windows Vista, below Enum\\...\\Properties) have the type 0xffff0000 and a
DEVPROP_TYPE of devpropdef.h. Settings of packaged applications (settings.dat) have types from
0x5f5e101 on, and behind their data the time when they were written.
"""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy, strlen

from tracelake.native.columns cimport TextColumn
from tracelake.native.cursor cimport be32, le16, le32, le64, le_double, le_float
from tracelake.native.text cimport (
    put_hex_bytes, put_int, put_iso_time, put_uint, utf16le_utf8
)

cdef const char** TYPES = [
    "REG_NONE", "REG_SZ", "REG_EXPAND_SZ", "REG_BINARY", "REG_DWORD", "REG_DWORD_BIG_ENDIAN",
    "REG_LINK", "REG_MULTI_SZ", "REG_RESOURCE_LIST", "REG_FULL_RESOURCE_DESCRIPTOR",
    "REG_RESOURCE_REQUIREMENTS_LIST", "REG_QWORD",
]
cdef const char** PROPERTIES = [
    "EMPTY", "NULL", "SBYTE", "BYTE", "INT16", "UINT16", "INT32", "UINT32", "INT64", "UINT64",
    "FLOAT", "DOUBLE", "DECIMAL", "GUID", "CURRENCY", "DATE", "FILETIME", "BOOLEAN", "STRING",
    "SECURITY_DESCRIPTOR", "SECURITY_DESCRIPTOR_STRING", "DEVPROPKEY", "DEVPROPTYPE", "ERROR",
    "NTSTATUS", "STRING_INDIRECT",
]
cdef const char** SETTINGS = [
    "UINT8", "INT16", "UINT16", "INT32", "UINT32", "INT64", "UINT64", "SINGLE", "DOUBLE", "CHAR16",
    "BOOLEAN", "STRING", "COMPOSITE", "DATETIME", "TIMESPAN", "GUID", "POINT", "SIZE", "RECT",
]
# The device property that is laid out alike; 0: none.
cdef uint16_t[19] SETTING_LIKE = [
    0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0, 0x11, 0x12, 0, 0x10, 0x08, 0x0D, 0, 0,
    0,
]
cdef enum:
    SETTING = 0x05F5E101
    FILETIME_1970 = 116444736000000000


cdef Py_ssize_t put_type(uint8_t* out, uint32_t kind) noexcept nogil:
    """The name of a value's type; a number where it has none."""
    cdef const char* name
    cdef Py_ssize_t n
    if kind < 12:
        name = TYPES[kind]
        n = strlen(name)
        memcpy(out, name, n)
        return n
    if kind >> 16 == 0xFFFF and kind & 0xFFF < 26 and (kind & 0xF000) <= 0x2000:
        return snprintf(
            <char*>out, 40, "DEVPROP_%s%s", PROPERTIES[kind & 0xFFF],
            "_LIST" if kind & 0x2000 else "_ARRAY" if kind & 0x1000 else "",
        )
    if SETTING <= kind < SETTING + 19:
        return snprintf(<char*>out, 40, "APPDATA_%s", SETTINGS[kind - SETTING])
    return snprintf(<char*>out, 40, "0x%08x", kind)


cdef Py_ssize_t written_bytes(uint32_t kind, Py_ssize_t n) noexcept nogil:
    """8 where the data of a value end with the time it was written, else 0."""
    return 8 if n >= 8 and kind >> 8 == SETTING >> 8 else 0


cdef int put_data(
    TextColumn column, Py_ssize_t row, uint32_t kind, const uint8_t* p, Py_ssize_t n
) except -1 nogil:
    """Puts the data as text of their type; `Kept` says whether the text says it all."""
    cdef uint32_t real = kind
    if kind >> 16 == 0xFFFF:
        real = kind & 0xFFFF
        if real == 0x12 or real == 0x14 or real == 0x19:
            return _text(column, row, p, n, False)
        if real == 0x2012 or real == 0x2014 or real == 0x2019:
            return _text(column, row, p, n, True)
        return _property(column, row, real, p, n)
    if SETTING <= kind < SETTING + 19 and SETTING_LIKE[kind - SETTING]:
        real = SETTING_LIKE[kind - SETTING]
        if real == 0x12:
            return _text(column, row, p, n, False)
        return _property(column, row, real, p, n)
    if kind == 1 or kind == 2:
        return _text(column, row, p, n, False)
    if kind == 6:
        return _link(column, row, p, n)
    if kind == 7:
        return _text(column, row, p, n, True)
    if kind == 4 and n == 4:
        return _number(column, row, le32(p))
    if kind == 5 and n == 4:
        return _number(column, row, be32(p))
    if kind == 11 and n == 8:
        return _number(column, row, le64(p))
    return _hex(column, row, p, n)


cdef int _number(TextColumn column, Py_ssize_t row, uint64_t value) except -1 nogil:
    column.wrote(put_uint(column.room(row, 20), value))
    return WHOLE


cdef int _hex(TextColumn column, Py_ssize_t row, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    cdef Py_ssize_t shown = min(n, <Py_ssize_t>HEX_MOST)
    column.wrote(put_hex_bytes(column.room(row, 2 * shown), p, shown))
    return WHOLE if shown == n else PART


cdef int _text(
    TextColumn column, Py_ssize_t row, const uint8_t* p, Py_ssize_t n, bint several
) except -1 nogil:
    cdef Py_ssize_t units = n // 2, end = 0, i
    cdef Py_ssize_t written = 0, begin
    cdef int kept = n & 1 and p[n - 1] != 0, repaired = 0
    cdef uint8_t* out
    while units > 0 and p[2 * units - 2] == 0 and p[2 * units - 1] == 0:
        units -= 1
    out = column.room(row, 3 * units + 1)
    if not several:
        while end < units and (p[2 * end] or p[2 * end + 1]):
            end += 1
        written = utf16le_utf8(p, end, out, &repaired)
        if end < units:
            kept = PART
    else:
        begin = 0
        for i in range(units + 1):
            if i < units and (p[2 * i] or p[2 * i + 1]):
                continue
            if begin:
                out[written] = 10
                written += 1
            written += utf16le_utf8(p + 2 * begin, i - begin, out + written, &repaired)
            begin = i + 1
    column.repairs += repaired
    column.wrote(written)
    return kept | (REPAIRED if repaired else 0)


cdef int _link(TextColumn column, Py_ssize_t row, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    """A symbolic link: a path without a zero at its end."""
    cdef int repaired = 0
    column.wrote(utf16le_utf8(p, n // 2, column.room(row, 3 * (n // 2)), &repaired))
    column.repairs += repaired
    return (REPAIRED if repaired else 0) | (n & 1)


cdef int _property(
    TextColumn column, Py_ssize_t row, uint32_t kind, const uint8_t* p, Py_ssize_t n
) except -1 nogil:
    cdef uint8_t* out
    cdef int64_t value
    if kind == 0x02 and n == 1:
        column.wrote(put_int(column.room(row, 20), <int8_t>p[0]))
    elif kind == 0x03 and n == 1:
        column.wrote(put_uint(column.room(row, 20), p[0]))
    elif kind == 0x04 and n == 2:
        column.wrote(put_int(column.room(row, 20), <int16_t>le16(p)))
    elif kind == 0x05 and n == 2:
        column.wrote(put_uint(column.room(row, 20), le16(p)))
    elif kind == 0x06 and n == 4:
        column.wrote(put_int(column.room(row, 20), <int32_t>le32(p)))
    elif (kind == 0x07 or kind == 0x16 or kind == 0x17 or kind == 0x18) and n == 4:
        column.wrote(put_uint(column.room(row, 20), le32(p)))
    elif kind == 0x08 and n == 8:
        column.wrote(put_int(column.room(row, 20), <int64_t>le64(p)))
    elif kind == 0x09 and n == 8:
        column.wrote(put_uint(column.room(row, 20), le64(p)))
    elif kind == 0x0A and n == 4:
        out = column.room(row, 40)
        column.wrote(snprintf(<char*>out, 40, "%.9g", <double>le_float(p)))
    elif kind == 0x0B and n == 8:
        out = column.room(row, 40)
        column.wrote(snprintf(<char*>out, 40, "%.17g", le_double(p)))
    elif kind == 0x0D and n == 16:
        out = column.room(row, 48)
        column.wrote(snprintf(
            <char*>out, 48, "{%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x}", le32(p),
            <int>le16(p + 4), <int>le16(p + 6), <int>p[8], <int>p[9], <int>p[10], <int>p[11],
            <int>p[12], <int>p[13], <int>p[14], <int>p[15],
        ))
    elif kind == 0x10 and n == 8 and le64(p) >> 63 == 0:
        value = <int64_t>le64(p)
        out = column.room(row, 28)
        column.wrote(put_iso_time(
            out, (value - <int64_t>FILETIME_1970) // 10,
            <int>((value - <int64_t>FILETIME_1970) % 10 * 100),
        ))
    elif kind == 0x11 and n == 1:
        if p[0]:
            column.put_valid(row, b"true", 4)
        else:
            column.put_valid(row, b"false", 5)
    else:
        return _hex(column, row, p, n)
    return WHOLE


cdef Py_ssize_t put_sid(uint8_t* out, const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """The text of the SID at `p` ([MS-DTYP] 2.4.2.1), of which `n` bytes are there; 0: none."""
    cdef uint64_t authority = 0
    cdef Py_ssize_t at
    cdef int i, count
    if n < 8 or p[0] != 1 or p[1] > 15 or 8 + 4 * p[1] > n:
        return 0
    count = p[1]
    for i in range(6):
        authority = authority << 8 | p[2 + i]
    memcpy(out, b"S-1-", 4)
    at = 4 + put_uint(out + 4, authority)
    for i in range(count):
        out[at] = 45
        at += 1
        at += put_uint(out + at, le32(p + 8 + 4 * i))
    return at


cdef Py_ssize_t latin_utf8(uint8_t* out, const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """A compressed name: each byte is the low half of a UTF-16 unit."""
    cdef Py_ssize_t i, at = 0
    for i in range(n):
        if p[i] < 0x80:
            out[at] = p[i]
            at += 1
        else:
            out[at] = 0xC0 | (p[i] >> 6)
            out[at + 1] = 0x80 | (p[i] & 0x3F)
            at += 2
    return at


def sid_text(const uint8_t[::1] data not None):
    """The text of the SID that `data` begin with, or "" where there is none."""
    cdef uint8_t[192] out
    cdef Py_ssize_t n = 0
    if data.shape[0]:
        n = put_sid(out, &data[0], data.shape[0])
    return (<const char*>out)[:n].decode("ascii")


def type_name(uint32_t kind):
    """The name of a value's type."""
    cdef uint8_t[40] out
    cdef Py_ssize_t n = put_type(out, kind)
    return (<const char*>out)[:n].decode("ascii")
