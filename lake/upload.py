"""A data file on its way to S3: written to a spool, sent while more of it is written.

The spool is a file without a name in the folder for temporary files (TMPDIR): what is killed leaves
nothing of it. Parts leave it as soon as they are full, in threads; a part in memory at a time for
each thread is all that is held. What fits into one part is one request.

Verified: each part carries its MD5, which S3 compares with what it received. What S3 says of the
finished object, its ETag and its length, is compared with ours. An ETag that is no MD5 (where a KMS
key encrypts) says nothing: then the object is read back and its SHA-256 compared with the spool's.
"""

import base64
import contextlib
import errno
import hashlib
import os
import tempfile
from concurrent.futures import Future, wait
from dataclasses import dataclass

from tracelake.lake.ranges import S3File
from tracelake.lake.s3 import S3Path, call, requests

PART = 8 << 20
"""Bytes of a part."""

AHEAD = 16
"""Parts that wait to be sent, of one file, before its writer waits for them."""


@dataclass(frozen=True, slots=True)
class _Part:
    number: int
    md5: bytes
    etag: str


class Upload:
    """One file. Its bytes are written to `sink` (or `handle`) by whoever makes it.

    Attributes:
        handle: of the spool, for reading and writing. sink: a path that opens it once more.

    Raises:
        OSError: the spool cannot be made.
    """

    def __init__(self) -> None:
        handle, path = tempfile.mkstemp(prefix="tracelake-spool-")
        os.unlink(path)
        self.handle = handle
        self.sink = f"/dev/fd/{handle}"
        self.where = f"{os.path.dirname(path)} (the spool of what goes to S3; TMPDIR says where)"
        self._path: S3Path | None = None
        self._size = 0
        self._begun = 0
        self._id: str | None = None
        self._parts: list[Future[_Part]] = []
        self._whole: Future[_Part] | None = None

    def more(self, path: S3Path) -> None:
        """Sends the parts that are full: what was written so far stays as it is.

        Raises:
            OSError: an earlier part could not be sent.
        """
        there = os.fstat(self.handle).st_size
        while there - self._begun > PART:
            self._send(path, PART)
        while len(waiting := [part for part in self._parts if not part.done()]) > AHEAD:
            wait(waiting[:1])
        for part in self._parts:
            if part.done():
                part.result()

    def finish(self, path: S3Path) -> int:
        """Sends the rest of it; the file is whole. Its size in bytes."""
        self._path = path
        self._size = os.fstat(self.handle).st_size
        if self._id is None and self._size <= PART:
            self._whole = requests().submit(self._put, path)
        else:
            while self._begun < self._size:
                self._send(path, min(PART, self._size - self._begun))
        return self._size

    def wait(self) -> None:
        """Returns when it is an object on S3 that holds what was written. Lets go of the spool.

        Raises:
            OSError: it could not be sent, or S3 holds something else.
        """
        if self._path is None or self.handle < 0:
            return
        if self._whole is not None:
            whole = self._whole.result()
            etag, expected = whole.etag, whole.md5.hex()
        else:
            parts = [part.result() for part in self._parts]
            digests = hashlib.md5(b"".join(part.md5 for part in parts), usedforsecurity=False)
            expected = f"{digests.hexdigest()}-{len(parts)}"
            etag = self._complete(self._path, parts, expected)
        if etag != expected:
            self._read_back(self._path)
        self._release()

    def discard(self) -> None:
        """Gives it up, and removes what of it is on S3."""
        sent = [*self._parts, *([self._whole] if self._whole is not None else [])]
        for future in sent:
            future.cancel()
        wait([future for future in sent if not future.cancelled()])
        path, number = self._path, self._id
        # What cannot be removed is swept later, as what a killed run leaves.
        if path is not None:
            with contextlib.suppress(OSError):
                if number is not None and self.handle >= 0:
                    call("abort_multipart_upload", str(path), Bucket=path.bucket, Key=path.key,
                         UploadId=number)
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        self._release()

    def _release(self) -> None:
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1

    def _send(self, path: S3Path, size: int) -> None:
        if self._id is None:
            self._path = path
            begun = call("create_multipart_upload", str(path), Bucket=path.bucket, Key=path.key)
            self._id = str(begun["UploadId"])
        number = len(self._parts) + 1
        self._parts.append(
            requests().submit(self._send_part, path, self._id, number, self._begun, size)
        )
        self._begun += size

    def _send_part(self, path: S3Path, upload: str, number: int, offset: int, size: int) -> _Part:
        data = os.pread(self.handle, size, offset)
        if len(data) != size:
            raise OSError(errno.EIO, f"the spool has {len(data)} of {size} bytes", self.where)
        md5 = hashlib.md5(data, usedforsecurity=False).digest()
        answer = call(
            "upload_part", str(path), Bucket=path.bucket, Key=path.key, UploadId=upload,
            PartNumber=number, Body=data, ContentMD5=base64.b64encode(md5).decode(),
        )
        return _Part(number, md5, str(answer["ETag"]))

    def _put(self, path: S3Path) -> _Part:
        data = os.pread(self.handle, self._size, 0)
        md5 = hashlib.md5(data, usedforsecurity=False).digest()
        answer = call(
            "put_object", str(path), Bucket=path.bucket, Key=path.key, Body=data,
            ContentMD5=base64.b64encode(md5).decode(),
        )
        return _Part(1, md5, str(answer["ETag"]).strip('"'))

    def _complete(self, path: S3Path, parts: list[_Part], expected: str) -> str:
        """Makes an object of the parts; its ETag."""
        listed = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        # The upload is not there any more where it was completed, an answer was lost, and the
        # request was sent again. What is there is compared all the same.
        with contextlib.suppress(FileNotFoundError):
            call(
                "complete_multipart_upload", str(path), Bucket=path.bucket, Key=path.key,
                UploadId=self._id, MultipartUpload={"Parts": listed},
            )
        head = call("head_object", str(path), Bucket=path.bucket, Key=path.key)
        if head["ContentLength"] != self._size:
            raise OSError(
                errno.EIO, f"S3 has {head['ContentLength']} bytes of {self._size} that were sent",
                str(path),
            )
        return str(head["ETag"]).strip('"')

    def _read_back(self, path: S3Path) -> None:
        """Compares the object with the spool by their SHA-256.

        Raises:
            OSError: they differ.
        """
        ours = hashlib.sha256()
        theirs = hashlib.sha256()
        at = 0
        with S3File(path) as file:
            while data := os.pread(self.handle, PART, at):
                ours.update(data)
                theirs.update(file.read(len(data)))
                at += len(data)
            longer = file.size != at
        if longer or ours.digest() != theirs.digest():
            raise OSError(errno.EIO, "S3 holds other bytes than were sent", str(path))
