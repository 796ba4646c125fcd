"""What the values of a template came to the last time.

From one record to the next of the same kind, most values stay: the host, the user, the logon, the
process. A `Memo` keeps the bytes of one value of a template and what they became (codes of
dictionaries, numbers), so that the same bytes again cost a comparison: no decoding, no rendering,
no transform, no look into a dictionary.

    if remembered(memo, value, batch):
        repeat(events, memo)
    else:
        put(events, target, value, memo, batch, &held)      # and remember

Nothing is assumed of the transforms but that the same value of the same field, in the same kind of
event, does the same to columns that only this field fills; what it did is read back from the
columns, and where it did more (flags, times, the level), it is not remembered.
"""

from cpython.ref cimport PyObject
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy

from tracelake.parsers.event_plan cimport Target
from tracelake.parsers.events cimport Events
from tracelake.parsers.values cimport UTF16, Value


cdef enum:
    MEMO_EFFECTS = 4            # columns that one value fills
    MEMO_OPS = 512              # of a template; larger ones go without
    MEMO_NEAR = 40

cdef enum MemoState:
    MEMO_NEW                    # as calloc leaves it
    MEMO_EMPTY
    MEMO_KNOWN
    MEMO_NEVER                  # what this value does is no mere filling of columns


cdef struct Effect:
    PyObject* column            # DictColumn, IntColumn or BoolColumn; borrowed
    int64_t value
    int64_t kind                # event_plan.ColumnKind


cdef struct Memo:               # two cache lines, of which the second is only read for texts
    uint64_t number             # as in Value
    Effect first
    Effect* others              # NULL while there is one at most
    int32_t n                   # as in Value
    int32_t batch               # that the codes are of
    int32_t key                 # code of the name in `unmapped`
    int32_t pair                # code of the value there; -1: null, -2: it is not there
    uint8_t kind                # as in Value
    uint8_t state
    uint8_t count               # of effects
    int16_t credit              # hits bring, misses cost; below zero: not worth it
    uint8_t[MEMO_NEAR] near     # the value's bytes, where they are few
    uint8_t* far                # else
    int32_t far_room


cdef inline Py_ssize_t raw_bytes(const Value* v) noexcept nogil:
    return 2 * v.n if v.kind == UTF16 else v.n


cdef inline bint _equal(const uint8_t* a, const uint8_t* b, Py_ssize_t n) noexcept nogil:
    """memcmp without the call, for the many that are short."""
    cdef uint64_t x, y
    if n > 16:
        return memcmp(a, b, n) == 0
    if n >= 8:
        memcpy(&x, a, 8)
        memcpy(&y, b, 8)
        if x != y:
            return False
        memcpy(&x, a + n - 8, 8)
        memcpy(&y, b + n - 8, 8)
        return x == y
    while n > 0:
        n -= 1
        if a[n] != b[n]:
            return False
    return True


cdef inline bint remembered(const Memo* memo, const Value* v, int64_t batch) noexcept nogil:
    cdef Py_ssize_t n
    if (
        memo.batch != <int32_t>batch or memo.n != v.n or memo.number != v.number
        or memo.kind != v.kind or memo.state != MEMO_KNOWN
    ):
        return False
    n = raw_bytes(v)
    if n <= MEMO_NEAR:
        return _equal(&memo.near[0], v.p, n)
    return _equal(memo.far, v.p, n)


cdef inline void free_memo(Memo* memo) noexcept nogil:
    free(memo.others)
    free(memo.far)


# Does to the event at hand what the value did the last time.
cdef int repeat(Events events, Memo* memo) except -1 nogil
# Events.put, and remembers; `held` counts the bytes that memos hold.
cdef int put(Events events, Target* target, const Value* v, Memo* memo, int64_t batch,
             int64_t* held) except -1 nogil
