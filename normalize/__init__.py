"""Meaning: which tables there are, which columns they have, and what others call them.

Nothing here reads evidence. Column names and types live here and nowhere else.
"""

from tracelake.normalize.complete import Provenance, complete
from tracelake.normalize.table import Table
from tracelake.normalize.tables import ALL

TABLES: dict[str, Table] = {table.name: table for table in ALL}
"""All tables by name."""

MAPPING_VERSION = "ocsf-1.8.0/1"
"""The names' version and that of the rules that fill them; stands in every row."""

__all__ = ["MAPPING_VERSION", "TABLES", "Provenance", "Table", "complete"]
