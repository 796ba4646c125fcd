"""Windows event logs (.evtx): every record to one row, one duplicate or one damage row.

Specification: "Windows XML Event Log (EVTX) format" (libyal, libevtx); [MS-EVEN6] for the
binary XML inside of records. To be read in this order:

- `evtx_walk.pyx`: the file's chunks and records, whatever state it was left in.
- `evtx_copies.pyx`: which of them are copies.
- `evtx_templates.pyx`, `evtx_compile.pyx`, `evtx_event.pyx`: a record's binary XML.
- `evtx_rows.pyx`: its row; `evtx_memo.pxd`, `evtx_frame.pxd`: what is done again as it was done
  for the record before.

**Damage.** What cannot be decoded is a damage row, and reading goes on at the next record.

**Duplicates.** A chunk that was written twice gives byte-identical records. Those are counted and
not repeated; equal numbers alone say nothing, as numbers begin again when a log is cleared.

**Speed.** Two things cost: what is done per record beside copying its values, and anything done
per chunk that grows with the number of templates. See evtx_templates.pyx for how templates are
found again without being read; the GIL is taken once per chunk. Counted with callgrind on the
sample logs: of some 10,000 instructions a record, a quarter go to the three values that are not
what they were in the record before of its kind (decoded, transformed, looked up in dictionaries),
400 to the hash that tells copies, 500 to the end of the row.
"""

from array import array

from libc.stdint cimport int64_t, uint8_t, uint64_t

from tracelake.native.cursor cimport le64
from tracelake.native.errors import EvidenceError
from tracelake.normalize.mapping import load
from tracelake.parsers.artifact import NO_ROWS_YET, Match, Parser, Parts, Rank
from tracelake.parsers.evtx_carve import CARVER
from tracelake.parsers.evtx_copies cimport Copies
from tracelake.parsers.evtx_facts import LogFacts, file_row
from tracelake.parsers.evtx_parts import LEAST, borders, settle
from tracelake.parsers.evtx_rows cimport MAX_NAMES, EventRows
from tracelake.parsers.evtx_walk cimport FILE_HEADER, Walk
from tracelake.parsers.evtx_xml import record_xml

VERSION = "1"

cdef enum:
    TELL_CHUNKS = 16            # after which a reading without rows says that it goes on


