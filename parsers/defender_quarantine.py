r"""What Microsoft Defender put into quarantine: `Quarantine\Entries`, `Quarantine\ResourceData`.

No specification of Microsoft's; "AV Quarantine" (ERNW white paper 71), "Reverse, Reveal, Recover:
Windows Defender Quarantine Forensics" (Fox-IT). Everything is hidden by RC4 with one key, the same
on every host.

- An entry: header (60: sizes of two sections at 40), the first section (id, scan, time, number and
  name of the threat), the second one (places of its resources: path, kind, fields). Each part is
  hidden from the key's start. A resource is a row of `detection_finding`, and, for a file, one of
  `artifact_query`, artifact `quarantine`.
- Resource data: streams as `BackupRead` gives them. The file is a row of `artifact_query`, artifact
  `quarantined_file`, with its size and hashes; its name is the id that its entry gives.
"""

import hashlib
import re
import struct
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from tracelake.native.errors import EvidenceError
from tracelake.native.rc4 import Rc4
from tracelake.parsers.artifact import NO_ROWS_YET, Artifact, Match, Parser, Rank
from tracelake.parsers.pyrows import TRUNCATED, PyRows
from tracelake.parsers.shell_names import guid_text
from tracelake.parsers.whole import micros, moment, notes, whole

VERSION = "1"

FILE_QUERY = 5007
HEADER = 60
MOST = 16 << 20  # bytes of an entry
PIECE = 1 << 20
RESOURCES_MOST = 65536
FIELDS_MOST = 256
STREAM_HEADER = 20
STREAMS_MOST = 4096
# RC4's key of mpengine.dll.
KEY = bytes.fromhex(
    "1e87781b8dbaa844ce69702c0c78b786a3f623b738f5edf9af83530fb3fc54fa"
    "a21eb9cf1331fd0f0da954f687cb9e18279697900e53fb317c9cbce48e23d053"
    "71ecc15951b8f3649d7ca33ed68dc9047e82c9baad9799d0d458cb847ca9ffbe"
    "3c8a775233557dde13a8b14087cc1bc8f10f6ecdd083a959cff84a9d1d50755e"
    "3e191818af23e2293558766d2c07e25712b2ca0b535ed8f6c56ce73d24bdd029"
    "1771861a54b4c285a9a3db7aca6d224aeacd621db9f2a22ed1e9e11d75bed7dc"
    "0ecb0a8e68a2ff1263408dc808dffd164b116774cd0b9b8d05411ed6262e429b"
    "a495676b8398db2f35d3c1b9ced52636f2765e1a95cb7ca4c3ddabddbff38253"
)
_ID = re.compile(r"[0-9A-Fa-f]{40}$")
_STREAMS = {1: "data", 2: "ea_data", 3: "security_data", 4: "alternate_data", 5: "link",
            6: "property_data", 7: "object_id", 8: "reparse_data", 9: "sparse_block",
            10: "txfs_data", 11: "ghosted_file_extents"}
_RESOURCE, _REGISTRY, _FLAGS, _PATH, _CONTEXT = 0x02, 0x03, 0x0A, 0x0C, 0x0D
_CREATED, _ACCESSED, _WRITTEN, _SIZE = 0x0F, 0x10, 0x11, 0x12


def shown(data: bytes) -> bytes:
    """A part that was hidden from the key's start."""
    return Rc4(KEY).crypt(data)


# What zeros are hidden as: every file is looked at, and these tell without the key.
_ZEROS = shown(bytes(HEADER))


def _is_entry(head: bytes) -> bool:
    return len(head) >= HEADER and head[8:40] == _ZEROS[8:40] and head[:4] != _ZEROS[:4]


def _is_data(head: bytes) -> bool:
    if head[1:4] != _ZEROS[1:4]:
        return False  # no kind is that high
    plain = shown(head[:STREAM_HEADER])
    if len(plain) < STREAM_HEADER:
        return False
    kind, flags, size, name = struct.unpack("<IIQI", plain)
    return kind in _STREAMS and flags < 64 and size < 1 << 40 and name < 1024


