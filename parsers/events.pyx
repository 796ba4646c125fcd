"""Events into rows: begin, put each named value, end (see events.pxd).

The one engine behind event logs and JSON: both hand over named values, and
`normalize/mapping.py` says (and explains) what becomes of them and when a pair also stands in
`unmapped`. event_plan is that mapping, compiled; transforms fills one column.

`proc_uid` of processes without an id of their own is `host:pid:time`, readable and without a
hash: nothing can collide, and it costs no SHA-1 a row.
"""

from cpython.ref cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

from tracelake.native.columns cimport Buffer, DictColumn, IntColumn, Rows, TextColumn
from tracelake.native.hash64 cimport hash64
from tracelake.native.key cimport Key, key_of
from tracelake.native.text cimport put_int, utf8_valid
from tracelake.parsers.event_plan import SYSTEM
from tracelake.parsers.event_plan cimport (
    K_WORD, W_GUID, W_NUMBER, W_PATH_JOIN, W_TEXT, Choice, Condition, EventPlans, Output, Plan, Sheet, Target,
)
from tracelake.parsers.flags cimport TEXT_REPAIRED
from tracelake.parsers.transforms cimport (
    EXACT, NOT, ProcessUid, counts_as_unset, fill, set_time,
)
from tracelake.parsers.values cimport (
    GUID, INT, NOTHING, TEXT, TEXT_VALID, UINT, UTF16, Value, is_unset, raw_size, render,
    room_for, value_of,
)

cdef extern from * nogil:
    """
    #if defined(__GNUC__)
    #define TL_PREFETCH(place) __builtin_prefetch(place)
    #else
    #define TL_PREFETCH(place) ((void)(place))
    #endif
    """
    void prefetch "TL_PREFETCH"(const void* place)

# Windows' Level -> OCSF severity_id; levels beyond have none.
cdef int[6] SEVERITY = [1, 5, 4, 3, 1, 1]


cdef enum:
    CROWD_EVENTS = 4096         # after so many it is looked
    CROWD_BYTES = 128 << 20     # of rows of all tables


cdef Py_ssize_t _bytes_of(Rows rows) except -1:
    """About what rows weigh in memory."""
    return rows.weight.bytes + 6 * rows.count * len(rows.columns)


