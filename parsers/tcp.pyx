"""TCP (RFC 9293) as Zeek 7 follows it, so that conn_state, history, bytes and gaps mean what
its conn.log means.

Of each side only the ranges beyond a hole are known, which is all that gaps, retransmissions and
the moment of a close depend on. Data in order go to `talks` at once, those beyond a hole wait in
`pieces` where somebody wants them; otherwise no data are kept. Sequence numbers are 64 bits
wide and relative to the side's first (a SYN is 0, the first byte 1).
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc

from tracelake.native.cursor cimport be16, be32
from tracelake.parsers.conn cimport (
    CLOSED, ESTABLISHED, INACTIVE, NEVER, ORIG, PARTIAL, RESET, RESP, SYN_ACK_SENT, SYN_SENT, Place,
    flip, note, note_once, note_scaled,
)
from tracelake.parsers.pieces cimport mark_of
from tracelake.parsers.protocols.protocol cimport Talk
from tracelake.parsers.protocols.talks cimport turn

cdef enum:
    FIN = 0x01
    SYN = 0x02
    RST = 0x04
    ACK = 0x10
    URG = 0x20

# Bits of Flow.noticed.
cdef enum:
    NOTED_SYN = 0x1
    NOTED_FIN = 0x2
    NOTED_RST = 0x4
    NOTED_FIN_RST = 0x8
    NOTED_DATA = 0x10
    NOTED_ACK = 0x20
    NOTED_MULTI = 0x40

cdef extern from *:
    """
    #define TL_SECOND 1000000000LL
    """
    int64_t SECOND "TL_SECOND"

# A SYN or RST whose number is further off than this is not believed.
cdef int32_t FAR = 1 << 20
# Data that nobody acknowledges: after this much the acknowledging side is taken as not captured.
cdef uint64_t UNACKED_LIMIT = 16384
# Data held beyond holes, for one side, before its stream is given up.
cdef uint64_t HELD_LIMIT = 10 << 20
# Ranges beyond holes: of one side, and of all (24 bytes each).
cdef uint32_t SIDE_RANGES = 256
cdef int32_t ALL_RANGES = 1 << 19


cdef inline int32_t _delta(uint32_t a, uint32_t b) noexcept nogil:
    return <int32_t>(a - b)


cdef inline uint64_t _full(uint32_t number, uint32_t wraps) noexcept nogil:
    return (<uint64_t>wraps << 32) + number


cdef inline uint64_t _relative(
    const Side* s, uint32_t number, uint32_t last, uint32_t wraps, bint* underflow
) noexcept nogil:
    """`number` relative to the side's start; `last` and `wraps`: where the side is now."""
    cdef int32_t delta = _delta(number, last)
    if delta < 0:
        if wraps and number > last:
            wraps -= 1
    elif delta > 0 and number < last:
        wraps += 1
    if wraps == 0:
        delta = _delta(number, <uint32_t>s.start)
        if delta < 0:
            underflow[0] = True
        return <uint64_t><int64_t>delta
    return _full(number, wraps) - <uint64_t>s.start


cdef inline bint _nothing_acked(const Side* s) noexcept nogil:
    cdef uint64_t acked = _full(s.acked, s.acked_wraps), start = <uint64_t>s.start
    return acked == start or acked == start + 1


cdef inline bint _clean(const Side* s) noexcept nogil:
    return s.state == ESTABLISHED or (s.state == CLOSED and s.previous == ESTABLISHED)


cdef inline bint _handshake(uint8_t state) noexcept nogil:
    return state == INACTIVE or state == SYN_SENT or state == SYN_ACK_SENT


cdef inline void _enter(Flow* f, Side* s, const Side* peer, uint8_t state) noexcept nogil:
    if state == s.state:
        return
    if not _handshake(state) and _handshake(s.state) and _handshake(peer.state):
        f.idle = 300 * SECOND
    s.previous = s.state
    s.state = state


