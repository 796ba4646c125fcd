"""Named values of an event into the columns that the mapping names.

    events = Events(mappings)                           # one per artifact
    plan = events.plans.plan(provider, n, event_id)     # see event_plan.pxd
    while plan.when is not NULL and not events.fits(plan, its_field):
        plan = events.plans.otherwise(plan)
    to = events.plans.target(plan, name, n)

    events.begin(plan)
    events.system(CHANNEL, &value)                      # fields of `System`
    events.put(to, &value)                              # each named value, once
    events.end(offset, length, sub, flags, own_hash)

The bytes that a Value points to must stay where they are until `end`. Everything above is
nogil; the GIL is only taken when a plan, name or word is met for the first time.
"""

from cpython.ref cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from tracelake.native.columns cimport Buffer, DictColumn
from tracelake.native.key cimport Key
from tracelake.parsers.event_plan cimport EventPlans, Output, Plan, Sheet, Target
from tracelake.parsers.transforms cimport UIDS, EventRow, ProcessUid
from tracelake.parsers.values cimport Value


cdef struct Waiting:
    Target* target
    Value value


cdef struct Join:               # a path that is to be made of two columns when the event ends
    Target* target
    Output* output
    Value value


cdef struct Origin:             # log, host and event code of a batch, by their codes; their hash
    PyObject* sheet             # NULL: free
    int64_t batch
    int32_t log_name
    int32_t host
    int32_t event_code
    uint64_t hash


cdef struct Late:               # a value of `unmapped` that is put when the event ends
    Py_ssize_t at
    Key key
    Value value


cdef enum:
    ORIGINS = 1024
    LATES = 16
    JOINS = 8


cdef class Events:
    cdef EventPlans plans
    cdef Buffer _text               # a value's text, while transforms read it
    cdef Buffer _waiting            # Waiting, of the event at hand
    cdef Buffer _path               # a path made of two columns
    cdef int _waits
    cdef Late[LATES] _late
    cdef int _lates
    cdef bint _later
    cdef Join[JOINS] _join
    cdef int _joins
    # The event at hand.
    cdef EventRow at
    cdef ProcessUid[UIDS] _uids
    cdef PyObject* _sheet
    cdef int64_t _serial
    cdef Origin[ORIGINS] _origins
    cdef bint _crowded              # all tables together hold too much
    cdef Py_ssize_t _pairs          # of all rows of the batch, -1: none for this event yet

    # --- one event ---
    cdef int begin(self, Plan* plan) except -1 nogil
    cdef bint fits(self, Plan* plan, const Value* value) except -1 nogil
    cdef int put(self, Target* target, const Value* value) except -1 nogil
    cdef inline int put_late(self, Target* target, const Value* value) except -1 nogil:
        """The same, for who does not look at `unmapped` before the event ends."""
        cdef int done
        self._later = True
        done = self.put(target, value)
        self._later = False
        return done

    cdef int set_time(self, int64_t us, int below_ns) except -1 nogil
    # When the log says that it was written, where `time` is another clock; for record_hash.
    cdef int set_logged(self, int64_t us) except -1 nogil
    cdef int time_desc(self, const uint8_t* p, Py_ssize_t n) except -1 nogil
    cdef int keep_raw(self, const uint8_t* p, Py_ssize_t n) except -1 nogil
    # Ends the row. `flags`: parse flags of the parser's own. `own_hash`: 64-bit hash of the
    # record's own bytes, for records that the canonical hash (see `end` in the .pyx) is not for.
    # Returns 1 where a batch is full now (call `take`), else 0.
    cdef int end(
        self, int64_t offset, int64_t length, int64_t sub, int flags, uint64_t own_hash
    ) except -1 nogil
    # Takes back what the event at hand has put.
    cdef int give_up(self) except -1

    cdef inline int system(self, int field, const Value* value) except -1 nogil:
        """A field of `System` of the event at hand."""
        return self.put(self.at.plan.system[field], value)

    cdef inline bint is_canonical(self) noexcept nogil:
        """Whether the event at hand already has all that its canonical hash is made of."""
        return (
            self.at.has_record_id and (self.at.has_logged or self.at.has_time)
            and (<Sheet>self._sheet).log_name.length == self.at.row + 1
            and (<Sheet>self._sheet).device_hostname.length == self.at.row + 1
        )

    cdef inline int flag(self, int flags) noexcept nogil:
        """Adds parse flags to the event at hand."""
        self.at.flags |= flags
        return 0

    # --- inside ---
    cdef bint _fits_any(self, Plan* plan, pairs) except -1
    cdef int _copy(self, Output* out, const Value* v) except -1 nogil
    cdef int _view(self, const Value* v, const uint8_t** p, Py_ssize_t* n) except -1 nogil
    cdef int _word(self, DictColumn column, Py_ssize_t row, const Value* v) except -1 nogil
    cdef int32_t _first(self, DictColumn column, const Key* key, const Value* v) except -1 nogil
    cdef int _defer(self, DictColumn values, Py_ssize_t at, const Value* v) except -1 nogil
    cdef int _look_up(self, DictColumn values) except -1 nogil
    cdef int _pair(self, Target* target, const Value* v) except -1 nogil
    cdef int _candidate(self, Target* target, Output* out, const Value* v) except -1 nogil
    cdef Waiting* _waited(self, int i) noexcept nogil
    cdef int _choose(self) except -1 nogil
    cdef int _join_later(self, Target* target, Output* out, const Value* v) except -1 nogil
    cdef int _join_paths(self) except -1 nogil
    cdef uint8_t* _room(self, Py_ssize_t n) except NULL nogil
    cdef int _process_uids(self) except -1 nogil
    cdef bint _is_crowded(self) except -1 nogil
    cdef uint64_t _canonical(self) except? 0 nogil
