"""One decoded record to one row.

A record's kind (provider, event id, names) says which table and which columns its values go to
(events.pyx, event_plan.pyx); where a template's values go is looked up once per template.
"""

import os

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from tracelake.native.columns cimport IntColumn, TextColumn
from tracelake.native.cursor cimport Cursor, le16, le64, span
from tracelake.native.hash64 cimport hash64, keyed64, spread_secret
from tracelake.native.text cimport put_uint
from tracelake.parsers.event_plan cimport (
    CHANNEL, COMPUTER, EVENT_ID, K_TEXT, LEVEL, PROVIDER, RECORD_ID, SYSTEM_FIELDS, TIME_CREATED,
    W_NUMBER, W_TEXT, Output, Sheet,
)
from tracelake.parsers.evtx_compile cimport Instance
from tracelake.parsers.evtx_event cimport pair_name
from tracelake.parsers.evtx_frame cimport (
    FRAMES, NESTED, Frame, Step, capture, frame_fits, frame_place,
)
from tracelake.parsers.evtx_item cimport TYPE_FILETIME, TYPE_NULL, is_uint, uint_of
from tracelake.parsers.evtx_memo cimport apply_effect, put, recalled, repeat
from tracelake.parsers.evtx_plan cimport bound_to
from tracelake.parsers.evtx_templates cimport Plans
from tracelake.parsers.evtx_walk cimport RECORD_HEADER, RECORD_LEAST
from tracelake.parsers.flags cimport NAME_GUESSED, TIME_REPAIRED
from tracelake.parsers.values cimport (
    FILETIME, INT, TEXT_VALID, UINT, UTF16, is_text, number_value, parse_number, render, room_for,
    value_time,
)

cdef enum:
    MAX_KEPT = 2
    MAX_TOPICS = 4096          # a host's logs have some hundred


# For the next log: to make them takes as long as to read a small log.
cdef list _KEPT = []


