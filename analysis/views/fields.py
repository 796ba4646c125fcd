"""The mappings read backwards: an event's fields, as SQL over the columns of its row.

The way back of `normalize/rebuild.py`, for a whole table at once: a field stands in `unmapped`,
or else the columns that its event's mapping fills from it hold it exactly, and the inverse of
their transforms is its text.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from tracelake.analysis.views import quote
from tracelake.normalize import codes
from tracelake.normalize.mapping import Mappings
from tracelake.normalize.section import ANY, Condition, Event, Source
from tracelake.normalize.transforms import EPOCHS, HASHES, PAIRS, TRANSFORMS

EXACT = frozenset({"text", "sid", "logon_id"})
"""Transforms that keep every text as it is: a column that has a value holds it exactly."""
SAME = EXACT | {"ip", "guid"}
"""Transforms whose inverse is the column's text."""


def unmapped(field: str) -> str:
    """SQL: what `unmapped` holds under a name."""
    return f"unmapped[{quote.text(field)}]"


def first(*parts: str) -> str:
    """SQL: the first that is not null."""
    return parts[0] if len(parts) == 1 else f"coalesce({', '.join(parts)})"


@cache
def _parameters() -> str:
    """SQL: a map from the word for a message parameter to the first one with it."""
    found: dict[str, str] = {}
    for code, word in codes.load("parameter").items():
        found.setdefault(word, code)
    words, numbers = (", ".join(map(quote.text, texts)) for texts in (found, found.values()))
    return f"map([{words}], [{numbers}])"


def inverse(column: str, source: Source) -> str | None:
    """SQL: the text that a column's value was made from; None where it cannot be told."""
    name = quote.name(column)
    if source.transform in PAIRS.values() or TRANSFORMS[source.transform].derived:
        return None
    if source.transform in SAME or source.transform in PAIRS:
        return name
    match source.transform:
        case "hex":
            return f"'0x' || lower(to_hex({name}))"
        case "signed_hex":
            number = f"CAST(TRY_CAST({name} AS UBIGINT) AS HUGEINT)"
            return (
                f"CAST({number} - CASE WHEN {number} >= 9223372036854775808 "
                "THEN 18446744073709551616 ELSE 0 END AS VARCHAR)"
            )
        case "guid_upper" | "digest":
            return f"upper({name})"
        case "time":
            return f"strftime({name}, '%Y-%m-%dT%H:%M:%S.%f') || '0Z'"
        case "decimal":
            return f"CAST({name} AS VARCHAR)"
        case "utc_ms":
            return f"strftime({name}, '%Y-%m-%d %H:%M:%S.%g')"
        case "epoch":
            micros = f"epoch_us({name})"
            if source.argument == "filetime":
                return f"CAST({micros} * 10 + 116444736000000000 AS VARCHAR)"
            nanos = EPOCHS.get(source.argument)
            return f"CAST({micros} * 1000 // {nanos} AS VARCHAR)" if nanos else None
        case "items":
            return f"CAST(to_json({name}) AS VARCHAR)"
        case "param":
            return f"coalesce({_parameters()}[{name}], {name})"
        case "split":
            return f"array_to_string({name}, concat(chr(13), chr(10), chr(9), chr(9), chr(9)))"
        case "list" | "dns_answers":
            return f"array_to_string(list_transform({name}, lambda part: part || ';'), '')"
        case "map":
            texts = {value: text for text, value in reversed(source.values)}
            cases = " ".join(
                f"WHEN {quote.text(value) if isinstance(value, str) else value} "
                f"THEN {quote.text(text)}"
                for value, text in texts.items()
            )
            return f"CASE {name} {cases} END"
        case _:
            return f"CAST({name} AS VARCHAR)"


def _whole(filled: list[tuple[str, Source]], event: Event) -> str | None:
    """SQL of a field that these columns hold, or None where none does."""
    hashes = {source.argument: column for column, source in filled if source.transform == "hash"}
    if hashes:
        listed = ", ".join(
            f"'{kind.upper()}=' || upper({quote.name(hashes[kind])})"
            for kind in HASHES
            if kind in hashes
        )
        return f"nullif(concat_ws(',', {listed}), '')"
    before = {source.transform: column for column, source in filled}
    found = []
    for column, source in filled:
        text = inverse(column, source)
        if text is None:
            continue
        domain = before.get(PAIRS.get(source.transform, ""))
        if domain is not None:
            text = f"coalesce({quote.name(domain)} || '\\', '') || {text}"
        if column in event.constants:
            # Its default says nothing of the field, which is in `unmapped` if it is the same.
            text = f"CASE WHEN {quote.name(column)} <> {event.constants[column]} THEN {text} END"
        found.append(text)
    return first(*found) if found else None


def _set(source: Source, text: str) -> str:
    """SQL: the field that `source` would take has a value."""
    null = {"sid": ", 'S-1-0-0'", "logon_id": ", '0x0'"}.get(source.transform, "")
    return f"coalesce({text} NOT IN ('', '-'{null}), false)"


