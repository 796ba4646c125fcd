"""What the values of a template came to the last time (see evtx_memo.pxd).

Measured: it answers for three of four values of ordinary logs (for five of eight, when it kept one
value instead of four).
"""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t
from libc.stdlib cimport calloc, malloc, realloc
from libc.string cimport memcpy

from tracelake.native.columns cimport BoolColumn, Column, DictColumn, IntColumn
from tracelake.parsers.event_plan cimport K_BOOL, K_INT, K_WORD, W_PATH_JOIN, Output, Sheet
from tracelake.parsers.evtx_plan cimport MAX_HELD
from tracelake.parsers.transforms cimport EventRow

cdef enum:
    MAX_RAW = 1024              # bytes of a value that is remembered
    FIRST_CREDIT = 64


cdef bint _can_be_repeated(Target* target, Py_ssize_t row) noexcept nogil:
    """Whether all that the target fills can be read back, and nothing has filled it yet."""
    cdef Output* out
    cdef int i
    if target.count > MEMO_EFFECTS:
        return False
    for i in range(target.count):
        out = &target.outputs[i]
        if out.choice is not NULL or out.transform == W_PATH_JOIN:
            return False
        if out.kind != K_WORD and out.kind != K_INT and out.kind != K_BOOL:
            return False
        if (<Column>out.column).length > row:
            return False
    return True


cdef bint _same_row(const EventRow* a, const EventRow* b) noexcept nogil:
    return (
        a.flags == b.flags and a.has_time == b.has_time and a.has_logged == b.has_logged
        and a.has_record_id == b.has_record_id and a.level == b.level
        and a.uids == b.uids
    )


cdef int64_t _number_in(IntColumn column, Py_ssize_t row) noexcept nogil:
    cdef const uint8_t* p = column.values.data + row * column.width
    if column.width == 8:
        return (<int64_t*>p)[0]
    if column.width == 4:
        return (<int32_t*>p)[0]
    if column.width == 2:
        return (<int16_t*>p)[0]
    return (<int8_t*>p)[0]


cdef int _keep_bytes(Memo* memo, const Item* item, int64_t* held) except -1 nogil:
    cdef Py_ssize_t n = item.n, room = 64
    cdef void* grown
    memo.n = item.n
    memo.kind = item.kind
    if n <= MEMO_NEAR:
        if n:
            memcpy(memo.near, item.p, n)
        return 0
    if n > memo.far_room:
        while room < n:
            room *= 2
        grown = realloc(memo.far, room)
        if grown is NULL:
            with gil:
                raise MemoryError()
        held[0] += room - memo.far_room
        memo.far = <uint8_t*>grown
        memo.far_room = <int32_t>room
    memcpy(memo.far, item.p, n)
    return 0


cdef int _keep_before(Memo* memo, int64_t* held) noexcept nogil:
    """Moves what the last value came to among the ways; the memo takes over the memory of the one
    that is given up for it."""
    cdef Memo before
    cdef Memo* way
    if memo.ways is NULL:
        memo.ways = <Memo*>calloc(MEMO_WAYS, sizeof(Memo))
        if memo.ways is NULL:
            return 0            # without memory for them, it goes without
        held[0] += MEMO_WAYS * sizeof(Memo)
    way = &memo.ways[memo.turn]
    memo.turn = (memo.turn + 1) % MEMO_WAYS
    before = way[0]
    way[0] = memo[0]
    way.ways = NULL
    memo.far = before.far
    memo.far_room = before.far_room
    memo.others = before.others
    return 0


cdef int _read_back(Memo* memo, Target* target, Py_ssize_t row, int64_t* held) except -1 nogil:
    """Keeps what the target's columns have in the row."""
    cdef Effect* effect
    cdef Output* out
    cdef int i
    memo.count = 0
    for i in range(target.count):
        out = &target.outputs[i]
        if (<Column>out.column).length != row + 1:
            continue
        effect = &memo.first
        if memo.count:
            if memo.others is NULL:
                memo.others = <Effect*>malloc((MEMO_EFFECTS - 1) * sizeof(Effect))
                if memo.others is NULL:
                    with gil:
                        raise MemoryError()
                held[0] += (MEMO_EFFECTS - 1) * sizeof(Effect)
            effect = &memo.others[memo.count - 1]
        memo.count += 1
        effect.column = out.column
        effect.kind = out.kind
        if out.kind == K_WORD:
            effect.value = (<int32_t*>(<DictColumn>out.column).codes.data)[row]
        elif out.kind == K_INT:
            effect.value = _number_in(<IntColumn>out.column, row)
        else:
            effect.value = ((<BoolColumn>out.column).values.data[row >> 3] >> (row & 7)) & 1
    return 0


cdef int put(Events events, Target* target, const Item* item, const Value* v, Memo* memo,
             int64_t batch, int64_t* held) except -1 nogil:
    cdef Py_ssize_t pairs = events._pairs
    cdef EventRow before
    if memo.batch == <int32_t>batch and held[0] < MAX_HELD:
        _keep_before(memo, held)
    memo.batch = 0
    if memo.state == MEMO_NEVER:
        return events.put_late(target, v)
    if memo.state == MEMO_NEW:
        memo.credit = FIRST_CREDIT
    memo.state = MEMO_TRIED
    memo.credit -= 1
    if memo.credit < 0 or not _can_be_repeated(target, events.at.row):
        memo.state = MEMO_NEVER
        forget_ways(memo)
        return events.put(target, v)
    if item.n > MAX_RAW or target.seen == events._serial:
        return events.put(target, v)
    before = events.at
    events.put(target, v)
    if not _same_row(&before, &events.at):
        return 0
    _keep_bytes(memo, item, held)
    _read_back(memo, target, events.at.row, held)
    memo.pair = -2
    if events._pairs != pairs:
        pairs = events._pairs - 1
        memo.key = target.key
        memo.pair = -1
        if (<Sheet>events._sheet).unmapped.values.length > pairs:
            memo.pair = (<int32_t*>(<Sheet>events._sheet).unmapped.values.codes.data)[pairs]
    memo.batch = <int32_t>batch
    return 0
