"""Merging, reading anew and letting go, as a process that kills itself at its nth step.

A step is a call that changes what is on the disk: a file synced, put in its place, renamed, removed.

    python tests/upkeep_case.py FOLDER ACTION STEP
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.lake_case import SCHEMAS, events, source_id
from tests.test_packs import OURS, WITH_UNIT
from tracelake.lake import commit as commit_module
from tracelake.lake import expire as expire_module
from tracelake.lake.compact import compact
from tracelake.lake.expire import expire
from tracelake.lake.lake import Lake
from tracelake.lake.pack import PackWriter
from tracelake.lake.replace import replace, swap_name
from tracelake.lake.unit import WrittenUnit

DATA = ("event_log_activity", "process_activity")
ROWS = 4
NEW = 1000
"""Offsets of rows that were read by a newer version begin here."""

assert SCHEMAS


def unit_of_version(number: int, version: int, mark: str = "") -> str:
    name = f"{number:016x}-0-test-{version}"
    return f"{name}-r{mark}" if mark else name


def book(number: int, unit: str) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [
            pa.array([source_id(number)]).dictionary_encode(),
            pa.array([f"/{number}"]),
            pa.array([0], pa.int32()),
            pa.array([[("event_log_activity", ROWS)]], pa.map_(pa.string(), pa.int64())),
            pa.array([unit]),
        ],
        schema=WITH_UNIT,
    )


def rows_of(number: int, version: int) -> pa.RecordBatch:
    """Version 2 of a source has one row more than version 1, all at other offsets."""
    count = ROWS + version - 1
    return events(range(number, number + count), source_id(number), NEW * (version - 1))


def single(lake: Lake, number: int, version: int = 1, mark: str = "") -> WrittenUnit:
    unit = unit_of_version(number, version, mark)
    with lake.writer(unit) as writer:
        for table in DATA:
            writer.write(table, rows_of(number, version))
        writer.write("artifact", book(number, unit))
        writer.write("source", book(number, unit))
        return writer.close()


def packed(lake: Lake, numbers: list[int], version: int = 1, mark: str = "") -> WrittenUnit:
    writer = PackWriter(lake, mark=mark)
    names = [unit_of_version(number, version, mark) for number in numbers]
    for table in DATA:
        batches = [rows_of(number, version) for number in numbers]
        (batch,) = pa.Table.from_batches(batches).combine_chunks().to_batches()
        shares = [(n, b.num_rows) for n, b in zip(names, batches, strict=True)]
        writer.write(table, batch, shares)
    for table in ("artifact", "source"):
        books = [book(number, name) for number, name in zip(numbers, names, strict=True)]
        writer.book(table, pa.Table.from_batches(books).combine_chunks().to_batches()[0])
    return writer.close()


def fill(lake: Lake) -> None:
    """Eight sources: in files of their own, in a pack, and merged."""
    lake.commit([single(lake, 0), single(lake, 1)])
    lake.commit([packed(lake, [2, 3, 4])])
    list(compact(lake))
    lake.commit([single(lake, 5)])
    lake.commit([packed(lake, [6, 7])])


def act(lake: Lake, action: str) -> None:
    """Does what is asked for."""
    if action == "compact":
        list(compact(lake))
    elif action == "expire":
        expire(lake, -1.0)
    elif action == "reparse":
        mark = os.urandom(6).hex()
        units = [single(lake, 1, 2, mark), packed(lake, [2, 4, 6], 2, mark)]
        replace(lake, units, {source_id(n) for n in (1, 2, 4, 6)}, swap_name(mark, 0))
    elif action == "everything":
        for each in ("reparse", "compact", "expire"):
            act(lake, each)


def kill_at(step: int) -> None:
    """Lets the process die before its nth change of the disk."""
    count = 0

    def wrapped(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*given, **named)

        return counted

    for name in ("fsync", "link", "replace", "rename", "unlink"):
        setattr(os, name, wrapped(getattr(os, name)))


def open_lake(folder: str) -> Lake:
    return Lake.open(folder, "case", create=True, schemas=OURS)


def main(folder: str, action: str, step: int) -> None:
    commit_module.CHECKPOINT_EVERY = 2
    expire_module.LEAST_LOG = 0.0
    lake = open_lake(folder)
    kill_at(step)
    act(lake, action)


HERE = str(Path(__file__).resolve())

if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
