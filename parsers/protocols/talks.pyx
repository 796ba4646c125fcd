"""What is said in the flows of one capture, given to the protocols that it belongs to.

Most segments hold whole messages and nothing is held: the protocol is offered the packet's own
bytes. What it does not consume is copied, and offered again, in one piece, with what comes next.
All that is held is bounded: beyond HELD_LIMIT the talk that has waited longest loses what it holds,
which is a gap to its protocol.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memmove

from tracelake.native.account cimport Account
from tracelake.parsers.conn cimport ORIG, RESP
from tracelake.parsers.protocols.expected cimport Announced
from tracelake.parsers.protocols.known import PROTOCOLS
from tracelake.parsers.protocols.protocol cimport MORE, NO, NONE, UNDECIDED, YES, Guess

cdef enum:
    TCP = 6
    SHOWN_BYTES = 2048          # of a side, after which nobody is asked any more whose it is
    SHOWN_DATAGRAMS = 16        # a scanner tries one protocol after the other on a port
    HAND_OVERS = 8              # protocols that follow one another in a flow

cdef int64_t HELD_LIMIT = 64 << 20
cdef int64_t TICK = 10000000000     # nanoseconds: Zeek looks at its tables that often


cdef void turn(Talk* t) noexcept nogil:
    cdef Half half = t.half[ORIG]
    t.half[ORIG] = t.half[RESP]
    t.half[RESP] = half


cdef class Talks:
    """The talks of one capture.

    Args:
        account: of the capture.
    """

    def __cinit__(self, Account account):
        cdef int i, port
        self.sheets = Sheets()
        self.protocols = [
            kind(index, account, self.sheets) for index, kind in enumerate(PROTOCOLS)
        ]
        self.count = len(self.protocols)
        self.table = <PyObject**>calloc(self.count + 1, sizeof(PyObject*))
        self.first_of_port = <uint8_t*>calloc(1 << 16, 1)
        if self.table is NULL or self.first_of_port is NULL:
            raise MemoryError()
        for i in range(self.count):
            self.table[i] = <PyObject*>self.protocols[i]
            for port in self.protocols[i].ports:
                self.first_of_port[port] = <uint8_t>(i + 1)

    def __dealloc__(self):
        free(self.table)
        free(self.first_of_port)

    cdef bint listens(self, const Flow* f) noexcept nogil:
        """Whether anybody wants more of a flow's bytes."""
        return f.talk is NULL or (<Talk*>f.talk).protocol != NONE

    cdef int data(
        self, Flow* f, int side, const uint8_t* p, int64_t n, const Mark* mark
    ) except -1 nogil:
        cdef Talk* t = <Talk*>f.talk
        cdef Half* h
        cdef int64_t passed
        if t is NULL:
            t = self._talk(f)
        if t.protocol == NONE or n <= 0:
            return 0
        h = &t.half[side]
        t.time = mark.time
        h.now = mark[0]
        if h.skip:
            passed = n if n < h.skip else h.skip
            h.skip -= passed
            h.position += passed
            p += passed
            n -= passed
        h.now.at = h.position + h.count
        if n == 0:
            return 0
        if t.protocol != UNDECIDED:
            return self._offer(t, side, p, n)
        self._keep(t, side, p, n, &h.now)
        return self._recognise(t, side)

    cdef int gap(self, Flow* f, int side, int64_t n, const Mark* mark) except -1 nogil:
        """`n` bytes of a side are not in the capture."""
        cdef Talk* t = <Talk*>f.talk
        cdef Half* h
        cdef int64_t passed
        if t is NULL:
            t = self._talk(f)
        if t.protocol == NONE:
            return 0
        h = &t.half[side]
        t.time = mark.time
        h.now = mark[0]
        h.now.at = h.position + h.count
        if t.protocol == UNDECIDED:
            if t.half[ORIG].position or t.half[RESP].position or h.count:
                return self._stop(t)    # nobody would know where a message begins
            h.position += n
            return 0
        passed = n if n < h.skip else h.skip
        h.skip -= passed
        h.position += passed
        n -= passed
        if n == 0:
            return 0
        h.position += h.count
        self._drop(t, side)
        h.need = 0
        (<Protocol>self.table[t.protocol]).gap(t, side, n)
        h.position += n
        return self._stop(t) if t.gone else 0

    cdef int closed(self, Flow* f, int side) except -1 nogil:
        """A side will say no more."""
        cdef Talk* t = <Talk*>f.talk
        if t is NULL or t.half[side].ended:
            return 0
        t.half[side].ended = True
        if t.protocol >= 0:
            (<Protocol>self.table[t.protocol]).closed(t, side)
            if t.gone:
                return self._stop(t)
        return 0

    cdef int datagram(
        self, Flow* f, int side, const Packet* p, const uint8_t* data, int64_t n
    ) except -1 nogil:
        """A UDP datagram of a side."""
        cdef Talk* t = <Talk*>f.talk
        cdef Half* h
        cdef int32_t i
        cdef const uint8_t* orig = data if side == ORIG else NULL
        cdef const uint8_t* resp = data if side == RESP else NULL
        cdef int64_t n_orig = n if side == ORIG else 0, n_resp = n if side == RESP else 0
        if t is NULL:
            t = self._talk(f)
        if t.protocol == NONE or n <= 0:
            return 0
        h = &t.half[side]
        t.time = p.time
        h.now.at = h.position
        h.now.time = p.time
        h.now.offset = p.offset
        h.now.length = p.length
        if t.protocol == UNDECIDED:
            i = self._whose(t, orig, n_orig, resp, n_resp)
            if i < 0:
                # Who waits for more (DTLS behind STUN) is not counted.
                t.shown += i == NONE
                if t.shown >= SHOWN_DATAGRAMS:
                    t.protocol = NONE
                return 0
            t.shown = 0
            self._belongs(t, i)
        elif t.shown < SHOWN_DATAGRAMS and not f.side[1 - side].packets:
            # A scanner tries one protocol after the other from one port, and nobody answers.
            t.shown += 1
            if (<Protocol>self.table[t.protocol]).recognise(t, orig, n_orig, resp, n_resp) == NO:
                i = self._whose(t, orig, n_orig, resp, n_resp)
                if i >= 0:
                    (<Protocol>self.table[t.protocol]).end(t)
                    t.state = NULL
                    self._belongs(t, i)
        (<Protocol>self.table[t.protocol]).datagram(t, side, data, n)
        return self._stop(t) if t.gone else 0

    cdef int end(self, Flow* f) except -1 nogil:
        """The flow ends."""
        cdef Talk* t = <Talk*>f.talk
        cdef int side
        if t is NULL:
            return 0
        if t.protocol >= 0:
            self.closed(f, ORIG)
        if t.protocol >= 0:
            self.closed(f, RESP)
        if t.protocol >= 0:
            self._stop(t)
        for side in range(2):
            self._drop(t, side)
            free(t.half[side].held)
            free(t.half[side].marks)
        self._unlink(t)
        free(t)
        f.talk = NULL
        return 0

    cdef int tick(self, int64_t now, bint last) except -1 nogil:
        """Lets the protocols write what waited long enough for more."""
        cdef int i
        self.due = now + TICK
        for i in range(self.count):
            (<Protocol>self.table[i]).tick(now, last)
        return 0

    cdef Talk* _talk(self, Flow* f) except NULL nogil:
        cdef Talk* t = <Talk*>calloc(1, sizeof(Talk))
        cdef const Announced* announced
        if t is NULL:
            with gil:
                raise MemoryError("a talk")
        t.flow = f
        t.protocol = t.following = UNDECIDED
        t.depth = f.depth
        f.talk = t
        announced = self.sheets.expected.find(f)
        if announced is not NULL:
            self._belongs(t, announced.protocol)
        return t

    cdef int32_t _whose(
        self, Talk* t, const uint8_t* orig, int64_t n, const uint8_t* resp, int64_t m
    ) noexcept nogil:
        """The protocol that recognises the bytes as its own: UNDECIDED where one may when there
        are more, NONE where none does."""
        cdef int32_t i, first = -1, found = NONE
        cdef Guess guess
        cdef int k
        for k in range(2):
            first = <int32_t>self.first_of_port[t.flow.port[RESP if k == 0 else ORIG]] - 1
            if first >= 0:
                guess = (<Protocol>self.table[first]).recognise(t, orig, n, resp, m)
                if guess == YES:
                    return first
                if guess == MORE:
                    found = UNDECIDED
        if found == UNDECIDED:
            return UNDECIDED        # who is at home on the port is waited for
        for i in range(self.count):
            guess = (<Protocol>self.table[i]).recognise(t, orig, n, resp, m)
            if guess == YES:
                return i
            if guess == MORE:
                found = UNDECIDED
        return found

    cdef int _recognise(self, Talk* t, int side) except -1 nogil:
        cdef int32_t i
        cdef int k
        while t.protocol == UNDECIDED:
            i = self._whose(t, t.half[ORIG].held, t.half[ORIG].count,
                            t.half[RESP].held, t.half[RESP].count)
            if i == NONE or (
                i == UNDECIDED and t.half[ORIG].count + t.half[RESP].count > SHOWN_BYTES
            ):
                return self._stop(t)
            if i == UNDECIDED:
                return 0
            self._belongs(t, i)
            self._replay(t)
        return 0

    cdef int _belongs(self, Talk* t, int32_t protocol) except -1 nogil:
        t.protocol = t.following = protocol
        t.gone = False
        (<Protocol>self.table[protocol]).begin(t)
        return 0

    cdef int _replay(self, Talk* t) except -1 nogil:
        """Offers what both sides said before it was known whose it is, in the order in which the
        packets came."""
        cdef int64_t[2] had
        cdef int64_t n
        cdef int32_t[2] next, marks
        cdef int side, k
        cdef Half* h
        cdef uint8_t* bytes[2]
        cdef Mark* kept[2]
        cdef int64_t[2] at
        cdef int32_t protocol = t.protocol
        # Taken out, and said once more.
        for k in range(2):
            h = &t.half[k]
            bytes[k] = h.held
            kept[k] = h.marks
            had[k] = h.count
            marks[k] = h.mark_count
            next[k] = 0
            at[k] = h.position
            self.held -= h.room
            h.held = NULL
            h.marks = NULL
            h.count = h.room = 0
            h.mark_count = h.mark_room = 0
        self._unlink(t)
        try:
            while next[0] < marks[0] or next[1] < marks[1]:
                if next[0] >= marks[0]:
                    side = 1
                elif next[1] >= marks[1]:
                    side = 0
                else:
                    side = 0 if kept[0][next[0]].offset <= kept[1][next[1]].offset else 1
                n = had[side] - (kept[side][next[side]].at - at[side])
                if next[side] + 1 < marks[side]:
                    n = kept[side][next[side] + 1].at - kept[side][next[side]].at
                self.data(
                    t.flow, side, bytes[side] + (kept[side][next[side]].at - at[side]), n,
                    &kept[side][next[side]],
                )
                next[side] += 1
        finally:
            for k in range(2):
                free(bytes[k])
                free(kept[k])
        return 0

    cdef int _offer(self, Talk* t, int side, const uint8_t* p, int64_t n) except -1 nogil:
        """Offers the bytes that are held, if any, and `n` new ones at `p`."""
        cdef Half* h = &t.half[side]
        cdef int64_t consumed, passed
        cdef bint held = h.count > 0
        if held or n < h.need:
            self._keep(t, side, p, n, &h.now)
            if h.count < h.need:
                return 0 if h.need <= self._longest(t) else self._too_long(t, side)
            held = True
            p = h.held
            n = h.count
        while True:
            h.need = 0
            consumed = (<Protocol>self.table[t.protocol]).data(t, side, p, n)
            if consumed < 0 or consumed > n:
                with gil:
                    raise RuntimeError(
                        f"{self.protocols[t.protocol].name} consumed {consumed} of {n} bytes"
                    )
            if t.gone:
                return self._stop(t)
            passed = h.skip if h.skip < n - consumed else n - consumed
            h.skip -= passed
            consumed += passed
            if held:
                self._consume(t, side, consumed)
                p = h.held
                n = h.count
            else:
                h.position += consumed
                p += consumed
                n -= consumed
            if t.following != t.protocol:
                # Where another protocol takes over it is told of nothing that is held.
                if not held:
                    self._keep(t, side, p, n, &h.now)
                return self._hand_over(t)
            if n == 0:
                return 0
            if consumed == 0 or not passed:
                break
        if n > self._longest(t) or h.need > self._longest(t):
            return self._too_long(t, side)
        if not held:
            self._keep(t, side, p, n, &h.now)
        return 0

    cdef inline int64_t _longest(self, const Talk* t) noexcept nogil:
        return (<Protocol>self.table[t.protocol]).longest

    cdef int _too_long(self, Talk* t, int side) except -1 nogil:
        """A message that is longer than its protocol ever makes one."""
        cdef Half* h = &t.half[side]
        cdef int64_t n = h.count
        h.need = 0
        if n:
            self._drop(t, side)
            h.position += n
        (<Protocol>self.table[t.protocol]).gap(t, side, n)
        return self._stop(t) if t.gone else 0

    cdef int _hand_over(self, Talk* t) except -1 nogil:
        """Ends the talk's protocol and begins the one that follows."""
        cdef int32_t next = t.following
        cdef int side
        (<Protocol>self.table[t.protocol]).end(t)
        t.state = NULL
        t.shown += 1
        if t.shown > HAND_OVERS:
            t.protocol = t.following = UNDECIDED    # so that nothing is ended twice
            return self._stop(t)
        t.protocol = t.following = next
        for side in range(2):
            t.half[side].need = t.half[side].skip = 0
        if next == UNDECIDED:
            if t.half[ORIG].count or t.half[RESP].count:
                return self._recognise(t, ORIG)
            return 0
        self._belongs(t, next)
        return self._replay(t)

    cdef int _stop(self, Talk* t) except -1 nogil:
        """Nobody wants more of it."""
        cdef int side
        if t.protocol >= 0:
            (<Protocol>self.table[t.protocol]).end(t)
            t.state = NULL
        t.protocol = t.following = NONE
        for side in range(2):
            self._drop(t, side)
            free(t.half[side].held)
            free(t.half[side].marks)
            t.half[side].held = NULL
            t.half[side].marks = NULL
            t.half[side].mark_room = 0
        return 0

    # What is held.

    cdef int _keep(
        self, Talk* t, int side, const uint8_t* p, int64_t n, const Mark* mark
    ) except -1 nogil:
        cdef Half* h = &t.half[side]
        cdef uint8_t* grown
        cdef Mark* marks
        cdef int64_t room
        if n == 0:
            return 0
        if h.count + n > h.room:
            room = h.room * 2 if h.room * 2 >= h.count + n else h.count + n
            if room < h.need <= 65536:
                room = h.need
            if room < 256:
                room = 256
            if self.held + room - h.room > HELD_LIMIT:
                self._make_room(t)
            grown = <uint8_t*>realloc(h.held, room)
            if grown is NULL:
                with gil:
                    raise MemoryError(f"{room} bytes of a talk")
            self.held += room - h.room
            h.held = grown
            h.room = room
        if h.mark_count == h.mark_room:
            room = h.mark_room * 2 if h.mark_room else 4
            marks = <Mark*>realloc(h.marks, room * sizeof(Mark))
            if marks is NULL:
                with gil:
                    raise MemoryError(f"{room} marks of a talk")
            h.marks = marks
            h.mark_room = <int32_t>room
        memcpy(h.held + h.count, p, n)
        h.marks[h.mark_count] = mark[0]
        h.marks[h.mark_count].at = h.position + h.count
        h.mark_count += 1
        h.count += n
        self._unlink(t)
        self._link(t)
        return 0

    cdef int _consume(self, Talk* t, int side, int64_t n) except -1 nogil:
        """The first `n` of the bytes held are no longer wanted."""
        cdef Half* h = &t.half[side]
        cdef int32_t gone = 0
        if n == 0:
            return 0
        h.position += n
        if n == h.count:
            h.count = 0
            h.mark_count = 0
            if h.room > 4096:
                self._drop(t, side)
            if not t.half[0].count and not t.half[1].count:
                self._unlink(t)
            return 0
        memmove(h.held, h.held + n, h.count - n)
        h.count -= n
        while gone + 1 < h.mark_count and h.marks[gone + 1].at <= h.position:
            gone += 1
        if gone:
            memmove(h.marks, h.marks + gone, (h.mark_count - gone) * sizeof(Mark))
            h.mark_count -= gone
        return 0

    cdef void _drop(self, Talk* t, int side) noexcept nogil:
        """Forgets the bytes held of a side."""
        cdef Half* h = &t.half[side]
        self.held -= h.room
        free(h.held)
        h.held = NULL
        h.count = h.room = 0
        h.mark_count = 0
        if not t.half[0].room and not t.half[1].room:
            self._unlink(t)

    cdef void _unlink(self, Talk* t) noexcept nogil:
        if t.older is NULL and t.newer is NULL and self.oldest is not t:
            return
        if t.older is not NULL:
            t.older.newer = t.newer
        else:
            self.oldest = t.newer
        if t.newer is not NULL:
            t.newer.older = t.older
        else:
            self.newest = t.older
        t.older = t.newer = NULL

    cdef void _link(self, Talk* t) noexcept nogil:
        t.older = self.newest
        t.newer = NULL
        if self.newest is not NULL:
            self.newest.newer = t
        else:
            self.oldest = t
        self.newest = t

    cdef int _make_room(self, Talk* t) except -1 nogil:
        """Talks that have waited longest lose what they hold, until there is a quarter of room."""
        cdef Talk* victim
        cdef int side
        cdef int64_t n
        while self.oldest is not NULL and self.held > HELD_LIMIT // 4 * 3:
            victim = self.oldest
            if victim is t:
                if victim.newer is NULL:
                    return 0
                victim = victim.newer
            self.dropped += 1
            victim.truncated = True
            if victim.protocol < 0:
                self._stop(victim)
                self._unlink(victim)
                continue
            for side in range(2):
                n = victim.half[side].count
                self._drop(victim, side)
                victim.half[side].need = 0
                if n and not victim.gone:
                    victim.half[side].position += n
                    (<Protocol>self.table[victim.protocol]).gap(victim, side, n)
            if victim.gone:
                self._stop(victim)
            self._unlink(victim)
        return 0
