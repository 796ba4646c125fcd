"""Which named value of which event becomes which column: the mapping files and their checker.

A mapping file is TOML, one per provider or vendor, in `normalize/mappings/`:

    provider = "Microsoft-Windows-Security-Auditing"    # or a list of names

    [4688]                              # event id or name; "4634 4647" for several
    table = "process_activity"
    activity_id = 1                     # any column of whole numbers or words may be set to
                                        # a constant
    [4688.columns]
    proc_path = "NewProcessName"                            # the field as it is
    proc_pid = "NewProcessId | hex"                         # through a transform
    user_name = ["TargetUserName", "SubjectUserName"]       # the first that is set
    [maps.direction]                    # a value map of this file: `Initiated | map direction`
    true = 2
    false = 1

    ["4656 4663 where ObjectType = Key"]    # `where Field = a|b`, `where Field != a|b`
    table = "registry_activity"
    activity_id = 99                        # where no field of the column of this name fits
    ["4656 4663 where ObjectType = Key".columns]
    activity_id = "AccessMask | bits access"
    [maps.access]                           # `bits`: the first mask of which a bit is set
    0x2 = 3

    with = ["subject", "process"]           # the columns of these sets come before its own
    [sets.subject]                          # what many events have, told once
    actor_user_name = "SubjectUserName"

A whole-number constant beside a column of the same name is its *default*: it stands where no
field gives a value. Several sections may name the same event: the first whose condition holds
makes the row, in the order of the file; one without a condition stands last. Conditions compare
the field's text as the log shows it; a field that the event lacks is the empty text. An event
that fits none goes to `raw_event`.

A field is *set* unless it has no value, is empty, or is the lone "-" of Windows. What a file
says is checked when it is read: MappingError names the file, the line, and what is wrong.

**Nothing is lost.** Every transform has an inverse, written beside it in TRANSFORMS. A name-value
pair of an event is left out of `unmapped` only when a column holds it exactly: the inverse of
the column's value, taken when the row is made, is the field's text letter for letter. Otherwise
("-" became null, "0x0A" became 10, "::ffff:10.0.0.1" became 10.0.0.1, a hash list in another
order, a number that does not fit) the pair stands in `unmapped` as well. For a column with
several fields to choose from it counts as held only if the first one was taken and no other was
set. A value that is its column's default, and the field of a condition, stand in `unmapped` as
well: the row alone must say which section made it, and of what. So `rebuild` gives back every
pair of an event from its row; a test does so with every mapping. A name that comes again in one
event is `name[2]`, `name[3]`, ... there.
"""

import hashlib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pyarrow as pa

from tracelake.normalize import TABLES, codes, template
from tracelake.normalize.column import BIG, BOOL, INT, SMALL, TEXT, TEXTS, TIME, TINY, WORD
from tracelake.normalize.tables.common import HEAD, LOG

FOLDER = Path(__file__).parent / "mappings"

NUMBERS = (TINY, SMALL, INT, BIG)
WORDS = (TEXT, WORD)


@dataclass(frozen=True, slots=True)
class Transform:
    """How a field's text becomes a column's value.

    Attributes:
        kinds: column types that it can fill.
        doc: what it does, and its inverse.
        argument: what stands after its name: "" nothing, "map" the name of a value map,
            "bits" the same with masks for keys, "hash" the name of a hash, "code" a code table
            (normalize/codes.py), "code?" that or nothing, "path" of elements,
            "text" a text, in quotes where it begins or ends with a space.
        derived: the column only repeats a part of what another column or field holds, or is
            made up; it never stands for the field.
    """

    kinds: tuple[pa.DataType, ...]
    doc: str
    argument: str = ""
    derived: bool = False


