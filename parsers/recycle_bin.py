r"""The recycle bin of Windows: what was deleted, from where, when.

Specification: "Windows Recycle Bin file formats" (libyal, dtformats).

- `$Recycle.Bin\<SID>\$I......`, since Windows Vista: a file for each deleted one, whose content
  stands beside it as `$R......`.
      version (8)  size (8)  deleted, FILETIME (8)  1: path of 260 units, 2: units (4) and path
- `RECYCLER\<SID>\INFO2`, Windows 95 to Server 2003: a list for all of them.
      header (20, with the size of a record)
      record = ANSI path (260)  index (4)  drive (4)  deleted, FILETIME (8)  size (4)  path (520)

A deleted file is a row of `artifact_query`, artifact `recycle_bin`. A record of INFO2 whose first
byte was set to zero was restored or deleted for good: `status` in `unmapped` says so.
"""

import re
import struct
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from tracelake.native.errors import EvidenceError
from tracelake.parsers.artifact import Artifact, Match, Parser, Rank
from tracelake.parsers.ntfs_names import moment, text
from tracelake.parsers.pyrows import NAME_GUESSED, TRUNCATED, PyRows

VERSION = "1"

FIXED_PATH = 260  # units of a path in version 1, and bytes in INFO2
HEAD = 24
MOST = 1 << 20  # bytes of a `$I`: paths are not longer than 64 KiB
INFO2_HEADER = 20
INFO2_ANSI, INFO2_UNICODE = 280, 800
RECORDS_AT_ONCE = 4096
FILE_QUERY = 5007
QUERY = 1
SID = re.compile(r"(?:^|[/\\])(S-1-5-21(?:-\d+){4})(?:[/\\]|$)", re.IGNORECASE)
# A path of a volume, of a share, or of a volume by its GUID.
ROOTED = re.compile(r"[A-Za-z]:\\|\\\\")
# The same in INFO2, where the first byte is zero of what is not in the bin any more.
ANSI_ROOTED = re.compile(rb"[A-Za-z\0]:\\|[\\\0]\\")


def text_until_nul(data: bytes) -> str:
    """UTF-16LE up to the first NUL."""
    return text(data).split("\0", 1)[0]


def match(head: bytes, path: str) -> tuple[Match, str]:
    """How sure it is that an artifact is of a recycle bin, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: its path inside its source.
    """
    name = path[max(path.rfind("/"), path.rfind("\\")) + 1 :].lower().replace("%24", "$")
    if len(head) >= HEAD + 8:
        version, size, ticks = struct.unpack_from("<QQQ", head)
        if version in (1, 2) and size < 1 << 60:
            start = HEAD if version == 1 else HEAD + 4
            rooted = ROOTED.match(text_until_nul(head[start : start + 8]))
            if rooted and (moment(ticks)[0] is not None or name.startswith("$i")):
                return Match.CONTENT, ""
            if name.startswith("$i"):
                return Match.NAME, "no path of a volume behind the header of a `$I`"
    if len(head) >= INFO2_HEADER:
        known = struct.unpack_from("<I", head, 12)[0] in (INFO2_ANSI, INFO2_UNICODE)
        first = head[INFO2_HEADER : INFO2_HEADER + FIXED_PATH]
        if known and (name == "info2" or (head[:4] == b"\5\0\0\0" and ANSI_ROOTED.match(first))):
            return Match.CONTENT, ""
        if name == "info2":
            return Match.NO, "named INFO2, but its records have no size that is known"
    return Match.NO, "no `$I` or INFO2 header"


def common(artifact: Artifact) -> dict[str, Any]:
    sid = SID.search(artifact.path)
    return {
        "class_uid": FILE_QUERY,
        "activity_id": QUERY,
        "artifact": "recycle_bin",
        "time_desc": "deleted",
        "user_uid": sid.group(1).upper() if sid else None,
    }


def subject(path: str) -> dict[str, Any]:
    return {
        "subject_path": path or None,
        "subject_name": path.rstrip("\\").rsplit("\\", 1)[-1] or None,
    }


def deleted(ticks: int) -> dict[str, Any]:
    us, ns = moment(ticks)
    return {"time": us, "time_ns": ns, "deleted_time": us}


