"""Builds the large inputs from the real samples, each in well under a minute.

    python -m benchmarks.build [megabytes]

- A capture: the seeds' packets, many copies side by side, each copy with addresses and times of
  its own. A copy adds a number to one half of an address and takes it from the other (in one's
  complement), so the checksums of IP, TCP and UDP stay what they were.
- An event log: the seeds' chunks one after the other, record numbers counted through (in the
  record headers, in EventRecordID and in the chunk headers), checksums renewed.
- JSON lines: the seeds' lines, each copy with host names of its own.
- The books of a file system: see build_ntfs.py.
"""

import random
import re
import shutil
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from benchmarks import build_ntfs
from benchmarks.seeds import (
    ROOT,
    SHARED_CAPTURES,
    SHARED_LINES,
    SHARED_LOGS,
    SHARED_SMALL_LOGS,
    collect,
)

FOLDER = ROOT / "bench-data"
LARGE_PACKET = 800
COPY_EVERY_US = 4_000_000  # a new copy of the captures begins every four seconds

CHUNK = 65536
FILE_HEADER = 4096


@dataclass(frozen=True, slots=True)
class Built:
    """An input: the large file, the one-record file of the same format, and what is in it."""

    path: Path
    one: Path
    records: int
    origin: str
    mean_packet: float | None = None


# ---- captures