TRANSFORMS = {
    "text": Transform(WORDS, "The text as it is, both ways. Default of text columns."),
    "number": Transform(
        NUMBERS, "Decimal or 0x number; inverse: decimal. Default of whole-number columns."
    ),
    "hex": Transform(NUMBERS, "The same; inverse: 0x and lower-case digits, no leading zeros."),
    "signed_hex": Transform(
        WORDS, "A 64-bit mask given as a signed decimal (NXLog) as 0x...; inverse: signed decimal."
    ),
    "truth": Transform((BOOL,), "true or false in any case; inverse: lower case. Default."),
    "time": Transform(
        (TIME,), "ISO 8601 or FILETIME; inverse: 2020-09-14T12:13:09.1234560Z. Default."
    ),
    "utc_ms": Transform((TIME,), "Sysmon's 2020-09-14 12:13:09.123, UTC; inverse: the same."),
    "ip": Transform(
        WORDS, "Canonical address (RFC 5952; ::ffff:1.2.3.4 as 1.2.3.4); inverse: as it is."
    ),
    "guid": Transform(WORDS, "{GUID} in lower case; inverse: as it is."),
    "guid_upper": Transform(WORDS, "{GUID} in lower case; inverse: upper case (NXLog)."),
    "sid": Transform(
        WORDS, "The text as it is; the null SID S-1-0-0 counts as not set. Inverse: as it is."
    ),
    "logon_id": Transform(
        WORDS, "The text as it is; 0x0 counts as not set. Inverse: as it is."
    ),
    "account": Transform(
        WORDS, "B of A\\B, or all; inverse: A\\B with the column that has `domain`, or B."
    ),
    "domain": Transform(WORDS, "A of A\\B; inverse: with `account`."),
    "hash": Transform(
        WORDS,
        "One hash of Sysmon's SHA1=..,MD5=..,SHA256=..,IMPHASH=.., lower case; inverse: those "
        "that are there, in this order, upper case.",
        argument="hash",
    ),
    "map": Transform(
        (*WORDS, *NUMBERS, BOOL),
        "By a value map of the file; inverse: the first text with that value. Other texts: null.",
        argument="map",
    ),
    "bits": Transform(
        (*WORDS, *NUMBERS, BOOL),
        "By a value map whose keys are masks: the value of the first of which a bit is set in the "
        "number.",
        argument="bits",
        derived=True,
    ),
    "list": Transform(
        (TEXTS,), "Parts that each end in a semicolon; inverse: the same."
    ),
    "dns_answers": Transform(
        (TEXTS,),
        "Sysmon's QueryResults: as `list`, without `type: n` and ::ffff:; inverse: as `list`.",
    ),
    "split": Transform(
        (TEXTS,),
        "Parts between white space; with a code table, what each stands for. Inverse: the parts "
        "with \\r\\n\\t\\t\\t between them.",
        argument="code?",
    ),
    "param": Transform(
        WORDS, "The word for a message parameter (%%1833), others as they are; inverse: %%1833."
    ),
    "code": Transform(
        WORDS, "What a code stands for; null where its table does not have it.",
        argument="code", derived=True,
    ),
    "principal": Transform(
        WORDS, "The name of a SID that is the same everywhere: SYSTEM, Domain Admins.",
        derived=True,
    ),
    "principal_domain": Transform(
        WORDS, "Its authority: NT AUTHORITY, BUILTIN.", derived=True
    ),
    "xml": Transform(
        (*WORDS, *NUMBERS),
        "The text of the first element at a path below the root of an XML text: `a/b`; of several "
        "beside each other, joined by a space: `a/b+c`.",
        argument="path", derived=True,
    ),
    "reg_key": Transform(
        WORDS,
        "The key A of a registry value's path A\\B; inverse: with `reg_value`. Names of keys "
        "hold no \\, those of values may: B begins behind the last \\, or where there are two, or "
        "at a drive (\\C:\\).",
    ),
    "reg_value": Transform(
        WORDS, "The name B, or all; inverse: A\\B with the column that has `reg_key`, or B."
    ),
    "stream": Transform(
        WORDS, "The stream of a file (C:\\f:stream): what follows the colon behind its name.",
        derived=True,
    ),
    "audit": Transform(
        NUMBERS,
        "1 where keywords say that an audit is of a success, 2 of a failure. What System's "
        "Keywords do to status_id where the mapping says nothing of it.", derived=True,
    ),
    "file_name": Transform(WORDS, "What follows the last \\ or /.", derived=True),
    "extension": Transform(
        WORDS, "What follows the last dot of the file name, lower case.", derived=True
    ),
    "before": Transform(
        (*WORDS, *NUMBERS),
        "What stands before a text, all where it is not there: `param1 | before \" (\"`.",
        argument="text",
        derived=True,
    ),
    "line": Transform(
        (*WORDS, *NUMBERS),
        "Value of a line `Name=value` or `Name = value`: `Context | line Host Name|Hostname` (any "
        "of these names), with the lines that follow up to the next of this form.",
        argument="text",
        derived=True,
    ),
    "line_account": Transform(
        WORDS, "The same, and of that `account`.", argument="text", derived=True
    ),
    "line_domain": Transform(
        WORDS, "The same, and of that `domain`.", argument="text", derived=True
    ),
    "starts": Transform(
        (*WORDS, *NUMBERS, BOOL),
        "By a value map of the file: the value of the first text that the field begins with.",
        argument="map",
        derived=True,
    ),
    "find_ip": Transform(
        WORDS, "The first IP address that stands in the text, canonical.", derived=True
    ),
    "find_port": Transform(
        NUMBERS, "The port behind that address: 10.0.0.1:22, [fe80::1]:22, 10.0.0.1 port 22.",
        derived=True,
    ),
    "mof": Transform(
        WORDS, "Value of a property in a MOF listing: `Name = \"value\";`.", argument="text",
        derived=True,
    ),
    "binary_name": Transform(
        WORDS,
        "Binary data of an event that are UTF-16 text: that text, up to its last slash (the "
        "service control manager's \"name/state\").",
        derived=True,
    ),
    "binary_guid": Transform(
        WORDS, "{GUID} that binary data begin with as text, lower case.", derived=True
    ),
    "binary_state": Transform(
        (*WORDS, *NUMBERS, BOOL), "By a value map of the file: what stands behind that slash.",
        argument="map", derived=True,
    ),
    "digest": Transform(WORDS, "Hexadecimal digits of a hash in lower case; inverse: upper case."),
    "url_scheme": Transform(WORDS, "Scheme of a URL.", derived=True),
    "url_host": Transform(WORDS, "Host of a URL, without user and port.", derived=True),
    "url_path": Transform(WORDS, "Path of a URL, with its first slash.", derived=True),
    "url_query": Transform(WORDS, "Query of a URL, without the question mark.", derived=True),
    "resource_path": Transform(
        WORDS, "Path of the first file of Defender's `file:_C:\\a; process:_pid:1`.", derived=True
    ),
    "sockaddr_ip": Transform(
        WORDS, "Address of a SOCKADDR in hexadecimal digits, canonical.", derived=True
    ),
    "sockaddr_port": Transform(NUMBERS, "Its port, unless it is 0.", derived=True),
    "process_uid": Transform(
        (TEXT,),
        "host:pid:time of a process that has no unique id of its own: lower-case host name, "
        "decimal process id, microseconds since 1970 of the row's time.",
        derived=True,
    ),
}
"""All transforms by name. The native half is parsers/transforms.pyx."""

