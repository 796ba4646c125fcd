r"""The change journal of NTFS and ReFS ($Extend\$UsnJrnl:$J): a row for every record.

Specification: [MS-FSCC] 2.3.62 and "USN_RECORD_V2", "_V3", "_V4" (Microsoft, winioctl.h).

    journal = zeros | record ...                                record = a multiple of 8 bytes
    V2 = length 2 0 file parent usn time reason source security attributes name     (60 bytes)
    V3 = the same with references of 16 bytes                                       (76 bytes)
    V4 = length 4 0 file parent usn reason source left count size (offset length)*  (64 bytes)

What the journal has let go of stands before its first record as zeros (on the volume it takes no
space), as does the rest of each page. Zeros count as structure.

**Paths.** A record knows the folder's number, not its path. Where records of that folder and of all
folders above it came before (it was made, renamed or given other attributes), the path is whole, as
it was then. Else it begins with `\$Unknown\` and the number of the folder that is missing; the view
`usn` puts the path there that the $MFT of the same volume has.

**Renaming** gives two records, of the old name and of the new: `file_prev_path` stands at those of the
new one until the file is closed.

**Activity** is the first that holds of: deleted, made, renamed, written, given other rights, given other
attributes. A record's reasons are all since the file was opened.

**Damage.** What is no record, up to the next that is one, is one damage row.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy

from tracelake.native.account cimport Account
from tracelake.native.columns cimport Buffer, DictColumn, IntColumn, MapColumn, Rows
from tracelake.native.cursor cimport le16, le32, le64
from tracelake.native.errors import EvidenceError
from tracelake.native.feed cimport Feed
from tracelake.native.hash64 cimport hash64
from tracelake.native.text cimport put_hex_bytes, put_uint, utf16le_utf8
from tracelake.normalize import TABLES
from tracelake.parsers.artifact import NO_ROWS_YET, Match, Parser, Rank
from tracelake.parsers.flags cimport TEXT_REPAIRED
from tracelake.parsers.ntfs cimport (
    EXTENSION_MOST, entry_of, extension, filetime, leading_zeros, say, say_hex, say_number,
    sequence_of,
)
from tracelake.parsers.ntfs_folders cimport PATH_ROOM, Folders

VERSION = "1"

cdef enum:
    V2 = 60                         # bytes before the name
    V3 = 76
    V4 = 64                         # bytes before the extents
    LEAST = 60
    MOST = 4096                     # of a record: none crosses a page
    TURN = 32768                    # records after which the GIL is taken
    LOOK = 65536                    # bytes that are looked through at once
    RENAMED = 2048                  # files whose old name is kept at the same time
    FOLDER = 0x10                   # file attribute

cdef enum Reason:
    OVERWRITE = 0x1
    EXTEND = 0x2
    TRUNCATE = 0x4
    STREAM_OVERWRITE = 0x10
    STREAM_EXTEND = 0x20
    STREAM_TRUNCATE = 0x40
    CREATE = 0x100
    DELETE = 0x200
    EA = 0x400
    SECURITY = 0x800
    OLD_NAME = 0x1000
    NEW_NAME = 0x2000
    INDEXABLE = 0x4000
    BASIC_INFO = 0x8000
    LINK = 0x10000
    COMPRESSION = 0x20000
    ENCRYPTION = 0x40000
    OBJECT_ID = 0x80000
    REPARSE = 0x100000
    STREAM = 0x200000
    TRANSACTED = 0x400000
    INTEGRITY = 0x800000
    CLOSE = 0x80000000

cdef uint32_t WRITTEN = (
    OVERWRITE | EXTEND | TRUNCATE | STREAM_OVERWRITE | STREAM_EXTEND | STREAM_TRUNCATE | STREAM
    | TRANSACTED
)
cdef uint32_t CHANGED = (
    BASIC_INFO | EA | INDEXABLE | COMPRESSION | ENCRYPTION | OBJECT_ID | REPARSE | INTEGRITY
)

cdef enum Went:
    ENDED
    FULL
    PAUSE


cdef int _activity(uint32_t reason) noexcept nogil:
    """The activity of OCSF's class 1001."""
    if reason & DELETE:
        return 4
    if reason & CREATE:
        return 1
    if reason & (OLD_NAME | NEW_NAME):
        return 5
    if reason & WRITTEN:
        return 3
    if reason & SECURITY:
        return 7
    if reason & CHANGED:
        return 6
    return 99


