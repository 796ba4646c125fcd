"""A decoded JSON object into a row: shapes (normalize/shapes.py) over the engine of events.pxd."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from tracelake.parsers.event_plan cimport Plan, Target
from tracelake.parsers.events cimport Events


cdef class Member:
    """A member of an object, by its path, and what becomes of it."""
    cdef str path
    cdef Target* target         # of a plain value
    cdef Target* pair           # of a list or other value that no column takes; NULL: not made yet
    cdef dict members           # key -> Member
    cdef bytes name             # of `own`
    cdef Target own             # of a member that is not remembered
    cdef bint names             # its members are the event's named values
    cdef bint ahead             # they are walked before the rest of the object
    cdef bint wraps             # its members are objects whose members are named values
    cdef bint as_text           # it holds such an object as JSON text


cdef class Wrap:
    """One shape around one kind of event."""
    cdef object shape
    cdef bytes vendor           # what stands in log_provider; None: a field of the log does
    cdef Plan* plan
    cdef Member root
    cdef list data              # (keys, Member) of what is walked ahead
    cdef list time              # (clock, keys, Member, path as bytes, keys of its fields)
    cdef list logged


cdef class Objects:
    cdef readonly Events events
    cdef object _mappings
    cdef list _shapes           # (shape, keys of `has`, of `provider`, of `event`)
    cdef dict _wraps
    cdef readonly Py_ssize_t members    # remembered so far
    cdef readonly str why       # why the last text was refused
    # The object at hand.
    cdef Wrap _wrap
    cdef list _kept
    cdef Member _clock          # held by `time`: not a pair
    cdef Py_ssize_t _keys
    cdef bint _floats
    cdef bint _repaired
    cdef bint _exact

    # Puts the JSON text at `p`, which stands at `offset`; 0: it is no JSON, and `why` says why;
    # 1: a row; 2: a row, and a batch is full.
    cdef int add(self, const uint8_t* p, Py_ssize_t n, int64_t offset) except -1

    cdef int _row(self, value, bytes text, int64_t offset, int64_t length, bint exact) except -1
    cdef int _odd(self, bytes text, int64_t offset, int64_t length) except -1
    cdef Wrap _wrap_of(self, d)
    cdef Wrap _new_wrap(self, shape, Plan* plan)
    cdef Member _at(self, Wrap wrap, str path)
    cdef Member _new_member(self, Wrap wrap, Member parent, str key)
    cdef int _times(self, d) except -1
    cdef int _wrapped(self, d, Member parent, int depth) except -1
    cdef int _members(self, d, Member parent, int depth) except -1
    cdef int _value(self, Member member, value, int depth) except -1
    cdef int _text(self, Target* target, value) except -1
    cdef int _made(self, Target* target, str text) except -1
    cdef int _odd_value(self, Member member, value, int depth) except -1
    cdef Target* _pair_of(self, Member member) except NULL
    cdef Wrap _plan_wrap(self, shape, str provider, str code, int skipped)
    cdef list _clocks(self, Wrap wrap, clocks)
    cdef int _data_text(self, Member member, str value, int depth) except -1
