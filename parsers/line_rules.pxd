"""Lines of text onto a tape, as mapping files describe them (normalize/lines.py)."""

from libc.stdint cimport int32_t, uint8_t

from tracelake.parsers.cells cimport Cells
from tracelake.parsers.tape cimport Tape


cdef enum PartKind:
    ANY_TEXT, IP, NUMBER, DECIMAL, WORD_ONLY


cdef struct Literal:
    const uint8_t* p
    Py_ssize_t n


cdef struct PartRule:
    int32_t node                # -1: not kept
    int kind
    bint last


cdef struct Found:
    const uint8_t* p
    Py_ssize_t n


cdef class LinePattern:
    cdef list _keep
    cdef int count
    cdef Literal* literals      # one more than parts
    cdef PartRule* parts
    cdef Found* found           # of the last text that fitted
    cdef int by                 # index of the part that chooses, and of the one that is divided
    cdef int of

    cdef bint matches(self, const uint8_t* p, Py_ssize_t n) noexcept nogil
    cdef int put(self, Tape tape) except -1


cdef struct Test:               # a column that must have one of some texts
    Py_ssize_t column
    int count
    Literal* texts


cdef class LineRule:
    cdef list _keep
    cdef Tape tape
    cdef list begins
    cdef dict patterns          # bytes -> list of LinePattern
    cdef uint8_t split
    cdef int32_t* nodes
    cdef Py_ssize_t columns
    cdef Py_ssize_t least
    cdef bint exact
    cdef Test* tests
    cdef int test_count
    cdef int32_t* constant_nodes
    cdef Literal* constants
    cdef int constant_count
    cdef Cells cells

    cdef bint put(self, const uint8_t* p, Py_ssize_t n) except -1
    cdef bint _cells(self, const uint8_t* p, Py_ssize_t n) except -1
    cdef bint _parts(self, const uint8_t* p, Py_ssize_t n) except -1
    cdef int _divide(self, const uint8_t* p, Py_ssize_t n, bint last) except -1


cdef class LineRules:
    cdef readonly Tape tape
    cdef dict programs          # bytes -> list of LineRule
    cdef list others            # of no program

    # Puts what a message says on the tape; False where no rule knows it. `program` may be empty.
    cdef bint put(
        self, const uint8_t* program, Py_ssize_t m, const uint8_t* p, Py_ssize_t n
    ) except -1
