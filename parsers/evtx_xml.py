"""One event log record as XML, as Event Viewer shows it.

    data = chunk bytes (65,536, or what is left of them)
    print(render(data, offset_of_the_record_in_the_chunk))

This is the slow and plain reader of binary XML, for `tracelake show` and for tests, where it
is the compiled decoder's second witness. It works on Python objects and shares nothing with
`evtx.pyx` but the specification: [MS-EVEN6] 2.2.12 and 3.1.4.7, and the field notes of
"Windows XML Event Log (EVTX) format" (libyal, libevtx).

What is rendered how:

- FILETIME with seven digits and `Z`, SYSTEMTIME with three; GUIDs in braces, lower case (as
  Windows 10 and later; older ones write upper case); SIDs as `S-1-..`; HexInt and pointers as
  `0x..`; binary as upper-case hex; booleans as words.
- An array in an element of its own repeats the element, once per item.
- An optional substitution without a value leaves its attribute out; an element stays, empty.
- Characters that XML 1.0 cannot hold become U+FFFD; NULs at the end of a string are dropped.
"""

import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tracelake.native.errors import Corrupt, EvidenceError, Truncated, Unsupported
from tracelake.native.feed import Feed

CHUNK = 65536
SIGNATURE = b"ElfChnk\0"
# Bounds for hostile input: real events stay far below (depth 8, some hundred nodes).
MAX_FRAGMENTS = 16
MAX_ELEMENTS = 64
MAX_NODES = 200_000
MAX_TEXT = 4 << 20

_EPOCH = datetime(1601, 1, 1)
_FIXED = {
    0x03: "<b", 0x04: "<B", 0x05: "<h", 0x06: "<H", 0x07: "<i", 0x08: "<I",
    0x09: "<q", 0x0A: "<Q", 0x0B: "<f", 0x0C: "<d",
}  # fmt: skip
_SIZES = {
    0x03: 1, 0x04: 1, 0x05: 2, 0x06: 2, 0x07: 4, 0x08: 4, 0x09: 8, 0x0A: 8, 0x0B: 4, 0x0C: 8,
    0x0D: 4, 0x0F: 16, 0x11: 8, 0x12: 16, 0x14: 4, 0x15: 8,
}  # fmt: skip


@dataclass(slots=True)
class Element:
    """An XML element: children are elements and text, in document order."""

    name: str
    attributes: list[tuple[str, str]] = field(default_factory=list)
    children: "list[Element | str | Raw]" = field(default_factory=list)


@dataclass(slots=True)
class Raw:
    """A piece of XML that is not text: an entity reference, a processing instruction."""

    xml: str


@dataclass(slots=True, frozen=True)
class _Value:
    kind: int
    start: int
    end: int


class _Chunk:
    """The bytes that names and templates point into, and the work left for one record."""

    def __init__(self, data: bytes, origin: int) -> None:
        self.data = data
        self.origin = origin
        self.nodes = MAX_NODES
        self.text = MAX_TEXT
        self.templates: list[int] = []

    def load(self, form: str, at: int, end: int, what: str) -> int:
        size = struct.calcsize(form)
        if at < 0 or at + size > min(end, len(self.data)):
            raise Truncated(what, self.origin + at, f"needs {size} bytes")
        value = struct.unpack_from(form, self.data, at)[0]
        assert isinstance(value, int)
        return value

    def slice(self, at: int, size: int, end: int, what: str) -> bytes:
        if at < 0 or size < 0 or at + size > min(end, len(self.data)):
            raise Truncated(what, self.origin + at, f"needs {size} bytes")
        return self.data[at : at + size]

    def name(self, at: int) -> tuple[str, int]:
        """The name at a chunk offset, and the offset after it."""
        count = self.load("<H", at + 6, len(self.data), "name")
        raw = self.slice(at + 8, count * 2, len(self.data), "name")
        return raw.decode("utf-16-le", "replace"), at + 8 + count * 2 + 2

    def spend(self, text: int = 0) -> None:
        self.nodes -= 1
        self.text -= text
        if self.nodes < 0 or self.text < 0:
            raise Corrupt("binary XML", self.origin, "the record expands without bound")


