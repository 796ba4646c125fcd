r"""WMI's repository: what runs when something happens, without a file that says so.

`System32\wbem\Repository\OBJECTS.DATA`; `MAPPING1.MAP` to `MAPPING3.MAP` (before Vista
`OBJECTS.MAP`) beside it say which of its pages are in use and which follows which. Specification:
"WMI repository file format" (libyal, dtformats).

    page of 8192 bytes = (id, place, size, CRC-32) of each of its objects, zeros, objects

Instances of the classes that make a subscription (event filters, consumers, and what binds one to
the other) are found by the hash of their class's name wherever they are, in objects or in what
pages keep of deleted ones (parse_flags 2). Each is a row of `artifact_query`, artifact
`wmi_subscription`, with the columns that Sysmon's events 19 to 21 have.
"""

import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pyarrow as pa

from tracelake.native.errors import EvidenceError, Unsupported
from tracelake.parsers.artifact import NO_ROWS_YET, Artifact, Match, Parser, Rank
from tracelake.parsers.pyrows import FROM_SLACK, PyRows
from tracelake.parsers.whole import micros, moment, notes
from tracelake.parsers.wmi_instance import (
    BLOCK_MOST,
    HASHES,
    Instance,
    parse,
    properties,
    reference,
)

VERSION = "1"

STARTUP_ITEM = 5022
QUERY = 1
MOST = 160 << 20  # bytes; 20 to 60 MiB are usual
PAGE = 8192
PIECE = 1 << 20
MAP_MOST = 4 << 20
FOUND_MOST = 65536
DESCRIPTOR = 16
NO_PAGE = 0xFFFFFFFF
_START, _END = 0xABCD, 0xDCBA
_KINDS = {"__EventFilter": "WmiFilterEvent", "__FilterToConsumerBinding": "WmiBindingEvent"}
_MAPS = ("MAPPING1.MAP", "MAPPING2.MAP", "MAPPING3.MAP", "OBJECTS.MAP")


def descriptors(page: bytes | bytearray) -> list[tuple[int, int, int]]:
    """(id, place, size) of the objects of a page; none where it does not begin with such."""
    found: list[tuple[int, int, int]] = []
    for at in range(0, len(page) - DESCRIPTOR + 1, DESCRIPTOR):
        number, place, size, _ = struct.unpack_from("<4I", page, at)
        if not number and not place and not size:
            first = DESCRIPTOR * (len(found) + 1)
            return found if found and min(p for _, p, _ in found) >= first else []
        if not number or not size or place >= PAGE:
            return []
        found.append((number, place, size))
    return []


def match(head: bytes, path: str) -> tuple[Match, str]:
    """Whether an artifact is the repository's objects, and why not."""
    here = descriptors(head[:PAGE]) if int.from_bytes(head[4:8], "little") < PAGE else []
    if path.lower().endswith("objects.data"):
        return (Match.CONTENT if here else Match.NAME), ""
    two = len(head) >= 2 * PAGE and here and descriptors(head[PAGE : 2 * PAGE])
    if two and here[0][1] == DESCRIPTOR * (len(here) + 1):
        return Match.CONTENT, ""
    return Match.NO, "no pages of objects of WMI's repository"


class Pages:
    """Which page follows which: from the newest mapping that can be read, else as they stand."""

    def __init__(self, artifact: Artifact, pages: int) -> None:
        self._next: dict[int, int] = {}
        self.used: set[int] | None = None
        newest = -1
        for name in _MAPS:
            data = artifact.beside(name, MAP_MOST)
            found = mapping(data, pages) if data is not None else None
            if found is not None and found[0] > newest:
                newest, table = found
                self.used = {page for page in table if page != NO_PAGE}
                self._next = {page: after for page, after in pairwise(table)
                              if page != NO_PAGE and after != NO_PAGE}

    def after(self, page: int) -> int:
        """The page that goes on where `page` ends."""
        return self._next.get(page, page + 1)


