"""Named values of an event into the columns that the mapping names.

    events = Events(mappings)                       # one per artifact
    plan = events.plan(provider, n, event_id)       # what becomes of this kind of event
    to = events.target(plan, name, n)               # where one of its named values goes

    events.begin(plan)
    events.system(CHANNEL, &value)                  # fields of `System`
    events.put(to, &value)                          # each named value, once
    events.end(offset, length, sub, flags, own_hash)

Plans and targets stay valid as long as the Events: look them up once per compiled template.
The bytes that a Value points to must stay where they are until `end`. Everything above is
nogil; the GIL is only taken when a plan, name or word is met for the first time.
"""

from cpython.ref cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from tracelake.native.columns cimport (
    Buffer, Column, DictColumn, IntColumn, MapColumn, Rows, TextColumn,
)
from tracelake.parsers.values cimport Value


# Fields of `System`.
cdef enum:
    PROVIDER            # Provider Name
    PROVIDER_GUID       # Provider Guid
    EVENT_ID            # EventID
    VERSION
    LEVEL
    TASK
    OPCODE
    KEYWORDS
    TIME_CREATED        # TimeCreated SystemTime
    RECORD_ID           # EventRecordID
    ACTIVITY            # Correlation ActivityID
    RELATED             # Correlation RelatedActivityID
    PID                 # Execution ProcessID
    TID                 # Execution ThreadID
    CHANNEL
    COMPUTER
    USER                # Security UserID
    SYSTEM_FIELDS


# Bits of `parse_flags`.
cdef enum:
    TRUNCATED = 1
    FROM_SLACK = 2
    CHECKSUM_BAD = 4
    TIME_REPAIRED = 8
    NAME_GUESSED = 16
    ZONE_ASSUMED = 32
    YEAR_INFERRED = 64
    TEXT_REPAIRED = 128


cdef struct Plan
cdef struct Target
cdef struct Output


cdef struct ValueMap:
    Py_ssize_t count
    const uint8_t** texts
    Py_ssize_t* sizes
    int64_t* numbers            # values of a number map
    const uint8_t** words       # values of a text map
    Py_ssize_t* word_sizes
    bint* first                 # whether it is the first text with its value


cdef struct Waiting:
    Target* target
    Value value


cdef struct Choice:
    int64_t serial              # event that it was last filled for
    int count                   # fields to choose from
    Output** outputs            # by rank
    int* waiting                # by rank: index of the value that waits, or -1


cdef struct Output:
    int transform
    int kind                    # of column
    PyObject* column            # borrowed; the Sheet keeps it
    int64_t low
    int64_t high
    int hash                    # which hash
    int covered                 # hash: those that the field has columns for; account: has domain
    ValueMap* values
    Choice* choice              # the column has several fields to choose from
    int rank


cdef struct Target:
    Plan* plan
    const uint8_t* name         # UTF-8; borrowed, kept by the Events
    Py_ssize_t name_length
    int32_t key                 # code of `name` among the keys of `unmapped`
    int64_t key_batch           # batch that the code is of
    int64_t seen                # event that it was last put for
    int64_t held                # event for which a column holds it exactly
    int count
    Output* outputs


cdef struct Slot:
    uint64_t hash
    const uint8_t* text
    Py_ssize_t length
    void* value


cdef struct Names:
    Slot* slots
    Py_ssize_t mask
    Py_ssize_t count


cdef struct Plan:
    PyObject* sheet             # Sheet; borrowed
    PyObject* event             # normalize.mapping.Event or None; borrowed
    Names* names                # name -> Target*
    Target* system[SYSTEM_FIELDS]           # by System
    int constants
    PyObject** constant_columns
    int64_t* constant_values
    int choices
    Choice** choice
    bint severity               # taken from Level


cdef class Bound:
    """A Target as a Python object."""
    cdef Target* target


cdef class Sheet:
    """The columns of one table that every event fills."""
    cdef readonly Rows rows
    cdef int64_t batch
    cdef MapColumn unmapped
    cdef TextColumn raw
    cdef IntColumn time
    cdef IntColumn time_ns
    cdef DictColumn time_desc
    cdef IntColumn src_offset
    cdef IntColumn src_length
    cdef IntColumn sub
    cdef IntColumn record_hash
    cdef IntColumn parse_flags
    cdef IntColumn severity_id
    cdef DictColumn device_hostname
    cdef DictColumn log_name
    cdef DictColumn event_code


