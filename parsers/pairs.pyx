"""Texts of named values onto a tape: key=value, ArcSight's CEF, QRadar's LEEF.

Specifications: "ArcSight Common Event Format" (Micro Focus, version 27), IBM "QRadar Log Event
Extended Format (LEEF)" 1.0 and 2.0. For key=value there is none; what firewalls write is read:
FortiGate, SonicWall and Sophos (`key=value key="a value"`), Check Point (`key:"value";`), with
blanks, tabs, commas, semicolons or bars between the pairs.

    CEF:0|vendor|product|version|signature|name|severity|key=value key=value
    LEEF:1.0|vendor|product|version|event|key=value<tab>key=value
    LEEF:2.0|vendor|product|version|event|delimiter|key=value<delimiter>key=value

A CEF value goes up to the last blank before the next key, and its escapes are undone. `cs1=x
cs1Label=Rule` is a value `x` called `Rule`, and `cs1Label` stands beside it and says whose name that
is. An `=` that no key stands before is text, as is a word between two pairs.
"""

from libc.string cimport memchr, memcmp

from tracelake.parsers.values cimport TEXT, Value

cdef enum:
    MOST_PAIRS = 256        # of an event, that labels are looked for among
    LONGEST_KEY = 96
    IN_VAIN = 4096          # bytes behind a quote in which a better one may stand


cdef struct Pair:
    const uint8_t* key
    Py_ssize_t key_length
    Py_ssize_t label        # index of the pair that names it, or -1
    Value value


cdef inline bint _key_char(uint8_t c) noexcept nogil:
    return (
        97 <= (c | 32) <= 122 or 48 <= c <= 57 or c == 95 or c == 46 or c == 45 or c == 91
        or c == 93 or c == 36 or c == 64 or c == 47
    )


cdef inline bint _between(uint8_t c) noexcept nogil:
    """What stands between pairs: blank, tab, line end, comma, semicolon, bar; brackets around."""
    return (
        c == 32 or c == 9 or c == 10 or c == 13 or c == 44 or c == 59 or c == 124 or c == 91
        or c == 93 or c == 40
    )


cdef inline bint _text(const uint8_t* p, Py_ssize_t n, const char* what, Py_ssize_t m) noexcept nogil:
    return n >= m and memcmp(p, what, m) == 0


cdef int _put(
    Tape tape, int32_t parent, const uint8_t* name, Py_ssize_t m, const uint8_t* p, Py_ssize_t n
) except -1 nogil:
    cdef Value value = Value(TEXT, p, n, 0)
    return tape.add(tape.node(parent, name, m), &value)


# --- CEF and LEEF -------------------------------------------------------------------------------


cdef Py_ssize_t find_event(const uint8_t* p, Py_ssize_t n, int* style) noexcept nogil:
    cdef Py_ssize_t at = 0, end = n if n < 1024 else 1024
    cdef const void* found
    style[0] = NO_STYLE
    while at + 8 < end:
        found = memchr(p + at, 69, end - at)                # the E of both
        if found is NULL:
            return -1
        at = <const uint8_t*>found - p
        # The version is a number: text that only speaks of CEF is none.
        if at >= 1 and _text(p + at - 1, n - at + 1, b"CEF:", 4) and 48 <= p[at + 3] <= 57:
            if _bar_follows(p, n, at + 3):
                style[0] = CEF
                return at - 1
        if at >= 1 and _text(p + at - 1, n - at + 1, b"LEEF:", 5) and 48 <= p[at + 4] <= 57:
            if _bar_follows(p, n, at + 4):
                style[0] = LEEF
                return at - 1
        at += 1
    return -1


cdef bint _bar_follows(const uint8_t* p, Py_ssize_t n, Py_ssize_t at) noexcept nogil:
    cdef Py_ssize_t end = at + 8
    while at < n and at < end and (48 <= p[at] <= 57 or p[at] == 46):
        at += 1
    return at < n and p[at] == 124


