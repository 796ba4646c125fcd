"""Fuzzing what opens archives and compressed files."""

import gzip
import io
import tarfile
import zipfile
from dataclasses import dataclass, field

import zstandard

from tests.fuzz.corpus import EVIDENCE
from tests.fuzz.examine import Finding
from tracelake.ingest.walk import walk_of
from tracelake.ingest.want import AUDIT
from tracelake.native.errors import EvidenceError
from tracelake.native.feed import Feed

# No input is larger than 256 KiB; what is hidden in one must not keep us for ever.
MOST_BYTES = 64 << 20
MOST_MEMBERS = 5000


@dataclass(slots=True)
class Opened:
    """What was found in a container."""

    members: int = 0
    bytes: int = 0
    reasons: set[str] = field(default_factory=set)

    @property
    def signature(self) -> tuple[object, ...]:
        return (self.members.bit_length(), self.bytes.bit_length() // 4, frozenset(self.reasons))


def examine_container(data: bytes) -> Opened:
    """Opens everything in `data`, reads it to the end, and lets nothing but EvidenceError pass."""
    out = Opened()
    numbers: set[int] = set()
    for number, member in walk_of(io.BytesIO(data), "input").members(range(AUDIT)):
        out.members += 1
        if number in numbers:
            raise Finding(f"two members of number {number}")
        numbers.add(number)
        if out.members > MOST_MEMBERS:
            raise Finding(f"more than {MOST_MEMBERS} members in {len(data)} bytes")
        if not isinstance(member.path, str):
            raise Finding(f"a path that is no text: {member.path!r}")
        if member.trouble is not None:
            out.reasons.add(reason(member.trouble))
            continue
        feed = Feed(member.open())
        try:
            # As the ingest does: a look at the beginning, then all of it.
            feed.peek(65536)
            while feed.read(1 << 20) and out.bytes < MOST_BYTES:
                out.bytes = max(out.bytes, feed.position)
        except EvidenceError as error:
            out.reasons.add(reason(error))
    return out


def reason(error: EvidenceError) -> str:
    if "\n" in str(error) or not error.what or not error.why:
        raise Finding(f"not one line with a reason: {error!r}")
    return f"{type(error).__name__} {error.what} {error.why[:24]}"


def container_seeds() -> list[bytes]:
    """Small archives of every kind, nested ones among them."""
    files = sorted((EVIDENCE / "captures").glob("*.pcap*"), key=lambda p: p.stat().st_size)[:2]
    held = [(path.name, path.read_bytes()[:2048]) for path in files]
    seeds = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            for name, data in held:
                archive.writestr(name, data)
        seeds.append(out.getvalue())
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=form) as tar:
            long = "n" * 90 + "/" + "m" * 90
            for name, data in [*held, (long, b"a long name"), ("in.zip", seeds[1])]:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        seeds.append(out.getvalue())
    plain = held[0][1]
    seeds += [
        gzip.compress(plain, mtime=0),
        gzip.compress(plain, mtime=0) + gzip.compress(held[1][1], mtime=0),
        gzip.compress(seeds[-1], mtime=0),
        zstandard.ZstdCompressor(write_checksum=True).compress(plain),
        zstandard.ZstdCompressor().compress(seeds[4]),
        gzip.compress(gzip.compress(zstandard.compress(seeds[0])), mtime=0),
    ]
    return seeds
