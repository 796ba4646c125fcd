"""A table from hashes to slots, and the times at which slots fall due (see flowtable.pxd)."""

import os

from libc.stdlib cimport calloc, free, realloc

FIRST = 1024                # places to start with; always a power of two


cdef class IndexTable:
    def __cinit__(self):
        self.places = <Place*>calloc(FIRST, sizeof(Place))
        if self.places is NULL:
            raise MemoryError()
        self.mask = FIRST - 1
        self.seed = int.from_bytes(os.urandom(8), "little") | 1

    def __dealloc__(self):
        free(self.places)

    cdef int add(self, uint64_t hash, uint32_t slot) except -1 nogil:
        """Adds a slot that is not in the table."""
        cdef uint64_t at
        # At most half full: a miss then costs 2.5 places on average.
        if <uint64_t>(self.count + 1) * 2 > self.mask:
            self._grow()
        at = self.first(hash)
        while self.places[at].slot:
            at = self.next(at)
        self.places[at].tag = <uint32_t>(hash >> 32)
        self.places[at].slot = slot + 1
        self.count += 1
        return 0

    cdef int remove(self, uint64_t hash, uint32_t slot) except -1 nogil:
        """Takes a slot out. Raises KeyError where it is not in the table."""
        if not self.forget(hash, slot):
            with gil:
                raise KeyError(f"slot {slot} is not in the table")
        return 0

    cdef bint forget(self, uint64_t hash, uint32_t slot) noexcept nogil:
        """Takes a slot out, if it is there, and closes the gap, so that no search ends too early."""
        cdef uint64_t at = self.first(hash), hole, home
        while self.places[at].slot != slot + 1:
            if self.places[at].slot == 0:
                return False
            at = self.next(at)
        hole = at
        while True:
            at = self.next(at)
            if self.places[at].slot == 0:
                break
            home = <uint64_t>self.places[at].tag & self.mask
            # It may move to the hole unless its home lies between the hole and itself.
            if ((at - home) & self.mask) >= ((at - hole) & self.mask):
                self.places[hole] = self.places[at]
                hole = at
        self.places[hole].slot = 0
        self.count -= 1
        return True

    cdef int _grow(self) except -1 nogil:
        cdef uint64_t old_mask = self.mask, i, at
        cdef Place* old = self.places
        cdef Place* grown = <Place*>calloc((old_mask + 1) * 2, sizeof(Place))
        if grown is NULL:
            with gil:
                raise MemoryError(f"{(old_mask + 1) * 2 * sizeof(Place)} bytes for a table")
        self.places = grown
        self.mask = old_mask * 2 + 1
        for i in range(old_mask + 1):
            if old[i].slot:
                at = <uint64_t>old[i].tag & self.mask
                while grown[at].slot:
                    at = self.next(at)
                grown[at] = old[i]
        free(old)
        return 0


cdef class Deadlines:
    def __dealloc__(self):
        free(self.heap)

    cdef int push(self, int64_t due, uint32_t slot, uint32_t serial) except -1 nogil:
        cdef Py_ssize_t at, up, room
        cdef Deadline* grown
        cdef Deadline new
        if self.count == self.room:
            room = self.room * 2 if self.room else 256
            grown = <Deadline*>realloc(self.heap, room * sizeof(Deadline))
            if grown is NULL:
                with gil:
                    raise MemoryError(f"{room * sizeof(Deadline)} bytes for deadlines")
            self.heap = grown
            self.room = room
        new.due = due
        new.slot = slot
        new.serial = serial
        at = self.count
        self.count += 1
        while at:
            up = (at - 1) >> 1
            if self.heap[up].due <= due:
                break
            self.heap[at] = self.heap[up]
            at = up
        self.heap[at] = new
        return 0

    cdef Deadline pop(self) noexcept nogil:
        cdef Deadline top = self.heap[0], last
        cdef Py_ssize_t at = 0, down
        self.count -= 1
        last = self.heap[self.count]
        while True:
            down = 2 * at + 1
            if down >= self.count:
                break
            if down + 1 < self.count and self.heap[down + 1].due < self.heap[down].due:
                down += 1
            if self.heap[down].due >= last.due:
                break
            self.heap[at] = self.heap[down]
            at = down
        self.heap[at] = last
        return top
