"""Parquet pages from Arrow arrays: encodings, levels, statistics, bloom filters.

For what the lake's tables are made of, and a batch at a time: a page is one run of levels and one
of values. `lake/parquet.py` puts files together of it. The form is that of the Parquet format 2.9
(github.com/apache/parquet-format: Encodings.md, BloomFilter.md, parquet.thrift).

Columns that are null throughout or have one value cost a few bytes whatever their length; levels
that vary are the arrays' own bitmaps.
"""

from libc.stddef cimport size_t
from libc.stdint cimport (
    int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t,
)
from libc.string cimport memcmp, memcpy, memset

import pyarrow as pa

from tracelake.native.columns cimport Buffer
from tracelake.native.hash64 cimport hash64

cdef extern from *:
    """
    #include <stdint.h>
    #ifndef ARROW_C_DATA_INTERFACE
    #define ARROW_C_DATA_INTERFACE
    struct ArrowSchema {
        const char *format; const char *name; const char *metadata; int64_t flags;
        int64_t n_children; struct ArrowSchema **children; struct ArrowSchema *dictionary;
        void (*release)(struct ArrowSchema *); void *private_data;
    };
    struct ArrowArray {
        int64_t length; int64_t null_count; int64_t offset; int64_t n_buffers; int64_t n_children;
        const void **buffers; struct ArrowArray **children; struct ArrowArray *dictionary;
        void (*release)(struct ArrowArray *); void *private_data;
    };
    #endif
    """
    cdef struct ArrowArray:
        int64_t length
        int64_t null_count
        int64_t offset
        int64_t n_buffers
        int64_t n_children
        const void** buffers
        ArrowArray** children
        ArrowArray* dictionary
        void (*release)(ArrowArray*)

cdef extern from * nogil:
    int popcount "__builtin_popcountll"(unsigned long long bits)
    int leading_zeros "__builtin_clzll"(unsigned long long bits)

cdef enum:
    # parquet.thrift: Type, Encoding, PageType
    BOOLEAN = 0
    INT32 = 1
    INT64 = 2
    DOUBLE = 5
    BYTE_ARRAY = 6
    PLAIN = 0
    RLE = 3
    DELTA_BINARY_PACKED = 5
    DELTA_LENGTH_BYTE_ARRAY = 6
    RLE_DICTIONARY = 8
    DATA_PAGE = 0
    DICTIONARY_PAGE = 2
    # of the compact protocol of Thrift
    T_I32 = 5
    T_I64 = 6
    T_BINARY = 8
    T_LIST = 9
    T_STRUCT = 12

    LONG_RUN = 32               # values from which a run is written as one
    PAGE_BYTES = 4194304        # of text, after which the next page begins

cdef uint32_t[8] SALTS = [
    0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31,
]


# --- what is put into a buffer -------------------------------------------------------------------

cdef int put_bytes(Buffer out, const void* p, Py_ssize_t n) except -1:
    out.reserve(n)
    memcpy(out.data + out.length, p, n)
    out.length += n
    return 0


cdef int put_byte(Buffer out, uint8_t value) except -1:
    out.reserve(1)
    out.data[out.length] = value
    out.length += 1
    return 0


cdef int put_varint(Buffer out, uint64_t value) except -1:
    out.reserve(10)
    while value >= 0x80:
        out.data[out.length] = <uint8_t>(value | 0x80)
        out.length += 1
        value >>= 7
    out.data[out.length] = <uint8_t>value
    out.length += 1
    return 0


cdef int put_zigzag(Buffer out, int64_t value) except -1:
    return put_varint(out, (<uint64_t>value << 1) ^ <uint64_t>(value >> 63))


cdef class Thrift:
    """A struct in Thrift's compact protocol, as it is written."""
    cdef Buffer out
    cdef int last               # field of the struct at hand
    cdef list outer

    def __cinit__(self, Buffer out):
        self.out = out
        self.outer = []

    cdef int field(self, int number, int kind) except -1:
        put_byte(self.out, <uint8_t>((number - self.last) << 4 | kind))
        self.last = number
        return 0

    cdef int number(self, int number, int kind, int64_t value) except -1:
        self.field(number, kind)
        return put_zigzag(self.out, value)

    cdef int text(self, int number, bytes value) except -1:
        self.field(number, T_BINARY)
        return self.item(value)

    cdef int item(self, bytes value) except -1:
        put_varint(self.out, len(value))
        return put_bytes(self.out, <const char*>value, len(value))

    cdef int list(self, int number, int kind, Py_ssize_t n) except -1:
        self.field(number, T_LIST)
        if n < 15:
            return put_byte(self.out, <uint8_t>(n << 4 | kind))
        put_byte(self.out, <uint8_t>(0xF0 | kind))
        return put_varint(self.out, n)

    cdef int begin(self, int number) except -1:
        """A struct as a field; 0: as an item of a list."""
        if number:
            self.field(number, T_STRUCT)
        self.outer.append(self.last)
        self.last = 0
        return 0

    cdef int end(self) except -1:
        put_byte(self.out, 0)
        self.last = self.outer.pop()
        return 0


