"""A template of binary XML, compiled: which value goes where.

A log holds the definition of each kind of event once per chunk, and per record only the values.
A definition is read once into a `Plan`, a list of `Op`s in document order, each of which says:
this text (parts of literals and values) is that field of `System`, or the pair of that name.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from tracelake.parsers.evtx_memo cimport Memo


cdef enum Slot:                 # fields of System that are columns
    S_PROVIDER
    S_PROVIDER_GUID
    S_EVENT_ID
    S_VERSION
    S_LEVEL
    S_TASK
    S_OPCODE
    S_KEYWORDS
    S_TIME
    S_RECORD_ID
    S_ACTIVITY
    S_RELATED
    S_PID
    S_TID
    S_CHANNEL
    S_COMPUTER
    S_USER
    SLOTS

cdef enum Section:              # what the children of an element are
    AT_ROOT                     # the Event
    AT_EVENT                    # System, EventData, UserData, ...
    AT_SYSTEM
    AT_USERDATA                 # one wrapper, whose name stands in no path
    AT_DATA                     # fields

cdef enum OpKind:
    OP_SYSTEM
    OP_PAIR
    OP_INSTANCE                 # a template instance inside of the fragment

cdef enum:
    NO_SLOT = 255
    MAX_TEXT = 262144           # bytes of a plan's names and literals
    MAX_HELD = 67108864         # bytes of plans, and of what is kept beside them, before they go


cdef struct Part:
    int32_t index               # of the value, or -1: a literal
    int32_t at                  # of the literal, in the plan's text
    int32_t length
    int32_t next                # of the same Op, or -1


cdef struct Op:
    uint8_t kind
    uint8_t slot
    uint8_t attribute           # an optional value that is null leaves it out
    uint8_t quiet               # text of an element that is not a field: null says nothing
    uint8_t optional
    uint8_t section             # what a binary XML value at this place holds
    int32_t index               # of the one value that is the whole text, or -1
    int32_t first               # parts of the text; -1: none
    int32_t last
    int32_t parts
    int32_t name_at             # in the plan's text
    int32_t name_length
    int32_t base_length         # the name without the number that makes it unique
    int32_t name_index          # of the value that is the name, or -1
    int32_t prefix_at           # of names inside of a binary XML value at this place
    int32_t prefix_length
    int32_t instance            # OP_INSTANCE: offset of the token in the body


cdef struct Bound:              # what a reader has looked up for a plan's ops
    void* owner                 # for which kind of event
    void** targets              # by op; NULL: not yet
    Memo* memos                 # by op; NULL: the plan goes without
    Bound* next


cdef enum:
    # A power of two. All events share the template of `System`: with 16, whose chains were 25 long,
    # going along them was 2 % of reading.
    BOUNDS = 128


cdef struct Plan:
    Op* ops
    Part* parts
    uint8_t* text               # names and literals, UTF-8
    int32_t* contexts           # by op: context of a binary XML value, -1 until one is met
    int32_t op_count
    int32_t op_room
    int32_t part_count
    int32_t part_room
    int32_t text_length
    int32_t text_room
    int32_t pairs               # ops that give pairs
    uint8_t local               # holds instances: stands for this one place of this one chunk
    uint8_t framed              # evtx_frame: 0 not asked yet, 1 yes, 2 no
    uint8_t guessed             # a name did not match its checksum, or the body another's
    uint64_t digest             # of ops, parts and text
    int32_t apart               # number of the plan whose names were seen to be others
    int32_t number              # running, unique for the life of a Plans; -1: of one record
    Bound** bound               # BOUNDS of them, by owner, latest first; NULL while there is none
    Plan* same                  # next in the digest's chain


# Room for `need` items of `size` bytes, keeping those that are there.
cdef int grow(void** block, int32_t* room, int32_t need, size_t size) except -1 nogil
cdef void free_plan(Plan* plan) noexcept nogil
# What is looked up of a plan for `owner`; empty at first. `held` counts the bytes that it takes.
cdef Bound* bound_to(Plan* plan, void* owner, int64_t* held) except NULL nogil

# These append to a plan; where in its text, or the number of the part, is returned.
cdef int32_t put_text(Plan* plan, const uint8_t* p, int32_t n) except -1 nogil
cdef int32_t put_utf16(Plan* plan, const uint8_t* p, int32_t units) except -1 nogil
# `<prefix>.<name>`: both lie in the text, which may move.
cdef int32_t put_path(Plan* plan, int32_t prefix_at, int32_t prefix_length, int32_t name_at,
                      int32_t name_length) except -1 nogil
cdef int32_t put_part(Plan* plan, int32_t index, int32_t at, int32_t length) except -1 nogil
cdef Op* put_op(Plan* plan, uint8_t kind) except NULL nogil
