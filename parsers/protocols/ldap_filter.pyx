"""Search filters of LDAP (RFC 4511, section 4.5.1.7) as text (RFC 4515).

Nothing recurses: where the filters of an AND, OR or NOT end is kept on a stack of its own, and what
lies deeper than DEEPEST is written as "...".
"""

from libc.stdint cimport uint8_t
from libc.string cimport memcpy, strlen

from tracelake.native.cursor cimport Cursor, be16, be32, le32, left
from tracelake.native.text cimport put_hex_bytes, put_uint
from tracelake.parsers.protocols.der cimport FOUND, OCTET_STRING, SEQUENCE, Element, element, expect

cdef enum:
    DEEPEST = 64
    RESERVE = 4                 # room for "..."

cdef enum:
    AND = 0xA0
    OR = 0xA1
    NOT = 0xA2
    EQUALITY = 0xA3
    SUBSTRINGS = 0xA4
    GREATER = 0xA5
    LESS = 0xA6
    PRESENT = 0x87
    APPROXIMATE = 0xA8
    EXTENSIBLE = 0xA9


cdef struct Out:
    uint8_t* at
    Py_ssize_t n
    Py_ssize_t size


cdef bint _put(Out* o, const uint8_t* p, Py_ssize_t n) noexcept nogil:
    if o.n + n > o.size - RESERVE:
        return False
    memcpy(o.at + o.n, p, n)
    o.n += n
    return True


cdef bint _say(Out* o, const char* text) noexcept nogil:
    return _put(o, <const uint8_t*>text, strlen(text))


cdef bint _is(const Cursor* name, const char* text) noexcept nogil:
    """Whether a description is this one, in whatever case."""
    cdef Py_ssize_t n = strlen(text), i
    if left(name) != n:
        return False
    for i in range(n):
        if (name.at[i] | 0x20) != (<const uint8_t*>text)[i]:
            return False
    return True


cdef bint _number(Out* o, unsigned long long value) noexcept nogil:
    cdef uint8_t[24] text
    return _put(o, text, put_uint(text, value))


cdef bint _sid(Out* o, const Cursor* v) noexcept nogil:
    """A security identifier ([MS-DTYP] 2.4.2.2) in words: S-1-5-21-..."""
    cdef int i, count = v.at[1]
    cdef const uint8_t* p = v.at
    if not _say(o, b"S-") or not _number(o, p[0]) or not _say(o, b"-"):
        return False
    if not _number(o, <unsigned long long>be16(p + 2) << 32 | be32(p + 4)):
        return False
    for i in range(count):
        if not _say(o, b"-") or not _number(o, le32(p + 8 + 4 * i)):
            return False
    return True


cdef bint _guid(Out* o, const uint8_t* p) noexcept nogil:
    """A GUID ([MS-DTYP] 2.3.4.2): the first three parts are little-endian."""
    cdef uint8_t[40] text
    cdef uint8_t[8] b
    cdef int i
    for i in range(4):
        b[i] = p[3 - i]
    b[4] = p[5]
    b[5] = p[4]
    b[6] = p[7]
    b[7] = p[6]
    put_hex_bytes(text, b, 4)
    text[8] = b"-"
    put_hex_bytes(text + 9, b + 4, 2)
    text[13] = b"-"
    put_hex_bytes(text + 14, b + 6, 2)
    text[18] = b"-"
    put_hex_bytes(text + 19, p + 8, 2)
    text[23] = b"-"
    put_hex_bytes(text + 24, p + 10, 6)
    return _put(o, text, 36)


cdef bint _value(Out* o, const Cursor* name, const Cursor* v) noexcept nogil:
    cdef uint8_t[16] text
    cdef int i
    if left(v) >= 8 and left(v) == 8 + 4 * v.at[1] and v.at[0] == 1 and (
        _is(name, b"objectsid") or _is(name, b"domainsid")
    ):
        return _sid(o, v)
    if left(v) == 16 and (_is(name, b"objectguid") or _is(name, b"domainguid")):
        return _guid(o, v.at)
    if left(v) == 4 and _is(name, b"ntver"):        # CLDAP: [MS-ADTS] 6.3.1.1
        text[0] = b"0"
        text[1] = b"x"
        for i in range(4):
            put_hex_bytes(text + 2 + 2 * i, v.at + 3 - i, 1)
        return _put(o, text, 10)
    return _put(o, v.at, left(v))


