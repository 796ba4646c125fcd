"""Meaning: which tables there are, which columns they have, and what others call them.

Nothing here reads evidence. Column names and types live here and nowhere else.
"""

from tracelake.normalize.complete import Provenance, complete
from tracelake.normalize.table import Table
from tracelake.normalize.tables import ALL

TABLES: dict[str, Table] = {table.name: table for table in ALL}
"""All tables by name."""

__all__ = ["TABLES", "Provenance", "Table", "complete"]
