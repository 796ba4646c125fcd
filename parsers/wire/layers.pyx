"""A captured packet led through all of its layers, inwards: link, network, fragments, flow, and
once more for what a tunnel carries.

What becomes of a record is what becomes of its outermost packet: a row, a counter or damage. What
is inside of a tunnel is beside that: its flows are rows whose `tunnel_depth` is not null, and count
no records.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset, strlen

from tracelake.native.cursor cimport be16
from tracelake.native.flowtable cimport fold
from tracelake.parsers.conn cimport ORIG, RESP, Place, flip, note_once
from tracelake.parsers.flow cimport begun_by_receiver
from tracelake.parsers.flow import FLOW_LIMIT
from tracelake.parsers.packet cimport (
    COUNTED, DAMAGED, FRAGMENT, KIND_ETHERTYPE, KIND_FAMILY, KIND_FORGOTTEN, KIND_FRAGMENT,
    KIND_FRAME_RELAY, KIND_IP_PROTO, KIND_JOINED, KIND_LINKTYPE, KIND_LLC, KIND_NOTHING, KIND_PPP,
    KIND_WLAN, KIND_WLAN_PROTECTED, KINDS, NO_TIME, TRANSPORT, TUNNELLED, breach, same_address,
)
from tracelake.parsers.pcap_parts import share
from tracelake.parsers.services cimport service
from tracelake.parsers.wire.link cimport dissect, dissect_more
from tracelake.parsers.wire.network cimport UDP, upper
from tracelake.parsers.wire.tunnel cimport (
    AYIYA, BROKEN_TUNNEL, GENEVE, GRE_TUNNEL, GTPV1, NO_TUNNEL, TEREDO, VXLAN, Kind, ip_tunnel,
    maybe_tunnel, udp_tunnel,
)

cdef enum:
    DEPTH = 4               # tunnels in tunnels that are looked into (Zeek's Tunnel::max_depth)
    PARENTS = 16            # tunnels of one flow that are remembered
    NOTED_DEPTH = 0x400     # of Flow.noticed


cdef class Layers:
    """The packets of one capture.

    Args:
        account: what became of every packet.
        flow_limit: flows that live at once.
        only: whether flows are all that is wanted.
        part: which share of the flows is read; all where it is None. Tunnels are followed by every
            reader, since what is inside of one may be anybody's.
    """

    def __cinit__(self, account, *args, **kwargs):
        self.counts = <uint64_t*>calloc(KINDS, sizeof(uint64_t))
        if self.counts is NULL:
            raise MemoryError()

    def __init__(
        self, Account account, Py_ssize_t flow_limit=FLOW_LIMIT, bint only=False, part=None
    ):
        self.account = account
        self.flows = Flows(account, flow_limit, only)
        self.first = part is None or part.number == 0
        if part is not None:
            low, high = share(part.number, part.of)
            self.flows.take_share(part.seed, low, high)
        self.fragments = Fragments()
        self.fragments.counts = self.counts
        self.tunnels = Tunnels(None if self.flows.talks is None else self.flows.talks.sheets)
        self.flows.tunnels = self.tunnels
        self.teredo = <uint64_t>1 << service("teredo")
        self.gtpv1 = <uint64_t>1 << service("gtpv1")
        self.vxlan = <uint64_t>1 << service("vxlan")
        self.geneve = <uint64_t>1 << service("geneve")
        self.ayiya = <uint64_t>1 << service("ayiya")

    def __dealloc__(self):
        free(self.counts)

    def count(self):
        """Enters the packets that are only counted into the account, by name."""
        cdef uint32_t kind
        counters = self.account.counters
        if self.fragments is not None:
            self.fragments.finish()
        for kind in range(<uint32_t>KINDS):
            if self.counts[kind]:
                name = kind_name(kind)
                counters[name] = counters.get(name, 0) + self.counts[kind]
                self.counts[kind] = 0

    cdef int datagram(self, const Packet* p) except -1 nogil:
        return 0

    cdef int take_packet(
        self, int link, const uint8_t* data, int64_t captured, int64_t wire
    ) except -1 nogil:
        cdef Packet* p = &self.packet
        p.depth = 0
        p.tunnels = p.parent = 0
        self.bytes = p.length
        if p.time != NO_TIME and self.tunnels.due(p.time):
            self.tunnels.expire(p.time)
        return self._frames(dissect(p, link, data, captured, wire if wire > captured else captured))

    cdef int _frames(self, Verdict verdict) except -1 nogil:
        """Takes the packet at hand and, where it is the first frame of an aggregate, the others:
        each of them is a record."""
        cdef Packet* p = &self.packet
        cdef const uint8_t* more
        cdef int64_t left
        cdef int depth = p.depth
        cdef uint64_t tunnels = p.tunnels, parent = p.parent
        while True:
            more = p.more
            left = p.more_left
            self._inwards(verdict)
            if more is NULL:
                return 0
            p.more = more
            p.more_left = left
            p.depth = depth
            p.tunnels = tunnels
            p.parent = parent
            verdict = dissect_more(p)

    cdef int _inwards(self, Verdict verdict) except -1 nogil:
        """Takes the packet at hand and what it carries."""
        cdef Packet* p = &self.packet
        cdef int64_t now
        cdef bint found, mine
        cdef int i
        cdef Flow* f
        cdef Inner inner
        while True:
            now = p.time
            if now == NO_TIME:
                now = self.flows.now if self.flows.now != NO_TIME else 0
            # Whose it is: its ends decide where it may belong to a flow.
            mine = self.first
            if verdict == TRANSPORT:
                mine = self.flows.mine(p, not p.fragmented)
            elif verdict == FRAGMENT:
                mine = self.flows.mine(p, False)
            p.foreign = not mine
            if p.depth == 0:
                if mine:
                    self.account.records += 1
                    self.account.bytes_records += self.bytes
                self.bytes = 0
            if verdict == FRAGMENT:
                if not self._fragment(p, now):
                    return self._notes()
                verdict = upper(p)
                if verdict == FRAGMENT:
                    p.what = b"IPv6 fragment"       # RFC 8200 has no fragments of fragments
                    p.why = b"it is made of fragments"
                    verdict = DAMAGED
            if p.depth == 0 and mine:
                if verdict == COUNTED or verdict == TUNNELLED:
                    self.counts[p.kind] += 1
                elif verdict == DAMAGED:
                    self.account.damage(p.offset, p.length, p.what, p.why, NULL, 0)
            if p.note_count:
                self._notes()
            f = NULL
            found = False
            if verdict == TRANSPORT:
                for i in range(p.depth):
                    self.tunnels.found(&self.around[i], p, now, i)
                if not mine and not (p.protocol == UDP and maybe_tunnel(p)):
                    # (Time is that of packets that are in flows, whoever reads them.)
                    return self.flows.pass_by(p)
                if mine and p.protocol == UDP and p.depth == 0 and not p.fragmented and (
                    not p.joined and p.captured == p.payload_length
                ):
                    self.datagram(p)
                f = self.flows.packet(p)
                if p.depth:
                    self._inside(f, now)
                if p.protocol == UDP:
                    found = self._udp(f, p, &inner)
            elif verdict == TUNNELLED:
                found = ip_tunnel(p, &inner)
            else:
                return 0
            if f is NULL or p.protocol == UDP:
                if inner.note is not NULL:
                    self._note(inner.note, inner.analyzer, True)
            if not found:
                return 0
            if p.depth >= DEPTH:
                if f is not NULL:
                    note_once(f, ORIG, NOTED_DEPTH, b"X")
                return self._note(b"exceeded_tunnel_max_depth", _analyzer(inner.kind), True)
            self._enter(f, &inner, now)
            verdict = dissect(p, inner.link, inner.data, inner.captured, inner.wire)
            if p.more is not NULL:
                return self._frames(verdict)

    cdef int _enter(self, Flow* f, const Inner* inner, int64_t now) except -1 nogil:
        """The packet at hand is a tunnel's: what follows is inside of it."""
        cdef Packet* p = &self.packet
        cdef Around* around = &self.around[p.depth]
        if f is NULL or inner.kind == GRE_TUNNEL:
            self.tunnels.pair(p, inner.kind, now, around)
        else:
            around.kind = inner.kind
            around.name = f.name
            around.flow = f
            around.serial = f.serial
            around.foreign = f.foreign
        p.parent = around.name
        p.tunnels = fold(p.tunnels ^ around.name, 0xA0761D6478BD642FULL) | 1
        p.depth += 1
        return 0

    cdef int _fragment(self, Packet* p, int64_t now) except -1 nogil:
        """1 where the packet at hand can be read on: its datagram is whole, or it is the first
        of a datagram that will never be, since less was captured of it than there was."""
        if p.captured == p.payload_length:
            return self.fragments.add(p, now)
        breach(p, b"incompletely_captured_fragment", b"IP", True)
        if p.fragment_at == 0:
            p.fragmented = True
            return 1
        if p.depth == 0 and not p.foreign:
            self.counts[KIND_FRAGMENT] += 1
        return 0

    cdef bint _udp(self, Flow* f, const Packet* p, Inner* inner) noexcept nogil:
        """Whether a datagram is a tunnel's and what it carries can be read."""
        cdef bint found
        cdef int side = ORIG
        inner.note = NULL
        inner.kind = NO_TUNNEL
        if f.broken_tunnel or p.fragmented:
            return False
        found = udp_tunnel(
            p, f.port[RESP], self.around[p.depth - 1].kind if p.depth else NO_TUNNEL, inner
        )
        if inner.kind == NO_TUNNEL:
            return False
        if inner.kind == BROKEN_TUNNEL:
            f.broken_tunnel = True
        elif inner.kind == VXLAN:
            f.services |= self.vxlan
        elif inner.kind == AYIYA:
            f.services |= self.ayiya
        elif inner.kind == GENEVE:
            if found or inner.note is NULL or p.payload[8] >> 6 == 0:
                f.services |= self.geneve
        elif inner.kind == GTPV1 and found:
            f.services |= self.gtpv1
        elif inner.kind == TEREDO and found:
            # Sure only when both sides have spoken it.
            if not (
                same_address(&p.src, &f.address[ORIG]) and be16(p.payload) == f.port[ORIG]
            ):
                side = RESP
            f.tunnel_ways |= 1 << side
            if f.tunnel_ways == 3:
                f.services |= self.teredo
        return found

    cdef int _inside(self, Flow* f, int64_t now) except -1 nogil:
        """A packet of a flow was found in the tunnels around it."""
        cdef Packet* p = &self.packet
        cdef int i
        if f.tunnels == p.tunnels:
            return 0
        f.tunnels = p.tunnels
        for i in range(f.parent_count):
            if f.parents[i] == p.parent:
                return 0
        if f.parents is NULL:
            f.parents = <uint64_t*>calloc(PARENTS, sizeof(uint64_t))
            if f.parents is NULL:
                with gil:
                    raise MemoryError("a flow's tunnels")
        if f.parent_count < PARENTS:
            f.parents[f.parent_count] = p.parent
            f.parent_count += 1
        return 0

    cdef int _notes(self) except -1 nogil:
        cdef Packet* p = &self.packet
        cdef int i
        for i in range(p.note_count):
            self._note(p.notes[i].name, p.notes[i].analyzer, p.notes[i].ends)
        p.note_count = 0
        return 0

    cdef int _note(self, const char* name, const char* analyzer, int ends) except -1 nogil:
        """A row of network_weird for the packet at hand, which is no flow's; with its addresses
        where `ends`."""
        cdef Packet* p = &self.packet
        cdef Flow f
        cdef Place place
        cdef char[64] longer
        cdef size_t n
        # (What has no ends is told of by the first reader, who follows all tunnels as the others.)
        if self.flows.talks is None or not (
            self.flows.mine(p, False) if ends else self.first
        ):
            return 0
        memset(&f, 0, sizeof(Flow))
        f.vlan = -1
        f.depth = p.depth
        if ends:
            f.version = p.version
            f.address[ORIG] = p.src
            f.address[RESP] = p.dst
            if ends == 2:
                f.port[ORIG] = be16(p.payload)
                f.port[RESP] = be16(p.payload + 2)
                if begun_by_receiver(p, f.port[ORIG], f.port[RESP]):
                    flip(&f)
        place.time = p.time
        place.offset = p.offset
        place.length = p.length
        place.sub = 0
        if p.depth and analyzer is not NULL:
            n = strlen(name)
            if n + 11 <= sizeof(longer):
                memcpy(longer, name, n)
                memcpy(longer + n, b"_in_tunnel", 11)
                name = longer
        return self.flows.talks.sheets.note(&f, &place, name, analyzer, NULL, 0)


