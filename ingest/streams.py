"""Byte streams under an artifact: compressed, guarded, hashed. Each has `readinto`."""

import bz2
import gzip
import hashlib
import io
import lzma
import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol

import zstandard

from tracelake.native.errors import Corrupt, EvidenceError, Truncated, Unsupported
from tracelake.native.feed import Feed

# A stream that grows beyond this, and to more than so many times its compressed size, is a bomb.
# Deflate can reach 1,032-fold; the most repetitive real logs stay below 100-fold.
FREE_EXPANSION = 256 << 20
MAX_RATIO = 250


class Readable(Protocol):
    """A raw binary stream; 0 bytes mean the end."""

    def readinto(self, buffer: memoryview, /) -> int | None: ...


class UpTo(io.RawIOBase):
    """The first `size` bytes of a stream."""

    def __init__(self, stream: Readable, size: int) -> None:
        self._stream = stream
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        done = self._stream.readinto(buffer[: self._left]) if self._left else 0
        self._left -= done or 0
        return done or 0


class Section(io.RawIOBase):
    """A stretch of a file, as a file that can be read at random.

    Args:
        file: is sought before each read, so others may read it in between.
        start, size: the stretch, bytes.
    """

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file = file
        self._start = start
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"a place before the begin: {base + offset}")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        room = max(0, min(len(buffer), self._size - self._at))
        if not room:
            return 0
        self._file.seek(self._start + self._at)
        data = self._file.read(room)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class Decoder(Protocol):
    """Decodes one compressed frame."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


# A frame may ask for a window of gigabytes; honest ones ask for 64 MiB at most (xz -9).
WINDOW = 128 << 20
DECODERS: dict[str, Callable[[], Decoder]] = {
    "zstd": lambda: zstandard.ZstdDecompressor(max_window_size=WINDOW).decompressobj(),
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=WINDOW),
}


class FeedFile(io.RawIOBase):
    """A feed as a file, for libraries that read files; counts what it handed out."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._feed.read(min(len(buffer), 1 << 20))
        buffer[: len(data)] = data
        return len(data)

    def tell(self) -> int:
        return self._feed.position


class Frames(io.RawIOBase):
    """Zstandard frames, bzip2 or xz streams, one after the other, as one raw stream. Raises
    EOFError where the last one is cut.

    `zstandard.stream_reader` ends a cut frame in silence, so frames are decoded here slice by
    slice. A slice of 4 KiB can grow to 128 MiB at the very worst (Zstandard: 1,024 run-length
    blocks; bzip2: 100 blocks of 900 KB).

    Args:
        file: the compressed bytes.
        decoder: makes a decoder of one frame.
    """

    SLICE = 4096

    def __init__(self, file: io.RawIOBase, decoder: Callable[[], Decoder]) -> None:
        self._file = file
        self._decoder = decoder
        self._frame: Decoder | None = None
        self._input = b""
        self._output = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._output:
            if not self._input:
                self._input = self._file.read(self.SLICE) or b""
                if not self._input:
                    if self._frame is not None:
                        raise EOFError("the last frame is cut")
                    return 0
            if self._frame is None:
                self._frame = self._decoder()
            self._output = memoryview(self._frame.decompress(self._input))
            self._input = b""
            if self._frame.eof:
                self._input = self._frame.unused_data
                self._frame = None
        n = min(len(buffer), len(self._output))
        buffer[:n] = self._output[:n]
        self._output = self._output[n:]
        return n


def gunzip(feed: Feed) -> Feed:
    """The content of a gzip stream, all its members."""
    packed = FeedFile(feed)
    return Feed(Guard(gzip.GzipFile(fileobj=packed, mode="rb"), "gzip stream", packed))


def unpacked(feed: Feed, kind: str) -> Feed:
    """The content of a compressed stream, all its frames.

    Args:
        kind: gzip, zstd, bzip2 or xz.
    """
    if kind == "gzip":
        return gunzip(feed)
    packed = FeedFile(feed)
    return Feed(Guard(Frames(packed, DECODERS[kind]), f"{kind} stream", packed))


