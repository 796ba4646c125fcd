"""An engagement's lake: a folder, or a prefix on S3, with one Delta table per dataset."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa

from tracelake.lake import marker
from tracelake.lake.errors import LakeError, UnknownEngagement
from tracelake.lake.layout import Layout
from tracelake.lake.s3 import S3Path, is_s3
from tracelake.lake.store import Place
from tracelake.lake.unit import WrittenUnit
from tracelake.lake.writer import UnitWriter

__all__ = ["Lake", "LakeError", "check_engagement", "engagements"]

if TYPE_CHECKING:
    from tracelake.lake.commit import Committer, Outcome
    from tracelake.lake.snapshot import Snapshot

_ENGAGEMENT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)


def lake_folder(uri: str) -> Path:
    """The folder that a lake's URI names.

    Raises:
        ValueError: it names something else.
    """
    scheme = _SCHEME.fullmatch(uri)
    if scheme is None:
        folder = Path(uri).absolute()
    elif scheme["scheme"].lower() == "file" and scheme["rest"].startswith("/"):
        folder = Path(scheme["rest"])
    else:
        raise ValueError(
            f"{uri}: a lake is a folder, given as a path or as file:///path, or s3://bucket/prefix"
        )
    if unquote(str(folder)) != str(folder):
        # deltalake 1.6 decodes the path once more and looks in the wrong folder.
        raise ValueError(f"{uri}: a lake cannot be in a folder with %20 or the like in its name")
    return folder


# What needs no escape in a URL, in SQL or in the keys that other engines make of it.
_PREFIX = re.compile(r"(?:[A-Za-z0-9_=][A-Za-z0-9_.=-]*(?:/|$))*")


def lake_place(uri: str) -> Place:
    """The folder, or the prefix on S3, that a lake's URI names.

    Raises:
        ValueError: it names something else.
    """
    if not is_s3(uri):
        return lake_folder(uri)
    place = S3Path.of(uri)
    if not _PREFIX.fullmatch(place.key):
        raise ValueError(f"{uri}: the prefix of a lake has only letters, digits and . _ = -")
    return place


def engagements(uri: str) -> list[str]:
    """The engagements of a lake, sorted."""
    folder = lake_place(uri)
    if not folder.is_dir():
        return []
    return sorted(
        path.name
        for path in folder.iterdir()
        if _ENGAGEMENT.fullmatch(path.name) and (path / marker.NAME).is_file()
    )


def own_folders(uri: str) -> frozenset[Place]:
    """The folders (or prefixes) of a lake's engagements, without links: what is in them is no
    evidence.

    Raises:
        ValueError: the URI names no lake.
    """
    if is_s3(uri):
        return frozenset(lake_place(uri) / name for name in engagements(uri))
    return frozenset((lake_folder(uri) / name).resolve() for name in engagements(uri))


def check_engagement(engagement: str) -> str:
    """The id, if it is one.

    Raises:
        ValueError: it is not.
    """
    if not _ENGAGEMENT.fullmatch(engagement):
        raise ValueError(f"{engagement!r} is not an engagement id: {_ENGAGEMENT.pattern}")
    return engagement


class Lake:
    """One engagement. Can be pickled; a worker process opens nothing by having one.

    Attributes:
        uri: the lake, as it was given.
        engagement: its id.
        root: the engagement's folder, absolute, or its prefix on S3.
    """

    def __init__(
        self, uri: str, engagement: str, root: Place, schemas: Mapping[str, pa.Schema] | None
    ) -> None:
        self.uri = uri
        self.engagement = engagement
        self.root = root
        self._schemas = schemas
        self._layouts: dict[str, Layout] = {}
        self._committer: Committer | None = None

    @classmethod
    def open(
        cls,
        uri: str,
        engagement: str,
        create: bool = False,
        schemas: Mapping[str, pa.Schema] | None = None,
    ) -> "Lake":
        """Opens an engagement.

        Args:
            uri: folder of the lake, or `s3://bucket/prefix`.
            engagement: `[a-z0-9][a-z0-9_-]{0,62}`.
            create: make the engagement if it is not there, for its owner only (0700).
            schemas: table -> schema; those of `normalize` unless given.

        Raises:
            ValueError: not an engagement id, or not a lake's URI.
            UnknownEngagement: it is not there (and shall not be made).
            NewerFormat: a later version made it.
            LakeError: the folder is there and is not a lake.
            OSError: the folder cannot be read or made.
        """
        root = lake_place(uri) / check_engagement(engagement)
        if create:
            try:
                root.parent.mkdir(parents=True, exist_ok=True)
            except FileExistsError:
                raise LakeError(f"{root.parent}: is not a folder") from None
            try:
                root.mkdir(mode=0o700)
            except FileExistsError:
                if not root.is_dir():
                    raise LakeError(f"{root}: is not a folder") from None
            # A run killed between folder and marker leaves drafts of the marker at most.
            if all(path.name.startswith(f".{marker.NAME}") for path in root.iterdir()):
                marker.create(root, engagement)
        try:
            marker.check(root, engagement)
        except FileNotFoundError:
            if create:
                raise LakeError(
                    f"{root}: is in use and is not a lake ({marker.NAME} is missing)"
                ) from None
            raise UnknownEngagement(engagement, uri, engagements(uri)) from None
        return cls(uri, engagement, root, schemas)

    def __reduce__(self) -> tuple[object, ...]:
        return (Lake, (self.uri, self.engagement, self.root, self._schemas))

    def schema(self, table: str) -> pa.Schema:
        """A table's schema.

        Raises:
            LakeError: there is no such table.
        """
        return self._find_schema(table)

    def has(self, table: str) -> bool:
        """Whether this version knows a table."""
        return table in self._known()

    def layout(self, table: str) -> Layout:
        """How a table's files are laid out."""
        layout = self._layouts.get(table)
        if layout is None:
            layout = self._layouts[table] = Layout.of(self._find_schema(table))
        return layout

    def _find_schema(self, table: str) -> pa.Schema:
        try:
            return self._known()[table]
        except KeyError:
            raise LakeError(f"there is no table {table!r}") from None

    def _known(self) -> Mapping[str, pa.Schema]:
        if self._schemas is None:
            from tracelake.normalize import TABLES

            self._schemas = {name: known.schema for name, known in TABLES.items()}
        return self._schemas

    def writer(self, unit: str, settled: bool = True) -> UnitWriter:
        """Begins to write a unit; in a worker process. `settled`: not under a stand-in."""
        return UnitWriter(self, unit, settled=settled)

    def commit(self, units: Sequence[WrittenUnit]) -> "Outcome":
        """Commits units that were written; in the parent process. See `commit.py`."""
        if self._committer is None:
            # deltalake takes 70 ms to import: not in workers, nor for `--dry-run`.
            from tracelake.lake.commit import Committer

            self._committer = Committer(self)
        return self._committer.commit(units)

    def snapshot(self, as_of: "int | datetime | None" = None) -> "Snapshot":
        """The lake as it is now, or was; it does not change while it is used. See `snapshot.py`.

        Args:
            as_of: a version of `artifact`, or a time (with a zone).

        Raises:
            NewerFormat: it has tables or columns that are not known here.
            LakeError: a column is there with another type; or what the lake was then is not kept,
                or there was nothing.
        """
        from tracelake.lake.evolution import new_columns, unknown_table
        from tracelake.lake.snapshot import Snapshot, version_of

        snapshot = Snapshot(self.root, None if as_of is None else version_of(self.root, as_of))
        for table in snapshot.tables:
            if not self.has(table):
                raise unknown_table(self.root / table)
            new_columns(self.root / table, snapshot.fields(table), self.schema(table))
        return snapshot
