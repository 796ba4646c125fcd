"""Hashes of the records that are in rows, to know a copy of one.

With a seed of this process: nobody can write a record that is taken for a copy of another. The
number is part of a record, so one with a higher number than all before is no copy: as long as
numbers rise, hashes are only put in a row, and looked up when one does not. (A look into a table
of this size is a cache miss, and was a twentieth of all time.)
"""

import os

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc

from tracelake.native.hash64 cimport keyed64, spread_secret


cdef class Copies:
    def __cinit__(self, seed=None, bytes others=b""):
        """Args:
        seed: of the hashes, where several readers compare theirs.
        others: keys of records that another reader has; each is a copy here.
        """
        cdef const uint64_t* key = <const uint64_t*><const char*>others
        cdef Py_ssize_t i
        self.seed = int.from_bytes(os.urandom(8), "little") if seed is None else seed
        spread_secret(self.seed, self.secret)
        self.room = 4096
        self.keys = <uint64_t*>malloc(self.room * sizeof(uint64_t))
        if self.keys is NULL:
            raise MemoryError()
        for i in range(len(others) // 8):
            self.add(key[i], 0)
            self.knows_others = True
        self.begin_range()

    def __dealloc__(self):
        free(self.keys)
        free(self.slots)

    cdef uint64_t key(self, const uint8_t* p, Py_ssize_t n) noexcept nogil:
        cdef uint64_t h = keyed64(p, n, self.secret)
        return h if h else 1

    cdef int has(self, uint64_t key) except -1 nogil:
        cdef Py_ssize_t at
        if self.entered < self.count:
            self.enter()
        at = <Py_ssize_t>(key >> 1) & self.mask
        while self.slots is not NULL and self.slots[at]:
            if self.slots[at] == key:
                return 1
            at = (at + 1) & self.mask
        return 0

    cdef int enter(self) except -1 nogil:
        """Enters the keys that are not in the table yet."""
        cdef Py_ssize_t at, i, mask = self.mask
        cdef uint64_t* slots
        if self.slots is NULL or 3 * self.count > 2 * mask:
            mask = mask if mask else 4095
            while 3 * self.count > 2 * mask:
                mask = 2 * mask + 1
            slots = <uint64_t*>calloc(mask + 1, sizeof(uint64_t))
            if slots is NULL:
                with gil:
                    raise MemoryError()
            free(self.slots)
            self.slots = slots
            self.mask = mask
            self.entered = 0
        for i in range(self.entered, self.count):
            at = <Py_ssize_t>(self.keys[i] >> 1) & mask
            while self.slots[at]:
                at = (at + 1) & mask
            self.slots[at] = self.keys[i]
        self.entered = self.count
        return 0

    cdef int add(self, uint64_t key, uint64_t number) except -1 nogil:
        cdef uint64_t* grown
        if self.count == self.room:
            grown = <uint64_t*>realloc(self.keys, 2 * self.room * sizeof(uint64_t))
            if grown is NULL:
                with gil:
                    raise MemoryError()
            self.keys = grown
            self.room *= 2
        self.keys[self.count] = key
        self.count += 1
        if number < self.lowest:
            self.lowest = number
        if number > self.highest:
            self.highest = number
        return 0

    def begin_range(self):
        """The records that come now are another range's."""
        self.range_at = self.count
        self.lowest = <uint64_t>-1
        self.highest = 0

    def added(self, Py_ssize_t first, Py_ssize_t end):
        """The keys of the records that were added as number `first` to `end` - 1, as bytes."""
        if not 0 <= first <= end <= self.count:
            raise ValueError(f"there are {self.count} keys, {first} to {end} are asked for")
        return (<const char*>(self.keys + first))[:8 * (end - first)]
