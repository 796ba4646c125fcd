"""Tables as text: CSV and TSV files, exports of log systems, with a line of names at their top.

Where the columns are of no shape that is known, and one of them holds the event as it was sent
(`_raw` of Splunk, `payload` of QRadar, `event.original` and `message` of Elastic, `SyslogMessage` of
Sentinel), that is looked at as a line of a log is (payload.pyx): if a shape knows it, the row is the
event's, and the columns of the export stand in `unmapped` under `export`.

Specification: RFC 4180, and what programs write beside it (see cells.pyx): commas, semicolons, tabs
or bars between the cells, UTF-8 or UTF-16, a `sep=;` or `#TYPE` line before the names.

A *record* is a line, or several where a quoted cell holds line ends. Its cells are named by the
first line; what they mean is for normalize/shapes.py and the mapping files, as it is for JSON: a
name with dots is a path, so that an export of nested events is recognised as the events are. Empty
cells say nothing and are left out. Cells behind the last name are called by their number, and a
record of one cell where there are several names is damage. A table without names is not read:
nothing says what its columns are.

A quote that is never closed would make all that follows one cell. Where the record that it opens
does not fit the names and the line after it does, or where it is longer than any, only its own line
is damage. (The lines that are looked at twice for this are counted, and beyond a bound quotes no
longer go over line ends.)
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memchr, memcmp

from tracelake.native.account cimport Account
from tracelake.native.errors import EvidenceError
from tracelake.normalize.mapping import load as load_mappings
from tracelake.parsers.anytext cimport AnyText
from tracelake.parsers.artifact import NO_ROWS_YET, Parser, Rank
from tracelake.parsers.cells cimport (
    Cells, cells_begin, cells_force, cells_free, cells_scan, open_quote, put_cell,
)
from tracelake.parsers.csv_form import form_of, match
from tracelake.parsers.flags cimport TEXT_REPAIRED, TRUNCATED
from tracelake.parsers.payload cimport Payloads
from tracelake.parsers.shaped cimport KEEP_NEVER, Shaped
from tracelake.parsers.syslog_head cimport Head, read_head
from tracelake.native.text cimport put_iso_time
from tracelake.parsers.values cimport TEXT, Value
from tracelake.parsers.written_time cimport UNSAID, parse_written

VERSION = "1"
# A record that is longer is damage: memory is bounded.
LONGEST = 16 << 20
cdef Py_ssize_t MAX_RECORD = LONGEST
cdef Py_ssize_t STEP = 65536
cdef int64_t VAIN = 64 << 20            # bytes looked at in vain, beyond which quotes end with
cdef int64_t VAIN_RATIO = 4             # their line; and as a multiple of those read well
cdef int RAW = 4096                     # bytes of a damaged record that are kept
# Columns of exports that hold the event as it was sent, and those that say when.
INNER = ("_raw", "event.original", "payload", "utf8 payload", "syslogmessage", "rawlog", "message")
CLOCKS = ("_time", "@timestamp", "timegenerated", "log source time", "start time", "timestamp")
cdef int PER_TURN = 4096                # records between two looks at whether a batch is full


cdef class _Reader:
    """Records of one artifact, in order."""
    cdef AnyText text
    cdef Account account
    cdef Payloads payloads
    cdef Shaped shaped
    cdef list exported          # nodes below `export`
    cdef Py_ssize_t inner       # column that holds the event as it was sent; -1: none
    cdef Py_ssize_t clock       # column that says when it was; -1: none
    cdef Cells cells
    cdef uint8_t delimiter
    cdef bytes names            # the line of names
    cdef bytes kept             # of the record at hand: what values point into
    cdef int32_t host_node
    cdef int32_t time_node
    cdef list nodes
    cdef Py_ssize_t columns
    cdef bint in_lines          # quotes no longer go over line ends
    cdef int64_t vain

    def __cinit__(self, artifact):
        self.account = artifact.account
        self.payloads = Payloads()
        self.shaped = self.payloads.shaped
        self.host_node = self.shaped.tape.at("syslog.host")
        self.time_node = self.shaped.tape.at("syslog.time")

    def __dealloc__(self):
        cells_free(&self.cells)

    cdef int begin(self, artifact) except -1:
        """Reads up to the line of names."""
        cdef Py_ssize_t have
        self.text = AnyText(artifact)
        have = self.text.fill(STEP)
        head = (<const char*>self.text.at())[:min(have, STEP)]
        form = form_of(head, artifact.path)
        self.delimiter = ord(form.delimiter)
        self.names = head[form.start : form.end]
        self.account.bytes_structure += self.text.advance(form.end)
        self.columns = len(form.names)
        self.nodes = [self.node(name) for name in form.names]
        self.exported = [self.node(f"export.{name}") for name in form.names]
        lower = [name.lower() for name in form.names]
        self.inner = next((lower.index(name) for name in INNER if name in lower), -1)
        self.clock = next((lower.index(name) for name in CLOCKS if name in lower), -1)
        return 0

    cdef object node(self, str name):
        """The node of a name; one with dots is a path."""
        cdef int32_t node = 0
        cdef bytes part
        parts = name.split(".")
        for each in parts if all(parts) and len(parts) <= 16 else [name]:
            part = each.encode()
            node = self.shaped.tape.node(node, <const uint8_t*><const char*>part, len(part))
        return node

    cdef int scan(self, const uint8_t* p, Py_ssize_t n, bint last) except -1:
        return cells_scan(&self.cells, p, n, self.delimiter, 34, last)

    cdef Py_ssize_t line(self, const uint8_t* p, Py_ssize_t n) noexcept nogil:
        """Bytes of the first line, its end included, of `n`."""
        cdef const void* found = memchr(p, 10, n)
        return n if found is NULL else <const uint8_t*>found - p + 1

    cdef bint fits(self, const uint8_t* p, Py_ssize_t n) except -1:
        """Whether the first line of a text is a record with as many cells as there are names."""
        cdef Py_ssize_t size = self.line(p, n)
        cells_begin(&self.cells)
        return size > 0 and self.scan(p, size, True) == 1 and self.cells.count == self.columns

    cdef int record(self) except -1:
        """The next record. 1: a row was made; 2: a batch is full, too; 0: the text ends; -2: none,
        and there is more."""
        cdef Py_ssize_t have = self.text.fill(1), was, size
        cdef const uint8_t* p = self.text.at()
        cdef bint last = False
        if have == 0:
            return 0
        cells_begin(&self.cells)
        if self.in_lines:
            return self.one_line(have)
        while not self.scan(p, have, last):
            if have > MAX_RECORD or last:
                return self.one_line(have)
            was = have
            have = self.text.fill(was + STEP)
            last = have < was + STEP
            p = self.text.at()
        size = self.cells.at
        if size > MAX_RECORD:
            return self.too_long()
        if (self.cells.count != self.columns or self.cells.rough) and memchr(p, 10, self.cells.length) is not NULL:
            # Several lines that are no record: was a quote left open?
            was = self.line(p, have)
            if self.fits(p + was, have - was):
                self.vain += size
                self.in_lines = self.vain > VAIN + VAIN_RATIO * self.account.bytes_records
                return self.damage(was, b"a quote is not closed")
            cells_begin(&self.cells)
            self.scan(p, have, last)
        return self.put(p, size, last and size == have and p[size - 1] != 10)

    cdef int one_line(self, Py_ssize_t have) except -1:
        """A record that is one line, whatever its quotes say: it has one that is not closed."""
        cdef Py_ssize_t size, was, looked = 0
        cdef const uint8_t* p = self.text.at()
        cdef const void* newline = memchr(p, 10, have)
        cdef bint last
        while newline is NULL and have <= MAX_RECORD:
            was = have
            have = self.text.fill(was + STEP)
            p = self.text.at()
            if have == was:
                break
            newline = memchr(p + was, 10, have - was)
        if newline is NULL and have > MAX_RECORD:
            return self.too_long()
        size = have if newline is NULL else <const uint8_t*>newline - p + 1
        if self.in_lines:
            cells_begin(&self.cells)
            if self.scan(p, size, True):
                return self.put(p, size, newline is NULL)
            return self.damage(size, b"a quote is not closed")
        self.vain += have
        self.in_lines = self.vain > VAIN + VAIN_RATIO * self.account.bytes_records
        if have <= MAX_RECORD and not self.fits(p + size, have - size):
            # The text ends in the middle of a cell.
            cells_begin(&self.cells)
            if not self.scan(p, have, True) and open_quote(&self.cells):
                cells_force(&self.cells, have)
            return self.put(p, have, True, True)
        return self.damage(size, b"a quote is not closed")

    cdef int too_long(self) except -1:
        """A line that is longer than any record: passed over up to its end."""
        cdef int64_t offset = self.text.offset(), length = 0
        cdef Py_ssize_t have = self.text.fill(1), size
        cdef bytes start = (<const char*>self.text.at())[:RAW]
        cdef bint ends = False
        while have and not ends:
            size = self.line(self.text.at(), have)
            ends = self.text.at()[size - 1] == 10
            length += self.text.advance(size)
            have = self.text.fill(1)
        self.account.records += 1
        self.account.bytes_records += length
        self.account.damage(
            offset, length, b"record", f"longer than {LONGEST} bytes".encode(),
            <const uint8_t*><const char*>start, len(start),
        )
        return -2

    cdef int damage(self, Py_ssize_t n, const char* why) except -1:
        """Gives up `n` bytes as one record."""
        cdef int64_t offset = self.text.offset(), length = self.text.span(n)
        cdef const uint8_t* p = self.text.at()
        self.account.records += 1
        self.account.bytes_records += length
        self.account.damage(offset, length, b"record", why, p, min(n, <Py_ssize_t>RAW))
        self.text.advance(n)
        return -2

    cdef int put(
        self, const uint8_t* p, Py_ssize_t size, bint cut, bint inside=False
    ) except -1:
        """The record in the cells, as a row."""
        cdef int64_t offset = self.text.offset(), length
        cdef int flags = 0, full
        if self.cells.count == 1 and self.cells.cell[0].end == self.cells.cell[0].start:
            self.account.bytes_structure += self.text.advance(size)
            return -2
        if size == len(self.names) and memcmp(p, <const char*>self.names, size) == 0:
            # Exports that were put one behind the other.
            self.account.bytes_structure += self.text.advance(size)
            return -2
        if self.cells.too_many:
            return self.damage(size, b"too many cells")
        if self.cells.count == 1 and self.columns > 1:
            return self.damage(size, b"one cell where the names are several")
        if inside or (cut and self.cells.count < self.columns):
            flags |= TRUNCATED
        if self.text.repaired and memchr(p, 0xEF, size) is not NULL:
            flags |= TEXT_REPAIRED
        self.shaped.tape.begin()
        self.fill(p, self.nodes)
        if 0 <= self.inner < self.cells.count and self.shaped.looks.recognise().has == 0:
            sent = self.cell(p, self.inner)
            if not self.event(p, sent):
                self.shaped.tape.begin()
                self.fill(p, self.nodes)
        length = self.text.span(size)
        full = self.shaped.end_record(p, self.cells.length, offset, length, 0, flags, KEEP_NEVER)
        self.account.records += 1
        self.account.in_rows += 1
        self.account.bytes_records += length
        self.text.advance(size)
        return 2 if full else 1

    cdef bytes cell(self, const uint8_t* p, Py_ssize_t i):
        """The text of a cell."""
        cdef Py_ssize_t n = self.cells.cell[i].end - self.cells.cell[i].start
        cdef bytearray made
        if not self.cells.cell[i].doubled:
            return (<const char*>p)[self.cells.cell[i].start : self.cells.cell[i].end]
        made = bytearray(n + 1)
        n = put_cell(&self.cells.cell[i], p, 34, <uint8_t*><char*>made)
        return bytes(made[:n])

    cdef bint event(self, const uint8_t* p, bytes sent) except -1:
        """Puts the event that a cell holds on the tape, and the export's columns behind it; False
        where no shape knows it."""
        cdef const uint8_t* text = <const uint8_t*><const char*>sent
        cdef Head head
        cdef bint headed = read_head(text, len(sent), &head)
        cdef Value value
        cdef bytes when
        cdef uint8_t* made
        cdef Py_ssize_t size
        cdef int64_t us = 0
        cdef int below = 0, said
        if not self.payloads.take(text, len(sent), &head, &headed):
            return False
        if self.shaped.looks.recognise().has == 0:
            return False
        self.kept = sent
        if headed and head.host.n:
            value = Value(TEXT, head.host.p, head.host.n, 0)
            self.shaped.tape.add(self.host_node, &value)
        if 0 <= self.clock < self.cells.count:
            when = self.cell(p, self.clock)
            said = parse_written(
                <const uint8_t*><const char*>when, len(when), UNSAID, &us, &below
            )
            if said:
                made = self.shaped.tape.room(32)
                size = put_iso_time(made, us, below) - (said == 2)
                self.shaped.tape.used(size)
                value = Value(TEXT, made, size, 0)
                self.shaped.tape.add(self.time_node, &value)
        self.fill(p, self.exported)
        return True

    cdef int fill(self, const uint8_t* p, list nodes) except -1:
        """Puts the cells on the tape."""
        cdef Value value
        cdef uint8_t* made
        cdef Py_ssize_t i, n
        for i in range(self.cells.count):
            n = self.cells.cell[i].end - self.cells.cell[i].start
            if n == 0:
                continue
            value = Value(TEXT, p + self.cells.cell[i].start, n, 0)
            if self.cells.cell[i].doubled:
                made = self.shaped.tape.room(n)
                value.n = put_cell(&self.cells.cell[i], p, 34, made)
                value.p = made
                self.shaped.tape.used(value.n)
            if i >= len(nodes):
                self.beyond(i, nodes)
            self.shaped.tape.add(<int32_t>nodes[i], &value)
        return 0

    cdef int beyond(self, Py_ssize_t i, list nodes) except -1:
        """A column behind the last name."""
        while len(nodes) <= i:
            nodes.append(self.node(f"column {len(nodes) + 1}"))
        return 0


def read(artifact):
    """Yields (table, batch), and NO_ROWS_YET in between.

    Raises:
        EvidenceError: the bytes could not be read on; the rows before that were yielded.
    """
    cdef _Reader reader = _Reader(artifact)
    cdef int i, done = 1
    try:
        reader.begin(artifact)
        while done:
            for i in range(PER_TURN):
                done = reader.record()
                if done == 0 or done == 2:
                    break
            yield from reader.shaped.events.take(not done)
            yield NO_ROWS_YET
    except EvidenceError:
        yield from reader.shaped.events.take(True)
        raise


PARSER = Parser(
    "csv",
    VERSION,
    match,
    tables=load_mappings().tables,
    read=read,
    files=("*.csv", "*.tsv"),
    rank=Rank.LOGS,
    text=True,
)
