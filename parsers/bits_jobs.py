"""Transfer jobs of BITS, as the blobs of qmgr.db have them (Windows 10 and later).

Microsoft does not document them. What is known comes from those who took them apart: FireEye,
"Attacker Use of the Windows Background Intelligent Transfer Service" (2021); ANSSI, bits_parser;
Fox-IT, dissect.target. All numbers are little endian, texts UTF-16 behind their length in units,
the closing NUL among them.

    Jobs.Blob   which kind and version (one GUID or two); type, priority, state, (4 bytes), id;
                name, description, command, its arguments, owner's SID; when to notify; security;
                LIST, the number and the ids of its files; LIST; errors; times
    Files.Blob  which kind and version (a GUID); destination, source, temporary file; bytes
                transferred, bytes in all; (1 byte); drive, volume; ...
"""

import struct
import uuid
from dataclasses import dataclass, field

from tracelake.parsers.epochs import Moment, filetime

LIST = bytes.fromhex("36da56776f515a43acac44a248fff34d")
KINDS = ("download", "upload", "upload with reply")
PRIORITIES = ("foreground", "high", "normal", "low")
STATES = (
    "queued", "connecting", "transferring", "suspended", "error", "transient error",
    "transferred", "acknowledged", "cancelled",
)  # fmt: skip
GUID = 16
TEXT_MOST = 65536  # units
FILES_MOST = 65536
UNKNOWN = 0xFFFF_FFFF_FFFF_FFFF  # of a size
# What stands where times do is one only if BITS could have written it: 2000 to 2100.
EARLIEST, LATEST = 946_684_800 * 10**6, 4_102_444_800 * 10**6
ERROR = 21  # bytes of what is said of an error, without its text


@dataclass(slots=True)
class Job:
    """A job. `files`: their ids. `command`: what is run when it is done, arguments included."""

    uid: str
    kind: str
    priority: str
    state: str
    name: str = ""
    description: str = ""
    command: str = ""
    owner: str = ""
    files: list[str] = field(default_factory=list)
    created: Moment | None = None
    modified: Moment | None = None
    transferred: Moment | None = None


@dataclass(slots=True)
class File:
    """A file of a job: where it comes from and goes to."""

    local: str
    remote: str
    temporary: str
    done: int | None
    size: int | None
    drive: str = ""
    volume: str = ""


class _NotThat(Exception):
    """The bytes are not what they are read as."""


class _Blob:
    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self.at = at

    def take(self, size: int) -> bytes:
        if size > len(self._data) - self.at:
            raise _NotThat
        self.at += size
        return self._data[self.at - size : self.at]

    def number(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def text(self) -> str:
        units = self.number()
        if units > TEXT_MOST:
            raise _NotThat
        return self.take(2 * units).decode("utf-16-le", "replace").rstrip("\0")


def guid_text(value: object) -> str:
    """An id as rows have it; of a column that is a GUID it is text already."""
    if isinstance(value, bytes) and len(value) == GUID:
        return "{" + str(uuid.UUID(bytes_le=value)).upper() + "}"
    return str(value or "")


def job_of(blob: object) -> Job | None:
    """The job of a blob; None where it is none of a form that is known."""
    if not isinstance(blob, bytes):
        return None
    for start in (GUID, 2 * GUID):
        try:
            return _job(blob, start)
        except _NotThat:
            continue
    return None


def _job(data: bytes, start: int) -> Job:
    blob = _Blob(data, start)
    kind, priority, state = blob.number(), blob.number(), blob.number()
    if kind >= len(KINDS) or priority >= len(PRIORITIES) or state >= len(STATES):
        raise _NotThat
    blob.take(4)
    uid = guid_text(blob.take(GUID))
    job = Job(uid, KINDS[kind], PRIORITIES[priority], STATES[state], blob.text(), blob.text())
    job.command = f"{blob.text()} {blob.text()}".strip()
    job.owner = blob.text()
    # Security descriptors follow, whose length differs by version.
    lists = data[blob.at :].split(LIST)
    if len(lists) > 1:
        job.files = _files(lists[1])
    if len(lists) > 2:
        job.created, job.modified, job.transferred = _times(lists[2])
    return job


def _files(data: bytes) -> list[str]:
    count = int.from_bytes(data[:4], "little")
    whole = min(count, FILES_MOST, (len(data) - 4) // GUID) if len(data) > 4 else 0
    return [guid_text(data[4 + GUID * n : 4 + GUID * (n + 1)]) for n in range(whole)]


def _times(data: bytes) -> tuple[Moment | None, Moment | None, Moment | None]:
    """When it was created, modified, and when all was transferred."""
    # An error, if there was one, perhaps with a text, whose length may be in bytes or in units;
    # then the count of errors, two waits in seconds, the times.
    places = [4]
    if data[:4] != bytes(4):
        text = int.from_bytes(data[4 + ERROR : 8 + ERROR], "little")
        places = [4 + ERROR, 8 + ERROR + 2 * text, 8 + ERROR + text]
    for at in places:
        if at + 12 + 32 > len(data):
            continue
        created, modified, again, done = (
            _time(ticks) for ticks in struct.unpack_from("<4Q", data, at + 12)
        )
        last = max((each for each in (modified, again) if each), default=None)
        if created is not None and last is not None and last >= created:
            return created, last, done
    return None, None, None


def _time(ticks: int) -> Moment | None:
    found = filetime(ticks) if ticks < 1 << 63 else None
    return found if found is not None and EARLIEST < found[0] < LATEST else None


def file_of(blob: object) -> File | None:
    """The file of a blob; None where it is none of a form that is known."""
    if not isinstance(blob, bytes):
        return None
    try:
        read = _Blob(blob, GUID)
        local, remote, temporary = read.text(), read.text(), read.text()
        done, size = struct.unpack("<QQ", read.take(16))
    except _NotThat:
        return None
    if not remote and not local:
        return None
    found = File(
        local, remote, temporary, None if done == UNKNOWN else done,
        None if size == UNKNOWN else size,
    )
    try:
        read.take(1)
        found.drive, found.volume = read.text(), read.text()
    except _NotThat:
        return found  # what follows is not needed
    return found
