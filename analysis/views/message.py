"""`message`: what a row says, in one line.

The text of its own, if the record had one; else the template that stands beside its event's
mapping (normalize/template.py), filled with the row's columns and the event's fields; else the
line that the rows of its table are told in (lines.py).

Some hundred templates are a long expression, and DuckDB binds a view's expressions for every
query. So a session makes the views with messages when a query asks for some (session.py), and
the expression is kept small: each value is made text once, and a template only joins texts.
"""

from functools import cache

import pyarrow as pa

from tracelake.analysis.views import fields, lines, quote
from tracelake.analysis.views.fields import Section
from tracelake.normalize import Table, mapping, template
from tracelake.normalize.column import note
from tracelake.normalize.section import ANY
from tracelake.normalize.template import Name, Optional, Part

LONGEST = 2000
"""Characters of a message that is made of a template."""


def _column(field: pa.Field) -> str:
    """SQL: a column's value as text."""
    name = quote.name(field.name)
    kind = field.type
    if pa.types.is_list(kind):
        return f"nullif(array_to_string({name}, ', '), '')"
    if pa.types.is_timestamp(kind):
        return f"strftime({name}, '%Y-%m-%d %H:%M:%S.%g')"
    if note(field, "hex") == "1":
        return f"'0x' || lower(to_hex({name}))"
    if pa.types.is_string(kind) or pa.types.is_dictionary(kind):
        return name
    return f"CAST({name} AS VARCHAR)"


class Templates:
    """The templates of one table.

    Attributes:
        texts: SQL of the values that they name -> name of a column for it. Of two columns: the
            one of that name is null where there is no value, and the one with a dash behind its
            name is "-" there.
        sql: SQL over these columns and the table's: the template of a row's event, filled; null
            where it has none. "" where the table has no templates.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.texts: dict[str, str] = {}
        outer = []
        for names, sections in _sections(table.name).items():
            cases: dict[str, list[str]] = {}
            for section in sections:
                if section.event.message:
                    code = section.event.code
                    tests = [] if code == ANY else [f"event_code = {quote.text(code)}"]
                    if section.condition:
                        tests.append(section.condition)
                    test = " AND ".join(tests) or "true"
                    cases.setdefault(self._filled(section), []).append(test)
            inner = " ".join(
                f"WHEN {' OR '.join(tests)} THEN {sql}" for sql, tests in cases.items()
            )
            if inner:
                outer.append(f"WHEN log_provider {fields.among(names)} THEN CASE {inner} END")
        self.sql = f"left(CASE {' '.join(outer)} END, {LONGEST})" if outer else ""

    def columns(self) -> str:
        """SQL: the columns that `sql` needs, over the table's own."""
        return ", ".join(
            f"{text} AS {quote.name(name)}, coalesce({text}, '-') AS {quote.name(name + '-')}"
            for text, name in self.texts.items()
        )

    def _filled(self, section: Section) -> str:
        held = fields.held(section.event)

        def value(name: str) -> str:
            at = self.table.schema.get_field_index(name)
            if at >= 0:
                text = _column(self.table.schema.field(at))
            else:
                text = fields.text_of(name, held.get(name))
                text = f"nullif(nullif({text}, ''), '-')"
            return self.texts.setdefault(text, f"text {len(self.texts)}")

        def part(one: Part) -> str:
            if isinstance(one, str):
                return quote.text(one)
            if isinstance(one, Name):
                return quote.name(value(one.name) + "-")
            # A text that is joined to a null is null, and `concat` leaves nulls out.
            return " || ".join(
                quote.name(value(inner.name)) if isinstance(inner, Name)
                else f"concat({part(inner)})" if isinstance(inner, Optional) else part(inner)
                for inner in one.parts
            )

        parts = template.parse(section.event.message)
        return f"concat({', '.join(part(one) for one in parts)})"


@cache
def _all_sections() -> list[Section]:
    return fields.sections(mapping.load())


def _sections(table: str) -> dict[tuple[str, ...], list[Section]]:
    """The sections whose rows are in a table, by the providers that share them."""
    groups: dict[str, list[Section]] = {}
    for section in _all_sections():
        if section.event.table == table:
            groups.setdefault(section.event.provider, []).append(section)
    shared: dict[tuple[tuple[str, str, str], ...], tuple[list[str], list[Section]]] = {}
    for provider, sections in groups.items():
        key = tuple((one.event.where, one.event.code, one.condition) for one in sections)
        shared.setdefault(key, ([], sections))[0].append(provider)
    return {tuple(names): sections for names, sections in shared.values()}


@cache
def of(table: Table) -> Templates:
    """The templates of a table."""
    return Templates(table)


def rows(table: Table, inner: str) -> str:
    """SQL: the rows of `inner`, which has the table's columns, with their messages."""
    line = lines.LINES.get(table.name)
    columns = [quote.name(field.name) for field in table.schema]
    made = of(table)
    whole = [part for part in ("message", made.sql, line) if part]
    message = f"coalesce({', '.join(whole)}) AS message"
    listed = ", ".join(message if name == '"message"' else name for name in columns)
    if not made.sql:
        return f"SELECT {listed} FROM ({inner}) AS r"
    return f"SELECT {listed} FROM (SELECT *, {made.columns()} FROM ({inner}) AS r) AS s"
