"""Files that went over the wire (see files.pxd).

The first 4,096 bytes tell the type; all of them are hashed and counted. Bytes are collected, so
that OpenSSL, which is called through hashlib, is called once in 32 KiB and not once a packet. A
file that fits in there costs one call for each of its three hashes.

What came too early is held, 512 KiB of a file and 16 MiB in all; beyond, what is before it counts
as missing. A file of which bytes are missing has no hashes: they would be of no file.

Open files take 96 MiB at most; beyond, those that were opened first are counted on, but no more.
"""

import hashlib

from cpython.buffer cimport PyBUF_READ
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.math cimport log2
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, strlen

from tracelake.native.flowtable cimport fold
from tracelake.parsers.conn cimport ORIG, put_community_id
from tracelake.parsers.packet cimport NO_TIME
from tracelake.parsers.protocols.mime cimport mime_name, mime_of

cdef enum:
    HASHES = 2048           # bytes that three hashes take, about
    HISTOGRAM = 8192
    HEAD = 4096             # bytes that tell a file's type
    CHUNK = 32768           # bytes that are hashed at once
    NAME_LIMIT = 4096
    AHEAD_LIMIT = 524288    # bytes of a file that came too early
    SHARED_LIMIT = 1024
    OTHERS_LIMIT = 100      # flows of a shared file

cdef enum:                  # OCSF 4010, activity_id
    UPLOAD = 1
    DOWNLOAD = 2

cdef int64_t HELD_LIMIT = 16 << 20
cdef int64_t MEMORY_LIMIT = 96 << 20
cdef int64_t WAIT = 120 * 1000000000    # a shared file that nothing came of for so long is done

cdef const char* LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


cpdef Files files_of(Sheets sheets):
    if sheets.files is None:
        sheets.files = Files(sheets)
    return sheets.files


cdef void _count_bytes(uint64_t* histogram, const uint8_t* p, int64_t n) noexcept nogil:
    """Four counts, so that equal bytes that follow one another do not wait for each other."""
    cdef int64_t i = 0
    while i + 4 <= n:
        histogram[p[i]] += 1
        histogram[256 + p[i + 1]] += 1
        histogram[512 + p[i + 2]] += 1
        histogram[768 + p[i + 3]] += 1
        i += 4
    while i < n:
        histogram[p[i]] += 1
        i += 1


cdef bint _same_flow(const Flow* a, const Flow* b) noexcept nogil:
    return a.offset == b.offset and a.first == b.first and (
        memcmp(a.address, b.address, sizeof(a.address)) == 0 and a.port[0] == b.port[0]
        and a.port[1] == b.port[1]
    )


