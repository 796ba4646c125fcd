"""What a log line carries, on a tape: CEF, LEEF, JSON, key=value, and lines that a mapping knows."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from tracelake.parsers.line_rules cimport LineRules
from tracelake.parsers.shaped cimport Shaped
from tracelake.parsers.syslog_head cimport Head
from tracelake.parsers.textrows cimport Record


cdef class Payloads:
    cdef readonly Shaped shaped
    cdef LineRules rules
    cdef int32_t[10] nodes

    # Puts what the line carries on the tape. `headed`: `head` is the line's, of a system log; it is
    # read anew where the event begins in the middle of it. False: it carries nothing that is known.
    cdef bint take(self, const uint8_t* p, Py_ssize_t n, Head* head, bint* headed) except -1
    # Ends the row of a line that was taken: its head's fields too. 1: a batch is full.
    cdef int row(self, const Head* head, const Record* record, bint headed) except -1
    # --- inside ---
    cdef int _head(self, const Head* head, const Record* record) except -1
    cdef int _text(self, int which, const uint8_t* p, Py_ssize_t n, int flags) except -1
    cdef bint _body(self, const uint8_t* program, Py_ssize_t m, const uint8_t* p, Py_ssize_t n
                    ) except -1
