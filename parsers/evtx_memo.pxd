"""What the values of a template came to the last time.

From one record to the next of the same kind, most values stay: the host, the user, the logon, the
process. A `Memo` keeps the bytes of one value of a template and what they became (codes of
dictionaries, numbers), so that the same bytes again cost a comparison: no decoding, no rendering,
no transform, no look into a dictionary.

    known = recalled(memo, item, batch)
    if known is not NULL:
        repeat(events, known)
    else:
        put(events, target, item, value, memo, batch, &held)    # and remember

Nothing is assumed of the transforms but that the same value of the same field, in the same kind of
event, does the same to columns that only this field fills; what it did is read back from the
columns, and where it did more (flags, times, the level), it is not remembered.
"""

from cpython.ref cimport PyObject
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy

from tracelake.native.columns cimport BoolColumn, DictColumn, IntColumn
from tracelake.parsers.event_plan cimport K_INT, K_WORD, Sheet, Target
from tracelake.parsers.events cimport Events
from tracelake.parsers.evtx_item cimport Item
from tracelake.parsers.values cimport Value


cdef enum:
    MEMO_EFFECTS = 4            # columns that one value fills
    MEMO_OPS = 512              # of a template; larger ones go without
    MEMO_NEAR = 48
    MEMO_WAYS = 3               # values that are kept beside the last one
    MOST_CREDIT = 1024
    HIT = 4                     # a hit saves about four times what a miss costs

cdef enum MemoState:
    MEMO_NEW                    # as calloc leaves it
    MEMO_TRIED
    MEMO_NEVER                  # what this value does is no mere filling of columns


cdef struct Effect:
    PyObject* column            # DictColumn, IntColumn or BoolColumn; borrowed
    int64_t value
    int64_t kind                # event_plan.ColumnKind


cdef struct Memo:               # two cache lines, of which the second is only read for texts
    uint32_t kind               # as in Item
    int32_t n
    int32_t batch               # that the codes are of; 0: nothing is known
    uint8_t state
    uint8_t count               # of effects
    int16_t credit              # hits bring, misses cost; below zero: not worth it
    Effect first
    int32_t key                 # code of the name in `unmapped`
    int32_t pair                # code of the value there; -1: null, -2: it is not there
    uint8_t[MEMO_NEAR] near     # the value's bytes, where they are few
    uint8_t* far                # else
    Effect* others              # NULL while there is one at most
    int32_t far_room
    int32_t turn                # which of the ways is given up next
    Memo* ways                  # what other values came to; NULL while there was one only


cdef inline bint equal_bytes(const uint8_t* a, const uint8_t* b, Py_ssize_t n) noexcept nogil:
    """memcmp without the call, for the many that are short."""
    cdef uint64_t[4] x
    cdef uint64_t[4] y
    cdef uint32_t s, t
    if n >= 8:
        if n > 32:
            return memcmp(a, b, n) == 0
        # From both ends, which meet or cross.
        memcpy(x, a, 8)
        memcpy(y, b, 8)
        memcpy(x + 1, a + n - 8, 8)
        memcpy(y + 1, b + n - 8, 8)
        if (x[0] ^ y[0]) | (x[1] ^ y[1]):
            return False
        if n <= 16:
            return True
        memcpy(x, a + 8, 8)
        memcpy(y, b + 8, 8)
        memcpy(x + 1, a + n - 16, 8)
        memcpy(y + 1, b + n - 16, 8)
        return not ((x[0] ^ y[0]) | (x[1] ^ y[1]))
    if n >= 4:
        memcpy(&s, a, 4)
        memcpy(&t, b, 4)
        if s != t:
            return False
        memcpy(&s, a + n - 4, 4)
        memcpy(&t, b + n - 4, 4)
        return s == t
    while n > 0:
        n -= 1
        if a[n] != b[n]:
            return False
    return True


cdef inline bint remembered(Memo* memo, const Item* item, int64_t batch) noexcept nogil:
    cdef const uint8_t* known = memo.near
    if memo.batch != <int32_t>batch or memo.n != item.n or memo.kind != item.kind:
        return False
    if item.n > MEMO_NEAR:
        known = memo.far
    return equal_bytes(known, item.p, item.n)


cdef inline Memo* recalled(Memo* memo, const Item* item, int64_t batch) noexcept nogil:
    """The memo of this value, or NULL. Values of many fields come in turn (two processes that
    write, four hosts): of those that are not the last one, half are one of three before it."""
    cdef int i
    if remembered(memo, item, batch):
        return memo
    if memo.ways is not NULL:
        for i in range(MEMO_WAYS):
            if remembered(&memo.ways[i], item, batch):
                if memo.credit < MOST_CREDIT:
                    memo.credit += HIT
                return &memo.ways[i]
    return NULL


cdef inline int apply_effect(const Effect* effect, Py_ssize_t row) except -1 nogil:
    if effect.kind == K_WORD:
        return (<DictColumn>effect.column).put_code(row, <int32_t>effect.value)
    if effect.kind == K_INT:
        return (<IntColumn>effect.column).put(row, effect.value)
    return (<BoolColumn>effect.column).put(row, effect.value != 0)


cdef inline int repeat(Events events, Memo* memo) except -1 nogil:
    """Does to the event at hand what the value did the last time."""
    cdef Py_ssize_t at
    cdef int i
    if memo.credit < MOST_CREDIT:
        memo.credit += HIT
    if memo.count:
        apply_effect(&memo.first, events.at.row)
        for i in range(memo.count - 1):
            apply_effect(&memo.others[i], events.at.row)
    if memo.pair == -2:
        return 0
    at = events._pairs
    if at < 0:
        at = (<Sheet>events._sheet).unmapped.open(events.at.row)
    (<Sheet>events._sheet).unmapped.keys.put_code(at, memo.key)
    if memo.pair >= 0:
        (<Sheet>events._sheet).unmapped.values.put_code(at, memo.pair)
    events._pairs = at + 1
    return 0


cdef inline void forget_ways(Memo* memo) noexcept nogil:
    cdef int i
    if memo.ways is not NULL:
        for i in range(MEMO_WAYS):
            free(memo.ways[i].others)
            free(memo.ways[i].far)
        free(memo.ways)
        memo.ways = NULL


cdef inline void free_memo(Memo* memo) noexcept nogil:
    forget_ways(memo)
    free(memo.others)
    free(memo.far)


# Events.put, and remembers; `v` is the item's value, `held` counts the bytes that memos hold.
cdef int put(Events events, Target* target, const Item* item, const Value* v, Memo* memo,
             int64_t batch, int64_t* held) except -1 nogil
