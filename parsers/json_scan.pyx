"""JSON text onto a tape (see json_scan.pxd).

Records of a log have the same members in the same order, one after the other. So the next name is
guessed from what came after the one before it in the last record, and compared in place: it is
not searched for its end, not hashed, not looked up. Of real logs more than nine of ten names are
guessed.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from tracelake.native.text cimport utf8_repair, utf8_valid
from tracelake.parsers.evtx_memo cimport equal_bytes
from tracelake.parsers.json_text cimport (
    SEEN_HIGH, SEEN_LONE, UNESCAPE_SLACK, json_escape, json_plain, json_unescape, json_utf8,
)
from tracelake.parsers.tape cimport EMPTY, LIST, NEST, OBJECT, SCALAR, WORD, Entry, Nest, Node
from tracelake.parsers.values cimport BOOL, INT, NOTHING, TEXT_VALID, UINT, Value, bytes_value, number_value

cdef enum:
    NESTING_WORDS = 16          # a bit for each of NESTING


cdef struct Reader:
    const uint8_t* p            # what is read next
    const uint8_t* end
    const uint8_t* limit
    const char* why             # it is no JSON


cdef inline bint _white(uint8_t c) noexcept nogil:
    return c == 32 or c == 10 or c == 13 or c == 9


cdef inline void _skip(Reader* r) noexcept nogil:
    while r.p < r.end and r.p[0] <= 32 and _white(r.p[0]):
        r.p += 1


cdef inline int _wrong(Reader* r, const char* why) noexcept nogil:
    r.why = why
    return 0


# --- values -----------------------------------------------------------------------------------

cdef int _checked(Tape tape, Value* value) except -1 nogil:
    """Repairs a text that is not UTF-8."""
    cdef uint8_t* out
    if utf8_valid(value.p, value.n) == value.n:
        return 1
    out = tape.room(3 * value.n)
    value.n = utf8_repair(value.p, value.n, out)
    value.p = out
    tape.used(value.n)
    tape.repaired = True
    return 1


cdef int _text(Tape tape, Reader* r, Value* value) except -1 nogil:
    """The string whose opening quote was passed; 0 where it is none."""
    cdef const uint8_t* start = r.p
    cdef const uint8_t* q
    cdef uint8_t* out
    cdef uint8_t* at
    cdef unsigned int seen = 0
    q = json_plain(start, r.end, r.limit, &seen)
    if q < r.end and q[0] == 34:
        value[0] = bytes_value(TEXT_VALID, start, q - start)
        r.p = q + 1
        return _checked(tape, value) if seen else 1
    if q == r.end or q[0] != 92:
        r.p = q
        return _wrong(r, "a text without an end" if q == r.end else "a control character in a text")
    seen = 0
    out = at = tape.room(r.end - start + UNESCAPE_SLACK)
    q = json_unescape(start, r.end, r.limit, &at, &seen)
    if q is NULL:
        return _wrong(r, "a text without an end, or with an escape that is none")
    r.p = q + 1
    value[0] = bytes_value(TEXT_VALID, out, at - out)
    tape.used(at - out)
    if seen & SEEN_LONE:
        tape.repaired = True
    return _checked(tape, value) if seen & SEEN_HIGH else 1


cdef inline bint _digit(const uint8_t* p, const uint8_t* end) noexcept nogil:
    return p < end and 48 <= p[0] <= 57


cdef bint _number_end(Reader* r) noexcept nogil:
    """Passes over a number; whether it is a whole one without an exponent."""
    cdef const uint8_t* p = r.p
    cdef const uint8_t* end = r.end
    cdef bint whole = True
    if p < end and p[0] == 45:
        p += 1
    if not _digit(p, end):
        r.p = p
        r.why = "no value"
        return False
    if p[0] == 48:
        p += 1
        if _digit(p, end):
            r.why = "a number that begins with 0"
    else:
        while _digit(p, end):
            p += 1
    if p < end and p[0] == 46:
        p += 1
        whole = False
        if not _digit(p, end):
            r.why = "a number without digits behind its point"
        while _digit(p, end):
            p += 1
    if p < end and p[0] | 32 == 101:
        p += 1
        whole = False
        if p < end and (p[0] == 43 or p[0] == 45):
            p += 1
        if not _digit(p, end):
            r.why = "a number without an exponent"
        while _digit(p, end):
            p += 1
    r.p = p
    return whole


cdef int _word_end(Reader* r) noexcept nogil:
    """Passes over a value that is a word; its first letter, 0 where it is none."""
    cdef Py_ssize_t n = r.end - r.p
    cdef const char* p = <const char*>r.p
    cdef int first = r.p[0]
    if n >= 4 and memcmp(p, b"true", 4) == 0 or n >= 4 and memcmp(p, b"null", 4) == 0:
        n = 4
    elif n >= 5 and memcmp(p, b"false", 5) == 0:
        n = 5
    elif n >= 3 and memcmp(p, b"NaN", 3) == 0:
        n = 3
    elif n >= 8 and memcmp(p, b"Infinity", 8) == 0:
        n = 8
    elif n >= 9 and memcmp(p, b"-Infinity", 9) == 0:
        n = 9
    else:
        return _wrong(r, "no value")
    r.p += n
    return first


cdef int _scalar(Reader* r, Value* value) noexcept nogil:
    """A number or a word; 0 where it is neither."""
    cdef const uint8_t* start = r.p
    cdef bint negative = start[0] == 45
    cdef const uint8_t* first = start + negative
    cdef const uint8_t* p = first
    cdef uint64_t number = 0
    cdef int word
    if not _digit(p, r.end):
        word = _word_end(r)
        if word == 116 or word == 102:
            value[0] = number_value(BOOL, word == 116)
        elif word == 110:
            value[0] = number_value(NOTHING, 0)
        elif word:
            value[0] = bytes_value(TEXT_VALID, start, r.p - start)
        return word != 0
    while p - first < 19 and _digit(p, r.end):
        number = 10 * number + <uint64_t>(p[0] - 48)
        p += 1
    # Of most numbers this is all; -0 is not 0.
    if not (p < r.end and (48 <= p[0] <= 57 or p[0] == 46 or p[0] | 32 == 101)) and (
        first[0] != 48 or (p - first == 1 and not negative)
    ) and not (negative and number > 0x8000000000000000ULL):
        r.p = p
        if negative:
            value[0] = number_value(INT, <uint64_t>0 - number)
        else:
            value[0] = number_value(INT if number >> 63 == 0 else UINT, number)
        return 1
    value[0] = bytes_value(TEXT_VALID, start, 0)
    if _number_end(r) and not negative and r.p - first == 20 and first[0] == 49:
        # 20 digits fit where they are no smaller than the first 19 of them, tenfold.
        number = 10 * number + <uint64_t>(first[19] - 48)
        if number >= 10000000000000000000ULL and r.why is NULL:
            value[0] = number_value(UINT, number)
            return 1
    value.n = r.p - start
    return r.why is NULL


# --- values that stay text --------------------------------------------------------------------

cdef int _string_end(Reader* r, bint* plain, unsigned int* seen) noexcept nogil:
    """Passes over a string whose opening quote was passed; 0 where it is none."""
    cdef const uint8_t* q = r.p
    cdef uint32_t c
    while True:
        q = json_plain(q, r.end, r.limit, seen)
        if q == r.end:
            r.p = q
            return _wrong(r, "a text without an end")
        if q[0] == 34:
            r.p = q + 1
            return 1
        r.p = q
        if q[0] != 92:
            return _wrong(r, "a control character in a text")
        q = json_escape(q, r.end, &c, seen)
        if q is NULL:
            return _wrong(r, "an escape that is none")
        plain[0] = False


cdef int _pass(Reader* r, int depth, bint* plain, unsigned int* seen) noexcept nogil:
    """Passes over any value, which stands in `depth` others; 0 where it is none. `plain` is taken
    back where it has white space or escapes."""
    cdef uint64_t[NESTING_WORDS] objects
    cdef const uint8_t* was
    cdef Value value
    cdef int level = 0
    cdef bint named = False
    while True:
        # A name, where one is due, and then a value.
        if named:
            if r.p == r.end or r.p[0] != 34:
                return _wrong(r, "no name")
            r.p += 1
            if not _string_end(r, plain, seen):
                return 0
            was = r.p
            _skip(r)
            if r.p == r.end or r.p[0] != 58:
                return _wrong(r, "no colon")
            plain[0] = plain[0] and r.p == was
            r.p += 1
            was = r.p
            _skip(r)
            plain[0] = plain[0] and r.p == was
        if r.p == r.end:
            return _wrong(r, "no value")
        if r.p[0] == 34:
            r.p += 1
            if not _string_end(r, plain, seen):
                return 0
        elif r.p[0] == 123 or r.p[0] == 91:
            if level + depth >= NESTING:
                return _wrong(r, "nested too deeply")
            named = r.p[0] == 123
            objects[level >> 6] &= ~(<uint64_t>1 << (level & 63))
            objects[level >> 6] |= <uint64_t>named << (level & 63)
            level += 1
            r.p += 1
            was = r.p
            _skip(r)
            plain[0] = plain[0] and r.p == was
            if r.p == r.end or r.p[0] != (125 if named else 93):
                continue
        elif not _scalar(r, &value):
            return 0
        # What is closed behind it, up to where another value is due.
        while level:
            was = r.p
            _skip(r)
            plain[0] = plain[0] and r.p == was
            if r.p == r.end:
                return _wrong(r, "an object or list without an end")
            named = objects[(level - 1) >> 6] >> ((level - 1) & 63) & 1
            if r.p[0] == 44:
                r.p += 1
                was = r.p
                _skip(r)
                plain[0] = plain[0] and r.p == was
                break
            if r.p[0] != (125 if named else 93):
                return _wrong(r, "neither a comma nor the end of an object or list")
            r.p += 1
            level -= 1
        if level == 0:
            return 1


cdef uint8_t* _put_escaped(uint8_t* out, uint32_t c) noexcept nogil:
    """A character of a string as JSON has it, with an escape only where it must be."""
    cdef int i
    cdef int code = 0
    if c == 34 or c == 92:
        code = <int>c
    elif c == 8:
        code = 98
    elif c == 9:
        code = 116
    elif c == 10:
        code = 110
    elif c == 12:
        code = 102
    elif c == 13:
        code = 114
    elif c < 32:
        memcpy(out, <const char*>"\\u00", 4)
        for i in range(2):
            code = (c >> (4 - 4 * i)) & 15
            out[4 + i] = <uint8_t>(code + (48 if code < 10 else 87))
        return out + 6
    else:
        return json_utf8(out, c)
    out[0] = 92
    out[1] = <uint8_t>code
    return out + 2


cdef int _compact(Tape tape, const uint8_t* p, const uint8_t* end, Value* value) except -1 nogil:
    """A text of JSON (known to be) without white space and needless escapes."""
    cdef uint8_t* out = tape.room(end - p + UNESCAPE_SLACK)
    cdef uint8_t* at = out
    cdef unsigned int seen = 0
    cdef bint inside = False
    cdef uint32_t c = 0
    # No escape is shorter than what it becomes.
    while p < end:
        if inside and p[0] == 92:
            p = json_escape(p, end, &c, &seen)
            if p is NULL:
                break
            at = _put_escaped(at, c)
            continue
        if p[0] == 34:
            inside = not inside
        if inside or not _white(p[0]):
            at[0] = p[0]
            at += 1
        p += 1
    tape.used(at - out)
    value[0] = bytes_value(TEXT_VALID, out, at - out)
    if seen & SEEN_LONE:
        tape.repaired = True
    return 1


cdef int _as_text(Tape tape, Reader* r, int depth, Value* value) except -1 nogil:
    """A list or object as text; 0 where it is none."""
    cdef const uint8_t* start = r.p
    cdef unsigned int seen = 0
    cdef bint plain = True
    if not _pass(r, depth, &plain, &seen):
        return 0
    if plain:
        value[0] = bytes_value(TEXT_VALID, start, r.p - start)
    else:
        _compact(tape, start, r.p, value)
    return _checked(tape, value) if seen & ~SEEN_LONE else 1


cdef int compact_nest(Tape tape, Value* value) except -1 nogil:
    cdef Reader r = Reader(value.p, value.p + value.n, value.p + value.n, NULL)
    return _as_text(tape, &r, 0, value)


cdef int _nests(Tape tape, Reader* r, int32_t node, int depth, Entry* entry) except -1 nogil:
    """A list, whose objects are noted where it has nothing else; 0 where it is none."""
    cdef const uint8_t* start = r.p
    cdef const uint8_t* p
    cdef Py_ssize_t noted = tape.nest_count, i
    cdef unsigned int seen = 0
    cdef bint plain = True
    cdef Nest* nest
    r.p += 1
    _skip(r)
    while r.p < r.end and r.p[0] == 123:
        p = r.p
        if not _pass(r, depth + 1, &plain, &seen):
            return 0
        nest = tape.nest(node)
        nest.p = p
        nest.n = r.p - p
        nest.first = entry - tape.entries
        nest.end = nest.first + 1
        nest.alone = False
        _skip(r)
        if r.p == r.end or r.p[0] != 44:
            break
        r.p += 1
        _skip(r)
        if r.p < r.end and r.p[0] == 93:
            return _wrong(r, "no value")
    if r.p < r.end and r.p[0] == 93 and tape.nest_count > noted:
        r.p += 1
        tape.meet_nests(node)
        entry.what = NEST
        entry.value = bytes_value(TEXT_VALID, start, r.p - start)
        return 1
    # Empty, or there is something else in it: an ordinary list (or none).
    tape.drop_nests(noted)
    r.p = start
    return _as_text(tape, r, depth, &entry.value)


cdef const uint8_t* json_end(
    const uint8_t* p, const uint8_t* end, const uint8_t* limit, Fault* fault
) noexcept nogil:
    cdef Reader r = Reader(p, end, limit, NULL)
    cdef unsigned int seen = 0
    cdef bint plain = True
    if _pass(&r, 0, &plain, &seen):
        return r.p
    fault.why = r.why
    fault.at = r.p - p
    return NULL


# --- objects ----------------------------------------------------------------------------------

cdef inline bint _is_named(const Node* it, const uint8_t* p, Py_ssize_t left) noexcept nogil:
    """Whether the name at `p`, behind its quote, is the node's and ends with a quote."""
    return it.length < left and p[it.length] == 34 and equal_bytes(p, it.name, it.length)


