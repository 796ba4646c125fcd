"""The walk of a log: its header, its chunks, and the frames of their records."""

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint64_t

from tracelake.native.account cimport Account
from tracelake.native.feed cimport Feed

cdef enum:
    FILE_HEADER = 4096
    CHUNK = 65536
    CHUNK_HEADER = 512
    RECORD_HEADER = 24
    RECORD_LEAST = 28           # header and size copy


@cython.final
cdef class Walk:
    """Where the reading of a log stands."""
    cdef Feed feed
    cdef Account account
    # The chunk at hand: `length` bytes at `chunk`, which stand at `origin`.
    cdef const uint8_t* chunk
    cdef Py_ssize_t length
    cdef int64_t origin
    cdef Py_ssize_t free            # the header's free-space offset; 0 where it is not trusted
    cdef Py_ssize_t end             # of the records, as far as known
    cdef Py_ssize_t at              # next byte to be looked at
    cdef Py_ssize_t ahead           # a record whose number goes on, behind some whose does not
    cdef int flags                  # parse flags of all its records
    cdef bint signed_               # it begins with a chunk's signature
    cdef bint cut                   # its last record is cut off
    cdef bint blank                 # nothing but zeros
    cdef bint has_last
    cdef uint64_t last_id
    cdef uint64_t last_time
    cdef Py_ssize_t last_end        # of that record
    cdef int64_t seen               # records
    # The record at hand.
    cdef Py_ssize_t record
    cdef Py_ssize_t size
    cdef int record_flags
    # The file.
    cdef int64_t chunks
    cdef int64_t chunks_bad
    cdef int64_t beyond             # records behind a free-space offset that was not yet moved
    cdef object header              # bytes of the file header, or None
    cdef bint header_ok

    # Reads the file header. What it says is kept, not believed.
    cdef int begin(self) except -1
    # Takes the next chunk into the window: 1, or 0 at the end of the file.
    cdef int next_chunk(self) except -1
    # Finds the next record: 1 when there is one (`record`, `size`, `record_flags`), 0 at the
    # chunk's end.
    cdef int next_record(self) except -1 nogil
    # Accounts for what follows the chunk's records, and moves on.
    cdef int close_chunk(self) except -1
    cdef int find_record(self) except -1 nogil
    cdef int open_chunk(self) except -1
    cdef bint whole(self, Py_ssize_t at) noexcept nogil
    cdef bint agrees(self, Py_ssize_t room) noexcept nogil
    cdef bint continues(self, Py_ssize_t at) noexcept nogil
    cdef bint between(self, Py_ssize_t size) noexcept nogil
    cdef Py_ssize_t search(self, Py_ssize_t at) noexcept nogil
    cdef int lose(self, Py_ssize_t n, const char* what, const char* why) except -1 nogil
