"""Keys and values as objects, for what is read with understanding: decoders of artifacts.

The rows of a hive are not made with these. A hive hands out as many as it has bytes / 16 (and
four times its bytes of data), so a hostile one cannot keep decoders busy for ever.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tracelake.native.columns cimport Buffer
from tracelake.native.cursor cimport Cursor, be32, le16, le32, le64, left
from tracelake.native.text cimport utf16le_utf8
from tracelake.parsers.hive_cells cimport (
    BASE, CELL_FREE, KEY_LEAST, VALUE_LEAST, Data, Hive
)
from tracelake.parsers.hive_values cimport put_sid

from tracelake.native.errors import Corrupt

cdef enum:
    SUBKEYS_MOST = 1000000

cdef uint64_t FILETIME_1970 = 116444736000000000
cdef uint64_t FILETIME_9999 = 2650467743999999999


def filetime(value):
    """(microseconds since 1970 UTC, nanoseconds below) of a FILETIME; None for none."""
    if not FILETIME_1970 < value <= FILETIME_9999:
        return None
    return (value - FILETIME_1970) // 10, value % 10 * 100


cdef int _hand(Hive hive, Py_ssize_t n) except -1:
    hive.handed += 1
    hive.handed_bytes += n
    if hive.handed > hive.size // 16 + 4096 or hive.handed_bytes > 4 * hive.size + (1 << 20):
        raise Corrupt("registry hive", 0, "its keys and values are shared by too many lists")
    return 0


cdef str _name(const uint8_t* p, Py_ssize_t n, bint narrow):
    if narrow:
        return (<const char*>p)[:n].decode("latin-1")
    return (<const char*>p)[:n & ~1].decode("utf-16-le", "replace")


cdef class Value:
    """A value of a key.

    Attributes:
        name: "" for the default value.
        kind: its type, a number (1 REG_SZ, 3 REG_BINARY, 4 REG_DWORD, ...).
        data: its bytes, as many as are there.
        offset, length: of its cell in the artifact.
    """
    cdef readonly str name
    cdef readonly object kind, data, offset, length

    @property
    def text(self):
        """Its text, to the first zero; "" where it is of another type."""
        if self.kind in (1, 2, 6, 0xFFFF0012):
            raw = self.data
            return raw[:len(raw) & ~1].decode("utf-16-le", "replace").split("\0", 1)[0]
        if self.kind == 7:
            return "\n".join(self.texts)
        if self.kind in (4, 5, 11):
            return str(self.number)
        return ""

    @property
    def texts(self):
        """The texts of a REG_MULTI_SZ, of others their one text."""
        if self.kind == 7:
            raw = self.data
            found = raw[:len(raw) & ~1].decode("utf-16-le", "replace").rstrip("\0").split("\0")
            return [text for text in found if text]
        text = self.text
        return [text] if text else []

    @property
    def number(self):
        """Its number, None where it is of another type."""
        raw = self.data
        if self.kind == 5 and len(raw) == 4:
            return int.from_bytes(raw, "big")
        if (self.kind == 4 and len(raw) == 4) or (self.kind == 11 and len(raw) == 8):
            return int.from_bytes(raw, "little")
        return None


cdef class Key:
    """A key of a hive.

    Attributes:
        name: its own; path: from the root, as rows have it.
        offset, length: of its cell in the artifact; 0 where only a log has it.
        modified: (microseconds since 1970 UTC, nanoseconds below), or None.
        count: of its values, as it says itself.
    """
    cdef Hive hive
    cdef uint32_t cell
    cdef readonly str name, path
    cdef readonly object offset, length, modified, count
    cdef list _values

    def __repr__(self):
        return f"<Key {self.path}>"

    def values(self):
        """Its values, as far as they can be read."""
        cdef Cursor c, listed, v
        cdef Py_ssize_t i, n, count
        cdef uint32_t offset, at
        if self._values is not None:
            return self._values
        self._values = []
        if self.hive.cell(self.cell, &c) > CELL_FREE or left(&c) < KEY_LEAST:
            return self._values
        if le16(c.at + 2) & 0x40 or le32(c.at + 36) == 0:
            return self._values
        at = le32(c.at + 40)
        count = le32(c.at + 36)
        if self.hive.cell(at, &listed) > CELL_FREE:
            return self._values
        n = min(count, left(&listed) // 4)
        for i in range(n):
            if self.hive.relax():
                self.hive.cell(at, &listed)
            offset = le32(listed.at + 4 * i)
            if self.hive.cell(offset, &v) > CELL_FREE or left(&v) < VALUE_LEAST:
                continue
            if v.at[0] == 118 and v.at[1] == 107:
                self._values.append(_value(self.hive, offset, &v))
        return self._values

    def value(self, str name):
        """The value of that name, upper and lower case alike, or None."""
        wanted = name.lower()
        for value in self.values():
            if (<Value>value).name.lower() == wanted:
                return value
        return None

    def text(self, str name):
        """The text of the value of that name, "" where there is none."""
        value = self.value(name)
        return "" if value is None else value.text

    def number(self, str name):
        """The number of the value of that name, or None."""
        value = self.value(name)
        return None if value is None else value.number

    def data(self, str name):
        """The bytes of the value of that name, b"" where there is none."""
        value = self.value(name)
        return b"" if value is None else value.data

    def subkeys(self):
        """Its subkeys, as far as they can be read."""
        cdef Cursor c
        out = []
        if self.hive.cell(self.cell, &c) <= CELL_FREE and left(&c) >= KEY_LEAST:
            if le32(c.at + 20):
                self._listed(le32(c.at + 28), out, False)
        return out

    def subkey(self, str path):
        """The key below this one at `path` (names divided by a backslash), or None."""
        key = self
        for part in path.split("\\"):
            wanted = part.lower()
            for child in key.subkeys():
                if (<Key>child).name.lower() == wanted:
                    key = child
                    break
            else:
                return None
        return key

    def sids(self):
        """The SIDs of its security: owner first, then those of its access list, in order."""
        cdef Cursor c, s
        cdef uint8_t[192] out
        cdef Py_ssize_t at, n, size, base = 20, there
        cdef int count
        found = []
        if self.hive.cell(self.cell, &c) > CELL_FREE or left(&c) < KEY_LEAST:
            return found
        if self.hive.cell(le32(c.at + 44), &s) > CELL_FREE or left(&s) < 40:
            return found
        if s.at[0] != 115 or s.at[1] != 107:
            return found
        there = left(&s) - base
        at = le32(s.at + base + 4)
        if 20 <= at < there:
            n = put_sid(out, s.at + base + at, there - at)
            if n:
                found.append((<const char*>out)[:n].decode("ascii"))
        at = le32(s.at + base + 16)
        if not 20 <= at <= there - 8:
            return found
        count = le16(s.at + base + at + 4)
        at += 8
        while count and at + 16 <= there:
            size = le16(s.at + base + at + 2)
            if size < 16 or at + size > there:
                break
            n = put_sid(out, s.at + base + at + 8, size - 8)
            if n:
                found.append((<const char*>out)[:n].decode("ascii"))
            at += size
            count -= 1
        return found

    def class_name(self):
        """Its class name, "" where it has none."""
        cdef Cursor c, t
        cdef Py_ssize_t n
        if self.hive.cell(self.cell, &c) > CELL_FREE or left(&c) < KEY_LEAST:
            return ""
        n = le16(c.at + 74)
        if n == 0 or self.hive.cell(le32(c.at + 48), &t) > CELL_FREE:
            return ""
        return _name(t.at, min(n, left(&t)), False)

    cdef int _listed(self, uint32_t offset, list out, bint inner) except -1:
        cdef Cursor c
        cdef Py_ssize_t count, step, i
        if self.hive.cell(offset, &c) > CELL_FREE or left(&c) < 4:
            return 0
        count = le16(c.at + 2)
        if c.at[0] == 114 and c.at[1] == 105 and not inner:
            for i in range(min(count, (left(&c) - 4) // 4)):
                self._listed(le32(c.at + 4 + 4 * i), out, True)
                self.hive.cell(offset, &c)
            return 0
        if c.at[0] != 108 or c.at[1] not in (105, 102, 104):
            return 0
        step = 4 if c.at[1] == 105 else 8
        for i in range(min(count, (left(&c) - 4) // step)):
            if self.hive.relax():
                self.hive.cell(offset, &c)
            child = key_at(self.hive, le32(c.at + 4 + step * i), self.path)
            if child is not None:
                out.append(child)
            if len(out) > SUBKEYS_MOST:
                return 0
        return 0


cdef Value _value(Hive hive, uint32_t offset, Cursor* c):
    cdef Data data
    cdef Value out = Value()
    cdef Py_ssize_t n = min(<Py_ssize_t>le16(c.at + 2), left(c) - VALUE_LEAST)
    hive.value_data(c.at, False, &data)
    _hand(hive, data.length)
    out.name = _name(c.at + VALUE_LEAST, n, le16(c.at + 16) & 1)
    out.kind = le32(c.at + 12)
    out.data = (<const char*>data.at)[:data.length]
    out.length = hive.in_file(offset)
    out.offset = <int64_t>offset + BASE if out.length else 0
    return out


def key_at(Hive hive not None, uint32_t offset, str parent, str path=None):
    """The key at a cell, or None where there is none.

    Args:
        parent: path of its parent; path: its own, where it is known whole.
    """
    cdef Cursor c
    cdef Key out
    cdef Py_ssize_t n
    if hive.cell(offset, &c) > CELL_FREE or left(&c) < KEY_LEAST:
        return None
    if c.at[0] != 110 or c.at[1] != 107:
        return None
    n = min(<Py_ssize_t>le16(c.at + 72), left(&c) - KEY_LEAST)
    out = Key()
    out.hive = hive
    out.cell = offset
    out.name = _name(c.at + KEY_LEAST, n, le16(c.at + 2) & 0x20)
    out.path = path if path is not None else f"{parent}\\{out.name}"
    # Paths count as well: those of a deep tree are far longer than its keys.
    _hand(hive, len(out.path))
    out.length = hive.in_file(offset)
    out.offset = <int64_t>offset + BASE if out.length else 0
    out.modified = filetime(le64(c.at + 4))
    out.count = le32(c.at + 36)
    return out
