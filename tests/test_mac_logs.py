"""Audit trails (BSM) and the Apple System Log."""

import random
import struct
from pathlib import Path

from tests.database_case import Read
from tests.fuzz.examine import read
from tracelake.parsers import asl, bsm
from tracelake.parsers.artifact import Match


def audit(event: int, tokens: bytes, seconds: int = 1609459200) -> bytes:
    """A record with a header of 32 bits."""
    size = 18 + len(tokens) + 7
    head = struct.pack(">BIBHHII", 0x14, size, 11, event, 0, seconds, 250)
    return head + tokens + struct.pack(">BHI", 0x13, 0xB105, size)


def counted(kind: int, text: str) -> bytes:
    return struct.pack(">BH", kind, len(text) + 1) + text.encode() + b"\0"


SUBJECT = struct.pack(">B9I", 0x24, 501, 0, 20, 501, 20, 77, 9, 0, 0x7F000001)
RETURN = struct.pack(">BBI", 0x27, 13, 0xFFFFFFFF)
EXEC = struct.pack(">BI", 0x3C, 2) + b"ls\0-la\0"


def test_an_audit_record() -> None:
    data = audit(23, SUBJECT + counted(0x23, "/bin/ls") + EXEC + RETURN) * 2
    assert bsm.match(data, "x")[0] is Match.CONTENT
    done = Read(bsm.PARSER, data, "x")
    row = done.rows["raw_event"][1]
    assert (row["event_code"], row["event_pid"], row["event_user_uid"]) == ("23", 77, "501")
    assert (row["status_id"], row["message"]) == (2, "/bin/ls ls -la")
    assert row["unmapped"]["exec arguments"] == "ls\n-la"
    assert row["unmapped"]["return"] == "error 13, value 4294967295"
    assert row["time"].microsecond == 250000
    assert done.account.bytes_records == len(data)


def test_tokens_that_are_not_known_are_kept() -> None:
    data = audit(1, counted(0x28, "seen") + b"\xee\1\2")
    row = Read(bsm.PARSER, data, "x").rows["raw_event"][0]
    assert row["unmapped"] == {"text": "seen", "tokens not read": "ee0102"}
    huge = audit(1, struct.pack(">BI", 0x3C, 0xFFFFFFFF) + b"a\0")
    assert "tokens not read" in Read(bsm.PARSER, huge, "x").rows["raw_event"][0]["unmapped"]


def test_audit_records_that_do_not_close() -> None:
    good, bad = audit(1, RETURN), bytearray(audit(2, RETURN))
    bad[-1] ^= 1
    done = Read(bsm.PARSER, good + bytes(bad) + good, "x")
    assert done.counts == {"raw_event": 2}
    assert [what for what, _ in done.damage] == ["trailer token"]
    assert bsm.match(bytes(bad), "x")[0] is Match.NO
    for at in range(len(good) * 2):
        read(bsm.PARSER, (good + good)[:at], "cut", 64, 1 << 16, completed=False)


def test_audit_samples(shared: Path) -> None:
    for name, count in (("apple.bsm", 54), ("openbsm.bsm", 50)):
        data = (shared / "triage/plaso" / name).read_bytes()
        done = Read(bsm.PARSER, data, name)
        assert done.counts == {"raw_event": count}
        assert (done.damage, done.stopped) == ([], None)
        flip(bsm, data)


def flip(module: object, data: bytes) -> None:
    dice = random.Random(3)
    for _ in range(150):
        flipped = bytearray(data)
        for _ in range(dice.randrange(1, 6)):
            flipped[dice.randrange(len(flipped))] = dice.randrange(256)
        read(module.PARSER, bytes(flipped), "flip", 4096, 1 << 16, completed=False)  # type: ignore[attr-defined]


def log(*messages: str) -> bytes:
    """A log of version 2: texts, then records."""
    out = bytearray(80)

    def text(value: str) -> int:
        out.extend(struct.pack(">HI", 1, len(value) + 1) + value.encode() + b"\0")
        return len(out) - len(value) - 7

    places = [(text(f"host{n}"), text(message)) for n, message in enumerate(messages)]
    record = 98 + 16 + 8
    starts = [len(out) + n * record for n in range(len(messages))]
    for n, (host, message) in enumerate(places):
        following = starts[n + 1] if n + 1 < len(starts) else 0
        out += struct.pack(
            ">HIQQQIHHIIIIIII",
            0,
            record - 6,
            following,
            n + 1,
            1609459200,
            1500,
            4,
            0,
            10,
            501,
            20,
            0,
            0,
            0,
            2,
        )
        inline = b"\x83key" + bytes(4)
        out += struct.pack(">Q", host) + b"\x84tool" + bytes(3) + bytes(8)
        out += struct.pack(">Q", message) + inline + b"\x81v" + bytes(6)
        out += struct.pack(">Q", starts[n - 1] if n else 0)
    struct.pack_into(">12sIQQIQ", out, 0, asl.MAGIC, 2, starts[0], 0, 256, starts[-1])
    return bytes(out)


def test_a_system_log() -> None:
    data = log("first", "second")
    assert asl.match(data, "x")[0] is Match.CONTENT
    done = Read(asl.PARSER, data, "x")
    one, two = done.rows["raw_event"]
    assert (one["message"], two["message"]) == ("first", "second")
    assert (two["device_hostname"], two["log_provider"]) == ("host1", "tool")
    assert (one["time"].microsecond, one["time_ns"], one["event_level"]) == (1, 500, 3)
    assert (one["unmapped"]["key"], one["unmapped"]["level"]) == ("v", "warning")
    assert (one["src_record_id"], one["src_length"]) == (1, 122)
    assert done.account.bytes_records + done.account.bytes_structure == len(data)


def test_a_chain_that_turns_back_ends() -> None:
    data = bytearray(log("first", "second"))
    at = struct.unpack_from(">Q", data, 16)[0]
    second = struct.unpack_from(">Q", data, at + 6)[0]
    struct.pack_into(">Q", data, second + 6, at)
    done = Read(asl.PARSER, bytes(data), "x")
    assert done.counts == {"raw_event": 2}
    assert done.stopped is not None
    assert "stands before it" in done.stopped.why
    whole = log("first", "second")
    for cut in range(len(whole)):
        read(asl.PARSER, whole[:cut], "cut", 4096, 1 << 16, completed=False)
    flip(asl, whole)


def test_log_sample(shared: Path) -> None:
    data = (shared / "triage/plaso/applesystemlog.asl").read_bytes()
    rows = Read(asl.PARSER, data, "x").rows["raw_event"]
    assert [row["original_event_uid"] for row in rows] == ["101406", "102643"]
    assert rows[0]["device_hostname"] == "DarkTemplar-2.local"
    assert rows[0]["log_provider"] == "locationd"
    assert rows[0]["message"].startswith("Incorrect NSStringEncoding value 0x8000100 detected.")
