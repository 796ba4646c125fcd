"""What an ingest did, for a person and for a script."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tracelake.ingest.events import Facts


@dataclass(slots=True)
class ParserReport:
    """The sums of one parser. `seconds` are CPU seconds of parsing, hashing left out."""

    artifacts: int = 0
    bytes: int = 0
    records: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    damage: int = 0
    seconds: float = 0.0

    def add(self, facts: Facts, seconds: float) -> None:
        """Counts one artifact."""
        self.artifacts += 1
        self.bytes += facts.size or 0
        self.records += facts.records
        self.rows.update(facts.rows)
        self.duplicates += facts.duplicates
        self.damage += facts.damage
        self.seconds += seconds


@dataclass(slots=True)
class Report:
    """What an ingest did.

    Attributes:
        sources: taken in by this run. skipped: path and reason of those that were in already.
        pieces: path and reason of files that are read with others, as parts of an image.
        failed: path and reason of what could not be taken in at all.
        listed: files that nobody took, where all files were to be listed.
        not_opened: files that were left unopened, by reason.
        left: path inside its source, and each parser's reason, of files that nobody took;
            unopened: the same of those that could not be opened, with a row in `damage` each.
        open_accounts: artifacts whose records do not add up: a bug in a parser.
        first_row: seconds from the start until the first unit could be queried, or None.
        interrupted: it was stopped before everything was read.
        other_mapping: sources that were in already, read with other mapping files (--mapping).
    """

    parsers: dict[str, ParserReport] = field(default_factory=dict)
    sources: int = 0
    bytes: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    pieces: list[tuple[str, str]] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    listed: int = 0
    not_opened: Counter[str] = field(default_factory=Counter)
    left: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    unopened: list[tuple[str, str, str]] = field(default_factory=list)
    open_accounts: list[str] = field(default_factory=list)
    first_row: float | None = None
    seconds: float = 0.0
    interrupted: bool = False
    other_mapping: int = 0

    @property
    def exit_code(self) -> int:
        """0 when everything was taken in or was in already (damage is reported, not an error)."""
        return 1 if self.failed or self.interrupted else 0

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values, for `--json`."""
        out = {name: getattr(self, name) for name in self.__slots__}
        out["parsers"] = {
            name: {key: getattr(sums, key) for key in sums.__slots__} | {"rows": dict(sums.rows)}
            for name, sums in self.parsers.items()
        }
        out["left"] = [
            {"source": source, "path": path, "refused": refused}
            for source, path, refused in self.left
        ]
        out["unopened"] = [
            {"source": source, "path": path, "why": why} for source, path, why in self.unopened
        ]
        for name in ("skipped", "pieces", "failed"):
            out[name] = [{"path": path, "why": why} for path, why in out[name]]
        return out
