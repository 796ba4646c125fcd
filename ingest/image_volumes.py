"""The volumes of a disk: partitions, logical and encrypted volumes, shadow copies.

Partition tables are read here (UEFI 2.10, chapter 5; Apple's partition map): a few bytes at known
places, whose damage has to be said and not to be a library's opinion.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tracelake.ingest.events import Key
from tracelake.ingest.image_storage import BROKEN, Handle, Random, Window, library, why
from tracelake.native.errors import Corrupt, EvidenceError, Unsupported

SECTOR = 512
# Ends for what does not end by itself.
MAX_PARTITIONS = 256
MAX_DEPTH = 4
EXTENDED = {0x05, 0x0F, 0x85}
PROTECTIVE = 0xEE
# What marks a BitLocker volume that begins like a FAT one (BitLocker To Go): the GUIDs
# 4967d63b-2e29-4ad8-8399-f6a339e3d001 and, where only used space is encrypted,
# 92a84d3b-dd80-4d0e-9e4e-b1e3284eaed8, at offset 424 (libbde, "BitLocker Drive Encryption format").
TO_GO = {
    bytes.fromhex("3bd66749292ed84a8399f6a339e3d001"),
    bytes.fromhex("3b4da89280dd0e4d9e4eb1e3284eaed8"),
}
RECOVERY = re.compile(rb"\s*\d{6}(?:-\d{6}){7}\s*")


@dataclass(slots=True)
class Volume:
    """Something in which a file system may be.

    Attributes:
        name: its place: p2, p3/lv-root, p2/vss1; empty where the image is one volume.
        disk: its bytes.
        what: the kind of file system, or None.
        trouble: why it cannot be read.
        facts: what it says of itself.
        keep: what must live as long as it.
        behind: it is known only with a key, and is not the first in its encrypted volume.
        locked: it is encrypted, and no key opens it.
        opened: it, as its library has opened it, where several are opened together (APFS).
    """

    name: str
    disk: Random
    what: str | None = None
    trouble: EvidenceError | None = None
    facts: dict[str, str] = field(default_factory=dict)
    keep: list[Any] = field(default_factory=list)
    behind: bool = False
    opened: Any = None
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Partition:
    """A stretch of a disk; `name` is its number in the table."""

    name: str
    start: int
    size: int
    trouble: EvidenceError | None = None


def scan(disk: Random, keys: tuple[Key, ...]) -> list[Volume]:
    """The volumes of a disk, in an order that the keys do not change: what is in an encrypted
    volume stands at its place, and further volumes in it after all others."""
    outer: list[Volume] = []
    inner: list[Volume] = []
    for volume in _volumes("", disk, keys, 0):
        (inner if volume.behind else outer).append(volume)
    return outer + inner


def _volumes(name: str, disk: Random, keys: tuple[Key, ...], depth: int) -> Iterator[Volume]:
    try:
        head = disk.read_at(0, 68 << 10)
    except (OSError, EvidenceError) as error:
        yield Volume(name, disk, trouble=Corrupt("volume", 0, why(error)))
        return
    if depth > MAX_DEPTH:
        why_not = f"volumes nested more than {MAX_DEPTH} deep are not opened"
        yield Volume(name, disk, trouble=Unsupported("volume", 0, why_not))
        return
    if head[3:11] == b"-FVE-FS-" or head[424:440] in TO_GO:
        yield from _bitlocker(name, disk, keys, depth)
        return
    kind = file_system(head)
    if kind is not None:
        yield Volume(name, disk, kind)
        return
    if head[:6] == b"LUKS\xba\xbe":
        yield from _luks(name, disk, keys, depth)
        return
    if any(head[at : at + 8] == b"LABELONE" for at in range(0, 2048, SECTOR)):
        yield from _logical(name, disk, keys, depth)
        return
    if depth == 0 or name.count("/"):
        parts = list(partitions(disk, head))
        if parts:
            for part in parts:
                inside = _join(name, part.name)
                if part.trouble is not None:
                    yield Volume(inside, disk, trouble=part.trouble)
                else:
                    window = Window(disk, part.start, part.size)
                    yield from _volumes(inside, window, keys, depth + 1)
            return
    yield Volume(name, disk)


def file_system(head: bytes) -> str | None:
    """ntfs, fat, ext, xfs, apfs, hfs or iso, by the first 64 KiB of a volume."""
    if head[3:11] == b"NTFS    ":
        return "ntfs"
    if head[3:11] == b"EXFAT   ":
        return "fat"
    if head[0:1] in (b"\xeb", b"\xe9") and head[510:512] == b"\x55\xaa" and (
        head[54:57] == b"FAT" or head[82:87] == b"FAT32"
    ):
        return "fat"
    if head[1080:1082] == b"\x53\xef":
        return "ext"
    if head[:4] == b"XFSB":
        return "xfs"
    if head[32:36] == b"NXSB":
        return "apfs"
    if head[1024:1028] in (b"H+\x00\x04", b"HX\x00\x05"):
        return "hfs"
    if head[32769:32774] == b"CD001":
        return "iso"
    return None


def partitions(disk: Random, head: bytes) -> Iterator[Partition]:
    """The partitions of a disk: GPT, MBR, or an Apple partition map."""
    if head[:2] == b"ER" and head[512:514] == b"PM":
        yield from _apm(head)
        return
    for sector in (512, 4096):
        if head[sector : sector + 8] == b"EFI PART":
            yield from _gpt(disk, head, sector)
            return
    if head[510:512] == b"\x55\xaa":
        yield from _mbr(disk, head)


def _mbr(disk: Random, head: bytes) -> Iterator[Partition]:
    extended: list[int] = []
    for number in range(4):
        kind, start, count = struct.unpack_from("<4xB3xII", head, 446 + 16 * number)
        if kind in EXTENDED and count:
            extended.append(start)
        elif kind == PROTECTIVE and start == 1:
            # Its table is gone (it was looked for before); the copy stands at the disk's end.
            yield from _gpt_copy(disk)
        elif kind and count:
            yield _stretch(disk, f"p{number + 1}", start * SECTOR, count * SECTOR)
    number = 5
    for base in extended:
        at = base
        seen: set[int] = set()
        while at not in seen and number < MAX_PARTITIONS:
            seen.add(at)
            table = disk.read_at(at * SECTOR, SECTOR)
            if table[510:512] != b"\x55\xaa":
                why_not = "the table of an extended partition has no signature"
                yield Partition(f"p{number}", 0, 0, Corrupt("partition", at * SECTOR, why_not))
                break
            kind, start, count = struct.unpack_from("<4xB3xII", table, 446)
            if kind and count:
                yield _stretch(disk, f"p{number}", (at + start) * SECTOR, count * SECTOR)
                number += 1
            kind, start, _ = struct.unpack_from("<4xB3xII", table, 462)
            if kind not in EXTENDED:
                break
            at = base + start


def _gpt(disk: Random, head: bytes, sector: int) -> Iterator[Partition]:
    table, count, length = struct.unpack_from("<QII", head, sector + 72)
    if not 128 <= length <= 4096 or not count:
        yield Partition("p1", 0, 0, Corrupt("GPT", sector, f"entries of {length} bytes"))
        return
    entries = disk.read_at(table * sector, min(count, MAX_PARTITIONS) * length)
    for number in range(len(entries) // length):
        kind, first, last = struct.unpack_from("<16s16xQQ", entries, number * length)
        if not any(kind):
            continue
        if last < first:
            error = Corrupt("GPT", table * sector + number * length, "it ends before it begins")
            yield Partition(f"p{number + 1}", 0, 0, error)
        else:
            yield _stretch(disk, f"p{number + 1}", first * sector, (last - first + 1) * sector)


def _gpt_copy(disk: Random) -> Iterator[Partition]:
    for sector in (512, 4096):
        header = disk.read_at(max(0, disk.size - sector), sector)
        if header[:8] == b"EFI PART":
            yield from _gpt(disk, bytes(sector) + header, sector)
            return


def _apm(head: bytes) -> Iterator[Partition]:
    block = struct.unpack_from(">H", head, 2)[0] or SECTOR
    if block not in (512, 1024, 2048, 4096):
        block = SECTOR
    (count,) = struct.unpack_from(">I", head, block + 4) if len(head) > block + 8 else (0,)
    for number in range(min(count, MAX_PARTITIONS, len(head) // block - 1)):
        entry = head[block * (number + 1) : block * (number + 2)]
        if entry[:2] != b"PM":
            return
        start, size = struct.unpack_from(">II", entry, 8)
        kind = entry[48:80].rstrip(b"\0")
        if size and kind not in (b"Apple_partition_map", b"Apple_Free") and b"Driver" not in kind:
            yield Partition(f"p{number + 1}", start * block, size * block)


def _stretch(disk: Random, name: str, start: int, size: int) -> Partition:
    if start >= disk.size:
        why_not = f"it begins at {start}, behind the end of the image at {disk.size}"
        return Partition(name, start, size, Corrupt("partition", start, why_not))
    return Partition(name, start, size)


def _bitlocker(
    name: str, disk: Random, keys: tuple[Key, ...], depth: int
) -> Iterator[Volume]:
    pybde = library("pybde")
    tries = [("", b""), *((key.path, key.data) for key in keys)]
    for path, data in tries:
        volume = pybde.volume()
        window = Window(disk)
        try:
            if path.lower().endswith(".bek"):
                volume.read_startup_key(path)
            elif RECOVERY.fullmatch(data):
                volume.set_recovery_password(data.decode().strip())
            elif data:
                volume.set_password(data.decode("utf-8").strip("\r\n"))
            volume.open_file_object(window)
            if volume.is_locked():
                continue
        except BROKEN as error:
            if not data:
                yield Volume(name, disk, trouble=Corrupt("BitLocker volume", 0, why(error)))
                return
            continue
        below = Handle(volume, volume.get_size())
        for nth, found in enumerate(_volumes(name, below, keys, depth + 1)):
            found.behind = nth > 0
            found.facts.setdefault("encryption", "BitLocker, opened with a given key")
            found.keep += [volume, window]
            yield found
        return
    yield _locked(name, disk, "BitLocker", keys)


def _luks(name: str, disk: Random, keys: tuple[Key, ...], depth: int) -> Iterator[Volume]:
    version = struct.unpack(">H", disk.read_at(6, 2))[0]
    if version != 1:
        why_not = f"LUKS version {version} is not read: open it (cryptsetup) and ingest the volume"
        yield Volume(name, disk, trouble=Unsupported("LUKS volume", 6, why_not))
        return
    pyluksde = library("pyluksde")
    for key in keys:
        for text in {key.data, key.data.rstrip(b"\r\n")}:
            volume = pyluksde.volume()
            window = Window(disk)
            try:
                volume.set_password(text.decode("utf-8"))
                volume.open_file_object(window)
                if volume.is_locked():
                    continue
            except BROKEN:
                continue
            below = Handle(volume, volume.get_size())
            for nth, found in enumerate(_volumes(name, below, keys, depth + 1)):
                found.behind = nth > 0
                found.facts.setdefault("encryption", "LUKS, opened with a given key")
                found.keep += [volume, window]
                yield found
            return
    yield _locked(name, disk, "LUKS", keys)


def _locked(name: str, disk: Random, what: str, keys: tuple[Key, ...]) -> Volume:
    why_not = "it is encrypted, and none of the given keys opens it" if keys else (
        "it is encrypted: give its password, recovery password or key file with --key"
    )
    return Volume(name, disk, trouble=Unsupported(f"{what} volume", 0, why_not), locked=True)


def _logical(name: str, disk: Random, keys: tuple[Key, ...], depth: int) -> Iterator[Volume]:
    handle = library("pyvslvm").handle()
    window = Window(disk)
    try:
        handle.open_file_object(window)
        handle.open_physical_volume_files_as_file_objects([window])
        group = handle.get_volume_group()
        count = min(group.get_number_of_logical_volumes(), MAX_PARTITIONS)
        volumes = [group.get_logical_volume(number) for number in range(count)]
        physical = group.get_number_of_physical_volumes()
    except BROKEN as error:
        yield Volume(name, disk, trouble=Corrupt("LVM", 0, why(error)))
        return
    for logical in volumes:
        inside = _join(name, f"lv-{logical.get_name()}")
        if physical != 1:
            why_not = f"its group lies on {physical} disks, of which this image is one"
            yield Volume(inside, disk, trouble=Unsupported("LVM", 0, why_not))
            continue
        below = Handle(logical, logical.get_size())
        for found in _volumes(inside, below, keys, depth + 1):
            found.keep += [logical, group, handle, window]
            yield found


def shadow_copies(volume: Volume) -> Iterator[Volume]:
    """The shadow copies of an NTFS volume, the oldest first."""
    pyvshadow = library("pyvshadow")
    window = Window(volume.disk)
    # Their catalogue's header stands at 0x1e00: its GUID.
    if volume.disk.read_at(0x1E00, 16) != bytes.fromhex("6b870838 76c1484e b7ae0404 6e6cc752"):
        return
    handle = pyvshadow.volume()
    try:
        handle.open_file_object(window)
        count = handle.get_number_of_stores()
    except BROKEN as error:
        trouble = Corrupt("shadow copies", 0x1E00, why(error))
        yield Volume(_join(volume.name, "vss"), volume.disk, trouble=trouble)
        return
    for number in range(count):
        name = _join(volume.name, f"vss{number + 1}")
        try:
            store = handle.get_store(number)
            made = store.get_creation_time()
            below = Handle(store, store.get_volume_size())
        except BROKEN as error:
            yield Volume(name, volume.disk, trouble=Corrupt("shadow copy", 0, why(error)))
            continue
        facts = {"shadow copy of": f"{made:%Y-%m-%d %H:%M:%S} UTC"}
        yield Volume(name, below, "ntfs", facts=facts, keep=[store, handle, window, volume])


def volumes_of_apfs(volume: Volume, keys: tuple[Key, ...]) -> Iterator[Volume]:
    """The volumes of an APFS container; any other volume as it is."""
    if volume.what != "apfs" or volume.trouble is not None:
        yield volume
        return
    container = library("pyfsapfs").container()
    window = Window(volume.disk)
    try:
        container.open_file_object(window)
        count = min(container.get_number_of_volumes(), MAX_PARTITIONS)
    except BROKEN as error:
        volume.trouble = Corrupt("APFS container", 0, why(error))
        yield volume
        return
    for number in range(count):
        name = _join(volume.name, f"apfs{number + 1}")
        try:
            opened = container.get_volume(number)
            facts = {**volume.facts, "name": str(opened.get_name())}
            locked = opened.is_locked()
            for key in keys if locked else ():
                text = key.data.decode("utf-8", "replace").strip("\r\n")
                opened.set_password(text)
                opened.set_recovery_password(text)
                if opened.unlock():
                    locked = False
                    break
        except BROKEN as error:
            yield Volume(name, volume.disk, trouble=Corrupt("APFS volume", 0, why(error)))
            continue
        if locked:
            yield _locked(name, volume.disk, "APFS", keys)
        else:
            keep = [container, window, volume]
            yield Volume(name, volume.disk, "apfs", facts=facts, keep=keep, opened=opened)


def _join(name: str, inside: str) -> str:
    return f"{name}/{inside}" if name else inside
