"""Compiles templates of binary XML to plans, once per distinct body (see evtx_plan.pxd).

Specification: [MS-EVEN6] 2.2.12 (BinXml) and 3.1.4.7; "Windows XML Event Log (EVTX) format"
(libyal, libevtx).

**One plan per distinct body.** The same definition is written anew in every chunk, and its bytes
differ from chunk to chunk where a name stands inline in one and as a reference in another. So
there are two steps: the body's bytes, and the names outside that they refer to, are compared with
the variants seen before (no parsing); and what a new variant compiles to is compared with the
plans that exist (a log has thousands of variants and some dozen plans). A GUID alone proves
nothing: providers change an event and keep it. It only helps where a definition is damaged or
missing: then the last good plan of the same id is taken, and the rows are flagged.

**Names of pairs.** In `EventData`, `<Data Name="x">` is x; an element without `Name` goes by its
tag (`Data`, `Binary`); what stands deeper is joined by dots. In `UserData` the one element below
it is left out of the path. Attributes other than `Name` and `xmlns` are `<path>.<attribute>`.
Parts of `System` that are no column are pairs too (`EventID.Qualifiers`,
`Provider.EventSourceName`), and so is what stands in other sections (`ProcessingErrorData.
ErrorCode`). A name that comes again in a record is numbered: `Data`, `Data[2]`, `Data[3]`.

**Hostile input.** Depth, the tokens compiled per chunk, the text of a plan and what is kept over
chunks are bounded; a bound that is passed damages the record that asks for more, or (what is
kept) empties the cache between two chunks.
"""

from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from tracelake.native.cursor cimport corrupt, le16, le32, left, offset, refuse, seek, span, take
from tracelake.native.errors import EvidenceError
from tracelake.native.hash64 cimport hash64
from tracelake.native.text cimport put_uint, utf16le_utf8

cdef enum:
    MAX_DEPTH = 64              # elements; real events have 8
    MAX_ATTRIBUTES = 256        # of one element
    MAX_NAME = 1024             # UTF-16 units of a name
    MAX_TEXT = 262144           # bytes of a plan's names and literals
    MAX_REFS = 16384
    MAX_WORK = 262144           # tokens compiled per chunk: sixteen times what fits into one
    MAX_HELD = 67108864         # bytes of plans and variants before the cache is emptied
    MAX_CONTEXTS = 4096
    BUCKETS = 8192              # a power of two
    PLACES = 1024               # a power of two

cdef enum:
    NO_SLOT = 255


cdef struct Attribute:
    int32_t name_at
    int32_t name_length
    int32_t first
    int32_t last
    int32_t parts
    uint8_t optional


cdef struct Level:
    uint8_t section             # of its children
    uint8_t parent
    uint8_t slot
    uint8_t quiet
    uint8_t pending             # its start tag is open
    uint8_t has_children
    uint8_t has_attributes      # that give pairs
    uint8_t has_content         # text that is not white space, or a value
    uint8_t optional
    int32_t tag_at
    int32_t tag_length
    int32_t own_at              # the name of its own text
    int32_t own_length
    int32_t prefix_at
    int32_t prefix_length
    int32_t name_index
    int32_t first
    int32_t last
    int32_t parts


cdef struct Build:
    Plan* plan
    Level[MAX_DEPTH] levels
    int depth
    Attribute[MAX_ATTRIBUTES] attributes
    int attribute_count
    bint in_attribute
    uint32_t slots              # used
    Ref[MAX_REFS] refs
    int32_t ref_count


# --- what System holds ---------------------------------------------------------------------

cdef struct SystemField:
    const char* element
    const char* attribute
    uint8_t slot


cdef SystemField[SLOTS] SYSTEM = [
    SystemField("Provider", "Name", S_PROVIDER),
    SystemField("Provider", "Guid", S_PROVIDER_GUID),
    SystemField("EventID", "", S_EVENT_ID),
    SystemField("Version", "", S_VERSION),
    SystemField("Level", "", S_LEVEL),
    SystemField("Task", "", S_TASK),
    SystemField("Opcode", "", S_OPCODE),
    SystemField("Keywords", "", S_KEYWORDS),
    SystemField("TimeCreated", "SystemTime", S_TIME),
    SystemField("EventRecordID", "", S_RECORD_ID),
    SystemField("Correlation", "ActivityID", S_ACTIVITY),
    SystemField("Correlation", "RelatedActivityID", S_RELATED),
    SystemField("Execution", "ProcessID", S_PID),
    SystemField("Execution", "ThreadID", S_TID),
    SystemField("Channel", "", S_CHANNEL),
    SystemField("Computer", "", S_COMPUTER),
    SystemField("Security", "UserID", S_USER),
]


cdef inline bint _is(const uint8_t* p, Py_ssize_t n, const char* word) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        if word[i] == 0 or <uint8_t>word[i] != p[i]:        # a name may hold a NUL of its own
            return False
    return word[n] == 0


cdef uint8_t _slot(const uint8_t* tag, int32_t tag_length, const uint8_t* name,
                   int32_t name_length) noexcept nogil:
    cdef int i
    for i in range(<int>SLOTS):
        if _is(tag, tag_length, SYSTEM[i].element) and _is(name, name_length, SYSTEM[i].attribute):
            return SYSTEM[i].slot
    return NO_SLOT


# --- the set of names that a record has used -------------------------------------------------