def read_single(artifact: Artifact, rows: PyRows) -> None:
    """A `$I`: one deleted file."""
    data = artifact.feed.read(MOST)
    account = artifact.account
    if len(data) < HEAD:
        rows.damaged(0, len(data), "$I", f"the file ends after {len(data)} bytes")
        return
    version, size, ticks = struct.unpack_from("<QQQ", data)
    flags = 0
    if version == 1:
        end = HEAD + 2 * FIXED_PATH
        path = text_until_nul(data[HEAD:end])
    elif version == 2 and len(data) >= HEAD + 4:
        end = HEAD + 4 + 2 * int(struct.unpack_from("<I", data, HEAD)[0])
        path = text_until_nul(data[HEAD + 4 : end])
    else:
        why = f"version {version} is not known" if version != 2 else "the file ends in its header"
        rows.damaged(0, len(data), "$I", why)
        return
    if end > len(data):
        flags, end = TRUNCATED, len(data)
    rows.seen(end)
    account.bytes_slack += len(data) - end
    name = re.split(r"[/\\]", artifact.path)[-1]
    # What it was renamed to stands beside it: `$R` and the same six characters.
    kept = name[:1] + "R" + name[2:] if name[:2].lower() == "$i" else None
    rows.add(
        "artifact_query", 0, end, data[:end], flags=flags, **common(artifact), **subject(path),
        **deleted(ticks), subject_size=size if size < 1 << 63 else None,
        unmapped={"version": str(version)} | ({"kept_as": kept} if kept else {}),
    )  # fmt: skip


def read_list(artifact: Artifact, rows: PyRows) -> Iterator[tuple[str, pa.RecordBatch]]:
    """INFO2: all deleted files of a user and a volume."""
    feed, account = artifact.feed, artifact.account
    header = feed.read(INFO2_HEADER)
    if len(header) < INFO2_HEADER:
        rows.damaged(0, len(header), "INFO2 header", f"the file ends after {len(header)} bytes")
        return
    account.bytes_structure += len(header)
    length = struct.unpack_from("<I", header, 12)[0]
    if length not in (INFO2_ANSI, INFO2_UNICODE):
        rows.damaged(0, INFO2_HEADER, "INFO2 header", f"records of {length} bytes are not known")
        return
    count = 0
    while record := feed.read(length):
        at = feed.position - len(record)
        if len(record) < length:
            rows.damaged(at, len(record), "INFO2 record", "the file ends inside of it")
            return
        if not any(record):
            account.bytes_slack += length
            continue
        ansi = record[:FIXED_PATH].split(b"\0", 1)[0]
        gone = not record[0]
        index, drive, ticks, size = struct.unpack_from("<IIQI", record, FIXED_PATH)
        flags = 0
        if length == INFO2_UNICODE:
            path = text_until_nul(record[INFO2_ANSI:])
        else:
            # Its code page is said nowhere.
            raw = record[1:FIXED_PATH].split(b"\0", 1)[0] if gone else ansi
            path = raw.decode("cp1252", "replace")
            flags = 0 if raw.isascii() else NAME_GUESSED
            if gone and drive < 26:
                path = chr(65 + drive) + path
        rows.seen(length)
        rows.add(
            "artifact_query", at, length, record, flags=flags, **common(artifact),
            **subject(path), **deleted(ticks), subject_size=size,
            unmapped={
                "index": str(index),
                "drive": chr(65 + drive) if drive < 26 else str(drive),
                "status": "restored or deleted for good" if gone else "in the bin",
            },
        )  # fmt: skip
        count += 1
        if count % RECORDS_AT_ONCE == 0:
            yield from rows.full()


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields a row of `artifact_query` for each deleted file.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; the rows before that were yielded.
    """
    rows = PyRows(artifact)
    start = artifact.feed.peek(16)
    is_list = len(start) == 16 and struct.unpack_from("<I", start, 12)[0] in (
        INFO2_ANSI, INFO2_UNICODE,
    ) and start[:8] not in (b"\1" + bytes(7), b"\2" + bytes(7))  # fmt: skip
    stopped = None
    try:
        if is_list:
            yield from read_list(artifact, rows)
        else:
            read_single(artifact, rows)
    except EvidenceError as error:
        stopped = error
    yield from rows.rest()
    if stopped is not None:
        raise stopped


PARSER = Parser(
    "recycle_bin",
    VERSION,
    match,
    ("artifact_query",),
    read,
    files=("*/$recycle.bin/*/$i*", "$recycle.bin/*/$i*", "*recycler/*/info2", "*recycled/info2"),
    rank=Rank.USE,
)
