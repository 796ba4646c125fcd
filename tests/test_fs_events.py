"""FSEvents of macOS."""

import gzip
import struct
from pathlib import Path

from tests.database_case import Read
from tests.fuzz.examine import read
from tracelake.parsers import fs_events
from tracelake.parsers.artifact import Match


def page(magic: bytes, *records: tuple[bytes, int, int]) -> bytes:
    """(path, id, flags) of each."""
    more = fs_events.TAILS[magic] - 12
    body = b"".join(
        path + b"\0" + struct.pack("<QI", event, flags) + bytes(more)
        for path, event, flags in records
    )
    return magic + bytes(4) + struct.pack("<I", 12 + len(body)) + body


def test_pages_of_all_versions() -> None:
    for magic in fs_events.TAILS:
        data = page(magic, (b"Users/a/x.sh", 7, 0x800011), (b"tmp/y", 8, 0x800008)) * 2
        assert fs_events.match(data, "0000000000001")[0] is Match.CONTENT
        done = Read(fs_events.PARSER, data, "x")
        rows = done.rows["file_activity"]
        assert [row["activity_id"] for row in rows] == [1, 5, 1, 5]
        assert (rows[0]["file_path"], rows[0]["file_name"]) == ("/Users/a/x.sh", "x.sh")
        assert rows[0]["unmapped"]["flags"] == "created, modified, file"
        assert (rows[0]["src_record_id"], rows[0]["src_offset"]) == (7, 12)
        account = done.account
        assert account.bytes_records + account.bytes_structure == len(data)
        for at in range(len(data) + 1):
            read(fs_events.PARSER, data[:at], "cut", 64, 1 << 16, completed=False)


def test_flags() -> None:
    assert fs_events.activity_of(0x800012 | 0x80002) == 4
    assert fs_events.activity_of(0x800100) == 7
    assert fs_events.activity_of(0x800200) == 6
    assert fs_events.activity_of(0x2000000) == 12
    assert fs_events.activity_of(0) == 99
    assert fs_events.names_of(0x40000001) == "created, 0x40000000"


def test_sizes_that_are_wrong() -> None:
    for size in (0, 11, 1 << 31, 0xFFFFFFFF):
        data = b"2SLD" + bytes(4) + struct.pack("<I", size) + b"a\0" * 50
        assert fs_events.match(data, "x")[0] is Match.NO
        assert Read(fs_events.PARSER, data, "x").stopped is not None
    good = page(b"1SLD", (b"a", 1, 1))
    done = Read(fs_events.PARSER, good + b"junk" * 9, "x")
    assert (done.counts, done.stopped is not None) == ({"file_activity": 1}, True)
    done = Read(fs_events.PARSER, good + bytes(5000), "x")
    assert (done.stopped, done.account.bytes_slack) == (None, 5000)


def test_sample(shared: Path) -> None:
    data = gzip.decompress((shared / "triage/velociraptor/fs_events_000000002fc5e551").read_bytes())
    done = Read(fs_events.PARSER, data, "x")
    rows = done.rows["file_activity"]
    # Each record is a NUL, an id, flags, a node and four bytes: no NUL in a path.
    assert not done.damage
    assert done.account.bytes_records + done.account.bytes_structure == len(data)
    assert done.account.records == len(rows) == 2730
    assert rows[0]["file_path"] == "/Applications/.DS_Store"
    assert all(row["unmapped"]["flags"] for row in rows)
    assert not any("0x" in row["unmapped"]["flags"] for row in rows)
