"""Event logs, made by hand: the format's corners, damage, duplicates, hostile bytes."""

import io
import random
import struct
import time
from typing import Any

import pytest
from evtx_build import (
    CHUNK,
    SYSTEM,
    TIME,
    Chunk,
    Piece,
    Template,
    Values,
    cdata,
    char,
    definition,
    element,
    entity,
    event,
    instance,
    instruction,
    log,
    nested,
    opt,
    raw,
    sub,
    text,
    utf16,
)

from tracelake.native.account import Account
from tracelake.native.crc32 import checksum, checksum_by_tables
from tracelake.native.feed import Feed
from tracelake.normalize.mapping import Mappings
from tracelake.parsers import evtx, evtx_xml
from tracelake.parsers.artifact import Artifact, Match

UNMAPPED = Mappings({}, "none")


class Read:
    """What the parser made of a file: rows by table, damage rows, the account."""

    def __init__(self, data: bytes, mappings: Mappings | None = UNMAPPED) -> None:
        self.damage: list[dict[str, Any]] = []
        self.account = Account(lambda batch: self.damage.extend(batch.to_pylist()))
        self.rows: dict[str, list[dict[str, Any]]] = {}
        feed = Feed(io.BytesIO(data))
        self.batches = 0
        for table, batch in evtx.read(Artifact("x.evtx", feed, self.account), mappings):
            batch.validate(full=True)
            self.batches += table == "raw_event"
            self.rows.setdefault(table, []).extend(batch.to_pylist())
        self.account.flush_damage()
        assert self.account.closes
        a = self.account
        self.unexplained = len(data) - a.bytes_records - a.bytes_structure - a.bytes_slack
        assert self.unexplained >= 0
        self.file = self.rows.pop("evtx_file")[0]

    @property
    def events(self) -> list[dict[str, Any]]:
        return self.rows.get("raw_event", [])

    @property
    def reasons(self) -> list[tuple[str, str]]:
        return [(row["what"], row["why"].partition(" (at")[0]) for row in self.damage]


def one(data: list[Piece], values: Values = (), section: str = "EventData") -> dict[str, Any]:
    """The row of an event with this data; its XML is well-formed, too."""
    chunk = Chunk()
    at = chunk.record(1, [instance(event(data, section), values)])
    evtx_xml.render(chunk.finished(), at)
    read = Read(log([chunk]))
    assert not read.damage
    assert read.unexplained == 0
    return read.events[0]


def pairs(data: list[Piece], values: Values = (), section: str = "EventData") -> dict[str, Any]:
    row = one(data, values, section)
    assert len({name for name, _ in row["unmapped"]}) == len(row["unmapped"])
    return dict(row["unmapped"])


def data(name: str, *content: Piece) -> Piece:
    return element("Data", {"Name": name}, content)


# --- what stands where ---------------------------------------------------------------------------


def test_system_fields() -> None:
    fields = element("System", {}, [
        element("Provider", {"Name": [sub(0)], "Guid": [opt(1)], "EventSourceName": "old"}),
        element("EventID", {"Qualifiers": [sub(2)]}, [sub(3)]),
        element("Version", {}, [sub(4)]), element("Level", {}, [sub(4)]),
        element("Task", {}, [sub(2)]), element("Opcode", {}, [sub(4)]),
        element("Keywords", {}, [sub(5)]),
        element("TimeCreated", {"SystemTime": [sub(6)]}),
        element("EventRecordID", {}, [sub(7)]),
        element("Correlation", {"ActivityID": [opt(1)], "RelatedActivityID": [opt(8)]}),
        element("Execution", {"ProcessID": [sub(9)], "ThreadID": [sub(9)],
                              "ProcessorID": [sub(4)]}),
        element("Channel", {}, [text("Log")]), element("Computer", {}, [sub(0)]),
        element("Security", {"UserID": [opt(10)]}),
    ])  # fmt: skip
    guid = bytes(range(16))
    sid = bytes([1, 2]) + (5).to_bytes(6, "big") + struct.pack("<II", 32, 544)
    values = [
        (0x01, utf16("Ünïcode")), (0x0F, guid), (0x06, b"\x05\x00"), (0x06, b"\x10\x12"),
        (0x04, b"\x02"), (0x15, struct.pack("<Q", 1 << 63)), (0x11, struct.pack("<Q", TIME + 7)),
        (0x0A, struct.pack("<Q", 99)), (0x00, b""), (0x08, struct.pack("<I", 4_000_000_000)),
        (0x13, sid),
    ]  # fmt: skip
    chunk = Chunk()
    chunk.record(5, [instance(Template([element("Event", {}, [fields])]), values)])
    row = Read(log([chunk])).events[0]
    assert row["log_provider"] == "Ünïcode"
    assert row["log_provider_uid"] == "{03020100-0504-0706-0809-0a0b0c0d0e0f}"
    assert (row["event_code"], row["event_version"], row["event_level"]) == ("4624", 2, 2)
    assert (row["event_task"], row["event_opcode"]) == (5, 2)
    assert row["event_keywords"] == "0x8000000000000000"
    assert row["time"].isoformat() == "2019-04-18T10:40:00+00:00"
    assert row["time_ns"] == 700
    assert (row["original_event_uid"], row["log_name"]) == ("99", "Log")
    assert row["event_activity_uid"] == row["log_provider_uid"]
    assert "event_related_uid" not in row
    assert (row["event_pid"], row["event_tid"]) == (4_000_000_000, 4_000_000_000)
    assert row["event_user_uid"] == "S-1-5-32-544"
    assert dict(row["unmapped"]) == {
        "Provider.EventSourceName": "old", "EventID.Qualifiers": "5", "Execution.ProcessorID": "2",
    }  # fmt: skip


