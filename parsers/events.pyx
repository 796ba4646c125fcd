"""Named values of an event into the columns that the mapping names (see events.pxd).

The one engine behind event logs and JSON: both hand over named values, and
`normalize/mapping.py` says (and explains) what becomes of them and when a pair also stands in
`unmapped`. This file is the native half of its TRANSFORMS.

`proc_uid` of processes without an id of their own is `host:pid:time`, readable and without a
hash: nothing can collide, and it costs no SHA-1 a row.
"""

from cpython.ref cimport PyObject
from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

import pyarrow as pa

from tracelake.native.columns cimport (
    BoolColumn, Buffer, Column, DictColumn, IntColumn, ListColumn, MapColumn, Rows, TextColumn,
)
from tracelake.native.text cimport (
    parse_iso_time, put_hex, put_int, put_iso_time, put_uint, utf8_valid,
)
from tracelake.normalize import TABLES
from tracelake.normalize.mapping import HASHES, TRANSFORMS
from tracelake.parsers.values cimport (
    FILETIME, HEX32, HEX64, INT, NOTHING, SYSTEMTIME, TEXT, TEXT_VALID, UINT, UTF16, Value,
    canonical_ip, is_text, is_unset, parse_number, render, room_for, value_of, value_time,
)


cdef enum Way:
    W_TEXT, W_NUMBER, W_HEX, W_SIGNED_HEX, W_TRUTH, W_TIME, W_UTC_MS, W_IP, W_GUID, W_GUID_UPPER
    W_SID, W_LOGON_ID, W_ACCOUNT, W_DOMAIN, W_HASH, W_MAP, W_LIST, W_DNS_ANSWERS, W_FILE_NAME
    W_EXTENSION, W_PROCESS_UID

WAYS = {
    "text": W_TEXT, "number": W_NUMBER, "hex": W_HEX, "signed_hex": W_SIGNED_HEX,
    "truth": W_TRUTH, "time": W_TIME, "utc_ms": W_UTC_MS, "ip": W_IP, "guid": W_GUID,
    "guid_upper": W_GUID_UPPER, "sid": W_SID, "logon_id": W_LOGON_ID, "account": W_ACCOUNT,
    "domain": W_DOMAIN, "hash": W_HASH, "map": W_MAP, "list": W_LIST,
    "dns_answers": W_DNS_ANSWERS, "file_name": W_FILE_NAME, "extension": W_EXTENSION,
    "process_uid": W_PROCESS_UID,
}
if WAYS.keys() != TRANSFORMS.keys():
    raise ImportError(f"transforms without a native half: {WAYS.keys() ^ TRANSFORMS.keys()}")

cdef enum ColumnKind:
    K_WORD, K_TEXT, K_INT, K_BOOL, K_TIME, K_TEXTS

# What `_fill` did.
cdef enum Filled:
    NOT = 0         # nothing put
    LOSSY = 1       # put, but the text cannot be made again from it
    EXACT = 2

# Column and transform of each System field, and its name in the log's XML.
SYSTEM = (
    ("log_provider", "text", "Provider"),
    ("log_provider_uid", "guid", "ProviderGuid"),
    ("event_code", "text", "EventID"),
    ("event_version", "number", "Version"),
    ("event_level", "number", "Level"),
    ("event_task", "number", "Task"),
    ("event_opcode", "number", "Opcode"),
    ("event_keywords", "text", "Keywords"),
    ("time", "time", "TimeCreated"),
    ("src_record_id", "number", "EventRecordID"),
    ("event_activity_uid", "guid", "ActivityID"),
    ("event_related_uid", "guid", "RelatedActivityID"),
    ("event_pid", "number", "ProcessID"),
    ("event_tid", "number", "ThreadID"),
    ("log_name", "text", "Channel"),
    ("device_hostname", "text", "Computer"),
    ("event_user_uid", "text", "UserID"),
)
if len(SYSTEM) != SYSTEM_FIELDS:
    raise ImportError("SYSTEM and the System fields differ")

# Windows' Level -> OCSF severity_id; levels beyond have none.
cdef int[6] SEVERITY = [1, 5, 4, 3, 1, 1]

# Longest "provider \x1f code" that is looked up; a longer one is in no mapping.
cdef enum:
    KEY_ROOM = 512

# put_iso_time has four digits for the year.
cdef int64_t YEAR_1 = -62135596800000000
cdef int64_t YEAR_10000 = 253402300800000000


cdef uint64_t hash64(const uint8_t* p, Py_ssize_t n, uint64_t seed) noexcept nogil:
    """Multiply-and-fold over little-endian words of eight bytes; the last one is padded with 0."""
    cdef uint64_t h = seed ^ (<uint64_t>n * 0x9E3779B97F4A7C15ULL), word
    while n > 0:
        word = 0
        memcpy(&word, p, 8 if n >= 8 else n)
        h = (h ^ word) * 0xFF51AFD7ED558CCDULL
        h ^= h >> 32
        p += 8
        n -= 8
    h *= 0xC4CEB9FE1A85EC53ULL
    return h ^ (h >> 29)


