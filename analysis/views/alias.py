"""`ecs.*` and `zeek.*`: the same rows under the names of other worlds."""

from collections.abc import Iterator

from tracelake.analysis.views import quote
from tracelake.normalize import TABLES, Table, zeek
from tracelake.normalize.alias import Alias
from tracelake.normalize.column import note


def _view(schema: str, name: str, table: str, where: str, columns: dict[str, str]) -> str:
    listed = ", ".join(f"{sql} AS {quote.name(key)}" for key, sql in columns.items())
    condition = f" WHERE {where}" if where else ""
    return (
        f"CREATE OR REPLACE VIEW {schema}.{quote.name(name)} AS "
        f"SELECT {listed} FROM main.{quote.name(table)}{condition}"
    )


def ecs_view(table: Table) -> str:
    """SQL that makes `ecs.<table>`: the columns that ECS has a name for."""
    columns = {"row_id": "row_id"}
    for field in table.schema:
        name = note(field, "ecs")
        if name:
            columns[name] = quote.name(field.name)
    columns["event.outcome"] = "CASE status_id WHEN 1 THEN 'success' WHEN 2 THEN 'failure' END"
    columns["event.dataset"] = quote.text(table.name)
    return _view("ecs", table.name, table.name, "", columns)


def zeek_view(log: str, alias: Alias) -> str:
    """SQL that makes `zeek.<log>`."""
    columns = {}
    for field in TABLES[alias.table].schema:
        name = note(field, "zeek")
        if name:
            columns[name] = quote.name(field.name)
    columns |= alias.computed
    columns["row_id"] = "row_id"
    return _view("zeek", log, alias.table, alias.where, columns)


def ecs_views() -> Iterator[str]:
    """SQL of `ecs.*`."""
    return (ecs_view(table) for table in TABLES.values() if table.is_events)


def zeek_views() -> Iterator[str]:
    """SQL of `zeek.*`."""
    return (zeek_view(log, alias) for log, alias in zeek.LOGS.items())
