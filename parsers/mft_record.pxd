"""What one FILE record says, and its extension records with it."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tracelake.native.columns cimport Buffer

cdef enum:
    HEADER_LEAST = 42               # bytes of a FILE record's header in NTFS 3.0
    RECORD_MOST = 65536

cdef enum Kind:
    STANDARD = 0x10
    LIST = 0x20
    NAME = 0x30
    OBJECT_ID = 0x40
    SECURITY = 0x50
    VOLUME_NAME = 0x60
    VOLUME_INFORMATION = 0x70
    DATA = 0x80
    INDEX_ROOT = 0x90
    INDEX_ALLOCATION = 0xA0
    BITMAP = 0xB0
    REPARSE = 0xC0
    EA_INFORMATION = 0xD0
    EA = 0xE0
    UTILITY = 0x100
    END = 0xFFFFFFFF

cdef enum Flag:
    IN_USE = 1
    FOLDER = 2


cdef struct Span:
    const uint8_t* p                # NULL: not there
    Py_ssize_t n


# A $FILE_NAME: its content, whole.
cdef struct Link:
    const uint8_t* p
    int units                       # of the name
    int space                       # its namespace


# A named $DATA.
cdef struct Stream:
    Span name                       # UTF-16; n in units
    int64_t size
    Span content                    # where it is resident


cdef class Record:
    """A record taken to pieces; pointers into the bytes that were given to `scan`."""
    cdef Buffer _links
    cdef Buffer _streams
    cdef Buffer _utility            # Span: names of logged utility streams
    # The header of the base record.
    cdef uint64_t lsn
    cdef uint64_t base              # file reference; 0: it is a base record
    cdef int sequence
    cdef int link_count
    cdef int flags
    # What was found.
    cdef int links
    cdef int streams
    cdef int utilities
    cdef int attributes             # all
    cdef Py_ssize_t end             # one past the last byte of its attributes
    cdef bint broken                # the attributes do not end as they should
    cdef bint has_list
    cdef Span standard
    cdef Span object_id
    cdef Span security
    cdef Span volume_name
    cdef Span volume_information
    cdef Span reparse
    cdef bint has_reparse
    cdef int64_t ea_size            # -1: none
    cdef int64_t size               # of the unnamed $DATA; -1: not said
    cdef int64_t allocated
    cdef int64_t valid              # bytes that were written; -1: not said
    cdef int data_flags             # 1 compressed, 0x4000 encrypted, 0x8000 sparse
    cdef Span content               # of the unnamed $DATA where it is resident
    cdef int64_t number             # entry number that the header says, -1 where it says none

    cdef Link* link(self, int i) noexcept nogil
    cdef Stream* stream(self, int i) noexcept nogil
    cdef Span* utility(self, int i) noexcept nogil
    # Reads the header of a base record and its attributes. `p` is undone (`unguard`); `n` bytes
    # are there. 0 where the header cannot be.
    cdef int begin(self, const uint8_t* p, Py_ssize_t n) except -1 nogil
    # Adds the attributes of a record.
    cdef int scan(self, const uint8_t* p, Py_ssize_t n) except -1 nogil
    # The link that a folder is called by, or -1.
    cdef int best(self) noexcept nogil
    cdef int _take(
        self, uint32_t kind, const uint8_t* p, Py_ssize_t length, Span* name, Span* content
    ) except -1 nogil
    cdef int _data(
        self, const uint8_t* p, Py_ssize_t length, Span* name, Span* content
    ) except -1 nogil


# Copies a record without what no row needs (runs, indexes); `out` has room for `n` bytes.
cdef Py_ssize_t shortened(const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil
