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
DELETED_PATH = "C:\\Users\\a\\Desktop\\report.docx"


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


def index_entry(name: str, file: int, parent: tuple[int, int] = (5, 5)) -> bytes:
    attribute = named(name, parent)
    size = struct.unpack_from("<I", attribute, 16)[0]
    content = attribute[24 : 24 + size]
    length = 16 + size + 7 & ~7
    header = struct.pack("<QHHI", reference(file), length, size, 0)
    return (header + content).ljust(length, b"\0")


def index_record(*entries: bytes, slack: bytes = b"", signature: bytes = b"INDX") -> bytes:
    body = b"".join(entries) + struct.pack("<QHHI", 0, 16, 0, 2)
    out = bytearray(4096)
    struct.pack_into("<4sHHQQ", out, 0, signature, 40, 9, 0, 0)
    struct.pack_into("<IIII", out, 24, 40, 40 + len(body), 4096 - 24, 0)
    out[64 : 64 + len(body)] = body
    out[64 + len(body) : 64 + len(body) + len(slack)] = slack
    return guarded(out, 40)


def log_page(at: int, *records: bytes, bits: int = 45) -> bytes:
    """A record page that stands at `at`; records get the numbers that their places ask for."""
    out = bytearray(4096)
    struct.pack_into("<4sHHQ", out, 0, b"RCRD", 40, 9, 0)
    place = 64
    for record in records:
        held = bytearray(record)
        struct.pack_into("<Q", held, 0, 3 << 64 - bits | (at + place) >> 3)
        out[place : place + len(held)] = held
        place += len(held)
    return guarded(out, 40)


def log_record(redo: int, undo: int, new: bytes = b"", old: bytes = b"") -> bytes:
    client = struct.pack(
        "<12HQ", redo, undo, 40, len(new), 40 + len(new), len(old), 0, 1, 0, 0, 0, 0, 0
    ).ljust(40, b"\0")
    client += new + old
    client = client.ljust(len(client) + 7 & ~7, b"\0")
    return struct.pack("<QQQIIIIH6x", 0, 0, 0, len(client), 0, 1, 24, 0) + client


def restart(bits: int = 45) -> bytes:
    out = bytearray(4096)
    struct.pack_into("<4sHHQIIH", out, 0, b"RSTR", 30, 9, 0, 4096, 4096, 48)
    struct.pack_into("<I", out, 48 + 16, bits)
    return guarded(out, 30)


def deleted(version: int, path: str = DELETED_PATH, size: int = 1234, ticks: int = TICKS) -> bytes:
    text = (path + "\0").encode("utf-16-le")
    head = struct.pack("<QQQ", version, size, ticks)
    if version == 1:
        return head + text.ljust(520, b"\0")
    return head + struct.pack("<I", len(text) // 2) + text


def listed(path: str, index: int, length: int = 800, size: int = 99, gone: bool = False) -> bytes:
    ansi = bytearray(path.encode("cp1252", "replace").ljust(260, b"\0"))
    if gone:
        ansi[0] = 0
    record = bytes(ansi) + struct.pack("<IIQI", index, 2, TICKS, size)
    return record if length == 280 else record + path.encode("utf-16-le").ljust(520, b"\0")


def info2(*records: bytes, length: int = 800) -> bytes:
    return struct.pack("<IIIII", 5, 0, 0, length, 0) + b"".join(records)


def boot(serial: int = 0x1234_5678_9ABC_DEF0, sector: int = 512, clusters: int = 8) -> bytes:
    """A boot sector."""
    out = bytearray(512)
    struct.pack_into("<3s8sHB", out, 0, b"\xebR\x90", b"NTFS    ", sector, clusters)
    struct.pack_into("<QQQb3xb", out, 40, 1 << 20, 786432, 2, -10, 1)
    struct.pack_into("<Q", out, 72, serial)
    out[510:] = b"\x55\xaa"
    return bytes(out)


def seeds() -> list[tuple[str, bytes]]:
    """(name, bytes): small books of every kind, where fuzzing starts from."""
    listed_in = resident(0x20, b"\0" * 32)
    files = [
        folder(6, "dir"), entry(7, standard(), named("a.txt", (6, 1)), data(b"text")),
        entry(8, standard(), listed_in, named("b"), links=2),
        entry(9, named("c", (6, 1), LONG), runs(0x80, 9, "s"), base=reference(8)),
    ]  # fmt: skip
    names = [index_entry(name, 40, (38, 2)) for name in ("one.txt", "two.docx", "three")]
    operations = [log_record(0x0E, 0x0F, new=names[0]), log_record(0x0F, 0x0E, old=names[1])]
    return [
        ("$MFT", table(*files)), ("$MFT", table(*files, size=1024)[:8192]),
        ("$J", usn("a") + usn("b", version=3) + bytes(64) + usn("c", reason=0x1000)),
        ("$J", b"".join(usn(f"f{i}", (40 + i, 1), (40, 1), i) for i in range(9))),
        ("$J", bytes(512) + usn("d", (40, 1), attributes=0x10) + usn("e", (41, 1), (40, 1))),
        ("$I30", index_record(*names)), ("$I30", index_record(names[0], slack=names[1] * 3)),
        ("$LogFile", restart() * 2 + log_page(8192, *operations)),
        ("$LogFile", restart() * 4 + log_page(16384, *operations * 3)),
        ("$Boot", boot()), ("$Boot", boot(sector=4096, clusters=1)), ("$Boot", boot(clusters=246)),
        ("$IABCDEF.docx", deleted(1)), ("$IABCDEF.docx", deleted(2)),
        ("INFO2", info2(listed("C:\\a", 1), listed("C:\\b", 2, gone=True))),
        ("INFO2", info2(listed("C:\\a", 1, 280), length=280)),
    ]  # fmt: skip
