"""Windows event logs (.evtx): every record to one row, one duplicate or one damage row.

Specification: "Windows XML Event Log (EVTX) format" (libyal, libevtx); [MS-EVEN6] for the
binary XML inside of records (evtx_templates.pyx, evtx_compile.pyx, evtx_event.pyx).

    file = header (4096) chunk*                 chunk = header (512) record* slack   (65,536)
    record = 2a2a0000 size id time content size

**What is a record.** A log is written in place and never closed by a crashed machine, so nothing
that counts is believed: not the header's number of chunks, not the dirty flag. Every 64 KiB that
begin with a chunk's signature are a chunk, also behind the header's last, also when the file ends
inside. A chunk's records stand from 512 to its free-space offset; where the chunk's header fails
its checksum, they go on while their numbers do. A record directly at the free-space offset that
continues number and time is one too (the header is written later than the record). What lies
behind is slack: old records, overwritten in part, counted in bytes only.

**Damage.** A record whose signature, size or size copy is wrong is read within its next
neighbour's bounds and flagged (parse_flags 4), as are all records of a chunk with a bad checksum.
What cannot be decoded is a damage row, and reading goes on at the next record.

**Duplicates.** A chunk that was written twice gives byte-identical records. Those are counted and
not repeated; equal numbers alone say nothing, as numbers begin again when a log is cleared.

**Speed.** Two things cost: what is done per record beside copying its values, and anything done
per chunk that grows with the number of templates. See evtx_templates.pyx for how templates are
found again without being read; the GIL is taken once per chunk.
"""

import os

import pyarrow as pa

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memchr, memcmp

from tracelake.native.account cimport Account
from tracelake.native.columns cimport BoolColumn, DictColumn, IntColumn, Rows
from tracelake.native.crc32 cimport crc32
from tracelake.native.cursor cimport le16, le32, le64, span
from tracelake.native.errors import EvidenceError
from tracelake.native.feed cimport Feed
from tracelake.native.hash64 cimport hash64
from tracelake.normalize import TABLES
from tracelake.normalize.mapping import load
from tracelake.parsers.artifact import NO_ROWS_YET, Match, Parser
from tracelake.parsers.event_plan cimport (
    CHANNEL, COMPUTER, EVENT_ID, PROVIDER, SYSTEM_FIELDS, TIME_CREATED, Target,
)
from tracelake.parsers.event_plan cimport Plan as Kind
from tracelake.parsers.events cimport Events
from tracelake.parsers.evtx_event cimport Event, Pair
from tracelake.parsers.evtx_plan cimport Plan, bound_to
from tracelake.parsers.evtx_templates cimport Plans
from tracelake.parsers.evtx_xml import record_xml
from tracelake.parsers.flags cimport CHECKSUM_BAD, NAME_GUESSED, TIME_REPAIRED
from tracelake.parsers.values cimport (
    FILETIME, INT, NOTHING, UINT, Value, is_text, number_value, parse_number, render, room_for,
    value_time,
)

VERSION = "1"


cdef enum:
    FILE_HEADER = 4096
    CHUNK = 65536
    CHUNK_HEADER = 512
    RECORD_HEADER = 24
    RECORD_LEAST = 28           # header and size copy
    NUMBERS_AHEAD = 4096        # how far a record's number may be ahead of the last one before it
    MAX_NAMES = 200000          # of values remembered; a host's logs have some thousand


