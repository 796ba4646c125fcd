"""Images of disks: what kind they are, and their bytes at random.

What kind a file is, is told without any library. The libraries (libyal's) are imported where an
image is opened; they are the optional extra `images`.
"""

import importlib
import io
import os
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol

from tracelake.ingest import reach
from tracelake.lake.s3 import is_s3
from tracelake.native.errors import Corrupt, EvidenceError, Truncated, Unsupported

INSTALL = "to open it: pip install 'tracelake[images]'"
# A boot sector alone is an artifact, not an image.
LEAST_IMAGE = 32 << 10
KINDS = {
    b"EVF\x09\x0d\x0a\xff\x00": "ewf",
    b"EVF2\x0d\x0a\x81\x00": "ewf",
    b"QFI\xfb": "qcow",
    b"KDMV": "vmdk",
    b"COWD": "vmdk",
    b"conectix": "vhd",
    b"vhdxfile": "vhd",
    b"sprs": "dmg",
}
NAMES = {
    "ewf": "an EnCase image",
    "qcow": "a QCOW disk image",
    "vmdk": "a VMDK disk image",
    "vhd": "a VHD disk image",
    "dmg": "a macOS disk image",
    "raw": "an image of a disk or volume",
}
# Signatures of what stands at the begin of a disk or volume: (offset, bytes).
ON_DISK = (
    (512, b"EFI PART"),
    (4096, b"EFI PART"),
    (3, b"NTFS    "),
    (3, b"-FVE-FS-"),
    (3, b"EXFAT   "),
    (54, b"FAT1"),
    (82, b"FAT32   "),
    (0, b"LUKS\xba\xbe"),
    (0, b"XFSB"),
    (32, b"NXSB"),
    (512, b"LABELONE"),
    (1080, b"\x53\xef"),
    (1024, b"H+\x00\x04"),
    (1024, b"HX\x00\x05"),
    (32769, b"CD001"),
)
# What the libraries raise about evidence.
BROKEN = (OSError, RuntimeError, ValueError, TypeError, OverflowError, MemoryError)
DESCRIPTOR = b"# Disk DescriptorFile"
FUNCTION = re.compile(r"(?:^|(?<=[.] ))(?:py|lib)\w+: ")
EXTENT = re.compile(r'^\s*(?:RW|RDONLY|NOACCESS)\s+\d+\s+\w+\s+"([^"]+)"', re.MULTILINE)
MAX_DESCRIPTOR = 1 << 20


