"""How shippers wrap an event in JSON: the shapes and their checker.

A shape says how an object is recognised, who wrote the event and what it is called (which picks
the mapping, see mapping.py), where its named values are, and which members are fields of the log
itself. Shippers of other people's events (Winlogbeat, NXLog) have a file of their own for it in
`normalize/mappings/json/`; a vendor's mapping file in `normalize/mappings/vendors/` has a
`[[shapes]]` for each way in which its events come, and `provider` is then the file's. Members are
named by their path, with dots: `winlog.event_data`.

    has = ["EventID", "SourceName", "EventTime"]    # an object of this shape has all of these;
                                                    # `category=a|b`: with one of these texts;
                                                    # `!x`: and has no x
    provider = "SourceName"                         # or a list: the first that is there
    event = "EventID"
    code = "conn"               # instead: all events of this shape are called so (vendors' files)
    data = ["", "a.b", "c.*"]   # objects whose members are named values: the object itself, the
                                # one at a.b, and all that stand in c
    data_text = ["EventData"]   # members that hold such an object as JSON text
    capital = true              # names of those values begin with a capital letter, as Windows has
                                # them (Wazuh makes it a small one)
    json_text = ["a.Fields"]    # the same, but the values are named by their paths: Fields.x
    each = ["Records"]          # lists of objects that are records of their own (below),
    inside = ["result"]         # and an object that is
    time = ["UtcTime | utc", "@timestamp | zone"]   # the first that is a time
    logged = ["EventTime | local EventReceivedTime @timestamp"]     # if `time` is another clock
    [system]                                        # columns that every table has
    device_hostname = "Hostname"                    # transforms and choices as in a mapping file
    [maps.level]
    information = 4

Clocks: `zone` is ISO 8601 with its zone (without one it is read as UTC and flagged); `utc` is
UTC by definition, with or without saying so; `local A B` is local time without a zone: its
offset is that of A (the same clock) to B (UTC), two times taken in the same moment, to the next
quarter of an hour; the row is flagged (parse_flags 32) and the text stays in `unmapped`; `epoch U`
is a number (or its digits) of U since 1970: s, ms, us, ns, with decimals, or `filetime` (100 ns
since 1601); `epoch` alone tells the unit by the number's size; `written` is a time as programs
write it for people, in the ways of parsers/written_time.pyx, and may be put together of several
members (`date + time + tz | written`); `written dmy` or `written mdy` says in which order dates
like 05/10/2019 are.

Records in records: an object of a shape with `each` or `inside` is only wrapping paper, and every
object in these lists is a record, of whatever shape it has itself. What else the wrapper says is
said of each of them: its other members are theirs too, behind their own. `"snapshot as columns"`
puts the members of the element below `columns`, beside those of the wrapper. Of a list below
another member, `diffResults.added`, that one says where it was: `diffResults` is `added`. With `own
= true` the object is a record of its own, too, without these lists, and its members stay with it
(trees: `__children`). With `others = 8` it is of the shape only if it has no more other values than
that. `each` and `inside` together count as one in `has`; a list counts only where it has objects
and nothing else. A wrapper that has very much to say (of very many elements) is a record of its own
instead.

The shape with the most members in `has` wins, of several that have as many the one that asks for
texts. One without any is for objects of no other shape.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from tracelake.normalize import TABLES
from tracelake.normalize import extra as analysts
from tracelake.normalize.mapping_file import SYSTEM, File, MappingError
from tracelake.normalize.parsed import FOLDER
from tracelake.normalize.section import Source
from tracelake.normalize.transforms import EPOCHS

CLOCKS = {"zone": (0,), "utc": (0,), "local": (2,), "epoch": (0, 1), "written": (0, 1)}
"""Clock -> how many words it takes."""

ORDERS = ("mdy", "dmy")
"""Orders of a date that `written` may be told."""


@dataclass(frozen=True, slots=True)
class Clock:
    """A member that is a time: its path, how to read it, and the fields (or unit) for that."""

    path: str
    kind: str
    fields: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """The members that it is put together of, more than one only of `written`."""
        return tuple(self.path.split(" + "))


@dataclass(frozen=True, slots=True)
class Member:
    """A member that an object of a shape has: its path, and its texts where only some will do.
    Where `absent`, it must not have it."""

    path: str
    values: tuple[str, ...] = ()
    absent: bool = False


@dataclass(frozen=True, slots=True)
class Each:
    """A list whose objects are records (or, `alone`, an object that is one): its path, and below
    which path its members stand in the record."""

    path: str
    below: str = ""
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """How one shipper wraps events (see the module's docstring). Where `vendor` is set it is the
    provider of all events, and `provider` is empty; where `code` is, `event` is."""

    name: str
    vendor: str
    has: tuple[Member, ...]
    provider: tuple[str, ...]
    event: tuple[str, ...]
    data: tuple[str, ...]
    data_text: tuple[str, ...]
    json_text: tuple[str, ...]
    time: tuple[Clock, ...]
    logged: tuple[Clock, ...]
    system: Mapping[str, tuple[Source, ...]]
    code: str = ""
    each: tuple[Each, ...] = ()
    own: bool = False
    others: int | None = None
    capital: bool = False

    def names_of(self, sources: Iterable[Source]) -> list[str] | None:
        """Names of members that fill columns of every table and may fill others, too: those of a
        vendor's own file. What shippers call theirs says nothing of the event's own fields."""
        return [self.name_of(source.field) for source in sources] if self.vendor else None

    def name_of(self, path: str) -> str:
        """The named value that the member at a path is: what follows the object it stands in."""
        for folder in self.data:
            if folder and path.startswith(f"{folder}."):
                return path.removeprefix(f"{folder}.")
        return path


def _texts(file: File, given: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = given.get(key, [])
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise file.refuse("", key, "is not a text or a list of texts")
    return tuple(value)


def _member(text: str) -> Member:
    if text.startswith("!"):
        return Member(text[1:], absent=True)
    path, equal, values = text.partition("=")
    return Member(path, tuple(values.split("|")) if equal else ())


def _each(text: str, alone: bool) -> Each:
    path, _, below = (part.strip() for part in text.partition(" as "))
    return Each(path, below, alone)


def _clock(file: File, key: str, spec: str) -> Clock:
    path, _, rest = (part.strip() for part in spec.partition(" | "))
    kind, *fields = rest.split() or ["zone"]
    if kind not in CLOCKS:
        raise file.refuse("", key, f"no clock {kind!r}; there are {', '.join(CLOCKS)}")
    if len(fields) not in CLOCKS[kind]:
        count = " or ".join(map(str, CLOCKS[kind]))
        raise file.refuse("", key, f"{kind} takes {count} words, not {len(fields)}")
    if kind == "epoch" and not {*fields} <= {*EPOCHS, "filetime"}:
        units = ", ".join((*EPOCHS, "filetime"))
        raise file.refuse("", key, f"no unit {fields[0]!r}; there are {units}")
    if kind == "written" and not {*fields} <= {*ORDERS}:
        raise file.refuse("", key, f"no order {fields[0]!r}; there are {', '.join(ORDERS)}")
    if " + " in path and kind != "written":
        raise file.refuse("", key, f"only `written` is put together of several members, not {kind}")
    return Clock(path, kind, tuple(fields))


KEYS = {
    "has", "provider", "event", "code", "data", "data_text", "json_text", "time", "logged",
    "system", "each", "inside", "own", "others", "capital",
}


def _shape(file: File, name: str, given: Mapping[str, object], vendor: str) -> Shape:
    for key in given.keys() - (KEYS - {"provider"} if vendor else KEYS - {"code"} | {"maps"}):
        raise file.refuse("", key, f"is none of {', '.join(sorted(KEYS))}")
    schema = TABLES["raw_event"].schema
    system: dict[str, tuple[Source, ...]] = {}
    columns = given.get("system", {})
    if not isinstance(columns, dict):
        raise file.refuse("", "system", "is not a table of columns")
    event = _texts(file, given, "event")
    code = given.get("code", "")
    if not isinstance(code, str) or (code and event):
        raise file.refuse("", "code", "is not a text, or stands beside `event`")
    if vendor and event and "event_code" not in columns:
        columns = columns | {"event_code": list(event)}
    for column, fields in columns.items():
        if schema.get_field_index(column) < 0 or column not in SYSTEM:
            raise file.refuse("system", column, "is not a column that a shape may fill")
        kind = schema.field(column).type
        system[column] = tuple(
            file.source("system", column, kind, spec)
            for spec in (fields if isinstance(fields, list) else [fields])
        )
    paths = [source.field for sources in system.values() for source in sources]
    for path in paths:
        if paths.count(path) > 1:
            raise file.refuse("system", "", f"{path} fills more than one column")
    own, others = given.get("own", False), given.get("others")
    capital = given.get("capital", False)
    if not isinstance(capital, bool):
        raise file.refuse("", "capital", "is not true or false")
    if not isinstance(own, bool):
        raise file.refuse("", "own", "is not true or false")
    if others is not None and (type(others) is not int or others < 0):
        raise file.refuse("", "others", "is not a number of values")
    return Shape(
        name=name,
        vendor=vendor,
        has=tuple(map(_member, _texts(file, given, "has"))),
        provider=_texts(file, given, "provider"),
        event=event,
        data=_texts(file, given, "data") or (("",) if vendor else ()),
        data_text=_texts(file, given, "data_text"),
        json_text=_texts(file, given, "json_text"),
        time=tuple(_clock(file, "time", spec) for spec in _texts(file, given, "time")),
        logged=tuple(_clock(file, "logged", spec) for spec in _texts(file, given, "logged")),
        system=system,
        code=code,
        each=tuple(
            _each(text, alone)
            for key, alone in (("each", False), ("inside", True))
            for text in _texts(file, given, key)
        ),
        own=own,
        others=others,
        capital=capital,
    )


def _shapes(name: str, text: str) -> list[Shape]:
    """The shapes of a file: a shipper's, which is one, or those of a vendor's mapping file."""
    file = File(name, text)
    stem = name.rpartition("/")[2].removesuffix(".toml")
    given = file.content.get("shapes")
    if given is None:
        return [_shape(file, stem, file.content, "")]
    if not isinstance(given, list) or not all(isinstance(shape, dict) for shape in given):
        raise file.refuse("", "shapes", "is not a list of tables: [[shapes]]")
    made = []
    for file.entry, shape_given in enumerate(given):
        shape = _shape(file, stem, shape_given, file.providers[0])
        made.append(shape)
        if not shape.has and not shape.each:
            raise file.refuse("", "has", "is missing: every object would be of this shape")
    return made


def _rank(shape: Shape) -> tuple[int, int]:
    return -len(shape.has) - bool(shape.each), -sum(bool(member.values) for member in shape.has)


def read(files: Iterable[tuple[str, str]]) -> tuple[Shape, ...]:
    """Reads and checks shapes, of files given as (name, text). Raises MappingError."""
    shapes = [shape for name, text in files for shape in _shapes(name, text)]
    shapes.sort(key=_rank)
    if not shapes or shapes[-1].has or shapes[-1].each:
        raise MappingError("no shape without `has`: nothing for objects of no other shape")
    return tuple(shapes)


@cache
def _shipped() -> tuple[tuple[str, str], ...]:
    return tuple(
        (path.relative_to(FOLDER).as_posix(), path.read_text("utf-8"))
        for folder in ("json", "vendors")
        for path in sorted(FOLDER.glob(f"{folder}/*.toml"))
    )


def check(files: Iterable[tuple[str, str]]) -> None:
    """Raises MappingError where a file's shapes cannot be."""
    for name, text in files:
        if File(name, text).has_shapes:
            _shapes(name, text)


BARE = Shape("bare", "", (), (), (), ("",), (), (), (), (), {})
"""Of everything: no time, no column, all members under their paths."""


def load(extra: Iterable[Path] = ()) -> tuple[Shape, ...]:
    """The shipped shapes, in the order in which they are tried, and those of `extra` mapping files
    (of none, those that were said for the process: extra.py) before others that ask for as much.
    Raises MappingError, OSError."""
    if analysts.is_bare():
        return (BARE,)
    files = analysts.read(extra) or analysts.files()
    return _with(files) if any(File(*file).has_shapes for file in files) else _shipped_shapes()


@lru_cache(maxsize=4)
def _with(files: analysts.Files) -> tuple[Shape, ...]:
    return read((*(file for file in files if File(*file).has_shapes), *_shipped()))


@cache
def _shipped_shapes() -> tuple[Shape, ...]:
    return read(_shipped())