cdef int32_t _name(Tape tape, Reader* r, int32_t parent, int32_t last) except -1 nogil:
    """The node of the name at hand, behind its quote; 0 where it is none. `last` is the member
    before it, 0: it is the first."""
    cdef Py_ssize_t left = r.end - r.p
    cdef int32_t guess, node
    cdef Node* before = &tape.nodes[last] if last else &tape.nodes[parent]
    cdef unsigned int seen = 0
    cdef Value name
    guess = before.follow if last else before.first
    if guess and _is_named(&tape.nodes[guess], r.p, left):
        r.p += tape.nodes[guess].length + 1
        return guess
    if last:
        node = before.other
        if node and _is_named(&tape.nodes[node], r.p, left):
            before.other = guess
            before.follow = node
            r.p += tape.nodes[node].length + 1
            return node
    if not _text(tape, r, &name):
        return 0
    node = tape.name_of(parent, name.p, name.n)
    # A name that JSON shows with escapes cannot be told by its bytes.
    before = &tape.nodes[node]
    if not tape.is_loose(node) and not tape.is_loose(last) and (
        json_plain(before.name, before.name + before.length, before.name + before.length, &seen)
        == before.name + before.length
    ):
        if last:
            tape.nodes[last].other = guess
            tape.nodes[last].follow = node
        else:
            tape.nodes[parent].first = node
    return node


