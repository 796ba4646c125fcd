"""Which combinations of words the rows of a batch have, how often, and from when to when.

What `group_by` of pyarrow does in a tenth of the time, and without the 30 ms that it takes to load
Arrow's engine for it: together they were 5 % of reading an event log of 320 MB.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t, uintptr_t
from libc.string cimport memset

from tracelake.native.columns cimport Buffer

cdef enum:
    MOST_COLUMNS = 8
    FIRST_PLACES = 256          # a power of two


cdef struct Codes:
    const int32_t* codes
    const uint8_t* valid        # NULL: all are
    Py_ssize_t offset


cdef struct Group:
    Py_ssize_t row              # the first that has the combination
    int64_t first
    int64_t last
    int64_t timed               # rows with a time
    int64_t count


cdef inline bint _is_valid(const uint8_t* bits, Py_ssize_t i) noexcept nogil:
    return bits is NULL or bits[i >> 3] >> (i & 7) & 1


cdef inline int32_t _code(const Codes* column, Py_ssize_t row) noexcept nogil:
    if not _is_valid(column.valid, column.offset + row):
        return -1
    return column.codes[column.offset + row]


cdef inline uint64_t _hash(const Codes* columns, int count, Py_ssize_t row) noexcept nogil:
    cdef uint64_t h = 0
    cdef int i
    for i in range(count):
        h = (h ^ <uint64_t>(_code(&columns[i], row) + 1)) * 0x9E3779B97F4A7C15ULL
        h ^= h >> 29
    return h


cdef inline bint _same(
    const Codes* columns, int count, Py_ssize_t a, Py_ssize_t b
) noexcept nogil:
    cdef int i
    for i in range(count):
        if _code(&columns[i], a) != _code(&columns[i], b):
            return False
    return True


cdef class Combined:
    """The groups of a batch, and where each is found."""
    cdef Buffer groups
    cdef Buffer places          # int32: a group's number + 1; 0: free
    cdef Py_ssize_t count
    cdef Py_ssize_t mask

    def __cinit__(self):
        self.groups = Buffer()
        self.places = Buffer()

    cdef int _spread(self, Py_ssize_t size, const Codes* columns, int width) except -1 nogil:
        """Makes a table of so many places of the groups that are there."""
        cdef int32_t* places
        cdef Py_ssize_t i, at
        self.places.length = 0
        self.places.reserve(size * sizeof(int32_t))
        memset(self.places.data, 0, size * sizeof(int32_t))
        self.mask = size - 1
        places = <int32_t*>self.places.data
        for i in range(self.count):
            at = _hash(columns, width, (<Group*>self.groups.data)[i].row) & self.mask
            while places[at]:
                at = (at + 1) & self.mask
            places[at] = <int32_t>(i + 1)
        return 0

    cdef Group* _of(self, Py_ssize_t row, const Codes* columns, int width) except NULL nogil:
        cdef Py_ssize_t at
        cdef Group* group
        if 2 * self.count >= self.mask:
            self._spread(2 * (self.mask + 1), columns, width)
        at = _hash(columns, width, row) & self.mask
        while (<int32_t*>self.places.data)[at]:
            group = <Group*>self.groups.data + (<int32_t*>self.places.data)[at] - 1
            if _same(columns, width, group.row, row):
                return group
            at = (at + 1) & self.mask
        self.groups.length = self.count * sizeof(Group)
        self.groups.reserve(sizeof(Group))
        group = <Group*>self.groups.data + self.count
        memset(group, 0, sizeof(Group))
        group.row = row
        self.count += 1
        (<int32_t*>self.places.data)[at] = <int32_t>self.count
        return group

    cdef int fill(
        self, const Codes* columns, int width, const int64_t* times, const uint8_t* timed,
        Py_ssize_t offset, Py_ssize_t rows,
    ) except -1 nogil:
        cdef Py_ssize_t row
        cdef Group* group = NULL
        cdef int64_t time
        self._spread(FIRST_PLACES, columns, width)
        for row in range(rows):
            # From one row to the next it is mostly the same.
            if group is NULL or not _same(columns, width, group.row, row):
                group = self._of(row, columns, width)
            group.count += 1
            if times is NULL or not _is_valid(timed, offset + row):
                continue
            time = times[offset + row]
            if group.timed == 0 or time < group.first:
                group.first = time
            if group.timed == 0 or time > group.last:
                group.last = time
            group.timed += 1
        return 0


cdef const uint8_t* _address(buffer):
    return NULL if buffer is None else <const uint8_t*><uintptr_t>buffer.address


def combinations(list columns, time, Py_ssize_t rows):
    """The combinations of codes in the rows of a batch, in the order in which they come first.

    Args:
        columns: pyarrow.Int32Array each, of `rows`; 8 at most.
        time: pyarrow.Int64Array of `rows`, or None.
        rows: less than 2**31.

    Returns:
        of each: its codes (None: null), first and last time (None: it has none), rows.

    Raises:
        ValueError: arrays of other types or lengths.
    """
    cdef Codes[MOST_COLUMNS] codes
    cdef const int64_t* times = NULL
    cdef const uint8_t* timed = NULL
    cdef Py_ssize_t offset = 0, i
    cdef int width = len(columns), k
    cdef Combined found = Combined()
    cdef Group* group
    cdef int32_t code
    if width > MOST_COLUMNS or rows >= 0x7FFFFFFF:
        raise ValueError(f"{width} columns of {rows} rows are too many")
    for k in range(width):
        column = columns[k]
        if str(column.type) != "int32" or len(column) != rows:
            raise ValueError(f"{len(column)} codes of {column.type} for {rows} rows")
        valid, values = column.buffers()
        codes[k] = Codes(
            <const int32_t*>_address(values), _address(valid if column.null_count else None),
            column.offset,
        )
    if time is not None:
        if str(time.type) != "int64" or len(time) != rows:
            raise ValueError(f"{len(time)} times of {time.type} for {rows} rows")
        valid, values = time.buffers()
        times = <const int64_t*>_address(values)
        timed = _address(valid if time.null_count else None)
        offset = time.offset
    with nogil:
        found.fill(codes, width, times, timed, offset, rows)
    out = []
    for i in range(found.count):
        group = <Group*>found.groups.data + i
        row = []
        for k in range(width):
            code = _code(&codes[k], group.row)
            row.append(None if code < 0 else code)
        out.append(
            (tuple(row), group.first if group.timed else None,
             group.last if group.timed else None, group.count)
        )
    return out
