"""A record on a tape into a row: shapes (normalize/shapes.py) over the engine of events.pxd.

    shaped = Shaped(mappings, shapes)           # one per artifact
    shaped.tape.begin()
    shaped.tape.add(node, &value)               # each value of the record: see tape.pxd
    full = shaped.end_record(p, n, offset, length, sub, flags, KEEP_ODD)
    yield from shaped.events.take(last)         # where `full`, and at the end

All of it is nogil; the GIL is only taken for what is met for the first time.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

from tracelake.parsers.events cimport Events
from tracelake.parsers.event_plan cimport Plan, Target
from tracelake.parsers.looks cimport Act, Ask, Asked, Branch, Chain, Clock, Look, Looks, Wrap
from tracelake.parsers.tape cimport Entry, Tape
from tracelake.parsers.values cimport Value


cdef enum Keep:                 # whether the record's own bytes stand in the row, in `raw`
    KEEP_NEVER
    KEEP_ODD                    # where a text was repaired, or no shape knows the record
    KEEP_ALWAYS


cdef class Shaped:
    cdef readonly Tape tape
    cdef readonly Events events
    cdef readonly Looks looks
    cdef Act** _acts            # of the entries of the record at hand
    cdef Py_ssize_t _acts_room
    cdef Py_ssize_t _clock      # entry that `time` holds exactly: no pair; -1: none

    # The record on the tape, as a row: `n` bytes at `p`, which stand at `offset` of the artifact
    # in `length` bytes, are hashed and kept as `keep` says. `flags`: parse flags of the caller's
    # own. 1 where a batch is full now, else 0. After an exception say `give_up`.
    cdef int end_record(
        self, const uint8_t* p, Py_ssize_t n, int64_t offset, int64_t length, int64_t sub,
        int flags, Keep keep,
    ) except -1 nogil
    # The same, of a record that was recognised.
    cdef int row(
        self, Look* look, const uint8_t* p, Py_ssize_t n, int64_t offset, int64_t length,
        int64_t sub, int flags, Keep keep,
    ) except -1 nogil
    # Takes back what the record at hand has put.
    cdef int give_up(self) except -1

    # --- inside ---
    cdef int _room(self, Py_ssize_t count) except -1 nogil
    cdef int _expand(self, Look* look) except -1 nogil
    cdef Plan* _plan(self, Look* look) except NULL nogil
    cdef Wrap* _wrap(self, Look* look) except NULL nogil
    cdef int _answer(self, Look* look, Py_ssize_t first, Py_ssize_t end, int order) except -1 nogil
    cdef bint _holds(self, Look* look, const Ask* ask) except -1 nogil
    cdef bint _fits(self, Look* look, const Branch* branch) except -1 nogil
    cdef int _times(self, Look* look) except -1 nogil
    cdef int _read_clock(
        self, const Clock* clock, const Value* value, int64_t* us, int* below
    ) except -1 nogil
    cdef int _read_written(self, const Clock* clock, int64_t* us, int* below) except -1 nogil
    cdef int _zone_of(self, const Clock* clock, int64_t* us) except -1 nogil
    cdef int _held(self, const Clock* clock, int64_t us, int below) except -1 nogil
    cdef int _pairs(
        self, Wrap* wrap, Py_ssize_t first, Py_ssize_t end, int order
    ) except -1 nogil
    cdef int _put_once(self, Act* act, const Value* value, int64_t batch) except -1 nogil
    cdef int _put(self, Wrap* wrap, Act* act, const Entry* entry) except -1 nogil
