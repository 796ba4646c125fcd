"""The rows of FILE records."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from tracelake.native.account cimport Account
from tracelake.native.columns cimport (
    BoolColumn, Buffer, DictColumn, IntColumn, ListColumn, MapColumn, Rows, TextColumn,
)
from tracelake.parsers.mft_record cimport Link, Record, Stream
from tracelake.parsers.ntfs_folders cimport Folders, Way


# Where a record stands.
cdef struct Place:
    int64_t offset
    int64_t entry
    int64_t hash
    int length
    int flags                       # parse flags that are known already


cdef class FileRows:
    cdef Rows rows
    cdef Account account
    cdef Folders folders
    cdef Record record
    cdef Buffer _path
    # The folder whose path `_path` begins with.
    cdef bint _has_folder
    cdef uint64_t _parent
    cdef Way _way
    cdef Py_ssize_t _folder_length
    cdef TextColumn path_column, short_name, contents, target, host_url, referrer
    cdef DictColumn name, ext, time_desc, owner
    cdef IntColumn time, time_ns, activity, size, alloc_size, entry, seq, parent_entry, parent_seq
    cdef IntColumn attributes, link_count, digits, lsn, usn, security_id, reparse_tag, zone_id
    cdef IntColumn src_offset, src_length, sub, record_hash, parse_flags
    cdef void* times[8]             # IntColumn, borrowed from `rows`
    cdef BoolColumn in_use, is_dir, is_orphan, has_ads
    cdef ListColumn ads
    cdef TextColumn ads_names
    cdef MapColumn unmapped

    # Whether a name of the record at hand has a path that is not known yet.
    cdef bint waits(self) noexcept nogil
    cdef Way _folder(self, uint64_t parent) noexcept nogil
    # Puts the rows of the record at hand: one a name, short names left out; one where it has none.
    cdef int put(self, const Place* place) except -1 nogil
    cdef int _take_time(self, int i, IntColumn column) except -1
    cdef bint _has_long(self, Link* short) noexcept nogil
    cdef int _row(self, const Place* place, Link* link, int sub) except -1 nogil
    cdef int _name(self, const Place* place, Link* link, Py_ssize_t row) except -1 nogil
    cdef int _times(self, Link* link, Py_ssize_t row) except -1 nogil
    cdef bint _is_text(self, const uint8_t* p, Py_ssize_t n) noexcept nogil
    cdef int _text(
        self, TextColumn column, const uint8_t* p, Py_ssize_t n, Py_ssize_t row
    ) except -1 nogil
    cdef int _streams(self, Py_ssize_t row) except -1 nogil
    cdef int _stream_text(self, Stream* stream, int i, Py_ssize_t row) except -1 nogil
    cdef bint _zone(self, const uint8_t* p, Py_ssize_t n, Py_ssize_t row) except -1 nogil
    cdef bint _zone_line(self, const uint8_t* p, Py_ssize_t n, Py_ssize_t row) except -1 nogil
    cdef int _reparse(self, Py_ssize_t row) except -1 nogil
    cdef int _rest(self, const Place* place, Link* link, Py_ssize_t row) except -1 nogil
    cdef int _owner(self, Py_ssize_t row) except -1 nogil
