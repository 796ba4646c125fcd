"""HPACK (see hpack.pxd)."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from tracelake.parsers.protocols.hpack_tables import BY_LENGTH, STATIC

cdef enum:
    FIXED = 61
    OVERHEAD = 32               # bytes that an entry counts beside its texts
    FIRST_LIMIT = 4096          # of the table, before it is changed
    NODES = 513

cdef list _kept = []
cdef const char* _names[62]
cdef const char* _values[62]
cdef int32_t _name_lengths[62]
cdef int32_t _value_lengths[62]
# The tree of the Huffman code: of each node its two children; below zero: - 1 - the symbol.
cdef int16_t _tree[1026]


cdef int _build() except -1:
    cdef int i = 1, nodes = 1, node, bit, length
    cdef uint32_t code = 0
    cdef int before = 0
    cdef bytes name, value
    for n, v in STATIC:
        name = n.encode("ascii")
        value = v.encode("ascii")
        _kept.append(name)
        _kept.append(value)
        _names[i] = name
        _values[i] = value
        _name_lengths[i] = <int32_t>len(name)
        _value_lengths[i] = <int32_t>len(value)
        i += 1
    for length, symbols in sorted(BY_LENGTH.items()):
        code <<= length - before
        before = length
        for symbol in symbols:
            node = 0
            for i in range(length - 1, -1, -1):
                bit = code >> i & 1
                if i == 0:
                    _tree[2 * node + bit] = <int16_t>(-1 - symbol)
                else:
                    if _tree[2 * node + bit] == 0:
                        if nodes >= NODES:
                            raise ValueError("the code is no tree")
                        _tree[2 * node + bit] = <int16_t>nodes
                        nodes += 1
                    node = _tree[2 * node + bit]
            code += 1
    return 0


_build()


cdef int begin_hpack(Hpack* h) except -1 nogil:
    h.limit = FIRST_LIMIT
    h.ring = <Entry**>calloc(ENTRIES, sizeof(Entry*))
    h.name = <uint8_t*>malloc(TEXT_LIMIT)
    h.value = <uint8_t*>malloc(TEXT_LIMIT)
    if h.name is NULL or h.value is NULL or h.ring is NULL:
        with gil:
            raise MemoryError("HPACK")
    return 0


cdef void end_hpack(Hpack* h) noexcept nogil:
    h.limit = 0
    _evict(h, 0)
    free(h.ring)
    free(h.name)
    free(h.value)
    h.ring = NULL
    h.name = h.value = NULL


cdef void _evict(Hpack* h, int64_t room) noexcept nogil:
    """Until there is room, the oldest entries go."""
    cdef Entry* e
    while h.count and h.size + room > h.limit:
        e = h.ring[(h.head - h.count) & (ENTRIES - 1)]
        h.size -= e.name + e.value + OVERHEAD
        h.count -= 1
        free(e)


cdef int _add(
    Hpack* h, const uint8_t* name, Py_ssize_t n, const uint8_t* value, Py_ssize_t m
) except -1 nogil:
    cdef Entry* e
    # The name may be that of an entry which goes: it is copied first.
    e = <Entry*>malloc(sizeof(Entry) + n + m)
    if e is NULL:
        with gil:
            raise MemoryError("HPACK")
    e.name = <int32_t>n
    e.value = <int32_t>m
    memcpy(<uint8_t*>e + sizeof(Entry), name, n)
    memcpy(<uint8_t*>e + sizeof(Entry) + n, value, m)
    _evict(h, n + m + OVERHEAD)
    if h.size + n + m + OVERHEAD > h.limit:
        free(e)                 # larger than the table: it is empty now
        return 0
    h.ring[h.head] = e
    h.head = (h.head + 1) & (ENTRIES - 1)
    h.size += n + m + OVERHEAD
    h.count += 1
    return 0


cdef Py_ssize_t _integer(
    const uint8_t* p, Py_ssize_t n, Py_ssize_t at, int prefix, int64_t* value
) noexcept nogil:
    """5.1: where it ends; -1 where it is broken."""
    cdef int64_t most = (1 << prefix) - 1
    cdef int shift = 0
    if at >= n:
        return -1
    value[0] = p[at] & most
    at += 1
    if value[0] < most:
        return at
    while at < n and shift < 28:
        value[0] += <int64_t>(p[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not p[at - 1] & 0x80:
            return at
    return -1


cdef Py_ssize_t _text(
    const uint8_t* p, Py_ssize_t n, Py_ssize_t at, uint8_t* room, const uint8_t** out,
    Py_ssize_t* length
) noexcept nogil:
    """5.2: where it ends; -1 where it is broken or too long."""
    cdef bint packed
    cdef int64_t size = 0
    cdef Py_ssize_t i, count = 0
    cdef int node = 0, bit
    if at >= n:
        return -1
    packed = p[at] & 0x80 != 0
    at = _integer(p, n, at, 7, &size)
    if at < 0 or size > n - at or size > TEXT_LIMIT:
        return -1
    if not packed:
        out[0] = p + at
        length[0] = <Py_ssize_t>size
        return at + <Py_ssize_t>size
    for i in range(at, at + <Py_ssize_t>size):
        for bit in range(7, -1, -1):
            node = _tree[2 * node + (p[i] >> bit & 1)]
            if node < 0:
                if node == -257 or count >= TEXT_LIMIT:
                    return -1
                room[count] = <uint8_t>(-1 - node)
                count += 1
                node = 0
    out[0] = room
    length[0] = count
    return at + <Py_ssize_t>size


cdef int _entry(
    Hpack* h, int64_t index, const uint8_t** name, Py_ssize_t* n, const uint8_t** value,
    Py_ssize_t* m
) noexcept nogil:
    cdef Entry* e
    if index <= 0:
        return 0
    if index <= FIXED:
        name[0] = <const uint8_t*>_names[index]
        n[0] = _name_lengths[index]
        value[0] = <const uint8_t*>_values[index]
        m[0] = _value_lengths[index]
        return 1
    index -= FIXED + 1
    if index >= h.count:
        return 0
    e = h.ring[(h.head - 1 - index) & (ENTRIES - 1)]
    name[0] = <uint8_t*>e + sizeof(Entry)
    n[0] = e.name
    value[0] = name[0] + e.name
    m[0] = e.value
    return 1


cdef int read_block(
    Hpack* h, const uint8_t* p, Py_ssize_t n, void* owner, OnField on_field
) except -1 nogil:
    cdef Py_ssize_t at = 0, name_length = 0, value_length = 0, unused = 0
    cdef const uint8_t* name = NULL
    cdef const uint8_t* value = NULL
    cdef const uint8_t* other = NULL
    cdef int64_t index = 0
    cdef bint indexed
    while at < n:
        if p[at] & 0x80:                        # 6.1: an indexed header
            at = _integer(p, n, at, 7, &index)
            if at < 0 or not _entry(h, index, &name, &name_length, &value, &value_length):
                return False
            on_field(owner, name, name_length, value, value_length)
            continue
        if p[at] & 0xE0 == 0x20:                # 6.3: the table's size
            at = _integer(p, n, at, 5, &index)
            if at < 0 or index > TABLE_LIMIT:
                return False
            h.limit = index
            _evict(h, 0)
            continue
        indexed = p[at] & 0x40 != 0             # 6.2: a literal one
        at = _integer(p, n, at, 6 if indexed else 4, &index)
        if at < 0:
            return False
        if index:
            if not _entry(h, index, &name, &name_length, &other, &unused):
                return False
        else:
            at = _text(p, n, at, h.name, &name, &name_length)
            if at < 0:
                return False
        at = _text(p, n, at, h.value, &value, &value_length)
        if at < 0:
            return False
        on_field(owner, name, name_length, value, value_length)
        if indexed:
            _add(h, name, name_length, value, value_length)
    return True


def unpack(list blocks not None):
    """The headers of blocks of one direction: a list of (name, value) each, None for a broken one
    (for tests)."""
    cdef Hpack h
    cdef list found, all = []
    cdef bytes block
    memset(&h, 0, sizeof(h))
    begin_hpack(&h)
    try:
        for block in blocks:
            found = []
            good = read_block(
                &h, <const uint8_t*><const char*>block, len(block), <void*>found, _collect
            )
            all.append(found if good else None)
    finally:
        end_hpack(&h)
    return all


cdef int _collect(
    void* owner, const uint8_t* name, Py_ssize_t n, const uint8_t* value, Py_ssize_t m
) except -1 nogil:
    with gil:
        (<list>owner).append(((<const char*>name)[:n], (<const char*>value)[:m]))
    return 0
