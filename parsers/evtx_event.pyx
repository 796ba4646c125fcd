"""Decodes one record: takes its values apart and runs its template's plan over them.

Specification: [MS-EVEN6] 2.2.12.4 (template instance), 2.2.12.5 (values); libevtx. See
`evtx_compile.pyx` for names.

A value whose size does not fit its type, or whose type is unknown, is kept as hexadecimal and
the row is flagged (parse_flags 16), so that a flipped bit costs one value and not the record.

**Speed.** Running a plan hands over where values stand, and not what they are: of five values
four are what they were the last time, and those were decoded for nothing (a fifth of all
instructions of reading a log).
"""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy

from tracelake.native.cursor cimport (
    corrupt, le16, le32, le64, left, offset, span, take,
)
from tracelake.native.text cimport utf16le_utf8
from tracelake.parsers.evtx_compile cimport Instance, take_descriptors
from tracelake.parsers.evtx_item cimport (
    TYPE_ANSI, TYPE_ARRAY, TYPE_NULL, TYPE_STRING, TYPE_XML, UTF8, is_nested, no_item, units_in,
    utf8_item,
)
from tracelake.parsers.evtx_names cimport names_number, names_reset, put_number
from tracelake.parsers.evtx_plan cimport OP_INSTANCE, OP_PAIR, OP_SYSTEM, S_EVENT_ID, Part
from tracelake.parsers.evtx_templates cimport Place
from tracelake.parsers.values cimport (
    BINARY, BOOL, DOUBLE, FILETIME, FLOAT, GUID, HEX32, HEX64, INT, NOTHING, SID, SYSTEMTIME,
    TEXT_VALID, UINT, UTF16, bytes_value, number_value, render, room_for,
)

cdef enum:
    MAX_FRAGMENTS = 16          # nested in each other; real events have 2
    MAX_PAIRS = 65536           # of one record
    MAX_ITEMS = 262144          # values of nested instances at one time
    ARENA = 1048576             # bytes of joined texts and of names made for one record
    RECORD_WORK = 4194304       # bytes of values that one record may give
    CHUNK_WORK = 16777216       # and all records of a chunk

# What Windows-1252 has at 0x80 to 0x9F.
cdef uint16_t[32] ANSI = [
    0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039,
    0x0152, 0x8D, 0x017D, 0x8F, 0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
    0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D, 0x017E, 0x0178,
]


# Value types of fixed size: their bytes, and what they are (values.Kind). 0: the size is the
# value's own.
cdef uint8_t[512] SIZES
cdef uint8_t[512] KINDS


cdef void _types() noexcept nogil:
    cdef uint8_t[15] types = [
        0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0F, 0x11, 0x12, 0x14,
    ]
    cdef uint8_t[15] sizes = [1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 4, 16, 8, 16, 4]
    cdef uint8_t[15] kinds = [
        INT, UINT, INT, UINT, INT, UINT, INT, UINT, FLOAT, DOUBLE, BOOL, GUID, FILETIME,
        SYSTEMTIME, HEX32,
    ]
    cdef int i
    for i in range(15):
        SIZES[types[i]] = sizes[i]
        KINDS[types[i]] = kinds[i]
    SIZES[0x15] = 8
    KINDS[0x15] = HEX64


_types()


cdef inline int _size(uint32_t kind) noexcept nogil:
    """Bytes of a value of fixed size; 0 where the size is the value's own."""
    return SIZES[kind]


cdef inline uint64_t _number(const uint8_t* p, int size, bint is_signed) noexcept nogil:
    if size == 4:
        return <uint64_t><int64_t><int32_t>le32(p) if is_signed else le32(p)
    if size == 8:
        return le64(p)
    if size == 2:
        return <uint64_t><int64_t><int16_t>le16(p) if is_signed else le16(p)
    return <uint64_t><int64_t><int8_t>p[0] if is_signed else p[0]