def match(head: bytes, path: str) -> tuple[Match, str]:
    """Whether an artifact is of the quarantine, and why not."""
    if len(head) >= HEADER and (_is_entry(head) or _is_data(head)):
        return Match.CONTENT, ""
    return Match.NO, "no entry and no data of Defender's quarantine"


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields the rows of an entry or of a quarantined file.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; what could be is yielded before.
    """
    rows = PyRows(artifact)
    stopped: EvidenceError | None = None
    if _is_entry(artifact.feed.peek(HEADER)):
        data, stopped = whole(artifact, MOST, "quarantine entry")
        _entry(artifact, rows, data)
    else:
        try:
            for _ in _resource_data(artifact, rows):
                yield NO_ROWS_YET
        except EvidenceError as error:
            stopped = error
    yield from rows.rest()
    if stopped is not None:
        raise stopped


def _entry(artifact: Artifact, rows: PyRows, data: bytes) -> None:
    first, second = struct.unpack_from("<II", shown(data[:HEADER]), 40)
    end = HEADER + first + second
    about = shown(data[HEADER : HEADER + first])
    if len(about) < 53 or len(about) < first:
        rows.damaged(0, len(data), "quarantine entry", "the file ends in its first section")
        return
    body = shown(data[HEADER + first : end])
    ticks, threat = struct.unpack_from("<QQ", about, 32)
    name = about[52:].split(b"\0", 1)[0].decode("utf-8", "replace")
    common = notes(
        quarantine_id=guid_text(about[:16]), scan_id=guid_text(about[16:32]),
    )  # fmt: skip
    us, ns = moment(ticks)
    when: dict[str, Any] = {"time": us, "time_ns": ns,
                            "time_desc": "quarantined" if us is not None else None}
    found, why = resources(body)
    if len(data) < end:
        why = why or "the file ends in its second section"
    used = min(len(data), end)
    rows.seen(used)
    artifact.account.bytes_slack += len(data) - used
    flags = TRUNCATED if why else 0
    for number, (path, kind, fields) in enumerate(found or [("", "", {})]):
        other = common | notes(kind=kind, trouble=why) | fields_text(fields)
        sizes = fields.get(_SIZE, b"")
        values: dict[str, Any] = {
            "threat_name": name or None, "threat_uid": str(threat), "title": name or None,
            "disposition": "quarantined", "action_id": 4, "file_path": path or None,
            "analytic_type": "antivirus", "detection_source": "quarantine",
        }
        rows.add("detection_finding", 0, used, data[:used], flags=flags, more=number > 0,
                 activity_id=2, unmapped=other, **when, **values)
        if kind == "file":
            rows.add(
                "artifact_query", 0, used, data[:used], flags=flags, more=True,
                class_uid=FILE_QUERY, activity_id=1, artifact="quarantine",
                subject_path=path or None,
                subject_name=path.rsplit("\\", 1)[-1] or None, detail=name or None,
                subject_size=_whole_number(sizes),
                subject_created_time=micros(_number(fields.get(_CREATED, b""))),
                subject_accessed_time=micros(_number(fields.get(_ACCESSED, b""))),
                subject_modified_time=micros(_number(fields.get(_WRITTEN, b""))),
                deleted_time=us, unmapped=other, **when,
            )  # fmt: skip


def _number(data: bytes) -> int:
    return int.from_bytes(data[:8], "little")


def _whole_number(data: bytes) -> int | None:
    value = _number(data)
    return value if data and value < 1 << 63 else None


def fields_text(fields: dict[int, bytes]) -> dict[str, str]:
    """A resource's fields that are no columns."""
    other: dict[str, str] = {}
    for kind, data in fields.items():
        if kind == _RESOURCE:
            other["resource_id"] = data.hex().upper()
        elif kind in (_CONTEXT, _REGISTRY):
            other["context" if kind == _CONTEXT else "registry"] = data.hex()
        elif kind == _FLAGS:
            other["flags"] = f"{_number(data):#x}"
        elif kind not in (_PATH, _CREATED, _ACCESSED, _WRITTEN, _SIZE):
            other[f"field_{kind:#04x}"] = data.hex()
    return other


