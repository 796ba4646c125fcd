"""Lines of text onto a tape, as mapping files describe them (normalize/lines.py says how)."""

from libc.string cimport memchr, memcmp

from tracelake.parsers.cells cimport cells_begin, cells_free, cells_scan, put_cell
from tracelake.parsers.textrows cimport looks_like_address
from tracelake.parsers.values cimport TEXT, Value

KINDS = {"": ANY_TEXT, "ip": IP, "number": NUMBER, "decimal": DECIMAL, "word": WORD_ONLY}

cdef enum:
    LONGEST_PROGRAM = 63


cdef void* _block(list keep, Py_ssize_t size) except NULL:
    """Zeroed memory that lives as long as `keep`."""
    made = bytearray(size if size > 0 else 1)
    keep.append(made)
    return <void*><char*>made


cdef Literal _literal(list keep, str text) except *:
    cdef bytes made = text.encode()
    keep.append(made)
    return Literal(<const uint8_t*><const char*>made, len(made))


cdef int32_t _node(Tape tape, str name) except -2:
    """The node of a name; one with dots is a path. -1: not kept."""
    if name == "_":
        return -1
    return tape.at(name)


cdef Py_ssize_t _find(
    const uint8_t* p, Py_ssize_t n, const Literal* what
) noexcept nogil:
    """Where a text begins in another, or -1."""
    cdef Py_ssize_t at = 0
    cdef const void* found
    if what.n == 0:
        return n
    while at + what.n <= n:
        found = memchr(p + at, what.p[0], n - what.n - at + 1)
        if found is NULL:
            return -1
        at = <const uint8_t*>found - p
        if memcmp(p + at, what.p, what.n) == 0:
            return at
        at += 1
    return -1


cdef Py_ssize_t _find_last(const uint8_t* p, Py_ssize_t n, const Literal* what) noexcept nogil:
    cdef Py_ssize_t at = n - what.n
    while at >= 0:
        if p[at] == what.p[0] and memcmp(p + at, what.p, what.n) == 0:
            return at
        at -= 1
    return -1