cdef inline const uint8_t* _behind_white(const uint8_t* p, const uint8_t* end) noexcept nogil:
    while p < end and p[0] <= 32 and _white(p[0]):
        p += 1
    return p


cdef int _members(Tape tape, Reader* r, int32_t top, int depth) except -1 nogil:
    """The object whose brace was passed, and that has members, which go below `top`."""
    cdef int32_t[DEPTH + 1] parents
    cdef int32_t parent = top, last = 0, node, guess
    cdef int level = depth
    cdef unsigned int seen
    # In registers: what `r` points to would be read again after each store.
    cdef const uint8_t* p = r.p
    cdef const uint8_t* end = r.end
    cdef const uint8_t* start
    cdef const uint8_t* q
    cdef Entry* entry
    cdef Nest* nest
    while True:
        if p == end or p[0] != 34:
            r.p = p
            return _wrong(r, "no name")
        p += 1
        guess = tape.nodes[last].follow if last else tape.nodes[parent].first
        if guess and _is_named(&tape.nodes[guess], p, end - p):
            p += tape.nodes[guess].length + 1
            node = last = guess
        else:
            r.p = p
            node = last = _name(tape, r, parent, last)
            p = r.p
            if node == 0:
                return 0
        if tape.nodes[node].alias:
            node = tape.nodes[node].alias
        p = _behind_white(p, end)
        if p == end or p[0] != 58:
            r.p = p
            return _wrong(r, "no colon")
        p = _behind_white(p + 1, end)
        if p == end:
            r.p = p
            return _wrong(r, "no value")
        if p[0] == 34:
            p += 1
            entry = tape.append(node, WORD)
            seen = 0
            q = json_plain(p, end, r.limit, &seen)
            if q < end and q[0] == 34 and not seen:
                entry.value = bytes_value(TEXT_VALID, p, q - p)
                p = q + 1
            else:
                r.p = p
                if not _text(tape, r, &entry.value):
                    return 0
                p = r.p
            tape.meet(node, <int32_t>(tape.count - 1))
        elif p[0] == 123:
            start = p
            p = _behind_white(p + 1, end)
            if p < end and p[0] == 125:
                p += 1
                entry = tape.append(node, EMPTY)
                entry.value = bytes_value(TEXT_VALID, <const uint8_t*><const char*>"{}", 2)
                tape.meet(node, <int32_t>(tape.count - 1))
            elif level + 1 < DEPTH:
                tape.meet(node, -1)
                if tape.nodes[node].nests:
                    nest = tape.nest(node)
                    tape.meet_nests(node)
                    nest.p = start
                    nest.n = 0
                    nest.first = tape.count
                    nest.end = -1
                    nest.alone = True
                parents[level] = parent
                level += 1
                parent = node
                last = 0
                continue
            else:
                r.p = start
                entry = tape.append(node, OBJECT)
                if not _as_text(tape, r, level + 1, &entry.value):
                    return 0
                p = r.p
                tape.meet(node, <int32_t>(tape.count - 1))
        elif p[0] == 91:
            r.p = p
            entry = tape.append(node, LIST)
            if not tape.nodes[node].nests:
                if not _as_text(tape, r, level + 1, &entry.value):
                    return 0
            elif not _nests(tape, r, node, level + 1, entry):
                return 0
            p = r.p
            tape.meet(node, <int32_t>(tape.count - 1))
        else:
            r.p = p
            entry = tape.append(node, SCALAR)
            if not _scalar(r, &entry.value):
                return 0
            p = r.p
            if entry.value.kind != NOTHING:
                tape.meet(node, <int32_t>(tape.count - 1))
        while True:
            p = _behind_white(p, end)
            if p == end:
                r.p = p
                return _wrong(r, "an object without an end")
            if p[0] == 44:
                p = _behind_white(p + 1, end)
                break
            if p[0] != 125:
                r.p = p
                return _wrong(r, "neither a comma nor the end of an object")
            p += 1
            if level == depth:
                r.p = p
                return 1
            if tape.nodes[parent].nests:
                tape.end_nest(parent, p)
            level -= 1
            last = parent
            parent = parents[level]


