"""A mapping, compiled into plans (see event_plan.pxd).

`normalize/mapping.py` reads and checks mappings and explains them; here their columns, fields
and transforms become structs that the values of an event run through without a Python object.
"""

import os

from cpython.ref cimport PyObject
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import pyarrow as pa

from tracelake.native.columns cimport Column, Rows
from tracelake.native.names cimport Names, names_add, names_end, names_find, names_start
from tracelake.native.text cimport put_int, utf8_valid
from tracelake.normalize import TABLES
from tracelake.normalize.transforms import HASHES, PAIRS, TRANSFORMS
from tracelake.parsers.codes cimport code_table
from tracelake.parsers.since_epoch import UNITS

WAYS = {
    "text": W_TEXT, "number": W_NUMBER, "hex": W_HEX, "signed_hex": W_SIGNED_HEX,
    "truth": W_TRUTH, "time": W_TIME, "utc_ms": W_UTC_MS, "ip": W_IP, "guid": W_GUID,
    "guid_upper": W_GUID_UPPER, "sid": W_SID, "logon_id": W_LOGON_ID, "account": W_ACCOUNT,
    "domain": W_DOMAIN, "hash": W_HASH, "map": W_MAP, "list": W_LIST,
    "dns_answers": W_DNS_ANSWERS, "file_name": W_FILE_NAME, "extension": W_EXTENSION,
    "process_uid": W_PROCESS_UID, "bits": W_BITS,
    "before": W_BEFORE, "line": W_LINE, "line_account": W_LINE_ACCOUNT,
    "line_domain": W_LINE_DOMAIN, "starts": W_STARTS, "find_ip": W_FIND_IP,
    "find_port": W_FIND_PORT, "mof": W_MOF, "binary_name": W_BINARY_NAME, "binary_guid": W_BINARY_GUID,
    "binary_state": W_BINARY_STATE,
    "url_scheme": W_URL_SCHEME, "url_host": W_URL_HOST, "url_path": W_URL_PATH,
    "url_query": W_URL_QUERY, "resource_path": W_RESOURCE_PATH, "digest": W_DIGEST,
    "sockaddr_ip": W_SOCKADDR_IP, "sockaddr_port": W_SOCKADDR_PORT,
    "split": W_SPLIT, "param": W_PARAM, "code": W_CODE, "principal": W_PRINCIPAL,
    "principal_domain": W_PRINCIPAL_DOMAIN, "xml": W_XML,
    "reg_key": W_REG_KEY, "reg_value": W_REG_VALUE, "stream": W_STREAM, "audit": W_AUDIT,
    "epoch": W_EPOCH, "items": W_ITEMS, "json": W_JSON,
    "decimal": W_DECIMAL, "cell": W_CELL,
    "path_join": W_PATH_JOIN, "techniques": W_TECHNIQUES,
    "host": W_HOST, "joined": W_JOINED,
    "parts": W_PARTS, "dns_name": W_DNS_NAME, "dns_type": W_DNS_TYPE,
}
if WAYS.keys() != TRANSFORMS.keys():
    raise ImportError(f"transforms without a native half: {WAYS.keys() ^ TRANSFORMS.keys()}")

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
# A second column of some.
SECOND = {RECORD_ID: ("original_event_uid", "text"), KEYWORDS: ("status_id", "audit")}
cdef tuple SYSTEM_NAMES = tuple([name.encode() for _, _, name in SYSTEM])

# Longest "provider \x1f code" that is looked up; a longer one is in no mapping.
cdef enum:
    KEY_ROOM = 512
    MAX_KINDS = 20000           # remembered without a mapping


cdef class Sheet:
    """The columns of one table that every event fills."""

    def __cinit__(self, str table):
        self.rows = Rows(table, TABLES[table].schema)
        self.places = {}
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


cdef class _Place:
    """What every Output of a column says of it."""
    cdef Output output


cdef class _Block:
    """Memory that goes when the EventPlans goes."""
    cdef void* data

    def __cinit__(self, Py_ssize_t size):
        self.data = calloc(1, size if size > 0 else 1)
        if self.data is NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.data)


cdef class _NamesBlock:
    """A Names that goes when the EventPlans goes."""
    cdef Names names

    def __cinit__(self, Py_ssize_t room, uint64_t seed):
        names_start(&self.names, room, seed)

    def __dealloc__(self):
        names_end(&self.names)


