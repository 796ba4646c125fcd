"""The application compatibility cache ("shimcache"): programs that Windows has looked at.

Formats: XP (0xdeadbeef), 2003/Vista/2008 (0xbadc0ffe), 7/2008 R2 (0xbadc0fee), 8.0 ("00ts"), 8.1
and 10/11 ("10ts"); described in "Application Compatibility Cache" (libyal, winreg-kb) and
Mandiant's paper on the shimcache. The time in it is when the *file* was modified, not when it ran.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from tracelake.native.errors import Corrupt
from tracelake.parsers.hive_context import Context, When, filetime_at, us
from tracelake.parsers.hive_keys import Key

MOST = 100_000


@dataclass(slots=True)
class Entry:
    """A program in the cache.

    Attributes:
        path: as the cache has it, "\\??\\" taken off.
        modified: when the file was modified; updated: when the entry was (XP only).
        size: of the file, where the format has it.
        executed: what the cache says of it; None where its format does not.
        notes: what else it says.
    """

    path: str
    modified: When
    updated: When = None
    size: int | None = None
    executed: bool | None = None
    notes: dict[str, str] | None = None


def shimcache(key: Key, out: Context) -> None:
    """Every program of the cache, in its order."""
    value = key.value("AppCompatCache")
    if value is None or not value.data:
        return
    for position, entry in enumerate(entries(value.data)):
        notes = {"position": str(position)} | (entry.notes or {})
        if entry.updated is not None:
            notes["updated_us"] = str(entry.updated[0])
        out.trace(
            "shimcache", key, value, time=entry.modified, time_desc="file_modified",
            subject_path=entry.path, subject_name=entry.path.rsplit("\\", 1)[-1],
            subject_modified_time=us(entry.modified), subject_size=entry.size,
            is_executed=entry.executed, unmapped=notes,
        )


def entries(data: bytes) -> Iterator[Entry]:
    """The entries of a cache, in its order: what was looked at last comes first.

    Raises:
        Corrupt: it is of no known format, or ends before it should. Entries before were given.
    """
    if len(data) < 16:
        raise Corrupt("shimcache", 0, f"{len(data)} bytes are no cache")
    magic = struct.unpack_from("<I", data, 0)[0]
    if magic == 0xDEADBEEF:
        yield from _xp(data)
    elif magic == 0xBADC0FFE:
        yield from _table(data, 8, 24 if _is_32(data, 8) else 32, vista=True)
    elif magic == 0xBADC0FEE:
        yield from _table(data, 128, 32 if _is_32(data, 128) else 48, vista=False)
    elif data[128:132] in (b"00ts", b"10ts"):
        yield from _stream(data, 128, windows_8=True)
    elif magic in (0x30, 0x34) and data[magic : magic + 4] == b"10ts":
        yield from _stream(data, magic, windows_8=False)
    elif magic in (0x30, 0x34, 0x80) and len(data) <= magic:
        return
    else:
        raise Corrupt("shimcache", 0, f"a cache of unknown format ({magic:#010x})")


def _clean(raw: bytes) -> str:
    text = raw.decode("utf-16-le", "replace").split("\0", 1)[0]
    return text[4:] if text.startswith("\\??\\") else text


def _xp(data: bytes) -> Iterator[Entry]:
    count = struct.unpack_from("<I", data, 4)[0]
    for i in range(min(count, MOST)):
        at = 400 + i * 552
        if at + 552 > len(data):
            raise Corrupt("shimcache", at, f"entry {i} of {count} is cut")
        size = struct.unpack_from("<Q", data, at + 536)[0]
        yield Entry(_clean(data[at : at + 528]), filetime_at(data, at + 528),
                    filetime_at(data, at + 544), size if size < 1 << 62 else None)


def _is_32(data: bytes, at: int) -> bool:
    """Entries of 64-bit Windows have padding before the offset of their path."""
    if at + 16 > len(data):
        return True
    length, room, offset, high = struct.unpack_from("<HHII", data, at)
    return not (offset == 0 and high and length <= room)


def _table(data: bytes, begin: int, step: int, *, vista: bool) -> Iterator[Entry]:
    """Entries of one size, with offsets of their paths."""
    count = struct.unpack_from("<I", data, 4)[0]
    wide = step in (32, 48) if vista else step == 48
    for i in range(min(count, MOST)):
        at = begin + i * step
        if at + step > len(data):
            raise Corrupt("shimcache", at, f"entry {i} of {count} is cut")
        length = struct.unpack_from("<H", data, at)[0]
        if wide:
            offset = struct.unpack_from("<Q", data, at + 8)[0]
            rest = at + 16
        else:
            offset = struct.unpack_from("<I", data, at + 4)[0]
            rest = at + 8
        if offset + length > len(data):
            raise Corrupt("shimcache", at, f"the path of entry {i} is outside of the cache")
        flags, second = struct.unpack_from("<II", data, rest + 8)
        entry = Entry(_clean(data[offset : offset + length]), filetime_at(data, rest))
        if vista and second == 0 and flags > 0xFFFF:
            # Windows Server 2003 keeps the file's size where Vista has flags.
            entry.size = flags
        else:
            entry.executed = bool(flags & 2)
            entry.notes = {"insert_flags": f"{flags:#010x}", "shim_flags": f"{second:#010x}"}
        yield entry


def _stream(data: bytes, at: int, *, windows_8: bool) -> Iterator[Entry]:
    """Entries one after the other, each with its size."""
    number = 0
    while at + 12 <= len(data) and number < MOST:
        magic = data[at : at + 4]
        size = struct.unpack_from("<I", data, at + 8)[0]
        if magic not in (b"00ts", b"10ts"):
            if any(data[at : at + 12]):
                raise Corrupt("shimcache", at, f"entry {number} does not begin as one")
            return
        if size < 2 or at + 12 + size > len(data):
            raise Corrupt("shimcache", at, f"entry {number} is cut")
        body = data[at + 12 : at + 12 + size]
        entry = _body_8(body) if windows_8 else _body_10(body)
        if entry is None:
            raise Corrupt("shimcache", at, f"the parts of entry {number} do not fit in it")
        yield entry
        at += 12 + size
        number += 1


def _body_8(body: bytes) -> Entry | None:
    """Path, since 8.1 the package, flags, time, data: the one reading that fills the entry."""
    length = struct.unpack_from("<H", body, 0)[0]
    for has_package in (True, False):
        at = 2 + length
        package = b""
        if has_package:
            if at + 2 > len(body):
                continue
            n = struct.unpack_from("<H", body, at)[0]
            package = body[at + 2 : at + 2 + n]
            at += 2 + n
        if at + 20 > len(body):
            continue
        flags, shims = struct.unpack_from("<II", body, at)
        blob = struct.unpack_from("<I", body, at + 16)[0]
        if at + 20 + blob != len(body):
            continue
        notes = {"insert_flags": f"{flags:#010x}", "shim_flags": f"{shims:#010x}"}
        if package:
            notes["package"] = package.decode("utf-16-le", "replace").rstrip("\0")
        return Entry(_clean(body[2 : 2 + length]), filetime_at(body, at + 8),
                     executed=bool(flags & 2), notes=notes)
    return None


def _body_10(body: bytes) -> Entry | None:
    length = struct.unpack_from("<H", body, 0)[0]
    at = 2 + length
    if at + 12 > len(body):
        return None
    blob = struct.unpack_from("<I", body, at + 8)[0]
    if at + 12 + blob > len(body):
        return None
    data = body[at + 12 : at + 12 + blob]
    notes = {"data": data.hex()} if data else {}
    path = _clean(body[2 : 2 + length])
    if "\t" in path:
        # A packaged application: numbers and names, divided by tabs.
        notes["package"] = path
    # The last four bytes of the data are 1 where the program was started, since Windows 10.
    executed = data[-4:] == b"\1\0\0\0" if len(data) >= 4 else None
    return Entry(path, filetime_at(body, at), executed=executed, notes=notes)
