"""SMB 2 and 3 (MS-SMB2): messages that begin with 0xFE "SMB"."""

from libc.stdint cimport int64_t, uint8_t

from tracelake.parsers.protocols.protocol cimport Talk
from tracelake.parsers.protocols.smb_shares cimport Session, Shares

cdef enum:
    SMB2_HEADER = 64

# All messages that are compounded in one: `n` bytes are there of what may be longer. `at`: its
# place in what was offered.
cdef int smb2_message(
    Shares shares, Talk* t, Session* s, int side, const uint8_t* p, int64_t n, int64_t at
) except -1 nogil
# Of one that is longer than what is there, `length` bytes in all: notes in `s` which of its bytes
# are a file's.
cdef int smb2_long(
    Shares shares, Talk* t, Session* s, int side, const uint8_t* p, int64_t n, int64_t length
) except -1 nogil
