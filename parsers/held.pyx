"""Bytes of an artifact at random, of which those that nobody looks at are packed (see held.pxd)."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy

from tracelake.parsers.lz4block cimport LZ4_HASHES, lz4_pack, lz4_unpack

from tracelake.native.errors import Unsupported

cdef extern from "sys/mman.h" nogil:
    void* mmap(void* at, size_t length, int access, int flags, int file, long offset)
    int munmap(void* at, size_t length)
    int madvise(void* at, size_t length, int advice)
    void* MAP_FAILED
    int PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MADV_DONTNEED

cdef Py_ssize_t MAPPED = 8 << 20        # above this it gets address space of its own
cdef Py_ssize_t PLAIN = 184 << 20       # bytes in memory, packed and in place
cdef Py_ssize_t FLOOR = 24 << 20        # bytes that are in place however much is packed
cdef Py_ssize_t MOST = 248 << 20        # bytes in memory above which no more is taken
cdef enum:
    TRIES = 64                  # blocks more, before it is looked again in vain


cdef class Held:
    """Bytes that are added at the end, read and written anywhere.

    Args:
        what: the format, for the error. room: bytes that it may have at most.
        plain: bytes that may be in memory before any are packed; for tests.
    """

    def __cinit__(self, str what, Py_ssize_t room, Py_ssize_t plain=0):
        self.what = what
        self.room = room
        self.plain = plain or PLAIN
        self.floor_ = min(FLOOR, self.plain // 4)

    def __dealloc__(self):
        cdef Py_ssize_t i
        if self.mapped:
            munmap(self.p, self.room)
            for i in range(self.blocks):
                free(self.packs[i])
        else:
            free(self.p)
        free(self.states)
        free(self.packs)
        free(self.lengths)
        free(self.scratch)
        free(self.table)

    def __len__(self):
        return self.size

    def extend(self, const uint8_t[::1] data not None):
        """Adds bytes at the end.

        Raises:
            Unsupported: they are more than can be held, packed or not.
        """
        cdef Py_ssize_t n = data.shape[0], at = self.size, done = 0, step
        if n == 0:
            return
        if n > self.room - at:
            raise Unsupported(self.what, 0, f"it is longer than {self.room >> 20} MiB")
        self._grow(at + n)
        while done < n:
            # The last block, which is not full yet, is never put away.
            step = min(n - done, <Py_ssize_t>BLOCK)
            self.size = at + done + step
            if self.mapped:
                self._fetch((at + done) // BLOCK, (at + done + step - 1) // BLOCK)
                self._changed(at + done, step)
            memcpy(self.p + at + done, &data[done], step)
            done += step
            self.relax()
            if self.mapped and self._held() > MOST:
                raise Unsupported(
                    self.what, 0,
                    f"its first {self.size >> 20} MiB are {self._held() >> 20} MiB when packed, "
                    f"and more than {MOST >> 20} are not held",
                )

    def __getitem__(self, place):
        """Some of the bytes (a slice without a step), as `bytes`."""
        cdef Py_ssize_t begin, end
        begin, end, _ = slice(place.start, place.stop).indices(self.size)
        if end <= begin:
            return b""
        self.need(begin, end - begin)
        found = (<const char*>self.p)[begin:end]
        self.relax()
        return found

    def __setitem__(self, place, const uint8_t[::1] data not None):
        """Writes over as many bytes as there are in `data`."""
        cdef Py_ssize_t begin, end
        begin, end, _ = slice(place.start, place.stop).indices(self.size)
        if end - begin != data.shape[0]:
            raise ValueError(f"{data.shape[0]} bytes for {end - begin}")
        if begin < end:
            self.need(begin, end - begin)
            self._changed(begin, end - begin)
            memcpy(self.p + begin, &data[0], end - begin)
            self.relax()

    def find(self, bytes word not None, Py_ssize_t start=0):
        """Where `word` stands first from `start` on, -1 where it does not."""
        cdef Py_ssize_t end
        while start < self.size:
            end = min(start + BLOCK, self.size)
            at = self[start:end].find(word)
            if at >= 0:
                return start + at
            if end == self.size:
                break
            start = end - len(word) + 1
        return -1

    cdef Py_ssize_t _held(self) noexcept nogil:
        return self.packed + self.standing * BLOCK

    cdef bint over(self) noexcept nogil:
        return (
            self._held() > self.plain and self.standing * BLOCK > self.floor_
            and self.standing > self.stuck
        )

    cdef int _grow(self, Py_ssize_t size) except -1:
        cdef uint8_t* grown
        if self.mapped:
            return 0
        if size > min(MAPPED, self.plain):
            return self._map(self.room)
        # To the byte: what reads behind the end is to be noticed.
        grown = <uint8_t*>realloc(self.p, size)
        if grown is NULL:
            raise MemoryError()
        self.p = grown
        return 0

    cdef int _map(self, Py_ssize_t room) except -1:
        cdef Py_ssize_t blocks = room // BLOCK + 1, i
        cdef void* at
        self.states = <uint8_t*>calloc(blocks, 1)
        self.packs = <uint8_t**>calloc(blocks, sizeof(uint8_t*))
        self.lengths = <uint32_t*>calloc(blocks, sizeof(uint32_t))
        self.scratch = <uint8_t*>malloc(BLOCK)
        self.table = <uint16_t*>malloc(LZ4_HASHES * sizeof(uint16_t))
        if (
            self.states is NULL or self.packs is NULL or self.lengths is NULL
            or self.scratch is NULL or self.table is NULL
        ):
            raise MemoryError()
        at = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        if at == MAP_FAILED:
            raise MemoryError(f"{room} bytes of address space")
        if self.size:
            memcpy(at, self.p, self.size)
        free(self.p)
        self.p = <uint8_t*>at
        self.room = room
        self.blocks = blocks
        self.mapped = True
        for i in range((self.size + BLOCK - 1) // BLOCK):
            self.states[i] = IN
            self.standing += 1
        return 0

    cdef int _changed(self, Py_ssize_t offset, Py_ssize_t length) noexcept nogil:
        """What is packed of these bytes is not theirs any more."""
        cdef Py_ssize_t i
        if not self.mapped:
            return 0
        for i in range(offset // BLOCK, (offset + length - 1) // BLOCK + 1):
            if self.packs[i] is not NULL:
                self.packed -= self.lengths[i]
                free(self.packs[i])
                self.packs[i] = NULL
            self.states[i] = self.states[i] & ~STAYS
        return 0

    cdef int _fetch(self, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
        cdef Py_ssize_t i
        for i in range(first, last + 1):
            if not self.states[i] & IN:
                # A block that was never packed has no bytes yet: zeros stand there.
                if self.packs[i] is not NULL:
                    lz4_unpack(self.packs[i], self.lengths[i], self.p + i * BLOCK, BLOCK)
                    self.unpacked += 1
                self.standing += 1
            self.states[i] = self.states[i] | IN | LOOKED
        return 0

    cdef bint _squeeze(self) noexcept nogil:
        """Puts blocks away until few enough bytes are held: those that were not looked at since
        the hand came by."""
        cdef Py_ssize_t whole = self.size // BLOCK, turns = 2 * whole
        cdef bint gone = False
        while turns > 0 and self.over():
            turns -= 1
            self.hand = self.hand + 1 if self.hand + 1 < whole else 0
            if not self.states[self.hand] & IN or self.states[self.hand] & STAYS:
                continue
            if self.states[self.hand] & LOOKED:
                self.states[self.hand] = self.states[self.hand] & ~LOOKED
            elif self._put_away(self.hand):
                gone = True
        self.stuck = self.standing + TRIES if self.over() else 0
        return gone

    cdef bint _put_away(self, Py_ssize_t block) noexcept nogil:
        cdef uint8_t* at = self.p + block * BLOCK
        cdef Py_ssize_t n
        if self.packs[block] is NULL:
            n = lz4_pack(at, BLOCK, self.scratch, BLOCK - BLOCK // 8, self.table)
            if n > 0:
                self.packs[block] = <uint8_t*>malloc(n)
            if self.packs[block] is NULL:
                self.states[block] = self.states[block] | STAYS
                return False
            memcpy(self.packs[block], self.scratch, n)
            self.lengths[block] = <uint32_t>n
            self.packed += n
        madvise(at, BLOCK, MADV_DONTNEED)
        self.states[block] = 0
        self.standing -= 1
        return True
