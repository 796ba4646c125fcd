"""One record's values, decoded by its template's plan, before they go to a table."""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t

from tracelake.native.cursor cimport Cursor
from tracelake.parsers.evtx_compile cimport Instance
from tracelake.parsers.evtx_item cimport Item
from tracelake.parsers.evtx_names cimport NameSet
from tracelake.parsers.evtx_plan cimport SLOTS, Op, Plan
from tracelake.parsers.evtx_templates cimport Plans
from tracelake.parsers.values cimport Value


cdef struct Pair:
    Plan* plan
    Item item
    int32_t op                  # of the plan, whose name this is; -1: a name of this record only
    # Where it is one; else `pair_name` says it.
    int32_t name_length
    int32_t base_length         # without the number that makes it unique
    const uint8_t* name         # UTF-8, of the plan or of the record


cdef inline const uint8_t* pair_name(const Pair* pair, int32_t* length) noexcept nogil:
    cdef const Op* op
    if pair.op < 0:
        length[0] = pair.name_length
        return pair.name
    op = &pair.plan.ops[pair.op]
    length[0] = op.name_length
    return pair.plan.text + op.name_at


@cython.final
cdef class Event:
    """The record that was decoded last: fields of System, and pairs in document order.

    All pointers are good until the next `decode`, and while the chunk stands.
    """
    cdef Plans plans
    cdef Item[SLOTS] system      # TYPE_NULL: not there
    cdef int32_t[SLOTS] system_op   # that gave the field, of `system_plan`
    cdef Plan* system_plan      # that gave fields of System last; -1 as op: another one gave it
    cdef Instance top           # the record's outer template instance,
    cdef Plan* top_plan         # what it is run by,
    cdef int32_t tops           # and how many there were, bare elements included
    cdef Pair* pairs
    cdef int32_t count
    cdef int32_t room
    cdef bint guessed           # a template or a value was read by guess (parse_flags 16)
    cdef Item* items            # values of the instances that are being run
    cdef int32_t item_count
    cdef int32_t item_room
    cdef uint8_t* arena         # text that is put together for this record
    cdef Py_ssize_t arena_used
    cdef int32_t pair_plans     # plans that gave pairs
    cdef Plan* first            # of these
    cdef Plan* last
    cdef bint renumber          # a name may come twice
    cdef int64_t work           # left for this record
    cdef int64_t chunk_work     # left for this chunk
    cdef NameSet names
    cdef int64_t record         # offset of the record, for messages

    cdef int begin_chunk(
        self, const uint8_t* chunk, Py_ssize_t length, int64_t origin
    ) except -1 nogil
    cdef int decode(self, Cursor content) except -1 nogil
    # Begins a record and takes its outer template instance into `top`, whose `size` is that of all
    # bytes which follow. NULL: it must be decoded value by value.
    cdef Plan* open(self, Cursor content) except? NULL nogil
    cdef int begin_record(self, int64_t origin) noexcept nogil
    cdef int end_record(self) except -1 nogil
    # A pair of a plan that is known to have a name, and what is nested in a value of its.
    cdef int add_pair(self, Plan* plan, int32_t number, const Item* item) except -1 nogil
    cdef int nested(self, Plan* plan, int32_t number, const Item* item) except -1 nogil
    cdef int _fragment(self, Cursor c, int32_t context, int depth, bint nested) except -1 nogil
    cdef int _more_items(self, int32_t need, int64_t at) except -1 nogil
    cdef int _instance(self, Cursor* c, int32_t context, int depth) except -1 nogil
    cdef int _run(self, Plan* plan, const uint8_t* body, int32_t base, int32_t count,
                  int depth) except -1 nogil
    cdef int32_t _context(self, Plan* plan, int32_t number) except -1 nogil
    cdef int _overspent(self) except -1 nogil

    cdef inline int _spend(self, Py_ssize_t n) except -1 nogil:
        # 64 beside its bytes: a value that is empty costs work too.
        self.work -= n + 64
        self.chunk_work -= n + 64
        if self.work < 0 or self.chunk_work < 0:
            return self._overspent()
        return 0

    # An item's bytes as a typed value.
    cdef int value(self, const Item* item, Value* out) except -1 nogil
    cdef int _pair(self, Plan* plan, int32_t number, const Item* item, int32_t base,
                   int32_t count) except -1 nogil
    cdef int _array(self, Plan* plan, int32_t number, Item item, int32_t base,
                    int32_t count) except -1 nogil
    cdef int _joined(self, Plan* plan, Op* op, int32_t base, int32_t count,
                     Item* out) except -1 nogil
    cdef int _system_from(self, Plan* plan) noexcept nogil
    cdef int _field(self, Plan* plan, int32_t number, const Item* item) noexcept nogil
    cdef int _append(self, const Value* value) except -1 nogil
    cdef uint8_t* _room(self, Py_ssize_t n) except NULL nogil
    cdef int _renumber(self) except -1 nogil
    cdef bint _apart(self) except -1 nogil


# The next item of an array: 1 if there is one.
cdef int next_item(Item* rest, Item* out) noexcept nogil
