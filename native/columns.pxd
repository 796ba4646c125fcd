"""Growable Arrow columns: append in C, hand over once a batch.

A value is put at a row. Rows that were not put are null, so a record only touches the
columns it fills; a row that failed half way is taken back with `give_up`. `Rows` counts a row when
its last value is in (`done`), so a cut in the middle of a row never leaves columns of different
lengths.

`put*` of text returns 1 where the text was not well-formed and was repaired, else 0.
"""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy


from tracelake.native.key cimport Key


cdef struct Met:                # 16 bytes; code 0: free
    uint64_t low
    uint32_t high
    int32_t code                # + 1


cdef class Weight:
    cdef Py_ssize_t bytes       # bytes of variable-length values held by a batch, items included


cdef class Buffer:
    """A growable block that Arrow can own; never NULL, also when empty."""
    cdef uint8_t* data
    cdef Py_ssize_t length      # bytes in use
    cdef Py_ssize_t capacity
    cdef Py_ssize_t next        # bytes it grows to
    cdef int grow(self, Py_ssize_t need) except -1 nogil

    cdef inline int reserve(self, Py_ssize_t extra) except -1 nogil:
        if self.length + extra > self.capacity:
            return self.grow(self.length + extra)
        return 0


cdef class Column:
    cdef readonly object type           # pyarrow.DataType
    cdef readonly Py_ssize_t length     # rows held, nulls included
    cdef readonly Py_ssize_t nulls
    cdef Py_ssize_t fit                 # rows that there is memory for
    cdef uint8_t* bits                  # Arrow bitmap, LSB first, 0 from `length` on; NULL while
                                        # every row held is valid
    cdef Buffer validity                # that `bits` are in
    cdef Weight weight

    # Makes `row` the next row (pads with nulls, or drops `row` and what follows), and room for it.
    cdef int align(self, Py_ssize_t row) except -1 nogil
    cdef int settle(self, Py_ssize_t row) except -1 nogil        # the same without room
    cdef int more(self, Py_ssize_t rows) except -1 nogil
    cdef int pad(self, Py_ssize_t row) except -1 nogil           # the typed halves of these
    cdef int drop(self, Py_ssize_t row) except -1 nogil
    cdef int widen(self, Py_ssize_t rows) except -1 nogil
    cdef int _cover(self) except -1 nogil
    cdef int _begin_bits(self) except -1 nogil                   # before the first null
    cdef object _bitmap(self)
    cdef int _reset(self) except -1
    cpdef object finish(self, Py_ssize_t rows)                   # -> pyarrow.Array; empties

    cdef inline int begin(self, Py_ssize_t row) except -1 nogil:
        """Before a value is put at `row`. A value costs one comparison for its place and its
        memory: two Buffers asked for each were a tenth of reading an event log."""
        if self.length != row or row >= self.fit:
            return self.align(row)
        return 0

    cdef inline void mark(self) noexcept nogil:
        """The row just written is valid."""
        cdef Py_ssize_t row = self.length
        if self.bits is not NULL:
            self.bits[row >> 3] = self.bits[row >> 3] | <uint8_t>(1 << (row & 7))
        self.length = row + 1


cdef class FixedColumn(Column):
    cdef Buffer values
    cdef uint8_t* at                    # that of `values`
    cdef int width                      # bytes of a value; 0 for bits
    cdef int shift                      # the width is 1 << shift bytes
    cdef int spare                      # bits of an int64 that a value leaves over
    cdef int _measure(self, Py_ssize_t rows) except -1


cdef class IntColumn(FixedColumn):
    """int8 to int64, timestamp[us, UTC]; `put` raises OverflowError where a value is too wide."""
    cdef int _too_wide(self, int64_t value) except -1 nogil

    cdef inline int put(self, Py_ssize_t row, int64_t value) except -1 nogil:
        self.begin(row)
        if <int64_t>(<uint64_t>value << self.spare) >> self.spare != value:
            return self._too_wide(value)
        # All eight bytes are written, of which the next value takes back what is too much.
        memcpy(self.at + (row << self.shift), &value, 8)
        self.mark()
        return 0


cdef class DoubleColumn(FixedColumn):
    cdef int put(self, Py_ssize_t row, double value) except -1 nogil


cdef class BoolColumn(FixedColumn):
    cdef int put(self, Py_ssize_t row, bint value) except -1 nogil


cdef class TextColumn(Column):
    """utf8 and binary. Binary is never checked."""
    cdef Buffer offsets                 # int32
    cdef int32_t* ends                  # that of `offsets`; a row's text ends at ends[row + 1]
    cdef Buffer data
    cdef bint checked                   # utf8: `put` validates
    cdef readonly int64_t repairs       # texts repaired since the column was made
    cdef int _start(self) except -1

    # Bytes from evidence: validated, ill-formed parts become U+FFFD.
    cdef int put(self, Py_ssize_t row, const uint8_t* p, Py_ssize_t n) except -1 nogil
    # Text that this program made itself (numbers, addresses): not validated.
    cdef int put_valid(self, Py_ssize_t row, const uint8_t* p, Py_ssize_t n) except -1 nogil
    # UTF-16LE from evidence.
    cdef int put_utf16(self, Py_ssize_t row, const uint8_t* p, Py_ssize_t units) except -1 nogil
    # For text that is assembled in place: room for `n` bytes at `row`, then say how many
    # were written. The writer guarantees well-formed UTF-8.
    cdef uint8_t* room(self, Py_ssize_t row, Py_ssize_t n) except NULL nogil

    cdef inline int wrote(self, Py_ssize_t n) noexcept nogil:
        self.data.length += n
        self.weight.bytes += n
        self.ends[self.length + 1] = <int32_t>self.data.length
        self.mark()
        return 0


