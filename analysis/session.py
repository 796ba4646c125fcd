"""A DuckDB session over one snapshot of one engagement, locked into it.

It reads files below the engagement's root and nothing else, cannot be unlocked, and takes
one reading statement at a time. What it cannot close is closed elsewhere: whoever holds the
Python process can open other files by other means, so people who must not see an engagement
must not have its credentials (docs: one root, one role per engagement).
"""

import re
import shutil
import tempfile
import threading
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import duckdb
import pyarrow as pa

from tracelake.analysis import identity, process_tree
from tracelake.analysis.host_book import HostBook
from tracelake.analysis.process_rows import ProcessRows
from tracelake.analysis.views import (
    GROUPS,
    base,
    devices,
    host,
    intake,
    known,
    quote,
    timeline,
    witness,
)
from tracelake.analysis.views.base import Window
from tracelake.lake.s3 import is_s3
from tracelake.normalize import TABLES

if TYPE_CHECKING:
    from tracelake.analysis.remote import Remote

# Where DuckDB lists what there is: whoever asks must see all views. (Who asks what one of them
# has, with DESCRIBE or SHOW, names it.)
CATALOG = re.compile(
    r"\b(show\s+(all\s+)?tables|duckdb_\w+|information_schema|sqlite_master|pg_\w+)\b"
    r"|\b(show|describe)\s*;?\s*$"
)
# Views over many tables.
MANY = {"timeline", "timeline_once", "ocsf", "ecs", "zeek", "sigma"}
# What stands on `artifact_host`, which takes a moment to make.
HOSTS = {
    "artifact_host", "host", "host_said", "host_evidence", "host_address", "host_remark",
    "host_interface", "device_fact", "timeline", "timeline_once", "copied", "witness",
}
# Views that stand on a table that a query over them does not name.
OVER = {
    "flow": "network_activity",
    "script_full": "script_activity",
    "usn": "file_activity",
}
EXPLAIN = re.compile(r"\s*EXPLAIN\s+(ANALYZE\s+|\([^()]*\)\s*)?", re.IGNORECASE)


class Snapshot(Protocol):
    """The files of one engagement at one moment: only whole units, the same for every query."""

    @property
    def root(self) -> object:
        """Folder (or prefix on S3) below which all files lie."""

    def files(
        self, table: str, since: datetime | None = None, until: datetime | None = None
    ) -> list[str]:
        """The table's Parquet files that may have rows with since <= time < until."""


class RefusedQuery(ValueError):
    """The text is not one reading statement."""


