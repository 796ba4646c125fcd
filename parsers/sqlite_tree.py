"""Where the rows of an SQLite table stand in its file, which the library does not tell.

Specification: sqlite.org "Database File Format", 1.6 (b-tree pages), 2.1 (records). The tree is
walked once, before the library has the database to itself. Whatever is not as the format wants it
is left out: the library has its own opinion of damage.
"""

import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping

TABLE_INTERIOR, TABLE_LEAF = 5, 13
INDEX_INTERIOR, INDEX_LEAF = 2, 10
DEEPEST = 24


def varint(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, and what stands behind it. Raises IndexError."""
    value = 0
    for n in range(8):
        byte = data[at + n]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + n + 1
    value = value << 8 | data[at + 8]
    return (value - (1 << 64) if value >> 63 else value), at + 9


def local(payload: int, usable: int, index: bool) -> int:
    """Bytes of a payload that stand in its cell, with the number of the first overflow page."""
    most = (usable - 12) * 64 // 255 - 23 if index else usable - 35
    if payload <= most:
        return payload
    least = (usable - 12) * 32 // 255 - 23
    held = least + (payload - least) % (usable - 4)
    return (held if held <= most else least) + 4


class Cells:
    """Where the cells of one table stand: 24 bytes for each, instead of the whole database.

    Args:
        image: the database; not kept. root: number of the tree's first page.
        pages: those that came from a log; bytes of their cells are kept.
    """

    def __init__(self, image: bytearray, root: int, pages: Mapping[int, str]) -> None:
        size = struct.unpack_from(">H", image, 16)[0]
        self._size = 65536 if size == 1 else int(size)
        self._usable = self._size - image[20]
        self._rowids = array("q")
        self._offsets = array("Q")
        self._lengths = array("L")
        self._logged: dict[int, bytes] = {}
        if root >= 1 and self._usable >= 480:
            self._walk(image, root, pages)
        # Of a table without rowids the cells are in order of its key, with numbers from 0.
        ordered = all(a < b for a, b in zip(self._rowids, self._rowids[1:], strict=False))
        if not ordered:
            self._sort()

    def _sort(self) -> None:
        order = sorted(range(len(self._rowids)), key=self._rowids.__getitem__)
        for name in ("_rowids", "_offsets", "_lengths"):
            held = getattr(self, name)
            setattr(self, name, array(held.typecode, (held[n] for n in order)))

    def place(self, rowid: int) -> tuple[int, int] | None:
        """(offset, bytes) of the cell of a row, or of the n-th one of a table without rowids."""
        at = bisect_left(self._rowids, rowid)
        if at == len(self._rowids) or self._rowids[at] != rowid:
            return None
        return self._offsets[at], self._lengths[at]

    def logged(self, offset: int) -> bytes | None:
        """The bytes of a cell that a log wrote."""
        return self._logged.get(offset)

    def _walk(self, image: bytearray, root: int, pages: Mapping[int, str]) -> None:
        seen: set[int] = set()
        for page, at, rowid, end in self._cells(image, root, 0, seen):
            length = max(0, min(end, page * self._size) - at)
            self._rowids.append(len(self._rowids) if rowid is None else rowid)
            self._offsets.append(at)
            self._lengths.append(length)
            if page in pages:
                self._logged[at] = bytes(image[at : at + length])

    def _cells(
        self, image: bytearray, page: int, depth: int, seen: set[int]
    ) -> Iterator[tuple[int, int, int | None, int]]:
        """(page, offset, rowid or None, end) of each cell that holds a row, in order."""
        start = (page - 1) * self._size
        if page < 1 or page in seen or depth > DEEPEST or start + self._size > len(image):
            return
        seen.add(page)
        header = start + (100 if page == 1 else 0)
        kind = image[header]
        inner = kind in (TABLE_INTERIOR, INDEX_INTERIOR)
        index = kind in (INDEX_INTERIOR, INDEX_LEAF)
        if not inner and not index and kind != TABLE_LEAF:
            return
        count = int(struct.unpack_from(">H", image, header + 3)[0])
        pointers = header + (12 if inner else 8)
        count = min(count, (start + self._size - pointers) // 2)
        for pointer in struct.unpack_from(f">{count}H", image, pointers):
            at = start + pointer
            try:
                if inner:
                    child = int(struct.unpack_from(">I", image, at)[0])
                    yield from self._cells(image, child, depth + 1, seen)
                    if not index:
                        continue
                payload, behind = varint(image, at + 4 if inner else at)
                rowid: int | None = None
                if not index:
                    rowid, behind = varint(image, behind)
            except (IndexError, struct.error):
                continue  # it begins behind the end of the file
            if payload >= 0:
                yield page, at, rowid, behind + local(payload, self._usable, index)
        if inner:
            last = int(struct.unpack_from(">I", image, header + 8)[0])
            yield from self._cells(image, last, depth + 1, seen)
