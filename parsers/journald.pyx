"""Journals of systemd (`*.journal`, `*.journal~`).

Specification: "Journal File Format" (systemd.io/JOURNAL_FILE_FORMAT).

    header        "LPKSHHRH", flags, ids of file, machine and boot, sizes and counts
    object        type (1) flags (1) reserved (6) size (8), at multiples of 8
    data          ... payload `NAME=value`, perhaps compressed (XZ, LZ4, Zstandard)
    entry         number (8) realtime (8) monotonic (8) boot (16) hash (8), then the offsets of its
                  data, of 8 bytes with a hash each, or of 4 in compact files

All objects are walked through in the order of the file, so that entries are found that no array
lists any more, and a loop in a chain leads nowhere. Where an object's head is broken, the next
place at which two follow each other is looked for; what is between is one damage row. An entry
that refers to data which are not there has parse_flags 1 and `fields_lost`.

An entry is a row of `raw_event`, or of the table to which its message belongs as in a system log
(syslog_rules.py). Seals (forward secure sealing) are not verified. Random access asks for the file
in memory: up to 256 MiB, twice what journald writes by default.
"""

import lzma

import zstandard

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memset

from tracelake.native.account cimport Account
from tracelake.native.cursor cimport Cursor, le32, le64, seek, take
from tracelake.native.feed cimport Feed
from tracelake.native.errors import Truncated, Unsupported
from tracelake.parsers.artifact import Match, Parser, Rank
from tracelake.parsers.flags cimport TRUNCATED
from tracelake.parsers.linepatterns cimport Pattern, Patterns
from tracelake.parsers.lz4block import unpack
from tracelake.parsers.textlines cimport digit
from tracelake.parsers.textrows cimport Piece, Record, Slot, TextReader, TextRows
from tracelake.parsers.syslog_rules import RULES

VERSION = "1"

cdef Py_ssize_t MAX_FIELD = 4 << 20
cdef Py_ssize_t MOST = 256 << 20        # bytes of a journal
LONGEST_FIELD = 4 << 20                 # of a field; a longer one is cut
# All entries may refer to the same data, and a few kilobytes be unpacked to gigabytes: so much is
# written in all, as a multiple of the file's size, and so much of one entry.
cdef int64_t RATIO = 32
cdef int64_t PER_ENTRY = 64 << 20
CACHED = 32 << 20                       # of unpacked fields that are kept
cdef int MOST_FIELDS = 4096             # of an entry; systemd's own limit is 1024
cdef int PER_TURN = 4096

cdef enum:
    XZ = 1
    LZ4 = 2
    ZSTD = 4
    COMPACT = 16            # of the header's incompatible flags
    DATA = 1
    ENTRY = 3
    TAG = 7
    HEADER = 208            # bytes of the shortest
    LONGEST_HEADER = 4096

cdef Py_ssize_t[8] LEAST = [0, 64, 40, 64, 16, 16, 24, 64]
cdef int[8] SEVERITY_ID = [6, 5, 5, 4, 3, 1, 1, 1]

# Fields with a column; those of the others' names are in `unmapped`.
FIELDS = {
    b"MESSAGE": "message", b"_HOSTNAME": "device_hostname", b"_PID": "event_pid",
    b"SYSLOG_IDENTIFIER": "log_provider", b"_SYSTEMD_UNIT": "log_name",
    b"MESSAGE_ID": "event_code", b"_MACHINE_ID": "device_uid", b"_UID": "event_user_uid",
}


def match(head, path):
    """How sure it is that an artifact is a journal, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: its path inside its source (not looked at).
    """
    if head[:8] == b"LPKSHHRH":
        return Match.CONTENT, ""
    return Match.NO, "no journal header (LPKSHHRH)"


