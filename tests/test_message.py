"""Messages: the templates beside the mappings, and the SQL that fills them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.small_lake import SmallLake
from tracelake.analysis.session import Session
from tracelake.analysis.views import base, message
from tracelake.analysis.views.base import Window
from tracelake.normalize import TABLES, Provenance, complete, mapping, template
from tracelake.normalize.column import note
from tracelake.normalize.mapping import Mappings
from tracelake.normalize.section import Event
from tracelake.normalize.template import TemplateError
from tracelake.parsers.events import Events

Row = dict[str, Any]


@pytest.mark.parametrize(
    ("text", "values", "said"),
    [
        ("plain", {}, "plain"),
        ("", {}, ""),
        ("{a} of {b}", {"a": "1", "b": "2"}, "1 of 2"),
        ("{a} of {b}", {"b": "2"}, "- of 2"),
        ("x[ from {a}][ by {b}]", {"b": "2"}, "x by 2"),
        ("x[ from {a}:{b}]", {"a": "1"}, "x"),
        ("x[ from {a}[:{b}]]", {"a": "1"}, "x from 1"),
        ("x[ from {a}[:{b}]]", {"b": "1"}, "x"),
        ("x[ from {a}[:{b}]]", {"a": "1", "b": "2"}, "x from 1:2"),
        ("{a}\\{b} went", {"b": "2"}, "2 went"),
        ("{a}\\{b} went", {"a": "1", "b": "2"}, "1\\2 went"),
        ("{a}\\{b} went", {"a": "1"}, "1\\- went"),
        ("x[ as {a}\\{b}]", {"b": "2"}, "x as 2"),
        ("x[ as {a}\\{b}]", {"a": "1"}, "x"),
        ("{a}\\{b}\\{c}", {"c": "3"}, "3"),
        ("{Data[2]} {x y}", {"Data[2]": "1", "x y": "2"}, "1 2"),
        ("{a}\\", {}, "-\\"),
    ],
)
def test_templates(text: str, values: dict[str, str | None], said: str) -> None:
    assert template.text(template.parse(text), values) == said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a]", "] without its ["), ("[a", "[ without its ]"), ("[a]", "brackets without a name"),
        ("[]", "brackets without a name"), ("{a", "no name in '{a'"), ("{}", "no name in '{}'"),
        ("{ a}", "no name in '{ a}'"), ("a}", "} without its {"), ("{a{b}", "no name in"),
        ("x[ {a}[y]]", "brackets without a name"), ("[{a}", "[ without its ]"),
    ],
)
def test_what_is_wrong_with_a_template(text: str, says: str) -> None:
    with pytest.raises(TemplateError) as raised:
        template.parse(text)
    assert says in str(raised.value)


PROVENANCE = Provenance("case", "0" * 32, 0, "evtx", "1", "none")


def messages(folder: Path, table: str, batches: list[pa.RecordBatch]) -> list[Row]:
    """The rows as a session's view shows them."""
    path = folder / f"{table}.parquet"
    whole = [complete(TABLES[table], batch, PROVENANCE) for batch in batches]
    pq.write_table(pa.Table.from_batches(whole), path)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(base.view(TABLES[table], [str(path)], Window(), with_messages=True))
        found = connection.sql(f"SELECT * FROM {table} ORDER BY src_offset").to_arrow_table()
    return found.to_pylist()


def shown(event: Event, row: Row, named: dict[str, str]) -> dict[str, str | None]:
    """What the names in an event's template stand for, told from its row and its fields."""
    found: dict[str, str | None] = {}
    for name in template.names(template.parse(event.message)):
        if name not in TABLES[event.table].columns:
            found[name] = named.get(name)
            continue
        value = row[name]
        if isinstance(value, list):
            value = ", ".join(value) or None
        elif isinstance(value, bool):
            value = str(value).lower()
        elif isinstance(value, datetime):
            value = f"{value:%Y-%m-%d %H:%M:%S.%f}"[:-3]
        elif isinstance(value, int) and note(TABLES[event.table].schema.field(name), "hex") == "1":
            value = hex(value)
        found[name] = None if value is None else str(value)
    return found


def values_of(event: Event, texts: bool) -> dict[str, str]:
    """Every field that an event's section names, with a value that some columns can hold."""
    fields = {source.field for sources in event.columns.values() for source in sources}
    fields |= {name for name in template.names(template.parse(event.message))
               if name not in TABLES[event.table].columns}
    named = {field: f"v {number}" if texts else str(number) for number, field in
             enumerate(sorted(fields), 1)}
    for when in event.when:
        named[when.field] = "other" if not when.equal else when.values[0] if when.values else "set"
    return named


