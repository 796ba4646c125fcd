"""NetFlow versions 1, 5, 7 and 9 and IPFIX, as collectors write it down: message after message.

Specification: RFC 3954 (NetFlow 9), RFC 7011 (IPFIX), RFC 5655 (IPFIX files), RFC 5103 (both
directions in one record); Cisco, "NetFlow Export Datagram Format" (versions 1, 5, 7).

    1   version count uptime seconds nanoseconds                            48 bytes a record
    5   ... sequence engine (type, id) sampling                             48 bytes a record
    7   ... sequence reserved                                               52 bytes a record
    9   version count uptime seconds sequence source, then sets             16 + 4 bytes
    10  version length seconds sequence domain, then sets                   16 bytes
    set = id length (templates | options templates | records), id 256 and more: of that template

Versions 1, 5 and 7 are read by templates that stand here. A record of data is a row of
network_activity (flow_record.pyx), one of an options template is a row of raw_event, and what it
says of sampling, applications and the exporter's start is used for the flows after it. Messages, sets
and templates are structure.

**Templates** are known by version, domain (source id) and number; the last definition counts. A set
that comes before its template is kept (32 MiB of them at most) and read with the first one that is
sent: its rows have parse_flags 16. If none comes, each such set is a damage row.

**Where a message ends.** IPFIX says so. Version 9 counts its records, which exporters do in different
ways; its sets are read until what follows is the head of a message: versions are no numbers of sets.

**Damage.** What is neither is passed up to the next message whose head and first set are possible, and
is one damage row. A record that does not fit into its set is one, too.
"""

import os

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from tracelake.native.account cimport Account
from tracelake.native.cursor cimport be16, be32
from tracelake.native.errors import EvidenceError
from tracelake.native.feed cimport Feed
from tracelake.native.hash64 cimport hash64
from tracelake.native.names cimport Names, names_add, names_end, names_find, names_start
from tracelake.native.text cimport put_uint
from tracelake.parsers.artifact import NO_ROWS_YET, Match, Parser
from tracelake.parsers.flags cimport NAME_GUESSED
from tracelake.parsers.flow_record cimport (
    NAME_ROOM, NO_EXPORT, VARIABLE, Domain, Field, FlowRows, Head, define, define_scope, settle,
)

VERSION = "1"

cdef enum:
    LOOK = 65536 + 64               # no message and no set is longer
    YEAR_1990 = 631152000           # when exporters' clocks can be
    YEAR_2040 = 2208988800
    RECORDS_MOST = 64               # of a message of version 1, 5 or 7; Cisco sends 30 at most
    TURN = 256                      # messages after which the GIL is taken
    KEY = 24                        # version, number, domain, and the exporter where it is known
    TEMPLATES_MOST = 16384          # that are known at the same time, and the fields of them
    FIELDS_MOST = 524288
    DOMAINS_MOST = 4096
    HELD_MOST = 33554432            # bytes of sets that wait for their template
    CHAIN = 4                       # messages that are looked at to tell what a file is

cdef enum Went:
    ENDED
    FULL
    PAUSE


# A data set that waits for its template.
cdef struct Held:
    Held* next
    Head head
    int64_t offset
    Py_ssize_t n
    bint whole


cdef struct Template:
    uint8_t[KEY] key
    Domain* domain
    int version
    uint16_t id
    bint defined
    bint options
    uint32_t epoch                  # of the domain, when it was defined
    Py_ssize_t count
    Py_ssize_t least                # bytes of the shortest record
    bint variable
    Field* fields
    uint8_t* names                  # of fields that the registry does not have
    Held* first
    Held* last


# A domain, and how often all its templates were withdrawn.
cdef struct Known:
    Domain domain
    uint8_t[KEY] key
    uint8_t width                   # bytes of the exporter's address; 0: not known
    uint32_t epoch
    uint32_t options_epoch


cdef struct Fixed:
    int version
    int head
    int record


cdef Fixed[3] FIXED
FIXED[0] = Fixed(1, 16, 48)
FIXED[1] = Fixed(5, 24, 48)
FIXED[2] = Fixed(7, 24, 52)

# (element, bytes) in the order of the record; 210 is padding.
LAYOUTS = {
    1: ((8, 4), (12, 4), (15, 4), (10, 2), (14, 2), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2),
        (11, 2), (210, 2), (4, 1), (5, 1), (6, 1), (210, 7)),
    5: ((8, 4), (12, 4), (15, 4), (10, 2), (14, 2), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2),
        (11, 2), (210, 1), (6, 1), (4, 1), (5, 1), (16, 2), (17, 2), (9, 1), (13, 1), (210, 2)),
    # Its flags say which of the fields are valid; the last one is the router that was passed by.
    7: ((8, 4), (12, 4), (15, 4), (10, 2), (14, 2), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2),
        (11, 2), (210, 1), (6, 1), (4, 1), (5, 1), (16, 2), (17, 2), (9, 1), (13, 1), (210, 2),
        (43, 4)),
}