cdef bint _compared(Out* o, Cursor* c, const char* sign) noexcept nogil:
    """AttributeValueAssertion."""
    cdef Cursor name, value
    if not expect(c, OCTET_STRING, &name) or not expect(c, OCTET_STRING, &value):
        return _say(o, b"?")
    return _put(o, name.at, left(&name)) and _say(o, sign) and _value(o, &name, &value)


cdef bint _substrings(Out* o, Cursor* c) noexcept nogil:
    """SubstringFilter: initial, any and final parts with stars between them."""
    cdef Cursor name, parts
    cdef Element e
    cdef int first = 0
    if not expect(c, OCTET_STRING, &name) or not expect(c, SEQUENCE, &parts):
        return _say(o, b"?")
    if not _put(o, name.at, left(&name)) or not _say(o, b"="):
        return False
    while element(&parts, &e, True) == FOUND:
        if first != 2 and e.first != 0x80 and not _say(o, b"*"):
            return False
        if not _put(o, e.body.at, left(&e.body)):
            return False
        first = 2
        if e.first != 0x82 and not _say(o, b"*"):
            return False
    return True


cdef bint _extensible(Out* o, Cursor* c) noexcept nogil:
    """MatchingRuleAssertion: description, dn, rule, value."""
    cdef Element e
    cdef Cursor rule, type, value
    cdef bint has_rule = False, has_type = False, dn = False
    value.at = value.end = value.start = c.at
    type = rule = value
    while element(c, &e, True) == FOUND:
        if e.first == 0x81:
            rule = e.body
            has_rule = True
        elif e.first == 0x82:
            type = e.body
            has_type = True
        elif e.first == 0x83:
            value = e.body
        elif e.first == 0x84:
            dn = left(&e.body) > 0 and e.body.at[0] != 0
    if has_type and not _put(o, type.at, left(&type)):
        return False
    if dn and not _say(o, b":dn"):
        return False
    if has_rule and (not _say(o, b":") or not _put(o, rule.at, left(&rule))):
        return False
    return _say(o, b":=") and _value(o, &type, &value)


cdef bint _leaf(Out* o, Element* e) noexcept nogil:
    if not _say(o, b"("):
        return False
    if e.first == EQUALITY:
        if not _compared(o, &e.body, b"="):
            return False
    elif e.first == GREATER:
        if not _compared(o, &e.body, b">="):
            return False
    elif e.first == LESS:
        if not _compared(o, &e.body, b"<="):
            return False
    elif e.first == APPROXIMATE:
        if not _compared(o, &e.body, b"~="):
            return False
    elif e.first == PRESENT:
        if not _put(o, e.body.at, left(&e.body)) or not _say(o, b"=*"):
            return False
    elif e.first == SUBSTRINGS:
        if not _substrings(o, &e.body):
            return False
    elif e.first == EXTENSIBLE:
        if not _extensible(o, &e.body):
            return False
    elif not _say(o, b"?"):
        return False
    return _say(o, b")")


cdef Py_ssize_t put_filter(uint8_t* out, Py_ssize_t size, Cursor* c) noexcept nogil:
    cdef Out o
    cdef Cursor[DEEPEST] inner
    cdef int depth = 0
    cdef Element e
    cdef Cursor* at = c
    cdef bint all = True
    o.at = out
    o.n = 0
    o.size = size
    while all:
        if element(at, &e, True) != FOUND:
            if depth == 0:
                break
            depth -= 1
            at = &inner[depth - 1] if depth else c
            all = _say(&o, b")")
        elif AND <= e.first <= NOT:
            if depth == DEEPEST:
                all = _say(&o, b"...")
            else:
                all = _say(
                    &o, b"(&" if e.first == AND else b"(|" if e.first == OR else b"(!"
                )
                inner[depth] = e.body
                at = &inner[depth]
                depth += 1
        else:
            all = _leaf(&o, &e)
        if depth == 0:
            break
    if not all:
        memcpy(out + o.n, b"...", 3)
        o.n += 3
    return o.n
