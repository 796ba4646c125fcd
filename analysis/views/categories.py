"""`sigma.<category>`: the rows of a category, under the names that its rules use.

A name is a column by the metadata of the category's table; where Windows wrote the event, it is
the event's own field, whichever table and column the mapping put it into (`fields.py`). So it
is there as the log shows it, also where the column means the same in other words.
"""

from collections.abc import Iterator

import pyarrow as pa

from tracelake.analysis.views import fields, quote
from tracelake.analysis.views.fields import Section
from tracelake.normalize import TABLES, sigma
from tracelake.normalize.alias import Alias
from tracelake.normalize.column import note
from tracelake.normalize.ddl import duckdb_type
from tracelake.normalize.mapping import load
from tracelake.normalize.tables import common

COMMON = frozenset(field.name for field in common.COMMON)
"""Columns that all tables of events have."""

KEPT = ("row_id", "time", "engagement_id", "source_id", "unmapped")
"""Columns that every Sigma view has under their own names."""


def as_sigma(field: pa.Field) -> str:
    """A column as Sigma rules expect its values: masks as 0x..., truth as true and false."""
    column = quote.name(field.name)
    if note(field, "hex") == "1":
        return f"'0x' || lower(to_hex({column}))"
    if pa.types.is_boolean(field.type):
        return f"CAST({column} AS VARCHAR)"
    if pa.types.is_list(field.type):
        return f"array_to_string({column}, chr(10))"
    if pa.types.is_timestamp(field.type):
        return f"strftime({column}, '%Y-%m-%d %H:%M:%S.%g')"
    return column


class CategoryView:
    """One category, its columns in each table that has rows of it."""

    def __init__(self, name: str, alias: Alias, made: list[Section]) -> None:
        self.name = name
        self.alias = alias
        self.windows = alias if isinstance(alias, sigma.Category) else None
        self.sections = [section for section in made if self._has(section)]
        self.columns: dict[str, pa.Field] = {
            given: field
            for field in TABLES[alias.table].schema
            for given in sigma.names(field, name)
        }

    def _has(self, section: Section) -> bool:
        own, event = self.windows, section.event
        return own is not None and event.provider in own.providers and event.code in own.codes

    def names(self) -> list[str]:
        """Every name, as it is spelt first; SQL does not tell them apart by case."""
        spelt: dict[str, str] = {}
        held = [name for section in self.sections for name in fields.held(section.event)]
        for name in (
            *self.columns, *self.alias.computed, *sigma.COMMON,
            *(self.windows.names if self.windows else ()), *held,
        ):
            spelt.setdefault(name.lower(), name)
        return [name for key, name in spelt.items() if key not in KEPT]

    def tables(self) -> list[str]:
        """The tables that have rows of it."""
        found = dict.fromkeys(
            [self.alias.table, *(section.event.table for section in self.sections)]
        )
        if self.windows:
            always = {(s.event.provider, s.event.code) for s in self.sections if not s.event.when}
            if any((provider, code) not in always
                   for provider in self.windows.providers for code in self.windows.codes):
                found["raw_event"] = None
        return list(found)

    def _of(self, table: str) -> list[Section]:
        return [section for section in self.sections if section.event.table == table]

    def _text(self, table: str, name: str, otherwise: str) -> str:
        """SQL of an event's field, as text."""
        cases: dict[str, list[Section]] = {}
        for section in self._of(table):
            for field, sql in fields.held(section.event).items():
                if field.lower() == name.lower():
                    cases.setdefault(fields.text_of(field, sql), []).append(section)
        return fields.choose(cases, otherwise)

    def where(self, table: str) -> str:
        """SQL: which of a table's rows are of it; "" for all."""
        here = table == self.alias.table
        if self.windows is None:
            return self.alias.where
        own = f"event_code {fields.among(self.windows.codes)}"
        if self.windows.only:
            name, values = self.windows.only
            own += f" AND {self.column(table, name)} {fields.among(values)}"
        theirs = f"log_provider {fields.among(self.windows.providers)}"
        if not here or self.alias.where == "false":
            return f"{theirs} AND {own}"
        others = self.alias.where or "true"
        return f"CASE WHEN coalesce({theirs}, false) THEN {own} ELSE {others} END"

    def column(self, table: str, name: str) -> str:
        """SQL of one of its names."""
        if name in sigma.COMMON:
            return sigma.COMMON[name]
        logged = fields.unmapped(name)
        field = None if name in self.alias.computed else self.columns.get(name)
        if field is not None and field.name in COMMON:
            # Every table has it; but an event may have a field of its own by that name.
            column = as_sigma(field)
            own = self.windows is not None and name in self.windows.names
            if not own:
                return column
            return self._text(table, name, f"coalesce({logged}, CAST({column} AS VARCHAR))")
        number = field is not None and pa.types.is_integer(field.type) and not note(field, "hex")
        if number and field is not None:
            kind = duckdb_type(field.type)
            parts = [f"TRY_CAST({self._text(table, name, logged)} AS {kind})"]
            if table == self.alias.table:
                column = quote.name(field.name)
                if self._is_column(table, name, field.name):
                    parts = [f"TRY_CAST({logged} AS {kind})"]
                parts.insert(0, column)
            return fields.first(*parts)
        if name == "Data":
            return fields.data(self._of(table))
        if table != self.alias.table:
            return self._text(table, name, logged)
        plain = self.alias.computed.get(name) or (as_sigma(field) if field is not None else None)
        if plain is not None and self.windows is None:
            return plain
        otherwise = logged if plain is None else fields.first(plain, logged)
        if field is not None and self._is_column(table, name, field.name):
            return otherwise
        return self._text(table, name, otherwise)

    def _is_column(self, table: str, name: str, column: str) -> bool:
        """Whether no event of it has the field anywhere else than in this column."""
        sections = [s for s in self._of(table) if name in fields.held(s.event)]
        return all(
            fields.always(section.event, name, column) for section in sections
        ) and not any(
            key.lower() == name.lower() and key != name
            for section in self._of(table) for key in fields.held(section.event)
        )

    def sql(self) -> str:
        """SQL that makes the view."""
        names = self.names()
        parts = []
        for table in self.tables():
            columns = {name: name for name in KEPT}
            columns |= {name: self.column(table, name) for name in names}
            listed = ", ".join(f"{sql} AS {quote.name(key)}" for key, sql in columns.items())
            where = self.where(table)
            condition = f" WHERE {where}" if where else ""
            parts.append(f"SELECT {listed} FROM main.{quote.name(table)}{condition}")
        made = " UNION ALL ".join(parts)
        return f"CREATE OR REPLACE VIEW sigma.{quote.name(self.name)} AS {made}"


def views() -> Iterator[str]:
    """SQL of every `sigma.<category>`."""
    made = fields.windows_sections(load())
    for name, alias in sigma.CATEGORIES.items():
        yield CategoryView(name, alias, made).sql()