cdef class EventRows:
    def __cinit__(self, mappings):
        self.mappings = mappings
        if _KEPT and _KEPT[-1][0] is mappings:
            _, self.events, self.names = _KEPT.pop()
        else:
            self.events = Events(mappings)
        self.event = Event(Plans())
        spread_secret(int.from_bytes(os.urandom(8), "little"), self.secret)

    def __dealloc__(self):
        cdef int i
        self.forget_topics()
        for i in range(FRAMES):
            free(self.frames[i])

    cdef int read(self, Walk walk) except -1 nogil:
        cdef Cursor content = span(
            walk.chunk + walk.record + RECORD_HEADER, walk.size - RECORD_LEAST,
            walk.origin + walk.record + RECORD_HEADER,
        )
        cdef int done = self.replay(walk, content)
        if done:
            return done - 1
        self.event.decode(content)
        return self.put(walk)

    cdef int replay(self, Walk walk, Cursor content) except -1 nogil:
        cdef Plan* plan = self.event.open(content)
        cdef const Instance* top = &self.event.top
        cdef Frame* frame
        cdef Kind* kind
        cdef Memo* memos
        cdef const Step* step
        cdef Item item
        cdef Py_ssize_t size
        cdef int i
        # Of the first record, host and channel are noted.
        if plan is NULL or top.count < 3 or top.size < 8 or not self.has_ids:
            return 0
        frame = self.frames[frame_place(plan, top)]
        if frame is NULL or not frame_fits(frame, plan, top):
            return 0
        size = frame.size
        if frame.nests:
            size += le16(top.descriptors + frame.described)
        # Behind the values the fragment ends.
        if size > top.size or (size < top.size and top.values[size] & 0x0F):
            return 0
        if plan.pairs:
            self.event.pair_plans = 1
            self.event.first = plan
            self.event.last = plan
        for i in range(frame.pair_count):
            step = &frame.pairs[i]
            item.p = step.literal if step.literal is not NULL else top.values + step.at
            item.n = step.n
            item.kind = step.kind
            if step.slot == NESTED:
                item.n = <int32_t>(size - frame.size)
                self.event.nested(plan, step.op, &item)
            else:
                self.event.add_pair(plan, step.op, &item)
        self.event.end_record()
        kind = (<Topic*>frame.topic).kind
        if kind.when is not NULL:
            kind = self.fitting(kind)
            if kind is not frame.kind:
                return 0
        frame.hits = 1
        self.events.begin(kind)
        for i in range(frame.effect_count):
            apply_effect(&frame.effects[i], self.events.at.row)
        if frame.level >= 0:
            self.events.at.level = frame.level
        memos = frame.bound.memos
        for i in range(frame.field_count):
            step = &frame.fields[i]
            item.p = top.values + step.at
            item.n = step.n
            item.kind = step.kind
            self.field(kind, step.slot, &item, &memos[step.op], frame.batch)
        return 1 + self.pairs(walk, kind, frame.owner, frame.batch, frame)

    cdef int put(self, Walk walk) except -1 nogil:
        cdef Kind* kind
        cdef Topic* topic
        cdef void* owner
        cdef int64_t event_id = -1, batch
        cdef const Item* item = &self.event.system[EVENT_ID]
        cdef Value value
        if is_uint(item):
            event_id = <int64_t>uint_of(item)
        else:
            self.event.value(item, &value)
            if value.kind == INT:
                event_id = <int64_t>value.number
            elif is_text(&value):
                event_id = self.number_of(&value)
        self.event.value(&self.event.system[PROVIDER], &value)
        topic = self.topic(&value, event_id)
        if topic is not NULL:
            kind = topic.kind
            owner = topic
        else:
            kind = self.kind(&value, event_id)
            owner = kind
        if kind.when is not NULL:
            kind = self.fitting(kind)
            owner = kind
        self.events.begin(kind)
        batch = (<Sheet>kind.sheet).rows.batch
        self.system(kind, owner, batch)
        if topic is not NULL and self.event.top.count >= 3 and self.event.top.size >= 8 and (
            self.event.tops == 1
        ):
            capture(
                &self.frames[frame_place(self.event.top_plan, &self.event.top)], self.event,
                kind, owner, topic, batch,
            )
        return self.pairs(walk, kind, owner, batch, NULL)

    cdef int pairs(
        self, Walk walk, Kind* kind, void* owner, int64_t batch, Frame* frame
    ) except -1 nogil:
        """Puts the pairs, and ends the row, of which System is there."""
        cdef const uint8_t* p = walk.chunk + walk.record
        cdef Pair* pair
        cdef Plan* plan = NULL
        cdef Bound* bound = NULL
        cdef Target* target
        cdef int32_t i
        cdef int64_t us = 0
        cdef int below = 0, flags = walk.record_flags
        cdef Memo* memo
        cdef Memo* known
        cdef Value value
        if self.events.at.has_time:
            self.note_time(self.events.at.time)
        else:
            # Only the record's header says when: the second-best clock.
            value = number_value(FILETIME, le64(p + 16))
            if value_time(&value, &us, &below):
                self.events.set_time(us, below)
                flags |= TIME_REPAIRED
                self.note_time(us)
        for i in range(self.event.count):
            pair = &self.event.pairs[i]
            if pair.op < 0 or pair.plan.number < 0:
                self.event.value(&pair.item, &value)
                self.events.put(self.target(kind, pair), &value)
                continue
            if pair.plan is not plan:
                plan = pair.plan
                if frame is NULL:
                    bound = bound_to(plan, owner, &self.event.plans.held)
                elif frame.plan == plan.number:
                    bound = frame.bound
                else:
                    if frame.inner != plan.number:
                        frame.inner_bound = bound_to(plan, owner, &self.event.plans.held)
                        frame.inner = plan.number
                    bound = frame.inner_bound
            memo = NULL
            if bound.memos is not NULL:
                memo = &bound.memos[pair.op]
                known = recalled(memo, &pair.item, batch)
                if known is not NULL:
                    repeat(self.events, known)
                    continue
            target = <Target*>bound.targets[pair.op]
            if target is NULL:
                target = self.target(kind, pair)
                bound.targets[pair.op] = target
            self.meet(target, memo, &pair.item, batch)
        self.note_record(le64(p + 8))
        if self.event.guessed:
            flags |= NAME_GUESSED
        return self.events.end(
            walk.origin + walk.record, walk.size, 0, flags,
            0 if self.events.is_canonical() else hash64(p, walk.size, 0),
        )

    cdef int meet(
        self, Target* target, Memo* memo, const Item* item, int64_t batch
    ) except -1 nogil:
        """A value that is not what it was the last time."""
        cdef Value value
        cdef bint guessed = self.event.guessed
        self.event.guessed = False
        self.event.value(item, &value)
        if memo is NULL or self.event.guessed:
            self.events.put(target, &value)
        else:
            put(self.events, target, item, &value, memo, batch, &self.event.plans.held)
        self.event.guessed = self.event.guessed or guessed
        return 0

    cdef int give_up(self) except -1:
        """Takes back what was put of a record that could not be read to its end."""
        return self.events.give_up()

    cdef Kind* kind(self, const Value* provider, int64_t event_id) except NULL nogil:
        """The plan of a provider's events of an id; where it has a condition, the first of them."""
        cdef int repaired = 0
        cdef uint8_t* text = self.event._room(room_for(provider))
        cdef Py_ssize_t n = render(provider, text, &repaired)
        self.event.arena_used += n
        return self.events.plans.plan(text, n, event_id)

    cdef Topic* topic(self, const Value* provider, int64_t event_id) except? NULL nogil:
        """What is remembered of a provider's events of an id; NULL: nothing is.

        The provider mostly is a value of a template that all providers share: decoded and looked
        up for each record, it was a twentieth of the time. As owner of what is bound to that
        template, it also keeps the memos of one provider from those of another.
        """
        cdef Py_ssize_t n = 2 * provider.n if provider.kind == UTF16 else provider.n
        cdef Topic** link
        cdef Topic* known
        cdef uint64_t h
        if n > MAX_PROVIDER or n == 0 or (provider.kind != UTF16 and provider.kind != TEXT_VALID):
            return NULL
        h = keyed64(provider.p, n, self.secret) + <uint64_t>event_id * self.secret[0]
        link = &self.topics[(h >> 32) & (TOPICS - 1)]
        known = link[0]
        while known is not NULL:
            if (
                known.event_id == event_id and known.n == n and known.encoding == provider.kind
                and memcmp(known.provider, provider.p, n) == 0
            ):
                return known
            known = known.next
        if self.topic_count >= MAX_TOPICS:
            return NULL
        known = <Topic*>calloc(1, sizeof(Topic))
        if known is NULL:
            return NULL
        known.event_id = event_id
        known.n = n
        known.encoding = provider.kind
        memcpy(known.provider, provider.p, n)
        known.next = link[0]
        link[0] = known
        self.topic_count += 1
        known.kind = self.kind(provider, event_id)
        return known

    cdef int forget_topics(self) noexcept nogil:
        cdef Topic* known
        cdef int i
        for i in range(TOPICS):
            while self.topics[i] is not NULL:
                known = self.topics[i]
                self.topics[i] = known.next
                free(known)
        self.topic_count = 0
        for i in range(FRAMES):
            if self.frames[i] is not NULL:
                self.frames[i].plan = -1
        return 0

    cdef int system(self, Kind* kind, void* owner, int64_t batch) except -1 nogil:
        """Puts the fields of System."""
        cdef Bound* bound = NULL
        cdef Plan* plan = self.event.system_plan
        cdef const Item* item
        cdef Memo* memo
        cdef int i
        if plan is not NULL and plan.number >= 0:
            bound = bound_to(plan, owner, &self.event.plans.held)
        for i in range(SYSTEM_FIELDS):
            item = &self.event.system[i]
            if item.kind == TYPE_NULL:
                continue
            memo = NULL
            if bound is not NULL and bound.memos is not NULL and self.event.system_op[i] >= 0:
                memo = &bound.memos[self.event.system_op[i]]
            self.field(kind, i, item, memo, batch)
        return 0

    cdef int field(
        self, Kind* kind, int i, const Item* item, Memo* memo, int64_t batch
    ) except -1 nogil:
        """Puts a field of System."""
        cdef Target* target = kind.system[i]
        cdef Memo* known
        cdef Value value
        cdef uint64_t number
        cdef int64_t us = 0
        cdef int below = 0
        if is_uint(item) and target.count and target.outputs[0].transform == W_NUMBER:
            number = uint_of(item)
            if i == RECORD_ID:
                return self.record_id(target, number)
            if target.count == 1 and number <= <uint64_t>target.outputs[0].high:
                (<IntColumn>target.outputs[0].column).put(self.events.at.row, <int64_t>number)
                if i == LEVEL:
                    self.events.at.level = <int64_t>number
                return 0
        elif i == TIME_CREATED and item.kind == TYPE_FILETIME and item.n == 8:
            value = number_value(FILETIME, le64(item.p))
            if value_time(&value, &us, &below):
                # What `put` comes to; it would also write the text of the time, twice, to see
                # that nothing is lost. A FILETIME loses nothing (and it was 6 % of all time).
                return self.events.set_time(us, below)
        if memo is not NULL:
            known = recalled(memo, item, batch)
            if known is not NULL:
                return repeat(self.events, known)
        return self.meet(target, memo, item, batch)

    cdef int record_id(self, Target* target, uint64_t number) except -1 nogil:
        """The record's number, which stands in two columns: as number and as text."""
        cdef Py_ssize_t row = self.events.at.row
        cdef Output* text = &target.outputs[1]
        cdef uint8_t* room
        cdef Value value
        if target.count != 2 or number >> 63 or text.kind != K_TEXT or text.transform != W_TEXT:
            value = number_value(UINT, number)
            return self.events.put(target, &value)
        (<IntColumn>target.outputs[0].column).put(row, <int64_t>number)
        self.events.at.record_id = <int64_t>number
        self.events.at.has_record_id = True
        room = (<TextColumn>text.column).room(row, 20)
        return (<TextColumn>text.column).wrote(put_uint(room, number))

    cdef Kind* fitting(self, Kind* kind) except NULL nogil:
        cdef Value value
        cdef const Pair* pair
        cdef const uint8_t* name
        cdef int32_t i, n = 0
        cdef bint found
        while kind.when is not NULL:
            found = False
            for i in range(self.event.count):
                pair = &self.event.pairs[i]
                name = pair_name(pair, &n)
                if n == kind.when.field_length and memcmp(name, kind.when.field, n) == 0:
                    self.event.value(&pair.item, &value)
                    found = True
                    break
            if self.events.fits(kind, &value if found else NULL):
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

    cdef text_of(self, const Item* item):
        cdef int repaired = 0
        cdef Value value
        self.event.value(item, &value)
        room = bytearray(room_for(&value) + 1)
        cdef uint8_t[::1] view = room
        return bytes(room[:render(&value, &view[0], &repaired)]).decode() or None

    def keep(self):
        """Leaves the columns and what is known of names to the next log; when all is taken.
        Templates are not left: what a broken one is read as must not depend on other logs."""
        if len(_KEPT) < MAX_KEPT:
            _KEPT.append((self.mappings, self.events, self.names))

    def take(self, everything=False):
        """Batches that are full, or all."""
        return self.events.take(everything)

    def stand(self):
        """What is left, in columns that the next log goes on with: (table, Stretch)."""
        return self.events.stand()

    def drop(self):
        """Takes back the rows that were not taken: the log could not be read to its end."""
        self.events.drop()

    def forget(self):
        """Yields all batches and forgets all names, where there are too many: names that are
        data, or hostile."""
        if self.names > MAX_NAMES:
            yield from self.events.take(True)
            self.event.plans.forget()
            self.forget_topics()
            self.events = Events(self.mappings)
            self.names = 0

    cdef Target* target(self, Kind* kind, const Pair* pair) except NULL nogil:
        cdef Py_ssize_t known = kind.names.count
        cdef int32_t n = 0
        cdef const uint8_t* name = pair_name(pair, &n)
        cdef Target* target = self.events.plans.target(kind, name, n)
        self.names += kind.names.count - known
        return target
