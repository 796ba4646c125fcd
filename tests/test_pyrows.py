"""Rows that are made in Python."""

import io

import pytest

from tracelake.native.account import Account
from tracelake.native.feed import Feed
from tracelake.native.hashing import record_hash
from tracelake.parsers.artifact import Artifact
from tracelake.parsers.pyrows import FROM_SLACK, TEXT_REPAIRED, PyRows


def artifact() -> Artifact:
    return Artifact("a.db", Feed(io.BytesIO(b"")), Account())


def test_rows_at_one_offset_are_numbered() -> None:
    here = artifact()
    rows = PyRows(here)
    rows.seen(10)
    rows.add("browser_activity", 0, 10, b"one", url="http://a/", flags=FROM_SLACK)
    rows.add("browser_activity", 0, 10, b"two", url=None)
    rows.add("artifact_query", 0, 10, b"two", run_times=[1, 2])
    batches = dict(rows.rest())
    assert batches["browser_activity"].column("sub").to_pylist() == [0, 1]
    assert batches["browser_activity"].column("parse_flags").to_pylist() == [FROM_SLACK, None]
    assert batches["artifact_query"].column("sub").to_pylist() == [0]
    assert (here.account.records, here.account.in_rows, here.account.bytes_records) == (1, 1, 10)


def test_ill_formed_text_is_repaired_flagged_and_counted() -> None:
    here = artifact()
    rows = PyRows(here)
    rows.add("browser_activity", 0, 1, b"x", title=b"\xff\xfe")
    batch = dict(rows.rest())["browser_activity"]
    assert batch.column("parse_flags").to_pylist() == [TEXT_REPAIRED]
    assert here.account.repairs == 1


def test_a_column_that_the_table_lacks_is_an_error() -> None:
    with pytest.raises(KeyError, match="has no column colour"):
        PyRows(artifact()).add("browser_activity", 0, 1, b"x", colour="red")


def test_damage_closes_the_account() -> None:
    here = artifact()
    PyRows(here).damaged(5, 2, "page", "its type is 7")
    assert here.account.closes
    assert here.account.damaged == 1


def test_the_hash_is_xxh64_of_the_bytes() -> None:
    # From the reference implementation, github.com/Cyan4973/xxHash.
    assert record_hash(b"") & (2**64 - 1) == 0xEF46DB3751D8E999
    assert record_hash(b"abc") & (2**64 - 1) == 0x44BC2CF5AD770999