cdef int names_reset(NameSet* s, int32_t expected) except -1 nogil:
    cdef int32_t room = 64
    while room < 2 * expected + 16:
        room *= 2
    # A record that asked for much must not make all that follow pay for it.
    if room > s.room or s.room > 4096:
        free(s.keys)
        free(s.counts)
        s.room = 0
        s.keys = <uint64_t*>malloc(room * sizeof(uint64_t))
        s.counts = <int32_t*>malloc(room * sizeof(int32_t))
        if s.keys is NULL or s.counts is NULL:
            with gil:
                raise MemoryError()
        s.room = room
    memset(s.counts, 0, s.room * sizeof(int32_t))
    s.used = 0
    return 0


cdef int32_t _names_find(NameSet* s, uint64_t key) noexcept nogil:
    """The place of a key, or the free place where it belongs."""
    cdef int32_t at = <int32_t>(key & <uint64_t>(s.room - 1))
    while s.counts[at] and s.keys[at] != key:
        at = (at + 1) & (s.room - 1)
    return at


cdef int _names_grow(NameSet* s) except -1 nogil:
    cdef NameSet old = s[0], grown
    cdef int32_t i, at
    memset(&grown, 0, sizeof(NameSet))
    names_reset(&grown, old.room)
    s[0] = grown
    for i in range(old.room):
        if old.counts[i]:
            at = _names_find(s, old.keys[i])
            s.keys[at] = old.keys[i]
            s.counts[at] = old.counts[i]
    s.used = old.used
    free(old.keys)
    free(old.counts)
    return 0


cdef int32_t names_number(NameSet* s, const uint8_t* name, int32_t n) except -1 nogil:
    # A collision of two hashes would only number a name that need not be.
    cdef uint64_t base = hash64(name, n, 0), key
    cdef uint8_t[12] suffix
    cdef int32_t at, number, base_at
    if 2 * (s.used + 2) > s.room:
        _names_grow(s)
    base_at = _names_find(s, base)
    if not s.counts[base_at]:
        s.keys[base_at] = base
        s.counts[base_at] = 1
        s.used += 1
        return 1
    number = s.counts[base_at]
    while True:
        number += 1
        # Numbered names are keyed like any other, or `x`, `x`, `x[2]` would meet.
        key = _numbered(name, n, suffix, put_number(suffix, number))
        at = _names_find(s, key)
        if not s.counts[at]:
            s.keys[at] = key
            s.counts[at] = 1
            s.used += 1
            s.counts[base_at] = number
            return number


cdef uint64_t _numbered(const uint8_t* name, int32_t n, const uint8_t* suffix,
                        int32_t suffix_length) noexcept nogil:
    cdef uint8_t[MAX_NAME * 4] whole
    if n + suffix_length > <int32_t>sizeof(whole):
        return hash64(name, n, hash64(suffix, suffix_length, 1))
    memcpy(whole, name, n)
    memcpy(whole + n, suffix, suffix_length)
    return hash64(whole, n + suffix_length, 0)


cdef int32_t put_number(uint8_t* out, int32_t number) noexcept nogil:
    cdef int32_t n = 1 + <int32_t>put_uint(out + 1, <uint64_t>number)
    out[0] = 91  # [
    out[n] = 93
    return n + 1


# --- plans -----------------------------------------------------------------------------------

cdef int _grow(void** block, int32_t* room, int32_t need, size_t size) except -1 nogil:
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


cdef void _free_plan(Plan* plan) noexcept nogil:
    cdef Bound* bound
    if plan is NULL:
        return
    free(plan.ops)
    free(plan.parts)
    free(plan.text)
    free(plan.contexts)
    while plan.bound is not NULL:
        bound = plan.bound
        plan.bound = bound.next
        free(bound.targets)
        free(bound)
    free(plan)


cdef void** bound_to(Plan* plan, void* owner) except NULL nogil:
    cdef Bound* bound = plan.bound
    cdef Bound* before = NULL
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
    elif before is NULL:
        return bound.targets
    else:
        before.next = bound.next
    # A template that many kinds of events share (classic logs) is asked in runs.
    bound.next = plan.bound
    plan.bound = bound
    return bound.targets


cdef int32_t _put_text(Plan* plan, const uint8_t* p, int32_t n) except -1 nogil:
    """Appends to the plan's text; returns where."""
    cdef int32_t at = plan.text_length
    if at + n > MAX_TEXT:
        return corrupt(0, b"template", b"its names and texts expand without bound")
    _grow(<void**>&plan.text, &plan.text_room, at + n + 1, 1)
    memcpy(plan.text + at, p, n)
    plan.text_length += n
    return at


cdef int32_t _put_utf16(Plan* plan, const uint8_t* p, int32_t units) except -1 nogil:
    cdef int32_t at = plan.text_length
    cdef int repaired = 0
    if at + 3 * units > MAX_TEXT:
        return corrupt(0, b"template", b"its names and texts expand without bound")
    _grow(<void**>&plan.text, &plan.text_room, at + 3 * units + 1, 1)
    plan.text_length += <int32_t>utf16le_utf8(p, units, plan.text + at, &repaired)
    return at


