"""Where a lake lies: in a folder or on S3.

A place is a `pathlib.Path` or an `S3Path`, which behaves like one. Here is what the two do in
different ways; a folder is treated as if there were nothing else.
"""

import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tracelake.lake.disk import Place
from tracelake.lake.s3 import S3Path, is_s3, side_by_side

if TYPE_CHECKING:
    import pyarrow.parquet as pq

__all__ = ["Place", "each", "footer", "parquet", "place_at", "put", "tables"]

T = TypeVar("T")
R = TypeVar("R")


def place_at(path: str) -> Place:
    """The place of a path that a snapshot names."""
    return S3Path.of(path) if is_s3(path) else Path(path)


def put(place: Place, text: str) -> None:
    """Puts a file there whole or not at all, in place of another."""
    if isinstance(place, S3Path):
        place.write_text(text)
        return
    # Of this process alone: two at once must not take each other's away.
    beside = place.with_suffix(f".{secrets.token_hex(8)}.new")
    try:
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, place)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def tables(root: Place) -> list[str]:
    """What may be a table below an engagement's root, sorted."""
    if isinstance(root, Path):
        return sorted(path.parent.name for path in root.glob("*/_delta_log"))
    return sorted(path.name for path in root.iterdir() if path.is_prefix)


def each(root: object, do: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """`do` of each item, in their order; on S3 side by side, where each waits for an answer."""
    if not isinstance(root, S3Path):
        return [do(item) for item in items]
    return side_by_side(do, items)


def parquet(place: Place | str) -> "pq.ParquetFile":
    """A Parquet file, read by ranges where it is on S3.

    Raises:
        OSError: it cannot be read.
    """
    import pyarrow.parquet as pq

    if isinstance(place, str):
        place = place_at(place)
    return pq.ParquetFile(_readable(place))


def footer(place: Place) -> "pq.FileMetaData":
    """A Parquet file's footer."""
    import pyarrow.parquet as pq

    return pq.read_metadata(_readable(place))


def _readable(place: Place) -> Any:
    if isinstance(place, Path):
        return place
    from tracelake.lake.ranges import S3File

    return S3File(place)
