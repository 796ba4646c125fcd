"""Growable Arrow columns (see columns.pxd).

Measured on 10 M rows of two int64 and two text columns: 23 ns a row, as fast as filling the
Arrow C structs by hand. Traps met on the way, each with a test in tests/test_columns.py:
`pa.py_buffer` over NULL aborts the process; `from_buffers` does not check UTF-8; a cut in
the middle of a row; int32 offsets.
"""

from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

import pyarrow as pa

from tracelake.native.blocks cimport block_free, block_grown
from tracelake.native.text cimport utf8_repair, utf8_valid, utf16le_utf8

cdef Py_ssize_t FIRST = 64      # bytes a buffer begins with: of some, nothing is used at all
cdef Py_ssize_t NEXT = 1024     # bytes it grows to then: most tables of a small file stay small
# What an item of a list or map weighs besides its text. Without it a record of a thousand empty
# texts would weigh nothing, and a batch of such records would have no bound.
cdef Py_ssize_t ITEM_BYTES = 16
cdef int64_t OFFSET_LIMIT = 0x7FFFFFFF
cdef uint64_t HASH_HALF = 0xFFFFFFFF00000000ULL


cdef class Weight:
    """Bytes of variable-length values held by a batch."""


cdef class Buffer:
    """A growable block that Arrow can own."""

    def __cinit__(self, Py_ssize_t next=NEXT):
        self.data = <uint8_t*>block_grown(NULL, 0, FIRST)
        if self.data is NULL:
            raise MemoryError()
        self.capacity = FIRST
        self.next = next if next > NEXT else NEXT

    def __dealloc__(self):
        block_free(self.data, self.capacity)

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
        cdef Py_ssize_t room = self.next
        cdef uint8_t* grown
        while room < need:
            room *= 4
        grown = <uint8_t*>block_grown(self.data, self.capacity, room)
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
    return Buffer(old.length)


cdef class Column:
    """One column of the current batch. `column_of` makes the right kind for a type."""

    def __cinit__(self, type, Weight weight=None):
        self.type = type
        self.weight = weight if weight is not None else Weight()
        self.validity = Buffer()

    cdef int align(self, Py_ssize_t row) except -1 nogil:
        cdef Py_ssize_t have = self.length, need, was
        cdef uint8_t* bits
        if have == row:
            return 0
        if have < row:
            if not self.has_bits:
                self._begin_bits()
            self.pad(row - have)
            need = (row + 7) >> 3
            was = self.validity.length
            if need > was:
                self.validity.reserve(need - was)
                memset(self.validity.data + was, 0, need - was)
                self.validity.length = need
            self.nulls += row - have
        else:
            self.drop(row)
            # Rows beyond `row` are given up: clear their bits and count their nulls back.
            bits = self.validity.data
            while self.has_bits and have > row:
                have -= 1
                if bits[have >> 3] & (1 << (have & 7)):
                    bits[have >> 3] = bits[have >> 3] & <uint8_t>~(1 << (have & 7))
                else:
                    self.nulls -= 1
        self.length = row
        return 0

    cdef int pad(self, Py_ssize_t rows) except -1 nogil:
        return 0

    cdef int drop(self, Py_ssize_t rows) except -1 nogil:
        return 0

    cdef int _begin_bits(self) except -1 nogil:
        """Makes the bitmap when the first null comes: most columns that a record fills have
        none, and a bit for each value was a twentieth of all time."""
        cdef Py_ssize_t whole = self.length >> 3
        self.validity.reserve(whole + 1)
        memset(self.validity.data, 0xFF, whole)
        self.validity.length = whole
        if self.length & 7:
            self.validity.data[whole] = <uint8_t>((1 << (self.length & 7)) - 1)
            self.validity.length = whole + 1
        self.has_bits = True
        return 0

    cdef int _more_bits(self) except -1 nogil:
        self.validity.reserve(64)
        memset(self.validity.data + self.validity.length, 0, 64)
        self.validity.length += 64
        return 0

    cdef object _bitmap(self):
        """The validity buffer for Arrow: None where nothing is null."""
        if self.nulls == 0:
            return None
        return pa.py_buffer(self.validity)

    cdef int _reset(self) except -1:
        self.length = 0
        self.nulls = 0
        if self.has_bits:
            self.validity = _like(self.validity)
            self.has_bits = False
        return 0

    cpdef object finish(self, Py_ssize_t rows):
        """The first `rows` rows as a pyarrow.Array; the column starts anew."""
        raise NotImplementedError(type(self).__name__)


