"""The rows of FILE records.

**Names.** A row for each name with a path of its own: a file with three hard links has three
rows, which differ in `sub`, name, path, parent and the times of $FILE_NAME. A short name (8.3)
stands beside the long one of the same folder.

**Times.** `time` is `si_modified` (`fn_modified` where there is no $STANDARD_INFORMATION); all
eight are in columns, and `timeline` shows each. Columns hold microseconds; `time_digits` has what is
below. Whoever sets times by hand mostly leaves zeros there.

**Contents.** Small files stand in their entry. What is text of them is in `file_contents`; text in
alternate streams is in `unmapped`, that of Zone.Identifier in columns.
"""

from libc.stdint cimport int32_t, uint32_t
from libc.string cimport memcmp, memcpy

from tracelake.native.cursor cimport le16, le32, le64
from tracelake.native.text cimport put_hex_bytes, put_uint, utf8_valid, utf16le_utf8
from tracelake.normalize import TABLES
from tracelake.parsers.flags cimport TEXT_REPAIRED, TRUNCATED
from tracelake.parsers.mft_record cimport FOLDER, IN_USE, Span
from tracelake.parsers.ntfs cimport (
    EXTENSION_MOST, NAME_DOS, NAME_HEADER, ROOT, entry_of, extension, filetime, say, say_hex,
    say_number, say_utf16, sequence_of,
)
from tracelake.parsers.ntfs_folders cimport ORPHAN, PATH_ROOM, UNKNOWN, Way
from tracelake.parsers.values cimport GUID, SID, Value, bytes_value, render

TIMES = (
    "si_created", "si_modified", "si_accessed", "si_changed",
    "fn_created", "fn_modified", "fn_accessed", "fn_changed",
)
cdef const char* TIME_KEYS[8]
TIME_KEYS[:] = [
    b"si_created", b"si_modified", b"si_accessed", b"si_changed",
    b"fn_created", b"fn_modified", b"fn_accessed", b"fn_changed",
]
# Where they stand in $STANDARD_INFORMATION, and behind the parent in $FILE_NAME.
cdef int TIME_AT[4]
TIME_AT[:] = [0, 8, 24, 16]

cdef enum:
    LOOK_MOST = 2048                # names among which the long or short one is looked for
    REPEATED_MOST = 65536           # streams that are said again at further names of a file
    QUERY = 1                       # activity of OCSF's discovery classes
    SYMLINK = 0xA000000C
    MOUNT_POINT = 0xA0000003
    APP_LINK = 0x8000001B
    LINUX_LINK = 0xA000001D