PAIRS = {"account": "domain", "reg_value": "reg_key"}
"""Transforms of what follows a backslash, and those of what stands before it."""

HASHES = ("sha1", "md5", "sha256", "imphash")
"""In Sysmon's own order."""

DEFAULTS = (
    *((kind, "text") for kind in WORDS),
    *((kind, "number") for kind in NUMBERS),
    (BOOL, "truth"),
    (TIME, "time"),
)


def default_transform(kind: pa.DataType) -> str:
    """Transform of a column whose mapping names none; "" where it must name one."""
    return next((name for type_, name in DEFAULTS if type_ == kind), "")


FIXED = frozenset(
    {"time", "time_ns", "unmapped", "raw", "sub", "src_offset", "src_length", "record_hash",
     "parse_flags", "artifact_no", "type_uid", "category_uid"}
)
"""Columns that no file may fill: the engine or `ingest` does."""

SYSTEM = frozenset(field.name for field in (*HEAD, *LOG)) - FIXED - {
    "engagement_id", "time_desc", "class_uid", "activity_id", "status_id", "severity_id",
} | {"src_record_id"}
"""Columns that say where a record comes from: the log's own fields fill them, not named values."""


class MappingError(ValueError):
    """A mapping file says something that cannot be: where, and what."""


@dataclass(frozen=True, slots=True)
class Source:
    """A field and the way it goes into a column.

    Attributes:
        field: its name in the event.
        transform: key of TRANSFORMS.
        argument: of the transform ("sha256", name of a value map), else "".
        values: the value map, where the transform is `map`.
    """

    field: str
    transform: str
    argument: str = ""
    values: tuple[tuple[str, int | str], ...] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """Which of the events of one kind a section is for.

    Attributes:
        field: its text decides; "" where the event does not have it.
        values: texts, any of which fits.
        equal: the text must be one of `values`; else it must be none of them.
    """

    field: str
    values: tuple[str, ...]
    equal: bool = True

    def holds(self, text: str | None) -> bool:
        """Whether an event with this text in `field` fits."""
        return ((text or "") in self.values) == self.equal

    def __str__(self) -> str:
        return f"{self.field} {'=' if self.equal else '!='} {'|'.join(self.values)}"


