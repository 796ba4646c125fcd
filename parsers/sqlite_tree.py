"""Where the rows of an SQLite table stand in its file, which the library does not tell.

Specification: sqlite.org "Database File Format", 1.6 (b-tree pages), 2.1 (records). Whatever is
not as the format wants it gives None: the library has its own opinion of damage.
"""

import struct

TABLE_INTERIOR, TABLE_LEAF = 5, 13
INDEX_INTERIOR, INDEX_LEAF = 2, 10
DEEPEST = 24
MOST_KEPT = 1 << 20


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


class Tree:
    """The b-tree of one table.

    Args:
        image: the database. root: number of the tree's first page.
    """

    def __init__(self, image: bytearray, root: int) -> None:
        self._image = image
        size = struct.unpack_from(">H", image, 16)[0]
        self._size = 65536 if size == 1 else int(size)
        self._usable = self._size - image[20]
        self._root = root
        self._leaf: dict[int, tuple[int, int]] = {}
        self._ordered: list[tuple[int, int]] | None = None

    def place(self, rowid: int) -> tuple[int, int] | None:
        """(offset, bytes) of a row's cell. Rows that stand on one page are found at once."""
        found = self._leaf.get(rowid)
        if found is not None:
            return found
        try:
            self._descend(rowid)
        except (IndexError, struct.error):
            return None
        return self._leaf.get(rowid)

    def nth(self, number: int) -> tuple[int, int] | None:
        """The same of a table without rowids, whose rows are in the order of the tree."""
        if self._ordered is None:
            self._ordered = []
            try:
                self._in_order(self._root, 0, set())
            except (IndexError, struct.error):
                self._ordered.clear()
        return self._ordered[number] if number < len(self._ordered) else None

    def _page(self, number: int) -> tuple[int, int, int, int]:
        """(its start, its header, its type, number of cells)"""
        start = (number - 1) * self._size
        if number < 1 or start + self._size > len(self._image):
            raise IndexError
        header = start + (100 if number == 1 else 0)
        return start, header, self._image[header], struct.unpack_from(
            ">H", self._image, header + 3
        )[0]  # fmt: skip

    def _cell(self, start: int, pointers: int, number: int) -> int:
        return start + int(struct.unpack_from(">H", self._image, pointers + 2 * number)[0])

    def _descend(self, rowid: int) -> None:
        """Reads the leaf that the row stands on."""
        image, page = self._image, self._root
        for _ in range(DEEPEST):
            start, header, kind, cells = self._page(page)
            if kind == TABLE_LEAF:
                self._read_leaf(start, header, cells)
                return
            if kind != TABLE_INTERIOR:
                return
            low, high = 0, cells
            while low < high:
                middle = (low + high) // 2
                key, _ = varint(image, self._cell(start, header + 12, middle) + 4)
                if key < rowid:
                    low = middle + 1
                else:
                    high = middle
            at = header + 8 if low == cells else self._cell(start, header + 12, low)
            page = int(struct.unpack_from(">I", image, at)[0])

    def _read_leaf(self, start: int, header: int, cells: int) -> None:
        leaf: dict[int, tuple[int, int]] = {}
        for number in range(min(cells, self._size // 2)):
            at = self._cell(start, header + 8, number)
            payload, behind = varint(self._image, at)
            rowid, behind = varint(self._image, behind)
            end = behind + local(payload, self._usable, index=False)
            leaf[rowid] = (at, max(0, min(end, start + self._size) - at))
        self._leaf = leaf

    def _in_order(self, page: int, depth: int, seen: set[int]) -> None:
        if page in seen or depth > DEEPEST or self._ordered is None:
            raise IndexError
        seen.add(page)
        start, header, kind, cells = self._page(page)
        if kind not in (INDEX_INTERIOR, INDEX_LEAF) or len(self._ordered) > MOST_KEPT:
            raise IndexError
        inner = kind == INDEX_INTERIOR
        pointers = header + (12 if inner else 8)
        for number in range(min(cells, self._size // 2)):
            at = self._cell(start, pointers, number)
            if inner:
                self._in_order(struct.unpack_from(">I", self._image, at)[0], depth + 1, seen)
            payload, behind = varint(self._image, at + 4 if inner else at)
            end = behind + local(payload, self._usable, index=True)
            self._ordered.append((at, max(0, min(end, start + self._size) - at)))
        if inner:
            last = struct.unpack_from(">I", self._image, header + 8)[0]
            self._in_order(last, depth + 1, seen)
