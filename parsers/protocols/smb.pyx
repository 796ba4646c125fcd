"""SMB over TCP (MS-SMB2 2.1, MS-CIFS 2.1): each message stands behind a byte 0 and its length.

That is the frame of a NetBIOS session (RFC 1002, 4.3), where the byte says which packet it is: a
session's request and its answers, messages, keep-alives. A message begins with 0xFF "SMB", which
is SMB 1, 0xFE "SMB" SMB 2 and 3, 0xFD "SMB" an encrypted (MS-SMB2 2.2.41) and 0xFC "SMB" a
compressed one (2.2.42), which are counted.

Of a message beyond HEAD bytes the beginning is read, and what it reads or writes of a file follows
as it comes; nothing of it is held.
"""

from libc.stdint cimport int64_t, uint8_t

from tracelake.native.account cimport Account
from tracelake.native.cursor cimport be16, be32
from tracelake.parsers.conn cimport ORIG
from tracelake.parsers.protocols.protocol cimport (
    MORE, NO, YES, Guess, Protocol, Talk, confirm, place,
)
from tracelake.parsers.protocols.sheet cimport Sheets
from tracelake.parsers.protocols.smb1 cimport smb1_long, smb1_message
from tracelake.parsers.protocols.smb2 cimport smb2_long, smb2_message
from tracelake.parsers.protocols.smb_shares cimport Open, Session, Shares
from tracelake.parsers.services cimport service

cdef int SMB = service("smb")

cdef enum:
    FRAME = 4
    HEAD = 65536                # of a message that is longer, so much is read at once
    UDP = 17

# Kinds of packets of a NetBIOS session (RFC 1002, 4.3.1).
cdef enum:
    SESSION_MESSAGE = 0x00
    SESSION_REQUEST = 0x81
    POSITIVE_RESPONSE = 0x82
    NEGATIVE_RESPONSE = 0x83
    RETARGET = 0x84
    KEEP_ALIVE = 0x85


cdef class Smb(Protocol):
    """SMB in TCP connections.

    Args:
        index: its number in PROTOCOLS.
        account: of the capture.
        sheets: the tables that rows are written to.
    """

    def __cinit__(self, int index, Account account, Sheets sheets):
        self.name = "smb"
        self.ports = (445, 139)
        self.longest = FRAME + HEAD
        self.shares = Shares(sheets)

    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        if t.flow.protocol == UDP:
            return NO
        return _looks(orig, n) if n else _looks(resp, m)

    cdef int begin(self, Talk* t) except -1 nogil:
        t.state = self.shares.begin()
        return 0

    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        cdef Session* s = <Session*>t.state
        cdef int64_t at = 0, length, head
        if s.left[side]:
            at = self._rest(t, s, side, p, n)
        if s.lost[side]:
            if n - at < 2 * FRAME or not _is_message(p + at):
                return n            # until a segment begins with a message
            s.lost[side] = False
        while n - at >= FRAME:
            if not _is_packet(p[at]):
                s.lost[side] = True
                return n
            length = be32(p + at) & 0xFFFFFF
            head = length if length < HEAD else HEAD
            if n - at < FRAME + head:
                t.half[side].need = FRAME + head
                break
            if p[at] == SESSION_MESSAGE and head >= FRAME:
                self._message(t, s, side, p + at + FRAME, head, length, at + FRAME)
            at += FRAME + head
            s.left[side] = length - head
            if s.left[side]:
                at += self._rest(t, s, side, p + at, n - at)
        return at

    cdef int _message(
        self, Talk* t, Session* s, int side, const uint8_t* p, int64_t n, int64_t length,
        int64_t at,
    ) except -1 nogil:
        cdef uint8_t kind = p[0]
        if p[1] != b"S" or p[2] != b"M" or p[3] != b"B":
            return 0
        s.chunks += 1
        confirm(t, SMB)
        s.is_bulk[side] = False
        if kind == 0xFE:
            if n < length:
                smb2_long(self.shares, t, s, side, p, n, length)
            return smb2_message(self.shares, t, s, side, p, n, at)
        if kind == 0xFF:
            if n < length:
                smb1_long(self.shares, t, s, side, p, n, length)
            return smb1_message(self.shares, t, s, side, p, n, at)
        if not s.has_first and (kind == 0xFD or kind == 0xFC):
            s.has_first = True
            s.first = place(t, side, at)
        if kind == 0xFD:
            s.encrypted += 1
        elif kind == 0xFC:
            s.compressed += 1
        return 0

    cdef int64_t _rest(
        self, Talk* t, Session* s, int side, const uint8_t* p, int64_t n
    ) except -1 nogil:
        """What follows of a long message: how much of `n` bytes is its."""
        cdef int64_t part = s.left[side] if s.left[side] < n else n, of_file
        cdef Open* f
        if s.is_bulk[side] and s.bulk_left[side] > 0:
            f = self.shares.open(s, s.bulk[side])
            if f is NULL:
                s.is_bulk[side] = False
            else:
                of_file = part if part < s.bulk_left[side] else s.bulk_left[side]
                self.shares.content(t, s, f, side, s.position[side], p, of_file, 0)
                s.position[side] += of_file
                s.bulk_left[side] -= of_file
        s.left[side] -= part
        return part

    cdef int gap(self, Talk* t, int side, int64_t n) except -1 nogil:
        cdef Session* s = <Session*>t.state
        # What is missing inside of a long message is missing of a file at most.
        if s.left[side] >= n:
            s.left[side] -= n
            s.position[side] += n
            s.bulk_left[side] -= n
        else:
            s.left[side] = 0
            s.lost[side] = True
        return 0

    cdef int end(self, Talk* t) except -1 nogil:
        self.shares.end(t, <Session*>t.state)
        t.state = NULL
        return 0


cdef inline bint _is_packet(uint8_t kind) noexcept nogil:
    return kind == SESSION_MESSAGE or SESSION_REQUEST <= kind <= KEEP_ALIVE


cdef inline bint _is_message(const uint8_t* p) noexcept nogil:
    """Eight bytes: a frame, and what a message begins with."""
    return (
        p[0] == SESSION_MESSAGE and p[4] >= 0xFC and p[5] == b"S" and p[6] == b"M"
        and p[7] == b"B"
    )


cdef Guess _looks(const uint8_t* p, int64_t n) noexcept nogil:
    if n >= 2 * FRAME and _is_message(p):
        return YES
    if n and p[0] == SESSION_REQUEST:
        # Two names of NetBIOS: 34 bytes each without a scope.
        if n < FRAME + 1:
            return MORE
        return YES if be16(p + 2) >= 68 and p[1] <= 1 and p[4] == 32 else NO
    if n and p[0] != SESSION_MESSAGE or n >= 2 * FRAME:
        return NO
    if n > FRAME and p[FRAME] < 0xFC or n > FRAME + 1 and p[FRAME + 1] != b"S":
        return NO
    return MORE
