"""A log read in parts is the log read at once: rows, damage, duplicates, accounts."""

import gzip
import io
import random
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from line import EVIDENCE
from parts_case import read_in_parts, read_whole

from tracelake.parsers import evtx

HEADER, CHUNK = 4096, 65536
LOGS = EVIDENCE / "logs"


def sample_chunks() -> list[bytes]:
    """The chunks of the sample logs."""
    data = [path.read_bytes() for path in sorted(LOGS.glob("*.evtx"))]
    data += [gzip.decompress(path.read_bytes()) for path in sorted(LOGS.glob("*.evtx.gz"))]
    packed = gzip.decompress((LOGS / "aptsimulator-winevt.tar.gz").read_bytes())
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None and member.name.endswith(".evtx"):
                data.append(file.read())
    return [
        log[at : at + CHUNK]
        for log in data
        for at in range(HEADER, len(log) - CHUNK + 1, CHUNK)
        if log[at : at + 8] == b"ElfChnk\0"
    ]


CHUNKS = sample_chunks()
FILE_HEADER = (LOGS / "new-user-security.evtx").read_bytes()[:HEADER]


def some(chance: random.Random, least: int = 6, most: int = 14) -> list[bytes]:
    return [chance.choice(CHUNKS) for _ in range(chance.randint(least, most))]


def plain(chance: random.Random) -> bytes:
    return FILE_HEADER + b"".join(chance.sample(CHUNKS, min(12, len(CHUNKS))))


def repeated(chance: random.Random) -> bytes:
    """Chunks that stand twice or more, anywhere."""
    return FILE_HEADER + b"".join(some(chance))


def shifted(chance: random.Random) -> bytes:
    """Bytes lost, put in, or blank between chunks, as after a carve."""
    between = [b"", bytes(512), bytes(CHUNK), b"\xff" * 1000, b"E" * 70_000, b"ElfChn" * 5]
    pieces = [chance.choice(between) + chunk for chunk in some(chance)]
    return FILE_HEADER + b"".join(pieces) + chance.choice(between)


def cut(chance: random.Random) -> bytes:
    """Cut anywhere; some chunks cut short too."""
    pieces = [c if chance.random() < 0.7 else c[: chance.randrange(CHUNK)] for c in some(chance)]
    data = FILE_HEADER + b"".join(pieces)
    return data[: chance.randrange(len(data) // 2, len(data))]


def headless(chance: random.Random) -> bytes:
    """Chunks without a file around them."""
    return b"".join(some(chance))


def overwritten(chance: random.Random) -> bytes:
    """Zeros and noise over record frames, chunk headers and signatures."""
    data = bytearray(FILE_HEADER + b"".join(some(chance)))
    for _ in range(chance.randint(1, 10)):
        at = chance.randrange(HEADER, len(data) - 600)
        if chance.random() < 0.4:  # the beginning of a chunk
            at = HEADER + (at - HEADER) // CHUNK * CHUNK
        n = chance.randint(1, 600)
        data[at : at + n] = bytes(n) if chance.random() < 0.5 else chance.randbytes(n)
    return bytes(data)


def flipped(chance: random.Random) -> bytes:
    data = bytearray(FILE_HEADER + b"".join(some(chance)))
    for _ in range(64):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(data)


def renumbered(chance: random.Random) -> bytes:
    """Copies of records with other numbers are no copies; equal numbers alone neither."""
    pieces = []
    for chunk in some(chance):
        data = bytearray(chunk)
        if chance.random() < 0.5:
            at, end = 512, struct.unpack_from("<I", data, 48)[0]
            step = chance.randint(1, 3)
            while at + 28 <= min(end, CHUNK) and data[at : at + 4] == b"**\0\0":
                size, number = struct.unpack_from("<IQ", data, at + 4)
                struct.pack_into("<Q", data, at + 8, number + step)
                if size < 28:
                    break
                at += size
        pieces.append(bytes(data))
    return FILE_HEADER + b"".join(pieces)


MAKERS = (plain, repeated, shifted, cut, headless, overwritten, flipped, renumbered)


@pytest.mark.parametrize("make", MAKERS)
def test_parts_are_the_whole(make: Callable[[random.Random], bytes], tmp_path: Path) -> None:
    path = tmp_path / "log.evtx"
    again = divided = 0
    for round_ in range(6):
        chance = random.Random(f"{make.__name__} {round_}")
        path.write_bytes(make(chance))
        whole = read_whole(evtx.PARSER, path)
        for count in (1, 2, 3, 5):
            found, twice = read_in_parts(evtx.PARSER, path, count, chance)
            if found is None:
                continue
            assert found.counts == whole.counts, (round_, count)
            assert found.rows == whole.rows, (round_, count)
            divided += 1
            again += twice
    if make is not flipped:  # flipped bits are in definitions soon
        assert divided, "no log was read in parts at all"
    if make is repeated:
        assert again, "no part was read again"


def test_a_definition_that_has_to_be_guessed_is_one_readers_matter(tmp_path: Path) -> None:
    """The plan of a broken definition is taken from an earlier chunk: parts would not know it."""
    good = next(chunk for chunk in CHUNKS if definition(chunk))
    bad = bytearray(good)
    at = definition(good)
    bad[at + 24 : at + 40] = b"\xee" * 16
    # Other numbers: else it is a copy as far as it is whole.
    struct.pack_into("<Q", bad, 512 + 8, 1 << 40)
    path = tmp_path / "log.evtx"
    path.write_bytes(FILE_HEADER + good * 3 + bytes(bad) + good)
    for seed in range(4):
        found, _ = read_in_parts(evtx.PARSER, path, 3, random.Random(seed))
        assert found is None


def definition(chunk: bytes) -> int:
    """Offset of the first record's template definition, 0 where it has none of its own."""
    at = 512 + 24
    if chunk[at : at + 6] != b"\x0f\x01\x01\x00\x0c\x01":
        return 0
    where: int = struct.unpack_from("<I", chunk, at + 10)[0]
    return where if where == at + 14 else 0