VALUES = [
    (0x01, utf16("a\0"), "a"), (0x01, b"", ""), (0x02, b"caf\xe9 \x80\0", "café €"),
    (0x03, b"\xff", "-1"), (0x04, b"\xff", "255"), (0x05, b"\xff\xff", "-1"),
    (0x06, b"\xff\xff", "65535"), (0x07, b"\xff" * 4, "-1"), (0x08, b"\xff" * 4, "4294967295"),
    (0x09, b"\xff" * 8, "-1"), (0x0A, b"\xff" * 8, "18446744073709551615"),
    (0x0B, struct.pack("<f", 0.5), "0.5"), (0x0C, struct.pack("<d", 0.1), "0.1"),
    (0x0D, b"\1\0\0\0", "true"), (0x0D, bytes(4), "false"), (0x0E, b"\0\xab", "00AB"),
    (0x0F, bytes(16), "{00000000-0000-0000-0000-000000000000}"),
    (0x10, b"\x10\0\0\0", "0x10"), (0x10, b"\x10" + bytes(7), "0x10"),
    (0x11, struct.pack("<Q", TIME), "2019-04-18T10:40:00.0000000Z"),
    (0x12, struct.pack("<8H", 2020, 2, 6, 29, 1, 2, 3, 4), "2020-02-29T01:02:03.004Z"),
    (0x13, bytes([1, 1, 0, 0, 0, 0, 0, 5]) + struct.pack("<I", 18), "S-1-5-18"),
    (0x14, b"\xef\0\0\0", "0xef"), (0x15, b"\xff" * 8, "0xffffffffffffffff"),
    (0x00, b"", None),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "raw_value", "shown"), VALUES)
def test_value_types(kind: int, raw_value: bytes, shown: str | None) -> None:
    assert pairs([data("v", sub(0))], [(kind, raw_value)]) == {"v": shown}
    if kind:
        assert evtx_xml.texts(kind, raw_value) == [shown]


