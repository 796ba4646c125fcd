"""A stand-in for a source id that is not known yet, and its replacement in written files.

The id is the source's hash, and to know it all bytes must have been read. Rows of a large file
are written before that, with a random text of the same length in `source_id` and in the files'
names. The column is one value per file, it is written without compression (`layout.py`), and a
Parquet file has no checksums over its pages (none are written here): so the text can be replaced
where it stands, in the column's chunks and in the footer, which holds it as the column's bounds.
`UnitWriter.close` does so before a file is put on disk. Nobody has seen the files until they are
committed.
"""

import os
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.parquet as pq

from tracelake.lake.errors import LakeError
from tracelake.lake.layout import STANDS_IN
from tracelake.lake.store import Place
from tracelake.lake.unit import DataFile
from tracelake.lake.upload import Upload

_TAIL = 8  # the footer's length and the magic number
_NAMED = 16  # digits of a source id that stand in the names of its units and files


def new_stand_in() -> str:
    """32 hexadecimal digits that stand in no evidence, and are nobody's id."""
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class StandIn:
    """A stand-in, and the id that it stood for.

    Attributes:
        text: of `new_stand_in`. source_id: as long as that.
    """

    text: str
    source_id: str

    def __post_init__(self) -> None:
        assert len(self.text) == len(self.source_id)

    def name(self, given: str) -> str:
        """The name of a unit or of a file, with the id."""
        return given.replace(self.text[:_NAMED], self.source_id[:_NAMED], 1)

    def stats(self, given: str) -> str:
        """A file's statistics, with the id."""
        return given.replace(self.text, self.source_id)

    def settle(self, handle: int, path: Place, footer: pq.FileMetaData) -> None:
        """Puts the id into a Parquet file that is whole.

        Args:
            handle: of the file, for reading and writing. path: for messages.

        Raises:
            LakeError: it does not hold the stand-in where it must.
            OSError: it could not be written.
        """
        columns = [footer.schema.column(i).path for i in range(footer.num_columns)]
        index = columns.index(STANDS_IN)
        for number in range(footer.num_row_groups):
            chunk = footer.row_group(number).column(index)
            if chunk.compression != "UNCOMPRESSED" or not chunk.has_dictionary_page:
                raise LakeError(f"{path}: {STANDS_IN} cannot be settled in {chunk}")
            self._replace(handle, path, chunk.dictionary_page_offset, chunk.total_compressed_size)
        tail = os.fstat(handle).st_size - _TAIL
        length = int.from_bytes(os.pread(handle, 4, tail), "little")
        self._replace(handle, path, tail - length, length)

    def settle_finished(self, folder: Path, file: DataFile) -> DataFile:
        """The same for a file that was finished under the stand-in; it keeps its name."""
        path = folder / file.name
        handle = os.open(path, os.O_RDWR)
        try:
            self.settle(handle, path, pq.read_metadata(path))
            os.fsync(handle)
        finally:
            os.close(handle)
        return replace(file, stats=self.stats(file.stats))

    def settle_spooled(self, upload: Upload, file: DataFile) -> DataFile:
        """The same for a file that is not sent yet."""
        self.settle(upload.handle, Path(file.name), pq.read_metadata(upload.sink))
        return replace(file, stats=self.stats(file.stats))

    def _replace(self, handle: int, path: Place, offset: int, length: int) -> None:
        data = os.pread(handle, length, offset)
        old = self.text.encode()
        if old not in data:
            raise LakeError(f"{path}: there is no stand-in at {offset}")
        done = os.pwrite(handle, data.replace(old, self.source_id.encode()), offset)
        if done != length:
            raise OSError(f"{path}: {done} of {length} bytes written")