cdef int64_t size(const Side* s, const Side* peer) noexcept nogil:
    """Bytes of payload that a side sent, from its sequence numbers."""
    cdef uint64_t sent, acked
    cdef int64_t n
    if (
        s.previous == SYN_SENT and s.state == RESET and peer.state == INACTIVE
        and not _nothing_acked(s)
    ):
        return 0        # a half-open connection that was aborted: its numbers mean nothing
    sent = _full(s.sent, s.sent_wraps)
    acked = _full(s.acked, s.acked_wraps)
    n = <int64_t>((sent if sent > acked else acked) - <uint64_t>s.start)
    if n:
        n -= 1          # the SYN
    if s.fins and n:
        n -= 1
    return n


cdef void _turn(Flow* f) noexcept nogil:
    """Originator and responder change places, in what is said too."""
    flip(f)
    if f.talk is not NULL:
        turn(<Talk*>f.talk)


cdef bint reuses(const Flow* f, const Packet* p) noexcept nogil:
    """Whether a packet of the same four ends begins a new connection."""
    cdef const Side* o = &f.side[ORIG]
    cdef const Side* r = &f.side[RESP]
    cdef uint8_t flags = p.payload[13]
    cdef uint32_t number
    if not flags & SYN:
        return False
    if flags & ACK:
        if o.state != INACTIVE:
            return False
        o = r
    if not (f.side[ORIG].closed or f.side[RESP].closed):
        number = be32(p.payload + 4)
        if number == <uint32_t>o.start:
            return False        # the SYN again
        if (
            not flags & ACK and o.state == SYN_ACK_SENT and r.state == INACTIVE
            and number == <uint32_t>r.start
        ):
            return False        # SYN and SYN-ACK changed places on their way
    return True


