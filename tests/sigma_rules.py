"""Sigma rules as SQL over the views `sigma.*`: small, for tests.

Specification: Sigma rules specification 2.1 with its appendix of modifiers. A rule becomes one
WHERE over one view: a category's, a service's, or `sigma.evtx`. A field is a column of the view,
or else an entry of its `unmapped`. No comparison is ever unknown (a field that is not there is
not equal, not contained ...), so that `not` is the opposite.

Not read: correlations and aggregations (`| count() ...`), and `expand`, whose values are the
operator's own: Unsupported names what.
"""

import base64
import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from tracelake.analysis.views import quote
from tracelake.normalize import sigma


class Unsupported(ValueError):
    """The rule asks for something that this evaluator does not do."""


@dataclass(frozen=True)
class Rule:
    """One document of a rule file."""

    path: Path
    content: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.content["id"])

    @property
    def logsource(self) -> dict[str, str]:
        return self.content["logsource"]

    @property
    def view(self) -> str:
        """The view that its log source means."""
        name = self.logsource.get("category") or self.logsource.get("service") or "evtx"
        if name != "evtx" and name not in sigma.CATEGORIES and name not in sigma.SERVICES:
            raise Unsupported(f"no view for {self.logsource}")
        return f"sigma.{quote.name(name)}"


def rules(folder: Path, product: str = "windows") -> Iterator[Rule]:
    """Every rule below a folder whose log source is of a product."""
    for path in sorted(folder.rglob("*.yml")):
        for document in yaml.safe_load_all(path.read_text("utf-8")):
            if isinstance(document, dict) and "detection" in document:
                rule = Rule(path, document)
                if rule.logsource.get("product") == product:
                    yield rule


# ---- values

ANY, ONE = object(), object()
Pattern = list[object]
"""Texts, ANY for `*`, ONE for `?`."""


def pattern(text: str) -> Pattern:
    """A Sigma string: `*` and `?` are wildcards unless a backslash stands before them; two
    backslashes are one, and one before anything else is itself."""
    parts: Pattern = [""]
    escaped = False

    def add(piece: str) -> None:
        if isinstance(parts[-1], str):
            parts[-1] += piece
        else:
            parts.append(piece)

    for char in text:
        if escaped:
            add(char if char in "\\*?" else "\\" + char)
            escaped = False
        elif char == "\\":
            escaped = True
        elif char in "*?":
            parts.append(ANY if char == "*" else ONE)
        else:
            add(char)
    if escaped:
        add("\\")
    return [part for part in parts if part != ""]


def plain(parts: Pattern, what: str) -> str:
    """The text of a pattern without wildcards."""
    if any(not isinstance(part, str) for part in parts):
        raise Unsupported(f"wildcards in a value for {what}")
    return "".join(map(str, parts))


DASHES = "-/\N{EN DASH}\N{EM DASH}\N{HORIZONTAL BAR}"


def windash(parts: Pattern) -> Iterator[Pattern]:
    """Every spelling of the dashes before options."""
    pieces: list[list[object]] = []
    for part in parts:
        if isinstance(part, str):
            for piece in re.split(rf"((?<!\w)[{DASHES}](?=\w))", part):
                pieces.append([*DASHES] if piece and piece in DASHES else [piece])
        else:
            pieces.append([part])
    for choice in product(*pieces):
        yield [part for part in choice if part != ""]


def encoded(value: str, encoding: str) -> str:
    """A text whose characters are the bytes of `value` in an encoding."""
    return value.encode(encoding).decode("latin-1")


def base64_offsets(data: bytes) -> Iterator[str]:
    """What of `data` is the same wherever it stands in a longer text before base64."""
    for shift, start in enumerate((0, 2, 3)):
        whole = base64.b64encode(b" " * shift + data).decode()
        end = (None, -3, -2)[(len(data) + shift) % 3]
        yield whole[start:end]


def _octets(parts: Pattern, what: str) -> bytes:
    text = plain(parts, what)
    # After utf16le and its like the characters are bytes already.
    return text.encode("latin-1") if "\0" in text else text.encode("utf-8")


Change = Callable[[Pattern], Iterable[Pattern]]

CHANGES: dict[str, Change] = {
    "contains": lambda parts: [[ANY, *parts, ANY]],
    "startswith": lambda parts: [[*parts, ANY]],
    "endswith": lambda parts: [[ANY, *parts]],
    "windash": windash,
    "base64": lambda parts: [[base64.b64encode(_octets(parts, "base64")).decode()]],
    "base64offset": lambda parts: [[text] for text in
                                   base64_offsets(_octets(parts, "base64offset")) if text],
    "wide": lambda parts: [[encoded(plain(parts, "wide"), "utf-16-le")]],
    "utf16le": lambda parts: [[encoded(plain(parts, "utf16le"), "utf-16-le")]],
    "utf16be": lambda parts: [[encoded(plain(parts, "utf16be"), "utf-16-be")]],
    "utf16": lambda parts: [["\xff\xfe" + encoded(plain(parts, "utf16"), "utf-16-le")]],
}
"""Modifiers that make patterns of patterns."""

