"""7-Zip archives, read with py7zr (optional extra `images`): a block is decompressed once, from its
begin to its end, and nothing of it is written to disk.

py7zr pushes whole files into writers; here its decompressors are asked for so many bytes at a time.
"""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, TypeVar

from tracelake.ingest.image_storage import library, why
from tracelake.native.errors import Corrupt, EvidenceError, Truncated, Unsupported

T = TypeVar("T")

# Bytes asked for at a time. With less, the library would read more input than it needs, and keep
# it.
CHUNK = 1 << 20
# A block may ask for a dictionary of gigabytes; 7-Zip itself takes 64 MiB, at most 256.
MAX_DICTIONARY = 256 << 20
MAX_HEADER = 64 << 20
LZMA2, LZMA = b"!", b"\x03\x01\x01"
# Methods whose decoders broken input makes crash, or that nobody has tried with any: pyppmd 1.3.1
# writes out of bounds, inflate64 is as untried.
NOT_SAFE = {b"\x03\x04\x01": "PPMd", b"\x04\x01\x09": "Deflate64"}
LINK = 0xA000


class Block:
    """What several files are compressed into together.

    Args:
        file: the archive. start: where the block begins. folder: as the library has it.
        packed: its compressed bytes. size: those that come out.
    """

    def __init__(self, file: BinaryIO, start: int, folder: Any, packed: int, size: int) -> None:
        self._file = file
        self._at = start
        self._left = size
        self._held = memoryview(b"")
        self._decoder = folder.get_decompressor(packed)

    def readinto(self, buffer: memoryview) -> int:
        """The next bytes; none where the block breaks off."""
        if not self._held and self._left:
            # The archive is read for something else between two of these.
            self._file.seek(self._at)
            for _ in range(1 << 16):
                before = self._file.tell()
                data = self._decoder.decompress(self._file, min(CHUNK, self._left))
                if data or self._file.tell() == before:
                    break
            self._at = self._file.tell()
            self._held = memoryview(bytes(data))
            self._left -= len(self._held)
        count = min(len(buffer), len(self._held))
        buffer[:count] = self._held[:count]
        self._held = self._held[count:]
        return count


class Part:
    """One file of a block."""

    def __init__(self, block: Block, size: int, checksum: int | None) -> None:
        self._block = block
        self._left = self._size = size
        self._checksum = checksum
        self._found = 0

    def readinto(self, buffer: memoryview, /) -> int:
        """Fills the buffer as far as there are bytes; looks at the checksum at the end."""
        if not self._left:
            return 0
        count = _told(lambda: self._block.readinto(buffer[: self._left]))
        if not count:
            raise Truncated("7z file", self._size - self._left, "the block that holds it ends")
        self._found = zlib.crc32(buffer[:count], self._found)
        self._left -= count
        if not self._left and self._checksum is not None and self._found != self._checksum:
            self._checksum = None
            raise Corrupt("7z file", 0, "its bytes have another checksum than the archive says")
        return count

    def drain(self) -> None:
        """Reads on to its end: the next file begins there."""
        rest = memoryview(bytearray(min(CHUNK, max(1, self._left))))
        while self._left:
            self._left -= (count := self._block.readinto(rest[: self._left]))
            if not count:
                raise Truncated("7z file", self._size - self._left, "the block that holds it ends")


Found = tuple[str, int, "Part | None", EvidenceError | None, str | None, int]
"""A file: its name, size, content, why it cannot be read, why it is not, and the compressed bytes
of its block."""


def files_of(file: BinaryIO) -> Iterator[Found]:
    """The files of an archive, in their order; each is read before the next is asked for.

    Raises:
        EvidenceError: it cannot be read (on).
    """
    py7zr = library("py7zr")
    file.seek(0)
    head = file.read(32)
    if len(head) < 32:
        raise Truncated("7z archive", 0, f"it has {len(head)} bytes")
    if (size := struct.unpack_from("<Q", head, 20)[0]) > MAX_HEADER:
        raise Unsupported("7z archive", 20, f"its header of {size} bytes is not read")
    file.seek(0)
    held = io.BufferedReader(file) if isinstance(file, io.RawIOBase) else file
    try:
        archive = _told(lambda: py7zr.SevenZipFile(held))
        yield from _files(archive, held)
    finally:
        if held is not file and isinstance(held, io.BufferedReader):
            held.detach()


def _files(archive: Any, file: BinaryIO) -> Iterator[Found]:
    streams: Any = getattr(archive.header, "main_streams", None)
    places: dict[int, int] = {}
    if streams is not None:
        # A block of several streams (BCJ2) has several places; the first is where it begins.
        index = 0
        for folder in streams.unpackinfo.folders:
            places[id(folder)] = index
            index += len(folder.packed_indices) or 1
    last: tuple[Any, Block | EvidenceError] | None = None
    for entry in archive.files:
        name, size = str(entry.filename), int(entry.uncompressed or 0)
        if entry.is_directory:
            continue
        if entry.emptystream:
            yield name, 0, None, None, None, 0
            continue
        folder = entry.folder
        index = places.get(id(folder), 0)
        packed = streams.packinfo.packsizes[index]
        if last is None or last[0] is not folder:
            start = archive.afterheader + streams.packinfo.packpos
            start += streams.packinfo.packpositions[index]
            last = folder, _block(file, start, folder, packed)
        block = last[1]
        if isinstance(block, EvidenceError):
            yield name, size, None, block, None, packed
            continue
        part = Part(block, size, entry.crc32)
        if entry.is_symlink or entry.is_junction or entry.is_socket:
            yield name, size, None, None, "a link or the like", packed
        else:
            yield name, size, part, None, None, packed
        try:
            _told(part.drain)
        except EvidenceError as error:
            last = folder, error


def _block(file: BinaryIO, start: int, folder: Any, packed: int) -> Block | EvidenceError:
    try:
        for coder in folder.coders:
            _check_memory(coder)
        return _told(lambda: Block(file, start, folder, packed, folder.get_unpack_size()))
    except EvidenceError as error:
        return error


def _check_memory(coder: dict[str, Any]) -> None:
    method, properties = coder["method"], coder.get("properties") or b""
    if (name := NOT_SAFE.get(method)) is not None:
        raise Unsupported("7z block", 0, f"compressed by {name}, which is not read: unpack it")
    wanted = 0
    if method == LZMA2 and len(properties) >= 1:
        bits = properties[0] & 63
        wanted = (2 | (bits & 1)) << (bits // 2 + 11) if bits < 40 else 0xFFFF_FFFF
    elif method == LZMA and len(properties) >= 5:
        (wanted,) = struct.unpack_from("<I", properties, 1)
    if wanted > MAX_DICTIONARY:
        raise Unsupported("7z block", 0, f"it asks for {wanted >> 20} MiB of memory")


def _told(call: Callable[[], T]) -> T:
    """What a call gives; whatever the library raises about the archive as an EvidenceError."""
    try:
        return call()
    except EvidenceError:
        raise
    except Exception as error:
        raise blamed(error) from error


def blamed(error: Exception) -> EvidenceError:
    """What the library or those below it raised, as what is wrong with the archive."""
    name = type(error).__name__
    if name == "PasswordRequired":
        why_not = "it is encrypted: unpack it with its password and ingest what it holds"
        return Unsupported("7z archive", 0, why_not)
    if name == "UnsupportedCompressionMethodError":
        return Unsupported("7z archive", 0, "compressed by a method that is not read: unpack it")
    return Corrupt("7z archive", 0, why(error))