@dataclass(frozen=True, slots=True)
class Event:
    """What becomes of one kind of event.

    Attributes:
        provider, code: who writes it and its id (or name).
        table: table of its row.
        constants: columns with the same number or text on every row, or (numbers) on those on
            which no field fills them.
        columns: per column the fields to choose from.
        where: file and section, for messages and docs.
        when: which events it is for, None: all.
        otherwise: the section for the others, None: they have no mapping.
        asked: the fields that the conditions of all sections for such events name.
        message: template of what the event says, in our words; "" none.
    """

    provider: str
    code: str
    table: str
    constants: Mapping[str, int | str]
    columns: Mapping[str, tuple[Source, ...]]
    where: str = ""
    when: Condition | None = None
    otherwise: "Event | None" = None
    asked: tuple[str, ...] = ()
    message: str = ""

    @property
    def sections(self) -> "tuple[Event, ...]":
        """This section and those for the others, in the order in which they are tried."""
        return (self, *(self.otherwise.sections if self.otherwise else ()))

    def section(self, named: Mapping[str, str | None]) -> "Event | None":
        """The section for an event with these values: the first that fits, or None."""
        for event in self.sections:
            if event.when is None or event.when.holds(named.get(event.when.field)):
                return event
        return None


@dataclass(frozen=True, slots=True)
class Mappings:
    """All events that have a mapping, by (provider, code); `version` changes with any of them.

    Where conditions tell several sections apart, it is the first; `Event.otherwise` leads on.
    """

    events: Mapping[tuple[str, str], Event]
    version: str

    @property
    def sections(self) -> Iterable[Event]:
        """Every section of every event."""
        return (section for event in self.events.values() for section in event.sections)

    @property
    def tables(self) -> tuple[str, ...]:
        """Tables that events may go to, `raw_event` included."""
        if isinstance(self.events, Files):
            found = self.events.tables
        else:
            found = {event.table for event in self.sections}
        return tuple(sorted(found | {"raw_event"}))


