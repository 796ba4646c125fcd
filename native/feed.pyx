"""An artifact's bytes in order, through one window (see feed.pxd)."""

from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memmove

from tracelake.native.errors import EvidenceError, Unsupported

# Large enough that a read costs little per byte, small enough to stay in the second level of the
# cache from the read through the hash to the parse.
DEFAULT_WINDOW = 1 << 18
# No record of any format may make the window grow beyond this.
cdef Py_ssize_t MAX_NEED = 256 << 20


cdef class Feed:
    """An artifact's bytes in order.

    Args:
        readable: has `readinto(memoryview) -> int` (0 at the end), as a raw binary file.
            It may raise EvidenceError (a broken archive member): the bytes before are
            delivered first, then the error is raised.
        window: bytes to hold at once; grows when a record needs more, to 256 MiB at most.
    """

    def __cinit__(self, readable, Py_ssize_t window=DEFAULT_WINDOW):
        if window < 64:
            raise ValueError(f"a window of {window} bytes is too small")
        self._readinto = readable.readinto
        self._window = <uint8_t*>malloc(window)
        if self._window is NULL:
            raise MemoryError()
        self._capacity = window

    def __dealloc__(self):
        free(self._window)

    @property
    def position(self):
        """Artifact offset of the next byte."""
        return self.offset()

    def read(self, Py_ssize_t n):
        """The next `n` bytes, fewer at the end. For probes and tests, not for records."""
        cdef Py_ssize_t have = self._wanted(n)
        data = (<const char*>self.at())[:have]
        self.advance(have)
        return data

    def peek(self, Py_ssize_t n):
        """The next `n` bytes, fewer at the end, without moving."""
        cdef Py_ssize_t have = self._wanted(n)
        return (<const char*>self.at())[:have]

    cdef Py_ssize_t _wanted(self, Py_ssize_t n) except -1:
        """How many of the next `n` bytes there are."""
        if n < 0:
            raise ValueError(f"cannot read {n} bytes")
        return min(n, self.fill(n))

    def drain(self):
        """Reads to the end; returns the artifact's length in bytes."""
        while self.fill(1):
            self.advance(self._tail - self._head)
        return self.offset()

    def jump(self, int64_t offset):
        """Goes on at another artifact offset, of which the stream must give the next bytes: what
        is held is dropped, and an end that was reached is none any more."""
        if offset < 0:
            raise ValueError(f"cannot go on at {offset}")
        self._head = 0
        self._tail = 0
        self._origin = offset
        self._ended = False
        self._error = None

    cdef Py_ssize_t _refill(self, Py_ssize_t need) except -1 nogil:
        cdef Py_ssize_t held = self._tail - self._head
        cdef Py_ssize_t room
        cdef uint8_t* grown
        if need > MAX_NEED:
            with gil:
                raise Unsupported(
                    "record", self.offset(), f"claims {need} bytes, more than {MAX_NEED} are not read"
                )
        if self._ended and self._error is None:
            return held
        if self._head:
            memmove(self._window, self._window + self._head, held)
            self._origin += self._head
            self._head = 0
            self._tail = held
        if need > self._capacity:
            room = self._capacity
            while room < need:
                room *= 2
            grown = <uint8_t*>realloc(self._window, room)
            if grown is NULL:
                with gil:
                    raise MemoryError()
            self._window = grown
            self._capacity = room
        with gil:
            while not self._ended and self._tail < need:
                self._read_once()
            if self._error is not None and self._tail == 0:
                # Everything before the break has been delivered.
                error, self._error = self._error, None
                raise error
        return self._tail

    cdef int _read_once(self) except -1:
        cdef Py_ssize_t room = self._capacity - self._tail, read
        try:
            got = self._readinto(<uint8_t[:room]>(self._window + self._tail))
        except EvidenceError as error:
            self._error = error
            self._ended = True
            return 0
        if not got:
            self._ended = True
            return 0
        read = got
        if read < 0 or read > room:
            # Believed, it would be a read beyond the window.
            raise ValueError(f"a stream says that it read {read} bytes into a room of {room}")
        self._tail += read
        return 0

    cdef int skip(self, int64_t n) except -1 nogil:
        """Moves past `n` bytes, reading through them. Stops at the end of the artifact."""
        cdef Py_ssize_t have
        while n > 0:
            have = self.fill(1)
            if have == 0:
                return 0
            if have > n:
                have = <Py_ssize_t>n
            self.advance(have)
            n -= have
        return 0