COMPARISONS = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
REGEX_FLAGS = ("i", "m", "s")
TIMES = ("minute", "hour", "day", "week", "month", "year")
KNOWN = {*CHANGES, *COMPARISONS, *TIMES, *REGEX_FLAGS, "all", "re", "cidr", "exists", "cased",
         "fieldref", "neq", "expand"}


# ---- comparisons in SQL


def _true(sql: str) -> str:
    return f"coalesce({sql}, false)"


def _any(parts: Iterable[str]) -> str:
    listed = list(parts)
    return f"({' OR '.join(listed)})" if listed else "false"


def _all(parts: Iterable[str]) -> str:
    listed = list(parts)
    return f"({' AND '.join(listed)})" if listed else "true"


def like(field: str, parts: Pattern, cased: bool) -> str:
    """A text against a pattern."""
    if not cased:
        field = f"lower({field})"
        parts = [part.lower() if isinstance(part, str) else part for part in parts]
    texts = [part for part in parts if isinstance(part, str)]
    shape = ["text" if isinstance(part, str) else part for part in parts]
    if not texts and set(parts) == {ANY}:
        return f"{field} IS NOT NULL"
    functions = {("text",): "=", (ANY, "text", ANY): "contains", ("text", ANY): "prefix",
                 (ANY, "text"): "suffix", (): "="}
    name = functions.get(tuple(shape))
    if name == "=":
        return _true(f"{field} = {quote.text(texts[0] if texts else '')}")
    if name:
        return _true(f"{name}({field}, {quote.text(texts[0])})")
    made = "".join(
        re.sub(r"([%_^])", r"^\1", part) if isinstance(part, str) else "%" if part is ANY else "_"
        for part in parts
    )
    return _true(f"{field} LIKE {quote.text(made)} ESCAPE '^'")


def matches(field: str, regex: str, flags: Iterable[str]) -> str:
    """A text against a regular expression (RE2), anywhere in it."""
    start = f"(?{''.join(sorted(flags))})" if flags else ""
    return _true(f"regexp_matches({field}, {quote.text(start + regex)})")


def _groups(text: str) -> str:
    hexes = f"list_transform(string_split({text}, ':'), lambda g: TRY_CAST('0x' || g AS INTEGER))"
    return f"CASE WHEN {text} = '' THEN [] ELSE {hexes} END"


