"""Where fuzzing starts from: small real inputs for each parser."""

import gzip
import io
import lzma
import os
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from tests import database_build, linux_build, netflow_build, ntfs_build, text_build, windows_build
from tracelake.parsers import PARSERS
from tracelake.parsers.artifact import Match, Parser

ROOT = Path(__file__).resolve().parent.parent.parent
SHARED = Path(os.environ.get("TRACELAKE_DATA", ROOT.parent / "shared" / "data"))
EVIDENCE = ROOT / "examples" / "evidence"
# Many small inputs find more than few large ones.
LARGEST = 72 * 1024
# Captures and lines are cut to this: enough for every kind of record that a file holds.
CUT = 12 * 1024
CAPTURES = (
    b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\x0a\x0d\x0d\x0a",
)


def files(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of what `path` holds, archives opened."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.flag_bits & 1:  # encrypted
                    yield info.filename, archive.read(info)
    elif path.name.endswith(".tar.gz"):
        with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as archive:
            for member in archive:
                held = archive.extractfile(member)
                if held is not None:
                    yield member.name, held.read()
    elif path.suffix == ".xz":
        yield path.stem, lzma.decompress(path.read_bytes())
    elif path.suffix == ".gz":
        yield path.stem, gzip.decompress(path.read_bytes())
    else:
        yield path.name, path.read_bytes()


def taken_by(data: bytes, name: str) -> Parser | None:
    best, parser = Match.NO, None
    for each in PARSERS:
        match, _ = each.match(data[:65536], name)
        if match > best:
            best, parser = match, each
    return parser


def corpus(shared: bool = True) -> dict[str, list[bytes]]:
    """Seeds by parser, from `examples/evidence` and, where they lie, the large test data."""
    paths = sorted(p for p in EVIDENCE.rglob("*") if p.is_file())
    paths += sorted((ROOT / "tests" / "data").rglob("*.xz"))
    paths += sorted((ROOT / "tests" / "data" / "devices").glob("*.log"))
    if shared and SHARED.is_dir():
        for folder in ("pcap", "evtx", "edr", "oracles", "triage"):
            found = sorted(p for p in (SHARED / folder).rglob("*") if p.is_file())
            paths += [p for p in found if p.stat().st_size <= LARGEST]
    seeds: dict[str, list[bytes]] = {parser.name: [] for parser in PARSERS}
    held = [each for path in paths for each in files(path)]
    for made in (
        ntfs_build, windows_build, linux_build, database_build, text_build, netflow_build,
    ):
        held += made.seeds()
    for name, data in held:
        parser = taken_by(data, name)
        if parser is not None:
            seeds[parser.name].append(shortened(data))
    # What is carved is what another parser reads.
    seeds |= {p.carve.name: seeds[p.name] for p in PARSERS if p.carve is not None}
    return {name: sorted(set(each), key=lambda d: (len(d), d)) for name, each in seeds.items()}


def shortened(data: bytes) -> bytes:
    if data.startswith(b"ElfFile"):
        return data[: 4096 + 65536]
    if data[4:8] == b"\xef\xcd\xab\x89":
        return data  # a part of such a database says nothing of its tables
    if data.startswith((b"regf", b"SQLite format 3")):
        return data[:LARGEST]
    if data[:4] in CAPTURES:
        return data[: 4 * CUT]  # what is said stands behind handshakes
    return data[:CUT]