cdef int pack(Buffer out, const uint32_t* values, Py_ssize_t n, int width) except -1:
    """`n` numbers of `width` bits, low bits first, filled up to whole groups of eight."""
    cdef Py_ssize_t groups = (n + 7) >> 3, size = groups * width, i
    cdef uint64_t bits = 0
    cdef int held = 0
    cdef uint8_t* to
    cdef uint32_t four
    out.reserve(size + 8)
    to = out.data + out.length
    for i in range(n):
        bits |= <uint64_t>values[i] << held
        held += width
        if held >= 32:
            four = <uint32_t>bits
            memcpy(to, &four, 4)
            to += 4
            bits >>= 32
            held -= 32
    memcpy(to, &bits, 8)
    memset(to + ((held + 7) >> 3), 0, 8 - ((held + 7) >> 3))
    to += (held + 7) >> 3
    if to < out.data + out.length + size:
        memset(to, 0, out.data + out.length + size - to)
    out.length += size
    return 0


cdef int put_run(Buffer out, uint32_t value, Py_ssize_t n, int width) except -1:
    put_varint(out, <uint64_t>n << 1)
    return put_bytes(out, &value, (width + 7) >> 3)


cdef int put_hybrid(Buffer out, const uint32_t* values, Py_ssize_t n, int width) except -1:
    """Runs of one value, and groups of eight between them."""
    cdef Py_ssize_t i = 0, begin = 0, run
    while i < n:
        run = 1
        while i + run < n and values[i + run] == values[i]:
            run += 1
        if run >= LONG_RUN or (run == n - i and i == begin):
            if i > begin:
                put_varint(out, <uint64_t>((i - begin) >> 3) << 1 | 1)
                pack(out, values + begin, i - begin, width)
            put_run(out, values[i], run, width)
            i += run
            begin = i
        else:
            # All groups that hold no beginning of a long run from here are short.
            i += 8 if run < 8 else run & ~7
    if begin < n:
        put_varint(out, <uint64_t>((n - begin + 7) >> 3) << 1 | 1)
        pack(out, values + begin, n - begin, width)
    return 0


cdef int width_of(uint64_t most) noexcept nogil:
    return 64 - leading_zeros(most) if most else 0


cdef int put_deltas(Buffer out, const int64_t* values, Py_ssize_t n) except -1:
    """DELTA_BINARY_PACKED: blocks of 128 in four parts of 32."""
    cdef int64_t[128] deltas
    cdef int64_t least
    cdef uint64_t most, bits, rest
    cdef Py_ssize_t at = 1, count, i, k, size
    cdef int held, part, parts
    cdef int[4] widths
    cdef uint8_t* to
    put_varint(out, 128)
    put_varint(out, 4)
    put_varint(out, n)
    put_zigzag(out, values[0] if n else 0)
    while at < n:
        count = n - at if n - at < 128 else 128
        least = 0
        for i in range(count):
            # Numbers of 64 bits wrap, here and in the reader.
            deltas[i] = <int64_t>(<uint64_t>values[at + i] - <uint64_t>values[at + i - 1])
            if i == 0 or deltas[i] < least:
                least = deltas[i]
        for i in range(count):
            deltas[i] = <int64_t>(<uint64_t>deltas[i] - <uint64_t>least)
        for i in range(count, 128):
            deltas[i] = 0
        parts = <int>((count + 31) >> 5)
        put_zigzag(out, least)
        for part in range(4):
            most = 0
            for i in range(32):
                most |= <uint64_t>deltas[32 * part + i]
            widths[part] = width_of(most)
            put_byte(out, <uint8_t>widths[part])
        for part in range(parts):
            size = 4 * widths[part]
            out.reserve(size + 16)
            to = out.data + out.length
            bits = 0
            held = 0
            for i in range(32):
                rest = <uint64_t>deltas[32 * part + i]
                bits |= rest << held
                k = held + widths[part]
                if k >= 64:
                    memcpy(to, &bits, 8)
                    to += 8
                    k -= 64
                    # What did not fit; a shift by 64 is undefined.
                    bits = rest >> (widths[part] - k) if k else 0
                held = <int>k
            memcpy(to, &bits, 8)
            out.length += size
        at += count
    return 0


# --- arrays --------------------------------------------------------------------------------------

cdef inline bint bit_at(const uint8_t* bits, Py_ssize_t i) noexcept nogil:
    return bits[i >> 3] >> (i & 7) & 1