def packets(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(microseconds, length on the wire, bytes) of a little-endian Ethernet capture."""
    if data[:4] != b"\xd4\xc3\xb2\xa1" or struct.unpack_from("<I", data, 20)[0] != 1:
        return
    at = 24
    while at + 16 <= len(data):
        seconds, micros, held, wire = struct.unpack_from("<IIII", data, at)
        if at + 16 + held > len(data):
            return
        yield seconds * 1_000_000 + micros, wire, data[at + 16 : at + 16 + held]
        at += 16 + held


def addresses(frame: bytes) -> list[int]:
    """Where the 16-bit pairs stand that a copy changes: one offset per unicast IP address."""
    kind, at = struct.unpack_from(">H", frame, 12)[0] if len(frame) >= 14 else 0, 14
    while kind in (0x8100, 0x88A8) and len(frame) >= at + 4:
        kind, at = struct.unpack_from(">H", frame, at + 2)[0], at + 4
    if kind == 0x0800 and len(frame) >= at + 20:
        return [o for o in (at + 12, at + 16) if frame[o] < 224]
    if kind == 0x86DD and len(frame) >= at + 40:
        return [o + 4 for o in (at + 8, at + 24) if frame[o] != 0xFF]
    return []


def moved(frame: bytes, places: list[int], number: int) -> bytes:
    """`frame` with the addresses of copy `number`; the sums over them are unchanged."""
    out = bytearray(frame)
    for at in places:
        high, low = struct.unpack_from(">HH", out, at)
        struct.pack_into(">HH", out, at, (high + number) % 0xFFFF, (low - number) % 0xFFFF)
    return bytes(out)


def stream(frame: bytes) -> bytes | None:
    """The two ends of a TCP segment over IPv4, in either direction the same; None of others."""
    if frame[12:14] != b"\x08\x00" or len(frame) < 38 or frame[23] != 6:
        return None
    at = 14 + 4 * (frame[14] & 15)
    ends = (frame[26:30] + frame[at : at + 2], frame[30:34] + frame[at + 2 : at + 4])
    return b"".join(sorted(ends))


def with_large_packets(data: bytes) -> set[bytes | None]:
    """The TCP connections of a capture whose packets have LARGE_PACKET bytes on average."""
    sizes: dict[bytes | None, list[int]] = {}
    for _, _, frame in packets(data):
        sizes.setdefault(stream(frame), []).append(len(frame))
    sizes.pop(None, None)
    return {ends for ends, each in sizes.items() if sum(each) / len(each) >= LARGE_PACKET}


def build_large_packets(folder: Path, size: int) -> Built:
    """A capture of nothing but transfers."""
    return build_capture(folder, size, large=True)


def build_capture(folder: Path, size: int, large: bool = False) -> Built:
    path, one = folder / f"capture{'-large' * large}.pcap", folder / "one-packet.pcap"
    origin, seeds = collect(SHARED_CAPTURES, (".pcap", ".cap"))
    frames: list[tuple[int, int, bytes, list[int]]] = []
    for seed in seeds:
        first = None
        wanted = with_large_packets(seed.data) if large else set()
        for time, wire, frame in packets(seed.data):
            if large and stream(frame) not in wanted:
                continue
            first = time if first is None else first
            # What was captured over hours is played within ten minutes, as its neighbours are.
            frames.append(((time - first) % 600_000_000, wire, frame, addresses(frame)))
    held = sum(16 + len(frame) for _, _, frame, _ in frames)
    copies = max(1, -(-size // held))
    base = 1_700_000_000_000_000
    # In the order of time, all copies interleaved: (time, copy, frame) packed into one integer.
    order = sorted(
        ((copy * COPY_EVERY_US + frames[i][0]) << 40) | (copy << 20) | i
        for copy in range(copies)
        for i in range(len(frames))
    )
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
    total = 0
    with open(path, "wb", buffering=1 << 20) as out:
        out.write(header)
        for key in order:
            time = base + (key >> 40)
            _, wire, frame, places = frames[key & 0xFFFFF]
            total += len(frame)
            seconds, micros = divmod(time, 1_000_000)
            out.write(struct.pack("<IIII", seconds, micros, len(frame), wire))
            out.write(moved(frame, places, ((key >> 20) & 0xFFFFF) + 1))
    _, wire, frame, _ = frames[0]
    one.write_bytes(header + struct.pack("<IIII", 1_700_000_000, 0, len(frame), wire) + frame)
    return Built(path, one, len(order), origin, total / len(order))


# ---- event logs


@dataclass(slots=True)
class Chunk:
    """A chunk of a real log, and where record numbers stand in it."""

    data: bytearray
    records: int
    numbers: list[tuple[int, int]]  # (offset of a 64-bit number, ordinal of its record)


def event_record_id(chunk: bytes, record: int, end: int, number: int) -> int | None:
    """Offset of EventRecordID (substitution 10 of the System template), if it holds `number`."""
    at = record + 24
    if chunk[at : at + 4] != b"\x0f\x01\x01\x00" or chunk[at + 4] != 0x0C:
        return None
    definition = struct.unpack_from("<I", chunk, at + 10)[0]
    at += 14
    if definition == at:  # the template is defined here
        at += 24 + struct.unpack_from("<I", chunk, at + 20)[0]
    if at + 4 > end:
        return None
    count = struct.unpack_from("<I", chunk, at)[0]
    value = at + 4 + 4 * count
    if count < 11 or value > end:
        return None
    for i in range(10):
        value += struct.unpack_from("<H", chunk, at + 4 + 4 * i)[0]
    size, kind = struct.unpack_from("<HB", chunk, at + 44)
    if size != 8 or kind != 0x0A or value + 8 > end:
        return None
    return value if struct.unpack_from("<Q", chunk, value)[0] == number else None


def chunks(data: bytes) -> Iterator[Chunk]:
    """The chunks of a log whose checksums are right and whose records can be walked."""
    for start in range(FILE_HEADER, len(data) - CHUNK + 1, CHUNK):
        chunk = bytearray(data[start : start + CHUNK])
        if chunk[:8] != b"ElfChnk\0":
            continue
        free = struct.unpack_from("<I", chunk, 48)[0]
        if not 512 < free <= CHUNK:
            continue
        if crc32(chunk[512:free]) != struct.unpack_from("<I", chunk, 52)[0]:
            continue
        at, numbers, records = 512, [], 0
        while at + 28 <= free and chunk[at : at + 4] == b"**\0\0":
            size, number = struct.unpack_from("<IQ", chunk, at + 4)
            if size < 28 or at + size > free:
                break
            numbers.append((at + 8, records))
            inner = event_record_id(chunk, at, at + size, number)
            if inner is not None:
                numbers.append((inner, records))
            records += 1
            at += size
        if at == free and records:
            yield Chunk(chunk, records, numbers)


def numbered(chunk: Chunk, first: int) -> bytearray:
    """The chunk with its records numbered from `first`, checksums renewed."""
    data = chunk.data
    for at, ordinal in chunk.numbers:
        struct.pack_into("<Q", data, at, first + ordinal)
    last = first + chunk.records - 1
    struct.pack_into("<QQQQ", data, 8, first, last, first, last)
    free = struct.unpack_from("<I", data, 48)[0]
    struct.pack_into("<I", data, 52, crc32(data[512:free]))
    struct.pack_into("<I", data, 124, crc32(data[128:512], crc32(data[:120])))
    return data


def log_header(count: int, next_record: int) -> bytes:
    header = bytearray(FILE_HEADER)
    struct.pack_into(
        "<8sQQQIHHHH", header, 0, b"ElfFile\0", 0, count - 1, next_record, 128, 1, 3, 4096,
        count & 0xFFFF,
    )  # fmt: skip
    struct.pack_into("<I", header, 124, crc32(header[:120]))
    return bytes(header)


def first_record_only(chunk: Chunk) -> bytearray:
    """A chunk that ends after its first record."""
    data = bytearray(chunk.data)
    end = 512 + struct.unpack_from("<I", data, 516)[0]
    data[end:] = bytes(CHUNK - end)
    struct.pack_into("<II", data, 44, 512, end)
    # The tables of strings and templates may only point to what is left.
    for at in range(128, 512, 4):
        if struct.unpack_from("<I", data, at)[0] >= end:
            struct.pack_into("<I", data, at, 0)
    return numbered(Chunk(data, 1, [n for n in chunk.numbers if n[1] == 0]), 1)


def build_log(folder: Path, size: int) -> Built:
    path, one = folder / "log.evtx", folder / "one-record.evtx"
    origin, seeds = collect(SHARED_LOGS, (".evtx",))
    pieces = [chunk for seed in seeds for chunk in chunks(seed.data)]
    # Channels alternate, as they do when a folder of logs is read.
    random.Random(1).shuffle(pieces)
    written, number = 0, 1
    with open(path, "wb", buffering=1 << 20) as out:
        out.write(bytes(FILE_HEADER))
        while FILE_HEADER + written * CHUNK < size:
            piece = pieces[written % len(pieces)]
            out.write(numbered(piece, number))
            number += piece.records
            written += 1
        out.seek(0)
        out.write(log_header(written, number))
    one.write_bytes(log_header(1, 2) + first_record_only(pieces[0]))
    return Built(path, one, number - 1, origin)


SMALL_LOG = 1_200_000  # the size of a log that was never full: 1 MiB and its header


@dataclass(frozen=True, slots=True)
class BuiltFolder:
    """Many small logs, and one log of the same records."""

    folder: Path
    joined: Path
    one: Path
    files: int
    records: int
    origin: str


def build_folder(files: int) -> BuiltFolder:
    """A folder of so many small logs, as `winevt/Logs` holds them: real ones, and copies of them
    whose records have numbers of their own; and the same records as one log."""
    folder = FOLDER / f"{files}-logs"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "logs").mkdir(parents=True)
    origin, seeds = collect(SHARED_SMALL_LOGS, (".evtx",))
    small = [list(chunks(seed.data)) for seed in seeds if len(seed.data) <= SMALL_LOG]
    small = [pieces for pieces in small if pieces]
    number, everything = 1, []
    for i in range(files):
        pieces = small[i % len(small)]
        data = []
        for piece in pieces:
            data.append(bytes(numbered(piece, number)))
            number += piece.records
        path = folder / "logs" / f"{i:04}.evtx"
        path.write_bytes(log_header(len(data), number) + b"".join(data))
        everything += data
    joined, one = folder / "joined.evtx", folder / "one-record.evtx"
    joined.write_bytes(log_header(len(everything), number) + b"".join(everything))
    one.write_bytes(log_header(1, 2) + first_record_only(small[0][0]))
    return BuiltFolder(folder / "logs", joined, one, files, number - 1, origin)


# ---- JSON lines


def build_lines(folder: Path, size: int) -> Built:
    path, one = folder / "events.jsonl", folder / "one-event.jsonl"
    origin, seeds = collect(SHARED_LINES, (".json",))
    block = b"".join(seed.data.rstrip(b"\r\n") + b"\n" for seed in seeds)
    host = re.compile(rb"(?<=[\W_])(WORKSTATION[56]|MORDORDC)(?=\W)")
    records, written, copy = 0, 0, 0
    with open(path, "wb") as out:
        while written < size:
            part = host.sub(b"\\g<1>-%04d" % copy, block)
            written += out.write(part)
            records += part.count(b"\n")
            copy += 1
    one.write_bytes(block[: block.index(b"\n") + 1])
    return Built(path, one, records, origin)


def build_table(folder: Path, size: int) -> Built:
    path, one = folder / "$MFT", folder / "one-entry" / "$MFT"
    one.parent.mkdir(exist_ok=True)
    return Built(path, one, *build_ntfs.table(path, one, size))


def build_journal(folder: Path, size: int) -> Built:
    path, one = folder / "$J", folder / "one-record" / "$J"
    one.parent.mkdir(exist_ok=True)
    return Built(path, one, *build_ntfs.journal(path, one, size))


BUILDERS = {
    "pcap": build_capture,
    "flows": build_capture,
    "packets": build_large_packets,
    "evtx": build_log,
    "jsonl": build_lines,
    "mft": build_table,
    "usn": build_journal,
}


def build(kind: str, megabytes: int) -> Built:
    """Builds the input of a format, at least `megabytes` large, under `bench-data/`."""
    folder = FOLDER / str(megabytes)
    folder.mkdir(parents=True, exist_ok=True)
    return BUILDERS[kind](folder, megabytes * 1_000_000)


if __name__ == "__main__":
    for name in BUILDERS:
        print(build(name, int(sys.argv[1]) if len(sys.argv) > 1 else 320))
