"""Artifacts of text through one parser: its rows, and that its books close."""

import io
from typing import Any

from tracelake.native.account import Account
from tracelake.native.feed import Feed
from tracelake.parsers import BY_NAME
from tracelake.parsers.artifact import Artifact


class Read:
    """What a parser made of some bytes.

    Attributes:
        rows: by table, without nulls; `unmapped` as a dictionary.
        account: of the artifact.
        damage: the damage rows.
    """

    def __init__(
        self, parser: str, data: bytes, path: str = "x", modified: float | None = None
    ) -> None:
        self.damage: list[dict[str, Any]] = []
        self.account = Account(lambda batch: self.damage.extend(batch.to_pylist()))
        self.rows: dict[str, list[dict[str, Any]]] = {}
        feed = Feed(io.BytesIO(data), 4096)
        artifact = Artifact(path, feed, self.account, modified=modified)
        for table, batch in BY_NAME[parser].read(artifact):
            if table:
                batch.validate(full=True)
                self.rows.setdefault(table, []).extend(map(_present, batch.to_pylist()))
        self.account.flush_damage()
        assert self.account.closes
        books = self.account
        assert books.bytes_records + books.bytes_structure + books.bytes_slack == len(data)

    def one(self, table: str) -> dict[str, Any]:
        """The only row there is."""
        assert self.counts == {table: 1}, self.rows
        return self.rows[table][0]

    @property
    def counts(self) -> dict[str, int]:
        """Rows by table."""
        return {table: len(rows) for table, rows in self.rows.items()}


def _present(row: dict[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in row.items() if value is not None}
    if "unmapped" in found:
        found["unmapped"] = dict(found["unmapped"])
    return found


def holds(row: dict[str, Any], **expected: Any) -> None:
    """A row has these values."""
    assert {name: row.get(name) for name in expected} == expected