cdef class Streams:
    """The ranges beyond holes of all sides, in one bounded block of memory.

    Args:
        talks: who is given the data; None where nobody is.
    """

    def __cinit__(self, Talks talks):
        self.free = -1
        self.talks = talks
        self.pieces = Pieces(talks)

    def __dealloc__(self):
        free(self.ranges)

    cdef int segment(self, Flow* f, int side, const Packet* p, int64_t now) except -1 nogil:
        """Takes a TCP segment of `side`; the packet's header has been checked. Returns the side
        that sent it: a connection may turn out to have begun at the other end."""
        cdef Side* s
        cdef Side* peer
        cdef const uint8_t* h = p.payload
        cdef uint32_t base = be32(h + 4), ack = be32(h + 8), past
        cdef int64_t header = (h[12] >> 4) * 4
        cdef int64_t n = p.payload_length - header
        cdef uint8_t flags = h[13]
        cdef bint underflow = False, ack_underflow = False, do_close = False, finishes = False
        cdef uint64_t at, to = 0
        cdef int64_t length = n
        cdef int32_t delta
        cdef int several

        self.now = mark_of(p)
        self.base = base
        self.ack = ack
        if (
            f.letters == 1 and f.history[0] == b"H" and not flags & (SYN | FIN | RST)
            and (flags & ACK or n)
        ):
            # After a SYN-ACK comes an acknowledgement or data: no scan (which gets a RST or
            # nothing), so who sent the SYN-ACK is the server.
            _turn(f)
            f.history[0] = b"^"
            note(f, b"h")
            f.noticed = (f.noticed << 16) | (f.noticed >> 16)
            f.begun |= 1
            side = 1 - side
        s = &f.side[side]
        peer = &f.side[1 - side]
        f.flags |= flags
        # What was seen of the beginning.
        if side == ORIG:
            if not f.begun & 1:
                f.partial = not flags & SYN or flags & ACK != 0
        elif not f.begun & 2 and not f.partial:
            f.partial = not flags & SYN

        # Sequence space: SYN and FIN take a place each, the data of a RST take none.
        if flags & RST:
            length = 0
        if flags & SYN:
            length += 1
        if flags & FIN:
            length += 1
        past = base + <uint32_t>length
        if flags & SYN:
            if s.state == SYN_SENT or s.state == SYN_ACK_SENT:
                if base != <uint32_t>s.start:
                    self._odd(f, b"SYN_seq_jump", NULL)
            elif s.state == ESTABLISHED or s.state == PARTIAL:
                if size(s, peer) > 0:
                    self._odd(f, b"SYN_inside_connection", NULL)
                if base != <uint32_t>s.start:
                    self._odd(f, b"SYN_seq_jump", NULL)
        _begin(s, flags, base, past)
        at = _relative(s, base, s.sent, s.sent_wraps, &underflow)
        if underflow and not flags & RST:
            self._odd(f, b"TCP_seq_underflow_or_misorder", b"TCP")

        # History.
        several = ((flags >> 1) & 1) + (flags & 1) + ((flags >> 2) & 1)
        if several > 1:
            if flags & FIN and flags & RST:
                note_once(f, side, NOTED_FIN_RST, b"I")
            else:
                note_once(f, side, NOTED_MULTI, b"Q")
        elif flags & SYN:
            _note_moved(
                f, side, NOTED_SYN, b"H" if flags & ACK else b"S", &s.last_syn, <uint32_t>at
            )
        elif flags & FIN:
            _note_moved(f, side, NOTED_FIN, b"F", &s.last_fin, <uint32_t>(at + <uint64_t>n))
        elif flags & RST:
            _note_moved(f, side, NOTED_RST, b"R", &s.last_rst, <uint32_t>at)
        elif n:
            note_once(f, side, NOTED_DATA, b"D")
        elif flags & ACK:
            note_once(f, side, NOTED_ACK, b"A")
        if be16(h + 14) == 0 and not flags & RST and peer.state != CLOSED and s.state != RESET:
            note_scaled(f, side, &s.zero_windows, b"W")
        if flags & (SYN | FIN | RST):
            if flags & SYN:
                _agree_on_window(s, peer, h, header, base, ack)
                if flags & (RST | URG) or n > 0:
                    self._odd_syn(f, h, n)
        elif s.state != CLOSED and s.state != RESET and _window_shrinks(s, h, base, ack):
            self._odd(f, b"window_recision", NULL)

        # Packets after both sides have closed do not make the connection longer.
        if not (f.side[ORIG].closed and f.side[RESP].closed):
            f.last = now
        if flags & FIN:
            s.fins += s.fins < 255
            s.fin_at = at + <uint64_t>length
        if flags & ACK:
            if peer.state == INACTIVE:
                if not flags & (SYN | FIN | RST) and not f.odd and (
                    s.state == SYN_SENT or s.state == SYN_ACK_SENT or s.state == ESTABLISHED
                ):
                    self._odd(f, b"possible_split_routing", NULL)
                to = 1
                peer.start = <uint32_t>(ack - 1)
                peer.acked = ack - 1
                peer.sent = ack - 1
            else:
                to = _relative(peer, ack, peer.acked, peer.acked_wraps, &ack_underflow)
                if ack_underflow:
                    to = 0
                    self._odd(f, b"TCP_ack_underflow_or_misorder", b"TCP")
                elif not flags & RST:
                    delta = _delta(ack, peer.acked)
                    if delta > 0 and not (ack == 0 and delta > FAR):
                        if ack < peer.acked:
                            peer.acked_wraps += 1
                        peer.acked = ack

        delta = _delta(past, s.sent)
        if flags & (SYN | RST) and (delta > FAR or delta < -FAR):
            pass
        elif flags & FIN and s.sent == <uint32_t>s.start + 1:
            # Only SYN and FIN were seen: of more than 2 GiB, the FIN alone knows.
            if past < s.sent:
                s.sent_wraps += 1
            s.sent = past
        elif s.state == RESET:
            pass
        elif delta > 0:
            if past < s.sent:
                s.sent_wraps += 1
            s.sent = past
        elif n > 0:
            note_scaled(f, side, &s.retransmits, b"T")

        # States.
        if (flags & (SYN | FIN | RST) and s.state != ESTABLISHED) or (
            n and (s.state == SYN_SENT or s.state == SYN_ACK_SENT or s.state == RESET)
        ):
            self._odd_change(f, side, flags, n, delta)
        if s.state == INACTIVE:
            side = _first_packet(f, side, base, ack, n, flags, &do_close, &finishes, now)
            s = &f.side[side]
            peer = &f.side[1 - side]
        elif s.state == SYN_SENT or s.state == SYN_ACK_SENT:
            if flags & FIN:
                _enter(f, s, peer, CLOSED)
                do_close = finishes = True
            if flags & RST:
                _enter(f, s, peer, RESET)
                f.active = False
                do_close = True
        elif s.state == ESTABLISHED or s.state == PARTIAL:
            if flags & SYN and s.state == PARTIAL and peer.state == INACTIVE and not flags & ACK:
                _enter(f, s, peer, SYN_SENT)
            if flags & FIN and not flags & RST:
                _enter(f, s, peer, CLOSED)
                if peer.state == RESET and peer.previous == CLOSED:
                    _enter(f, peer, s, CLOSED)      # FIN, then RST, was its normal end
                do_close = finishes = True
            if flags & RST:
                _enter(f, s, peer, RESET)
                do_close = True
                if peer.state != RESET or peer.previous != ESTABLISHED:
                    f.active = False
        elif s.state == CLOSED:
            # A RST after both FINs changes nothing.
            if flags & RST and peer.state != CLOSED:
                _enter(f, s, peer, RESET)
                if not s.closed:
                    do_close = True
                if f.active and f.remove == NEVER:
                    f.remove = now + 5 * SECOND

        if flags & ACK:
            self._acknowledged(f, 1 - side, to)
            self._check_end(f, 1 - side, now)
        f.begun |= 1 if side == ORIG else 2
        if n > 0 and not flags & RST and not underflow:
            if p.captured - header >= n:
                self._sent(f, side, at + 1 if flags & SYN else at, n, h + header)
            else:
                self._odd(f, b"truncated_tcp_payload", b"TCP")
        self._check_end(f, side, now)
        if do_close:
            if finishes:
                f.finishes = True
            self._close(f, side, now)
        return side

    cdef int _odd(self, Flow* f, const char* name, const char* analyzer) except -1 nogil:
        """Notes a breach of the rules, by Zeek's name, in the packet at hand."""
        cdef Place place
        f.odd = True
        if self.talks is None or f.foreign:
            return 0
        place.time = self.now.time
        place.offset = self.now.offset
        place.length = self.now.length
        place.sub = 0
        return self.talks.sheets.note(f, &place, name, analyzer, NULL, 0)

    cdef int _odd_syn(self, Flow* f, const uint8_t* h, int64_t n) except -1 nogil:
        if h[13] & RST:
            self._odd(f, b"TCP_christmas", b"TCP")
        if h[13] & URG:
            self._odd(f, b"baroque_SYN", b"TCP")
        if n > 0:
            self._odd(f, b"SYN_with_data", b"TCP")
        return 0

    cdef int _odd_change(
        self, Flow* f, int side, uint8_t flags, int64_t n, int32_t advanced
    ) except -1 nogil:
        """What is odd about a segment of a side in its state. `advanced`: how far its end is beyond
        what the side had sent."""
        cdef const Side* s = &f.side[side]
        cdef const Side* peer = &f.side[1 - side]
        cdef uint32_t ack = self.ack
        if s.state == INACTIVE:
            if flags & SYN and side == ORIG:
                if flags & ACK:
                    self._odd(f, b"connection_originator_SYN_ack", b"TCP")
            elif flags & SYN:
                if flags & ACK:
                    if peer.state != INACTIVE and peer.state != PARTIAL and not (
                        ack - <uint32_t>peer.start <= peer.sent - <uint32_t>peer.start
                    ):
                        self._odd(f, b"bad_SYN_ack", b"TCP")
                elif peer.state != SYN_ACK_SENT or self.base != <uint32_t>s.start:
                    self._odd(f, b"simultaneous_open", b"TCP")
                if peer.state == INACTIVE:
                    f.odd = True            # which Zeek does not write down
            if flags & FIN and peer.state != PARTIAL and not flags & SYN:
                f.odd = True
            if flags & RST and peer.state == INACTIVE:
                f.odd = True
        elif s.state == SYN_SENT or s.state == SYN_ACK_SENT:
            if flags & SYN:
                if side == ORIG:
                    if flags & ACK and not flags & (FIN | RST) and s.state != SYN_ACK_SENT:
                        self._odd(f, b"repeated_SYN_with_ack", b"TCP")
                elif not flags & ACK and s.state != SYN_SENT:
                    self._odd(f, b"repeated_SYN_reply_wo_ack", b"TCP")
            if flags & FIN and (peer.state == INACTIVE or peer.state == SYN_SENT):
                self._odd(f, b"inappropriate_FIN", b"TCP")
            if not flags & RST and n > 0:
                self._odd(f, b"data_before_established", b"TCP")
        elif s.state == PARTIAL:
            if flags & SYN and peer.state == INACTIVE and not flags & ACK:
                self._odd(f, b"SYN_after_partial", b"TCP")
        elif s.state == CLOSED:
            if flags & SYN:
                self._odd(f, b"SYN_after_close", b"TCP")
            if flags & FIN and advanced > 0:
                self._odd(f, b"FIN_advanced_last_seq", b"TCP")
        elif s.state == RESET:
            if flags & SYN:
                self._odd(f, b"SYN_after_reset", b"TCP")
            if flags & FIN:
                f.odd = True
            if n > 0 and not flags & RST:
                self._odd(f, b"data_after_reset", b"TCP")
        return 0

    cdef int reused(self, Flow* f, const Packet* p, int64_t now) except -1 nogil:
        cdef const Side* o = &f.side[ORIG]
        cdef const Side* r = &f.side[RESP]
        cdef bint reset = o.state == RESET or r.state == RESET
        self.now = mark_of(p)
        if not (o.closed or r.closed):
            if (r if p.payload[13] & ACK else o).state == SYN_SENT:
                return self._odd(f, b"SYN_seq_jump", b"TCP")
            return self._odd(f, b"active_connection_reuse", b"TCP")
        if not reset and (
            (o.state != INACTIVE and not o.closed) or (r.state != INACTIVE and not r.closed)
        ):
            return self._odd(f, b"active_connection_reuse", b"TCP")
        if not reset and now - f.last < 5 * SECOND:
            return self._odd(f, b"premature_connection_reuse", b"TCP")
        return 0

    cdef void release(self, Side* s) noexcept nogil:
        """Gives back what is held for a side."""
        while s.holes >= 0:
            self._drop_first(s)
        self.pieces.drop(s)

    cdef int32_t _range(self, uint64_t low, uint64_t high, int32_t next) noexcept nogil:
        """A new range; -1 where there is no more room."""
        cdef int32_t i = self.free, room
        cdef Range* grown
        if i >= 0:
            self.free = self.ranges[i].next
        else:
            if self.used == self.room:
                if self.room >= ALL_RANGES:
                    return -1
                room = self.room * 2 if self.room else 256
                grown = <Range*>realloc(self.ranges, room * sizeof(Range))
                if grown is NULL:
                    return -1
                self.ranges = grown
                self.room = room
            i = self.used
            self.used += 1
        self.ranges[i].low = low
        self.ranges[i].high = high
        self.ranges[i].next = next
        return i

    cdef void _drop_first(self, Side* s) noexcept nogil:
        cdef int32_t i = s.holes
        s.holes = self.ranges[i].next
        s.hole_count -= 1
        self.ranges[i].next = self.free
        self.free = i

    cdef void _give_up(self, Side* s) noexcept nogil:
        self.release(s)
        s.deaf = True

    cdef int _sent(
        self, Flow* f, int side, uint64_t low, int64_t n, const uint8_t* p
    ) except -1 nogil:
        """Payload [low, low + n) of a side, which is at `p`, was captured."""
        cdef Side* s = &f.side[side]
        cdef uint64_t high = low + <uint64_t>n, first = low, acked, held, before
        cdef int32_t i
        cdef bint wanted = self.talks is not None and self.talks.listens(f)
        if s.deaf:
            return 0
        acked = _full(s.acked, s.acked_wraps) - <uint64_t>s.start
        if low < acked:
            if high <= acked:
                return 0
            low = acked
        if high <= s.trimmed:
            return 0
        if low < s.trimmed:
            low = s.trimmed
        if low <= s.delivered:
            if high > s.delivered:
                before = s.delivered
                s.delivered = high
                self._absorb(s)
                if wanted:
                    self.talks.data(
                        f, side, p + (before - first), <int64_t>(high - before), &self.now
                    )
                    self.pieces.release(f, side, high, s.delivered, &self.now)
                if _nothing_acked(s) and size(s, &f.side[1 - side]) > <int64_t>UNACKED_LIMIT:
                    s.trimmed = s.delivered
        else:
            if wanted:
                self.pieces.keep(s, low, high, p + (low - first), &self.now)
            self._insert(s, low, high)
        held = s.delivered - s.trimmed
        if s.holes >= 0:
            i = s.holes
            while True:
                held += self.ranges[i].high - self.ranges[i].low
                if self.ranges[i].next < 0:
                    break
                i = self.ranges[i].next
            if _nothing_acked(s) and self.ranges[i].high - s.delivered > UNACKED_LIMIT:
                self._odd(f, b"above_hole_data_without_any_acks", b"TCP")
                self._give_up(s)
        if held > HELD_LIMIT:
            self._odd(f, b"excessive_data_without_further_acks", b"TCP")
            self._give_up(s)
        return 0

    cdef void _insert(self, Side* s, uint64_t low, uint64_t high) noexcept nogil:
        """Adds a range beyond `delivered` to the list, which stays sorted and disjoint."""
        cdef int32_t before = -1, i = s.holes, new
        while i >= 0 and self.ranges[i].high < low:
            before = i
            i = self.ranges[i].next
        if i < 0 or self.ranges[i].low > high:
            if s.hole_count >= SIDE_RANGES:
                self._give_up(s)
                return
            new = self._range(low, high, i)
            if new < 0:
                self._give_up(s)
                return
            s.hole_count += 1
            if before < 0:
                s.holes = new
            else:
                self.ranges[before].next = new
            return
        if low < self.ranges[i].low:
            self.ranges[i].low = low
        if high > self.ranges[i].high:
            self.ranges[i].high = high
            # It may have grown into those that follow.
            new = self.ranges[i].next
            while new >= 0 and self.ranges[new].low <= high:
                if self.ranges[new].high > high:
                    high = self.ranges[i].high = self.ranges[new].high
                self.ranges[i].next = self.ranges[new].next
                self.ranges[new].next = self.free
                self.free = new
                s.hole_count -= 1
                new = self.ranges[i].next

    cdef void _absorb(self, Side* s) noexcept nogil:
        """Ranges that `delivered` has reached become part of the contiguous stream."""
        while s.holes >= 0 and self.ranges[s.holes].low <= s.delivered:
            if self.ranges[s.holes].high > s.delivered:
                s.delivered = self.ranges[s.holes].high
            self._drop_first(s)

    cdef int _acknowledged(self, Flow* f, int side, uint64_t to) except -1 nogil:
        """The other side has everything before `to`; what was not captured is a gap."""
        cdef Side* s = &f.side[side]
        cdef uint64_t before = s.delivered
        if s.fins and to >= s.fin_at:
            to = s.fin_at - 1
        if to <= s.trimmed:
            return 0
        if to > s.delivered:
            self._trim(f, side, to)
        while s.holes >= 0 and self.ranges[s.holes].high <= to:
            self._drop_first(s)
        self._absorb(s)
        s.trimmed = to
        if s.delivered > before and self.talks is not None and not s.deaf:
            self.pieces.release(f, side, before, s.delivered, &self.now)
        return 0

    cdef void _trim(self, Flow* f, int side, uint64_t to) noexcept nogil:
        cdef Side* s = &f.side[side]
        cdef bint counts
        # Of a connection whose beginning was not seen, the faked SYN is not missing.
        if to <= 2 and f.partial:
            return
        if not s.deaf:
            counts = _clean(s) and _clean(&f.side[1 - side])
            while s.holes >= 0 and self.ranges[s.holes].low < to:
                if counts:
                    note_scaled(f, side, &s.gaps, b"G")
                    f.missed += <int64_t>(self.ranges[s.holes].low - s.delivered)
                s.delivered = self.ranges[s.holes].low
                self._absorb(s)
            if to > s.delivered and counts:
                note_scaled(f, side, &s.gaps, b"G")
                f.missed += <int64_t>(to - s.delivered)
        if to > s.delivered:
            s.delivered = to

    cdef bint _pending(self, Flow* f, int side) noexcept nogil:
        """Whether data that the side has sent are still to come."""
        cdef Side* s = &f.side[side]
        cdef Side* peer = &f.side[1 - side]
        cdef uint64_t delivered, sent
        if s.deaf:
            return False
        delivered = <uint64_t>s.start + s.delivered
        sent = _full(s.sent, s.sent_wraps)
        if sent < delivered:
            return False
        if delivered != sent - 1 and delivered != sent:
            return True
        # Who has not reset the connection still acknowledges what the other side sent.
        return s.state != RESET and not peer.deaf and (
            peer.holes >= 0 or peer.delivered > peer.trimmed
        )

    cdef int _check_end(self, Flow* f, int side, int64_t now) except -1 nogil:
        """Notices that a side has closed and all of its data were seen."""
        cdef Side* s = &f.side[side]
        if s.ended or not (s.fins or s.state == CLOSED or s.state == RESET):
            return 0
        if self._pending(f, side):
            return 0
        s.ended = True
        if self.talks is not None:
            self.talks.closed(f, side)
        if f.close_deferred:
            self._close(f, side, now)
            f.close_deferred = False
        return 0

    cdef void _close(self, Flow* f, int side, int64_t now) noexcept nogil:
        """A side's FIN or RST takes effect, unless data before it are still to come."""
        cdef Side* s = &f.side[side]
        cdef Side* peer = &f.side[1 - side]
        cdef int64_t tick
        if self._pending(f, side):
            f.close_deferred = True
            return
        f.close_deferred = False
        if s.closed:
            return
        s.closed = True
        if s.state == RESET or peer.closed or peer.state == INACTIVE:
            if f.finishes and (s.previous != INACTIVE or peer.state != INACTIVE):
                f.active = False
            f.remove = f.last + 5 * SECOND
            f.attempt = NEVER
            f.check = NEVER
            return
        # One side has closed: look every six seconds (counted from the beginning) whether
        # that was all.
        tick = f.first + 5 * SECOND
        if now > tick:
            tick += (now - tick + 6 * SECOND - 1) // (6 * SECOND) * (6 * SECOND)
        if f.last + 6 * SECOND < tick:
            tick = f.last + 6 * SECOND
        f.check = tick