cdef class Events:
    cdef object _mappings
    cdef dict _sheets               # table -> Sheet
    cdef list _keep                 # Python objects that structs point into
    cdef Names _plans               # provider \x1f code -> Plan*
    cdef Plan* _raw                 # events without a mapping
    cdef Buffer _text               # a value's text, while transforms read it
    cdef Buffer _waiting            # Waiting, of the event at hand
    cdef int _waits
    # The event at hand.
    cdef Plan* _plan
    cdef PyObject* _sheet
    cdef Py_ssize_t _row
    cdef int64_t _serial
    cdef Py_ssize_t _pairs          # of all rows of the batch, -1: none for this event yet
    cdef int _flags
    cdef bint _has_time
    cdef int64_t _time
    cdef int _below
    cdef bint _has_logged
    cdef int64_t _logged
    cdef bint _has_record_id
    cdef int64_t _record_id
    cdef int64_t _level
    cdef PyObject* _uid_column
    cdef int64_t _uid_pid

    # --- looking up ---
    # The plan for events `event_id` of a provider (UTF-8): raw_event's where none is mapped.
    cdef Plan* plan(self, const uint8_t* provider, Py_ssize_t n, int64_t event_id) except NULL nogil
    # The same for events that are told apart by a name.
    cdef Plan* plan_named(
        self, const uint8_t* provider, Py_ssize_t n, const uint8_t* code, Py_ssize_t code_length
    ) except NULL nogil
    # Where the value `name` (UTF-8) of such events goes: columns, or `unmapped`.
    cdef Target* target(self, Plan* plan, const uint8_t* name, Py_ssize_t n) except NULL nogil
    # A column that every table has, from fields of a shipper's own: a Bound for each of the
    # normalize.mapping.Source, of which the first that is set fills the column. Takes the GIL,
    # as does `pair`.
    cdef list bind(self, Plan* plan, str column, sources)
    # A pair of `unmapped`, whatever the mapping says of its name.
    cdef Target* pair(self, Plan* plan, str name) except NULL

    # The same for names that are data, of which there is no end: a new name is not remembered,
    # but fills `room`, a Target of the caller's; `name` must live as long.
    cdef Target* loose(self, Plan* plan, bytes name, Target* room) except NULL

    # --- one event ---
    cdef int begin(self, Plan* plan) except -1 nogil
    cdef int put(self, Target* target, const Value* value) except -1 nogil
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
        return self.put(self._plan.system[field], value)

    cdef inline bint is_canonical(self) noexcept nogil:
        """Whether the event at hand already has all that its canonical hash is made of."""
        return (
            self._has_record_id and (self._has_logged or self._has_time)
            and (<Sheet>self._sheet).log_name.length == self._row + 1
            and (<Sheet>self._sheet).device_hostname.length == self._row + 1
        )

    cdef inline int flag(self, int flags) noexcept nogil:
        """Adds parse flags to the event at hand."""
        self._flags |= flags
        return 0

    # --- inside ---
    cdef void* _block(self, Py_ssize_t size) except NULL
    cdef Sheet _sheet_of(self, str table)
    cdef Plan* _build(self, event, str table) except NULL
    cdef int _fill_plan(self, Plan* plan, event, str table) except -1
    cdef Choice* _new_choice(self, Plan* plan, int count) except NULL
    cdef int _targets_of(self, Plan* plan, event, Sheet sheet) except -1
    cdef Target* _free_target(self, Plan* plan, bytes name) except NULL
    cdef Target* _new_target(self, Plan* plan, bytes name) except NULL
    cdef Target* _add(self, Plan* plan, bytes name) except NULL
    cdef int _outputs(self, Target* target, list made, Sheet sheet) except -1
    cdef int _output_of(self, Output* out, Sheet sheet, str column, str transform) except -1
    cdef ValueMap* _value_map(self, values) except NULL
    cdef int _copy(self, Output* out, const Value* v) except -1 nogil
    cdef Target* _again(self, Target* target) except NULL nogil
    cdef int _view(self, const Value* v, const uint8_t** p, Py_ssize_t* n) except -1 nogil
    cdef int _pair(self, Target* target, const Value* v) except -1 nogil
    cdef int _candidate(self, Target* target, Output* out, const Value* v) except -1 nogil
    cdef Waiting* _waited(self, int i) noexcept nogil
    cdef int _choose(self) except -1 nogil
    cdef int _word(self, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil
    cdef int _number(self, Output* out, int64_t value) except -1 nogil
    cdef int _fill(
        self, Output* out, const Value* v, const uint8_t* p, Py_ssize_t n
    ) except -1 nogil
    cdef int _fill_number(
        self, Output* out, const Value* v, const uint8_t* p, Py_ssize_t n
    ) except -1 nogil
    cdef int _fill_truth(self, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil
    cdef int _fill_time(
        self, Output* out, const Value* v, const uint8_t* p, Py_ssize_t n
    ) except -1 nogil
    cdef int _fill_guid(self, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil
    cdef int _fill_account(self, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil
    cdef int _fill_hash(self, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil
    cdef int _fill_map(self, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil
    cdef int _fill_list(self, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil
    cdef int _fill_name(self, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil
    cdef int _process_uid(self) except -1 nogil
    cdef uint64_t _canonical(self) except? 0 nogil


cdef uint64_t hash64(const uint8_t* p, Py_ssize_t n, uint64_t seed) noexcept nogil