@pytest.mark.parametrize("table", mapping.load().tables)
def test_every_shipped_template_is_filled(table: str, tmp_path: Path) -> None:
    made: list[tuple[Event, dict[str, str]]] = []
    events = Events(mapping.load())
    for event in mapping.load().sections:
        if event.table != table or not event.message:
            continue
        for named in (values_of(event, True), values_of(event, False), {}):
            whole = mapping.load().events[event.provider, event.code].section(dict(named))
            if whole is None or whole.table != table:
                continue
            given = [(name, "text", value.encode()) for name, value in named.items()]
            system = [("Provider", "text", event.provider.encode()),
                      ("EventID", "text", event.code.encode())]
            events.add(event.provider, event.code, given, system, offset=len(made))
            made.append((whole, named))
    batches = [batch for name, batch in events.take(True) if name == table]
    rows = messages(tmp_path, table, batches) if batches else []
    assert len(rows) == len(made)
    for (event, named), row in zip(made, rows, strict=True):
        if event.message:
            wanted = template.text(template.parse(event.message), shown(event, row, named))
            assert row["message"] == wanted[: message.LONGEST], event.where


CONDITIONAL = """
provider = ["P", "Q"]
["1 where Type = File"]
table = "file_activity"
message = "file {file_path}[ ({Type})]"
["1 where Type = File".columns]
file_path = "Object"
[1]
table = "file_activity"
message = "{Object}[, {Type}]"
[1.columns]
file_path = "Object"
"""


def test_messages_of_sections_and_of_rows_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: Mappings = mapping.read([("t.toml", CONDITIONAL)])
    monkeypatch.setattr(message, "_all_sections", lambda: message.fields.sections(loaded))
    message.of.cache_clear()
    events = Events(loaded)
    for number, (provider, code, named) in enumerate([
        ("P", "1", {"Object": "a", "Type": "File"}), ("Q", "1", {"Object": "b", "Type": "Key"}),
        ("Q", "1", {"Object": "c", "Type": "-"}), ("P", "1", {}), ("P", "2", {"x": "y"}),
    ]):
        given = [(name, "text", value.encode()) for name, value in named.items()]
        system = [("Provider", "text", provider.encode()), ("EventID", "text", code.encode())]
        events.add(provider, code, given, system, offset=number)
    taken = dict(events.take(True))
    try:
        rows = messages(tmp_path, "file_activity", [taken["file_activity"]])
        assert [row["message"] for row in rows] == ["file a (File)", "b, Key", "c", "-"]
        rows = messages(tmp_path, "raw_event", [taken["raw_event"]])
        assert [row["message"] for row in rows] == ["event 2 P x=y"]
    finally:
        message.of.cache_clear()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT message FROM process_activity",
        "SELECT * EXCLUDE (row_id) FROM process_activity",
        "FROM process_activity",
        "SELECT to_json(p) FROM process_activity AS p",
        "SELECT COLUMNS('mess.*') FROM process_activity",
        "SELECT message FROM timeline",
        "SELECT message FROM ocsf.process_activity",
    ],
)
def test_a_session_makes_messages_for_queries_that_ask_for_them(
    query: str, tmp_path: Path
) -> None:
    lake = SmallLake(str(tmp_path))
    row = {"log_provider": "Microsoft-Windows-Sysmon", "event_code": "5", "activity_id": 2,
           "time": datetime(2024, 5, 1, tzinfo=UTC), "proc_path": "C:\\a.exe"}
    own = row | {"message": "what the record says itself", "src_offset": 1}
    flow = {"time": datetime(2024, 5, 1, tzinfo=UTC), "src_ip": "10.0.0.1", "src_offset": 2}
    lake.write("process_activity", [row, own])
    lake.write("network_activity", [flow])
    template_of = mapping.load().events["Microsoft-Windows-Sysmon", "5"].message
    assert "{proc_path}" in template_of
    with Session(lake) as session:
        found = str(session.sql(query).fetchall())
        assert "a.exe" in found.replace("proc_path", "")
        assert "what the record says itself" in found
        told = session.sql("SELECT message FROM network_activity").fetchall()
        assert told == [("10.0.0.1 -> ?",)]


def test_a_query_without_messages_leaves_the_views_as_they_are(tmp_path: Path) -> None:
    lake = SmallLake(str(tmp_path))
    lake.write("process_activity", [{"proc_path": "x"}])
    with Session(lake) as session:
        before = set(session._silent)
        assert session.sql("SELECT proc_path FROM process_activity").fetchall() == [("x",)]
        assert session.sql("SELECT count(*) FROM timeline").fetchall() == [(0,)]
        assert set(session._silent) == before
        with pytest.raises(duckdb.Error):
            session.sql("SELECT nothing FROM process_activity")
        session.sql("SELECT ?, message FROM process_activity", [7])
        assert before - set(session._silent) == {"process_activity"}