cdef bint _is_object(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """Whether an object can begin here."""
    cdef uint64_t size
    if n < 16 or p[0] < DATA or p[0] > TAG or p[1] > 7:
        return False
    if (p[2] | p[3] | p[4] | p[5] | p[6] | p[7]) != 0:
        return False
    if p[1] and p[0] != DATA:
        return False
    size = le64(p + 8)
    return size >= <uint64_t>LEAST[p[0]] and size <= <uint64_t>n


cdef class _Reader(TextReader):
    cdef TextRows raw
    cdef Patterns patterns
    cdef dict slots             # TextRows -> {field: Slot}
    cdef dict unpacked
    cdef Py_ssize_t unpacked_bytes
    cdef const uint8_t* data
    cdef Py_ssize_t size
    cdef Py_ssize_t at
    cdef bint compact
    cdef object zstd
    cdef int64_t budget         # bytes of text that may still be written
    cdef int64_t of_entry

    def __cinit__(self, artifact):
        self.feed = artifact.feed
        self.account = artifact.account
        self.tables = {}
        self.raw = self.tables["raw_event"] = TextRows("raw_event")
        self.patterns = Patterns(RULES, self.tables)
        self.slots = {
            rows: {name: rows.slot(column) for name, column in FIELDS.items()}
            for rows in self.tables.values()
        }
        self.unpacked = {}
        self.zstd = zstandard.ZstdDecompressor()

    cdef int begin(self) except -1:
        """Reads the header."""
        cdef Cursor c
        cdef const uint8_t* p
        cdef uint64_t size
        self.size = self.feed.fill(MOST)
        if self.size > MOST or (self.size == MOST and self.feed.fill(MOST) == MOST):
            raise Unsupported(
                "journal", 0, f"{MOST >> 20} MiB and more are not read: it asks for all of it at once"
            )
        c = self.feed.cursor(self.size)
        self.data = c.start
        self.budget = PER_ENTRY + RATIO * self.size
        p = take(&c, HEADER, b"journal header")
        if memcmp(p, b"LPKSHHRH", 8) != 0:
            raise Truncated("journal header", 0, "no signature")
        self.compact = (le32(p + 12) & COMPACT) != 0
        if le32(p + 12) & ~<uint32_t>31:
            raise Unsupported("journal header", 12, "flags of a format that is not known yet")
        size = le64(p + 88)
        if size < HEADER or size > LONGEST_HEADER or size > <uint64_t>self.size or size & 7:
            size = HEADER
        self.at = <Py_ssize_t>size
        self.account.bytes_structure += self.at
        return 0

    cdef int turn(self) except -1:
        """Walks over objects until a batch is full; 0 at the end."""
        cdef int i
        cdef const uint8_t* p
        cdef Py_ssize_t size, end
        cdef TextRows rows
        for i in range(PER_TURN):
            if self.at >= self.size:
                return 0
            p = self.data + self.at
            if not _is_object(p, self.size - self.at):
                self.resume()
                continue
            size = <Py_ssize_t>le64(p + 8)
            end = min(self.size, self.at + ((size + 7) & ~<Py_ssize_t>7))
            if p[0] == ENTRY:
                rows = self.entry(p, self.at, size)
                self.account.records += 1
                self.account.bytes_records += end - self.at
                if rows is None:
                    self.account.damage(
                        self.at, size, b"entry", b"its time or its size is none", NULL, 0
                    )
                else:
                    self.account.in_rows += 1
            else:
                rows = None
                self.account.bytes_structure += end - self.at
            self.at = end
            if rows is not None and rows.rows.full():
                break
        return 1

    cdef int resume(self) except -1:
        """Passes over zeros, or over what is broken, to the next object."""
        cdef Py_ssize_t at = self.at, next_at
        cdef bint zeros = True
        cdef const uint8_t* p
        cdef const char* why = b"no object begins here"
        if _cut_off(self.data + at, self.size - at):
            why = b"the file ends inside of an object"
        while at < self.size:
            p = self.data + at
            if at + 8 <= self.size and le64(p) == 0:
                at += 8
                continue
            if _is_object(p, self.size - at):
                next_at = at + ((<Py_ssize_t>le64(p + 8) + 7) & ~<Py_ssize_t>7)
                if zeros or next_at >= self.size or le64_or_zero(self.data, next_at, self.size) == 0 \
                        or _is_object(self.data + next_at, self.size - next_at):
                    break
            zeros = False
            at += 8
        at = min(at, self.size)
        if zeros:
            self.account.bytes_slack += at - self.at
        else:
            self.account.records += 1
            self.account.bytes_records += at - self.at
            self.account.damage(self.at, at - self.at, b"object", why, NULL, 0)
        self.at = at
        return 0

    cdef bytes payload(self, const uint8_t* p, Py_ssize_t n, int how, bint* cut):
        """What a compressed payload was; None where it is broken."""
        cdef bytes packed = (<const char*>p)[:n]
        found = None
        try:
            if how == XZ:
                found = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=128 << 20).decompress(
                    packed, LONGEST_FIELD
                )
                cut[0] = len(found) >= LONGEST_FIELD
            elif how == LZ4 and n > 8:
                if le64(p) <= <uint64_t>LONGEST_FIELD:
                    found = unpack(packed[8:], <Py_ssize_t>le64(p))
            elif how == ZSTD:
                with self.zstd.stream_reader(packed) as stream:
                    found = stream.read(LONGEST_FIELD)
                cut[0] = len(found) >= LONGEST_FIELD
        except (lzma.LZMAError, zstandard.ZstdError, MemoryError):
            found = None
        return found

    cdef int field(self, uint64_t offset, Piece* piece, list keep, bint* cut) except -1:
        """`NAME=value` of a data object; 0 where there is none."""
        cdef const uint8_t* p
        cdef Py_ssize_t size, head = 72 if self.compact else 64
        cdef bytes held
        cdef bint longer = False
        if offset & 7 or offset < HEADER or offset > <uint64_t>self.size:
            return 0
        p = self.data + offset
        if not _is_object(p, self.size - <Py_ssize_t>offset) or p[0] != DATA:
            return 0
        size = <Py_ssize_t>le64(p + 8)
        if size < head:
            return 0
        if p[1] == 0:
            piece.p = p + head
            piece.n = size - head
            if piece.n > MAX_FIELD:
                piece.n = MAX_FIELD
                cut[0] = True
            self.of_entry -= piece.n
            return self.of_entry >= 0
        if self.of_entry < 0:
            return 0
        held = self.unpacked.get(offset)
        if held is None:
            held = self.payload(p + head, size - head, p[1], &longer)
            if held is None:
                return 0
            if longer:
                cut[0] = True
            if self.unpacked_bytes + len(held) > CACHED:
                self.unpacked = {}
                self.unpacked_bytes = 0
            self.unpacked[offset] = held
            self.unpacked_bytes += len(held)
        keep.append(held)
        piece.p = held
        piece.n = len(held)
        self.of_entry -= piece.n
        return self.of_entry >= 0

    cdef TextRows entry(self, const uint8_t* p, Py_ssize_t at, Py_ssize_t size):
        """Puts an entry's row; None where it is none."""
        cdef TextRows rows
        cdef Pattern pattern = None
        cdef Record record
        cdef Piece piece, message, program, comm, syslog_pid
        cdef uint64_t moment = le64(p + 24), number = le64(p + 16)
        cdef Py_ssize_t width = 4 if self.compact else 16, count = (size - 64) // width, i, lost = 0
        cdef const uint8_t* equals
        cdef bint cut = False, has_pid = False
        cdef int64_t priority = -1
        cdef list keep = []
        cdef list fields = []
        cdef dict slots
        cdef Slot slot
        cdef bytes name
        cdef bint damaged = (size - 64) % width != 0
        if moment == 0 or moment > 253402300799000000 or count > MOST_FIELDS or damaged:
            return None
        memset(&record, 0, sizeof(Record))
        memset(&message, 0, sizeof(Piece))
        program = comm = syslog_pid = message
        record.offset = at
        record.length = size
        # Number, times, boot and the hash of all fields: the same in every copy of the journal.
        record.p = p + 16
        record.n = 48
        record.timed = True
        record.time = <int64_t>moment
        # First what decides which table it is. Both times count.
        self.of_entry = min(2 * PER_ENTRY, self.budget)
        self.budget -= self.of_entry
        for i in range(count):
            if self.field(
                le32(p + 64 + i * 4) if self.compact else le64(p + 64 + i * 16), &piece, keep, &cut
            ) == 0:
                lost += 1
                continue
            if piece.n > 8 and memcmp(piece.p, b"MESSAGE=", 8) == 0:
                message.p = piece.p + 8
                message.n = piece.n - 8
            elif piece.n > 18 and memcmp(piece.p, b"SYSLOG_IDENTIFIER=", 18) == 0:
                program.p = piece.p + 18
                program.n = piece.n - 18
            elif piece.n > 6 and memcmp(piece.p, b"_COMM=", 6) == 0:
                comm.p = piece.p + 6
                comm.n = piece.n - 6
            elif piece.n > 11 and memcmp(piece.p, b"SYSLOG_PID=", 11) == 0:
                syslog_pid.p = piece.p + 11
                syslog_pid.n = piece.n - 11
            elif piece.n > 5 and memcmp(piece.p, b"_PID=", 5) == 0:
                has_pid = True
            elif piece.n == 10 and memcmp(piece.p, b"PRIORITY=", 9) == 0 and digit(piece.p[9]):
                priority = piece.p[9] - 48
        if message.n and (program.n or comm.n):
            if program.n:
                pattern = self.patterns.find(program.p, program.n, message.p, message.n)
            else:
                pattern = self.patterns.find(comm.p, comm.n, message.p, message.n)
        if pattern is None:
            rows = self.raw
        else:
            rows = pattern.rows
            pattern.fill()
        slots = <dict>self.slots[rows]
        seen = set()
        for i in range(count):
            if self.field(
                le32(p + 64 + i * 4) if self.compact else le64(p + 64 + i * 16), &piece, keep, &cut
            ) == 0:
                continue
            equals = <const uint8_t*>memchr(piece.p, 61, piece.n)
            if equals is NULL:
                lost += 1
                continue
            name = (<const char*>piece.p)[:equals - piece.p]
            slot = slots.get(name)
            piece.n -= equals + 1 - piece.p
            piece.p = equals + 1
            # A field may come several times: the first has the column.
            if slot is not None and name not in seen:
                seen.add(name)
                if piece.n:
                    rows.put(slot, piece.p, piece.n)
            else:
                rows.other(name, len(name), piece.p, piece.n)
        if not program.n and comm.n:
            rows.put(<Slot>slots[b"SYSLOG_IDENTIFIER"], comm.p, comm.n)
        if not has_pid and syslog_pid.n:
            rows.put(<Slot>slots[b"_PID"], syslog_pid.p, syslog_pid.n)
        if 0 <= priority <= 7:
            rows.set(rows.slot("severity_id"), SEVERITY_ID[priority])
        if number <= 0x7fffffffffffffff:
            rows.set(rows.slot("src_record_id"), <int64_t>number)
        text = b"%d" % le64(p + 32)
        rows.other(b"__MONOTONIC_TIMESTAMP", 21, text, len(text))
        if lost or cut:
            record.flags |= TRUNCATED
            text = b"%d" % lost
            if lost:
                rows.other(b"fields_lost", 11, text, len(text))
        rows.done(&record)
        self.budget += max(self.of_entry, 0)
        return rows


cdef inline uint64_t le64_or_zero(const uint8_t* data, Py_ssize_t at, Py_ssize_t size) noexcept nogil:
    return le64(data + at) if at + 8 <= size else 0


cdef bint _cut_off(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """Whether an object begins here that is longer than what there is."""
    cdef uint64_t size
    if n < 16:
        return n > 0 and p[0] >= DATA and p[0] <= TAG
    size = le64(p + 8)
    return p[0] >= DATA and p[0] <= TAG and (
        p[2] | p[3] | p[4] | p[5] | p[6] | p[7]
    ) == 0 and size > <uint64_t>n and size < (1ULL << 32)


def read(artifact):
    """Yields a row for each entry, in the order of the file.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; the rows before that were yielded.
    """
    cdef _Reader reader = _Reader(artifact)
    yield from reader.batches()


PARSER = Parser(
    "journald",
    VERSION,
    match,
    ("raw_event", "authentication", "account_change", "process_activity", "job_activity",
     "remote_access_activity"),
    read,
    files=("*/log/journal/*", "*.journal", "*.journal~"),
    rank=Rank.LOGS,
)
