"""A decoded JSON object into a row (see objects.pxd).

One decoded object is held at a time. orjson is fast and forgets two things without a word:
all but the last of members with the same name, and digits of numbers beyond 64 bits. Both are
seen cheaply (the names counted in the text, long runs of digits), and such a text is decoded
once more by `json`, which can keep them. What cannot be kept as it is (broken UTF-8, unpaired
surrogates) is repaired, flagged, and the raw text kept in the row.
"""

import json
import re

import orjson

from cpython.dict cimport PyDict_GetItem, PyDict_Next
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint64_t

from tracelake.native.hash64 cimport hash64
from tracelake.native.text cimport parse_iso_time, put_iso_time
from tracelake.normalize.section import ANY
from tracelake.parsers.event_plan cimport PROVIDER, Bound
from tracelake.parsers.since_epoch cimport parse_epoch
from tracelake.parsers.since_epoch import UNITS as EPOCH_UNITS
from tracelake.parsers.flags cimport TEXT_REPAIRED, ZONE_ASSUMED
from tracelake.parsers.values cimport (
    BOOL, INT, NOTHING, TEXT_VALID, UINT, Value, bytes_value, number_value,
)

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL
    long long PyLong_AsLongLongAndOverflow(object number, int* overflow) except? -1

# Objects deeper than this are one pair, as JSON text.
DEPTH = 32
cdef int MAX_DEPTH = DEPTH
# Names that are remembered, with what becomes of each: a text with more has names that are data
# (or hostile), and memory is bounded.
MEMBERS = 50_000
cdef Py_ssize_t MAX_MEMBERS = MEMBERS
# Digits that a double certainly keeps.
cdef int SAFE_DIGITS = 15
cdef int64_t QUARTER = 900000000        # microseconds
SURROGATES = re.compile("[\ud800-\udfff]")


class Number(str):
    """The text of a number that no machine number holds."""


class Pairs(list):
    """The members of an object that has a name twice."""

    def get(self, key, default=None):
        return next((value for name, value in self if name == key), default)

    def __contains__(self, key):
        return any(name == key for name, _ in self)


def _pairs(pairs):
    made = dict(pairs)
    return made if len(made) == len(pairs) else Pairs(pairs)


def _integer(text):
    return int(text) if len(text) <= 18 else Number(text)


def decode_exactly(text):
    """JSON text to Python, with every member and every digit. Raises ValueError, RecursionError."""
    return json.loads(
        text, object_pairs_hook=_pairs, parse_int=_integer, parse_float=Number, parse_constant=Number
    )


