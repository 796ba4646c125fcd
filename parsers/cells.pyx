"""A record of a table as text, divided into its cells.

Specification: RFC 4180, with any delimiter. A cell is quoted where it begins with a quote; inside,
delimiters and line ends are text, and two quotes are one. What programs write beside the RFC is
taken as it stands: a quote inside a cell that does not begin with one is text, and so is a whole
cell, quotes included, where something follows its closing quote.

The scan goes on where it stopped, so that a record of many megabytes that arrives in pieces is
looked at once.
"""

from libc.stdlib cimport free, realloc
from libc.string cimport memchr

cdef enum State:
    FIRST               # at the first byte of a cell
    PLAIN               # inside one without quotes
    INSIDE              # inside quotes
    QUOTE               # behind a quote inside quotes: closing, or the first of two


cdef void cells_begin(Cells* cells) noexcept nogil:
    cells.count = 0
    cells.at = 0
    cells.start = 0
    cells.state = FIRST
    cells.doubled = False
    cells.too_many = False
    cells.rough = False
    cells.length = 0


cdef void cells_free(Cells* cells) noexcept nogil:
    free(cells.cell)
    cells.cell = NULL
    cells.room = 0


cdef bint open_quote(const Cells* cells) noexcept nogil:
    return cells.state == INSIDE


cdef int _add(Cells* cells, Py_ssize_t start, Py_ssize_t end, bint doubled) except -1 nogil:
    cdef Py_ssize_t room
    cdef Cell* grown
    if cells.count == MOST_CELLS:
        cells.too_many = True
        return 0
    if cells.count == cells.room:
        room = 64 if cells.room == 0 else 2 * cells.room
        grown = <Cell*>realloc(cells.cell, room * sizeof(Cell))
        if grown is NULL:
            with gil:
                raise MemoryError()
        cells.cell = grown
        cells.room = room
    cells.cell[cells.count] = Cell(start, end, doubled)
    cells.count += 1
    return 0


cdef int _close(Cells* cells, Py_ssize_t end) except -1 nogil:
    """Ends the cell at hand before the byte at `end`."""
    if cells.state == QUOTE:
        _add(cells, cells.start + 1, end - 1, cells.doubled)
    else:
        _add(cells, cells.start, end, False)
    cells.state = FIRST
    cells.doubled = False
    cells.start = end + 1
    return 0


cdef int cells_scan(
    Cells* cells, const uint8_t* p, Py_ssize_t n, uint8_t delimiter, uint8_t quote, bint last
) except -1 nogil:
    cdef Py_ssize_t at = cells.at, end
    cdef const void* found
    cdef uint8_t c
    while at < n:
        if cells.state == INSIDE:
            found = memchr(p + at, quote, n - at)
            if found is NULL:
                at = n
                break
            at = <const uint8_t*>found - p + 1
            cells.state = QUOTE
            continue
        c = p[at]
        if c == delimiter:
            _close(cells, at)
        elif c == 10:
            end = at
            if end > cells.start and p[end - 1] == 13:
                end -= 1
                if cells.state == PLAIN and end == cells.start:
                    cells.state = FIRST
            _close(cells, end)
            cells.length = end
            cells.at = at + 1
            return 1
        elif cells.state == FIRST:
            cells.state = INSIDE if c == quote and quote else PLAIN
        elif cells.state == QUOTE:
            if c == quote:
                cells.doubled = True
                cells.state = INSIDE
            elif c != 13:
                # Something follows the closing quote: the cell is text as it stands.
                cells.state = PLAIN
                cells.rough = True
            elif at + 1 < n:
                if p[at + 1] != 10:
                    cells.state = PLAIN
            elif not last:
                break               # the next byte decides
        at += 1
    cells.at = at
    if not last or cells.state == INSIDE:
        return 0
    end = n
    if end > cells.start and cells.state != FIRST and p[end - 1] == 13:
        end -= 1
    _close(cells, end)
    cells.length = end
    return 1


cdef int cells_force(Cells* cells, Py_ssize_t n) except -1 nogil:
    _add(cells, cells.start + 1, max(n, cells.start + 1), cells.doubled)
    cells.length = cells.at = n
    return 0


cdef Py_ssize_t put_cell(
    const Cell* cell, const uint8_t* p, uint8_t quote, uint8_t* out
) noexcept nogil:
    cdef Py_ssize_t i = cell.start, made = 0
    while i < cell.end:
        out[made] = p[i]
        made += 1
        if p[i] == quote:
            i += 1
        i += 1
    return made


def split(bytes data, str delimiter=",", str quote='"', bint last=True):
    """[(cells as bytes, one past the record)] of a text; the last record is left out where it
    goes on or its quote is open. For telling the form of a file, and for tests."""
    cdef Cells cells = Cells(NULL, 0, 0, 0, 0, 0, False, False, False, 0)
    cdef const uint8_t* p = <const uint8_t*><const char*>data
    cdef Py_ssize_t at = 0, n = len(data), i, size
    cdef uint8_t d = ord(delimiter), q = ord(quote) if quote else 0
    cdef bytearray made
    records = []
    try:
        while at < n:
            cells_begin(&cells)
            if not cells_scan(&cells, p + at, n - at, d, q, last):
                break
            row = []
            for i in range(cells.count):
                size = cells.cell[i].end - cells.cell[i].start
                if cells.cell[i].doubled:
                    made = bytearray(size + 1)
                    size = put_cell(&cells.cell[i], p + at, q, <uint8_t*><char*>made)
                    row.append(bytes(made[:size]))
                else:
                    row.append(data[at + cells.cell[i].start : at + cells.cell[i].end])
            at += cells.at
            records.append((row, at))
    finally:
        cells_free(&cells)
    return records
