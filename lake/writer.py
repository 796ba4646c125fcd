"""A unit's Parquet files: one row group per batch, rolled at a million rows.

Rows stand in the order of the evidence. Sorted by time within their row group they would prune
nothing more (statistics and the page are one per row group), and a batch out of order costs its
sort again a third of its writing.
"""

import contextlib
import errno
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from tracelake.lake.layout import SMALL
from tracelake.lake.parquet import ParquetFile, writes
from tracelake.lake.rows import whole
from tracelake.lake.s3 import S3Path
from tracelake.lake.standin import StandIn
from tracelake.lake.statistics import from_footer, to_json
from tracelake.lake.store import Place
from tracelake.lake.unit import BOOKS, DataFile, WrittenUnit, check_unit, file_name, new_attempt
from tracelake.lake.upload import Upload
from tracelake.native.parquet import Pages

if TYPE_CHECKING:
    from tracelake.lake.lake import Lake

__all__ = ["ROLL", "UnitWriter", "WrittenUnit"]

ROLL = 1_000_000
"""Rows after which the next file begins."""

IN_MEMORY = 4 << 20
"""Bytes of a file that began small, after which the next file begins."""

SENDING = 4
"""Finished files that are on their way to S3 before the next one is begun."""

GATHERED = 64 << 10
"""Bytes that are written to a file at once, at least: each page comes with headers of its own, and
nine writes of ten would be of less than 128 bytes."""


@dataclass(slots=True)
class _Open:
    """A file being written.

    One that begins with a small row group is kept in memory until it is finished: some 300
    writes of a few bytes each would be a third of its cost.

    What goes to S3 is written to the spool of `upload`, which has the file's bytes from then on.
    """

    path: Place
    handle: int
    sink: pa.NativeFile
    writer: pq.ParquetWriter | ParquetFile
    footers: list[pq.FileMetaData]
    upload: Upload | None = None
    rows: int = 0

    @property
    def in_memory(self) -> int:
        """Bytes that are not in the file yet."""
        return int(self.sink.tell()) if isinstance(self.sink, pa.BufferOutputStream) else 0

    def finish(self, stand_in: StandIn | None) -> int:
        """Writes the rest, puts the file on disk and closes it; its size in bytes."""
        self.writer.close()
        if isinstance(self.sink, pa.BufferOutputStream):
            rest = memoryview(self.sink.getvalue())
            while rest:
                rest = rest[os.write(self.handle, rest) :]
        else:
            self.sink.close()
        if stand_in is not None:
            stand_in.settle(self.handle, self.path, self.footers[0])
        if self.upload is not None:
            return os.fstat(self.handle).st_size
        # This handle is older than the data, so it is told of every write that failed.
        os.fsync(self.handle)
        size = os.fstat(self.handle).st_size
        os.close(self.handle)
        return size


