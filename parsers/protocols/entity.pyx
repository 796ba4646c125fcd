"""MIME entities (see entity.pxd)."""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy

cdef enum:
    DEPTH_LIMIT = 32
    COUNT_LIMIT = 100000        # entities of a message
    HEADER_LIMIT = 65536

cdef enum:
    HT = 9
    LF = 10
    CR = 13
    SP = 32
    QUOTE = 34
    DASH = 45
    COLON = 58
    SEMICOLON = 59
    EQUALS = 61
    BACKSLASH = 92


cdef bint same(const uint8_t* p, Py_ssize_t n, const char* word) noexcept nogil:
    cdef Py_ssize_t i = 0
    cdef uint8_t c
    while i < n:
        c = p[i]
        if 65 <= c <= 90:
            c |= 32
        if word[i] == 0 or c != <uint8_t>word[i]:
            return False
        i += 1
    return word[n] == 0


cdef inline bint _space(uint8_t c) noexcept nogil:
    return c == SP or HT <= c <= CR


cdef inline bint _special(uint8_t c) noexcept nogil:
    """tspecials of RFC 2045."""
    return (
        c == 40 or c == 41 or c == 60 or c == 62 or c == 64 or c == 44 or c == 59 or c == 58
        or c == 92 or c == 34 or c == 47 or c == 91 or c == 93 or c == 63 or c == 61
    )


cdef Py_ssize_t token(const uint8_t* p, Py_ssize_t n, Py_ssize_t* at) noexcept nogil:
    cdef Py_ssize_t i = at[0], begin
    while i < n and _space(p[i]):
        i += 1
    begin = i
    while i < n and p[i] > 32 and p[i] != 127 and not _special(p[i]):
        i += 1
    at[0] = begin
    return i - begin