def render(chunk: bytes, offset: int, origin: int = 0) -> str:
    """The XML of the record at `offset` of `chunk`, indented by two spaces.

    Args:
        chunk: the chunk's bytes from its `ElfChnk` signature; may be cut at its end.
        offset: of the record's signature (`2a 2a 00 00`) in the chunk.
        origin: offset of the chunk in its file, for messages only.

    Raises:
        EvidenceError: Truncated, Corrupt or Unsupported, with the offset of the structure.
    """
    lines: list[str] = []
    for node in parse(chunk, offset, origin):
        _write(node, lines, "")
    return "\n".join(lines) + "\n"


def record_xml(feed: Feed, offset: int) -> str:
    """The XML of the record at `offset` of a log, or one line that says why there is none.

    Args:
        feed: the log's bytes, from the beginning.
        offset: of the record's signature in the log, as `src_offset` has it.
    """
    start = max(0, offset - CHUNK)
    while feed.position < start:
        if not feed.read(min(start - feed.position, 1 << 20)):
            break
    window = feed.read(2 * CHUNK)
    # Chunks stand on a grid behind the file's header, unless bytes were lost or put in.
    base = max(4096 + (offset - 4096) // CHUNK * CHUNK, 0)
    if window[base - start : base - start + 8] != SIGNATURE:
        found = window.rfind(SIGNATURE, 0, offset - start)
        if found >= 0:
            base = start + found
    try:
        return render(window[base - start : base - start + CHUNK], offset - base, base)
    except EvidenceError as error:
        return f"no XML: {error}\n"


def parse(chunk: bytes, offset: int, origin: int = 0) -> "list[Element | str | Raw]":
    """The record's XML as elements: what `render` writes."""
    room = _Chunk(chunk, origin)
    if chunk[offset : offset + 4] != b"**\0\0":
        raise Corrupt("record", origin + offset, "no record signature")
    size = room.load("<I", offset + 4, len(chunk), "record header")
    end = offset + size - 4
    if size < 28 or end > len(chunk):
        raise Truncated("record", origin + offset, f"claims {size} bytes")
    nodes, _ = _fragment(room, offset + 24, end, None, 0)
    if not any(isinstance(node, Element) for node in nodes):
        raise Corrupt("record", origin + offset, "no element")
    return nodes


def _fragment(
    room: _Chunk, at: int, end: int, values: list[_Value] | None, depth: int, nested: bool = False
) -> "tuple[list[Element | str | Raw], int]":
    """Reads tokens until EOF or `end`. `values` are a template's; None outside of one.

    In a template definition every element carries a dependency id; in a fragment that stands
    as a value it does not. Which of the two is tried first is said by where we are; the other
    is taken when the first makes no sense.
    """
    if depth > MAX_FRAGMENTS:
        raise Corrupt("binary XML", room.origin + at, "fragments are nested too deep")
    data = room.data
    root = Element("")
    stack = [root]
    pending = False  # inside a start tag, attributes may follow
    attribute: list[str] | None = None  # parts of the attribute being read
    attribute_name = ""
    omitted = False
    target = ""

    def close_attribute() -> None:
        nonlocal attribute, omitted
        if attribute is not None and not (omitted and not any(attribute)):
            stack[-1].attributes.append((attribute_name, "".join(attribute)))
        attribute, omitted = None, False

    while at < end:
        token = data[at] & 0x0F
        flags = data[at] & 0xF0
        if flags & 0xB0:
            raise Corrupt("token", room.origin + at, f"unknown token 0x{data[at]:02x}")
        room.spend()
        if token == 0x00:
            at += 1
            break
        if token == 0x0F:
            at += 4
        elif token == 0x01:
            close_attribute()
            with_id = _has_dependency(room, at, end, nested)
            at += 7 if with_id else 5
            offset = room.load("<I", at, end, "element name offset")
            at += 4
            name, after = room.name(offset)
            if offset == at:
                at = after
            if flags & 0x40:
                at += 4
            element = Element(name)
            stack[-1].children.append(element)
            stack.append(element)
            if len(stack) > MAX_ELEMENTS:
                raise Corrupt("element", room.origin + at, "elements are nested too deep")
            pending = True
        elif token in (0x02, 0x03, 0x04):
            close_attribute()
            pending = False
            at += 1
            if token != 0x02:
                if len(stack) == 1:
                    raise Corrupt("element", room.origin + at - 1, "an end without a start")
                _close(stack.pop(), stack[-1])
        elif token == 0x05:
            kind = data[at + 1] if at + 1 < end else -1
            if kind != 0x01:
                raise Corrupt("value text", room.origin + at, f"of type 0x{kind & 0xFF:02x}")
            count = room.load("<H", at + 2, end, "value text")
            text = room.slice(at + 4, count * 2, end, "value text").decode("utf-16-le", "replace")
            room.spend(len(text))
            at += 4 + count * 2
            _text(attribute, stack[-1], text)
        elif token == 0x06:
            close_attribute()
            if not pending:
                raise Corrupt("attribute", room.origin + at, "outside of a start tag")
            offset = room.load("<I", at + 1, end, "attribute name offset")
            at += 5
            attribute_name, after = room.name(offset)
            if offset == at:
                at = after
            attribute = []
        elif token == 0x07:
            count = room.load("<H", at + 1, end, "CDATA section")
            text = room.slice(at + 3, count * 2, end, "CDATA").decode("utf-16-le", "replace")
            room.spend(len(text))
            at += 3 + count * 2
            _text(attribute, stack[-1], text)
        elif token == 0x08:
            code = room.load("<H", at + 1, end, "character reference")
            at += 3
            _text(attribute, stack[-1], chr(code) if not 0xD800 <= code < 0xE000 else "\ufffd")
        elif token == 0x09:
            offset = room.load("<I", at + 1, end, "entity reference")
            at += 5
            name, after = room.name(offset)
            if offset == at:
                at = after
            known = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}.get(name)
            if known is not None:
                _text(attribute, stack[-1], known)
            elif attribute is not None:
                attribute.append(f"&{name};")
            else:
                stack[-1].children.append(Raw(f"&{name};"))
        elif token == 0x0A:
            offset = room.load("<I", at + 1, end, "processing instruction")
            at += 5
            target, after = room.name(offset)
            if offset == at:
                at = after
        elif token == 0x0B:
            count = room.load("<H", at + 1, end, "processing instruction")
            text = room.slice(at + 3, count * 2, end, "PI data").decode("utf-16-le", "replace")
            at += 3 + count * 2
            stack[-1].children.append(Raw(f"<?{target} {text}?>"))
        elif token == 0x0C:
            nodes, at = _instance(room, at, end, depth)
            stack[-1].children.extend(nodes)
        else:  # 0x0D, 0x0E
            index = room.load("<H", at + 1, end, "substitution")
            room.slice(at, 4, end, "substitution")
            at += 4
            if values is None or index >= len(values):
                raise Corrupt("substitution", room.origin + at - 4, f"of value {index}: no such")
            value = values[index]
            if token == 0x0E and value.kind == 0:
                omitted = True
                if attribute is None:
                    stack[-1].children.append("")
            elif value.kind == 0x21:
                if attribute is not None:
                    raise Unsupported("attribute", room.origin + at, "binary XML as its value")
                nodes, _ = _fragment(room, value.start, value.end, None, depth + 1, nested=True)
                stack[-1].children.extend(nodes)
            else:
                items = _shown(value.kind, data[value.start : value.end])
                room.spend(sum(map(len, items)))
                if attribute is not None:
                    attribute.append(", ".join(items))
                elif len(items) > 1:
                    stack[-1].children.append(_Items(items))  # type: ignore[arg-type]
                else:
                    stack[-1].children.append(items[0] if items else "")
    close_attribute()
    if len(stack) != 1:
        raise Truncated("element", room.origin + at, f"<{stack[-1].name}> is not closed")
    return root.children, at


