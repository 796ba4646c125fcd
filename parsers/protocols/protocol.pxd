"""What an application protocol is to the flows: a class that is offered bytes.

A `Talk` is what is said in one flow. Until its protocol is recognised, the first bytes of either
side are kept and shown to every protocol; then it belongs to one of them, which is offered the
bytes of each side in order (`data`), is told of what the capture lacks (`gap`), and writes rows.

A protocol reads whole messages. It is offered all bytes that it has not consumed yet, in one
piece, and returns how many it has consumed; the rest is offered again with what comes next. It
keeps nothing of the bytes itself.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tracelake.native.account cimport Account
from tracelake.parsers.conn cimport Flow, Place
from tracelake.parsers.protocols.sheet cimport Sheets


# A packet that bytes came in.
cdef struct Mark:
    int64_t at              # position in the side's stream of its first byte
    int64_t time
    int64_t offset
    int64_t length


# What one side of a talk has said and nobody has consumed yet.
cdef struct Half:
    uint8_t* held
    int64_t count           # bytes held
    int64_t room
    int64_t position        # in the stream, of the first byte that is not consumed
    int64_t need            # bytes that must be there before the protocol is asked again
    int64_t skip            # bytes to pass over without showing them to anybody
    Mark* marks             # of the packets that the held bytes came in, in order
    int32_t mark_count
    int32_t mark_room
    Mark now                # the packet at hand
    int64_t named_offset    # of the packet that the latest Place was given for ...
    int32_t named           # ... and how many there were
    bint ended              # no more will come


cdef enum:
    UNDECIDED = -1          # protocol of a Talk: not recognised yet
    NONE = -2               # none that is known here, or given up


cdef struct Talk:
    Flow* flow
    int32_t protocol        # index in PROTOCOLS, or one of the above
    int32_t following       # what `hand_over` named; else the same as `protocol`
    void* state             # the protocol's own
    int64_t time            # of the packet at hand
    int32_t depth           # tunnels around it
    int32_t shown           # datagrams that no protocol recognised
    bint gone               # `give_up` was called
    bint truncated          # bytes were dropped because memory was full
    Half half[2]
    Talk* older             # of those that hold bytes
    Talk* newer


cdef enum Guess:
    NO = 0                  # this is something else
    MORE = 1                # cannot be told from so few bytes
    YES = 2


cdef class Protocol:
    cdef readonly str name          # as Zeek's conn.log names the service
    cdef readonly int index         # in PROTOCOLS
    cdef readonly int64_t longest   # bytes of one message; beyond, the talk is given up
    cdef readonly tuple ports       # who is asked first; decides nothing
    cdef Account account
    cdef Sheets sheets

    # Whether this is the protocol's; n and m are how many bytes either side has said: 0 is possible.
    # A datagram is shown alone: the other side's count is 0.
    cdef Guess recognise(
        self, const Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil
    # Allocates `t.state`, if there is any.
    cdef int begin(self, Talk* t) except -1 nogil
    # The bytes of `side` that are not consumed yet. Returns how many are now.
    cdef int64_t data(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil
    # `n` bytes of `side` are not in the capture; what was held before them is gone. By default the
    # talk is given up.
    cdef int gap(self, Talk* t, int side, int64_t n) except -1 nogil
    # The side will say no more (FIN); also called before `end`.
    cdef int closed(self, Talk* t, int side) except -1 nogil
    cdef int datagram(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil
    # The flow ends: writes what waits, and frees `t.state`.
    cdef int end(self, Talk* t) except -1 nogil
    # Every 10 seconds of packet time, and with `last` when all flows have ended: for what is joined
    # across flows.
    cdef int tick(self, int64_t now, bint last) except -1 nogil


# Where the byte `at` of what was offered came from; each call for one packet counts `sub` up. To be
# asked once for every row, when its message begins, and before `data` returns.
cdef Place place(Talk* t, int side, int64_t at) noexcept nogil

# The protocol is sure: the flow's app_protocol names it.
cdef void confirm(Talk* t, int service) noexcept nogil

# No more bytes of this talk are wanted (it is encrypted, or not what it seemed).
cdef inline void give_up(Talk* t) noexcept nogil:
    t.gone = True

# From the bytes on that `data` does not consume, another protocol speaks (STARTTLS, CONNECT):
# its index, or UNDECIDED.
cdef inline void hand_over(Talk* t, int32_t protocol) noexcept nogil:
    t.following = protocol
