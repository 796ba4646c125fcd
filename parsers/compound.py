"""Compound files ([MS-CFB]): streams in sectors, as old documents and jump lists have them.

Everything is bounded by the file: a chain of sectors is at most as long as there are sectors, and
one that comes back to itself ends there.
"""

import struct
from dataclasses import dataclass

SIGNATURE = bytes.fromhex("d0cf11e0a1b11ae1")
HEADER = 512
ENTRY = 128
LAST = 0xFFFFFFFA  # sector numbers above it are marks
_FREE = 0xFFFFFFFF
STREAM, ROOT = 2, 5


@dataclass(frozen=True, slots=True)
class Stream:
    """Attributes:
    name: its name; kind: 1 storage, 2 stream, 5 root.
    created, modified: FILETIME.
    size: bytes, as its entry says.
    offset: where its first byte stands in the file; None where that is nowhere.
    """

    name: str
    kind: int
    start: int
    size: int
    created: int
    modified: int
    offset: int | None


class NotCompound(ValueError):
    """The header is not one, in one sentence."""


class Compound:
    """A compound file.

    Args:
        data: the whole file.

    Raises:
        NotCompound: its header cannot be used.

    Attributes:
        streams: entries of its directory that are in use, in their order, wherever in the tree
            they hang.
        trouble: what contradicts the format.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) < HEADER or not data.startswith(SIGNATURE):
            raise NotCompound("there is no header of a compound file")
        self._data = data
        shift, mini = struct.unpack_from("<HH", data, 30)
        if shift not in (9, 12) or mini != 6:
            raise NotCompound(f"sectors of 2^{shift} and 2^{mini} bytes are not known")
        self._size, self._mini = 1 << shift, 1 << mini
        self._sectors = max(0, -(-len(data) // self._size) - 1)
        self.trouble: list[str] = []
        self._used: set[int] = set()
        # The stream whose bytes `place` finds, and its chain.
        self._placed = _FREE
        self._places: list[int] = []
        # Any number of streams can name the same sectors.
        self._left = 4 * len(data) + (1 << 20)
        fats, self._directory, _, self._cutoff, mini_at, _, difat, _ = struct.unpack_from(
            "<IIIIIIII", data, 44)
        self._fat = self._table(self._fat_sectors(fats, difat))
        self._mini_fat = self._table(self._chain(mini_at, "mini FAT"))
        self._root: list[int] = []
        self.streams = self._entries()

    @property
    def used(self) -> int:
        """Bytes of the header and of the sectors that something lies in."""
        used: int = (len(self._used) + 1) * self._size
        return min(len(self._data), used)

    def read(self, stream: Stream, most: int) -> bytes:
        """A stream's bytes, fewer where its chain ends early (then `trouble` says so).

        Args:
            most: bytes that are read of it.
        """
        want = min(stream.size, most, self._left)
        self._left -= want
        pieces: list[bytes] = []
        held = 0
        if stream.size < self._cutoff and stream.kind != ROOT:
            for number in self._mini_chain(stream.start):
                at = self._mini_at(number)
                if at is None or held >= want:
                    break
                pieces.append(self._data[at : at + self._mini])
                held += self._mini
        else:
            for number in self._chain(stream.start, stream.name, -(-want // self._size)):
                pieces.append(self._sector(number))
                held += self._size
        found = b"".join(pieces)[:want]
        if len(found) < want:
            self.trouble.append(f"stream {stream.name!r} ends after {len(found)} of {want} bytes")
        return found

    def place(self, stream: Stream, at: int) -> int | None:
        """Where a byte of a stream stands in the file."""
        mini = stream.size < self._cutoff and stream.kind != ROOT
        if self._placed != stream.start:
            self._placed = stream.start
            self._places = (self._mini_chain(stream.start) if mini
                            else self._chain(stream.start, stream.name))
        each = self._mini if mini else self._size
        number = at // each
        if number >= len(self._places):
            return None
        sector = self._places[number]
        start = self._mini_at(sector) if mini else (sector + 1) * self._size
        return None if start is None else start + at % each

    def _sector(self, number: int) -> bytes:
        at = (number + 1) * self._size
        return self._data[at : at + self._size]

    def _fat_sectors(self, count: int, difat: int) -> list[int]:
        found = list(struct.unpack_from("<109I", self._data, 76))
        seen: set[int] = set()
        while difat < min(LAST, self._sectors) and difat not in seen:
            seen.add(difat)
            self._used.add(difat)
            sector = self._sector(difat)
            numbers = struct.unpack(f"<{len(sector) // 4}I", sector[: len(sector) & ~3])
            found.extend(numbers[:-1])
            difat = numbers[-1] if numbers else LAST
        found = [number for number in found if number < self._sectors][: self._sectors]
        if len(found) < count:
            self.trouble.append(f"{count} sectors of the FAT, of which {len(found)} are there")
        return found[:count]

    def _table(self, sectors: list[int]) -> list[int]:
        table: list[int] = []
        for number in dict.fromkeys(sectors):
            self._used.add(number)
            sector = self._sector(number)
            table.extend(struct.unpack(f"<{len(sector) // 4}I", sector[: len(sector) & ~3]))
        return table

    def _chain(self, start: int, what: str, most: int | None = None) -> list[int]:
        chain: list[int] = []
        seen: set[int] = set()
        number = start
        while number < LAST and (most is None or len(chain) < most):
            if number >= self._sectors or number in seen:
                why = "comes back to itself" if number in seen else "leaves the file"
                self.trouble.append(f"the chain of {what!r} {why}")
                break
            seen.add(number)
            chain.append(number)
            number = self._fat[number] if number < len(self._fat) else _FREE
        self._used |= seen
        return chain

    def _mini_chain(self, start: int) -> list[int]:
        chain: list[int] = []
        seen: set[int] = set()
        number = start
        while number < len(self._mini_fat) and number not in seen:
            seen.add(number)
            chain.append(number)
            number = self._mini_fat[number]
        return chain

    def _mini_at(self, number: int) -> int | None:
        each = self._size // self._mini
        sector = number // each
        if sector >= len(self._root):
            return None
        at = (self._root[sector] + 1) * self._size + number % each * self._mini
        return at if at < len(self._data) else None

    def _entries(self) -> list[Stream]:
        found: list[Stream] = []
        for number in self._chain(self._directory, "directory"):
            sector = self._sector(number)
            for at in range(0, len(sector) - ENTRY + 1, ENTRY):
                entry = sector[at : at + ENTRY]
                if entry[66] not in (1, STREAM, ROOT):
                    continue
                length = min(64, struct.unpack_from("<H", entry, 64)[0])
                name = entry[: max(0, length - 2) & ~1].decode("utf-16-le", "replace")
                created, modified, start, size = struct.unpack_from("<QQIQ", entry, 100)
                if self._size == 512:
                    # The upper half is not used, and not always zero.
                    size &= 0xFFFFFFFF
                if entry[66] == ROOT:
                    self._root = self._chain(start, "mini stream")
                found.append(Stream(name, entry[66], start, size, created, modified,
                                    self._offset(entry[66], start, size)))
        return found

    def _offset(self, kind: int, start: int, size: int) -> int | None:
        if kind != ROOT and size < self._cutoff:
            return self._mini_at(start)
        at = (start + 1) * self._size
        return at if start < self._sectors and at < len(self._data) else None