cdef const Fixed* _fixed(int version) noexcept nogil:
    """The layout of a version without templates; NULL where it is none."""
    if version == 5:
        return &FIXED[1]
    if version == 1:
        return &FIXED[0]
    if version == 7:
        return &FIXED[2]
    return NULL


cdef bint _is_set(int version, int id, int length) noexcept nogil:
    """Whether a set can begin like that."""
    if length < 4:
        return False
    if id >= 256:
        return True
    return id == 0 or id == 1 if version == 9 else id == 2 or id == 3


cdef bint _possible(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """Whether a message can begin at `p`, as far as `n` bytes (16 and more) say."""
    cdef int version = be16(p), count = be16(p + 2)
    cdef const Fixed* fixed = _fixed(version)
    if fixed is not NULL:
        return 1 <= count <= RECORDS_MOST
    if version == 10:
        if count < 16:
            return False
        return n < 20 or count < 20 or _is_set(10, be16(p + 16), be16(p + 18))
    if version == 9:
        return n < 24 or _is_set(9, be16(p + 20), be16(p + 22)) or be16(p + 20) == 9
    return False


cdef bint _likely(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """Whether it is a message beyond chance: its time and its first set are possible, too."""
    cdef int version = be16(p)
    cdef const Fixed* fixed = _fixed(version)
    if n < 24 or not _possible(p, n):
        return False
    if version == 10:
        return _usual(be32(p + 4)) and be16(p + 2) >= 20 and (
            be16(p + 18) <= be16(p + 2) - 16)
    if version == 9:
        return _usual(be32(p + 8)) and 1 <= be16(p + 2) <= 1024
    return fixed is not NULL and _usual(be32(p + 8)) and be32(p + 12) < 1000000000


cdef bint _usual(uint32_t seconds) noexcept nogil:
    return YEAR_1990 <= seconds < <uint32_t>YEAR_2040


cdef Py_ssize_t _span(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """Bytes up to where the next message (or, of version 9, its next set) begins."""
    cdef const Fixed* fixed = _fixed(be16(p))
    if fixed is not NULL:
        return fixed.head + fixed.record * be16(p + 2)
    if be16(p) == 10:
        return be16(p + 2)
    return 20 + be16(p + 22) if n >= 24 and be16(p + 20) != 9 else 20


cdef class _Payload:
    """One datagram's bytes, for a feed."""
    cdef bytes data

    def readinto(self, uint8_t[::1] buffer):
        cdef Py_ssize_t n = min(len(buffer), len(self.data))
        if n:
            memcpy(&buffer[0], <const char*>self.data, n)
            self.data = self.data[n:]
        return n


cdef class Messages:
    """Messages being read.

    Args:
        feed: their bytes.
        account: what became of every record and byte.
    """
    cdef Feed feed
    cdef Account account
    cdef FlowRows flows
    cdef Names names                # key -> Template
    cdef Names domains              # key -> Known
    cdef Template** templates       # all of them
    cdef Py_ssize_t template_count
    cdef Py_ssize_t field_count
    cdef Known** knowns
    cdef Py_ssize_t known_count
    cdef Py_ssize_t held_bytes
    cdef Held* ready                # sets whose template has come, the oldest first
    cdef Held* ready_last
    cdef (Template*)[3] layouts
    cdef Head head                  # of the message at hand
    cdef uint8_t[24] sensor
    cdef uint8_t[24] kind
    cdef int64_t message_end
    cdef uint8_t[16] exporter
    cdef uint8_t width              # of its address; 0: not known

    def __cinit__(self, Feed feed, Account account):
        cdef uint64_t seed = int.from_bytes(os.urandom(8), "little")
        cdef int i
        self.feed = feed
        self.account = account
        self.flows = FlowRows()
        names_start(&self.names, 256, seed)
        names_start(&self.domains, 64, seed)
        self.templates = <Template**>calloc(TEMPLATES_MOST, sizeof(Template*))
        self.knowns = <Known**>calloc(DOMAINS_MOST, sizeof(Known*))
        if self.templates is NULL or self.knowns is NULL:
            raise MemoryError()
        memset(&self.head, 0, sizeof(Head))
        for i in range(3):
            self.layouts[i] = self.layout(FIXED[i].version)

    def __dealloc__(self):
        cdef Py_ssize_t i
        cdef Held* held
        if self.templates is not NULL:
            for i in range(self.template_count):
                self.forget(self.templates[i])
                self.drop(self.templates[i].first)
                free(self.templates[i])
            free(self.templates)
        if self.knowns is not NULL:
            for i in range(self.known_count):
                if self.knowns[i].domain.applications.slots is not NULL:
                    names_end(&self.knowns[i].domain.applications)
                free(self.knowns[i])
            free(self.knowns)
        for i in range(3):
            if self.layouts[i] is not NULL:
                free(self.layouts[i].fields)
                free(self.layouts[i])
        self.drop(self.ready)
        if self.names.slots is not NULL:
            names_end(&self.names)
        if self.domains.slots is not NULL:
            names_end(&self.domains)

    cdef void drop(self, Held* held) noexcept nogil:
        cdef Held* next
        while held is not NULL:
            next = held.next
            free(held)
            held = next

    cdef Template* layout(self, int version) except NULL:
        """The template of a version that has none."""
        cdef Template* t = <Template*>calloc(1, sizeof(Template))
        cdef Py_ssize_t i
        if t is NULL:
            raise MemoryError()
        parts = LAYOUTS[version]
        t.fields = <Field*>calloc(len(parts), sizeof(Field))
        if t.fields is NULL:
            free(t)
            raise MemoryError()
        t.version = version
        t.defined = True
        t.count = len(parts)
        for i in range(t.count):
            t.fields[i].id, t.fields[i].length = parts[i]
            t.least += t.fields[i].length
            define(&t.fields[i], 9, NULL)
        settle(t.fields, t.count)
        return t

    def read(self):
        """Yields the rows as (table, RecordBatch)."""
        cdef int went
        stopped = None
        while True:
            try:
                with nogil:
                    went = self.go_on()
            except EvidenceError as error:
                stopped = error
                break
            if went == ENDED:
                break
            if went == FULL:
                yield from self.batches(False)
            else:
                yield NO_ROWS_YET
        if stopped is not None:
            # Sets whose template has come are read, though the bytes after them cannot be.
            while self.ready is not NULL:
                self.settle_held()
                yield from self.batches(False)
        self.give_up_held()
        self.account.repairs += self.flows.repairs
        yield from self.batches(True)
        if stopped is not None:
            raise stopped

    def datagram(self, bytes payload, int64_t offset, bytes exporter):
        """Reads the messages of a datagram.

        Args:
            payload: its bytes.
            offset: where they stand in the artifact.
            exporter: the address that they came from, 4 or 16 bytes.

        Returns:
            Whether a batch is full.
        """
        cdef _Payload held = _Payload()
        cdef Feed feed = Feed(held, len(payload) + 64)
        held.data = payload
        feed.jump(offset)
        self.feed = feed
        memset(self.exporter, 0, 16)
        self.width = <uint8_t>len(exporter)
        memcpy(self.exporter, <const char*>exporter, self.width)
        with nogil:
            while self.message():
                pass
            while self.ready is not NULL:
                self.settle_held()
        return self.flows.rows.is_full or self.flows.raw.is_full

    def end(self):
        """No more datagrams: sets whose template never came are damage."""
        self.give_up_held()
        self.account.repairs += self.flows.repairs

    def batches(self, bint all):
        """The batches that are full, or all that have rows."""
        for rows in (self.flows.rows, self.flows.raw):
            if rows.is_full or (all and rows.count):
                yield rows.table, rows.finish()

    cdef int go_on(self) except -1 nogil:
        cdef int turn
        for turn in range(TURN):
            if self.flows.rows.full() or self.flows.raw.full():
                return FULL
            if self.ready is not NULL:
                self.settle_held()
            elif not self.message():
                return ENDED
        return PAUSE

    cdef int lost(self, Py_ssize_t n, const char* what, const char* why) except -1 nogil:
        """The next `n` bytes, which cannot be read."""
        self.account.records += 1
        self.account.damage(self.feed.offset(), n, what, why, NULL, 0)
        self.feed.advance(n)
        return 0

    # --- messages --------------------------------------------------------------------------

    cdef int message(self) except -1 nogil:
        """Reads the next message; 0 at the end."""
        cdef Py_ssize_t have = self.feed.fill(24)
        cdef const uint8_t* p = self.feed.at()
        cdef int version
        cdef const Fixed* fixed
        if have == 0:
            return 0
        if have < 16:
            self.lost(have, b"message header", b"the data end inside of it")
            return 0
        version = be16(p)
        # A message of an exporter whose clock is not set must have another one behind it.
        if not _possible(p, have) or not (_likely(p, have) or self.follows(0, True)):
            p = self.feed.at()
            if version == 8:
                self.search(b"NetFlow version 8, which holds sums and no flows, is not read")
            else:
                self.search(b"no message of NetFlow or IPFIX begins here")
            return 1
        p = self.feed.at()
        fixed = _fixed(version)
        if have < (20 if version == 9 else fixed.head if fixed is not NULL else 16):
            self.lost(have, b"message header", b"the data end inside of it")
            return 0
        self.head.flags = 0
        self.head.domain = NULL
        self.head.sensor_length = 0
        self.head.sensor = self.sensor
        self.head.interval = 0
        self.head.sequence = -1
        self.head.device = self.exporter if self.width else NULL
        self.head.device_length = self.width
        self.head.has_boot = version != 10
        self.head.exported = <int64_t>be32(p + (4 if version == 10 else 8)) * 1000000
        if version != 10:
            self.head.uptime = be32(p + 4)
        if fixed is not NULL:
            return self.fixed(fixed, p)
        if version == 9:
            self.head.provider = b"NetFlow v9"
            self.head.provider_length = 10
            self.head.sequence = be32(p + 12)
            self.of_domain(9, be32(p + 16))
            self.message_end = -1
            self.account.bytes_structure += 20
            self.feed.advance(20)
        else:
            self.head.provider = b"IPFIX"
            self.head.provider_length = 5
            self.head.sequence = be32(p + 8)
            self.of_domain(10, be32(p + 12))
            self.message_end = self.feed.offset() + be16(p + 2)
            self.account.bytes_structure += 16
            self.feed.advance(16)
        while self.next_set(version):
            pass
        return 1

    cdef int of_domain(self, int version, uint32_t id) except -1 nogil:
        """Sets what a message's domain is called, and what is known of it."""
        cdef uint8_t[KEY] key
        cdef Known* known
        memset(key, 0, KEY)
        key[0] = <uint8_t>version
        memcpy(key + 4, &id, 4)
        memcpy(key + 8, self.exporter, 16)
        self.head.sensor_length = <int>put_uint(self.sensor, id)
        known = <Known*>names_find(&self.domains, key, KEY)
        if known is NULL and self.known_count < DOMAINS_MOST:
            known = <Known*>calloc(1, sizeof(Known))
            with gil:
                if known is NULL:
                    raise MemoryError()
                memcpy(known.key, key, KEY)
                known.width = self.width
                known.domain.id = id
                self.knowns[self.known_count] = known
                self.known_count += 1
                names_add(&self.domains, known.key, KEY, known)
        self.head.domain = <Domain*>known
        if known is not NULL and known.width:
            self.head.device = known.key + 8
            self.head.device_length = known.width
        return 0

    cdef int fixed(self, const Fixed* fixed, const uint8_t* p) except -1 nogil:
        """A message of version 1, 5 or 7."""
        cdef Template* t = self.layouts[0 if fixed.version == 1 else 1 if fixed.version == 5 else 2]
        cdef Py_ssize_t count = be16(p + 2), n = count * fixed.record, have
        cdef uint32_t nanoseconds = be32(p + 12)
        # Relative times have milliseconds: no digits are made up.
        if nanoseconds < 1000000000:
            self.head.exported += <int64_t>(nanoseconds // 1000000) * 1000
        if fixed.version == 5:
            self.head.provider = b"NetFlow v5"
            self.head.interval = be16(p + 22) & 0x3FFF
            self.head.sensor_length = <int>put_uint(self.sensor, p[20])
            self.sensor[self.head.sensor_length] = b"."
            self.head.sensor_length += 1
            self.head.sensor_length += <int>put_uint(self.sensor + self.head.sensor_length, p[21])
        else:
            self.head.provider = b"NetFlow v1" if fixed.version == 1 else b"NetFlow v7"
        self.head.provider_length = 10
        if fixed.version != 1:
            self.head.sequence = be32(p + 16)
        self.account.bytes_structure += fixed.head
        self.feed.advance(fixed.head)
        have = self.feed.fill(n)
        if have > n:
            have = n
        self.records(t, self.feed.at(), have, self.feed.offset(), have == n, &self.head)
        self.feed.advance(have)
        return 1

    cdef int next_set(self, int version) except -1 nogil:
        """Reads the next set of a message; 0 where the message ends."""
        cdef int64_t left = LOOK
        cdef Py_ssize_t have, n, length
        cdef const uint8_t* p
        cdef Template* t
        cdef int id
        if version == 10:
            left = self.message_end - self.feed.offset()
            if left <= 0:
                return 0
        have = self.feed.fill(16)
        if have == 0 and version == 9:
            return 0
        if have < 4:
            self.lost(have, b"set header", b"the data end inside of it")
            return 0
        p = self.feed.at()
        id = be16(p)
        length = be16(p + 2)
        if version == 9 and id != 1 and id < 256 and have >= 16 and _possible(p, have):
            return 0
        if left < 4:
            # Padding of a message, which is not foreseen and happens.
            self.account.bytes_structure += left
            self.feed.advance(<Py_ssize_t>left)
            return 0
        if not _is_set(version, id, <int>length) or length > left:
            return self.bad_set(version, left)
        if version == 9 and id >= 256:
            t = self.template(9, <uint16_t>id, False)
            # It could be anything: whether a message begins in it is looked at.
            if (t is NULL or not t.defined) and self.within(length) < length:
                self.search(b"neither a set nor a message begins here")
                return 0
        have = self.feed.fill(length)
        n = have if have < length else length
        p = self.feed.at()
        self.account.bytes_structure += 4
        if id < 256:
            self.define_all(version, id == 1 or id == 3, p + 4, n - 4, n == length)
        else:
            self.data(version, <uint16_t>id, p + 4, n - 4, n == length)
        self.feed.advance(n)
        return n == length

    cdef int bad_set(self, int version, int64_t left) except -1 nogil:
        """What is no set: the message's rest where the next one begins behind it."""
        cdef Py_ssize_t have
        if version == 10:
            have = self.feed.fill(<Py_ssize_t>left + 24)
            if have == left or (have >= left + 24 and _likely(self.feed.at() + left, 24)):
                self.lost(<Py_ssize_t>left, b"set", b"its id or its length is impossible")
                return 0
        self.search(b"neither a set nor a message begins here")
        return 0

    cdef int search(self, const char* why) except -1 nogil:
        """Passes what is no message, up to the next that is one; it is one damage row."""
        cdef int64_t from_ = self.feed.offset()
        cdef Py_ssize_t have, i = 1
        cdef const uint8_t* p
        while True:
            have = self.feed.fill(LOOK)
            p = self.feed.at()
            while i + 24 <= have:
                # The first byte of a version is 0, and the second one of these.
                if p[i] == 0 and p[i + 1] <= 10 and _likely(p + i, have - i) and self.follows(i, False):
                    break
                # Bytes may have come while it was looked further.
                have = self.feed.fill(24)
                p = self.feed.at()
                i += 1
            else:
                if have < LOOK:
                    self.feed.advance(have)
                    break
                self.feed.advance(i)
                i = 0
                continue
            self.feed.advance(i)
            break
        self.account.records += 1
        self.account.damage(from_, self.feed.offset() - from_, b"message", why, NULL, 0)
        return 0

    cdef bint follows(self, Py_ssize_t i, bint exactly) except -1 nogil:
        """Whether behind the message `i` bytes ahead another one begins, or the end is: right there
        (`exactly`), or before."""
        cdef Py_ssize_t have = self.feed.fill(i + 24), next
        cdef const uint8_t* p = self.feed.at() + i
        cdef int version = be16(p)
        next = i + _span(p, have - i)
        have = self.feed.fill(next + 24)
        p = self.feed.at() + next
        if have < next + 16:
            return have == next or not exactly
        if version == 9 and _is_set(9, be16(p), be16(p + 2)):
            return True
        return _possible(p, have - next)

    cdef Py_ssize_t within(self, Py_ssize_t n) except -1 nogil:
        """Where among the next `n` bytes a message begins with another one, or the end, behind it;
        `n` where none does."""
        cdef Py_ssize_t i = 1, have = self.feed.fill(n)
        cdef const uint8_t* p = self.feed.at()
        while i < n and i + 24 <= have:
            if p[i] == 0 and p[i + 1] <= 10 and _likely(p + i, have - i) and self.follows(i, True):
                return i
            have = self.feed.fill(24)
            p = self.feed.at()
            i += 1
        return n

    # --- templates -------------------------------------------------------------------------

    cdef Template* template(self, int version, uint16_t id, bint make) except? NULL nogil:
        """The template of the domain at hand; NULL where there is none, and room for none."""
        cdef uint8_t[KEY] key
        cdef Template* t
        if self.head.domain is NULL:
            return NULL
        key[0] = <uint8_t>version
        key[1] = 0
        memcpy(key + 2, &id, 2)
        memcpy(key + 4, &self.head.domain.id, 4)
        memcpy(key + 8, (<const Known*>self.head.domain).key + 8, 16)
        t = <Template*>names_find(&self.names, key, KEY)
        if t is not NULL or not make or self.template_count >= TEMPLATES_MOST:
            return t
        t = <Template*>calloc(1, sizeof(Template))
        with gil:
            if t is NULL:
                raise MemoryError()
            memcpy(t.key, key, KEY)
            t.version = version
            t.id = id
            t.domain = self.head.domain
            self.templates[self.template_count] = t
            self.template_count += 1
            names_add(&self.names, t.key, KEY, t)
        return t

    cdef bint valid(self, const Template* t) noexcept nogil:
        """Whether a template is defined, and was not withdrawn since."""
        cdef const Known* known = <const Known*>t.domain
        return t.defined and t.epoch == (known.options_epoch if t.options else known.epoch)

    cdef void forget(self, Template* t) noexcept nogil:
        """Takes a template's definition back."""
        self.field_count -= t.count
        free(t.fields)
        free(t.names)
        t.fields = NULL
        t.names = NULL
        t.count = 0
        t.defined = False

    cdef int bad_template(
        self, int64_t offset, Py_ssize_t n, const char* why
    ) except -1 nogil:
        self.account.records += 1
        return self.account.damage(offset, n, b"template", why, NULL, 0)

    cdef int define_all(
        self, int version, bint options, const uint8_t* p, Py_ssize_t n, bint whole
    ) except -1 nogil:
        """The templates of a set."""
        cdef int64_t offset = self.feed.offset() + 4
        cdef Py_ssize_t used
        while n > 0:
            # Padding is shorter than a template, or zeros, which no template begins with.
            if n < 4 or be16(p) == 0:
                if not whole and n:
                    self.bad_template(offset, n, b"the data end inside of it")
                else:
                    self.account.bytes_structure += n
                return 0
            used = self.define_one(version, options, p, n, offset)
            if used == 0:
                return self.bad_template(
                    offset, n, b"it is longer than its set" if whole
                    else b"the data end inside of it",
                )
            self.account.bytes_structure += used
            p += used
            offset += used
            n -= used
        return 0

    cdef Py_ssize_t define_one(
        self, int version, bint options, const uint8_t* p, Py_ssize_t n, int64_t offset
    ) except -1 nogil:
        """One template; its bytes, 0 where it is not all there."""
        cdef int id = be16(p), scopes = 0
        cdef Py_ssize_t count = be16(p + 2), at = 4, i, field
        cdef Known* known
        cdef Template* t
        if version == 10 and count == 0:
            self.withdraw(id, options)
            return 4
        if options:
            if n < 6:
                return 0
            if version == 9:
                scopes = be16(p + 2) // 4
                count = scopes + be16(p + 4) // 4
            at = 6
        # All of it is looked at before any of it counts.
        field = at
        for i in range(count):
            if n - field < 4:
                return 0
            if version == 10 and p[field] & 0x80:
                field += 4
                if n - field < 4:
                    return 0
            field += 4
        if id < 256:
            self.bad_template(offset, field, b"its number is below 256")
            return field
        t = self.template(version, <uint16_t>id, True)
        if t is NULL or self.field_count - t.count + count > FIELDS_MOST:
            self.bad_template(offset, field, b"more templates than are held")
            if t is not NULL:
                self.forget(t)
            return field
        self.forget(t)
        t.fields = <Field*>calloc(count if count else 1, sizeof(Field))
        if t.fields is NULL:
            with gil:
                raise MemoryError()
        t.least = 0
        t.variable = False
        t.options = options
        self.fill(t, version, scopes, p + at, count)
        if not self.name(t, version, scopes):
            with gil:
                raise MemoryError()
        if not options:
            settle(t.fields, t.count)
        known = <Known*>t.domain
        t.epoch = known.options_epoch if options else known.epoch
        t.defined = True
        if t.first is not NULL:
            if self.ready is NULL:
                self.ready = t.first
            else:
                self.ready_last.next = t.first
            self.ready_last = t.last
            t.first = NULL
            t.last = NULL
        return field

    cdef int fill(
        self, Template* t, int version, int scopes, const uint8_t* p, Py_ssize_t count
    ) noexcept nogil:
        """Sets a template's fields from their specifiers, which are there. Fields without
        bytes say nothing, and would make a record of none."""
        cdef Py_ssize_t i
        cdef Field* f
        for i in range(count):
            f = &t.fields[t.count]
            f.id = be16(p)
            f.length = be16(p + 2)
            f.enterprise = 0
            p += 4
            if version == 10 and f.id & 0x8000:
                f.id &= 0x7FFF
                f.enterprise = be32(p)
                p += 4
            if f.length == 0:
                continue
            f.use = i < scopes
            if f.length == VARIABLE and version == 10:
                t.variable = True
                t.least += 1
            else:
                t.least += f.length
            t.count += 1
        self.field_count += t.count
        return 0

    cdef bint name(self, Template* t, int version, int scopes) noexcept nogil:
        """Names a template's fields, each by a name of its own; False: no memory."""
        cdef Py_ssize_t size = 16, i, at, need = 0
        cdef uint32_t* seen
        cdef Field* f
        cdef Field* other
        cdef uint8_t* room
        cdef uint32_t times
        while size < 2 * t.count:
            size *= 2
        seen = <uint32_t*>calloc(size, 2 * sizeof(uint32_t))
        t.names = <uint8_t*>malloc(t.count * NAME_ROOM + 1)
        if seen is NULL or t.names is NULL:
            free(seen)
            return False
        room = t.names
        for i in range(t.count):
            f = &t.fields[i]
            if f.use:
                define_scope(f, room)
            else:
                define(f, version, room)
            # The same element may be there several times (RFC 7011, 8): name, name_2, ...
            at = <Py_ssize_t>(
                (<uint64_t>f.enterprise << 16 | f.id) * 0x9E3779B97F4A7C15ULL >> 20) & (size - 1)
            times = 1
            while seen[2 * at]:
                other = &t.fields[seen[2 * at] - 1]
                if other.id == f.id and other.enterprise == f.enterprise:
                    seen[2 * at + 1] += 1
                    times = seen[2 * at + 1]
                    break
                at = (at + 1) & (size - 1)
            if times == 1:
                seen[2 * at] = <uint32_t>(i + 1)
                seen[2 * at + 1] = 1
            else:
                if f.name != room:
                    memcpy(room, f.name, f.name_length)
                    f.name = room
                room[f.name_length] = b"_"
                f.name_length += <uint8_t>(1 + put_uint(room + f.name_length + 1, times))
            if f.name == room:
                room += NAME_ROOM
        free(seen)
        return True

    cdef int withdraw(self, int id, bint options) except -1 nogil:
        """Takes back a template, or all of the domain's (RFC 7011, 8.1)."""
        cdef Known* known = <Known*>self.head.domain
        cdef Template* t
        if known is NULL:
            return 0
        if id == 2:
            known.epoch += 1
        elif id == 3:
            known.options_epoch += 1
        else:
            t = self.template(10, <uint16_t>id, False)
            if t is not NULL and t.options == options:
                self.forget(t)
        return 0

    # --- data ------------------------------------------------------------------------------

    cdef int data(
        self, int version, uint16_t id, const uint8_t* p, Py_ssize_t n, bint whole
    ) except -1 nogil:
        """A set of data."""
        cdef Template* t = self.template(version, id, True)
        cdef int64_t offset = self.feed.offset() + 4
        cdef Held* held
        if t is not NULL and self.valid(t):
            return self.records(t, p, n, offset, whole, &self.head)
        if self.head.sequence >= 0 and version == 10:
            self.head.sequence = -1     # it is not known how many records this set has
        if n == 0 and whole:
            return 0
        if t is NULL or self.held_bytes + n + <Py_ssize_t>sizeof(Held) > HELD_MOST:
            self.account.records += 1
            return self.account.damage(
                offset, n, b"data set", b"its template was not sent before, and no more sets are held",
                NULL, 0,
            )
        held = <Held*>malloc(sizeof(Held) + n)
        if held is NULL:
            with gil:
                raise MemoryError()
        self.held_bytes += n + <Py_ssize_t>sizeof(Held)
        held.next = NULL
        held.head = self.head
        held.head.template = id
        held.offset = offset
        held.n = n
        held.whole = whole
        memcpy(held + 1, p, n)
        if t.first is NULL:
            t.first = held
        else:
            t.last.next = held
        t.last = held
        return 0

    cdef int settle_held(self) except -1 nogil:
        """Reads the first set of those whose template has come."""
        cdef Held* held = self.ready
        cdef Template* t
        self.ready = held.next
        if self.ready is NULL:
            self.ready_last = NULL
        self.held_bytes -= held.n + <Py_ssize_t>sizeof(Held)
        self.head = held.head
        self.head.flags = NAME_GUESSED
        self.head.sequence = -1 if self.head.has_boot == 0 else self.head.sequence
        self.head.sensor = self.sensor
        self.head.sensor_length = <int>put_uint(self.sensor, self.head.domain.id)
        try:
            t = self.template(9 if self.head.has_boot else 10, self.head.template, False)
            if t is not NULL and self.valid(t):
                self.records(t, <const uint8_t*>(held + 1), held.n, held.offset, held.whole, &self.head)
            else:
                self.account.records += 1
                self.account.damage(
                    held.offset, held.n, b"data set", b"its template was sent later, and withdrawn",
                    NULL, 0,
                )
        finally:
            free(held)
        return 0

    cdef int give_up_held(self) except -1:
        """At the end: sets whose template never came."""
        cdef Py_ssize_t i
        cdef Held* held
        for i in range(self.template_count):
            held = self.templates[i].first
            while held is not NULL:
                self.account.records += 1
                self.account.damage(
                    held.offset, held.n, b"data set", b"its template was never sent", NULL, 0
                )
                held = held.next
        return 0

    cdef Py_ssize_t measure(self, const Template* t, const uint8_t* p, Py_ssize_t n) noexcept nogil:
        """Bytes of the record at `p`; -1 where it is longer than the `n` that are left."""
        cdef Py_ssize_t i, size = 0, length
        for i in range(t.count):
            length = t.fields[i].length
            if length == VARIABLE:
                if n - size < 1:
                    return -1
                length = p[size]
                size += 1
                if length == 255:
                    if n - size < 2:
                        return -1
                    length = be16(p + size)
                    size += 2
            if n - size < length:
                return -1
            size += length
        return size

    cdef int records(
        self, Template* t, const uint8_t* p, Py_ssize_t n, int64_t offset, bint whole, Head* head
    ) except -1 nogil:
        """The records of a set, which all of its template's form."""
        cdef Py_ssize_t size = t.least
        cdef const char* why = b"less than a record is left, and it is no padding"
        cdef Py_ssize_t i
        cdef bint zeros = True
        if t.count == 0:
            if n:
                self.account.records += 1
                self.account.damage(
                    offset, n, b"data set", b"the records of its template have no bytes", NULL, 0)
            return 0
        while n >= t.least:
            if t.variable:
                size = self.measure(t, p, n)
                if size < 0:
                    why = b"it is longer than its set"
                    zeros = False
                    break
            self.record(t, p, size, offset, head)
            p += size
            offset += size
            n -= size
        if n == 0 and whole:
            return 0
        for i in range(n):
            if p[i]:
                zeros = False
        if whole and (zeros or n < 4):
            self.account.bytes_structure += n
            return 0
        if not whole:
            why = b"the data end inside of it"
        self.account.records += 1
        return self.account.damage(offset, n, b"flow record", why, NULL, 0)

    cdef int record(
        self, Template* t, const uint8_t* p, Py_ssize_t n, int64_t offset, Head* head
    ) except -1 nogil:
        """One record, all of whose `n` bytes are there."""
        cdef Py_ssize_t i, length
        cdef const uint8_t* at = p
        cdef Field* f
        self.account.records += 1
        self.account.bytes_records += n
        head.offset = offset
        head.length = n
        head.sub = 0
        head.hash = hash64(p, n, <uint64_t>head.exported)
        self.flows.begin()
        for i in range(t.count):
            f = &t.fields[i]
            length = f.length
            if length == VARIABLE and t.variable:
                length = at[0]
                at += 1
                if length == 255:
                    length = be16(at)
                    at += 2
                if length == 0:
                    continue
            if t.options:
                self.flows.tell(f, at, length)
            else:
                self.flows.take(f, at, length)
            at += length
        if t.options:
            self.flows.learn(head, t.domain)
            self.flows.put_option(head, self.kind, put_uint(self.kind, t.id))
        else:
            self.flows.put_flow(head)
        self.account.in_rows += 1
        if head.sequence >= 0 and t.version != 9:
            head.sequence = <uint32_t>(head.sequence + 1)
        return 0


cdef bint is_export(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t at
    cdef int version
    if n < 24 or p[0] or not _likely(p, n):
        return False
    version = be16(p)
    at = _span(p, n)
    if version == 9:
        while at + 4 <= n and _is_set(9, be16(p + at), be16(p + at + 2)):
            at += be16(p + at + 2)
    elif version == 10 and not _sets_fill(p, n, at):
        return False
    return at == n


def match(head, path):
    """How sure it is that an artifact holds messages of NetFlow or IPFIX, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: its path inside its source (not looked at).
    """
    cdef const uint8_t[::1] view = head
    cdef Py_ssize_t n = len(head), at = 0, next
    cdef int version, seen = 0
    cdef bint cut = n >= 65536
    if n < 24 or view[0] != 0 or not _likely(&view[0], n):
        return Match.NO, "no message of NetFlow or IPFIX at its start"
    version = be16(&view[0])
    while seen < CHAIN and at < n:
        if n - at < 24:
            break
        if not _likely(&view[at], n - at):
            return Match.NO, "begins like NetFlow, but no other message follows"
        next = at + _span(&view[at], n - at)
        if be16(&view[at]) == 9:
            while next + 4 <= n and _is_set(9, be16(&view[next]), be16(&view[next + 2])):
                next += be16(&view[next + 2])
        elif be16(&view[at]) == 10 and not _sets_fill(&view[at], min(n - at, next - at), next - at):
            return Match.NO, "begins like IPFIX, but its sets do not fill the message"
        if next > n and not cut and seen == 0 and at + 72 > n:
            return Match.NO, "begins like NetFlow, and ends at once"
        seen += 1
        at = next
    return Match.CONTENT, ""


cdef bint _sets_fill(const uint8_t* p, Py_ssize_t n, Py_ssize_t size) noexcept nogil:
    """Whether the sets of an IPFIX message of `size` bytes, of which `n` are there, end with it."""
    cdef Py_ssize_t at = 16
    while at + 4 <= n:
        if not _is_set(10, be16(p + at), be16(p + at + 2)):
            return False
        at += be16(p + at + 2)
    return at <= size if n >= size else True


def read(artifact):
    """Yields flows (network_activity) and options records (raw_event) as (table, RecordBatch).

    Args:
        artifact: parsers.artifact.Artifact; its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on (a broken archive or disk); all rows
            before that were yielded.
    """
    yield from Messages(artifact.feed, artifact.account).read()


PARSER = Parser(
    "netflow", VERSION, match, ("network_activity", "raw_event"), read,
    files=("*.ipfix", "*.netflow", "*.nf5", "*.nf9"),
)
