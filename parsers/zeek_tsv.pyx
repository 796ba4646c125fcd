"""Zeek's logs as it writes them by itself: lines of tabs under `#fields` and `#types`.

Specification: Zeek's `base/frameworks/logging/writers/ascii.zeek` and the source of its ASCII
writer. The lines at the top say how the log is written (`#separator`, `#set_separator`,
`#empty_field`, `#unset_field`), which log it is (`#path`) and what its fields and their types are; a
log that was put together from several has them again. A record is a line, and becomes the very row
that the same record as JSON does: one mapping, normalize/mappings/vendors/zeek.toml. So T and F are
true and false, sets and vectors are lists, a field that is not set is left out, and `#path` is the
member `_path`, as Zeek's own JSON streaming names it.

A line with more or fewer fields than were named is damage.
"""

import re

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memchr, memcmp, memcpy

from tracelake.native.account cimport Account
from tracelake.native.errors import EvidenceError
from tracelake.normalize.mapping import load as load_mappings
from tracelake.normalize.shapes import load as load_shapes
from tracelake.parsers.artifact import NO_ROWS_YET, Match, Parser, Rank
from tracelake.parsers.shaped cimport KEEP_NEVER, Shaped
from tracelake.parsers.tape cimport LIST, SCALAR, Tape
from tracelake.parsers.textlines cimport Line, Lines
from tracelake.parsers.values cimport (
    BOOL, INT, UINT, Value, number_value, parse_number, text_value,
)

VERSION = "1"

cdef int RAW = 4096                     # bytes of a damaged line that are kept
cdef int PER_TURN = 4096                # lines between two looks at whether a batch is full
cdef enum:
    MOST_FIELDS = 1024

HEADER = re.compile(
    rb"#(?:separator|set_separator|empty_field|unset_field|path|open|close|fields|types)\b"
)


cdef enum Kind:
    WORDS, TRUTH, WHOLE, LISTED, LISTED_NUMBERS, LISTED_TRUTHS, DECIMAL


cdef struct Column:
    int32_t node
    int kind


def match(head, path):
    """How sure it is that an artifact is a Zeek log, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: its path inside its source (not looked at).
    """
    text = head.removeprefix(b"\xef\xbb\xbf")
    if text.startswith(b"#separator ") or (
        HEADER.match(text) and re.search(rb"^#fields[^\n]*\n#types", text, re.MULTILINE)
    ):
        if re.search(rb"^#fields.", text, re.MULTILINE):
            return Match.CONTENT, ""
        return Match.NEAR, "a log of Zeek without #fields: nothing says what its columns are"
    return Match.NO, "no #separator or #fields and #types of a Zeek log at its start"


cdef int _kind_of(bytes type_):
    if type_ == b"bool":
        return TRUTH
    if type_ in (b"count", b"int", b"port"):
        return WHOLE
    if type_ in (b"double", b"interval", b"time"):
        return DECIMAL
    if type_.startswith((b"set[", b"vector[")):
        inner = type_.partition(b"[")[2].rstrip(b"]")
        if inner in (b"count", b"int", b"port", b"double", b"interval", b"time"):
            return LISTED_NUMBERS
        return LISTED_TRUTHS if inner == b"bool" else LISTED
    return WORDS


