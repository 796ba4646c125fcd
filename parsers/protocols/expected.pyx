"""Connections that were announced in others (see expected.pxd)."""

import os

from libc.stdint cimport int32_t, int64_t, uint16_t, uint64_t
from libc.stdlib cimport calloc, free

from tracelake.native.flowtable cimport fold
from tracelake.parsers.conn cimport ORIG, RESP
from tracelake.parsers.packet cimport NO_TIME

cdef enum:
    ROOM = 4096
    WAYS = 8                # places that one may stand at

cdef int64_t WAIT = 300 * 1000000000


cdef class Expected:
    def __cinit__(self):
        self.table = <Announced*>calloc(ROOM, sizeof(Announced))
        if self.table is NULL:
            raise MemoryError()
        self.secret = int.from_bytes(os.urandom(8), "little")

    def __dealloc__(self):
        free(self.table)

    cdef uint64_t _place(self, const Address* resp, uint16_t port) noexcept nogil:
        return fold(resp.low ^ self.secret, resp.high ^ 0xA0761D6478BD642FULL ^ port)

    cdef int announce(
        self, const Address* orig, const Address* resp, uint16_t port, int32_t protocol,
        void* context, int64_t time,
    ) except -1 nogil:
        cdef uint64_t at = self._place(resp, port)
        cdef Announced* each
        cdef Announced* chosen = NULL
        cdef int i
        for i in range(WAYS):
            each = &self.table[(at + i) & (ROOM - 1)]
            if each.used and each.port == port and (
                each.resp.low == resp.low and each.resp.high == resp.high
            ):
                chosen = each
                break
            if chosen is NULL or not each.used or (chosen.used and each.time < chosen.time):
                chosen = each
        chosen.used = True
        chosen.port = port
        chosen.protocol = protocol
        chosen.time = time
        chosen.orig = orig[0]
        chosen.resp = resp[0]
        chosen.context = context
        self.count += 1
        return 0

    cdef Announced* find(self, const Flow* f) noexcept nogil:
        cdef uint64_t at
        cdef Announced* each
        cdef int i
        if self.count == 0:
            return NULL
        at = self._place(&f.address[RESP], f.port[RESP])
        for i in range(WAYS):
            each = &self.table[(at + i) & (ROOM - 1)]
            if not each.used or each.port != f.port[RESP]:
                continue
            if each.resp.low != f.address[RESP].low or each.resp.high != f.address[RESP].high or (
                each.orig.low != f.address[ORIG].low or each.orig.high != f.address[ORIG].high
            ):
                continue
            if f.first != NO_TIME and each.time != NO_TIME and f.first - each.time > WAIT:
                each.used = False
                return NULL
            return each
        return NULL

    cdef void forget(self, void* context) noexcept nogil:
        cdef int i
        for i in range(ROOM):
            if self.table[i].context == context:
                self.table[i].context = NULL
