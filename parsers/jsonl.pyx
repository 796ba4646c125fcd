"""JSON logs: one object a line, a list of objects, or objects one after the other.

Specifications: RFC 8259 (JSON), https://jsonlines.org. A *record* is a line that is not blank,
an element of a list at the top, or a value in a text that does not keep to lines. What its
members mean is for normalize/shapes.py (which shipper wrapped it) and normalize/mapping.py (which
event it is); an object that neither knows is complete in `raw_event`, its own text in `raw`.

A text that no reader of JSON takes is a damage row with its offset and (bounded) text, and
reading goes on with the next line. In a list or a running text a broken value takes the rest of
its line with it. Numbers, names and texts keep every digit, member and character (see
objects.pyx); repaired text is flagged (parse_flags 128).
"""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memchr

import orjson

from tracelake.native.account cimport Account
from tracelake.native.feed cimport Feed
from tracelake.native.errors import EvidenceError
from tracelake.normalize.mapping import load as load_mappings
from tracelake.normalize.shapes import load as load_shapes
from tracelake.parsers.artifact import NO_ROWS_YET, Match, Parser
from tracelake.parsers.json_scan cimport TAKEN, Fault, scan_json
from tracelake.parsers.shaped cimport KEEP_ODD, Shaped

# A record that is longer is damage: no event is, and memory is bounded.
LONGEST = 16 << 20
cdef Py_ssize_t MAX_RECORD = LONGEST
cdef Py_ssize_t STEP = 65536
# Bytes of a running text that may be looked at in vain, and as a multiple of those read well:
# where quotes do not pair, the end of a value is far away and wrong. Beyond, it is read by lines.
cdef int64_t VAIN = 64 << 20
cdef int64_t VAIN_RATIO = 8

WHITE = b" \t\r\n"
BOM = b"\xef\xbb\xbf"


cdef inline bint _white(uint8_t c) noexcept nogil:
    return c == 32 or c == 10 or c == 13 or c == 9


cdef struct Scan:
    Py_ssize_t at               # bytes looked at
    int depth
    bint inside                 # a string
    bint escaped