cdef bint _is_kind(int kind, const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef int dots = 0
    if kind == ANY_TEXT:
        return True
    if kind == IP:
        return looks_like_address(p, n)
    if n == 0:
        return False
    for i in range(n):
        if kind == WORD_ONLY:
            if p[i] <= 32:
                return False
        elif p[i] == 46 and kind == DECIMAL and dots == 0 and i:
            dots = 1
        elif not 48 <= p[i] <= 57:
            return False
    return True


cdef class LinePattern:
    """A pattern, compiled.

    Args:
        tape: that its parts are put on.
        given: normalize.lines.Pattern.
        by, of: names of the part that chooses further patterns, and of the one they are for.
    """

    def __init__(self, Tape tape, given, str by="", str of=""):
        cdef int i
        self._keep = []
        self.count = len(given.parts)
        self.literals = <Literal*>_block(self._keep, (self.count + 1) * sizeof(Literal))
        self.parts = <PartRule*>_block(self._keep, self.count * sizeof(PartRule))
        self.found = <Found*>_block(self._keep, self.count * sizeof(Found))
        self.by = self.of = -1
        for i, text in enumerate(given.texts):
            self.literals[i] = _literal(self._keep, text)
        for i, part in enumerate(given.parts):
            self.parts[i].node = _node(tape, part.name)
            self.parts[i].kind = KINDS[part.kind]
            self.parts[i].last = part.last
            if by and part.name == by:
                self.by = i
            if of and part.name == of:
                self.of = i

    cdef bint matches(self, const uint8_t* p, Py_ssize_t n) noexcept nogil:
        cdef Literal* literal = &self.literals[0]
        cdef Py_ssize_t at
        cdef int i
        if n < literal.n or memcmp(p, literal.p, literal.n) != 0:
            return False
        p += literal.n
        n -= literal.n
        for i in range(self.count):
            if literal.n and literal.p[literal.n - 1] == 32:
                while n and p[0] == 32:
                    p += 1
                    n -= 1
            literal = &self.literals[i + 1]
            if i == self.count - 1:
                # The last part: what follows it ends the line.
                if n < literal.n or memcmp(p + n - literal.n, literal.p, literal.n) != 0:
                    return False
                at = n - literal.n
            elif self.parts[i].last:
                at = _find_last(p, n, literal)
            else:
                at = _find(p, n, literal)
            if at < 0 or not _is_kind(self.parts[i].kind, p, at):
                return False
            self.found[i].p = p
            self.found[i].n = at
            p += at + literal.n
            n -= at + literal.n
        return True

    cdef int put(self, Tape tape) except -1:
        """Puts the parts of the text that `matches` was asked for last."""
        cdef Value value
        cdef int i
        for i in range(self.count):
            if self.parts[i].node >= 0 and self.found[i].n:
                value = Value(TEXT, self.found[i].p, self.found[i].n, 0)
                tape.add(self.parts[i].node, &value)
        return 0


cdef class LineRule:
    """One of `[[lines]]`, compiled.

    Args:
        tape: that it puts on.
        given: normalize.lines.Line.
    """

    def __init__(self, Tape tape, given):
        cdef Py_ssize_t i
        cdef int j
        self._keep = []
        self.tape = tape
        self.begins = [LinePattern(tape, one, given.by, given.of) for one in given.begins]
        self.patterns = {
            value.encode(): [LinePattern(tape, one) for one in found]
            for value, found in given.patterns.items()
        }
        self.split = ord(given.split) if given.split else 0
        self.columns = len(given.columns)
        self.least = given.least
        self.exact = given.exact
        self.nodes = <int32_t*>_block(self._keep, self.columns * sizeof(int32_t))
        for i, name in enumerate(given.columns):
            self.nodes[i] = _node(tape, name or f"column {i + 1}")
        self.test_count = len(given.where)
        self.tests = <Test*>_block(self._keep, self.test_count * sizeof(Test))
        for i, (name, texts) in enumerate(given.where.items()):
            self.tests[i].column = given.columns.index(name)
            self.tests[i].count = len(texts)
            self.tests[i].texts = <Literal*>_block(self._keep, len(texts) * sizeof(Literal))
            for j, text in enumerate(texts):
                self.tests[i].texts[j] = _literal(self._keep, text)
        self.constant_count = len(given.constants)
        self.constant_nodes = <int32_t*>_block(self._keep, self.constant_count * sizeof(int32_t))
        self.constants = <Literal*>_block(self._keep, self.constant_count * sizeof(Literal))
        for i, (name, text) in enumerate(given.constants.items()):
            self.constant_nodes[i] = _node(tape, name)
            self.constants[i] = _literal(self._keep, text)

    def __dealloc__(self):
        cells_free(&self.cells)

    cdef bint put(self, const uint8_t* p, Py_ssize_t n) except -1:
        cdef Value value
        cdef int i
        if not (self._cells(p, n) if self.split else self._parts(p, n)):
            return False
        for i in range(self.constant_count):
            value = Value(TEXT, self.constants[i].p, self.constants[i].n, 0)
            self.tape.add(self.constant_nodes[i], &value)
        return True

    cdef int _divide(self, const uint8_t* p, Py_ssize_t n, bint last) except -1:
        """Divides a line into cells; runs of blanks are one."""
        cdef Py_ssize_t at = 0, start
        if self.split != 32:
            cells_begin(&self.cells)
            return cells_scan(&self.cells, p, n, self.split, 34, True)
        # One blank after the other closes empty cells, which are left out below.
        cells_begin(&self.cells)
        if not cells_scan(&self.cells, p, n, 32, 34, True):
            return 0
        for start in range(self.cells.count):
            if self.cells.cell[start].end > self.cells.cell[start].start:
                self.cells.cell[at] = self.cells.cell[start]
                at += 1
        self.cells.count = at
        return 1

    cdef bint _cells(self, const uint8_t* p, Py_ssize_t n) except -1:
        cdef Cells* cells = &self.cells
        cdef Value value
        cdef uint8_t* made
        cdef Py_ssize_t i, size
        cdef int32_t node
        cdef Test* test
        cdef int j, k
        cdef bint fits
        if memchr(p, self.split, n) is NULL and self.columns > 1 and self.least > 1:
            return False
        if not self._divide(p, n, True) or cells.too_many or cells.count < self.least or (
            self.exact and cells.count != self.columns
        ):
            return False
        for j in range(self.test_count):
            test = &self.tests[j]
            if test.column >= cells.count:
                return False
            size = cells.cell[test.column].end - cells.cell[test.column].start
            fits = False
            for k in range(test.count):
                if test.texts[k].n == size and memcmp(
                    test.texts[k].p, p + cells.cell[test.column].start, size
                ) == 0:
                    fits = True
                    break
            if not fits:
                return False
        for i in range(cells.count):
            size = cells.cell[i].end - cells.cell[i].start
            if size == 0:
                continue
            node = self.nodes[i] if i < self.columns else _node(self.tape, f"column {i + 1}")
            if node < 0:
                continue
            value = Value(TEXT, p + cells.cell[i].start, size, 0)
            if cells.cell[i].doubled:
                made = self.tape.room(size)
                value.n = put_cell(&cells.cell[i], p, 34, made)
                value.p = made
                self.tape.used(value.n)
            self.tape.add(node, &value)
        return True

    cdef bint _parts(self, const uint8_t* p, Py_ssize_t n) except -1:
        cdef LinePattern begin
        cdef LinePattern further
        for begin in self.begins:
            if not begin.matches(p, n):
                continue
            begin.put(self.tape)
            if begin.by >= 0 and begin.of >= 0:
                key = (<const char*>begin.found[begin.by].p)[:begin.found[begin.by].n]
                for further in self.patterns.get(key, ()):
                    if further.matches(begin.found[begin.of].p, begin.found[begin.of].n):
                        further.put(self.tape)
                        break
            return True
        return False


cdef class LineRules:
    """All of `[[lines]]`.

    Args:
        tape: that they put on.
        lines: normalize.lines.Line each, in the order in which they are tried.
    """

    def __init__(self, Tape tape, lines):
        self.tape = tape
        self.programs = {}
        self.others = []
        for given in lines:
            rule = LineRule(tape, given)
            if not given.programs:
                self.others.append(rule)
            for program in given.programs:
                self.programs.setdefault(program.lower().encode(), []).append(rule)

    cdef bint put(
        self, const uint8_t* program, Py_ssize_t m, const uint8_t* p, Py_ssize_t n
    ) except -1:
        cdef LineRule rule
        cdef uint8_t[LONGEST_PROGRAM + 1] lower
        cdef Py_ssize_t i
        if n == 0:
            return False
        if self.programs and 0 < m <= LONGEST_PROGRAM:
            for i in range(m):
                lower[i] = program[i] | 32 if 65 <= program[i] <= 90 else program[i]
            found = self.programs.get((<const char*>lower)[:m])
            if found is not None:
                for rule in <list>found:
                    if rule.put(p, n):
                        return True
        for rule in self.others:
            if rule.put(p, n):
                return True
        return False


def divided(lines, bytes text, bytes program=b""):
    """[(name, value)] that a line says by the first of `lines` that fits, or None. For tests and
    for trying a mapping file."""
    cdef Tape tape = Tape()
    cdef LineRules rules = LineRules(tape, lines)
    cdef Py_ssize_t i
    cdef int32_t node
    cdef Value* value
    tape.begin()
    if not rules.put(
        <const uint8_t*><const char*>program, len(program),
        <const uint8_t*><const char*>text, len(text),
    ):
        return None
    found = []
    for i in range(tape.count):
        value = &tape.entries[i].value
        names = []
        node = tape.entries[i].node
        while node:
            names.append((<const char*>tape.nodes[node].name)[:tape.nodes[node].length].decode())
            node = tape.nodes[node].parent
        text = (<const char*>value.p)[:value.n]
        found.append((".".join(reversed(names)), text.decode("utf-8", "replace")))
    return found
