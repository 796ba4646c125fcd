"""Builds registry hives and their transaction logs, by the specification and not by our reader."""

import struct
from dataclasses import dataclass, field

from tracelake.parsers.hive_log import checksum, marvin32

NONE = 0xFFFFFFFF
FILETIME_2020 = 132223104000000000
SID_ADMINS = bytes([1, 2, 0, 0, 0, 0, 0, 5]) + struct.pack("<II", 32, 544)


def user_sid(rid: int) -> bytes:
    """S-1-5-21-1-2-3-rid."""
    return bytes([1, 5, 0, 0, 0, 0, 0, 5]) + struct.pack("<5I", 21, 1, 2, 3, rid)


def sz(text: str) -> tuple[int, bytes]:
    """A REG_SZ."""
    return 1, text.encode("utf-16-le") + b"\0\0"


def multi(*texts: str) -> tuple[int, bytes]:
    """A REG_MULTI_SZ."""
    return 7, b"".join(t.encode("utf-16-le") + b"\0\0" for t in texts) + b"\0\0"


def dword(number: int) -> tuple[int, bytes]:
    """A REG_DWORD."""
    return 4, struct.pack("<I", number)


def binary(data: bytes) -> tuple[int, bytes]:
    """A REG_BINARY."""
    return 3, data


@dataclass
class K:
    """A key: values by name (type, data), keys by name."""

    values: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    keys: dict[str, "K"] = field(default_factory=dict)
    written: int = FILETIME_2020
    class_name: str = ""
    flags: int = 0


def tree(paths: dict[str, dict[str, tuple[int, bytes]]]) -> K:
    """A tree of keys from paths and their values."""
    root = K()
    for path, values in paths.items():
        key = root
        for part in path.split("\\") if path else []:
            key = key.keys.setdefault(part, K())
        key.values.update(values)
    return root


