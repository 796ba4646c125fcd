"""Growable Arrow columns (see columns.pxd).

Measured on 10 M rows of two int64 and two text columns: 23 ns a row, as fast as filling the
Arrow C structs by hand. Traps met on the way, each with a test in tests/test_columns.py:
`pa.py_buffer` over NULL aborts the process; `from_buffers` does not check UTF-8; a cut in
the middle of a row; int32 offsets.
"""

import os

from libc.stddef cimport size_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import pyarrow as pa

from tracelake.native.blocks cimport block_free, block_grown
from tracelake.native.key cimport key_of
from tracelake.native.text cimport utf8_repair, utf8_valid, utf16le_utf8

cdef Py_ssize_t FIRST = 64      # bytes a buffer begins with: of some, nothing is used at all
cdef Py_ssize_t NEXT = 1024     # bytes it grows to then: most tables of a small file stay small
# What an item of a list or map weighs besides its text. Without it a record of a thousand empty
# texts would weigh nothing, and a batch of such records would have no bound.
cdef Py_ssize_t ITEM_BYTES = 16
cdef int64_t OFFSET_LIMIT = 0x7FFFFFFF

cdef enum:
    SLACK = 8               # bytes behind a fixed column's values: `put` always writes eight
    FEW_ROWS = 64
    FIRST_MET = 64          # a power of two

cdef uint64_t[4] SECRET


def _draw():
    cdef bytes drawn = os.urandom(sizeof(SECRET))
    memcpy(SECRET, <const char*>drawn, sizeof(SECRET))


_draw()


cdef class Weight:
    """Bytes of variable-length values held by a batch."""


cdef class Buffer:
    """A growable block that Arrow can own."""

    def __cinit__(self, Py_ssize_t next=NEXT):
        cdef size_t room = FIRST
        self.data = <uint8_t*>block_grown(NULL, 0, &room)
        if self.data is NULL:
            raise MemoryError()
        self.capacity = room
        self.next = next if next > NEXT else NEXT

    def __dealloc__(self):
        block_free(self.data, self.capacity, self.length)

    def __getbuffer__(self, Py_buffer* view, int flags):
        # Never NULL: pa.py_buffer over a NULL block of length 0 aborts the process.
        view.buf = self.data
        view.len = self.length
        view.obj = self
        view.readonly = 1
        view.itemsize = 1
        view.format = NULL
        view.ndim = 1
        view.shape = NULL
        view.strides = NULL
        view.suboffsets = NULL
        view.internal = NULL

    cdef int grow(self, Py_ssize_t need) except -1 nogil:
        # Fourfold: pages that nothing was put into are address space, not memory.
        cdef size_t room = self.next
        cdef uint8_t* grown
        while room < <size_t>need:
            room *= 4
        grown = <uint8_t*>block_grown(self.data, self.capacity, &room)
        if grown is NULL:
            with gil:
                raise MemoryError(f"{room} bytes for a column")
        self.data = grown
        self.capacity = room
        self.next = room * 4
        return 0


cdef Buffer _like(Buffer old):
    """An empty buffer that takes the room that the batch before needed when its first value
    comes: no growing, no moving; and nothing for a batch that never comes."""
    return Buffer(old.length + 64)


