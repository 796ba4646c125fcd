"""Rows of small artifacts, gathered until they are worth a file (lake/pack.py).

A folder of event logs is hundreds of files with a few records each. Their batches wait here, in a
worker, and become the files of one pack; an artifact that turns out to be larger gets files of its
own after all.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tracelake.ingest.books import batch_of
from tracelake.ingest.events import Event, Facts, PackReady, Task, UnitReady
from tracelake.ingest.failures import told
from tracelake.ingest.reading import Given
from tracelake.lake.lake import Lake
from tracelake.lake.pack import PackWriter
from tracelake.lake.standin import StandIn
from tracelake.lake.unit import Share, WrittenUnit
from tracelake.lake.writer import UnitWriter
from tracelake.native.columns import Stretch
from tracelake.normalize import TABLES, Provenance, fill

# Rows and bytes of one artifact that may wait for others; with more it gets files of its own.
MOST_ROWS = 4096
MOST_BYTES = 4 << 20
# What a pack holds before it is written.
PACK_ROWS = 65_536
PACK_BYTES = 32 << 20
PACK_UNITS = 1024
PACK_SECONDS = 1.0
OF_THE_ARTIFACT = ("source_id", "artifact_no", "parser", "parser_version")


class Outlet:
    """Where the rows of one artifact go: into a pack, or when they are many into its own files."""

    def __init__(
        self, lake: Lake, pack: "Pack", unit: str, constants: Provenance, settled: bool = True
    ) -> None:
        self._lake = lake
        self._pack = pack
        self._unit = unit
        self._constants = constants
        self._settled = settled
        self._waiting: list[_Piece] = []
        self._rows = self._bytes = 0
        self._books: list[tuple[str, dict[str, Any]]] = []
        self._whole: list[tuple[str, pa.RecordBatch]] = []
        self._writer: UnitWriter | None = None
        self._stand_in: StandIn | None = None

    def put(
        self, table: str, given: Given, constants: Provenance | None = None
    ) -> None:
        """Takes in a parser's rows; `constants` where they are not the artifact's."""
        piece = _Piece(self._unit, table, given, constants or self._constants)
        if self._writer is None:
            self._waiting.append(piece)
            self._rows += given.num_rows
            self._bytes += (
                given.nbytes if isinstance(given, Stretch) else given.get_total_buffer_size()
            )
            if self._rows > MOST_ROWS or self._bytes > MOST_BYTES:
                self._writer = self._lake.writer(self._unit, self._settled)
                for each in self._waiting:
                    self._write(each)
                self._waiting = []
        else:
            self._write(piece)

    def book(self, table: str, row: dict[str, Any]) -> None:
        """Takes in a row of a table of books."""
        self._books.append((table, row))

    def book_all(self, table: str, rows: pa.RecordBatch) -> None:
        """Takes in many rows of a table of books."""
        self._whole.append((table, rows))

    def settle(self, unit: str, constants: Provenance, stand_in: StandIn) -> None:
        """Gives the unit the name and the provenance that it would have had from the beginning,
        had the id of its source been known.

        Args:
            stand_in: what it was begun under, and the id.
        """
        self._unit = unit
        self._constants = constants
        self._waiting = [
            replace(piece, unit=unit, constants=constants) for piece in self._waiting
        ]
        self._stand_in = stand_in

    def close(self, task: Task, facts: Facts | None, cpu_seconds: float) -> Iterator[Event]:
        """Hands the unit over, or leaves it to the pack; says what became ready by that."""
        if self._writer is None:
            member = _Member(self._waiting, self._books, self._whole)
            ready = UnitReady(task, None, facts, cpu_seconds)
            yield from self._pack.add(member, ready, self._rows, self._bytes)
            return
        for table, row in self._books:
            self._writer.write(table, batch_of(table, [row]))
        for table, rows in self._whole:
            self._writer.write(table, rows)
        yield UnitReady(task, self._writer.close(self._stand_in), facts, cpu_seconds)

    def discard(self) -> None:
        """Forgets the rows, removes the files."""
        self._waiting = []
        if self._writer is not None:
            self._writer.discard()

    def _write(self, piece: "_Piece") -> None:
        assert self._writer is not None
        given = piece.given
        batch = given.alone() if isinstance(given, Stretch) else given
        batch = fill(TABLES[piece.table], batch, piece.constants)
        self._writer.write(piece.table, batch)


@dataclass(frozen=True, slots=True)
class _Piece:
    unit: str
    table: str
    given: Given
    constants: Provenance


@dataclass(frozen=True, slots=True)
class _Member:
    pieces: list[_Piece]
    books: list[tuple[str, dict[str, Any]]]
    whole: list[tuple[str, pa.RecordBatch]]


@dataclass(slots=True)
class Pack:
    """The small units that wait in a worker.

    Attributes:
        mark: of a run, where they are of sources that are read anew.
    """

    lake: Lake
    mark: str = ""
    _members: list[_Member] = field(default_factory=list)
    _ready: list[UnitReady] = field(default_factory=list)
    _rows: int = 0
    _bytes: int = 0
    _begun: float = 0.0

    def add(self, member: _Member, ready: UnitReady, rows: int, size: int) -> Iterator[Event]:
        """Takes in a unit; writes the pack when it holds enough."""
        if not self._members:
            self._begun = time.monotonic()
        self._members.append(member)
        self._ready.append(ready)
        self._rows += rows
        self._bytes += size
        if (
            self._rows >= PACK_ROWS
            or self._bytes >= PACK_BYTES
            or len(self._members) >= PACK_UNITS
            or time.monotonic() - self._begun > PACK_SECONDS
        ):
            yield from self.flush()

    def flush(self) -> Iterator[Event]:
        """Writes what waits, and says that it is ready.

        Raises:
            OSError: the lake cannot be written.
        """
        members, ready = self._members, self._ready
        self._members, self._ready = [], []
        self._rows = self._bytes = 0
        if not members:
            return
        try:
            written = self._write(members)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug, by design not one of the above
            # A bug that one of them shows: each for itself, so that it takes no other with it.
            if len(members) == 1:
                yield from told(ready[0].task.path, _raise(error))
                return
            for member, event in zip(members, ready, strict=True):
                self._members, self._ready = [member], [event]
                yield from self.flush()
            return
        yield PackReady(written)
        yield from ready

    def _write(self, members: list[_Member]) -> WrittenUnit:
        writer = PackWriter(self.lake, mark=self.mark)
        try:
            tables: dict[str, list[_Piece]] = {}
            books: dict[str, list[dict[str, Any]]] = {}
            for member in members:
                for piece in member.pieces:
                    tables.setdefault(piece.table, []).append(piece)
                for table, row in member.books:
                    books.setdefault(table, []).append(row)
            for table, pieces in tables.items():
                writer.write(table, _together(table, pieces), _shares(pieces))
            for table, rows in books.items():
                writer.book(table, batch_of(table, rows))
            for member in members:
                for table, batch in member.whole:
                    writer.book(table, batch)
            return writer.close()
        except BaseException:
            writer.discard()
            raise


def _raise(error: Exception) -> Iterator[Event]:
    raise error
    yield


def _shares(pieces: list[_Piece]) -> list[Share]:
    shares: dict[str, int] = {}
    for piece in pieces:
        shares[piece.unit] = shares.get(piece.unit, 0) + piece.given.num_rows
    return list(shares.items())


def _together(table: str, pieces: list[_Piece]) -> pa.RecordBatch:
    """The rows of all members as one batch with every column of the table.

    To complete each batch for itself would cost a millisecond for each: 90 columns of three rows.
    """
    schema = TABLES[table].schema
    found = []
    for run in _runs(pieces):
        columns = {
            name: array if array.type == schema.field(name).type else _fit(array, schema, name)
            for name, array in zip(run.batch.schema.names, run.batch.columns, strict=True)
        }
        for name in OF_THE_ARTIFACT:
            if name in schema.names:
                columns[name] = _each(name, schema.field(name).type, run.pieces)
        found.append(pa.table(columns))
    whole = pa.concat_tables(found, promote_options="default").combine_chunks()
    (batch,) = whole.to_batches()
    return fill(TABLES[table], batch, pieces[0].constants)


@dataclass(slots=True)
class _Run:
    """Pieces that follow each other in one batch."""

    batch: pa.RecordBatch
    pieces: list[_Piece]


def _runs(pieces: list[_Piece]) -> Iterator[_Run]:
    """The pieces in their order, those of one batch together where nothing is between them."""
    whole: pa.RecordBatch | None = None
    first = end = 0
    run: list[_Piece] = []
    for piece in pieces:
        given = piece.given
        batch, at = (given.whole(), given.first) if isinstance(given, Stretch) else (given, 0)
        if batch is not whole or at != end:
            if whole is not None:
                yield _Run(whole.slice(first, end - first), run)
            whole, first, end, run = batch, at, at, []
        run.append(piece)
        end += given.num_rows
    if whole is not None:
        yield _Run(whole.slice(first, end - first), run)


def _each(name: str, kind: pa.DataType, pieces: list[_Piece]) -> pa.Array:
    """A column of what is the same on all rows of a piece."""
    values = [getattr(piece.constants, name) for piece in pieces]
    ends = pa.array(accumulate(piece.given.num_rows for piece in pieces), pa.int32())
    plain = pa.array(values, kind.value_type if pa.types.is_dictionary(kind) else kind)
    if not pa.types.is_dictionary(kind):
        return pc.run_end_decode(pa.RunEndEncodedArray.from_arrays(ends, plain))
    words = plain.dictionary_encode()
    codes = pc.run_end_decode(pa.RunEndEncodedArray.from_arrays(ends, words.indices))
    return pa.DictionaryArray.from_arrays(codes, words.dictionary)


def _fit(array: pa.Array, schema: pa.Schema, name: str) -> pa.Array:
    kind = schema.field(name).type
    if pa.types.is_dictionary(kind) and not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    return array.cast(kind)