cdef class Column:
    """A leaf of the schema: how it is written. See `lake/parquet.py`.

    Args:
        path: its names from the root on.
        physical: Parquet's type of it.
        width: bytes of an Arrow value of it, 0 for bits and text.
        worded: whether it is a dictionary of texts.
        encoding: of its values, where they are no dictionary's.
        codec: pyarrow.Codec, or None. codec_number: Parquet's.
        keeps: whether statistics are kept. fpp: of its bloom filter, or 0.
    """
    cdef readonly tuple path
    cdef readonly int physical
    cdef int width
    cdef readonly bint worded
    cdef readonly int encoding
    cdef readonly object codec
    cdef readonly int codec_number
    cdef readonly bint keeps
    cdef readonly double fpp
    cdef readonly bint required

    def __init__(
        self, path, int physical, int width, bint worded, int encoding, codec, int codec_number,
        bint keeps, double fpp, bint required,
    ):
        self.path = path
        self.physical = physical
        self.width = width
        self.worded = worded
        self.encoding = encoding
        self.codec = codec
        self.codec_number = codec_number
        self.keeps = keeps
        self.fpp = fpp
        self.required = required


cdef class Chunk:
    """A column chunk that was written: what the footer says of it."""
    cdef readonly Column column
    cdef readonly int64_t values        # nulls and empty lists included
    cdef readonly int64_t nulls
    cdef readonly int64_t size          # bytes, page headers included
    cdef readonly int64_t packed        # the same in the file
    cdef readonly int64_t words_at      # offset in the file of the dictionary; -1: none
    cdef readonly int64_t pages_at
    cdef readonly set encodings         # of its pages
    cdef readonly bint packed_pages     # whether they are compressed
    cdef bint same                      # numbers of one value
    cdef readonly bytes lowest          # as the file has them; None: not known
    cdef readonly bytes highest
    cdef readonly object bloom          # its header and bits; None: none
    cdef public int64_t bloom_at        # offset in the file