# --- a table of names -------------------------------------------------------------------------

cdef int names_start(Names* names, Py_ssize_t room) except -1:
    names.slots = <Slot*>calloc(room, sizeof(Slot))
    if names.slots is NULL:
        raise MemoryError()
    names.mask = room - 1
    names.count = 0
    return 0


cdef inline void* names_find(const Names* names, const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef uint64_t h = hash64(p, n, 0)
    cdef Py_ssize_t at = h & names.mask
    cdef Slot* slot
    while True:
        slot = &names.slots[at]
        if slot.value is NULL:
            return NULL
        if slot.hash == h and slot.length == n and memcmp(slot.text, p, n) == 0:
            return slot.value
        at = (at + 1) & names.mask


cdef int names_add(Names* names, const uint8_t* p, Py_ssize_t n, void* value) except -1:
    cdef Names grown
    cdef Py_ssize_t i, at
    if names.count * 2 > names.mask:
        names_start(&grown, (names.mask + 1) * 2)
        for i in range(names.mask + 1):
            if names.slots[i].value is not NULL:
                at = names.slots[i].hash & grown.mask
                while grown.slots[at].value is not NULL:
                    at = (at + 1) & grown.mask
                grown.slots[at] = names.slots[i]
        grown.count = names.count
        free(names.slots)
        names[0] = grown
    cdef uint64_t h = hash64(p, n, 0)
    at = h & names.mask
    while names.slots[at].value is not NULL:
        at = (at + 1) & names.mask
    names.slots[at] = Slot(h, p, n, value)
    names.count += 1
    return 0


cdef class Sheet:
    """The columns of one table that every event fills."""

    def __cinit__(self, str table):
        self.rows = Rows(table, TABLES[table].schema)
        self.batch = 1
        self.unmapped = self.rows.column("unmapped")
        self.raw = self.rows.column("raw")
        self.time = self.rows.column("time")
        self.time_ns = self.rows.column("time_ns")
        self.time_desc = self.rows.column("time_desc")
        self.src_offset = self.rows.column("src_offset")
        self.src_length = self.rows.column("src_length")
        self.sub = self.rows.column("sub")
        self.record_hash = self.rows.column("record_hash")
        self.parse_flags = self.rows.column("parse_flags")
        self.severity_id = self.rows.column("severity_id")
        self.device_hostname = self.rows.column("device_hostname")
        self.log_name = self.rows.column("log_name")
        self.event_code = self.rows.column("event_code")


cdef class Bound:
    """A Target as a Python object."""


cdef class _Block:
    """Memory that goes when the Events goes."""
    cdef void* data

    def __cinit__(self, Py_ssize_t size):
        self.data = calloc(1, size if size > 0 else 1)
        if self.data is NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.data)


cdef class _NamesBlock:
    """A Names that goes when the Events goes."""
    cdef Names names

    def __cinit__(self, Py_ssize_t room):
        names_start(&self.names, room)

    def __dealloc__(self):
        free(self.names.slots)