cdef class FixedColumn(Column):
    """One buffer of values of one width, for the types that have one."""

    def __cinit__(self, type, Weight weight=None):
        self.width = type.bit_width // 8
        self.values = Buffer()

    cdef int pad(self, Py_ssize_t rows) except -1 nogil:
        self.values.reserve(rows * self.width)
        memset(self.values.data + self.values.length, 0, rows * self.width)
        self.values.length += rows * self.width
        return 0

    cdef int drop(self, Py_ssize_t rows) except -1 nogil:
        self.values.length = rows * self.width
        return 0

    cpdef object finish(self, Py_ssize_t rows):
        self.align(rows)
        array = pa.Array.from_buffers(
            self.type, rows, [self._bitmap(), pa.py_buffer(self.values)], self.nulls
        )
        self.values = _like(self.values)
        self._reset()
        return array


cdef class IntColumn(FixedColumn):
    """int8 to int64 and timestamp."""

    cdef int _too_wide(self, int64_t value) except -1 nogil:
        with gil:
            raise OverflowError(f"{value} does not fit {self.type}")


cdef class DoubleColumn(FixedColumn):
    """double."""

    cdef int put(self, Py_ssize_t row, double value) except -1 nogil:
        if self.length != row:
            self.align(row)
        self.values.reserve(8)
        memcpy(self.values.data + self.values.length, &value, 8)
        self.values.length += 8
        return self.mark()


cdef class BoolColumn(FixedColumn):
    """bool, one bit a row."""

    cdef int pad(self, Py_ssize_t rows) except -1 nogil:
        cdef Py_ssize_t need = (self.length + rows + 7) >> 3, was = self.values.length
        if need > was:
            self.values.reserve(need - was)
            memset(self.values.data + was, 0, need - was)
            self.values.length = need
        return 0

    cdef int drop(self, Py_ssize_t rows) except -1 nogil:
        cdef Py_ssize_t row = self.length
        cdef uint8_t* bits = self.values.data
        while row > rows:
            row -= 1
            bits[row >> 3] = bits[row >> 3] & <uint8_t>~(1 << (row & 7))
        return 0

    cdef int put(self, Py_ssize_t row, bint value) except -1 nogil:
        cdef uint8_t* bits
        if self.length != row:
            self.align(row)
        self.pad(1)
        if value:
            bits = self.values.data
            bits[row >> 3] = bits[row >> 3] | <uint8_t>(1 << (row & 7))
        return self.mark()


cdef class TextColumn(Column):
    """utf8 and binary."""

    def __cinit__(self, type, Weight weight=None):
        self.checked = pa.types.is_string(type)
        self._start()

    cdef int _start(self) except -1:
        self.offsets = Buffer() if self.offsets is None else _like(self.offsets)
        (<int32_t*>self.offsets.data)[0] = 0
        self.offsets.length = 4
        self.data = Buffer() if self.data is None else _like(self.data)
        return 0

    cdef int pad(self, Py_ssize_t rows) except -1 nogil:
        cdef Py_ssize_t i
        cdef int32_t* offsets
        cdef int32_t end = <int32_t>self.data.length
        self.offsets.reserve(rows * 4)
        offsets = <int32_t*>(self.offsets.data + self.offsets.length)
        for i in range(rows):
            offsets[i] = end
        self.offsets.length += rows * 4
        return 0

    cdef int drop(self, Py_ssize_t rows) except -1 nogil:
        cdef Py_ssize_t end = (<int32_t*>self.offsets.data)[rows]
        self.weight.bytes -= self.data.length - end
        self.data.length = end
        self.offsets.length = (rows + 1) * 4
        return 0

    cdef uint8_t* room(self, Py_ssize_t row, Py_ssize_t n) except NULL nogil:
        if self.length != row:
            self.align(row)
        if self.data.length + n > OFFSET_LIMIT:
            with gil:
                raise OverflowError(f"more than 2 GiB of text in one batch of {self.length} rows")
        self.data.reserve(n)
        return self.data.data + self.data.length

    cdef int wrote(self, Py_ssize_t n) except -1 nogil:
        self.data.length += n
        self.weight.bytes += n
        self.offsets.reserve(4)
        (<int32_t*>(self.offsets.data + self.offsets.length))[0] = <int32_t>self.data.length
        self.offsets.length += 4
        return self.mark()

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
        self.align(rows)
        array = pa.Array.from_buffers(
            self.type,
            rows,
            [self._bitmap(), pa.py_buffer(self.offsets), pa.py_buffer(self.data)],
            self.nulls,
        )
        self._start()
        self._reset()
        return array


