"""The log of NTFS ($LogFile): names of files that were made, renamed and deleted lately.

Specification: "NTFS $LogFile" (linux-ntfs documentation, logfile.h), "NT File System (NTFS) format"
(libyal, libfsntfs).

    $LogFile = restart page "RSTR" (2)  record page "RCRD" ...      (pages: mostly 4096)
    page     = header (40) update sequence, records; a record may go on in the next page
    record   = lsn (8) lsn before (8) lsn to undo (8) length (4) client (4) type (4)
               transaction (4) flags (2) 6 bytes, and for the client: redo and undo operation,
               where their data are, ...

A record's place follows from its number (lsn): so it is told apart from what else stands in a
page, and found also in pages that the log has gone round, between newer ones.

**Rows** (`file_activity`, log_name `$LogFile`, all with parse_flags 2: the log says what was to be
written, not what is):

| operation | activity | what is known |
|---|---|---|
| AddIndexEntryRoot, -Allocation | 1 made | the name, its folder, the file's entry |
| DeleteIndexEntryRoot, -Allocation | 4 deleted | the same |
| InitializeFileRecordSegment | 1 made | all that a new entry says |
| CreateAttribute, DeleteAttribute of a $FILE_NAME | 1, 4 | name and folder |
| UpdateNonresidentValue that writes the change journal | as there | the records of the journal |

A renamed file is deleted from one index and added to another in one `transaction`. The log has no
times of its own: `time` is that of the journal's record or null, times of files are in `unmapped`.
Records without a name are counted by `other`, repeated pages as duplicates.
"""

import struct
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from tracelake.native.errors import EvidenceError
from tracelake.parsers.artifact import NO_ROWS_YET, Artifact, Match, Parser, Rank
from tracelake.parsers.ntfs_names import (
    ENTRY,
    FileName,
    file_name,
    moment,
    moment_text,
    reference,
    text,
    undone,
)
from tracelake.parsers.pyrows import CHECKSUM_BAD, FROM_SLACK, PyRows

VERSION = "1"

USUAL = 4096
PAGE_HEADER = 40
HEADER = 48  # of a log record
CLIENT = 32  # of what NTFS says in it
MOST = 1 << 20  # bytes of a log record
PAGES_AT_ONCE = 256
ATTRIBUTE = 24  # header of a resident attribute
SEEN_MOST = 2_000_000  # numbers of records that are remembered

INITIALIZE, CREATE, DELETE, NONRESIDENT = 0x02, 0x05, 0x06, 0x08
OPERATIONS = (
    "Noop", "CompensationLogRecord", "InitializeFileRecordSegment",
    "DeallocateFileRecordSegment", "WriteEndOfFileRecordSegment", "CreateAttribute",
    "DeleteAttribute", "UpdateResidentValue", "UpdateNonresidentValue", "UpdateMappingPairs",
    "DeleteDirtyClusters", "SetNewAttributeSizes", "AddIndexEntryRoot", "DeleteIndexEntryRoot",
    "AddIndexEntryAllocation", "DeleteIndexEntryAllocation", "WriteEndOfIndexBuffer",
    "SetIndexEntryVcnRoot", "SetIndexEntryVcnAllocation", "UpdateFileNameRoot",
    "UpdateFileNameAllocation", "SetBitsInNonresidentBitMap", "ClearBitsInNonresidentBitMap",
    "HotFix", "EndTopLevelAction", "PrepareTransaction", "CommitTransaction",
    "ForgetTransaction", "OpenNonresidentAttribute", "OpenAttributeTableDump",
    "AttributeNamesDump", "DirtyPageTableDump", "TransactionTableDump",
    "UpdateRecordDataRoot", "UpdateRecordDataAllocation",
)  # fmt: skip
ADDS = {0x0C, 0x0E}
REMOVES = {0x0D, 0x0F}
TELLS = ADDS | REMOVES | {INITIALIZE, CREATE, DELETE, NONRESIDENT}
MADE, WRITTEN, DELETED, RENAMED, SECURED, CHANGED, OTHER = 1, 3, 4, 5, 7, 6, 99
_RECORD = struct.Struct("<QQQIIIIH")
_CLIENT = struct.Struct("<HHHHHHHHHHHHQ")
_USN = struct.Struct("<IHHQQqQIIIIHH")


def match(head: bytes, path: str) -> tuple[Match, str]:
    """How sure it is that an artifact is a $LogFile, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: its path inside its source.
    """
    if len(head) >= 64 and head[:4] in (b"RSTR", b"RCRD", b"CHKD"):
        at, count = struct.unpack_from("<HH", head, 4)
        if 30 <= at <= 64 and 2 <= count <= 129:
            return Match.CONTENT, ""
    if path.lower().replace("%24", "$").rstrip("_").endswith("$logfile"):
        return Match.NAME, "no restart page at its start"
    return Match.NO, "no restart page at its start"