cdef bint _value_ends(Scan* scan, const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """Goes on to the end of a JSON value; True where it is found, and `at` is one past it."""
    cdef uint8_t c
    while scan.at < n:
        c = p[scan.at]
        scan.at += 1
        if scan.inside:
            if scan.escaped:
                scan.escaped = False
            elif c == 92:
                scan.escaped = True
            elif c == 34:
                scan.inside = False
                if scan.depth == 0:
                    return True
        elif c == 34:
            scan.inside = True
        elif c == 123 or c == 91:
            scan.depth += 1
        elif c == 125 or c == 93:
            if scan.depth == 0:
                # Nothing is open: what stands before is a value, or this is one of its own.
                scan.at -= scan.at > 1
                return True
            scan.depth -= 1
            if scan.depth == 0:
                return True
        elif scan.depth == 0 and (c == 44 or _white(c)):
            scan.at -= scan.at > 1      # a bare number or word ends before what follows it
            return True
    return False


def value_end(bytes text):
    """Where the JSON value at the start of `text` ends, or None where it goes on."""
    cdef Scan scan = Scan(0, 0, False, False)
    if _value_ends(&scan, <const uint8_t*><const char*>text, len(text)):
        return scan.at
    return None


cdef class _Reader:
    """Records of one artifact, in order."""
    cdef Feed feed
    cdef Account account
    cdef Shaped shaped
    cdef bytes why              # why the last text was refused
    cdef bint listed            # inside a list at the top
    cdef int64_t vain           # bytes looked at in vain

    def __cinit__(self, artifact, Shaped shaped):
        self.feed = artifact.feed
        self.account = artifact.account
        self.shaped = shaped

    cdef int begin(self) except -1:
        """Passes over a byte order mark and white space; 1 where the text keeps to lines."""
        cdef Py_ssize_t have = self.feed.fill(3), n
        cdef const uint8_t* p
        cdef const void* newline
        cdef Scan scan = Scan(0, 0, False, False)
        if have >= 3 and (<const char*>self.feed.at())[:3] == BOM:
            self._structure(3)
        while self.feed.fill(1) and _white(self.feed.at()[0]):
            self._structure(1)
        have = self.feed.fill(STEP)
        if have == 0:
            return 1
        p = self.feed.at()
        if p[0] == 91:
            return 0
        newline = memchr(p, 10, have)
        if newline is NULL:
            return 1
        # A first line that holds a whole value: a text of lines. So is one whose next line
        # begins an object, too: its first line is broken. Anything else runs on.
        n = <const uint8_t*>newline - p
        if p[0] != 123 or _value_ends(&scan, p, n):
            return 1
        while n < have and _white(p[n]):
            n += 1
        return n == have or p[n] == 123

    cdef int _structure(self, Py_ssize_t n) except -1:
        self.feed.advance(n)
        self.account.bytes_structure += n
        return 0

    cdef int _row(self, const uint8_t* p, Py_ssize_t n, int64_t offset) except -1:
        """Puts a record's row; 0: it is no JSON, and `why` says why; 1: a row; 2: a row, and a
        batch is full."""
        cdef Fault fault = Fault(NULL, 0)
        cdef Py_ssize_t readable = self.feed.fill(0) - (p - self.feed.at())
        try:
            with nogil:
                self.shaped.tape.begin()
                if scan_json(self.shaped.tape, p, n, readable, &fault) == TAKEN:
                    return 1 + self.shaped.end_record(p, n, offset, n, 0, 0, KEEP_ODD)
        except OverflowError as error:
            self.shaped.give_up()
            self.why = f"not read: {error}".encode()
            return 0
        except BaseException:
            self.shaped.give_up()
            raise
        self.why = b"not JSON: %s, %d bytes on" % (fault.why, fault.at)
        return 0

    cdef int record(self, Py_ssize_t n) except -1:
        """One record of `n` bytes; returns 1 where a batch is full."""
        cdef const uint8_t* p = self.feed.at()
        cdef int64_t offset = self.feed.offset()
        cdef Account account = self.account
        cdef int done
        account.records += 1
        account.bytes_records += n
        done = self._row(p, n, offset)
        if done:
            account.in_rows += 1
        else:
            account.damage(offset, n, b"JSON", self.why, p, n)
        self.feed.advance(n)
        return done == 2

    cdef int too_long(self, Py_ssize_t have, bint ends) except -1:
        """A record that is longer than any may be: its start is kept, the rest passed over, `have`
        bytes of it, and up to the end of the line unless it `ends` there."""
        cdef int64_t offset = self.feed.offset(), n
        cdef bytes start = (<const char*>self.feed.at())[:65536]
        cdef const void* newline
        self.account.records += 1
        self.feed.advance(have)
        while not ends:
            have = self.feed.fill(1)
            if have == 0:
                break
            newline = memchr(self.feed.at(), 10, have)
            ends = newline is not NULL
            if ends:
                have = <const uint8_t*>newline - self.feed.at()
            self.feed.advance(have)
        n = self.feed.offset() - offset
        self.account.bytes_records += n
        why = f"longer than {MAX_RECORD} bytes".encode()
        self.account.damage(
            offset, n, b"JSON", why, <const uint8_t*><const char*>start, len(start)
        )
        return 0

    cdef int lines(self) except -1:
        """Records until a batch is full (1) or the text ends (0)."""
        cdef Py_ssize_t have, n, i
        cdef const uint8_t* p
        cdef const void* newline
        while True:
            have = self.feed.fill(1)
            if have == 0:
                return 0
            p = self.feed.at()
            newline = memchr(p, 10, have)
            while newline is NULL:
                if have > MAX_RECORD:
                    break
                n = have
                have = self.feed.fill(n + 1)
                p = self.feed.at()
                if have == n:
                    break
                newline = memchr(p + n, 10, have - n)
            if newline is NULL and have > MAX_RECORD:
                self.too_long(have, False)
                continue
            n = <const uint8_t*>newline - p if newline is not NULL else have
            i = 0
            while i < n and _white(p[i]):
                i += 1
            if i == n:
                self._structure(n + (newline is not NULL))
                continue
            if n > MAX_RECORD:
                self.too_long(n, True)
                continue
            i = self.record(n)
            if newline is not NULL:
                self._structure(1)
            if i:
                return 1

    cdef int values(self) except -1:
        """The same of a running text: values and lists of values, one after the other."""
        cdef Py_ssize_t have, was
        cdef const uint8_t* p
        cdef Scan scan
        cdef bint ends
        while True:
            have = self.feed.fill(1)
            if have == 0:
                return 0
            p = self.feed.at()
            if _white(p[0]) or (self.listed and (p[0] == 44 or p[0] == 93)) or (
                p[0] == 91 and not self.listed
            ):
                if p[0] == 91:
                    self.listed = True
                elif p[0] == 93:
                    self.listed = False
                self._structure(1)
                continue
            scan = Scan(0, 0, False, False)
            ends = _value_ends(&scan, p, have)
            while not ends and have <= MAX_RECORD:
                was = have
                have = self.feed.fill(was + STEP)
                p = self.feed.at()
                if have == was:
                    break
                ends = _value_ends(&scan, p, have)
            if not ends and have > MAX_RECORD:
                self.too_long(have, False)
                continue
            if not ends:
                scan.at = have
            if scan.at > MAX_RECORD:
                self.too_long(scan.at, True)
                continue
            if self._one(p, scan.at):
                return 1
            if self.vain > VAIN + VAIN_RATIO * self.account.bytes_records:
                return self.lines()

    cdef int _one(self, const uint8_t* p, Py_ssize_t n) except -1:
        """A record, or the line of it that is broken."""
        cdef int64_t damaged = self.account.damaged, offset = self.feed.offset()
        cdef const void* newline
        cdef Py_ssize_t line = n
        cdef int done = self._row(p, n, offset)
        self.account.records += 1
        if done:
            self.account.in_rows += 1
        else:
            # A quote that is missing makes everything after it one value: only the line in
            # which it begins is given up.
            newline = memchr(p, 10, n)
            if newline is not NULL:
                line = <const uint8_t*>newline - p
            self.account.damage(offset, line, b"JSON", self.why, p, line)
            self.vain += n - line
        self.account.bytes_records += line
        self.feed.advance(line)
        return done == 2


def match(bytes head, str path):
    """Whether the first value is a JSON object or a list of them."""
    cdef bytes text = head.removeprefix(BOM).lstrip(WHITE)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return Match.NO, "text in UTF-16, which is not read yet"
    first = text[:1]
    if first == b"[":
        text = text[1:].lstrip(WHITE)
        if text[:1] == b"]":
            return Match.CONTENT, ""
    if text[:1] != b"{":
        return Match.NO, "does not begin with a JSON object or a list of them"
    if text[1:].lstrip(WHITE)[:1] not in (b'"', b"}", b""):
        return Match.NO, "begins with a brace that no member name follows"
    end = value_end(text)
    line = text.partition(b"\n")[0]
    if end is not None:
        try:
            orjson.loads(text[:end])
        except orjson.JSONDecodeError as error:
            # Odd JSON (NaN, an unpaired surrogate) in a text of lines is still JSON.
            if line.rstrip().endswith(b"}") and b'":' in line:
                return Match.CONTENT, ""
            return Match.NO, f"the first object is not JSON: {error}"
        return Match.CONTENT, ""
    if path.lower().endswith((".json", ".jsonl", ".ndjson")) or len(head) >= STEP:
        return Match.CONTENT, ""
    return Match.NO, "the first object does not end"


def read(artifact, mappings=None):
    """Yields (table, batch), and NO_ROWS_YET in between. Raises EvidenceError where the bytes stop before their end.

    Args:
        artifact: parsers.artifact.Artifact.
        mappings: normalize.mapping.Mappings; the shipped ones where it is None.
    """
    mappings = mappings or load_mappings()
    cdef _Reader reader = _Reader(artifact, Shaped(mappings, load_shapes()))
    cdef int more = 1
    try:
        in_lines = reader.begin()
        while more:
            more = reader.lines() if in_lines else reader.values()
            yield from reader.shaped.events.take(not more)
            yield NO_ROWS_YET
    except EvidenceError:
        yield from reader.shaped.events.take(True)
        raise


PARSER = Parser(
    name="jsonl",
    version="1",
    match=match,
    tables=load_mappings().tables,
    read=read,
    text=True,
)