@dataclass(slots=True)
class _Items:
    """An array's items while their element is still open."""

    items: list[str]


def _close(element: Element, parent: Element) -> None:
    """Repeats an element that holds nothing but an array, once for each item."""
    if not any(isinstance(child, _Items) for child in element.children):
        return
    if len(element.children) == 1:
        only: object = element.children[0]
        assert isinstance(only, _Items)
        parent.children.pop()
        for item in only.items:
            parent.children.append(
                Element(element.name, element.attributes, [item] if item else [])
            )
        return
    element.children = [
        ", ".join(child.items) if isinstance(child, _Items) else child
        for child in element.children
    ]


def _text(attribute: list[str] | None, element: Element, text: str) -> None:
    if attribute is not None:
        attribute.append(text)
    else:
        element.children.append(text)


def _has_dependency(room: _Chunk, at: int, end: int, nested: bool) -> bool:
    """Whether the element start at `at` carries a dependency id (two bytes after the token)."""

    def plausible(skip: int) -> bool:
        if at + 9 + skip > min(end, len(room.data)):
            return False
        size, name = struct.unpack_from("<II", room.data, at + 1 + skip)
        here = at + 9 + skip
        return bool(size <= end - (at + 5 + skip) and (name == here or 512 <= name < here - 8))

    first, second = (0, 2) if nested else (2, 0)
    if plausible(first) or not plausible(second):
        return first == 2
    return second == 2


