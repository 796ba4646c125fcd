"""Indexes of folders of NTFS ($I30): the files that a folder has, and some that it had.

Specification: "NT File System (NTFS) format" (libyal, libfsntfs), indexes.

    $I30 = record ...               record (mostly 4096) = "INDX" header (24) node header (16)
                                             entries, slack
    entry = file (8)  length (2)  content's length (2)  flags (4)  $FILE_NAME

An entry is a row of `file_query` (log_name `$I30`), its times those of $FILE_NAME, which here are
kept as $STANDARD_INFORMATION's are. What was taken out of an index stays in the slack behind its
last entry until something is written over it: rows with parse_flags 2 and without `in_use`.

A record that is not one, or whose entries lead nowhere, is a damage row; of one whose sectors are
of different writings the rows have parse_flags 4.
"""

import re
import struct
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from tracelake.native.errors import EvidenceError
from tracelake.parsers.artifact import NO_ROWS_YET, Artifact, Match, Parser, Rank
from tracelake.parsers.ntfs_names import file_name, reference, undone
from tracelake.parsers.pyrows import CHECKSUM_BAD, FROM_SLACK, PyRows

VERSION = "1"

USUAL = 4096
SIZES = (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)
NODE = 24  # where the node header begins
ENTRY_HEADER = 16
LAST = 2
QUERY = 1
RECORDS_AT_ONCE = 256
# The end of the header of a $FILE_NAME: attributes without unknown bits, a reparse tag, units,
# namespace.
TAIL = re.compile(rb"..\x00[\x00\x10\x20\x30].{4}[\x01-\xff][\x00-\x03]", re.DOTALL)


def size_of(head: bytes) -> int:
    """Bytes of a record, by the header of the first; 0: it is none."""
    if len(head) < 64 or head[:4] not in (b"INDX", b"BAAD"):
        return 0
    size = 512 * (int(struct.unpack_from("<H", head, 6)[0]) - 1)
    first, used, room = struct.unpack_from("<III", head, NODE)
    if size not in SIZES or not 16 <= first <= used <= room or room + NODE > size:
        return 0
    return size


def match(head: bytes, path: str) -> tuple[Match, str]:
    """How sure it is that an artifact is an index of a folder, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: its path inside its source.
    """
    if size_of(head):
        return Match.CONTENT, ""
    if "$i30" in path.lower().replace("%24", "$"):
        return Match.NAME, "no INDX record at its start"
    return Match.NO, "no INDX record at its start"


class _Index:
    """An index being read."""

    def __init__(self, artifact: Artifact) -> None:
        self.feed = artifact.feed
        self.account = artifact.account
        self.rows = PyRows(artifact)

    def read(self) -> Iterator[tuple[str, pa.RecordBatch]]:
        size = size_of(self.feed.peek(64)) or USUAL
        number = 0
        while data := self.feed.read(size):
            self.record(data, self.feed.position - len(data), size)
            number += 1
            if number % RECORDS_AT_ONCE == 0:
                yield from self.rows.full()
                yield NO_ROWS_YET

    def record(self, data: bytes, at: int, size: int) -> None:
        """One INDX record."""
        if not any(data):
            self.account.bytes_slack += len(data)
            return
        if len(data) < size:
            self.rows.damaged(at, len(data), "INDX record", "the index ends inside of it")
            return
        if data[:4] not in (b"INDX", b"BAAD"):
            self.rows.damaged(at, size, "INDX record", "no INDX signature")
            return
        data, whole = undone(data)
        flags = 0 if whole and data[:4] == b"INDX" else CHECKSUM_BAD
        first, used, room = struct.unpack_from("<III", data, NODE)
        if not 16 <= first <= used <= room or room + NODE > size:
            self.rows.damaged(at, size, "INDX record", "its entries are not inside of it")
            return
        self.account.bytes_structure += NODE + first
        end, place = NODE + used, NODE + first
        while place + ENTRY_HEADER <= end:
            file, length, content, kind = struct.unpack_from("<QHHI", data, place)
            if length < ENTRY_HEADER or length & 7 or place + length > end:
                self.rows.damaged(
                    at + place, end - place, "index entry", f"a length of {length} bytes"
                )
                self.slack(data, at, place + 8, end + room - used, flags)
                return
            if kind & LAST:
                self.account.bytes_structure += length
                place += length
                break
            self.entry(data, at, place, file, length, content, flags)
            place += length
        self.account.bytes_slack += size - place
        self.slack(data, at, place, size, flags)

    def entry(
        self, data: bytes, at: int, place: int, file: int, length: int, content: int, flags: int
    ) -> None:
        """An entry that the index has."""
        start = place + ENTRY_HEADER
        found = file_name(data, start, min(start + content, place + length))
        if found is None:
            self.rows.damaged(at + place, length, "index entry", "no $FILE_NAME in it")
            return
        self.rows.seen(length)
        self.rows.add(
            "file_query", at + place, length, data[place : place + length], flags=flags,
            log_name="$I30", activity_id=QUERY, in_use=True, **reference(file), **found.columns(),
        )  # fmt: skip

    def slack(self, data: bytes, at: int, start: int, end: int, flags: int) -> None:
        """Entries behind the last one, or what is left of them."""
        place = start
        while tail := TAIL.search(data, place + 56, end):
            begin = tail.start() - 56
            found = file_name(data, begin, end)
            if begin < start or found is None or not found.plausible:
                place = begin + 1
                continue
            # The header before it tells the file, where it is still there.
            known: dict[str, Any] = {}
            where = begin
            if begin - ENTRY_HEADER >= start:
                file, length, content, _ = struct.unpack_from("<QHHI", data, begin - ENTRY_HEADER)
                fits = content == found.length and length >= ENTRY_HEADER + content
                if fits and length < ENTRY_HEADER + content + 16:
                    known, where = reference(file), begin - ENTRY_HEADER
            stop = begin + found.length
            self.rows.seen()
            self.rows.add(
                "file_query", at + where, stop - where, data[where:stop],
                flags=flags | FROM_SLACK, log_name="$I30", activity_id=QUERY, **known,
                **found.columns(),
            )  # fmt: skip
            place = stop


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields a row of `file_query` for each entry, those in slack flagged.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; the rows before that were yielded.
    """
    index = _Index(artifact)
    stopped = None
    try:
        yield from index.read()
    except EvidenceError as error:
        stopped = error
    yield from index.rows.rest()
    if stopped is not None:
        raise stopped


PARSER = Parser(
    "ntfs_index",
    VERSION,
    match,
    ("file_query",),
    read,
    files=("*:$i30", "*/$i30", "$i30"),
    rank=Rank.FILE_SYSTEM,
)