cdef Py_ssize_t _unescaped(
    const uint8_t* p, Py_ssize_t n, uint8_t* out, bint header
) noexcept nogil:
    """CEF's escapes undone: \\| and \\\\ in the header, \\=, \\\\, \\n and \\r in the extension."""
    cdef Py_ssize_t i = 0, made = 0
    cdef uint8_t c
    while i < n:
        c = p[i]
        if c == 92 and i + 1 < n:
            c = p[i + 1]
            if c == 92 or (c == 124 and header) or (c == 61 and not header) or c == 124:
                i += 1
            elif c == 110 and not header:
                c = 10
                i += 1
            elif c == 114 and not header:
                c = 13
                i += 1
            else:
                c = 92
        out[made] = c
        made += 1
        i += 1
    return made


cdef int _escaped(
    Tape tape, Value* value, const uint8_t* p, Py_ssize_t n, bint header
) except -1 nogil:
    """A value as it is, or where there are escapes without them."""
    cdef uint8_t* made
    cdef Py_ssize_t size
    value.kind = TEXT
    value.number = 0
    value.p = p
    value.n = n
    if n and memchr(p, 92, n) is not NULL:
        made = tape.room(n)
        size = _unescaped(p, n, made, header)
        tape.used(size)
        value.p = made
        value.n = size
    return 0


cdef Py_ssize_t _bar(const uint8_t* p, Py_ssize_t n, Py_ssize_t at) noexcept nogil:
    """Where the header's field that begins at `at` ends: its bar, or -1."""
    while at < n:
        if p[at] == 92:
            at += 1
        elif p[at] == 124:
            return at
        at += 1
    return -1


cdef struct Label:
    const char* name
    int length


cdef Label[7] CEF_HEADER
CEF_HEADER[0] = Label(b"cefVersion", 10)
CEF_HEADER[1] = Label(b"deviceVendor", 12)
CEF_HEADER[2] = Label(b"deviceProduct", 13)
CEF_HEADER[3] = Label(b"deviceVersion", 13)
CEF_HEADER[4] = Label(b"signatureId", 11)
CEF_HEADER[5] = Label(b"name", 4)
CEF_HEADER[6] = Label(b"severity", 8)
cdef Label[5] LEEF_HEADER
LEEF_HEADER[0] = Label(b"leefVersion", 11)
LEEF_HEADER[1] = Label(b"deviceVendor", 12)
LEEF_HEADER[2] = Label(b"deviceProduct", 13)
LEEF_HEADER[3] = Label(b"deviceVersion", 13)
LEEF_HEADER[4] = Label(b"eventID", 7)


cdef int put_event(
    Tape tape, int32_t parent, int style, const uint8_t* p, Py_ssize_t n
) except -1 nogil:
    cdef Py_ssize_t at = 4 if style == CEF else 5, end, version
    cdef int fields = 7 if style == CEF else 5, i
    cdef Label* names = &CEF_HEADER[0]
    cdef Value value
    cdef uint8_t delimiter = 9
    cdef bint is_second
    if style == LEEF:
        names = &LEEF_HEADER[0]
    version = at
    for i in range(fields):
        end = _bar(p, n, at)
        if end < 0:
            # The last field of a CEF event without extension may end the line.
            if i < fields - 1:
                return 0
            end = n
        _escaped(tape, &value, p + at, end - at, True)
        tape.add(
            tape.node(parent, <const uint8_t*>names[i].name, names[i].length), &value
        )
        at = end + 1 if end < n else n
    if style == CEF:
        _put_extension(tape, parent, p + at, n - at)
        return 1
    is_second = p[version] == 50
    if is_second:
        end = _bar(p, n, at)
        i = _delimiter(p + at, end - at) if end >= 0 else -1
        # Some write 2.0 and no delimiter; then what stands there are pairs.
        if i >= 0:
            delimiter = <uint8_t>i
            at = end + 1
    if delimiter == 9 and memchr(p + at, 9, n - at) is NULL:
        if at < n and p[at] == 32:
            at += 1
        _put_extension(tape, parent, p + at, n - at)
        return 1
    while at < n:
        end = at
        while end < n and p[end] != delimiter:
            end += 1
        _put_one(tape, parent, p + at, end - at)
        at = end + 1
    return 1


