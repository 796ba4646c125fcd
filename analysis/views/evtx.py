"""`sigma.evtx`: every row that a Windows event became, under the event's own field names.

For rules that name a service and an EventID; `sigma.<service>` is its rows of that service's
channels. A column of the event's own data is always text, as the log shows it, whichever table
and column the mapping put it into (`fields.py`); a field that no mapping names is in `unmapped`.
`fields` has all of an event's fields, by name.
"""

from tracelake.analysis.views import fields, quote
from tracelake.analysis.views.categories import KEPT
from tracelake.analysis.views.fields import Section
from tracelake.normalize import TABLES, Table, sigma
from tracelake.normalize.mapping import load

OWN = ("fields", "table_name", "log_name", "Message", "Data")
"""Columns that the view makes itself, beside sigma.SYSTEM and KEPT."""


def _key(name: str) -> str:
    """What is the same for names that rules and logs spell differently."""
    return name.lower().replace(" ", "")


def _spellings(made: list[Section]) -> dict[str, list[str]]:
    """Key -> the names of fields that are one, as logs and rules spell them."""
    spelt: dict[str, dict[str, None]] = {}
    logged = (
        source.field
        for section in made for sources in section.event.columns.values() for source in sources
    )
    for name in (*logged, *sigma.FIELDS):
        spelt.setdefault(_key(name), {}).setdefault(name)
    for name in (*OWN, *sigma.SYSTEM, *KEPT):
        spelt.pop(_key(name), None)
    return {key: list(names) for key, names in spelt.items()}


def _columns(names: list[str]) -> list[str]:
    """What a field is called. SQL does not tell names apart by case; rules leave out blanks, or
    write a low line for them."""
    found: dict[str, str] = {}
    for name in names:
        for variant in (name, name.replace(" ", ""), name.replace(" ", "_")):
            found.setdefault(variant.lower(), variant)
    return list(found.values())


def _unmapped(names: list[str]) -> list[str]:
    """SQL of what `unmapped` may have a field under: no provider spells as the next one does
    (`LogonId`, `LogonID` and `Logonid`, `Param1` and `param1`, `Consumer` and `CONSUMER`)."""
    found: dict[str, None] = {}
    for name in names:
        last = name[:-2] + {"Id": "ID", "ID": "Id"}.get(name[-2:], name[-2:])
        for variant in (
            name, last, name[0].swapcase() + name[1:], name.capitalize(), name.lower(),
            name.upper(),
        ):
            found[fields.unmapped(variant)] = None
    return list(found)


def _part(table: Table, made: list[Section]) -> str:
    """SQL: a table's events, with what its columns hold of their fields, by key."""
    cases: dict[str, dict[str, list[Section]]] = {}
    for section in made:
        for field, sql in fields.held(section.event).items():
            cases.setdefault(_key(field), {}).setdefault(sql, []).append(section)
    columns = {name: name for name in KEPT} | sigma.SYSTEM | {
        "log_name": "log_name",
        "table_name": quote.text(table.name),
        "message": "message",
        "fields": fields.everything(made),
    }
    # In the shape of `_held`: apart from all names of fields.
    columns |= {f"held:{key}": fields.choose(sqls, "NULL") for key, sqls in cases.items()}
    listed = ", ".join(f"{sql} AS {quote.name(name)}" for name, sql in columns.items())
    return (
        f"SELECT {listed} FROM main.{quote.name(table.name)} "
        "WHERE log_name IS NOT NULL AND event_code IS NOT NULL"
    )


def view() -> str:
    """SQL that makes `sigma.evtx`."""
    made = fields.sections(load())
    holding = {section.event.table for section in made} | {"raw_event"}
    parts = [
        _part(table, [s for s in made if s.event.table == table.name])
        for table in TABLES.values()
        if table.name in holding
    ]
    held = {_key(field) for section in made for field in fields.held(section.event)}
    columns = {name: name for name in (*KEPT, *sigma.SYSTEM, "log_name", "table_name", "fields")}
    columns["Message"] = (
        "nullif(concat_ws(chr(10), message, array_to_string(map_values(fields), chr(10))), '')"
    )
    columns["Data"] = fields.data("fields")
    for key, names in _spellings(made).items():
        column = [quote.name(f"held:{key}")] if key in held else []
        columns |= dict.fromkeys(_columns(names), fields.first(*_unmapped(names), *column))
    listed = ", ".join(
        f"{quote.name(sql) if sql == name else sql} AS {quote.name(name)}"
        for name, sql in columns.items()
    )
    return (
        f"CREATE OR REPLACE VIEW sigma.evtx AS SELECT {listed} FROM "
        f"({' UNION ALL BY NAME '.join(parts)}) AS e"
    )


def service_view(service: str) -> str:
    """SQL that makes `sigma.<service>`: the rows of its channels.

    `Channel` is the event's own field of that name where it has one (which log was cleared, in
    event 104): the log that it stands in is `log_name`, and the same for the whole view.
    """
    channels = fields.among(sigma.SERVICES[service])
    return (
        f"CREATE OR REPLACE VIEW sigma.{quote.name(service)} AS SELECT * "
        "REPLACE (coalesce(fields['Channel'], \"Channel\") AS \"Channel\") "
        f"FROM sigma.evtx WHERE log_name {channels}"
    )