cdef int32_t _put_path(Plan* plan, int32_t prefix_at, int32_t prefix_length, int32_t name_at,
                       int32_t name_length) except -1 nogil:
    """Appends `<prefix>.<name>`; returns where. (Both lie in the text, which may move.)"""
    cdef int32_t at = plan.text_length
    cdef int32_t need = prefix_length + 1 + name_length
    if at + need > MAX_TEXT:
        return corrupt(0, b"template", b"its names and texts expand without bound")
    _grow(<void**>&plan.text, &plan.text_room, at + need + 1, 1)
    memcpy(plan.text + at, plan.text + prefix_at, prefix_length)
    plan.text[at + prefix_length] = 46  # .
    memcpy(plan.text + at + prefix_length + 1, plan.text + name_at, name_length)
    plan.text_length += need
    return at


cdef int32_t _put_part(Plan* plan, int32_t index, int32_t at, int32_t length) except -1 nogil:
    cdef Part* part
    _grow(<void**>&plan.parts, &plan.part_room, plan.part_count + 1, sizeof(Part))
    part = &plan.parts[plan.part_count]
    part.index = index
    part.at = at
    part.length = length
    part.next = -1
    plan.part_count += 1
    return plan.part_count - 1


cdef Op* _put_op(Plan* plan, uint8_t kind) except NULL nogil:
    cdef Op* op
    _grow(<void**>&plan.ops, &plan.op_room, plan.op_count + 1, sizeof(Op))
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


# --- reading a body --------------------------------------------------------------------------

cdef int _name(Plans plans, Build* b, Cursor* c, int32_t* at, int32_t* length) except -1 nogil:
    """Reads a name offset and the name, which stands inline or anywhere in the chunk."""
    cdef int64_t where
    cdef const uint8_t* p = take(c, 4, b"name offset")
    cdef uint32_t target = le32(p), h = 0
    cdef Py_ssize_t here = c.at - plans.chunk
    cdef int32_t units, i
    cdef Ref* ref
    where = plans.origin + target
    if <Py_ssize_t>target > plans.chunk_length - 8:
        return corrupt(offset(c) - 4, b"name offset", b"points outside of the chunk")
    p = plans.chunk + target
    units = le16(p + 6)
    if 8 + 2 * units > plans.chunk_length - <Py_ssize_t>target:
        return corrupt(where, b"name", b"reaches beyond the chunk")
    if units > MAX_NAME:
        return corrupt(where, b"name", b"is too long")
    for i in range(units):
        h = h * 65599 + le16(p + 8 + 2 * i)
    if (h & 0xFFFF) != le16(p + 4):
        b.plan.guessed = 1
    at[0] = _put_utf16(b.plan, p + 8, units)
    length[0] = b.plan.text_length - at[0]
    if <Py_ssize_t>target == here:
        take(c, 8 + 2 * units + 2, b"name")
        return 0
    if b.ref_count >= MAX_REFS:
        return corrupt(where, b"template", b"refers to too many names")
    ref = &b.refs[b.ref_count]
    ref.offset = <int32_t>target
    ref.units = units
    ref.at = 0
    b.ref_count += 1
    return 0


cdef bint _plausible(Plans plans, const Cursor* c, int skip) noexcept nogil:
    """Whether an element start whose token is at `c` makes sense with `skip` bytes of
    dependency id: its size stays in the fragment, its name is inline or stands before it."""
    cdef const uint8_t* p = c.at + 1 + skip
    cdef Py_ssize_t here
    cdef uint32_t name
    if c.end - c.at < 9 + skip:
        return False
    here = p + 8 - plans.chunk
    name = le32(p + 4)
    return le32(p) <= <size_t>(c.end - (p + 4)) and (
        <Py_ssize_t>name == here or (name >= 512 and <Py_ssize_t>name < here - 8)
    )


cdef int _add_text(Build* b, int32_t index, int32_t at, int32_t length, bint optional,
                   bint content) except -1 nogil:
    """A literal or a value, to the attribute or the element that is open."""
    cdef int32_t number = _put_part(b.plan, index, at, length)
    cdef Attribute* attribute
    cdef Level* level
    if b.in_attribute:
        attribute = &b.attributes[b.attribute_count - 1]
        if attribute.parts:
            b.plan.parts[attribute.last].next = number
        else:
            attribute.first = number
        attribute.last = number
        attribute.parts += 1
        attribute.optional = optional
        return 0
    level = &b.levels[b.depth]
    if level.parts:
        b.plan.parts[level.last].next = number
    else:
        level.first = number
    level.last = number
    level.parts += 1
    level.optional = optional
    if content:
        level.has_content = 1
    return 0


cdef int _text_op(Build* b, Op* op, int32_t first, int32_t last, int32_t parts,
                  bint optional) except -1 nogil:
    op.first = first
    op.last = last
    op.parts = parts
    op.optional = optional
    if parts == 1:
        op.index = b.plan.parts[first].index
    if op.kind == OP_PAIR:
        b.plan.pairs += 1
    return 0


