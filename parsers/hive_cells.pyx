"""A registry hive held in memory (see hive_cells.pxd)."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy

from tracelake.native.account cimport Account
from tracelake.native.cursor cimport Cursor, le16, le32, left, span, take
from tracelake.parsers.held cimport Held

from tracelake.native.errors import Corrupt

TROUBLES = (
    "",
    "its data are outside of the hive",
    "its data belong to another record",
    "its data are shorter than it says",
    "its data are in a cell that is free",
    "a list of its big data cannot be read",
)


cdef enum:
    PAGE = 4096                 # bins begin at pages and are whole pages long
    HBIN = 0x6E696268           # "hbin"


cdef class Hive:
    """The cells of a hive.

    Args:
        data: the file with its logs applied, held.
        file_size: bytes of the file itself.
        account: of the artifact.
        replayed: sorted, merged (begin, end) file offsets of what logs have written.
    """

    def __cinit__(self, Held data not None, Py_ssize_t file_size, Account account not None,
                  replayed=()):
        self.held = data
        self.p = data.p
        self.size = data.size
        self.file_size = file_size
        self.account = account
        self.replayed = tuple(replayed)
        self.granules = self.size // 8 + 1
        self.seen = <uint8_t*>calloc(self.granules // 8 + 1, 1)
        self.used = <uint8_t*>calloc(self.granules // 8 + 1, 1)
        self.slack = <uint8_t*>calloc(self.granules // 8 + 1, 1)
        if self.seen is NULL or self.used is NULL or self.slack is NULL:
            raise MemoryError()
        self.ends = <uint32_t*>calloc(self.size // PAGE + 2, sizeof(uint32_t))
        if self.ends is NULL:
            raise MemoryError()
        self._find_bins()
        self.minor = 5
        if self.size >= 48:
            self.minor = <int>(le32(self.see(24, 4)) & 0x7FFFFFFF)
            self.old_cells = self.minor <= 1

    def __dealloc__(self):
        free(self.seen)
        free(self.used)
        free(self.slack)
        free(self.big)
        free(self.ends)

    cdef int _find_bins(self) noexcept nogil:
        """Where the bins end, since no cell goes beyond: one whose size is broken would take
        everything that follows for its own."""
        cdef Py_ssize_t pages = (self.size + PAGE - 1) // PAGE, page = 1, end, i, size
        cdef const uint8_t* p
        self.ends[0] = 1
        while page < pages:
            self.relax()
            p = self.see(page * PAGE, 32)
            end = page + 1
            size = 0
            if self.size - page * PAGE >= 32 and le32(p) == HBIN and (
                le32(p + 4) == <uint32_t>((page - 1) * PAGE)
            ):
                size = le32(p + 8)
            if size > 0 and size % PAGE == 0:
                end = min(page + size // PAGE, pages)
            else:
                # What lies between bins that can be told is as good as one.
                while end < pages and not (
                    self.size - end * PAGE >= 32 and le32(self.see(end * PAGE, 4)) == HBIN
                ):
                    end += 1
                    self.relax()
            for i in range(page, end):
                self.ends[i] = <uint32_t>end
            page = end
        return 0

    cdef Py_ssize_t cell_size(self, uint32_t offset) noexcept nogil:
        """Bytes of the cell at `offset`, its size field included, as far as its bin has them; 0
        where there is none."""
        cdef Py_ssize_t at = <Py_ssize_t>offset + BASE
        cdef int64_t size
        if offset == NOWHERE or offset & 7 or at + 8 > self.size:
            return 0
        size = <int32_t>le32(self.see(at, 4))
        if size < 0:
            size = -size
        size = min(size, <int64_t>self.ends[at // PAGE] * PAGE - at)
        return size if size >= 8 else 0

    cdef int cell(self, uint32_t offset, Cursor* out) noexcept nogil:
        """A cursor over the content of the cell at `offset`, cut where its bin or the hive ends."""
        cdef Py_ssize_t at = <Py_ssize_t>offset + BASE, head = 8 if self.old_cells else 4, end
        cdef int64_t size
        if offset == NOWHERE or offset & 7 or at + 8 > self.size:
            return CELL_NOWHERE
        size = <int32_t>le32(self.see(at, 8))
        if -8 < size < 8 or size < -0x7FFFFFFF:
            return CELL_BROKEN
        end = min(<Py_ssize_t>self.ends[at // PAGE] * PAGE, self.size)
        end = min(min(size if size > 0 else -size, end - at), <Py_ssize_t>CELL_MOST)
        out[0] = span(self.see(at, end) + head, end - head, at + head)
        return CELL_GOOD if size < 0 else CELL_FREE

    cdef Py_ssize_t in_file(self, uint32_t offset) noexcept nogil:
        """Bytes of the cell at `offset` that the file itself has; 0 where a log put it behind
        the file's end."""
        cdef Py_ssize_t size = self.cell_size(offset)
        # What was found in a free cell may have no size of its own any more.
        return max(min(size if size else 8, self.file_size - <Py_ssize_t>offset - BASE), 0)

    cdef bint first_visit(self, uint32_t offset) noexcept nogil:
        """Whether the cell at `offset` has not been read; from now on it has."""
        cdef Py_ssize_t granule = (<Py_ssize_t>offset + BASE) >> 3
        cdef uint8_t bit = <uint8_t>(1 << (granule & 7))
        if granule >= self.granules or self.seen[granule >> 3] & bit:
            return False
        self.seen[granule >> 3] = self.seen[granule >> 3] | bit
        return True

    cdef bint was_seen(self, uint32_t offset) noexcept nogil:
        cdef Py_ssize_t granule = (<Py_ssize_t>offset + BASE) >> 3
        return granule >= self.granules or (self.seen[granule >> 3] >> (granule & 7)) & 1

    cdef bint was_used(self, Py_ssize_t offset) noexcept nogil:
        """Whether the 8 bytes at file offset `offset` belong to what was read."""
        cdef Py_ssize_t granule = offset >> 3
        return granule >= self.granules or (self.used[granule >> 3] >> (granule & 7)) & 1

    cdef int64_t use(self, Py_ssize_t offset, Py_ssize_t length, int kind) noexcept nogil:
        """Marks the bytes at file offset `offset` as read, and counts those that neither were
        before nor are slack; how many."""
        cdef Py_ssize_t granule = offset >> 3, end = min((offset + length + 7) >> 3, self.granules)
        cdef Py_ssize_t whole = self.file_size >> 3
        cdef int64_t fresh = 0
        cdef uint8_t bit
        while granule < end:
            bit = <uint8_t>(1 << (granule & 7))
            if not self.used[granule >> 3] & bit:
                self.used[granule >> 3] = self.used[granule >> 3] | bit
                if granule < whole and not self.slack[granule >> 3] & bit:
                    fresh += 8
                    if kind == LOST:
                        self.slack[granule >> 3] = self.slack[granule >> 3] | bit
            granule += 1
        if kind == RECORD:
            self.account.bytes_records += fresh
        elif kind == STRUCTURE:
            self.account.bytes_structure += fresh
        else:
            self.account.bytes_slack += fresh
        return fresh

    cdef int count_slack(self, Py_ssize_t offset, Py_ssize_t length) noexcept nogil:
        """Counts the bytes at file offset `offset` that nothing has as slack."""
        cdef Py_ssize_t granule = offset >> 3, end = min((offset + length + 7) >> 3, self.granules)
        cdef uint8_t bit
        while granule < end:
            bit = <uint8_t>(1 << (granule & 7))
            if not (self.used[granule >> 3] | self.slack[granule >> 3]) & bit:
                self.slack[granule >> 3] = self.slack[granule >> 3] | bit
                self.account.bytes_slack += max(min(8, self.file_size - (granule << 3)), 0)
            granule += 1
        return 0

    cdef int value_data(self, const uint8_t* vk, bint mark, Data* out) except -1 nogil:
        """The data of the value at `vk` (VALUE_LEAST bytes are there). What there is of them is
        given, `out.trouble` says what is wrong; with `mark` their cells count as read, and
        cells that another record has are refused."""
        cdef uint32_t raw = le32(vk + 4), offset = le32(vk + 8)
        cdef Py_ssize_t wanted = raw & 0x7FFFFFFF
        cdef Cursor c
        cdef int state
        out.at = vk + 8
        out.length = 0
        out.wanted = wanted
        out.cell = NOWHERE
        out.trouble = 0
        if raw & 0x80000000U:
            out.length = min(wanted, 4)
            out.trouble = 3 if wanted > 4 else 0
            return 0
        if wanted == 0:
            return 0
        out.cell = offset
        state = self.cell(offset, &c)
        if state != CELL_GOOD and state != CELL_FREE:
            out.trouble = 1
            return 0
        if mark:
            if not self.first_visit(offset):
                out.trouble = 2
                return 0
            self.use(<Py_ssize_t>offset + BASE, self.cell_size(offset), RECORD)
        if wanted > SEGMENT and self.minor > 3 and left(&c) >= 8 and c.at[0] == 100 and (
            c.at[1] == 98
        ):
            return self._big_data(&c, wanted, mark, out)
        out.at = c.at
        out.length = min(wanted, left(&c))
        if out.length < wanted:
            out.trouble = 3
        elif state == CELL_FREE:
            out.trouble = 4
        return 0

    cdef Py_ssize_t unused_run(self, Py_ssize_t offset, Py_ssize_t most) noexcept nogil:
        """How many of the `most` bytes from file offset `offset` on no record has."""
        cdef Py_ssize_t at = offset, end = min(offset + most, self.size)
        while at < end and not self.was_used(at):
            at += 8
        return max(min(at, end) - offset, 0)

    cdef int lost_data(self, const uint8_t* vk, Data* out) except -1 nogil:
        """As `value_data`, for a value that no key has any more: of its data, what no record has.
        They count as read, so that no byte is shown as the data of two such values."""
        cdef Py_ssize_t at
        self.value_data(vk, False, out)
        if out.cell == NOWHERE or out.length == 0:
            return 0
        at = <Py_ssize_t>out.cell + BASE
        if self.was_used(at):
            out.length = 0
            out.trouble = 2
            return 0
        if out.at == self.big:
            # Segments lie anywhere; only the record that lists them is checked.
            self.use(at, 8, LOST)
            return 0
        out.length = min(out.length, self.unused_run(at, out.length + 8) - (out.at - self.p - at))
        if out.length < 0:
            out.length = 0
        if out.length < out.wanted:
            out.trouble = 3
        self.use(at, (out.at - self.p - at) + out.length, LOST)
        return 0

    cdef int _big_data(self, Cursor* c, Py_ssize_t wanted, bint mark, Data* out) except -1 nogil:
        """Data in segments: a list of cells of SEGMENT bytes each."""
        cdef const uint8_t* p = take(c, 8, b"big data")
        cdef Py_ssize_t count = le16(p + 2), i, n, have = 0
        cdef uint32_t listed = le32(p + 4), offset
        cdef Cursor offsets, piece
        cdef uint8_t* grown
        if self.cell(listed, &offsets) > CELL_FREE or (mark and not self.first_visit(listed)):
            out.trouble = 5
            return 0
        if mark:
            self.use(<Py_ssize_t>listed + BASE, self.cell_size(listed), STRUCTURE)
        # Never more than the segments can hold, whatever size the value gives.
        n = min(wanted, min(count, left(&offsets) // 4) * <Py_ssize_t>SEGMENT)
        n = min(min(n, self.size), <Py_ssize_t>BIG_MOST)
        if n > self.big_room:
            grown = <uint8_t*>realloc(self.big, n)
            if grown is NULL:
                with gil:
                    raise MemoryError(f"{n} bytes of big data")
            self.big = grown
            self.big_room = n
        for i in range(count):
            if have >= n or left(&offsets) < 4:
                break
            offset = le32(take(&offsets, 4, b"big data"))
            if self.cell(offset, &piece) > CELL_FREE or (mark and not self.first_visit(offset)):
                out.trouble = 5
                break
            if mark:
                self.use(<Py_ssize_t>offset + BASE, self.cell_size(offset), RECORD)
            wanted = min(min(left(&piece), <Py_ssize_t>SEGMENT), n - have)
            memcpy(self.big + have, piece.at, wanted)
            have += wanted
        out.at = self.big
        out.length = have
        if have < out.wanted and out.trouble == 0:
            out.trouble = 3
        return 0

    def is_replayed(self, Py_ssize_t offset):
        """Whether a log has written the byte at file offset `offset`."""
        from bisect import bisect_right

        at = bisect_right(self.replayed, (offset, self.size + 1)) - 1
        return at >= 0 and self.replayed[at][0] <= offset < self.replayed[at][1]
