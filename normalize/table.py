"""A table: a name, a schema, and the OCSF class its rows are of."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa

from tracelake.normalize.column import note


@dataclass(frozen=True, slots=True)
class Table:
    """One dataset of the lake.

    Attributes:
        name: also the name of its Delta table and of its view.
        short: how its rows are cited (`dns` in `dns-3fa9c1d2e4b7a01c-0-1a2b00-0`).
        schema: all columns in order; what is known of each is in the field metadata.
        class_uid: OCSF class of rows that do not say otherwise; None: not of a class.
        doc: what a row is.
        classes: every OCSF class that its rows may be of.
    """

    name: str
    short: str
    schema: pa.Schema
    class_uid: int | None
    doc: str
    classes: tuple[int, ...] = ()
    fields: dict[str, pa.Field] = field(init=False, repr=False, compare=False)
    """The columns by their names."""
    required: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """Names of those that must not be null."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", {each.name: each for each in self.schema})
        needed = tuple(each.name for each in self.schema if not each.nullable)
        object.__setattr__(self, "required", needed)

    @property
    def columns(self) -> list[str]:
        """Names of its columns, in order."""
        return list(self.schema.names)

    @property
    def is_events(self) -> bool:
        """Whether its rows are what evidence says (and can be cited), not books about it."""
        return "sub" in self.schema.names

    def marked(self, key: str) -> list[str]:
        """Names of the columns whose metadata says 1 under `key` (`bloom`, `stats`)."""
        return [field.name for field in self.schema if note(field, key) == "1"]


def table(
    name: str,
    short: str,
    classes: Iterable[int],
    doc: str,
    *columns: pa.Field | Iterable[pa.Field],
) -> Table:
    """Makes a table of columns and groups of columns; the first class is the usual one."""
    fields: list[pa.Field] = []
    for item in columns:
        fields.extend([item] if isinstance(item, pa.Field) else item)
    names = [field.name for field in fields]
    if len(set(names)) != len(names):
        raise ValueError(f"{name}: a column is there twice")
    classes = tuple(classes)
    schema = pa.schema(fields, metadata={"tracelake.table": name, "tracelake.doc": doc})
    return Table(name, short, schema, classes[0] if classes else None, doc, classes)