cdef void _agree_on_window(
    Side* s, Side* peer, const uint8_t* h, int64_t header, uint32_t base, uint32_t ack
) noexcept nogil:
    """The scale of windows (RFC 7323) that a SYN asks for."""
    cdef int64_t at = 20
    cdef int scale = -1
    while at < header and h[at] != 0:
        if h[at] == 1:
            at += 1
            continue
        if at + 1 >= header or h[at + 1] < 2 or at + h[at + 1] > header:
            break
        if h[at] == 3 and h[at + 1] >= 3:
            scale = h[at + 2] if h[at + 2] < 14 else 14
        at += h[at + 1]
    if scale < 0:
        s.window_scale = 0
        if h[13] & ACK:
            peer.window_scale = 0
        return
    s.window_scale = <uint8_t>scale
    s.window_at = peer.window_acked = base
    s.window_acked = peer.window_at = ack


cdef bint _window_shrinks(Side* s, const uint8_t* h, uint32_t base, uint32_t ack) noexcept nogil:
    """Whether a side takes back room that it had announced, by more than scaling may."""
    cdef uint32_t window = <uint32_t>be16(h + 14) << s.window_scale
    cdef int32_t advance
    if _delta(base, s.window_at) < 0 or _delta(ack, s.window_acked) < 0:
        return False
    advance = _delta(ack + window, s.window_acked + s.window)
    s.window = window
    s.window_acked = ack
    s.window_at = base
    return advance < 0 and <uint32_t>(-<int64_t>advance) >= <uint32_t>1 << s.window_scale


