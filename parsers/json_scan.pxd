"""JSON text (RFC 8259) onto a tape.

    found = scan_json(tape, 0, p, n, readable, &fault)        # after tape.begin()

Everything of the text is in the tape then, or it is refused with the reason and its place. What
it reads beyond the standard: NaN, Infinity and -Infinity (as their text), and texts that are not
well-formed UTF-8 or have half of a surrogate pair, which are repaired (`tape.repaired`).

- A text is what its escapes mean; a number that fits 64 bits is a number, any other its own
  text, digit for digit. Lists, and objects nested more than DEPTH deep, are JSON text without
  white space, with escapes only where they must be.
- Members with the same name are entries of the same node.
- A record that is no object is the member `value` of one.
- Nesting beyond NESTING is refused. Nothing is recursive.
"""

from libc.stdint cimport int32_t, uint8_t

from tracelake.parsers.tape cimport Tape
from tracelake.parsers.values cimport Value


cdef enum:
    DEPTH = 33                  # names in a path
    NESTING = 1000              # objects and lists in one another


cdef struct Fault:
    const char* why
    Py_ssize_t at               # bytes before it


cdef enum Scanned:
    FAILED = -1                 # an exception
    REFUSED                     # it is no JSON
    TAKEN
    OTHER                       # (scan_inside) it is JSON, but no object


# Puts the JSON value in the `n` bytes at `p` onto the tape; `readable`, at least `n`, may be read.
# An object's members go below `node`, another value is its member `value`. REFUSED leaves the tape
# with the values up to there. Objects in lists whose node says so (`nests`) are noted, too.
cdef Scanned scan_json(
    Tape tape, int32_t node, const uint8_t* p, Py_ssize_t n, Py_ssize_t readable, Fault* fault
) except FAILED nogil
# The same of an object that stands as text in the value of `node`: its members go below it.
# What is no object puts nothing onto the tape.
cdef Scanned scan_inside(
    Tape tape, int32_t node, const uint8_t* p, Py_ssize_t n
) except FAILED nogil
# Makes the JSON text of a NEST (known to be JSON) what a list's is.
cdef int compact_nest(Tape tape, Value* value) except -1 nogil
# Where the JSON value at `p` ends; NULL where it is none.
cdef const uint8_t* json_end(
    const uint8_t* p, const uint8_t* end, const uint8_t* limit, Fault* fault
) noexcept nogil
