"""Parquet's bloom filters, asked one text at a time.

A row group's filter says that it does not hold a text, or that it may. An engine reads the whole
filter for that (DuckDB 1.5: 1.5 ms for each of 128 KiB); the 32 bytes that matter can be read by
themselves, so that a thousand row groups are asked in some milliseconds.
(Apache Parquet, "Parquet Bloom Filter": split block filters over XXH64 with seed 0.)
"""

import os
import struct
from dataclasses import dataclass

_ALL = (1 << 64) - 1
_ONE, _TWO, _THREE, _FOUR, _FIVE = (
    0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)
_SALTS = (
    0x47B6137B, 0x44974D91, 0x8824AD5B, 0xA2B7289D, 0x705495C7, 0x2DF1424B, 0x9EFC4947, 0x5C6BFB31,
)
BLOCK = 32
"""Bytes of a filter that one text is looked for in."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A text as filters know it: where its block is, and which bits of that are set."""

    place: int
    bits: int


def wanted(text: str) -> Wanted:
    """What is looked for in filters of a column of text."""
    code = xxh64(text.encode())
    low = code & 0xFFFFFFFF
    bits = 0
    for number, salt in enumerate(_SALTS):
        bits |= 1 << (32 * number + ((low * salt & 0xFFFFFFFF) >> 27))
    return Wanted(code >> 32, bits)


def may_hold(handle: int, offset: int, length: int, text: Wanted) -> bool:
    """Whether a row group may hold a text.

    Args:
        handle: of its file, open for reading.
        offset, length: of the column's filter there, header included, by the file's footer.

    Raises:
        OSError: the file cannot be read.
    """
    # The filter itself is a power of two of bytes, after a header of some twenty.
    size = 1 << (length.bit_length() - 1) if length > 0 else 0
    if size < BLOCK or length - size > BLOCK:
        return True     # not of the form that is known: nothing can be said
    block = text.place * (size // BLOCK) >> 32
    found = os.pread(handle, BLOCK, offset + (length - size) + block * BLOCK)
    return len(found) < BLOCK or int.from_bytes(found, "little") & text.bits == text.bits


def _rotate(value: int, by: int) -> int:
    return (value << by | value >> (64 - by)) & _ALL


def _round(lane: int, word: int) -> int:
    return _rotate((lane + word * _TWO) & _ALL, 31) * _ONE & _ALL


def xxh64(data: bytes) -> int:
    """XXH64 with seed 0 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md)."""
    size, at = len(data), 0
    if size >= 32:
        lanes = [(_ONE + _TWO) & _ALL, _TWO, 0, -_ONE & _ALL]
        while size - at >= 32:
            lanes = [
                _round(lane, word)
                for lane, word in zip(lanes, struct.unpack_from("<4Q", data, at), strict=True)
            ]
            at += 32
        code = sum(_rotate(lane, by) for lane, by in zip(lanes, (1, 7, 12, 18), strict=True))
        for lane in lanes:
            code = ((code & _ALL ^ _round(0, lane)) * _ONE + _FOUR) & _ALL
    else:
        code = _FIVE
    code = (code + size) & _ALL
    while size - at >= 8:
        (word,) = struct.unpack_from("<Q", data, at)
        code = (_rotate(code ^ _round(0, word), 27) * _ONE + _FOUR) & _ALL
        at += 8
    if size - at >= 4:
        (half,) = struct.unpack_from("<I", data, at)
        code = (_rotate(code ^ half * _ONE & _ALL, 23) * _TWO + _THREE) & _ALL
        at += 4
    for byte in data[at:]:
        code = _rotate(code ^ byte * _FIVE & _ALL, 11) * _ONE & _ALL
    code = (code ^ code >> 33) * _TWO & _ALL
    code = (code ^ code >> 29) * _THREE & _ALL
    return code ^ code >> 32