cdef void _begin(Side* s, uint8_t flags, uint32_t base, uint32_t past) noexcept nogil:
    """Sets a side's sequence numbers at its first packet, or anew at another SYN."""
    if s.state == INACTIVE:
        if flags & SYN:
            s.acked = base
            s.start = base
            s.sent = past
        else:
            # As if there had been a SYN, so that the first byte is number 1.
            s.acked = base - 1
            s.start = <uint32_t>(base - 1)
            s.sent = base
    elif not flags & SYN:
        return
    elif s.state == SYN_SENT or s.state == SYN_ACK_SENT:
        if base != <uint32_t>s.start:
            s.start = base
            s.acked = base
            s.sent = past
    elif s.state == ESTABLISHED or s.state == PARTIAL or (
        s.state == RESET and s.previous == INACTIVE
    ):
        s.start = base
        s.acked = base
        s.sent = past


cdef void _note_moved(
    Flow* f, int side, uint32_t bit, uint8_t letter, uint32_t* last, uint32_t at
) noexcept nogil:
    """Notes SYN, FIN or RST: once, and again where its number is another one."""
    if note_once(f, side, bit, letter) and at != last[0]:
        note(f, letter | 0x20 if side == RESP else letter)
    last[0] = at


cdef int _first_packet(
    Flow* f, int side, uint32_t base, uint32_t ack, int64_t n, uint8_t flags, bint* do_close,
    bint* finishes, int64_t now,
) noexcept nogil:
    """The state of a side of which nothing was seen before. Returns which side it is: that
    may have changed."""
    cdef Side* s = &f.side[side]
    cdef Side* peer = &f.side[1 - side]
    cdef bint rejected
    if flags & SYN:
        if side == ORIG:
            _enter(f, s, peer, SYN_ACK_SENT if flags & ACK else SYN_SENT)
            f.attempt = now + 5 * SECOND
        else:
            if not flags & ACK and peer.state == SYN_ACK_SENT and base == <uint32_t>s.start:
                # The SYN came after its SYN-ACK.
                _turn(f)
                note(f, b"^")
                f.begun |= 1
                side = ORIG
                s = &f.side[ORIG]
                peer = &f.side[RESP]
                _enter(f, peer, s, ESTABLISHED)
            if peer.state == SYN_SENT:
                _enter(f, peer, s, ESTABLISHED)
            _enter(f, s, peer, ESTABLISHED)
            if peer.state != PARTIAL and _interactive(f):
                f.idle = 3600 * SECOND
    if flags & FIN:
        _enter(f, s, peer, CLOSED)
        do_close[0] = finishes[0] = True
    if flags & RST:
        _enter(f, s, peer, RESET)
        if side == ORIG:
            rejected = peer.state == ESTABLISHED
        else:
            rejected = peer.state == SYN_SENT or peer.state == SYN_ACK_SENT
        do_close[0] = True
        finishes[0] = not rejected
    if s.state == INACTIVE:
        if side == RESP and n == 0 and peer.state == SYN_SENT:
            pass            # an acknowledgement of the SYN, before the SYN-ACK
        elif flags & ACK and peer.state == ESTABLISHED:
            _enter(f, s, peer, ESTABLISHED)     # only the SYN was missed
            f.partial = False
            f.begun |= 1 if side == ORIG else 2
        else:
            _enter(f, s, peer, PARTIAL)
    return side


cdef bint _interactive(const Flow* f) noexcept nogil:
    """FTP, SSH, telnet, rlogin: people think for more than five minutes."""
    cdef uint16_t port = f.port[RESP]
    return port == 21 or port == 22 or port == 23 or port == 513
