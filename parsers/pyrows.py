"""Rows that are made one at a time, in Python: of small artifacts, and of formats that a library
reads. Whatever has millions of records puts its values into columns natively."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from tracelake.native.columns import Rows
from tracelake.native.hashing import record_hash
from tracelake.normalize import TABLES
from tracelake.parsers.artifact import Artifact

TRUNCATED, FROM_SLACK, CHECKSUM_BAD, TIME_REPAIRED = 1, 2, 4, 8
NAME_GUESSED, ZONE_ASSUMED, YEAR_INFERRED, TEXT_REPAIRED = 16, 32, 64, 128


class PyRows:
    """Collects an artifact's rows and keeps its account of them.

    A record that gives several rows is seen once (`seen`), and each row is added with its place.

    Args:
        first: `sub` of the first row at an offset. 1 where each record has its first row in a
            table that is filled otherwise: rows with 0 are as many as records in rows.
    """

    def __init__(self, artifact: Artifact, first: int = 0) -> None:
        self._first = first
        self._account = artifact.account
        self._rows: dict[str, Rows] = {}
        self._subs: dict[tuple[str, int], int] = {}

    def seen(self, length: int = 0) -> None:
        """A record was seen, and becomes rows. `length`: its bytes, where bytes are accounted
        for record by record."""
        self._account.records += 1
        self._account.in_rows += 1
        self._account.bytes_records += length

    def damaged(
        self, offset: int, length: int, what: str, why: str, raw: bytes | None = None
    ) -> None:
        """A record was seen that cannot be read. See `Account.broken`."""
        self._account.broken(offset, length, what, why, raw)

    def add(
        self,
        table: str,
        offset: int,
        length: int,
        record: bytes,
        *,
        flags: int = 0,
        more: bool = False,
        **values: Any,
    ) -> None:
        """Adds a row.

        Args:
            table: its table.
            offset, length: where its record stands in the artifact, bytes.
            record: the record's own bytes, or what stands for them, for `record_hash`.
            flags: `parse_flags`.
            more: it is not the first row of its record: its `sub` is not 0, in whatever table.
            values: columns by name; None is left out. Times are microseconds since 1970, UTC.
        """
        rows = self._rows.get(table)
        if rows is None:
            rows = self._rows[table] = Rows(table, TABLES[table].schema)
        sub = self._subs.get((table, offset), 1 if more else self._first)
        self._subs[table, offset] = sub + 1
        rows.put("src_offset", offset)
        rows.put("src_length", min(length, 0x7FFFFFFF))
        rows.put("sub", sub)
        rows.put("record_hash", record_hash(record))
        for name, value in values.items():
            if value is not None and rows.put(name, value):
                flags |= TEXT_REPAIRED
                self._account.repairs += 1
        if flags:
            rows.put("parse_flags", flags)
        rows.end_row()

    def full(self) -> Iterator[tuple[str, pa.RecordBatch]]:
        """The batches that are full."""
        for table, rows in self._rows.items():
            if rows.is_full:
                yield table, rows.finish()

    def rest(self) -> Iterator[tuple[str, pa.RecordBatch]]:
        """What is left; to be yielded at the end, also before an error that stopped the parser
        is raised."""
        for table, rows in self._rows.items():
            if rows.count:
                yield table, rows.finish()