cdef void content_type(Entity* e, const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t at = 0, length = token(p, n, &at), next
    e.kind = LEAF
    if same(p + at, length, b"message"):
        e.kind = MESSAGE
    if not same(p + at, length, b"multipart"):
        return
    at += length
    while at < n:
        if p[at] != SEMICOLON:
            at += 1
            continue
        at += 1
        length = token(p, n, &at)
        next = at + length
        while next < n and _space(p[next]):
            next += 1
        if not same(p + at, length, b"boundary") or next >= n or p[next] != EQUALS:
            at = next
            continue
        at = next + 1
        while at < n and _space(p[at]):
            at += 1
        e.boundary_length = 0
        if at < n and p[at] == QUOTE:
            at += 1
            while at < n and p[at] != QUOTE and e.boundary_length < BOUNDARY_ROOM:
                if p[at] == BACKSLASH and at + 1 < n:
                    at += 1
                e.boundary[e.boundary_length] = p[at]
                e.boundary_length += 1
                at += 1
        else:
            while at < n and not _space(p[at]) and p[at] != SEMICOLON and (
                e.boundary_length < BOUNDARY_ROOM
            ):
                e.boundary[e.boundary_length] = p[at]
                e.boundary_length += 1
                at += 1
        if e.boundary_length:
            e.kind = MULTIPART
        return


cdef void tear(Tree* tree) noexcept nogil:
    tree.mid_line = True


cdef Py_ssize_t file_name(
    const uint8_t* p, Py_ssize_t n, bint disposition, const uint8_t** name
) noexcept nogil:
    """`attachment; filename="a.txt"`, `filename*=UTF-8''a.txt` and `name=a.txt`: what stands behind
    the equals sign, without quotes."""
    cdef Py_ssize_t i = 0, end
    while i + 4 < n:
        if not same(p + i, 4, b"name") or (
            disposition and (i < 4 or not same(p + i - 4, 4, b"file"))
        ):
            i += 1
            continue
        end = i + 4
        while end < n and (p[end] == SP or p[end] == HT):
            end += 1
        if end < n and p[end] == 42:
            end += 1
        if end >= n or p[end] != EQUALS:
            i += 4
            continue
        i = end + 1
        while i < n and _space(p[i]):
            i += 1
        if i < n and p[i] == QUOTE:
            i += 1
            end = i
            while end < n and p[end] != QUOTE:
                end += 1
        else:
            end = i
            while end < n and p[end] != SEMICOLON:
                end += 1
            while end > i and _space(p[end - 1]):
                end -= 1
        name[0] = p + i
        return end - i
    return 0


cdef Entity* _begin(Tree* tree) except NULL nogil:
    cdef Entity* e = <Entity*>calloc(1, sizeof(Entity))
    if e is NULL:
        with gil:
            raise MemoryError("a MIME entity")
    e.parent = tree.current
    if e.parent is not NULL:
        e.depth = e.parent.depth + 1
        tree.nested = True
    e.in_header = True
    e.name_length = -1
    tree.count += 1
    e.number = tree.count
    tree.current = e
    return e


cdef int plant(Tree* tree) except -1 nogil:
    _begin(tree)
    return 0


cdef int _end(Tree* tree) except -1 nogil:
    """The innermost entity has ended."""
    cdef Entity* e = tree.current
    try:
        if e.in_header:
            _header(tree, e)
        elif e.encoding == BASE64:
            _finish_base64(tree, e)
        tree.on_end(tree.owner, e)
    finally:
        tree.current = e.parent
        free(e.header)
        free(e)
    return 0


cdef int fell(Tree* tree) except -1 nogil:
    while tree.current is not NULL:
        _end(tree)
    return 0


cdef bint binary(const Tree* tree) noexcept nogil:
    cdef const Entity* e = tree.current
    return e is not NULL and not e.in_header and e.parent is not NULL and e.kind == LEAF


cdef bint whole_line(const Tree* tree, const uint8_t* p, Py_ssize_t n) noexcept nogil:
    if tree.current is NULL or tree.mid_line:
        return False
    if tree.current.in_header:
        return n < HEADER_LIMIT
    return n < BOUNDARY_ROOM + 16 and p[0] == DASH and (n < 2 or p[1] == DASH)


cdef int line(Tree* tree, const uint8_t* p, Py_ssize_t n, bint ended) except -1 nogil:
    cdef Entity* e = tree.current
    cdef Entity* of
    cdef bint begun = tree.mid_line
    tree.mid_line = not ended
    if e is NULL:
        return 0
    if not begun and n >= 2 and p[0] == DASH and p[1] == DASH:
        # The boundary of any entity around ends all that is inside of it.
        of = e
        while of is not NULL:
            if of.kind == MULTIPART and not of.in_header and n - 2 >= of.boundary_length and (
                memcmp(p + 2, of.boundary, of.boundary_length) == 0
            ):
                break
            of = of.parent
        if of is not NULL:
            while tree.current is not of:
                _end(tree)
            n -= 2 + of.boundary_length
            p += 2 + of.boundary_length
            if n >= 2 and p[0] == DASH and p[1] == DASH:
                if of.parent is NULL:
                    of.over = True
                else:
                    _end(tree)
            elif of.depth < DEPTH_LIMIT and tree.count < COUNT_LIMIT:
                _begin(tree)
            return 0
    if e.in_header:
        return _header_line(tree, e, p, n)
    if e.kind != LEAF:
        return 0                # before the first boundary, or behind the last one
    return _content(tree, e, p, n, ended, begun)


cdef int _header_line(Tree* tree, Entity* e, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    cdef uint8_t* grown
    cdef int32_t room
    if n == 0 or p[0] == 0:
        _header(tree, e)
        e.in_header = False
        if e.kind == MESSAGE:
            if e.depth < DEPTH_LIMIT and tree.count < COUNT_LIMIT:
                _begin(tree)
            else:
                e.kind = LEAF
        return 0
    if p[0] != SP and p[0] != HT:
        _header(tree, e)
    if e.header_count + n > HEADER_LIMIT:
        return 0
    if e.header_count + n > e.header_room:
        room = e.header_room * 2 if e.header_room else 256
        while room < e.header_count + n:
            room *= 2
        grown = <uint8_t*>realloc(e.header, room)
        if grown is NULL:
            with gil:
                raise MemoryError("a header")
        e.header = grown
        e.header_room = room
    memcpy(e.header + e.header_count, p, n)
    e.header_count += <int32_t>n
    return 0


cdef int _header(Tree* tree, Entity* e) except -1 nogil:
    """The header that was collected is whole."""
    cdef const uint8_t* p = e.header
    cdef Py_ssize_t n = e.header_count, at = 0, length
    e.header_count = 0
    if n == 0:
        return 0
    while at < n and p[at] != COLON:
        at += 1
    if at >= n:
        return 0
    length = at
    while length and _space(p[length - 1]):
        length -= 1
    if length == 0:
        return 0
    at += 1
    while at < n and _space(p[at]):
        at += 1
    if same(p, length, b"content-type"):
        content_type(e, p + at, n - at)
    if same(p, length, b"content-transfer-encoding"):
        _encoding(e, p + at, n - at)
    elif same(p, length, b"content-disposition"):
        _name(e, p + at, n - at, True)
    elif same(p, length, b"content-type"):
        _name(e, p + at, n - at, False)
    return tree.on_header(tree.owner, e, p, length, p + at, n - at)


cdef void _name(Entity* e, const uint8_t* p, Py_ssize_t n, bint disposition) noexcept nogil:
    cdef const uint8_t* name = NULL
    cdef Py_ssize_t length = file_name(p, n, disposition, &name)
    if length > FILE_NAME_ROOM:
        length = FILE_NAME_ROOM
    if length:
        memcpy(e.name, name, length)
        e.name_length = <int>length


cdef void _encoding(Entity* e, const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t at = 0, length = token(p, n, &at)
    if same(p + at, length, b"base64"):
        e.encoding = BASE64
    elif same(p + at, length, b"quoted-printable"):
        e.encoding = QUOTED_PRINTABLE
    else:
        e.encoding = AS_IT_IS


# Contents.

cdef int _content(
    Tree* tree, Entity* e, const uint8_t* p, Py_ssize_t n, bint ended, bint begun
) except -1 nogil:
    if e.encoding == BASE64:
        return _base64(tree, e, p, n)
    if e.encoding == QUOTED_PRINTABLE:
        return _quoted(tree, e, p, n, ended)
    if e.delayed:
        e.delayed = False
        tree.on_content(tree.owner, e, b"\r\n", 2)
    if n:
        tree.on_content(tree.owner, e, p, n)
    if ended:
        if e.parent is not NULL and e.parent.kind == MULTIPART:
            e.delayed = True    # the last one belongs to the boundary (RFC 2046, 5.1.1)
        else:
            tree.on_content(tree.owner, e, b"\r\n", 2)
    return 0


cdef inline int _digit(uint8_t c) noexcept nogil:
    """Of Base64; -1 where it is none."""
    if 65 <= c <= 90:
        return c - 65
    if 97 <= c <= 122:
        return c - 71
    if 48 <= c <= 57:
        return c + 4
    if c == 43:
        return 62
    if c == 47:
        return 63
    return -1


cdef int _base64(Tree* tree, Entity* e, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    cdef uint8_t[192] out
    cdef Py_ssize_t i, count = 0
    cdef int digit
    for i in range(n):
        digit = _digit(p[i])
        if digit < 0:
            if p[i] == EQUALS:
                if e.digits > 1:
                    _finish_base64_into(e, out, &count)
                e.digits = 0
            elif not _space(p[i]):
                e.illegal = True
        else:
            e.bits = e.bits << 6 | <uint32_t>digit
            e.digits += 1
            if e.digits == 4:
                out[count] = <uint8_t>(e.bits >> 16)
                out[count + 1] = <uint8_t>(e.bits >> 8)
                out[count + 2] = <uint8_t>e.bits
                count += 3
                e.digits = 0
        if count > 180:
            tree.on_content(tree.owner, e, out, count)
            count = 0
    if count:
        tree.on_content(tree.owner, e, out, count)
    return 0


cdef void _finish_base64_into(Entity* e, uint8_t* out, Py_ssize_t* count) noexcept nogil:
    """The bytes of the last two or three digits."""
    if e.digits == 2:
        out[count[0]] = <uint8_t>(e.bits >> 4)
        count[0] += 1
    elif e.digits == 3:
        out[count[0]] = <uint8_t>(e.bits >> 10)
        out[count[0] + 1] = <uint8_t>(e.bits >> 2)
        count[0] += 2


cdef int _finish_base64(Tree* tree, Entity* e) except -1 nogil:
    cdef uint8_t[4] out
    cdef Py_ssize_t count = 0
    _finish_base64_into(e, out, &count)
    e.digits = 0
    if count:
        tree.on_content(tree.owner, e, out, count)
    return 0


cdef inline int _hex(uint8_t c) noexcept nogil:
    if 48 <= c <= 57:
        return c - 48
    c |= 32
    if 97 <= c <= 102:
        return c - 87
    return -1


cdef int _quoted(
    Tree* tree, Entity* e, const uint8_t* p, Py_ssize_t n, bint ended
) except -1 nogil:
    cdef uint8_t[192] out
    cdef Py_ssize_t i = 0, count = 0, end = n
    cdef bint soft = False
    if ended:
        while end and (p[end - 1] == SP or p[end - 1] == HT):
            end -= 1
    while i < end:
        if p[i] == EQUALS:
            if i == end - 1:
                soft = True
            elif i + 2 < n and _hex(p[i + 1]) >= 0 and _hex(p[i + 2]) >= 0:
                out[count] = <uint8_t>(_hex(p[i + 1]) << 4 | _hex(p[i + 2]))
                count += 1
                i += 2
            else:
                out[count] = p[i]
                count += 1
        else:
            out[count] = p[i]
            count += 1
        i += 1
        if count > 180:
            tree.on_content(tree.owner, e, out, count)
            count = 0
    if ended and not soft:
        out[count] = CR
        out[count + 1] = LF
        count += 2
    if count:
        tree.on_content(tree.owner, e, out, count)
    return 0