cdef class EventPlans:
    """Plans of the events that a mapping knows, and of those that it does not.

    Args:
        mappings: normalize.mapping.Mappings.
    """

    def __cinit__(self, mappings):
        self.sheets = {}
        self._keep = []
        names_start(&self._plans, 256, int.from_bytes(os.urandom(8), "little"))
        self._events = mappings.events
        self._raw = self._build(None, "raw_event")

    def __dealloc__(self):
        names_end(&self._plans)

    cdef Sheet _sheet_of(self, str table):
        sheet = self.sheets.get(table)
        if sheet is None:
            sheet = Sheet(table)
            self._system_of(sheet)
            self.sheets[table] = sheet
        return sheet

    cdef void* _block(self, Py_ssize_t size) except NULL:
        block = _Block(size)
        self._keep.append(block)
        return (<_Block>block).data

    # --- building plans -----------------------------------------------------------------------

    cdef Plan* _pending(self, event) except NULL:
        """A plan without a sheet, and those for other conditions: filled when needed."""
        cdef Plan* plan = <Plan*>self._block(sizeof(Plan))
        plan.event = <PyObject*>event
        if event.when:
            # Of several (files of JSON's vendors) who reads the records looks at all.
            plan.when = self._condition(event.when[0])
            if event.otherwise is not None:
                plan.otherwise = self._pending(event.otherwise)
        return plan

    cdef Condition* _condition(self, when) except NULL:
        cdef Condition* made = <Condition*>self._block(sizeof(Condition))
        cdef bytes field = when.field.encode(), text
        cdef Py_ssize_t i
        self._keep.append(field)
        made.field = <const uint8_t*><const char*>field
        made.field_length = len(field)
        made.equal = when.equal
        made.count = len(when.values)
        made.texts = <const uint8_t**>self._block(made.count * sizeof(void*))
        made.sizes = <Py_ssize_t*>self._block(made.count * sizeof(Py_ssize_t))
        for i, value in enumerate(when.values):
            text = value.encode()
            self._keep.append(text)
            made.texts[i] = <const uint8_t*><const char*>text
            made.sizes[i] = len(text)
        return made

    cdef Plan* _build(self, event, str table) except NULL:
        cdef Plan* plan = <Plan*>self._block(sizeof(Plan))
        self._fill_plan(plan, event, table)
        return plan

    cdef int _fill_plan(self, Plan* plan, event, str table) except -1:
        """Makes `plan` the plan of a normalize.section.Event (None: no mapping)."""
        cdef Sheet sheet = self._sheet_of(table)
        cdef _NamesBlock names = _NamesBlock(64, self._plans.seed)
        self._keep.append(names)
        plan.names = &names.names
        plan.audited = event is None or (
            "status_id" not in event.constants and "status_id" not in event.columns
        )
        self._system_targets(plan, sheet)
        plan.severity = True
        if event is not None:
            plan.severity = not {"severity_id"} & {*event.constants, *event.columns}
            self._constants(plan, event, sheet)
            self._targets_of(plan, event, sheet)
        plan.event = <PyObject*>event
        plan.sheet = <PyObject*>sheet
        return 0

    cdef int _system_of(self, Sheet sheet) except -1:
        """What becomes of the System fields in a table: the same in all plans."""
        cdef Target target
        cdef Py_ssize_t i
        sheet.system = <Output*>self._block(2 * SYSTEM_FIELDS * sizeof(Output))
        for i, (column, transform, _) in enumerate(SYSTEM):
            made = [(column, transform, None, None)]
            if i in SECOND:
                made.append((*SECOND[i], None, None))
            self._outputs(&target, made, sheet)
            memcpy(&sheet.system[2 * i], target.outputs, target.count * sizeof(Output))
        return 0

    cdef int _system_targets(self, Plan* plan, Sheet sheet) except -1:
        cdef Target* targets = <Target*>self._block(SYSTEM_FIELDS * sizeof(Target))
        cdef Output* outputs = <Output*>self._block(2 * SYSTEM_FIELDS * sizeof(Output))
        cdef bytes name
        cdef int i
        memcpy(outputs, sheet.system, 2 * SYSTEM_FIELDS * sizeof(Output))
        for i in range(SYSTEM_FIELDS):
            name = SYSTEM_NAMES[i]
            plan.system[i] = &targets[i]
            targets[i].plan = plan
            targets[i].name = <const uint8_t*><const char*>name
            targets[i].name_length = len(name)
            targets[i].outputs = &outputs[2 * i]
            targets[i].count = 2 if i == RECORD_ID or (i == KEYWORDS and plan.audited) else 1
        return 0

    cdef int _constants(self, Plan* plan, event, Sheet sheet) except -1:
        cdef Py_ssize_t n = len(event.constants)
        cdef Column column
        cdef bytes text
        plan.constant_columns = <PyObject**>self._block(n * sizeof(void*))
        plan.constant_values = <int64_t*>self._block(n * sizeof(int64_t))
        plan.default_columns = <PyObject**>self._block(n * sizeof(void*))
        plan.default_values = <int64_t*>self._block(n * sizeof(int64_t))
        plan.word_columns = <PyObject**>self._block(n * sizeof(void*))
        plan.word_texts = <const uint8_t**>self._block(n * sizeof(void*))
        plan.word_sizes = <Py_ssize_t*>self._block(n * sizeof(Py_ssize_t))
        for name, value in event.constants.items():
            column = sheet.rows.column(name)
            if isinstance(value, str):
                text = value.encode()
                self._keep.append(text)
                plan.word_columns[plan.words] = <PyObject*>column
                plan.word_texts[plan.words] = <const uint8_t*><const char*>text
                plan.word_sizes[plan.words] = len(text)
                plan.words += 1
            elif name in event.columns:
                plan.default_columns[plan.defaults] = <PyObject*>column
                plan.default_values[plan.defaults] = value
                plan.defaults += 1
            else:
                plan.constant_columns[plan.constants] = <PyObject*>column
                plan.constant_values[plan.constants] = value
                plan.constants += 1
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
        for field in event.asked:
            fields.setdefault(field, [])
        for field, made in fields.items():
            target = self._new_target(plan, field.encode())
            target.kept = field in event.asked
            self._outputs(target, made, sheet)
            for i in range(target.count):
                column = made[i][0]
                if column in event.constants:
                    target.outputs[i].defaulted = True
                    target.outputs[i].usual = event.constants[column]
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
        """Gives a target its columns: (column, transform, section.Source or None, _) each."""
        cdef Py_ssize_t i
        cdef int covered = 0
        cdef set there = {transform for _, transform, _, _ in made}
        cdef bytes text
        target.count = len(made)
        target.outputs = <Output*>self._block(len(made) * sizeof(Output))
        for column, transform, source, _ in made:
            if transform == "hash":
                covered |= 1 << HASHES.index(source.argument)
        for i, (column, transform, source, _) in enumerate(made):
            self._output_of(&target.outputs[i], sheet, column, transform)
            target.outputs[i].answers = (
                not TRANSFORMS[transform].derived and transform not in PAIRS.values()
            )
            target.lists |= transform in ("items", "joined", "json", "techniques")
            if source is not None:
                self._argument(&target.outputs[i], sheet, source)
            if transform == "hash":
                target.outputs[i].covered = covered
            elif transform in PAIRS:
                target.outputs[i].covered = PAIRS[transform] in there
        return 0

    cdef int _argument(self, Output* out, Sheet sheet, source) except -1:
        """What stands behind the transform's name."""
        cdef bytes argument
        cdef str way = source.transform
        cdef str table = {
            "param": "parameter", "principal": "sid", "principal_domain": "sid",
            "code": source.argument, "split": source.argument,
        }.get(way, "")
        if table:
            codes = code_table(table)       # lives as long as the process
            out.codes = <PyObject*>codes
        elif source.argument and TRANSFORMS[way].argument in ("column", "column?"):
            other = sheet.rows.column(source.argument)      # the Sheet keeps it
            out.other = <PyObject*>other
            out.other_is_word = pa.types.is_dictionary((<Column>other).type)
        elif way == "epoch":
            out.unit = UNITS[source.argument]
        elif way == "hash":
            out.hash = HASHES.index(source.argument)
        elif source.values:
            out.values = self._value_map(source.values)
            if way == "bits":
                self._masks(out.values, source.values)
        elif source.argument:
            argument = source.argument.encode()
            self._keep.append(argument)
            out.argument = <const uint8_t*><const char*>argument
            out.argument_length = len(argument)
        return 0

    cdef int _output_of(self, Output* out, Sheet sheet, str column, str transform) except -1:
        cdef _Place place = sheet.places.get(column)
        if place is None:
            place = sheet.places[column] = self._place(sheet.rows.column(column))
        out[0] = place.output
        out.transform = WAYS[transform]
        return 0

    cdef _place(self, made):
        cdef _Place place = _Place()
        cdef Output* out = &place.output
        kind = (<Column>made).type
        out.column = <PyObject*>made
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
            out.kind = K_TEXTS if pa.types.is_string(kind.value_type) else K_BIGS
        elif pa.types.is_floating(kind):
            out.kind = K_DOUBLE
        else:
            out.kind = K_INT
            limit = 1 << (kind.bit_width - 1)
            out.low = -limit
            out.high = limit - 1
        return place

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

    cdef int _masks(self, ValueMap* made, values) except -1:
        cdef Py_ssize_t i
        made.masks = <uint64_t*>self._block(made.count * sizeof(uint64_t))
        for i, (mask, _) in enumerate(values):
            made.masks[i] = int(mask, 0)
        return 0

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
            with gil:
                plan = self._meet((<const char*>key)[:n + 1 + code_length])
        return self._ready(plan)

    cdef Plan* _meet(self, bytes key) except NULL:
        """The plan of a kind of event that comes for the first time."""
        cdef Plan* plan = self._raw
        provider, _, code = key.decode("utf-8", "replace").rpartition("\x1f")
        event = self._events.get((provider, code))
        if event is not None:
            plan = self._pending(event)
        elif self._plans.count >= MAX_KINDS:
            return plan         # kinds that are data, or hostile: memory is bounded
        self._keep.append(key)
        names_add(&self._plans, <const uint8_t*><const char*>key, len(key), plan)
        return plan

    cdef Plan* _ready(self, Plan* plan) except NULL nogil:
        if plan.sheet is NULL:
            with gil:
                event = <object>plan.event
                self._fill_plan(plan, event, event.table)
        return plan

    cdef Plan* otherwise(self, Plan* plan) except NULL nogil:
        return self._raw if plan.otherwise is NULL else self._ready(plan.otherwise)

    cdef Plan* plan(
        self, const uint8_t* provider, Py_ssize_t n, int64_t event_id
    ) except NULL nogil:
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

    cdef Target* again(self, Target* target, int64_t serial) except NULL nogil:
        cdef Target* next_one = target
        # Numbers before the last that was given in this event are taken.
        cdef int64_t number = target.repeats if target.repeats_of == serial else 1
        while next_one.seen == serial:
            number += 1
            with gil:
                name = (<const char*>target.name)[:target.name_length] + f"[{number}]".encode()
                next_one = <Target*>names_find(
                    target.plan.names, <const uint8_t*><const char*>name, len(name)
                )
                if next_one is NULL:
                    next_one = self._new_target(target.plan, name)
        target.repeats = number
        target.repeats_of = serial
        return next_one

    cdef int _join_outputs(self, Target* target, const Target* more) except -1:
        """Gives a target the columns of another one, too."""
        cdef Output* outputs = <Output*>self._block(
            (target.count + more.count) * sizeof(Output)
        )
        memcpy(outputs, target.outputs, target.count * sizeof(Output))
        memcpy(outputs + target.count, more.outputs, more.count * sizeof(Output))
        target.outputs = outputs
        target.count += more.count
        target.lists |= more.lists
        return 0

    cdef list bind(self, Plan* plan, str column, sources, names=None):
        cdef Choice* choice = NULL
        cdef Bound bound
        cdef Target* known
        cdef bytes name
        cdef Py_ssize_t rank
        cdef list made
        targets = []
        if len(sources) > 1:
            choice = self._new_choice(plan, len(sources))
        for rank, source in enumerate(sources):
            bound = Bound()
            name = (source.field if names is None else names[rank]).encode()
            bound.target = self._free_target(plan, name)
            made = [(column, source.transform, source, None)]
            if column == "src_record_id":
                made.append((*SECOND[RECORD_ID], None, None))
            elif column == "event_keywords" and plan.audited:
                made.append((*SECOND[KEYWORDS], None, None))
            self._outputs(bound.target, made, <Sheet>plan.sheet)
            known = NULL
            if names is not None:
                known = <Target*>names_find(
                    plan.names, <const uint8_t*><const char*>name, len(name)
                )
            if known is not NULL:
                bound.target.kept = known.kept
                self._join_outputs(bound.target, known)
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
        memset(room, 0, sizeof(Target))
        room.plan = plan
        room.name = p
        room.name_length = len(name)
        return room
