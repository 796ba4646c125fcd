r"""Instances of WMI's classes, as `OBJECTS.DATA` keeps them.

Specification: "WMI repository file format" (libyal, dtformats); python-cim's notes.

    hash of the class's name, in capitals (SHA-256 as 64 UTF-16 digits; MD5, 32, before Vista)
    two FILETIMEs, size of the block (4, itself included)
    block = place of the class's name (4)  ? (1)  states and values of the properties
            qualifiers (4 and more)  ? (1)  size of the heap (4, top bit set)  heap
    heap: texts (a zero, Latin-1 and a zero; or a one, UTF-16 and a zero), arrays (number, items)

Which value is which property, only the definition of its class says, and that may be anywhere in
the repository. The few classes of subscriptions are told by what their texts are: a query, a
language, a namespace, a path of an object.
"""

import hashlib
import re
import struct
from dataclasses import dataclass, field

CLASSES = (
    "__EventFilter", "__FilterToConsumerBinding", "CommandLineEventConsumer",
    "ActiveScriptEventConsumer", "LogFileEventConsumer", "NTEventLogEventConsumer",
    "SMTPEventConsumer", "__IntervalTimerInstruction", "__AbsoluteTimerInstruction",
)  # fmt: skip
BLOCK_MOST = 1 << 20
VALUES_MOST = 1024  # bytes of the properties' values


def _hashes() -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    for name in CLASSES:
        wide = name.upper().encode("utf-16-le")
        for digest in (hashlib.sha256(wide), hashlib.md5(wide, usedforsecurity=False)):
            found[digest.hexdigest().upper().encode("utf-16-le")] = name
    return found


HASHES = _hashes()
"""Class by the digits that its instances begin with."""

_QUERY = re.compile(r"\s*(?:select|references\s+of|associators\s+of)\b", re.IGNORECASE)
_NAMESPACE = re.compile(r"(?:\\\\[^\\]+\\)?root(?:[\\/][\w-]+)*$", re.IGNORECASE)
_REFERENCE = re.compile(r"(?:.*:)?(\w+)\.(?:\w+)=\"?(.*?)\"?$", re.DOTALL)
_MARKS = (".exe", "\\", "/", " -", "%", ":", "cmd", "powershell")
_ENGINES = {"vbscript", "jscript", "javascript", "python", "perlscript", "vbs", "js"}


@dataclass(slots=True)
class Instance:
    """Attributes:
    cim_class: its class.
    times: two FILETIMEs.
    texts: of its properties, in their order.
    sid: of who made it, "" where it does not say.
    """

    cim_class: str
    times: tuple[int, int]
    texts: list[str] = field(default_factory=list)
    sid: str = ""


def parse(cim_class: str, times: tuple[int, int], block: bytes) -> Instance | None:
    """Reads an instance's block; None where it holds no heap that begins with its class.

    Args:
        block: behind its size.
    """
    if len(block) < 9:
        return None
    (named,) = struct.unpack_from("<I", block)
    name = b"\0" + cim_class.encode("ascii") + b"\0"
    at = block.find(name, 5)
    if at < 0 or at - named < 10:
        return None
    start = at - named
    (size,) = struct.unpack_from("<I", block, start - 4)
    size &= 0x7FFFFFFF
    if not len(name) <= size <= len(block) - start:
        return None
    heap = block[start : start + size]
    out = Instance(cim_class, times)
    values = block[5 : start - 4][:VALUES_MOST]
    seen: set[int] = {named}
    for position in range(len(values) - 3):
        place = struct.unpack_from("<I", values, position)[0]
        if place in seen or not 0 < place < len(heap):
            continue
        text = string(heap, place)
        if text:
            seen.add(place)
            out.texts.append(text)
        elif not out.sid:
            out.sid = array_sid(heap, place)
    return out


def string(heap: bytes, at: int) -> str:
    """The text at a place of the heap, "" where none begins there."""
    # A text begins where another value ended: so says the zero in front of it, or the array.
    if heap[at] == 0:
        end = heap.find(b"\0", at + 1)
        if end <= at + 1:
            return ""
        text = heap[at + 1 : end].decode("latin-1")
    elif heap[at] == 1:
        end = at + 1
        while end + 2 <= len(heap) and heap[end : end + 2] != b"\0\0":
            end += 2
        text = heap[at + 1 : end].decode("utf-16-le", "replace")
    else:
        return ""
    good = all(c.isprintable() or c in "\r\n\t" for c in text[:64])
    return text if good else ""


def array_sid(heap: bytes, at: int) -> str:
    """The SID in an array of bytes, "" where there is none."""
    if at + 12 > len(heap):
        return ""
    count = struct.unpack_from("<I", heap, at)[0]
    body = heap[at + 4 : at + 4 + count]
    if not 12 <= count <= 68 or len(body) < count or body[0] != 1 or count != 8 + 4 * body[1]:
        return ""
    authority = int.from_bytes(body[2:8], "big")
    parts = struct.unpack_from(f"<{body[1]}I", body, 8)
    return "-".join(["S-1", str(authority), *map(str, parts)])


def reference(text: str) -> tuple[str, str]:
    r"""(class, name) in `\\.\root\subscription:__EventFilter.Name="x"`."""
    found = _REFERENCE.match(text)
    return (found.group(1), found.group(2).replace('\\"', '"')) if found else ("", "")


def properties(found: Instance, names: set[str]) -> dict[str, str]:
    """Properties by name, as far as their texts tell which they are.

    Args:
        names: of consumers and filters that bindings name.
    """
    said: dict[str, str] = {}
    rest: list[str] = []
    for text in found.texts:
        kind, _ = reference(text)
        if found.cim_class == "__FilterToConsumerBinding" and kind:
            said.setdefault("Filter" if kind == "__EventFilter" else "Consumer", text)
        elif found.cim_class == "__EventFilter" and _QUERY.match(text):
            said.setdefault("Query", text)
        elif found.cim_class == "__EventFilter" and text.upper() == "WQL":
            said.setdefault("QueryLanguage", text)
        elif found.cim_class == "__EventFilter" and _NAMESPACE.match(text):
            said.setdefault("EventNamespace", text)
        elif found.cim_class == "ActiveScriptEventConsumer" and text.lower() in _ENGINES:
            said.setdefault("ScriptingEngine", text)
        elif text in names:
            said.setdefault("Name", text)
        else:
            rest.append(text)
    _by_exclusion(found.cim_class, said, rest)
    return said


def _by_exclusion(cim_class: str, said: dict[str, str], rest: list[str]) -> None:
    if not rest:
        return
    if cim_class == "__EventFilter":
        said.setdefault("Name", rest[0])
    elif cim_class == "CommandLineEventConsumer":
        if "Name" not in said and len(rest) > 1:
            said["Name"] = min(rest, key=_like_a_command)
        commands = [text for text in rest if text != said.get("Name")]
        if commands:
            said["CommandLineTemplate"] = max(commands, key=lambda t: (_like_a_command(t), len(t)))
    elif cim_class == "ActiveScriptEventConsumer":
        said["ScriptText"] = max(rest, key=len)
        others = [text for text in rest if text != said["ScriptText"]]
        if "Name" not in said and others:
            said["Name"] = others[0]
    elif "Name" not in said:
        said["Name"] = rest[0]


def _like_a_command(text: str) -> int:
    return sum(mark in text.lower() for mark in _MARKS)
