"""Databases of tests: made here, read through their parser, and their rows."""

import io
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tracelake.native.account import Account
from tracelake.native.errors import EvidenceError
from tracelake.native.feed import Feed
from tracelake.parsers.artifact import Artifact, Parser


class Read:
    """What a parser made of some bytes.

    Attributes:
        rows: by table. account: as it was left. stopped: the error that it raised. damage: (what,
            why).
    """

    def __init__(
        self, parser: Parser, data: bytes, path: str, beside: Mapping[str, bytes] | None = None
    ) -> None:
        near = {name.lower(): value for name, value in (beside or {}).items()}

        def sibling(name: str, most: int) -> bytes | None:
            found = near.get(name.lower())
            return found if found is not None and len(found) <= most else None

        self.account = Account()
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.stopped: EvidenceError | None = None
        feed = Feed(io.BytesIO(data))
        try:
            for table, batch in parser.read(Artifact(path, feed, self.account, beside=sibling)):
                self.rows.setdefault(table, []).extend(
                    {k: dict(v) if k == "unmapped" and v else v for k, v in row.items()}
                    for row in batch.to_pylist()
                )
        except EvidenceError as error:
            self.stopped = error
        batch = self.account.take_damage()
        self.damage = [] if batch is None else [(r["what"], r["why"]) for r in batch.to_pylist()]

    @property
    def counts(self) -> dict[str, int]:
        return {table: len(rows) for table, rows in sorted(self.rows.items())}


HISTORY = """
CREATE TABLE urls(id INTEGER PRIMARY KEY, url LONGVARCHAR, title LONGVARCHAR, visit_count INTEGER,
    typed_count INTEGER, last_visit_time INTEGER, hidden INTEGER);
CREATE TABLE visits(id INTEGER PRIMARY KEY, url INTEGER, visit_time INTEGER, from_visit INTEGER,
    transition INTEGER, segment_id INTEGER, visit_duration INTEGER);
"""
WEBKIT_2021 = 13_253_932_800_000_000
"""2021-01-01, as Chromium writes it."""


def visited(at: sqlite3.Connection, numbers: range) -> None:
    """Visits of pages."""
    for n in numbers:
        at.execute(
            "INSERT INTO urls VALUES (?,?,?,1,0,?,0)",
            (n, f"https://h{n}.example/{'x' * 90}", f"page {n}", WEBKIT_2021 + n),
        )
        at.execute(
            "INSERT INTO visits VALUES (?,?,?,?,805306368,0,1000)", (n, n, WEBKIT_2021 + n, n - 1)
        )


def history(folder: Path, pages: int = 3, page_size: int = 4096) -> Path:
    """A history of Chromium with that many visits."""
    path = folder / "History"
    at = sqlite3.connect(path)
    at.execute(f"PRAGMA page_size={page_size}")
    at.executescript(HISTORY)
    visited(at, range(1, pages + 1))
    at.commit()
    at.close()
    return path
