"""One artifact through one parser into one unit: the straight line itself."""

from collections import Counter
from collections.abc import Callable, Generator
from typing import Protocol

import pyarrow as pa

from tracelake.ingest.events import Facts
from tracelake.native.account import Account
from tracelake.native.errors import EvidenceError
from tracelake.native.feed import Feed
from tracelake.normalize import TABLES, Provenance, complete
from tracelake.parsers.artifact import Artifact, Parser

# Bytes after which a reading without a full batch says how far it is.
TELL_EVERY = 16 << 20


class Writer(Protocol):
    """Where a unit's batches go."""

    def write(self, table: str, batch: pa.RecordBatch) -> None: ...


def read_artifact(
    path: str,
    feed: Feed,
    sha256: Callable[[], str],
    parser: Parser,
    provenance: Provenance,
    writer: Writer,
    again: Feed | None = None,
) -> Generator[int, None, Facts]:
    """Parses an artifact to its end or to where it breaks, and writes its rows.

    Args:
        path: the artifact's path inside the source.
        feed: its bytes. sha256: their hash, asked for when all of them have been read.
        writer: of the artifact's unit.
        again: its bytes once more, for a parser that reads them twice.

    Yields:
        the artifact offset that was reached, batch by batch.

    Returns:
        what became of its records and bytes.
    """
    rows: Counter[str] = Counter()

    def write(table: str, batch: pa.RecordBatch) -> None:
        writer.write(table, complete(TABLES[table], batch, provenance))

    # A hostile artifact may be nothing but damage: those rows leave as they fill a batch.
    account = Account(lambda batch: write("damage", batch))
    told = 0
    try:
        for table, batch in parser.read(Artifact(path, feed, account, again)):
            if batch.num_rows:
                write(table, batch)
                rows[table] += batch.num_rows
            if batch.num_rows or feed.position - told >= TELL_EVERY:
                told = feed.position
                yield told
    except EvidenceError as error:
        account.broken(error.offset, 0, error.what, error.why)
    try:
        size = feed.drain()
    except EvidenceError as error:
        account.broken(error.offset, 0, error.what, error.why)
        size = feed.position
    yield size
    account.flush_damage()
    return Facts(
        path=path,
        parser=parser.name,
        size=size,
        sha256=sha256(),
        records=account.records,
        in_rows=account.in_rows,
        rows=dict(sorted(rows.items())),
        duplicates=account.duplicates,
        damage=account.damaged,
        repairs=account.repairs,
        bytes_records=account.bytes_records,
        bytes_structure=account.bytes_structure,
        bytes_slack=account.bytes_slack,
        counters=dict(sorted(account.counters.items())),
    )
