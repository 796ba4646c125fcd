r"""Prefetch files of Windows: what was run, how often, when, and which files it loaded.

Specification: "Windows Prefetch File (PF) format" (libyal, libscca), versions 17 (XP, 2003), 23
(Vista, 7), 26 (8, 8.1), 30 (10) and 31 (11). Since Windows 10 a file is packed: "MAM", method and
flags (1), size unpacked (4), a CRC-32 where the flag 0x80 is set (4), LZXPRESS Huffman.

    version (4)  "SCCA"  ?  file size (4)  name (60)  hash (4)  flags (4)
    file metrics, trace chains, file names, volumes: place and number of each
    times of the last runs (1, since version 26 eight)  number of runs

A file is one row of `artifact_query` (class 205019). Offsets of a packed file are of its unpacked
bytes, so its row stands for the file as a whole.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from zlib import crc32

import pyarrow as pa

from tracelake.native.lzxpress import huffman
from tracelake.parsers.artifact import Artifact, Match, Parser, Rank
from tracelake.parsers.pyrows import CHECKSUM_BAD, TRUNCATED, PyRows
from tracelake.parsers.whole import micros, moment, notes, whole

VERSION = "1"

PREFETCH = 205019
QUERY = 1
MOST = 32 << 20  # bytes of a file; they are some 100 KiB, NTOSBOOT a few MiB
NAMES_MOST = 65536
VOLUMES_MOST = 1024
HEADER = 84
NAME = slice(16, 76)
VERSIONS = (17, 23, 26, 30, 31)
# Version -> (place of the run times, how many, place of the number of runs), from the start.
_TIMES = {17: (120, 1, 144), 23: (128, 1, 152), 26: (128, 8, 208)}
_SHORT = (128, 8, 200)  # versions 30 and 31 whose metrics begin before 304
_METRICS = {17: 20}  # bytes of an entry of the file metrics; 32 since version 23
_VOLUME = {17: 40, 23: 104, 26: 104}  # 96 since version 30


@dataclass(slots=True)
class Volume:
    """A volume that files were loaded from.

    Attributes:
        device: its device's path; serial: as `vol` shows it, without a dash.
        created: FILETIME.
        folders: folders on it that were looked into.
        references: NTFS file references of what was looked into, `entry-sequence`.
    """

    device: str
    serial: str
    created: int
    folders: list[str]
    references: list[str]


@dataclass(slots=True)
class Prefetch:
    """What a prefetch file says. `trouble`: what of it could not be read."""

    version: int
    name: str
    hash: int
    flags: int
    run_times: list[int] = field(default_factory=list)
    run_count: int | None = None
    files: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    volumes: list[Volume] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)

    @property
    def path(self) -> str | None:
        """The path of what was run: the first file that it loaded of that name."""
        wanted = self.name.upper()
        # The name is cut after 29 characters.
        cut = len(self.name) >= 29
        for path in self.files:
            last = path.rsplit("\\", 1)[-1].upper()
            if last == wanted or (cut and last.startswith(wanted)):
                return path
        return None


def unpacked(data: bytes) -> tuple[bytes, str, bool]:
    """The bytes of a file that may be packed, why they are not all, and whether their checksum
    is right."""
    if data[:3] != b"MAM" or len(data) < 8:
        return data, "", True
    method, size = data[3], struct.unpack_from("<I", data, 4)[0]
    if method & 0x0F != 4:
        return b"", f"packed by method {method & 0x0F}, which is not known", True
    if size > MOST:
        return b"", f"claims {size} bytes unpacked, more than {MOST} are not held", True
    start, right = 8, True
    if method & 0x80:
        start = 12
        if len(data) < start:
            return b"", "the file ends in its header", True
        # The checksum is that of the file with four zeros in its place.
        told = struct.unpack_from("<I", data, 8)[0]
        right = crc32(data[start:], crc32(data[:8] + bytes(4))) == told
    out, why = huffman(data, start, size)
    return out, why, right


def wide(data: bytes) -> str:
    """UTF-16LE up to the first NUL."""
    return data[: len(data) & ~1].decode("utf-16-le", "surrogatepass").split("\0", 1)[0]


def parse(data: bytes) -> Prefetch:
    """Reads an unpacked file.

    Raises:
        ValueError: its header is not one, in one sentence.
    """
    if len(data) < HEADER or data[4:8] != b"SCCA":
        raise ValueError("there is no SCCA header")
    version = struct.unpack_from("<I", data)[0]
    if version not in VERSIONS:
        raise ValueError(f"version {version} is not known")
    uid, flags = struct.unpack_from("<II", data, 76)
    found = Prefetch(version, wide(data[NAME]), uid, flags)
    if len(data) < HEADER + 36:
        found.trouble.append("the file ends in its header")
        return found
    metrics_at, metrics, _, _, names_at, names_size, volumes_at, volumes, volumes_size = (
        struct.unpack_from("<9I", data, HEADER))
    times_at, most, count_at = _TIMES.get(version, _TIMES[26])
    if version >= 30 and metrics_at < 304:
        times_at, most, count_at = _SHORT
    if len(data) < count_at + 4:
        found.trouble.append("the file ends before the number of runs")
        most = min(most, (len(data) - times_at) // 8)
    else:
        found.run_count = struct.unpack_from("<I", data, count_at)[0]
    if most > 0:
        found.run_times = [t for t in struct.unpack_from(f"<{most}Q", data, times_at) if t]
    _names(data, found, names_at, names_size, version, metrics_at, metrics)
    _volumes(data, found, volumes_at, volumes, volumes_size)
    return found


def _names(
    data: bytes, found: Prefetch, at: int, size: int, version: int, metrics_at: int, metrics: int
) -> None:
    block = data[at : at + size]
    if len(block) < size:
        found.trouble.append("the file ends in its file names")
    entry = _METRICS.get(version, 32)
    held = max(0, min(metrics, (len(data) - metrics_at) // entry, NAMES_MOST))
    if held < metrics:
        found.trouble.append(f"{metrics} file metrics, of which {held} are read")
    text = block[: len(block) & ~1].decode("utf-16-le", "surrogatepass")
    told: dict[int, str] = {}
    if entry == 32:
        # Not the names' order decides which reference is whose, but where each says it begins.
        for number in range(held):
            at_entry = metrics_at + number * 32 + 12
            place, _, _, reference = struct.unpack_from("<IIIQ", data, at_entry)
            if reference:
                told[place] = f"{reference & 0xFFFFFFFFFFFF}-{reference >> 48}"
    begin = 0
    for name in text.split("\0"):
        if name:
            if len(found.files) == NAMES_MOST:
                found.trouble.append(f"more than {NAMES_MOST} file names")
                return
            found.files.append(name)
            found.references.append(told.get(begin, ""))
        # Surrogate pairs are one character here and two units there.
        begin += 2 * (len(name) + 1 + (0 if name.isascii() else sum(c > "\uffff" for c in name)))


def _volumes(data: bytes, found: Prefetch, at: int, count: int, size: int) -> None:
    block = data[at : at + size]
    if len(block) < size:
        found.trouble.append("the file ends in its volumes")
    entry = _VOLUME.get(found.version, 96)
    if count > min(VOLUMES_MOST, len(block) // entry):
        found.trouble.append(f"{count} volumes, for which there is no room")
        count = min(VOLUMES_MOST, len(block) // entry)
    # One volume can name the whole block, and a thousand of them the same.
    room = NAMES_MOST
    for number in range(count):
        device_at, chars, created, serial, refs_at, refs_size, folders_at, folders = (
            struct.unpack_from("<IIQIIIII", block, number * entry))
        device = block[device_at : device_at + 2 * chars]
        if chars > 4096 or len(device) < 2 * chars:
            found.trouble.append("a volume's path is not in the file")
            device = device[:8192]
        names, room = _folders(block, folders_at, folders, room)
        if len(names) < folders:
            found.trouble.append(f"{folders} folders, of which {len(names)} are read")
        references, room = _references(block[refs_at : refs_at + refs_size], room)
        found.volumes.append(
            Volume(wide(device), f"{serial:08X}", created, names, references))


def _folders(block: bytes, at: int, count: int, room: int) -> tuple[list[str], int]:
    names: list[str] = []
    while len(names) < count and room > 0 and at + 2 <= len(block):
        size = 2 * struct.unpack_from("<H", block, at)[0]
        if at + 2 + size > len(block):
            break
        names.append(wide(block[at + 2 : at + 2 + size]))
        at += size + 4
        room -= 1
    return names, room


def _references(block: bytes, room: int) -> tuple[list[str], int]:
    if len(block) < 16:
        return [], room
    version, count = struct.unpack_from("<II", block)
    at = 8 if version == 1 else 16
    count = max(0, min(count, (len(block) - at) // 8, room))
    values = struct.unpack_from(f"<{count}Q", block, at)
    return [f"{v & 0xFFFFFFFFFFFF}-{v >> 48}" for v in values if v], room - count


def match(head: bytes, path: str) -> tuple[Match, str]:
    """Whether an artifact is a prefetch file, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: its path inside its source.
    """
    if head[4:8] == b"SCCA" and len(head) >= 8:
        return Match.CONTENT, ""
    if head[:3] == b"MAM" and len(head) >= 8:
        # Superfetch's databases are packed in the same way.
        start = 12 if head[3] & 0x80 else 8
        size = min(8, struct.unpack_from("<I", head, 4)[0])
        if head[3] & 0x0F == 4 and huffman(head[:65536], start, size)[0][4:8] == b"SCCA":
            return Match.CONTENT, ""
        if path.lower().endswith(".pf"):
            return Match.NAME, ""
        return Match.NO, "packed (MAM), but no prefetch file in it"
    return Match.NO, "no SCCA header"


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields one row of `artifact_query`.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; what could be is yielded before.
    """
    data, stopped = whole(artifact, MOST, "prefetch file")
    rows = PyRows(artifact)
    plain, why, right = unpacked(data)
    try:
        found = parse(plain)
    except ValueError as error:
        reason = why or str(error)
        rows.damaged(0, len(data), "prefetch file", reason, data[:64])
    else:
        if why:
            found.trouble.append(why)
        _row(rows, data, found, 0 if right else CHECKSUM_BAD)
    yield from rows.rest()
    if stopped is not None:
        raise stopped


