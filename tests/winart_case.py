"""Reads one artifact of Windows for tests."""

import io
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tracelake.native.account import Account
from tracelake.native.errors import EvidenceError
from tracelake.native.feed import Feed
from tracelake.normalize import TABLES, Provenance, complete
from tracelake.parsers.artifact import NO_ROWS_YET, Artifact, Parser, nothing_beside


@dataclass
class Found:
    """What an artifact gave."""

    tables: dict[str, list[dict[str, Any]]]
    damage: list[dict[str, Any]]
    account: Account
    stopped: EvidenceError | None
    unexplained: int

    def rows(self, table: str = "artifact_query", **wanted: Any) -> list[dict[str, Any]]:
        """Rows of a table with these values."""
        return [row for row in self.tables.get(table, [])
                if all(row[name] == value for name, value in wanted.items())]

    @property
    def one(self) -> dict[str, Any]:
        """The only row of `artifact_query`."""
        (row,) = self.rows()
        return row


def read(parser: Parser, data: bytes, path: str = "x/y", beside: Any = nothing_beside) -> Found:
    """Reads to the end; every batch is completed, as the ingest does."""
    who = Provenance("case", "0" * 32, 0, parser.name, parser.version, "test")
    account = Account()
    artifact = Artifact(path, Feed(io.BytesIO(data)), account, beside=beside)
    batches: dict[str, list[pa.RecordBatch]] = {}
    stopped = None
    try:
        for table, batch in parser.read(artifact):
            if (table, batch) != NO_ROWS_YET:
                batches.setdefault(table, []).append(complete(TABLES[table], batch, who))
    except EvidenceError as error:
        stopped = error
    assert account.closes
    damage = account.take_damage()
    parts = account.bytes_records + account.bytes_structure + account.bytes_slack
    return Found(
        {name: pa.Table.from_batches(each).to_pylist() for name, each in batches.items()},
        damage.to_pylist() if damage is not None else [], account, stopped, len(data) - parts,
    )


def notes(row: dict[str, Any]) -> dict[str, str]:
    """A row's unmapped fields."""
    return dict(row["unmapped"] or [])


def us(row: dict[str, Any], column: str = "time") -> int | None:
    """A time in microseconds since 1970."""
    value = row[column]
    return None if value is None else round(value.timestamp() * 1_000_000)
