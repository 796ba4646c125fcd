"""Growable Arrow columns: append in C, hand over once a batch.

A value is put at a row. Rows that were not put are null, so a record only touches the
columns it fills; a row that failed half way is taken back with `give_up`. `Rows` counts a row when its last value is in (`done`), so a cut in the middle of
a row never leaves columns of different lengths.

`put*` of text returns 1 where the text was not well-formed and was repaired, else 0.
"""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy


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
    cdef Weight weight
    cdef bint has_bits                  # else every row held is valid, and `validity` says nothing
    cdef Buffer validity                # Arrow bitmap, LSB first

    # Makes `row` the next row: pads with nulls, or drops `row` and what follows.
    cdef int align(self, Py_ssize_t row) except -1 nogil
    cdef int pad(self, Py_ssize_t rows) except -1 nogil          # the typed half of align
    cdef int drop(self, Py_ssize_t rows) except -1 nogil
    cdef int _begin_bits(self) except -1 nogil                   # before the first null
    cdef int _more_bits(self) except -1 nogil                    # room for the bits of 512 rows
    cdef object _bitmap(self)
    cdef int _reset(self) except -1
    cpdef object finish(self, Py_ssize_t rows)                   # -> pyarrow.Array; empties

    cdef inline int mark(self) except -1 nogil:
        """The row just written is valid."""
        cdef Py_ssize_t row = self.length
        cdef uint8_t* bits
        if self.has_bits:
            if row >> 3 >= self.validity.length:
                self._more_bits()
            bits = self.validity.data
            bits[row >> 3] = bits[row >> 3] | <uint8_t>(1 << (row & 7))
        self.length = row + 1
        return 0


cdef class FixedColumn(Column):
    cdef Buffer values
    cdef int width                      # bytes of a value; 0 for bits


cdef class IntColumn(FixedColumn):
    """int8 to int64, timestamp[us, UTC]; `put` raises OverflowError where the width is too small."""
    cdef int _too_wide(self, int64_t value) except -1 nogil

    cdef inline int put(self, Py_ssize_t row, int64_t value) except -1 nogil:
        cdef int spare = 64 - 8 * self.width
        if self.length != row:
            self.align(row)
        if <int64_t>(<uint64_t>value << spare) >> spare != value:
            return self._too_wide(value)
        # All eight bytes are written, of which the next value takes back what is too much.
        self.values.reserve(8)
        memcpy(self.values.data + self.values.length, &value, 8)
        self.values.length += self.width
        return self.mark()


cdef class DoubleColumn(FixedColumn):
    cdef int put(self, Py_ssize_t row, double value) except -1 nogil


cdef class BoolColumn(FixedColumn):
    cdef int put(self, Py_ssize_t row, bint value) except -1 nogil


cdef class TextColumn(Column):
    """utf8 and binary. Binary is never checked."""
    cdef Buffer offsets                 # int32
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
    cdef int wrote(self, Py_ssize_t n) except -1 nogil


cdef class DictColumn(Column):
    """dictionary<int32, utf8>: for text that repeats (hosts, paths, users). The dictionary
    lives for one batch."""
    cdef Buffer codes                   # int32
    cdef TextColumn words
    # Half of a word's hash and its code + 1; open addressing. Side by side: looking a word up
    # misses the cache once for its slot and once for its text.
    cdef uint64_t* slots
    cdef Py_ssize_t slot_mask
    cdef int32_t last                   # code of the word that was put last, -1 before the first
    cdef Buffer scratch                 # UTF-16 is decoded and looked up here
    cdef int32_t code(self, const uint8_t* p, Py_ssize_t n) except -1 nogil   # valid UTF-8 only
    cdef int _start(self) except -1
    cdef int _regrow(self) except -1 nogil
    cdef int put(self, Py_ssize_t row, const uint8_t* p, Py_ssize_t n) except -1 nogil
    cdef int put_valid(self, Py_ssize_t row, const uint8_t* p, Py_ssize_t n) except -1 nogil
    cdef int put_utf16(self, Py_ssize_t row, const uint8_t* p, Py_ssize_t units) except -1 nogil

    cdef inline int put_code(self, Py_ssize_t row, int32_t code) except -1 nogil:
        if self.length != row:
            self.align(row)
        self.codes.reserve(4)
        (<int32_t*>(self.codes.data + self.codes.length))[0] = code
        self.codes.length += 4
        return self.mark()


cdef class ListColumn(Column):
    """list<item>. `open(row)` begins (or goes on with) the list of a row and returns the index
    at which the next item is put into `items`; an opened list without items is empty, not null."""
    cdef Buffer offsets
    cdef readonly Column items
    cdef int _start(self) except -1
    cdef Py_ssize_t open(self, Py_ssize_t row) except -1 nogil
    cdef int close(self, Py_ssize_t items) except -1 nogil       # `items`: items held from now on


cdef class MapColumn(Column):
    """map<utf8, utf8>. As a list of pairs: `i = m.open(row)`, `m.keys.put(i, ..)`,
    `m.values.put(i, ..)` (or leave it null), `m.close(i + 1)`. Both are collected as
    dictionaries, whatever the type says: what events hold repeats."""
    cdef Buffer offsets
    cdef readonly DictColumn keys
    cdef readonly DictColumn values
    cdef int _start(self) except -1
    cdef Py_ssize_t open(self, Py_ssize_t row) except -1 nogil
    cdef int close(self, Py_ssize_t items) except -1 nogil


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
    BATCH_ROWS = 122880         # a batch is a Parquet row group: DuckDB's unit of work
    BATCH_BYTES = 33554432      # of variable-length values: bounds memory when rows are wide
