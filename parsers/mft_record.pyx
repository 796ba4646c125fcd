"""What one FILE record says, and its extension records with it.

    record = header (48 or 56) attribute* 0xFFFFFFFF
    attribute = kind length resident? name-length name-at flags id ... (24 or 64 bytes) name content

Every attribute is looked at inside of the length that it has in the record, every content inside
of its attribute. The header's number of bytes in use is not believed: in deleted entries attributes
stand behind it. Where a length cannot be, reading ends there and the record is `broken`: what
came before it holds.
"""

from libc.string cimport memcpy, memset

from tracelake.native.cursor cimport le16, le32, le64
from tracelake.parsers.ntfs cimport NAME_DOS, NAME_HEADER

cdef enum:
    RESIDENT = 24                   # bytes of a resident attribute's header
    RUNS = 64                       # of one with runs
    STANDARD_LEAST = 48             # NTFS 1.2; 72 since 3.0


cdef inline void _put32(uint8_t* p, uint32_t value) noexcept nogil:
    memcpy(p, &value, 4)


cdef inline Py_ssize_t _pad(Py_ssize_t n) noexcept nogil:
    return (n + 7) & ~<Py_ssize_t>7


cdef int _attribute(
    const uint8_t* p, Py_ssize_t n, Py_ssize_t* length, Span* name, Span* content
) noexcept nogil:
    """The attribute at `p`, where `n` bytes are left: 1 with its parts, 0 at the end of them,
    -1 where it cannot be. The content of one with runs is NULL."""
    cdef Py_ssize_t at, size
    if n < 4:
        return -1
    if le32(p) == END:
        return 0
    if n < RESIDENT:
        return -1
    length[0] = le32(p + 4)
    if length[0] < RESIDENT or length[0] > n:
        return -1
    name.p = NULL
    name.n = p[9]
    content.p = NULL
    content.n = 0
    if name.n:
        at = le16(p + 10)
        if at < RESIDENT or at + 2 * name.n > length[0]:
            return -1
        name.p = p + at
    if p[8] == 0:
        size = le32(p + 16)
        at = le16(p + 20)
        if at < RESIDENT or at > length[0] or size > length[0] - at:
            return -1
        content.p = p + at
        content.n = size
    elif p[8] != 1 or length[0] < RUNS:
        return -1
    return 1