class Files(Mapping[tuple[str, str], Event]):
    """The events of mapping files, each of which is read when one of its providers is asked for:
    a log has a few providers, and reading all files takes longer than reading a small log.

    Args:
        files: (name, text) each; later ones win.

    Raises:
        MappingError: at once, if a file's providers cannot be told; what else is wrong with a
            file when it is read.
    """

    def __init__(self, files: Iterable[tuple[str, str]]) -> None:
        self._files = tuple(files)
        self._providers: dict[str, list[int]] = {}
        self._events: dict[int, dict[tuple[str, str], Event]] = {}
        for number, (name, text) in enumerate(self._files):
            # What stands before the first section.
            head = File(name, re.split(r"^\s*\[", text, maxsplit=1, flags=re.MULTILINE)[0])
            for provider in head.providers():
                self._providers.setdefault(provider, []).append(number)

    @property
    def tables(self) -> set[str]:
        """Tables that any of the files names."""
        pattern = re.compile(r'^table\s*=\s*"(\w+)"', re.MULTILINE)
        return {table for _, text in self._files for table in pattern.findall(text)}

    def _read(self, number: int) -> dict[tuple[str, str], Event]:
        events = self._events.get(number)
        if events is None:
            events = self._events[number] = _events(File(*self._files[number]))
        return events

    def __getitem__(self, key: tuple[str, str]) -> Event:
        for number in reversed(self._providers.get(key[0], ())):
            event = self._read(number).get(key)
            if event is not None:
                return event
        raise KeyError(key)

    def _all(self) -> dict[tuple[str, str], Event]:
        found: dict[tuple[str, str], Event] = {}
        for number in range(len(self._files)):
            found |= self._read(number)
        return found

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def _line(text: str, section: str, key: str) -> int:
    """The line on which `key` of `section` stands (1 if it cannot be told)."""
    section = " ".join(section.split())
    inside, at = section == "", 1
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*(.+?)\s*\]+\s*(#.*)?$", line)
        if header:
            name = re.sub(r"[\"'\s]+", " ", header[1]).replace(" .", ".").strip()
            inside = name == section
            at = number if inside else at
        elif inside and key and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
            return number
    return at


class File:
    """One mapping file being read."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        try:
            self.content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise MappingError(f"{name}: {error}") from error

    def refuse(self, section: str, key: str, why: str) -> MappingError:
        at = _line(self.text, section, key)
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
        if transform.argument == "hash" and argument not in HASHES:
            raise self.refuse(section, column, f"{argument!r} is none of {', '.join(HASHES)}")
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
        schema = TABLES[table].schema
        given = body.get("columns", {})
        if not isinstance(given, dict):
            raise self.refuse(section, "columns", "is not a table of columns")
        given = self.sets(section, body.get("with", [])) | given
        section = f"{section}.columns"
        columns: dict[str, tuple[Source, ...]] = {}
        for column, spec in given.items():
            if schema.get_field_index(column) < 0:
                raise self.refuse(section, column, f"{table} has no such column")
            if column in FIXED or column in SYSTEM:
                raise self.refuse(section, column, "is not for mappings to fill")
            kind = schema.field(column).type
            specs = spec if isinstance(spec, list) else [spec]
            if not specs:
                raise self.refuse(section, column, "names no field")
            columns[column] = tuple(self.source(section, column, kind, one) for one in specs)
            if len({source.field for source in columns[column]}) != len(specs):
                raise self.refuse(section, column, "names a field twice")
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

    def constant(self, section: str, table: str, key: str, value: object) -> int | str:
        """The value that a column has on every row of a section."""
        schema = TABLES[table].schema
        kind = schema.field(key).type if schema.get_field_index(key) >= 0 else None
        of_log = kind == WORD and key in {field.name for field in (*HEAD, *LOG)}
        if key in FIXED or kind not in (*NUMBERS, WORD) or of_log:
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

    def kinds(self, section: str) -> tuple[list[str], Condition | None]:
        """The codes that a section's header names, and its condition."""
        codes, where, rest = f" {section} ".partition(" where ")
        if not codes.split():
            raise self.refuse(section, "", "names no event")
        if not where:
            return codes.split(), None
        found = re.fullmatch(r"([^\s=!]+)\s*(!?=)\s*(.+)", rest.strip())
        values = tuple(value.strip() for value in found[3].split("|")) if found else ()
        if not found or not all(values):
            raise self.refuse(section, "", "is not `<events> where <field> = <value>|<value>`")
        if "." in found[1]:
            raise self.refuse(section, "", f"{found[1]}: conditions cannot name nested fields")
        return codes.split(), Condition(found[1], values, found[2] == "=")

    def providers(self) -> list[str]:
        """Who writes the events that the file maps."""
        found = self.content.get("provider")
        found = [found] if isinstance(found, str) else found
        if not isinstance(found, list) or not found or not all(
            isinstance(name, str) and name for name in found
        ):
            raise self.refuse("", "provider", "is missing, or not a text or list of texts")
        return found

    def events(self) -> Iterable[Event]:
        """Every section, once for each provider and code."""
        providers = self.providers()
        for section, body in self.content.items():
            if section in ("provider", "maps", "sets"):
                continue
            if not isinstance(body, dict):
                why = "is neither `provider`, nor [maps], nor [sets], nor an event"
                raise self.refuse("", section, why)
            table = body.get("table")
            if table not in TABLES or not TABLES[table].is_events:
                raise self.refuse(section, "table", f"no table of events {table!r}")
            constants = {
                key: self.constant(section, table, key, value)
                for key, value in body.items()
                if key not in ("table", "columns", "with", "message")
            }
            message = body.get("message", "")
            if not isinstance(message, str):
                raise self.refuse(section, "message", "is not a text")
            try:
                template.parse(message)
            except template.TemplateError as error:
                raise self.refuse(section, "message", str(error)) from error
            columns = self.columns(section, table, body)
            for key in columns.keys() & constants.keys():
                if isinstance(constants[key], str):
                    raise self.refuse(section, key, "is a constant and a column")
            codes, when = self.kinds(section)
            for provider in providers:
                for code in codes:
                    where = f"{self.name} [{section}]"
                    yield Event(
                        provider, code, table, constants, columns, where, when, message=message
                    )


def _chain(file: File, found: list[Event]) -> Event:
    """The sections of one kind of event, each leading to the next."""
    whens = [event.when for event in found]
    for i, event in enumerate(found):
        section = event.where.removeprefix(f"{file.name} [")[:-1]
        if whens.index(event.when) < i:
            other = found[whens.index(event.when)].where
            raise file.refuse(section, "", f"{event.code} is mapped twice, also in {other}")
        if i and found[i - 1].when is None:
            other = found[i - 1].where
            raise file.refuse(section, "", f"stands behind {other}, which is for all {event.code}")
    asked = tuple(sorted({when.field for when in whens if when}))
    chain: Event | None = None
    for event in reversed(found):
        chain = replace(event, otherwise=chain, asked=asked)
    assert chain is not None
    return chain


def _events(file: File) -> dict[tuple[str, str], Event]:
    """The events of a file."""
    found: dict[tuple[str, str], list[Event]] = {}
    for event in file.events():
        found.setdefault((event.provider, event.code), []).append(event)
    return {key: _chain(file, events) for key, events in found.items()}


def _version(files: Iterable[tuple[str, str]]) -> str:
    digest = hashlib.sha256()
    for name, text in files:
        digest.update(f"{name}\0{text}\0".encode())
    return f"ocsf-1.8.0/{digest.hexdigest()[:8]}"


def read(files: Iterable[tuple[str, str]]) -> Mappings:
    """Reads and checks mapping files, given as (name, text); later ones win.

    Raises MappingError: a file maps the same event twice, or says anything else that the
    module's docstring does not allow.
    """
    files = tuple(files)
    events: dict[tuple[str, str], Event] = {}
    for name, text in files:
        events |= _events(File(name, text))
    return Mappings(events, _version(files))


def load(extra: Iterable[Path] = ()) -> Mappings:
    """The shipped mappings, and those of `extra` files on top. Raises MappingError, OSError."""
    files = tuple((str(path), path.read_text("utf-8")) for path in extra)
    if not files:
        return _shipped_mappings()
    # Whoever wrote them is told at once what is wrong.
    read(files)
    return Mappings(Files((*_shipped(), *files)), _version((*_rules(), *files)))


@cache
def _shipped_mappings() -> Mappings:
    # Once a process: each artifact asks for them.
    return Mappings(Files(_shipped()), _version(_rules()))


@cache
def _rules() -> tuple[tuple[str, str], ...]:
    """All files that say what becomes of what: mappings, shapes and code tables."""
    return tuple(
        (path.relative_to(FOLDER).as_posix(), path.read_text("utf-8"))
        for path in sorted(FOLDER.glob("*/*.toml"))
    )


@cache
def _shipped() -> tuple[tuple[str, str], ...]:
    return tuple((name, text) for name, text in _rules() if name.startswith("windows/"))
