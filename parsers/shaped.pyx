"""A record on a tape into a row (see shaped.pxd)."""

from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy

from tracelake.native.hash64 cimport hash64
from tracelake.native.text cimport parse_iso_time, put_iso_time
from tracelake.parsers.event_plan cimport EVENT_ID, PROVIDER, Sheet
from tracelake.parsers.evtx_item cimport Item
from tracelake.parsers.evtx_memo cimport put, remembered, repeat
from tracelake.parsers.flags cimport TEXT_REPAIRED, ZONE_ASSUMED
from tracelake.parsers.json_scan cimport TAKEN, compact_nest, scan_inside
from tracelake.parsers.looks cimport EPOCH, LOCAL, UTC, WRITTEN, ZONE
from tracelake.parsers.since_epoch cimport parse_epoch
from tracelake.parsers.tape cimport EMPTY, GONE, NEST, SCALAR, SPAN, WORD, text_of
from tracelake.parsers.values cimport INT, NOTHING, TEXT, TEXT_VALID, UINT, bytes_value
from tracelake.parsers.written_time cimport Order, parse_written

cdef enum:
    QUARTER = 900000000         # microseconds
    LONGEST_TIME = 64
    LONGEST_KNOWN = 1024        # bytes of a value that is remembered
    MOST_REPEATS = 64           # of a name in one record that are remembered