cdef const char* _analyzer(Kind kind) noexcept nogil:
    if kind == VXLAN:
        return b"VXLAN"
    if kind == GENEVE:
        return b"GENEVE"
    if kind == TEREDO:
        return b"TEREDO"
    if kind == AYIYA:
        return b"AYIYA"
    if kind == GTPV1:
        return b"GTPV1"
    return b"IPTUNNEL"


_ETHERTYPES = {0x0806: "arp", 0x8035: "rarp", 0x8847: "mpls"}
_OTHERS = {
    KIND_LLC: "llc",
    KIND_FRAGMENT: "ip_fragment",
    KIND_JOINED: "ip_fragment_joined",
    KIND_FORGOTTEN: "ip_fragment_dropped",
    KIND_WLAN: "wlan_no_data",
    KIND_WLAN_PROTECTED: "wlan_protected",
    KIND_FRAME_RELAY: "frame_relay",
    KIND_NOTHING: "ipv6_no_next",
}


cdef str kind_name(uint32_t kind):
    """The counter of a kind of packets."""
    number = kind & 0xFFFF
    family = kind - number
    if family == KIND_ETHERTYPE:
        return _ETHERTYPES.get(number) or f"ethertype_{number:#06x}"
    if family == KIND_IP_PROTO:
        return f"ip_proto_{number}"
    if family == KIND_LINKTYPE:
        return f"linktype_{number}"
    if family == KIND_FAMILY:
        return f"address_family_{number}"
    if family == KIND_PPP:
        return f"ppp_{number:#06x}"
    return _OTHERS[kind]
