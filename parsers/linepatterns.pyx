"""Messages that are known, matched against declared patterns without a Python object each.

A pattern is a text with names in braces: `Accepted {auth_package} for {user_name} from {addr}
port {src_port} ssh2`. What stands between braces takes the characters up to the first place where
the text after it follows, `{name*}` up to the last. The whole message must match. Names are those
of columns of the pattern's table; others go to `unmapped`. `{_}` is a piece that is not kept.
"""

import re

from libc.stdint cimport uint8_t
from libc.string cimport memchr, memcmp

from tracelake.parsers.textrows cimport Piece, Slot, TextRows

NAME = re.compile(r"\{(\w+\*?)\}")


cdef Py_ssize_t _find(
    const uint8_t* p, Py_ssize_t n, const uint8_t* what, Py_ssize_t m
) noexcept nogil:
    """Where `what` begins in the text, or -1."""
    cdef Py_ssize_t at = 0
    cdef const void* found
    while at + m <= n:
        found = memchr(p + at, what[0], n - m - at + 1)
        if found is NULL:
            return -1
        at = <const uint8_t*>found - p
        if memcmp(p + at, what, m) == 0:
            return at
        at += 1
    return -1


cdef Py_ssize_t _find_last(
    const uint8_t* p, Py_ssize_t n, const uint8_t* what, Py_ssize_t m
) noexcept nogil:
    cdef Py_ssize_t at = n - m
    while at >= 0:
        if p[at] == what[0] and memcmp(p + at, what, m) == 0:
            return at
        at -= 1
    return -1


cdef class Pattern:
    """One pattern.

    Args:
        rows: of its table.
        text: with names in braces.
        constants: columns that every row of it has (text or numbers).
    """

    def __init__(self, TextRows rows, str text, dict constants):
        self.rows = rows
        pieces = NAME.split(text)
        self.literals = [part.encode() for part in pieces[::2]]
        names = pieces[1::2]
        self.first = self.literals[0][0] if self.literals[0] else -1
        if len(names) > MOST_PIECES:
            raise ValueError(f"{text!r}: more than {MOST_PIECES} names")
        if any(not literal for literal in self.literals[1:-1]):
            raise ValueError(f"{text!r}: nothing between two names")
        self.slots = [
            (None if name.rstrip("*") == "_" else rows.slot(name.rstrip("*")), name[-1] == "*")
            for name in names
        ]
        self.constants = [
            (rows.slot(name), str(value).encode() if isinstance(value, str) else None,
             0 if isinstance(value, str) else int(value))
            for name, value in constants.items()
        ]

    cdef bint matches(self, const uint8_t* p, Py_ssize_t n):
        cdef bytes literal = <bytes>self.literals[0]
        cdef Py_ssize_t m = len(literal), count = len(self.slots), i, at
        if n < m or memcmp(p, <const uint8_t*>literal, m) != 0:
            return False
        p += m
        n -= m
        if count == 0:
            return n == 0
        for i in range(count):
            literal = <bytes>self.literals[i + 1]
            m = len(literal)
            if i == count - 1:
                # The last piece: what follows it ends the message.
                if n < m or memcmp(p + n - m, <const uint8_t*>literal, m) != 0:
                    return False
                at = n - m
            elif (<tuple>self.slots[i])[1]:
                at = _find_last(p, n, literal, m)
            else:
                at = _find(p, n, literal, m)
            if at < 0:
                return False
            self.found[i].p = p
            self.found[i].n = at
            p += at + m
            n -= at + m
        return True

    cdef int fill(self) except -1:
        """Puts what `matches` found, and the constants, at the current row of its table."""
        cdef Py_ssize_t i
        cdef tuple slot
        cdef bytes text
        for i in range(len(self.slots)):
            slot = <tuple>self.slots[i]
            if slot[0] is not None and self.found[i].n:
                self.rows.put(<Slot>slot[0], self.found[i].p, self.found[i].n)
        for slot in self.constants:
            if slot[1] is None:
                self.rows.set(<Slot>slot[0], slot[2])
            else:
                text = <bytes>slot[1]
                self.rows.put(<Slot>slot[0], text, len(text))
        return 0


cdef class Patterns:
    """The patterns of programs, tried in their order.

    Args:
        rules: (programs, table, columns, texts) each; programs as they are logged, in lower case.
        tables: TextRows by table, shared with whoever fills them, too.
    """

    def __init__(self, rules, dict tables):
        cdef bytes name
        self.tables = tables
        self.programs = {}
        self.last = b""
        for programs, table, constants, texts in rules:
            made = [Pattern(self.into(table), text, constants) for text in texts]
            for program in programs:
                name = program.encode()
                self.programs.setdefault(name, []).extend(made)
                self.likely[len(name) & 31][name[0]] = True

    cdef TextRows into(self, str table):
        rows = self.tables.get(table)
        if rows is None:
            rows = self.tables[table] = TextRows(table)
        return rows

    cdef Pattern find(
        self, const uint8_t* program, Py_ssize_t m, const uint8_t* p, Py_ssize_t n
    ):
        """The first pattern that matches a program's message, or None."""
        cdef Py_ssize_t i
        cdef list patterns
        cdef Pattern pattern
        cdef uint8_t c
        if m <= 0 or m > 31:
            return None
        c = program[0]
        if 65 <= c <= 90:
            c |= 32
        if not self.likely[m][c]:
            return None
        if len(self.last) != m or memcmp(<const uint8_t*>self.last, program, m) != 0:
            self.last = (<const char*>program)[:m]
            self.last_patterns = self.programs.get(self.last.lower())
        patterns = self.last_patterns
        if patterns is None or n == 0:
            return None
        for i in range(len(patterns)):
            pattern = <Pattern>patterns[i]
            if (pattern.first < 0 or pattern.first == p[0]) and pattern.matches(p, n):
                return pattern
        return None
