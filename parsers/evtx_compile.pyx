"""Compiles a body of binary XML to a plan (see evtx_compile.pxd).

Specification: [MS-EVEN6] 2.2.12 (BinXml) and 3.1.4.7; "Windows XML Event Log (EVTX) format"
(libyal, libevtx).

**Names of pairs.** In `EventData`, `<Data Name="x">` is x; an element without `Name` goes by its
tag (`Data`, `Binary`); what stands deeper is joined by dots. In `UserData` the one element below
it is left out of the path. Attributes other than `Name` and `xmlns` are `<path>.<attribute>`.
Parts of `System` that are no column are pairs too (`EventID.Qualifiers`,
`Provider.EventSourceName`), and so is what stands in other sections (`ProcessingErrorData.
ErrorCode`). A name that comes again in a record is numbered: `Data`, `Data[2]`, `Data[3]`.

Depth, the tokens compiled per chunk and the text of a plan are bounded; a bound that is passed
damages the record that asks for more.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memset

from tracelake.native.cursor cimport corrupt, le16, le32, left, offset, refuse, take
from tracelake.native.text cimport utf16le_utf8
from tracelake.parsers.evtx_item cimport TYPE_STRING
from tracelake.parsers.evtx_names cimport MAX_NAME
from tracelake.parsers.evtx_plan cimport (
    AT_DATA, AT_EVENT, AT_ROOT, AT_SYSTEM, AT_USERDATA, NO_SLOT, OP_INSTANCE, OP_PAIR, OP_SYSTEM,
    SLOTS, S_ACTIVITY, S_CHANNEL, S_COMPUTER, S_EVENT_ID, S_KEYWORDS, S_LEVEL, S_OPCODE, S_PID,
    S_PROVIDER, S_PROVIDER_GUID, S_RECORD_ID, S_RELATED, S_TASK, S_TID, S_TIME, S_USER, S_VERSION,
    Op, Plan, put_op, put_part, put_path, put_text, put_utf16,
)

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


# --- reading a body --------------------------------------------------------------------------

cdef int _name(Build* b, Cursor* c, int32_t* at, int32_t* length) except -1 nogil:
    """Reads a name offset and the name, which stands inline or anywhere in the chunk."""
    cdef int64_t where
    cdef const uint8_t* p = take(c, 4, b"name offset")
    cdef uint32_t target = le32(p), h = 0
    cdef Py_ssize_t here = c.at - b.chunk.start
    cdef int32_t units, i
    cdef Ref* ref
    where = b.chunk.origin + target
    if <Py_ssize_t>target > b.chunk.length - 8:
        return corrupt(offset(c) - 4, b"name offset", b"points outside of the chunk")
    p = b.chunk.start + target
    units = le16(p + 6)
    if 8 + 2 * units > b.chunk.length - <Py_ssize_t>target:
        return corrupt(where, b"name", b"reaches beyond the chunk")
    if units > MAX_NAME:
        return corrupt(where, b"name", b"is too long")
    for i in range(units):
        h = h * 65599 + le16(p + 8 + 2 * i)
    if (h & 0xFFFF) != le16(p + 4):
        b.plan.guessed = 1
    at[0] = put_utf16(b.plan, p + 8, units)
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


cdef bint _plausible(const Build* b, const Cursor* c, int skip) noexcept nogil:
    """Whether an element start whose token is at `c` makes sense with `skip` bytes of
    dependency id: its size stays in the fragment, its name is inline or stands before it."""
    cdef const uint8_t* p = c.at + 1 + skip
    cdef Py_ssize_t here
    cdef uint32_t name
    if c.end - c.at < 9 + skip:
        return False
    here = p + 8 - b.chunk.start
    name = le32(p + 4)
    return le32(p) <= <size_t>(c.end - (p + 4)) and (
        <Py_ssize_t>name == here or (name >= 512 and <Py_ssize_t>name < here - 8)
    )


cdef int _add_text(Build* b, int32_t index, int32_t at, int32_t length, bint optional,
                   bint content) except -1 nogil:
    """A literal or a value, to the attribute or the element that is open."""
    cdef int32_t number = put_part(b.plan, index, at, length)
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
        op = put_op(plan, OP_SYSTEM)
        op.slot = slot
        op.attribute = 1
        return _text_op(b, op, a.first, a.last, a.parts, a.optional)
    level.has_attributes = 1
    name_at = put_path(plan, level.own_at, level.own_length, a.name_at, a.name_length)
    op = put_op(plan, OP_PAIR)
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
            level.own_at = put_path(plan, above.prefix_at, above.prefix_length, name_at,
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
        op = put_op(b.plan, OP_SYSTEM)
        op.slot = level.slot
        op.section = level.section
        _text_op(b, op, level.first, level.last, level.parts, level.optional)
    elif field:
        op = put_op(b.plan, OP_PAIR)
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
        return _add_text(b, -1, put_text(b.plan, <const uint8_t*>known, 1), 1, False, True)
    _add_text(b, -1, put_text(b.plan, <const uint8_t*>b"&", 1), 1, False, True)
    _add_text(b, -1, at, length, False, True)
    return _add_text(b, -1, put_text(b.plan, <const uint8_t*>b";", 1), 1, False, True)


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
    cdef int32_t at = put_utf16(b.plan, p, units)
    return _add_text(b, -1, at, b.plan.text_length - at, False, not _blank(p, units))


cdef int take_descriptors(Cursor* c, Py_ssize_t chunk_length, const uint8_t* chunk,
                          Instance* out) except -1 nogil:
    cdef const uint8_t* p = take(c, 10, b"template instance")
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
    return 0


cdef int take_instance(Cursor* c, Py_ssize_t chunk_length, const uint8_t* chunk,
                       Instance* out) except -1 nogil:
    cdef Py_ssize_t size = 0, i
    take_descriptors(c, chunk_length, chunk, out)
    for i in range(out.count):
        size += le16(out.descriptors + 4 * i)
    out.values = take(c, size, b"values")
    out.size = size
    return 0


cdef int _body(Build* b, Cursor* c, bint bare) except -1 nogil:
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
        b.chunk.work -= 1
        if b.chunk.work < 0:
            return corrupt(offset(c), b"template", b"the chunk's templates expand without bound")
        level = &b.levels[b.depth]
        if token == 0x06:
            take(c, 1, b"attribute")
            if not level.pending:
                return corrupt(offset(c) - 1, b"attribute", b"stands outside of a start tag")
            if b.attribute_count >= MAX_ATTRIBUTES:
                return corrupt(offset(c) - 1, b"attribute", b"is one too many")
            _name(b, c, &at, &length)
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
            if not _plausible(b, c, skip) and _plausible(b, c, 2 - skip):
                skip = 2 - skip
            take(c, 5 + skip, b"element start")
            if b.depth + 1 >= MAX_DEPTH:
                return corrupt(offset(c), b"element", b"is nested too deep")
            _name(b, c, &at, &length)
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
            _add_text(b, -1, put_text(b.plan, utf8, length), length, False, True)
        elif token == 0x09:
            take(c, 1, b"entity reference")
            _name(b, c, &at, &length)
            _entity(b, at, length)
        elif token == 0x0A:
            take(c, 1, b"processing instruction")
            _name(b, c, &at, &length)
        elif token == 0x0B:
            p = take(c, 3, b"processing instruction data")
            take(c, 2 * <Py_ssize_t>le16(p + 1), b"processing instruction data")
        elif token == 0x0C:
            if level.pending:
                _close_start(b)
            op = put_op(b.plan, OP_INSTANCE)
            op.instance = <int32_t>(c.at - c.start)
            level = &b.levels[b.depth]
            level.has_children = 1
            op.section = level.section
            op.prefix_at = level.prefix_at
            op.prefix_length = level.prefix_length
            b.plan.local = 1
            take_instance(c, b.chunk.length, b.chunk.start, &instance)
        else:  # 0x0D, 0x0E
            p = take(c, 4, b"substitution")
            _add_text(b, le16(p + 1), 0, 0, token == 0x0E, True)
    if b.depth != 0:
        return corrupt(offset(c), b"element", b"is not closed")
    level = &b.levels[0]
    if level.parts:
        # Text of a fragment that is in no element of its own.
        op = put_op(b.plan, OP_PAIR)
        op.quiet = 1
        op.section = level.section
        op.prefix_at = level.prefix_at
        op.prefix_length = level.prefix_length
        op.name_at = level.prefix_at
        op.name_length = level.prefix_length
        if op.name_length == 0:
            at = put_text(b.plan, <const uint8_t*>b"Data", 4)
            op = &b.plan.ops[b.plan.op_count - 1]
            op.name_at = at
            op.name_length = 4
        op.base_length = op.name_length
        _text_op(b, op, level.first, level.last, level.parts, level.optional)
    return 0


cdef int compile_body(
    Build* b, Plan* plan, Cursor* c, uint8_t section, const uint8_t* prefix, int32_t length,
    bint bare
) except -1 nogil:
    cdef Level* level = &b.levels[0]
    b.plan = plan
    b.depth = 0
    b.attribute_count = 0
    b.in_attribute = False
    b.slots = 0
    b.ref_count = 0
    memset(level, 0, sizeof(Level))
    level.section = section
    level.slot = NO_SLOT
    level.first = -1
    level.last = -1
    level.prefix_at = put_text(plan, prefix, length)
    level.prefix_length = length
    return _body(b, c, bare)