class UnitWriter:
    """Writes what one unit has for each table; runs in a worker process.

    Memory: one row group. Nothing of it is in the lake before `Lake.commit`. Used as a context
    manager it removes its files if the block is left by an exception.

    Args:
        books: tables whose rows are kept for the parent instead.
        level: of zstd.
        settled: False where it is closed with a stand-in.
    """

    def __init__(
        self, lake: "Lake", unit: str, books: tuple[str, ...] = BOOKS, level: int = 1,
        settled: bool = True,
    ) -> None:
        self._kept = books
        self._level = level
        self.unit = check_unit(unit)
        self._lake = lake
        self._attempt = new_attempt()
        self._open: dict[str, _Open] = {}
        self._done: dict[str, list[DataFile]] = {}
        self._books: dict[str, list[pa.RecordBatch]] = {}
        self._paths: list[Path] = []
        # On S3, what was sent cannot be changed: under a stand-in nothing is sent before the end.
        self._settled = settled
        self._spooled: dict[tuple[str, str], Upload] = {}
        self._sent: list[Upload] = []
        self._pages = Pages()
        self._closed = False

    def write(
        self, table: str, batch: pa.RecordBatch, said: Mapping[bytes, bytes] | None = None
    ) -> None:
        """Writes a batch as one row group.

        Args:
            batch: has some of the table's columns, those that must not be null among them.
            said: goes into the footer of the file that the batch is in.

        Raises:
            ValueError: the batch has other columns, or lacks one.
            OSError: it could not be written (`filename` says where); the unit's files are
                removed, and the writer is closed.
        """
        if self._closed:
            raise ValueError(f"unit {self.unit} is closed")
        layout = self._lake.layout(table)
        misses = layout.misses(batch.schema)
        if misses is not None:
            raise ValueError(f"{table}: a batch has not the table's schema: {misses}")
        if not batch.num_rows:
            return
        if table in self._kept:
            self._books.setdefault(table, []).append(whole(batch, layout.schema))
            return
        try:
            file = self._open.get(table)
            if file is not None and (file.rows >= ROLL or file.in_memory > IN_MEMORY):
                self._finish(table)
                file = None
            if file is None:
                file = self._start(table, batch.num_rows)
            if isinstance(file.writer, pq.ParquetWriter):
                batch = whole(batch, layout.schema)
            file.writer.write_batch(batch, batch.num_rows)
            if said:
                file.writer.add_key_value_metadata(dict(said))
            file.rows += batch.num_rows
            if file.upload is not None and self._settled and isinstance(file.path, S3Path):
                file.upload.more(file.path)
        except OSError as error:
            raise self._failed(error, table) from error

    def close(self, stand_in: StandIn | None = None) -> WrittenUnit:
        """Finishes the files and puts them on disk (their names are, by the commit).

        Args:
            stand_in: what the unit was written under, where its source's id was not known: the
                files are then what they would have been, in their names, too.

        Raises:
            OSError: as for `write`.
            LakeError: a file does not hold the stand-in where it must.
        """
        if self._closed:
            raise ValueError(f"unit {self.unit} is closed")
        table = ""
        try:
            if stand_in is not None:  # of the files that were full before
                for table, files in self._done.items():
                    files[:] = [self._settle(stand_in, table, file) for file in files]
            for table in list(self._open):
                self._finish(table, stand_in)
            if stand_in is not None:
                self._rename(stand_in)
            self._send()
            for upload in self._sent:
                upload.wait()
        except OSError as error:
            raise self._failed(error, table) from error
        self._closed = True
        return WrittenUnit(
            self.unit,
            {table: tuple(files) for table, files in self._done.items()},
            {table: _stream(batches) for table, batches in self._books.items()},
        )

    def discard(self) -> None:
        """Removes the unit's files; for a unit that shall not be committed."""
        for file in self._open.values():
            _abandon(file)
        self._open.clear()
        for upload in (*self._sent, *self._spooled.values()):
            upload.discard()
        for path in self._paths:
            path.unlink(missing_ok=True)
        self._closed = True

    def __enter__(self) -> "UnitWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._closed:
            self.discard()

    def _start(self, table: str, rows: int) -> _Open:
        folder = self._lake.root / table
        folder.mkdir(exist_ok=True)
        done = len(self._done.get(table, ()))
        path = folder / file_name(self.unit, self._attempt, done)
        upload = None
        if isinstance(path, Path):
            handle, opens = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), str(path)
            self._paths.append(path)
        else:
            upload = Upload()
            handle, opens = upload.handle, upload.sink
        try:
            sink = pa.BufferOutputStream() if rows < SMALL else _buffered(opens)
            footers: list[pq.FileMetaData] = []
            layout = self._lake.layout(table)
            writer: pq.ParquetWriter | ParquetFile
            if not writes(layout):
                options = layout.options(rows, self._level)
                writer = pq.ParquetWriter(
                    sink, layout.schema, metadata_collector=footers, **options
                )
            else:
                writer = ParquetFile(sink, layout, rows, self._pages, footers, self._level)
        except BaseException:
            if upload is None:
                os.close(handle)
            else:
                upload.discard()
            raise
        file = self._open[table] = _Open(path, handle, sink, writer, footers, upload)
        return file

    def _finish(self, table: str, stand_in: StandIn | None = None) -> None:
        file = self._open[table]
        size = file.finish(stand_in)
        del self._open[table]
        keeps = self._lake.layout(table).keeps
        stats = to_json(from_footer(file.footers[0], keeps), keeps)
        if stand_in is not None:
            stats = stand_in.stats(stats)
        done = DataFile(file.path.name, size, file.rows, time.time_ns() // 1_000_000, stats)
        self._done.setdefault(table, []).append(done)
        if file.upload is not None:
            self._spooled[table, file.path.name] = file.upload
            if self._settled:
                self._send()

    def _settle(self, stand_in: StandIn, table: str, file: DataFile) -> DataFile:
        folder = self._lake.root / table
        if isinstance(folder, Path):
            return stand_in.settle_finished(folder, file)
        return stand_in.settle_spooled(self._spooled[table, file.name], file)

    def _send(self) -> None:
        """Sends the finished files that wait in their spools, under the names that they have."""
        for table, files in self._done.items():
            for file in files:
                upload = self._spooled.pop((table, file.name), None)
                path = self._lake.root / table / file.name
                if upload is not None and isinstance(path, S3Path):
                    self._sent.append(upload)
                    upload.finish(path)
        for upload in self._sent[:-SENDING]:
            upload.wait()

    def _rename(self, stand_in: StandIn) -> None:
        """Gives the unit and its finished files their names."""
        self.unit = check_unit(stand_in.name(self.unit))
        for table, files in self._done.items():
            folder = self._lake.root / table
            for number, file in enumerate(files):
                name = stand_in.name(file.name)
                files[number] = replace(file, name=name)
                if isinstance(folder, Path):
                    self._paths.append(folder / name)
                    os.rename(folder / file.name, folder / name)
                else:
                    self._spooled[table, name] = self._spooled.pop((table, file.name))

    def _failed(self, error: OSError, table: str) -> OSError:
        """Removes the unit's files and says where writing stopped (pyarrow does not)."""
        file = self._open.get(table)
        path = str(file.path if file else self._lake.root / table)
        if file is not None and file.upload is not None and error.errno in _NO_ROOM:
            path = file.upload.where
        elif error.filename is not None:
            path = os.fsdecode(error.filename)
        self.discard()
        number = error.errno or errno.EIO
        return OSError(number, error.strerror or str(error), path)


# Of the spool's disk: what S3 says has other numbers.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _buffered(path: str) -> pa.NativeFile:
    return pa.BufferedOutputStream(pa.OSFile(path, "wb"), GATHERED)


def _stream(batches: list[pa.RecordBatch]) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batches[0].schema) as stream:
        # A stream cannot replace a dictionary inside a map: one batch has one of each.
        stream.write_table(pa.Table.from_batches(batches).combine_chunks())
    return bytes(sink.getvalue())


def _abandon(file: _Open) -> None:
    """Lets go of a file that will be removed.

    On a full disk the footer cannot be written either (and then pyarrow misses it as a
    RuntimeError): that was said already, by the error for which the file is given up.
    """
    for closes in (file.writer, file.sink):
        with contextlib.suppress(OSError, RuntimeError):
            closes.close()
    file.writer.is_open = False  # or it tries once more when it is collected, and says so
    if file.upload is not None:
        file.upload.discard()
    else:
        os.close(file.handle)
