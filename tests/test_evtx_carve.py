"""Deleted records of event logs: found, flagged, counted apart, and none of them twice."""

import io
import json
import struct
import zipfile
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from evtx_build import CHUNK, TIME, Chunk, Template, element, event, instance, log, sub, utf16
from evtx_reference import emptied, frames, logs, slack_frames
from line import rows, tracelake

from tracelake.case import open_case
from tracelake.native.account import Account
from tracelake.native.feed import Feed
from tracelake.normalize.mapping import Mappings
from tracelake.parsers import evtx
from tracelake.parsers.artifact import Artifact

UNMAPPED = Mappings({}, "none")
KIND = event([element("Data", {"Name": "n"}, [sub(0)])])
OTHER = event([element("Data", {"Name": "other"}, [sub(0)])])


def number_of(row: dict[str, Any]) -> int:
    """The number in the text of a record of `filled`."""
    return int(row["unmapped"][0][1].split()[1])


class Carved:
    """What carving made of a file."""

    def __init__(self, data: bytes, mappings: Mappings | None = UNMAPPED) -> None:
        self.account = Account(lambda batch: None)
        self.rows: list[dict[str, Any]] = []
        carver = evtx.PARSER.carve
        assert carver is not None
        artifact = Artifact("x.evtx", Feed(io.BytesIO(data)), self.account, Feed(io.BytesIO(data)))
        read: Any = carver.read
        for table, batch in read(artifact, mappings):
            batch.validate(full=True)
            if batch.num_rows:
                assert table == "raw_event"
                self.rows.extend(batch.to_pylist())
        a = self.account
        assert a.closes
        assert a.damaged == 0
        assert a.in_rows == len(self.rows)
        assert len(data) == a.bytes_records + a.bytes_structure + a.bytes_slack
        assert all(row["parse_flags"] & 2 for row in self.rows)

    @property
    def numbers(self) -> list[int]:
        return [number_of(row) for row in self.rows]


def filled(numbers: range, kind: Template = KIND, what: str = "value") -> Chunk:
    chunk = Chunk()
    for number in numbers:
        value = utf16(f"{what} {number}")
        chunk.record(number, [instance(kind, [(1, value)])], TIME + number * 10_000_000)
    return chunk


def over(old: bytes, new: Chunk) -> bytes:
    """A chunk that is used again: the new one's records over the beginning of the old one's."""
    return new.finished()[: len(new.data)] + old[len(new.data) :]