cdef inline bint _plain(const Item* item, Value* out) noexcept nogil:
    """The value of an item of the common types; False where it is of another or does not fit."""
    cdef const uint8_t* p = item.p
    cdef Py_ssize_t n = item.n
    out.number = 0
    if item.kind == TYPE_STRING:
        out.kind = UTF16
        out.p = p
        out.n = units_in(p, n)
        return True
    out.p = NULL
    out.n = 0
    if SIZES[item.kind] == n and n:
        out.kind = KINDS[item.kind]
        if n == 16:             # GUID, SYSTEMTIME
            out.p = p
            out.n = 16
        else:
            out.number = _number(p, <int>n, out.kind == INT)
        return True
    if item.kind == TYPE_NULL:
        out.kind = NOTHING
        return True
    if item.kind == UTF8:
        out.kind = TEXT_VALID
        out.p = p
        out.n = n
        return True
    return False


cdef int next_item(Item* rest, Item* out) noexcept nogil:
    cdef uint32_t kind = rest.kind & 0x7F
    cdef int32_t n = 0, width = 1
    if rest.n <= 0:
        return 0
    out.kind = kind
    out.p = rest.p
    if kind == TYPE_STRING or kind == TYPE_ANSI:
        # Texts are separated by NULs; one at the very end belongs to the last text.
        width = 2 if kind == TYPE_STRING else 1
        while n + width <= rest.n and (rest.p[n] or (width == 2 and rest.p[n + 1])):
            n += width
        out.n = n
        if n + width <= rest.n:
            n += width
        else:
            n = rest.n
    elif kind == 0x13:
        n = 8 + 4 * (rest.p[1] if rest.n > 1 else 0)
        out.n = n if n < rest.n else rest.n
    elif kind == 0x10:
        # Of which size pointers are is said by that of all of them.
        n = 8
        if rest.n % 8:
            n = 4
            out.kind = 0x14
            rest.kind = TYPE_ARRAY | 0x14
        out.n = n if n < rest.n else rest.n
    else:
        n = _size(kind)
        if n == 0:
            n = rest.n          # no way to tell where one ends: all of it, as it stands
        out.n = n if n < rest.n else rest.n
    if n > rest.n:
        n = rest.n
    rest.p += n
    rest.n -= n
    return 1


