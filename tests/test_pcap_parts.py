"""Several readers of one capture get the rows and the account of one (docs/parts.md)."""

import io
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.packets import pcap, session, timed
from tests.test_talks import names
from tests.zeek import captures
from tracelake.native.account import Account
from tracelake.native.errors import EvidenceError
from tracelake.native.feed import Feed
from tracelake.parsers.artifact import Artifact, Part
from tracelake.parsers.pcap import PARSER, PartOfCapture, read
from tracelake.parsers.pcap_parts import ONCE, SHARES, joined, share

SEED = 0x0123456789ABCDEF


def counted(rows: Iterator[tuple[str, pa.RecordBatch]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for table, batch in rows:
        for row in batch.to_pylist():
            found[f"{table} {sorted((k, repr(v)) for k, v in row.items() if v is not None)}"] += 1
    return found


def sums(account: Account) -> tuple[Any, ...]:
    account.flush_damage()
    return (
        account.records, account.in_rows, account.damaged, account.duplicates,
        account.bytes_records, account.bytes_structure, account.bytes_slack,
        sorted(account.counters.items()),
    )


def alone(data: bytes) -> tuple[Counter[str], tuple[Any, ...]]:
    account = Account(lambda batch: None)
    rows = Counter[str]()
    try:
        rows = counted(read(Artifact("x", Feed(io.BytesIO(data)), account)))
    except EvidenceError as error:  # as `ingest` has it
        account.broken(error.offset, 0, error.what, error.why)
    return rows, sums(account)


def together(data: bytes, of: int) -> tuple[Counter[str], tuple[Any, ...]]:
    rows: Counter[str] = Counter()
    facts = []
    accounts = []
    for number in range(of):
        account = Account(lambda batch: None)
        feed = Feed(io.BytesIO(data))
        given = iter([True, False])
        part = PartOfCapture(
            Artifact("x", feed, account), Part(number, of, lambda g=given: next(g), SEED), False
        )
        rows += counted(part.read())
        facts.append(part.facts())
        accounts.append(sums(account))
    rows += counted(joined(facts))
    total = tuple(sum(each) for each in list(zip(*accounts, strict=True))[:-1])
    counters: Counter[str] = Counter()
    for each in accounts:
        counters.update(dict(each[-1]))
    return rows, (*total, sorted(counters.items()))


@pytest.mark.parametrize("of", range(1, 9))
def test_the_shares_are_all(of: int) -> None:
    ends = [share(number, of) for number in range(of)]
    assert ends[0][0] == 0
    assert ends[-1][1] == SHARES
    assert all(a[1] == b[0] for a, b in itertools.pairwise(ends))
    assert all(low < high for low, high in ends)


def test_a_made_capture() -> None:
    said = [s for i in range(30) for s in session(
        (True, b"hello"), (False, b"bye"), port=4000 + i, src=f"10.0.{i}.1", isn=1000 + i)]
    data = pcap(timed(said + names()))
    assert together(data, 3) == alone(data)
    assert alone(data)[1][0] == len(said + names())


@pytest.mark.parametrize("of", [2, 5])
def test_all_shared_captures(shared: Path, of: int) -> None:
    """Every capture of the shared data: rows of all tables in all columns, and the account."""
    for capture, _ in captures(shared):
        data = (shared / capture).read_bytes()
        assert together(data, of) == alone(data), capture


def test_what_stands_once_is_a_table_of_captures() -> None:
    assert set(ONCE) <= set(PARSER.tables)