cdef int _value(Tape tape, Reader* r) except -1 nogil:
    """A value that is no object, as the member `value` of one."""
    cdef int32_t node = tape.node(0, <const uint8_t*><const char*>"value", 5)
    cdef Value value
    cdef int what = SCALAR
    if r.p == r.end:
        return _wrong(r, "no value")
    if r.p[0] == 34:
        r.p += 1
        what = WORD
        if not _text(tape, r, &value):
            return 0
    elif r.p[0] == 91:
        what = LIST
        if not _as_text(tape, r, 0, &value):
            return 0
    elif not _scalar(r, &value):
        return 0
    tape.put(node, what, &value)
    return 1


cdef Scanned scan_json(
    Tape tape, int32_t node, const uint8_t* p, Py_ssize_t n, Py_ssize_t readable, Fault* fault
) except FAILED nogil:
    cdef Reader r = Reader(p, p + n, p + readable, NULL)
    cdef int good = 1
    _skip(&r)
    if r.p < r.end and r.p[0] == 123:
        r.p += 1
        _skip(&r)
        if r.p < r.end and r.p[0] == 125:
            r.p += 1
        else:
            good = _members(tape, &r, node, tape.nodes[node].depth)
    else:
        good = _value(tape, &r)
    if good:
        _skip(&r)
        if r.p == r.end:
            return TAKEN
        r.why = "something behind the value"
    fault.why = r.why
    fault.at = r.p - p
    return REFUSED


cdef Scanned scan_inside(
    Tape tape, int32_t node, const uint8_t* p, Py_ssize_t n
) except FAILED nogil:
    cdef Reader r = Reader(p, p + n, p + n, NULL)
    cdef Py_ssize_t count = tape.count
    cdef unsigned int seen = 0
    cdef bint plain = True
    cdef const uint8_t* start
    _skip(&r)
    start = r.p
    # Read through first: what is broken further on must not have been met.
    if not _pass(&r, 0, &plain, &seen):
        return REFUSED
    _skip(&r)
    if r.p < r.end:
        return REFUSED
    if start[0] != 123:
        return OTHER
    r.p = start + 1
    _skip(&r)
    if r.p[0] == 125:
        return TAKEN
    if not _members(tape, &r, node, tape.nodes[node].depth):
        tape.count = count
        return REFUSED
    return TAKEN
