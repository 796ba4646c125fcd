"""Plans of templates: memory, and how they are put together (see evtx_plan.pxd)."""

from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

from tracelake.native.cursor cimport corrupt
from tracelake.native.text cimport utf16le_utf8
from tracelake.parsers.evtx_memo cimport MEMO_OPS, free_memo


cdef int grow(void** block, int32_t* room, int32_t need, size_t size) except -1 nogil:
    cdef int32_t wanted = room[0] if room[0] else 16
    cdef void* grown
    if need <= room[0]:
        return 0
    while wanted < need:
        wanted *= 2
    grown = realloc(block[0], wanted * size)
    if grown is NULL:
        with gil:
            raise MemoryError()
    block[0] = grown
    room[0] = wanted
    return 0


cdef void free_plan(Plan* plan) noexcept nogil:
    cdef Bound* bound
    cdef int32_t i, k
    if plan is NULL:
        return
    free(plan.ops)
    free(plan.parts)
    free(plan.text)
    free(plan.contexts)
    for k in range(BOUNDS if plan.bound is not NULL else 0):
        while plan.bound[k] is not NULL:
            bound = plan.bound[k]
            plan.bound[k] = bound.next
            free(bound.targets)
            if bound.memos is not NULL:
                for i in range(plan.op_count):
                    free_memo(&bound.memos[i])
            free(bound.memos)
            free(bound)
    free(plan.bound)
    free(plan)


cdef Bound* bound_to(Plan* plan, void* owner, int64_t* held) except NULL nogil:
    cdef size_t place = <size_t>owner
    cdef Bound** first
    cdef Bound* bound
    cdef Bound* before = NULL
    if plan.bound is NULL:
        plan.bound = <Bound**>calloc(BOUNDS, sizeof(Bound*))
        if plan.bound is NULL:
            with gil:
                raise MemoryError()
        held[0] += BOUNDS * sizeof(Bound*)
    first = &plan.bound[((place >> 4) ^ (place >> 11)) & (BOUNDS - 1)]
    bound = first[0]
    while bound is not NULL and bound.owner is not owner:
        before = bound
        bound = bound.next
    if bound is NULL:
        bound = <Bound*>calloc(1, sizeof(Bound))
        if bound is not NULL:
            bound.targets = <void**>calloc(plan.op_count + 1, sizeof(void*))
        if bound is NULL or bound.targets is NULL:
            free(bound)
            with gil:
                raise MemoryError()
        bound.owner = owner
        held[0] += sizeof(Bound) + plan.op_count * sizeof(void*)
        if plan.op_count <= MEMO_OPS and held[0] < MAX_HELD:
            bound.memos = <Memo*>calloc(plan.op_count + 1, sizeof(Memo))
            if bound.memos is not NULL:     # without memory for it, it goes without
                held[0] += plan.op_count * sizeof(Memo)
    elif before is NULL:
        return bound
    else:
        before.next = bound.next
    # A template that many kinds of events share (classic logs) is asked in runs.
    bound.next = first[0]
    first[0] = bound
    return bound


cdef int32_t put_text(Plan* plan, const uint8_t* p, int32_t n) except -1 nogil:
    cdef int32_t at = plan.text_length
    if at + n > MAX_TEXT:
        return corrupt(0, b"template", b"its names and texts expand without bound")
    grow(<void**>&plan.text, &plan.text_room, at + n + 1, 1)
    memcpy(plan.text + at, p, n)
    plan.text_length += n
    return at


cdef int32_t put_utf16(Plan* plan, const uint8_t* p, int32_t units) except -1 nogil:
    cdef int32_t at = plan.text_length
    cdef int repaired = 0
    if at + 3 * units > MAX_TEXT:
        return corrupt(0, b"template", b"its names and texts expand without bound")
    grow(<void**>&plan.text, &plan.text_room, at + 3 * units + 1, 1)
    plan.text_length += <int32_t>utf16le_utf8(p, units, plan.text + at, &repaired)
    return at


cdef int32_t put_path(Plan* plan, int32_t prefix_at, int32_t prefix_length, int32_t name_at,
                      int32_t name_length) except -1 nogil:
    cdef int32_t at = plan.text_length
    cdef int32_t need = prefix_length + 1 + name_length
    if at + need > MAX_TEXT:
        return corrupt(0, b"template", b"its names and texts expand without bound")
    grow(<void**>&plan.text, &plan.text_room, at + need + 1, 1)
    memcpy(plan.text + at, plan.text + prefix_at, prefix_length)
    plan.text[at + prefix_length] = 46  # .
    memcpy(plan.text + at + prefix_length + 1, plan.text + name_at, name_length)
    plan.text_length += need
    return at


cdef int32_t put_part(Plan* plan, int32_t index, int32_t at, int32_t length) except -1 nogil:
    cdef Part* part
    grow(<void**>&plan.parts, &plan.part_room, plan.part_count + 1, sizeof(Part))
    part = &plan.parts[plan.part_count]
    part.index = index
    part.at = at
    part.length = length
    part.next = -1
    plan.part_count += 1
    return plan.part_count - 1


cdef Op* put_op(Plan* plan, uint8_t kind) except NULL nogil:
    cdef Op* op
    grow(<void**>&plan.ops, &plan.op_room, plan.op_count + 1, sizeof(Op))
    op = &plan.ops[plan.op_count]
    memset(op, 0, sizeof(Op))   # also the padding: plans are compared as bytes
    op.kind = kind
    op.slot = NO_SLOT
    op.index = -1
    op.first = -1
    op.last = -1
    op.name_index = -1
    op.instance = -1
    plan.op_count += 1
    return op
