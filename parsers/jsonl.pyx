"""JSON logs: one object a line, a list of objects, or objects one after the other.

Specifications: RFC 8259 (JSON), https://jsonlines.org. A *record* is a line that is not blank,
an element of a list at the top, or a value in a text that does not keep to lines; where an object
is but the wrapper of a list of records (`each` in normalize/shapes.py: CloudTrail's `Records`),
they are the records, and a wrapper may be of any size. What their members mean is for
normalize/shapes.py (which shipper wrapped it) and normalize/mapping.py (which event it is); an
object that neither knows is complete in `raw_event`, its own text in `raw`. UTF-16, which
PowerShell writes, is read as well; offsets and lengths are always those of the artifact, `raw` is
UTF-8.

A text that no reader of JSON takes is a damage row with its offset and (bounded) text, and
reading goes on with the next line. In a list or a running text a broken value takes the rest of
its line with it. Numbers, names and texts keep every digit, member and character (see
json_scan.pxd); repaired text is flagged (parse_flags 128).
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memchr

from tracelake.native.account cimport Account
from tracelake.native.feed cimport Feed
from tracelake.native.errors import EvidenceError
from tracelake.normalize.mapping import load as load_mappings
from tracelake.normalize.shapes import load as load_shapes
from tracelake.parsers.artifact import NO_ROWS_YET, Match, Parser
from tracelake.parsers.json_scan cimport TAKEN, Fault, json_end, scan_json
from tracelake.parsers.looks cimport Look, Nests
from tracelake.parsers.nested cimport A_ROW_AND_FULL, NOT_JSON, OPENED, Did, Nested, utf16_units
from tracelake.parsers.shaped cimport Shaped
from tracelake.parsers.utf16_text import Utf16Text
from tracelake.parsers.wide_text import encoding

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


cdef enum Step:
    FAILED = -1                 # an exception
    THE_END                     # of the text
    FULL                        # a batch is full
    GO_ON


cdef class _Reader:
    """Records of one artifact, in order."""
    cdef Feed feed
    cdef Account account
    cdef Nested nested
    cdef bint wide              # the artifact is UTF-16, the feed what it is in UTF-8
    cdef object decoder         # where it is
    cdef int64_t place          # of the feed's next byte in the artifact
    cdef bint in_lines
    cdef bint listed            # inside a list at the top
    cdef int64_t vain           # bytes looked at in vain
    # The text at hand, which may have many records.
    cdef Py_ssize_t text        # its bytes; 0: none
    cdef Py_ssize_t rest        # those of its line, of which it is a part
    cdef bytes tail             # that it is, where it is not in the feed as it is
    # A wrapper whose records are read one by one.
    cdef bint wrapped
    cdef bytes head             # its members before the list, as an object
    cdef const uint8_t* head_text       # NULL: there are none
    cdef Py_ssize_t head_length
    cdef int32_t below          # where the members of its records stand

    def __cinit__(self, artifact, Shaped shaped, bint wide, bint big):
        self.feed = artifact.feed
        self.account = artifact.account
        self.nested = Nested(shaped, wide)
        self.wide = wide
        self.decoder = None
        if wide:
            if self.feed.fill(2) >= 2 and self.feed.at()[0] >= 254:
                self.place = 2
                self.account.bytes_structure += 2
                self.feed.advance(2)
            self.decoder = Utf16Text(self.feed, big)
            self.feed = Feed(self.decoder)

    cdef int64_t _pass(self, Py_ssize_t n) noexcept nogil:
        """Moves past `n` bytes; returns how many bytes of the artifact they are."""
        cdef int64_t passed = 2 * utf16_units(self.feed.at(), n) if self.wide else n
        self.feed.advance(n)
        self.place += passed
        return passed

    cdef int64_t _size(self, const uint8_t* p, Py_ssize_t n) noexcept nogil:
        """Bytes of the artifact that `n` bytes of text are."""
        return 2 * utf16_units(p, n) if self.wide else n

    cdef void _structure(self, Py_ssize_t n) noexcept nogil:
        self.account.bytes_structure += self._pass(n)

    cdef int begin(self) except -1:
        """Passes over a byte order mark and white space, and sees whether it keeps to lines."""
        cdef Py_ssize_t have = self.feed.fill(3), n
        cdef const uint8_t* p
        cdef const void* newline
        cdef Scan scan = Scan(0, 0, False, False)
        if have >= 3 and (<const char*>self.feed.at())[:3] == BOM:
            self._structure(3)
        while self.feed.fill(1) and _white(self.feed.at()[0]):
            self._structure(1)
        have = self.feed.fill(STEP)
        self.in_lines = True
        if have == 0:
            return 0
        p = self.feed.at()
        if p[0] == 91:
            self.in_lines = False
            return 0
        newline = memchr(p, 10, have)
        if newline is NULL:
            return 0
        # A first line that holds a whole value: a text of lines. So is one whose next line
        # begins an object, too: its first line is broken, if it does not begin a list of records.
        # Anything else runs on.
        n = <const uint8_t*>newline - p
        if p[0] != 123 or _value_ends(&scan, p, n):
            return 0
        if self._list_at(p, have) < 0:
            while n < have and _white(p[n]):
                n += 1
            if n == have or p[n] == 123:
                return 0
        self.in_lines = False
        return 0

    # --- one text -----------------------------------------------------------------------------

    cdef Step _record(self, Py_ssize_t n, Py_ssize_t rest) except FAILED nogil:
        """A text of `n` bytes, and what is broken with it: its line, or what of it is `rest`."""
        self.text = n
        self.rest = rest
        self.nested.begin(
            self.feed.at(), n, self.feed.fill(0), self.place, self.below if self.wrapped else 0
        )
        if self.wrapped:
            self.nested.head(self.head_text, self.head_length)
        else:
            self.nested.head(NULL, 0)
        return self._records()

    cdef Step _records(self) except FAILED nogil:
        """The records of the text at hand, as far as a batch has room."""
        cdef Did did = OPENED
        while self.nested.left:
            did = self.nested.next()
            if did == NOT_JSON:
                with gil:
                    return self._broken()
            if did == OPENED:
                continue
            self.account.records += 1
            self.account.in_rows += 1
            if did == A_ROW_AND_FULL and self.nested.left:
                return FULL
        self._text_done()
        return FULL if did == A_ROW_AND_FULL else GO_ON

    cdef int _too_large(self, bytes why) except -1:
        """The last record is not read; those behind it are."""
        cdef Py_ssize_t left = self.nested.left
        self.nested.give_up()
        self.nested.left = left
        self.account.records += 1
        self.account.damage(
            self.nested.offset, self.nested.length, b"JSON", why, self.nested.p, self.nested.n
        )
        if left == 0:
            self._text_done()
        return 0

    cdef void _text_done(self) noexcept nogil:
        """Goes past the text at hand."""
        cdef int64_t passed = self._pass(self.text)
        self.text = 0
        if self.nested.inside >= 0:
            self.account.bytes_records += self.nested.inside
            self.account.bytes_structure += passed - self.nested.inside
        else:
            self.account.bytes_records += passed

    cdef Step _broken(self) except FAILED:
        """The text at hand is no JSON. Of a wrapper the records are read one by one, up to the one
        that is broken."""
        cdef Fault fault = self.nested.fault
        cdef const uint8_t* p = self.feed.at()
        cdef Py_ssize_t n = self.text
        cdef bytes why = b"not JSON: %s, %d bytes on" % (fault.why, fault.at)
        self.text = 0
        if not self.wrapped and not self.listed and self._open(p, n):
            return GO_ON
        self.account.records += 1
        self.account.damage(
            self.place, self._size(p, self.rest), b"JSON", why, p, self.rest
        )
        self.vain += n - self.rest
        self.account.bytes_records += self._pass(self.rest)
        return GO_ON

    cdef Step _too_long(self, Py_ssize_t have, bint ends) except FAILED:
        """A text that is longer than any may be. Of a wrapper the records are read one by one; of
        others the start is kept, the rest passed over, `have` bytes of it, and up to the end of
        the line unless it `ends` there."""
        cdef int64_t offset = self.place, n
        cdef bytes start = (<const char*>self.feed.at())[:65536]
        cdef const void* newline
        if not self.wrapped and self._open(self.feed.at(), have):
            return GO_ON
        self.account.records += 1
        self._pass(have)
        while not ends:
            have = self.feed.fill(1)
            if have == 0:
                break
            newline = memchr(self.feed.at(), 10, have)
            ends = newline is not NULL
            if ends:
                have = <const uint8_t*>newline - self.feed.at()
            self._pass(have)
        n = self.place - offset
        self.account.bytes_records += n
        why = f"longer than {MAX_RECORD} bytes".encode()
        self.account.damage(
            offset, n, b"JSON", why, <const uint8_t*><const char*>start, len(start)
        )
        return GO_ON

    # --- a wrapper ----------------------------------------------------------------------------

    cdef Py_ssize_t _list_at(self, const uint8_t* p, Py_ssize_t n) except? -2:
        """Where the records of a wrapper begin, behind the bracket; -1: it is none. `head` and
        `below` are what its shape says."""
        cdef const uint8_t* end = p + min(n, STEP)
        cdef const uint8_t* at = p + 1
        cdef const uint8_t* name
        cdef const uint8_t* members = NULL
        cdef Fault fault
        if n < 2 or p[0] != 123:
            return -1
        while True:
            while at < end and _white(at[0]):
                at += 1
            name = at
            at = json_end(at, end, end, &fault) if at < end and at[0] == 34 else NULL
            if at is NULL:
                return -1
            while at < end and _white(at[0]):
                at += 1
            if at == end or at[0] != 58:
                return -1
            at += 1
            while at < end and _white(at[0]):
                at += 1
            if at < end and at[0] == 91 and self._is_list(
                (<const char*>p)[:at - p], (<const char*>p)[:members - p] if members else b"{"
            ):
                return at + 1 - p
            at = json_end(at, end, end, &fault) if at < end else NULL
            if at is NULL:
                return -1
            members = at
            while at < end and _white(at[0]):
                at += 1
            if at == end or at[0] != 44:
                return -1
            at += 1

    cdef bint _is_list(self, bytes start, bytes head) except -1:
        """Whether a shape takes the objects of the list that comes behind `start` as records."""
        cdef Shaped shaped = self.nested.shaped
        cdef bytes text = start + b"[{}]}"
        cdef Fault fault
        cdef Look* look
        cdef const Nests* each
        shaped.tape.begin()
        if scan_json(
            shaped.tape, 0, <const uint8_t*><const char*>text, len(text), len(text), &fault
        ) != TAKEN or shaped.tape.nest_count == 0:
            return False
        look = shaped.looks.recognise()
        each = shaped.looks.each(look, &shaped.tape.nests[shaped.tape.nest_count - 1])
        if each is NULL or look.own:
            return False
        self.head = head + b"}"
        self.head_text = <const uint8_t*><const char*>self.head if len(head) > 1 else NULL
        self.head_length = len(self.head)
        self.below = each.below
        return True

    cdef bint _open(self, const uint8_t* p, Py_ssize_t n) except -1:
        """Goes on to the records of the wrapper at `p`, if it is one."""
        cdef Py_ssize_t at = self._list_at(p, n)
        if at < 0:
            return False
        self.wrapped = True
        self._structure(at)
        return True

    cdef Step _close(self) except FAILED:
        """Behind the records of a wrapper: what else it says is a record of its own."""
        cdef Scan scan = Scan(0, 1, False, False)
        cdef Py_ssize_t have = 0, was = -1, comma = 0
        cdef const uint8_t* p = NULL
        cdef bytes text
        self.wrapped = False
        self._structure(1)
        while have != was and have <= MAX_RECORD and scan.depth:
            was = have
            have = self.feed.fill(was + STEP)
            p = self.feed.at()
            if _value_ends(&scan, p, have):
                break
        if scan.depth:
            return self._too_long(have, False) if have > MAX_RECORD else GO_ON
        while comma < scan.at and _white(p[comma]):
            comma += 1
        if p[comma] != 44:
            self._structure(scan.at)
            return GO_ON
        # The comma is the brace of the object that its members are.
        self._structure(comma)
        text = b"{" + (<const char*>self.feed.at())[1:scan.at - comma]
        self.tail = text        # stays as long as its record
        self.text = self.rest = len(text)
        self.nested.begin(
            <const uint8_t*><const char*>text, len(text), len(text), self.place, 0
        )
        self.nested.head(NULL, 0)
        return self._records()

    # --- the text -----------------------------------------------------------------------------

    cdef Step _line(self) except FAILED nogil:
        """The next line."""
        cdef Py_ssize_t have = self.feed.fill(1), n, i = 0
        cdef const uint8_t* p
        cdef const void* newline
        if have == 0:
            return THE_END
        p = self.feed.at()
        newline = memchr(p, 10, have)
        while newline is NULL:
            if have > MAX_RECORD:
                with gil:
                    return self._too_long(have, False)
            n = have
            have = self.feed.fill(n + 1)
            p = self.feed.at()
            if have == n:
                break
            newline = memchr(p + n, 10, have - n)
        n = <const uint8_t*>newline - p if newline is not NULL else have
        while i < n and _white(p[i]):
            i += 1
        if i == n:
            self._structure(n + (newline is not NULL))
            return GO_ON
        if n > MAX_RECORD:
            with gil:
                return self._too_long(n, True)
        return self._record(n, n)

    cdef Step _value(self) except FAILED nogil:
        """The next value of a running text: values and lists of values, one after the other."""
        cdef Py_ssize_t have = self.feed.fill(1), was, line
        cdef const uint8_t* p
        cdef const void* newline
        cdef Scan scan = Scan(0, 0, False, False)
        cdef bint ends
        if have == 0:
            return THE_END
        p = self.feed.at()
        if self.wrapped:
            if p[0] == 93:
                with gil:
                    return self._close()
            if p[0] == 10 and self.in_lines:
                # A wrapper that keeps to a line, which was broken, ends with it.
                self.wrapped = False
                return GO_ON
        if _white(p[0]) or ((self.listed or self.wrapped) and (p[0] == 44 or p[0] == 93)) or (
            p[0] == 91 and not self.listed and not self.wrapped
        ):
            if p[0] == 91:
                self.listed = True
            elif p[0] == 93:
                self.listed = False
            self._structure(1)
            return GO_ON
        ends = _value_ends(&scan, p, have)
        while not ends and have <= MAX_RECORD:
            was = have
            have = self.feed.fill(was + STEP)
            p = self.feed.at()
            if have == was:
                break
            ends = _value_ends(&scan, p, have)
        if not ends and have > MAX_RECORD:
            with gil:
                return self._too_long(have, False)
        if not ends:
            scan.at = have
        if scan.at > MAX_RECORD:
            with gil:
                return self._too_long(scan.at, True)
        # A quote that is missing makes everything after it one value: only the line in which it
        # begins is given up, should it be broken.
        newline = memchr(p, 10, scan.at)
        line = <const uint8_t*>newline - p if newline is not NULL else scan.at
        return self._record(scan.at, line)

    cdef Step _run(self) except FAILED nogil:
        """Records until a batch is full or the text ends."""
        cdef Step step
        while True:
            if self.text:
                step = self._records()
            elif self.wrapped or not self.in_lines:
                step = self._value()
                if self.vain > VAIN + VAIN_RATIO * self.account.bytes_records:
                    self.in_lines = True
                    self.wrapped = self.listed = False
            else:
                step = self._line()
            if step != GO_ON:
                return step

    cdef int _finish(self) except -1:
        if self.decoder is not None and self.decoder.odd:
            self.account.records += 1
            self.account.damage(self.place, 1, b"UTF-16", b"half of a code unit", NULL, 0)
            self.account.bytes_records += 1
        return 0

    cdef bint more(self) except -1:
        """Records until a batch is full (True) or the text ends (False)."""
        cdef Step step
        while True:
            try:
                with nogil:
                    step = self._run()
                if step == THE_END:
                    self._finish()
                return step == FULL
            except OverflowError as error:
                self._too_large(f"not read: {error}".encode())
            except BaseException:
                self.nested.give_up()
                raise


def _in_utf8(bytes head):
    """What a text begins with, in UTF-8; and its codec."""
    codec, mark = encoding(head)
    if codec == "utf-8":
        return head, codec
    return head[mark:].decode(codec, "replace").encode("utf-8", "replace"), codec


def match(bytes head, str path):
    """Whether the first value is a JSON object or a list of them."""
    cdef bytes text = _in_utf8(head)[0].removeprefix(BOM).lstrip(WHITE)
    cdef Fault fault = Fault(NULL, 0)
    cdef const uint8_t* p
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
        p = <const uint8_t*><const char*>text
        if json_end(p, p + <Py_ssize_t>end, p + <Py_ssize_t>end, &fault) is not NULL:
            return Match.CONTENT, ""
        # A first line that is broken, in a text of lines, is still JSON.
        if line.rstrip().endswith(b"}") and b'":' in line:
            return Match.CONTENT, ""
        return Match.NO, f"the first object is not JSON: {fault.why.decode()}"
    if path.lower().endswith((".json", ".jsonl", ".ndjson")) or len(head) >= STEP:
        return Match.CONTENT, ""
    return Match.NO, "the first object does not end"


def read(artifact, mappings=None, shapes=None):
    """Yields (table, batch), and NO_ROWS_YET in between. Raises EvidenceError where the bytes stop
    before their end.

    Args:
        artifact: parsers.artifact.Artifact.
        mappings: normalize.mapping.Mappings; the shipped ones where it is None.
        shapes: normalize.shapes.Shape each, likewise.
    """
    codec = encoding(artifact.feed.peek(64))[0]
    cdef Shaped shaped = Shaped(mappings or load_mappings(), shapes or load_shapes())
    cdef _Reader reader = _Reader(artifact, shaped, codec != "utf-8", codec == "utf-16-be")
    cdef bint more = True
    try:
        reader.begin()
        while more:
            more = reader.more()
            yield from shaped.events.take(not more)
            yield NO_ROWS_YET
    except EvidenceError:
        yield from shaped.events.take(True)
        raise


PARSER = Parser(
    name="jsonl",
    version="1",
    match=match,
    tables=load_mappings().tables,
    read=read,
    text=True,
)
