"""Reads hives for tests."""

import io
import lzma
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.conftest import ROOT
from tracelake.native.account import Account
from tracelake.native.errors import EvidenceError
from tracelake.native.feed import Feed
from tracelake.normalize import TABLES, Provenance, complete
from tracelake.parsers import hive
from tracelake.parsers.artifact import Artifact, nothing_beside

WHO = Provenance("case", "0" * 32, 0, "hive", hive.VERSION, "test")


@dataclass
class Found:
    """What a hive gave: rows by table, damage rows, the account, what stopped the reading."""

    tables: dict[str, list[dict[str, Any]]]
    damage: list[dict[str, Any]]
    account: Account
    stopped: EvidenceError | None
    unexplained: int

    def rows(self, table: str = "registry_activity", **wanted: Any) -> list[dict[str, Any]]:
        """Rows of a table with these values."""
        return [row for row in self.tables.get(table, [])
                if all(row[name] == value for name, value in wanted.items())]

    def value(self, path: str, name: str) -> dict[str, Any]:
        """The one row of a value."""
        (row,) = self.rows(reg_key_path=path, reg_value_name=name)
        return row

    @property
    def keys(self) -> list[dict[str, Any]]:
        return self.rows(class_uid=205004)

    @property
    def values(self) -> list[dict[str, Any]]:
        return self.rows(class_uid=205005)

    @property
    def traces(self) -> list[dict[str, Any]]:
        return self.rows("artifact_query")


def unpacked(name: str) -> bytes:
    """A hive of tests/data/regipy."""
    return lzma.decompress((ROOT / "tests" / "data" / "regipy" / f"{name}.xz").read_bytes())


def beside(files: Mapping[str, bytes]) -> Callable[[str, int], bytes | None]:
    """The files that lie beside a hive."""
    lower = {name.lower(): data for name, data in files.items()}

    def find(name: str, most: int) -> bytes | None:
        data = lower.get(name.lower())
        return data if data is not None and len(data) <= most else None

    return find


def read(
    data: bytes | Path, path: str = "config/SOFTWARE", files: Mapping[str, bytes] | None = None
) -> Found:
    """Reads a hive to its end; every batch is completed, as the ingest does."""
    if isinstance(data, Path):
        data = data.read_bytes()
    account = Account()
    find = beside(files) if files is not None else nothing_beside
    artifact = Artifact(path, Feed(io.BytesIO(data)), account, beside=find)
    batches: dict[str, list[pa.RecordBatch]] = {}
    stopped = None
    try:
        for table, batch in hive.read(artifact):
            if table:
                batches.setdefault(table, []).append(complete(TABLES[table], batch, WHO))
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