cdef class Event:
    def __cinit__(self, Plans plans):
        self.plans = plans
        self.room = 256
        self.item_room = 1024
        self.pairs = <Pair*>malloc(self.room * sizeof(Pair))
        self.items = <Item*>malloc(self.item_room * sizeof(Item))
        self.arena = <uint8_t*>malloc(ARENA)
        if self.pairs is NULL or self.items is NULL or self.arena is NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.pairs)
        free(self.items)
        free(self.arena)
        free(self.names.keys)
        free(self.names.counts)

    cdef int begin_chunk(
        self, const uint8_t* chunk, Py_ssize_t length, int64_t origin
    ) except -1 nogil:
        self.chunk_work = CHUNK_WORK
        return self.plans.begin_chunk(chunk, length, origin)

    cdef int begin_record(self, int64_t origin) noexcept nogil:
        self.system_plan = NULL
        self.tops = 0
        self.count = 0
        self.item_count = 0
        self.arena_used = 0
        self.pair_plans = 0
        self.renumber = False
        self.guessed = False
        self.record = origin
        self.work = RECORD_WORK
        return 0

    cdef int end_record(self) except -1 nogil:
        """All pairs are there; their names are made unique."""
        if self.renumber or (self.pair_plans > 1 and not self._apart()):
            self._renumber()
        return 0

    cdef int decode(self, Cursor content) except -1 nogil:
        """Decodes a record's content: what stands between its header and its size copy."""
        cdef int i
        for i in range(<int>SLOTS):
            self.system[i].kind = TYPE_NULL
            self.system_op[i] = -1
        self.begin_record(content.origin)
        self._fragment(content, 0, 0, False)
        if self.count == 0 and self.system[<int>S_EVENT_ID].kind == TYPE_NULL:
            return corrupt(self.record, b"record", b"holds no event")
        return self.end_record()

    cdef int add_pair(self, Plan* plan, int32_t number, const Item* item) except -1 nogil:
        return self._pair(plan, number, item, 0, 0)

    cdef int nested(self, Plan* plan, int32_t number, const Item* item) except -1 nogil:
        cdef Cursor c = span(
            item.p, item.n, self.plans.chunk.origin + (item.p - self.plans.chunk.start)
        )
        self._spend(item.n)
        return self._fragment(c, self._context(plan, number), 2, True)

    cdef Plan* open(self, Cursor content) except? NULL nogil:
        cdef const Place* place
        cdef Py_ssize_t size = 0
        cdef int32_t i
        self.begin_record(content.origin)
        if left(&content) < 14 or content.at[0] & 0x0F != 0x0F or content.at[4] & 0x0F != 0x0C:
            return NULL
        take(&content, 4, b"fragment header")
        take_descriptors(
            &content, self.plans.chunk.length, self.plans.chunk.start, &self.top
        )
        self.top.values = content.at
        self.top.size = left(&content)
        place = self.plans.met(&self.top, 0)
        if place is NULL:
            # The first of its template in this chunk. (What is broken is told value by value.)
            for i in range(self.top.count):
                size += le16(self.top.descriptors + 4 * i)
            if size > self.top.size:
                return NULL
            place = self.plans.definition(&self.top, 0)
        if place.guessed or place.plan.guessed:
            return NULL
        return place.plan

    cdef int _overspent(self) except -1 nogil:
        return corrupt(self.record, b"record", b"its values expand without bound")

    cdef int _fragment(self, Cursor c, int32_t context, int depth, bint nested) except -1 nogil:
        """Reads a fragment: nearly always a template instance, else elements of its own."""
        cdef Plan* plan
        cdef uint8_t token
        if depth > MAX_FRAGMENTS:
            return corrupt(offset(&c), b"binary XML", b"is nested too deep")
        while left(&c) > 0:
            token = c.at[0] & 0x0F
            if token == 0x0F:
                take(&c, 4, b"fragment header")
            elif token == 0x0C:
                self._instance(&c, context, depth)
            elif token == 0x00:
                break
            else:
                self.tops += depth == 0
                c = span(c.at, left(&c), offset(&c))
                plan = self.plans.fragment(c, context, nested)
                self._run(plan, c.start, self.item_count, 0, depth + 1)
                break
        return 0

    cdef int _instance(self, Cursor* c, int32_t context, int depth) except -1 nogil:
        cdef Instance instance
        cdef Place* place
        cdef int32_t base = self.item_count, i, n
        cdef const uint8_t* p
        cdef const uint8_t* descriptor
        cdef Item* item
        cdef int64_t at = offset(c)
        if depth > MAX_FRAGMENTS:
            return corrupt(at, b"template instance", b"is nested too deep")
        take_descriptors(c, self.plans.chunk.length, self.plans.chunk.start, &instance)
        if base + instance.count > self.item_room:
            self._more_items(base + instance.count, at)
        # Their sizes are added up, and then the bytes are taken: nobody has read them before.
        p = c.at
        descriptor = instance.descriptors
        item = &self.items[base]
        for i in range(instance.count):
            n = le16(descriptor)
            item.p = p
            item.n = n
            item.kind = descriptor[2]
            p += n
            descriptor += 4
            item += 1
        instance.size = p - c.at
        instance.values = take(c, instance.size, b"values")
        place = self.plans.definition(&instance, context)
        if place.guessed:
            self.guessed = True
            if place.lost and place.plan.op_count != instance.count:
                return corrupt(at, b"template instance", b"has no template, and too many values")
        if depth == 0:
            self.tops += 1
            self.top = instance
            self.top_plan = place.plan
        self.item_count = base + instance.count
        self._run(place.plan, place.body, base, instance.count, depth + 1)
        self.item_count = base
        return 0

    cdef int _more_items(self, int32_t need, int64_t at) except -1 nogil:
        cdef int32_t room = self.item_room
        cdef void* grown
        if need > MAX_ITEMS:
            return corrupt(at, b"template instance", b"holds too many values")
        while room < need:
            room *= 2
        grown = realloc(self.items, room * sizeof(Item))
        if grown is NULL:
            with gil:
                raise MemoryError()
        self.items = <Item*>grown
        self.item_room = room
        return 0

    cdef int32_t _context(self, Plan* plan, int32_t number) except -1 nogil:
        """Where a fragment stands that is the value of this op, or an instance in it."""
        cdef Op* op = &plan.ops[number]
        if plan.contexts[number] < 0:
            plan.contexts[number] = self.plans.context(
                op.section, plan.text + op.prefix_at, op.prefix_length
            )
        return plan.contexts[number]

    cdef int _run(
        self, Plan* plan, const uint8_t* body, int32_t base, int32_t count, int depth
    ) except -1 nogil:
        cdef int32_t i
        cdef Op* op
        cdef Item* item
        cdef Item* to
        cdef Item joined
        cdef Pair* pair
        cdef Cursor c
        cdef int64_t work = 64
        if plan.guessed:
            self.guessed = True
        if plan.pairs:
            self.pair_plans += 1
            if self.pair_plans == 1:
                self.first = plan
            self.last = plan
        for i in range(plan.op_count):
            op = &plan.ops[i]
            if op.index >= 0:
                if op.index >= count:
                    return corrupt(self.record, b"substitution", b"names a value that is not there")
                item = &self.items[base + op.index]
                # Nearly all: one value, left where it goes without a look at its bytes.
                if is_nested(item):
                    if item.kind == TYPE_XML:
                        if op.attribute:
                            return corrupt(self.record, b"attribute", b"holds binary XML")
                        c = span(item.p, item.n,
                                 self.plans.chunk.origin + (item.p - self.plans.chunk.start))
                        self._spend(item.n)
                        self._fragment(c, self._context(plan, i), depth + 1, True)
                    else:
                        self._array(plan, i, item[0], base, count)
                    continue
                if op.kind == OP_SYSTEM:
                    to = &self.system[op.slot]
                    if to.kind == TYPE_NULL or item.kind != TYPE_NULL or not (
                        op.quiet or (op.attribute and op.optional)
                    ):
                        if plan is not self.system_plan:
                            self._system_from(plan)
                        to[0] = item[0]
                        self.system_op[op.slot] = i
                    continue
                if item.kind == TYPE_NULL and (op.quiet or (op.attribute and op.optional)):
                    continue
                if op.name_index < 0 and self.count < self.room:
                    work += item.n + 64
                    pair = &self.pairs[self.count]
                    pair.plan = plan
                    pair.op = i
                    pair.item = item[0]
                    self.count += 1
                else:
                    self._pair(plan, i, item, base, count)
                continue
            if op.kind == OP_INSTANCE:
                c = span(body, self.plans.chunk.length - (body - self.plans.chunk.start),
                         self.plans.chunk.origin + (body - self.plans.chunk.start))
                take(&c, op.instance, b"template instance")
                self._instance(&c, self._context(plan, i), depth + 1)
                continue
            self._joined(plan, op, base, count, &joined)
            if op.kind == OP_SYSTEM:
                self._field(plan, i, &joined)
            else:
                self._pair(plan, i, &joined, base, count)
        return self._spend(work)

    cdef int _system_from(self, Plan* plan) noexcept nogil:
        """From here on it is `plan` that gives the fields of System."""
        cdef int i
        for i in range(<int>SLOTS):
            self.system_op[i] = -1
        self.system_plan = plan
        return 0

    cdef inline int _field(self, Plan* plan, int32_t number, const Item* item) noexcept nogil:
        cdef uint8_t slot = plan.ops[number].slot
        if plan is not self.system_plan:
            self._system_from(plan)
        self.system[slot] = item[0]
        self.system_op[slot] = number
        return 0

    cdef int _pair(
        self, Plan* plan, int32_t number, const Item* item, int32_t base, int32_t count
    ) except -1 nogil:
        cdef Op* op = &plan.ops[number]
        cdef Pair* pair
        cdef Value name
        cdef int repaired = 0
        cdef void* grown
        if self.count >= self.room:
            if self.count >= MAX_PAIRS:
                return corrupt(self.record, b"record", b"holds too many values")
            grown = realloc(self.pairs, 2 * self.room * sizeof(Pair))
            if grown is NULL:
                with gil:
                    raise MemoryError()
            self.pairs = <Pair*>grown
            self.room *= 2
        self._spend(item.n)
        pair = &self.pairs[self.count]
        pair.plan = plan
        pair.op = number
        pair.item = item[0]
        if op.name_index >= 0:
            if op.name_index >= count:
                return corrupt(self.record, b"substitution", b"names a value that is not there")
            self.value(&self.items[base + op.name_index], &name)
            self._spend(name.n)
            pair.name = self._room(room_for(&name))
            pair.name_length = <int32_t>render(&name, <uint8_t*>pair.name, &repaired)
            self.arena_used += pair.name_length
            if pair.name_length == 0:
                pair.name = plan.text + op.name_at
                pair.name_length = op.name_length
            pair.base_length = pair.name_length
            pair.op = -1
            self.renumber = True
        self.count += 1
        return 0

    cdef uint8_t* _room(self, Py_ssize_t n) except NULL nogil:
        """Where the next `n` bytes of the record's own text go."""
        if n > ARENA - self.arena_used:
            corrupt(self.record, b"record", b"its texts expand without bound")
            return NULL
        return self.arena + self.arena_used

    cdef int _array(
        self, Plan* plan, int32_t number, Item item, int32_t base, int32_t count
    ) except -1 nogil:
        """An array in an element of its own is that element once per item; in an attribute,
        the items joined."""
        cdef Op* op = &plan.ops[number]
        cdef Item one
        cdef int32_t first = self.count
        if op.attribute or op.kind == OP_SYSTEM:
            self._joined(plan, op, base, count, &one)
            if op.kind == OP_SYSTEM:
                self._field(plan, number, &one)
            else:
                self._pair(plan, number, &one, base, count)
            return 0
        while next_item(&item, &one):
            self._pair(plan, number, &one, base, count)
        if self.count == first:
            if not op.quiet:
                one = no_item()
                self._pair(plan, number, &one, base, count)
        elif self.count > first + 1:
            self.renumber = True
        return 0

    cdef int _append(self, const Value* value) except -1 nogil:
        cdef int repaired = 0
        self._spend(value.n)
        if value.p is not NULL and value.p == self.arena + self.arena_used - value.n:
            return 0        # it was made (from another code page) right where it belongs
        self.arena_used += render(value, self._room(room_for(value)), &repaired)
        return 0

    cdef int _joined(
        self, Plan* plan, Op* op, int32_t base, int32_t count, Item* out
    ) except -1 nogil:
        """A text of several parts, or of one literal, or an array in one text."""
        cdef Part* part
        cdef Item item, one
        cdef Value value
        cdef int32_t number = op.first
        cdef Py_ssize_t start = self.arena_used
        cdef bint again = False, any_value = False
        if op.parts == 0:
            out[0] = no_item()
            return 0
        if op.parts == 1 and plan.parts[number].index < 0:
            part = &plan.parts[number]
            out[0] = utf8_item(plan.text + part.at, part.length)
            return 0
        while number >= 0:
            part = &plan.parts[number]
            number = part.next
            if part.index < 0:
                value = bytes_value(TEXT_VALID, plan.text + part.at, part.length)
                self._append(&value)
                any_value = True
                continue
            if part.index >= count:
                return corrupt(self.record, b"substitution", b"names a value that is not there")
            item = self.items[base + part.index]
            if item.kind == TYPE_XML:
                return corrupt(self.record, b"element", b"mixes text and binary XML")
            if item.kind & TYPE_ARRAY:
                again = False
                while next_item(&item, &one):
                    if again:
                        value = bytes_value(TEXT_VALID, <const uint8_t*>b", ", 2)
                        self._append(&value)
                    self.value(&one, &value)
                    self._append(&value)
                    again = True
                    any_value = True
            else:
                self.value(&item, &value)
                if value.kind != NOTHING:
                    self._append(&value)
                    any_value = True
        if any_value:
            out[0] = utf8_item(self.arena + start, <int32_t>(self.arena_used - start))
        else:
            out[0] = no_item()
        return 0

    cdef int value(self, const Item* item, Value* out) except -1 nogil:
        """An item's bytes as a typed value; see the module's docstring for what does not fit."""
        cdef uint32_t kind = item.kind
        cdef const uint8_t* p = item.p
        cdef Py_ssize_t n = item.n, i
        cdef uint8_t* text
        cdef uint8_t[2] unit
        cdef int repaired = 0
        if _plain(item, out):
            return 0
        if SIZES[kind]:
            kind = 0xFF      # its size does not fit
        if kind == 0x23:
            n //= 2
            while n > 0 and p[2 * n - 2] == 0 and p[2 * n - 1] == 0:
                n -= 1
            out[0] = bytes_value(UTF16, p, n)
        elif kind == 0x0E:
            out[0] = bytes_value(BINARY, p, n)
        elif (kind == 0x10 or kind == 0x20) and n == 8:
            out[0] = number_value(HEX64, le64(p))
        elif (kind == 0x10 or kind == 0x20) and n == 4:
            out[0] = number_value(HEX32, le32(p))
        elif kind == 0x13 and n >= 8 and n == 8 + 4 * <Py_ssize_t>p[1]:
            out[0] = bytes_value(SID, p, n)
        elif kind == TYPE_ANSI:
            while n > 0 and p[n - 1] == 0:
                n -= 1
            for i in range(n):
                if p[i] >= 0x80:
                    break
            else:
                out[0] = bytes_value(TEXT_VALID, p, n)
                return 0
            self._spend(3 * n)
            text = self._room(3 * n)
            out[0] = bytes_value(TEXT_VALID, text, 0)
            for i in range(n):
                unit[0] = p[i]
                unit[1] = 0
                if 0x80 <= p[i] < 0xA0:
                    unit[0] = ANSI[p[i] - 0x80] & 0xFF
                    unit[1] = ANSI[p[i] - 0x80] >> 8
                out.n += utf16le_utf8(unit, 1, text + out.n, &repaired)
            self.arena_used += out.n
        else:
            self.guessed = True
            out[0] = bytes_value(BINARY, p, n)
        return 0

    cdef bint _apart(self) except -1 nogil:
        """Whether the two plans of a record share no name: asked once for a pair of plans.

        (A classic event's template has `EventID.Qualifiers`, the nested one the rest: without
        this, every name of every such record was hashed.)
        """
        cdef Plan* a = self.first
        cdef Plan* b = self.last
        cdef Op* op
        cdef Op* other
        cdef int32_t i, j
        if self.pair_plans != 2 or a.number < 0 or b.number < 0:
            return False
        if a.apart == b.number:
            return True
        if a.pairs * b.pairs > 4096:
            return False
        for i in range(a.op_count):
            op = &a.ops[i]
            if op.kind != OP_PAIR:
                continue
            for j in range(b.op_count):
                other = &b.ops[j]
                if other.kind == OP_PAIR and op.name_length == other.name_length and memcmp(
                    a.text + op.name_at, b.text + other.name_at, op.name_length
                ) == 0:
                    return False
        a.apart = b.number
        return True

    cdef int _renumber(self) except -1 nogil:
        """Makes the names of a record's pairs unique where its plans alone cannot."""
        cdef int32_t i, number, n
        cdef Pair* pair
        cdef uint8_t* name
        cdef uint8_t[12] suffix
        names_reset(&self.names, self.count)
        for i in range(self.count):
            pair = &self.pairs[i]
            if pair.op >= 0:
                pair.name = pair_name(pair, &pair.name_length)
                pair.base_length = pair.plan.ops[pair.op].base_length
            number = names_number(&self.names, pair.name, pair.base_length)
            n = 0 if number == 1 else put_number(suffix, number)
            if pair.name_length == pair.base_length + n and (
                n == 0 or memcmp(pair.name + pair.base_length, suffix, n) == 0
            ):
                continue        # the plan's own name
            pair.op = -1
            if n == 0:
                pair.name_length = pair.base_length
                continue
            name = self._room(pair.base_length + n)
            memcpy(name, pair.name, pair.base_length)
            memcpy(name + pair.base_length, suffix, n)
            self.arena_used += pair.base_length + n
            pair.name = name
            pair.name_length = pair.base_length + n
        return 0
