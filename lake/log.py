"""What a Delta log says of transactions, read directly.

`deltalake` answers for one id at a time by reading the whole log anew (9 ms after 500
commits); a commit of twenty units to five tables would ask a hundred times. The log's form is
public: a checkpoint (Parquet) and the JSON commits after it (Delta protocol, "Delta Log
Entries", "Transaction Identifiers").
"""

from collections.abc import Iterable
from urllib.parse import unquote

import orjson
import pyarrow.compute as pc

from tracelake.lake.errors import LakeError
from tracelake.lake.s3 import S3Path
from tracelake.lake.store import Place, each, parquet, sync_file, sync_folder


def commit_path(table: Place, version: int) -> Place:
    """The log file of a version."""
    return table / "_delta_log" / f"{version:020}.json"


def sync(table: Place, first: int) -> None:
    """Puts the log files from version `first` on to disk: what is committed to another table
    next says that these are there, also after a power cut."""
    if isinstance(table, S3Path):
        return  # on disk when they were answered for
    number = first
    while commit_path(table, number).exists():
        sync_file(commit_path(table, number))
        number += 1
    sync_folder(table / "_delta_log")


def transactions(table: Place, version: int, since: int = -1) -> set[str]:
    """Ids of the transactions in versions `since` + 1 to `version` of a table's log.

    Raises:
        LakeError: the log lacks a version, or its checkpoint is of a kind that is not read.
    """
    found: set[str] = set()
    first = since + 1
    if first == 0:
        checkpoint = _last_checkpoint(table, version)
        if checkpoint is not None:
            found = _from_checkpoint(table, checkpoint)
            first = checkpoint + 1
    for text in _read_all(table, (commit_path(table, n) for n in range(first, version + 1))):
        for line in text.splitlines():
            if b'"txn"' in line:
                action = orjson.loads(line)
                if "txn" in action:
                    found.add(action["txn"]["appId"])
    return found


def _read_all(table: Place, paths: Iterable[Place]) -> list[bytes]:
    return each(table, _read, paths)


def _read(path: Place) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise LakeError(f"{path}: the log lacks this version") from None


def mentioned(table: Place) -> set[str]:
    """Names of all files that the log adds or removes, in any version that it still has."""
    folder = table / "_delta_log"
    found: set[str] = set()
    for path in folder.glob("*.checkpoint.parquet"):
        file = parquet(path)
        for action in ("add", "remove"):
            if action in file.schema_arrow.names:
                names = file.read(columns=[f"{action}.path"]).column(action)
                found.update(pc.struct_field(names, "path").drop_null().to_pylist())
    for text in _read_all(table, folder.glob("*.json")):
        for line in text.splitlines():
            action = orjson.loads(line)
            for kind in ("add", "remove"):
                if kind in action:
                    found.add(action[kind]["path"])
    return {unquote(name) for name in found}


def last_checkpoint(table: Place) -> int | None:
    """Version of the newest checkpoint that the log points to."""
    try:
        pointer = orjson.loads((table / "_delta_log" / "_last_checkpoint").read_bytes())
    except FileNotFoundError:
        return None
    if pointer.get("parts"):
        raise LakeError(f"{table}: its log has a checkpoint in parts, which is not read")
    return int(pointer["version"])


def _last_checkpoint(table: Place, version: int) -> int | None:
    """The newest checkpoint at or before `version`."""
    newest = last_checkpoint(table)
    if newest is None or newest <= version:
        return newest
    names = (table / "_delta_log").glob("*.checkpoint.parquet")
    older = [int(path.name[:20]) for path in names if path.name[:20].isdigit()]
    return max((number for number in older if number <= version), default=None)


def _from_checkpoint(table: Place, version: int) -> set[str]:
    path = table / "_delta_log" / f"{version:020}.checkpoint.parquet"
    file = parquet(path)
    if "txn" not in file.schema_arrow.names:
        return set()
    ids = pc.struct_field(file.read(columns=["txn.appId"]).column("txn"), "appId")
    return set(ids.drop_null().to_pylist())