cdef int _emit_attribute(Build* b, Level* level, Attribute* a) except -1 nogil:
    cdef Plan* plan = b.plan
    cdef uint8_t slot = NO_SLOT
    cdef int32_t name_at
    cdef Op* op
    if level.parent == AT_SYSTEM:
        slot = _slot(plan.text + level.tag_at, level.tag_length, plan.text + a.name_at,
                     a.name_length)
    if slot != NO_SLOT and not (b.slots >> slot) & 1:
        b.slots |= <uint32_t>1 << slot
        op = _put_op(plan, OP_SYSTEM)
        op.slot = slot
        op.attribute = 1
        return _text_op(b, op, a.first, a.last, a.parts, a.optional)
    level.has_attributes = 1
    name_at = _put_path(plan, level.own_at, level.own_length, a.name_at, a.name_length)
    op = _put_op(plan, OP_PAIR)
    op.attribute = 1
    op.section = AT_DATA
    op.name_at = name_at
    op.name_length = plan.text_length - name_at
    op.base_length = op.name_length
    return _text_op(b, op, a.first, a.last, a.parts, a.optional)


cdef int _close_start(Build* b) except -1 nogil:
    """The start tag is whole: says what the element is, and puts its attributes."""
    cdef Level* level = &b.levels[b.depth]
    cdef Level* above = &b.levels[b.depth - 1]
    cdef Plan* plan = b.plan
    cdef const uint8_t* tag = plan.text + level.tag_at
    cdef int32_t n = level.tag_length
    cdef int32_t i, name_at = level.tag_at, name_length = n
    cdef int32_t named = -1
    cdef Attribute* a
    level.pending = 0
    b.in_attribute = False
    level.parent = above.section
    level.slot = NO_SLOT
    level.name_index = -1
    level.own_at = level.tag_at
    level.own_length = n
    level.prefix_at = level.tag_at
    level.prefix_length = 0
    level.section = AT_DATA
    if above.section == AT_ROOT:
        level.section = AT_EVENT
        level.quiet = 1
    elif above.section == AT_EVENT:
        level.quiet = 1
        if _is(tag, n, b"System"):
            level.section = AT_SYSTEM
        elif _is(tag, n, b"UserData"):
            level.section = AT_USERDATA
        elif not _is(tag, n, b"EventData"):
            level.prefix_length = n
    elif above.section == AT_SYSTEM:
        level.slot = _slot(tag, n, tag, 0)
        level.prefix_length = n
        level.quiet = 1
    elif above.section == AT_USERDATA:
        level.quiet = 1
    else:
        if _is(tag, n, b"Data") or _is(tag, n, b"ComplexData"):
            for i in range(b.attribute_count):
                a = &b.attributes[i]
                if a.parts == 1 and _is(plan.text + a.name_at, a.name_length, b"Name"):
                    if plan.parts[a.first].index >= 0:
                        level.name_index = plan.parts[a.first].index
                        named = i
                    elif plan.parts[a.first].length:
                        name_at = plan.parts[a.first].at
                        name_length = plan.parts[a.first].length
                        named = i
                    break
        if above.prefix_length:
            level.own_at = _put_path(plan, above.prefix_at, above.prefix_length, name_at,
                                     name_length)
            level.own_length = plan.text_length - level.own_at
        else:
            level.own_at = name_at
            level.own_length = name_length
        level.prefix_at = level.own_at
        level.prefix_length = level.own_length
    for i in range(b.attribute_count):
        a = &b.attributes[i]
        if i == named:
            continue
        tag = plan.text + a.name_at
        if a.name_length >= 5 and memcmp(tag, b"xmlns", 5) == 0 and (
            a.name_length == 5 or tag[5] == 58
        ):
            continue
        _emit_attribute(b, level, a)
    b.attribute_count = 0
    return 0


cdef int _close_element(Build* b) except -1 nogil:
    """The element is whole: its own text is a field."""
    cdef Level* level = &b.levels[b.depth]
    cdef Op* op
    cdef bint field = True
    if level.parts == 0:
        # An empty field is a field; an empty section says nothing.
        field = not (level.quiet or level.has_children or level.has_attributes)
    elif level.has_children and not level.has_content:
        field = False
    if field and level.slot != NO_SLOT and not (b.slots >> level.slot) & 1:
        b.slots |= <uint32_t>1 << level.slot
        op = _put_op(b.plan, OP_SYSTEM)
        op.slot = level.slot
        op.section = level.section
        _text_op(b, op, level.first, level.last, level.parts, level.optional)
    elif field:
        op = _put_op(b.plan, OP_PAIR)
        op.quiet = level.quiet
        op.section = level.section
        op.name_at = level.own_at
        op.name_length = level.own_length
        op.base_length = level.own_length
        op.name_index = level.name_index
        op.prefix_at = level.prefix_at
        op.prefix_length = level.prefix_length
        _text_op(b, op, level.first, level.last, level.parts, level.optional)
    b.depth -= 1
    return 0


cdef int _entity(Build* b, int32_t at, int32_t length) except -1 nogil:
    cdef const uint8_t* p = b.plan.text + at
    cdef const char* known = NULL
    if _is(p, length, b"lt"):
        known = b"<"
    elif _is(p, length, b"gt"):
        known = b">"
    elif _is(p, length, b"amp"):
        known = b"&"
    elif _is(p, length, b"quot"):
        known = b'"'
    elif _is(p, length, b"apos"):
        known = b"'"
    if known is not NULL:
        return _add_text(b, -1, _put_text(b.plan, <const uint8_t*>known, 1), 1, False, True)
    _add_text(b, -1, _put_text(b.plan, <const uint8_t*>b"&", 1), 1, False, True)
    _add_text(b, -1, at, length, False, True)
    return _add_text(b, -1, _put_text(b.plan, <const uint8_t*>b";", 1), 1, False, True)


