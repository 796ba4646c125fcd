"""A table of names: bytes that others keep -> pointers.

    names_start(&names, 64, seed)
    names_add(&names, p, n, value)      # `p` must stay where it is; a name is added once
    value = names_find(&names, p, n)    # NULL: not there
    names_end(&names)

Names come from evidence: without a seed that is drawn at run time, whoever writes the evidence
can make all its names fall into one slot, and looking them up quadratic.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp

from tracelake.native.hash64 cimport hash64


cdef struct Slot:
    uint64_t hash
    const uint8_t* text
    Py_ssize_t length
    void* value                 # NULL: free


cdef struct Names:
    Slot* slots                 # linear probing; never more than half full
    Py_ssize_t mask
    Py_ssize_t count
    uint64_t seed


cdef inline int names_start(Names* names, Py_ssize_t room, uint64_t seed) except -1:
    """An empty table; `room` is a power of two."""
    names.slots = <Slot*>calloc(room, sizeof(Slot))
    if names.slots is NULL:
        raise MemoryError()
    names.mask = room - 1
    names.count = 0
    names.seed = seed
    return 0


cdef inline void names_end(Names* names) noexcept nogil:
    free(names.slots)
    names.slots = NULL


cdef inline void* names_find(const Names* names, const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef uint64_t h = hash64(p, n, names.seed)
    cdef Py_ssize_t at = h & names.mask
    cdef Slot* slot
    while True:
        slot = &names.slots[at]
        if slot.value is NULL:
            return NULL
        if slot.hash == h and slot.length == n and memcmp(slot.text, p, n) == 0:
            return slot.value
        at = (at + 1) & names.mask


cdef inline void _names_place(Names* names, Slot* slot) noexcept nogil:
    cdef Py_ssize_t at = slot.hash & names.mask
    while names.slots[at].value is not NULL:
        at = (at + 1) & names.mask
    names.slots[at] = slot[0]
    names.count += 1


cdef inline int names_add(
    Names* names, const uint8_t* p, Py_ssize_t n, void* value
) except -1:
    """Adds a name that is not there yet; `value` is not NULL."""
    cdef Names grown
    cdef Slot slot
    cdef Py_ssize_t i
    if names.count * 2 > names.mask:
        names_start(&grown, (names.mask + 1) * 2, names.seed)
        for i in range(names.mask + 1):
            if names.slots[i].value is not NULL:
                _names_place(&grown, &names.slots[i])
        names_end(names)
        names[0] = grown
    slot.hash = hash64(p, n, names.seed)
    slot.text = p
    slot.length = n
    slot.value = value
    _names_place(names, &slot)
    return 0
