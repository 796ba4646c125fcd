"""What a table's log says of all its versions that are kept, and when they were committed.

`state.py` has a table at one version. Here are the questions about the log itself.
"""

from urllib.parse import unquote

import orjson
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tracelake.lake import checkpoint
from tracelake.lake.disk import Place
from tracelake.lake.errors import LakeError
from tracelake.lake.state import State, commit_path
from tracelake.lake.store import each

__all__ = ["commit_path", "commit_time", "first_version", "last_checkpoint", "mentioned",
           "transactions", "version_at", "versions"]


def transactions(table: Place, version: int, since: int = -1) -> set[str]:
    """Ids of the transactions in versions `since` + 1 to `version` of a table's log.

    Raises:
        LakeError: the log lacks a version, or its checkpoint is of a kind that is not read.
    """
    before = State.read(table, since) if since >= 0 else None
    state = State.read(table, version)
    found = set(state.units) if state is not None else set()
    return found - set(before.units if before is not None else ())


def mentioned(table: Place) -> set[str]:
    """Names of all files that the log adds or removes, in any version that it still has.

    Raises:
        LakeError: the log is cleaned faster than it can be read.
    """
    for _ in range(5):
        try:
            return _mentioned(table)
        except FileNotFoundError:
            # Cleaned away meanwhile: what it said may stand in what was not looked at yet.
            continue
    raise LakeError(f"{table}: its log is cleaned all the time")


def _mentioned(table: Place) -> set[str]:
    folder = table / "_delta_log"
    found: set[str] = set()
    # All of them at once where each waits for an answer; on a folder one after the other.
    names = sorted(path.name for path in folder.glob("*.json"))
    for text in each(table, lambda name: (folder / name).read_bytes(), names):
        for line in text.splitlines():
            action = orjson.loads(line)
            for kind in ("add", "remove"):
                if kind in action:
                    found.add(action[kind]["path"])
    for version in checkpoint.versions(table):
        with checkpoint.path_of(table, version).open("rb") as handle:
            file = pq.ParquetFile(handle)
            for action in ("add", "remove"):
                if action in file.schema_arrow.names:
                    names = file.read(columns=[f"{action}.path"]).column(action)
                    found.update(pc.struct_field(names, "path").drop_null().to_pylist())
    return {unquote(name) for name in found}


def last_checkpoint(table: Place) -> int | None:
    """Version of the newest checkpoint that the log points to."""
    return checkpoint.last(table)


def versions(table: Place) -> list[int]:
    """The versions whose log files are there, in order."""
    names = (path.name for path in (table / "_delta_log").glob("*.json"))
    return sorted(int(name[:20]) for name in names if name[:20].isdigit())


def commit_time(table: Place, version: int) -> int | None:
    """When a version was committed, milliseconds since 1970; None where its file is gone."""
    path = commit_path(table, version)
    try:
        for line in path.read_bytes().splitlines():
            info = orjson.loads(line).get("commitInfo")
            if info and "timestamp" in info:
                return int(info["timestamp"])
        return int(path.stat().st_mtime * 1000)
    except FileNotFoundError:
        return None


def first_version(table: Place) -> int | None:
    """The first version that can still be read; None where there is none."""
    there = versions(table)
    if there and there[0] == 0:
        return 0
    return min(checkpoint.versions(table), default=None)


def version_at(table: Place, moment: int) -> int | None:
    """The last version committed at or before a moment (milliseconds since 1970), of those whose
    files are there; None: all are later."""
    there = versions(table)
    low, high = 0, len(there)
    while low < high:
        middle = (low + high) // 2
        when = commit_time(table, there[middle])
        if when is not None and when <= moment:
            low = middle + 1
        else:
            high = middle
    return there[low - 1] if low else None
