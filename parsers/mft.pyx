"""The master file table of NTFS ($MFT): every entry to its rows, or counted, or a damage row.

Specification: "NT File System (NTFS) format" (libyal, libfsntfs). To be read in this order:

- `mft_record.pyx`: what a FILE record says.
- `ntfs_folders.pyx`: the folders, and full paths.
- `mft_rows.pyx`: the rows.
- `mft_held.pyx`: records that wait.

**Once through, in bounded memory.** A file's path needs its folders, which stand anywhere in the table.
A record whose folders were all seen becomes rows at once; the others wait, shortened, as do those
with extension records, until the table ends. What is held has a bound: beyond HELD_MOST those whose
folders have come since become rows, and if they are too few, the oldest are given the path that is
known of them (`is_orphan` is null: it was not found out).

**Entries.** One is a row, or several (its hard links). Counted, without rows, are entries that were
never used (`never_used`: no attributes; `zeroed`: not even a signature) and the extension records that are part
of their base entry's row (`extension`). An extension record whose base entry is gone, or is
another file now, is a row of its own (parse_flags 2) if it has a name, else `extension_left`.

**Damage.** Sectors of an entry that are of different writings, and entries that the system itself
marked BAAD: the row has parse_flags 4. Attributes that end where they cannot: parse_flags 1. What
has no header, or nothing of a file behind it, is a damage row.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from tracelake.native.account cimport Account
from tracelake.native.columns cimport Buffer
from tracelake.native.cursor cimport le16, le32, le64
from tracelake.native.errors import EvidenceError
from tracelake.native.feed cimport Feed
from tracelake.native.hash64 cimport hash64
from tracelake.native.text cimport utf16le_utf8
from tracelake.parsers.artifact import NO_ROWS_YET, Match, Parser, Rank
from tracelake.parsers.flags cimport CHECKSUM_BAD, FROM_SLACK
from tracelake.parsers.mft_held cimport Extensions, Held, Item
from tracelake.parsers.mft_record cimport FOLDER, HEADER_LEAST, IN_USE, Record
from tracelake.parsers.mft_rows cimport FileRows, Link, Place
from tracelake.parsers.mft_text import record_text
from tracelake.parsers.ntfs cimport (
    NAME_DOS, NAME_HEADER, NAME_MOST, TORN, WHOLE, Torn, entry_of, sequence_of, unguard, zeros,
)
from tracelake.parsers.ntfs_folders cimport Folders

VERSION = "1"

cdef enum:
    SIZE_LEAST = 512
    SIZE_MOST = 65536
    USUAL = 1024
    # Entries after which the GIL is taken.
    TURN = 16384
    # Names or streams of a file, after which no further extension records are merged into it.
    PARTS_MOST = 4096
    # Bytes of records that may wait.
    HELD_MOST = 176 << 20

cdef enum Why:
    ENDED
    FULL                            # of rows
    CROWDED                         # too many wait
    PAUSE


cdef int _size(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """The size of the entries, from those that the table begins with; 0: there are none."""
    cdef Py_ssize_t at = 0
    cdef uint32_t said
    while at + 48 <= n:
        if _signed(p + at) and at % USUAL == 0:
            said = le32(p + at + 28)
            if SIZE_LEAST <= said <= SIZE_MOST and said & (said - 1) == 0 and at % said == 0:
                return <int>said
        at += SIZE_LEAST
    return 0


cdef bint _signed(const uint8_t* p) noexcept nogil:
    """Whether a header could be a FILE record's; 48 bytes are there."""
    return (
        (memcmp(p, b"FILE", 4) == 0 or memcmp(p, b"BAAD", 4) == 0)
        and HEADER_LEAST <= le16(p + 20) < 512
        and le16(p + 4) >= HEADER_LEAST - 2 and le16(p + 4) < le16(p + 20)
    )


