"""An engagement in Python and in notebooks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tracelake.lake.lake import Lake

if TYPE_CHECKING:
    import duckdb

    from tracelake.analysis.session import Session
    from tracelake.ingest.events import How
    from tracelake.ingest.report import Report
    from tracelake.ingest.run import Watch

DEFAULT_LAKE = "./lake"


def lake_uri(uri: str | os.PathLike[str] | None) -> str:
    """The lake that is meant: the one given, `TRACELAKE_LAKE`, or ./lake."""
    return os.fspath(uri or os.environ.get("TRACELAKE_LAKE") or DEFAULT_LAKE)


class Case:
    """One engagement: ingest into it, ask it questions. Made by `tracelake.open`.

    All queries of a case see the same state of its tables until `refresh` (or `ingest`).
    """

    def __init__(
        self,
        lake: Lake,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        as_of: int | datetime | str | None = None,
    ) -> None:
        self.lake = lake
        self._as_of = as_moment(as_of)
        self._since = as_time(since)
        self._until = as_time(until)
        self._session: Session | None = None

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """The result of one SELECT over the engagement's tables and views, as a DuckDB relation:
        `.df()`, `.arrow()`, `.pl()`, `.fetchall()` and further SQL work on it.

        Raises:
            duckdb.Error: the statement is wrong.
            ValueError: it is more than one statement, or does more than read.
        """
        return self.session.sql(query)

    @property
    def session(self) -> Session:
        """The DuckDB session behind `sql`, opened on first use."""
        if self._session is None:
            from tracelake.analysis.session import Session

            snapshot = self.lake.snapshot(self._as_of)
            self._session = Session(snapshot, since=self._since, until=self._until)
        return self._session

    def between(self, since: datetime | str | None, until: datetime | str | None) -> Case:
        """The same engagement, seen through a time window [since, until): a SIEM's time picker.
        Files outside are not read; rows without a time are left out.
        """
        return Case(self.lake, since, until, self._as_of)

    def as_of(self, moment: int | datetime | str) -> Case:
        """The same engagement as it was, before sources were read anew or more came in.

        Args:
            moment: a version of the table `artifact`, or a time (UTC where it has no zone). It is
                kept so long as `tracelake compact --retain` says.
        """
        return Case(self.lake, self._since, self._until, moment)

    def refresh(self) -> None:
        """Lets the next query see what has been committed since."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def ingest(
        self,
        paths: Sequence[str | os.PathLike[str]],
        workers: int = 1,
        watch: Watch | None = None,
        carve: bool = False,
        how: How | None = None,
        reparse: bool = False,
        mappings: Sequence[str | os.PathLike[str]] = (),
    ) -> Report:
        """Takes in files and folders; what is in already is skipped.

        Args:
            paths: files and folders (walked), also `s3://bucket/key` or a prefix.
            workers: processes that read; 1 reads in this one.
            watch: told each ingest event.
            carve: also read deleted records, of sources that are in, too.
            how: what is wanted of archives and images (all files, keys, shadow copies).
            reparse: sources that are in are read anew where parsers or mappings are newer, and what
                is read takes the place of their rows.
            mappings: mapping files of one's own, on top of the shipped ones.

        Returns:
            what was read, and what could not be; nothing is raised for bad evidence.

        Raises:
            MappingError: a mapping file says something that cannot be; nothing was read.
        """
        from dataclasses import replace

        from tracelake.ingest.events import PLAINLY
        from tracelake.ingest.reach import root_of
        from tracelake.ingest.run import ingest
        from tracelake.normalize import extra

        roots = [root_of(path) for path in paths]
        before = extra.files()
        extra.use(extra.read(map(Path, mappings)) or before)
        try:
            wanted = replace(how or PLAINLY, reparse=reparse)
            report = ingest(roots, self.lake, workers, watch, carve, wanted)
        finally:
            extra.use(before)
        self.refresh()
        return report


def open_case(
    lake: str | os.PathLike[str] | None = None, *, engagement: str, create: bool = True
) -> Case:
    """Opens an engagement.

    Args:
        lake: the lake's folder or `s3://bucket/prefix`; TRACELAKE_LAKE or ./lake where it is
            not given.
        engagement: its id, `[a-z0-9][a-z0-9_-]{0,62}`.
        create: whether a new engagement is begun where there is none of this id.

    Raises:
        ValueError: the id is none.
        LakeError: the lake cannot be opened.
    """
    return Case(Lake.open(lake_uri(lake), engagement, create=create))


def as_moment(value: int | datetime | str | None) -> int | datetime | None:
    """A version, or a time in UTC.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) else as_time(value)


def as_time(value: datetime | str | None) -> datetime | None:
    """A time in UTC of an ISO 8601 date or time; without a zone it is taken as UTC.

    Raises:
        ValueError: it is no such time.
    """
    from datetime import UTC

    if value is None:
        return None
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
