"""An artifact read in parts within this process: what workers and their parent do, without them."""

import itertools
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa

from tracelake.native.account import Account
from tracelake.native.feed import Feed
from tracelake.parsers.artifact import Artifact, Parser, Part, Reading

Rows = Counter[tuple[str, str]]
COUNTS = (
    "records", "in_rows", "duplicates", "damaged", "bytes_records", "bytes_structure",
    "bytes_slack",
)  # fmt: skip


class Found:
    """What a reading came to: rows, damage and the account, to be compared."""

    def __init__(self) -> None:
        self.rows: Rows = Counter()
        self.counts: Counter[str] = Counter()

    def take(self, table: str, batch: pa.RecordBatch) -> None:
        for row in batch.to_pylist():
            # A column that one batch filled is all null in another, or not there.
            said = {name: value for name, value in row.items() if value not in (None, [])}
            self.rows[table, repr(sorted(said.items()))] += 1

    def close(self, account: Account) -> None:
        account.flush_damage()
        for name in COUNTS:
            self.counts[name] += getattr(account, name)
        self.counts.update(account.counters)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Found) and (
            (self.rows, +self.counts) == (other.rows, +other.counts)
        )


def read_whole(parser: Parser, path: Path) -> Found:
    """Reads a file as one worker does."""
    found = Found()
    with path.open("rb", buffering=0) as file:
        account = Account(lambda batch: found.take("damage", batch))
        for table, batch in parser.read(Artifact(path.name, Feed(file), account)):
            found.take(table, batch)
        found.close(account)
    return found


class _Ranges:
    """A stream over ranges of a file."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = self.end = 0

    def readinto(self, buffer: memoryview) -> int:
        # Short reads, as a disk may give them.
        n = min(len(buffer), self.end - self.at, 100_000)
        buffer[:n] = self.data[self.at : self.at + n]
        self.at += n
        return n


class _Pass:
    """One part, read once over its ranges."""

    def __init__(
        self, parser: Parser, data: bytes, number: int, of: int, ranges: list[tuple[int, int]],
        leave_out: bytes = b"",
    ) -> None:
        assert parser.parts is not None
        self.found = Found()
        self._stream = _Ranges(data)
        self._feed = Feed(self._stream)
        self._ranges = iter(ranges)
        self._account = Account(lambda batch: self.found.take("damage", batch))
        part = Part(number, of, self._more, 12345, leave_out)
        artifact = Artifact("log.evtx", self._feed, self._account)
        self.reading: Reading = parser.parts.open(artifact, part)
        for table, batch in self.reading.read():
            self.found.take(table, batch)
        self.found.close(self._account)

    def _more(self) -> bool:
        found = next(self._ranges, None)
        if found is None:
            return False
        self._stream.at, self._stream.end = found
        self._feed.jump(found[0])
        return True


def read_in_parts(
    parser: Parser, path: Path, count: int, chance: random.Random
) -> tuple[Found | None, int]:
    """Reads a file in `count` parts with ranges at random borders.

    Returns:
        what was found, None where the parts say that one reader has to do it; and how many parts
        were read again.
    """
    parts = parser.parts
    assert parts is not None
    data = path.read_bytes()
    with path.open("rb", buffering=0) as file:
        borders = list(parts.borders(file, len(data)))  # type: ignore[arg-type]
    assert borders == sorted(set(borders))
    chosen = sorted(chance.sample(borders, chance.randint(0, min(len(borders), 12))))
    edges = [0, *chosen, len(data)]
    given: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    for edge in itertools.pairwise(edges):
        given[chance.randrange(count)].append(edge)
    passes = [_Pass(parser, data, k, count, ranges) for k, ranges in enumerate(given)]
    if any(each.reading.alone for each in passes):
        return None, 0
    facts: list[Any] = [each.reading.facts() for each in passes]
    shared = [
        each.reading.shared([*facts[:k], *facts[k + 1 :]]) for k, each in enumerate(passes)
    ]
    again = 0
    for k, leave_out in enumerate(parts.settle(shared)):
        if leave_out:
            again += 1
            passes[k] = _Pass(parser, data, k, count, given[k], leave_out)
    found = Found()
    for each in passes:
        found.rows += each.found.rows
        found.counts += each.found.counts
    for table, batch in parts.join([each.reading.facts() for each in passes]):
        found.take(table, batch)
    return found, again