cdef class DictColumn(Column):
    """dictionary<int32, utf8>: for text that repeats (hosts, paths, users). The dictionary
    lives for one batch."""
    cdef Buffer codes                   # int32
    cdef int32_t* at                    # that of `codes`
    cdef TextColumn words
    cdef Buffer scratch                 # UTF-16 is decoded here
    # By their keys (native/key): the words, and what else came to them; open addressing. A word is
    # not compared: its key is as good as itself, and its text was two cache misses more.
    cdef Met* met
    cdef Py_ssize_t met_mask
    cdef Py_ssize_t met_count
    cdef uint64_t[4] secret             # of the keys
    cdef int32_t code(self, const uint8_t* p, Py_ssize_t n) except -1 nogil   # valid UTF-8 only
    cdef int _start(self) except -1
    cdef int _regrow(self) except -1 nogil
    cdef int _enter(self, const Key* key, int32_t code) except -1 nogil
    cdef int put(self, Py_ssize_t row, const uint8_t* p, Py_ssize_t n) except -1 nogil
    cdef int put_valid(self, Py_ssize_t row, const uint8_t* p, Py_ssize_t n) except -1 nogil
    cdef int put_utf16(self, Py_ssize_t row, const uint8_t* p, Py_ssize_t units) except -1 nogil

    cdef inline int put_code(self, Py_ssize_t row, int32_t code) except -1 nogil:
        self.begin(row)
        self.at[row] = code
        self.mark()
        return 0

    # The code of the word that what has this key came to in this batch, or -1. The key is of the
    # bytes that evidence holds, in whatever form: what is met again is not decoded or rendered.
    cdef inline int32_t recall(self, const Key* key) noexcept nogil:
        cdef Py_ssize_t at = <Py_ssize_t>key.low & self.met_mask
        while self.met[at].code:
            if self.met[at].low == key.low and self.met[at].high == <uint32_t>key.high:
                return self.met[at].code - 1
            at = (at + 1) & self.met_mask
        return -1

    cdef inline const Met* slot(self, const Key* key) noexcept nogil:
        """Where `recall` will look first."""
        return self.met + (<Py_ssize_t>key.low & self.met_mask)

    # What has this key, which `recall` does not know, came to this word.
    cdef int learn(self, const Key* key, int32_t code) except -1 nogil


cdef class SpanColumn(Column):
    """Rows that are spans of items. `open(row)` begins (or goes on with) the span of a row and
    returns the index at which its next item is put; an opened span without items is empty, not
    null."""
    cdef Buffer offsets                 # int32
    cdef int32_t* ends                  # that of `offsets`, as in TextColumn
    cdef int _start(self) except -1
    cdef int _cut(self, Py_ssize_t items) except -1 nogil        # takes back items from there on
    cdef Py_ssize_t open(self, Py_ssize_t row) except -1 nogil
    cdef int close(self, Py_ssize_t items) except -1 nogil       # `items`: items held from now on


cdef class ListColumn(SpanColumn):
    """list<item>: `i = l.open(row)`, `l.items.put(i, ..)`, `l.close(i + 1)`."""
    cdef readonly Column items


cdef class MapColumn(SpanColumn):
    """map<utf8, utf8>. As a list of pairs: `i = m.open(row)`, `m.keys.put(i, ..)`,
    `m.values.put(i, ..)` (or leave it null), `m.close(i + 1)`. Both are collected as
    dictionaries, whatever the type says: what events hold repeats."""
    cdef readonly DictColumn keys
    cdef readonly DictColumn values


cdef class Rows:
    """The columns of one table's current batch."""
    cdef readonly str table
    cdef readonly Py_ssize_t count      # whole rows
    cdef readonly int64_t batch         # number of the current batch, from 1; codes are of a batch
    cdef readonly Py_ssize_t begun      # rows that earlier readers left standing
    cdef Py_ssize_t begun_bytes
    cdef list standing                  # their Stretches
    cdef readonly Py_ssize_t limit      # rows of a full batch
    cdef Weight weight
    cdef object schema
    cdef dict columns

    cpdef Column column(self, str name)         # made on first use, from the schema's type
    cpdef int give_up(self) except -1           # drops what was put at the current row
    # -> pyarrow.RecordBatch of the columns in use, without the rows left standing; empties
    cpdef object finish(self)
    cpdef int drop(self) except -1              # takes back the rows since the last stretch
    cpdef object stand(self)                    # -> Stretch of the rows since the last one
    cdef object _finish_all(self)

    cdef inline int done(self) except -1 nogil:
        """The current row (`count`) is whole."""
        self.count += 1
        return 0

    cdef inline bint full(self) noexcept nogil:
        return self.count >= self.limit or self.weight.bytes >= BATCH_BYTES


cdef class Stretch:
    """What one reader has put into columns that others go on with."""
    cdef readonly Py_ssize_t num_rows
    cdef readonly Py_ssize_t nbytes     # about
    cdef readonly Py_ssize_t first      # its place in the batch
    cdef Rows rows
    cdef object batch


cdef enum:
    MET_TEXT = 255              # salts of keys: of words, as they are
    MET_UTF16 = 254             # and of UTF-16; those below are a caller's own
    BATCH_ROWS = 122880         # a batch is a Parquet row group: DuckDB's unit of work
    BATCH_BYTES = 33554432      # of variable-length values: bounds memory when rows are wide
