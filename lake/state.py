"""A table as its Delta log has it at one version: its files, its transactions, its columns.

The log's form is public (Delta protocol, "Delta Log Entries", "Checkpoints"): a checkpoint in
Parquet, and a JSON file for each commit after it. It is read directly: `deltalake` keeps a state of
its own that costs 20 to 80 ms for each commit where 10,000 files are, and what a commit needs is
the ids that are in and the number of the last version.

Each file that was removed says what took its place (`by`, a tag of the Delta action `remove`): a
merged file, or a source that was read anew. So who looks at an earlier moment (`view.py`) finds it
without older versions of the log.
"""

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote

import orjson

from tracelake.lake import checkpoint
from tracelake.lake.checkpoint import AFTER, BY
from tracelake.lake.disk import Place, put_if_absent, sync_folder
from tracelake.lake.errors import LakeError
from tracelake.lake.s3 import S3Path, side_by_side
from tracelake.lake.unit import merged_after
from tracelake.version import VERSION

MOST_AHEAD = 200
"""Log files on S3 that are read at once."""

_LOG_FILE = re.compile(r"\d{20}\.json")
_READER = 1
_WRITER = 2


class Added(NamedTuple):
    """A file that is in a table.

    Attributes:
        size: bytes. modified: milliseconds since 1970.
        stats: its statistics (JSON); None: not known.
        after: version of `artifact` that it was committed after; -1: not said.
    """

    size: int
    modified: int
    stats: str | None
    after: int = -1


class Removed(NamedTuple):
    """A file that was in a table.

    Attributes:
        at: when it was removed, milliseconds since 1970.
        size: bytes; 0: not known.
        by: under which name what took its place is seen; "": nothing did that we know of.
        after: as of an `Added`.
    """

    at: int
    size: int
    by: str
    after: int = -1


class Seen(NamedTuple):
    """What is in, as far as somebody knows `artifact`.

    Attributes:
        newest: its version. units: its transactions.
    """

    newest: int
    units: AbstractSet[str]

    def is_in(self, name: str) -> bool:
        """Whether what has this name is in: a unit, a pack, a merged file, sources read anew."""
        after = merged_after(name)
        return after <= self.newest if after is not None else name in self.units


def commit_path(table: Place, version: int) -> Place:
    """The log file of a version."""
    return table / "_delta_log" / f"{version:020}.json"


class _Ahead:
    """Log files one after the other. On S3 they are listed, and asked for side by side.

    Args:
        few: the first is looked for without a list: there is none most of the time.
    """

    def __init__(self, table: Place, few: bool) -> None:
        self._table = table
        self._got: dict[int, bytes] = {}
        self._few = few

    def read(self, version: int) -> bytes:
        """The log file of a version; FileNotFoundError."""
        path = commit_path(self._table, version)
        if not isinstance(path, S3Path):
            return path.read_bytes()
        if self._few:
            self._few = False
            return path.read_bytes()
        if version not in self._got:
            names = path.parent.names_from(path.name, MOST_AHEAD)
            numbers = [int(name[:20]) for name in names if _LOG_FILE.fullmatch(name)]
            paths = [commit_path(self._table, number) for number in numbers]
            read = side_by_side(lambda path: path.read_bytes(), paths)
            self._got = dict(zip(numbers, read, strict=True))
        if version not in self._got:
            raise FileNotFoundError(str(path))
        return self._got[version]


