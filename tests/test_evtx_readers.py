"""The two readers of binary XML, the compiled one and the plain one, on records of every kind.

Templates and values are made at random; what the row holds and what the XML says are compared
through `named_values`, which knows neither reader.
"""

import random
import re
import struct
from collections.abc import Iterable, Sequence

import pytest
from evtx_build import (
    SYSTEM,
    Chunk,
    Piece,
    Template,
    cdata,
    char,
    element,
    entity,
    instance,
    instruction,
    log,
    opt,
    sub,
    text,
    utf16,
)
from evtx_reference import named_values, same
from test_evtx import Read

from tracelake.parsers import evtx_xml

SIZES = {3: 1, 4: 1, 5: 2, 6: 2, 7: 4, 8: 4, 9: 8, 10: 8, 11: 4, 12: 8, 13: 4, 15: 16, 17: 8,
         18: 16, 20: 4, 21: 8, 32: 8}  # fmt: skip
WORDS = ["a", "b<c", "&amp;", " x ", "é", "日本", "\U0001f600", 'q"uo\'te', "tab\tbed", "]]>",
         "line\nend"]  # fmt: skip


def number(rng: random.Random, kind: int) -> bytes:
    if kind == 18:
        return struct.pack("<8H", rng.randrange(1601, 9999), rng.randrange(1, 13), 0,
                           rng.randrange(1, 29), rng.randrange(24), rng.randrange(60),
                           rng.randrange(60), rng.randrange(1000))  # fmt: skip
    if kind == 17:
        return struct.pack("<Q", rng.randrange(2_600_000_000_000_000_000))
    if kind in (11, 12):
        picked = rng.choice([0.0, 1.0, -1.5, 0.1, 1e20, 1e-7, 123456789.0, 3.4e38])
        return struct.pack("<f" if kind == 11 else "<d", picked)
    return bytes(SIZES[kind]) if rng.random() < 0.1 else rng.randbytes(SIZES[kind])


def sid(rng: random.Random) -> bytes:
    count = rng.randrange(0, 6)
    top = rng.choice([5, 16, 1 << 40])
    return bytes([1, count]) + top.to_bytes(6, "big") + rng.randbytes(4 * count)


def words(rng: random.Random) -> str:
    return "".join(rng.choice(WORDS) for _ in range(rng.randrange(4)))


def value(rng: random.Random) -> tuple[int, bytes]:
    """A value of any type, now and then of a size that does not fit it."""
    kind = rng.choice([0, 1, 1, 1, 2, *SIZES, 14, 16, 19, 0x81, 0x81, 0x82, 0x83, 0x86, 0x88,
                       0x8A, 0x8B, 0x8D, 0x8F, 0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x8E,
                       0x7E])  # fmt: skip
    base = kind & 0x7F
    count = rng.randrange(4) if kind & 0x80 else 1
    if kind == 0:
        return 0, b""
    if base == 1:
        end = "\0" if kind & 0x80 or rng.random() < 0.3 else ""
        return kind, b"".join(utf16(words(rng) + end) for _ in range(count))
    if base == 2:
        end = b"\0" if kind & 0x80 or rng.random() < 0.3 else b""
        return kind, b"".join(bytes(rng.choices(b"az \xe9\x80\x9f\xff&", k=3)) + end
                              for _ in range(count))  # fmt: skip
    if base == 19:
        return kind, b"".join(sid(rng) for _ in range(count))
    if base == 16:
        size = rng.choice([4, 8])
        return kind, rng.randbytes(size * count)
    if base not in SIZES:
        return kind, rng.randbytes(rng.randrange(6))
    data = b"".join(number(rng, base) for _ in range(count))
    return kind, data[:-1] if rng.random() < 0.03 else data


def texts(rng: random.Random, values: int) -> list[Piece]:
    """What stands in an element without children, or in an attribute."""
    if rng.random() < 0.6:
        return [rng.choice([sub, opt])(rng.randrange(values))]
    made: list[Piece] = []
    for _ in range(rng.randrange(4)):
        made.append(rng.choice([
            lambda: text(words(rng)), lambda: cdata(words(rng)),
            lambda: char(rng.choice([65, 233])),
            lambda: entity(rng.choice(["lt", "gt", "amp", "quot", "apos"])),
            lambda: sub(rng.randrange(values)), lambda: opt(rng.randrange(values)),
        ])())  # fmt: skip
    return made


def tree(rng: random.Random, values: int, depth: int) -> Piece:
    tag = rng.choice(["Data", "Data", "Data", "ComplexData", "Binary", "x", "y"])
    attributes: dict[str, str | Sequence[Piece]] = {}
    if rng.random() < 0.6:
        attributes["Name"] = rng.choice(["One", "Two", "Three", "p.q", "n[2]"])
    if rng.random() < 0.2:
        attributes["type"] = texts(rng, values)
    if depth and rng.random() < 0.3:
        return element(tag, attributes, [
            tree(rng, values, depth - 1) for _ in range(rng.randrange(1, 4))
        ])  # fmt: skip
    return element(tag, attributes, texts(rng, values))


def said(pairs: Iterable[tuple[str, str | None]]) -> set[tuple[str, str]]:
    """Pairs without the numbers that make names unique, and without empty ones: a value that is
    null is a pair in a row and nothing in XML, and so numbers differ."""
    return {(re.sub(r"(\[\d+\])+$", "", name), same(value)) for name, value in pairs if value}


def compare(chunk: Chunk, at: int) -> None:
    (row,) = Read(log([chunk])).events
    xml = evtx_xml.render(chunk.finished(), at)
    _, wanted = named_values(xml)
    mine, theirs = said(row["unmapped"] or []), said(wanted)
    assert (mine - theirs, theirs - mine) == (set(), set()), xml


@pytest.mark.parametrize("seed", range(40))
def test_any_record(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(25):
        count = rng.randrange(1, 8)
        section = rng.choice(["EventData", "EventData", "UserData", "ProcessingErrorData"])
        fields = [tree(rng, count, 2) for _ in range(rng.randrange(1, 5))]
        if section == "UserData":
            fields = [element("Wrapper", {}, fields)]
        if rng.random() < 0.2:
            fields.append(instruction("target", "data"))
        chunk = Chunk()
        kind = Template([element("Event", {}, [SYSTEM, element(section, {}, fields)])])
        at = chunk.record(1, [instance(kind, [value(rng) for _ in range(count)])])
        compare(chunk, at)
