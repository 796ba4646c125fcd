"""gzip, zlib and raw deflate (see inflate.pxd)."""

import zlib

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint8_t

cdef enum:
    PIECE = 65536           # bytes that come out at once
    RATIO = 200             # beyond PLENTY, no honest content is packed tighter

cdef int64_t PLENTY = 16 << 20


cdef int inflate(
    Inflate* z, const uint8_t* p, Py_ssize_t n, void* owner, OnClear on_clear
) except -1 nogil:
    """Gives on what `n` more bytes hold. What is broken ends quietly: `broken` says so."""
    if z.over or n <= 0:
        return 0
    with gil:
        _inflate(z, p, n, owner, on_clear)
    return 0


cdef int _inflate(
    Inflate* z, const uint8_t* p, Py_ssize_t n, void* owner, OnClear on_clear
) except -1:
    cdef bytes data = (<const char*>p)[:n], out
    cdef bint first = z.stream is NULL
    if first:
        stream = zlib.decompressobj(47)     # gzip or zlib, by its header
        Py_INCREF(stream)
        z.stream = <PyObject*>stream
    z.taken += n
    while True:
        try:
            out = (<object>z.stream).decompress(data, PIECE)
        except zlib.error:
            if not first or z.given:
                z.over = z.broken = True
                return 0
            # Some senders leave the header of zlib out.
            first = False
            Py_DECREF(<object>z.stream)
            stream = zlib.decompressobj(-15)
            Py_INCREF(stream)
            z.stream = <PyObject*>stream
            continue
        first = False
        z.given += len(out)
        if out:
            on_clear(owner, <const uint8_t*>PyBytes_AS_STRING(out), PyBytes_GET_SIZE(out))
        if (<object>z.stream).eof:
            z.over = True
            return 0
        if z.given > PLENTY and z.given > z.taken * RATIO:
            z.over = z.bomb = True
            return 0
        data = (<object>z.stream).unconsumed_tail
        if not data and len(out) < PIECE:
            return 0


cdef void end_inflate(Inflate* z) noexcept nogil:
    if z.stream is not NULL:
        with gil:
            Py_DECREF(<object>z.stream)
        z.stream = NULL