cdef class _Log:
    """One event log being read."""
    cdef Walk walk
    cdef Copies copies
    cdef EventRows rows
    cdef int64_t first_row
    cdef object part                # parsers.artifact.Part, or None where it is the whole log
    cdef object feed
    cdef bint begun
    cdef bint stands
    cdef list ranges                # of a part: offset, first key and lowest, highest number

    def __cinit__(self, artifact, mappings, part=None):
        self.walk = Walk(artifact.feed, artifact.account)
        self.copies = Copies(part.seed, part.leave_out) if part is not None else Copies()
        self.rows = EventRows(mappings)
        self.first_row = -1
        self.part = part
        self.feed = artifact.feed
        self.stands = artifact.stands
        self.ranges = []

    def read(self):
        """Yields the rows as (table, RecordBatch), those of `evtx_file` left out."""
        cdef int quiet = 0
        stopped = None
        try:
            while self.next_range():
                if self.feed.position == 0:
                    self.begin()
                while self.next_chunk():
                    while self.read_chunk():
                        yield from self.take()
                    self.close_chunk()
                    quiet += 1
                    if quiet == TELL_CHUNKS:
                        quiet = 0
                        yield NO_ROWS_YET
                    if self.rows.names > MAX_NAMES:
                        yield from self.forget()
        except EvidenceError as error:
            stopped = error
        except BaseException:
            self.rows.drop()
            raise
        yield from self.rows.stand() if self.stands else self.take(True)
        self.rows.keep()
        if stopped is not None:
            raise stopped

    def next_range(self):
        """Goes on to the next range; of a whole log there is one."""
        copies = self.copies
        if self.part is None:
            begun, self.begun = self.begun, True
            return not begun
        if self.ranges:
            self.ranges[-1] += (copies.range_at, copies.lowest, copies.highest)
        if not self.part.more():
            return False
        copies.begin_range()
        self.ranges.append((self.feed.position,))
        return True

    def begin(self):
        """Reads the file header."""
        self.walk.begin()

    def next_chunk(self):
        """Takes the next chunk into the window; False at the end of the file."""
        if not self.walk.next_chunk():
            return False
        self.rows.event.begin_chunk(self.walk.chunk, self.walk.length, self.walk.origin)
        return True

    def close_chunk(self):
        """Accounts for what follows the chunk's records, and moves on."""
        self.walk.close_chunk()

    cdef int read_records(self, Walk walk, EventRows rows) except -1 nogil:
        """Reads records until the chunk ends (0) or a batch is full (1). A record that cannot
        be decoded raises; called again, it goes on with the next one."""
        cdef const uint8_t* p
        cdef uint64_t key, number
        cdef int full
        while walk.next_record():
            p = walk.chunk + walk.record
            key = self.copies.key(p, walk.size)
            number = le64(p + 8)
            if (
                rows.has_ids and number <= rows.highest_id or self.copies.knows_others
            ) and self.copies.has(key):
                walk.account.duplicates += 1
                continue
            full = rows.read(walk)
            self.copies.add(key, number)
            walk.account.in_rows += 1
            if self.first_row < 0:
                self.first_row = walk.origin + walk.record
            if full:
                return 1
        return 0

    def read_chunk(self):
        """Reads on in the chunk; True when batches are full, False at its end."""
        cdef int full
        cdef Walk walk = self.walk
        while True:
            try:
                with nogil:
                    full = self.read_records(walk, self.rows)
                return bool(full)
            except EvidenceError as error:
                self.rows.give_up()
                walk.account.damage(
                    walk.origin + walk.record, walk.size,
                    error.what.encode("utf-8", "replace"),
                    f"{error.why} (at {error.offset})".encode("utf-8", "replace"), NULL, 0,
                )

    def take(self, everything=False):
        """Batches that are full, or all."""
        return self.rows.take(everything)

    def forget(self):
        """Yields all batches and forgets all names, where there are too many."""
        yield from self.rows.forget()

    def facts(self):
        """What is known of the whole: an `evtx_facts.LogFacts`."""
        rows = self.rows
        return LogFacts(
            self.first_row, rows.count, self.walk.chunks, self.walk.chunks_bad,
            (rows.first_id, rows.highest_id) if rows.has_ids else None,
            (rows.first_time, rows.last_time) if rows.has_times else None,
            rows.host, rows.channel, self.walk.header, self.walk.header_ok,
            [(start, low, high) for start, _, low, high in self.ranges if low <= high],
        )

    @property
    def alone(self):
        """Whether what was read before this part could have changed its rows."""
        return self.rows.event.plans.asks_before()

    def shared(self, others):
        """The keys of the records in ranges that have numbers in common with ranges of others,
        as `evtx_parts.settle` takes them."""
        ends = [first for _, first, _, _ in self.ranges[1:]] + [self.copies.count]
        spans = [span for facts in others for span in facts.spans]
        said = []
        for (start, first, low, high), end in zip(self.ranges, ends):
            if any(low <= highest and lowest <= high for _, lowest, highest in spans):
                said += [array("Q", (start, end - first)).tobytes(), self.copies.added(first, end)]
        return b"".join(said)


def match(head, path):
    """How sure it is that an artifact is an event log, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: its path inside its source.
    """
    if head[:8] == b"ElfFile\0" or head[:8] == b"ElfChnk\0":
        return Match.CONTENT, ""
    if head[FILE_HEADER:FILE_HEADER + 8] == b"ElfChnk\0":
        return Match.CONTENT, ""
    if path.lower().endswith(".evtx"):
        return Match.NAME, "no ElfFile or ElfChnk signature"
    return Match.NO, "no ElfFile or ElfChnk signature"


def read(artifact, mappings=None):
    """Yields the log's rows as (table, RecordBatch); at the end its row of `evtx_file`.

    Args:
        artifact: parsers.artifact.Artifact; its account is kept.
        mappings: normalize.mapping.Mappings; the shipped ones where it is None.

    Raises:
        EvidenceError: the bytes could not be read on (a broken archive or disk); all rows
            before that were yielded.
    """
    log = _Log(artifact, mappings or load())
    stopped = None
    try:
        yield from log.read()
    except EvidenceError as error:
        stopped = error
    yield from file_row([log.facts()], artifact.stands)
    if stopped is not None:
        raise stopped


def read_part(artifact, part, mappings=None):
    """Begins to read a part of a log: a `parsers.artifact.Reading`."""
    return _Log(artifact, mappings or load(), part)


PARSER = Parser(
    "evtx", VERSION, match, (*load().tables, "evtx_file"), read, record_xml,
    Parts(LEAST, borders, read_part, settle, file_row), CARVER,
    files=("*.evtx",),
    rank=Rank.EVENT_LOGS,
)
