"""A small engagement of real Parquet files, written through complete()."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tracelake.normalize import TABLES, Provenance, complete

SOURCE = "3fa9c1d2e4b7a01c" + "0" * 16
PROVENANCE = Provenance("demo", SOURCE, 0, "evtx", "0.1.0", "ocsf-1.8.0/1")
NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


def batch(table: str, rows: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    """Rows as a parser would hand them over: only the columns that they use."""
    names = {name for row in rows for name in row}
    schema = TABLES[table].schema
    fields = [schema.field(name).with_nullable(True) for name in schema.names if name in names]
    return pa.RecordBatch.from_pylist(list(rows), schema=pa.schema(fields))


@dataclass
class SmallLake:
    """Stands for the lake's snapshot: `root` and `files`."""

    root: str
    written: dict[str, list[str]] = field(default_factory=dict)
    asked: list[tuple[str, datetime | None, datetime | None]] = field(default_factory=list)

    def write(
        self, table: str, rows: Sequence[dict[str, Any]], provenance: Provenance = PROVENANCE
    ) -> str:
        """Writes one file of a table and returns its path."""
        defaults = {"src_offset": 0} if TABLES[table].is_events else {}
        full = [defaults | row for row in rows]
        whole = complete(TABLES[table], batch(table, full), provenance)
        folder = Path(self.root) / table
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{len(self.written.get(table, []))}.parquet"
        with pq.ParquetWriter(path, whole.schema) as writer:
            writer.write_batch(whole)
        self.written.setdefault(table, []).append(str(path))
        return str(path)

    def files(
        self, table: str, since: datetime | None = None, until: datetime | None = None
    ) -> list[str]:
        """All of the table's files, and what was asked for is noted."""
        self.asked.append((table, since, until))
        return self.written.get(table, [])
