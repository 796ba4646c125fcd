"""Where real events are found: the evidence in this repository, and the shared test data.

A sample is a file with records of a Windows event log: EVTX, or JSON lines of a shipper. Its
origin and licence decide how it is used: what this repository holds is read where it lies, a
record of a permissive sample is copied, and any other is read only where the shared data are.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyarrow as pa

from tests.conftest import ROOT, SHARED
from tracelake.ingest.containers import members
from tracelake.native.account import Account
from tracelake.native.errors import EvidenceError
from tracelake.native.feed import Feed
from tracelake.parsers import evtx, jsonl
from tracelake.parsers.artifact import Artifact, Match, Parser

PERMISSIVE = {
    "MIT", "Apache-2.0", "MIT OR Apache-2.0", "CC0-1.0", "Unlicense", "BSD-3-Clause",
}
COMMITTED = ("examples/evidence/logs", "examples/evidence/edr", "tests/data/mordor")
ELSEWHERE = ("evtx", "oracles/sigma-regression", "edr/otrf-host-unpacked", "edr/otrf-host",
             "triage/collections")


@dataclass(frozen=True, slots=True)
class Sample:
    """One log.

    Attributes:
        file: path of the file that holds it, from this repository or from the shared data.
        inside: its path in that file, "" where it is the file.
        number: of that file, as the lake counts the files in a source (`artifact_no`).
        licence: SPDX name, "" for what this repository holds.
        parser: who reads it.
        data: its bytes.
    """

    file: str
    inside: str
    number: int
    licence: str
    parser: Parser
    data: bytes

    @property
    def is_committed(self) -> bool:
        return not self.licence

    @property
    def is_free(self) -> bool:
        return self.licence in PERMISSIVE


def path_of(file: str) -> Path:
    """Where a sample's file lies."""
    own = ROOT / file
    return own if own.exists() else SHARED / file


@cache
def _licences() -> dict[str, str]:
    manifest = SHARED / "MANIFEST.tsv"
    if not manifest.is_file():
        return {}
    with manifest.open(encoding="utf-8", newline="") as lines:
        return {row["path"]: row["licence"] for row in csv.DictReader(lines, delimiter="\t")}


def _parser_of(data: bytes, name: str) -> Parser | None:
    for parser in (evtx.PARSER, jsonl.PARSER):
        if parser.match(data[:65536], name)[0] == Match.CONTENT:
            return parser
    return None


def _read(feed: Feed) -> bytes:
    """What there is of a member; one of the shared archives ends early."""
    data = bytearray()
    while part := _part(feed):
        data += part
    return bytes(data)


def _part(feed: Feed) -> bytes:
    try:
        return feed.read(1 << 20)
    except EvidenceError:
        return b""


def in_file(file: str, licence: str) -> Iterator[Sample]:
    """The logs of one file, also those inside an archive."""
    path = path_of(file)
    with path.open("rb", buffering=0) as stream:
        for number, member in enumerate(members(stream, path.name)):
            if member.trouble is not None or member.unread is not None:
                continue
            data = _read(Feed(member.open()))
            parser = _parser_of(data, member.path)
            if parser is not None:
                inside = "" if member.path == path.name else member.path
                yield Sample(file, inside, number, licence, parser, data)


def committed() -> Iterator[Sample]:
    """The logs that this repository holds."""
    for folder in COMMITTED:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix != ".md":
                yield from in_file(path.relative_to(ROOT).as_posix(), "")


def elsewhere() -> Iterator[Sample]:
    """The logs of the shared data, as far as they are there."""
    wanted = {".evtx", ".zip", ".json", ".jsonl", ".gz"}
    for folder in ELSEWHERE:
        for path in sorted((SHARED / folder).rglob("*")):
            if path.is_file() and path.suffix in wanted:
                file = path.relative_to(SHARED).as_posix()
                yield from in_file(file, _licences().get(file, "unknown"))


def rows_of(sample: Sample) -> Iterator[tuple[str, pa.RecordBatch]]:
    """(table, batch) of a sample; damage at its end is no concern here."""
    feed = Feed(io.BytesIO(sample.data))
    try:
        yield from sample.parser.read(Artifact(sample.inside or sample.file, feed, Account()))
    except EvidenceError:
        return