def resources(body: bytes) -> tuple[list[tuple[str, str, dict[int, bytes]]], str]:
    """((path, kind, fields) of each resource, what could not be read) of the second section."""
    if len(body) < 4:
        return [], "the file ends in its second section"
    count = struct.unpack_from("<I", body)[0]
    if count > min(RESOURCES_MOST, (len(body) - 4) // 4):
        return [], f"claims {count} resources, for which there is no room"
    found: list[tuple[str, str, dict[int, bytes]]] = []
    # Any number of them can stand at the same place.
    room = 4 * len(body) + 4096
    for at in struct.unpack_from(f"<{count}I", body, 4):
        try:
            path, kind, fields, end = _one(body, at)
        except (struct.error, ValueError) as error:
            return found, f"a resource at {at}: {error}"
        room -= end - at
        if room < 0:
            return found, "resources overlap"
        found.append((path, kind, fields))
    return found, ""


def _one(body: bytes, at: int) -> tuple[str, str, dict[int, bytes], int]:
    start = at
    end = at
    while (end := body.index(b"\0\0", end)) % 2 != start % 2:
        end += 1
    path = body[at:end].decode("utf-16-le", "surrogatepass")
    count = struct.unpack_from("<H", body, end + 2)[0]
    stop = body.index(b"\0", end + 4)
    kind = body[end + 4 : stop].decode("ascii", "replace")
    at = stop + 1
    fields: dict[int, bytes] = {}
    for _ in range(min(count, FIELDS_MOST)):
        at += -at % 4
        size, which = struct.unpack_from("<HH", body, at)
        if at + 4 + size > len(body):
            raise ValueError("a field goes beyond its end")
        fields.setdefault(which & 0x0FFF, body[at + 4 : at + 4 + size])
        at += 4 + size
    if _PATH in fields:
        path = fields[_PATH].decode("utf-16-le", "replace").split("\0", 1)[0] or path
    return path, kind, fields, at


class _Plain:
    """The artifact's bytes, shown, in order."""

    def __init__(self, artifact: Artifact) -> None:
        self._feed = artifact.feed
        self._key = Rc4(KEY)
        self.at = 0

    def take(self, count: int) -> bytes:
        data = self._key.crypt(self._feed.read(count))
        self.at += len(data)
        return data


def _resource_data(artifact: Artifact, rows: PyRows) -> Iterator[None]:
    plain = _Plain(artifact)
    hashes = [hashlib.sha256(), hashlib.sha1(usedforsecurity=False),
              hashlib.md5(usedforsecurity=False)]
    said: list[str] = []
    size: int | None = None
    why = ""
    head = plain.take(STREAM_HEADER)
    start = head
    while len(head) == STREAM_HEADER and len(said) < STREAMS_MOST:
        kind, _, length, name_length = struct.unpack("<IIQI", head)
        if kind not in _STREAMS or name_length > 65535 or length >= 1 << 60:
            why = f"a stream of kind {kind}"
            break
        name = plain.take(name_length).decode("utf-16-le", "replace")
        said.append(f"{_STREAMS[kind]} {name} {length}".replace("  ", " "))
        left = length
        while left:
            piece = plain.take(min(left, PIECE))
            if not piece:
                why = f"the file ends in a stream of {length} bytes"
                break
            left -= len(piece)
            if kind == 1 and size is None:
                for each in hashes:
                    each.update(piece)
            yield
        if kind == 1 and size is None and not why:
            size = length
        if why:
            break
        head = plain.take(STREAM_HEADER)
    if head and len(head) < STREAM_HEADER:
        why = "the file ends in a stream's header"
    end = plain.at
    while artifact.feed.read(PIECE):
        yield
    if not said:
        rows.damaged(0, end, "quarantined file", why or "no stream")
        return
    rows.seen(end)
    artifact.account.bytes_slack += artifact.feed.position - end
    name = re.split(r"[/\\]", artifact.path)[-1]
    sums = [each.hexdigest() if size is not None else None for each in hashes]
    rows.add(
        "artifact_query", 0, end, start + "\n".join(said).encode() + hashes[0].digest(),
        flags=TRUNCATED if why else 0, class_uid=FILE_QUERY, activity_id=1,
        artifact="quarantined_file", subject_size=size, subject_sha256=sums[0],
        subject_sha1=sums[1], subject_md5=sums[2],
        unmapped=notes(
            resource_id=name.upper() if _ID.match(name) else "", streams="\n".join(said),
            trouble=why,
        ),
    )  # fmt: skip


PARSER = Parser(
    "defender_quarantine",
    VERSION,
    match,
    ("artifact_query", "detection_finding"),
    read,
    files=("*/windows defender/quarantine/entries/*",
           "*/windows defender/quarantine/resourcedata/*",
           "*/microsoft antimalware/quarantine/entries/*",
           "*/microsoft antimalware/quarantine/resourcedata/*"),
    rank=Rank.USE,
)
