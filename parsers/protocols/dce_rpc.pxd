"""DCE/RPC (C706, MS-RPCE): which function of which interface was called, and how it ended.

What carries it (a TCP connection, UDP, a named pipe of SMB) keeps an association, `Rpc`, and gives
its PDUs to `Calls`: whole ones to `pdu`, pieces of a stream to `stream`.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t

from tracelake.native.columns cimport DictColumn, DoubleColumn, IntColumn, TextColumn
from tracelake.parsers.conn cimport Place
from tracelake.parsers.protocols.gssapi cimport Gssapi
from tracelake.parsers.protocols.held_name cimport Name
from tracelake.parsers.protocols.ntlm cimport Logon
from tracelake.parsers.protocols.protocol cimport Protocol, Talk
from tracelake.parsers.protocols.sheet cimport Sheet, Sheets

cdef enum:
    CALLS = 8                   # of an association that wait for their answer; a power of two


cdef struct Context:            # what is called by it was bound to an interface
    uint16_t id
    uint8_t[16] uuid


cdef struct Call:
    uint32_t id
    uint16_t context
    uint16_t opnum
    bint waits
    int64_t time                # when the last of it was seen
    Place place
    uint8_t[16] uuid            # connectionless ones name it themselves


cdef struct Pieces:             # of a PDU that a pipe carries
    uint8_t* held
    int32_t count
    int32_t length              # of the PDU


cdef struct Rpc:
    Context* contexts
    int32_t context_count
    int32_t context_room
    bint bound
    bint odd_auth               # a kind of authentication that is not known was noted
    uint8_t[16] uuid            # of what was bound last
    Name pipe                   # as the server calls it
    Name opened                 # as the client opened it, where the server was not seen to say
    Call[CALLS] calls
    uint32_t asked              # calls so far
    Pieces[2] pieces


cdef class Calls:
    cdef Sheet sheet
    cdef Gssapi gssapi
    cdef int64_t kept
    cdef DictColumn endpoint, operation, named_pipe, status_code, interface
    cdef DoubleColumn rtt
    cdef IntColumn opnum, status_id

    cdef Rpc* begin(self) except NULL nogil
    # A whole PDU of `side`. `at`: its place in what was offered.
    cdef int pdu(
        self, Talk* t, Rpc* r, Logon** logon, int side, const uint8_t* p, int64_t n, int64_t at
    ) except -1 nogil
    # A piece of the stream of `side` that PDUs follow one another in.
    cdef int stream(
        self, Talk* t, Rpc* r, Logon** logon, int side, const uint8_t* p, int64_t n, int64_t at
    ) except -1 nogil
    # A connectionless one (C706 12.5).
    cdef int packet(
        self, Talk* t, Rpc* r, int side, const uint8_t* p, int64_t n
    ) except -1 nogil
    # Writes what found no answer, and frees.
    cdef int end(self, Talk* t, Rpc* r) except -1 nogil

    cdef int _bind(self, Rpc* r, bint little, const uint8_t* p, int64_t n) except -1 nogil
    cdef int _authenticate(
        self, Talk* t, Rpc* r, Logon** logon, int side, bint little, const uint8_t* p, int64_t n,
        int64_t at,
    ) except -1 nogil
    cdef int _answered(
        self, Talk* t, Rpc* r, int side, uint32_t call, uint16_t context, bint fault,
        uint32_t status, int64_t at,
    ) except -1 nogil
    cdef int _write(
        self, Talk* t, Rpc* r, const Place* place, const uint8_t* uuid, int32_t opnum,
        int64_t rtt, int status, uint32_t code,
    ) except -1 nogil

# Whether a PDU's header stands at `p`: 16 bytes must be there.
cdef bint is_header(const uint8_t* p) noexcept nogil
# Its length.
cdef int64_t length_of(const uint8_t* p) noexcept nogil


cdef class DceRpc(Protocol):
    cdef Calls calls