cdef inline uint64_t _hash(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    # Multiply-and-fold over eight bytes at a time; collisions cost time, never a wrong code.
    cdef uint64_t h = 0x9E3779B97F4A7C15ULL ^ <uint64_t>n, word
    while n >= 8:
        memcpy(&word, p, 8)
        h = (h ^ word) * 0xFF51AFD7ED558CCDULL
        h ^= h >> 32
        p += 8
        n -= 8
    if n:
        word = 0
        memcpy(&word, p, n)
        h = (h ^ word) * 0xFF51AFD7ED558CCDULL
        h ^= h >> 32
    h *= 0xC4CEB9FE1A85EC53ULL
    return h ^ (h >> 29)


cdef class DictColumn(Column):
    """dictionary<int32, utf8>."""

    def __cinit__(self, type, Weight weight=None):
        self.words = TextColumn(pa.string(), self.weight)
        self.codes = Buffer()
        self.scratch = Buffer()
        self._start()

    def __dealloc__(self):
        free(self.slots)

    cdef int _start(self) except -1:
        """Forgets all words; the table keeps its size, which the next batch needs too."""
        self.last = -1
        if self.slots is NULL:
            self.slots = <uint64_t*>calloc(64, sizeof(uint64_t))
            if self.slots is NULL:
                raise MemoryError()
            self.slot_mask = 63
        elif self.words.length:
            memset(self.slots, 0, (self.slot_mask + 1) * sizeof(uint64_t))
        return 0

    @property
    def repairs(self):
        return self.words.repairs

    cdef int pad(self, Py_ssize_t rows) except -1 nogil:
        self.codes.reserve(rows * 4)
        memset(self.codes.data + self.codes.length, 0, rows * 4)
        self.codes.length += rows * 4
        return 0

    cdef int drop(self, Py_ssize_t rows) except -1 nogil:
        self.codes.length = rows * 4    # a word that no row uses any more does no harm
        return 0

    cdef int _regrow(self) except -1 nogil:
        cdef Py_ssize_t room = (self.slot_mask + 1) * 4, at, i
        cdef int32_t* offsets = <int32_t*>self.words.offsets.data
        cdef uint64_t h
        cdef uint64_t* slots = <uint64_t*>calloc(room, sizeof(uint64_t))
        if slots is NULL:
            with gil:
                raise MemoryError()
        free(self.slots)
        self.slots = slots
        self.slot_mask = room - 1
        for i in range(self.words.length):
            h = _hash(self.words.data.data + offsets[i], offsets[i + 1] - offsets[i])
            at = h & self.slot_mask
            while slots[at]:
                at = (at + 1) & self.slot_mask
            slots[at] = (h & HASH_HALF) | <uint64_t>(i + 1)
        return 0

    cdef int32_t code(self, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        """The code of a word, which is added where it is new."""
        cdef uint64_t h
        cdef Py_ssize_t at
        cdef int32_t code = self.last
        cdef int32_t* offsets = <int32_t*>self.words.offsets.data
        # Hosts, channels and providers mostly are what they were in the row before.
        if (
            code >= 0
            and offsets[code + 1] - offsets[code] == n
            and memcmp(self.words.data.data + offsets[code], p, n) == 0
        ):
            return code
        h = _hash(p, n)
        at = h & self.slot_mask
        while self.slots[at]:
            if (self.slots[at] ^ h) & HASH_HALF == 0:
                code = <int32_t><uint32_t>self.slots[at] - 1
                if (
                    offsets[code + 1] - offsets[code] == n
                    and memcmp(self.words.data.data + offsets[code], p, n) == 0
                ):
                    self.last = code
                    return code
            at = (at + 1) & self.slot_mask
        code = <int32_t>self.words.length
        self.words.put_valid(code, p, n)
        self.slots[at] = (h & HASH_HALF) | <uint64_t>(code + 1)
        self.last = code
        if (code + 2) * 2 > self.slot_mask:
            self._regrow()
        return code

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
        cdef int repaired = 0
        cdef Py_ssize_t n
        self.scratch.length = 0
        self.scratch.reserve(3 * units)
        n = utf16le_utf8(p, units, self.scratch.data, &repaired)
        self.put_code(row, self.code(self.scratch.data, n))
        self.words.repairs += repaired
        return repaired

    cpdef object finish(self, Py_ssize_t rows):
        self.align(rows)
        self._start()
        words = self.words.finish(self.words.length)
        codes = pa.Array.from_buffers(
            pa.int32(), rows, [self._bitmap(), pa.py_buffer(self.codes)], self.nulls
        )
        self.codes = _like(self.codes)
        self._reset()
        return pa.DictionaryArray.from_arrays(codes, words, safe=False)


cdef class ListColumn(Column):
    """list<item>."""

    def __cinit__(self, type, Weight weight=None):
        self.items = column_of(type.value_type, self.weight)
        self._start()

    cdef int _start(self) except -1:
        self.offsets = Buffer() if self.offsets is None else _like(self.offsets)
        (<int32_t*>self.offsets.data)[0] = 0
        self.offsets.length = 4
        return 0

    cdef int pad(self, Py_ssize_t rows) except -1 nogil:
        return _pad_offsets(self.offsets, rows)

    cdef int drop(self, Py_ssize_t rows) except -1 nogil:
        return _drop_offsets(self, self.offsets, rows)

    cdef Py_ssize_t open(self, Py_ssize_t row) except -1 nogil:
        cdef Py_ssize_t next = _open(self, self.offsets, row)
        # Items of a row that was given up lie beyond: left there, they would come back where
        # this row leaves an item null.
        if self.items.length > next:
            self.items.align(next)
        return next

    cdef int close(self, Py_ssize_t items) except -1 nogil:
        return _close(self, self.offsets, items)

    cpdef object finish(self, Py_ssize_t rows):
        self.align(rows)
        items = self.items.finish((<int32_t*>self.offsets.data)[rows])
        array = pa.ListArray.from_buffers(
            self.type, rows, [self._bitmap(), pa.py_buffer(self.offsets)], self.nulls,
            children=[items],
        )
        self._start()
        self._reset()
        return array


cdef class MapColumn(Column):
    """map<utf8, utf8>."""

    def __cinit__(self, type, Weight weight=None):
        self.keys = DictColumn(pa.dictionary(pa.int32(), pa.string()), self.weight)
        self.values = DictColumn(pa.dictionary(pa.int32(), pa.string()), self.weight)
        self._start()

    cdef int _start(self) except -1:
        self.offsets = Buffer() if self.offsets is None else _like(self.offsets)
        (<int32_t*>self.offsets.data)[0] = 0
        self.offsets.length = 4
        return 0

    cdef int pad(self, Py_ssize_t rows) except -1 nogil:
        return _pad_offsets(self.offsets, rows)

    cdef int drop(self, Py_ssize_t rows) except -1 nogil:
        return _drop_offsets(self, self.offsets, rows)

    cdef Py_ssize_t open(self, Py_ssize_t row) except -1 nogil:
        cdef Py_ssize_t next = _open(self, self.offsets, row)
        if self.keys.length > next:     # as in ListColumn
            self.keys.align(next)
        if self.values.length > next:
            self.values.align(next)
        return next

    cdef int close(self, Py_ssize_t items) except -1 nogil:
        return _close(self, self.offsets, items)

    cpdef object finish(self, Py_ssize_t rows):
        self.align(rows)
        cdef Py_ssize_t items = (<int32_t*>self.offsets.data)[rows]
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
        array = pa.MapArray.from_buffers(
            self.type, rows, [self._bitmap(), pa.py_buffer(self.offsets)], self.nulls,
            children=[pairs],
        )
        self._start()
        self._reset()
        return array


cdef int _pad_offsets(Buffer offsets, Py_ssize_t rows) except -1 nogil:
    cdef Py_ssize_t i
    cdef int32_t end
    cdef int32_t* to
    offsets.reserve(rows * 4)
    to = <int32_t*>(offsets.data + offsets.length)
    end = to[-1]
    for i in range(rows):
        to[i] = end
    offsets.length += rows * 4
    return 0


cdef int _drop_offsets(Column column, Buffer offsets, Py_ssize_t rows) except -1 nogil:
    # The items themselves go when the next list is opened, or with the batch.
    cdef int32_t* ends = <int32_t*>offsets.data
    column.weight.bytes -= (ends[offsets.length // 4 - 1] - ends[rows]) * ITEM_BYTES
    offsets.length = (rows + 1) * 4
    return 0


cdef Py_ssize_t _open(Column column, Buffer offsets, Py_ssize_t row) except -1 nogil:
    """Begins the list of `row`, or goes on with it; the index of its next item."""
    cdef Py_ssize_t items
    if column.length == row + 1:
        return (<int32_t*>offsets.data)[row + 1]
    column.align(row)
    items = (<int32_t*>offsets.data)[row]
    offsets.reserve(4)
    (<int32_t*>offsets.data)[row + 1] = <int32_t>items
    offsets.length += 4
    column.mark()
    return items


cdef int _close(Column column, Buffer offsets, Py_ssize_t items) except -1 nogil:
    cdef int32_t* end = <int32_t*>(offsets.data + offsets.length) - 1
    if items > OFFSET_LIMIT:
        with gil:
            raise OverflowError("more than 2^31 list items in one batch")
    column.weight.bytes += (items - end[0]) * ITEM_BYTES
    end[0] = <int32_t>items
    return 0


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
