"""The text of an artifact as UTF-8, whether it is in UTF-8 or UTF-16 (exports of Windows programs).

UTF-16 is known by its byte order mark, or by the zeros that most of its text has. Offsets are the
artifact's: a character of up to three bytes in UTF-8 is one unit of UTF-16, one of four is two, and
an unpaired surrogate becomes U+FFFD, three bytes for one unit. So the length of a piece of text in
the artifact follows from its UTF-8, without a table.
"""

from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memmove

from tracelake.native.text cimport utf16le_utf8

cdef enum:
    PIECE = 1 << 16         # bytes of UTF-16 decoded at once; even


def form_of(bytes head):
    """("utf-8" | "utf-16-le" | "utf-16-be", bytes of its byte order mark)."""
    if head[:3] == b"\xef\xbb\xbf":
        return "utf-8", 3
    if head[:2] == b"\xff\xfe":
        return "utf-16-le", 2
    if head[:2] == b"\xfe\xff":
        return "utf-16-be", 2
    cdef bytes first = head[:1024]
    cdef Py_ssize_t half = len(first) // 2
    if half >= 8:
        if first[1::2].count(0) * 4 > half * 3 and first[::2].count(0) * 8 < half:
            return "utf-16-le", 0
        if first[::2].count(0) * 4 > half * 3 and first[1::2].count(0) * 8 < half:
            return "utf-16-be", 0
    return "utf-8", 0


def text_of(bytes head):
    """The start of a file as UTF-8 text, without its byte order mark."""
    form, mark = form_of(head)
    if form == "utf-8":
        return head[mark:]
    body = head[mark:]
    return body[: len(body) // 2 * 2].decode(form, "replace").encode()


cdef class AnyText:
    """The text of an artifact.

    Args:
        artifact: its byte order mark is passed over (structure in its account).

    Raises:
        EvidenceError: the bytes could not be read (so do `fill` and with it all reading).
    """

    def __init__(self, artifact):
        cdef Py_ssize_t have
        self.feed = artifact.feed
        self.account = artifact.account
        have = self.feed.fill(1024)
        self.form, mark = form_of((<const char*>self.feed.at())[:have])
        self.feed.advance(mark)
        self.account.bytes_structure += mark
        if self.form != "utf-8":
            self._room = 4 * PIECE
            self._text = <uint8_t*>malloc(self._room)
            if self._text is NULL:
                raise MemoryError()
            self._offset = self.feed.offset()

    def __dealloc__(self):
        free(self._text)

    cdef Py_ssize_t _more(self, Py_ssize_t need) except -1:
        """Decodes until there are `need` bytes."""
        while self._tail - self._head < need and not self._ended:
            self._decode()
        return self._tail - self._head

    cdef int _decode(self) except -1:
        cdef uint8_t[PIECE] swapped
        cdef const uint8_t* p
        cdef Py_ssize_t have = self.feed.fill(PIECE), units, i
        cdef uint8_t* grown
        cdef int repaired = 0
        if have > PIECE:
            have = PIECE
        units = have // 2
        p = self.feed.at()
        if self.form == "utf-16-be":
            for i in range(units):
                swapped[2 * i] = p[2 * i + 1]
                swapped[2 * i + 1] = p[2 * i]
            p = swapped
        if have < PIECE:
            self._ended = True
            # Half a character at the end is none.
            self.account.bytes_slack += have & 1
        elif p[2 * units - 1] & 0xFC == 0xD8:
            units -= 1          # its other half comes next
        if self._head:
            memmove(self._text, self._text + self._head, self._tail - self._head)
            self._tail -= self._head
            self._head = 0
        if self._tail + 3 * units > self._room:
            i = max(2 * self._room, self._tail + 3 * units)
            grown = <uint8_t*>realloc(self._text, i)
            if grown is NULL:
                raise MemoryError()
            self._text = grown
            self._room = i
        self._tail += utf16le_utf8(p, units, self._text + self._tail, &repaired)
        if repaired:
            self.repaired = True
        self.feed.advance(have if self._ended else 2 * units)
        return 0

    cdef int64_t span(self, Py_ssize_t n) noexcept nogil:
        cdef const uint8_t* p = self._text + self._head
        cdef int64_t size = 0
        cdef Py_ssize_t i
        if self._text is NULL:
            return n
        for i in range(n):
            if p[i] & 0xC0 != 0x80:
                size += 4 if p[i] >= 0xF0 else 2
        return size

    cdef int64_t advance(self, Py_ssize_t n) noexcept nogil:
        cdef int64_t size
        if self._text is NULL:
            self.feed.advance(n)
            return n
        size = self.span(n)
        self._head += n
        self._offset += size
        return size
