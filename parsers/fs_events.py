"""FSEvents of macOS: which files of a volume were changed, by pages of `/.fseventsd`.

Specification: "FSEvents disk log stream file" (libyal, dtformats). Files are compressed with gzip,
which is undone before they come here.

    page   = magic "1SLD", "2SLD" or "3SLD" (4)  unknown (4)  bytes with the header (4)  record*
    record = path in UTF-8 with a NUL  event id (8)  flags (4)
             since 2SLD: node (8)   since 3SLD: unknown (4)

A record has no time: the pages of a file were written before the file was (its own time), and ids
only rise. A path begins at the volume's root. Several changes of one file are one record.
"""

import re
import struct
from collections.abc import Iterator

import pyarrow as pa

from tracelake.native.errors import Corrupt, EvidenceError, Truncated
from tracelake.parsers.artifact import Artifact, Match, Parser, Rank
from tracelake.parsers.pyrows import PyRows

VERSION = "1"
HEADER = 12
MOST_PAGE = 16 << 20
# What follows a path, by version.
TAILS = {b"1SLD": 12, b"2SLD": 20, b"3SLD": 24}
MAGIC = re.compile(rb"[123]SLD")
FLAGS = {
    0x1: "created", 0x2: "removed", 0x4: "inode metadata modified", 0x8: "renamed",
    0x10: "modified", 0x20: "exchanged", 0x40: "finder info modified", 0x80: "folder created",
    0x100: "permission changed", 0x200: "extended attribute modified",
    0x400: "extended attribute removed", 0x1000: "document revision",
    0x4000: "item cloned", 0x80000: "last hard link removed", 0x100000: "hard link",
    0x400000: "symbolic link", 0x800000: "file", 0x1000000: "folder", 0x2000000: "mount",
    0x4000000: "unmount", 0x20000000: "end of transaction",
}  # fmt: skip
CREATED, REMOVED, RENAMED, MODIFIED = 0x81, 0x80002, 0x8, 0x30
PERMISSION, ATTRIBUTES = 0x100, 0x644
MOUNT, UNMOUNT = 0x2000000, 0x4000000
# File System Activity: the strongest of the changes that a record joins.
ACTIVITIES = (
    (REMOVED, 4), (CREATED, 1), (RENAMED, 5), (MODIFIED, 3), (PERMISSION, 7), (ATTRIBUTES, 6),
    (MOUNT, 12), (UNMOUNT, 13),
)  # fmt: skip
OTHER = 99


def match(head: bytes, _path: str) -> tuple[Match, str]:
    """How sure it is that an artifact is such a file, and why not."""
    if MAGIC.match(head) and len(head) >= HEADER:
        size = struct.unpack_from("<I", head, 8)[0]
        if HEADER <= size <= MOST_PAGE:
            return Match.CONTENT, ""
    return Match.NO, "no page of FSEvents (1SLD, 2SLD, 3SLD) at its start"


def names_of(flags: int) -> str:
    known = [name for bit, name in FLAGS.items() if flags & bit]
    rest = flags & ~sum(FLAGS)
    return ", ".join([*known, *([f"{rest:#x}"] if rest else [])])


def activity_of(flags: int) -> int:
    return next((activity for bits, activity in ACTIVITIES if flags & bits), OTHER)


def read_page(page: bytes, start: int, rows: PyRows) -> int:
    """Adds the records of a page; returns the bytes that were read of it.

    Args:
        page: its bytes. start: where it stands in the artifact.
    """
    tail = TAILS[page[:4]]
    at = HEADER
    while at < len(page):
        end = page.find(b"\0", at)
        if end < 0 or end + 1 + tail > len(page):
            rows.damaged(start + at, len(page) - at, "record", "the page ends inside of it")
            return at
        event, flags = struct.unpack_from("<QI", page, end + 1)
        record = page[at : end + 1 + tail]
        rows.seen(len(record))
        raw = page[at:end]
        path = raw.decode("utf-8", "replace")
        unmapped = {"flags": names_of(flags)}
        if tail >= 20:
            unmapped["node"] = str(struct.unpack_from("<Q", page, end + 13)[0])
        if tail >= 24:
            unmapped["unknown"] = str(struct.unpack_from("<I", page, end + 21)[0])
        rows.add(
            "file_activity", start + at, len(record), record,
            flags=0 if raw.isascii() or path.encode() == raw else 128,
            activity_id=activity_of(flags), file_path="/" + path,
            file_name=path.rsplit("/", 1)[-1] or None, log_provider="fsevents",
            event_code=f"{flags:#010x}",
            src_record_id=event if event < 1 << 63 else None,
            original_event_uid=str(event), unmapped=unmapped,
        )  # fmt: skip
        at = end + 1 + tail
    return at


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields a row of `file_activity` for each record.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; the rows before that were yielded.
    """
    rows = PyRows(artifact)
    feed, account = artifact.feed, artifact.account
    stopped: EvidenceError | None = None
    try:
        while head := feed.peek(HEADER):
            start = feed.position
            if len(head) < HEADER or head[:4] not in TAILS:
                if not any(head):
                    while zeros := feed.read(65536):
                        account.bytes_slack += len(zeros)
                    break
                raise Corrupt("page header", start, f"its magic is {head[:4]!r}")
            size = struct.unpack_from("<I", head, 8)[0]
            if not HEADER <= size <= MOST_PAGE:
                raise Corrupt("page header", start, f"a page of {size} bytes")
            page = feed.read(size)
            account.bytes_structure += min(HEADER, len(page))
            read_page(page, start, rows)
            yield from rows.full()
            if len(page) < size:
                raise Truncated("page", start, f"{len(page)} of its {size} bytes are there")
    except EvidenceError as error:
        stopped = error
    yield from rows.rest()
    if stopped is not None:
        raise stopped


PARSER = Parser(
    "fs_events", VERSION, match, ("file_activity",), read,
    files=("*.fseventsd/*", ".fseventsd/*"), rank=Rank.FILE_SYSTEM,
)  # fmt: skip
