"""Exported flows for the micro benchmarks: NetFlow 9 of a border router, and a file of nfdump."""

import random
import struct
from pathlib import Path

FIELDS = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (1, 4), (2, 4), (22, 4), (21, 4))
SECONDS = 1_600_000_000
A_MESSAGE = 30
A_BLOCK = 5000


def ends(draw: random.Random) -> tuple[bytes, bytes, int, int]:
    """A host inside, one outside, and the ports between."""
    inside = bytes((10, draw.randrange(8), draw.randrange(256), draw.randrange(1, 255)))
    outside = bytes(draw.randrange(1, 224) for _ in range(4))
    return inside, outside, draw.randrange(1024, 65536), draw.choice((53, 80, 443, 8443))


def netflow(path: Path, size: int) -> int:
    """Writes about `size` bytes of messages; how many flows are in them."""
    draw = random.Random(9)
    fields = b"".join(struct.pack(">HH", *each) for each in FIELDS)
    template = struct.pack(">HHHH", 0, 8 + len(fields), 256, len(FIELDS)) + fields
    records = written = 0
    with open(path, "wb") as out:
        while written < size:
            body = b"".join(
                struct.pack(
                    ">4s4sHHBBIIII", *ends(draw), 6, 0x1B, draw.randrange(40, 1 << 20),
                    draw.randrange(1, 900), draw.randrange(90_000), 100_000,
                )
                for _ in range(A_MESSAGE)
            )  # fmt: skip
            head = struct.pack(">HHIIII", 9, A_MESSAGE, 100_000, SECONDS + records, records, 1)
            written += out.write(head + (b"" if records else template))
            written += out.write(struct.pack(">HH", 256, 4 + len(body)) + body)
            records += A_MESSAGE
    return records


def nfcapd(path: Path, size: int) -> int:
    """Writes about `size` bytes of a file of layout 2, not packed; how many flows are in it."""
    draw = random.Random(2)
    records, blocks = 0, []
    while records * 76 < size:
        body = b""
        for number in range(A_BLOCK):
            inside, outside, port, service = ends(draw)
            first = (SECONDS + number) * 1000
            generic = struct.pack(
                "<HHQQQQQHHBBBB", 1, 52, first, first + 900, 0, draw.randrange(1, 900),
                draw.randrange(40, 1 << 20), port, service, 6, 0x1B, 0, 0,
            )  # fmt: skip
            pair = struct.pack("<HH4s4s", 2, 12, inside[::-1], outside[::-1])
            body += struct.pack("<HHHBBHBB", 11, 76, 2, 0, 0, 0, 0, 9) + generic + pair
        blocks.append(struct.pack("<IIHH", A_BLOCK, len(body), 3, 0) + body)
        records += A_BLOCK
    head = struct.pack(
        "<HHIqBBHIqII", 0xA50C, 2, 0, SECONDS, 0, 0, 0, 1, 0, 1 << 20, len(blocks)
    )
    path.write_bytes(head + b"".join(blocks))
    return records
