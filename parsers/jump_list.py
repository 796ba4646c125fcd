r"""Jump lists of Windows 7 and later: what was opened with a program, how often, when last.

Specification: "Jump lists format" (libyal, dtformats); [MS-CFB]; [MS-SHLLINK].

- `<id>.automaticDestinations-ms`: a compound file. Its stream `DestList` names what was opened
  (time, host, how often, whether it was pinned), and the stream of an entry's number, in
  hexadecimal, is its link. A stream that no entry names is what remains of a removed one.
- `<id>.customDestinations-ms`: categories of links that the program itself gave.

An entry is a row of `artifact_query`, artifact `jumplist_automatic` or `jumplist_custom`.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tracelake.parsers import lnk_link
from tracelake.parsers.artifact import Artifact, Match, Parser, Rank
from tracelake.parsers.compound import SIGNATURE, STREAM, Compound, NotCompound, Stream
from tracelake.parsers.jump_apps import names
from tracelake.parsers.pyrows import FROM_SLACK, TRUNCATED, PyRows
from tracelake.parsers.shell_names import guid_text
from tracelake.parsers.whole import moment, notes, whole

VERSION = "1"

MOST = 64 << 20  # bytes of a file; the largest ones are some 20 MiB
LINK_MOST = 1 << 20
LIST_HEADER = 32
ENTRIES_MOST = 65536
CLSID = lnk_link.SIGNATURE[4:]
FOOTER = bytes.fromhex("abfbbfba")
DEST_LIST = "DestList".encode("utf-16-le")
_APP = re.compile(r"(?:^|[/\\_])([0-9a-fA-F]{8,16})\.(?:automatic|custom)Destinations-ms",
                  re.IGNORECASE)
_KNOWN = {1: "frequent", 2: "recent"}


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of DestList.

    Attributes:
        at, length: where it stands in the stream.
        number: the name of its link's stream.
        opened: FILETIME.
        pinned: its place among the pinned ones, None where it is not.
        count: how often it was opened, None where the version has no number.
    """

    at: int
    length: int
    number: int
    opened: int
    pinned: int | None
    count: int | None
    path: str
    host: str
    ids: tuple[bytes, bytes, bytes, bytes]
    score: float


def match(head: bytes, path: str) -> tuple[Match, str]:
    """Whether an artifact is a jump list, and why not."""
    name = path.lower()
    if head.startswith(SIGNATURE):
        if DEST_LIST in head or "automaticdestinations" in name:
            return Match.CONTENT, ""
        return Match.NO, "a compound file without a DestList"
    if len(head) >= 12 and head[:4] == b"\2\0\0\0" and head[8:12] == bytes(4):
        if "customdestinations" in name:
            return Match.CONTENT, ""
        if CLSID + lnk_link.SIGNATURE in head[:4096]:
            return Match.CONTENT, ""
    return Match.NO, "no compound file, and no list of categories"


def app(path: str) -> dict[str, str]:
    """The program's id, by the file's name, and the program's name where it is known."""
    found = _APP.search(path)
    if found is None:
        return {}
    uid = found.group(1).lower().lstrip("0")
    return notes(app_id=uid, app=names().get(uid, ""))


