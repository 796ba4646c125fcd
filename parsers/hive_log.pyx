"""Transaction logs of a registry hive: what Windows had not yet written into the hive itself.

Specification: "Windows registry file format specification", Format of transaction log files.

Two formats. The old one (to Windows 8): one bitmap of dirty sectors, then the sectors. The new
one (since 8.1): entries in order, each with its pages and two Marvin32 hashes; two files take
turns. A log is applied only where the hive is dirty, and only what follows what the hive has.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from tracelake.native.cursor cimport Cursor, le32, le64, left, span, take

BASE = 4096
SECTOR = 512


cdef inline uint32_t _rotl(uint32_t x, int n) noexcept nogil:
    return (x << n) | (x >> (32 - n))


cdef inline void _mix(uint32_t* lo, uint32_t* hi) noexcept nogil:
    hi[0] ^= lo[0]
    lo[0] = _rotl(lo[0], 20) + hi[0]
    hi[0] = _rotl(hi[0], 9) ^ lo[0]
    lo[0] = _rotl(lo[0], 27) + hi[0]
    hi[0] = _rotl(hi[0], 19)


cdef uint64_t _marvin32(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """Marvin32 with the seed that hive logs use."""
    cdef uint32_t lo = 0x7A4E55C5, hi = 0x82EF4D88, last = 0x80
    cdef Py_ssize_t i
    while n >= 4:
        lo += le32(p)
        _mix(&lo, &hi)
        p += 4
        n -= 4
    for i in range(n):
        last = (last & ~(<uint32_t>0xFF << (8 * i))) | (<uint32_t>p[i] << (8 * i))
        last |= <uint32_t>0x80 << (8 * (i + 1))
    lo += last
    _mix(&lo, &hi)
    _mix(&lo, &hi)
    return (<uint64_t>hi << 32) | lo


def marvin32(const uint8_t[::1] data not None):
    """Marvin32 of `data` with the seed of hive logs."""
    return _marvin32(&data[0] if data.shape[0] else NULL, data.shape[0])


def checksum(const uint8_t[::1] data not None):
    """XOR of the first 508 bytes of a base block, as its field at 508 holds it."""
    cdef uint32_t x = 0
    cdef int i
    if data.shape[0] < SECTOR:
        return 0
    for i in range(127):
        x ^= le32(&data[0] + 4 * i)
    return 1 if x == 0 else 0xFFFFFFFE if x == 0xFFFFFFFF else x


cdef class Header:
    """A base block.

    Attributes:
        good: its signature and checksum are right.
        first, second: its sequence numbers; they differ while a write is under way.
        written: FILETIME of the last write.
        kind: 0 the hive, 1 and 2 old logs, 6 new logs.
        bins: bytes of hive bins.
        cluster: 512-byte sectors of a disk sector.
    """
    cdef readonly bint good
    cdef readonly uint32_t first, second, kind, bins, cluster
    cdef readonly uint64_t written

    def __cinit__(self, data):
        cdef const uint8_t[::1] view
        cdef const uint8_t* p
        if len(data) < SECTOR:
            return
        first = data[:SECTOR]
        view = first
        p = &view[0]
        self.good = p[:4] == b"regf" and checksum(view) == le32(p + 508)
        self.first = le32(p + 4)
        self.second = le32(p + 8)
        self.written = le64(p + 12)
        self.kind = le32(p + 28)
        self.bins = le32(p + 40)
        self.cluster = le32(p + 44)

    @property
    def dirty(self):
        """Whether a log may have more than the hive."""
        return not self.good or self.first != self.second


class Replay:
    """What became of a hive's logs.

    Attributes:
        dirty: the hive was left in the middle of a write.
        entries: log entries applied (an old log is one).
        pages: pages written; written: (begin, end) file offsets of them, not merged.
        notes: in words, one each: what was applied, what was wrong.
    """

    def __init__(self):
        self.dirty = False
        self.entries = 0
        self.pages = 0
        self.written = []
        self.notes = []

    def merged(self):
        """`written`, sorted and merged."""
        out = []
        for begin, end in sorted(self.written):
            if out and begin <= out[-1][1]:
                out[-1] = (out[-1][0], max(end, out[-1][1]))
            else:
                out.append((begin, end))
        return out


def replay(data, logs, most):
    """Applies logs to a dirty hive, as Windows does when it loads it.

    Args:
        data: bytearray of the hive, or it held; is changed, and grows where a log has more.
        logs: (name, bytes) of its logs, in the order LOG1, LOG2, LOG.
        most: bytes that the hive may have in the end.
    """
    out = Replay()
    head = Header(data)
    out.dirty = head.dirty
    if not out.dirty:
        return out
    # Whatever a hive grows by is in its logs: a page far behind its end is none of its own.
    most = min(most, len(data) + sum(len(log) for _, log in logs))
    entries = []
    for name, log in logs:
        begin = Header(log)
        if not begin.good:
            out.notes.append(f"{name}: its base block is broken")
        elif begin.kind == 6:
            entries.append((name, begin, log))
        elif begin.kind in (1, 2):
            if out.entries == 0:
                _replay_old(data, head, name, begin, log, most, out)
        else:
            out.notes.append(f"{name}: of unknown type {begin.kind}")
    if entries:
        _replay_new(data, head, entries, most, out)
    if not out.entries and not logs:
        out.notes.append("dirty, and there is no log beside it")
    elif not out.entries:
        out.notes.append("dirty, and no log could be applied")
    return out


def _replay_new(data, head, logs, most, out):
    """Entries of the new format, of both logs in the order of their numbers."""
    found = []
    for name, begin, log in logs:
        run = _entries(log)
        if run:
            found.append((run[0][0], name, begin, log, run))
        else:
            out.notes.append(f"{name}: no entry can be read")
    found.sort(key=lambda item: item[0])
    if found and not head.good:
        _restore_base(data, found[0][3])
        out.notes.append(f"the base block was restored from {found[0][1]}")
    least = head.second if head.good else 0
    expected = None
    for _, name, begin, log, run in found:
        count = 0
        for number, at, size, bins in run:
            if number < least or (expected is not None and number != expected):
                continue
            if _apply(data, log, at, size, most, out):
                count += 1
                expected = number + 1
                _set_header(data, number, bins)
            else:
                out.notes.append(f"{name}: entry {number} has a page outside of the hive")
                break
        out.entries += count
        out.notes.append(f"{name}: {count} of {len(run)} entries applied")


def _entries(const uint8_t[::1] log not None):
    """(number, offset, size, bytes of hive bins) of the entries that follow one another."""
    cdef const uint8_t* p = &log[0]
    cdef Py_ssize_t at = SECTOR, size, n = log.shape[0]
    cdef uint32_t number, last = 0
    out = []
    while at + 40 <= n and p[at:at + 4] == b"HvLE":
        size = le32(p + at + 4)
        number = le32(p + at + 12)
        if size < 40 or size % SECTOR or at + size > n or (out and number != <uint32_t>(last + 1)):
            break
        if _marvin32(p + at, 32) != le64(p + at + 32):
            break
        if _marvin32(p + at + 40, size - 40) != le64(p + at + 24):
            break
        out.append((number, at, size, le32(p + at + 16)))
        last = number
        at += size
    return out


def _apply(data, const uint8_t[::1] log not None, Py_ssize_t at, Py_ssize_t size, most, out):
    """Writes the pages of one entry; False where one of them would lie elsewhere."""
    cdef Cursor c = span(&log[0] + at, size, at), pages
    cdef Py_ssize_t count, i, length, total = 0
    cdef int64_t offset
    cdef const uint8_t* p = take(&c, 40, b"log entry")
    count = le32(p + 20)
    if count > left(&c) // 8:
        return False
    for i in range(count):
        offset = le32(c.at + 8 * i)
        length = le32(c.at + 8 * i + 4)
        total += length
        # Pages are whole sectors; none of no length, of which an entry could name millions.
        if length < SECTOR or length % SECTOR or offset + length + BASE > most or (
            total > left(&c) - 8 * count
        ):
            return False
    pages = span(c.at + 8 * count, left(&c) - 8 * count, 0)
    for i in range(count):
        offset = le32(c.at + 8 * i)
        length = le32(c.at + 8 * i + 4)
        p = take(&pages, length, b"log page")
        _write(data, offset + BASE, p[:length], out)
    return True


def _replay_old(data, head, name, begin, log, most, out):
    """The one set of sectors of the old format."""
    if begin.first != begin.second:
        out.notes.append(f"{name}: was itself left in the middle of a write")
        return
    if head.good and begin.written != head.written:
        out.notes.append(f"{name}: is of another write than the hive")
        return
    sector = SECTOR
    if log[SECTOR:SECTOR + 4] != b"DIRT":
        sector = begin.cluster * SECTOR
        if not SECTOR < sector <= 65536 or log[sector:sector + 4] != b"DIRT":
            out.notes.append(f"{name}: has no list of dirty sectors")
            return
    bits = begin.bins // SECTOR
    bitmap = log[sector + 4:sector + 4 + (bits + 7) // 8]
    at = sector + 4 + (bits + 7) // 8
    at += -at % sector
    pages = 0
    for index, byte in enumerate(bitmap):
        if not byte:
            continue
        for bit in range(8):
            if not byte >> bit & 1:
                continue
            offset = BASE + (index * 8 + bit) * SECTOR
            page = log[at:at + SECTOR]
            if len(page) < SECTOR or offset + SECTOR > most:
                out.notes.append(f"{name}: ends after {pages} of its dirty sectors")
                break
            _write(data, offset, page, out)
            pages += 1
            at += SECTOR
        else:
            continue
        break
    if pages:
        if not head.good:
            _restore_base(data, log)
            out.notes.append(f"the base block was restored from {name}")
        _set_header(data, begin.second, begin.bins)
        out.entries = 1
        out.notes.append(f"{name}: {pages} sectors applied")


def _write(data, Py_ssize_t offset, bytes_, out):
    cdef Py_ssize_t end = offset + len(bytes_)
    if end > len(data):
        data.extend(bytes(end - len(data)))
    data[offset:end] = bytes_
    out.pages += 1
    out.written.append((offset, end))


def _restore_base(data, log):
    """The log's copy of the base block, made that of a hive again."""
    base = bytearray(log[:SECTOR])
    base[28:32] = bytes(4)
    if len(data) < BASE:
        data.extend(bytes(BASE - len(data)))
    data[:SECTOR] = base


def _set_header(data, number, bins):
    data[4:8] = data[8:12] = int(number).to_bytes(4, "little")
    data[40:44] = int(bins).to_bytes(4, "little")