cdef class Column:
    """One column of the current batch. `column_of` makes the right kind for a type."""

    def __cinit__(self, type, Weight weight=None):
        self.type = type
        self.weight = weight if weight is not None else Weight()
        self.validity = Buffer()

    cdef int align(self, Py_ssize_t row) except -1 nogil:
        if self.length != row:
            self.settle(row)
        if row >= self.fit:
            return self.more(row + 1)
        return 0

    cdef int settle(self, Py_ssize_t row) except -1 nogil:
        cdef Py_ssize_t have = self.length
        if have < row:
            if row > self.fit:
                self.more(row)
            if self.bits is NULL:
                self._begin_bits()
            self.pad(row)
            self.nulls += row - have
        elif have > row:
            self.drop(row)
            # Rows from `row` on are given up: clear their bits and count their nulls back.
            while self.bits is not NULL and have > row:
                have -= 1
                if self.bits[have >> 3] & (1 << (have & 7)):
                    self.bits[have >> 3] = self.bits[have >> 3] & <uint8_t>~(1 << (have & 7))
                else:
                    self.nulls -= 1
        self.length = row
        return 0

    cdef int more(self, Py_ssize_t rows) except -1 nogil:
        """Room for `rows` rows, and for twice as many as there was room for."""
        if rows < 2 * self.fit:
            rows = 2 * self.fit
        if rows < FEW_ROWS:
            rows = FEW_ROWS
        self.widen(rows)
        self.fit = rows
        if self.bits is not NULL:
            self._cover()
        return 0

    cdef int pad(self, Py_ssize_t row) except -1 nogil:
        return 0

    cdef int drop(self, Py_ssize_t row) except -1 nogil:
        return 0

    cdef int widen(self, Py_ssize_t rows) except -1 nogil:
        """Memory for `rows` rows, in buffers that begin anew with each batch."""
        return 0

    cdef int _cover(self) except -1 nogil:
        """A bit for every row that there is room for."""
        cdef Py_ssize_t was = self.validity.length, need = (self.fit + 7) >> 3
        if need > was:
            self.validity.reserve(need - was)
            memset(self.validity.data + was, 0, need - was)
            self.validity.length = need
        self.bits = self.validity.data
        return 0

    cdef int _begin_bits(self) except -1 nogil:
        """Makes the bitmap when the first null comes: most columns that a record fills have
        none, and a bit for each value was a twentieth of all time."""
        cdef Py_ssize_t whole = self.length >> 3
        self._cover()
        memset(self.bits, 0xFF, whole)
        if self.length & 7:
            self.bits[whole] = <uint8_t>((1 << (self.length & 7)) - 1)
        return 0

    cdef object _bitmap(self):
        """The validity buffer for Arrow: None where nothing is null."""
        if self.nulls == 0:
            return None
        self.validity.length = (self.length + 7) >> 3
        return pa.py_buffer(self.validity)

    cdef int _reset(self) except -1:
        self.length = 0
        self.nulls = 0
        self.fit = 0
        if self.bits is not NULL:
            self.bits = NULL
            self.validity = _like(self.validity)
        return 0

    cpdef object finish(self, Py_ssize_t rows):
        """The first `rows` rows as a pyarrow.Array; the column starts anew."""
        raise NotImplementedError(type(self).__name__)


cdef class FixedColumn(Column):
    """One buffer of values of one width, for the types that have one."""

    def __cinit__(self, type, Weight weight=None):
        self.width = 0 if pa.types.is_boolean(type) else type.bit_width // 8
        while 1 << self.shift < self.width:
            self.shift += 1
        self.spare = 64 - 8 * self.width
        self.values = Buffer()

    cdef int pad(self, Py_ssize_t row) except -1 nogil:
        memset(
            self.at + (self.length << self.shift), 0, (row - self.length) << self.shift
        )
        return 0

    cdef int widen(self, Py_ssize_t rows) except -1 nogil:
        self.values.reserve((rows << self.shift) + SLACK)
        self.at = self.values.data
        return 0

    cpdef object finish(self, Py_ssize_t rows):
        self.settle(rows)
        self._measure(rows)
        array = pa.Array.from_buffers(
            self.type, rows, [self._bitmap(), pa.py_buffer(self.values)], self.nulls
        )
        self.values = _like(self.values)
        self._reset()
        return array

    cdef int _measure(self, Py_ssize_t rows) except -1:
        self.values.length = rows << self.shift
        return 0


cdef class IntColumn(FixedColumn):
    """int8 to int64 and timestamp."""

    cdef int _too_wide(self, int64_t value) except -1 nogil:
        with gil:
            raise OverflowError(f"{value} does not fit {self.type}")


cdef class DoubleColumn(FixedColumn):
    """double."""

    cdef int put(self, Py_ssize_t row, double value) except -1 nogil:
        self.begin(row)
        memcpy(self.at + (row << 3), &value, 8)
        self.mark()
        return 0


cdef class BoolColumn(FixedColumn):
    """bool, one bit a row; 0 from `length` on."""

    cdef int pad(self, Py_ssize_t row) except -1 nogil:
        return 0

    cdef int widen(self, Py_ssize_t rows) except -1 nogil:
        cdef Py_ssize_t was = (self.fit + 7) >> 3, need = (rows + 7) >> 3
        self.values.reserve(need)
        self.at = self.values.data
        memset(self.at + was, 0, need - was)
        return 0

    cdef int drop(self, Py_ssize_t row) except -1 nogil:
        cdef Py_ssize_t i
        for i in range(row, self.length):
            self.at[i >> 3] = self.at[i >> 3] & <uint8_t>~(1 << (i & 7))
        return 0

    cdef int put(self, Py_ssize_t row, bint value) except -1 nogil:
        self.begin(row)
        if value:
            self.at[row >> 3] = self.at[row >> 3] | <uint8_t>(1 << (row & 7))
        self.mark()
        return 0

    cdef int _measure(self, Py_ssize_t rows) except -1:
        self.values.length = (rows + 7) >> 3
        return 0