def unescaped(text):
    """A separator as `#separator` writes it: `\\x09`."""
    return re.sub(rb"\\x([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), text)


cdef class _Reader:
    cdef Lines lines
    cdef Account account
    cdef Shaped shaped
    cdef uint8_t separator
    cdef bytes between          # the parts of a set
    cdef bytes empty
    cdef bytes unset
    cdef bytes path
    cdef int32_t path_node
    cdef Column[MOST_FIELDS] columns
    cdef list names
    cdef int count              # fields named; 0: none yet, or too many

    def __cinit__(self, artifact):
        self.lines = Lines(artifact)
        self.account = artifact.account
        self.shaped = Shaped(load_mappings(), load_shapes())
        self.separator = 9
        self.between = b","
        self.empty = b"(empty)"
        self.unset = b"-"
        self.path = b""
        self.path_node = self.shaped.tape.node(0, b"_path", 5)

    cdef int directive(self, bytes text) except -1:
        """A line that begins with `#`."""
        cdef bytes name, value, each
        cdef bytes separator = bytes([self.separator])
        if text.startswith(b"#separator "):
            value = unescaped(text[11:].strip())
            if len(value) == 1 and value not in (b"\n", b"\r"):
                self.separator = value[0]
            return 0
        name, _, value = text.partition(separator)
        if name == b"#set_separator" and value:
            self.between = unescaped(value)
        elif name == b"#empty_field":
            self.empty = value
        elif name == b"#unset_field":
            self.unset = value
        elif name == b"#path":
            self.path = value
        elif name == b"#fields":
            self.names = value.split(separator)
            self.count = len(self.names) if len(self.names) <= MOST_FIELDS else 0
            for i in range(self.count):
                each = (<bytes>self.names[i]).decode("utf-8", "replace").encode()
                self.columns[<int>i].node = self.shaped.tape.node(
                    0, <const uint8_t*><const char*>each, len(each)
                )
                self.columns[<int>i].kind = WORDS
        elif name == b"#types":
            for i, each in enumerate(value.split(separator)[:self.count]):
                self.columns[<int>i].kind = _kind_of(each)
        return 0

    cdef int turn(self) except -1:
        """Reads lines; 0 at the end, 2 where a batch is full."""
        cdef Line line
        cdef int i, done
        for i in range(PER_TURN):
            if not self.lines.next(&line):
                return 0
            if line.n == 0:
                self.account.bytes_structure += self.lines.held
                continue
            if line.p[0] == 35:
                self.account.bytes_structure += self.lines.held
                self.directive((<const char*>line.p)[:line.n])
                continue
            self.account.records += 1
            self.account.bytes_records += self.lines.held
            done = self.record(&line)
            if done:
                self.account.in_rows += 1
            if done == 2:
                return 2
        return 1

    cdef int record(self, Line* line) except -1:
        """One record: 1 a row, 2 a row and a batch is full, 0 damage."""
        cdef Tape tape = self.shaped.tape
        cdef Py_ssize_t at = 0, end, fields = 1
        cdef int i = 0
        cdef Value value
        cdef const void* found
        for at in range(line.n):
            fields += line.p[at] == self.separator
        if self.count == 0 or fields != self.count or line.cut:
            why = b"other fields than were named" if self.count else b"no fields were named"
            self.account.damage(
                line.offset, self.lines.held, b"line", b"longer than a line may be" if line.cut
                else why, line.p, min(line.n, <Py_ssize_t>RAW),
            )
            return 0
        tape.begin()
        if self.path:
            value = text_value(<const uint8_t*><const char*>self.path, len(self.path))
            tape.add(self.path_node, &value)
        at = 0
        while True:
            found = memchr(line.p + at, self.separator, line.n - at)
            end = line.n if found is NULL else <const uint8_t*>found - line.p
            self.field(&self.columns[i], line.p + at, end - at)
            if found is NULL:
                break
            at = end + 1
            i += 1
        if self.shaped.end_record(
            line.p, line.n, line.offset, self.lines.held, 0, 0, KEEP_NEVER
        ):
            return 2
        return 1

    cdef bint _is(self, bytes word, const uint8_t* p, Py_ssize_t n):
        return n == len(word) and memcmp(p, <const char*>word, n) == 0

    cdef int field(self, const Column* column, const uint8_t* p, Py_ssize_t n) except -1:
        cdef Tape tape = self.shaped.tape
        cdef Value value
        cdef int64_t number = 0
        cdef int kind = column.kind
        if self._is(self.unset, p, n):
            return 0
        if kind == TRUTH and n == 1 and (p[0] == 84 or p[0] == 70):
            value = number_value(BOOL, p[0] == 84)
            return tape.add(column.node, &value)
        if kind == WHOLE:
            if n and p[0] != 48 and parse_number(p, n, &number) == 1 and (
                48 <= p[0] <= 57 or (p[0] == 45 and n > 1 and p[1] != 48)
            ):
                value = number_value(INT if number < 0 else UINT, <unsigned long long>number)
                return tape.add(column.node, &value)
            if n == 1 and p[0] == 48:
                value = number_value(UINT, 0)
                return tape.add(column.node, &value)
        if LISTED <= kind <= LISTED_TRUTHS:
            return self.list_(column, p, n)
        if self._is(self.empty, p, n):
            n = 0
        value = text_value(p, n)
        if n and memchr(p, 92, n) is not NULL:
            value.p = tape.room(n)
            value.n = _unescape(p, n, <uint8_t*>value.p)
            tape.used(value.n)
        if kind == DECIMAL:
            return tape.put(column.node, SCALAR, &value)
        return tape.add(column.node, &value)

    cdef int list_(self, const Column* column, const uint8_t* p, Py_ssize_t n) except -1:
        """A set or vector, as the JSON text of a list."""
        cdef Tape tape = self.shaped.tape
        cdef const uint8_t* between = <const uint8_t*><const char*>self.between
        cdef Py_ssize_t m = len(self.between), at = 0, end
        cdef uint8_t* made
        cdef Py_ssize_t size = 0
        cdef Value value
        # Each byte is six at most (\\u0009), and each part has its quotes and a comma.
        made = tape.room(6 * n + 3 * (n + 1) + 8)
        made[0] = 91
        size = 1
        if not self._is(self.empty, p, n):
            while True:
                end = at
                while end < n and not (end + m <= n and m and memcmp(p + end, between, m) == 0):
                    end += 1
                if size > 1:
                    made[size] = 44
                    size += 1
                if self._is(self.unset, p + at, end - at):
                    memcpy(made + size, b"null", 4)
                    size += 4
                elif column.kind == LISTED_TRUTHS and end - at == 1:
                    memcpy(made + size, b"true" if p[at] == 84 else b"false", 5)
                    size += 4 if p[at] == 84 else 5
                elif column.kind == LISTED_NUMBERS and end > at and _is_number(p + at, end - at):
                    memcpy(made + size, p + at, end - at)
                    size += end - at
                else:
                    size += _put_quoted(p + at, end - at, made + size)
                if end >= n:
                    break
                at = end + m
        made[size] = 93
        size += 1
        tape.used(size)
        value = text_value(made, size)
        return tape.put(column.node, LIST, &value)


cdef bint _is_number(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        if not (48 <= p[i] <= 57 or p[i] == 46 or (p[i] == 45 and i == 0)):
            return False
    return 48 <= p[n - 1] <= 57


cdef inline int _hex(uint8_t c) noexcept nogil:
    if 48 <= c <= 57:
        return c - 48
    if 97 <= (c | 32) <= 102:
        return (c | 32) - 87
    return -1


cdef Py_ssize_t _unescape(const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil:
    """`\\xHH` of ASCII characters, and two backslashes, undone. Bytes beyond ASCII stay as Zeek
    writes them, in JSON as here: they are none of UTF-8."""
    cdef Py_ssize_t i = 0, made = 0
    cdef uint8_t c
    while i < n:
        c = p[i]
        if c == 92 and i + 3 < n and p[i + 1] == 120 and 0 <= _hex(p[i + 2]) < 8 and (
            _hex(p[i + 3]) >= 0
        ):
            c = <uint8_t>(16 * _hex(p[i + 2]) + _hex(p[i + 3]))
            i += 3
        elif c == 92 and i + 1 < n and p[i + 1] == 92:
            i += 1
        out[made] = c
        made += 1
        i += 1
    return made


cdef Py_ssize_t _put_quoted(const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil:
    """A text of a list as JSON text; room: 6 bytes a byte and 2."""
    cdef const char* digits = b"0123456789abcdef"
    cdef Py_ssize_t i = 0, made = 1
    cdef uint8_t c
    out[0] = 34
    while i < n:
        c = p[i]
        if c == 92 and i + 3 < n and p[i + 1] == 120 and 0 <= _hex(p[i + 2]) < 8 and (
            _hex(p[i + 3]) >= 0
        ):
            c = <uint8_t>(16 * _hex(p[i + 2]) + _hex(p[i + 3]))
            i += 3
        elif c == 92 and i + 1 < n and p[i + 1] == 92:
            i += 1
        if c == 34 or c == 92:
            out[made] = 92
            out[made + 1] = c
            made += 2
        elif c < 32:
            memcpy(out + made, b"\\u00", 4)
            out[made + 4] = <uint8_t>digits[c >> 4]
            out[made + 5] = <uint8_t>digits[c & 15]
            made += 6
        else:
            out[made] = c
            made += 1
        i += 1
    out[made] = 34
    return made + 1


def read(artifact):
    """Yields (table, batch), and NO_ROWS_YET in between.

    Raises:
        EvidenceError: the bytes could not be read on; the rows before that were yielded.
    """
    cdef _Reader reader = _Reader(artifact)
    cdef int more = 1
    try:
        while more:
            more = reader.turn()
            yield from reader.shaped.events.take(not more)
            yield NO_ROWS_YET
    except EvidenceError:
        yield from reader.shaped.events.take(True)
        raise


PARSER = Parser(
    "zeek",
    VERSION,
    match,
    tables=load_mappings().tables,
    read=read,
    files=("*/zeek/*.log", "*/bro/*.log"),
    rank=Rank.LOGS,
    text=True,
)
