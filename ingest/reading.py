"""One artifact through one parser into one unit: the straight line itself."""

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from typing import Protocol, TypeAlias

import pyarrow as pa

from tracelake.ingest.beside import Read
from tracelake.ingest.containers import nothing_more
from tracelake.ingest.devices import Gathering
from tracelake.ingest.events import Facts
from tracelake.native.account import Account
from tracelake.native.columns import Stretch
from tracelake.native.errors import EvidenceError
from tracelake.native.feed import Feed
from tracelake.normalize import TABLES, Provenance, fill
from tracelake.parsers.artifact import Artifact, Parser, nothing_beside

# Bytes after which a reading without a full batch says how far it is.
TELL_EVERY = 16 << 20


class Writer(Protocol):
    """Where a unit's completed batches go."""

    def write(self, table: str, batch: pa.RecordBatch) -> None: ...


Given: TypeAlias = pa.RecordBatch | Stretch
"""What a parser gives for a table."""

Put = Callable[[str, Given], None]
"""Takes it."""


def completing(constants: Provenance, writer: Writer) -> Put:
    """Completes batches and writes them."""

    def put(table: str, given: Given) -> None:
        batch = given.alone() if isinstance(given, Stretch) else given
        writer.write(table, fill(TABLES[table], batch, constants))

    return put


class Sink:
    """Passes on what a parser yields, and counts it.

    Attributes:
        account: of the artifact, or of the part of it, that is read.
    """

    def __init__(self, put: Put) -> None:
        self._put = put
        self._rows: Counter[str] = Counter()
        self._devices: Gathering | None = Gathering()
        # A hostile artifact may be nothing but damage: those rows leave as they fill a batch.
        self.account = Account(lambda batch: self._put("damage", batch))

    def take(self, table: str, given: Given) -> bool:
        """Passes rows on; whether there were any."""
        if not given.num_rows:
            return False
        if isinstance(given, Stretch):
            self._devices = None    # its columns go on with the next artifact
        elif self._devices is not None:
            self._devices.add(table, given)
        self._put(table, given)
        self._rows[table] += given.num_rows
        return True

    def facts(self, path: str, parser: Parser, size: int | None, sha256: str | None) -> Facts:
        """What became of the records and bytes; to be asked for when all has been read."""
        account = self.account
        account.flush_damage()
        return Facts(
            path=path,
            parser=parser.name,
            size=size,
            sha256=sha256,
            records=account.records,
            in_rows=account.in_rows,
            rows=dict(sorted(self._rows.items())),
            duplicates=account.duplicates,
            damage=account.damaged,
            repairs=account.repairs,
            bytes_records=account.bytes_records,
            bytes_structure=account.bytes_structure,
            bytes_slack=account.bytes_slack,
            counters=dict(sorted(account.counters.items())),
            devices=self._devices.all() if self._devices is not None else None,
        )


def read_artifact(
    path: str,
    feed: Feed,
    sha256: Callable[[], str],
    parser: Parser,
    put: Put,
    again: Feed | None = None,
    beside: Read = nothing_beside,
    stands: bool = False,
    modified: float | None = None,
    more: Callable[[], int | None] = nothing_more,
) -> Generator[int, None, Facts]:
    """Parses an artifact to its end or to where it breaks, and writes its rows.

    Args:
        path: the artifact's path inside the source.
        feed: its bytes. sha256: their hash, asked for when all of them have been read.
        put: takes the rows.
        again: its bytes once more, for a parser that reads them twice.
        beside: the bytes of other files of its folder, for a parser that needs them.
        stands: whether `put` takes stretches of columns that the next artifact goes on with.
        modified: when the artifact was written last (`Artifact.modified`).
        more: goes on with the next of several files that are one, and says at which offset.

    Yields:
        the artifact offset that was reached, batch by batch.

    Returns:
        what became of its records and bytes.
    """
    sink = Sink(put)

    def following() -> bool:
        at = more()
        if at is not None:
            feed.jump(at)
        return at is not None

    artifact = Artifact(path, feed, sink.account, again, beside, stands, modified, following)
    told = 0
    try:
        for table, given in parser.read(artifact):
            if sink.take(table, given) or feed.position - told >= TELL_EVERY:
                told = feed.position
                yield told
    except EvidenceError as error:
        sink.account.broken(error.offset, 0, error.what, error.why)
    try:
        size = feed.drain()
    except EvidenceError as error:
        sink.account.broken(error.offset, 0, error.what, error.why)
        size = feed.position
    yield size
    return sink.facts(path, parser, size, sha256())


def summed(parts: Sequence[Facts], size: int, sha256: str) -> Facts:
    """The facts of an artifact that was read in parts."""
    rows: Counter[str] = Counter()
    counters: Counter[str] = Counter()
    devices = Gathering()
    for part in parts:
        devices.put(part.devices or ())
        rows.update(part.rows)
        counters.update(part.counters)
    return Facts(
        path=parts[0].path,
        parser=parts[0].parser,
        size=size,
        sha256=sha256,
        records=sum(part.records for part in parts),
        in_rows=sum(part.in_rows for part in parts),
        rows=dict(sorted(rows.items())),
        duplicates=sum(part.duplicates for part in parts),
        damage=sum(part.damage for part in parts),
        repairs=sum(part.repairs for part in parts),
        bytes_records=sum(part.bytes_records for part in parts),
        bytes_structure=sum(part.bytes_structure for part in parts),
        bytes_slack=sum(part.bytes_slack for part in parts),
        counters=dict(sorted(counters.items())),
        devices=devices.all(),
    )
