"""What a parser is handed, and what a parser is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, BinaryIO, Protocol

import pyarrow as pa

from tracelake.native.account import Account
from tracelake.native.columns import Stretch
from tracelake.native.feed import Feed


def nothing_beside(_name: str, _most: int) -> bytes | None:
    """There is no other file."""
    return None


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file found inside a source, readable as bytes in order.

    Attributes:
        path: its path inside the source; for a loose file, relative to the given root.
        feed: its bytes.
        account: what became of every record and byte; the parser keeps it.
        again: its bytes once more, for a parser that reads them twice (`Parser.carve`).
        beside: (name, most bytes) -> the bytes of the file of that name in the same folder of
            the same evidence, upper and lower case alike; None where there is none, or a larger
            one, or it cannot be reached (a stream is not wound back). For logs of a registry
            hive and of a database.
        stands: the rows that are left at the end may be given as `Stretch` instead of a batch:
            they stay in columns that the next artifact's rows are put into (small files).
        modified: when it was written last, or at the latest (seconds since 1970, UTC), for logs
            that do not say the year; None where nothing says it.
    """

    path: str
    feed: Feed
    account: Account
    again: Feed | None = None
    beside: Callable[[str, int], bytes | None] = nothing_beside
    stands: bool = False
    modified: float | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What one of several workers reads of an artifact (docs/parts.md).

    Attributes:
        number, of: the part's number from 0, and how many there are at most.
        more: moves the artifact's feed to the part's next range; False when there is none. The
            first range is asked for as well.
        seed: the same in all parts, unknown to whoever made the evidence: for hashes of records
            that parts compare.
        leave_out: where the part is read again, what other parts have before it
            (`Parts.settle`).
    """

    number: int
    of: int
    more: Callable[[], bool]
    seed: int
    leave_out: bytes = b""


class Reading(Protocol):
    """A part while it is read."""

    @property
    def alone(self) -> bool:
        """Whether something was met that depends on what stands before it in another part: then
        one worker reads the whole artifact. Looked at between ranges and at the end."""

    def read(self) -> Iterator[tuple[str, pa.RecordBatch]]:
        """As `Parser.read`, without what is said once of the whole artifact."""

    def facts(self) -> Any:
        """What the part knows of the whole; small, and can be pickled."""

    def shared(self, others: Sequence[Any]) -> bytes:
        """Keys of the part's records that parts with these facts may have too."""


@dataclass(frozen=True, slots=True)
class Parts:
    """How several workers read one large artifact, and get the rows and the account that one
    gets (docs/parts.md).

    Attributes:
        least: bytes below which it does not pay.
        borders: (file, its size) -> the offsets at which a reader of the whole begins anew, in
            order; ranges between them are read independently.
        open: begins a part.
        settle: what `Reading.shared` gave, part by part -> what each has to leave out when it
            is read again; empty where it is right as it is.
        join: the facts of all parts -> the rows that are said once of the whole artifact.
        whole: every part reads all bytes and takes the records that are its own by their content
            (captures: the packets of a flow are all over the file). There are as many parts as
            workers, and `borders` is not asked.
    """

    least: int
    borders: Callable[[BinaryIO, int], Iterator[int]]
    open: Callable[[Artifact, Part], Reading]
    settle: Callable[[Sequence[bytes]], list[bytes]]
    join: Callable[[Sequence[Any]], Iterator[tuple[str, pa.RecordBatch]]]
    whole: bool = False


class Match(IntEnum):
    """How sure a parser is that an artifact is its own. `NEAR`: it is of the format, and nothing
    that the parser reads; its reason is then the only one that is told."""

    NEAR = -1
    NO = 0
    NAME = 1
    CONTENT = 2


class Rank(IntEnum):
    """What responders ask first is ready first, of every host."""

    EVENT_LOGS = 0
    FILE_SYSTEM = 1
    REGISTRY = 2
    EXECUTION = 3
    LOGS = 4
    USE = 5
    BROWSER = 6
    REST = 7


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
            EvidenceError that stopped it, after the whole rows before it were yielded. Where
            `Artifact.stands` is set, its last rows may be a `Stretch` instead of a batch.
        render: (the artifact from its start, offset of a record) -> the record as its own
            tools show it, where they show more than bytes.
        parts: how several workers read one artifact, where they can.
        carve: the parser of what the format no longer counts as its own (deleted records), for
            `ingest --carve`. Its rows are a unit of their own; `Artifact.again` is given.
        files: which files of a disk image or a large archive are worth opening for it: patterns
            (`fnmatch`, where `*` goes over folders too) of the whole path in its volume, in lower
            case, folders divided by `/`, a stream by `:` ("*/winevt/logs/*.evtx", "$mft",
            "$extend/$usnjrnl:$j"). Elsewhere every file's content is looked at.
        rank: when its artifacts are read, among those of a source and of all sources.
        brief: the parser that only reads what costs least of the same bytes, for `ingest
            --flows-only`.
        text: the format is text. Where every file of an image is opened, it is not asked for a
            file that is none and that nobody asks for by its path.
    """

    name: str
    version: str
    match: Callable[[bytes, str], tuple[Match, str]]
    tables: tuple[str, ...]
    read: Callable[[Artifact], Iterator[tuple[str, pa.RecordBatch | Stretch]]]
    render: Callable[[Feed, int], str] | None = None
    parts: Parts | None = None
    carve: "Parser | None" = None
    brief: "Parser | None" = None
    files: tuple[str, ...] = ()
    rank: Rank = Rank.REST
    text: bool = False


NO_ROWS_YET: tuple[str, pa.RecordBatch] = ("", pa.RecordBatch.from_pylist([], schema=pa.schema([])))
"""What a parser yields to say that it is further, and has no full batch."""
