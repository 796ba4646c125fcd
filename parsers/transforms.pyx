"""Transforms: a value into one column (see transforms.pxd).

The native half of normalize.transforms.TRANSFORMS, which says what each does and when the column
holds the text exactly; normalize/rebuild.py is the way back.
"""

from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc, strtod
from libc.string cimport memcmp, memcpy, memcpy

from tracelake.native.columns cimport (
    BoolColumn, DictColumn, DoubleColumn, IntColumn, ListColumn, TextColumn,
)
from tracelake.native.text cimport parse_iso_time, put_hex, put_int, put_iso_time
from tracelake.parsers.codes cimport Code, CodeTable
from tracelake.parsers.event_plan cimport (
    K_BIGS, K_BOOL, K_INT, K_TEXTS, K_WORD, LEVEL, RECORD_ID, TIME_CREATED, W_ACCOUNT, W_AUDIT,
    W_BEFORE, W_BINARY_GUID, W_BINARY_NAME, W_BINARY_STATE, W_BITS, W_CELL, W_CODE, W_DECIMAL,
    W_DIGEST, W_DNS_ANSWERS, W_DNS_NAME, W_DNS_TYPE, W_DOMAIN, W_EPOCH, W_FILE_NAME, W_FIND_PORT,
    W_GUID, W_GUID_UPPER, W_HASH, W_HEX, W_HOST, W_IP, W_ITEMS, W_JOINED, W_JSON, W_LINE,
    W_LINE_DOMAIN, W_LIST, W_LOGON_ID, W_MAP, W_MOF, W_NUMBER, W_PARAM, W_PARTS, W_PRINCIPAL,
    W_PRINCIPAL_DOMAIN, W_PROCESS_UID, W_REG_KEY, W_REG_VALUE, W_RESOURCE_PATH, W_SID,
    W_SIGNED_HEX, W_SOCKADDR_IP, W_SOCKADDR_PORT, W_SPLIT, W_STARTS, W_STREAM, W_TECHNIQUES,
    W_TEXT, W_TIME, W_TRUTH, W_URL_HOST, W_URL_SCHEME, W_UTC_MS, W_XML, Output, ValueMap,
)
from tracelake.parsers.flags cimport ZONE_ASSUMED
from tracelake.parsers.json_parts cimport each_value
from tracelake.parsers.parts cimport Part, part_of, sockaddr
from tracelake.parsers.since_epoch cimport parse_epoch
from tracelake.parsers.text_parts cimport find_xml, next_word, unescape
from tracelake.parsers.texts cimport (
    find_endpoint, find_text, hex_guid, hex_text, line_value, mof_value,
)
from tracelake.parsers.values cimport (
    FILETIME, HEX32, HEX64, INT, SYSTEMTIME, UINT, Value, canonical_ip, parse_number, value_time,
)

# put_iso_time has four digits for the year.
cdef int64_t YEAR_1 = -62135596800000000
cdef int64_t YEAR_10000 = 253402300800000000
cdef int64_t FILETIME_ZERO = -11644473600000000

# What Windows writes between the parts of a list.
cdef const uint8_t* BETWEEN = <const uint8_t*><const char*>b"\r\n\t\t\t"


