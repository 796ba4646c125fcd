"""An object on S3 as a file that is read by ranges, and never as a whole."""

import errno
import io
import random
import threading
import time
from concurrent.futures import Future
from typing import Any

from tracelake.lake.s3 import TRIES, S3Path, call, requests, said

FIRST = 64 << 10
"""Bytes of a range where reading jumps."""

KEPT = 128
"""Such ranges that are kept."""

MOST = 8 << 20
"""Bytes of a range where reading goes on and on: each is twice as long as the one before."""


class Changed(OSError):
    """The object is another than it was when it was opened."""


class S3File(io.RawIOBase):
    """An object, for reading. Of one version: where it is replaced meanwhile, reading fails.

    Holds the range that is read, where reading goes on in order the next one, which is fetched
    meanwhile, and small ranges that it has jumped to: 24 MiB at most.

    Attributes:
        fetched: bytes so far.
        size: bytes. etag: what S3 calls this content. version: in a bucket that keeps versions.
        modified: seconds since 1970.

    Raises:
        FileNotFoundError: there is no such object.
        OSError: it cannot be read.
    """

    def __init__(self, path: S3Path) -> None:
        super().__init__()
        head = call("head_object", str(path), Bucket=path.bucket, Key=path.key)
        self.path = path
        self.name = str(path)
        self.size = int(head["ContentLength"])
        self.etag = str(head["ETag"]).strip('"')
        self.version: str | None = head.get("VersionId")
        self.modified = head["LastModified"].timestamp()
        self.fetched = 0
        self._at = 0
        self._held = b""
        self._begin = 0
        self._length = FIRST
        self._blocks: dict[int, bytes] = {}
        self._next: Future[bytes] | None = None
        self._next_begin = 0
        self._lock = threading.Lock()

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of a file."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, f"a place before the begin: {base + offset}", self.name)
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fills the buffer as far as one range reaches; 0 at the end."""
        view = memoryview(buffer).cast("B")
        with self._lock:
            data = self._some(self._at, len(view))
            view[: len(data)] = data
            self._at += len(data)
        return len(data)

    def read(self, size: int | None = -1) -> bytes:
        """`size` bytes, fewer at the end only."""
        if size is None or size < 0:
            size = max(0, self.size - self._at)
        with self._lock:
            data = self._exactly(self._at, size)
            self._at += len(data)
        return data

    def read_at(self, offset: int, size: int) -> bytes:
        """Bytes at a place, fewer at the end; where reading goes on does not change."""
        with self._lock:
            return self._exactly(offset, size)

    def close(self) -> None:
        """Lets go of what was fetched."""
        self._held = b""
        self._blocks = {}
        self._next = None
        super().close()

    def _exactly(self, offset: int, size: int) -> bytes:
        parts = []
        while size > 0 and (part := self._some(offset, size)):
            parts.append(bytes(part))
            offset += len(part)
            size -= len(part)
        return b"".join(parts)

    def _some(self, offset: int, size: int) -> memoryview:
        """Up to `size` bytes at `offset`, one at least unless it ends there."""
        if offset >= self.size or size <= 0:
            return memoryview(b"")
        if not self._begin <= offset < self._begin + len(self._held):
            self._turn_to(offset, size)
        at = offset - self._begin
        return memoryview(self._held)[at : at + size]

    def _turn_to(self, offset: int, size: int) -> None:
        end = self._begin + len(self._held)
        if self._next is not None and offset == self._next_begin:
            coming, self._next = self._next, None
            self._held, self._begin = coming.result(), offset
            goes_on = True
        else:
            goes_on = bool(self._held) and offset == end
            self._next = None
            self._length = min(self._length * 2, MOST) if goes_on else FIRST
            if goes_on or size > FIRST:
                length = min(max(size, self._length), MOST)
                self._held, self._begin = self._fetch(offset, length), offset
            else:
                self._begin = offset - offset % FIRST
                self._held = self._block(self._begin)
        after = self._begin + len(self._held)
        if goes_on and after < self.size:
            self._length = min(self._length * 2, MOST)
            self._next_begin = after
            self._next = requests().submit(self._fetch, after, self._length)

    def _block(self, begin: int) -> bytes:
        """A range where reading jumps: what is read there once is often read again."""
        block = self._blocks.pop(begin, None)
        if block is None:
            block = self._fetch(begin, FIRST)
            if len(self._blocks) >= KEPT:
                del self._blocks[next(iter(self._blocks))]
        self._blocks[begin] = block
        return block

    def _fetch(self, offset: int, size: int) -> bytes:
        """A range; tried again where it breaks off in the middle, which boto3 does not."""
        from botocore.exceptions import BotoCoreError

        wanted = min(size, self.size - offset)
        which = {"VersionId": self.version} if self.version not in (None, "null") else {}
        for attempt in range(TRIES):
            answer = call(
                "get_object", self.name, Bucket=self.path.bucket, Key=self.path.key,
                Range=f"bytes={offset}-{offset + wanted - 1}", **which,
            )
            if str(answer["ETag"]).strip('"') != self.etag:
                raise Changed(errno.ESTALE, "it was replaced while it was read", self.name)
            try:
                data: bytes = answer["Body"].read()
            except (BotoCoreError, OSError) as error:
                if attempt + 1 == TRIES:
                    raise said(error, self.name) from error
            else:
                self.fetched += len(data)
                if len(data) == wanted:
                    return data
            time.sleep(random.uniform(0.0, 0.1 * 2**attempt))
        raise OSError(errno.EIO, f"S3 gives fewer bytes than it says at {offset}", self.name)
