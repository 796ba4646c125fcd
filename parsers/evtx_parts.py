"""How an event log is divided among several workers (docs/parts.md).

Chunks are independent, so a part reads ranges of chunks. What one reader knows beyond a chunk:

- where chunks begin: they stand on a grid, which begins anew where bytes were lost. `borders`
  walks it by signatures alone, exactly as `evtx_walk.pyx` does;
- which records are copies of earlier ones: only records with the same number can be. Ranges with
  numbers in common are compared (`settle`), and a part is read again without the copies of what
  other parts have before it;
- the templates that it met, where a definition is broken: then the log is not read in parts
  (`Reading.alone`).
"""

import os
from array import array
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

FILE_HEADER = 4096
CHUNK = 65536
SIGNATURE = b"ElfChnk\0"

LEAST = 32 << 20
"""Bytes. Below it the files that each part has of its own cost more than is won."""


def borders(file: BinaryIO, size: int) -> Iterator[int]:
    """The offsets at which `Walk.next_chunk` begins a chunk, the first left out.

    Args:
        file: the log, unbuffered. size: its bytes.
    """
    handle = file.fileno()
    at = 0 if os.pread(handle, len(SIGNATURE), 0) == SIGNATURE else FILE_HEADER
    while at < size:
        if at:
            yield at
        if os.pread(handle, len(SIGNATURE), at) == SIGNATURE:
            at += CHUNK
            continue
        found = os.pread(handle, CHUNK, at).find(SIGNATURE, 1)
        at += CHUNK if found < 0 else found


def settle(shared: Sequence[bytes]) -> list[bytes]:
    """What each part has to leave out: the keys of records that another part has before it.

    Args:
        shared: part by part, pieces of (offset of a range, number of keys, the keys).
    """
    keys: list[pa.Array] = []
    starts: list[pa.Array] = []
    parts: list[pa.Array] = []
    for number, each in enumerate(shared):
        words = array("Q", each)
        at = 0
        while at < len(words):
            start, count = words[at], words[at + 1]
            at += 2
            keys.append(pa.array(words[at : at + count], pa.uint64()))
            starts.append(pa.repeat(pa.scalar(start, pa.int64()), count))
            parts.append(pa.repeat(pa.scalar(number, pa.int32()), count))
            at += count
    if not keys:
        return [b""] * len(shared)
    every = pa.table(
        {
            "key": pa.concat_arrays(keys),
            "start": pa.concat_arrays(starts),
            "part": pa.concat_arrays(parts),
        }
    ).sort_by([("key", "ascending"), ("start", "ascending")])
    sorted_keys = every.column("key").combine_chunks()
    # A part has a key once, so of equal neighbours all but the first have to go.
    again = pc.equal(sorted_keys[1:], sorted_keys[:-1])
    copies = every.slice(1).filter(again)
    return [
        array("Q", copies.filter(pc.equal(copies.column("part"), number))["key"].to_pylist())
        .tobytes()
        for number in range(len(shared))
    ]