cdef class Pages:
    """Writes columns one after the other, and reuses its memory."""
    cdef Buffer body            # levels and values of a page
    cdef Buffer out             # a chunk
    cdef Buffer dense           # values that are not null, side by side
    cdef Buffer levels
    cdef Buffer marks

    def __cinit__(self):
        self.body = Buffer()
        self.out = Buffer()
        self.dense = Buffer()
        self.levels = Buffer()
        self.marks = Buffer()

    def write(self, sink, Column column, array, int child, int64_t position):
        """Writes a column of a row group.

        Args:
            sink: has `write`.
            column: how.
            array: pyarrow.Array, of a list or map for a leaf of one.
            child: -1: the array itself; 0: items of a list or keys of a map, 1: values of a map.
            position: of the sink.

        Returns:
            The Chunk; it takes `packed` bytes.

        Raises:
            ValueError: a key, or a value of a column that must have one, is null; a dictionary
                has a null.
        """
        cdef ArrowArray top
        cdef Chunk chunk
        memset(&top, 0, sizeof(top))
        array._export_to_c(<uintptr_t>&top)
        try:
            chunk = self._write(column, &top, child, position)
        finally:
            top.release(&top)
        sink.write(self._view(self.out))
        return chunk

    cdef object _view(self, Buffer buffer):
        return (<uint8_t[:buffer.length]>buffer.data) if buffer.length else b""

    cdef Chunk _write(self, Column column, ArrowArray* top, int child, int64_t position):
        cdef Chunk chunk = Chunk.__new__(Chunk)
        cdef ArrowArray* leaf = top
        cdef const int32_t* ends = NULL
        cdef Py_ssize_t first = 0, n = top.length, rows, begin, stop
        cdef const uint8_t* valid = NULL
        cdef Py_ssize_t nulls, present
        cdef int encoding
        chunk.column = column
        chunk.words_at = -1
        chunk.encodings = {RLE}
        self.out.length = 0
        if child >= 0:
            leaf = top.children[0]
            if leaf.n_children == 2:
                first = leaf.offset
                leaf = leaf.children[child]
            ends = <const int32_t*>top.buffers[1] + top.offset
            n = ends[top.length] - ends[0] if top.length else 0
            first += ends[0] if top.length else 0
        first += leaf.offset
        if leaf.buffers[0] is not NULL and leaf.null_count:
            valid = <const uint8_t*>leaf.buffers[0]
        nulls = _nulls(valid, first, n)
        if nulls == 0:
            valid = NULL
        present = n - nulls
        if nulls and (column.required or child == 0 and top.children[0].n_children == 2):
            raise ValueError(f"{'.'.join(column.path)}: {nulls} nulls where none may be")
        chunk.nulls = nulls
        # To set zstd up takes longer than all else about a page of a few bytes.
        chunk.packed_pages = column.codec is not None and present and not (
            column.worded and leaf.dictionary.length == 1 and nulls == 0
        )
        if present and column.worded:
            self._words(chunk, leaf, position)
        elif n and present == n and column.width and not column.worded:
            self._same(chunk, <const uint8_t*>leaf.buffers[1] + first * column.width, n, position)
        begin = 0
        while True:
            stop = n
            if child < 0 and not column.worded and column.physical == BYTE_ARRAY and present:
                stop = _page_end(<const int32_t*>leaf.buffers[1] + first, begin, n)
            self.body.length = 0
            if child >= 0:
                chunk.values = self._nested_levels(top, ends, valid, first, child)
                chunk.nulls = chunk.values - present
                rows = chunk.values
            else:
                rows = stop - begin
                chunk.values += rows
                if not column.required:
                    self._flat_levels(valid, first + begin, rows)
            encoding = self._values(chunk, leaf, valid, first + begin, stop - begin)
            if chunk.pages_at == 0:
                chunk.pages_at = position + self.out.length
            self._page(chunk, DATA_PAGE, rows, encoding)
            begin = stop
            if begin >= n:
                break
        if present and column.fpp and not column.worded:
            chunk.bloom = self._bloom(
                chunk, <const int32_t*>leaf.buffers[1], <const uint8_t*>leaf.buffers[2], valid, first,
                n, present,
            )
        chunk.packed = self.out.length
        return chunk

    cdef int _page(self, Chunk chunk, int kind, Py_ssize_t values, int encoding) except -1:
        """The page whose body is there: its header, and its bytes as they are in the file."""
        cdef Py_ssize_t size = self.body.length, packed = size, before = self.out.length
        cdef Thrift header = Thrift(self.out)
        cdef bytes data = None
        chunk.encodings.add(encoding)
        if size > 0x7FFFFFFF:
            raise OverflowError(f"{'.'.join(chunk.column.path)}: a page of {size} bytes")
        if chunk.packed_pages:
            data = chunk.column.codec.compress(
                pa.py_buffer(<uint8_t[:size]>self.body.data) if size else b"", asbytes=True
            )
            packed = len(data)
        header.number(1, T_I32, kind)
        header.number(2, T_I32, size)
        header.number(3, T_I32, packed)
        if kind == DATA_PAGE:
            header.begin(5)
            header.number(1, T_I32, values)
            header.number(2, T_I32, encoding)
            header.number(3, T_I32, RLE)
            header.number(4, T_I32, RLE)
        else:
            header.begin(7)
            header.number(1, T_I32, values)
            header.number(2, T_I32, PLAIN)
        header.end()
        put_byte(self.out, 0)
        chunk.size += self.out.length - before + size
        if data is None:
            return put_bytes(self.out, self.body.data, size)
        return put_bytes(self.out, <const char*>data, packed)

    # --- levels ---

    cdef int _flat_levels(self, const uint8_t* valid, Py_ssize_t first, Py_ssize_t n) except -1:
        cdef Py_ssize_t at = self._begin_levels(), nulls = _nulls(valid, first, n)
        cdef Py_ssize_t size = (n + 7) >> 3
        if nulls == 0 or nulls == n:
            put_run(self.body, nulls == 0, n, 1)
        else:
            put_varint(self.body, <uint64_t>size << 1 | 1)
            self.body.reserve(size)
            _copy_bits(self.body.data + self.body.length, valid, first, n)
            self.body.length += size
        return self._end_levels(at)

    cdef Py_ssize_t _begin_levels(self) except -1:
        self.body.reserve(4)
        self.body.length += 4
        return self.body.length

    cdef int _end_levels(self, Py_ssize_t at) except -1:
        cdef uint32_t size = <uint32_t>(self.body.length - at)
        memcpy(self.body.data + at - 4, &size, 4)
        return 0

    cdef int64_t _nested_levels(
        self, ArrowArray* top, const int32_t* ends, const uint8_t* valid, Py_ssize_t first, int child
    ) except -1:
        """Levels of a list's items: 0 a null list, 1 an empty one, 2 a null item, 3 an item (and
        of a map's keys, which are never null: 2). How many there are."""
        cdef const uint8_t* lists = NULL
        cdef bint is_map = top.children[0].n_children == 2
        cdef int most = 2 if is_map and child == 0 else 3
        cdef Py_ssize_t i, k, m = 0, at, size, groups
        cdef bint uneven = False, none
        cdef int32_t length
        cdef uint8_t* defs
        cdef uint8_t* reps
        if top.buffers[0] is not NULL and top.null_count:
            lists = <const uint8_t*>top.buffers[0]
        for i in range(top.length):
            length = ends[i + 1] - ends[i]
            if lists is not NULL and not bit_at(lists, top.offset + i):
                if length:
                    raise ValueError("a list that is null has items")
            m += length if length else 1
        groups = (m + 7) >> 3
        none = m == top.length and _nulls(lists, top.offset, top.length) == m
        # Repetition: 0 where a list begins.
        at = self._begin_levels()
        if m == top.length:
            put_run(self.body, 0, m, 1)
        else:
            put_varint(self.body, <uint64_t>groups << 1 | 1)
            self.body.reserve(groups)
            reps = self.body.data + self.body.length
            memset(reps, 0xFF, groups)
            k = 0
            for i in range(top.length):
                length = ends[i + 1] - ends[i]
                reps[k >> 3] = reps[k >> 3] & <uint8_t>~(1 << (k & 7))
                uneven = uneven or length == 0
                k += length if length else 1
            self.body.length += groups
        if m == top.length and not none:
            for i in range(top.length):
                uneven = uneven or ends[i + 1] == ends[i]
        self._end_levels(at)
        at = self._begin_levels()
        if none or (not uneven and valid is NULL):
            put_run(self.body, 0 if none else most, m, 2)
        else:
            self.levels.length = 0
            self.levels.reserve(8 * groups)
            defs = self.levels.data
            memset(defs, most, 8 * groups)
            if uneven:
                k = 0
                for i in range(top.length):
                    length = ends[i + 1] - ends[i]
                    if length == 0:
                        defs[k] = 1 if lists is NULL or bit_at(lists, top.offset + i) else 0
                        k += 1
                    k += length
            if valid is not NULL:
                k = 0
                for i in range(m):
                    if defs[i] == most:
                        if not bit_at(valid, first + k):
                            defs[i] = <uint8_t>(most - 1)
                        k += 1
            put_varint(self.body, <uint64_t>groups << 1 | 1)
            size = 2 * groups
            self.body.reserve(size)
            reps = self.body.data + self.body.length
            for i in range(size):
                reps[i] = defs[4 * i] | defs[4 * i + 1] << 2 | defs[4 * i + 2] << 4 | (
                    defs[4 * i + 3] << 6
                )
            self.body.length += size
        self._end_levels(at)
        return m

    # --- values ---

    cdef int _values(
        self, Chunk chunk, ArrowArray* leaf, const uint8_t* valid, Py_ssize_t first, Py_ssize_t n
    ) except -1:
        """The values that are not null, of a page; how they are encoded."""
        cdef Column column = chunk.column
        cdef Py_ssize_t present = n - _nulls(valid, first, n)
        cdef const uint32_t* codes
        cdef int width
        if present == 0:
            return PLAIN
        if column.worded:
            codes = <const uint32_t*>leaf.buffers[1] + first
            if valid is not NULL:
                codes = <const uint32_t*>self._without_nulls(<const uint8_t*>leaf.buffers[1], 4, valid, first, n)
            width = width_of(<uint64_t>(leaf.dictionary.length - 1))
            width = width if width else 1
            put_byte(self.body, <uint8_t>width)
            put_hybrid(self.body, codes, present, width)
            if column.keeps:
                self._word_bounds(chunk, leaf.dictionary, codes, present)
            return RLE_DICTIONARY
        if column.physical == BYTE_ARRAY:
            self._texts(leaf, valid, first, n)
        elif column.physical == BOOLEAN:
            self._bits(leaf, valid, first, n)
        else:
            self._numbers(chunk, leaf, valid, first, n, present)
        return RLE_DICTIONARY if chunk.same else column.encoding

    cdef const uint8_t* _without_nulls(
        self, const uint8_t* values, int width, const uint8_t* valid, Py_ssize_t first, Py_ssize_t n
    ) except NULL:
        """Values of `width` bytes without those that are null, in memory of ours."""
        cdef Py_ssize_t i, k = 0
        cdef uint8_t* to
        self.dense.length = 0
        self.dense.reserve(n * width + 8)
        to = self.dense.data
        if width == 8:
            for i in range(first, first + n):
                (<uint64_t*>to)[k] = (<const uint64_t*>values)[i]
                k += bit_at(valid, i)
        elif width == 4:
            for i in range(first, first + n):
                (<uint32_t*>to)[k] = (<const uint32_t*>values)[i]
                k += bit_at(valid, i)
        elif width == 2:
            for i in range(first, first + n):
                (<uint16_t*>to)[k] = (<const uint16_t*>values)[i]
                k += bit_at(valid, i)
        else:
            for i in range(first, first + n):
                to[k] = values[i]
                k += bit_at(valid, i)
        return to

    cdef int _numbers(
        self, Chunk chunk, ArrowArray* leaf, const uint8_t* valid, Py_ssize_t first, Py_ssize_t n,
        Py_ssize_t present,
    ) except -1:
        cdef Column column = chunk.column
        cdef const uint8_t* values = <const uint8_t*>leaf.buffers[1]
        cdef Py_ssize_t i
        cdef int64_t low = 0, high = 0, value
        if valid is not NULL:
            values = self._without_nulls(values, column.width, valid, first, n)
        else:
            values += first * column.width
        if chunk.same:
            put_byte(self.body, 1)
            put_run(self.body, 0, present, 1)
            present = 1
        elif column.encoding == DELTA_BINARY_PACKED:
            put_deltas(self.body, <const int64_t*>values, present)
        else:
            self._put_numbers(values, present, column.width)
        if not column.keeps or column.physical == DOUBLE:
            return 0
        for i in range(present):
            if column.width == 8:
                value = (<const int64_t*>values)[i]
            elif column.width == 4:
                value = (<const int32_t*>values)[i]
            elif column.width == 2:
                value = (<const int16_t*>values)[i]
            else:
                value = (<const int8_t*>values)[i]
            if i == 0 or value < low:
                low = value
            if i == 0 or value > high:
                high = value
        i = 8 if column.physical == INT64 else 4
        chunk.lowest = (<const char*>&low)[:i]
        chunk.highest = (<const char*>&high)[:i]
        return 0

    cdef int _bits(
        self, ArrowArray* leaf, const uint8_t* valid, Py_ssize_t first, Py_ssize_t n
    ) except -1:
        cdef const uint8_t* values = <const uint8_t*>leaf.buffers[1]
        cdef Py_ssize_t i, k = 0, size = (n + 7) >> 3
        cdef uint8_t* to
        self.body.reserve(size)
        to = self.body.data + self.body.length
        memset(to, 0, size)
        for i in range(first, first + n):
            if valid is NULL or bit_at(valid, i):
                to[k >> 3] = to[k >> 3] | <uint8_t>(bit_at(values, i) << (k & 7))
                k += 1
        self.body.length += (k + 7) >> 3
        return 0

    cdef int _texts(
        self, ArrowArray* leaf, const uint8_t* valid, Py_ssize_t first, Py_ssize_t n
    ) except -1:
        """DELTA_LENGTH_BYTE_ARRAY."""
        cdef const int32_t* ends = <const int32_t*>leaf.buffers[1]
        cdef const uint8_t* data = <const uint8_t*>leaf.buffers[2]
        cdef int64_t* lengths
        cdef Py_ssize_t i, k = 0
        self.dense.length = 0
        self.dense.reserve((n + 1) * 8)
        lengths = <int64_t*>self.dense.data
        for i in range(first, first + n):
            lengths[k] = ends[i + 1] - ends[i]
            k += valid is NULL or bit_at(valid, i)
        put_deltas(self.body, lengths, k)
        if valid is NULL:
            if ends[first + n] > ends[first]:
                put_bytes(self.body, data + ends[first], ends[first + n] - ends[first])
        else:
            for i in range(first, first + n):
                if ends[i + 1] > ends[i] and bit_at(valid, i):
                    put_bytes(self.body, data + ends[i], ends[i + 1] - ends[i])
        return 0

    cdef int _same(
        self, Chunk chunk, const uint8_t* values, Py_ssize_t n, int64_t position
    ) except -1:
        """The page of a dictionary of one number, where all are the same (a class, a version)."""
        cdef int width = chunk.column.width
        if memcmp(values, values + width, (n - 1) * width) != 0:
            return 0
        chunk.same = True
        chunk.packed_pages = False
        self.body.length = 0
        self._put_numbers(values, 1, width)
        chunk.words_at = position + self.out.length
        return self._page(chunk, DICTIONARY_PAGE, 1, PLAIN)

    cdef int _put_numbers(self, const uint8_t* values, Py_ssize_t n, int width) except -1:
        """Numbers as PLAIN has them: of 32 bits at least."""
        cdef int32_t* to
        cdef Py_ssize_t i
        cdef int32_t four
        if width >= 4:
            return put_bytes(self.body, values, n * width)
        self.body.reserve(4 * n)
        to = <int32_t*>(self.body.data + self.body.length)
        for i in range(n):
            four = (<const int8_t*>values)[i] if width == 1 else (<const int16_t*>values)[i]
            memcpy(to + i, &four, 4)
        self.body.length += 4 * n
        return 0

    cdef int _words(self, Chunk chunk, ArrowArray* leaf, int64_t position) except -1:
        """The dictionary's page."""
        cdef ArrowArray* words = leaf.dictionary
        cdef const int32_t* ends = <const int32_t*>words.buffers[1] + words.offset
        cdef const uint8_t* data = <const uint8_t*>words.buffers[2]
        cdef Py_ssize_t i
        cdef uint32_t n
        cdef uint8_t* to
        if words.null_count > 0 or (
            words.null_count and _nulls(<const uint8_t*>words.buffers[0], words.offset, words.length)
        ):
            raise ValueError(f"{'.'.join(chunk.column.path)}: a null in the dictionary")
        self.body.length = 0
        self.body.reserve(4 * words.length + ends[words.length] - ends[0])
        to = self.body.data
        for i in range(words.length):
            n = <uint32_t>(ends[i + 1] - ends[i])
            memcpy(to, &n, 4)
            if n:
                memcpy(to + 4, data + ends[i], n)
            to += 4 + n
        self.body.length = to - self.body.data
        chunk.words_at = position + self.out.length
        self._page(chunk, DICTIONARY_PAGE, words.length, PLAIN)
        if chunk.column.fpp:
            chunk.bloom = self._bloom(chunk, ends, data, NULL, 0, words.length, words.length)
        return 0

    cdef int _word_bounds(
        self, Chunk chunk, ArrowArray* words, const uint32_t* codes, Py_ssize_t n
    ) except -1:
        """The first and the last of the words that stand in the column."""
        cdef const int32_t* ends = <const int32_t*>words.buffers[1] + words.offset
        cdef const uint8_t* data = <const uint8_t*>words.buffers[2]
        cdef Py_ssize_t i, low = -1, high = -1
        cdef uint8_t* used
        self.marks.length = 0
        self.marks.reserve(words.length)
        used = self.marks.data
        memset(used, 0, words.length)
        for i in range(n):
            used[codes[i]] = 1
        for i in range(words.length):
            if not used[i]:
                continue
            if low < 0 or _order(data, ends, i, low) < 0:
                low = i
            if high < 0 or _order(data, ends, i, high) > 0:
                high = i
        chunk.lowest = (<const char*>data)[ends[low]:ends[low + 1]] if ends[low + 1] > ends[low] else b""
        chunk.highest = (
            (<const char*>data)[ends[high]:ends[high + 1]] if ends[high + 1] > ends[high] else b""
        )
        return 0

    cdef bytes _bloom(
        self, Chunk chunk, const int32_t* ends, const uint8_t* data, const uint8_t* valid,
        Py_ssize_t first, Py_ssize_t n, Py_ssize_t distinct,
    ):
        """A split block bloom filter of texts, with its header. Of several pages: one for all."""
        cdef Buffer out = Buffer()
        cdef Thrift header = Thrift(out)
        cdef Py_ssize_t i, size = 32
        cdef double wanted = -distinct / _log_miss(chunk.column.fpp)
        cdef uint64_t h, blocks
        cdef uint32_t* block
        cdef int k
        while size < wanted and size < 1 << 27:
            size *= 2
        header.number(1, T_I32, size)
        for k in range(2, 5):
            header.begin(k)
            header.begin(1)
            header.end()
            header.end()
        put_byte(out, 0)
        out.reserve(size)
        memset(out.data + out.length, 0, size)
        blocks = size >> 5
        for i in range(first, first + n):
            if valid is not NULL and not bit_at(valid, i):
                continue
            h = hash64(data + ends[i], ends[i + 1] - ends[i], 0)
            block = <uint32_t*>(out.data + out.length) + 8 * (((h >> 32) * blocks) >> 32)
            for k in range(8):
                block[k] |= <uint32_t>1 << ((<uint32_t>h * SALTS[k]) >> 27)
        out.length += size
        return bytes(self._view(out))


