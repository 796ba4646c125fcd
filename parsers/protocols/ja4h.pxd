"""JA4H (FoxIO): the fingerprint of an HTTP request by its method, headers and cookies."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

cdef enum:
    JA4H_LENGTH = 51


cdef struct Known:
    uint64_t key
    uint8_t digest[12]


cdef class Fingerprints:
    """Fingerprints of the requests of one capture. Most of them have the same headers in the same
    order: their hash is kept."""
    cdef Known* known

    # Room: JA4H_LENGTH. `version` is 10, 11, 20; `names` are the headers' names with commas between
    # them, without Cookie and Referer; `cookie` and `language` are values, NULL where there are none.
    cdef int put(
        self, uint8_t* out, const uint8_t* method, Py_ssize_t method_length, int version,
        bint referrer, int headers, const uint8_t* names, Py_ssize_t n,
        const uint8_t* cookie, Py_ssize_t cookie_length,
        const uint8_t* language, Py_ssize_t language_length,
    ) except -1 nogil
    cdef int _digest(self, uint8_t* out, const uint8_t* p, Py_ssize_t n) except -1 nogil
    cdef int _cookies(self, uint8_t* out, const uint8_t* p, Py_ssize_t n) except -1
