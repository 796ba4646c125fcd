"""A template of binary XML, compiled: which value goes where.

A log holds the definition of each kind of event once per chunk, and per record only the values.
A definition is read once into a `Plan`, a list of `Op`s in document order, each of which says:
this text (parts of literals and values) is that field of `System`, or the pair of that name.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tracelake.native.cursor cimport Cursor


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
    UTF8 = 0x7F                 # an Item's kind beside the value types: UTF-8 text
    TYPE_NULL = 0x00
    TYPE_STRING = 0x01
    TYPE_ANSI = 0x02
    TYPE_XML = 0x21             # binary XML
    TYPE_ARRAY = 0x80


cdef struct Item:               # a value: borrowed bytes and their type
    const uint8_t* p
    int32_t n
    uint8_t kind


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
    Bound* next


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
    uint8_t guessed             # a name did not match its checksum, or the body another's
    uint64_t digest             # of ops, parts and text
    int32_t apart               # number of the plan whose names were seen to be others
    int32_t number              # running, unique for the life of a Plans; -1: of one record
    Bound* bound                # latest first
    Plan* same                  # next in the digest's chain


cdef struct Context:            # where a fragment stands
    uint8_t section
    int32_t at                  # of the prefix of its names
    int32_t length


cdef struct Ref:                # a name outside of the body that uses it
    int32_t offset              # in the chunk
    int32_t units
    int32_t at                  # its UTF-16 in the variant's copy


cdef struct Variant:            # one way that a definition's bytes were written
    uint64_t key
    uint32_t where              # offset in the chunk
    int32_t context
    int32_t length              # of the body
    uint8_t* body               # a copy, and behind it the names it refers to
    Ref* refs
    int32_t ref_count
    Plan* plan
    Variant* next


cdef struct Known:              # the last good plan of a template id, for a broken definition
    uint32_t id
    int32_t context
    Plan* plan
    Known* next


cdef struct Place:              # definitions met in the current chunk
    int64_t offset              # in the chunk; -1: free
    uint32_t id
    int32_t context
    Plan* plan
    const uint8_t* body         # NULL: it is not the one that the record asks for
    bint guessed                # the plan is another definition's of the same id


cdef struct Instance:           # a template instance, taken apart
    uint32_t definition         # offset in the chunk
    uint32_t id                 # of the template: the first four bytes of its GUID
    const uint8_t* descriptors
    int32_t count
    const uint8_t* values
    Py_ssize_t size             # of the values


cdef struct NameSet:            # the names that a record has used
    uint64_t* keys
    int32_t* counts
    int32_t room
    int32_t used


cdef struct Build               # see evtx_plan.pyx


cdef int names_reset(NameSet* s, int32_t expected) except -1 nogil
# 1 where the name is new, else the number that makes it so ("[2]", "[3]", ..).
cdef int32_t names_number(NameSet* s, const uint8_t* name, int32_t n) except -1 nogil
# Writes "[<number>]"; bytes written (room: 12).
cdef int32_t put_number(uint8_t* out, int32_t number) noexcept nogil

# The looked-up targets of a plan for `owner`; empty at first.
cdef void** bound_to(Plan* plan, void* owner) except NULL nogil

cdef int take_instance(Cursor* c, Py_ssize_t chunk_length, const uint8_t* chunk,
                       Instance* out) except -1 nogil


cdef class Plans:
    """All plans of a log, and which of them the definitions of the current chunk are."""
    cdef Variant** variants     # by key
    cdef Plan** digests         # by digest
    cdef Known** known          # by template id
    cdef Plan** locals          # of the current chunk
    cdef int32_t local_count
    cdef int32_t local_room
    cdef Place* places
    cdef int32_t place_count
    cdef Context* contexts
    cdef int32_t context_count
    cdef uint8_t* prefixes
    cdef int32_t prefix_length
    cdef Build* build
    cdef NameSet names
    cdef readonly int64_t held          # bytes of plans and variants
    cdef readonly int64_t compiled
    cdef readonly int64_t variant_count
    cdef readonly int32_t plan_count
    cdef int32_t next_number
    cdef int64_t work                   # tokens left for this chunk
    cdef const uint8_t* chunk
    cdef Py_ssize_t chunk_length
    cdef int64_t origin

    cdef int begin_chunk(self, const uint8_t* chunk, Py_ssize_t length, int64_t origin) except -1 nogil
    cdef int32_t context(self, int section, const uint8_t* prefix, int32_t length) except -1 nogil
    cdef Place* definition(self, uint32_t offset, uint32_t id, int32_t context) except NULL nogil
    cdef int _resolve(self, Place* place) except -1 with gil
    cdef Known** _known(self, uint32_t id, int32_t context) noexcept nogil
    cdef Plan* compile(self, Cursor body, int32_t context, bint bare) except NULL nogil
    cdef Plan* fragment(self, Cursor body, int32_t context, bint bare) except NULL nogil
    cdef int _own(self, Plan* plan) except -1 nogil
    cdef int _number(self, Plan* plan) except -1 nogil
    cdef Variant* _find(self, uint64_t key, uint32_t where, int32_t context,
                        const uint8_t* body, Py_ssize_t size) noexcept nogil
    cdef Plan* _keep(self, Plan* plan, uint32_t where, int32_t context, const uint8_t* body,
                     Py_ssize_t size) except NULL nogil
    cdef int _clear(self) noexcept nogil
