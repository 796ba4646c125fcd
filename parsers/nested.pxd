"""The records in a JSON text: itself, or those in it (`each` in normalize/shapes.py).

    nested.begin(p, n, readable, offset)
    while nested.left:
        did = nested.next()         # one record; one after the other, in the order of the text

Nothing is recursive, and what one text can cost is bounded: objects in objects are records down
to NESTS_DEPTH, below that they stay text.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

from tracelake.parsers.json_scan cimport Fault
from tracelake.parsers.looks cimport Look
from tracelake.parsers.shaped cimport Shaped
from tracelake.parsers.tape cimport Entry, Tape


cdef enum Did:
    FAILED = -1                 # an exception
    NOT_JSON                    # `fault` says why
    A_ROW
    A_ROW_AND_FULL              # and a batch is full: `left` may go on afterwards
    OPENED                      # it was but a wrapper


cdef struct Piece:              # a record to come
    const uint8_t* p
    Py_ssize_t n
    int32_t below               # where its members stand
    int32_t marked              # the member that says which list it was in; 0: none
    int32_t list                # that list
    int depth                   # records around it
    bint repaired               # what is beside it was
    Py_ssize_t beside           # what the wrapper says of it: `_beside` from here
    Py_ssize_t beside_end       # to here


cdef class Nested:
    cdef readonly Shaped shaped
    cdef Tape tape
    cdef readonly Py_ssize_t left       # records to come; those that are wrappers count, too
    cdef Fault fault
    cdef readonly int64_t offset        # of the last record: in the artifact,
    cdef readonly int64_t length        # and bytes there
    cdef const uint8_t* p               # its text
    cdef Py_ssize_t n
    # Of the text: bytes in records that it wraps; -1: it is a record itself.
    cdef readonly int64_t inside
    cdef bint wide                      # the artifact is UTF-16
    cdef Piece* _pieces                 # the next one last
    cdef Py_ssize_t _pieces_room
    cdef Entry* _beside
    cdef Py_ssize_t _beside_count
    cdef Py_ssize_t _beside_room
    cdef const uint8_t* _end            # of what may be read
    cdef const uint8_t* _at             # a place of the text,
    cdef int64_t _at_offset             # and where it is in the artifact
    cdef const uint8_t* _head           # an object whose members are beside each record
    cdef Py_ssize_t _head_length

    # A text of `n` bytes, which stands at `offset` of the artifact; its members go below `below`.
    # It must stay where it is while there is something left.
    cdef int begin(
        self, const uint8_t* p, Py_ssize_t n, Py_ssize_t readable, int64_t offset, int32_t below
    ) except -1 nogil
    # An object (NULL: none) whose members are beside those of each record.
    cdef inline void head(self, const uint8_t* p, Py_ssize_t n) noexcept nogil:
        self._head = p
        self._head_length = n

    cdef Did next(self) except FAILED nogil
    # After an exception: forgets what is left of the text, and what its last record has put.
    cdef int give_up(self) except -1

    # --- inside ---
    cdef bint _take(self, const Look* look, const Piece* piece) except -1 nogil
    cdef bint _put_beside(self, Piece* next_one, Py_ssize_t taken) except -1 nogil
    cdef int _more(self, Py_ssize_t count) except -1 nogil
    cdef int _place(self, const Piece* piece) noexcept nogil


# Code units of UTF-16 that a (perhaps ill-formed) UTF-8 text was made from.
cdef int64_t utf16_units(const uint8_t* p, Py_ssize_t n) noexcept nogil


cdef enum:
    NESTS_DEPTH = 32