def allocated(data: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for table, batch in evtx.read(
        Artifact("x.evtx", Feed(io.BytesIO(data)), Account(lambda batch: None)), UNMAPPED
    ):
        if table == "raw_event":
            found.extend(batch.to_pylist())
    return found


def test_a_cleared_log() -> None:
    whole = log([filled(range(1, 9)), filled(range(9, 12))])
    empty = emptied(whole)
    assert allocated(empty) == []
    carved = Carved(empty)
    assert carved.numbers == list(range(1, 12))
    assert [row["src_offset"] for row in carved.rows] == [
        row["src_offset"] for row in allocated(whole)
    ]
    assert Carved(whole).rows == []
    assert Carved(whole).account.records == 0


def test_slack_behind_new_records() -> None:
    """The new records have the same template at the same place, so the old ones can be read."""
    chunk = over(filled(range(1, 9)).finished(), filled(range(101, 103)))
    read = log([chunk])
    assert [number_of(row) for row in allocated(read)] == [101, 102]
    carved = Carved(read)
    assert carved.numbers == list(range(3, 9))
    assert {row["parse_flags"] for row in carved.rows} == {2}
    assert {row["unmapped"][0] for row in carved.rows} == {
        ("n", f"value {n}") for n in range(3, 9)
    }


def test_a_template_that_was_overwritten() -> None:
    old = filled(range(1, 9)).finished()
    chunk = over(old, filled(range(101, 104), OTHER))
    lost = Carved(log([chunk]))
    assert lost.rows == []
    assert lost.account.counters == {"unreadable": lost.account.records}
    assert lost.account.records >= 4
    # Another chunk of the log has it: behind it or before it.
    for chunks in ([chunk, filled(range(50, 52))], [filled(range(50, 52)), chunk]):
        found = Carved(log(chunks))
        assert len(found.rows) == lost.account.records
        assert {row["parse_flags"] for row in found.rows} == {2 | 16}
        assert dict(found.rows[-1]["unmapped"])["n"] == "value 8"


def test_copies_are_not_carved() -> None:
    """Not of an allocated record, wherever it stands, nor of one that was carved."""
    old = filled(range(1, 9)).finished()
    slack = over(old, filled(range(101, 103)))
    for chunks in ([slack, old], [old, slack]):
        carved = Carved(log(chunks))
        assert (carved.rows, carved.account.duplicates) == ([], 6)
    twice = Carved(log([slack, over(old, filled(range(201, 203)))]))
    assert (twice.numbers, twice.account.duplicates) == (list(range(3, 9)), 6)


def test_a_chunk_without_a_header() -> None:
    """Its records are allocated as long as their numbers go on; what comes then is old."""
    chunk = bytearray(over(filled(range(1, 9)).finished(), filled(range(101, 103))))
    chunk[:128] = bytes(128)
    image = log([bytes(chunk)])
    assert [number_of(row) for row in allocated(image)] == [101, 102]
    assert Carved(image).numbers == list(range(3, 9))


def test_what_only_looks_like_a_record() -> None:
    chunk = filled(range(1, 9))
    at = [at for at in range(512, len(chunk.data)) if chunk.data[at : at + 4] == b"**\0\0"]
    whole = bytearray(emptied(log([chunk])))
    torn, early, late, none = (4096 + at[n] for n in (1, 2, 3, 4))
    size = struct.unpack_from("<I", whole, torn + 4)[0]
    struct.pack_into("<I", whole, torn + size - 4, size + 8)
    struct.pack_into("<Q", whole, early + 16, 1)
    struct.pack_into("<Q", whole, late + 16, 190_000_000_000_000_000)
    struct.pack_into("<I", whole, none + 24 + 4 + 2, 0xDEADBEEF)  # the template's id
    carved = Carved(bytes(whole))
    assert carved.numbers == [1, 6, 7, 8]
    assert carved.account.counters == {"torn": 1, "unreadable": 1, "implausible time": 2}
    assert carved.account.records == 8


def test_a_file_that_ends_early() -> None:
    image = emptied(log([filled(range(1, 9))]))
    seen = 0
    for end in range(len(image), 4000, -509):
        carved = Carved(image[:end])
        assert carved.numbers == list(range(1, len(carved.rows) + 1))
        seen += len(carved.rows)
    assert seen > 8


# --- real logs -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def samples(shared: Path) -> list[tuple[str, bytes]]:
    return list(logs(shared))


def test_the_walk_finds_the_same_frames(samples: list[tuple[str, bytes]]) -> None:
    """Each whole frame in slack has one fate, and nothing else is in a row."""
    found: Counter[str] = Counter()
    for name, data in samples:
        carved = Carved(data)
        a = carved.account
        # Torn allocated records stand in rows of the log's own, which the walk cannot see.
        own = {row["src_offset"] for row in allocated(data)} if "bad_chunk" in name else set()
        witness = {
            f.chunk + f.offset for f in slack_frames(data) if f.chunk + f.offset not in own
        }
        places = [row["src_offset"] for row in carved.rows]
        assert len(set(places)) == len(places), name
        assert set(places) <= witness, name
        assert a.records - a.counters.get("torn", 0) == len(witness), name
        found.update(records=a.records, rows=a.in_rows, copies=a.duplicates, **a.counters)
    assert found["rows"] > 6_000
    assert found["copies"] > 1_000
    assert found["unreadable"] < 0.02 * found["rows"]


def test_carved_rows_are_the_rows_of_the_log(samples: list[tuple[str, bytes]]) -> None:
    """Every log, as if it had been cleared: the same rows, but for their flags."""
    def said(row: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in row.items() if v is not None and k != "parse_flags"}

    compared = 0
    for name, data in samples:
        if "bad_chunk" in name or "2-vss_0" in name or len(data) > 8_000_000:
            continue
        mine = {row["src_offset"]: row for row in Carved(emptied(data)).rows}
        for row in allocated(data):
            assert said(row) == said(mine[row["src_offset"]]), (name, row["src_offset"])
            compared += 1
    assert compared > 20_000


# --- the whole line ------------------------------------------------------------------------------


def ingest(lake: Path, *arguments: Path | str) -> dict[str, Any]:
    done = tracelake("ingest", *arguments, "-e", "t", "--lake", lake, "--workers", "1", "--json")
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["open_accounts"] == []
    return report


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    """A cleared log, one that was used again, and the same in a zip archive."""
    folder = tmp_path / "evidence"
    folder.mkdir()
    slack = over(filled(range(1, 9)).finished(), filled(range(101, 103)))
    (folder / "cleared.evtx").write_bytes(emptied(log([filled(range(1, 6))])))
    (folder / "used.evtx").write_bytes(log([slack, filled(range(103, 105))]))
    with zipfile.ZipFile(folder / "more.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/none.evtx", log([filled(range(1, 4), OTHER)]))
        archive.writestr("a/some.evtx", emptied(log([filled(range(1, 4), OTHER, "zipped")])))
    return folder


def test_carved_rows_are_added_to_what_is_in(evidence: Path, tmp_path: Path) -> None:
    later, atonce = tmp_path / "later", tmp_path / "atonce"
    ingest(later, evidence)
    before = rows(later)
    report = ingest(later, evidence, "--carve")
    assert report["sources"] == 0
    assert {skip["why"].partition("; ")[2] for skip in report["skipped"]} == {
        "its deleted records were not"
    }
    assert report["parsers"]["evtx_carve"]["rows"] == {"raw_event": 14}
    # Nobody's rows changed, and those of slack are there in addition.
    after = rows(later)
    for table, counted in before.items():
        if table not in ("artifact",):
            assert counted <= after[table], table
    ingest(atonce, evidence, "--carve")
    assert rows(atonce) == after
    for lake in (later, atonce):
        assert "0 findings" in tracelake("verify", "-e", "t", "--lake", lake).stdout
        again = ingest(lake, evidence, "--carve")
        assert again["parsers"] == {}
        assert rows(lake) == after
        assert ingest(lake, evidence)["parsers"] == {}
    case = open_case(later, engagement="t")
    count, distinct = case.sql(
        "select count(*), count(distinct row_id) from raw_event where parse_flags & 2 > 0"
    ).fetchone() or (0, 0)
    assert (count, distinct) == (14, 14)
    (row_id,) = case.sql(
        "select row_id from raw_event where parse_flags & 2 > 0 and unmapped['n'] = 'value 8'"
    ).fetchone() or ("",)
    shown = tracelake("show", row_id, "-e", "t", "--lake", later).stdout
    assert '<Data Name="n">value 8</Data>' in shown


def test_frames_of_slack_and_of_the_log_do_not_overlap(samples: list[tuple[str, bytes]]) -> None:
    """The witness itself: no byte belongs to two of its frames."""
    for name, data in samples:
        spans = sorted(
            (f.chunk + f.offset, f.chunk + f.offset + f.size)
            for walk in (frames, slack_frames) for f in walk(data)
        )  # fmt: skip
        assert all(a[1] <= b[0] for a, b in pairwise(spans)), name
        assert all(end <= 4096 + -(-(end - 4096) // CHUNK) * CHUNK for _, end in spans)
