"""What is known of a source of which some artifacts are read: small enough to be kept for
hundreds of sources that wait for their next stage."""

from collections import Counter
from dataclasses import dataclass, field

from tracelake.ingest.events import Facts
from tracelake.parsers import BY_NAME
from tracelake.parsers.artifact import Parser, Rank


def carver_of(facts: Facts | None) -> Parser | None:
    """The parser of what the one that read an artifact left aside, where it has one."""
    read_by = BY_NAME.get(facts.parser or "") if facts is not None else None
    return read_by.carve if read_by is not None else None


@dataclass(frozen=True, slots=True, order=True)
class Planned:
    """A file of an image that is to be read: its rank and number, its path in its volume, where
    it stands there (image_files.Listed), its bytes."""

    rank: Rank
    number: int
    path: str
    identifier: int
    stream: str | None
    size: int


@dataclass(slots=True)
class SoFar:
    """Attributes:
    numbers: of the artifacts that have a row in `artifact`, or will have with their unit.
    rows, records, duplicates, damage: their sums.
    carvable: those in which deleted records may be.
    not_opened: files that were left unread, by reason.
    facts: what an image says of itself, by name.
    plan: what of an image is to be read, when its folders have been walked through.
    """

    numbers: set[int] = field(default_factory=set)
    rows: Counter[str] = field(default_factory=Counter)
    records: int = 0
    duplicates: int = 0
    damage: int = 0
    carvable: dict[int, Facts] = field(default_factory=dict)
    not_opened: Counter[str] = field(default_factory=Counter)
    facts: dict[str, str] = field(default_factory=dict)
    plan: list[Planned] | None = None
    _read: dict[tuple[bytes, int], str] = field(default_factory=dict)

    def add(self, number: int, facts: Facts) -> None:
        """Counts an artifact."""
        self.numbers.add(number)
        self.rows.update(facts.rows)
        self.records += facts.records
        self.duplicates += facts.duplicates
        self.damage += facts.damage
        if facts.parser is not None and facts.sha256:
            self._read.setdefault((bytes.fromhex(facts.sha256), facts.damage), facts.path)
        if carver_of(facts) is not None:
            self.carvable[number] = facts

    def twin(self, facts: Facts) -> str | None:
        """The path of an artifact with the same bytes that is read. Bytes that are the same and
        broke differently (a wrong checksum around one copy) are not: the damage would be lost."""
        if not facts.sha256:
            return None
        return self._read.get((bytes.fromhex(facts.sha256), facts.damage))
