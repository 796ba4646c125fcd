"""The tree of a hive, key by key: every key and every value becomes a row or a damage row.

No list, key, value or data is read twice: what is reached a second time is damage. So loops end,
and a hostile hive takes no longer than its size. A path is followed to `DEPTH_MOST` levels
(Windows: 512), and shown to `PATH_MOST` bytes.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from tracelake.native.account cimport Account
from tracelake.native.columns cimport Buffer
from tracelake.native.cursor cimport Cursor, le16, le32, left, offset as at_offset
from tracelake.native.text cimport utf16le_utf8
from tracelake.parsers.flags cimport FROM_SLACK, TEXT_REPAIRED, TRUNCATED
from tracelake.parsers.hive_cells cimport (
    BASE, CELL_FREE, CELL_GOOD, KEY_LEAST, NOWHERE, RECORD, STRUCTURE, VALUE_LEAST, Hive
)
from tracelake.parsers.hive_rows cimport HiveRows
from tracelake.parsers.hive_values cimport latin_utf8

cdef enum:
    DEPTH_MOST = 600
    PATH_MOST = 8192
    DELETED_MOST = 64           # values deleted from one list that are looked for
    HINTS_MOST = 65536          # the same of a hive
    BAD_MOST = 32               # elements of a list in a row that lead nowhere, before it is left
    NAME_BYTES = 1024           # of a name as UTF-8; Windows has 255 characters

DONE, FULL, MEANT = 0, 1, 2


cdef class Walk:
    """Walks a hive from its root.

    Args:
        hive, rows: it, and where its rows go.
        account: of the artifact.
        root: offset of the root cell.
        path: of the root key, UTF-8.
        patterns: parsers.hive_patterns.Patterns; start: its state at the root, -1 for none.
    """

    def __cinit__(self, Hive hive not None, HiveRows rows not None, Account account not None,
                  uint32_t root, bytes path, patterns, int32_t start):
        self.hive = hive
        self.rows = rows
        self.account = account
        self.patterns = patterns
        self.path = Buffer()
        self.path.reserve(PATH_MOST + 2 * NAME_BYTES)
        self.path.length = min(len(path), <Py_ssize_t>PATH_MOST)
        memcpy(self.path.data, <const char*>path, self.path.length)
        self.lengths[0] = self.path.length
        self.value_list = NOWHERE
        self.state = -1
        self.push(root, 36, 0, start)

    def __dealloc__(self):
        free(self.stack)

    def next(self):
        """Reads on: DONE, FULL (take the batch), or MEANT: a key that patterns name was read."""
        cdef int result
        with nogil:
            result = self.run()
        return result

    @property
    def key_path(self):
        """The path of the key that was read last."""
        return (<const char*>self.rows.path.data)[:self.rows.path.length].decode("utf-8")

    cdef int run(self) except -1 nogil:
        while True:
            if self.value_at < self.value_count:
                if self.read_values():
                    return 1
            if self.top == 0:
                return 0
            if self.rows.rows.full():
                return 1
            if self.next_key():
                return 2

    cdef int push(
        self, uint32_t offset, uint32_t listed, int32_t depth, int32_t state
    ) except -1 nogil:
        cdef Pending* grown
        cdef Py_ssize_t room
        if self.top == self.room:
            room = self.room * 2 if self.room else 1024
            grown = <Pending*>realloc(self.stack, room * sizeof(Pending))
            if grown is NULL:
                with gil:
                    raise MemoryError("keys that are still to be read")
            self.stack = grown
            self.room = room
        self.stack[self.top].offset = offset
        self.stack[self.top].listed = listed
        self.stack[self.top].depth = depth
        self.stack[self.top].state = state
        self.top += 1
        return 0

    cdef int damaged(
        self, int64_t offset, int64_t length, const char* what, const char* why
    ) except -1 nogil:
        self.account.records += 1
        return self.account.damage(offset, length, what, why, NULL, 0)

    cdef int32_t follow(self, int32_t state, const uint8_t* name, Py_ssize_t n) except -2 nogil:
        """The state of the patterns below a key of state `state`."""
        if state < 0:
            return -1
        with gil:
            return self.patterns.follow(state, (<const char*>name)[:n].decode("utf-8", "replace"))

    cdef int enter(
        self, int32_t depth, const uint8_t* name, Py_ssize_t n, bint narrow
    ) except -1 nogil:
        """Sets the path to that of a key at `depth`; returns flags of its row."""
        cdef int flags = 0, repaired = 0
        cdef uint8_t* out
        cdef Py_ssize_t written
        self.path.length = self.lengths[depth - 1]
        if self.path.length > PATH_MOST:
            # Deeper than anything real: the name stands at once behind what was shown before.
            self.path.length = PATH_MOST
            while self.path.length and self.path.data[self.path.length] & 0xC0 == 0x80:
                self.path.length -= 1
            flags = TRUNCATED
        out = self.path.data + self.path.length
        out[0] = 92
        if narrow:
            written = latin_utf8(out + 1, name, min(n, <Py_ssize_t>(NAME_BYTES // 2)))
        else:
            written = utf16le_utf8(name, min(n // 2, <Py_ssize_t>(NAME_BYTES // 3)), out + 1,
                                   &repaired)
        self.path.length += 1 + written
        self.lengths[depth] = self.path.length
        return flags | (TEXT_REPAIRED if repaired else 0)

    cdef bint next_key(self) except -1 nogil:
        """Reads the key that is due; whether patterns name it."""
        cdef Pending due
        cdef Cursor c
        cdef const uint8_t* nk
        cdef Py_ssize_t n, begin
        cdef int flags = 0, state
        self.top -= 1
        due = self.stack[self.top]
        if due.depth > DEPTH_MOST:
            self.damaged(due.listed, 4, b"key", b"more than 600 levels deep")
            return False
        if not self.is_key(due.offset, due.listed):
            return False
        state = self.hive.cell(due.offset, &c)
        if not self.hive.first_visit(due.offset):
            self.damaged(due.listed, 4, b"key", b"it was read already: a loop, or two parents")
            return False
        nk = c.at
        self.hive.use(<Py_ssize_t>due.offset + BASE, self.hive.cell_size(due.offset), RECORD)
        if state == CELL_FREE:
            flags |= FROM_SLACK
        n = le16(nk + 72)
        if n > left(&c) - KEY_LEAST or n > NAME_BYTES // 2:
            n = min(left(&c) - KEY_LEAST, <Py_ssize_t>(NAME_BYTES // 2))
            flags |= TRUNCATED
        self.state = due.state
        if due.depth:
            begin = self.lengths[due.depth - 1]
            flags |= self.enter(due.depth, nk + KEY_LEAST, n, le16(nk + 2) & 0x20)
            if due.state >= 0:
                begin = min(begin, <Py_ssize_t>PATH_MOST) + 1
                self.state = self.follow(
                    due.state, self.path.data + begin, max(self.path.length - begin, 0)
                )
        self.rows.set_path(self.path.data, self.path.length)
        self.rows.put_key(due.offset, nk, flags)
        self.key = due.offset
        # A predefined handle stands where others have their values.
        if not le16(nk + 2) & 0x40:
            self.open_values(nk)
        self.push_children(due.offset, nk, due.depth + 1)
        if self.state < 0:
            return False
        with gil:
            return self.patterns.means(self.state)

    cdef int open_values(self, const uint8_t* nk) except -1 nogil:
        cdef uint32_t count = le32(nk + 36), offset = le32(nk + 40)
        cdef Cursor c
        cdef Py_ssize_t where = nk - self.hive.p
        self.value_at = self.value_count = self.bad_values = 0
        if count == 0:
            return 0
        if self.hive.cell(offset, &c) > CELL_FREE:
            return self.damaged(where + 40, 4, b"list of values", b"its offset is not that of a cell")
        if not self.hive.first_visit(offset):
            return self.damaged(where + 40, 4, b"list of values", b"it belongs to another record")
        self.hive.use(<Py_ssize_t>offset + BASE, self.hive.cell_size(offset), STRUCTURE)
        if count > left(&c) // 4:
            self.damaged(
                at_offset(&c), left(&c), b"list of values", b"it is shorter than its key says"
            )
            count = <uint32_t>(left(&c) // 4)
        self.value_list = offset
        self.value_count = count
        if left(&c) // 4 > count:
            c.at += 4 * <Py_ssize_t>count
            self.note_deleted(&c)
        return 0

    cdef int note_deleted(self, const Cursor* c) except -1 nogil:
        """Behind the end of a list of values often stand those that were deleted from it."""
        cdef Cursor v
        cdef Py_ssize_t i
        cdef uint32_t offset
        for i in range(min((c.end - c.at) // 4, <Py_ssize_t>DELETED_MOST)):
            offset = le32(c.at + 4 * i)
            if offset == 0 or self.hive.cell(offset, &v) != CELL_FREE:
                continue
            if left(&v) < VALUE_LEAST or v.at[0] != 118 or v.at[1] != 107:
                continue
            with gil:
                if len(self.rows.hints) < HINTS_MOST:
                    self.rows.hints[offset] = (<const char*>self.rows.path.data)[
                        :self.rows.path.length]
        return 0

    cdef int read_values(self) except -1 nogil:
        """Reads the key's values; 1 where a batch is full before the last."""
        cdef Cursor c, v
        cdef uint32_t offset
        cdef int64_t where
        cdef int state
        self.hive.cell(self.value_list, &c)
        while self.value_at < self.value_count:
            if self.rows.rows.full():
                return 1
            if self.hive.relax():
                self.hive.cell(self.value_list, &c)
            offset = le32(c.at + 4 * self.value_at)
            where = at_offset(&c) + 4 * self.value_at
            if self.bad_values >= BAD_MOST:
                # No list of values any more, whatever its cell says of its size.
                self.damaged(
                    where, 4 * (self.value_count - self.value_at), b"list of values",
                    b"the rest of it does not lead to values",
                )
                self.value_at = self.value_count
                return 0
            self.value_at += 1
            self.bad_values += 1
            state = self.hive.cell(offset, &v)
            if state > CELL_FREE:
                self.damaged(where, 4, b"value", b"its offset is not that of a cell")
            elif left(&v) < VALUE_LEAST or v.at[0] != 118 or v.at[1] != 107:
                self.damaged(where, 4, b"value", b"its cell does not hold a value")
            elif not self.hive.first_visit(offset):
                self.damaged(where, 4, b"value", b"it was read already: two keys have it")
            else:
                self.bad_values = 0
                self.hive.use(<Py_ssize_t>offset + BASE, self.hive.cell_size(offset), RECORD)
                self.rows.put_value(
                    offset, v.at, left(&v), FROM_SLACK if state == CELL_FREE else 0, True
                )
        return 0

    cdef int push_children(
        self, uint32_t offset, const uint8_t* nk, int32_t depth
    ) except -1 nogil:
        cdef uint32_t count = le32(nk + 20), listed = le32(nk + 28)
        cdef Py_ssize_t begin = self.top, end
        cdef int64_t before = self.account.damaged
        cdef Pending swapped
        if count == 0:
            return 0
        if listed == NOWHERE:
            return self.damaged(
                nk - self.hive.p + 20, 12, b"list of subkeys", b"the key says it has subkeys, and no list"
            )
        # Where a list is broken, that is said already.
        if self.push_list(listed, depth, False) < count and self.account.damaged == before:
            self.damaged(
                nk - self.hive.p + 20, 12, b"list of subkeys", b"it has fewer keys than its key says"
            )
        # The first of them is read first.
        end = self.top - 1
        while begin < end:
            swapped = self.stack[begin]
            self.stack[begin] = self.stack[end]
            self.stack[end] = swapped
            begin += 1
            end -= 1
        return 0

    cdef Py_ssize_t push_list(self, uint32_t offset, int32_t depth, bint inner) except -1 nogil:
        """Pushes the keys of a list; how many. What is wrong with a list is one damage row."""
        cdef Cursor c
        cdef Py_ssize_t count, i, step, inside, found = 0, bad = 0
        cdef uint8_t kind
        cdef int64_t where = <int64_t>offset + BASE
        if self.hive.cell(offset, &c) > CELL_FREE:
            self.damaged(where, 4, b"list of subkeys", b"its offset is not that of a cell")
            return 0
        if left(&c) < 4:
            self.damaged(where, left(&c), b"list of subkeys", b"its cell is too short")
            return 0
        kind = c.at[1]
        if not (c.at[0] == 108 and (kind == 105 or kind == 102 or kind == 104)) and not (
            c.at[0] == 114 and kind == 105 and not inner
        ):
            self.damaged(where, 8, b"list of subkeys", b"its cell does not hold a list")
            return 0
        if not self.hive.first_visit(offset):
            self.damaged(where, 8, b"list of subkeys", b"it was read already: a loop, or two owners")
            return 0
        self.hive.use(<Py_ssize_t>offset + BASE, self.hive.cell_size(offset), STRUCTURE)
        count = le16(c.at + 2)
        step = 4 if c.at[0] == 114 or kind == 105 else 8
        if count > (left(&c) - 4) // step:
            self.damaged(where, left(&c), b"list of subkeys", b"it is longer than its cell")
            count = (left(&c) - 4) // step
        for i in range(count):
            where = at_offset(&c) + 4 + step * i
            if bad >= BAD_MOST:
                self.damaged(
                    where, step * (count - i), b"list of subkeys",
                    b"the rest of it does not lead to keys",
                )
                break
            if self.hive.relax():
                self.hive.cell(offset, &c)
            if c.at[0] == 114:
                inside = self.push_list(le32(c.at + 4 + 4 * i), depth, True)
                self.hive.cell(offset, &c)
                found += inside
                bad = 0 if inside else bad + 1
            elif self.is_key(le32(c.at + 4 + step * i), where):
                self.push(le32(c.at + 4 + step * i), <uint32_t>where, depth, self.state)
                found += 1
                bad = 0
            else:
                bad += 1
        return found

    cdef bint is_key(self, uint32_t offset, int64_t listed) except -1 nogil:
        """Whether a key stands at `offset`; where none does, the list's element is damage."""
        cdef Cursor c
        if self.hive.cell(offset, &c) > CELL_FREE:
            self.damaged(listed, 4, b"key", b"its offset is not that of a cell")
            return False
        if left(&c) < KEY_LEAST or c.at[0] != 110 or c.at[1] != 107:
            self.damaged(listed, 4, b"key", b"its cell does not hold a key")
            return False
        return True