@dataclass(slots=True)
class State:
    """A table at one version.

    Attributes:
        table: its folder. version: of its log.
        base: version of the checkpoint that was read; -1: none.
        metadata: the action `metaData`.
        files: name -> what is said of it.
        units: transaction ids that are in, with their versions.
        removed: files that were removed since `base`.
    """

    table: Place
    version: int = -1
    base: int = -1
    metadata: dict[str, Any] = field(default_factory=dict)
    protocol: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Added] = field(default_factory=dict)
    units: dict[str, int] = field(default_factory=dict)
    removed: dict[str, Removed] = field(default_factory=dict)
    _pending: checkpoint.Pending = checkpoint.NOTHING

    @classmethod
    def read(
        cls, table: Place, at: int | None = None, with_units: bool = True
    ) -> "State | None":
        """The table as it is now, or was at a version; None while there is no such table.

        Args:
            with_units: whether its transactions are wanted (of checkpoints there may be many).

        Raises:
            LakeError: the log is of a kind that is not read, or lacks this version.
        """
        for _ in range(5):
            try:
                return cls._read(table, at, with_units)
            except FileNotFoundError:
                # A checkpoint that was taken away for a newer one meanwhile.
                time.sleep(0.01)
        raise LakeError(f"{table}: its log lacks the checkpoint that it points to")

    @classmethod
    def _read(cls, table: Place, at: int | None, with_units: bool) -> "State | None":
        state = cls(table)
        base = checkpoint.newest(table, at)
        if base is not None:
            read = checkpoint.read(table, base, with_units)
            state.version = state.base = base
            state.metadata, state.protocol = read.metadata, read.protocol
            state.files = {name: Added(*rest) for name, *rest in read.files}
            state.units = read.units
            state._pending = read.pending
            state._check()
        state.advance(at)
        if at is not None and state.version != at:
            raise LakeError(f"{table}: its log has no version {at}, or does not keep it any more")
        if state.version < 0:
            return None
        return state

    def advance(self, until: int | None = None) -> None:
        """Takes in what has been committed since."""
        ahead = _Ahead(self.table, few=self.version > self.base)
        while until is None or self.version < until:
            try:
                data = ahead.read(self.version + 1)
            except FileNotFoundError:
                if self.version > self.base and not commit_path(self.table, self.version).exists():
                    self._again(until)
                return
            self._apply(map(orjson.loads, data.splitlines()))
            self.version += 1

    def _again(self, until: int | None) -> None:
        """Reads all anew: the log has been cleaned beyond what was read."""
        fresh = State.read(self.table, until)
        if fresh is None:
            raise LakeError(f"{self.table}: its log is gone")
        for name in self.__slots__:
            setattr(self, name, getattr(fresh, name))

    def commit(self, actions: Iterable[Mapping[str, Any]], operation: str) -> bool:
        """Commits as the next version, on disk when this returns.

        Args:
            actions: of the Delta protocol. operation: for the table's history.

        Returns:
            False where another process came first: to be looked at again after `advance`.

        Raises:
            OSError: the log could not be written.
        """
        info = {
            "commitInfo": {
                "timestamp": time.time_ns() // 1_000_000,
                "operation": operation,
                "operationParameters": {},
                "engineInfo": f"tracelake:{VERSION}",
            }
        }
        lines = [orjson.dumps(action) for action in (info, *actions)]
        path = commit_path(self.table, self.version + 1)
        if not put_if_absent(path, b"\n".join(lines) + b"\n"):
            return False
        sync_folder(path.parent)
        self._apply(map(orjson.loads, lines))
        self.version += 1
        return True

    def _apply(self, actions: Iterable[dict[str, Any]]) -> None:
        for action in actions:
            for kind, said in action.items():
                if kind == "add":
                    name = unquote(said["path"])
                    tags = said.get("tags") or {}
                    if said.get("deletionVector"):
                        raise LakeError(
                            f"{self.table}: another engine has put a deletion vector on {name}, "
                            "which is not read"
                        )
                    self.files[name] = Added(
                        said["size"], said["modificationTime"], said.get("stats"),
                        int(tags.get(AFTER, -1)),
                    )
                    self.removed.pop(name, None)
                elif kind == "remove":
                    name = unquote(said["path"])
                    was = self.files.pop(name, None)
                    tags = said.get("tags") or {}
                    self.removed[name] = Removed(
                        said.get("deletionTimestamp") or 0, said.get("size") or 0,
                        tags.get(BY, ""), was.after if was else -1,
                    )
                elif kind == "txn":
                    self.units[said["appId"]] = said["version"]
                elif kind == "metaData":
                    self.metadata = said
                    self._check()
                elif kind == "protocol":
                    self.protocol = said
                    self._check()

    def _check(self) -> None:
        """Raises LakeError for a table that another engine has made into what is not read."""
        reader = self.protocol.get("minReaderVersion", _READER)
        writer = self.protocol.get("minWriterVersion", _WRITER)
        if reader > _READER or writer > _WRITER:
            raise LakeError(
                f"{self.table}: another engine has raised its protocol to reader {reader}, writer "
                f"{writer}; this tracelake knows {_READER} and {_WRITER}"
            )
        if self.metadata.get("partitionColumns"):
            raise LakeError(f"{self.table}: it is partitioned, which is not read")

    def tombstones(self) -> Iterator[tuple[str, Removed]]:
        """All files that were removed and are still kept."""
        if self.base >= 0:
            for name, at, size, by, after in checkpoint.removed(self.table, self.base):
                if name not in self.files and name not in self.removed:
                    yield name, Removed(at, size, by, after)
        yield from self.removed.items()

    def standing_in(self, seen: Seen) -> Iterator[tuple[str, Removed]]:
        """The files that were removed and are still to be seen, since what took their place is
        not. Those of the checkpoint are only looked through where its footer says that there may
        be some."""
        pending = self._pending
        old: Iterable[tuple[str, Removed]] = self.removed.items()
        if pending.merged > seen.newest or not seen.units >= pending.swaps:
            old = self.tombstones()
        for name, file in old:
            if file.by and not seen.is_in(file.by):
                yield name, file

    def write_checkpoint(self, forget: AbstractSet[str] = frozenset()) -> None:
        """Writes a checkpoint of this version. Nothing happens where it is there.

        Args:
            forget: files that were removed, and are not to be mentioned any more.
        """
        if self.base == self.version:
            return
        before = checkpoint.Before(self.table, self.base, self._pending, forget)
        kept = {name: old for name, old in self.removed.items() if name not in forget}
        self._pending = checkpoint.write(
            self.table, self.version, self.metadata, self.protocol, self.units, self.files, kept,
            before,
        )
        self.base = self.version
        self.removed = {}

    def latest_schema(self) -> list[dict[str, Any]]:
        """The table's columns, as the log has them."""
        fields: list[dict[str, Any]] = orjson.loads(self.metadata["schemaString"])["fields"]
        return fields


def add_action(
    name: str, size: int, modified: int, stats: str | None, change: bool = True,
    tags: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The action that puts a file into a table."""
    said: dict[str, Any] = {
        "path": name, "partitionValues": {}, "size": size, "modificationTime": modified,
        "dataChange": change, "stats": stats,
    }
    if tags:
        said["tags"] = dict(tags)
    return {"add": said}


def remove_action(name: str, old: Added | Removed, by: str, change: bool) -> dict[str, Any]:
    """The action that takes a file out of a table.

    Args:
        by: under which name what takes its place is seen.
        change: whether the table's rows are others afterwards.
    """
    return {
        "remove": {
            "path": name, "deletionTimestamp": time.time_ns() // 1_000_000, "dataChange": change,
            "extendedFileMetadata": True, "partitionValues": {}, "size": old.size,
            "tags": {BY: by},
        }
    }


def unit_action(unit: str, version: int = 1) -> dict[str, Any]:
    """The action that says that a unit is in."""
    return {"txn": {"appId": unit, "version": version}}
