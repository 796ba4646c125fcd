"""Bytes of an artifact at random, of which those that nobody looks at are packed.

A format whose parts refer to each other in any order is held in memory. What is larger than
`PLAIN` would not leave room for anything else: then blocks that were not looked at for long are
kept as LZ4, and unpacked where they stood when they are looked at again. Addresses stay the same.

So a pointer into it is good until the next `relax`, which is called where none is held; whoever
looks at bytes calls `need` for them before. A pointer that is used longer reads zeros at worst,
never another's memory.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t


cdef enum:
    BLOCK = 32768

cdef enum State:
    IN = 1                      # its bytes stand in place
    LOOKED = 2                  # at them, since they were looked for to be packed
    STAYS = 4                   # it does not get smaller


cdef class Held:
    cdef uint8_t* p             # of byte 0; changes only while bytes are added
    cdef readonly Py_ssize_t size
    cdef Py_ssize_t room
    cdef bint mapped            # `p` is address space of its own, else it is of malloc
    cdef uint8_t* states        # by block
    cdef uint8_t** packs        # by block: the LZ4 of its bytes, or NULL
    cdef uint32_t* lengths      # of those
    cdef Py_ssize_t blocks, hand
    cdef readonly Py_ssize_t packed         # bytes of all packs
    cdef readonly Py_ssize_t standing       # blocks that are in place
    cdef readonly int64_t unpacked          # times that one was unpacked
    cdef str what
    cdef Py_ssize_t plain, floor_
    cdef Py_ssize_t stuck       # blocks in place with which a look for others to pack is in vain
    cdef uint8_t* scratch
    cdef uint16_t* table

    cdef int _grow(self, Py_ssize_t size) except -1
    cdef int _map(self, Py_ssize_t room) except -1
    cdef int _fetch(self, Py_ssize_t first, Py_ssize_t last) noexcept nogil
    cdef bint _squeeze(self) noexcept nogil
    cdef bint _put_away(self, Py_ssize_t block) noexcept nogil
    cdef int _changed(self, Py_ssize_t offset, Py_ssize_t length) noexcept nogil
    cdef Py_ssize_t _held(self) noexcept nogil
    cdef bint over(self) noexcept nogil

    # Puts the bytes at `offset` in place, as far as there are such.
    cdef inline int need(self, Py_ssize_t offset, Py_ssize_t length) noexcept nogil:
        cdef Py_ssize_t first, last
        if not self.mapped or length <= 0 or offset < 0 or offset >= self.size:
            return 0
        first = offset // BLOCK
        last = (min(offset + length, self.size) - 1) // BLOCK
        if first == last and self.states[first] & IN:
            self.states[first] = self.states[first] | LOOKED
            return 0
        return self._fetch(first, last)

    # To be called where no pointer is held; whether anything may have gone.
    cdef inline bint relax(self) noexcept nogil:
        if not self.mapped or not self.over():
            return False
        return self._squeeze()
