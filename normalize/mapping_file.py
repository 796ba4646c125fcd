"""A mapping file, read and checked (the form: `mapping.py`)."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache, cached_property

import pyarrow as pa

from tracelake.normalize import TABLES, codes, template
from tracelake.normalize.column import BOOL, TIME, WORD
from tracelake.normalize.parsed import parse
from tracelake.normalize.section import ANY, Condition, Event, Source
from tracelake.normalize.tables.common import HEAD, LOG
from tracelake.normalize.transforms import (
    EPOCHS,
    HASHES,
    NUMBERS,
    TRANSFORMS,
    WORDS,
    default_transform,
)

FIXED = frozenset(
    {"time", "time_ns", "unmapped", "raw", "sub", "src_offset", "src_length", "record_hash",
     "parse_flags", "artifact_no", "type_uid", "category_uid"}
)
"""Columns that no file may fill: the engine or `ingest` does."""

OF_LOG = frozenset(field.name for field in (*HEAD, *LOG))
"""Columns of every table."""

SYSTEM = OF_LOG - FIXED - {
    "engagement_id", "time_desc", "class_uid", "activity_id", "status_id", "severity_id",
    "activity_name",
} | {"src_record_id"}
"""Columns that say where a record comes from: the log's own fields fill them, not named values."""


@cache
def _kinds(table: str) -> Mapping[str, pa.DataType]:
    """Types of the columns of a table of events; of what is none there are none."""
    if table not in TABLES or not TABLES[table].is_events:
        return {}
    schema = TABLES[table].schema
    return dict(zip(schema.names, schema.types, strict=True))


class MappingError(ValueError):
    """A mapping file says something that cannot be: where, and what."""


