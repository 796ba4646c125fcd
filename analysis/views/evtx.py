"""`sigma.evtx`: every row that a Windows event became, under the event's own field names.

For rules that name a service and an EventID. The names come from the mappings, read backwards:
what `proc_path <- NewProcessName` put into a column stands under `NewProcessName` again for
that event, in every table the same name in the same column, always text. A field that no
column holds exactly is in `unmapped`, and is taken from there.
"""

from collections.abc import Iterable

from tracelake.analysis.views import quote
from tracelake.analysis.views.alias import KEPT, as_sigma
from tracelake.normalize import TABLES, Table, sigma
from tracelake.normalize.column import note
from tracelake.normalize.mapping import HASHES, TRANSFORMS, Event, Source, load

PLAIN = frozenset({"text", "ip", "sid", "logon_id", "guid", "signed_hex"})

SYSTEM = {
    **sigma.COMMON,
    "Channel": "log_name",
    "Provider_Name": "log_provider",
    "Computer": "device_hostname",
    "EventRecordID": "src_record_id",
    "Level": "event_level",
    "Task": "event_task",
    "Opcode": "event_opcode",
    "Keywords": "event_keywords",
    "Version": "event_version",
    "UserID": "event_user_uid",
    "Message": "message",
    "UtcTime": "time",
}
"""What every event has: typed, and no field of the event's own data."""


def _spoken(column: str, source: Source) -> str:
    """SQL: a column's value as the text of the field that it came from."""
    name = quote.name(column)
    if source.transform in PLAIN:
        return name
    if source.transform == "hex":
        return f"'0x' || lower(to_hex({name}))"
    if source.transform == "guid_upper":
        return f"upper({name})"
    if source.transform == "utc_ms":
        return f"strftime({name}, '%Y-%m-%d %H:%M:%S.%g')"
    if source.transform in ("list", "dns_answers"):
        return f"array_to_string({name}, ';') || ';'"
    if source.transform == "map":
        first = {value: text for text, value in reversed(source.values)}
        cases = " ".join(
            f"WHEN {quote.text(value) if isinstance(value, str) else value} "
            f"THEN {quote.text(text)}"
            for value, text in first.items()
        )
        return f"CASE {name} {cases} END"
    return f"CAST({name} AS VARCHAR)"


def _unmapped(field: str) -> str:
    return f"unmapped[{quote.text(field)}]"


def _whole(field: str, held: list[tuple[str, Source]]) -> str | None:
    """SQL of a field that several columns hold parts of, or None."""
    parts = {source.transform: column for column, source in held}
    if "account" in parts:
        user = quote.name(parts["account"])
        if "domain" not in parts:
            return user
        return f"coalesce({quote.name(parts['domain'])} || '\\', '') || {user}"
    hashes = {source.argument: column for column, source in held if source.transform == "hash"}
    if not hashes:
        return None
    listed = ", ".join(
        f"'{kind.upper()}=' || upper({quote.name(hashes[kind])})"
        for kind in HASHES
        if kind in hashes
    )
    return f"nullif(concat_ws(',', {listed}), '')"


def fields(event: Event) -> dict[str, str]:
    """Field of the event -> SQL over its table's columns."""
    held: dict[str, list[tuple[str, Source]]] = {}
    others: dict[str, list[str]] = {}
    for column, sources in event.columns.items():
        first = sources[0]
        if not TRANSFORMS[first.transform].derived:
            held.setdefault(first.field, []).append((column, first))
            others[first.field] = [source.field for source in sources[1:]]
    found = {}
    for field, columns in held.items():
        sql = _whole(field, columns) or _spoken(*columns[0])
        # The column may hold another field's value; that one is in `unmapped` then.
        if others[field]:
            absent = " AND ".join(f"{_unmapped(other)} IS NULL" for other in others[field])
            sql = f"CASE WHEN {absent} THEN {sql} END"
        found[field] = f"coalesce({_unmapped(field)}, {sql})"
    return found


def _metadata(table: Table) -> dict[str, str]:
    """Sigma name -> SQL for names that mean the same in every category of a table."""
    return {
        name: f"CAST({as_sigma(field)} AS VARCHAR)"
        for field in table.schema
        if not note(field, "zeek") and note(field, "sigma.*")
        for name in sigma.names(field, "*")
    }


def _columns(table: Table, events: Iterable[Event]) -> dict[str, str]:
    """Name, in lower case -> SQL for every row of a table."""
    cases: dict[str, list[str]] = {}
    for event in events:
        when = f"log_provider = {quote.text(event.provider)} AND event_code = " + quote.text(
            event.code
        )
        for field, sql in fields(event).items():
            cases.setdefault(field.lower(), []).append(f"WHEN {when} THEN {sql}")
    general = {name.lower(): sql for name, sql in _metadata(table).items()}
    return {
        name: " ".join(["CASE", *cases.get(name, []), "ELSE", general.get(name, "NULL"), "END"])
        if name in cases
        else general[name]
        for name in cases.keys() | general.keys()
    }


def view() -> str:
    """SQL that makes `sigma.evtx`."""
    events = list(load().events.values())
    holding = {event.table for event in events} | {"raw_event"}
    holding |= {alias.table for alias in sigma.CATEGORIES.values()}
    tables = [table for table in TABLES.values() if table.name in holding]
    # SQL does not tell names apart by case; the first spelling stands for all.
    spelt: dict[str, str] = {}
    for name in [name for event in events for name in fields(event)]:
        spelt.setdefault(name.lower(), name)
    for name in [name for table in tables for name in _metadata(table)]:
        spelt.setdefault(name.lower(), name)
    for name in (*SYSTEM, *KEPT, "table_name"):
        spelt.pop(name.lower(), None)
    parts = []
    for table in tables:
        own = _columns(table, [event for event in events if event.table == table.name])
        columns = {name: name for name in KEPT} | SYSTEM
        columns["table_name"] = quote.text(table.name)
        for key, name in spelt.items():
            sql = _unmapped(name)
            columns[name] = f"coalesce({own[key]}, {sql})" if key in own else sql
        listed = ", ".join(f"{sql} AS {quote.name(key)}" for key, sql in columns.items())
        parts.append(
            f"SELECT {listed} FROM main.{quote.name(table.name)} "
            "WHERE log_name IS NOT NULL AND event_code IS NOT NULL"
        )
    return "CREATE OR REPLACE VIEW sigma.evtx AS " + " UNION ALL ".join(parts)