def operation(number: int) -> str:
    return OPERATIONS[number] if number < len(OPERATIONS) else f"0x{number:x}"


class _Log:
    """A log being read."""

    def __init__(self, artifact: Artifact) -> None:
        self.feed = artifact.feed
        self.account = artifact.account
        self.rows = PyRows(artifact)
        self.page_size = USUAL
        self.bits = 0  # of a lsn, those that are not its place; 0: not known
        # A record that goes on in the next page: its place, its length, its bytes, its flags.
        self.begun: tuple[int, int, bytes, int] | None = None
        self.next_page = 0  # where that is
        self.first: bytes | None = None  # of the pages that the log goes round
        self.seen: set[int] = set()
        self.other = 0
        self.names: dict[tuple[str, int], int] = {}

    def read(self) -> Iterator[tuple[str, pa.RecordBatch]]:
        head = self.feed.peek(64)
        if head[:4] in (b"RSTR", b"CHKD") and len(head) == 64:
            size = struct.unpack_from("<I", head, 20)[0]
            if size in (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536):
                self.page_size = size
        number = 0
        while page := self.feed.read(self.page_size):
            self.page(page, self.feed.position - len(page))
            number += 1
            if number % PAGES_AT_ONCE == 0:
                yield from self.rows.full()
                yield NO_ROWS_YET
        if self.begun is not None and self.first is not None:
            # Where the log goes round.
            self.go_on(self.first, False)
        self.begun = None
        if self.other:
            self.account.counters["other"] = self.other

    def page(self, page: bytes, at: int) -> None:
        """One page, of whatever kind."""
        if len(page) < self.page_size:
            if any(page):
                self.rows.damaged(at, len(page), "log page", "the log ends inside of it")
            else:
                self.account.bytes_slack += len(page)
            return
        signature = page[:4]
        if signature in (b"RSTR", b"CHKD"):
            self.account.bytes_structure += len(page)
            self.restart(undone(page)[0])
            return
        if signature != b"RCRD":
            # Pages that were never used are filled with ones.
            if page.count(page[:1]) == len(page) and page[0] in (0, 0xFF):
                self.account.bytes_slack += len(page)
            else:
                self.rows.damaged(at, len(page), "log page", "no RCRD signature")
            self.begun = None
            return
        page, whole = undone(page)
        flags = FROM_SLACK if whole else FROM_SLACK | CHECKSUM_BAD
        start = self.data(page)
        if start is None:
            self.rows.damaged(at, len(page), "log page", "its header leads out of it")
            self.begun = None
            return
        self.account.bytes_structure += start
        place = start
        if at >= 4 * self.page_size and self.first is None:
            self.first = page
        if self.begun is not None and at == self.next_page:
            place = self.go_on(page, True)
        else:
            self.begun = None
        # Copies of the last page stand in front: their records belong elsewhere.
        base = at
        copied = struct.unpack_from("<Q", page, 8)[0]
        if at < 64 * self.page_size and copied % self.page_size == 0 and copied < 1 << 40:
            base = copied if copied else at
        self.records(page, at, base, place, flags)

    def data(self, page: bytes) -> int | None:
        """Where a page's records begin."""
        at, count = struct.unpack_from("<HH", page, 4)
        start = int(at + 2 * count + 7) & ~7
        return start if PAGE_HEADER <= start <= len(page) - HEADER else None

    def restart(self, page: bytes) -> None:
        """What a restart page says of the numbers of records."""
        area = struct.unpack_from("<H", page, 24)[0]
        if area + 32 <= len(page):
            bits = struct.unpack_from("<I", page, area + 16)[0]
            if 30 <= bits <= 50:
                self.bits = bits

    def where(self, lsn: int) -> int:
        """The place in the log that a record of this number has."""
        return (lsn << self.bits & 0xFFFFFFFFFFFFFFFF) >> self.bits << 3

    def guess(self, page: bytes, base: int, start: int) -> None:
        """How many bits of a number are not its place, where no restart page says so."""
        for place in range(start, len(page) - HEADER, 8):
            lsn = struct.unpack_from("<Q", page, place)[0]
            for bits in range(50, 34, -1):
                self.bits = bits
                fits = lsn >> 64 - bits and self.where(lsn) == base + place
                if fits and self.header(page, place) is not None:
                    return
        self.bits = 0

    def header(self, page: bytes, place: int) -> tuple[Any, ...] | None:
        """A record's header, if it can be one."""
        found = _RECORD.unpack_from(page, place)
        lsn, before, undo, length, _, kind, _, flags = found
        if not 0 < kind <= 2 or flags > 1 or not CLIENT <= length <= MOST or lsn >> 63:
            return None
        return found if before < lsn and undo < lsn else None

    def records(self, page: bytes, at: int, base: int, place: int, flags: int) -> None:
        """The log records of a page, from `place` on."""
        begin = place
        if not self.bits:
            self.guess(page, base, place)
            if not self.bits:
                self.account.bytes_slack += len(page) - begin
                return
        words = struct.unpack(f"<{len(page) // 8}Q", page)
        mask = (1 << 64 - self.bits) - 1
        while place + HEADER <= len(page):
            lsn = words[place >> 3]
            found = None
            if lsn & mask == base + place >> 3 and lsn:
                found = self.header(page, place)
            if found is None:
                place += 8
                self.account.bytes_slack += 8
                continue
            size = HEADER + found[3]
            end = place + (size + 7 & ~7)
            if end > len(page):
                if base == at:
                    self.begun = (at + place, size, page[place:], flags)
                    self.next_page = at + len(page)
                else:
                    self.lost(at + place, len(page) - place)
                self.account.bytes_records += len(page) - place
                return
            self.account.bytes_records += end - place
            self.record(at + place, page[place : place + size], flags)
            place = end
        self.account.bytes_slack += len(page) - place

    def lost(self, at: int, length: int) -> None:
        """A record of which the rest is not there."""
        self.account.records += 1
        self.other += 1

    def go_on(self, page: bytes, counts: bool) -> int:
        """Goes on with a record in the next page; where the next record may begin.

        Args:
            counts: the page's bytes were not accounted for before.
        """
        assert self.begun is not None
        start = self.data(page)
        if start is None:
            self.begun = None
            return len(page)
        place, size, data, flags = self.begun
        self.begun = None
        part = page[start : start + size - len(data)]
        data += part
        if len(data) < size and len(part) == len(page) - start:
            self.begun = (place, size, data, flags)
            self.next_page += len(page)
            end = len(page)
        else:
            self.record(place, data, flags)
            end = min(start + (len(part) + 7 & ~7), len(page))
        if counts:
            self.account.bytes_records += end - start
        return end

    # --- one record ------------------------------------------------------------------------

    def record(self, at: int, data: bytes, flags: int) -> None:
        """One whole log record."""
        lsn, _, _, _, _, kind, transaction, _ = _RECORD.unpack_from(data)
        self.account.records += 1
        if lsn in self.seen:
            self.account.duplicates += 1
            return
        if len(self.seen) < SEEN_MOST:
            self.seen.add(lsn)
        if kind != 1:
            self.other += 1
            return
        redo = struct.unpack_from("<H", data, HEADER)[0]
        rows = self.told(redo, data) if redo in TELLS else []
        if not rows:
            self.other += 1
            return
        _, undo, _, _, _, _, target, _, place, inside, block, _, vcn = (
            _CLIENT.unpack_from(data, HEADER)
        )
        said = {
            "undo": operation(undo),
            "transaction": f"0x{transaction:x}",
            "target_attribute": str(target),
            "target_vcn": str(vcn & 0xFFFFFFFF),
            "record_offset": str(place),
            "attribute_offset": str(inside),
            "block": str(block),
        }
        self.account.in_rows += 1
        for columns, more in rows:
            self.rows.add(
                "file_activity", at, min(len(data), self.page_size - at % self.page_size), data,
                flags=flags, log_name="$LogFile", event_code=operation(redo), src_record_id=lsn,
                unmapped=said | more, **columns,
            )  # fmt: skip

    def told(self, redo: int, data: bytes) -> list[tuple[dict[str, Any], dict[str, str]]]:
        """As `found`, of a record's bytes."""
        client = data[HEADER:]
        _, _, new_at, new_n, old_at, old_n = struct.unpack_from("<6H", client)
        return list(
            self.found(redo, client[new_at : new_at + new_n], client[old_at : old_at + old_n])
        )

    def found(
        self, redo: int, new: bytes, old: bytes
    ) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
        """Columns and further fields of the rows that an operation gives."""
        if redo in ADDS or redo in REMOVES:
            data = new if redo in ADDS else old
            if len(data) >= 16:
                file, _, content = struct.unpack_from("<QHH", data)
                name = file_name(data, 16, min(16 + content, len(data)))
                if name is not None and name.plausible:
                    activity = MADE if redo in ADDS else DELETED
                    yield self.named(name, file, activity)
        elif redo in (CREATE, DELETE):
            data = new if redo == CREATE else old
            name = self.attribute(data, 0, len(data))
            if name is not None:
                yield self.named(name, None, MADE if redo == CREATE else DELETED)
        elif redo == INITIALIZE:
            yield from self.entry(new)
        elif redo == NONRESIDENT:
            yield from self.journal(new)

    def attribute(self, data: bytes, at: int, end: int) -> FileName | None:
        """The $FILE_NAME that an attribute is, if it is one."""
        if at + ATTRIBUTE > end or struct.unpack_from("<I", data, at)[0] != 0x30 or data[at + 8]:
            return None
        size, start = struct.unpack_from("<IH", data, at + 16)
        name = file_name(data, at + start, min(at + start + size, end))
        return name if name is not None and name.plausible else None

    def named(
        self, name: FileName, file: int | None, activity: int
    ) -> tuple[dict[str, Any], dict[str, str]]:
        known = name.columns()
        kept = (
            "file_path", "file_name", "file_ext", "file_size", "mft_parent_entry",
            "mft_parent_seq", "file_attributes",
        )  # fmt: skip
        columns = {key: known[key] for key in kept} | {
            "activity_id": activity, "file_created_time": known["fn_created"],
        }  # fmt: skip
        if file is not None:
            columns |= reference(file)
        keys = ("fn_created", "fn_modified", "fn_changed", "fn_accessed")
        return columns, {key: moment_text(t) for key, t in zip(keys, name.times, strict=True)}

    def entry(self, data: bytes) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
        """What a new FILE record says: a row for each of its names."""
        if len(data) < 56 or data[:4] != b"FILE":
            return
        at, number = struct.unpack_from("<H", data, 20)[0], struct.unpack_from("<I", data, 44)[0]
        file = number | struct.unpack_from("<H", data, 16)[0] << 48
        if struct.unpack_from("<H", data, 4)[0] < 48:
            file = None
        standard: dict[str, str] = {}
        while at + ATTRIBUTE <= len(data):
            kind, length = struct.unpack_from("<II", data, at)
            if kind == 0xFFFFFFFF or length < ATTRIBUTE or at + length > len(data):
                return
            start = at + struct.unpack_from("<H", data, at + 20)[0]
            if kind == 0x10 and not data[at + 8] and start + 32 <= at + length:
                times = struct.unpack_from("<4Q", data, start)
                keys = ("si_created", "si_modified", "si_changed", "si_accessed")
                standard = {key: moment_text(t) for key, t in zip(keys, times, strict=True)}
            name = self.attribute(data, at, at + length)
            if name is not None:
                columns, more = self.named(name, file, MADE)
                yield columns, more | standard
            at += length

    def journal(self, data: bytes) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
        """Records of the change journal, version 2, as they were written to it."""
        at = 0
        while at + _USN.size <= len(data):
            fields = _USN.unpack_from(data, at)
            length, major, minor, file, parent, usn, ticks, reason, _, _, attributes = fields[:11]
            size, start = fields[11:]
            fits = major == 2 and minor == 0 and start == 60 and 60 < 60 + size <= length <= 640
            us, ns = moment(ticks)
            if not fits or length & 7 or at + length > len(data) or us is None:
                return
            name = text(data[at + 60 : at + 60 + size])
            folder, sequence = parent & ENTRY, parent >> 48
            path = "\\" if folder == 5 else f"\\$Unknown\\{folder}-{sequence}\\"
            yield {
                "activity_id": activity_of(reason), "time": us, "time_ns": ns, "usn": usn,
                "usn_reason": reason, "file_attributes": attributes, "file_name": name,
                "file_path": path + name, "mft_parent_entry": folder, "mft_parent_seq": sequence,
                **reference(file),
            }, {}  # fmt: skip
            at += length


def activity_of(reason: int) -> int:
    """The activity that reasons of the change journal mean; see parsers/usn.pyx."""
    for mask, activity in (
        (0x200, DELETED), (0x100, MADE), (0x3000, RENAMED), (0x600077, WRITTEN), (0x800, SECURED),
        (0x9EC400, CHANGED),
    ):  # fmt: skip
        if reason & mask:
            return activity
    return OTHER


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields rows of `file_activity`, all flagged as recovered.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; the rows before that were yielded.
    """
    log = _Log(artifact)
    stopped = None
    try:
        yield from log.read()
    except EvidenceError as error:
        stopped = error
    yield from log.rows.rest()
    if stopped is not None:
        raise stopped


PARSER = Parser(
    "ntfs_log",
    VERSION,
    match,
    ("file_activity",),
    read,
    files=("$logfile", "*/$logfile"),
    rank=Rank.FILE_SYSTEM,
)