def _line(text: str, section: str, key: str, entry: int = -1) -> int:
    """The line on which `key` of `section` stands (1 if it cannot be told).

    Args:
        entry: of a section that is a list ([[shapes]]) which of its entries, from 0; -1: any.
    """
    section = " ".join(section.split())
    inside, at, entries = section == "", 1, 0
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*(.+?)\s*\]+\s*(#.*)?$", line)
        if header:
            name = re.sub(r"[\"'\s]+", " ", header[1]).replace(" .", ".").strip()
            entries += name == section.partition(".")[0]
            inside = name == section and entry in (-1, entries - 1)
            at = number if inside else at
        elif inside and key and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
            return number
    return at


class File:
    """One mapping file being read."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.entry = -1
        """Which entry of a list of tables ([[shapes]], [[lines]]) is looked at; -1: none."""
        self._sections: dict[str, Event] = {}
        try:
            self.content = parse(text)
        except tomllib.TOMLDecodeError as error:
            raise MappingError(f"{name}: {error}") from error

    def refuse(self, section: str, key: str, why: str) -> MappingError:
        entry = -1
        if self.entry >= 0 and section in ("", "system", "lines", "lines.patterns"):
            entry = self.entry
            section = {"": "shapes", "system": "shapes.system"}.get(section, section)
        at = _line(self.text, section, key, entry)
        return MappingError(f"{self.name}, line {at}: [{section}] {key}: {why}")

    def value_map(self, section: str, key: str, name: str) -> tuple[tuple[str, int | str], ...]:
        found = self.content.get("maps", {}).get(name)
        if not isinstance(found, dict):
            raise self.refuse(section, key, f"the file has no [maps.{name}]")
        if len({type(value) for value in found.values()}) != 1 or not all(
            isinstance(value, int | str) for value in found.values()
        ):
            raise self.refuse(f"maps.{name}", "", "values must be all texts or all whole numbers")
        return tuple(found.items())

    def masks(self, section: str, key: str, name: str) -> tuple[tuple[str, int | str], ...]:
        """A value map whose keys are masks of 64 bits."""
        values = self.value_map(section, key, name)
        for text, _ in values:
            if not re.fullmatch("0x[0-9A-Fa-f]{1,16}|[0-9]{1,19}", text) or not int(text, 0):
                raise self.refuse(f"maps.{name}", text, "is no mask of 64 bits")
        return values

    def source(self, section: str, column: str, kind: pa.DataType, spec: object) -> Source:
        """The field of `spec`, "Field" or "Field | transform [argument]"."""
        if not isinstance(spec, str):
            raise self.refuse(section, column, f"a field is a text, not {spec!r}")
        field, bar, rest = (part.strip() for part in spec.partition(" | "))
        if not field:
            raise self.refuse(section, column, f"no field in {spec!r}")
        name, _, argument = rest.partition(" ") if bar else ("", "", "")
        if not bar:
            name = default_transform(kind)
            if not name:
                raise self.refuse(section, column, f"a {kind} column needs a transform")
        transform = TRANSFORMS.get(name)
        if transform is None:
            known = ", ".join(TRANSFORMS)
            raise self.refuse(section, column, f"no transform {name!r}; there are {known}")
        if kind not in transform.kinds:
            raise self.refuse(section, column, f"{name} cannot fill a {kind} column")
        if transform.argument in ("map", "bits"):
            find = self.masks if transform.argument == "bits" else self.value_map
            values = find(section, column, argument)
            wanted = bool if kind == BOOL else int if kind in NUMBERS else str
            if type(values[0][1]) is not wanted:
                raise self.refuse(section, column, f"[maps.{argument}] does not fit {kind}")
            return Source(field, name, argument, values)
        if transform.argument in ("code", "code?") and argument not in codes.TABLES and (
            argument or transform.argument == "code"
        ):
            known = ", ".join(codes.TABLES)
            raise self.refuse(section, column, f"no code table {argument!r}; there are {known}")
        if transform.argument == "path" and not re.fullmatch(
            r"[\w.-]+(/[\w.-]+)*(\+[\w.-]+)*", argument
        ):
            raise self.refuse(section, column, f"{argument!r} is no path of elements")
        if transform.argument == "members" and not (
            all(argument.split(".")) and len(argument.split(".")) <= 8
        ):
            raise self.refuse(section, column, f"{argument!r} is no path of at most 8 members")
        if transform.argument == "unit?" and argument not in ("", "filetime", *EPOCHS):
            units = ", ".join((*EPOCHS, "filetime"))
            raise self.refuse(section, column, f"no unit {argument!r}; there are {units}")
        if transform.argument == "cell" and not re.fullmatch(r"[1-9]\d? .+", argument):
            raise self.refuse(section, column, f"{argument!r} is no number and text: cell 2 :")
        if transform.argument == "hash" and argument not in HASHES:
            raise self.refuse(section, column, f"{argument!r} is none of {', '.join(HASHES)}")
        if transform.argument == "column" and not argument:
            raise self.refuse(section, column, f"{name} needs a column")
        if argument and not transform.argument:
            raise self.refuse(section, column, f"{name} takes no argument")
        if transform.argument == "text":
            if len(argument) > 2 and argument[0] == argument[-1] == '"':
                argument = argument[1:-1]
            if not argument:
                raise self.refuse(section, column, f"{name} needs a text")
        return Source(field, name, argument)

    def sets(self, section: str, names: object) -> dict[str, object]:
        """The columns of the sets that a section names; its own come on top."""
        found: dict[str, object] = {}
        for name in names if isinstance(names, list) else [names]:
            one = self.content.get("sets", {}).get(name) if isinstance(name, str) else None
            if not isinstance(one, dict):
                raise self.refuse(section, "with", f"the file has no [sets.{name}]")
            found |= one
        return found

    def columns(
        self, section: str, table: str, body: Mapping[str, object]
    ) -> dict[str, tuple[Source, ...]]:
        kinds = _kinds(table)
        given = body.get("columns", {})
        if not isinstance(given, dict):
            raise self.refuse(section, "columns", "is not a table of columns")
        given = self.sets(section, body.get("with", [])) | given
        section = f"{section}.columns"
        columns: dict[str, tuple[Source, ...]] = {}
        for column, spec in given.items():
            kind = kinds.get(column)
            if kind is None:
                raise self.refuse(section, column, f"{table} has no such column")
            if column in FIXED or column in SYSTEM:
                raise self.refuse(section, column, "is not for mappings to fill")
            specs = spec if isinstance(spec, list) else [spec]
            if not specs:
                raise self.refuse(section, column, "names no field")
            columns[column] = tuple(self.source(section, column, kind, one) for one in specs)
            if len({source.field for source in columns[column]}) != len(specs):
                raise self.refuse(section, column, "names a field twice")
        self._others(section, kinds, columns)
        # `rebuild` gives a chosen value to the first field, unless another one is known to be
        # set: that must be known without asking a second choice.
        firsts = {sources[0].field for sources in columns.values() if len(sources) > 1}
        for column, sources in columns.items():
            for source in sources[1:]:
                if source.field in firsts:
                    raise self.refuse(
                        section, column, f"{source.field} is the first choice of another column"
                    )
        return columns

    def _others(
        self, section: str, kinds: Mapping[str, pa.DataType],
        columns: Mapping[str, tuple[Source, ...]],
    ) -> None:
        """Checks the columns that transforms of other columns look at."""
        for column, sources in columns.items():
            for source in sources:
                of_another = TRANSFORMS[source.transform].argument in ("column", "column?")
                if not of_another or not source.argument:
                    continue
                other = columns.get(source.argument, ())
                wanted = (TIME,) if source.transform == "process_uid" else WORDS
                if not other or kinds[source.argument] not in wanted:
                    why = f"{source.argument!r} is no column of the section that fits"
                    raise self.refuse(section, column, why)
                if source.transform == "path_join" and (len(sources) > 1 or len(other) > 1):
                    raise self.refuse(section, column, "has several fields to choose from")

    def constant(self, section: str, table: str, key: str, value: object) -> int | str:
        """The value that a column has on every row of a section."""
        kind = _kinds(table).get(key)
        if key in FIXED or kind not in (*NUMBERS, WORD) or (
            kind == WORD and key in OF_LOG and key != "activity_name"
        ):
            raise self.refuse(section, key, f"{table} has no such column of numbers or words")
        if kind == WORD:
            if not isinstance(value, str) or not value:
                raise self.refuse(section, key, "is not a text")
            return value
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.refuse(section, key, "is not a whole number")
        width = kind.bit_width
        if not -(1 << (width - 1)) <= value < 1 << (width - 1):
            raise self.refuse(section, key, f"does not fit {width} bits")
        return value

    @cached_property
    def has_shapes(self) -> bool:
        """Whether the file says how its events come as JSON (normalize/shapes.py)."""
        return bool(self.content.get("shapes"))

    def condition(self, section: str, key: str, text: str) -> Condition:
        """The condition `<field> = <value>|<value>`, `!=` likewise."""
        found = re.fullmatch(r"([^\s=!]+)\s*(!?=)\s*(.+)", text.strip())
        values = tuple(value.strip() for value in found[3].split("|")) if found else ()
        if not found or not all(values):
            form = "<field> = <value>|<value>"
            why = f"is not `{form if key else '<events> where ' + form}`"
            raise self.refuse(section, key, why)
        if "." in found[1] and not self.has_shapes:
            raise self.refuse(section, key, f"{found[1]}: conditions cannot name nested fields")
        if values == ("*",):
            if not self.has_shapes:
                raise self.refuse(section, key, "* is for files with [[shapes]]")
            values = ()
        return Condition(found[1], values, found[2] == "=")

    def kinds(
        self, section: str, body: Mapping[str, object]
    ) -> tuple[list[str], tuple[Condition, ...]]:
        """The codes that a section is for, and its conditions."""
        named, where, rest = f" {section} ".partition(" where ")
        codes = body.get("events", named.split())
        if not isinstance(codes, list) or not all(isinstance(code, str) and code for code in codes):
            raise self.refuse(section, "events", "is not a list of texts")
        if not codes:
            raise self.refuse(section, "", "names no event")
        when = [self.condition(section, "", rest)] if where else []
        more = body.get("where", [])
        for text in more if isinstance(more, list) else [more]:
            if not isinstance(text, str):
                raise self.refuse(section, "where", "is not a text or a list of texts")
            when.append(self.condition(section, "where", text))
        if not self.has_shapes and (len(when) > 1 or ANY in codes):
            raise self.refuse(section, "", "more conditions, and *, are for files with [[shapes]]")
        return codes, tuple(when)

    @cached_property
    def providers(self) -> list[str]:
        """Who writes the events that the file maps."""
        found = self.content.get("provider")
        found = [found] if isinstance(found, str) else found
        if not isinstance(found, list) or not found or not all(
            isinstance(name, str) and name for name in found
        ):
            raise self.refuse("", "provider", "is missing, or not a text or list of texts")
        return found

    @cached_property
    def _headers(self) -> Mapping[str, list[tuple[str, tuple[Condition, ...]]]]:
        """By code the sections that name it, in the order of the file."""
        found: dict[str, list[tuple[str, tuple[Condition, ...]]]] = {}
        for section, body in self.content.items():
            if section in ("provider", "maps", "sets", "shapes", "lines"):
                continue
            if not isinstance(body, dict):
                why = "is neither `provider`, [maps], [sets], [[shapes]], [[lines]], nor an event"
                raise self.refuse("", section, why)
            codes, when = self.kinds(section, body)
            for code in codes:
                found.setdefault(code, []).append((section, when))
        return found

    def _section(self, section: str) -> Event:
        """What a section says, whoever writes its events: an Event of nobody."""
        made = self._sections.get(section)
        if made is not None:
            return made
        body = self.content[section]
        table = body.get("table")
        if not isinstance(table, str) or not _kinds(table):
            raise self.refuse(section, "table", f"no table of events {table!r}")
        constants = {
            key: self.constant(section, table, key, value)
            for key, value in body.items()
            if key not in ("table", "columns", "with", "message", "events", "where")
        }
        message = body.get("message", "")
        if not isinstance(message, str):
            raise self.refuse(section, "message", "is not a text")
        columns = self.columns(section, table, body)
        for key in columns.keys() & constants.keys():
            if isinstance(constants[key], str):
                raise self.refuse(section, key, "is a constant and a column")
        where = f"{self.name} [{section}]"
        made = Event("", "", table, constants, columns, where, message=message)
        self._sections[section] = made
        return made

    def event(self, provider: str, code: str) -> Event | None:
        """A kind of event: the first of its sections, each leading to the next; None: the file
        does not map it. Only these sections are checked, and not their messages."""
        found = self._headers.get(code, [])
        if code != ANY and found and found[-1][1]:
            # A section for all others that asks the same is for others.
            own = [when for _, when in found]
            found = found + [one for one in self._headers.get(ANY, []) if one[1] not in own]
        if not found or provider not in self.providers:
            return None
        whens = [when for _, when in found]
        for i, (section, when) in enumerate(found):
            if (first := whens.index(when)) < i:
                other = f"{self.name} [{found[first][0]}]"
                raise self.refuse(section, "", f"{code} is mapped twice, also in {other}")
            if i and not whens[i - 1]:
                other = f"{self.name} [{found[i - 1][0]}]"
                raise self.refuse(section, "", f"stands behind {other}, which is for all {code}")
        asked = tuple(sorted({one.field for when in whens for one in when}))
        event: Event | None = None
        for section, when in reversed(found):
            made = self._section(section)
            event = Event(
                provider, code, made.table, made.constants, made.columns, made.where, when,
                event, asked, made.message,
            )
        return event

    def events(self) -> dict[tuple[str, str], Event]:
        """Every event; everything is checked."""
        for section in {name: None for found in self._headers.values() for name, _ in found}:
            try:
                template.parse(self._section(section).message)
            except template.TemplateError as error:
                raise self.refuse(section, "message", str(error)) from error
        made = (self.event(provider, code) for provider in self.providers for code in self._headers)
        return {(event.provider, event.code): event for event in made if event is not None}
