"""How shippers wrap an event in JSON: the shape files and their checker.

A shape file is TOML, one per shipper, in `normalize/mappings/json/`. It says how an object is
recognised, who wrote the event and what it is called (which picks the mapping, see mapping.py),
where its named values are, and which members are fields of the log itself. Members are named by
their path, with dots: `winlog.event_data`.

    has = ["EventID", "SourceName", "EventTime"]    # an object of this shape has all of these
    provider = "SourceName"                         # or a list: the first that is there
    event = "EventID"
    data = ["", "a.b", "c.*"]   # objects whose members are named values: the object itself, the
                                # one at a.b, and all that stand in c
    data_text = ["EventData"]   # members that hold such an object as JSON text
    time = ["UtcTime | utc", "@timestamp | zone"]   # the first that is a time
    logged = ["EventTime | local EventReceivedTime @timestamp"]     # if `time` is another clock
    [system]                                        # columns that every table has
    device_hostname = "Hostname"                    # transforms and choices as in a mapping file
    [maps.level]
    information = 4

Clocks: `zone` is ISO 8601 with its zone (without one it is read as UTC and flagged); `utc` is
UTC by definition, with or without saying so; `local A B` is local time without a zone: its
offset is that of A (the same clock) to B (UTC), two times taken in the same moment, to the next
quarter of an hour; the row is flagged (parse_flags 32) and the text stays in `unmapped`.

The shape with the most members in `has` wins. One without any is for objects of no other shape.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from tracelake.normalize import TABLES
from tracelake.normalize.mapping_file import SYSTEM, File, MappingError
from tracelake.normalize.parsed import FOLDER
from tracelake.normalize.section import Source

CLOCKS = {"zone": 0, "utc": 0, "local": 2}
"""Clock -> how many fields it takes."""


@dataclass(frozen=True, slots=True)
class Clock:
    """A member that is a time: its path, how to read it, and the fields for that."""

    path: str
    kind: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """How one shipper wraps events (see the module's docstring)."""

    name: str
    has: tuple[str, ...]
    provider: tuple[str, ...]
    event: tuple[str, ...]
    data: tuple[str, ...]
    data_text: tuple[str, ...]
    time: tuple[Clock, ...]
    logged: tuple[Clock, ...]
    system: Mapping[str, tuple[Source, ...]]


def _texts(file: File, key: str) -> tuple[str, ...]:
    value = file.content.get(key, [])
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise file.refuse("", key, "is not a text or a list of texts")
    return tuple(value)


def _clock(file: File, key: str, spec: str) -> Clock:
    path, _, rest = (part.strip() for part in spec.partition(" | "))
    kind, *fields = rest.split() or ["zone"]
    if kind not in CLOCKS:
        raise file.refuse("", key, f"no clock {kind!r}; there are {', '.join(CLOCKS)}")
    if len(fields) != CLOCKS[kind]:
        raise file.refuse("", key, f"{kind} takes {CLOCKS[kind]} fields, not {len(fields)}")
    return Clock(path, kind, tuple(fields))


def _shape(name: str, text: str) -> Shape:
    file = File(name, text)
    known = {"has", "provider", "event", "data", "data_text", "time", "logged", "system", "maps"}
    for key in file.content.keys() - known:
        raise file.refuse("", key, f"is none of {', '.join(sorted(known))}")
    schema = TABLES["raw_event"].schema
    system: dict[str, tuple[Source, ...]] = {}
    for column, given in file.content.get("system", {}).items():
        if schema.get_field_index(column) < 0 or column not in SYSTEM:
            raise file.refuse("system", column, "is not a column that a shape may fill")
        kind = schema.field(column).type
        system[column] = tuple(
            file.source("system", column, kind, spec)
            for spec in (given if isinstance(given, list) else [given])
        )
    paths = [source.field for sources in system.values() for source in sources]
    for path in paths:
        if paths.count(path) > 1:
            raise file.refuse("system", "", f"{path} fills more than one column")
    return Shape(
        name=name.rpartition("/")[2].removesuffix(".toml"),
        has=_texts(file, "has"),
        provider=_texts(file, "provider"),
        event=_texts(file, "event"),
        data=_texts(file, "data"),
        data_text=_texts(file, "data_text"),
        time=tuple(_clock(file, "time", spec) for spec in _texts(file, "time")),
        logged=tuple(_clock(file, "logged", spec) for spec in _texts(file, "logged")),
        system=system,
    )


def read(files: Iterable[tuple[str, str]]) -> tuple[Shape, ...]:
    """Reads and checks shape files, given as (name, text). Raises MappingError."""
    shapes = [_shape(name, text) for name, text in files]
    shapes.sort(key=lambda shape: (-len(shape.has), shape.name))
    if not shapes or shapes[-1].has:
        raise MappingError("no shape without `has`: nothing for objects of no other shape")
    return tuple(shapes)


@cache
def load() -> tuple[Shape, ...]:
    """The shipped shapes, in the order in which they are tried."""
    return read(
        (path.relative_to(FOLDER).as_posix(), path.read_text("utf-8"))
        for path in sorted(FOLDER.glob("json/*.toml"))
    )
