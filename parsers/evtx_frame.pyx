"""What `System` of a record came to the last time (see evtx_frame.pxd)."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc
from libc.string cimport memcpy

from tracelake.parsers.event_plan cimport K_INT, LEVEL, W_NUMBER, Target
from tracelake.parsers.event_plan cimport Plan as Kind
from tracelake.parsers.evtx_compile cimport Instance
from tracelake.parsers.evtx_event cimport Event
from tracelake.parsers.evtx_item cimport (
    TYPE_FILETIME, TYPE_NULL, TYPE_XML, Item, is_nested, is_uint, uint_of, utf8_item,
)
from tracelake.parsers.evtx_memo cimport Effect, Memo, recalled
from tracelake.parsers.evtx_plan cimport (
    OP_PAIR, OP_SYSTEM, S_ACTIVITY, S_EVENT_ID, S_PID, S_RECORD_ID, S_RELATED, S_TID, S_TIME,
    S_USER, Bound, Op, Part, Plan, bound_to,
)

cdef enum:
    FRAMED_YES = 1
    FRAMED_NO = 2


cdef inline bint _varies(int slot) noexcept nogil:
    """Whether the field is looked at in each record."""
    return (
        slot == S_TIME or slot == S_RECORD_ID or slot == S_PID or slot == S_TID
        or slot == S_ACTIVITY or slot == S_RELATED or slot == S_USER
    )


cdef bint _can_be_framed(Plan* plan) noexcept nogil:
    """Whether each text of the template is one value or one literal, each field given once, and
    no value that varies is another field, too."""
    cdef uint32_t slots = 0
    cdef int32_t i, j
    cdef Op* op
    for i in range(plan.op_count):
        op = &plan.ops[i]
        if op.kind != OP_SYSTEM and op.kind != OP_PAIR or op.name_index >= 0:
            return False
        if op.index < 0 and (op.parts > 1 or (op.parts == 1 and plan.parts[op.first].index >= 0)):
            return False
        if op.kind == OP_PAIR:
            continue
        if slots & (<uint32_t>1 << op.slot):
            return False
        slots |= <uint32_t>1 << op.slot
        if op.index < 0 or not _varies(op.slot):
            continue
        for j in range(plan.op_count):
            if j != i and plan.ops[j].kind == OP_SYSTEM and plan.ops[j].index == op.index:
                return False
    return slots & (<uint32_t>1 << <int>S_EVENT_ID)


cdef int _leave_out(Frame* frame, int32_t at, int32_t n) noexcept nogil:
    """Divides the range that holds these bytes; 0 where there is no room for that."""
    cdef int i
    cdef int32_t end
    for i in range(frame.range_count):
        end = frame.ranges[i].at + frame.ranges[i].n
        if frame.ranges[i].at <= at and at + n <= end:
            if frame.range_count == FRAME_RANGES:
                return 0
            frame.ranges[i].n = at - frame.ranges[i].at
            frame.ranges[frame.range_count].at = at + n
            frame.ranges[frame.range_count].n = end - at - n
            frame.range_count += 1
            return 1
    return 0


cdef int _add_effects(Frame* frame, Memo* memo) noexcept nogil:
    """What a field came to; 0 where it cannot be kept."""
    if memo.pair != -2 or frame.effect_count + memo.count > FRAME_EFFECTS:
        return 0
    if memo.count:
        frame.effects[frame.effect_count] = memo.first
        if memo.count > 1:
            memcpy(&frame.effects[frame.effect_count + 1], memo.others,
                   (memo.count - 1) * sizeof(Effect))
    frame.effect_count += memo.count
    return 1


cdef int _fill(
    Frame* frame, Event event, Plan* plan, Kind* kind, Bound* bound, int64_t batch
) noexcept nogil:
    """Fills the frame; 0 where the record cannot have one."""
    cdef const Instance* top = &event.top
    cdef int32_t i, count = top.count
    cdef Item* items = event.items
    cdef Item* item
    cdef Item literal
    cdef Op* op
    cdef Part* part
    cdef Step* step
    cdef Target* target
    cdef Memo* memo
    frame.nests = items[count - 1].kind == TYPE_XML
    frame.described = 4 * (count - 1 if frame.nests else count)
    frame.size = <int32_t>(items[count - 1].p - top.values)
    if not frame.nests:
        frame.size += items[count - 1].n
    if frame.size > FRAME_BYTES:
        return 0
    frame.level = -1
    frame.effect_count = 0
    frame.field_count = 0
    frame.pair_count = 0
    frame.range_count = 1
    frame.ranges[0].at = 0
    frame.ranges[0].n = frame.size
    for i in range(plan.op_count):
        op = &plan.ops[i]
        if op.index >= 0:
            item = &items[op.index]
        else:
            item = &literal
            literal.kind = TYPE_NULL
            if op.parts == 1:
                part = &plan.parts[op.first]
                literal = utf8_item(plan.text + part.at, part.length)
        if op.index >= 0 and item.kind == TYPE_NULL and item.n:
            # What stands in the place of a value that is not there says nothing (activities that
            # were not begun, in 13 % of all records). Where there is no room, it is compared.
            _leave_out(frame, <int32_t>(item.p - top.values), item.n)
        if item.kind == TYPE_NULL and (
            op.kind == OP_SYSTEM or op.quiet or (op.attribute and op.optional)
        ):
            if op.slot == S_EVENT_ID:
                return 0
            continue
        if frame.field_count == FRAME_STEPS or frame.pair_count == FRAME_STEPS:
            return 0
        step = &frame.fields[frame.field_count]
        if op.kind == OP_PAIR:
            step = &frame.pairs[frame.pair_count]
        step.literal = item.p if op.index < 0 else NULL
        step.at = <int32_t>(item.p - top.values) if op.index >= 0 else 0
        step.n = 0 if item.kind == TYPE_NULL else item.n
        step.kind = item.kind
        step.op = <int16_t>i
        step.slot = op.slot
        if op.kind == OP_PAIR:
            # Its bytes are compared all the same: most are null, and qualifiers stay.
            step.slot = NO_FIELD
            if is_nested(item):
                if item.kind != TYPE_XML or op.index != count - 1 or op.attribute:
                    return 0
                step.slot = NESTED
            frame.pair_count += 1
            continue
        if is_nested(item):
            return 0
        if op.index >= 0 and _varies(op.slot):
            if op.slot == S_TIME and (item.kind != TYPE_FILETIME or item.n != 8):
                return 0
            if op.slot == S_RECORD_ID and not is_uint(item):
                return 0
            if not _leave_out(frame, step.at, step.n):
                return 0
            frame.field_count += 1
            continue
        target = kind.system[op.slot]
        if is_uint(item) and target.count == 1 and target.outputs[0].transform == W_NUMBER and (
            uint_of(item) <= <uint64_t>target.outputs[0].high
        ):
            if frame.effect_count == FRAME_EFFECTS:
                return 0
            frame.effects[frame.effect_count].column = target.outputs[0].column
            frame.effects[frame.effect_count].kind = K_INT
            frame.effects[frame.effect_count].value = <int64_t>uint_of(item)
            frame.effect_count += 1
            if op.slot == LEVEL:
                frame.level = <int64_t>uint_of(item)
            continue
        memo = recalled(&bound.memos[i], item, batch)
        if memo is NULL or not _add_effects(frame, memo):
            return 0
    memcpy(frame.descriptors, top.descriptors, 4 * count)
    memcpy(frame.values, top.values, frame.size)
    return 1


cdef int capture(
    Frame** place, Event event, Kind* kind, void* owner, void* topic, int64_t batch
) except -1 nogil:
    cdef Frame* frame = place[0]
    cdef Plan* plan = event.system_plan
    cdef Bound* bound
    cdef int i
    if frame is not NULL and frame.wait:
        frame.wait -= 1
        return 0
    if (
        plan is NULL or plan.number < 0 or plan is not event.top_plan or event.tops != 1
        or event.top.count < 3 or event.top.count > FRAME_VALUES or event.guessed
    ):
        return 0
    if not plan.framed:
        plan.framed = FRAMED_YES if _can_be_framed(plan) else FRAMED_NO
    if plan.framed == FRAMED_NO:
        return 0
    bound = bound_to(plan, owner, &event.plans.held)
    if bound.memos is NULL:
        return 0
    if frame is NULL:
        frame = <Frame*>calloc(1, sizeof(Frame))
        if frame is NULL:
            return 0        # without memory for it, it goes without
        place[0] = frame
    elif frame.hits:
        frame.patience = 0
    elif frame.patience < FRAME_PATIENCE:
        frame.patience = 2 * frame.patience + 1
    frame.wait = frame.patience
    frame.hits = 0
    frame.plan = -1
    frame.count = event.top.count
    frame.kind = kind
    frame.owner = owner
    frame.topic = topic
    frame.bound = bound
    frame.inner = -1
    frame.batch = batch
    if _fill(frame, event, plan, kind, bound, batch):
        frame.plan = plan.number
    return 0
