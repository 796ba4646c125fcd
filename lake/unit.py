"""A unit's name, its files, and what a worker hands to the committing parent.

A unit is what is committed together: one artifact, read by one parser version
(`<first 16 hex of source_id>-<artifact_no>-<parser>-<version>`). Its files are named
`<unit>.<attempt>-<k>.parquet`: the attempt tells apart two processes that read the same
artifact at once, or a run from the one that was killed before it.
"""

import re
import secrets
from dataclasses import dataclass, field

import pyarrow as pa

from tracelake.lake.errors import LakeError

BOOKS = ("artifact", "source")
"""Tables of one row per unit. Their rows travel to the parent, which writes one file for all
units of a commit: ten thousand files of one row would take seconds to read."""

MERGED = "merged-"
"""Files of several units that are all complete are named so, with the version of `artifact` in
which they are: `merged-<version>-<hex>`."""

SWAP = "swap-"
"""Files with the rows of sources that are left when others of the same file are read anew."""

_UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
_FILE = re.compile(r"(?P<unit>.+)\.[0-9a-f]{8}-[0-9]+\.parquet")


def check_unit(unit: str) -> str:
    """The unit's name, if it is one that can stand in a path and in a URL.

    Raises:
        ValueError: otherwise.
    """
    if not _UNIT.fullmatch(unit):
        raise ValueError(f"{unit!r} is not the name of a unit: {_UNIT.pattern}")
    return unit


def new_attempt() -> str:
    """Eight hexadecimal digits that no other attempt has."""
    return secrets.token_hex(4)


def file_name(unit: str, attempt: str, k: int) -> str:
    """Name of the k-th file that an attempt at a unit writes into a table."""
    return f"{unit}.{attempt}-{k}.parquet"


def unit_of(path: str) -> str | None:
    """The unit whose rows a file holds, by its name; None for a name that is not ours."""
    match = _FILE.fullmatch(path.rpartition("/")[2])
    return match["unit"] if match else None


def merged_after(unit: str) -> int | None:
    """Of a merged file's name for a unit: the version of `artifact` in which all its units are
    complete; None for the name of a unit."""
    if not unit.startswith(MERGED):
        return None
    number = unit[len(MERGED) :].partition("-")[0]
    return int(number) if number.isdecimal() else None


@dataclass(frozen=True, slots=True)
class DataFile:
    """A finished Parquet file.

    Attributes:
        name: in the table's folder.
        size: bytes.
        rows: how many.
        modified: time of writing, milliseconds since 1970.
        stats: its statistics as a Delta log holds them (JSON).
    """

    name: str
    size: int
    rows: int
    modified: int
    stats: str


Share = tuple[str, int]
"""A unit and how many rows of a file are its."""


@dataclass(frozen=True, slots=True)
class WrittenUnit:
    """What a unit wrote; goes from the worker to the parent, which commits it.

    Attributes:
        unit: its name, or that of a pack of units (`pack.py`).
        files: table -> its files, closed and on disk.
        books: table -> rows of `BOOKS`, as an Arrow IPC stream (they become files in commit).
        shares: of a pack, table -> whose rows its file holds; empty for a single unit.
    """

    unit: str
    files: dict[str, tuple[DataFile, ...]]
    books: dict[str, bytes]
    shares: dict[str, tuple[Share, ...]] = field(default_factory=dict)

    def units(self, table: str) -> list[str]:
        """The units that have rows in the files of a table."""
        if table not in self.shares:
            return [self.unit]
        return [unit for unit, _ in self.shares[table]]

    @property
    def rows(self) -> dict[str, int]:
        """Table -> rows, books left out."""
        return {table: sum(file.rows for file in files) for table, files in self.files.items()}

    def book(self, table: str) -> pa.Table:
        """The unit's rows for a table of `BOOKS`."""
        if table not in self.books:
            raise LakeError(f"unit {self.unit} has no rows for {table}")
        return pa.ipc.open_stream(self.books[table]).read_all()
