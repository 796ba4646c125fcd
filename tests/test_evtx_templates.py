"""Templates that are not what they seem: shared ids, overlaps, claims without end, broken names."""

import struct
import time

import pytest
from evtx_build import (
    SYSTEM,
    Chunk,
    Piece,
    Template,
    definition,
    element,
    event,
    instance,
    log,
    raw,
    sub,
    text,
    utf16,
)
from test_evtx import Read, data, simple

from tracelake.parsers import evtx_xml


def called(template: Template, at: int, *values: bytes) -> Piece:
    """An instance of the definition at a given offset of the chunk."""
    head = struct.pack("<BBIII", 0x0C, 1, template.id, at, len(values))
    sizes = b"".join(struct.pack("<HBB", len(value), 1, 0) for value in values)
    return raw(head + sizes + b"".join(values))


def test_two_bodies_under_one_id() -> None:
    """In one chunk, by turns, and at the same offset of two chunks."""
    one = event([data("one", sub(0))])
    two = event([data("two", sub(0))])
    two.id = one.id
    chunk = Chunk()
    at = chunk.record(1, [])
    del chunk.data[at + 24 :]
    places = []
    for kind in (one, two):
        definition(chunk, kind)
        places.append(chunk.templates.pop(kind.id))
    chunk.put("I", len(chunk.data) + 4 - at)
    chunk.patch(at + 4, len(chunk.data) - at)
    for number in range(6):
        chunk.record(2 + number, [called(one, places[number % 2], utf16(f"value {number}"))])
    read = Read(log([chunk, simple([9], one), simple([10], two), simple([11], one)]))
    assert [row["unmapped"][0] for row in read.events] == [
        *((("one", "two")[number % 2], f"value {number}") for number in range(6)),
        ("one", "value 9"), ("two", "value 10"), ("one", "value 11"),
    ]  # fmt: skip
    assert all(row.get("parse_flags") is None for row in read.events)