def image_kind(file: BinaryIO) -> str | None:
    """ewf, qcow, vmdk, vhd, dmg or raw; None: it is no image. Moves in the file."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(65536)
    for magic, kind in KINDS.items():
        if head.startswith(magic):
            return kind
    if head.startswith(DESCRIPTOR) and size <= MAX_DESCRIPTOR:
        return "vmdk"
    if size < LEAST_IMAGE:
        return None
    file.seek(size - 512)
    tail = file.read(512)
    if tail.startswith(b"koly"):
        return "dmg"
    if tail.startswith(b"conectix"):
        return "vhd"
    return "raw" if looks_like_disk(head) else None


def begins_image(head: bytes) -> bool:
    """Whether the first 64 KiB of a file are those of an image, as far as they tell."""
    known = any(head.startswith(magic) for magic in KINDS)
    return known or (len(head) >= LEAST_IMAGE and looks_like_disk(head))


def looks_like_disk(head: bytes) -> bool:
    """Whether bytes are the begin of a disk with partitions, or of a volume."""
    if any(head[at : at + len(magic)] == magic for at, magic in ON_DISK):
        return True
    if head[:2] == b"ER" and head[512:514] == b"PM":
        return True
    return _looks_like_mbr(head)


def _looks_like_mbr(head: bytes) -> bool:
    if head[510:512] != b"\x55\xaa":
        return False
    found = 0
    for at in range(446, 510, 16):
        active, kind, start, count = struct.unpack_from("<B3xB3xII", head, at)
        if active not in (0, 0x80):
            return False
        if kind and start and count:
            found += 1
        elif kind:
            return False
    return found > 0


class Random(Protocol):
    """Bytes at random."""

    @property
    def size(self) -> int: ...

    def read_at(self, offset: int, size: int) -> bytes: ...


class Window:
    """A stretch of a disk, as the libraries take it: a file object of their own kind.

    Small reads, of which directories and file tables make very many, are served from blocks that
    are kept.
    """

    BLOCK = 64 << 10
    KEPT = 32

    def __init__(self, below: Random, start: int = 0, size: int | None = None) -> None:
        rest = max(0, below.size - start)
        self.size = rest if size is None else min(size, rest)
        self._below = below
        self._start = start
        self._at = 0
        self._blocks: dict[int, bytes] = {}

    def read_at(self, offset: int, size: int) -> bytes:
        """Bytes, fewer at the end."""
        size = min(size, self.size - offset)
        if size <= 0:
            return b""
        number, within = divmod(offset, self.BLOCK)
        if size > self.BLOCK // 2 or within + size > self.BLOCK:
            return self._below.read_at(self._start + offset, size)
        block = self._blocks.get(number)
        if block is None:
            begin = number * self.BLOCK
            length = min(self.BLOCK, self.size - begin)
            block = self._below.read_at(self._start + begin, length)
            if len(self._blocks) >= self.KEPT:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[number] = block
        return block[within : within + size]

    def read(self, size: int | None = None) -> bytes:
        """As of a file."""
        data = self.read_at(self._at, self.size - self._at if size is None else size)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of a file."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise OSError(f"a place before the begin: {base + offset}")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """As of a file."""
        return self._at

    def get_offset(self) -> int:
        """As of a file object of the libraries."""
        return self._at

    def get_size(self) -> int:
        """As of a file object of the libraries."""
        return self.size


class Files:
    """One file, or several that are pieces of one, as one stretch of bytes.

    Attributes:
        path: of the file, where it is one.
    """

    def __init__(self, paths: list[str]) -> None:
        self.path = paths[0] if len(paths) == 1 and not is_s3(paths[0]) else None
        self._pieces: list[tuple[int, int, reach.Random]] = []
        self.size = 0
        for path in paths:
            file = reach.Random(path)
            self._pieces.append((self.size, self.size + file.size, file))
            self.size += file.size

    @property
    def pieces(self) -> list[tuple[int, int]]:
        """Where each file begins and ends in the whole."""
        return [(begin, end) for begin, end, _ in self._pieces]

    def read_at(self, offset: int, size: int) -> bytes:
        """Bytes, fewer at the end."""
        if len(self._pieces) == 1:
            return self._pieces[0][2].read_at(offset, size)
        parts = []
        for begin, end, file in self._pieces:
            if begin <= offset < end and size > 0:
                part = file.read_at(offset - begin, min(size, end - offset))
                parts.append(part)
                offset += len(part)
                size -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Closes them."""
        for _, _, file in self._pieces:
            file.close()
        self._pieces.clear()


class Handle:
    """What a library gives at random: an image's content, a decrypted or logical volume."""

    def __init__(self, handle: Any, size: int) -> None:
        self.size = size
        self._read: Callable[[int, int], bytes] = handle.read_buffer_at_offset

    def read_at(self, offset: int, size: int) -> bytes:
        """Bytes, fewer at the end."""
        if offset >= self.size:
            return b""
        return self._read(min(size, self.size - offset), offset)


@dataclass(slots=True)
class Media:
    """An opened image.

    Attributes:
        disk: its content.
        files: the files that it is made of, in their order.
        facts: what it says of itself.
        stored: hashes of its content that stand in it, by name: MD5, SHA1.
        trouble: what is wrong with it as a whole; what is there can be read.
    """

    disk: Random
    files: list[str]
    facts: dict[str, str] = field(default_factory=dict)
    stored: dict[str, str] = field(default_factory=dict)
    trouble: EvidenceError | None = None
    _close: Callable[[], None] = lambda: None

    def close(self) -> None:
        """Lets go of the files."""
        self._close()


