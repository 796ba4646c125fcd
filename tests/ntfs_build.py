"""Books of NTFS made by hand, and parsers run over bytes: for tests."""

import io
import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tracelake.native.account import Account
from tracelake.native.errors import EvidenceError
from tracelake.native.feed import Feed
from tracelake.parsers import BY_NAME
from tracelake.parsers.artifact import Artifact

IN_USE, FOLDER = 1, 2
LONG, DOS, BOTH = 1, 2, 3
ROOT = (5, 5)
# 2020-01-02 03:04:05.1234567
TICKS = 132_224_078_451_234_567


@dataclass(slots=True)
class Read:
    """What a parser made of some bytes."""

    rows: list[dict[str, Any]]
    damage: list[dict[str, Any]]
    account: Account
    tables: Counter[str] = field(default_factory=Counter)
    stopped: EvidenceError | None = None

    @property
    def paths(self) -> list[str | None]:
        return [row.get("file_path") for row in self.rows]

    def one(self, **values: Any) -> dict[str, Any]:
        """The only row with these values."""
        (found,) = (r for r in self.rows if all(r.get(k) == v for k, v in values.items()))
        return found


def read(parser: str, data: bytes, path: str = "x", window: int = 4096) -> Read:
    """Reads bytes, and checks that every record and byte went to one place."""
    damage: list[dict[str, Any]] = []
    account = Account(lambda batch: damage.extend(batch.to_pylist()))
    feed = Feed(io.BytesIO(data), window)
    out = Read([], damage, account)
    try:
        for table, batch in BY_NAME[parser].read(Artifact(path, feed, account)):
            batch.validate(full=True)
            out.rows += [dict(row, unmapped=dict(row.get("unmapped") or [])) for row in
                         batch.to_pylist()]
            out.tables[table] += batch.num_rows
    except EvidenceError as error:
        out.stopped = error
    # In the order of the evidence: what waits for others comes later.
    out.rows.sort(key=lambda row: (row["src_offset"], row.get("sub") or 0))
    account.flush_damage()
    assert account.closes
    counted = account.bytes_records + account.bytes_structure + account.bytes_slack
    assert counted <= len(data)
    return out


def reference(entry: int, sequence: int = 1) -> int:
    return sequence << 48 | entry


def padded(data: bytes) -> bytes:
    return data.ljust(len(data) + 7 & ~7, b"\0")


def resident(kind: int, content: bytes, name: str = "") -> bytes:
    """A resident attribute."""
    text = name.encode("utf-16-le", "surrogatepass")
    start = 24 + len(padded(text))
    length = start + len(padded(content))
    header = struct.pack(
        "<IIBBHHHIHH", kind, length, 0, len(text) // 2, 24, 0, 0, len(content), start, 0
    )
    return header + padded(text) + padded(content)


def runs(kind: int, size: int, name: str = "", first: int = 0, flags: int = 0) -> bytes:
    """An attribute with runs: its content lies elsewhere on the volume."""
    text = name.encode("utf-16-le")
    length = 64 + len(padded(text)) + 8
    header = struct.pack(
        "<IIBBHHHQQHHIQQQ", kind, length, 1, len(text) // 2, 64, flags, 0, first,
        first + size // 4096, 64 + len(padded(text)), 0, 0, size + -size % 4096, size, size,
    )  # fmt: skip
    return header + padded(text) + b"\x21\x10\x00\x01\0\0\0\0"


def standard(ticks: int = TICKS, attributes: int = 0x20) -> bytes:
    return resident(
        0x10,
        struct.pack("<QQQQIIIIIIQQ", ticks, ticks + 1, ticks + 2, ticks + 3, attributes, 0, 0, 0,
                    0, 260, 0, 4711),
    )  # fmt: skip


def named(
    name: str, parent: tuple[int, int] = ROOT, space: int = BOTH, ticks: int = TICKS
) -> bytes:
    """A $FILE_NAME."""
    text = name.encode("utf-16-le", "surrogatepass")
    return resident(
        0x30,
        struct.pack("<QQQQQQQIIBB", reference(*parent), ticks, ticks + 1, ticks + 2, ticks + 3,
                    4096, 5, 0x20, 0, len(text) // 2, space) + text,
    )  # fmt: skip


def data(content: bytes, name: str = "") -> bytes:
    return resident(0x80, content, name)


def entry(
    number: int,
    *attributes: bytes,
    sequence: int = 1,
    flags: int = IN_USE,
    base: int = 0,
    size: int = 1024,
    signature: bytes = b"FILE",
    links: int = 1,
    end: bytes = b"\xff\xff\xff\xff\0\0\0\0",
) -> bytes:
    """A FILE record of the newer form, its sectors guarded."""
    count = size // 512 + 1
    first = 48 + 2 * count + 7 & ~7
    body = b"".join(attributes) + end
    header = struct.pack(
        "<4sHHQHHHHIIQHHI", signature, 48, count, 1000 + number, sequence, links, first, flags,
        first + len(body), size, base, 9, 0, number,
    )  # fmt: skip
    out = bytearray(header.ljust(first, b"\0") + body)
    assert len(out) <= size, "too much for one record"
    return guarded(out.ljust(size, b"\0"), 48)


def guarded(out: bytearray, at: int, number: int = 7) -> bytes:
    """Puts an update sequence into a record."""
    struct.pack_into("<H", out, at, number)
    for i in range(len(out) // 512):
        tail = 512 * i + 510
        out[at + 2 + 2 * i : at + 4 + 2 * i] = out[tail : tail + 2]
        struct.pack_into("<H", out, tail, number)
    return bytes(out)


def folder(
    number: int, name: str, parent: tuple[int, int] = ROOT, sequence: int = 1, flags: int = 3
) -> bytes:
    return entry(number, standard(attributes=0x10), named(name, parent), sequence=sequence,
                 flags=flags)  # fmt: skip


def root(size: int = 1024) -> bytes:
    return entry(5, standard(), named("."), sequence=5, flags=IN_USE | FOLDER, size=size)


def table(*records: bytes, size: int = 1024) -> bytes:
    """A table that begins with the system's six entries; `records` are from 6 on."""
    first = [entry(i, standard(), named(f"${i}"), sequence=max(i, 1), size=size) for i in range(5)]
    return b"".join([*first, root(size), *records])


def usn(
    name: str,
    file: tuple[int, int] = (40, 1),
    parent: tuple[int, int] = ROOT,
    reason: int = 0x100,
    version: int = 2,
    attributes: int = 0x20,
    number: int = 0,
    ticks: int = TICKS,
) -> bytes:
    """A record of the change journal, version 2 or 3."""
    text = name.encode("utf-16-le", "surrogatepass")
    head = 60 if version == 2 else 76
    length = head + len(text) + 7 & ~7
    wide = "QQ" if version == 2 else "Q8xQ8x"
    out = struct.pack(
        f"<IHH{wide}QQIIIIHH", length, version, 0, reference(*file), reference(*parent), number,
        ticks, reason, 0, 0, attributes, len(text), head,
    )  # fmt: skip
    return (out + text).ljust(length, b"\0")