cdef inline int _word(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    if out.kind == K_WORD:
        return (<DictColumn>out.column).put_valid(at.row, p, n)
    return (<TextColumn>out.column).put_valid(at.row, p, n)


cdef inline int _number(EventRow* at, Output* out, int64_t value) except -1 nogil:
    """Puts a number and returns 1, or 0 where it does not fit."""
    if value < out.low or value > out.high:
        return 0
    (<IntColumn>out.column).put(at.row, value)
    if out.column == <PyObject*>at.plan.system[LEVEL].outputs[0].column:
        at.level = value
    elif out.column == <PyObject*>at.plan.system[RECORD_ID].outputs[0].column:
        at.record_id = value
        at.has_record_id = True
    return 1


cdef inline bint _is_word(
    const uint8_t* p, Py_ssize_t n, const char* lower, Py_ssize_t m
) noexcept nogil:
    cdef Py_ssize_t i
    if n != m:
        return False
    for i in range(n):
        if (p[i] | 32) != <uint8_t>lower[i]:
            return False
    return True


cdef inline bint _is_lower(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        if 65 <= p[i] <= 90:
            return False
    return True


cdef int _fill_number(
    EventRow* at, Output* out, const Value* v, const uint8_t* p, Py_ssize_t n
) except -1 nogil:
    cdef uint8_t[24] made
    cdef int64_t number
    if v.kind == INT or v.kind == UINT or v.kind == HEX32 or v.kind == HEX64:
        number = <int64_t>v.number
        if number < 0 and v.kind != INT:
            return NOT
        if not _number(at, out, number):
            return NOT
        if out.defaulted and number == out.usual:
            return LOSSY
        if v.kind == INT or v.kind == UINT:
            return EXACT if out.transform == W_NUMBER else LOSSY
        return EXACT if out.transform == W_HEX else LOSSY
    if parse_number(p, n, &number) != 1 or not _number(at, out, number):
        return NOT
    if out.defaulted and number == out.usual:
        return LOSSY
    if out.transform == W_HEX:
        return EXACT if same(made, put_hex(made, <uint64_t>number), p, n) else LOSSY
    return EXACT if same(made, put_int(made, number), p, n) else LOSSY


cdef int _fill_truth(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    cdef bint value
    if _is_word(p, n, b"true", 4):
        value = True
    elif _is_word(p, n, b"false", 5):
        value = False
    else:
        return NOT
    (<BoolColumn>out.column).put(at.row, value)
    return EXACT if p[0] >= 97 and _is_lower(p, n) else LOSSY


cdef int _fill_time(
    EventRow* at, Output* out, const Value* v, const uint8_t* p, Py_ssize_t n
) except -1 nogil:
    cdef uint8_t[32] made
    cdef int64_t us = 0
    cdef int below = 0, zone
    cdef bint system_time = out.column == at.plan.system[TIME_CREATED].outputs[0].column
    if v.kind == FILETIME or v.kind == SYSTEMTIME:
        if not value_time(v, &us, &below):
            return NOT
    else:
        zone = parse_iso_time(p, n, &us, &below)
        if zone == 0:
            return NOT
        # A zone can carry the last hours of 9999 over, and the first of year 1 under.
        if us < YEAR_1 or us >= YEAR_10000:
            return NOT
        if zone == 2 and out.transform == W_TIME:
            at.flags |= ZONE_ASSUMED
    if system_time:
        set_time(at, us, below)
    else:
        (<IntColumn>out.column).put(at.row, us)
    if out.transform == W_UTC_MS:
        put_iso_time(made, us, 0)
        made[10] = 32
        return EXACT if us % 1000 == 0 and below == 0 and same(made, 23, p, n) else LOSSY
    # `time` keeps the digits below the microsecond beside it; other columns do not.
    put_iso_time(made, us, below if system_time else 0)
    return EXACT if same(made, 28, p, n) else LOSSY


cdef int _fill_epoch(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    cdef int64_t us = 0
    cdef int below = 0, done = parse_epoch(p, n, out.unit, &us, &below)
    # The first moment of an epoch stands for none: no event was then (also FILETIME's, converted).
    if done == 0 or us == 0 or us == FILETIME_ZERO:
        return NOT
    (<IntColumn>out.column).put(at.row, us)
    return EXACT if done == 2 and below == 0 else LOSSY


cdef int _fill_decimal(
    EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n
) except -1 nogil:
    cdef char[64] made
    cdef Py_ssize_t i = 0, point = -1, first
    cdef int digits = 0
    cdef char* end = NULL
    cdef double value
    cdef bint plain = True
    if n == 0 or n > 62:
        return NOT
    if p[0] == 45:
        i = 1
    first = i
    while i < n:
        if p[i] == 46 and point < 0:
            point = i
        elif (p[i] | 32) == 101 and digits:
            plain = False
            break               # what follows is for strtod
        elif p[i] < 48 or p[i] > 57:
            return NOT
        elif p[i] != 48 or digits:
            digits += 1
        i += 1
    memcpy(made, p, n)
    made[n] = 0
    value = strtod(made, &end)
    if end != &made[0] + n or n == first or value - value != 0:
        return NOT              # not all of it, or beyond any double
    (<DoubleColumn>out.column).put(at.row, value)
    # What Python and DuckDB write: of fifteen digits no other text is the same number.
    if not plain or digits > 15 or point < 0 or point == first or n - point > 5 and digits < 2:
        return LOSSY
    if (p[n - 1] == 48 and n - point != 2) or (p[first] == 48 and point != first + 1):
        return LOSSY
    if value != 0 and -0.001 < value < 0.001:
        return LOSSY
    return EXACT if digits or first == 0 else LOSSY


cdef struct Collecting:
    EventRow* at
    Output* out
    Py_ssize_t first            # of the row's items; -1: no list is open
    Py_ssize_t item
    Py_ssize_t size             # of the list as JSON text, were it made again
    bint put


cdef int _collect_number(Collecting* c, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    """A whole number of a list; one with a fraction is cut, and the list stands in `unmapped`."""
    cdef int64_t number = 0
    cdef Py_ssize_t whole = 0
    while whole < n and p[whole] != 46:
        whole += 1
    if parse_number(p, whole, &number) != 1:
        return 0
    if c.first < 0:
        c.first = c.item = (<ListColumn>c.out.column).open(c.at.row)
    (<IntColumn>(<ListColumn>c.out.column).items).put(c.item, number)
    c.item += 1
    c.size += whole + 1 if p[0] != 48 or whole == 1 else 0
    c.put = True
    return 0


cdef int _collect(void* to, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    cdef Collecting* c = <Collecting*>to
    if c.out.kind == K_BIGS:
        return _collect_number(c, p, n)
    if c.out.kind != K_TEXTS:
        c.put = n > 0 and _put_part(c.at, c.out, p, n) != NOT
        return c.put
    if c.first < 0:
        c.first = c.item = (<ListColumn>c.out.column).open(c.at.row)
    (<TextColumn>(<ListColumn>c.out.column).items).put_valid(c.item, p, n)
    c.item += 1
    c.size += n + 3             # its quotes, and a comma or bracket
    c.put = True
    return 0


cdef int _fill_json(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    """Values of a JSON text; of a list all of them."""
    cdef Collecting c = Collecting(at, out, -1, 0, 1, False)
    cdef bint is_list = n > 1 and p[0] == 91
    if out.transform == W_JSON:
        each_value(p, n, out.argument, out.argument_length, _collect, &c)
    elif is_list:
        each_value(p, n, <const uint8_t*><const char*>b"*", 1, _collect, &c)
    else:
        _collect(&c, p, n)      # one alone, as some shippers write a list of one
    if c.first >= 0:
        (<ListColumn>out.column).close(c.item)
    if not c.put:
        return NOT
    # A list of other than plain texts (numbers, escapes, white space) has another size.
    return EXACT if is_list and out.transform == W_ITEMS and c.size == n else LOSSY


cdef struct Joining:
    uint8_t* made
    Py_ssize_t size


cdef int _join(void* to, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    cdef Joining* j = <Joining*>to
    if j.size:
        j.made[j.size] = 32
        j.size += 1
    memcpy(j.made + j.size, p, n)
    j.size += n
    return 0


cdef int _fill_joined(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    """The elements of a JSON list as one text; a text that is no list as it is."""
    cdef Joining j = Joining(NULL, 0)
    if n == 0:
        return NOT
    if p[0] != 91:
        _word(at, out, p, n)
        return LOSSY
    j.made = <uint8_t*>malloc(n)        # each element had a comma or bracket of its own
    if j.made is NULL:
        with gil:
            raise MemoryError()
    try:
        each_value(p, n, <const uint8_t*><const char*>b"*", 1, _join, &j)
        if j.size == 0:
            return NOT
        _word(at, out, j.made, j.size)
        return LOSSY
    finally:
        free(j.made)


cdef int _fill_guid(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    cdef uint8_t[40] made
    cdef int i
    cdef bint lower = False, upper = False
    cdef uint8_t c
    cdef Py_ssize_t given = n
    if n == 38 and p[0] == 123 and p[37] == 125:
        p += 1
        n = 36
    if n != 36:
        return NOT
    for i in range(36):
        c = p[i]
        if i == 8 or i == 13 or i == 18 or i == 23:
            if c != 45:
                return NOT
        elif 97 <= c <= 102:
            lower = True
        elif 65 <= c <= 70:
            upper = True
            c |= 32
        elif c < 48 or c > 57:
            return NOT
        made[i + 1] = c
    made[0] = 123
    made[37] = 125
    _word(at, out, made, 38)
    if given != 38 or (upper if out.transform == W_GUID else lower):
        return LOSSY
    return EXACT


cdef int _fill_digest(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    """Digits of a hash (at most SHA-512) in lower case."""
    cdef uint8_t[128] made
    cdef Py_ssize_t i
    cdef bint lower = False
    cdef uint8_t c
    if n < 32 or n > 128:
        return NOT
    for i in range(n):
        c = p[i]
        if 65 <= c <= 70:
            c |= 32
        elif 97 <= c <= 102:
            lower = True
        elif c < 48 or c > 57:
            return NOT
        made[i] = c
    _word(at, out, made, n)
    return LOSSY if lower else EXACT


cdef int _fill_account(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    cdef Py_ssize_t j = 0
    while j < n and p[j] != 92:
        j += 1
    if out.transform == W_DOMAIN or out.transform == W_LINE_DOMAIN:
        if j == n or j == 0:
            return NOT
        _word(at, out, p, j)
        return LOSSY        # the column with the account answers for both
    if j == n:
        _word(at, out, p, n)
        return EXACT
    if j + 1 == n:
        return NOT
    _word(at, out, p + j + 1, n - j - 1)
    return EXACT if out.covered and j > 0 else LOSSY


cdef int _fill_registry(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    """The key of a registry value's path, or the value's name."""
    cdef Py_ssize_t j = 0, last = 0
    while j < n:
        if p[j] == 92:
            last = j + 1
            if j + 1 < n and p[j + 1] == 92:
                break
            if j + 3 < n and p[j + 2] == 58 and p[j + 3] == 92 and 97 <= (p[j + 1] | 32) <= 122:
                break
        j += 1
    if out.transform == W_REG_KEY:
        if last < 2:
            return NOT
        _word(at, out, p, last - 1)
        return LOSSY        # the column with the name answers for both
    if last == n:
        return NOT
    _word(at, out, p + last, n - last)
    return EXACT if last == 0 or (out.covered and last > 1) else LOSSY


cdef int _fill_audit(
    EventRow* at, Output* out, const Value* v, const uint8_t* p, Py_ssize_t n
) except -1 nogil:
    """Audit keywords (winmeta.h: WINEVENT_KEYWORD_AUDIT_FAILURE, _SUCCESS)."""
    cdef int64_t number = 0
    if v.kind == INT or v.kind == UINT or v.kind == HEX32 or v.kind == HEX64:
        number = <int64_t>v.number
    elif parse_number(p, n, &number) == 0:
        return NOT
    if number >> 52 & 1:
        return LOSSY if _number(at, out, 2) else NOT
    if number >> 53 & 1:
        return LOSSY if _number(at, out, 1) else NOT
    return NOT


cdef int _fill_hash(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    cdef uint8_t[64] made
    cdef Py_ssize_t i = 0, j
    cdef int which, last = -1, size, filled = NOT
    cdef bint canonical = True
    cdef uint8_t c
    while i < n:
        which = -1
        if n - i > 5 and memcmp(p + i, <const char*>b"SHA1=", 5) == 0:
            which, size = 0, 40
            i += 5
        elif n - i > 4 and memcmp(p + i, <const char*>b"MD5=", 4) == 0:
            which, size = 1, 32
            i += 4
        elif n - i > 7 and memcmp(p + i, <const char*>b"SHA256=", 7) == 0:
            which, size = 2, 64
            i += 7
        elif n - i > 8 and memcmp(p + i, <const char*>b"IMPHASH=", 8) == 0:
            which, size = 3, 32
            i += 8
        else:
            return NOT if filled == NOT else LOSSY
        if which <= last or not (out.covered & (1 << which)):
            canonical = False
        last = which
        if n - i < size:
            return NOT if filled == NOT else LOSSY
        for j in range(size):
            c = p[i + j]
            if 65 <= c <= 70:
                c |= 32
            elif 97 <= c <= 102:
                canonical = False
            elif c < 48 or c > 57:
                return NOT if filled == NOT else LOSSY
            made[j] = c
        i += size
        if which == out.hash:
            _word(at, out, made, size)
            filled = LOSSY
        if i < n:
            if p[i] != 44 or i + 1 == n:
                return filled
            i += 1
    if filled == LOSSY and canonical:
        return EXACT
    return filled


cdef int _fill_map(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    cdef ValueMap* values = out.values
    cdef Py_ssize_t i
    for i in range(values.count):
        if values.sizes[i] == n and memcmp(values.texts[i], p, n) == 0:
            if not _mapped(at, out, i):
                return NOT
            if out.defaulted and values.numbers[i] == out.usual:
                return LOSSY
            return EXACT if values.first[i] else LOSSY
    return NOT


cdef int _mapped(EventRow* at, Output* out, Py_ssize_t i) except -1 nogil:
    """Puts value `i` of a value map; 0 where it does not fit."""
    cdef ValueMap* values = out.values
    if out.kind == K_INT:
        return _number(at, out, values.numbers[i])
    if out.kind == K_BOOL:
        (<BoolColumn>out.column).put(at.row, values.numbers[i] != 0)
    else:
        _word(at, out, values.words[i], values.word_sizes[i])
    return 1


cdef int _fill_bits(
    EventRow* at, Output* out, const Value* v, const uint8_t* p, Py_ssize_t n
) except -1 nogil:
    cdef int64_t number = 0
    cdef Py_ssize_t i
    if v.kind == INT or v.kind == UINT or v.kind == HEX32 or v.kind == HEX64:
        number = <int64_t>v.number
    elif not parse_number(p, n, &number):
        return NOT
    for i in range(out.values.count):
        if <uint64_t>number & out.values.masks[i]:
            return LOSSY if _mapped(at, out, i) else NOT
    return NOT


cdef int _fill_list(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    """Parts that each end in a semicolon."""
    cdef Py_ssize_t j = 0, start, end, item
    cdef bint exact = n > 0 and p[n - 1] == 59
    item = (<ListColumn>out.column).open(at.row)
    while j < n:
        start = j
        while j < n and p[j] != 59:
            j += 1
        end = j
        j += 1
        if out.transform == W_DNS_ANSWERS:
            if end - start > 5 and memcmp(p + start, <const char*>b"type:", 5) == 0:
                # "type:  5 www.example.com": the number is the record's type.
                start += 5
                while start < end and (p[start] == 32 or 48 <= p[start] <= 57):
                    start += 1
                exact = False
            if end - start > 7 and memcmp(p + start, <const char*>b"::ffff:", 7) == 0:
                start += 7
                exact = False
        (<TextColumn>(<ListColumn>out.column).items).put_valid(item, p + start, end - start)
        item += 1
    (<ListColumn>out.column).close(item)
    return EXACT if exact else LOSSY


cdef int _fill_split(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    """Parts between white space, or what they stand for."""
    cdef Py_ssize_t i = 0, start = 0, end = 0, last = 0, first, item
    cdef const Code* code = NULL
    cdef bint exact = out.codes is NULL
    if not next_word(p, n, &i, &start, &end):
        return NOT
    first = item = (<ListColumn>out.column).open(at.row)
    while True:
        if item > first:
            exact = exact and same(p + last, start - last, BETWEEN, 5)
        elif start:
            exact = False
        if out.codes is not NULL:
            code = (<CodeTable>out.codes).find(p + start, end - start)
        if code is not NULL:
            (<TextColumn>(<ListColumn>out.column).items).put_valid(item, code.name, code.name_length)
        else:
            (<TextColumn>(<ListColumn>out.column).items).put_valid(item, p + start, end - start)
        item += 1
        last = end
        if not next_word(p, n, &i, &start, &end):
            break
    (<ListColumn>out.column).close(item)
    return EXACT if exact and last == n else LOSSY


cdef inline bint _is_letter(uint8_t c) noexcept nogil:
    return 48 <= c <= 57 or 97 <= (c | 32) <= 122


cdef inline bint _are_digits(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        if p[i] < 48 or p[i] > 57:
            return False
    return True


cdef int _fill_techniques(
    EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n
) except -1 nogil:
    """T and four digits, perhaps with a dot and three more, as a word of its own."""
    cdef Py_ssize_t i = 0, size, item = -1
    while i + 5 <= n:
        if p[i] != 84 or not _are_digits(p + i + 1, 4) or (i > 0 and _is_letter(p[i - 1])):
            i += 1
            continue
        size = 5
        if i + 9 <= n and p[i + 5] == 46 and _are_digits(p + i + 6, 3):
            size = 9
        if i + size < n and _is_letter(p[i + size]):
            i += 1
            continue
        if item < 0:
            item = (<ListColumn>out.column).open(at.row)
        (<TextColumn>(<ListColumn>out.column).items).put_valid(item, p + i, size)
        item += 1
        i += size
    if item < 0:
        return NOT
    (<ListColumn>out.column).close(item)
    return LOSSY


cdef int _fill_host(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    cdef Part part
    cdef Py_ssize_t end = 0, colon
    if part_of(W_URL_HOST, p, n, &part):
        _word(at, out, part.at, part.size)
        return LOSSY
    while end < n and p[end] != 47 and p[end] != 63 and p[end] != 35:
        end += 1
    colon = 0
    while colon < end and p[colon] != 58:
        colon += 1
    # Of a host without brackets more than one colon is an IPv6 address.
    if colon < end and _are_digits(p + colon + 1, end - colon - 1):
        end = colon
    if end == 0 or (end < n and p[end] == 47 and end + 1 < n and p[end + 1] == 47):
        return NOT
    _word(at, out, p, end)
    return LOSSY


cdef int _fill_parts(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    """Parts between a text, those that are not empty."""
    cdef Py_ssize_t start = 0, size, end, item = -1, begin
    while start <= n:
        size = find_text(p + start, n - start, out.argument, out.argument_length)
        end = n if size < 0 else start + size
        begin = start
        start = end + out.argument_length
        while begin < end and p[begin] <= 32:
            begin += 1
        while begin < end and p[end - 1] <= 32:
            end -= 1
        if begin < end:
            if item < 0:
                item = (<ListColumn>out.column).open(at.row)
            (<TextColumn>(<ListColumn>out.column).items).put_valid(item, p + begin, end - begin)
            item += 1
        if size < 0:
            break
    if item < 0:
        return NOT
    (<ListColumn>out.column).close(item)
    return LOSSY


cdef int _fill_dns(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    """The name, or the number of the type, of `type:  28 name`."""
    cdef Py_ssize_t i = 5, digits
    cdef int64_t number = 0
    cdef bint typed = n > 5 and memcmp(p, <const char*>b"type:", 5) == 0
    while typed and i < n and p[i] == 32:
        i += 1
    digits = i
    while typed and i < n and 48 <= p[i] <= 57:
        i += 1
    typed = typed and i > digits
    if out.transform == W_DNS_TYPE:
        if typed and parse_number(p + digits, i - digits, &number) == 1:
            return LOSSY if _number(at, out, number) else NOT
        return NOT
    while typed and i < n and p[i] == 32:
        i += 1
    if not typed:
        i = 0
    if i == n:
        return NOT
    _word(at, out, p + i, n - i)
    return LOSSY


cdef int _fill_code(
    EventRow* at, Output* out, const Value* v, const uint8_t* p, Py_ssize_t n
) except -1 nogil:
    """What a code stands for."""
    cdef const Code* code
    cdef Py_ssize_t i = 0
    if out.transform == W_CODE:
        if v.kind == INT or v.kind == UINT or v.kind == HEX32 or v.kind == HEX64:
            code = (<CodeTable>out.codes).find_number(<int64_t>v.number)
        else:
            code = (<CodeTable>out.codes).find(p, n)
        if code is NULL:
            return NOT
        _word(at, out, code.name, code.name_length)
        return LOSSY
    if out.transform == W_PARAM:
        code = (<CodeTable>out.codes).find(p, n)
        if code is NULL:
            _word(at, out, p, n)
            return LOSSY if (<CodeTable>out.codes).is_name(p, n) else EXACT
        _word(at, out, code.name, code.name_length)
        return EXACT if (<CodeTable>out.codes).first(code) else LOSSY
    code = (<CodeTable>out.codes).find_sid(p, n)
    if code is NULL:
        return NOT
    while i < code.name_length and code.name[i] != 92:
        i += 1
    if i == code.name_length:
        i = -1                      # without an authority
    if out.transform == W_PRINCIPAL:
        _word(at, out, code.name + i + 1, code.name_length - i - 1)
    elif i < 0:
        return NOT
    else:
        _word(at, out, code.name, i)
    return LOSSY


cdef int _fill_xml(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    """The text of an element."""
    cdef Py_ssize_t end
    cdef uint8_t* room
    room = <uint8_t*>malloc(2 * n + 1)
    if room is NULL:
        with gil:
            raise MemoryError()
    try:
        if n > 4 and memcmp(p, <const char*>b"&lt;", 4) == 0:
            # As NXLog ships it.
            end = unescape(p, n, room + n)
            p = room + n
            n = end
        end = find_xml(p, n, out.argument, out.argument_length, room)
        return _put_part(at, out, room, end) if end else NOT
    finally:
        free(room)


cdef int _put_part(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    cdef int64_t number = 0
    if out.kind != K_INT:
        _word(at, out, p, n)
        return LOSSY
    return LOSSY if parse_number(p, n, &number) == 1 and _number(at, out, number) else NOT


cdef int _fill_name(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    """The file name of a path, its extension, or its stream."""
    cdef Py_ssize_t j = n, dot
    cdef Py_ssize_t i
    cdef uint8_t[32] made
    while j > 0 and p[j - 1] != 92 and p[j - 1] != 47:
        j -= 1
    if j == n:
        return NOT
    if out.transform == W_STREAM:
        for i in range(j, n):
            if p[i] == 58 and j > 0 and i + 1 < n:
                _word(at, out, p + i + 1, n - i - 1)
                return LOSSY
        return NOT
    if out.transform == W_FILE_NAME:
        _word(at, out, p + j, n - j)
        return LOSSY
    dot = n - 1
    while dot > j and p[dot] != 46:
        dot -= 1
    # ".bashrc" has none, and what is longer than 32 bytes is not one.
    if dot == j or dot == n - 1 or n - dot - 1 > 32:
        return NOT
    for i in range(dot + 1, n):
        made[i - dot - 1] = p[i] | 32 if 65 <= p[i] <= 90 else p[i]
    _word(at, out, made, n - dot - 1)
    return LOSSY


cdef int _fill_starts(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    cdef ValueMap* values = out.values
    cdef Py_ssize_t i
    for i in range(values.count):
        if values.sizes[i] <= n and memcmp(values.texts[i], p, values.sizes[i]) == 0:
            return LOSSY if _mapped(at, out, i) else NOT
    return NOT


cdef int _fill_mof(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    cdef uint8_t* made = <uint8_t*>malloc(n + 1)
    cdef Py_ssize_t size
    if made is NULL:
        with gil:
            raise MemoryError()
    try:
        size = mof_value(p, n, out.argument, out.argument_length, made)
        if size <= 0:
            return NOT
        _word(at, out, made, size)
        return LOSSY
    finally:
        free(made)


cdef int _fill_binary(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    """The name or state in "name/state" of an event's binary data."""
    cdef uint8_t[1600] made
    cdef Py_ssize_t size = hex_text(p, n, out.transform == W_BINARY_STATE, made)
    if size <= 0:
        return NOT
    if out.transform == W_BINARY_STATE:
        return LOSSY if _fill_map(at, out, made, size) != NOT else NOT
    _word(at, out, made, size)
    return LOSSY


cdef int _fill_before(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    cdef int64_t number = 0
    cdef Py_ssize_t size = find_text(p, n, out.argument, out.argument_length)
    if size < 0:
        size = n
    if size == 0:
        return NOT
    if out.kind == K_INT:
        return LOSSY if parse_number(p, size, &number) == 1 and _number(at, out, number) else NOT
    _word(at, out, p, size)
    return LOSSY


cdef int _fill_cell(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    """One of the parts between a text; the argument is its number and the text."""
    cdef const uint8_t* mark = out.argument
    cdef Py_ssize_t m = out.argument_length, at_byte = 0, size
    cdef int64_t value = 0
    cdef int number = 0
    while m and 48 <= mark[0] <= 57:
        number = number * 10 + mark[0] - 48
        mark += 1
        m -= 1
    mark += 1
    m -= 1
    while number > 1:
        size = find_text(p + at_byte, n - at_byte, mark, m)
        if size < 0:
            return NOT
        at_byte += size + m
        number -= 1
    size = find_text(p + at_byte, n - at_byte, mark, m)
    if size < 0:
        size = n - at_byte
    if size == 0:
        return NOT
    if out.kind == K_INT:
        if parse_number(p + at_byte, size, &value) != 1 or not _number(at, out, value):
            return NOT
        return LOSSY
    _word(at, out, p + at_byte, size)
    return LOSSY


cdef int _fill_part(EventRow* at, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    """A part of the text; the text itself is kept."""
    cdef uint8_t[64] made
    cdef int64_t port = -1
    cdef Py_ssize_t start, size = 0
    if out.transform == W_STARTS:
        return _fill_starts(at, out, p, n)
    if out.transform == W_MOF:
        return _fill_mof(at, out, p, n)
    if out.transform == W_BINARY_NAME or out.transform == W_BINARY_STATE:
        return _fill_binary(at, out, p, n)
    if out.transform == W_BEFORE:
        return _fill_before(at, out, p, n)
    if W_LINE <= out.transform <= W_LINE_DOMAIN:
        start = line_value(p, n, out.argument, out.argument_length, &size)
        if start < 0 or size == 0:
            return NOT
        if out.transform != W_LINE:
            return LOSSY if _fill_account(at, out, p + start, size) != NOT else NOT
        return _put_part(at, out, p + start, size)
    if out.transform == W_BINARY_GUID:
        if not hex_guid(p, n, made):
            return NOT
        _word(at, out, made, 38)
        return LOSSY
    size = find_endpoint(p, n, made, &port)
    if out.transform == W_FIND_PORT:
        return LOSSY if size and port >= 0 and _number(at, out, port) else NOT
    if size == 0:
        return NOT
    _word(at, out, made, size)
    return LOSSY


cdef int fill(
    EventRow* at, Output* out, const Value* v, const uint8_t* p, Py_ssize_t n
) except -1 nogil:
    cdef uint8_t[64] made
    cdef int64_t number = 0
    cdef Py_ssize_t size
    cdef Part part
    cdef int way = out.transform
    if counts_as_unset(out, p, n):
        return NOT
    if way == W_TEXT or way == W_SID or way == W_LOGON_ID:
        _word(at, out, p, n)
        return EXACT
    if way == W_NUMBER or way == W_HEX:
        return _fill_number(at, out, v, p, n)
    if way == W_SIGNED_HEX:
        if parse_number(p, n, &number) == 0:
            return NOT
        _word(at, out, made, put_hex(made, <uint64_t>number))
        return EXACT if same(made, put_int(made, number), p, n) else LOSSY
    if way == W_TRUTH:
        return _fill_truth(at, out, p, n)
    if way == W_TIME or way == W_UTC_MS:
        return _fill_time(at, out, v, p, n)
    if way == W_IP:
        size = canonical_ip(p, n, made)
        if size == 0:
            return NOT
        _word(at, out, made, size)
        return EXACT if same(made, size, p, n) else LOSSY
    if way == W_GUID or way == W_GUID_UPPER:
        return _fill_guid(at, out, p, n)
    if way == W_ACCOUNT or way == W_DOMAIN:
        return _fill_account(at, out, p, n)
    if way == W_DIGEST:
        return _fill_digest(at, out, p, n)
    if way == W_HASH:
        return _fill_hash(at, out, p, n)
    if way == W_MAP:
        return _fill_map(at, out, p, n)
    if way == W_CODE or way == W_PARAM or way == W_PRINCIPAL or way == W_PRINCIPAL_DOMAIN:
        return _fill_code(at, out, v, p, n)
    if way == W_SPLIT:
        return _fill_split(at, out, p, n)
    if way == W_REG_KEY or way == W_REG_VALUE:
        return _fill_registry(at, out, p, n)
    if way == W_AUDIT:
        return _fill_audit(at, out, v, p, n)
    if way == W_XML:
        return _fill_xml(at, out, p, n)
    if way == W_BITS:
        return _fill_bits(at, out, v, p, n)
    if way == W_LIST or way == W_DNS_ANSWERS:
        return _fill_list(at, out, p, n)
    if W_BEFORE <= way <= W_BINARY_STATE:
        return _fill_part(at, out, p, n)
    if way == W_CELL:
        return _fill_cell(at, out, p, n)
    if way == W_DECIMAL:
        return _fill_decimal(at, out, p, n)
    if way == W_PARTS:
        return _fill_parts(at, out, p, n)
    if way == W_DNS_NAME or way == W_DNS_TYPE:
        return _fill_dns(at, out, p, n)
    if way == W_EPOCH:
        return _fill_epoch(at, out, p, n)
    if way == W_JOINED:
        return _fill_joined(at, out, p, n)
    if way == W_ITEMS or way == W_JSON:
        return _fill_json(at, out, p, n)
    if way == W_PROCESS_UID:
        if at.uids < UIDS and parse_number(p, n, &number) == 1:
            at.uid[at.uids] = ProcessUid(out.column, out.other, number)
            at.uids += 1
        return NOT
    if way == W_HOST:
        return _fill_host(at, out, p, n)
    if way == W_TECHNIQUES:
        return _fill_techniques(at, out, p, n)
    if way == W_SOCKADDR_IP or way == W_SOCKADDR_PORT:
        size = sockaddr(p, n, made, &number)
        if size == 0:
            return NOT
        if way == W_SOCKADDR_PORT:
            # 0: a server's address alone, as resolvers keep it.
            return LOSSY if number and _number(at, out, number) else NOT
        _word(at, out, made, size)
        return LOSSY
    if W_URL_SCHEME <= way <= W_RESOURCE_PATH:
        if not part_of(way, p, n, &part):
            return NOT
        _word(at, out, part.at, part.size)
        return LOSSY
    return _fill_name(at, out, p, n)
