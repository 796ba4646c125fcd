"""The rows of the tables `artifact` and `source`: what was seen, and what became of it."""

import datetime
import os
import re
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from tracelake.ingest.events import Facts, Identity
from tracelake.ingest.sofar import SoFar
from tracelake.lake.s3 import is_s3
from tracelake.normalize import TABLES, mapping
from tracelake.normalize.tables.books import DEVICE_KEYS

ESCAPED = re.compile(rb"\\x([89a-f][0-9a-f])")


def artifact_row(
    engagement: str, source_id: str, number: int, unit: str, version: str, facts: Facts
) -> dict[str, Any]:
    """One row of `artifact`. Where the size is known, the bytes add up to it."""
    explained = facts.bytes_records + facts.bytes_structure + facts.bytes_slack
    taken = facts.parser is not None
    return {
        "engagement_id": engagement,
        "source_id": source_id,
        "artifact_no": number,
        "unit": unit,
        "paths": [printable(facts.path)],
        "size": facts.size,
        "sha256": facts.sha256,
        "parser": facts.parser,
        "parser_version": version if taken else None,
        "mapping_version": mapping.load().version if taken else None,
        "refused": list(facts.refused.items()),
        "records": facts.records,
        "in_rows": facts.in_rows,
        "rows": list(facts.rows.items()),
        "duplicates": facts.duplicates,
        "damage": facts.damage,
        "repairs": facts.repairs,
        "bytes_records": facts.bytes_records,
        "bytes_structure": facts.bytes_structure,
        "bytes_slack": facts.bytes_slack,
        "bytes_unexplained": (
            facts.size - explained if taken and facts.size is not None else None
        ),
        "counters": list(facts.counters.items()),
        "devices": _devices(facts),
        "ingested": now(),
    }


def _devices(facts: Facts) -> list[dict[str, Any]] | None:
    if facts.devices is None:
        return None
    return [
        {**dict(zip(DEVICE_KEYS, key, strict=True)), "first_time": first, "last_time": last,
         "row_count": rows}
        for key, (first, last, rows) in facts.devices
    ]


def source_row(
    engagement: str,
    identity: Identity,
    path: str,
    size: int,
    unit: str,
    version: str,
    sofar: SoFar,
) -> dict[str, Any]:
    """The row of `source` that closes it: the sums over its artifacts."""
    return {
        "engagement_id": engagement,
        "source_id": identity.source_id,
        "id_kind": identity.kind,
        "sha256": identity.sha256,
        "uri": printable(path),
        "size": size,
        "unit": unit,
        "parser_version": version,
        "ingested": now(),
        "records": sofar.records,
        "rows": sorted(sofar.rows.items()),
        "duplicates": sofar.duplicates,
        "damage": sofar.damage,
        "not_opened": sorted(sofar.not_opened.items()),
        "facts": sorted(sofar.facts.items()),
    }


def batch_of(table: str, rows: list[dict[str, Any]]) -> pa.RecordBatch:
    """Rows of a book as a batch of its table."""
    return pa.RecordBatch.from_pylist(rows, schema=TABLES[table].schema)


@dataclass(slots=True)
class Listing:
    """Files of which only the name, the size and the hash are to be said, column by column: there
    may be millions, and a row of its own for each would cost more than to read many of them."""

    numbers: list[int] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    # Why no parser takes each: the place in `_words`, of which there are few.
    _why: list[int] = field(default_factory=list)
    _words: dict[str, int] = field(default_factory=dict)

    def add(self, number: int, path: str, size: int, sha256: str, why: str) -> None:
        """Takes in a file."""
        self.numbers.append(number)
        self.paths.append(printable(path))
        self.sizes.append(size)
        self.hashes.append(sha256)
        self._why.append(self._words.setdefault(why, len(self._words)))

    def batch(self, engagement: str, source_id: str, unit: str, version: str) -> pa.RecordBatch:
        """The rows of `artifact`, as `artifact_row` has them."""
        facts = (Facts("", None, {"*": why}) for why in self._words)
        rows = [artifact_row(engagement, source_id, 0, unit, version, each) for each in facts]
        same = batch_of("artifact", rows).take(pa.array(self._why, pa.int32()))
        ends = pa.array(range(len(self.paths) + 1), pa.int32())
        own: dict[str, pa.Array] = {
            "artifact_no": pa.array(self.numbers, same.schema.field("artifact_no").type),
            "paths": pa.ListArray.from_arrays(ends, pa.array(self.paths, pa.string())),
            "size": pa.array(self.sizes, same.schema.field("size").type),
            "sha256": pa.array(self.hashes, same.schema.field("sha256").type),
        }
        columns = zip(same.schema.names, same.columns, strict=True)
        arrays = [own.get(name, column).cast(same.schema.field(name).type)
                  if name in own else column for name, column in columns]
        return pa.RecordBatch.from_arrays(arrays, schema=same.schema)


def facts_of(row: dict[str, Any]) -> Facts:
    """The Facts that a row of `artifact` holds."""
    return Facts(
        path=row["paths"][0],
        parser=row["parser"],
        size=row["size"],
        sha256=row["sha256"],
        records=row["records"],
        in_rows=row["in_rows"],
        rows=dict(row["rows"]),
        duplicates=row["duplicates"],
        damage=row["damage"],
        counters=dict(row["counters"]),
    )


def printable(path: str) -> str:
    """A path as text: bytes of it that are no UTF-8 become \\xNN."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def path_of(uri: str) -> str:
    """The path that `printable` wrote as `uri`. A name may also hold a backslash of its own:
    what is there as it is written is meant so."""
    if "\\x" not in uri or is_s3(uri) or os.path.lexists(uri):
        return uri
    return os.fsdecode(ESCAPED.sub(lambda m: bytes([int(m[1], 16)]), os.fsencode(uri)))


def now() -> datetime.datetime:
    """The present time in UTC."""
    return datetime.datetime.now(datetime.UTC)
