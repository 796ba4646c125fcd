"""Logs beside an SQLite database: what they change in its file.

Specification: sqlite.org "Database File Format", 3 (the rollback journal) and 4 (the write-ahead
log).

    WAL      = header (32) frame*
    header   = magic (4) version (4) page size (4) checkpoint (4) salt (8) checksum (8)
    frame    = page number (4) pages after commit, or 0 (4) salt (8) checksum (8) page
    journal  = segment*; segment = header, to a whole sector, record*
    header   = magic (8) records (4) nonce (4) pages before (4) sector size (4) page size (4)
    record   = page number (4) page checksum (4)

Frames of transactions that were committed are written over the file; a hot journal takes back a
transaction that was not. Neither is trusted: sums are checked, and a page beyond the bound of the
database is left out.
"""

import struct
from dataclasses import dataclass

from tracelake.native.errors import Corrupt

WAL_HEADER, FRAME_HEADER = 32, 24
WAL_BIG, WAL_LITTLE = 0x377F0683, 0x377F0682
JOURNAL = bytes.fromhex("d9d505f920a163d7")
JOURNAL_HEADER = 28
ALL_RECORDS = 0xFFFFFFFF
MASK = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Applied:
    """Attributes:
    pages: that were written, by number. left: why the log was not used to its end, or empty.
    """

    pages: frozenset[int] = frozenset()
    left: str = ""


def page_size_ok(size: int) -> bool:
    return 512 <= size <= 65536 and size & (size - 1) == 0


def wal_sum(data: bytes | memoryview, order: str, first: int, second: int) -> tuple[int, int]:
    """The checksum of the write-ahead log (4.2): over pairs of 32-bit words."""
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for at in range(0, len(words), 2):
        first = (first + words[at] + second) & MASK
        second = (second + words[at + 1] + first) & MASK
    return first, second


def apply_wal(image: bytearray, wal: bytes, most: int) -> Applied:
    """Writes the committed pages of a write-ahead log over a database.

    Args:
        image: the database; grows.
        most: bytes that it may grow to.

    Raises:
        Corrupt: it is no such log.
    """
    if len(wal) < WAL_HEADER:
        return Applied()
    magic, _, size = struct.unpack_from(">III", wal)
    if magic not in (WAL_BIG, WAL_LITTLE):
        if not any(wal[:WAL_HEADER]):
            return Applied()
        raise Corrupt("write-ahead log", 0, f"its magic is {magic:#010x}")
    if not page_size_ok(size):
        raise Corrupt("write-ahead log", 0, f"its pages have {size} bytes")
    order = ">" if magic == WAL_BIG else "<"
    salt = wal[16:24]
    sums = wal_sum(wal[:24], order, 0, 0)
    if sums != struct.unpack_from(">II", wal, 24):
        return Applied(left="the checksum of its header is wrong")
    view = memoryview(wal)
    waiting: dict[int, int] = {}
    commits: list[tuple[dict[int, int], int]] = []
    at, left = WAL_HEADER, ""
    while at + FRAME_HEADER + size <= len(wal):
        page, pages, first, second = struct.unpack_from(">II8xII", wal, at)
        if wal[at + 8 : at + 16] != salt:
            break  # of an earlier round: what follows was overwritten
        sums = wal_sum(view[at : at + 8], order, *sums)
        sums = wal_sum(view[at + FRAME_HEADER : at + FRAME_HEADER + size], order, *sums)
        if sums != (first, second):
            left = f"the checksum of the frame at {at} is wrong"
            break
        waiting[page] = at + FRAME_HEADER
        if pages:
            commits.append((waiting, pages))
            waiting = {}
        at += FRAME_HEADER + size
    written: dict[int, int] = {}
    for frames, _ in commits:
        written.update(frames)
    if not commits:
        return Applied(left=left)
    whole = commits[-1][1] * size
    if whole > most:
        return Applied(left=f"the database with it has {whole} bytes, above the bound of {most}")
    if len(image) < whole:
        image.extend(bytes(whole - len(image)))
    applied = frozenset(page for page in written if 1 <= page <= commits[-1][1])
    for page in applied:
        start = written[page]
        image[(page - 1) * size : page * size] = view[start : start + size]
    del image[whole:]
    return Applied(applied, left)


def journal_sum(page: memoryview, nonce: int) -> int:
    """The checksum of a page in a rollback journal (3): every 200th byte from the end."""
    total, at = nonce, len(page) - 200
    while at > 0:
        total += page[at]
        at -= 200
    return total & MASK


def apply_journal(image: bytearray, journal: bytes, most: int) -> Applied:
    """Takes back a transaction that was not finished.

    Args, Raises: as `apply_wal`. A journal whose header was zeroed or cut off is not hot.
    """
    if len(journal) < JOURNAL_HEADER or journal[:8] != JOURNAL:
        return Applied()
    view = memoryview(journal)
    at = before = 0
    done: set[int] = set()
    left = ""
    while journal[at : at + 8] == JOURNAL and at + JOURNAL_HEADER <= len(journal):
        count, nonce, pages, sector, size = struct.unpack_from(">IIIII", journal, at + 8)
        if at == 0:
            before, first_size, first_sector = pages, size, sector
            if not page_size_ok(size) or not 32 <= sector <= 65536 or sector & (sector - 1):
                raise Corrupt("rollback journal", 0, f"pages of {size}, sectors of {sector} bytes")
            if before * size > most:
                return Applied(left=f"{before} pages before it are above the bound of {most} bytes")
        size, sector = first_size, first_sector
        at += sector
        if count == ALL_RECORDS:
            count = (len(journal) - at) // (size + 8)
        for _ in range(count):
            if at + size + 8 > len(journal):
                left = "it ends inside of a record"
                break
            number = int(struct.unpack_from(">I", journal, at)[0])
            page = view[at + 4 : at + 4 + size]
            if journal_sum(page, nonce) != struct.unpack_from(">I", journal, at + 4 + size)[0]:
                left = f"the checksum of the record at {at} is wrong"
                break
            if 1 <= number <= before and number not in done:
                done.add(number)
                end = number * size
                if len(image) < end:
                    image.extend(bytes(end - len(image)))
                image[end - size : end] = page
            at += size + 8
        if left or count == 0:
            break
        at = -(-at // sector) * sector
    if done:
        del image[before * first_size :]
    return Applied(frozenset(done), left)


def super_journal(journal: bytes) -> str | None:
    """The name of the journal that a transaction over several databases has besides; None where
    there is none. While it is there, the transaction is not finished (pager.c)."""
    if len(journal) < 16 or journal[-8:] != JOURNAL or journal[:8] != JOURNAL:
        return None
    length, total = struct.unpack_from(">II", journal, len(journal) - 16)
    if not 0 < length <= 4096 or length > len(journal) - 16:
        return None
    name = journal[len(journal) - 16 - length : len(journal) - 16]
    if sum(name) & MASK != total:
        return None
    return name.decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2]
