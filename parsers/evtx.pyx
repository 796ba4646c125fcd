"""Windows event logs (.evtx): every record to one row, one duplicate or one damage row.

Specification: "Windows XML Event Log (EVTX) format" (libyal, libevtx); [MS-EVEN6] for the
binary XML inside of records. To be read in this order:

- `evtx_walk.pyx`: the file's chunks and records, whatever state it was left in.
- `evtx_copies.pyx`: which of them are copies.
- `evtx_templates.pyx`, `evtx_compile.pyx`, `evtx_event.pyx`: a record's binary XML.
- `evtx_rows.pyx`: its row.

**Damage.** What cannot be decoded is a damage row, and reading goes on at the next record.

**Duplicates.** A chunk that was written twice gives byte-identical records. Those are counted and
not repeated; equal numbers alone say nothing, as numbers begin again when a log is cleared.

**Speed.** Two things cost: what is done per record beside copying its values, and anything done
per chunk that grows with the number of templates. See evtx_templates.pyx for how templates are
found again without being read; the GIL is taken once per chunk.
"""

import pyarrow as pa

from libc.stdint cimport int64_t, uint8_t, uint64_t

from tracelake.native.columns cimport BoolColumn, DictColumn, IntColumn, Rows
from tracelake.native.cursor cimport le16, le32, le64, span
from tracelake.native.errors import EvidenceError
from tracelake.normalize import TABLES
from tracelake.normalize.mapping import load
from tracelake.parsers.artifact import NO_ROWS_YET, Match, Parser
from tracelake.parsers.evtx_copies cimport Copies
from tracelake.parsers.evtx_rows cimport EventRows
from tracelake.parsers.evtx_walk cimport FILE_HEADER, RECORD_HEADER, RECORD_LEAST, Walk
from tracelake.parsers.evtx_xml import record_xml

VERSION = "1"


cdef class _Log:
    """One event log being read."""
    cdef Walk walk
    cdef Copies copies
    cdef EventRows rows

    def __cinit__(self, feed, account, mappings):
        self.walk = Walk(feed, account)
        self.copies = Copies()
        self.rows = EventRows(mappings)

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
        cdef uint64_t key
        cdef int full
        while walk.next_record():
            p = walk.chunk + walk.record
            key = self.copies.key(p, walk.size)
            if rows.has_ids and le64(p + 8) <= rows.highest_id and self.copies.has(key):
                walk.account.duplicates += 1
                continue
            rows.event.decode(span(
                p + RECORD_HEADER, walk.size - RECORD_LEAST,
                walk.origin + walk.record + RECORD_HEADER,
            ))
            full = rows.put(walk)
            self.copies.add(key)
            walk.account.in_rows += 1
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
        """The log's row of `evtx_file`."""
        cdef Rows rows = Rows("evtx_file", TABLES["evtx_file"].schema)
        cdef bytes raw
        cdef const uint8_t* p
        (<IntColumn>rows.column("records_parsed")).put(0, self.rows.count)
        (<IntColumn>rows.column("chunks")).put(0, self.walk.chunks)
        (<IntColumn>rows.column("chunks_bad")).put(0, self.walk.chunks_bad)
        (<BoolColumn>rows.column("header_ok")).put(0, self.walk.header_ok)
        if self.walk.header is not None:
            raw = self.walk.header
            p = <const uint8_t*><const char*>raw
            (<IntColumn>rows.column("chunks_header")).put(0, le16(p + 42))
            (<BoolColumn>rows.column("is_dirty")).put(0, le32(p + 120) & 1)
            (<BoolColumn>rows.column("is_full")).put(0, le32(p + 120) & 2)
            self.put_id(rows, "next_record_id", le64(p + 24))
        if self.rows.has_ids:
            self.put_id(rows, "first_record_id", self.rows.first_id)
            self.put_id(rows, "last_record_id", self.rows.highest_id)
        if self.rows.has_times:
            (<IntColumn>rows.column("first_time")).put(0, self.rows.first_time)
            (<IntColumn>rows.column("last_time")).put(0, self.rows.last_time)
        for name, text in (("device_hostname", self.rows.host), ("log_name", self.rows.channel)):
            if text is not None:
                raw = text.encode()
                (<DictColumn>rows.column(name)).put(
                    0, <const uint8_t*><const char*>raw, len(raw)
                )
        rows.done()
        return rows.finish()

    cdef int put_id(self, Rows rows, str name, uint64_t value) except -1:
        if value <= <uint64_t>0x7FFFFFFFFFFFFFFF:
            (<IntColumn>rows.column(name)).put(0, <int64_t>value)
        return 0


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
    log = _Log(artifact.feed, artifact.account, mappings or load())
    stopped = None
    try:
        log.begin()
        while log.next_chunk():
            while log.read_chunk():
                yield from log.take()
            log.close_chunk()
            yield NO_ROWS_YET
            yield from log.forget()
    except EvidenceError as error:
        stopped = error
    yield from log.take(True)
    yield "evtx_file", log.facts()
    if stopped is not None:
        raise stopped


PARSER = Parser("evtx", VERSION, match, (*load().tables, "evtx_file"), read, record_xml)