def _instance(
    room: _Chunk, at: int, end: int, depth: int
) -> "tuple[list[Element | str | Raw], int]":
    """A template instance: its definition, the values that stand after it, and the result."""
    wanted = room.load("<I", at + 2, end, "template instance")
    definition = room.load("<I", at + 6, end, "template instance")
    if room.load("<I", definition + 4, len(room.data), "template definition") != wanted:
        raise Corrupt(
            "template definition", room.origin + definition,
            "was overwritten; the row of this record was read without it",
        )  # fmt: skip
    at += 10
    size = room.load("<I", definition + 20, len(room.data), "template definition")
    body = definition + 24
    if body + size > len(room.data):
        raise Truncated("template definition", room.origin + definition, f"claims {size} bytes")
    if definition == at:
        at = body + size
    count = room.load("<I", at, end, "value count")
    at += 4
    if count > (end - at) // 4:
        raise Truncated("value descriptors", room.origin + at, f"claims {count} values")
    values = []
    start = at + 4 * count
    for number in range(count):
        length, kind = struct.unpack_from("<HB", room.data, at + 4 * number)
        if start + length > end:
            raise Truncated("value", room.origin + start, f"number {number} claims {length} bytes")
        values.append(_Value(kind, start, start + length))
        start += length
    if definition in room.templates:
        raise Corrupt("template definition", room.origin + definition, "contains itself")
    room.templates.append(definition)
    nodes, _ = _fragment(room, body, body + size, values, depth + 1)
    room.templates.pop()
    return nodes, start


def _scalar_shown(kind: int, data: bytes) -> str:
    """As `_scalar`; what does not fit its type as hexadecimal digits."""
    try:
        return _scalar(kind, data)
    except EvidenceError:
        return data.hex().upper()


def texts(
    kind: int, data: bytes, scalar: Callable[[int, bytes], str] | None = None
) -> list[str]:
    """A value as text: one item, several where it is an array, none where it is null.

    Args:
        kind: the value's type, 0x00 to 0x23, with 0x80 for arrays ([MS-EVEN6] 2.2.12).
        data: its bytes.
        scalar: makes the text of one item.

    Raises:
        Unsupported: the type is unknown, or not one whose items can be told apart.
        Truncated: the bytes are too few for the type.
    """
    scalar = scalar or _scalar
    if not kind & 0x80:
        return [] if kind == 0 else [scalar(kind, data)]
    item = kind & 0x7F
    if item == 0x01:
        return [part.rstrip("\0") for part in _strings(data)]
    if item == 0x02:
        parts = data.split(b"\0")
        return [_ansi(part) for part in (parts[:-1] if not parts[-1] else parts)]
    if item == 0x13:
        found, at = [], 0
        while at < len(data):
            length = 8 + 4 * (data[at + 1] if at + 1 < len(data) else 0)
            found.append(scalar(0x13, data[at : at + length]))
            at += length
        return found
    size = _SIZES.get(item, 0)
    if item == 0x10:
        size = 8 if len(data) % 8 == 0 else 4
    if not size:
        raise Unsupported("array", 0, f"of type 0x{kind:02x}")
    return [scalar(item, data[at : at + size]) for at in range(0, len(data), size)]


def _shown(kind: int, data: bytes) -> list[str]:
    """As `texts`; a value that does not fit its type is shown as hexadecimal digits."""
    try:
        return texts(kind, data, _scalar_shown)
    except EvidenceError:
        return [data.hex().upper()]


def _strings(data: bytes) -> list[str]:
    parts = data[: len(data) & ~1].decode("utf-16-le", "replace").split("\0")
    return parts[:-1] if parts and not parts[-1] else parts


def _ansi(data: bytes) -> str:
    return data.decode("cp1252", "replace")


