"""Damage as it happens, and as somebody would do it on purpose."""

import random
import struct
from collections.abc import Callable, Sequence
from zlib import crc32

LIMIT = 1 << 20
EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
FIELDS = ("<H", ">H", "<I", ">I", "<Q", ">Q")
# Texts that mean something to one of the readers.
WORDS = (
    b"**\0\0", b"ElfChnk\0", b"ElfFile\0", b"\x0f\x01\x01\x00", b"\xd4\xc3\xb2\xa1",
    b"\x0a\x0d\x0d\x0a", b"\x06\0\0\0", b"\xc0\x0c", b"\xff\xfe", b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80", b'"EventID":', b"\\ud800", b"[[[[[[[[", b"1e999", b"-0", b"null", b"{}",
    b"\n", b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"ustar", b"\x1f\x8b\x08",
    b"\x28\xb5\x2f\xfd",
)  # fmt: skip

CHUNK = 65536


def flip(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data))
    data[at] ^= 1 << rng.randrange(8)


def scribble(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data))
    n = min(rng.choice((1, 2, 4, 16)), len(data) - at)
    data[at : at + n] = rng.randbytes(n)


def extreme(rng: random.Random, data: bytearray) -> None:
    """A number field takes a value at which sums and products overflow."""
    form = rng.choice(FIELDS)
    size = struct.calcsize(form)
    if len(data) < size:
        return
    at = rng.randrange(len(data) - size + 1)
    if rng.random() < 0.5:
        at &= ~3
    value = rng.choice((*EXTREMES, len(data), len(data) - at))
    struct.pack_into(form, data, at, value & ((1 << 8 * size) - 1))


def nudge(rng: random.Random, data: bytearray) -> None:
    """A number field is a little larger or smaller than it was."""
    form = rng.choice(FIELDS[:4])
    size = struct.calcsize(form)
    if len(data) < size:
        return
    at = rng.randrange(len(data) - size + 1)
    value = struct.unpack_from(form, data, at)[0] + rng.choice((-8, -4, -2, -1, 1, 2, 4, 8))
    struct.pack_into(form, data, at, value & ((1 << 8 * size) - 1))


def cut(rng: random.Random, data: bytearray) -> None:
    del data[rng.randrange(len(data)) :]


def remove(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 2, 8, 64, 512))]


def repeat(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data))
    piece = bytes(data[at : at + rng.choice((1, 8, 64, 512, 4096))])
    to = rng.randrange(len(data) + 1)
    data[to:to] = piece


def copy(rng: random.Random, data: bytearray) -> None:
    """A piece is written over another."""
    n = min(rng.choice((4, 24, 128, 1024)), len(data))
    at, to = rng.randrange(len(data) - n + 1), rng.randrange(len(data) - n + 1)
    data[to : to + n] = data[at : at + n]


def word(rng: random.Random, data: bytearray) -> None:
    token = rng.choice(WORDS)
    at = rng.randrange(len(data))
    if rng.random() < 0.5:
        data[at : at + len(token)] = token
    else:
        data[at:at] = token


MUTATORS: tuple[Callable[[random.Random, bytearray], None], ...] = (
    flip, flip, scribble, scribble, extreme, extreme, extreme, nudge, nudge, nudge,
    cut, remove, repeat, copy, word,
)  # fmt: skip


def splice(rng: random.Random, one: bytes, other: bytes) -> bytearray:
    """The beginning of one and the end of another."""
    at = rng.randrange(len(one) + 1)
    return bytearray(one[:at] + other[min(at, len(other)) if rng.random() < 0.5 else 0 :])


def mend_log(data: bytearray) -> None:
    """Renews an event log's checksums: what is behind them is to be read, too."""
    if data[:8] == b"ElfFile\0" and len(data) >= 128:
        struct.pack_into("<I", data, 124, crc32(data[:120]))
    for at in range(4096, len(data) - 511, CHUNK):
        chunk = data[at : at + CHUNK]
        free = struct.unpack_from("<I", chunk, 48)[0]
        if 512 <= free <= len(chunk):
            struct.pack_into("<I", chunk, 52, crc32(chunk[512:free]))
        struct.pack_into("<I", chunk, 124, crc32(chunk[128:512], crc32(chunk[:120])))
        data[at : at + len(chunk)] = chunk


def mutated(rng: random.Random, corpus: Sequence[bytes]) -> bytes:
    """A damaged copy of one of the corpus, or of two of them joined."""
    data = bytearray(rng.choice(corpus))
    if rng.random() < 0.1:
        data = splice(rng, data, rng.choice(corpus))
    for _ in range(1 << rng.randrange(5)):
        if not data:
            break
        rng.choice(MUTATORS)(rng, data)
    if data.startswith(b"Elf") and rng.random() < 0.8:
        mend_log(data)
    del data[LIMIT:]
    return bytes(data)
