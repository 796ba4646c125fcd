"""Event logs made by hand: what no sample has, and what no writer would write.

    chunk = Chunk()
    kind = event([element("Data", {"Name": "a"}, [sub(0)])])
    chunk.record(1, [instance(kind, [(1, utf16("x"))])])
    data = log([chunk])
"""

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

CHUNK = 65536
TIME = 132_000_576_000_000_000  # 2019-04-18T10:40:00Z

Piece = Callable[["Chunk"], None]
Values = Sequence[tuple[int, bytes]]
_ids = count(0x1000)


def utf16(text: str) -> bytes:
    return text.encode("utf-16-le")


@dataclass(eq=False)
class Template:
    """A definition: its pieces, and its id (the first four bytes of its GUID)."""

    pieces: Sequence[Piece]
    id: int = field(default_factory=lambda: next(_ids))


class Chunk:
    """A chunk being written; pieces append to `data` and know their own offset."""

    def __init__(self) -> None:
        self.data = bytearray(512)
        self.names: dict[str, int] = {}
        self.templates: dict[int, int] = {}
        self.numbers: list[int] = []
        self.bare = False  # elements without dependency ids

    def put(self, form: str, *values: int) -> None:
        self.data += struct.pack(f"<{form}", *values)

    def name(self, text: str) -> None:
        """A name's offset, and the name itself where it is new."""
        here = len(self.data) + 4
        self.put("I", self.names.setdefault(text, here))
        if self.names[text] == here:
            checksum = 0
            for unit in struct.unpack(f"<{len(utf16(text)) // 2}H", utf16(text)):
                checksum = (checksum * 65599 + unit) & 0xFFFFFFFF
            self.put("IHH", 0, checksum & 0xFFFF, len(utf16(text)) // 2)
            self.data += utf16(text) + b"\0\0"

    def write(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            piece(self)

    def patch(self, at: int, value: int) -> None:
        self.data[at : at + 4] = struct.pack("<I", value)

    def record(self, number: int, pieces: Sequence[Piece], time: int = TIME) -> int:
        """Appends a record; returns its offset in the chunk."""
        at = len(self.data)
        self.put("IIQQ", 0x00002A2A, 0, number, time)
        self.put("BBBB", 0x0F, 1, 1, 0)
        self.write(pieces)
        self.put("B", 0)
        size = -(-(len(self.data) - at + 4) // 8) * 8
        self.data += bytes(size - 4 - (len(self.data) - at))
        self.put("I", size)
        self.patch(at + 4, size)
        self.numbers.append(number)
        return at

    def finished(self) -> bytes:
        """The chunk's 64 KiB with its header and checksums."""
        free = len(self.data)
        if free > CHUNK:
            raise ValueError(f"{free} bytes do not fit a chunk")
        whole = bytearray(self.data) + bytes(CHUNK - free)
        first, last = (self.numbers[0], self.numbers[-1]) if self.numbers else (0, 0)
        struct.pack_into("<8sQQQQIIII", whole, 0, b"ElfChnk\0", first, last, first, last, 128,
                         free, free, zlib.crc32(whole[512:free]))
        struct.pack_into("<I", whole, 124, zlib.crc32(whole[128:512], zlib.crc32(whole[:120])))
        return bytes(whole)


def log(chunks: Sequence["Chunk | bytes"], count: int | None = None, flags: int = 0) -> bytes:
    """A file of chunks; `count` is what its header says of their number."""
    head = bytearray(4096)
    last = max(len(chunks) - 1, 0)
    count = len(chunks) if count is None else count
    struct.pack_into("<8sQQQIHHHH", head, 0, b"ElfFile\0", 0, last, 1, 128, 1, 3, 4096, count)
    struct.pack_into("<I", head, 120, flags)
    struct.pack_into("<I", head, 124, zlib.crc32(head[:120]))
    return bytes(head) + b"".join(c if isinstance(c, bytes) else c.finished() for c in chunks)


def text(value: str) -> Piece:
    def piece(c: Chunk) -> None:
        c.put("BBH", 0x05, 1, len(utf16(value)) // 2)
        c.data += utf16(value)

    return piece


def sub(index: int, kind: int = 1) -> Piece:
    return lambda c: c.put("BHB", 0x0D, index, kind)


def opt(index: int, kind: int = 1) -> Piece:
    return lambda c: c.put("BHB", 0x0E, index, kind)


def cdata(value: str) -> Piece:
    def piece(c: Chunk) -> None:
        c.put("BH", 0x07, len(utf16(value)) // 2)
        c.data += utf16(value)

    return piece


def char(code: int) -> Piece:
    return lambda c: c.put("BH", 0x08, code)


def entity(name: str) -> Piece:
    def piece(c: Chunk) -> None:
        c.put("B", 0x09)
        c.name(name)

    return piece


def instruction(target: str, value: str) -> Piece:
    def piece(c: Chunk) -> None:
        c.put("B", 0x0A)
        c.name(target)
        c.put("BH", 0x0B, len(utf16(value)) // 2)
        c.data += utf16(value)

    return piece


def raw(data: bytes) -> Piece:
    def piece(c: Chunk) -> None:
        c.data += data

    return piece


def element(
    tag: str,
    attributes: Mapping[str, "str | Sequence[Piece]"] | None = None,
    content: Sequence[Piece] = (),
) -> Piece:
    """An element; attribute values are text or pieces."""
    given = dict(attributes or {})

    def piece(c: Chunk) -> None:
        c.put("B", 0x41 if given else 0x01)
        if not c.bare:
            c.put("H", 0xFFFF)
        size_at = len(c.data)
        c.put("I", 0)
        c.name(tag)
        if given:
            list_at = len(c.data)
            c.put("I", 0)
            for number, (key, value) in enumerate(given.items(), 1):
                c.put("B", 0x06 if number == len(given) else 0x46)
                c.name(key)
                c.write([text(value)] if isinstance(value, str) else value)
            c.patch(list_at, len(c.data) - list_at - 4)
        if content:
            c.put("B", 0x02)
            c.write(content)
            c.put("B", 0x04)
        else:
            c.put("B", 0x03)
        c.patch(size_at, len(c.data) - size_at - 4)

    return piece


def definition(c: Chunk, template: Template) -> None:
    """Writes a template's definition at the end of the chunk."""
    c.templates[template.id] = len(c.data)
    c.put("IIIII", 0, template.id, 0, 0, 0)
    size_at = len(c.data)
    c.put("I", 0)
    c.put("BBBB", 0x0F, 1, 1, 0)
    bare, c.bare = c.bare, False
    c.write(template.pieces)
    c.bare = bare
    c.put("B", 0)
    c.patch(size_at, len(c.data) - size_at - 4)


def instance(template: Template, values: Values = ()) -> Piece:
    """A template instance; the definition stands inline where the chunk has none yet."""

    def piece(c: Chunk) -> None:
        at = c.templates.get(template.id)
        c.put("BBII", 0x0C, 1, template.id, len(c.data) + 10 if at is None else at)
        if at is None:
            definition(c, template)
        c.put("I", len(values))
        for kind, data in values:
            c.put("HBB", len(data), kind, 0)
        for _, data in values:
            c.data += data

    return piece


def nested(pieces: Sequence[Piece], at: int) -> bytes:
    """Binary XML without a template, as it stands in a value at chunk offset `at`."""
    c = Chunk()
    c.data = bytearray(at)
    c.bare = True
    c.put("BBBB", 0x0F, 1, 1, 0)
    c.write(pieces)
    c.put("B", 0)
    return bytes(c.data[at:])


SYSTEM = element("System", {}, [
    element("Provider", {"Name": "Test-Provider"}),
    element("EventID", {}, [text("7")]),
    element("TimeCreated", {"SystemTime": "2019-04-18T10:40:00.0000000Z"}),
    element("EventRecordID", {}, [text("1")]),
    element("Channel", {}, [text("Test")]),
    element("Computer", {}, [text("HOST")]),
])


def event(data: Sequence[Piece], section: str = "EventData") -> Template:
    """The template of an event of Test-Provider with this in its EventData."""
    return Template([element("Event", {}, [SYSTEM, element(section, {}, data)])])
