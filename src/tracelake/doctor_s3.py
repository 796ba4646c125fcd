"""Can a lake be kept at a place on S3: what it can do, and what these credentials may."""

import contextlib
import secrets
from collections.abc import Callable, Iterator

from tracelake.lake.errors import LakeError
from tracelake.lake.s3 import S3Path, address, call, connection

# More than one part may be: a part has 5 MiB at least.
PART = 5 << 20


def look_at(lake: S3Path) -> Iterator[tuple[str, bool, str]]:
    """(what was looked at, whether it is well, what was found), one by one.

    What it writes below the prefix it removes again.
    """
    try:
        at = address(lake.bucket)
    except (LakeError, OSError) as error:
        yield "s3", False, _why(error)
        return
    style = "bucket in the host's name" if at.virtual else "bucket in the path"
    yield "s3", True, f"{at.endpoint or 'AWS'}, region {at.region}, {style}"
    keys = connection().credentials
    yield "credentials", True, f"{connection().frozen(str(lake))[0]} ({keys.method})"
    yield from _queries()
    probe = lake / f".tracelake-doctor-{secrets.token_hex(8)}"
    try:
        yield from _try("lake", f"{lake} can be listed", lambda: list(_first(lake)))
        yield from _try(
            "write", "an object can be put where there is none", lambda: _absent(probe)
        )
        yield from _try("read", "it can be read", lambda: _same(probe))
        yield from _try("multipart", "large files can be put", lambda: _multipart(probe))
    finally:
        gone = _try("remove", "objects can be removed", lambda: probe.unlink(missing_ok=True))
        removed = list(gone)
    yield from removed


def _queries() -> Iterator[tuple[str, bool, str]]:
    from tracelake.analysis.remote import extension

    try:
        yield "httpfs", True, str(extension())
    except LakeError as error:
        yield "httpfs", False, str(error)


def _first(lake: S3Path) -> Iterator[S3Path]:
    for path in lake.iterdir():
        yield path
        return


def _absent(probe: S3Path) -> None:
    if not probe.put_if_absent(b"first"):
        raise LakeError("it says that a new object was there already")
    if probe.put_if_absent(b"second"):
        raise LakeError(
            "it does not honour If-None-Match: two ingests at once would lose rows, use another "
            "service or version"
        )


def _same(probe: S3Path) -> None:
    if probe.read_bytes() != b"first":
        raise LakeError("it gives other bytes than were written")


def _multipart(probe: S3Path) -> None:
    where = {"Bucket": probe.bucket, "Key": probe.key}
    upload = call("create_multipart_upload", str(probe), **where)["UploadId"]
    try:
        call("upload_part", str(probe), **where, UploadId=upload, PartNumber=1, Body=bytes(PART))
    finally:
        with contextlib.suppress(OSError):
            call("abort_multipart_upload", str(probe), **where, UploadId=upload)


def _try(
    name: str, well: str, do: Callable[[], object]
) -> Iterator[tuple[str, bool, str]]:
    try:
        do()
    except (LakeError, OSError) as error:
        yield name, False, _why(error)
    else:
        yield name, True, well


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)