cdef class _Table:
    """A $MFT being read."""
    cdef Feed feed
    cdef Account account
    cdef Folders folders
    cdef FileRows rows
    cdef Record record              # of the entry at hand
    cdef Held held
    cdef Extensions extensions
    cdef Buffer copy                # of the entry at hand, its update sequence undone
    cdef int size                   # of an entry
    cdef int64_t zeroed, never_used, merged, left
    cdef bint closing               # all entries were seen

    def __cinit__(self, artifact):
        self.feed = artifact.feed
        self.account = artifact.account
        self.folders = Folders()
        self.rows = FileRows(self.account, self.folders)
        self.record = self.rows.record
        self.held = Held()
        self.extensions = Extensions()
        self.copy = Buffer()
        self.copy.reserve(SIZE_MOST)

    def read(self):
        """Yields the rows as (table, RecordBatch)."""
        cdef int why
        cdef Py_ssize_t have = self.feed.fill(65536)
        cdef object stopped = None
        self.size = _size(self.feed.at(), have)
        if not self.size:
            self.size = USUAL
        while True:
            try:
                with nogil:
                    why = self.go_on()
            except EvidenceError as error:
                stopped = error
                break
            if why == ENDED:
                break
            if why == FULL:
                yield self.batch()
            elif why == CROWDED:
                yield from self.relieve()
            else:
                yield NO_ROWS_YET
        yield from self.close()
        counters = self.account.counters
        for name, count in (
            ("zeroed", self.zeroed), ("never_used", self.never_used),
            ("extension", self.merged), ("extension_left", self.left),
        ):
            if count:
                counters[name] = count
        if stopped is not None:
            raise stopped

    def batch(self):
        return "file_query", self.rows.rows.finish()

    # --- once through ----------------------------------------------------------------------

    cdef int go_on(self) except -1 nogil:
        cdef int turn
        cdef Py_ssize_t have
        cdef Py_ssize_t size = self.size
        for turn in range(TURN):
            have = self.feed.fill(size)
            if have == 0:
                return ENDED
            self.take(self.feed.at(), size if have >= size else have)
            self.feed.advance(size)
            if self.rows.rows.full():
                return FULL
            if self.held.bytes > HELD_MOST:
                return CROWDED
        return PAUSE

    cdef int take(self, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        """One entry: `n` bytes, fewer than an entry's at the end of a table that was cut."""
        cdef Place place
        cdef uint8_t* copy = self.copy.data
        cdef Torn torn
        cdef Py_ssize_t in_use
        cdef bint baad
        place.offset = self.feed.offset()
        place.entry = place.offset // self.size
        place.length = <int>n
        place.flags = 0
        self.folders.seen = <uint64_t>place.entry + 1
        if n < self.size:
            if zeros(p, n):
                self.account.bytes_slack += n
                return 0
            self.account.records += 1
            return self.account.damage(
                place.offset, n, b"FILE record", b"the file ends inside of it", NULL, 0
            )
        self.account.records += 1
        if le32(p) == 0 and zeros(p, n):
            self.zeroed += 1
            self.account.bytes_slack += n
            return 0
        baad = memcmp(p, b"BAAD", 4) == 0
        if not baad and memcmp(p, b"FILE", 4) != 0:
            return self.account.damage(
                place.offset, n, b"FILE record", b"no FILE signature", NULL, 0
            )
        memcpy(copy, p, n)
        torn = unguard(copy, n, le16(p + 4), le16(p + 6))
        if baad or torn != WHOLE:
            place.flags = CHECKSUM_BAD
        self.record.begin(copy, n)
        if self.record.attributes == 0:
            if not self.record.broken and not self.record.flags & IN_USE:
                self.never_used += 1
                self.account.bytes_slack += n
                return 0
            if self.record.broken:
                return self.account.damage(
                    place.offset, n, b"FILE record", b"no attribute can be read", NULL, 0
                )
        in_use = self.record.end
        self.account.bytes_records += in_use
        self.account.bytes_slack += n - in_use
        place.hash = <int64_t>hash64(p, n, 0)
        if self.record.base and entry_of(self.record.base) != <uint64_t>place.entry:
            if not self.extensions.add(entry_of(self.record.base), &place, copy, n):
                self.alone(&place)
            return 0
        if self.record.flags & FOLDER:
            self.folder(&place)
        if self.record.has_list or self.rows.waits():
            return self.held.add(&place, copy, n)
        self.account.in_rows += 1
        return self.rows.put(&place)

    cdef int folder(self, const Place* place) except -1 nogil:
        """Makes the record at hand known as a folder."""
        cdef uint8_t[NAME_MOST] name
        cdef int best = self.record.best(), repaired = 0
        cdef Link* link
        # Its long name may stand in an extension record.
        if best < 0 or self.record.has_list and self.record.link(best).space == NAME_DOS:
            return self.folders.add(
                place.entry, self.record.sequence, self.record.flags & IN_USE, 0, NULL, -1
            )
        link = self.record.link(best)
        return self.folders.add(
            place.entry, self.record.sequence, self.record.flags & IN_USE, le64(link.p), name,
            utf16le_utf8(link.p + NAME_HEADER, link.units, name, &repaired),
        )

    # --- what waited -----------------------------------------------------------------------

    def relieve(self):
        """Yields rows of those that waited for folders which have come since; where they are too
        few, of the oldest of the others, too."""
        yield from self.go_through(False)
        if self.held.bytes > HELD_MOST // 2:
            yield from self.go_through(True)

    def close(self):
        """Yields what is left: everything has been seen."""
        self.closing = True
        self.extensions.sort()
        self.name_folders()
        self.folders.all_seen = True
        self.rows._has_folder = False
        yield from self.go_through(True)
        yield from self.leave()
        if self.rows.rows.count:
            yield self.batch()

    def go_through(self, bint everything):
        """Yields rows of what waited.

        Args:
            everything: also of what still waits; while the table is being read, of half of it.
        """
        cdef Held held = self.held
        cdef Py_ssize_t at, bound = 0 if self.closing else HELD_MOST // 2
        cdef const uint8_t* data
        cdef Py_ssize_t n
        cdef bint gives
        old = held
        self.held = Held()
        for block in old.take():
            gives = everything and (self.closing or old.bytes + self.held.bytes > bound)
            data = <const uint8_t*><const char*>block
            n = len(block)
            at = 0
            while at < n:
                with nogil:
                    at = self.again(data, n, at, gives)
                if self.rows.rows.full():
                    yield self.batch()
        self.folders.guess = False

    cdef Py_ssize_t again(
        self, const uint8_t* data, Py_ssize_t n, Py_ssize_t at, bint gives
    ) except -1 nogil:
        """Goes on with a block until it ends or the rows are full; where it is then."""
        cdef Item* item
        cdef const uint8_t* p
        self.folders.guess = gives and not self.closing
        while at < n and not self.rows.rows.full():
            item = <Item*>(data + at)
            p = <const uint8_t*>(item + 1)
            at += sizeof(Item) + item.length
            self.record.begin(p, item.length)
            if not gives and (self.record.has_list or self.rows.waits()):
                self.held.add(&item.place, p, item.length)
                continue
            if self.record.has_list and self.closing:
                self.join(&item.place)
            self.account.in_rows += 1
            self.rows.put(&item.place)
        return at

    cdef bint belongs(self, Item* item, uint64_t base) noexcept nogil:
        """Whether an extension record, which names `base` as its base, is part of the record at
        hand."""
        cdef const uint8_t* p = <const uint8_t*>(item + 1)
        cdef int wanted = sequence_of(base)
        if (le16(p + 22) & IN_USE) != (self.record.flags & IN_USE):
            return False
        return self.record.sequence == wanted or (
            not self.record.flags & IN_USE
            and self.record.sequence == (wanted + 1 if wanted < 0xFFFF else 1)
        )

    cdef int join(self, const Place* place) except -1 nogil:
        """Adds the attributes of its extension records to the record at hand."""
        cdef Py_ssize_t i = self.extensions.first(place.entry)
        cdef Item* item
        cdef const uint8_t* p
        while True:
            item = self.extensions.of(i, place.entry)
            if item is NULL or self.record.links > PARTS_MOST or self.record.streams > PARTS_MOST:
                return 0
            p = <const uint8_t*>(item + 1)
            if not self.extensions.is_merged(i) and self.belongs(item, le64(p + 32)):
                self.record.scan(p, item.length)
                self.extensions.merged(i)
                self.merged += 1
            i += 1

    cdef int name_folders(self) except -1 nogil:
        """Gives folders the names that stand in extension records."""
        cdef Py_ssize_t i
        cdef Item* item
        cdef const uint8_t* p
        cdef Link* link
        cdef uint8_t[NAME_MOST] name
        cdef int best, repaired = 0
        for i in range(self.extensions.count):
            item = self.extensions.at(i)
            p = <const uint8_t*>(item + 1)
            self.record.begin(p, item.length)
            best = self.record.best()
            if best < 0 or self.folders.find(self.record.base) is NULL:
                continue
            link = self.record.link(best)
            self.folders.name_it(
                entry_of(self.record.base), le64(link.p), name,
                utf16le_utf8(link.p + NAME_HEADER, link.units, name, &repaired),
            )
        return 0

    def leave(self):
        """Yields rows of the extension records that belong to no entry."""
        cdef Py_ssize_t i
        cdef Item* item
        for i in range(self.extensions.count):
            if self.extensions.is_merged(i):
                continue
            item = self.extensions.at(i)
            self.record.begin(<const uint8_t*>(item + 1), item.length)
            self.alone(&item.place)
            if self.rows.rows.full():
                yield self.batch()

    cdef int alone(self, Place* place) except -1 nogil:
        """The record at hand, an extension record without its base, becomes rows if it has a
        name."""
        if not self.record.links:
            self.left += 1
            return 0
        place.flags |= FROM_SLACK
        self.account.in_rows += 1
        self.folders.guess = not self.closing
        self.rows.put(place)
        self.folders.guess = False
        return 0


def match(head, path):
    """How sure it is that an artifact is a $MFT, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: its path inside its source.
    """
    cdef const uint8_t[::1] view = head
    cdef Py_ssize_t n = len(head)
    if n >= 48 and _signed(&view[0]) and _size(&view[0], n):
        return Match.CONTENT, ""
    named = path.lower().replace("%24", "$").rstrip("_").endswith(("$mft", "_mft", "mft.bin"))
    if n and named and _size(&view[0], n):
        return Match.CONTENT, ""
    if n and named and not any(head):
        return Match.NAME, "no FILE record in its first 64 KiB"
    return Match.NO, "no FILE record at its start"


def read(artifact):
    """Yields the table's rows as (table, RecordBatch).

    Args:
        artifact: parsers.artifact.Artifact; its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on (a broken archive or disk); all rows
            before that were yielded.
    """
    yield from _Table(artifact).read()


PARSER = Parser(
    "mft", VERSION, match, ("file_query",), read, record_text, files=("$mft", "*/$mft"),
    rank=Rank.FILE_SYSTEM,
)
