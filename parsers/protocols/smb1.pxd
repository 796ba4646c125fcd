"""SMB 1 (MS-CIFS, MS-SMB): messages that begin with 0xFF "SMB"."""

from libc.stdint cimport int64_t, uint8_t

from tracelake.parsers.protocols.protocol cimport Talk
from tracelake.parsers.protocols.smb_shares cimport Session, Shares

cdef enum:
    SMB1_HEADER = 32

# A message and what is chained to it: `n` bytes are there of what may be longer. `at`: its place in
# what was offered.
cdef int smb1_message(
    Shares shares, Talk* t, Session* s, int side, const uint8_t* p, int64_t n, int64_t at
) except -1 nogil
# Of one that is longer than what is there, `length` bytes in all: notes in `s` which of its bytes
# are a file's.
cdef int smb1_long(
    Shares shares, Talk* t, Session* s, int side, const uint8_t* p, int64_t n, int64_t length
) except -1 nogil
