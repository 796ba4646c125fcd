"""Finds a log's records, whatever state it was left in.

    file = header (4096) chunk*                 chunk = header (512) record* slack   (65,536)
    record = 2a2a0000 size id time content size

**What is a record.** A log is written in place and never closed by a crashed machine, so nothing
that counts is believed: not the header's number of chunks, not the dirty flag. Every 64 KiB that
begin with a chunk's signature are a chunk, also behind the header's last, also when the file ends
inside. A chunk's records stand from 512 to its free-space offset; where the chunk's header fails
its checksum, and the last record is not where it says, they go on while their numbers do (in all
sample logs each is one more than that before it). A record directly at the free-space offset that
continues number and time is one too (the header is written later than the record). What lies
behind is slack: old records, overwritten in part, counted in bytes only.

**Damage.** A record whose signature, size or size copy is wrong is read within its next
neighbour's bounds and flagged (parse_flags 4), as are all records of a chunk with a bad checksum.
A region in which no record can be found is a damage row.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp

from tracelake.native.crc32 cimport crc32
from tracelake.native.cursor cimport le32, le64
from tracelake.parsers.flags cimport CHECKSUM_BAD


cdef inline bint _zero(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    return n <= 0 or (p[0] == 0 and memcmp(p, p + 1, n - 1) == 0)


cdef inline bint _signed(const uint8_t* p) noexcept nogil:
    return p[0] == 0x2A and p[1] == 0x2A and p[2] == 0 and p[3] == 0


cdef class Walk:
    def __cinit__(self, Feed feed, Account account):
        self.feed = feed
        self.account = account

    # --- the file --------------------------------------------------------------------------

    cdef int begin(self) except -1:
        cdef Py_ssize_t have = self.feed.fill(FILE_HEADER)
        cdef const uint8_t* p = self.feed.at()
        cdef bint known
        self.header_ok = False
        if have > FILE_HEADER:
            have = FILE_HEADER
        if have >= 8 and memcmp(p, b"ElfChnk\0", 8) == 0:
            return 0    # chunks without a file around them
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
        return self.feed.advance(have)

    cdef int next_chunk(self) except -1:
        cdef Py_ssize_t have = self.feed.fill(CHUNK), k
        cdef const uint8_t* p = self.feed.at()
        cdef const void* found
        if have == 0:
            return 0
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
        return 1

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
        self.ahead = 0
        self.end = self.length
        self.at = CHUNK_HEADER
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
            if not self.agrees(room):
                return 0
        self.free = room
        self.end = room if room < self.length else self.length
        if sound and room <= self.length and (
            crc32(p + CHUNK_HEADER, room - CHUNK_HEADER, 0) != le32(p + 52)
        ):
            self.chunks_bad += 1
            self.flags = CHECKSUM_BAD
        return 0

    cdef int close_chunk(self) except -1:
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
        return self.feed.advance(self.length)

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
        """Whether the number of the record here goes on from the last one read: the next one, or
        as many more as could have stood between."""
        cdef uint64_t ahead = le64(self.chunk + at + 8) - self.last_id
        cdef uint64_t lost = (at - self.last_end) // RECORD_LEAST if at > self.last_end else 0
        return not self.has_last or 0 < ahead <= 1 + lost

    cdef bint agrees(self, Py_ssize_t room) noexcept nogil:
        """Whether a header that fails its checksum is still right about its records' end: the
        last record that it names stands there, and has the number that it says."""
        cdef Py_ssize_t last = le32(self.chunk + 44)
        return (
            CHUNK_HEADER <= last < room <= self.length and self.whole(last)
            and last + <Py_ssize_t>le32(self.chunk + last + 4) == room
            and le64(self.chunk + last + 8) == le64(self.chunk + 32)
        )

    cdef bint between(self, Py_ssize_t size) noexcept nogil:
        """Whether a record whose number does not go on stands between two of this chunk, so that
        its number is wrong. Else it is slack."""
        cdef Py_ssize_t after = self.at + size
        if self.whole(after):
            return le64(self.chunk + after + 8) == self.last_id + 2
        if self.at >= self.ahead:
            self.ahead = self.search(after)
        return self.ahead < self.end

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
        cdef const uint8_t* p
        if not self.find_record():
            return 0
        p = self.chunk + self.record
        self.seen += 1
        self.account.records += 1
        self.account.bytes_records += self.size
        if not self.record_flags or self.free or self.continues(self.record):
            self.last_id = le64(p + 8)
            self.last_time = le64(p + 16)
            self.last_end = self.record + self.size
            self.has_last = True
        return 1

    cdef int find_record(self) except -1 nogil:
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
                size = le32(p + 4)
                if not self.free and not self.continues(self.at) and not self.between(size):
                    self.end = self.at
                    return 0
                self.record = self.at
                self.size = size
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
