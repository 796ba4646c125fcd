"""What a hive no longer counts as its own: deleted keys and values, and cells no key leads to.

To be run when the tree has been walked. Every bin is read cell by cell, twice: first for keys,
which say which values were theirs, then for the values that are left. An allocated key or value
that the tree did not reach is a row, as is every key or value that still stands in a free cell
(or behind the last bin), with parse_flags 2. Its path is followed up the parents' offsets to the
root; where they lead elsewhere, it begins with "?". Data are shown as far as no record has
taken their place.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from tracelake.native.account cimport Account
from tracelake.native.columns cimport Buffer
from tracelake.native.cursor cimport Cursor, le16, le32, le64, left, span
from tracelake.native.text cimport utf16le_utf8
from tracelake.parsers.flags cimport FROM_SLACK
from tracelake.parsers.hive_cells cimport (
    BASE, CELL_FREE, KEY_LEAST, LOST, NAME_MOST, NOWHERE, RECORD, STRUCTURE, VALUE_LEAST, Hive
)
from tracelake.parsers.hive_rows cimport HiveRows
from tracelake.parsers.hive_values cimport latin_utf8

cdef enum:
    LEVELS = 64                 # that a lost key's path is followed up
    HEADER = 32                 # bytes of a bin's header
    VALUES_MOST = 65536         # of one lost key
    RECORD_MOST = 131072        # bytes of a key or value that are looked at, name and all

cdef uint64_t YEAR_1990 = 122752800000000000
cdef uint64_t YEAR_2100 = 157469184000000000


cdef enum:
    MEANT_MOST = 1000000        # allocated keys of paths that mean something


cdef class Lost:
    """Reads what the walk of the tree left over.

    Attributes:
        cut_off: (offset, path) of allocated keys below the root that the tree does not reach; not
            of deleted ones, whose values may be another's by now.

    Args:
        hive, rows, account: as of the walk.
        root: offset of the root cell, path: of the root key.
        end: file offset of the end of the bins.
    """
    cdef Hive hive
    cdef HiveRows rows
    cdef Account account
    cdef uint32_t root
    cdef bytes root_path
    cdef readonly list cut_off
    cdef Py_ssize_t at, bin_end, end, free_at, free_end
    cdef Py_ssize_t list_at             # where the list of the values of the lost key at hand is
    cdef Py_ssize_t list_left
    cdef int64_t unknown
    cdef int phase                      # 0: keys and their values, 1: values of no known key
    cdef Buffer path
    cdef uint32_t[64] chain

    def __cinit__(self, Hive hive not None, HiveRows rows not None, Account account not None,
                  uint32_t root, bytes path, Py_ssize_t end):
        self.hive = hive
        self.rows = rows
        self.account = account
        self.root = root
        self.root_path = path
        self.at = self.bin_end = BASE
        self.end = min(end, hive.size)
        self.path = Buffer()
        self.cut_off = []

    def next(self):
        """Reads on: False when all is read, True when the batch is full."""
        cdef bint more
        with nogil:
            more = self.run()
        if not more:
            if self.unknown:
                name = "cells that no key leads to"
                self.account.records += self.unknown
                self.account.counters[name] = self.account.counters.get(name, 0) + self.unknown
            self.unknown = 0
        return more

    cdef bint run(self) except -1 nogil:
        while True:
            while self.list_left:
                if self.rows.rows.full():
                    return True
                self.hive.relax()
                self.next_value()
            while self.free_at < self.free_end:
                if self.rows.rows.full():
                    return True
                self.hive.relax()
                self.look(self.free_at, self.free_end, True)
                self.free_at += 8
                if self.list_left:
                    break
            if self.list_left:
                continue
            if self.at >= self.end:
                if self.at < self.hive.size:
                    # Padding behind the last bin: often what was there when it was longer.
                    self.begin_free(self.at, self.hive.size)
                    self.at = self.hive.size
                    continue
                if self.phase == 1:
                    return False
                self.phase = 1
                self.at = self.bin_end = BASE
                continue
            if self.rows.rows.full():
                return True
            self.hive.relax()
            self.next_cell()

    cdef int begin_free(self, Py_ssize_t begin, Py_ssize_t end) except -1 nogil:
        self.hive.count_slack(begin, end - begin)
        self.free_at = begin
        self.free_end = end
        return 0

    cdef int next_bin(self) except -1 nogil:
        """Reads a bin's header at `at`; a broken one is damage, and the next page is tried."""
        cdef const uint8_t* p = self.hive.see(self.at, HEADER)
        cdef Py_ssize_t size, begin
        if self.end - self.at < HEADER:
            self.at = self.end
            return 0
        size = le32(p + 8)
        if p[0] != 104 or p[1] != 98 or p[2] != 105 or p[3] != 110 or size < 4096 or (
            size & 4095
        ) or size > self.end - self.at:
            if p[0] == 104 and p[1] == 98 and p[2] == 105 and p[3] == 110 and (
                size > self.end - self.at
            ):
                # The file ends within it.
                self.bad(self.at, self.end - self.at, b"hive bin", b"the hive ends before it does")
                self.hive.use(self.at, HEADER, STRUCTURE)
                self.bin_end = self.end
                self.at += HEADER
                return 0
            # One damage row for all pages to the next bin; keys in them may still be found.
            begin = self.at
            self.at = min(begin + 4096, self.end)
            while self.end - self.at >= HEADER:
                self.hive.relax()
                p = self.hive.see(self.at, 4)
                if p[0] == 104 and p[1] == 98 and p[2] == 105 and p[3] == 110:
                    break
                self.at = min(self.at + 4096, self.end)
            self.bad(begin, self.at - begin, b"hive bin", b"its header is broken")
            self.bin_end = self.at
            self.free_at = begin
            self.free_end = self.at
            return 0
        self.hive.use(self.at, HEADER, STRUCTURE)
        self.bin_end = self.at + size
        self.at += HEADER
        return 0

    cdef int bad(self, int64_t at, int64_t n, const char* what, const char* why) except -1 nogil:
        if self.phase:
            return 0
        self.account.records += 1
        return self.account.damage(at, n, what, why, NULL, 0)

    cdef int next_cell(self) except -1 nogil:
        cdef int64_t size
        cdef Py_ssize_t at
        cdef uint32_t offset
        if self.at >= self.bin_end:
            return self.next_bin()
        if self.bin_end - self.at < 8:
            self.at = self.bin_end
            return 0
        at = self.at
        size = <int32_t>le32(self.hive.see(at, 8))
        offset = <uint32_t>(at - BASE)
        if -8 < size < 8 or size & 7 or (size if size > 0 else -size) > self.bin_end - at:
            if self.bin_end < self.end or size & 7 or -8 < size < 8:
                self.bad(at, self.bin_end - at, b"cell", b"its size leads out of its bin")
            self.begin_free(at, self.bin_end)
            self.at = self.bin_end
            return 0
        if size > 0:
            self.at = at + size
            self.begin_free(at, at + size)
            return 0
        self.at = at - size
        if not self.hive.was_seen(offset):
            self.look(at, at - size, False)
        return 0

    cdef int look(self, Py_ssize_t at, Py_ssize_t end, bint is_free) except -1 nogil:
        """A key or value may stand at file offset `at`, in a cell that ends at `end`."""
        cdef Cursor c
        cdef Py_ssize_t head = 8 if self.hive.old_cells else 4
        cdef uint32_t offset = <uint32_t>(at - BASE)
        if self.hive.was_used(at):
            return 0
        if end - at >= head + VALUE_LEAST:
            c = span(self.hive.see(at, head + 2) + head, end - at - head, at + head)
            if c.at[1] == 107:
                self.hive.see(at, min(end - at, <Py_ssize_t>RECORD_MOST))
                if c.at[0] == 110 and self.phase == 0:
                    if self.is_key(&c) and self.hive.first_visit(offset):
                        return self.put_key(offset, &c, is_free)
                elif c.at[0] == 118 and self.phase == 1:
                    if self.is_value(&c) and self.hive.first_visit(offset):
                        self.hinted(offset)
                        self.rows.written = 0
                        return self.put_value(offset, &c, is_free)
                elif c.at[0] == 115 and not is_free:
                    self.hive.use(at, end - at, STRUCTURE)
                    return 0
        if self.phase and not is_free:
            self.unknown += 1
        return 0

    cdef int hinted(self, uint32_t offset) except -1 nogil:
        """The path of a value that is of no key: that of the key whose list still names it."""
        cdef const char* p
        with gil:
            path = self.rows.hints.get(offset)
            if path is None:
                return self.rows.set_path(self.path.data, 0)
            p = path
            return self.rows.set_path(<const uint8_t*>p, len(path))

    cdef bint is_key(self, Cursor* c) noexcept nogil:
        cdef const uint8_t* p = c.at
        cdef uint64_t written
        cdef Py_ssize_t n
        if left(c) < KEY_LEAST:
            return False
        written = le64(p + 4)
        n = le16(p + 72)
        return (
            le16(p + 2) < 0x1000 and YEAR_1990 < written < YEAR_2100 and 0 < n <= NAME_MOST
            and n <= left(c) - KEY_LEAST and (le32(p + 16) & 7) == 0
        )

    cdef bint is_value(self, Cursor* c) noexcept nogil:
        cdef const uint8_t* p = c.at
        cdef uint32_t size = le32(p + 4), offset = le32(p + 8)
        cdef Py_ssize_t n = le16(p + 2)
        if n > left(c) - VALUE_LEAST or le16(p + 16) > 3:
            return False
        if size & 0x80000000U:
            return (size & 0x7FFFFFFF) <= 4
        return size == 0 or (
            offset & 7 == 0 and <Py_ssize_t>offset + BASE < self.hive.size
            and <Py_ssize_t>size < self.hive.size
        )

    cdef int put_key(self, uint32_t offset, Cursor* c, bint is_free) except -1 nogil:
        cdef const uint8_t* p = c.at
        cdef Cursor listed
        cdef uint32_t count = le32(p + 36)
        cdef Py_ssize_t at = <Py_ssize_t>offset + BASE, n = KEY_LEAST + le16(p + 72) + 4, run
        self.find_path(offset)
        self.rows.set_path(self.path.data, self.path.length)
        if not is_free and self.path.data[0] != 63:
            with gil:
                if len(self.cut_off) < MEANT_MOST:
                    self.cut_off.append(
                        (offset, (<const char*>self.path.data)[:self.path.length])
                    )
        self.hive.use(at, n if is_free else self.hive.cell_size(offset), LOST if is_free else RECORD)
        self.rows.put_key(offset, p, FROM_SLACK)
        if count == 0 or count > VALUES_MOST or le16(p + 2) & 0x40:
            return 0
        if self.hive.cell(le32(p + 40), &listed) > CELL_FREE:
            return 0
        # The list itself is still there only as far as nothing else has taken its place.
        run = self.hive.unused_run(listed.at - self.hive.p & ~7, 4 * count + 8)
        count = min(count, <uint32_t>(min(run, left(&listed)) // 4))
        self.list_at = listed.at - self.hive.p
        self.list_left = count
        self.hive.use(listed.at - self.hive.p & ~7, 4 * count, LOST if is_free else STRUCTURE)
        return 0

    cdef int next_value(self) except -1 nogil:
        """The next value of the lost key at hand, if it still is one."""
        cdef uint32_t offset = le32(self.hive.see(self.list_at, 4))
        cdef Cursor c
        cdef Py_ssize_t at = <Py_ssize_t>offset + BASE
        self.list_at += 4
        self.list_left -= 1
        if self.hive.cell(offset, &c) > CELL_FREE or left(&c) < VALUE_LEAST:
            return 0
        if c.at[0] != 118 or c.at[1] != 107 or self.hive.was_used(at) or not self.is_value(&c):
            return 0
        if self.hive.first_visit(offset):
            self.put_value(offset, &c, True)
        return 0

    cdef int put_value(self, uint32_t offset, Cursor* c, bint is_free) except -1 nogil:
        cdef Py_ssize_t n = VALUE_LEAST + le16(c.at + 2) + 4
        self.hive.use(
            <Py_ssize_t>offset + BASE, n if is_free else self.hive.cell_size(offset),
            LOST if is_free else RECORD,
        )
        return self.rows.put_value(offset, c.at, min(left(c), n - 4), FROM_SLACK, False)

    cdef int find_path(self, uint32_t offset) except -1 nogil:
        """The path of the key at `offset`, by its parents."""
        cdef uint32_t at = offset
        cdef int depth = 0
        cdef bint whole = False
        cdef Cursor c
        while depth < LEVELS:
            if self.hive.cell(at, &c) > CELL_FREE or left(&c) < KEY_LEAST:
                break
            if c.at[0] != 110 or c.at[1] != 107 or le16(c.at + 72) > left(&c) - KEY_LEAST:
                break
            if at == self.root:
                whole = True
                break
            self.chain[depth] = at
            depth += 1
            at = le32(c.at + 16)
        self.path.length = 0
        self.path.reserve(4096 + 1024)
        if whole:
            with gil:
                memcpy(self.path.data, <const char*>self.root_path,
                       min(len(self.root_path), 1024))
                self.path.length = min(len(self.root_path), 1024)
        else:
            self.path.data[0] = 63
            self.path.length = 1
        while depth:
            depth -= 1
            self.hive.cell(self.chain[depth], &c)
            self.add_name(&c)
        return 0

    cdef int add_name(self, Cursor* c) except -1 nogil:
        cdef Py_ssize_t n = min(<Py_ssize_t>le16(c.at + 72), left(c) - KEY_LEAST)
        cdef int repaired = 0
        n = min(n, <Py_ssize_t>NAME_MOST)
        if self.path.length > 4096:
            return 0
        self.path.reserve(3 * n + 1)
        self.path.data[self.path.length] = 92
        self.path.length += 1
        if le16(c.at + 2) & 0x20:
            self.path.length += latin_utf8(
                self.path.data + self.path.length, c.at + KEY_LEAST, n
            )
        else:
            self.path.length += utf16le_utf8(
                c.at + KEY_LEAST, n // 2, self.path.data + self.path.length, &repaired
            )
        return 0
