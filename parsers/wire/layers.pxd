"""A captured packet led through all of its layers."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from tracelake.native.account cimport Account
from tracelake.parsers.conn cimport Flow
from tracelake.parsers.flow cimport Flows
from tracelake.parsers.packet cimport Packet, Verdict
from tracelake.parsers.wire.fragments cimport Fragments
from tracelake.parsers.wire.tunnel cimport Inner
from tracelake.parsers.wire.tunnels cimport Around, Tunnels


cdef class Layers:
    cdef Account account
    cdef readonly Flows flows
    cdef readonly Fragments fragments
    cdef Tunnels tunnels
    cdef bint first             # it also accounts for what belongs to no flow
    cdef int64_t bytes          # of the record at hand, until somebody has counted them
    cdef Packet packet          # the one at hand: time, offset and length are the container's
    cdef uint64_t* counts       # packets that are only counted, by kind
    cdef Around around[8]       # the tunnels around what is at hand, the outermost first
    cdef uint64_t teredo, gtpv1, vxlan, geneve, ayiya       # bits of services

    # Takes the packet whose time, offset and length are in `packet`.
    cdef int take_packet(
        self, int link, const uint8_t* data, int64_t captured, int64_t wire
    ) except -1 nogil
    # A UDP datagram that was not put together, before its flow has it: for who reads exported
    # flows in it.
    cdef int datagram(self, const Packet* p) except -1 nogil

    cdef int _frames(self, Verdict verdict) except -1 nogil
    cdef int _inwards(self, Verdict verdict) except -1 nogil
    cdef int _enter(self, Flow* f, const Inner* inner, int64_t now) except -1 nogil
    cdef int _fragment(self, Packet* p, int64_t now) except -1 nogil
    cdef bint _udp(self, Flow* f, const Packet* p, Inner* inner) noexcept nogil
    cdef int _inside(self, Flow* f, int64_t now) except -1 nogil
    cdef int _notes(self) except -1 nogil
    cdef int _note(self, const char* name, const char* analyzer, int ends) except -1 nogil
