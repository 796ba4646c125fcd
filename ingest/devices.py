"""Which hosts an artifact's rows name: gathered while it is read, one entry for each way.

Millions of rows of an export name some hundreds of hosts. To look for them later is to read all
of these rows; here they stand in the dictionaries of a few columns.
"""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tracelake.native.combined import combinations
from tracelake.normalize import TABLES
from tracelake.normalize.tables.books import DEVICE_KEYS

MOST = 16_384
"""Entries of an artifact; of what is beyond, the address and the like are left out, and of what is
twice beyond, all: as of rows that name nobody."""
UNSURE = 2 | 8 | 64
"""parse_flags of rows whose time says nothing of when a host was seen: recovered ones, and times
that were repaired or inferred."""
STATES = {"file_query", "artifact_query", "registry_activity", "inventory", "certificate"}
"""Tables whose times are not of when the evidence was written (analysis/views/host.py)."""

Key = tuple[str | None, ...]
"""Values of `DEVICE_KEYS`."""
Seen = tuple[int | None, int | None, int]
"""First and last time in microseconds since 1970, and rows."""
Devices = tuple[tuple[Key, Seen], ...]
NOBODY: Key = (None,) * len(DEVICE_KEYS)


class Gathering:
    """The hosts that batches name."""

    def __init__(self) -> None:
        self._found: dict[Key, Seen] = {}

    def add(self, table: str, batch: pa.RecordBatch) -> None:
        """Takes in a parser's batch, whose columns are those that its records fill."""
        if not TABLES[table].is_events:
            return
        names = set(batch.schema.names)
        if "fact" in names:     # a domain controller's `domain` names none of its hosts
            batch = batch.filter(pc.not_equal(pc.fill_null(batch.column("fact"), ""), "domain"))
        if not len(batch):
            return
        columns = {
            name: _words(batch.column(name))
            for name in DEVICE_KEYS if name in names and batch.column(name).null_count < len(batch)
        }
        time = None
        # What a sensor tells of its host is told at its time, other inventories at none.
        if "time" in names and (table not in STATES or (
            table == "inventory" and {"device_uid", "log_provider"} <= columns.keys()
        )):
            time = batch.column("time")
            if "parse_flags" in names:
                flags = pc.fill_null(batch.column("parse_flags"), 0)
                unsure = pc.not_equal(pc.bit_wise_and(flags, pa.scalar(UNSURE, flags.type)), 0)
                time = pc.if_else(unsure, None, time)
        # Who gave an id is of interest; of events without one it is only many providers.
        if "device_uid" not in columns:
            columns.pop("log_provider", None)
        for key, seen in _grouped(columns, time, len(batch)):
            self._put(key, seen)

    def put(self, devices: Devices) -> None:
        """Takes in what another part of the artifact names."""
        for key, seen in devices:
            self._put(key, seen)

    def all(self) -> Devices:
        """What was found, in order."""
        return tuple(sorted(
            self._found.items(), key=lambda item: tuple(value or "" for value in item[0])
        ))

    def _put(self, key: Key, seen: Seen) -> None:
        if key not in self._found and len(self._found) >= MOST:
            key = key[:2] + NOBODY[2:-1] + key[-1:]
            if key not in self._found and len(self._found) >= 2 * MOST:
                key = NOBODY
        known = self._found.get(key)
        self._found[key] = seen if known is None else (
            _least(known[0], seen[0], min), _least(known[1], seen[1], max), known[2] + seen[2]
        )


def _least(a: int | None, b: int | None, choose: Any) -> int | None:
    if a is None or b is None:
        return b if a is None else a
    found: int = choose(a, b)
    return found


def _words(column: pa.Array) -> pa.DictionaryArray:
    return column if pa.types.is_dictionary(column.type) else column.dictionary_encode()


def _grouped(
    columns: dict[str, pa.DictionaryArray], time: pa.Array | None, rows: int
) -> Iterable[tuple[Key, Seen]]:
    """Each combination of words, with its times and its rows."""
    words = [column.dictionary.to_pylist() for column in columns.values()]
    codes = [column.indices for column in columns.values()]
    times = None if time is None else time.cast(pa.int64())
    for group, first, last, count in combinations(codes, times, rows):
        found = {
            name: None if code is None else known[code]
            for name, known, code in zip(columns, words, group, strict=True)
        }
        if found.get("device_uid") is None:
            found.pop("log_provider", None)
        yield tuple(found.get(name) for name in DEVICE_KEYS), (first, last, count)
