"""What becomes of an event's named values: a mapping, compiled.

    plans = EventPlans(mappings)                    # one per artifact
    plan = plans.plan(provider, n, event_id)        # what becomes of this kind of event
    to = plans.target(plan, name, n)                # where one of its named values goes

A *plan* knows the table of its events; a *target* the columns that a name fills, each an
*output*; a *choice* the outputs of one column that several fields can fill. All stay valid as
long as the EventPlans: look them up once per compiled template. Looking up is nogil; the GIL is
only taken when a plan or name is met for the first time.
"""

from cpython.ref cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from tracelake.native.columns cimport DictColumn, IntColumn, MapColumn, Rows, TextColumn
from tracelake.native.names cimport Names


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


# The transforms (normalize.mapping.TRANSFORMS says what each is).
cdef enum Way:
    W_TEXT, W_NUMBER, W_HEX, W_SIGNED_HEX, W_TRUTH, W_TIME, W_UTC_MS, W_IP, W_GUID, W_GUID_UPPER
    W_SID, W_LOGON_ID, W_ACCOUNT, W_DOMAIN, W_HASH, W_MAP, W_LIST, W_DNS_ANSWERS, W_FILE_NAME
    W_EXTENSION, W_PROCESS_UID, W_BITS
    W_BEFORE, W_LINE, W_LINE_ACCOUNT, W_LINE_DOMAIN, W_STARTS, W_FIND_IP, W_FIND_PORT, W_MOF
    W_BINARY_NAME, W_BINARY_GUID, W_BINARY_STATE
    W_URL_SCHEME, W_URL_HOST, W_URL_PATH, W_URL_QUERY, W_RESOURCE_PATH, W_DIGEST
    W_SOCKADDR_IP, W_SOCKADDR_PORT
    W_SPLIT, W_PARAM, W_CODE, W_PRINCIPAL, W_PRINCIPAL_DOMAIN, W_XML
    W_REG_KEY, W_REG_VALUE, W_STREAM, W_AUDIT, W_EPOCH, W_ITEMS, W_JSON
    W_PATH_JOIN, W_TECHNIQUES, W_PARTS, W_DNS_NAME, W_DNS_TYPE
    W_HOST, W_DECIMAL, W_JOINED
    W_CELL


cdef enum ColumnKind:
    K_WORD, K_TEXT, K_INT, K_BOOL, K_TIME, K_TEXTS, K_DOUBLE, K_BIGS


cdef struct Plan


cdef struct ValueMap:           # of `map`: the texts that have a value
    Py_ssize_t count
    const uint8_t** texts
    Py_ssize_t* sizes
    int64_t* numbers            # values of a number map
    const uint8_t** words       # values of a text map
    Py_ssize_t* word_sizes
    bint* first                 # whether it is the first text with its value
    uint64_t* masks             # of `bits`


cdef struct Output


cdef struct Choice:             # a column that several fields can fill
    int64_t serial              # event that it was last filled for
    int count                   # fields to choose from
    Output** outputs            # by rank
    int* waiting                # by rank: index of the value that waits, or -1


cdef struct Output:             # a column that a name fills
    int transform               # Way
    int kind                    # ColumnKind
    PyObject* column            # borrowed; the Sheet keeps it
    int64_t low
    int64_t high
    int hash                    # which hash
    int covered                 # hash: those that the field has columns for; account: has domain, reg_value: reg_key
    ValueMap* values
    PyObject* codes             # CodeTable; borrowed
    int unit                    # epoch: which (since_epoch.pxd)
    PyObject* other             # column of the same row that the transform looks at; borrowed
    bint other_is_word          # it is a DictColumn
    const uint8_t* argument     # of transforms that take a text
    Py_ssize_t argument_length
    bint answers                # the field's text can be told from the column: it has an inverse
    bint defaulted              # `usual` stands in the column where no field gives a value
    int64_t usual
    Choice* choice              # the column has several fields to choose from
    int rank


cdef struct Target:             # where a name goes
    Plan* plan
    const uint8_t* name         # UTF-8; borrowed, kept by the EventPlans
    Py_ssize_t name_length
    int32_t key                 # code of `name` among the keys of `unmapped`
    int64_t key_batch           # batch that the code is of
    int64_t seen                # event that it was last put for
    int64_t repeats             # number that a repeat of the name was given last
    int64_t repeats_of          # in this event
    int64_t held                # event for which a column holds it exactly
    bint lists                  # some column takes lists as JSON text
    bint kept                   # stands in `unmapped` whatever columns hold: a condition's field
    int count
    Output* outputs


cdef struct Condition:          # which of the events of a kind a plan is for
    const uint8_t* field
    Py_ssize_t field_length
    bint equal                  # the text is one of these; else it is none of them
    int count
    const uint8_t** texts
    Py_ssize_t* sizes