cdef class FileRows:
    def __cinit__(self, Account account not None, Folders folders not None):
        cdef int i
        cdef Rows rows = Rows("file_query", TABLES["file_query"].schema)
        self.rows = rows
        self.account = account
        self.folders = folders
        self.record = Record()
        self._path = Buffer()
        self._path.reserve(PATH_ROOM)
        self.path_column = rows.column("file_path")
        self.name = rows.column("file_name")
        self.short_name = rows.column("file_short_name")
        self.ext = rows.column("file_ext")
        self.contents = rows.column("file_contents")
        self.target = rows.column("link_target")
        self.host_url = rows.column("zone_host_url")
        self.referrer = rows.column("zone_referrer_url")
        self.zone_id = rows.column("zone_id")
        self.owner = rows.column("owner_uid")
        self.time = rows.column("time")
        self.time_ns = rows.column("time_ns")
        self.time_desc = rows.column("time_desc")
        self.activity = rows.column("activity_id")
        self.size = rows.column("file_size")
        self.alloc_size = rows.column("file_alloc_size")
        self.entry = rows.column("mft_entry")
        self.seq = rows.column("mft_seq")
        self.parent_entry = rows.column("mft_parent_entry")
        self.parent_seq = rows.column("mft_parent_seq")
        self.attributes = rows.column("file_attributes")
        self.link_count = rows.column("link_count")
        self.digits = rows.column("time_digits")
        self.lsn = rows.column("lsn")
        self.usn = rows.column("usn")
        self.security_id = rows.column("security_id")
        self.reparse_tag = rows.column("reparse_tag")
        self.src_offset = rows.column("src_offset")
        self.src_length = rows.column("src_length")
        self.sub = rows.column("sub")
        self.record_hash = rows.column("record_hash")
        self.parse_flags = rows.column("parse_flags")
        self.in_use = rows.column("in_use")
        self.is_dir = rows.column("is_dir")
        self.is_orphan = rows.column("is_orphan")
        self.has_ads = rows.column("has_ads")
        self.ads = rows.column("ads")
        self.ads_names = self.ads.items
        self.unmapped = rows.column("unmapped")
        for i, name in enumerate(TIMES):
            self._take_time(i, rows.column(name))

    cdef int _take_time(self, int i, IntColumn column) except -1:
        # Borrowed: `rows` keeps it.
        self.times[i] = <void*>column
        return 0

    cdef bint waits(self) noexcept nogil:
        cdef int i
        cdef Link* link
        for i in range(self.record.links):
            link = self.record.link(i)
            if link.space == NAME_DOS and self.record.links > 1:
                continue
            if self._folder(le64(link.p)) == UNKNOWN:
                return True
        return False

    cdef Way _folder(self, uint64_t parent) noexcept nogil:
        """Puts the path of a folder into `_path`, where it mostly is already."""
        cdef Way way
        if self._has_folder and parent == self._parent:
            return self._way
        way = self.folders.path(parent, self._path.data, &self._folder_length)
        self._has_folder = way != UNKNOWN
        self._parent = parent
        self._way = way
        return way

    cdef int put(self, const Place* place) except -1 nogil:
        cdef int i, sub = 0
        cdef Link* link
        for i in range(self.record.links):
            link = self.record.link(i)
            if link.space == NAME_DOS and self._has_long(link):
                continue
            self._row(place, link, sub)
            sub += 1
        if sub == 0:
            self._row(place, NULL, 0)
        return 0

    cdef bint _has_long(self, Link* short) noexcept nogil:
        """Whether a short name has a long one in its folder, which shows it."""
        cdef int i
        for i in range(min(self.record.links, LOOK_MOST)):
            if self.record.link(i).space != NAME_DOS and (
                le64(self.record.link(i).p) == le64(short.p)
            ):
                return True
        return False

    cdef int _row(self, const Place* place, Link* link, int sub) except -1 nogil:
        cdef Py_ssize_t row = self.rows.count
        cdef int flags = place.flags
        cdef const uint8_t* si = self.record.standard.p
        flags |= TRUNCATED if self.record.broken else 0
        self.entry.put(row, place.entry)
        self.seq.put(row, self.record.sequence)
        self.in_use.put(row, self.record.flags & IN_USE)
        self.is_dir.put(row, self.record.flags & FOLDER)
        self.link_count.put(row, self.record.link_count)
        self.lsn.put(row, <int64_t>self.record.lsn)
        if link is not NULL:
            flags |= self._name(place, link, row)
        self._times(link, row)
        if si is not NULL:
            self.attributes.put(row, le32(si + 32))
            if self.record.standard.n >= 72:
                self.security_id.put(row, <int32_t>le32(si + 52))
                self.usn.put(row, <int64_t>le64(si + 64))
        elif link is not NULL:
            self.attributes.put(row, le32(link.p + 56))
        if self.record.size >= 0:
            self.size.put(row, self.record.size)
            self.alloc_size.put(row, self.record.allocated)
            if self.record.content.p is not NULL and self.record.content.n:
                self._text(self.contents, self.record.content.p, self.record.content.n, row)
        self.has_ads.put(row, self.record.streams > 0)
        # A record of thousands of names and thousands of streams would be millions of values.
        if self.record.streams and (sub == 0 or self.record.streams * sub < REPEATED_MOST):
            flags |= self._streams(row)
        if self.record.has_reparse:
            flags |= self._reparse(row)
        flags |= self._rest(place, link, row)
        self.activity.put(row, QUERY)
        self.src_offset.put(row, place.offset)
        self.src_length.put(row, place.length)
        self.sub.put(row, sub)
        self.record_hash.put(row, place.hash)
        if flags:
            self.parse_flags.put(row, flags)
            if flags & TEXT_REPAIRED:
                self.account.repairs += 1
        return self.rows.done()

    cdef int _name(self, const Place* place, Link* link, Py_ssize_t row) except -1 nogil:
        """The link's name, path and parent; TEXT_REPAIRED where the name is no well-formed
        text."""
        cdef uint8_t* path = self._path.data
        cdef uint8_t* name
        cdef uint8_t[EXTENSION_MOST] ext
        cdef Py_ssize_t before, n
        cdef int repaired = 0, i
        cdef uint64_t parent = le64(link.p)
        cdef Link* short
        cdef Way way = self._folder(parent)
        before = self._folder_length
        name = path + before
        n = utf16le_utf8(link.p + NAME_HEADER, link.units, name, &repaired)
        self.name.put_valid(row, name, n)
        if place.entry == ROOT and n == 1 and name[0] == 46:
            self.path_column.put_valid(row, path, 1)
        else:
            self.path_column.put_valid(row, path, before + n)
        if not self.record.flags & FOLDER:
            n = extension(name, n, ext)
            if n:
                self.ext.put_valid(row, ext, n)
        if way != UNKNOWN:
            self.is_orphan.put(row, way == ORPHAN)
        self.parent_entry.put(row, <int64_t>entry_of(parent))
        self.parent_seq.put(row, sequence_of(parent))
        if link.space == 1 and self.record.links > 1:
            for i in range(min(self.record.links, LOOK_MOST)):
                short = self.record.link(i)
                if short.space == NAME_DOS and le64(short.p) == parent:
                    repaired |= self.short_name.put_utf16(row, short.p + NAME_HEADER, short.units)
                    break
        return TEXT_REPAIRED if repaired else 0

    cdef int _times(self, Link* link, Py_ssize_t row) except -1 nogil:
        cdef const uint8_t* p
        cdef int i, digit, main = -1
        cdef int64_t us, digits = 0
        for i in range(8):
            digits *= 10
            if i < 4:
                p = self.record.standard.p
            else:
                p = link.p + 8 if link is not NULL else NULL
            if p is NULL:
                continue
            p += TIME_AT[i & 3]
            if filetime(p, &us, &digit):
                (<IntColumn>self.times[i]).put(row, us)
                digits += digit
                if main < 0 and i & 3 == 1:
                    main = i
                    self.time.put(row, us)
                    self.time_ns.put(row, digit * 100)
                    if i == 1:
                        self.time_desc.put_valid(row, b"si_modified", 11)
                    else:
                        self.time_desc.put_valid(row, b"fn_modified", 11)
            elif le64(p):
                say_hex(self.unmapped, row, TIME_KEYS[i], le64(p))
        if self.record.standard.p is not NULL or link is not NULL:
            self.digits.put(row, digits)
        return 0

    cdef bint _is_text(self, const uint8_t* p, Py_ssize_t n) noexcept nogil:
        cdef Py_ssize_t i
        for i in range(n):
            if p[i] < 32 and p[i] != 9 and p[i] != 10 and p[i] != 13 or p[i] == 127:
                return False
        return utf8_valid(p, n) == n

    cdef int _text(
        self, TextColumn column, const uint8_t* p, Py_ssize_t n, Py_ssize_t row
    ) except -1 nogil:
        """Puts bytes that are text: UTF-8, or UTF-16 with a mark. 1 where they are."""
        if n >= 4 and p[0] == 0xFF and p[1] == 0xFE:
            column.put_utf16(row, p + 2, (n - 2) // 2)
            return 1
        if n >= 3 and p[0] == 0xEF and p[1] == 0xBB and p[2] == 0xBF:
            p += 3
            n -= 3
        if not self._is_text(p, n):
            return 0
        column.put_valid(row, p, n)
        return 1

    cdef int _streams(self, Py_ssize_t row) except -1 nogil:
        """Names of the alternate streams into `ads`, their sizes and texts into `unmapped`."""
        cdef Stream* stream
        cdef Py_ssize_t item = self.ads.open(row), n = 0
        cdef int i, flags = 0
        cdef uint8_t[1024] sizes
        for i in range(self.record.streams):
            stream = self.record.stream(i)
            if self.ads_names.put_utf16(item, stream.name.p, stream.name.n):
                flags = TEXT_REPAIRED
            item += 1
            if n < 1000:
                if n:
                    memcpy(sizes + n, b", ", 2)
                    n += 2
                n += put_uint(sizes + n, <uint64_t>stream.size)
        self.ads.close(item)
        say(self.unmapped, row, b"ads_size", sizes, n)
        for i in range(self.record.streams):
            stream = self.record.stream(i)
            if stream.content.p is NULL or stream.content.n == 0:
                continue
            # "Zone.Identifier"
            if stream.name.n == 15 and memcmp(stream.name.p, ZONE, 30) == 0 and (
                self._zone(stream.content.p, stream.content.n, row)
            ):
                continue
            if self._is_text(stream.content.p, stream.content.n):
                self._stream_text(stream, i, row)
        return flags

    cdef int _stream_text(self, Stream* stream, int i, Py_ssize_t row) except -1 nogil:
        cdef uint8_t[800] key
        cdef int repaired = 0
        cdef Py_ssize_t n, item
        memcpy(key, b"ads[", 4)
        n = 4 + put_uint(key + 4, i)
        memcpy(key + n, b"] ", 2)
        n += 2
        n += utf16le_utf8(stream.name.p, stream.name.n, key + n, &repaired)
        item = self.unmapped.open(row)
        self.unmapped.keys.put_valid(item, key, n)
        self.unmapped.values.put_valid(item, stream.content.p, stream.content.n)
        return self.unmapped.close(item + 1)

    cdef bint _zone(self, const uint8_t* p, Py_ssize_t n, Py_ssize_t row) except -1 nogil:
        """The lines of a Zone.Identifier; False where one of them has no column."""
        cdef Py_ssize_t i = 0, start
        cdef bint all_known = True
        if utf8_valid(p, n) != n:
            return False
        while i < n:
            start = i
            while i < n and p[i] != 10 and p[i] != 13:
                i += 1
            if i > start and not self._zone_line(p + start, i - start, row):
                all_known = False
            i += 1
        return all_known

    cdef bint _zone_line(self, const uint8_t* p, Py_ssize_t n, Py_ssize_t row) except -1 nogil:
        if n > 8 and memcmp(p, <const char*>b"HostUrl=", 8) == 0:
            if self.host_url.length <= row:
                self.host_url.put_valid(row, p + 8, n - 8)
                return True
        elif n > 12 and memcmp(p, <const char*>b"ReferrerUrl=", 12) == 0:
            if self.referrer.length <= row:
                self.referrer.put_valid(row, p + 12, n - 12)
                return True
        elif n == 8 and memcmp(p, <const char*>b"ZoneId=", 7) == 0 and 48 <= p[7] <= 57:
            if self.zone_id.length <= row:
                self.zone_id.put(row, p[7] - 48)
                return True
        elif n == 14 and memcmp(p, <const char*>b"[ZoneTransfer]", 14) == 0:
            return True
        return False

    cdef int _reparse(self, Py_ssize_t row) except -1 nogil:
        cdef const uint8_t* p = self.record.reparse.p
        cdef Py_ssize_t n = self.record.reparse.n, at, size, head
        cdef uint32_t tag
        cdef int part
        if p is NULL:
            return 0
        tag = le32(p)
        self.reparse_tag.put(row, tag)
        if le16(p + 4) < n - 8:
            n = 8 + le16(p + 4)
        if tag == SYMLINK or tag == MOUNT_POINT:
            head = 20 if tag == SYMLINK else 16
            if n < head:
                return 0
            # The name as it is shown, else the one that is followed.
            for part in range(2):
                at = head + le16(p + (12 if part == 0 else 8))
                size = le16(p + (14 if part == 0 else 10))
                if size >= 2 and at + size <= n:
                    return TEXT_REPAIRED if self.target.put_utf16(row, p + at, size // 2) else 0
        elif tag == LINUX_LINK and n > 12:
            return TEXT_REPAIRED if self.target.put(row, p + 12, n - 12) else 0
        elif tag == APP_LINK and n > 12:
            # Three texts: package, id of the application, its file.
            at = 12
            for part in range(3):
                size = 0
                while at + 2 * size + 2 <= n and le16(p + at + 2 * size):
                    size += 1
                if part == 2 and size:
                    return TEXT_REPAIRED if self.target.put_utf16(row, p + at, size) else 0
                at += 2 * size + 2
        return 0

    cdef int _rest(self, const Place* place, Link* link, Py_ssize_t row) except -1 nogil:
        """What has no column."""
        cdef const uint8_t* p = self.record.standard.p
        cdef uint8_t[256] text
        cdef Py_ssize_t n
        cdef int repaired = 0, i
        cdef Value value
        if p is not NULL:
            if le32(p + 36):
                say_number(self.unmapped, row, b"max_versions", le32(p + 36))
            if le32(p + 40):
                say_number(self.unmapped, row, b"version", le32(p + 40))
            if le32(p + 44):
                say_number(self.unmapped, row, b"class_id", le32(p + 44))
            if self.record.standard.n >= 72:
                if le32(p + 48):
                    self.owner.put_valid(row, text, put_uint(text, le32(p + 48)))
                if le64(p + 56):
                    say_number(self.unmapped, row, b"quota", <int64_t>le64(p + 56))
        if self.record.security.p is not NULL:
            self._owner(row)
        if self.record.flags & ~(IN_USE | FOLDER):
            say_hex(self.unmapped, row, b"record_flags", self.record.flags)
        if self.record.number >= 0 and self.record.number != place.entry:
            say_number(self.unmapped, row, b"record_number", self.record.number)
        if self.record.base:
            n = put_uint(text, entry_of(self.record.base))
            text[n] = 45
            n += 1 + put_uint(text + n + 1, <uint64_t>sequence_of(self.record.base))
            say(self.unmapped, row, b"base_record", text, n)
        if self.record.valid >= 0 and self.record.valid != self.record.size:
            say_number(self.unmapped, row, b"valid_size", self.record.valid)
        if self.record.data_flags:
            say_hex(self.unmapped, row, b"data_flags", self.record.data_flags)
        if self.record.size < 0 and link is not NULL and le64(link.p + 48):
            say_number(self.unmapped, row, b"fn_size", <int64_t>le64(link.p + 48))
        if self.record.ea_size >= 0:
            say_number(self.unmapped, row, b"ea_size", self.record.ea_size)
        if self.record.object_id.p is not NULL:
            for i in range(4):
                if 16 * i + 16 > self.record.object_id.n:
                    break
                p = self.record.object_id.p + 16 * i
                if le64(p) or le64(p + 8):
                    value = bytes_value(GUID, p, 16)
                    n = render(&value, text, &repaired)
                    say(self.unmapped, row, OBJECT_KEYS[i], text, n)
        if self.record.volume_name.p is not NULL and self.record.volume_name.n >= 2:
            repaired |= say_utf16(
                self.unmapped, row, b"volume_name", self.record.volume_name.p, self.record.volume_name.n // 2
            )
        if self.record.volume_information.p is not NULL:
            p = self.record.volume_information.p
            n = put_uint(text, p[8])
            text[n] = 46
            n += 1 + put_uint(text + n + 1, p[9])
            say(self.unmapped, row, b"volume_version", text, n)
            say_hex(self.unmapped, row, b"volume_flags", le16(p + 10))
        if self.record.utilities:
            repaired |= say_utf16(
                self.unmapped, row, b"utility_stream", self.record.utility(0).p, self.record.utility(0).n
            )
        return TEXT_REPAIRED if repaired else 0

    cdef int _owner(self, Py_ssize_t row) except -1 nogil:
        """The owner from a security descriptor of the file's own (before NTFS 3.0)."""
        cdef const uint8_t* p = self.record.security.p
        cdef Py_ssize_t n = self.record.security.n, at
        cdef uint8_t[256] text
        cdef int repaired = 0
        cdef Value value
        if n < 20:
            return 0
        at = le32(p + 4)
        if at < 20 or at + 8 > n or p[at + 1] > 15 or at + 8 + 4 * p[at + 1] > n:
            return 0
        value = bytes_value(SID, p + at, 8 + 4 * p[at + 1])
        return self.owner.put_valid(row, text, render(&value, text, &repaired))


cdef const uint8_t* ZONE = (
    b"Z\0o\0n\0e\0.\0I\0d\0e\0n\0t\0i\0f\0i\0e\0r\0"
)
cdef const char* OBJECT_KEYS[4]
OBJECT_KEYS[:] = [
    b"object_id", b"birth_volume_id", b"birth_object_id", b"birth_domain_id",
]
