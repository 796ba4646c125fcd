"""Members of a 7-Zip archive, for tests: LZMA and LZMA2, one coder a folder, no encryption.

Specification: 7zFormat.txt of the LZMA SDK.
"""

import lzma
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

MAGIC = b"7z\xbc\xaf\x27\x1c"


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        """As many bytes follow the first as it begins with ones."""
        first, value = self.byte(), 0
        for index in range(8):
            mask = 0x80 >> index
            if not first & mask:
                return value | (first & (mask - 1)) << 8 * index
            value |= self.byte() << 8 * index
        return value

    def bits(self, count: int) -> list[bool]:
        packed = self.take((count + 7) // 8)
        return [bool(packed[i // 8] & 0x80 >> i % 8) for i in range(count)]

    def digests(self, count: int) -> list[bool]:
        """Which of `count` have a CRC; the CRCs themselves are skipped."""
        have = [True] * count if self.byte() else self.bits(count)
        self.take(4 * sum(have))
        return have


@dataclass
class _Folder:
    coder: bytes
    properties: bytes
    size: int = 0
    checked: bool = False
    files: list[int] = field(default_factory=list)  # their sizes

    def unpack(self, packed: bytes) -> bytes:
        if self.coder == b"\x21":
            bits = self.properties[0]
            size = (2 | bits & 1) << bits // 2 + 11
            wanted = {"id": lzma.FILTER_LZMA2, "dict_size": size}
        elif self.coder == b"\x03\x01\x01":
            packed_bits, size = struct.unpack("<BI", self.properties)
            wanted = {"id": lzma.FILTER_LZMA1, "dict_size": size, "lc": packed_bits % 9,
                      "lp": packed_bits // 9 % 5, "pb": packed_bits // 45}  # fmt: skip
        else:
            raise ValueError(f"coder {self.coder.hex()}")
        reader = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[wanted])
        return reader.decompress(packed, self.size)


def _folder(r: _Reader) -> _Folder:
    if r.number() != 1:
        raise ValueError("more than one coder")
    flags = r.byte()
    coder = r.take(flags & 0x0F)
    return _Folder(coder, r.take(r.number()) if flags & 0x20 else b"")


def _streams(r: _Reader) -> tuple[int, list[int], list[_Folder]]:
    """(where the packed bytes begin, sizes of the packed streams, folders)."""
    start, packed, folders = 0, [], []
    while kind := r.byte():
        if kind == 0x06:
            start, count = r.number(), r.number()
            while kind := r.byte():
                if kind == 0x09:
                    packed = [r.number() for _ in range(count)]
                else:
                    r.digests(count)
        elif kind == 0x07:
            r.take(1)
            count = r.number()
            r.take(1)
            folders = [_folder(r) for _ in range(count)]
            r.take(1)
            for folder in folders:
                folder.size = r.number()
                folder.files = [folder.size]
            while r.byte():
                for folder, checked in zip(folders, r.digests(count), strict=True):
                    folder.checked = checked
        elif kind == 0x08:
            counts = [1] * len(folders)
            kind = r.byte()
            if kind == 0x0D:
                counts = [r.number() for _ in folders]
                kind = r.byte()
            for folder, count in zip(folders, counts, strict=True):
                sizes = [r.number() for _ in range(count - 1)]
                folder.files = [*sizes, folder.size - sum(sizes)] if count else []
            if kind == 0x09:
                kind = r.byte()
            while kind:
                r.digests(sum(
                    count for folder, count in zip(folders, counts, strict=True)
                    if count != 1 or not folder.checked
                ))  # fmt: skip
                kind = r.byte()
    return start, packed, folders


def members(data: bytes) -> Iterator[tuple[str, bytes]]:
    """(path, bytes) of every file that is not empty."""
    where, size = struct.unpack_from("<QQ", data, 12)
    header = data[32 + where : 32 + where + size]
    while header[0] == 0x17:
        start, packed, folders = _streams(_Reader(header[1:]))
        header = folders[0].unpack(data[32 + start : 32 + start + packed[0]])
    r = _Reader(header)
    if r.take(2) != b"\x01\x04":
        raise ValueError("properties before the streams")
    start, packed, folders = _streams(r)
    r.take(1)
    count = r.number()
    empty, names = [False] * count, [""] * count
    while kind := r.number():
        after = r.number()
        after += r.at
        if kind == 0x0E:
            empty = r.bits(count)
        elif kind == 0x11:
            r.take(1)
            names = r.data[r.at : after].decode("utf-16-le").split("\0")[:count]
        r.at = after
    full = iter(name for name, no_bytes in zip(names, empty, strict=True) if not no_bytes)
    at = 32 + start
    for folder, length in zip(folders, packed, strict=True):
        unpacked = folder.unpack(data[at : at + length])
        at += length
        begin = 0
        for size in folder.files:
            yield next(full), unpacked[begin : begin + size]
            begin += size