cdef class Shaped:
    """Rows of records that come on a tape.

    Args:
        mappings: normalize.mapping.Mappings.
        shapes: normalize.shapes.Shape each, in the order in which they are tried.
    """

    def __cinit__(self, mappings, shapes):
        self.tape = Tape()
        self.events = Events(mappings)
        self.looks = Looks(self.tape, self.events.plans, shapes)

    def __dealloc__(self):
        free(self._acts)

    cdef int give_up(self) except -1:
        return self.events.give_up()

    cdef int end_record(
        self, const uint8_t* p, Py_ssize_t n, int64_t offset, int64_t length, int64_t sub,
        int flags, Keep keep,
    ) except -1 nogil:
        return self.row(self.looks.recognise(), p, n, offset, length, sub, flags, keep)

    cdef int row(
        self, Look* look, const uint8_t* p, Py_ssize_t n, int64_t offset, int64_t length,
        int64_t sub, int flags, Keep keep,
    ) except -1 nogil:
        cdef Py_ssize_t count = self.tape.count, i
        cdef Wrap* wrap
        cdef Value vendor
        cdef int order
        if self.tape.nest_count:
            for i in range(count):
                if self.tape.entries[i].what == NEST:
                    compact_nest(self.tape, &self.tape.entries[i].value)
        if look.texts:
            self._expand(look)
        wrap = self._wrap(look)
        self.events.begin(wrap.plan)
        if look.vendor is not NULL:
            vendor = bytes_value(TEXT_VALID, look.vendor, look.vendor_length)
            self.events.system(PROVIDER, &vendor)
        if look.code is not NULL:
            vendor = bytes_value(TEXT_VALID, look.code, look.code_length)
            self.events.system(EVENT_ID, &vendor)
        self._clock = -1
        self._times(look)
        self._room(self.tape.count)
        for i in range(self.tape.count):
            self._acts[i] = self.looks.act(wrap, self.tape.entries[i].node)
        for order in range(1, look.orders + 1):
            if self.tape.has(look.order_nodes[order]):
                self._pairs(wrap, 0, count, order)
        self._pairs(wrap, 0, count, 0)
        if self.tape.repaired:
            self.events.flag(TEXT_REPAIRED)
        if keep == KEEP_ALWAYS or (keep == KEEP_ODD and (self.tape.repaired or look.has == 0)):
            self.events.keep_raw(p, n)
        return self.events.end(
            offset, length, sub, flags, 0 if self.events.is_canonical() else hash64(p, n, 0)
        )

    cdef int _room(self, Py_ssize_t count) except -1 nogil:
        cdef Py_ssize_t room = 256
        cdef void* grown
        if count <= self._acts_room and not (self._acts_room > 1 << 16 and count < 1 << 12):
            return 0
        while room < count:
            room *= 2
        grown = realloc(self._acts, room * sizeof(void*))
        if grown is NULL:
            with gil:
                raise MemoryError()
        self._acts = <Act**>grown
        self._acts_room = room
        return 0

    # --- what the record is -------------------------------------------------------------------

    cdef int _expand(self, Look* look) except -1 nogil:
        """Puts the members of objects that stand as text onto the tape, behind all others."""
        cdef Py_ssize_t i = 0, first
        cdef Entry* entry
        while i < self.tape.count:
            entry = &self.tape.entries[i]
            if entry.what == WORD and self.looks.act(look.bare, entry.node).as_text:
                first = self.tape.count
                if scan_inside(self.tape, entry.node, entry.value.p, entry.value.n) == TAKEN:
                    entry = &self.tape.entries[i]
                    entry.what = SPAN
                    entry.value.n = self.tape.count - first
                    entry.value.number = first
            i += 1
        return 0

    cdef Plan* _plan(self, Look* look) except NULL nogil:
        """The plan for the record's kind of event, before any condition is asked."""
        cdef const Entry* provider = NULL
        cdef const Entry* code = NULL
        cdef const Entry* entry
        cdef const uint8_t* p = NULL
        cdef Py_ssize_t n = 0
        cdef uint8_t[64] made
        cdef Plan* plan = self.events.plans.raw()
        cdef int i
        for i in range(look.codes):
            entry = self.tape.first(look.code_nodes[i])
            if entry is not NULL and (
                entry.what == WORD or entry.value.kind == INT or entry.value.kind == UINT
            ):
                code = entry
                break
        if code is not NULL:
            text_of(&code.value, made, &p, &n)
        elif look.code is not NULL:
            p = look.code
            n = look.code_length
        if look.vendor is not NULL:
            if p is not NULL:
                plan = self.events.plans.plan_named(look.vendor, look.vendor_length, p, n)
            if plan is self.events.plans.raw():
                plan = self.events.plans.plan_named(
                    look.vendor, look.vendor_length, <const uint8_t*><const char*>"*", 1
                )
            return plan
        for i in range(look.providers):
            entry = self.tape.first(look.provider_nodes[i])
            if entry is not NULL and entry.what == WORD:
                provider = entry
                break
        if provider is NULL or code is NULL:
            return plan
        return self.events.plans.plan_named(provider.value.p, provider.value.n, p, n)

    cdef Wrap* _wrap(self, Look* look) except NULL nogil:
        cdef Chain* chain = self.looks.chain(look, self._plan(look))
        cdef int i = 0, order
        cdef Py_ssize_t count = self.tape.count
        if chain.count > 1:
            # In the order in which a row takes them: a name that comes again is another field.
            for order in range(1, look.orders + 1):
                if self.tape.has(look.order_nodes[order]):
                    self._answer(look, 0, count, order)
            self._answer(look, 0, count, 0)
            while i < chain.count - 1 and not self._fits(look, &chain.branches[i]):
                i += 1
        return self.looks.wrap(look, &chain.branches[i])

    cdef int _answer(
        self, Look* look, Py_ssize_t first, Py_ssize_t end, int order
    ) except -1 nogil:
        """Finds the fields that conditions ask for."""
        cdef Py_ssize_t i
        cdef Act* act
        cdef int which, whole
        for i in range(first, end):
            if self.tape.entries[i].what >= SPAN:
                continue        # its values stand behind the others, or nowhere
            act = self.looks.act(look.bare, self.tape.entries[i].node)
            if act.order != order:
                continue
            for whole in range(2):
                which = act.asked_whole if whole else act.asked
                if which and look.asked[which - 1].serial != self.tape.serial:
                    look.asked[which - 1].serial = self.tape.serial
                    look.asked[which - 1].entry = <int32_t>i
        return 0

    cdef bint _fits(self, Look* look, const Branch* branch) except -1 nogil:
        cdef int i
        for i in range(branch.asks):
            if not self._holds(look, &branch.ask[i]):
                return False
        return True

    cdef bint _holds(self, Look* look, const Ask* ask) except -1 nogil:
        cdef const Asked* asked = &look.asked[ask.field]
        cdef const uint8_t* p = NULL
        cdef Py_ssize_t n = 0
        cdef uint8_t[64] made
        cdef bint fits = False
        cdef int i
        if asked.serial == self.tape.serial:
            text_of(&self.tape.entries[asked.entry].value, made, &p, &n)
        if ask.count == 0:
            fits = n > 0
        for i in range(ask.count):
            if ask.sizes[i] == n and memcmp(ask.texts[i], p, n) == 0:
                fits = True
                break
        return fits == ask.equal

    # --- clocks -------------------------------------------------------------------------------

    cdef int _times(self, Look* look) except -1 nogil:
        """Sets the row's time from the first clock of the shape that shows one, and when it was
        logged from the first of those."""
        cdef const Entry* entry
        cdef const Clock* clock
        cdef int64_t us = 0
        cdef int below = 0, kind, i = 0
        while i < look.all_times:
            clock = &look.clocks[i]
            entry = self.tape.first(clock.node)
            kind = 0
            if entry is not NULL:
                kind = self._read_clock(clock, &entry.value, &us, &below)
                if kind and entry.value.kind == TEXT:
                    # What is known of such a text beside it: that its year was inferred.
                    self.events.flag(<int>entry.value.number)
            if kind == 2 and clock.how == LOCAL:
                kind = self._zone_of(clock, &us)
            if kind == 0:
                i += 1
                continue
            if i >= look.times:
                self.events.set_logged(us)
                return 0
            if kind == 2 and clock.how != UTC:
                self.events.flag(ZONE_ASSUMED)
            self.events.set_time(us, below)
            self.events.time_desc(clock.name, clock.name_length)
            self._held(clock, us, below)
            i = look.times
        return 0

    cdef int _read_clock(
        self, const Clock* clock, const Value* value, int64_t* us, int* below
    ) except -1 nogil:
        """1: a time; 2: one without a zone; 0: none."""
        cdef const uint8_t* p = NULL
        cdef Py_ssize_t n = 0
        cdef uint8_t[64] made
        if clock.how == EPOCH:
            if value.kind != INT and value.kind != UINT and value.kind != TEXT_VALID and (
                value.kind != TEXT
            ):
                return 0
            text_of(value, made, &p, &n)
            return parse_epoch(p, n, clock.unit, us, below) != 0
        if (value.kind != TEXT_VALID and value.kind != TEXT) or value.n > LONGEST_TIME:
            if clock.how != WRITTEN:
                return 0
        if clock.how == WRITTEN:
            return self._read_written(clock, us, below)
        return parse_iso_time(value.p, value.n, us, below)

    cdef int _read_written(self, const Clock* clock, int64_t* us, int* below) except -1 nogil:
        """As _read_clock, of a time that may be put together of several members: those that are
        there, in their order."""
        cdef uint8_t[4 * LONGEST_TIME] text
        cdef uint8_t[64] made
        cdef const Entry* entry
        cdef const uint8_t* p = NULL
        cdef Py_ssize_t n = 0, size = 0
        cdef int i
        for i in range(clock.parts):
            entry = self.tape.first(clock.part_nodes[i])
            if entry is NULL:
                continue
            text_of(&entry.value, made, &p, &n)
            if size + n + 1 > 4 * LONGEST_TIME:
                return 0
            if size:
                text[size] = 32
                size += 1
            memcpy(text + size, p, n)
            size += n
        return parse_written(text, size, <Order>clock.order, us, below)

    cdef int _zone_of(self, const Clock* clock, int64_t* us) except -1 nogil:
        """Moves a local time to UTC; 0 where its zone cannot be told, though it should."""
        cdef const Entry* same = self.tape.first(clock.same)
        cdef const Entry* utc = self.tape.first(clock.utc)
        cdef int64_t a = 0, b = 0, apart, zone
        cdef int below = 0
        if same is NULL or utc is NULL or not (
            self._read_clock(clock, &same.value, &a, &below)
            and self._read_clock(clock, &utc.value, &b, &below)
        ):
            return 2
        apart = b - a
        zone = (apart + QUARTER // 2) // QUARTER * QUARTER
        # Two clocks that were read in the same moment differ by little more than the zone;
        # otherwise they say nothing about it.
        if not -QUARTER // 3 <= apart - zone <= QUARTER // 3:
            return 0
        us[0] += zone
        return 2

    cdef int _held(self, const Clock* clock, int64_t us, int below) except -1 nogil:
        """Leaves the clock's text out of `unmapped` where `time` gives back the very same."""
        cdef const Entry* entry = self.tape.first(clock.node)
        cdef uint8_t[32] made
        cdef Py_ssize_t n = 24
        if (clock.how != UTC and clock.how != ZONE) or us % 1000 != 0 or below != 0:
            return 0
        put_iso_time(made, us, 0)
        if clock.how == UTC:
            made[10] = 32
            n = 23
        else:
            made[23] = 90
        if entry.value.n == n and memcmp(entry.value.p, made, n) == 0:
            self._clock = entry - self.tape.entries
        return 0

    # --- values -------------------------------------------------------------------------------

    cdef int _pairs(
        self, Wrap* wrap, Py_ssize_t first, Py_ssize_t end, int order
    ) except -1 nogil:
        """Puts the values of one order."""
        cdef const Entry* entry
        cdef int64_t batch = (<Sheet>wrap.plan.sheet).rows.batch
        cdef Act* act
        cdef Py_ssize_t i
        for i in range(first, end):
            entry = &self.tape.entries[i]
            if entry.what == SPAN:
                self._pairs(
                    wrap, <Py_ssize_t>entry.value.number,
                    <Py_ssize_t>entry.value.number + entry.value.n, order,
                )
                continue
            act = self._acts[i]
            if act.order != order or i == self._clock or entry.what == GONE:
                continue
            if entry.what == WORD or entry.what == SCALAR:
                if not act.as_text and act.target.seen != self.events._serial:
                    self._put_once(act, &entry.value, batch)
                    continue
            elif entry.what == EMPTY and act.ahead:
                continue
            self._put(wrap, act, entry)
        return 0

    cdef inline int _put_once(self, Act* act, const Value* value, int64_t batch) except -1 nogil:
        """A value of a name that comes for the first time. Of four, three are what the name had in
        the record before: they are not looked at again (evtx_memo.pxd)."""
        cdef Item item
        if act.memo is NULL or value.n > LONGEST_KNOWN:
            return self.events.put(act.target, value)
        item.kind = value.kind
        item.p = value.p
        item.n = <int32_t>value.n
        if value.p is NULL:
            item.p = <const uint8_t*>&value.number
            item.n = 8
        if remembered(act.memo, &item, batch):
            act.target.seen = self.events._serial
            return repeat(self.events, act.memo)
        return put(self.events, act.target, &item, value, act.memo, batch, &self.looks.held)

    cdef int _put(self, Wrap* wrap, Act* act, const Entry* entry) except -1 nogil:
        """A value that is not as most are: a list, an object, or one of a name that was there."""
        cdef Target* target = act.target
        cdef int64_t number
        if (entry.what != WORD and entry.what != SCALAR) or (entry.what == WORD and act.as_text):
            target = self.looks.pair(wrap, act)
        if target.seen == self.events._serial:
            number = target.repeats if target.repeats_of == target.seen else 1
            if act.loose or number >= MOST_REPEATS:
                # Names without end are not remembered.
                target.repeats = number + 1
                target.repeats_of = target.seen
                target = self.looks.another(wrap, act, number + 1)
        return self.events.put(target, &entry.value)
