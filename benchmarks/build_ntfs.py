"""Large books of NTFS from real ones.

- A $MFT: the seed's entries, many volumes side by side in one table. Each copy has entry numbers of
  its own (in the headers, and in every reference to a parent or base record), and its root is a
  folder of the first one's root.
- A change journal ($UsnJrnl:$J): what a host writes when the files of that $MFT are made, written
  and closed: three records a file, with its own name, entry, parent and time.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.seeds import ROOT as TREE
from benchmarks.seeds import SHARED_TABLES, Seed, collect, unpacked

ENTRY = 1024
ROOT = 5
ATTRIBUTE_LIST, FILE_NAME = 0x20, 0x30
MADE, WRITTEN, CLOSED = 0x100, 0x102, 0x80000102  # FILE_CREATE, DATA_EXTEND, CLOSE


@dataclass(slots=True)
class Entry:
    """An entry with its update sequence undone, and what a copy changes in it."""

    data: bytes
    references: list[int]  # offsets of file references
    numbered: bool  # the header has the entry's number
    name: int | None  # offset of the content of its first $FILE_NAME


def undone(data: bytes) -> bytes:
    at, count = struct.unpack_from("<HH", data, 4)
    out = bytearray(data)
    for i in range(count - 1):
        out[512 * i + 510 : 512 * i + 512] = data[at + 2 + 2 * i : at + 4 + 2 * i]
    return bytes(out)


def guarded(data: bytearray) -> bytearray:
    """The way back: the sequence's number at the end of each sector."""
    at, count = struct.unpack_from("<HH", data, 4)
    for i in range(count - 1):
        end = 512 * i + 510
        data[at + 2 + 2 * i : at + 4 + 2 * i] = data[end : end + 2]
        data[end : end + 2] = data[at : at + 2]
    return data


def entry(data: bytes) -> Entry:
    references, name = [], None
    if data[:4] != b"FILE":
        return Entry(data, [], False, None)
    data = undone(data)
    if struct.unpack_from("<Q", data, 32)[0]:
        references.append(32)
    at = struct.unpack_from("<H", data, 20)[0]
    while at + 24 <= ENTRY:
        kind, length = struct.unpack_from("<II", data, at)
        if kind == 0xFFFFFFFF or length < 24 or at + length > ENTRY:
            break
        size, content = struct.unpack_from("<IH", data, at + 16)
        content += at
        if data[at + 8] == 0 and kind == FILE_NAME:
            references.append(content)
            name = content if name is None else name
        if data[at + 8] == 0 and kind == ATTRIBUTE_LIST:
            one, end = content, content + size
            while one + 26 <= end:
                references.append(one + 16)
                one += max(struct.unpack_from("<H", data, one + 4)[0], 26)
        at += length
    return Entry(data, references, struct.unpack_from("<H", data, 4)[0] >= 48, name)


def entries(seed: Seed) -> list[Entry]:
    return [entry(seed.data[at : at + ENTRY]) for at in range(0, len(seed.data), ENTRY)]


def moved(one: Entry, number: int, first: int, copy: int) -> bytes:
    """The entry as number `number` of the copy whose entries begin at `first`."""
    if not one.references and not one.numbered:
        return one.data
    data = bytearray(one.data)
    for at in one.references:
        low, high = struct.unpack_from("<II", data, at)
        struct.pack_into("<II", data, at, low + first, high)
    if one.numbered:
        struct.pack_into("<I", data, 44, number)
    if number - first == ROOT and first and one.name is not None:
        struct.pack_into("<Q", data, one.name, ROOT << 48 | ROOT)
        struct.pack_into("<H", data, one.name + 66, 0x4E00 + copy)
    return bytes(guarded(data))


def seed_table() -> tuple[str, list[Entry]]:
    """Where the seed comes from, and its entries."""
    origin, seeds = collect(SHARED_TABLES, ("mft_winxp",))
    if not seeds:
        origin, seeds = "committed", unpacked(TREE / "tests/data/ntfs/museum.mft.xz")
    return origin, entries(max(seeds, key=lambda seed: len(seed.data)))


def table(path: Path, one: Path, size: int) -> tuple[int, str]:
    """Writes a $MFT, and one of one entry; how many entries it has, and where they come from."""
    origin, seed = seed_table()
    written = 0
    with open(path, "wb", buffering=1 << 20) as out:
        for copy in range(max(1, -(-size // (len(seed) * ENTRY)))):
            for i, each in enumerate(seed):
                out.write(moved(each, written + i, written, copy))
            written += len(seed)
    one.write_bytes(moved(seed[0], 0, 0, 0))
    return written, origin


def changes(seed: list[Entry], first: int, start: int) -> Iterator[bytes]:
    """Three records for each file, the first at journal offset `start`."""
    for number, each in enumerate(seed):
        at = each.name
        if at is None or len(each.references) == 0:
            continue
        parent, when = struct.unpack_from("<QQ", each.data, at)
        # All copies share one root.
        if parent & 0xFFFFFFFF != ROOT:
            parent += first
        units = each.data[at + 64]
        name = each.data[at + 66 : at + 66 + 2 * units]
        sequence, flags = struct.unpack_from("<H4xH", each.data, 16)
        kind = 0x10 if flags & 2 else 0x20
        length = (60 + len(name) + 7) & ~7
        for step, reason in enumerate((MADE, WRITTEN, CLOSED)):
            yield struct.pack(
                "<IHHQQQQIIIIHH", length, 2, 0, sequence << 48 | (number + first), parent,
                start, when + 1000 * step, reason, 0, 0, kind, len(name), 60,
            ).__add__(name).ljust(length, b"\0")  # fmt: skip
            start += length


def journal(path: Path, one: Path, size: int) -> tuple[int, str]:
    """Writes a change journal, and one of one record; how many records it has, and where their
    names come from."""
    origin, seed = seed_table()
    written = records = first = 0
    with open(path, "wb", buffering=1 << 20) as out:
        while written < size:
            for record in changes(seed, first, written):
                # No record crosses a page: the rest of it is filled with zeros.
                if written % 4096 + len(record) > 4096:
                    written += out.write(bytes(-written % 4096))
                written += out.write(record)
                records += 1
            first += len(seed)
    one.write_bytes(next(changes(seed, 0, 0)))
    return records, origin
