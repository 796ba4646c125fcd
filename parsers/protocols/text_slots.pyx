"""Texts that a row needs later (see text_slots.pxd)."""

from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from tracelake.native.columns cimport TextColumn

cdef enum:
    BLOCK_LIMIT = 1048576
    ITEM_LIMIT = 4096


cdef Slot keep(Block* b, const uint8_t* p, Py_ssize_t n, Py_ssize_t limit) noexcept nogil:
    cdef Slot slot
    cdef uint8_t* grown
    cdef int32_t room
    if n > limit:
        n = limit
    slot.at = b.count
    slot.length = 0
    if n <= 0 or b.count + n > BLOCK_LIMIT:
        return slot
    if b.count + n > b.room:
        room = b.room * 2 if b.room else 512
        while room < b.count + n:
            room *= 2
        grown = <uint8_t*>realloc(b.bytes, room)
        if grown is NULL:
            return slot
        b.bytes = grown
        b.room = room
    memcpy(b.bytes + b.count, p, n)
    b.count += <int32_t>n
    slot.length = <int32_t>n
    return slot


cdef int add(Block* b, int list, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    cdef Item* grown
    cdef int32_t room
    if b.item_count >= ITEM_LIMIT:
        return 0
    if b.item_count == b.item_room:
        room = b.item_room * 2 if b.item_room else 4
        grown = <Item*>realloc(b.items, room * sizeof(Item))
        if grown is NULL:
            with gil:
                raise MemoryError("texts of a row")
        b.items = grown
        b.item_room = room
    b.items[b.item_count].list = list
    b.items[b.item_count].text = keep(b, p, n, 65536)
    b.item_count += 1
    return 0


cdef int32_t listed(const Block* b, int list) noexcept nogil:
    cdef int32_t i, n = 0
    for i in range(b.item_count):
        n += b.items[i].list == list
    return n


cdef void clear(Block* b) noexcept nogil:
    free(b.bytes)
    free(b.items)
    b.bytes = NULL
    b.items = NULL
    b.count = b.room = b.item_count = b.item_room = 0


cdef int put_list(ListColumn column, Py_ssize_t row, const Block* b, int list) except -1 nogil:
    cdef int32_t i
    cdef Py_ssize_t at = -1
    for i in range(b.item_count):
        if b.items[i].list == list:
            if at < 0:
                at = column.open(row)
            (<TextColumn>column.items).put(
                at, b.bytes + b.items[i].text.at, b.items[i].text.length
            )
            at += 1
    if at >= 0:
        column.close(at)
    return 0
