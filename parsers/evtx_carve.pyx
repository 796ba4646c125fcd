"""Records in the slack of an event log: what `tracelake ingest --carve` adds.

A log's chunks are used again, and a cleared log is a new header over old chunks: behind the last
record of a chunk, between two records of a torn one, and in chunks whose header is gone stand
records that the log does not count as its own any more. `evtx_walk.pyx` says which records are
allocated; here all other bytes of all chunks are looked through.

**What is taken.** A record's signature, its size, and the same size at its end, all before the
next allocated record; a header time between 1980 and 2200, or none (exported logs have records
without); a template that can be found (in this
chunk, or by its id in another one of the log: parse_flags 16); values that fit. Rows have
parse_flags 2.

**The account** is one of its own, beside that of the allocated records: `records` are signatures
with a plausible size and time, `in_rows` those that are in rows, `duplicates` those that are
byte-identical to an allocated record that could be read, or to one carved before, and the others
are counted as "torn" (no size copy at the end), "unreadable" (no template, or not one that fits)
and "implausible time". Allocated records, and headers, count as structure.

The log is read twice. First all that is allocated: its records, so that copies of them are known
wherever they stand, and its templates, since those of old records are often overwritten.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memchr

from tracelake.native.account cimport Account
from tracelake.native.cursor cimport le32, le64, span
from tracelake.native.errors import EvidenceError
from tracelake.normalize.mapping import load
from tracelake.parsers.artifact import NO_ROWS_YET, Match, Parser
from tracelake.parsers.evtx_copies cimport Copies
from tracelake.parsers.evtx_rows cimport EventRows
from tracelake.parsers.evtx_walk cimport CHUNK, CHUNK_HEADER, RECORD_HEADER, RECORD_LEAST, Walk
from tracelake.parsers.evtx_xml import record_xml
from tracelake.parsers.flags cimport FROM_SLACK

VERSION = "1"

cdef uint64_t EARLIEST = 119600064000000000     # 1980-01-01, in FILETIME
cdef uint64_t LATEST = 189025920000000000       # 2200-01-01


cdef enum Fate:
    TORN
    IMPLAUSIBLE
    FATES


cdef class _Carver:
    cdef Walk walk
    cdef Account account
    cdef Copies copies
    cdef EventRows rows
    cdef Py_ssize_t gap             # next byte to be looked at that no allocated record covers
    cdef Py_ssize_t gap_end
    cdef Py_ssize_t covered         # end of the allocated record that was found last
    cdef bint last_gap
    cdef int64_t allocated          # bytes of the chunk that the log's own reading explains
    cdef int64_t carved
    cdef int64_t[FATES] fates
    cdef int64_t unreadable

    def __cinit__(self, Account account, mappings):
        self.account = account
        self.copies = Copies()
        self.rows = EventRows(mappings)

    # --- what is allocated -------------------------------------------------------------------

    def learn(self, feed):
        """Reads the allocated records, chunk by chunk: their hashes and their templates."""
        self.walk = Walk(feed, Account())
        self.walk.begin()
        while self.walk.next_chunk():
            self.begin_chunk()
            while not self.learn_chunk():
                pass
            self.walk.close_chunk()
            yield

    cdef int begin_chunk(self) except -1:
        cdef Walk walk = self.walk
        return self.rows.event.begin_chunk(walk.chunk, walk.length, walk.origin)

    cdef int learn_chunk(self) except -1:
        """1 at the chunk's end, 0 where a record could not be read: there is more."""
        try:
            with nogil:
                self.learn_records(self.walk)
            return 1
        except EvidenceError:
            return 0        # a damage row of the log's own reading; a copy of it may do better

    cdef int learn_records(self, Walk walk) except -1 nogil:
        cdef const uint8_t* p
        while walk.next_record():
            p = walk.chunk + walk.record
            self.rows.event.decode(span(
                p + RECORD_HEADER, walk.size - RECORD_LEAST,
                walk.origin + walk.record + RECORD_HEADER,
            ))
            self.copies.add(self.copies.key(p, walk.size), 0)
        return 0

    # --- what is not -------------------------------------------------------------------------

    def begin(self, feed):
        """Begins the second reading."""
        cdef int64_t header
        self.walk = Walk(feed, Account())
        self.walk.begin()
        header = self.walk.feed.offset()
        if self.walk.header is None:
            self.account.bytes_slack += header
        else:
            self.account.bytes_structure += header

    def next_chunk(self):
        """Takes the next chunk into the window; False at the end of the log."""
        if not self.walk.next_chunk():
            return False
        self.begin_chunk()
        self.allocated = CHUNK_HEADER if self.walk.signed_ else 0
        if self.allocated > self.walk.length:
            self.allocated = self.walk.length
        self.gap = self.allocated
        self.gap_end = self.gap
        self.covered = self.gap
        self.carved = 0
        self.last_gap = False
        return True

    def read_chunk(self):
        """Reads on in the chunk; True when batches are full, False at its end."""
        cdef int full
        while True:
            try:
                with nogil:
                    full = self.read_records(self.walk)
                return bool(full)
            except EvidenceError:
                self.rows.give_up()
                self.unreadable += 1

    cdef int read_records(self, Walk walk) except -1 nogil:
        while True:
            while self.next_frame(walk):
                if self.take(walk):
                    return 1
            if self.last_gap:
                return 0
            self.gap = self.covered
            if walk.next_record():
                self.gap_end = walk.record
                self.covered = walk.record + walk.size
                self.allocated += walk.size
            else:
                self.gap_end = walk.length
                self.last_gap = True

    cdef int next_frame(self, Walk walk) except -1 nogil:
        """Finds the next record in the gap (`walk.record`, `walk.size`): 0 at the gap's end."""
        cdef const uint8_t* p
        cdef const void* found
        cdef Py_ssize_t size
        cdef uint64_t time
        cdef bint whole
        while self.gap + RECORD_LEAST <= self.gap_end:
            p = walk.chunk + self.gap
            found = memchr(p, 0x2A, self.gap_end - self.gap - RECORD_LEAST + 1)
            if found is NULL:
                break
            p = <const uint8_t*>found
            self.gap = p - walk.chunk
            size = le32(p + 4)
            if le32(p) != 0x2A2A or not RECORD_LEAST <= size <= CHUNK:
                self.gap += 1
                continue
            whole = size <= self.gap_end - self.gap and le32(p + size - 4) == <uint32_t>size
            time = le64(p + 16)
            if EARLIEST <= time < LATEST or (whole and time == 0):
                self.account.records += 1
                if whole:
                    walk.record = self.gap
                    walk.size = size
                    walk.record_flags = FROM_SLACK
                    self.gap += size
                    return 1
                self.fates[<int>TORN] += 1
            elif whole:
                self.account.records += 1
                self.fates[<int>IMPLAUSIBLE] += 1
            # Bytes of a frame that is not whole may belong to others.
            self.gap += 4
        self.gap = self.gap_end
        return 0

    cdef int take(self, Walk walk) except -1 nogil:
        """Reads the record found: a row or a copy of one; 1 when a batch is full."""
        cdef const uint8_t* p = walk.chunk + walk.record
        cdef uint64_t key = self.copies.key(p, walk.size)
        cdef int full
        if self.copies.has(key):
            self.account.duplicates += 1
            self.carved += walk.size
            return 0
        full = self.rows.read(walk)
        self.copies.add(key, 0)
        self.account.in_rows += 1
        self.carved += walk.size
        return full

    def close_chunk(self):
        """Accounts for the chunk's bytes, and moves on."""
        self.account.bytes_structure += self.allocated
        self.account.bytes_records += self.carved
        self.account.bytes_slack += self.walk.length - self.allocated - self.carved
        self.walk.close_chunk()

    def close(self):
        """Counts what is in no row."""
        for name, count in (
            ("torn", self.fates[<int>TORN]),
            ("unreadable", self.unreadable),
            ("implausible time", self.fates[<int>IMPLAUSIBLE]),
        ):
            if count:
                self.account.counters[name] = count

    def take_batches(self, everything=False):
        """Batches that are full, or all."""
        return self.rows.take(everything)

    def forget(self):
        """Yields all batches and forgets all names, where there are too many."""
        yield from self.rows.forget()


def match(head, path):
    """Never asked for: what is carved was read as an event log before."""
    return Match.NO, "reads what another parser left"


def read(artifact, mappings=None):
    """Yields the rows of records in slack as (table, RecordBatch).

    Args:
        artifact: parsers.artifact.Artifact with `again`; its account is kept.
        mappings: normalize.mapping.Mappings; the shipped ones where it is None.

    Raises:
        EvidenceError: the bytes could not be read on; all rows before that were yielded.
    """
    carver = _Carver(artifact.account, mappings or load())
    stopped = None
    try:
        for _ in carver.learn(artifact.again):
            yield NO_ROWS_YET
    except EvidenceError:
        pass        # where the bytes end for the second reading, too, which says so
    try:
        carver.begin(artifact.feed)
        while carver.next_chunk():
            while carver.read_chunk():
                yield from carver.take_batches()
            carver.close_chunk()
            yield NO_ROWS_YET
            yield from carver.forget()
    except EvidenceError as error:
        stopped = error
    carver.close()
    yield from carver.take_batches(True)
    if stopped is not None:
        raise stopped


CARVER = Parser("evtx_carve", VERSION, match, load().tables, read, record_xml)