def library(name: str) -> Any:
    """A library of the extra `images`.

    Raises:
        Unsupported: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Unsupported("image", 0, f"{name} is missing; {INSTALL}") from error


def why(error: Exception) -> str:
    """What a library says, without the chain of its functions: what was wrong stands second,
    behind what was called."""
    said = [part.strip() for part in FUNCTION.split(" ".join(str(error).split()))]
    words = [part for part in said if part]
    text = words[min(1, len(words) - 1)] if words else type(error).__name__
    return text[:200].rstrip(".")


def open_media(path: str, kind: str, content: BinaryIO | None = None) -> Media:
    """Opens an image.

    Args:
        path: its first file. kind: of `image_kind`.
        content: the image itself, where it is no file of its own; then there is no path.

    Raises:
        EvidenceError: it cannot be opened, or a library is missing.
    """
    try:
        return OPENERS[kind](path) if content is None else _content(kind, content)
    except EvidenceError:
        raise
    except BROKEN as error:
        raise Corrupt(NAMES[kind], 0, why(error)) from error


class Seekable:
    """A file that can be sought, as bytes at random."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, io.SEEK_END)

    def read_at(self, offset: int, size: int) -> bytes:
        """Bytes, fewer at the end."""
        self._file.seek(offset)
        return self._file.read(size) if size > 0 else b""


def _content(kind: str, content: BinaryIO) -> Media:
    """An image inside another container: only what is in one file."""
    below = Seekable(content)
    if kind == "raw":
        return Media(below, [], {"image": "raw"})
    name, opener = {
        "ewf": ("pyewf", "handle"), "qcow": ("pyqcow", "file"), "vmdk": ("pyvmdk", "handle"),
        "vhd": ("pyvhdi", "file"), "dmg": ("pymodi", "handle"),
    }[kind]
    handle = getattr(library(name), opener)()
    window = Window(below)
    if kind == "ewf":
        handle.open_file_objects([window])
    else:
        handle.open_file_object(window)
    if kind == "vmdk":
        handle.open_extent_data_files_as_file_objects([window])
    return Media(Handle(handle, handle.get_media_size()), [], {"image": kind}, _close=handle.close)


def _open_file(handle: Any, path: str) -> None:
    """Lets a library read by itself, or through us where it cannot."""
    if is_s3(path):
        handle.open_file_object(Window(reach.Random(path)))
    else:
        handle.open(path)


def _open_files(handle: Any, paths: list[str]) -> None:
    if is_s3(paths[0]):
        handle.open_file_objects([Window(reach.Random(path)) for path in paths])
    else:
        handle.open(paths)


def _raw(path: str) -> Media:
    paths = segments(path)
    files = Files(paths)
    facts = {"image": "raw" if len(paths) == 1 else f"raw in {len(paths)} pieces"}
    return Media(files, paths, facts, _close=files.close)


def _ewf(path: str) -> Media:
    pyewf = library("pyewf")
    paths = segments(path)
    handle = pyewf.handle()
    _open_files(handle, paths)
    stored = {name: value.lower() for name, value in handle.get_hash_values().items()
              if name in ("MD5", "SHA1")}
    size = handle.get_media_size()
    kind = "EnCase" if len(paths) == 1 else f"EnCase, {len(paths)} files"
    facts = {"image": kind, "bytes": str(size)}
    for name, value in handle.get_header_values().items():
        if value:
            facts[name.replace("_", " ")] = str(value)
    return Media(
        Handle(handle, size), paths, facts, stored, _unended(paths[-1]), handle.close
    )


def _unended(path: str) -> EvidenceError | None:
    """Whether segments are missing. The last section of the last one is `done`, of any other
    `next`; the library opens what is there."""
    with reach.open_at(path) as file:
        magic = file.read(8)
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - 76))
        kind = file.read(16).rstrip(b"\0")
    if magic != b"EVF\x09\x0d\x0a\xff\x00" or kind == b"done":
        return None
    return Truncated(
        "EnCase image", size, f"its last segment here, {os.path.basename(path)}, does not end it: "
        "segments are missing, or it is cut",
    )


def _qcow(path: str) -> Media:
    with reach.open_at(path) as file:
        head = file.read(24)
    if len(head) == 24 and (behind := struct.unpack_from(">Q", head, 8)[0]):
        with reach.open_at(path) as file:
            file.seek(min(behind, 1 << 40))
            name = file.read(min(1024, struct.unpack_from(">I", head, 16)[0]))
        text = name.decode("utf-8", "backslashreplace")
        raise Unsupported(
            "QCOW image", behind,
            f"it holds only what differs from {text!r}: merge them (qemu-img convert) and ingest "
            "the result",
        )
    handle = library("pyqcow").file()
    _open_file(handle, path)
    if handle.is_locked():
        raise Unsupported("QCOW image", 0, "it is encrypted: convert it with its key (qemu-img)")
    size = handle.get_media_size()
    return Media(Handle(handle, size), [path], {"image": "QCOW", "bytes": str(size)},
                 _close=handle.close)