cdef class _Copies:
    """Hashes of the records that are in rows.

    With a seed of this process: nobody can write a record that is taken for a copy of another.
    The number is part of a record, so one with a higher number than all before is no copy: as
    long as numbers rise, hashes are only put in a row, and looked up when one does not. (A look
    into a table of this size is a cache miss, and was a twentieth of all time.)
    """
    cdef uint64_t* keys             # in the order of records
    cdef Py_ssize_t count
    cdef Py_ssize_t room
    cdef uint64_t* slots            # those of `keys` that were entered; 0: free
    cdef Py_ssize_t mask
    cdef Py_ssize_t entered
    cdef uint64_t seed

    def __cinit__(self):
        self.seed = int.from_bytes(os.urandom(8), "little")
        self.room = 4096
        self.keys = <uint64_t*>malloc(self.room * sizeof(uint64_t))
        if self.keys is NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.keys)
        free(self.slots)

    cdef uint64_t key(self, const uint8_t* p, Py_ssize_t n) noexcept nogil:
        cdef uint64_t h = hash64(p, n, self.seed)
        return h if h else 1

    cdef int has(self, uint64_t key) except -1 nogil:
        cdef Py_ssize_t at
        if self.entered < self.count:
            self.enter()
        at = <Py_ssize_t>(key >> 1) & self.mask
        while self.slots is not NULL and self.slots[at]:
            if self.slots[at] == key:
                return 1
            at = (at + 1) & self.mask
        return 0

    cdef int enter(self) except -1 nogil:
        """Enters the keys that are not in the table yet."""
        cdef Py_ssize_t at, i, mask = self.mask
        cdef uint64_t* slots
        if self.slots is NULL or 3 * self.count > 2 * mask:
            mask = mask if mask else 4095
            while 3 * self.count > 2 * mask:
                mask = 2 * mask + 1
            slots = <uint64_t*>calloc(mask + 1, sizeof(uint64_t))
            if slots is NULL:
                with gil:
                    raise MemoryError()
            free(self.slots)
            self.slots = slots
            self.mask = mask
            self.entered = 0
        for i in range(self.entered, self.count):
            at = <Py_ssize_t>(self.keys[i] >> 1) & mask
            while self.slots[at]:
                at = (at + 1) & mask
            self.slots[at] = self.keys[i]
        self.entered = self.count
        return 0

    cdef int add(self, uint64_t key) except -1 nogil:
        cdef uint64_t* grown
        if self.count == self.room:
            grown = <uint64_t*>realloc(self.keys, 2 * self.room * sizeof(uint64_t))
            if grown is NULL:
                with gil:
                    raise MemoryError()
            self.keys = grown
            self.room *= 2
        self.keys[self.count] = key
        self.count += 1
        return 0


