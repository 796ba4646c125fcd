"""A record as what it says: values by their path (see tape.pxd)."""

import os

from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memchr, memcmp, memcpy, memset

from tracelake.native.key cimport key_of

cdef enum:
    FIRST_PLACES = 1024         # powers of two
    NAME_BLOCK = 1 << 16
    SCRATCH_BLOCK = 1 << 16
    LARGE_SCRATCH = 1 << 22     # of one record, given back when it ends
    LARGE_ENTRIES = 1 << 14
    LARGE_LOOSE = 1 << 16


cdef int _no_memory() except -1 nogil:
    with gil:
        raise MemoryError()


cdef uint64_t _drawn() except? 0:
    return int.from_bytes(os.urandom(8), "little")


cdef class Tape:
    """Values of one record by their path. For one artifact; not for several threads."""

    def __cinit__(self):
        cdef int i
        for i in range(4):
            self._secret[i] = _drawn()
        self._keep = []
        self._names = []
        self._places = <Place*>calloc(FIRST_PLACES, sizeof(Place))
        self._mask = FIRST_PLACES - 1
        if self._places is NULL:
            raise MemoryError()
        self._more_entries()
        self._more_nodes()
        memset(self.nodes, 0, sizeof(Node))
        self.known = self._used = 1         # the record itself
        self._more_blocks(SCRATCH_BLOCK)

    def __dealloc__(self):
        cdef int i
        for i in range(self._block_count):
            free(self._blocks[i])
        free(self._blocks)
        free(self._block_sizes)
        free(self._places)
        free(self._loose_places)
        free(self.entries)
        free(self.nodes)
        free(self._tests)
        free(self.nests)

    # --- a record -----------------------------------------------------------------------------

    cdef int begin_inside(self) except -1 nogil:
        self.serial += 1
        self.count = 0
        self.sign = 0
        self.repaired = False
        self.nest_count = 0
        return 0

    cdef int begin(self) except -1 nogil:
        cdef Entry* fewer
        self.begin_inside()
        if self._used > self.known:
            self._used = self.known
            if self._loose_mask >= LARGE_LOOSE:
                free(self._loose_places)
                self._loose_places = NULL
                self._loose_mask = 0
            elif self._loose_places is not NULL:
                memset(self._loose_places, 0, (self._loose_mask + 1) * sizeof(Place))
        if self._entries_room > LARGE_ENTRIES:
            fewer = <Entry*>realloc(self.entries, LARGE_ENTRIES * sizeof(Entry))
            if fewer is not NULL:
                self.entries = fewer
                self._entries_room = LARGE_ENTRIES
        while self._block_count > 1:
            self._block_count -= 1
            free(self._blocks[self._block_count])
        if self._block_sizes[0] > LARGE_SCRATCH:
            self._block_count = 0
            free(self._blocks[0])
            self._more_blocks(SCRATCH_BLOCK)
        self._scratch_used = 0
        return 0

    cdef int _more_entries(self) except -1 nogil:
        cdef Py_ssize_t room = 64 if self._entries_room == 0 else 2 * self._entries_room
        cdef Entry* grown
        if self.count >= MOST_ENTRIES:
            with gil:
                raise OverflowError(f"more than {MOST_ENTRIES} values")
        grown = <Entry*>realloc(self.entries, room * sizeof(Entry))
        if grown is NULL:
            _no_memory()
        self.entries = grown
        self._entries_room = room
        return 0

    cdef int _more_nests(self) except -1 nogil:
        cdef Py_ssize_t room = 64 if self._nests_room == 0 else 2 * self._nests_room
        cdef Nest* grown
        if self.nest_count >= MOST_ENTRIES:
            with gil:
                raise OverflowError(f"more than {MOST_ENTRIES} objects in one list")
        grown = <Nest*>realloc(self.nests, room * sizeof(Nest))
        if grown is NULL:
            _no_memory()
        self.nests = grown
        self._nests_room = room
        return 0

    cdef uint8_t* room(self, Py_ssize_t n) except NULL nogil:
        cdef int last = self._block_count - 1
        if self._scratch_used + n > self._block_sizes[last]:
            if last == 0 and self._scratch_used == 0:
                # Nothing points into it yet: one larger block serves the records to come.
                self._block_count = 0
                free(self._blocks[0])
            self._more_blocks(max(n, 2 * self._block_sizes[last]) if n < LARGE_SCRATCH else n)
            last = self._block_count - 1
        return self._blocks[last] + self._scratch_used

    cdef int _more_blocks(self, Py_ssize_t n) except -1 nogil:
        cdef int room = 2 * self._block_room + 4
        cdef void* grown
        if self._block_count == self._block_room:
            grown = realloc(self._blocks, room * sizeof(void*))
            if grown is NULL:
                _no_memory()
            self._blocks = <uint8_t**>grown
            grown = realloc(self._block_sizes, room * sizeof(Py_ssize_t))
            if grown is NULL:
                _no_memory()
            self._block_sizes = <Py_ssize_t*>grown
            self._block_room = room
        self._blocks[self._block_count] = <uint8_t*>malloc(n)
        if self._blocks[self._block_count] is NULL:
            _no_memory()
        self._block_sizes[self._block_count] = n
        self._block_count += 1
        self._scratch_used = 0
        return 0

    # --- paths --------------------------------------------------------------------------------

    cdef uint64_t _hash(self, int32_t parent, const uint8_t* name, Py_ssize_t n) noexcept nogil:
        return key_of(name, n, 0, self._secret).low ^ <uint64_t>parent * 0x9E3779B97F4A7C15ULL

    cdef int32_t _find(
        self, int32_t parent, const uint8_t* name, Py_ssize_t n, uint64_t hash
    ) noexcept nogil:
        """The node of a name, or 0."""
        cdef Py_ssize_t at = <Py_ssize_t>hash & self._mask
        cdef Node* it
        while self._places[at].node:
            if self._places[at].hash == hash:
                it = &self.nodes[self._places[at].node]
                if it.parent == parent and it.length == n and memcmp(it.name, name, n) == 0:
                    return self._places[at].node
            at = (at + 1) & self._mask
        if self._loose_places is not NULL:
            at = <Py_ssize_t>hash & self._loose_mask
            while self._loose_places[at].node:
                if self._loose_places[at].hash == hash:
                    it = &self.nodes[self._loose_places[at].node]
                    if it.parent == parent and it.length == n and memcmp(it.name, name, n) == 0:
                        return self._loose_places[at].node
                at = (at + 1) & self._loose_mask
        return 0

    cdef int32_t name_of(self, int32_t parent, const uint8_t* name, Py_ssize_t n) except -1 nogil:
        cdef uint64_t hash = self._hash(parent, name, n)
        cdef int32_t found = self._find(parent, name, n, hash)
        return found if found else self._make(parent, name, n, hash)

    cdef int32_t _path(self, int32_t parent, const uint8_t* name, Py_ssize_t n) noexcept nogil:
        """The node that the parts of a name between its dots lead to, or 0. Never a loose one."""
        cdef Py_ssize_t start = 0, i
        cdef int32_t node = parent
        for i in range(n + 1):
            if i == n or name[i] == 46:
                node = self._find(
                    node, name + start, i - start, self._hash(node, name + start, i - start)
                )
                if node == 0 or self.is_loose(node):
                    return 0
                start = i + 1
        return node

    cdef int32_t _make(
        self, int32_t parent, const uint8_t* name, Py_ssize_t n, uint64_t hash
    ) except -1 nogil:
        cdef bint loose = self.known == MEMBERS
        cdef int32_t made = self._used
        cdef Py_ssize_t at, mask
        cdef Place* places
        cdef Node* it
        if n > 0x7FFFFFFF:
            with gil:
                raise OverflowError(f"a name of {n} bytes")
        if self._used == self._nodes_room:
            self._more_nodes()
        if loose:
            if 2 * (made - self.known) >= self._loose_mask:
                self._grow_loose()
            places = self._loose_places
            mask = self._loose_mask
        else:
            if 2 * self.known >= self._mask:
                self._grow_places()
            places = self._places
            mask = self._mask
            name = self._kept_name(name, n)
        it = &self.nodes[made]
        memset(it, 0, sizeof(Node))
        it.name = name
        it.length = <int32_t>n
        it.parent = parent
        it.depth = self.nodes[parent].depth + 1
        at = <Py_ssize_t>hash & mask
        while places[at].node:
            at = (at + 1) & mask
        places[at].hash = hash
        places[at].node = made
        if memchr(name, 46, n) is not NULL:
            it.alias = self._path(parent, name, n)
        self._used += 1
        if not loose:
            self.known += 1
        return made

    cdef int _more_nodes(self) except -1 nogil:
        cdef Py_ssize_t room = 256 if self._nodes_room == 0 else 2 * self._nodes_room
        cdef Node* grown = <Node*>realloc(self.nodes, room * sizeof(Node))
        if grown is NULL:
            _no_memory()
        self.nodes = grown
        self._nodes_room = room
        return 0

    cdef int _grow_places(self) except -1 nogil:
        return _grow(&self._places, &self._mask)

    cdef int _grow_loose(self) except -1 nogil:
        return _grow(&self._loose_places, &self._loose_mask)

    cdef const uint8_t* _kept_name(self, const uint8_t* name, Py_ssize_t n) except NULL nogil:
        cdef uint8_t* kept
        if n > self._name_left:
            with gil:
                block = bytearray(max(n, <Py_ssize_t>NAME_BLOCK))
                self._names.append(block)
                self._name_at = <uint8_t*><char*>block
                self._name_left = len(block)
        kept = self._name_at
        memcpy(kept, name, n)
        self._name_at += n
        self._name_left -= n
        return kept

    cdef int32_t at(self, str path) except -1:
        cdef int32_t node = 0
        cdef bytes name
        if path:
            for part in path.split("."):
                name = part.encode()
                node = self.node(node, <const uint8_t*><const char*>name, len(name))
        if self.is_loose(node):
            raise ValueError(f"more than {MEMBERS} paths: {path}")
        return node

    # --- what tells one kind of record from another -------------------------------------------

    cdef int watch(self, int32_t node) except -1:
        while self.nodes[node].mark == 0:
            self.nodes[node].mark = _drawn()
        return 0

    cdef int watch_nests(self, int32_t node) except -1:
        self.watch(node)
        self.nodes[node].nests = 1
        return 0

    cdef int32_t watch_value(self, int32_t node, tuple texts, bint negated) except -1:
        cdef ValueTest* grown = <ValueTest*>realloc(
            self._tests, (self._test_count + 1) * sizeof(ValueTest)
        )
        cdef ValueTest* test
        cdef Py_ssize_t i
        cdef bytes text
        if grown is NULL:
            raise MemoryError()
        self._tests = grown
        test = &grown[self._test_count]
        memset(test, 0, sizeof(ValueTest))
        test.after = self.nodes[node].tests
        test.negated = negated
        test.count = len(texts)
        test.mark = _drawn()
        block = bytearray((sizeof(void*) + sizeof(Py_ssize_t)) * max(1, test.count))
        self._keep.append(block)
        test.texts = <const uint8_t**><char*>block
        test.sizes = <Py_ssize_t*>(test.texts + test.count)
        for i in range(test.count):
            text = texts[i].encode()
            self._keep.append(text)
            test.texts[i] = <const uint8_t*><const char*>text
            test.sizes[i] = len(text)
        self._test_count += 1
        self.nodes[node].tests = self._test_count
        return self._test_count

    cdef int _test(self, Node* it) except -1 nogil:
        cdef int32_t i = it.tests
        while i:
            if it.entry >= 0 and self._one_of(
                &self._tests[i - 1], &self.entries[it.entry].value
            ):
                self.sign += self._tests[i - 1].mark
            i = self._tests[i - 1].after
        return 0

    cdef bint passes(self, int32_t node, int32_t test) except -1 nogil:
        cdef const Entry* entry = self.first(node)
        cdef ValueTest* it = &self._tests[test - 1]
        if entry is NULL:
            return it.negated
        return self._one_of(it, &entry.value) != it.negated

    cdef bint _one_of(self, const ValueTest* test, const Value* value) noexcept nogil:
        cdef const uint8_t* p = NULL
        cdef Py_ssize_t n = 0
        cdef uint8_t[64] made
        cdef int i
        if not text_of(value, made, &p, &n):
            return False
        for i in range(test.count):
            if test.sizes[i] == n and memcmp(test.texts[i], p, n) == 0:
                return True
        return False


cdef int _grow(Place** places, Py_ssize_t* mask) except -1 nogil:
    """A table of twice the size; its first one where there was none."""
    cdef Py_ssize_t size = 2 * (mask[0] + 1) if places[0] is not NULL else FIRST_PLACES, i, at
    cdef Place* grown = <Place*>calloc(size, sizeof(Place))
    if grown is NULL:
        _no_memory()
    if places[0] is not NULL:
        for i in range(mask[0] + 1):
            if places[0][i].node:
                at = <Py_ssize_t>places[0][i].hash & (size - 1)
                while grown[at].node:
                    at = (at + 1) & (size - 1)
                grown[at] = places[0][i]
    free(places[0])
    places[0] = grown
    mask[0] = size - 1
    return 0