def _vmdk(path: str) -> Media:
    handle = library("pyvmdk").handle()
    _open_file(handle, path)
    if handle.get_parent_content_identifier() not in (None, 0xFFFFFFFF):
        parent = handle.get_parent_filename()
        raise Unsupported(
            "VMDK image", 0,
            f"it holds only what differs from {parent!r}: merge the snapshots and ingest the "
            "result",
        )
    if is_s3(path):
        beside = [Window(reach.Random(each)) for each in extents(path)]
        handle.open_extent_data_files_as_file_objects(beside or [Window(reach.Random(path))])
    else:
        handle.open_extent_data_files()
    size = handle.get_media_size()
    files = [path, *extents(path)]
    facts = {"image": "VMDK", "bytes": str(size)}
    return Media(Handle(handle, size), files, facts, _close=handle.close)


def _vhd(path: str) -> Media:
    handle = library("pyvhdi").file()
    _open_file(handle, path)
    if handle.get_parent_identifier() is not None:
        parent = handle.get_parent_filename()
        raise Unsupported(
            "VHD image", 0,
            f"it holds only what differs from {parent!r}: merge them and ingest the result",
        )
    size = handle.get_media_size()
    return Media(Handle(handle, size), [path], {"image": "VHD", "bytes": str(size)},
                 _close=handle.close)


def _dmg(path: str) -> Media:
    handle = library("pymodi").handle()
    _open_file(handle, path)
    size = handle.get_media_size()
    return Media(Handle(handle, size), [path], {"image": "macOS", "bytes": str(size)},
                 _close=handle.close)


OPENERS: dict[str, Callable[[str], Media]] = {
    "raw": _raw, "ewf": _ewf, "qcow": _qcow, "vmdk": _vmdk, "vhd": _vhd, "dmg": _dmg,
}
NUMBERED = re.compile(r"(?s)(.*\.)(0+[01]?|0*1)")
EWF_NAME = re.compile(r"(?s)(.*\.)([eEsS]x?)(01)")


def segments(path: str) -> list[str]:
    """The files of an image that is split, from its first one: x.E01, x.E02, ... x.EAA, or x.001,
    x.002, ... Of others it is the file itself."""
    found = EWF_NAME.fullmatch(path)
    if found is not None:
        return _following(path, _ewf_names(found[1], found[2]))
    found = NUMBERED.fullmatch(path)
    if found is not None:
        base, digits = found[1], found[2]
        first = int(digits)
        names = (f"{base}{n:0{len(digits)}d}" for n in range(first + 1, 10 ** len(digits)))
        return _following(path, names)
    return [path]


def _following(path: str, names: Any) -> list[str]:
    paths = [path]
    for name in names:
        if not reach.is_file(name):
            break
        paths.append(name)
    return paths


def _ewf_names(base: str, prefix: str) -> Any:
    """E02 to E99, EAA to EZZ, FAA to ZZZ."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    lower = prefix[0].islower()
    for n in range(2, 100):
        yield f"{base}{prefix}{n:02d}"
    if len(prefix) > 1:  # Ex01: ExAA ...
        for a in letters:
            for b in letters:
                yield f"{base}{prefix}{(a + b).lower() if lower else a + b}"
        return
    for first in letters[letters.index(prefix.upper()) :]:
        for a in letters:
            for b in letters:
                yield base + ((first + a + b).lower() if lower else first + a + b)


def extents(path: str) -> list[str]:
    """The files that a VMDK's descriptor names, those that are there."""
    with reach.open_at(path) as file:
        head = file.read(MAX_DESCRIPTOR)
    if not head.startswith(DESCRIPTOR):
        return []
    names = EXTENT.findall(head.decode("utf-8", "replace"))
    folder = os.path.dirname(path)
    # A descriptor is evidence: it names files beside it, and no others.
    paths = [os.path.join(folder, name) for name in names if os.path.basename(name) == name]
    return [each for each in paths if reach.is_file(each)]