def mapping(data: bytes, pages: int) -> tuple[int, list[int]] | None:
    """(sequence number, page of each mapped number) of a mapping file; None where it is none."""
    for header, entry in ((20, 24), (12, 4)):
        if len(data) < header + 4:
            continue
        start, sequence = struct.unpack_from("<II", data)
        (count,) = struct.unpack_from("<I", data, header)
        if start != _START or not 0 < count <= (len(data) - header - 4) // entry:
            continue
        at = header + 4
        # Behind it are the free pages, and a mark: so the one form is not taken for the other.
        free_at = at + entry * count
        if free_at + 4 > len(data):
            continue
        end = free_at + 4 + 4 * int(struct.unpack_from("<I", data, free_at)[0])
        if data[end : end + 4] != struct.pack("<I", _END):
            continue
        table = [struct.unpack_from("<I", data, at + entry * n)[0] for n in range(count)]
        # The top bit and -1 stand for pages that are not there.
        table = [page if page < pages else NO_PAGE for page in table]
        if any(page != NO_PAGE for page in table):
            return sequence, table
    return None


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields rows of `artifact_query`.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; what could be is yielded before.
        Unsupported: it is larger than what is held.
    """
    data = bytearray()
    stopped: EvidenceError | None = None
    try:
        while piece := artifact.feed.read(PIECE):
            data += piece
            if len(data) > MOST:
                raise Unsupported("OBJECTS.DATA", 0, f"larger than {MOST} bytes, not held")
            yield NO_ROWS_YET
    except Unsupported:
        raise
    except EvidenceError as error:
        stopped = error
    rows = PyRows(artifact)
    pages = Pages(artifact, -(-len(data) // PAGE))
    found: list[tuple[int, int, Instance, bytes]] = []
    taken = 0
    places = instances(data)
    for number, (at, wide, name) in enumerate(places):
        end = places[number + 1][0] if number + 1 < len(places) else len(data)
        length, body = _block(data, at, wide, pages)
        # One that claims more than the way to the next would count its bytes twice.
        length = min(length, end - at)
        times: tuple[int, int] = struct.unpack("<QQ", (body[wide : wide + 16]).ljust(16, b"\0"))
        instance = parse(name, times, body[wide + 20 :])
        if instance is None:
            if len(body) >= wide + 20:
                rows.damaged(at, length, name, "its block does not hold its class", body[:256])
            else:
                rows.damaged(at, length, name, "the file ends in its header")
        else:
            found.append((at, length, instance, body))
        taken += length
        if len(found) >= FOUND_MOST:
            rows.damaged(at, 0, "OBJECTS.DATA", f"more than {FOUND_MOST} instances")
            break
    names = {reference(text)[1] for _, _, each, _ in found
             if each.cim_class == "__FilterToConsumerBinding" for text in each.texts} - {""}
    for at, length, instance, body in found:
        rows.seen(length)
        _row(rows, data, pages, at, length, instance, names, body)
        yield from rows.full()
    artifact.account.bytes_structure += max(0, len(data) - taken)
    yield from rows.rest()
    if stopped is not None:
        raise stopped


def instances(data: bytearray) -> list[tuple[int, int, str]]:
    """(place, bytes of the hash, class) of the instances, in their order."""
    found: list[tuple[int, int, str]] = []
    for digits, name in HASHES.items():
        # A pass for each: whatever the bytes are, it takes as long as they are many.
        at = data.find(digits)
        while at >= 0 and len(found) <= len(HASHES) * FOUND_MOST:
            found.append((at, len(digits), name))
            at = data.find(digits, at + len(digits))
    return sorted(found)


def _block(data: bytearray, at: int, wide: int, pages: Pages) -> tuple[int, bytes]:
    """(bytes that stand at its place, all of its bytes) of an instance; a large one goes on at the
    start of the page that follows."""
    head = at + wide + 20
    size = 0
    if head <= len(data) and head <= (at // PAGE + 1) * PAGE:
        size = struct.unpack_from("<I", data, head - 4)[0]
    if not 4 <= size <= BLOCK_MOST:
        return min(wide + 20, len(data) - at), bytes(data[at : min(head, len(data))])
    want = wide + 16 + size
    page = at // PAGE
    body = bytes(data[at : min(at + want, (page + 1) * PAGE)])
    here = len(body)
    seen = {page}
    while len(body) < want:
        page = pages.after(page)
        if page in seen or page * PAGE >= len(data):
            break
        seen.add(page)
        body += data[page * PAGE : page * PAGE + min(PAGE, want - len(body))]
    return here, body


def _row(
    rows: PyRows, data: bytearray, pages: Pages, at: int, length: int, found: Instance,
    names: set[str], body: bytes,
) -> None:
    page = at // PAGE
    objects = descriptors(data[page * PAGE : (page + 1) * PAGE])
    listed = any(place == at % PAGE for _, place, _ in objects)
    mapped = pages.used is None or page in pages.used
    said = properties(found, names)
    us, ns = moment(found.times[0])
    values: dict[str, Any] = {"subject_name": said.get("Name")}
    kind = found.cim_class
    if kind == "__FilterToConsumerBinding":
        values = {"subject_name": said.get("Consumer"), "detail": said.get("Filter"),
                  "message": f"WMI consumer {reference(said.get('Consumer', ''))[1]} bound to "
                             f"filter {reference(said.get('Filter', ''))[1]}"}
    elif kind == "__EventFilter":
        values |= {"detail": said.get("Query"),
                   "message": f"WMI filter {said.get('Name', '')}: {said.get('Query', '')}"}
    else:
        command = said.get("CommandLineTemplate") or said.get("ScriptText")
        values |= {"detail": kind, "cmd_line": command,
                   "message": f"WMI consumer {said.get('Name', '')} ({kind})"
                              + (f": {command}" if command else "")}
    other = said | notes(
        EventType=_KINDS.get(kind, "WmiConsumerEvent" if "Consumer" in kind else ""),
        cim_class=kind, texts="\n".join(found.texts), second_time_us=micros(found.times[1]),
        mapped="" if mapped else "no",
    )  # fmt: skip
    rows.add(
        "artifact_query", at, length, body, flags=0 if listed and mapped else FROM_SLACK,
        class_uid=STARTUP_ITEM, activity_id=QUERY, artifact="wmi_subscription", time=us,
        time_ns=ns, time_desc="written" if us is not None else None,
        user_uid=found.sid or None, unmapped=other, **values,
    )  # fmt: skip


PARSER = Parser(
    "wmi_repository",
    VERSION,
    match,
    ("artifact_query",),
    read,
    files=("*/wbem/repository/objects.data", "*/wbem/repository/fs/objects.data"),
    rank=Rank.USE,
)
