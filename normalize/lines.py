"""How lines of text become named values: the `[[lines]]` of a mapping file, and their checker.

Firewalls and proxies write lines that are neither JSON nor key=value. A vendor's mapping file says
what their parts are called; the `[[shapes]]` of the same file then know the record by these names.

    [[lines]]                   # cells between delimiters
    program = ["filterlog"]     # only messages of these programs (the tag of a syslog line)
    split = ","                 # or " ": any number of blanks; cells may be in quotes
    columns = ["rule", "", "interface"]         # names; one without is called by its number
    where = { interface = "em0|em1" }           # only where these columns have one of these texts
    least = 3                   # at least so many cells, at most as many as names if `exact = true`
    set = { log = "filterlog" }                 # members that every such record has

    [[lines]]                   # a text with parts
    begins = ["%ASA-{level}-{id}: {text*}"]     # the first that fits
    by = "id"                   # patterns for the part `of`, chosen by the value of this one
    of = "text"
    [lines.patterns]
    302013 = ["Built {direction} TCP connection {connection} for {src}"]

A pattern is a text with names in braces. What stands there goes up to the first place where the
text behind it follows, `{name*}` up to the last; the whole line must fit. `{name:ip}` is an
address, `{name:number}` digits, `{name:decimal}` with a fraction, `{name:word}` holds no blank;
`{_}` is not kept. Blanks in a pattern stand for one or more. A part that is empty is left out. Of a
line whose `by` patterns all fail, the parts of `begins` are its values.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache

from tracelake.normalize import extra as analysts
from tracelake.normalize.mapping_file import File, MappingError
from tracelake.normalize.parsed import FOLDER

KEYS = frozenset(
    {"program", "split", "columns", "where", "least", "exact", "set", "begins", "by", "of",
     "patterns"}
)
PART = re.compile(r"\{([\w.@ -]+?)(?::(\w+))?(\*)?\}")
KINDS = ("", "ip", "number", "decimal", "word")
MOST_PARTS = 48
MOST_COLUMNS = 512


@dataclass(frozen=True, slots=True)
class Part:
    """A named part of a pattern; "_" is not kept."""

    name: str
    kind: str = ""
    last: bool = False


@dataclass(frozen=True, slots=True)
class Pattern:
    """`texts[0]`, a part, `texts[1]`, a part, ... , the last text."""

    texts: tuple[str, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of `[[lines]]` (see the module's docstring)."""

    where_from: str
    programs: tuple[str, ...] = ()
    split: str = ""
    columns: tuple[str, ...] = ()
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    least: int = 1
    exact: bool = False
    constants: Mapping[str, str] = field(default_factory=dict)
    begins: tuple[Pattern, ...] = ()
    by: str = ""
    of: str = ""
    patterns: Mapping[str, tuple[Pattern, ...]] = field(default_factory=dict)


def _texts(file: File, given: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = given.get(key, [])
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise file.refuse("lines", key, "is not a text or a list of texts")
    return tuple(value)


def _table(file: File, given: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = given.get(key, {})
    if not isinstance(value, dict):
        raise file.refuse("lines", key, "is not a table")
    return value


def pattern(file: File, key: str, text: str) -> Pattern:
    """A pattern, read and checked."""
    pieces = PART.split(text)
    texts = tuple(pieces[::4])
    parts = []
    for name, kind, star in zip(pieces[1::4], pieces[2::4], pieces[3::4], strict=True):
        if (kind or "") not in KINDS:
            raise file.refuse("lines", key, f"no kind {kind!r}; there are {', '.join(KINDS[1:])}")
        parts.append(Part(name, kind or "", bool(star)))
    if not parts:
        raise file.refuse("lines", key, f"{text!r} names no part: {{name}}")
    if "{" in "".join(texts) or "}" in "".join(texts):
        raise file.refuse("lines", key, f"{text!r}: a brace that is not around a name")
    if any(not between for between in texts[1:-1]):
        raise file.refuse("lines", key, f"{text!r}: nothing stands between two parts")
    if len(parts) > MOST_PARTS:
        raise file.refuse("lines", key, f"{text!r}: more than {MOST_PARTS} parts")
    return Pattern(texts, tuple(parts))


def _line(file: File, given: Mapping[str, object]) -> Line:
    for key in given.keys() - KEYS:
        raise file.refuse("lines", key, f"is none of {', '.join(sorted(KEYS))}")
    split = given.get("split", "")
    begins = tuple(pattern(file, "begins", text) for text in _texts(file, given, "begins"))
    columns = _texts(file, given, "columns")
    if bool(split) == bool(begins):
        raise file.refuse("lines", "split", "it is either `split` or `begins`")
    if split and (not isinstance(split, str) or len(split.encode()) != 1):
        raise file.refuse("lines", "split", "is not one character")
    if split and not 1 <= len(columns) <= MOST_COLUMNS:
        raise file.refuse("lines", "columns", f"names none, or more than {MOST_COLUMNS}")
    where = {}
    for name, texts in _table(file, given, "where").items():
        if name not in columns or not isinstance(texts, str):
            raise file.refuse("lines", "where", f"{name!r} is no column, or its texts are no text")
        where[name] = tuple(texts.split("|"))
    constants = _table(file, given, "set")
    if not all(isinstance(value, str) for value in constants.values()):
        raise file.refuse("lines", "set", "holds what is no text")
    by, of = given.get("by", ""), given.get("of", "")
    patterns = {}
    for value, texts in _table(file, given, "patterns").items():
        found = [text for text in (texts if isinstance(texts, list) else [texts])
                 if isinstance(text, str)]
        if len(found) != (len(texts) if isinstance(texts, list) else 1):
            raise file.refuse("lines.patterns", value, "is not a text or a list of texts")
        patterns[value] = tuple(pattern(file, value, text) for text in found)
    names = {part.name for one in begins for part in one.parts}
    if patterns and not {by, of} <= names:
        raise file.refuse("lines", "by", "`by` and `of` are parts of `begins`")
    least = given.get("least", 1)
    exact = given.get("exact", False)
    if not isinstance(least, int) or not isinstance(exact, bool):
        raise file.refuse("lines", "least", "is no number, or `exact` not true or false")
    programs = _texts(file, given, "program")
    if split and not programs and not where:
        raise file.refuse("lines", "where", "is missing, and so is `program`: every line would fit")
    return Line(
        file.name, programs, str(split), columns, where, least, exact,
        {name: str(value) for name, value in constants.items()}, begins, str(by), str(of), patterns,
    )


def read(files: Iterable[tuple[str, str]]) -> tuple[Line, ...]:
    """The lines of mapping files, given as (name, text). Raises MappingError."""
    found: list[Line] = []
    for name, text in files:
        file = File(name, text)
        given = file.content.get("lines", [])
        if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
            raise file.refuse("", "lines", "is not a list of tables: [[lines]]")
        for file.entry, one in enumerate(given):
            found.append(_line(file, one))
    return tuple(found)


def load() -> tuple[Line, ...]:
    """Those of the analyst's files, then the shipped ones, in the order in which they are tried."""
    files = analysts.files()
    return _with(files) if files else _shipped()


@lru_cache(maxsize=4)
def _with(files: analysts.Files) -> tuple[Line, ...]:
    return (*read(files), *_shipped())


@cache
def _shipped() -> tuple[Line, ...]:
    return read(
        (path.relative_to(FOLDER).as_posix(), path.read_text("utf-8"))
        for path in sorted(FOLDER.glob("vendors/*.toml"))
    )


__all__ = ["Line", "MappingError", "Part", "Pattern", "load", "read"]
