"""A stand-in for a source id that is not known yet, and its replacement in finished files.

The id is the source's hash, and to know it all bytes must have been read. Rows of a large file
that several workers read are written before that, with a random text of the same length in
`source_id` and in the files' names. The column is one value per file, it is written without
compression (`layout.py`), and a Parquet file has no checksums over its pages (none are written
here): so the text can be replaced where it stands, in the column's chunks and in the footer,
which holds it as the column's bounds. Nobody has seen the files until they are committed.
"""

import os
import secrets
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from tracelake.lake.errors import LakeError
from tracelake.lake.layout import STANDS_IN
from tracelake.lake.unit import DataFile, WrittenUnit

_TAIL = 8  # the footer's length and the magic number


def new_stand_in() -> str:
    """32 hexadecimal digits that stand in no evidence, and are nobody's id."""
    return secrets.token_hex(16)


def settle(root: Path, written: WrittenUnit, stand_in: str, source_id: str) -> WrittenUnit:
    """Gives a unit that was written under a stand-in its id: in the files, and in their names.

    Args:
        root: the engagement's folder.
        written: the unit, closed; its name begins with the stand-in's first 16 digits.
        stand_in: of `new_stand_in`. source_id: as long as that.

    Raises:
        LakeError: a file does not hold the stand-in where it must.
        OSError: a file could not be written; files may have either name then.
    """
    assert len(stand_in) == len(source_id)
    files = {
        table: tuple(_settle_file(root / table, file, stand_in, source_id) for file in theirs)
        for table, theirs in written.files.items()
    }
    unit = written.unit.replace(stand_in[:16], source_id[:16], 1)
    return replace(written, unit=unit, files=files)


def _settle_file(folder: Path, file: DataFile, stand_in: str, source_id: str) -> DataFile:
    old, new = stand_in.encode(), source_id.encode()
    path = folder / file.name
    handle = os.open(path, os.O_RDWR)
    try:
        footer = pq.read_metadata(path)
        columns = [footer.schema.column(i).path for i in range(footer.num_columns)]
        index = columns.index(STANDS_IN)
        for number in range(footer.num_row_groups):
            chunk = footer.row_group(number).column(index)
            if chunk.compression != "UNCOMPRESSED" or not chunk.has_dictionary_page:
                raise LakeError(f"{path}: {STANDS_IN} cannot be settled in {chunk}")
            _replace(
                handle, path, chunk.dictionary_page_offset, chunk.total_compressed_size, old, new
            )
        tail = file.size - _TAIL
        length = int.from_bytes(os.pread(handle, 4, tail), "little")
        _replace(handle, path, tail - length, length, old, new)
        os.fsync(handle)
    finally:
        os.close(handle)
    name = file.name.replace(stand_in[:16], source_id[:16], 1)
    os.rename(path, folder / name)
    return replace(file, name=name, stats=file.stats.replace(stand_in, source_id))


def _replace(handle: int, path: Path, offset: int, length: int, old: bytes, new: bytes) -> None:
    data = os.pread(handle, length, offset)
    if old not in data:
        raise LakeError(f"{path}: there is no stand-in at {offset}")
    done = os.pwrite(handle, data.replace(old, new), offset)
    if done != length:
        raise OSError(f"{path}: {done} of {length} bytes written")