class Builder:
    """Lays a tree of keys out in hive bins.

    Args:
        minor: version 1.x of the format.
        leaf: signature of subkey lists; leaf_most: keys in one, more make an index of lists.
        owner: SID of the owner; user: another SID in the access list.
    """

    def __init__(self, minor: int = 5, leaf: bytes = b"lh", leaf_most: int = 500,
                 owner: bytes = SID_ADMINS, user: bytes = b"") -> None:
        self.minor, self.leaf, self.leaf_most = minor, leaf, leaf_most
        self.old = minor <= 1
        self.cells = bytearray()
        self.at: dict[str, int] = {}
        self.security = 0
        self.owner, self.user = owner, user

    def cell(self, data: bytes, *, free: bool = False) -> int:
        """Adds a cell; its offset."""
        head = 8 if self.old else 4
        size = -(-(len(data) + head) // 8) * 8
        # A bin of 4096 bytes each would break up large cells: one bin holds them all.
        offset = 32 + len(self.cells)
        self.cells += struct.pack("<i", size if free else -size)
        self.cells += b"\xff\xff\xff\xff" if self.old else b""
        self.cells += data.ljust(size - head, b"\0")
        return offset

    def put(self, offset: int, data: bytes) -> None:
        """Overwrites what stands at a place in the bins."""
        self.cells[offset - 32 : offset - 32 + len(data)] = data

    def hive(self, root: K, name: str = "SOFTWARE", first: int = 1, second: int = 1) -> bytes:
        """The file."""
        dacl = b""
        if self.user:
            ace = struct.pack("<BBHI", 0, 0, 8 + len(self.user), 0xF003F) + self.user
            dacl = struct.pack("<BBHHH", 2, 0, 8 + len(ace), 1, 0) + ace
        sd = struct.pack("<BBHIIII", 1, 0, 0x8004, 20 + len(dacl), 0, 0, 20 if dacl else 0)
        sd += dacl + self.owner
        self.cell_root(root)
        self.security = self.cell(b"sk" + bytes(14) + struct.pack("<I", len(sd)) + sd)
        for offset in self._keys:
            self.put(offset + (8 if self.old else 4) + 44, struct.pack("<I", self.security))
        return self.file(name, first, second)

    def cell_root(self, root: K) -> None:
        self._keys: list[int] = []
        self._root = self._key("ROOT", root, NONE, "", 0x2C | root.flags)

    def file(self, name: str, first: int = 1, second: int = 1) -> bytes:
        """The file of what is in the cells."""
        rest = -(len(self.cells) + 32) % 4096
        cells = bytes(self.cells)
        if rest >= 8:
            cells += struct.pack("<i", rest) + bytes(rest - 4)
        elif rest:
            cells += struct.pack("<i", rest + 4096) + bytes(rest + 4092)
        bins = b"hbin" + struct.pack("<II", 0, 32 + len(cells)) + bytes(20) + cells
        return base_block(len(bins), self._root, name, self.minor, first, second) + bins

    def _key(self, name: str, key: K, parent: int, path: str, flags: int) -> int:
        try:
            raw = name.encode("latin-1")
            flags |= 0x20
        except UnicodeEncodeError:
            raw = name.encode("utf-16-le")
            flags &= ~0x20
        class_data = key.class_name.encode("utf-16-le")
        class_at = self.cell(class_data) if class_data else NONE
        values_at = self._values(key, path)
        offset = self.cell(b"nk" + bytes(74) + raw)
        self._keys.append(offset)
        self.at[path] = offset
        children = [
            self._key(child, inner, offset, f"{path}\\{child}" if path else child, inner.flags)
            for child, inner in key.keys.items()
        ]
        list_at = self._list(children) if children else NONE
        node = struct.pack(
            "<2sHQIIIIIIIIIIIIIIIHH", b"nk", flags, key.written, 0, parent, len(children), 0,
            list_at, NONE, len(key.values), values_at, NONE, class_at, 0, 0, 0, 0, 0,
            len(raw), len(class_data),
        ) + raw
        self.put(offset + (8 if self.old else 4), node)
        return offset

    def _values(self, key: K, path: str) -> int:
        if not key.values:
            return NONE
        offsets = [
            self._value(name, *value, f"{path}!{name}") for name, value in key.values.items()
        ]
        return self.cell(struct.pack(f"<{len(offsets)}I", *offsets))

    def _value(self, name: str, kind: int, data: bytes, path: str) -> int:
        try:
            raw, flags = name.encode("latin-1"), 1
        except UnicodeEncodeError:
            raw, flags = name.encode("utf-16-le"), 0
        size = len(data)
        if size <= 4:
            where = int.from_bytes(data.ljust(4, b"\0"), "little")
            size |= 0x80000000
        elif size > 16344 and self.minor > 3:
            parts = [self.cell(data[i : i + 16344]) for i in range(0, size, 16344)]
            listed = self.cell(struct.pack(f"<{len(parts)}I", *parts))
            where = self.cell(b"db" + struct.pack("<HI", len(parts), listed))
        else:
            where = self.cell(data)
        offset = self.cell(struct.pack("<2sHIIIHH", b"vk", len(raw), size, where, kind, flags, 0)
                           + raw)
        self.at[path] = offset
        return offset

    def _list(self, children: list[int]) -> int:
        if len(children) > self.leaf_most:
            lists = [self._list(children[i : i + self.leaf_most])
                     for i in range(0, len(children), self.leaf_most)]
            return self.cell(b"ri" + struct.pack(f"<H{len(lists)}I", len(lists), *lists))
        if self.leaf == b"li":
            body = struct.pack(f"<{len(children)}I", *children)
        else:
            body = b"".join(struct.pack("<II", child, 0) for child in children)
        return self.cell(self.leaf + struct.pack("<H", len(children)) + body)


def base_block(bins: int, root: int, name: str, minor: int = 5, first: int = 1, second: int = 1,
               kind: int = 0, written: int = FILETIME_2020) -> bytes:
    """A base block of 4096 bytes."""
    block = bytearray(4096)
    struct.pack_into("<4sIIQIIIIIII", block, 0, b"regf", first, second, written, 1, minor, kind,
                     1, root, bins, 1)
    raw = name.encode("utf-16-le")[:64]
    block[48 : 48 + len(raw)] = raw
    struct.pack_into("<I", block, 508, checksum(bytes(block)))
    return bytes(block)


def new_log(before: bytes, after: bytes, number: int) -> bytes:
    """A log of the new format with one entry: the pages by which two hives differ."""
    bins = len(after) - 4096
    pages = [at for at in range(4096, len(after), 4096)
             if before[at : at + 4096] != after[at : at + 4096]]
    head = base_block(bins, 32, "x", first=number, second=number, kind=6)[:512]
    refs = b"".join(struct.pack("<II", at - 4096, 4096) for at in pages)
    data = refs + b"".join(after[at : at + 4096] for at in pages)
    size = -(-(40 + len(data)) // 512) * 512
    data = data.ljust(size - 40, b"\0")
    entry = b"HvLE" + struct.pack("<IIIII", size, 0, number, bins, len(pages))
    entry += struct.pack("<Q", marvin32(data))
    return head + entry + struct.pack("<Q", marvin32(entry)) + data


def old_log(before: bytes, after: bytes) -> bytes:
    """A log of the old format: sectors by which two hives differ."""
    bins = len(after) - 4096
    head = base_block(bins, 32, "x", first=2, second=2, kind=1)[:512]
    bitmap, pages = bytearray(-(-bins // 512 // 8)), b""
    for i in range(bins // 512):
        at = 4096 + 512 * i
        if before[at : at + 512] != after[at : at + 512]:
            bitmap[i // 8] |= 1 << i % 8
            pages += after[at : at + 512]
    vector = b"DIRT" + bytes(bitmap)
    return head + vector.ljust(-(-len(vector) // 512) * 512, b"\0") + pages