cdef class Files:
    """The files of one capture.

    Args:
        sheets: the tables that rows are written to.
    """

    def __cinit__(self, Sheets sheets):
        sheet = self.sheet = sheets.sheet("network_file_activity")
        rows = sheet.rows
        self.file_uid = rows.column("file_uid")
        self.protocol = rows.column("protocol")
        self.file_name = rows.column("file_name")
        self.mime_type = rows.column("mime_type")
        self.is_orig = rows.column("is_orig")
        self.timed_out = rows.column("timed_out")
        self.duration = rows.column("duration_s")
        self.entropy = rows.column("entropy")
        self.seen_bytes = rows.column("seen_bytes")
        self.total_bytes = rows.column("total_bytes")
        self.missing_bytes = rows.column("missing_bytes")
        self.overflow_bytes = rows.column("overflow_bytes")
        self.depth = rows.column("depth")
        self.md5 = rows.column("file_md5")
        self.sha1 = rows.column("file_sha1")
        self.sha256 = rows.column("file_sha256")

    def __dealloc__(self):
        cdef File* file = self.newest
        cdef File* older
        while file is not NULL:
            older = file.older
            self._free(file)
            file = older

    cdef File* open(
        self, Flow* f, int side, const Place* place, const char* source, int64_t time
    ) except NULL nogil:
        cdef File* file = <File*>calloc(1, sizeof(File))
        cdef uint8_t[64] text
        cdef uint64_t a, b
        cdef int i
        if file is NULL:
            with gil:
                raise MemoryError("a file")
        put_community_id(text, f)           # once for the flow, not once for each of its files
        file.flow = f[0]
        file.place = place[0]
        file.source = source
        file.is_orig = side == ORIG
        file.total = -1
        file.mime = -1
        file.idle = time
        file.elder = self.youngest
        if self.youngest is not NULL:
            self.youngest.younger = file
        else:
            self.eldest = file
        self.youngest = file
        self._weigh(file, sizeof(File))
        if self.memory > MEMORY_LIMIT:
            self._make_room(file)
        # Names follow from the flow, the packets, and which of their files it is: the same in every
        # run, whoever reads the flow.
        if time != self.named_time or place.offset != self.named_offset:
            self.serial = 0
        self.named_time = time
        self.named_offset = place.offset
        self.serial += 1
        a = fold(
            f.address[0].low ^ <uint64_t>f.port[0] << 48,
            0xA0761D6478BD642FULL ^ f.address[1].low,
        )
        a = fold(a ^ f.address[0].high ^ f.address[1].high, 0xE7037ED1A0B428DBULL ^ f.port[1])
        a = fold(a ^ <uint64_t>place.offset, 0x8EBC6AF09C88C6E3ULL ^ <uint64_t>place.time)
        b = fold(a ^ self.serial ^ <uint64_t>time, 0x589965CC75374CC3ULL ^ <uint64_t>side)
        a = fold(b ^ 0x2D358DCCAA6C78A5ULL, a)
        file.uid[0] = 70
        for i in range(1, 10):
            file.uid[i] = LETTERS[a % 62]
            a //= 62
        for i in range(10, UID_ROOM):
            file.uid[i] = LETTERS[b % 62]
            b //= 62
        return file

    cdef File* share(
        self, uint64_t key, Flow* f, int side, const Place* place, const char* source,
        int64_t time,
    ) except NULL nogil:
        cdef File* file = self.newest
        cdef File* older
        if key == 0:
            key = 1
        while file is not NULL and file.key != key:
            file = file.older
        if file is not NULL and file.users == 0 and time - file.idle > WAIT:
            self._unlink(file)
            self.close(file)
            file = NULL
        if file is NULL:
            # Those that nobody uses any more make room.
            file = self.oldest
            while file is not NULL and (self.shared >= SHARED_LIMIT or time - file.idle > WAIT):
                older = file.newer
                if file.users == 0:
                    self._unlink(file)
                    self.close(file)
                file = older
            file = self.open(f, side, place, source, time)
            file.key = key
            file.older = self.newest
            if self.newest is not NULL:
                self.newest.newer = file
            else:
                self.oldest = file
            self.newest = file
            self.shared += 1
            file.joined = True
        else:
            self._join(file, f)
        file.users += 1
        return file

    cdef int _join(self, File* file, Flow* f) except -1 nogil:
        """Another flow that parts of a shared file are seen in: each has a row, as in files.log."""
        cdef Flow* grown
        cdef int32_t i
        file.joined = False
        if _same_flow(&file.flow, f):
            return 0
        for i in range(file.other_count):
            if _same_flow(&file.others[i], f):
                return 0
        if file.other_count >= OTHERS_LIMIT:
            return 0
        grown = <Flow*>realloc(file.others, (file.other_count + 1) * sizeof(Flow))
        if grown is NULL:
            with gil:
                raise MemoryError("a file's flows")
        file.others = grown
        file.others[file.other_count] = f[0]
        file.other_count += 1
        file.joined = True
        return 0

    cdef int release(self, File* file) except -1 nogil:
        if file.users:
            file.users -= 1
        if file.users == 0 and 0 <= file.total <= file.seen:
            self._unlink(file)
            return self.close(file)
        return 0

    def end(self):
        """The capture has ended: writes the shared files that are left."""
        with nogil:
            self.finish()

    cdef int finish(self) except -1 nogil:
        """Writes the shared files that are left."""
        cdef File* file
        while self.oldest is not NULL:
            file = self.oldest
            self._unlink(file)
            self.close(file)
        return 0

    cdef int name(self, File* file, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        free(file.name)
        file.name = NULL
        file.name_length = 0
        if n > NAME_LIMIT:
            n = NAME_LIMIT
        if n <= 0:
            return 0
        file.name = <uint8_t*>malloc(n)
        if file.name is NULL:
            with gil:
                raise MemoryError("a file's name")
        memcpy(file.name, p, n)
        file.name_length = <int>n
        return 0

    cdef int data(self, File* file, const uint8_t* p, int64_t n, int64_t time) except -1 nogil:
        if n <= 0:
            return 0
        file.idle = time
        self._take(file, p, n)
        if file.ahead is not NULL:
            self._caught_up(file, False)
        return 0

    cdef int data_at(
        self, File* file, int64_t at, const uint8_t* p, int64_t n, int64_t time
    ) except -1 nogil:
        if n <= 0 or at < 0:
            return 0
        file.idle = time
        if at < file.next:
            if file.next - at >= n:
                file.overflow += n
                return 0
            file.overflow += file.next - at
            p += file.next - at
            n -= file.next - at
            at = file.next
        if at == file.next:
            self._take(file, p, n)
            if file.ahead is not NULL:
                self._caught_up(file, False)
            return 0
        self._ahead(file, at, p, n)
        if file.held > AHEAD_LIMIT or self.held > HELD_LIMIT:
            self._caught_up(file, True)
        return 0

    cdef int gap(self, File* file, int64_t n, int64_t time) except -1 nogil:
        if n <= 0:
            return 0
        file.idle = time
        self._sniff(file)
        file.missing += n
        file.next += n
        file.torn = True
        if file.ahead is not NULL:
            self._caught_up(file, False)
        return 0

    cdef int settle(self, File* file) except -1 nogil:
        self._caught_up(file, True)
        return self._sniff(file)

    cdef int close(self, File* file) except -1 nogil:
        cdef int32_t i
        try:
            self.settle(file)
            self._row(file, &file.flow, 0)
            for i in range(file.other_count):
                self._row(file, &file.others[i], i + 1)
        finally:
            self._free(file)
        return 0

    # Memory.

    cdef void _weigh(self, File* file, int64_t more) noexcept nogil:
        file.memory += more
        self.memory += more

    cdef int _make_room(self, File* but) except -1 nogil:
        """Those that were opened first give up what they hold."""
        cdef File* file = self.eldest
        cdef File* next
        while file is not NULL and self.memory > MEMORY_LIMIT // 4 * 3:
            next = file.younger
            if file is not but:
                self._sniff(file)
                self._lighten(file)
                file.light = file.torn = True
                self._leave(file)
            file = next
        return 0

    cdef void _lighten(self, File* file) noexcept nogil:
        """Frees what hashing takes."""
        cdef int64_t before = file.memory
        if file.hashes is not NULL:
            with gil:
                Py_DECREF(<object>file.hashes)
            file.hashes = NULL
        free(file.histogram)
        file.histogram = NULL
        free(file.buffer)
        file.buffer = NULL
        file.count = file.room = 0
        file.memory = sizeof(File)
        self.memory -= before - file.memory

    cdef void _leave(self, File* file) noexcept nogil:
        """Takes a file out of the list of those that can be told to take less."""
        if file.elder is not NULL:
            file.elder.younger = file.younger
        elif self.eldest is file:
            self.eldest = file.younger
        if file.younger is not NULL:
            file.younger.elder = file.elder
        elif self.youngest is file:
            self.youngest = file.elder
        file.elder = file.younger = NULL

    # Bytes in order.

    cdef int _take(self, File* file, const uint8_t* p, int64_t n) except -1 nogil:
        cdef int64_t part
        cdef int32_t room
        cdef uint8_t* grown
        file.seen += n
        file.next += n
        if file.torn and file.sniffed:
            return 0                    # neither type nor hash depends on them
        while n > 0:
            if file.count == file.room and file.room < CHUNK:
                room = 1024 if file.room == 0 else file.room * 4
                while room < file.count + n and room < CHUNK:
                    room *= 4
                if room > CHUNK:
                    room = CHUNK
                grown = <uint8_t*>realloc(file.buffer, room)
                if grown is NULL:
                    with gil:
                        raise MemoryError("a file's bytes")
                file.buffer = grown
                self._weigh(file, room - file.room)
                file.room = room
                if self.memory > MEMORY_LIMIT:
                    self._make_room(file)
            part = file.room - file.count
            if part > n:
                part = n
            memcpy(file.buffer + file.count, p, part)
            file.count += <int32_t>part
            p += part
            n -= part
            if file.count >= HEAD and not file.sniffed:
                self._sniff(file)
            if file.count == CHUNK:
                self._flush(file)
        return 0

    cdef int _sniff(self, File* file) except -1 nogil:
        """Tells the type by the bytes that are there."""
        if not file.sniffed:
            file.sniffed = True
            file.mime = <int16_t>mime_of(file.buffer, min(file.count, <int32_t>HEAD))
        return 0

    cdef int _flush(self, File* file) except -1 nogil:
        """Hashes what was collected."""
        if file.histogram is NULL:
            self._weigh(file, HISTOGRAM + HASHES)
            file.histogram = <uint64_t*>calloc(1024, sizeof(uint64_t))
            if file.histogram is NULL:
                with gil:
                    raise MemoryError("a file's histogram")
        _count_bytes(file.histogram, file.buffer, file.count)
        if not file.torn:
            with gil:
                view = PyMemoryView_FromMemory(<char*>file.buffer, file.count, PyBUF_READ)
                if file.hashes is NULL:
                    hashes = (
                        hashlib.md5(usedforsecurity=False), hashlib.sha1(usedforsecurity=False),
                        hashlib.sha256(),
                    )
                    Py_INCREF(hashes)
                    file.hashes = <PyObject*>hashes
                for each in <tuple>file.hashes:
                    each.update(view)
        file.count = 0
        return 0

    # Bytes that came too early.

    cdef int _ahead(self, File* file, int64_t at, const uint8_t* p, int64_t n) except -1 nogil:
        """Holds bytes, but for those that are held already."""
        cdef Ahead** link = &file.ahead
        cdef Ahead* each
        cdef int64_t end
        while n > 0:
            each = link[0]
            if each is not NULL and each.at + each.count <= at:
                link = &each.next
                continue
            if each is not NULL and each.at <= at:
                end = each.at + each.count - at
                if end > n:
                    end = n
                file.overflow += end
                at += end
                p += end
                n -= end
                link = &each.next
                continue
            end = n if each is NULL or each.at - at > n else each.at - at
            each = <Ahead*>malloc(sizeof(Ahead) + end)
            if each is NULL:
                with gil:
                    raise MemoryError("a file's bytes")
            each.next = link[0]
            each.at = at
            each.count = end
            memcpy(<uint8_t*>each + sizeof(Ahead), p, end)
            link[0] = each
            link = &each.next
            # A piece costs more than its bytes: many small ones are bounded as well.
            file.held += end + 64
            self.held += end + 64
            at += end
            p += end
            n -= end
        return 0

    cdef int _caught_up(self, File* file, bint all) except -1 nogil:
        """Takes what is in order by now; with `all`, also what is behind a hole."""
        cdef Ahead* each
        cdef int64_t passed
        while file.ahead is not NULL:
            each = file.ahead
            if each.at > file.next:
                if not all:
                    break
                self._sniff(file)
                file.missing += each.at - file.next
                file.next = each.at
                file.torn = True
            file.ahead = each.next
            file.held -= each.count + 64
            self.held -= each.count + 64
            passed = file.next - each.at
            if passed < each.count:
                try:
                    self._take(file, <uint8_t*>each + sizeof(Ahead) + passed, each.count - passed)
                finally:
                    free(each)
            else:
                free(each)
        return 0

    # Rows.

    cdef int _row(self, File* file, Flow* flow, int sub) except -1 nogil:
        cdef int64_t time
        cdef Place found = file.place
        cdef Py_ssize_t row
        found.sub |= sub << 24              # no row of the same packet has it
        row = self.sheet.begin(flow, &found, UPLOAD if file.is_orig else DOWNLOAD)
        self.file_uid.put_valid(row, file.uid, UID_ROOM)
        self.protocol.put_valid(row, <const uint8_t*>file.source, strlen(file.source))
        if file.name_length:
            self.file_name.put(row, file.name, file.name_length)
        if file.mime >= 0:
            self.mime_type.put_valid(
                row, <const uint8_t*>mime_name(file.mime), strlen(mime_name(file.mime))
            )
        self.is_orig.put(row, file.is_orig)
        time = file.place.time
        if time != NO_TIME and file.idle != NO_TIME:
            self.duration.put(row, (file.idle - time) / 1e9 if file.idle > time else 0.0)
        self.seen_bytes.put(row, file.seen)
        if file.total >= 0:
            self.total_bytes.put(row, file.total)
        self.missing_bytes.put(row, file.missing)
        self.overflow_bytes.put(row, file.overflow)
        self.depth.put(row, file.depth)
        if file.missing or file.total > file.seen or flow.partial:
            self.sheet.flags(1)
        if file.light:
            self.sheet.flags(1)
        elif file.seen:
            if file.histogram is NULL:
                self._weigh(file, HISTOGRAM)
                file.histogram = <uint64_t*>calloc(1024, sizeof(uint64_t))
                if file.histogram is NULL:
                    with gil:
                        raise MemoryError("a file's histogram")
            if sub == 0:
                _count_bytes(file.histogram, file.buffer, file.count)
            with gil:
                self._hash(file, row, sub == 0)
        return self.sheet.done()

    cdef int _hash(self, File* file, Py_ssize_t row, bint first) except -1:
        """Puts the hashes of the whole, and its entropy."""
        cdef uint64_t count, sum = 0
        cdef double total, bits = 0
        cdef int i
        cdef bytes text
        for i in range(256):
            sum += (file.histogram[i] + file.histogram[256 + i] + file.histogram[512 + i]
                    + file.histogram[768 + i])
        if file.torn:
            return 0
        total = <double>sum
        for i in range(256):
            count = (file.histogram[i] + file.histogram[256 + i] + file.histogram[512 + i]
                     + file.histogram[768 + i])
            if count:
                bits -= count / total * log2(count / total)
        self.entropy.put(row, bits)
        view = PyMemoryView_FromMemory(<char*>file.buffer, file.count, PyBUF_READ)
        if file.hashes is NULL:
            digests = (
                hashlib.md5(view, usedforsecurity=False), hashlib.sha1(view, usedforsecurity=False),
                hashlib.sha256(view),
            )
        else:
            digests = <tuple>file.hashes
            if file.count and first:
                for each in digests:
                    each.update(view)
        text = digests[0].hexdigest().encode("ascii")
        self.md5.put_valid(row, <const uint8_t*><const char*>text, len(text))
        text = digests[1].hexdigest().encode("ascii")
        self.sha1.put_valid(row, <const uint8_t*><const char*>text, len(text))
        text = digests[2].hexdigest().encode("ascii")
        self.sha256.put_valid(row, <const uint8_t*><const char*>text, len(text))
        return 0

    cdef void _unlink(self, File* file) noexcept nogil:
        """Takes a shared file out of their list."""
        if file.older is not NULL:
            file.older.newer = file.newer
        else:
            self.oldest = file.newer
        if file.newer is not NULL:
            file.newer.older = file.older
        else:
            self.newest = file.older
        file.older = file.newer = NULL
        self.shared -= 1

    cdef int _free(self, File* file) except -1 nogil:
        cdef Ahead* each
        while file.ahead is not NULL:
            each = file.ahead
            file.ahead = each.next
            self.held -= each.count + 64
            free(each)
        self._lighten(file)
        self.memory -= file.memory
        self._leave(file)
        free(file.others)
        free(file.name)
        free(file)
        return 0
