"""RC4 (ARCFOUR): what some programs hide their files with. Not for keeping secrets."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t


cdef class Rc4:
    """A key's stream, from its start on.

    Args:
        key: 1 to 256 bytes.
    """

    cdef uint8_t[256] _box
    cdef uint8_t _i, _j

    def __init__(self, bytes key not None):
        cdef Py_ssize_t length = len(key)
        cdef const uint8_t* bits = <const uint8_t*>PyBytes_AS_STRING(key)
        cdef int i
        cdef uint8_t j = 0, held
        if not 1 <= length <= 256:
            raise ValueError(f"a key of {length} bytes")
        for i in range(256):
            self._box[i] = <uint8_t>i
        for i in range(256):
            held = self._box[i]
            j = <uint8_t>(j + held + bits[i % length])
            self._box[i] = self._box[j]
            self._box[j] = held
        self._i = 0
        self._j = 0

    def crypt(self, bytes data not None):
        """Hides or shows the next bytes."""
        cdef Py_ssize_t length = len(data), at
        cdef const uint8_t* source = <const uint8_t*>PyBytes_AS_STRING(data)
        cdef uint8_t* out
        cdef uint8_t i, j, held
        result = PyBytes_FromStringAndSize(NULL, length)
        out = <uint8_t*>PyBytes_AS_STRING(result)
        with nogil:
            i = self._i
            j = self._j
            for at in range(length):
                i = <uint8_t>(i + 1)
                held = self._box[i]
                j = <uint8_t>(j + held)
                self._box[i] = self._box[j]
                self._box[j] = held
                out[at] = source[at] ^ self._box[<uint8_t>(self._box[i] + held)]
            self._i = i
            self._j = j
        return result