cdef class Events:
    """Rows of events, in the tables that a mapping names.

    Args:
        mappings: normalize.mapping.Mappings.
    """

    def __cinit__(self, mappings):
        self.plans = EventPlans(mappings)
        self._text = Buffer()
        self._waiting = Buffer()
        self._path = Buffer()
        self.at.uid = self._uids

    # --- one event ----------------------------------------------------------------------------

    cdef int begin(self, Plan* plan) except -1 nogil:
        cdef int i
        self.at.plan = plan
        self._sheet = plan.sheet
        self.at.row = (<Sheet>plan.sheet).rows.count
        self._serial += 1
        self._pairs = -1
        self.at.flags = 0
        self._waits = 0
        self._lates = 0
        self._later = False
        self.at.has_time = False
        self.at.has_logged = False
        self.at.has_record_id = False
        self.at.level = -1
        self.at.uids = 0
        self._joins = 0
        for i in range(plan.constants):
            (<IntColumn>plan.constant_columns[i]).put(self.at.row, plan.constant_values[i])
        for i in range(plan.words):
            (<DictColumn>plan.word_columns[i]).put_valid(
                self.at.row, plan.word_texts[i], plan.word_sizes[i]
            )
        return 0

    cdef bint fits(self, Plan* plan, const Value* value) except -1 nogil:
        """Whether an event is of those that `plan` is for.

        Args:
            plan: one with a condition.
            value: of the field that the condition names; NULL: the event does not have it.
        """
        cdef Condition* when = plan.when
        cdef const uint8_t* p = NULL
        cdef Py_ssize_t n = 0
        cdef int i
        if value is not NULL:
            self._view(value, &p, &n)
        if when.count == 0:
            return (n > 0) == when.equal
        for i in range(when.count):
            if when.sizes[i] == n and memcmp(when.texts[i], p, n) == 0:
                return when.equal
        return not when.equal

    cdef int put(self, Target* target, const Value* value) except -1 nogil:
        """A named value of the event at hand. A name that comes again is a pair of its own."""
        cdef const uint8_t* p = NULL
        cdef Py_ssize_t n = 0
        cdef int i, filled
        cdef bint waits = False, joins = False, exact = False, answered = False
        cdef Output* out
        if target.seen == self._serial:
            target = self.plans.again(target, self._serial)
        target.seen = self._serial
        if target.count == 0:
            return self._pair(target, value)
        if is_unset(value):
            return self._pair(target, value)
        if target.count == 1 and target.outputs[0].choice is NULL and not target.kept:
            out = target.outputs
            if out.transform == W_TEXT or (
                # Windows' own form of it; as text it would be read digit by digit.
                out.transform == W_GUID and value.kind == GUID and value.n == 16
            ):
                return self._copy(out, value)
            if out.transform == W_NUMBER and (value.kind == UINT or value.kind == INT):
                filled = fill(&self.at, out, value, NULL, 0)
                return 0 if filled == EXACT else self._pair(target, value)
        self._view(value, &p, &n)
        for i in range(target.count):
            out = &target.outputs[i]
            if out.choice is not NULL:
                self._candidate(target, out, value)
                waits = True
                continue
            if out.transform == W_PATH_JOIN and self._join_later(target, out, value):
                joins = True
                continue
            filled = fill(&self.at, out, value, p, n)
            # Of several columns the first that has a value is asked for the field's text.
            if filled != NOT and out.answers and not answered:
                answered = True
                exact = filled == EXACT
        if exact and not target.kept:
            target.held = self._serial
        elif not waits and not joins:
            return self._pair(target, value)
        return 0

    cdef int _copy(self, Output* out, const Value* v) except -1 nogil:
        """The text as it is, made in place."""
        cdef int repaired = 0
        if out.kind == K_WORD:
            return self._word(<DictColumn>out.column, self.at.row, v)
        if v.kind == UTF16:
            repaired = (<TextColumn>out.column).put_utf16(self.at.row, v.p, v.n)
        elif v.kind == TEXT:
            repaired = (<TextColumn>out.column).put(self.at.row, v.p, v.n)
        else:
            (<TextColumn>out.column).wrote(
                render(v, (<TextColumn>out.column).room(self.at.row, room_for(v)), &repaired)
            )
        if repaired == 1:
            self.at.flags |= TEXT_REPAIRED
        return 0

    cdef int _view(self, const Value* v, const uint8_t** p, Py_ssize_t* n) except -1 nogil:
        """The value's text, in place where it can be; 1 where it had to be repaired."""
        cdef int repaired = 0
        if v.kind == TEXT_VALID or (v.kind == TEXT and utf8_valid(v.p, v.n) == v.n):
            p[0] = v.p
            n[0] = v.n
            return 0
        self._text.length = 0
        self._text.reserve(room_for(v))
        n[0] = render(v, self._text.data, &repaired)
        p[0] = self._text.data
        if repaired:
            self.at.flags |= TEXT_REPAIRED
        return repaired

    cdef int _pair(self, Target* target, const Value* v) except -1 nogil:
        """A pair of `unmapped`."""
        cdef Py_ssize_t at = self._pairs
        if at < 0:
            at = (<Sheet>self._sheet).unmapped.open(self.at.row)
        if target.key_batch != (<Sheet>self._sheet).rows.batch:
            target.key = (<Sheet>self._sheet).unmapped.keys.code(target.name, target.name_length)
            target.key_batch = (<Sheet>self._sheet).rows.batch
        (<Sheet>self._sheet).unmapped.keys.put_code(at, target.key)
        self._pairs = at + 1
        if v.kind == NOTHING:
            return 0
        if self._later:
            return self._defer((<Sheet>self._sheet).unmapped.values, at, v)
        return self._word((<Sheet>self._sheet).unmapped.values, at, v)

    cdef int _word(self, DictColumn column, Py_ssize_t row, const Value* v) except -1 nogil:
        """A value's text into a dictionary."""
        cdef Key key = _key(column, v)
        cdef int32_t code = column.recall(&key)
        if code < 0:
            code = self._first(column, &key, v)
        return column.put_code(row, code)

    cdef int32_t _first(self, DictColumn column, const Key* key, const Value* v) except -1 nogil:
        """The code of a value that was not met in this batch."""
        cdef const uint8_t* p = NULL
        cdef Py_ssize_t n = 0
        cdef int32_t code
        if self._view(v, &p, &n):
            column.words.repairs += 1
            return column.code(p, n)        # not learnt: the next one is to be flagged too
        code = column.code(p, n)
        column.learn(key, code)
        return code

    cdef int _defer(
        self, DictColumn values, Py_ssize_t at, const Value* v
    ) except -1 nogil:
        """Puts a pair's value when the event ends. The tables of a log with some ten thousand
        words do not stay in the cache: looked up one after the other, each value waits for
        memory; asked for first, all of an event's are on their way together."""
        cdef Late* late
        if self._lates == LATES:
            self._look_up(values)
        late = &self._late[self._lates]
        self._lates += 1
        late.at = at
        late.value = v[0]
        late.key = _key(values, v)
        prefetch(values.slot(&late.key))
        return values.put_code(at, 0)

    cdef int _look_up(self, DictColumn values) except -1 nogil:
        cdef Late* late
        cdef int32_t code
        cdef int i
        for i in range(self._lates):
            late = &self._late[i]
            code = values.recall(&late.key)
            if code < 0:
                code = self._first(values, &late.key, &late.value)
            values.at[late.at] = code
        self._lates = 0
        return 0

    # --- columns with several fields to choose from -------------------------------------------

    cdef int _candidate(self, Target* target, Output* out, const Value* v) except -1 nogil:
        cdef Choice* choice = out.choice
        cdef int i
        if choice.serial != self._serial:
            choice.serial = self._serial
            for i in range(choice.count):
                choice.waiting[i] = -1
        if self._waits == 0 or self._waited(self._waits - 1).target != target:
            self._waiting.length = 0
            self._waiting.reserve((self._waits + 1) * <Py_ssize_t>sizeof(Waiting))
            self._waited(self._waits).target = target
            self._waited(self._waits).value = v[0]
            self._waits += 1
        choice.waiting[out.rank] = self._waits - 1
        return 0

    cdef inline Waiting* _waited(self, int i) noexcept nogil:
        return (<Waiting*>self._waiting.data) + i

    cdef int _choose(self) except -1 nogil:
        """Fills the columns that have several fields to choose from, when all fields are in."""
        cdef const uint8_t* p = NULL
        cdef Py_ssize_t n = 0
        cdef int i, rank, filled, taken, others
        cdef Choice* choice
        cdef Output* out
        cdef Waiting* one
        for i in range(self.at.plan.choices):
            choice = self.at.plan.choice[i]
            if choice.serial != self._serial:
                continue
            taken = -1
            others = 0
            filled = NOT
            for rank in range(choice.count):
                if choice.waiting[rank] < 0:
                    continue
                out = choice.outputs[rank]
                one = self._waited(choice.waiting[rank])
                self._view(&one.value, &p, &n)
                if counts_as_unset(out, p, n):
                    continue
                if taken >= 0:
                    others += 1
                    continue
                filled = fill(&self.at, out, &one.value, p, n)
                if filled == NOT:
                    others += 1
                else:
                    taken = rank
            if taken == 0 and filled == EXACT and others == 0:
                one = self._waited(choice.waiting[0])
                if not one.target.kept:
                    one.target.held = self._serial
        for i in range(self._waits):
            one = self._waited(i)
            if one.target.held != self._serial:
                self._pair(one.target, &one.value)
        return 0

    # --- the row ------------------------------------------------------------------------------

    cdef int set_time(self, int64_t us, int below_ns) except -1 nogil:
        """When the event happened: microseconds since 1970 UTC, nanoseconds below (0-999)."""
        set_time(&self.at, us, below_ns)
        return 0

    cdef int set_logged(self, int64_t us) except -1 nogil:
        self.at.has_logged = True
        self.at.logged = us
        return 0

    cdef int time_desc(self, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        return (<Sheet>self._sheet).time_desc.put_valid(self.at.row, p, n)

    cdef int keep_raw(self, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        """The record's own bytes, in the row."""
        return (<Sheet>self._sheet).raw.put(self.at.row, p, n)

    cdef int _join_later(self, Target* target, Output* out, const Value* v) except -1 nogil:
        """1 where the path is made when the row ends, 0 where there are too many."""
        if self._joins == JOINS:
            return 0
        self._join[self._joins] = Join(target, out, v[0])
        self._joins += 1
        return 1

    cdef int _join_paths(self) except -1 nogil:
        """Fills the columns that are a folder and a name in it; a folder that is not to be told
        from them is a pair, too."""
        cdef const uint8_t* name = NULL
        cdef const uint8_t* p = NULL
        cdef uint8_t* room
        cdef Py_ssize_t size, n = 0
        cdef Join* one
        cdef Output* out
        cdef int i, k
        cdef bint waits
        for i in range(self._joins):
            one = &self._join[i]
            out = one.output
            self._view(&one.value, &p, &n)
            size = _text_at(out, self.at.row, &name)
            if size <= 0 or _ends_with(p, n, name, size):
                if out.kind == K_WORD:
                    (<DictColumn>out.column).put_valid(self.at.row, p, n)
                else:
                    (<TextColumn>out.column).put_valid(self.at.row, p, n)
                if not one.target.kept:
                    one.target.held = self._serial
                continue
            room = self._room(n + size + 1)
            memcpy(room, p, n)
            if p[n - 1] != 92 and p[n - 1] != 47:
                room[n] = 47 if p[0] == 47 else 92
                n += 1
            memcpy(room + n, name, size)
            if out.kind == K_WORD:
                (<DictColumn>out.column).put_valid(self.at.row, room, n + size)
            else:
                (<TextColumn>out.column).put_valid(self.at.row, room, n + size)
            waits = one.target.held == self._serial
            for k in range(self._waits):
                waits |= self._waited(k).target == one.target
            if not waits:
                self._pair(one.target, &one.value)
        return 0

    cdef uint8_t* _room(self, Py_ssize_t n) except NULL nogil:
        self._path.length = 0
        self._path.reserve(n)
        return self._path.data

    cdef int _process_uids(self) except -1 nogil:
        cdef uint8_t* room
        cdef const uint8_t* host = NULL
        cdef Py_ssize_t n = _word_at((<Sheet>self._sheet).device_hostname, self.at.row, &host), i
        cdef Py_ssize_t size
        cdef ProcessUid* uid
        cdef int64_t time
        cdef int k
        if n <= 0:
            return 0
        for k in range(self.at.uids):
            uid = &self.at.uid[k]
            if uid.time is NULL:
                if not self.at.has_time:
                    continue
                time = self.at.time
            elif (<IntColumn>uid.time).length == self.at.row + 1:
                time = (<int64_t*>(<IntColumn>uid.time).at)[self.at.row]
            else:
                continue
            room = (<TextColumn>uid.column).room(self.at.row, n + 48)
            for i in range(n):
                room[i] = host[i] | 32 if 65 <= host[i] <= 90 else host[i]
            room[n] = 58
            size = n + 1 + put_int(room + n + 1, uid.pid)
            room[size] = 58
            size += 1 + put_int(room + size + 1, time)
            (<TextColumn>uid.column).wrote(size)
        return 0

    cdef uint64_t _canonical(self) except? 0 nogil:
        """Hash of what every copy of a log's record has in common, however it was shipped: log,
        host (ASCII letters in lower case), event code, record number, second of logging."""
        cdef uint8_t[16] numbers
        cdef uint64_t h
        cdef int64_t second, batch = (<Sheet>self._sheet).rows.batch
        cdef int32_t log_name = _code_at((<Sheet>self._sheet).log_name, self.at.row)
        cdef int32_t host = _code_at((<Sheet>self._sheet).device_hostname, self.at.row)
        cdef int32_t event_code = _code_at((<Sheet>self._sheet).event_code, self.at.row)
        cdef Origin* known = &self._origins[
            (log_name * 31 + host * 7 + event_code) & (ORIGINS - 1)
        ]
        if (
            known.batch != batch or known.sheet is not self._sheet or known.host != host
            or known.event_code != event_code or known.log_name != log_name
        ):
            # A log has few of them, and three texts to fold and hash were 4 % of its time.
            h = _fold((<Sheet>self._sheet).log_name, self.at.row, 1)
            h = _fold((<Sheet>self._sheet).device_hostname, self.at.row, h)
            h = _fold((<Sheet>self._sheet).event_code, self.at.row, h)
            known[0] = Origin(self._sheet, batch, log_name, host, event_code, h)
        h = known.hash
        second = (self.at.logged if self.at.has_logged else self.at.time) // 1000000
        memcpy(numbers, &self.at.record_id, 8)
        memcpy(numbers + 8, &second, 8)
        return hash64(numbers, 16, h)

    cdef int end(
        self, int64_t offset, int64_t length, int64_t sub, int flags, uint64_t own_hash
    ) except -1 nogil:
        """Ends the row.

        `record_hash` is the canonical hash where the record has a number, a time, a log and a
        host, so that the same event read from a log file and from JSON has the same one; else
        `own_hash`, the parser's hash of the record's own bytes.
        """
        cdef Py_ssize_t row = self.at.row
        cdef PyObject* column
        cdef int i
        if self._lates:
            self._look_up((<Sheet>self._sheet).unmapped.values)
        if self._joins:
            self._join_paths()
        if self._waits:
            self._choose()
        if self.at.uids:
            self._process_uids()
        if self._pairs >= 0:
            (<Sheet>self._sheet).unmapped.close(self._pairs)
        for i in range(self.at.plan.defaults):
            column = self.at.plan.default_columns[i]
            if (<IntColumn>column).length <= row:
                (<IntColumn>column).put(row, self.at.plan.default_values[i])
        if self.at.has_time:
            (<Sheet>self._sheet).time.put(row, self.at.time)
            (<Sheet>self._sheet).time_ns.put(row, self.at.below)
        if self.at.plan.severity and 0 <= self.at.level <= 5:
            (<Sheet>self._sheet).severity_id.put(row, SEVERITY[self.at.level])
        (<Sheet>self._sheet).src_offset.put(row, offset)
        (<Sheet>self._sheet).src_length.put(row, length)
        (<Sheet>self._sheet).sub.put(row, sub)
        if self.is_canonical():
            own_hash = self._canonical()
        (<Sheet>self._sheet).record_hash.put(row, <int64_t>own_hash)
        flags |= self.at.flags
        if flags:
            (<Sheet>self._sheet).parse_flags.put(row, flags)
        (<Sheet>self._sheet).rows.done()
        if self._serial % CROWD_EVENTS == 0 and self._is_crowded():
            return 1
        return (<Sheet>self._sheet).rows.full()

    cdef bint _is_crowded(self) except -1 nogil:
        """Whether the rows of all tables together are too much to hold. Each alone is bounded, but
        a log of many kinds of events fills thirty tables."""
        cdef Py_ssize_t held = 0
        with gil:
            for sheet in self.plans.sheets.values():
                held += _bytes_of((<Sheet>sheet).rows)
            self._crowded = held > CROWD_BYTES
        return self._crowded

    cdef int give_up(self) except -1:
        for sheet in self.plans.sheets.values():
            (<Sheet>sheet).rows.give_up()
        return 0

    def add(
        self, str provider, str code, pairs, system=(), *, int64_t offset=0, int64_t length=0,
        int64_t sub=0, int flags=0, uint64_t own_hash=0,
    ):
        """One event from Python values: (name, kind, content) each, see values.KINDS; `system`
        likewise, by the names in SYSTEM. For tests and for records that come one at a time.

        Returns whether a batch is full.
        """
        cdef bytes a = provider.encode(), b = code.encode(), c
        cdef Plan* plan = self.plans.plan_named(
            <const uint8_t*><const char*>a, len(a), <const uint8_t*><const char*>b, len(b)
        )
        cdef Value value
        cdef int full
        names = [name for _, _, name in SYSTEM]
        kept = []
        pairs = list(pairs)
        while plan.when is not NULL and not self._fits_any(plan, pairs):
            plan = self.plans.otherwise(plan)
        self.begin(plan)
        try:
            for name, kind, content in system:
                value = value_of(kind, content)
                self.system(names.index(name), &value)
            for name, kind, content in pairs:
                c = name.encode()
                kept.append(content)
                value = value_of(kind, content)
                self.put(
                    self.plans.target(plan, <const uint8_t*><const char*>c, len(c)), &value
                )
            full = self.end(offset, length, sub, flags, own_hash)
        except BaseException:
            self.give_up()
            raise
        return bool(full)

    cdef bint _fits_any(self, Plan* plan, pairs) except -1:
        """Whether an event with these named values fits all conditions of a plan."""
        cdef const uint8_t* p = NULL
        cdef Py_ssize_t n = 0
        cdef Value value
        named = {}
        for name, kind, content in pairs:
            if name not in named:
                value = value_of(kind, content)
                self._view(&value, &p, &n)
                named[name] = (<const char*>p)[:n].decode()
        return all([one.holds(named.get(one.field)) for one in (<object>plan.event).when])

    def take(self, bint everything=False):
        """Batches that are full (or all with rows), as (table, RecordBatch)."""
        cdef Rows rows
        cdef Py_ssize_t large = 0
        taken = []
        if self._crowded:
            # The larger half goes: few batches, and much room.
            large = max([_bytes_of((<Sheet>sheet).rows) for sheet in self.plans.sheets.values()])
            self._crowded = False
        for table, sheet in self.plans.sheets.items():
            rows = (<Sheet>sheet).rows
            if rows.count > rows.begun and (
                everything or rows.full() or (large and 2 * _bytes_of(rows) >= large)
            ):
                taken.append((table, rows.finish()))
        return taken

    def stand(self):
        """Leaves the rows for others to be put after them, as (table, Stretch)."""
        cdef Rows rows
        taken = []
        for table, sheet in self.plans.sheets.items():
            rows = (<Sheet>sheet).rows
            if rows.count > rows.begun:
                taken.append((table, rows.stand()))
            else:
                rows.give_up()
        return taken

    def drop(self):
        """Takes back the rows that were not taken."""
        for sheet in self.plans.sheets.values():
            (<Sheet>sheet).rows.drop()


cdef inline Key _key(DictColumn column, const Value* v) noexcept nogil:
    """By which a dictionary knows a value again, as evidence holds it."""
    if v.p is NULL:
        return key_of(<const uint8_t*>&v.number, 8, v.kind, column.secret)
    return key_of(v.p, raw_size(v), v.kind, column.secret)


cdef inline int32_t _code_at(DictColumn column, Py_ssize_t row) noexcept nogil:
    """The code of the word at `row`, or -1 where it is null."""
    return (<int32_t*>column.codes.data)[row] if column.length == row + 1 else -1


cdef inline Py_ssize_t _word_at(
    DictColumn column, Py_ssize_t row, const uint8_t** p
) noexcept nogil:
    """The word at `row`, or -1 where it is null."""
    cdef int32_t code
    cdef int32_t* offsets
    if column.length != row + 1:
        return -1
    code = (<int32_t*>column.codes.data)[row]
    offsets = <int32_t*>column.words.offsets.data
    p[0] = column.words.data.data + offsets[code]
    return offsets[code + 1] - offsets[code]


cdef inline Py_ssize_t _text_at(
    const Output* out, Py_ssize_t row, const uint8_t** p
) noexcept nogil:
    """The text at `row` of the column that an output looks at, or -1 where it is null."""
    if out.other_is_word:
        return _word_at(<DictColumn>out.other, row, p)
    if (<TextColumn>out.other).length != row + 1:
        return -1
    p[0] = (<TextColumn>out.other).data.data + (<TextColumn>out.other).ends[row]
    return (<TextColumn>out.other).ends[row + 1] - (<TextColumn>out.other).ends[row]


cdef inline bint _ends_with(
    const uint8_t* p, Py_ssize_t n, const uint8_t* name, Py_ssize_t size
) noexcept nogil:
    """Whether `name` is the last part of a path, in whatever case."""
    cdef Py_ssize_t i
    cdef uint8_t a, b
    if n < size or (n > size and p[n - size - 1] != 92 and p[n - size - 1] != 47):
        return False
    for i in range(size):
        a, b = p[n - size + i], name[i]
        if a != b and ((a | 32) != (b | 32) or not 97 <= (a | 32) <= 122):
            return False
    return True


cdef inline uint64_t _fold(DictColumn column, Py_ssize_t row, uint64_t seed) noexcept nogil:
    """Hash of the word at `row` in lower case."""
    cdef uint8_t[256] lower
    cdef const uint8_t* p = NULL
    cdef Py_ssize_t n = _word_at(column, row, &p), i
    if n < 0:
        return hash64(p, 0, seed)
    if n > 256:
        return hash64(p, n, seed)
    for i in range(n):
        lower[i] = p[i] | 32 if 65 <= p[i] <= 90 else p[i]
    return hash64(lower, n, seed)