def held(event: Event) -> dict[str, str]:
    """Field of the event -> SQL of its text, where columns may hold it; null where they do not.

    What `unmapped` has under the field's name comes first: `text_of`.
    """
    alone: dict[str, list[tuple[str, Source]]] = {}
    for column, sources in event.columns.items():
        if len(sources) == 1:
            alone.setdefault(sources[0].field, []).append((column, sources[0]))
    found: dict[str, str] = {}
    for field, filled in alone.items():
        text = _whole(filled, event)
        if text is not None:
            found[field] = text
    singles = dict(found)
    for column, sources in event.columns.items():
        text = inverse(column, sources[0]) if len(sources) > 1 else None
        if text is None:
            continue
        # The column may hold another field's value: then that one is set.
        others = " OR ".join(
            _set(source, text_of(source.field, singles.get(source.field)))
            for source in sources[1:]
        )
        text = f"CASE WHEN NOT ({others}) THEN {text} END"
        name = sources[0].field
        found[name] = first(found[name], text) if name in found else text
    return found


def text_of(field: str, sql: str | None) -> str:
    """SQL of a field's text, given what its columns say (`held`)."""
    return unmapped(field) if sql is None else first(unmapped(field), sql)


def always(event: Event, field: str, column: str) -> bool:
    """Whether a column, where it has a value, holds a field's text letter for letter."""
    sources = event.columns.get(column, ())
    return (
        len(sources) == 1 and sources[0].field == field and sources[0].transform in EXACT
        and column not in event.constants
    )


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the mapping, and which rows of its table it made.

    Attributes:
        event: the section.
        condition: SQL that tells its rows from those of the event's other sections for the same
            table; "" where there are none.
    """

    event: Event
    condition: str = ""


def _holds(event: Event) -> str:
    """SQL: the event fits the section. (What a condition names is always in `unmapped`.)"""
    return " AND ".join(map(_condition, event.when)) or "true"


def _condition(when: Condition) -> str:
    fits = among(when.values) if when.values else "<> ''"
    text = f"coalesce({unmapped(when.field)}, '') {fits}"
    return text if when.equal else f"NOT ({text})"


def sections(mappings: Mappings) -> list[Section]:
    """Every section of every event."""
    found = []
    codes: dict[str, list[str]] = {}
    for provider, code in mappings.events:
        codes.setdefault(provider, []).append(code)
    for event in mappings.events.values():
        for section in event.sections:
            peers = [other for other in event.sections if other.table == section.table]
            before = peers[: peers.index(section)]
            parts = [f"NOT ({_holds(other)})" for other in before] + [_holds(section)]
            parts = parts if len(peers) > 1 else []
            others = [code for code in codes[event.provider] if code != ANY]
            if event.code == ANY and others:
                parts.append(f"NOT (coalesce(event_code, '') {among(others)})")
            found.append(Section(section, " AND ".join(parts)))
    return found


def windows_sections(mappings: Mappings) -> list[Section]:
    """The same of Windows' own events, whoever ships them: those whose fields Sigma's rules for
    Windows name. Vendors' schemas have other names, and thousands of sections."""
    return [made for made in sections(mappings) if not made.event.where.startswith("vendors/")]


def of(sections: Iterable[Section]) -> str:
    """SQL: a row was made by one of these sections."""
    codes: dict[tuple[str, str], list[str]] = {}
    for section in sections:
        event = section.event
        codes.setdefault((event.provider, section.condition), []).append(event.code)
    providers: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (provider, condition), listed in codes.items():
        providers.setdefault((condition, tuple(listed)), []).append(provider)
    return " OR ".join(
        f"(log_provider {among(names)}"
        f"{'' if ANY in listed else ' AND event_code ' + among(listed)}"
        f"{' AND ' + condition if condition else ''})"
        for (condition, listed), names in providers.items()
    )


def among(values: Iterable[str]) -> str:
    """SQL, right of a column: it is one of these texts."""
    listed = [quote.text(value) for value in values]
    return f"= {listed[0]}" if len(listed) == 1 else f"IN ({', '.join(listed)})"


def choose(cases: dict[str, list[Section]], otherwise: str) -> str:
    """SQL: per kind of event the text that stands as key, else `otherwise`."""
    listed = " ".join(f"WHEN {of(made)} THEN {sql}" for sql, made in cases.items())
    return f"CASE {listed} ELSE {otherwise} END" if listed else otherwise


def everything(made: list[Section]) -> str:
    """SQL: a map of all fields of a row's event. What its columns do not hold is in `unmapped`."""
    cases: dict[str, list[Section]] = {}
    for section in made:
        entries = ", ".join(
            f"struct_pack(k := {quote.text(field)}, v := {sql})"
            for field, sql in held(section.event).items()
        )
        if entries:
            cases.setdefault(
                f"map_concat(map_from_entries(list_filter([{entries}], "
                "lambda e: e.v IS NOT NULL)), unmapped)", []
            ).append(section)
    return choose(cases, "unmapped")


def data(made: list[Section]) -> str:
    """SQL: the values of `<Data>` without a name, a line each: what Sigma calls `Data`."""
    holding = [
        section for section in made
        if any(name == "Data" or name.startswith("Data[") for name in held(section.event))
    ]
    entries = (
        f"list_filter(map_entries({everything(holding)}), "
        "lambda e: e.key = 'Data' OR starts_with(e.key, 'Data['))"
    )
    if holding:
        number = "coalesce(TRY_CAST(regexp_extract(e.key, '[0-9]+') AS INTEGER), 1)"
        entries = (
            f"list_sort(list_transform({entries}, "
            f"lambda e: struct_pack(number := {number}, value := e.value)))"
        )
    return (
        f"nullif(array_to_string(list_transform({entries}, lambda e: e.value), chr(10)), '')"
    )
