"""Records that wait for others before they can become rows (see mft_held.pxd).

A table is read once, from its first byte to its last, and a folder may stand behind its files. Records
are kept without what no row needs (runs, indexes: a third to a half of their bytes), as they are
while they are few, compressed (to a fifth) where they are many.
"""

from libc.stdlib cimport qsort
from libc.string cimport memset

import pyarrow as pa

from tracelake.parsers.mft_record cimport shortened

cdef enum:
    PLAIN_MOST = 48 << 20           # bytes of blocks that are kept as they are
    EXTENSIONS_MOST = 64 << 20      # bytes of extension records that are kept

cdef uint64_t USED = 1ULL << 63


cdef int _put(Buffer into, const Place* place, const uint8_t* p, Py_ssize_t n) except -1 nogil:
    cdef Item* item
    cdef Py_ssize_t size
    into.reserve(sizeof(Item) + n + 8)
    item = <Item*>(into.data + into.length)
    item.place = place[0]
    size = shortened(p, n, <uint8_t*>(item + 1))
    item.length = <int>((size + 7) & ~7)
    memset(<uint8_t*>(item + 1) + size, 0, item.length - size)
    into.length += sizeof(Item) + item.length
    return 0


cdef class Held:
    def __cinit__(self):
        self._open = Buffer(BLOCK + (1 << 17))
        self._blocks = []
        self._codec = pa.Codec("zstd", compression_level=1)

    cdef int add(self, const Place* place, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        _put(self._open, place, p, n)
        if self._open.length >= BLOCK:
            with gil:
                self._close()
        return 0

    cdef int _close(self) except -1:
        """Lays the block that is being filled aside."""
        block = (<const char*>self._open.data)[:self._open.length]
        if self.bytes < PLAIN_MOST:
            self._blocks.append((len(block), block))
            self.bytes += len(block)
        else:
            packed = self._codec.compress(block, asbytes=True)
            self._blocks.append((-len(block), packed))
            self.bytes += len(packed)
        self._open.length = 0
        return 0

    def take(self):
        """Yields the blocks, oldest first, and forgets each."""
        if self._open.length:
            self._close()
        blocks, self._blocks = self._blocks, []
        blocks.reverse()
        while blocks:
            size, block = blocks.pop()
            self.bytes -= len(block)
            if size < 0:
                block = self._codec.decompress(block, -size, asbytes=True)
            yield block


cdef int _compare(const void* a, const void* b) noexcept nogil:
    cdef uint64_t x = (<const uint64_t*>a)[0], y = (<const uint64_t*>b)[0]
    if x == y:
        x = (<const uint64_t*>a)[1]
        y = (<const uint64_t*>b)[1]
    return (x > y) - (x < y)


cdef class Extensions:
    def __cinit__(self):
        self._bytes = Buffer()
        self._keys = Buffer()

    cdef int add(
        self, uint64_t entry, const Place* place, const uint8_t* p, Py_ssize_t n
    ) except -1 nogil:
        cdef uint64_t* key
        if self._bytes.length + n > EXTENSIONS_MOST:
            self.full = True
            return 0
        self._keys.reserve(16)
        key = <uint64_t*>(self._keys.data + self._keys.length)
        key[0] = entry
        key[1] = <uint64_t>self._bytes.length
        _put(self._bytes, place, p, n)
        self._keys.length += 16
        self.count += 1
        return 1

    cdef int sort(self) noexcept nogil:
        qsort(self._keys.data, self.count, 16, _compare)
        return 0

    cdef Py_ssize_t first(self, uint64_t entry) noexcept nogil:
        cdef uint64_t* keys = <uint64_t*>self._keys.data
        cdef Py_ssize_t low = 0, high = self.count, middle
        while low < high:
            middle = (low + high) // 2
            if keys[2 * middle] < entry:
                low = middle + 1
            else:
                high = middle
        return low

    cdef Item* at(self, Py_ssize_t i) noexcept nogil:
        return <Item*>(self._bytes.data + ((<uint64_t*>self._keys.data)[2 * i + 1] & ~USED))

    cdef Item* of(self, Py_ssize_t i, uint64_t entry) noexcept nogil:
        if i >= self.count or (<uint64_t*>self._keys.data)[2 * i] != entry:
            return NULL
        return self.at(i)

    cdef bint is_merged(self, Py_ssize_t i) noexcept nogil:
        return ((<uint64_t*>self._keys.data)[2 * i + 1] & USED) != 0

    cdef int merged(self, Py_ssize_t i) noexcept nogil:
        (<uint64_t*>self._keys.data)[2 * i + 1] |= USED
        return 0
