"""Event logs read a second time, for tests: a structural walk and a naming rule of its own.

Nothing here comes from the parser. The walk believes a chunk's free-space offset only when the
header's checksum is right; names follow the docstring of `evtx_compile.pyx`, from XML that another
program made.
"""

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import seven_zip

CHUNK = 65536
_SYSTEM = {
    ("Provider", "Name"), ("Provider", "Guid"), ("EventID", ""), ("Version", ""), ("Level", ""),
    ("Task", ""), ("Opcode", ""), ("Keywords", ""), ("TimeCreated", "SystemTime"),
    ("EventRecordID", ""), ("Correlation", "ActivityID"), ("Correlation", "RelatedActivityID"),
    ("Execution", "ProcessID"), ("Execution", "ThreadID"), ("Channel", ""), ("Computer", ""),
    ("Security", "UserID"),
}  # fmt: skip
GUID = re.compile(r"\{?([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\}?")
MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)\.?(\d*)(?:Z| UTC)?")


@dataclass(frozen=True)
class Frame:
    """A record found by its frame: signature, size, and the size again at its end."""

    chunk: int  # offset of its chunk in the file
    offset: int  # in the chunk
    size: int
    number: int


def logs(root: Path) -> Iterator[tuple[str, bytes]]:
    """Every event log below a folder, also those in zip and 7-Zip archives, with its path."""
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.suffix == ".evtx":
            yield name, path.read_bytes()
        elif path.suffix == ".zip" and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for member in archive.infolist():
                    if member.filename.lower().endswith(".evtx"):
                        yield f"{name}!{member.filename}", archive.read(member)
        elif path.suffix == ".7z" and "EventLogs" in path.name:
            for member_name, data in seven_zip.members(path.read_bytes()):
                yield f"{name}!{member_name}", data


def frames(data: bytes) -> Iterator[Frame]:
    """Records with whole frames: of each chunk from its header to its free-space offset."""
    for base in range(4096, len(data), CHUNK):
        chunk = data[base : base + CHUNK]
        end = len(chunk)
        if chunk[:8] == b"ElfChnk\0" and len(chunk) >= 512:
            checksum = zlib.crc32(chunk[128:512], zlib.crc32(chunk[:120]))
            free, stored = struct.unpack_from("<I", chunk, 48)[0], chunk[124:128]
            if stored == struct.pack("<I", checksum) and 512 <= free <= CHUNK:
                end = min(end, free)
        at = 512
        while at + 28 <= end:
            if chunk[at : at + 4] == b"**\0\0":
                size, number = struct.unpack_from("<IQ", chunk, at + 4)
                if 28 <= size <= len(chunk) - at and (
                    struct.unpack_from("<I", chunk, at + size - 4)[0] == size
                ):
                    yield Frame(base, at, size, number)
                    at += size
                    continue
            at = chunk.find(b"**\0\0", at + 1)
            if at < 0:
                break


def slack_frames(data: bytes) -> Iterator[Frame]:
    """Whole frames that stand where no allocated record does, and do not reach into one."""
    covered = sorted((f.chunk + f.offset, f.chunk + f.offset + f.size) for f in frames(data))
    for base in range(4096, len(data), CHUNK):
        end = min(base + CHUNK, len(data))
        at = base + 512 if data[base : base + 8] == b"ElfChnk\0" else base
        for begin, after in [*(c for c in covered if base <= c[0] < end), (end, end)]:
            while (at := data.find(b"**\0\0", at, begin)) >= 0:
                size = struct.unpack_from("<I", data[at + 4 : at + 8].ljust(4, b"\0"))[0]
                if 28 <= size <= begin - at and (
                    struct.unpack_from("<I", data, at + size - 4)[0] == size
                ):
                    number = struct.unpack_from("<Q", data, at + 8)[0]
                    yield Frame(base, at - base, size, number)
                    at += size
                else:
                    at += 4
            at = after


