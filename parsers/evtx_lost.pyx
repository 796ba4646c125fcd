"""What a record says without its template.

A template's definition may be overwritten (records in slack) or destroyed. Its values are still
there, with their types, and those of System stand in an order of their own: Windows' event log
service writes the outer template itself, and in all 96,640 records of the sample logs it is one of
two, with 18 or 20 values, of which the last is the event's own data. So a record whose values have
just these types gives all of System that is no literal of the template (the computer always is,
provider and channel are in the longer one); of its data the values are known, and not the names:
they become `Data`, `Data[2]`, .. in their order. Rows are flagged (parse_flags 16).
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.string cimport strlen

from tracelake.native.cursor cimport le16
from tracelake.parsers.evtx_item cimport TYPE_NULL, TYPE_STRING, TYPE_XML
from tracelake.parsers.evtx_plan cimport (
    AT_DATA, AT_EVENT, AT_ROOT, NO_SLOT, OP_PAIR, OP_SYSTEM, S_ACTIVITY, S_CHANNEL, S_EVENT_ID,
    S_KEYWORDS, S_LEVEL, S_OPCODE, S_PID, S_PROVIDER, S_PROVIDER_GUID, S_RECORD_ID, S_RELATED,
    S_TASK, S_TID, S_TIME, S_USER, S_VERSION, Op, put_op,
    put_part, put_text,
)

cdef enum:
    SYSTEM_VALUES = 17
    UINT8 = 0x04
    UINT16 = 0x06
    UINT32 = 0x08
    UINT64 = 0x0A
    GUID = 0x0F
    FILETIME = 0x11
    SID = 0x13
    HEX64 = 0x15
    QUALIFIERS = 4              # the one that is no column


cdef struct Known:              # a value of System
    uint8_t kind
    uint8_t null                # it may be absent
    uint8_t slot


cdef Known[SYSTEM_VALUES] SYSTEM = [
    Known(UINT8, 0, S_LEVEL), Known(UINT8, 0, S_OPCODE), Known(UINT16, 0, S_TASK),
    Known(UINT16, 0, S_EVENT_ID), Known(UINT16, 1, NO_SLOT), Known(HEX64, 0, S_KEYWORDS),
    Known(FILETIME, 0, S_TIME), Known(GUID, 1, S_ACTIVITY), Known(UINT32, 0, S_PID),
    Known(UINT32, 0, S_TID), Known(UINT64, 0, S_RECORD_ID), Known(UINT8, 0, S_VERSION),
    Known(SID, 1, S_USER), Known(GUID, 1, S_RELATED), Known(TYPE_STRING, 1, S_PROVIDER),
    Known(GUID, 1, S_PROVIDER_GUID), Known(TYPE_STRING, 1, S_CHANNEL),
]


cdef inline uint8_t _kind(const Instance* instance, int32_t i) noexcept nogil:
    return instance.descriptors[4 * i + 2]


cdef bint _is_system(const Instance* instance) noexcept nogil:
    cdef int32_t i
    cdef uint8_t kind
    if instance.count != 18 and instance.count != 20:
        return False
    for i in range(<int32_t>SYSTEM_VALUES):
        kind = _kind(instance, i)
        if kind != SYSTEM[i].kind and not (kind == TYPE_NULL and SYSTEM[i].null):
            return False
    kind = _kind(instance, instance.count - 1)
    return kind == TYPE_XML or kind == TYPE_NULL


cdef Op* _op(Plan* plan, uint8_t kind, int32_t index) except NULL nogil:
    """An op whose whole text is one value."""
    cdef int32_t part = put_part(plan, index, 0, 0)
    cdef Op* op = put_op(plan, kind)
    op.index = index
    op.first = part
    op.last = part
    op.parts = 1
    return op


cdef int _pair(Plan* plan, int32_t index, const char* name, bint quiet) except -1 nogil:
    cdef int32_t length = <int32_t>strlen(name)
    cdef int32_t at = put_text(plan, <const uint8_t*>name, length)
    cdef Op* op = _op(plan, OP_PAIR, index)
    op.quiet = quiet
    op.section = AT_DATA
    op.name_at = at
    op.name_length = length
    op.base_length = length
    op.prefix_at = at
    plan.pairs += 1
    return 0


cdef int plan_by_position(Plan* plan, const Instance* instance, uint8_t section) except -1 nogil:
    cdef int32_t i
    cdef Op* op
    if section != AT_ROOT:
        for i in range(instance.count):
            _pair(plan, i, b"Data", False)
        return 1
    if not _is_system(instance):
        return 0
    for i in range(instance.count):
        if i == instance.count - 1:
            _pair(plan, i, b"Event", True)
            op = &plan.ops[plan.op_count - 1]
            op.section = AT_EVENT
        elif i == QUALIFIERS:
            _pair(plan, i, b"EventID.Qualifiers", True)
        elif i >= SYSTEM_VALUES:
            _pair(plan, i, b"System", True)
        else:
            op = _op(plan, OP_SYSTEM, i)
            op.slot = SYSTEM[i].slot
            op.quiet = 1
    return 1
