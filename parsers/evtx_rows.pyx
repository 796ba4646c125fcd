"""One decoded record to one row.

A record's kind (provider, event id, names) says which table and which columns its values go to
(events.pyx, event_plan.pyx); where a template's values go is looked up once per template.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp

from tracelake.native.cursor cimport le64
from tracelake.native.hash64 cimport hash64
from tracelake.parsers.event_plan cimport (
    CHANNEL, COMPUTER, EVENT_ID, PROVIDER, SYSTEM_FIELDS, TIME_CREATED,
)
from tracelake.parsers.evtx_plan cimport Plan, bound_to
from tracelake.parsers.evtx_templates cimport Plans
from tracelake.parsers.flags cimport NAME_GUESSED, TIME_REPAIRED
from tracelake.parsers.values cimport (
    FILETIME, INT, NOTHING, UINT, is_text, number_value, parse_number, render, room_for,
    value_time,
)

cdef enum:
    MAX_NAMES = 200000          # of values remembered; a host's logs have some thousand


cdef class EventRows:
    def __cinit__(self, mappings):
        self.mappings = mappings
        self.events = Events(mappings)
        self.event = Event(Plans())

    cdef int put(self, Walk walk) except -1 nogil:
        cdef const uint8_t* p = walk.chunk + walk.record
        cdef Kind* kind
        cdef Pair* pair
        cdef Plan* plan = NULL
        cdef void** targets = NULL
        cdef Target* target
        cdef int32_t i
        cdef int64_t event_id = -1, us = 0
        cdef int below = 0, repaired = 0
        cdef int flags = walk.record_flags
        cdef Value* v = &self.event.system[PROVIDER]
        cdef Value when
        cdef const uint8_t* text
        cdef Py_ssize_t n
        text = v.p
        n = v.n
        if v.kind != 2:         # TEXT_VALID: a literal of the template
            text = self.event._room(room_for(v))
            n = render(v, <uint8_t*>text, &repaired)
            self.event.arena_used += n
        v = &self.event.system[EVENT_ID]
        if v.kind == UINT or v.kind == INT:
            event_id = <int64_t>v.number
        elif is_text(v):
            event_id = self.number_of(v)
        if self.event.guessed:
            flags |= NAME_GUESSED
        kind = self.events.plans.plan(text, n, event_id)
        if kind.when is not NULL:
            kind = self.fitting(kind)
        self.events.begin(kind)
        for i in range(SYSTEM_FIELDS):
            v = &self.event.system[i]
            if v.kind == NOTHING:
                continue
            if (
                i == TIME_CREATED and v.kind == FILETIME and kind.system[i].count == 1
                and kind.system[i].outputs[0].choice is NULL
                and value_time(v, &us, &below)
            ):
                # What `system` comes to; it would also write the text of the time, twice, to
                # see that nothing is lost. A FILETIME loses nothing (and it was 6 % of all time).
                self.events.set_time(us, below)
            else:
                self.events.system(i, v)
        if self.events.at.has_time:
            self.note_time(self.events.at.time)
        else:
            # Only the record's header says when: the second-best clock.
            when = number_value(FILETIME, le64(p + 16))
            if value_time(&when, &us, &below):
                self.events.set_time(us, below)
                flags |= TIME_REPAIRED
                self.note_time(us)
        for i in range(self.event.count):
            pair = &self.event.pairs[i]
            if pair.op < 0 or pair.plan.number < 0:
                target = self.target(kind, pair)
            else:
                if pair.plan is not plan:
                    plan = pair.plan
                    targets = bound_to(plan, kind)
                target = <Target*>targets[pair.op]
                if target is NULL:
                    target = self.target(kind, pair)
                    targets[pair.op] = target
            self.events.put(target, &pair.value)
        self.note_record(le64(p + 8))
        return self.events.end(
            walk.origin + walk.record, walk.size, 0, flags,
            0 if self.events.is_canonical() else hash64(p, walk.size, 0),
        )

    cdef Kind* fitting(self, Kind* kind) except NULL nogil:
        cdef const Value* value
        cdef const Pair* pair
        cdef int32_t i
        while kind.when is not NULL:
            value = NULL
            for i in range(self.event.count):
                pair = &self.event.pairs[i]
                if pair.name_length == kind.when.field_length and memcmp(
                    pair.name, kind.when.field, pair.name_length
                ) == 0:
                    value = &pair.value
                    break
            if self.events.fits(kind, value):
                break
            kind = self.events.plans.otherwise(kind)
        return kind

    cdef int64_t number_of(self, const Value* v) except? -2 nogil:
        cdef uint8_t* text = self.event._room(room_for(v))
        cdef int repaired = 0
        cdef int64_t number = -1
        if not parse_number(text, render(v, text, &repaired), &number):
            return -1
        return number

    cdef int note_time(self, int64_t us) except -1 nogil:
        if not self.has_times:
            self.has_times = True
            self.first_time = us
            self.last_time = us
        elif us < self.first_time:
            self.first_time = us
        elif us > self.last_time:
            self.last_time = us
        return 0

    cdef int note_record(self, uint64_t number) except -1 nogil:
        if not self.has_ids:
            self.has_ids = True
            self.first_id = number
            self.highest_id = number
            with gil:
                self.host = self.text_of(&self.event.system[COMPUTER])
                self.channel = self.text_of(&self.event.system[CHANNEL])
        elif number < self.first_id:
            self.first_id = number
        elif number > self.highest_id:
            self.highest_id = number
        self.count += 1
        return 0

    cdef text_of(self, const Value* v):
        cdef int repaired = 0
        room = bytearray(room_for(v) + 1)
        cdef uint8_t[::1] view = room
        return bytes(room[:render(v, &view[0], &repaired)]).decode() or None

    def take(self, everything=False):
        """Batches that are full, or all."""
        return self.events.take(everything)

    def forget(self):
        """Yields all batches and forgets all names, where there are too many: names that are
        data, or hostile."""
        if self.names > MAX_NAMES:
            yield from self.events.take(True)
            self.event.plans.forget()
            self.events = Events(self.mappings)
            self.names = 0

    cdef Target* target(self, Kind* kind, const Pair* pair) except NULL nogil:
        cdef Py_ssize_t known = kind.names.count
        cdef Target* target = self.events.plans.target(kind, pair.name, pair.name_length)
        self.names += kind.names.count - known
        return target
