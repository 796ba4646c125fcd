"""A value that is what it was in the record before is not decoded again: nobody can tell."""

import random
import struct
from typing import Any

import pytest
from evtx_build import TIME, Chunk, Template, element, instance, log, opt, sub, text, utf16
from test_evtx import Read

# Where the record stands, and its hash, which covers the template's definition.
PLACE = {"src_offset", "src_length", "record_hash"}
GUIDS = [bytes(range(n, n + 16)) for n in (0, 1, 16)]
SIDS = [bytes([1, 2]) + (5).to_bytes(6, "big") + struct.pack("<II", 32, n) for n in (544, 545)]
# What a name of Sysmon's event 1 may hold: (value type, bytes) each.
TEXTS = {
    "Image": ["C:\\a.exe", "C:\\b.exe", "-", "", "C:\\" + "d" * 60 + ".exe", "x" * 2000],
    "User": ["HOST\\user", "user", "NT AUTHORITY\\SYSTEM", "\ud800", "-"],
    "Hashes": ["MD5=" + "A" * 32 + ",SHA256=" + "B" * 64, "MD5=" + "a" * 32, "SHA1=0", ""],
    "LogonId": ["0x3e7", "0x0", "0x3E7"],
    "IntegrityLevel": ["High", "high\0\0", "Ünïcode", "12345678", "1234567"],
    "ProcessId": ["4", "004", "-1", "99999999999999999999"],
    "UtcTime": ["2020-01-01 00:00:00.000", "2020-01-01 00:00:00.001", "never"],
    "Other": ["12345678abcdefgh", "12345678abcdefgi", "y" * 21, "y" * 20 + "z", "", "-"],
}
OTHERS: list[tuple[int, bytes]] = [
    (0x00, b""), (0x04, b"\x07"), (0x07, b"\xff\xff\xff\xff"), (0x08, b"\xff\xff\xff\xff"),
    (0x0D, b"\x01\0\0\0"), (0x0D, b"\0\0\0\0"), (0x0E, b""), (0x0E, b"\x01\x02"),
    (0x14, b"\x01\0\0\0"), (0x15, b"\x01" + bytes(7)), (0x11, struct.pack("<Q", TIME)),
    (0x0F, b"short"), (0x02, b"\x80uro"), (0x81, utf16("a\0b\0")), (0x81, b""),
    *[(0x0F, guid) for guid in GUIDS], *[(0x13, sid) for sid in SIDS],
]  # fmt: skip


# Values that are another in each record, for which memos give up: more of them than an event looks
# up at one time.
ALWAYS = 20


def changing(number: int) -> list[tuple[int, bytes]]:
    return [
        (0x01, f"{n}\ud800".encode("utf-16-le", "surrogatepass"))
        if (n + number) % 7 == 0 else (0x01, utf16(f"{n} {number % 150}"))
        if n % 2 else (0x08, struct.pack("<I", number % 150 + n))
        for n in range(ALWAYS)
    ]  # fmt: skip


def kind(provider: str, code: str) -> Template:
    system = element("System", {}, [
        element("Provider", {"Name": provider, "Guid": [opt(0)]}),
        element("EventID", {}, [text(code)]), element("Level", {}, [sub(1)]),
        element("Keywords", {}, [sub(2)]), element("EventRecordID", {}, [sub(3)]),
        element("TimeCreated", {"SystemTime": [sub(4)]}),
        element("Execution", {"ProcessID": [sub(5)]}),
        element("Channel", {}, [text("Log")]), element("Computer", {}, [sub(6)]),
        element("Security", {"UserID": [opt(7)]}),
    ])  # fmt: skip
    names = [*TEXTS, *(f"Always{n}" for n in range(ALWAYS))]
    data = [element("Data", {"Name": name}, [sub(8 + n)]) for n, name in enumerate(names)]
    return Template([element("Event", {}, [system, element("EventData", {}, data)])])


def values(rng: random.Random, number: int) -> list[tuple[int, bytes]]:
    given = [
        rng.choice([(0x0F, rng.choice(GUIDS)), (0x00, b"")]),
        (0x04, bytes([rng.choice([0, 4, 4, 5, 200])])),
        (0x15, struct.pack("<Q", rng.choice([0, 1 << 63, 1 << 63]))),
        (0x0A, struct.pack("<Q", rng.choice([number, 1 << 63]))),
        (0x11, struct.pack("<Q", rng.choice([TIME + number, 0]))),
        (0x08, struct.pack("<I", rng.choice([4, 4_000_000_000]))),
        (0x01, utf16(rng.choice(["host", "Host", "HOST"]))),
        rng.choice([(0x13, rng.choice(SIDS)), (0x00, b"")]),
    ]
    for texts in TEXTS.values():
        if rng.random() < 0.15:
            given.append(rng.choice(OTHERS))
        else:
            given.append((0x01, rng.choice(texts).encode("utf-16-le", "surrogatepass")))
    return given


def rows(data: bytes) -> list[tuple[str, dict[str, Any]]]:
    read = Read(data, None)
    assert not read.damage
    found = [
        (row["src_offset"], table, {name: row[name] for name in row.keys() - PLACE
                                    if row[name] is not None})
        for table, rows in read.rows.items() for row in rows
    ]  # fmt: skip
    return [(table, row) for _, table, row in sorted(found, key=lambda each: each[0])]


@pytest.mark.parametrize(
    ("provider", "code", "table"),
    [("Microsoft-Windows-Sysmon", "1", "process_activity"), ("Nobody", "1", "raw_event")],
)
def test_rows_are_what_each_record_gives_alone(provider: str, code: str, table: str) -> None:
    rng = random.Random(f"{provider} {code}")
    made = [values(rng, number) for number in range(1, 200)]
    made = [one for one in made for _ in range(rng.choice([1, 1, 2, 3]))]
    template = kind(provider, code)
    chunks = []
    alone = []
    for start in range(0, len(made), 16):
        chunk = Chunk()
        for number, given in enumerate(made[start : start + 16], start + 1):
            given = [*given, *changing(number)]
            chunk.record(number, [instance(template, given)])
            only = Chunk()
            only.record(number, [instance(template, given)])
            alone += rows(log([only]))
        chunks.append(chunk)
    together = rows(log(chunks))
    assert len(together) == len(made) == len(alone)
    assert {found for found, _ in together} == {table}
    for ours, theirs in zip(together, alone, strict=True):
        assert ours == theirs


def test_fields_of_system_are_put_anew_where_one_of_them_changes() -> None:
    rng = random.Random("frames")
    data = [(0x01, utf16(texts[0])) for texts in TEXTS.values()]
    made = []
    given = values(rng, 1)[:8]
    for number in range(1, 400):
        # Most records change what changes in every log, some one thing beside.
        fresh = values(rng, number)[:8]
        given[3] = (0x0A, struct.pack("<Q", number))
        given[4] = (0x11, struct.pack("<Q", TIME + number))
        if rng.random() < 0.4:
            at = rng.randrange(8)
            given[at] = fresh[at]
        made.append([*given, *data, *changing(number)])
    template = kind("Nobody", "1")
    chunks, alone = [], []
    for start in range(0, len(made), 25):
        chunk = Chunk()
        for number, one in enumerate(made[start : start + 25], start + 1):
            chunk.record(number, [instance(template, one)])
            only = Chunk()
            only.record(number, [instance(template, one)])
            alone += rows(log([only]))
        chunks.append(chunk)
    together = rows(log(chunks))
    assert len(together) == len(made)
    assert together == alone