class Guard:
    """Turns what a library raises about broken evidence into EvidenceError, and stops bombs.

    Args:
        stream: what is read.
        what: its name in messages, such as "zip member".
        packed: where its compressed bytes come from; None where nothing expands.
        packed_size: the compressed size, where it is known and `packed` cannot tell.
    """

    def __init__(
        self,
        stream: Readable,
        what: str,
        packed: FeedFile | None = None,
        packed_size: int | None = None,
    ) -> None:
        # One read of the layer below at a time: `readinto` of the standard library's readers
        # loops until the buffer is full, and what it has is lost when the loop meets the break.
        self._read1 = getattr(stream, "read1", None)
        self._stream = stream
        self._what = what
        self._packed = packed
        self._packed_size = packed_size
        self._given = 0

    def readinto(self, buffer: memoryview) -> int:
        """Fills the buffer. Raises EvidenceError for anything the evidence is to blame for."""
        if self._read1 is not None:
            data = self.read1(len(buffer))
            buffer[: len(data)] = data
            return len(data)
        try:
            n = self._stream.readinto(buffer) or 0
        except Exception as error:
            blamed = self._blamed(error)
            if blamed is None:
                raise
            raise blamed from error
        self._count(n)
        return n

    def read1(self, size: int) -> bytes:
        """The next bytes, at most `size`, none at the end; as they come from the layer below,
        without a copy where it gives bytes itself. Raises as `readinto`."""
        if self._read1 is None:
            buffer = bytearray(size)
            return bytes(memoryview(buffer)[: self.readinto(memoryview(buffer))])
        try:
            data: bytes = self._read1(size)
        except Exception as error:
            blamed = self._blamed(error)
            if blamed is None:
                raise
            raise blamed from error
        self._count(len(data))
        return data

    def _count(self, more: int) -> None:
        self._given += more
        if self._given > FREE_EXPANSION and self._expanded() > MAX_RATIO:
            raise Unsupported(
                self._what,
                self._given,
                f"expands more than {MAX_RATIO}-fold, which no log or capture does; "
                "unpack it by hand if it is genuine",
            )

    def _blamed(self, error: Exception) -> EvidenceError | None:
        """What an error says of the evidence; None where it is to be raised as it is."""
        what, at, why = self._what, self._given, sentence(error)
        if isinstance(error, EvidenceError):
            return None
        if isinstance(error, EOFError):
            return Truncated(what, at, why)
        if isinstance(error, OSError):  # gzip.BadGzipFile is one, as is a disk that cannot be read
            if at and str(error).startswith("Not a gzipped file"):
                why = "its content ends here, and what follows in the file is no gzip stream"
            return Corrupt(what, at, why)
        known = isinstance(error, zlib.error | lzma.LZMAError | zstandard.ZstdError)
        return Corrupt(what, at, why) if known or blames_evidence(error) else None

    def _expanded(self) -> float:
        packed = self._packed.tell() if self._packed is not None else self._packed_size
        return self._given / max(packed, 1) if packed is not None else 0


class Hashed:
    """Takes the SHA-256 of what passes."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._sha256 = hashlib.sha256()

    def readinto(self, buffer: memoryview) -> int:
        """Fills the buffer; hashlib lets go of the GIL for blocks of this size."""
        n = self._stream.readinto(buffer) or 0
        self._sha256.update(buffer[:n])
        return n

    def hexdigest(self) -> str:
        """SHA-256 of the bytes that were read so far, 64 hexadecimal digits."""
        return self._sha256.hexdigest()


class Looked:
    """A stream at whose head somebody looks before it is known what becomes of it: parsed, from
    its begin, or only hashed, and then its bytes are not copied.

    Args:
        stream: its bytes. head: how many to look at.
    """

    # Bytes taken at once where nobody parses them.
    STEP = 1 << 20

    def __init__(self, stream: Readable, head: int) -> None:
        if not isinstance(stream, Guard):
            stream = Guard(stream, "file")
        self._stream = stream
        self._sha256 = hashlib.sha256()
        first = stream.read1(head)
        self._ended = not first
        while not self._ended and len(first) < head:
            more = stream.read1(head - len(first))
            self._ended = not more
            first += more
        self.head = first
        self._held = memoryview(first)

    def sum_up(self) -> int:
        """Hashes all there is; returns how many bytes."""
        size = len(self._held)
        self._sha256.update(self._held)
        while not self._ended:
            data = self._stream.read1(self.STEP)
            self._ended = not data
            self._sha256.update(data)
            size += len(data)
        return size

    def readinto(self, buffer: memoryview) -> int:
        """See `Hashed`."""
        if self._held:
            n = min(len(buffer), len(self._held))
            buffer[:n] = self._held[:n]
            self._held = self._held[n:]
        else:
            n = self._stream.readinto(buffer)
        self._sha256.update(buffer[:n])
        return n

    def hexdigest(self) -> str:
        """See `Hashed`."""
        return self._sha256.hexdigest()


def blames_evidence(error: Exception) -> bool:
    """Whether what an archive library raised is the archive's fault.

    For hostile bytes the standard library raises BadZipFile, ReadError, RuntimeError (a
    password), NotImplementedError (a method), ValueError (a place before the file's begin),
    IndexError (an empty name), struct.error, zlib.error, ...
    """
    if isinstance(error, MemoryError):
        return False
    return type(error).__module__ in {"zipfile", "tarfile", "builtins", "struct", "zlib", "_lzma"}


def sentence(error: BaseException) -> str:
    """What an error says, on one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:200]
