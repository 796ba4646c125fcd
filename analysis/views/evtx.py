"""`sigma.evtx`: every row that a Windows event became, under the event's own field names.

For rules that name a service and an EventID; `sigma.<service>` is its rows of that service's
channels. A column of the event's own data is always text, as the log shows it, whichever table
and column the mapping put it into (`fields.py`). A field that neither a mapping nor sigma.FIELDS
names is in `unmapped`. `sigma.evtx_fields` has all fields of every event, by name.
"""

from collections.abc import Iterator

import pyarrow as pa

from tracelake.analysis.views import fields, quote
from tracelake.analysis.views.categories import KEPT
from tracelake.analysis.views.fields import Section
from tracelake.normalize import TABLES, Table, sigma
from tracelake.normalize.mapping import load
from tracelake.normalize.transforms import TRANSFORMS

HEAD = {name: name for name in KEPT} | sigma.SYSTEM | {"log_name": "log_name"}
"""What every event has, and its name here."""
OWN = ("table_name", "own_channel", "Message", "Data")
"""Columns that the view makes itself, beside HEAD."""

# Names as they are compared: no provider spells as the next one does (LogonId, LogonID and
# Logonid), and rules leave out blanks.
NAMES = "list_transform(map_keys(unmapped), lambda name: lower(replace(name, ' ', '')))"


def _key(name: str) -> str:
    return name.lower().replace(" ", "")


def _spellings(made: list[Section]) -> dict[str, list[str]]:
    """Key -> the names of fields that are one, as logs and rules spell them."""
    spelt: dict[str, dict[str, None]] = {}
    logged = (
        source.field
        for section in made for sources in section.event.columns.values() for source in sources
    )
    # As rules spell it, if they do, it is the column's name.
    for name in (*sigma.FIELDS, *logged):
        spelt.setdefault(_key(name), {}).setdefault(name)
    for name in (*OWN, *HEAD):
        spelt.pop(_key(name), None)
    return {key: list(names) for key, names in spelt.items()}


def _columns(names: list[str]) -> list[str]:
    """What a field is called. SQL does not tell names apart by case; for blanks rules write
    nothing, or a low line."""
    found: dict[str, str] = {}
    for name in names:
        for variant in (name, name.replace(" ", ""), name.replace(" ", "_")):
            found.setdefault(variant.lower(), variant)
    return list(found.values())


def _held(made: list[Section]) -> dict[str, str]:
    """Key of a field -> SQL of what the columns of a table hold of it."""
    cases: dict[str, dict[str, list[Section]]] = {}
    of_column: dict[str, set[str]] = {}
    for section in made:
        for column, sources in section.event.columns.items():
            of_column.setdefault(column, set()).update(_key(source.field) for source in sources)
        for field, sql in fields.held(section.event).items():
            cases.setdefault(_key(field), {}).setdefault(sql, []).append(section)
    found = {}
    for key, sqls in cases.items():
        # Columns that are filled from this field alone say by themselves whether it was there.
        shared = any(key in names and len(names) > 1 for names in of_column.values())
        if len(sqls) == 1 and not shared:
            (found[key],) = sqls
        else:
            found[key] = fields.choose(sqls, "NULL")
    return found


def _message(table: Table, made: list[Section]) -> str:
    """SQL: what the event says, as text: Windows' own words for it stand in no log, but they
    are filled with its values."""
    columns = dict.fromkeys(
        column for section in made for column, sources in section.event.columns.items()
        if not TRANSFORMS[sources[0].transform].derived and sources[0].transform != "map"
    )
    texts = []
    for column in columns:
        name = quote.name(column)
        is_list = pa.types.is_list(table.schema.field(column).type)
        texts.append(f"array_to_string({name}, chr(10))" if is_list else name)
    listed = ", ".join(["message", *texts, "array_to_string(map_values(unmapped), chr(10))"])
    return f"nullif(concat_ws(chr(10), {listed}), '')"


def _part(table: Table, made: list[Section]) -> str:
    """SQL: a table's events, with what its columns hold of their fields, by key."""
    columns = HEAD | {
        "table_name": quote.text(table.name),
        "Message": _message(table, made),
        "Data": fields.data(made),
    }
    # Apart from all names of fields.
    columns |= {f"held:{key}": sql for key, sql in _held(made).items()}
    return _select(columns, table)


def _select(columns: dict[str, str], table: Table) -> str:
    listed = ", ".join(f"{sql} AS {quote.name(name)}" for name, sql in columns.items())
    return (
        f"SELECT {listed} FROM main.{quote.name(table.name)} "
        "WHERE log_name IS NOT NULL AND event_code IS NOT NULL"
    )


def _tables(made: list[Section]) -> Iterator[tuple[Table, list[Section]]]:
    """The tables that have events, and the sections that made them."""
    for table in TABLES.values():
        here = [section for section in made if section.event.table == table.name]
        if here or table.name == "raw_event":
            yield table, here


def view() -> str:
    """SQL that makes `sigma.evtx`."""
    made = fields.windows_sections(load())
    held = {_key(field) for section in made for field in fields.held(section.event)}

    def field(key: str) -> str:
        column = [quote.name(f"held:{key}")] if key in held else []
        return fields.first(f"texts[list_position(names, {quote.text(key)})]", *column)

    columns = {name: quote.name(name) for name in (*HEAD, "table_name", "Message", "Data")}
    columns["own_channel"] = field("channel")
    for key, names in _spellings(made).items():
        columns |= dict.fromkeys(_columns(names), field(key))
    listed = ", ".join(f"{sql} AS {quote.name(name)}" for name, sql in columns.items())
    parts = " UNION ALL BY NAME ".join(_part(table, here) for table, here in _tables(made))
    return (
        f"CREATE OR REPLACE VIEW sigma.evtx AS SELECT {listed} FROM "
        f"(SELECT *, {NAMES} AS names, map_values(unmapped) AS texts FROM ({parts}) AS e) AS e"
    )


def fields_view() -> str:
    """SQL that makes `sigma.evtx_fields`."""
    parts = " UNION ALL ".join(
        _select(
            HEAD | {"table_name": quote.text(table.name), "fields": fields.everything(here)}, table
        )
        for table, here in _tables(fields.windows_sections(load()))
    )
    return f"CREATE OR REPLACE VIEW sigma.evtx_fields AS {parts}"


def service_view(service: str) -> str:
    """SQL that makes `sigma.<service>`: the rows of its channels.

    `Channel` is the event's own field of that name where it has one (which log was cleared, in
    event 104): the log that it stands in is `log_name`, and the same for the whole view.
    """
    channels = fields.among(sigma.SERVICES[service])
    return (
        f"CREATE OR REPLACE VIEW sigma.{quote.name(service)} AS SELECT * "
        "REPLACE (coalesce(own_channel, \"Channel\") AS \"Channel\") "
        f"FROM sigma.evtx WHERE log_name {channels}"
    )