def emptied(data: bytes) -> bytes:
    """A log all of whose sound chunks claim to be empty, as after a clearing: what they hold is
    slack now."""
    out = bytearray(data)
    for base in range(4096, len(out) - 511, CHUNK):
        chunk = out[base : base + CHUNK]
        checksum = zlib.crc32(chunk[128:512], zlib.crc32(chunk[:120]))
        if chunk[:8] == b"ElfChnk\0" and chunk[124:128] == struct.pack("<I", checksum):
            struct.pack_into("<II", out, base + 48, 512, 0)
            checksum = zlib.crc32(out[base + 128 : base + 512], zlib.crc32(out[base : base + 120]))
            struct.pack_into("<I", out, base + 124, checksum)
    return bytes(out)


def _inner(node: ElementTree.Element) -> str:
    """An element's text. (The Rust package writes the end tag of an empty one on its own line.)"""
    text = node.text or ""
    return "" if re.fullmatch(r"\n +", text) else text


def named_values(xml: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """(fields of System that are columns, name-value pairs in order) of an event's XML."""
    system: dict[str, str] = {}
    pairs: list[tuple[str, str]] = []

    def tag(node: ElementTree.Element) -> str:
        return node.tag.rpartition("}")[2]

    def field(node: ElementTree.Element, path: str, below: str, quiet: bool) -> None:
        """The node's attributes and text under `path`; its children under `below`."""
        attributes = {key.rpartition("}")[2]: text for key, text in node.attrib.items()}
        children = list(node)
        if tag(node) in ("Data", "ComplexData") and not quiet:
            attributes.pop("Name", None)
        pairs.extend((f"{path}.{key}", text) for key, text in attributes.items())
        for child in children:
            name = tag(child)
            if name in ("Data", "ComplexData") and child.get("Name"):
                name = child.get("Name", "")
            deeper = f"{below}.{name}" if below else name
            field(child, deeper, deeper, False)
        text = _inner(node)
        if (text.strip() if children or quiet else text) or not (children or attributes or quiet):
            pairs.append((path, text))

    event = ElementTree.fromstring(xml)
    for section in event:
        if tag(section) == "System":
            for node in section:
                for key, text in [*node.attrib.items(), ("", _inner(node))]:
                    if (tag(node), key) in _SYSTEM:
                        system[f"{tag(node)}.{key}".rstrip(".")] = text
                    elif key:
                        pairs.append((f"{tag(node)}.{key}", text))
                    elif text.strip():
                        pairs.append((tag(node), text))
        elif tag(section) == "UserData":
            for wrapper in section:
                field(wrapper, tag(wrapper), "", True)
        elif tag(section) == "EventData":
            field(section, "EventData", "", True)
        else:
            field(section, tag(section), tag(section), True)
    seen: dict[str, int] = {}
    numbered = []
    for name, text in pairs:
        seen[name] = seen.get(name, 0) + 1
        numbered.append((name if seen[name] == 1 else f"{name}[{seen[name]}]", text))
    return system, numbered


def same(text: str | None) -> str:
    """What the two programs write differently, written one way: GUIDs (Rust: upper case, no
    braces), times (Rust: six digits), line ends (XML), what XML cannot hold."""
    text = (text or "").replace("\r\n", "\n").replace("\r", "\n")
    if guid := GUID.fullmatch(text):
        return guid[1].lower()
    if moment := MOMENT.fullmatch(text):
        return f"{moment[1]}T{moment[2]}.{moment[3]:0<6.6}"
    return "".join(c if c in "\t\n" or ord(c) >= 32 else "\ufffd" for c in text)


def agree(mine: str | None, theirs: str | None) -> bool:
    """Whether two texts say the same. The Rust package writes a boolean that is neither 0 nor 1
    as a number (the value is a 32-bit BOOL: all but 0 is true), and a floating-point 0 as 0.0."""
    a, b = same(mine), same(theirs)
    if a == b:
        return True
    if a == "true":
        return b.isdigit() and int(b) > 1
    return a.isdigit() and b == f"{a}.0"
