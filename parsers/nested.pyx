"""The records in a JSON text (see nested.pxd)."""

from libc.stdlib cimport free, realloc

from tracelake.parsers.json_scan cimport REFUSED, scan_json
from tracelake.parsers.looks cimport Nests
from tracelake.parsers.shaped cimport KEEP_ODD
from tracelake.parsers.tape cimport GONE, WORD, Nest
from tracelake.parsers.values cimport TEXT_VALID, Value, bytes_value

cdef enum:
    MOST_BESIDE = 256           # values of a wrapper that are said of each record in it
    MOST_REPEATED = 1 << 22     # of these, times the records; a text counts by sixteen bytes
    KEPT_ROOM = 1 << 12


cdef int64_t utf16_units(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef int64_t units = 0
    cdef Py_ssize_t i
    for i in range(n):
        units += ((p[i] & 0xC0) != 0x80) + (p[i] >= 0xF0)
    return units


cdef class Nested:
    """Records of one text after the other. Args: shaped: what makes rows of them."""

    def __cinit__(self, Shaped shaped, bint wide=False):
        self.shaped = shaped
        self.tape = shaped.tape
        self.wide = wide

    def __dealloc__(self):
        free(self._pieces)
        free(self._beside)

    cdef int begin(
        self, const uint8_t* p, Py_ssize_t n, Py_ssize_t readable, int64_t offset, int32_t below
    ) except -1 nogil:
        if self._pieces_room > KEPT_ROOM or self._beside_room > KEPT_ROOM:
            free(self._pieces)
            free(self._beside)
            self._pieces = NULL
            self._beside = NULL
            self._pieces_room = self._beside_room = 0
        self._more(1)
        self._pieces[0] = Piece(p, n, below, 0, 0, 0, False, 0, 0)
        self.left = 1
        self._beside_count = 0
        self._end = p + readable
        self._at = p
        self._at_offset = offset
        self.inside = -1
        self.tape.begin()
        return 0

    cdef int give_up(self) except -1:
        self.left = 0
        return self.shaped.give_up()

    cdef int _more(self, Py_ssize_t count) except -1 nogil:
        cdef Py_ssize_t room = 64
        cdef void* grown
        if self.left + count <= self._pieces_room:
            return 0
        while room < self.left + count:
            room *= 2
        grown = realloc(self._pieces, room * sizeof(Piece))
        if grown is NULL:
            with gil:
                raise MemoryError()
        self._pieces = <Piece*>grown
        self._pieces_room = room
        return 0

    cdef int _place(self, const Piece* piece) noexcept nogil:
        """Where the record is in the artifact. Records come in the order of the text."""
        if self.wide:
            self._at_offset += 2 * utf16_units(self._at, piece.p - self._at)
            self.length = 2 * utf16_units(piece.p, piece.n)
        else:
            self._at_offset += piece.p - self._at
            self.length = piece.n
        self._at = piece.p
        self.offset = self._at_offset
        return 0

    cdef Did next(self) except FAILED nogil:
        cdef Piece piece
        cdef Entry* entry
        cdef Value which
        cdef Look* look
        cdef Py_ssize_t i
        cdef bint root
        self.left -= 1
        piece = self._pieces[self.left]
        root = piece.depth == 0
        self.p = piece.p
        self.n = piece.n
        self._place(&piece)
        self.tape.begin_inside()
        if piece.below:
            self.tape.meet(piece.below, -1)
        if scan_json(
            self.tape, piece.below, piece.p, piece.n, self._end - piece.p, &self.fault
        ) == REFUSED:
            return NOT_JSON
        if self._head is not NULL:
            if scan_json(
                self.tape, 0, self._head, self._head_length, self._head_length, &self.fault
            ) == REFUSED:
                return NOT_JSON
        for i in range(piece.beside, piece.beside_end):
            entry = &self._beside[i]
            self.tape.put(entry.node, entry.what, &entry.value)
        if piece.marked:
            which = bytes_value(
                TEXT_VALID, self.tape.nodes[piece.list].name, self.tape.nodes[piece.list].length
            )
            self.tape.put(piece.marked, WORD, &which)
        self.tape.repaired |= piece.repaired
        look = self.shaped.looks.recognise()
        if look.eaches and piece.depth < NESTS_DEPTH and self._take(look, &piece):
            if root:
                self.inside = 0
                for i in range(self.left):
                    self.inside += self._pieces[i].n if not self.wide else 2 * utf16_units(
                        self._pieces[i].p, self._pieces[i].n
                    )
            return OPENED
        if self.shaped.row(
            look, piece.p, piece.n, self.offset, self.length, 0, 0, KEEP_ODD
        ):
            return A_ROW_AND_FULL
        return A_ROW

    cdef bint _take(self, const Look* look, const Piece* piece) except -1 nogil:
        """Takes the record's nests as records to come; whether it is nothing more itself."""
        cdef Py_ssize_t i, at, taken = 0
        cdef const Nests* said
        cdef Piece* made
        cdef Piece model = Piece(NULL, 0, 0, 0, 0, piece.depth + 1, False, 0, 0)
        cdef Nest* nest
        cdef Py_ssize_t end = 0
        cdef bint own = look.own
        for i in range(self.tape.nest_count):
            nest = &self.tape.nests[i]
            # One in another that is taken will be met there.
            if nest.first < end or self.shaped.looks.each(look, nest) is NULL:
                nest.n = -1
                continue
            taken += 1
            if nest.alone:
                end = nest.end
            for at in range(nest.first, nest.end):
                self.tape.entries[at].what = GONE
        if taken == 0:
            return False
        if not own:
            own = not self._put_beside(&model, taken)
        self._more(taken)
        for i in range(self.tape.nest_count - 1, -1, -1):
            nest = &self.tape.nests[i]
            if nest.n < 0:
                continue
            said = self.shaped.looks.each(look, nest)
            made = &self._pieces[self.left]
            self.left += 1
            made[0] = model
            made.p = nest.p
            made.n = nest.n
            made.below = said.below
            made.marked = said.marked
            made.list = nest.node
        return not own

    cdef bint _put_beside(self, Piece* model, Py_ssize_t taken) except -1 nogil:
        """Keeps what the wrapper says, for each record in it; False where it is too much."""
        cdef Py_ssize_t i, count = 0, weight = 0, room
        cdef void* grown
        for i in range(self.tape.count):
            if self.tape.entries[i].what != GONE:
                count += 1
                weight += 1 + self.tape.entries[i].value.n // 16
        if count > MOST_BESIDE or weight * taken > MOST_REPEATED:
            return False
        if self._beside_count + count > self._beside_room:
            room = 2 * self._beside_room + count + 16
            grown = realloc(self._beside, room * sizeof(Entry))
            if grown is NULL:
                with gil:
                    raise MemoryError()
            self._beside = <Entry*>grown
            self._beside_room = room
        model.repaired = self.tape.repaired
        model.beside = self._beside_count
        for i in range(self.tape.count):
            if self.tape.entries[i].what != GONE:
                self._beside[self._beside_count] = self.tape.entries[i]
                self._beside_count += 1
        model.beside_end = self._beside_count
        return True
