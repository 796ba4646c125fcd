"""A record of a table as text (CSV, TSV and the like), divided into its cells."""

from libc.stdint cimport uint8_t


cdef enum:
    MOST_CELLS = 16384          # of a record; one with more is none


cdef struct Cell:
    Py_ssize_t start            # in the record; behind the quote
    Py_ssize_t end              # one past its last byte; the closing quote left out
    bint doubled                # it holds quotes that are written twice


cdef struct Cells:
    # The record at hand. `Cells()` of zeros is ready; `cells_end` gives its memory back.
    Cell* cell
    Py_ssize_t count
    Py_ssize_t room
    Py_ssize_t at               # bytes looked at
    Py_ssize_t start            # of the cell at hand
    int state
    bint doubled
    bint too_many
    bint rough                  # something followed a closing quote
    Py_ssize_t length           # of the record without the end of its line


# Makes it ready for the next record.
cdef void cells_begin(Cells* cells) noexcept nogil
cdef void cells_free(Cells* cells) noexcept nogil

# Goes on to the end of the record. 1: it ends (`at` is one past its line's end); 0: it goes on
# behind the `n` bytes that are there. `last`: nothing follows these bytes. A record whose
# quote is not closed does not end, whatever follows: see `open_quote`. quote 0: no quotes.
cdef int cells_scan(
    Cells* cells, const uint8_t* p, Py_ssize_t n, uint8_t delimiter, uint8_t quote, bint last
) except -1 nogil

# Ends a record whose last quote is open at the end of the text.
cdef int cells_force(Cells* cells, Py_ssize_t n) except -1 nogil

# Whether the bytes looked at so far end inside quotes.
cdef bint open_quote(const Cells* cells) noexcept nogil

# Copies a cell without its doubled quotes to `out` (room: its length); bytes written.
cdef Py_ssize_t put_cell(
    const Cell* cell, const uint8_t* p, uint8_t quote, uint8_t* out
) noexcept nogil
