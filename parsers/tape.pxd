"""A record as what it says: values by their path, flat, in the order in which they stand.

    tape = Tape()
    node = tape.node(0, name, n)        # a name below another; 0 is the record itself
    tape.begin()                        # a record
    tape.add(node, &value)              # each value; a name may come several times
    ...                                 # then it becomes a row: see shaped.pxd

A *node* is a path, interned for as long as the tape lives: `process.parent.pid` is the node `pid`
below `parent` below `process`. So a path costs one comparison to be known again (`guess`), and
what is to be done with it is looked up by a number. Values point into the record's text, or into
`room`, which stays where it is until the next `begin`.

A tape remembers MEMBERS paths. A record with others has names that are data (or hostile): these
get nodes of their own too, which are forgotten at the next `begin`, so memory is bounded.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tracelake.parsers.values cimport NOTHING, TEXT, TEXT_VALID, Value, render, room_for


cdef enum:
    MEMBERS = 50000             # paths that are remembered
    MOST_ENTRIES = 1 << 20      # values of a record


cdef enum What:                 # what an entry was in the record's own syntax
    WORD                        # a text
    SCALAR                      # a number, true, false, null; with or without its text
    LIST                        # a list, as JSON text
    OBJECT                      # an object that is nested too deeply for paths, as JSON text
    EMPTY                       # an object without members, as JSON text
    NEST                        # a list of objects that may be records of their own; its text
    SPAN                        # a text that was JSON, whose values follow; not a value itself
    GONE                        # a value no more: what it was is a record of its own


cdef struct Node:
    const uint8_t* name         # of the member, UTF-8; the tape's own
    int32_t length
    int32_t parent
    int32_t depth               # names in its path
    int32_t first               # child with which the last object began; 0: not known
    int32_t follow              # what came after it in the last object; 0: not known
    int32_t other               # what came after it before that
    int32_t alias               # the path that a name with dots looks like; 0: none
    int32_t nests               # 1: objects in it may be records of their own
    int32_t tests               # index + 1 of its ValueTests; 0: none
    int32_t entry               # in this record: its first value, or -1: it is an object
    int64_t serial              # record that it was last in
    uint64_t mark               # what it adds to the record's sign


cdef struct ValueTest:          # a node's value that tells something
    int32_t after               # index + 1 of the next one of the node; 0: none
    bint negated
    int count
    const uint8_t** texts
    Py_ssize_t* sizes
    uint64_t mark


cdef struct Entry:
    int32_t node
    int32_t what                # What
    Value value


cdef struct Nest:               # an object that may be a record of its own
    int32_t node                # of the list that it is in, or its own
    const uint8_t* p            # its text
    Py_ssize_t n
    Py_ssize_t first            # what it, or its list, put onto the tape: the entries from here
    Py_ssize_t end              # to here; -1: it goes on
    bint alone                  # it is in no list


cdef struct Place:              # of the table of nodes
    uint64_t hash
    int32_t node                # 0: free


cdef inline bint text_of(
    const Value* value, uint8_t* made, const uint8_t** p, Py_ssize_t* n
) noexcept nogil:
    """A value's text: where it stands, or in `made` (room: 64); False where it has no place there
    (and is none of a tape's)."""
    cdef int repaired = 0
    p[0] = value.p
    n[0] = value.n
    if value.kind == TEXT_VALID or value.kind == TEXT:
        return True
    p[0] = made
    n[0] = 0
    if room_for(value) > 64:
        return False
    n[0] = render(value, made, &repaired)
    return True


cdef class Tape:
    # The record at hand.
    cdef Entry* entries
    cdef Py_ssize_t count
    cdef uint64_t sign          # of all nodes that are in the record: the sum of their marks
    cdef int64_t serial
    cdef bint repaired          # a text was ill-formed
    cdef Nest* nests
    cdef Py_ssize_t nest_count
    # All paths.
    cdef Node* nodes
    cdef readonly int32_t known         # nodes that are remembered
    cdef int32_t _used                  # nodes, those of this record alone included

    cdef Py_ssize_t _entries_room
    cdef Py_ssize_t _nests_room
    cdef Py_ssize_t _nodes_room
    cdef Place* _places
    cdef Py_ssize_t _mask
    cdef Place* _loose_places           # of nodes of this record alone
    cdef Py_ssize_t _loose_mask
    cdef uint64_t[4] _secret
    cdef ValueTest* _tests
    cdef int32_t _test_count
    cdef list _keep                     # what structs point into
    cdef list _names                    # blocks of names
    cdef uint8_t* _name_at
    cdef Py_ssize_t _name_left
    cdef uint8_t** _blocks              # scratch of the record
    cdef Py_ssize_t* _block_sizes
    cdef int _block_count
    cdef int _block_room
    cdef Py_ssize_t _scratch_used       # of the last block

    # A new record: forgets the last one's values, scratch and loose nodes.
    cdef int begin(self) except -1 nogil
    # The same, but what was made before (room, loose nodes) stays: for a record in a record.
    cdef int begin_inside(self) except -1 nogil
    # The node of a name (UTF-8, well-formed) below `parent`; made where it is new.
    # A name with dots is the path that it looks like, where that is known: sensors and exports
    # write flat objects so.
    cdef inline int32_t node(
        self, int32_t parent, const uint8_t* name, Py_ssize_t n
    ) except -1 nogil:
        cdef int32_t node = self.name_of(parent, name, n)
        return self.nodes[node].alias if self.nodes[node].alias else node

    # The same, but a name with dots is a node of its own, with that path as its `alias`.
    cdef int32_t name_of(self, int32_t parent, const uint8_t* name, Py_ssize_t n) except -1 nogil
    # The node of a path with dots; "" is 0. Never loose. Takes the GIL.
    cdef int32_t at(self, str path) except -1
    # Room for `n` bytes that stays until the next `begin`; `used` says how many were needed.
    cdef uint8_t* room(self, Py_ssize_t n) except NULL nogil

    cdef inline void used(self, Py_ssize_t n) noexcept nogil:
        self._scratch_used += n

    cdef inline bint is_loose(self, int32_t node) noexcept nogil:
        """Whether the node is of this record alone."""
        return node >= self.known

    cdef inline int meet(self, int32_t node, int32_t entry) except -1 nogil:
        """Counts a node as present: with its first entry, or -1 for an object."""
        cdef Node* it = &self.nodes[node]
        if it.serial != self.serial:
            it.serial = self.serial
            it.entry = entry
            self.sign += it.mark
            if it.tests:
                return self._test(it)
        return 0

    cdef inline Entry* append(self, int32_t node, int what) except NULL nogil:
        """A new entry, for the caller to give its value, who then says `meet`."""
        cdef Entry* entry
        if self.count == self._entries_room:
            self._more_entries()
        entry = &self.entries[self.count]
        self.count += 1
        entry.node = node
        entry.what = what
        return entry

    cdef inline int put(self, int32_t node, int what, const Value* value) except -1 nogil:
        """A value of the record, and what it was."""
        cdef Entry* entry = self.append(node, what)
        entry.value = value[0]
        if value.kind == NOTHING:
            return 0
        return self.meet(node, <int32_t>(self.count - 1))

    cdef inline int add(self, int32_t node, const Value* value) except -1 nogil:
        """A value of the record: a text, or a number and the like."""
        return self.put(node, WORD if value.p is not NULL else SCALAR, value)

    cdef inline Nest* nest(self, int32_t node) except NULL nogil:
        """A new nest of the node."""
        cdef Nest* made
        if self.nest_count == self._nests_room:
            self._more_nests()
        made = &self.nests[self.nest_count]
        self.nest_count += 1
        made.node = node
        return made

    cdef inline void meet_nests(self, int32_t node) noexcept nogil:
        """Shows in `sign` that there are nests of the node."""
        self.sign += self.nodes[node].mark * 0x9E3779B97F4A7C15ULL

    cdef inline void drop_nests(self, Py_ssize_t count) noexcept nogil:
        """Forgets all nests but the first so many."""
        self.nest_count = count

    cdef inline void end_nest(self, int32_t node, const uint8_t* p) noexcept nogil:
        """The object of the last nest of a node that has no end ends at `p`."""
        cdef Py_ssize_t i = self.nest_count
        while i > 0:
            i -= 1
            if self.nests[i].node == node and self.nests[i].end < 0:
                self.nests[i].n = p - self.nests[i].p
                self.nests[i].end = self.count
                return

    cdef inline const Entry* first(self, int32_t node) noexcept nogil:
        """The first value of a node in this record; NULL where it has none."""
        cdef const Node* it = &self.nodes[node]
        if it.serial != self.serial or it.entry < 0:
            return NULL
        return &self.entries[it.entry]

    cdef inline bint has(self, int32_t node) noexcept nogil:
        """Whether the record has the node: as a value or as an object; null is not there."""
        return self.nodes[node].serial == self.serial

    # From now on the node's presence, or a value that is (not) one of these texts, shows in
    # `sign`: two records with the same sign have the same of all of them. Takes the GIL.
    cdef int watch(self, int32_t node) except -1
    # The same of objects in it that may be records of their own.
    cdef int watch_nests(self, int32_t node) except -1
    cdef int32_t watch_value(self, int32_t node, tuple texts, bint negated) except -1
    # Whether the value test holds in this record.
    cdef bint passes(self, int32_t node, int32_t test) except -1 nogil

    # --- inside ---
    cdef int _more_entries(self) except -1 nogil
    cdef int _more_blocks(self, Py_ssize_t n) except -1 nogil
    cdef int _more_nests(self) except -1 nogil
    cdef int _more_nodes(self) except -1 nogil
    cdef int32_t _find(
        self, int32_t parent, const uint8_t* name, Py_ssize_t n, uint64_t hash
    ) noexcept nogil
    cdef uint64_t _hash(self, int32_t parent, const uint8_t* name, Py_ssize_t n) noexcept nogil
    cdef int32_t _path(self, int32_t parent, const uint8_t* name, Py_ssize_t n) noexcept nogil
    cdef int32_t _make(
        self, int32_t parent, const uint8_t* name, Py_ssize_t n, uint64_t hash
    ) except -1 nogil
    cdef int _grow_places(self) except -1 nogil
    cdef int _grow_loose(self) except -1 nogil
    cdef int _test(self, Node* it) except -1 nogil
    cdef bint _one_of(self, const ValueTest* test, const Value* value) noexcept nogil
    cdef const uint8_t* _kept_name(self, const uint8_t* name, Py_ssize_t n) except NULL nogil