def encode(value):
    """JSON text of a decoded value, as `decode_exactly` or orjson gave it. Raises RecursionError."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{encode(k)}:{encode(v)}" for k, v in value) + "}"
    if isinstance(value, dict):
        return "{" + ",".join(f"{encode(k)}:{encode(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(encode, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return orjson.dumps(value).decode()


cdef Py_ssize_t _names(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """Number of member names in a JSON text, or more; never fewer."""
    cdef Py_ssize_t i = 0, end, plain = 0
    cdef bint odd = False, inside = False
    cdef uint8_t names, rest
    # Counters of one byte and no branches: the compiler makes it sixteen bytes at a time.
    while i < n:
        end = i + 255 if i + 255 < n else n
        names = rest = 0
        if i == 0:
            i = 2
        for i in range(i, end):
            names += (p[i] == 58) & (p[i - 1] == 34)
            rest |= (p[i] == 58) & (
                (p[i - 1] <= 32) | ((p[i - 1] == 34) & (p[i - 2] == 92))
            )
        i = end
        plain += names
        odd |= rest
    if not odd:
        return plain
    plain = 0
    i = 0
    while i < n:
        if p[i] == 92 and inside:
            i += 1
        elif p[i] == 34:
            inside = not inside
        elif p[i] == 58 and not inside:
            plain += 1
        i += 1
    return plain


cdef bint _long_number(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """Whether some number, or what looks like one, has more digits than a double keeps."""
    cdef Py_ssize_t i
    cdef int digits = 0
    for i in range(n):
        if 48 <= p[i] <= 57:
            digits += 1
            if digits > SAFE_DIGITS:
                return True
        elif p[i] != 46:
            digits = 0
    return False


cdef Py_ssize_t _keys_of(value) except -1:
    """Member names in a list, however deep."""
    cdef Py_ssize_t n = 0
    if type(value) is dict:
        n = len(value)
        for item in (<dict>value).values():
            if type(item) is dict or type(item) is list:
                n += _keys_of(item)
    elif type(value) is list:
        for item in <list>value:
            if type(item) is dict or type(item) is list:
                n += _keys_of(item)
    return n


cdef bint _has_floats(value) except -1:
    if type(value) is float:
        return True
    if type(value) is list:
        for item in <list>value:
            if _has_floats(item):
                return True
    elif type(value) is dict:
        for item in (<dict>value).values():
            if _has_floats(item):
                return True
    return False


cdef object _get(d, tuple keys):
    """The value at a path, or None. `{"a.b": 1}` says the same as `{"a": {"b": 1}}`."""
    cdef Py_ssize_t i
    for i, key in enumerate(keys):
        if type(d) is dict:
            if i + 1 < len(keys) and key not in <dict>d:
                return (<dict>d).get(".".join(keys[i:]))
            d = (<dict>d).get(key)
        elif type(d) is Pairs:
            d = d.get(key)
        else:
            return None
    return d


cdef bint _has(d, tuple members) except -1:
    for keys, values in members:
        value = _get(d, <tuple>keys)
        if value is None or (values and (not _is_pair(value) or _pair_text(value) not in values)):
            return False
    return True


cdef tuple _keys_in(str path):
    return tuple(path.split(".")) if path else ()


cdef object _field(d, shape, str name):
    """The text of a named value of the event, as its pair shows it; None where there is none.

    The order is that in which a row takes them: a name that comes again is another pair.
    """
    if "." in name:
        return _nested_field(d, shape, name)
    for path in shape.data:
        if path:
            found = _get(d, _keys_in(path.removesuffix(".*")))
            for object_ in _values(found) if path.endswith(".*") else (found,):
                for key, value in _items(object_):
                    if key == name and _is_pair(value):
                        return _pair_text(value)
    for key, value in _items(d):
        if key == name and _is_pair(value):
            return _pair_text(value)
        if key in shape.data_text and type(value) is str:
            try:
                inner = decode_exactly(value)
            except (ValueError, RecursionError):
                continue
            for inner_key, inner_value in _items(inner):
                if inner_key == name and _is_pair(inner_value):
                    return _pair_text(inner_value)
    return None


cdef object _nested_field(d, shape, str name):
    """The same of a value named by its path."""
    for path in (*shape.data, ""):
        found = _get(d, _keys_in(f"{path}.{name}" if path else name))
        if found is not None and _is_pair(found):
            return _pair_text(found)
        for text_path in shape.json_text:
            inside = f"{text_path.removeprefix(path + '.') if path else text_path}."
            text = _get(d, _keys_in(text_path))
            if name.startswith(inside) and type(text) is str:
                try:
                    found = _get(decode_exactly(text), _keys_in(name.removeprefix(inside)))
                except (ValueError, RecursionError):
                    continue
                if found is not None and _is_pair(found):
                    return _pair_text(found)
    return None


cdef object _items(value):
    """The members of an object; none where it is something else."""
    return value.items() if type(value) is dict else value if type(value) is Pairs else ()


cdef list _values(value):
    return [item for _, item in _items(value)]


cdef bint _is_pair(value):
    """Whether a member is one pair; the members of an object are pairs of their own."""
    return not ((type(value) is dict or type(value) is Pairs) and len(value))


cdef object _pair_text(value):
    if value is None:
        return None
    if type(value) is str or type(value) is Number:
        return SURROGATES.sub("\ufffd", value)
    return encode(value)


cdef int _read_time(value, int64_t* us, int* below) except -1:
    """As parse_iso_time, of a Python value."""
    cdef Py_ssize_t n = 0
    cdef const char* p
    if type(value) is not str or len(value) > 64:
        return 0
    try:
        p = PyUnicode_AsUTF8AndSize(value, &n)
    except UnicodeEncodeError:
        return 0
    return parse_iso_time(<const uint8_t*>p, n, us, below)


cdef int _read_epoch(value, str unit, int64_t* us, int* below) except -1:
    """As _read_time, of a number or its digits since an epoch."""
    cdef bytes text
    if type(value) is bool or value is None or not _is_pair(value):
        return 0
    text = _pair_text(value).encode()
    return parse_epoch(
        <const uint8_t*><const char*>text, len(text), EPOCH_UNITS[unit], us, below
    ) != 0


cdef class Member:
    """A member of an object, by its path, and what becomes of it."""


cdef class Wrap:
    """One shape around one kind of event."""


cdef class Objects:
    """Rows of JSON objects.

    Args:
        mappings: normalize.mapping.Mappings.
        shapes: normalize.shapes.Shape each, in the order in which they are tried.
    """

    def __cinit__(self, mappings, shapes):
        self.events = Events(mappings)
        self._mappings = mappings
        self._shapes = [
            (
                shape,
                tuple((_keys_in(member.path), member.values) for member in shape.has),
                tuple(_keys_in(path) for path in shape.provider),
                tuple(_keys_in(path) for path in shape.event),
            )
            for shape in shapes
        ]
        self._wraps = {}
        self._kept = []
        self.why = ""

    # --- what becomes of which member ---------------------------------------------------------

    cdef Wrap _wrap_of(self, d):
        for shape, has, providers, codes in self._shapes:
            if _has(d, <tuple>has):
                break
        provider = code = None
        for keys in <tuple>providers:
            provider = _get(d, <tuple>keys)
            if type(provider) is str:
                break
        for keys in <tuple>codes:
            code = _get(d, <tuple>keys)
            if type(code) is int or type(code) is str:
                break
        if type(code) is int:
            code = str(code)
        if shape.vendor:
            provider = shape.vendor
            code = code if type(code) is str else ANY
        key = (provider, code) if type(provider) is str and type(code) is str else (None, None)
        event = self._mappings.events.get(key)
        if event is None and shape.vendor:
            key = (provider, ANY)
            event = self._mappings.events.get(key)
        if event is None:
            key = (None, None)
        skipped = 0
        while event is not None and event.when:
            if all([one.holds(_field(d, shape, one.field)) for one in event.when]):
                break
            event = event.otherwise
            skipped += 1
        known = (id(shape), key, skipped)
        wrap = self._wraps.get(known)
        if wrap is None:
            wrap = self._wraps[known] = self._plan_wrap(
                shape, key[0] or "", key[1] or "", skipped
            )
        return <Wrap>wrap

    cdef Wrap _plan_wrap(self, shape, str provider, str code, int skipped):
        cdef bytes a = provider.encode(), b = code.encode()
        cdef Plan* plan = self.events.plans.plan_named(
            <const uint8_t*><const char*>a, len(a), <const uint8_t*><const char*>b, len(b)
        )
        for _ in range(skipped):
            plan = self.events.plans.otherwise(plan)
        return self._new_wrap(shape, plan)

    cdef Wrap _new_wrap(self, shape, Plan* plan):
        cdef Wrap wrap = Wrap()
        cdef Member member
        wrap.shape = shape
        wrap.plan = plan
        wrap.root = Member()
        wrap.root.path = ""
        wrap.root.members = {}
        wrap.root.names = "" in shape.data
        wrap.data = []
        for path in shape.data:
            if path.endswith(".*"):
                path = path.removesuffix(".*")
                member = self._at(wrap, path)
                member.wraps = True
                wrap.data.append((_keys_in(path), member))
            elif path:
                member = self._at(wrap, path)
                member.names = member.ahead = True
                wrap.data.append((_keys_in(path), member))
        for path in shape.data_text:
            member = self._at(wrap, path)
            member.names = True
            member.as_text = True
        for path in shape.json_text:
            self._at(wrap, path).as_text = True
        for column, sources in shape.system.items():
            bound = self.events.plans.bind(wrap.plan, column, sources)
            for i, source in enumerate(sources):
                member = self._at(wrap, source.field)
                member.target = (<Bound>bound[i]).target
        wrap.vendor = shape.vendor.encode() or None
        wrap.time = self._clocks(wrap, shape.time)
        wrap.logged = self._clocks(wrap, shape.logged)
        return wrap

    cdef list _clocks(self, Wrap wrap, clocks):
        return [
            (clock.kind, _keys_in(clock.path), self._at(wrap, clock.path), clock.path.encode(),
             "".join(clock.fields) if clock.kind == "epoch" else [_keys_in(path) for path in clock.fields])
            for clock in clocks
        ]

    cdef Member _at(self, Wrap wrap, str path):
        """The member at a path of the shape; makes it and those above it."""
        cdef Member member = wrap.root
        for key in _keys_in(path):
            found = member.members.get(key)
            member = <Member>found if found is not None else self._new_member(wrap, member, key)
        return member

    cdef Member _new_member(self, Wrap wrap, Member parent, str key):
        cdef Member member = Member()
        cdef bytes name
        key = SURROGATES.sub("\ufffd", key)
        if "." in key:
            # A name with dots is the path that it looks like, where the shape has that.
            known = parent
            for part in key.split("."):
                known = (<Member>known).members.get(part)
                if known is None:
                    break
            else:
                parent.members[key] = known
                return <Member>known
        member.path = key if parent.names or not parent.path else f"{parent.path}.{key}"
        member.names = member.ahead = parent.wraps
        member.members = {}
        name = member.path.encode()
        if self.members >= MAX_MEMBERS:
            member.name = name
            member.target = self.events.plans.loose(wrap.plan, name, &member.own)
            return member
        member.target = self.events.plans.target(
            wrap.plan, <const uint8_t*><const char*>name, len(name)
        )
        parent.members[key] = member
        self.members += 1
        return member

    cdef Target* _pair_of(self, Member member) except NULL:
        """Where a value goes that no column takes."""
        if member.target.count == 0 or member.target.lists:
            return member.target
        if member.pair is NULL:
            member.pair = self.events.plans.pair(self._wrap.plan, member.path)
        return member.pair

    # --- one object ---------------------------------------------------------------------------

    cdef int add(self, const uint8_t* p, Py_ssize_t n, int64_t offset) except -1:
        cdef bytes text = (<const char*>p)[:n]
        cdef int done
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            self.why = str(error)
            return self._odd(text, offset, n)
        try:
            done = self._row(value, text, offset, n, False)
        except RecursionError:
            self.why = "nested too deeply"
            return 0
        return done if done else self._odd(text, offset, n)

    def put(self, bytes text, int64_t offset):
        """As `add`, for tests."""
        return self.add(<const uint8_t*><const char*>text, len(text), offset)

    cdef int _odd(self, bytes text, int64_t offset, int64_t length) except -1:
        """A text that orjson refuses, or that says more than it gives."""
        self._repaired = False
        try:
            try:
                value = decode_exactly(text.decode())
            except UnicodeDecodeError:
                value = decode_exactly(text.decode("utf-8", "replace"))
                self._repaired = True
            return self._row(value, text, offset, length, True)
        except RecursionError:
            self.why = "nested too deeply"
        except ValueError as error:
            self.why = f"not JSON: {error}"
        self.events.give_up()
        return 0

    cdef int _row(self, value, bytes text, int64_t offset, int64_t length, bint exact) except -1:
        """Puts one row; 0 where `exact` is needed and not given."""
        cdef const uint8_t* p = <const uint8_t*><const char*>text
        cdef Wrap wrap
        cdef Member member
        cdef Value provider
        cdef int full
        if type(value) is not dict and type(value) is not Pairs:
            value = {"value": value}
            length_of_names = 1
        else:
            length_of_names = 0
        wrap = self._wrap = self._wrap_of(value)
        self._kept.clear()
        self._keys = -length_of_names
        self._floats = False
        self._exact = exact
        if not exact:
            self._repaired = False
        self._clock = None
        self.events.begin(wrap.plan)
        try:
            if wrap.vendor is not None:
                self._kept.append(wrap.vendor)
                provider = bytes_value(
                    TEXT_VALID, <const uint8_t*><const char*>wrap.vendor, len(wrap.vendor)
                )
                self.events.system(PROVIDER, &provider)
            self._times(value)
            for keys, member in wrap.data:
                found = _get(value, <tuple>keys)
                if member.wraps:
                    self._wrapped(found, member, len(keys) + 1)
                elif type(found) is dict or type(found) is Pairs:
                    self._members(found, member, len(keys))
            self._members(value, wrap.root, 0)
            if not exact and (
                self._keys != _names(p, len(text))
                or (self._floats and _long_number(p, len(text)))
            ):
                self.events.give_up()
                return 0
            if self._repaired:
                self.events.flag(TEXT_REPAIRED)
            if self._repaired or not wrap.shape.has:
                self.events.keep_raw(p, len(text))
            full = self.events.end(
                offset, length, 0, 0,
                0 if self.events.is_canonical() else hash64(p, len(text), 0),
            )
        except (orjson.JSONEncodeError, RecursionError) as error:
            self.events.give_up()
            raise RecursionError(str(error)) from error
        except BaseException:
            self.events.give_up()
            raise
        return 2 if full else 1

    cdef int _times(self, d) except -1:
        """Sets the row's time from the first clock of the shape that shows one."""
        cdef int64_t us = 0, a = 0, b = 0, apart, zone
        cdef int below = 0, rest = 0, kind
        cdef uint8_t[32] made
        cdef Py_ssize_t n = 0
        cdef const char* p
        cdef list clocks
        for clocks in (self._wrap.time, self._wrap.logged):
            for how, keys, member, name, fields in clocks:
                text = _get(d, <tuple>keys)
                if how == "epoch":
                    kind = _read_epoch(text, fields, &us, &below)
                else:
                    kind = _read_time(text, &us, &below)
                if kind == 0:
                    continue
                if kind == 2 and how == "local":
                    if _read_time(_get(d, <tuple>fields[0]), &a, &rest) and _read_time(
                        _get(d, <tuple>fields[1]), &b, &rest
                    ):
                        apart = b - a
                        zone = (apart + QUARTER // 2) // QUARTER * QUARTER
                        # Two clocks that were read in the same moment differ by little more
                        # than the zone; otherwise they say nothing about it.
                        if not -QUARTER // 3 <= apart - zone <= QUARTER // 3:
                            continue
                        us += zone
                if clocks is self._wrap.logged:
                    self.events.set_logged(us)
                    break
                if kind == 2 and how != "utc":
                    self.events.flag(ZONE_ASSUMED)
                self.events.set_time(us, below)
                self.events.time_desc(<const uint8_t*><const char*>name, len(name))
                if how == "epoch":
                    break
                # Left out of `unmapped` if `time` gives back its very text.
                put_iso_time(made, us, 0)
                p = PyUnicode_AsUTF8AndSize(text, &n)
                if how == "utc":
                    made[10] = 32
                elif how == "zone":
                    made[23] = 90
                if how != "local" and us % 1000 == 0 and below == 0 and (
                    (<const char*>made)[:23 if how == "utc" else 24] == p[:n]
                ):
                    self._clock = <Member>member
                break
        return 0

    cdef int _wrapped(self, d, Member parent, int depth) except -1:
        """Objects with named values that stand one below `d`, whatever they are called."""
        cdef Member member
        for key, value in _items(d):
            if type(value) is dict or type(value) is Pairs:
                member = parent.members.get(key)
                if member is None:
                    member = self._new_member(self._wrap, parent, key)
                self._members(value, member, depth)
        return 0

    cdef int _members(self, d, Member parent, int depth) except -1:
        cdef PyObject* key
        cdef PyObject* value
        cdef PyObject* found
        cdef Py_ssize_t at = 0
        cdef Member member
        if type(d) is not dict:
            for name, item in d:
                member = parent.members.get(name)
                if member is None:
                    member = self._new_member(self._wrap, parent, name)
                self._value(member, item, depth)
            return 0
        # What is walked before the rest is counted where it stands.
        if not parent.ahead:
            self._keys += len(<dict>d)
        while PyDict_Next(<dict>d, &at, &key, &value):
            found = PyDict_GetItem(parent.members, <object>key)
            if found is NULL:
                member = self._new_member(self._wrap, parent, <str><object>key)
            else:
                member = <Member><object>found
            self._value(member, <object>value, depth)
        return 0

    cdef int _value(self, Member member, value, int depth) except -1:
        cdef Value v
        cdef int overflow = 0
        cdef Target* target = member.target
        if member is self._clock:
            return 0
        if type(value) is str and not member.as_text:
            return self._text(target, value)
        if type(value) is bool:
            v = number_value(BOOL, value is True)
        elif type(value) is int:
            v = number_value(INT, <uint64_t>PyLong_AsLongLongAndOverflow(value, &overflow))
            if overflow > 0:
                if value >> 64:
                    return self._made(target, str(value))
                v = number_value(UINT, value)
            elif overflow < 0:
                return self._made(target, str(value))
        elif value is None:
            v = number_value(NOTHING, 0)
        else:
            return self._odd_value(member, value, depth)
        return self.events.put(target, &v)

    cdef int _text(self, Target* target, value) except -1:
        cdef Py_ssize_t n = 0
        cdef const char* p
        cdef Value v
        try:
            p = PyUnicode_AsUTF8AndSize(value, &n)
        except UnicodeEncodeError:
            value = SURROGATES.sub("\ufffd", value)
            self._kept.append(value)
            self._repaired = True
            p = PyUnicode_AsUTF8AndSize(value, &n)
        v = bytes_value(TEXT_VALID, <const uint8_t*>p, n)
        return self.events.put(target, &v)

    cdef int _made(self, Target* target, str text) except -1:
        """Text that is no part of the object and must stay until the row ends."""
        self._kept.append(text)
        return self._text(target, text)

    cdef int _odd_value(self, Member member, value, int depth) except -1:
        """Floats, lists, objects, and objects as text."""
        if type(value) is str:
            return self._data_text(member, value, depth)
        if type(value) is Number:
            return self._text(member.target, value)
        if type(value) is float:
            self._floats = True
            return self._made(member.target, orjson.dumps(value).decode())
        if type(value) is dict or type(value) is Pairs:
            if member.ahead and depth < MAX_DEPTH:
                if type(value) is dict:
                    self._keys += len(<dict>value)      # walked before the others
                return 0
            if len(value) and depth < MAX_DEPTH:
                return self._members(value, member, depth + 1)
        if self._exact:
            made = encode(value)
        else:
            self._keys += _keys_of(value)
            if _has_floats(value):
                self._floats = True
            made = orjson.dumps(value).decode()
        return self._made(self._pair_of(member), made)

    cdef int _data_text(self, Member member, str value, int depth) except -1:
        """An object with named values as JSON text."""
        cdef Py_ssize_t keys = self._keys
        try:
            inner = decode_exactly(value)
        except (ValueError, RecursionError):
            inner = None
        if type(inner) is not dict and type(inner) is not Pairs:
            return self._text(self._pair_of(member), value)
        self._kept.append(inner)
        self._members(inner, member, depth + 1)
        self._keys = keys       # the names of the outer text are what is counted
        return 0
