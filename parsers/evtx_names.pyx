"""The names that a record has used (see evtx_names.pxd): `Data`, `Data[2]`, `Data[3]`."""

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from tracelake.native.hash64 cimport hash64
from tracelake.native.text cimport put_uint


cdef int names_reset(NameSet* s, int32_t expected) except -1 nogil:
    cdef int32_t room = 64
    while room < 2 * expected + 16:
        room *= 2
    # A record that asked for much must not make all that follow pay for it.
    if room > s.room or s.room > 4096:
        free(s.keys)
        free(s.counts)
        s.room = 0
        s.keys = <uint64_t*>malloc(room * sizeof(uint64_t))
        s.counts = <int32_t*>malloc(room * sizeof(int32_t))
        if s.keys is NULL or s.counts is NULL:
            with gil:
                raise MemoryError()
        s.room = room
    memset(s.counts, 0, s.room * sizeof(int32_t))
    s.used = 0
    return 0


cdef int32_t _names_find(NameSet* s, uint64_t key) noexcept nogil:
    """The place of a key, or the free place where it belongs."""
    cdef int32_t at = <int32_t>(key & <uint64_t>(s.room - 1))
    while s.counts[at] and s.keys[at] != key:
        at = (at + 1) & (s.room - 1)
    return at


cdef int _names_grow(NameSet* s) except -1 nogil:
    cdef NameSet old = s[0], grown
    cdef int32_t i, at
    memset(&grown, 0, sizeof(NameSet))
    names_reset(&grown, old.room)
    s[0] = grown
    for i in range(old.room):
        if old.counts[i]:
            at = _names_find(s, old.keys[i])
            s.keys[at] = old.keys[i]
            s.counts[at] = old.counts[i]
    s.used = old.used
    free(old.keys)
    free(old.counts)
    return 0


cdef int32_t names_number(NameSet* s, const uint8_t* name, int32_t n) except -1 nogil:
    # A collision of two hashes would only number a name that need not be.
    cdef uint64_t base = hash64(name, n, 0), key
    cdef uint8_t[12] suffix
    cdef int32_t at, number, base_at
    if 2 * (s.used + 2) > s.room:
        _names_grow(s)
    base_at = _names_find(s, base)
    if not s.counts[base_at]:
        s.keys[base_at] = base
        s.counts[base_at] = 1
        s.used += 1
        return 1
    number = s.counts[base_at]
    while True:
        number += 1
        # Numbered names are keyed like any other, or `x`, `x`, `x[2]` would meet.
        key = _numbered(name, n, suffix, put_number(suffix, number))
        at = _names_find(s, key)
        if not s.counts[at]:
            s.keys[at] = key
            s.counts[at] = 1
            s.used += 1
            s.counts[base_at] = number
            return number


cdef uint64_t _numbered(const uint8_t* name, int32_t n, const uint8_t* suffix,
                        int32_t suffix_length) noexcept nogil:
    cdef uint8_t[MAX_NAME * 4] whole
    if n + suffix_length > <int32_t>sizeof(whole):
        return hash64(name, n, hash64(suffix, suffix_length, 1))
    memcpy(whole, name, n)
    memcpy(whole + n, suffix, suffix_length)
    return hash64(whole, n + suffix_length, 0)


cdef int32_t put_number(uint8_t* out, int32_t number) noexcept nogil:
    cdef int32_t n = 1 + <int32_t>put_uint(out + 1, <uint64_t>number)
    out[0] = 91  # [
    out[n] = 93
    return n + 1