cdef Buffer _offsets(Buffer old):
    """Offsets of no rows."""
    new = Buffer() if old is None else _like(old)
    (<int32_t*>new.data)[0] = 0
    return new


cdef inline void _repeat_end(int32_t* ends, Py_ssize_t first, Py_ssize_t row) noexcept nogil:
    """Rows `first` to `row` - 1 are empty."""
    cdef Py_ssize_t i
    for i in range(first, row):
        ends[i + 1] = ends[first]


cdef class TextColumn(Column):
    """utf8 and binary."""

    def __cinit__(self, type, Weight weight=None):
        self.checked = pa.types.is_string(type)
        self._start()

    cdef int _start(self) except -1:
        self.offsets = _offsets(self.offsets)
        self.ends = <int32_t*>self.offsets.data
        self.data = Buffer() if self.data is None else _like(self.data)
        return 0

    cdef int pad(self, Py_ssize_t row) except -1 nogil:
        _repeat_end(self.ends, self.length, row)
        return 0

    cdef int widen(self, Py_ssize_t rows) except -1 nogil:
        self.offsets.reserve((rows + 1) * 4)
        self.ends = <int32_t*>self.offsets.data
        return 0

    cdef int drop(self, Py_ssize_t row) except -1 nogil:
        self.weight.bytes -= self.data.length - self.ends[row]
        self.data.length = self.ends[row]
        return 0

    cdef uint8_t* room(self, Py_ssize_t row, Py_ssize_t n) except NULL nogil:
        self.begin(row)
        if self.data.length + n > OFFSET_LIMIT:
            with gil:
                raise OverflowError(f"more than 2 GiB of text in one batch of {self.length} rows")
        self.data.reserve(n)
        return self.data.data + self.data.length

    cdef int put_valid(self, Py_ssize_t row, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        memcpy(self.room(row, n), p, n)
        return self.wrote(n)

    cdef int put(self, Py_ssize_t row, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        if not self.checked or utf8_valid(p, n) == n:
            return self.put_valid(row, p, n)
        self.wrote(utf8_repair(p, n, self.room(row, 3 * n)))
        self.repairs += 1
        return 1

    cdef int put_utf16(self, Py_ssize_t row, const uint8_t* p, Py_ssize_t units) except -1 nogil:
        cdef int repaired = 0
        self.wrote(utf16le_utf8(p, units, self.room(row, 3 * units), &repaired))
        self.repairs += repaired
        return repaired

    cpdef object finish(self, Py_ssize_t rows):
        self.settle(rows)
        self.offsets.length = (rows + 1) * 4
        array = pa.Array.from_buffers(
            self.type,
            rows,
            [self._bitmap(), pa.py_buffer(self.offsets), pa.py_buffer(self.data)],
            self.nulls,
        )
        self._start()
        self._reset()
        return array


cdef class DictColumn(Column):
    """dictionary<int32, utf8>."""

    def __cinit__(self, type, Weight weight=None):
        self.words = TextColumn(pa.string(), self.weight)
        self.codes = Buffer()
        self.scratch = Buffer()
        memcpy(self.secret, SECRET, sizeof(SECRET))
        self._start()

    def __dealloc__(self):
        free(self.met)

    cdef int _start(self) except -1:
        """Forgets all words; the table keeps its size, which the next batch needs too."""
        if self.met is NULL:
            self.met = <Met*>calloc(FIRST_MET, sizeof(Met))
            if self.met is NULL:
                raise MemoryError()
            self.met_mask = FIRST_MET - 1
        elif self.met_count:
            memset(self.met, 0, (self.met_mask + 1) * sizeof(Met))
        self.met_count = 0
        return 0

    @property
    def repairs(self):
        return self.words.repairs

    cdef int pad(self, Py_ssize_t row) except -1 nogil:
        memset(self.at + self.length, 0, (row - self.length) * 4)
        return 0

    cdef int widen(self, Py_ssize_t rows) except -1 nogil:
        self.codes.reserve(rows * 4)
        self.at = <int32_t*>self.codes.data
        return 0

    cdef int _regrow(self) except -1 nogil:
        cdef Py_ssize_t mask = 4 * self.met_mask + 3, at, i
        cdef Met* met = <Met*>calloc(mask + 1, sizeof(Met))
        if met is NULL:
            with gil:
                raise MemoryError()
        for i in range(self.met_mask + 1):
            if self.met[i].code:
                at = <Py_ssize_t>self.met[i].low & mask
                while met[at].code:
                    at = (at + 1) & mask
                met[at] = self.met[i]
        free(self.met)
        self.met = met
        self.met_mask = mask
        return 0

    cdef int _enter(self, const Key* key, int32_t code) except -1 nogil:
        cdef Py_ssize_t at = <Py_ssize_t>key.low & self.met_mask
        while self.met[at].code:
            at = (at + 1) & self.met_mask
        self.met[at].low = key.low
        self.met[at].high = <uint32_t>key.high
        self.met[at].code = code + 1
        self.met_count += 1
        if self.met_count * 2 > self.met_mask:
            return self._regrow()
        return 0

    cdef int32_t code(self, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        """The code of a word, which is added where it is new."""
        cdef Key key = key_of(p, n, MET_TEXT, self.secret)
        cdef int32_t code = self.recall(&key)
        if code >= 0:
            return code
        code = <int32_t>self.words.length
        self.words.put_valid(code, p, n)
        self._enter(&key, code)
        return code

    cdef int learn(self, const Key* key, int32_t code) except -1 nogil:
        # What is not text can be the same text in many ways (a float that is no number, in 2^52);
        # the table is not to grow without the words.
        if self.met_count > 4 * self.words.length + FIRST_MET:
            return 0
        return self._enter(key, code)

    cdef int put_valid(self, Py_ssize_t row, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        return self.put_code(row, self.code(p, n))

    cdef int put(self, Py_ssize_t row, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        cdef Py_ssize_t fixed
        if utf8_valid(p, n) == n:
            return self.put_code(row, self.code(p, n))
        self.scratch.length = 0
        self.scratch.reserve(3 * n)
        fixed = utf8_repair(p, n, self.scratch.data)
        self.put_code(row, self.code(self.scratch.data, fixed))
        self.words.repairs += 1
        return 1

    cdef int put_utf16(self, Py_ssize_t row, const uint8_t* p, Py_ssize_t units) except -1 nogil:
        cdef Key key = key_of(p, 2 * units, MET_UTF16, self.secret)
        cdef int32_t code = self.recall(&key)
        cdef int repaired = 0
        cdef Py_ssize_t n
        if code >= 0:
            return self.put_code(row, code)
        self.scratch.length = 0
        self.scratch.reserve(3 * units)
        n = utf16le_utf8(p, units, self.scratch.data, &repaired)
        code = self.code(self.scratch.data, n)
        self.put_code(row, code)
        if repaired:
            self.words.repairs += 1
            return 1            # and not learnt, so that the next one is flagged too
        return self.learn(&key, code)

    cpdef object finish(self, Py_ssize_t rows):
        self.settle(rows)
        self._start()
        words = self.words.finish(self.words.length)
        self.codes.length = rows * 4
        codes = pa.Array.from_buffers(
            pa.int32(), rows, [self._bitmap(), pa.py_buffer(self.codes)], self.nulls
        )
        self.codes = _like(self.codes)
        self._reset()
        return pa.DictionaryArray.from_arrays(codes, words, safe=False)


cdef class SpanColumn(Column):
    """Rows that are spans of items."""

    def __cinit__(self, type, Weight weight=None):
        self._start()

    cdef int _start(self) except -1:
        self.offsets = _offsets(self.offsets)
        self.ends = <int32_t*>self.offsets.data
        return 0

    cdef int pad(self, Py_ssize_t row) except -1 nogil:
        _repeat_end(self.ends, self.length, row)
        return 0

    cdef int widen(self, Py_ssize_t rows) except -1 nogil:
        self.offsets.reserve((rows + 1) * 4)
        self.ends = <int32_t*>self.offsets.data
        return 0

    cdef int drop(self, Py_ssize_t row) except -1 nogil:
        # The items themselves go when the next span is opened, or with the batch.
        self.weight.bytes -= (self.ends[self.length] - self.ends[row]) * ITEM_BYTES
        return 0

    cdef int _cut(self, Py_ssize_t items) except -1 nogil:
        return 0

    cdef Py_ssize_t open(self, Py_ssize_t row) except -1 nogil:
        cdef Py_ssize_t items
        if self.length == row + 1:
            items = self.ends[row + 1]
        else:
            self.begin(row)
            items = self.ends[row]
            self.ends[row + 1] = <int32_t>items
            self.mark()
        # Items of a row that was given up lie beyond: left there, they would come back where
        # this row leaves an item null.
        self._cut(items)
        return items

    cdef int close(self, Py_ssize_t items) except -1 nogil:
        cdef int32_t* end = self.ends + self.length
        if items > OFFSET_LIMIT:
            with gil:
                raise OverflowError("more than 2^31 list items in one batch")
        self.weight.bytes += (items - end[0]) * ITEM_BYTES
        end[0] = <int32_t>items
        return 0


cdef class ListColumn(SpanColumn):
    """list<item>."""

    def __cinit__(self, type, Weight weight=None):
        self.items = column_of(type.value_type, self.weight)

    cdef int _cut(self, Py_ssize_t items) except -1 nogil:
        return self.items.settle(items) if self.items.length > items else 0

    cpdef object finish(self, Py_ssize_t rows):
        self.settle(rows)
        items = self.items.finish(self.ends[rows])
        self.offsets.length = (rows + 1) * 4
        array = pa.ListArray.from_buffers(
            self.type, rows, [self._bitmap(), pa.py_buffer(self.offsets)], self.nulls,
            children=[items],
        )
        self._start()
        self._reset()
        return array


cdef class MapColumn(SpanColumn):
    """map<utf8, utf8>."""

    def __cinit__(self, type, Weight weight=None):
        self.keys = DictColumn(pa.dictionary(pa.int32(), pa.string()), self.weight)
        self.values = DictColumn(pa.dictionary(pa.int32(), pa.string()), self.weight)

    cdef int _cut(self, Py_ssize_t items) except -1 nogil:
        if self.keys.length > items:
            self.keys.settle(items)
        if self.values.length > items:
            self.values.settle(items)
        return 0

    cpdef object finish(self, Py_ssize_t rows):
        self.settle(rows)
        cdef Py_ssize_t items = self.ends[rows]
        keys = self.keys.finish(items)
        values = self.values.finish(items)
        if not pa.types.is_dictionary(self.type.key_type):
            keys = keys.cast(self.type.key_type)
        if not pa.types.is_dictionary(self.type.item_type):
            values = values.cast(self.type.item_type)
        pairs = pa.StructArray.from_arrays(
            [keys, values],
            fields=[
                pa.field("key", self.type.key_type, nullable=False),
                pa.field("value", self.type.item_type),
            ],
        )
        self.offsets.length = (rows + 1) * 4
        array = pa.MapArray.from_buffers(
            self.type, rows, [self._bitmap(), pa.py_buffer(self.offsets)], self.nulls,
            children=[pairs],
        )
        self._start()
        self._reset()
        return array


def column_of(type, Weight weight=None):
    """The column for an Arrow type. Raises TypeError for a type that no table uses."""
    if pa.types.is_dictionary(type):
        return DictColumn(type, weight)
    if pa.types.is_string(type) or pa.types.is_binary(type):
        return TextColumn(type, weight)
    if pa.types.is_signed_integer(type) or pa.types.is_timestamp(type):
        return IntColumn(type, weight)
    if pa.types.is_float64(type):
        return DoubleColumn(type, weight)
    if pa.types.is_boolean(type):
        return BoolColumn(type, weight)
    if pa.types.is_map(type):
        return MapColumn(type, weight)
    if pa.types.is_list(type):
        return ListColumn(type, weight)
    raise TypeError(f"no native column for {type}")


cdef class Rows:
    """The columns of one table's current batch.

    Args:
        table: its name, for messages.
        schema: pyarrow.Schema with the columns' types; a column is made when it is first asked for.
        limit: rows of a full batch.
    """

    def __cinit__(self, str table, schema, Py_ssize_t limit=BATCH_ROWS):
        self.table = table
        self.schema = schema
        self.limit = limit
        self.weight = Weight()
        self.columns = {}
        self.batch = 1
        self.standing = []

    cpdef Column column(self, str name):
        """The column `name`. Raises KeyError where the table has none."""
        column = self.columns.get(name)
        if column is None:
            index = self.schema.get_field_index(name)
            if index < 0:
                raise KeyError(f"table {self.table} has no column {name}")
            column = self.columns[name] = column_of(self.schema.field(index).type, self.weight)
        return column

    cpdef object finish(self):
        """The whole rows as a RecordBatch of the columns in use; starts anew. Rows that were left
        standing go to their stretches."""
        cdef Py_ssize_t begun = self.begun
        cdef Stretch each
        batch = self._finish_all()
        standing, self.standing = self.standing, []
        for each in standing:
            each.batch = batch
            each.rows = None
        self.begun = 0
        self.begun_bytes = 0
        self.batch += 1
        return batch.slice(begun) if begun else batch

    cpdef object stand(self):
        """Leaves the rows that were put since the last call in the columns, for others to be put
        after them: to finish fifty columns for ten rows costs more than to read these.

        What was put of a row that is not whole is dropped.
        """
        cdef Stretch stretch = Stretch()
        self.give_up()
        stretch.rows = self
        stretch.first = self.begun
        stretch.num_rows = self.count - self.begun
        stretch.nbytes = (
            self.weight.bytes - self.begun_bytes + 8 * stretch.num_rows * len(self.columns)
        )
        self.standing.append(stretch)
        self.begun = self.count
        self.begun_bytes = self.weight.bytes
        return stretch

    cdef object _finish_all(self):
        cdef Py_ssize_t rows = self.count
        names = []
        arrays = []
        for name, column in self.columns.items():
            if (<Column>column).nulls < rows and (<Column>column).length:
                names.append(name)
                arrays.append((<Column>column).finish(rows))
            else:
                (<Column>column).finish(0)
        self.count = 0
        self.weight.bytes = 0
        if not arrays:
            return pa.RecordBatch.from_arrays([pa.nulls(rows)], ["_"]).select([])
        return pa.RecordBatch.from_arrays(arrays, names)

    def put(self, str name, value):
        """Puts a Python value (int, float, bool, str, bytes, list, dict) at the current row.

        For rows that are made one at a time (books, tests). Bytes given to a text column
        count as UTF-8 from evidence. Returns whether text had to be repaired.
        """
        return bool(_put_object(self.column(name), self.count, value))

    def end_row(self):
        """The current row is whole."""
        self.done()

    cpdef int give_up(self) except -1:
        """Takes back what was put at the current row. A row that fails half way and is not
        followed by one that fills the same columns would otherwise leak its values."""
        for column in self.columns.values():
            if (<Column>column).length > self.count:
                (<Column>column).align(self.count)
        return 0

    cpdef int drop(self) except -1:
        """Takes back all rows since the last ones that were left standing: their reader failed."""
        self.count = self.begun
        return self.give_up()

    @property
    def is_full(self):
        return self.full()

    @property
    def bytes_held(self):
        """Bytes of variable-length values held, items of lists and maps included."""
        return self.weight.bytes


cdef class Stretch:
    """Rows that one reader has put into columns that others go on with (`Rows.stand`).

    Attributes:
        num_rows: how many.
        nbytes: what they weigh, about.
        first: row of the batch at which they begin.
    """

    def whole(self):
        """The RecordBatch that the rows are in, among those of others; ends it where it is not.

        Raises:
            ValueError: a reader is at work on the columns.
        """
        if self.batch is None:
            if self.rows.count > self.rows.begun:
                raise ValueError(f"{self.rows.table}: rows are being put")
            self.rows.finish()
        return self.batch

    def alone(self):
        """The rows as a RecordBatch; ends the common batch where it is not."""
        return self.whole().slice(self.first, self.num_rows)


cdef int _put_object(Column column, Py_ssize_t row, value) except -1:
    cdef bytes raw
    cdef Py_ssize_t i
    cdef int repaired = 0
    if value is None:
        return 0
    if isinstance(column, IntColumn):
        return (<IntColumn>column).put(row, value)
    if isinstance(column, DoubleColumn):
        return (<DoubleColumn>column).put(row, value)
    if isinstance(column, BoolColumn):
        return (<BoolColumn>column).put(row, value)
    if isinstance(column, ListColumn):
        i = (<ListColumn>column).open(row)
        for item in value:
            repaired |= _put_object((<ListColumn>column).items, i, item)
            i += 1
        (<ListColumn>column).close(i)
        return repaired
    if isinstance(column, MapColumn):
        i = (<MapColumn>column).open(row)
        for key, item in value.items():
            repaired |= _put_object((<MapColumn>column).keys, i, key)
            repaired |= _put_object((<MapColumn>column).values, i, item)
            i += 1
        (<MapColumn>column).close(i)
        return repaired
    raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
    if isinstance(column, DictColumn):
        return (<DictColumn>column).put(row, <const uint8_t*><const char*>raw, len(raw))
    return (<TextColumn>column).put(row, <const uint8_t*><const char*>raw, len(raw))