def entries(data: bytes) -> tuple[int, list[Entry], str]:
    """(version, entries, what could not be read) of a DestList stream."""
    if not data:
        return 0, [], ""
    if len(data) < LIST_HEADER:
        return 0, [], f"its header ends after {len(data)} bytes"
    version, count = struct.unpack_from("<II", data)
    fixed = 114 if version == 1 else 130
    found: list[Entry] = []
    at = LIST_HEADER
    while len(found) < min(count, ENTRIES_MOST):
        if at + fixed > len(data):
            return version, found, f"{count} entries, of which {len(found)} are there"
        number, _, score, opened, pin = struct.unpack_from("<IIfQi", data, at + 88)
        opens = None if version == 1 else struct.unpack_from("<I", data, at + 116)[0]
        size = 2 * struct.unpack_from("<H", data, at + fixed - 2)[0]
        end = at + fixed + size + (0 if version == 1 else 4)
        if at + fixed + size > len(data):
            return version, found, f"{count} entries, of which {len(found)} are there"
        ids = tuple(data[at + 8 + 16 * n : at + 24 + 16 * n] for n in range(4))
        host = data[at + 72 : at + 88].split(b"\0", 1)[0].decode("cp1252", "replace")
        path = data[at + fixed : at + fixed + size].decode("utf-16-le", "surrogatepass")
        found.append(Entry(at, min(end, len(data)) - at, number, opened,
                           pin if pin >= 0 else None, opens, path.rstrip("\0"), host,
                           (ids[0], ids[1], ids[2], ids[3]), score))
        at = end
    return version, found, ""


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields a row of `artifact_query` for each entry.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; what could be is yielded before.
    """
    data, stopped = whole(artifact, MOST, "jump list")
    rows = PyRows(artifact)
    reader = automatic if data.startswith(SIGNATURE) else custom
    for _ in reader(artifact, rows, data):
        yield from rows.full()
    yield from rows.rest()
    if stopped is not None:
        raise stopped


def automatic(artifact: Artifact, rows: PyRows, data: bytes) -> Iterator[None]:
    """Rows of an automatic list."""
    try:
        file = Compound(data)
    except NotCompound as error:
        rows.damaged(0, len(data), "compound file", str(error), data[:64])
        return
    streams = {s.name.lower(): s for s in file.streams if s.kind == STREAM}
    listed = streams.pop("destlist", None)
    version, why = 0, "there is no DestList"
    found: list[Entry] = []
    if listed is not None:
        version, found, why = entries(file.read(listed, MOST))
    if why:
        place = listed.offset if listed is not None else None
        rows.damaged(place or 0, 0, "DestList", why)
    common = app(artifact.path) | notes(dest_list_version=version)
    records = 0
    taken: set[int | None] = {None}
    for entry in found:
        stream = streams.pop(f"{entry.number:x}", None)
        link, length = None, 0
        if stream is not None:
            body = file.read(stream, LINK_MOST)
            link, length = lnk_link.parse(body), len(body)
            if link is None:
                _no_link(rows, stream, body, len(data))
            elif stream.offset in taken:
                # Only made by hand: two rows would be one citation.
                link = None
        at = stream.offset if link is not None and stream is not None else (
            file.place(listed, entry.at) if listed is not None else None)
        if at is None or at in taken or at >= len(data):
            rows.damaged(0, 0, "DestList", f"entry {entry.number} has no place of its own")
            continue
        taken.add(at)
        rows.seen(0)
        records += entry.length + (length if link is not None else 0)
        _automatic_row(rows, data, file, entry, stream, link, common, at)
        yield
    for stream in streams.values():
        body = file.read(stream, LINK_MOST)
        link = lnk_link.parse(body)
        if link is None:
            if body or stream.size:
                _no_link(rows, stream, body, len(data))
            continue
        if stream.offset in taken:
            rows.damaged(0, 0, f"stream {stream.name}", "it has no place of its own")
            continue
        taken.add(stream.offset)
        rows.seen(0)
        records += len(body)
        values = lnk_link.columns(link)
        values["unmapped"] |= common | {"stream": stream.name, "dest_list": "no entry names it"}
        at = stream.offset or 0
        rows.add("artifact_query", at, min(len(body), len(data) - at), body,
                 flags=lnk_link.flags(link) | FROM_SLACK, artifact="jumplist_automatic",
                 **lnk_link.target_time(link), **values)
        yield
    if file.trouble:
        rows.damaged(0, 0, "compound file", "; ".join(file.trouble[:8]))
    account = artifact.account
    # Streams that share sectors would be counted twice.
    account.bytes_records += min(records, file.used)
    account.bytes_structure += file.used - min(records, file.used)
    account.bytes_slack += len(data) - file.used


def _no_link(rows: PyRows, stream: Stream, body: bytes, size: int) -> None:
    at = stream.offset or 0
    rows.damaged(at, min(len(body), size - at), f"stream {stream.name}",
                 "it does not begin with a shell link", body[:64])


def _automatic_row(
    rows: PyRows, data: bytes, file: Compound, entry: Entry, stream: Stream | None,
    link: lnk_link.Link | None, common: dict[str, str], at: int,
) -> None:
    """The row of an entry, with what its link says. It is cited by its link's stream; without
    one, by DestList."""
    values: dict[str, Any] = lnk_link.columns(link) if link is not None else {
        "class_uid": lnk_link.FILE_QUERY, "activity_id": lnk_link.QUERY, "unmapped": {}}
    path = entry.path
    if path and not path.startswith("::") and not path.startswith("knownfolder:"):
        values["subject_path"] = path
        values["subject_name"] = path.rstrip("\\").rsplit("\\", 1)[-1] or None
        if link is not None and link.path != path:
            values["unmapped"]["link_path"] = link.path
    elif path:
        values.setdefault("subject_path", path)
        values["unmapped"]["dest_path"] = path
    us, ns = moment(entry.opened)
    mac, made = lnk_link.object_id(entry.ids[1])
    values["machine_uid"] = entry.host or values.get("machine_uid")
    values["machine_mac"] = mac or values.get("machine_mac")
    values["unmapped"] |= common | notes(
        entry=entry.number, pinned="" if entry.pinned is None else str(entry.pinned),
        access_count=entry.count, score=f"{entry.score:g}", droid_created_us=made,
        droid_volume=guid_text(entry.ids[0]), droid_file=guid_text(entry.ids[1]),
        birth_droid_volume=guid_text(entry.ids[2]), birth_droid_file=guid_text(entry.ids[3]),
        link="" if link is not None else "none",
    )  # fmt: skip
    length = link.length if link is not None else entry.length
    # The link's bytes need not lie together; the hash is of the entry and the link.
    body = file.read(stream, LINK_MOST) if stream is not None and link is not None else b""
    rows.add(
        "artifact_query", at, min(length, len(data) - at),
        struct.pack("<QI", entry.opened, entry.number) + entry.path.encode("utf-16-le",
                                                                           "surrogatepass") + body,
        flags=lnk_link.flags(link) if link is not None else 0, artifact="jumplist_automatic",
        time=us, time_ns=ns, time_desc="last_opened" if us is not None else None, **values,
    )  # fmt: skip


def custom(artifact: Artifact, rows: PyRows, data: bytes) -> Iterator[None]:
    """Rows of a list that a program gave. What is not understood is passed over to the next
    link: sizes of its other objects stand nowhere."""
    common = app(artifact.path)
    account = artifact.account
    begin, records, category = 12, 0, ""
    at = data.find(lnk_link.SIGNATURE)
    while at >= 0:
        category = _category(data[begin:at], begin == 12, category)
        link = lnk_link.parse(data, at)
        if link is None:
            rows.damaged(at, len(data) - at, "shell link", "the file ends in its header")
            break
        # A link that lost its end must not swallow the next one.
        following = data.find(lnk_link.SIGNATURE, at + lnk_link.HEADER)
        end = at + link.length
        cut = 0 <= following < end
        if cut:
            end = following
        rows.seen(end - at)
        records += end - at
        values = lnk_link.columns(link)
        values["unmapped"] |= common | notes(category=category)
        rows.add("artifact_query", at, end - at, data[at:end],
                 flags=lnk_link.flags(link) | (TRUNCATED if cut else 0),
                 artifact="jumplist_custom", **lnk_link.target_time(link), **values)
        yield
        begin, at = end, data.find(lnk_link.SIGNATURE, end)
    if len(data) < 12 or (FOOTER not in data[begin:] and struct.unpack_from("<I", data, 4)[0]):
        rows.damaged(min(begin, len(data)), 0, "custom destinations",
                     "the file ends before its last category does")
    account.bytes_structure += len(data) - records


def _category(gap: bytes, first: bool, before: str) -> str:
    """The category of a link, by the bytes between it and the one before."""
    if not first:
        end = gap.find(FOOTER)
        if end < 0:
            return before
        gap = gap[end + 4 :]
    # Several may stand here, without links of their own.
    name = before
    while len(gap) >= 8:
        kind = struct.unpack_from("<I", gap)[0]
        if kind == 1:
            name = _KNOWN.get(struct.unpack_from("<I", gap, 4)[0], "known")
        elif kind == 2:
            return "tasks"
        elif kind == 0:
            size = 2 * struct.unpack_from("<H", gap, 4)[0]
            return gap[6 : 6 + size].decode("utf-16-le", "replace")
        end = gap.find(FOOTER)
        if end < 0:
            break
        gap = gap[end + 4 :]
    return name


PARSER = Parser(
    "jump_list",
    VERSION,
    match,
    ("artifact_query",),
    read,
    files=("*.automaticdestinations-ms", "*.customdestinations-ms"),
    rank=Rank.USE,
)