ARRAYS = [
    (0x81, utf16("a\0\0c\0"), ["a", "", "c"]), (0x81, utf16("a\0b"), ["a", "b"]),
    (0x82, b"x\0y\0", ["x", "y"]), (0x86, struct.pack("<3H", 1, 2, 3), ["1", "2", "3"]),
    (0x94, struct.pack("<2I", 16, 17), ["0x10", "0x11"]),
    (0x93, (bytes([1, 1, 0, 0, 0, 0, 0, 5]) + struct.pack("<I", 18)) * 2, ["S-1-5-18"] * 2),
    (0x8F, bytes(32), ["{00000000-0000-0000-0000-000000000000}"] * 2),
    (0x91, struct.pack("<Q", TIME), ["2019-04-18T10:40:00.0000000Z"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "raw_value", "items"), ARRAYS)
def test_arrays_repeat_their_element(kind: int, raw_value: bytes, items: list[str]) -> None:
    names = ["Data"] + [f"Data[{n}]" for n in range(2, len(items) + 1)]
    got = pairs([element("Data", {}, [sub(0)])], [(kind, raw_value)])
    assert got == dict(zip(names, items, strict=True))
    assert evtx_xml.texts(kind, raw_value) == items


def test_an_array_in_a_text_is_joined_and_an_empty_one_has_no_value() -> None:
    got = pairs(
        [data("a", text("<"), sub(0), text(">")), element("b", {"c": [sub(0)]}), data("d", sub(1))],
        [(0x81, utf16("x\0y\0")), (0x86, b"")],
    )
    assert got == {"a": "<x, y>", "b.c": "x, y", "d": None}


def test_names_that_come_again() -> None:
    again = [data("x", sub(0)), data("x", sub(1)), data("x[2]", sub(0)), data("x", sub(1))]
    got = pairs(again, [(0x01, utf16("1")), (0x81, utf16("2\0" + "3\0"))])
    assert sorted(got.values()) == sorted(["1", "2", "3", "1", "2", "3"])
    assert list(got)[:2] == ["x", "x[2]"]


def test_literals_entities_and_sections() -> None:
    got = pairs([
        data("literal", text("a<b")), data("cdata", cdata("]&")),
        data("mixed", text("a"), char(0xE9), entity("amp"), entity("other"), sub(0)),
        data("empty"), element("Binary", {}, [sub(1)]), instruction("t", "ignored"),
        element("Data", {"Name": "n", "Type": "win:x"}, [sub(0)]),
        element("Deep", {}, [data("er", sub(0)), element("e", {}, [sub(0)])]),
        element("Data", {"Name": [sub(0)]}, [text("named by a value")]),
    ], [(0x01, utf16("v")), (0x0E, b"\x01")])  # fmt: skip
    assert got == {
        "literal": "a<b", "cdata": "]&", "mixed": "aé&&other;v", "empty": None, "Binary": "01",
        "n.Type": "win:x", "n": "v", "Deep.er": "v", "Deep.e": "v", "v": "named by a value",
    }  # fmt: skip


def test_user_data_is_named_without_its_wrapper() -> None:
    wrapper = element("Outer", {"xmlns": "urn:x", "a": "1"}, [
        element("Plain", {}, [sub(0)]), element("In", {}, [element("Side", {"b": [sub(0)]})]),
    ])  # fmt: skip
    assert pairs([wrapper], [(0x01, utf16("v"))], "UserData") == {
        "Outer.a": "1", "Plain": "v", "In.Side.b": "v",
    }  # fmt: skip


def test_optional_values_that_are_null() -> None:
    got = pairs(
        [element("x", {"gone": [opt(0)], "kept": [sub(0)]}), data("y", opt(0)), data("z", sub(0))],
        [(0x00, b"")],
    )
    assert got == {"x.kept": None, "y": None, "z": None}


def test_nested_binary_xml() -> None:
    inner = Template([element("EventData", {}, [data("deep", sub(0))])])
    outer = Template([element("Event", {}, [SYSTEM, sub(0)])])
    chunk = Chunk()
    probe = Chunk()
    probe.record(1, [instance(outer, [(0x21, b"")])])
    # The value's place in the chunk: names in it are found by offset.
    for _ in range(2):
        chunk, value = Chunk(), Chunk()
        chunk.record(1, [instance(outer, [(0x21, b"")])])
        start = len(chunk.data) + 24 + 4 + 10 + 4 + 4
        value.data = bytearray(start)
        value.put("BBBB", 0x0F, 1, 1, 0)
        value.write([instance(inner, [(0x01, utf16("v"))])])
        value.put("B", 0)
        chunk.record(2, [instance(outer, [(0x21, bytes(value.data[start:]))])])
    read = Read(log([chunk]))
    assert not read.damage
    assert read.events[1]["unmapped"] == [("deep", "v")]
    assert read.events[0]["unmapped"] is None


def test_a_record_and_a_value_without_a_template() -> None:
    chunk = Chunk()
    section = element("EventData", {}, [data("a", text("b"))])
    chunk.record(1, [element("Event", {}, [SYSTEM, section])])
    outer = Template([element("Event", {}, [SYSTEM, element("EventData", {}, [sub(0)])])])
    chunk.record(2, [instance(outer, [(0x00, b"")])])
    start = len(chunk.data) + 24 + 4 + 10 + 4 + 4
    value = nested([data("c", text("d")), element("e", {}, [text("f")])], start)
    at = chunk.record(3, [instance(outer, [(0x21, value)])])
    read = Read(log([chunk]))
    assert not read.damage
    assert [row["unmapped"] for row in read.events] == [
        [("a", "b")], None, [("c", "d"), ("e", "f")],
    ]  # fmt: skip
    assert '<Data Name="c">d</Data>' in evtx_xml.render(chunk.finished(), at)


def test_a_template_is_compiled_once_however_it_is_written() -> None:
    kind = event([data("a", sub(0))])
    chunks = []
    for number in range(1, 9):
        chunk = Chunk()
        if number % 2:  # the same definition, with other names inline before it
            chunk.record(100 + number, [instance(event([data("b", sub(0))]), [(1, b"")])])
        chunk.record(number, [instance(kind, [(1, utf16(str(number)))])])
        chunks.append(chunk)
    read = Read(log(chunks))
    values = [dict(row["unmapped"]) for row in read.events]
    assert [v["a"] for v in values if "a" in v] == [str(n) for n in range(1, 9)]


def test_equal_bytes_with_other_names_are_other_templates() -> None:
    """A body that only refers to names is the same bytes whatever these names are."""
    chunks = []
    for name in ("aaaa", "bbbb"):
        chunk = Chunk()
        chunk.record(1, [instance(event([data("x", text("y"))]))])
        chunk.record(2, [instance(event([element(name, {}, [text("z")])]))])
        kind = Template([element("Event", {}, [SYSTEM, element("EventData", {}, [
            element(name, {}, [sub(0)])])])], id=77)  # fmt: skip
        chunk.record(3, [instance(kind, [(1, utf16("v"))])], TIME + len(chunks))
        chunks.append(chunk)
    read = Read(log(chunks))
    assert [row["unmapped"] for row in read.events if ("x", "y") not in row["unmapped"]] == [
        [("aaaa", "z")], [("aaaa", "v")], [("bbbb", "z")], [("bbbb", "v")],
    ]  # fmt: skip


# --- records, chunks, files ----------------------------------------------------------------------


def simple(numbers: range | list[int], kind: Template | None = None, start: int = 0) -> Chunk:
    chunk = Chunk()
    kind = kind or event([data("n", sub(0))])
    for number in numbers:
        chunk.record(number, [instance(kind, [(1, utf16(f"value {number}"))])], TIME + number)
    return chunk


def numbers(read: Read) -> list[int]:
    return [int(row["unmapped"][0][1].split()[1]) for row in read.events]


def test_the_header_is_not_believed() -> None:
    chunks = [simple(range(1, 4)), simple(range(4, 6)), simple(range(6, 7))]
    read = Read(log(chunks, count=1, flags=1))
    assert numbers(read) == [1, 2, 3, 4, 5, 6]
    assert (read.file["chunks"], read.file["chunks_header"], read.file["chunks_bad"]) == (3, 1, 0)
    assert read.file["is_dirty"] is True
    assert (read.file["first_record_id"], read.file["last_record_id"]) == (1, 6)
    assert read.file["records_parsed"] == 6
    assert (read.file["device_hostname"], read.file["log_name"]) == ("HOST", "Test")


def test_a_row_says_where_its_record_is() -> None:
    chunk = simple(range(1, 4))
    image = log([chunk])
    for row in Read(image).events:
        at, length = row["src_offset"], row["src_length"]
        assert image[at : at + 4] == b"**\0\0"
        assert struct.unpack_from("<I", image, at + 4)[0] == length
        assert evtx_xml.render(image[4096:], at - 4096).startswith("<Event>")


def test_the_xml_of_a_row() -> None:
    chunks = [simple(range(1, 4)), simple(range(4, 8))]
    image = log(chunks)
    for data in (image, image[4096:], image[: 4096 + CHUNK] + bytes(100) + image[4096 + CHUNK :]):
        for row in Read(data).events:
            xml = evtx_xml.record_xml(Feed(io.BytesIO(data), 4096), row["src_offset"])
            assert f'<Data Name="n">{row["unmapped"][0][1]}</Data>' in xml
    assert evtx_xml.record_xml(Feed(io.BytesIO(image)), 5000).startswith("no XML: record at offset")
    assert evtx_xml.record_xml(Feed(io.BytesIO(image)), 10**6).startswith("no XML: ")


def test_copies_are_counted_and_not_repeated() -> None:
    kind = event([data("n", sub(0))])
    first, more, again = simple(range(1, 4), kind), simple(range(1, 5), kind), simple([1], kind)
    again.record(2, [instance(kind, [(1, utf16("value 22"))])])
    read = Read(log([first, more, again]))
    # `more` is `first` written again with a record more; `again` is a log after it was cleared.
    assert read.account.duplicates == 4
    assert numbers(read) == [1, 2, 3, 4, 22]
    assert read.account.records == 9


def test_a_record_that_the_chunk_header_does_not_know_yet() -> None:
    chunk, stale = simple(range(1, 6)), simple(range(1, 4))
    behind = bytearray(stale.finished())
    whole = chunk.finished()
    free = struct.unpack_from("<I", behind, 48)[0]
    kind = event([data("n", sub(0))])
    full = simple(range(1, 6), kind).finished()
    head = simple(range(1, 4), kind).finished()
    image = head[:512] + full[512:]
    assert len(whole) == len(image)
    assert numbers(Read(log([image]))) == [1, 2, 3, 4, 5]
    # The same bytes, but older than what stands before them: slack.
    old = bytearray(image)
    struct.pack_into("<Q", old, free + 16, TIME - 1)
    read = Read(log([bytes(old)]))
    assert numbers(read) == [1, 2, 3]
    assert read.unexplained == 0
    assert read.account.bytes_slack == CHUNK - free


def test_a_chunk_with_a_broken_header_is_still_read() -> None:
    for at in (0, 8, 50, 125, 200):
        image = bytearray(simple(range(1, 9)).finished())
        image[at] ^= 0x40
        read = Read(log([bytes(image)]))
        assert numbers(read) == list(range(1, 9)), at
        assert {row["parse_flags"] for row in read.events} == {4}
        assert read.file["chunks_bad"] == 1
        assert not read.damage


def test_slack_is_no_record_where_the_header_is_broken() -> None:
    """Old records stand directly behind the new ones, with numbers that could go on."""
    old, new = simple(range(3, 9)), simple(range(1, 3))
    slack = new.finished()[: len(new.data)] + old.finished()[len(new.data) :]
    assert numbers(Read(log([slack]))) == [1, 2]
    for at, kept in ((100, [1, 2]), (8, [1, 2]), (0, [1, 2])):
        image = bytearray(slack)
        image[at] ^= 0x40
        read = Read(log([bytes(image)]))
        assert numbers(read) == kept
        assert not read.damage
    # Neither the record that the header calls the last one nor the numbers tell them apart.
    image = bytearray(slack)
    image[44] ^= 0x40
    assert numbers(Read(log([bytes(image)]))) == [1, 2]
    jump = simple([1, 2, 9, 4])
    image = bytearray(jump.finished())
    image[44:48] = bytes(4)
    # A number that is wrong, between two that go on, is a record of this chunk.
    assert numbers(Read(log([bytes(image)]))) == [1, 2, 9, 4]


def test_a_wrong_checksum_flags_the_rows() -> None:
    image = bytearray(simple(range(1, 4)).finished())
    at = image.find(utf16("value 2"))
    image[at] = ord("V")
    read = Read(log([bytes(image), simple(range(10, 12))]))
    assert [row["parse_flags"] for row in read.events] == [4, 4, 4, None, None]
    assert dict(read.events[1]["unmapped"])["n"] == "Value 2"


@pytest.mark.parametrize("break_at", [0, 4, 5, 7, -4, -1])
def test_a_broken_frame_costs_no_neighbour(break_at: int) -> None:
    chunk = Chunk()
    kind = event([data("n", sub(0))])
    offsets = [
        chunk.record(n, [instance(kind, [(1, utf16(f"value {n}"))])], TIME + n)
        for n in range(1, 8)
    ]
    image = bytearray(chunk.finished())
    at = offsets[3] if break_at >= 0 else offsets[4]
    image[at + break_at] ^= 0x81
    read = Read(log([bytes(image)]))
    assert numbers(read) == list(range(1, 8))
    assert read.events[3]["src_length"] == offsets[4] - offsets[3]
    assert not read.damage


def test_a_record_that_cannot_be_decoded_is_a_damage_row() -> None:
    chunk = Chunk()
    kind = event([data("n", sub(0))])
    chunk.record(1, [instance(kind, [(1, utf16("value 1"))])])
    bad = chunk.record(2, [raw(b"\x0c\x01" + struct.pack("<III", 4711, 60000, 0))])
    chunk.record(3, [instance(kind, [(1, utf16("value 3"))])])
    known = chunk.templates[kind.id]
    cut = chunk.record(4, [raw(b"\x0c\x01" + struct.pack("<IIIHBB", kind.id, known, 1, 900, 1, 0))])
    junk = chunk.record(5, [raw(b"\xb7\xff")])
    none = chunk.record(6, [])
    missing = chunk.record(7, [instance(kind)])
    read = Read(log([chunk]))
    assert numbers(read) == [1, 3]
    assert [row["src_offset"] - 4096 for row in read.damage] == [bad, cut, junk, none, missing]
    assert [what for what, _ in read.reasons] == [
        "template definition", "values", "token", "record", "substitution",
    ]  # fmt: skip
    assert read.account.records == 7
    assert read.unexplained == 0


def test_a_lost_definition_is_known_from_another_chunk() -> None:
    kind = event([data("n", sub(0))])
    second = Chunk()
    second.record(10, [instance(kind, [(1, utf16("value 10"))])])
    second.record(11, [instance(kind, [(1, utf16("value 11"))])])
    image = bytearray(second.finished())
    at = second.templates[kind.id]
    image[at : at + 40] = bytes(40)
    read = Read(log([simple([1], kind), bytes(image)]))
    assert numbers(read) == [1, 11]
    assert read.events[1]["parse_flags"] == 4 | 16
    # Without the first chunk nobody knows.
    assert not Read(log([bytes(image)])).events


def windows_event(chunk: Chunk, inner: Template, values: Values, layout: int) -> Piece:
    """A template instance as Windows' own event log service writes them, with the event's data
    as its last value: 18 values, or 20 where provider and channel are literals."""
    names = [("Level", 0), ("Opcode", 1), ("Task", 2), ("Keywords", 5), ("EventRecordID", 10)]
    system = [element(name, {}, [opt(index)]) for name, index in names]
    system += [
        element("EventID", {"Qualifiers": [opt(4)]}, [sub(3)]),
        element("TimeCreated", {"SystemTime": [sub(6)]}),
        element("Execution", {"ProcessID": [sub(8)], "ThreadID": [sub(9)]}),
        element("Security", {"UserID": [opt(12)]}),
    ]
    outer = Template([element("Event", {}, [element("System", {}, system), sub(layout - 1, 0x21)])])
    words = [(1, utf16("Vendor")), (0x0F, bytes(range(16))), (1, utf16("Vendor/Log"))]
    if layout == 20:
        words = [(0, b"")] * 5

    def piece(c: Chunk) -> None:
        fixed: Values = [
            (4, b"\2"), (4, b"\1"), (6, b"\7\0"), (6, b"\x39\x30"), (6, b"\5\0"), (0x15, bytes(8)),
            (0x11, struct.pack("<Q", TIME)), (0, b""), (8, struct.pack("<I", 44)),
            (8, struct.pack("<I", 55)), (0x0A, struct.pack("<Q", 9)), (4, b"\3"),
            (0x13, bytes([1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0])), (0, b""), *words,
        ]
        # Where the last value stands is known when all else is: it is written twice.
        data = b""
        for _ in range(2):
            trial = Chunk()
            trial.data, trial.names, trial.templates = (
                bytearray(c.data), dict(c.names), dict(c.templates),
            )
            instance(outer, [*fixed, (0x21, data)])(trial)
            tail = Chunk()
            tail.data, tail.names, tail.templates = (
                bytearray(len(trial.data) - len(data)), dict(trial.names), dict(trial.templates),
            )
            at = len(tail.data)
            tail.put("BBBB", 0x0F, 1, 1, 0)
            instance(inner, values)(tail)
            tail.put("B", 0)
            data = bytes(tail.data[at:])
        instance(outer, [*fixed, (0x21, data)])(c)
        c.names |= tail.names
        c.templates |= tail.templates

    return piece


@pytest.mark.parametrize("layout", [18, 20])
def test_a_record_without_any_template_says_what_its_values_say(layout: int) -> None:
    """System by position; the data in its order, without names."""
    inner = Template([element("EventData", {}, [data("a", sub(0)), data("b", sub(1))])])
    values = [(1, utf16("first")), (8, struct.pack("<I", 77))]
    chunk = Chunk()
    chunk.record(9, [windows_event(chunk, inner, values, layout)])
    whole = Read(log([chunk])).events[0]
    assert dict(whole["unmapped"])["b"] == "77"
    image = bytearray(log([chunk]))
    for template, at in chunk.templates.items():
        assert struct.unpack_from("<I", image, 4096 + at + 4)[0] == template
        struct.pack_into("<I", image, 4096 + at + 4, template ^ 0x5555)
    (row,) = Read(bytes(image)).events
    assert row["parse_flags"] & 16
    assert row["unmapped"] == [("EventID.Qualifiers", "5"), ("Data", "first"), ("Data[2]", "77")]
    for name, value in row.items():
        if name in whole and name not in ("parse_flags", "unmapped", "record_hash", "log_provider"):
            assert whole[name] == value, name
    assert (row["event_code"], row["event_pid"], row["src_record_id"]) == ("12345", 44, 9)
    assert row["event_user_uid"] == "S-1-5-18"
    assert (row.get("log_provider"), row.get("log_name")) == (
        ("Vendor", "Vendor/Log") if layout == 18 else (None, None)
    )
    # A type that does not belong there: nothing is guessed.
    at = image.index(struct.pack("<HBBHBBHBB", 1, 4, 0, 1, 4, 0, 2, 6, 0))
    image[at + 2] = 8
    lost = Read(bytes(image))
    assert (lost.events, len(lost.damage)) == ([], 1)


def test_a_flipped_name_is_read_as_the_template_has_it_elsewhere() -> None:
    kind = event([data("Field", sub(0))])
    good, bad = simple([1], kind), simple([2], kind)
    image = bytearray(bad.finished())
    at = image.find(utf16("EventRecordID"))
    image[at] ^= 1
    read = Read(log([good, bytes(image)]))
    assert [row["original_event_uid"] for row in read.events] == ["1", "1"]
    assert read.events[1]["parse_flags"] == 4 | 16
    alone = Read(log([bytes(image)])).events[0]
    assert alone["parse_flags"] == 4 | 16
    assert "original_event_uid" not in alone


def test_a_value_that_does_not_fit_its_type_is_kept() -> None:
    row = one([data("a", sub(0)), data("b", sub(1)), data("c", sub(2))],
              [(0x08, b"\1\2"), (0x7E, b"\xab"), (0x13, b"\1\5\0")])  # fmt: skip
    assert dict(row["unmapped"]) == {"a": "0102", "b": "AB", "c": "010500"}
    assert row["parse_flags"] == 16


def test_ill_formed_utf16_is_repaired_and_flagged() -> None:
    row = one([data("a", sub(0))], [(1, b"a\0\x00\xd8b\0")])
    assert row["unmapped"] == [("a", "a\ufffdb")]
    assert row["parse_flags"] == 128


def test_the_header_time_stands_in_where_the_event_has_none() -> None:
    kind = Template([element("Event", {}, [
        element("System", {}, [element("EventID", {}, [text("7")])]),
    ])])  # fmt: skip
    chunk = Chunk()
    chunk.record(1, [instance(kind)])
    chunk.record(2, [instance(kind)], time=0)
    first, second = Read(log([chunk])).events
    assert first["time"].isoformat() == "2019-04-18T10:40:00+00:00"
    assert first["parse_flags"] == 8
    assert second.get("time") is None
    assert second["parse_flags"] is None


def test_cut_files() -> None:
    image = log([simple(range(1, 5)), simple(range(5, 9))])
    whole = Read(image)
    assert numbers(whole) == list(range(1, 9))
    last = whole.events[-1]
    end = last["src_offset"] + last["src_length"]
    at_border = Read(image[: last["src_offset"]])
    assert numbers(at_border) == list(range(1, 8))
    assert at_border.reasons == [
        ("chunk", f"the file ends {last['src_length']} bytes before its records do"),
    ]  # fmt: skip
    inside = Read(image[: end - 1])
    assert numbers(inside) == list(range(1, 8))
    assert inside.reasons == [("record", "the file ends inside of it")]
    assert inside.damage[0]["src_offset"] == last["src_offset"]
    assert numbers(Read(image[:end])) == list(range(1, 9))
    header = Read(image[: 4096 + CHUNK + 100])
    assert numbers(header) == [1, 2, 3, 4]
    assert header.reasons == [("chunk header", "the file ends after 100 of 512 bytes")]


def test_no_header_a_broken_one_and_none_at_all() -> None:
    chunk = simple(range(1, 4))
    bare = Read(chunk.finished())
    assert numbers(bare) == [1, 2, 3]
    assert bare.file["header_ok"] is False
    broken = Read(bytes(4096) + chunk.finished())
    assert numbers(broken) == [1, 2, 3]
    assert broken.reasons == [("file header", "does not begin with ElfFile")]
    assert broken.unexplained == 4096
    for n in (0, 7, 100, 4095):
        short = Read(log([chunk])[:n])
        assert short.reasons == [("file header", f"the file ends after {n} bytes")]


def test_chunks_off_the_grid() -> None:
    first, second = simple(range(1, 4)).finished(), simple(range(4, 7)).finished()
    read = Read(log([]) + first + b"\xff" * 1000 + second)
    assert numbers(read) == list(range(1, 7))
    assert read.reasons == [("chunk", "no signature, and no record found")]
    assert read.unexplained == 1000
    lost = Read(log([]) + first[:-1000] + second)
    assert numbers(lost)[:3] == [1, 2, 3]


def test_unused_chunks_are_slack() -> None:
    read = Read(log([simple([1]), bytes(CHUNK), bytes(CHUNK)]))
    assert numbers(read) == [1]
    assert not read.damage
    assert read.unexplained == 0
    assert read.account.bytes_structure == 4096 + 512


def test_match() -> None:
    image = log([simple([1])])
    assert evtx.match(image, "a.bin")[0] is Match.CONTENT
    assert evtx.match(bytes(4096) + image[4096:], "a.bin")[0] is Match.CONTENT
    assert evtx.match(image[4096:], "a.bin")[0] is Match.CONTENT
    assert evtx.match(b"PK", "a.evtx") == (Match.NAME, "no ElfFile or ElfChnk signature")
    assert evtx.match(b"PK", "a.zip")[0] is Match.NO


def test_batches_are_bounded() -> None:
    kind = event([data("n", sub(0))])
    chunk = Chunk()
    while len(chunk.data) < 60000:
        chunk.record(len(chunk.numbers) + 1, [instance(kind, [(1, utf16("value 1"))])])
    per_chunk = len(chunk.numbers)
    chunks = []
    for number in range(130_000 // per_chunk + 1):
        image = bytearray(chunk.finished())
        struct.pack_into("<Q", image, 512 + 16, number)  # no two chunks alike
        chunks.append(bytes(image))
    account = Account()
    artifact = Artifact("x", Feed(io.BytesIO(log(chunks))), account)
    sizes = [
        batch.num_rows
        for table, batch in evtx.read(artifact, UNMAPPED)
        if table == "raw_event"
    ]
    assert max(sizes) <= 122_880
    assert sum(sizes) == account.in_rows
    assert account.duplicates == account.records - account.in_rows


# --- hostile bytes -------------------------------------------------------------------------------


def refused(chunk: Chunk, seconds: float = 2.0) -> list[tuple[str, str]]:
    """Why the chunk's records are not rows; reading must end soon."""
    began = time.process_time()
    read = Read(log([chunk]))
    assert time.process_time() - began < seconds
    return read.reasons


def test_a_template_that_contains_itself() -> None:
    chunk = Chunk()
    kind = Template([])
    at = 512 + 24 + 4 + 10
    kind.pieces = [
        element("Event", {}, [
            SYSTEM, raw(struct.pack("<BBIII", 0x0C, 1, kind.id, at, 0)),
        ])
    ]  # fmt: skip
    where = chunk.record(1, [instance(kind)])
    assert chunk.templates[kind.id] == at
    assert [what for what, _ in refused(chunk)] == ["template instance"]
    with pytest.raises(evtx_xml.EvidenceError):
        evtx_xml.render(chunk.finished(), where)


@pytest.mark.parametrize(("levels", "why"), [
    (12, "is nested too deep"), (6, "its values expand without bound"),
])  # fmt: skip
def test_templates_that_multiply(levels: int, why: str) -> None:
    """Each level instantiates the next ten times: 10^12 elements from a few hundred bytes."""
    kind = event([data("n", sub(0))])
    chunk = simple([1], kind)
    at = chunk.record(2, [])  # around the definitions
    del chunk.data[at + 24 :]
    inner = Template([element("e", {}, [text("x" * 50)])])
    definition(chunk, inner)
    for _ in range(levels):
        call = raw(struct.pack("<BBIII", 0x0C, 1, inner.id, chunk.templates[inner.id], 0))
        inner = Template([element("e", {}, [call] * 10)])
        definition(chunk, inner)
    chunk.put("I", len(chunk.data) + 4 - at)
    chunk.patch(at + 4, len(chunk.data) - at)
    where = chunk.record(3, [instance(inner)])
    chunk.record(4, [instance(kind, [(1, utf16("value 4"))])])
    began = time.process_time()
    read = Read(log([chunk]))
    assert time.process_time() - began < 2
    assert [row["unmapped"] for row in read.events] == [[("n", "value 1")], [("n", "value 4")]]
    assert [row["src_offset"] - 4096 for row in read.damage] == [at, where]
    assert read.reasons[1][1] == why
    with pytest.raises(evtx_xml.EvidenceError):
        evtx_xml.render(chunk.finished(), where)


def test_values_that_multiply() -> None:
    big = utf16("y" * 14_000)
    chunk = Chunk()
    chunk.record(1, [instance(event([data(f"d{n}", sub(0)) for n in range(400)]), [(1, big)])])
    assert refused(chunk) == [("record", "its values expand without bound")]
    many = Chunk()
    many.record(1, [instance(event([data("d", *[sub(0)] * 500)]), [(1, big)])])
    assert refused(many)[0][0] == "record"


def test_arrays_of_nothing() -> None:
    chunk = Chunk()
    chunk.record(1, [instance(event([element("Data", {}, [sub(0)])]), [(0x81, bytes(50_000))])])
    began = time.process_time()
    read = Read(log([chunk]))
    assert time.process_time() - began < 2
    assert len(read.events[0]["unmapped"]) == 25_000


def test_elements_nested_without_end() -> None:
    chunk = Chunk()
    chunk.bare = False
    deep: list[Piece] = []
    for _ in range(100):
        deep = [element("e", {}, deep)]
    chunk.record(1, deep)
    assert refused(chunk) == [("element", "is nested too deep")]


def test_names_that_are_long_and_many() -> None:
    chunk = Chunk()
    long = "n" * 900
    deep: list[Piece] = [text("x")]
    for _ in range(40):
        deep = [element(long, {}, [*deep, element(long, {}, [text("y")])])]
    chunk.record(1, [instance(event(deep))])
    began = time.process_time()
    read = Read(log([chunk]))
    assert time.process_time() - began < 2
    assert read.account.records == 1


def test_names_without_end_are_not_remembered() -> None:
    """Names that are values, new in every record: what is remembered of them stays bounded."""
    kind = event([element("Data", {"Name": [sub(0)]}, [sub(1)])])
    chunks = []
    for number in range(12):
        chunk = Chunk()
        while len(chunk.data) < 50_000:
            name = utf16(f"{number}.{len(chunk.data)}")
            chunk.record(len(chunk.numbers), [instance(kind, [(1, name), (0x81, bytes(3000))])])
        chunks.append(chunk)
    read = Read(log(chunks))
    assert not read.damage
    assert {len(row["unmapped"]) for row in read.events} == {1500}
    assert read.batches > 1  # 12 * 16 * 1,500 names, and 200,000 at a time


def test_names_with_nuls() -> None:
    nul = [element("Data\0\0\0", {"Name\0": "x"}, [text("y")]), element("\0", {}, [text("z")])]
    chunk = Chunk()
    chunk.record(1, [instance(event(nul))])
    read = Read(log([chunk]))
    assert [value for _, value in read.events[0]["unmapped"]] == ["x", "y", "z"]


def test_random_bytes_in_whole_frames() -> None:
    """Records whose content is noise: each is a row or a damage row, and nothing crashes."""
    rng = random.Random(7)
    for _ in range(30):
        chunk = simple(range(1, 4))
        while len(chunk.data) < 60_000:
            noise = bytearray(rng.randbytes(rng.randrange(4, 300)))
            noise[0] = rng.choice((0x01, 0x0C, 0x0F, 0x41, 0x0D, 0x05, 0x06))
            chunk.record(len(chunk.numbers) + 1, [raw(bytes(noise))])
        read = Read(log([chunk]))
        assert read.account.records == len(chunk.numbers)
        assert read.account.in_rows >= 3


def test_flipped_bits_cost_little() -> None:
    rng = random.Random(11)
    kind = event([data("n", sub(0))])
    kept = total = 0
    for _ in range(40):
        chunks = [simple(range(40 * c + 1, 40 * c + 41), kind) for c in range(4)]
        image = bytearray(log(chunks))
        for _ in range(64):
            image[rng.randrange(len(image))] ^= 1 << rng.randrange(8)
        kept += Read(bytes(image)).account.in_rows
        total += 160
    assert kept >= 0.85 * total


def test_checksum() -> None:
    rng = random.Random(3)
    import zlib

    for n in (0, 1, 15, 16, 17, 63, 64, 65, 79, 80, 127, 128, 129, 208, 1000, 4096, 65024):
        block = rng.randbytes(n)
        for of in (checksum, checksum_by_tables):
            assert of(block) == zlib.crc32(block)
            assert of(block[7:], of(block[:7])) == zlib.crc32(block)


def xxh64(data: bytes) -> int:
    """XXH64 with seed 0, as its specification has it."""
    a, b, c, d, e = (
        0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63,
        0x27D4EB2F165667C5,
    )  # fmt: skip
    mask = (1 << 64) - 1

    def turn(x: int, r: int) -> int:
        return ((x << r) | (x >> (64 - r))) & mask

    def step(lane: int, word: int) -> int:
        return turn((lane + word * b) & mask, 31) * a & mask

    at, h = 0, e
    if len(data) >= 32:
        lanes = [(a + b) & mask, b, 0, -a & mask]
        while at + 32 <= len(data):
            lanes = [step(lane, word) for lane, word in
                     zip(lanes, struct.unpack_from("<4Q", data, at), strict=True)]  # fmt: skip
            at += 32
        h = sum(turn(lane, r) for lane, r in zip(lanes, (1, 7, 12, 18), strict=True)) & mask
        for lane in lanes:
            h = ((h ^ step(0, lane)) * a + d) & mask
    h = (h + len(data)) & mask
    while at + 8 <= len(data):
        h = (turn(h ^ step(0, struct.unpack_from("<Q", data, at)[0]), 27) * a + d) & mask
        at += 8
    if at + 4 <= len(data):
        h = (turn(h ^ struct.unpack_from("<I", data, at)[0] * a & mask, 23) * b + c) & mask
        at += 4
    for byte in data[at:]:
        h = turn(h ^ byte * e & mask, 11) * a & mask
    h = (h ^ h >> 33) * b & mask
    h = (h ^ h >> 29) * c & mask
    return h ^ h >> 32


def test_record_hash_of_a_record_that_says_little_of_itself() -> None:
    assert (xxh64(b""), xxh64(b"abc")) == (0xEF46DB3751D8E999, 0x44BC2CF5AD770999)
    kind = Template([element("Event", {}, [
        element("System", {}, [element("EventID", {}, [text("7")])]),
        element("EventData", {}, [data("n", sub(0))]),
    ])])  # fmt: skip
    chunk = Chunk()
    for n in range(40):
        chunk.record(n, [instance(kind, [(1, utf16("x" * n))])])
    image = log([chunk])
    for row in Read(image).events:
        own = image[row["src_offset"] : row["src_offset"] + row["src_length"]]
        assert row["record_hash"] % (1 << 64) == xxh64(own)
