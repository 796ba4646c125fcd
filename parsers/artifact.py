"""What a parser is handed, and what a parser is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

import pyarrow as pa

from tracelake.native.account import Account
from tracelake.native.feed import Feed


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file found inside a source, readable as bytes in order.

    Attributes:
        path: its path inside the source; for a loose file, relative to the given root.
        feed: its bytes.
        account: what became of every record and byte; the parser keeps it.
        again: its bytes once more, for a parser that reads them twice (`Parser.carve`).
    """

    path: str
    feed: Feed
    account: Account
    again: Feed | None = None


class Match(IntEnum):
    """How sure a parser is that an artifact is its own."""

    NO = 0
    NAME = 1
    CONTENT = 2


@dataclass(frozen=True, slots=True)
class Parser:
    """One evidence format.

    Attributes:
        name, version: stand in every row (`parser`, `parser_version`).
        match: (first 64 KiB of the artifact, its path) -> how sure, and the reason in one
            sentence when it is not (shown for files that nobody took).
        tables: names of the tables that `read` fills, `damage` left out.
        read: yields (table, batch) with the columns that were filled, and `NO_ROWS_YET` now and
            then where no batch is full for long (Ctrl-C gets in, the bar moves); raises the
            EvidenceError that stopped it, after the whole rows before it were yielded.
        render: (the artifact from its start, offset of a record) -> the record as its own
            tools show it, where they show more than bytes.
        carve: the parser of what the format no longer counts as its own (deleted records), for
            `ingest --carve`. Its rows are a unit of their own; `Artifact.again` is given.
    """

    name: str
    version: str
    match: Callable[[bytes, str], tuple[Match, str]]
    tables: tuple[str, ...]
    read: Callable[[Artifact], Iterator[tuple[str, pa.RecordBatch]]]
    render: Callable[[Feed, int], str] | None = None
    carve: "Parser | None" = None


NO_ROWS_YET: tuple[str, pa.RecordBatch] = ("", pa.RecordBatch.from_pylist([], schema=pa.schema([])))
"""What a parser yields to say that it is further, and has no full batch."""
