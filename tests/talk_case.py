"""Rows of captures that tests put together."""

import io
from collections import defaultdict
from typing import Any

from tests.packets import pcap, session, timed
from tracelake.native.account import Account
from tracelake.native.feed import Feed
from tracelake.parsers.artifact import Artifact
from tracelake.parsers.pcap import read

Row = dict[str, Any]


def rows_of(data: bytes) -> dict[str, list[Row]]:
    """By table; columns without a value are left out."""
    found: dict[str, list[Row]] = defaultdict(list)
    for table, batch in read(Artifact("capture", Feed(io.BytesIO(data)), Account(lambda b: None))):
        found[table] += [
            {k: v for k, v in row.items() if v is not None} for row in batch.to_pylist()
        ]
    return found


def talk(*said: tuple[bool, bytes], port: int, mss: int = 1460) -> dict[str, list[Row]]:
    return rows_of(pcap(timed(session(*said, port=port, mss=mss))))


def only(rows: list[Row], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row.get(name) for name in names) for row in rows]
