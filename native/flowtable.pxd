"""A table from hashes to slots, and the times at which slots fall due.

Both know nothing of what is in a slot: whoever owns the slots compares, and is told
when. Together they hold what lives for a while and is found by a key: flows, fragments.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t


cdef extern from *:
    """
    static inline unsigned long long tl_flow_fold(unsigned long long a, unsigned long long b) {
        unsigned __int128 m = (unsigned __int128)a * b;
        return (unsigned long long)m ^ (unsigned long long)(m >> 64);
    }
    """
    # Both halves of the 128-bit product: one multiplication mixes every bit into every other.
    uint64_t fold "tl_flow_fold"(uint64_t a, uint64_t b) noexcept nogil


cdef struct Place:
    uint32_t tag            # upper half of the hash: most strangers are told apart by it
    uint32_t slot           # slot + 1; 0 = free


cdef class IndexTable:
    """Open addressing, linear probing, no tombstones.

    To find: `at = first(hash)`, then while `slot(at) >= 0`: if `near(at, hash)` and the
    slot holds the key, it is found; else `at = next(at)`.
    """
    cdef Place* places
    cdef uint64_t mask
    cdef readonly Py_ssize_t count
    cdef uint64_t seed              # secret: who writes the traffic must not choose the places

    cdef int add(self, uint64_t hash, uint32_t slot) except -1 nogil
    cdef int remove(self, uint64_t hash, uint32_t slot) except -1 nogil
    cdef bint forget(self, uint64_t hash, uint32_t slot) noexcept nogil
    cdef int _grow(self) except -1 nogil

    cdef inline uint64_t first(self, uint64_t hash) noexcept nogil:
        # From the half that is kept as the tag: the table grows and closes gaps without the key.
        return (hash >> 32) & self.mask

    cdef inline uint64_t next(self, uint64_t at) noexcept nogil:
        return (at + 1) & self.mask

    cdef inline int64_t slot(self, uint64_t at) noexcept nogil:
        return <int64_t>self.places[at].slot - 1

    cdef inline bint near(self, uint64_t at, uint64_t hash) noexcept nogil:
        return self.places[at].tag == <uint32_t>(hash >> 32)


cdef struct Deadline:
    int64_t due
    uint32_t slot
    uint32_t serial         # the slot's tenant: a deadline of an earlier tenant is void


cdef class Deadlines:
    """A binary heap of times, the earliest first."""
    cdef Deadline* heap
    cdef readonly Py_ssize_t count
    cdef Py_ssize_t room

    cdef int push(self, int64_t due, uint32_t slot, uint32_t serial) except -1 nogil
    cdef Deadline pop(self) noexcept nogil                       # count must not be 0

    cdef inline bint passed(self, int64_t now) noexcept nogil:
        """Whether the earliest time is `now` or before."""
        return self.count > 0 and self.heap[0].due <= now