def _row(rows: PyRows, data: bytes, found: Prefetch, flags: int) -> None:
    if found.trouble:
        flags |= TRUNCATED
    first = found.volumes[0] if found.volumes else None
    times = [us for us in map(micros, found.run_times) if us is not None]
    us, ns = moment(found.run_times[0]) if found.run_times else (None, None)
    other = notes(
        format_version=found.version,
        prefetch_hash=f"{found.hash:08X}",
        boot="true" if found.flags & 1 else "",
        packed="MAM" if data[:3] == b"MAM" else "",
        file_references="\n".join(found.references) if any(found.references) else "",
        trouble="; ".join(found.trouble),
    )
    for number, volume in enumerate(found.volumes):
        other |= notes(**{
            f"volume{number}_device": volume.device,
            f"volume{number}_serial": volume.serial,
            f"volume{number}_created": micros(volume.created),
            f"volume{number}_folders": "\n".join(volume.folders),
            f"volume{number}_file_references": "\n".join(volume.references),
        })
    rows.seen(len(data))
    rows.add(
        "artifact_query", 0, len(data), data, flags=flags,
        class_uid=PREFETCH, activity_id=QUERY, artifact="prefetch",
        time=us, time_ns=ns, time_desc="last_run" if us is not None else None,
        subject_name=found.name or None, subject_path=found.path,
        run_count=found.run_count, run_times=times, referenced=found.files,
        volume_uid=first.serial if first else None,
        volume_created_time=micros(first.created) if first else None,
        is_executed=True, unmapped=other,
    )  # fmt: skip


PARSER = Parser(
    "prefetch",
    VERSION,
    match,
    ("artifact_query",),
    read,
    files=("*/windows/prefetch/*.pf", "windows/prefetch/*.pf", "*/prefetch/*.pf"),
    rank=Rank.EXECUTION,
)
