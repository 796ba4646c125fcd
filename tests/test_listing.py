"""Files that are only listed: told apart from evidence quickly, and rows like all others."""

import hashlib
import os

import pytest

from tests.fuzz.corpus import corpus
from tests.fuzz.examine import NAMES
from tracelake.ingest.books import Listing, artifact_row, batch_of
from tracelake.ingest.events import Facts
from tracelake.ingest.identify import identify, may_be_text, taker
from tracelake.ingest.streams import Guard, Looked
from tracelake.native.feed import Feed
from tracelake.parsers import PARSERS
from tracelake.parsers.artifact import Parser


def test_a_listed_file_has_the_row_that_any_other_has() -> None:
    listing = Listing()
    told = [(7, "a/b", 3, "ab" * 32, "no parser takes it"), (9, "c\udcff", 0, "cd" * 32, "why"),
            (11, "d", 1 << 40, "ef" * 32, "no parser takes it")]
    for each in told:
        listing.add(*each)
    batch = listing.batch("case", "0" * 32, "unit", "1.0")
    rows = [
        artifact_row("case", "0" * 32, number, "unit", "1.0",
                     Facts(path, None, {"*": why}, size, sha256))
        for number, path, size, sha256, why in told
    ]
    expected = batch_of("artifact", rows)
    assert batch.schema == expected.schema
    assert batch.drop_columns(["ingested"]) == expected.drop_columns(["ingested"])


@pytest.fixture(scope="module")
def samples() -> dict[str, list[bytes]]:
    return corpus(shared=False)


@pytest.mark.parametrize("parser", PARSERS, ids=lambda p: p.name)
def test_what_nobody_asks_for_is_taken_all_the_same(
    parser: Parser, samples: dict[str, list[bytes]]
) -> None:
    path = NAMES.get(parser.name, "some/where")
    for sample in samples[parser.name]:
        found = identify(sample[:65536], path).parser
        took = taker(sample[:65536], path)
        # Of a file with zeros in it parsers of text are not asked.
        assert took is found or (found is not None and found.text and not may_be_text(sample))


@pytest.mark.parametrize(
    ("head", "text"),
    [
        (b"plain\r\n\tlines\n", True), ("größer".encode("latin-1"), True),
        (b"\x1b[1mred\x1b[0m", True), (b"\xff\xfe" + bytes(100), True), (bytes(100), False),
        ("wide".encode("utf-16-le"), True), ("wide".encode("utf-16-be"), True),
        (bytes(range(1, 32)) * 4, False), (b"a\0b" + b"text" * 20, False),
    ],
)  # fmt: skip
def test_what_may_be_text(head: bytes, text: bool) -> None:
    assert may_be_text(head) is text


class Pieces:
    """A file of a library, which gives bytes."""

    def __init__(self, data: bytes, piece: int) -> None:
        self._data, self._piece, self._at = data, piece, 0

    def read1(self, size: int) -> bytes:
        data = self._data[self._at : self._at + min(size, self._piece)]
        self._at += len(data)
        return data

    def readinto(self, buffer: memoryview) -> int:
        data = self.read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 70_000])
@pytest.mark.parametrize("piece", [1, 60, 1 << 20])
def test_looked_at_read_or_hashed_it_is_the_same(size: int, piece: int) -> None:
    data = os.urandom(size)
    hashed = Looked(Guard(Pieces(data, piece), "file"), 100)
    assert hashed.head == data[:100]
    assert hashed.sum_up() == size
    assert hashed.hexdigest() == hashlib.sha256(data).hexdigest()
    parsed = Looked(Pieces(data, piece), 100)
    feed = Feed(parsed, 64)
    found = b""
    while more := feed.read(37):
        found += more
    assert found == data
    assert parsed.hexdigest() == hashed.hexdigest()
