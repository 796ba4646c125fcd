"""Rows of `registry_activity`: keys and values of a hive.

A key has one date, when it was last written; that is `time` of its row. A value has none: its
row has the key's in `reg_modified_time`, and no `time` (but for settings of packaged applications,
which do have one).
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memcmp, memcpy, strlen

from tracelake.native.columns cimport (
    Buffer, DictColumn, IntColumn, MapColumn, Rows, TextColumn
)
from tracelake.native.cursor cimport Cursor, le16, le32, le64, left
from tracelake.native.hash64 cimport hash64
from tracelake.native.text cimport put_uint, utf16le_utf8
from tracelake.parsers.flags cimport TEXT_REPAIRED, TRUNCATED
from tracelake.parsers.hive_cells cimport (
    BASE, CELL_FREE, NOWHERE, RECORD, STRUCTURE, VALUE_LEAST, Data, Hive
)
from tracelake.parsers.hive_values cimport (
    PART, REPAIRED, latin_utf8, put_data, put_sid, put_type, written_bytes
)

from tracelake.normalize import TABLES

cdef enum:
    KEY_QUERY = 205004
    VALUE_QUERY = 205005
    RAW_MOST = 65536            # bytes of a record that a log has written
    USUAL_FLAGS = 0x2C          # root, not to be deleted, name of one byte a character

cdef uint64_t FILETIME_1970 = 116444736000000000
cdef uint64_t FILETIME_9999 = 2650467743999999999
cdef const char** TROUBLES = [
    "", "outside of the hive", "belong to another record", "shorter than the value says",
    "in a cell that is free", "a list of big data cannot be read",
]
cdef const char** LAYERS = ["", "tombstone", "supersede local", "supersede tree"]


cdef class HiveRows:
    """Collects the rows of one hive.

    Args:
        hive: it.
        alias: (path, other path) of a key that is known by two names, or None.
    """

    def __cinit__(self, Hive hive not None, alias=None):
        cdef Rows rows = Rows("registry_activity", TABLES["registry_activity"].schema, 30720)
        self.hive = hive
        self.rows = rows
        self.time = rows.column("time")
        self.time_ns = rows.column("time_ns")
        self.time_desc = rows.column("time_desc")
        self.class_uid = rows.column("class_uid")
        self.activity_id = rows.column("activity_id")
        self.path_column = rows.column("reg_key_path")
        self.alias_column = rows.column("reg_alias_path")
        self.name = rows.column("reg_value_name")
        self.kind = rows.column("reg_value_type")
        self.data = rows.column("reg_value_data")
        self.modified = rows.column("reg_modified_time")
        self.sub = rows.column("sub")
        self.src_offset = rows.column("src_offset")
        self.src_length = rows.column("src_length")
        self.record_hash = rows.column("record_hash")
        self.parse_flags = rows.column("parse_flags")
        self.unmapped = rows.column("unmapped")
        self.raw = rows.column("raw")
        self.scratch = Buffer()
        self.path = Buffer()
        self.path_code = -1
        self.alias_code = -1
        self.owner_of = NOWHERE
        self.hints = {}
        self.has_replayed = len(hive.replayed) > 0
        self.alias_from, self.alias_to = alias if alias is not None else (b"", b"")
        self.alias_old = <const uint8_t*><const char*>self.alias_from
        self.alias_new = <const uint8_t*><const char*>self.alias_to
        self.alias_old_length = len(self.alias_from)
        self.alias_new_length = len(self.alias_to)

    def finish(self):
        """The batch; codes of its dictionaries mean nothing afterwards."""
        self.path_code = -1
        self.alias_code = -1
        return self.rows.finish()

    cdef int set_path(self, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        """The path of the key whose row comes next, UTF-8; without one its rows have none."""
        self.path.length = 0
        self.path.reserve(n + 1)
        memcpy(self.path.data, p, n)
        self.path.length = n
        self.path_hash = hash64(p, n, 0)
        self.path_code = -1
        self.alias_code = -1
        return 0

    cdef int _paths(self, Py_ssize_t row) except -1 nogil:
        cdef Py_ssize_t n = self.alias_old_length, m = self.alias_new_length
        if self.path.length == 0:
            return 0
        if self.path_code < 0:
            self.path_code = self.path_column.code(self.path.data, self.path.length)
            self.alias_code = -1
            if n and self.path.length >= n and memcmp(self.path.data, self.alias_old, n) == 0 and (
                self.path.length == n or self.path.data[n] == 92
            ):
                self.scratch.length = 0
                self.scratch.reserve(m + self.path.length - n)
                memcpy(self.scratch.data, self.alias_new, m)
                memcpy(self.scratch.data + m, self.path.data + n, self.path.length - n)
                self.alias_code = self.alias_column.code(
                    self.scratch.data, m + self.path.length - n
                )
        self.path_column.put_code(row, self.path_code)
        if self.alias_code >= 0:
            self.alias_column.put_code(row, self.alias_code)
        return 0

    cdef int _note(self, const char* key, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        cdef Py_ssize_t i = self.unmapped.open(self.rows.count)
        self.unmapped.keys.put_valid(i, <const uint8_t*>key, strlen(key))
        self.unmapped.values.put(i, p, n)
        return self.unmapped.close(i + 1)

    cdef int _origin(
        self, uint32_t offset, const uint8_t* p, Py_ssize_t n, int flags
    ) except -1 nogil:
        """Where a row's record stands, and its bytes where the file does not have them."""
        cdef Py_ssize_t row = self.rows.count
        cdef Py_ssize_t length = self.hive.in_file(offset)
        self.hive.account.records += 1
        if length:
            self.hive.account.in_rows += 1
            self.src_offset.put(row, <int64_t>offset + BASE)
        else:
            # The file ends before it: cited by its number among the hive's 8-byte pieces.
            self.only_logged += 1
            self.src_offset.put(row, 0)
            self.sub.put(row, (offset >> 3) + 1)
        self.src_length.put(row, min(length, <Py_ssize_t>0x7FFFFFFF))
        if flags:
            self.parse_flags.put(row, flags)
        if self.has_replayed:
            with gil:
                if self.hive.is_replayed(<Py_ssize_t>offset + BASE):
                    self._note("from", b"transaction log", 15)
                    if self.raw.length <= row:
                        self.raw.put(row, p, min(n, <Py_ssize_t>RAW_MOST))
        return 0

    cdef int _find_owner(self, uint32_t offset) except -1 nogil:
        """The owner in the security cell at `offset`, which many keys share."""
        cdef Cursor c
        cdef Py_ssize_t at, there
        if offset == self.owner_of:
            return 0
        self.owner_of = offset
        self.owner_length = 0
        if self.hive.cell(offset, &c) > CELL_FREE or left(&c) < 40:
            return 0
        if c.at[0] != 115 or c.at[1] != 107:
            return 0
        if self.hive.first_visit(offset):
            self.hive.use(<Py_ssize_t>offset + BASE, self.hive.cell_size(offset), STRUCTURE)
        # A self-relative descriptor ([MS-DTYP] 2.4.6) follows 20 bytes of the cell's own.
        at = le32(c.at + 24)
        there = left(&c) - 20
        if 20 <= at < there:
            self.owner_length = put_sid(self.owner, c.at + 20 + at, there - at)
        return 0

    cdef int _class_name(self, const uint8_t* nk) except -1 nogil:
        cdef uint32_t offset = le32(nk + 48)
        cdef Py_ssize_t length = le16(nk + 74), n
        cdef Cursor c
        cdef int repaired = 0
        if length == 0 or offset == NOWHERE or self.hive.cell(offset, &c) > CELL_FREE:
            return 0
        if self.hive.first_visit(offset):
            self.hive.use(<Py_ssize_t>offset + BASE, self.hive.cell_size(offset), RECORD)
        length = min(length, left(&c)) // 2
        self.scratch.length = 0
        self.scratch.reserve(3 * length)
        n = utf16le_utf8(c.at, length, self.scratch.data, &repaired)
        return self._note("class", self.scratch.data, n)

    cdef int put_key(self, uint32_t offset, const uint8_t* nk, int flags) except -1 nogil:
        """The row of the key node at `nk` (KEY_LEAST bytes are there); its path is set."""
        cdef Py_ssize_t row = self.rows.count
        cdef uint64_t written = le64(nk + 4)
        cdef int bits = le16(nk + 2), layer
        cdef uint8_t[24] text
        self.written = 0
        if FILETIME_1970 < written <= FILETIME_9999:
            self.written = written
            self.time.put(row, <int64_t>(written - FILETIME_1970) // 10)
            self.time_ns.put(row, <int64_t>(written % 10) * 100)
            self.time_desc.put_valid(row, b"reg_modified", 12)
            self.modified.put(row, <int64_t>(written - FILETIME_1970) // 10)
        elif written:
            self._note("modified", text, put_uint(text, written))
        self.class_uid.put(row, KEY_QUERY)
        self.activity_id.put(row, 1)
        self._paths(row)
        self._find_owner(le32(nk + 44))
        if self.owner_length:
            self._note("owner", self.owner, self.owner_length)
        self._class_name(nk)
        if bits & ~USUAL_FLAGS:
            self._note("flags", text, snprintf(<char*>text, 24, "0x%04x", bits))
        layer = nk[13] & 3
        if self.hive.minor >= 6 and layer:
            self._note("layer", <const uint8_t*>LAYERS[layer], strlen(LAYERS[layer]))
        self._origin(offset, nk, min(self.hive.cell_size(offset) - 4, <Py_ssize_t>RAW_MOST), flags)
        self.record_hash.put(row, <int64_t>hash64(nk + 4, 8, self.path_hash))
        return self.rows.done()

    cdef int _value_time(self, Py_ssize_t row, uint64_t written) except -1 nogil:
        if FILETIME_1970 < written <= FILETIME_9999:
            self.time.put(row, <int64_t>(written - FILETIME_1970) // 10)
            self.time_ns.put(row, <int64_t>(written % 10) * 100)
            self.time_desc.put_valid(row, b"value_written", 13)
        return 0

    cdef int put_value(
        self, uint32_t offset, const uint8_t* vk, Py_ssize_t there, int flags, bint owned
    ) except -1 nogil:
        """The row of the value at `vk`, of which `there` bytes are there (VALUE_LEAST at least).

        owned: the value belongs to the hive, so its data count as read.
        """
        cdef Py_ssize_t row = self.rows.count, n = le16(vk + 2), length, tail
        cdef uint32_t kind = le32(vk + 12)
        cdef int bits = le16(vk + 16), kept
        cdef uint8_t[40] text
        cdef uint64_t h
        cdef Data data
        if owned:
            self.hive.value_data(vk, True, &data)
        else:
            self.hive.lost_data(vk, &data)
        if n > there - VALUE_LEAST:
            n = max(there - VALUE_LEAST, 0)
            flags |= TRUNCATED
        if data.trouble == 3 or data.trouble == 1 or data.trouble == 2:
            flags |= TRUNCATED
        self._paths(row)
        if n == 0:
            self.name.put_valid(row, b"(Default)", 9)
        elif bits & 1:
            self.scratch.length = 0
            self.scratch.reserve(2 * n)
            length = latin_utf8(self.scratch.data, vk + VALUE_LEAST, n)
            self.name.put_valid(row, self.scratch.data, length)
        elif self.name.put_utf16(row, vk + VALUE_LEAST, n // 2):
            flags |= TEXT_REPAIRED
        self.kind.put_valid(row, text, put_type(text, kind))
        tail = written_bytes(kind, data.length)
        if tail:
            self._value_time(row, le64(data.at + data.length - tail))
        kept = put_data(self.data, row, kind, data.at, data.length - tail)
        if kept & REPAIRED:
            flags |= TEXT_REPAIRED
        if kept & PART:
            self.raw.put(row, data.at, data.length)
            self._note("data_size", text, put_uint(text, data.length))
        if data.trouble:
            self._note(
                "data", <const uint8_t*>TROUBLES[data.trouble], strlen(TROUBLES[data.trouble])
            )
        if bits & 2:
            self._note("layer", b"tombstone", 9)
        if self.written:
            self.modified.put(row, <int64_t>(self.written - FILETIME_1970) // 10)
        self.class_uid.put(row, VALUE_QUERY)
        self.activity_id.put(row, 1)
        h = hash64(vk + VALUE_LEAST, n, self.path_hash ^ kind)
        self.record_hash.put(row, <int64_t>hash64(data.at, data.length, h))
        self._origin(offset, vk, min(there, <Py_ssize_t>RAW_MOST), flags)
        return self.rows.done()
