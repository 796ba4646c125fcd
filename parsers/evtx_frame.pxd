"""What `System` of a record came to the last time, as a whole.

The values of a record's outer template are all of `System` and the binary XML of the event's own
data. From record to record of one kind, the types and sizes of these values stay, and their bytes
but for the time, the number, the process, thread and activity. A `Frame` keeps both, and what the
columns were given: where they are the same again, a few comparisons of some dozen bytes stand for
taking the values apart one by one (which was a quarter of the instructions of a record).

    frame = frames[frame_place(...)]
    if fits(frame, ...):
        ... its pairs, then its effects, then its fields
    else:
        ... value by value, and then
        capture(...)

As with memos, nothing is assumed of the transforms: effects are those of the memos that the same
bytes have just filled (evtx_memo.pxd).
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tracelake.native.hash64 cimport tl_fold, tl_word
from tracelake.parsers.event_plan cimport Plan as Kind
from tracelake.parsers.event_plan cimport Sheet
from tracelake.parsers.evtx_compile cimport Instance
from tracelake.parsers.evtx_event cimport Event
from tracelake.parsers.evtx_memo cimport Effect, equal_bytes
from tracelake.parsers.evtx_plan cimport Bound, Plan

cdef enum:
    FRAMES = 1024               # a power of two
    FRAME_VALUES = 32           # of a template; larger ones go without
    FRAME_BYTES = 512           # of values
    FRAME_EFFECTS = 32
    FRAME_STEPS = 16
    FRAME_RANGES = 12
    FRAME_PATIENCE = 63         # misses until one is captured again that was of no use
    NO_FIELD = -1               # of a Step: a pair
    NESTED = -2


cdef struct Range:
    int32_t at
    int32_t n


cdef struct Step:               # a value that is looked at in each record
    const uint8_t* literal      # or NULL, and it stands at `at`
    int32_t at
    int32_t n
    uint32_t kind
    int16_t op
    int16_t slot                # of System; NO_FIELD, NESTED


cdef struct Frame:
    int32_t plan                # its number; -1: nothing is known
    int32_t count               # values
    int64_t batch
    Kind* kind
    void* owner                 # Topic, or the kind where that has a condition
    void* topic
    Bound* bound                # of `plan`, to `owner`; it lives as long as the plan
    int32_t inner               # number of the plan whose pairs came last; -1: none yet
    Bound* inner_bound          # of that one
    int32_t size                # bytes of all values but the nested one
    int32_t described           # bytes of descriptors that are compared
    bint nests                  # the last value is binary XML
    int32_t hits
    int32_t wait
    int32_t patience
    int64_t level
    int range_count
    int effect_count
    int field_count
    int pair_count
    Range[FRAME_RANGES] ranges  # of the values' bytes, which are compared
    Effect[FRAME_EFFECTS] effects
    Step[FRAME_STEPS] fields    # of System
    Step[FRAME_STEPS] pairs     # in the order of the document
    uint8_t[4 * FRAME_VALUES] descriptors
    uint8_t[FRAME_BYTES] values


cdef inline Py_ssize_t frame_place(const Plan* plan, const Instance* instance) noexcept nogil:
    """Where the frame of such a record stands, if there is one. There are 8 bytes of values, and
    three of them at least."""
    # The first values are level, opcode, task and event id; the sizes are those of names, and tell
    # records with an activity from those without. The last value, binary XML mostly, has any.
    cdef uint64_t h = tl_fold(
        tl_word(instance.values) ^ 0x9E3779B185EBCA87ULL, <uint64_t>plan.number ^ 0xC2B2AE3D27D4EB4FULL
    )
    cdef const uint8_t* p = instance.descriptors
    cdef const uint8_t* last = p + 4 * (instance.count - 3)
    while p < last:
        h = tl_fold(h ^ tl_word(p), 0xA0761D6478BD642FULL)
        p += 8
    return <Py_ssize_t>(tl_fold(h ^ tl_word(last), 0xE7037ED1A0B428DBULL) & (FRAMES - 1))


cdef inline bint frame_fits(
    const Frame* frame, const Plan* plan, const Instance* instance
) noexcept nogil:
    """Whether the values have the types, sizes and bytes of those that the frame is of."""
    cdef int i
    if (
        frame.plan != plan.number or frame.count != instance.count
        or frame.batch != (<Sheet>frame.kind.sheet).rows.batch
        or not equal_bytes(frame.descriptors, instance.descriptors, frame.described)
        or instance.size < frame.size
    ):
        return False
    if frame.nests:
        if instance.descriptors[frame.described + 2] != frame.descriptors[frame.described + 2]:
            return False
    for i in range(frame.range_count):
        if not equal_bytes(
            frame.values + frame.ranges[i].at, instance.values + frame.ranges[i].at,
            frame.ranges[i].n,
        ):
            return False
    return True


# Keeps what the record at hand, whose values were put one by one, came to.
cdef int capture(
    Frame** place, Event event, Kind* kind, void* owner, void* topic, int64_t batch
) except -1 nogil
