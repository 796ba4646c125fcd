"""Texts that a row needs later, in one block: what a message said, field by field, and lists."""

from libc.stdint cimport int32_t, uint8_t

from tracelake.native.columns cimport ListColumn
from tracelake.native.columns cimport Column


# A text of a block; absent where length is -1.
cdef struct Slot:
    int32_t at
    int32_t length


# One item of a list; which list it is of is the owner's to say.
cdef struct Item:
    int32_t list
    Slot text


cdef struct Block:
    uint8_t* bytes
    int32_t count
    int32_t room
    Item* items
    int32_t item_count
    int32_t item_room


# Adds a text, at most `limit` bytes of it, and says where it stands. A full block (1 MiB) keeps
# nothing more, nor does one that memory is not found for: the slot is empty.
cdef Slot keep(Block* b, const uint8_t* p, Py_ssize_t n, Py_ssize_t limit) noexcept nogil
# Adds an item to a list; at most 4,096 items in all.
cdef int add(Block* b, int list, const uint8_t* p, Py_ssize_t n) except -1 nogil
cdef int32_t listed(const Block* b, int list) noexcept nogil
cdef void clear(Block* b) noexcept nogil

# Puts a list at a row, where it has items; the items' column is Text.
cdef int put_list(ListColumn column, Py_ssize_t row, const Block* b, int list) except -1 nogil
