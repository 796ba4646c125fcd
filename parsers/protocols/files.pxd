"""Files that went over the wire, whatever protocol carried them: rows of network_file_activity.

A protocol opens a file when its first byte comes, gives it the bytes of the content (decoded: not
chunked, not Base64), and closes it; the row is written then. Example:

    file = self.files.open(t.flow, side, &place, b"SMTP", t.time)
    self.files.name(file, name, n)
    self.files.data(file, p, n, t.time)         # or data_at, where pieces come in any order
    self.files.close(file)

`self.files = files_of(sheets)` in the protocol's `__cinit__`. Every file that was opened is to be
closed, at the latest in `end`. What may be held of all files is bounded.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint64_t

from tracelake.native.columns cimport BoolColumn, DictColumn, DoubleColumn, IntColumn, TextColumn
from tracelake.parsers.conn cimport Flow, Place
from tracelake.parsers.protocols.sheet cimport Sheet, Sheets

cdef enum:
    UID_ROOM = 18           # bytes of a file's name: F and 17 letters and digits


# Bytes of a file that came before those in front of them; they follow.
cdef struct Ahead:
    Ahead* next
    int64_t at
    int64_t count


cdef struct File:
    # To be read by protocols:
    uint8_t uid[UID_ROOM]   # file_uid
    int64_t next            # where in the file the next byte in order stands
    int64_t seen
    int64_t missing
    int64_t total           # by its own account; -1 where none is given: a protocol may put it
    int64_t idle            # the time of the latest byte; nanoseconds
    bint sniffed            # its type is known, as far as it can be
    bint joined             # of a shared file: the flow that asked last is a new one
    # The service's own:
    Flow flow               # as it was when the file began
    Place place
    const char* source
    int64_t overflow
    int32_t depth
    bint is_orig
    bint torn               # not all bytes in order were there: no hashes
    int16_t mime            # number of its type (mime.pxd), -1 where there is none
    int32_t count           # bytes in `buffer`, which are not hashed yet
    int32_t room
    int32_t name_length
    int32_t users           # of a shared file
    uint8_t* buffer
    uint8_t* name
    uint64_t* histogram     # of bytes, four times 256; NULL before the first
    PyObject* hashes        # (md5, sha1, sha256); NULL before the first bytes were hashed
    Ahead* ahead
    int64_t held            # bytes ahead
    uint64_t key            # of a shared file; else 0
    Flow* others            # of a shared file: the flows that it was seen in beside the first
    int32_t other_count
    File* older             # of the shared ones
    File* newer


cdef class Files:
    cdef Sheet sheet
    cdef readonly int64_t held          # bytes ahead of all files
    cdef readonly int64_t shared        # files that several messages make up
    cdef uint64_t serial
    cdef int64_t named_time, named_offset   # of the file that was named last
    cdef File* oldest
    cdef File* newest
    cdef TextColumn file_uid
    cdef DictColumn protocol, file_name, mime_type
    cdef BoolColumn is_orig, timed_out
    cdef DoubleColumn duration, entropy
    cdef IntColumn seen_bytes, total_bytes, missing_bytes, overflow_bytes, depth
    cdef TextColumn md5, sha1, sha256

    # `source` is a literal with Zeek's name of the protocol: HTTP, SMTP, FTP_DATA, SMB. `place` is
    # where its first byte came in; `time` that packet's.
    cdef File* open(
        self, Flow* f, int side, const Place* place, const char* source, int64_t time
    ) except NULL nogil
    # The file of a key that parts were seen of, also in other flows; a new one where there is none.
    # Such a file is released, not closed: its row is written when it is whole, when it has waited
    # two minutes, or at the end of the capture.
    cdef File* share(
        self, uint64_t key, Flow* f, int side, const Place* place, const char* source,
        int64_t time,
    ) except NULL nogil
    cdef int release(self, File* file) except -1 nogil
    # Its name; the latest counts. At most 4 KiB are kept.
    cdef int name(self, File* file, const uint8_t* p, Py_ssize_t n) except -1 nogil
    # Bytes in order.
    cdef int data(self, File* file, const uint8_t* p, int64_t n, int64_t time) except -1 nogil
    # Bytes of a known place, in any order; what was there is passed over.
    cdef int data_at(
        self, File* file, int64_t at, const uint8_t* p, int64_t n, int64_t time
    ) except -1 nogil
    # The next `n` bytes are not in the capture.
    cdef int gap(self, File* file, int64_t n, int64_t time) except -1 nogil
    # No more will come, as far as is known: what was held is done, its type is told.
    cdef int settle(self, File* file) except -1 nogil
    # Writes the row and frees the file.
    cdef int close(self, File* file) except -1 nogil

    # The capture has ended: shared files that are left become rows.
    cdef int finish(self) except -1 nogil

    cdef int _take(self, File* file, const uint8_t* p, int64_t n) except -1 nogil
    cdef int _ahead(self, File* file, int64_t at, const uint8_t* p, int64_t n) except -1 nogil
    cdef int _caught_up(self, File* file, bint all) except -1 nogil
    cdef int _sniff(self, File* file) except -1 nogil
    cdef int _flush(self, File* file) except -1 nogil
    cdef int _hash(self, File* file, Py_ssize_t row, bint first) except -1
    cdef int _join(self, File* file, Flow* f) except -1 nogil
    cdef int _row(self, File* file, Flow* flow, int sub) except -1 nogil
    cdef void _unlink(self, File* file) noexcept nogil
    cdef int _free(self, File* file) except -1 nogil


# The capture's files.
cpdef Files files_of(Sheets sheets)