cdef class Record:
    def __cinit__(self):
        self._links = Buffer()
        self._streams = Buffer()
        self._utility = Buffer()

    cdef Link* link(self, int i) noexcept nogil:
        return <Link*>self._links.data + i

    cdef Stream* stream(self, int i) noexcept nogil:
        return <Stream*>self._streams.data + i

    cdef Span* utility(self, int i) noexcept nogil:
        return <Span*>self._utility.data + i

    cdef int begin(self, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        self._links.length = 0
        self._streams.length = 0
        self._utility.length = 0
        self.links = 0
        self.streams = 0
        self.utilities = 0
        self.attributes = 0
        self.broken = False
        self.has_list = False
        self.standard.p = NULL
        self.object_id.p = NULL
        self.security.p = NULL
        self.volume_name.p = NULL
        self.volume_information.p = NULL
        self.reparse.p = NULL
        self.has_reparse = False
        self.ea_size = -1
        self.size = -1
        self.allocated = -1
        self.valid = -1
        self.data_flags = 0
        self.content.p = NULL
        if n < HEADER_LEAST:
            return 0
        self.lsn = le64(p + 8)
        self.sequence = le16(p + 16)
        self.link_count = le16(p + 18)
        self.flags = le16(p + 22)
        self.base = le64(p + 32)
        # Since NTFS 3.1 the update sequence stands behind it.
        self.number = le32(p + 44) if n >= 48 and le16(p + 4) >= 48 else -1
        self.scan(p, n)
        return 1

    cdef int scan(self, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        cdef Py_ssize_t at = le16(p + 20), length
        cdef Span name, content
        cdef int found
        self.end = n
        if at < HEADER_LEAST or at & 1 or at > n:
            self.broken = True
            return 0
        while True:
            found = _attribute(p + at, n - at, &length, &name, &content)
            if found < 1:
                self.broken |= found < 0
                if found == 0 and at + 8 <= n:
                    self.end = at + 8
                return 0
            self.attributes += 1
            self._take(le32(p + at), p + at, length, &name, &content)
            at += length

    cdef int _take(
        self, uint32_t kind, const uint8_t* p, Py_ssize_t length, Span* name, Span* content
    ) except -1 nogil:
        cdef Link* link
        cdef Span* utility
        cdef const uint8_t* c = content.p
        if kind == STANDARD:
            if c is not NULL and content.n >= STANDARD_LEAST:
                self.standard = content[0]
            else:
                self.broken = True
        elif kind == NAME:
            if c is NULL or content.n < NAME_HEADER:
                self.broken = True
                return 0
            self._links.reserve(sizeof(Link))
            link = <Link*>(self._links.data + self._links.length)
            self._links.length += sizeof(Link)
            link.p = c
            link.units = c[64]
            if NAME_HEADER + 2 * link.units > content.n:
                self.broken = True      # what is there of the name
                link.units = <int>((content.n - NAME_HEADER) // 2)
            link.space = c[65]
            self.links += 1
        elif kind == DATA:
            self._data(p, length, name, content)
        elif kind == LIST:
            self.has_list = True
        elif kind == OBJECT_ID:
            if c is not NULL and content.n >= 16:
                self.object_id = content[0]
        elif kind == SECURITY:
            if c is not NULL:
                self.security = content[0]
        elif kind == VOLUME_NAME:
            if c is not NULL:
                self.volume_name = content[0]
        elif kind == VOLUME_INFORMATION:
            if c is not NULL and content.n >= 12:
                self.volume_information = content[0]
        elif kind == REPARSE:
            self.has_reparse = True
            if c is not NULL and content.n >= 8:
                self.reparse = content[0]
        elif kind == EA:
            if c is not NULL:
                self.ea_size = content.n
            elif le64(p + 16) == 0:
                self.ea_size = <int64_t>(le64(p + 48) & 0x7FFFFFFFFFFFFFFFULL)
        elif kind == UTILITY:
            if name.n:
                self._utility.reserve(sizeof(Span))
                utility = <Span*>(self._utility.data + self._utility.length)
                self._utility.length += sizeof(Span)
                utility[0] = name[0]
                self.utilities += 1
        return 0

    cdef int _data(
        self, const uint8_t* p, Py_ssize_t length, Span* name, Span* content
    ) except -1 nogil:
        cdef Stream* stream
        cdef int64_t size
        if content.p is NULL:
            if le64(p + 16) != 0:
                return 0            # further runs of a stream whose first said its sizes
            size = <int64_t>(le64(p + 48) & 0x7FFFFFFFFFFFFFFFULL)
        else:
            size = content.n
        if name.n == 0:
            if self.size >= 0:
                return 0
            self.size = size
            self.data_flags = le16(p + 12)
            self.content = content[0]
            if content.p is NULL:
                self.allocated = <int64_t>(le64(p + 40) & 0x7FFFFFFFFFFFFFFFULL)
                self.valid = <int64_t>(le64(p + 56) & 0x7FFFFFFFFFFFFFFFULL)
                if self.data_flags & 0x80FF and length >= RUNS + 8:
                    # Sparse and compressed: what it takes on the disk stands behind.
                    self.allocated = <int64_t>(le64(p + 64) & 0x7FFFFFFFFFFFFFFFULL)
            else:
                self.allocated = 0
            return 0
        self._streams.reserve(sizeof(Stream))
        stream = <Stream*>(self._streams.data + self._streams.length)
        self._streams.length += sizeof(Stream)
        stream.name = name[0]
        stream.size = size
        stream.content = content[0]
        self.streams += 1
        return 0

    cdef int best(self) noexcept nogil:
        cdef int i, found = -1
        for i in range(self.links):
            if self.link(i).space != NAME_DOS:
                return i
            if found < 0:
                found = i
        return found


cdef Py_ssize_t shortened(const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil:
    cdef Py_ssize_t at = le16(p + 20), length, keep, to
    cdef Span name, content
    cdef uint32_t kind
    if at < HEADER_LEAST or at & 1 or at > n:
        memcpy(out, p, n)
        return n
    memcpy(out, p, at)
    to = at
    while True:
        if _attribute(p + at, n - at, &length, &name, &content) < 1:
            # The end of the attributes, or what is broken as it is, to be met again.
            keep = n - at if n - at < 8 or le32(p + at) != END else 8
            memcpy(out + to, p + at, keep)
            to += keep
            break
        kind = le32(p + at)
        keep = length
        if content.p is NULL:
            keep = name.p + 2 * name.n - (p + at) if name.n else RUNS
            if keep < RUNS + 8 <= length:
                keep = RUNS + 8
            elif keep < RUNS:
                keep = RUNS
        elif kind == LIST or kind == INDEX_ROOT or kind == BITMAP:
            keep = name.p + 2 * name.n - (p + at) if name.n else RESIDENT
            if keep < RESIDENT:
                keep = RESIDENT
        if _pad(keep) < length:
            keep = _pad(keep)
            memcpy(out + to, p + at, keep)
            _put32(out + to + 4, <uint32_t>keep)
            if content.p is not NULL:
                memset(out + to + 16, 0, 4)
                out[to + 20] = RESIDENT
                out[to + 21] = 0
        else:
            keep = length
            memcpy(out + to, p + at, keep)
        to += keep
        at += length
    return to