def test_definitions_that_overlap() -> None:
    """A definition that begins inside of another one's bytes: both are read as they stand."""
    outer = Template([])
    inner = event([data("in", sub(0))])
    chunk = Chunk()
    places: list[int] = []

    def inside(c: Chunk) -> None:
        places.append(len(c.data))
        definition(c, inner)

    # A value text that holds the other's definition, of an even number of bytes.
    def literal(c: Chunk) -> None:
        held = Chunk()
        held.data, held.names = bytearray(len(c.data) + 4), {}
        inside(held)
        body = bytes(held.data[len(c.data) + 4 :])
        body += bytes(len(body) % 2)
        c.put("BBH", 0x05, 1, len(body) // 2)
        c.data += body

    outer.pieces = [
        element("Event", {}, [SYSTEM, element("EventData", {}, [data("out", literal)])])
    ]
    chunk.record(1, [instance(outer)])
    chunk.record(2, [called(inner, places[-1], utf16("value 2"))])
    first, second = Read(log([chunk])).events
    assert [name for name, _ in first["unmapped"]] == ["out"]
    assert second["unmapped"] == [("in", "value 2")]


@pytest.mark.parametrize("count", [0xFFFFFFFF, 0x10000, 20_000])
def test_more_values_than_bytes(count: int) -> None:
    chunk = simple([1])
    kind = event([data("a", sub(0))])
    at = chunk.record(2, [instance(kind, [(1, utf16("x"))])])
    where = chunk.data.index(struct.pack("<IHBB", 1, 2, 1, 0), at)
    chunk.patch(where, count)
    chunk.record(3, [instance(event([data("n", sub(0))]), [(1, utf16("value 3"))])])
    read = Read(log([chunk]))
    assert [row["unmapped"][0][1] for row in read.events] == ["value 1", "value 3"]
    assert [what for what, _ in read.reasons] == ["value descriptors"]


def test_thousands_of_values() -> None:
    """As many as fit into a record, nearly all of them empty; each is one pair at most."""
    count = 15_000
    kind = event([data("last", sub(count - 1))])
    chunk = Chunk()
    chunk.record(1, [instance(kind, [(0, b"")] * (count - 1) + [(1, utf16("value 1"))])])
    began = time.process_time()
    (row,) = Read(log([chunk])).events
    assert time.process_time() - began < 1
    assert row["unmapped"] == [("last", "value 1")]


def test_a_name_that_fails_its_checksum() -> None:
    """The only template of its kind: read as it stands, and flagged."""
    image = bytearray(log([simple([1], event([data("Field", sub(0))]))]))
    at = image.index(utf16("EventData"))
    image[at : at + 2] = utf16("F")
    (row,) = Read(bytes(image)).events
    assert row["unmapped"] == [("FventData.Field", "value 1")]
    assert row["parse_flags"] & 16


def test_tables_of_strings_and_templates_that_go_in_circles() -> None:
    """A chunk's tables of names and templates are indexes that nothing here relies on, nor on the
    links between names of one bucket."""
    chunk = simple(range(1, 5))
    whole = Read(log([chunk])).events
    data_of = bytearray(chunk.finished())
    for at in chunk.names.values():
        struct.pack_into("<I", data_of, at, at)  # its successor is itself
    for bucket in range(128, 512, 4):
        struct.pack_into("<I", data_of, bucket, list(chunk.names.values())[bucket % 7])
    for at in chunk.templates.values():
        struct.pack_into("<I", data_of, at, at)
    again = Read(log([bytes(data_of)]))
    assert not again.damage
    for before, after in zip(whole, again.events, strict=True):
        assert before["unmapped"] == after["unmapped"]
        assert after["src_offset"] == before["src_offset"]


def test_a_chunk_of_small_records_that_all_expand() -> None:
    """Each of 60 bytes gives 300 kB: the chunk's bound damages most of them, in no time."""
    big = Template([element("Event", {}, [SYSTEM, element("EventData", {}, [
        data(f"d{n}", sub(0), *[sub(0)] * 20) for n in range(40)])])])  # fmt: skip
    chunk = Chunk()
    count = 0
    while len(chunk.data) < 64_000:
        count += 1
        chunk.record(count, [instance(big, [(1, utf16("v" * 180))])])
    began = time.process_time()
    read = Read(log([chunk]))
    assert time.process_time() - began < 3
    assert len(read.events) + len(read.damage) == count
    assert read.damage
    assert {why for _, why in read.reasons} == {"its values expand without bound"}
    written = sum(len(value or "") for row in read.events for _, value in row["unmapped"])
    assert written < 1 << 25


def test_the_plain_reader_is_bounded_too() -> None:
    kind = Template([element("Event", {}, [SYSTEM, element("EventData", {}, [
        data(f"d{n}", *[sub(0)] * 40) for n in range(60)])])])  # fmt: skip
    chunk = Chunk()
    at = chunk.record(1, [instance(kind, [(1, utf16("v" * 20_000))])])
    began = time.process_time()
    with pytest.raises(evtx_xml.EvidenceError, match="expands without bound"):
        evtx_xml.render(chunk.finished(), at)
    assert time.process_time() - began < 3


def test_a_text_of_its_own_as_a_template_id() -> None:
    """A definition whose id is not the one that the record names is not taken for it."""
    chunk = simple([1])
    kind = event([data("n", sub(0))])
    chunk.record(2, [called(kind, next(iter(chunk.templates.values())), utf16("value 2"))])
    read = Read(log([chunk]))
    assert [row["unmapped"] for row in read.events] == [[("n", "value 1")]]
    assert [what for what, _ in read.reasons] == ["template definition"]


def test_names_of_literals_and_values_are_told_apart() -> None:
    """A literal that looks like a substitution is none."""
    kind = event([data("a", text("%1 {0}")), data("b", sub(0))])
    chunk = simple([1], kind)
    assert Read(log([chunk])).events[0]["unmapped"] == [("a", "%1 {0}"), ("b", "value 1")]