class Session:
    """Views over a snapshot: one per table, `timeline`, `ocsf.*`, `ecs.*`, `zeek.*`, `sigma.*`.

    Args:
        snapshot: which files.
        since, until: the window: since <= time < until. Rows without any date are left out
            when either is given.
        memory_limit: of this session, as DuckDB writes it (`4GB`); None: DuckDB's default.
        connection: one to build on; it is locked.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        memory_limit: str | None = None,
        connection: duckdb.DuckDBPyConnection | None = None,
    ) -> None:
        self.window = Window(since, until)
        self.root = str(snapshot.root)
        self._connection = connection or duckdb.connect()
        self._waiting = list(GROUPS)
        self._events: dict[str, list[str]] = {}
        """Tables of events, and their files."""
        self._silent: set[str] = set()
        """Those whose view does not have their rows' messages yet."""
        self._hostless: set[str] = set()
        """Those whose view does not tell their rows' hosts yet."""
        self._attributed = False
        self._trees: process_tree.Trees | None = None
        self._snapshot = snapshot
        self._making = threading.Lock()
        self._walking = threading.RLock()
        self._spill = Path(tempfile.mkdtemp(prefix="tracelake-"))
        self._remote: Remote | None = None
        try:
            if is_s3(self.root):
                from tracelake.analysis import remote

                self._remote = remote.Remote(self.root)
                self._remote.prepare(self._connection)
            self._lock(memory_limit)
            self._register(snapshot)
        except BaseException:
            self.close()
            raise

    def _lock(self, memory_limit: str | None) -> None:
        local = self._remote is None
        root = str(Path(self.root).resolve()) if local else self.root.rstrip("/")
        settings = [
            "SET TimeZone = 'UTC'",
            f"SET temp_directory = {quote.text(str(self._spill))}",
            "SET python_enable_replacements = false",
            "SET autoinstall_known_extensions = false",
            "SET autoload_known_extensions = false",
            "SET allow_community_extensions = false",
            *(["SET allow_persistent_secrets = false"] if local else []),
            "SET parquet_metadata_cache = true",
            self._allowed(root),
            "SET enable_external_access = false",
        ]
        if memory_limit is not None:
            settings.insert(0, f"SET memory_limit = {quote.text(memory_limit)}")
        for setting in (*settings, "SET lock_configuration = true"):
            self._connection.execute(setting)
        self._resolved = root if local else None

    def _allowed(self, root: str) -> str:
        """The statement that allows the engagement's files."""
        if self._remote is None:
            return f"SET allowed_directories = [{quote.text(root + '/')}]"
        files = [file for table in TABLES for file in self._snapshot.files(table)]
        return self._remote.allowed([*files, f"{root}/{intake.FILE}"])

    def _register(self, snapshot: Snapshot) -> None:
        window = self.window
        for table in TABLES.values():
            pruned = (window.since, window.until) if base.prunes(table) else (None, None)
            files = self._inside(snapshot.files(table.name, *pruned))
            self._connection.execute(base.view(table, files, window))
            if table.is_events:
                self._events[table.name] = files
                self._silent.add(table.name)
                self._hostless.add(table.name)
        self._connection.execute(base.ARTIFACT_PATH)
        self._connection.execute(host.UTC_OF)
        self._connection.execute(intake.view(self._resolved or self.root, self._said()))

    def _said(self) -> bool | None:
        """Whether an ingest has said how far it is; None where the view looks itself."""
        return None if self._remote is None else self._remote.has(intake.FILE)

    def _provide(self, query: str) -> None:
        """Makes the views that a query may mean: 130 of them take 0.25 s, most queries none."""
        query = query.lower()
        everything = CATALOG.search(query) is not None
        with self._making:
            if everything or not HOSTS.isdisjoint(re.findall(r"\w+", query)):
                self._attribute()
            for words in [w for w in self._waiting if everything or all(x in query for x in w)]:
                for statement in GROUPS[words](self.window):
                    self._connection.execute(statement)
                # Only now: an interrupted query leaves some of them to be made again.
                self._waiting.remove(words)

    def _attribute(self) -> None:
        """Makes `artifact_host`, and the views that stand on it."""
        if not self._attributed:
            # Whose an artifact is does not depend on the window.
            table = TABLES["inventory"]
            inventory = base.plain(table, self._events["inventory"], Window())
            self._connection.execute(host.attribution(inventory))
            self._identify()
            cited = f"SELECT {base.row_id(table)} AS row_id, * FROM ({inventory})"
            for statement in (*known.views(cited), devices.EVIDENCE, devices.ADDRESS):
                self._connection.execute(statement)
            used = [name for name, files in self._events.items() if files]
            self._connection.execute(timeline.view(self.window, self._local(used)))
            for statement in witness.views(used):
                self._connection.execute(statement)
            self._connection.execute(timeline.ONCE)
            self._attributed = True

    def _identify(self) -> None:
        """Makes `device_fact` of what rows name their hosts by, and the tables that say whose
        each of that is."""
        run = self._connection.execute
        files: dict[str, list[str]] = {}
        if run(f"{devices.UNGATHERED} LIMIT 1").fetchone() is not None:
            for name in self._events:
                files[name] = self._inside(self._snapshot.files(name))
        run(devices.facts(files, [name for name, held in files.items() if held]))
        told = [
            identity.Told((source, number), *rest)
            for source, number, *rest in run(devices.TOLD).fetchall()
        ]
        owners = {
            (source, number): identity.Owner(key, shown, tuple(labels or ()))
            for source, number, key, shown, labels in run(devices.OWNERS).fetchall()
        }
        settled = identity.settle(told, owners)
        counts = {(one.at, one.name, one.uid): one.rows for one in told}
        rows: dict[str, list[tuple[object, ...]]] = {
            "host_said": [
                (*at, name, uid, key, shown, counts[at, name, uid])
                for (at, name, uid), (key, shown) in settled.said.items()
            ],
            "host_of_uid": list(settled.uids.items()),
            "host_of_name": list(settled.names.items()),
            "host_remark": list(settled.remarks),
        }
        for table, columns in devices.TABLES_OF.items():
            run(f"CREATE OR REPLACE TABLE {table} ({columns})")
            names = [part.split()[0] for part in columns.split(", ")]
            if rows[table]:
                listed = [dict(zip(names, row, strict=True)) for row in rows[table]]
                self._connection.register("listed", pa.Table.from_pylist(listed))
                run(f"INSERT INTO {table} SELECT {', '.join(names)} FROM listed")
                self._connection.unregister("listed")

    def _local(self, used: Sequence[str]) -> set[str]:
        """The tables with times that their host's zone corrects."""
        zones = self._connection.execute(
            "SELECT count(*) FROM artifact_host WHERE zone IS NOT NULL"
        ).fetchall()
        if not used or zones == [(0,)]:
            return set()
        found = self._connection.execute(timeline.local_tables(used)).fetchall()
        return {name for (name,) in found}

    def _tell(
        self, query: str, parameters: Sequence[object] | dict[str, object] | None
    ) -> None:
        """Makes the views with messages and with hosts that a query asks for.

        Where the query does not name these columns, its plan says whether it reads them.
        """
        words = set(re.findall(r"\w+", query.lower()))
        words |= {OVER[word] for word in words & OVER.keys()}
        with self._making:
            silent = set(self._silent) if words & MANY else self._silent & words
            hostless = self._hostless & words
            plan = ""
            if (silent and "message" not in words) or (hostless and "host" not in words):
                try:
                    plan = self._connection.cursor().execute(
                        f"EXPLAIN (FORMAT JSON) {query}", parameters
                    ).fetchall()[0][1]
                except duckdb.Error:
                    return      # the query itself says what is wrong
            if "message" not in words and '"message"' not in plan:
                silent = set()
            if "host" not in words and '"host"' not in plan:
                hostless = set()
            if hostless:
                self._attribute()
            for name in silent | hostless:
                self._connection.execute(base.view(
                    TABLES[name], self._events[name], self.window,
                    with_messages=name in silent or name not in self._silent,
                    with_hosts=name in hostless or name not in self._hostless,
                ))
                self._silent -= {name} & silent
                self._hostless -= {name} & hostless

    def _walk(
        self, query: str, parameters: Sequence[object] | dict[str, object] | None
    ) -> None:
        """Walks the process trees that a query asks for."""

        def evaluate(inner: str, given: dict[str, object] | None) -> object:
            found = self.sql(inner, given).fetchall()
            return found[0][0] if found else None

        with self._walking:
            if self._trees is None:
                with self._making:
                    self._trees = self._plant()
            self._trees.provide(query, parameters, evaluate)

    def _plant(self) -> process_tree.Trees:
        """Makes ready what walks through process trees need."""
        self._attribute()
        for statement in process_tree.setup():
            self._connection.execute(statement)
        # A process may have begun before the session's window.
        files = self._inside(self._snapshot.files("process_activity"))
        listed = self._inside(self._snapshot.files("artifact_query"))
        hosts = HostBook(self._connection)
        rows = ProcessRows(
            self._connection, files, base.plain(TABLES["artifact_query"], listed, Window()), hosts,
            local=self._resolved is not None,
        )
        return process_tree.Trees(self._connection, rows, hosts)

    def _inside(self, files: Iterable[str]) -> list[str]:
        """Paths as the lock compares them: below the root without links."""
        if self._resolved is None:
            return list(files)
        return [str(Path(file).resolve()) for file in files]

    def sql(
        self, query: str, parameters: Sequence[object] | dict[str, object] | None = None
    ) -> duckdb.DuckDBPyRelation:
        """Runs one reading statement: SELECT, FROM, WITH, VALUES, DESCRIBE, SUMMARIZE, SHOW,
        or EXPLAIN of one.

        Args:
            query: the statement.
            parameters: values for its `?`, `$1` or `$name`.

        Raises:
            RefusedQuery: the text is something else, or more than one statement.
            duckdb.Error: DuckDB cannot parse or run it, or it reaches outside of the root.
        """
        if self._remote is not None:
            self._remote.renew(self._connection)
        found = self._connection.extract_statements(query)
        if len(found) != 1:
            raise RefusedQuery(f"one statement is wanted, {len(found)} are given")
        kind = found[0].type
        if kind == duckdb.StatementType.EXPLAIN:
            inner = EXPLAIN.sub("", found[0].query, count=1)
            explained = self._connection.extract_statements(inner)
            kind = explained[0].type if len(explained) == 1 else kind
        if kind != duckdb.StatementType.SELECT:
            raise RefusedQuery(f"only reading statements are run, this is {kind.name}")
        self._provide(query)
        plain = EXPLAIN.sub("", query, count=1)
        if process_tree.NAMED.search(plain):
            self._walk(plain, parameters)
        self._tell(plain, parameters)
        return self._connection.sql(query, params=parameters)

    def interrupt(self) -> None:
        """Stops the query that another thread is running."""
        self._connection.interrupt()

    def close(self) -> None:
        """Ends the session and removes what it spilled to disk."""
        self._connection.close()
        shutil.rmtree(self._spill, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