cdef Py_ssize_t _length(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """Bytes of the record at `p`, where `n` bytes are there; 0 where it is none, -1 where it could
    be one that is cut off."""
    cdef Py_ssize_t length, head, name
    cdef int version
    if n < 8:
        return -1 if n >= 6 and LEAST <= le32(p) <= MOST and 2 <= le16(p + 4) <= 4 else 0
    length = le32(p)
    version = le16(p + 4)
    if length < LEAST or length > MOST or length & 7 or le16(p + 6) > 9:
        return 0
    if version == 2 or version == 3:
        head = V2 if version == 2 else V3
        if length < head:
            return 0
        if n >= head:
            name = le16(p + head - 4)
            if le16(p + head - 2) < head or name & 1 or le16(p + head - 2) + name > length:
                return 0
    elif version == 4:
        # As 64 bits: two numbers of 16 are beyond an int when they are multiplied.
        if length < V4 or (n >= V4 and V4 + <int64_t>le16(p + 60) * le16(p + 62) > length):
            return 0
    else:
        return 0
    return length if length <= n else -1


# The path that a file had before it is renamed.
cdef struct Old:
    uint64_t file
    uint8_t* path
    Py_ssize_t length
    Py_ssize_t room


cdef class _Journal:
    """A journal being read."""
    cdef Feed feed
    cdef Account account
    cdef Rows rows
    cdef Folders folders
    cdef Buffer _path
    cdef bint _has_folder           # `_path` begins with the path of the folder `_parent`
    cdef uint64_t _parent
    cdef Py_ssize_t _folder_length
    cdef Old* olds
    cdef bint lost                  # what is no record was met, at `lost_at`
    cdef int64_t lost_at
    cdef DictColumn path, prev_path, name, ext, provider
    cdef IntColumn time, time_ns, activity, entry, seq, parent_entry, parent_seq, usn, reason
    cdef IntColumn attributes, src_offset, src_length, record_id, record_hash, parse_flags
    cdef MapColumn unmapped

    def __cinit__(self, artifact):
        cdef Rows rows = Rows("file_activity", TABLES["file_activity"].schema)
        self.feed = artifact.feed
        self.account = artifact.account
        self.rows = rows
        self.folders = Folders(b"$Unknown\\")
        self.folders.all_seen = True
        self._path = Buffer()
        self._path.reserve(PATH_ROOM)
        self.olds = <Old*>calloc(RENAMED, sizeof(Old))
        if self.olds is NULL:
            raise MemoryError()
        self.path = rows.column("file_path")
        self.prev_path = rows.column("file_prev_path")
        self.name = rows.column("file_name")
        self.ext = rows.column("file_ext")
        self.provider = rows.column("log_provider")
        self.time = rows.column("time")
        self.time_ns = rows.column("time_ns")
        self.activity = rows.column("activity_id")
        self.entry = rows.column("mft_entry")
        self.seq = rows.column("mft_seq")
        self.parent_entry = rows.column("mft_parent_entry")
        self.parent_seq = rows.column("mft_parent_seq")
        self.usn = rows.column("usn")
        self.reason = rows.column("usn_reason")
        self.attributes = rows.column("file_attributes")
        self.src_offset = rows.column("src_offset")
        self.src_length = rows.column("src_length")
        self.record_id = rows.column("src_record_id")
        self.record_hash = rows.column("record_hash")
        self.parse_flags = rows.column("parse_flags")
        self.unmapped = rows.column("unmapped")

    def __dealloc__(self):
        cdef Py_ssize_t i
        if self.olds is not NULL:
            for i in range(RENAMED):
                free(self.olds[i].path)
            free(self.olds)

    def read(self):
        """Yields the rows as (table, RecordBatch)."""
        cdef int went
        stopped = None
        while True:
            try:
                with nogil:
                    went = self.go_on()
            except EvidenceError as error:
                stopped = error
                break
            if went == ENDED:
                break
            if went == FULL:
                yield "file_activity", self.rows.finish()
            else:
                yield NO_ROWS_YET
        self.found()
        if self.rows.count:
            yield "file_activity", self.rows.finish()
        if stopped is not None:
            raise stopped

    cdef int go_on(self) except -1 nogil:
        cdef int turn
        cdef Py_ssize_t have, n
        cdef const uint8_t* p
        for turn in range(TURN):
            have = self.feed.fill(LOOK)
            if have == 0:
                return ENDED
            p = self.feed.at()
            n = _length(p, have)
            if n > 0:
                self.found()
                self.record(p, n)
                self.feed.advance(n)
                if self.rows.full():
                    return FULL
                continue
            if n < 0 and have < MOST:
                return self.cut(have)
            self.between(p, have)
        return PAUSE

    cdef int cut(self, Py_ssize_t have) except -1 nogil:
        """The record at which the journal ends before the record does."""
        cdef int64_t at = self.feed.offset()
        self.found()
        self.account.records += 1
        self.account.damage(at, have, b"USN record", b"the journal ends inside of it", NULL, 0)
        self.feed.advance(have)
        return ENDED

    cdef int between(self, const uint8_t* p, Py_ssize_t have) except -1 nogil:
        """Passes what is no record: zeros, or what cannot be read."""
        cdef Py_ssize_t n = leading_zeros(p, have), i
        if n == 0 and have < 8:
            n = have
            for i in range(have):
                if p[i]:
                    n = 0
        if n:
            self.found()
            self.account.bytes_structure += n
            self.feed.advance(n)
            return 0
        if not self.lost:
            self.lost = True
            self.lost_at = self.feed.offset()
        # On to the next record, or to the next zeros that may stand between two.
        i = 1
        while i < have:
            if have - i >= 8 and le64(p + i) == 0 and (self.feed.offset() + i) & 7 == 0:
                break
            if _length(p + i, have - i) > 0:
                break
            i += 1
        self.feed.advance(i)
        return 0

    cdef int found(self) except -1 nogil:
        """Ends a region in which there is no record."""
        if self.lost:
            self.lost = False
            self.account.records += 1
            self.account.damage(
                self.lost_at, self.feed.offset() - self.lost_at, b"USN record",
                b"no record can be told from the next", NULL, 0,
            )
        return 0

    # --- one record ------------------------------------------------------------------------

    cdef int record(self, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        cdef Py_ssize_t row = self.rows.count
        cdef int version = le16(p + 4), flags = 0
        cdef Py_ssize_t wide = 0 if version == 2 else 16
        cdef uint64_t file = le64(p + 8)
        cdef uint64_t parent = le64(p + 16 + wide // 2)
        # What follows the references.
        cdef const uint8_t* rest = p + 24 + wide
        cdef uint32_t reason
        self.account.records += 1
        self.account.in_rows += 1
        self.account.bytes_records += n
        if wide and (le64(p + 16) or le64(p + 32)):
            # ReFS: the numbers have 128 bits.
            self.long_number(row, b"file_id", p + 8)
            self.long_number(row, b"parent_id", p + 24)
        else:
            self.entry.put(row, <int64_t>entry_of(file))
            self.seq.put(row, sequence_of(file))
            self.parent_entry.put(row, <int64_t>entry_of(parent))
            self.parent_seq.put(row, sequence_of(parent))
        self.usn.put(row, <int64_t>le64(rest))
        self.record_id.put(row, <int64_t>le64(rest))
        if version == 4:
            reason = le32(rest + 8)
            self.source(row, le32(rest + 12))
            self.extents(p, row)
        else:
            reason = le32(rest + 16)
            flags = self.named(p, rest, file, parent, row)
        self.reason.put(row, reason)
        self.activity.put(row, _activity(reason))
        self.provider.put_valid(row, b"USN", 3)
        self.src_offset.put(row, self.feed.offset())
        self.src_length.put(row, n)
        self.record_hash.put(row, <int64_t>hash64(p, n, 0))
        if flags:
            self.parse_flags.put(row, flags)
            self.account.repairs += 1
        return self.rows.done()

    cdef int named(
        self, const uint8_t* p, const uint8_t* rest, uint64_t file, uint64_t parent, Py_ssize_t row
    ) except -1 nogil:
        """What records of version 2 and 3 have beside: time, name, path, attributes."""
        cdef uint32_t reason = le32(rest + 16), attributes = le32(rest + 28)
        cdef uint8_t* path = self._path.data
        cdef uint8_t* name
        cdef uint8_t[EXTENSION_MOST] ext
        cdef Py_ssize_t before, length, n
        cdef int64_t us
        cdef int digit, repaired = 0
        cdef Old* old
        if filetime(rest + 8, &us, &digit):
            self.time.put(row, us)
            self.time_ns.put(row, digit * 100)
        elif le64(rest + 8):
            say_hex(self.unmapped, row, b"time", le64(rest + 8))
        self.source(row, le32(rest + 20))
        if le32(rest + 24):
            say_number(self.unmapped, row, b"security_id", le32(rest + 24))
        self.attributes.put(row, attributes)
        if not self._has_folder or parent != self._parent:
            self.folders.path(parent, path, &self._folder_length)
            self._has_folder = True
            self._parent = parent
        before = self._folder_length
        name = path + before
        length = utf16le_utf8(p + le16(rest + 34), le16(rest + 32) // 2, name, &repaired)
        self.name.put_valid(row, name, length)
        self.path.put_valid(row, path, before + length)
        if attributes & FOLDER:
            if not reason & OLD_NAME or reason & NEW_NAME:
                self.folders.learn(
                    entry_of(file), sequence_of(file), parent, name, length
                )
                # It may be one that the path of the folder at hand leads through.
                self._has_folder = False
        else:
            n = extension(name, length, ext)
            if n:
                self.ext.put_valid(row, ext, n)
        old = &self.olds[(file * 0x9E3779B97F4A7C15ULL) >> 53]
        if reason & NEW_NAME:
            if old.file == file and old.length:
                self.prev_path.put_valid(row, old.path, old.length)
        elif reason & OLD_NAME:
            self.keep(old, file, path, before + length)
        if reason & CLOSE and old.file == file:
            old.length = 0
        return TEXT_REPAIRED if repaired else 0

    cdef int keep(self, Old* old, uint64_t file, const uint8_t* path, Py_ssize_t n) except -1 nogil:
        cdef uint8_t* room
        if n > old.room:
            room = <uint8_t*>realloc(old.path, n)
            if room is NULL:
                with gil:
                    raise MemoryError()
            old.path = room
            old.room = n
        memcpy(old.path, path, n)
        old.length = n
        old.file = file
        return 0

    cdef int source(self, Py_ssize_t row, uint32_t value) except -1 nogil:
        if value:
            say_hex(self.unmapped, row, b"source_info", value)
        return 0

    cdef int long_number(self, Py_ssize_t row, const char* key, const uint8_t* p) except -1 nogil:
        """A number of 128 bits, as hexadecimal digits, the highest first."""
        cdef uint8_t[16] turned
        cdef uint8_t[32] text
        cdef int i
        for i in range(16):
            turned[i] = p[15 - i]
        return say(self.unmapped, row, key, text, put_hex_bytes(text, turned, 16))

    cdef int extents(self, const uint8_t* p, Py_ssize_t row) except -1 nogil:
        """The ranges that were written, of version 4: "offset+length, ..."."""
        cdef uint8_t[1024] text
        cdef Py_ssize_t n = 0, at = V4
        cdef int i, count = le16(p + 60), size = le16(p + 62)
        say_number(self.unmapped, row, b"extents_left", le32(p + 56))
        if size < 16:
            return 0
        for i in range(count):
            if n > 960:
                break
            if n:
                memcpy(text + n, b", ", 2)
                n += 2
            n += put_uint(text + n, le64(p + at))
            text[n] = 43
            n += 1 + put_uint(text + n + 1, le64(p + at + 8))
            at += size
        return say(self.unmapped, row, b"extents", text, n)


def match(head, path):
    """How sure it is that an artifact is a change journal, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: its path inside its source.
    """
    cdef const uint8_t[::1] view = head
    cdef Py_ssize_t n = len(head), at
    if not n:
        return Match.NO, "the file is empty"
    at = leading_zeros(&view[0], n)
    # Records stand behind zeros: more of them than can be looked at, mostly.
    if at < n and at % 8 == 0 and n - at >= LEAST and _is_record(&view[at], n - at):
        return Match.CONTENT, ""
    if at < n - 7:
        return Match.NO, "no USN record at its start"
    name = path.lower().replace("%24", "$").replace("\\", "/").rsplit("/", 1)[-1]
    named = "usnjrnl" in name or name.rstrip("_").endswith(("$j", ":j", "_j")) or name == "j"
    if named:
        return Match.NAME, "nothing but zeros in its first 64 KiB"
    return Match.NO, "no USN record at its start"


cdef bint _is_record(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """Whether the first record is one beyond doubt: its parts fit each other."""
    cdef Py_ssize_t length = _length(p, n), head
    cdef int version = le16(p + 4)
    cdef int64_t us
    cdef int digit
    if length <= 0 or le16(p + 6) != 0:
        return False
    if version == 4:
        return le16(p + 62) == 16 and length >= V4 + 16 * le16(p + 60)
    head = V2 if version == 2 else V3
    return (
        le16(p + head - 2) == head and 0 < le16(p + head - 4) <= 510
        and length - head - le16(p + head - 4) < 16
        and filetime(p + head - 28, &us, &digit)
    )


def read(artifact):
    """Yields the journal's rows as (table, RecordBatch).

    Args:
        artifact: parsers.artifact.Artifact; its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on (a broken archive or disk); all rows
            before that were yielded.
    """
    yield from _Journal(artifact).read()


PARSER = Parser(
    "usn", VERSION, match, ("file_activity",), read,
    files=("$extend/$usnjrnl:$j", "*/$extend/$usnjrnl:$j", "*/$usnjrnl*$j", "*/$j"),
    rank=Rank.FILE_SYSTEM,
)
