"""Rows of a table out of pieces of a text: what a log line and a pattern give.

A piece goes to the column of its name, converted to its type; what does not convert (a port that
is no number), and what no column has, goes to `unmapped` under its name. No piece is lost.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

import pyarrow as pa

from tracelake.native.columns cimport (
    BoolColumn, Column, DictColumn, DoubleColumn, IntColumn, MapColumn, Rows, TextColumn,
)
from tracelake.native.hash64 cimport hash64
from tracelake.parsers.flags cimport TEXT_REPAIRED
from tracelake.parsers.textlines cimport digit
from tracelake.native.errors import EvidenceError
from tracelake.normalize import TABLES
from tracelake.parsers.artifact import NO_ROWS_YET

ADDRESSES = {"addr": "src", "src_ip": "src", "dst_addr": "dst", "dst_ip": "dst"}


cdef bint looks_like_address(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef int dots = 0, colons = 0
    cdef uint8_t c
    if n < 2 or n > 64:
        return False
    for i in range(n):
        c = p[i]
        if c == 46:
            dots += 1
        elif c == 58:
            colons += 1
        elif c == 37 and colons > 1:
            return True                     # fe80::1%eth0
        elif not (digit(c) or (97 <= (c | 32) <= 102)):
            return False
        elif not digit(c) and dots and not colons:
            return False
    return colons > 1 or (dots == 3 and colons == 0 and digit(p[0]))


cdef int64_t _whole(const uint8_t* p, Py_ssize_t n, bint* fits) noexcept nogil:
    cdef int64_t value = 0
    cdef Py_ssize_t i = 0
    cdef bint minus = n > 1 and p[0] == 45
    fits[0] = False
    if minus:
        i = 1
    if n - i < 1 or n - i > 18:
        return 0
    while i < n:
        if not digit(p[i]):
            return 0
        value = value * 10 + p[i] - 48
        i += 1
    fits[0] = True
    return -value if minus else value


cdef class Slot:
    """Where a named piece goes: a column, or the rest."""


cdef class TextRows:
    """Collects the rows of one table.

    Args:
        table: its name.
    """

    def __cinit__(self, str table):
        self.table = table
        self.rows = Rows(table, TABLES[table].schema)
        self.slots = {}
        self.time = self.rows.column("time")
        self.ns = self.rows.column("time_ns")
        self.offset = self.rows.column("src_offset")
        self.length = self.rows.column("src_length")
        self.hash = self.rows.column("record_hash")
        self.flags = self.rows.column("parse_flags")
        self.unmapped = self.rows.column("unmapped")

    cpdef Slot slot(self, str name):
        """Where a piece of this name goes. A name instead of an address (`addr`, `src_ip`,
        `dst_ip`) goes to `src_hostname` or `dst_hostname`."""
        cdef Slot slot = self.slots.get(name)
        if slot is not None:
            return slot
        slot = Slot()
        slot.name = name.encode()
        slot.kind = Kind.REST
        schema = TABLES[self.table].schema
        if name in ADDRESSES:
            side = ADDRESSES[name]
            if f"{side}_ip" in schema.names:
                slot.kind = Kind.ADDRESS
                slot.column = self.rows.column(f"{side}_ip")
                slot.other = self.slot(f"{side}_hostname")
        elif name in schema.names and name != "unmapped":
            slot.column = self.rows.column(name)
            kind = schema.field(name).type
            if isinstance(slot.column, DictColumn):
                slot.kind = Kind.WORD
            elif isinstance(slot.column, TextColumn):
                slot.kind = Kind.TEXT
            elif pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
                slot.kind = Kind.NUMBER
            elif pa.types.is_floating(kind):
                slot.kind = Kind.DECIMAL
            elif pa.types.is_boolean(kind):
                slot.kind = Kind.TRUTH
            else:
                slot.column = None
        self.slots[name] = slot
        return slot

    cdef int put(self, Slot slot, const uint8_t* p, Py_ssize_t n) except -1:
        """Puts a piece of text at the current row."""
        cdef Py_ssize_t row = self.rows.count
        cdef bint fits = False
        cdef int64_t value
        cdef int spare
        if slot.kind == Kind.WORD:
            self.repaired |= (<DictColumn>slot.column).put(row, p, n)
            return 0
        if slot.kind == Kind.TEXT:
            self.repaired |= (<TextColumn>slot.column).put(row, p, n)
            return 0
        if slot.kind == Kind.NUMBER:
            value = _whole(p, n, &fits)
            spare = (<IntColumn>slot.column).spare
            if fits and <int64_t>(<uint64_t>value << spare) >> spare == value:
                (<IntColumn>slot.column).put(row, value)
                return 0
        elif slot.kind == Kind.DECIMAL:
            try:
                (<DoubleColumn>slot.column).put(row, float(p[:n]))
                return 0
            except ValueError:
                fits = False        # goes to the rest
        elif slot.kind == Kind.ADDRESS:
            while n > 0 and p[n - 1] == 32:
                n -= 1
            if looks_like_address(p, n):
                self.repaired |= (<DictColumn>slot.column).put(row, p, n)
                return 0
            return self.put(slot.other, p, n)
        return self.other(slot.name, len(slot.name), p, n)

    cdef int set(self, Slot slot, int64_t value) except -1:
        """Puts a number or a truth at the current row."""
        if slot.kind == Kind.TRUTH:
            (<BoolColumn>slot.column).put(self.rows.count, value != 0)
        elif slot.kind == Kind.NUMBER:
            (<IntColumn>slot.column).put(self.rows.count, value)
        else:
            text = b"%d" % value
            self.put(slot, text, len(text))
        return 0

    cdef int other(
        self, const uint8_t* name, Py_ssize_t m, const uint8_t* p, Py_ssize_t n
    ) except -1:
        """Puts a piece that no column has."""
        cdef Py_ssize_t i = self.unmapped.open(self.rows.count)
        self.repaired |= self.unmapped.keys.put(i, name, m)
        self.repaired |= self.unmapped.values.put(i, p, n)
        self.unmapped.close(i + 1)
        return 0

    cdef int done(self, const Record* record) except -1:
        """The row is whole but for what every row has."""
        cdef Py_ssize_t row = self.rows.count
        cdef int flags = record.flags
        if record.timed:
            self.time.put(row, record.time)
            self.ns.put(row, record.ns)
        self.offset.put(row, record.offset)
        self.length.put(row, record.length)
        self.hash.put(row, <int64_t>hash64(record.p, record.n, 0))
        if self.repaired:
            flags |= TEXT_REPAIRED
            self.repaired = 0
            self.repairs += 1
        if flags:
            self.flags.put(row, flags)
        return self.rows.done()


cdef class TextReader:
    cdef int begin(self) except -1:
        return 0

    cdef int turn(self) except -1:
        raise NotImplementedError(type(self).__name__)

    cdef int broke(self) except -1:
        return 0

    def batches(self):
        """Yields (table, batch) as they are full, and what is left at the end.

        Raises:
            EvidenceError: the bytes could not be read on; the rows before that were yielded.
        """
        cdef TextRows rows
        cdef bint more = True
        stopped = None
        try:
            self.begin()
        except EvidenceError as error:
            stopped = error
            more = False
        while more:
            try:
                more = self.turn()
            except EvidenceError as error:
                stopped = error
                more = False
                self.broke()
            full = False
            for table, rows in self.tables.items():
                if rows.rows.full():
                    full = True
                    yield table, rows.rows.finish()
            if not full:
                yield NO_ROWS_YET
        for table, rows in self.tables.items():
            self.account.repairs += rows.repairs
            if rows.rows.count:
                yield table, rows.rows.finish()
        if stopped is not None:
            raise stopped
