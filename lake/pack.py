"""Small units in common files.

A file of ten rows costs as much as one of ten thousand, to write and in every query. So units of a
few rows go together: a *pack* is written as if it were a unit, with the rows of its members one
after the other, and is committed with all of them. Each member keeps its own transaction in every
table: what is in once does not come in again, alone or in another pack. The pack's own name stands
among the transactions of `artifact`: then all its members are complete, and its files are seen.

Which rows are whose stands in the file's footer. It is needed where a run was killed in the middle
of a commit, or two runs read the same evidence at once: then a file has to be divided among its
members, since not all of them are complete (`Committer`).
"""

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson
import pyarrow as pa

from tracelake.lake.disk import Place
from tracelake.lake.errors import LakeError
from tracelake.lake.rows import read
from tracelake.lake.store import footer
from tracelake.lake.unit import DataFile, Share, WrittenUnit
from tracelake.lake.writer import UnitWriter

if TYPE_CHECKING:
    from tracelake.lake.lake import Lake

PACK = "pack-"
_SHARES = b"tracelake.units"


class PackWriter:
    """Writes the files of a pack: each table once."""

    def __init__(self, lake: "Lake", name: str | None = None, mark: str = "") -> None:
        self._name = name or f"{PACK}{mark}{'-' if mark else ''}{secrets.token_hex(8)}"
        self._writer = UnitWriter(lake, self._name)
        self._shares: dict[str, tuple[Share, ...]] = {}

    def write(self, table: str, batch: pa.RecordBatch, shares: Sequence[Share]) -> None:
        """Writes all that the members have for a table; `shares` in the order of the rows.

        Raises:
            ValueError: a table that was written already, or the shares do not add up.
            OSError: as for `UnitWriter.write`.
        """
        if table in self._shares or sum(rows for _, rows in shares) != batch.num_rows:
            raise ValueError(f"{table}: {shares} for {batch.num_rows} rows")
        self._shares[table] = tuple(shares)
        self._writer.write(table, batch, {_SHARES: orjson.dumps(list(shares))})

    def book(self, table: str, batch: pa.RecordBatch) -> None:
        """Takes in the members' rows of a table of `BOOKS`."""
        self._writer.write(table, batch)

    def close(self) -> WrittenUnit:
        """Finishes the files, as `UnitWriter.close` does."""
        written = self._writer.close()
        return WrittenUnit(written.unit, written.files, written.books, self._shares)

    def discard(self) -> None:
        """Removes the files."""
        self._writer.discard()


def is_pack(unit: str | None) -> bool:
    """Whether a name is a pack's."""
    return unit is not None and unit.startswith(PACK)


def shares_of(path: Place) -> list[Share]:
    """Whose rows a pack's file holds, in their order.

    Raises:
        LakeError: its footer does not say.
    """
    said = (footer(path).metadata or {}).get(_SHARES)
    if said is None:
        raise LakeError(f"{path}: its footer does not say which units it holds")
    return [(unit, rows) for unit, rows in orjson.loads(said)]


def divided(lake: "Lake", table: str, name: str) -> dict[str, tuple[DataFile, ...]]:
    """Writes a pack's file again as one file for each of its members."""
    path = lake.root / table / name
    files = {}
    for unit, rows in _slices(lake, table, path, shares_of(path)):
        with UnitWriter(lake, unit, books=()) as writer:
            for batch in rows.to_batches():
                writer.write(table, batch)
            files[unit] = writer.close().files[table]
    return files


def without(
    lake: "Lake", table: str, pack: str, file: DataFile, gone: set[str]
) -> tuple[DataFile, tuple[Share, ...]]:
    """Writes a pack's file again without some of its members; at least one is left."""
    path = lake.root / table / file.name
    shares = shares_of(path)
    left = [(unit, rows) for unit, rows in _slices(lake, table, path, shares) if unit not in gone]
    whole = pa.concat_tables([rows for _, rows in left]).combine_chunks()
    kept = tuple(share for share in shares if share[0] not in gone)
    writer = PackWriter(lake, pack)
    writer.write(table, whole.to_batches()[0], kept)
    return writer.close().files[table][0], kept


def _slices(
    lake: "Lake", table: str, path: Place, shares: list[Share]
) -> list[tuple[str, pa.Table]]:
    rows = read(path, lake.schema(table))
    if sum(count for _, count in shares) != rows.num_rows:
        raise LakeError(f"{path}: has {rows.num_rows} rows, its footer shares {shares}")
    slices, at = [], 0
    for unit, count in shares:
        slices.append((unit, rows.slice(at, count)))
        at += count
    return slices