def _scalar(kind: int, data: bytes) -> str:
    try:
        if kind == 0x01:
            return data[: len(data) & ~1].decode("utf-16-le", "replace").rstrip("\0")
        if kind == 0x02:
            return _ansi(data).rstrip("\0")
        if kind == 0x0B:
            return _single(struct.unpack("<f", data)[0])
        if kind == 0x0C:
            return _double(struct.unpack("<d", data)[0])
        if kind in _FIXED:
            return str(struct.unpack(_FIXED[kind], data)[0])
        if kind == 0x0D:
            if len(data) != 4:
                raise struct.error
            return "true" if any(data) else "false"
        if kind == 0x0E:
            return data.hex().upper()
        if kind == 0x0F:
            a, b, c = struct.unpack_from("<IHH", data)
            tail = data[8:16].hex()
            if len(data) != 16:
                raise struct.error
            return f"{{{a:08x}-{b:04x}-{c:04x}-{tail[:4]}-{tail[4:]}}}"
        if kind in (0x10, 0x14, 0x15, 0x20):
            if len(data) not in {0x10: (4, 8), 0x14: (4,), 0x15: (8,), 0x20: (4, 8)}[kind]:
                raise struct.error
            return hex(int.from_bytes(data, "little"))
        if kind == 0x11:
            ticks = struct.unpack("<Q", data)[0]
            return filetime(ticks)
        if kind == 0x12:
            y, m, _, d, hour, minute, second, ms = struct.unpack("<8H", data)
            return f"{y:04}-{m:02}-{d:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z"
        if kind == 0x13:
            count = data[1]
            authority = int.from_bytes(data[2:8], "big")
            parts = struct.unpack(f"<{count}I", data[8:])
            top = f"0x{authority:012x}" if authority >= 1 << 32 else str(authority)
            return "-".join([f"S-{data[0]}", top, *map(str, parts)])
        if kind == 0x23:
            return data[: len(data) & ~1].decode("utf-16-le", "replace").rstrip("\0")
    except (struct.error, IndexError):
        raise Truncated("value", 0, f"{len(data)} bytes for type 0x{kind:02x}") from None
    raise Unsupported("value", 0, f"of type 0x{kind:02x}")


def _single(number: float) -> str:
    """The fewest digits that say which single-precision number it is."""
    bits = struct.pack("<f", number)
    for digits in range(6, 10):
        text = f"{number:.{digits}g}"
        with suppress(OverflowError):  # rounded up beyond the largest
            if struct.pack("<f", float(text)) == bits:
                break
    return text


def _double(number: float) -> str:
    """The fewest digits that say which double-precision number it is."""
    for digits in range(15, 18):
        text = f"{number:.{digits}g}"
        if float(text) == number:
            break
    return text


def filetime(ticks: int) -> str:
    """100-nanosecond steps since 1601-01-01 UTC, as Event Viewer writes them."""
    whole, rest = divmod(ticks, 10_000_000)
    try:
        return f"{(_EPOCH + timedelta(seconds=whole)).isoformat()}.{rest:07}Z"
    except OverflowError:
        return f"0x{ticks:x}"


_ESCAPES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}
_ESCAPES |= {code: "\ufffd" for code in range(32) if code not in (9, 10, 13)}
_ESCAPES |= {0xFFFE: "\ufffd", 0xFFFF: "\ufffd", 13: "&#13;"}
_ESCAPES |= {code: "\ufffd" for code in range(0xD800, 0xE000)}
_QUOTED = _ESCAPES | {ord('"'): "&quot;", 9: "&#9;", 10: "&#10;"}


def _write(node: "Element | str | Raw", lines: list[str], indent: str) -> None:
    if isinstance(node, str):
        if node:
            lines.append(indent + node.translate(_ESCAPES))
        return
    if isinstance(node, Raw):
        lines.append(indent + node.xml)
        return
    head = node.name + "".join(f' {key}="{text.translate(_QUOTED)}"' for key, text in
                               node.attributes)
    if not any(node.children):
        lines.append(f"{indent}<{head} />")
    elif any(isinstance(child, Element) for child in node.children):
        lines.append(f"{indent}<{head}>")
        for child in node.children:
            _write(child, lines, indent + "  ")
        lines.append(f"{indent}</{node.name}>")
    else:
        inner = "".join(
            child.xml if isinstance(child, Raw) else str(child).translate(_ESCAPES)
            for child in node.children
        )
        lines.append(f"{indent}<{head}>{inner}</{node.name}>")


__all__ = ["Element", "EvidenceError", "Raw", "filetime", "parse", "record_xml", "render", "texts"]