cdef inline bint _zero(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    return n <= 0 or (p[0] == 0 and memcmp(p, p + 1, n - 1) == 0)


cdef inline bint _signed(const uint8_t* p) noexcept nogil:
    return p[0] == 0x2A and p[1] == 0x2A and p[2] == 0 and p[3] == 0


cdef class _Log:
    """One event log being read."""

    cdef Feed feed
    cdef Account account
    cdef Event event
    cdef Events events
    cdef _Copies copies
    cdef object mappings
    cdef Py_ssize_t names           # remembered by `events`
    # The chunk at hand: `length` bytes at `chunk`, which stand at `origin`.
    cdef const uint8_t* chunk
    cdef Py_ssize_t length
    cdef int64_t origin
    cdef Py_ssize_t free            # the header's free-space offset; 0 where it is not trusted
    cdef Py_ssize_t end             # of the records, as far as known
    cdef Py_ssize_t at              # next byte to be looked at
    cdef int flags                  # parse flags of all its records
    cdef bint signed_               # it begins with a chunk's signature
    cdef bint cut                   # its last record is cut off
    cdef bint blank                 # nothing but zeros
    cdef bint has_last
    cdef uint64_t last_id
    cdef uint64_t last_time
    cdef int64_t seen               # records
    # The record at hand.
    cdef Py_ssize_t record
    cdef Py_ssize_t size
    cdef int record_flags
    # The log.
    cdef readonly int64_t chunks
    cdef readonly int64_t chunks_bad
    cdef readonly int64_t rows
    cdef readonly int64_t beyond    # records behind a free-space offset that was not yet moved
    cdef bint has_ids
    cdef uint64_t first_id
    cdef uint64_t highest_id
    cdef bint has_times
    cdef int64_t first_time
    cdef int64_t last_row_time
    cdef object host
    cdef object channel
    cdef object header              # bytes of the file header, or None
    cdef object header_ok

    def __cinit__(self, Feed feed, Account account, mappings):
        self.feed = feed
        self.account = account
        self.mappings = mappings
        self.events = Events(mappings)
        self.event = Event(Plans())
        self.copies = _Copies()

    # --- the file --------------------------------------------------------------------------

    def begin(self):
        """Reads the file header. What it says is kept, not believed."""
        cdef Py_ssize_t have = self.feed.fill(FILE_HEADER)
        cdef const uint8_t* p = self.feed.at()
        cdef bint known
        self.header_ok = False
        if have > FILE_HEADER:
            have = FILE_HEADER
        if have >= 8 and memcmp(p, b"ElfChnk\0", 8) == 0:
            return      # chunks without a file around them
        known = have >= 128 and memcmp(p, b"ElfFile\0", 8) == 0
        if known:
            self.header = (<const char*>p)[:128]
            self.header_ok = crc32(p, 120, 0) == le32(p + 124)
        if have < FILE_HEADER:
            self.account.broken(0, have, "file header", f"the file ends after {have} bytes")
        elif not known:
            self.account.broken(0, have, "file header", "does not begin with ElfFile")
        if known:
            self.account.bytes_structure += have
        self.feed.advance(have)

    def next_chunk(self):
        """Takes the next chunk into the window; False at the end of the file."""
        cdef Py_ssize_t have = self.feed.fill(CHUNK), k
        cdef const uint8_t* p = self.feed.at()
        cdef const void* found
        if have == 0:
            return False
        if have > CHUNK:
            have = CHUNK
        self.chunk = p
        self.origin = self.feed.offset()
        self.signed_ = have >= 8 and memcmp(p, b"ElfChnk\0", 8) == 0
        if not self.signed_:
            # Chunks stand on a grid; where bytes were lost or put in, the grid begins anew.
            k = 1
            while k + 8 <= have:
                found = memchr(p + k, 0x45, have - k - 7)
                if found is NULL:
                    break
                k = <const uint8_t*>found - p
                if memcmp(p + k, b"ElfChnk\0", 8) == 0:
                    have = k
                    break
                k += 1
        self.length = have
        self.open_chunk()
        return True

    cdef int open_chunk(self) except -1:
        """Looks at the chunk's header: where its records end, and whether to believe that."""
        cdef const uint8_t* p = self.chunk
        cdef Py_ssize_t room
        cdef bint sound = False
        self.flags = 0
        self.cut = False
        self.blank = False
        self.has_last = False
        self.seen = 0
        self.free = 0
        self.end = self.length
        self.at = CHUNK_HEADER
        self.event.begin_chunk(p, self.length, self.origin)
        if not self.signed_:
            if _zero(p, self.length):
                self.account.bytes_slack += self.length     # kept ready, never used
                self.at = self.end
                self.blank = True
                return 0
            self.chunks_bad += 1
            self.flags = CHECKSUM_BAD
            # A chunk whose header was overwritten, or a part of one, or no chunk at all.
            room = self.search(0)
            self.at = room if room == self.end or room < CHUNK_HEADER else CHUNK_HEADER
            return 0
        self.chunks += 1
        if self.length < CHUNK_HEADER:
            self.chunks_bad += 1
            self.account.broken(
                self.origin, self.length, "chunk header",
                f"the file ends after {self.length} of {CHUNK_HEADER} bytes",
            )
            self.account.bytes_structure += self.length
            self.at = self.end
            return 0
        self.account.bytes_structure += CHUNK_HEADER
        sound = crc32(p + 128, 384, crc32(p, 120, 0)) == le32(p + 124)
        room = le32(p + 48)
        if room < CHUNK_HEADER or room > CHUNK:
            sound = False
        if not sound:
            self.chunks_bad += 1
            self.flags = CHECKSUM_BAD
            return 0
        self.free = room
        self.end = room if room < self.length else self.length
        if room <= self.length and crc32(p + CHUNK_HEADER, room - CHUNK_HEADER, 0) != le32(p + 52):
            self.chunks_bad += 1
            self.flags = CHECKSUM_BAD
        return 0

    def close_chunk(self):
        """Accounts for what follows the chunk's records, and moves on."""
        if self.signed_ and self.length >= CHUNK_HEADER:
            self.account.bytes_slack += self.length - self.end
            if self.free > self.length and not self.cut:
                self.account.broken(
                    self.origin + self.length, 0, "chunk",
                    f"the file ends {self.free - self.length} bytes before its records do",
                )
        elif not self.signed_ and not self.blank and not self.seen:
            self.account.broken(
                self.origin, self.length, "chunk", "no signature, and no record found"
            )
        self.feed.advance(self.length)

    # --- records of a chunk ------------------------------------------------------------------

    cdef bint whole(self, Py_ssize_t at) noexcept nogil:
        """Whether a record with a signature, a size and the same size at its end stands here."""
        cdef Py_ssize_t size
        if at + RECORD_LEAST > self.length or not _signed(self.chunk + at):
            return False
        size = le32(self.chunk + at + 4)
        return (
            RECORD_LEAST <= size <= self.length - at
            and le32(self.chunk + at + size - 4) == <uint32_t>size
        )

    cdef bint continues(self, Py_ssize_t at) noexcept nogil:
        """Whether the number of the record here goes on from the last one read."""
        cdef uint64_t ahead = le64(self.chunk + at + 8) - self.last_id
        return not self.has_last or 0 < ahead <= NUMBERS_AHEAD

    cdef Py_ssize_t search(self, Py_ssize_t at) noexcept nogil:
        """Where the next record begins, `end` if there is none."""
        cdef const void* found
        cdef Py_ssize_t size
        while at + RECORD_LEAST <= self.end:
            found = memchr(self.chunk + at, 0x2A, self.end - at - RECORD_LEAST + 1)
            if found is NULL:
                break
            at = <const uint8_t*>found - self.chunk
            if _signed(self.chunk + at):
                # In a chunk whose header is sound all that stands before the free-space offset
                # is its own; elsewhere the numbers must tell it from slack.
                if self.whole(at) and (self.free or self.continues(at)):
                    return at
                size = le32(self.chunk + at + 4)
                if self.has_last and self.continues(at) and RECORD_LEAST <= size <= CHUNK:
                    return at
            at += 1
        return self.end

    cdef int next_record(self) except -1 nogil:
        """Finds the next record: 1 when there is one (`record`, `size`), 0 at the chunk's end."""
        cdef const uint8_t* p
        cdef Py_ssize_t size, stop
        cdef bint signed_
        while True:
            self.record_flags = self.flags
            if self.at >= self.end:
                if not (
                    self.free and self.at == self.free and self.has_last and self.whole(self.at)
                    and le64(self.chunk + self.at + 8) == self.last_id + 1
                    and le64(self.chunk + self.at + 16) >= self.last_time
                ):
                    return 0
                self.beyond += 1
                self.end = self.at + le32(self.chunk + self.at + 4)
                self.free = self.end
            p = self.chunk + self.at
            if self.whole(self.at):
                self.record = self.at
                self.size = le32(p + 4)
                self.at += self.size
                if self.at > self.end:
                    self.end = self.at
                return 1
            if _zero(p, self.end - self.at):
                # Only where the header is not to be trusted: nothing was written here yet.
                self.end = self.at
                return 0
            size = le32(p + 4) if self.end - self.at >= 8 else 0
            signed_ = self.end - self.at >= 8 and _signed(p)
            if (
                self.length < CHUNK and self.end == self.length and self.end - self.at >= 4
                and _signed(p) and (self.end - self.at < 8 or (
                    RECORD_LEAST <= size <= CHUNK - self.at and size > self.length - self.at
                ))
            ):
                self.cut = True
                self.lose(self.end - self.at, b"record", b"the file ends inside of it")
                self.account.bytes_records += self.end - self.at
                self.at = self.end
                return 0
            stop = self.search(self.at + 1)
            if not self.free and stop == self.end and self.seen and not signed_:
                # The header is not to be trusted and the numbers do not go on: slack.
                self.end = self.at
                return 0
            self.record_flags |= CHECKSUM_BAD
            if signed_ or (
                RECORD_LEAST <= size <= stop - self.at and le32(p + size - 4) == <uint32_t>size
            ):
                # Something of its frame is wrong, the rest fits: its own size, the copy of it
                # before the next record, or failing both the distance to that.
                if not RECORD_LEAST <= size <= stop - self.at or (
                    self.at + size != stop and le32(p + size - 4) != <uint32_t>size
                    and stop - self.at >= RECORD_LEAST
                    and le32(self.chunk + stop - 4) == <uint32_t>(stop - self.at)
                ):
                    size = stop - self.at
                if size >= RECORD_LEAST and (stop < self.end or size < stop - self.at or (
                    le32(p + size - 4) == <uint32_t>size or self.at + le32(p + 4) == stop
                )):
                    self.record = self.at
                    self.size = size
                    self.at += size
                    return 1
            if not _zero(p, stop - self.at):
                self.lose(stop - self.at, b"record", b"no signature, or a size that cannot be")
            self.at = stop

    cdef int lose(self, Py_ssize_t n, const char* what, const char* why) except -1 nogil:
        """A record or region at `at` that cannot be read."""
        self.seen += 1
        self.account.records += 1
        return self.account.damage(self.origin + self.at, n, what, why, NULL, 0)

    cdef int walk(self) except -1 nogil:
        """Reads records until the chunk ends (0) or a batch is full (1). A record that cannot
        be decoded raises; called again, it goes on with the next one."""
        cdef const uint8_t* p
        cdef uint64_t key
        cdef int full
        while self.next_record():
            p = self.chunk + self.record
            self.seen += 1
            self.account.records += 1
            self.account.bytes_records += self.size
            if not self.record_flags or self.continues(self.record):
                self.last_id = le64(p + 8)
                self.last_time = le64(p + 16)
                self.has_last = True
            key = self.copies.key(p, self.size)
            if self.has_ids and le64(p + 8) <= self.highest_id and self.copies.has(key):
                self.account.duplicates += 1
                continue
            self.event.decode(span(
                p + RECORD_HEADER, self.size - RECORD_LEAST,
                self.origin + self.record + RECORD_HEADER,
            ))
            full = self.emit(p)
            self.copies.add(key)
            self.account.in_rows += 1
            if full:
                return 1
        return 0

    def read_chunk(self):
        """Reads on in the chunk; True when batches are full, False at its end."""
        cdef int full
        while True:
            try:
                with nogil:
                    full = self.walk()
                return bool(full)
            except EvidenceError as error:
                self.account.damage(
                    self.origin + self.record, self.size,
                    error.what.encode("utf-8", "replace"),
                    f"{error.why} (at {error.offset})".encode("utf-8", "replace"), NULL, 0,
                )

    # --- one row -------------------------------------------------------------------------------

    cdef int emit(self, const uint8_t* p) except -1 nogil:
        """Puts the decoded record; 1 when a batch is full. `p`: the record's header."""
        cdef Kind* kind
        cdef Pair* pair
        cdef Plan* plan = NULL
        cdef void** targets = NULL
        cdef Target* target
        cdef int32_t i
        cdef int64_t event_id = -1, us = 0
        cdef int below = 0, repaired = 0
        cdef int flags = self.record_flags
        cdef Value* v = &self.event.system[PROVIDER]
        cdef Value when
        cdef const uint8_t* text
        cdef Py_ssize_t n
        text = v.p
        n = v.n
        if v.kind != 2:         # TEXT_VALID: a literal of the template
            text = self.event._room(room_for(v))
            n = render(v, <uint8_t*>text, &repaired)
            self.event.arena_used += n
        v = &self.event.system[EVENT_ID]
        if v.kind == UINT or v.kind == INT:
            event_id = <int64_t>v.number
        elif is_text(v):
            event_id = self.number_of(v)
        if self.event.guessed:
            flags |= NAME_GUESSED
        kind = self.events.plans.plan(text, n, event_id)
        self.events.begin(kind)
        for i in range(SYSTEM_FIELDS):
            v = &self.event.system[i]
            if v.kind == NOTHING:
                continue
            if (
                i == TIME_CREATED and v.kind == FILETIME and kind.system[i].count == 1
                and kind.system[i].outputs[0].choice is NULL
                and value_time(v, &us, &below)
            ):
                # What `system` comes to; it would also write the text of the time, twice, to
                # see that nothing is lost. A FILETIME loses nothing (and it was 6 % of all time).
                self.events.set_time(us, below)
            else:
                self.events.system(i, v)
        if self.events.at.has_time:
            self.note_time(self.events.at.time)
        else:
            # Only the record's header says when: the second-best clock.
            when = number_value(FILETIME, le64(p + 16))
            if value_time(&when, &us, &below):
                self.events.set_time(us, below)
                flags |= TIME_REPAIRED
                self.note_time(us)
        for i in range(self.event.count):
            pair = &self.event.pairs[i]
            if pair.op < 0 or pair.plan.number < 0:
                target = self.target(kind, pair)
            else:
                if pair.plan is not plan:
                    plan = pair.plan
                    targets = bound_to(plan, kind)
                target = <Target*>targets[pair.op]
                if target is NULL:
                    target = self.target(kind, pair)
                    targets[pair.op] = target
            self.events.put(target, &pair.value)
        self.note_record(le64(p + 8))
        return self.events.end(
            self.origin + self.record, self.size, 0, flags,
            0 if self.events.is_canonical() else hash64(p, self.size, 0),
        )

    cdef int64_t number_of(self, const Value* v) except? -2 nogil:
        cdef uint8_t* text = self.event._room(room_for(v))
        cdef int repaired = 0
        cdef int64_t number = -1
        if not parse_number(text, render(v, text, &repaired), &number):
            return -1
        return number

    cdef int note_time(self, int64_t us) except -1 nogil:
        if not self.has_times:
            self.has_times = True
            self.first_time = us
            self.last_row_time = us
        elif us < self.first_time:
            self.first_time = us
        elif us > self.last_row_time:
            self.last_row_time = us
        return 0

    cdef int note_record(self, uint64_t number) except -1 nogil:
        if not self.has_ids:
            self.has_ids = True
            self.first_id = number
            self.highest_id = number
            with gil:
                self.host = self.text_of(&self.event.system[COMPUTER])
                self.channel = self.text_of(&self.event.system[CHANNEL])
        elif number < self.first_id:
            self.first_id = number
        elif number > self.highest_id:
            self.highest_id = number
        self.rows += 1
        return 0

    cdef text_of(self, const Value* v):
        cdef int repaired = 0
        room = bytearray(room_for(v) + 1)
        cdef uint8_t[::1] view = room
        return bytes(room[:render(v, &view[0], &repaired)]).decode() or None

    def take(self, everything=False):
        """Batches that are full, or all."""
        return self.events.take(everything)

    def forget(self):
        """Yields all batches and forgets all names, where there are too many: names that are
        data, or hostile."""
        if self.names > MAX_NAMES:
            yield from self.events.take(True)
            self.event.plans.forget()
            self.events = Events(self.mappings)
            self.names = 0

    cdef Target* target(self, Kind* kind, const Pair* pair) except NULL nogil:
        cdef Py_ssize_t known = kind.names.count
        cdef Target* target = self.events.plans.target(kind, pair.name, pair.name_length)
        self.names += kind.names.count - known
        return target

    # --- facts of the file -----------------------------------------------------------------------

    def facts(self):
        """The log's row of `evtx_file`."""
        cdef Rows rows = Rows("evtx_file", TABLES["evtx_file"].schema)
        cdef bytes raw
        cdef const uint8_t* p
        (<IntColumn>rows.column("records_parsed")).put(0, self.rows)
        (<IntColumn>rows.column("chunks")).put(0, self.chunks)
        (<IntColumn>rows.column("chunks_bad")).put(0, self.chunks_bad)
        (<BoolColumn>rows.column("header_ok")).put(0, bool(self.header_ok))
        if self.header is not None:
            raw = self.header
            p = <const uint8_t*><const char*>raw
            (<IntColumn>rows.column("chunks_header")).put(0, le16(p + 42))
            (<BoolColumn>rows.column("is_dirty")).put(0, le32(p + 120) & 1)
            (<BoolColumn>rows.column("is_full")).put(0, le32(p + 120) & 2)
            self.put_id(rows, "next_record_id", le64(p + 24))
        if self.has_ids:
            self.put_id(rows, "first_record_id", self.first_id)
            self.put_id(rows, "last_record_id", self.highest_id)
        if self.has_times:
            (<IntColumn>rows.column("first_time")).put(0, self.first_time)
            (<IntColumn>rows.column("last_time")).put(0, self.last_row_time)
        for name, text in (("device_hostname", self.host), ("log_name", self.channel)):
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
