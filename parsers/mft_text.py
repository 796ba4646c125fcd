"""A FILE record as text, attribute by attribute, for `tracelake show`."""

import struct
from collections.abc import Iterator

from tracelake.native.errors import Corrupt
from tracelake.native.feed import Feed
from tracelake.parsers.ntfs_names import ENTRY, file_name, moment_text, text, undone

KINDS = {
    0x10: "$STANDARD_INFORMATION", 0x20: "$ATTRIBUTE_LIST", 0x30: "$FILE_NAME",
    0x40: "$OBJECT_ID", 0x50: "$SECURITY_DESCRIPTOR", 0x60: "$VOLUME_NAME",
    0x70: "$VOLUME_INFORMATION", 0x80: "$DATA", 0x90: "$INDEX_ROOT", 0xA0: "$INDEX_ALLOCATION",
    0xB0: "$BITMAP", 0xC0: "$REPARSE_POINT", 0xD0: "$EA_INFORMATION", 0xE0: "$EA",
    0x100: "$LOGGED_UTILITY_STREAM",
}  # fmt: skip
NAMESPACES = {0: "POSIX", 1: "long", 2: "short", 3: "long and short"}
HEADER = 48
MOST = 65536
END = 0xFFFFFFFF
TIMES = ("created", "modified", "entry changed", "accessed")


def record_text(feed: Feed, offset: int) -> str:
    """The record at `offset` of a $MFT, its update sequence undone.

    Args:
        feed: the table from its start.

    Raises:
        EvidenceError: there is no record at that place.
    """
    while feed.position < offset and feed.read(min(1 << 20, offset - feed.position)):
        pass
    head = feed.peek(HEADER)
    if len(head) < HEADER or head[:4] not in (b"FILE", b"BAAD"):
        raise Corrupt("FILE record", offset, "no FILE signature")
    size = struct.unpack_from("<I", head, 28)[0]
    data, whole = undone(feed.read(size if 512 <= size <= MOST and not size & 511 else 1024))
    return "\n".join(_lines(data, whole))


def _reference(value: int) -> str:
    return f"{value & ENTRY}-{value >> 48}"


def _lines(data: bytes, whole: bool) -> Iterator[str]:
    lsn, sequence, links, at, flags, used, size, base = struct.unpack_from("<QHHHHIIQ", data, 8)
    state = [word for bit, word in ((1, "in use"), (2, "folder")) if flags & bit]
    yield (
        f"{data[:4].decode('ascii')} sequence {sequence}, {links} links, "
        f"{', '.join(state) or 'not in use'}, lsn {lsn}, {used} of {size} bytes used"
        + (f", part of {_reference(base)}" if base else "")
        + ("" if whole else "; its sectors are of different writings")
    )
    while at + 24 <= len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if kind == END:
            return
        if length < 24 or at + length > len(data):
            yield f"at {at}: an attribute of {length} bytes cannot be"
            return
        yield from _attribute(data[at : at + length], at, kind)
        at += length


def _attribute(data: bytes, at: int, kind: int) -> Iterator[str]:
    units, where = data[9], struct.unpack_from("<H", data, 10)[0]
    name = f" {text(data[where : where + 2 * units])!r}" if units else ""
    line = f"at {at}: {KINDS.get(kind, hex(kind))}{name}, {len(data)} bytes"
    if data[8]:
        if len(data) < 64:
            yield f"{line}, cut off"
            return
        first, last = struct.unpack_from("<QQ", data, 16)
        allocated, real = struct.unpack_from("<QQ", data, 40)
        yield f"{line}, clusters {first} to {last}, {real} bytes ({allocated} allocated)"
        return
    size, start = struct.unpack_from("<IH", data, 16)
    yield f"{line}, {size} bytes in the record"
    content = data[start : start + size]
    if kind == 0x10 and len(content) >= 36:
        yield from _times(struct.unpack_from("<4Q", content))
    elif kind == 0x30:
        found = file_name(data, start, min(start + size, len(data)))
        if found is not None:
            space = NAMESPACES.get(found.namespace, str(found.namespace))
            yield f"    {found.name} ({space}) in {_reference(found.parent)}"
            yield from _times(found.times)


def _times(times: tuple[int, ...]) -> Iterator[str]:
    for name, ticks in zip(TIMES, times, strict=True):
        yield f"    {name:13} {moment_text(ticks)}"
