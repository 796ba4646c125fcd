"""SMB, all versions, over TCP and over NetBIOS sessions."""

from libc.stdint cimport int64_t, uint8_t

from tracelake.parsers.protocols.protocol cimport Protocol, Talk
from tracelake.parsers.protocols.smb_shares cimport Session, Shares


cdef class Smb(Protocol):
    cdef Shares shares
    cdef int _message(
        self, Talk* t, Session* s, int side, const uint8_t* p, int64_t n, int64_t length,
        int64_t at,
    ) except -1 nogil
    cdef int64_t _rest(
        self, Talk* t, Session* s, int side, const uint8_t* p, int64_t n
    ) except -1 nogil