cdef class Events:
    """Rows of events, in the tables that a mapping names.

    Args:
        mappings: normalize.mapping.Mappings.
    """

    def __cinit__(self, mappings):
        self._mappings = mappings
        self._sheets = {}
        self._keep = []
        self._text = Buffer()
        self._waiting = Buffer()
        names_start(&self._plans, 256)
        for (provider, code), event in mappings.events.items():
            self._know(f"{provider}\x1f{code}".encode(), event)
        self._raw = self._build(None, "raw_event")

    def __dealloc__(self):
        free(self._plans.slots)

    def _know(self, bytes key, event):
        """Plans are built when their first event comes; until then a slot points to the Event."""
        self._keep.append((key, event))
        names_add(
            &self._plans, <const uint8_t*><const char*>key, len(key), _pending_plan(self, event)
        )

    cdef Sheet _sheet_of(self, str table):
        sheet = self._sheets.get(table)
        if sheet is None:
            sheet = self._sheets[table] = Sheet(table)
        return sheet

    cdef void* _block(self, Py_ssize_t size) except NULL:
        block = _Block(size)
        self._keep.append(block)
        return (<_Block>block).data

    # --- building plans -----------------------------------------------------------------------

    cdef Plan* _build(self, event, str table) except NULL:
        cdef Plan* plan = <Plan*>self._block(sizeof(Plan))
        self._fill_plan(plan, event, table)
        return plan

    cdef int _fill_plan(self, Plan* plan, event, str table) except -1:
        """Makes `plan` the plan of a normalize.mapping.Event (None: no mapping)."""
        cdef Sheet sheet = self._sheet_of(table)
        cdef Target* target
        cdef Py_ssize_t i
        cdef _NamesBlock names = _NamesBlock(64)
        cdef Column constant
        self._keep.append(names)
        plan.names = &names.names
        for i, (column, transform, name) in enumerate(SYSTEM):
            plan.system[i] = self._free_target(plan, name.encode())
            made = [(column, transform, None, None)]
            if i == RECORD_ID:
                made.append(("original_event_uid", "text", None, None))
            self._outputs(plan.system[i], made, sheet)
        plan.severity = event is None or "severity_id" not in event.constants
        if event is not None:
            plan.constants = len(event.constants)
            plan.constant_columns = <PyObject**>self._block(len(event.constants) * sizeof(void*))
            plan.constant_values = <int64_t*>self._block(len(event.constants) * sizeof(int64_t))
            for i, (column, value) in enumerate(event.constants.items()):
                constant = sheet.rows.column(column)
                plan.constant_columns[i] = <PyObject*>constant
                plan.constant_values[i] = value
            self._targets_of(plan, event, sheet)
        plan.event = <PyObject*>event
        plan.sheet = <PyObject*>sheet
        return 0

    cdef Choice* _new_choice(self, Plan* plan, int count) except NULL:
        cdef Choice** grown = <Choice**>self._block((plan.choices + 1) * sizeof(void*))
        cdef Choice* choice = <Choice*>self._block(sizeof(Choice))
        choice.count = count
        choice.outputs = <Output**>self._block(count * sizeof(void*))
        choice.waiting = <int*>self._block(count * sizeof(int))
        if plan.choices:
            memcpy(grown, plan.choice, plan.choices * sizeof(void*))
        grown[plan.choices] = choice
        plan.choice = grown
        plan.choices += 1
        return choice

    cdef int _targets_of(self, Plan* plan, event, Sheet sheet) except -1:
        cdef Choice* choice
        cdef Target* target
        cdef Py_ssize_t i
        fields = {}
        choices = {}
        for column, sources in event.columns.items():
            if len(sources) > 1:
                choices[column] = plan.choices
                self._new_choice(plan, len(sources))
        for column, sources in event.columns.items():
            for rank, source in enumerate(sources):
                fields.setdefault(source.field, []).append(
                    (column, source.transform, source, (choices.get(column), rank))
                )
        for field, made in fields.items():
            target = self._new_target(plan, field.encode())
            self._outputs(target, made, sheet)
            for i in range(target.count):
                at, rank = made[i][3]
                if at is not None:
                    choice = plan.choice[<Py_ssize_t>at]
                    target.outputs[i].choice = choice
                    target.outputs[i].rank = rank
                    choice.outputs[<Py_ssize_t>rank] = &target.outputs[i]
        return 0

    cdef Target* _free_target(self, Plan* plan, bytes name) except NULL:
        """A target that `plan` does not find by its name."""
        cdef Target* target = <Target*>self._block(sizeof(Target))
        if utf8_valid(<const uint8_t*><const char*>name, len(name)) != len(name):
            raise ValueError(f"not UTF-8: {name!r}")
        self._keep.append(name)
        target.plan = plan
        target.name = <const uint8_t*><const char*>name
        target.name_length = len(name)
        return target

    cdef Target* _new_target(self, Plan* plan, bytes name) except NULL:
        cdef Target* target = self._free_target(plan, name)
        names_add(plan.names, target.name, target.name_length, target)
        return target

    cdef int _outputs(self, Target* target, list made, Sheet sheet) except -1:
        """Gives a target its columns: (column, transform, mapping.Source or None, _) each."""
        cdef Py_ssize_t i
        cdef int covered = 0
        cdef bint domain = False
        target.count = len(made)
        target.outputs = <Output*>self._block(len(made) * sizeof(Output))
        for column, transform, source, _ in made:
            if transform == "hash":
                covered |= 1 << HASHES.index(source.argument)
            elif transform == "domain":
                domain = True
        for i, (column, transform, source, _) in enumerate(made):
            self._output_of(&target.outputs[i], sheet, column, transform)
            if transform == "hash":
                target.outputs[i].hash = HASHES.index(source.argument)
                target.outputs[i].covered = covered
            elif transform == "account":
                target.outputs[i].covered = domain
            elif transform == "map":
                target.outputs[i].values = self._value_map(source.values)
        return 0

    cdef int _output_of(self, Output* out, Sheet sheet, str column, str transform) except -1:
        made = sheet.rows.column(column)
        kind = (<Column>made).type
        out.column = <PyObject*>made
        out.transform = WAYS[transform]
        out.low = INT64_MIN
        out.high = INT64_MAX
        if pa.types.is_dictionary(kind):
            out.kind = K_WORD
        elif pa.types.is_string(kind):
            out.kind = K_TEXT
        elif pa.types.is_boolean(kind):
            out.kind = K_BOOL
        elif pa.types.is_timestamp(kind):
            out.kind = K_TIME
        elif pa.types.is_list(kind):
            out.kind = K_TEXTS
        else:
            out.kind = K_INT
            limit = 1 << (kind.bit_width - 1)
            out.low = -limit
            out.high = limit - 1
        return 0

    cdef ValueMap* _value_map(self, values) except NULL:
        cdef ValueMap* made = <ValueMap*>self._block(sizeof(ValueMap))
        cdef Py_ssize_t i, n = len(values)
        cdef bytes text, word
        made.count = n
        made.texts = <const uint8_t**>self._block(n * sizeof(void*))
        made.sizes = <Py_ssize_t*>self._block(n * sizeof(Py_ssize_t))
        made.numbers = <int64_t*>self._block(n * sizeof(int64_t))
        made.words = <const uint8_t**>self._block(n * sizeof(void*))
        made.word_sizes = <Py_ssize_t*>self._block(n * sizeof(Py_ssize_t))
        made.first = <bint*>self._block(n * sizeof(bint))
        seen = set()
        for i, (given, value) in enumerate(values):
            text = given.encode()
            word = value.encode() if isinstance(value, str) else b""
            self._keep.append((text, word))
            made.texts[i] = <const uint8_t*><const char*>text
            made.sizes[i] = len(text)
            made.words[i] = <const uint8_t*><const char*>word
            made.word_sizes[i] = len(word)
            made.numbers[i] = 0 if isinstance(value, str) else int(value)
            made.first[i] = value not in seen
            seen.add(value)
        return made

    # --- looking up ---------------------------------------------------------------------------

    cdef Plan* plan_named(
        self, const uint8_t* provider, Py_ssize_t n, const uint8_t* code, Py_ssize_t code_length
    ) except NULL nogil:
        cdef uint8_t[KEY_ROOM] key
        cdef Plan* plan
        if n + code_length + 1 > KEY_ROOM:
            return self._raw
        memcpy(key, provider, n)
        key[n] = 0x1F
        memcpy(key + n + 1, code, code_length)
        plan = <Plan*>names_find(&self._plans, key, n + 1 + code_length)
        if plan is NULL:
            return self._raw
        if plan.sheet is NULL:
            with gil:
                event = <object>plan.event
                self._fill_plan(plan, event, event.table)
        return plan

    cdef Plan* plan(self, const uint8_t* provider, Py_ssize_t n, int64_t event_id) except NULL nogil:
        cdef uint8_t[24] code
        return self.plan_named(provider, n, code, put_int(code, event_id))

    cdef Target* target(self, Plan* plan, const uint8_t* name, Py_ssize_t n) except NULL nogil:
        cdef Target* found = <Target*>names_find(plan.names, name, n)
        if found is NULL:
            with gil:
                return self._add(plan, (<const char*>name)[:n])
        return found

    cdef Target* _add(self, Plan* plan, bytes name) except NULL:
        """A name that no mapping knows: it goes to `unmapped`."""
        cdef bytes valid = name.decode("utf-8", "replace").encode()
        cdef Target* found
        if valid != name:
            found = <Target*>names_find(
                plan.names, <const uint8_t*><const char*>valid, len(valid)
            )
            if found is not NULL:
                return found
        return self._new_target(plan, valid)

    cdef list bind(self, Plan* plan, str column, sources):
        cdef Choice* choice = NULL
        cdef Bound bound
        cdef Py_ssize_t rank
        cdef list made
        targets = []
        if len(sources) > 1:
            choice = self._new_choice(plan, len(sources))
        for rank, source in enumerate(sources):
            bound = Bound()
            bound.target = self._free_target(plan, source.field.encode())
            made = [(column, source.transform, source, None)]
            if column == "src_record_id":
                made.append(("original_event_uid", "text", None, None))
            self._outputs(bound.target, made, <Sheet>plan.sheet)
            if choice is not NULL:
                bound.target.outputs[0].choice = choice
                bound.target.outputs[0].rank = rank
                choice.outputs[rank] = &bound.target.outputs[0]
            targets.append(bound)
        return targets

    cdef Target* pair(self, Plan* plan, str name) except NULL:
        return self._free_target(plan, name.encode())

    cdef Target* loose(self, Plan* plan, bytes name, Target* room) except NULL:
        cdef const uint8_t* p = <const uint8_t*><const char*>name
        cdef Target* known = <Target*>names_find(plan.names, p, len(name))
        if known is not NULL:
            return known
        room[0] = Target(plan, p, len(name), 0, 0, 0, 0, 0, NULL)
        return room

    # --- one event ----------------------------------------------------------------------------

    cdef int begin(self, Plan* plan) except -1 nogil:
        cdef int i
        self._plan = plan
        self._sheet = plan.sheet
        self._row = (<Sheet>plan.sheet).rows.count
        self._serial += 1
        self._pairs = -1
        self._flags = 0
        self._waits = 0
        self._has_time = False
        self._has_logged = False
        self._has_record_id = False
        self._level = -1
        self._uid_column = NULL
        for i in range(plan.constants):
            (<IntColumn>plan.constant_columns[i]).put(self._row, plan.constant_values[i])
        return 0

    cdef int put(self, Target* target, const Value* value) except -1 nogil:
        """A named value of the event at hand. A name that comes again is a pair of its own."""
        cdef const uint8_t* p = NULL
        cdef Py_ssize_t n = 0
        cdef int i, filled
        cdef bint waits = False, exact = False
        cdef Output* out
        if target.seen == self._serial:
            target = self._again(target)
        target.seen = self._serial
        if target.count == 0:
            return self._pair(target, value)
        if is_unset(value):
            return self._pair(target, value)
        if target.count == 1 and target.outputs[0].choice is NULL:
            out = target.outputs
            if out.transform == W_TEXT and is_text(value):
                return self._copy(out, value)
            if out.transform == W_NUMBER and (value.kind == UINT or value.kind == INT):
                filled = self._fill(out, value, NULL, 0)
                return 0 if filled == EXACT else self._pair(target, value)
        self._view(value, &p, &n)
        for i in range(target.count):
            out = &target.outputs[i]
            if out.choice is not NULL:
                self._candidate(target, out, value)
                waits = True
            elif self._fill(out, value, p, n) == EXACT:
                exact = True
        if exact:
            target.held = self._serial
        elif not waits:
            return self._pair(target, value)
        return 0

    cdef int _copy(self, Output* out, const Value* v) except -1 nogil:
        """The text as it is, decoded in place."""
        cdef int repaired
        if out.kind == K_WORD:
            if v.kind == UTF16:
                repaired = (<DictColumn>out.column).put_utf16(self._row, v.p, v.n)
            elif v.kind == TEXT:
                repaired = (<DictColumn>out.column).put(self._row, v.p, v.n)
            else:
                repaired = (<DictColumn>out.column).put_valid(self._row, v.p, v.n)
        elif v.kind == UTF16:
            repaired = (<TextColumn>out.column).put_utf16(self._row, v.p, v.n)
        elif v.kind == TEXT:
            repaired = (<TextColumn>out.column).put(self._row, v.p, v.n)
        else:
            repaired = (<TextColumn>out.column).put_valid(self._row, v.p, v.n)
        if repaired == 1:
            self._flags |= TEXT_REPAIRED
        return 0

    cdef Target* _again(self, Target* target) except NULL nogil:
        """Where the second, third, ... value of a name goes: `name[2]`, `name[3]`, ..."""
        cdef Target* next_one = target
        cdef int number = 2
        while next_one.seen == self._serial:
            with gil:
                name = (<const char*>target.name)[:target.name_length] + f"[{number}]".encode()
                next_one = <Target*>names_find(
                    target.plan.names, <const uint8_t*><const char*>name, len(name)
                )
                if next_one is NULL:
                    next_one = self._new_target(target.plan, name)
            number += 1
        return next_one

    cdef int _view(self, const Value* v, const uint8_t** p, Py_ssize_t* n) except -1 nogil:
        """The value's text, in place where it can be."""
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
            self._flags |= TEXT_REPAIRED
        return 0

    cdef int _pair(self, Target* target, const Value* v) except -1 nogil:
        """A pair of `unmapped`."""
        cdef int repaired = 0
        cdef Py_ssize_t at = self._pairs
        cdef uint8_t* room
        if at < 0:
            at = (<Sheet>self._sheet).unmapped.open(self._row)
        if target.key_batch != (<Sheet>self._sheet).batch:
            target.key = (<Sheet>self._sheet).unmapped.keys.code(target.name, target.name_length)
            target.key_batch = (<Sheet>self._sheet).batch
        (<Sheet>self._sheet).unmapped.keys.put_code(at, target.key)
        if v.kind == UTF16:
            repaired = (<Sheet>self._sheet).unmapped.values.put_utf16(at, v.p, v.n)
        elif v.kind == TEXT:
            repaired = (<Sheet>self._sheet).unmapped.values.put(at, v.p, v.n)
        elif v.kind == TEXT_VALID:
            (<Sheet>self._sheet).unmapped.values.put_valid(at, v.p, v.n)
        elif v.kind != NOTHING:
            room = (<Sheet>self._sheet).unmapped.values.room(at, room_for(v))
            (<Sheet>self._sheet).unmapped.values.wrote(render(v, room, &repaired))
        if repaired == 1:
            self._flags |= TEXT_REPAIRED
        self._pairs = at + 1
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
        for i in range(self._plan.choices):
            choice = self._plan.choice[i]
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
                if _counts_as_unset(out, p, n):
                    continue
                if taken >= 0:
                    others += 1
                    continue
                filled = self._fill(out, &one.value, p, n)
                if filled == NOT:
                    others += 1
                else:
                    taken = rank
            if taken == 0 and filled == EXACT and others == 0:
                self._waited(choice.waiting[0]).target.held = self._serial
        for i in range(self._waits):
            one = self._waited(i)
            if one.target.held != self._serial:
                self._pair(one.target, &one.value)
        return 0

    # --- the transforms -----------------------------------------------------------------------

    cdef int _word(self, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        if out.kind == K_WORD:
            return (<DictColumn>out.column).put_valid(self._row, p, n)
        return (<TextColumn>out.column).put_valid(self._row, p, n)

    cdef int _number(self, Output* out, int64_t value) except -1 nogil:
        """Puts a number and returns 1, or 0 where it does not fit."""
        if value < out.low or value > out.high:
            return 0
        (<IntColumn>out.column).put(self._row, value)
        if out.column == <PyObject*>self._plan.system[LEVEL].outputs[0].column:
            self._level = value
        elif out.column == <PyObject*>self._plan.system[RECORD_ID].outputs[0].column:
            self._record_id = value
            self._has_record_id = True
        return 1

    cdef int _fill(
        self, Output* out, const Value* v, const uint8_t* p, Py_ssize_t n
    ) except -1 nogil:
        """Puts a value into its column; returns Filled. `p`, `n`: the value's text, which is only
        absent for numbers that go through `number`."""
        cdef uint8_t[64] made
        cdef int64_t number = 0
        cdef int below = 0
        cdef Py_ssize_t size
        cdef int way = out.transform
        if _counts_as_unset(out, p, n):
            return NOT
        if way == W_TEXT or way == W_SID or way == W_LOGON_ID:
            self._word(out, p, n)
            return EXACT
        if way == W_NUMBER or way == W_HEX:
            return self._fill_number(out, v, p, n)
        if way == W_SIGNED_HEX:
            if parse_number(p, n, &number) == 0:
                return NOT
            self._word(out, made, put_hex(made, <uint64_t>number))
            return EXACT if _same(made, put_int(made, number), p, n) else LOSSY
        if way == W_TRUTH:
            return self._fill_truth(out, p, n)
        if way == W_TIME or way == W_UTC_MS:
            return self._fill_time(out, v, p, n)
        if way == W_IP:
            size = canonical_ip(p, n, made)
            if size == 0:
                return NOT
            self._word(out, made, size)
            return EXACT if _same(made, size, p, n) else LOSSY
        if way == W_GUID or way == W_GUID_UPPER:
            return self._fill_guid(out, p, n)
        if way == W_ACCOUNT or way == W_DOMAIN:
            return self._fill_account(out, p, n)
        if way == W_HASH:
            return self._fill_hash(out, p, n)
        if way == W_MAP:
            return self._fill_map(out, p, n)
        if way == W_LIST or way == W_DNS_ANSWERS:
            return self._fill_list(out, p, n)
        if way == W_PROCESS_UID:
            if parse_number(p, n, &number) == 1:
                self._uid_column = out.column
                self._uid_pid = number
            return NOT
        return self._fill_name(out, p, n)

    cdef int _fill_number(
        self, Output* out, const Value* v, const uint8_t* p, Py_ssize_t n
    ) except -1 nogil:
        cdef uint8_t[24] made
        cdef int64_t number
        if v.kind == INT or v.kind == UINT or v.kind == HEX32 or v.kind == HEX64:
            number = <int64_t>v.number
            if number < 0 and v.kind != INT:
                return NOT
            if not self._number(out, number):
                return NOT
            if v.kind == INT or v.kind == UINT:
                return EXACT if out.transform == W_NUMBER else LOSSY
            return EXACT if out.transform == W_HEX else LOSSY
        if parse_number(p, n, &number) != 1 or not self._number(out, number):
            return NOT
        if out.transform == W_HEX:
            return EXACT if _same(made, put_hex(made, <uint64_t>number), p, n) else LOSSY
        return EXACT if _same(made, put_int(made, number), p, n) else LOSSY

    cdef int _fill_truth(self, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        cdef bint value
        if _is_word(p, n, b"true", 4):
            value = True
        elif _is_word(p, n, b"false", 5):
            value = False
        else:
            return NOT
        (<BoolColumn>out.column).put(self._row, value)
        return EXACT if p[0] >= 97 and _is_lower(p, n) else LOSSY

    cdef int _fill_time(
        self, Output* out, const Value* v, const uint8_t* p, Py_ssize_t n
    ) except -1 nogil:
        cdef uint8_t[32] made
        cdef int64_t us = 0
        cdef int below = 0, zone
        cdef bint system_time = out.column == self._plan.system[TIME_CREATED].outputs[0].column
        if v.kind == FILETIME or v.kind == SYSTEMTIME:
            if not value_time(v, &us, &below):
                return NOT
        else:
            zone = parse_iso_time(p, n, &us, &below)
            if zone == 0:
                return NOT
            if zone == 2 and out.transform == W_TIME:
                self._flags |= ZONE_ASSUMED
        if system_time:
            self.set_time(us, below)
        else:
            (<IntColumn>out.column).put(self._row, us)
        if us < YEAR_1 or us >= YEAR_10000:
            return LOSSY
        if out.transform == W_UTC_MS:
            put_iso_time(made, us, 0)
            made[10] = 32
            return EXACT if us % 1000 == 0 and below == 0 and _same(made, 23, p, n) else LOSSY
        # `time` keeps the digits below the microsecond beside it; other columns do not.
        put_iso_time(made, us, below if system_time else 0)
        return EXACT if _same(made, 28, p, n) else LOSSY

    cdef int _fill_guid(self, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        cdef uint8_t[40] made
        cdef int i
        cdef bint lower = False, upper = False
        cdef uint8_t c
        cdef Py_ssize_t given = n
        if n == 38 and p[0] == 123 and p[37] == 125:
            p += 1
            n = 36
        if n != 36:
            return NOT
        for i in range(36):
            c = p[i]
            if i == 8 or i == 13 or i == 18 or i == 23:
                if c != 45:
                    return NOT
            elif 97 <= c <= 102:
                lower = True
            elif 65 <= c <= 70:
                upper = True
                c |= 32
            elif c < 48 or c > 57:
                return NOT
            made[i + 1] = c
        made[0] = 123
        made[37] = 125
        self._word(out, made, 38)
        if given != 38 or (upper if out.transform == W_GUID else lower):
            return LOSSY
        return EXACT

    cdef int _fill_account(self, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        cdef Py_ssize_t at = 0
        while at < n and p[at] != 92:
            at += 1
        if out.transform == W_DOMAIN:
            if at == n or at == 0:
                return NOT
            self._word(out, p, at)
            return LOSSY        # the column with the account answers for both
        if at == n:
            self._word(out, p, n)
            return EXACT
        if at + 1 == n:
            return NOT
        self._word(out, p + at + 1, n - at - 1)
        return EXACT if out.covered and at > 0 else LOSSY

    cdef int _fill_hash(self, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        cdef uint8_t[64] made
        cdef Py_ssize_t i = 0, j
        cdef int which, last = -1, size, filled = NOT
        cdef bint canonical = True
        cdef uint8_t c
        while i < n:
            which = -1
            if n - i > 5 and memcmp(p + i, <const char*>b"SHA1=", 5) == 0:
                which, size = 0, 40
                i += 5
            elif n - i > 4 and memcmp(p + i, <const char*>b"MD5=", 4) == 0:
                which, size = 1, 32
                i += 4
            elif n - i > 7 and memcmp(p + i, <const char*>b"SHA256=", 7) == 0:
                which, size = 2, 64
                i += 7
            elif n - i > 8 and memcmp(p + i, <const char*>b"IMPHASH=", 8) == 0:
                which, size = 3, 32
                i += 8
            else:
                return NOT if filled == NOT else LOSSY
            if which <= last or not (out.covered & (1 << which)):
                canonical = False
            last = which
            if n - i < size:
                return NOT if filled == NOT else LOSSY
            for j in range(size):
                c = p[i + j]
                if 65 <= c <= 70:
                    c |= 32
                elif 97 <= c <= 102:
                    canonical = False
                elif c < 48 or c > 57:
                    return NOT if filled == NOT else LOSSY
                made[j] = c
            i += size
            if which == out.hash:
                self._word(out, made, size)
                filled = LOSSY
            if i < n:
                if p[i] != 44 or i + 1 == n:
                    return filled
                i += 1
        if filled == LOSSY and canonical:
            return EXACT
        return filled

    cdef int _fill_map(self, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        cdef ValueMap* values = out.values
        cdef Py_ssize_t i
        for i in range(values.count):
            if values.sizes[i] == n and memcmp(values.texts[i], p, n) == 0:
                if out.kind == K_INT:
                    if not self._number(out, values.numbers[i]):
                        return NOT
                elif out.kind == K_BOOL:
                    (<BoolColumn>out.column).put(self._row, values.numbers[i] != 0)
                else:
                    self._word(out, values.words[i], values.word_sizes[i])
                return EXACT if values.first[i] else LOSSY
        return NOT

    cdef int _fill_list(self, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        """Parts that each end in a semicolon."""
        cdef Py_ssize_t at = 0, start, end, item
        cdef bint exact = n > 0 and p[n - 1] == 59
        item = (<ListColumn>out.column).open(self._row)
        while at < n:
            start = at
            while at < n and p[at] != 59:
                at += 1
            end = at
            at += 1
            if out.transform == W_DNS_ANSWERS:
                if end - start > 5 and memcmp(p + start, <const char*>b"type:", 5) == 0:
                    # "type:  5 www.example.com": the number is the record's type.
                    start += 5
                    while start < end and (p[start] == 32 or 48 <= p[start] <= 57):
                        start += 1
                    exact = False
                if end - start > 7 and memcmp(p + start, <const char*>b"::ffff:", 7) == 0:
                    start += 7
                    exact = False
            (<TextColumn>(<ListColumn>out.column).items).put_valid(item, p + start, end - start)
            item += 1
        (<ListColumn>out.column).close(item)
        return EXACT if exact else LOSSY

    cdef int _fill_name(self, Output* out, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        """The file name of a path, or its extension."""
        cdef Py_ssize_t at = n, dot
        cdef Py_ssize_t i
        cdef uint8_t[32] made
        while at > 0 and p[at - 1] != 92 and p[at - 1] != 47:
            at -= 1
        if at == n:
            return NOT
        if out.transform == W_FILE_NAME:
            self._word(out, p + at, n - at)
            return LOSSY
        dot = n - 1
        while dot > at and p[dot] != 46:
            dot -= 1
        # ".bashrc" has none, and what is longer than 32 bytes is not one.
        if dot == at or dot == n - 1 or n - dot - 1 > 32:
            return NOT
        for i in range(dot + 1, n):
            made[i - dot - 1] = p[i] | 32 if 65 <= p[i] <= 90 else p[i]
        self._word(out, made, n - dot - 1)
        return LOSSY

    # --- the row ------------------------------------------------------------------------------

    cdef int set_time(self, int64_t us, int below_ns) except -1 nogil:
        """When the event happened: microseconds since 1970 UTC, nanoseconds below (0-999)."""
        self._has_time = True
        self._time = us
        self._below = below_ns
        return 0

    cdef int set_logged(self, int64_t us) except -1 nogil:
        self._has_logged = True
        self._logged = us
        return 0

    cdef int time_desc(self, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        return (<Sheet>self._sheet).time_desc.put_valid(self._row, p, n)

    cdef int keep_raw(self, const uint8_t* p, Py_ssize_t n) except -1 nogil:
        """The record's own bytes, in the row."""
        return (<Sheet>self._sheet).raw.put(self._row, p, n)

    cdef int _process_uid(self) except -1 nogil:
        cdef uint8_t* room
        cdef const uint8_t* host = NULL
        cdef Py_ssize_t n = _word_at((<Sheet>self._sheet).device_hostname, self._row, &host), i
        if n <= 0 or not self._has_time:
            return 0
        room = (<TextColumn>self._uid_column).room(self._row, n + 48)
        for i in range(n):
            room[i] = host[i] | 32 if 65 <= host[i] <= 90 else host[i]
        room[n] = 58
        n += 1 + put_int(room + n + 1, self._uid_pid)
        room[n] = 58
        n += 1 + put_int(room + n + 1, self._time)
        return (<TextColumn>self._uid_column).wrote(n)

    cdef uint64_t _canonical(self) except? 0 nogil:
        """Hash of what every copy of a log's record has in common, however it was shipped: log,
        host (ASCII letters in lower case), event code, record number, second of logging."""
        cdef uint8_t[16] numbers
        cdef uint64_t h
        cdef int64_t second
        h = _fold((<Sheet>self._sheet).log_name, self._row, 1)
        h = _fold((<Sheet>self._sheet).device_hostname, self._row, h)
        h = _fold((<Sheet>self._sheet).event_code, self._row, h)
        second = (self._logged if self._has_logged else self._time) // 1000000
        memcpy(numbers, &self._record_id, 8)
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
        cdef Py_ssize_t row = self._row
        if self._waits:
            self._choose()
        if self._uid_column is not NULL:
            self._process_uid()
        if self._pairs >= 0:
            (<Sheet>self._sheet).unmapped.close(self._pairs)
        if self._has_time:
            (<Sheet>self._sheet).time.put(row, self._time)
            (<Sheet>self._sheet).time_ns.put(row, self._below)
        if self._plan.severity and 0 <= self._level <= 5:
            (<Sheet>self._sheet).severity_id.put(row, SEVERITY[self._level])
        (<Sheet>self._sheet).src_offset.put(row, offset)
        (<Sheet>self._sheet).src_length.put(row, length)
        (<Sheet>self._sheet).sub.put(row, sub)
        if self.is_canonical():
            own_hash = self._canonical()
        (<Sheet>self._sheet).record_hash.put(row, <int64_t>own_hash)
        flags |= self._flags
        if flags:
            (<Sheet>self._sheet).parse_flags.put(row, flags)
        (<Sheet>self._sheet).rows.done()
        return (<Sheet>self._sheet).rows.full()

    cdef int give_up(self) except -1:
        for sheet in self._sheets.values():
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
        cdef Plan* plan = self.plan_named(
            <const uint8_t*><const char*>a, len(a), <const uint8_t*><const char*>b, len(b)
        )
        cdef Value value
        cdef int full
        names = [name for _, _, name in SYSTEM]
        kept = []
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
                    self.target(plan, <const uint8_t*><const char*>c, len(c)), &value
                )
            full = self.end(offset, length, sub, flags, own_hash)
        except BaseException:
            self.give_up()
            raise
        return bool(full)

    def take(self, bint everything=False):
        """Batches that are full (or all with rows), as (table, RecordBatch)."""
        taken = []
        for table, sheet in self._sheets.items():
            rows = (<Sheet>sheet).rows
            if rows.full() or (everything and rows.count):
                taken.append((table, rows.finish()))
                (<Sheet>sheet).batch += 1
        return taken


cdef void* _pending_plan(Events events, event) except NULL:
    """A plan without a sheet: it is filled when its first event comes."""
    cdef Plan* plan = <Plan*>events._block(sizeof(Plan))
    plan.event = <PyObject*>event
    return plan


cdef inline bint _same(
    const uint8_t* a, Py_ssize_t n, const uint8_t* b, Py_ssize_t m
) noexcept nogil:
    return n == m and memcmp(a, b, n) == 0


cdef inline bint _is_word(
    const uint8_t* p, Py_ssize_t n, const char* lower, Py_ssize_t m
) noexcept nogil:
    cdef Py_ssize_t i
    if n != m:
        return False
    for i in range(n):
        if (p[i] | 32) != <uint8_t>lower[i]:
            return False
    return True


cdef inline bint _is_lower(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        if 65 <= p[i] <= 90:
            return False
    return True


cdef inline bint _counts_as_unset(
    const Output* out, const uint8_t* p, Py_ssize_t n
) noexcept nogil:
    if out.transform == W_SID:
        return _same(p, n, <const uint8_t*><const char*>b"S-1-0-0", 7)
    if out.transform == W_LOGON_ID:
        return _same(p, n, <const uint8_t*><const char*>b"0x0", 3)
    return False


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