def inside(field: str, network: str) -> str:
    """An address in a network."""
    net = ipaddress.ip_network(network, strict=False)
    first, last = int(net.network_address), int(net.broadcast_address)
    if net.version == 4:
        octets = (f"list_transform(string_split({field}, '.'), "
                  "lambda o: TRY_CAST(o AS UTINYINT)::BIGINT)")
        number = f"list_reduce({octets}, lambda a, b: a * 256 + b)"
        return _true(f"len({octets}) = 4 AND {number} BETWEEN {first} AND {last}")
    left, right = (_groups(f"split_part({field}, '::', {n})") for n in (1, 2))
    zeros = f"list_resize([]::INTEGER[], 8 - len({left}) - len({right}), 0)"
    whole = f"({left} || CASE WHEN contains({field}, '::') THEN {zeros} ELSE [] END || {right})"
    tests = [f"contains({field}, ':')", f"len({whole}) = 8"]
    for group in range(-(-net.prefixlen // 16)):
        shift = 16 * (7 - group)
        low, high = first >> shift & 0xFFFF, last >> shift & 0xFFFF
        tests.append(f"{whole}[{group + 1}] BETWEEN {low} AND {high}")
    return _true(_all(tests))


class View:
    """How fields are found in one view.

    Args:
        columns: name -> type of its columns.
    """

    def __init__(self, columns: dict[str, str]) -> None:
        self.columns = {name.lower(): (name, kind) for name, kind in columns.items()}

    def field(self, name: str) -> str:
        """SQL of a field, as text."""
        if name.lower() not in self.columns:
            return f"unmapped[{quote.text(name)}]"
        column, kind = self.columns[name.lower()]
        found = quote.name(column)
        return found if kind == "VARCHAR" else f"CAST({found} AS VARCHAR)"

    def anything(self) -> str:
        """SQL of all that an event says, as one text."""
        if "own_channel" in self.columns:
            return '"Message"'
        texts = [quote.name(name) for name, kind in self.columns.values() if kind == "VARCHAR"]
        return (f"concat_ws(chr(10), {', '.join(texts)}, "
                "array_to_string(map_values(unmapped), chr(10)))")


# ---- detections


def item(view: View, key: str, given: Any) -> str:
    """SQL of one `Field|modifier: value(s)`."""
    name, *modifiers = key.split("|")
    strange = set(modifiers) - KNOWN
    if strange or "expand" in modifiers:
        raise Unsupported(f"modifier {', '.join(strange) or 'expand'}")
    values = given if isinstance(given, list) else [given]
    field = view.field(name) if name else view.anything()
    if "exists" in modifiers:
        return f"({field} IS {'NOT ' if given else ''}NULL)"
    if not name:
        modifiers = ["contains", *(m for m in modifiers if m != "contains")]
    tests = [one(view, field, modifiers, value) for value in values]
    sql = _all(tests) if "all" in modifiers else _any(tests)
    return f"(NOT {sql})" if "neq" in modifiers else sql


def one(view: View, field: str, modifiers: list[str], value: Any) -> str:
    """SQL of a field against one value."""
    if value is None:
        return f"({field} IS NULL)"
    time = next((m for m in modifiers if m in TIMES), None)
    if time:
        field = f"date_part('{time}', TRY_CAST({field} AS TIMESTAMPTZ))::VARCHAR"
    comparison = next((m for m in modifiers if m in COMPARISONS), None)
    if comparison:
        return _true(f"TRY_CAST({field} AS DOUBLE) {COMPARISONS[comparison]} {float(value)!r}")
    if "re" in modifiers:
        return matches(field, str(value), [m for m in modifiers if m in REGEX_FLAGS])
    if "cidr" in modifiers:
        return inside(field, str(value))
    if "fieldref" in modifiers:
        return _true(f"lower({field}) = lower({view.field(str(value))})")
    if isinstance(value, bool):
        return like(field, [str(value).lower()], False)
    patterns = [pattern(str(value))]
    for modifier in modifiers:
        change = CHANGES.get(modifier)
        if change:
            patterns = [made for parts in patterns for made in change(parts)]
    return _any(like(field, parts, "cased" in modifiers) for parts in patterns)


def detection(view: View, given: Any) -> str:
    """SQL of one search: a map (all of it), a list of maps (any), or keywords."""
    if isinstance(given, dict):
        return _all(item(view, key, value) for key, value in given.items())
    if isinstance(given, list):
        return _any(
            detection(view, part) if isinstance(part, dict) else item(view, "", part)
            for part in given
        )
    return item(view, "", given)


TOKEN = re.compile(r"\s*(\(|\)|[^\s()]+)")


class Condition:
    """A condition, read from left to right: `not` before `and` before `or`."""

    def __init__(self, text: str, searches: dict[str, str]) -> None:
        if "|" in text:
            raise Unsupported(f"aggregation: {text}")
        self.tokens = TOKEN.findall(text)
        self.searches = searches

    def sql(self) -> str:
        made = self.either()
        if self.tokens:
            raise Unsupported(f"condition: {self.tokens[0]}")
        return made

    def next(self, *words: str) -> bool:
        """Takes the next token if it is one of `words`."""
        if self.tokens and self.tokens[0].lower() in words:
            self.tokens.pop(0)
            return True
        return False

    def either(self) -> str:
        parts = [self.both()]
        while self.next("or"):
            parts.append(self.both())
        return _any(parts)

    def both(self) -> str:
        parts = [self.single()]
        while self.next("and"):
            parts.append(self.single())
        return _all(parts)

    def single(self) -> str:
        if self.next("not"):
            return f"(NOT {self.single()})"
        if self.next("("):
            inner = self.either()
            if not self.next(")"):
                raise Unsupported("condition: a bracket is not closed")
            return inner
        if not self.tokens:
            raise Unsupported("condition: it ends too early")
        word = self.tokens.pop(0)
        if word.lower() in ("1", "any", "all") and self.next("of"):
            if not self.tokens:
                raise Unsupported("condition: of what?")
            found = self.named(self.tokens.pop(0))
            return _all(found) if word.lower() == "all" else _any(found)
        if word not in self.searches:
            raise Unsupported(f"condition: no search {word}")
        return self.searches[word]

    def named(self, glob: str) -> list[str]:
        if glob == "them":
            return [sql for name, sql in self.searches.items() if not name.startswith("_")]
        return [sql for name, sql in self.searches.items() if fnmatchcase(name, glob)]


def where(rule: Rule, view: View) -> str:
    """The rule as a condition on rows of its view. Raises Unsupported."""
    given = rule.content["detection"]
    searches = {
        name: detection(view, value)
        for name, value in given.items()
        if name not in ("condition", "timeframe")
    }
    conditions = given["condition"]
    listed = conditions if isinstance(conditions, list) else [conditions]
    return _any(Condition(text, searches).sql() for text in listed)