cdef double _log_miss(double fpp):
    """ln(1 - fpp^(1/8)): values per byte of a filter are its inverse (BloomFilter.md)."""
    from math import log

    return log(1 - fpp ** 0.125)


cdef Py_ssize_t _nulls(const uint8_t* valid, Py_ssize_t first, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i = first, end = first + n, found = 0
    cdef uint64_t word
    if valid is NULL:
        return 0
    while i < end and i & 7:
        found += bit_at(valid, i)
        i += 1
    while end - i >= 64:
        memcpy(&word, valid + (i >> 3), 8)
        found += popcount(word)
        i += 64
    while i < end:
        found += bit_at(valid, i)
        i += 1
    return n - found


cdef int _copy_bits(
    uint8_t* to, const uint8_t* bits, Py_ssize_t first, Py_ssize_t n
) noexcept nogil:
    """`n` bits from `first` on, the last byte filled up with zeros."""
    cdef Py_ssize_t i, size = (n + 7) >> 3
    if first & 7 == 0:
        memcpy(to, bits + (first >> 3), size)
        if n & 7:
            to[size - 1] = to[size - 1] & <uint8_t>((1 << (n & 7)) - 1)
        return 0
    memset(to, 0, size)
    for i in range(n):
        to[i >> 3] = to[i >> 3] | <uint8_t>(bit_at(bits, first + i) << (i & 7))
    return 0


cdef int _order(const uint8_t* data, const int32_t* ends, Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    """Of two words, as bytes: below, above or 0."""
    cdef Py_ssize_t m = ends[a + 1] - ends[a], n = ends[b + 1] - ends[b]
    cdef int order = memcmp(data + ends[a], data + ends[b], m if m < n else n) if m and n else 0
    return order if order else (m > n) - (m < n)


cdef Py_ssize_t _page_end(const int32_t* ends, Py_ssize_t begin, Py_ssize_t n) noexcept nogil:
    """Where a page of texts that begins at a row ends."""
    cdef Py_ssize_t i = begin + 1
    if ends[n] - ends[begin] <= PAGE_BYTES:
        return n
    while i < n and ends[i + 1] - ends[begin] <= PAGE_BYTES:
        i += 1
    return i


# --- the footer ----------------------------------------------------------------------------------

cdef Py_ssize_t _skip(const uint8_t* p, Py_ssize_t at, int kind) noexcept:
    """Behind a value of Thrift's compact protocol that pyarrow wrote a moment ago."""
    cdef uint64_t n = 0
    cdef int shift = 0, item
    if kind <= 2:               # booleans are their own type
        return at
    if kind == 3:
        return at + 1
    if kind == 7:
        return at + 8
    if kind == T_STRUCT:
        while p[at]:
            item = p[at] & 15
            at += 1
            if p[at - 1] >> 4 == 0:
                at = _skip(p, at, T_I32)
            at = _skip(p, at, item)
        return at + 1
    if kind == T_LIST:
        item = p[at] & 15
        n = p[at] >> 4
        at += 1
        if n == 15:
            n = 0
            while True:
                n |= <uint64_t>(p[at] & 0x7F) << shift
                shift += 7
                at += 1
                if p[at - 1] < 0x80:
                    break
        while n:
            at = _skip(p, at, item)
            n -= 1
        return at
    while True:                 # a number, or the length of a text
        n |= <uint64_t>(p[at] & 0x7F) << shift
        shift += 7
        at += 1
        if p[at - 1] < 0x80:
            break
    return at + <Py_ssize_t>n if kind == T_BINARY else at


def parts_of_footer(bytes footer):
    """Of the footer of a file without rows, as they stand there: what says the version, the
    elements of the schema (the root's first), and the orders of the columns."""
    cdef const uint8_t* p = footer
    cdef Py_ssize_t at = 0, before
    cdef int number = 0, kind
    version, elements, orders = b"", [], []
    while p[at]:
        number += p[at] >> 4
        kind = p[at] & 15
        before = at + 1
        at = _skip(p, before, kind)
        if number == 1:
            version = footer[:at]
        elif number == 2:
            elements = _items(footer, before, at)
        elif number == 7:
            orders = _items(footer, before, at)
    return version, elements, orders


cdef list _items(bytes footer, Py_ssize_t at, Py_ssize_t end):
    """The items of a list of structs that stands in [at, end)."""
    cdef const uint8_t* p = footer
    cdef Py_ssize_t before
    cdef bint long_one = p[at] >> 4 == 15
    items = []
    at += 1
    if long_one:
        at = _skip(p, at, T_I32)
    while at < end:
        before = at
        at = _skip(p, before, T_STRUCT)
        items.append(footer[before:at])
    return items


def footer_of(
    bytes version, list elements, int fields, list orders, list groups, dict said, bytes made_by
):
    """A file's footer.

    Args:
        version, elements, orders: of `parts_of_footer`, for the file's schema; the root is not
            among the elements.
        fields: how many the root has.
        groups: (rows, [Chunk], where it begins), in order.
        said: its metadata, bytes by bytes.
        made_by: which program has written it.
    """
    cdef Buffer out = Buffer()
    cdef Thrift to = Thrift(out)
    cdef Chunk chunk
    cdef Py_ssize_t ordinal = 0
    put_bytes(out, <const char*>version, len(version))
    to.last = 1
    to.list(2, T_STRUCT, len(elements) + 1)
    to.begin(0)
    to.number(3, T_I32, 0)      # required
    to.text(4, b"schema")
    to.number(5, T_I32, fields)
    to.end()
    for said_so in elements:
        put_bytes(out, <const char*>said_so, len(said_so))
    to.number(3, T_I64, sum(rows for rows, _, _ in groups))
    to.list(4, T_STRUCT, len(groups))
    for rows, chunks, begin in groups:
        to.begin(0)
        to.list(1, T_STRUCT, len(chunks))
        for chunk in chunks:
            to.begin(0)
            to.number(2, T_I64, 0)
            to.begin(3)
            _column_said(to, chunk)
            to.end()
            to.end()
        to.number(2, T_I64, sum((<Chunk?>one).size for one in chunks))
        to.number(3, T_I64, rows)
        to.number(5, T_I64, begin)
        to.number(6, T_I64, sum((<Chunk?>one).packed for one in chunks))
        if ordinal < 0x7FFF:
            to.number(7, 4, ordinal)
        ordinal += 1
        to.end()
    if said:
        to.list(5, T_STRUCT, len(said))
        for key, value in said.items():
            to.begin(0)
            to.text(1, key)
            to.text(2, value)
            to.end()
    to.text(6, made_by)
    to.list(7, T_STRUCT, len(orders))
    for said_so in orders:
        put_bytes(out, <const char*>said_so, len(said_so))
    put_byte(out, 0)
    return bytes(<uint8_t[:out.length]>out.data)


cdef int _column_said(Thrift to, Chunk chunk) except -1:
    cdef Column column = chunk.column
    to.number(1, T_I32, column.physical)
    to.list(2, T_I32, len(chunk.encodings))
    for encoding in sorted(chunk.encodings):
        put_zigzag(to.out, encoding)
    to.list(3, T_BINARY, len(column.path))
    for name in column.path:
        to.item(name.encode())
    to.number(4, T_I32, column.codec_number if chunk.packed_pages else 0)
    to.number(5, T_I64, chunk.values)
    to.number(6, T_I64, chunk.size)
    to.number(7, T_I64, chunk.packed)
    to.number(9, T_I64, chunk.pages_at)
    if chunk.words_at >= 0:
        to.number(11, T_I64, chunk.words_at)
    # DuckDB 1.5 looks at no bloom filter of a column that says nothing: the nulls are enough.
    if column.keeps or column.fpp:
        to.begin(12)
        to.number(3, T_I64, chunk.nulls)
        if chunk.lowest is not None:
            to.text(5, chunk.highest)
            to.text(6, chunk.lowest)
        to.end()
    if chunk.bloom is not None:
        to.number(14, T_I64, chunk.bloom_at)
        to.number(15, T_I32, len(chunk.bloom))
    return 0