cdef struct Plan:               # what becomes of a kind of event
    Condition* when             # NULL: of all events of the kind
    Plan* otherwise             # where the condition does not hold
    PyObject* sheet             # Sheet; borrowed
    PyObject* event             # normalize.mapping.Event or None; borrowed
    Names* names                # name -> Target*
    Target* system[SYSTEM_FIELDS]           # by System
    int constants
    PyObject** constant_columns
    int64_t* constant_values
    int words                   # constants that are texts
    PyObject** word_columns
    const uint8_t** word_texts
    Py_ssize_t* word_sizes
    int defaults                # constants of columns that a field fills, where it has a value
    PyObject** default_columns
    int64_t* default_values
    int choices
    Choice** choice
    bint severity               # taken from Level
    bint audited                # status_id is taken from Keywords


cdef class Bound:
    """A Target as a Python object."""
    cdef Target* target


cdef class Sheet:
    """The columns of one table that every event fills."""
    cdef readonly Rows rows
    cdef dict places            # column -> _Place
    cdef Output* system         # two for each System field: its column, and for some a second
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


cdef class EventPlans:
    cdef dict sheets                # table -> Sheet
    cdef object _events             # (provider, code) -> normalize.mapping.Event
    cdef list _keep                 # Python objects that structs point into
    cdef Names _plans               # provider \x1f code -> Plan*
    cdef Plan* _raw                 # events without a mapping

    # The plan for events `event_id` of a provider (UTF-8): raw_event's where none is mapped.
    # Where it has a condition, ask Events.fits before it is used.
    cdef Plan* plan(
        self, const uint8_t* provider, Py_ssize_t n, int64_t event_id
    ) except NULL nogil
    # That of events that are not mapped.
    cdef inline Plan* raw(self) noexcept nogil:
        return self._raw

    # The same for events that are told apart by a name.
    cdef Plan* plan_named(
        self, const uint8_t* provider, Py_ssize_t n, const uint8_t* code, Py_ssize_t code_length
    ) except NULL nogil
    # The plan for events that do not fit the condition of `plan`.
    cdef Plan* otherwise(self, Plan* plan) except NULL nogil
    # Where the value `name` (UTF-8) of such events goes: columns, or `unmapped`.
    cdef Target* target(self, Plan* plan, const uint8_t* name, Py_ssize_t n) except NULL nogil
    # A column that every table has, from fields of a shipper's own: a Bound for each of the
    # normalize.mapping.Source, of which the first that is set fills the column. Takes the GIL,
    # as does `pair`. With `names`, the fields' names in the mapping, the columns that the plan
    # itself takes them to are filled, too.
    cdef list bind(self, Plan* plan, str column, sources, names=*)
    # A pair of `unmapped`, whatever the mapping says of its name.
    cdef Target* pair(self, Plan* plan, str name) except NULL
    # The same for names that are data, of which there is no end: a new name is not remembered,
    # but fills `room`, a Target of the caller's; `name` must live as long.
    cdef Target* loose(self, Plan* plan, bytes name, Target* room) except NULL
    # Where the second, third, ... value of a name goes in event `serial`: `name[2]`, ...
    cdef Target* again(self, Target* target, int64_t serial) except NULL nogil

    # --- inside ---
    cdef void* _block(self, Py_ssize_t size) except NULL
    cdef Sheet _sheet_of(self, str table)
    cdef Plan* _build(self, event, str table) except NULL
    cdef Plan* _pending(self, event) except NULL
    cdef Condition* _condition(self, when) except NULL
    cdef Plan* _meet(self, bytes key) except NULL
    cdef Plan* _ready(self, Plan* plan) except NULL nogil
    cdef int _fill_plan(self, Plan* plan, event, str table) except -1
    cdef int _system_of(self, Sheet sheet) except -1
    cdef int _system_targets(self, Plan* plan, Sheet sheet) except -1
    cdef int _constants(self, Plan* plan, event, Sheet sheet) except -1
    cdef Choice* _new_choice(self, Plan* plan, int count) except NULL
    cdef int _targets_of(self, Plan* plan, event, Sheet sheet) except -1
    cdef Target* _free_target(self, Plan* plan, bytes name) except NULL
    cdef Target* _new_target(self, Plan* plan, bytes name) except NULL
    cdef Target* _add(self, Plan* plan, bytes name) except NULL
    cdef int _outputs(self, Target* target, list made, Sheet sheet) except -1
    cdef int _output_of(self, Output* out, Sheet sheet, str column, str transform) except -1
    cdef _place(self, made)
    cdef ValueMap* _value_map(self, values) except NULL
    cdef int _join_outputs(self, Target* target, const Target* more) except -1
    cdef int _argument(self, Output* out, Sheet sheet, source) except -1
    cdef int _masks(self, ValueMap* made, values) except -1
