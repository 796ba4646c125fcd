"""JA4H (see ja4h.pxd): `ge11cn20enus_60ca1bd65281_ac95b44401d9_8df6a44f726c`.

Method, version, whether there are cookies and a referrer, how many headers, the first language;
then 12 digits of the SHA-256 of the headers' names, of the cookies' names, and of the cookies.
"""

import hashlib

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from tracelake.native.hash64 cimport hash64

cdef enum:
    KNOWN = 1024


cdef int _sha256(uint8_t* out, bytes text) except -1:
    cdef bytes digest = hashlib.sha256(text).hexdigest().encode("ascii")
    memcpy(out, <const char*>digest, 12)
    return 0


cdef class Fingerprints:
    def __cinit__(self):
        self.known = <Known*>calloc(KNOWN, sizeof(Known))
        if self.known is NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.known)

    cdef int put(
        self, uint8_t* out, const uint8_t* method, Py_ssize_t method_length, int version,
        bint referrer, int headers, const uint8_t* names, Py_ssize_t n,
        const uint8_t* cookie, Py_ssize_t cookie_length,
        const uint8_t* language, Py_ssize_t language_length,
    ) except -1 nogil:
        cdef Py_ssize_t i, count = 0
        cdef uint8_t c
        for i in range(2):
            out[i] = method[i] | 32 if i < method_length else 48
        out[2] = <uint8_t>(48 + version // 10 % 10)
        out[3] = <uint8_t>(48 + version % 10)
        out[4] = 99 if cookie is not NULL else 110          # c, n
        out[5] = 114 if referrer else 110                   # r, n
        if headers > 99:
            headers = 99
        out[6] = <uint8_t>(48 + headers // 10)
        out[7] = <uint8_t>(48 + headers % 10)
        memset(out + 8, 48, 4)
        i = 0
        while i < language_length and count < 4:
            c = language[i]
            if c == 44 or c == 59:
                break
            if c != 45:
                out[8 + count] = c | 32 if 65 <= c <= 90 else c if 32 < c < 127 else 48
                count += 1
            i += 1
        out[12] = 95
        self._digest(out + 13, names, n)
        out[25] = 95
        memset(out + 26, 48, 12)
        out[38] = 95
        memset(out + 39, 48, 12)
        if cookie is not NULL and cookie_length:
            with gil:
                self._cookies(out, cookie, cookie_length)
        return 0

    cdef int _digest(self, uint8_t* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        cdef uint64_t key
        cdef Known* known
        if n == 0:
            memset(out, 48, 12)
            return 0
        key = hash64(p, n, <uint64_t><size_t>self.known) | 1
        known = &self.known[key >> 8 & (KNOWN - 1)]
        if known.key != key:
            with gil:
                _sha256(known.digest, (<const char*>p)[:n])
            known.key = key
        memcpy(out, known.digest, 12)
        return 0

    cdef int _cookies(self, uint8_t* out, const uint8_t* p, Py_ssize_t n) except -1:
        cdef list cookies = [each.strip() for each in (<const char*>p)[:n].split(b";")]
        _sha256(out + 26, b",".join(sorted([each.split(b"=")[0] for each in cookies])))
        return _sha256(out + 39, b",".join(sorted(cookies)))
