"""Apple System Log (`/var/log/asl/*.asl`), Mac OS X 10.5 to 10.11.

Specification: "Apple System Log (ASL) file format" (libyal, dtformats). In network order.

    header = "ASL DB" and six NULs  version 2 (4)  first record (8)  time (8)  cache (4)
             last record (8)  padding (36)
    record = 0 (2)  bytes behind this (4)  next record (8)  id (8)  seconds (8)  nanoseconds (4)
             level (2)  flags (2)  process (4)  user (4)  group (4)  reader's user and group (8)
             ref process (4)  texts of pairs (4)  host  sender  facility  message  pair*
             record before (8)
    text   = where it stands (8), or with the highest bit set: bytes (7 bits) and the text itself
    a text stands as 1 (2)  bytes (4)  text

Records are a chain; it is held in memory, 64 MiB at most, and followed forwards only.
"""

import struct
from collections.abc import Iterator

import pyarrow as pa

from tracelake.native.errors import Corrupt, EvidenceError, Truncated, Unsupported
from tracelake.parsers.artifact import Artifact, Match, Parser, Rank
from tracelake.parsers.epochs import within
from tracelake.parsers.pyrows import TEXT_REPAIRED, PyRows

VERSION = "1"
MAGIC = b"ASL DB" + bytes(6)
HEADER = 80
RECORD = 98  # up to the first pair
MOST = 64 << 20
MOST_PAIRS = 1024
OTHER = 99
LEVELS = ("emergency", "alert", "critical", "error", "warning", "notice", "info", "debug")
# Of Windows: 1 critical .. 5 verbose.
EVENT_LEVELS = (1, 1, 1, 2, 3, 4, 4, 5)


def match(head: bytes, _path: str) -> tuple[Match, str]:
    """How sure it is that an artifact is such a log, and why not."""
    if head.startswith(MAGIC):
        return Match.CONTENT, ""
    return Match.NO, "no `ASL DB` at its start"


class Texts:
    """Texts of a log. Attributes: repaired: one of the last record was not UTF-8, or not there."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.repaired = False

    def at(self, place: int) -> str | None:
        """The text that eight bytes at `place` stand for; None where there is none."""
        word = self._data[place : place + 8]
        if word[0] & 0x80:
            raw = word[1 : 1 + (word[0] & 0x7F)]
        else:
            offset = int.from_bytes(word, "big")
            if offset == 0:
                return None
            if offset + 6 > len(self._data):
                self.repaired = True
                return None
            size = int(struct.unpack_from(">I", self._data, offset + 2)[0])
            raw = self._data[offset + 6 : offset + 6 + size]
            if len(raw) < size:
                self.repaired = True
        raw = raw.split(b"\0", 1)[0]
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            self.repaired = True
            return raw.decode("utf-8", "replace")


def add(data: bytes, at: int, texts: Texts, rows: PyRows, spent: list[int]) -> int:
    """Adds the row of the record at `at`; returns where the next one stands.

    Args:
        spent: bytes of text that may still be given: texts are shared.

    Raises:
        Truncated, Corrupt: it is no record.
    """
    if at + RECORD > len(data):
        raise Truncated("record", at, "the file ends inside of it")
    size = int(struct.unpack_from(">I", data, at + 2)[0])
    end = at + 6 + size
    if size < RECORD - 6 + 8 or end > len(data):
        raise Corrupt("record", at, f"a record of {size} bytes")
    (following, number, seconds, nanoseconds, level, flags, pid, uid, gid, read_uid, read_gid,
     ref_pid, pairs) = struct.unpack_from(">QQQIHHIIIIIII", data, at + 6)  # fmt: skip
    first = at + 66
    places = [first + 8 * n for n in range(4)]
    if pairs > MOST_PAIRS or places[3] + 8 + 8 * pairs > end:
        raise Corrupt("record", at, f"{pairs} texts do not fit into {size} bytes")
    texts.repaired = False
    host, sender, facility, message = (texts.at(place) for place in places)
    unmapped = {
        "level": LEVELS[level] if level < len(LEVELS) else str(level), "flags": f"{flags:#06x}",
        "uid": str(uid), "gid": str(gid), "read_uid": str(read_uid), "read_gid": str(read_gid),
        "ref_pid": str(ref_pid),
    }  # fmt: skip
    if facility:
        unmapped["facility"] = facility
    for n in range(0, pairs - 1, 2):
        key, value = (texts.at(places[3] + 8 + 8 * (n + k)) for k in (0, 1))
        if key:
            unmapped[key] = value or ""
    spent[0] -= sum(map(len, unmapped.values())) + len(message or "")
    if spent[0] < 0:
        raise Corrupt("record", at, "texts are shared by more records than can be meant")
    moment = within(seconds * 10**6 + nanoseconds // 1000) if nanoseconds < 10**9 else None
    rows.seen(end - at)
    rows.add(
        "raw_event", at, end - at, data[at:end], flags=TEXT_REPAIRED if texts.repaired else 0,
        time=moment[0] if moment else None, time_ns=nanoseconds % 1000 if moment else None,
        activity_id=OTHER, log_provider=sender, log_name="asl", device_hostname=host,
        message=message, event_level=EVENT_LEVELS[level] if level < len(EVENT_LEVELS) else None,
        event_pid=pid, event_user_uid=str(uid), original_event_uid=str(number),
        src_record_id=number if number < 1 << 63 else None, unmapped=unmapped,
    )  # fmt: skip
    return int(following)


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields a row of `raw_event` for each record.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the chain breaks; the rows before that were yielded.
    """
    data = artifact.feed.read(MOST + 1)
    account = artifact.account
    if len(data) > MOST:
        raise Unsupported("log", 0, f"larger than {MOST >> 20} MiB, which are held")
    if len(data) < HEADER:
        raise Truncated("header", 0, f"the file ends after {len(data)} bytes")
    version = struct.unpack_from(">I", data, 12)[0]
    if version != 2:
        raise Unsupported("header", 12, f"version {version}")
    rows = PyRows(artifact)
    texts = Texts(data)
    spent = [8 * len(data) + (1 << 20)]
    at, before = int(struct.unpack_from(">Q", data, 16)[0]), 0
    stopped: EvidenceError | None = None
    try:
        while at:
            if at > len(data):
                raise Truncated("record", before, f"the next one is beyond the file, at {at}")
            if at <= before:
                raise Corrupt("record", before, f"the next one stands before it, at {at}")
            before, at = at, add(data, at, texts, rows, spent)
            yield from rows.full()
    except EvidenceError as error:
        stopped = error
    # The texts between the records.
    account.bytes_structure += len(data) - account.bytes_records
    yield from rows.rest()
    if stopped is not None:
        raise stopped


PARSER = Parser(
    "asl", VERSION, match, ("raw_event",), read,
    files=("*var/log/asl/*.asl", "*var/log/*.asl"), rank=Rank.LOGS,
)  # fmt: skip