cdef inline bint _blank(const uint8_t* p, int32_t units) noexcept nogil:
    cdef int32_t i
    cdef uint16_t unit
    for i in range(units):
        unit = le16(p + 2 * i)
        if unit != 32 and unit != 9 and unit != 10 and unit != 13:
            return False
    return True


cdef int _literal(Build* b, Cursor* c, int32_t units, const char* what) except -1 nogil:
    cdef const uint8_t* p = take(c, 2 * units, what)
    cdef int32_t at = _put_utf16(b.plan, p, units)
    return _add_text(b, -1, at, b.plan.text_length - at, False, not _blank(p, units))


cdef int take_instance(Cursor* c, Py_ssize_t chunk_length, const uint8_t* chunk,
                       Instance* out) except -1 nogil:
    """Takes a template instance, whose token is at `c`, with an inline definition and values."""
    cdef const uint8_t* p = take(c, 10, b"template instance")
    cdef Py_ssize_t size = 0, i
    cdef uint32_t count
    out.id = le32(p + 2)
    out.definition = le32(p + 6)
    if <Py_ssize_t>out.definition == c.at - chunk:
        p = take(c, 24, b"template definition")
        take(c, le32(p + 20), b"template definition")
    count = le32(take(c, 4, b"value count"))
    if count > <size_t>(left(c) // 4):
        return refuse(c, <Py_ssize_t>count * 4, b"value descriptors")
    out.count = <int32_t>count
    out.descriptors = take(c, <Py_ssize_t>count * 4, b"value descriptors")
    for i in range(out.count):
        size += le16(out.descriptors + 4 * i)
    out.values = take(c, size, b"values")
    out.size = size
    return 0


cdef int _body(Plans plans, Build* b, Cursor* c, bint bare) except -1 nogil:
    """Reads tokens to the end of the fragment and writes the plan."""
    cdef uint8_t token, flags
    cdef const uint8_t* p
    cdef int32_t at = 0, length = 0
    cdef uint16_t unit
    cdef int skip
    cdef Level* level
    cdef Op* op
    cdef Instance instance
    cdef uint8_t[4] utf8
    cdef uint8_t[2] utf16
    cdef int repaired = 0
    while left(c) > 0:
        token = c.at[0] & 0x0F
        flags = c.at[0] & 0xF0
        if flags & 0xB0:
            return corrupt(offset(c), b"token", b"is none of binary XML")
        plans.work -= 1
        if plans.work < 0:
            return corrupt(offset(c), b"template", b"the chunk's templates expand without bound")
        level = &b.levels[b.depth]
        if token == 0x06:
            take(c, 1, b"attribute")
            if not level.pending:
                return corrupt(offset(c) - 1, b"attribute", b"stands outside of a start tag")
            if b.attribute_count >= MAX_ATTRIBUTES:
                return corrupt(offset(c) - 1, b"attribute", b"is one too many")
            _name(plans, b, c, &at, &length)
            memset(&b.attributes[b.attribute_count], 0, sizeof(Attribute))
            b.attributes[b.attribute_count].name_at = at
            b.attributes[b.attribute_count].name_length = length
            b.attributes[b.attribute_count].first = -1
            b.attributes[b.attribute_count].last = -1
            b.attribute_count += 1
            b.in_attribute = True
            continue
        if level.pending and not b.in_attribute and token not in (0x02, 0x03, 0x0F):
            _close_start(b)
        if token == 0x00:
            take(c, 1, b"end of fragment")
            break
        if token == 0x0F:
            take(c, 4, b"fragment header")
        elif token == 0x01:
            if level.pending:
                _close_start(b)
            skip = 0 if bare else 2
            if not _plausible(plans, c, skip) and _plausible(plans, c, 2 - skip):
                skip = 2 - skip
            take(c, 5 + skip, b"element start")
            if b.depth + 1 >= MAX_DEPTH:
                return corrupt(offset(c), b"element", b"is nested too deep")
            _name(plans, b, c, &at, &length)
            if flags & 0x40:
                take(c, 4, b"attribute list size")
            b.levels[b.depth].has_children = 1
            b.depth += 1
            level = &b.levels[b.depth]
            memset(level, 0, sizeof(Level))
            level.tag_at = at
            level.tag_length = length
            level.first = -1
            level.last = -1
            level.pending = 1
            b.attribute_count = 0
            b.in_attribute = False
        elif token == 0x02 or token == 0x03 or token == 0x04:
            take(c, 1, b"end of tag")
            if b.depth == 0:
                return corrupt(offset(c) - 1, b"element", b"ends without a start")
            if level.pending:
                _close_start(b)
            if token != 0x02:
                _close_element(b)
        elif token == 0x05:
            p = take(c, 4, b"value text")
            if p[1] != TYPE_STRING:
                return corrupt(offset(c) - 3, b"value text", b"is not a string")
            _literal(b, c, le16(p + 2), b"value text")
        elif token == 0x07:
            _literal(b, c, le16(take(c, 3, b"CDATA section") + 1), b"CDATA section")
        elif token == 0x08:
            p = take(c, 3, b"character reference")
            utf16[0] = p[1]
            utf16[1] = p[2]
            length = <int32_t>utf16le_utf8(utf16, 1, utf8, &repaired)
            _add_text(b, -1, _put_text(b.plan, utf8, length), length, False, True)
        elif token == 0x09:
            take(c, 1, b"entity reference")
            _name(plans, b, c, &at, &length)
            _entity(b, at, length)
        elif token == 0x0A:
            take(c, 1, b"processing instruction")
            _name(plans, b, c, &at, &length)
        elif token == 0x0B:
            p = take(c, 3, b"processing instruction data")
            take(c, 2 * <Py_ssize_t>le16(p + 1), b"processing instruction data")
        elif token == 0x0C:
            if level.pending:
                _close_start(b)
            op = _put_op(b.plan, OP_INSTANCE)
            op.instance = <int32_t>(c.at - c.start)
            level = &b.levels[b.depth]
            level.has_children = 1
            op.section = level.section
            op.prefix_at = level.prefix_at
            op.prefix_length = level.prefix_length
            b.plan.local = 1
            take_instance(c, plans.chunk_length, plans.chunk, &instance)
        else:  # 0x0D, 0x0E
            p = take(c, 4, b"substitution")
            _add_text(b, le16(p + 1), 0, 0, token == 0x0E, True)
    if b.depth != 0:
        return corrupt(offset(c), b"element", b"is not closed")
    level = &b.levels[0]
    if level.parts:
        # Text of a fragment that is in no element of its own.
        op = _put_op(b.plan, OP_PAIR)
        op.quiet = 1
        op.section = level.section
        op.prefix_at = level.prefix_at
        op.prefix_length = level.prefix_length
        op.name_at = level.prefix_at
        op.name_length = level.prefix_length
        if op.name_length == 0:
            at = _put_text(b.plan, <const uint8_t*>b"Data", 4)
            op = &b.plan.ops[b.plan.op_count - 1]
            op.name_at = at
            op.name_length = 4
        op.base_length = op.name_length
        _text_op(b, op, level.first, level.last, level.parts, level.optional)
    return 0


cdef class Plans:
    def __cinit__(self):
        self.variants = <Variant**>calloc(BUCKETS, sizeof(void*))
        self.digests = <Plan**>calloc(BUCKETS, sizeof(void*))
        self.known = <Known**>calloc(BUCKETS, sizeof(void*))
        self.places = <Place*>calloc(PLACES, sizeof(Place))
        self.contexts = <Context*>calloc(MAX_CONTEXTS, sizeof(Context))
        self.prefixes = <uint8_t*>malloc(MAX_TEXT)
        self.build = <Build*>calloc(1, sizeof(Build))
        if (
            self.variants is NULL or self.digests is NULL or self.known is NULL
            or self.places is NULL or self.contexts is NULL or self.prefixes is NULL
            or self.build is NULL
        ):
            raise MemoryError()
        self.context(AT_ROOT, self.prefixes, 0)

    def __dealloc__(self):
        if self.variants is not NULL and self.digests is not NULL and self.known is not NULL:
            self._clear()
        free(self.variants)
        free(self.digests)
        free(self.known)
        free(self.places)
        free(self.contexts)
        free(self.prefixes)
        free(self.build)
        free(self.locals)
        free(self.names.keys)
        free(self.names.counts)

    cdef int _clear(self) noexcept nogil:
        """Forgets everything that was kept over chunks."""
        cdef Variant* variant
        cdef Plan* plan
        cdef Known* known
        cdef int32_t i
        for i in range(self.local_count):
            _free_plan(self.locals[i])
        self.local_count = 0
        for i in range(BUCKETS):
            while self.variants[i] is not NULL:
                variant = self.variants[i]
                self.variants[i] = variant.next
                free(variant.body)
                free(variant.refs)
                free(variant)
            while self.known[i] is not NULL:
                known = self.known[i]
                self.known[i] = known.next
                free(known)
            while self.digests[i] is not NULL:
                plan = self.digests[i]
                self.digests[i] = plan.same
                _free_plan(plan)
        self.held = 0
        self.plan_count = 0
        self.variant_count = 0
        return 0

    def forget(self):
        """Empties the cache; between two chunks."""
        self._clear()
        self.context_count = 1      # the root stays
        self.prefix_length = 0

    cdef int begin_chunk(
        self, const uint8_t* chunk, Py_ssize_t length, int64_t origin
    ) except -1 nogil:
        """Names and definitions are now those of this chunk; plans of the last one may go."""
        cdef int32_t i
        for i in range(self.local_count):
            _free_plan(self.locals[i])
        self.local_count = 0
        if self.held > MAX_HELD or self.context_count > MAX_CONTEXTS // 2:
            self._clear()
            self.context_count = 1      # the root stays
            self.prefix_length = 0
        for i in range(PLACES):
            self.places[i].offset = -1
        self.place_count = 0
        self.work = MAX_WORK
        self.chunk = chunk
        self.chunk_length = length
        self.origin = origin
        return 0

    cdef int32_t context(
        self, int section, const uint8_t* prefix, int32_t length
    ) except -1 nogil:
        """The number of a place where fragments stand: the same place has the same number."""
        cdef int32_t i
        cdef Context* known
        for i in range(self.context_count):
            known = &self.contexts[i]
            if known.section == section and known.length == length and (
                length == 0 or memcmp(self.prefixes + known.at, prefix, length) == 0
            ):
                return i
        if self.context_count >= MAX_CONTEXTS or self.prefix_length + length > MAX_TEXT:
            return corrupt(self.origin, b"chunk", b"holds too many kinds of nested binary XML")
        known = &self.contexts[self.context_count]
        known.section = <uint8_t>section
        known.at = self.prefix_length
        known.length = length
        memcpy(self.prefixes + known.at, prefix, length)
        self.prefix_length += length
        self.context_count += 1
        return self.context_count - 1

    cdef Place* definition(self, uint32_t where, uint32_t id, int32_t context) except NULL nogil:
        """The plan of template `id`, defined at offset `where` of the chunk, for a place where
        it is used."""
        cdef uint32_t mixed = where * 0x9E3779B1U + context * 0x85EBCA77U + id * 0xC2B2AE3DU
        cdef int32_t slot = <int32_t>(mixed >> 22) & (PLACES - 1)
        cdef Place* place
        cdef const uint8_t* p
        cdef Py_ssize_t size
        cdef Variant* variant = NULL
        while self.places[slot].offset >= 0:
            place = &self.places[slot]
            if place.offset == where and place.id == id and place.context == context:
                return place
            slot = (slot + 1) & (PLACES - 1)
        if self.place_count > PLACES * 3 // 4:
            corrupt(self.origin + where, b"chunk", b"holds too many templates")
            return NULL
        place = &self.places[slot]
        place.id = id
        place.context = context
        place.plan = NULL
        place.body = NULL
        place.guessed = False
        if <Py_ssize_t>where + 24 <= self.chunk_length:
            p = self.chunk + where
            size = le32(p + 20)
            if le32(p + 4) == id and size <= self.chunk_length - <Py_ssize_t>where - 24:
                place.body = p + 24
                variant = self._find(
                    hash64(place.body, size, where), where, context, place.body, size
                )
        if variant is not NULL:
            place.plan = variant.plan
        else:
            place.offset = where
            try:
                self._resolve(place)
            finally:
                if place.plan is NULL:
                    place.offset = -1
        place.offset = where
        self.place_count += 1
        return place

    cdef Known** _known(self, uint32_t id, int32_t context) noexcept nogil:
        cdef Known** link = &self.known[(id + context * 0x9E3779B1U) & (BUCKETS - 1)]
        while link[0] is not NULL and (link[0].id != id or link[0].context != context):
            link = &link[0].next
        return link

    cdef int _resolve(self, Place* place) except -1 with gil:
        """Compiles a definition; where it is broken, takes the last good plan of its id."""
        cdef Known** link = self._known(place.id, place.context)
        cdef Known* known = link[0]
        cdef Plan* plan
        cdef uint32_t where = <uint32_t>place.offset
        cdef Py_ssize_t size
        try:
            if place.body is NULL:
                corrupt(
                    self.origin + where, b"template definition",
                    b"is not there, or not the one that the record names",
                )
            size = le32(place.body - 4)
            plan = self.compile(
                span(place.body, size, self.origin + (place.body - self.chunk)),
                place.context, False,
            )
        except EvidenceError:
            if known is NULL:
                raise
            place.plan = known.plan
            place.guessed = True
            return 0
        if plan.local:
            place.plan = plan
            return 0
        if plan.guessed and known is not NULL:
            # A name that fails its checksum: the same template read elsewhere knows better.
            _free_plan(plan)
            place.plan = known.plan
            place.guessed = True
            return 0
        plan = self._keep(plan, where, place.context, place.body, size)
        place.plan = plan
        if plan.guessed:
            return 0
        if known is NULL:
            known = <Known*>calloc(1, sizeof(Known))
            if known is NULL:
                raise MemoryError()
            known.id = place.id
            known.context = place.context
            link[0] = known
            self.held += sizeof(Known)
        known.plan = plan
        return 0

    cdef Variant* _find(
        self, uint64_t key, uint32_t where, int32_t context, const uint8_t* body, Py_ssize_t size
    ) noexcept nogil:
        """The variant that these bytes are, with the same names outside of them.

        The place counts too: whether a name is inline is said by its offset.
        """
        cdef Variant* v = self.variants[key & (BUCKETS - 1)]
        cdef Ref* ref
        cdef const uint8_t* p
        cdef int32_t i
        cdef bint same
        while v is not NULL:
            if v.key == key and v.where == where and v.context == context and v.length == size and (
                memcmp(v.body, body, size) == 0
            ):
                same = True
                for i in range(v.ref_count):
                    ref = &v.refs[i]
                    p = self.chunk + ref.offset
                    if (
                        ref.offset + 8 + 2 * ref.units > self.chunk_length
                        or le16(p + 6) != ref.units
                        or memcmp(p + 8, v.body + ref.at, 2 * ref.units) != 0
                    ):
                        same = False
                        break
                if same:
                    return v
            v = v.next
        return NULL

    cdef Plan* fragment(self, Cursor body, int32_t context, bint bare) except NULL nogil:
        """A plan for bytes that stand in a record, without a template; good for this chunk."""
        cdef Plan* plan = self.compile(body, context, bare)
        if not plan.local:
            plan.local = 1
            self._own(plan)
        return plan

    cdef int _own(self, Plan* plan) except -1 nogil:
        """The plan lives as long as the current chunk."""
        cdef bint kept = False
        try:
            _grow(<void**>&self.locals, &self.local_room, self.local_count + 1, sizeof(void*))
            self.locals[self.local_count] = plan
            self.local_count += 1
            kept = True
        finally:
            if not kept:
                _free_plan(plan)
        return 0

    cdef Plan* compile(self, Cursor body, int32_t context, bint bare) except NULL nogil:
        """Reads a fragment; the plan is the caller's, or (`local`) the chunk's."""
        cdef Build* b = self.build
        cdef Plan* plan = <Plan*>calloc(1, sizeof(Plan))
        cdef Level* level
        cdef bint whole = False
        if plan is NULL:
            with gil:
                raise MemoryError()
        self.compiled += 1
        plan.number = -1
        plan.apart = -1
        b.plan = plan
        b.depth = 0
        b.attribute_count = 0
        b.in_attribute = False
        b.slots = 0
        b.ref_count = 0
        level = &b.levels[0]
        memset(level, 0, sizeof(Level))
        level.section = self.contexts[context].section
        level.slot = NO_SLOT
        level.first = -1
        level.last = -1
        try:
            level.prefix_at = _put_text(
                plan, self.prefixes + self.contexts[context].at, self.contexts[context].length
            )
            level.prefix_length = self.contexts[context].length
            _body(self, b, &body, bare)
            self._number(plan)
            plan.contexts = <int32_t*>malloc((plan.op_count + 1) * sizeof(int32_t))
            if plan.contexts is NULL:
                with gil:
                    raise MemoryError()
            memset(plan.contexts, 0xFF, (plan.op_count + 1) * sizeof(int32_t))
            whole = True
        finally:
            if not whole:
                _free_plan(plan)
        if plan.local:
            self._own(plan)
        return plan

    cdef int _number(self, Plan* plan) except -1 nogil:
        """Makes the names of the plan's pairs unique."""
        cdef int32_t i, number, at, n
        cdef uint8_t[12] suffix
        cdef Op* op
        names_reset(&self.names, plan.pairs)
        for i in range(plan.op_count):
            op = &plan.ops[i]
            if op.kind != OP_PAIR or op.name_index >= 0:
                continue
            number = names_number(&self.names, plan.text + op.name_at, op.name_length)
            if number > 1:
                n = put_number(suffix, number)
                at = _put_text(plan, plan.text + op.name_at, 0)
                _grow(<void**>&plan.text, &plan.text_room, at + op.name_length + n + 1, 1)
                memcpy(plan.text + at, plan.text + op.name_at, op.name_length)
                memcpy(plan.text + at + op.name_length, suffix, n)
                plan.text_length += op.name_length + n
                op.name_at = at
                op.name_length += n
        return 0

    cdef Plan* _keep(
        self, Plan* plan, uint32_t where, int32_t context, const uint8_t* body, Py_ssize_t size
    ) except NULL nogil:
        """Keeps the body as a variant of a plan: of the one that is equal, or of this one."""
        cdef Build* b = self.build
        cdef uint64_t digest, key = hash64(body, size, where)
        cdef Plan* other
        cdef Variant* v
        cdef int32_t i
        cdef Py_ssize_t names = 0, at
        cdef Plan** bucket
        digest = hash64(<uint8_t*>plan.ops, plan.op_count * sizeof(Op), context)
        digest = hash64(<uint8_t*>plan.parts, plan.part_count * sizeof(Part), digest)
        digest = hash64(plan.text, plan.text_length, digest)
        plan.digest = digest
        bucket = &self.digests[digest & (BUCKETS - 1)]
        other = bucket[0]
        while other is not NULL:
            if (
                other.digest == digest and other.op_count == plan.op_count
                and other.part_count == plan.part_count
                and other.text_length == plan.text_length
                and other.guessed == plan.guessed
                and memcmp(other.ops, plan.ops, plan.op_count * sizeof(Op)) == 0
                and memcmp(other.parts, plan.parts, plan.part_count * sizeof(Part)) == 0
                and memcmp(other.text, plan.text, plan.text_length) == 0
            ):
                break
            other = other.same
        if other is not NULL:
            _free_plan(plan)
            plan = other
        else:
            plan.number = self.next_number
            self.next_number += 1
            plan.same = bucket[0]
            bucket[0] = plan
            self.plan_count += 1
            self.held += sizeof(Plan) + plan.op_room * sizeof(Op)
            self.held += plan.part_room * sizeof(Part) + plan.text_room
        for i in range(b.ref_count):
            names += 2 * b.refs[i].units
        v = <Variant*>calloc(1, sizeof(Variant))
        if v is not NULL:
            v.body = <uint8_t*>malloc(size + names + 1)
            v.refs = <Ref*>malloc((b.ref_count + 1) * sizeof(Ref))
        if v is NULL or v.body is NULL or v.refs is NULL:
            if v is not NULL:
                free(v.body)
                free(v.refs)
                free(v)
            with gil:
                raise MemoryError()
        v.key = key
        v.where = where
        v.context = context
        v.length = <int32_t>size
        v.plan = plan
        memcpy(v.body, body, size)
        at = size
        for i in range(b.ref_count):
            v.refs[i] = b.refs[i]
            v.refs[i].at = <int32_t>at
            memcpy(v.body + at, self.chunk + b.refs[i].offset + 8, 2 * b.refs[i].units)
            at += 2 * b.refs[i].units
        v.ref_count = b.ref_count
        v.next = self.variants[key & (BUCKETS - 1)]
        self.variants[key & (BUCKETS - 1)] = v
        self.variant_count += 1
        self.held += sizeof(Variant) + size + names + b.ref_count * sizeof(Ref)
        return plan