cdef int _delimiter(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """LEEF 2.0's delimiter: a character, or its code (x5E, 0x5E); a tab where it is empty; -1: it
    is none."""
    cdef Py_ssize_t i
    cdef int code = 0
    cdef uint8_t c
    if n == 0:
        return 9
    if n == 1:
        return p[0]
    i = 1 if (p[0] | 32) == 120 else 2 if p[0] == 48 and (p[1] | 32) == 120 else n
    if i == n or n - i > 4:
        return 9 if n == 2 and p[0] == 92 and p[1] == 116 else -1
    while i < n:
        c = p[i]
        if 48 <= c <= 57:
            code = code * 16 + c - 48
        elif 97 <= (c | 32) <= 102:
            code = code * 16 + (c | 32) - 87
        else:
            return -1
        i += 1
    return code if 0 < code < 128 else -1


cdef int _put_one(Tape tape, int32_t parent, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    """One pair between delimiters."""
    cdef const void* equal
    cdef Py_ssize_t m
    while n and (p[0] == 32 or p[0] == 13):
        p += 1
        n -= 1
    while n and (p[n - 1] == 13 or p[n - 1] == 10):
        n -= 1
    if n == 0:
        return 0
    equal = memchr(p, 61, n)
    if equal is NULL:
        return _put(tape, parent, b"text", 4, p, n)
    m = <const uint8_t*>equal - p
    return _put(tape, parent, p, m, p + m + 1, n - m - 1)


cdef Py_ssize_t _key_start(
    const uint8_t* p, Py_ssize_t low, Py_ssize_t equal
) noexcept nogil:
    """Where the key begins that ends before `equal`, or -1: what stands there is none."""
    cdef Py_ssize_t at = equal
    while at > low and _key_char(p[at - 1]) and equal - at < LONGEST_KEY:
        at -= 1
    if at == equal or (at > low and not _between(p[at - 1])):
        return -1
    # A bracket before it is around the pairs: `[action:"Accept"`.
    while at < equal and (p[at] == 91 or p[at] == 93):
        at += 1
    if at == equal or not (97 <= (p[at] | 32) <= 122 or p[at] == 95 or p[at] == 64):
        return -1
    return at


cdef int _put_extension(Tape tape, int32_t parent, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    """CEF's key=value, where a value holds blanks."""
    cdef Pair[MOST_PAIRS] pairs
    cdef int count = 0
    cdef Py_ssize_t at = 0, key = -1, key_end = 0, value = 0, start, end
    while n and (p[n - 1] == 13 or p[n - 1] == 10 or p[n - 1] == 32):
        n -= 1
    while at <= n:
        if at < n and p[at] == 92:
            at += 2
            continue
        if at < n and p[at] != 61:
            at += 1
            continue
        start = n + 1
        if at < n:
            start = _extension_key(p, value if key >= 0 else 0, at)
            if start < 0:
                at += 1
                continue
        # A key, or the end: what stands before it is the last key's value.
        end = min(start, n)
        while at < n and end > value and p[end - 1] == 32:
            end -= 1
        if key >= 0:
            if count == MOST_PAIRS:
                _put_labelled(tape, parent, pairs, count)
                count = 0
            pairs[count].key = p + key
            pairs[count].key_length = key_end - key
            pairs[count].label = -1
            _escaped(tape, &pairs[count].value, p + value, max(end, value) - value, False)
            count += 1
        elif end > 0 and at < n:
            _put(tape, parent, b"text", 4, p, end)
        elif at >= n and n > 0:
            _put(tape, parent, b"text", 4, p, n)
        key = start
        key_end = at
        value = at + 1
        at += 1
    return _put_labelled(tape, parent, pairs, count)


cdef Py_ssize_t _extension_key(
    const uint8_t* p, Py_ssize_t low, Py_ssize_t equal
) noexcept nogil:
    """As _key_start, of CEF: only blanks stand before a key."""
    cdef Py_ssize_t at = equal
    while at > low and _key_char(p[at - 1]) and p[at - 1] != 47 and equal - at < LONGEST_KEY:
        at -= 1
    if at == equal or (at > low and p[at - 1] != 32 and p[at - 1] != 9):
        return -1
    return at


cdef int _put_labelled(Tape tape, int32_t parent, Pair* pairs, int count) except -1 nogil:
    """Pairs, those with a label under that name."""
    cdef int i, j
    cdef Pair* pair
    cdef Pair* other
    for i in range(count):
        pair = &pairs[i]
        if pair.key_length <= 5 or not _text(pair.key + pair.key_length - 5, 5, b"Label", 5):
            continue
        if pair.value.n == 0 or pair.value.n > LONGEST_KEY:
            continue
        for j in range(count):
            other = &pairs[j]
            if other.key_length == pair.key_length - 5 and other.label < 0 and memcmp(
                other.key, pair.key, other.key_length
            ) == 0:
                other.label = i
                break
    for i in range(count):
        pair = &pairs[i]
        if pair.label >= 0 and _is_name(&pairs[pair.label].value):
            other = &pairs[pair.label]
            tape.add(tape.node(parent, other.value.p, other.value.n), &pair.value)
        else:
            tape.add(tape.node(parent, pair.key, pair.key_length), &pair.value)
    return 0


cdef bint _is_name(const Value* value) noexcept nogil:
    """Whether a label can be a name: text without control characters. (Names must be UTF-8.)"""
    cdef Py_ssize_t i
    for i in range(value.n):
        if value.p[i] < 32 or value.p[i] > 126:
            return False
    return True


# --- key=value ----------------------------------------------------------------------------------


cdef inline bint _assigns(const uint8_t* p, Py_ssize_t n, Py_ssize_t at) noexcept nogil:
    """Whether a value follows: `=`, or a colon and a quote."""
    return p[at] == 61 or (p[at] == 58 and at + 1 < n and p[at + 1] == 34)


cdef Py_ssize_t _next_key(
    const uint8_t* p, Py_ssize_t n, Py_ssize_t low, Py_ssize_t at, Py_ssize_t* equal
) noexcept nogil:
    """Where the next key begins whose `=` is not before `at`; -1: there is none."""
    cdef Py_ssize_t start
    while at < n:
        if _assigns(p, n, at):
            start = _key_start(p, low, at)
            if start >= 0:
                equal[0] = at
                return start
        at += 1
    return -1


cdef bint _key_follows(const uint8_t* p, Py_ssize_t n, Py_ssize_t at) noexcept nogil:
    """Whether the text ends, or a key stands there, behind what stands between pairs."""
    cdef Py_ssize_t start
    while at < n and _between(p[at]):
        at += 1
    start = at
    while at < n and _key_char(p[at]) and at - start < LONGEST_KEY:
        at += 1
    return at == n or (at > start and _assigns(p, n, at))


cdef Py_ssize_t _closing(const uint8_t* p, Py_ssize_t n, Py_ssize_t at, uint8_t quote) noexcept nogil:
    """Where the quote closes that was opened before `at`; -1: it does not.

    The closing one is followed by the next key or the end; if none is, the first behind which
    something is divided.
    """
    cdef Py_ssize_t first = -1, i = at
    cdef const void* found
    while i < n:
        found = memchr(p + i, quote, n - i)
        if found is NULL:
            return first
        i = <const uint8_t*>found - p
        if first >= 0 and i - first > IN_VAIN:
            return first
        if i + 1 == n or _between(p[i + 1]):
            if _key_follows(p, n, i + 1):
                return i
            if first < 0 and p[i - 1] != 92:
                first = i
        i += 1
    return first


cdef int count_pairs(const uint8_t* p, Py_ssize_t n, int most) noexcept nogil:
    cdef Py_ssize_t at = 0, equal = 0, start
    cdef int count = 0
    while at < n and (p[at] == 32 or p[at] == 91):
        at += 1
    while count < most:
        start = _next_key(p, n, at, at, &equal)
        if start < 0 or (count == 0 and start != at):
            return count
        count += 1
        at = equal + 1
        if at < n and (p[at] == 34 or p[at] == 39):
            start = _closing(p, n, at + 1, p[at])
            if start >= 0:
                at = start + 1
        elif at < n and p[equal] == 58:
            at += 1
    return count


cdef int _put_quoted(
    Tape tape, int32_t node, const uint8_t* p, Py_ssize_t n, uint8_t quote
) except -1 nogil:
    """A value in quotes; a backslash before a quote goes. (Others stand: Windows' paths.)"""
    cdef Value value = Value(TEXT, p, n, 0)
    cdef uint8_t* made
    cdef Py_ssize_t i = 0, size = 0
    if n > 1 and memchr(p, quote, n) is not NULL:
        made = tape.room(n)
        while i < n:
            if p[i] == 92 and i + 1 < n and p[i + 1] == quote:
                i += 1
            made[size] = p[i]
            size += 1
            i += 1
        tape.used(size)
        value.p = made
        value.n = size
    return tape.add(node, &value)


cdef int _put_words(
    Tape tape, int32_t parent, const uint8_t* p, Py_ssize_t n
) except -1 nogil:
    """Words as values of `flag`."""
    cdef Py_ssize_t at = 0, start
    while at < n:
        while at < n and _between(p[at]):
            at += 1
        start = at
        while at < n and not _between(p[at]):
            at += 1
        if at > start:
            _put(tape, parent, b"flag", 4, p + start, at - start)
    return 0


cdef int put_pairs(
    Tape tape, int32_t parent, const uint8_t* p, Py_ssize_t n, bint flags
) except -1 nogil:
    cdef Py_ssize_t at, equal = 0, next_equal = 0, start, following, end, word
    cdef int32_t node
    while n and (p[n - 1] == 10 or p[n - 1] == 13 or p[n - 1] == 32):
        n -= 1
    start = _next_key(p, n, 0, 0, &equal)
    end = n if start < 0 else start
    while end and (p[end - 1] == 32 or p[end - 1] == 9 or p[end - 1] == 91):
        end -= 1
    if end:
        _put(tape, parent, b"text", 4, p, end)
    while start >= 0:
        node = tape.node(parent, p + start, equal - start)
        at = equal + 1
        end = -1
        if at < n and (p[at] == 34 or p[at] == 39):
            end = _closing(p, n, at + 1, p[at])
        if end >= 0:
            _put_quoted(tape, node, p + at + 1, end - at - 1, p[at])
            at = end + 1
            following = _next_key(p, n, at, at, &next_equal)
            end = n if following < 0 else following
            while at < end and _between(p[at]):
                at += 1
            while end > at and _between(p[end - 1]):
                end -= 1
            # Words between two pairs that belong to neither.
            if end > at:
                if flags:
                    _put_words(tape, parent, p + at, end - at)
                else:
                    _put(tape, parent, b"text", 4, p + at, end - at)
        else:
            following = _next_key(p, n, at, at, &next_equal)
            end = n if following < 0 else following
            while end > at and _between(p[end - 1]) and (following >= 0 or p[end - 1] != 40):
                end -= 1
            word = end
            if flags:
                word = at
                while word < end and not _between(p[word]):
                    word += 1
            _put_plain(tape, node, p + at, word - at)
            if word < end:
                _put_words(tape, parent, p + word, end - word)
        start = following
        equal = next_equal
    return 0


cdef int _put_plain(Tape tape, int32_t node, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    cdef Value value = Value(TEXT, p, n, 0)
    return tape.add(node, &value)


def tell(bytes text, str style="pairs", bint flags=False):
    """[(name, value)] that a text says, in order; None where its header is broken. For tests.

    Args:
        style: "cef", "leef" or "pairs".
    """
    cdef Tape tape = Tape()
    cdef const uint8_t* p = <const uint8_t*><const char*>text
    cdef Py_ssize_t i
    cdef Value* value
    tape.begin()
    if style == "pairs":
        put_pairs(tape, 0, p, len(text), flags)
    elif not put_event(tape, 0, CEF if style == "cef" else LEEF, p, len(text)):
        return None
    found = []
    for i in range(tape.count):
        value = &tape.entries[i].value
        name = (<const char*>tape.nodes[tape.entries[i].node].name)[
            :tape.nodes[tape.entries[i].node].length
        ]
        found.append((name.decode(), (<const char*>value.p)[:value.n].decode("utf-8", "replace")))
    return found
