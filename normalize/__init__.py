"""Meaning: which tables there are, which columns they have, and what others call them.

Nothing here reads evidence. Column names and types live here and nowhere else.
"""

from tracelake.normalize.complete import Provenance, complete, fill
from tracelake.normalize.table import Table
from tracelake.normalize.tables import ALL

TABLES: dict[str, Table] = {table.name: table for table in ALL}
"""All tables by name."""

MAPPING_VERSION: str
"""The names' version and that of the rules that fill them (mapping.load); stands in every row."""


def __getattr__(name: str) -> str:
    # The rules are files of their own, which need the tables to be read.
    if name != "MAPPING_VERSION":
        raise AttributeError(f"{__name__} has no {name}")
    from tracelake.normalize.mapping import load

    return load().version


__all__ = ["MAPPING_VERSION", "TABLES", "Provenance", "Table", "complete", "fill"]
